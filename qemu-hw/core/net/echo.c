/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TCP sender whose path has a rate is not told of marks by its peer: the NIC has slowed it
 * down for them already, and a sender that did so again would have less than its share (PRM
 * "Enforcement", "TCP that is paced").
 */
#include "net/enforcement.h"
#include "net/wire_ip.h"

#define FLAGS           12u             /* in the TCP header, with the length of it */
#define SYN             0x002u
#define ECE             0x040u
#define CWR             0x080u
#define AE              0x100u          /* RFC 9768: with CWR and ECE it is a counter */
#define TOLD_LATELY     1000000000ull   /* ns after a notification, in which others may follow */

static uint32_t flags_of(const uint8_t *tcp)
{
    return tcp[FLAGS] << 8 | tcp[FLAGS + 1];
}

static void set_flags(uint8_t *tcp, uint32_t flags)
{
    svan_csum_update(tcp + 16, flags_of(tcp), flags);
    tcp[FLAGS] = flags >> 8;
    tcp[FLAGS + 1] = flags;
}

/* ---- what arrives ---- */

/* Most frames are told apart here, before anything is looked up. */
static bool may_echo(const SvanFrame *frame)
{
    uint32_t type, l3 = svan_frame_l3(frame, &type), l4;
    const uint8_t *ip = frame->data + l3;

    if (!l3 || frame->len < l3 + IPV4_HLEN + TCP_HLEN) {
        return false;
    }
    if (type == ETHERTYPE_IPV4 && ip[9] == IPPROTO_TCP) {
        l4 = l3 + (ip[0] & 15) * 4;
    } else if (type == ETHERTYPE_IPV6 && ip[6] == IPPROTO_TCP) {
        l4 = l3 + IPV6_HLEN;
    } else {
        return false;
    }
    return frame->len >= l4 + TCP_HLEN &&
           (flags_of(frame->data + l4) & (ECE | AE)) &&
           !(flags_of(frame->data + l4) & SYN);
}

/* Has the NIC slowed the flow down for the marks that its own guest would be told of? */
static bool is_reacted_to(const SvanEnforcement *enforcement, const SvanPath *path,
                          uint64_t now)
{
    return enforcement->attr.action == SVAN_ENFORCE_PACE && path->told_at &&
           now - path->told_at < TOLD_LATELY && svan_rp_is_limited(&path->rp);
}

static void hide(SvanFn *fn, SvanFrame *frame, const SvanFlowInfo *info)
{
    SvanEnforcement *enforcement = fn->net->enforcement;
    SvanFlow *flow = svan_flows_find(&enforcement->flows, &info->key);
    uint8_t *tcp = frame->data + info->l4;
    uint64_t now = svan_now(fn->core);
    uint32_t flags = flags_of(tcp);

    /* Who is not on the path would have to guess what has been sent. */
    if (!flow || !svan_series_is_plausible(&flow->series[0], info->ack - 1, SVAN_TCP_WINDOW,
                                           now)) {
        return;
    }
    flow->counts_marks |= !!(flags & AE);
    if ((flags & ECE) && !flow->counts_marks &&
        is_reacted_to(enforcement, flow->path, now)) {
        set_flags(tcp, flags & ~ECE);
        flow->echo_hidden = true;
        svan_fn_stats(fn)->enforce_echoes_hidden++;
    }
}

/* One that is for several functions is let alone: not all of them may be policed. */
void svan_echo_hide(SvanCore *core, SvanFrame *frame)
{
    SvanStationKey key;
    const SvanFnSet *fns;
    SvanFlowInfo info;
    uint32_t id;

    if (!may_echo(frame)) {
        return;
    }
    key = svan_station_mac(frame->data);
    fns = svan_stations_find(core->sw, &key);
    id = fns ? svan_fn_set_next(fns, 0) : SVAN_NONE;
    if (id == SVAN_NONE || svan_fn_set_next(fns, id + 1) != SVAN_NONE ||
        !svan_enforces_egress(core->fns[id])) {
        return;
    }
    svan_flow_of_frame(frame, SVAN_INCOMING, &info);
    if (info.is_tcp_ack) {
        hide(core->fns[id], frame, &info);
    }
}

/* ---- what leaves ---- */

/* RFC 3168, 6.1.2: the first new data after the reduction, which was the NIC's. */
static bool has_new_payload(const SvanFlow *flow, const SvanFlowInfo *info)
{
    return info->payload &&
           (int32_t)(info->witness + info->payload - flow->series[0].high) > 0;
}

void svan_echo_answer(SvanEnforcement *enforcement, SvanFrame *frame)
{
    const SvanFlowInfo *info = &enforcement->info;
    SvanFlow *flow = enforcement->flow;
    uint8_t *tcp = frame->data + info->l4;
    uint32_t flags = flags_of(tcp);

    if (flags & SYN) {
        flow->echo_hidden = flow->counts_marks = false;
        return;
    }
    flow->counts_marks |= !!(flags & AE);
    if (flow->echo_hidden && !flow->counts_marks && has_new_payload(flow, info) &&
        enforcement->attr.action == SVAN_ENFORCE_PACE) {
        set_flags(tcp, flags | CWR);
        flow->echo_hidden = false;
    }
}
