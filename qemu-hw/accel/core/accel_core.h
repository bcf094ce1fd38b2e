/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accelerator's core: a peripheral that computes and submits work to others, as a
 * pure library (PRM "Accelerator").
 *
 * As the NIC's core (svan_core.h) it starts no thread, reads no clock, has no global
 * variable and is deterministic. Everything but accel_doorbell() is called under the
 * engine lock, which belongs to the caller, the glue. One call of accel_run() is one
 * epoch and moves at most one page.
 */
#ifndef ACCEL_CORE_H
#define ACCEL_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svan/accel.h>

typedef struct Accel Accel;

/* Where an address leads that a context's table gives. */
typedef enum AccelSpace {
    ACCEL_HOST,                 /* a bus address */
    ACCEL_LOCAL,                /* an offset in the local memory */
} AccelSpace;

typedef enum AccelDma {
    ACCEL_DMA_OK,
    /*
     * The translation of the bus address is not at hand. The step is unwound without
     * side effect and accel_run() returns ACCEL_RUN_MISS; the same step is the first
     * to run next, unless its context is set aside.
     */
    ACCEL_DMA_MISS,
    ACCEL_DMA_ERROR,            /* nothing there, or not permitted */
} AccelDma;

/* A store through a window: a bus transaction that the glue makes between epochs. */
typedef struct AccelStore {
    uint64_t bus;
    uint64_t value;
    uint8_t width;              /* 4 or 8 octets */
    uint16_t ctx;
    uint32_t queue;             /* of the context */
    uint64_t serial;            /* the core's: which store this is */
} AccelStore;

#define ACCEL_TRACE_EVENTS(X) \
    X(RESET,        "ctx",  "generation", "-", "-") \
    X(REG_WRITE,    "offset", "value", "size", "-") \
    X(DOORBELL,     "queue", "value", "accepted", "-") \
    X(COMMAND,      "queue", "index", "opcode", "tag") \
    X(COMMAND_END,  "queue", "index", "status", "-") \
    X(STORE,        "queue", "bus", "value", "width") \
    X(COPY_WQE,     "queue", "ring", "index", "blocks") \
    X(WAIT_END,     "queue", "addr", "value", "status") \
    X(FAULT,        "queue", "addr", "status", "-")

typedef enum AccelTraceEvent {
#define ACCEL_TRACE_ENUM(name, id, a, b, c) ACCEL_TRACE_##name,
    ACCEL_TRACE_EVENTS(ACCEL_TRACE_ENUM)
#undef ACCEL_TRACE_ENUM
    ACCEL_TRACE_COUNT
} AccelTraceEvent;

/* One event; ACCEL_TRACE_EVENTS says what its arguments mean. */
typedef struct AccelTrace {
    uint16_t event;             /* AccelTraceEvent */
    uint16_t ctx;
    uint32_t id;
    uint64_t a, b, c;
} AccelTrace;

/*
 * What the core asks of the world. No operation may call back into the core, block, or
 * take QEMU's big lock.
 */
typedef struct AccelOps {
    /*
     * Store to *host a host pointer to the len octets at addr of the space, which lie
     * within one page of 4096. It is valid until the entry point that led here returns.
     */
    AccelDma (*map)(void *opaque, AccelSpace space, uint64_t addr, uint32_t len,
                    bool for_write, void **host);
    /* The core has stored to these octets of a for_write mapping. */
    void (*written)(void *opaque, AccelSpace space, uint64_t addr, void *host,
                    uint32_t len);
    void (*irq)(void *opaque, uint16_t vector);
    uint64_t (*now)(void *opaque);              /* ns, VM clock, monotonic */
    /* Call accel_run() at this time at the latest; UINT64_MAX: no deadline. */
    void (*deadline)(void *opaque, uint64_t when);
    /* There is work for accel_run(). As SvanOps.kick. */
    void (*kick)(void *opaque);
    /* accel_store_next() has a store. Engine lock held. */
    void (*store_wanted)(void *opaque);
    /*
     * A WAIT sleeps on the page at addr, whose memory is at host: accel_touched() is to
     * be called for stores of others to it. Each waiter has a number below
     * ACCEL_WAITERS. host NULL: the waiter does not sleep any more. May be NULL: then
     * stores of others are seen by looking alone.
     */
    void (*watch)(void *opaque, uint32_t waiter, AccelSpace space, uint64_t addr,
                  void *host);
    void (*trace)(void *opaque, const AccelTrace *trace);       /* may be NULL */
} AccelOps;

/* A WAIT may sleep on two pages: that of its value, and that of a count of errors. */
#define ACCEL_WAITERS   (2 * SVAN_ACCEL_CONTEXTS * SVAN_ACCEL_QUEUES)

typedef struct AccelConfig {
    uint64_t mem_size;          /* octets of local memory, a multiple of 4096 */
    /*
     * Not 0: stores to memory are kept back, and leave in an order drawn from this seed
     * where no FENCE says otherwise. Stores to one page keep their order.
     */
    uint64_t reorder_seed;
} AccelConfig;

/* What the device has counted since it was created. */
#define ACCEL_STATS(X) \
    X(commands) X(octets) X(stores) X(stores_refused) X(waits) X(looks) X(wakes) \
    X(timeouts) X(faults) X(doorbells) X(doorbells_refused) X(dma_errors) \
    X(interrupts) X(interrupts_merged)

typedef struct AccelStats {
#define ACCEL_STAT_U64(name) uint64_t name;
    ACCEL_STATS(ACCEL_STAT_U64)
#undef ACCEL_STAT_U64
} AccelStats;

/* NULL: config is out of range, or there is no memory. ops and config are copied. */
Accel *accel_create(const AccelConfig *config, const AccelOps *ops, void *opaque);
void accel_destroy(Accel *accel);
/* All contexts are off and all registers as after creation; GENERATION is one more. */
void accel_reset(Accel *accel);

/* Offset in BAR 0, size 4 or 8, aligned. Anything else reads 0 and is not stored. */
uint64_t accel_reg_read(Accel *accel, uint32_t offset, unsigned size);
void accel_reg_write(Accel *accel, uint32_t offset, uint64_t value, unsigned size);
/* A store to the doorbell BAR. Any thread, without a lock. */
void accel_doorbell(Accel *accel, uint32_t offset, uint64_t value, unsigned size);

typedef enum AccelRun {
    ACCEL_RUN_IDLE,             /* nothing to do before the deadline */
    ACCEL_RUN_MORE,             /* call again */
    ACCEL_RUN_MISS,             /* see ACCEL_DMA_MISS */
} AccelRun;

AccelRun accel_run(Accel *accel);

/*
 * To be called after ACCEL_RUN_MISS: the context whose step has missed does not run before
 * accel_resolved(), and the others go on. false: no other is ready, so nothing has changed.
 */
bool accel_set_aside(Accel *accel);
/* What was missed is at hand: the contexts that were set aside are the first to run. */
void accel_resolved(Accel *accel);
/* Has a step missed that will be run again, and was not yet? */
bool accel_awaits(const Accel *accel);

/*
 * From here on accel_store_next() hands out the stores that are wanted by now, and none
 * that the queues want while these are made: there might be no end of them. For each of
 * those store_wanted() is called.
 */
void accel_store_turn(Accel *accel);

/*
 * The next store through a window; false: there is none for the time being. Its address
 * was translated by this call, so it is good until the engine lock is let go of and a
 * register is written or the device reset. The queue does not go on before
 * accel_store_end(). If the translation was not at hand, the queue's step runs again, and
 * store_wanted() follows.
 */
bool accel_store_next(Accel *accel, AccelStore *store);
/* The store was made; false: nothing answered. Ignored if the queue was reset meanwhile. */
void accel_store_end(Accel *accel, const AccelStore *store, bool made);

/*
 * Somebody else has stored to the page at addr: the WAITs for a value in it are looked
 * at in the next run. It costs little where no WAIT is for that page.
 */
void accel_touched(Accel *accel, AccelSpace space, uint64_t addr);

/* Bus addresses [addr, addr + len) lead elsewhere from here on; len 0: all. */
void accel_invalidate_bus(Accel *accel, uint64_t addr, uint64_t len);

void accel_stats(const Accel *accel, AccelStats *stats);

/*
 * The whole state as a versioned stream, without the local memory. The buffer is the
 * caller's to free(); NULL: no memory. The stream may be hostile: if it is not valid,
 * accel_load() returns false and leaves the device reset.
 */
void *accel_save(Accel *accel, size_t *len);
bool accel_load(Accel *accel, const void *stream, size_t len);

#endif /* ACCEL_CORE_H */
