/*
 * Svan RDMA NIC: the port, which is a netdev
 *
 * Frames change hands in two queues, because the netdev belongs to the BQL and
 * the core to the engine lock. A netdev may hand us a frame from within our
 * own sending of one, so receiving does nothing but enqueue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "qemu/lockable.h"
#include "port.h"
#include "trace.h"

#define SVAN_PORT_MAX_FRAME 16384   /* longer ones never reach the core */
#define SVAN_PORT_RX_QUEUE  512     /* frames that wait for the engine */
#define SVAN_PORT_TX_QUEUE  512     /* frames that wait for the BQL */

/* ---- queues ---- */

static void svan_queue_init(SvanFrameQueue *q)
{
    q->head = NULL;
    q->tail = &q->head;
    q->len = 0;
}

static void svan_queue_append(SvanFrameQueue *q, SvanFrame *frame)
{
    frame->next = NULL;
    *q->tail = frame;
    q->tail = &frame->next;
    qatomic_set(&q->len, q->len + 1);
}

static void svan_queue_prepend(SvanFrameQueue *q, SvanFrame *frame)
{
    frame->next = q->head;
    if (!q->head) {
        q->tail = &frame->next;
    }
    q->head = frame;
    qatomic_set(&q->len, q->len + 1);
}

static SvanFrame *svan_queue_take(SvanFrameQueue *q)
{
    SvanFrame *frame = q->head;

    if (frame) {
        q->head = frame->next;
        if (!q->head) {
            q->tail = &q->head;
        }
        qatomic_set(&q->len, q->len - 1);
    }
    return frame;
}

static void svan_queue_free(SvanFrameQueue *q)
{
    SvanFrame *frame;

    while ((frame = svan_queue_take(q))) {
        svan_frame_free(frame);
    }
}

/* ---- from the port to the core ---- */

static bool svan_port_can_receive(NetClientState *nc)
{
    SvanPort *port = qemu_get_nic_opaque(nc);

    QEMU_LOCK_GUARD(&port->lock);
    /*
     * A netdev that was refused waits for a flush, so it is refused until
     * then.
     */
    port->rx_full |= port->rx.len >= SVAN_PORT_RX_QUEUE;
    return !port->rx_full;
}

static ssize_t svan_port_receive_iov(NetClientState *nc,
                                     const struct iovec *iov, int iovcnt)
{
    SvanPort *port = qemu_get_nic_opaque(nc);
    size_t len = iov_size(iov, iovcnt);
    SvanFrame *frame = NULL;

    if (!svan_port_can_receive(nc)) {
        return 0;
    }
    if (len <= SVAN_PORT_MAX_FRAME) {
        frame = svan_frame_alloc(len);
    }
    trace_svan_port_receive(len, frame != NULL);
    if (!frame) {
        qatomic_inc(&port->rx_lost);
        svan_engine_kick_later(port->engine);
        return len;
    }
    iov_to_buf(iov, iovcnt, 0, frame->data, len);
    frame->len = len;
    WITH_QEMU_LOCK_GUARD(&port->lock) {
        svan_queue_append(&port->rx, frame);
    }
    svan_engine_kick_later(port->engine);
    return len;
}

static ssize_t svan_port_receive(NetClientState *nc, const uint8_t *data,
                                 size_t len)
{
    struct iovec iov = { .iov_base = (uint8_t *)data, .iov_len = len };

    return svan_port_receive_iov(nc, &iov, 1);
}

static SvanFrame *svan_port_next(SvanPort *port)
{
    SvanFrame *frame;
    bool resume;

    QEMU_LOCK_GUARD(&port->lock);
    frame = svan_queue_take(&port->rx);
    resume = port->rx_full && port->rx.len < SVAN_PORT_RX_QUEUE / 2;
    if (resume) {
        port->rx_full = false;
        qatomic_set(&port->rx_ready, true);
    }
    return frame;
}

void svan_port_feed(SvanPort *port, SvanCore *core)
{
    if (qatomic_read(&port->tx_ready)) {
        qatomic_set(&port->tx_ready, false);
        svan_tx_ready(core);
    }
    if (qatomic_read(&port->rx_lost)) {
        svan_rx_lost(core, qatomic_xchg(&port->rx_lost, 0));
    }
    while (qatomic_read(&port->rx.len) && svan_rx_room(core)) {
        SvanFrame *frame = svan_port_next(port);

        if (!frame) {
            break;
        }
        if (!svan_frame_in(core, frame)) {
            QEMU_LOCK_GUARD(&port->lock);
            svan_queue_prepend(&port->rx, frame);
            break;
        }
    }
    if (qatomic_read(&port->rx_ready)) {
        svan_engine_want_bql(port->engine);
    }
}

/* ---- from the core to the port ---- */

bool svan_port_frame_out(SvanPort *port, SvanFrame *frame)
{
    QEMU_LOCK_GUARD(&port->lock);
    if (port->tx.len >= SVAN_PORT_TX_QUEUE) {
        port->tx_full = true;
        return false;
    }
    svan_queue_append(&port->tx, frame);
    svan_engine_want_bql(port->engine);
    return true;
}

/* The netdev has room again. */
static void svan_port_sent(NetClientState *nc, ssize_t len)
{
    SvanPort *port = qemu_get_nic_opaque(nc);

    port->tx_waiting = false;
    svan_engine_want_bql(port->engine);
    svan_engine_schedule_bql(port->engine);
}

static SvanFrame *svan_port_next_out(SvanPort *port)
{
    SvanFrame *frame;

    QEMU_LOCK_GUARD(&port->lock);
    frame = svan_queue_take(&port->tx);
    if (port->tx_full && port->tx.len < SVAN_PORT_TX_QUEUE / 2) {
        port->tx_full = false;
        qatomic_set(&port->tx_ready, true);
    }
    return frame;
}

void svan_port_flush(SvanPort *port)
{
    NetClientState *nc = qemu_get_queue(port->nic);
    unsigned sent = 0;

    /* The engine goes on meanwhile: its later frames are for the next call. */
    while (!port->tx_waiting && sent < SVAN_PORT_TX_QUEUE &&
           qatomic_read(&port->tx.len)) {
        SvanFrame *frame = svan_port_next_out(port);

        /* On 0 the netdev keeps a copy, and calls svan_port_sent() later. */
        port->tx_waiting = !qemu_send_packet_async(nc, frame->data, frame->len,
                                                   svan_port_sent);
        svan_frame_free(frame);
        sent++;
    }
    if (sent) {
        trace_svan_port_send(sent, port->tx_waiting);
    }
    if (qatomic_read(&port->tx_ready)) {
        svan_engine_kick(port->engine);
    }
    if (qatomic_xchg(&port->rx_ready, false)) {
        qemu_flush_queued_packets(nc);
    }
}

/* ---- life ---- */

bool svan_port_link_is_up(SvanPort *port)
{
    return !qemu_get_queue(port->nic)->link_down;
}

static void svan_port_link_changed(NetClientState *nc)
{
    SvanPort *port = qemu_get_nic_opaque(nc);

    port->link_changed(port->opaque, !nc->link_down);
}

static NetClientInfo svan_port_info = {
    .type = NET_CLIENT_DRIVER_NIC,
    .size = sizeof(NICState),
    .can_receive = svan_port_can_receive,
    .receive = svan_port_receive,
    .receive_iov = svan_port_receive_iov,
    .link_status_changed = svan_port_link_changed,
};

void svan_port_init(SvanPort *port, SvanEngine *engine,
                    void (*link_changed)(void *opaque, bool up), void *opaque)
{
    port->engine = engine;
    port->link_changed = link_changed;
    port->opaque = opaque;
    qemu_mutex_init(&port->lock);
    svan_queue_init(&port->rx);
    svan_queue_init(&port->tx);
}

void svan_port_open(SvanPort *port, NICConf *conf, const char *type)
{
    DeviceState *dev = port->engine->dev;

    port->nic = qemu_new_nic(&svan_port_info, conf, type, dev->id,
                             &dev->mem_reentrancy_guard, port);
    qemu_format_nic_info_str(qemu_get_queue(port->nic), conf->macaddr.a);
}

void svan_port_close(SvanPort *port)
{
    qemu_del_nic(port->nic);
    port->nic = NULL;
}

void svan_port_new_core(SvanPort *port)
{
    qatomic_set(&port->tx_ready, true);
}

void svan_port_drop(SvanPort *port)
{
    WITH_QEMU_LOCK_GUARD(&port->lock) {
        svan_queue_free(&port->rx);
        svan_queue_free(&port->tx);
        if (port->rx_full) {
            port->rx_full = false;
            qatomic_set(&port->rx_ready, true);
        }
        if (port->tx_full) {
            port->tx_full = false;
            qatomic_set(&port->tx_ready, true);
        }
    }
    if (qatomic_read(&port->rx_ready)) {
        svan_engine_want_bql(port->engine);
        svan_engine_schedule_bql(port->engine);
    }
}

void svan_port_fini(SvanPort *port)
{
    svan_port_drop(port);
    qemu_mutex_destroy(&port->lock);
}
