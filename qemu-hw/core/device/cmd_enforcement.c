/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands by which the physical function's driver has functions policed, sees their
 * flows, and judges them (PRM "Enforcement").
 */
#include "device/device.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, field)
#define MAX_ENTRIES     (SVAN_QUERY_FLOWS_MAX / sizeof(struct svan_flow_entry))

/* The function that a command of the PF names, itself included. NULL: *refusal says why. */
static SvanFn *named(const SvanCmdCtx *ctx, __le32 id, uint32_t refusal_offset,
                     uint32_t *refusal)
{
    SvanFn *fn = ctx->fn->id ? NULL : svan_fn(ctx->fn->core, le32toh(id) <= UINT16_MAX ?
                                              le32toh(id) : UINT16_MAX);

    *refusal = ctx->fn->id ? REFUSE(NOT_PERMITTED, hdr.opcode) :
               fn ? SVAN_CMD_OK : refusal_offset;
    return fn;
}

SvanStep svan_cmd_set_enforcement(SvanCmdCtx *ctx)
{
    const struct svan_cmd_set_enforcement *cmd = &ctx->cmd->set_enforcement;
    uint32_t refusal;
    SvanFn *fn = named(ctx, cmd->function, REFUSE(BAD_RESOURCE, set_enforcement.function),
                       &refusal);

    return svan_cmd_answer(ctx, fn ? svan_enforcement_set(fn, &cmd->attr) : refusal);
}

SvanStep svan_cmd_query_enforcement(SvanCmdCtx *ctx)
{
    uint32_t refusal;
    const SvanFn *fn = named(ctx, ctx->cmd->object.id, REFUSE(BAD_RESOURCE, object.id),
                             &refusal);

    if (fn) {
        svan_enforcement_get(fn, &ctx->resp->query_enforcement);
    }
    return svan_cmd_answer(ctx, refusal);
}

SvanStep svan_cmd_query_flows(SvanCmdCtx *ctx)
{
    const struct svan_cmd_query_flows *cmd = &ctx->cmd->query_flows;
    uint32_t refusal, written, total, room = le32toh(cmd->length);
    struct svan_flow_entry entries[MAX_ENTRIES];
    SvanFn *fn = named(ctx, cmd->function, REFUSE(BAD_RESOURCE, query_flows.function),
                             &refusal);
    SvanFlowQuery query;
    SvanStep step;

    if (!fn) {
        return svan_cmd_answer(ctx, refusal);
    }
    if (room > SVAN_QUERY_FLOWS_MAX) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, query_flows.length));
    }
    if (cmd->paths > 1) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, query_flows.paths));
    }
    query = (SvanFlowQuery) {
        .paths = cmd->paths, .first = le32toh(cmd->first), .max = room / sizeof(entries[0]),
    };
    written = svan_enforcement_entries(fn, &query, entries, &total);
    step = svan_cmd_query_answer(ctx, entries, written * sizeof(entries[0]));
    if (step == SVAN_STEP_DONE && ctx->resp->status == SVAN_CMD_OK) {
        ctx->resp->query_flows.written = htole32(written);
        ctx->resp->query_flows.total = htole32(total);
    }
    return step;
}

SvanStep svan_cmd_judge_flow(SvanCmdCtx *ctx)
{
    const struct svan_cmd_judge_flow *cmd = &ctx->cmd->judge_flow;
    uint32_t refusal;
    SvanFn *fn = named(ctx, cmd->function, REFUSE(BAD_RESOURCE, judge_flow.function),
                       &refusal);

    if (!fn) {
        return svan_cmd_answer(ctx, refusal);
    }
    if (cmd->congesting > 1) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, judge_flow.congesting));
    }
    return svan_cmd_answer(ctx, svan_enforcement_judge(fn, cmd->peer, le16toh(cmd->vlan),
                                                       cmd->congesting) ? SVAN_CMD_OK :
                                REFUSE(BAD_RESOURCE, judge_flow.peer));
}
