/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames, which of them a function receives, and where they go (PRM "Ethernet").
 */
#include <string.h>

#include "net/stations.h"
#include "net/wire_ip.h"

#define MAX_EXTENSIONS  8               /* headers of IPv6 that are followed */
#define MCAST_OCTET     1               /* group bit of an address's first octet */

/* ---- what is in a frame ---- */

bool svan_frame_is_tagged(const SvanFrame *frame)
{
    uint16_t type = frame->data[12] << 8 | frame->data[13];

    return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ;
}

uint32_t svan_frame_l3(const SvanFrame *frame, uint32_t *type)
{
    uint32_t offset = ETH_HLEN;

    *type = frame->data[12] << 8 | frame->data[13];
    for (uint32_t tags = 0; tags < 2; tags++) {
        if (*type != ETHERTYPE_VLAN && *type != ETHERTYPE_QINQ) {
            break;
        }
        offset += VLAN_HLEN;
        if (offset > frame->len) {
            return 0;
        }
        *type = frame->data[offset - 2] << 8 | frame->data[offset - 1];
    }
    return offset;
}

/*
 * Where UDP begins behind IPv6 and its extension headers; 0: there is other payload. Of a
 * first fragment only what the IPv6 header counts is looked at: whoever puts fragments
 * together goes on with the next one there, not with what fills up this frame.
 */
static uint32_t udp_behind_ipv6(const SvanFrame *frame, uint32_t offset, bool *unknown)
{
    const uint8_t *ip = frame->data + offset;
    uint32_t end = frame->len;
    bool fragment = false;
    uint8_t next = ip[6];

    offset += IPV6_HLEN;
    for (uint32_t headers = 0; headers <= MAX_EXTENSIONS; headers++) {
        uint32_t size = 8;

        switch (next) {
        case IPPROTO_UDP:
            *unknown = fragment && offset + 4 > end;
            return offset;
        case IPPROTO_HOPOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_DSTOPTS:
            break;
        case IPPROTO_FRAGMENT:
            break;
        default:
            return 0;
        }
        if (offset + size > end) {
            *unknown = fragment;
            return 0;                   /* of no fragment: nobody finds UDP in it either */
        }
        if (next != IPPROTO_FRAGMENT) {
            size += frame->data[offset + 1] * 8;
        } else if ((frame->data[offset + 2] << 8 | frame->data[offset + 3]) & ~7u) {
            return 0;                   /* not the first fragment */
        } else if (!fragment) {
            uint32_t counted = (uint32_t)(ip - frame->data) + IPV6_HLEN + (ip[4] << 8 | ip[5]);

            end = counted < end ? counted : end;
            fragment = true;
        }
        next = frame->data[offset];
        offset += size;
    }
    *unknown = true;
    return 0;
}

bool svan_frame_may_be_roce(const SvanFrame *frame)
{
    uint32_t type, offset = svan_frame_l3(frame, &type), udp = 0, port = 0;
    const uint8_t *ip = frame->data + offset;
    bool unknown = false;

    if (!offset) {
        return false;
    }
    if (type == ETHERTYPE_IPV4 && frame->len >= offset + IPV4_HLEN) {
        bool first = !((ip[6] << 8 | ip[7]) & IPV4_OFFSET_MASK);

        udp = first && ip[9] == IPPROTO_UDP ? offset + (ip[0] & 15) * 4 : 0;
    } else if (type == ETHERTYPE_IPV6 && frame->len >= offset + IPV6_HLEN) {
        udp = udp_behind_ipv6(frame, offset, &unknown);
    }
    if (!unknown && udp && frame->len >= udp + 4) {
        port = frame->data[udp + 2] << 8 | frame->data[udp + 3];
    }
    return unknown || port == SVAN_ROCE_UDP_PORT || port == SVAN_NOTIFICATION_PORT;
}

/* ---- filters ---- */

static void each_address(SvanFn *fn,
                         void (*change)(SvanSwitch *sw,
                                        const SvanStationKey *key, uint16_t id))
{
    const SvanEthFilter *filter = &fn->net->eth;
    SvanStationKey key = svan_station_mac(filter->mac);

    change(fn->core->sw, &key, fn->id);
    for (uint32_t i = 0; i < filter->num_mcast; i++) {
        /* The list gives a function no further unicast addresses. */
        if (filter->mcast[i][0] & MCAST_OCTET) {
            key = svan_station_mac(filter->mcast[i]);
            change(fn->core->sw, &key, fn->id);
        }
    }
}

void svan_filter_off(SvanFn *fn)
{
    SvanSwitch *sw = fn->core->sw;

    if (fn->net->eth.qpn) {
        each_address(fn, svan_station_remove);
        svan_fn_set_remove(&sw->receiving, fn->id);
        svan_fn_set_remove(&sw->allmulti, fn->id);
        svan_fn_set_remove(&sw->promisc, fn->id);
        fn->net->eth.qpn = 0;
    }
}

bool svan_filter_set(SvanFn *fn, const SvanEthFilter *filter)
{
    uint8_t (*mcast)[6] = fn->net->eth.mcast;
    SvanSwitch *sw = fn->core->sw;

    if (filter->qpn && !svan_stations_reserve(sw, 1 + filter->num_mcast)) {
        return false;
    }
    svan_filter_off(fn);
    fn->net->eth = *filter;
    fn->net->eth.mcast = mcast;
    if (filter->num_mcast) {
        memmove(mcast, filter->mcast, filter->num_mcast * sizeof(mcast[0]));
    }
    if (!filter->qpn) {
        return true;
    }
    each_address(fn, svan_station_add);
    svan_fn_set_add(&sw->receiving, fn->id);
    if (!(fn->net->vport.flags & SVAN_FUNCTION_TRUSTED)) {
        fn->stats->promisc_refused += filter->flags != 0;
        return true;
    }
    if (filter->flags & SVAN_CMD_ETH_ALLMULTI) {
        svan_fn_set_add(&sw->allmulti, fn->id);
    }
    if (filter->flags & SVAN_CMD_ETH_PROMISC) {
        svan_fn_set_add(&sw->promisc, fn->id);
    }
    return true;
}

/* Remove the functions that are in a VLAN, unless it is the frame's. */
static void keep_vlan(const SvanCore *core, const SvanFrame *frame, SvanFnSet *fns)
{
    const SvanFnSet *in_vlan = &core->sw->in_vlan;
    bool has_tag = svan_frame_is_tagged(frame) && frame->len >= ETH_HLEN + VLAN_HLEN;
    uint16_t vlan = has_tag ? (frame->data[14] << 8 | frame->data[15]) & 0xfff : 0;

    for (uint32_t id = svan_fn_set_next(in_vlan, 0); id != SVAN_NONE;
         id = svan_fn_set_next(in_vlan, id + 1)) {
        if (core->fns[id]->net->vport.vlan != vlan) {
            svan_fn_set_remove(fns, id);
        }
    }
}

/* Does a function other than id have the address? */
static bool has_other(const SvanFnSet *owners, uint16_t id)
{
    SvanFnSet others = *owners;

    svan_fn_set_remove(&others, id);
    return !svan_fn_set_is_empty(&others);
}

SvanRoute svan_frame_route(const SvanCore *core, const SvanFrame *frame)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    const SvanSwitch *sw = core->sw;
    SvanStationKey key = svan_station_mac(frame->data);
    const SvanFnSet *found = svan_stations_find(sw, &key);
    SvanFnSet owners = found ? *found : (SvanFnSet) { { 0 } };
    bool is_group = frame->data[0] & MCAST_OCTET;
    SvanRoute route = { .fns = sw->promisc, .port = true };

    if (!memcmp(frame->data, broadcast, 6)) {
        route.fns = sw->receiving;
    } else if (is_group) {
        svan_fn_set_unite(&route.fns, &sw->allmulti);
    }
    svan_fn_set_unite(&route.fns, &owners);
    if (!svan_fn_set_is_empty(&sw->in_vlan)) {
        keep_vlan(core, frame, &route.fns);
        keep_vlan(core, frame, &owners);
    }
    if (frame->from != SVAN_FROM_PORT) {
        svan_fn_set_remove(&route.fns, frame->from);
        route.port = is_group || !has_other(&owners, frame->from);
    }
    return route;
}
