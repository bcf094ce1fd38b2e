/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command ring (PRM "Commands"): one command a step. A step maps the
 * command, its response and whatever the handler needs before anything changes,
 * so that it can be started again after a MISS.
 */
#include <string.h>

#include "device/device.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, field)

SvanStep svan_cmd_answer(SvanCmdCtx *ctx, uint32_t refusal)
{
    ctx->resp->status = SVAN_REFUSAL_STATUS(refusal);
    ctx->resp->syndrome = htole32(SVAN_REFUSAL_OFFSET(refusal));
    return SVAN_STEP_DONE;
}

/* ---- queries ---- */

/* Memory of a query: at most two pages, both mapped before one is written. */
static SvanStep query_map(SvanCmdCtx *ctx, uint32_t len, SvanMem mem[2],
                          uint32_t *refusal)
{
    uint64_t addr = le64toh(ctx->cmd->query.addr);
    uint32_t room = SVAN_PAGE_SIZE - (addr & SVAN_PAGE_MASK);
    uint32_t first = len < room ? len : room;
    SvanStep step = SVAN_STEP_DONE;

    mem[0].len = mem[1].len = 0;
    if (first) {
        step = svan_map_bus(ctx->fn, addr, first, true, &mem[0]);
    }
    if (step == SVAN_STEP_DONE && len > first) {
        step = svan_map_bus(ctx->fn, addr + first, len - first, true, &mem[1]);
    }
    *refusal = step == SVAN_STEP_ERROR ? REFUSE(DMA_ERROR, query.addr) :
                                         SVAN_CMD_OK;
    return step;
}

static SvanStep query_answer(SvanCmdCtx *ctx, const void *data, uint32_t size)
{
    uint64_t addr = le64toh(ctx->cmd->query.addr);
    uint32_t len = le32toh(ctx->cmd->query.length);
    uint32_t refusal;
    SvanMem mem[2];
    SvanStep step;

    len = len < size ? len : size;
    if (addr % 8 || addr + len < addr) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, query.addr));
    }
    step = query_map(ctx, len, mem, &refusal);
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (refusal) {
        return svan_cmd_answer(ctx, refusal);
    }
    for (uint32_t i = 0; i < 2 && mem[i].len; i++) {
        memcpy(mem[i].host, (const uint8_t *)data + (i ? mem[0].len : 0),
               mem[i].len);
        svan_stored(ctx->fn, &mem[i]);
    }
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

SvanStep svan_cmd_query_caps(SvanCmdCtx *ctx)
{
    const SvanFn *fn = ctx->fn;
    bool processes = fn->features & SVAN_CAP_PROCESS_KEYS;
    bool requests = fn->features & SVAN_CAP_PAGE_REQUESTS;
    struct svan_caps caps = {
        .features = htole64(fn->features),
        .fw_version = htole32(SVAN_VERSION),
        .off_reason = htole32(fn->regs->off_reason),
        .max_qp = htole32(fn->qps->table.capacity - fn->qps->table.first),
        .max_cq = htole32(fn->queues->cqs.capacity - fn->queues->cqs.first),
        .max_pd = htole32(fn->memory->pds.capacity - fn->memory->pds.first),
        .max_key = htole32(fn->memory->keys.capacity - fn->memory->keys.first),
        .max_uar = htole32(fn->uar_count),
        .max_eq = htole32(SVAN_MAX_EQS),
        .max_gid = htole32(SVAN_MAX_GID),
        .max_qp_wqebb = htole32(1u << SVAN_SQ_MAX_LOG_BBS),
        .max_qp_rwqe = htole32(1u << SVAN_RQ_MAX_LOG_SIZE),
        .max_cqe = htole32(1u << SVAN_CQ_MAX_LOG_SIZE),
        .max_eqe = htole32(1u << SVAN_EQ_MAX_LOG_SIZE),
        .max_sge = htole16(SVAN_MAX_SGE),
        .max_sge_rd = htole16(SVAN_MAX_SGE),
        .max_inline = htole16(SVAN_MAX_INLINE),
        .max_rd_atomic = htole16(SVAN_MAX_RD_ATOMIC),
        .max_msg_size = htole32(SVAN_MAX_MSG),
        .max_mtu = htole32(SVAN_MAX_MTU),
        .max_frame = htole32(SVAN_MAX_FRAME),
        .page_size_cap = htole32(0x7ffff000),           /* 2^12 .. 2^30 */
        .max_key_length = htole64(processes ? SVAN_MAX_PROCESS_KEY :
                                              SVAN_MAX_TABLE_KEY),
        .clock_khz = htole64(1000000),
        .max_mcast_filters = htole32(SVAN_MAX_MCAST),
        .max_page_requests = htole32(requests ? 1u << SVAN_PRQ_MAX_LOG_SIZE : 0),
        .max_spare_pages = htole32(requests ? SVAN_MAX_SPARES : 0),
        .fault_buffer = htole32(requests ? fn->core->config.fault_buffer : 0),
        .max_pasid = htole32(processes ? SVAN_PASID_COUNT - 1 : 0),
    };

    return query_answer(ctx, &caps, sizeof(caps));
}

SvanStep svan_cmd_query_stats(SvanCmdCtx *ctx)
{
    struct svan_stats stats;
    SvanStats now;

    svan_stats(ctx->fn->core, ctx->fn->id, &now);
#define COPY_STAT(name) stats.name = htole64(now.name);
    SVAN_STATS(COPY_STAT)
#undef COPY_STAT
    return query_answer(ctx, &stats, sizeof(stats));
}

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
    [SVAN_CMD_CREATE_QP]        = svan_cmd_create_qp,
    [SVAN_CMD_DESTROY_QP]       = svan_cmd_destroy_qp,
    [SVAN_CMD_MODIFY_QP]        = svan_cmd_modify_qp,
    [SVAN_CMD_QUERY_QP]         = svan_cmd_query_qp,
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
    if (fn->regs->cmdq.ring + last * SVAN_CMD_SIZE < fn->regs->cmdq.ring ||
        fn->regs->cmdq.resp + last * SVAN_CMD_RESP_SIZE < fn->regs->cmdq.resp) {
        svan_fatal(fn, SVAN_FATAL_CMDQ_DMA);
    }
}

void svan_cmdq_stop(SvanFn *fn)
{
    svan_list_remove(&fn->regs->cmd_link);
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
        svan_list_append(&fn->core->cmd_work, &fn->regs->cmd_link);
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
    /* phase is in this word; pairs with the driver's dma_rmb() */
    __atomic_store_n((uint64_t *)(mem->host + head), last, __ATOMIC_RELEASE);
}

static void cmd_done(SvanFn *fn, const struct svan_cmd *cmd,
                     const struct svan_cmd_resp *resp)
{
    fn->regs->cmdq.ci++;
    fn->stats.commands++;
    fn->stats.commands_failed += resp->status != SVAN_CMD_OK;
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

SvanStep svan_cmd_step(SvanCore *core)
{
    SvanFn *fn = svan_container(core->cmd_work.next, SvanRegs, cmd_link)->fn;
    SvanStep step = SVAN_STEP_DONE;

    svan_list_remove(&fn->regs->cmd_link);
    if (fn->regs->test_dma_ctrl & SVAN_TEST_DMA_BUSY) {
        step = svan_test_dma_step(fn);
    } else if (fn->regs->cmdq.pi != fn->regs->cmdq.ci) {
        step = cmd_one(fn);
    }
    if (step == SVAN_STEP_MISS) {
        svan_list_first(&core->cmd_work, &fn->regs->cmd_link);
    } else if ((fn->regs->test_dma_ctrl & SVAN_TEST_DMA_BUSY) ||
               fn->regs->cmdq.pi != fn->regs->cmdq.ci) {
        svan_list_append(&core->cmd_work, &fn->regs->cmd_link);
    }
    return step;
}
