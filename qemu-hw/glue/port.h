/*
 * Svan RDMA NIC: the port, which is a netdev
 *
 * All functions of a NIC share it. A reset of one of them leaves it alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_PORT_H
#define HW_SVAN_PORT_H

#include "net/net.h"
#include "engine.h"

typedef struct SvanFrameQueue {
    SvanFrame *head;
    SvanFrame **tail;
    unsigned len;                   /* read without the lock, too */
} SvanFrameQueue;

typedef struct SvanPort {
    SvanEngine *engine;
    void (*link_changed)(void *opaque, bool up);    /* BQL held */
    void *opaque;
    NICState *nic;
    QemuMutex lock;                 /* see engine.h for the order of locks */
    SvanFrameQueue rx, tx;
    bool rx_full;                   /* the netdev was told to wait; by lock */
    bool tx_full;                   /* the core was told to wait; by lock */
    bool tx_ready;                  /* the core has to be told to go on; atomic */
    bool rx_ready;                  /* the netdev is to be told so; atomic */
    unsigned rx_lost;               /* frames for the core to count; atomic */
    bool tx_waiting;                /* the netdev has no room; BQL */
} SvanPort;

void svan_port_init(SvanPort *port, SvanEngine *engine,
                    void (*link_changed)(void *opaque, bool up), void *opaque);
/* The netdev, if it was joined, has been left by svan_port_close(). */
void svan_port_fini(SvanPort *port);
/* Join the netdev that conf names; type is the device's. */
void svan_port_open(SvanPort *port, NICConf *conf, const char *type);
void svan_port_close(SvanPort *port);
bool svan_port_link_is_up(SvanPort *port);

/* Drop what is queued, as the whole device is reset. BQL held. */
void svan_port_drop(SvanPort *port);
/* The core was replaced; frames of the new one may wait for svan_tx_ready(). */
void svan_port_new_core(SvanPort *port);
/* As SvanOps.frame_out. */
bool svan_port_frame_out(SvanPort *port, SvanFrame *frame);
/*
 * Give the core all the frames it has room for, and tell it what it waits for.
 * Engine lock held.
 */
void svan_port_feed(SvanPort *port, SvanCore *core);
/* Give the netdev the frames that the core has sent. BQL held. */
void svan_port_flush(SvanPort *port);

#endif /* HW_SVAN_PORT_H */
