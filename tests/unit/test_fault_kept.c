/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets that are kept while a page is awaited: what they take is bounded, and
 * nothing is lost when the memory for them cannot be reached at once.
 */
#include "fault_peer.h"

static SvanFn *fn_of(Od *od)
{
    return host_fn(od->rc->host);
}

static SvanSuspension *fault_of(Od *od)
{
    return &rc_priv(od->rc)->suspension;
}

static void set_room(Od *od, uint8_t mode, uint32_t hold_bytes,
                     uint32_t divert_pages)
{
    struct svan_fault_policy policy;

    svan_policy_default(&policy);
    policy.mode = mode;
    policy.hold_bytes = htole32(hold_bytes);
    policy.divert_pages = htole32(divert_pages);
    set_policy(od, &policy);
}

/* A request of any kind, with `payload` octets and an RETH that says `len`. */
static void send_request(Od *od, uint8_t opcode, uint32_t psn, uint32_t payload,
                         uint32_t len)
{
    SvanPkt pkt = rc_pkt(opcode, psn, pattern, payload);

    pkt.va = PAGE(4);
    pkt.rkey = od->key;
    pkt.dma_len = len;
    pkt.ack_req = true;
    rc_inject_run(od->rc, &pkt);
}

/* ---- bounds ---- */

static void packets_without_payload_are_bounded(void **state)
{
    Od *od = *state;

    set_room(od, SVAN_FAULT_MODE_HOLD, 1024, 0);
    write_page(od, PSN_IN, 3);
    for (uint32_t i = 1; i < 500; i++) {
        send_request(od, SVAN_OP_WRITE_ONLY, PSN_IN + i, 0, 0);
        assert_true(fn_of(od)->paging->held_bytes <= 1024);
    }
    assert_int_equal(fault_of(od)->kept.bytes, fn_of(od)->paging->held_bytes);
    assert_int_equal(fn_of(od)->paging->held_bytes, 1024);
    assert_true(requested(od));
    resolve(od);
    assert_int_equal(fn_of(od)->paging->held_bytes, 0);
    assert_int_equal(fault_of(od)->kept.bytes, 0);
}

/* Longer than any message, it would take no PSN and be kept again and again. */
static void a_huge_read_behind_a_held_packet_is_refused_in_its_turn(void **state)
{
    Od *od = *state;
    uint32_t before;

    write_page(od, PSN_IN, 3);
    before = fn_of(od)->paging->held_bytes;
    for (uint32_t i = 0; i < 10; i++) {
        send_request(od, SVAN_OP_READ_REQUEST, PSN_IN + 1, 0, UINT32_MAX);
    }
    send_request(od, SVAN_OP_WRITE_FIRST, PSN_IN + 1, MTU, UINT32_MAX);
    assert_int_equal(fn_of(od)->paging->held_bytes, before);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN + 1, NAK(PSN_SEQ));
    send_request(od, SVAN_OP_READ_REQUEST, PSN_IN + 1, 0, UINT32_MAX);
    RC_SENT_AETH(od->rc, PSN_IN + 1, NAK(INVALID_REQUEST));
}

/* Four may be outstanding. */
static void more_reads_than_allowed_are_not_kept(void **state)
{
    Od *od = *state;

    map_page(od, 4, true);
    write_page(od, PSN_IN, 3);
    for (uint32_t i = 1; i < 10; i++) {
        send_request(od, i % 2 ? SVAN_OP_READ_REQUEST : SVAN_OP_FETCH_ADD,
                     PSN_IN + i, 0, i % 2 ? 8 : 0);
    }
    assert_int_equal(fault_of(od)->kept_answers, 4);
    assert_true(requested(od));
    resolve(od);
    assert_int_equal(fault_of(od)->kept_answers, 0);
    assert_int_equal(host_state(&od->rc->qp), SVAN_QPS_RTS);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + 1);
    RC_SENT(od->rc, SVAN_OP_ATOMIC_ACK, PSN_IN + 2);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + 3);
    RC_SENT(od->rc, SVAN_OP_ATOMIC_ACK, PSN_IN + 4);
    RC_SENT_AETH(od->rc, PSN_IN + 5, NAK(PSN_SEQ));
}

/* What is kept is told from what is past: half of the PSNs are for either. */
static void kept_requests_leave_the_past_its_psns(void **state)
{
    const uint32_t psns = SVAN_MAX_MSG / MTU;
    Od *od = *state;

    assert_int_equal(psns, SVAN_RC_PSN_HALF);
    write_page(od, PSN_IN, 3);
    send_request(od, SVAN_OP_READ_REQUEST, PSN_IN + 1, 0, SVAN_MAX_MSG - MTU);
    assert_int_equal(fault_of(od)->kept_answers, 1);
    assert_int_equal(fault_of(od)->kept_end, (PSN_IN + psns) & SVAN_PSN_MASK);
    assert_int_equal(rc_priv(od->rc)->resp.epsn, PSN_IN);
    send_request(od, SVAN_OP_READ_REQUEST, PSN_IN + psns, 0, MTU);
    assert_int_equal(fault_of(od)->kept_answers, 1);
}

static void one_more_than_half_of_the_psns_is_not_kept(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    send_request(od, SVAN_OP_READ_REQUEST, PSN_IN + 1, 0, SVAN_MAX_MSG);
    assert_int_equal(fault_of(od)->kept_answers, 0);
}

/* ---- spare pages ---- */

static void one_spare_page_holds_many_packets(void **state)
{
    const uint32_t n = SVAN_PAGE_SIZE / MTU;
    Od *od = *state;

    set_room(od, SVAN_FAULT_MODE_DIVERT, 0, 1);
    for (uint32_t i = 0; i < n + 1; i++) {
        write_at(od, PSN_IN + i, PAGE(3) + i % n * MTU);
    }
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), n * MTU);
    assert_int_equal(fault_of(od)->kept.spares, 1);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN + n - 1, ACKED);
    RC_SENT_AETH(od->rc, PSN_IN + n, NAK(PSN_SEQ));
    for (uint32_t i = 0; i < n; i++) {
        assert_memory_equal(page_mem(od, 3) + i * MTU, pattern, MTU);
    }
}

/* A packet takes memory beside its payload, be that an octet. */
static void a_spare_page_holds_so_many_small_packets(void **state)
{
    const uint32_t n = SVAN_PAGE_SIZE / SVAN_HELD_OVERHEAD;
    uint32_t kept = 0;
    Od *od = *state;

    set_room(od, SVAN_FAULT_MODE_DIVERT, 0, 1);
    fill_pattern();
    for (uint32_t i = 0; i < 2 * n; i++) {
        send_request(od, SVAN_OP_WRITE_ONLY, PSN_IN + i, 1, 1);
    }
    for (SvanHeld *held = fault_of(od)->kept.first; held; held = held->next) {
        kept++;
    }
    assert_int_equal(kept, n);
}

/* There is none, and the buffer is for those who wait briefly: nothing is kept. */
static void a_long_wait_without_a_spare_page_lets_go(void **state)
{
    Od *od = *state;

    set_room(od, SVAN_FAULT_MODE_AUTO, 1024, 0);
    write_page(od, PSN_IN, 3);
    assert_non_null(fault_of(od)->kept.first);
    assert_true(requested(od));
    fn_of(od)->paging->held_bytes += fn_of(od)->core->config.fault_buffer;
    answer(od, od->last.token, SVAN_PAGE_PENDING, 30000000);
    fn_of(od)->paging->held_bytes -= fn_of(od)->core->config.fault_buffer;
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    assert_null(fault_of(od)->kept.first);
    assert_int_equal(fn_of(od)->paging->held_bytes, 0);
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/*
 * The RNR NAK waits behind the answer to a READ, and need not leave any more when
 * the page has come. So it does not bring back what was let go of meanwhile.
 */
static void what_was_let_go_behind_a_nak_that_never_left(void **state)
{
    Od *od = *state;
    uint32_t token;

    map_page(od, 4, true);
    send_read(od, PSN_IN, PAGE(5) - MTU, 2 * MTU);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_FIRST, PSN_IN);
    assert_true(requested(od));
    token = od->last.token;
    for (uint32_t i = 0; i < 3; i++) {
        write_page(od, PSN_IN + 2 + i, 3);
    }
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 30000000);
    assert_int_equal(fault_of(od)->mode, SVAN_FAULT_MODE_RNR);
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    assert_int_equal(fault_of(od)->state, SVAN_SUSPENSION_NONE);
    map_page(od, 5, true);
    answer(od, token, SVAN_PAGE_RESOLVED, 0);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 1);
    RC_SENT_AETH(od->rc, PSN_IN + 3, NAK(PSN_SEQ));
    write_page(od, PSN_IN + 3, 3);
    RC_SENT_AETH(od->rc, PSN_IN + 3, ACKED);
}

/* So many packets of the peer are kept. */
static void set_room_for(Od *od, uint8_t mode, uint32_t packets)
{
    set_room(od, mode, packets * (MTU + SVAN_HELD_OVERHEAD), 0);
}

static void write_range(Od *od, uint32_t first, uint32_t end, uint32_t page)
{
    for (uint32_t i = first; i < end; i++) {
        write_page(od, PSN_IN + i, page);
    }
}

/*
 * Each of three pages is met before the connection is free of waiting. What found
 * no room at the first page came again and was executed; what finds none at the
 * third is missing nevertheless.
 */
static void what_is_dropped_behind_what_was_dropped_before(void **state)
{
    Od *od = *state;

    set_room_for(od, SVAN_FAULT_MODE_HOLD, 6);
    write_range(od, 0, 4, 3);
    write_range(od, 4, 7, 4);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 1);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN + 3, ACKED);
    write_range(od, 6, 8, 4);
    write_range(od, 8, 9, 5);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN + 7, ACKED);
    write_range(od, 9, 15, 5);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 2);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN + 14, NAK(PSN_SEQ));
    write_range(od, 14, 15, 5);
    RC_SENT_AETH(od->rc, PSN_IN + 14, ACKED);
    RC_SENT_NOTHING(od->rc);
}

/*
 * The wire is busy at the bound. A late copy of the first packet, executed, makes
 * the RNR NAK needless, and what was let go of for it does not come by itself.
 */
static void what_a_mode_let_go_behind_a_nak_that_never_left(void **state)
{
    static const uint8_t modes[] = {
        SVAN_FAULT_MODE_HOLD, SVAN_FAULT_MODE_DIVERT, SVAN_FAULT_MODE_AUTO,
    };
    Od *od = *state;
    Fake *fake = od->rc->fake;

    for (uint32_t i = 0; i < sizeof(modes); i++) {
        uint32_t psn = 3 * i, page = 3 + i;

        set_room(od, modes[i], 4096, 8);
        write_range(od, psn, psn + 3, page);
        assert_true(requested(od));
        fake->out_full = true;
        fake_advance(fake, 21000000);
        write_range(od, psn, psn + 1, page);
        resolve(od);
        fake->out_full = false;
        svan_tx_ready(fake->core);
        fake_run(fake);
        RC_SENT_AETH(od->rc, PSN_IN + psn + 1, NAK(PSN_SEQ));
        write_range(od, psn + 1, psn + 3, page);
        RC_SENT_AETH(od->rc, PSN_IN + psn + 1, ACKED);
        RC_SENT_AETH(od->rc, PSN_IN + psn + 2, ACKED);
        RC_SENT_NOTHING(od->rc);
    }
}

/* ---- misses ---- */

/* The first touch of each page misses, then it is translated. */
static void missing_once(Od *od, void (*act)(Od *od))
{
    Fake *fake = od->rc->fake;

    fake->miss_every = 1;
    act(od);
    fake->miss_every = 0;
    fake_run(fake);
    assert_true(fake->misses > 0);
}

/* More than half of the buffer is taken by one packet. */
static void set_narrow_buffer(Od *od)
{
    fn_of(od)->core->config.fault_buffer = 2 * (MTU + SVAN_HELD_OVERHEAD) - 1;
}

static void reach_the_bound(Od *od)
{
    fake_advance(od->rc->fake, 21000000);
}

static void a_miss_at_the_bound(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    RC_SENT_NOTHING(od->rc);
    set_narrow_buffer(od);
    missing_once(od, reach_the_bound);
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    assert_int_equal(OD_STAT(od, fault_fallback), 1);
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), MTU);
    RC_SENT_NOTHING(od->rc);
}

static void meet_a_slow_page(Od *od)
{
    write_page(od, PSN_IN, 3);
}

static void a_miss_as_the_mode_is_entered(void **state)
{
    Od *od = *state;

    set_narrow_buffer(od);
    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 500000000);
    fake_run(od->rc->fake);
    missing_once(od, meet_a_slow_page);
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    assert_int_equal(OD_STAT(od, fault_rnr), 1);
    assert_int_equal(OD_STAT(od, page_faults), 1);
    assert_int_equal(OD_STAT(od, duplicate_request), 0);
    RC_SENT_NOTHING(od->rc);
}

static void come_back(Od *od)
{
    write_page(od, PSN_IN, 3);
}

/* The requester is back, and the memory for what it sends is not at hand. */
static void a_miss_as_the_requester_comes_back(void **state)
{
    Od *od = *state;

    fn_of(od)->paging->held_bytes = fn_of(od)->core->config.fault_buffer;
    set_room(od, SVAN_FAULT_MODE_AUTO, 1024, 0);
    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 30000000);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    assert_null(fault_of(od)->kept.first);
    set_room(od, SVAN_FAULT_MODE_AUTO, 1024, 1);
    fake_advance(od->rc->fake, 31000000);
    missing_once(od, come_back);
    RC_SENT_NOTHING(od->rc);
    assert_non_null(fault_of(od)->kept.first);
    fake_advance(od->rc->fake, 21000000);       /* its timeout counts anew */
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    fn_of(od)->paging->held_bytes = 0;
}

/* ---- what is told of it ---- */

static SvanStats stats_of(Od *od)
{
    SvanStats stats;

    svan_stats(od->rc->fake->core, 0, &stats);
    return stats;
}

static void statistics_tell_what_is_in_use(void **state)
{
    Od *od = *state;
    SvanStats none;

    set_mode(od, SVAN_FAULT_MODE_HOLD);
    write_page(od, PSN_IN, 3);
    assert_int_equal(stats_of(od).page_faults, 1);
    assert_int_equal(stats_of(od).held_bytes, fn_of(od)->paging->held_bytes);
    assert_int_not_equal(stats_of(od).held_bytes, 0);
    assert_int_equal(stats_of(od).open_requests, 1);
    assert_false(stats_of(od).spares_lent);
    assert_true(requested(od));
    resolve(od);
    assert_int_equal(stats_of(od).held_bytes, 0);
    assert_int_equal(stats_of(od).open_requests, 0);

    set_mode(od, SVAN_FAULT_MODE_DIVERT);
    write_page(od, PSN_IN + 1, 4);
    assert_true(stats_of(od).spares_lent);
    assert_true(requested(od));
    resolve(od);
    assert_false(stats_of(od).spares_lent);

    svan_doorbell(od->rc->fake->core, 0, 4, 0, 8);
    assert_int_equal(stats_of(od).doorbells_bad_access, 1);
    svan_stats(od->rc->fake->core, 1, &none);
    assert_int_equal(none.page_faults, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(packets_without_payload_are_bounded),
        OD_TEST(a_huge_read_behind_a_held_packet_is_refused_in_its_turn),
        OD_TEST(more_reads_than_allowed_are_not_kept),
        OD_TEST(kept_requests_leave_the_past_its_psns),
        OD_TEST(one_more_than_half_of_the_psns_is_not_kept),
        OD_TEST(one_spare_page_holds_many_packets),
        OD_TEST(a_spare_page_holds_so_many_small_packets),
        OD_TEST(a_long_wait_without_a_spare_page_lets_go),
        OD_TEST(what_was_let_go_behind_a_nak_that_never_left),
        OD_TEST(what_is_dropped_behind_what_was_dropped_before),
        OD_TEST(what_a_mode_let_go_behind_a_nak_that_never_left),
        OD_TEST(a_miss_at_the_bound),
        OD_TEST(a_miss_as_the_mode_is_entered),
        OD_TEST(a_miss_as_the_requester_comes_back),
        OD_TEST(statistics_tell_what_is_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
