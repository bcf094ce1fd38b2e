/*
 * Svan RDMA NIC: the PCIe function
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "hw/boards.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "hw/resettable.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "system/cpu-timers.h"
#include "system/system.h"
#include "system/tcg.h"
#include "glue.h"
#include "trace.h"

#define SVAN_STREAM_MAX     (256 * MiB)
#define SVAN_MAX_LINK_MBPS  (0xffff * 100)

QEMU_BUILD_BUG_ON(SVAN_PF_MSIX_COUNT > 64);
QEMU_BUILD_BUG_ON(SVAN_VF_MSIX_COUNT > 64);

/* ---- what the core calls: engine lock held, nothing may block ---- */

static SvanFunction *svan_function(SvanState *s, uint16_t fn)
{
    return fn == 0 ? &s->pf : NULL;
}

static SvanDma svan_op_map(void *opaque, uint16_t fn, uint64_t addr,
                           uint32_t len, bool for_write, void **host)
{
    SvanFunction *f = svan_function(opaque, fn);

    return f ? svan_bus_map(&f->bus, addr, len, for_write, host)
             : SVAN_DMA_ERROR;
}

static void svan_op_written(void *opaque, uint16_t fn, uint64_t addr,
                            void *host, uint32_t len)
{
    SvanFunction *f = svan_function(opaque, fn);

    if (f) {
        svan_bus_written(&f->bus, addr, host, len);
    }
}

static void svan_op_irq(void *opaque, uint16_t fn, uint16_t vector)
{
    SvanState *s = opaque;
    SvanFunction *f = svan_function(s, fn);

    if (f && vector < SVAN_PF_MSIX_COUNT) {
        qatomic_or(&f->irqs, 1ull << vector);
        svan_engine_want_bql(&s->engine);
    }
}

static bool svan_op_frame_out(void *opaque, SvanFrame *frame)
{
    return svan_port_frame_out(&((SvanState *)opaque)->port, frame);
}

static uint64_t svan_op_now(void *opaque)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void svan_op_deadline(void *opaque, uint64_t when)
{
    svan_engine_deadline(&((SvanState *)opaque)->engine, when);
}

static void svan_op_kick(void *opaque)
{
    svan_engine_kick(&((SvanState *)opaque)->engine);
}

static const SvanOps svan_ops = {
    .map = svan_op_map,
    .written = svan_op_written,
    .irq = svan_op_irq,
    .frame_out = svan_op_frame_out,
    .now = svan_op_now,
    .deadline = svan_op_deadline,
    .kick = svan_op_kick,
    .trace = svan_core_traced,
};

/* ---- what the engine calls ---- */

static SvanRun svan_epoch(void *opaque)
{
    SvanState *s = opaque;
    SvanRun result;

    svan_port_feed(&s->port, s->core);
    result = svan_run(s->core);
    if (result != SVAN_RUN_MISS) {
        svan_memory_forget_refusals(&s->memory);
    }
    return result;
}

static void svan_change_poll(void *opaque, uint64_t ns)
{
    svan_set_poll(((SvanState *)opaque)->core, ns);
}

static bool svan_resolve(void *opaque)
{
    return svan_memory_resolve(&((SvanState *)opaque)->memory);
}

static void svan_raise_irqs(SvanFunction *f)
{
    uint64_t vectors = qatomic_xchg(&f->irqs, 0);

    while (vectors) {
        unsigned vector = ctz64(vectors);

        vectors &= vectors - 1;
        trace_svan_irq(f->id, vector);
        msix_notify(f->pci, vector);
    }
}

static void svan_bql_work(void *opaque)
{
    SvanState *s = opaque;

    svan_raise_irqs(&s->pf);
    svan_port_flush(&s->port);
}

static const SvanEngineOps svan_engine_ops = {
    .epoch = svan_epoch,
    .set_poll = svan_change_poll,
    .resolve = svan_resolve,
    .bql_work = svan_bql_work,
};

static void svan_invalidate(void *opaque, uint16_t fn, uint64_t addr,
                            uint64_t len)
{
    SvanState *s = opaque;

    if (s->core) {
        svan_invalidate_bus(s->core, fn, addr, len);
    }
}

/* ---- BARs ---- */

static uint64_t svan_regs_read(void *opaque, hwaddr offset, unsigned size)
{
    SvanFunction *f = opaque;
    SvanEngine *e = &f->s->engine;
    uint64_t value;

    if (!f->s->core) {
        return 0;       /* a vCPU that has not seen the unplug yet */
    }
    svan_engine_lock(e);
    value = svan_reg_read(f->s->core, f->id, offset, size);
    svan_engine_unlock(e);
    trace_svan_reg_read(f->id, offset, size, value);
    return value;
}

/* These make work that somebody waits for: as a doorbell. */
static bool svan_reg_is_doorbell(hwaddr offset)
{
    return offset == SVAN_REG_PRR_DB || offset == SVAN_REG_CMDQ_DB;
}

/* As svan_uars_write(): the BQL may be let go of in here. */
static MemTxResult svan_regs_write(void *opaque, hwaddr offset, uint64_t value,
                                   unsigned size, MemTxAttrs attrs)
{
    SvanFunction *f = opaque;
    SvanState *s = f->s;
    SvanEngine *e = &s->engine;

    trace_svan_reg_write(f->id, offset, size, value);
    if (size < 4 || offset & (size - 1)) {
        qemu_log_mask(LOG_GUEST_ERROR, "svan: %u-byte store to register "
                      "0x%" HWADDR_PRIx " ignored\n", size, offset);
    }
    if (!s->core) {
        return MEMTX_OK;
    }
    if (svan_reg_is_doorbell(offset) && svan_engine_enter(&s->engine, attrs)) {
        svan_reg_write(s->core, f->id, offset, value, size);
        svan_engine_leave(&s->engine);
        return MEMTX_OK;
    }
    svan_engine_lock(e);
    svan_reg_write(s->core, f->id, offset, value, size);
    svan_engine_unlock(e);
    svan_engine_bql_work(&s->engine);
    return MEMTX_OK;
}

static const MemoryRegionOps svan_regs_ops = {
    .read = svan_regs_read,
    .write_with_attrs = svan_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static uint64_t svan_uars_read(void *opaque, hwaddr offset, unsigned size)
{
    return 0;
}

/*
 * The BQL may be let go of in here; all that is used afterwards lives as long
 * as the object, which svan_engine_leave() holds.
 */
static MemTxResult svan_uars_write(void *opaque, hwaddr offset, uint64_t value,
                                   unsigned size, MemTxAttrs attrs)
{
    SvanFunction *f = opaque;
    SvanState *s = f->s;
    bool run;

    trace_svan_uar_write(f->id, offset, size, value);
    if (!s->core) {
        return MEMTX_OK;
    }
    run = svan_engine_enter(&s->engine, attrs);
    svan_doorbell(s->core, f->id, offset, value, size);
    if (run) {
        svan_engine_leave(&s->engine);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps svan_uars_ops = {
    .read = svan_uars_read,
    .write_with_attrs = svan_uars_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

/* ---- PCI ---- */

static void svan_write_config(PCIDevice *pci, uint32_t addr, uint32_t value,
                              int len)
{
    pci_default_write_config(pci, addr, value, len);
    pcie_cap_flr_write_config(pci, addr, value, len);
}

static bool svan_msix_init(PCIDevice *pci, MemoryRegion *bar, unsigned vectors,
                           Error **errp)
{
    if (msix_init(pci, vectors, bar, SVAN_BAR_REGS, SVAN_MSIX_TABLE_OFFSET,
                  bar, SVAN_BAR_REGS, SVAN_MSIX_PBA_OFFSET, 0, errp)) {
        return false;
    }
    for (unsigned i = 0; i < vectors; i++) {
        msix_vector_use(pci, i);
    }
    return true;
}

static bool svan_pci_init(SvanState *s, Error **errp)
{
    PCIDevice *pci = PCI_DEVICE(s);

    pci->config_write = svan_write_config;
    memory_region_init_io(&s->regs, OBJECT(s), &svan_regs_ops, &s->pf,
                          "svan-regs", SVAN_BAR_REGS_SIZE);
    memory_region_init_io(&s->uars, OBJECT(s), &svan_uars_ops, &s->pf,
                          "svan-uars", SVAN_PF_UAR_COUNT * SVAN_UAR_SIZE);
    /*
     * While a doorbell's thread runs the engine without the BQL, other vCPUs
     * ring theirs and access registers. DMA reaches RAM only, so nothing recurses.
     */
    s->regs.disable_reentrancy_guard = true;
    s->uars.disable_reentrancy_guard = true;
    pci_register_bar(pci, SVAN_BAR_REGS, PCI_BASE_ADDRESS_MEM_TYPE_64,
                     &s->regs);
    pci_register_bar(pci, SVAN_BAR_UAR, PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     PCI_BASE_ADDRESS_MEM_PREFETCH, &s->uars);

    if (pcie_endpoint_cap_init(pci, 0) < 0) {
        error_setg(errp, "svan needs a PCI Express slot");
        return false;
    }
    pcie_cap_flr_init(pci);
    if (!svan_msix_init(pci, &s->regs, SVAN_PF_MSIX_COUNT, errp)) {
        pcie_cap_exit(pci);
        return false;
    }
    return true;
}

static void svan_pci_fini(SvanState *s)
{
    PCIDevice *pci = PCI_DEVICE(s);

    msix_unuse_all_vectors(pci);
    msix_uninit(pci, &s->regs, &s->regs);
    pcie_cap_exit(pci);
}

/* ---- configuration ---- */

/*
 * With one vCPU, or one thread for all of them, the guest's LOCK prefix is no
 * atomic operation on the host; and Linux removes it with one CPU present.
 */
static bool svan_true_atomics(void)
{
    if (current_machine->smp.cpus < 2 || icount_enabled()) {
        return false;
    }
    return !tcg_enabled() || qemu_tcg_mttcg_enabled();
}

static bool svan_configure_atomics(SvanState *s, Error **errp)
{
    bool possible = svan_true_atomics();

    if (s->atomics == ON_OFF_AUTO_ON && !possible) {
        error_setg(errp, "atomics=on needs at least two vCPUs (-smp), each "
                   "with a thread of its own");
        return false;
    }
    s->config.true_atomics = possible && s->atomics != ON_OFF_AUTO_OFF;
    if (!s->config.true_atomics) {
        s->config.features_off = SVAN_CAP_ATOMIC_GLOBAL | SVAN_CAP_PROCESS_KEYS;
        s->config.off_reason = possible ? SVAN_CAP_OFF_DISABLED
                                        : SVAN_CAP_OFF_NO_TRUE_ATOMICS;
    }
    return true;
}

/* With an IOMMU in front, a process's page table holds no bus addresses. */
static void svan_configure_iommu(SvanState *s)
{
    if (pci_device_iommu_address_space(PCI_DEVICE(s)) !=
        &address_space_memory) {
        s->config.features_off |= SVAN_CAP_PROCESS_KEYS;
        s->config.off_reason = SVAN_CAP_OFF_VIOMMU;
    }
}

static bool svan_check_limit(const char *name, uint32_t value, Error **errp)
{
    if (value && !is_power_of_2(value)) {
        error_setg(errp, "%s is %u, but has to be a power of two, or 0 for "
                   "the default", name, value);
        return false;
    }
    return true;
}

static bool svan_configure(SvanState *s, Error **errp)
{
    if (s->num_vfs) {
        error_setg(errp, "num-vfs is %u, but this version of the device has "
                   "no virtual functions", s->num_vfs);
        return false;
    }
    if (s->link_mbps < 100 || s->link_mbps > SVAN_MAX_LINK_MBPS) {
        error_setg(errp, "link-speed is %u Mb/s, but has to be in 100..%u",
                   s->link_mbps, SVAN_MAX_LINK_MBPS);
        return false;
    }
    if (!svan_check_limit("max-qp", s->max_qp, errp) ||
        !svan_check_limit("max-cq", s->max_cq, errp) ||
        !svan_check_limit("max-key", s->max_key, errp) ||
        !svan_configure_atomics(s, errp) ||
        !svan_configure_faults(s, errp)) {
        return false;
    }
    svan_configure_iommu(s);
    qemu_macaddr_default_if_unset(&s->conf.macaddr);
    memcpy(s->config.mac, s->conf.macaddr.a, sizeof(s->config.mac));
    s->config.link_mbps = s->link_mbps;
    s->config.max_qp = s->max_qp;
    s->config.max_cq = s->max_cq;
    s->config.max_key = s->max_key;
    s->config.max_rx_frames = s->max_rx_frames;
    return true;
}

/* ---- life ---- */

static bool svan_create_core(SvanState *s, Error **errp)
{
    SvanEngine *e = &s->engine;
    SvanCore *core;

    svan_engine_lock(e);
    s->config.poll_ns = svan_engine_poll_ns(e);
    svan_engine_unlock(e);
    core = svan_create(&s->config, &svan_ops, s);
    if (!core) {
        error_setg(errp, "cannot create the device: max-qp, max-cq or max-key "
                   "is out of range, or memory is short");
        return false;
    }
    svan_engine_lock(e);
    s->core = core;
    svan_engine_unlock(e);
    return true;
}

static void svan_destroy_core(SvanState *s)
{
    SvanEngine *e = &s->engine;
    SvanCore *core;

    svan_engine_lock(e);
    core = s->core;
    s->core = NULL;
    svan_engine_unlock(e);
    if (core) {
        svan_destroy(core);
    }
}

static void svan_link_changed(void *opaque, bool up)
{
    SvanState *s = opaque;

    svan_engine_lock(&s->engine);
    if (s->core) {
        svan_set_link(s->core, up);
    }
    svan_engine_unlock(&s->engine);
}

static void svan_realize(PCIDevice *pci, Error **errp)
{
    SvanState *s = SVAN(pci);
    DeviceState *dev = DEVICE(s);
    SvanEngineConfig engine = {
        .iothread = s->iothread,
        .mode = s->engine_mode,
        .poll_ns = s->poll_ns,
        .quantum_ns = s->quantum_ns,
    };

    if (!svan_configure(s, errp) || !svan_pci_init(s, errp)) {
        return;
    }
    s->pf.pci = pci;
    s->pf.s = s;
    svan_engine_init(&s->engine, dev, &svan_engine_ops, s);
    svan_port_init(&s->port, &s->engine, svan_link_changed, s);
    if (!svan_engine_start(&s->engine, &engine, errp)) {
        goto fini_port;
    }
    if (!svan_create_core(s, errp)) {
        goto stop_engine;
    }
    svan_memory_init(&s->memory, &s->engine, svan_invalidate, s);
    svan_bus_init(&s->pf.bus, &s->memory, 0, pci_get_address_space(pci));
    svan_port_open(&s->port, &s->conf, object_get_typename(OBJECT(s)));
    svan_link_changed(s, svan_port_link_is_up(&s->port));
    trace_svan_realize(dev->id ?: "", qemu_get_queue(s->port.nic)->info_str);
    return;

stop_engine:
    svan_engine_stop(&s->engine);
fini_port:
    svan_port_fini(&s->port);
    svan_engine_fini(&s->engine);
    svan_pci_fini(s);
}

static void svan_exit(PCIDevice *pci)
{
    SvanState *s = SVAN(pci);

    svan_engine_stop(&s->engine);
    svan_port_close(&s->port);
    svan_bus_fini(&s->pf.bus);
    svan_memory_fini(&s->memory);
    svan_destroy_core(s);
    svan_port_fini(&s->port);
    svan_engine_fini(&s->engine);
    svan_pci_fini(s);
}

static void svan_reset_hold(Object *obj, ResetType type)
{
    SvanState *s = SVAN(obj);
    SvanEngine *e = &s->engine;

    trace_svan_reset(DEVICE(s)->id ?: "");
    svan_engine_lock(e);
    svan_reset(s->core, 0);
    svan_engine_unlock(e);
    svan_port_drop(&s->port);
    qatomic_set(&s->pf.irqs, 0);
}

/* ---- migration ---- */

static int svan_pre_save(void *opaque)
{
    SvanState *s = opaque;
    size_t len;
    void *stream;

    svan_engine_lock(&s->engine);
    stream = svan_save(s->core, &len);
    svan_engine_unlock(&s->engine);
    if (!stream || len > SVAN_STREAM_MAX) {
        free(stream);
        return -ENOMEM;
    }
    g_free(s->stream);
    s->stream = g_memdup2(stream, len);
    s->stream_len = len;
    free(stream);
    trace_svan_save(len);
    return 0;
}

static int svan_post_save(void *opaque)
{
    SvanState *s = opaque;

    g_clear_pointer(&s->stream, g_free);
    s->stream_len = 0;
    return 0;
}

static bool svan_stream_is_sane(void *opaque, int version_id)
{
    return ((SvanState *)opaque)->stream_len <= SVAN_STREAM_MAX;
}

/* The VM is stopped, so nobody runs the core. */
static int svan_post_load(void *opaque, int version_id)
{
    SvanState *s = opaque;
    bool ok = false;

    svan_destroy_core(s);
    if (!svan_create_core(s, NULL)) {
        return -ENOMEM;
    }
    if (s->stream) {
        svan_engine_lock(&s->engine);
        ok = svan_load(s->core, s->stream, s->stream_len);
        svan_engine_unlock(&s->engine);
    }
    trace_svan_load(s->stream_len, ok);
    svan_post_save(s);
    /* The queues that the blocked ones waited for are empty here. */
    svan_port_new_core(&s->port);
    if (!ok) {
        error_report("svan: the saved state does not fit this device; are "
                     "its properties those of the source?");
        return -EINVAL;
    }
    svan_link_changed(s, svan_port_link_is_up(&s->port));
    return 0;
}

static const VMStateDescription svan_vmstate = {
    .name = "svan",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = svan_pre_save,
    .post_save = svan_post_save,
    .post_load = svan_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, SvanState),
        VMSTATE_MSIX(parent_obj, SvanState),
        VMSTATE_UINT32(stream_len, SvanState),
        VMSTATE_VBUFFER_ALLOC_UINT32(stream, SvanState, 0, svan_stream_is_sane,
                                     stream_len),
        VMSTATE_END_OF_LIST()
    }
};

/* ---- properties ---- */

static const Property svan_properties[] = {
    DEFINE_NIC_PROPERTIES(SvanState, conf),
    DEFINE_PROP_LINK("iothread", SvanState, iothread, TYPE_IOTHREAD,
                     IOThread *),
    DEFINE_PROP_STRING("engine", SvanState, engine_mode),
    DEFINE_PROP_UINT32("poll-ns", SvanState, poll_ns, 50000),
    DEFINE_PROP_UINT32("quantum-ns", SvanState, quantum_ns, 20000),
    DEFINE_PROP_ON_OFF_AUTO("atomics", SvanState, atomics, ON_OFF_AUTO_AUTO),
    DEFINE_PROP_UINT32("link-speed", SvanState, link_mbps, 100000),
    DEFINE_PROP_UINT32("max-qp", SvanState, max_qp, 0),
    DEFINE_PROP_UINT32("max-cq", SvanState, max_cq, 0),
    DEFINE_PROP_UINT32("max-key", SvanState, max_key, 0),
    DEFINE_PROP_UINT32("max-rx-frames", SvanState, max_rx_frames, 0),
    DEFINE_PROP_BOOL("page-requests", SvanState, page_requests, true),
    DEFINE_PROP_STRING("fault-mode", SvanState, fault_mode),
    DEFINE_PROP_UINT32("fault-hold-us", SvanState, fault_hold_us,
                       SVAN_DEFAULT_HOLD_US),
    DEFINE_PROP_UINT32("fault-divert-us", SvanState, fault_divert_us,
                       SVAN_DEFAULT_DIVERT_US),
    DEFINE_PROP_UINT32("fault-drop-us", SvanState, fault_drop_us,
                       SVAN_DEFAULT_DROP_US),
    DEFINE_PROP_UINT32("fault-bound-us", SvanState, fault_bound_us,
                       SVAN_DEFAULT_BOUND_US),
    DEFINE_PROP_UINT32("fault-unknown-us", SvanState, fault_unknown_us,
                       SVAN_DEFAULT_UNKNOWN_US),
    DEFINE_PROP_UINT8("fault-sources", SvanState, fault_sources,
                      SVAN_ESTIMATE_MASK),
    DEFINE_PROP_UINT32("fault-buffer", SvanState, fault_buffer, 0),
    DEFINE_PROP_UINT16("num-vfs", SvanState, num_vfs, 0),
};

static const struct {
    const char *name, *text;
} svan_property_help[] = {
    { "mac", "Ethernet address of the physical function" },
    { "netdev", "ID of the netdev the port is wired to" },
    { "iothread", "ID of an iothread to run the engine; default: one of its "
      "own" },
    { "engine", "who runs the engine: inline (the vCPU that rings, then the "
      "iothread), iothread, auto (as inline where the accelerator allows it, "
      "and polling while a host CPU is free)" },
    { "poll-ns", "how long the iothread polls the doorbell record of an idle "
      "queue, with engine=auto and engine=iothread; 0: never" },
    { "quantum-ns", "how long a vCPU that rings runs the engine before the "
      "iothread goes on" },
    { "atomics", "announce operations atomic with the vCPUs': on, off, auto "
      "(where the vCPUs' own are atomic on the host)" },
    { "link-speed", "announced speed of the port, Mb/s" },
    { "max-qp", "queue pairs of a function, a power of two; 0: default" },
    { "max-cq", "completion queues of a function, a power of two; "
      "0: default" },
    { "max-key", "memory keys of a function, a power of two; 0: default" },
    { "max-rx-frames", "frames the port holds for the engine; 0: default" },
    { "page-requests", "ask the driver for pages that are absent; off: their "
      "access fails at once, process keys reach what is resident" },
    { "fault-mode", "what becomes of a transfer that meets an absent page, where "
      "the driver sets no policy: auto (by the estimate of its time), or always "
      "hold, rnr, divert or drop" },
    { "fault-hold-us", "fault-mode=auto: estimates up to it hold" },
    { "fault-divert-us", "fault-mode=auto: estimates up to it divert" },
    { "fault-drop-us", "fault-mode=auto: estimates up to it drop and call back, "
      "longer ones answer RNR" },
    { "fault-bound-us", "hold, divert and drop end with an RNR NAK after it; "
      "0: never" },
    { "fault-unknown-us", "what counts for an unknown time" },
    { "fault-sources", "where estimates come from, a sum: 1 the table's entry, 2 "
      "the page's location, 4 the driver's response" },
    { "fault-buffer", "bytes in which a function holds packets; 0: default" },
    { "num-vfs", "virtual functions; 0 is the only value of this version" },
};

static void svan_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = svan_realize;
    pc->exit = svan_exit;
    pc->vendor_id = SVAN_PCI_VENDOR_ID;
    pc->device_id = SVAN_PCI_DEVICE_ID_PF;
    pc->revision = SVAN_PCI_REVISION;
    pc->class_id = PCI_CLASS_NETWORK_ETHERNET;
    rc->phases.hold = svan_reset_hold;
    dc->desc = "Svan RDMA NIC";
    dc->vmsd = &svan_vmstate;
    device_class_set_props(dc, svan_properties);
    for (unsigned i = 0; i < ARRAY_SIZE(svan_property_help); i++) {
        object_class_property_set_description(klass, svan_property_help[i].name,
                                              svan_property_help[i].text);
    }
    svan_fault_class_init(klass);
    set_bit(DEVICE_CATEGORY_NETWORK, dc->categories);
}

static void svan_instance_init(Object *obj)
{
    SvanState *s = SVAN(obj);

    device_add_bootindex_property(obj, &s->conf.bootindex, "bootindex",
                                  "/ethernet-phy@0", DEVICE(obj));
}

static const TypeInfo svan_types[] = {
    {
        .name = TYPE_SVAN,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SvanState),
        .instance_init = svan_instance_init,
        .class_init = svan_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(svan_types)
