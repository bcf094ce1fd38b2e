/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#define EQ_SIZE (1u << HOST_EQ_LOG)

static void an_event_interrupts_once_armed(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    svan_event(host_fn(host), SVAN_EVENT_QP_FATAL, 0x123456, 7);
    fake_run(host->fake);
    assert_int_equal(host->fake->irqs[0][0], 0);
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_QP_FATAL);
    assert_int_equal(le32toh(eqe.qn), 0x123456);
    assert_int_equal(le32toh(eqe.data), 7);
    host_eq_arm(host, 0);
    assert_int_equal(host->fake->irqs[0][0], 0);
    svan_event(host_fn(host), SVAN_EVENT_QP_FATAL, 2, 0);
    fake_run(host->fake);
    svan_event(host_fn(host), SVAN_EVENT_QP_FATAL, 3, 0);
    fake_run(host->fake);
    assert_int_equal(host->fake->irqs[0][0], 1);
}

static void arming_late_interrupts_at_once(void **state)
{
    Host *host = *state;

    svan_event(host_fn(host), SVAN_EVENT_PORT, 0, 7);
    fake_run(host->fake);
    host_eq_arm(host, 0);
    assert_int_equal(host->fake->irqs[0][0], 1);
    assert_false(host_fn(host)->eqs[0]->armed);
}

static void every_event_in_its_order(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    for (uint32_t i = 0; i < 5 * EQ_SIZE; i++) {
        svan_event(host_fn(host), SVAN_EVENT_QP_FATAL, i, i * 3);
        if (i % 7 == 6) {
            fake_run(host->fake);
            for (uint32_t k = i - 6; k <= i; k++) {
                assert_true(host_eq_poll(host, 0, &eqe));
                assert_int_equal(le32toh(eqe.qn), k);
                assert_int_equal(le32toh(eqe.data), k * 3);
            }
            assert_false(host_eq_poll(host, 0, &eqe));
            host_eq_arm(host, 0);
        }
    }
}

static void the_same_event_merges(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    svan_event(host_fn(host), SVAN_EVENT_CMD, 0, 0);
    svan_event(host_fn(host), SVAN_EVENT_CMD, 0, 0);
    svan_event(host_fn(host), SVAN_EVENT_PORT, 0, 0);
    svan_event(host_fn(host), SVAN_EVENT_CMD, 0, 0);
    fake_run(host->fake);
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_PORT);
    assert_true(host_eq_poll(host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_CMD);
    assert_false(host_eq_poll(host, 0, &eqe));
}

/* A full ring holds the rest back; the consumer index lets it go on. */
static void a_full_ring_waits(void **state)
{
    Host *host = *state;
    struct svan_eqe eqe;

    for (uint32_t i = 0; i < 3 * EQ_SIZE; i++) {
        svan_event(host_fn(host), SVAN_EVENT_QP_FATAL, i, 0);
    }
    fake_run(host->fake);
    assert_int_equal(host_fn(host)->eqs[0]->pi, EQ_SIZE);
    for (uint32_t i = 0; i < 3 * EQ_SIZE; i++) {
        if (!host_eq_poll(host, 0, &eqe)) {
            host_write(host, SVAN_REG_EQ_DB(0), host->eqs[0].ci);
            assert_true(fake_run(host->fake) > 1);
            assert_true(host_eq_poll(host, 0, &eqe));
        }
        assert_int_equal(le32toh(eqe.qn), i);
    }
    assert_int_equal(host_fn(host)->stats.eq_overruns, 0);
}

/* Everything fails at once, and the host looks at nothing meanwhile. */
static void every_object_has_room(void **state)
{
    SvanConfig config = {
        .mac = { 0x52, 0x54, 0, 0x77, 0, 1 }, .true_atomics = true,
        .max_qp = 8192, .max_cq = 4096, .max_key = 256,
    };
    Fake *fake = fake_create(&config);
    Host *host = host_create(fake, 0, 1);
    SvanFn *fn = host_fn(host);
    struct svan_eqe eqe;
    uint32_t seen = 0;

    for (uint32_t qpn = SVAN_FIRST_QP; qpn < config.max_qp; qpn++) {
        svan_event(fn, SVAN_EVENT_QP_COMM_EST, qpn, 0);
        svan_event(fn, SVAN_EVENT_QP_SQ_DRAINED, qpn, 0);
        svan_event(fn, SVAN_EVENT_QP_FATAL, qpn, 0);
    }
    for (uint32_t cqn = SVAN_FIRST_CQ; cqn < config.max_cq; cqn++) {
        svan_event(fn, SVAN_EVENT_CQ_ERROR, cqn, 0);
    }
    assert_int_equal(fn->fatal, 0);
    fake_run(fake);
    for (;;) {
        if (!host_eq_poll(host, 0, &eqe)) {
            host_write(host, SVAN_REG_EQ_DB(0), host->eqs[0].ci);
            fake_run(fake);
            if (!host_eq_poll(host, 0, &eqe)) {
                break;
            }
        }
        seen++;
    }
    assert_int_equal(seen, SVAN_EQ_QP_EVENTS * (config.max_qp - SVAN_FIRST_QP) +
                           SVAN_EQ_CQ_EVENTS * (config.max_cq - SVAN_FIRST_CQ));
    host_destroy(host);
    fake_destroy(fake);
}

static void too_many_events_are_fatal(void **state)
{
    Host *host = *state;
    SvanFn *fn = host_fn(host);
    uint32_t room = fn->eqs[0]->pending_size;

    for (uint32_t i = 0; i < room; i++) {
        svan_event(fn, SVAN_EVENT_QP_FATAL, i, 0);
    }
    assert_int_equal(fn->fatal, 0);
    svan_event(fn, SVAN_EVENT_QP_FATAL, room, 0);
    assert_int_equal(fn->fatal, SVAN_FATAL_EQ_OVERRUN);
    assert_int_equal(fn->stats.eq_overruns, 1);
    assert_int_equal(host->fake->irqs[0][0], 1);
    assert_int_equal(fake_run(host->fake), 1);
}

static void an_unreachable_ring_is_fatal(void **state)
{
    Host *host = *state;

    host->fake->bad_page = host->eqs[0].ring;
    svan_event(host_fn(host), SVAN_EVENT_QP_FATAL, 1, 0);
    fake_run(host->fake);
    assert_int_equal(host_read(host, SVAN_REG_FATAL_CODE), SVAN_FATAL_EQ_DMA);
    assert_int_equal(host->fake->irqs[0][0], 1);
    host_write(host, SVAN_REG_EQ_DB(0), SVAN_EQ_DB_ARM);
    assert_int_equal(fake_run(host->fake), 1);
}

static void nonsense_doorbells(void **state)
{
    Host *host = *state;
    SvanEq *eq = host_fn(host)->eqs[0];

    svan_event(host_fn(host), SVAN_EVENT_QP_FATAL, 1, 0);
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
    SvanEq *eq = host_fn(host)->eqs[0];

    eq->pi = eq->ci = 0xffffffc0;
    for (uint32_t i = 0; i < 10; i++) {
        svan_event(host_fn(host), SVAN_EVENT_QP_FATAL, i, 0);
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
        cmocka_unit_test(every_object_has_room),
        HOST_TEST(too_many_events_are_fatal),
        HOST_TEST(an_unreachable_ring_is_fatal),
        HOST_TEST(nonsense_doorbells),
        HOST_TEST(indices_run_past_24_bits),
        cmocka_unit_test(without_eq_0_events_are_lost),
        HOST_TEST(link_changes_are_told),
    };

    return cmocka_run_group_tests_name("eq", tests, NULL, NULL);
}
