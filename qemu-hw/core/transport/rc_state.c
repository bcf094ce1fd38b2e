/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RC queue pairs in the state stream. Decoded WQEs are not part of it: they
 * are fetched again. The stream may be hostile: what holds between the fields
 * is checked, or derived.
 */
#include "transport/rc.h"

/* ---- requester ---- */

static void save_wqe(const SvanRcWqe *wqe, SvanWriter *writer)
{
    svan_put_u32(writer, wqe->index);
    svan_put_u32(writer, wqe->length);
    svan_put_u8(writer, wqe->opcode);
    svan_put_u8(writer, wqe->flags);
    svan_put_u8(writer, wqe->num_bbs);
    svan_put_u8(writer, wqe->status);
    svan_put_u32(writer, wqe->syndrome);
    svan_put_u32(writer, wqe->packets);
    svan_put_u32(writer, wqe->asked - wqe->seq);
}

static void save_requester(const SvanRcRequester *req, SvanWriter *writer)
{
    svan_put_u8(writer, req->state);
    svan_put_u32(writer, req->tail - req->head);
    svan_put_u32(writer, req->acked - req->head);
    svan_put_u32(writer, req->send - req->head);
    svan_put_u32(writer, req->head == req->tail ? req->end :
                         req->window[req->head & req->window_mask].seq);
    for (uint32_t pos = req->head; pos != req->tail; pos++) {
        save_wqe(&req->window[pos & req->window_mask], writer);
    }
    svan_put_u32(writer, req->una);
    svan_put_u32(writer, req->nxt);
    svan_put_u32(writer, req->high);
    svan_put_u32(writer, req->ack_asked);
    svan_put_u32(writer, req->window_packets);
    svan_put_u32(writer, req->sq_ci);
    svan_put_u8(writer, req->retries);
    svan_put_u8(writer, req->rnr_retries);
    svan_put_u8(writer, req->heard);
    svan_put_u8(writer, req->ack_fired);
    svan_put_u8(writer, req->rnr_fired);
    svan_put_u8(writer, req->progress != req->timer_progress);
    svan_timer_save(&req->ack_timer, writer);
    svan_timer_save(&req->rnr_timer, writer);
}

static bool load_wqe(SvanQp *qp, SvanReader *reader, SvanRcWqe *wqe)
{
    wqe->index = svan_get_u32(reader);
    wqe->length = svan_get_u32(reader);
    wqe->opcode = svan_get_u8(reader);
    wqe->flags = svan_get_u8(reader);
    wqe->num_bbs = svan_get_u8(reader);
    wqe->status = svan_get_u8(reader);
    wqe->syndrome = svan_get_u32(reader);
    wqe->packets = svan_get_u32(reader);
    wqe->asked = svan_get_u32(reader);          /* from seq on, which is set later */
    if (wqe->length > SVAN_MAX_MSG || wqe->num_bbs < 1 ||
        wqe->num_bbs > SVAN_WQE_MAX_BBS ||
        wqe->status > SVAN_CQE_GENERAL_ERR) {
        return false;
    }
    if (wqe->asked && wqe->asked >= wqe->packets) {
        return false;
    }
    if (!wqe->packets) {
        return wqe->opcode == SVAN_WQE_NOP || wqe->status;
    }
    if (wqe->packets != svan_segments(qp, wqe->length)) {
        return false;
    }
    return svan_rc_is_atomic(wqe->opcode) ? wqe->length == 8 :
           svan_wqe_info(wqe->opcode)->verb != SVAN_VERB_NONE;
}

/* Make room for the WQEs up to `tail`, of which none is loaded yet. */
static bool widen_empty(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    uint32_t tail = req->tail;
    bool done = true;

    req->tail = 0;
    while (done && tail > req->window_mask + 1) {
        done = svan_rc_widen(qp);
    }
    req->tail = tail;
    return done;
}

/* Load the window from position 0 on; blocks and sequence numbers have no gaps. */
static bool load_window(SvanQp *qp, SvanReader *reader)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    req->tail = svan_get_u32(reader);
    req->acked = svan_get_u32(reader);
    req->send = svan_get_u32(reader);
    req->end = svan_get_u32(reader);
    if (req->tail > SVAN_RC_WINDOW || req->acked > req->send ||
        req->send > req->tail) {
        return false;
    }
    if (!widen_empty(qp)) {
        return false;
    }
    for (uint32_t pos = 0; pos < req->tail; pos++) {
        SvanRcWqe *wqe = svan_rc_wqe(req, pos);

        if (!load_wqe(qp, reader, wqe) ||
            (pos && wqe->index != req->next_index) ||
            (pos < req->acked && wqe->status)) {
            return false;
        }
        wqe->seq = req->end;
        wqe->asked += wqe->seq;
        req->end += wqe->packets;
        req->next_index = wqe->index + wqe->num_bbs;
        req->rd_atomics += pos >= req->acked &&
                           svan_rc_has_response(wqe->opcode);
    }
    return true;
}

/* Does seq lie in the WQE at pos, or at the window's end if pos is its tail? */
static bool lies_in(const SvanRcRequester *req, uint32_t seq, uint32_t pos)
{
    const SvanRcWqe *wqe = &req->window[pos & req->window_mask];

    if (pos == req->tail) {
        return seq == req->end;
    }
    return wqe->packets ? seq - wqe->seq < wqe->packets : seq == wqe->seq;
}

static bool sequence_ok(const SvanQp *qp, const SvanRcRequester *req)
{
    bool off = qp->state != SVAN_QPS_RTS && qp->state != SVAN_QPS_SQD;

    if (off) {
        /* Before RTS the window must be empty, since RTS does not clear it. */
        return req->state == SVAN_RC_REQ_OFF &&
               (qp->state == SVAN_QPS_ERR || !req->tail);
    }
    return req->state != SVAN_RC_REQ_OFF &&
           req->state < SVAN_RC_REQ_STATES &&
           req->window_packets >= SVAN_RC_MIN_UNACKED &&
           req->window_packets <= SVAN_RC_MAX_UNACKED &&
           lies_in(req, req->una, req->acked) &&
           lies_in(req, req->nxt, req->send) &&
           req->high - req->una <= SVAN_RC_PSN_HALF &&
           req->high - req->una <= req->end - req->una &&
           req->nxt - req->una <= req->high - req->una;
}

static bool requester_ok(const SvanQp *qp, const SvanRcRequester *req)
{
    uint32_t ring = 1u << qp->sq.log_bbs;

    return sequence_ok(qp, req) && req->next_index - req->sq_ci <= ring &&
           qp->sq.producer.pi - req->next_index <= ring;
}

static bool load_requester(SvanQp *qp, SvanReader *reader)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    bool moved;

    req->state = svan_get_u8(reader);
    if (!load_window(qp, reader)) {
        return false;
    }
    req->una = svan_get_u32(reader);
    req->nxt = svan_get_u32(reader);
    req->high = svan_get_u32(reader);
    req->ack_asked = svan_get_u32(reader);
    req->window_packets = svan_get_u32(reader);
    req->sq_ci = svan_get_u32(reader);
    req->retries = svan_get_u8(reader) & 7;
    req->rnr_retries = svan_get_u8(reader) & 7;
    req->heard = svan_get_u8(reader) & SVAN_RC_HEARD_MASK;
    req->ack_fired = svan_get_u8(reader);
    req->rnr_fired = svan_get_u8(reader);
    moved = svan_get_u8(reader);
    req->progress = moved;
    svan_timer_load(qp->fn->core, &req->ack_timer, reader);
    svan_timer_load(qp->fn->core, &req->rnr_timer, reader);
    if (!req->tail) {
        req->next_index = req->sq_ci;
    }
    return requester_ok(qp, req) &&
           (!req->tail || svan_rc_wqe(req, 0)->index == req->sq_ci);
}

/* ---- responder ---- */

static void save_owed(const SvanRcOwed *owed, SvanWriter *writer)
{
    svan_put_u8(writer, owed->atomic);
    svan_put_u8(writer, owed->duplicate);
    svan_put_u8(writer, owed->begun);
    svan_put_u32(writer, owed->psn);
    svan_put_u32(writer, owed->msn);
    svan_put_u32(writer, owed->rkey);
    svan_put_u32(writer, owed->length);
    svan_put_u64(writer, owed->va);
    svan_put_u64(writer, owed->orig);
}

static bool load_owed(SvanReader *reader, SvanRcOwed *owed)
{
    owed->atomic = svan_get_u8(reader);
    owed->duplicate = svan_get_u8(reader);
    owed->begun = svan_get_u8(reader);
    owed->psn = svan_get_u32(reader) & SVAN_PSN_MASK;
    owed->msn = svan_get_u32(reader) & SVAN_PSN_MASK;
    owed->rkey = svan_get_u32(reader);
    owed->length = svan_get_u32(reader);
    owed->va = svan_get_u64(reader);
    owed->orig = svan_get_u64(reader);
    return owed->length <= SVAN_MAX_MSG;
}

static void save_nak(const SvanRcNak *nak, SvanWriter *writer)
{
    svan_put_u8(writer, nak->pending);
    svan_put_u8(writer, nak->fatal);
    svan_put_u8(writer, nak->call_back);
    svan_put_u8(writer, nak->aeth);
    svan_put_u8(writer, nak->event);
    svan_put_u8(writer, nak->recv_status);
    svan_put_u32(writer, nak->syndrome);
    svan_put_u32(writer, nak->psn);
}

static bool load_nak(SvanReader *reader, SvanRcNak *nak)
{
    nak->pending = svan_get_u8(reader);
    nak->fatal = svan_get_u8(reader);
    nak->call_back = svan_get_u8(reader);
    nak->aeth = svan_get_u8(reader);
    nak->event = svan_get_u8(reader);
    nak->recv_status = svan_get_u8(reader);
    nak->syndrome = svan_get_u32(reader);
    nak->psn = svan_get_u32(reader) & SVAN_PSN_MASK;
    return nak->recv_status <= SVAN_CQE_GENERAL_ERR &&
           (!nak->event || (nak->event < 64 &&
                            (SVAN_EVENTS_QP_ERROR >> nak->event & 1)));
}

static void save_responder(const SvanRcResponder *resp, SvanWriter *writer)
{
    svan_put_u32(writer, resp->epsn);
    svan_put_u32(writer, resp->msn);
    svan_put_u8(writer, resp->established);
    svan_put_u8(writer, resp->quiet);
    svan_put_u8(writer, resp->dead);
    svan_put_u8(writer, resp->ack_due);
    svan_assembly_save(&resp->assembly, writer);
    save_nak(&resp->nak, writer);
    svan_put_u8(writer, resp->num_owed);
    for (uint32_t i = 0; i < resp->num_owed; i++) {
        save_owed(&resp->owed[i], writer);
    }
    svan_put_u8(writer, resp->next_atomic);
    for (uint32_t i = 0; i < SVAN_MAX_RD_ATOMIC; i++) {
        static const SvanRcAtomic none;
        const SvanRcAtomic *atomic = resp->atomics && resp->atomics[i].valid ?
                                     &resp->atomics[i] : &none;

        svan_put_u8(writer, atomic->valid);
        svan_put_u32(writer, atomic->psn);
        svan_put_u32(writer, atomic->msn);
        svan_put_u64(writer, atomic->orig);
    }
}

static bool load_owed_list(SvanReader *reader, SvanRcResponder *resp)
{
    uint32_t count = svan_get_u8(reader);

    if (count > SVAN_RC_OWED) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!svan_rc_owed_room(resp) || !load_owed(reader, &resp->owed[i])) {
            return false;
        }
        resp->num_owed++;
        resp->num_new += !resp->owed[i].duplicate;
    }
    return resp->num_new <= SVAN_MAX_RD_ATOMIC &&
           resp->num_owed - resp->num_new <= SVAN_MAX_RD_ATOMIC;
}

static bool load_atomics(SvanReader *reader, SvanRcResponder *resp)
{
    resp->next_atomic = svan_get_u8(reader) % SVAN_MAX_RD_ATOMIC;
    for (uint32_t i = 0; i < SVAN_MAX_RD_ATOMIC; i++) {
        SvanRcAtomic atomic = { .valid = svan_get_u8(reader) };

        atomic.psn = svan_get_u32(reader) & SVAN_PSN_MASK;
        atomic.msn = svan_get_u32(reader) & SVAN_PSN_MASK;
        atomic.orig = svan_get_u64(reader);
        if (!atomic.valid) {
            continue;
        }
        if (!svan_rc_atomics_room(resp)) {
            return false;
        }
        resp->atomics[i] = atomic;
    }
    return true;
}

static bool load_responder(SvanQp *qp, SvanReader *reader)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;

    resp->epsn = svan_get_u32(reader) & SVAN_PSN_MASK;
    resp->msn = svan_get_u32(reader) & SVAN_PSN_MASK;
    resp->established = svan_get_u8(reader);
    resp->quiet = svan_get_u8(reader);
    resp->dead = svan_get_u8(reader);
    resp->ack_due = svan_get_u8(reader);
    if (!svan_assembly_load(&resp->assembly, reader) ||
        !load_nak(reader, &resp->nak) || !load_owed_list(reader, resp)) {
        return false;
    }
    /*
     * This is not saved: it begins at the oldest PSN that is owed, and requests move
     * it.
     */
    resp->heard = resp->num_owed ? resp->owed[0].psn : resp->epsn;
    return load_atomics(reader, resp);
}

/* ---- waits for pages ---- */

/*
 * Kept packets are not saved, but asked for again after the load; so is a response
 * that met an absent page.
 */
static void save_waits(const SvanRc *rc, SvanWriter *writer)
{
    svan_put_u8(writer, rc->suspension.state != SVAN_SUSPENSION_NONE);
    svan_put_u8(writer, rc->suspension.patience.told);
    svan_put_u8(writer, rc->suspension.called_back);
    svan_put_u8(writer, rc->req.in_wait.state != SVAN_WAIT_NONE);
    svan_put_u8(writer, rc->req.wait.state != SVAN_WAIT_NONE ||
                        rc->resp.read_wait.state != SVAN_WAIT_NONE);
}

static void load_waits(SvanQp *qp, SvanReader *reader)
{
    SvanRc *rc = qp->priv;
    bool interrupted = svan_get_u8(reader);
    bool told = svan_get_u8(reader);
    bool response, other;

    rc->suspension.called_back = svan_get_u8(reader);
    response = svan_get_u8(reader);
    other = svan_get_u8(reader);
    if (qp->state < SVAN_QPS_RTR || qp->state > SVAN_QPS_SQD ||
        qp->fn->fatal || !(interrupted || response || other)) {
        return;
    }
    if (interrupted && !told && !rc->resp.nak.pending) {
        svan_suspension_call_back(qp);
    }
    if (response && qp->state != SVAN_QPS_RTR) {
        rc->req.send = rc->req.acked;
        rc->req.nxt = rc->req.ack_asked = rc->req.una;
    }
    svan_qp_schedule(qp);
}

/* ---- both ---- */

void svan_rc_save(const SvanQp *qp, SvanWriter *writer)
{
    const SvanRc *rc = qp->priv;

    svan_put_u8(writer, rc->respond_last);
    save_requester(&rc->req, writer);
    save_responder(&rc->resp, writer);
    svan_rc_congestion_save(qp, writer);
    save_waits(rc, writer);
}

bool svan_rc_load(SvanQp *qp, SvanReader *reader)
{
    SvanRc *rc = qp->priv;

    rc->respond_last = svan_get_u8(reader);
    if (!load_requester(qp, reader) || !load_responder(qp, reader) ||
        !svan_rc_congestion_load(qp, reader)) {
        return false;
    }
    load_waits(qp, reader);
    return !reader->failed;
}
