/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page requests (PRM "Faults"): one fault for each page that somebody waits for,
 * written to the request ring, answered through the response ring.
 */
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "state.h"

#define HASH_SIZE       256u    /* power of two */
#define ENTRIES_A_STEP  16u
#define TOKEN_SHIFT     16      /* variant << 16 | index */

struct SvanFault {
    SvanFn *fn;
    uint32_t token;
    uint32_t key, pasid, qpn;
    uint64_t page, len, entry;
    uint8_t flags;              /* SVAN_PAGE_REQ_* */
    uint8_t level, attempt;
    bool used;
    bool asked;                 /* the request has been written */
    bool injected, failure;     /* ended by the timer, nobody is asked */
    SvanTimer timer;
    uint8_t table_source;       /* SVAN_ESTIMATE_*, of `table` */
    SvanEstimate table, answer;
    SvanLink link;              /* prq->queue, until it is asked */
    SvanLink waits;
    SvanFault *next;            /* in its hash chain, or among the free ones */
};

struct SvanPrq {
    SvanFn *fn;
    uint64_t requests, responses;       /* bus addresses */
    uint8_t log_size;
    bool armed;
    uint32_t pi, ci;
    uint32_t resp_pi, resp_ci;
    SvanLink link;              /* core->fault_work */
    SvanLink queue;             /* faults to be asked for */
    SvanLink starved;           /* waits without a fault */
    SvanFault *free;
    SvanFault *hash[HASH_SIZE];
    SvanFault faults[];
};

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, create_prq.field)

/* ---- faults ---- */

static uint32_t hash_of(uint32_t space, uint64_t page)
{
    uint64_t h = ((page >> 12) + space) * 0x9e3779b97f4a7c15ull;

    return h >> 56;
}

/* Addresses mean the same in all keys of a process. */
static uint32_t space_of(const SvanKey *key)
{
    return key->kind == SVAN_KEY_PROCESS ? key->pasid : key->key;
}

static uint32_t fault_space(const SvanFault *fault)
{
    return fault->flags & SVAN_PAGE_REQ_PROCESS ? fault->pasid : fault->key;
}

/* One that promises at least what is wanted. */
static SvanFault *find_fault(const SvanPrq *prq, const SvanAbsent *absent)
{
    bool process = absent->key->kind == SVAN_KEY_PROCESS;
    uint32_t space = space_of(absent->key);
    uint64_t page = absent->va & ~(uint64_t)SVAN_PAGE_MASK;
    SvanFault *fault = prq->hash[hash_of(space, page)];

    while (fault && (fault_space(fault) != space || fault->page != page ||
                     fault->injected != absent->injected ||
                     !(fault->flags & SVAN_PAGE_REQ_PROCESS) == process ||
                     (absent->write &&
                      !(fault->flags & SVAN_PAGE_REQ_WRITE)))) {
        fault = fault->next;
    }
    return fault;
}

static uint8_t request_flags(const SvanAbsent *absent, bool remote)
{
    return (absent->write ? SVAN_PAGE_REQ_WRITE : 0) |
           (remote ? SVAN_PAGE_REQ_REMOTE : 0) |
           (absent->is_protected ? SVAN_PAGE_REQ_PROTECTED : 0) |
           (absent->key->kind == SVAN_KEY_PROCESS ? SVAN_PAGE_REQ_PROCESS : 0);
}

static void set_estimate(SvanEstimate *estimate, SvanFn *fn,
                         uint8_t fault_class, uint64_t time_ns)
{
    estimate->fault_class = fault_class < SVAN_FAULT_CLASS_COUNT ?
                            fault_class : SVAN_FAULT_UNKNOWN;
    estimate->known = time_ns;
    estimate->at = svan_now(fn->core) + time_ns;
}

/* All but who waits; it is queued to be asked for. */
static void fault_begin(SvanFault *fault, const SvanFaultWait *wait,
                        bool remote)
{
    SvanFn *fn = wait->qp->fn;
    SvanPrq *prq = fn->prq;
    const SvanAbsent *absent = &fn->absent;
    uint32_t at;

    fault->used = true;
    fault->asked = false;
    fault->token += 1u << TOKEN_SHIFT;
    fault->key = absent->key->key;
    fault->pasid = absent->key->pasid;
    fault->qpn = wait->qp->qpn;
    fault->page = wait->page;
    fault->len = (absent->va & SVAN_PAGE_MASK) + absent->len;
    fault->entry = absent->entry;
    fault->flags = request_flags(absent, remote);
    fault->level = absent->level;
    fault->attempt = wait->attempt;
    fault->table_source = absent->source;
    memset(&fault->answer, 0, sizeof(fault->answer));
    set_estimate(&fault->table, fn, absent->fault_class, absent->time_ns);
    svan_list_init(&fault->waits);
    at = hash_of(fault_space(fault), fault->page);
    fault->next = prq->hash[at];
    prq->hash[at] = fault;
    fault->injected = absent->injected;
    if (fault->injected) {
        fault->asked = true;
        fault->failure = absent->injected_failure;
        svan_timer_set(fn->core, &fault->timer,
                       svan_now(fn->core) + absent->injected_ns);
        return;
    }
    svan_list_append(&prq->queue, &fault->link);
    svan_list_append(&fn->core->fault_work, &prq->link);
}

static void fault_unhash(SvanFault *fault)
{
    SvanPrq *prq = fault->fn->prq;
    SvanFault **at = &prq->hash[hash_of(fault_space(fault), fault->page)];

    while (*at != fault) {
        at = &(*at)->next;
    }
    *at = fault->next;
}

static void wait_ends(SvanFaultWait *wait, SvanWaitState state)
{
    svan_list_remove(&wait->link);
    wait->fault = NULL;
    wait->state = state;
    svan_qp_schedule(wait->qp);
}

/*
 * One who found no free fault looks again. Whoever does not take the one that is
 * free lets the next one look.
 */
static void feed_starved(SvanPrq *prq)
{
    if (!svan_list_empty(&prq->starved)) {
        wait_ends(svan_container(prq->starved.next, SvanFaultWait, link),
                  SVAN_WAIT_OVER);
    }
}

static void pass_on(SvanPrq *prq)
{
    if (prq && prq->free) {
        feed_starved(prq);
    }
}

static void fault_free(SvanFault *fault)
{
    SvanPrq *prq = fault->fn->prq;

    fault_unhash(fault);
    svan_list_remove(&fault->link);
    svan_timer_cancel(fault->fn->core, &fault->timer);
    fault->used = false;
    fault->next = prq->free;
    prq->free = fault;
    feed_starved(prq);
}

static void fault_ends(SvanFault *fault, SvanWaitState state)
{
    while (!svan_list_empty(&fault->waits)) {
        wait_ends(svan_container(fault->waits.next, SvanFaultWait, link),
                  state);
    }
    fault_free(fault);
}

static void fire_injected(SvanTimer *timer)
{
    SvanFault *fault = svan_container(timer, SvanFault, timer);

    fault_ends(fault, fault->failure ? SVAN_WAIT_FAILED : SVAN_WAIT_OVER);
}

/* ---- waits ---- */

/* Two pages, as a packet may cross from one to the other. */
bool svan_fault_again(const SvanFaultWait *wait)
{
    uint64_t page = wait->qp->fn->absent.va & ~(uint64_t)SVAN_PAGE_MASK;

    return page == wait->page || page == wait->before;
}

static void wait_begins(SvanFaultWait *wait)
{
    SvanFn *fn = wait->qp->fn;
    uint64_t page = fn->absent.va & ~(uint64_t)SVAN_PAGE_MASK;

    if (svan_fault_again(wait)) {
        wait->attempt += wait->attempt < UINT8_MAX;
        fn->stats.page_faults_again++;
    } else {
        wait->attempt = 0;
    }
    if (page != wait->page) {
        wait->before = wait->page;
        wait->page = page;
    }
    wait->state = SVAN_WAIT_PENDING;
    wait->token = SVAN_NONE;
    wait->news = true;
    fn->stats.page_faults++;
}

void svan_fault_forget(SvanFaultWait *wait)
{
    wait->page = wait->before = UINT64_MAX;
    wait->attempt = 0;
}

void svan_fault_wait(SvanFaultWait *wait, bool remote)
{
    SvanFn *fn = wait->qp->fn;
    SvanPrq *prq = fn->prq;
    SvanFault *fault;

    wait_begins(wait);
    if (!prq || fn->fatal) {
        wait->state = SVAN_WAIT_FAILED;
        svan_qp_schedule(wait->qp);
        return;
    }
    fault = find_fault(prq, &fn->absent);
    if (fault) {
        fn->stats.page_requests_merged++;
        pass_on(prq);
    } else if (prq->free) {
        fault = prq->free;
        prq->free = fault->next;
        fault_begin(fault, wait, remote);
    } else {
        fn->stats.page_requests_stalled++;
        svan_list_append(&prq->starved, &wait->link);
        return;
    }
    wait->fault = fault;
    wait->token = fault->token;
    svan_list_append(&fault->waits, &wait->link);
}

/* A request that nobody waits for any more is not made; if it was, it ends. */
void svan_fault_leave(SvanFaultWait *wait)
{
    SvanFault *fault = wait->fault;

    svan_list_remove(&wait->link);
    wait->fault = NULL;
    wait->state = SVAN_WAIT_NONE;
    if (fault && (!fault->asked || fault->injected) &&
        svan_list_empty(&fault->waits)) {
        fault_free(fault);
    } else {
        pass_on(wait->qp->fn->prq);
    }
}

SvanEstimate svan_fault_estimate(const SvanFaultWait *wait, uint8_t sources)
{
    const SvanFault *fault = wait->fault;
    SvanEstimate none = { .answered = !(sources & SVAN_ESTIMATE_RESPONSE) };
    SvanEstimate result = none;

    if (!fault) {
        return none;
    }
    if (sources & fault->table_source) {
        result = fault->table;
        result.answered = none.answered;
    }
    if ((sources & SVAN_ESTIMATE_RESPONSE) && fault->answer.answered) {
        result.answered = true;
        if (fault->answer.known || !result.known) {
            result = fault->answer;
        }
    }
    return result;
}

SvanEstimate svan_fault_expected(SvanFn *fn, uint8_t sources)
{
    SvanEstimate estimate = { 0 };

    if (sources & fn->absent.source) {
        set_estimate(&estimate, fn, fn->absent.fault_class,
                     fn->absent.time_ns);
    }
    estimate.answered = !fn->prq || !(sources & SVAN_ESTIMATE_RESPONSE);
    return estimate;
}

/* ---- life of the queue ---- */

static uint32_t check_prq(const SvanFn *fn,
                          const struct svan_cmd_create_prq *cmd)
{
    uint64_t requests = le64toh(cmd->requests);
    uint64_t responses = le64toh(cmd->responses);
    uint64_t size;

    if (!(fn->features & SVAN_CAP_PAGE_REQUESTS)) {
        return SVAN_REFUSAL(SVAN_CMD_NOT_SUPPORTED, hdr.opcode);
    }
    if (fn->prq) {
        return SVAN_CMD_BUSY;
    }
    if (cmd->log_size < SVAN_PRQ_MIN_LOG_SIZE ||
        cmd->log_size > SVAN_PRQ_MAX_LOG_SIZE) {
        return REFUSE(BAD_PARAM, log_size);
    }
    size = (uint64_t)sizeof(struct svan_page_request) << cmd->log_size;
    if ((requests & SVAN_PAGE_MASK) || requests + (size - 1) < requests) {
        return REFUSE(BAD_PARAM, requests);
    }
    size = 2ull * sizeof(struct svan_page_response) << cmd->log_size;
    if ((responses & SVAN_PAGE_MASK) || responses + (size - 1) < responses) {
        return REFUSE(BAD_PARAM, responses);
    }
    return SVAN_CMD_OK;
}

uint32_t svan_prq_create(SvanFn *fn, const struct svan_cmd_create_prq *cmd)
{
    uint32_t refusal = check_prq(fn, cmd), size;
    SvanPrq *prq;

    if (refusal) {
        return refusal;
    }
    size = 1u << cmd->log_size;
    prq = calloc(1, sizeof(*prq) + size * sizeof(prq->faults[0]));
    if (!prq || !svan_timer_reserve(fn->core, size)) {
        free(prq);
        return SVAN_CMD_NO_RESOURCES;
    }
    prq->fn = fn;
    prq->requests = le64toh(cmd->requests);
    prq->responses = le64toh(cmd->responses);
    prq->log_size = cmd->log_size;
    svan_list_init(&prq->queue);
    svan_list_init(&prq->starved);
    for (uint32_t i = size; i--; ) {
        prq->faults[i].fn = fn;
        svan_timer_init(&prq->faults[i].timer, fire_injected);
        prq->faults[i].token = i;
        prq->faults[i].next = prq->free;
        prq->free = &prq->faults[i];
    }
    fn->prq = prq;
    return SVAN_CMD_OK;
}

void svan_prq_stop(SvanFn *fn)
{
    if (fn->prq) {
        svan_list_remove(&fn->prq->link);
    }
}

void svan_prq_destroy(SvanFn *fn)
{
    SvanPrq *prq = fn->prq;

    if (!prq) {
        return;
    }
    for (uint32_t i = 0; i < 1u << prq->log_size; i++) {
        if (prq->faults[i].used) {
            fault_ends(&prq->faults[i], SVAN_WAIT_FAILED);
        }
    }
    while (!svan_list_empty(&prq->starved)) {
        feed_starved(prq);
    }
    svan_list_remove(&prq->link);
    svan_timer_unreserve(fn->core, 1u << prq->log_size);
    fn->prq = NULL;
    free(prq);
}

/* ---- the rings ---- */

static bool has_room(const SvanPrq *prq)
{
    return prq->pi - prq->ci < 1u << prq->log_size;
}

static bool has_work(const SvanPrq *prq)
{
    return prq->resp_pi != prq->resp_ci ||
           (!svan_list_empty(&prq->queue) && has_room(prq));
}

static void schedule(SvanPrq *prq)
{
    if (has_work(prq) && !prq->fn->fatal) {
        svan_list_append(&prq->fn->core->fault_work, &prq->link);
        svan_kick(prq->fn->core);
    }
}

static void tell_host(SvanPrq *prq)
{
    if (prq->armed && prq->pi != prq->ci) {
        prq->armed = false;
        svan_event(prq->fn, SVAN_EVENT_PAGE_REQUEST, 0, 0);
    }
}

void svan_prq_doorbell(SvanFn *fn, uint32_t value)
{
    SvanPrq *prq = fn->prq;
    uint32_t ci;

    if (!prq) {
        return;
    }
    ci = prq->pi - ((prq->pi - value) & SVAN_PRQ_DB_CI_MASK);
    if (prq->pi - ci > prq->pi - prq->ci) {
        fn->stats.page_responses_bad++;
        return;                         /* it goes backwards */
    }
    prq->ci = ci;
    prq->armed |= !!(value & SVAN_PRQ_DB_ARM);
    tell_host(prq);
    schedule(prq);
}

void svan_prr_doorbell(SvanFn *fn, uint32_t pi)
{
    SvanPrq *prq = fn->prq;

    if (!prq) {
        return;
    }
    if (pi - prq->resp_ci > 2u << prq->log_size) {
        fn->stats.page_responses_bad++;
        return;
    }
    prq->resp_pi = pi;
    schedule(prq);
}

static void write_request(const SvanFault *fault, uint8_t phase, uint8_t *host)
{
    struct svan_page_request request = {
        .addr = htole64(fault->page), .entry = htole64(fault->entry),
        .length = htole32(fault->len < UINT32_MAX ? fault->len : UINT32_MAX),
        .token = htole32(fault->token), .key = htole32(fault->key),
        .pasid = htole32(fault->pasid), .qpn = htole32(fault->qpn),
        .flags = fault->flags, .level = fault->level,
        .attempt = fault->attempt, .owner = phase,
    };
    size_t last = sizeof(request) - sizeof(uint64_t);
    uint64_t word;

    memcpy(host, &request, last);
    memcpy(&word, (uint8_t *)&request + last, sizeof(word));
    /* owner is in this word; pairs with the driver's dma_rmb() */
    __atomic_store_n((uint64_t *)(host + last), word, __ATOMIC_RELEASE);
}

static SvanStep ask(SvanPrq *prq)
{
    SvanFault *fault = svan_container(prq->queue.next, SvanFault, link);
    uint32_t slot = prq->pi & ((1u << prq->log_size) - 1);
    uint8_t phase = (prq->pi >> prq->log_size) & 1 ? 0 : SVAN_PAGE_REQ_PHASE;
    uint32_t size = sizeof(struct svan_page_request);
    SvanFn *fn = prq->fn;
    SvanMem mem;
    SvanStep step = svan_map_bus(fn, prq->requests + (uint64_t)slot * size,
                                 size, true, &mem);

    if (step != SVAN_STEP_DONE) {
        return step;
    }
    write_request(fault, phase, mem.host);
    svan_stored(fn, &mem);
    svan_list_remove(&fault->link);
    fault->asked = true;
    prq->pi++;
    fn->stats.page_requests++;
    svan_trace(fn, SVAN_TRACE_PAGE_REQUEST, fault->token, fault->page,
               fault->flags, fault->qpn);
    return SVAN_STEP_DONE;
}

static SvanFault *fault_by_token(SvanPrq *prq, uint32_t token)
{
    uint32_t index = token & SVAN_PAGE_TOKEN_INDEX;
    SvanFault *fault = &prq->faults[index & ((1u << prq->log_size) - 1)];

    return index < 1u << prq->log_size && fault->used && fault->asked &&
           fault->token == token && !fault->injected ? fault : NULL;
}

static void pending(SvanFault *fault, const struct svan_page_response *response)
{
    set_estimate(&fault->answer, fault->fn, response->fault_class,
                 le64toh(response->time_ns));
    fault->answer.answered = true;
    for (SvanLink *link = fault->waits.next; link != &fault->waits;
         link = link->next) {
        SvanFaultWait *wait = svan_container(link, SvanFaultWait, link);

        wait->news = true;
        svan_qp_schedule(wait->qp);
    }
}

static void answer(SvanPrq *prq, const struct svan_page_response *response)
{
    uint32_t token = le32toh(response->token);
    SvanFault *fault = fault_by_token(prq, token);
    SvanFn *fn = prq->fn;

    svan_trace(fn, SVAN_TRACE_PAGE_RESPONSE, token, response->status,
               response->fault_class, le64toh(response->time_ns));
    if (fault && response->status == SVAN_PAGE_PENDING) {
        pending(fault, response);
    } else if (fault && response->status == SVAN_PAGE_RESOLVED) {
        fault_ends(fault, SVAN_WAIT_OVER);
    } else if (fault && response->status == SVAN_PAGE_FAILED) {
        fault_ends(fault, SVAN_WAIT_FAILED);
    } else {
        fn->stats.page_responses_bad++;
    }
}

static SvanStep hear(SvanPrq *prq)
{
    uint32_t slot = prq->resp_ci & ((2u << prq->log_size) - 1);
    struct svan_page_response response;
    SvanMem mem;
    SvanStep step = svan_map_bus(prq->fn, prq->responses +
                                 (uint64_t)slot * sizeof(response),
                                 sizeof(response), false, &mem);

    if (step == SVAN_STEP_DONE) {
        memcpy(&response, mem.host, sizeof(response));
        prq->resp_ci++;
        answer(prq, &response);
    }
    return step;
}

/* Answers come first: they may make requests unnecessary, never the reverse. */
static SvanStep prq_step(SvanPrq *prq)
{
    SvanStep step = SVAN_STEP_DONE;
    uint32_t n = 0;

    while (step == SVAN_STEP_DONE && prq->resp_pi != prq->resp_ci &&
           n++ < ENTRIES_A_STEP) {
        step = hear(prq);
    }
    while (step == SVAN_STEP_DONE && !svan_list_empty(&prq->queue) &&
           has_room(prq) && n++ < ENTRIES_A_STEP) {
        step = ask(prq);
    }
    tell_host(prq);
    return step;
}

SvanStep svan_fault_step(SvanCore *core)
{
    SvanPrq *prq = svan_container(core->fault_work.next, SvanPrq, link);
    SvanStep step;

    svan_list_remove(&prq->link);
    step = prq_step(prq);
    if (step == SVAN_STEP_ERROR) {
        svan_fatal(prq->fn, SVAN_FATAL_PRQ_DMA);
        return SVAN_STEP_DONE;
    }
    if (step == SVAN_STEP_MISS) {
        svan_list_first(&core->fault_work, &prq->link);
    } else if (has_work(prq)) {
        svan_list_append(&core->fault_work, &prq->link);
    }
    return step;
}

/* ---- policies ---- */

void svan_policy_default(struct svan_fault_policy *policy)
{
    *policy = (struct svan_fault_policy) {
        .mode = SVAN_FAULT_MODE_AUTO,
        .sources = SVAN_ESTIMATE_MASK,
        .hold_max_us = htole32(1000),
        .divert_max_us = htole32(4000),
        .drop_max_us = htole32(8000),
        .bound_us = htole32(20000),
        .unknown_us = htole32(500),
        .hold_bytes = htole32(256 << 10),
        .divert_pages = htole32(64),
    };
}

bool svan_policy_ok(const struct svan_fault_policy *policy)
{
    return policy->mode < SVAN_FAULT_MODE_COUNT &&
           policy->mode != SVAN_FAULT_MODE_FAIL &&
           !(policy->sources & ~SVAN_ESTIMATE_MASK) && !policy->reserved0;
}

/* ---- state ---- */

/*
 * Who waited looks again after the load. What has been asked for is answered
 * still, so it is kept; what has not is asked for again.
 */
static void save_fault(const SvanFault *fault, SvanWriter *writer)
{
    svan_put_u32(writer, fault->token);
    svan_put_u32(writer, fault->key);
    svan_put_u32(writer, fault->pasid);
    svan_put_u32(writer, fault->qpn);
    svan_put_u64(writer, fault->page);
    svan_put_u8(writer, fault->flags);
    svan_put_u8(writer, fault->answer.answered);
    svan_put_u8(writer, fault->answer.known);
    svan_put_u8(writer, fault->answer.fault_class);
    svan_put_u64(writer, fault->answer.at);
}

static bool load_fault(SvanPrq *prq, SvanReader *reader, uint32_t token)
{
    uint32_t index = token & SVAN_PAGE_TOKEN_INDEX, at;
    SvanFault *fault = &prq->faults[index & ((1u << prq->log_size) - 1)];

    if (index >= 1u << prq->log_size || fault->used) {
        return false;
    }
    fault->used = fault->asked = true;
    fault->token = token;
    fault->key = svan_get_u32(reader);
    fault->pasid = svan_get_u32(reader);
    fault->qpn = svan_get_u32(reader);
    fault->page = svan_get_u64(reader);
    fault->flags = svan_get_u8(reader);
    fault->answer.answered = svan_get_u8(reader);
    fault->answer.known = svan_get_u8(reader);
    fault->answer.fault_class = svan_get_u8(reader);
    fault->answer.at = svan_get_u64(reader);
    svan_list_init(&fault->waits);
    at = hash_of(fault_space(fault), fault->page);
    fault->next = prq->hash[at];
    prq->hash[at] = fault;
    return fault->answer.fault_class < SVAN_FAULT_CLASS_COUNT;
}

void svan_save_faults(SvanFn *fn, SvanWriter *writer)
{
    const SvanPrq *prq = fn->prq;

    svan_put_bytes(writer, &fn->policy, sizeof(fn->policy));
    svan_put_u8(writer, prq ? prq->log_size : 0);
    if (!prq) {
        return;
    }
    svan_put_u64(writer, prq->requests);
    svan_put_u64(writer, prq->responses);
    svan_put_u8(writer, prq->armed);
    svan_put_u32(writer, prq->pi);
    svan_put_u32(writer, prq->ci);
    svan_put_u32(writer, prq->resp_pi);
    svan_put_u32(writer, prq->resp_ci);
    for (uint32_t i = 0; i < 1u << prq->log_size; i++) {
        if (prq->faults[i].used && prq->faults[i].asked &&
            !prq->faults[i].injected) {
            save_fault(&prq->faults[i], writer);
        }
    }
    svan_put_u32(writer, SVAN_NONE);
}

/* The free ones, in the order of their indices. */
static void collect_free(SvanPrq *prq)
{
    prq->free = NULL;
    for (uint32_t i = 1u << prq->log_size; i--; ) {
        if (!prq->faults[i].used) {
            prq->faults[i].next = prq->free;
            prq->free = &prq->faults[i];
        }
    }
}

static bool load_prq(SvanFn *fn, SvanReader *reader, uint8_t log_size)
{
    struct svan_cmd_create_prq cmd = { .log_size = log_size };
    uint32_t token;
    SvanPrq *prq;

    cmd.requests = htole64(svan_get_u64(reader));
    cmd.responses = htole64(svan_get_u64(reader));
    if (reader->failed || svan_prq_create(fn, &cmd) != SVAN_CMD_OK) {
        return false;
    }
    prq = fn->prq;
    prq->armed = svan_get_u8(reader);
    prq->pi = svan_get_u32(reader);
    prq->ci = svan_get_u32(reader);
    prq->resp_pi = svan_get_u32(reader);
    prq->resp_ci = svan_get_u32(reader);
    while ((token = svan_get_u32(reader)) != SVAN_NONE) {
        if (reader->failed || !load_fault(prq, reader, token)) {
            return false;
        }
    }
    collect_free(prq);
    if (prq->pi - prq->ci > 1u << log_size ||
        prq->resp_pi - prq->resp_ci > 2u << log_size) {
        return false;
    }
    schedule(prq);
    return true;
}

bool svan_load_faults(SvanFn *fn, SvanReader *reader)
{
    uint8_t log_size;

    svan_get_bytes(reader, &fn->policy, sizeof(fn->policy));
    log_size = svan_get_u8(reader);
    if (reader->failed || !svan_policy_ok(&fn->policy)) {
        svan_policy_default(&fn->policy);
        return false;
    }
    return !log_size || load_prq(fn, reader, log_size);
}
