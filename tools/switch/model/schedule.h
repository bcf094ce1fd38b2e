/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is going to happen, in an order that does not depend on who computes it: by time,
 * then by the node it happens at, its kind, and the number that its source gave it. No
 * counter is shared by two nodes, so that a world cut into any number of parts takes the
 * same course.
 */
#ifndef SWITCH_MODEL_SCHEDULE_H
#define SWITCH_MODEL_SCHEDULE_H

#include "frame.h"

/* The source of events at a node, and the node's number. */
typedef struct NetNode {
    uint32_t id;
    uint64_t sequence;
} NetNode;

typedef void NetEventFn(void *arg, NetFrame *frame);

typedef enum NetEventKind {
    NET_EVENT_DEPARTURE,        /* before arrivals: it makes room for them */
    NET_EVENT_ARRIVAL,
    NET_EVENT_USER,
} NetEventKind;

typedef struct NetEvent {
    uint64_t time;              /* ns */
    uint32_t node;
    uint32_t kind;
    uint64_t sequence;          /* of the source */
    uint32_t source;
    NetEventFn *fn;
    void *arg;
    NetFrame *frame;            /* the event's reference; may be NULL */
} NetEvent;

typedef struct NetCalendar NetCalendar;

/* Zeroes are an empty schedule at time 0. */
typedef struct NetSchedule {
    uint64_t now;               /* ns: the time of the event that happens */
    NetEvent *heap;
    uint32_t len, capacity;
    NetCalendar *calendar;      /* NULL: all events are in the heap */
    /*
     * NULL, or offered each event that is added: true takes it, because its node is
     * scheduled elsewhere.
     */
    bool (*away)(void *arg, const NetEvent *event);
    void *away_arg;
} NetSchedule;

/*
 * Something happens at `node`, caused by `source`, at event->time, which is not before
 * now. node, sequence and source of the event are filled in. false: no memory, and
 * nothing is taken.
 */
bool net_schedule_add(NetSchedule *schedule, uint32_t node, NetNode *source, NetEvent event);
/* The same for an event that was added elsewhere: all of it is filled in. */
bool net_schedule_put(NetSchedule *schedule, const NetEvent *event);
/*
 * For many thousands of events at a time, most of them less than `ahead` ns away: those
 * are kept in a calendar until their time is near, so that the heap stays small. The
 * order is the same. The schedule is empty. false: no memory, and nothing has changed.
 */
bool net_schedule_spread(NetSchedule *schedule, uint64_t ahead);
/* The time of the first event; UINT64_MAX: there is none. */
uint64_t net_schedule_next(NetSchedule *schedule);
/* Lets one event happen, unless there is none up to a time. */
bool net_schedule_step(NetSchedule *schedule, uint64_t until);
/* Lets everything happen up to a time, which is now afterwards; how much it was. */
uint64_t net_schedule_run(NetSchedule *schedule, uint64_t until);
/* Gives up all events. */
void net_schedule_fini(NetSchedule *schedule);

#endif /* SWITCH_MODEL_SCHEDULE_H */
