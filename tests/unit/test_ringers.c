/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doorbells of one queue from several ringers, whose stores come in any order. Those in
 * real time are in test_threads.c.
 */
#include "doorbell_bench.h"

/* The CPU rings 5 and its store is late: a peer has rung 7 in the meantime. */
static void an_older_store_comes_last(void **state)
{
    Bench *bench = *state;
    uint32_t kicks = bench->fake->kicks, syndrome;

    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 7);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 5);
    host_ring(&bench->qp, SVAN_UAR_RQ_DB, 3);
    host_ring(&bench->qp, SVAN_UAR_RQ_DB, 2);
    assert_int_equal(bench->fake->kicks, kicks + 1);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 7);
    assert_int_equal(bench->mock->ci, 7);
    assert_int_equal(svan_rq_producer(&bench->core->rq, &syndrome),
                     SVAN_STEP_DONE);
    assert_int_equal(bench->core->rq.producer.pi, 3);
    assert_int_equal(host_fn(bench->host)->doorbells, 4);
}

/* The engine has taken the 7, but the queue has not looked at it. */
static void an_older_store_comes_last_between_two_looks(void **state)
{
    Bench *bench = *state;

    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 7);
    svan_db_collect(bench->fake->core);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 5);
    svan_db_collect(bench->fake->core);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 7);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 6);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 7);
    /* nor does a record that is behind lead back */
    publish(bench, 4);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 7);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 7);
    assert_int_equal(bench->mock->ci, 7);
    assert_int_equal(bench->mock->producer, SVAN_STEP_DONE);
}

/* What lies before the later index was consumed: no event comes for it. */
static void an_older_arm_comes_last(void **state)
{
    Bench *bench = *state;
    SvanCq *cq = svan_cq_get(host_fn(bench->host), bench->cq.cqn);
    uint64_t value = svan_db_value(bench->cq.cqn, 0);

    cq->pi = 7;
    svan_doorbell(bench->fake->core, 0, SVAN_UAR_CQ_DB, value | 7ull << 32, 8);
    svan_doorbell(bench->fake->core, 0, SVAN_UAR_CQ_DB, value | 5ull << 32, 8);
    fake_run(bench->fake);
    assert_true(cq->armed);
    assert_false(cq->event_pending);
}

static void each_kind_of_doorbell_has_its_own_index(void **state)
{
    Bench *bench = *state;
    uint32_t syndrome;

    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 9);
    host_ring(&bench->qp, SVAN_UAR_RQ_DB, 4);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 9);
    assert_int_equal(svan_rq_producer(&bench->core->rq, &syndrome),
                     SVAN_STEP_DONE);
    assert_int_equal(bench->core->rq.producer.pi, 4);
}

static void late_stores_around_the_end_of_the_indices(void **state)
{
    Bench *bench = *state;

    bench->core->sq.producer.pi = bench->core->sq.producer.seen = 0xfffffffa;
    bench->mock->ci = 0xfffffffa;
    publish(bench, 0xfffffffa);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 3);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 0xfffffffe);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 3);
    assert_int_equal(bench->mock->producer, SVAN_STEP_DONE);
}

static void renew(Bench *bench)
{
    svan_qp_set_state(bench->core, SVAN_QPS_RESET, 0);
    bench->mock->ci = 0;
    svan_qp_set_state(bench->core, SVAN_QPS_INIT, 0);
    svan_qp_set_state(bench->core, SVAN_QPS_RTR, 0);
    svan_qp_set_state(bench->core, SVAN_QPS_RTS, 0);
}

/* The engine looks at nothing between the first doorbell and the last. */
static void a_doorbell_from_before_the_reset_hides_none(void **state)
{
    Bench *bench = *state;

    for (uint32_t i = 0; i < 300; i++) {
        host_ring(&bench->qp, SVAN_UAR_SQ_DB, 12);
        renew(bench);
        host_ring(&bench->qp, SVAN_UAR_SQ_DB, 1 + i % 8);
        fake_run(bench->fake);
        assert_int_equal(bench->core->sq.producer.pi, 1 + i % 8);
        assert_int_equal(bench->mock->producer, SVAN_STEP_DONE);
    }
}

/*
 * A peer's store, begun before the reset, takes effect behind the first doorbell after
 * it. Only the word tells when it was begun.
 */
static void a_store_from_before_the_reset_is_late(void **state)
{
    Bench *bench = *state;
    SvanDbSlot *slot = bench->core->db.slot;
    uint64_t late;

    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 12);
    late = atomic_exchange(&slot->word[0], 0);
    renew(bench);
    atomic_store(&slot->word[0], late);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 1);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 1);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 2);
    atomic_store(&slot->word[0], late);
    fake_run(bench->fake);
    assert_int_equal(bench->core->sq.producer.pi, 1);   /* and not 12 */
}

/* The slot of a queue that is gone, with an index that nobody has taken. */
static uint64_t leave_an_index(Bench *bench, HostQp *next)
{
    HostQpAttr attr = { .log_sq = 4 };
    HostQp old = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    SvanQp *qp = svan_qp_get(host_fn(bench->host), old.qpn);
    SvanDbSlot *slot = qp->db.slot;
    uint64_t left;

    svan_qp_set_state(qp, SVAN_QPS_INIT, 0);
    host_ring(&old, SVAN_UAR_SQ_DB, 12);
    left = atomic_load(&slot->word[0]);
    svan_qp_destroy(qp);
    host_fn(bench->host)->qps->table.next = old.qpn & SVAN_QN_INDEX_MASK;
    *next = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    assert_ptr_equal(svan_qp_get(host_fn(bench->host), next->qpn)->db.slot,
                     slot);
    assert_int_not_equal(next->qpn, old.qpn);
    return left;
}

static void an_index_of_the_queue_before_hides_none(void **state)
{
    Bench *bench = *state;
    HostQp qp;
    uint64_t left = leave_an_index(bench, &qp);
    Mock *mock = mock_qp(&qp);

    atomic_store(&mock->qp->db.slot->word[0], left);
    host_ring(&qp, SVAN_UAR_SQ_DB, 1);
    fake_run(bench->fake);
    assert_int_equal(mock->qp->sq.producer.pi, 1);
}

static void a_late_store_of_the_queue_before(void **state)
{
    Bench *bench = *state;
    HostQp qp;
    uint64_t left = leave_an_index(bench, &qp);
    Mock *mock = mock_qp(&qp);

    fake_run(bench->fake);
    host_ring(&qp, SVAN_UAR_SQ_DB, 1);
    fake_run(bench->fake);
    host_ring(&qp, SVAN_UAR_SQ_DB, 2);
    atomic_store(&mock->qp->db.slot->word[0], left);
    fake_run(bench->fake);
    assert_int_equal(mock->qp->sq.producer.pi, 1);
    assert_int_equal(mock->producer, SVAN_STEP_DONE);
}

/* Whether its number comes back or not, what was rung for it does not reach the next. */
static void what_a_queue_leaves_goes_with_it(void **state)
{
    Bench *bench = *state;
    HostQp old = host_qp(bench->host, &bench->cq, &bench->cq, NULL);
    SvanQp *qp = svan_qp_get(host_fn(bench->host), old.qpn);
    SvanDbSlot *slot = qp->db.slot;

    svan_qp_set_state(qp, SVAN_QPS_INIT, 0);
    host_ring(&old, SVAN_UAR_SQ_DB, 12);
    host_ring(&old, SVAN_UAR_RQ_DB, 12);
    svan_qp_destroy(qp);
    assert_int_equal(atomic_load(&slot->word[0]), 0);
    assert_int_equal(atomic_load(&slot->word[1]), 0);
}

/* A number comes back after 256 queues; a ringer of the first one is late as much. */
static void a_late_store_meets_its_number_again(void **state)
{
    Bench *bench = *state;
    HostQpAttr attr = { .log_sq = 4 };
    HostQp first = host_qp(bench->host, &bench->cq, &bench->cq, &attr), qp = first;
    SvanQp *core = svan_qp_get(host_fn(bench->host), first.qpn);
    uint32_t lives = 0;
    uint64_t left;
    Mock *mock;

    svan_qp_set_state(core, SVAN_QPS_INIT, 0);
    host_ring(&first, SVAN_UAR_SQ_DB, 12);
    left = atomic_load(&core->db.slot->word[0]);
    do {
        assert_in_range(++lives, 1, 256);
        svan_qp_destroy(svan_qp_get(host_fn(bench->host), qp.qpn));
        host_fn(bench->host)->qps->table.next = first.qpn & SVAN_QN_INDEX_MASK;
        qp = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    } while (qp.qpn != first.qpn);
    mock = mock_qp(&qp);
    atomic_store(&mock->qp->db.slot->word[0], left);
    host_ring(&qp, SVAN_UAR_SQ_DB, 1);
    fake_run(bench->fake);
    assert_int_equal(mock->qp->sq.producer.pi, 1);
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_older_store_comes_last),
        TEST(an_older_store_comes_last_between_two_looks),
        TEST(an_older_arm_comes_last),
        TEST(each_kind_of_doorbell_has_its_own_index),
        TEST(late_stores_around_the_end_of_the_indices),
        TEST(a_doorbell_from_before_the_reset_hides_none),
        TEST(a_store_from_before_the_reset_is_late),
        TEST(a_late_store_of_the_queue_before),
        TEST(an_index_of_the_queue_before_hides_none),
        TEST(what_a_queue_leaves_goes_with_it),
        TEST(a_late_store_meets_its_number_again),
    };

    return cmocka_run_group_tests_name("ringers", tests, NULL, NULL);
}
