/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What it costs that a virtual function is policed while nothing is congested: WRITEs from
 * a function of one core to one of another, policed and not, in turn. Both cores and the
 * link between them share a thread, so the figures are of sender, link and receiver together.
 *
 * usage: wire_bench [ROUNDS [SECONDS]]     of each size, policed and not; 21 of 0.05 s
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inside.h"

#define LOG_SQ          8
#define SIGNAL_EVERY    16u
#define SLOTS           64u             /* packets that a direction of the link holds */
#define SLOT            (SVAN_PACKET_HEAD + SVAN_MAX_MTU + 128u)
#define MAX_SIZE        (64u << 10)
#define POLICED         1u
#define MAX_ROUNDS      101u

typedef struct End End;

struct End {
    End *peer;
    Fake *fake;
    Host *pf, *host;
    HostCq cq;
    HostQp qp;
    uint64_t memory;
    /* the direction that it sends in */
    uint8_t slots[SLOTS][SLOT];
    uint32_t lens[SLOTS];
    uint32_t pi, ci;
    SvanLentPacket lent;        /* what it was given last */
};

typedef struct Bench {
    End ends[2];                /* 0 sends to 1 */
    double seconds;
} Bench;

static uint64_t vm_clock;

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    vm_clock = ts.tv_sec * 1000000000ull + ts.tv_nsec;
    return ts.tv_sec + ts.tv_nsec * 1e-9;
}

/* ---- the link ---- */

static uint8_t *room(void *arg, uint32_t len)
{
    End *end = arg;

    return end->pi - end->ci < SLOTS && len <= SLOT ? end->slots[end->pi % SLOTS] : NULL;
}

static void out(void *arg, uint32_t len)
{
    End *end = arg;

    end->lens[end->pi++ % SLOTS] = len;
    svan_packets_ready(end->peer->fake->core);
}

static const SvanLentPacket *next(void *arg)
{
    End *end = arg, *peer = end->peer;
    uint32_t slot = peer->ci % SLOTS, head;

    if (peer->pi == peer->ci) {
        return NULL;
    }
    end->lent.data = peer->slots[slot];
    end->lent.len = peer->lens[slot];
    head = end->lent.len < SVAN_PACKET_HEAD ? end->lent.len : SVAN_PACKET_HEAD;
    memcpy(end->lent.head, end->lent.data, head);
    return &end->lent;
}

static void done(void *arg)
{
    End *end = arg;
    bool was_full = end->peer->pi - end->peer->ci == SLOTS;

    end->peer->ci++;
    if (was_full) {
        svan_tx_ready(end->peer->fake->core);
    }
}

static const FakePort port = { room, out, next, done };

/* ---- both ends ---- */

static void make(Bench *bench, uint32_t side)
{
    static const FakeHooks hooks = { .quiet = true, .port = &port };
    End *end = &bench->ends[side];
    HostQpAttr attr = { .log_sq = LOG_SQ };
    FakeSetup setup = {
        .config = fake_config, .bus = FAKE_RAM_BASE, .ram_size = FAKE_RAM_SIZE,
        .clock = &vm_clock, .hooks = &hooks, .hooks_arg = end,
    };

    setup.config.num_vfs = POLICED;
    setup.config.no_icrc = true;
    end->peer = &bench->ends[!side];
    end->fake = fake_create_as(&setup);
    end->pf = host_create(end->fake, 0, 10 + side);
    end->host = host_create(end->fake, POLICED, 20 + side);
    end->cq = host_cq(end->host, LOG_SQ + 1);
    end->qp = host_qp(end->host, &end->cq, &end->cq, &attr);
    end->memory = fake_alloc(end->fake, MAX_SIZE, 4096);
}

static void police(Bench *bench, bool on)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_ENFORCEMENT);
    struct svan_enforcement_attr attr;

    svan_enforcement_default(&attr);
    attr.flags = on ? SVAN_ENFORCE_EGRESS | SVAN_ENFORCE_NOTIFY : 0;
    cmd.set_enforcement.function = htole32(POLICED);
    cmd.set_enforcement.attr = attr;
    for (uint32_t side = 0; side < 2; side++) {
        host_must(bench->ends[side].pf, &cmd);
    }
}

static uint32_t reap(Bench *bench)
{
    struct svan_cqe cqe;
    uint32_t count = 0;

    while (host_cq_poll(&bench->ends[0].cq, &cqe)) {
        if (cqe.status != SVAN_CQE_SUCCESS) {
            fake_die("completion with status %u", cqe.status);
        }
        count += SIGNAL_EVERY;
    }
    return count;
}

static void run(Bench *bench)
{
    for (uint32_t i = 0; i < 16; i++) {
        svan_run(bench->ends[0].fake->core);
        svan_run(bench->ends[1].fake->core);
    }
}

/* Messages a second. */
static double write_for(Bench *bench, uint32_t size)
{
    HostQp *qp = &bench->ends[0].qp;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .addr = bench->ends[0].memory, .length = size,
        .remote = bench->ends[1].memory, .rkey = bench->ends[1].host->all_key,
    };
    uint32_t window = 1u << (LOG_SQ - 1);
    uint64_t posted = 0, completed = 0;
    double start = now(), took;

    do {
        for (; posted - completed < window; posted++) {
            send.flags = posted % SIGNAL_EVERY == SIGNAL_EVERY - 1 ? SVAN_WQE_SIGNALED : 0;
            host_send(qp, &send);
        }
        host_post(qp);
        run(bench);
        completed += reap(bench);
        took = now() - start;
    } while (took < bench->seconds);
    start = completed / took;
    while (completed < posted) {
        now();
        run(bench);
        completed += reap(bench);
    }
    return start;
}

/* ---- ratios ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void compare(Bench *bench, uint32_t size, uint32_t rounds)
{
    double off[MAX_ROUNDS], on[MAX_ROUNDS], ratio[MAX_ROUNDS];

    for (uint32_t i = 0; i < rounds; i++) {
        bool first = i & 1;             /* in turn, so that a drift harms neither */

        for (uint32_t j = 0; j < 2; j++) {
            bool policed = first ^ j;

            police(bench, policed);
            (policed ? on : off)[i] = write_for(bench, size);
        }
        ratio[i] = on[i] / off[i];
    }
    qsort(off, rounds, sizeof(off[0]), by_size);
    qsort(on, rounds, sizeof(on[0]), by_size);
    qsort(ratio, rounds, sizeof(ratio[0]), by_size);
    printf("write %8u  %9.0f ns  policed %9.0f ns  ratio %.3f  (%.3f to %.3f)\n", size,
           1e9 / off[rounds / 2], 1e9 / on[rounds / 2], ratio[rounds / 2],
           ratio[rounds / 4], ratio[rounds - 1 - rounds / 4]);
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = { 64, 4096, MAX_SIZE };
    uint32_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 21;
    Bench *bench = fake_must(calloc(1, sizeof(*bench)));

    bench->seconds = argc > 2 ? atof(argv[2]) : 0.05;
    rounds = rounds < 1 ? 1 : rounds > MAX_ROUNDS ? MAX_ROUNDS : rounds;
    now();
    make(bench, 0);
    make(bench, 1);
    host_connect(&bench->ends[0].qp, &bench->ends[1].qp);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        compare(bench, sizes[i], rounds);
    }
    for (uint32_t side = 0; side < 2; side++) {
        fake_destroy(bench->ends[side].fake);
        host_destroy(bench->ends[side].host);
        host_destroy(bench->ends[side].pf);
    }
    free(bench);
    return 0;
}
