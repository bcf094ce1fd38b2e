/*
 * Svan RDMA NIC: the port, where it is a wire in shared memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_SHM_PORT_H
#define HW_SVAN_SHM_PORT_H

#include "../wire/link.h"
#include "engine.h"

typedef struct SvanShmPort {
    SvanEngine *engine;
    void (*link_changed)(void *opaque, bool up);    /* BQL held */
    void *opaque;
    const char *path;               /* NULL: this port is not in use */
    bool server;                    /* it listens */
    bool closing;                   /* the device goes; BQL */
    int listener;                   /* BQL */
    QEMUTimer *timer;               /* to connect, or the limit of a handshake; BQL */
    QEMUBH *gone_bh;                /* in the main loop: the peer has gone */
    /* its rings belong to the engine lock, all else to the BQL */
    SvanWireLink link;

    /* engine lock */
    bool up;                        /* the rings may be used */
    bool tx_waits;                  /* the core waits for room */
    bool lending;                   /* lent is what the core has to have next */
    unsigned unpublished;           /* frames that were put, but not shown */
    uint32_t rx_lost;               /* frames for the core to count */
    int64_t idle_since;             /* get_clock(); 0: there was something */
    SvanLentPacket lent;
} SvanShmPort;

void svan_shm_port_init(SvanShmPort *port, SvanEngine *engine,
                        void (*link_changed)(void *opaque, bool up),
                        void *opaque);
/* Listen at path, or connect to it, now or later. path stays the caller's. */
bool svan_shm_port_open(SvanShmPort *port, const char *path, bool server,
                        Error **errp);
/* Begin nothing anew. The engine is to be stopped next. */
void svan_shm_port_leave(SvanShmPort *port);
void svan_shm_port_fini(SvanShmPort *port);
bool svan_shm_port_link_is_up(SvanShmPort *port);

/* What the core calls, as SvanOps says; opaque is the caller's. Engine lock held. */
bool svan_shm_port_frame_out(SvanShmPort *port, SvanFrame *frame);
uint8_t *svan_shm_port_packet_room(SvanShmPort *port, uint32_t len);
void svan_shm_port_packet_out(SvanShmPort *port, uint32_t len);
const SvanLentPacket *svan_shm_port_packet_next(SvanShmPort *port);
void svan_shm_port_packet_done(SvanShmPort *port);

/* Before an epoch: give the core what it has room for. Engine lock held. */
void svan_shm_port_feed(SvanShmPort *port, SvanCore *core);
/*
 * After an epoch with this result: show the peer what was sent, and when the core is idle
 * look for more, or declare to be asleep. Returns what the engine is to go by.
 */
SvanRun svan_shm_port_after(SvanShmPort *port, SvanRun result);
/* Show the peer what was sent, and what was received. Engine lock held. */
void svan_shm_port_flush(SvanShmPort *port);
/* Forget what has arrived. Engine lock held. */
void svan_shm_port_drop(SvanShmPort *port);
/* The core was replaced. Engine lock held. */
void svan_shm_port_new_core(SvanShmPort *port);

#endif /* HW_SVAN_SHM_PORT_H */
