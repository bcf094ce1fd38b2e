/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event queues (PRM "Queues"). Completion events wait in the list of their CQs
 * while the ring is full, asynchronous events in a buffer of EQ 0.
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define MIN_LOG_SIZE    4
#define EVENTS_A_STEP   16

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, create_eq.field)

static uint32_t check_eq(const SvanFn *fn, const struct svan_cmd_create_eq *cmd)
{
    uint64_t ring = le64toh(cmd->ring);
    uint64_t size;

    if (le32toh(cmd->eqn) >= SVAN_MAX_EQS) {
        return REFUSE(BAD_PARAM, eqn);
    }
    if (fn->eqs[le32toh(cmd->eqn)]) {
        return REFUSE(BUSY, eqn);
    }
    if (le16toh(cmd->vector) >= fn->msix_count) {
        return REFUSE(BAD_PARAM, vector);
    }
    if (cmd->log_size < MIN_LOG_SIZE || cmd->log_size > SVAN_EQ_MAX_LOG_SIZE) {
        return REFUSE(BAD_PARAM, log_size);
    }
    size = (uint64_t)sizeof(struct svan_eqe) << cmd->log_size;
    if ((ring & SVAN_PAGE_MASK) || ring + (size - 1) < ring) {
        return REFUSE(BAD_PARAM, ring);
    }
    return SVAN_CMD_OK;
}

/* Asynchronous events that may find no room in the ring. */
static uint32_t max_pending(const SvanFn *fn)
{
    return SVAN_EQ_QP_EVENTS * fn->qps.capacity +
           SVAN_EQ_CQ_EVENTS * fn->cqs.capacity + SVAN_EQ_OTHER_EVENTS;
}

uint32_t svan_eq_create(SvanFn *fn, const struct svan_cmd_create_eq *cmd)
{
    uint32_t refusal = check_eq(fn, cmd);
    SvanEq *eq;

    if (refusal) {
        return refusal;
    }
    eq = calloc(1, sizeof(*eq));
    if (!eq) {
        return SVAN_CMD_NO_RESOURCES;
    }
    eq->fn = fn;
    eq->eqn = le32toh(cmd->eqn);
    eq->ring = le64toh(cmd->ring);
    eq->vector = le16toh(cmd->vector);
    eq->log_size = cmd->log_size;
    svan_list_init(&eq->cqs);
    if (eq->eqn == 0) {
        eq->pending_size = max_pending(fn);
        eq->pending = calloc(eq->pending_size, sizeof(eq->pending[0]));
        if (!eq->pending) {
            free(eq);
            return SVAN_CMD_NO_RESOURCES;
        }
    }
    fn->eqs[eq->eqn] = eq;
    return SVAN_CMD_OK;
}

void svan_eq_destroy(SvanEq *eq)
{
    eq->fn->eqs[eq->eqn] = NULL;
    svan_list_remove(&eq->link);
    free(eq->pending);
    free(eq);
}

/* ---- events come ---- */

/* Of a function that is out of service only EQ 0 goes on, if it can. */
static bool eq_is_dead(const SvanEq *eq)
{
    uint32_t fatal = eq->fn->fatal;

    return fatal && (eq->eqn || fatal == SVAN_FATAL_EQ_DMA ||
                     fatal == SVAN_FATAL_EQ_OVERRUN);
}

void svan_eq_schedule(SvanEq *eq)
{
    if (!eq_is_dead(eq)) {
        svan_list_append(&eq->fn->core->eq_work, &eq->link);
    }
}

/* An event that says the same as the last one waiting adds nothing. */
static bool event_merges(const SvanEq *eq, const struct svan_eqe *eqe)
{
    uint32_t last = (eq->pending_head + eq->pending_count - 1) %
                    eq->pending_size;

    return eq->pending_count && !memcmp(&eq->pending[last], eqe, sizeof(*eqe));
}

void svan_event(SvanFn *fn, uint8_t type, uint32_t qn, uint32_t data)
{
    struct svan_eqe eqe = {
        .qn = htole32(qn), .data = htole32(data), .type = type,
    };
    SvanEq *eq = fn->eqs[0];
    uint32_t at;

    if (!eq || event_merges(eq, &eqe)) {
        return;
    }
    if (eq->pending_count == eq->pending_size) {
        fn->stats.eq_overruns++;
        svan_fatal(fn, SVAN_FATAL_EQ_OVERRUN);
        return;
    }
    at = (eq->pending_head + eq->pending_count) % eq->pending_size;
    eq->pending[at] = eqe;
    eq->pending_count++;
    svan_eq_schedule(eq);
}

/* ---- events go ---- */

static bool eq_has_events(const SvanEq *eq)
{
    return eq->pending_count || !svan_list_empty(&eq->cqs);
}

static bool eq_has_room(const SvanEq *eq)
{
    return eq->pi - eq->ci < 1u << eq->log_size;
}

static void eq_next_event(const SvanEq *eq, struct svan_eqe *eqe)
{
    if (eq->pending_count) {
        *eqe = eq->pending[eq->pending_head];
    } else {
        SvanCq *cq = svan_container(eq->cqs.next, SvanCq, link);

        memset(eqe, 0, sizeof(*eqe));
        eqe->type = SVAN_EVENT_COMPLETION;
        eqe->qn = htole32(cq->cqn);
    }
}

static void eq_event_done(SvanEq *eq)
{
    if (eq->pending_count) {
        eq->pending_count--;
        /* Begin anew when it is empty: so most of it is never touched. */
        eq->pending_head = eq->pending_count ?
                           (eq->pending_head + 1) % eq->pending_size : 0;
    } else {
        SvanCq *cq = svan_container(eq->cqs.next, SvanCq, link);

        svan_list_remove(&cq->link);
        cq->event_pending = false;
    }
}

static SvanStep eq_write(SvanEq *eq)
{
    uint32_t slot = eq->pi & ((1u << eq->log_size) - 1);
    uint64_t words[sizeof(struct svan_eqe) / sizeof(uint64_t)];
    struct svan_eqe eqe;
    uint64_t *ring;
    SvanMem mem;
    SvanStep step = svan_map_bus(eq->fn,
                                 eq->ring + (uint64_t)slot * sizeof(eqe),
                                 sizeof(eqe), true, &mem);

    if (step != SVAN_STEP_DONE) {
        return step;
    }
    eq_next_event(eq, &eqe);
    eqe.owner = (eq->pi >> eq->log_size) & 1 ? 0 : SVAN_EQE_PHASE;
    memcpy(words, &eqe, sizeof(words));
    ring = (uint64_t *)mem.host;
    __atomic_store_n(&ring[0], words[0], __ATOMIC_RELAXED);
    /* owner is in the last word; pairs with the driver's dma_rmb() */
    __atomic_store_n(&ring[1], words[1], __ATOMIC_RELEASE);
    svan_stored(eq->fn, &mem);
    eq->pi++;
    eq_event_done(eq);
    svan_trace(eq->fn, SVAN_TRACE_EQE, eq->eqn, eqe.type, le32toh(eqe.qn),
               le32toh(eqe.data));
    return SVAN_STEP_DONE;
}

static void eq_interrupt(SvanEq *eq)
{
    SvanCore *core = eq->fn->core;

    if (eq->armed) {
        eq->armed = false;
        core->ops.irq(core->opaque, eq->fn->id, eq->vector);
    }
}

/* The EQ at the head writes what it can; those without room wait for the host. */
SvanStep svan_eq_step(SvanCore *core)
{
    SvanEq *eq = svan_container(core->eq_work.next, SvanEq, link);
    SvanStep step = SVAN_STEP_DONE;
    uint32_t written = 0;

    svan_list_remove(&eq->link);
    while (eq_has_events(eq) && eq_has_room(eq) && written < EVENTS_A_STEP) {
        step = eq_write(eq);
        if (step != SVAN_STEP_DONE) {
            break;
        }
        written++;
    }
    if (written) {
        eq_interrupt(eq);
    }
    if (step == SVAN_STEP_ERROR) {
        svan_fatal(eq->fn, SVAN_FATAL_EQ_DMA);
        return SVAN_STEP_DONE;
    }
    if (eq_has_events(eq) && eq_has_room(eq)) {
        svan_eq_schedule(eq);
    }
    return step;
}

void svan_eq_doorbell(SvanEq *eq, uint32_t value)
{
    uint32_t ci = eq->pi - ((eq->pi - value) & SVAN_EQ_DB_CI_MASK);

    if (eq->pi - ci > 1u << eq->log_size) {
        return;                         /* not an index this EQ ever had */
    }
    eq->ci = ci;
    if (eq_has_events(eq) && eq_has_room(eq)) {
        svan_eq_schedule(eq);
        svan_kick(eq->fn->core);
    }
    if (value & SVAN_EQ_DB_ARM) {
        eq->armed = true;
        if (eq->pi != eq->ci) {
            eq_interrupt(eq);
        }
    }
}
