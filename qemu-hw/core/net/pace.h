/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rate of one sender: what congestion leaves it, and no more than its own limit
 * (PRM "Congestion control"). A sender that is not limited by either is not paced, and
 * pays for one test of a pointer.
 */
#ifndef SVAN_NET_PACE_H
#define SVAN_NET_PACE_H

#include "base/base.h"
#include "net/dcqcn.h"

typedef struct SvanEgress SvanEgress;

/* Of the device, as the physical function sets it. */
typedef struct SvanCongestion {
    SvanDcqcnParams params;
    bool enabled;               /* native control of RC queue pairs */
    uint8_t cnp_dscp;           /* 0..63 */
} SvanCongestion;

/* Back to the defaults for the configured rate of the link. */
void svan_congestion_reset(SvanCore *core);
const SvanCongestion *svan_congestion(const SvanCore *core);
/* false: out of range, and nothing is changed. Limited senders go on under the new ones. */
bool svan_congestion_set(SvanCore *core, const SvanCongestion *congestion);

#define SVAN_BPS_PER_KBPS       1000u
/* Of a turn that comes late this much is made up for, ns ... */
#define SVAN_LATE_NS            1000000ull
/* ... and one that is later had nobody who waited for it. */
#define SVAN_GONE_NS            20000000ull

/* How far before `now` what is sent may be counted, by a schedule that has got to `until`. */
static inline uint64_t svan_late(bool behind, uint64_t until, uint64_t now)
{
    return behind && now < until + SVAN_GONE_NS ? SVAN_LATE_NS : 0;
}

typedef struct SvanPace {
    SvanRp rp;
    uint64_t limit;             /* bit/s, the owner's; 0: none */
    /* All that was sent would have left by then (ns) ... */
    uint64_t until;
    uint64_t rest;              /* ... and this part of a nanosecond later, in 1/rate */
    bool behind;                /* it has waited, and has not caught up yet */
} SvanPace;

void svan_pace_init(SvanPace *pace, SvanCore *core);
/* The owner's limit, bit/s; 0: none. */
void svan_pace_limit(SvanPace *pace, SvanEgress *egress, uint64_t limit);
/* A notification of congestion has come for what the egress sends. */
void svan_pace_notified(SvanPace *pace, SvanEgress *egress);
/* bit/s; 0: not limited. */
uint64_t svan_pace_rate(const SvanPace *pace);
/* All but the limit, which is an attribute of its owner. */
void svan_pace_save(const SvanPace *pace, SvanWriter *writer);
/* false: not what svan_pace_save() could have written. */
bool svan_pace_load(SvanPace *pace, SvanEgress *egress, SvanReader *reader);

#endif /* SVAN_NET_PACE_H */
