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
#define SIGNAL_EVERY    16u
#define MAX_SIZE        (1u << 20)

typedef struct Bench {
    Fake *fake;
    Host *host;
    HostCq scq, rcq;
    HostQp a, b;
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

    bench.fake = fake_create(NULL);
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
    run_memcpy(&bench, 4096);
    run_memcpy(&bench, MAX_SIZE);
    fake_destroy(bench.fake);
    host_destroy(bench.host);
    return 0;
}
