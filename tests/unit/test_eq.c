/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/state.h"
#include "unit.h"

#define EQ_SIZE         (1u << HOST_EQ_LOG)
#define NUM_QPS         60u

/* Queue pairs, and what each of them can tell, in the order it is told in. */
static uint32_t qpns[NUM_QPS];
static HostCq cq;

static const uint8_t qp_types[] = {
    SVAN_EVENT_QP_COMM_EST, SVAN_EVENT_QP_SQ_DRAINED, SVAN_EVENT_QP_FATAL,
    SVAN_EVENT_QP_REQ_ERR, SVAN_EVENT_QP_ACCESS_ERR,
};

static void make_qps(Host *host, uint32_t count)
{
    cq = host_cq(host, 4);
    for (uint32_t i = 0; i < count; i++) {
        qpns[i] = host_qp(host, &cq, &cq, NULL).qpn;
    }
}

static void an_event_interrupts_once_armed(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    make_qps(host, 3);
    host_event(host, SVAN_EVENT_QP_FATAL, qpns[0], 7);
    fake_run(host->fake);
    assert_int_equal(host->fake->irqs[0][0], 0);
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_QP_FATAL);
    assert_int_equal(le32toh(eqe.qn), qpns[0]);
    assert_int_equal(le32toh(eqe.data), 7);
    host_eq_arm(host, 0);
    assert_int_equal(host->fake->irqs[0][0], 0);
    host_event(host, SVAN_EVENT_QP_FATAL, qpns[1], 0);
    fake_run(host->fake);
    host_event(host, SVAN_EVENT_QP_FATAL, qpns[2], 0);
    fake_run(host->fake);
    assert_int_equal(host->fake->irqs[0][0], 1);
}

static void arming_late_interrupts_at_once(void **state)
{
    Host *host = *state;

    host_event(host, SVAN_EVENT_PORT, 0, 7);
    fake_run(host->fake);
    host_eq_arm(host, 0);
    assert_int_equal(host->fake->irqs[0][0], 1);
    assert_false(host_fn(host)->queues->eqs[0]->armed);
}

static void every_event_in_its_order(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    make_qps(host, 7);
    for (uint32_t i = 0; i < 5 * EQ_SIZE; i++) {
        host_event(host, SVAN_EVENT_QP_FATAL, qpns[i % 7], i * 3);
        if (i % 7 == 6) {
            fake_run(host->fake);
            for (uint32_t k = i - 6; k <= i; k++) {
                assert_true(host_eq_poll(host, 0, &eqe));
                assert_int_equal(le32toh(eqe.qn), qpns[k % 7]);
                assert_int_equal(le32toh(eqe.data), k * 3);
            }
            assert_false(host_eq_poll(host, 0, &eqe));
            host_eq_arm(host, 0);
        }
    }
}

/* While an event waits another of its type and source says nothing new. */
static void the_same_event_merges(void **state)
{
    static const uint8_t types[] = {
        SVAN_EVENT_CMD, SVAN_EVENT_PORT, SVAN_EVENT_CMD, SVAN_EVENT_PORT,
    };
    Host *host = *state;
    struct svan_eqe eqe;

    for (uint32_t i = 0; i < SIZE(types); i++) {
        host_event(host, types[i], 0, i);
    }
    fake_run(host->fake);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(host_eq_poll(host, 0, &eqe));
        assert_int_equal(eqe.type, types[i]);
        assert_int_equal(le32toh(eqe.data), i * host_read(host, SVAN_REG_PORT));
    }
    assert_false(host_eq_poll(host, 0, &eqe));
    host_event(host, SVAN_EVENT_CMD, 0, 0);
    fake_run(host->fake);
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_CMD);
}

/* Every type of every queue pair, backwards. */
static void tell_all(Host *host)
{
    for (uint32_t i = 0; i < NUM_QPS; i++) {
        for (uint32_t k = SIZE(qp_types); k--;) {
            host_event(host, qp_types[k], qpns[i], i);
        }
    }
}

static void expect(Host *host, uint8_t type, uint32_t qn, uint32_t data)
{
    struct svan_eqe eqe;

    if (!host_eq_poll(host, 0, &eqe)) {
        host_write(host, SVAN_REG_EQ_DB(0), host->eqs[0].ci);
        assert_true(fake_run(host->fake) > 1);
        assert_true(host_eq_poll(host, 0, &eqe));
    }
    assert_int_equal(eqe.type, type);
    assert_int_equal(le32toh(eqe.qn), qn);
    assert_int_equal(le32toh(eqe.data), data);
}

static void expect_all(Host *host)
{
    for (uint32_t i = 0; i < NUM_QPS; i++) {
        for (uint32_t k = 0; k < SIZE(qp_types); k++) {
            expect(host, qp_types[k], qpns[i], k < 2 ? 0 : i);
        }
    }
}

/* A full ring holds the rest back; the consumer index lets it go on. */
static void a_full_ring_waits(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    make_qps(host, NUM_QPS);
    tell_all(host);
    fake_run(host->fake);
    assert_int_equal(host_fn(host)->queues->eqs[0]->pi, EQ_SIZE);
    expect_all(host);
    assert_false(host_eq_poll(host, 0, &eqe));
}

/* However many there were: what waits is bounded, and nothing is fatal. */
static void events_never_overrun(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    make_qps(host, NUM_QPS);
    for (uint32_t i = 0; i < EQ_SIZE; i++) {
        host_event(host, SVAN_EVENT_QP_FATAL, qpns[0], 0);
        fake_run(host->fake);
    }
    for (uint32_t n = 0; n < 20; n++) {
        tell_all(host);
        host_event(host, SVAN_EVENT_PORT, 0, n);
        host_event(host, SVAN_EVENT_CMD, 0, 0);
        host_event(host, SVAN_EVENT_CQ_ERROR, cq.cqn, n);
        fake_run(host->fake);
    }
    assert_int_equal(host_fn(host)->fatal, 0);
    for (uint32_t i = 0; i < EQ_SIZE; i++) {
        expect(host, SVAN_EVENT_QP_FATAL, qpns[0], 0);
    }
    expect_all(host);
    expect(host, SVAN_EVENT_CMD, 0, 0);
    expect(host, SVAN_EVENT_PORT, 0, host_read(host, SVAN_REG_PORT));
    expect(host, SVAN_EVENT_CQ_ERROR, cq.cqn, 19);
    assert_false(host_eq_poll(host, 0, &eqe));
}

/* Each time that the ring runs full, however much and however long it waits. */
static void stalls_are_counted(void **state)
{
    Host *host = *state;
    uint64_t *overruns = &host_fn(host)->stats->eq_overruns;
    struct svan_eqe eqe;

    make_qps(host, 4);
    for (uint32_t i = 0; i < EQ_SIZE; i++) {
        host_event(host, SVAN_EVENT_QP_FATAL, qpns[0], 0);
        fake_run(host->fake);
    }
    assert_int_equal(*overruns, 0);             /* full, and nothing waits */
    for (uint32_t i = 0; i < 4; i++) {
        host_event(host, SVAN_EVENT_QP_FATAL, qpns[i], 0);
        fake_run(host->fake);
        assert_int_equal(*overruns, 1);
    }
    assert_true(fake_restore(host->fake));
    overruns = &host_fn(host)->stats->eq_overruns;
    fake_run(host->fake);
    assert_int_equal(*overruns, 1);
    for (uint32_t i = 2; i < 5; i++) {          /* room for one: full again */
        assert_true(host_eq_poll(host, 0, &eqe));
        host_write(host, SVAN_REG_EQ_DB(0), host->eqs[0].ci);
        fake_run(host->fake);
        assert_int_equal(*overruns, i);
    }
    for (uint32_t i = 0; i < EQ_SIZE + 1; i++) {
        assert_true(host_eq_poll(host, 0, &eqe));
        host_write(host, SVAN_REG_EQ_DB(0), host->eqs[0].ci);
        fake_run(host->fake);
    }
    assert_int_equal(*overruns, 4);
    assert_false(host_eq_poll(host, 0, &eqe));
}

/* Of those that are gone, begin anew, or never were, nothing is told. */
static void events_go_with_their_queue(void **state)
{
    Host *host = *state;
    SvanFn *fn = host_fn(host);
    struct svan_eqe eqe;
    HostCq gone;

    make_qps(host, 4);
    gone = host_cq(host, 4);
    for (uint32_t i = 0; i < 4; i++) {
        host_event(host, SVAN_EVENT_QP_COMM_EST, qpns[i], 0);
        host_event(host, SVAN_EVENT_QP_FATAL, qpns[i], 1);
    }
    host_event(host, SVAN_EVENT_CQ_ERROR, gone.cqn, 1);
    host_event(host, SVAN_EVENT_QP_FATAL, qpns[0] ^ 1u << SVAN_QN_INDEX_SHIFT, 1);
    host_event(host, SVAN_EVENT_CQ_ERROR, 0, 1);
    host_event(host, 0, qpns[0], 1);
    host_event(host, 200, qpns[0], 1);
    svan_qp_destroy(svan_qp_get(fn, qpns[0]));
    svan_qp_set_state(svan_qp_get(fn, qpns[1]), SVAN_QPS_RESET, 0);
    svan_cq_destroy(svan_cq_get(fn, gone.cqn));
    fake_run(host->fake);
    for (uint32_t i = 2; i < 4; i++) {
        expect(host, SVAN_EVENT_QP_COMM_EST, qpns[i], 0);
        expect(host, SVAN_EVENT_QP_FATAL, qpns[i], 1);
    }
    assert_false(host_eq_poll(host, 0, &eqe));
}

static void events_go_with_eq_0(void **state)
{
    Host *host = *state;
    SvanFn *fn = host_fn(host);
    struct svan_eqe eqe;

    make_qps(host, 2);
    host_event(host, SVAN_EVENT_QP_FATAL, qpns[0], 1);
    host_event(host, SVAN_EVENT_CMD, 0, 0);
    svan_eq_destroy(fn->queues->eqs[0]);
    host_event(host, SVAN_EVENT_QP_FATAL, qpns[1], 1);
    assert_null(fn->queues->events.link.next);
    host_eq_create(host, 0, 0, HOST_EQ_LOG);
    fake_run(host->fake);
    assert_false(host_eq_poll(host, 0, &eqe));
    host_event(host, SVAN_EVENT_QP_FATAL, qpns[0], 2);
    fake_run(host->fake);
    expect(host, SVAN_EVENT_QP_FATAL, qpns[0], 2);
    host_event(host, SVAN_EVENT_QP_FATAL, qpns[0], 3);
    host_event(host, SVAN_EVENT_PORT, 0, 0);
    svan_reset(host->fake->core, 0);
    assert_null(fn->queues);
    fake_run(host->fake);
}

/* What waits is saved and goes on in its order. */
static void waiting_events_are_restored(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    make_qps(host, NUM_QPS);
    tell_all(host);
    host_event(host, SVAN_EVENT_CQ_ERROR, cq.cqn, 5);
    host_event(host, SVAN_EVENT_PORT, 0, 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(fake_restore(host->fake));
        svan_run(host->fake->core);
    }
    fake_run(host->fake);
    assert_true(fake_restore(host->fake));
    expect_all(host);
    expect(host, SVAN_EVENT_CQ_ERROR, cq.cqn, 5);
    expect(host, SVAN_EVENT_PORT, 0, host_read(host, SVAN_REG_PORT));
    assert_false(host_eq_poll(host, 0, &eqe));
}

static void events_that_are_not_restored(void **state)
{
    Host *host = *state;
    SvanFn *fn = host_fn(host);

    make_qps(host, 1);
    assert_false(svan_events_restore(fn, qpns[0], 0, 0));
    assert_false(svan_events_restore(fn, qpns[0], 1, 0));
    assert_false(svan_events_restore(fn, qpns[0], UINT64_MAX, 0));
    assert_false(svan_events_restore(fn, qpns[0], 1ull << SVAN_EVENT_QP_FATAL |
                                     1ull << SVAN_EVENT_CQ_ERROR, 0));
    assert_false(svan_events_restore(fn, 0, 1ull << SVAN_EVENT_QP_FATAL, 0));
    assert_false(svan_events_restore(fn, cq.cqn + 1,
                                     1ull << SVAN_EVENT_CQ_ERROR, 0));
    assert_true(svan_events_restore(fn, qpns[0], 1ull << SVAN_EVENT_QP_FATAL,
                                    0));
    assert_false(svan_events_restore(fn, qpns[0], 1ull << SVAN_EVENT_QP_FATAL,
                                     0));
    svan_eq_destroy(fn->queues->eqs[0]);
    assert_false(svan_events_restore(fn, qpns[0], 1ull << SVAN_EVENT_QP_FATAL,
                                     0));
}

static void an_unreachable_ring_is_fatal(void **state)
{
    Host *host = *state;

    host->fake->bad_page = host->eqs[0].ring;
    host_event(host, SVAN_EVENT_PORT, 0, 0);
    fake_run(host->fake);
    assert_int_equal(host_read(host, SVAN_REG_FATAL_CODE), SVAN_FATAL_EQ_DMA);
    assert_int_equal(host->fake->irqs[0][0], 1);
    host_write(host, SVAN_REG_EQ_DB(0), SVAN_EQ_DB_ARM);
    assert_int_equal(fake_run(host->fake), 1);
}

static void nonsense_doorbells(void **state)
{
    Host *host = *state;
    SvanEq *eq = host_fn(host)->queues->eqs[0];

    host_event(host, SVAN_EVENT_PORT, 0, 0);
    fake_run(host->fake);
    assert_int_equal(eq->pi, 1);
    host_write(host, SVAN_REG_EQ_DB(0), 2);
    assert_int_equal(eq->ci, 0);
    host_write(host, SVAN_REG_EQ_DB(0), 0x800000);
    assert_int_equal(eq->ci, 0);
    svan_reg_write(host->fake->core, 0, SVAN_REG_EQ_DB(0), 1, 8);
    assert_int_equal(eq->ci, 0);
    host_write(host, SVAN_REG_EQ_DB(0), 0x7f000001);
    assert_int_equal(eq->ci, 1);
}

/* Only 24 bits of the index are written; the rest follows. */
static void indices_run_past_24_bits(void **state)
{
    Host *host = *state;
    SvanEq *eq = host_fn(host)->queues->eqs[0];

    make_qps(host, 10);
    eq->pi = eq->ci = 0xffffffc0;
    for (uint32_t i = 0; i < 10; i++) {
        host_event(host, SVAN_EVENT_QP_FATAL, qpns[i], 0);
    }
    fake_run(host->fake);
    host_write(host, SVAN_REG_EQ_DB(0), 0xffffc9);
    assert_int_equal(eq->ci, 0xffffffc9);
    eq->pi = 0x01000005;
    eq->ci = 0x00fffffe;
    host_write(host, SVAN_REG_EQ_DB(0), 0x000003);
    assert_int_equal(eq->ci, 0x01000003);
}

static void without_eq_0_events_are_lost(void **state)
{
    Fake *fake = fake_create(NULL);
    Host *host = host_create_bare(fake, 0);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

    cmd.hdr.flags = htole16(SVAN_CMD_NOTIFY);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_OK);
    svan_set_link(fake->core, false);
    svan_fatal(host_fn(host), SVAN_FATAL_INTERNAL);
    fake_run(fake);
    assert_int_equal(host_read(host, SVAN_REG_FATAL_CODE),
                     SVAN_FATAL_INTERNAL);
    host_destroy(host);
    fake_destroy(fake);
}

static void link_changes_are_told(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    svan_set_link(host->fake->core, true);
    fake_run(host->fake);
    assert_false(host_eq_poll(host, 0, &eqe));
    svan_set_link(host->fake->core, false);
    fake_run(host->fake);
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_PORT);
    assert_int_equal(le32toh(eqe.data), host_read(host, SVAN_REG_PORT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(an_event_interrupts_once_armed),
        HOST_TEST(arming_late_interrupts_at_once),
        HOST_TEST(every_event_in_its_order),
        HOST_TEST(the_same_event_merges),
        HOST_TEST(a_full_ring_waits),
        HOST_TEST(events_never_overrun),
        HOST_TEST(stalls_are_counted),
        HOST_TEST(events_go_with_their_queue),
        HOST_TEST(events_go_with_eq_0),
        HOST_TEST(waiting_events_are_restored),
        HOST_TEST(events_that_are_not_restored),
        HOST_TEST(an_unreachable_ring_is_fatal),
        HOST_TEST(nonsense_doorbells),
        HOST_TEST(indices_run_past_24_bits),
        cmocka_unit_test(without_eq_0_events_are_lost),
        HOST_TEST(link_changes_are_told),
    };

    return cmocka_run_group_tests_name("eq", tests, NULL, NULL);
}
