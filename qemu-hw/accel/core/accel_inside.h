/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the accelerator's core share.
 *
 * accel_run() gives one queue of one context one step. A step first obtains every
 * pointer that it needs, by calls of accel_map() each of which may answer that the step
 * must stop; only then does it change memory and state. So a step that stops can be
 * started again as if it had never begun. What a long command has done is counted in
 * the queue, a chunk within one page at a time.
 */
#ifndef ACCEL_INSIDE_H
#define ACCEL_INSIDE_H

#include <endian.h>
#include <stdatomic.h>
#include <string.h>

#include "base/base.h"

#include "accel_core.h"

#define ACCEL_PAGE              4096u
#define ACCEL_TLB_ENTRIES       1024u   /* a power of two */
#define ACCEL_KEPT_STORES       32u     /* that a context keeps back, at most */
#define ACCEL_KEPT_NS           20000u  /* until the next of them leaves, at most */
#define ACCEL_WATCH_BUCKETS     256u    /* a power of two */
#define ACCEL_VAIN_LOOKS        32u     /* in one accel_run(), at most */
#define ACCEL_FIRST_LOOK_NS     1000u   /* after the first look of a WAIT */
#define ACCEL_LAST_LOOK_NS      8000000u
#define ACCEL_NO_TIME           UINT64_MAX
#define ACCEL_ALL_CONTEXTS      (UINT64_MAX >> (64 - SVAN_ACCEL_CONTEXTS))  /* a bit each */

typedef enum AccelStep {
    ACCEL_STEP_DONE,            /* what was asked for is there; the command has ended */
    ACCEL_STEP_AGAIN,           /* progress was made; call again in a new step */
    ACCEL_STEP_BLOCKED,         /* something else will make the queue ready again */
    ACCEL_STEP_MISS,            /* unwind: the glue translates first */
    ACCEL_STEP_FAULT,           /* accel->refused: the context faults */
    ACCEL_STEP_STOP,            /* accel->refused: the queue stops */
} AccelStep;

typedef enum AccelAccess {
    ACCEL_READ,
    ACCEL_WRITE,
    ACCEL_WRITE_OR_WINDOW,
} AccelAccess;

typedef struct AccelCtx AccelCtx;

/* A piece of memory that a step has obtained: len octets within one page. */
typedef struct AccelMem {
    uint64_t va;
    uint64_t addr;              /* in the space */
    AccelSpace space;
    uint32_t len;
    bool window;                /* addr is a bus address; there is no host pointer */
    void *host;                 /* where to read from, or to store to */
    struct AccelKeptStore *kept;        /* the store will be kept back; NULL: it is not */
} AccelMem;

typedef struct AccelTlbEntry {
    uint64_t serial;            /* of the context; 0: empty */
    uint64_t page;
    uint64_t leaf;              /* SVAN_ACCEL_PTE_* */
} AccelTlbEntry;

/* Where the store through a window stands that a WRITE asks for. */
typedef enum AccelWindowStore {
    ACCEL_STORE_NONE,
    ACCEL_STORE_WANTED,         /* in accel->wanted */
    ACCEL_STORE_OPEN,           /* accel_store_next() has handed it out */
} AccelWindowStore;

typedef struct AccelQueue {
    AccelCtx *ctx;
    uint32_t number;

    /* registers, and what ENABLE has latched */
    uint64_t reg_base, reg_record;
    uint32_t reg_log_size;
    uint64_t base, record;
    uint32_t log_size;
    uint8_t state;              /* enum svan_accel_queue_state */
    uint8_t status;             /* why it is stopped */
    uint32_t tag;

    /*
     * Free-running: the commands below head are done; index is the command at hand, which
     * is beyond head only in a loop; those from producer on are not there yet. From 0 they
     * do not wrap here, but a saved state may begin anywhere.
     */
    uint64_t head, index, producer;

    /* the command at hand */
    bool have;                  /* it has been fetched and found valid */
    bool resolved;              /* value holds its operand */
    struct svan_accel_cmd cmd;
    uint64_t value;
    uint64_t done;              /* octets; FENCE: see accel_cmd_fence() */
    uint32_t crc;

    /* the loop that runs */
    uint32_t loop_left;         /* times that its span has yet to be executed; 0: none */
    uint64_t loop_at;           /* index of the LOOP */
    uint64_t loop_end;          /* one above the last LOOP met; 0: none */
    uint8_t loop_flags;         /* of the LOOP, and its tag */
    uint32_t loop_tag;

    /* waits */
    SvanLink waiting;           /* accel->waiting, while the state is WAITING */
    bool look;                  /* look at the value in the next step */
    void *outside[2];           /* what ops.watch() knows of them; NULL: not; not saved */
    uint8_t wait_status;        /* how the last WAIT ended */
    uint32_t gap;               /* ns between looks */
    uint64_t look_at, limit;    /* VM time, ns; ACCEL_NO_TIME: none */
    uint64_t watched[2];        /* accel_page_key() of value and errors; 0: none */

    /* stores through windows */
    AccelWindowStore store;
    SvanLink wanted;
    uint64_t store_serial;      /* of when it was wanted, then of the store itself */

    bool record_due;

    /* ACCEL_DB_* and the latest producer index; any thread */
    _Atomic uint64_t rung;
} AccelQueue;

#define ACCEL_DB_OPEN           (1ull << 63)    /* the queue takes doorbells */
#define ACCEL_DB_BAD            (1ull << 62)    /* one of them had a bad index */

/* A store to memory that is kept back, and where it goes. */
typedef struct AccelKeptStore {
    uint64_t va;                /* translated again when the store leaves */
    uint64_t page;              /* accel_page_key() when it was made */
    uint64_t sequence;
    uint32_t len;
    _Alignas(8) uint8_t data[ACCEL_PAGE];
} AccelKeptStore;

/* The stores that a context keeps back; order[] has the oldest first, then free slots. */
typedef struct AccelKept {
    uint32_t count;
    uint64_t sequence;          /* of the next one */
    uint64_t leave_at;          /* the next of them, VM time */
    bool due;                   /* that time is over */
    uint64_t rng;
    uint8_t order[ACCEL_KEPT_STORES];
    AccelKeptStore stores[ACCEL_KEPT_STORES];
} AccelKept;

#define ACCEL_TURN_LEAVE        SVAN_ACCEL_QUEUES       /* a kept store leaves */
#define ACCEL_TURN_NONE         (SVAN_ACCEL_QUEUES + 1)

struct AccelCtx {
    Accel *accel;
    uint32_t number;
    SvanLink ready;             /* accel->ready, or accel->aside */
    SvanLink keeping;           /* accel->keeping */

    uint64_t reg_table;
    uint32_t reg_levels;
    uint64_t root;              /* latched by ENABLE */
    uint32_t levels;
    uint64_t serial;            /* of its TLB entries */
    uint8_t state;              /* enum svan_accel_ctx_state */
    uint8_t fault;              /* enum svan_accel_status */
    uint32_t fault_queue;
    uint64_t fault_addr;

    uint8_t next_queue;         /* that the next turn looks at first */
    uint8_t missed;             /* the turn to run again; ACCEL_TURN_NONE */
    AccelKept *kept;            /* NULL: nothing was ever kept back */
    AccelQueue queues[SVAN_ACCEL_QUEUES];
};

struct Accel {
    AccelOps ops;
    void *opaque;
    AccelConfig config;
    uint32_t generation;
    uint64_t serial;            /* the last one given to a context's entries or a store */
    bool running;               /* in accel_run() */
    bool looked_in_vain;        /* the last turn has, and has changed nothing else */
    uint64_t run_now;           /* of accel_run(), once it was asked for; ACCEL_NO_TIME */
    SvanLink ready;             /* AccelCtx with work, the next to run first */
    SvanLink aside;             /* AccelCtx whose step has missed, while others run */
    SvanLink waiting;           /* AccelQueue in a WAIT */
    SvanLink wanted;            /* AccelQueue with a store through a window, oldest first */
    SvanLink keeping;           /* AccelCtx that keeps stores back */
    uint64_t next_look, next_leave, next_irq;   /* no later than the first of them */
    uint64_t irqs_due;          /* bit n: vector n is to be raised when it may be */
    uint64_t irq_full[SVAN_ACCEL_MSIX_COUNT];   /* see irq.c */
    uint64_t store_turn;        /* stores wanted after this serial are of a later turn */
    uint64_t deadline_told;
    uint64_t clock_latch;
    uint16_t watched[ACCEL_WATCH_BUCKETS];      /* pages of WAITs, by hash */
    struct {
        uint8_t status;
        uint64_t addr;
    } refused;                  /* with ACCEL_STEP_FAULT and ACCEL_STEP_STOP */
    AccelStats stats;
    uint32_t crc_table[8][256];
    AccelTlbEntry tlb[ACCEL_TLB_ENTRIES];
    AccelCtx ctxs[SVAN_ACCEL_CONTEXTS];

    /* any thread */
    _Atomic uint64_t rung;      /* bit n: a doorbell of context n was rung */
    _Atomic uint64_t doorbells, doorbells_refused;
};

static inline uint64_t accel_now(Accel *accel)
{
    return accel->ops.now(accel->opaque);
}

/*
 * The time of the run at hand. Reading the clock takes longer than a look at a value, and
 * a run is short.
 */
static inline uint64_t accel_run_now(Accel *accel)
{
    if (accel->run_now == ACCEL_NO_TIME) {
        accel->run_now = accel_now(accel);
    }
    return accel->run_now;
}

/* The sum, or the end of time. */
static inline uint64_t accel_later(uint64_t now, uint64_t ns)
{
    return ns < ACCEL_NO_TIME - now ? now + ns : ACCEL_NO_TIME;
}

/* Never 0. */
static inline uint64_t accel_page_key(AccelSpace space, uint64_t addr)
{
    return (addr & ~(uint64_t)(ACCEL_PAGE - 1)) | (space == ACCEL_LOCAL ? 2 : 1);
}

/* From va to the end of its page, but at most len. */
static inline uint32_t accel_chunk(uint64_t va, uint64_t len)
{
    uint32_t room = ACCEL_PAGE - va % ACCEL_PAGE;

    return len < room ? len : room;
}

void accel_trace(const AccelCtx *ctx, AccelTraceEvent event, uint32_t id, uint64_t a,
                 uint64_t b, uint64_t c);

/* ---- translate.c ---- */

/* Note what is refused, and why. */
AccelStep accel_refuse(AccelCtx *ctx, uint8_t status, uint64_t addr);
/* Nothing is mapped; mem->addr, space and window tell where va leads. */
AccelStep accel_translate(AccelCtx *ctx, AccelAccess access, uint64_t va, AccelMem *mem);
/* Past what the context may keep back: to the memory itself. */
AccelStep accel_map_through(AccelCtx *ctx, AccelAccess access, uint64_t va, uint32_t len,
                            AccelMem *mem);
void accel_flush_ctx(AccelCtx *ctx);
void accel_flush_range(AccelCtx *ctx, uint64_t invalidate);

/* ---- store.c ---- */

/*
 * Obtain len octets within one page. What a step reads includes all that its context
 * has stored before; what it may store to must be passed to accel_put() or
 * accel_stored() in the same step, after everything else that the step obtains.
 */
AccelStep accel_map(AccelCtx *ctx, AccelAccess access, uint64_t va, uint32_t len,
                    AccelMem *mem);
/* The octets at mem->host have been stored. */
void accel_stored(AccelCtx *ctx, const AccelMem *mem);
/* Store mem->len octets; numbers of 4 and 8 octets as one, with release order. */
void accel_put(AccelCtx *ctx, const AccelMem *mem, const void *data);
/* Let one of the `among` oldest kept stores leave, which one the seed says: AGAIN or MISS. */
AccelStep accel_leave(AccelCtx *ctx, uint32_t among);
/* Is it the turn of a kept store, of which there are some? */
bool accel_leave_turn(AccelCtx *ctx);
void accel_leave_due(Accel *accel, uint64_t now);
void accel_drop_kept(AccelCtx *ctx);
/* How many of the oldest kept stores are below the sequence. */
uint32_t accel_kept_before(const AccelKept *kept, uint64_t sequence);
/* The stores that the context keeps back, for the first time perhaps; NULL: no memory. */
AccelKept *accel_kept_make(AccelCtx *ctx);
void accel_kept_join(AccelCtx *ctx, uint64_t leave_at);
AccelStep accel_want_store(AccelQueue *queue);
void accel_forget_store(AccelQueue *queue);

/* ---- validate.c ---- */

/* enum svan_accel_status: OK, BAD_OPCODE or BAD_PARAM */
uint8_t accel_validate(const struct svan_accel_cmd *cmd);
/* Octets that the command moves. */
uint64_t accel_cmd_length(const struct svan_accel_cmd *cmd);
uint32_t accel_type_size(uint8_t type);

/* ---- commands: one step of the one at hand ---- */

AccelStep accel_cmd_fill(AccelQueue *queue);
AccelStep accel_cmd_copy(AccelQueue *queue);
AccelStep accel_cmd_reduce(AccelQueue *queue);
AccelStep accel_cmd_checksum(AccelQueue *queue);
AccelStep accel_cmd_wait(AccelQueue *queue);
AccelStep accel_cmd_write(AccelQueue *queue);
AccelStep accel_cmd_copy_wqe(AccelQueue *queue);
AccelStep accel_cmd_patch(AccelQueue *queue);
AccelStep accel_cmd_loop(AccelQueue *queue);
AccelStep accel_cmd_fence(AccelQueue *queue);
AccelStep accel_cmd_complete(AccelQueue *queue);
AccelStep accel_cmd_interrupt(AccelQueue *queue);

/* The queue is to stop with the status. */
AccelStep accel_stop(AccelQueue *queue, uint8_t status);
void accel_crc_table(Accel *accel);

/* ---- wait.c ---- */

/* The queue sleeps: it is in the list of those that wait. */
void accel_wait_join(AccelQueue *queue);
void accel_wait_leave(AccelQueue *queue);
void accel_wake_page(Accel *accel, uint64_t key);
void accel_wake_due(Accel *accel, uint64_t now);
void accel_wake_ctx(AccelCtx *ctx);

/* ---- queue.c ---- */

static inline uint64_t accel_queue_size(const AccelQueue *queue)
{
    return 1ull << queue->log_size;
}

/* The context may have work. Outside of accel_run() this kicks. */
void accel_ctx_ready(AccelCtx *ctx);
void accel_queue_enable(AccelQueue *queue);
void accel_queue_disable(AccelQueue *queue);
void accel_queue_stop(AccelQueue *queue, uint8_t status);
/* The command at hand has ended well. */
void accel_queue_command_end(AccelQueue *queue);
/* rung: a producer index, perhaps with ACCEL_DB_BAD */
void accel_queue_open_doorbell(AccelQueue *queue, uint64_t rung);

/* ---- irq.c ---- */

/* Raise the vector: at once, or as soon as it may be. */
void accel_irq(Accel *accel, uint16_t vector);
void accel_irqs_due(Accel *accel, uint64_t now);
/* Do not raise what is due. */
void accel_irq_forget(Accel *accel, uint16_t vector);
/* Those that are due when a state is loaded. false: there is no such vector. */
bool accel_irqs_load(Accel *accel, uint64_t due);

/* ---- regs.c ---- */

void accel_ctx_enable(AccelCtx *ctx);
void accel_ctx_disable(AccelCtx *ctx);
/* As accel->refused says. Does nothing more to a context that has faulted already. */
void accel_ctx_fault(AccelCtx *ctx, uint32_t queue);

#endif /* ACCEL_INSIDE_H */
