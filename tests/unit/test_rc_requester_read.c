/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RC requester and completer against responses to READs and atomics (IBTA
 * volume 1, 9.7.5.1, 9.7.6.1.2).
 */
#include "rc_responses.h"

#define NOWHERE         0xfffff000u     /* a key that is none */

static void test_read(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_RDMA_READ, 1, 2 * MTU + 9);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT);
    respond(rc, SVAN_OP_READ_RESP_FIRST, PSN_OUT, MTU);
    respond(rc, SVAN_OP_READ_RESP_MIDDLE, PSN_OUT + 1, MTU);
    RC_NO_CQE(rc);
    respond(rc, SVAN_OP_READ_RESP_LAST, PSN_OUT + 2, 9);
    RC_SQ_DONE(rc, 0, SUCCESS);
    assert_int_equal(le32toh(rc->cqe.byte_len), 2 * MTU + 9);
    assert_memory_equal(rc_mem(rc, 1), rc_mem(rc, SOURCE), 2 * MTU + 9);
    assert_int_equal(rc_priv(rc)->req.rd_atomics, 0);
}

/* The queue pair has another step only when there is something to do in it. */
static void test_responses_bring_no_work(void **state)
{
    static const uint8_t opcodes[] = {
        SVAN_OP_READ_RESP_FIRST, SVAN_OP_READ_RESP_MIDDLE, SVAN_OP_READ_RESP_LAST,
    };
    Rc *rc = *state;
    const SvanWork *work = &svan_qp_get(host_fn(rc->host), rc->qp.qpn)->work;

    rc_post(rc, SVAN_WQE_RDMA_READ, 0, SIZE(opcodes) * MTU);
    rc_go(rc);
    for (uint32_t i = 0; i < SIZE(opcodes); i++) {
        SvanPkt pkt = rc_pkt(opcodes[i], PSN_OUT + i, rc_mem(rc, SOURCE), MTU);

        pkt.syndrome = ACKED;
        rc_inject(rc, &pkt);
        assert_false(svan_work_is_ready(work));
        svan_run(rc->fake->core);
        assert_int_equal(svan_work_is_ready(work), opcodes[i] == SVAN_OP_READ_RESP_LAST);
    }
    fake_run(rc->fake);
    RC_SQ_DONE(rc, 0, SUCCESS);
}

/* The rest is asked for, from the first missing packet on. */
static void test_read_rest(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_RDMA_READ, 0, 4 * MTU);
    rc_go(rc);
    rc_skip_sent(rc);
    respond(rc, SVAN_OP_READ_RESP_FIRST, PSN_OUT, MTU);
    fake_advance(rc->fake, TIMEOUT_NS);
    fake_advance(rc->fake, TIMEOUT_NS);
    RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT + 1);
    assert_true(rc->pkt.va == 0x123456789abcull + MTU);
    assert_int_equal(rc->pkt.dma_len, 3 * MTU);
    RC_SENT_NOTHING(rc);
    respond(rc, SVAN_OP_READ_RESP_FIRST, PSN_OUT + 1, MTU);
    respond(rc, SVAN_OP_READ_RESP_FIRST, PSN_OUT, MTU);         /* a ghost */
    respond(rc, SVAN_OP_READ_RESP_MIDDLE, PSN_OUT + 2, MTU);
    respond(rc, SVAN_OP_READ_RESP_LAST, PSN_OUT + 3, MTU);
    RC_SQ_DONE(rc, 0, SUCCESS);
    assert_memory_equal(rc_mem(rc, 0), rc_mem(rc, SOURCE), 4 * MTU);
}

/* 9.7.6.1.2: what comes after a missing response asks for it, once. */
static void test_implied_nak(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, SVAN_WQE_RDMA_READ, 0, 2 * MTU);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_go(rc);
    rc_skip_sent(rc);
    respond(rc, SVAN_OP_READ_RESP_LAST, PSN_OUT + 2, MTU);
    RC_SQ_DONE(rc, 0, SUCCESS);
    RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT + 1);
    assert_int_equal(rc->pkt.dma_len, 2 * MTU);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 3);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 4);
    RC_SENT_NOTHING(rc);
    for (uint32_t i = 0; i < 10; i++) {
        rc_inject_ack(rc, ACKED, PSN_OUT + 3);
    }
    RC_SENT_NOTHING(rc);
    RC_NO_CQE(rc);
    assert_int_equal(RC_STAT(rc, implied_nak_seq_err), 1);
    respond(rc, SVAN_OP_READ_RESP_FIRST, PSN_OUT + 1, MTU);
    respond(rc, SVAN_OP_READ_RESP_LAST, PSN_OUT + 2, MTU);
    rc_inject_ack(rc, ACKED, PSN_OUT + 4);
    for (uint32_t i = 1; i < 4; i++) {
        RC_SQ_DONE(rc, i, SUCCESS);
    }
}

/* Responses that do not belong to what was asked. */
static const struct {
    uint8_t wqe, response;
    uint32_t psn, length, payload;
    uint8_t status;
} misfits[] = {
    { SVAN_WQE_RDMA_READ, SVAN_OP_READ_RESP_LAST, 0, 2 * MTU, MTU,
      SVAN_CQE_BAD_RESP_ERR },
    { SVAN_WQE_RDMA_READ, SVAN_OP_READ_RESP_ONLY, 0, 2 * MTU, MTU,
      SVAN_CQE_BAD_RESP_ERR },
    { SVAN_WQE_RDMA_READ, SVAN_OP_READ_RESP_FIRST, 0, MTU, MTU,
      SVAN_CQE_BAD_RESP_ERR },
    { SVAN_WQE_RDMA_READ, SVAN_OP_ATOMIC_ACK, 0, MTU, 0,
      SVAN_CQE_BAD_RESP_ERR },
    { SVAN_WQE_RDMA_READ, SVAN_OP_READ_RESP_FIRST, 0, 2 * MTU, MTU - 4,
      SVAN_CQE_LOC_LEN_ERR },
    { SVAN_WQE_RDMA_READ, SVAN_OP_READ_RESP_ONLY, 0, 10, 11,
      SVAN_CQE_LOC_LEN_ERR },
    { SVAN_WQE_SEND, SVAN_OP_READ_RESP_ONLY, 0, 10, 10,
      SVAN_CQE_BAD_RESP_ERR },
    { SVAN_WQE_RDMA_WRITE, SVAN_OP_ATOMIC_ACK, 0, 10, 0,
      SVAN_CQE_BAD_RESP_ERR },
};

static void test_misfits(void **state)
{
    for (uint32_t i = 0; i < SIZE(misfits); i++) {
        Rc *rc = rc_new();

        rc_to(rc, SVAN_QPS_RTS);
        rc_post(rc, misfits[i].wqe, 0, misfits[i].length);
        rc_go(rc);
        respond(rc, misfits[i].response, PSN_OUT + misfits[i].psn,
                misfits[i].payload);
        assert_true(rc_done(rc, &rc->scq));
        assert_int_equal(rc->cqe.status, misfits[i].status);
        assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
        rc_free(rc);
    }
}

/* The target of a READ is looked at before anything is asked for. */
static void test_read_target(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_RDMA_READ, 0, 8);
    rc->qp.sq.bbs[0].head.sge[0].lkey = htole32(NOWHERE);
    rc_go(rc);
    RC_SENT_NOTHING(rc);
    RC_SQ_DONE(rc, 0, LOC_PROT_ERR);
    assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_KEY_INVALID);
}

/* The key goes between request and response. */
static void test_read_target_gone(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_RDMA_READ, 0, 8);
    rc_go(rc);
    host_object(rc->host, SVAN_CMD_DESTROY_KEY, rc->host->all_key);
    respond(rc, SVAN_OP_READ_RESP_ONLY, PSN_OUT, 8);
    RC_SQ_DONE(rc, 0, LOC_PROT_ERR);
}

static void test_atomic(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = rc_pkt(SVAN_OP_ATOMIC_ACK, PSN_OUT, NULL, 0);
    uint64_t found = 0x1122334455667788ull;

    rc_post_atomic(rc, SVAN_WQE_ATOMIC_CMP_SWP, 0x10, 7, 8);
    rc_post_atomic(rc, SVAN_WQE_ATOMIC_FETCH_ADD, 0x20, 9, 0);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_CMP_SWP, PSN_OUT);
    assert_true(rc->pkt.swap_add == 7 && rc->pkt.compare == 8);
    assert_true(rc->pkt.va == 0x1000 && rc->pkt.rkey == 0x7788);
    RC_SENT(rc, SVAN_OP_FETCH_ADD, PSN_OUT + 1);
    assert_true(rc->pkt.swap_add == 9 && rc->pkt.compare == 0);
    pkt.syndrome = ACKED;
    pkt.orig = found;
    rc_inject_run(rc, &pkt);
    RC_SQ_DONE(rc, 0, SUCCESS);
    assert_true(le64toh(*(uint64_t *)rc_mem(rc, 0x10)) == found);
    fake_advance(rc->fake, TIMEOUT_NS);
    fake_advance(rc->fake, TIMEOUT_NS);
    RC_SENT(rc, SVAN_OP_FETCH_ADD, PSN_OUT + 1);
}

/* Initiator depth 0: there may be none. */
static void test_no_depth(void **state)
{
    Rc *rc = rc_new();

    rc->attrs.attr.max_rd_atomic = 0;
    rc_to(rc, SVAN_QPS_RTS);
    rc_post(rc, SVAN_WQE_RDMA_READ, 0, 8);
    rc_go(rc);
    RC_SENT_NOTHING(rc);
    RC_SQ_DONE(rc, 0, LOC_QP_OP_ERR);
    rc_free(rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RC_TEST(test_read),
        RC_TEST(test_responses_bring_no_work),
        RC_TEST(test_read_rest),
        RC_TEST(test_implied_nak),
        cmocka_unit_test(test_misfits),
        RC_TEST(test_read_target),
        RC_TEST(test_read_target_gone),
        RC_TEST(test_atomic),
        cmocka_unit_test(test_no_depth),
    };

    return cmocka_run_group_tests_name("rc_requester_read", tests, NULL, NULL);
}
