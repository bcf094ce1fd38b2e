/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits of functions and groups, and shares, within which a function's turns to send come
 * before those of others (device/scheduler.c).
 */
#include <string.h>

#include "net/stations.h"

/*
 * A function that was silent sends so much at once. It covers the time by which the
 * engine, or the thread that runs it, may come late.
 */
#define BURST_NS        1000000ull

/*
 * Shares are of the engine's time, too: a turn is worth what the port sends in so many ns, so
 * that a function does not have all turns that there are because it sends little in each.
 */
#define TURN_NS         250u
#define MAX_OCTETS_AHEAD        (64u << 10)

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, set_rate_group.field)

/* ---- settings ---- */

static const uint64_t *ahead_from(const SvanRate *rate)
{
    return rate && rate->tx_share ? &rate->share.until : NULL;
}

static void apply(SvanFn *fn)
{
    SvanFnRate *rate = &fn->net->vport.rate;
    const SvanRate *group = rate->group;

    rate->is_limited = rate->own.tx_max || (group && group->tx_max);
    fn->ahead_from[0] = ahead_from(&rate->own);
    fn->ahead_from[1] = ahead_from(group);
    fn->core->shares -= fn->has_share;
    fn->has_share = fn->ahead_from[0] || fn->ahead_from[1];
    fn->core->shares += fn->has_share;
    if (!fn->core->shares) {
        fn->core->turns_ahead = 0;
    }
    rate->counts = rate->is_limited || fn->has_share;
}

static void set_max(SvanRate *rate, uint32_t mbps)
{
    rate->tx_max = mbps;
    rate->max = (SvanRateClock) { 0 };
}

static void set_share(SvanRate *rate, uint32_t mbps)
{
    rate->tx_share = mbps;
    rate->share = (SvanRateClock) { 0 };
}

void svan_rate_set_max(SvanFn *fn, uint32_t mbps)
{
    set_max(&fn->net->vport.rate.own, mbps);
    apply(fn);
}

void svan_rate_set_share(SvanFn *fn, uint32_t mbps)
{
    set_share(&fn->net->vport.rate.own, mbps);
    apply(fn);
}

void svan_rate_join(SvanFn *fn, uint8_t group)
{
    fn->net->vport.rate.group = group ? &fn->core->sw->groups[group - 1] : NULL;
    apply(fn);
}

uint8_t svan_rate_group(const SvanFn *fn)
{
    const SvanRate *group = fn->net->vport.rate.group;

    return group ? group - fn->core->sw->groups + 1 : 0;
}

uint32_t svan_rate_set_group(SvanCore *core, const struct svan_cmd_set_rate_group *cmd)
{
    uint32_t group = le32toh(cmd->group);

    if (!group || group > SVAN_RATE_GROUPS) {
        return REFUSE(BAD_PARAM, group);
    }
    set_max(&core->sw->groups[group - 1], le32toh(cmd->tx_max));
    set_share(&core->sw->groups[group - 1], le32toh(cmd->tx_share));
    for (uint32_t id = 0; id < core->num_fns; id++) {
        apply(core->fns[id]);
    }
    return SVAN_CMD_OK;
}

void svan_rate_reset_groups(SvanCore *core)
{
    memset(core->sw->groups, 0, sizeof(core->sw->groups));
}

void svan_rate_save_groups(const SvanCore *core, SvanWriter *writer)
{
    for (uint32_t n = 0; n < SVAN_RATE_GROUPS; n++) {
        svan_put_u32(writer, core->sw->groups[n].tx_max);
        svan_put_u32(writer, core->sw->groups[n].tx_share);
    }
}

bool svan_rate_load_groups(SvanCore *core, SvanReader *reader)
{
    for (uint32_t n = 0; n < SVAN_RATE_GROUPS; n++) {
        struct svan_cmd_set_rate_group group = { .group = htole32(n + 1) };

        group.tx_max = htole32(svan_get_u32(reader));
        group.tx_share = htole32(svan_get_u32(reader));
        svan_rate_set_group(core, &group);
    }
    return !reader->failed;
}

/* ---- sending ---- */

/* When the rate lets it send. */
static uint64_t opens(const SvanRate *rate)
{
    return rate && rate->tx_max && rate->max.until > BURST_NS ? rate->max.until - BURST_NS : 0;
}

uint64_t svan_rate_opens(const SvanFn *fn)
{
    const SvanFnRate *rate = &fn->net->vport.rate;
    uint64_t own = opens(&rate->own), group = opens(rate->group);

    return own > group ? own : group;
}

bool svan_rate_may_send(SvanEgress *egress, SvanStep *step)
{
    SvanFn *fn = egress->work->fn;
    uint64_t when = svan_rate_opens(fn);

    if (when <= svan_now(fn->core)) {
        return true;
    }
    *step = svan_egress_wait(egress, when, &fn->stats->rate_delays);
    return false;
}

/* An octet takes 8,000 / mbps ns. What was not used by `earliest` is lost. */
static void advance(SvanRateClock *clock, uint32_t mbps, uint32_t len, uint64_t earliest)
{
    uint64_t millibits;

    if (clock->until < earliest) {
        *clock = (SvanRateClock) { .until = earliest };
    }
    millibits = len * 8000ull + clock->rest;
    clock->until += millibits / mbps;
    clock->rest = millibits % mbps;
}

static void use_share(SvanRate *rate, uint32_t len, uint64_t now)
{
    uint64_t least;

    if (!rate || !rate->tx_share) {
        return;
    }
    advance(&rate->share, rate->tx_share, len, now > BURST_NS ? now - BURST_NS : 0);
    /* What nobody else wanted is not held against it, but for the last of it. */
    least = len * 8000ull / rate->tx_share;
    least = now + (least > BURST_NS ? least : BURST_NS);
    if (rate->share.until > least) {
        rate->share.until = least;
    }
}

static void use_limit(SvanRate *rate, uint32_t len, uint64_t now)
{
    if (rate && rate->tx_max) {
        advance(&rate->max, rate->tx_max, len, now);
    }
}

static void use_shares(SvanFnRate *rate, uint32_t len, uint64_t now)
{
    use_share(&rate->own, len, now);
    use_share(rate->group, len, now);
}

void svan_rate_sent(SvanFn *fn, uint32_t len)
{
    SvanFnRate *rate = &fn->net->vport.rate;
    uint64_t now = svan_now(fn->core);

    use_limit(&rate->own, len, now);
    use_limit(rate->group, len, now);
    use_shares(rate, len, now);
    rate->octets_ahead = rate->octets_ahead + len < MAX_OCTETS_AHEAD ?
                         rate->octets_ahead + len : MAX_OCTETS_AHEAD;
}

void svan_rate_turn(SvanFn *fn)
{
    SvanFnRate *rate = &fn->net->vport.rate;
    uint32_t worth = (uint64_t)fn->core->config.link_mbps * TURN_NS / 8000;

    if (rate->octets_ahead >= worth) {
        rate->octets_ahead -= worth;
        return;
    }
    use_shares(rate, worth - rate->octets_ahead, svan_now(fn->core));
    rate->octets_ahead = 0;
}
