/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doorbells (PRM "Doorbells").
 *
 * svan_doorbell() runs in any thread, without the engine lock, beside the engine
 * and beside itself. The thread that runs it is called the ringer. It touches:
 *
 *   core->fns and fn->uar_count are set by svan_create() and change no more until
 *   svan_destroy(). The parts of a function come and go with CONTROL.ENABLE and
 *   reset: the ringer touches none of them.
 *
 *   fn->db_table and the chunks of slots in it are NULL at first. The engine makes
 *   the table when the function is enabled, and a chunk when the first queue that
 *   has one of its indices is created. It fills each and then publishes it by a
 *   release store, which pairs with the ringer's acquire load; a ringer that
 *   sees NULL refuses the doorbell, as that of a queue that does not exist. Neither
 *   is freed or replaced before svan_destroy(), not even by a reset, so there is
 *   nothing to keep alive: a ringer may hold a slot for as long as it likes. They
 *   are bounded by max_qp and max_cq of the configuration.
 *
 *   slot->owner is written by the engine: whose queue has the slot, and which life of
 *   it (below). A ringer that still sees an owner which has just gone publishes a
 *   value that carries the queue's old number and life; the engine compares both and
 *   drops it.
 *
 *   slot->word[] holds the latest index that was rung for the owner and that the
 *   engine has not taken. Several threads and other peripherals may ring one queue, and
 *   their stores arrive in any order. So a ringer replaces an index by compare-and-swap,
 *   and only by a later one, modulo 2^32. It replaces whatever was rung for
 *   another owner, but only while it sees that it rings for the present one. A ringer
 *   that was late and still sees the old owner then cannot destroy what was rung for
 *   the new one: if it has read the new one's word, by acquire, it also sees the new
 *   owner, which the new one's ringer saw before its releasing compare-and-swap;
 *   and if it read the word before, its own compare-and-swap fails. That fails only
 *   because another ringer has stored a later value, or the engine has taken one: one of
 *   them has made progress, so that there is no lock in it.
 *
 *   The life of a slot's owner is one more at each transition of a queue out of RESET and
 *   at the end of each queue. What was rung before counts no more, and a larger index of
 *   an old life, stored late, must not hide the first index of the new one. A new life
 *   begins by dropping the words of others; a ringer that was on its way stores such a
 *   word afterwards at most. Lives are counted modulo 127, which has no divisor in common
 *   with the 256 variants of a queue's number: when a number comes back, the life that
 *   it had does not.
 *
 *   slot->word[] and slot->queued hand a value over. The ringer stores the word, or
 *   has read there a later one; then it exchanges queued with 1. The engine exchanges
 *   queued with 0, then takes the words. Both exchanges are acquire and release, so they
 *   are totally ordered and each reads what the one before wrote: either the ringer's
 *   comes first, then the word that it has stored or read is visible to the engine's
 *   loads behind the engine's exchange; or the engine's comes first, then the ringer
 *   reads 0 and pushes the slot again. No value is lost in either case. A ringer that
 *   has stored nothing exchanges queued all the same: the one whose index it has read may
 *   not have come so far, and the host may rely on a doorbell once its store is done.
 *
 *   core->doorbells->rung is a stack of slots. Who turned queued from 0 to 1 owns
 *   slot->next until its push, whose release publishes it; the engine takes the
 *   whole stack with an acquiring exchange and owns next until it sets queued to
 *   0. Nobody ever pops one slot, so there is no ABA: a push only asks that
 *   next is the head which its compare-and-swap replaces.
 *
 *   ops->kick() comes behind the push. A ringer that found queued set kicks
 *   nobody: the one that set it will, after its push.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/queue.h"

#define COLLECT_BATCH   64      /* slots collected in one run */

/* ---- where slots are ---- */

/* Chunks double in size, but the first two are of one size. */
static inline uint32_t db_chunk(uint32_t index)
{
    return 32 - SVAN_DB_FIRST_LOG -
           __builtin_clz(index | ((1u << SVAN_DB_FIRST_LOG) - 1));
}

static inline uint32_t db_chunk_first(uint32_t chunk)
{
    return chunk ? 1u << (chunk + SVAN_DB_FIRST_LOG - 1) : 0;
}

static inline uint32_t db_chunk_size(uint32_t chunk)
{
    return 1u << (chunk ? chunk + SVAN_DB_FIRST_LOG - 1 : SVAN_DB_FIRST_LOG);
}

/* Runs in any thread. NULL: no queue has had the index, or one of the same chunk. */
static inline SvanDbSlot *db_slot(SvanFn *fn, SvanDbKind kind, uint32_t index)
{
    uint32_t chunk = db_chunk(index);
    SvanDbTable *table = atomic_load_explicit(&fn->db_table,
                                              memory_order_acquire);
    SvanDbSlot *slots;

    if (!table) {
        return NULL;
    }
    slots = atomic_load_explicit(&table->chunks[kind][chunk],
                                 memory_order_acquire);
    return slots ? &slots[index - db_chunk_first(chunk)] : NULL;
}

/* ---- in the ringing thread ---- */

static void db_push(SvanCore *core, SvanDbSlot *slot)
{
    SvanDbSlot *head = atomic_load_explicit(&core->doorbells->rung, memory_order_relaxed);

    do {
        slot->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&core->doorbells->rung, &head, slot,
                                                    memory_order_release,
                                                    memory_order_relaxed));
    core->ops.kick(core->opaque);
}

static void db_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void db_trace(const SvanFn *fn, uint32_t uar, uint64_t value,
                     bool accepted)
{
    svan_trace(fn, SVAN_TRACE_DOORBELL, value & SVAN_DB_QN_MASK, uar, value,
               accepted);
}

static inline bool is_later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

/* Does the slot belong to this page and queue, in whatever life? */
static inline bool is_owner(uint64_t owner, uint64_t page_and_queue)
{
    return (owner & ~(uint64_t)SVAN_DB_LIFE_MASK) == page_and_queue;
}

/* Does nothing if the slot has another owner in the meantime. */
static void db_store(SvanDbSlot *slot, uint32_t n, uint64_t page_and_queue,
                     uint32_t index)
{
    uint64_t word = atomic_load_explicit(&slot->word[n], memory_order_acquire);
    uint64_t owner, mine;

    do {
        owner = atomic_load_explicit(&slot->owner, memory_order_acquire);
        mine = (uint64_t)index << SVAN_DB_INDEX_SHIFT | SVAN_DB_RUNG |
               (uint32_t)owner;
        if (!is_owner(owner, page_and_queue) ||
            ((uint32_t)word == (uint32_t)mine &&
             !is_later(index, word >> SVAN_DB_INDEX_SHIFT))) {
            return;
        }
    } while (!atomic_compare_exchange_weak_explicit(&slot->word[n], &word, mine,
                                                    memory_order_release,
                                                    memory_order_acquire));
}

void svan_doorbell(SvanCore *core, uint16_t fn_id, uint32_t offset,
                   uint64_t value, unsigned size)
{
    SvanFn *fn = svan_fn(core, fn_id);
    uint32_t uar = offset >> SVAN_UAR_SHIFT, reg = offset % SVAN_UAR_SIZE;
    uint32_t index = value & SVAN_QN_INDEX_MASK;
    bool cq = reg == SVAN_UAR_CQ_DB;
    uint32_t word = reg == SVAN_UAR_RQ_DB ||
                    (cq && (value & SVAN_DB_CQ_SOLICITED));
    uint64_t owner = (uar + 1ull) << 32 | (value & SVAN_DB_QN_MASK);
    SvanDbSlot *slot;

    if (!fn) {
        return;
    }
    if (size != 8 || uar >= fn->uar_count ||
        (reg != SVAN_UAR_SQ_DB && reg != SVAN_UAR_RQ_DB && !cq)) {
        db_count(&fn->doorbells_bad_access);
        return;
    }
    slot = db_slot(fn, cq ? SVAN_DB_OF_CQ : SVAN_DB_OF_QP, index);
    if (!slot || !is_owner(atomic_load_explicit(&slot->owner,
                                                memory_order_acquire), owner)) {
        db_count(&fn->doorbells_refused);
        db_trace(fn, uar, value, false);
        return;
    }
    db_count(&fn->doorbells);
    db_trace(fn, uar, value, true);
    db_store(slot, word, owner, value >> SVAN_DB_INDEX_SHIFT);
    if (!atomic_exchange_explicit(&slot->queued, 1, memory_order_acq_rel)) {
        db_push(core, slot);
    }
}

/* ---- in the engine ---- */

bool svan_db_table_make(SvanFn *fn)
{
    SvanDbTable *table = atomic_load_explicit(&fn->db_table,
                                              memory_order_relaxed);

    if (!table) {
        table = calloc(1, sizeof(*table));
        atomic_store_explicit(&fn->db_table, table, memory_order_release);
    }
    return table;
}

void svan_db_table_free(SvanFn *fn)
{
    SvanDbTable *table = atomic_load_explicit(&fn->db_table,
                                              memory_order_relaxed);

    for (uint32_t i = 0; table && i < SVAN_DB_KINDS * SVAN_DB_CHUNKS; i++) {
        free(atomic_load_explicit(&table->chunks[i / SVAN_DB_CHUNKS]
                                                [i % SVAN_DB_CHUNKS],
                                  memory_order_relaxed));
    }
    free(table);
}

static SvanDbSlot *db_slot_make(SvanFn *fn, SvanDbKind kind, uint32_t index)
{
    SvanDbTable *table = atomic_load_explicit(&fn->db_table,
                                              memory_order_relaxed);
    uint32_t chunk = db_chunk(index), count = db_chunk_size(chunk);
    SvanDbSlot *slots;

    if (!db_slot(fn, kind, index)) {
        slots = aligned_alloc(_Alignof(SvanDbSlot), count * sizeof(*slots));
        if (!slots) {
            return NULL;
        }
        memset(slots, 0, count * sizeof(*slots));
        for (uint32_t i = 0; i < count; i++) {
            slots[i].fn = fn->id;
        }
        atomic_store_explicit(&table->chunks[kind][chunk], slots,
                              memory_order_release);
    }
    return db_slot(fn, kind, index);
}

static uint64_t db_life(const SvanDbSlot *slot)
{
    return atomic_load_explicit(&slot->owner, memory_order_relaxed) &
           SVAN_DB_LIFE_MASK;
}

bool svan_db_open(SvanFn *fn, SvanDbKind kind, uint32_t uar,
                  SvanDbTarget *target)
{
    SvanDbSlot *slot = db_slot_make(fn, kind, target->qn & SVAN_QN_INDEX_MASK);

    target->slot = slot;
    if (!slot) {
        return false;
    }
    slot->target = target;
    atomic_store_explicit(&slot->owner,
                          (uar + 1ull) << 32 | db_life(slot) | target->qn,
                          memory_order_release);
    return true;
}

/* A word may have been rung for a queue that had the slot before, or in a former life. */
static bool is_for(const SvanDbSlot *slot, uint64_t word)
{
    uint64_t owner = atomic_load_explicit(&slot->owner, memory_order_relaxed);

    return slot->target && (uint32_t)word == ((uint32_t)owner | SVAN_DB_RUNG);
}

/*
 * The owner in its next life. Only words of others are dropped: ringers of the new life
 * may be at it.
 */
static void db_live_on(SvanDbSlot *slot, uint64_t page_and_queue)
{
    uint64_t life = db_life(slot) + SVAN_DB_LIFE;

    life = life == SVAN_DB_LIFE * SVAN_DB_LIVES ? 0 : life;
    atomic_store_explicit(&slot->owner, page_and_queue | life, memory_order_release);
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t word = atomic_load_explicit(&slot->word[i], memory_order_acquire);

        while (word && !is_for(slot, word) &&
               !atomic_compare_exchange_weak_explicit(&slot->word[i], &word, 0,
                                                      memory_order_acquire,
                                                      memory_order_acquire)) {
            /* Another ringer was late, or the first of the new life has come. */
        }
    }
}

void svan_db_close(SvanDbTarget *target)
{
    target->slot->target = NULL;
    db_live_on(target->slot, 0);
}

void svan_db_forget(SvanDbTarget *target)
{
    SvanDbSlot *slot = target->slot;
    uint64_t owner = atomic_load_explicit(&slot->owner, memory_order_relaxed);

    db_live_on(slot, owner & ~(uint64_t)SVAN_DB_LIFE_MASK);
}

static void db_take(SvanCore *core, SvanDbSlot *slot)
{
    SvanFn *fn = core->fns[slot->fn];
    uint64_t words[2];

    atomic_exchange_explicit(&slot->queued, 0, memory_order_acq_rel);
    for (uint32_t i = 0; i < 2; i++) {
        /* Mostly one of the two is set: look before the costly exchange. */
        words[i] = atomic_load_explicit(&slot->word[i], memory_order_relaxed);
        if (words[i]) {
            words[i] = atomic_exchange_explicit(&slot->word[i], 0,
                                                memory_order_relaxed);
        }
    }
    for (uint32_t i = 0; i < 2 && !fn->fatal; i++) {
        if (is_for(slot, words[i])) {
            slot->target->rung(slot->target, i,
                               words[i] >> SVAN_DB_INDEX_SHIFT);
        }
    }
}

uint32_t svan_db_take(SvanCore *core)
{
    uint32_t n;

    if (!core->doorbells->taken) {
        core->doorbells->taken = atomic_exchange_explicit(&core->doorbells->rung, NULL,
                                                    memory_order_acquire);
    }
    for (n = 0; n < COLLECT_BATCH && core->doorbells->taken; n++) {
        SvanDbSlot *slot = core->doorbells->taken;

        core->doorbells->taken = slot->next;
        db_take(core, slot);
    }
    return n;
}
