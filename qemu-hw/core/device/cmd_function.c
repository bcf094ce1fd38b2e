/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands by which the physical function's driver manages virtual functions.
 */
#include "device/device.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, field)

/* The virtual function that a command of the PF names. NULL: *refusal says why not. */
static SvanFn *named(const SvanCmdCtx *ctx, uint32_t id, uint32_t refusal_offset,
                     uint32_t *refusal)
{
    *refusal = SVAN_CMD_OK;
    if (ctx->fn->id) {
        *refusal = REFUSE(NOT_PERMITTED, hdr.opcode);
    } else if (!id || id >= ctx->fn->core->num_fns) {
        *refusal = refusal_offset;
    }
    return *refusal ? NULL : ctx->fn->core->fns[id];
}

SvanStep svan_cmd_set_function(SvanCmdCtx *ctx)
{
    const struct svan_cmd_set_function *cmd = &ctx->cmd->set_function;
    uint32_t mask = le32toh(cmd->mask), refusal, before;
    SvanFn *fn = named(ctx, le32toh(cmd->function),
                       REFUSE(BAD_RESOURCE, set_function.function), &refusal);

    if (!fn) {
        return svan_cmd_answer(ctx, refusal);
    }
    if (mask & ~SVAN_SET_FUNCTION_MASK) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, set_function.mask));
    }
    if (cmd->attr.flags & ~(SVAN_FUNCTION_SPOOF_CHECK | SVAN_FUNCTION_TRUSTED)) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, set_function.attr.flags));
    }
    before = svan_port_status(fn);
    refusal = svan_vport_set(fn, mask, &cmd->attr);
    if (fn->regs->enabled && svan_port_status(fn) != before) {
        svan_event(&fn->queues->events, SVAN_EVENT_PORT, svan_port_status(fn));
    }
    return svan_cmd_answer(ctx, refusal);
}

SvanStep svan_cmd_set_rate_group(SvanCmdCtx *ctx)
{
    uint32_t refusal = REFUSE(NOT_PERMITTED, hdr.opcode);

    if (!ctx->fn->id) {
        refusal = svan_rate_set_group(ctx->fn->core, &ctx->cmd->set_rate_group);
    }
    return svan_cmd_answer(ctx, refusal);
}

SvanStep svan_cmd_query_function(SvanCmdCtx *ctx)
{
    uint32_t refusal;
    const SvanFn *fn = named(ctx, le32toh(ctx->cmd->object.id),
                             REFUSE(BAD_RESOURCE, object.id), &refusal);

    if (fn) {
        svan_vport_get(fn, &ctx->resp->query_function);
    }
    return svan_cmd_answer(ctx, refusal);
}
