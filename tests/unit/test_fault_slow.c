/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that take longer than anybody thought: a requester that waits for one has
 * to hear of it before its retries are used up.
 */
#include "fault_peer.h"

#define MS      1000000ull

/* ---- requests ---- */

/* The driver says so in time. */
static void a_page_slower_than_first_thought(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 30 * MS);
    TOLD_TO_WAIT(od, PSN_IN);
    fake_advance(od->rc->fake, 31 * MS);
    write_page(od, PSN_IN, 3);          /* it is back, and the page is due */
    RC_SENT_NOTHING(od->rc);
    answer(od, od->last.token, SVAN_PAGE_PENDING, 600 * MS);
    TOLD_TO_WAIT(od, PSN_IN);
    assert_true(told_ns(od) >= 600 * MS);
    answer(od, od->last.token, SVAN_PAGE_PENDING, 600 * MS);
    RC_SENT_NOTHING(od->rc);            /* it waits already */
    fake_advance(od->rc->fake, 400 * MS);
    write_page(od, PSN_IN, 3);          /* the NAK was lost */
    TOLD_TO_WAIT(od, PSN_IN);
    assert_true(told_ns(od) >= 200 * MS);
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/* Nobody knows how long it takes: as long again as it has, each time. */
static void who_comes_back_again_is_told_again(void **state)
{
    Od *od = *state;
    uint64_t ns = 0;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    TOLD_TO_WAIT(od, PSN_IN);
    for (uint32_t i = 0; i < 10; i++) {
        fake_advance(od->rc->fake, told_ns(od));
        write_page(od, PSN_IN, 3);
        if (!rc_sent(od->rc)) {         /* the first time: it is due */
            assert_int_equal(i, 0);
            fake_advance(od->rc->fake, 21 * MS);
            assert_true(rc_sent(od->rc));
        }
        assert_true(IS_RNR_NAK(od->rc->pkt));
        assert_true(told_ns(od) >= ns);
        ns = told_ns(od);
    }
    assert_true(ns > 500 * MS);
    assert_true(requested(od));
    resolve(od);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    check_page(od, 3);
}

/* An ACK timeout far shorter than the bound: what it sends again shows it. */
static void who_times_out_is_told(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_HOLD);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    fake_advance(od->rc->fake, MS / 2);
    write_page(od, PSN_IN, 3);          /* the last of its retries, perhaps */
    TOLD_TO_WAIT(od, PSN_IN);
    assert_true(told_ns(od) >= MS / 2);
    assert_int_equal(OD_STAT(od, fault_fallback), 0);
    fake_advance(od->rc->fake, told_ns(od));
    write_page(od, PSN_IN, 3);
    if (!rc_sent(od->rc)) {             /* before it times out again */
        fake_advance(od->rc->fake, MS / 4);
        assert_true(rc_sent(od->rc));
    }
    assert_true(IS_RNR_NAK(od->rc->pkt));
    resolve(od);
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/*
 * Sent again each time its ACK timeout is over, as long as there are retries: it
 * has to be told before the last.
 */
static bool is_told_in_time(Od *od, uint8_t timeout, uint32_t retries)
{
    write_page(od, PSN_IN, 3);
    for (uint32_t i = 0; i < retries; i++) {
        fake_advance(od->rc->fake, 4096ull << timeout);
        write_page(od, PSN_IN, 3);
        if (rc_sent(od->rc)) {
            return IS_RNR_NAK(od->rc->pkt);
        }
    }
    return false;
}

/* All its retries together are shorter than what is held for without a word. */
static void who_has_short_timeouts_is_told(void **state)
{
    Od *od = *state;

    for (uint8_t timeout = 2; timeout < 6; timeout++) {
        assert_true(is_told_in_time(od, timeout, timeout < 4 ? 7 : 1));
        rc_modify(od->rc, SVAN_QPS_RESET, 0);
        rc_to(od->rc, SVAN_QPS_RTS);
    }
}

/* Each page of a message may cost retries: what came before it gives them back. */
static void progress_within_a_message_is_acknowledged(void **state)
{
    Od *od = *state;
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_FIRST, PSN_IN, pattern, MTU);

    map_page(od, 3, true);
    pkt.va = PAGE(4) - MTU;
    pkt.rkey = od->key;
    pkt.dma_len = 2 * MTU;
    rc_inject_run(od->rc, &pkt);
    RC_SENT_NOTHING(od->rc);
    pkt = rc_pkt(SVAN_OP_WRITE_LAST, PSN_IN + 1, pattern, MTU);
    rc_inject_run(od->rc, &pkt);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_NOTHING(od->rc);            /* nobody has asked */
}

/* How long a SEND is nobody knows before its end. */
static void of_a_send_as_much_again_is_asked_for(void **state)
{
    const uint32_t packets = SVAN_PAGE_SIZE / MTU;
    Od *od = *state;
    uint32_t all = od->rc->host->all_key;

    map_page(od, 2, true);
    od->rc->host->all_key = od->key;
    host_recv(&od->rc->qp, PAGE(2), 4 * SVAN_PAGE_SIZE);
    od->rc->host->all_key = all;
    for (uint32_t i = 0; i <= packets; i++) {
        SvanPkt pkt = rc_pkt(i ? SVAN_OP_SEND_MIDDLE : SVAN_OP_SEND_FIRST,
                             PSN_IN + i, pattern, MTU);

        assert_false(requested(od));
        rc_inject_run(od->rc, &pkt);
    }
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), PAGE(3));
    assert_int_equal(le32toh(od->last.length), SVAN_PAGE_SIZE + 2 * MTU);
}

/* What is known of it decides at once, as for the first page. */
static void a_slow_second_page_is_told(void **state)
{
    Od *od = *state;

    unmap_page(od, 3, SVAN_FAULT_ZERO_FILL, 10000);
    unmap_page(od, 4, SVAN_FAULT_SWAP_IN, 900 * MS);
    write_at(od, PSN_IN, PAGE(4) - MTU / 2);
    assert_true(requested(od));
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), PAGE(4));
    TOLD_TO_WAIT(od, PSN_IN);
    resolve(od);
}

static void a_copy_made_on_the_way_is_no_timeout(void **state)
{
    Od *od = *state;

    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 4 * MS);
    write_page(od, PSN_IN, 3);
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_DIVERT);
    fake_advance(od->rc->fake, 10000);
    write_page(od, PSN_IN, 3);
    RC_SENT_NOTHING(od->rc);
    fake_advance(od->rc->fake, 1 * MS);
    write_page(od, PSN_IN, 3);          /* one as late as this is */
    TOLD_TO_WAIT(od, PSN_IN);
    assert_true(told_ns(od) >= 2 * MS);
}

/* Dropped, and called back later: the timeout may come first. */
static void who_was_dropped_and_times_out_is_told(void **state)
{
    Od *od = *state;

    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 8 * MS);
    write_page(od, PSN_IN, 3);
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_DROP);
    fake_advance(od->rc->fake, 2 * MS);
    write_page(od, PSN_IN, 3);
    TOLD_TO_WAIT(od, PSN_IN);
    assert_true(told_ns(od) >= 6 * MS);
    assert_true(requested(od));
    resolve(od);                        /* what came again was kept */
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    check_page(od, 3);
}

/* Nothing can be kept of what is back; the bound counts for it all the same. */
static void who_comes_back_without_room_is_told_at_the_bound(void **state)
{
    struct svan_fault_policy policy;
    Od *od = *state;

    svan_policy_default(&policy);
    policy.mode = SVAN_FAULT_MODE_RNR;
    policy.hold_bytes = 0;
    policy.divert_pages = 0;
    set_policy(od, &policy);
    write_page(od, PSN_IN, 3);
    TOLD_TO_WAIT(od, PSN_IN);
    fake_advance(od->rc->fake, 30 * MS);
    write_page(od, PSN_IN, 3);
    RC_SENT_NOTHING(od->rc);
    fake_advance(od->rc->fake, 21 * MS);
    TOLD_TO_WAIT(od, PSN_IN);
    assert_true(told_ns(od) >= 50 * MS);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/* Without a bound the estimate alone sends who is back away. */
static void without_a_bound_nobody_is_told_for_want_of_patience(void **state)
{
    struct svan_fault_policy policy;
    Od *od = *state;

    svan_policy_default(&policy);
    policy.bound_us = 0;
    set_policy(od, &policy);
    write_page(od, PSN_IN, 3);
    for (uint32_t i = 0; i < 10; i++) {
        fake_advance(od->rc->fake, 67 * MS);
        write_page(od, PSN_IN, 3);
        RC_SENT_NOTHING(od->rc);
    }
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 600 * MS);
    TOLD_TO_WAIT(od, PSN_IN);
    fake_advance(od->rc->fake, 200 * MS);
    write_page(od, PSN_IN, 3);
    TOLD_TO_WAIT(od, PSN_IN);
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/* The latest there is: not now. */
static void an_endless_estimate(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, UINT64_MAX);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 0);
    assert_int_equal(rc_priv(od->rc)->suspension.mode, SVAN_FAULT_MODE_RNR);
}

static void an_endless_injection(void **state)
{
    SvanInjection what = {
        .first = PAGE(3), .last = PAGE(4) - 1, .chance_ppm = 1000000,
        .estimate_ns = UINT64_MAX, .delay_ns = UINT64_MAX,
    };
    Od *od = *state;

    map_page(od, 3, true);
    assert_true(svan_inject(od->rc->fake->core, 0, &what));
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 0);
    fake_advance(od->rc->fake, 1000 * MS);
    assert_int_equal(page_mem(od, 3)[1], 0);
}

/* ---- pages that come and go for ever ---- */

/* RESOLVED as often as the device asks, and never there. */
static uint32_t resolve_for_nothing(Od *od)
{
    uint32_t rounds = 0;

    while (requested(od)) {
        assert_int_equal(od->last.attempt, rounds < 255 ? rounds : 255);
        answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
        assert_true(++rounds < 1000);
    }
    return rounds;
}

static void a_page_that_never_stays_is_refused(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_int_equal(resolve_for_nothing(od), SVAN_PAGE_ATTEMPT_MAX);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_ACCESS));
    assert_int_equal(OD_STAT(od, fault_fail), 1);
}

/* The last time it stays. */
static void a_page_that_comes_at_last_counts_anew(void **state)
{
    Od *od = *state;

    for (uint32_t psn = 0; psn < 3; psn++) {
        write_page(od, PSN_IN + psn, 3);
        for (uint32_t i = 1; i < SVAN_PAGE_ATTEMPT_MAX; i++) {
            assert_true(requested(od));
            answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
        }
        assert_true(requested(od));
        resolve(od);
        RC_SENT_AETH(od->rc, PSN_IN + psn, ACKED);
        unmap_page(od, 3, 0, 0);
    }
}

static void a_source_that_never_stays_fails(void **state)
{
    HostSend send = {
        .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED, .length = MTU,
        .addr = PAGE(7),
    };
    Od *od = *state;

    send.lkey = od->key;
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    assert_int_equal(resolve_for_nothing(od), SVAN_PAGE_ATTEMPT_MAX);
    RC_SQ_DONE(od->rc, 0, LOC_PROT_ERR);
}

/* A transfer of many pieces, of which one is always gone. */
static void many_pages_that_come_and_go_in_turn_end_as_well(void **state)
{
    SvanPageWait wait = {
        .waiter = &((Od *)*state)->rc->core->waiter,
    };
    Od *od = *state;
    SvanFn *fn = host_fn(od->rc->host);
    uint32_t rounds = 0;

    svan_page_wait_forget(&wait);
    do {
        svan_page_wait_leave(&wait);
        fn->memory->miss = (SvanPageMiss) {
            .key = svan_key_get(fn, od->key), .va = PAGE(rounds % 5), .len = 1,
        };
        svan_page_wait(&wait, false);
        assert_int_equal(wait.attempt, 0);
        assert_true(++rounds < 100000);
    } while (wait.state == SVAN_WAIT_PENDING);
    assert_int_equal(wait.state, SVAN_WAIT_FAILED);
    assert_true(rounds > 1000);
    svan_page_wait_leave(&wait);
    svan_page_wait_forget(&wait);
}

/* The targets of a READ are many, and each that is touched is progress. */
static void a_long_read_may_meet_as_many_pages_as_it_has(void **state)
{
    Od *od = *state;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_READ, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(0), .lkey = od->key, .remote = 0x1000, .rkey = 1,
        .length = 250 * SVAN_PAGE_SIZE,
    };

    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    for (uint32_t i = 0; i < 250; i++) {
        assert_true(requested(od));
        assert_int_equal(rc_priv(od->rc)->req.wait.rounds, 1);
        resolve(od);
    }
    RC_SENT(od->rc, SVAN_OP_READ_REQUEST, PSN_OUT);
}

/* ---- responses of READs ---- */

/* The FIRST of the response has left, its second page is absent. */
static void begin_read(Od *od)
{
    map_page(od, 3, true);
    send_read(od, PSN_IN, PAGE(4) - MTU, 2 * MTU);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_FIRST, PSN_IN);
    assert_true(requested(od));
}

static void a_read_of_a_slow_second_page(void **state)
{
    Od *od = *state;

    begin_read(od);
    RC_SENT_NOTHING(od->rc);
    fake_advance(od->rc->fake, 21 * MS);        /* the bound */
    TOLD_TO_WAIT(od, PSN_IN + 1);
    fake_advance(od->rc->fake, told_ns(od));
    send_read(od, PSN_IN + 1, PAGE(4), MTU);
    RC_SENT_NOTHING(od->rc);
    fake_advance(od->rc->fake, 10 * MS);
    send_read(od, PSN_IN + 1, PAGE(4), MTU);    /* a timeout */
    TOLD_TO_WAIT(od, PSN_IN + 1);
    assert_int_equal(OD_STAT(od, rnr_nak_sent), 2);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + 1);
    RC_SENT_NOTHING(od->rc);
}

static void a_read_is_told_by_the_estimate(void **state)
{
    Od *od = *state;

    begin_read(od);
    answer(od, od->last.token, SVAN_PAGE_PENDING, 7 * MS);
    RC_SENT_NOTHING(od->rc);            /* it is worth to wait for */
    answer(od, od->last.token, SVAN_PAGE_PENDING, 100 * MS);
    TOLD_TO_WAIT(od, PSN_IN + 1);
    assert_true(told_ns(od) >= 100 * MS);
    answer(od, od->last.token, SVAN_PAGE_PENDING, 200 * MS);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, fault_rnr), 1);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 1);
}

/* What it did not get is sent at once, whatever the page behind it does. */
static void a_read_that_is_asked_for_from_an_earlier_packet(void **state)
{
    Od *od = *state;

    begin_read(od);
    send_read(od, PSN_IN, PAGE(4) - MTU, 2 * MTU);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_FIRST, PSN_IN);
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 1);
}

/*
 * A response before the one that waits is sent again at once. Who waits is told by
 * the PSN of what it lacks.
 */
static void a_read_before_one_that_waits(void **state)
{
    Od *od = *state;

    map_page(od, 3, true);
    send_read(od, PSN_IN, PAGE(3), MTU);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN);
    map_page(od, 4, true);
    send_read(od, PSN_IN + 1, PAGE(5) - MTU, 2 * MTU);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_FIRST, PSN_IN + 1);
    assert_true(requested(od));
    send_read(od, PSN_IN, PAGE(3), MTU);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN);
    RC_SENT_NOTHING(od->rc);
    fake_advance(od->rc->fake, 21 * MS);        /* the bound */
    TOLD_TO_WAIT(od, PSN_IN + 2);
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SENT_AETH(od->rc, PSN_IN + 2, SVAN_AETH_NAK | SVAN_NAK_REMOTE_ACCESS);
}

/* The request behind it is refused, after its answer: until then it is told. */
static void a_read_before_what_is_refused(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, PSN_IN + 2, "x", 1);
    Od *od = *state;

    begin_read(od);
    pkt.va = PAGE(3);
    pkt.rkey = od->key + 1;
    pkt.dma_len = 1;
    rc_inject_run(od->rc, &pkt);
    RC_SENT_NOTHING(od->rc);
    fake_advance(od->rc->fake, 10 * MS);
    send_read(od, PSN_IN + 1, PAGE(4), MTU);    /* a timeout */
    TOLD_TO_WAIT(od, PSN_IN + 1);
    rc_inject_run(od->rc, &pkt);
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + 1);
    RC_SENT_AETH(od->rc, PSN_IN + 2, NAK(REMOTE_ACCESS));
    assert_int_equal(od->rc->core->state, SVAN_QPS_ERR);
}

/*
 * Behind a READ that waits, an RNR NAK does not leave before the page is there. Then
 * it never does, and what was dropped before it is asked for.
 */
static void what_an_rnr_nak_that_never_left_would_have_brought(void **state)
{
    struct svan_fault_policy policy;
    Od *od = *state;
    uint32_t token;

    svan_policy_default(&policy);
    policy.hold_bytes = htole32(MTU + SVAN_HELD_OVERHEAD);
    policy.divert_pages = 0;
    set_policy(od, &policy);
    begin_read(od);
    token = od->last.token;
    write_page(od, PSN_IN + 2, 6);
    write_page(od, PSN_IN + 3, 6);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 1);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 500 * MS);
    assert_int_equal(OD_STAT(od, rnr_nak_sent), 1);
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    check_page(od, 6);
    RC_SENT_NOTHING(od->rc);
    map_page(od, 4, true);
    answer(od, token, SVAN_PAGE_RESOLVED, 0);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 1);
    RC_SENT_AETH(od->rc, PSN_IN + 3, NAK(PSN_SEQ));
}

/* Gone again and again, it costs a retry at the bound alone. */
static void a_page_of_a_read_that_is_gone_again(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    begin_read(od);
    TOLD_TO_WAIT(od, PSN_IN + 1);
    for (uint32_t i = 0; i < 3; i++) {
        answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
        assert_true(requested(od));
        RC_SENT_NOTHING(od->rc);
    }
    fake_advance(od->rc->fake, 21 * MS);
    TOLD_TO_WAIT(od, PSN_IN + 1);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 1);
}

/* ---- what lies before a READ that waits ---- */

/* A WRITE is executed and a READ accepted while the wire is busy; then its page goes. */
static void write_then_read(Od *od)
{
    Fake *fake = od->rc->fake;

    map_page(od, 3, true);
    map_page(od, 4, true);
    fake->out_full = true;
    write_page(od, PSN_IN, 3);
    send_read(od, PSN_IN + 1, PAGE(4), MTU);
    unmap_page(od, 4, 0, 0);
    fake_run(fake);
    fake->out_full = false;
    svan_tx_ready(fake->core);
    fake_run(fake);
    assert_true(requested(od));
}

static void an_executed_write_before_a_waiting_read(void **state)
{
    Od *od = *state;

    write_then_read(od);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_int_equal(od->rc->pkt.msn, 1);
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN, 3);          /* the ACK was lost */
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + 1);
}

/* Not every requester asks for an ACK of each message: its timeout counts as well. */
static void a_write_that_asked_for_no_ack_before_a_waiting_read(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, PSN_IN, pattern, MTU);
    Od *od = *state;

    map_page(od, 3, true);
    map_page(od, 4, true);
    pkt.va = PAGE(3);
    pkt.rkey = od->key;
    pkt.dma_len = MTU;
    rc_inject_run(od->rc, &pkt);
    RC_SENT_NOTHING(od->rc);
    send_read(od, PSN_IN + 1, PAGE(5) - MTU / 2, MTU);
    assert_true(requested(od));
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_int_equal(od->rc->pkt.msn, 1);
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + 1);
    RC_SENT_NOTHING(od->rc);
}

/* An ACK would say that the READ was answered. */
static void what_lies_behind_a_waiting_read_is_not_acknowledged(void **state)
{
    Od *od = *state;

    begin_read(od);
    write_page(od, PSN_IN + 2, 3);
    write_page(od, PSN_IN + 2, 3);      /* and again */
    RC_SENT_NOTHING(od->rc);
    check_page(od, 3);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 1);
    RC_SENT_AETH(od->rc, PSN_IN + 2, ACKED);
    RC_SENT_NOTHING(od->rc);
}

/* ---- late duplicates ---- */

static void send_small_read(Od *od, uint32_t psn)
{
    send_read(od, psn, PAGE(3), 8);
}

/* They fill what may be owed; a request that is due has its place all the same. */
static void duplicates_displace_no_read(void **state)
{
    Od *od = *state;

    map_page(od, 3, true);
    for (uint32_t i = 0; i < 40; i++) {
        send_small_read(od, PSN_IN + i);
    }
    assert_int_equal(rc_skip_sent(od->rc), 40);
    od->rc->fake->out_full = true;
    for (uint32_t i = 0; i < 40; i++) {
        send_small_read(od, PSN_IN + i);
    }
    for (uint32_t i = 40; i < 44; i++) {        /* as many as are allowed */
        send_small_read(od, PSN_IN + i);
    }
    od->rc->fake->out_full = false;
    svan_tx_ready(od->rc->fake->core);
    fake_run(od->rc->fake);
    assert_int_equal(host_state(&od->rc->qp), SVAN_QPS_RTS);
    assert_int_equal(rc_skip_sent(od->rc), SVAN_MAX_RD_ATOMIC + 4);
    assert_int_equal(od->rc->pkt.psn, (PSN_IN + 43) & SVAN_PSN_MASK);
}

static void duplicates_displace_no_atomic(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_FETCH_ADD, PSN_IN + 40, NULL, 0);
    Od *od = *state;

    map_page(od, 3, true);
    for (uint32_t i = 0; i < 40; i++) {
        send_small_read(od, PSN_IN + i);
    }
    rc_skip_sent(od->rc);
    od->rc->fake->out_full = true;
    for (uint32_t i = 0; i < 40; i++) {
        send_small_read(od, PSN_IN + i);
    }
    pkt.va = PAGE(3);
    pkt.rkey = od->key;
    pkt.swap_add = 5;
    rc_inject_run(od->rc, &pkt);
    od->rc->fake->out_full = false;
    svan_tx_ready(od->rc->fake->core);
    fake_run(od->rc->fake);
    assert_int_equal(host_state(&od->rc->qp), SVAN_QPS_RTS);
    assert_int_equal(rc_skip_sent(od->rc), SVAN_MAX_RD_ATOMIC + 1);
    assert_int_equal(*page_mem(od, 3), 5);
}

/* A stream that says otherwise is none of ours. */
static void more_duplicates_than_there_can_be_are_not_loaded(void **state)
{
    Od *od = *state;
    SvanRcResponder *resp = &rc_priv(od->rc)->resp;

    for (uint32_t i = 0; i < SVAN_MAX_RD_ATOMIC + 1; i++) {
        assert_true(svan_rc_owed_room(resp));
        resp->owed[resp->num_owed++] = (SvanRcOwed) {
            .duplicate = true, .psn = PSN_IN, .rkey = od->key, .length = 8,
            .va = PAGE(3),
        };
    }
    assert_false(fake_restore(od->rc->fake));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(a_page_slower_than_first_thought),
        OD_TEST(who_comes_back_again_is_told_again),
        OD_TEST(who_times_out_is_told),
        OD_TEST(who_has_short_timeouts_is_told),
        OD_TEST(progress_within_a_message_is_acknowledged),
        OD_TEST(of_a_send_as_much_again_is_asked_for),
        OD_TEST(a_slow_second_page_is_told),
        OD_TEST(a_copy_made_on_the_way_is_no_timeout),
        OD_TEST(who_was_dropped_and_times_out_is_told),
        OD_TEST(who_comes_back_without_room_is_told_at_the_bound),
        OD_TEST(without_a_bound_nobody_is_told_for_want_of_patience),
        OD_TEST(an_endless_estimate),
        OD_TEST(an_endless_injection),
        OD_TEST(a_page_that_never_stays_is_refused),
        OD_TEST(a_page_that_comes_at_last_counts_anew),
        OD_TEST(a_source_that_never_stays_fails),
        OD_TEST(many_pages_that_come_and_go_in_turn_end_as_well),
        OD_TEST(a_long_read_may_meet_as_many_pages_as_it_has),
        OD_TEST(a_read_of_a_slow_second_page),
        OD_TEST(a_read_is_told_by_the_estimate),
        OD_TEST(a_read_that_is_asked_for_from_an_earlier_packet),
        OD_TEST(a_read_before_one_that_waits),
        OD_TEST(a_read_before_what_is_refused),
        OD_TEST(what_an_rnr_nak_that_never_left_would_have_brought),
        OD_TEST(a_page_of_a_read_that_is_gone_again),
        OD_TEST(an_executed_write_before_a_waiting_read),
        OD_TEST(a_write_that_asked_for_no_ack_before_a_waiting_read),
        OD_TEST(what_lies_behind_a_waiting_read_is_not_acknowledged),
        OD_TEST(duplicates_displace_no_read),
        OD_TEST(duplicates_displace_no_atomic),
        OD_TEST(more_duplicates_than_there_can_be_are_not_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
