/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lowest of the rooms, which are the folders of qemu-hw/core: lists, tables,
 * timers, streams and trace events, and what every room may know of functions and of
 * the core.
 *
 * svan_run() gives one object one step. A step first obtains every pointer that it
 * needs, by calls (svan_access(), svan_cq_reserve(), ...) each of which may answer that
 * the step must stop; only then does it change state and memory. So a step that stops
 * can be started again as if it had never begun. A step that missed is retried before
 * any other, unless svan_set_aside() lets others go on.
 *
 * Only steps transmit. Whoever receives a packet (SvanTransport.rx) records what to
 * answer and schedules its own step, so the delivery of a packet to a function of the
 * same device never recurses.
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
    SVAN_STEP_DONE,             /* done; after a step there may be more to do */
    SVAN_STEP_IDLE,             /* a step had nothing to do */
    SVAN_STEP_AGAIN,            /* progress was made, call again in a new step */
    SVAN_STEP_MISS,             /* unwind: the glue translates first */
    SVAN_STEP_BLOCKED,          /* unwind: no room on the wire; svan_tx_ready() */
    SVAN_STEP_LATER,            /* unwind: a timer will make the object ready again */
    SVAN_STEP_FAULT,            /* a page is absent (on-demand and process keys) */
    SVAN_STEP_ERROR,            /* the syndrome says which */
} SvanStep;

/* ---- object tables: from an index, which the table hands out, to the object ---- */

typedef struct SvanTable {
    void **slots;
    uint8_t *variants;          /* +1 each time an index is given back */
    uint32_t size;              /* of the two arrays; grows up to the capacity */
    uint32_t capacity;          /* the quota: fixed, a power of two */
    uint32_t used;
    uint32_t below;             /* of these, at indices below `first` */
    uint32_t next;              /* where the search for a free slot begins */
    uint32_t first;             /* lowest index given out */
    uint8_t variant;            /* that each index begins with */
} SvanTable;

/* The table takes memory only when it grows. */
void svan_table_init(SvanTable *table, uint32_t capacity, uint32_t first,
                     uint8_t variant);
void svan_table_fini(SvanTable *table);             /* slots must be empty */
/* Make room for all indices below `size`. false: above the capacity, or no memory. */
bool svan_table_grow(SvanTable *table, uint32_t size);
/*
 * A variant that no number from this table has carried, for the table that follows this
 * one. There is none if an index was used 256 times or more: variants have 8 bits.
 */
uint8_t svan_table_next_variant(const SvanTable *table);
/* The index; SVAN_NONE: the quota is reached, or there is no memory. */
uint32_t svan_table_insert(SvanTable *table, void *object);
/* At an index of the caller's choice; false: taken, out of range, no memory. */
bool svan_table_insert_at(SvanTable *table, uint32_t index, void *object);
/* At an index below those that are given out; the quota does not count it. */
bool svan_table_insert_below(SvanTable *table, uint32_t index, void *object);
void svan_table_remove(SvanTable *table, uint32_t index);

static inline void *svan_table_get(const SvanTable *table, uint32_t index)
{
    return index < table->size ? table->slots[index] : NULL;
}

/* The variant of the object at the index, or of the next one that is inserted there. */
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
 * Insert a queue under the number `want`, whose variant must be that of
 * svan_table_variant() for its index; SVAN_NONE: under a number that the table chooses.
 * false: the number or its index is not free, the quota is reached, or no memory.
 */
bool svan_qn_insert(SvanTable *table, void *object, uint32_t want,
                    uint32_t *qn);

/* ---- timers: one heap per core ---- */

typedef struct SvanTimer {
    uint64_t deadline;          /* ns */
    uint64_t order;             /* of starting, among equal deadlines */
    int32_t slot;               /* in the heap; -1: not running */
    void (*fire)(struct SvanTimer *timer);      /* only makes work ready */
} SvanTimer;

void svan_timer_init(SvanTimer *timer, void (*fire)(SvanTimer *timer));
/*
 * Start the timer, or move its deadline (ns). svan_timer_reserve() has made room in the
 * heap. Timers of the same deadline fire in the order in which they were set.
 */
void svan_timer_set(SvanCore *core, SvanTimer *timer, uint64_t deadline);
void svan_timer_cancel(SvanCore *core, SvanTimer *timer);
/*
 * Whoever creates an object that holds timers reserves room for them in the heap, and
 * gives it back when the object is destroyed. false: no memory.
 */
bool svan_timer_reserve(SvanCore *core, uint32_t count);
void svan_timer_unreserve(SvanCore *core, uint32_t count);
/*
 * Fire timers that are due, but so few that a call is short, the earliest first; others are
 * left to the next call. false: none was due.
 */
bool svan_timer_fire_due(SvanCore *core);
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

/* Does nothing if the link is in a list already. */
static inline void svan_list_append(SvanLink *head, SvanLink *link)
{
    if (!link->next) {
        link->next = head;
        link->prev = head->prev;
        head->prev->next = link;
        head->prev = link;
    }
}

/* Does nothing if the link is in no list. */
static inline void svan_list_remove(SvanLink *link)
{
    if (link->next) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
        link->next = NULL;
        link->prev = NULL;
    }
}

/* Move the link to the head, from whatever list it is in: what missed comes first. */
static inline void svan_list_first(SvanLink *head, SvanLink *link)
{
    svan_list_remove(link);
    svan_list_append(head->next, link);
}

/* ---- work ---- */

/* Sources of work, which svan_run() serves in turn (device/scheduler.c). */
typedef enum SvanTurn {
    SVAN_TURN_CMD,
    SVAN_TURN_EQ,
    SVAN_TURN_FAULT,
    SVAN_TURN_RX,
    SVAN_TURN_QP,
    SVAN_TURN_POLL,
    SVAN_TURN_NOTIFY,
    SVAN_TURN_COUNT,
} SvanTurn;

/*
 * The objects of a function that have work for one source. Functions take turns at the
 * source, whatever the number of their objects; and so do the objects of a function.
 */
typedef struct SvanFnWork {
    SvanLink link;              /* core->work[]; to itself while set aside */
    SvanLink objects;
} SvanFnWork;

/*
 * A step that missed, until it is run again and does not miss. No other step of its
 * function runs in the meantime. A step that receives a frame belongs to no function:
 * its miss is core->rx_miss.
 */
typedef struct SvanMiss {
    SvanLink link;              /* core->missed, or core->aside */
    SvanFn *fn;                 /* whose step it was; NULL: it received a frame */
    SvanTurn turn;
    uint16_t memory;            /* number of the function whose address missed */
    bool aside;
} SvanMiss;

/* The source has work for svan_run(), or has none any more. */
static inline void svan_source_ready(SvanCore *core, SvanTurn turn);
static inline void svan_source_idle(SvanCore *core, SvanTurn turn);

/* The same of a source that is not divided among functions. */
static inline void svan_port_ready(SvanCore *core, SvanTurn turn);

/* The function has work for the source, and had none. It saved up SVAN_CREDIT at most. */
void svan_fn_join(SvanFn *fn, SvanTurn turn);
/* The object has work for the source. Does nothing if the object is listed already. */
static inline void svan_turn_join(SvanFn *fn, SvanTurn turn, SvanLink *object);
/* The object has no work for the source any more. */
void svan_turn_leave(SvanFn *fn, SvanTurn turn, SvanLink *object);
/* The function has no work for the source, or is set aside: it takes no turn there. */
static inline void svan_fn_leave(SvanFn *fn, SvanTurn turn);
/*
 * From suspend to resume the function of the miss has no steps. If the step that missed
 * was receiving a frame, no frames are received in the meantime.
 */
void svan_miss_suspend(SvanCore *core, SvanMiss *miss);
void svan_miss_resume(SvanCore *core, SvanMiss *miss);
/* Resume; the step that missed need not be run again. */
void svan_miss_forget(SvanCore *core, SvanMiss *miss);

/*
 * The part of an object to which the engine gives steps, one at a time, while it is
 * ready. What waits for room on the wire becomes ready with svan_tx_ready().
 */
typedef struct SvanWork {
    SvanFn *fn;
    SvanLink ready;             /* fn->work[SVAN_TURN_QP] */
    SvanLink blocked;           /* fn->blocked */
    bool woken;                 /* it may try; if it is refused it is the first to try again */
} SvanWork;

/*
 * The object has work. Does nothing if its function is out of service. Outside of
 * svan_run() the caller has to kick.
 */
static inline void svan_work_ready(SvanWork *work);

static inline bool svan_work_is_ready(const SvanWork *work)
{
    return work->ready.next;
}

/* The object has no steps any more until svan_work_ready(). */
void svan_work_stop(SvanWork *work);
/*
 * Objects that wait for room on the wire try one after the other, not all of them at once: of
 * each function the first, when there is room, and the next when one has had a step without being
 * refused, or will have none. Functions do so in the order in which they have sent last.
 */
void svan_wake_waiting(SvanCore *core);
/* The object has had such a step. */
static inline void svan_work_sent(SvanWork *work);
void svan_fn_sent(SvanFn *fn);          /* the same, of a function in core->waiting */
/* The object was refused: there is no room. */
void svan_work_block(SvanWork *work);

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
/* All of these read as zero once the reader has failed. */
uint8_t svan_get_u8(SvanReader *reader);
uint16_t svan_get_u16(SvanReader *reader);
uint32_t svan_get_u32(SvanReader *reader);
uint64_t svan_get_u64(SvanReader *reader);
void svan_get_bytes(SvanReader *reader, void *bytes, size_t len);

/* A timer in the stream: whether it runs, and its deadline. Loading starts it again. */
void svan_timer_save(const SvanTimer *timer, SvanWriter *writer);
void svan_timer_load(SvanCore *core, SvanTimer *timer, SvanReader *reader);

/* ---- refusals of commands ---- */

/*
 * Commands and the loading of saved state create objects by the same functions. Their
 * argument `id` is the number that the object is to have; SVAN_NONE: a new one. They
 * return SVAN_CMD_OK or a refusal: enum svan_cmd_status | offset of the refused field
 * in struct svan_cmd << 8.
 */
#define SVAN_REFUSAL(status, member) \
    ((status) | (uint32_t)offsetof(struct svan_cmd, member) << 8)
#define SVAN_REFUSAL_STATUS(refusal)    ((refusal) & 0xff)
#define SVAN_REFUSAL_OFFSET(refusal)    ((refusal) >> 8)

/* ---- functions ---- */

/* What rooms below device/ have device/ do with a function. */
typedef struct SvanFnOps {
    void (*fatal)(SvanFn *fn);  /* fn->fatal has just been set: stop everything */
    /* A path of the function has changed its state. false: there is nobody to tell. */
    bool (*path_changed)(SvanFn *fn);
} SvanFnOps;

/* The counters of a function; svan_stats() shows them outside of the core. */
typedef struct SvanFnStats {
#define SVAN_STAT_U64(name) uint64_t name;
    SVAN_STATS(SVAN_STAT_U64)
#undef SVAN_STAT_U64
} SvanFnStats;

/*
 * How long steps take for what they cost, of a function or of the port: who has its memory in
 * caches takes less of the engine than who has a thousand queues. Some steps are timed.
 */
typedef struct SvanPrice {
    uint32_t price;             /* ns for a unit of cost, in 1 / SVAN_PRICE_ONE */
    uint32_t untimed;           /* steps until the next one that is timed */
    uint64_t ns, cost;          /* sums of those that were timed of late */
} SvanPrice;

/*
 * Each part of a function belongs to one room, and is opaque elsewhere. The parts
 * memory, queues, paging and qps are NULL while the function is not enabled.
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
    uint64_t served;            /* ns of its steps, or what others have had meanwhile */
    SvanPrice price;
    SvanTurn next_source;       /* that it looks at first, when it is its turn */
    SvanMiss miss;
    SvanLink blocked;           /* SvanWork that waits for the wire, oldest first */
    SvanLink waits;             /* core->waiting */
    /* NULL until the function is enabled for the first time; freed by svan_destroy() */
    _Atomic(struct SvanDbTable *) db_table;
    SvanFnStats *stats;         /* NULL: a VF that is not enabled */
    /* From these times (VM clock) on its turns to send come before others'; NULL: never */
    const uint64_t *ahead_from[2];
    bool has_share;             /* one of them is set */
    /* counted by the threads that ring; svan_stats() adds them to stats */
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
    SvanTurn turn;              /* the source that the next run looks at first */
    uint64_t cost;              /* of all steps, about ns: SVAN_COST_* */
    uint64_t port_served;       /* as SvanFn.served, of steps that are no function's ... */
    uint64_t ahead_served;      /* ... and of turns to send that are free */
    SvanPrice port_price;
    uint32_t timing;            /* the pseudo-random number that says which steps are timed */
    SvanTurn port_next_source;
    uint64_t least_served;      /* what the least served had when it was last chosen */
    uint32_t fns_enabled, fns_sending;  /* sending: in work[SVAN_TURN_QP] */
    bool polls_next;            /* of functions that share the engine: records come first */
    const SvanFn *free_turn;    /* a function that has this turn because it is ahead */
    const SvanFn *last_fn;      /* the one that did something last; NULL: none yet */
    uint64_t alone_from;        /* VM clock: until then last_fn counts as not alone */
    uint32_t timer_skipped;     /* runs since the timers were looked at */
    uint64_t looked_at;         /* VM clock */
    bool busy;                  /* one run follows the other, so looked_at is not old */
    uint64_t stalled;           /* ns: when it ran again after SVAN_STALL_NS or more; 0: never */
    SvanLink work[SVAN_TURN_COUNT];     /* functions */
    uint32_t ready;             /* bit n: source n has work */
    uint32_t held;              /* bit n: source n is set aside, and has no steps */
    bool retried;               /* the last run was of a step that had missed */
    uint32_t shares;            /* functions that have one */
    uint32_t turns_ahead;       /* of functions ahead, since others sent */
    bool has_room;              /* on the wire: so it seems, until somebody is refused */
    SvanLink waiting;           /* functions with blocked work; who has sent last is the last */
    SvanLink missed, aside;     /* SvanMiss: run again next; after svan_resolved() */
    SvanMiss rx_miss;
    uint16_t missed_memory;     /* the function whose bus address missed last */
    SvanTimer **heap;
    uint32_t heap_len, heap_reserved, heap_capacity;
    uint64_t timer_order;
    uint64_t deadline_told;
};

/*
 * What a step costs, roughly: itself, each access to guest memory, and each octet of it. What
 * that takes is measured (SvanPrice), and is what functions are charged.
 */
#define SVAN_COST_STEP          100u
#define SVAN_COST_ACCESS        30u
#define SVAN_COST_OCTETS        40u     /* for 1; most are read and written */

/* What may be saved up: enough for a message or two, so that who asks for little never waits. */
#define SVAN_CREDIT             1000u

/* After this time without a step of another function the steps of one may be long. */
#define SVAN_ALONE_NS           10000000ull

/* A busy engine looks at the clock far more often, unless its thread has no CPU. */
#define SVAN_STALL_NS           1000000ull

static inline SvanFn *svan_fn(SvanCore *core, uint16_t id)
{
    return id < core->num_fns ? core->fns[id] : NULL;
}

static inline uint64_t svan_now(SvanCore *core)
{
    uint64_t now = core->ops.now(core->opaque);

    if (core->busy && now - core->looked_at > SVAN_STALL_NS) {
        core->stalled = now;
    }
    return core->looked_at = now;
}

/*
 * What the clock said when the engine looked at it last, some runs ago at most; for what is
 * done with each packet, and need not be exact.
 */
static inline uint64_t svan_lately(const SvanCore *core)
{
    return core->looked_at;
}

/* May there be several functions that want the engine? */
static inline bool svan_is_shared(const SvanCore *core)
{
    return core->fns_enabled > 1;
}

/* Has another function had steps lately? Then those of all are short. */
static inline bool svan_steps_are_short(const SvanCore *core)
{
    return svan_lately(core) < core->alone_from;
}

/* Is there work for the next run? Polling, timers and what is aside do not count. */
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

static inline SvanFn *svan_fn_at(SvanLink *link, SvanTurn turn)
{
    return svan_container(svan_container(link, SvanFnWork, link) - turn, SvanFn, work[0]);
}

/* Of who has had no work: of what it did not use SVAN_CREDIT is not lost to it. */
static inline uint64_t svan_served_with_credit(const SvanCore *core, uint64_t served)
{
    return served + SVAN_CREDIT < core->least_served ? core->least_served - SVAN_CREDIT : served;
}

static inline void svan_port_ready(SvanCore *core, SvanTurn turn)
{
    if (!(core->ready >> turn & 1)) {
        core->port_served = svan_served_with_credit(core, core->port_served);
    }
    svan_source_ready(core, turn);
}

static inline void svan_turn_join(SvanFn *fn, SvanTurn turn, SvanLink *object)
{
    if (!object->next) {
        svan_list_append(&fn->work[turn].objects, object);
        if (!fn->work[turn].link.next) {
            svan_fn_join(fn, turn);
        }
    }
}

static inline void svan_fn_leave(SvanFn *fn, SvanTurn turn)
{
    if (fn->work[turn].link.next) {
        svan_list_remove(&fn->work[turn].link);
        fn->core->fns_sending -= turn == SVAN_TURN_QP;
        if (svan_list_empty(&fn->core->work[turn])) {
            svan_source_idle(fn->core, turn);
        }
    }
}

static inline void svan_work_sent(SvanWork *work)
{
    work->woken = false;
    if (work->fn->waits.next) {
        svan_fn_sent(work->fn);
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

#endif /* SVAN_BASE_H */
