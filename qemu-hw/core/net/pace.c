/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Senders that are paced (PRM "Congestion control"). Each unit leaves when the one before
 * it would have left a link of the sender's rate. An engine that comes late, by up to
 * SVAN_LATE_NS, makes up for it by sending sooner afterwards; a sender that had nothing to
 * send does not.
 */
#include "net/enforce.h"
#include "net/stations.h"

#define MBPS            1000000ull
#define UNKNOWN_MBPS    100000u
#define NS_PER_S        1000000000ull
#define DEFAULT_CNP_DSCP        48
#define MAX_DSCP        63

/* ---- what the PF sets ---- */

const SvanCongestion *svan_congestion(const SvanCore *core)
{
    return &core->sw->congestion;
}

bool svan_congestion_set(SvanCore *core, const SvanCongestion *congestion)
{
    SvanSwitch *sw = core->sw;

    if (!svan_dcqcn_is_valid(&congestion->params) || congestion->cnp_dscp > MAX_DSCP) {
        return false;
    }
    sw->congestion = *congestion;
    sw->ecn_kept = congestion->enabled ? (uint8_t)~ECN_MASK : 0xff;
    sw->ecn_set = congestion->enabled ? ECN_ECT0 : 0;
    svan_addresses_changed(sw);
    svan_enforcement_follow(core);
    return true;
}

void svan_congestion_reset(SvanCore *core)
{
    SvanCongestion congestion = { .enabled = true, .cnp_dscp = DEFAULT_CNP_DSCP };
    uint32_t mbps = core->config.link_mbps ? core->config.link_mbps : UNKNOWN_MBPS;
    uint64_t line = mbps * MBPS;

    svan_dcqcn_default(&congestion.params,
                       line < SVAN_DCQCN_MAX_LINE ? line : SVAN_DCQCN_MAX_LINE);
    svan_congestion_set(core, &congestion);
}

/* ---- rates ---- */

uint64_t svan_pace_rate(const SvanPace *pace)
{
    if (!svan_rp_is_limited(&pace->rp)) {
        return pace->limit;
    }
    return pace->limit && pace->limit < pace->rp.current ? pace->limit : pace->rp.current;
}

static const SvanDcqcnParams *params_of(const SvanEgress *egress)
{
    return &svan_congestion(egress->work->fn->core)->params;
}

/* The egress is paced while there is a rate. */
static void attach(SvanPace *pace, SvanEgress *egress)
{
    if (egress->pace && !svan_pace_rate(pace)) {
        egress->pace = NULL;
    } else if (!egress->pace && svan_pace_rate(pace)) {
        egress->pace = pace;
        pace->until = pace->rest = 0;
        pace->behind = false;
    }
}

void svan_pace_init(SvanPace *pace, SvanCore *core)
{
    *pace = (SvanPace) { .limit = 0 };
    svan_rp_init(&pace->rp, &svan_congestion(core)->params);
}

void svan_pace_limit(SvanPace *pace, SvanEgress *egress, uint64_t limit)
{
    uint64_t now = svan_now(egress->work->fn->core);
    uint64_t old = svan_pace_rate(pace), new;

    pace->limit = limit;
    attach(pace, egress);
    new = svan_pace_rate(pace);
    if (pace->until > now && old) {
        /* What is left to wait for goes on at the new rate: to set limits saves no wait. */
        pace->until = now + (new ? (pace->until - now) * (old / SVAN_BPS_PER_KBPS) /
                                   (new / SVAN_BPS_PER_KBPS) : 0);
        svan_work_ready(egress->work);
    }
}

void svan_pace_notified(SvanPace *pace, SvanEgress *egress)
{
    SvanCore *core = egress->work->fn->core;

    svan_rp_notified(&pace->rp, params_of(egress), svan_now(core));
    attach(pace, egress);
}

/* ---- units that leave ---- */

/* What tells the sender of others how they do is not held back by how it does. */
static bool is_paced(const SvanPkt *pkt)
{
    return pkt->opcode != SVAN_OP_ACK && pkt->opcode != SVAN_OP_CNP;
}

bool svan_pace_may_send(SvanEgress *egress, const SvanPkt *pkt, SvanStep *step)
{
    SvanFn *fn = egress->work->fn;
    SvanPace *pace = egress->pace;
    uint64_t now;

    if (!is_paced(pkt)) {
        return true;
    }
    now = svan_now(fn->core);
    if (svan_rp_is_limited(&pace->rp)) {
        svan_rp_timer(&pace->rp, params_of(egress), now);
        attach(pace, egress);
    }
    if (pace->until <= now || !egress->pace) {
        return true;
    }
    pace->behind = true;
    *step = svan_egress_wait(egress, pace->until, &fn->stats->qp_rate_delays);
    return false;
}

void svan_pace_sent(SvanEgress *egress, const SvanPkt *pkt)
{
    SvanPace *pace = egress->pace;
    uint64_t now, rate, bits, late, len = svan_pkt_len(pkt);

    if (!is_paced(pkt)) {
        return;
    }
    now = svan_now(egress->work->fn->core);
    late = svan_late(pace->behind, pace->until, now);
    if (pace->until + late < now) {
        pace->until = now - late;
        pace->rest = 0;
    }
    svan_rp_sent(&pace->rp, params_of(egress), len, now);
    rate = svan_pace_rate(pace);
    if (rate) {
        bits = len * 8 * NS_PER_S + pace->rest;
        pace->until += bits / rate;
        pace->rest = bits % rate;
        pace->behind = pace->until < now;
    }
    attach(pace, egress);
}

/* ---- state ---- */

void svan_pace_save(const SvanPace *pace, SvanWriter *writer)
{
    const SvanRp *rp = &pace->rp;

    svan_put_u64(writer, pace->until);
    svan_put_u64(writer, pace->rest);
    svan_put_u8(writer, pace->behind);
    svan_put_u64(writer, rp->current);
    svan_put_u64(writer, rp->target);
    svan_put_u32(writer, rp->alpha);
    svan_put_u32(writer, rp->sent);
    svan_put_u16(writer, rp->time_stage);
    svan_put_u16(writer, rp->byte_stage);
    svan_put_u8(writer, rp->limited);
    svan_put_u8(writer, rp->notified);
    svan_put_u8(writer, rp->decrease_due);
    svan_put_u64(writer, rp->alpha_at);
    svan_put_u64(writer, rp->increase_at);
    svan_put_u64(writer, rp->decrease_at);
}

bool svan_pace_load(SvanPace *pace, SvanEgress *egress, SvanReader *reader)
{
    SvanRp *rp = &pace->rp;
    uint64_t until, rest;
    bool behind;

    until = svan_get_u64(reader);
    rest = svan_get_u64(reader);
    behind = svan_get_u8(reader);
    rp->current = svan_get_u64(reader);
    rp->target = svan_get_u64(reader);
    rp->alpha = svan_get_u32(reader);
    rp->sent = svan_get_u32(reader);
    rp->time_stage = svan_get_u16(reader);
    rp->byte_stage = svan_get_u16(reader);
    rp->limited = svan_get_u8(reader);
    rp->notified = svan_get_u8(reader);
    rp->decrease_due = svan_get_u8(reader);
    rp->alpha_at = svan_get_u64(reader);
    rp->increase_at = svan_get_u64(reader);
    rp->decrease_at = svan_get_u64(reader);
    attach(pace, egress);
    pace->until = until;
    pace->rest = rest;
    pace->behind = behind;
    return svan_rp_is_valid(rp) && rest <= SVAN_DCQCN_MAX_LINE;
}
