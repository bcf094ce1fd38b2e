/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames that wait for the rate of their path. An Ethernet queue pair sends to many peers,
 * so its frames wait here and not in its queue, where one would hold up all behind it. What
 * finds no room is lost, which TCP understands.
 */
#include "net/enforcement.h"

#define MAX_HELD        (128u << 10)    /* octets of a path ... */
#define MAX_HELD_ALL    (1u << 20)      /* ... and of a function */

bool svan_shaper_hold(SvanEnforcement *enforcement, SvanPath *path, SvanFrame *frame)
{
    if (path->held_octets + frame->len > MAX_HELD ||
        enforcement->held_octets + frame->len > MAX_HELD_ALL) {
        return false;
    }
    if (!path->held) {
        path->held_tail = &path->held;
    }
    frame->next = NULL;
    *path->held_tail = frame;
    path->held_tail = &frame->next;
    path->held_octets += frame->len;
    enforcement->held_octets += frame->len;
    return true;
}

SvanFrame *svan_shaper_take(SvanEnforcement *enforcement, SvanPath *path)
{
    SvanFrame *frame = path->held;

    path->held = frame->next;
    path->held_octets -= frame->len;
    enforcement->held_octets -= frame->len;
    return frame;
}

void svan_shaper_give_back(SvanEnforcement *enforcement, SvanPath *path, SvanFrame *frame)
{
    if (!path->held) {
        path->held_tail = &frame->next;
    }
    frame->next = path->held;
    path->held = frame;
    path->held_octets += frame->len;
    enforcement->held_octets += frame->len;
}

void svan_shaper_drop(SvanEnforcement *enforcement, SvanPath *path)
{
    while (path->held) {
        svan_frame_free(svan_shaper_take(enforcement, path));
    }
    svan_list_remove(&path->due);
}

void svan_shaper_due(SvanPath *path)
{
    SvanCore *core = path->fn->core;

    svan_list_append(&core->sw->shaped, &path->due);
    svan_port_ready(core, SVAN_TURN_NOTIFY);
}
