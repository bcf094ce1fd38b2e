/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RC responder against hand-written requests (IBTA volume 1, 9.7.4, 9.7.5).
 */
#include "rc_requests.h"

/* ---- SEND ---- */

static void test_send_only(void **state)
{
    Rc *rc = *state;

    host_recv(&rc->qp, rc->buffer + TARGET, 100);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, 60);
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    assert_int_equal(rc->pkt.msn, 1);
    RC_SENT_NOTHING(rc);
    RC_RQ_DONE(rc, 0, RECV, SUCCESS);
    assert_int_equal(le32toh(rc->cqe.byte_len), 60);
    assert_false(rc->cqe.owner & SVAN_CQE_SOLICITED);
    assert_memory_equal(rc_mem(rc, TARGET), DATA(rc), 60);
    RC_NO_CQE(rc);
}

static void test_send_segments(void **state)
{
    Rc *rc = *state;
    SvanPkt last;

    host_recv(&rc->qp, rc->buffer + TARGET, 3 * MTU);
    send(rc, SVAN_OP_SEND_FIRST, PSN_IN, MTU);
    send(rc, SVAN_OP_SEND_MIDDLE, PSN_IN + 1, MTU);
    last = request(rc, SVAN_OP_SEND_LAST_IMM, PSN_IN + 2, 7);
    last.imm = htobe32(0xabcd);
    last.bth_flags = SVAN_BTH_SE;
    rc_inject_run(rc, &last);
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    assert_int_equal(rc->pkt.msn, 0);
    RC_SENT_AETH(rc, PSN_IN + 1, ACKED);
    RC_SENT_AETH(rc, PSN_IN + 2, ACKED);
    assert_int_equal(rc->pkt.msn, 1);
    RC_RQ_DONE(rc, 0, RECV_IMM, SUCCESS);
    assert_int_equal(le32toh(rc->cqe.byte_len), 2 * MTU + 7);
    assert_int_equal(be32toh(rc->cqe.imm), 0xabcd);
    assert_true(rc->cqe.owner & SVAN_CQE_SOLICITED);
    assert_memory_equal(rc_mem(rc, TARGET + 2 * MTU), DATA(rc), 7);
}

/* Without AckReq there is no ACK; several are answered at once (9.7.5.1.2). */
static void test_ack_coalesced(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = request(rc, SVAN_OP_SEND_ONLY, PSN_IN, 4);

    for (uint32_t i = 0; i < 4; i++) {
        host_recv(&rc->qp, rc->buffer + TARGET, 100);
    }
    pkt.ack_req = false;
    rc_inject_run(rc, &pkt);
    RC_SENT_NOTHING(rc);
    rc->fake->out_full = true;
    for (uint32_t i = 1; i < 4; i++) {
        pkt.ack_req = i < 3;
        pkt.psn = PSN_IN + i;
        rc_inject_run(rc, &pkt);
    }
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    RC_SENT_AETH(rc, PSN_IN + 3, ACKED);
    assert_int_equal(rc->pkt.msn, 4);
    RC_SENT_NOTHING(rc);
}

static void test_send_duplicate(void **state)
{
    Rc *rc = *state;

    host_recv(&rc->qp, rc->buffer + TARGET, 100);
    host_recv(&rc->qp, rc->buffer + TARGET, 100);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, 60);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN + 1, 60);
    rc_skip_sent(rc);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, 61);
    RC_SENT_AETH(rc, PSN_IN + 1, ACKED);
    assert_int_equal(rc->pkt.msn, 2);
    assert_int_equal(RC_STAT(rc, duplicate_request), 1);
    RC_RQ_DONE(rc, 0, RECV, SUCCESS);
    RC_RQ_DONE(rc, 1, RECV, SUCCESS);
    RC_NO_CQE(rc);
}

/* The oldest PSN that is a duplicate, and the youngest that is ahead. */
static void test_psn_regions(void **state)
{
    Rc *rc = *state;

    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN - 0x800000, 4);
    RC_SENT_AETH(rc, PSN_IN - 1, ACKED);
    assert_int_equal(RC_STAT(rc, duplicate_request), 1);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN + 0x7fffff, 4);
    RC_SENT_AETH(rc, PSN_IN, NAK(PSN_SEQ));
    assert_int_equal(RC_STAT(rc, out_of_sequence), 1);
}

static void test_sequence_nak_once(void **state)
{
    Rc *rc = *state;

    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN, 4);
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    for (uint32_t i = 2; i < 6; i++) {
        send(rc, SVAN_OP_WRITE_ONLY, PSN_IN + i, 4);
    }
    RC_SENT_AETH(rc, PSN_IN + 1, NAK(PSN_SEQ));
    RC_SENT_NOTHING(rc);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN + 1, 4);
    RC_SENT_AETH(rc, PSN_IN + 1, ACKED);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN + 3, 4);
    RC_SENT_AETH(rc, PSN_IN + 2, NAK(PSN_SEQ));
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_RTS);
    assert_int_equal(RC_STAT(rc, out_of_sequence), 5);
}

/* The gap is filled before the NAK could leave: then there is none. */
static void test_sequence_nak_cancelled(void **state)
{
    Rc *rc = *state;

    rc->fake->out_full = true;
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN + 1, 4);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN, 4);
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    RC_SENT_NOTHING(rc);
}

/* ---- RNR, 9.7.5.2.8 ---- */

static void test_rnr(void **state)
{
    Rc *rc = *state;

    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, 60);
    RC_SENT_AETH(rc, PSN_IN, SVAN_AETH_RNR_NAK | 9);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN + 1, 60);
    RC_SENT_NOTHING(rc);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, 60);
    RC_SENT_AETH(rc, PSN_IN, SVAN_AETH_RNR_NAK | 9);
    assert_int_equal(RC_STAT(rc, rnr_nak_sent), 2);
    assert_int_equal(RC_STAT(rc, out_of_buffer), 2);
    assert_int_equal(RC_STAT(rc, out_of_sequence), 0);
    host_recv(&rc->qp, rc->buffer + TARGET, 60);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, 60);
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    RC_RQ_DONE(rc, 0, RECV, SUCCESS);
}

/* The data of a WRITE may go ahead of the receive WQE, its last packet not. */
static void test_rnr_write_imm(void **state)
{
    Rc *rc = *state;
    SvanPkt first = request(rc, SVAN_OP_WRITE_FIRST, PSN_IN, MTU);

    first.dma_len = MTU + 10;
    first.ack_req = false;
    rc_inject_run(rc, &first);
    RC_SENT_NOTHING(rc);
    send(rc, SVAN_OP_WRITE_LAST_IMM, PSN_IN + 1, 10);
    RC_SENT_AETH(rc, PSN_IN + 1, SVAN_AETH_RNR_NAK | 9);
    host_recv(&rc->qp, 0, 0);
    send(rc, SVAN_OP_WRITE_LAST_IMM, PSN_IN + 1, 10);
    RC_SENT_AETH(rc, PSN_IN + 1, ACKED);
    RC_RQ_DONE(rc, 0, RECV_WRITE_IMM, SUCCESS);
    assert_int_equal(le32toh(rc->cqe.byte_len), MTU + 10);
    assert_memory_equal(rc_mem(rc, TARGET + MTU), DATA(rc), 10);
}

/* ---- what ends the connection, table 58 ---- */

/* A packet after another one of the same message. */
typedef struct Sequence {
    uint8_t before, after;      /* SVAN_OP_ACK: nothing before */
} Sequence;

static const Sequence bad_sequences[] = {
    { SVAN_OP_ACK, SVAN_OP_SEND_MIDDLE },
    { SVAN_OP_ACK, SVAN_OP_SEND_LAST },
    { SVAN_OP_ACK, SVAN_OP_SEND_LAST_IMM },
    { SVAN_OP_ACK, SVAN_OP_WRITE_MIDDLE },
    { SVAN_OP_ACK, SVAN_OP_WRITE_LAST },
    { SVAN_OP_ACK, SVAN_OP_WRITE_LAST_IMM },
    { SVAN_OP_ACK, SVAN_OP_SEND_LAST_INV },
    { SVAN_OP_ACK, SVAN_OP_SEND_ONLY_INV },
    { SVAN_OP_SEND_FIRST, SVAN_OP_SEND_FIRST },
    { SVAN_OP_SEND_FIRST, SVAN_OP_SEND_ONLY },
    { SVAN_OP_SEND_FIRST, SVAN_OP_WRITE_MIDDLE },
    { SVAN_OP_SEND_FIRST, SVAN_OP_WRITE_LAST },
    { SVAN_OP_SEND_FIRST, SVAN_OP_READ_REQUEST },
    { SVAN_OP_SEND_FIRST, SVAN_OP_FETCH_ADD },
    { SVAN_OP_SEND_FIRST, SVAN_OP_SEND_LAST_INV },
    { SVAN_OP_WRITE_FIRST, SVAN_OP_WRITE_FIRST },
    { SVAN_OP_WRITE_FIRST, SVAN_OP_WRITE_ONLY_IMM },
    { SVAN_OP_WRITE_FIRST, SVAN_OP_SEND_MIDDLE },
    { SVAN_OP_WRITE_FIRST, SVAN_OP_SEND_LAST },
    { SVAN_OP_WRITE_FIRST, SVAN_OP_READ_REQUEST },
    { SVAN_OP_WRITE_FIRST, SVAN_OP_CMP_SWP },
};

static void test_opcode_sequence(void **state)
{
    for (uint32_t i = 0; i < SIZE(bad_sequences); i++) {
        const Sequence *s = &bad_sequences[i];
        uint32_t psn = PSN_IN;
        Rc *rc = rc_new();
        SvanPkt pkt;

        rc_to(rc, SVAN_QPS_RTS);
        host_recv(&rc->qp, rc->buffer + TARGET, 8 * MTU);
        if (s->before != SVAN_OP_ACK) {
            pkt = request(rc, s->before, psn++, MTU);
            pkt.dma_len = 8 * MTU;
            pkt.ack_req = false;
            rc_inject_run(rc, &pkt);
        }
        pkt = request(rc, s->after, psn,
                      svan_op_info(s->after)->payload ? MTU : 0);
        pkt.dma_len = 8 * MTU;
        rc_inject_run(rc, &pkt);
        assert_refused(rc, psn, NAK(INVALID_REQUEST), SVAN_EVENT_QP_REQ_ERR);
        RC_RQ_DONE(rc, 0, RECV, WR_FLUSH_ERR);
        rc_free(rc);
    }
}

typedef struct Length {
    uint8_t opcode;
    uint32_t payload, dma_len;
    bool good;
} Length;

static const Length lengths[] = {
    { SVAN_OP_SEND_FIRST, MTU - 1, 0, false },
    { SVAN_OP_SEND_FIRST, MTU + 1, 0, false },
    { SVAN_OP_SEND_FIRST, 0, 0, false },
    { SVAN_OP_SEND_ONLY, MTU + 1, 0, false },
    { SVAN_OP_SEND_ONLY, MTU, 0, true },
    { SVAN_OP_SEND_ONLY, 0, 0, true },
    { SVAN_OP_WRITE_FIRST, MTU, MTU + 1, true },
    { SVAN_OP_WRITE_FIRST, MTU, MTU, false },
    { SVAN_OP_WRITE_FIRST, MTU, 0, false },
    { SVAN_OP_WRITE_FIRST, MTU - 4, 4 * MTU, false },
    { SVAN_OP_WRITE_ONLY, 4, 5, false },
    { SVAN_OP_WRITE_ONLY, 5, 4, false },
    { SVAN_OP_WRITE_ONLY, 0, 0, true },
    { SVAN_OP_WRITE_ONLY, MTU + 4, MTU + 4, false },
    { SVAN_OP_WRITE_ONLY_IMM, 3, 4, false },
    { SVAN_OP_READ_REQUEST, 0, SVAN_MAX_MSG + 1, false },
};

static void test_lengths(void **state)
{
    for (uint32_t i = 0; i < SIZE(lengths); i++) {
        const Length *l = &lengths[i];
        Rc *rc = rc_new();
        SvanPkt pkt;

        rc_to(rc, SVAN_QPS_RTS);
        host_recv(&rc->qp, rc->buffer + TARGET, 8 * MTU);
        pkt = request(rc, l->opcode, PSN_IN, l->payload);
        pkt.dma_len = l->dma_len;
        rc_inject_run(rc, &pkt);
        if (l->good) {
            RC_SENT_AETH(rc, PSN_IN, ACKED);
        } else {
            assert_refused(rc, PSN_IN, NAK(INVALID_REQUEST),
                           SVAN_EVENT_QP_REQ_ERR);
        }
        rc_free(rc);
    }
}

/* What follows the FIRST of a WRITE of MTU + 10 bytes. */
static const Length followers[] = {
    { SVAN_OP_WRITE_LAST, 10, 0, true },
    { SVAN_OP_WRITE_LAST, 9, 0, false },
    { SVAN_OP_WRITE_LAST, 11, 0, false },
    { SVAN_OP_WRITE_LAST, 0, 0, false },
    { SVAN_OP_WRITE_MIDDLE, MTU, 0, false },
};

static void test_write_lengths(void **state)
{
    for (uint32_t i = 0; i < SIZE(followers); i++) {
        const Length *l = &followers[i];
        Rc *rc = rc_new();
        SvanPkt pkt;

        rc_to(rc, SVAN_QPS_RTS);
        pkt = request(rc, SVAN_OP_WRITE_FIRST, PSN_IN, MTU);
        pkt.dma_len = MTU + 10;
        pkt.ack_req = false;
        rc_inject_run(rc, &pkt);
        send(rc, l->opcode, PSN_IN + 1, l->payload);
        if (l->good) {
            RC_SENT_AETH(rc, PSN_IN + 1, ACKED);
        } else {
            assert_refused(rc, PSN_IN + 1, NAK(INVALID_REQUEST),
                           SVAN_EVENT_QP_REQ_ERR);
        }
        rc_free(rc);
    }
}

/* Requests that the key or the QP forbids. */
typedef struct Access {
    uint8_t opcode;
    uint32_t dma_len;
    int64_t va;                 /* from the region's begin */
    uint32_t key_bits;          /* flipped */
    uint8_t key_access, qp_access;
    uint8_t nak;
} Access;

#define KEY_LENGTH      0x1000
#define ALL             SVAN_ACCESS_REMOTE_MASK
#define WRITE           SVAN_ACCESS_REMOTE_WRITE
#define READ            SVAN_ACCESS_REMOTE_READ
#define ATOMIC          SVAN_ACCESS_REMOTE_ATOMIC
#define NO_ACCESS       NAK(REMOTE_ACCESS)
#define INVALID         NAK(INVALID_REQUEST)

static const Access accesses[] = {
    { SVAN_OP_WRITE_ONLY, 8, 0, 0, ALL, ALL, ACKED },
    { SVAN_OP_WRITE_ONLY, 8, KEY_LENGTH - 8, 0, ALL, ALL, ACKED },
    { SVAN_OP_WRITE_ONLY, 8, KEY_LENGTH - 7, 0, ALL, ALL, NO_ACCESS },
    { SVAN_OP_WRITE_ONLY, 8, -1, 0, ALL, ALL, NO_ACCESS },
    { SVAN_OP_WRITE_ONLY, 8, 0, 1, ALL, ALL, NO_ACCESS },
    { SVAN_OP_WRITE_ONLY, 8, 0, 0x80000000, ALL, ALL, NO_ACCESS },
    { SVAN_OP_WRITE_ONLY, 8, 0, 0, READ | ATOMIC, ALL, NO_ACCESS },
    { SVAN_OP_WRITE_ONLY, 8, 0, 0, ALL, READ | ATOMIC, INVALID },
    { SVAN_OP_WRITE_ONLY, 0, -100, 0x80000000, ALL, ALL, ACKED },
    { SVAN_OP_WRITE_FIRST, KEY_LENGTH + 1, 0, 0, ALL, ALL, NO_ACCESS },
    { SVAN_OP_READ_REQUEST, 8, 0, 0, WRITE | ATOMIC, ALL, NO_ACCESS },
    { SVAN_OP_READ_REQUEST, 8, 0, 0, ALL, WRITE | ATOMIC, INVALID },
    { SVAN_OP_READ_REQUEST, KEY_LENGTH + 1, 0, 0, ALL, ALL, NO_ACCESS },
    { SVAN_OP_READ_REQUEST, 8, 0, 0x100, ALL, ALL, NO_ACCESS },
    { SVAN_OP_CMP_SWP, 0, 0, 0, WRITE | READ, ALL, NO_ACCESS },
    { SVAN_OP_CMP_SWP, 0, 0, 0, ALL, WRITE | READ, INVALID },
    { SVAN_OP_FETCH_ADD, 0, 4, 0, ALL, ALL, INVALID },
    { SVAN_OP_FETCH_ADD, 0, KEY_LENGTH, 0, ALL, ALL, NO_ACCESS },
    { SVAN_OP_FETCH_ADD, 0, 0, 0x7f00, ALL, ALL, NO_ACCESS },
};

static void test_one_access(const Access *a)
{
    Rc *rc = rc_new();
    uint32_t key = host_key_flat(rc->host, rc->buffer + TARGET, KEY_LENGTH,
                                 SVAN_ACCESS_LOCAL_WRITE | a->key_access, 0);
    uint32_t payload = svan_op_info(a->opcode)->payload ? a->dma_len : 0;
    SvanPkt pkt;

    rc->attrs.attr.access = a->qp_access;
    rc_to(rc, SVAN_QPS_RTS);
    pkt = request(rc, a->opcode, PSN_IN, payload < MTU ? payload : MTU);
    pkt.va = rc->buffer + TARGET + a->va;
    pkt.rkey = key ^ a->key_bits;
    pkt.dma_len = a->dma_len;
    rc_inject_run(rc, &pkt);
    if (a->nak == ACKED) {
        RC_SENT_AETH(rc, PSN_IN, ACKED);
    } else {
        assert_refused(rc, PSN_IN, a->nak, a->nak == NO_ACCESS ?
                       SVAN_EVENT_QP_ACCESS_ERR : SVAN_EVENT_QP_REQ_ERR);
        assert_int_equal(RC_STAT(rc, resp_remote_access_errors),
                         a->nak == NO_ACCESS);
    }
    rc_free(rc);
}

static void test_access(void **state)
{
    for (uint32_t i = 0; i < SIZE(accesses); i++) {
        test_one_access(&accesses[i]);
    }
}

/* ---- receive WQEs that are at fault ---- */

static void test_receive_too_small(void **state)
{
    Rc *rc = *state;

    host_recv(&rc->qp, rc->buffer + TARGET, MTU + 10);
    host_recv(&rc->qp, rc->buffer + TARGET, MTU + 10);
    send(rc, SVAN_OP_SEND_FIRST, PSN_IN, MTU);
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    send(rc, SVAN_OP_SEND_LAST, PSN_IN + 1, 11);
    assert_refused(rc, PSN_IN + 1, NAK(INVALID_REQUEST), 0);
    RC_RQ_DONE(rc, 0, RECV, LOC_LEN_ERR);
    assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_RECV_TOO_SMALL);
    RC_RQ_DONE(rc, 1, RECV, WR_FLUSH_ERR);
    RC_NO_CQE(rc);
    assert_int_equal(RC_STAT(rc, resp_local_length_error), 1);
    assert_int_equal(RC_STAT(rc, resp_cqe_error), 1);
    assert_int_equal(RC_STAT(rc, resp_cqe_flush_error), 1);
}

static struct svan_rwqe *rwqe(Rc *rc, uint32_t index)
{
    return fake_ram(rc->fake, rc->qp.rq_bus +
                    ((uint64_t)index << rc->qp.log_stride));
}

static void test_receive_bad_key(void **state)
{
    Rc *rc = *state;

    host_recv(&rc->qp, rc->buffer + TARGET, 100);
    rwqe(rc, 0)->sge[0].lkey ^= htole32(1);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, 10);
    assert_refused(rc, PSN_IN, NAK(REMOTE_OPERATIONAL), 0);
    RC_RQ_DONE(rc, 0, RECV, LOC_PROT_ERR);
    assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_KEY_INVALID);
}

static void test_receive_malformed(void **state)
{
    Rc *rc = *state;

    host_recv(&rc->qp, rc->buffer + TARGET, 100);
    rwqe(rc, 0)->num_sge = htole32(100);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, 10);
    assert_refused(rc, PSN_IN, NAK(REMOTE_OPERATIONAL), 0);
    RC_RQ_DONE(rc, 0, RECV, LOC_QP_OP_ERR);
}

/* A queue that claims more than its ring holds. */
static void test_receive_index(void **state)
{
    Rc *rc = *state;

    host_dbr(&rc->qp)->rq_pi = htole32(33);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, 10);
    assert_refused(rc, PSN_IN, NAK(REMOTE_OPERATIONAL), SVAN_EVENT_QP_FATAL);
}

static void test_recv_cq_overrun(void **state)
{
    Rc *rc = *state;
    uint32_t i;

    for (i = 0; i < 64; i++) {
        host_recv(&rc->qp, rc->buffer + TARGET, 100);
        send(rc, SVAN_OP_SEND_ONLY, PSN_IN + i, 10);
    }
    assert_int_equal(rc_skip_sent(rc), 64);
    host_recv(&rc->qp, rc->buffer + TARGET, 100);
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN + i, 10);
    RC_SENT_AETH(rc, PSN_IN + i, NAK(REMOTE_OPERATIONAL));
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
}

/* Nothing that comes behind a fatal NAK is looked at, sent or not. */
static void test_dead(void **state)
{
    Rc *rc = *state;

    rc->fake->out_full = true;
    send(rc, SVAN_OP_SEND_MIDDLE, PSN_IN, MTU);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN, 4);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN - 1, 4);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_RTS);
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    assert_refused(rc, PSN_IN, NAK(INVALID_REQUEST), SVAN_EVENT_QP_REQ_ERR);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN, 4);
    RC_SENT_NOTHING(rc);
    assert_int_equal(RC_STAT(rc, rx_wrong_state), 1);
}

/* ---- states ---- */

static void test_comm_established(void **state)
{
    Rc *rc = rc_new();

    rc_to(rc, SVAN_QPS_RTR);
    assert_int_equal(rc_event(rc), 0);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN + 1, 4);
    assert_int_equal(rc_event(rc), 0);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN, 4);
    assert_int_equal(rc_event(rc), SVAN_EVENT_QP_COMM_EST);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN + 1, 4);
    assert_int_equal(rc_event(rc), 0);
    RC_SENT_AETH(rc, PSN_IN, NAK(PSN_SEQ));
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    RC_SENT_AETH(rc, PSN_IN + 1, ACKED);
    rc_free(rc);
}

/* A message begun is flushed first, then what else was posted, or is later. */
static void test_flush(void **state)
{
    Rc *rc = *state;

    for (uint32_t i = 0; i < 20; i++) {
        host_recv(&rc->qp, rc->buffer + TARGET, 2 * MTU);
    }
    send(rc, SVAN_OP_SEND_ONLY, PSN_IN, MTU);
    send(rc, SVAN_OP_SEND_FIRST, PSN_IN + 1, MTU);
    rc_modify(rc, SVAN_QPS_ERR, 0);
    RC_RQ_DONE(rc, 0, RECV, SUCCESS);
    for (uint32_t i = 1; i < 20; i++) {
        RC_RQ_DONE(rc, i, RECV, WR_FLUSH_ERR);
    }
    RC_NO_CQE(rc);
    host_recv(&rc->qp, rc->buffer + TARGET, 2 * MTU);
    host_ring(&rc->qp, SVAN_UAR_RQ_DB, rc->qp.rq_pi);
    fake_run(rc->fake);
    RC_RQ_DONE(rc, 20, RECV, WR_FLUSH_ERR);
    assert_int_equal(RC_STAT(rc, resp_cqe_flush_error), 20);
}

/* ---- restartable steps ---- */

/* A bit of everything; what it leaves is compared. */
static void all_requests(Rc *rc)
{
    SvanPkt pkt = request(rc, SVAN_OP_WRITE_FIRST, PSN_IN + 3, MTU);
    uint32_t psn = PSN_IN;

    rwqe(rc, 0)->num_sge = htole32(2);
    host_recv(&rc->qp, rc->buffer + TARGET + 0x0fc0, 100);
    host_recv(&rc->qp, rc->buffer + TARGET + 0x1fff, 2);
    send(rc, SVAN_OP_SEND_ONLY_IMM, psn++, 100);
    send(rc, SVAN_OP_SEND_ONLY, psn++, 2);
    send(rc, SVAN_OP_SEND_ONLY, psn, 2);
    host_recv(&rc->qp, rc->buffer + TARGET + 0x2fff, 2);
    send(rc, SVAN_OP_SEND_ONLY, psn++, 2);
    pkt.va += 0x2f80;
    pkt.dma_len = MTU + 9;
    rc_inject_run(rc, &pkt);
    host_recv(&rc->qp, 0, 0);
    send(rc, SVAN_OP_WRITE_LAST_IMM, psn += 1, 9);
    ask(rc, psn += 1, 0xff0, 2 * MTU);
    pkt = atomic(rc, SVAN_OP_FETCH_ADD, psn += 2, 0x1234, 0);
    rc_inject_run(rc, &pkt);
    pkt = atomic(rc, SVAN_OP_CMP_SWP, psn += 1, 0x1234, 0);
    rc_inject_run(rc, &pkt);
}

typedef struct Outcome {
    uint8_t memory[0x4000];
    uint8_t frames[16384];
    uint32_t frame_bytes;
    struct svan_cqe cqes[8];
    uint64_t maps;
} Outcome;

static void collect(Rc *rc, Outcome *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->memory, rc_mem(rc, TARGET), sizeof(out->memory));
    while (rc_sent(rc)) {
        memcpy(out->frames + out->frame_bytes, rc->frame->data,
               rc->frame->len);
        out->frame_bytes += rc->frame->len;
    }
    for (uint32_t i = 0; i < SIZE(out->cqes) && rc_done(rc, &rc->rcq); i++) {
        out->cqes[i] = rc->cqe;
    }
}

static void run_with_miss(uint64_t miss_at, uint32_t miss_every, Outcome *out)
{
    Rc *rc = rc_new();
    uint64_t before;

    rc_to(rc, SVAN_QPS_RTS);
    before = rc->fake->maps;
    rc->fake->miss_at = miss_at ? before + miss_at : 0;
    rc->fake->miss_every = miss_every;
    all_requests(rc);
    rc->fake->miss_every = 0;
    collect(rc, out);
    out->maps = rc->fake->maps - before;
    rc_free(rc);
}

/* Wherever a translation is missing, the outcome is the same (see core.h). */
static void test_miss_anywhere(void **state)
{
    Outcome *expected = malloc(sizeof(*expected));
    Outcome *seen = malloc(sizeof(*seen));

    run_with_miss(0, 0, expected);
    assert_true(expected->maps > 30);
    for (uint64_t at = 1; at <= expected->maps; at++) {
        run_with_miss(at, 0, seen);
        seen->maps = expected->maps;
        assert_memory_equal(seen, expected, sizeof(*seen));
    }
    for (uint32_t every = 7; every < 17; every++) {
        run_with_miss(0, every, seen);
        seen->maps = expected->maps;
        assert_memory_equal(seen, expected, sizeof(*seen));
    }
    free(expected);
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RC_TEST(test_send_only),
        RC_TEST(test_send_segments),
        RC_TEST(test_ack_coalesced),
        RC_TEST(test_send_duplicate),
        RC_TEST(test_psn_regions),
        RC_TEST(test_sequence_nak_once),
        RC_TEST(test_sequence_nak_cancelled),
        RC_TEST(test_rnr),
        RC_TEST(test_rnr_write_imm),
        cmocka_unit_test(test_opcode_sequence),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_write_lengths),
        cmocka_unit_test(test_access),
        RC_TEST(test_receive_too_small),
        RC_TEST(test_receive_bad_key),
        RC_TEST(test_receive_malformed),
        RC_TEST(test_receive_index),
        RC_TEST(test_recv_cq_overrun),
        RC_TEST(test_dead),
        cmocka_unit_test(test_comm_established),
        RC_TEST(test_flush),
        cmocka_unit_test(test_miss_anywhere),
    };

    return cmocka_run_group_tests_name("rc_responder", tests, NULL, NULL);
}
