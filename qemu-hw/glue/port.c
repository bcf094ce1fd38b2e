/*
 * Svan RDMA NIC: the netdev
 *
 * Frames change hands in two queues, because the netdev belongs to the BQL and
 * the core to the engine lock. A netdev may hand us a frame from within our
 * own sending of one, so receiving does nothing but enqueue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/iov.h"
#include "glue.h"
#include "trace.h"

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
    SvanState *s = qemu_get_nic_opaque(nc);
    SvanPort *port = &s->port;

    QEMU_LOCK_GUARD(&port->lock);
    port->rx_full = port->rx.len >= SVAN_NIC_RX_QUEUE;
    return !port->rx_full;
}

static ssize_t svan_port_receive_iov(NetClientState *nc,
                                     const struct iovec *iov, int iovcnt)
{
    SvanState *s = qemu_get_nic_opaque(nc);
    SvanPort *port = &s->port;
    size_t len = iov_size(iov, iovcnt);
    SvanFrame *frame = NULL;

    if (!svan_port_can_receive(nc)) {
        return 0;
    }
    if (len <= SVAN_NIC_MAX_FRAME) {
        frame = svan_frame_alloc(len);
    }
    trace_svan_port_receive(len, frame != NULL);
    if (!frame) {
        qatomic_inc(&port->rx_lost);
        svan_engine_kick_later(&s->engine);
        return len;
    }
    iov_to_buf(iov, iovcnt, 0, frame->data, len);
    frame->len = len;
    WITH_QEMU_LOCK_GUARD(&port->lock) {
        svan_queue_append(&port->rx, frame);
    }
    svan_engine_kick_later(&s->engine);
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
    resume = port->rx_full && port->rx.len < SVAN_NIC_RX_QUEUE / 2;
    if (resume) {
        port->rx_full = false;
        qatomic_set(&port->rx_ready, true);
    }
    return frame;
}

/* All that the core has room for; and what it was waiting for. */
void svan_port_feed(SvanState *s)
{
    SvanPort *port = &s->port;
    SvanCore *core = s->core;

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
        svan_engine_want_bql(&s->engine);
    }
}

/* ---- from the core to the port ---- */

bool svan_port_frame_out(SvanState *s, SvanFrame *frame)
{
    SvanPort *port = &s->port;

    QEMU_LOCK_GUARD(&port->lock);
    if (port->tx.len >= SVAN_NIC_TX_QUEUE) {
        port->tx_full = true;
        return false;
    }
    svan_queue_append(&port->tx, frame);
    svan_engine_want_bql(&s->engine);
    return true;
}

/* The netdev has room again. */
static void svan_port_sent(NetClientState *nc, ssize_t len)
{
    SvanState *s = qemu_get_nic_opaque(nc);

    s->port.tx_waiting = false;
    svan_engine_want_bql(&s->engine);
    svan_engine_schedule_bql(&s->engine);
}

static SvanFrame *svan_port_next_out(SvanState *s)
{
    SvanPort *port = &s->port;
    SvanFrame *frame;

    QEMU_LOCK_GUARD(&port->lock);
    frame = svan_queue_take(&port->tx);
    if (port->tx_full && port->tx.len < SVAN_NIC_TX_QUEUE / 2) {
        port->tx_full = false;
        qatomic_set(&port->tx_ready, true);
    }
    return frame;
}

void svan_port_flush(SvanState *s)
{
    SvanPort *port = &s->port;
    NetClientState *nc = qemu_get_queue(s->nic);
    unsigned sent = 0;

    /* The engine goes on meanwhile: what comes later is for the next time. */
    while (!port->tx_waiting && sent < SVAN_NIC_TX_QUEUE &&
           qatomic_read(&port->tx.len)) {
        SvanFrame *frame = svan_port_next_out(s);

        /* 0: the netdev has a copy, and tells when it is gone */
        port->tx_waiting = !qemu_send_packet_async(nc, frame->data, frame->len,
                                                   svan_port_sent);
        svan_frame_free(frame);
        sent++;
    }
    if (sent) {
        trace_svan_port_send(sent, port->tx_waiting);
    }
    if (qatomic_read(&port->tx_ready)) {
        svan_engine_kick(&s->engine);
    }
    if (qatomic_xchg(&port->rx_ready, false)) {
        qemu_flush_queued_packets(nc);
    }
}

/* ---- life ---- */

static void svan_port_link_changed(NetClientState *nc)
{
    SvanState *s = qemu_get_nic_opaque(nc);
    SvanEngine *e = &s->engine;

    svan_engine_lock(e);
    if (s->core) {
        svan_set_link(s->core, !nc->link_down);
    }
    svan_engine_unlock(e);
}

NetClientInfo svan_port_info = {
    .type = NET_CLIENT_DRIVER_NIC,
    .size = sizeof(NICState),
    .can_receive = svan_port_can_receive,
    .receive = svan_port_receive,
    .receive_iov = svan_port_receive_iov,
    .link_status_changed = svan_port_link_changed,
};

void svan_port_init(SvanState *s)
{
    qemu_mutex_init(&s->port.lock);
    svan_queue_init(&s->port.rx);
    svan_queue_init(&s->port.tx);
}

void svan_port_drop(SvanState *s)
{
    SvanPort *port = &s->port;

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
        svan_engine_want_bql(&s->engine);
        svan_engine_schedule_bql(&s->engine);
    }
}

void svan_port_fini(SvanState *s)
{
    svan_port_drop(s);
    qemu_mutex_destroy(&s->port.lock);
}
