/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Three functions for tests of turns: what they have, and what they do all the time.
 */
#ifndef TESTS_TURNS_BENCH_H
#define TESTS_TURNS_BENCH_H

#include "mock.h"

#define CROWD           1000u
#define RAM_SIZE        (32u << 20)
#define BUFFER          (4u << 20)

/* Three functions; the crowd is of the first VF, the single one of the second. */
typedef struct Bench {
    Fake *fake;
    SvanCore *core;
    Host *pf, *many, *one;
    HostCq cqs[3];
    HostQp crowd[CROWD], single;
    uint64_t from, to;
} Bench;

static inline int setup(void **state)
{
    Bench *bench = fake_must(calloc(1, sizeof(*bench)));
    FakeSetup setup = {
        .config = fake_config, .bus = FAKE_RAM_BASE, .ram_size = RAM_SIZE,
    };

    setup.config.num_vfs = 2;
    setup.config.max_qp = 2048;
    bench->fake = fake_create_as(&setup);
    bench->core = bench->fake->core;
    bench->pf = host_create(bench->fake, 0, 1);
    bench->many = host_create(bench->fake, 1, 2);
    bench->one = host_create(bench->fake, 2, 3);
    bench->cqs[0] = host_cq(bench->pf, 12);
    bench->cqs[1] = host_cq(bench->many, 12);
    bench->cqs[2] = host_cq(bench->one, 12);
    bench->from = fake_alloc(bench->fake, BUFFER, 4096);
    bench->to = fake_alloc(bench->fake, BUFFER, 4096);
    *state = bench;
    return 0;
}

static inline int teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->fake);
    host_destroy(bench->pf);
    host_destroy(bench->many);
    host_destroy(bench->one);
    free(bench);
    return 0;
}

static inline HostQp new_qp(Bench *bench, Host *host, uint8_t log_sq)
{
    HostQpAttr attr = { .log_sq = log_sq, .log_rq = 1 };
    HostCq *cq = &bench->cqs[host->fn];

    return host_qp(host, cq, cq, &attr);
}

static inline void post(Bench *bench, HostQp *qp, uint8_t opcode, uint32_t length,
                 Host *target)
{
    HostSend send = {
        .opcode = opcode, .addr = bench->from, .length = length,
        .remote = bench->to, .rkey = target->all_key,
    };

    host_send(qp, &send);
}

/* The first of the crowd, then the single one; none is run. */
static inline void ring_all(Bench *bench, uint32_t crowd)
{
    for (uint32_t i = 0; i < crowd; i++) {
        host_post(&bench->crowd[i]);
        svan_db_collect(bench->core);
    }
    host_post(&bench->single);
    svan_db_collect(bench->core);
}

static inline void run(Bench *bench, uint32_t runs)
{
    while (runs--) {
        svan_run(bench->core);
    }
}

static inline uint64_t sent(Host *host)
{
    return host_fn(host)->stats->roce_tx_bytes;
}

/* a and b, printed, differ by a tenth at most. */
static inline void assert_alike(const char *what, uint64_t a, uint64_t b)
{
    print_message("%s: %llu by the many, %llu by the one\n", what,
                  (unsigned long long)a, (unsigned long long)b);
    assert_true(a && b);
    assert_true(10 * a <= 11 * b && 10 * b <= 11 * a);
}

/* A queue pair that writes to itself, page after page. */
static inline HostQp writer(Bench *bench, Host *host, uint8_t log_sq)
{
    HostQp qp = new_qp(bench, host, log_sq);

    host_connect(&qp, &qp);
    for (uint32_t i = 0; i < 1u << log_sq; i++) {
        post(bench, &qp, SVAN_WQE_RDMA_WRITE, SVAN_PAGE_SIZE, host);
    }
    return qp;
}

#endif /* TESTS_TURNS_BENCH_H */
