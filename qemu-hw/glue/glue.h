/*
 * Svan RDMA NIC: what the parts of the QEMU device share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_GLUE_H
#define HW_SVAN_GLUE_H

#include "hw/pci/pci_device.h"
#include "net/net.h"
#include "svan/caps.h"
#include "svan/regs.h"
#include "bus.h"
#include "engine.h"

#define TYPE_SVAN "svan"
OBJECT_DECLARE_SIMPLE_TYPE(SvanState, SVAN)

#define SVAN_NIC_MAX_FRAME  16384   /* longer ones never reach the core */
#define SVAN_NIC_RX_QUEUE   512     /* frames that wait for the engine */
#define SVAN_NIC_TX_QUEUE   512     /* frames that wait for the BQL */

/* ---- port.c: the netdev ---- */

typedef struct SvanFrameQueue {
    SvanFrame *head;
    SvanFrame **tail;
    unsigned len;                   /* read without the lock, too */
} SvanFrameQueue;

typedef struct SvanPort {
    QemuMutex lock;
    SvanFrameQueue rx, tx;
    bool rx_full;                   /* the netdev was told to wait; lock */
    bool tx_full;                   /* the core was; lock */
    bool tx_ready;                  /* tell the core; atomic */
    bool rx_ready;                  /* tell the netdev; atomic */
    unsigned rx_lost;               /* to be counted by the core; atomic */
    bool tx_waiting;                /* for svan_port_sent(); BQL */
} SvanPort;

void svan_port_init(SvanState *s);
void svan_port_fini(SvanState *s);
void svan_port_drop(SvanState *s);              /* reset: nothing is queued */
bool svan_port_frame_out(SvanState *s, SvanFrame *frame);
void svan_port_feed(SvanState *s);              /* engine lock held */
void svan_port_flush(SvanState *s);             /* BQL held */
extern NetClientInfo svan_port_info;

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
    NICState *nic;
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
