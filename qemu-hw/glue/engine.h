/*
 * Svan RDMA NIC: who runs the core, and when
 *
 * An engine belongs to one device with one core. It knows neither: its owner
 * gives it a table of operations.
 *
 * Locks, outermost first:
 *
 *   BQL          PCI, MSI-X, netdev and memory topology
 *   engine.lock  everything inside the core but svan_doorbell(); the regions of
 *                a SvanView, the translations of a SvanBus
 *   port.lock    the frame queues
 *
 * Nobody waits for the BQL with one of the others held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_ENGINE_H
#define HW_SVAN_ENGINE_H

#include "qemu/thread.h"
#include "exec/memattrs.h"
#include "system/iothread.h"
#include "../core/svan_core.h"
#include "poll_cpu.h"

typedef struct SvanEngineOps {
    /* One epoch. Engine lock held. */
    SvanRun (*epoch)(void *opaque);
    /*
     * The runner stops, or does something else. May be NULL. Engine lock held.
     */
    void (*pause)(void *opaque);
    /* Idle queues are to be polled for ns; 0: never. Engine lock held. */
    void (*set_poll)(void *opaque, uint64_t ns);
    /*
     * Translate the addresses that epochs have missed; false: there are none.
     * BQL held, engine lock not.
     */
    bool (*resolve)(void *opaque);
    /*
     * Do what svan_engine_want_bql() was called for. BQL held, engine lock
     * not.
     */
    void (*bql_work)(void *opaque);
} SvanEngineOps;

typedef struct SvanEngineConfig {
    IOThread *iothread;             /* NULL: one of its own */
    const char *mode;               /* "inline" ...; NULL: "auto" */
    uint32_t poll_ns;               /* how long to poll idle queues; 0: never */
    uint32_t quantum_ns;            /* how long a vCPU's thread may run it */
    bool peer_is_process;           /* another one of this host's, not behind a netdev */
} SvanEngineConfig;

typedef struct SvanEngine {
    DeviceState *dev;               /* the owner; what the engine is part of */
    const SvanEngineOps *ops;
    void *opaque;
    QemuMutex lock;
    unsigned waiters;               /* for lock, beside the runner; atomic */
    unsigned turns;                 /* how often a waiter got lock; atomic */
    bool stopped;                   /* lock: VM stopped, or device going */
    bool running;                   /* somebody is in the run loop; atomic */
    bool kicked;                    /* there is work; atomic */
    bool scheduled;                 /* run_bh is on its way; atomic */
    bool closed;                    /* run_bh is not scheduled any more; atomic */
    bool quiet;                     /* the engine has left ctx; atomic */
    bool run_inline;                /* vCPU threads may run a quantum */
    bool adaptive;                  /* poll while a host CPU is free */
    bool polling;                   /* what the core was told last; lock */
    uint32_t poll_ns, quantum_ns;
    SvanPollCpu poll_cpu;
    IOThread *iothread;
    bool iothread_is_own;
    AioContext *ctx;                /* of the iothread */
    QEMUBH *run_bh;                 /* in ctx */
    QEMUTimer *timer;               /* in ctx, VM clock */
    int64_t deadline;               /* the core's; atomic */
    int64_t armed;                  /* what timer is set to; atomic */
    VMChangeStateEntry *vm_state;
    int watched;                    /* a descriptor in ctx; -1: none; atomic */
    QEMUBH *bql_bh;                 /* in the main loop */
    bool bql_wanted;                /* ops->bql_work has to be called; atomic */
    bool bql_soon;                  /* ... also while there are epochs; atomic */
    int64_t bql_next;               /* get_clock(); not sooner than that; lock */
    uint64_t bql_main_loop;         /* times the main loop had to do it; BQL */
    bool bql_scheduled;             /* bql_bh is on its way; atomic */
    bool bql_busy;                  /* in ops->bql_work; BQL */
} SvanEngine;

void svan_engine_init(SvanEngine *e, DeviceState *dev, const SvanEngineOps *ops,
                      void *opaque);
bool svan_engine_start(SvanEngine *e, const SvanEngineConfig *config,
                       Error **errp);
void svan_engine_stop(SvanEngine *e);   /* for good; may let go of the BQL */
void svan_engine_fini(SvanEngine *e);

void svan_engine_lock(SvanEngine *e);
void svan_engine_unlock(SvanEngine *e);

/* There is work for the core. Any thread. */
void svan_engine_kick(SvanEngine *e);
/*
 * There is work that perhaps another device has made: it has sent a frame, or
 * stored to a doorbell. If the thread runs that device's engine, it runs this
 * one, too, afterwards.
 */
void svan_engine_kick_later(SvanEngine *e);
/*
 * Call read(opaque) in the iothread whenever fd is readable. BQL held. One
 * descriptor at a time; svan_engine_stop() ends it.
 */
void svan_engine_watch(SvanEngine *e, int fd, IOHandler *read, void *opaque);
void svan_engine_unwatch(SvanEngine *e);        /* in the iothread */
/* Kick at this time of the VM's clock; UINT64_MAX: not at all. */
void svan_engine_deadline(SvanEngine *e, uint64_t when);
/* For how long a core that is created at this moment is to poll. Lock held. */
uint64_t svan_engine_poll_ns(SvanEngine *e);

/*
 * A vCPU's MMIO handler may run the engine. If svan_engine_enter() returns
 * true, the handler holds the engine lock and has to call svan_engine_leave(),
 * which runs the engine without the BQL and then lets go of the engine lock.
 * BQL held before and after either call.
 */
bool svan_engine_enter(SvanEngine *e, MemTxAttrs attrs);
/* Is a store with these attributes the guest's own, by this thread's CPU? */
bool svan_store_is_cpus(MemTxAttrs attrs);
void svan_engine_leave(SvanEngine *e);

/* Something needs the BQL: ops->bql_work is to be called between two quanta. */
static inline void svan_engine_want_bql(SvanEngine *e)
{
    qatomic_set(&e->bql_wanted, true);
}

/*
 * The same, but work that others have for the engine does not delay it, if the thread
 * may wait for the BQL. It takes no more than half of the thread's time.
 */
static inline void svan_engine_want_bql_soon(SvanEngine *e)
{
    svan_engine_want_bql(e);
    qatomic_set(&e->bql_soon, true);
}

/* If something needs the BQL, have it done by the main loop. Any thread. */
void svan_engine_schedule_bql(SvanEngine *e);
/* If something needs the BQL, do it at once. BQL held, engine lock not. */
void svan_engine_bql_work(SvanEngine *e);

#endif /* HW_SVAN_ENGINE_H */
