/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where packets and frames go: to the port or to functions of this device, and there to
 * RoCE queue pairs or to the Ethernet queue pair (PRM "Steering").
 */
#include <stdlib.h>
#include <string.h>

#include "net/enforcement.h"
#include "net/wire_ip.h"

#define DEFAULT_RX_FRAMES       1024u
#define MAX_WAITING             16      /* frames that one function has queued */

/* ---- the receive queue ---- */

bool svan_rx_room(const SvanCore *core)
{
    uint32_t max = core->config.max_rx_frames ? core->config.max_rx_frames :
                                                DEFAULT_RX_FRAMES;

    return core->ingress->frames < max;
}

/* A function that floods another one takes no room from the port or from a third. */
static bool has_room(const SvanCore *core, uint16_t from)
{
    return from == SVAN_FROM_PORT ? svan_rx_room(core) :
                                    core->sw->waiting[from] < MAX_WAITING;
}

bool svan_rx_put(SvanCore *core, SvanFrame *frame)
{
    SvanIngress *ingress = core->ingress;

    if (!has_room(core, frame->from)) {
        return false;
    }
    if (frame->from == SVAN_FROM_PORT) {
        ingress->frames++;
    } else {
        core->sw->waiting[frame->from]++;
    }
    frame->next = NULL;
    *ingress->tail = frame;
    ingress->tail = &frame->next;
    svan_port_ready(core, SVAN_TURN_RX);
    return true;
}

bool svan_frame_in(SvanCore *core, SvanFrame *frame)
{
    bool was_empty = !core->ingress->head;
    uint32_t len = frame->len;

    frame->from = SVAN_FROM_PORT;
    if (!svan_rx_put(core, frame)) {
        return false;
    }
    core->fns[0]->stats->port_rx_frames++;
    core->fns[0]->stats->port_rx_bytes += len;
    if (was_empty) {
        svan_kick(core);
    }
    return true;
}

void svan_packets_ready(SvanCore *core)
{
    svan_port_ready(core, SVAN_TURN_RX);
}

void svan_rx_lost(SvanCore *core, uint32_t count)
{
    core->fns[0]->stats->rx_queue_drops += count;
}

static void rx_turn_to(SvanIngress *ingress, uint32_t fn)
{
    ingress->fn = fn;
    ingress->offset = 0;
    ingress->qpn = 0;
}

void svan_rx_again(SvanFn *fn)
{
    SvanIngress *ingress = fn->core->ingress;

    if (ingress->fn == fn->id) {
        rx_turn_to(ingress, fn->id);
    }
}

void svan_rx_drop_head(SvanCore *core)
{
    SvanFrame *frame = core->ingress->head;

    core->ingress->head = frame->next;
    if (!core->ingress->head) {
        core->ingress->tail = &core->ingress->head;
        if (!core->ops.packet_next) {
            svan_source_idle(core, SVAN_TURN_RX);       /* else rx_packet() finds out */
        }
    }
    if (frame->from == SVAN_FROM_PORT) {
        core->ingress->frames--;
    } else {
        core->sw->waiting[frame->from]--;
    }
    rx_turn_to(core->ingress, 0);
    core->ingress->member = 0;
    core->ingress->known = false;
    core->ingress->heads++;
    svan_frame_free(core->ingress->untagged);
    core->ingress->untagged = NULL;
    svan_frame_free(frame);
}

/* ---- receivers ---- */

static SvanStep deliver(SvanFn *fn, const SvanPkt *pkt)
{
    if (!svan_port_is_open(fn)) {
        return svan_pkt_drop(fn, pkt, &fn->stats->port_disabled_drops,
                             SVAN_DROP_PORT_DISABLED);
    }
    return fn->net->receiver->packet(fn, pkt);
}

/* By the port. */
static SvanStep deliver_from_port(SvanFn *fn, const SvanPkt *pkt)
{
    SvanStep step = deliver(fn, pkt);

    if (step == SVAN_STEP_DONE && fn->net->enforcement) {
        svan_enforce_packet_in(fn, pkt);
    }
    return step;
}

static bool is_forged(SvanCore *core, const SvanFrame *frame,
                      const SvanAddr *addr)
{
    SvanAddr source = *addr;

    if (frame->from == SVAN_FROM_PORT) {
        return false;
    }
    memcpy(source.dgid, addr->sgid, sizeof(source.dgid));
    memcpy(source.dmac, addr->smac, sizeof(source.dmac));
    return svan_gid_owner(core, &source) != core->fns[frame->from];
}

/*
 * A function may send any frame, but a RoCE packet reaches queue pairs of another
 * function only from the sender's own GID. A sender that was reset after it sent the
 * frame has no GID; and if it is a VF that is not enabled again, no counters either.
 */
static SvanStep drop_forged(SvanFn *from, const SvanFrame *frame)
{
    uint64_t uncounted = 0;

    return svan_frame_drop(from, frame, from->stats ? &from->stats->source_drops :
                                                      &uncounted, SVAN_DROP_SOURCE);
}

/* A RoCE packet of the receive queue, for a function. *known: its ICRC has been found right. */
static SvanStep rx_roce_for(SvanFn *fn, const SvanFrame *frame, bool *known)
{
    SvanCore *core = fn->core;
    SvanPkt pkt;

    switch (core->config.no_icrc || *known ? svan_pkt_decode_no_icrc(frame, &pkt) :
                                             svan_pkt_decode(frame, &pkt)) {
    case SVAN_DECODE_OK:
        *known = true;
        return frame->from == SVAN_FROM_PORT ? deliver_from_port(fn, &pkt) :
                                               deliver(fn, &pkt);
    case SVAN_DECODE_BAD_ICRC:
        fn->stats->rx_icrc_errors++;
        break;
    default:
        fn->stats->rx_malformed++;
        break;
    }
    svan_trace(fn, SVAN_TRACE_FRAME_DROP, fn->id, frame->len,
               SVAN_DROP_MALFORMED, 0);
    return SVAN_STEP_DONE;
}

/* Is the destination MAC the one of the group (RFC 1112, RFC 2464)? */
static bool is_group_mac(const SvanAddr *addr)
{
    const uint8_t *gid = addr->dgid, *mac = addr->dmac;

    return addr->ipv4 ? mac[0] == 1 && mac[1] == 0 && mac[2] == 0x5e &&
                        mac[3] == (gid[13] & 0x7f) && mac[4] == gid[14] && mac[5] == gid[15] :
                        mac[0] == 0x33 && mac[1] == 0x33 && !memcmp(mac + 2, gid + 12, 4);
}

/* The next member of the group that is in the packet's VLAN; SVAN_NONE: no other is. */
static uint32_t next_member(const SvanCore *core, const SvanAddr *addr, uint32_t first)
{
    SvanStationKey key = svan_station_group(addr->dgid);
    const SvanFnSet *members = svan_stations_find(core->sw, &key);
    uint16_t vlan = svan_vlan_id(addr->has_vlan, addr->vlan);
    uint32_t id = members ? svan_fn_set_next(members, first) : SVAN_NONE;

    while (id != SVAN_NONE && !svan_gid_has_vlan(core->fns[id], vlan)) {
        id = svan_fn_set_next(members, id + 1);
    }
    return id;
}

/* One queue pair a step, and then those that receive frames for the group. */
static SvanStep rx_group(SvanCore *core, const SvanFrame *frame, const SvanAddr *addr,
                         uint32_t member)
{
    SvanIngress *ingress = core->ingress;
    SvanStep step;

    if (is_forged(core, frame, addr)) {
        return drop_forged(core->fns[frame->from], frame);
    }
    step = rx_roce_for(core->fns[member], frame, &ingress->known);
    if (step == SVAN_STEP_DONE) {
        ingress->member = member + 1;
        step = SVAN_STEP_AGAIN;
    }
    return step;
}

/*
 * *mine: it is a RoCE packet, for a function of this device that has not sent it, or for a
 * group that functions of this device are members of, the sender perhaps among them.
 */
static SvanStep rx_roce(SvanCore *core, const SvanFrame *frame, bool *mine)
{
    bool known = false;
    uint32_t member;
    SvanAddr addr;
    SvanFn *fn;

    *mine = svan_pkt_peek(frame, &addr);
    if (*mine && svan_gid_is_multicast(addr.dgid)) {
        member = is_group_mac(&addr) ? next_member(core, &addr, core->ingress->member) :
                                       SVAN_NONE;
        *mine = member != SVAN_NONE;
        return *mine ? rx_group(core, frame, &addr, member) : SVAN_STEP_DONE;
    }
    fn = *mine ? svan_gid_owner(core, &addr) : NULL;
    *mine = fn && fn->id != frame->from;
    if (!*mine) {
        return SVAN_STEP_DONE;
    }
    if (is_forged(core, frame, &addr)) {
        return drop_forged(core->fns[frame->from], frame);
    }
    return rx_roce_for(fn, frame, &known);
}

/* The frame as the function gets it, without the tag of its VLAN. NULL: no memory. */
static const SvanFrame *seen_by(const SvanFn *fn, const SvanFrame *frame)
{
    SvanIngress *ingress = fn->core->ingress;

    if (!fn->net->vport.vlan) {
        return frame;
    }
    if (!ingress->untagged) {
        ingress->untagged = svan_frame_untag(frame);
    }
    return ingress->untagged;
}

static SvanStep rx_function(SvanFn *fn, const SvanFrame *frame, uint32_t *offset)
{
    const SvanFrame *seen = seen_by(fn, frame);

    if (!seen) {
        return svan_frame_drop(fn, frame, &fn->stats->eth_rx_no_buffer,
                               SVAN_DROP_NO_BUFFER);
    }
    return fn->net->receiver->frame(fn, seen, offset);
}

/* Hand the frame to one function that wants it. DONE: no other one is left. */
static SvanStep rx_ethernet(SvanCore *core, const SvanFrame *frame)
{
    SvanIngress *ingress = core->ingress;
    SvanFnSet wanted = svan_frame_route(core, frame).fns;
    uint32_t id = svan_fn_set_next(&wanted, ingress->fn);
    SvanStep step;
    SvanFn *fn;

    if (id == SVAN_NONE) {
        return SVAN_STEP_DONE;
    }
    if (id != ingress->fn) {
        rx_turn_to(ingress, id);
    }
    fn = core->fns[id];
    step = rx_function(fn, frame, &ingress->offset);
    if (step == SVAN_STEP_DONE) {
        if (fn->net->enforcement && frame->from == SVAN_FROM_PORT) {
            svan_enforce_frame_in(fn, frame);
        }
        rx_turn_to(ingress, id + 1);
        step = svan_fn_set_next(&wanted, id + 1) == SVAN_NONE ?
               SVAN_STEP_DONE : SVAN_STEP_AGAIN;
    }
    return step;
}

/* ---- packets that are lent ---- */

/* It is of no function's GID: copied, with an ICRC, it is received as any frame is. */
static SvanStep rx_as_frame(SvanCore *core, const SvanLentPacket *lent)
{
    SvanFrame *frame = svan_rx_room(core) ? svan_frame_of_lent(lent) : NULL;

    if (frame) {
        frame->from = SVAN_FROM_PORT;
        svan_rx_put(core, frame);
    } else {
        svan_rx_lost(core, 1);
    }
    return SVAN_STEP_DONE;
}

static SvanStep rx_lent(SvanCore *core, const SvanLentPacket *lent)
{
    SvanFn *fn;
    SvanPkt pkt;

    switch (svan_pkt_decode_lent(lent, &pkt)) {
    case SVAN_DECODE_OK:
        fn = svan_gid_owner(core, &pkt.addr);
        return fn ? deliver_from_port(fn, &pkt) : rx_as_frame(core, lent);
    case SVAN_DECODE_NOT_ROCE:
        return rx_as_frame(core, lent);
    default:
        core->fns[0]->stats->rx_malformed++;
        svan_trace(core->fns[0], SVAN_TRACE_FRAME_DROP, 0, lent->len, SVAN_DROP_MALFORMED, 0);
        return SVAN_STEP_DONE;
    }
}

/* One step of the packets that are lent. IDLE: there is none. */
static SvanStep rx_packet(SvanCore *core)
{
    const SvanLentPacket *lent = core->ops.packet_next(core->opaque);
    SvanStep step;

    core->ingress->from = SVAN_FROM_PORT;
    if (!lent) {
        return SVAN_STEP_IDLE;
    }
    step = rx_lent(core, lent);
    if (step == SVAN_STEP_DONE) {
        core->fns[0]->stats->port_rx_frames++;
        core->fns[0]->stats->port_rx_bytes += lent->len;
        core->ops.packet_done(core->opaque);
    }
    return step;
}

/* ---- the receive queue's step ---- */

/* A function has begun to receive the head. */
static bool is_begun(const SvanIngress *ingress)
{
    return ingress->fn || ingress->qpn;
}

static SvanStep rx_frame(SvanCore *core)
{
    SvanFrame *frame = core->ingress->head;
    bool mine = false;
    SvanStep step;

    core->ingress->from = frame ? frame->from : SVAN_FROM_PORT;
    if (!frame) {
        return SVAN_STEP_IDLE;
    }
    if (frame->len < ETH_HLEN) {
        core->fns[0]->stats->rx_malformed++;
        svan_rx_drop_head(core);
        return SVAN_STEP_DONE;
    }
    if (!is_begun(core->ingress) && frame->from == SVAN_FROM_PORT) {
        if (svan_enforce_notified(core, frame)) {
            svan_rx_drop_head(core);
            return SVAN_STEP_DONE;
        }
        svan_echo_hide(core, frame);
    }
    step = is_begun(core->ingress) ? SVAN_STEP_DONE : rx_roce(core, frame, &mine);
    if (!mine) {
        step = rx_ethernet(core, frame);
    }
    if (step == SVAN_STEP_DONE) {
        svan_rx_drop_head(core);
    }
    return step;
}

SvanFn *svan_rx_sender(const SvanCore *core)
{
    uint16_t from = core->ingress->from;

    return from == SVAN_FROM_PORT ? NULL : core->fns[from];
}

/* Packets that are lent and frames that wait take turns. */
SvanStep svan_rx_step(SvanCore *core)
{
    SvanIngress *ingress = core->ingress;
    SvanStep step = SVAN_STEP_IDLE;

    if (!core->ops.packet_next) {
        return rx_frame(core);
    }
    if (ingress->packets_next || !ingress->head) {
        step = rx_packet(core);
    }
    ingress->packets_next = step == SVAN_STEP_AGAIN || step == SVAN_STEP_MISS;
    if (step == SVAN_STEP_IDLE) {
        step = rx_frame(core);
        ingress->packets_next = step == SVAN_STEP_DONE;
        if (step == SVAN_STEP_IDLE) {
            svan_source_idle(core, SVAN_TURN_RX);
        }
    }
    return step;
}

/* ---- senders of packets ---- */

static SvanStep send_local(SvanFn *from, SvanFn *to, const SvanPkt *pkt)
{
    SvanFnStats *stats = from->stats;
    SvanStep step = deliver(to, pkt);

    if (step == SVAN_STEP_DONE) {
        stats->roce_local_packets++;
        stats->roce_local_bytes += pkt->payload_len;
    }
    return step;
}

static SvanStep port_packet_out(SvanCore *core, const SvanPkt *pkt)
{
    uint32_t len = svan_pkt_len(pkt);
    uint8_t *room = core->ops.packet_room(core->opaque, len);

    if (!room) {
        return SVAN_STEP_BLOCKED;
    }
    svan_pkt_encode_in(pkt, room);
    core->ops.packet_out(core->opaque, len);
    core->fns[0]->stats->port_tx_frames++;
    core->fns[0]->stats->port_tx_bytes += len;
    return SVAN_STEP_DONE;
}

static SvanFrame *frame_of(const SvanCore *core, const SvanPkt *pkt)
{
    return core->config.no_icrc ? svan_pkt_encode_no_icrc(pkt) : svan_pkt_encode(pkt);
}

static SvanStep send_port(SvanFn *from, const SvanPkt *pkt)
{
    SvanFrame *frame;
    SvanStep step;

    if (!from->core->link_up) {
        return SVAN_STEP_DONE;
    }
    if (from->core->ops.packet_room) {
        return port_packet_out(from->core, pkt);
    }
    frame = frame_of(from->core, pkt);
    if (!frame) {
        return SVAN_STEP_DONE;          /* lost, as on a wire */
    }
    step = svan_port_out(from->core, frame);
    if (step == SVAN_STEP_BLOCKED) {
        svan_frame_free(frame);
    }
    return step;
}

/*
 * To the port, and to members and netdevs of this device, for whom a copy waits in the
 * receive queue. BLOCKED: nobody has got it.
 */
static SvanStep send_group(SvanFn *from, const SvanPkt *pkt)
{
    SvanStep step = send_port(from, pkt);
    SvanFrame *local = step == SVAN_STEP_DONE ? frame_of(from->core, pkt) : NULL;
    SvanRoute route;

    if (!local) {
        return step;                    /* or lost, as on a wire */
    }
    local->from = from->id;
    route = svan_frame_route(from->core, local);
    if (next_member(from->core, &pkt->addr, 0) == SVAN_NONE &&
        svan_fn_set_is_empty(&route.fns)) {
        svan_frame_free(local);
    } else if (!svan_rx_put(from->core, local)) {
        svan_pkt_drop(from, pkt, &from->stats->eth_local_drops, SVAN_DROP_NO_BUFFER);
        svan_frame_free(local);
    }
    return step;
}

/*
 * May the unit leave? false: *step says what becomes of it. Enforcement is for the port:
 * between functions of a device there is no network to be congested.
 */
static inline bool may_leave(SvanEgress *egress, const SvanFlowUnit *unit, SvanStep *step)
{
    SvanFn *fn = unit->fn;

    if (egress->pace && !svan_pace_may_send(egress, unit->pkt, step)) {
        return false;
    }
    if (fn->net->vport.rate.is_limited && !svan_rate_may_send(egress, step)) {
        return false;
    }
    if (fn->core->sw->flow && !svan_flow_passes(egress, unit, step)) {
        return false;
    }
    return unit->is_local || !svan_enforces_egress(fn) ||
           svan_enforce_passes(egress, unit, step);
}

/* Does anything depend on how long it is? */
static inline bool is_counted(const SvanFlowUnit *unit)
{
    return unit->fn->net->vport.rate.counts ||
           (!unit->is_local && svan_enforces_egress(unit->fn));
}

/* The unit has left: so many octets, if they are counted. egress NULL: it had waited in a path. */
static inline void has_left(SvanEgress *egress, const SvanFlowUnit *unit, uint32_t len)
{
    SvanFn *fn = unit->fn;

    if (egress && egress->pace) {
        svan_pace_sent(egress, unit->pkt);
    }
    if (fn->net->vport.rate.counts) {
        svan_rate_sent(fn, len);
    }
    if (!unit->is_local && svan_enforces_egress(fn)) {
        svan_enforce_sent(egress, unit, len);
    }
}

/* false: the source GID is gone. */
static bool find_heading(SvanFn *fn, const SvanAv *av, uint32_t entropy, SvanHeading *heading)
{
    const SvanSwitch *sw = fn->core->sw;
    SvanAddr *addr = &heading->addr;
    const SvanFn *to;

    if (!svan_gid_address(fn, av, entropy, addr)) {
        return false;
    }
    addr->traffic_class = (addr->traffic_class & sw->ecn_kept) | sw->ecn_set;
    heading->changes = sw->changes;
    if (svan_gid_is_multicast(addr->dgid)) {
        heading->to = SVAN_TO_GROUP;
        return true;
    }
    to = svan_gid_owner(fn->core, addr);
    heading->to = to ? to->id : SVAN_TO_PORT;
    return true;
}

SvanStep svan_pkt_send(SvanEgress *egress, const SvanAv *av, uint32_t entropy,
                       SvanHeading *heading, SvanPkt *pkt)
{
    SvanFn *fn = egress->work->fn;
    SvanFlowUnit unit = { .fn = fn, .pkt = pkt };
    SvanFnStats *stats = fn->stats;
    SvanStep step;

    if (!svan_port_is_open(fn)) {
        return svan_pkt_drop(fn, pkt, &stats->port_disabled_drops,
                             SVAN_DROP_PORT_DISABLED);
    }
    if (heading->changes != fn->core->sw->changes &&
        !find_heading(fn, av, entropy, heading)) {
        return svan_pkt_drop(fn, pkt, &stats->source_drops, SVAN_DROP_SOURCE);
    }
    pkt->addr = heading->addr;
    unit.is_local = heading->to < SVAN_TO_GROUP;
    if (!may_leave(egress, &unit, &step)) {
        return step;
    }
    if (unit.is_local) {
        step = send_local(fn, fn->core->fns[heading->to], pkt);
    } else {
        step = heading->to == SVAN_TO_PORT ? send_port(fn, pkt) : send_group(fn, pkt);
    }
    if (step == SVAN_STEP_DONE) {
        stats->roce_tx_packets++;
        stats->roce_tx_bytes += pkt->payload_len;
        has_left(egress, &unit, is_counted(&unit) ? svan_pkt_len(pkt) : 0);
        if (egress->marked) {
            stats->flow_marks++;
            egress->marked = false;
        }
        svan_trace(fn, SVAN_TRACE_PKT_TX, pkt->dqpn, pkt->opcode, pkt->psn,
                   pkt->payload_len);
    }
    return step;
}

/* ---- senders of frames ---- */

/* To a group: where its address leads, and to those whose queue pairs are in it. */
static SvanRoute route_to_group(const SvanCore *core, const SvanFrame *frame,
                                const SvanAddr *addr)
{
    SvanRoute route = svan_frame_route(core, frame);
    SvanStationKey key = svan_station_group(addr->dgid);
    const SvanFnSet *members = svan_stations_find(core->sw, &key);

    if (members) {
        svan_fn_set_unite(&route.fns, members);
    }
    return route;
}

/* Where a frame goes. A RoCE packet goes only to the function that has its GID. */
static SvanRoute route_out(const SvanFn *fn, const SvanFrame *frame)
{
    SvanRoute route = { .port = false };
    const SvanFn *owner = NULL;
    SvanAddr addr;

    if (svan_pkt_peek(frame, &addr)) {
        if (svan_gid_is_multicast(addr.dgid)) {
            return route_to_group(fn->core, frame, &addr);
        }
        owner = svan_gid_owner(fn->core, &addr);
    }
    if (!owner || owner == fn) {
        return svan_frame_route(fn->core, frame);
    }
    svan_fn_set_add(&route.fns, owner->id);
    return route;
}

/* Takes the frame; false: it was dropped. */
static bool frame_to_functions(SvanFn *fn, SvanFrame *frame)
{
    uint32_t len = frame->len;

    if (!svan_rx_put(fn->core, frame)) {
        svan_frame_drop(fn, frame, &fn->stats->eth_local_drops,
                        SVAN_DROP_NO_BUFFER);
        svan_frame_free(frame);
        return false;
    }
    fn->stats->eth_local_frames++;
    fn->stats->eth_local_bytes += len;
    return true;
}

/* Takes the frame, unless it is BLOCKED. */
static SvanStep frame_to_port(SvanFn *fn, SvanFrame *frame, bool *sent)
{
    SvanStep step = SVAN_STEP_DONE;

    if (fn->core->link_up) {
        step = svan_port_out(fn->core, frame);
        *sent = step == SVAN_STEP_DONE;
    } else {
        svan_frame_free(frame);         /* lost, as on a wire */
    }
    return step;
}

static SvanStep forward(SvanFn *fn, SvanFrame *frame, bool *sent)
{
    SvanRoute route = route_out(fn, frame);
    SvanFrame *local = NULL;
    SvanStep step = SVAN_STEP_DONE;

    if (!svan_fn_set_is_empty(&route.fns)) {
        local = route.port ? svan_frame_copy(frame) : frame;
    }
    if (route.port) {
        step = frame_to_port(fn, frame, sent);
    }
    if (step == SVAN_STEP_BLOCKED) {
        svan_frame_free(local);         /* all or nothing: the caller sends it again */
    } else if (local) {
        local->from = fn->id;
        *sent |= frame_to_functions(fn, local);
    }
    return step;
}

/*
 * Once for each frame: a frame that could not leave at once has been admitted. If the rules
 * have changed since, it may have the tag of another VLAN, or another's address by now.
 */
static bool is_admitted(SvanFn *fn, SvanFrame *frame)
{
    const SvanVport *vport = &fn->net->vport;

    if (frame->from == fn->id) {
        if (frame->rules != vport->rules) {
            svan_frame_drop(fn, frame, &fn->stats->source_drops, SVAN_DROP_SOURCE);
            return false;
        }
        return true;
    }
    if ((vport->vlan || (vport->flags & SVAN_FUNCTION_SPOOF_CHECK)) &&
        !svan_vport_admits(fn, frame)) {
        return false;
    }
    frame->from = fn->id;
    frame->rules = vport->rules;
    return true;
}

/* false: it was dropped, and is gone. */
static bool may_be_sent(SvanFn *fn, SvanFrame *frame)
{
    if (!svan_port_is_open(fn)) {
        svan_frame_drop(fn, frame, &fn->stats->port_disabled_drops,
                        SVAN_DROP_PORT_DISABLED);
        svan_frame_free(frame);
        return false;
    }
    if (!is_admitted(fn, frame)) {
        svan_frame_free(frame);
        return false;
    }
    return true;
}

/* egress NULL: it has waited elsewhere. */
static SvanStep frame_leaves(SvanEgress *egress, const SvanFlowUnit *unit, bool *sent)
{
    uint32_t len = unit->frame->len;
    SvanStep step = forward(unit->fn, unit->frame, sent);

    if (*sent) {
        has_left(egress, unit, len);
        unit->fn->stats->eth_tx_frames++;
        unit->fn->stats->eth_tx_bytes += len;
    }
    return step;
}

SvanStep svan_frame_release(SvanFn *fn, SvanFrame *frame)
{
    SvanFlowUnit unit = { .fn = fn, .frame = frame };
    bool sent = false;

    return may_be_sent(fn, frame) ? frame_leaves(NULL, &unit, &sent) : SVAN_STEP_DONE;
}

SvanStep svan_frame_send(SvanEgress *egress, SvanFrame *frame, bool *sent)
{
    SvanFn *fn = egress->work->fn;
    SvanFlowUnit unit = { .fn = fn, .frame = frame };
    SvanStep step = SVAN_STEP_DONE;

    *sent = false;
    if (!may_be_sent(fn, frame)) {
        return step;
    }
    unit.is_local = svan_enforces_egress(fn) && !route_out(fn, frame).port;
    if (may_leave(egress, &unit, &step)) {
        return frame_leaves(egress, &unit, sent);
    }
    if (step == SVAN_STEP_DONE) {
        svan_frame_free(frame);
    }
    return step == SVAN_STEP_IDLE ? SVAN_STEP_DONE : step;
}
