/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where packets go: out of the port, to a function of this device, to the RoCE
 * engine or to the Ethernet function (PRM "Steering").
 */
#include <stdlib.h>
#include <string.h>

#include "net/switch.h"
#include "net/wire_ip.h"

#define DEFAULT_RX_FRAMES       1024u

/* ---- the receive queue ---- */

bool svan_rx_room(const SvanCore *core)
{
    uint32_t max = core->config.max_rx_frames ? core->config.max_rx_frames :
                                                DEFAULT_RX_FRAMES;

    return core->ingress->frames < max;
}

bool svan_frame_in(SvanCore *core, SvanFrame *frame)
{
    if (!svan_rx_room(core)) {
        return false;
    }
    core->fns[0]->stats.port_rx_frames++;
    core->fns[0]->stats.port_rx_bytes += frame->len;
    frame->next = NULL;
    *core->ingress->tail = frame;
    core->ingress->tail = &frame->next;
    svan_source_ready(core, SVAN_TURN_RX);
    if (core->ingress->frames++ == 0) {
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
    SvanFrame *frame = core->ingress->head;

    core->ingress->head = frame->next;
    if (!core->ingress->head) {
        core->ingress->tail = &core->ingress->head;
        svan_source_idle(core, SVAN_TURN_RX);
    }
    core->ingress->frames--;
    core->ingress->offset = 0;
    core->ingress->fn = 0;
    core->ingress->qpn = 0;
    svan_frame_free(frame);
}

/* ---- receivers ---- */

SvanStep svan_pkt_drop(SvanFn *fn, const SvanPkt *pkt, uint64_t *counter,
                       uint32_t reason)
{
    ++*counter;
    svan_trace(fn, SVAN_TRACE_PKT_DROP, pkt->dqpn, pkt->opcode, pkt->psn,
               reason);
    return SVAN_STEP_DONE;
}

static SvanStep deliver(SvanFn *fn, const SvanPkt *pkt)
{
    if (!fn->net->port_enabled) {
        return svan_pkt_drop(fn, pkt, &fn->stats.port_disabled_drops,
                             SVAN_DROP_PORT_DISABLED);
    }
    if (pkt->opcode == SVAN_OP_CNP) {
        svan_trace(fn, SVAN_TRACE_PKT_DROP, pkt->dqpn, pkt->opcode, pkt->psn,
                   SVAN_DROP_FILTERED);
        return SVAN_STEP_DONE;          /* nobody slows down for it yet */
    }
    return fn->net->receiver->packet(fn, pkt);
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
    while (core->ingress->fn < core->num_fns) {
        SvanFn *fn = core->fns[core->ingress->fn];
        SvanStep step;

        if (svan_eth_wants(fn, frame->data)) {
            step = fn->net->receiver->frame(fn, frame, &core->ingress->offset);
            if (step != SVAN_STEP_DONE) {
                return step;
            }
        }
        core->ingress->offset = 0;
        core->ingress->fn++;
        core->ingress->qpn = 0;
    }
    return SVAN_STEP_DONE;
}

SvanStep svan_rx_step(SvanCore *core)
{
    SvanFrame *frame = core->ingress->head;
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
    step = core->ingress->fn || core->ingress->offset ? SVAN_STEP_DONE :
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

static SvanStep send_local(SvanFn *from, SvanFn *to, const SvanPkt *pkt)
{
    SvanStep step = deliver(to, pkt);

    if (step == SVAN_STEP_DONE) {
        from->stats.roce_local_packets++;
        from->stats.roce_local_bytes += pkt->payload_len;
    }
    return step;
}

/* The frame is the caller's still, if it is BLOCKED. */
static SvanStep port_out(SvanCore *core, SvanFrame *frame)
{
    uint32_t len = frame->len;

    if (!core->ops.frame_out(core->opaque, frame)) {
        return SVAN_STEP_BLOCKED;
    }
    core->fns[0]->stats.port_tx_frames++;
    core->fns[0]->stats.port_tx_bytes += len;
    return SVAN_STEP_DONE;
}

static SvanStep send_port(SvanFn *from, const SvanPkt *pkt)
{
    SvanFrame *frame;
    SvanStep step;

    if (!from->core->link_up) {
        return SVAN_STEP_DONE;
    }
    frame = from->core->config.no_icrc ? svan_pkt_encode_no_icrc(pkt) :
                                         svan_pkt_encode(pkt);
    if (!frame) {
        return SVAN_STEP_DONE;          /* lost, as on a wire */
    }
    step = port_out(from->core, frame);
    if (step == SVAN_STEP_BLOCKED) {
        svan_frame_free(frame);
    }
    return step;
}

SvanStep svan_pkt_send(SvanFn *fn, const SvanPkt *pkt)
{
    SvanFn *to = svan_gid_owner(fn->core, &pkt->addr);
    SvanStep step;

    if (!fn->net->port_enabled) {
        return svan_pkt_drop(fn, pkt, &fn->stats.port_disabled_drops,
                             SVAN_DROP_PORT_DISABLED);
    }
    step = to ? send_local(fn, to, pkt) : send_port(fn, pkt);
    if (step == SVAN_STEP_DONE) {
        fn->stats.roce_tx_packets++;
        fn->stats.roce_tx_bytes += pkt->payload_len;
        svan_trace(fn, SVAN_TRACE_PKT_TX, pkt->dqpn, pkt->opcode, pkt->psn,
                   pkt->payload_len);
    }
    return step;
}

SvanStep svan_frame_drop(SvanFn *fn, const SvanFrame *frame, uint64_t *counter,
                         uint32_t reason)
{
    ++*counter;
    svan_trace(fn, SVAN_TRACE_FRAME_DROP, fn->id, frame->len, reason, 0);
    return SVAN_STEP_DONE;
}

SvanStep svan_frame_send(SvanFn *fn, SvanFrame *frame, bool *sent)
{
    uint32_t len = frame->len;
    SvanStep step = SVAN_STEP_DONE;

    *sent = false;
    if (!fn->net->port_enabled) {
        svan_frame_drop(fn, frame, &fn->stats.port_disabled_drops,
                        SVAN_DROP_PORT_DISABLED);
        svan_frame_free(frame);
    } else if (!fn->core->link_up) {
        svan_frame_free(frame);         /* lost, as on a wire */
    } else {
        step = port_out(fn->core, frame);
        *sent = step == SVAN_STEP_DONE;
    }
    if (*sent) {
        fn->stats.eth_tx_frames++;
        fn->stats.eth_tx_bytes += len;
    }
    return step;
}
