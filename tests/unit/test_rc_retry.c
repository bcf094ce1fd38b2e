/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes the RC requester wait, go on or send again, and what it costs: its
 * own absent pages, RNR NAKs, sequence NAKs, attributes that change (IBTA volume 1,
 * 9.7.5.2.8, 9.7.6.1; PRM "Reliable connections").
 */
#include "fault_peer.h"

#define TIMEOUT_NS      (4096ull << 10)
#define RNR_LONGEST     0               /* 655 ms */

static void post_sends(Rc *rc, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rc_post(rc, SVAN_WQE_SEND, 16 * i, 8);
    }
    rc_go(rc);
}

/* ---- its own absent page ---- */

/* No retry is left, so a timeout would be the end. */
static int setup_without_retries(void **state)
{
    Od *od = calloc(1, sizeof(*od));

    od->rc = rc_new();
    make_key(od);
    make_prq(od);
    od->rc->attrs.attr.retry_cnt = 0;
    rc_to(od->rc, SVAN_QPS_RTS);
    *state = od;
    return 0;
}

/* Two packets of the message are there, the third is in the next page. */
static void send_into_absent_page(Od *od)
{
    HostSend send = {
        .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(4) - 2 * MTU, .length = 3 * MTU, .lkey = od->key,
    };

    map_page(od, 3, true);
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    assert_true(requested(od));
}

/* 9.7.6.1.3: none of what has left asks for an ACK, so none can be late. */
static void test_own_page_costs_no_retry(void **state)
{
    Od *od = *state;
    Rc *rc = od->rc;

    send_into_absent_page(od);
    for (uint32_t i = 0; i < 2; i++) {
        RC_SENT(rc, i ? SVAN_OP_SEND_MIDDLE : SVAN_OP_SEND_FIRST, PSN_OUT + i);
        assert_false(rc->pkt.ack_req);
    }
    for (uint32_t i = 0; i < 10; i++) {
        fake_advance(rc->fake, 5 * TIMEOUT_NS);
        RC_SENT_NOTHING(rc);
        RC_NO_CQE(rc);
    }
    assert_int_equal(OD_STAT(od, local_ack_timeout_err), 0);
    assert_int_equal(OD_STAT(od, retransmits), 0);
    resolve(od);
    RC_SENT(rc, SVAN_OP_SEND_LAST, PSN_OUT + 2);
    assert_true(rc->pkt.ack_req);
    rc_inject_ack(rc, ACKED, PSN_OUT + 2);
    RC_SQ_DONE(rc, 0, SUCCESS);
}

/* The timer begins with the packet that asks. */
static void test_timeout_behind_own_page(void **state)
{
    Od *od = *state;
    Rc *rc = od->rc;

    send_into_absent_page(od);
    rc_skip_sent(rc);
    fake_advance(rc->fake, 5 * TIMEOUT_NS);
    resolve(od);
    RC_SENT(rc, SVAN_OP_SEND_LAST, PSN_OUT + 2);
    fake_advance(rc->fake, TIMEOUT_NS - 1);
    RC_SENT_NOTHING(rc);
    fake_advance(rc->fake, 1);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(rc_sent(rc));
        assert_int_equal(rc->pkt.psn, (PSN_OUT + i) & SVAN_PSN_MASK);
    }
}

/* What was asked for before is late, whatever page the next one waits for. */
static void test_own_page_behind_a_lost_message(void **state)
{
    Od *od = *state;
    Rc *rc = od->rc;

    post_sends(rc, 1);
    send_into_absent_page(od);
    rc_skip_sent(rc);
    fake_advance(rc->fake, TIMEOUT_NS);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    assert_int_equal(OD_STAT(od, local_ack_timeout_err), 1);
}

/*
 * It has gone back, and its own page is absent now. A NAK is about what was sent
 * before; what is sent at last is lost for the first time.
 */
static void test_nak_before_it_is_sent_again(void **state)
{
    Od *od = *state;
    Rc *rc = od->rc;
    HostSend send = {
        .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(4), .length = MTU, .lkey = od->key,
    };

    map_page(od, 4, true);
    host_send(&rc->qp, &send);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    unmap_page(od, 4, 0, 0);
    fake_advance(rc->fake, 2 * TIMEOUT_NS);
    RC_SENT_NOTHING(rc);
    assert_true(requested(od));
    assert_int_equal(rc_priv(rc)->req.retries, 2);
    for (uint32_t i = 0; i < 3; i++) {
        rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
        assert_int_equal(rc_priv(rc)->req.retries, i ? 1 : 2);
        if (!i) {
            resolve(od);
        }
        assert_int_equal(rc_skip_sent(rc), i < 2);
    }
}

/* The response to a READ comes, and its page has gone: that is asked for. */
static SvanPkt respond_without_page(Od *od)
{
    Rc *rc = od->rc;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_READ, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(7), .length = MTU, .lkey = od->key, .remote = 0x1000,
    };
    SvanPkt response = rc_pkt(SVAN_OP_READ_RESP_ONLY, PSN_OUT, pattern, MTU);

    fill_pattern();
    map_page(od, 7, true);
    host_send(&rc->qp, &send);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT);
    unmap_page(od, 7, 0, 0);
    rc_inject_run(rc, &response);
    assert_true(requested(od));
    return response;
}

/* The page never comes. */
static void test_response_page_never_comes(void **state)
{
    Od *od = *state;
    Rc *rc = od->rc;

    respond_without_page(od);
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SQ_DONE(rc, 0, LOC_PROT_ERR);
    assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_PAGE);
    RC_SENT_NOTHING(rc);
    assert_int_equal(OD_STAT(od, fault_fail), 1);
}

/* While the response waits for its page nothing is late, however long that takes. */
static void test_response_page_costs_no_retry(void **state)
{
    Od *od = *state;
    Rc *rc = od->rc;
    SvanPkt response = respond_without_page(od);

    for (uint32_t i = 0; i < 10; i++) {
        fake_advance(rc->fake, 5 * TIMEOUT_NS);
        RC_SENT_NOTHING(rc);
        RC_NO_CQE(rc);
    }
    assert_int_equal(OD_STAT(od, local_ack_timeout_err), 0);
    resolve(od);
    RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT);
    rc_inject_run(rc, &response);
    RC_SQ_DONE(rc, 0, SUCCESS);
    check_page(od, 7);
}

/* ---- RNR ---- */

/* A responder may NAK the gap behind the request that it was not ready for. */
static void test_sequence_nak_in_rnr_wait(void **state)
{
    Rc *rc = *state;
    const uint64_t ns = svan_rc_rnr_ns(RNR_LONGEST);

    post_sends(rc, 2);
    rc_skip_sent(rc);
    rc_inject_ack(rc, SVAN_AETH_RNR_NAK | RNR_LONGEST, PSN_OUT);
    for (uint32_t i = 0; i < 10; i++) {
        rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
        RC_SENT_NOTHING(rc);
    }
    fake_advance(rc->fake, ns - 1);
    RC_SENT_NOTHING(rc);
    RC_NO_CQE(rc);
    fake_advance(rc->fake, 1);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 1);
    assert_int_equal(rc_priv(rc)->req.retries, 3);
    assert_int_equal(rc_priv(rc)->req.rnr_retries, 1);
    assert_int_equal(RC_STAT(rc, packet_seq_err), 10);
}

/* Nor does what is missing of another's response. */
static void test_implied_nak_in_rnr_wait(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_RDMA_READ, 0, 2 * MTU);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_go(rc);
    rc_skip_sent(rc);
    rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 31, PSN_OUT);
    rc_inject_ack(rc, ACKED, PSN_OUT + 2);
    RC_SENT_NOTHING(rc);
    assert_int_equal(rc_priv(rc)->req.retries, 3);
    fake_advance(rc->fake, svan_rc_rnr_ns(31));
    RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT);
}

/* It is called back before the time, which is no retry. */
static void test_rnr_wait_ends_with_a_call_back(void **state)
{
    Rc *rc = rc_new();

    rc->attrs.attr.rnr_retry = 7;
    rc_to(rc, SVAN_QPS_RTS);
    for (uint32_t i = 0; i < 20; i++) {
        post_sends(rc, i == 0);
        RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
        rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 31, PSN_OUT);
        RC_SENT_NOTHING(rc);
        rc_inject_call_back(rc, PSN_OUT);
    }
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    assert_int_equal(rc_priv(rc)->req.retries, 3);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    RC_SQ_DONE(rc, 0, SUCCESS);
    fake_advance(rc->fake, svan_rc_rnr_ns(31));
    RC_SENT_NOTHING(rc);
    rc_free(rc);
}

/* What ends the wait is what a Svan responder sends; a NAK for a gap is not. */
static void test_responder_marks_its_call_back(void **state)
{
    Od *od = *state;
    Rc *rc = od->rc;

    set_mode(od, SVAN_FAULT_MODE_DROP);
    write_page(od, PSN_IN, 3);
    RC_SENT_NOTHING(rc);
    assert_true(requested(od));
    assert_true(fake_restore(rc->fake));        /* the page is forgotten with it */
    rc->core = svan_qp_get(host_fn(rc->host), rc->qp.qpn);
    fake_run(rc->fake);
    RC_SENT_AETH(rc, PSN_IN, NAK(PSN_SEQ));
    assert_true(rc->pkt.bth_flags & SVAN_BTH_SE);
    map_page(od, 3, true);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    assert_false(rc->pkt.bth_flags & SVAN_BTH_SE);
    write_page(od, PSN_IN + 2, 3);
    RC_SENT_AETH(rc, PSN_IN + 1, NAK(PSN_SEQ));
    assert_false(rc->pkt.bth_flags & SVAN_BTH_SE);
}

/* ---- the same NAK again ---- */

static void test_nak_that_comes_twice(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 3);
    rc_skip_sent(rc);
    for (uint32_t i = 0; i < 10; i++) {
        rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
        assert_int_equal(rc_skip_sent(rc), i ? 0 : 3);
    }
    RC_NO_CQE(rc);
    assert_int_equal(rc_priv(rc)->req.retries, 2);
    /* if what was sent again is lost as well, that is for the timer */
    fake_advance(rc->fake, TIMEOUT_NS);
    fake_advance(rc->fake, TIMEOUT_NS);
    assert_int_equal(rc_skip_sent(rc), 3);
    assert_int_equal(rc_priv(rc)->req.retries, 1);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
    assert_int_equal(rc_skip_sent(rc), 3);
    assert_int_equal(rc_priv(rc)->req.retries, 0);
}

/* Without an ACK timeout nothing else finds out that it was lost again. */
static void test_nak_that_comes_twice_without_a_timeout(void **state)
{
    Rc *rc = rc_new();

    rc->attrs.attr.timeout = 0;
    rc_to(rc, SVAN_QPS_RTS);
    post_sends(rc, 3);
    rc_skip_sent(rc);
    for (uint32_t i = 0; i < 3; i++) {
        rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
        assert_int_equal(rc_skip_sent(rc), 3);
    }
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
    RC_SQ_DONE(rc, 0, RETRY_EXC_ERR);
    rc_free(rc);
}

/* A NAK behind progress is another gap. */
static void test_nak_for_each_gap(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 6);
    rc_skip_sent(rc);
    for (uint32_t i = 0; i < 5; i++) {
        rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT + i);
        assert_int_equal(rc_skip_sent(rc), 6 - i);
    }
}

/* The gap's NAK, then its packet is dropped for a page: it is called back once. */
static void test_call_back_behind_a_nak(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 2);
    rc_skip_sent(rc);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
    assert_int_equal(rc_skip_sent(rc), 2);
    for (uint32_t i = 0; i < 5; i++) {
        rc_inject_call_back(rc, PSN_OUT);
        assert_int_equal(rc_skip_sent(rc), i ? 0 : 2);
    }
    assert_int_equal(rc_priv(rc)->req.retries, 1);
}

/* It is known after a load. */
static void test_heard_is_saved(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 3);
    rc_skip_sent(rc);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
    assert_int_equal(rc_skip_sent(rc), 3);
    assert_true(fake_restore(rc->fake));
    rc->core = svan_qp_get(host_fn(rc->host), rc->qp.qpn);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
    RC_SENT_NOTHING(rc);
    assert_int_equal(rc_priv(rc)->req.retries, 2);
}

/* ---- attributes that are set in SQD, 11.2.5.2 ---- */

static void set_in_sqd(Rc *rc, uint32_t mask)
{
    rc_modify(rc, SVAN_QPS_SQD, 0);
    rc_modify(rc, SVAN_QPS_SQD, mask);
}

static void test_retry_counts_set_in_sqd(void **state)
{
    const uint32_t counts = SVAN_QP_ATTR_RETRY_CNT | SVAN_QP_ATTR_RNR_RETRY;
    Rc *rc = *state;

    rc->attrs.attr.retry_cnt = rc->attrs.attr.rnr_retry = 0;
    set_in_sqd(rc, counts);
    rc_modify(rc, SVAN_QPS_RTS, 0);
    post_sends(rc, 1);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    RC_SQ_DONE(rc, 0, SUCCESS);
    rc->attrs.attr.retry_cnt = 7;
    rc->attrs.attr.rnr_retry = 5;
    set_in_sqd(rc, counts);
    rc_modify(rc, SVAN_QPS_RTS, 0);
    assert_int_equal(rc_priv(rc)->req.retries, 7);
    post_sends(rc, 1);
    for (uint32_t i = 0; i < 5; i++) {
        rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 1, PSN_OUT + 1);
        RC_NO_CQE(rc);
        fake_advance(rc->fake, svan_rc_rnr_ns(1));
    }
    rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 1, PSN_OUT + 1);
    RC_SQ_DONE(rc, 1, RNR_RETRY_EXC_ERR);
}

/* The running timer is not of the old period, for what is still outstanding. */
static void test_timeout_set_in_sqd(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 1);
    rc_skip_sent(rc);
    rc->attrs.attr.timeout = 12;
    set_in_sqd(rc, SVAN_QP_ATTR_TIMEOUT);
    fake_advance(rc->fake, 4 * TIMEOUT_NS - 1);
    RC_SENT_NOTHING(rc);
    fake_advance(rc->fake, 1);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    rc->attrs.attr.timeout = 0;
    set_in_sqd(rc, SVAN_QP_ATTR_TIMEOUT);
    fake_advance(rc->fake, 1ull << 40);
    RC_SENT_NOTHING(rc);
    rc->attrs.attr.timeout = 10;
    set_in_sqd(rc, SVAN_QP_ATTR_TIMEOUT);
    fake_advance(rc->fake, TIMEOUT_NS);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
}

/* These are looked up as they are used. */
static void test_other_attributes_set_in_sqd(void **state)
{
    Rc *rc = *state;

    rc->attrs.attr.max_rd_atomic = 1;
    rc->attrs.attr.min_rnr_timer = 17;
    rc->attrs.av.hop_limit = 3;
    set_in_sqd(rc, SVAN_QP_ATTR_MAX_RD_ATOMIC | SVAN_QP_ATTR_MIN_RNR_TIMER |
                   SVAN_QP_ATTR_AV);
    rc_modify(rc, SVAN_QPS_RTS, 0);
    rc_post(rc, SVAN_WQE_RDMA_READ, 0, 8);
    rc_post(rc, SVAN_WQE_RDMA_READ, 0, 8);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT);
    assert_int_equal(rc->pkt.addr.hop_limit, 3);
    RC_SENT_NOTHING(rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(test_nak_before_it_is_sent_again),
        cmocka_unit_test_setup_teardown(test_own_page_costs_no_retry,
                                        setup_without_retries, teardown),
        OD_TEST(test_timeout_behind_own_page),
        OD_TEST(test_own_page_behind_a_lost_message),
        OD_TEST(test_response_page_never_comes),
        cmocka_unit_test_setup_teardown(test_response_page_costs_no_retry,
                                        setup_without_retries, teardown),
        RC_TEST(test_sequence_nak_in_rnr_wait),
        RC_TEST(test_implied_nak_in_rnr_wait),
        cmocka_unit_test(test_rnr_wait_ends_with_a_call_back),
        OD_TEST(test_responder_marks_its_call_back),
        RC_TEST(test_nak_that_comes_twice),
        cmocka_unit_test(test_nak_that_comes_twice_without_a_timeout),
        RC_TEST(test_nak_for_each_gap),
        RC_TEST(test_call_back_behind_a_nak),
        RC_TEST(test_heard_is_saved),
        RC_TEST(test_retry_counts_set_in_sqd),
        RC_TEST(test_timeout_set_in_sqd),
        RC_TEST(test_other_attributes_set_in_sqd),
    };

    return cmocka_run_group_tests_name("rc_retry", tests, NULL, NULL);
}
