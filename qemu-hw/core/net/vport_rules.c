/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a function may send and receive under its settings (PRM "Virtual functions").
 */
#include <string.h>

#include "net/stations.h"
#include "net/wire_ip.h"

#define TAG_OFFSET      12u             /* of a tag in a frame */

/* ---- whose name a function may use ---- */

bool svan_vport_owns_mac(const SvanFn *fn, const uint8_t *mac)
{
    return (fn->net->vport.flags & SVAN_FUNCTION_TRUSTED) ||
           !memcmp(mac, fn->net->vport.mac, 6);
}

/* May the function send from this address? A trusted one may from its filter's. */
static bool is_own_source(const SvanFn *fn, const uint8_t *mac)
{
    const SvanNet *net = fn->net;

    return !memcmp(mac, net->vport.mac, 6) ||
           ((net->vport.flags & SVAN_FUNCTION_TRUSTED) && net->eth.qpn &&
            !memcmp(mac, net->eth.mac, 6));
}

bool svan_vport_allows_gid(const SvanFn *fn, const struct svan_cmd_set_gid *cmd)
{
    const SvanVport *vport = &fn->net->vport;

    if (vport->vlan && (cmd->flags & SVAN_CMD_GID_VLAN)) {
        return false;
    }
    return !(vport->flags & SVAN_FUNCTION_SPOOF_CHECK) || is_own_source(fn, cmd->smac);
}

/* ---- frames that leave ---- */

/* The counter of the rule that the frame breaks; NULL: it may leave. */
static uint64_t *broken_rule(const SvanFn *fn, const SvanFrame *frame)
{
    const SvanVport *vport = &fn->net->vport;

    if (vport->vlan && svan_frame_is_tagged(frame)) {
        return &fn->stats->spoof_vlan_drops;
    }
    if (!(vport->flags & SVAN_FUNCTION_SPOOF_CHECK)) {
        return NULL;
    }
    if (!is_own_source(fn, frame->data + 6)) {
        return &fn->stats->spoof_mac_drops;
    }
    return svan_frame_may_be_roce(frame) ? &fn->stats->spoof_roce_drops : NULL;
}

/* Whoever has built the frame has left room for a tag. */
static void tag(SvanFrame *frame, uint16_t tci)
{
    uint8_t *at = frame->data + TAG_OFFSET;

    memmove(at + VLAN_HLEN, at, frame->len - TAG_OFFSET);
    at[0] = ETHERTYPE_VLAN >> 8;
    at[1] = ETHERTYPE_VLAN & 0xff;
    at[2] = tci >> 8;
    at[3] = tci;
    frame->len += VLAN_HLEN;
}

bool svan_vport_admits(SvanFn *fn, SvanFrame *frame)
{
    const SvanVport *vport = &fn->net->vport;
    uint64_t *counter = broken_rule(fn, frame);

    if (counter) {
        svan_frame_drop(fn, frame, counter, SVAN_DROP_SOURCE);
        return false;
    }
    if (vport->vlan) {
        tag(frame, svan_vport_tci(vport));
    }
    return true;
}

/* ---- frames that arrive ---- */

SvanFrame *svan_frame_untag(const SvanFrame *frame)
{
    SvanFrame *copy = svan_frame_copy(frame);

    if (copy) {
        copy->from = frame->from;
        copy->len -= VLAN_HLEN;
        memmove(copy->data + TAG_OFFSET, copy->data + TAG_OFFSET + VLAN_HLEN,
                copy->len - TAG_OFFSET);
    }
    return copy;
}
