/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets and frames that are lost on purpose: counted and traced.
 */
#include "net/switch.h"

SvanStep svan_pkt_drop(SvanFn *fn, const SvanPkt *pkt, uint64_t *counter,
                       uint32_t reason)
{
    ++*counter;
    svan_trace(fn, SVAN_TRACE_PKT_DROP, pkt->dqpn, pkt->opcode, pkt->psn,
               reason);
    return SVAN_STEP_DONE;
}

SvanStep svan_frame_drop(SvanFn *fn, const SvanFrame *frame, uint64_t *counter,
                         uint32_t reason)
{
    ++*counter;
    svan_trace(fn, SVAN_TRACE_FRAME_DROP, fn->id, frame->len, reason, 0);
    return SVAN_STEP_DONE;
}
