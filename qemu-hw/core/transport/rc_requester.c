/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RC requester: it takes WQEs from the send queue into the window and sends their
 * packets. They are sent again from wherever the completer has set `nxt` back to
 * (9.7.2, 9.7.3).
 */
#include <string.h>

#include "transport/rc.h"

/* ---- taking WQEs ---- */

static SvanRcWqe *push_wqe(SvanQp *qp, const SvanWqe *wqe)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanRcWqe *kept = svan_rc_wqe(req, req->tail);

    kept->index = wqe->index;
    kept->seq = kept->asked = req->end;
    kept->packets = wqe->opcode == SVAN_WQE_NOP ? 0 :
                    svan_segments(qp, wqe->length);
    kept->length = wqe->length;
    kept->opcode = wqe->opcode;
    kept->flags = wqe->flags;
    kept->num_bbs = wqe->num_bbs;
    kept->status = SVAN_CQE_SUCCESS;
    kept->syndrome = SVAN_SYN_NONE;
    req->end += kept->packets;
    req->next_index += wqe->num_bbs;
    req->tail++;
    return kept;
}

static SvanStep push_bad(SvanQp *qp, const SvanWqe *wqe, uint8_t status,
                         uint32_t syndrome)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanRcWqe *kept = push_wqe(qp, wqe);

    req->end -= kept->packets;
    kept->packets = 0;
    svan_rc_fail(qp, req->tail - 1, status, syndrome);
    return SVAN_STEP_DONE;
}

/*
 * Before a request is sent, the QP must have the right to store the response to all of
 * its targets. The memory that packets are sent from is checked as they are sent.
 */
static SvanStep check_targets(SvanQp *qp, const SvanWqe *wqe,
                              uint32_t *syndrome)
{
    for (uint32_t i = 0; i < wqe->num_sge; i++) {
        SvanAccess access = {
            .fn = qp->fn, .user = &qp->user, .key = wqe->sge[i].lkey,
            .va = wqe->sge[i].addr, .len = wqe->sge[i].length,
            .access = SVAN_ACCESS_LOCAL_WRITE,
        };

        if (access.len &&
            svan_check_access(&access, syndrome) != SVAN_STEP_DONE) {
            return SVAN_STEP_ERROR;
        }
    }
    return SVAN_STEP_DONE;
}

/* May the WQE be begun yet? 9.7.3 (limit of READs and atomics), 10.8.3.3 (fence) */
static bool may_begin(const SvanQp *qp, const SvanWqe *wqe)
{
    const SvanRcRequester *req = &((const SvanRc *)qp->priv)->req;

    if ((wqe->flags & SVAN_WQE_FENCE) && req->rd_atomics) {
        return false;
    }
    return !svan_rc_has_response(wqe->opcode) ||
           req->rd_atomics < qp->max_rd_atomic || !qp->max_rd_atomic;
}

static SvanStep push_good(SvanQp *qp, const SvanWqe *wqe)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    uint32_t syndrome = SVAN_SYN_OPCODE;

    if (svan_rc_has_response(wqe->opcode)) {
        if (!qp->max_rd_atomic) {
            return push_bad(qp, wqe, SVAN_CQE_LOC_QP_OP_ERR, syndrome);
        }
        if (check_targets(qp, wqe, &syndrome) != SVAN_STEP_DONE) {
            return push_bad(qp, wqe, SVAN_CQE_LOC_PROT_ERR, syndrome);
        }
        req->rd_atomics++;
    }
    svan_trace(qp->fn, SVAN_TRACE_WQE, qp->qpn, wqe->index, wqe->opcode,
               wqe->length);
    push_wqe(qp, wqe);
    return SVAN_STEP_DONE;
}

static SvanStep see_producer(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    uint32_t syndrome;
    SvanStep step;

    if (req->next_index != qp->sq.producer.pi) {
        return SVAN_STEP_DONE;
    }
    step = svan_sq_producer(&qp->sq, req->sq_ci, &syndrome);
    if (step == SVAN_STEP_ERROR) {
        svan_qp_error(qp, SVAN_EVENT_QP_FATAL, syndrome);
        return SVAN_STEP_DONE;
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    return req->next_index == qp->sq.producer.pi ? SVAN_STEP_IDLE : SVAN_STEP_DONE;
}

/* A full window is widened; if it has its full size, a completion will make room. */
static bool has_room(SvanQp *qp)
{
    const SvanRcRequester *req = &((const SvanRc *)qp->priv)->req;

    return req->tail - req->head <= req->window_mask || svan_rc_widen(qp);
}

/* Take the next WQE into the window. */
static SvanStep take(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanRcCache *out = ((SvanRc *)qp->priv)->out;
    SvanWqe *wqe = &out->wqe;
    uint8_t status = SVAN_CQE_SUCCESS;
    uint32_t syndrome = SVAN_SYN_NONE;
    SvanStep step;

    if (qp->state != SVAN_QPS_RTS) {
        return SVAN_STEP_IDLE;
    }
    if (out->qp != qp || out->pos != req->tail) {
        step = see_producer(qp);
        if (step != SVAN_STEP_DONE || qp->state != SVAN_QPS_RTS) {
            return step;
        }
        if (!has_room(qp)) {
            return SVAN_STEP_IDLE;
        }
        out->qp = NULL;
        step = svan_wqe_fetch(&qp->sq, req->next_index, wqe, &status, &syndrome);
        if (step == SVAN_STEP_ERROR) {
            return push_bad(qp, wqe, status, syndrome);
        }
        if (step != SVAN_STEP_DONE) {
            return step;
        }
        out->qp = qp;
        out->pos = req->tail;
    }
    if (!may_begin(qp, wqe)) {
        return SVAN_STEP_IDLE;
    }
    return push_good(qp, wqe);
}

/* ---- sending ---- */

/* The packet at nxt. */
typedef struct Outgoing {
    SvanSegment seg;
    uint32_t psns;              /* how many it takes */
} Outgoing;

/* A READ or an atomic is one packet without payload, for all that is still missing. */
static void packet_at(const SvanQp *qp, const SvanRcWqe *wqe, uint32_t seq,
                      Outgoing *out)
{
    uint32_t n = seq - wqe->seq;

    if (!svan_rc_has_response(wqe->opcode)) {
        svan_segment(qp, wqe->length, n, &out->seg);
        out->psns = 1;
        return;
    }
    out->seg.offset = n << qp->log_mtu;
    out->seg.length = 0;
    out->seg.first = out->seg.last = true;
    out->psns = wqe->packets - n;
}

/*
 * Is the packet as near to una as it has to be? The responder paces what it answers
 * with data, so READs and atomics are bounded by the PSN space alone (9.7.2).
 */
static bool in_window(const SvanRcRequester *req, const SvanRcWqe *wqe,
                      const Outgoing *out)
{
    uint32_t limit = svan_rc_has_response(wqe->opcode) ?
                     SVAN_RC_PSN_HALF / 2 : req->window_packets;

    return req->nxt == req->una ||
           req->nxt - req->una + out->psns <= limit;
}

/*
 * 9.7.5.1: at the end of a message, every so many packets, and when the window is full
 */
static bool wants_ack(const SvanRcRequester *req, const Outgoing *out)
{
    uint32_t next = req->nxt + out->psns;

    return out->seg.last || next - req->ack_asked >= SVAN_RC_ACK_EVERY ||
           next - req->una >= req->window_packets;
}

#define TOUCHED_A_STEP  (16 * SVAN_PAGE_SIZE)

/*
 * How far the targets of a READ are made present before its request leaves. A response
 * that is for a page behind that may be dropped, and asked for again. The limit grows
 * with what has come, so that a long READ is asked for a few times only.
 */
static uint32_t touch_end(const SvanQp *qp, const SvanSegment *seg)
{
    const SvanRcRequester *req = &((const SvanRc *)qp->priv)->req;
    const SvanWqe *wqe = &((SvanRc *)qp->priv)->out->wqe;
    uint32_t ahead = seg->offset > SVAN_RC_TOUCHED ? seg->offset :
                                                     SVAN_RC_TOUCHED;

    if (req->touch_limit && ahead > req->touch_limit) {
        ahead = req->touch_limit;
    }
    return wqe->length - seg->offset > ahead ? seg->offset + ahead :
                                               wqe->length;
}

/*
 * Pages of the targets are made present before the request leaves, since a response
 * that meets an absent page is dropped. DONE; AGAIN: to be continued in the next step;
 * FAULT; MISS; ERROR.
 */
static SvanStep touch_targets(SvanQp *qp, const SvanSegment *seg,
                              uint32_t *syndrome)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    const SvanWqe *wqe = &((SvanRc *)qp->priv)->out->wqe;
    SvanGather gather = {
        .user = &qp->user, .sge = wqe->sge, .num_sge = wqe->num_sge,
        .access = SVAN_ACCESS_LOCAL_WRITE,
    };
    uint32_t end = touch_end(qp, seg), stop;
    SvanMem runs[SVAN_MAX_PKT_RUNS];

    if (req->touched < seg->offset) {
        req->touched = seg->offset;
    }
    stop = req->touched + TOUCHED_A_STEP;
    while (req->touched < end) {
        uint32_t left = end - req->touched, num_runs;
        uint32_t len = left < SVAN_PAGE_SIZE ? left : SVAN_PAGE_SIZE;
        SvanStep step;

        gather.wanted = left;
        step = svan_gather(&gather, req->touched, len, runs, &num_runs,
                           syndrome);
        if (step != SVAN_STEP_DONE) {
            return step;
        }
        req->touched += len;
        svan_page_wait_forget(&req->wait);  /* that page is there */
        if (req->touched >= stop && req->touched < end) {
            return SVAN_STEP_AGAIN;
        }
    }
    return SVAN_STEP_DONE;
}

/* Reach the memory that the packet is sent from, or that its response is stored to. */
static SvanStep reach_memory(SvanQp *qp, const SvanSegment *seg, SvanPkt *pkt,
                             uint32_t *syndrome)
{
    SvanWqe *wqe = &((SvanRc *)qp->priv)->out->wqe;

    return svan_rc_has_response(wqe->opcode) ?
           touch_targets(qp, seg, syndrome) :
           svan_segment_payload(&qp->user, wqe, seg, pkt, syndrome);
}

/* The packet at nxt has left. */
static void sent(SvanQp *qp, SvanRcWqe *wqe, uint32_t psns, bool asked)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    svan_page_wait_forget(&req->wait);
    req->touched_pos = req->send;
    req->touched_end = req->touched;
    req->touched = 0;
    if ((int32_t)(req->high - req->nxt) > 0) {
        qp->fn->stats->retransmits++;
    }
    wqe->asked = req->nxt;
    req->nxt += psns;
    if ((int32_t)(req->nxt - req->high) > 0) {
        req->high = req->nxt;
    }
    if (asked) {
        req->ack_asked = req->nxt;
    }
    if (req->nxt == wqe->seq + wqe->packets) {
        req->send++;
    }
    svan_rc_start_ack_timer(qp);
}

static SvanStep transmit(SvanQp *qp, SvanRcBudget *budget)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanRcWqe *wqe = svan_rc_wqe(req, req->send);
    uint32_t syndrome;
    Outgoing out;
    SvanStep step;
    SvanPkt pkt;

    packet_at(qp, wqe, req->nxt, &out);
    if (!in_window(req, wqe, &out)) {
        return SVAN_STEP_IDLE;
    }
    if (req->wait.state == SVAN_WAIT_FAILED) {
        svan_page_wait_leave(&req->wait);
        qp->fn->stats->fault_fail++;
        svan_rc_fail(qp, req->send, SVAN_CQE_LOC_PROT_ERR, SVAN_SYN_PAGE);
        return SVAN_STEP_DONE;
    }
    step = svan_rc_load_wqe(qp, req->send, ((SvanRc *)qp->priv)->out, &syndrome);
    if (step == SVAN_STEP_ERROR) {
        svan_rc_fail(qp, req->send, SVAN_CQE_LOC_QP_OP_ERR, syndrome);
        return SVAN_STEP_DONE;
    }
    if (step != SVAN_STEP_DONE || !svan_rc_afford(budget, out.seg.length)) {
        return step;
    }
    svan_qp_packet(qp, &pkt, svan_segment_op(wqe->opcode, &out.seg), req->nxt);
    pkt.ack_req = wants_ack(req, &out);
    svan_segment_headers(&((SvanRc *)qp->priv)->out->wqe, &out.seg, &pkt);
    step = reach_memory(qp, &out.seg, &pkt, &syndrome);
    if (step == SVAN_STEP_ERROR) {
        svan_rc_fail(qp, req->send, SVAN_CQE_LOC_PROT_ERR, syndrome);
        return SVAN_STEP_DONE;
    }
    if (step == SVAN_STEP_FAULT) {
        svan_page_wait(&req->wait, false);
        qp->fn->stats->page_faults_requester++;
        return SVAN_STEP_IDLE;
    }
    if (step == SVAN_STEP_DONE) {
        step = svan_qp_send(qp, &pkt);
    }
    if (step == SVAN_STEP_DONE) {
        sent(qp, wqe, out.psns, pkt.ack_req);
    }
    return step == SVAN_STEP_AGAIN ? SVAN_STEP_DONE : step;
}

static SvanStep send_next(SvanQp *qp, SvanRcBudget *budget)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanRcWqe *wqe;

    if (req->send == req->tail) {
        SvanStep step = take(qp);

        if (step != SVAN_STEP_DONE || req->send == req->tail) {
            return step;
        }
    }
    wqe = svan_rc_wqe(req, req->send);
    if (wqe->status != SVAN_CQE_SUCCESS) {
        return SVAN_STEP_IDLE;
    }
    if (!wqe->packets) {
        req->send++;
        svan_rc_advance(qp, req->una);
        return SVAN_STEP_DONE;
    }
    return transmit(qp, budget);
}

static SvanStep stay(SvanQp *qp, SvanRcBudget *budget)
{
    return SVAN_STEP_IDLE;
}

static SvanStep (*const by_state[])(SvanQp *qp, SvanRcBudget *budget) = {
    [SVAN_RC_REQ_OFF]       = stay,
    [SVAN_RC_REQ_SEND]      = send_next,
    [SVAN_RC_REQ_RNR_WAIT]  = stay,
};

SvanStep svan_rc_request(SvanQp *qp, SvanRcBudget *budget)
{
    SvanRc *rc = qp->priv;

    if (rc->req.wait.state == SVAN_WAIT_PENDING) {
        return SVAN_STEP_IDLE;
    }
    if (rc->req.wait.state == SVAN_WAIT_OVER) {
        svan_page_wait_leave(&rc->req.wait);
    }
    return by_state[rc->req.state](qp, budget);
}
