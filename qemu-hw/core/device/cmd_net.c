/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands for queue pairs, the GID table, the Ethernet filters and the port.
 */
#include <string.h>

#include "device/device.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, field)

#define ETH_FLAGS       (SVAN_CMD_ETH_PROMISC | SVAN_CMD_ETH_ALLMULTI)
#define MIN_MAX_FRAME   64u
#define MCAST_STRIDE    8u
#define MCAST_OCTET     1               /* bit of a multicast address's first octet */

/* ---- queue pairs ---- */

SvanStep svan_cmd_create_qp(SvanCmdCtx *ctx)
{
    const struct svan_cmd_create_qp *cmd = &ctx->cmd->create_qp;
    uint32_t refusal;
    SvanMem record;
    SvanQp *qp;
    SvanStep step = svan_qp_map_record(ctx->fn, cmd, &record, &refusal);

    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (!refusal) {
        refusal = svan_qp_create(ctx->fn, cmd, SVAN_NONE, &qp);
    }
    if (!refusal) {
        memset(record.host, 0, record.len);
        svan_stored(ctx->fn, &record);
        ctx->resp->id.id = htole32(qp->qpn);
    }
    return svan_cmd_answer(ctx, refusal);
}

SvanStep svan_cmd_destroy_qp(SvanCmdCtx *ctx)
{
    SvanQp *qp = svan_qp_get(ctx->fn, le32toh(ctx->cmd->object.id));

    if (!qp) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, object.id));
    }
    svan_qp_destroy(qp);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

SvanStep svan_cmd_modify_qp(SvanCmdCtx *ctx)
{
    const struct svan_cmd_modify_qp *cmd = &ctx->cmd->modify_qp;
    SvanQp *qp = svan_qp_get(ctx->fn, le32toh(cmd->qpn));

    if (!qp) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, modify_qp.qpn));
    }
    return svan_cmd_answer(ctx, svan_qp_modify(qp, cmd));
}

SvanStep svan_cmd_query_qp(SvanCmdCtx *ctx)
{
    const SvanQp *qp = svan_qp_get(ctx->fn, le32toh(ctx->cmd->object.id));
    struct svan_cmd_query_qp_resp *resp = &ctx->resp->query_qp;

    if (!qp) {
        return svan_cmd_answer(ctx, REFUSE(BAD_RESOURCE, object.id));
    }
    svan_qp_query(qp, &resp->attr);
    resp->rate_limit = htole32(svan_qp_rate_limit(qp));
    resp->sq_ci = htole32(qp->transport->sq_ci(qp));
    resp->rq_ci = htole32(qp->rq.ci);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}

static SvanStep change_group(SvanCmdCtx *ctx,
                             uint32_t (*change)(SvanQp *qp, const uint8_t *gid))
{
    const struct svan_cmd_attach_mcast *cmd = &ctx->cmd->attach_mcast;
    SvanQp *qp = svan_qp_get(ctx->fn, le32toh(cmd->qpn));

    return svan_cmd_answer(ctx, qp ? change(qp, cmd->gid) :
                                     REFUSE(BAD_RESOURCE, attach_mcast.qpn));
}

SvanStep svan_cmd_attach_mcast(SvanCmdCtx *ctx)
{
    return change_group(ctx, svan_group_attach);
}

SvanStep svan_cmd_detach_mcast(SvanCmdCtx *ctx)
{
    return change_group(ctx, svan_group_detach);
}

/* ---- GIDs ---- */

SvanStep svan_cmd_set_gid(SvanCmdCtx *ctx)
{
    return svan_cmd_answer(ctx, svan_gid_set(ctx->fn, &ctx->cmd->set_gid));
}

SvanStep svan_cmd_clear_gid(SvanCmdCtx *ctx)
{
    uint32_t index = le32toh(ctx->cmd->object.id);

    return svan_cmd_answer(ctx, svan_gid_clear(ctx->fn, index));
}

/* ---- Ethernet reception ---- */

uint32_t svan_eth_filter_set(SvanFn *fn, const struct svan_cmd_eth_filter *cmd)
{
    uint32_t qpn = le32toh(cmd->qpn), max_frame = le32toh(cmd->max_frame);
    const SvanQp *qp = svan_qp_get(fn, qpn);
    SvanEthFilter filter = fn->net->eth;

    if (qpn == 0) {
        svan_filter_off(fn);
        return SVAN_CMD_OK;
    }
    if (!qp || qp->type != SVAN_QPT_ETH) {
        return REFUSE(BAD_RESOURCE, eth_filter.qpn);
    }
    if (qp->state != SVAN_QPS_RTS) {
        return REFUSE(BAD_STATE, eth_filter.qpn);
    }
    if (cmd->mac[0] & MCAST_OCTET) {
        return REFUSE(BAD_PARAM, eth_filter.mac);
    }
    if (!svan_vport_owns_mac(fn, cmd->mac)) {
        return REFUSE(NOT_PERMITTED, eth_filter.mac);
    }
    if (cmd->flags & ~ETH_FLAGS) {
        return REFUSE(BAD_PARAM, eth_filter.flags);
    }
    if (max_frame < MIN_MAX_FRAME || max_frame > SVAN_MAX_FRAME) {
        return REFUSE(BAD_PARAM, eth_filter.max_frame);
    }
    filter.qpn = qpn;
    memcpy(filter.mac, cmd->mac, sizeof(filter.mac));
    filter.flags = cmd->flags;
    filter.max_frame = max_frame;
    return svan_filter_set(fn, &filter) ? SVAN_CMD_OK : SVAN_CMD_NO_RESOURCES;
}

SvanStep svan_cmd_eth_set_filter(SvanCmdCtx *ctx)
{
    return svan_cmd_answer(ctx, svan_eth_filter_set(ctx->fn,
                                                    &ctx->cmd->eth_filter));
}

SvanStep svan_cmd_eth_set_mcast(SvanCmdCtx *ctx)
{
    const struct svan_cmd_eth_mcast *cmd = &ctx->cmd->eth_mcast;
    uint64_t addr = le64toh(cmd->addr);
    uint32_t count = le32toh(cmd->count);
    SvanEthFilter filter = ctx->fn->net->eth;
    uint8_t mcast[SVAN_MAX_MCAST][6];
    SvanStep step = SVAN_STEP_DONE;
    SvanMem mem;

    if (count > SVAN_MAX_MCAST) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, eth_mcast.count));
    }
    if (count) {
        if ((addr & SVAN_PAGE_MASK) + count * MCAST_STRIDE > SVAN_PAGE_SIZE) {
            return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, eth_mcast.addr));
        }
        step = svan_map_bus(ctx->fn, addr, count * MCAST_STRIDE, false, &mem);
    }
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (step == SVAN_STEP_ERROR) {
        return svan_cmd_answer(ctx, REFUSE(DMA_ERROR, eth_mcast.addr));
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy(mcast[i], mem.host + i * MCAST_STRIDE, sizeof(mcast[i]));
    }
    filter.mcast = mcast;
    filter.num_mcast = count;
    return svan_cmd_answer(ctx, svan_filter_set(ctx->fn, &filter) ?
                                SVAN_CMD_OK : SVAN_CMD_NO_RESOURCES);
}

/* ---- the port ---- */

SvanStep svan_cmd_set_port(SvanCmdCtx *ctx)
{
    uint8_t enabled = ctx->cmd->port.enabled;

    if (enabled > 1) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, port.enabled));
    }
    ctx->fn->net->port_enabled = enabled;
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}
