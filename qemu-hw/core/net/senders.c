/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the switch itself sends to the port: notifications, and frames that have waited for
 * the rate of their path.
 */
#include "net/enforcement.h"

void svan_switch_tx_ready(SvanCore *core)
{
    if (!svan_list_empty(&core->sw->notices) || !svan_list_empty(&core->sw->shaped)) {
        svan_port_ready(core, SVAN_TURN_NOTIFY);
        svan_kick(core);
    }
}

/*
 * Frames wait here before they count against the limit of their function, which may be lower
 * than what its paths have together. Does it let one of this path leave?
 */
static bool is_open(SvanPath *path)
{
    SvanCore *core = path->fn->core;
    uint64_t when = svan_rate_opens(path->fn);

    if (!when || when <= svan_now(core)) {
        return true;
    }
    svan_list_remove(&path->due);
    svan_timer_set(core, &path->turn, when);
    return false;
}

/* IDLE: it is no frame's turn. */
static SvanStep shaper_step(SvanCore *core)
{
    SvanPath *path = svan_container(core->sw->shaped.next, SvanPath, due);
    SvanEnforcement *enforcement;
    SvanFrame *frame;
    SvanStep step;

    if (svan_list_empty(&core->sw->shaped)) {
        return SVAN_STEP_IDLE;
    }
    if (!is_open(path)) {
        return SVAN_STEP_DONE;
    }
    enforcement = path->fn->net->enforcement;
    frame = svan_shaper_take(enforcement, path);
    svan_enforce_identify(enforcement, &(SvanFlowUnit) { .fn = path->fn, .frame = frame });
    step = svan_frame_release(path->fn, frame);
    if (step == SVAN_STEP_BLOCKED) {
        svan_shaper_give_back(enforcement, path, frame);
        return step;
    }
    svan_list_remove(&path->due);
    svan_enforce_next(path, enforcement->now);
    return SVAN_STEP_DONE;
}

/* The two take turns, so that a flood of marks does not hold frames up. */
SvanStep svan_notify_step(SvanCore *core)
{
    static SvanStep (*const senders[])(SvanCore *core) = { svan_notices_step, shaper_step };
    SvanSwitch *sw = core->sw;
    SvanStep step = senders[sw->shaper_next](core);

    if (step == SVAN_STEP_IDLE) {
        step = senders[!sw->shaper_next](core);
    }
    if (step == SVAN_STEP_DONE) {
        sw->shaper_next = !sw->shaper_next;
        return step;
    }
    svan_source_idle(core, SVAN_TURN_NOTIFY);           /* BLOCKED: until svan_tx_ready() */
    return SVAN_STEP_IDLE;
}
