/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A WQE becomes packets: the payload of each of them.
 */
#include "transport/message.h"

SvanStep svan_segment_payload(const SvanUser *user, SvanWqe *wqe,
                              const SvanSegment *seg, SvanPkt *pkt,
                              uint32_t *syndrome)
{
    SvanGather gather = {
        .user = user, .sge = wqe->sge, .num_sge = wqe->num_sge,
        .wanted = wqe->length - seg->offset,
    };

    if (!seg->length) {
        return SVAN_STEP_DONE;
    }
    if (wqe->flags & SVAN_WQE_INLINE) {
        pkt->num_runs = 1;
        pkt->runs[0] = (SvanMem) {
            .host = wqe->data + seg->offset, .len = seg->length,
        };
        return SVAN_STEP_DONE;
    }
    return svan_gather(&gather, seg->offset, seg->length, pkt->runs,
                       &pkt->num_runs, syndrome);
}
