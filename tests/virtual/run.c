/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run: warm up, measure. And the histograms it is measured in. */
#include <stdlib.h>
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
static void add_counters(const Trial *trial, Result *result, uint64_t sign)
{
    const SvanStats responder = node_stats(&trial->world->nodes[RESPONDER]);
    const SvanStats requester = node_stats(&trial->world->nodes[REQUESTER]);
#define ADD(name) result->name += sign * responder.name;
    COUNTERS(ADD)
#undef ADD
#define ADD(name) result->name += sign * requester.name;
    REQ_COUNTERS(ADD)
#undef ADD
}

#define LINK_DELAY      (2 * US)        /* one way */
#define LINK_OVERHEAD   24u             /* preamble, FCS, gap */
#define BACKLOG         700u            /* ns: two full frames */
#define RX_FRAMES       (1u << 20)      /* the link loses nothing */
#define PS_PER_BYTE     80u             /* 100 Gbit/s */

/* Nothing damages frames, and the ICRC would be half of what a run takes. */
static WorldModel model_of(const Run *run)
{
    return (WorldModel) {
        .num_nodes = NODES, .ram_bytes = FAKE_RAM_SIZE,
        .core = {
            .link_mbps = 100000, .true_atomics = true,
            .max_qp = 2 * NUM_QPS, .max_cq = 64, .max_key = 64,
            .max_rx_frames = RX_FRAMES, .no_icrc = true,
            .fault_buffer = run->config->fault_buffer ?
                            run->config->fault_buffer :
                            run->scenario->fault_buffer,
        },
        .link = {
            .delay = LINK_DELAY, .ps_per_byte = PS_PER_BYTE,
            .overhead = LINK_OVERHEAD,
        },
        .engine = { .instant = true, .backlog = BACKLOG },
    };
}

static void look(World *world)
{
    Trial *trial = world->user;

    pager_look(trial);
    load_look(trial);
}

static Trial *trial_create(const Run *run)
{
    Trial *trial = fake_must(calloc(1, sizeof(*trial)));

    trial->run = run;
    trial->model = model_of(run);
    trial->world = world_create(&trial->model, run->seed);
    trial->world->user = trial;
    for (uint32_t i = 0; i < NODES; i++) {
        trial->hosts[i] = host_create(trial->world->nodes[i].fake, 0, i + 1);
    }
    trial->pager = pager_create(trial);
    trial->load = load_create(trial);
    trial->world->look = look;
    return trial;
}

static void trial_destroy(Trial *trial)
{
    for (uint32_t i = 0; i < NODES; i++) {
        if (trial->world->nodes[i].counts.rx_refused) {
            world_fail(trial->world, "node %u: the receive queue was full", i);
        }
    }
    load_destroy(trial->load);
    pager_destroy(trial->pager);
    for (uint32_t i = 0; i < NODES; i++) {
        host_destroy(trial->hosts[i]);
    }
    world_destroy(trial->world);
    free(trial);
}

#define LOOKS   256             /* at the fault buffer */

void run_simulation(const Run *run, Result *result)
{
    Trial *trial = trial_create(run);
    World *world = trial->world;
    uint64_t begin = world->now + run->scenario->warm_up;

    memset(result, 0, sizeof(*result));
    result->span = run->scenario->length;
    world_run(world, begin);
    load_measure(trial, result);
    add_counters(trial, result, -1);
    for (uint32_t i = 1; i <= LOOKS; i++) {
        uint32_t held;

        world_run(world, begin + result->span * i / LOOKS);
        held = node_stats(&world->nodes[RESPONDER]).held_bytes;
        if (held > result->held_peak) {
            result->held_peak = held;
        }
    }
    add_counters(trial, result, 1);
    trial_destroy(trial);
}
