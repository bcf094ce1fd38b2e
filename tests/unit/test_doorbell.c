/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doorbell_bench.h"

#define POLL_NS 2000u

static uint32_t flag(Bench *bench)
{
    return le32toh(host_dbr(&bench->qp)->device_flags);
}

static void accesses_that_are_none(void **state)
{
    Bench *bench = *state;
    SvanCore *core = bench->fake->core;
    uint64_t value = svan_db_value(bench->qp.qpn, 1);
    SvanFn *fn = host_fn(bench->host);
    uint32_t steps = bench->mock->steps;

    svan_doorbell(core, 0, SVAN_UAR_SQ_DB, value, 4);
    svan_doorbell(core, 0, SVAN_UAR_SQ_DB + 4, value, 8);
    svan_doorbell(core, 0, 0x18, value, 8);
    svan_doorbell(core, 0, SVAN_UAR_WQE, value, 8);
    svan_doorbell(core, 0, SVAN_PF_UAR_COUNT * SVAN_UAR_SIZE, value, 8);
    svan_doorbell(core, 0, UINT32_MAX & ~7u, value, 8);
    assert_int_equal(fn->doorbells_bad_access, 6);
    svan_doorbell(core, 7, 0, value, 8);
    fake_run(bench->fake);
    assert_int_equal(bench->mock->steps, steps);
    assert_int_equal(fn->doorbells + fn->doorbells_refused, 0);
}

static void queues_of_others(void **state)
{
    Bench *bench = *state;
    SvanCore *core = bench->fake->core;
    SvanFn *fn = host_fn(bench->host);
    uint32_t uar = host_uar(bench->host, 5);
    uint32_t kicks = bench->fake->kicks, steps = bench->mock->steps;
    uint64_t value = svan_db_value(bench->qp.qpn, 1);

    svan_doorbell(core, 0, uar << 12, value, 8);
    svan_doorbell(core, 0, 0, svan_db_value(bench->qp.qpn ^ 0x10000, 1), 8);
    svan_doorbell(core, 0, 0, svan_db_value(bench->qp.qpn + 1, 1), 8);
    svan_doorbell(core, 0, 0, svan_db_value(0, 1), 8);
    svan_doorbell(core, 0, 0, svan_db_value(0xffffff, 1), 8);
    svan_doorbell(core, 0, SVAN_UAR_CQ_DB, svan_db_value(bench->cq.cqn + 1, 1),
                  8);
    assert_int_equal(fn->doorbells_refused, 6);
    assert_int_equal(fn->doorbells, 0);
    assert_int_equal(bench->fake->kicks, kicks);
    fake_run(bench->fake);
    assert_int_equal(bench->mock->steps, steps);
    svan_doorbell(core, 0, 0, value, 8);
    assert_int_equal(fn->doorbells, 1);
    assert_int_equal(bench->fake->kicks, kicks + 1);
    fake_run(bench->fake);
    assert_true(bench->mock->steps > steps);
}

/* Rung many times before the engine looks: once on the list, the latest index. */
static void the_latest_index_counts(void **state)
{
    Bench *bench = *state;
    uint32_t kicks = bench->fake->kicks;

    for (uint32_t i = 1; i <= 10; i++) {
        host_ring(&bench->qp, SVAN_UAR_SQ_DB, i);
    }
    assert_int_equal(bench->fake->kicks, kicks + 1);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 10);
    assert_int_equal(bench->mock->ci, 10);
}

static void a_destroyed_queue_is_silent(void **state)
{
    Bench *bench = *state;
    HostQp qp = host_qp(bench->host, &bench->cq, &bench->cq, NULL);

    host_ring(&qp, SVAN_UAR_SQ_DB, 1);
    svan_qp_destroy(svan_qp_get(host_fn(bench->host), qp.qpn));
    fake_run(bench->fake);
    host_ring(&qp, SVAN_UAR_SQ_DB, 1);
    assert_int_equal(host_fn(bench->host)->doorbells_refused, 1);
}

/* Neither what comes in RESET counts, nor what has not been looked at by then. */
static void a_reset_queue_is_silent(void **state)
{
    Bench *bench = *state;
    uint32_t syndrome;

    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 5);
    host_ring(&bench->qp, SVAN_UAR_RQ_DB, 5);
    svan_qp_set_state(bench->core, SVAN_QPS_RESET, 0);
    fake_run(bench->fake);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 6);
    host_ring(&bench->qp, SVAN_UAR_RQ_DB, 6);
    svan_qp_set_state(bench->core, SVAN_QPS_INIT, 0);
    svan_qp_set_state(bench->core, SVAN_QPS_RTR, 0);
    svan_qp_set_state(bench->core, SVAN_QPS_RTS, 0);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 0);
    assert_int_equal(svan_rq_producer(&bench->core->rq, &syndrome),
                     SVAN_STEP_DONE);
    assert_int_equal(bench->core->rq.producer.pi, 0);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 2);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 2);
}

static void a_reset_function_is_silent(void **state)
{
    Bench *bench = *state;

    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 1);
    host_cq_arm(&bench->cq, false);
    svan_reset(bench->fake->core, 0);
    assert_int_equal(fake_run(bench->fake), 1);
    assert_true(svan_list_empty(&bench->fake->core->work[SVAN_TURN_EQ]));
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 1);
    assert_int_equal(host_fn(bench->host)->doorbells_refused, 1);
}

static void the_later_of_record_and_doorbell(void **state)
{
    Bench *bench = *state;

    publish(bench, 3);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 2);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 3);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 5);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 5);
    /* from the past */
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 4);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 5);
    assert_int_equal(bench->mock->producer, SVAN_STEP_DONE);
}

/* More than 2^32 blocks by doorbell alone, over a record that stays 0. */
static void a_peer_that_never_writes_the_record(void **state)
{
    Bench *bench = *state;

    for (uint64_t pi = 0; pi < 3ull << 32; pi += 1u << 28) {
        /* as if all before had been rung and done */
        bench->core->sq.producer.pi = bench->mock->ci = pi;
        host_ring(&bench->qp, SVAN_UAR_SQ_DB, pi + 16);
        fake_run(bench->fake);
        assert_int_equal(bench->core->sq.producer.pi, (uint32_t)(pi + 16));
        assert_int_equal(bench->mock->producer, SVAN_STEP_DONE);
    }
}

static void indices_beyond_the_ring(void **state)
{
    Bench *bench = *state;

    publish(bench, 17);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 16);
    fake_run(bench->fake);
    /* told once, and what was right is taken all the same */
    assert_int_equal(bench->mock->syndrome, SVAN_SYN_INDEX);
    assert_int_equal(bench->core->sq.producer.pi, 16);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 0x7fffffff);
    svan_db_collect(bench->fake->core);
    svan_run(bench->fake->core);
    assert_true(fake_run(bench->fake) < 10);
    assert_int_equal(bench->core->sq.producer.pi, 16);
}

/* Rung alone, over 16 blocks that are done: what is told of the index. */
static uint32_t syndrome_of(Bench *bench, uint32_t index)
{
    bench->mock->syndrome = 0;
    bench->core->sq.producer.pi = bench->mock->ci = 16;
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, index);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 16);
    return bench->mock->syndrome;
}

/* Half of all indices are "behind" modulo 2^32. Not all of them are late. */
static void indices_far_behind_are_bad(void **state)
{
    Bench *bench = *state;

    assert_int_equal(syndrome_of(bench, 16 - 1), 0);
    assert_int_equal(syndrome_of(bench, 16 - SVAN_DB_INDEX_OLD), 0);
    assert_int_equal(syndrome_of(bench, 16 - SVAN_DB_INDEX_OLD - 1), SVAN_SYN_INDEX);
    assert_int_equal(syndrome_of(bench, 16 + (1u << 31)), SVAN_SYN_INDEX);
    assert_int_equal(syndrome_of(bench, 16 + (1u << 31) + 1000), SVAN_SYN_INDEX);
    assert_int_equal(syndrome_of(bench, 16 + (1u << 31) - 1), SVAN_SYN_INDEX);
}

static void receive_indices(void **state)
{
    Bench *bench = *state;
    SvanRq *rq = &bench->core->rq;
    uint32_t syndrome;

    host_dbr(&bench->qp)->rq_pi = htole32(8);
    assert_int_equal(svan_rq_producer(rq, &syndrome), SVAN_STEP_DONE);
    assert_int_equal(rq->producer.pi, 8);
    host_dbr(&bench->qp)->rq_pi = htole32(12);
    rq->ci = 3;
    assert_int_equal(svan_rq_producer(rq, &syndrome), SVAN_STEP_ERROR);
    assert_int_equal(syndrome, SVAN_SYN_INDEX);
    host_ring(&bench->qp, SVAN_UAR_RQ_DB, 11);
    svan_db_collect(bench->fake->core);
    assert_int_equal(svan_rq_producer(rq, &syndrome), SVAN_STEP_DONE);
    assert_int_equal(rq->producer.pi, 11);
    /* a consumer that has overtaken the producer is not let loose */
    rq->ci = 12;
    assert_int_equal(svan_rq_producer(rq, &syndrome), SVAN_STEP_ERROR);
    bench->fake->bad_page = bench->qp.dbr;
    rq->ci = 3;
    assert_int_equal(svan_rq_producer(rq, &syndrome), SVAN_STEP_ERROR);
    assert_int_equal(syndrome, SVAN_SYN_RING);
    rq->log_stride = 0;
    assert_int_equal(svan_rq_producer(rq, &syndrome), SVAN_STEP_DONE);
    assert_int_equal(rq->producer.pi, 11);
}

static void indices_wrap(void **state)
{
    Bench *bench = *state;

    bench->core->sq.producer.pi = bench->core->sq.producer.seen = 0xfffffffa;
    bench->mock->ci = 0xfffffffa;
    publish(bench, 4);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 2);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 4);
}

/* Without a poll window the flag is up while there is work, and down at rest. */
static void polling_while_busy(void **state)
{
    Bench *bench = *state;

    assert_int_equal(flag(bench), 0);
    mock_post(&bench->qp, 1);
    for (uint32_t i = 0; !flag(bench); i++) {
        assert_true(i < 5);
        svan_run(bench->fake->core);
    }
    publish(bench, 2);                  /* and no doorbell */
    fake_run(bench->fake);
    assert_int_equal(bench->mock->ci, 2);
    assert_int_equal(flag(bench), 0);
    assert_null(bench->core->sq.poll_link.next);
}

static void polling_for_a_while(void **state)
{
    Bench *bench = *state;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
    assert_int_equal(svan_run(bench->fake->core), SVAN_RUN_POLL);
    fake_advance(bench->fake, POLL_NS - 1);
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
    publish(bench, 2);
    fake_run(bench->fake);
    assert_int_equal(bench->mock->ci, 2);
    fake_advance(bench->fake, POLL_NS - 1);     /* the window began anew */
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
    fake_advance(bench->fake, 1);
    assert_int_equal(flag(bench), 0);
    assert_int_equal(svan_run(bench->fake->core), SVAN_RUN_IDLE);
    publish(bench, 3);
    fake_advance(bench->fake, 1000000);
    assert_int_equal(bench->mock->ci, 2);       /* asleep: it must be rung */
}

/* The record of a queue that is rung by the doorbell alone is not polled. */
static void a_record_that_never_moves(void **state)
{
    Bench *bench = *state;

    svan_set_poll(bench->fake->core, POLL_NS);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 1);
    fake_run(bench->fake);
    assert_int_equal(bench->mock->ci, 1);
    assert_int_equal(flag(bench), 0);
    assert_int_equal(svan_run(bench->fake->core), SVAN_RUN_IDLE);
}

/* Nor is one that its host has used, once another peripheral rings. */
static void a_record_that_is_left_behind(void **state)
{
    Bench *bench = *state;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 2);
    fake_run(bench->fake);
    assert_int_equal(bench->mock->ci, 2);
    assert_int_equal(flag(bench), 0);
    assert_int_equal(svan_run(bench->fake->core), SVAN_RUN_IDLE);
    mock_post(&bench->qp, 3);
    fake_run(bench->fake);
    assert_int_equal(bench->mock->ci, 3);
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
}

static void polling_is_switched_off(void **state)
{
    Bench *bench = *state;
    uint32_t kicks;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    kicks = bench->fake->kicks;
    svan_set_poll(bench->fake->core, 0);
    assert_int_equal(bench->fake->kicks, kicks + 1);
    fake_run(bench->fake);
    assert_int_equal(flag(bench), 0);
}

/* The host publishes between the last look and the store of the flag. */
static SvanDma (*real_map)(void *, uint16_t, uint64_t, uint32_t, bool,
                           void **);
static Bench *racer;

static SvanDma racing_map(void *opaque, uint16_t fn, uint64_t addr,
                          uint32_t len, bool for_write, void **host)
{
    if (for_write && addr == racer->qp.dbr) {
        publish(racer, 2);
    }
    return real_map(opaque, fn, addr, len, for_write, host);
}

static void falling_asleep_and_posting(void **state)
{
    Bench *bench = *state;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    racer = bench;
    real_map = bench->fake->core->ops.map;
    bench->fake->core->ops.map = racing_map;
    fake_advance(bench->fake, POLL_NS);
    bench->fake->core->ops.map = real_map;
    assert_int_equal(bench->mock->ci, 2);
    fake_advance(bench->fake, POLL_NS);
    assert_int_equal(flag(bench), 0);
}

static void a_stale_flag_is_cleared(void **state)
{
    Bench *bench = *state;

    svan_qp_set_state(bench->core, SVAN_QPS_RESET, 0);
    host_dbr(&bench->qp)->device_flags = htole32(SVAN_QP_DBR_POLLING);
    host_dbr(&bench->qp)->sq_pi = 0;
    bench->mock->ci = 0;
    svan_qp_set_state(bench->core, SVAN_QPS_RTR, 0);
    svan_qp_set_state(bench->core, SVAN_QPS_RTS, 0);
    fake_run(bench->fake);
    assert_int_equal(flag(bench), 0);
}

/* Posted but not rung in the error state, since the flag said so. */
static void expect_flush(Bench *bench)
{
    uint32_t steps;

    fake_run(bench->fake);
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
    svan_qp_set_state(bench->core, SVAN_QPS_ERR, 0);
    steps = bench->mock->steps;
    host_dbr(&bench->qp)->rq_pi = htole32(5);
    assert_true(fake_run(bench->fake) < 10);
    assert_int_equal(flag(bench), 0);
    assert_true(bench->mock->steps > steps);
}

static void a_stale_flag_in_the_error_state(void **state)
{
    Bench *bench = *state;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    svan_qp_set_state(bench->core, SVAN_QPS_RESET, 0);
    host_dbr(&bench->qp)->sq_pi = 0;
    svan_qp_set_state(bench->core, SVAN_QPS_INIT, 0);
    expect_flush(bench);
}

static void the_flag_of_a_parked_queue(void **state)
{
    Bench *bench = *state;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    bench->mock->answer = SVAN_STEP_BLOCKED;
    bench->mock->answers = 1;
    publish(bench, 2);
    fake_run(bench->fake);
    assert_true(bench->core->sq.poll_parked);
    expect_flush(bench);
}

static void misses_on_the_record(void **state)
{
    Bench *bench = *state;

    svan_set_poll(bench->fake->core, POLL_NS);
    for (uint32_t i = 1; i < 40; i++) {
        bench->fake->miss_every = i % 3 + 2;
        publish(bench, i);
        if (!flag(bench)) {
            mock_post(&bench->qp, i);
        }
        fake_run(bench->fake);
        assert_int_equal(bench->mock->ci, i);
        fake_advance(bench->fake, POLL_NS * (i & 1));
    }
    fake_advance(bench->fake, POLL_NS);
    assert_int_equal(flag(bench), 0);
    assert_true(bench->fake->misses > 20);
}

static void an_unreachable_record(void **state)
{
    Bench *bench = *state;
    uint32_t steps;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    steps = bench->mock->steps;
    bench->fake->bad_page = bench->qp.dbr;
    assert_true(fake_run(bench->fake) < 10);
    assert_int_equal(bench->mock->steps, steps + 1);    /* it is told */
    assert_int_equal(bench->mock->syndrome, SVAN_SYN_RING);
    assert_null(bench->core->sq.poll_link.next);
}

/* The flag speaks of sends; in the error state receives are rung for too. */
static void the_error_state_is_not_polled(void **state)
{
    Bench *bench = *state;
    uint32_t steps;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
    svan_qp_error(bench->core, 0, 0);
    steps = bench->mock->steps;
    host_dbr(&bench->qp)->rq_pi = htole32(5);   /* which nobody looks at */
    assert_true(fake_run(bench->fake) < 10);
    assert_int_equal(flag(bench), 0);
    assert_true(bench->mock->steps > steps);
    mock_post(&bench->qp, 2);
    fake_run(bench->fake);
    assert_int_equal(flag(bench), 0);
}

/* It was polled before. */
static void wait_for_the_wire(Bench *bench)
{
    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    bench->mock->answer = SVAN_STEP_BLOCKED;
    bench->mock->answers = 1;
    svan_qp_schedule(bench->core);
    fake_run(bench->fake);
    assert_true(bench->core->sq.poll_parked);
}

/* Who waits for the wire waits no longer: what is left is to flush. */
static void an_error_while_blocked(void **state)
{
    Bench *bench = *state;

    wait_for_the_wire(bench);
    assert_non_null(bench->core->work.blocked.next);
    svan_qp_error(bench->core, 0, 0);
    assert_null(bench->core->work.blocked.next);
    publish(bench, 2);                  /* seen to be polled: not rung */
    fake_run(bench->fake);
    assert_int_equal(flag(bench), 0);
    assert_int_equal(bench->mock->ci, 2);
    svan_tx_ready(bench->fake->core);
    assert_null(bench->core->sq.poll_link.next);
}

/* Whoever has work reads the record by himself, and is polled when that is done. */
static void a_busy_queue_is_not_polled(void **state)
{
    Bench *bench = *state;
    SvanSq *sq = &bench->core->sq;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    fake_advance(bench->fake, POLL_NS);
    assert_int_equal(flag(bench), 0);
    bench->mock->answer = SVAN_STEP_AGAIN;
    bench->mock->answers = 20;
    svan_qp_schedule(bench->core);
    while (bench->mock->answers) {
        svan_run(bench->fake->core);
        assert_true(svan_list_empty(&bench->fake->core->work[SVAN_TURN_POLL]));
    }
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
    assert_true(svan_poll_is_armed(sq));
    fake_run(bench->fake);
    assert_non_null(sq->poll_link.next);
    assert_false(sq->poll_parked);
}

/* An ACK gives one that waits for the wire a step; the wire is full still. */
static void a_blocked_queue_is_not_polled(void **state)
{
    Bench *bench = *state;
    SvanSq *sq = &bench->core->sq;

    wait_for_the_wire(bench);
    bench->mock->answer = SVAN_STEP_IDLE;
    bench->mock->answers = 1;
    svan_qp_schedule(bench->core);
    fake_run(bench->fake);
    assert_null(sq->poll_link.next);
    publish(bench, 2);
    fake_run(bench->fake);
    assert_int_equal(bench->mock->ci, 1);
    svan_tx_ready(bench->fake->core);
    fake_run(bench->fake);
    assert_int_equal(bench->mock->ci, 2);
    assert_non_null(sq->poll_link.next);
}

/* What others have to do does not keep a flag up. */
static void a_queue_at_rest_beside_a_busy_one(void **state)
{
    Bench *bench = *state;
    HostQpAttr attr = { .log_sq = 4, .log_rq = 3 };
    HostQp other = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    Mock *busy = mock_qp(&other);

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
    busy->answer = SVAN_STEP_AGAIN;
    busy->answers = UINT32_MAX;
    svan_qp_schedule(busy->qp);
    for (uint32_t i = 0; i < 100; i++) {
        svan_run(bench->fake->core);
    }
    assert_int_equal(flag(bench), SVAN_QP_DBR_POLLING);
    bench->fake->now += POLL_NS;
    for (uint32_t i = 0; i < 100; i++) {
        svan_run(bench->fake->core);
    }
    assert_int_equal(flag(bench), 0);
}

/* A transport that does not look at the record is not called for ever. */
static void news_are_told_once(void **state)
{
    Bench *bench = *state;
    uint32_t steps;

    svan_set_poll(bench->fake->core, POLL_NS);
    mock_post(&bench->qp, 1);
    fake_run(bench->fake);
    bench->mock->answer = SVAN_STEP_IDLE;
    bench->mock->answers = 1000000;
    steps = bench->mock->steps;
    publish(bench, 2);
    assert_true(fake_run(bench->fake) < 10);
    assert_int_equal(bench->mock->steps, steps + 1);
}

/* Who is parked is ready, or waits for the wire. */
static void a_stream_with_a_queue_that_nobody_looks_at(void **state)
{
    Bench *bench = *state;
    HostQp rc = host_qp(bench->host, &bench->cq, &bench->cq, NULL);
    SvanQp *qp;

    svan_qp_destroy(bench->core);       /* a mock cannot be saved */
    host_connect(&rc, &rc);
    fake_run(bench->fake);
    qp = svan_qp_get(host_fn(bench->host), rc.qpn);
    qp->sq.poll_parked = true;
    svan_qp_schedule(qp);
    assert_true(fake_restore(bench->fake));
    qp = svan_qp_get(host_fn(bench->host), rc.qpn);
    svan_work_stop(&qp->work);
    assert_false(fake_restore(bench->fake));
}

/* However many there are, beside other work each has its look at the clock. */
static void seven_queues_at_rest_beside_a_busy_one(void **state)
{
    Bench *bench = *state;
    HostQpAttr attr = { .log_sq = 4, .log_rq = 3 };
    HostQp others[7];
    Mock *busy = NULL;
    uint32_t seen = 0;

    svan_set_poll(bench->fake->core, POLL_NS);
    for (uint32_t i = 0; i < SIZE(others); i++) {
        others[i] = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
        busy = mock_qp(&others[i]);
    }
    mock_post(&bench->qp, 1);
    for (uint32_t i = 0; i < 6; i++) {
        mock_post(&others[i], 1);
    }
    fake_run(bench->fake);
    svan_set_poll(bench->fake->core, 1000 * POLL_NS);
    for (uint32_t i = 0; i < 7; i++) {
        mocks[i].qp->sq.last_active = 0;
    }
    busy->answer = SVAN_STEP_AGAIN;
    busy->answers = UINT32_MAX;
    svan_qp_schedule(busy->qp);
    for (uint32_t i = 0; i < 10000; i++) {
        svan_run(bench->fake->core);
    }
    for (uint32_t i = 0; i < 7; i++) {
        seen += mocks[i].qp->sq.last_active != 0;
    }
    assert_int_equal(seen, 7);
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(accesses_that_are_none),
        TEST(queues_of_others),
        TEST(the_latest_index_counts),
        TEST(a_destroyed_queue_is_silent),
        TEST(a_reset_queue_is_silent),
        TEST(a_reset_function_is_silent),
        TEST(the_later_of_record_and_doorbell),
        TEST(a_peer_that_never_writes_the_record),
        TEST(indices_beyond_the_ring),
        TEST(indices_far_behind_are_bad),
        TEST(receive_indices),
        TEST(indices_wrap),
        TEST(polling_while_busy),
        TEST(polling_for_a_while),
        TEST(a_record_that_never_moves),
        TEST(a_record_that_is_left_behind),
        TEST(polling_is_switched_off),
        TEST(falling_asleep_and_posting),
        TEST(a_stale_flag_is_cleared),
        TEST(a_stale_flag_in_the_error_state),
        TEST(the_flag_of_a_parked_queue),
        TEST(misses_on_the_record),
        TEST(an_unreachable_record),
        TEST(the_error_state_is_not_polled),
        TEST(a_busy_queue_is_not_polled),
        TEST(a_blocked_queue_is_not_polled),
        TEST(a_queue_at_rest_beside_a_busy_one),
        TEST(an_error_while_blocked),
        TEST(news_are_told_once),
        TEST(a_stream_with_a_queue_that_nobody_looks_at),
        TEST(seven_queues_at_rest_beside_a_busy_one),
    };

    return cmocka_run_group_tests_name("doorbell", tests, NULL, NULL);
}
