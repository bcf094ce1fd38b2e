/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command ring (PRM "Commands"): one command a step. A step maps the
 * command, its response and whatever the handler needs before anything changes,
 * so that it can be started again after a MISS.
 */
#include <string.h>

#include "device/device.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, field)

/* ---- dispatch ---- */

static SvanStep cmd_nop(SvanCmdCtx *ctx)
{
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

static SvanStep cmd_reserved(SvanCmdCtx *ctx)
{
    return svan_cmd_answer(ctx, REFUSE(NOT_SUPPORTED, hdr.opcode));
}

static SvanCmdHandler *const handlers[] = {
    [SVAN_CMD_NOP]              = cmd_nop,
    [SVAN_CMD_QUERY_CAPS]       = svan_cmd_query_caps,
    [SVAN_CMD_QUERY_STATS]      = svan_cmd_query_stats,
    [SVAN_CMD_CREATE_EQ]        = svan_cmd_create_eq,
    [SVAN_CMD_DESTROY_EQ]       = svan_cmd_destroy_eq,
    [SVAN_CMD_ALLOC_UAR]        = svan_cmd_alloc_uar,
    [SVAN_CMD_FREE_UAR]         = svan_cmd_free_uar,
    [SVAN_CMD_ALLOC_PD]         = svan_cmd_alloc_pd,
    [SVAN_CMD_FREE_PD]          = svan_cmd_free_pd,
    [SVAN_CMD_CREATE_KEY]       = svan_cmd_create_key,
    [SVAN_CMD_DESTROY_KEY]      = svan_cmd_destroy_key,
    [SVAN_CMD_QUERY_KEY]        = svan_cmd_query_key,
    [SVAN_CMD_MODIFY_KEY]       = svan_cmd_modify_key,
    [SVAN_CMD_CREATE_CQ]        = svan_cmd_create_cq,
    [SVAN_CMD_DESTROY_CQ]       = svan_cmd_destroy_cq,
    [SVAN_CMD_RESIZE_CQ]        = cmd_reserved,
    [SVAN_CMD_MODERATE_CQ]      = svan_cmd_moderate_cq,
    [SVAN_CMD_CREATE_COUNTER]   = svan_cmd_create_counter,
    [SVAN_CMD_DESTROY_COUNTER]  = svan_cmd_destroy_counter,
    [SVAN_CMD_MODIFY_COUNTER]   = svan_cmd_modify_counter,
    [SVAN_CMD_CREATE_QP]        = svan_cmd_create_qp,
    [SVAN_CMD_DESTROY_QP]       = svan_cmd_destroy_qp,
    [SVAN_CMD_MODIFY_QP]        = svan_cmd_modify_qp,
    [SVAN_CMD_QUERY_QP]         = svan_cmd_query_qp,
    [SVAN_CMD_ATTACH_COUNTER]   = svan_cmd_attach_counter,
    [SVAN_CMD_ATTACH_MCAST]     = svan_cmd_attach_mcast,
    [SVAN_CMD_DETACH_MCAST]     = svan_cmd_detach_mcast,
    [SVAN_CMD_CREATE_SRQ]       = svan_cmd_create_srq,
    [SVAN_CMD_DESTROY_SRQ]      = svan_cmd_destroy_srq,
    [SVAN_CMD_MODIFY_SRQ]       = svan_cmd_modify_srq,
    [SVAN_CMD_QUERY_SRQ]        = svan_cmd_query_srq,
    [SVAN_CMD_SET_GID]          = svan_cmd_set_gid,
    [SVAN_CMD_CLEAR_GID]        = svan_cmd_clear_gid,
    [SVAN_CMD_ETH_SET_FILTER]   = svan_cmd_eth_set_filter,
    [SVAN_CMD_ETH_SET_MCAST]    = svan_cmd_eth_set_mcast,
    [SVAN_CMD_SET_PORT]         = svan_cmd_set_port,
    [SVAN_CMD_CREATE_PRQ]       = svan_cmd_create_prq,
    [SVAN_CMD_DESTROY_PRQ]      = svan_cmd_destroy_prq,
    [SVAN_CMD_SET_FAULT_POLICY] = svan_cmd_set_fault_policy,
    [SVAN_CMD_QUERY_FAULT_POLICY] = svan_cmd_query_fault_policy,
    [SVAN_CMD_SET_SPARE_PAGES]  = svan_cmd_set_spare_pages,
    [SVAN_CMD_SET_CONTEXT_TABLE] = svan_cmd_set_context_table,
    [SVAN_CMD_SET_FUNCTION]     = svan_cmd_set_function,
    [SVAN_CMD_SET_RATE_GROUP]   = svan_cmd_set_rate_group,
    [SVAN_CMD_SET_ENFORCEMENT]  = svan_cmd_set_enforcement,
    [SVAN_CMD_QUERY_ENFORCEMENT] = svan_cmd_query_enforcement,
    [SVAN_CMD_QUERY_FLOWS]      = svan_cmd_query_flows,
    [SVAN_CMD_JUDGE_FLOW]       = svan_cmd_judge_flow,
    [SVAN_CMD_QUERY_FUNCTION]   = svan_cmd_query_function,
    [SVAN_CMD_SET_CONGESTION]   = svan_cmd_set_congestion,
    [SVAN_CMD_QUERY_CONGESTION] = svan_cmd_query_congestion,
};

static SvanStep cmd_execute(SvanCmdCtx *ctx)
{
    uint16_t opcode = le16toh(ctx->cmd->hdr.opcode);

    if (opcode >= sizeof(handlers) / sizeof(handlers[0]) ||
        !handlers[opcode]) {
        return svan_cmd_answer(ctx, REFUSE(BAD_OPCODE, hdr.opcode));
    }
    return handlers[opcode](ctx);
}

/* ---- the ring ---- */

void svan_cmdq_start(SvanFn *fn)
{
    uint64_t last = (1ull << fn->regs->cmdq_log_size) - 1;

    fn->regs->cmdq.ring = fn->regs->cmdq_base;
    fn->regs->cmdq.resp = fn->regs->cmdr_base;
    fn->regs->cmdq.log_size = fn->regs->cmdq_log_size;
    fn->regs->cmdq.pi = fn->regs->cmdq.ci = 0;
    fn->regs->cmdq.cleared = 0;
    if (fn->regs->cmdq.ring + last * SVAN_CMD_SIZE < fn->regs->cmdq.ring ||
        fn->regs->cmdq.resp + last * SVAN_CMD_RESP_SIZE < fn->regs->cmdq.resp) {
        svan_fatal(fn, SVAN_FATAL_CMDQ_DMA);
    }
}

void svan_cmdq_stop(SvanFn *fn)
{
    svan_turn_leave(fn, SVAN_TURN_CMD, &fn->regs->cmd_link);
    fn->regs->cmdq.pi = fn->regs->cmdq.ci;
}

void svan_cmdq_doorbell(SvanFn *fn, uint32_t pi)
{
    if (!fn->regs->enabled || fn->fatal) {
        return;
    }
    if (pi - fn->regs->cmdq.ci > 1u << fn->regs->cmdq.log_size) {
        svan_fatal(fn, SVAN_FATAL_CMDQ_INDEX);
        return;
    }
    fn->regs->cmdq.pi = pi;
    if (fn->regs->cmdq.pi != fn->regs->cmdq.ci) {
        svan_turn_join(fn, SVAN_TURN_CMD, &fn->regs->cmd_link);
    }
}

static void resp_write(const SvanFn *fn, const SvanMem *mem,
                       struct svan_cmd_resp *resp)
{
    size_t head = offsetof(struct svan_cmd_resp, syndrome);
    size_t tail = offsetof(struct svan_cmd_resp, payload);
    uint64_t last;

    resp->phase = (fn->regs->cmdq.ci >> fn->regs->cmdq.log_size) & 1 ? 0 : 1;
    memcpy(mem->host, resp, head);
    memcpy(mem->host + tail, resp->payload, sizeof(*resp) - tail);
    memcpy(&last, &resp->syndrome, sizeof(last));
    /* This word has the phase. The release pairs with the driver's dma_rmb(). */
    __atomic_store_n((uint64_t *)(mem->host + head), last, __ATOMIC_RELEASE);
}

static void cmd_done(SvanFn *fn, const struct svan_cmd *cmd,
                     const struct svan_cmd_resp *resp)
{
    fn->regs->cmdq.ci++;
    fn->regs->cmdq.cleared = 0;
    fn->stats->commands++;
    fn->stats->commands_failed += resp->status != SVAN_CMD_OK;
    svan_trace(fn, SVAN_TRACE_CMD, le16toh(cmd->hdr.opcode),
               le32toh(cmd->hdr.tag), resp->status, le32toh(resp->syndrome));
    if (le16toh(cmd->hdr.flags) & SVAN_CMD_NOTIFY) {
        svan_event(&fn->queues->events, SVAN_EVENT_CMD, 0);
    }
}

static SvanStep cmd_one(SvanFn *fn)
{
    uint32_t slot = fn->regs->cmdq.ci & ((1u << fn->regs->cmdq.log_size) - 1);
    struct svan_cmd_resp resp;
    struct svan_cmd cmd;
    SvanCmdCtx ctx = { .fn = fn, .cmd = &cmd, .resp = &resp };
    SvanMem from, to;
    SvanStep step;

    step = svan_map_bus(fn, fn->regs->cmdq.ring + slot * SVAN_CMD_SIZE,
                        SVAN_CMD_SIZE, false, &from);
    if (step == SVAN_STEP_DONE) {
        step = svan_map_bus(fn, fn->regs->cmdq.resp + slot * SVAN_CMD_RESP_SIZE,
                            SVAN_CMD_RESP_SIZE, true, &to);
    }
    if (step == SVAN_STEP_ERROR) {
        svan_fatal(fn, SVAN_FATAL_CMDQ_DMA);
        return SVAN_STEP_DONE;
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    memcpy(&cmd, from.host, sizeof(cmd));
    memset(&resp, 0, sizeof(resp));
    resp.tag = cmd.hdr.tag;
    step = cmd_execute(&ctx);
    if (step == SVAN_STEP_DONE) {
        resp_write(fn, &to, &resp);
        svan_stored(fn, &to);
        cmd_done(fn, &cmd, &resp);
    }
    return step;
}

SvanStep svan_cmd_step(SvanFn *fn)
{
    SvanStep step = SVAN_STEP_DONE;

    svan_list_remove(&fn->regs->cmd_link);
    if (fn->regs->test_dma_ctrl & SVAN_TEST_DMA_BUSY) {
        step = svan_test_dma_step(fn);
    } else if (fn->regs->cmdq.pi != fn->regs->cmdq.ci) {
        step = cmd_one(fn);
    }
    if ((fn->regs->test_dma_ctrl & SVAN_TEST_DMA_BUSY) ||
        fn->regs->cmdq.pi != fn->regs->cmdq.ci) {
        svan_turn_join(fn, SVAN_TURN_CMD, &fn->regs->cmd_link);
    }
    return step;
}
