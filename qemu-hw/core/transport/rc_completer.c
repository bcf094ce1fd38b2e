/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RC completer: responses, lost ones and late ones, retries (9.7.6), and the
 * completions of the send queue in order (10.7.3, 10.8.5).
 */
#include <string.h>

#include "transport/rc.h"

#define RNR_NO_LIMIT    7       /* of rnr_retry */
#define RNR_SHIFT       12      /* ns, of a time that is kept in 32 bits */
#define RNR_LONGER      8       /* a wait adds this part of the whole, at most */

/* ---- timers and retries ---- */

static void go_back(SvanQp *qp, SvanRcRetry reason, uint32_t left)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    svan_page_wait_leave(&req->wait);
    req->send = req->acked;
    req->nxt = req->una;
    req->ack_asked = req->una;
    req->touched = 0;
    req->progress++;
    svan_trace(qp->fn, SVAN_TRACE_RETRY, qp->qpn, req->una & SVAN_PSN_MASK,
               reason, left);
    svan_qp_schedule(qp);
}

/*
 * Send again from una, if the retry count allows. Everything behind a lost packet is
 * sent again, so fewer packets may be unacknowledged where packets are lost.
 */
static void retry(SvanQp *qp, SvanRcRetry reason)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    req->window_packets /= 2;
    if (req->window_packets < SVAN_RC_MIN_UNACKED) {
        req->window_packets = SVAN_RC_MIN_UNACKED;
    }
    if (!req->retries) {
        svan_rc_fail(qp, req->acked, SVAN_CQE_RETRY_EXC_ERR, SVAN_SYN_TIMEOUT);
    } else {
        req->retries--;
    }
    go_back(qp, reason, req->retries);
}

static void ack_timeout(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    if (req->state != SVAN_RC_REQ_SEND || !svan_rc_is_ack_due(req) ||
        svan_rc_wqe(req, req->acked)->status != SVAN_CQE_SUCCESS) {
        return;
    }
    if (req->progress != req->timer_progress ||
        req->in_wait.state == SVAN_WAIT_PENDING) {
        svan_rc_start_ack_timer(qp);
        return;
    }
    qp->fn->stats->local_ack_timeout_err++;
    req->heard = 0;
    retry(qp, SVAN_RC_RETRY_TIMEOUT);
}

/*
 * If the page that a response was for has come, ask for the response again; if it never
 * will, fail the WQE.
 */
static void page_has_come(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanWaitState state = req->in_wait.state;

    if (state == SVAN_WAIT_NONE || state == SVAN_WAIT_PENDING) {
        return;
    }
    svan_page_wait_leave(&req->in_wait);
    if (state == SVAN_WAIT_FAILED) {
        qp->fn->stats->fault_fail++;
        svan_rc_fail(qp, req->acked, SVAN_CQE_LOC_PROT_ERR, SVAN_SYN_PAGE);
    }
    go_back(qp, SVAN_RC_RETRY_FAULT, req->retries);
}

void svan_rc_timeouts(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    page_has_come(qp);

    if (req->rnr_fired) {
        req->rnr_fired = false;
        if (req->state == SVAN_RC_REQ_RNR_WAIT) {
            req->state = SVAN_RC_REQ_SEND;
        }
    }
    if (req->ack_fired) {
        req->ack_fired = false;
        ack_timeout(qp);
    }
}

/* ---- responses ---- */

/*
 * The requester has gone back and has sent nothing since. What arrives is about packets
 * that were sent before, and no reason to count another retry.
 */
static bool is_to_send_again(const SvanRcRequester *req)
{
    return req->nxt == req->una;
}

/* false: the same was heard before, since una moved last. */
static bool is_news(SvanRcRequester *req, uint8_t what)
{
    bool news = !(req->heard & what);

    req->heard |= what;
    return news;
}

/*
 * A response came for a later request than the one at una, which needs a response of
 * its own: that response was lost (9.7.6.1.2). Those that follow say nothing new.
 */
static void implied_nak(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    if (req->state != SVAN_RC_REQ_SEND || is_to_send_again(req) ||
        svan_rc_wqe(req, req->acked)->status != SVAN_CQE_SUCCESS ||
        !is_news(req, SVAN_RC_HEARD_IMPLIED)) {
        return;
    }
    qp->fn->stats->implied_nak_seq_err++;
    retry(qp, SVAN_RC_RETRY_IMPLIED);
}

/*
 * The peer acknowledges everything before seq. false: a response before seq is missing,
 * and is asked for again.
 */
static bool acknowledge(SvanQp *qp, uint32_t seq)
{
    const SvanRcRequester *req = &((const SvanRc *)qp->priv)->req;

    svan_rc_advance(qp, seq);
    if (req->una == seq) {
        return true;
    }
    implied_nak(qp);
    return false;
}

/*
 * How long to wait after an RNR NAK: at least what its timer says. Who waits without a limit
 * adds at most an eighth to what it has waited already: else a few requests that nobody will
 * ever receive keep the device, and all its functions, busy with asking. A loaded state begins
 * with short waits again.
 */
static uint64_t rnr_wait(SvanQp *qp, uint8_t syndrome)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    uint64_t least = svan_rc_rnr_ns(syndrome), longer;
    uint32_t now = svan_now(qp->fn->core) >> RNR_SHIFT;

    if (!req->rnr_since) {
        req->rnr_since = now ? now : UINT32_MAX;        /* one before */
    }
    longer = ((uint64_t)(uint32_t)(now - req->rnr_since) << RNR_SHIFT) / RNR_LONGER;
    if (longer > svan_rc_rnr_ns(0)) {
        longer = svan_rc_rnr_ns(0);     /* the longest that a timer can say */
    }
    return qp->rnr_retry == RNR_NO_LIMIT && longer > least ? longer : least;
}

/* An RNR NAK makes the requester wait (9.7.5.2.8). */
static void rx_rnr_nak(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanCore *core = qp->fn->core;

    if (req->state == SVAN_RC_REQ_RNR_WAIT) {
        return;
    }
    qp->fn->stats->rnr_nak_retry_err++;
    if (qp->rnr_retry != RNR_NO_LIMIT) {
        if (!req->rnr_retries) {
            svan_rc_fail(qp, req->acked, SVAN_CQE_RNR_RETRY_EXC_ERR,
                         SVAN_SYN_RNR);
            go_back(qp, SVAN_RC_RETRY_RNR, 0);
            return;
        }
        req->rnr_retries--;
    }
    go_back(qp, SVAN_RC_RETRY_RNR, req->rnr_retries);
    req->state = SVAN_RC_REQ_RNR_WAIT;
    svan_timer_set(core, &req->rnr_timer,
                   svan_now(core) + rnr_wait(qp, pkt->syndrome));
}

static void remote_error(SvanQp *qp, uint8_t status)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    svan_rc_fail(qp, req->acked, status, SVAN_SYN_NAK);
    req->send = req->acked;
    req->nxt = req->una;
}

/*
 * A requester that waits after an RNR NAK goes on before the time only for a call-back
 * (PRM "Reliable connections"), which counts as no retry. Another sequence NAK does not
 * end the wait: a responder may NAK what lies behind the request that it was not ready
 * for. A responder sends one NAK for a gap, so a second one was duplicated by the
 * network and causes no retry. It does cause one if there is no ACK timeout, since
 * nothing else would tell that what was sent again is lost as well.
 */
static void rx_sequence_nak(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    bool call_back = pkt->bth_flags & SVAN_BTH_SE;
    uint8_t what = call_back ? SVAN_RC_HEARD_CALL : SVAN_RC_HEARD_NAK;

    qp->fn->stats->packet_seq_err++;
    if (req->state == SVAN_RC_REQ_RNR_WAIT) {
        if (call_back) {
            svan_rc_end_rnr_wait(qp);
        }
    } else if (!is_to_send_again(req) && (is_news(req, what) || !qp->timeout)) {
        retry(qp, SVAN_RC_RETRY_NAK);
    }
}

/* What a NAK means is told by its code (table 44). */
static void rx_nak(SvanQp *qp, const SvanPkt *pkt)
{
    switch (pkt->syndrome & SVAN_AETH_VALUE_MASK) {
    case SVAN_NAK_PSN_SEQ:
        rx_sequence_nak(qp, pkt);
        break;
    case SVAN_NAK_INVALID_REQUEST:
        qp->fn->stats->req_remote_invalid_request++;
        remote_error(qp, SVAN_CQE_REM_INV_REQ_ERR);
        break;
    case SVAN_NAK_REMOTE_ACCESS:
        qp->fn->stats->req_remote_access_errors++;
        remote_error(qp, SVAN_CQE_REM_ACCESS_ERR);
        break;
    case SVAN_NAK_REMOTE_OPERATIONAL:
        remote_error(qp, SVAN_CQE_REM_OP_ERR);
        break;
    default:
        remote_error(qp, SVAN_CQE_BAD_RESP_ERR);
        break;
    }
}

static SvanStep rx_ack(SvanQp *qp, const SvanPkt *pkt, uint32_t seq)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    uint8_t kind = pkt->syndrome & SVAN_AETH_KIND_MASK;

    if (kind == SVAN_AETH_ACK) {
        acknowledge(qp, seq + 1);
    } else if (kind != SVAN_AETH_NAK && kind != SVAN_AETH_RNR_NAK) {
        svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn,
                   SVAN_DROP_MALFORMED);
    } else if (acknowledge(qp, seq) &&
               svan_rc_wqe(req, req->acked)->status == SVAN_CQE_SUCCESS) {
        if (kind == SVAN_AETH_NAK) {
            rx_nak(qp, pkt);
        } else {
            rx_rnr_nak(qp, pkt);
        }
    }
    return SVAN_STEP_DONE;
}

/* The part of the WQE's memory that the response at una is for. */
typedef struct Placement {
    uint32_t offset, length;
    const SvanMem *src;
    uint32_t num_src;
} Placement;

/*
 * If a target that was made present is gone when its response comes, half as much is
 * made present the next time, but at least a page; so some of the READ is placed each
 * time. If the target had not been made present, a former limit is doubled.
 */
static void learn_what_stays(SvanRcRequester *req, const Placement *at)
{
    bool gone = req->touched_pos == req->acked &&
                at->offset < req->touched_end;
    uint32_t limit = req->touch_limit ? req->touch_limit : SVAN_RC_TOUCHED;

    if (gone) {
        req->touch_limit = limit / 2 > SVAN_PAGE_SIZE ? limit / 2 :
                                                        SVAN_PAGE_SIZE;
    } else if (req->touch_limit) {
        req->touch_limit = limit * 2 < SVAN_RC_TOUCHED ? limit * 2 : 0;
    }
}

static SvanStep place(SvanQp *qp, const Placement *at)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanMem runs[SVAN_MAX_PKT_RUNS];
    uint32_t num_runs = 0, syndrome;
    SvanRcCache *in = ((SvanRc *)qp->priv)->in;
    SvanStep step = svan_rc_load_wqe(qp, req->acked, in, &syndrome);
    SvanGather gather = {
        .user = &qp->user, .sge = in->wqe.sge, .num_sge = in->wqe.num_sge,
        .access = SVAN_ACCESS_LOCAL_WRITE,
    };

    if (step == SVAN_STEP_ERROR) {
        svan_rc_fail(qp, req->acked, SVAN_CQE_LOC_QP_OP_ERR, syndrome);
        return SVAN_STEP_DONE;
    }
    if (step == SVAN_STEP_DONE) {
        step = svan_gather(&gather, at->offset, at->length, runs, &num_runs,
                           &syndrome);
    }
    if (step == SVAN_STEP_FAULT) {
        /*
         * The response is dropped. The peer does answer, so retries are counted anew.
         */
        req->retries = qp->retry_cnt;
        req->heard &= ~SVAN_RC_HEARD_IMPLIED;
        learn_what_stays(req, at);
        svan_page_wait(&req->in_wait, false);
        qp->fn->stats->page_faults_requester++;
        return SVAN_STEP_DONE;
    }
    if (step == SVAN_STEP_ERROR) {
        svan_rc_fail(qp, req->acked, SVAN_CQE_LOC_PROT_ERR, syndrome);
        return SVAN_STEP_DONE;
    }
    if (step == SVAN_STEP_DONE) {
        svan_scatter(qp->fn, runs, num_runs, at->src, at->num_src, at->length);
        svan_page_wait_forget(&req->in_wait);
        svan_rc_responded(qp);
    }
    return step;
}

static SvanStep bad_response(SvanQp *qp, uint8_t status)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    svan_rc_fail(qp, req->acked, status, SVAN_SYN_BAD_RESPONSE);
    return SVAN_STEP_DONE;
}

/*
 * Table 37: a FIRST or ONLY response comes where a request for it began, a MIDDLE or
 * LAST one anywhere behind the READ's start, and a LAST or ONLY one at its end. A lost
 * part is asked for again from una on; what the earlier request brings may still
 * arrive.
 */
static bool read_opcode_ok(const SvanRcRequester *req, const SvanRcWqe *wqe,
                           const SvanOpInfo *info)
{
    bool last = req->una + 1 == wqe->seq + wqe->packets;

    return info->last == last &&
           (info->first ? req->una == wqe->asked : req->una != wqe->seq);
}

static SvanStep rx_read_response(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    const SvanRcWqe *wqe = svan_rc_wqe(req, req->acked);
    Placement at = { .src = pkt->runs, .num_src = pkt->num_runs };
    SvanSegment seg;

    svan_segment(qp, wqe->length, req->una - wqe->seq, &seg);
    at.offset = seg.offset;
    at.length = seg.length;
    if (!read_opcode_ok(req, wqe, svan_op_info(pkt->opcode))) {
        return bad_response(qp, SVAN_CQE_BAD_RESP_ERR);
    }
    if (pkt->payload_len != at.length) {
        return bad_response(qp, SVAN_CQE_LOC_LEN_ERR);
    }
    return place(qp, &at);
}

static SvanStep rx_atomic_response(SvanQp *qp, const SvanPkt *pkt)
{
    uint64_t orig = htole64(pkt->orig);
    SvanMem src = { .host = (uint8_t *)&orig, .len = sizeof(orig) };
    Placement at = { .length = sizeof(orig), .src = &src, .num_src = 1 };

    return place(qp, &at);
}

/* A response that carries what a READ or an atomic asked for. */
static SvanStep rx_data(SvanQp *qp, const SvanPkt *pkt, uint32_t seq)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    const SvanOpInfo *info = svan_op_info(pkt->opcode);
    bool positive = !info->aeth ||
                    (pkt->syndrome & SVAN_AETH_KIND_MASK) == SVAN_AETH_ACK;
    const SvanRcWqe *wqe;

    if (!acknowledge(qp, seq)) {
        return SVAN_STEP_DONE;
    }
    wqe = svan_rc_wqe(req, req->acked);
    if (wqe->status != SVAN_CQE_SUCCESS) {
        return SVAN_STEP_DONE;
    }
    if (!positive) {
        return bad_response(qp, SVAN_CQE_BAD_RESP_ERR);
    }
    if (info->verb != svan_wqe_info(wqe->opcode)->verb) {
        return bad_response(qp, SVAN_CQE_BAD_RESP_ERR);
    }
    return info->verb == SVAN_VERB_ATOMIC ? rx_atomic_response(qp, pkt) :
                                            rx_read_response(qp, pkt);
}

/* 9.7.6.1.1: a response counts if its packet was sent and is not acknowledged yet. */
SvanStep svan_rc_rx_response(SvanQp *qp, const SvanPkt *pkt)
{
    const SvanRcRequester *req = &((const SvanRc *)qp->priv)->req;
    uint32_t ahead = svan_rc_psn_sub(pkt->psn, req->una);

    if (req->state == SVAN_RC_REQ_OFF || ahead >= req->high - req->una ||
        req->in_wait.state != SVAN_WAIT_NONE) {
        svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn,
                   SVAN_DROP_DUPLICATE);
        return SVAN_STEP_DONE;
    }
    if (pkt->opcode == SVAN_OP_ACK) {
        return rx_ack(qp, pkt, req->una + ahead);
    }
    return rx_data(qp, pkt, req->una + ahead);
}

/* ---- completions ---- */

static SvanCompletion completion_of(const SvanRcWqe *wqe, uint8_t status)
{
    return (SvanCompletion) {
        .index = wqe->index, .length = wqe->length, .opcode = wqe->opcode,
        .status = status, .syndrome = wqe->syndrome,
    };
}

/* The oldest WQE, acknowledged or failed, gives its blocks back. */
static void retire(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    const SvanRcWqe *wqe = svan_rc_wqe(req, req->head);

    req->sq_ci = wqe->index + wqe->num_bbs;
    if (req->acked == req->head++) {
        req->acked = req->head;
    }
    if (req->head == req->tail) {
        svan_rc_narrow(qp);
    }
}

/* A WQE has not succeeded: those behind it are flushed, whatever they met (10.8.5). */
static void forget_failures(SvanRcRequester *req)
{
    for (uint32_t pos = req->head; pos != req->tail; pos++) {
        svan_rc_wqe(req, pos)->status = SVAN_CQE_WR_FLUSH_ERR;
        svan_rc_wqe(req, pos)->syndrome = SVAN_SYN_NONE;
    }
}

static bool is_signaled(const SvanQp *qp, const SvanRcWqe *wqe)
{
    return (wqe->flags & SVAN_WQE_SIGNALED) || qp->sq.signal_all;
}

/* The WQE at head has failed and everything before it is completed. */
static SvanStep complete_failed(SvanQp *qp, const SvanRcWqe *wqe)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanCompletion done = completion_of(wqe, wqe->status);
    uint32_t syndrome;
    SvanStep step = svan_qp_complete_send(qp, &done, &syndrome);

    if (step == SVAN_STEP_MISS) {
        return step;
    }
    retire(qp);
    forget_failures(req);
    svan_qp_error(qp, step == SVAN_STEP_DONE ? 0 : SVAN_EVENT_QP_FATAL,
                  done.syndrome);
    return SVAN_STEP_DONE;
}

/*
 * Count the oldest acknowledged WQEs that are not signaled, all by one store. DONE, MISS,
 * or ERROR: nothing is counted.
 */
static SvanStep count_unsignaled(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    uint32_t pos = req->head;
    SvanCounterSlot slot;
    SvanStep step;

    while (pos != req->acked && !is_signaled(qp, svan_rc_wqe(req, pos))) {
        pos++;
    }
    if (pos == req->head) {
        return SVAN_STEP_DONE;
    }
    step = svan_counter_reserve(qp->send_counter, SVAN_COUNT_SUCCESS, &slot);
    if (step == SVAN_STEP_DONE) {
        svan_counter_add(&slot, pos - req->head);
    }
    return step;
}

SvanStep svan_rc_complete(SvanQp *qp, SvanRcBudget *budget)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    const SvanRcWqe *wqe;
    SvanCompletion done;
    uint32_t syndrome;
    SvanStep step;

    if (qp->send_counter) {
        step = count_unsignaled(qp);
        if (step == SVAN_STEP_ERROR) {
            svan_qp_error(qp, SVAN_EVENT_QP_FATAL, SVAN_SYN_COUNTER);
            return SVAN_STEP_DONE;
        }
        if (step != SVAN_STEP_DONE) {
            return step;
        }
    }
    while (req->head != req->acked &&
           !is_signaled(qp, svan_rc_wqe(req, req->head))) {
        retire(qp);
    }
    if (req->head == req->tail) {
        return SVAN_STEP_IDLE;
    }
    wqe = svan_rc_wqe(req, req->head);
    if (req->head == req->acked) {
        return wqe->status == SVAN_CQE_SUCCESS ? SVAN_STEP_IDLE :
                                                 complete_failed(qp, wqe);
    }
    done = completion_of(wqe, SVAN_CQE_SUCCESS);
    step = svan_qp_complete_send(qp, &done, &syndrome);
    if (step == SVAN_STEP_DONE) {
        retire(qp);
    } else if (step == SVAN_STEP_ERROR) {
        svan_qp_error(qp, SVAN_EVENT_QP_FATAL, syndrome);
        step = SVAN_STEP_DONE;
    }
    return step;
}

/* ---- flushing, 10.3.1 and 10.8.5 ---- */

/*
 * Complete the oldest WQE of the window: as it would have been, if it was acknowledged
 * or failed before the error; else as flushed.
 */
static SvanStep flush_taken(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    const SvanRcWqe *wqe = svan_rc_wqe(req, req->head);
    bool acked = req->head != req->acked;
    SvanCompletion done = completion_of(wqe, acked ? SVAN_CQE_SUCCESS :
                                    wqe->status ? wqe->status :
                                                  SVAN_CQE_WR_FLUSH_ERR);

    done.silent = acked && !is_signaled(qp, wqe);
    if (!done.silent || qp->send_counter) {
        uint32_t syndrome;
        SvanStep step = svan_qp_complete_send(qp, &done, &syndrome);

        if (step == SVAN_STEP_MISS) {
            return step;
        }
    }
    retire(qp);
    if (!acked) {
        forget_failures(req);
    }
    return SVAN_STEP_DONE;
}

SvanStep svan_rc_flush_sq(SvanQp *qp, SvanRcBudget *budget)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanRcCache *out = ((SvanRc *)qp->priv)->out;
    SvanStep step;

    if (req->head != req->tail) {
        return flush_taken(qp);
    }
    out->qp = NULL;
    step = svan_qp_flush_send(qp, &req->next_index, &out->wqe);
    if (step == SVAN_STEP_DONE) {
        req->sq_ci = req->next_index;
    }
    return step;
}
