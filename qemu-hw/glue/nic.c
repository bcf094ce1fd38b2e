/*
 * Svan RDMA NIC: what all functions of a device share
 *
 * The NIC joins its parts, which do not know each other: engine, core, memory,
 * port and functions call the operations in here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "svan/caps.h"
#include "core_trace.h"
#include "nic.h"

QEMU_BUILD_BUG_ON(SVAN_PF_MSIX_COUNT > 64);
QEMU_BUILD_BUG_ON(SVAN_VF_MSIX_COUNT > 64);

static SvanFunction *svan_nic_function(SvanNic *nic, uint16_t fn)
{
    return fn < SVAN_NIC_FUNCTIONS ? nic->functions[fn] : NULL;
}

/* ---- what the core calls: engine lock held, nothing may block ---- */

static SvanDma svan_op_map(void *opaque, uint16_t fn, uint64_t addr,
                           uint32_t len, bool for_write, void **host)
{
    SvanFunction *f = svan_nic_function(opaque, fn);

    return f ? svan_bus_map(&f->bus, addr, len, for_write, host)
             : SVAN_DMA_ERROR;
}

static void svan_op_written(void *opaque, uint16_t fn, uint64_t addr,
                            void *host, uint32_t len)
{
    SvanFunction *f = svan_nic_function(opaque, fn);

    if (f) {
        svan_bus_written(&f->bus, addr, host, len);
    }
}

static void svan_op_irq(void *opaque, uint16_t fn, uint16_t vector)
{
    SvanNic *nic = opaque;
    SvanFunction *f = svan_nic_function(nic, fn);

    if (f) {
        svan_function_irq(f, vector);
        set_bit_atomic(fn, nic->irqs);
        svan_engine_want_bql(&nic->engine);
    }
}

static bool svan_op_frame_out(void *opaque, SvanFrame *frame)
{
    SvanNic *nic = opaque;

    return nic->shm.path ? svan_shm_port_frame_out(&nic->shm, frame)
                         : svan_port_frame_out(&nic->port, frame);
}

static uint8_t *svan_op_packet_room(void *opaque, uint32_t len)
{
    SvanNic *nic = opaque;

    return svan_shm_port_packet_room(&nic->shm, len);
}

static void svan_op_packet_out(void *opaque, uint32_t len)
{
    SvanNic *nic = opaque;

    svan_shm_port_packet_out(&nic->shm, len);
}

static const SvanLentPacket *svan_op_packet_next(void *opaque)
{
    SvanNic *nic = opaque;

    return svan_shm_port_packet_next(&nic->shm);
}

static void svan_op_packet_done(void *opaque)
{
    SvanNic *nic = opaque;

    svan_shm_port_packet_done(&nic->shm);
}

static uint64_t svan_op_now(void *opaque)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void svan_op_deadline(void *opaque, uint64_t when)
{
    SvanNic *nic = opaque;

    svan_engine_deadline(&nic->engine, when);
}

static void svan_op_kick(void *opaque)
{
    SvanNic *nic = opaque;

    /* A doorbell may be another device's, whose thread runs engines. */
    svan_engine_kick_later(&nic->engine);
}

static const SvanOps svan_core_ops = {
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

static bool svan_nic_awaits(void *opaque, uint16_t fn)
{
    SvanNic *nic = opaque;

    return svan_awaits(nic->core, fn);
}

/*
 * A function's miss does not hold up the others: while they have work, the
 * address is translated together with what else needs the BQL.
 */
static SvanRun svan_nic_epoch(void *opaque)
{
    SvanNic *nic = opaque;
    SvanRun result;

    if (nic->shm.path) {
        svan_shm_port_feed(&nic->shm, nic->core);
    } else {
        svan_port_feed(&nic->port, nic->core);
    }
    result = svan_run(nic->core);
    if (result != SVAN_RUN_MISS) {
        svan_memory_forget_refusals(&nic->memory, svan_nic_awaits);
    } else if (svan_set_aside(nic->core)) {
        qatomic_set(&nic->aside, true);
        svan_engine_want_bql(&nic->engine);
        return SVAN_RUN_MORE;
    }
    return nic->shm.path ? svan_shm_port_after(&nic->shm, result) : result;
}

static void svan_nic_pause(void *opaque)
{
    SvanNic *nic = opaque;

    svan_shm_port_flush(&nic->shm);
}

static void svan_nic_set_poll(void *opaque, uint64_t ns)
{
    SvanNic *nic = opaque;

    svan_set_poll(nic->core, ns);
}

static bool svan_nic_resolve(void *opaque)
{
    SvanNic *nic = opaque;
    bool any = svan_memory_resolve(&nic->memory);

    if (nic->core && qatomic_xchg(&nic->aside, false)) {
        svan_engine_lock(&nic->engine);
        svan_resolved(nic->core);
        svan_engine_unlock(&nic->engine);
    }
    return any;
}

static void svan_nic_raise_irqs(SvanNic *nic)
{
    for (unsigned i = 0; i < ARRAY_SIZE(nic->irqs); i++) {
        unsigned long fns = qatomic_xchg(&nic->irqs[i], 0);

        while (fns) {
            SvanFunction *f = nic->functions[i * BITS_PER_LONG + ctzl(fns)];

            fns &= fns - 1;
            if (f) {
                svan_function_raise_irqs(f);
            }
        }
    }
}

static void svan_nic_bql_work(void *opaque)
{
    SvanNic *nic = opaque;

    if (qatomic_read(&nic->aside) && svan_nic_resolve(nic)) {
        svan_engine_kick(&nic->engine);
    }
    svan_nic_raise_irqs(nic);
    if (!nic->shm.path) {
        svan_port_flush(&nic->port);
    }
}

static const SvanEngineOps svan_nic_engine_ops = {
    .epoch = svan_nic_epoch,
    .pause = svan_nic_pause,
    .set_poll = svan_nic_set_poll,
    .resolve = svan_nic_resolve,
    .bql_work = svan_nic_bql_work,
};

/* ---- what memory and port call ---- */

static void svan_nic_invalidate(void *opaque, uint16_t fn, uint64_t addr,
                                uint64_t len)
{
    SvanNic *nic = opaque;

    if (nic->core) {
        svan_invalidate_bus(nic->core, fn, addr, len);
    }
}

static void svan_nic_link_changed(void *opaque, bool up)
{
    SvanNic *nic = opaque;

    svan_engine_lock(&nic->engine);
    if (nic->core) {
        svan_set_link(nic->core, up);
    }
    svan_engine_unlock(&nic->engine);
}

static bool svan_nic_link_is_up(SvanNic *nic)
{
    return nic->shm.path ? svan_shm_port_link_is_up(&nic->shm)
                         : svan_port_link_is_up(&nic->port);
}

/* ---- what functions call ---- */

/*
 * The stores may let go of the BQL while they run the engine. All that is used
 * afterwards lives as long as the device, which svan_engine_leave() holds.
 * There is no core while the device is being unplugged, but a vCPU that has
 * not seen that yet may still access it.
 */

static uint64_t svan_nic_reg_read(SvanFunction *f, hwaddr offset, unsigned size)
{
    SvanNic *nic = f->opaque;
    uint64_t value;

    if (!nic->core) {
        return 0;
    }
    svan_engine_lock(&nic->engine);
    value = svan_reg_read(nic->core, f->id, offset, size);
    svan_engine_unlock(&nic->engine);
    return value;
}

/*
 * A store to one of these makes work that the guest waits for, as a doorbell
 * does.
 */
static bool svan_reg_is_doorbell(hwaddr offset)
{
    return offset == SVAN_REG_PRR_DB || offset == SVAN_REG_CMDQ_DB;
}

static void svan_nic_reg_write(SvanFunction *f, hwaddr offset, uint64_t value,
                               unsigned size, MemTxAttrs attrs)
{
    SvanNic *nic = f->opaque;
    SvanEngine *e = &nic->engine;

    if (!nic->core) {
        return;
    }
    if (svan_reg_is_doorbell(offset) && svan_engine_enter(e, attrs)) {
        svan_reg_write(nic->core, f->id, offset, value, size);
        svan_engine_leave(e);
        return;
    }
    svan_engine_lock(e);
    svan_reg_write(nic->core, f->id, offset, value, size);
    svan_engine_unlock(e);
    svan_engine_bql_work(e);
}

static void svan_nic_doorbell(SvanFunction *f, hwaddr offset, uint64_t value,
                              unsigned size, MemTxAttrs attrs)
{
    SvanNic *nic = f->opaque;
    bool run;

    if (!nic->core) {
        return;
    }
    run = svan_engine_enter(&nic->engine, attrs);
    svan_doorbell(nic->core, f->id, offset, value, size);
    if (run) {
        svan_engine_leave(&nic->engine);
    }
}

static const SvanFunctionOps svan_nic_function_ops = {
    .reg_read = svan_nic_reg_read,
    .reg_write = svan_nic_reg_write,
    .doorbell = svan_nic_doorbell,
};

/* ---- the core's life ---- */

static bool svan_nic_create_core(SvanNic *nic, Error **errp)
{
    SvanOps ops = svan_core_ops;
    SvanCore *core;

    if (nic->shm.path) {
        ops.packet_room = svan_op_packet_room;
        ops.packet_out = svan_op_packet_out;
        ops.packet_next = svan_op_packet_next;
        ops.packet_done = svan_op_packet_done;
    }
    svan_engine_lock(&nic->engine);
    nic->config.poll_ns = svan_engine_poll_ns(&nic->engine);
    svan_engine_unlock(&nic->engine);
    core = svan_create(&nic->config, &ops, nic);
    if (!core) {
        error_setg(errp, "cannot create the device: max-qp, max-cq or max-key "
                   "is out of range, or memory is short");
        return false;
    }
    svan_engine_lock(&nic->engine);
    nic->core = core;
    svan_engine_unlock(&nic->engine);
    return true;
}

static void svan_nic_destroy_core(SvanNic *nic)
{
    SvanCore *core;

    svan_engine_lock(&nic->engine);
    core = nic->core;
    nic->core = NULL;
    svan_engine_unlock(&nic->engine);
    if (core) {
        svan_destroy(core);
    }
}

void *svan_nic_save(SvanNic *nic, size_t *len)
{
    void *stream;

    svan_engine_lock(&nic->engine);
    stream = svan_save(nic->core, len);
    svan_engine_unlock(&nic->engine);
    return stream;
}

bool svan_nic_load(SvanNic *nic, const void *stream, size_t len, Error **errp)
{
    bool ok;

    svan_nic_destroy_core(nic);
    if (!svan_nic_create_core(nic, errp)) {
        return false;
    }
    svan_engine_lock(&nic->engine);
    ok = stream && svan_load(nic->core, stream, len);
    /* Queue pairs that waited for the port go on, since it has room here. */
    svan_shm_port_new_core(&nic->shm);
    svan_engine_unlock(&nic->engine);
    svan_port_new_core(&nic->port);
    /* Whatever was loaded: the core sends to no port that is not there. */
    svan_nic_link_changed(nic, svan_nic_link_is_up(nic));
    if (!ok) {
        error_setg(errp, "svan: the saved state is of another version of the "
                   "device, or its source has other properties");
    }
    return ok;
}

/* ---- functions ---- */

bool svan_nic_add_function(SvanNic *nic, SvanFunction *f, PCIDevice *pci,
                           uint16_t id, Error **errp)
{
    SvanFunctionConfig config = {
        .id = id,
        .msix_count = id ? SVAN_VF_MSIX_COUNT : SVAN_PF_MSIX_COUNT,
        .uar_count = id ? SVAN_VF_UAR_COUNT : SVAN_PF_UAR_COUNT,
        .memory = &nic->memory,
        .ops = &svan_nic_function_ops,
        .opaque = nic,
    };

    if (!svan_function_init(f, pci, &config, errp)) {
        return false;
    }
    svan_engine_lock(&nic->engine);
    nic->functions[id] = f;
    svan_engine_unlock(&nic->engine);
    return true;
}

void svan_nic_remove_function(SvanNic *nic, SvanFunction *f)
{
    svan_engine_lock(&nic->engine);
    svan_reset(nic->core, f->id);
    nic->functions[f->id] = NULL;
    svan_engine_unlock(&nic->engine);
    svan_function_fini(f);
}

void svan_nic_reset_function(SvanNic *nic, SvanFunction *f)
{
    svan_engine_lock(&nic->engine);
    svan_reset(nic->core, f->id);
    svan_engine_unlock(&nic->engine);
    svan_function_forget_irqs(f);
}

void svan_nic_reset(SvanNic *nic)
{
    for (unsigned fn = 0; fn < SVAN_NIC_FUNCTIONS; fn++) {
        if (nic->functions[fn]) {
            svan_nic_reset_function(nic, nic->functions[fn]);
        }
    }
    svan_port_drop(&nic->port);
    svan_engine_lock(&nic->engine);
    svan_reset_settings(nic->core);
    svan_shm_port_drop(&nic->shm);
    svan_engine_unlock(&nic->engine);
}

/* ---- life ---- */

void svan_nic_open_port(SvanNic *nic, NICConf *conf, const char *type)
{
    if (!nic->shm.path) {
        svan_port_open(&nic->port, conf, type);
    }
    svan_nic_link_changed(nic, svan_nic_link_is_up(nic));
}

void svan_nic_close_port(SvanNic *nic)
{
    if (!nic->shm.path) {
        svan_port_close(&nic->port);
    }
}

bool svan_nic_init(SvanNic *nic, DeviceState *dev, const SvanNicConfig *config,
                   Error **errp)
{
    nic->config = config->core;
    svan_engine_init(&nic->engine, dev, &svan_nic_engine_ops, nic);
    svan_port_init(&nic->port, &nic->engine, svan_nic_link_changed, nic);
    svan_shm_port_init(&nic->shm, &nic->engine, svan_nic_link_changed, nic);
    if (!svan_engine_start(&nic->engine, &config->engine, errp)) {
        goto fini_port;
    }
    if (config->wire && !svan_shm_port_open(&nic->shm, config->wire,
                                            config->wire_server, errp)) {
        goto stop_engine;
    }
    if (!svan_nic_create_core(nic, errp)) {
        goto close_wire;
    }
    svan_memory_init(&nic->memory, &nic->engine, svan_nic_invalidate, nic);
    return true;

close_wire:
    svan_shm_port_leave(&nic->shm);
stop_engine:
    svan_engine_stop(&nic->engine);
    svan_shm_port_fini(&nic->shm);
fini_port:
    svan_port_fini(&nic->port);
    svan_engine_fini(&nic->engine);
    return false;
}

/* A core that is loaded later is made from the same configuration. */
void svan_nic_behind_iommu(SvanNic *nic)
{
    nic->config.features_off |= SVAN_CAP_PROCESS_KEYS;
    nic->config.off_reason = SVAN_CAP_OFF_VIOMMU;
    svan_engine_lock(&nic->engine);
    svan_behind_iommu(nic->core);
    svan_engine_unlock(&nic->engine);
}

void svan_nic_stop(SvanNic *nic)
{
    svan_shm_port_leave(&nic->shm);
    svan_engine_stop(&nic->engine);
}

void svan_nic_fini(SvanNic *nic)
{
    svan_memory_fini(&nic->memory);
    svan_nic_destroy_core(nic);
    svan_shm_port_fini(&nic->shm);
    svan_port_fini(&nic->port);
    svan_engine_fini(&nic->engine);
}
