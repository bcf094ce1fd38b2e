/*
 * Svan RDMA NIC: what the parts of the QEMU device share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Locks, outermost first:
 *
 *   BQL          PCI, MSI-X, netdev and memory topology
 *   engine.lock  everything inside the core but svan_doorbell(); a SvanView's
 *                regions, a SvanBus's translations
 *   port.lock    the frame queues
 *
 * Nobody waits for the BQL with one of the others held.
 */
#ifndef HW_SVAN_GLUE_H
#define HW_SVAN_GLUE_H

#include "qemu/thread.h"
#include "exec/memory.h"
#include "hw/pci/pci_device.h"
#include "net/net.h"
#include "system/iothread.h"
#include "svan/caps.h"
#include "svan/regs.h"
#include "../core/svan_core.h"
#include "poll_cpu.h"

#define TYPE_SVAN "svan"
OBJECT_DECLARE_SIMPLE_TYPE(SvanState, SVAN)

#define SVAN_NIC_MAX_FRAME  16384   /* longer ones never reach the core */
#define SVAN_NIC_RX_QUEUE   512     /* frames that wait for the engine */
#define SVAN_NIC_TX_QUEUE   512     /* frames that wait for the BQL */

/* ---- bus.c: guest memory as a function sees it ---- */

/* A piece of RAM in an address space. */
typedef struct SvanRegion {
    hwaddr first, last;
    uint8_t *host;
    bool writable;
    MemoryRegionCache cache;        /* only to report stores */
} SvanRegion;

/* The RAM of an address space, kept up to date by a listener. */
typedef struct SvanView {
    AddressSpace *as;
    MemoryListener listener;
    struct SvanBus *bus;
    GArray *regions;                /* SvanRegion, ordered; for the engine */
    GArray *next;                   /* the same while it is built; BQL */
    GArray *dead;                   /* MemoryRegion * to let go; BQL */
    unsigned hint;                  /* region of the last hit */
    bool changed;
} SvanView;

/* An IOMMU in front of the function. */
typedef struct SvanIommu {
    IOMMUNotifier notifier;
    IOMMUMemoryRegion *mr;
    hwaddr offset;                  /* bus address less offset in mr */
    struct SvanBus *bus;
    QLIST_ENTRY(SvanIommu) next;
} SvanIommu;

typedef struct SvanBus {
    SvanState *s;
    uint16_t fn;
    SvanView direct;                /* the function's bus master space */
    SvanView system;                /* behind an IOMMU */
    QLIST_HEAD(, SvanIommu) iommus;
    GHashTable *iotlb;              /* bus page -> system page | SVAN_IOTLB_* */
    unsigned refused;               /* entries that say "not permitted" */
    bool missed;                    /* the next two say what */
    bool miss_write;
    hwaddr miss_addr;
} SvanBus;

void svan_bus_init(SvanBus *bus, SvanState *s, uint16_t fn, AddressSpace *as);
void svan_bus_fini(SvanBus *bus);
SvanDma svan_bus_map(SvanBus *bus, uint64_t addr, uint32_t len, bool for_write,
                     void **host);
void svan_bus_written(SvanBus *bus, uint64_t addr, void *host, uint32_t len);
/* Translate what was missed, if so true. BQL held, engine lock not. */
bool svan_bus_resolve(SvanBus *bus);
/* The step that asked is over: refusals are to be looked up again. */
void svan_bus_forget_refusals(SvanBus *bus);

/* ---- engine.c: who runs the core, and when ---- */

typedef enum SvanEngineMode {
    SVAN_ENGINE_AUTO,
    SVAN_ENGINE_INLINE,
    SVAN_ENGINE_IOTHREAD,
    SVAN_ENGINE__MAX,
} SvanEngineMode;

typedef struct SvanEngine {
    SvanCore *core;                 /* changes under BQL and lock */
    QemuMutex lock;
    unsigned waiters;               /* of lock, beside the runner; atomic */
    unsigned turns;                 /* taken by waiters; atomic */
    bool stopped;                   /* lock: VM stopped, or device going */
    bool running;                   /* somebody is in the run loop; atomic */
    bool kicked;                    /* there is work; atomic */
    bool scheduled;                 /* run_bh is on its way; atomic */
    bool closed;                    /* and goes no more: unplug; atomic */
    bool quiet;                     /* nothing is left in ctx; atomic */
    bool run_inline;                /* vCPU threads may run a quantum */
    bool adaptive;                  /* poll while a host CPU is free */
    bool polling;                   /* what the core was told last; lock */
    SvanPollCpu poll_cpu;
    AioContext *ctx;                /* of the iothread */
    QEMUBH *run_bh;                 /* in ctx */
    QEMUTimer *timer;               /* in ctx, VM clock */
    int64_t deadline;               /* the core's; atomic */
    int64_t armed;                  /* what timer is set to; atomic */
    VMChangeStateEntry *vm_state;
} SvanEngine;

void svan_engine_init(SvanState *s);
bool svan_engine_start(SvanState *s, Error **errp);
void svan_engine_stop(SvanState *s);    /* for good; may let go of the BQL */
void svan_engine_fini(SvanState *s);
void svan_engine_lock(SvanEngine *e);
void svan_engine_unlock(SvanEngine *e);
void svan_engine_kick(SvanState *s);
/* The same for a frame that has come, if who sends it runs engines, too. */
void svan_engine_kick_later(SvanState *s);
void svan_engine_deadline(SvanState *s, uint64_t when);
/* In the main loop: what a runner missed that may not wait for the BQL. */
void svan_engine_resolve(SvanState *s);
/*
 * A vCPU's MMIO handler may run the engine, without the BQL, until enter()'s
 * true is answered by leave(). BQL held before and after.
 */
bool svan_engine_enter(SvanState *s, MemTxAttrs attrs);
void svan_engine_leave(SvanState *s);

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
    IOThread *own_iothread;
    SvanFunction pf;
    SvanConfig config;
    SvanEngine engine;
    SvanPort port;
    QEMUBH *bql_bh;                 /* svan_bql_work() in the main loop */
    bool bql_wanted;                /* it has something to do; atomic */
    bool bql_scheduled;             /* bql_bh is on its way; atomic */
    bool bql_busy;                  /* BQL */

    /* the core's state while it is migrated */
    uint8_t *stream;
    uint32_t stream_len;
};

/* Raise interrupts, send and accept frames. BQL held, engine lock not. */
void svan_bql_work(SvanState *s);
/* Have that done soon, from any thread. */
void svan_bql_schedule(SvanState *s);

static inline bool svan_bql_wanted(SvanState *s)
{
    return qatomic_read(&s->bql_wanted);
}

#endif /* HW_SVAN_GLUE_H */
