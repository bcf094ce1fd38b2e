/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completion queues (PRM "Queues", "Completion events").
 */
#include <stdlib.h>
#include <string.h>

#include "queue/queue.h"

#define RECORD_ALIGN    64u

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, create_cq.field)

/* ---- life ---- */

static uint32_t check_ring(const SvanFn *fn,
                           const struct svan_cmd_create_cq *cmd)
{
    uint64_t ring_va = le64toh(cmd->ring_va);
    uint32_t dbr_offset = le32toh(cmd->dbr_offset);
    uint64_t size = (uint64_t)sizeof(struct svan_cqe) << cmd->log_size;
    SvanAccess access = {
        .fn = (SvanFn *)fn, .key = le32toh(cmd->ring_key), .va = ring_va,
        .len = size, .access = SVAN_ACCESS_LOCAL_WRITE,
    };
    uint32_t syndrome;

    if (ring_va % RECORD_ALIGN) {
        return REFUSE(BAD_PARAM, ring_va);
    }
    if (svan_check_access(&access, &syndrome) != SVAN_STEP_DONE) {
        return syndrome == SVAN_SYN_KEY_BOUNDS ? REFUSE(BAD_PARAM, ring_va) :
                                                 REFUSE(BAD_RESOURCE, ring_key);
    }
    access.va = ring_va + dbr_offset;
    access.len = sizeof(struct svan_cq_dbr);
    if (dbr_offset % RECORD_ALIGN || dbr_offset < size ||
        access.va < ring_va ||
        svan_check_access(&access, &syndrome) != SVAN_STEP_DONE) {
        return REFUSE(BAD_PARAM, dbr_offset);
    }
    return SVAN_CMD_OK;
}

static uint32_t check_cq(const SvanFn *fn, const struct svan_cmd_create_cq *cmd)
{
    uint32_t eqn = le32toh(cmd->eqn), uar = le32toh(cmd->uar);

    if (cmd->log_size > SVAN_CQ_MAX_LOG_SIZE) {
        return REFUSE(BAD_PARAM, log_size);
    }
    if (cmd->flags & ~SVAN_CMD_CQ_IGNORE_OVERRUN) {
        return REFUSE(BAD_PARAM, flags);
    }
    if (cmd->flags && !(fn->features & SVAN_CAP_COMP_COUNTERS)) {
        return REFUSE(NOT_SUPPORTED, flags);
    }
    if (eqn == 0) {
        return REFUSE(BAD_PARAM, eqn);  /* EQ 0 is for asynchronous events */
    }
    if (eqn >= SVAN_MAX_EQS || !fn->queues->eqs[eqn]) {
        return REFUSE(BAD_RESOURCE, eqn);
    }
    if (!svan_uar_get(fn, uar)) {
        return REFUSE(BAD_RESOURCE, uar);
    }
    return check_ring(fn, cmd);
}

static void cq_event(SvanCq *cq)
{
    cq->armed = false;
    cq->armed_solicited = false;
    cq->moderate_done = 0;
    svan_timer_cancel(cq->fn->core, &cq->moderate_timer);
    cq->event_pending = true;
    svan_list_append(&cq->eq->cqs, &cq->link);
    svan_eq_schedule(cq->eq);
}

static void moderate_fire(SvanTimer *timer)
{
    cq_event(svan_container(timer, SvanCq, moderate_timer));
}

static void cq_rung(SvanDbTarget *target, uint32_t word, uint32_t index)
{
    svan_cq_arm(svan_container(target, SvanCq, db), index,
                word == SVAN_DB_WORD_SOLICITED);
}

static SvanCq *cq_alloc(SvanFn *fn, const struct svan_cmd_create_cq *cmd)
{
    SvanCq *cq = calloc(1, sizeof(*cq));

    if (!cq) {
        return NULL;
    }
    cq->fn = fn;
    cq->uar = le32toh(cmd->uar);
    cq->eq = fn->queues->eqs[le32toh(cmd->eqn)];
    cq->ring_key = svan_key_get(fn, le32toh(cmd->ring_key));
    cq->ring_va = le64toh(cmd->ring_va);
    cq->dbr_va = cq->ring_va + le32toh(cmd->dbr_offset);
    cq->log_size = cmd->log_size;
    cq->ignore_overrun = cmd->flags & SVAN_CMD_CQ_IGNORE_OVERRUN;
    svan_timer_init(&cq->moderate_timer, moderate_fire);
    return cq;
}

SvanStep svan_cq_clear(SvanFn *fn, const struct svan_cmd_create_cq *cmd,
                       uint64_t *done, uint32_t *refusal)
{
    uint64_t va = le64toh(cmd->ring_va), of_record = 0, size;
    SvanStep step;
    SvanKey *key;

    *refusal = check_cq(fn, cmd);
    if (*refusal) {
        return SVAN_STEP_ERROR;
    }
    size = (uint64_t)sizeof(struct svan_cqe) << cmd->log_size;
    key = svan_key_get(fn, le32toh(cmd->ring_key));
    step = svan_ring_clear(key, va + le32toh(cmd->dbr_offset),
                           sizeof(struct svan_cq_dbr), &of_record);
    if (step == SVAN_STEP_DONE) {
        step = svan_ring_clear(key, va, size, done);
    }
    *refusal = step == SVAN_STEP_ERROR ? REFUSE(DMA_ERROR, ring_va) : SVAN_CMD_OK;
    return step;
}

uint32_t svan_cq_create(SvanFn *fn, const struct svan_cmd_create_cq *cmd,
                        uint32_t id, SvanCq **out)
{
    uint32_t refusal = check_cq(fn, cmd);
    SvanCq *cq;

    if (refusal) {
        return refusal;
    }
    cq = cq_alloc(fn, cmd);
    if (!cq) {
        return SVAN_CMD_NO_RESOURCES;
    }
    if (!svan_timer_reserve(fn->core, 1)) {
        goto err_free;
    }
    if (!svan_qn_insert(&fn->queues->cqs, cq, id, &cq->cqn)) {
        goto err_unreserve;
    }
    cq->events.fn = fn;
    cq->events.qn = cq->db.qn = cq->cqn;
    cq->db.rung = cq_rung;
    if (!svan_db_open(fn, SVAN_DB_OF_CQ, cq->uar, &cq->db)) {
        goto err_remove;
    }
    cq->eq->refs++;
    cq->ring_key->refs++;
    svan_uar_get(fn, cq->uar)->refs++;
    *out = cq;
    return SVAN_CMD_OK;

err_remove:
    svan_table_remove(&fn->queues->cqs, cq->cqn & SVAN_QN_INDEX_MASK);
err_unreserve:
    svan_timer_unreserve(fn->core, 1);
err_free:
    free(cq);
    return SVAN_CMD_NO_RESOURCES;
}

void svan_cq_destroy(SvanCq *cq)
{
    SvanFn *fn = cq->fn;

    svan_db_close(&cq->db);
    svan_list_remove(&cq->link);
    svan_events_drop(&cq->events);
    svan_timer_cancel(fn->core, &cq->moderate_timer);
    svan_timer_unreserve(fn->core, 1);
    svan_uar_get(fn, cq->uar)->refs--;
    cq->ring_key->refs--;
    cq->eq->refs--;
    svan_table_remove(&fn->queues->cqs, cq->cqn & SVAN_QN_INDEX_MASK);
    free(cq);
}

SvanCq *svan_cq_get(SvanFn *fn, uint32_t cqn)
{
    SvanCq *cq = svan_table_get(&fn->queues->cqs, cqn & SVAN_QN_INDEX_MASK);

    return cq && cq->cqn == cqn ? cq : NULL;
}

/* ---- completions ---- */

/* Put the CQ into error. It sends one event, however often this happens. */
static SvanStep cq_error(SvanCq *cq, uint32_t syndrome)
{
    if (!cq->error) {
        cq->error = true;
        cq->fn->stats->cq_overruns += syndrome == SVAN_SYN_CQ_OVERRUN;
        svan_event(&cq->events, SVAN_EVENT_CQ_ERROR, syndrome);
    }
    return SVAN_STEP_ERROR;
}

static bool cq_is_full(const SvanCq *cq)
{
    return cq->pi - cq->ci >= 1u << cq->log_size;
}

/* Read the record's consumer index, since the last one leaves no room. */
static SvanStep cq_read_ci(SvanCq *cq)
{
    uint32_t syndrome;
    SvanMem mem;
    SvanStep step = svan_ring_access(cq->ring_key, cq->dbr_va, sizeof(cq->ci),
                                     false, &mem, &syndrome);

    if (step == SVAN_STEP_ERROR) {
        return cq_error(cq, SVAN_SYN_RING);
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    /* Acquire: the host has read the entries before it says so. */
    cq->ci = le32toh(__atomic_load_n((uint32_t *)mem.host, __ATOMIC_ACQUIRE));
    return cq_is_full(cq) ? cq_error(cq, SVAN_SYN_CQ_OVERRUN) :
                            SVAN_STEP_DONE;
}

SvanStep svan_cq_reserve(SvanCq *cq, SvanCqSlot *slot)
{
    uint32_t index = cq->pi & ((1u << cq->log_size) - 1);
    uint32_t syndrome;
    SvanStep step;

    if (cq->error) {
        slot->cq = NULL;
        return SVAN_STEP_ERROR;
    }
    if (cq_is_full(cq) && !cq->ignore_overrun) {
        step = cq_read_ci(cq);
        if (step != SVAN_STEP_DONE) {
            slot->cq = NULL;
            return step;
        }
    }
    slot->cq = cq;
    step = svan_ring_access(cq->ring_key, cq->ring_va +
                            (uint64_t)index * sizeof(struct svan_cqe),
                            sizeof(struct svan_cqe), true, &slot->mem,
                            &syndrome);
    if (step == SVAN_STEP_ERROR) {
        slot->cq = NULL;
        return cq_error(cq, SVAN_SYN_RING);
    }
    return step;
}

static bool event_is_due(const SvanCq *cq)
{
    return cq->moderate_count < 2 || !cq->moderate_us ||
           cq->moderate_done >= cq->moderate_count;
}

/* The CQ is armed for a completion that came: send the event, or moderate it. */
static void cq_notify(SvanCq *cq)
{
    SvanCore *core = cq->fn->core;

    cq->moderate_done++;
    if (event_is_due(cq)) {
        cq_event(cq);
    } else if (cq->moderate_timer.slot < 0) {
        svan_timer_set(core, &cq->moderate_timer,
                       svan_now(core) + cq->moderate_us * 1000ull);
    }
}

void svan_cq_moderate(SvanCq *cq, uint16_t count, uint16_t period_us)
{
    uint64_t first = cq->moderate_timer.deadline - cq->moderate_us * 1000ull;

    cq->moderate_count = count;
    cq->moderate_us = period_us;
    if (cq->moderate_timer.slot < 0) {
        return;                         /* no event waits */
    }
    if (event_is_due(cq)) {
        cq_event(cq);
    } else {
        svan_timer_set(cq->fn->core, &cq->moderate_timer,
                       first + period_us * 1000ull);
    }
}

void svan_cq_commit(SvanCqSlot *slot, struct svan_cqe *cqe)
{
    SvanCq *cq = slot->cq;
    bool solicited = (cqe->owner & SVAN_CQE_SOLICITED) ||
                     cqe->status != SVAN_CQE_SUCCESS;
    size_t body = offsetof(struct svan_cqe, vendor_err);
    uint64_t last;

    cqe->owner &= ~SVAN_CQE_PHASE;
    cqe->owner |= (cq->pi >> cq->log_size) & 1 ? 0 : SVAN_CQE_PHASE;
    memcpy(slot->mem.host, cqe, body);
    memcpy(&last, &cqe->vendor_err, sizeof(last));
    /* owner is in the last word; pairs with the poller's load barrier */
    __atomic_store_n((uint64_t *)(slot->mem.host + body), last,
                     __ATOMIC_RELEASE);
    svan_stored(cq->fn, &slot->mem);
    cq->pi++;
    if (solicited) {
        cq->solicited_pi = cq->pi;
    }
    svan_trace(cq->fn, SVAN_TRACE_CQE, cq->cqn, le32toh(cqe->qpn),
               le32toh(cqe->wqe_index), cqe->status);
    if (cq->armed || (cq->armed_solicited && solicited)) {
        cq_notify(cq);
    }
}

/*
 * If an entry at or after ci stands in the ring already, the event comes at once: the
 * host polled before the entry was there. Only later entries are moderated.
 */
void svan_cq_arm(SvanCq *cq, uint32_t ci, bool solicited)
{
    uint32_t behind = solicited ? cq->solicited_pi : cq->pi;

    if (cq->event_pending) {
        return;                         /* its event is still to come */
    }
    cq->armed |= !solicited;
    cq->armed_solicited |= solicited;
    if ((int32_t)(behind - ci) > 0) {
        cq_event(cq);
    }
}
