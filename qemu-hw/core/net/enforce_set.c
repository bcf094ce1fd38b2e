/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the physical function sets for enforcement, and what it is shown (PRM
 * "Enforcement").
 */
#include <stdlib.h>

#include "net/enforcement.h"

#define REFUSE(status, field)   SVAN_REFUSAL(SVAN_CMD_##status, set_enforcement.attr.field)
#define MBPS            1000000ull
#define TIMERS          (SVAN_MAX_PATHS + 3)    /* of paths, of those that are shared, the watch */

void svan_enforcement_default(struct svan_enforcement_attr *attr)
{
    *attr = (struct svan_enforcement_attr) {
        .burst = htole32(50000), .interval = htole32(50000), .suspect = htole32(5000),
        .calm = htole32(1000), .recovery = htole32(10000),
    };
    for (uint32_t i = 0; i < SVAN_NOTIFICATION_CLASSES; i++) {
        attr->delay[i] = htole16(10);
    }
}

static uint32_t check(const struct svan_enforcement_attr *attr)
{
    if (attr->flags & ~SVAN_ENFORCE_FLAGS) {
        return REFUSE(BAD_PARAM, flags);
    }
    if (attr->action >= SVAN_ENFORCE_ACTIONS) {
        return REFUSE(BAD_PARAM, action);
    }
    if (le32toh(attr->cap) > SVAN_ENFORCE_MAX_CAP) {
        return REFUSE(BAD_PARAM, cap);
    }
    if (le32toh(attr->burst) > SVAN_ENFORCE_MAX_NS) {
        return REFUSE(BAD_PARAM, burst);
    }
    return le32toh(attr->interval) > SVAN_ENFORCE_MAX_NS ? REFUSE(BAD_PARAM, interval) :
                                                           SVAN_CMD_OK;
}

/* ---- life ---- */

static SvanPath *next_path(const SvanFlows *flows, SvanPath *path)
{
    return (SvanPath *)svan_aged_next(&flows->paths, path ? &path->aged : NULL);
}

static void release_all(SvanFlows *flows)
{
    for (SvanPath *path = next_path(flows, NULL); path; path = next_path(flows, path)) {
        svan_enforce_release(path);
    }
    svan_enforce_release(&flows->other);
    svan_enforce_release(&flows->blind);
}

void svan_enforcement_reset(SvanFn *fn)
{
    SvanEnforcement *enforcement = fn->net->enforcement;

    if (enforcement) {
        SvanFlows *flows = &enforcement->flows;

        for (SvanPath *path = next_path(flows, NULL); path; path = next_path(flows, path)) {
            svan_shaper_drop(enforcement, path);
        }
        svan_shaper_drop(enforcement, &flows->other);
        svan_shaper_drop(enforcement, &flows->blind);
    }
}

void svan_enforcement_end(SvanFn *fn)
{
    SvanEnforcement *enforcement = fn->net->enforcement;

    if (!enforcement) {
        return;
    }
    svan_enforcement_reset(fn);
    release_all(&enforcement->flows);
    svan_timer_cancel(fn->core, &enforcement->watch);
    fn->net->enforcement = NULL;
    svan_arrivals_fini(&enforcement->arrivals);
    svan_flows_fini(&enforcement->flows);
    svan_timer_unreserve(fn->core, TIMERS);
    free(enforcement);
}

/* NULL: no memory. */
static SvanEnforcement *enforcement_new(SvanFn *fn)
{
    SvanEnforcement *enforcement = calloc(1, sizeof(*enforcement));
    uint64_t seed = (uintptr_t)enforcement * 2 + fn->id;

    if (!enforcement || !svan_timer_reserve(fn->core, TIMERS)) {
        free(enforcement);
        return NULL;
    }
    enforcement->fn = fn;
    enforcement->flows.params = svan_congestion(fn->core)->params;
    enforcement->flows.turn = svan_enforce_turn;
    enforcement->flows.changed = svan_enforce_changed;
    svan_timer_init(&enforcement->watch, svan_enforce_watch);
    if (!svan_flows_init(&enforcement->flows, fn, seed)) {
        goto err_timers;
    }
    if (!svan_arrivals_init(&enforcement->arrivals, fn, seed)) {
        goto err_flows;
    }
    return enforcement;

err_flows:
    svan_flows_fini(&enforcement->flows);
err_timers:
    svan_timer_unreserve(fn->core, TIMERS);
    free(enforcement);
    return NULL;
}

static void apply(SvanEnforcement *enforcement, const struct svan_enforcement_attr *attr)
{
    uint64_t suspect = le32toh(attr->suspect);

    enforcement->attr = *attr;
    enforcement->cap = attr->cap ? le32toh(attr->cap) * MBPS : UINT64_MAX;
    enforcement->burst = le32toh(attr->burst);
    enforcement->flows.patience = (SvanPatience) {
        .suspect = suspect ? suspect * 1000 : UINT64_MAX,
        .calm = le32toh(attr->calm) * 1000ull,
        .recovery = le32toh(attr->recovery) * 1000ull,
    };
    enforcement->arrivals.interval = le32toh(attr->interval);
    for (uint32_t i = 0; i < SVAN_NOTIFICATION_CLASSES; i++) {
        enforcement->arrivals.delay[i] = le16toh(attr->delay[i]) * 1000ull;
    }
}

/* Whoever sets it knows of nothing: it may be another driver than before. */
static void tell_anew(SvanEnforcement *enforcement)
{
    SvanFlows *flows = &enforcement->flows;
    bool innocent = flows->other.recognition.state == SVAN_CONGESTION_CLEAR;

    for (SvanPath *path = next_path(flows, NULL); path; path = next_path(flows, path)) {
        innocent &= path->recognition.state == SVAN_CONGESTION_CLEAR;
    }
    enforcement->told = false;
    if (!innocent) {
        svan_enforce_tell(enforcement);
    }
}

void svan_enforcement_follow(SvanCore *core)
{
    for (uint32_t i = 0; core->fns && i < core->num_fns; i++) {
        if (core->fns[i] && core->fns[i]->net->enforcement) {
            core->fns[i]->net->enforcement->flows.params = svan_congestion(core)->params;
        }
    }
}

uint32_t svan_enforcement_set(SvanFn *fn, const struct svan_enforcement_attr *attr)
{
    uint32_t refusal = check(attr);

    if (refusal) {
        return refusal;
    }
    if (!attr->flags) {
        svan_enforcement_end(fn);
        return SVAN_CMD_OK;
    }
    if (!fn->net->enforcement) {
        fn->net->enforcement = enforcement_new(fn);
    }
    if (!fn->net->enforcement) {
        return REFUSE(NO_RESOURCES, flags);
    }
    release_all(&fn->net->enforcement->flows);
    apply(fn->net->enforcement, attr);
    tell_anew(fn->net->enforcement);
    return SVAN_CMD_OK;
}

void svan_enforcement_get(const SvanFn *fn, struct svan_enforcement_attr *attr)
{
    if (fn->net->enforcement) {
        *attr = fn->net->enforcement->attr;
    } else {
        memset(attr, 0, sizeof(*attr));
    }
}

/* ---- what is known ---- */

static SvanPath *find_path(SvanFlows *flows, const uint8_t *peer, uint16_t vlan)
{
    static const uint8_t none[16];
    SvanAgedKey key = svan_flow_key(peer, none, vlan, 0, 0);

    if (vlan == SVAN_PATH_OTHERS) {
        return flows->other.packets ? &flows->other : NULL;
    }
    if (vlan == SVAN_PATH_BLIND) {
        return flows->blind.packets ? &flows->blind : NULL;
    }
    return (SvanPath *)svan_aged_find(&flows->paths, &key);
}

bool svan_enforcement_judge(SvanFn *fn, const uint8_t *peer, uint16_t vlan,
                            bool congesting)
{
    SvanEnforcement *enforcement = fn->net->enforcement;
    SvanPath *path = enforcement ? find_path(&enforcement->flows, peer, vlan) : NULL;
    uint64_t now;

    if (!path) {
        return false;
    }
    now = svan_now(fn->core);
    svan_flows_step(&enforcement->flows, path, now);
    if (svan_recognition_judge(&path->recognition, congesting, now)) {
        svan_enforce_recognize(enforcement, NULL, path, now);
    }
    return true;
}

static uint32_t le32_of(uint64_t value)
{
    return htole32(value < UINT32_MAX ? value : UINT32_MAX);
}

static void show_estimate(const SvanFlowEstimate *e, struct svan_flow_entry *entry)
{
    entry->ce = htole32(e->ce);
    entry->loss = htole32(e->loss);
    entry->cnps = htole32(e->cnp_rate);
    entry->rtt = le32_of(e->rtt);
    entry->rtt_min = le32_of(e->rtt_min);
    entry->rtt_gradient = htole32(e->rtt_gradient);
    entry->rate = htole64(e->rate);
}

static void show_flow(const SvanFlow *flow, struct svan_flow_entry *entry)
{
    const SvanAgedKey *key = &flow->aged.key;

    *entry = (struct svan_flow_entry) {
        .flow = htole32(svan_flow_number(key)), .qpn = htole32(flow->qpn),
        .vlan = htole16(svan_flow_vlan(key)), .kind = svan_flow_kind(key),
        .state = flow->recognition.state, .packets = htole64(flow->packets),
        .octets = htole64(flow->octets),
    };
    memcpy(entry->peer, svan_flow_peer(key), 16);
    memcpy(entry->own, svan_flow_own(key), 16);
    show_estimate(&flow->estimate, entry);
}

static void show_path(const SvanEnforcement *enforcement, const SvanPath *path, uint16_t vlan,
                      struct svan_flow_entry *entry)
{
    *entry = (struct svan_flow_entry) {
        .vlan = htole16(vlan), .state = path->recognition.state,
        .notifications = htole32(path->notifications),
        .limit = htole64(svan_is_limited(enforcement, path) ?
                         svan_limit(enforcement, path) : 0),
        .packets = htole64(path->packets), .octets = htole64(path->octets),
        .classes = path->classes,
    };
    memcpy(entry->peer, svan_flow_peer(&path->aged.key), 16);
    show_estimate(&path->estimate, entry);
}

static uint32_t show_flows(const SvanAgedTable *flows, const SvanFlowQuery *query,
                           struct svan_flow_entry *entries)
{
    uint32_t n = 0, count = 0;
    SvanAged *aged = NULL;

    while (count < query->max && (aged = svan_aged_next(flows, aged)) != NULL) {
        if (n++ >= query->first) {
            show_flow((SvanFlow *)aged, &entries[count++]);
        }
    }
    return count;
}

/*
 * In the order of their places: none moves while others are used, come or go. Those that are
 * shared come last.
 */
static uint32_t show_paths(const SvanEnforcement *enforcement, const SvanFlowQuery *query,
                           struct svan_flow_entry *entries)
{
    const SvanFlows *flows = &enforcement->flows;
    const SvanPath *path = (const SvanPath *)flows->paths.entries;
    uint32_t n = 0, count = 0;

    for (uint32_t i = 0; i < flows->paths.fresh && count < query->max; i++, path++) {
        if (path->aged.age.next && n++ >= query->first) {
            show_path(enforcement, path, svan_flow_vlan(&path->aged.key), &entries[count++]);
        }
    }
    if (flows->other.packets && count < query->max && n++ >= query->first) {
        show_path(enforcement, &flows->other, SVAN_PATH_OTHERS, &entries[count++]);
    }
    if (flows->blind.packets && count < query->max && n >= query->first) {
        show_path(enforcement, &flows->blind, SVAN_PATH_BLIND, &entries[count++]);
    }
    return count;
}

uint32_t svan_enforcement_entries(SvanFn *fn, const SvanFlowQuery *query,
                                  struct svan_flow_entry *entries, uint32_t *total)
{
    SvanEnforcement *enforcement = fn->net->enforcement;
    bool looks = query->paths && !query->first;
    SvanFlows *flows;

    *total = 0;
    if (!enforcement) {
        return 0;
    }
    flows = &enforcement->flows;
    /* Whoever looks at all paths needs no event of what has changed until then. */
    enforcement->told |= looks;
    /* Those that go on where another one ended show what that has found. */
    if (looks) {
        svan_flows_step_paths(flows, svan_now(fn->core));
    } else if (!query->first) {
        svan_flows_step_all(flows, svan_now(fn->core));
    }
    enforcement->told &= !looks;
    *total = query->paths ? flows->paths.count + !!flows->other.packets + !!flows->blind.packets :
                            flows->flows.count;
    return query->paths ? show_paths(enforcement, query, entries) :
                          show_flows(&flows->flows, query, entries);
}
