/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loopback between two RC queue pairs of one core: messages and bytes per
 * second of the engine alone, beside what memcpy() does with the same sizes.
 *
 * usage: core_bench [SECONDS]     of each line; 0.5 if not given
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inside.h"

#define LOG_SQ          8
#define MANY_QPS        4096u           /* in pairs, each of which sends */
#define LOG_MANY_SQ     4
#define MANY_BATCH      8u              /* of one queue pair, the last signaled */
#define SIGNAL_EVERY    16u
#define MAX_SIZE        (1u << 20)
#define RAM_SIZE        (32u << 20)

typedef struct Bench {
    Fake *fake;
    Host *host;
    HostCq scq, rcq;
    HostQp a, b;
    HostCq many_cq;
    HostQp *many;
    uint64_t from, to;
    double seconds;
} Bench;

typedef struct Case {
    const char *name;
    uint8_t opcode;
    uint32_t size;
} Case;

static const Case cases[] = {
    { "write", SVAN_WQE_RDMA_WRITE, 64 },
    { "write", SVAN_WQE_RDMA_WRITE, 4096 },
    { "write", SVAN_WQE_RDMA_WRITE, 65536 },
    { "write", SVAN_WQE_RDMA_WRITE, MAX_SIZE },
    { "read", SVAN_WQE_RDMA_READ, 64 },
    { "read", SVAN_WQE_RDMA_READ, 4096 },
    { "read", SVAN_WQE_RDMA_READ, MAX_SIZE },
    { "send", SVAN_WQE_SEND, 64 },
    { "send", SVAN_WQE_SEND, 4096 },
};

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void post(Bench *bench, const Case *c)
{
    HostSend send = {
        .opcode = c->opcode, .addr = bench->from, .length = c->size,
        .remote = bench->to, .rkey = bench->host->all_key,
        .flags = bench->a.sq_pi % SIGNAL_EVERY == SIGNAL_EVERY - 1 ?
                 SVAN_WQE_SIGNALED : 0,
    };

    if (c->opcode == SVAN_WQE_SEND) {
        host_recv(&bench->b, bench->to, c->size);
    }
    host_send(&bench->a, &send);
}

/* Completions of both sides; the blocks that they give back. */
static uint32_t reap(Bench *bench)
{
    struct svan_cqe cqe;
    uint32_t done = 0;

    while (host_cq_poll(&bench->scq, &cqe)) {
        if (cqe.status != SVAN_CQE_SUCCESS) {
            fake_die("completion with status %u", cqe.status);
        }
        done += SIGNAL_EVERY;
    }
    while (host_cq_poll(&bench->rcq, &cqe)) {
    }
    return done;
}

static void run_case(Bench *bench, const Case *c)
{
    uint32_t window = 1u << (LOG_SQ - 1);
    uint64_t posted = 0, done = 0, runs = 0;
    double start = now(), took;

    do {
        while (posted - done < window) {
            post(bench, c);
            posted++;
        }
        host_post(&bench->a);
        for (uint32_t i = 0; i < 64; i++) {
            runs++;
            if (svan_run(bench->fake->core) != SVAN_RUN_MORE) {
                break;
            }
        }
        done += reap(bench);
        took = now() - start;
    } while (took < bench->seconds);
    printf("%-8s %8u  %8.3f Mmsg/s  %7.3f GB/s  %9.0f ns  %7.2f runs\n",
           c->name, c->size, done / took / 1e6, done * c->size / took / 1e9,
           took / done * 1e9, (double)runs / done);
    while (done < posted) {
        svan_run(bench->fake->core);
        done += reap(bench);
    }
}

/* ---- as many queue pairs as fill no cache ---- */

static void many_post(Bench *bench, HostQp *qp)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .addr = bench->from, .length = 64,
        .remote = bench->to, .rkey = bench->host->all_key,
    };

    for (uint32_t i = 0; i < MANY_BATCH; i++) {
        send.flags = i == MANY_BATCH - 1 ? SVAN_WQE_SIGNALED : 0;
        host_send(qp, &send);
    }
    host_post(qp);
}

/* Those that have sent everything post again, unless it is over. */
static uint32_t many_reap(Bench *bench, bool again)
{
    uint32_t first = bench->many[0].qpn & SVAN_QN_INDEX_MASK;
    struct svan_cqe cqe;
    uint32_t done = 0;

    while (host_cq_poll(&bench->many_cq, &cqe)) {
        uint32_t index = le32toh(cqe.qpn) & SVAN_QN_INDEX_MASK;

        if (cqe.status != SVAN_CQE_SUCCESS) {
            fake_die("completion with status %u", cqe.status);
        }
        done += MANY_BATCH;
        if (again) {
            many_post(bench, &bench->many[index - first]);
        }
    }
    return done;
}

static void many_create(Bench *bench)
{
    HostQpAttr attr = { .log_sq = LOG_MANY_SQ, .log_rq = 1 };

    bench->many_cq = host_cq(bench->host, 13);
    bench->many = fake_must(calloc(MANY_QPS, sizeof(bench->many[0])));
    for (uint32_t i = 0; i < MANY_QPS; i++) {
        bench->many[i] = host_qp(bench->host, &bench->many_cq, &bench->many_cq,
                                 &attr);
    }
    for (uint32_t i = 0; i < MANY_QPS; i += 2) {
        host_connect(&bench->many[i], &bench->many[i + 1]);
    }
}

/*
 * The first of them are busy all the time. What counts is the engine's time alone:
 * the host's part of it is another processor's. Messages per second.
 */
static double run_many(Bench *bench, uint32_t count)
{
    double start = now(), end = start, took = 0;
    uint64_t done = 0, runs = 0, left;

    for (uint32_t i = 0; i < 2 * count; i++) {
        many_post(bench, &bench->many[i / 2]);
    }
    for (; end - start < bench->seconds; end = now()) {
        double before = now();

        for (uint32_t i = 0; i < 64; i++) {
            runs++;
            if (svan_run(bench->fake->core) != SVAN_RUN_MORE) {
                break;
            }
        }
        took += now() - before;
        done += many_reap(bench, true);
    }
    printf("%-8s %8u  %8.3f Mmsg/s  %7.3f GB/s  %9.0f ns  %7.2f runs  "
           "%u queue pairs\n", "write", 64, done / took / 1e6,
           done * 64 / took / 1e9, took / done * 1e9, (double)runs / done,
           count);
    for (left = 2ull * count * MANY_BATCH; left; ) {
        svan_run(bench->fake->core);
        left -= many_reap(bench, false);
    }
    return done / took;
}

static void run_memcpy(Bench *bench, uint32_t size)
{
    void *from = fake_ram(bench->fake, bench->from);
    void *to = fake_ram(bench->fake, bench->to);
    double start = now(), took;
    uint64_t done = 0;

    do {
        for (uint32_t i = 0; i < 16; i++) {
            memcpy(to, from, size);
            __asm__ volatile("" : : "r"(to) : "memory");
        }
        done += 16;
        took = now() - start;
    } while (took < bench->seconds);
    printf("%-8s %8u  %8.3f Mmsg/s  %7.3f GB/s  %9.0f ns\n", "memcpy", size,
           done / took / 1e6, done * size / took / 1e9, took / done * 1e9);
}

int main(int argc, char **argv)
{
    HostQpAttr attr = { .log_sq = LOG_SQ, .log_rq = LOG_SQ };
    Bench bench = { .seconds = argc > 1 ? atof(argv[1]) : 0.5 };
    FakeSetup setup = {
        .config = fake_config, .bus = FAKE_RAM_BASE, .ram_size = RAM_SIZE,
    };
    double one, many;

    setup.config.max_qp = 2 * MANY_QPS;
    bench.fake = fake_create_as(&setup);
    bench.fake->core->ops.trace = NULL;
    bench.host = host_create(bench.fake, 0, 1);
    bench.scq = host_cq(bench.host, LOG_SQ + 1);
    bench.rcq = host_cq(bench.host, LOG_SQ + 1);
    bench.a = host_qp(bench.host, &bench.scq, &bench.rcq, &attr);
    bench.b = host_qp(bench.host, &bench.scq, &bench.rcq, &attr);
    bench.from = fake_alloc(bench.fake, MAX_SIZE, 4096);
    bench.to = fake_alloc(bench.fake, MAX_SIZE, 4096);
    host_connect(&bench.a, &bench.b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_case(&bench, &cases[i]);
    }
    many_create(&bench);
    one = run_many(&bench, 1);
    many = run_many(&bench, MANY_QPS);
    printf("%u queue pairs: %.2f of the rate of one\n", MANY_QPS, many / one);
    run_memcpy(&bench, 4096);
    run_memcpy(&bench, MAX_SIZE);
    fake_destroy(bench.fake);
    free(bench.many);
    host_destroy(bench.host);
    return 0;
}
