/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The window of an RC requester: what was sent and is not acknowledged, and the
 * timers over it (9.7.2, 9.7.6.1.3).
 */
#include "transport/rc.h"

void svan_rc_fail(SvanQp *qp, uint32_t pos, uint8_t status, uint32_t syndrome)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanRcWqe *wqe = svan_rc_wqe(req, pos);

    if (wqe->status != SVAN_CQE_SUCCESS) {
        return;
    }
    wqe->status = status;
    wqe->syndrome = syndrome;
    svan_trace(qp->fn, SVAN_TRACE_WQE_REJECT, qp->qpn, wqe->index, status,
               syndrome);
    svan_qp_schedule(qp);
}

bool svan_rc_end_rnr_wait(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    if (req->state != SVAN_RC_REQ_RNR_WAIT) {
        return false;
    }
    svan_timer_cancel(qp->fn->core, &req->rnr_timer);
    req->rnr_fired = false;
    req->state = SVAN_RC_REQ_SEND;
    svan_qp_schedule(qp);
    return true;
}

/*
 * una may have moved: nxt is never behind it, and retries are counted anew. Of a WQE that needs
 * more responses, and is the last that there is to send, each brings the queue pair no work.
 */
static void moved(SvanQp *qp, uint32_t old_una, uint32_t old_acked)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

    if ((int32_t)(req->acked - req->send) > 0 ||
        (int32_t)(req->una - req->nxt) > 0) {
        svan_page_wait_leave(&req->wait);
        req->send = req->acked;
        req->nxt = req->una;
        req->touched = 0;
    }
    if (req->una != old_una) {
        req->window_packets += req->una - old_una;
        if (req->window_packets > SVAN_RC_MAX_UNACKED) {
            req->window_packets = SVAN_RC_MAX_UNACKED;
        }
        req->progress++;
        /* Only what the requester waits to send again can have been acknowledged. */
        svan_rc_end_rnr_wait(qp);
        req->heard = 0;
        req->retries = qp->retry_cnt;
        req->rnr_retries = qp->rnr_retry;
        req->rnr_since = 0;
        if (req->acked != old_acked || req->send != req->tail) {
            svan_qp_schedule(qp);
        }
    }
}

void svan_rc_advance(SvanQp *qp, uint32_t limit)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    uint32_t una = req->una, acked = req->acked;

    while (req->acked != req->tail) {
        SvanRcWqe *wqe = svan_rc_wqe(req, req->acked);
        uint32_t end = wqe->seq + wqe->packets;

        if (wqe->status != SVAN_CQE_SUCCESS) {
            break;
        }
        if (wqe->packets) {
            if (svan_rc_has_response(wqe->opcode) ||
                (int32_t)(limit - req->una) <= 0) {
                break;
            }
            if ((int32_t)(limit - end) < 0) {
                req->una = limit;
                break;
            }
            req->una = end;
        }
        req->acked++;
    }
    moved(qp, una, acked);
}

void svan_rc_responded(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    const SvanRcWqe *wqe = svan_rc_wqe(req, req->acked);
    uint32_t una = req->una++, acked = req->acked;

    if (req->una == wqe->seq + wqe->packets) {
        req->acked++;
        req->rd_atomics--;
    }
    moved(qp, una, acked);
    svan_rc_advance(qp, req->una);
}

SvanStep svan_rc_load_wqe(SvanQp *qp, uint32_t pos, SvanRcCache *cache,
                          uint32_t *syndrome)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    const SvanRcWqe *kept = svan_rc_wqe(req, pos);
    SvanWqe *wqe = &cache->wqe;
    uint8_t status;
    SvanStep step;

    if (cache->qp == qp && cache->pos == pos) {
        return SVAN_STEP_DONE;
    }
    cache->qp = NULL;
    step = svan_wqe_fetch(&qp->sq, kept->index, wqe, &status, syndrome);
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (step != SVAN_STEP_DONE || wqe->opcode != kept->opcode ||
        wqe->flags != kept->flags || wqe->num_bbs != kept->num_bbs ||
        wqe->length != kept->length) {
        *syndrome = SVAN_SYN_RING;
        return SVAN_STEP_ERROR;
    }
    cache->qp = qp;
    cache->pos = pos;
    return SVAN_STEP_DONE;
}

/* ---- timers ---- */

/* table 45, in units of 10 us */
static const uint16_t rnr_units[32] = {
    0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512,
    768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768,
    49152,
};

uint64_t svan_rc_rnr_ns(uint8_t code)
{
    uint64_t units = rnr_units[code & SVAN_AETH_VALUE_MASK];

    return (units ? units : 65536) * 10000;
}

/*
 * A timer that runs is not set anew by each packet; when it fires, there was progress
 * since it was started or there was none. So a timeout takes one to two periods
 * (9.7.6.1.3 allows four).
 */
void svan_rc_start_ack_timer(SvanQp *qp)
{
    SvanRcRequester *req = &((SvanRc *)qp->priv)->req;
    SvanCore *core = qp->fn->core;

    if (req->ack_timer.slot >= 0 || req->ack_fired || !qp->timeout ||
        !svan_rc_is_ack_due(req)) {
        return;
    }
    req->timer_progress = req->progress;
    svan_timer_set(core, &req->ack_timer,
                   svan_now(core) + (4096ull << (qp->timeout & 31)));
}
