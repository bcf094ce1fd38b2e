/*
 * Svan accelerator: the device type
 *
 * The accelerator joins its core to the engine, the bus and the PCI function
 * that the NIC uses, too. Its local memory is RAM behind a BAR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "hw/pci/msix.h"
#include "hw/qdev-properties.h"
#include "hw/resettable.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "svan/accel.h"
#include "svan/regs.h"
#include "../../glue/bus.h"
#include "../../glue/engine.h"
#include "../../glue/function.h"
#include "../core/accel_core.h"
#include "accel_trace.h"
#include "../../glue/trace.h"
#include "../../glue/watch.h"

#define TYPE_SVAN_ACCEL "svan-accel"
OBJECT_DECLARE_SIMPLE_TYPE(SvanAccelState, SVAN_ACCEL)

#define ACCEL_PCI_CLASS     0x1200      /* processing accelerator */
#define ACCEL_STREAM_MAX    (64 * MiB)
#define ACCEL_MEM_MIN       MiB
#define ACCEL_MEM_MAX       (64 * GiB)

QEMU_BUILD_BUG_ON(SVAN_ACCEL_MSIX_COUNT > 64);
/* The BARs are laid out as a function of the NIC has them. */
QEMU_BUILD_BUG_ON(SVAN_ACCEL_BAR_REGS != SVAN_BAR_REGS ||
                  SVAN_ACCEL_BAR_DB != SVAN_BAR_UAR ||
                  SVAN_ACCEL_BAR_REGS_SIZE != SVAN_BAR_REGS_SIZE ||
                  SVAN_ACCEL_DB_SHIFT != SVAN_UAR_SHIFT ||
                  SVAN_ACCEL_MSIX_TABLE_OFFSET != SVAN_MSIX_TABLE_OFFSET ||
                  SVAN_ACCEL_MSIX_PBA_OFFSET != SVAN_MSIX_PBA_OFFSET);

/* A page that a command of the core waits for. Engine lock. */
typedef struct AccelWatch {
    SvanWatch watch;
    SvanAccelState *accel;
    AccelSpace space;
    uint64_t addr;
    bool touched;                   /* atomic */
} AccelWatch;

struct SvanAccelState {
    PCIDevice parent_obj;

    /* properties */
    IOThread *iothread;
    char *engine_mode;
    uint32_t poll_ns;
    uint32_t quantum_ns;
    uint64_t mem_size;
    uint64_t reorder;

    SvanEngine engine;
    SvanMemory memory;
    SvanFunction function;
    Accel *core;                    /* changes under BQL and engine lock */
    MemoryRegion mem;
    uint8_t *mem_host;
    MemoryRegionCache mem_cache;    /* only to report stores */
    bool irqs;                      /* vectors were raised; atomic */
    bool stores;                    /* the core has stores; atomic */
    bool aside;                     /* the core has set contexts aside; atomic */
    uint64_t stores_dropped;        /* by a reentrancy guard; BQL */
    AccelWatch watches[ACCEL_WAITERS];
    bool touched;                   /* one of watches is; atomic */
    /* engine lock */
    unsigned waiters;               /* watches that are watching */
    bool deaf;                      /* it is going: no page is watched any more */
    uint64_t polling_ns;            /* for how long to poll; 0: never */
    int64_t poll_end;               /* get_clock(); 0: the next idle epoch sets it */

    /* the core's state while it is migrated */
    uint8_t *stream;
    uint32_t stream_len;
};

/* ---- what the core calls: engine lock held, nothing may block ---- */

static AccelDma accel_op_map(void *opaque, AccelSpace space, uint64_t addr,
                             uint32_t len, bool for_write, void **host)
{
    static const AccelDma results[] = {
        [SVAN_DMA_OK] = ACCEL_DMA_OK,
        [SVAN_DMA_MISS] = ACCEL_DMA_MISS,
        [SVAN_DMA_ERROR] = ACCEL_DMA_ERROR,
    };
    SvanAccelState *s = opaque;

    if (space == ACCEL_HOST) {
        return results[svan_bus_map(&s->function.bus, addr, len, for_write,
                                    host)];
    }
    if (addr >= s->mem_size || len > s->mem_size - addr) {
        return ACCEL_DMA_ERROR;
    }
    *host = s->mem_host + addr;
    return ACCEL_DMA_OK;
}

static void accel_op_written(void *opaque, AccelSpace space, uint64_t addr,
                             void *host, uint32_t len)
{
    SvanAccelState *s = opaque;

    if (space == ACCEL_HOST) {
        svan_bus_written(&s->function.bus, addr, host, len);
    } else {
        address_space_cache_invalidate(&s->mem_cache, addr, len);
        svan_watch_stored(host);
    }
}

static void accel_op_irq(void *opaque, uint16_t vector)
{
    SvanAccelState *s = opaque;

    svan_function_irq(&s->function, vector);
    qatomic_set(&s->irqs, true);
    svan_engine_want_bql_soon(&s->engine);
}

static uint64_t accel_op_now(void *opaque)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void accel_op_deadline(void *opaque, uint64_t when)
{
    SvanAccelState *s = opaque;

    svan_engine_deadline(&s->engine, when);
}

static void accel_op_kick(void *opaque)
{
    SvanAccelState *s = opaque;

    svan_engine_kick(&s->engine);
}

static void accel_op_store_wanted(void *opaque)
{
    SvanAccelState *s = opaque;

    qatomic_set(&s->stores, true);
    svan_engine_want_bql_soon(&s->engine);
}

/* Another device has stored to the page. Any thread. */
static void accel_page_stored(SvanWatch *watch)
{
    AccelWatch *w = container_of(watch, AccelWatch, watch);

    qatomic_set(&w->touched, true);
    qatomic_set(&w->accel->touched, true);
    svan_engine_kick(&w->accel->engine);
}

static void accel_op_watch(void *opaque, uint32_t waiter, AccelSpace space,
                           uint64_t addr, void *host)
{
    SvanAccelState *s = opaque;
    AccelWatch *w = &s->watches[waiter];

    if (w->watch.page) {
        svan_watch_end(&w->watch);
        s->waiters--;
    }
    if (host && !s->deaf) {
        s->waiters++;
        w->space = space;
        w->addr = addr;
        qatomic_set(&w->touched, false);
        svan_watch_begin(&w->watch, host);
    }
}

/* Tell the core of the pages that others have stored to. */
static void accel_tell_touched(SvanAccelState *s)
{
    if (likely(!qatomic_read(&s->touched)) ||
        !qatomic_xchg(&s->touched, false)) {
        return;
    }
    for (unsigned i = 0; i < ACCEL_WAITERS; i++) {
        AccelWatch *w = &s->watches[i];

        if (qatomic_read(&w->touched) && qatomic_xchg(&w->touched, false)) {
            accel_touched(s->core, w->space, w->addr);
        }
    }
}

static const AccelOps accel_ops = {
    .map = accel_op_map,
    .written = accel_op_written,
    .irq = accel_op_irq,
    .now = accel_op_now,
    .deadline = accel_op_deadline,
    .kick = accel_op_kick,
    .store_wanted = accel_op_store_wanted,
    .watch = accel_op_watch,
    .trace = svan_accel_traced,
};

/* ---- what the engine calls ---- */

static bool accel_steps_await(void *opaque, uint16_t fn)
{
    SvanAccelState *s = opaque;

    return accel_awaits(s->core);
}

/*
 * There is nothing to do but to wait for the stores of others. Is it worth while to
 * poll for them? Those that are woken often answer at once.
 */
static bool accel_polls(SvanAccelState *s)
{
    int64_t now;

    if (!s->polling_ns || !s->waiters) {
        return false;
    }
    now = get_clock();
    if (!s->poll_end) {
        s->poll_end = now + s->polling_ns;
    }
    return now < s->poll_end;
}

static SvanRun accel_epoch(void *opaque)
{
    static const SvanRun results[] = {
        [ACCEL_RUN_IDLE] = SVAN_RUN_IDLE,
        [ACCEL_RUN_MORE] = SVAN_RUN_MORE,
        [ACCEL_RUN_MISS] = SVAN_RUN_MISS,
    };
    SvanAccelState *s = opaque;
    SvanRun result;

    accel_tell_touched(s);
    result = results[accel_run(s->core)];
    if (result != SVAN_RUN_MISS) {
        svan_memory_forget_refusals(&s->memory, accel_steps_await);
    } else if (accel_set_aside(s->core)) {
        qatomic_set(&s->aside, true);
        svan_engine_want_bql_soon(&s->engine);
        result = SVAN_RUN_MORE;
    }
    if (result != SVAN_RUN_IDLE) {
        s->poll_end = 0;
    } else if (accel_polls(s)) {
        return SVAN_RUN_POLL;
    }
    return result;
}

static void accel_set_poll(void *opaque, uint64_t ns)
{
    SvanAccelState *s = opaque;

    s->polling_ns = ns;
}

static bool accel_resolve(void *opaque)
{
    SvanAccelState *s = opaque;
    bool any = svan_memory_resolve(&s->memory);

    if (s->core && qatomic_xchg(&s->aside, false)) {
        svan_engine_lock(&s->engine);
        accel_resolved(s->core);
        svan_engine_unlock(&s->engine);
        any = true;
    }
    return any;
}

static bool accel_store_make(SvanAccelState *s, const AccelStore *store)
{
    MemTxAttrs attrs = { .requester_id = pci_requester_id(PCI_DEVICE(s)) };
    MemTxResult result;
    uint8_t octets[8];

    stq_le_p(octets, store->value);
    result = address_space_write(s->function.bus.direct.as, store->bus, attrs,
                                 octets, store->width);
    /* Something is there, but its guard against reentrance lets nobody in. */
    s->stores_dropped += !!(result & MEMTX_ACCESS_ERROR);
    return result == MEMTX_OK;
}

/*
 * Stores through windows are transactions on the bus, which other devices
 * answer under the BQL. The address was checked with the engine lock held; what
 * may revoke it holds the BQL, so it stays good until the store is made. The
 * engine lock is not held meanwhile: a device may answer with an interrupt that
 * the guest has directed to this one.
 *
 * Another thread may run the engine meanwhile. What its queues want to store then
 * is left to the next turn, so that others get the BQL in between.
 */
static void accel_make_stores(SvanAccelState *s)
{
    AccelStore store;
    bool made;

    if (s->core) {
        svan_engine_lock(&s->engine);
        accel_store_turn(s->core);
        svan_engine_unlock(&s->engine);
    }
    while (s->core) {
        svan_engine_lock(&s->engine);
        made = accel_store_next(s->core, &store);
        svan_engine_unlock(&s->engine);
        if (!made) {
            return;
        }
        made = accel_store_make(s, &store);
        svan_engine_lock(&s->engine);
        if (s->core) {
            accel_store_end(s->core, &store, made);
        }
        svan_engine_unlock(&s->engine);
    }
}

static void accel_bql_work(void *opaque)
{
    SvanAccelState *s = opaque;

    if (qatomic_read(&s->aside) && accel_resolve(s)) {
        svan_engine_kick(&s->engine);
    }
    if (qatomic_xchg(&s->stores, false)) {
        accel_make_stores(s);
        svan_engine_kick(&s->engine);
    }
    if (qatomic_xchg(&s->irqs, false)) {
        svan_function_raise_irqs(&s->function);
    }
}

static const SvanEngineOps accel_engine_ops = {
    .epoch = accel_epoch,
    .set_poll = accel_set_poll,
    .resolve = accel_resolve,
    .bql_work = accel_bql_work,
};

/* ---- what memory and function call ---- */

static void accel_invalidate(void *opaque, uint16_t fn, uint64_t addr,
                             uint64_t len)
{
    SvanAccelState *s = opaque;

    if (s->core) {
        accel_invalidate_bus(s->core, addr, len);
    }
}

static uint64_t accel_bar_read(SvanFunction *f, hwaddr offset, unsigned size)
{
    SvanAccelState *s = f->opaque;
    uint64_t value;

    if (!s->core) {
        return 0;
    }
    svan_engine_lock(&s->engine);
    value = accel_reg_read(s->core, offset, size);
    svan_engine_unlock(&s->engine);
    return value;
}

static void accel_bar_write(SvanFunction *f, hwaddr offset, uint64_t value,
                            unsigned size, MemTxAttrs attrs)
{
    SvanAccelState *s = f->opaque;

    if (!s->core) {
        return;
    }
    svan_engine_lock(&s->engine);
    accel_reg_write(s->core, offset, value, size);
    svan_engine_unlock(&s->engine);
    svan_engine_bql_work(&s->engine);
}

/* As svan_nic_doorbell(). */
static void accel_bar_doorbell(SvanFunction *f, hwaddr offset, uint64_t value,
                               unsigned size, MemTxAttrs attrs)
{
    SvanAccelState *s = f->opaque;
    bool run;

    if (!s->core) {
        return;
    }
    run = svan_engine_enter(&s->engine, attrs);
    accel_doorbell(s->core, offset, value, size);
    if (run) {
        svan_engine_leave(&s->engine);
    }
}

static const SvanFunctionOps accel_function_ops = {
    .reg_read = accel_bar_read,
    .reg_write = accel_bar_write,
    .doorbell = accel_bar_doorbell,
};

/* ---- life ---- */

static bool accel_create_core(SvanAccelState *s, Error **errp)
{
    AccelConfig config = {
        .mem_size = s->mem_size, .reorder_seed = s->reorder,
    };
    Accel *core = accel_create(&config, &accel_ops, s);

    if (!core) {
        error_setg(errp, "cannot create the device: memory is short");
        return false;
    }
    svan_engine_lock(&s->engine);
    s->polling_ns = svan_engine_poll_ns(&s->engine);
    s->core = core;
    svan_engine_unlock(&s->engine);
    return true;
}

/* Nobody kicks for a page afterwards. Engine lock held. */
static void accel_end_watches(SvanAccelState *s)
{
    for (unsigned i = 0; i < ACCEL_WAITERS; i++) {
        svan_watch_end(&s->watches[i].watch);
    }
    s->waiters = 0;
}

static void accel_destroy_core(SvanAccelState *s)
{
    Accel *core;

    svan_engine_lock(&s->engine);
    core = s->core;
    s->core = NULL;
    accel_end_watches(s);
    svan_engine_unlock(&s->engine);
    if (core) {
        accel_destroy(core);
    }
}

static bool accel_make_memory(SvanAccelState *s, Error **errp)
{
    if (s->mem_size < ACCEL_MEM_MIN || s->mem_size > ACCEL_MEM_MAX ||
        !is_power_of_2(s->mem_size)) {
        error_setg(errp, "mem-size has to be a power of two from 1M to 64G");
        return false;
    }
    if (!memory_region_init_ram(&s->mem, OBJECT(s), "svan-accel-mem",
                                s->mem_size, errp)) {
        return false;
    }
    s->mem_host = memory_region_get_ram_ptr(&s->mem);
    s->mem_cache = (MemoryRegionCache) {
        .ptr = s->mem_host, .len = s->mem_size, .is_write = true,
        .mrs = { .mr = &s->mem, .size = int128_make64(s->mem_size) },
    };
    return true;
}

static bool accel_start_engine(SvanAccelState *s, Error **errp)
{
    SvanEngineConfig config = {
        .iothread = s->iothread,
        .mode = s->engine_mode,
        .poll_ns = s->poll_ns,
        .quantum_ns = s->quantum_ns,
    };

    for (unsigned i = 0; i < ACCEL_WAITERS; i++) {
        s->watches[i].accel = s;
        s->watches[i].watch.stored = accel_page_stored;
    }
    svan_engine_init(&s->engine, DEVICE(s), &accel_engine_ops, s);
    if (!svan_engine_start(&s->engine, &config, errp)) {
        svan_engine_fini(&s->engine);
        return false;
    }
    if (!accel_create_core(s, errp)) {
        svan_engine_stop(&s->engine);
        svan_engine_fini(&s->engine);
        return false;
    }
    svan_memory_init(&s->memory, &s->engine, accel_invalidate, s);
    return true;
}

static void accel_stop_engine(SvanAccelState *s)
{
    svan_memory_fini(&s->memory);
    accel_destroy_core(s);
    svan_engine_fini(&s->engine);
}

static void accel_realize(PCIDevice *pci, Error **errp)
{
    SvanAccelState *s = SVAN_ACCEL(pci);
    SvanFunctionConfig config = {
        .msix_count = SVAN_ACCEL_MSIX_COUNT,
        .uar_count = SVAN_ACCEL_CONTEXTS,
        .memory = &s->memory,
        .ops = &accel_function_ops,
        .opaque = s,
    };

    if (!accel_make_memory(s, errp) || !accel_start_engine(s, errp)) {
        return;
    }
    if (!svan_function_init(&s->function, pci, &config, errp)) {
        svan_engine_stop(&s->engine);
        accel_stop_engine(s);
        return;
    }
    /* A NIC that answers a store may direct an interrupt to these BARs. */
    s->function.regs.disable_reentrancy_guard = true;
    s->function.uars.disable_reentrancy_guard = true;
    pci_register_bar(pci, SVAN_ACCEL_BAR_MEM, PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     PCI_BASE_ADDRESS_MEM_PREFETCH, &s->mem);
}

static void accel_exit(PCIDevice *pci)
{
    SvanAccelState *s = SVAN_ACCEL(pci);

    /*
     * Other devices kick for the pages that are watched, in threads of their own. An
     * engine that stops cannot tell when the last of them has done so.
     */
    svan_engine_lock(&s->engine);
    s->deaf = true;
    accel_end_watches(s);
    svan_engine_unlock(&s->engine);
    svan_engine_stop(&s->engine);
    svan_function_fini(&s->function);
    accel_stop_engine(s);
    /* Readers of RCU may keep the memory, and its name is wanted by the next device. */
    vmstate_unregister_ram(&s->mem, DEVICE(s));
}

static void accel_reset_hold(Object *obj, ResetType type)
{
    SvanAccelState *s = SVAN_ACCEL(obj);

    svan_engine_lock(&s->engine);
    accel_reset(s->core);
    svan_engine_unlock(&s->engine);
    svan_function_forget_irqs(&s->function);
}

/* ---- migration ---- */

static int accel_pre_save(void *opaque)
{
    SvanAccelState *s = opaque;
    size_t len = 0;
    void *stream;

    svan_engine_lock(&s->engine);
    stream = accel_save(s->core, &len);
    svan_engine_unlock(&s->engine);
    if (!stream || len > ACCEL_STREAM_MAX) {
        free(stream);
        return -ENOMEM;
    }
    g_free(s->stream);
    s->stream = g_memdup2(stream, len);
    s->stream_len = len;
    free(stream);
    return 0;
}

static int accel_post_save(void *opaque)
{
    SvanAccelState *s = opaque;

    g_clear_pointer(&s->stream, g_free);
    s->stream_len = 0;
    return 0;
}

static bool accel_stream_is_sane(void *opaque, int version_id)
{
    return ((SvanAccelState *)opaque)->stream_len <= ACCEL_STREAM_MAX;
}

static int accel_post_load(void *opaque, int version_id)
{
    SvanAccelState *s = opaque;
    Error *err = NULL;
    bool ok;

    accel_destroy_core(s);
    if (!accel_create_core(s, &err)) {
        error_report_err(err);
        return -ENOMEM;
    }
    svan_engine_lock(&s->engine);
    ok = s->stream && accel_load(s->core, s->stream, s->stream_len);
    svan_engine_unlock(&s->engine);
    accel_post_save(s);
    if (!ok) {
        error_report("svan-accel: the saved state is of another version of the "
                     "device, or its source has other properties");
        return -EINVAL;
    }
    return 0;
}

static const VMStateDescription accel_vmstate = {
    .name = "svan-accel",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = accel_pre_save,
    .post_save = accel_post_save,
    .post_load = accel_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, SvanAccelState),
        VMSTATE_MSIX(parent_obj, SvanAccelState),
        VMSTATE_UINT32(stream_len, SvanAccelState),
        VMSTATE_VBUFFER_ALLOC_UINT32(stream, SvanAccelState, 0,
                                     accel_stream_is_sane, stream_len),
        VMSTATE_END_OF_LIST()
    }
};

/* ---- properties ---- */

static const Property accel_properties[] = {
    DEFINE_PROP_LINK("iothread", SvanAccelState, iothread, TYPE_IOTHREAD,
                     IOThread *),
    DEFINE_PROP_STRING("engine", SvanAccelState, engine_mode),
    DEFINE_PROP_UINT32("poll-ns", SvanAccelState, poll_ns, 20000),
    DEFINE_PROP_UINT32("quantum-ns", SvanAccelState, quantum_ns, 20000),
    DEFINE_PROP_SIZE("mem-size", SvanAccelState, mem_size, 64 * MiB),
    DEFINE_PROP_UINT64("reorder", SvanAccelState, reorder, 0),
};

typedef struct AccelCount {
    const char *name;
    uint64_t value;
} AccelCount;

static bool accel_visit_counts(Visitor *v, AccelCount *counts, size_t n,
                               Error **errp)
{
    for (size_t i = 0; i < n; i++) {
        if (!visit_type_uint64(v, counts[i].name, &counts[i].value, errp)) {
            return false;
        }
    }
    return visit_check_struct(v, errp);
}

/* What the core has counted, and what the glue has; the main loop holds the BQL. */
static void accel_get_stats(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    SvanAccelState *s = SVAN_ACCEL(obj);
    AccelStats stats = {};

    if (s->core) {
        svan_engine_lock(&s->engine);
        accel_stats(s->core, &stats);
        svan_engine_unlock(&s->engine);
    }
    if (visit_start_struct(v, name, NULL, 0, errp)) {
        AccelCount counts[] = {
#define ACCEL_COUNT(field) { #field, stats.field },
            ACCEL_STATS(ACCEL_COUNT)
#undef ACCEL_COUNT
            { "stores_dropped", s->stores_dropped },
            { "bql_main_loop", s->engine.bql_main_loop },
        };

        accel_visit_counts(v, counts, ARRAY_SIZE(counts), errp);
        visit_end_struct(v, NULL);
    }
}

static const struct {
    const char *name, *text;
} accel_property_help[] = {
    { "iothread", "ID of an iothread to run the engine; default: one of its "
      "own" },
    { "engine", "who runs the engine: inline (the vCPU that rings, then the "
      "iothread), iothread, auto (as inline where the accelerator allows it, "
      "and polling while a host CPU is free)" },
    { "poll-ns", "how long the iothread polls for stores of other devices that "
      "commands wait for, with engine=auto and engine=iothread; 0: never" },
    { "quantum-ns", "how long a vCPU that rings runs the engine before the "
      "iothread goes on" },
    { "mem-size", "local memory, a power of two" },
    { "reorder", "a seed: stores that no FENCE orders leave in an order drawn "
      "from it; 0: in the order of commands" },
    { "stats", "what the device has counted since it was created (read only)" },
};

static void accel_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = accel_realize;
    pc->exit = accel_exit;
    pc->vendor_id = SVAN_PCI_VENDOR_ID;
    pc->device_id = SVAN_PCI_DEVICE_ID_ACCEL;
    pc->revision = SVAN_PCI_REVISION;
    pc->class_id = ACCEL_PCI_CLASS;
    rc->phases.hold = accel_reset_hold;
    dc->desc = "Svan accelerator";
    dc->vmsd = &accel_vmstate;
    device_class_set_props(dc, accel_properties);
    object_class_property_add(klass, "stats", "SvanAccelStats", accel_get_stats,
                              NULL, NULL, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(accel_property_help); i++) {
        object_class_property_set_description(klass,
                                              accel_property_help[i].name,
                                              accel_property_help[i].text);
    }
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo accel_types[] = {
    {
        .name = TYPE_SVAN_ACCEL,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SvanAccelState),
        .class_init = accel_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(accel_types)
