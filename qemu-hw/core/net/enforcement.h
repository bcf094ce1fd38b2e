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

/* Between two firings of SvanEnforcement.watch: each wakes the engine, which costs more. */
#define SVAN_WATCH_NS           2000000ull
/* What nobody can tell the marks of has this part of the line rate, all of it together. */
#define SVAN_BLIND_PART         64u

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
    uint16_t flow_hint;         /* of frames that waited */
    SvanFlow *heard_of;         /* of the last packet that came for a queue pair, or NULL */
    uint32_t held_octets;       /* that wait */
    bool ect_set, marked;
    bool told;                  /* of a change of paths, since they were looked at */
    uint64_t now;               /* ns: when it asked */
    /*
     * Runs while answers are awaited: if it fires late an idle engine was not woken, which is a
     * stall, too (SvanCore.stalled). A busy one notices by itself.
     */
    SvanTimer watch;
    bool awaits;
} SvanEnforcement;

/* ---- what leaves (enforce.c) ---- */

/*
 * May the unit leave? false: *step is LATER; DONE if it was dropped; IDLE if it is a frame
 * that is not the caller's any more, and leaves by itself.
 */
bool svan_enforce_passes(SvanEgress *egress, const SvanFlowUnit *unit, SvanStep *step);
/* It has left: so many octets. egress NULL: it had waited in a path. */
void svan_enforce_sent(SvanEgress *egress, const SvanFlowUnit *unit, uint32_t len);
/* The path's turn has come: SvanPath.turn fires. */
void svan_enforce_turn(SvanTimer *turn);
/* Something may wait: it is to have its turn when the rate of the path says so. */
void svan_enforce_next(SvanPath *path, uint64_t now);
/* A frame that waited is about to leave. */
void svan_enforce_identify(SvanEnforcement *enforcement, const SvanFlowUnit *unit);
/* No queue pair waits for the path any more: all are to ask again. */
void svan_enforce_release(SvanPath *path);

/* ---- frames that wait (shaper.c) ---- */

/* Takes the frame. false: there is no room, and it stays the caller's. */
bool svan_shaper_hold(SvanEnforcement *enforcement, SvanPath *path, SvanFrame *frame);
/* It is the turn of the path's first frame. */
void svan_shaper_due(SvanPath *path);
/* All that wait in the path are lost. */
void svan_shaper_drop(SvanEnforcement *enforcement, SvanPath *path);
/* The first of the frames; there is one. It counts no more. */
SvanFrame *svan_shaper_take(SvanEnforcement *enforcement, SvanPath *path);
/* It is the first again. */
void svan_shaper_give_back(SvanEnforcement *enforcement, SvanPath *path, SvanFrame *frame);

/* ---- what arrives by the port (enforce_rx.c) ---- */

/* After it was delivered. */
void svan_enforce_packet_in(SvanFn *fn, const SvanPkt *pkt);
void svan_enforce_frame_in(SvanFn *fn, const SvanFrame *frame);
/* Is it a notification, which the NIC keeps to itself? */
bool svan_enforce_notified(SvanCore *core, const SvanFrame *frame);
void svan_enforce_watch(SvanTimer *watch);

/* ---- TCP that is paced (echo.c) ---- */

/* A frame from the port is about to be delivered: marks that it tells of may be hidden. */
void svan_echo_hide(SvanCore *core, SvanFrame *frame);
/*
 * A TCP segment is about to leave, which belongs to enforcement->flow. What was hidden from its
 * guest it answers, if it has new payload: else the peer would go on to tell.
 */
void svan_echo_answer(SvanEnforcement *enforcement, SvanFrame *frame);

/* ---- both ---- */

/* There may be a symptom, or none any more: what the flow and the path are recognized as. */
void svan_enforce_recognize(SvanEnforcement *enforcement, SvanFlow *flow, SvanPath *path,
                            uint64_t now);
/*
 * So many octets of packets were marked; SVAN_PATH_SIZE of them, in one packet or several, are
 * a sign of congestion. Was it one, to which the path has reacted?
 */
bool svan_enforce_react(SvanEnforcement *enforcement, SvanPath *path, uint32_t octets,
                        uint64_t now);
/* The state of a path has changed: SvanFlows.changed. */
void svan_enforce_changed(SvanPath *path);
/* There is one event for all changes between two looks at the paths. */
void svan_enforce_tell(SvanEnforcement *enforcement);

static inline bool svan_is_blind(const SvanEnforcement *enforcement, const SvanPath *path)
{
    return path == &enforcement->flows.blind;
}

/* Has the path a rate, by DCQCN, by the cap, or because nobody can tell that it needs one? */
static inline bool svan_is_limited(const SvanEnforcement *enforcement, const SvanPath *path)
{
    return svan_rp_is_limited(&path->rp) || svan_is_blind(enforcement, path) ||
           (path->counted && enforcement->cap != UINT64_MAX);
}

/* That rate, bit/s. */
static inline uint64_t svan_limit(const SvanEnforcement *enforcement, const SvanPath *path)
{
    uint64_t rate = path->rp.current;

    if (svan_is_blind(enforcement, path)) {
        rate = enforcement->flows.params.line_rate / SVAN_BLIND_PART;
    }
    return rate < enforcement->cap ? rate : enforcement->cap;
}

static inline bool svan_enforces_egress(const SvanFn *fn)
{
    return fn->net->enforcement &&
           (fn->net->enforcement->attr.flags & SVAN_ENFORCE_EGRESS);
}

#endif /* SVAN_NET_ENFORCEMENT_H */
