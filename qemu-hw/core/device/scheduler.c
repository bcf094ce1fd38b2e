/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has the next step.
 */
#include "device/device.h"

#define TIMER_LOOK      8       /* runs between two looks at the clock */

/* The QP at the head of the run list. IDLE: it had nothing to do. */
static SvanStep qp_turn(SvanCore *core)
{
    SvanQp *qp = svan_container(core->run.next, SvanQp, work.ready);
    SvanStep step;

    svan_list_remove(&qp->work.ready);
    step = qp->transport->step(qp);
    switch (step) {
    case SVAN_STEP_DONE:
    case SVAN_STEP_AGAIN:
        svan_qp_schedule(qp);
        if (qp->state >= SVAN_QPS_RTS) {
            svan_poll_arm(&qp->sq);
        }
        break;
    case SVAN_STEP_MISS:
        svan_list_first(&core->run, &qp->work.ready);
        break;
    case SVAN_STEP_BLOCKED:
        svan_list_append(&core->blocked, &qp->work.blocked);
        svan_poll_park(&qp->sq);
        break;
    default:
        qp->sq.last_active = 0;
        return SVAN_STEP_IDLE;
    }
    return step;
}

static SvanStep take_turn(SvanCore *core, SvanTurn turn)
{
    switch (turn) {
    case SVAN_TURN_CMD:
        return svan_list_empty(&core->cmd_work) ? SVAN_STEP_IDLE :
                                                  svan_cmd_step(core);
    case SVAN_TURN_EQ:
        return svan_list_empty(&core->eq_work) ? SVAN_STEP_IDLE :
                                                 svan_eq_step(core);
    case SVAN_TURN_FAULT:
        return svan_list_empty(&core->prq_work) ? SVAN_STEP_IDLE :
                                                    svan_prq_step(core);
    case SVAN_TURN_RX:
        return core->ingress->head ? svan_rx_step(core) : SVAN_STEP_IDLE;
    case SVAN_TURN_QP:
        return svan_list_empty(&core->run) ? SVAN_STEP_IDLE : qp_turn(core);
    case SVAN_TURN_POLL:
        return svan_list_empty(&core->doorbells->poll) ? SVAN_STEP_IDLE :
                                              svan_poll_step(core);
    default:
        return SVAN_STEP_IDLE;
    }
}

bool svan_has_work(SvanCore *core)
{
    return !svan_list_empty(&core->cmd_work) ||
           !svan_list_empty(&core->eq_work) ||
           !svan_list_empty(&core->prq_work) || core->ingress->head ||
           !svan_list_empty(&core->run) || core->doorbells->taken ||
           atomic_load_explicit(&core->doorbells->rung, memory_order_relaxed);
}

/*
 * A timer that moves away leaves the deadline where it was: waking once for
 * nothing is cheaper than telling the glue with each acknowledgement.
 */
static void tell_deadline(SvanCore *core)
{
    uint64_t next = svan_timer_next(core);

    if (next == core->deadline_told) {
        return;
    }
    if (next < core->deadline_told || core->deadline_told <= svan_now(core)) {
        core->deadline_told = next;
        core->ops.deadline(core->opaque, next);
    }
}

SvanRun svan_run(SvanCore *core)
{
    svan_db_collect(core);
    if (++core->timer_skipped >= TIMER_LOOK) {
        core->timer_skipped = 0;
        svan_timer_fire_due(core);
    }
    for (uint32_t i = 0; i < SVAN_TURN_COUNT; i++) {
        SvanTurn turn = core->turn;
        SvanStep step;

        step = take_turn(core, turn);
        if (step == SVAN_STEP_MISS) {
            return SVAN_RUN_MISS;
        }
        core->turn = turn + 1 < SVAN_TURN_COUNT ? turn + 1 : 0;
        if (step != SVAN_STEP_IDLE) {
            return SVAN_RUN_MORE;
        }
    }
    if (svan_has_work(core) || svan_timer_fire_due(core)) {
        return SVAN_RUN_MORE;
    }
    tell_deadline(core);
    if (svan_list_empty(&core->doorbells->poll)) {
        return SVAN_RUN_IDLE;
    }
    /* Without a window what is left to do is to clear flags. */
    return core->doorbells->poll_ns ? SVAN_RUN_POLL : SVAN_RUN_MORE;
}
