/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Responses of a peer to the requester.
 */
#ifndef TESTS_RC_RESPONSES_H
#define TESTS_RC_RESPONSES_H

#include "rc_peer.h"

#define TIMEOUT_NS      (4096ull << 10)
#define SOURCE          0x20000u        /* what the peer reads for the QP */

/* SENDs of 8 octets each. */
static inline void post_sends(Rc *rc, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rc_post(rc, SVAN_WQE_SEND, 16 * i, 8);
    }
    rc_go(rc);
}

/* The packet of a READ that began with PSN_OUT. */
static inline void respond(Rc *rc, uint8_t opcode, uint32_t psn, uint32_t len)
{
    uint32_t n = svan_rc_psn_sub(psn, PSN_OUT);
    SvanPkt pkt = rc_pkt(opcode, psn, rc_mem(rc, SOURCE + n * MTU), len);

    pkt.syndrome = ACKED;
    rc_inject_run(rc, &pkt);
}

#endif /* TESTS_RC_RESPONSES_H */
