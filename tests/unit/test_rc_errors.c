/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What ends an RC queue pair's send queue from this side: local errors, changes of
 * its state (IBTA volume 1, 10.3.1, 10.10.2.3).
 */
#include "rc_peer.h"

#define TIMEOUT_NS      (4096ull << 10)
#define NOWHERE         0xfffff000u     /* a key that is none */

static void post_sends(Rc *rc, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rc_post(rc, SVAN_WQE_SEND, 16 * i, 8);
    }
    rc_go(rc);
}

/* ---- local errors ---- */

/* Reported when everything before is done, and nothing behind is begun. */
static void test_local_error_in_order(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc->qp.sq.bbs[1].head.sge[0].lkey = htole32(NOWHERE);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    RC_SENT_NOTHING(rc);
    RC_NO_CQE(rc);
    fake_advance(rc->fake, TIMEOUT_NS);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    RC_SENT_NOTHING(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    RC_SQ_DONE(rc, 0, SUCCESS);
    RC_SQ_DONE(rc, 1, LOC_PROT_ERR);
    RC_SQ_DONE(rc, 2, WR_FLUSH_ERR);
    RC_NO_CQE(rc);
}

/* It has found an error of its own, but one before it comes first. */
static void test_local_error_behind_another(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc->qp.sq.bbs[1].head.sge[0].lkey = htole32(NOWHERE);
    rc_go(rc);
    rc_skip_sent(rc);
    rc_inject_ack(rc, NAK(REMOTE_OPERATIONAL), PSN_OUT);
    RC_SQ_DONE(rc, 0, REM_OP_ERR);
    RC_SQ_DONE(rc, 1, WR_FLUSH_ERR);
    assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_NONE);
    RC_NO_CQE(rc);
}

/* The same, flushed by command. */
static void test_local_error_is_flushed(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc->qp.sq.bbs[1].head.sge[0].lkey = htole32(NOWHERE);
    rc_go(rc);
    rc_modify(rc, SVAN_QPS_ERR, 0);
    RC_SQ_DONE(rc, 0, WR_FLUSH_ERR);
    RC_SQ_DONE(rc, 1, WR_FLUSH_ERR);
    RC_NO_CQE(rc);
}

/* Wherever the flushing has come to, that state is accepted. */
static void test_local_error_is_saved(void **state)
{
    Rc *rc = *state;

    for (uint32_t i = 0; i < 20; i++) {
        rc_post(rc, SVAN_WQE_SEND, 0, 8);
    }
    rc->qp.sq.bbs[18].head.ctrl.num_sge = SVAN_MAX_SGE + 1;
    rc_go(rc);
    svan_qp_error(rc->core, 0, SVAN_SYN_NONE);
    for (uint32_t i = 0; i < 10; i++) {
        svan_run(rc->fake->core);
        assert_true(fake_restore(rc->fake));
    }
    for (uint32_t i = 0; i < 20; i++) {
        RC_SQ_DONE(rc, i, WR_FLUSH_ERR);
    }
    RC_NO_CQE(rc);
}

static void test_bad_wqe(void **state)
{
    Rc *rc = *state;

    rc_post(rc, 0x77, 0, 8);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_go(rc);
    RC_SENT_NOTHING(rc);
    RC_SQ_DONE(rc, 0, LOC_QP_OP_ERR);
    assert_int_equal(rc->cqe.wqe_opcode, 0x77);
    assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_OPCODE);
    RC_SQ_DONE(rc, 1, WR_FLUSH_ERR);
}

/* A WQE that is changed while it is outstanding is not sent again. */
static void test_changed_wqe(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 2);
    rc_skip_sent(rc);
    rc->qp.sq.bbs[0].head.sge[0].length = htole32(4 * MTU);
    fake_advance(rc->fake, TIMEOUT_NS);
    RC_SENT_NOTHING(rc);
    RC_SQ_DONE(rc, 0, LOC_QP_OP_ERR);
    RC_SQ_DONE(rc, 1, WR_FLUSH_ERR);
}

static void test_bad_index(void **state)
{
    Rc *rc = *state;

    host_dbr(&rc->qp)->sq_pi = htole32(513);
    host_ring(&rc->qp, SVAN_UAR_SQ_DB, 513);
    fake_run(rc->fake);
    assert_int_equal(rc_event(rc), SVAN_EVENT_QP_FATAL);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
}

static void test_cq_overrun(void **state)
{
    Rc *rc = *state;
    uint32_t posted = 0;

    while (posted < 600 && host_state(&rc->qp) == SVAN_QPS_RTS) {
        rc_post(rc, SVAN_WQE_SEND, 0, 8);
        rc_go(rc);
        rc_skip_sent(rc);
        rc_inject_ack(rc, ACKED, PSN_OUT + posted++);
    }
    assert_int_equal(posted, 513);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
    /* nothing is left to report to, but nothing hangs either */
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_go(rc);
    assert_int_equal(svan_rc_transport.sq_ci(rc->core), rc->qp.sq_pi);
}

/* ---- states ---- */

static void test_flush(void **state)
{
    Rc *rc = *state;

    post_sends(rc, SVAN_RC_WINDOW + 10);
    rc_inject_ack(rc, ACKED, PSN_OUT + 1);
    rc_modify(rc, SVAN_QPS_ERR, 0);
    RC_SQ_DONE(rc, 0, SUCCESS);
    RC_SQ_DONE(rc, 1, SUCCESS);
    for (uint32_t i = 2; i < SVAN_RC_WINDOW + 10; i++) {
        RC_SQ_DONE(rc, i, WR_FLUSH_ERR);
    }
    RC_NO_CQE(rc);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, 0x77, 0, 8);
    rc->qp.sq.bbs[SVAN_RC_WINDOW + 10].head.ctrl.flags = 0;
    rc_go(rc);
    RC_SQ_DONE(rc, SVAN_RC_WINDOW + 10, WR_FLUSH_ERR);
    RC_SQ_DONE(rc, SVAN_RC_WINDOW + 11, WR_FLUSH_ERR);
    RC_NO_CQE(rc);
    fake_advance(rc->fake, 100 * TIMEOUT_NS);
    rc_skip_sent(rc);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
}

/* 10.3.1.5: what was begun is finished, nothing new is begun. */
static void test_drain(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 2);
    rc_modify(rc, SVAN_QPS_SQD, SVAN_QP_ATTR_SQD_NOTIFY);
    assert_true(rc->core->sq_draining);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_go(rc);
    assert_int_equal(rc_skip_sent(rc), 2);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    assert_int_equal(rc_event(rc), 0);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT + 1);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 1);
    RC_SENT_NOTHING(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT + 1);
    assert_int_equal(rc_event(rc), SVAN_EVENT_QP_SQ_DRAINED);
    assert_int_equal(rc_event(rc), 0);
    assert_false(rc->core->sq_draining);
    rc_modify(rc, SVAN_QPS_RTS, 0);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 2);
}

/* RESET forgets everything: the next connection begins afresh. */
static void test_reset(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 3);
    rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 1, PSN_OUT);
    rc_modify(rc, SVAN_QPS_RESET, 0);
    memset(host_dbr(&rc->qp), 0, sizeof(struct svan_qp_dbr));
    rc->qp.sq_pi = 0;
    rc_skip_sent(rc);
    fake_advance(rc->fake, 100 * TIMEOUT_NS);
    RC_SENT_NOTHING(rc);
    RC_NO_CQE(rc);
    rc_to(rc, SVAN_QPS_RTS);
    post_sends(rc, 1);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    RC_SENT_NOTHING(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    RC_SQ_DONE(rc, 0, SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RC_TEST(test_local_error_in_order),
        RC_TEST(test_local_error_behind_another),
        RC_TEST(test_local_error_is_flushed),
        RC_TEST(test_local_error_is_saved),
        RC_TEST(test_bad_wqe),
        RC_TEST(test_changed_wqe),
        RC_TEST(test_bad_index),
        RC_TEST(test_cq_overrun),
        RC_TEST(test_flush),
        RC_TEST(test_drain),
        RC_TEST(test_reset),
    };

    return cmocka_run_group_tests_name("rc_errors", tests, NULL, NULL);
}
