/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Estimates: exponentially weighted averages, with weights that are powers of two.
 */
#include "net/estimate.h"

#define CE_SHIFT        2       /* the newest report counts for a quarter */
#define LOSS_SHIFT      2
#define RTT_SHIFT       3
#define GRADIENT_SHIFT  2
#define SECOND          1000000000ull
#define GRADIENT_MAX    (16 * (int64_t)SVAN_FRACTION_ONE)

/* From a to b by 2^-shift of the way, and to b itself in the end. */
static uint64_t approach(uint64_t a, uint64_t b, uint32_t shift)
{
    uint64_t step = (a < b ? b - a : a - b) >> shift;

    step = step || a == b ? step : 1;
    return a < b ? a + step : a - step;
}

static uint32_t fraction(uint64_t part, uint64_t whole)
{
    return !whole ? 0 : part >= whole ? SVAN_FRACTION_ONE :
                                        part * SVAN_FRACTION_ONE / whole;
}

static uint64_t halved(uint64_t value, uint64_t times)
{
    return times < 64 ? value >> times : 0;
}

/* The counted window is over, and so are `idle` more in which nothing happened. */
static void close_window(SvanFlowEstimate *e, uint64_t idle)
{
    uint64_t per_second = SECOND / SVAN_ESTIMATE_WINDOW;

    e->rate = halved(approach(e->rate, e->octets * 8 * per_second, 1), idle);
    e->cnp_rate = halved(approach(e->cnp_rate, e->cnps * per_second, 1), idle);
    if (e->packets || e->losses) {
        e->loss = approach(e->loss, fraction(e->losses, e->packets), LOSS_SHIFT);
    }
    e->loss = halved(e->loss, idle);
    e->octets = e->packets = e->losses = e->cnps = 0;
}

static void age_marks(SvanFlowEstimate *e, uint64_t now)
{
    uint64_t times = (now - e->ce_at) / SVAN_ESTIMATE_WINDOW;

    if (e->ce && times) {
        e->ce = halved(e->ce, times);
        e->ce_at += times * SVAN_ESTIMATE_WINDOW;
    }
}

static void age_rtt(SvanFlowEstimate *e, uint64_t now)
{
    if (e->rtt && now - e->rtt_at >= SVAN_RTT_OLD) {
        e->rtt = 0;
        e->rtt_gradient = 0;
    }
    if (e->rtt_min && now - e->rtt_min_at >= SVAN_RTT_MIN_OLD) {
        e->rtt_min = e->rtt;
        e->rtt_min_at = now;
    }
    if (e->probing && now - e->probe_at >= SVAN_RTT_MAX) {
        e->probing = false;
    }
}

void svan_estimate_age(SvanFlowEstimate *e, uint64_t now)
{
    uint64_t windows;

    if (now - e->window < SVAN_ESTIMATE_WINDOW && e->window) {
        return;
    }
    windows = e->window ? (now - e->window) / SVAN_ESTIMATE_WINDOW : 0;
    if (windows) {
        close_window(e, windows - 1);
    }
    e->window = e->window ? e->window + windows * SVAN_ESTIMATE_WINDOW : now ? now : 1;
    age_marks(e, now);
    age_rtt(e, now);
}

void svan_estimate_lost(SvanFlowEstimate *e, uint64_t now)
{
    svan_estimate_age(e, now);
    e->losses++;
    svan_estimate_probe_lost(e);
}

void svan_estimate_marks(SvanFlowEstimate *e, uint32_t packets, uint32_t marks, uint64_t now)
{
    svan_estimate_age(e, now);
    e->ce = approach(e->ce, fraction(marks, packets), CE_SHIFT);
    e->ce_at = now;
}

void svan_estimate_cnp(SvanFlowEstimate *e, uint64_t now)
{
    svan_estimate_age(e, now);
    e->cnps++;
}

/* ---- round trips ---- */

void svan_estimate_probe(SvanFlowEstimate *e, uint32_t number, uint64_t now)
{
    svan_estimate_age(e, now);
    if (!e->probing) {
        e->probing = true;
        e->probe = number;
        e->probe_at = now;
    }
}

void svan_estimate_probe_lost(SvanFlowEstimate *e)
{
    e->probing = false;
}

/* The gradient is that of TIMELY: smoothed differences of RTTs, over the least RTT. */
static void round_trip(SvanFlowEstimate *e, uint64_t rtt, uint64_t now)
{
    uint64_t before = e->rtt;
    int64_t step;

    if (!e->rtt_min || rtt <= e->rtt_min) {
        e->rtt_min = rtt;
        e->rtt_min_at = now;
    }
    e->rtt = before ? approach(before, rtt, RTT_SHIFT) : rtt;
    e->rtt_at = now;
    if (!before) {
        return;
    }
    step = ((int64_t)rtt - (int64_t)before) * SVAN_FRACTION_ONE / (int64_t)e->rtt_min;
    step = step > GRADIENT_MAX ? GRADIENT_MAX : step < -GRADIENT_MAX ? -GRADIENT_MAX : step;
    e->rtt_gradient += (step - e->rtt_gradient) / (1 << GRADIENT_SHIFT);
}

void svan_estimate_answer(SvanFlowEstimate *e, uint64_t now, uint64_t stalled)
{
    svan_estimate_age(e, now);
    if (!e->probing) {
        return;
    }
    e->probing = false;
    if (now > e->probe_at && (!stalled || e->probe_at > stalled)) {
        round_trip(e, now - e->probe_at, now);
    }
}
