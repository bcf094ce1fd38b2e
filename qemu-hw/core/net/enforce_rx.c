/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What arrives for a function whose flows are watched: answers, CNPs, notifications from
 * other NICs, and marks of which others are to be notified (PRM "Enforcement").
 */
#include "net/enforcement.h"
#include "net/wire_ip.h"

#define CLEAR_NS        200000ull       /* between looks at a path that answers, and is clear */
#define PACKETS_OF_CNP  64              /* that one of them stands for */
#define TOLD_CNPS       64              /* that may be expected, at most */
#define MCAST_OCTET     1               /* group bit of an address's first octet */
#define NOTICE_MAX      128             /* octets of a frame with a notification */

/* ---- answers ---- */

void svan_enforce_watch(SvanTimer *timer)
{
    SvanEnforcement *enforcement = svan_container(timer, SvanEnforcement, watch);
    SvanCore *core = enforcement->fn->core;
    uint64_t now = svan_now(core);

    if (!core->busy && now - timer->deadline > SVAN_STALL_NS) {
        core->stalled = now;
    }
    if (enforcement->awaits) {
        enforcement->awaits = false;
        svan_timer_set(core, timer, now + SVAN_WATCH_NS);
    }
}

/* The path has the round trips of its flows. */
static void answered(SvanEnforcement *enforcement, SvanFlow *flow, uint64_t now)
{
    SvanFlowEstimate *of_flow = &flow->estimate, *of_path = &flow->path->estimate;

    svan_estimate_answer(of_flow, now, enforcement->fn->core->stalled);
    if (of_flow->rtt_at != now) {
        return;
    }
    of_path->rtt = of_flow->rtt;
    of_path->rtt_gradient = of_flow->rtt_gradient;
    of_path->rtt_at = now;
    flow->path->last_rtt = of_flow->rtt;
    if (!of_path->rtt_min || of_flow->rtt_min < of_path->rtt_min) {
        of_path->rtt_min = of_flow->rtt_min;
        of_path->rtt_min_at = now;
    }
    if (flow->path->recognition.state != SVAN_CONGESTION_CLEAR ||
        svan_symptom(of_flow) != SVAN_SYMPTOM_NONE || svan_symptom(of_path) != SVAN_SYMPTOM_NONE ||
        now - flow->path->recognized_at >= CLEAR_NS) {
        svan_enforce_recognize(enforcement, flow, flow->path, now);
    }
}

static void lost(SvanEnforcement *enforcement, SvanFlow *flow, uint64_t now)
{
    svan_estimate_lost(&flow->estimate, now);
    svan_estimate_lost(&flow->path->estimate, now);
    svan_enforce_recognize(enforcement, flow, flow->path, now);
}

static void acknowledged(SvanEnforcement *enforcement, SvanFlow *flow, const SvanPkt *pkt)
{
    SvanCore *core = enforcement->fn->core;
    uint64_t now;

    switch (pkt->syndrome & SVAN_AETH_KIND_MASK) {
    case SVAN_AETH_ACK:
        if (flow->estimate.probing && !((pkt->psn - flow->estimate.probe) & 0x800000)) {
            answered(enforcement, flow, svan_now(core));
        }
        break;
    case SVAN_AETH_NAK:
        now = svan_now(core);
        if ((pkt->syndrome & SVAN_AETH_VALUE_MASK) == SVAN_NAK_PSN_SEQ &&
            svan_series_is_plausible(&flow->series[0], pkt->psn << 8, SVAN_PSN_WINDOW << 8,
                                     now)) {
            lost(enforcement, flow, now);
        }
        break;
    default:
        svan_estimate_probe_lost(&flow->estimate);
        break;
    }
}

/* The flow by which the queue pair sends to its peer; NULL: none is known. */
static SvanFlow *flow_of_qp(SvanEnforcement *enforcement, const SvanPkt *pkt)
{
    const SvanAddr *addr = &pkt->addr;
    SvanFn *fn = enforcement->fn;
    SvanAgedKey key = svan_flow_key(addr->sgid, addr->dgid,
                                    svan_vlan_id(addr->has_vlan, addr->vlan), SVAN_FLOW_RDMA,
                                    fn->net->receiver->peer_qpn(fn, pkt->dqpn));
    SvanFlow *last = enforcement->heard_of;

    if (last && last->aged.age.next && svan_aged_is(&last->aged.key, &key)) {
        return last;
    }
    return enforcement->heard_of = svan_flows_find(&enforcement->flows, &key);
}

/*
 * The peer's NIC has seen a mark. If it notifies, that says more, and has a witness; else a
 * CNP counts as one mark among a few packets, whether or not the queue pair listens to it. For
 * each mark there is one CNP at most, so what notifications tell stands for so many of them:
 * somebody who has notified once cannot speak for the peer's NIC for ever.
 */
static void hear_cnp(SvanEnforcement *enforcement, SvanFlow *flow)
{
    uint64_t now = svan_now(enforcement->fn->core);
    SvanPath *path = flow->path;

    svan_estimate_cnp(&flow->estimate, now);
    svan_estimate_cnp(&path->estimate, now);
    if (path->told_cnps) {
        path->told_cnps--;
        svan_enforce_recognize(enforcement, flow, path, now);
        return;
    }
    svan_estimate_marks(&flow->estimate, PACKETS_OF_CNP, 1, now);
    svan_estimate_marks(&path->estimate, PACKETS_OF_CNP, 1, now);
    svan_enforce_recognize(enforcement, flow, path, now);
    svan_enforce_react(enforcement, path, svan_path_size(path), now);
}

static void hear_packet(SvanEnforcement *enforcement, const SvanPkt *pkt)
{
    SvanFlow *flow;

    if ((pkt->opcode != SVAN_OP_ACK && pkt->opcode != SVAN_OP_CNP) ||
        (pkt->pkey | 0x8000) != SVAN_PKEY_DEFAULT) {
        return;
    }
    flow = flow_of_qp(enforcement, pkt);
    if (!flow) {
        return;
    }
    if (pkt->opcode == SVAN_OP_ACK) {
        acknowledged(enforcement, flow, pkt);
    } else if (pkt->becn && pkt->payload_len == SVAN_CNP_PAYLOAD) {
        hear_cnp(enforcement, flow);
    }
}

static void hear_tcp(SvanEnforcement *enforcement, const SvanFlowInfo *info)
{
    SvanFlow *flow = svan_flows_find(&enforcement->flows, &info->key);

    if (flow && flow->estimate.probing && (int32_t)(info->ack - flow->estimate.probe) >= 0) {
        answered(enforcement, flow, svan_now(enforcement->fn->core));
    }
}

void svan_enforce_packet_in(SvanFn *fn, const SvanPkt *pkt)
{
    SvanEnforcement *enforcement = fn->net->enforcement;
    bool marked = (pkt->addr.traffic_class & ECN_MASK) == ECN_CE;
    SvanFlowInfo info;

    if (svan_enforces_egress(fn) && !fn->core->config.frozen_estimates) {
        hear_packet(enforcement, pkt);
    }
    if ((enforcement->attr.flags & SVAN_ENFORCE_NOTIFY) &&
        (marked || !svan_arrivals_unmarked(&enforcement->arrivals, &pkt->addr))) {
        svan_flow_of_packet(pkt, SVAN_INCOMING, &info);
        svan_arrivals_count(&enforcement->arrivals, &info, marked ? svan_pkt_len(pkt) : 0,
                            (SvanMacs) { pkt->addr.smac, pkt->addr.dmac });
    }
}

/* Who hears what is for others, or for all, does not answer for them. */
static bool is_for(const SvanFn *fn, const SvanFrame *frame)
{
    SvanStationKey key = svan_station_mac(frame->data);
    const SvanFnSet *owners = svan_stations_find(fn->core->sw, &key);

    return !(frame->data[0] & MCAST_OCTET) && owners && svan_fn_set_has(owners, fn->id);
}

void svan_enforce_frame_in(SvanFn *fn, const SvanFrame *frame)
{
    SvanEnforcement *enforcement = fn->net->enforcement;
    SvanFlowInfo info;

    svan_flow_of_frame(frame, SVAN_INCOMING, &info);
    if (svan_enforces_egress(fn) && !fn->core->config.frozen_estimates && info.is_tcp_ack) {
        hear_tcp(enforcement, &info);
    }
    if ((enforcement->attr.flags & SVAN_ENFORCE_NOTIFY) && is_for(fn, frame)) {
        svan_arrivals_count(&enforcement->arrivals, &info, frame->len,
                            (SvanMacs) { frame->data + 6, frame->data });
    }
}

/* ---- notifications ---- */

/* Has a packet with this witness left lately, by this flow? */
static bool is_true(SvanEnforcement *enforcement, const SvanFlow *flow,
                    const SvanAgedKey *key, const SvanNotice *notice, uint64_t now)
{
    const SvanPath *path = flow ? flow->path : svan_flows_path(&enforcement->flows, key);

    if (!flow) {
        return enforcement->flows.overflow.packets &&
               svan_witness_is_plausible(&path->witnesses, key, notice->witness, now);
    }
    switch (notice->kind) {
    case SVAN_FLOW_RDMA:
        return notice->witness <= SVAN_PSN_MASK &&
               (svan_series_is_plausible(&flow->series[0], notice->witness << 8,
                                         SVAN_PSN_WINDOW << 8, now) ||
                svan_series_is_plausible(&flow->series[1], notice->witness << 8,
                                         SVAN_PSN_WINDOW << 8, now));
    case SVAN_FLOW_TCP:
        /* One without payload has the number of the next octet. */
        return svan_series_is_plausible(&flow->series[0], notice->witness - 1,
                                        SVAN_TCP_WINDOW, now);
    default:
        return svan_witness_is_plausible(&path->witnesses, key, notice->witness, now);
    }
}

/*
 * Is it the last notification once more? The peer counts for each address that it notifies, and
 * several peers may share a path.
 */
static bool is_repeated(const SvanPath *path, const SvanNotice *notice, const SvanAgedKey *key)
{
    return path->peer_notifies && path->sequence == notice->sequence &&
           !memcmp(path->notified, svan_flow_own(key), sizeof(path->notified)) &&
           !memcmp(path->notifier, svan_flow_peer(key), sizeof(path->notifier));
}

static void believe(SvanEnforcement *enforcement, SvanFlow *flow, SvanPath *path,
                    const SvanNotice *notice, uint64_t now)
{
    path->peer_notifies = true;
    path->notifications++;
    svan_fn_stats(enforcement->fn)->notifications_received++;
    if (enforcement->fn->core->config.frozen_estimates) {
        return;
    }
    if (flow) {
        svan_estimate_marks(&flow->estimate, notice->packets, notice->marks, now);
    }
    svan_estimate_marks(&path->estimate, notice->packets, notice->marks, now);
    svan_path_told(path, notice->marks, notice->octets);
    svan_enforce_recognize(enforcement, flow, path, now);
    if (svan_enforce_react(enforcement, path, notice->octets, now)) {
        path->told_at = now;
        path->told_cnps = notice->marks < TOLD_CNPS - path->told_cnps ?
                          path->told_cnps + notice->marks : TOLD_CNPS;
    }
}

static bool take_notice(SvanFn *fn, const SvanNotice *notice, const SvanFlowInfo *info)
{
    SvanEnforcement *enforcement = fn->net->enforcement;
    uint64_t now = svan_now(fn->core);
    SvanAgedKey key = svan_flow_key(svan_flow_peer(&info->key), svan_flow_own(&info->key),
                                    svan_flow_vlan(&info->key), notice->kind, notice->flow);
    SvanFlow *flow = svan_flows_find(&enforcement->flows, &key);
    SvanPath *path = flow ? flow->path : svan_flows_path(&enforcement->flows, &key);

    if (!is_true(enforcement, flow, &key, notice, now) ||
        is_repeated(path, notice, &key)) {
        return false;
    }
    path->sequence = notice->sequence;
    memcpy(path->notified, svan_flow_own(&key), sizeof(path->notified));
    memcpy(path->notifier, svan_flow_peer(&key), sizeof(path->notifier));
    believe(enforcement, flow, path, notice, now);
    return true;
}

/* The functions whose address it is, by GID or by MAC. */
static SvanFnSet receivers(SvanCore *core, const SvanFrame *frame, const SvanFlowInfo *info)
{
    uint16_t vlan = svan_flow_vlan(&info->key);
    SvanStationKey by_gid = svan_station_gid(svan_flow_own(&info->key), vlan, frame->data);
    SvanStationKey by_mac = svan_station_mac(frame->data);
    const SvanFnSet *found[2] = {
        svan_stations_find(core->sw, &by_gid), svan_stations_find(core->sw, &by_mac),
    };
    SvanFnSet fns = { { 0 } };

    for (uint32_t i = 0; i < 2; i++) {
        if (found[i]) {
            svan_fn_set_unite(&fns, found[i]);
        }
    }
    return fns;
}

static void drop(SvanFn *fn, const SvanFrame *frame)
{
    svan_frame_drop(fn, frame, &svan_fn_stats(fn)->notifications_ignored,
                    SVAN_DROP_NOTIFICATION);
}

/* Most small frames are acknowledgements: IPv4 without tag or options, for another port. */
static bool is_plainly_none(const SvanFrame *frame)
{
    const uint8_t *p = frame->data, *port = p + ETH_HLEN + IPV4_HLEN + 2;

    return frame->len > NOTICE_MAX ||
           (frame->len >= ETH_HLEN + IPV4_HLEN + UDP_HLEN &&
            (p[12] << 8 | p[13]) == ETHERTYPE_IPV4 && p[ETH_HLEN] == 0x45 &&
            (port[0] << 8 | port[1]) != SVAN_NOTIFICATION_PORT);
}

/* Counted by the first function that it is for, or by the physical one. */
bool svan_enforce_notified(SvanCore *core, const SvanFrame *frame)
{
    SvanFn *blamed = core->fns[0];
    SvanNoticeDecode decoded;
    SvanFlowInfo info;
    SvanNotice notice;
    SvanFnSet fns;

    if (is_plainly_none(frame)) {
        return false;
    }
    decoded = svan_notice_decode(frame, &notice, &info);
    if (decoded == SVAN_NOTICE_NONE) {
        return false;
    }
    fns = receivers(core, frame, &info);
    for (uint32_t id = svan_fn_set_next(&fns, 0); id != SVAN_NONE;
         id = svan_fn_set_next(&fns, id + 1)) {
        blamed = blamed->id ? blamed : core->fns[id];
        if (decoded == SVAN_NOTICE_OK && svan_enforces_egress(core->fns[id]) &&
            take_notice(core->fns[id], &notice, &info)) {
            return true;
        }
    }
    drop(blamed, frame);
    return true;
}
