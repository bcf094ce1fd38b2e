/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device: its functions, and their reset.
 */
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

#define DEFAULT_QPS     16384u
#define DEFAULT_CQS     16384u
#define DEFAULT_KEYS    65536u
#define MIN_CAPACITY    16u
#define DEFAULT_FAULT_BUFFER    (4u << 20)

static const SvanFnOps fn_ops;

/* ---- functions ---- */

/* What a function has from svan_create() to svan_destroy(). */
typedef struct SvanFnAlways {
    SvanFn fn;
    SvanRegs regs;
    SvanNet net;
} SvanFnAlways;

static void fn_free(SvanFn *fn)
{
    svan_enforcement_end(fn);
    svan_parts_free(fn);
    free(fn->stats);
    svan_db_table_free(fn);
    free(svan_container(fn, SvanFnAlways, fn));
}

/*
 * Set the features, and the reason why some of `shared` are off: the machine's, if
 * there is one, else that a property of the device has switched them off.
 */
static void fn_set_features(SvanFn *fn, const SvanConfig *config)
{
    /* features that need the CPUs' page tables, or atomicity with the CPUs */
    uint64_t shared = SVAN_CAP_ATOMIC_GLOBAL | SVAN_CAP_PROCESS_KEYS;
    uint64_t all = shared | SVAN_CAP_RC | SVAN_CAP_UC | SVAN_CAP_UD | SVAN_CAP_GSI |
                   SVAN_CAP_SRQ | SVAN_CAP_ATOMIC |
                   SVAN_CAP_COMP_COUNTERS | SVAN_CAP_ONDEMAND_KEYS |
                   SVAN_CAP_DEVMEM_KEYS | SVAN_CAP_PAGE_REQUESTS |
                   SVAN_CAP_ETH | SVAN_CAP_ETH_TX_CSUM | SVAN_CAP_ETH_RX_CSUM |
                   SVAN_CAP_WINDOW_EXPORT | (fn->id ? 0 : SVAN_CAP_CONGESTION) |
                   (fn->id || !config->num_vfs ? 0 : SVAN_CAP_SRIOV);
    uint64_t on = all & ~config->features_off;

    if (shared & ~on) {
        fn->regs->off_reason = SVAN_CAP_OFF_DISABLED;
    }
    if (!config->true_atomics && (shared & on)) {
        on &= ~shared;
        fn->regs->off_reason = SVAN_CAP_OFF_NO_TRUE_ATOMICS;
    }
    if (config->off_reason) {
        fn->regs->off_reason = config->off_reason;
    }
    if (config->off_reason == SVAN_CAP_OFF_VIOMMU) {
        on &= ~SVAN_CAP_PROCESS_KEYS;
    }
    fn->features = on;
}

static SvanFn *fn_new(SvanCore *core, uint16_t id)
{
    const SvanConfig *config = &core->config;
    SvanFnAlways *all = calloc(1, sizeof(*all));
    SvanFn *fn;

    if (!all) {
        return NULL;
    }
    fn = &all->fn;
    fn->regs = &all->regs;
    fn->net = &all->net;
    fn->core = core;
    fn->id = id;
    fn->ops = &fn_ops;
    fn->miss.fn = fn;
    svan_price_init(&fn->price);
    svan_list_init(&fn->blocked);
    for (SvanTurn turn = 0; turn < SVAN_TURN_COUNT; turn++) {
        svan_list_init(&fn->work[turn].objects);
    }
    fn->msix_count = id ? SVAN_VF_MSIX_COUNT : SVAN_PF_MSIX_COUNT;
    fn->uar_count = id ? SVAN_VF_UAR_COUNT : SVAN_PF_UAR_COUNT;
    fn->regs->fn = fn;
    fn->regs->test_dma_size = SVAN_PAGE_SIZE;
    fn->net->receiver = &svan_qp_receiver;
    fn->net->port_enabled = true;
    svan_vport_reset(fn);
    fn_set_features(fn, config);
    /* The port's frames are counted by the PF. */
    if (!id && !svan_fn_stats_make(fn)) {
        fn_free(fn);
        return NULL;
    }
    return fn;
}

/* ---- reset ---- */

#define FOR_EACH(table, type, object, destroy) \
    for (uint32_t i_ = 0; (table)->used && i_ < (table)->size; i_++) { \
        type *object = (table)->slots[i_]; \
        if (object) { \
            destroy; \
        } \
    }

static void pd_destroy(SvanFn *fn, uint32_t *refs, uint32_t index)
{
    svan_table_remove(&fn->memory->pds, index);
    free(refs);
}

static void fn_destroy_objects(SvanFn *fn)
{
    svan_inject_nothing(fn->core, fn->id);
    if (!fn->regs->enabled) {
        return;
    }
    FOR_EACH(&fn->qps->table, SvanQp, qp, svan_qp_destroy(qp));
    FOR_EACH(&fn->queues->srqs, SvanSrq, srq, svan_srq_destroy(srq));
    FOR_EACH(&fn->queues->counters, SvanCounter, counter,
             svan_counter_destroy(counter));
    FOR_EACH(&fn->queues->cqs, SvanCq, cq, svan_cq_destroy(cq));
    for (uint32_t i = 0; i < SVAN_MAX_EQS; i++) {
        if (fn->queues->eqs[i]) {
            svan_eq_destroy(fn->queues->eqs[i]);
        }
    }
    svan_prq_destroy(fn);
    svan_spares_free(fn);
    FOR_EACH(&fn->memory->keys, SvanKey, key, svan_key_destroy(key));
    FOR_EACH(&fn->memory->pds, uint32_t, refs, pd_destroy(fn, refs, i_));
}

void svan_fn_set_enabled(SvanFn *fn, bool enabled)
{
    fn->core->fns_enabled += enabled - fn->regs->enabled;
    fn->regs->enabled = enabled;
}

static void fn_clear_registers(SvanFn *fn)
{
    svan_fn_set_enabled(fn, false);
    fn->fatal = SVAN_FATAL_NONE;
    fn->regs->cmdq_base = fn->regs->cmdr_base = 0;
    fn->regs->cmdq_log_size = 0;
    memset(&fn->regs->cmdq, 0, sizeof(fn->regs->cmdq));
    fn->regs->scratch = fn->regs->test_dma_ctrl = 0;
    fn->regs->test_dma_addr = 0;
    fn->regs->test_dma_size = SVAN_PAGE_SIZE;
    fn->regs->inv_target = 0;
    fn->regs->inv_addr = fn->regs->inv_length = 0;
    fn->regs->clock_latch = 0;
}

static void fn_clear_stats(SvanFn *fn)
{
    if (fn->stats) {
        memset(fn->stats, 0, sizeof(*fn->stats));
    }
    atomic_store_explicit(&fn->doorbells, 0, memory_order_relaxed);
    atomic_store_explicit(&fn->doorbells_refused, 0, memory_order_relaxed);
    atomic_store_explicit(&fn->doorbells_bad_access, 0, memory_order_relaxed);
}

/*
 * A doorbell that is still on its way may carry the number of a queue that is gone. So
 * that no new queue gets that number, the next tables begin with other variants.
 */
static void fn_reset(SvanFn *fn)
{
    SvanCore *core = fn->core;

    svan_miss_forget(core, &fn->miss);
    svan_cmdq_stop(fn);
    fn_destroy_objects(fn);
    svan_enforcement_reset(fn);
    svan_parts_free(fn);
    fn_clear_registers(fn);
    fn_clear_stats(fn);
    svan_rx_again(fn);
    fn->generation++;
    svan_trace(fn, SVAN_TRACE_RESET, fn->id, fn->generation, 0, 0);
}

/* The others wait meanwhile, so the function pays for it, as it has paid for making all that. */
void svan_reset(SvanCore *core, uint16_t id)
{
    SvanFn *fn = svan_fn(core, id);
    bool shared = svan_is_shared(core);
    uint64_t began;

    if (!fn) {
        return;
    }
    began = core->ops.now(core->opaque);
    fn_reset(fn);
    if (shared) {
        fn->served += core->ops.now(core->opaque) - began;
    }
}

void svan_reset_settings(SvanCore *core)
{
    svan_congestion_reset(core);
    svan_rate_reset_groups(core);
    for (uint32_t i = 0; i < core->num_fns; i++) {
        svan_vport_reset(core->fns[i]);
        svan_enforcement_end(core->fns[i]);
    }
}

/*
 * Nothing of the function runs or receives any more; its objects stay until the
 * reset.
 */
static void fn_stop(SvanFn *fn)
{
    svan_miss_forget(fn->core, &fn->miss);
    svan_cmdq_stop(fn);
    svan_prq_stop(fn);
    svan_gids_clear(fn);
    svan_filter_off(fn);
    FOR_EACH(&fn->qps->table, SvanQp, qp, {
        svan_work_stop(&qp->work);
        svan_poll_end(&qp->sq);
    });
    for (uint32_t i = 0; i < SVAN_MAX_EQS; i++) {
        if (fn->queues->eqs[i]) {
            svan_turn_leave(fn, SVAN_TURN_EQ, &fn->queues->eqs[i]->link);
        }
    }
}

static void fn_is_fatal(SvanFn *fn)
{
    SvanCore *core = fn->core;
    SvanEq *eq = fn->queues->eqs[0];
    uint32_t code = fn->fatal;

    fn_stop(fn);
    if (!eq) {
        return;
    }
    if (code == SVAN_FATAL_EQ_DMA) {
        /*
         * The event cannot be written, but an interrupt makes the driver read STATUS.
         */
        core->ops.irq(core->opaque, fn->id, eq->vector);
        return;
    }
    svan_event(&fn->queues->events, SVAN_EVENT_FATAL, code);
    svan_eq_schedule(eq);               /* to write the events before it */
}

/* It waits on EQ 0 of the physical function, if that is full. */
static bool fn_path_changed(SvanFn *fn)
{
    SvanQueues *queues = fn->core->fns[0]->queues;

    if (!queues || !queues->eqs[0]) {
        return false;
    }
    svan_event(&queues->flows[fn->id], SVAN_EVENT_FLOW, 0);
    return true;
}

static const SvanFnOps fn_ops = {
    .fatal = fn_is_fatal,
    .path_changed = fn_path_changed,
};

/* ---- the device ---- */

static uint32_t capacity_of(uint32_t configured, uint32_t normal)
{
    return configured ? configured : normal;
}

static bool is_capacity(uint32_t value, uint32_t max)
{
    return value >= MIN_CAPACITY && value <= max && !(value & (value - 1));
}

static bool config_is_sane(const SvanConfig *config)
{
    return config->num_vfs <= SVAN_MAX_VFS &&
           is_capacity(config->max_qp, SVAN_MAX_QN_CAPACITY) &&
           is_capacity(config->max_cq, SVAN_MAX_QN_CAPACITY) &&
           is_capacity(config->max_key, SVAN_MAX_KEY_CAPACITY) &&
           svan_policy_ok(&config->policy);
}

static void core_init(SvanCore *core)
{
    for (SvanTurn turn = 0; turn < SVAN_TURN_COUNT; turn++) {
        svan_list_init(&core->work[turn]);
    }
    svan_price_init(&core->port_price);
    svan_list_init(&core->waiting);
    core->has_room = true;
    svan_list_init(&core->missed);
    svan_list_init(&core->aside);
    core->deadline_told = UINT64_MAX;
    core->doorbells->poll_ns = core->config.poll_ns;
    core->ingress->tail = &core->ingress->head;
}

SvanCore *svan_create(const SvanConfig *config, const SvanOps *ops,
                      void *opaque)
{
    SvanCore *core = calloc(1, sizeof(*core));

    if (!core) {
        return NULL;
    }
    core->ops = *ops;
    core->opaque = opaque;
    core->config = *config;
    core->ingress = calloc(1, sizeof(*core->ingress));
    core->doorbells = calloc(1, sizeof(*core->doorbells));
    core->sw = svan_switch_new();
    if (!core->ingress || !core->doorbells || !core->sw) {
        svan_switch_free(core->sw);
        free(core->ingress);
        free(core->doorbells);
        free(core);
        return NULL;
    }
    core->config.max_qp = capacity_of(config->max_qp, DEFAULT_QPS);
    core->config.max_cq = capacity_of(config->max_cq, DEFAULT_CQS);
    core->config.max_key = capacity_of(config->max_key, DEFAULT_KEYS);
    core->config.fault_buffer = capacity_of(config->fault_buffer,
                                            DEFAULT_FAULT_BUFFER);
    if (!config->policy.sources) {
        svan_policy_default(&core->config.policy);
    }
    core_init(core);
    svan_congestion_reset(core);
    core->fns = calloc(1 + config->num_vfs, sizeof(core->fns[0]));
    if (!core->fns || !config_is_sane(&core->config)) {
        svan_destroy(core);
        return NULL;
    }
    while (core->num_fns < 1u + config->num_vfs) {
        SvanFn *fn = fn_new(core, core->num_fns);

        if (!fn) {
            svan_destroy(core);
            return NULL;
        }
        core->fns[core->num_fns++] = fn;
    }
    return core;
}

void svan_behind_iommu(SvanCore *core)
{
    core->config.features_off |= SVAN_CAP_PROCESS_KEYS;
    core->config.off_reason = SVAN_CAP_OFF_VIOMMU;
    for (uint16_t id = 0; id < core->num_fns; id++) {
        fn_set_features(core->fns[id], &core->config);
    }
}

void svan_destroy(SvanCore *core)
{
    while (core->ingress->head) {
        svan_rx_drop_head(core);
    }
    while (core->num_fns) {
        SvanFn *fn = core->fns[core->num_fns - 1];

        svan_cmdq_stop(fn);
        fn_destroy_objects(fn);
        core->num_fns--;
        fn_free(fn);
    }
    free(core->heap);
    free(core->fns);
    svan_switch_free(core->sw);
    free(core->ingress);
    free(core->doorbells);
    free(core);
}

/* ---- what comes from outside ---- */

void svan_set_poll(SvanCore *core, uint64_t poll_ns)
{
    core->doorbells->poll_ns = poll_ns;
    if (!svan_list_empty(&core->work[SVAN_TURN_POLL])) {
        svan_kick(core);
    }
}

void svan_tx_ready(SvanCore *core)
{
    svan_switch_tx_ready(core);
    svan_wake_waiting(core);
    if (core->ready >> SVAN_TURN_QP & 1) {
        svan_kick(core);
    }
}

void svan_set_link(SvanCore *core, bool up)
{
    if (core->link_up == up) {
        return;
    }
    core->link_up = up;
    for (uint32_t i = 0; i < core->num_fns; i++) {
        SvanFn *fn = core->fns[i];

        if (fn->regs->enabled) {
            svan_event(&fn->queues->events, SVAN_EVENT_PORT,
                       svan_port_status(fn));
        }
    }
    svan_kick(core);
}

/*
 * The core caches nothing by bus address: each step maps anew, and the TLB holds what
 * the tables of keys say, until the keys go. Only when all bus addresses lead
 * elsewhere the tables are read again.
 */
void svan_invalidate_bus(SvanCore *core, uint16_t id, uint64_t addr,
                         uint64_t len)
{
    SvanFn *fn = svan_fn(core, id);

    (void)addr;
    if (fn && fn->regs->enabled && len == 0) {
        svan_tlb_flush(fn);
    }
}
