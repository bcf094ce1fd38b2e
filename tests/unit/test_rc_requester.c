/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RC requester and completer against hand-written responses (IBTA volume 1,
 * 9.7.2, 9.7.5, 9.7.6, 9.9.2).
 */
#include "rc_responses.h"

/* ---- what leaves ---- */

static void assert_payload(Rc *rc, uint32_t offset, uint32_t len)
{
    assert_int_equal(rc->pkt.payload_len, len);
    assert_memory_equal(rc->pkt.runs[0].host, rc_mem(rc, offset), len);
}

static void test_write_segments(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_RDMA_WRITE, 3, 2 * MTU + 5);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_WRITE_FIRST, PSN_OUT);
    assert_payload(rc, 3, MTU);
    assert_true(rc->pkt.va == 0x123456789abcull);
    assert_int_equal(rc->pkt.rkey, 0x7788);
    assert_int_equal(rc->pkt.dma_len, 2 * MTU + 5);
    assert_false(rc->pkt.ack_req);
    RC_SENT(rc, SVAN_OP_WRITE_MIDDLE, PSN_OUT + 1);
    assert_payload(rc, 3 + MTU, MTU);
    assert_false(rc->pkt.ack_req);
    RC_SENT(rc, SVAN_OP_WRITE_LAST, PSN_OUT + 2);
    assert_payload(rc, 3 + 2 * MTU, 5);
    assert_true(rc->pkt.ack_req);
    RC_SENT_NOTHING(rc);
    RC_NO_CQE(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT + 2);
    RC_SQ_DONE(rc, 0, SUCCESS);
    assert_int_equal(rc->cqe.wqe_opcode, SVAN_WQE_RDMA_WRITE);
}

/* Every kind of request in one packet. */
static const struct {
    uint8_t wqe, packet;
    uint32_t length;
} kinds[] = {
    { SVAN_WQE_SEND, SVAN_OP_SEND_ONLY, 10 },
    { SVAN_WQE_SEND, SVAN_OP_SEND_ONLY, 0 },
    { SVAN_WQE_SEND, SVAN_OP_SEND_ONLY, MTU },
    { SVAN_WQE_SEND_IMM, SVAN_OP_SEND_ONLY_IMM, 10 },
    { SVAN_WQE_RDMA_WRITE, SVAN_OP_WRITE_ONLY, 10 },
    { SVAN_WQE_RDMA_WRITE, SVAN_OP_WRITE_ONLY, 0 },
    { SVAN_WQE_RDMA_WRITE_IMM, SVAN_OP_WRITE_ONLY_IMM, 10 },
    { SVAN_WQE_RDMA_READ, SVAN_OP_READ_REQUEST, 10 * MTU },
};

static void test_kinds(void **state)
{
    for (uint32_t i = 0; i < SIZE(kinds); i++) {
        Rc *rc = rc_new();
        uint32_t payload = kinds[i].wqe == SVAN_WQE_RDMA_READ ? 0 :
                           kinds[i].length;

        rc_to(rc, SVAN_QPS_RTS);
        rc_post(rc, kinds[i].wqe, 0, kinds[i].length);
        rc->qp.sq.bbs[0].head.ctrl.imm = htobe32(0x55aa);
        rc->qp.sq.bbs[0].head.ctrl.flags |=
            kinds[i].wqe == SVAN_WQE_RDMA_READ ? 0 : SVAN_WQE_SOLICITED;
        rc_go(rc);
        RC_SENT(rc, kinds[i].packet, PSN_OUT);
        assert_int_equal(rc->pkt.payload_len, payload);
        assert_true(rc->pkt.ack_req);
        if (svan_op_info(kinds[i].packet)->immdt) {
            assert_int_equal(be32toh(rc->pkt.imm), 0x55aa);
        }
        if (svan_op_info(kinds[i].packet)->reth) {
            assert_int_equal(rc->pkt.dma_len, kinds[i].length);
        }
        assert_int_equal(!!(rc->pkt.bth_flags & SVAN_BTH_SE),
                         kinds[i].wqe != SVAN_WQE_RDMA_READ);
        RC_SENT_NOTHING(rc);
        rc_free(rc);
    }
}

static void test_inline(void **state)
{
    Rc *rc = *state;
    uint8_t bytes[SVAN_MAX_INLINE];
    struct svan_wqe_head *head;

    memset(bytes, 0x3c, sizeof(bytes));
    head = svan_wqe_begin(&rc->qp.sq, 0, SVAN_WQE_SEND, SVAN_WQE_SIGNALED, 0);
    svan_wqe_put_inline(&rc->qp.sq, 0, 0, bytes, sizeof(bytes));
    svan_wqe_set_inline(head, sizeof(bytes));
    rc->qp.sq_pi += head->ctrl.num_bbs;
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_SEND_FIRST, PSN_OUT);
    assert_memory_equal(rc->pkt.runs[0].host, bytes, MTU);
    RC_SENT(rc, SVAN_OP_SEND_LAST, PSN_OUT + 1);
    assert_int_equal(rc->pkt.payload_len, SVAN_MAX_INLINE - MTU);
    assert_memory_equal(rc->pkt.runs[0].host, bytes, SVAN_MAX_INLINE - MTU);
    rc_inject_ack(rc, ACKED, PSN_OUT + 1);
    RC_SQ_DONE(rc, 0, SUCCESS);
}

static void test_nop(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_NOP, 0, 0);
    rc_go(rc);
    RC_SENT_NOTHING(rc);
    RC_SQ_DONE(rc, 0, SUCCESS);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, SVAN_WQE_NOP, 0, 0);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 1);
    RC_NO_CQE(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    RC_SQ_DONE(rc, 1, SUCCESS);
    RC_SQ_DONE(rc, 2, SUCCESS);
    RC_NO_CQE(rc);
}

/* An ACK is asked for in long messages, and when the window is full. */
static void test_window_of_packets(void **state)
{
    Rc *rc = *state;
    uint32_t asked = 0, n;

    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 1000 * MTU);
    rc_go(rc);
    for (n = 0; rc_sent(rc); n++) {
        asked += rc->pkt.ack_req;
    }
    assert_int_equal(n, SVAN_RC_MAX_UNACKED);
    assert_true(rc->pkt.ack_req || n < SVAN_RC_MAX_UNACKED);
    assert_int_equal(asked, SVAN_RC_MAX_UNACKED / SVAN_RC_ACK_EVERY);
    rc_inject_ack(rc, ACKED, PSN_OUT + 9);
    assert_int_equal(rc_skip_sent(rc), 10);
    RC_NO_CQE(rc);
}

static void test_window_of_wqes(void **state)
{
    Rc *rc = *state;

    post_sends(rc, SVAN_RC_WINDOW + 20);
    assert_int_equal(rc_skip_sent(rc), SVAN_RC_WINDOW);
    rc_inject_ack(rc, ACKED, PSN_OUT + 4);
    assert_int_equal(rc_skip_sent(rc), 5);
    rc_inject_ack(rc, ACKED, PSN_OUT + SVAN_RC_WINDOW + 4);
    assert_int_equal(rc_skip_sent(rc), 15);
    rc_inject_ack(rc, ACKED, PSN_OUT + SVAN_RC_WINDOW + 19);
    for (uint32_t i = 0; i < SVAN_RC_WINDOW + 20; i++) {
        RC_SQ_DONE(rc, i, SUCCESS);
    }
    RC_NO_CQE(rc);
}

static void test_read_limit(void **state)
{
    Rc *rc = *state;

    for (uint32_t i = 0; i < 6; i++) {
        rc_post(rc, SVAN_WQE_RDMA_READ, 0x1000 * i, 8);
    }
    rc_go(rc);
    assert_int_equal(rc_skip_sent(rc), 4);
    for (uint32_t i = 0; i < 2; i++) {
        SvanPkt pkt = rc_pkt(SVAN_OP_READ_RESP_ONLY, PSN_OUT + i,
                             rc_mem(rc, 0x8000), 8);

        rc_inject_run(rc, &pkt);
        RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT + 4 + i);
        RC_SENT_NOTHING(rc);
        RC_SQ_DONE(rc, i, SUCCESS);
    }
}

/* 10.8.3.3: the fenced WQE waits for READs and atomics, not for others. */
static void test_fence(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = rc_pkt(SVAN_OP_READ_RESP_ONLY, PSN_OUT + 1,
                         rc_mem(rc, 0x8000), 8);

    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, SVAN_WQE_RDMA_READ, 0, 8);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc->qp.sq.bbs[3].head.ctrl.flags |= SVAN_WQE_FENCE;
    rc_go(rc);
    assert_int_equal(rc_skip_sent(rc), 3);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    RC_SENT_NOTHING(rc);
    rc_inject_run(rc, &pkt);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 3);
    RC_SENT_NOTHING(rc);
}

static void test_blocked(void **state)
{
    Rc *rc = *state;

    rc->fake->out_full = true;
    post_sends(rc, 2);
    RC_SENT_NOTHING(rc);
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 1);
    RC_SENT_NOTHING(rc);
}

/* ---- ACKs ---- */

static void test_ack_coalesced(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 5);
    rc_inject_ack(rc, ACKED, PSN_OUT + 3);
    for (uint32_t i = 0; i < 4; i++) {
        RC_SQ_DONE(rc, i, SUCCESS);
    }
    RC_NO_CQE(rc);
}

static void test_unsignaled(void **state)
{
    Rc *rc = *state;

    for (uint32_t i = 0; i < 4; i++) {
        rc_post(rc, SVAN_WQE_SEND, 0, 8);
        rc->qp.sq.bbs[i].head.ctrl.flags = i == 2 ? SVAN_WQE_SIGNALED : 0;
    }
    rc_go(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT + 3);
    RC_SQ_DONE(rc, 2, SUCCESS);
    RC_NO_CQE(rc);
    assert_int_equal(svan_rc_transport.sq_ci(rc->core), 4);
}

/* Of packets that were answered before, never sent, or of another age. */
static void test_ghost_acks(void **state)
{
    Rc *rc = *state;

    rc_inject_ack(rc, ACKED, PSN_OUT);
    rc_inject_ack(rc, NAK(REMOTE_ACCESS), PSN_OUT);
    post_sends(rc, 2);
    rc_skip_sent(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT - 1);
    rc_inject_ack(rc, ACKED, PSN_OUT + 2);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT + 2);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT - 1);
    rc_inject_ack(rc, ACKED, PSN_OUT + 0x800000);
    rc_inject_ack(rc, 0x40, PSN_OUT);           /* a reserved syndrome */
    RC_NO_CQE(rc);
    RC_SENT_NOTHING(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT + 1);
    RC_SQ_DONE(rc, 0, SUCCESS);
    RC_SQ_DONE(rc, 1, SUCCESS);
    rc_inject_ack(rc, ACKED, PSN_OUT + 1);
    rc_inject_ack(rc, NAK(REMOTE_ACCESS), PSN_OUT + 1);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_RTS);
}

/* ---- going back ---- */

static void test_sequence_nak(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 4);
    rc_skip_sent(rc);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT + 1);
    RC_SQ_DONE(rc, 0, SUCCESS);
    RC_NO_CQE(rc);
    for (uint32_t i = 1; i < 4; i++) {
        RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + i);
        assert_payload(rc, 16 * i, 8);
    }
    RC_SENT_NOTHING(rc);
    assert_int_equal(RC_STAT(rc, packet_seq_err), 1);
    assert_int_equal(RC_STAT(rc, retransmits), 3);
}

/* In the middle of a message, with the headers of the middle. */
static void test_go_back_into_message(void **state)
{
    Rc *rc = *state;

    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 3 * MTU);
    rc_go(rc);
    rc_skip_sent(rc);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT + 1);
    RC_SENT(rc, SVAN_OP_WRITE_MIDDLE, PSN_OUT + 1);
    assert_payload(rc, MTU, MTU);
    RC_SENT(rc, SVAN_OP_WRITE_LAST, PSN_OUT + 2);
    RC_SENT_NOTHING(rc);
}

/* An ACK of the first pass ends what the second has still to send. */
static void test_late_ack(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 4);
    rc_skip_sent(rc);
    rc->fake->out_full = true;
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT + 1);
    rc_inject_ack(rc, ACKED, PSN_OUT + 2);
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 3);
    RC_SENT_NOTHING(rc);
}

static void test_timeout(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 2);
    rc_skip_sent(rc);
    fake_advance(rc->fake, TIMEOUT_NS - 1);
    RC_SENT_NOTHING(rc);
    for (uint32_t i = 0; i < 3; i++) {
        fake_advance(rc->fake, i ? TIMEOUT_NS : 1);
        RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
        RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 1);
        RC_SENT_NOTHING(rc);
        RC_NO_CQE(rc);
    }
    fake_advance(rc->fake, TIMEOUT_NS);
    RC_SENT_NOTHING(rc);
    RC_SQ_DONE(rc, 0, RETRY_EXC_ERR);
    assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_TIMEOUT);
    RC_SQ_DONE(rc, 1, WR_FLUSH_ERR);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
    assert_int_equal(RC_STAT(rc, local_ack_timeout_err), 4);
    assert_int_equal(RC_STAT(rc, req_cqe_error), 1);
    assert_int_equal(RC_STAT(rc, req_cqe_flush_error), 1);
    assert_int_equal(rc_event(rc), 0);
}

/* Progress gives all retries back, and the timer a new period. */
static void test_timeout_progress(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 8);
    for (uint32_t i = 0; i < 7; i++) {
        rc_skip_sent(rc);
        fake_advance(rc->fake, TIMEOUT_NS - 10);
        rc_inject_ack(rc, ACKED, PSN_OUT + i);
        fake_advance(rc->fake, 20);
        RC_SENT_NOTHING(rc);
        fake_advance(rc->fake, TIMEOUT_NS);
        RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + i + 1);
        RC_SQ_DONE(rc, i, SUCCESS);
    }
    RC_NO_CQE(rc);
}

/* 9.7.6.1.3: a timeout of 0 is none. And nothing outstanding times out. */
static void test_no_timeout(void **state)
{
    Rc *rc = rc_new();

    rc->attrs.attr.timeout = 0;
    rc_to(rc, SVAN_QPS_RTS);
    post_sends(rc, 1);
    assert_int_equal(rc_skip_sent(rc), 1);
    fake_advance(rc->fake, 1ull << 60);
    RC_SENT_NOTHING(rc);
    rc_free(rc);
    rc = rc_new();
    rc_to(rc, SVAN_QPS_RTS);
    post_sends(rc, 1);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    rc_skip_sent(rc);
    fake_advance(rc->fake, 100 * TIMEOUT_NS);
    fake_advance(rc->fake, 100 * TIMEOUT_NS);
    RC_SENT_NOTHING(rc);
    assert_int_equal(RC_STAT(rc, local_ack_timeout_err), 0);
    rc_free(rc);
}

/* ---- RNR ---- */

static void test_rnr_wait(void **state)
{
    /* table 45, in units of 10 us; code 0 is the longest */
    static const uint32_t units[32] = {
        65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256,
        384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384,
        24576, 32768, 49152,
    };

    for (uint32_t code = 0; code < 32; code++) {
        Rc *rc = rc_new();

        rc_to(rc, SVAN_QPS_RTS);
        post_sends(rc, 3);
        rc_skip_sent(rc);
        rc_inject_ack(rc, SVAN_AETH_RNR_NAK | code, PSN_OUT + 1);
        RC_SQ_DONE(rc, 0, SUCCESS);
        fake_advance(rc->fake, units[code] * 10000ull - 1);
        rc_post(rc, SVAN_WQE_SEND, 0, 8);
        rc_go(rc);
        RC_SENT_NOTHING(rc);
        fake_advance(rc->fake, 1);
        for (uint32_t i = 1; i < 4; i++) {
            RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + i);
        }
        rc_free(rc);
    }
}

/* The responder had kept it: what follows need not wait. */
static void test_rnr_wait_ends_with_the_ack(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 2);
    rc_skip_sent(rc);
    rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 31, PSN_OUT);
    RC_SENT_NOTHING(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    RC_SQ_DONE(rc, 0, SUCCESS);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 1);
    /* the time that was given is over: nothing */
    rc_inject_ack(rc, ACKED, PSN_OUT + 1);
    RC_SQ_DONE(rc, 1, SUCCESS);
    fake_advance(rc->fake, svan_rc_rnr_ns(31));
    RC_SENT_NOTHING(rc);
}

static void test_rnr_exhausted(void **state)
{
    Rc *rc = *state;

    post_sends(rc, 1);
    for (uint32_t i = 0; i < 3; i++) {
        RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
        RC_NO_CQE(rc);
        rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 1, PSN_OUT);
        /* the same one, duplicated on its way, is no news */
        rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 1, PSN_OUT);
        fake_advance(rc->fake, 10000);
    }
    RC_SENT_NOTHING(rc);
    RC_SQ_DONE(rc, 0, RNR_RETRY_EXC_ERR);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
    assert_int_equal(RC_STAT(rc, rnr_nak_retry_err), 3);
}

/*
 * A request that is asked for again for ever is asked for less and less often: soon enough for
 * who gets ready late, and next to never for who never will.
 */
static void test_rnr_for_ever(void **state)
{
    const uint64_t longest = svan_rc_rnr_ns(0);
    uint64_t wait, elapsed = 0;
    int64_t first = 0;
    Rc *rc = rc_new();

    rc->attrs.attr.rnr_retry = 7;
    rc_to(rc, SVAN_QPS_RTS);
    post_sends(rc, 1);
    for (uint32_t naks = 0; naks < 150; naks++) {
        RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
        rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 1, PSN_OUT);
        /* the clock that counts has a resolution of 2^12 ns */
        first = first ? first : (int64_t)(svan_now(rc->fake->core) >> 12) ?: -1;
        wait = (((svan_now(rc->fake->core) >> 12) - first) << 12) / 8;
        wait = wait < 10000 ? 10000 : wait;
        wait = wait < longest ? wait : longest;
        fake_advance(rc->fake, wait - 1);
        RC_SENT_NOTHING(rc);
        fake_advance(rc->fake, 1);
        elapsed += wait;
    }
    assert_true(elapsed > 25000000000ull);
    RC_NO_CQE(rc);

    /* what gets through ends that */
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT);
    rc_inject_ack(rc, SVAN_AETH_ACK | 31, PSN_OUT);
    RC_SQ_DONE(rc, 0, SUCCESS);
    post_sends(rc, 1);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 1);
    rc_inject_ack(rc, SVAN_AETH_RNR_NAK | 1, PSN_OUT + 1);
    fake_advance(rc->fake, 10000);
    RC_SENT(rc, SVAN_OP_SEND_ONLY, PSN_OUT + 1);
    rc_free(rc);
}

/* ---- NAKs that end it, table 44 ---- */

static const struct {
    uint8_t code, status;
} naks[] = {
    { NAK(INVALID_REQUEST), SVAN_CQE_REM_INV_REQ_ERR },
    { NAK(REMOTE_ACCESS), SVAN_CQE_REM_ACCESS_ERR },
    { NAK(REMOTE_OPERATIONAL), SVAN_CQE_REM_OP_ERR },
    { NAK(INVALID_RD_REQUEST), SVAN_CQE_BAD_RESP_ERR },
    { SVAN_AETH_NAK | 31, SVAN_CQE_BAD_RESP_ERR },
};

static void test_naks(void **state)
{
    for (uint32_t i = 0; i < SIZE(naks); i++) {
        Rc *rc = rc_new();

        rc_to(rc, SVAN_QPS_RTS);
        post_sends(rc, 3);
        rc_skip_sent(rc);
        rc_inject_ack(rc, naks[i].code, PSN_OUT + 1);
        RC_SQ_DONE(rc, 0, SUCCESS);
        assert_true(rc_done(rc, &rc->scq));
        assert_int_equal(le32toh(rc->cqe.wqe_index), 1);
        assert_int_equal(rc->cqe.status, naks[i].status);
        assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_NAK);
        RC_SQ_DONE(rc, 2, WR_FLUSH_ERR);
        RC_NO_CQE(rc);
        RC_SENT_NOTHING(rc);
        assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
        rc_free(rc);
    }
}

/* ---- restartable steps ---- */

static void all_responses(Rc *rc)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_ATOMIC_ACK, PSN_OUT + 5, NULL, 0);

    rc_post(rc, SVAN_WQE_SEND, 0xfc0, 2 * MTU);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0x1fff, 2);
    rc_post(rc, SVAN_WQE_RDMA_READ, 0x2f80, MTU + 1);
    rc_post_atomic(rc, SVAN_WQE_ATOMIC_FETCH_ADD, 0x3ffc, 1, 0);
    rc_post(rc, 0x77, 0, 0);
    rc_go(rc);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT + 1);
    respond(rc, SVAN_OP_READ_RESP_FIRST, PSN_OUT + 3, MTU);
    respond(rc, SVAN_OP_READ_RESP_LAST, PSN_OUT + 4, 1);
    pkt.orig = 0x0102030405060708ull;
    rc_inject_run(rc, &pkt);
}

typedef struct Outcome {
    uint8_t memory[0x5000];
    uint8_t frames[16384];
    uint32_t frame_bytes;
    struct svan_cqe cqes[8];
} Outcome;

static uint64_t run_with_miss(uint64_t miss_at, Outcome *out)
{
    Rc *rc = rc_new();
    uint64_t before;

    memset(out, 0, sizeof(*out));
    rc_to(rc, SVAN_QPS_RTS);
    before = rc->fake->maps;
    rc->fake->miss_at = miss_at ? before + miss_at : 0;
    all_responses(rc);
    before = rc->fake->maps - before;
    memcpy(out->memory, rc_mem(rc, 0), sizeof(out->memory));
    while (rc_sent(rc)) {
        memcpy(out->frames + out->frame_bytes, rc->frame->data,
               rc->frame->len);
        out->frame_bytes += rc->frame->len;
    }
    for (uint32_t i = 0; i < SIZE(out->cqes) && rc_done(rc, &rc->scq); i++) {
        out->cqes[i] = rc->cqe;
    }
    rc_free(rc);
    return before;
}

static void test_miss_anywhere(void **state)
{
    Outcome *expected = malloc(sizeof(*expected));
    Outcome *seen = malloc(sizeof(*seen));
    uint64_t maps = run_with_miss(0, expected);

    assert_int_equal(expected->cqes[4].status, SVAN_CQE_LOC_QP_OP_ERR);
    for (uint64_t at = 1; at <= maps; at++) {
        run_with_miss(at, seen);
        assert_memory_equal(seen, expected, sizeof(*seen));
    }
    free(expected);
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RC_TEST(test_write_segments),
        cmocka_unit_test(test_kinds),
        RC_TEST(test_inline),
        RC_TEST(test_nop),
        RC_TEST(test_window_of_packets),
        RC_TEST(test_window_of_wqes),
        RC_TEST(test_read_limit),
        RC_TEST(test_fence),
        RC_TEST(test_blocked),
        RC_TEST(test_ack_coalesced),
        RC_TEST(test_unsignaled),
        RC_TEST(test_ghost_acks),
        RC_TEST(test_sequence_nak),
        RC_TEST(test_go_back_into_message),
        RC_TEST(test_late_ack),
        RC_TEST(test_timeout),
        RC_TEST(test_timeout_progress),
        cmocka_unit_test(test_no_timeout),
        cmocka_unit_test(test_rnr_wait),
        RC_TEST(test_rnr_wait_ends_with_the_ack),
        RC_TEST(test_rnr_exhausted),
        cmocka_unit_test(test_rnr_for_ever),
        cmocka_unit_test(test_naks),
        cmocka_unit_test(test_miss_anywhere),
    };

    return cmocka_run_group_tests_name("rc_requester", tests, NULL, NULL);
}
