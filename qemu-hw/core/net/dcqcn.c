/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reaction point of DCQCN (PRM "Congestion control").
 */
#include <string.h>

#include "net/dcqcn.h"

#define US              1000u
/* bit/s: below, an interval of 55 us would have fewer than 64 packets of 1 KiB. */
#define SLOW_LINE       10000000000ull
/* Expiries that are made up for at once: at 40 Mb/s each, those of a rise to 80 Gbit/s. */
#define MAX_EXPIRIES    4096

static uint32_t stretched(uint32_t ns, uint64_t line)
{
    return ns * SLOW_LINE / line;
}

static uint64_t part(uint64_t line_rate, uint64_t divisor, uint64_t least)
{
    return line_rate / divisor > least ? line_rate / divisor : least;
}

void svan_dcqcn_default(SvanDcqcnParams *params, uint64_t line_rate)
{
    uint64_t line = line_rate < SLOW_LINE ? line_rate : SLOW_LINE;

    *params = (SvanDcqcnParams) {
        .line_rate = line_rate,
        .min_rate = part(line, 1000, SVAN_DCQCN_LEAST_RATE),
        .increase_additive = part(line, 250, SVAN_DCQCN_LEAST_RATE),
        .increase_hyper = part(line, 25, SVAN_DCQCN_LEAST_RATE),
        .alpha_shift_g = 8,
        .alpha_interval = stretched(55 * US, line),
        .increase_interval = stretched(55 * US, line),
        .byte_counter = part(line, 1000, SVAN_DCQCN_MIN_BYTES), .fast_recovery = 5,
        .decrease_interval = stretched(50 * US, line), .cnp_interval = stretched(50 * US, line),
    };
}

static bool is_in(uint64_t value, uint64_t min, uint64_t max)
{
    return value >= min && value <= max;
}

bool svan_dcqcn_is_valid(const SvanDcqcnParams *params)
{
    uint64_t line = params->line_rate;

    return is_in(line, SVAN_DCQCN_MIN_LINE, SVAN_DCQCN_MAX_LINE) &&
           is_in(params->min_rate, SVAN_DCQCN_LEAST_RATE, line) &&
           is_in(params->increase_additive, SVAN_DCQCN_LEAST_RATE, line) &&
           is_in(params->increase_hyper, SVAN_DCQCN_LEAST_RATE, line) &&
           is_in(params->alpha_shift_g, 0, SVAN_DCQCN_MAX_SHIFT) &&
           is_in(params->alpha_interval, SVAN_DCQCN_MIN_NS, SVAN_DCQCN_MAX_NS) &&
           is_in(params->increase_interval, SVAN_DCQCN_MIN_NS, SVAN_DCQCN_MAX_NS) &&
           is_in(params->byte_counter, SVAN_DCQCN_MIN_BYTES, UINT32_MAX) &&
           is_in(params->fast_recovery, 1, SVAN_DCQCN_MAX_STAGES) &&
           is_in(params->decrease_interval, SVAN_DCQCN_MIN_NS, SVAN_DCQCN_MAX_NS) &&
           is_in(params->cnp_interval, SVAN_DCQCN_MIN_NS, SVAN_DCQCN_MAX_NS);
}

void svan_rp_init(SvanRp *rp, const SvanDcqcnParams *params)
{
    memset(rp, 0, sizeof(*rp));
    rp->current = rp->target = params->line_rate;
    rp->alpha = SVAN_RP_ALPHA_ONE;
}

bool svan_rp_is_valid(const SvanRp *rp)
{
    return is_in(rp->current, SVAN_DCQCN_LEAST_RATE, SVAN_DCQCN_MAX_LINE) &&
           is_in(rp->target, SVAN_DCQCN_LEAST_RATE, SVAN_DCQCN_MAX_LINE) &&
           rp->alpha <= SVAN_RP_ALPHA_ONE &&
           rp->time_stage <= SVAN_DCQCN_MAX_STAGES + 1 &&
           rp->byte_stage <= SVAN_DCQCN_MAX_STAGES + 1;
}

/* ---- what expires ---- */

static void update_alpha(SvanRp *rp, const SvanDcqcnParams *params)
{
    uint32_t g = params->alpha_shift_g;

    if (rp->notified) {
        rp->alpha += (SVAN_RP_ALPHA_ONE - rp->alpha) >> g;
    } else {
        rp->alpha -= rp->alpha >> g;
    }
    rp->notified = false;
    rp->alpha_at += params->alpha_interval;
}

static void decrease(SvanRp *rp, const SvanDcqcnParams *params, uint64_t now)
{
    rp->target = rp->current;
    /* current * alpha / 2, within 64 bits up to 4 Tb/s */
    rp->current -= rp->current * (rp->alpha >> 9) >> 22;
    if (rp->current < params->min_rate) {
        rp->current = params->min_rate;
    }
    rp->sent = 0;
    rp->time_stage = rp->byte_stage = 0;
    rp->increase_at = now + params->increase_interval;
    rp->decrease_at = now + params->decrease_interval;
    rp->decrease_due = false;
}

static uint64_t increment(const SvanRp *rp, const SvanDcqcnParams *params)
{
    bool time_is_over = rp->time_stage > params->fast_recovery;
    bool bytes_are_over = rp->byte_stage > params->fast_recovery;

    return time_is_over && bytes_are_over ? params->increase_hyper :
           time_is_over || bytes_are_over ? params->increase_additive : 0;
}

/* One of the two stages has just gone up. */
static void increase(SvanRp *rp, const SvanDcqcnParams *params)
{
    uint64_t line = params->line_rate;

    rp->target += increment(rp, params);
    if (rp->target > line) {
        rp->target = line;
    }
    rp->current = (rp->current + rp->target) / 2;
    if (rp->target == line && rp->current + params->increase_additive > line) {
        svan_rp_init(rp, params);       /* as a flow that has never been limited */
    }
}

static void count_stage(uint16_t *stage, const SvanDcqcnParams *params)
{
    if (*stage <= params->fast_recovery) {
        ++*stage;
    }
}

static void increase_by_time(SvanRp *rp, const SvanDcqcnParams *params)
{
    count_stage(&rp->time_stage, params);
    rp->increase_at += params->increase_interval;
    increase(rp, params);
}

/* ---- what the owner tells ---- */

uint64_t svan_rp_next(const SvanRp *rp)
{
    uint64_t next = rp->alpha_at < rp->increase_at ? rp->alpha_at : rp->increase_at;

    if (!rp->limited) {
        return UINT64_MAX;
    }
    return rp->decrease_due && rp->decrease_at < next ? rp->decrease_at : next;
}

static void expire(SvanRp *rp, const SvanDcqcnParams *params, uint64_t when)
{
    if (rp->alpha_at == when) {
        update_alpha(rp, params);
    } else if (rp->decrease_due && rp->decrease_at == when) {
        decrease(rp, params, when);
    } else {
        increase_by_time(rp, params);
    }
}

void svan_rp_timer(SvanRp *rp, const SvanDcqcnParams *params, uint64_t now)
{
    for (uint32_t n = MAX_EXPIRIES; n && svan_rp_next(rp) <= now; n--) {
        expire(rp, params, svan_rp_next(rp));
    }
    if (svan_rp_next(rp) <= now) {
        rp->alpha_at = now + params->alpha_interval;
        rp->increase_at = now + params->increase_interval;
    }
}

void svan_rp_notified(SvanRp *rp, const SvanDcqcnParams *params, uint64_t now)
{
    svan_rp_timer(rp, params, now);
    if (!rp->limited) {
        svan_rp_init(rp, params);       /* the line may have another rate than before */
        rp->limited = true;
        rp->alpha_at = now + params->alpha_interval;
        rp->decrease_at = now;
    }
    rp->current = rp->current < params->line_rate ? rp->current : params->line_rate;
    rp->notified = true;
    if (now >= rp->decrease_at) {
        decrease(rp, params, now);
    } else {
        rp->decrease_due = true;
    }
}

void svan_rp_hold(SvanRp *rp, uint64_t until)
{
    rp->sent = 0;
    if (rp->increase_at < until) {
        rp->increase_at = until;
    }
}

void svan_rp_sent(SvanRp *rp, const SvanDcqcnParams *params, uint32_t octets,
                  uint64_t now)
{
    uint64_t sent;

    svan_rp_timer(rp, params, now);
    if (!rp->limited) {
        return;
    }
    sent = (uint64_t)rp->sent + octets;
    rp->sent = sent % params->byte_counter;
    if (sent >= params->byte_counter) {
        count_stage(&rp->byte_stage, params);
        increase(rp, params);
    }
}
