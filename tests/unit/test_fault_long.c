/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that take long: the requester is told to come back, and what is kept of
 * its packets meanwhile.
 */
#include "fault_peer.h"

/* What a long fault leaves in the buffer. */
static bool keeps_one_packet(Od *od)
{
    return host_fn(od->rc->host)->paging->held_bytes == SVAN_HELD_OVERHEAD + MTU;
}

/* By the estimate: the requester waits, its packet does so here. */
static void a_long_wait_keeps_the_first_packet(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_FIRST, PSN_IN, pattern, MTU);
    Od *od = *state;

    fill_pattern();
    map_page(od, 4, true);
    pkt.va = PAGE(4) - MTU;
    pkt.rkey = od->key;
    pkt.dma_len = 2 * MTU;
    rc_inject_run(od->rc, &pkt);
    write_page(od, PSN_IN + 2, 4);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 30000000);
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_RNR);
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    assert_true(keeps_one_packet(od));
    pkt.opcode = SVAN_OP_WRITE_LAST;    /* it was on its way */
    pkt.psn = PSN_IN + 1;
    rc_inject_run(od->rc, &pkt);
    assert_true(keeps_one_packet(od));
    fake_advance(od->rc->fake, 25000000);       /* past the bound */
    assert_true(keeps_one_packet(od));
    resolve(od);
    /* nobody asked for it, but the requester waits for it */
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    RC_SENT_NOTHING(od->rc);
    assert_memory_equal(page_mem(od, 4) - MTU, pattern, MTU);
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    pkt.ack_req = true;
    rc_inject_run(od->rc, &pkt);
    RC_SENT_AETH(od->rc, PSN_IN + 1, ACKED);
}

/* The requester is back before the page is: its next packets are kept. */
static void a_long_wait_that_is_longer_than_estimated(void **state)
{
    Od *od = *state;

    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 9000000);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    assert_true(keeps_one_packet(od));
    fake_advance(od->rc->fake, 15000000);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 3);
    assert_false(keeps_one_packet(od));
    fake_advance(od->rc->fake, 15000000);       /* its timeout counts anew */
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN + 1, ACKED);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, rnr_nak_sent), 1);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 0);
}

/* Nobody asked for it, but the requester's patience is limited. */
static void progress_in_a_row_of_pages_is_acknowledged(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_FIRST, PSN_IN, pattern, MTU);
    Od *od = *state;

    fill_pattern();
    pkt.va = PAGE(4) - MTU;
    pkt.rkey = od->key;
    pkt.dma_len = 3 * MTU;
    rc_inject_run(od->rc, &pkt);
    pkt.opcode = SVAN_OP_WRITE_MIDDLE;
    pkt.psn = PSN_IN + 1;
    rc_inject_run(od->rc, &pkt);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
}

/* More of the buffer is taken than those who wait long may take. */
static void crowd(Od *od)
{
    SvanFn *fn = host_fn(od->rc->host);

    fn->paging->held_bytes = fn->core->config.fault_buffer / 2 + 1;
}

/* Half of the buffer is for those who wait briefly; the others take spare pages. */
static void long_waits_leave_room_to_short_ones(void **state)
{
    SvanFn *fn = host_fn(((Od *)*state)->rc->host);
    Od *od = *state;

    crowd(od);
    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 9000000);
    write_page(od, PSN_IN, 3);
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_RNR);
    assert_int_equal(OD_STAT(od, fault_held_bytes), 0);
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), MTU);
    assert_true(requested(od));
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_false(svan_spares_in_use(fn));
    unmap_page(od, 3, SVAN_FAULT_ZERO_FILL, 50000);
    write_page(od, PSN_IN + 1, 3);
    assert_int_equal(OD_STAT(od, fault_held_bytes), MTU);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN + 1, ACKED);
    fn->paging->held_bytes = 0;
}

/* It was held while nothing was known. */
static void a_long_wait_moves_to_a_spare_page(void **state)
{
    SvanFn *fn = host_fn(((Od *)*state)->rc->host);
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 3);
    assert_int_equal(OD_STAT(od, fault_held_bytes), 2 * MTU);
    assert_true(requested(od));
    fn->paging->held_bytes += fn->core->config.fault_buffer;
    answer(od, od->last.token, SVAN_PAGE_PENDING, 30000000);
    fn->paging->held_bytes -= fn->core->config.fault_buffer;
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    assert_int_equal(fn->paging->held_bytes, 0);
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), MTU);
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_false(svan_spares_in_use(fn));
    check_page(od, 3);
}

/* Nothing could be kept: the NAK ends the wait when the page is there. */
static void a_long_wait_without_room_is_called_back(void **state)
{
    struct svan_fault_policy policy;
    Od *od = *state;

    svan_policy_default(&policy);
    policy.divert_pages = 0;
    set_policy(od, &policy);
    crowd(od);
    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 9000000);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    RC_SENT_NOTHING(od->rc);
    host_fn(od->rc->host)->paging->held_bytes = 0;
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    check_page(od, 3);
}

/* ---- who has paid for an RNR NAK, and is back when the driver answers ---- */

/* Something meets an absent page and is told to wait by the NAK of `psn`; it is back. */
typedef struct Waiting {
    void (*meet)(Od *od);
    void (*back)(Od *od);
    uint32_t psn;
} Waiting;

static void send_write(Od *od)
{
    write_page(od, PSN_IN, 3);
}

static void begin_read(Od *od)
{
    map_page(od, 3, true);
    send_read(od, PSN_IN, PAGE(4) - MTU, 2 * MTU);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_FIRST, PSN_IN);
}

static void rest_of_read(Od *od)
{
    send_read(od, PSN_IN + 1, PAGE(4), MTU);
}

static const Waiting a_write = { send_write, send_write, PSN_IN };
static const Waiting a_read = { begin_read, rest_of_read, PSN_IN + 1 };

static void answer_when_back(Od *od, const Waiting *waiting, uint8_t sources,
                             uint64_t ns)
{
    struct svan_fault_policy policy;

    svan_policy_default(&policy);
    policy.mode = SVAN_FAULT_MODE_RNR;
    policy.sources = sources;
    policy.bound_us = 0;
    set_policy(od, &policy);
    waiting->meet(od);
    TOLD_TO_WAIT(od, waiting->psn);
    fake_advance(od->rc->fake, told_ns(od));
    waiting->back(od);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, ns);
}

/* A response that says nothing, or nothing that counts, or that the page is near. */
static void stays(Od *od, const Waiting *waiting, uint8_t sources, uint64_t ns)
{
    answer_when_back(od, waiting, sources, ns);
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    assert_true(rc_sent(od->rc));
    assert_false(IS_RNR_NAK(od->rc->pkt));
}

static void a_write_stays_when_the_driver_does_not_know(void **state)
{
    stays(*state, &a_write, SVAN_ESTIMATE_MASK, 0);
}

static void a_write_stays_when_the_page_is_near(void **state)
{
    stays(*state, &a_write, SVAN_ESTIMATE_MASK, 1000);
}

static void a_write_stays_when_answers_do_not_count(void **state)
{
    stays(*state, &a_write, 0, 600000000);
}

static void a_write_is_told_when_the_page_is_far(void **state)
{
    answer_when_back(*state, &a_write, SVAN_ESTIMATE_MASK, 600000000);
    TOLD_TO_WAIT((Od *)*state, PSN_IN);
}

static void a_read_stays_when_the_driver_does_not_know(void **state)
{
    stays(*state, &a_read, SVAN_ESTIMATE_MASK, 0);
}

static void a_read_stays_when_the_page_is_near(void **state)
{
    stays(*state, &a_read, SVAN_ESTIMATE_MASK, 1000);
}

static void a_read_stays_when_answers_do_not_count(void **state)
{
    stays(*state, &a_read, 0, 600000000);
}

static void a_read_is_told_when_the_page_is_far(void **state)
{
    answer_when_back(*state, &a_read, SVAN_ESTIMATE_MASK, 600000000);
    TOLD_TO_WAIT((Od *)*state, PSN_IN + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(a_long_wait_keeps_the_first_packet),
        OD_TEST(a_long_wait_that_is_longer_than_estimated),
        OD_TEST(progress_in_a_row_of_pages_is_acknowledged),
        OD_TEST(long_waits_leave_room_to_short_ones),
        OD_TEST(a_long_wait_moves_to_a_spare_page),
        OD_TEST(a_long_wait_without_room_is_called_back),
        OD_TEST(a_write_stays_when_the_driver_does_not_know),
        OD_TEST(a_write_stays_when_the_page_is_near),
        OD_TEST(a_write_stays_when_answers_do_not_count),
        OD_TEST(a_write_is_told_when_the_page_is_far),
        OD_TEST(a_read_stays_when_the_driver_does_not_know),
        OD_TEST(a_read_stays_when_the_page_is_near),
        OD_TEST(a_read_stays_when_answers_do_not_count),
        OD_TEST(a_read_is_told_when_the_page_is_far),
    };

    return cmocka_run_group_tests_name("fault_long", tests, NULL, NULL);
}
