/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doorbells of the accelerator beside its running engine, in real time: rung from several
 * threads, while queues and contexts come and go, and while state is saved. Built as
 * test_threads.c is.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "accel.h"

#ifdef __SANITIZE_THREAD__
#define RINGS           4000u
#define LIVES           400u
#else
#define RINGS           40000u
#define LIVES           4000u
#endif
#define RINGERS         2u
#define LIMIT_NS        10000000000ull  /* of anything that must happen */

typedef struct Bench {
    AccelFake *fake;
    _Atomic uint32_t next;      /* the last index that somebody rings */
    _Atomic uint32_t head;      /* of the queue, told by the engine's thread */
    _Atomic bool stop;
} Bench;

static uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* Rings the next index as soon as the ring, which is all NOPs, has room for it. */
static void *rings_and_waits(void *arg)
{
    Bench *bench = arg;
    uint32_t i;

    while ((i = atomic_fetch_add(&bench->next, 1) + 1) <= RINGS) {
        while (atomic_load(&bench->head) + (1u << ACCEL_FAKE_LOG_RING) - RINGERS < i &&
               !atomic_load(&bench->stop)) {
            sched_yield();
        }
        accel_doorbell(bench->fake->accel, SVAN_ACCEL_DB(0), i, 8);
    }
    return NULL;
}

/* The engine sleeps until it is kicked: a kick that does not come loses a doorbell. */
static void no_ring_is_lost(void **state)
{
    Bench bench = { .fake = *state };
    AccelFake *fake = bench.fake;
    uint64_t end = clock_ns() + LIMIT_NS;
    pthread_t threads[RINGERS];

    for (uint32_t i = 0; i < RINGERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, rings_and_waits, &bench), 0);
    }
    while (bench.head != RINGS && clock_ns() < end) {
        uint32_t kicks = atomic_load(&fake->kicks);

        while (accel_run(fake->accel) == ACCEL_RUN_MORE) {
            atomic_store(&bench.head, accel_fake_head(fake, 0, 0));
        }
        atomic_store(&bench.head, accel_fake_head(fake, 0, 0));
        while (bench.head != RINGS && atomic_load(&fake->kicks) == kicks &&
               clock_ns() < end) {
            sched_yield();
        }
    }
    atomic_store(&bench.stop, true);
    for (uint32_t i = 0; i < RINGERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(bench.head, RINGS);
    assert_int_equal(accel_counted(fake).doorbells, RINGS);
}

/* Beside the ring: the sanitizer does not see copies of whole commands. */
static uint32_t stored[1u << ACCEL_FAKE_LOG_RING];
static _Atomic uint32_t wrong_tags;

/* Producer and consumer of the ring, with nothing but doorbell and HEAD between them. */
static void *fills(void *arg)
{
    Bench *bench = arg;

    for (uint32_t i = 1; i <= RINGS; i++) {
        struct svan_accel_cmd cmd = cmd_plain(SVAN_ACCEL_NOP);
        uint64_t at = accel_fake_slot(bench->fake, 0, 0, i - 1);

        while (atomic_load(&bench->head) + (1u << ACCEL_FAKE_LOG_RING) < i &&
               !atomic_load(&bench->stop)) {
            sched_yield();
        }
        cmd.tag = LE32(i);
        stored[(i - 1) % SIZE(stored)] = i;
        memcpy(accel_fake_at(bench->fake, at), &cmd, sizeof(cmd));
        accel_doorbell(bench->fake->accel, SVAN_ACCEL_DB(0), i, 8);
    }
    return NULL;
}


static void look_at_tag(AccelFake *fake, const AccelTrace *trace)
{
    if (trace->event == ACCEL_TRACE_COMMAND &&
        (trace->c != trace->a + 1 || stored[trace->a % SIZE(stored)] != trace->c)) {
        atomic_fetch_add(&wrong_tags, 1);
    }
}

static void what_was_stored_before_a_ring_is_there(void **state)
{
    Bench bench = { .fake = *state };
    uint64_t end = clock_ns() + LIMIT_NS;
    pthread_t thread;

    bench.fake->on_trace = look_at_tag;
    assert_int_equal(pthread_create(&thread, NULL, fills, &bench), 0);
    while (bench.head != RINGS && clock_ns() < end) {
        accel_run(bench.fake->accel);
        atomic_store(&bench.head, accel_fake_head(bench.fake, 0, 0));
    }
    atomic_store(&bench.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(bench.head, RINGS);
    assert_int_equal(wrong_tags, 0);
}

static void *careless_ringer(void *arg)
{
    Bench *bench = arg;

    for (uint32_t i = 0; !atomic_load(&bench->stop); i++) {
        accel_doorbell(bench->fake->accel,
                       (i % 3 << SVAN_ACCEL_DB_SHIFT) + SVAN_ACCEL_DB(i % 5), i % 100, 8);
    }
    return NULL;
}

/* Queues, contexts and the device come and go under the ringers' hands, and are saved. */
static void rung_while_they_die(void **state)
{
    Bench bench = { .fake = *state };
    AccelFake *fake = bench.fake;
    pthread_t threads[RINGERS];

    for (uint32_t i = 0; i < RINGERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, careless_ringer, &bench), 0);
    }
    for (uint32_t i = 0; i < LIVES; i++) {
        uint32_t ctx = i % 2;
        size_t len;
        void *stream;

        accel_fake_write(fake, SVAN_ACCEL_REG_CTX(ctx, SVAN_ACCEL_CTX_CONTROL), 0);
        accel_fake_context(fake, ctx);
        accel_fake_queue(fake, ctx, i % 4);
        for (uint32_t n = 0; n < 10; n++) {
            accel_run(fake->accel);
        }
        stream = accel_save(fake->accel, &len);
        assert_non_null(stream);
        assert_true(accel_load(fake->accel, stream, len));
        free(stream);
        if (i % 16 == 0) {
            accel_reset(fake->accel);
        }
    }
    atomic_store(&bench.stop, true);
    for (uint32_t i = 0; i < RINGERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(accel_counted(fake).doorbells && accel_counted(fake).doorbells_refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEL_TEST(no_ring_is_lost),
        ACCEL_TEST(what_was_stored_before_a_ring_is_there),
        ACCEL_TEST(rung_while_they_die),
    };

    return cmocka_run_group_tests_name("accel_threads", tests, NULL, NULL);
}
