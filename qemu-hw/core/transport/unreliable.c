/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unreliable connections and datagrams: the life cycle of their queue pairs, and their
 * step.
 */
#include <stdlib.h>

#include "transport/unreliable.h"

/* ---- the step ---- */

typedef SvanStep (*Unit)(SvanQp *qp);

static SvanStep flush_rq(SvanQp *qp)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    return svan_qp_flush_receive(qp, &recv->failure, recv->syndrome);
}

/* The send queue is drained when no WQE that was begun is left (10.3.1.5). */
static void check_drained(SvanQp *qp)
{
    const SvanUnreliableSender *send = &svan_unreliable(qp)->send;

    if (qp->state == SVAN_QPS_SQD && qp->sq_draining && !send->sent &&
        send->state == SVAN_SEND_NONE) {
        qp->sq_draining = false;
        if (qp->sqd_notify) {
            svan_event(&qp->events, SVAN_EVENT_QP_SQ_DRAINED, 0);
        }
    }
}

#define MAX_UNITS       2

/* What a step does in each state (enum svan_qp_state), in this order. */
static const Unit units[][MAX_UNITS] = {
    [SVAN_QPS_RESET] = { NULL },
    [SVAN_QPS_INIT]  = { NULL },
    [SVAN_QPS_RTR]   = { svan_unreliable_await },
    [SVAN_QPS_RTS]   = { svan_unreliable_await, svan_unreliable_send },
    [SVAN_QPS_SQD]   = { svan_unreliable_await, svan_unreliable_send },
    [SVAN_QPS_SQE]   = { svan_unreliable_await, svan_unreliable_flush_sq },
    [SVAN_QPS_ERR]   = { svan_unreliable_flush_sq, flush_rq },
};

/*
 * A unit may change the state; the step ends then, since other units belong to the new
 * one. A unit that waits because of a verdict on its flow does not stop the other.
 */
static SvanStep unreliable_step(SvanQp *qp)
{
    uint8_t state = qp->state;
    bool progress = false;

    for (uint32_t i = 0; i < MAX_UNITS && qp->state == state && units[state][i]; i++) {
        SvanStep step = units[state][i](qp);

        if (step == SVAN_STEP_MISS || step == SVAN_STEP_BLOCKED) {
            return step;
        }
        progress |= step == SVAN_STEP_DONE;
    }
    check_drained(qp);
    return progress ? SVAN_STEP_DONE : SVAN_STEP_IDLE;
}

/* ---- life ---- */

static void forget(SvanQp *qp)
{
    svan_unreliable_sender_init(qp);
    svan_unreliable_receiver_init(qp);
}

static void stop(SvanQp *qp)
{
    svan_unreliable_sender_stop(qp);
    svan_unreliable_receiver_stop(qp);
}

static bool create(SvanQp *qp)
{
    qp->priv = calloc(1, sizeof(SvanUnreliable));
    if (!qp->priv) {
        return false;
    }
    forget(qp);
    return true;
}

static void destroy(SvanQp *qp)
{
    stop(qp);
    free(qp->priv);
    qp->priv = NULL;
}

static void enter(SvanQp *qp, uint8_t old)
{
    SvanUnreliable *unreliable = svan_unreliable(qp);

    switch (qp->state) {
    case SVAN_QPS_RESET:
        stop(qp);
        forget(qp);
        return;
    case SVAN_QPS_RTR:
        svan_unreliable_default_mtu(qp);
        unreliable->recv.epsn = qp->rq_psn & SVAN_PSN_MASK;
        break;
    case SVAN_QPS_RTS:
        if (old == SVAN_QPS_RTR) {
            unreliable->send.psn = qp->sq_psn & SVAN_PSN_MASK;
        }
        break;
    case SVAN_QPS_SQD:
    case SVAN_QPS_SQE:
        break;
    case SVAN_QPS_ERR:
        stop(qp);
        break;
    default:
        return;
    }
    svan_qp_schedule(qp);
}

static uint32_t sq_ci(const SvanQp *qp)
{
    return svan_unreliable(qp)->send.sq_ci;
}

#define UNRELIABLE \
    .create = create, .destroy = destroy, .enter = enter, .step = unreliable_step, \
    .rx = svan_unreliable_rx, .sq_ci = sq_ci, .save = svan_unreliable_save, \
    .load = svan_unreliable_load

const SvanTransport svan_uc_transport = { .name = "UC", UNRELIABLE };
const SvanTransport svan_ud_transport = { .name = "UD", UNRELIABLE };
