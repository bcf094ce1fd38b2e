/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all kinds of ports have in common.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "switch.h"

/* ---- between the model and the socket ---- */

static void tap_in(void *arg, const NetFrame *frame, uint32_t fate)
{
    Port *port = arg;

    if (port->capture) {
        capture_frame(port->capture, port->owner->schedule.now, frame, true, fate);
    }
}

static void tap_out(void *arg, const NetFrame *frame, uint32_t fate)
{
    Port *port = arg;

    if (port->capture) {
        capture_frame(port->capture, port->owner->schedule.now, frame, false, fate);
    }
}

/* A frame has come to the end of the outgoing link. */
static void deliver(void *arg, NetFrame *frame)
{
    Port *port = arg;

    if (port->fd < 0 || port->num_pending == PORT_PENDING_FRAMES ||
        port->pending_octets + frame->len > PORT_PENDING) {
        port->counts.unsent++;
        net_frame_put(frame);
        return;
    }
    port->pending[(port->head + port->num_pending++) % PORT_PENDING_FRAMES] = frame;
    port->pending_octets += frame->len;
}

void port_pop(Port *port)
{
    NetFrame *frame = port->pending[port->head];

    port->head = (port->head + 1) % PORT_PENDING_FRAMES;
    port->num_pending--;
    port->pending_octets -= frame->len;
    net_frame_put(frame);
}

/*
 * What is on the incoming link waits for its rate, a millisecond's worth at least, so that
 * the link is never idle because this process was not awake.
 */
bool port_has_room(const Port *port)
{
    uint64_t burst = port->in.model.rate / 8 / 1000;

    return port->in.queued < (burst > PORT_BACKLOG ? burst : PORT_BACKLOG) &&
           port->in.under_way < PORT_UNDER_WAY / 2;
}

void port_take(Port *port, const void *data, uint32_t len)
{
    if (len < NET_FRAME_MIN) {
        port->counts.runts++;
        return;
    }
    port_take_frame(port, net_frame_new(data, len));
}

void port_take_frame(Port *port, NetFrame *frame)
{
    if (!frame) {
        port->in.counts.no_memory++;
        return;
    }
    net_link_send(&port->in, frame);
}

/*
 * A side that had to wait for its line, and has more, would have sent it while this process
 * was not awake.
 */
static void receive(Port *port)
{
    uint64_t rate = port->in.model.rate;

    port->in.burst = PORT_BURST;
    if (rate && PORT_BURST_OCTETS * 8000000000ull / rate < PORT_BURST) {
        port->in.burst = PORT_BURST_OCTETS * 8000000000ull / rate;
    }
    port->in.held = port->waiting;
    port->kind->receive(port);
    port->in.held = false;
    port->waiting = port->fd >= 0 && !port_has_room(port);
}

/* ---- the socket ---- */

static void watch(Port *port)
{
    uint32_t events = (port_has_room(port) ? EPOLLIN : 0) |
                      (port->blocked && port->num_pending ? EPOLLOUT : 0);

    if (port->kind->hear) {
        events = EPOLLIN;
    }
    if (port->fd >= 0 && events != port->watched) {
        port->watched = events;
        switch_rewatch(port->owner, port->fd, &port->handler, events);
    }
}

/* One that has gone may have left something. */
static void hear(Port *port)
{
    bool there = port->kind->hear(port);

    port->blocked = false;
    if (port_has_room(port)) {
        receive(port);
    }
    if (!there && port->fd >= 0) {
        port_disconnect(port);
    }
}

static void ready(void *arg, uint32_t events)
{
    Port *port = arg;

    if (port->fd < 0) {
        return;                         /* it has ended in the same round */
    }
    if (port->kind->hear) {
        hear(port);
        return;
    }
    if (events & EPOLLOUT) {
        port->blocked = false;
    }
    if (events & (EPOLLHUP | EPOLLERR) && !port_has_room(port) &&
        port->kind->connects) {
        /* epoll would tell again and again, until the link has sent what it has */
        port_disconnect(port);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        receive(port);
    }
}

void port_connected(Port *port, int fd)
{
    port->fd = fd;
    port->received_len = 0;
    port->blocked = false;
    port->watched = EPOLLIN;
    port->counts.connections++;
    port->bridge->up = true;
    if (!switch_watch(port->owner, fd, &port->handler, EPOLLIN)) {
        port_disconnect(port);
    }
}

void port_disconnect(Port *port)
{
    if (port->kind->close) {
        port->kind->close(port);
    } else {
        close(port->fd);
    }
    port->fd = -1;
    port->bridge->up = false;
    port->written = 0;
    while (port->num_pending) {
        port->counts.unsent++;
        port_pop(port);
    }
    net_bridge_forget(port->bridge);
    port->retry_at = port->owner->schedule.now + PORT_RETRY;
}

bool port_turn(Port *port)
{
    if (port->fd < 0) {
        if (port->kind->retry && port->owner->schedule.now >= port->retry_at) {
            port->retry_at = port->owner->schedule.now + PORT_RETRY;
            port->kind->retry(port);
        }
        return true;
    }
    if ((port->received_len || port->waiting || port->kind->hear) && port_has_room(port)) {
        receive(port);
    }
    if (port->fd >= 0 && port->num_pending && !port->blocked) {
        port->kind->flush(port);
    }
    watch(port);
    return port->fd < 0 || !port->kind->rest || port->kind->rest(port);
}

/* ---- life ---- */

static const PortKind *kind_of(const char *address)
{
    static const PortKind *const all[] = {
        port_kinds_stream, port_kinds_dgram, port_kinds_ring,
    };

    for (uint32_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (const PortKind *kind = all[i]; kind->prefix; kind++) {
            if (!strncmp(address, kind->prefix, strlen(kind->prefix))) {
                return kind;
            }
        }
    }
    return NULL;
}

static void join(Port *port, NetBridge *bridge)
{
    port->bridge = &bridge->ports[port->number];
    port->node.id = 1 + port->number;
    port->in = (NetLink) {
        .model.overhead = 24, .schedule = &port->owner->schedule, .from = &port->node,
        .to_node = bridge->node.id, .arrive = net_bridge_receive, .to = port->bridge,
        .key = net_link_key(port->owner->seed, port->node.id, 0),
        .under_way_max = PORT_UNDER_WAY, .tap = tap_in, .tap_arg = port,
    };
    port->bridge->out.model.overhead = 24;
    port->bridge->out.to_node = port->node.id;
    port->bridge->out.arrive = deliver;
    port->bridge->out.to = port;
    port->bridge->out.under_way_max = PORT_UNDER_WAY;
    port->bridge->out.tap = tap_out;
    port->bridge->out.tap_arg = port;
}

Port *port_new(Switch *owner, uint32_t number, const char *name, const char *address,
               Error *error)
{
    const PortKind *kind = kind_of(address);
    Port *port;

    if (!kind) {
        error_set(error, "%.80s is no address of a port: it begins with unix:, unix-to:, tcp:, "
                  "tcp-to:, fd:, dgram:, udp:, ring: or ring-to:", address);
        return NULL;
    }
    port = calloc(1, sizeof(*port));
    if (port) {
        port->address = strdup(address);
        port->received = malloc(PORT_RECEIVE);
    }
    if (!port || !port->address || !port->received) {
        error_set(error, "no memory for another port");
        return NULL;
    }
    port->owner = owner;
    port->number = number;
    port->kind = kind;
    port->fd = port->listen_fd = port->link.fd = -1;
    port->handler = (Handler) { ready, port };
    snprintf(port->name, sizeof(port->name), "%s", name);
    join(port, owner->bridge);
    port->bridge->up = false;
    if (!kind->open(port, address + strlen(kind->prefix), error)) {
        port_free(port);
        return NULL;
    }
    return port;
}

void port_free(Port *port)
{
    if (port->fd >= 0) {
        port_disconnect(port);
    } else if (port->kind->close) {
        port->kind->close(port);
    }
    if (port->listen_fd >= 0) {
        close(port->listen_fd);
    }
    capture_close(port->capture);
    net_link_fini(&port->in);
    free(port->address);
    free(port->received);
    free(port);
}
