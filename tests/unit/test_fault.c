/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways in which RC's responder handles an absent page.
 */
#include "fault_peer.h"

static void a_held_write_is_done_when_its_page_comes(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), PAGE(3));
    assert_int_equal(le32toh(od->last.key), od->key);
    assert_int_equal(od->last.flags,
                     SVAN_PAGE_REQ_WRITE | SVAN_PAGE_REQ_REMOTE);
    assert_int_equal(od->last.attempt, 0);
    answer(od, od->last.token, SVAN_PAGE_PENDING, 100000);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, fault_hold), 1);
    assert_int_equal(OD_STAT(od, fault_held_bytes), MTU);
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    assert_false(requested(od));
}

static void what_follows_a_held_packet_waits_in_order(void **state)
{
    Od *od = *state;

    map_page(od, 4, true);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 4);
    write_page(od, PSN_IN + 2, 4);
    write_page(od, PSN_IN + 1, 4);      /* a duplicate of what is kept */
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(page_mem(od, 4)[1], 0);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    check_page(od, 4);
    RC_SENT_AETH(od->rc, PSN_IN + 2, ACKED);
    assert_int_equal(OD_STAT(od, duplicate_request), 1);
    assert_int_equal(rc_priv(od->rc)->resp.msn, 3);
}

static void a_gap_behind_a_held_packet_is_called_back(void **state)
{
    Od *od = *state;

    map_page(od, 4, true);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 2, 4);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN + 1, NAK(PSN_SEQ));
}

static void a_kept_packet_may_meet_the_next_page(void **state)
{
    Od *od = *state;
    uint32_t first;

    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 5);
    assert_true(requested(od));
    first = od->last.token;
    resolve(od);
    check_page(od, 3);
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), PAGE(5));
    assert_int_not_equal(od->last.token, first);
    resolve(od);
    check_page(od, 5);
    rc_skip_sent(od->rc);
    assert_int_equal(od->rc->core->state, SVAN_QPS_RTS);
    assert_int_equal(rc_priv(od->rc)->resp.msn, 2);
}

static void rnr_covers_the_estimate(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 3000000);
    write_page(od, PSN_IN, 3);
    /* 3.84 ms is the first that covers 3 ms */
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 17);
    assert_int_equal(OD_STAT(od, fault_rnr), 1);
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_NOTHING(od->rc);            /* it comes back by itself */
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

static void what_is_back_too_early_is_held(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 12);
    assert_true(requested(od));
    write_page(od, PSN_IN, 3);          /* it is back too early: kept */
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_int_equal(OD_STAT(od, rnr_nak_sent), 1);
}

static void set_room(Od *od, uint8_t mode, uint32_t hold_bytes)
{
    struct svan_fault_policy policy;

    svan_policy_default(&policy);
    policy.mode = mode;
    policy.hold_bytes = htole32(hold_bytes);
    policy.divert_pages = 0;
    set_policy(od, &policy);
}

/* A requester without a timeout depends on it. */
static void a_retry_that_finds_no_room_is_called_back(void **state)
{
    Od *od = *state;

    set_room(od, SVAN_FAULT_MODE_RNR, 0);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 12);
    write_page(od, PSN_IN, 3);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    /* once more: the next time it is no sequence NAK, and no long wait */
    unmap_page(od, 3, 0, 0);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 12);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 9);
    assert_int_equal(OD_STAT(od, rnr_nak_sent), 3);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

static void what_trails_behind_an_rnr_nak_is_not_called_back(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    write_page(od, PSN_IN + 1, 3);      /* it was on its way */
    assert_true(requested(od));
    resolve(od);
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

static void what_follows_a_retry_without_room_is_called_back(void **state)
{
    Od *od = *state;

    set_room(od, SVAN_FAULT_MODE_RNR, MTU + SVAN_HELD_OVERHEAD);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    write_page(od, PSN_IN, 3);          /* kept */
    write_page(od, PSN_IN + 1, 3);      /* dropped */
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN + 1, NAK(PSN_SEQ));
}

static void past_the_bound_a_kept_retry_is_told_again(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    write_page(od, PSN_IN, 3);
    assert_int_not_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    fake_advance(od->rc->fake, 21000000);
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    /* as long again as it has taken: 30.72 ms */
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 23);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_NOTHING(od->rc);            /* it comes back by itself */
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    check_page(od, 3);
}

/* The page came while the requester was away, and went again. */
static void what_is_back_for_a_page_that_is_gone_again_is_held(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 12);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    RC_SENT_NOTHING(od->rc);
    for (uint32_t i = 1; i < 3; i++) {
        write_page(od, PSN_IN, 3);      /* then a duplicate of what is held */
        assert_true(requested(od));
        assert_int_equal(od->last.attempt, i);
        answer(od, od->last.token, SVAN_PAGE_PENDING, 3000000);
        answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
        RC_SENT_NOTHING(od->rc);
    }
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_int_equal(OD_STAT(od, rnr_nak_sent), 1);
    assert_int_equal(OD_STAT(od, page_faults_again), 3);
    assert_int_equal(OD_STAT(od, fault_rnr), 1);
    assert_int_equal(OD_STAT(od, fault_hold), 1);
    /* that was it: the next page gets a NAK of its own */
    write_page(od, PSN_IN + 1, 4);
    RC_SENT_AETH(od->rc, PSN_IN + 1, SVAN_AETH_RNR_NAK | 12);
}

static void who_was_called_back_in_vain_is_held(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_DROP);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    assert_int_equal(od->last.attempt, 1);
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_int_equal(OD_STAT(od, fault_drop), 1);
}

static void diverted_data_takes_spare_pages_alone(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_DIVERT);
    map_page(od, 4, true);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 4);
    assert_int_equal(OD_STAT(od, fault_divert), 1);
    assert_int_equal(OD_STAT(od, fault_held_bytes), 0);
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), 2 * MTU);
    assert_true(svan_spares_in_use(host_fn(od->rc->host)));
    assert_true(requested(od));
    memset(page_mem(od, 3), 0xee, SVAN_PAGE_SIZE);
    resolve(od);
    check_page(od, 3);
    check_page(od, 4);
    for (uint32_t i = MTU; i < SVAN_PAGE_SIZE; i++) {
        assert_int_equal(page_mem(od, 3)[i], 0xee);
    }
    RC_SENT_AETH(od->rc, PSN_IN + 1, ACKED);
    assert_false(svan_spares_in_use(host_fn(od->rc->host)));
}

static void an_estimate_moves_what_is_held_to_spare_pages(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_int_equal(OD_STAT(od, fault_held_bytes), MTU);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 3000000);
    assert_int_equal(OD_STAT(od, fault_divert), 1);
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), MTU);
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

static void dropped_data_is_called_back_once(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_DROP);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 3);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, fault_drop), 1);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 2);
    assert_int_equal(OD_STAT(od, fault_held_bytes), 0);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN + 1, 3);      /* it was on its way */
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/* Then nothing is missing, and it is acknowledged. */
static void what_was_dropped_and_came_again_is_not_called_back(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_DROP);
    write_page(od, PSN_IN, 3);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 1);
    write_page(od, PSN_IN, 3);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 1);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    RC_SENT_NOTHING(od->rc);
}

static void a_page_that_never_comes_is_refused(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_ACCESS));
    assert_int_equal(od->rc->core->state, SVAN_QPS_ERR);
    assert_int_equal(rc_event(od->rc), SVAN_EVENT_QP_ACCESS_ERR);
    assert_int_equal(OD_STAT(od, fault_fail), 1);
}

static void past_the_bound_an_rnr_nak_follows(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_HOLD);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    fake_advance(od->rc->fake, 19000000);
    RC_SENT_NOTHING(od->rc);
    fake_advance(od->rc->fake, 2000000);
    assert_true(rc_sent(od->rc));
    assert_int_equal(od->rc->pkt.syndrome & SVAN_AETH_KIND_MASK,
                     SVAN_AETH_RNR_NAK);
    assert_int_equal(OD_STAT(od, fault_fallback), 1);
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    resolve(od);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
}

static void choosing_by_the_entry(void **state)
{
    static const struct {
        uint64_t us;
        uint8_t mode;
    } rows[] = {
        { 100, SVAN_FAULT_MODE_HOLD }, { 1000, SVAN_FAULT_MODE_HOLD },
        { 1100, SVAN_FAULT_MODE_DIVERT }, { 4000, SVAN_FAULT_MODE_DIVERT },
        { 4100, SVAN_FAULT_MODE_DROP }, { 8000, SVAN_FAULT_MODE_DROP },
        { 8100, SVAN_FAULT_MODE_RNR }, { 900000, SVAN_FAULT_MODE_RNR },
    };
    Od *od = *state;

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t psn = PSN_IN + i;

        unmap_page(od, i, SVAN_FAULT_SWAP_IN, rows[i].us * 1000);
        write_page(od, psn, i);
        assert_int_equal(rc_priv(od->rc)->suspension.mode, rows[i].mode);
        assert_true(requested(od));
        assert_int_equal(svan_mtt_absent_time(le64toh(od->last.entry)),
                         rows[i].us * 1000);
        resolve(od);
        if (rows[i].mode == SVAN_FAULT_MODE_DROP ||
            rows[i].mode == SVAN_FAULT_MODE_RNR) {
            write_page(od, psn, i);
        }
        check_page(od, i);
        assert_int_equal(rc_priv(od->rc)->resp.msn, i + 1);
    }
}

static void sources_can_be_switched_off(void **state)
{
    struct svan_fault_policy policy;
    Od *od = *state;

    svan_policy_default(&policy);
    policy.sources = SVAN_ESTIMATE_RESPONSE;
    set_policy(od, &policy);
    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 900000000);
    write_page(od, PSN_IN, 3);
    assert_int_equal(rc_priv(od->rc)->suspension.state,
                     SVAN_SUSPENSION_UNDECIDED);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 10000);
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_HOLD);
    resolve(od);

    policy.sources = 0;                 /* unknown: unknown_us counts */
    policy.unknown_us = htole32(100000);
    set_policy(od, &policy);
    rc_skip_sent(od->rc);
    write_page(od, PSN_IN + 1, 5);
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_RNR);
}

static void a_full_buffer_diverts_then_drops(void **state)
{
    struct svan_fault_policy policy;
    Od *od = *state;

    svan_policy_default(&policy);
    policy.hold_bytes = htole32(MTU + SVAN_HELD_OVERHEAD - 1);
    set_policy(od, &policy);
    unmap_page(od, 3, SVAN_FAULT_ZERO_FILL, 50000);
    write_page(od, PSN_IN, 3);
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_DIVERT);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);

    policy.divert_pages = 0;
    set_policy(od, &policy);
    unmap_page(od, 3, SVAN_FAULT_ZERO_FILL, 50000);
    rc_skip_sent(od->rc);
    write_page(od, PSN_IN + 1, 3);
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_DROP);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN + 1, NAK(PSN_SEQ));
}

static void a_receive_buffer_that_is_absent(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_SEND_ONLY, PSN_IN, pattern, MTU);
    Od *od = *state;
    HostQp *qp = &od->rc->qp;
    uint32_t all = od->rc->host->all_key;

    fill_pattern();
    od->rc->host->all_key = od->key;
    host_recv(qp, PAGE(2), 4096);
    od->rc->host->all_key = all;
    pkt.ack_req = true;
    rc_inject_run(od->rc, &pkt);
    RC_NO_CQE(od->rc);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 2);
    RC_RQ_DONE(od->rc, 0, RECV, SUCCESS);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/* Its NAK is the only one, and what was kept behind it is forgotten. */
static void a_kept_send_that_finds_no_receive(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_SEND_ONLY, PSN_IN, pattern, MTU);
    Od *od = *state;
    uint32_t all = od->rc->host->all_key;

    fill_pattern();
    od->rc->host->all_key = od->key;
    host_recv(&od->rc->qp, PAGE(2), 4096);
    od->rc->host->all_key = all;
    for (uint32_t i = 0; i < 5; i++) {
        pkt.psn = PSN_IN + i;
        pkt.ack_req = true;
        if (i != 3) {
            rc_inject_run(od->rc, &pkt);
        }
    }
    assert_true(requested(od));
    resolve(od);
    RC_RQ_DONE(od->rc, 0, RECV, SUCCESS);
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    assert_int_equal(od->rc->pkt.psn, (PSN_IN + 1) & SVAN_PSN_MASK);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, out_of_buffer), 1);
    assert_int_equal(OD_STAT(od, out_of_sequence), 0);
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    host_recv(&od->rc->qp, od->rc->buffer, 4096);
    pkt.psn = PSN_IN + 1;
    rc_inject_run(od->rc, &pkt);
    RC_RQ_DONE(od->rc, 1, RECV, SUCCESS);
    RC_SENT_AETH(od->rc, PSN_IN + 1, ACKED);
}

static void a_receive_buffer_that_never_comes(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_SEND_ONLY, PSN_IN, pattern, MTU);
    Od *od = *state;
    uint32_t all = od->rc->host->all_key;

    od->rc->host->all_key = od->key;
    host_recv(&od->rc->qp, PAGE(2), 4096);
    od->rc->host->all_key = all;
    rc_inject_run(od->rc, &pkt);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_OPERATIONAL));
    RC_RQ_DONE(od->rc, 0, RECV, LOC_PROT_ERR);
}

static void an_atomic_is_executed_once(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_FETCH_ADD, PSN_IN, NULL, 0);
    Od *od = *state;

    pkt.va = PAGE(6);
    pkt.rkey = od->key;
    pkt.swap_add = 5;
    rc_inject_run(od->rc, &pkt);
    rc_inject_run(od->rc, &pkt);        /* the requester is impatient */
    assert_true(requested(od));
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_ATOMIC_ACK, PSN_IN);
    rc_inject_run(od->rc, &pkt);
    RC_SENT(od->rc, SVAN_OP_ATOMIC_ACK, PSN_IN);
    assert_int_equal(le64toh(*(uint64_t *)page_mem(od, 6)), 5);
}

static void a_read_waits_for_its_source(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_READ_REQUEST, PSN_IN, NULL, 0);
    Od *od = *state;

    map_page(od, 0, true);
    pkt.va = PAGE(1) - MTU;
    pkt.rkey = od->key;
    pkt.dma_len = 2 * MTU;
    rc_inject_run(od->rc, &pkt);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_FIRST, PSN_IN);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    assert_int_equal(od->last.flags, SVAN_PAGE_REQ_REMOTE);
    assert_int_equal(le64toh(od->last.addr), PAGE(1));
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 1);
}

static void a_page_that_is_gone_again_counts(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(requested(od));
        assert_int_equal(od->last.attempt, i);
        answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    }
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    assert_int_equal(OD_STAT(od, page_faults_again), 3);
    unmap_page(od, 3, 0, 0);
    write_page(od, PSN_IN + 1, 3);
    assert_true(requested(od));
    assert_int_equal(od->last.attempt, 0);
}

static void a_protected_page_is_asked_for_and_refused(void **state)
{
    Od *od = *state;

    map_page(od, 3, false);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    assert_true(od->last.flags & SVAN_PAGE_REQ_PROTECTED);
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_ACCESS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(a_held_write_is_done_when_its_page_comes),
        OD_TEST(what_follows_a_held_packet_waits_in_order),
        OD_TEST(a_gap_behind_a_held_packet_is_called_back),
        OD_TEST(a_kept_packet_may_meet_the_next_page),
        OD_TEST(rnr_covers_the_estimate),
        OD_TEST(what_is_back_too_early_is_held),
        OD_TEST(what_is_back_for_a_page_that_is_gone_again_is_held),
        OD_TEST(who_was_called_back_in_vain_is_held),
        OD_TEST(a_retry_that_finds_no_room_is_called_back),
        OD_TEST(what_trails_behind_an_rnr_nak_is_not_called_back),
        OD_TEST(what_follows_a_retry_without_room_is_called_back),
        OD_TEST(past_the_bound_a_kept_retry_is_told_again),
        OD_TEST(diverted_data_takes_spare_pages_alone),
        OD_TEST(an_estimate_moves_what_is_held_to_spare_pages),
        OD_TEST(dropped_data_is_called_back_once),
        OD_TEST(what_was_dropped_and_came_again_is_not_called_back),
        OD_TEST(a_page_that_never_comes_is_refused),
        OD_TEST(past_the_bound_an_rnr_nak_follows),
        OD_TEST(choosing_by_the_entry),
        OD_TEST(sources_can_be_switched_off),
        OD_TEST(a_full_buffer_diverts_then_drops),
        OD_TEST(a_receive_buffer_that_is_absent),
        OD_TEST(a_kept_send_that_finds_no_receive),
        OD_TEST(a_receive_buffer_that_never_comes),
        OD_TEST(an_atomic_is_executed_once),
        OD_TEST(a_read_waits_for_its_source),
        OD_TEST(a_page_that_is_gone_again_counts),
        OD_TEST(a_protected_page_is_asked_for_and_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
