/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's `-device svan,wire=PATH`: two rings of frames in shared memory (qemu-hw/wire/). The
 * socket carries wakes alone, and tells that the other side has gone.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "address.h"
#include "net/switch.h"
#include "switch.h"

#define BATCH           64u             /* frames taken at a time, for the others' sake */
#define HANDSHAKE       5000000000ull   /* ns that it may last */

static void end_broken(Port *port)
{
    port->counts.broken++;
    port_disconnect(port);
}

/* ---- receiving ---- */

/*
 * The octets are the other side's until they are copied. From here on a frame may go
 * anywhere, so it gets what only the ring does without.
 */
static void take(Port *port, const SvanRingFrame *from)
{
    NetFrame *frame = net_frame_new(from->data, from->length);

    if (frame && from->flags & SVAN_RING_NO_ICRC) {
        svan_pkt_add_icrc(frame->data, frame->len);
    }
    port_take_frame(port, frame);
}

static void receive(Port *port)
{
    SvanRingRx *rx = &port->link.rx;
    SvanRingFrame frame;

    if (!svan_ring_has_more(rx)) {
        return;
    }
    svan_ring_stay_awake(rx);
    for (uint32_t i = 0; i < BATCH && port_has_room(port) && svan_ring_next(rx, &frame); i++) {
        take(port, &frame);
        svan_ring_take(rx);
    }
    if (svan_ring_release(rx)) {
        svan_wire_wake(&port->link);
    }
    if (rx->broken) {
        end_broken(port);
    }
}

static bool hear(Port *port)
{
    return svan_wire_hear(&port->link);
}

/* A port whose incoming link is full looks again when it is not, whoever wakes it. */
static bool rest(Port *port)
{
    return !port_has_room(port) || svan_ring_sleep(&port->link.rx);
}

/* ---- sending ---- */

static void publish(Port *port)
{
    if (svan_ring_publish(&port->link.tx)) {
        svan_wire_wake(&port->link);
    }
}

/* NULL: the ring is broken, or the other side is to wake us when it has taken something. */
static uint8_t *room_for(Port *port, uint32_t len)
{
    SvanRingTx *tx = &port->link.tx;
    uint8_t *room = svan_ring_room(tx, len);

    if (!room) {
        publish(port);
        room = svan_ring_wait_room(tx) ? svan_ring_room(tx, len) : NULL;
    }
    return room;
}

static void flush(Port *port)
{
    while (port->num_pending) {
        const NetFrame *frame = port->pending[port->head];
        uint8_t *room;

        if (frame->len > SVAN_RING_MAX_FRAME) {
            port->counts.unsent++;
            port_pop(port);
            continue;
        }
        room = room_for(port, frame->len);
        if (!room) {
            port->blocked = true;
            break;
        }
        memcpy(room, frame->data, frame->len);
        svan_ring_put(&port->link.tx, frame->len, 0);
        port_pop(port);
    }
    publish(port);
    if (port->link.tx.broken) {
        end_broken(port);
    }
}

/* ---- connections ---- */

static void close_link(Port *port)
{
    if (port->link.state == SVAN_WIRE_UP) {
        port->counts.left += svan_ring_drop(&port->link.rx);
    }
    svan_wire_close(&port->link);
}

/* The handshake has failed, or lasts too long. */
static void give_up(Port *port)
{
    port->counts.refused++;
    svan_wire_close(&port->link);
    port->retry_at = port->owner->schedule.now + PORT_RETRY;
}

static void shake_hands(void *arg, uint32_t events)
{
    Port *port = arg;

    switch (svan_wire_handshake(&port->link)) {
    case SVAN_WIRE_UP:
        switch_rewatch(port->owner, port->link.fd, NULL, 0);
        port_connected(port, port->link.fd);
        break;
    case SVAN_WIRE_FAILED:
        give_up(port);
        break;
    default:
        break;
    }
}

static void begin(Port *port, int fd, bool listener)
{
    svan_wire_open(&port->link, fd, listener, SVAN_WIRE_LOG_CELLS);
    port->link_handler = (Handler) { shake_hands, port };
    port->retry_at = port->owner->schedule.now + HANDSHAKE;
    if (!switch_watch(port->owner, fd, &port->link_handler, EPOLLIN)) {
        give_up(port);
    }
}

static void accept_one(void *arg, uint32_t events)
{
    Port *port = arg;
    int fd = svan_wire_accept(port->listen_fd);

    if (fd < 0) {
        return;
    }
    if (port->link.state != SVAN_WIRE_OFF) {
        port->counts.refused++;
        close(fd);
        return;
    }
    begin(port, fd, true);
}

static void limit_handshake(Port *port)
{
    if (port->link.state != SVAN_WIRE_OFF) {
        give_up(port);
    } else {
        port->retry_at = UINT64_MAX;
    }
}

static bool open_ring(Port *port, const char *path, Error *error)
{
    const char *why;
    Address address;

    if (!address_of_path(path, &address, error)) {
        return false;
    }
    port->listen_fd = svan_wire_listen(path, &why);
    if (port->listen_fd < 0) {
        return error_set(error, "%.100s: %s: %s", path, why, strerror(errno));
    }
    port->listen_handler = (Handler) { accept_one, port };
    return switch_watch(port->owner, port->listen_fd, &port->listen_handler, EPOLLIN) ||
           error_set(error, "%.100s: no memory", path);
}

/* ---- the one who connects ---- */

/* false: nobody is there, or errno. */
static bool try_to_connect(Port *port)
{
    int fd = svan_wire_connect(port->address + strlen(port->kind->prefix));

    if (fd >= 0) {
        begin(port, fd, false);
    }
    return fd >= 0;
}

static void retry_to(Port *port)
{
    if (port->link.state != SVAN_WIRE_OFF) {
        give_up(port);
    } else {
        try_to_connect(port);
    }
}

static bool open_ring_to(Port *port, const char *path, Error *error)
{
    Address address;

    if (!address_of_path(path, &address, error)) {
        return false;
    }
    port->retry_at = port->owner->schedule.now + PORT_RETRY;
    return try_to_connect(port) || errno == ENOENT || errno == ECONNREFUSED ||
           errno == EAGAIN || error_set(error, "cannot connect to %.100s: %s", path,
                                        strerror(errno));
}

#define RING(address, open_it, try_again) \
    { .prefix = address, .connects = true, .open = open_it, .receive = receive, .flush = flush, \
      .retry = try_again, .hear = hear, .rest = rest, .close = close_link }

const PortKind port_kinds_ring[] = {
    RING("ring:", open_ring, limit_handshake),
    RING("ring-to:", open_ring_to, retry_to),
    { .prefix = NULL },
};
