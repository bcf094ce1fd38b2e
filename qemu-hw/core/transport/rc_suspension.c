/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RC responder at an absent page (PRM "Faults"): nothing of the request has been
 * executed; the mode says what becomes of it and of what follows. Held packets
 * are executed, in their order, when the page has come; whatever was dropped
 * is asked for by a sequence NAK, or comes back after the RNR NAK's time.
 */
#include <string.h>

#include "transport/rc.h"

static SvanSuspension *fault_of(SvanQp *qp)
{
    return &((SvanRc *)qp->priv)->suspension;
}

static void trace_mode(const SvanQp *qp, uint8_t mode, uint64_t ns)
{
    const SvanSuspension *fault = &((const SvanRc *)qp->priv)->suspension;

    svan_trace(qp->fn, SVAN_TRACE_FAULT_MODE, qp->qpn, fault->wait.token, mode,
               ns);
}

static void trace_fault(const SvanQp *qp, const SvanPkt *pkt)
{
    const SvanSuspension *fault = &((const SvanRc *)qp->priv)->suspension;

    svan_trace(qp->fn, SVAN_TRACE_FAULT, qp->qpn, fault->wait.token, pkt->psn,
               qp->fn->memory->miss.va);
}

/* PENDING: for the next page. */
static void trace_end(const SvanQp *qp, SvanWaitState how)
{
    const SvanSuspension *fault = &((const SvanRc *)qp->priv)->suspension;

    svan_trace(qp->fn, SVAN_TRACE_FAULT_END, qp->qpn, fault->wait.token, how,
               svan_now(qp->fn->core) - fault->since);
}

/* ---- choosing ---- */

/*
 * A sequence NAK takes one of the requester's retries, of which we do not know
 * the number: only one until something of it is executed.
 */
static bool may_call_back(const SvanSuspension *fault)
{
    return !fault->called_back;
}

uint8_t svan_suspension_mode(SvanQp *qp, const SvanEstimate *estimate)
{
    const struct svan_fault_policy *policy = &qp->policy;
    uint64_t us = svan_rc_remaining_ns(qp, estimate) / 1000;

    if (policy->mode != SVAN_FAULT_MODE_AUTO) {
        return policy->mode;
    }
    if (!estimate->known && !estimate->answered) {
        return SVAN_FAULT_MODE_AUTO;
    }
    if (us <= le32toh(policy->hold_max_us)) {
        return SVAN_FAULT_MODE_HOLD;
    }
    if (us <= le32toh(policy->divert_max_us)) {
        return SVAN_FAULT_MODE_DIVERT;
    }
    return us <= le32toh(policy->drop_max_us) &&
           may_call_back(fault_of(qp)) ? SVAN_FAULT_MODE_DROP :
                                         SVAN_FAULT_MODE_RNR;
}

static void count_mode(SvanFn *fn, uint8_t mode)
{
    fn->stats.fault_hold += mode == SVAN_FAULT_MODE_HOLD;
    fn->stats.fault_rnr += mode == SVAN_FAULT_MODE_RNR;
    fn->stats.fault_divert += mode == SVAN_FAULT_MODE_DIVERT;
    fn->stats.fault_drop += mode == SVAN_FAULT_MODE_DROP;
    fn->stats.fault_fail += mode == SVAN_FAULT_MODE_FAIL;
}

/* ---- keeping packets ---- */

static void release(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);

    while (fault->held) {
        SvanHeld *held = fault->held;

        fault->held = held->next;
        svan_held_free(qp->fn, held);
    }
    fault->held_tail = &fault->held;
    fault->held_bytes = 0;
    fault->held_answers = 0;
    fault->spares = 0;
    fault->spare = SVAN_NONE;
}

/* It may have come again, and been kept or executed. */
static bool is_missing(SvanQp *qp)
{
    uint32_t epsn = ((SvanRc *)qp->priv)->resp.epsn;
    const SvanSuspension *fault = fault_of(qp);

    return fault->dropped && fault->dropped_end != epsn &&
           svan_rc_psn_sub(fault->dropped_end, epsn) <= SVAN_RC_PSN_HALF;
}

/* Something before `end` will not come by itself. */
static void now_missing(SvanQp *qp, uint32_t end)
{
    uint32_t epsn = ((SvanRc *)qp->priv)->resp.epsn;
    SvanSuspension *fault = fault_of(qp);

    if (!is_missing(qp) || svan_rc_psn_sub(end, epsn) >
                           svan_rc_psn_sub(fault->dropped_end, epsn)) {
        fault->dropped_end = end;
    }
    fault->dropped = true;
}

/*
 * What is dropped behind an RNR NAK comes again by itself; unless that has not
 * left yet, and never will when a kept packet is executed before it.
 */
static void discard(SvanQp *qp, const SvanPkt *pkt)
{
    const SvanRcResponder *resp = &((const SvanRc *)qp->priv)->resp;
    SvanSuspension *fault = fault_of(qp);

    if (!fault->patience.told || resp->nak.pending) {
        now_missing(qp, (pkt->psn + 1) & SVAN_PSN_MASK);
    }
    qp->fn->stats.fault_dropped_packets++;
    qp->fn->stats.fault_dropped_bytes += pkt->payload_len;
    svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn,
               SVAN_DROP_PAGE_ABSENT);
}

static bool has_answer(uint8_t opcode)
{
    return opcode == SVAN_OP_READ_REQUEST || opcode == SVAN_OP_CMP_SWP ||
           opcode == SVAN_OP_FETCH_ADD;
}

static uint32_t psns_of(const SvanQp *qp, const SvanPkt *pkt)
{
    return pkt->opcode == SVAN_OP_READ_REQUEST ?
           svan_rc_packets(qp, pkt->dma_len) : 1;
}

/*
 * What is refused when its turn comes is not kept for that: a request that is too
 * long, or one more than may be outstanding. Nor is what leaves no PSNs for those
 * of the past.
 */
static bool is_worth_keeping(SvanQp *qp, const SvanPkt *pkt)
{
    const SvanRcResponder *resp = &((const SvanRc *)qp->priv)->resp;
    const SvanSuspension *fault = fault_of(qp);
    uint32_t ahead = svan_rc_psn_sub(pkt->psn, resp->epsn);

    if (svan_op_info(pkt->opcode)->reth && pkt->dma_len > SVAN_MAX_MSG) {
        return false;
    }
    if (has_answer(pkt->opcode) &&
        resp->num_new + fault->held_answers >= qp->max_dest_rd_atomic) {
        return false;
    }
    return psns_of(qp, pkt) <= SVAN_RC_PSN_HALF - ahead;
}

static void append(SvanQp *qp, SvanHeld *held, const SvanPkt *pkt)
{
    SvanSuspension *fault = fault_of(qp);

    held->psns = psns_of(qp, pkt);
    fault->held_end = (held->psn + held->psns) & SVAN_PSN_MASK;
    fault->held_bytes += svan_held_size(held);
    fault->held_answers += has_answer(pkt->opcode);
    *fault->held_tail = held;
    fault->held_tail = &held->next;
}

/* DONE: it is kept; IDLE: no room */
static SvanStep keep_in_buffer(SvanQp *qp, const SvanPkt *pkt)
{
    SvanSuspension *fault = fault_of(qp);
    uint32_t size = SVAN_HELD_OVERHEAD + pkt->payload_len;
    uint32_t limit = le32toh(qp->policy.hold_bytes);
    SvanHeld *held;

    if (size > limit || fault->held_bytes > limit - size) {
        return SVAN_STEP_IDLE;
    }
    held = svan_hold(&qp->waiter, pkt);
    if (!held) {
        return SVAN_STEP_IDLE;
    }
    append(qp, held, pkt);
    return SVAN_STEP_DONE;
}

static SvanStep keep_in_spare(SvanQp *qp, const SvanPkt *pkt, SvanHeld **held)
{
    SvanSuspension *fault = fault_of(qp);
    uint32_t page = fault->spare;
    bool may_take = fault->spares < le32toh(qp->policy.divert_pages);
    SvanStep step = svan_divert(&qp->waiter, pkt, may_take, &fault->spare, held);

    fault->spares += step == SVAN_STEP_DONE && fault->spare != page;
    return step;
}

static bool by_estimate(const SvanQp *qp)
{
    return qp->policy.mode == SVAN_FAULT_MODE_AUTO;
}

/*
 * With AUTO a packet behind an RNR NAK waits long: in the fault buffer only as
 * long as half of that is left to those who wait briefly.
 */
static bool may_wait_long(const SvanQp *qp)
{
    return qp->fn->paging->held_bytes <= qp->fn->core->config.fault_buffer / 2;
}

/*
 * What carries no payload takes no spare page, but a little of the buffer; what
 * finds no room in the buffer takes a spare page, if it may.
 */
static SvanStep keep(SvanQp *qp, const SvanPkt *pkt, uint8_t mode)
{
    bool crowded = mode == SVAN_FAULT_MODE_RNR && by_estimate(qp) &&
                   !may_wait_long(qp);
    SvanHeld *held;
    SvanStep step;

    if (!is_worth_keeping(qp, pkt)) {
        return SVAN_STEP_IDLE;
    }
    if (!crowded && (mode != SVAN_FAULT_MODE_DIVERT || !pkt->payload_len)) {
        step = keep_in_buffer(qp, pkt);
        if (step != SVAN_STEP_IDLE || !by_estimate(qp)) {
            return step;
        }
    }
    if (!pkt->payload_len) {
        return SVAN_STEP_IDLE;
    }
    step = keep_in_spare(qp, pkt, &held);
    if (step == SVAN_STEP_DONE) {
        append(qp, held, pkt);
    }
    return step;
}

/* From the fault buffer to spare pages, as far as they go. */
static SvanStep move_to_spares(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);

    for (SvanHeld **at = &fault->held; *at; at = &(*at)->next) {
        SvanHeld *old = *at, *new;
        SvanPkt pkt;
        SvanStep step;

        if (old->spare != SVAN_NONE || !old->len) {
            continue;
        }
        svan_held_packet(qp->fn, old, &pkt);
        step = keep_in_spare(qp, &pkt, &new);
        if (step != SVAN_STEP_DONE) {
            return step == SVAN_STEP_MISS ? step : SVAN_STEP_DONE;
        }
        new->psns = old->psns;
        new->next = old->next;
        *at = new;
        if (!new->next) {
            fault->held_tail = &new->next;
        }
        fault->held_bytes -= svan_held_size(old);
        svan_held_free(qp->fn, old);
    }
    return SVAN_STEP_DONE;
}

/* ---- RNR NAK ---- */

/* Of what is kept, all but the packet that met the page. */
static void release_behind_first(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);
    SvanHeld *first = fault->held;

    fault->held = first->next;
    release(qp);
    first->next = NULL;
    fault->held = first;
    fault->held_tail = &first->next;
    fault->held_end = (first->psn + first->psns) & SVAN_PSN_MASK;
    fault->held_bytes = svan_held_size(first);
    fault->held_answers = has_answer(svan_held_opcode(first));
    if (first->spare != SVAN_NONE) {
        fault->spare = first->spare;
        fault->spares = 1;
    }
}

/*
 * The packet that met the page stays, with AUTO, and nothing behind it: when it
 * is executed its ACK calls the requester back before the time is over. MISS or
 * DONE.
 */
static SvanStep keep_first(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);
    SvanStep step;

    if (!fault->held) {
        return SVAN_STEP_DONE;
    }
    if (fault->held->next) {
        now_missing(qp, fault->held_end);
    }
    release_behind_first(qp);
    if (fault->held->spare != SVAN_NONE || may_wait_long(qp)) {
        return SVAN_STEP_DONE;
    }
    step = move_to_spares(qp);
    if (step == SVAN_STEP_DONE && fault->held->spare == SVAN_NONE) {
        release(qp);
    }
    return step;
}

void svan_suspension_told_to_wait(SvanQp *qp)
{
    fault_of(qp)->dropped = false;
}

static void send_rnr(SvanQp *qp, uint64_t ns)
{
    SvanRcNak nak = { .aeth = SVAN_AETH_RNR_NAK | svan_rc_rnr_code(qp, ns) };

    fault_of(qp)->nak_spent = true;
    svan_rc_patience_told(&fault_of(qp)->patience);
    qp->fn->stats.rnr_nak_sent++;
    svan_rc_record_nak(qp, &nak);
}

/* ---- modes ---- */

/* Of all that is kept; unless an RNR NAK leaves, it does not come by itself. */
static void let_go(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);

    if (fault->held) {
        now_missing(qp, fault->held_end);
    }
    release(qp);
}

/* The mode is known, the packets that are kept stay as they are. MISS or DONE */
static SvanStep enter_mode(SvanQp *qp, uint8_t mode, uint64_t ns)
{
    SvanSuspension *fault = fault_of(qp);
    SvanStep step = SVAN_STEP_DONE;

    if (mode == SVAN_FAULT_MODE_DIVERT) {
        step = move_to_spares(qp);
    } else if (mode == SVAN_FAULT_MODE_RNR && by_estimate(qp)) {
        step = keep_first(qp);
    } else if (mode == SVAN_FAULT_MODE_RNR || mode == SVAN_FAULT_MODE_DROP) {
        let_go(qp);
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    if (mode != fault->mode) {
        count_mode(qp->fn, mode);
    }
    fault->mode = mode;
    trace_mode(qp, mode, ns);
    if (mode == SVAN_FAULT_MODE_RNR) {
        send_rnr(qp, ns);
    }
    return step;
}

/* There is no room for the packet: the next best mode, which needs none. */
static uint8_t without_room(SvanQp *qp, uint8_t mode)
{
    if (mode == SVAN_FAULT_MODE_AUTO ||
        qp->policy.mode != SVAN_FAULT_MODE_AUTO) {
        return mode;
    }
    return may_call_back(fault_of(qp)) ? SVAN_FAULT_MODE_DROP :
                                         SVAN_FAULT_MODE_RNR;
}

static bool keeps_packets(uint8_t mode)
{
    return mode == SVAN_FAULT_MODE_AUTO || mode == SVAN_FAULT_MODE_HOLD ||
           mode == SVAN_FAULT_MODE_DIVERT;
}

/* RNR keeps what comes back, and with AUTO the first as well. */
static bool keeps_first(const SvanQp *qp, uint8_t mode)
{
    return keeps_packets(mode) ||
           (mode == SVAN_FAULT_MODE_RNR && by_estimate(qp));
}

/*
 * What was executed since the last ACK, be it in the middle of a message, gives
 * the requester its retries back for this page.
 */
static void acknowledge_progress(SvanQp *qp)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;

    resp->ack_due |= resp->unsaid && !resp->num_owed;
}

static void fault_begins(SvanQp *qp, const SvanPkt *pkt)
{
    SvanSuspension *fault = fault_of(qp);

    fault->active = true;
    fault->mode = SVAN_FAULT_MODE_AUTO;
    fault->nak_spent = false;
    fault->again = false;
    fault->dropped = false;
    fault->executed = false;
    fault->opcode = pkt->opcode;
    fault->since = svan_now(qp->fn->core);
    svan_rc_patience_begin(&fault->patience, pkt->psn);
    acknowledge_progress(qp);
}

/*
 * A held packet has met the next absent page, or one again: it stays at the head.
 * What was executed before it is acknowledged, whether that was asked for or not:
 * one page after the other may take longer than the requester waits for a sign.
 */
static SvanStep suspend_again(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanSuspension *fault = fault_of(qp);

    trace_end(qp, SVAN_WAIT_PENDING);
    resp->ack_due |= fault->executed && !resp->num_owed;
    fault->executed = false;
    fault->nak_spent &= svan_page_wait_is_again(&fault->wait);
    fault->again = fault->nak_spent;
    svan_page_wait(&fault->wait, true);
    trace_fault(qp, pkt);
    fault->opcode = pkt->opcode;
    fault->mode = SVAN_FAULT_MODE_AUTO;
    svan_rc_patience_begin(&fault->patience, pkt->psn);
    return SVAN_STEP_AGAIN;
}

/*
 * A page that came and was gone again when the requester was back is held for:
 * by any other mode it might be missed for ever, and cost a retry each time.
 */
SvanStep svan_suspension_begin(SvanQp *qp, const SvanPkt *pkt)
{
    SvanSuspension *fault = fault_of(qp);
    SvanEstimate estimate = svan_page_expected(qp->fn, qp->policy.sources);
    bool again = svan_page_wait_is_again(&fault->wait);
    uint8_t mode = again ? SVAN_FAULT_MODE_HOLD : svan_suspension_mode(qp, &estimate);
    SvanStep step = SVAN_STEP_IDLE;
    bool later;

    if (fault->replaying) {
        return suspend_again(qp, pkt);
    }
    if (keeps_first(qp, mode)) {
        step = keep(qp, pkt, mode);
        if (step == SVAN_STEP_MISS) {
            return step;
        }
        if (mode == SVAN_FAULT_MODE_RNR) {
            /* whether its packet is kept or not */
        } else if (step == SVAN_STEP_IDLE) {
            mode = without_room(qp, again ? svan_suspension_mode(qp, &estimate) : mode);
        } else if (fault->spare != SVAN_NONE) {
            mode = SVAN_FAULT_MODE_DIVERT;
        }
    }
    fault_begins(qp, pkt);
    fault->nak_spent = fault->again = again && step == SVAN_STEP_DONE;
    if (step == SVAN_STEP_IDLE) {
        discard(qp, pkt);
    }
    svan_page_wait(&fault->wait, true);
    /* what may miss is done in a step of its own: this packet has been taken */
    later = mode == SVAN_FAULT_MODE_AUTO ||
            (mode == SVAN_FAULT_MODE_RNR && fault->held);
    fault->wait.news = later || svan_page_wait_is_told(&fault->wait);
    qp->fn->stats.page_faults_estimated += estimate.known;
    trace_fault(qp, pkt);
    svan_qp_schedule(qp);
    return later ? SVAN_STEP_DONE :
           enter_mode(qp, mode, svan_rc_remaining_ns(qp, &estimate));
}

/*
 * A request that comes meanwhile. What is a duplicate of a kept one is nothing
 * new, but after an RNR NAK it is the requester's next try; what lies behind a
 * gap is dropped. The next in order is kept, unless it was on its way when the
 * RNR NAK left: then it comes again.
 */
SvanStep svan_suspension_rx(SvanQp *qp, const SvanPkt *pkt)
{
    SvanSuspension *fault = fault_of(qp);
    uint32_t epsn = ((SvanRc *)qp->priv)->resp.epsn;
    uint32_t ahead = svan_rc_psn_sub(pkt->psn, epsn);
    uint32_t kept = fault->held ? svan_rc_psn_sub(fault->held_end, epsn) : 0;
    SvanStep step = SVAN_STEP_IDLE;

    if (ahead < kept) {
        if (!ahead || fault->patience.told) {
            svan_rc_patience_heard(&fault->patience);
        }
        qp->fn->stats.duplicate_request++;
        svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn,
                   SVAN_DROP_DUPLICATE);
        return SVAN_STEP_DONE;
    }
    if (ahead == kept && !(kept && fault->patience.told)) {
        step = keep(qp, pkt, fault->mode);
        if (step == SVAN_STEP_MISS) {
            return step;
        }
    }
    if (!ahead) {
        svan_rc_patience_heard(&fault->patience);
    }
    if (step == SVAN_STEP_IDLE) {
        discard(qp, pkt);
    }
    return SVAN_STEP_DONE;
}

/* ---- what the step does ---- */

static void fault_ends(SvanQp *qp, SvanWaitState how)
{
    SvanSuspension *fault = fault_of(qp);

    trace_end(qp, how);
    svan_rc_patience_end(&fault->patience);
    svan_page_wait_leave(&fault->wait);
    release(qp);
    fault->active = false;
}

/*
 * The requester may know of no timeout: it is told. Where it was called back
 * already it gets the shortest RNR NAK, which takes none of its retries.
 */
void svan_suspension_call_back(SvanQp *qp)
{
    SvanRcNak nak = {
        .aeth = SVAN_AETH_NAK | SVAN_NAK_PSN_SEQ, .call_back = true,
    };
    SvanSuspension *fault = fault_of(qp);

    if (!may_call_back(fault)) {
        nak.call_back = false;
        nak.aeth = SVAN_AETH_RNR_NAK | svan_rc_rnr_code(qp, 0);
        qp->fn->stats.rnr_nak_sent++;
    }
    fault->called_back = true;
    svan_rc_record_nak(qp, &nak);
}

/*
 * Everything kept is executed: ask for what is missing, if no NAK is owed. With
 * AUTO that ends the wait of an RNR NAK, too, if nothing was executed that does.
 */
static void resume(SvanQp *qp)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanSuspension *fault = fault_of(qp);
    bool waits = fault->patience.told && by_estimate(qp) && may_call_back(fault);

    fault_ends(qp, SVAN_WAIT_OVER);
    if ((is_missing(qp) || waits) && !resp->dead && !resp->nak.pending) {
        svan_suspension_call_back(qp);
    }
}

/* The oldest kept packet has been executed. */
static void forget_held(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);
    SvanHeld *held = fault->held;

    fault->held = held->next;
    if (!fault->held) {
        fault->held_tail = &fault->held;
    }
    fault->held_bytes -= svan_held_size(held);
    fault->held_answers -= has_answer(svan_held_opcode(held));
    svan_held_free(qp->fn, held);
}

/* One kept packet, or the end. */
static SvanStep replay(SvanQp *qp, SvanRcBudget *budget)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanSuspension *fault = fault_of(qp);
    SvanHeld *held = fault->held;
    uint32_t epsn = resp->epsn;
    SvanStep step;
    SvanPkt pkt;

    if (!held) {
        resume(qp);
        return SVAN_STEP_DONE;
    }
    if (!svan_rc_afford(budget, held->len)) {
        return SVAN_STEP_DONE;
    }
    step = svan_held_packet(qp->fn, held, &pkt);
    if (step == SVAN_STEP_DONE) {
        fault->replaying = true;
        step = svan_rc_rx_request(qp, &pkt);
        fault->replaying = false;
    }
    if (step == SVAN_STEP_MISS || step == SVAN_STEP_BLOCKED) {
        return step;
    }
    if (step == SVAN_STEP_AGAIN) {
        return fault->wait.state == SVAN_WAIT_OVER ? step : SVAN_STEP_IDLE;
    }
    if (resp->epsn == epsn) {
        /* not executed: neither is what follows it */
        if (step == SVAN_STEP_ERROR) {
            now_missing(qp, fault->held_end);
        }
        release(qp);
        return SVAN_STEP_DONE;
    }
    /* the requester waits for the end of its RNR time, or for this */
    resp->ack_due |= fault->patience.told && !resp->num_owed;
    fault->patience.told = false;
    fault->executed = true;
    forget_held(qp);
    return SVAN_STEP_DONE;
}

/* An RNR NAK, if the page is not about to come; MISS or DONE. */
static SvanStep answer_requester(SvanQp *qp, const SvanEstimate *estimate)
{
    SvanSuspension *fault = fault_of(qp);
    bool fallback = fault->patience.over && fault->mode != SVAN_FAULT_MODE_RNR;
    uint64_t ns;

    if (svan_rc_patience_is_out(&fault->patience, estimate, &ns)) {
        SvanStep step = enter_mode(qp, SVAN_FAULT_MODE_RNR, ns);

        if (step != SVAN_STEP_DONE) {
            return step;
        }
        qp->fn->stats.fault_fallback += fallback;
    }
    svan_rc_patience_answered(&fault->patience);
    return SVAN_STEP_DONE;
}

/*
 * A requester that has been told to wait once is told again if it is back and the
 * page is known not to be near, whatever the mode: a further NAK takes a further
 * retry. One whose page was gone again has paid already: it is held for until the
 * bound.
 */
static bool is_to_enter(SvanQp *qp, uint8_t mode, const SvanEstimate *estimate)
{
    const SvanSuspension *fault = fault_of(qp);

    if (mode == SVAN_FAULT_MODE_AUTO) {
        return false;
    }
    if (!fault->nak_spent) {
        return mode != fault->mode;
    }
    return mode == SVAN_FAULT_MODE_RNR && !fault->patience.told &&
           !fault->again && svan_rc_is_far(qp, estimate);
}

/* The page is still awaited: is there a better mode now? */
static SvanStep reconsider(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);
    SvanEstimate estimate;
    SvanStep step;
    uint8_t mode;

    if (!fault->wait.news && !svan_rc_patience_asks(&fault->patience)) {
        return SVAN_STEP_IDLE;
    }
    estimate = svan_page_wait_estimate(&fault->wait, qp->policy.sources);
    if (svan_rc_patience_asks(&fault->patience)) {
        return answer_requester(qp, &estimate);
    }
    mode = svan_suspension_mode(qp, &estimate);
    if (is_to_enter(qp, mode, &estimate)) {
        step = enter_mode(qp, mode, svan_rc_remaining_ns(qp, &estimate));
        if (step != SVAN_STEP_DONE) {
            return step;
        }
    }
    fault->wait.news = false;
    return SVAN_STEP_DONE;
}

static SvanStep give_up(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);
    uint8_t opcode = fault->opcode;

    trace_mode(qp, SVAN_FAULT_MODE_FAIL, 0);
    count_mode(qp->fn, SVAN_FAULT_MODE_FAIL);
    fault_ends(qp, SVAN_WAIT_FAILED);
    return svan_rc_refuse_page(qp, opcode);
}

SvanStep svan_suspension_step(SvanQp *qp, SvanRcBudget *budget)
{
    SvanSuspension *fault = fault_of(qp);

    if (!fault->active) {
        return SVAN_STEP_IDLE;
    }
    if (((SvanRc *)qp->priv)->resp.dead) {
        fault_ends(qp, SVAN_WAIT_FAILED);
        return SVAN_STEP_DONE;
    }
    switch (fault->wait.state) {
    case SVAN_WAIT_PENDING:
        return reconsider(qp);
    case SVAN_WAIT_FAILED:
        return give_up(qp);
    default:
        return replay(qp, budget);
    }
}

/* ---- life ---- */

void svan_suspension_init(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);

    memset(fault, 0, sizeof(*fault));
    fault->wait.waiter = &qp->waiter;
    fault->held_tail = &fault->held;
    fault->spare = SVAN_NONE;
    svan_page_wait_forget(&fault->wait);
    svan_rc_patience_init(&fault->patience, qp);
}

void svan_suspension_clear(SvanQp *qp)
{
    SvanSuspension *fault = fault_of(qp);

    svan_rc_patience_end(&fault->patience);
    svan_page_wait_leave(&fault->wait);
    release(qp);
    fault->active = false;
}
