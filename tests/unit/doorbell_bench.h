/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A queue pair that is rung, with a mock in place of its transport.
 */
#ifndef TESTS_DOORBELL_BENCH_H
#define TESTS_DOORBELL_BENCH_H

#include "mock.h"

typedef struct Bench {
    Host *host;
    Fake *fake;
    HostCq cq;
    HostQp qp;
    Mock *mock;
    SvanQp *core;
} Bench;

static inline int bench_setup(void **state)
{
    Bench *bench = calloc(1, sizeof(*bench));
    HostQpAttr attr = { .log_sq = 4, .log_rq = 3 };

    mock_reset();
    bench->fake = fake_create(NULL);
    bench->host = host_create(bench->fake, 0, 1);
    bench->cq = host_cq(bench->host, 4);
    bench->qp = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    bench->mock = mock_qp(&bench->qp);
    bench->core = bench->mock->qp;
    fake_run(bench->fake);
    *state = bench;
    return 0;
}

static inline int bench_teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->fake);
    host_destroy(bench->host);
    free(bench);
    return 0;
}

static inline void publish(Bench *bench, uint32_t sq_pi)
{
    host_dbr(&bench->qp)->sq_pi = htole32(sq_pi);
}

#endif /* TESTS_DOORBELL_BENCH_H */
