/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The flows of one function, and its paths: bounded and aged. What finds no room is in an
 * overflow entry, by which all of it is governed as one, so nothing escapes by being one
 * too many (PRM "Enforcement", "Flows and paths").
 */
#ifndef SVAN_NET_FLOW_TABLE_H
#define SVAN_NET_FLOW_TABLE_H

#include "net/path.h"

#define SVAN_MAX_FLOWS          512u            /* of a function */
#define SVAN_FLOW_OLD           1000000000ull   /* ns; then a flow is forgotten */
/* A path with a rate counts as congested for so long after it was, ns. */
#define SVAN_ROUND_NS           1000000000ull
#define SVAN_FLOW_IDLE          10000000ull     /* ns; then it makes room for a new one */

/* How far behind the last PSN, or TCP octet, a witness may lie, however old it is. */
#define SVAN_PSN_WINDOW         (1u << 14)
#define SVAN_TCP_WINDOW         (1u << 22)

/* The order in which the packets of a flow are numbered. */
typedef struct SvanSeries {
    uint32_t high;              /* the latest, shifted up so that it wraps at 2^32 */
    bool known;
    uint64_t jumped_at;         /* ns: when it was moved by more than a window; 0: never */
    /* where it was at `begun`, and SVAN_WITNESS_AGE before that or earlier */
    uint32_t then, before;
    uint64_t begun;             /* ns */
} SvanSeries;

typedef struct SvanFlow {
    SvanAged aged;
    SvanPath *path;
    uint32_t qpn;               /* of the function, that has sent it last; 0: Ethernet */
    SvanFlowEstimate estimate;
    SvanRecognition recognition;
    SvanSeries series[2];       /* RDMA: requests, responses; TCP: the first */
    bool echo_hidden;           /* TCP: marks were hidden from it, and its peer is not answered */
    bool counts_marks;          /* TCP: its ends tell how many marks, not whether (RFC 9768) */
    uint64_t packets, octets;
} SvanFlow;

typedef struct SvanFlows {
    SvanFn *fn;
    SvanAgedTable flows, paths;
    SvanFlow overflow;          /* flows without room; its path is that of the last */
    SvanPath other;             /* peers without room */
    SvanPath blind;             /* all of which nobody can tell that it was marked */
    uint32_t congested;         /* paths that are CONGESTING, or were lately */
    uint32_t cursor;            /* of svan_flows_step_another() */
    SvanDcqcnParams params;     /* of a path that is congested alone */
    SvanPatience patience;
    void (*turn)(SvanTimer *turn);      /* of paths */
    void (*changed)(SvanPath *path);    /* its state; may be NULL */
} SvanFlows;

/* seed: of the hash. params, patience, turn and changed have been set. false: no memory. */
bool svan_flows_init(SvanFlows *flows, SvanFn *fn, uint64_t seed);
void svan_flows_fini(SvanFlows *flows);         /* nothing waits */

/* Times of use are kept as exactly as this, ns. */
#define SVAN_FLOW_GRAIN         1000000ull

/* A flow that was used before `now` by more than the grain, or is not where it was hinted. */
SvanFlow *svan_flows_search(SvanFlows *flows, const SvanAgedKey *key, uint64_t now,
                            uint16_t *hint);

/*
 * The flow of what is about to leave, new if need be. *hint: where the flow of the same
 * sender was found before, whatever it was; the sender keeps it for the next time.
 */
static inline SvanFlow *svan_flows_get(SvanFlows *flows, const SvanAgedKey *key,
                                       uint64_t now, uint16_t *hint)
{
    SvanFlow *flow = (SvanFlow *)flows->flows.entries + *hint;

    if (flow->aged.age.next && svan_aged_is(&flow->aged.key, key) &&
        now - flow->aged.used_at < SVAN_FLOW_GRAIN) {
        return flow;
    }
    return svan_flows_search(flows, key, now, hint);
}

/* NULL: there is none of its own. Not a use of it. */
SvanFlow *svan_flows_find(const SvanFlows *flows, const SvanAgedKey *key);
/* The path of a peer, which is `other` if there is none of its own. */
SvanPath *svan_flows_path(SvanFlows *flows, const SvanAgedKey *key);
/* One step of the path's recognition, with what time has done to its rate. */
void svan_flows_step(SvanFlows *flows, SvanPath *path, uint64_t now);
/*
 * A step of another path, one after the other: one that is silent has no steps of its own,
 * and would count as congested for ever.
 */
void svan_flows_step_another(SvanFlows *flows, uint64_t now);
/* The same of all; and of all flows, too. */
void svan_flows_step_paths(SvanFlows *flows, uint64_t now);
void svan_flows_step_all(SvanFlows *flows, uint64_t now);
/*
 * The parameters of the rate of a path. A path that is one of n congested ones has the n-th
 * part of the rate, and of the marks, of one that is alone; with packets that are k times as
 * large it has the k-th part of the marks. So its time passes slower by n and k, and what it
 * rises by in that time is the n-th part: it is in all like one that is alone, but for its
 * pace, and nobody gains by many peers or by large packets.
 */
SvanDcqcnParams svan_flows_params(const SvanFlows *flows, const SvanPath *path);

/* It is no entry of the table. */
static inline bool svan_path_is_shared(const SvanFlows *flows, const SvanPath *path)
{
    return path == &flows->other || path == &flows->blind;
}

static inline bool svan_flow_is_overflow(const SvanFlows *flows, const SvanFlow *flow)
{
    return flow == &flows->overflow;
}

/*
 * What has left carried this number; length: how many it counts. Returns whether it had
 * been sent before.
 */
bool svan_series_sent(SvanSeries *series, uint32_t number, uint32_t length, uint32_t window,
                      uint64_t now);
/* May a packet of that number have left lately? */
bool svan_series_is_plausible(const SvanSeries *series, uint32_t number, uint32_t window,
                              uint64_t now);

#endif /* SVAN_NET_FLOW_TABLE_H */
