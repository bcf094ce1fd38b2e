/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands by which the physical function's driver sets congestion control up for the
 * whole device (PRM "Congestion control").
 */
#include "device/device.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, field)

static __le32 kbps(uint64_t rate)
{
    return htole32(rate / SVAN_BPS_PER_KBPS);
}

static uint64_t bps(__le32 rate)
{
    return (uint64_t)le32toh(rate) * SVAN_BPS_PER_KBPS;
}

void svan_congestion_get_attr(const SvanCore *core, struct svan_congestion_attr *attr)
{
    const SvanCongestion *congestion = svan_congestion(core);
    const SvanDcqcnParams *params = &congestion->params;

    *attr = (struct svan_congestion_attr) {
        .line_rate = kbps(params->line_rate), .min_rate = kbps(params->min_rate),
        .increase_additive = kbps(params->increase_additive),
        .increase_hyper = kbps(params->increase_hyper),
        .alpha_interval = htole32(params->alpha_interval),
        .increase_interval = htole32(params->increase_interval),
        .decrease_interval = htole32(params->decrease_interval),
        .cnp_interval = htole32(params->cnp_interval),
        .byte_counter = htole32(params->byte_counter),
        .alpha_shift_g = params->alpha_shift_g, .fast_recovery = params->fast_recovery,
        .cnp_dscp = congestion->cnp_dscp, .enabled = congestion->enabled,
    };
}

#define SET(name, field, value) \
    do { \
        if (mask & SVAN_SET_CONGESTION_##name) { \
            field = value; \
        } \
    } while (0)

bool svan_congestion_set_attr(SvanCore *core, uint32_t mask,
                              const struct svan_congestion_attr *attr)
{
    SvanCongestion new = *svan_congestion(core);
    SvanDcqcnParams *params = &new.params;

    SET(LINE_RATE, params->line_rate, bps(attr->line_rate));
    SET(MIN_RATE, params->min_rate, bps(attr->min_rate));
    SET(INCREASE_ADDITIVE, params->increase_additive, bps(attr->increase_additive));
    SET(INCREASE_HYPER, params->increase_hyper, bps(attr->increase_hyper));
    SET(ALPHA_INTERVAL, params->alpha_interval, le32toh(attr->alpha_interval));
    SET(INCREASE_INTERVAL, params->increase_interval, le32toh(attr->increase_interval));
    SET(DECREASE_INTERVAL, params->decrease_interval, le32toh(attr->decrease_interval));
    SET(CNP_INTERVAL, params->cnp_interval, le32toh(attr->cnp_interval));
    SET(BYTE_COUNTER, params->byte_counter, le32toh(attr->byte_counter));
    SET(ALPHA_SHIFT_G, params->alpha_shift_g, attr->alpha_shift_g);
    SET(FAST_RECOVERY, params->fast_recovery, attr->fast_recovery);
    SET(CNP_DSCP, new.cnp_dscp, attr->cnp_dscp);
    SET(ENABLED, new.enabled, attr->enabled);
    return (!(mask & SVAN_SET_CONGESTION_ENABLED) || attr->enabled <= 1) &&
           svan_congestion_set(core, &new);
}

SvanStep svan_cmd_set_congestion(SvanCmdCtx *ctx)
{
    const struct svan_cmd_set_congestion *cmd = &ctx->cmd->set_congestion;
    uint32_t mask = le32toh(cmd->mask);

    if (ctx->fn->id) {
        return svan_cmd_answer(ctx, REFUSE(NOT_PERMITTED, hdr.opcode));
    }
    if (mask & ~SVAN_SET_CONGESTION_MASK) {
        return svan_cmd_answer(ctx, REFUSE(BAD_PARAM, set_congestion.mask));
    }
    return svan_cmd_answer(ctx, svan_congestion_set_attr(ctx->fn->core, mask, &cmd->attr) ?
                                SVAN_CMD_OK : REFUSE(BAD_PARAM, set_congestion.attr));
}

SvanStep svan_cmd_query_congestion(SvanCmdCtx *ctx)
{
    if (ctx->fn->id) {
        return svan_cmd_answer(ctx, REFUSE(NOT_PERMITTED, hdr.opcode));
    }
    svan_congestion_get_attr(ctx->fn->core, &ctx->resp->query_congestion);
    return svan_cmd_answer(ctx, SVAN_CMD_OK);
}
