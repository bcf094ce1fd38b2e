/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Svan device core: a NIC as a pure library.
 *
 * The core starts no thread, reads no clock and has no global variable. It sees
 * the world through SvanOps. Everything but svan_doorbell() is called under the
 * engine lock, which belongs to the caller, the glue. One call of svan_run() is one
 * epoch and moves at most one page. Any thread may call svan_doorbell() at any time
 * between svan_create() and svan_destroy().
 *
 * The core is deterministic: the same calls, with the same results of the
 * operations, give the same output to the octet.
 */
#ifndef SVAN_CORE_H
#define SVAN_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <svan/cmd.h>
#include <svan/faults.h>

/* The device's page size, in octets, whatever the page sizes of host and guest. */
#define SVAN_PAGE_SIZE          4096u

typedef struct SvanCore SvanCore;

/* An Ethernet frame without FCS. Whoever holds the pointer owns it. */
typedef struct SvanFrame {
    struct SvanFrame *next;     /* for the owner's queue */
    uint32_t len;               /* octets of data in use */
    uint32_t capacity;          /* octets of data */
    uint16_t from;              /* set by the core: the sending function, or the port */
    uint32_t rules;             /* set by the core: under which it may leave */
    _Alignas(8) uint8_t data[];
} SvanFrame;

/* NULL: no memory. */
SvanFrame *svan_frame_alloc(uint32_t capacity);
void svan_frame_free(SvanFrame *frame);

typedef enum SvanDma {
    SVAN_DMA_OK,
    /*
     * The translation of the bus address is not at hand. The core unwinds the step
     * without side effect and svan_run() returns SVAN_RUN_MISS. The glue has noted
     * the address, translates it outside the epoch and runs again. The same step is
     * the first to run then, unless it is set aside. Once an address has turned out
     * to translate to nothing, map() must answer ERROR for it until svan_awaits() is
     * false for its function.
     */
    SVAN_DMA_MISS,
    SVAN_DMA_ERROR,             /* no RAM there, or not permitted */
} SvanDma;

/* ---- trace events: the name, then what id, a, b and c mean ---- */

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
    X(COUNTER,      "counter", "error", "value", "-") \
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
    X(FAULT_END,    "qpn",  "token", "status", "time_ns") \
    X(RATE,         "qpn",  "bits_per_s", "target", "alpha")

typedef enum SvanTraceEvent {
#define SVAN_TRACE_ENUM(name, id, a, b, c) SVAN_TRACE_##name,
    SVAN_TRACE_EVENTS(SVAN_TRACE_ENUM)
#undef SVAN_TRACE_ENUM
    SVAN_TRACE_COUNT
} SvanTraceEvent;

/* One event; SVAN_TRACE_EVENTS says what its arguments mean. */
typedef struct SvanTrace {
    uint16_t event;             /* SvanTraceEvent */
    uint16_t fn;
    uint32_t id;                /* QPN, CQN, key ... by event */
    uint64_t a, b, c;
} SvanTrace;

/* How much of a packet is copied before anything is decided by it: all of its headers. */
#define SVAN_PACKET_HEAD        128

/*
 * A RoCE packet without ICRC, lent to the core. Its octets lie in memory that others may
 * change; the copy of the first ones, min(len, SVAN_PACKET_HEAD), is nobody else's.
 */
typedef struct SvanLentPacket {
    const uint8_t *data;
    uint32_t len;               /* octets */
    uint8_t head[SVAN_PACKET_HEAD];
} SvanLentPacket;

/*
 * What the core asks of the world. opaque is svan_create()'s; fn is the number of a
 * function (0 = PF). No operation may call back into the core, block, or take QEMU's
 * big lock.
 */
typedef struct SvanOps {
    /*
     * Store to *host a host pointer to the len octets at bus address addr, which lie
     * within one page of SVAN_PAGE_SIZE. for_write: the core may store there. The
     * pointer is valid until svan_run(), or the other entry point that led here,
     * returns.
     */
    SvanDma (*map)(void *opaque, uint16_t fn, uint64_t addr, uint32_t len,
                   bool for_write, void **host);
    /* The core has stored to these bytes of a for_write mapping. */
    void (*written)(void *opaque, uint16_t fn, uint64_t addr, void *host,
                    uint32_t len);
    /* Raise this MSI-X vector of fn, soon; repeated calls may be merged into one. */
    void (*irq)(void *opaque, uint16_t fn, uint16_t vector);
    /*
     * Send a frame through the port. true: the frame is the glue's. false: there is no
     * room; the frame stays the core's, which tries again after svan_tx_ready().
     */
    bool (*frame_out)(void *opaque, SvanFrame *frame);
    /*
     * For a port that takes RoCE packets without their ICRC, in its own memory; else all
     * four are NULL. packet_room() returns room for len octets at most. NULL: there is
     * none; the core tries again after svan_tx_ready(). packet_out() sends what was filled
     * in before any other operation is called.
     */
    uint8_t *(*packet_room)(void *opaque, uint32_t len);
    void (*packet_out)(void *opaque, uint32_t len);
    /*
     * The next packet that has arrived, the same one until packet_done(). NULL: none; after
     * that svan_packets_ready() tells of more.
     */
    const SvanLentPacket *(*packet_next)(void *opaque);
    void (*packet_done)(void *opaque);
    uint64_t (*now)(void *opaque);              /* ns, VM clock, monotonic */
    /* Call svan_run() at this time at the latest; UINT64_MAX: no deadline. */
    void (*deadline)(void *opaque, uint64_t when);
    /*
     * There is work for svan_run(). Called from any entry point, under the
     * engine lock or, from svan_doorbell(), in the ringing thread without it.
     */
    void (*kick)(void *opaque);
    /* May be NULL. DOORBELL is told in the ringing thread, without the engine lock. */
    void (*trace)(void *opaque, const SvanTrace *trace);
} SvanOps;

/* The fault policy of queue pairs for which neither host nor driver sets another. */
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
    uint32_t off_reason;        /* enum svan_cap_off, by the machine; 0: none */
    bool true_atomics;          /* the guest's LOCK operations are atomic on the host */
    uint32_t max_qp;            /* per function; 0 = default, else a power of two */
    uint32_t max_cq;
    uint32_t max_key;
    uint64_t poll_ns;           /* how long an idle QP's record is polled; 0 = never */
    uint32_t max_rx_frames;     /* frames in the receive queue; 0 = default */
    /* octets of each function's fault buffer; 0 = default */
    uint32_t fault_buffer;
    /* each function's, until its driver sets another; sources 0 = the default policy */
    struct svan_fault_policy policy;
    /*
     * Packets carry zero in place of their ICRC, and what arrives is not
     * checked. For simulations, where nothing damages frames and all nodes
     * are configured alike.
     */
    bool no_icrc;
    /*
     * For tests: nothing is learned of the congestion of flows, so enforcement, which
     * decides by that alone, polices nobody.
     */
    bool frozen_estimates;
} SvanConfig;

/* NULL: config is out of range, or there is no memory. ops and config are copied. */
SvanCore *svan_create(const SvanConfig *config, const SvanOps *ops,
                      void *opaque);
void svan_destroy(SvanCore *core);

/*
 * An IOMMU is in front of the functions: page tables of processes hold no bus addresses,
 * so no function has process keys, with the reason SVAN_CAP_OFF_VIOMMU. No driver has
 * asked for capabilities yet.
 */
void svan_behind_iommu(SvanCore *core);

/* Function level reset: every object of fn is gone when it returns. */
void svan_reset(SvanCore *core, uint16_t fn);
/* As the whole device is reset: forget what the PF has set for virtual functions. */
void svan_reset_settings(SvanCore *core);

/*
 * Register access (include/svan/regs.h): offset in BAR 0, below SVAN_REG_END, size 4
 * or 8, aligned. A read of anything else returns 0, and a store to it is ignored.
 */
uint64_t svan_reg_read(SvanCore *core, uint16_t fn, uint32_t offset,
                       unsigned size);
void svan_reg_write(SvanCore *core, uint16_t fn, uint32_t offset,
                    uint64_t value, unsigned size);

/*
 * A store to the UAR BAR of fn. Any thread may call this without a lock: it publishes
 * the value atomically, then calls ops->kick(). A store whose size is not 8, or whose
 * offset is not aligned, is counted and ignored.
 */
void svan_doorbell(SvanCore *core, uint16_t fn, uint32_t offset,
                   uint64_t value, unsigned size);

/*
 * A frame from the port. true: the core owns the frame. false: the receive queue is
 * full and the frame stays the caller's, who offers it again after a later svan_run();
 * no operation tells when there is room.
 */
bool svan_frame_in(SvanCore *core, SvanFrame *frame);
/* ops->packet_next() has a packet. */
void svan_packets_ready(SvanCore *core);
/* The receive queue has room for another frame from the port. */
bool svan_rx_room(const SvanCore *core);
/* Count frames from the port that were lost before they could be offered. */
void svan_rx_lost(SvanCore *core, uint32_t count);
/* ops->frame_out() has room again. */
void svan_tx_ready(SvanCore *core);
void svan_set_link(SvanCore *core, bool up);

/*
 * Bus addresses [addr, addr + len) of fn lead elsewhere from here on, after a vIOMMU
 * unmap or a change of the memory topology: drop what is cached of them. len 0: all.
 */
void svan_invalidate_bus(SvanCore *core, uint16_t fn, uint64_t addr,
                         uint64_t len);

/*
 * For tests: transfers of queue pairs that can wait for pages meet those of
 * [first, last] (addresses as in the key's table) as if they were absent, each once.
 */
typedef struct SvanInjection {
    uint32_t key;               /* 0: any */
    uint64_t first, last;
    uint32_t count;             /* pages that are met so; 0: no limit */
    uint32_t chance_ppm;        /* of each page, drawn from seed; at most 1000000 */
    uint64_t seed;
    uint8_t fault_class;        /* enum svan_fault_class */
    uint64_t estimate_ns;       /* the estimate that the device finds; 0: none */
    uint64_t delay_ns;          /* until the page comes, VM clock */
    bool failure;               /* after the delay the page fails instead */
} SvanInjection;

/* false: out of range, too many injections, no memory, or no such function. */
bool svan_inject(SvanCore *core, uint16_t fn, const SvanInjection *what);
/* Take all injections back. A page that was met by one still takes its delay. */
void svan_inject_nothing(SvanCore *core, uint16_t fn);

typedef enum SvanRun {
    SVAN_RUN_IDLE,              /* nothing to do before the deadline */
    SVAN_RUN_MORE,              /* call again */
    SVAN_RUN_MISS,              /* see SVAN_DMA_MISS; or all work is set aside */
    SVAN_RUN_POLL,              /* nothing to do but to poll doorbell records */
} SvanRun;

/* One epoch. */
SvanRun svan_run(SvanCore *core);

/*
 * After SVAN_RUN_MISS: set the function whose step has missed aside, so that it has no
 * steps before svan_resolved() while others go on. false: there is no work but that of
 * steps that have missed, so all of those are run again next, as without this call.
 */
bool svan_set_aside(SvanCore *core);
/*
 * The addresses that were missed are translated: steps that were set aside are run
 * again, before all others, but only in every second run while others have work.
 */
void svan_resolved(SvanCore *core);
/* A step that missed an address of fn has not been run again, or has missed again. */
bool svan_awaits(const SvanCore *core, uint16_t fn);

/* What a function has counted since its reset, and what it has in use. */
typedef struct SvanStats {
#define SVAN_STAT_U64(name) uint64_t name;
    SVAN_STATS(SVAN_STAT_U64)
#undef SVAN_STAT_U64
    uint32_t held_bytes;        /* octets of the fault buffer in use */
    uint32_t open_requests;     /* page requests that are not answered for good */
    bool spares_lent;           /* a spare page holds data */
} SvanStats;

/* Store the counters of fn; all are zero if there is no such function. */
void svan_stats(SvanCore *core, uint16_t fn, SvanStats *stats);

/*
 * Change for how long the records of idle QPs are polled. 0: later runs clear their
 * POLLING flags.
 */
void svan_set_poll(SvanCore *core, uint64_t poll_ns);

/*
 * The whole state as a versioned stream of octets. svan_save() returns a malloc()ed
 * buffer of *len octets that is the caller's to free(), or NULL without memory; a frame
 * that is being offered is not part of it. svan_load() expects a core fresh from
 * svan_create() with an equal config. The stream may be hostile: if it is not valid,
 * svan_load() returns false and leaves all functions reset.
 */
void *svan_save(SvanCore *core, size_t *len);
bool svan_load(SvanCore *core, const void *stream, size_t len);

#endif /* SVAN_CORE_H */
