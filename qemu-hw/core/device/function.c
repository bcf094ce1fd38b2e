/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device: its functions, their reset, and the engine's scheduler.
 */
#include <stdlib.h>
#include <string.h>

#include "paging/prq.h"

#define DEFAULT_QPS     16384u
#define DEFAULT_CQS     16384u
#define DEFAULT_KEYS    65536u
#define MIN_CAPACITY    16u
#define PD_CAPACITY     16384u
#define FIRST_PD        1
#define FIRST_KEY       1
#define DEFAULT_FAULT_BUFFER    (4u << 20)
#define TIMER_LOOK      8       /* runs between two looks at the clock */

static const SvanFnOps fn_ops;

/* ---- functions ---- */

static void slots_init(SvanDbSlot *slots, const SvanTable *table, uint16_t fn)
{
    for (uint32_t i = 0; i < table->capacity; i++) {
        slots[i].fn = fn;
    }
}

static SvanDbSlot *slots_alloc(const SvanTable *table)
{
    size_t size = table->capacity * sizeof(SvanDbSlot);
    SvanDbSlot *slots = aligned_alloc(_Alignof(SvanDbSlot), size);

    if (slots) {
        memset(slots, 0, size);
    }
    return slots;
}

static void fn_free(SvanFn *fn)
{
    svan_table_fini(&fn->pds);
    svan_table_fini(&fn->keys);
    svan_table_fini(&fn->cqs);
    svan_table_fini(&fn->qps);
    free(fn->qp_slots);
    free(fn->cq_slots);
    free(fn->uar_owner);
    free(fn->uar_process);
    free(fn->uar_refs);
    free(fn->tlb);
    free(fn->contexts);
    free(fn);
}

static bool fn_alloc_tables(SvanFn *fn, const SvanConfig *config)
{
    fn->uar_owner = calloc(fn->uar_count, sizeof(fn->uar_owner[0]));
    fn->uar_process = calloc(fn->uar_count, sizeof(fn->uar_process[0]));
    fn->uar_refs = calloc(fn->uar_count, sizeof(fn->uar_refs[0]));
    fn->tlb = calloc(SVAN_TLB_SIZE, sizeof(fn->tlb[0]));
    fn->contexts = calloc(SVAN_PASID_COUNT, sizeof(fn->contexts[0]));
    if (!fn->uar_owner || !fn->uar_process || !fn->uar_refs || !fn->tlb ||
        !fn->contexts ||
        !svan_table_init(&fn->pds, PD_CAPACITY, FIRST_PD) ||
        !svan_table_init(&fn->keys, config->max_key, FIRST_KEY) ||
        !svan_table_init(&fn->cqs, config->max_cq, SVAN_FIRST_CQ) ||
        !svan_table_init(&fn->qps, config->max_qp, SVAN_FIRST_QP)) {
        return false;
    }
    fn->qp_slots = slots_alloc(&fn->qps);
    fn->cq_slots = slots_alloc(&fn->cqs);
    if (!fn->qp_slots || !fn->cq_slots) {
        return false;
    }
    slots_init(fn->qp_slots, &fn->qps, fn->id);
    slots_init(fn->cq_slots, &fn->cqs, fn->id);
    return true;
}

/*
 * What this device can do today, and why not more: the reason is that of the
 * machine, if it has one, else that of its owner.
 */
static void fn_set_features(SvanFn *fn, const SvanConfig *config)
{
    /* what needs the CPUs' view of memory, or their atomic operations */
    uint64_t shared = SVAN_CAP_ATOMIC_GLOBAL | SVAN_CAP_PROCESS_KEYS;
    uint64_t all = shared | SVAN_CAP_RC | SVAN_CAP_ATOMIC |
                   SVAN_CAP_ONDEMAND_KEYS | SVAN_CAP_PAGE_REQUESTS |
                   SVAN_CAP_ETH | SVAN_CAP_ETH_TX_CSUM | SVAN_CAP_ETH_RX_CSUM;
    uint64_t on = all & ~config->features_off;

    if (shared & ~on) {
        fn->off_reason = SVAN_CAP_OFF_DISABLED;
    }
    if (!config->true_atomics && (shared & on)) {
        on &= ~shared;
        fn->off_reason = SVAN_CAP_OFF_NO_TRUE_ATOMICS;
    }
    if (config->off_reason) {
        fn->off_reason = config->off_reason;
    }
    if (config->off_reason == SVAN_CAP_OFF_VIOMMU) {
        on &= ~SVAN_CAP_PROCESS_KEYS;
    }
    fn->features = on;
}

/* As after power on; the tables are empty. */
static void fn_init_state(SvanFn *fn)
{
    for (uint32_t i = 0; i < fn->uar_count; i++) {
        fn->uar_owner[i] = SVAN_NONE;
        fn->uar_process[i] = 0;
    }
    fn->uar_owner[0] = 0;               /* the kernel's */
    fn->test_dma_size = SVAN_PAGE_SIZE;
    fn->port_enabled = true;
    fn->policy = fn->core->config.policy;
}

static SvanFn *fn_new(SvanCore *core, uint16_t id)
{
    const SvanConfig *config = &core->config;
    SvanFn *fn = calloc(1, sizeof(*fn));

    if (!fn) {
        return NULL;
    }
    fn->core = core;
    fn->id = id;
    fn->ops = &fn_ops;
    fn->receiver = &svan_qp_receiver;
    fn->events.fn = fn;
    memcpy(fn->mac, config->mac, sizeof(fn->mac));
    if (id) {
        fn->mac[0] |= 2;                /* locally administered */
        fn->mac[5] += id;
    }
    fn->msix_count = id ? SVAN_VF_MSIX_COUNT : SVAN_PF_MSIX_COUNT;
    fn->uar_count = id ? SVAN_VF_UAR_COUNT : SVAN_PF_UAR_COUNT;
    fn->tlb_generation = 1;
    if (!fn_alloc_tables(fn, config)) {
        fn_free(fn);
        return NULL;
    }
    fn_set_features(fn, config);
    fn_init_state(fn);
    return fn;
}

/* ---- reset ---- */

#define FOR_EACH(table, type, object, destroy) \
    for (uint32_t i_ = 0; (table)->used && i_ < (table)->capacity; i_++) { \
        type *object = (table)->slots[i_]; \
        if (object) { \
            destroy; \
        } \
    }

static void pd_destroy(SvanFn *fn, uint32_t *refs, uint32_t index)
{
    svan_table_remove(&fn->pds, index);
    free(refs);
}

static void fn_destroy_objects(SvanFn *fn)
{
    FOR_EACH(&fn->qps, SvanQp, qp, svan_qp_destroy(qp));
    FOR_EACH(&fn->cqs, SvanCq, cq, svan_cq_destroy(cq));
    for (uint32_t i = 0; i < SVAN_MAX_EQS; i++) {
        if (fn->eqs[i]) {
            svan_eq_destroy(fn->eqs[i]);
        }
    }
    svan_prq_destroy(fn);
    svan_spares_free(fn);
    svan_inject_nothing(fn->core, fn->id);
    FOR_EACH(&fn->keys, SvanKey, key, svan_key_destroy(key));
    FOR_EACH(&fn->pds, uint32_t, refs, pd_destroy(fn, refs, i_));
}

static void fn_clear_registers(SvanFn *fn)
{
    fn->enabled = false;
    fn->fatal = SVAN_FATAL_NONE;
    fn->cmdq_base = fn->cmdr_base = 0;
    fn->cmdq_log_size = 0;
    memset(&fn->cmdq, 0, sizeof(fn->cmdq));
    fn->scratch = fn->test_dma_ctrl = 0;
    fn->test_dma_addr = 0;
    fn->inv_target = 0;
    fn->inv_addr = fn->inv_length = 0;
    fn->clock_latch = 0;
}

static void fn_clear_stats(SvanFn *fn)
{
    memset(&fn->stats, 0, sizeof(fn->stats));
    atomic_store_explicit(&fn->doorbells, 0, memory_order_relaxed);
    atomic_store_explicit(&fn->doorbells_refused, 0, memory_order_relaxed);
    atomic_store_explicit(&fn->doorbells_bad_access, 0, memory_order_relaxed);
}

/*
 * Doorbells that are still on their way carry numbers of queues that are gone.
 * So that they stay so, the tables go on counting variants.
 */
void svan_reset(SvanCore *core, uint16_t id)
{
    SvanFn *fn = svan_fn(core, id);

    if (!fn) {
        return;
    }
    svan_cmdq_stop(fn);
    fn_destroy_objects(fn);
    memset(fn->gids, 0, sizeof(fn->gids));
    fn->gid_limit = 0;
    memset(&fn->eth, 0, sizeof(fn->eth));
    svan_context_table_clear(fn);
    svan_tlb_flush(fn);
    fn_clear_registers(fn);
    fn_clear_stats(fn);
    fn_init_state(fn);
    if (core->rx_fn == id) {
        core->rx_offset = 0;            /* its half of a frame is gone */
        core->rx_qpn = 0;
    }
    fn->generation++;
    svan_trace(fn, SVAN_TRACE_RESET, id, fn->generation, 0, 0);
}

/*
 * Nothing of the function runs or receives any more; its objects stay until the
 * reset.
 */
static void fn_stop(SvanFn *fn)
{
    svan_cmdq_stop(fn);
    svan_prq_stop(fn);
    fn->gid_limit = 0;
    fn->eth.qpn = 0;
    FOR_EACH(&fn->qps, SvanQp, qp, {
        svan_work_stop(&qp->work);
        svan_list_remove(&qp->sq.poll_link);
    });
    for (uint32_t i = 0; i < SVAN_MAX_EQS; i++) {
        if (fn->eqs[i]) {
            svan_list_remove(&fn->eqs[i]->link);
        }
    }
}

static void fn_is_fatal(SvanFn *fn)
{
    SvanCore *core = fn->core;
    SvanEq *eq = fn->eqs[0];
    uint32_t code = fn->fatal;

    fn_stop(fn);
    if (!eq) {
        return;
    }
    if (code == SVAN_FATAL_EQ_DMA) {
        /* The event cannot be written, but somebody may look at STATUS. */
        core->ops.irq(core->opaque, fn->id, eq->vector);
        return;
    }
    svan_event(&fn->events, SVAN_EVENT_FATAL, code);
    svan_eq_schedule(eq);               /* for the events before it */
}

static const SvanFnOps fn_ops = {
    .fatal = fn_is_fatal,
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
    svan_list_init(&core->run);
    svan_list_init(&core->poll);
    svan_list_init(&core->blocked);
    svan_list_init(&core->cmd_work);
    svan_list_init(&core->eq_work);
    svan_list_init(&core->fault_work);
    core->deadline_told = UINT64_MAX;
    core->poll_ns = core->config.poll_ns;
    core->rx_tail = &core->rx_head;
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
    core->config.max_qp = capacity_of(config->max_qp, DEFAULT_QPS);
    core->config.max_cq = capacity_of(config->max_cq, DEFAULT_CQS);
    core->config.max_key = capacity_of(config->max_key, DEFAULT_KEYS);
    core->config.fault_buffer = capacity_of(config->fault_buffer,
                                            DEFAULT_FAULT_BUFFER);
    if (!config->policy.sources) {
        svan_policy_default(&core->config.policy);
    }
    core_init(core);
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

void svan_destroy(SvanCore *core)
{
    while (core->rx_head) {
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
    free(core);
}

/* ---- what is told to outside ---- */

void svan_stats(SvanCore *core, uint16_t id, SvanStats *stats)
{
    SvanFn *fn = svan_fn(core, id);

    memset(stats, 0, sizeof(*stats));
    if (!fn) {
        return;
    }
    fn->stats.doorbells = atomic_load_explicit(&fn->doorbells,
                                               memory_order_relaxed);
    fn->stats.doorbells_refused =
        atomic_load_explicit(&fn->doorbells_refused, memory_order_relaxed);
    fn->stats.doorbells_bad_access =
        atomic_load_explicit(&fn->doorbells_bad_access, memory_order_relaxed);
#define COPY_STAT(name) stats->name = fn->stats.name;
    SVAN_STATS(COPY_STAT)
#undef COPY_STAT
    stats->held_bytes = fn->held_bytes;
    stats->open_requests = fn->prq ? svan_prq_size(fn->prq) -
                                     fn->prq->num_free : 0;
    stats->spares_lent = svan_spares_in_use(fn);
}

/* ---- what comes from outside ---- */

void svan_set_poll(SvanCore *core, uint64_t poll_ns)
{
    core->poll_ns = poll_ns;
    if (!svan_list_empty(&core->poll)) {
        svan_kick(core);
    }
}

void svan_tx_ready(SvanCore *core)
{
    if (svan_list_empty(&core->blocked)) {
        return;
    }
    while (!svan_list_empty(&core->blocked)) {
        SvanQp *qp = svan_container(core->blocked.next, SvanQp,
                                    work.blocked);

        svan_list_remove(&qp->work.blocked);
        svan_qp_schedule(qp);
        if (qp->sq.poll_parked) {
            svan_poll_begin(&qp->sq);
        }
    }
    svan_kick(core);
}

void svan_set_link(SvanCore *core, bool up)
{
    if (core->link_up == up) {
        return;
    }
    core->link_up = up;
    for (uint32_t i = 0; i < core->num_fns; i++) {
        SvanFn *fn = core->fns[i];

        svan_event(&fn->events, SVAN_EVENT_PORT, svan_port_status(fn));
    }
    svan_kick(core);
}

/*
 * The core keeps nothing by bus address: each step maps anew, and the TLB holds
 * what tables say, which live and die with their keys. When the whole view of
 * memory changes the tables are read again too.
 */
void svan_invalidate_bus(SvanCore *core, uint16_t id, uint64_t addr,
                         uint64_t len)
{
    SvanFn *fn = svan_fn(core, id);

    (void)addr;
    if (fn && len == 0) {
        svan_tlb_flush(fn);
    }
}

/* ---- the scheduler ---- */

/* The QP at the head of the run list. IDLE: it had nothing to do. */
static SvanStep qp_turn(SvanCore *core)
{
    SvanQp *qp = svan_container(core->run.next, SvanQp, work.ready);
    SvanStep step;

    svan_list_remove(&qp->work.ready);
    step = qp->transport->step(qp);
    switch (step) {
    case SVAN_STEP_DONE:
    case SVAN_STEP_AGAIN:
        svan_qp_schedule(qp);
        if (qp->state >= SVAN_QPS_RTS) {
            svan_poll_arm(&qp->sq);
        }
        break;
    case SVAN_STEP_MISS:
        svan_list_first(&core->run, &qp->work.ready);
        break;
    case SVAN_STEP_BLOCKED:
        svan_list_append(&core->blocked, &qp->work.blocked);
        svan_poll_park(&qp->sq);
        break;
    default:
        qp->sq.last_active = 0;
        return SVAN_STEP_IDLE;
    }
    return step;
}

static SvanStep take_turn(SvanCore *core, SvanTurn turn)
{
    switch (turn) {
    case SVAN_TURN_CMD:
        return svan_list_empty(&core->cmd_work) ? SVAN_STEP_IDLE :
                                                  svan_cmd_step(core);
    case SVAN_TURN_EQ:
        return svan_list_empty(&core->eq_work) ? SVAN_STEP_IDLE :
                                                 svan_eq_step(core);
    case SVAN_TURN_FAULT:
        return svan_list_empty(&core->fault_work) ? SVAN_STEP_IDLE :
                                                    svan_fault_step(core);
    case SVAN_TURN_RX:
        return core->rx_head ? svan_rx_step(core) : SVAN_STEP_IDLE;
    case SVAN_TURN_QP:
        return svan_list_empty(&core->run) ? SVAN_STEP_IDLE : qp_turn(core);
    case SVAN_TURN_POLL:
        return svan_list_empty(&core->poll) ? SVAN_STEP_IDLE :
                                              svan_poll_step(core);
    default:
        return SVAN_STEP_IDLE;
    }
}

bool svan_has_work(SvanCore *core)
{
    return !svan_list_empty(&core->cmd_work) ||
           !svan_list_empty(&core->eq_work) ||
           !svan_list_empty(&core->fault_work) || core->rx_head ||
           !svan_list_empty(&core->run) || core->rung_taken ||
           atomic_load_explicit(&core->rung, memory_order_relaxed);
}

/*
 * A timer that moves away leaves the deadline where it was: waking once for
 * nothing is cheaper than telling the glue with each acknowledgement.
 */
static void tell_deadline(SvanCore *core)
{
    uint64_t next = svan_timer_next(core);

    if (next == core->deadline_told) {
        return;
    }
    if (next < core->deadline_told || core->deadline_told <= svan_now(core)) {
        core->deadline_told = next;
        core->ops.deadline(core->opaque, next);
    }
}

SvanRun svan_run(SvanCore *core)
{
    svan_db_collect(core);
    if (++core->timer_skipped >= TIMER_LOOK) {
        core->timer_skipped = 0;
        svan_timer_fire_due(core);
    }
    for (uint32_t i = 0; i < SVAN_TURN_COUNT; i++) {
        SvanTurn turn = core->turn;
        SvanStep step;

        step = take_turn(core, turn);
        if (step == SVAN_STEP_MISS) {
            return SVAN_RUN_MISS;
        }
        core->turn = turn + 1 < SVAN_TURN_COUNT ? turn + 1 : 0;
        if (step != SVAN_STEP_IDLE) {
            return SVAN_RUN_MORE;
        }
    }
    if (svan_has_work(core) || svan_timer_fire_due(core)) {
        return SVAN_RUN_MORE;
    }
    tell_deadline(core);
    if (svan_list_empty(&core->poll)) {
        return SVAN_RUN_IDLE;
    }
    /* Without a window what is left to do is to clear flags. */
    return core->poll_ns ? SVAN_RUN_POLL : SVAN_RUN_MORE;
}
