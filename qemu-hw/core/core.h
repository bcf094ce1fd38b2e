/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the core: objects, and who offers what to whom.
 *
 * Steps. svan_run() gives one object one step. A step first obtains every
 * pointer it needs (svan_access(), svan_cq_reserve(), ...), each of which may
 * answer that the step must stop; only then does it change state and memory.
 * So a step that stops can be started again as if it had never begun. One that
 * missed is the next one: the world remembers no longer than that that it has
 * refused an address.
 *
 * Only steps transmit. Receiving (SvanTransport.rx) records and schedules, so
 * that a packet delivered locally never recurses.
 */
#ifndef SVAN_CORE_INTERNAL_H
#define SVAN_CORE_INTERNAL_H

#include <stdatomic.h>

#include <svan/caps.h>
#include <svan/cmd.h>
#include <svan/faults.h>
#include <svan/keys.h>
#include <svan/queues.h>
#include <svan/regs.h>
#include <svan/wire.h>
#include <svan/wqe.h>

#include "svan_core.h"

#define SVAN_PAGE_MASK          (SVAN_PAGE_SIZE - 1)
#define SVAN_MAX_MTU            4096u
#define SVAN_MAX_FRAME          9220u   /* Ethernet, without FCS: MTU 9198, two tags */
#define SVAN_MAX_MSG            (1u << 31)
#define SVAN_MAX_TABLE_KEY      (1ull << 48)    /* 4 levels of 4 KiB */
#define SVAN_MAX_PROCESS_KEY    (1ull << 56)    /* user space of 5 levels */
#define SVAN_MAX_GID            128
#define SVAN_MAX_MCAST          256
#define SVAN_MAX_RD_ATOMIC      16
#define SVAN_MAX_PKT_RUNS       64      /* pieces of one packet's payload */
#define SVAN_NONE               0xffffffffu

typedef struct SvanFn SvanFn;
typedef struct SvanQp SvanQp;
typedef struct SvanCq SvanCq;
typedef struct SvanEq SvanEq;
typedef struct SvanKey SvanKey;
typedef struct SvanInjections SvanInjections;
typedef struct SvanPrq SvanPrq;
typedef struct SvanSpares SvanSpares;
typedef struct SvanAccount SvanAccount;
typedef struct SvanWriter SvanWriter;
typedef struct SvanReader SvanReader;

/* ---- results of what a step asks for ---- */

typedef enum SvanStep {
    SVAN_STEP_DONE,             /* as asked; for a step: there may be more to do */
    SVAN_STEP_IDLE,             /* a step had nothing to do */
    SVAN_STEP_AGAIN,            /* progress was made, call again in a new step */
    SVAN_STEP_MISS,             /* unwind: the glue translates first */
    SVAN_STEP_BLOCKED,          /* unwind: no room on the wire; svan_tx_ready() */
    SVAN_STEP_FAULT,            /* a page is absent (on-demand and process keys) */
    SVAN_STEP_ERROR,            /* see the syndrome */
} SvanStep;

/* ---- object tables: index to pointer, indices are handed out here ---- */

typedef struct SvanTable {
    void **slots;
    uint8_t *variants;          /* +1 each time an index is used again */
    uint32_t capacity;          /* fixed, a power of two */
    uint32_t used;
    uint32_t next;              /* where the search for a free slot begins */
    uint32_t first;             /* lowest index given out */
} SvanTable;

bool svan_table_init(SvanTable *table, uint32_t capacity, uint32_t first);
void svan_table_fini(SvanTable *table);             /* slots must be empty */
void svan_table_reset(SvanTable *table);            /* forgets the variants too */
uint32_t svan_table_insert(SvanTable *table, void *object);  /* or SVAN_NONE */
/* At an index of the caller's choice; false: taken, or out of range. */
bool svan_table_insert_at(SvanTable *table, uint32_t index, void *object);
void svan_table_remove(SvanTable *table, uint32_t index);

static inline void *svan_table_get(const SvanTable *table, uint32_t index)
{
    return index < table->capacity ? table->slots[index] : NULL;
}

/*
 * QP indices begin at 2, CQ indices at 1, so that 0 is never a number and QP 1
 * stays for GSI.
 */
#define SVAN_MAX_QN_CAPACITY    (1u << SVAN_QN_INDEX_SHIFT)
#define SVAN_MAX_KEY_CAPACITY   (1u << (32 - SVAN_KEY_INDEX_SHIFT))
#define SVAN_FIRST_QP           2
#define SVAN_FIRST_CQ           1

/*
 * Insert under a number of its own, or the one asked for (not SVAN_NONE), which
 * must have the variant that is next at its index.
 */
bool svan_qn_insert(SvanTable *table, void *object, uint32_t want,
                    uint32_t *qn);

/* ---- timers: one heap per core ---- */

typedef struct SvanTimer {
    uint64_t deadline;          /* ns */
    uint64_t order;             /* of starting, among equal deadlines */
    int32_t slot;               /* in the heap; -1: not running */
    void (*fire)(struct SvanTimer *timer);          /* schedules, nothing else */
} SvanTimer;

void svan_timer_init(SvanTimer *timer, void (*fire)(SvanTimer *timer));
/*
 * Start or move. Room in the heap was made by svan_timer_reserve(). Timers of
 * the same deadline fire in the order in which they were set.
 */
void svan_timer_set(SvanCore *core, SvanTimer *timer, uint64_t deadline);
void svan_timer_cancel(SvanCore *core, SvanTimer *timer);
/* Called once per object that holds timers, at its creation and destruction. */
bool svan_timer_reserve(SvanCore *core, uint32_t count);
void svan_timer_unreserve(SvanCore *core, uint32_t count);
bool svan_timer_fire_due(SvanCore *core);           /* false: none was due */
uint64_t svan_timer_next(const SvanCore *core);     /* UINT64_MAX: none */

/* ---- intrusive lists ---- */

typedef struct SvanLink {
    struct SvanLink *next, *prev;       /* NULL: in no list */
} SvanLink;

static inline void svan_list_init(SvanLink *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool svan_list_empty(const SvanLink *head)
{
    return head->next == head;
}

/* Nothing, if the link is in a list already. */
static inline void svan_list_append(SvanLink *head, SvanLink *link)
{
    if (!link->next) {
        link->next = head;
        link->prev = head->prev;
        head->prev->next = link;
        head->prev = link;
    }
}

/* Nothing, if the link is in no list. */
static inline void svan_list_remove(SvanLink *link)
{
    if (link->next) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
        link->next = NULL;
        link->prev = NULL;
    }
}

/* Wherever it was before: the step that missed is the next one. */
static inline void svan_list_first(SvanLink *head, SvanLink *link)
{
    svan_list_remove(link);
    svan_list_append(head->next, link);
}

/* ---- work ---- */

/*
 * Something that the engine gives steps to, one at a time, while it is ready. One
 * that waits for room on the wire becomes ready with svan_tx_ready().
 */
typedef struct SvanWork {
    SvanFn *fn;
    SvanLink ready;             /* core->run */
    SvanLink blocked;           /* core->blocked */
} SvanWork;

/*
 * It has work; nothing, if the function is out of service. Does not kick
 * (svan_run() will see it).
 */
void svan_work_ready(SvanWork *work);

static inline bool svan_work_is_ready(const SvanWork *work)
{
    return work->ready.next;
}

/* No step any more, until it is ready again. */
void svan_work_stop(SvanWork *work);

#define svan_container(ptr, type, member) \
    ((type *)((char *)(ptr) - offsetof(type, member)))

/* ---- memory ---- */

/* A piece of memory within one page, usable until the step ends. */
typedef struct SvanMem {
    uint8_t *host;
    uint64_t bus;
    uint32_t len;
} SvanMem;

struct SvanKey {
    SvanFn *fn;
    uint32_t key;               /* index << 8 | variant */
    uint8_t kind;               /* enum svan_key_kind */
    uint8_t flags;              /* SVAN_CMD_KEY_* */
    uint8_t levels;
    uint8_t page_shift;
    uint32_t access;
    uint32_t pd;
    uint32_t pasid;
    uint32_t owner;
    uint32_t generation;
    uint64_t va, length, table;
    uint64_t origin;            /* address of the first octet to its users */
    uint64_t serial;            /* of the TLB entries; never used again */
    bool direct;                /* bus address = va + direct_offset, no walk */
    uint64_t direct_offset;
    uint32_t refs;              /* queues whose rings it covers */
};

/*
 * What the last svan_access() of the function that answered FAULT was about;
 * addresses as in the key's table.
 */
typedef struct SvanAbsent {
    SvanKey *key;
    uint64_t va;                /* of the first octet that is not there */
    uint64_t len;               /* wanted from va on */
    uint64_t entry;             /* what stood in the table */
    uint64_t time_ns;           /* the table's estimate; 0 = unknown */
    uint8_t fault_class;        /* enum svan_fault_class */
    uint8_t source;             /* SVAN_ESTIMATE_ENTRY, _LOCATION, 0: none */
    uint8_t level;              /* of the entry, 1 = leaf */
    bool write;
    bool is_protected;          /* present, but not for this access */
    bool injected;              /* by the host: nobody is asked */
    bool injected_failure;
    uint64_t injected_ns;
} SvanAbsent;

/* On whose behalf keys are used. */
typedef struct SvanUser {
    SvanFn *fn;
    uint32_t pd;
    uint32_t owner;             /* the verbs context: that of the UAR page */
    bool local_dma;             /* may use SVAN_KEY_LOCAL_DMA */
    bool can_wait;              /* for a page that is absent */
} SvanUser;

/* What is asked of svan_access(). */
typedef struct SvanAccess {
    SvanFn *fn;
    const SvanUser *user;       /* NULL: the device itself, by an internal key */
    uint32_t key;
    uint32_t len;               /* > 0 */
    uint64_t va;
    uint8_t access;             /* one SVAN_ACCESS_* right, 0 = local read */
} SvanAccess;

/*
 * translate() and map: a run that begins at va, within one page and no longer
 * than asked for. DONE, AGAIN (the table has changed meanwhile: in another step),
 * MISS, FAULT (fn->absent) or ERROR (*syndrome, enum svan_syndrome).
 * Bounds and rights are checked for the whole of len, not for the run alone.
 * The key's rights are; those of the QP (SvanQp.access) are the responder's.
 */
SvanStep svan_access(const SvanAccess *access, SvanMem *mem,
                     uint32_t *syndrome);
/* The step has stored to mem. */
void svan_stored(SvanFn *fn, const SvanMem *mem);
/* The checks alone: key, PD, rights, bounds. DONE or ERROR. len may be 0. */
SvanStep svan_check_access(const SvanAccess *access, uint32_t *syndrome);
/* Bus address of the function, within one page (commands, EQs). */
SvanStep svan_map_bus(SvanFn *fn, uint64_t bus, uint32_t len, bool for_write,
                      SvanMem *mem);
/*
 * svan_access() to a ring of the device's own; key is an internal one. What does
 * not lie within one page is an ERROR.
 */
SvanStep svan_ring_access(SvanKey *key, uint64_t va, uint32_t len,
                          bool for_write, SvanMem *mem, uint32_t *syndrome);

static inline SvanKey *svan_key_get(SvanFn *fn, uint32_t key);  /* NULL: stale */
void svan_tlb_flush_key(SvanKey *key);
void svan_tlb_flush(SvanFn *fn);
/* SVAN_REG_INV_GO: what overlaps [addr, addr + len) of a key; len 0: all of it. */
void svan_invalidate_key(SvanFn *fn, uint32_t key, uint64_t addr, uint64_t len);
/* The key's fields have just been set. */
void svan_key_prepare(SvanKey *key);

/* May an access to keys of the kind meet an absent page? */
static inline bool svan_key_is_pageable(uint8_t kind)
{
    return kind == SVAN_KEY_ONDEMAND || kind == SVAN_KEY_PROCESS;
}

/*
 * Creation of objects, the same for commands and for a stream of state. id:
 * what the object is to be called, or SVAN_NONE. SVAN_CMD_OK, or the refusal:
 * enum svan_cmd_status | offset of the refused field in struct svan_cmd << 8.
 */
#define SVAN_REFUSAL(status, member) \
    ((status) | (uint32_t)offsetof(struct svan_cmd, member) << 8)
#define SVAN_REFUSAL_STATUS(refusal)    ((refusal) & 0xff)
#define SVAN_REFUSAL_OFFSET(refusal)    ((refusal) >> 8)

uint32_t svan_key_create(SvanFn *fn, const struct svan_cmd_create_key *cmd,
                         uint32_t id, SvanKey **out);
uint32_t svan_key_modify(SvanKey *key, const struct svan_cmd_modify_key *cmd);
/* refs is 0, and nobody waits for a page of it: svan_fault_key_gone() */
void svan_key_destroy(SvanKey *key);

/* ---- queues ---- */

/*
 * Asynchronous events of an object, or of the function, that wait for room on
 * EQ 0: those of one type are one event.
 */
typedef struct SvanEvents {
    SvanFn *fn;
    uint32_t qn;                /* of the object; 0: the function's own */
    SvanLink link;              /* SvanEq.sources of EQ 0, while there are some */
    uint64_t types;             /* bit n: enum svan_event n */
    uint32_t syndrome;          /* of its error */
} SvanEvents;

struct SvanEq {
    SvanFn *fn;
    uint32_t eqn;
    uint64_t ring;              /* bus address */
    uint16_t vector;
    uint8_t log_size;
    bool armed;
    bool stalled;               /* events wait for room, which was counted */
    uint32_t pi, ci;
    SvanLink link;              /* core->eq_work while events wait */
    SvanLink cqs;               /* CQs whose completion event waits */
    SvanLink sources;           /* EQ 0: SvanEvents that wait */
    uint32_t refs;              /* CQs */
};

/* Which types an object of each kind may have. */
#define SVAN_EVENTS_BIT(name)   (1ull << SVAN_EVENT_##name)
#define SVAN_EVENTS_FN          (SVAN_EVENTS_BIT(CMD) | \
                                 SVAN_EVENTS_BIT(PORT) | \
                                 SVAN_EVENTS_BIT(PAGE_REQUEST) | \
                                 SVAN_EVENTS_BIT(FATAL))
#define SVAN_EVENTS_CQ          SVAN_EVENTS_BIT(CQ_ERROR)
#define SVAN_EVENTS_QP_ERROR    (SVAN_EVENTS_BIT(QP_FATAL) | \
                                 SVAN_EVENTS_BIT(QP_REQ_ERR) | \
                                 SVAN_EVENTS_BIT(QP_ACCESS_ERR))
#define SVAN_EVENTS_QP          (SVAN_EVENTS_QP_ERROR | \
                                 SVAN_EVENTS_BIT(QP_COMM_EST) | \
                                 SVAN_EVENTS_BIT(QP_SQ_DRAINED))

/* enum svan_event, one that the object may have; lost without EQ 0. */
void svan_event(SvanEvents *events, uint8_t type, uint32_t data);
/* Those of an object that goes, or begins anew, are not written any more. */
void svan_events_drop(SvanEvents *events);
/* From a stream of state. false: there is no EQ 0, or it has some already. */
bool svan_events_load(SvanEvents *events, uint64_t types, uint32_t syndrome);
uint32_t svan_eq_create(SvanFn *fn, const struct svan_cmd_create_eq *cmd);
void svan_eq_destroy(SvanEq *eq);                   /* refs is 0 */
/* SVAN_REG_EQ_DB: the consumer index, 24 bits, and ARM */
void svan_eq_doorbell(SvanEq *eq, uint32_t value);
void svan_eq_schedule(SvanEq *eq);
SvanStep svan_eq_step(SvanCore *core);

/* What a doorbell slot rings, of a number. */
typedef struct SvanDbTarget {
    uint32_t qn;
    /* word: SVAN_DB_WORD_*; index: as it was rung */
    void (*rung)(struct SvanDbTarget *target, uint32_t word, uint32_t index);
} SvanDbTarget;

#define SVAN_DB_WORD_SQ         0
#define SVAN_DB_WORD_RQ         1
#define SVAN_DB_WORD_ARM        0       /* of a CQ */
#define SVAN_DB_WORD_SOLICITED  1

struct SvanCq {
    SvanFn *fn;
    SvanDbTarget db;
    uint32_t cqn;
    uint32_t uar;
    SvanEq *eq;
    SvanKey *ring_key;
    uint64_t ring_va;
    uint64_t dbr_va;
    uint8_t log_size;
    bool error;
    bool armed, armed_solicited;
    bool event_pending;         /* on eq->cqs */
    uint32_t pi;
    uint32_t ci;                /* last one read from the record */
    uint32_t solicited_pi;      /* behind the last solicited or error entry */
    uint16_t moderate_count, moderate_us;
    uint32_t moderate_done;     /* completions since the last event */
    SvanTimer moderate_timer;
    SvanLink link;              /* eq->cqs */
    SvanEvents events;
    uint32_t refs;              /* queue pairs */
};

uint32_t svan_cq_create(SvanFn *fn, const struct svan_cmd_create_cq *cmd,
                        uint32_t id, SvanCq **out);
void svan_cq_destroy(SvanCq *cq);                   /* refs is 0 */
SvanCq *svan_cq_get(SvanFn *fn, uint32_t cqn);
void svan_cq_arm(SvanCq *cq, uint32_t ci, bool solicited);
/* MODERATE_CQ; an event that waits already goes by the new values. */
void svan_cq_moderate(SvanCq *cq, uint16_t count, uint16_t period_us);

/*
 * A slot of a CQ, obtained before a step commits. There is one at a time: a
 * step that writes two entries to a CQ commits the first before it reserves
 * the second.
 */
typedef struct SvanCqSlot {
    SvanCq *cq;
    SvanMem mem;
} SvanCqSlot;

/*
 * DONE; MISS; ERROR when the CQ is overrun or unreachable (then it is in error,
 * the event is sent, and the caller takes its QP to the error state).
 */
SvanStep svan_cq_reserve(SvanCq *cq, SvanCqSlot *slot);
/* cqe->owner: flags without PHASE. Writes, arms, schedules the event. */
void svan_cq_commit(SvanCqSlot *slot, struct svan_cqe *cqe);

/* ---- work queues ---- */

/* What a host and its peers publish of a queue: by record, and by doorbell. */
typedef struct SvanProducer {
    uint32_t pi;                /* accepted */
    uint32_t seen;              /* the record's value that was looked at last */
    uint32_t rung_pi;           /* last one from the doorbell */
    bool rung;                  /* it has not been looked at yet */
} SvanProducer;

typedef struct SvanRq {
    SvanKey *ring_key;
    uint64_t va;
    uint64_t pi_va;             /* of the producer index in the record */
    uint8_t log_size;
    uint8_t log_stride;         /* 0: there is no receive queue */
    SvanProducer producer;
} SvanRq;

typedef struct SvanSq {
    SvanKey *ring_key;
    uint64_t va;
    uint64_t dbr_va;            /* of the record */
    uint32_t qpn;
    uint8_t log_bbs;
    uint8_t type;               /* enum svan_qp_type: which opcodes there are */
    bool signal_all;            /* every WQE is signaled */
    bool flushing;              /* receives are posted as well to be flushed */
    SvanProducer producer;
    SvanWork *work;             /* of whoever takes the WQEs */

    SvanLink poll_link;         /* core->poll: POLLING is set in the record */
    bool poll_parked;           /* POLLING is set; off core->poll while blocked */
    uint64_t last_active;       /* ns, for the poll list; 0 = since now */
    uint32_t pi_polled;         /* last one that the poll list has seen there */
} SvanSq;

/*
 * Read the producer index: the later of record and doorbell, checked against
 * ci (the first block or entry not yet given back) and the ring. DONE, MISS,
 * ERROR. They store to the queue's producer.
 */
SvanStep svan_sq_producer(SvanSq *sq, uint32_t ci, uint32_t *syndrome);
SvanStep svan_rq_producer(SvanRq *rq, uint32_t ci, uint32_t *pi,
                          uint32_t *syndrome);
/* As after creation: RESET. POLLING is left as it is. */
void svan_sq_forget(SvanSq *sq);
void svan_rq_forget(SvanRq *rq);

/* ---- work queue entries, copied once and validated ---- */

typedef struct SvanSge {
    uint64_t addr;
    uint32_t length;
    uint32_t lkey;
} SvanSge;

typedef struct SvanWqe {
    uint8_t opcode;
    uint8_t flags;
    uint8_t num_bbs;
    uint8_t num_sge;
    uint32_t index;             /* of the first block */
    uint32_t length;            /* bytes of all entries, or inline */
    uint32_t rkey;
    uint64_t remote;
    __be32 imm;
    uint64_t swap_add, compare;
    struct svan_wqe_eth eth;
    union {
        SvanSge sge[SVAN_MAX_SGE];
        uint8_t data[SVAN_MAX_INLINE];
    };
} SvanWqe;

typedef struct SvanRwqe {
    uint32_t index;
    uint32_t length;
    uint32_t num_sge;
    SvanSge sge[SVAN_MAX_SGE];
} SvanRwqe;

/*
 * Fetch and decode. ERROR: *status (enum svan_cqe_status), *syndrome; wqe->index,
 * opcode, flags and num_bbs (1 if not to be trusted) are set all the same.
 * Form is checked (opcode known to the QP's type, sizes, lengths, alignment),
 * keys are not.
 */
SvanStep svan_wqe_fetch(const SvanSq *sq, uint32_t index, SvanWqe *wqe,
                        uint8_t *status, uint32_t *syndrome);
SvanStep svan_rwqe_fetch(const SvanRq *rq, uint32_t index, SvanRwqe *rwqe,
                         uint8_t *status, uint32_t *syndrome);

/*
 * Runs of a message's bytes [offset, offset + len) over entries, with the local
 * right `access` checked; at most max. DONE, or as svan_access(). So much is wanted
 * from offset on that an absent page is asked for with those behind it: `wanted`.
 */
typedef struct SvanGather {
    const SvanUser *user;
    const SvanSge *sge;
    uint32_t num_sge;
    uint8_t access;             /* 0 or SVAN_ACCESS_LOCAL_WRITE */
    uint32_t wanted;            /* octets; less than len: len */
} SvanGather;

SvanStep svan_gather(const SvanGather *gather, uint32_t offset, uint32_t len,
                     SvanMem *runs, uint32_t *num_runs, uint32_t *syndrome);
/* Copy between run lists; the destination's runs are reported as stored. */
void svan_scatter(SvanFn *fn, const SvanMem *dst, uint32_t num_dst,
                  const SvanMem *src, uint32_t num_src, uint32_t len);

/* ---- queue pairs ---- */

typedef struct SvanAv {
    uint8_t dgid[16];
    uint8_t dmac[6];
    uint8_t hop_limit;
    uint8_t traffic_class;
    uint32_t flow_label;
    uint16_t udp_sport;
    uint8_t sgid_index;
} SvanAv;

typedef struct SvanPkt SvanPkt;

/* What a kind of QP does. A QP type is a row of svan_transports[]. */
typedef struct SvanTransport {
    const char *name;
    uint8_t bth_class;          /* SVAN_BTH_*, of the packets it takes */
    bool is_connected;          /* takes those of its peer alone */
    /* Private state in qp->priv. false: no memory. */
    bool (*create)(SvanQp *qp);
    void (*destroy)(SvanQp *qp);
    /* qp->state has just changed from old; attributes are already in place. */
    void (*enter)(SvanQp *qp, uint8_t old);
    /* One epoch of work. IDLE: leave the run list. */
    SvanStep (*step)(SvanQp *qp);
    /*
     * A packet for the QP, NULL for those that take none. DONE: consumed (or
     * dropped, counted). AGAIN, MISS: same packet again in another step.
     */
    SvanStep (*rx)(SvanQp *qp, const SvanPkt *pkt);
    /* QUERY_QP: sq_ci, rq_ci. */
    uint32_t (*sq_ci)(const SvanQp *qp);
    uint32_t (*rq_ci)(const SvanQp *qp);
    void (*save)(const SvanQp *qp, SvanWriter *writer);
    bool (*load)(SvanQp *qp, SvanReader *reader);
} SvanTransport;

extern const SvanTransport svan_rc_transport;       /* rc.c */
extern const SvanTransport svan_eth_transport;      /* eth.c */

/* Who waits for pages, and is charged for it. */
typedef struct SvanWaiter {
    SvanWork *work;             /* gets ready when there is news */
    SvanAccount *account;       /* its process's */
    uint32_t qpn;               /* as the driver is told */
} SvanWaiter;

struct SvanQp {
    SvanFn *fn;
    uint32_t qpn;
    uint8_t type;               /* enum svan_qp_type */
    uint8_t flags;              /* SVAN_CMD_QP_* */
    uint8_t state;              /* enum svan_qp_state */
    const SvanTransport *transport;
    void *priv;                 /* transport's */
    SvanUser user;
    uint32_t uar;
    SvanWaiter waiter;          /* for pages */
    SvanCq *send_cq, *recv_cq;
    SvanSq sq;
    SvanRq rq;
    SvanDbTarget db;
    bool sq_draining;           /* SQD: set on entry, cleared by the transport */

    /* attributes, host order, validated */
    uint32_t attr_mask;         /* SVAN_QP_ATTR_*: set since RESET */
    uint8_t access, log_mtu, max_rd_atomic, max_dest_rd_atomic;
    uint8_t min_rnr_timer, timeout, retry_cnt, rnr_retry;
    uint8_t pkey_index, port;
    bool sqd_notify;
    struct svan_fault_policy policy;    /* checked */
    uint32_t dest_qpn, rq_psn, sq_psn, qkey;
    SvanAv av;

    SvanWork work;
    SvanEvents events;
};

uint32_t svan_qp_create(SvanFn *fn, const struct svan_cmd_create_qp *cmd,
                        uint32_t id, SvanQp **out);
void svan_qp_destroy(SvanQp *qp);
uint32_t svan_qp_modify(SvanQp *qp, const struct svan_cmd_modify_qp *cmd);
void svan_qp_query(const SvanQp *qp, struct svan_qp_attr *attr);
/* The attributes of a mask, without a change of state. */
uint32_t svan_qp_set_attrs(SvanQp *qp, const struct svan_cmd_modify_qp *cmd);
/* Has it got what its state needs? */
bool svan_qp_has_attrs(const SvanQp *qp);
SvanQp *svan_qp_get(SvanFn *fn, uint32_t qpn);

static inline void svan_qp_schedule(SvanQp *qp)
{
    svan_work_ready(&qp->work);
}

/*
 * To SVAN_QPS_ERR (or SQE), with trace, event (0 = none) and
 * transport->enter(). set_state() calls enter() also when the state stays the
 * same and only attributes have changed.
 */
void svan_qp_error(SvanQp *qp, uint8_t event, uint32_t syndrome);
void svan_qp_set_state(SvanQp *qp, uint8_t state, uint32_t syndrome);

/* ---- doorbells and the POLLING flag; doorbell.c ---- */

struct SvanDbSlot;

void svan_db_open(struct SvanDbSlot *slot, uint32_t uar, SvanDbTarget *target);
void svan_db_close(struct SvanDbSlot *slot);
/* Drop what was rung and not collected yet. */
void svan_db_forget(struct SvanDbSlot *slot);
/* Take some of the rung slots. false: there was none. */
bool svan_db_collect(SvanCore *core);
/* The record's POLLING flag may be set: watch it until it is cleared. */
void svan_poll_begin(SvanSq *sq);
/* Set the flag if possible; the queue has work. */
void svan_poll_arm(SvanSq *sq);
/* It cannot send: leave the flag as it is, and do not look. */
void svan_poll_park(SvanSq *sq);
/* Look at some records. IDLE: nothing has changed. */
SvanStep svan_poll_step(SvanCore *core);

/* ---- packets ---- */

typedef struct SvanAddr {       /* who speaks to whom */
    uint8_t smac[6], dmac[6];
    uint8_t sgid[16], dgid[16]; /* IPv4: v4-mapped */
    uint16_t vlan;              /* TCI */
    bool has_vlan;
    bool ipv4;
    uint8_t traffic_class;      /* DSCP and ECN */
    uint8_t hop_limit;
    uint32_t flow_label;
    uint16_t ip_id;             /* IPv4 */
    uint16_t udp_sport;
} SvanAddr;

typedef struct SvanGid {
    bool valid, has_vlan;
    uint16_t vlan;
    uint8_t gid[16];
    uint8_t smac[6];
} SvanGid;

/* A decoded RoCE packet; which headers count is told by the opcode. */
struct SvanPkt {
    SvanAddr addr;
    uint8_t opcode;             /* enum svan_bth_opcode */
    uint8_t bth_flags;          /* SE, MIGREQ; pad and version are the codec's */
    bool ack_req, fecn, becn;
    uint16_t pkey;
    uint32_t dqpn, psn;
    uint64_t va;                /* RETH, AtomicETH */
    uint32_t rkey, dma_len;
    uint64_t swap_add, compare; /* AtomicETH */
    uint64_t orig;              /* AtomicAckETH */
    uint8_t syndrome;           /* AETH */
    uint32_t msn;
    __be32 imm;
    uint32_t ieth_key;
    uint32_t qkey, sqpn;        /* DETH */
    uint32_t payload_len;       /* without padding */
    uint32_t num_runs;
    SvanMem runs[SVAN_MAX_PKT_RUNS];    /* payload by reference, this step */
};

/* Which extended headers an opcode carries; .valid false: unknown opcode. */
typedef struct SvanOpInfo {
    bool valid, reth, atomic_eth, aeth, atomic_ack, immdt, ieth, deth, payload;
    bool first, last;           /* ONLY: both */
    bool request;
} SvanOpInfo;

const SvanOpInfo *svan_op_info(uint8_t opcode);

/*
 * Octets after decoding and before encoding, without Ethernet FCS.
 * svan_pkt_encode(): a new frame, ICRC included; NULL without memory.
 * svan_pkt_decode(): pkt->runs points into the frame. OK, or why not.
 */
typedef enum SvanDecode {
    SVAN_DECODE_OK,
    SVAN_DECODE_NOT_ROCE,
    SVAN_DECODE_MALFORMED,
    SVAN_DECODE_BAD_ICRC,
} SvanDecode;

SvanFrame *svan_pkt_encode(const SvanPkt *pkt);
SvanDecode svan_pkt_decode(const SvanFrame *frame, SvanPkt *pkt);
/* The same for SvanConfig.no_icrc: zero in its place, any value accepted. */
SvanFrame *svan_pkt_encode_no_icrc(const SvanPkt *pkt);
SvanDecode svan_pkt_decode_no_icrc(const SvanFrame *frame, SvanPkt *pkt);
/* The addresses alone; false: not a whole UDP datagram for RoCE's port. */
bool svan_pkt_peek(const SvanFrame *frame, SvanAddr *addr);
uint32_t svan_icrc(const uint8_t *frame, uint32_t l3_offset, uint32_t len);

/* The function that owns this destination, NULL: none of this device. */
SvanFn *svan_gid_owner(SvanCore *core, const SvanAddr *addr);
/* The destination is this entry of a GID table: address, VLAN and MAC. */
bool svan_is_for_gid(const SvanAddr *addr, const SvanGid *gid);
/*
 * Fill addr from an address vector and the source GID that it names; entropy tells
 * flows apart, if the vector does not say the UDP source port. false: the GID is
 * gone, or of another version of IP than the destination.
 */
bool svan_gid_address(const SvanFn *fn, const SvanAv *av, uint32_t entropy,
                      SvanAddr *addr);
/*
 * The one way out for RoCE: to a function of this device by reference, else
 * encoded to the port. DONE, AGAIN (receiver made progress: same packet again),
 * MISS, BLOCKED. A packet that nobody takes is DONE, as on a wire.
 */
SvanStep svan_pkt_send(SvanFn *fn, const SvanPkt *pkt);
/*
 * That for frames: takes the frame, unless it is BLOCKED. *sent: it has left the
 * port; else it was dropped.
 */
SvanStep svan_frame_send(SvanFn *fn, SvanFrame *frame, bool *sent);
/* Counted and traced; reason: enum SvanDrop. Always DONE. */
SvanStep svan_pkt_drop(SvanFn *fn, const SvanPkt *pkt, uint64_t *counter,
                       uint32_t reason);
SvanStep svan_frame_drop(SvanFn *fn, const SvanFrame *frame, uint64_t *counter,
                         uint32_t reason);

/*
 * Where the switch leaves what is for a function. DONE: consumed, or dropped and
 * counted. AGAIN, MISS: the same again in another step.
 */
typedef struct SvanReceiver {
    SvanStep (*packet)(SvanFn *fn, const SvanPkt *pkt);
    /* One page a step; *offset is the caller's, 0 at first. */
    SvanStep (*frame)(SvanFn *fn, const SvanFrame *frame, uint32_t *offset);
} SvanReceiver;

extern const SvanReceiver svan_qp_receiver;         /* receive.c */
/* One step of the receive queue. IDLE when empty. */
SvanStep svan_rx_step(SvanCore *core);
void svan_rx_drop_head(SvanCore *core);

/* SVAN_TRACE_PKT_DROP, SVAN_TRACE_FRAME_DROP: reason */
typedef enum SvanDrop {
    SVAN_DROP_NO_QP = 1,
    SVAN_DROP_WRONG_PEER,
    SVAN_DROP_WRONG_STATE,
    SVAN_DROP_MALFORMED,
    SVAN_DROP_NO_BUFFER,
    SVAN_DROP_TOO_LONG,
    SVAN_DROP_FILTERED,
    SVAN_DROP_DUPLICATE,
    SVAN_DROP_OUT_OF_SEQUENCE,
    SVAN_DROP_PAGE_ABSENT,
    SVAN_DROP_PORT_DISABLED,
} SvanDrop;

/* ---- Ethernet ---- */

typedef struct SvanEthFilter {
    uint32_t qpn;               /* 0: reception is off */
    uint8_t mac[6];
    uint8_t flags;
    uint32_t max_frame;
    uint32_t num_mcast;
    uint8_t mcast[SVAN_MAX_MCAST][6];
} SvanEthFilter;

/*
 * Hand a frame to the Ethernet function, one page a step; *offset is the
 * caller's, 0 at first. DONE: delivered or dropped, counted.
 */
SvanStep svan_eth_rx(SvanFn *fn, const SvanFrame *frame, uint32_t *offset);
bool svan_eth_wants(const SvanFn *fn, const uint8_t *dmac);

/* ---- process contexts; context.c ---- */

/* What the TLB holds of a process. */
typedef struct SvanContext {
    uint64_t serial;            /* of its entries, as SvanKey.serial; 0: none */
    uint64_t limit;             /* end of user space */
    uint32_t generation;        /* of the context that they come from */
    bool huge;                  /* some of them are of larger leaves */
} SvanContext;

uint32_t svan_context_table_set(SvanFn *fn,
                                const struct svan_cmd_context_table *cmd);
void svan_context_table_clear(SvanFn *fn);          /* process_keys is 0 */
/* SVAN_REG_INV_CONTEXT */
void svan_invalidate_context(SvanFn *fn, uint32_t pasid, uint64_t value);

/* ---- functions ---- */

/*
 * Doorbell slot of a QP or CQ index, there as long as the function.
 * Lock-free: svan_doorbell() checks owner (the UAR page, 0 = nobody; slot 0 of
 * UAR 0 is stored as UAR + 1), stores the value, and pushes the slot on
 * core->rung if it is not on it yet.
 */
#define SVAN_DB_RUNG            0x80000000ull   /* the word holds a value */

typedef struct SvanDbSlot {
    _Atomic uint64_t owner;     /* (uar + 1) << 32 | qn, 0 = free */
    /* value | SVAN_DB_RUNG; of a CQ: arm for any, arm for solicited ones */
    _Atomic uint64_t word[2];
    _Atomic uint32_t queued;
    SvanDbTarget *target;       /* the engine's; NULL: nobody */
    struct SvanDbSlot *next;    /* owned by who set queued, then by the engine */
    uint16_t fn;
} __attribute__((aligned(64))) SvanDbSlot;

typedef struct SvanTlbEntry {
    uint64_t serial;            /* SvanKey's or SvanContext's, 0 = free */
    uint64_t page;              /* va >> page_shift of the key */
    uint64_t bus;               /* of the page; bit 0: writable */
    uint64_t generation;        /* SvanFn.tlb_generation when it was filled */
} SvanTlbEntry;

#define SVAN_TLB_WRITABLE       1ull

#define SVAN_TLB_SIZE           8192    /* entries of a function, power of two */

/* What those below the device ask of the function that they are in. */
typedef struct SvanFnOps {
    void (*fatal)(SvanFn *fn);  /* fn->fatal has just been set: stop everything */
} SvanFnOps;

struct SvanFn {
    SvanCore *core;
    const SvanFnOps *ops;
    const SvanReceiver *receiver;
    uint16_t id;                /* 0 = PF */
    uint8_t mac[6];
    bool enabled;
    bool port_enabled;          /* SVAN_CMD_SET_PORT */
    uint32_t fatal, generation;
    uint32_t msix_count, uar_count;
    uint64_t features;
    uint32_t off_reason;

    /* registers as written; regs.c */
    uint64_t cmdq_base, cmdr_base;
    uint32_t cmdq_log_size;
    uint32_t scratch, test_dma_size, test_dma_ctrl;
    uint64_t test_dma_addr;
    uint32_t inv_target;
    uint64_t inv_addr, inv_length;
    uint64_t clock_latch;       /* at the last read of the low half */

    /* command queue, latched by CONTROL.ENABLE; cmd.c */
    struct {
        uint64_t ring, resp;
        uint32_t log_size, pi, ci;
    } cmdq;
    SvanLink cmd_link;          /* core->cmd_work: a command, or the DMA test */

    SvanEq *eqs[SVAN_MAX_EQS];
    SvanEvents events;          /* of no queue */
    uint32_t *uar_owner;        /* by page, SVAN_NONE = free */
    uint32_t *uar_process;      /* of the owner; 0: charged alone */
    uint32_t *uar_refs;         /* queues that are rung there */
    SvanTable pds;              /* slot: uint32_t *refs */
    SvanTable keys, cqs, qps;
    SvanDbSlot *qp_slots, *cq_slots;
    SvanGid gids[SVAN_MAX_GID];
    uint32_t gid_limit;         /* one above the highest valid index */
    SvanEthFilter eth;
    SvanTlbEntry *tlb;
    uint64_t tlb_generation;
    uint64_t key_serial;        /* last one given out */
    SvanAbsent absent;
    SvanPrq *prq;               /* page request queue, NULL: none; fault.c */
    SvanSpares *spares;         /* hold.c */
    SvanInjections *injections; /* NULL: none; inject.c */
#define SVAN_ACCOUNT_CHAINS     64u
    SvanAccount *accounts[SVAN_ACCOUNT_CHAINS]; /* by id; account.c */
    uint32_t held_bytes;        /* of the fault buffer */
    struct svan_fault_policy policy;    /* of new queue pairs; checked */
    struct {
        uint64_t addr;          /* bus address */
        uint32_t count;         /* 0: none */
    } context_table;
    SvanContext *contexts;      /* by PASID */
    uint32_t process_keys;      /* that exist */
    struct {
#define SVAN_STAT_U64(name) uint64_t name;
        SVAN_STATS(SVAN_STAT_U64)
#undef SVAN_STAT_U64
    } stats;
    /* counted by other threads, added to stats when they are read */
    _Atomic uint64_t doorbells, doorbells_refused, doorbells_bad_access;
};

/* Sources of work, which svan_run() serves in turn. */
typedef enum SvanTurn {
    SVAN_TURN_CMD,
    SVAN_TURN_EQ,
    SVAN_TURN_FAULT,
    SVAN_TURN_RX,
    SVAN_TURN_QP,
    SVAN_TURN_POLL,
    SVAN_TURN_COUNT,
} SvanTurn;

struct SvanCore {
    SvanOps ops;
    void *opaque;
    SvanConfig config;
    SvanFn **fns;               /* 1 + num_vfs */
    uint32_t num_fns;
    bool link_up;
    uint64_t poll_ns;

    _Atomic(SvanDbSlot *) rung; /* LIFO of rung slots, taken whole */
    SvanDbSlot *rung_taken;     /* the rest of what was taken */
    SvanTurn turn;              /* who is looked at first */
    uint32_t timer_skipped;     /* runs since the timers were looked at */
    SvanLink run, poll, blocked, cmd_work, eq_work, fault_work;
    SvanTimer **heap;
    uint32_t heap_len, heap_reserved, heap_capacity;
    uint64_t timer_order;
    uint64_t deadline_told;

    SvanFrame *rx_head, **rx_tail;
    uint32_t rx_frames;
    uint32_t rx_offset;         /* progress of the frame at the head */
    uint32_t rx_fn;             /* function that receives it now */
    uint32_t rx_qpn;            /* its QP that has begun to, 0: none */
};

static inline SvanFn *svan_fn(SvanCore *core, uint16_t id)
{
    return id < core->num_fns ? core->fns[id] : NULL;
}

static inline uint64_t svan_now(SvanCore *core)
{
    return core->ops.now(core->opaque);
}

static inline SvanKey *svan_key_get(SvanFn *fn, uint32_t key)
{
    SvanKey *k = svan_table_get(&fn->keys, key >> SVAN_KEY_INDEX_SHIFT);

    return k && k->key == key ? k : NULL;
}

/* For the next run, polling and timers aside. */
bool svan_has_work(SvanCore *core);

static inline void svan_kick(SvanCore *core)
{
    core->ops.kick(core->opaque);
}

void svan_trace(const SvanFn *fn, SvanTraceEvent event, uint32_t id,
                uint64_t a, uint64_t b, uint64_t c);
/* Take the function out of service; only svan_reset() leaves the state. */
void svan_fatal(SvanFn *fn, uint32_t code);
uint32_t svan_port_status(const SvanFn *fn);

/* ---- commands; cmd.c ---- */

/* What a handler works on: a copy of the command, and the response to be. */
typedef struct SvanCmdCtx {
    SvanFn *fn;
    const struct svan_cmd *cmd;
    struct svan_cmd_resp *resp;
} SvanCmdCtx;

/* DONE: resp is complete; MISS: nothing has changed. */
typedef SvanStep SvanCmdHandler(SvanCmdCtx *ctx);

/* Fill the response: SVAN_CMD_OK or a refusal. Always DONE. */
SvanStep svan_cmd_answer(SvanCmdCtx *ctx, uint32_t refusal);

SvanCmdHandler svan_cmd_query_caps, svan_cmd_query_stats;
SvanCmdHandler svan_cmd_create_eq, svan_cmd_destroy_eq;
SvanCmdHandler svan_cmd_alloc_uar, svan_cmd_free_uar;
SvanCmdHandler svan_cmd_alloc_pd, svan_cmd_free_pd;
SvanCmdHandler svan_cmd_create_key, svan_cmd_destroy_key, svan_cmd_query_key;
SvanCmdHandler svan_cmd_modify_key;
SvanCmdHandler svan_cmd_create_cq, svan_cmd_destroy_cq, svan_cmd_moderate_cq;
SvanCmdHandler svan_cmd_create_qp, svan_cmd_destroy_qp;
SvanCmdHandler svan_cmd_modify_qp, svan_cmd_query_qp;
SvanCmdHandler svan_cmd_set_gid, svan_cmd_clear_gid;
SvanCmdHandler svan_cmd_eth_set_filter, svan_cmd_eth_set_mcast;
SvanCmdHandler svan_cmd_set_port;
SvanCmdHandler svan_cmd_create_prq, svan_cmd_destroy_prq;
SvanCmdHandler svan_cmd_set_fault_policy, svan_cmd_query_fault_policy;
SvanCmdHandler svan_cmd_set_spare_pages;
SvanCmdHandler svan_cmd_set_context_table;

void svan_cmdq_start(SvanFn *fn);
void svan_cmdq_stop(SvanFn *fn);
void svan_cmdq_doorbell(SvanFn *fn, uint32_t pi);
SvanStep svan_cmd_step(SvanCore *core);
/* SVAN_REG_TEST_DMA_CTRL: the step that does it. DONE or MISS. */
SvanStep svan_test_dma_step(SvanFn *fn);

/* ---- GIDs, Ethernet filters; the checks are those of the commands ---- */

uint32_t svan_gid_set(SvanFn *fn, const struct svan_cmd_set_gid *cmd);
uint32_t svan_gid_clear(SvanFn *fn, uint32_t index);
uint32_t svan_eth_filter_set(SvanFn *fn, const struct svan_cmd_eth_filter *cmd);

/* ---- state streams: little-endian, errors are sticky ---- */

struct SvanWriter {
    uint8_t *data;
    size_t len, capacity;
    bool failed;
};

struct SvanReader {
    const uint8_t *data;
    size_t len, pos;
    bool failed;
};

void svan_put_u8(SvanWriter *writer, uint8_t value);
void svan_put_u16(SvanWriter *writer, uint16_t value);
void svan_put_u32(SvanWriter *writer, uint32_t value);
void svan_put_u64(SvanWriter *writer, uint64_t value);
void svan_put_bytes(SvanWriter *writer, const void *bytes, size_t len);
uint8_t svan_get_u8(SvanReader *reader);        /* 0 once failed */
uint16_t svan_get_u16(SvanReader *reader);
uint32_t svan_get_u32(SvanReader *reader);
uint64_t svan_get_u64(SvanReader *reader);
void svan_get_bytes(SvanReader *reader, void *bytes, size_t len);

/* A timer in the stream: whether it runs, and when. Load restarts it. */
void svan_timer_save(const SvanTimer *timer, SvanWriter *writer);
void svan_timer_load(SvanCore *core, SvanTimer *timer, SvanReader *reader);

#endif /* SVAN_CORE_INTERNAL_H */
