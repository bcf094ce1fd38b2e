/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page request queue (PRM "Faults"): requests are written to one ring, and
 * answered through another.
 */
#include <stdlib.h>
#include <string.h>

#include "paging/prq.h"

#define ENTRIES_A_STEP  16u
#define COST_A_STEP     1500u           /* after which no further response is read */

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, create_prq.field)

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
    if (fn->paging->prq) {
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

/* What it costs to make, or to destroy, all page requests that there may be. */
static uint64_t cost_of_requests(const SvanPrq *prq)
{
    return svan_prq_size(prq) * sizeof(prq->faults[0]) / SVAN_COST_OCTETS;
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
    prq->factor = ((uintptr_t)prq * 0x9e3779b97f4a7c15ull) | 1;
    fn->core->cost += cost_of_requests(prq);
    svan_page_requests_init(prq);
    fn->paging->prq = prq;
    return SVAN_CMD_OK;
}

void svan_prq_stop(SvanFn *fn)
{
    if (fn->paging->prq) {
        svan_turn_leave(fn, SVAN_TURN_FAULT, &fn->paging->prq->link);
    }
}

void svan_prq_destroy(SvanFn *fn)
{
    SvanPrq *prq = fn->paging->prq;

    if (!prq) {
        return;
    }
    fn->core->cost += cost_of_requests(prq);
    svan_page_requests_fini(prq);
    svan_prq_stop(fn);
    svan_timer_unreserve(fn->core, svan_prq_size(prq));
    fn->paging->prq = NULL;
    free(prq);
}

uint32_t svan_prq_open_requests(const SvanFn *fn)
{
    const SvanPrq *prq = fn->paging->prq;

    return prq ? svan_prq_size(prq) - prq->num_free : 0;
}

/* ---- the rings ---- */

static bool has_room(const SvanPrq *prq)
{
    return prq->pi - prq->ci < svan_prq_size(prq);
}

static bool has_work(const SvanPrq *prq)
{
    return prq->resp_pi != prq->resp_ci ||
           (!svan_list_empty(&prq->queue) && has_room(prq));
}

static void schedule(SvanPrq *prq)
{
    if (has_work(prq) && !prq->fn->fatal) {
        svan_turn_join(prq->fn, SVAN_TURN_FAULT, &prq->link);
    }
}

static void tell_host(SvanPrq *prq)
{
    if (prq->armed && prq->pi != prq->ci) {
        prq->armed = false;
        svan_event(&prq->fn->queues->events, SVAN_EVENT_PAGE_REQUEST, 0);
    }
}

void svan_prq_doorbell(SvanFn *fn, uint32_t value)
{
    SvanPrq *prq = fn->paging->prq;
    uint32_t ci;

    if (!prq) {
        return;
    }
    ci = prq->pi - ((prq->pi - value) & SVAN_PRQ_DB_CI_MASK);
    if (prq->pi - ci > prq->pi - prq->ci) {
        fn->stats->page_responses_bad++;
        return;                         /* the index goes backwards, or beyond pi */
    }
    prq->ci = ci;
    prq->armed |= !!(value & SVAN_PRQ_DB_ARM);
    tell_host(prq);
    schedule(prq);
}

void svan_prr_doorbell(SvanFn *fn, uint32_t pi)
{
    SvanPrq *prq = fn->paging->prq;

    if (!prq) {
        return;
    }
    if (pi - prq->resp_ci > 2u << prq->log_size) {
        fn->stats->page_responses_bad++;
        return;
    }
    prq->resp_pi = pi;
    schedule(prq);
}

static void write_request(const SvanPageRequest *fault, uint8_t phase, uint8_t *host)
{
    const SvanWanted *wanted = &fault->wanted;
    struct svan_page_request request = {
        .addr = htole64(wanted->page), .entry = htole64(wanted->entry),
        .length = htole32(wanted->len < UINT32_MAX ? wanted->len : UINT32_MAX),
        .token = htole32(fault->token), .key = htole32(wanted->key),
        .pasid = htole32(wanted->pasid), .qpn = htole32(fault->qpn),
        .generation = htole32(wanted->generation),
        .flags = wanted->flags, .level = wanted->level,
        .attempt = fault->attempt, .owner = phase,
    };
    size_t last = sizeof(request) - sizeof(uint64_t);
    uint64_t word;

    memcpy(host, &request, last);
    memcpy(&word, (uint8_t *)&request + last, sizeof(word));
    /* This word has the owner octet. The release pairs with the driver's dma_rmb(). */
    __atomic_store_n((uint64_t *)(host + last), word, __ATOMIC_RELEASE);
}

static SvanStep ask(SvanPrq *prq)
{
    SvanPageRequest *fault = svan_container(prq->queue.next, SvanPageRequest, link);
    uint32_t slot = prq->pi & (svan_prq_size(prq) - 1);
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
    fn->stats->page_requests++;
    svan_trace(fn, SVAN_TRACE_PAGE_REQUEST, fault->token, fault->wanted.page,
               fault->wanted.flags, fault->qpn);
    return SVAN_STEP_DONE;
}

static void answer(SvanPrq *prq, const struct svan_page_response *response)
{
    uint32_t token = le32toh(response->token);
    SvanPageRequest *fault = svan_page_request_by_token(prq, token);
    SvanFn *fn = prq->fn;

    svan_trace(fn, SVAN_TRACE_PAGE_RESPONSE, token, response->status,
               response->fault_class, le64toh(response->time_ns));
    if (fault && response->status == SVAN_PAGE_PENDING) {
        svan_page_request_pending(fault, response->fault_class,
                           le64toh(response->time_ns));
    } else if (fault && response->status == SVAN_PAGE_RESOLVED) {
        svan_page_request_ends(fault, SVAN_WAIT_OVER);
    } else if (fault && response->status == SVAN_PAGE_FAILED) {
        svan_page_request_ends(fault, SVAN_WAIT_FAILED);
    } else {
        fn->stats->page_responses_bad++;
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

/*
 * Responses are read before requests are written, since a response may make a request
 * unnecessary. After one that many have waited for, the others are those of another step.
 */
static SvanStep prq_step(SvanPrq *prq)
{
    uint64_t cost = prq->fn->core->cost;
    SvanStep step = SVAN_STEP_DONE;
    uint32_t n = 0;

    while (step == SVAN_STEP_DONE && prq->resp_pi != prq->resp_ci &&
           n++ < ENTRIES_A_STEP && prq->fn->core->cost - cost < COST_A_STEP) {
        step = hear(prq);
    }
    while (step == SVAN_STEP_DONE && !svan_list_empty(&prq->queue) &&
           has_room(prq) && n++ < ENTRIES_A_STEP) {
        step = ask(prq);
    }
    tell_host(prq);
    return step;
}

SvanStep svan_prq_step(SvanFn *fn)
{
    SvanPrq *prq = fn->paging->prq;
    SvanStep step;

    svan_list_remove(&prq->link);
    step = prq_step(prq);
    if (step == SVAN_STEP_ERROR) {
        svan_fatal(fn, SVAN_FATAL_PRQ_DMA);
        return SVAN_STEP_DONE;
    }
    if (step == SVAN_STEP_MISS || has_work(prq)) {
        svan_turn_join(fn, SVAN_TURN_FAULT, &prq->link);
    }
    return step;
}

/* ---- state ---- */

/*
 * Page requests that were written will still be answered, so they are saved, but not
 * their waits: whoever waited tries again after the load, and asks for the page again
 * if its request had not been written.
 */
static void save_fault(const SvanPageRequest *fault, SvanWriter *writer)
{
    svan_put_u32(writer, fault->token);
    svan_put_u32(writer, fault->qpn);
    svan_put_u64(writer, fault->account->id);
    svan_put_u8(writer, fault->orphan);
    svan_put_u32(writer, fault->wanted.key);
    svan_put_u32(writer, fault->wanted.pasid);
    svan_put_u32(writer, fault->wanted.generation);
    svan_put_u64(writer, fault->wanted.page);
    svan_put_u8(writer, fault->wanted.flags);
    svan_put_u8(writer, fault->answer.answered);
    svan_put_u8(writer, fault->answer.known);
    svan_put_u8(writer, fault->answer.fault_class);
    svan_put_u64(writer, fault->answer.at);
}

static bool load_fault(SvanPrq *prq, SvanReader *reader, uint32_t token)
{
    SvanPageRequest *fault = svan_page_request_restore(prq, token);
    SvanAccount *account;

    if (!fault) {
        return false;
    }
    fault->qpn = svan_get_u32(reader);
    account = svan_account_get(prq->fn, svan_get_u64(reader));
    if (!account) {
        return false;
    }
    fault->orphan = svan_get_u8(reader);
    fault->wanted.key = svan_get_u32(reader);
    fault->wanted.pasid = svan_get_u32(reader);
    fault->wanted.generation = svan_get_u32(reader);
    fault->wanted.page = svan_get_u64(reader);
    fault->wanted.flags = svan_get_u8(reader);
    fault->answer.answered = svan_get_u8(reader);
    fault->answer.known = svan_get_u8(reader);
    fault->answer.fault_class = svan_get_u8(reader);
    fault->answer.at = svan_get_u64(reader);
    svan_page_request_restored(fault, account);
    return fault->answer.fault_class < SVAN_FAULT_CLASS_COUNT;
}

void svan_save_prq(SvanFn *fn, SvanWriter *writer)
{
    const SvanPrq *prq = fn->paging->prq;

    svan_put_bytes(writer, &fn->paging->policy, sizeof(fn->paging->policy));
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
    for (uint32_t i = 0; i < svan_prq_size(prq); i++) {
        const SvanPageRequest *fault = &prq->faults[i];

        if (fault->used && fault->asked && !fault->wanted.injected) {
            save_fault(fault, writer);
        }
    }
    svan_put_u32(writer, SVAN_NONE);
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
    prq = fn->paging->prq;
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
    svan_page_requests_collect(prq);
    if (prq->pi - prq->ci > 1u << log_size ||
        prq->resp_pi - prq->resp_ci > 2u << log_size) {
        return false;
    }
    schedule(prq);
    return true;
}

bool svan_load_prq(SvanFn *fn, SvanReader *reader)
{
    uint8_t log_size;

    svan_get_bytes(reader, &fn->paging->policy, sizeof(fn->paging->policy));
    log_size = svan_get_u8(reader);
    if (reader->failed || !svan_policy_ok(&fn->paging->policy)) {
        svan_policy_default(&fn->paging->policy);
        return false;
    }
    return !log_size || load_prq(fn, reader, log_size);
}
