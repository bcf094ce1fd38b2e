/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queues: events, completions, work queue entries and doorbells.
 */
#ifndef SVAN_QUEUE_H
#define SVAN_QUEUE_H

#include "net/switch.h"

typedef struct SvanCq SvanCq;
typedef struct SvanEq SvanEq;

/* ---- event and completion queues ---- */

/*
 * Asynchronous events of an object, or of the function, that wait for room on EQ 0.
 * Several of one type become one event.
 */
typedef struct SvanEvents {
    SvanFn *fn;
    uint32_t qn;                /* of the object, or function, they are about; 0: fn itself */
    uint32_t syndrome;          /* data of its error events */
    SvanLink link;              /* SvanEq.sources of EQ 0, while types is not 0 */
    uint64_t types;             /* bit n: enum svan_event n */
} SvanEvents;

struct SvanEq {
    SvanFn *fn;
    uint32_t eqn;
    uint64_t ring;              /* bus address */
    uint16_t vector;
    uint8_t log_size;
    bool armed;
    bool stalled;               /* events wait for room; eq_overruns has counted it */
    uint32_t pi, ci;
    SvanLink link;              /* fn->work[SVAN_TURN_EQ] while events wait */
    SvanLink cqs;               /* CQs whose completion event waits */
    SvanLink sources;           /* EQ 0: SvanEvents that wait */
    uint32_t refs;              /* CQs that use it */
};

/* The event types that objects of each kind may have. */
#define SVAN_EVENTS_BIT(name)   (1ull << SVAN_EVENT_##name)
#define SVAN_EVENTS_FN          (SVAN_EVENTS_BIT(CMD) | \
                                 SVAN_EVENTS_BIT(PORT) | \
                                 SVAN_EVENTS_BIT(PAGE_REQUEST) | \
                                 SVAN_EVENTS_BIT(FATAL))
#define SVAN_EVENTS_FLOW        SVAN_EVENTS_BIT(FLOW)
#define SVAN_EVENTS_CQ          SVAN_EVENTS_BIT(CQ_ERROR)
#define SVAN_EVENTS_QP_ERROR    (SVAN_EVENTS_BIT(QP_FATAL) | \
                                 SVAN_EVENTS_BIT(QP_REQ_ERR) | \
                                 SVAN_EVENTS_BIT(QP_ACCESS_ERR))
#define SVAN_EVENTS_QP          (SVAN_EVENTS_QP_ERROR | \
                                 SVAN_EVENTS_BIT(QP_COMM_EST) | \
                                 SVAN_EVENTS_BIT(QP_SQ_DRAINED) | \
                                 SVAN_EVENTS_BIT(QP_LAST_WQE))
#define SVAN_EVENTS_SRQ         (SVAN_EVENTS_BIT(SRQ_LIMIT) | \
                                 SVAN_EVENTS_BIT(SRQ_ERROR))

/*
 * Report an event of a type that the object may have; without EQ 0 it is lost. data is
 * the syndrome of an error, and ignored for other types.
 */
void svan_event(SvanEvents *events, uint8_t type, uint32_t data);
/* Drop the events that wait: their object is destroyed or reset. */
void svan_events_drop(SvanEvents *events);
/* Restore events from saved state. false: no EQ 0, or the object has events already. */
bool svan_events_load(SvanEvents *events, uint64_t types, uint32_t syndrome);
uint32_t svan_eq_create(SvanFn *fn, const struct svan_cmd_create_eq *cmd);
void svan_eq_destroy(SvanEq *eq);                   /* refs is 0 */
/* A write of value to the EQ's SVAN_REG_EQ_DB: 24 bits of consumer index, and ARM. */
void svan_eq_doorbell(SvanEq *eq, uint32_t value);
void svan_eq_schedule(SvanEq *eq);
/* One step of the function's EQ whose turn it is; there is one. */
SvanStep svan_eq_step(SvanFn *fn);

typedef struct SvanDbSlot SvanDbSlot;

/* The part of a queue that its doorbell slot leads to. */
typedef struct SvanDbTarget {
    uint32_t qn;
    SvanDbSlot *slot;           /* from svan_db_open() on */
    /* called in the engine; word: SVAN_DB_WORD_*; index: as rung */
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
    bool ignore_overrun;        /* it is never full, and ci is not read */
    bool error;
    bool armed, armed_solicited;
    bool event_pending;         /* on eq->cqs */
    uint32_t pi;
    uint32_t ci;                /* as last read from the record */
    uint32_t solicited_pi;      /* behind the last solicited or error entry */
    uint16_t moderate_count, moderate_us;
    uint32_t moderate_done;     /* completions while armed, since the last event */
    SvanTimer moderate_timer;
    SvanLink link;              /* eq->cqs */
    SvanEvents events;
    uint32_t refs;              /* queue pairs that use it */
};

/*
 * Clear the record, and the next part of the ring, from octet *done on, before the CQ is
 * created. DONE, AGAIN, MISS, or ERROR: *refusal.
 */
SvanStep svan_cq_clear(SvanFn *fn, const struct svan_cmd_create_cq *cmd,
                       uint64_t *done, uint32_t *refusal);
uint32_t svan_cq_create(SvanFn *fn, const struct svan_cmd_create_cq *cmd,
                        uint32_t id, SvanCq **out);
void svan_cq_destroy(SvanCq *cq);                   /* refs is 0 */
SvanCq *svan_cq_get(SvanFn *fn, uint32_t cqn);
/* Arm for the next completion, or the next solicited one, at or after index ci. */
void svan_cq_arm(SvanCq *cq, uint32_t ci, bool solicited);
/* MODERATE_CQ; the new values also concern an event that waits already. */
void svan_cq_moderate(SvanCq *cq, uint16_t count, uint16_t period_us);

/*
 * A slot of a CQ, which a step reserves before it changes anything. A CQ has one such
 * slot at a time: a step that writes two entries to it commits the first before it
 * reserves the second.
 */
typedef struct SvanCqSlot {
    SvanCq *cq;
    SvanMem mem;
} SvanCqSlot;

/*
 * DONE, MISS, or ERROR: the CQ is overrun or its ring unreachable. Then the CQ is in
 * error, its event is sent, slot->cq is NULL, and the caller takes its QP to the error
 * state.
 */
SvanStep svan_cq_reserve(SvanCq *cq, SvanCqSlot *slot);
/* Write the entry, and send the event if the CQ is armed. cqe->owner: without PHASE. */
void svan_cq_commit(SvanCqSlot *slot, struct svan_cqe *cqe);

/* ---- completion counters ---- */

typedef enum SvanCountKind {
    SVAN_COUNT_SUCCESS,
    SVAN_COUNT_ERROR,
    SVAN_COUNTS
} SvanCountKind;

typedef struct SvanCount {
    SvanKey *key;
    uint64_t va;
    uint64_t value;             /* as it is to stand in memory */
} SvanCount;

typedef struct SvanCounter {
    SvanFn *fn;
    uint32_t id;
    uint32_t owner;             /* the verbs context: that of its queue pairs */
    SvanCount counts[SVAN_COUNTS];
    uint32_t refs;              /* sides of queue pairs that it counts */
} SvanCounter;

/* A count whose memory a step has found, before it changes anything. */
typedef struct SvanCounterSlot {
    SvanCounter *counter;
    SvanCountKind kind;
    SvanMem mem;                /* host NULL: it is unreachable */
} SvanCounterSlot;

/*
 * Find the memory of the counts that the command asks for, before the counter is
 * created. DONE, MISS, or ERROR: *refusal. The slots are not to be used; their memory is.
 */
SvanStep svan_counter_try(SvanFn *fn, const struct svan_cmd_create_counter *cmd,
                          SvanCounterSlot slots[SVAN_COUNTS], uint32_t *refusal);
/* Nothing is stored. SVAN_CMD_OK or a refusal (base.h). */
uint32_t svan_counter_create(SvanFn *fn,
                             const struct svan_cmd_create_counter *cmd,
                             uint32_t id, SvanCounter **out);
void svan_counter_destroy(SvanCounter *counter);    /* refs is 0 */
SvanCounter *svan_counter_get(SvanFn *fn, uint32_t id);
/*
 * DONE, MISS, or ERROR: the memory is unreachable. After an ERROR the slot may be used
 * all the same: then the device counts, but stores nothing until the next time.
 */
SvanStep svan_counter_reserve(SvanCounter *counter, SvanCountKind kind,
                              SvanCounterSlot *slot);
void svan_counter_set(const SvanCounterSlot *slot, uint64_t value);
void svan_counter_add(const SvanCounterSlot *slot, uint64_t number);

/* What a completion needs: a slot of a CQ, a count, or both. */
typedef struct SvanCompletionSlot {
    SvanCqSlot cq;              /* cq.cq NULL: no CQE is written */
    SvanCounterSlot count;      /* count.counter NULL: nothing is counted */
} SvanCompletionSlot;

/* svan_completion_reserve() where there is a counter. cq NULL: without a CQE. */
SvanStep svan_completion_count(SvanCompletionSlot *slot, SvanCq *cq,
                               SvanCounter *counter, bool success);

/*
 * counter NULL: without a count; then there is a cq. DONE, MISS, or ERROR: the CQ or the
 * counter is unreachable, or the CQ is overrun. What is left of the slot may be used
 * then, by those who complete a work request in any case.
 */
static inline SvanStep svan_completion_reserve(SvanCompletionSlot *slot,
                                               SvanCq *cq, SvanCounter *counter,
                                               bool success)
{
    if (counter) {
        return svan_completion_count(slot, cq, counter, success);
    }
    slot->count.counter = NULL;
    return svan_cq_reserve(cq, &slot->cq);
}

/* Why that was an ERROR. */
static inline uint32_t svan_completion_syndrome(const SvanCompletionSlot *slot)
{
    return slot->count.counter && !slot->count.mem.host ? SVAN_SYN_COUNTER :
                                                          SVAN_SYN_CQ_OVERRUN;
}

/*
 * Count what is completed. It comes behind the CQE: who sees the count, finds the CQE,
 * which tells what a count of errors does not.
 */
static inline void svan_completion_counted(const SvanCompletionSlot *slot)
{
    if (slot->count.counter) {
        svan_counter_add(&slot->count, 1);
    }
}

/* ---- work queues ---- */

/* Producer indices of a queue: as published by doorbell record, and by doorbell. */
typedef struct SvanProducer {
    uint32_t pi;                /* the index that the device goes by */
    uint32_t seen;              /* the record's value that was looked at last */
    uint32_t rung_pi;           /* the latest index of doorbells since the last look */
    bool rung;                  /* rung_pi has not been looked at yet */
} SvanProducer;

/* A receive queue. Its entries are given out and completed in their order. */
typedef struct SvanRq {
    SvanKey *ring_key;
    SvanKey *dbr_key;           /* of the doorbell record */
    uint64_t va;
    uint64_t pi_va;             /* of the record's producer index */
    uint8_t log_size;
    uint8_t log_stride;         /* 0: there is no receive queue */
    uint32_t ci;                /* oldest entry that is not completed */
    SvanProducer producer;
} SvanRq;

typedef struct SvanSq {
    SvanKey *ring_key;
    SvanKey *dbr_key;           /* of the doorbell record */
    uint64_t va;
    uint64_t dbr_va;            /* of the doorbell record */
    uint32_t qpn;
    uint8_t log_bbs;
    uint8_t type;               /* enum svan_qp_type: which opcodes there are */
    bool signal_all;            /* every WQE is signaled */
    bool flushing;              /* error state: posted receives are flushed, too */
    SvanProducer producer;
    SvanWork *work;             /* of the object that executes the WQEs */

    SvanLink poll_link;         /* fn->work[SVAN_TURN_POLL]: POLLING is set */
    bool poll_parked;           /* POLLING is set, but work is ready or blocked */
    uint8_t clock_skipped;      /* looks at the record, while there was other work */
    uint32_t pi_polled;         /* the record's sq_pi as last read */
    uint64_t last_active;       /* ns; 0: the next look at the clock sets it */
} SvanSq;

/*
 * Update the queue's producer.pi: to the later of record and doorbell, checked against
 * the ring's size and ci, the first block or entry that is not completed. DONE, MISS or
 * ERROR.
 */
SvanStep svan_sq_producer(SvanSq *sq, uint32_t ci, uint32_t *syndrome);
SvanStep svan_rq_producer(SvanRq *rq, uint32_t *syndrome);
/* RESET: indices are as after creation. The POLLING flag is left as it is. */
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
    uint32_t length;            /* octets of all entries, or inline */
    uint32_t rkey;
    uint64_t remote;
    __be32 imm;
    uint64_t swap_add, compare;
    struct svan_wqe_eth eth;
    struct svan_av av;          /* AV: its source GID is in range */
    union {
        SvanSge sge[SVAN_MAX_SGE];
        uint8_t data[SVAN_MAX_INLINE];
    };
} SvanWqe;

typedef struct SvanRwqe {
    uint32_t index;
    uint32_t length;
    uint32_t num_sge;
    uint64_t wr_id;             /* of a shared receive queue */
    SvanSge sge[SVAN_MAX_SGE];
} SvanRwqe;

/* What is allowed in a WQE of each opcode, and the message that it becomes. */
typedef struct SvanWqeInfo {
    uint16_t types;             /* bit n: SvanSq.type n; 0: there is no such WQE */
    uint8_t flags;              /* accepted SVAN_WQE_* */
    uint8_t max_sge;
    uint8_t verb;               /* SvanVerb */
    uint8_t request;            /* SVAN_OP_* of the request packet: READs, atomics */
    bool imm;
} SvanWqeInfo;

extern const SvanWqeInfo svan_wqes[256];    /* wqe.c */

static inline const SvanWqeInfo *svan_wqe_info(uint8_t opcode)
{
    return &svan_wqes[opcode];
}

/*
 * Fetch and decode the WQE at index. DONE, MISS, or ERROR with *status (enum
 * svan_cqe_status) and *syndrome; then wqe->index, opcode, flags and num_bbs (1 if it
 * is not to be trusted) are set all the same. The form is checked (opcodes of the QP's
 * type, sizes, lengths), keys are not.
 */
SvanStep svan_wqe_fetch(const SvanSq *sq, uint32_t index, SvanWqe *wqe,
                        uint8_t *status, uint32_t *syndrome);
SvanStep svan_rwqe_fetch(const SvanRq *rq, uint32_t index, SvanRwqe *rwqe,
                         uint8_t *status, uint32_t *syndrome);

/* ---- the entries of a receive queue, one after the other ---- */

/* Is there an entry? DONE, MISS, ERROR; IDLE: no. Reads the record if all are used. */
SvanStep svan_rq_find(SvanRq *rq, uint32_t *syndrome);
/* Decode the oldest entry. ERROR: it is bad (*status), or the queue is (SUCCESS). */
SvanStep svan_rq_fetch(SvanRq *rq, SvanRwqe *rwqe, uint8_t *status,
                       uint32_t *syndrome);
/* Complete the oldest entry by cqe, whose wqe_index is set here; slot NULL: no CQE. */
void svan_rq_complete(SvanRq *rq, SvanCqSlot *slot, struct svan_cqe *cqe);

/* ---- shared receive queues ---- */

/*
 * Entries are taken in their order by those who share the queue, and completed in any: what
 * is taken is copied, and its slot is the host's again.
 */
typedef struct SvanSrq {
    SvanFn *fn;
    uint32_t srqn;
    SvanUser user;              /* whose memory the entries name */
    SvanRq rq;                  /* ci: the oldest entry that was not taken */
    uint64_t ci_va;             /* of the record's ci */
    uint32_t limit;             /* 0: no event is asked for */
    bool error;
    SvanEvents events;
    uint32_t refs;              /* queue pairs that use it */
} SvanSrq;

/*
 * Find the record of the queue that the command asks for, before it is created. DONE, MISS,
 * or ERROR: *refusal.
 */
SvanStep svan_srq_map_record(SvanFn *fn, const struct svan_cmd_create_srq *cmd,
                             SvanMem *record, uint32_t *refusal);
/* SVAN_CMD_OK or a refusal (base.h). */
uint32_t svan_srq_create(SvanFn *fn, const struct svan_cmd_create_srq *cmd,
                         uint32_t id, SvanSrq **out);
void svan_srq_destroy(SvanSrq *srq);                /* refs is 0 */
SvanSrq *svan_srq_get(SvanFn *fn, uint32_t srqn);
uint32_t svan_srq_modify(SvanSrq *srq, uint32_t limit);
/*
 * Take the oldest entry. DONE; MISS; IDLE: there is none; ERROR: the entry that was taken is
 * bad (*status), or the queue is (SUCCESS).
 */
SvanStep svan_srq_take(SvanSrq *srq, SvanRwqe *rwqe, uint8_t *status,
                       uint32_t *syndrome);
void svan_save_srqs(SvanFn *fn, SvanWriter *writer);
bool svan_load_srqs(SvanFn *fn, SvanReader *reader);

/*
 * svan_gather() finds the runs of memory, at most SVAN_MAX_PKT_RUNS, of the octets
 * [offset, offset + len) of a message, over its entries, and checks the local right
 * `access`. DONE, or as svan_access(). If a page is absent, the page miss also covers
 * what lies behind it of the `wanted` octets from offset on, within the entry and key.
 */
typedef struct SvanGather {
    const SvanUser *user;
    const SvanSge *sge;
    uint32_t num_sge;
    uint8_t access;             /* 0 or SVAN_ACCESS_LOCAL_WRITE */
    uint32_t wanted;            /* octets; at least len are taken as wanted */
} SvanGather;

SvanStep svan_gather(const SvanGather *gather, uint32_t offset, uint32_t len,
                     SvanMem *runs, uint32_t *num_runs, uint32_t *syndrome);
/* Copy between run lists; the destination's runs are reported as stored. */
void svan_scatter(SvanFn *fn, const SvanMem *dst, uint32_t num_dst,
                  const SvanMem *src, uint32_t num_src, uint32_t len);

/* ---- doorbells and the POLLING flag ---- */

/*
 * Doorbell slot of a QP or CQ index. It exists from the first use of the index, or of
 * one near it, until svan_destroy(). svan_doorbell() takes no lock: it compares owner
 * (UAR page and number of the queue) with what was rung, stores the value unless a later
 * index stands there, and pushes the slot on SvanDoorbells.rung if it is not there yet.
 * See doorbell.c.
 */
#define SVAN_DB_RUNG            0x80000000u     /* the word holds a value */
#define SVAN_DB_LIFE            0x01000000u     /* + this: the next life of the queue */
#define SVAN_DB_LIFE_MASK       0x7f000000u
#define SVAN_DB_LIVES           127u

struct SvanDbSlot {
    _Atomic uint64_t owner;     /* (uar + 1) << 32 | life | qn; life alone = free */
    /*
     * By SVAN_DB_WORD_*: index as rung << 32 | SVAN_DB_RUNG | life and number of the
     * owner that it was rung for; 0: nothing was rung.
     */
    _Atomic uint64_t word[2];
    _Atomic uint32_t queued;
    SvanDbTarget *target;       /* for the engine alone; NULL: no queue */
    struct SvanDbSlot *next;    /* of the ringer that set queued, then the engine's */
    uint16_t fn;
} __attribute__((aligned(64)));

/*
 * The slots of a function come in chunks: the first chunk has the slots of 8 indices,
 * each later one as many as all before it together.
 */
#define SVAN_DB_FIRST_LOG       3
#define SVAN_DB_CHUNKS          (SVAN_QN_INDEX_SHIFT - SVAN_DB_FIRST_LOG + 1)

typedef enum SvanDbKind {
    SVAN_DB_OF_QP,
    SVAN_DB_OF_CQ,
    SVAN_DB_KINDS
} SvanDbKind;

typedef struct SvanDbTable {
    _Atomic(SvanDbSlot *) chunks[SVAN_DB_KINDS][SVAN_DB_CHUNKS];
} SvanDbTable;

/* Make the function's table, unless it has one. false: no memory. */
bool svan_db_table_make(SvanFn *fn);
/* Only for svan_destroy(), when no thread rings any more. */
void svan_db_table_free(SvanFn *fn);
/* Accept doorbells for target->qn on UAR page `uar`. false: no memory. */
bool svan_db_open(SvanFn *fn, SvanDbKind kind, uint32_t uar,
                  SvanDbTarget *target);
void svan_db_close(SvanDbTarget *target);
/* Drop what was rung and not collected yet: a new life of the queue begins. */
void svan_db_forget(SvanDbTarget *target);
/* Collect a batch of the slots that were rung, and call their targets. The number. */
uint32_t svan_db_take(SvanCore *core);
/* The record's POLLING flag may be set: poll the record until the flag is cleared. */
void svan_poll_begin(SvanSq *sq);
static inline bool svan_poll_is_armed(const SvanSq *sq)
{
    return sq->poll_link.next || sq->poll_parked;
}

/* Set the flag if the record is at hand; the queue's work is ready. */
void svan_poll_arm(SvanSq *sq);
/* Do not poll the record any more; the flag is left as it is. */
void svan_poll_end(SvanSq *sq);
/* The same for as long as the queue's work is ready or waits for the wire. */
void svan_poll_park(SvanSq *sq);
/* Poll a batch of the function's records. IDLE: none has changed. */
SvanStep svan_poll_step(SvanFn *fn);

/* ---- the part of a function, and of the core ---- */

typedef struct SvanUar {
    uint32_t owner;             /* SVAN_NONE = free */
    uint32_t process;           /* of the owner; 0: the owner is charged alone */
    uint32_t refs;              /* queues that are rung there */
} SvanUar;

typedef struct SvanQueues {
    SvanEq *eqs[SVAN_MAX_EQS];
    SvanEvents events;          /* of the function itself */
    SvanEvents *flows;          /* PF: of the flows of each function; else NULL */
    SvanUar *uars;              /* num_uars; the pages behind these are free */
    uint32_t num_uars;
    SvanTable cqs;
    SvanTable counters;
    SvanTable srqs;
} SvanQueues;

/* NULL: the page has no owner. */
static inline SvanUar *svan_uar_get(const SvanFn *fn, uint32_t uar)
{
    const SvanQueues *queues = fn->queues;

    return uar < queues->num_uars && queues->uars[uar].owner != SVAN_NONE ?
           &queues->uars[uar] : NULL;
}

/* Give page `uar` to an owner. NULL: it is not free, does not exist, or no memory. */
SvanUar *svan_uar_take(SvanFn *fn, uint32_t uar, uint32_t owner,
                       uint32_t process);

typedef struct SvanDoorbells {
    _Atomic(SvanDbSlot *) rung; /* LIFO of rung slots, taken whole */
    SvanDbSlot *taken;          /* slots of rung that are not collected yet */
    uint64_t poll_ns;           /* how long an idle queue is polled; 0: never */
} SvanDoorbells;

static inline bool svan_db_is_rung(const SvanCore *core)
{
    return core->doorbells->taken ||
           atomic_load_explicit(&core->doorbells->rung, memory_order_relaxed);
}

/* As svan_db_take(); false: there was none. */
static inline bool svan_db_collect(SvanCore *core)
{
    return svan_db_is_rung(core) && svan_db_take(core);
}

#endif /* SVAN_QUEUE_H */
