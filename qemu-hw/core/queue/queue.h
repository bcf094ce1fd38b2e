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
    SvanLink link;              /* fn->work[SVAN_TURN_EQ] while events wait */
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
/* Of the EQ whose turn it is. */
SvanStep svan_eq_step(SvanFn *fn);

typedef struct SvanDbSlot SvanDbSlot;

/* What a doorbell slot rings, of a number. */
typedef struct SvanDbTarget {
    uint32_t qn;
    SvanDbSlot *slot;           /* while it is open */
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

/* Whoever owns it: entries are given out and completed in their order. */
typedef struct SvanRq {
    SvanKey *ring_key;
    uint64_t va;
    uint64_t pi_va;             /* of the producer index in the record */
    uint8_t log_size;
    uint8_t log_stride;         /* 0: there is no receive queue */
    uint32_t ci;                /* oldest entry that is not completed */
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

    SvanLink poll_link;         /* fn->work[SVAN_TURN_POLL]: POLLING is set */
    bool poll_parked;           /* POLLING is set; ready or blocked: not looked at */
    uint8_t clock_skipped;      /* looks at the record, while there was other work */
    uint64_t last_active;       /* ns, for the poll list; 0 = since now */
    uint32_t pi_polled;         /* last one that the poll list has seen there */
} SvanSq;

/*
 * Read the producer index: the later of record and doorbell, checked against
 * ci (the first block or entry not yet given back) and the ring. DONE, MISS,
 * ERROR. They store to the queue's producer.
 */
SvanStep svan_sq_producer(SvanSq *sq, uint32_t ci, uint32_t *syndrome);
SvanStep svan_rq_producer(SvanRq *rq, uint32_t *syndrome);
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

/* What a WQE of each opcode may be, and the message that it is sent as. */
typedef struct SvanWqeInfo {
    uint16_t types;             /* bit n: SvanSq.type n; 0: there is no such WQE */
    uint8_t flags;              /* accepted SVAN_WQE_* */
    uint8_t max_sge;
    uint8_t verb;               /* SvanVerb */
    uint8_t request;            /* SVAN_OP_*, of READs and atomics: one packet */
    bool imm;
} SvanWqeInfo;

extern const SvanWqeInfo svan_wqes[256];    /* wqe.c */

static inline const SvanWqeInfo *svan_wqe_info(uint8_t opcode)
{
    return &svan_wqes[opcode];
}

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

/* ---- the entries of a receive queue, one after the other ---- */

/* Is there one? DONE, MISS, ERROR; IDLE: none. The record is read when all are used. */
SvanStep svan_rq_find(SvanRq *rq, uint32_t *syndrome);
/* The oldest, decoded. ERROR: it is at fault (*status), or the queue is (SUCCESS). */
SvanStep svan_rq_fetch(SvanRq *rq, SvanRwqe *rwqe, uint8_t *status,
                       uint32_t *syndrome);
/* The oldest is used up, and cqe, all but wqe_index, says so; slot NULL: nobody is told. */
void svan_rq_complete(SvanRq *rq, SvanCqSlot *slot, struct svan_cqe *cqe);

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

/* ---- doorbells and the POLLING flag ---- */

/*
 * Doorbell slot of a QP or CQ index, there until svan_destroy() once its index was
 * used. Lock-free: svan_doorbell() checks owner (the UAR page, 0 = nobody; slot 0 of
 * UAR 0 is stored as UAR + 1), stores the value, and pushes the slot on
 * SvanDoorbells.rung if it is not on it yet.
 */
#define SVAN_DB_RUNG            0x80000000ull   /* the word holds a value */

struct SvanDbSlot {
    _Atomic uint64_t owner;     /* (uar + 1) << 32 | qn, 0 = free */
    /* value | SVAN_DB_RUNG; of a CQ: arm for any, arm for solicited ones */
    _Atomic uint64_t word[2];
    _Atomic uint32_t queued;
    SvanDbTarget *target;       /* the engine's; NULL: nobody */
    struct SvanDbSlot *next;    /* owned by who set queued, then by the engine */
    uint16_t fn;
} __attribute__((aligned(64)));

/*
 * The slots of a function come in chunks: the first has those of 8 indices, each
 * other one as many as all before it together.
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

/* There is one when it is true; false: no memory. */
bool svan_db_table_make(SvanFn *fn);
/* Nobody rings any more: svan_destroy() alone may do this. */
void svan_db_table_free(SvanFn *fn);
/* target->qn is rung on UAR page `uar` from now on. false: no memory. */
bool svan_db_open(SvanFn *fn, SvanDbKind kind, uint32_t uar,
                  SvanDbTarget *target);
void svan_db_close(SvanDbTarget *target);
/* Drop what was rung and not collected yet. */
void svan_db_forget(SvanDbTarget *target);
/* Take some of the rung slots; their number. */
uint32_t svan_db_take(SvanCore *core);
/* The record's POLLING flag may be set: watch it until it is cleared. */
void svan_poll_begin(SvanSq *sq);
static inline bool svan_poll_is_armed(const SvanSq *sq)
{
    return sq->poll_link.next || sq->poll_parked;
}

/* Set the flag if possible; the queue's owner is ready. */
void svan_poll_arm(SvanSq *sq);
/* Do not look any more; the flag is left as it is. */
void svan_poll_end(SvanSq *sq);
/* Its owner is ready, or waits for the wire: the same, for a while. */
void svan_poll_park(SvanSq *sq);
/* Look at some of a function's records. IDLE: nothing has changed. */
SvanStep svan_poll_step(SvanFn *fn);

/* ---- the part of a function, and of the core ---- */

typedef struct SvanUar {
    uint32_t owner;             /* SVAN_NONE = free */
    uint32_t process;           /* of the owner; 0: charged alone */
    uint32_t refs;              /* queues that are rung there */
} SvanUar;

typedef struct SvanQueues {
    SvanEq *eqs[SVAN_MAX_EQS];
    SvanEvents events;          /* of no queue */
    SvanUar *uars;              /* the pages behind them are free */
    uint32_t num_uars;
    SvanTable cqs;
} SvanQueues;

/* NULL: nobody has it. */
static inline SvanUar *svan_uar_get(const SvanFn *fn, uint32_t uar)
{
    const SvanQueues *queues = fn->queues;

    return uar < queues->num_uars && queues->uars[uar].owner != SVAN_NONE ?
           &queues->uars[uar] : NULL;
}

/* A page that is free; NULL: there is none, or no memory. */
SvanUar *svan_uar_take(SvanFn *fn, uint32_t uar, uint32_t owner,
                       uint32_t process);

typedef struct SvanDoorbells {
    _Atomic(SvanDbSlot *) rung; /* LIFO of rung slots, taken whole */
    SvanDbSlot *taken;          /* the rest of what was taken */
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
