/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DCQCN, the congestion control of RoCEv2: what the two ends of one flow keep (Zhu et
 * al., "Congestion Control for Large-Scale RDMA Deployments", SIGCOMM 2015; PRM
 * "Congestion control"). The notification point, at the receiver, answers marked packets
 * with CNPs; the reaction point, at the sender, turns CNPs into a rate.
 *
 * Nothing here runs by itself: whoever owns a flow says what has happened to it, and
 * when, and times are its clock's. So an idle flow costs no timer: what its timers would
 * have done is made up for when something happens next.
 */
#ifndef SVAN_NET_DCQCN_H
#define SVAN_NET_DCQCN_H

#include <stdbool.h>
#include <stdint.h>

/* svan_dcqcn_is_valid() tells the range of each. Rates are bit/s, times ns. */
typedef struct SvanDcqcnParams {
    uint64_t line_rate;         /* at which a flow starts, and its ceiling */
    uint64_t min_rate;
    uint64_t increase_additive, increase_hyper;
    uint32_t alpha_shift_g;     /* g, the weight of the newest sample in alpha, is 2^-n */
    uint32_t alpha_interval;    /* between updates of alpha */
    uint32_t increase_interval; /* between increases by time ... */
    uint32_t byte_counter;      /* ... and octets between increases by what was sent */
    uint32_t fast_recovery;     /* increases of a kind that keep the target rate */
    uint32_t decrease_interval; /* there is at most one decrease in each */
    uint32_t cnp_interval;      /* and of one flow at most one CNP */
} SvanDcqcnParams;

#define SVAN_DCQCN_MIN_LINE     1000000ull              /* 1 Mb/s */
#define SVAN_DCQCN_MAX_LINE     4000000000000ull        /* 4 Tb/s */
#define SVAN_DCQCN_LEAST_RATE   100000ull               /* of the other rates */
#define SVAN_DCQCN_MAX_SHIFT    15u
#define SVAN_DCQCN_MIN_NS       1000u
#define SVAN_DCQCN_MAX_NS       1000000000u
#define SVAN_DCQCN_MIN_BYTES    1024u
#define SVAN_DCQCN_MAX_STAGES   31u

/*
 * The defaults of the publications, but for the line rate, which is the caller's. Below
 * 10 Gbit/s rates and octets are less in proportion to it, and times longer.
 */
void svan_dcqcn_default(SvanDcqcnParams *params, uint64_t line_rate);
/* Is each parameter in its range, and no rate above the line's? */
bool svan_dcqcn_is_valid(const SvanDcqcnParams *params);

/* ---- the reaction point ---- */

#define SVAN_RP_ALPHA_ONE       (1u << 30)

typedef struct SvanRp {
    uint64_t current, target;   /* bit/s */
    uint32_t alpha;             /* how congested the path is, in SVAN_RP_ALPHA_ONE */
    uint32_t sent;              /* octets since the byte counter expired */
    uint16_t time_stage, byte_stage;    /* increases of each kind since the decrease */
    bool limited;
    bool notified;              /* since alpha was updated */
    bool decrease_due;          /* a notification waits for the decrease interval */
    uint64_t alpha_at, increase_at;     /* ns: next update and increase */
    uint64_t decrease_at;       /* ns: before this, no further decrease */
} SvanRp;

void svan_rp_init(SvanRp *rp, const SvanDcqcnParams *params);
/* Can the functions below have led to this, under some valid parameters? */
bool svan_rp_is_valid(const SvanRp *rp);

/* false: it sends at line rate and has no timers. */
static inline bool svan_rp_is_limited(const SvanRp *rp)
{
    return rp->limited;
}

/* A notification of congestion has come. */
void svan_rp_notified(SvanRp *rp, const SvanDcqcnParams *params, uint64_t now);
/* No increase before `until`, ns, whatever has left meanwhile. */
void svan_rp_hold(SvanRp *rp, uint64_t until);
/* So many octets of the flow have left. */
void svan_rp_sent(SvanRp *rp, const SvanDcqcnParams *params, uint32_t octets,
                  uint64_t now);
/* When the rate changes next by itself, ns; UINT64_MAX: never. */
uint64_t svan_rp_next(const SvanRp *rp);
/*
 * Make up for what the timers would have done by now. For a flow that was idle so long
 * that there were more than some thousand expiries, it does not go on to the end.
 */
void svan_rp_timer(SvanRp *rp, const SvanDcqcnParams *params, uint64_t now);

/* ---- the notification point ---- */

typedef struct SvanNp {
    uint64_t next;              /* ns: no CNP before */
} SvanNp;

/* A marked packet has come. Is a CNP to be sent? */
static inline bool svan_np_is_due(const SvanNp *np, uint64_t now)
{
    return now >= np->next;
}

/* A CNP has left. */
static inline void svan_np_sent(SvanNp *np, const SvanDcqcnParams *params, uint64_t now)
{
    np->next = now + params->cnp_interval;
}

#endif /* SVAN_NET_DCQCN_H */
