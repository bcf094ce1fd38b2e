/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The format of notifications, and the half of the receiving NIC: it counts, and tells.
 */
#include <stdlib.h>

#include "net/enforcement.h"
#include "net/wire_ip.h"

#define DSCP_CONTROL    0xc0    /* CS6: it is not to wait in the queue it tells of */
#define HOPS            64
#define CLOCK_EVERY     64      /* packets without a mark between looks at the clock */

/* ---- the format ---- */

static void encode_ip(uint8_t *ip, const SvanAddr *addr, uint32_t len)
{
    uint16_t total = htobe16(len + (addr->ipv4 ? IPV4_HLEN : 0)), sum;

    if (addr->ipv4) {
        memcpy(ip, (uint8_t[]) { 0x45, DSCP_CONTROL }, 2);
        memcpy(ip + 2, &total, 2);
        memcpy(ip + 4, (uint8_t[]) { 0, 0, IPV4_DF >> 8, 0, HOPS, IPPROTO_UDP, 0, 0 }, 8);
        memcpy(ip + 12, addr->sgid + 12, 4);
        memcpy(ip + 16, addr->dgid + 12, 4);
        sum = htobe16(svan_csum_fold(svan_csum_add(0, ip, IPV4_HLEN)));
        memcpy(ip + 10, &sum, 2);
    } else {
        memcpy(ip, (uint8_t[]) { 0x60 | DSCP_CONTROL >> 4, (uint8_t)(DSCP_CONTROL << 4),
                                 0, 0 }, 4);
        memcpy(ip + 4, &total, 2);
        memcpy(ip + 6, (uint8_t[]) { IPPROTO_UDP, HOPS }, 2);
        memcpy(ip + 8, addr->sgid, 16);
        memcpy(ip + 24, addr->dgid, 16);
    }
}

/* Of UDP over the pseudo header, whose addresses are those of either version of IP. */
static uint16_t udp_checksum(const SvanAddr *addr, const uint8_t *udp, uint32_t len)
{
    uint32_t from = addr->ipv4 ? 12 : 0;
    uint64_t sum = IPPROTO_UDP + len;

    sum = svan_csum_add(sum, addr->sgid + from, 16 - from);
    sum = svan_csum_add(sum, addr->dgid + from, 16 - from);
    return svan_csum_fold(svan_csum_add(sum, udp, len));
}

SvanFrame *svan_notice_encode(const SvanNotice *notice, const SvanAddr *addr)
{
    const struct svan_notification body = {
        .magic = htobe32(SVAN_NOTIFICATION_MAGIC), .version = SVAN_NOTIFICATION_VERSION,
        .kind = notice->kind, .traffic_class = notice->traffic_class,
        .sequence = htobe32(notice->sequence), .flow = htobe32(notice->flow),
        .witness = htobe32(notice->witness), .packets = htobe32(notice->packets),
        .marks = htobe32(notice->marks), .interval = htobe32(notice->interval),
        .delay = htobe32(notice->delay), .octets = htobe32(notice->octets),
    };
    uint32_t l3 = ETH_HLEN + (addr->has_vlan ? VLAN_HLEN : 0);
    uint32_t udp_len = UDP_HLEN + sizeof(body);
    uint32_t udp = l3 + (addr->ipv4 ? IPV4_HLEN : IPV6_HLEN);
    uint16_t type = htobe16(addr->ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6), sum;
    SvanFrame *frame = svan_frame_alloc(udp + udp_len);
    uint8_t *data;

    if (!frame) {
        return NULL;
    }
    frame->len = udp + udp_len;
    data = frame->data;
    memcpy(data, addr->dmac, 6);
    memcpy(data + 6, addr->smac, 6);
    if (addr->has_vlan) {
        memcpy(data + 12, (uint8_t[]) { ETHERTYPE_VLAN >> 8, 0, addr->vlan >> 8,
                                        (uint8_t)addr->vlan }, 4);
    }
    memcpy(data + l3 - 2, &type, 2);
    encode_ip(data + l3, addr, udp_len);
    memcpy(data + udp, (uint8_t[]) {
        SVAN_NOTIFICATION_PORT >> 8, SVAN_NOTIFICATION_PORT & 0xff,
        SVAN_NOTIFICATION_PORT >> 8, SVAN_NOTIFICATION_PORT & 0xff,
        0, (uint8_t)udp_len, 0, 0,
    }, UDP_HLEN);
    memcpy(data + udp + UDP_HLEN, &body, sizeof(body));
    sum = udp_checksum(addr, data + udp, udp_len);
    sum = htobe16(sum ? sum : 0xffff);
    memcpy(data + udp + 6, &sum, 2);
    return frame;
}

static bool checksums_are_right(const SvanFrame *frame, const SvanFlowInfo *info)
{
    SvanAddr addr = { .ipv4 = info->ipv4 };
    const uint8_t *udp = frame->data + info->l4;

    memcpy(addr.sgid, svan_flow_peer(&info->key), 16);
    memcpy(addr.dgid, svan_flow_own(&info->key), 16);
    return (!info->ipv4 ||
            !svan_csum_fold(svan_csum_add(0, frame->data + info->l3, IPV4_HLEN))) &&
           !udp_checksum(&addr, udp, info->end - info->l4);
}

SvanNoticeDecode svan_notice_decode(const SvanFrame *frame, SvanNotice *notice,
                                    SvanFlowInfo *info)
{
    struct svan_notification body;

    svan_flow_of_frame(frame, SVAN_INCOMING, info);
    if (info->kind != SVAN_FLOW_UDP ||
        svan_flow_number(&info->key) >> 16 != SVAN_NOTIFICATION_PORT) {
        return SVAN_NOTICE_NONE;
    }
    if ((uint32_t)(info->l4 - info->l3) != (info->ipv4 ? IPV4_HLEN : IPV6_HLEN) ||
        (uint32_t)(info->end - info->l4) != UDP_HLEN + sizeof(body) ||
        (info->witness & 0xffff) != UDP_HLEN + sizeof(body) ||
        !checksums_are_right(frame, info)) {
        return SVAN_NOTICE_MALFORMED;
    }
    memcpy(&body, frame->data + info->l4 + UDP_HLEN, sizeof(body));
    *notice = (SvanNotice) {
        .kind = body.kind, .traffic_class = body.traffic_class,
        .sequence = be32toh(body.sequence), .flow = be32toh(body.flow),
        .witness = be32toh(body.witness), .packets = be32toh(body.packets),
        .marks = be32toh(body.marks), .interval = be32toh(body.interval),
        .delay = be32toh(body.delay), .octets = be32toh(body.octets),
    };
    return be32toh(body.magic) == SVAN_NOTIFICATION_MAGIC &&
           body.version == SVAN_NOTIFICATION_VERSION && !body.reserved &&
           body.traffic_class < SVAN_NOTIFICATION_CLASSES &&
           body.kind >= SVAN_FLOW_RDMA && body.kind <= SVAN_FLOW_IP && notice->marks &&
           notice->marks <= notice->packets && notice->marks <= notice->octets &&
           notice->octets / notice->marks <= UINT16_MAX ? SVAN_NOTICE_OK :
                                                          SVAN_NOTICE_MALFORMED;
}

/* ---- counting ---- */

static void is_due(SvanTimer *timer)
{
    SvanArrival *arrival = svan_container(timer, SvanArrival, timer);
    SvanCore *core = arrival->fn->core;

    svan_list_append(&core->sw->notices, &arrival->due);
    svan_port_ready(core, SVAN_TURN_NOTIFY);
}

bool svan_arrivals_init(SvanArrivals *arrivals, SvanFn *fn, uint64_t seed)
{
    arrivals->fn = fn;
    if (!svan_timer_reserve(fn->core, SVAN_MAX_ARRIVALS)) {
        return false;
    }
    if (!svan_aged_init(&arrivals->table, SVAN_MAX_ARRIVALS, sizeof(SvanArrival), seed)) {
        svan_timer_unreserve(fn->core, SVAN_MAX_ARRIVALS);
        return false;
    }
    return true;
}

static void stop(SvanArrival *arrival)
{
    svan_timer_cancel(arrival->fn->core, &arrival->timer);
    svan_list_remove(&arrival->due);
}

void svan_arrivals_fini(SvanArrivals *arrivals)
{
    SvanAged *entry = NULL;

    while ((entry = svan_aged_next(&arrivals->table, entry)) != NULL) {
        stop((SvanArrival *)entry);
    }
    svan_aged_fini(&arrivals->table);
    svan_timer_unreserve(arrivals->fn->core, SVAN_MAX_ARRIVALS);
}

/* The one that was silent for longest of those that there is nothing to tell of; or NULL. */
static SvanAged *untold(const SvanArrivals *arrivals)
{
    SvanAged *entry = NULL;

    while ((entry = svan_aged_next(&arrivals->table, entry)) != NULL &&
           ((SvanArrival *)entry)->notice.marks) {
    }
    return entry;
}

/*
 * The sequence begins by the clock: whoever remembers the last one of an entry that has made
 * room for others takes the next for a new one.
 */
static SvanAged *add(SvanArrivals *arrivals, const SvanAgedKey *key, uint64_t now)
{
    SvanAged *entry = svan_aged_add(&arrivals->table, key, now);
    SvanAged *oldest = entry ? NULL : untold(arrivals);

    if (oldest) {
        svan_aged_remove(&arrivals->table, oldest);
        entry = svan_aged_add(&arrivals->table, key, now);
    }
    if (entry) {
        SvanArrival *arrival = (SvanArrival *)entry;

        arrival->fn = arrivals->fn;
        arrival->since = now;
        arrival->notice.sequence = now;
        svan_timer_init(&arrival->timer, is_due);
    }
    return entry;
}

static SvanArrival *arrival_of(SvanArrivals *arrivals, const SvanAgedKey *flow)
{
    SvanAgedKey key = *flow;
    SvanAged *entry;
    uint64_t now;

    key.words[4] = (uint64_t)svan_flow_vlan(flow) << 32;
    if (arrivals->last && svan_aged_is(&arrivals->last->aged.key, &key)) {
        return arrivals->last;
    }
    now = svan_now(arrivals->fn->core);
    entry = svan_aged_find(&arrivals->table, &key);
    if (!entry) {
        entry = add(arrivals, &key, now);
    }
    if (entry) {
        svan_aged_touch(&arrivals->table, entry, now);
    }
    return arrivals->last = (SvanArrival *)entry;
}

static void start_window(SvanArrival *arrival, uint64_t now)
{
    arrival->notice.packets = arrival->notice.marks = arrival->notice.octets = 0;
    arrival->since = now;
}

/* What the sender calls the flow: TCP and UDP ports are in the order of its packets. */
static uint32_t sender_number(const SvanFlowInfo *info)
{
    uint32_t number = svan_flow_number(&info->key);
    bool ports = info->kind == SVAN_FLOW_TCP || info->kind == SVAN_FLOW_UDP;

    return ports ? number >> 16 | number << 16 : number;
}

static void count_mark(SvanArrivals *arrivals, SvanArrival *arrival,
                       const SvanFlowInfo *info, uint32_t len, SvanMacs macs)
{
    SvanNotice *notice = &arrival->notice;
    uint64_t now = svan_now(arrivals->fn->core), when, earliest;

    notice->kind = info->kind;
    notice->flow = sender_number(info);
    notice->witness = info->witness;
    notice->octets = notice->octets < UINT32_MAX - len ? notice->octets + len : UINT32_MAX;
    memcpy(arrival->peer_mac, macs.source, 6);
    memcpy(arrival->own_mac, macs.destination, 6);
    if (notice->marks++) {
        return;
    }
    notice->traffic_class = info->traffic_class >> 5;
    arrival->marked_at = now;
    when = now + arrivals->delay[notice->traffic_class];
    earliest = arrival->sent_at ? arrival->sent_at + arrivals->interval : 0;
    svan_timer_set(arrivals->fn->core, &arrival->timer, when > earliest ? when : earliest);
}

bool svan_arrivals_unmarked(SvanArrivals *arrivals, const SvanAddr *addr)
{
    SvanArrival *last = arrivals->last;
    SvanAgedKey key = svan_flow_key(addr->sgid, addr->dgid,
                                    svan_vlan_id(addr->has_vlan, addr->vlan), 0, 0);

    if (!last || arrivals->packets >= CLOCK_EVERY || !svan_aged_is(&last->aged.key, &key)) {
        return false;
    }
    arrivals->packets += !last->notice.marks;
    last->notice.packets++;
    return true;
}

void svan_arrivals_count(SvanArrivals *arrivals, const SvanFlowInfo *info, uint32_t len,
                         SvanMacs macs)
{
    SvanArrival *arrival;
    bool marked = (info->traffic_class & ECN_MASK) == ECN_CE;

    if (info->kind == SVAN_FLOW_ETHERNET) {
        return;
    }
    arrival = arrival_of(arrivals, &info->key);
    if (!arrival) {
        svan_fn_stats(arrivals->fn)->notifications_no_room += marked;
        return;
    }
    if (!arrival->notice.marks && (marked || ++arrivals->packets >= CLOCK_EVERY)) {
        uint64_t now = svan_now(arrivals->fn->core);

        arrivals->packets = 0;
        if (now - arrival->since >= SVAN_ARRIVAL_WINDOW) {
            start_window(arrival, now);
        }
    }
    arrival->notice.packets++;
    if (marked) {
        count_mark(arrivals, arrival, info, len, macs);
    }
}

/* ---- telling ---- */

static SvanFrame *frame_of(SvanArrival *arrival, uint64_t now)
{
    const SvanAgedKey *key = &arrival->aged.key;
    SvanNotice *notice = &arrival->notice;
    SvanAddr addr = { .vlan = svan_flow_vlan(key) };

    addr.has_vlan = addr.vlan;
    memcpy(addr.smac, arrival->own_mac, 6);
    memcpy(addr.dmac, arrival->peer_mac, 6);
    memcpy(addr.sgid, svan_flow_own(key), 16);
    memcpy(addr.dgid, svan_flow_peer(key), 16);
    addr.ipv4 = svan_gid_is_ipv4(addr.dgid);
    notice->interval = now - arrival->since < UINT32_MAX ? now - arrival->since : UINT32_MAX;
    notice->delay = now - arrival->marked_at < UINT32_MAX ? now - arrival->marked_at :
                                                            UINT32_MAX;
    return svan_notice_encode(notice, &addr);
}

/* Without memory or a link it is lost, as on a wire; so is the frame of a full port. */
SvanStep svan_notices_step(SvanCore *core)
{
    SvanLink *notices = &core->sw->notices;
    SvanArrival *arrival = svan_container(notices->next, SvanArrival, due);
    SvanFrame *frame;
    uint64_t now;

    if (svan_list_empty(notices)) {
        return SVAN_STEP_IDLE;
    }
    now = svan_now(core);
    frame = svan_port_is_open(arrival->fn) && core->link_up ? frame_of(arrival, now) : NULL;
    if (frame && svan_port_out(core, frame) == SVAN_STEP_BLOCKED) {
        svan_frame_free(frame);
        return SVAN_STEP_BLOCKED;
    }
    svan_list_remove(&arrival->due);
    svan_fn_stats(arrival->fn)->notifications_sent += frame != NULL;
    arrival->notice.sequence++;
    arrival->sent_at = now;
    start_window(arrival, now);
    return SVAN_STEP_DONE;
}
