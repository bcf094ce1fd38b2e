/*
 * Svan RDMA NIC: the port, where it is a wire in shared memory
 *
 * Frames pass under the engine lock alone: whoever runs the engine fills the
 * one ring and empties the other. The main loop finds the peer; the iothread
 * hears its wakes, and that it has gone. include/svan/wire_ring.h says what
 * passes, and decision 0008 what is not trusted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "shm_port.h"
#include "trace.h"

#define SVAN_SHM_RETRY_MS       100     /* between two tries to connect */
#define SVAN_SHM_HANDSHAKE_MS   5000
#define SVAN_SHM_BURST          4       /* frames that are shown at once */
#define SVAN_SHM_COPIES         16      /* frames that are copied before the engine runs */

/* ---- sending ---- */

static void svan_shm_port_publish(SvanShmPort *port)
{
    port->unpublished = 0;
    if (svan_ring_publish(&port->link.tx)) {
        trace_svan_shm_wake(true);
        svan_wire_wake(&port->link);
    }
}

static void svan_shm_port_release(SvanShmPort *port)
{
    if (svan_ring_release(&port->link.rx)) {
        trace_svan_shm_wake(false);
        svan_wire_wake(&port->link);
    }
}

uint8_t *svan_shm_port_packet_room(SvanShmPort *port, uint32_t len)
{
    uint8_t *room = port->up ? svan_ring_room(&port->link.tx, len) : NULL;

    if (!room && port->up && !port->link.tx.broken) {
        svan_shm_port_publish(port);
        if (svan_ring_wait_room(&port->link.tx)) {
            room = svan_ring_room(&port->link.tx, len);
        }
    }
    port->tx_waits |= !room;
    return room;
}

static void svan_shm_port_put(SvanShmPort *port, uint32_t len, uint16_t flags)
{
    svan_ring_put(&port->link.tx, len, flags);
    port->idle_since = 0;
    if (++port->unpublished >= SVAN_SHM_BURST) {
        svan_shm_port_publish(port);
    }
}

void svan_shm_port_packet_out(SvanShmPort *port, uint32_t len)
{
    svan_shm_port_put(port, len, SVAN_RING_NO_ICRC);
}

bool svan_shm_port_frame_out(SvanShmPort *port, SvanFrame *frame)
{
    uint8_t *room;

    if (port->up && frame->len >= SVAN_RING_MIN_FRAME &&
        frame->len <= SVAN_RING_MAX_FRAME) {
        room = svan_shm_port_packet_room(port, frame->len);
        if (!room) {
            return false;
        }
        memcpy(room, frame->data, frame->len);
        svan_shm_port_put(port, frame->len, 0);
    }
    svan_frame_free(frame);
    return true;
}

/* ---- receiving ---- */

const SvanLentPacket *svan_shm_port_packet_next(SvanShmPort *port)
{
    SvanRingFrame frame;

    if (port->lending) {
        return &port->lent;
    }
    if (!port->up || !svan_ring_next(&port->link.rx, &frame) ||
        !(frame.flags & SVAN_RING_NO_ICRC)) {
        return NULL;
    }
    port->lending = true;
    port->idle_since = 0;
    port->lent.data = frame.data;
    port->lent.len = frame.length;
    memcpy(port->lent.head, frame.data, MIN(frame.length, SVAN_PACKET_HEAD));
    return &port->lent;
}

void svan_shm_port_packet_done(SvanShmPort *port)
{
    port->lending = false;
    svan_ring_take(&port->link.rx);
}

/* An ordinary frame, of which the core gets a copy. false: it has no room. */
static bool svan_shm_port_copy_in(SvanCore *core, const SvanRingFrame *from)
{
    SvanFrame *frame;

    if (!svan_rx_room(core)) {
        return false;
    }
    frame = svan_frame_alloc(from->length);
    if (!frame) {
        svan_rx_lost(core, 1);
        return true;
    }
    memcpy(frame->data, from->data, from->length);
    frame->len = from->length;
    svan_frame_in(core, frame);
    return true;
}

void svan_shm_port_feed(SvanShmPort *port, SvanCore *core)
{
    SvanRingRx *rx = &port->link.rx;
    SvanRingFrame frame;
    unsigned copies = 0;

    if (port->tx_waits && (!port->up ||
                           svan_ring_room(&port->link.tx,
                                          SVAN_RING_MAX_FRAME))) {
        port->tx_waits = false;
        svan_tx_ready(core);
    }
    if (port->rx_lost) {
        svan_rx_lost(core, port->rx_lost);
        port->rx_lost = 0;
    }
    if (!port->up) {
        return;
    }
    svan_ring_stay_awake(rx);
    while (!port->lending && copies++ < SVAN_SHM_COPIES && svan_ring_next(rx, &frame)) {
        if (frame.flags & SVAN_RING_NO_ICRC) {
            svan_packets_ready(core);
            break;
        }
        if (!svan_shm_port_copy_in(core, &frame)) {
            break;
        }
        svan_ring_take(rx);
        port->idle_since = 0;
    }
    if (svan_ring_unreleased(rx) > rx->size / 8) {
        svan_shm_port_release(port);
    }
}

/* ---- between epochs ---- */

void svan_shm_port_flush(SvanShmPort *port)
{
    if (port->up) {
        svan_shm_port_publish(port);
        svan_shm_port_release(port);
    }
}

/* A ring that makes no sense is as good as none; its socket tells the iothread. */
static bool svan_shm_port_is_broken(SvanShmPort *port)
{
    if (!port->link.rx.broken && !port->link.tx.broken) {
        return false;
    }
    trace_svan_shm_broken(port->path, port->link.rx.broken);
    port->up = false;
    port->lending = false;
    shutdown(port->link.fd, SHUT_RDWR);
    return true;
}

/* false: there is something to do. */
static bool svan_shm_port_sleep(SvanShmPort *port)
{
    bool room = port->tx_waits && svan_ring_wait_room(&port->link.tx);

    return svan_ring_sleep(&port->link.rx) && !room;
}

SvanRun svan_shm_port_after(SvanShmPort *port, SvanRun result)
{
    uint64_t poll_ns;

    if (!port->up || result == SVAN_RUN_MISS) {
        return result;
    }
    /* Others may have work for ever, of which none goes over the wire. */
    if (svan_shm_port_is_broken(port) || result == SVAN_RUN_MORE) {
        return SVAN_RUN_MORE;
    }
    svan_shm_port_flush(port);
    if (svan_shm_port_is_broken(port)) {
        return SVAN_RUN_MORE;
    }
    if (svan_ring_has_more(&port->link.rx)) {
        port->idle_since = 0;
        return SVAN_RUN_MORE;
    }
    poll_ns = svan_engine_poll_ns(port->engine);
    if (result == SVAN_RUN_IDLE && poll_ns) {
        int64_t now = get_clock();

        port->idle_since = port->idle_since ?: now;
        if (now - port->idle_since < poll_ns) {
            return SVAN_RUN_POLL;
        }
    }
    if (result == SVAN_RUN_IDLE && !svan_shm_port_sleep(port)) {
        return SVAN_RUN_MORE;
    }
    return result;
}

void svan_shm_port_drop(SvanShmPort *port)
{
    port->lending = false;
    if (port->up) {
        svan_ring_drop(&port->link.rx);
    }
}

void svan_shm_port_new_core(SvanShmPort *port)
{
    svan_shm_port_drop(port);
    port->tx_waits = true;
}

/* ---- the peer: wakes, in the iothread ---- */

static void svan_shm_port_readable(void *opaque)
{
    SvanShmPort *port = opaque;

    if (!svan_wire_hear(&port->link)) {
        svan_engine_unwatch(port->engine);
        qemu_bh_schedule(port->gone_bh);
    }
    svan_engine_kick(port->engine);
}

/* ---- the peer comes and goes; all of it in the main loop ---- */

static void svan_shm_port_handshake(void *opaque);

static void svan_shm_port_later(SvanShmPort *port, int64_t ms)
{
    timer_mod(port->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + ms);
}

/* There is a connection. Either side has a limited time for the handshake. */
static void svan_shm_port_begin(SvanShmPort *port, int fd)
{
    svan_wire_open(&port->link, fd, port->server, SVAN_WIRE_LOG_CELLS);
    qemu_set_fd_handler(fd, svan_shm_port_handshake, NULL, port);
    svan_shm_port_later(port, SVAN_SHM_HANDSHAKE_MS);
}

/* No connection any more, or none yet. */
static void svan_shm_port_end(SvanShmPort *port)
{
    svan_wire_close(&port->link);
    if (!port->server) {
        svan_shm_port_later(port, SVAN_SHM_RETRY_MS);
    }
}

static void svan_shm_port_failed(SvanShmPort *port, const char *why)
{
    trace_svan_shm_refused(port->path, why);
    qemu_set_fd_handler(port->link.fd, NULL, NULL, NULL);
    timer_del(port->timer);
    svan_shm_port_end(port);
}

static void svan_shm_port_handshake(void *opaque)
{
    SvanShmPort *port = opaque;

    switch (svan_wire_handshake(&port->link)) {
    case SVAN_WIRE_FAILED:
        svan_shm_port_failed(port, port->link.error);
        return;
    case SVAN_WIRE_UP:
        break;
    default:
        return;
    }
    trace_svan_shm_up(port->path, port->link.size);
    timer_del(port->timer);
    qemu_set_fd_handler(port->link.fd, NULL, NULL, NULL);
    svan_engine_lock(port->engine);
    port->up = true;
    port->lending = false;
    port->unpublished = 0;
    svan_engine_unlock(port->engine);
    svan_engine_watch(port->engine, port->link.fd, svan_shm_port_readable,
                      port);
    port->link_changed(port->opaque, true);
    /* The peer may have sent something already; and we have to fall asleep. */
    svan_engine_kick(port->engine);
}

/* Frames in the rings are lost with them, as on a wire. */
static void svan_shm_port_gone(void *opaque)
{
    SvanShmPort *port = opaque;
    uint32_t lost;

    svan_engine_lock(port->engine);
    lost = svan_ring_drop(&port->link.rx);
    port->rx_lost += lost;
    port->up = false;
    port->lending = false;
    port->tx_waits = true;      /* whoever waits for room goes on without */
    svan_engine_unlock(port->engine);
    trace_svan_shm_down(port->path, lost);
    if (port->closing) {
        return;
    }
    port->link_changed(port->opaque, false);
    svan_shm_port_end(port);
    svan_engine_kick(port->engine);
}

static void svan_shm_port_accept(void *opaque)
{
    SvanShmPort *port = opaque;
    int fd = svan_wire_accept(port->listener);

    if (fd < 0) {
        return;
    }
    if (port->link.state != SVAN_WIRE_OFF) {
        close(fd);              /* a wire has two ends */
        return;
    }
    svan_shm_port_begin(port, fd);
}

/* false: nobody is there, or errno. */
static bool svan_shm_port_connect(SvanShmPort *port)
{
    int fd = svan_wire_connect(port->path);

    if (fd < 0) {
        return false;
    }
    svan_shm_port_begin(port, fd);
    return true;
}

static void svan_shm_port_timer(void *opaque)
{
    SvanShmPort *port = opaque;

    if (port->link.state != SVAN_WIRE_OFF) {
        svan_shm_port_failed(port, "the handshake takes too long");
    } else if (!svan_shm_port_connect(port)) {
        svan_shm_port_later(port, SVAN_SHM_RETRY_MS);
    }
}

/* ---- life ---- */

bool svan_shm_port_link_is_up(SvanShmPort *port)
{
    return port->link.state == SVAN_WIRE_UP;
}

void svan_shm_port_init(SvanShmPort *port, SvanEngine *engine,
                        void (*link_changed)(void *opaque, bool up),
                        void *opaque)
{
    *port = (SvanShmPort) {
        .engine = engine, .link_changed = link_changed, .opaque = opaque,
        .listener = -1, .link.fd = -1,
    };
}

static bool svan_shm_port_listen(SvanShmPort *port, Error **errp)
{
    const char *error;

    port->listener = svan_wire_listen(port->path, &error);
    if (port->listener < 0) {
        error_setg_errno(errp, errno, "wire=%s: %s", port->path, error);
        return false;
    }
    qemu_set_fd_handler(port->listener, svan_shm_port_accept, NULL, port);
    return true;
}

/* That nobody listens yet is no error. */
static bool svan_shm_port_try(SvanShmPort *port, Error **errp)
{
    if (svan_shm_port_connect(port)) {
        return true;
    }
    if (errno != ENOENT && errno != ECONNREFUSED && errno != EAGAIN) {
        error_setg_errno(errp, errno, "wire=%s: cannot connect to it",
                         port->path);
        return false;
    }
    svan_shm_port_later(port, SVAN_SHM_RETRY_MS);
    return true;
}

bool svan_shm_port_open(SvanShmPort *port, const char *path, bool server,
                        Error **errp)
{
    port->path = path;
    port->server = server;
    port->timer = timer_new_ms(QEMU_CLOCK_REALTIME, svan_shm_port_timer, port);
    port->gone_bh = qemu_bh_new(svan_shm_port_gone, port);
    if (server ? svan_shm_port_listen(port, errp)
               : svan_shm_port_try(port, errp)) {
        return true;
    }
    svan_shm_port_leave(port);
    svan_shm_port_fini(port);
    return false;
}

void svan_shm_port_leave(SvanShmPort *port)
{
    if (!port->path) {
        return;
    }
    port->closing = true;
    timer_del(port->timer);
    if (port->listener >= 0) {
        qemu_set_fd_handler(port->listener, NULL, NULL, NULL);
    }
    if (port->link.state != SVAN_WIRE_OFF &&
        port->link.state != SVAN_WIRE_UP) {
        qemu_set_fd_handler(port->link.fd, NULL, NULL, NULL);
    }
}

void svan_shm_port_fini(SvanShmPort *port)
{
    if (!port->path) {
        return;
    }
    port->up = false;
    svan_wire_close(&port->link);
    if (port->listener >= 0) {
        close(port->listener);
        unlink(port->path);
    }
    qemu_bh_delete(port->gone_bh);
    timer_free(port->timer);
    port->path = NULL;
}
