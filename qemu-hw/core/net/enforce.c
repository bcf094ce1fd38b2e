/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an untrusted function sends: to which flow and path it belongs, and whether it may
 * leave now (PRM "Enforcement").
 */
#include "net/enforcement.h"

#define RECOGNIZE_NS    5000ull         /* between looks at a path that is not clear */
#define NEXT_NS         10000ull        /* if who was called sends nothing: the next one */
/* Between decreases without marks: as long as an RTT, within these bounds, ns. */
#define CUT_LEAST       SVAN_ESTIMATE_WINDOW
#define CUT_MOST        100000000ull
/* Without a notification for so long, no marks are to be expected, ns. */
#define UNTOLD_NS       1000000000ull

/* ---- recognition ---- */

void svan_enforce_tell(SvanEnforcement *enforcement)
{
    SvanFn *fn = enforcement->fn;

    if (!(enforcement->attr.flags & SVAN_ENFORCE_EVENTS)) {
        return;
    }
    if (enforcement->told) {
        svan_fn_stats(fn)->flow_events_merged++;
    } else if (fn->ops->path_changed(fn)) {
        enforcement->told = true;
        svan_fn_stats(fn)->flow_events++;
    }
}

void svan_enforce_changed(SvanPath *path)
{
    SvanFnStats *stats = svan_fn_stats(path->fn);

    if (path->recognition.state == SVAN_CONGESTION_CLEAR) {
        path->classes = 0;
    }
    stats->paths_congesting += path->recognition.state == SVAN_CONGESTION_CONGESTING;
    stats->paths_suspect += path->recognition.state == SVAN_CONGESTION_SUSPECT;
    svan_enforce_tell(path->fn->net->enforcement);
}

/* Marks on packets that are small are as many more as there are more packets. */
static bool is_sign(SvanPath *path, uint32_t octets)
{
    uint64_t sum = (uint64_t)path->marked_octets + octets;

    path->marked_octets = sum % SVAN_PATH_SIZE;
    return sum >= SVAN_PATH_SIZE;
}

bool svan_enforce_react(SvanEnforcement *enforcement, SvanPath *path, uint32_t octets,
                        uint64_t now)
{
    SvanDcqcnParams params = svan_flows_params(&enforcement->flows, path);

    if (path->recognition.state < SVAN_CONGESTION_CONGESTING ||
        enforcement->attr.action == SVAN_ENFORCE_WATCH || !is_sign(path, octets)) {
        return false;
    }
    svan_rp_notified(&path->rp, &params, now);
    return true;
}

/* A decrease is not seen before an RTT, which the peer can make as long as it likes. */
static uint64_t cut_interval(const SvanPath *path)
{
    return path->last_rtt < CUT_LEAST ? CUT_LEAST :
           path->last_rtt < CUT_MOST ? path->last_rtt : CUT_MOST;
}

/*
 * Marks are told by notifications, and each of them is a sign. Where nobody notifies, what
 * is left are losses and a queue that grows: while these last there is a sign once in a while.
 */
static void react_to_ambiguity(SvanEnforcement *enforcement, SvanPath *path, uint64_t now)
{
    if (path->recognition.state != SVAN_CONGESTION_CONGESTING ||
        !svan_symptom_is_ambiguous(svan_symptom(&path->estimate))) {
        return;
    }
    if (now - path->cut_at >= cut_interval(path)) {
        path->cut_at = now;
        svan_enforce_react(enforcement, path, SVAN_PATH_SIZE, now);
    }
    /* Such signs are so far between that all would be made good before the next. */
    if (now - path->told_at >= UNTOLD_NS) {
        svan_rp_hold(&path->rp, path->cut_at + cut_interval(path));
    }
}

void svan_enforce_recognize(SvanEnforcement *enforcement, SvanFlow *flow, SvanPath *path,
                            uint64_t now)
{
    if (flow && !enforcement->fn->core->config.frozen_estimates) {
        svan_estimate_age(&flow->estimate, now);
        svan_recognition_step(&flow->recognition, &enforcement->flows.patience,
                              svan_symptom(&flow->estimate), false, now);
    }
    path->recognized_at = now;
    svan_flows_step(&enforcement->flows, path, now);
    svan_flows_step_another(&enforcement->flows, now);
    react_to_ambiguity(enforcement, path, now);
}

/* ---- turns of a path ---- */

static void call(SvanPath *path)
{
    SvanEgress *egress = svan_container(path->waiters.next, SvanEgress, turn);

    svan_list_remove(&egress->turn);
    egress->called = true;
    svan_work_ready(egress->work);
}

/* Queue pairs and frames take turns. */
static bool somebody_waits(const SvanPath *path)
{
    return path->held || !svan_list_empty(&path->waiters);
}

void svan_enforce_turn(SvanTimer *turn)
{
    SvanPath *path = svan_container(turn, SvanPath, turn);
    SvanCore *core = path->fn->core;
    uint64_t now = svan_now(core), when;

    if (!somebody_waits(path)) {
        return;
    }
    if (!svan_path_may_send(path, path->fn->net->enforcement->burst, now, &when)) {
        svan_timer_set(core, turn, when);
        return;
    }
    if (path->held && (path->held_next || svan_list_empty(&path->waiters))) {
        svan_shaper_due(path);
    } else {
        call(path);
    }
    path->held_next = !path->held_next;
    if (somebody_waits(path)) {
        svan_timer_set(core, turn, now + NEXT_NS);
    }
}

void svan_enforce_next(SvanPath *path, uint64_t now)
{
    uint64_t burst = path->fn->net->enforcement->burst;

    if (somebody_waits(path)) {
        path->behind = true;
        svan_timer_set(path->fn->core, &path->turn,
                       path->until > now + burst ? path->until - burst : now);
    }
}

void svan_enforce_release(SvanPath *path)
{
    while (!svan_list_empty(&path->waiters)) {
        call(path);
    }
    svan_timer_cancel(path->fn->core, &path->turn);
    if (path->held) {
        svan_timer_set(path->fn->core, &path->turn, svan_now(path->fn->core));
    }
}

/* Who comes later waits behind those who wait. */
static bool is_its_turn(const SvanPath *path, const SvanEgress *egress)
{
    return egress->called || !somebody_waits(path) ||
           (!path->held && path->waiters.next == &egress->turn);
}

static SvanStep wait_for_turn(SvanPath *path, SvanEgress *egress, uint64_t when)
{
    SvanFn *fn = egress->work->fn;

    path->behind = true;
    if (!egress->turn.next) {
        fn->stats->enforce_delays++;
        svan_list_append(&path->waiters, &egress->turn);
    }
    if (path->turn.slot < 0 || path->turn.deadline > when) {
        svan_timer_set(fn->core, &path->turn, when);
    }
    return SVAN_STEP_LATER;
}

/* ---- verdicts ---- */

/* What answers others must not wait behind what the function itself wants to send. */
static bool is_answer(const SvanFlowUnit *unit)
{
    return unit->pkt && (unit->pkt->opcode == SVAN_OP_CNP ||
                         (!unit->pkt->payload_len &&
                          !svan_op_info(unit->pkt->opcode)->request));
}

static bool is_policed(const SvanEnforcement *enforcement, const SvanPath *path)
{
    return enforcement->attr.action != SVAN_ENFORCE_WATCH &&
           svan_is_limited(enforcement, path);
}

/* *step is IDLE: the frame waits; DONE: it was dropped. */
static bool pace_frame(SvanEnforcement *enforcement, const SvanFlowUnit *unit, SvanStep *step)
{
    SvanPath *path = enforcement->path;
    uint64_t when = enforcement->now;

    if (!somebody_waits(path) &&
        svan_path_may_send(path, enforcement->burst, enforcement->now, &when)) {
        return true;
    }
    if (!svan_shaper_hold(enforcement, path, unit->frame)) {
        *step = svan_unit_drop(unit, &unit->fn->stats->enforce_drops);
        return false;
    }
    path->behind = true;
    unit->fn->stats->enforce_delays++;
    unit->fn->stats->enforce_ect_set += enforcement->ect_set;
    if (path->turn.slot < 0) {
        svan_timer_set(unit->fn->core, &path->turn, when);
    }
    *step = SVAN_STEP_IDLE;
    return false;
}

static bool pace_packet(SvanEnforcement *enforcement, SvanEgress *egress, SvanStep *step)
{
    SvanPath *path = enforcement->path;
    uint64_t when = enforcement->now + NEXT_NS;

    if (is_its_turn(path, egress) &&
        svan_path_may_send(path, enforcement->burst, enforcement->now, &when)) {
        return true;
    }
    *step = wait_for_turn(path, egress, when);
    return false;
}

/* The unit's path has a rate. */
static bool police(SvanEnforcement *enforcement, SvanEgress *egress,
                   const SvanFlowUnit *unit, SvanStep *step)
{
    uint64_t when;

    enforcement->charged = true;
    if (is_answer(unit)) {
        return true;
    }
    if (enforcement->attr.action == SVAN_ENFORCE_PACE) {
        return unit->frame ? pace_frame(enforcement, unit, step) :
                             pace_packet(enforcement, egress, step);
    }
    if (svan_path_may_send(enforcement->path, enforcement->burst, enforcement->now, &when)) {
        return true;
    }
    enforcement->charged = false;
    if (enforcement->attr.action == SVAN_ENFORCE_MARK) {
        enforcement->marked = svan_unit_mark(unit, &unit->fn->stats->enforce_marks);
        return true;
    }
    *step = svan_unit_drop(unit, &unit->fn->stats->enforce_drops);
    return false;
}

static void find_flow(SvanEnforcement *enforcement, uint16_t *hint, const SvanFlowUnit *unit,
                      uint64_t now)
{
    enforcement->now = now;
    if (unit->pkt) {
        svan_flow_of_packet(unit->pkt, SVAN_OUTGOING, &enforcement->info);
    } else {
        svan_flow_of_frame(unit->frame, SVAN_OUTGOING, &enforcement->info);
    }
    enforcement->flow = svan_flows_get(&enforcement->flows, &enforcement->info.key,
                                       enforcement->now, hint);
    enforcement->path = enforcement->flow->path;
}

void svan_enforce_identify(SvanEnforcement *enforcement, const SvanFlowUnit *unit)
{
    find_flow(enforcement, &enforcement->flow_hint, unit, svan_now(unit->fn->core));
    enforcement->charged = is_policed(enforcement, enforcement->path);
    enforcement->ect_set = enforcement->marked = false;
}

bool svan_enforce_passes(SvanEgress *egress, const SvanFlowUnit *unit, SvanStep *step)
{
    SvanEnforcement *enforcement = unit->fn->net->enforcement;
    SvanPath *path;

    find_flow(enforcement, &egress->flow_hint, unit, svan_lately(unit->fn->core));
    path = enforcement->path;
    enforcement->charged = enforcement->marked = false;
    enforcement->ect_set = svan_unit_set_ect(unit);
    if (enforcement->info.kind == SVAN_FLOW_TCP) {
        svan_echo_answer(enforcement, unit->frame);
    }
    if (path->recognition.state != SVAN_CONGESTION_CLEAR ||
        svan_rp_is_limited(&path->rp) || svan_is_blind(enforcement, path)) {
        enforcement->now = svan_now(unit->fn->core);
        if (enforcement->now - path->recognized_at >= RECOGNIZE_NS) {
            svan_enforce_recognize(enforcement, enforcement->flow, path, enforcement->now);
        }
        return !is_policed(enforcement, path) || police(enforcement, egress, unit, step);
    }
    return true;
}

/* ---- what has left ---- */

static void watch(SvanEnforcement *enforcement)
{
    enforcement->awaits = true;
    if (enforcement->watch.slot < 0) {
        svan_timer_set(enforcement->fn->core, &enforcement->watch,
                       enforcement->now + SVAN_WATCH_NS);
    }
}

/* Does the packet ask for an answer that comes at once? */
static bool is_probe(const SvanFlowUnit *unit, const SvanFlowInfo *info)
{
    if (unit->pkt) {
        uint8_t verb = svan_op_info(unit->pkt->opcode)->verb;

        return info->is_request && unit->pkt->ack_req &&
               (verb == SVAN_VERB_SEND || verb == SVAN_VERB_WRITE);
    }
    return info->kind == SVAN_FLOW_TCP && info->payload;
}

/*
 * Flows that have no room share an entry. Its numbers are those of one of them, which has sent
 * last; those of others say nothing about it.
 */
static void number_another(SvanFlow *overflow, const SvanAgedKey *key)
{
    if (!svan_aged_is(&overflow->aged.key, key)) {
        overflow->aged.key = *key;
        overflow->series[0].known = overflow->series[1].known = false;
    }
}

/* The numbers of the flow go on. Has this packet been sent before? */
static bool number(SvanFlow *flow, const SvanFlowInfo *info, uint64_t now)
{
    if (info->kind == SVAN_FLOW_RDMA) {
        return svan_series_sent(&flow->series[!info->is_request], info->witness << 8, 1 << 8,
                                SVAN_PSN_WINDOW << 8, now) && info->is_request;
    }
    return info->kind == SVAN_FLOW_TCP &&
           svan_series_sent(&flow->series[0], info->witness, info->payload, SVAN_TCP_WINDOW,
                            now);
}

static void estimate(SvanEnforcement *enforcement, const SvanFlowUnit *unit, uint32_t len,
                     bool again)
{
    SvanFlow *flow = enforcement->flow;
    SvanPath *path = enforcement->path;
    const SvanFlowInfo *info = &enforcement->info;
    uint64_t now = enforcement->now;

    svan_estimate_sent(&flow->estimate, len, now);
    svan_estimate_sent(&path->estimate, len, now);
    svan_path_count(path, len);
    if (again) {
        svan_estimate_lost(&flow->estimate, now);
        svan_estimate_lost(&path->estimate, now);
        svan_enforce_recognize(enforcement, flow, path, now);
    } else if (!flow->estimate.probing && is_probe(unit, info)) {
        svan_estimate_probe(&flow->estimate, unit->pkt ? info->witness :
                            info->witness + info->payload, svan_now(unit->fn->core));
        watch(enforcement);
    }
}

static void count_oddities(SvanEnforcement *enforcement, bool overflows)
{
    SvanFnStats *stats = svan_fn_stats(enforcement->fn);

    stats->flows_overflowed += overflows;
    stats->paths_overflowed += enforcement->path == &enforcement->flows.other;
    stats->enforce_ect_set += enforcement->ect_set;
    stats->enforce_marks += enforcement->marked;
}

void svan_enforce_sent(SvanEgress *egress, const SvanFlowUnit *unit, uint32_t len)
{
    SvanEnforcement *enforcement = unit->fn->net->enforcement;
    SvanFlow *flow = enforcement->flow;
    SvanPath *path = enforcement->path;
    bool overflows = svan_flow_is_overflow(&enforcement->flows, flow), again;
    bool answers = is_answer(unit);

    /* Not before: a unit for which the port has no room keeps its turn. */
    if (egress && !answers) {
        svan_list_remove(&egress->turn);
        egress->called = false;
    }
    flow->packets++;
    flow->octets += len;
    path->packets++;
    path->octets += len;
    path->classes |= 1 << (enforcement->info.traffic_class >> 5);
    flow->qpn = unit->pkt ? egress->qpn : 0;
    if (overflows || path == &enforcement->flows.other || enforcement->ect_set ||
        enforcement->marked) {
        count_oddities(enforcement, overflows);
    }
    if (overflows) {
        number_another(flow, &enforcement->info.key);
    }
    if (overflows || enforcement->info.kind != SVAN_FLOW_RDMA) {
        svan_witness_add(&path->witnesses, &enforcement->info.key, enforcement->info.witness,
                         enforcement->now);
    }
    again = number(flow, &enforcement->info, enforcement->now);
    if (!enforcement->fn->core->config.frozen_estimates) {
        estimate(enforcement, unit, len, again);
    }
    if (enforcement->charged) {
        SvanDcqcnParams params = svan_flows_params(&enforcement->flows, path);
        uint64_t rate = svan_limit(enforcement, path);

        /* Answers do not wait: else whoever asks for many makes a debt for the rest. */
        if (!answers || path->until <= enforcement->now + enforcement->burst) {
            svan_path_charge(path, rate, len, enforcement->now);
        }
        svan_rp_sent(&path->rp, &params, len, enforcement->now);
    }
    if (somebody_waits(path)) {
        svan_enforce_next(path, enforcement->now);
    }
}
