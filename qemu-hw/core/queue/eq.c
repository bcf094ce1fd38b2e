/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event queues (PRM "Queues"). While the ring is full, CQs with a completion event wait
 * in one list of the EQ, and sources of asynchronous events in another.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/queue.h"

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
    if (fn->queues->eqs[le32toh(cmd->eqn)]) {
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
    svan_list_init(&eq->sources);
    fn->queues->eqs[eq->eqn] = eq;
    return SVAN_CMD_OK;
}

void svan_eq_destroy(SvanEq *eq)
{
    while (!svan_list_empty(&eq->sources)) {
        svan_events_drop(svan_container(eq->sources.next, SvanEvents, link));
    }
    eq->fn->queues->eqs[eq->eqn] = NULL;
    svan_turn_leave(eq->fn, SVAN_TURN_EQ, &eq->link);
    free(eq);
}

/* ---- events come ---- */

/* While a function is out of service only EQ 0 goes on; after EQ_DMA no EQ does. */
static bool eq_is_dead(const SvanEq *eq)
{
    uint32_t fatal = eq->fn->fatal;

    return fatal && (eq->eqn || fatal == SVAN_FATAL_EQ_DMA);
}

void svan_eq_schedule(SvanEq *eq)
{
    if (!eq_is_dead(eq)) {
        svan_turn_join(eq->fn, SVAN_TURN_EQ, &eq->link);
    }
}

static void events_wait(SvanEvents *events, SvanEq *eq)
{
    svan_list_append(&eq->sources, &events->link);
    svan_eq_schedule(eq);
}

bool svan_events_load(SvanEvents *events, uint64_t types, uint32_t syndrome)
{
    SvanEq *eq = events->fn->queues->eqs[0];

    if (!eq || events->types) {
        return false;
    }
    events->types = types;
    events->syndrome = syndrome;
    events_wait(events, eq);
    return true;
}

void svan_event(SvanEvents *events, uint8_t type, uint32_t data)
{
    uint64_t bit = 1ull << type;
    SvanEq *eq = events->fn->queues->eqs[0];

    if (!eq) {
        return;
    }
    events->types |= bit;
    if (bit & (SVAN_EVENTS_CQ | SVAN_EVENTS_QP_ERROR | SVAN_EVENTS_BIT(SRQ_ERROR))) {
        events->syndrome = data;
    }
    events_wait(events, eq);
}

void svan_events_drop(SvanEvents *events)
{
    events->types = 0;
    svan_list_remove(&events->link);
}

/* ---- events go ---- */

static bool eq_has_events(const SvanEq *eq)
{
    return !svan_list_empty(&eq->sources) || !svan_list_empty(&eq->cqs);
}

static bool eq_has_room(const SvanEq *eq)
{
    return eq->pi - eq->ci < 1u << eq->log_size;
}

/* A source's next event, in the order in which its states bring events about. */
static uint8_t first_type(const SvanEvents *events)
{
    static const uint8_t order[] = {
        SVAN_EVENT_CMD, SVAN_EVENT_PORT, SVAN_EVENT_PAGE_REQUEST,
        SVAN_EVENT_QP_COMM_EST, SVAN_EVENT_QP_SQ_DRAINED, SVAN_EVENT_CQ_ERROR,
        SVAN_EVENT_QP_FATAL, SVAN_EVENT_QP_REQ_ERR, SVAN_EVENT_QP_ACCESS_ERR,
        SVAN_EVENT_QP_LAST_WQE, SVAN_EVENT_SRQ_LIMIT, SVAN_EVENT_SRQ_ERROR, SVAN_EVENT_FLOW,
    };

    for (size_t i = 0; i < sizeof(order); i++) {
        if (events->types >> order[i] & 1) {
            return order[i];
        }
    }
    return SVAN_EVENT_FATAL;
}

static uint32_t event_data(const SvanFn *fn, const SvanEvents *events,
                           uint8_t type)
{
    switch (type) {
    case SVAN_EVENT_PORT:
        return svan_port_status(fn);
    case SVAN_EVENT_FATAL:
        return fn->fatal;
    default:
        return (SVAN_EVENTS_CQ | SVAN_EVENTS_QP_ERROR | SVAN_EVENTS_BIT(SRQ_ERROR)) >>
               type & 1 ? events->syndrome : 0;
    }
}

static void eq_next_event(const SvanEq *eq, struct svan_eqe *eqe)
{
    memset(eqe, 0, sizeof(*eqe));
    if (!svan_list_empty(&eq->sources)) {
        const SvanEvents *events = svan_container(eq->sources.next, SvanEvents,
                                                  link);

        eqe->type = first_type(events);
        eqe->qn = htole32(events->qn);
        eqe->data = htole32(event_data(eq->fn, events, eqe->type));
    } else {
        eqe->type = SVAN_EVENT_COMPLETION;
        eqe->qn = htole32(svan_container(eq->cqs.next, SvanCq, link)->cqn);
    }
}

static void eq_event_done(SvanEq *eq, uint8_t type)
{
    if (type != SVAN_EVENT_COMPLETION) {
        SvanEvents *events = svan_container(eq->sources.next, SvanEvents, link);

        events->types &= ~(1ull << type);
        if (!events->types) {
            svan_list_remove(&events->link);
        }
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
    eq_event_done(eq, eqe.type);
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

/* eq_overruns is raised once for each time that the host lets the ring run full. */
static void count_stall(SvanEq *eq, bool written)
{
    bool stalled = eq_has_events(eq) && !eq_has_room(eq);

    eq->fn->stats->eq_overruns += stalled && (written || !eq->stalled);
    eq->stalled = stalled;
}

/* The EQ at the head writes what it can. Without room it waits for its doorbell. */
SvanStep svan_eq_step(SvanFn *fn)
{
    SvanLink *eqs = &fn->work[SVAN_TURN_EQ].objects;
    SvanEq *eq = svan_container(eqs->next, SvanEq, link);
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
    count_stall(eq, written);
    if (step == SVAN_STEP_ERROR) {
        svan_fatal(fn, SVAN_FATAL_EQ_DMA);
        return SVAN_STEP_DONE;
    }
    if (step == SVAN_STEP_MISS) {
        svan_list_first(eqs, &eq->link);
    } else if (eq_has_events(eq) && eq_has_room(eq)) {
        svan_eq_schedule(eq);
    }
    return step;
}

void svan_eq_doorbell(SvanEq *eq, uint32_t value)
{
    uint32_t ci = eq->pi - ((eq->pi - value) & SVAN_EQ_DB_CI_MASK);

    if (eq->pi - ci > 1u << eq->log_size) {
        return;                         /* the EQ cannot have this index */
    }
    eq->ci = ci;
    if (eq_has_events(eq) && eq_has_room(eq)) {
        svan_eq_schedule(eq);
    }
    if (value & SVAN_EQ_DB_ARM) {
        eq->armed = true;
        if (eq->pi != eq->ci) {
            eq_interrupt(eq);
        }
    }
}
