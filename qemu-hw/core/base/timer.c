/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers: a binary heap of pointers into the objects that hold them.
 */
#include <stdlib.h>

#include "base/base.h"

#define MIN_HEAP        64u
#define MAX_FIRED       32u             /* in one call, however many are due */

void svan_timer_init(SvanTimer *timer, void (*fire)(SvanTimer *timer))
{
    timer->deadline = 0;
    timer->order = 0;
    timer->slot = -1;
    timer->fire = fire;
}

static bool is_before(const SvanTimer *a, const SvanTimer *b)
{
    return a->deadline != b->deadline ? a->deadline < b->deadline :
                                        a->order < b->order;
}

static void heap_put(SvanCore *core, uint32_t slot, SvanTimer *timer)
{
    core->heap[slot] = timer;
    timer->slot = slot;
}

static void heap_up(SvanCore *core, uint32_t slot, SvanTimer *timer)
{
    while (slot) {
        uint32_t parent = (slot - 1) / 2;

        if (!is_before(timer, core->heap[parent])) {
            break;
        }
        heap_put(core, slot, core->heap[parent]);
        slot = parent;
    }
    heap_put(core, slot, timer);
}

static void heap_down(SvanCore *core, uint32_t slot, SvanTimer *timer)
{
    for (;;) {
        uint32_t child = 2 * slot + 1;

        if (child >= core->heap_len) {
            break;
        }
        if (child + 1 < core->heap_len &&
            is_before(core->heap[child + 1], core->heap[child])) {
            child++;
        }
        if (!is_before(core->heap[child], timer)) {
            break;
        }
        heap_put(core, slot, core->heap[child]);
        slot = child;
    }
    heap_put(core, slot, timer);
}

/* The timer belongs at or around this slot, which is free. */
static void heap_place(SvanCore *core, uint32_t slot, SvanTimer *timer)
{
    if (slot && is_before(timer, core->heap[(slot - 1) / 2])) {
        heap_up(core, slot, timer);
    } else {
        heap_down(core, slot, timer);
    }
}

void svan_timer_set(SvanCore *core, SvanTimer *timer, uint64_t deadline)
{
    timer->deadline = deadline;
    timer->order = core->timer_order++;
    if (timer->slot < 0) {
        heap_up(core, core->heap_len++, timer);
    } else {
        heap_place(core, timer->slot, timer);
    }
}

void svan_timer_cancel(SvanCore *core, SvanTimer *timer)
{
    uint32_t slot = timer->slot;
    SvanTimer *last;

    if (timer->slot < 0) {
        return;
    }
    timer->slot = -1;
    last = core->heap[--core->heap_len];
    if (slot != core->heap_len) {
        heap_place(core, slot, last);
    }
}

bool svan_timer_reserve(SvanCore *core, uint32_t count)
{
    uint32_t capacity = core->heap_capacity ? core->heap_capacity : MIN_HEAP;
    SvanTimer **heap;

    while (capacity < core->heap_reserved + count) {
        capacity *= 2;
    }
    if (capacity > core->heap_capacity) {
        heap = realloc(core->heap, capacity * sizeof(core->heap[0]));
        if (!heap) {
            return false;
        }
        core->heap = heap;
        core->heap_capacity = capacity;
    }
    core->heap_reserved += count;
    return true;
}

void svan_timer_unreserve(SvanCore *core, uint32_t count)
{
    core->heap_reserved -= count;
}

uint64_t svan_timer_next(const SvanCore *core)
{
    return core->heap_len ? core->heap[0]->deadline : UINT64_MAX;
}

bool svan_timer_fire_due(SvanCore *core)
{
    uint64_t now = svan_now(core);
    bool fired = false;

    /* At most as many as ran before: one that is set again waits for the next call. */
    for (uint32_t n = core->heap_len < MAX_FIRED ? core->heap_len : MAX_FIRED;
         n && svan_timer_next(core) <= now; n--) {
        SvanTimer *timer = core->heap[0];

        svan_timer_cancel(core, timer);
        timer->fire(timer);
        fired = true;
    }
    return fired;
}

void svan_timer_save(const SvanTimer *timer, SvanWriter *writer)
{
    bool runs = timer->slot >= 0;

    svan_put_u8(writer, runs);
    svan_put_u64(writer, runs ? timer->deadline : 0);
}

void svan_timer_load(SvanCore *core, SvanTimer *timer, SvanReader *reader)
{
    bool runs = svan_get_u8(reader);
    uint64_t deadline = svan_get_u64(reader);

    if (runs && !reader->failed) {
        svan_timer_set(core, timer, deadline);
    }
}
