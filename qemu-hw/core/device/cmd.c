/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers to commands, and queries.
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

SvanStep svan_cmd_query_answer(SvanCmdCtx *ctx, const void *data, uint32_t size)
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
    bool counters = fn->features & SVAN_CAP_COMP_COUNTERS;
    const SvanTable *counter_table = &fn->queues->counters;
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
        .max_srq = htole32(fn->queues->srqs.capacity - fn->queues->srqs.first),
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
        .max_counter = htole32(counters ? counter_table->capacity -
                                          counter_table->first : 0),
        .max_pasid = htole32(processes ? SVAN_PASID_COUNT - 1 : 0),
    };

    return svan_cmd_query_answer(ctx, &caps, sizeof(caps));
}

SvanStep svan_cmd_query_stats(SvanCmdCtx *ctx)
{
    uint32_t function = le32toh(ctx->cmd->query.function);
    struct svan_stats stats;
    SvanStats now;

    if (!function) {
        function = ctx->fn->id;
    } else if (ctx->fn->id) {
        return svan_cmd_answer(ctx, REFUSE(NOT_PERMITTED, query.function));
    } else if (function >= ctx->fn->core->num_fns) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, query.function));
    }
    svan_stats(ctx->fn->core, function, &now);
#define COPY_STAT(name) stats.name = htole64(now.name);
    SVAN_STATS(COPY_STAT)
#undef COPY_STAT
    if (ctx->fn->id) {
#define HIDE_STAT(name) stats.name = 0;
        SVAN_STATS_ENFORCEMENT(HIDE_STAT)
#undef HIDE_STAT
    }
    return svan_cmd_query_answer(ctx, &stats, sizeof(stats));
}
