/*
 * Svan RDMA NIC: what the parts of the QEMU device share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_GLUE_H
#define HW_SVAN_GLUE_H

#include "hw/pci/pci_device.h"
#include "svan/caps.h"
#include "svan/regs.h"
#include "bus.h"
#include "engine.h"
#include "port.h"

#define TYPE_SVAN "svan"
OBJECT_DECLARE_SIMPLE_TYPE(SvanState, SVAN)

/* ---- core_trace.c ---- */

void svan_core_traced(void *opaque, const SvanTrace *trace);

/* ---- fault_injection.c ---- */

bool svan_configure_faults(SvanState *s, Error **errp);
void svan_fault_class_init(ObjectClass *klass);

/* ---- svan.c ---- */

typedef struct SvanFunction {
    PCIDevice *pci;
    SvanState *s;
    uint16_t id;                    /* 0 = PF */
    SvanBus bus;
    uint64_t irqs;                  /* vectors to raise; atomic */
} SvanFunction;

struct SvanState {
    PCIDevice parent_obj;

    /* properties */
    NICConf conf;
    IOThread *iothread;
    char *engine_mode;
    uint32_t poll_ns;
    uint32_t quantum_ns;
    uint16_t num_vfs;
    uint32_t link_mbps;
    OnOffAuto atomics;
    uint32_t max_qp, max_cq, max_key, max_rx_frames;
    bool page_requests;
    char *fault_mode;
    uint32_t fault_hold_us, fault_divert_us, fault_drop_us;
    uint32_t fault_bound_us, fault_unknown_us, fault_buffer;
    uint8_t fault_sources;

    MemoryRegion regs, uars;
    SvanFunction pf;
    SvanConfig config;
    SvanEngine engine;
    SvanCore *core;                 /* changes under BQL and engine lock */
    SvanMemory memory;
    SvanPort port;

    /* the core's state while it is migrated */
    uint8_t *stream;
    uint32_t stream_len;
};

#endif /* HW_SVAN_GLUE_H */
