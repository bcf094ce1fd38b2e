/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects and functions that have work, wait for the wire, or have missed.
 */
#include "base/base.h"

void svan_turn_leave(SvanFn *fn, SvanTurn turn, SvanLink *object)
{
    svan_list_remove(object);
    if (svan_list_empty(&fn->work[turn].objects) && !fn->miss.aside) {
        svan_fn_leave(fn, turn);
    }
}

/* If there is room on the wire, the next of the function that waits for it may try. */
static void wake_blocked(SvanFn *fn)
{
    if (fn->core->has_room && !svan_list_empty(&fn->blocked)) {
        SvanWork *work = svan_container(fn->blocked.next, SvanWork, blocked);

        svan_list_remove(&work->blocked);
        work->woken = true;
        svan_work_ready(work);
    }
}

void svan_fn_sent(SvanFn *fn)
{
    svan_list_remove(&fn->waits);
    svan_list_append(&fn->core->waiting, &fn->waits);
    wake_blocked(fn);
}

void svan_wake_waiting(SvanCore *core)
{
    SvanLink *link = core->waiting.next, *next;

    core->has_room = true;
    for (; link != &core->waiting; link = next) {
        SvanFn *fn = svan_container(link, SvanFn, waits);

        next = link->next;
        if (svan_list_empty(&fn->blocked)) {
            svan_list_remove(link);
        } else {
            wake_blocked(fn);
        }
    }
}

void svan_work_block(SvanWork *work)
{
    SvanLink *blocked = &work->fn->blocked;

    work->fn->core->has_room = false;
    svan_list_append(&work->fn->core->waiting, &work->fn->waits);
    if (work->woken) {
        svan_list_first(blocked, &work->blocked);
    } else {
        svan_list_append(blocked, &work->blocked);
    }
}

void svan_work_stop(SvanWork *work)
{
    svan_turn_leave(work->fn, SVAN_TURN_QP, &work->ready);
    svan_list_remove(&work->blocked);
    work->woken = false;
    wake_blocked(work->fn);
}

void svan_fn_join(SvanFn *fn, SvanTurn turn)
{
    fn->served = svan_served_with_credit(fn->core, fn->served);
    svan_list_append(&fn->core->work[turn], &fn->work[turn].link);
    fn->core->fns_sending += turn == SVAN_TURN_QP;
    svan_source_ready(fn->core, turn);
}

/* A link that is in a list of its own is not appended to another list. */
static void fn_suspend(SvanFn *fn)
{
    for (SvanTurn turn = 0; turn < SVAN_TURN_COUNT; turn++) {
        svan_fn_leave(fn, turn);
        svan_list_init(&fn->work[turn].link);
    }
}

static void fn_resume(SvanFn *fn)
{
    for (SvanTurn turn = 0; turn < SVAN_TURN_COUNT; turn++) {
        svan_list_remove(&fn->work[turn].link);
        if (!svan_list_empty(&fn->work[turn].objects)) {
            svan_fn_join(fn, turn);
        }
    }
}

void svan_miss_suspend(SvanCore *core, SvanMiss *miss)
{
    miss->aside = true;
    if (miss->fn) {
        fn_suspend(miss->fn);
    } else {
        core->held |= 1u << miss->turn;
    }
}

void svan_miss_resume(SvanCore *core, SvanMiss *miss)
{
    if (!miss->aside) {
        return;
    }
    miss->aside = false;
    if (miss->fn) {
        fn_resume(miss->fn);
    } else {
        core->held &= ~(1u << miss->turn);
        core->port_served = svan_served_with_credit(core, core->port_served);
    }
}

void svan_miss_forget(SvanCore *core, SvanMiss *miss)
{
    svan_miss_resume(core, miss);
    svan_list_remove(&miss->link);
}
