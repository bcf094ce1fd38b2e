/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Learning and forwarding. Each port has its own share of the table of addresses, so that
 * none can make the switch forget what it has seen behind another.
 */
#include <stdlib.h>

#include "bridge.h"

#define PAUSE           0x0180c2000001ull

static uint64_t mac_at(const uint8_t *data)
{
    uint64_t mac = 0;

    for (uint32_t i = 0; i < 6; i++) {
        mac = mac << 8 | data[i];
    }
    return mac;
}

static bool is_group(uint64_t mac)
{
    return mac >> 40 & 1;
}

NetBridge *net_bridge_new(NetSchedule *schedule, uint32_t node, uint32_t num_ports,
                          uint64_t buffer, uint64_t seed)
{
    NetBridge *bridge = calloc(1, sizeof(*bridge));
    uint32_t buckets = NET_ADDRESSES;

    if (!bridge || !num_ports || num_ports > NET_PORTS_MAX) {
        free(bridge);
        return NULL;
    }
    while (buckets < NET_ADDRESSES * num_ports) {
        buckets *= 2;
    }
    bridge->ports = calloc(num_ports, sizeof(*bridge->ports));
    bridge->addresses = calloc(NET_ADDRESSES * num_ports, sizeof(*bridge->addresses));
    bridge->buckets = calloc(buckets, sizeof(*bridge->buckets));
    if (!bridge->ports || !bridge->addresses || !bridge->buckets) {
        net_bridge_free(bridge);
        return NULL;
    }
    bridge->node.id = node;
    bridge->schedule = schedule;
    bridge->buffer.size = buffer;
    bridge->num_ports = num_ports;
    bridge->bucket_mask = buckets - 1;
    bridge->hash_key = net_link_key(seed, node, UINT32_MAX) | 1;
    for (uint32_t i = 0; i < num_ports; i++) {
        NetBridgePort *port = &bridge->ports[i];

        port->bridge = bridge;
        port->number = i;
        port->up = true;
        port->out.schedule = schedule;
        port->out.from = &bridge->node;
        port->out.buffer = &bridge->buffer;
        port->out.key = net_link_key(seed, node, i);
    }
    return bridge;
}

void net_bridge_free(NetBridge *bridge)
{
    for (uint32_t i = 0; i < bridge->num_ports; i++) {
        net_link_fini(&bridge->ports[i].out);
    }
    free(bridge->ports);
    free(bridge->addresses);
    free(bridge->buckets);
    free(bridge);
}

/* ---- addresses ---- */

static uint32_t *bucket_of(NetBridge *bridge, uint64_t mac)
{
    return &bridge->buckets[(mac + 1) * bridge->hash_key >> 40 & bridge->bucket_mask];
}

/* Where the index of the address stands, or would. */
static uint32_t *find(NetBridge *bridge, uint64_t mac)
{
    uint32_t *at = bucket_of(bridge, mac);

    while (*at && bridge->addresses[*at - 1].mac != mac) {
        at = &bridge->addresses[*at - 1].next;
    }
    return at;
}

static void forget(NetBridge *bridge, NetAddress *address)
{
    *find(bridge, address->mac) = address->next;
    *address = (NetAddress) { 0 };
}

static void learn(NetBridgePort *port, uint64_t mac)
{
    NetBridge *bridge = port->bridge;
    uint32_t at = *find(bridge, mac), first = port->number * NET_ADDRESSES, *bucket;
    NetAddress *address;

    if (at && (at - 1) / NET_ADDRESSES == port->number) {
        bridge->addresses[at - 1].seen = bridge->schedule->now;
        return;
    }
    if (at) {
        forget(bridge, &bridge->addresses[at - 1]);
    }
    address = &bridge->addresses[first + port->next_address];
    if (address->used) {
        port->counts.forgotten++;
        forget(bridge, address);
    }
    bucket = bucket_of(bridge, mac);
    *address = (NetAddress) { mac, bridge->schedule->now, *bucket, true };
    *bucket = first + port->next_address + 1;
    port->next_address = (port->next_address + 1) % NET_ADDRESSES;
}

void net_bridge_forget(NetBridgePort *port)
{
    NetAddress *first = &port->bridge->addresses[port->number * NET_ADDRESSES];

    for (uint32_t i = 0; i < NET_ADDRESSES; i++) {
        if (first[i].used) {
            forget(port->bridge, &first[i]);
        }
    }
}

/* The port behind which an address was seen; NULL: not known. */
static NetBridgePort *port_of(NetBridge *bridge, uint64_t mac)
{
    uint32_t at = is_group(mac) ? 0 : *find(bridge, mac);

    if (!at || bridge->schedule->now - bridge->addresses[at - 1].seen > NET_ADDRESS_AGE) {
        return NULL;
    }
    return &bridge->ports[(at - 1) / NET_ADDRESSES];
}

/* ---- frames ---- */

static void flood(NetBridgePort *port, NetFrame *frame)
{
    NetBridge *bridge = port->bridge;

    port->counts.flooded++;
    for (uint32_t i = 0; i < bridge->num_ports; i++) {
        if (i != port->number && bridge->ports[i].up) {
            net_link_send(&bridge->ports[i].out, net_frame_ref(frame));
        }
    }
    net_frame_put(frame);
}

void net_bridge_receive(void *arg, NetFrame *frame)
{
    NetBridgePort *port = arg, *to;
    uint64_t destination = mac_at(frame->data), source = mac_at(frame->data + 6);

    port->counts.frames++;
    if (!is_group(source)) {
        learn(port, source);
    }
    if (destination == PAUSE) {
        port->counts.pauses++;
        net_frame_put(frame);
        return;
    }
    to = port_of(port->bridge, destination);
    if (!to) {
        flood(port, frame);
    } else if (to == port) {
        port->counts.filtered++;
        net_frame_put(frame);
    } else {
        net_link_send(&to->out, frame);
    }
}
