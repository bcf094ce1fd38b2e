/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What enforcement keeps of a function, and what the switch asks of it.
 */
#ifndef SVAN_NET_ENFORCEMENT_H
#define SVAN_NET_ENFORCEMENT_H

#include "net/enforce.h"
#include "net/flow_table.h"
#include "net/notify.h"
#include "net/stations.h"

typedef struct SvanEnforcement {
    SvanFn *fn;
    struct svan_enforcement_attr attr;  /* as it was set */
    uint64_t cap, burst;        /* bit/s, UINT64_MAX: none; ns */
    SvanFlows flows;
    SvanArrivals arrivals;
    /* the unit that asks whether it may leave, until it has left */
    SvanFlow *flow;
    SvanPath *path;
    SvanFlowInfo info;
    bool charged;               /* it takes from the rate of its path */
    bool ect_set;
    uint64_t now;               /* ns: when it asked */
    /* Runs while answers are awaited: if it fires late the engine did not run. */
    SvanTimer watch;
    bool awaits;
    uint64_t stalled;           /* ns: when the engine began to run again; 0: never */
} SvanEnforcement;

/* ---- what leaves (enforce.c) ---- */

/* May the unit leave? false: *step is LATER, or DONE if it was dropped. */
bool svan_enforce_passes(SvanEgress *egress, const SvanFlowUnit *unit, SvanStep *step);
/* It has left: so many octets. */
void svan_enforce_sent(SvanEgress *egress, const SvanFlowUnit *unit, uint32_t len);
/* The path's turn has come: SvanPath.turn fires. */
void svan_enforce_turn(SvanTimer *turn);
/* Nobody waits for the path any more: all are to ask again. */
void svan_enforce_release(SvanPath *path);

/* ---- what arrives by the port (enforce_rx.c) ---- */

/* After it was delivered. */
void svan_enforce_packet_in(SvanFn *fn, const SvanPkt *pkt);
void svan_enforce_frame_in(SvanFn *fn, const SvanFrame *frame);
/* Is it a notification, which the NIC keeps to itself? */
bool svan_enforce_notified(SvanCore *core, const SvanFrame *frame);
void svan_enforce_watch(SvanTimer *watch);

/* ---- both ---- */

/* There may be a symptom, or none any more: what the flow and the path are recognized as. */
void svan_enforce_recognize(SvanEnforcement *enforcement, SvanFlow *flow, SvanPath *path,
                            uint64_t now);
/* A sign of congestion of the path has come. */
void svan_enforce_react(SvanEnforcement *enforcement, SvanPath *path, uint64_t now);

static inline bool svan_enforces_egress(const SvanFn *fn)
{
    return fn->net->enforcement &&
           (fn->net->enforcement->attr.flags & SVAN_ENFORCE_EGRESS);
}

#endif /* SVAN_NET_ENFORCEMENT_H */
