/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doorbells and records beside a running engine, in real time. Built twice: with
 * the thread sanitizer, and optimised, where stores and loads do overtake.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "mock.h"

#ifdef __SANITIZE_THREAD__
#define RINGS           5000u
#define POSTS           5000u
#else
#define RINGS           20000u
#define POSTS           150000u
#endif
#define RINGERS         3
#define POLL_NS         300u
#define LIMIT_NS        10000000000ull  /* of anything that must happen */

typedef struct Bench {
    Host *host;
    Fake *fake;
    HostCq cq;
    HostQp qps[RINGERS];
    _Atomic uint32_t done[RINGERS];     /* what the engine has consumed */
    _Atomic bool stop, stuck;
} Bench;

static uint64_t clock_ns(void *opaque)
{
    struct timespec now;

    (void)opaque;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static int setup(void **state)
{
    Bench *bench = calloc(1, sizeof(*bench));

    mock_reset();
    bench->fake = fake_create(NULL);
    bench->host = host_create(bench->fake, 0, 1);
    bench->cq = host_cq(bench->host, 4);
    for (uint32_t i = 0; i < RINGERS; i++) {
        HostQpAttr attr = { .log_sq = 15 };

        bench->qps[i] = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
        mock_qp(&bench->qps[i]);
    }
    fake_run(bench->fake);
    bench->fake->core->ops.trace = NULL;        /* the Fake's is for one thread */
    bench->fake->core->ops.now = clock_ns;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->fake);
    host_destroy(bench->host);
    free(bench);
    return 0;
}

/* Runs while there is work, then sleeps until it is kicked. */
static void *engine(void *arg)
{
    Bench *bench = arg;

    while (!atomic_load(&bench->stop)) {
        uint32_t kicks = atomic_load(&bench->fake->kicks);
        SvanRun run;

        do {
            run = svan_run(bench->fake->core);
            for (uint32_t i = 0; i < RINGERS; i++) {
                atomic_store(&bench->done[i], mocks[i].ci);
            }
        } while (run != SVAN_RUN_IDLE && !atomic_load(&bench->stop));
        while (atomic_load(&bench->fake->kicks) == kicks &&
               !atomic_load(&bench->stop)) {
            sched_yield();
        }
    }
    return NULL;
}

/* Everybody rings a queue of its own, and all of them one that is not there. */
static void *ringer(void *arg)
{
    HostQp *qp = arg;
    SvanCore *core = qp->host->fake->core;

    for (uint32_t i = 1; i <= RINGS; i++) {
        host_ring(qp, SVAN_UAR_SQ_DB, i);
        host_cq_arm(qp->send_cq, i & 1);
        svan_doorbell(core, 0, 0, svan_db_value(0x777, i), 8);
    }
    return NULL;
}

static bool wait_for(Bench *bench, uint32_t qp, uint32_t pi)
{
    uint64_t limit = clock_ns(NULL) + LIMIT_NS;

    while (atomic_load(&bench->done[qp]) != pi) {
        if (clock_ns(NULL) > limit) {
            return false;
        }
        sched_yield();
    }
    return true;
}

static void no_ring_is_lost(void **state)
{
    Bench *bench = *state;
    SvanFn *fn = host_fn(bench->host);
    pthread_t threads[RINGERS], runner;
    bool good = true;

    assert_int_equal(pthread_create(&runner, NULL, engine, bench), 0);
    for (uint32_t i = 0; i < RINGERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ringer,
                                        &bench->qps[i]), 0);
    }
    for (uint32_t i = 0; i < RINGERS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (uint32_t i = 0; i < RINGERS; i++) {
        good &= wait_for(bench, i, RINGS);
    }
    atomic_store(&bench->stop, true);
    pthread_join(runner, NULL);
    assert_true(good);
    assert_int_equal(fn->doorbells, 2 * RINGERS * RINGS);
    assert_int_equal(fn->doorbells_refused, RINGERS * RINGS);
}

static void spin(uint64_t ns)
{
    uint64_t end = clock_ns(NULL) + ns;

    while (clock_ns(NULL) < end) {
        /* no system call: it would miss the moment */
    }
}

/* Posts one at a time, about when the engine stops polling. */
static void *poster(void *arg)
{
    Bench *bench = arg;
    HostQp *qp = &bench->qps[0];
    uint32_t seed = 1;

    for (uint32_t i = 1; i <= POSTS; i++) {
        seed = seed * 1664525 + 1013904223;
        spin(POLL_NS / 2 + (seed >> 8) % (2 * POLL_NS));
        qp->sq_pi = i;
        host_post(qp);
        if (!wait_for(bench, 0, i)) {
            atomic_store(&bench->stuck, true);
            break;
        }
    }
    return NULL;
}

static void nobody_sleeps_over_a_post(void **state)
{
    Bench *bench = *state;
    pthread_t runner, thread;

    svan_set_poll(bench->fake->core, POLL_NS);
    assert_int_equal(pthread_create(&runner, NULL, engine, bench), 0);
    assert_int_equal(pthread_create(&thread, NULL, poster, bench), 0);
    pthread_join(thread, NULL);
    atomic_store(&bench->stop, true);
    pthread_join(runner, NULL);
    assert_false(bench->stuck);
}

/* Queues come and go under the ringers' hands. */
static void *careless_ringer(void *arg)
{
    Bench *bench = arg;
    uint32_t i = 0;

    while (!atomic_load(&bench->stop)) {
        for (uint32_t index = 0; index < 64; index++) {
            svan_doorbell(bench->fake->core, 0, SVAN_UAR_SQ_DB,
                          svan_db_value(index | (i % 4) << 16, i), 8);
            svan_doorbell(bench->fake->core, 0, SVAN_UAR_CQ_DB,
                          svan_db_value(index | (i % 4) << 16, i), 8);
        }
        i++;
    }
    return NULL;
}

static void rung_while_they_die(void **state)
{
    Bench *bench = *state;
    pthread_t threads[2];

    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, careless_ringer,
                                        bench), 0);
    }
    for (uint32_t i = 0; i < 500; i++) {
        HostQp qp;
        HostCq cq;

        bench->fake->used = 7 << 20;
        cq = host_cq(bench->host, 2);
        qp = host_qp(bench->host, &cq, &cq, NULL);
        host_object(bench->host, SVAN_CMD_DESTROY_QP, qp.qpn);
        host_object(bench->host, SVAN_CMD_DESTROY_CQ, cq.cqn);
    }
    svan_reset(bench->fake->core, 0);
    atomic_store(&bench->stop, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    fake_run(bench->fake);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(no_ring_is_lost),
        TEST(nobody_sleeps_over_a_post),
        TEST(rung_while_they_die),
    };

    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
