/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A heap of events.
 */
#include <stdlib.h>

#include "schedule.h"

static bool earlier(const NetEvent *a, const NetEvent *b)
{
    if (a->time != b->time) {
        return a->time < b->time;
    }
    if (a->node != b->node) {
        return a->node < b->node;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind;
    }
    return a->sequence != b->sequence ? a->sequence < b->sequence : a->source < b->source;
}

static bool grow(NetSchedule *schedule)
{
    uint32_t capacity = schedule->capacity ? schedule->capacity * 2 : 256;
    NetEvent *heap = realloc(schedule->heap, capacity * sizeof(*heap));

    if (!heap) {
        return false;
    }
    schedule->heap = heap;
    schedule->capacity = capacity;
    return true;
}

bool net_schedule_put(NetSchedule *schedule, const NetEvent *event)
{
    NetEvent *heap;
    uint32_t i;

    if (schedule->len == schedule->capacity && !grow(schedule)) {
        return false;
    }
    heap = schedule->heap;
    for (i = schedule->len++; i && earlier(event, &heap[(i - 1) / 2]); i = (i - 1) / 2) {
        heap[i] = heap[(i - 1) / 2];
    }
    heap[i] = *event;
    return true;
}

bool net_schedule_add(NetSchedule *schedule, uint32_t node, NetNode *source, NetEvent event)
{
    event.node = node;
    event.source = source->id;
    event.sequence = source->sequence;
    if (!(schedule->away && schedule->away(schedule->away_arg, &event)) &&
        !net_schedule_put(schedule, &event)) {
        return false;
    }
    source->sequence++;
    return true;
}

uint64_t net_schedule_next(const NetSchedule *schedule)
{
    return schedule->len ? schedule->heap[0].time : UINT64_MAX;
}

static NetEvent take_first(NetSchedule *schedule)
{
    NetEvent *heap = schedule->heap, first = heap[0], last = heap[--schedule->len];
    uint32_t i = 0;

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child + 1 < schedule->len && earlier(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (child >= schedule->len || !earlier(&heap[child], &last)) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

bool net_schedule_step(NetSchedule *schedule, uint64_t until)
{
    NetEvent event;

    if (!schedule->len || net_schedule_next(schedule) > until) {
        return false;
    }
    event = take_first(schedule);
    schedule->now = event.time;
    event.fn(event.arg, event.frame);
    return true;
}

uint64_t net_schedule_run(NetSchedule *schedule, uint64_t until)
{
    uint64_t count = 0;

    while (net_schedule_step(schedule, until)) {
        count++;
    }
    if (schedule->now < until) {
        schedule->now = until;
    }
    return count;
}

void net_schedule_fini(NetSchedule *schedule)
{
    for (uint32_t i = 0; i < schedule->len; i++) {
        net_frame_put(schedule->heap[i].frame);
    }
    free(schedule->heap);
    *schedule = (NetSchedule) { 0 };
}
