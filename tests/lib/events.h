/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is going to happen, in order of time; what happens at the same time does
 * so in the order in which it was added. The queue has no clock: whoever takes
 * an event moves theirs.
 */
#ifndef TESTS_EVENTS_H
#define TESTS_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

typedef void EventFn(void *arg);

typedef struct Event {
    uint64_t time, order;
    EventFn *fn;
    void *arg;
} Event;

/* Zeroes are an empty queue. */
typedef struct EventQueue {
    Event *heap;
    uint32_t len, capacity;
    uint64_t order;
} EventQueue;

void events_add(EventQueue *queue, uint64_t time, EventFn *fn, void *arg);
/* The time of the first event; UINT64_MAX: there is none. */
uint64_t events_next(const EventQueue *queue);
/* The first event; the queue is not empty. */
Event events_take(EventQueue *queue);
/* At the end: the arguments of a function's events, which will not happen. */
void events_drop(EventQueue *queue, EventFn *fn, void (*drop)(void *arg));
void events_fini(EventQueue *queue);

#endif /* TESTS_EVENTS_H */
