/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands for page requests, fault policies and spare pages.
 */
#include <string.h>

#include "device/device.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, field)

SvanStep svan_cmd_create_prq(SvanCmdCtx *ctx)
{
    return svan_cmd_answer(ctx,
                           svan_prq_create(ctx->fn, &ctx->cmd->create_prq));
}

SvanStep svan_cmd_destroy_prq(SvanCmdCtx *ctx)
{
    if (!ctx->fn->paging->prq) {
        return svan_cmd_answer(ctx, SVAN_CMD_BAD_RESOURCE);
    }
    svan_prq_destroy(ctx->fn);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

/*
 * The policy of a queue pair, or of the function for QPN 0. NULL: no such queue pair.
 */
static struct svan_fault_policy *policy_of(SvanCmdCtx *ctx, SvanQp **qp)
{
    uint32_t qpn = le32toh(ctx->cmd->fault_policy.qpn);

    *qp = qpn ? svan_qp_get(ctx->fn, qpn) : NULL;
    if (!qpn) {
        return &ctx->fn->paging->policy;
    }
    return *qp ? &(*qp)->policy : NULL;
}

SvanStep svan_cmd_set_fault_policy(SvanCmdCtx *ctx)
{
    uint32_t flags = le32toh(ctx->cmd->fault_policy.flags);
    SvanQp *qp;
    struct svan_fault_policy *policy = policy_of(ctx, &qp);

    if (!policy) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, fault_policy.qpn));
    }
    if (flags & ~SVAN_CMD_POLICY_PRIVILEGED) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, fault_policy.flags));
    }
    if (!svan_policy_ok(&ctx->cmd->fault_policy.policy)) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, fault_policy.policy));
    }
    *policy = ctx->cmd->fault_policy.policy;
    if (qp && !flags && !svan_account_is_kernel(qp->waiter.account)) {
        svan_policy_limit(policy, &ctx->fn->paging->policy);
    }
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

SvanStep svan_cmd_query_fault_policy(SvanCmdCtx *ctx)
{
    SvanQp *qp;
    const struct svan_fault_policy *policy = policy_of(ctx, &qp);

    if (!policy) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, fault_policy.qpn));
    }
    ctx->resp->fault_policy = *policy;
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

static uint32_t set_spares(SvanCmdCtx *ctx, const SvanMem *list, uint32_t count)
{
    uint64_t pages[SVAN_MAX_SPARES];

    if (count) {
        memcpy(pages, list->host, count * sizeof(pages[0]));
    }
    for (uint32_t i = 0; i < count; i++) {
        pages[i] = le64toh(pages[i]);
        if (pages[i] & SVAN_PAGE_MASK) {
            return REFUSE(BAD_PARAM, spare_pages.addr);
        }
    }
    return svan_spares_set(ctx->fn, pages, count) ? SVAN_CMD_OK :
                                                    SVAN_CMD_NO_RESOURCES;
}

SvanStep svan_cmd_set_spare_pages(SvanCmdCtx *ctx)
{
    const struct svan_cmd_spare_pages *cmd = &ctx->cmd->spare_pages;
    uint64_t addr = le64toh(cmd->addr);
    uint32_t count = le32toh(cmd->count);
    SvanStep step = SVAN_STEP_DONE;
    SvanMem list;

    if (!(ctx->fn->features & SVAN_CAP_PAGE_REQUESTS)) {
        return svan_cmd_answer(ctx, REFUSE(NOT_SUPPORTED, hdr.opcode));
    }
    if (count > SVAN_MAX_SPARES) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, spare_pages.count));
    }
    if (addr % 8 ||
        (addr & SVAN_PAGE_MASK) + count * sizeof(uint64_t) > SVAN_PAGE_SIZE) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, spare_pages.addr));
    }
    if (svan_spares_in_use(ctx->fn)) {
        return svan_cmd_answer(ctx, SVAN_CMD_BUSY);
    }
    if (count) {
        step = svan_map_bus(ctx->fn, addr, count * sizeof(uint64_t), false,
                            &list);
    }
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (step == SVAN_STEP_ERROR) {
        return svan_cmd_answer(ctx, REFUSE(DMA_ERROR, spare_pages.addr));
    }
    return svan_cmd_answer(ctx, set_spares(ctx, &list, count));
}
