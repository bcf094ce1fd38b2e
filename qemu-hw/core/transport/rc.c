/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reliable connection: the life cycle of an RC queue pair, and its step.
 */
#include <stdlib.h>
#include <string.h>

#include "transport/rc.h"

static SvanStep rc_rx(SvanQp *qp, const SvanPkt *pkt)
{
    SvanStep step;

    if (!svan_op_info(pkt->opcode)->request) {
        return svan_rc_rx_response(qp, pkt);
    }
    step = svan_rc_rx_request(qp, pkt);
    if (step == SVAN_STEP_DONE) {
        svan_rc_request_heard(qp, pkt->psn);
    }
    return step;
}

/* ---- the step ---- */

typedef SvanStep (*SvanRcUnit)(SvanQp *qp, SvanRcBudget *budget);

#define MAX_UNITS       3

/* What a QP's step does in each state (enum svan_qp_state), in this order. */
static const SvanRcUnit units[][MAX_UNITS] = {
    [SVAN_QPS_RESET] = { NULL },
    [SVAN_QPS_INIT]  = { NULL },
    [SVAN_QPS_RTR]   = { svan_rc_respond },
    [SVAN_QPS_RTS]   = { svan_rc_complete, svan_rc_respond, svan_rc_request },
    [SVAN_QPS_SQD]   = { svan_rc_complete, svan_rc_respond, svan_rc_request },
    [SVAN_QPS_SQE]   = { NULL },
    [SVAN_QPS_ERR]   = { svan_rc_flush_sq, svan_rc_flush_rq },
};

/*
 * Run a unit until it has nothing more to do or the budget is used up. A unit may
 * change the QP's state; the step ends then, since other units belong to the new
 * state.
 */
static inline SvanStep run_unit(SvanQp *qp, SvanRcUnit unit,
                                SvanRcBudget *budget, bool *progress)
{
    uint8_t state = qp->state;
    SvanStep step = SVAN_STEP_DONE;

    while (budget->units && qp->state == state) {
        step = unit(qp, budget);
        if (step != SVAN_STEP_DONE) {
            break;
        }
        *progress = true;
        if (budget->units) {
            budget->units--;
        }
    }
    /* A unit that waits because of a verdict on its flow does not stop the others. */
    return step == SVAN_STEP_IDLE || step == SVAN_STEP_LATER ? SVAN_STEP_DONE :
                                                               step;
}

/* The send queue is drained when no WQE that was begun is left (10.3.1.5). */
static void check_drained(SvanQp *qp)
{
    const SvanRc *rc = qp->priv;

    if (qp->state == SVAN_QPS_SQD && qp->sq_draining &&
        rc->req.head == rc->req.tail) {
        qp->sq_draining = false;
        if (qp->sqd_notify) {
            svan_event(&qp->events, SVAN_EVENT_QP_SQ_DRAINED, 0);
        }
    }
}

/* A CNP that has to wait for a verdict does not stop the rest either. */
static SvanStep notify(SvanQp *qp, bool *progress)
{
    SvanStep step = svan_rc_send_cnp(qp);

    *progress |= step == SVAN_STEP_DONE;
    return step == SVAN_STEP_LATER || step == SVAN_STEP_AGAIN ? SVAN_STEP_DONE : step;
}

/*
 * Who has sent something and then finds no room goes behind the others before it waits for
 * room; else it would be the first whenever there is room for one packet, and the only one.
 */
static SvanStep stop(SvanStep step, bool progress)
{
    return step == SVAN_STEP_BLOCKED && progress ? SVAN_STEP_DONE : step;
}

static SvanStep rc_step(SvanQp *qp)
{
    SvanRc *rc = qp->priv;
    SvanRcBudget budget = { .bytes = SVAN_PAGE_SIZE };
    uint8_t state = qp->state;
    bool progress = false;
    uint32_t turn = rc->respond_last;
    uint32_t burst = svan_steps_are_short(qp->fn->core) ? SVAN_RC_SHORT_BURST : SVAN_RC_BURST;
    SvanStep step;

    svan_rc_timeouts(qp);
    budget.units = burst;
    step = run_unit(qp, svan_suspension_step, &budget, &progress);
    if (step != SVAN_STEP_DONE) {
        return stop(step, progress);
    }
    if (rc->cnp_due) {
        step = notify(qp, &progress);
        if (step != SVAN_STEP_DONE) {
            return stop(step, progress);
        }
    }
    for (uint32_t i = 0; i < MAX_UNITS && qp->state == state; i++) {
        /* Units 1 and 2 take turns at being run first. */
        SvanRcUnit unit = units[state][i && turn && state != SVAN_QPS_ERR ?
                                       3 - i : i];

        if (!unit) {
            continue;
        }
        budget.units = burst;
        step = run_unit(qp, unit, &budget, &progress);
        if (step != SVAN_STEP_DONE) {
            return stop(step, progress);
        }
    }
    rc->respond_last = !turn && budget.bytes < SVAN_PAGE_SIZE;
    check_drained(qp);
    return progress ? SVAN_STEP_DONE : SVAN_STEP_IDLE;
}

/* ---- life cycle ---- */

static void fire_ack(SvanTimer *timer)
{
    SvanRc *rc = svan_container(timer, SvanRc, req.ack_timer);

    rc->req.ack_fired = true;
    svan_qp_schedule(rc->qp);
}

static void fire_rnr(SvanTimer *timer)
{
    SvanRc *rc = svan_container(timer, SvanRc, req.rnr_timer);

    rc->req.rnr_fired = true;
    svan_qp_schedule(rc->qp);
}

/* End all waits, for times and for pages. */
static void stop_waiting(SvanRc *rc)
{
    svan_page_wait_leave(&rc->req.wait);
    svan_page_wait_leave(&rc->req.in_wait);
    svan_page_wait_leave(&rc->resp.read_wait);
    svan_rc_patience_end(&rc->resp.patience);
    svan_suspension_clear(rc->qp);
    svan_timer_cancel(rc->qp->fn->core, &rc->req.ack_timer);
    svan_timer_cancel(rc->qp->fn->core, &rc->req.rnr_timer);
    rc->req.ack_fired = false;
    rc->req.rnr_fired = false;
}

/* Begin as after creation. No timer runs. */
static void forget(SvanRc *rc)
{
    svan_rc_release(rc->qp);
    memset(&rc->req, 0, sizeof(rc->req));
    memset(&rc->resp, 0, sizeof(rc->resp));
    rc->respond_last = false;
    rc->req.window = rc->req.few;
    rc->req.window_mask = SVAN_RC_FEW - 1;
    rc->req.wait.waiter = rc->req.in_wait.waiter = &rc->qp->waiter;
    rc->resp.read_wait.waiter = &rc->qp->waiter;
    rc->resp.assembly.rq = &rc->qp->rq;
    svan_rc_share(rc->qp);
    svan_rc_patience_init(&rc->resp.patience, rc->qp);
    svan_suspension_init(rc->qp);
    svan_rc_congestion_forget(rc->qp);
    svan_timer_init(&rc->req.ack_timer, fire_ack);
    svan_timer_init(&rc->req.rnr_timer, fire_rnr);
}

#define RC_TIMERS       4       /* ACK, RNR, and the bounds of two SvanRcPatience */

static bool rc_create(SvanQp *qp)
{
    SvanRc *rc = calloc(1, sizeof(*rc));

    if (!rc) {
        return false;
    }
    if (!svan_timer_reserve(qp->fn->core, RC_TIMERS)) {
        free(rc);
        return false;
    }
    rc->qp = qp;
    rc->req.window = rc->req.few;
    rc->req.window_mask = SVAN_RC_FEW - 1;
    qp->priv = rc;
    svan_rc_share(qp);
    forget(rc);
    return true;
}

static void rc_destroy(SvanQp *qp)
{
    SvanRc *rc = qp->priv;

    stop_waiting(rc);
    svan_rc_release(qp);
    svan_rc_congestion_forget(qp);
    svan_timer_unreserve(qp->fn->core, RC_TIMERS);
    free(rc);
    qp->priv = NULL;
}

static void enter_reset(SvanRc *rc)
{
    stop_waiting(rc);
    forget(rc);
}

static void enter_rtr(SvanRc *rc)
{
    rc->resp.epsn = rc->qp->rq_psn & SVAN_PSN_MASK;
}

/* Take over attributes that are copied, or that set a timer; they may change in SQD. */
static void take_attributes(SvanRc *rc)
{
    SvanRcRequester *req = &rc->req;

    req->retries = rc->qp->retry_cnt;
    req->rnr_retries = rc->qp->rnr_retry;
    req->rnr_since = 0;
    svan_timer_cancel(rc->qp->fn->core, &req->ack_timer);
    req->ack_fired = false;
    svan_rc_start_ack_timer(rc->qp);
}

static void start_requester(SvanRc *rc)
{
    SvanRcRequester *req = &rc->req;

    req->una = rc->qp->sq_psn & SVAN_PSN_MASK;
    req->nxt = req->high = req->end = req->ack_asked = req->una;
    req->window_packets = SVAN_RC_MAX_UNACKED;
    take_attributes(rc);
    req->state = SVAN_RC_REQ_SEND;
}

static void enter_error(SvanRc *rc)
{
    stop_waiting(rc);
    rc->req.state = SVAN_RC_REQ_OFF;
    rc->req.send = rc->req.tail;
    rc->resp.num_owed = 0;
    rc->resp.num_new = 0;
    rc->resp.ack_due = false;
    rc->resp.nak.pending = false;
    rc->cnp_due = false;
}

static void rc_enter(SvanQp *qp, uint8_t old)
{
    SvanRc *rc = qp->priv;

    switch (qp->state) {
    case SVAN_QPS_RESET:
        enter_reset(rc);
        return;
    case SVAN_QPS_RTR:
        enter_rtr(rc);
        return;
    case SVAN_QPS_RTS:
        if (old == SVAN_QPS_RTR) {
            start_requester(rc);
        }
        break;
    case SVAN_QPS_SQD:
        if (old == SVAN_QPS_SQD) {
            take_attributes(rc);
        }
        break;
    case SVAN_QPS_ERR:
        enter_error(rc);
        break;
    default:
        return;
    }
    svan_qp_schedule(qp);
}

static uint32_t rc_sq_ci(const SvanQp *qp)
{
    return ((const SvanRc *)qp->priv)->req.sq_ci;
}

const SvanTransport svan_rc_transport = {
    .name = "RC",
    .create = rc_create,
    .destroy = rc_destroy,
    .enter = rc_enter,
    .step = rc_step,
    .rx = rc_rx,
    .marked = svan_rc_marked,
    .notified = svan_rc_notified,
    .limit = svan_rc_limit,
    .sq_ci = rc_sq_ci,
    .save = svan_rc_save,
    .load = svan_rc_load,
};
