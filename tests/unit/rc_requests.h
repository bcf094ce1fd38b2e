/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of a peer to the responder, and the peer's memory.
 */
#ifndef TESTS_RC_REQUESTS_H
#define TESTS_RC_REQUESTS_H

#include "rc_peer.h"

#define DATA(rc)        rc_mem(rc, 0x1000)      /* what the peer sends from */
#define TARGET          0x8000u                 /* what it writes and reads */

/* To the target, asking for an ACK. */
static inline SvanPkt request(Rc *rc, uint8_t opcode, uint32_t psn, uint32_t len)
{
    SvanPkt pkt = rc_pkt(opcode, psn, DATA(rc), len);

    pkt.va = rc->buffer + TARGET;
    pkt.rkey = rc->host->all_key;
    pkt.dma_len = len;
    pkt.ack_req = true;
    return pkt;
}

static inline void send(Rc *rc, uint8_t opcode, uint32_t psn, uint32_t len)
{
    SvanPkt pkt = request(rc, opcode, psn, len);

    rc_inject_run(rc, &pkt);
}

static inline SvanPkt atomic(Rc *rc, uint8_t opcode, uint32_t psn,
                             uint64_t swap_add, uint64_t compare)
{
    SvanPkt pkt = request(rc, opcode, psn, 0);

    pkt.swap_add = swap_add;
    pkt.compare = compare;
    return pkt;
}

static inline uint64_t *word(Rc *rc)
{
    return rc_mem(rc, TARGET);
}

/* The NAK that ends the connection, and its event. */
static inline void assert_refused(Rc *rc, uint32_t psn, uint8_t nak, uint8_t event)
{
    RC_SENT_AETH(rc, psn, nak);
    RC_SENT_NOTHING(rc);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
    assert_int_equal(rc_event(rc), event);
    assert_int_equal(rc_event(rc), 0);
}

/* A READ of `len` octets at `offset` of the target. */
static inline void ask(Rc *rc, uint32_t psn, uint32_t offset, uint32_t len)
{
    SvanPkt pkt = request(rc, SVAN_OP_READ_REQUEST, psn, 0);

    pkt.va += offset;
    pkt.dma_len = len;
    rc_inject_run(rc, &pkt);
}

#endif /* TESTS_RC_REQUESTS_H */
