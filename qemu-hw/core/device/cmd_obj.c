/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands for EQs, UAR pages, protection domains, keys, process contexts, CQs, completion
 * counters and shared receive queues.
 */
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, field)

static uint32_t object_id(const SvanCmdCtx *ctx)
{
    return le32toh(ctx->cmd->object.id);
}

static SvanStep answer_id(SvanCmdCtx *ctx, uint32_t id)
{
    ctx->resp->id.id = htole32(id);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

static SvanStep no_such_object(SvanCmdCtx *ctx)
{
    return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, object.id));
}

static SvanStep object_is_busy(SvanCmdCtx *ctx)
{
    return svan_cmd_answer(ctx, REFUSE(BUSY, object.id));
}

/* ---- event queues ---- */

SvanStep svan_cmd_create_eq(SvanCmdCtx *ctx)
{
    return svan_cmd_answer(ctx, svan_eq_create(ctx->fn, &ctx->cmd->create_eq));
}

SvanStep svan_cmd_destroy_eq(SvanCmdCtx *ctx)
{
    uint32_t eqn = object_id(ctx);
    SvanEq *eq = eqn < SVAN_MAX_EQS ? ctx->fn->queues->eqs[eqn] : NULL;

    if (!eq) {
        return no_such_object(ctx);
    }
    if (eq->refs) {
        return object_is_busy(ctx);
    }
    svan_eq_destroy(eq);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

/* ---- UAR pages ---- */

SvanStep svan_cmd_alloc_uar(SvanCmdCtx *ctx)
{
    uint32_t owner = le32toh(ctx->cmd->alloc_uar.owner);
    uint32_t process = le32toh(ctx->cmd->alloc_uar.process);
    SvanFn *fn = ctx->fn;

    if (owner == SVAN_NONE) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, alloc_uar.owner));
    }
    for (uint32_t uar = 1; uar < fn->uar_count; uar++) {
        if (!svan_uar_get(fn, uar)) {
            return svan_uar_take(fn, uar, owner, process) ?
                   answer_id(ctx, uar) :
                   svan_cmd_answer(ctx, SVAN_CMD_NO_RESOURCES);
        }
    }
    return svan_cmd_answer(ctx, SVAN_CMD_NO_RESOURCES);
}

SvanStep svan_cmd_free_uar(SvanCmdCtx *ctx)
{
    SvanUar *uar = svan_uar_get(ctx->fn, object_id(ctx));

    if (object_id(ctx) == 0) {
        return svan_cmd_answer(ctx, REFUSE(NOT_PERMITTED, object.id));
    }
    if (!uar) {
        return no_such_object(ctx);
    }
    if (uar->refs) {
        return object_is_busy(ctx);
    }
    uar->owner = SVAN_NONE;
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

/* ---- protection domains ---- */

SvanStep svan_cmd_alloc_pd(SvanCmdCtx *ctx)
{
    uint32_t *refs = calloc(1, sizeof(*refs));
    uint32_t pd = refs ? svan_table_insert(&ctx->fn->memory->pds, refs) : SVAN_NONE;

    if (pd == SVAN_NONE) {
        free(refs);
        return svan_cmd_answer(ctx, SVAN_CMD_NO_RESOURCES);
    }
    return answer_id(ctx, pd);
}

SvanStep svan_cmd_free_pd(SvanCmdCtx *ctx)
{
    uint32_t pd = object_id(ctx);
    uint32_t *refs = svan_table_get(&ctx->fn->memory->pds, pd);

    if (!refs) {
        return no_such_object(ctx);
    }
    if (*refs) {
        return object_is_busy(ctx);
    }
    svan_table_remove(&ctx->fn->memory->pds, pd);
    free(refs);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

/* ---- keys ---- */

SvanStep svan_cmd_create_key(SvanCmdCtx *ctx)
{
    uint32_t refusal;
    SvanKey *key;

    refusal = svan_key_create(ctx->fn, &ctx->cmd->create_key, SVAN_NONE, &key);
    return refusal ? svan_cmd_answer(ctx, refusal) : answer_id(ctx, key->key);
}

SvanStep svan_cmd_destroy_key(SvanCmdCtx *ctx)
{
    SvanKey *key = svan_key_get(ctx->fn, object_id(ctx));

    if (!key) {
        return no_such_object(ctx);
    }
    if (key->refs) {
        return object_is_busy(ctx);
    }
    if (svan_key_is_pageable(key->kind)) {
        svan_page_key_gone(ctx->fn, key->key);
    }
    svan_key_destroy(key);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

SvanStep svan_cmd_query_key(SvanCmdCtx *ctx)
{
    const SvanKey *key = svan_key_get(ctx->fn, object_id(ctx));
    struct svan_cmd_query_key_resp *resp = &ctx->resp->query_key;

    if (!key) {
        return no_such_object(ctx);
    }
    resp->va = htole64(key->va);
    resp->length = htole64(key->length);
    resp->access = htole32(key->access);
    resp->pd = htole32(key->pd);
    resp->kind = key->kind;
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

SvanStep svan_cmd_modify_key(SvanCmdCtx *ctx)
{
    const struct svan_cmd_modify_key *cmd = &ctx->cmd->modify_key;
    SvanKey *key = svan_key_get(ctx->fn, le32toh(cmd->key));

    return svan_cmd_answer(ctx, key ? svan_key_modify(key, cmd) :
                                      REFUSE(BAD_RESOURCE, modify_key.key));
}

/* ---- process contexts ---- */

SvanStep svan_cmd_set_context_table(SvanCmdCtx *ctx)
{
    if (!(ctx->fn->features & SVAN_CAP_PROCESS_KEYS)) {
        return svan_cmd_answer(ctx, REFUSE(NOT_SUPPORTED, hdr.opcode));
    }
    return svan_cmd_answer(ctx,
                           svan_context_table_set(ctx->fn,
                                                  &ctx->cmd->context_table));
}

/* ---- completion queues ---- */

SvanStep svan_cmd_create_cq(SvanCmdCtx *ctx)
{
    const struct svan_cmd_create_cq *cmd = &ctx->cmd->create_cq;
    uint32_t refusal;
    SvanCq *cq;
    SvanStep step = svan_cq_clear(ctx->fn, cmd, &ctx->fn->regs->cmdq.cleared,
                                  &refusal);

    if (step == SVAN_STEP_MISS || step == SVAN_STEP_AGAIN) {
        return step;
    }
    if (!refusal) {
        refusal = svan_cq_create(ctx->fn, cmd, SVAN_NONE, &cq);
    }
    return refusal ? svan_cmd_answer(ctx, refusal) : answer_id(ctx, cq->cqn);
}

SvanStep svan_cmd_destroy_cq(SvanCmdCtx *ctx)
{
    SvanCq *cq = svan_cq_get(ctx->fn, object_id(ctx));

    if (!cq) {
        return no_such_object(ctx);
    }
    if (cq->refs) {
        return object_is_busy(ctx);
    }
    svan_cq_destroy(cq);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

SvanStep svan_cmd_moderate_cq(SvanCmdCtx *ctx)
{
    const struct svan_cmd_moderate_cq *cmd = &ctx->cmd->moderate_cq;
    SvanCq *cq = svan_cq_get(ctx->fn, le32toh(cmd->cqn));

    if (!cq) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, moderate_cq.cqn));
    }
    svan_cq_moderate(cq, le16toh(cmd->count), le16toh(cmd->period_us));
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

/* ---- completion counters ---- */

SvanStep svan_cmd_create_counter(SvanCmdCtx *ctx)
{
    const struct svan_cmd_create_counter *cmd = &ctx->cmd->create_counter;
    SvanCounterSlot slots[SVAN_COUNTS];
    SvanCounter *counter;
    uint32_t refusal;
    SvanStep step = svan_counter_try(ctx->fn, cmd, slots, &refusal);

    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (!refusal) {
        refusal = svan_counter_create(ctx->fn, cmd, SVAN_NONE, &counter);
    }
    if (refusal) {
        return svan_cmd_answer(ctx, refusal);
    }
    for (uint32_t i = 0; i < SVAN_COUNTS; i++) {
        slots[i].counter = counter;
        svan_counter_add(&slots[i], 0);
    }
    return answer_id(ctx, counter->id);
}

SvanStep svan_cmd_destroy_counter(SvanCmdCtx *ctx)
{
    SvanCounter *counter = svan_counter_get(ctx->fn, object_id(ctx));

    if (!counter) {
        return no_such_object(ctx);
    }
    if (counter->refs) {
        return object_is_busy(ctx);
    }
    svan_counter_destroy(counter);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

SvanStep svan_cmd_modify_counter(SvanCmdCtx *ctx)
{
    const struct svan_cmd_modify_counter *cmd = &ctx->cmd->modify_counter;
    SvanCounter *counter = svan_counter_get(ctx->fn, le32toh(cmd->counter));
    uint64_t values[SVAN_COUNTS] = { le64toh(cmd->success), le64toh(cmd->error) };
    uint32_t mask = le32toh(cmd->mask);
    SvanCounterSlot slots[SVAN_COUNTS];
    SvanStep step = SVAN_STEP_DONE;

    if (!counter) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, modify_counter.counter));
    }
    if (mask & ~SVAN_MODIFY_COUNTER_MASK) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, modify_counter.mask));
    }
    for (uint32_t i = 0; i < SVAN_COUNTS && step == SVAN_STEP_DONE; i++) {
        if (mask & SVAN_MODIFY_COUNTER_SUCCESS << i) {
            step = svan_counter_reserve(counter, i, &slots[i]);
        }
    }
    if (step == SVAN_STEP_ERROR) {
        return svan_cmd_answer(ctx, REFUSE(DMA_ERROR, modify_counter.counter));
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    for (uint32_t i = 0; i < SVAN_COUNTS; i++) {
        if (!(mask & SVAN_MODIFY_COUNTER_SUCCESS << i)) {
            continue;
        }
        if (mask & SVAN_MODIFY_COUNTER_ADD) {
            svan_counter_add(&slots[i], values[i]);
        } else {
            svan_counter_set(&slots[i], values[i]);
        }
    }
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

SvanStep svan_cmd_attach_counter(SvanCmdCtx *ctx)
{
    const struct svan_cmd_attach_counter *cmd = &ctx->cmd->attach_counter;
    SvanQp *qp = svan_qp_get(ctx->fn, le32toh(cmd->qpn));
    SvanCounter *counter = svan_counter_get(ctx->fn, le32toh(cmd->counter));

    if (!qp) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, attach_counter.qpn));
    }
    if (!counter) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, attach_counter.counter));
    }
    if (qp->state != SVAN_QPS_RESET && qp->state != SVAN_QPS_INIT) {
        return svan_cmd_answer(ctx, REFUSE(BAD_STATE, attach_counter.qpn));
    }
    return svan_cmd_answer(ctx, svan_qp_attach(qp, counter, le32toh(cmd->sides)));
}

/* ---- shared receive queues ---- */

SvanStep svan_cmd_create_srq(SvanCmdCtx *ctx)
{
    const struct svan_cmd_create_srq *cmd = &ctx->cmd->create_srq;
    uint32_t refusal;
    SvanMem record;
    SvanSrq *srq;
    SvanStep step = svan_srq_map_record(ctx->fn, cmd, &record, &refusal);

    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (!refusal) {
        refusal = svan_srq_create(ctx->fn, cmd, SVAN_NONE, &srq);
    }
    if (refusal) {
        return svan_cmd_answer(ctx, refusal);
    }
    memset(record.host, 0, record.len);
    svan_stored(ctx->fn, &record);
    return answer_id(ctx, srq->srqn);
}

SvanStep svan_cmd_destroy_srq(SvanCmdCtx *ctx)
{
    SvanSrq *srq = svan_srq_get(ctx->fn, object_id(ctx));

    if (!srq) {
        return no_such_object(ctx);
    }
    if (srq->refs) {
        return object_is_busy(ctx);
    }
    svan_srq_destroy(srq);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

SvanStep svan_cmd_modify_srq(SvanCmdCtx *ctx)
{
    const struct svan_cmd_modify_srq *cmd = &ctx->cmd->modify_srq;
    SvanSrq *srq = svan_srq_get(ctx->fn, le32toh(cmd->srqn));

    return svan_cmd_answer(ctx, srq ? svan_srq_modify(srq, le32toh(cmd->limit)) :
                                      REFUSE(BAD_RESOURCE, modify_srq.srqn));
}

SvanStep svan_cmd_query_srq(SvanCmdCtx *ctx)
{
    const SvanSrq *srq = svan_srq_get(ctx->fn, object_id(ctx));

    if (!srq) {
        return no_such_object(ctx);
    }
    ctx->resp->query_srq.limit = htole32(srq->limit);
    ctx->resp->query_srq.ci = htole32(srq->rq.ci);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}
