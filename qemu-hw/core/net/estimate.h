/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of the congestion that a flow, or all flows of a path, meet: estimates
 * from what the NIC sees pass and is told, in integers (PRM "Enforcement", "Estimates").
 * Times are ns of the caller's clock; nothing runs by itself, so what was idle for long is
 * made up for when something happens next.
 */
#ifndef SVAN_NET_ESTIMATE_H
#define SVAN_NET_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#define SVAN_FRACTION_ONE       (1u << 16)
#define SVAN_ESTIMATE_WINDOW    1000000ull      /* of rates, and the half-life when idle */
#define SVAN_RTT_OLD            100000000ull    /* RTTs are forgotten after so long */
#define SVAN_RTT_MIN_OLD        10000000000ull  /* and after so long the least of them */
#define SVAN_RTT_MAX            4000000000ull   /* longer ones are no samples */

typedef struct SvanFlowEstimate {
    /* fractions of SVAN_FRACTION_ONE: of packets that were marked, or were sent again */
    uint32_t ce, loss;
    uint64_t rate;              /* bit/s that have left */
    uint32_t cnp_rate;          /* CNPs a second */
    uint64_t rtt, rtt_min;      /* ns; 0: not known */
    int32_t rtt_gradient;       /* between samples, in fractions of rtt_min */
    /* the window that is counted, from `window` on; 0: none has begun */
    uint64_t window;
    uint64_t octets;
    uint32_t packets, losses, cnps;
    uint64_t ce_at;             /* ns: of the last report, or when ce was halved last */
    uint64_t rtt_at, rtt_min_at;
    uint64_t probe_at;          /* ns: when the packet whose answer is awaited left */
    uint32_t probe;             /* which one; counts while `probing` */
    bool probing;
} SvanFlowEstimate;

/* Close windows that are over, and let go what is old. Each of the others does that first. */
void svan_estimate_age(SvanFlowEstimate *e, uint64_t now);
static inline void svan_estimate_sent(SvanFlowEstimate *e, uint32_t octets, uint64_t now)
{
    if (now - e->window >= SVAN_ESTIMATE_WINDOW || !e->window) {
        svan_estimate_age(e, now);
    }
    e->octets += octets;
    e->packets++;
}

/* What was sent now had been sent before, or the peer says that it misses something. */
void svan_estimate_lost(SvanFlowEstimate *e, uint64_t now);
/* The receiver counted so many packets, and marks among them. */
void svan_estimate_marks(SvanFlowEstimate *e, uint32_t packets, uint32_t marks, uint64_t now);
void svan_estimate_cnp(SvanFlowEstimate *e, uint64_t now);
/*
 * A packet that will be answered has left; `number` is its PSN, or where the answer to it
 * begins to acknowledge. Does nothing while another one's answer is awaited.
 */
void svan_estimate_probe(SvanFlowEstimate *e, uint32_t number, uint64_t now);
/* The probe may have been lost, or sent twice, so its answer tells nothing (Karn). */
void svan_estimate_probe_lost(SvanFlowEstimate *e);
/*
 * The answer to the probe has come. stalled: the engine did not run in some time up to
 * then. A probe that was under way meanwhile is no sample.
 */
void svan_estimate_answer(SvanFlowEstimate *e, uint64_t now, uint64_t stalled);

#endif /* SVAN_NET_ESTIMATE_H */
