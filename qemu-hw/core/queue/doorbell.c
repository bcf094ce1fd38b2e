/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doorbells, doorbell records and the POLLING flag (PRM "Doorbells").
 *
 * svan_doorbell() runs in any thread, without the engine lock, beside the engine
 * and beside itself. What it touches:
 *
 *   core->fns, fn->qp_slots, fn->cq_slots, their sizes and fn->uar_count are
 *   set by svan_create() and change no more until svan_destroy(). The slots of
 *   a function are never freed before, so there is nothing to keep alive.
 *
 *   slot->owner is written by the engine. A ringer that still sees an owner
 *   which has just gone publishes a value that carries the old number of the
 *   queue; the engine compares the number and drops it.
 *
 *   slot->word[] and slot->queued hand a value over. The ringer stores the word,
 *   then exchanges queued with 1; the engine exchanges queued with 0, then takes
 *   the words. Both exchanges are acquire and release, so they are totally
 *   ordered and each reads what the one before wrote: either the ringer's comes
 *   first, then its store of the word is visible to the engine's loads behind
 *   the engine's exchange; or the engine's comes first, then the ringer reads 0
 *   and pushes the slot again. No value is lost in either case.
 *
 *   core->rung is a stack of slots. Who turned queued from 0 to 1 owns
 *   slot->next until its push, whose release publishes it; the engine takes the
 *   whole stack with an acquiring exchange and owns next until it sets queued to
 *   0. Nobody ever pops one slot, so there is no ABA: a push only asks that
 *   next is the head which its compare-and-swap replaces.
 *
 *   ops->kick() comes behind the push. A ringer that found queued set kicks
 *   nobody: the one that set it will, after its push.
 *
 * The POLLING flag is set as long as the QP is on core->poll, or parked because
 * it waits for room on the wire, and may be a bit longer. See poll_disarm() for
 * how it is cleared. RESET leaves it as it is: whoever enters RTS or the error
 * state is on core->poll, until the flag is known to be clear.
 */
#include "core.h"

#define COLLECT_BATCH   64      /* slots taken in one run */
#define POLL_BATCH      8       /* records looked at in one run */

#define SQ_WORD         0
#define RQ_WORD         1
#define ARM_WORD        0       /* of a CQ */
#define ARM_SOLICITED   1

/* ---- in the ringing thread ---- */

static void db_push(SvanCore *core, SvanDbSlot *slot)
{
    SvanDbSlot *head = atomic_load_explicit(&core->rung, memory_order_relaxed);

    do {
        slot->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&core->rung, &head, slot,
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
    slot = index >= (cq ? fn->cqs.capacity : fn->qps.capacity) ? NULL :
           cq ? &fn->cq_slots[index] : &fn->qp_slots[index];
    if (!slot || atomic_load_explicit(&slot->owner, memory_order_acquire) !=
                 owner) {
        db_count(&fn->doorbells_refused);
        db_trace(fn, uar, value, false);
        return;
    }
    db_count(&fn->doorbells);
    db_trace(fn, uar, value, true);
    atomic_store_explicit(&slot->word[word],
                          (value & ~(uint64_t)UINT32_MAX) | SVAN_DB_RUNG |
                          (value & SVAN_DB_QN_MASK), memory_order_relaxed);
    if (!atomic_exchange_explicit(&slot->queued, 1, memory_order_acq_rel)) {
        db_push(core, slot);
    }
}

/* ---- in the engine ---- */

void svan_db_open(SvanDbSlot *slot, uint32_t uar, uint32_t qn)
{
    atomic_store_explicit(&slot->owner, (uar + 1ull) << 32 | qn,
                          memory_order_release);
}

void svan_db_close(SvanDbSlot *slot)
{
    atomic_store_explicit(&slot->owner, 0, memory_order_release);
}

/* One in RESET has no work: what rings it belongs to its life before. */
static SvanQp *rung_qp(SvanFn *fn, uint64_t word)
{
    SvanQp *qp = word & SVAN_DB_RUNG ? svan_qp_get(fn, word & SVAN_DB_QN_MASK) :
                                       NULL;

    return qp && qp->state != SVAN_QPS_RESET ? qp : NULL;
}

static void qp_rung(SvanFn *fn, uint64_t sq, uint64_t rq)
{
    SvanQp *qp = rung_qp(fn, sq);

    if (qp) {
        qp->sq_pi_rung = sq >> SVAN_DB_INDEX_SHIFT;
        qp->sq_rung = true;
        svan_qp_schedule(qp);
    }
    qp = rung_qp(fn, rq);
    if (qp) {
        qp->rq_pi_rung = rq >> SVAN_DB_INDEX_SHIFT;
        qp->rq_rung = true;
        svan_qp_schedule(qp);
    }
}

void svan_db_forget(SvanDbSlot *slot)
{
    for (uint32_t i = 0; i < 2; i++) {
        atomic_store_explicit(&slot->word[i], 0, memory_order_relaxed);
    }
}

static void cq_rung(SvanFn *fn, uint64_t arm, uint64_t solicited)
{
    SvanCq *cq;

    cq = arm & SVAN_DB_RUNG ? svan_cq_get(fn, arm & SVAN_DB_QN_MASK) : NULL;
    if (cq) {
        svan_cq_arm(cq, arm >> SVAN_DB_INDEX_SHIFT, false);
    }
    cq = solicited & SVAN_DB_RUNG ?
         svan_cq_get(fn, solicited & SVAN_DB_QN_MASK) : NULL;
    if (cq) {
        svan_cq_arm(cq, solicited >> SVAN_DB_INDEX_SHIFT, true);
    }
}

static void db_take(SvanCore *core, SvanDbSlot *slot)
{
    SvanFn *fn = core->fns[slot->fn];
    uint64_t words[2];

    atomic_exchange_explicit(&slot->queued, 0, memory_order_acq_rel);
    for (uint32_t i = 0; i < 2; i++) {
        /* Mostly one is there: look before the costly exchange. */
        words[i] = atomic_load_explicit(&slot->word[i], memory_order_relaxed);
        if (words[i]) {
            words[i] = atomic_exchange_explicit(&slot->word[i], 0,
                                                memory_order_relaxed);
        }
    }
    if (fn->fatal) {
        return;
    }
    if (slot->cq) {
        cq_rung(fn, words[ARM_WORD], words[ARM_SOLICITED]);
    } else {
        qp_rung(fn, words[SQ_WORD], words[RQ_WORD]);
    }
}

bool svan_db_collect(SvanCore *core)
{
    uint32_t n;

    if (!core->rung_taken) {
        if (!atomic_load_explicit(&core->rung, memory_order_relaxed)) {
            return false;
        }
        core->rung_taken = atomic_exchange_explicit(&core->rung, NULL,
                                                    memory_order_acquire);
    }
    for (n = 0; n < COLLECT_BATCH && core->rung_taken; n++) {
        SvanDbSlot *slot = core->rung_taken;

        core->rung_taken = slot->next;
        db_take(core, slot);
    }
    return n;
}

/* ---- producer indices ---- */

static SvanStep record_map(SvanQp *qp, bool for_write, SvanMem *mem,
                           uint32_t *syndrome)
{
    SvanStep step = svan_ring_access(qp->ring_key, qp->dbr_va,
                                     sizeof(struct svan_qp_dbr), for_write,
                                     mem, syndrome);

    if (step == SVAN_STEP_ERROR) {
        *syndrome = SVAN_SYN_RING;
    }
    return step;
}

/* Acquire: pairs with the host's release store behind its WQEs. */
static uint32_t record_load(const __le32 *field)
{
    return le32toh(__atomic_load_n(field, __ATOMIC_ACQUIRE));
}

/* What host and peers publish of one queue. */
typedef struct Producer {
    uint32_t *pi;               /* what is accepted */
    uint32_t *seen;             /* the record's value that was looked at last */
    uint32_t rung_pi;
    bool *rung;
    uint32_t ci, size;
} Producer;

/*
 * An index behind the accepted one is a doorbell that came late, or a record
 * that its host does not use: nothing new. One that is too far ahead is nonsense.
 */
static bool producer_advance(const Producer *producer, uint32_t index)
{
    if ((int32_t)(index - *producer->pi) <= 0) {
        return true;
    }
    if (index - producer->ci > producer->size) {
        return false;
    }
    *producer->pi = index;
    return true;
}

/* Each published index is looked at once, so that nonsense is reported once. */
static SvanStep producer_read(const Producer *producer, uint32_t record,
                              uint32_t *syndrome)
{
    bool good = true;

    if (record != *producer->seen) {
        *producer->seen = record;
        good = producer_advance(producer, record);
    }
    if (*producer->rung) {
        *producer->rung = false;
        good &= producer_advance(producer, producer->rung_pi);
    }
    /* The second only if ci is not the transport's own any more. */
    if (!good || *producer->pi - producer->ci > producer->size) {
        *syndrome = SVAN_SYN_INDEX;
        return SVAN_STEP_ERROR;
    }
    return SVAN_STEP_DONE;
}

SvanStep svan_sq_producer(SvanQp *qp, uint32_t ci, uint32_t *syndrome)
{
    Producer producer = {
        .pi = &qp->sq_pi, .seen = &qp->sq_pi_seen, .rung = &qp->sq_rung,
        .rung_pi = qp->sq_pi_rung, .ci = ci, .size = 1u << qp->log_sq_bbs,
    };
    SvanMem mem;
    SvanStep step = record_map(qp, false, &mem, syndrome);
    const struct svan_qp_dbr *dbr;

    if (step != SVAN_STEP_DONE) {
        return step;
    }
    dbr = (const struct svan_qp_dbr *)mem.host;
    qp->sq_pi_polled = record_load(&dbr->sq_pi);
    return producer_read(&producer, qp->sq_pi_polled, syndrome);
}

SvanStep svan_rq_producer(SvanQp *qp, uint32_t ci, uint32_t *pi,
                          uint32_t *syndrome)
{
    Producer producer = {
        .pi = &qp->rq_pi, .seen = &qp->rq_pi_seen, .rung = &qp->rq_rung,
        .rung_pi = qp->rq_pi_rung, .ci = ci, .size = 1u << qp->log_rq_size,
    };
    const struct svan_qp_dbr *dbr;
    SvanMem mem;
    SvanStep step;

    if (!qp->log_rq_stride) {
        *pi = ci;                       /* there is no receive queue */
        return SVAN_STEP_DONE;
    }
    step = record_map(qp, false, &mem, syndrome);
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    dbr = (const struct svan_qp_dbr *)mem.host;
    step = producer_read(&producer, record_load(&dbr->rq_pi), syndrome);
    *pi = qp->rq_pi;
    return step;
}

/* ---- the POLLING flag ---- */

static void poll_flag(SvanQp *qp, const SvanMem *record, uint32_t flag)
{
    struct svan_qp_dbr *dbr = (struct svan_qp_dbr *)record->host;
    SvanMem stored = {
        .host = (uint8_t *)&dbr->device_flags, .len = sizeof(dbr->device_flags),
        .bus = record->bus + offsetof(struct svan_qp_dbr, device_flags),
    };

    __atomic_store_n(&dbr->device_flags, htole32(flag), __ATOMIC_RELAXED);
    svan_stored(qp->fn, &stored);
    svan_trace(qp->fn, SVAN_TRACE_POLL, qp->qpn, flag, 0, 0);
}

void svan_poll_begin(SvanQp *qp)
{
    qp->last_active = 0;
    qp->poll_parked = false;
    if (!qp->fn->fatal) {
        svan_list_append(&qp->fn->core->poll, &qp->poll_link);
    }
}

void svan_poll_park(SvanQp *qp)
{
    qp->poll_parked |= qp->poll_link.next != NULL;
    svan_list_remove(&qp->poll_link);
}

/*
 * No fence: a host that does not see the flag yet rings, which does no harm.
 * Without memory the flag stays clear, and the host rings. Polling looks at
 * sends alone: in the error state receives have to be rung as well.
 */
void svan_poll_arm(SvanQp *qp)
{
    uint32_t syndrome;
    SvanMem mem;

    if (!qp->poll_link.next && qp->state != SVAN_QPS_ERR &&
        record_map(qp, true, &mem, &syndrome) == SVAN_STEP_DONE) {
        poll_flag(qp, &mem, SVAN_QP_DBR_POLLING);
        svan_poll_begin(qp);
    }
}

/* The record cannot be read: leave it to the transport to find that out. */
static SvanStep poll_lost(SvanQp *qp)
{
    svan_list_remove(&qp->poll_link);
    svan_qp_schedule(qp);
    return SVAN_STEP_DONE;
}

/* In the error state receives are flushed as they are posted, too. */
static bool poll_has_news(SvanQp *qp, const SvanMem *record)
{
    const struct svan_qp_dbr *dbr = (const struct svan_qp_dbr *)record->host;
    uint32_t pi = record_load(&dbr->sq_pi);

    if (pi == qp->sq_pi_polled) {
        return false;
    }
    qp->sq_pi_polled = pi;
    qp->last_active = 0;
    svan_qp_schedule(qp);
    return true;
}

/*
 * Go to sleep on this queue. The store of the flag and the load of the index
 * behind it are two sides of a square whose other two are the host's: it stores
 * the index, MFENCE, loads the flag. With a full fence on each side at least one
 * of the two loads sees the other side's store: the host rings, or we go on.
 */
static SvanStep poll_disarm(SvanQp *qp)
{
    uint32_t syndrome;
    SvanMem mem;
    SvanStep step = record_map(qp, true, &mem, &syndrome);

    if (step != SVAN_STEP_DONE) {
        return step == SVAN_STEP_MISS ? step : poll_lost(qp);
    }
    poll_flag(qp, &mem, 0);
    atomic_thread_fence(memory_order_seq_cst);
    if (!poll_has_news(qp, &mem) && qp->state == SVAN_QPS_ERR) {
        svan_qp_schedule(qp);           /* to flush receives */
    }
    svan_list_remove(&qp->poll_link);
    return SVAN_STEP_DONE;
}

static bool poll_is_over(SvanQp *qp)
{
    SvanCore *core = qp->fn->core;
    uint64_t now;

    if (!core->poll_ns || qp->state == SVAN_QPS_ERR) {
        return true;
    }
    now = svan_now(core);
    if (!qp->last_active) {
        qp->last_active = now ? now : 1;
    }
    return now - qp->last_active >= core->poll_ns;
}

static SvanStep poll_one(SvanQp *qp)
{
    uint32_t syndrome;
    SvanMem mem;
    SvanStep step = record_map(qp, false, &mem, &syndrome);

    if (step != SVAN_STEP_DONE) {
        return step == SVAN_STEP_MISS ? step : poll_lost(qp);
    }
    if (poll_has_news(qp, &mem)) {
        return SVAN_STEP_DONE;
    }
    return poll_is_over(qp) ? poll_disarm(qp) : SVAN_STEP_IDLE;
}

SvanStep svan_poll_step(SvanCore *core)
{
    SvanLink *first = core->poll.next;

    for (uint32_t n = 0; n < POLL_BATCH; n++) {
        SvanLink *link = core->poll.next;
        SvanQp *qp = svan_container(link, SvanQp, poll_link);
        SvanStep step = SVAN_STEP_IDLE;

        if (n && link == first) {
            break;                      /* once around */
        }
        svan_list_remove(link);
        svan_list_append(&core->poll, link);
        /* A QP that is to run reads its record by itself. */
        if (!svan_work_is_ready(&qp->work)) {
            step = poll_one(qp);
        }
        if (step == SVAN_STEP_MISS) {
            svan_list_first(&core->poll, link);
        }
        if (step != SVAN_STEP_IDLE) {
            return step;
        }
    }
    return SVAN_STEP_IDLE;
}
