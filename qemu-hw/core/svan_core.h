/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Svan device core: a NIC as a pure library.
 *
 * The core starts no thread, reads no clock and holds no global. It sees the
 * world through SvanOps. Everything but svan_doorbell() is called under the
 * engine lock, which belongs to the caller ("glue"): one call of svan_run() is
 * one epoch and moves at most one page. Doorbells may be published by any
 * thread at any time between svan_create() and svan_destroy().
 *
 * Same inputs (ops answers included), same outputs, to the byte.
 */
#ifndef SVAN_CORE_H
#define SVAN_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svan/cmd.h>
#include <svan/faults.h>

/* Of the device, whatever those of host and guest are. */
#define SVAN_PAGE_SIZE          4096u

typedef struct SvanCore SvanCore;

/* A frame without FCS. Whoever holds the pointer owns it. */
typedef struct SvanFrame {
    struct SvanFrame *next;     /* for the owner's queue */
    uint32_t len;               /* bytes used of data */
    uint32_t capacity;
    uint16_t from;              /* the core's: function that sent it, or the port */
    _Alignas(8) uint8_t data[];
} SvanFrame;

SvanFrame *svan_frame_alloc(uint32_t capacity);
void svan_frame_free(SvanFrame *frame);

typedef enum SvanDma {
    SVAN_DMA_OK,
    /*
     * The bus address is not translated yet. The core unwinds the step without
     * side effect and svan_run() answers SVAN_RUN_MISS; the glue, which has
     * noted the address, translates it outside the epoch and runs again. The
     * same step is the first to run then, unless it is set aside. An address
     * that translates to nothing has to answer ERROR until svan_awaits() is
     * false for its function.
     */
    SVAN_DMA_MISS,
    SVAN_DMA_ERROR,             /* no RAM there, or not permitted */
} SvanDma;

/* ---- trace events: name, meaning of id, a, b, c ---- */

#define SVAN_TRACE_EVENTS(X) \
    X(RESET,        "fn",   "generation", "-", "-") \
    X(REG_WRITE,    "offset", "value", "size", "-") \
    X(CMD,          "opcode", "tag", "status", "syndrome") \
    X(FATAL,        "fn",   "code", "-", "-") \
    X(DOORBELL,     "qn",   "uar", "value", "accepted") \
    X(WQE,          "qpn",  "index", "opcode", "length") \
    X(WQE_REJECT,   "qpn",  "index", "status", "syndrome") \
    X(PKT_TX,       "dqpn", "opcode", "psn", "length") \
    X(PKT_RX,       "qpn",  "opcode", "psn", "length") \
    X(PKT_DROP,     "qpn",  "opcode", "psn", "reason") \
    X(NAK,          "qpn",  "syndrome", "psn", "-") \
    X(RETRY,        "qpn",  "psn", "reason", "left") \
    X(CQE,          "cqn",  "qpn", "wqe_index", "status") \
    X(EQE,          "eqn",  "type", "qn", "data") \
    X(QP_STATE,     "qpn",  "old", "new", "syndrome") \
    X(ACCESS_ERROR, "key",  "va", "length", "syndrome") \
    X(TLB_FILL,     "key",  "va", "address", "length") \
    X(POLL,         "qpn",  "on", "-", "-") \
    X(ETH_TX,       "qpn",  "length", "flags", "-") \
    X(ETH_RX,       "qpn",  "length", "flags", "-") \
    X(FRAME_DROP,   "fn",   "length", "reason", "-") \
    X(PAGE_REQUEST, "token", "addr", "flags", "qpn") \
    X(PAGE_RESPONSE, "token", "status", "class", "time_ns") \
    X(FAULT,        "qpn",  "token", "psn", "va") \
    X(FAULT_MODE,   "qpn",  "token", "mode", "time_ns") \
    X(FAULT_END,    "qpn",  "token", "status", "time_ns")

typedef enum SvanTraceEvent {
#define SVAN_TRACE_ENUM(name, id, a, b, c) SVAN_TRACE_##name,
    SVAN_TRACE_EVENTS(SVAN_TRACE_ENUM)
#undef SVAN_TRACE_ENUM
    SVAN_TRACE_COUNT
} SvanTraceEvent;

/* What happened; the arguments are named in the table. */
typedef struct SvanTrace {
    uint16_t event;             /* SvanTraceEvent */
    uint16_t fn;
    uint32_t id;                /* QPN, CQN, key ... by event */
    uint64_t a, b, c;
} SvanTrace;

/*
 * The world. opaque is svan_create()'s; fn is the function (0 = PF). No op may
 * call back into the core, block, or take QEMU's big lock.
 */
typedef struct SvanOps {
    /*
     * Host pointer to len bytes at bus address addr, all within one 4096-byte
     * page; for_write says that the core may store. Valid until svan_run()
     * (or the entry point that led here) returns.
     */
    SvanDma (*map)(void *opaque, uint16_t fn, uint64_t addr, uint32_t len,
                   bool for_write, void **host);
    /* The core has stored to these bytes of a for_write mapping. */
    void (*written)(void *opaque, uint16_t fn, uint64_t addr, void *host,
                    uint32_t len);
    /* Raise MSI-X vector of fn, soon; repeated calls may merge. */
    void (*irq)(void *opaque, uint16_t fn, uint16_t vector);
    /*
     * Send a frame through the port. true: the op owns the frame. false: no
     * room; the core keeps it and tries again after svan_tx_ready().
     */
    bool (*frame_out)(void *opaque, SvanFrame *frame);
    uint64_t (*now)(void *opaque);              /* ns, VM clock, monotonic */
    /* Call svan_run() at this time at the latest; UINT64_MAX: no deadline. */
    void (*deadline)(void *opaque, uint64_t when);
    /*
     * There is work for svan_run(). Called from any entry point, under the
     * engine lock or, from svan_doorbell(), in the ringing thread without it.
     */
    void (*kick)(void *opaque);
    /* May be NULL. Doorbells are told in the thread that rings. */
    void (*trace)(void *opaque, const SvanTrace *trace);
} SvanOps;

/* The policy of faults that counts where nobody says otherwise. */
#define SVAN_DEFAULT_HOLD_US            1000
#define SVAN_DEFAULT_DIVERT_US          4000
#define SVAN_DEFAULT_DROP_US            8000
#define SVAN_DEFAULT_BOUND_US           20000
#define SVAN_DEFAULT_UNKNOWN_US         500
#define SVAN_DEFAULT_HOLD_BYTES         (256 << 10)
#define SVAN_DEFAULT_DIVERT_PAGES       64

void svan_policy_default(struct svan_fault_policy *policy);

typedef struct SvanConfig {
    uint8_t mac[6];             /* of the PF */
    uint16_t num_vfs;           /* 0..SVAN_MAX_VFS */
    uint32_t link_mbps;         /* shown in SVAN_REG_PORT */
    uint64_t features_off;      /* SVAN_CAP_* to switch off */
    uint32_t off_reason;        /* enum svan_cap_off for what is off by the machine */
    bool true_atomics;          /* guest LOCK operations are atomic on the host */
    uint32_t max_qp;            /* per function; 0 = default, else a power of two */
    uint32_t max_cq;
    uint32_t max_key;
    uint64_t poll_ns;           /* how long an idle QP's record is polled; 0 = never */
    uint32_t max_rx_frames;     /* bound of the receive queue; 0 = default */
    /* bytes that a function may hold packets in; 0 = default */
    uint32_t fault_buffer;
    /* of new queue pairs until the driver says otherwise; sources 0 = default */
    struct svan_fault_policy policy;
    /*
     * Packets carry zero in place of their ICRC, and what arrives is not
     * checked. For simulations, where nothing damages frames and all nodes
     * are configured alike.
     */
    bool no_icrc;
} SvanConfig;

/* NULL without memory. ops and config are copied. */
SvanCore *svan_create(const SvanConfig *config, const SvanOps *ops,
                      void *opaque);
void svan_destroy(SvanCore *core);

/* Function level reset: everything of fn is gone when it returns. */
void svan_reset(SvanCore *core, uint16_t fn);

/*
 * Register access (include/svan/regs.h), BAR 0 offsets below
 * SVAN_REG_END, size 4 or 8, aligned; anything else reads 0 and is ignored.
 */
uint64_t svan_reg_read(SvanCore *core, uint16_t fn, uint32_t offset,
                       unsigned size);
void svan_reg_write(SvanCore *core, uint16_t fn, uint32_t offset,
                    uint64_t value, unsigned size);

/*
 * A store to the UAR BAR of fn. Any thread, no lock: one atomic publish, then
 * ops->kick(). size other than 8 or an unaligned offset is counted, ignored.
 */
void svan_doorbell(SvanCore *core, uint16_t fn, uint32_t offset,
                   uint64_t value, unsigned size);

/*
 * A frame from the port. Takes the frame; false (and the frame stays the
 * caller's) when the receive queue is full: offer it again after some
 * svan_run(), which calls no op for this.
 */
bool svan_frame_in(SvanCore *core, SvanFrame *frame);
bool svan_rx_room(const SvanCore *core);
/* So many frames from the port were lost before they could be offered. */
void svan_rx_lost(SvanCore *core, uint32_t count);
/* frame_out has room again. */
void svan_tx_ready(SvanCore *core);
void svan_set_link(SvanCore *core, bool up);

/*
 * Drop cached translations of fn that overlap [addr, addr + len) of its bus
 * addresses (vIOMMU unmap, memory topology change). len 0: all.
 */
void svan_invalidate_bus(SvanCore *core, uint16_t fn, uint64_t addr,
                         uint64_t len);

/*
 * Tests: RC transfers meet pages of [first, last] (addresses as in the key's
 * table) as if they were absent, each page once.
 */
typedef struct SvanInjection {
    uint32_t key;               /* 0: of any */
    uint64_t first, last;
    uint32_t count;             /* faults; 0: no limit */
    uint32_t chance_ppm;        /* of each page, drawn from seed */
    uint64_t seed;
    uint8_t fault_class;        /* enum svan_fault_class */
    uint64_t estimate_ns;       /* what the device is told; 0: nothing */
    uint64_t delay_ns;          /* what it takes, VM clock */
    bool failure;               /* then the page never comes */
} SvanInjection;

/* false: not sane, too many, no memory, or there is no such function. */
bool svan_inject(SvanCore *core, uint16_t fn, const SvanInjection *what);
/* Whatever was injected and has not been met; what was goes on. */
void svan_inject_nothing(SvanCore *core, uint16_t fn);

typedef enum SvanRun {
    SVAN_RUN_IDLE,              /* nothing to do before the deadline */
    SVAN_RUN_MORE,
    SVAN_RUN_MISS,              /* see SVAN_DMA_MISS; or all work is set aside */
    SVAN_RUN_POLL,              /* nothing to do but to poll doorbell records */
} SvanRun;

/* One epoch. */
SvanRun svan_run(SvanCore *core);

/*
 * After SVAN_RUN_MISS: the function whose step has missed is to have no steps before
 * svan_resolved(), while others go on. false: nobody has anything to do but what has
 * missed, so all of that is run again next, as without this call.
 */
bool svan_set_aside(SvanCore *core);
/*
 * What was missed is translated: what was set aside is run again, first of all, but
 * in every second run only while others have work.
 */
void svan_resolved(SvanCore *core);
/* Some step that missed an address of fn has not been run again yet, or in vain. */
bool svan_awaits(const SvanCore *core, uint16_t fn);

/* What a function has counted since its reset, and what it has in use. */
typedef struct SvanStats {
#define SVAN_STAT_U64(name) uint64_t name;
    SVAN_STATS(SVAN_STAT_U64)
#undef SVAN_STAT_U64
    uint32_t held_bytes;        /* of the fault buffer */
    uint32_t open_requests;     /* page requests that are not answered */
    bool spares_lent;           /* some spare page holds data */
} SvanStats;

/* All zero where there is no such function. */
void svan_stats(SvanCore *core, uint16_t fn, SvanStats *stats);

/* Change how long idle QPs are polled; 0 disarms them as svan_run() goes on. */
void svan_set_poll(SvanCore *core, uint64_t poll_ns);

/*
 * The whole state as a versioned stream of octets. svan_save() returns a
 * malloc()ed buffer, NULL without memory; a frame being offered is not part of
 * it. svan_load() expects a core fresh from svan_create() with an equal config;
 * it returns false and leaves a reset core when the stream is not to be
 * trusted. The stream may be hostile.
 */
void *svan_save(SvanCore *core, size_t *len);
bool svan_load(SvanCore *core, const void *stream, size_t len);

#endif /* SVAN_CORE_H */
