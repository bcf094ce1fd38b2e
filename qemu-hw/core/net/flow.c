/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each unit that is about to leave a function is shown to the watcher of flows, if
 * there is one, and the verdict is carried out (PRM "Between functions").
 */
#include <string.h>

#include "net/stations.h"
#include "net/wire_ip.h"

/* ---- a sender that waits ---- */

static void fire(SvanTimer *timer)
{
    svan_work_ready(svan_container(timer, SvanEgress, later)->work);
}

void svan_egress_init(SvanEgress *egress, SvanWork *work)
{
    egress->work = work;
    svan_timer_init(&egress->later, fire);
}

void svan_egress_stop(SvanEgress *egress)
{
    svan_timer_cancel(egress->work->fn->core, &egress->later);
    svan_list_remove(&egress->turn);
    egress->called = false;
}

/* A sender may have several units that wait: its timer is that of the earliest. */
SvanStep svan_egress_wait(SvanEgress *egress, uint64_t when, uint64_t *counter)
{
    SvanFn *fn = egress->work->fn;

    if (egress->later.slot < 0) {
        ++*counter;
    } else if (when >= egress->later.deadline) {
        return SVAN_STEP_LATER;
    }
    svan_timer_set(fn->core, &egress->later, when);
    return SVAN_STEP_LATER;
}

/* ---- congestion experienced (RFC 3168) ---- */

static bool is_markable(uint8_t ecn)
{
    return (ecn & ECN_MASK) != ECN_NONE && (ecn & ECN_MASK) != ECN_CE;
}

static void set_ipv4(uint8_t *ip, uint8_t ecn)
{
    uint16_t before = ip[0] << 8 | ip[1];

    ip[1] |= ecn;
    svan_csum_update(ip + 10, before, ip[0] << 8 | ip[1]);
}

static bool is_markless(uint8_t ecn)
{
    return (ecn & ECN_MASK) == ECN_NONE;
}

/* Set these bits, if the frame is an IP packet whose bits are such. */
static bool set_frame(SvanFrame *frame, uint8_t ecn, bool (*is_such)(uint8_t ecn))
{
    uint32_t type, offset = svan_frame_l3(frame, &type);
    uint8_t *ip = frame->data + offset;

    if (!offset) {
        return false;
    }
    if (type == ETHERTYPE_IPV4 && frame->len >= offset + IPV4_HLEN &&
        ip[0] >> 4 == 4 && is_such(ip[1])) {
        set_ipv4(ip, ecn);
        return true;
    }
    if (type == ETHERTYPE_IPV6 && frame->len >= offset + IPV6_HLEN &&
        ip[0] >> 4 == 6 && is_such(ip[1] >> 4)) {
        ip[1] |= ecn << 4;
        return true;
    }
    return false;
}

/*
 * A packet that cannot leave at once is built anew later, without the mark; so its mark
 * is counted when it has left. A frame keeps its mark.
 */
bool svan_unit_mark(const SvanFlowUnit *unit, uint64_t *counter)
{
    if (unit->frame) {
        *counter += set_frame(unit->frame, ECN_CE, is_markable);
        return false;
    }
    if (!is_markable(unit->pkt->addr.traffic_class)) {
        return false;
    }
    unit->pkt->addr.traffic_class |= ECN_CE;
    return true;
}

bool svan_unit_set_ect(const SvanFlowUnit *unit)
{
    if (unit->frame) {
        return set_frame(unit->frame, ECN_ECT0, is_markless);
    }
    if (!is_markless(unit->pkt->addr.traffic_class)) {
        return false;
    }
    unit->pkt->addr.traffic_class |= ECN_ECT0;
    return true;
}

/* ---- verdicts ---- */

SvanStep svan_unit_drop(const SvanFlowUnit *unit, uint64_t *counter)
{
    return unit->pkt ? svan_pkt_drop(unit->fn, unit->pkt, counter, SVAN_DROP_FLOW) :
                       svan_frame_drop(unit->fn, unit->frame, counter, SVAN_DROP_FLOW);
}

bool svan_flow_passes(SvanEgress *egress, const SvanFlowUnit *unit,
                      SvanStep *step)
{
    SvanFn *fn = egress->work->fn;
    const SvanSwitch *sw = fn->core->sw;
    uint64_t when = 0;

    egress->marked = false;
    switch (sw->flow->verdict(sw->flow_arg, unit, &when)) {
    case SVAN_VERDICT_LATER:
        if (when <= svan_now(fn->core)) {
            return true;
        }
        *step = svan_egress_wait(egress, when, &fn->stats->flow_delays);
        return false;
    case SVAN_VERDICT_DROP:
        *step = svan_unit_drop(unit, &fn->stats->flow_drops);
        return false;
    case SVAN_VERDICT_MARK:
        egress->marked = svan_unit_mark(unit, &fn->stats->flow_marks);
        return true;
    default:
        return true;
    }
}

void svan_flow_watch(SvanCore *core, const SvanFlowOps *ops, void *arg)
{
    core->sw->flow = ops;
    core->sw->flow_arg = arg;
}
