/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts that a function has while it is enabled, one of each room. They begin
 * small and grow as their objects are created, up to the quotas of the
 * configuration.
 */
#include <stdlib.h>

#include "device/device.h"

#define PD_CAPACITY     16384u
#define FIRST_COUNTER   1
#define FIRST_SRQ       1
#define FIRST_PD        1
#define FIRST_KEY       1

static bool memory_make(SvanFn *fn)
{
    uint32_t max_key = fn->core->config.max_key;
    SvanMemory *memory = calloc(1, sizeof(*memory));

    fn->memory = memory;
    if (!memory) {
        return false;
    }
    svan_table_init(&memory->pds, PD_CAPACITY, FIRST_PD, 0);
    svan_table_init(&memory->keys, max_key, FIRST_KEY, fn->regs->variant);
    svan_tlb_init(memory, max_key);
    return true;
}

static bool net_fill(SvanNet *net)
{
    net->gids = calloc(SVAN_MAX_GID, sizeof(net->gids[0]));
    net->eth.mcast = calloc(SVAN_MAX_MCAST, sizeof(net->eth.mcast[0]));
    return net->gids && net->eth.mcast;
}

/* The physical function hears of the paths of all functions. */
static bool flow_events_make(SvanQueues *queues, SvanFn *fn)
{
    uint32_t count = 1 + fn->core->config.num_vfs;

    queues->flows = calloc(count, sizeof(queues->flows[0]));
    for (uint32_t id = 0; queues->flows && id < count; id++) {
        queues->flows[id] = (SvanEvents) { .fn = fn, .qn = id };
    }
    return queues->flows;
}

/* UAR page 0 is the kernel's. */
static bool queues_make(SvanFn *fn)
{
    SvanQueues *queues = calloc(1, sizeof(*queues));

    fn->queues = queues;
    if (!queues) {
        return false;
    }
    queues->events.fn = fn;
    if (!fn->id && !flow_events_make(queues, fn)) {
        return false;
    }
    svan_table_init(&queues->cqs, fn->core->config.max_cq, SVAN_FIRST_CQ,
                    fn->regs->variant);
    /* as many as CQs, which they stand beside or in place of */
    svan_table_init(&queues->counters, fn->core->config.max_cq, FIRST_COUNTER,
                    fn->regs->variant);
    svan_table_init(&queues->srqs, fn->core->config.max_qp, FIRST_SRQ, fn->regs->variant);
    return svan_uar_take(fn, 0, 0, 0) && svan_db_table_make(fn);
}

static bool qps_make(SvanFn *fn)
{
    fn->qps = calloc(1, sizeof(*fn->qps));
    if (!fn->qps) {
        return false;
    }
    fn->qps->kinds = svan_qp_kinds;
    fn->qps->rc = svan_rc_shared_make();
    svan_table_init(&fn->qps->table, fn->core->config.max_qp, SVAN_FIRST_QP,
                    fn->regs->variant);
    return fn->qps->rc;
}

static bool paging_make(SvanFn *fn)
{
    fn->paging = calloc(1, sizeof(*fn->paging));
    if (!fn->paging) {
        return false;
    }
    fn->paging->policy = fn->core->config.policy;
    return true;
}

bool svan_fn_stats_make(SvanFn *fn)
{
    if (!fn->stats) {
        fn->stats = calloc(1, sizeof(*fn->stats));
    }
    return fn->stats;
}

bool svan_parts_make(SvanFn *fn)
{
    if (svan_fn_stats_make(fn) && memory_make(fn) && net_fill(fn->net) && queues_make(fn) &&
        paging_make(fn) && qps_make(fn)) {
        return true;
    }
    svan_parts_free(fn);
    return false;
}

static uint8_t furthest(uint8_t from, uint8_t a, uint8_t b)
{
    return (uint8_t)(a - from) > (uint8_t)(b - from) ? a : b;
}

/* Choose the variant of the next tables, in which no present number is valid. */
static void keep_variant(SvanFn *fn)
{
    uint8_t from = fn->regs->variant, to;

    to = furthest(from, svan_table_next_variant(&fn->memory->keys),
                  svan_table_next_variant(&fn->queues->cqs));
    to = furthest(from, to, svan_table_next_variant(&fn->queues->counters));
    to = furthest(from, to, svan_table_next_variant(&fn->queues->srqs));
    fn->regs->variant = furthest(from, to,
                                 svan_table_next_variant(&fn->qps->table));
}

void svan_parts_free(SvanFn *fn)
{
    if (fn->memory && fn->queues && fn->qps) {
        keep_variant(fn);
    }
    svan_gids_clear(fn);
    svan_filter_off(fn);
    if (fn->memory) {
        svan_table_fini(&fn->memory->pds);
        svan_table_fini(&fn->memory->keys);
        svan_tlb_fini(fn->memory);
        svan_context_table_clear(fn);
    }
    if (fn->queues) {
        svan_table_fini(&fn->queues->cqs);
        svan_table_fini(&fn->queues->counters);
        svan_table_fini(&fn->queues->srqs);
        free(fn->queues->uars);
        free(fn->queues->flows);
    }
    if (fn->qps) {
        svan_table_fini(&fn->qps->table);
        svan_rc_shared_free(fn->qps->rc);
    }
    free(fn->net->gids);
    free(fn->net->eth.mcast);
    fn->net->gids = NULL;
    fn->net->eth = (SvanEthFilter) { 0 };
    fn->net->port_enabled = true;
    free(fn->memory);
    free(fn->queues);
    free(fn->paging);
    free(fn->qps);
    fn->memory = NULL;
    fn->queues = NULL;
    fn->paging = NULL;
    fn->qps = NULL;
    if (fn->id) {
        free(fn->stats);
        fn->stats = NULL;
    }
}
