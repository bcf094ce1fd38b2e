/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ground floor: lists, tables, timers, streams and trace events, and what every
 * room may know of functions and of the core.
 *
 * Steps. svan_run() gives one object one step. A step first obtains every
 * pointer it needs (svan_access(), svan_cq_reserve(), ...), each of which may
 * answer that the step must stop; only then does it change state and memory.
 * So a step that stops can be started again as if it had never begun. A step that
 * missed is retried before any other, unless svan_set_aside() lets others go on.
 *
 * Only steps transmit. Receiving (SvanTransport.rx) records and schedules, so
 * that a packet delivered locally never recurses.
 */
#ifndef SVAN_BASE_H
#define SVAN_BASE_H

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
typedef struct SvanWriter SvanWriter;
typedef struct SvanReader SvanReader;

/* ---- results of what a step asks for ---- */

typedef enum SvanStep {
    SVAN_STEP_DONE,             /* as asked; for a step: there may be more to do */
    SVAN_STEP_IDLE,             /* a step had nothing to do */
    SVAN_STEP_AGAIN,            /* progress was made, call again in a new step */
    SVAN_STEP_MISS,             /* unwind: the glue translates first */
    SVAN_STEP_BLOCKED,          /* unwind: no room on the wire; svan_tx_ready() */
    SVAN_STEP_LATER,            /* unwind: a timer of its own will make it ready */
    SVAN_STEP_FAULT,            /* a page is absent (on-demand and process keys) */
    SVAN_STEP_ERROR,            /* see the syndrome */
} SvanStep;

/* ---- object tables: index to pointer, indices are handed out here ---- */

typedef struct SvanTable {
    void **slots;
    uint8_t *variants;          /* +1 each time an index is used again */
    uint32_t size;              /* of these; grows up to the capacity */
    uint32_t capacity;          /* the quota: fixed, a power of two */
    uint32_t used;
    uint32_t next;              /* where the search for a free slot begins */
    uint32_t first;             /* lowest index given out */
    uint8_t variant;            /* of an index that was never used */
} SvanTable;

/* Takes no memory. */
void svan_table_init(SvanTable *table, uint32_t capacity, uint32_t first,
                     uint8_t variant);
void svan_table_fini(SvanTable *table);             /* slots must be empty */
/* Indices below `size` at least have room. false: no memory, or out of range. */
bool svan_table_grow(SvanTable *table, uint32_t size);
/* One that no number from this table carries; of the table's next life. */
uint8_t svan_table_next_variant(const SvanTable *table);
/* SVAN_NONE: the quota is reached, or there is no memory. */
uint32_t svan_table_insert(SvanTable *table, void *object);
/* At an index of the caller's choice; false: taken, out of range, no memory. */
bool svan_table_insert_at(SvanTable *table, uint32_t index, void *object);
void svan_table_remove(SvanTable *table, uint32_t index);

static inline void *svan_table_get(const SvanTable *table, uint32_t index)
{
    return index < table->size ? table->slots[index] : NULL;
}

/* That the object has which is inserted there next. */
static inline uint8_t svan_table_variant(const SvanTable *table, uint32_t index)
{
    return index < table->size ? table->variants[index] : table->variant;
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

/* Sources of work, which svan_run() serves in turn: a row of device/scheduler.c. */
typedef enum SvanTurn {
    SVAN_TURN_CMD,
    SVAN_TURN_EQ,
    SVAN_TURN_FAULT,
    SVAN_TURN_RX,
    SVAN_TURN_QP,
    SVAN_TURN_POLL,
    SVAN_TURN_COUNT,
} SvanTurn;

/*
 * What a function has for one source. Functions take turns at the source, whatever
 * the number of their objects; and so do the objects of a function.
 */
typedef struct SvanFnWork {
    SvanLink link;              /* core->work[]; of a function that is set aside: itself */
    SvanLink objects;
} SvanFnWork;

/*
 * A step that missed, until it is run again and does not miss. Nothing else of its
 * function has a step in the meantime. Frames that arrive are of no function: theirs
 * is core->rx_miss.
 */
typedef struct SvanMiss {
    SvanLink link;              /* core->missed, or core->aside */
    SvanFn *fn;                 /* whose step it was; NULL: of a frame */
    SvanTurn turn;
    uint16_t memory;            /* the function whose address it asked for */
    bool aside;
} SvanMiss;

/* It has work for svan_run(), or none any more. */
static inline void svan_source_ready(SvanCore *core, SvanTurn turn);
static inline void svan_source_idle(SvanCore *core, SvanTurn turn);

/* An object has work for a source; nothing, if that is known. */
static inline void svan_turn_join(SvanFn *fn, SvanTurn turn, SvanLink *object);
/* It has none any more. */
void svan_turn_leave(SvanFn *fn, SvanTurn turn, SvanLink *object);
/* The function has none, or may not do it: it is not among the others any more. */
static inline void svan_fn_leave(SvanFn *fn, SvanTurn turn);
/* Its function has no steps, until */
void svan_miss_suspend(SvanCore *core, SvanMiss *miss);
void svan_miss_resume(SvanCore *core, SvanMiss *miss);
/* The step need not be run again. */
void svan_miss_forget(SvanCore *core, SvanMiss *miss);

/*
 * Something that the engine gives steps to, one at a time, while it is ready. One
 * that waits for room on the wire becomes ready with svan_tx_ready().
 */
typedef struct SvanWork {
    SvanFn *fn;
    SvanLink ready;             /* fn->work[SVAN_TURN_QP] */
    SvanLink blocked;           /* core->blocked */
} SvanWork;

/*
 * It has work; nothing, if the function is out of service. Does not kick
 * (svan_run() will see it).
 */
static inline void svan_work_ready(SvanWork *work);

static inline bool svan_work_is_ready(const SvanWork *work)
{
    return work->ready.next;
}

/* No step any more, until it is ready again. */
void svan_work_stop(SvanWork *work);

#define svan_container(ptr, type, member) \
    ((type *)((char *)(ptr) - offsetof(type, member)))

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

/* ---- refusals of commands ---- */

/*
 * Creation of objects, the same for commands and for a stream of state. id:
 * what the object is to be called, or SVAN_NONE. SVAN_CMD_OK, or the refusal:
 * enum svan_cmd_status | offset of the refused field in struct svan_cmd << 8.
 */
#define SVAN_REFUSAL(status, member) \
    ((status) | (uint32_t)offsetof(struct svan_cmd, member) << 8)
#define SVAN_REFUSAL_STATUS(refusal)    ((refusal) & 0xff)
#define SVAN_REFUSAL_OFFSET(refusal)    ((refusal) >> 8)

/* ---- functions ---- */

/* What those below the device ask of the function that they are in. */
typedef struct SvanFnOps {
    void (*fatal)(SvanFn *fn);  /* fn->fatal has just been set: stop everything */
} SvanFnOps;

/* What a function counts; svan_stats() tells others. */
typedef struct SvanFnStats {
#define SVAN_STAT_U64(name) uint64_t name;
    SVAN_STATS(SVAN_STAT_U64)
#undef SVAN_STAT_U64
} SvanFnStats;

/*
 * A part of a function belongs to the room of that name, and is opaque elsewhere.
 * Memory, queues, paging and queue pairs are there while the function is enabled;
 * they are NULL while it is not.
 */
struct SvanFn {
    SvanCore *core;
    const SvanFnOps *ops;
    uint16_t id;                /* 0 = PF */
    uint32_t fatal, generation;
    uint32_t msix_count, uar_count;
    uint64_t features;
    struct SvanMemory *memory;
    struct SvanNet *net;
    struct SvanQueues *queues;
    struct SvanPaging *paging;
    struct SvanQps *qps;
    struct SvanRegs *regs;
    struct SvanInjections *injections;  /* memory/inject.c; NULL: none */
    SvanFnWork work[SVAN_TURN_COUNT];
    SvanMiss miss;
    /* of the doorbells; NULL until it was enabled once, then until svan_destroy() */
    _Atomic(struct SvanDbTable *) db_table;
    SvanFnStats *stats;         /* the PF's always, of others while they are enabled */
    /* counted by other threads, added to stats when they are read */
    _Atomic uint64_t doorbells, doorbells_refused, doorbells_bad_access;
};

struct SvanCore {
    SvanOps ops;
    void *opaque;
    SvanConfig config;
    SvanFn **fns;               /* 1 + num_vfs */
    uint32_t num_fns;
    bool link_up;
    struct SvanIngress *ingress;        /* net */
    struct SvanSwitch *sw;
    struct SvanDoorbells *doorbells;    /* queue */
    SvanTurn turn;              /* who is looked at first */
    uint32_t timer_skipped;     /* runs since the timers were looked at */
    SvanLink work[SVAN_TURN_COUNT];     /* functions */
    uint32_t ready;             /* bit n: source n has work, */
    uint32_t held;              /* and may not do it, since it is set aside */
    bool retried;               /* the last run was of a step that had missed */
    SvanLink blocked;           /* SvanWork, in the order of being refused */
    SvanLink missed, aside;     /* SvanMiss: run again next; when it is resolved */
    SvanMiss rx_miss;
    uint16_t missed_memory;     /* the function that an address was missed of last */
    SvanTimer **heap;
    uint32_t heap_len, heap_reserved, heap_capacity;
    uint64_t timer_order;
    uint64_t deadline_told;
};

static inline SvanFn *svan_fn(SvanCore *core, uint16_t id)
{
    return id < core->num_fns ? core->fns[id] : NULL;
}

static inline uint64_t svan_now(SvanCore *core)
{
    return core->ops.now(core->opaque);
}

/* For the next run, polling, timers and what is set aside not counted. */
bool svan_has_work(SvanCore *core);

static inline void svan_kick(SvanCore *core)
{
    core->ops.kick(core->opaque);
}

static inline void svan_source_ready(SvanCore *core, SvanTurn turn)
{
    core->ready |= 1u << turn;
}

static inline void svan_source_idle(SvanCore *core, SvanTurn turn)
{
    core->ready &= ~(1u << turn);
}

static inline void svan_turn_join(SvanFn *fn, SvanTurn turn, SvanLink *object)
{
    if (!object->next) {
        svan_list_append(&fn->work[turn].objects, object);
        if (!fn->work[turn].link.next) {
            svan_list_append(&fn->core->work[turn], &fn->work[turn].link);
            svan_source_ready(fn->core, turn);
        }
    }
}

static inline void svan_fn_leave(SvanFn *fn, SvanTurn turn)
{
    if (fn->work[turn].link.next) {
        svan_list_remove(&fn->work[turn].link);
        if (svan_list_empty(&fn->core->work[turn])) {
            svan_source_idle(fn->core, turn);
        }
    }
}

static inline void svan_work_ready(SvanWork *work)
{
    if (!work->fn->fatal) {
        svan_turn_join(work->fn, SVAN_TURN_QP, &work->ready);
    }
}

void svan_trace_tell(const SvanFn *fn, const SvanTrace *trace);

static inline void svan_trace(const SvanFn *fn, SvanTraceEvent event,
                              uint32_t id, uint64_t a, uint64_t b, uint64_t c)
{
    if (fn->core->ops.trace) {
        svan_trace_tell(fn, &(SvanTrace) {
            .event = event, .fn = fn->id, .id = id, .a = a, .b = b, .c = c,
        });
    }
}

/* Take the function out of service; only svan_reset() leaves the state. */
void svan_fatal(SvanFn *fn, uint32_t code);
uint32_t svan_port_status(const SvanFn *fn);

#endif /* SVAN_BASE_H */
