/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where packets go: out of the port, to a function of this device, to the RoCE
 * engine or to the Ethernet function (PRM "Steering").
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "wire_ip.h"

#define DEFAULT_RX_FRAMES       1024u
#define SPORT_FIRST             0xc000u         /* annex A17: flow entropy */

SvanFrame *svan_frame_alloc(uint32_t capacity)
{
    SvanFrame *frame = malloc(sizeof(*frame) + capacity);

    if (frame) {
        frame->next = NULL;
        frame->len = 0;
        frame->capacity = capacity;
    }
    return frame;
}

void svan_frame_free(SvanFrame *frame)
{
    free(frame);
}

/* ---- the receive queue ---- */

bool svan_rx_room(const SvanCore *core)
{
    uint32_t max = core->config.max_rx_frames ? core->config.max_rx_frames :
                                                DEFAULT_RX_FRAMES;

    return core->rx_frames < max;
}

bool svan_frame_in(SvanCore *core, SvanFrame *frame)
{
    if (!svan_rx_room(core)) {
        return false;
    }
    core->fns[0]->stats.port_rx_frames++;
    core->fns[0]->stats.port_rx_bytes += frame->len;
    frame->next = NULL;
    *core->rx_tail = frame;
    core->rx_tail = &frame->next;
    if (core->rx_frames++ == 0) {
        core->ops.kick(core->opaque);
    }
    return true;
}

void svan_rx_lost(SvanCore *core, uint32_t count)
{
    core->fns[0]->stats.rx_queue_drops += count;
}

void svan_rx_drop_head(SvanCore *core)
{
    SvanFrame *frame = core->rx_head;

    core->rx_head = frame->next;
    if (!core->rx_head) {
        core->rx_tail = &core->rx_head;
    }
    core->rx_frames--;
    core->rx_offset = 0;
    core->rx_fn = 0;
    core->rx_qpn = 0;
    svan_frame_free(frame);
}

/* ---- receivers ---- */

/* 0: none; a tag without one (802.1Q: priority-tagged) is as good as none. */
static uint16_t vlan_id(bool has_vlan, uint16_t vlan)
{
    return has_vlan ? vlan & 0xfff : 0;
}

/* The destination is this entry of a GID table: address, VLAN and MAC. */
static bool is_for_gid(const SvanAddr *addr, const SvanGid *gid)
{
    return gid->valid &&
           vlan_id(gid->has_vlan, gid->vlan) ==
           vlan_id(addr->has_vlan, addr->vlan) &&
           !memcmp(gid->gid, addr->dgid, 16) &&
           !memcmp(gid->smac, addr->dmac, 6);
}

SvanFn *svan_gid_owner(SvanCore *core, const SvanAddr *addr)
{
    for (uint32_t i = 0; i < core->num_fns; i++) {
        SvanFn *fn = core->fns[i];

        for (uint32_t g = 0; g < fn->gid_limit; g++) {
            if (is_for_gid(addr, &fn->gids[g])) {
                return fn;
            }
        }
    }
    return NULL;
}

/*
 * 9.6.1: a connected QP takes packets of its peer only. Their source MAC is not
 * looked at: the last router's need not be the first one on the way back.
 */
static bool from_peer(const SvanQp *qp, const SvanPkt *pkt)
{
    return qp->type != SVAN_QPT_RC ||
           (!memcmp(pkt->addr.sgid, qp->av.dgid, 16) &&
            is_for_gid(&pkt->addr, &qp->fn->gids[qp->av.sgid_index]));
}

static SvanStep drop(SvanFn *fn, const SvanPkt *pkt, uint64_t *counter,
                     uint32_t reason)
{
    ++*counter;
    svan_trace(fn, SVAN_TRACE_PKT_DROP, pkt->dqpn, pkt->opcode, pkt->psn,
               reason);
    return SVAN_STEP_DONE;
}

static SvanStep deliver(SvanFn *fn, const SvanPkt *pkt)
{
    SvanQp *qp = svan_qp_get(fn, pkt->dqpn);
    SvanStep step;

    if (!fn->port_enabled) {
        return drop(fn, pkt, &fn->stats.port_disabled_drops,
                    SVAN_DROP_PORT_DISABLED);
    }
    if (pkt->opcode == SVAN_OP_CNP) {
        svan_trace(fn, SVAN_TRACE_PKT_DROP, pkt->dqpn, pkt->opcode, pkt->psn,
                   SVAN_DROP_FILTERED);
        return SVAN_STEP_DONE;          /* nobody slows down for it yet */
    }
    if (!qp || !qp->transport->rx ||
        (pkt->opcode & SVAN_BTH_TRANSPORT_MASK) != SVAN_BTH_RC) {
        return drop(fn, pkt, &fn->stats.rx_no_qp, SVAN_DROP_NO_QP);
    }
    if ((pkt->pkey | 0x8000) != SVAN_PKEY_DEFAULT || !from_peer(qp, pkt)) {
        return drop(fn, pkt, &fn->stats.rx_wrong_peer, SVAN_DROP_WRONG_PEER);
    }
    if (qp->state < SVAN_QPS_RTR || qp->state == SVAN_QPS_ERR) {
        return drop(fn, pkt, &fn->stats.rx_wrong_state,
                    SVAN_DROP_WRONG_STATE);
    }
    step = qp->transport->rx(qp, pkt);
    if (step == SVAN_STEP_DONE) {
        fn->stats.roce_rx_packets++;
        fn->stats.roce_rx_bytes += pkt->payload_len;
        if ((pkt->addr.traffic_class & 3) == 3) {
            fn->stats.ecn_marked_roce_packets++;
        }
        svan_trace(fn, SVAN_TRACE_PKT_RX, pkt->dqpn, pkt->opcode, pkt->psn,
                   pkt->payload_len);
    }
    return step;
}

/* DONE: consumed; *mine false: not for the engine */
static SvanStep rx_roce(SvanCore *core, const SvanFrame *frame, bool *mine)
{
    SvanAddr addr;
    SvanPkt pkt;
    SvanFn *fn;

    *mine = svan_pkt_peek(frame, &addr);
    fn = *mine ? svan_gid_owner(core, &addr) : NULL;
    *mine = fn;
    if (!fn) {
        return SVAN_STEP_DONE;
    }
    switch (core->config.no_icrc ? svan_pkt_decode_no_icrc(frame, &pkt) :
                                   svan_pkt_decode(frame, &pkt)) {
    case SVAN_DECODE_OK:
        return deliver(fn, &pkt);
    case SVAN_DECODE_BAD_ICRC:
        fn->stats.rx_icrc_errors++;
        break;
    default:
        fn->stats.rx_malformed++;
        break;
    }
    svan_trace(fn, SVAN_TRACE_FRAME_DROP, fn->id, frame->len,
               SVAN_DROP_MALFORMED, 0);
    return SVAN_STEP_DONE;
}

/* One function a step, each of those that want the frame. */
static SvanStep rx_ethernet(SvanCore *core, const SvanFrame *frame)
{
    while (core->rx_fn < core->num_fns) {
        SvanFn *fn = core->fns[core->rx_fn];
        SvanStep step;

        if (svan_eth_wants(fn, frame->data)) {
            step = svan_eth_rx(fn, frame, &core->rx_offset);
            if (step != SVAN_STEP_DONE) {
                return step;
            }
        }
        core->rx_offset = 0;
        core->rx_fn++;
        core->rx_qpn = 0;
    }
    return SVAN_STEP_DONE;
}

SvanStep svan_rx_step(SvanCore *core)
{
    SvanFrame *frame = core->rx_head;
    bool mine = false;
    SvanStep step;

    if (!frame) {
        return SVAN_STEP_IDLE;
    }
    if (frame->len < ETH_HLEN) {
        core->fns[0]->stats.rx_malformed++;
        svan_rx_drop_head(core);
        return SVAN_STEP_DONE;
    }
    step = core->rx_fn || core->rx_offset ? SVAN_STEP_DONE :
                                            rx_roce(core, frame, &mine);
    if (!mine) {
        step = rx_ethernet(core, frame);
    }
    if (step == SVAN_STEP_DONE) {
        svan_rx_drop_head(core);
    }
    return step;
}

/* ---- senders ---- */

bool svan_pkt_address(const SvanQp *qp, SvanPkt *pkt)
{
    const SvanGid *gid = &qp->fn->gids[qp->av.sgid_index];
    uint32_t hash = qp->qpn * 0x9e3779b1u ^ qp->dest_qpn * 0x85ebca6bu;
    SvanAddr *addr = &pkt->addr;

    if (!gid->valid ||
        svan_gid_is_ipv4(gid->gid) != svan_gid_is_ipv4(qp->av.dgid)) {
        return false;
    }
    memcpy(addr->smac, gid->smac, 6);
    memcpy(addr->dmac, qp->av.dmac, 6);
    memcpy(addr->sgid, gid->gid, 16);
    memcpy(addr->dgid, qp->av.dgid, 16);
    addr->has_vlan = gid->has_vlan;
    addr->vlan = gid->vlan;
    addr->ipv4 = svan_gid_is_ipv4(qp->av.dgid);
    addr->traffic_class = qp->av.traffic_class;
    addr->hop_limit = qp->av.hop_limit;
    addr->flow_label = qp->av.flow_label;
    addr->ip_id = 0;
    addr->udp_sport = qp->av.udp_sport ? qp->av.udp_sport :
                      SPORT_FIRST | (hash >> 18);
    return true;
}

static SvanStep send_local(SvanFn *from, SvanFn *to, const SvanPkt *pkt)
{
    SvanStep step = deliver(to, pkt);

    if (step == SVAN_STEP_DONE) {
        from->stats.roce_local_packets++;
        from->stats.roce_local_bytes += pkt->payload_len;
    }
    return step;
}

static SvanStep send_port(SvanFn *from, const SvanPkt *pkt)
{
    SvanCore *core = from->core;
    SvanFrame *frame;
    uint32_t len;

    if (!core->link_up) {
        return SVAN_STEP_DONE;
    }
    frame = core->config.no_icrc ? svan_pkt_encode_no_icrc(pkt) :
                                   svan_pkt_encode(pkt);
    if (!frame) {
        return SVAN_STEP_DONE;          /* lost, as on a wire */
    }
    len = frame->len;
    if (!core->ops.frame_out(core->opaque, frame)) {
        svan_frame_free(frame);
        return SVAN_STEP_BLOCKED;
    }
    core->fns[0]->stats.port_tx_frames++;
    core->fns[0]->stats.port_tx_bytes += len;
    return SVAN_STEP_DONE;
}

SvanStep svan_pkt_send(SvanQp *qp, const SvanPkt *pkt)
{
    SvanFn *to = svan_gid_owner(qp->fn->core, &pkt->addr);
    SvanStep step;

    if (!qp->fn->port_enabled) {
        return drop(qp->fn, pkt, &qp->fn->stats.port_disabled_drops,
                    SVAN_DROP_PORT_DISABLED);
    }
    step = to ? send_local(qp->fn, to, pkt) : send_port(qp->fn, pkt);
    if (step == SVAN_STEP_DONE) {
        qp->fn->stats.roce_tx_packets++;
        qp->fn->stats.roce_tx_bytes += pkt->payload_len;
        svan_trace(qp->fn, SVAN_TRACE_PKT_TX, pkt->dqpn, pkt->opcode, pkt->psn,
                   pkt->payload_len);
    }
    return step;
}
