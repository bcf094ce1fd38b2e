/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A heap of events, ordered by time, then by age.
 */
#include <stdlib.h>

#include "events.h"
#include "fake.h"

static bool earlier(const Event *a, const Event *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void events_add(EventQueue *queue, uint64_t time, EventFn *fn, void *arg)
{
    Event event = { time, queue->order++, fn, arg };
    uint32_t i;

    if (queue->len == queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 1024;
        queue->heap = fake_must(realloc(queue->heap,
                                        queue->capacity * sizeof(Event)));
    }
    for (i = queue->len++; i && earlier(&event, &queue->heap[(i - 1) / 2]);
         i = (i - 1) / 2) {
        queue->heap[i] = queue->heap[(i - 1) / 2];
    }
    queue->heap[i] = event;
}

uint64_t events_next(const EventQueue *queue)
{
    return queue->len ? queue->heap[0].time : UINT64_MAX;
}

Event events_take(EventQueue *queue)
{
    Event *heap = queue->heap, first = heap[0], last = heap[--queue->len];
    uint32_t i = 0;

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child + 1 < queue->len && earlier(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (child >= queue->len || !earlier(&heap[child], &last)) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

void events_drop(EventQueue *queue, EventFn *fn, void (*drop)(void *arg))
{
    for (uint32_t i = 0; i < queue->len; i++) {
        if (queue->heap[i].fn == fn) {
            drop(queue->heap[i].arg);
        }
    }
}

void events_fini(EventQueue *queue)
{
    free(queue->heap);
}
