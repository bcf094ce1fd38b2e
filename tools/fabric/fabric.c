/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All of it together.
 */
#include <stdlib.h>
#include <string.h>

#include "fabric.h"

#define AHEAD           2       /* most events are as far away as a link's delay */

/* ---- what goes to other ranks ---- */

/* A frame on its way to a switch of another rank; its octets that are kept follow. */
typedef struct Crossing {
    uint64_t time, sequence, tag;
    uint32_t node, source, len, kept;
} Crossing;

static uint32_t rank_of(const Fabric *fabric, uint32_t node)
{
    return tree_part(&fabric->tree, node, fabric->ranks->count);
}

static size_t padded(uint32_t len)
{
    return (len + 7) & ~7u;
}

static bool on_away(void *arg, const NetEvent *event)
{
    Fabric *fabric = arg;
    NetFrame *frame = event->frame;
    Crossing *crossing;

    if (event->node < fabric->tree.hosts ||
        fabric->switches[event->node - fabric->tree.hosts]) {
        return false;
    }
    crossing = ranks_out(fabric->ranks, rank_of(fabric, event->node),
                         sizeof(*crossing) + padded(frame->kept));
    if (event->time < fabric->crossed_next) {
        fabric->crossed_next = event->time;
    }
    *crossing = (Crossing) {
        .time = event->time, .sequence = event->sequence, .tag = frame->tag,
        .node = event->node, .source = event->source, .len = frame->len, .kept = frame->kept,
    };
    memcpy(crossing + 1, frame->data, frame->kept);
    *(NetFrame **)ranks_room(&fabric->crossed, sizeof(frame)) = frame;
    return true;
}

/* The link that a frame has left by may look at it until the event is over. */
static void put_crossed(Fabric *fabric)
{
    NetFrame **frames = (NetFrame **)fabric->crossed.data;

    for (size_t i = 0; i < fabric->crossed.len / sizeof(frames[0]); i++) {
        net_frame_put(frames[i]);
    }
    fabric->crossed.len = 0;
}

static void take_crossings(Fabric *fabric)
{
    const RanksBuffer *in = &fabric->ranks->in;

    for (size_t at = 0; at < in->len; ) {
        const Crossing *crossing = (const Crossing *)(in->data + at);
        NetEvent event = {
            .time = crossing->time, .node = crossing->node, .kind = NET_EVENT_ARRIVAL,
            .sequence = crossing->sequence, .source = crossing->source,
            .fn = forward_receive,
            .arg = fabric->switches[crossing->node - fabric->tree.hosts],
            .frame = fake_must(net_frame_head(crossing + 1, crossing->kept, crossing->len,
                                              crossing->tag)),
        };

        if (!net_schedule_put(&fabric->schedule, &event)) {
            fake_die("out of memory");
        }
        at += sizeof(*crossing) + padded(crossing->kept);
    }
}

/* ---- time ---- */

/* Hosts whose engines have been given something to do. */
static void settle(Fabric *fabric)
{
    while (fabric->ready) {
        FabricHost *host = fabric->ready;

        fabric->ready = host->next;
        host->listed = false;
        nic_run(host);
    }
}

/* Frames are exchanged, and what everybody should know of the others. */
static void exchange(Fabric *fabric)
{
    uint64_t next = net_schedule_next(&fabric->schedule);
    FabricState mine = {
        .next = next < fabric->crossed_next ? next : fabric->crossed_next,
        .done = fabric->done, .delivered = fabric->delivered, .events = fabric->events,
    };
    FabricState all[RANKS_MAX];

    put_crossed(fabric);
    ranks_exchange(fabric->ranks, &mine, sizeof(mine), all);
    take_crossings(fabric);
    fabric->crossed_next = UINT64_MAX;
    fabric->all = (FabricState) { .next = UINT64_MAX };
    for (uint32_t i = 0; i < fabric->ranks->count; i++) {
        if (all[i].next < fabric->all.next) {
            fabric->all.next = all[i].next;
        }
        fabric->all.done += all[i].done;
        fabric->all.delivered += all[i].delivered;
        fabric->all.events += all[i].events;
    }
}

bool fabric_step(Fabric *fabric)
{
    uint64_t end = fabric->all.next + fabric->options->link.delay - 1;

    if (fabric->all.done == fabric->traffic.num_flows ||
        fabric->all.next >= fabric->options->until) {
        return false;
    }
    while (net_schedule_step(&fabric->schedule, end)) {
        fabric->events++;
        settle(fabric);
    }
    fabric->windows++;
    exchange(fabric);
    return true;
}

/* ---- life ---- */

static void make_nodes(Fabric *fabric)
{
    const Tree *tree = &fabric->tree;

    fabric->hosts = fake_must(calloc(tree->hosts, sizeof(fabric->hosts[0])));
    fabric->switches = fake_must(calloc(tree->switches, sizeof(fabric->switches[0])));
    for (uint32_t i = 0; i < tree->hosts; i++) {
        if (rank_of(fabric, i) == fabric->ranks->rank) {
            fabric->hosts[i] = nic_new(fabric, i);
        }
    }
    for (uint32_t i = 0; i < tree->switches; i++) {
        if (rank_of(fabric, tree->hosts + i) == fabric->ranks->rank) {
            fabric->switches[i] = forward_new(fabric, tree->hosts + i);
        }
    }
}

/* Links to switches lead somewhere, if that is in this rank. */
static void join(Fabric *fabric)
{
    const Tree *tree = &fabric->tree;

    for (uint32_t i = 0; i < tree->hosts; i++) {
        if (fabric->hosts[i]) {
            NetLink *link = &fabric->hosts[i]->out;

            link->to = fabric->switches[link->to_node - tree->hosts];
        }
    }
    for (uint32_t i = 0; i < tree->switches; i++) {
        FabricSwitch *sw = fabric->switches[i];

        for (uint32_t n = 0; sw && n < sw->place.down + sw->place.up; n++) {
            NetLink *link = &sw->ports[n];

            if (link->to_node != UINT32_MAX && link->to_node >= tree->hosts) {
                link->to = fabric->switches[link->to_node - tree->hosts];
            }
        }
    }
}

static void connect_flows(Fabric *fabric)
{
    for (uint32_t i = 0; i < fabric->traffic.num_flows; i++) {
        FabricFlow *flow = &fabric->traffic.flows[i];
        FabricHost *source = fabric->hosts[flow->source];
        FabricHost *target = fabric->hosts[flow->target];

        if (source) {
            nic_connect(source, flow, true);
        }
        if (target) {
            nic_connect(target, flow, false);
        }
    }
}

Fabric *fabric_new(const FabricOptions *options, Ranks *ranks)
{
    Fabric *fabric = fake_must(aligned_alloc(4096, (sizeof(*fabric) + 4095) & ~4095ul));

    memset(fabric, 0, sizeof(*fabric));
    fabric->options = options;
    fabric->ranks = ranks;
    fabric->tree = tree_of(options->hosts);
    if (!net_schedule_spread(&fabric->schedule, AHEAD * options->link.delay)) {
        fake_die("out of memory");
    }
    payload_init(&fabric->payload, options->message);
    traffic_make(&fabric->traffic, options);
    make_nodes(fabric);
    join(fabric);
    connect_flows(fabric);
    settle(fabric);
    if (ranks->count > 1) {
        fabric->schedule.away = on_away;
        fabric->schedule.away_arg = fabric;
    }
    fabric->crossed_next = UINT64_MAX;
    exchange(fabric);
    return fabric;
}

void fabric_free(Fabric *fabric)
{
    net_schedule_fini(&fabric->schedule);
    for (uint32_t i = 0; i < fabric->tree.hosts; i++) {
        if (fabric->hosts[i]) {
            nic_free(fabric->hosts[i]);
        }
    }
    for (uint32_t i = 0; i < fabric->tree.switches; i++) {
        if (fabric->switches[i]) {
            forward_free(fabric->switches[i]);
        }
    }
    traffic_free(&fabric->traffic);
    free(fabric->crossed.data);
    free(fabric->hosts);
    free(fabric->switches);
    free(fabric);
}
