/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RC responder at an absent page: which requests are kept until it comes, and what
 * is missing of those that are not (PRM "Faults").
 */
#include "transport/rc.h"

static SvanSuspension *suspension_of(SvanQp *qp)
{
    return &((SvanRc *)qp->priv)->suspension;
}

void svan_rc_kept_drop(SvanQp *qp)
{
    svan_kept_drop(&suspension_of(qp)->kept);
    suspension_of(qp)->kept_answers = 0;
}

/* What was dropped may have come again, and been executed. */
bool svan_rc_is_missing(SvanQp *qp)
{
    uint32_t epsn = ((SvanRc *)qp->priv)->resp.epsn;
    const SvanSuspension *susp = suspension_of(qp);

    return susp->dropped && susp->dropped_end != epsn &&
           svan_rc_psn_sub(susp->dropped_end, epsn) <= SVAN_RC_PSN_HALF;
}

void svan_rc_now_missing(SvanQp *qp, uint32_t end)
{
    uint32_t epsn = ((SvanRc *)qp->priv)->resp.epsn;
    SvanSuspension *susp = suspension_of(qp);

    if (!svan_rc_is_missing(qp) || svan_rc_psn_sub(end, epsn) >
                           svan_rc_psn_sub(susp->dropped_end, epsn)) {
        susp->dropped_end = end;
    }
    susp->dropped = true;
}

/*
 * A packet that is dropped after an RNR NAK has left comes again by itself. A NAK that
 * is still pending does not count: it never leaves if a kept packet is executed
 * before.
 */
void svan_rc_discard(SvanQp *qp, const SvanPkt *pkt)
{
    const SvanRcResponder *resp = &((const SvanRc *)qp->priv)->resp;
    SvanSuspension *susp = suspension_of(qp);

    if (!susp->patience.told || resp->nak.pending) {
        svan_rc_now_missing(qp, (pkt->psn + 1) & SVAN_PSN_MASK);
    }
    qp->fn->stats->fault_dropped_packets++;
    qp->fn->stats->fault_dropped_bytes += pkt->payload_len;
    svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn,
               SVAN_DROP_PAGE_ABSENT);
}

static bool has_answer(uint8_t opcode)
{
    uint8_t verb = svan_op_info(opcode)->verb;

    return verb == SVAN_VERB_READ || verb == SVAN_VERB_ATOMIC;
}

static uint32_t psns_of(const SvanQp *qp, const SvanPkt *pkt)
{
    return svan_op_info(pkt->opcode)->verb == SVAN_VERB_READ ?
           svan_segments(qp, pkt->dma_len) : 1;
}

/*
 * A request is not kept if it would be refused when its turn comes, because it is too
 * long or one more than may be outstanding; nor if it reaches so far ahead that its
 * PSNs would be taken for those of duplicates.
 */
static bool is_worth_keeping(SvanQp *qp, const SvanPkt *pkt)
{
    const SvanRcResponder *resp = &((const SvanRc *)qp->priv)->resp;
    const SvanSuspension *susp = suspension_of(qp);
    uint32_t ahead = svan_rc_psn_sub(pkt->psn, resp->epsn);

    if (svan_op_info(pkt->opcode)->reth && pkt->dma_len > SVAN_MAX_MSG) {
        return false;
    }
    if (has_answer(pkt->opcode) &&
        resp->num_new + susp->kept_answers >= qp->max_dest_rd_atomic) {
        return false;
    }
    return psns_of(qp, pkt) <= SVAN_RC_PSN_HALF - ahead;
}

SvanStep svan_rc_keep(SvanQp *qp, const SvanPkt *pkt, uint8_t mode)
{
    SvanSuspension *susp = suspension_of(qp);
    SvanStep step = SVAN_STEP_IDLE;
    SvanHeld *held;

    if (is_worth_keeping(qp, pkt)) {
        step = svan_keep(&susp->kept, pkt, mode, &held);
    }
    if (step == SVAN_STEP_DONE) {
        held->psns = psns_of(qp, pkt);
        susp->kept_end = (held->psn + held->psns) & SVAN_PSN_MASK;
        susp->kept_answers += has_answer(pkt->opcode);
    }
    return step;
}

void svan_rc_kept_drop_rest(SvanQp *qp)
{
    SvanSuspension *susp = suspension_of(qp);
    SvanHeld *first = susp->kept.first;

    svan_kept_drop_rest(&susp->kept);
    susp->kept_end = (first->psn + first->psns) & SVAN_PSN_MASK;
    susp->kept_answers = has_answer(svan_held_opcode(first));
}

void svan_rc_kept_drop_first(SvanQp *qp)
{
    SvanSuspension *susp = suspension_of(qp);

    susp->kept_answers -= has_answer(svan_held_opcode(susp->kept.first));
    svan_kept_drop_first(&susp->kept);
}
