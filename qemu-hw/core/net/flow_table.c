/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows and paths of a function, as they come and go.
 */
#include "net/flow_table.h"

#define LOOKS           8       /* entries that are looked at to make room */

static SvanFlow *as_flow(SvanAged *aged)
{
    return (SvanFlow *)aged;
}

static SvanPath *as_path(SvanAged *aged)
{
    return (SvanPath *)aged;
}

bool svan_flows_init(SvanFlows *flows, SvanFn *fn, uint64_t seed)
{
    flows->fn = fn;
    if (!svan_aged_init(&flows->flows, SVAN_MAX_FLOWS, sizeof(SvanFlow), seed)) {
        return false;
    }
    if (!svan_aged_init(&flows->paths, SVAN_MAX_PATHS, sizeof(SvanPath), ~seed)) {
        svan_aged_fini(&flows->flows);
        return false;
    }
    svan_path_init(&flows->other, fn, &flows->params, flows->turn);
    svan_path_init(&flows->blind, fn, &flows->params, flows->turn);
    flows->overflow.path = &flows->other;
    return true;
}

void svan_flows_fini(SvanFlows *flows)
{
    svan_aged_fini(&flows->flows);
    svan_aged_fini(&flows->paths);
}

/* ---- recognition ---- */

static void slow_down(uint32_t *value, uint64_t times)
{
    uint64_t slower = *value * times / SVAN_PATH_SIZE;

    *value = slower < UINT32_MAX ? slower : UINT32_MAX;
}

SvanDcqcnParams svan_flows_params(const SvanFlows *flows, const SvanPath *path)
{
    SvanDcqcnParams params = flows->params;
    uint32_t size = svan_path_size(path), n = flows->congested;

    size = size > SVAN_PATH_SIZE ? size : SVAN_PATH_SIZE;
    if (n <= 1 && size == SVAN_PATH_SIZE) {
        return params;
    }
    n = n ? n : 1;
    params.increase_additive = params.increase_additive / n + 1;
    params.increase_hyper = params.increase_hyper / n + 1;
    params.min_rate = params.min_rate / n > SVAN_DCQCN_LEAST_RATE ? params.min_rate / n :
                                                                    SVAN_DCQCN_LEAST_RATE;
    slow_down(&params.alpha_interval, (uint64_t)n * size);
    slow_down(&params.increase_interval, (uint64_t)n * size);
    slow_down(&params.decrease_interval, (uint64_t)n * size);
    slow_down(&params.byte_counter, size);
    return params;
}

/*
 * What has been recovering for long does not slow down the others, nor itself. One that still
 * has a rate counts longer: who goes round many peers comes back to it.
 */
static bool is_congested(const SvanFlows *flows, const SvanPath *path, uint64_t now)
{
    const SvanRecognition *r = &path->recognition;
    uint64_t counts = flows->patience.recovery;

    if (svan_rp_is_limited(&path->rp) && counts < SVAN_ROUND_NS) {
        counts = SVAN_ROUND_NS;
    }
    return r->state == SVAN_CONGESTION_CONGESTING ||
           (r->state == SVAN_CONGESTION_RECOVERING && now - r->since < counts);
}

void svan_flows_step(SvanFlows *flows, SvanPath *path, uint64_t now)
{
    SvanDcqcnParams params = svan_flows_params(flows, path);
    bool changed;

    svan_rp_timer(&path->rp, &params, now);
    svan_estimate_age(&path->estimate, now);
    changed = svan_recognition_step(&path->recognition, &flows->patience,
                                    svan_symptom(&path->estimate),
                                    svan_rp_is_limited(&path->rp), now);
    if (path->counted != is_congested(flows, path, now)) {
        path->counted = !path->counted;
        flows->congested += path->counted ? 1 : -1;
    }
    if (changed && flows->changed) {
        flows->changed(path);
    }
}

void svan_flows_step_another(SvanFlows *flows, uint64_t now)
{
    SvanPath *paths = (SvanPath *)flows->paths.entries, *path;

    if (!flows->paths.fresh) {
        return;
    }
    if (++flows->cursor >= flows->paths.fresh) {
        flows->cursor = 0;
        svan_flows_step(flows, &flows->other, now);
    }
    path = &paths[flows->cursor];
    if (path->aged.age.next) {
        svan_flows_step(flows, path, now);
    }
}

void svan_flows_step_paths(SvanFlows *flows, uint64_t now)
{
    for (uint32_t i = 0; i < flows->paths.fresh; i++) {
        svan_flows_step_another(flows, now);
    }
}

void svan_flows_step_all(SvanFlows *flows, uint64_t now)
{
    SvanAged *entry = NULL;

    svan_flows_step_paths(flows, now);
    while ((entry = svan_aged_next(&flows->flows, entry)) != NULL) {
        SvanFlow *flow = as_flow(entry);

        svan_estimate_age(&flow->estimate, now);
        svan_recognition_step(&flow->recognition, &flows->patience,
                              svan_symptom(&flow->estimate), false, now);
    }
}

/* ---- making room ---- */

static void forget(SvanFlows *flows, SvanFlow *flow)
{
    flow->path->flows--;
    svan_aged_remove(&flows->flows, &flow->aged);
}

/* Flows that were silent for `idle` ns, a few at a time. */
static void forget_old(SvanFlows *flows, uint64_t idle, uint64_t now)
{
    SvanAged *oldest = svan_aged_next(&flows->flows, NULL);

    for (uint32_t i = 0; i < LOOKS && oldest && now - oldest->used_at >= idle; i++) {
        forget(flows, as_flow(oldest));
        oldest = svan_aged_next(&flows->flows, NULL);
    }
}

/* A path that nobody will miss; false: none of the oldest is. */
static bool make_room_for_path(SvanFlows *flows, uint64_t now)
{
    SvanAged *entry = svan_aged_next(&flows->paths, NULL);

    for (uint32_t i = 0; i < LOOKS && entry; i++) {
        svan_flows_step(flows, as_path(entry), now);
        if (svan_path_is_idle(as_path(entry), now)) {
            svan_aged_remove(&flows->paths, entry);
            return true;
        }
        entry = svan_aged_next(&flows->paths, entry);
    }
    return false;
}

/* ---- finding ---- */

static SvanPath *get_path(SvanFlows *flows, const SvanAgedKey *flow, uint64_t now)
{
    SvanAgedKey key = svan_path_key(flow);
    SvanAged *entry;

    if (svan_flow_is_blind(flow)) {
        return &flows->blind;
    }
    entry = svan_aged_find(&flows->paths, &key);
    if (!entry) {
        entry = svan_aged_add(&flows->paths, &key, now);
        if (!entry && make_room_for_path(flows, now)) {
            entry = svan_aged_add(&flows->paths, &key, now);
        }
        if (!entry) {
            return &flows->other;
        }
        svan_path_init(as_path(entry), flows->fn, &flows->params, flows->turn);
    }
    svan_aged_touch(&flows->paths, entry, now);
    return as_path(entry);
}

static SvanFlow *hinted(const SvanFlows *flows, SvanAged *entry, uint16_t *hint)
{
    *hint = as_flow(entry) - (SvanFlow *)flows->flows.entries;
    return as_flow(entry);
}

SvanFlow *svan_flows_search(SvanFlows *flows, const SvanAgedKey *key, uint64_t now,
                            uint16_t *hint)
{
    SvanAged *entry = svan_aged_find(&flows->flows, key);
    SvanPath *path;

    if (entry) {
        svan_aged_touch(&flows->flows, entry, now);
        if (!svan_path_is_shared(flows, as_flow(entry)->path)) {
            svan_aged_touch(&flows->paths, &as_flow(entry)->path->aged, now);
        }
        return hinted(flows, entry, hint);
    }
    forget_old(flows, flows->flows.count < SVAN_MAX_FLOWS ? SVAN_FLOW_OLD : SVAN_FLOW_IDLE,
               now);
    path = get_path(flows, key, now);
    entry = svan_aged_add(&flows->flows, key, now);
    if (!entry) {
        flows->overflow.path = path;
        return &flows->overflow;
    }
    as_flow(entry)->path = path;
    path->flows++;
    return hinted(flows, entry, hint);
}

SvanFlow *svan_flows_find(const SvanFlows *flows, const SvanAgedKey *key)
{
    return as_flow(svan_aged_find(&flows->flows, key));
}

SvanPath *svan_flows_path(SvanFlows *flows, const SvanAgedKey *key)
{
    SvanAgedKey path = svan_path_key(key);
    SvanAged *entry = svan_aged_find(&flows->paths, &path);

    return entry ? as_path(entry) : &flows->other;
}

/* ---- numbers ---- */

/* What is sent within SVAN_WITNESS_AGE lies between `before` and `high`. */
static void remember(SvanSeries *series, uint64_t now)
{
    if (now - series->begun >= SVAN_WITNESS_AGE) {
        series->before = series->then;
        series->then = series->high;
        series->begun = now;
    }
}

bool svan_series_sent(SvanSeries *series, uint32_t number, uint32_t length, uint32_t window,
                      uint64_t now)
{
    uint32_t end = number + length, ahead = end - series->high;

    if (!series->known) {
        series->known = true;
        series->high = series->then = series->before = end;
        series->begun = now;
        return false;
    }
    remember(series, now);
    if ((int32_t)ahead > 0) {
        if (ahead > window) {
            series->jumped_at = now;
        }
        series->high = end;
        return false;
    }
    if (-ahead > window) {
        series->jumped_at = now;
        series->high = end;
        return false;
    }
    return length;
}

bool svan_series_is_plausible(const SvanSeries *series, uint32_t number, uint32_t window,
                              uint64_t now)
{
    if (!series->known) {
        return false;
    }
    if (series->jumped_at && now - series->jumped_at < SVAN_WITNESS_AGE) {
        return true;
    }
    if (series->high - series->before < UINT32_MAX / 2 && series->high - series->before > window) {
        window = series->high - series->before;
    }
    return series->high - number - 1 < window;
}
