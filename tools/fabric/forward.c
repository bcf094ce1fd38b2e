/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding.
 */
#include <stdlib.h>

#include "fabric.h"

/* RoCE packets here are Ethernet, IPv4 without options, UDP. */
#define AT_TYPE         12
#define AT_SOURCE       26
#define AT_DESTINATION  30
#define AT_PORT         34
#define LEAST           38
#define NETWORK         10u     /* hosts are 10.0.0.0 + their number */

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

/* UINT32_MAX: nobody. */
static uint32_t host_of(const Tree *tree, const NetFrame *frame)
{
    uint32_t address;

    if (frame->kept < LEAST || frame->data[AT_TYPE] != 8 || frame->data[AT_TYPE + 1]) {
        return UINT32_MAX;
    }
    address = get32(frame->data + AT_DESTINATION);
    return address >> 24 == NETWORK && (address & 0xffffff) < tree->hosts ?
           address & 0xffffff : UINT32_MAX;
}

/* One of n equal paths. */
static uint32_t path(const FabricSwitch *sw, const NetFrame *frame, uint32_t n)
{
    uint32_t port = frame->data[AT_PORT] << 8 | frame->data[AT_PORT + 1];
    uint64_t hash = net_link_key(sw->key + port, get32(frame->data + AT_SOURCE),
                                 get32(frame->data + AT_DESTINATION));

    return (hash >> 32) * n >> 32;
}

static uint32_t port_for(const FabricSwitch *sw, const NetFrame *frame, uint32_t host)
{
    const Tree *tree = &sw->fabric->tree;
    const TreePlace *place = &sw->place;
    uint32_t pod = tree_pod_of_host(tree, host);

    if (place->tier == TREE_CORE) {
        return pod;
    }
    if (pod == place->pod) {
        uint32_t edge = host / tree->half % tree->half;

        if (place->tier == TREE_AGGREGATION) {
            return edge;
        }
        if (edge == place->index) {
            return host % tree->half;
        }
    }
    return place->down + path(sw, frame, place->up);
}

void forward_receive(void *arg, NetFrame *frame)
{
    FabricSwitch *sw = arg;
    uint32_t host = host_of(&sw->fabric->tree, frame);

    if (host == UINT32_MAX) {
        sw->strays++;
        net_frame_put(frame);
        return;
    }
    net_link_send(&sw->ports[port_for(sw, frame, host)], frame);
}

/* ---- life ---- */

void forward_link(Fabric *fabric, NetLink *link, NetNode *from, uint32_t port)
{
    link->model = fabric->options->link;
    link->schedule = &fabric->schedule;
    link->from = from;
    link->key = net_link_key(fabric->options->seed, from->id, port);
}

FabricSwitch *forward_new(Fabric *fabric, uint32_t node)
{
    const Tree *tree = &fabric->tree;
    FabricSwitch *sw = fake_must(calloc(1, sizeof(*sw)));
    uint32_t num_ports;

    sw->node.id = node;
    sw->fabric = fabric;
    sw->place = tree_place(tree, node);
    sw->buffer.size = fabric->options->buffer;
    sw->key = net_link_key(fabric->options->seed, node, UINT32_MAX);
    num_ports = sw->place.down + sw->place.up;
    sw->ports = fake_must(calloc(num_ports, sizeof(sw->ports[0])));
    for (uint32_t i = 0; i < num_ports; i++) {
        NetLink *link = &sw->ports[i];

        forward_link(fabric, link, &sw->node, i);
        link->buffer = &sw->buffer;
        link->to_node = tree_behind(tree, &sw->place, i);
        if (link->to_node < tree->hosts) {
            link->arrive = nic_receive;
            link->to = fabric->hosts[link->to_node];
        } else {
            link->arrive = forward_receive;     /* fabric_new() says where */
        }
    }
    return sw;
}

void forward_free(FabricSwitch *sw)
{
    for (uint32_t i = 0; i < sw->place.down + sw->place.up; i++) {
        net_link_fini(&sw->ports[i]);
    }
    free(sw->ports);
    free(sw);
}
