/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run: warm up, measure. And the histograms it is measured in. */
#include <string.h>

#include "virtual.h"

/* ---- histograms ---- */

static uint32_t bucket_of(uint64_t ns)
{
    uint32_t log, bucket;

    if (ns < 1u << HIST_SUB_LOG) {
        return ns;
    }
    log = 63 - __builtin_clzll(ns);
    bucket = ((log - HIST_SUB_LOG + 1) << HIST_SUB_LOG) +
             ((ns >> (log - HIST_SUB_LOG)) & ((1 << HIST_SUB_LOG) - 1));
    return bucket < HIST_BUCKETS ? bucket : HIST_BUCKETS - 1;
}

/* The middle of a bucket. */
static uint64_t bucket_ns(uint32_t bucket)
{
    uint32_t log = bucket >> HIST_SUB_LOG;
    uint64_t sub = bucket & ((1 << HIST_SUB_LOG) - 1);

    if (!log) {
        return sub;
    }
    return (((2 * (sub + (1 << HIST_SUB_LOG)) + 1) << (log - 1)) + 1) / 2;
}

void hist_add(Hist *hist, uint64_t ns)
{
    hist->count++;
    hist->sum += ns;
    hist->max = ns > hist->max ? ns : hist->max;
    hist->buckets[bucket_of(ns)]++;
}

void hist_merge(Hist *hist, const Hist *from)
{
    hist->count += from->count;
    hist->sum += from->sum;
    hist->max = from->max > hist->max ? from->max : hist->max;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        hist->buckets[i] += from->buckets[i];
    }
}

uint64_t hist_quantile(const Hist *hist, double q)
{
    uint64_t want = q * hist->count, sum = 0;

    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        sum += hist->buckets[i];
        if (sum > want) {
            return bucket_ns(i) < hist->max ? bucket_ns(i) : hist->max;
        }
    }
    return hist->max;
}

/* ---- a run ---- */

/*
 * Counters since the beginning, with a sign: before the measurement they are
 * subtracted, after it added.
 */
static void add_counters(World *world, Result *result, uint64_t sign)
{
    SvanStats responder, requester;

    svan_stats(world->nodes[RESPONDER].fake->core, 0, &responder);
    svan_stats(world->nodes[REQUESTER].fake->core, 0, &requester);
#define ADD(name) result->name += sign * responder.name;
    COUNTERS(ADD)
#undef ADD
#define ADD(name) result->name += sign * requester.name;
    REQ_COUNTERS(ADD)
#undef ADD
}

#define LOOKS   256             /* at the fault buffer */

void run_simulation(const Run *run, Result *result)
{
    World *world = world_create(run);
    uint64_t begin = world->now + run->scenario->warm_up;

    memset(result, 0, sizeof(*result));
    result->span = run->scenario->length;
    world_run(world, begin);
    load_measure(world, result);
    add_counters(world, result, -1);
    for (uint32_t i = 1; i <= LOOKS; i++) {
        SvanStats stats;

        world_run(world, begin + result->span * i / LOOKS);
        svan_stats(world->nodes[RESPONDER].fake->core, 0, &stats);
        if (stats.held_bytes > result->held_peak) {
            result->held_peak = stats.held_bytes;
        }
    }
    add_counters(world, result, 1);
    world_destroy(world);
}
