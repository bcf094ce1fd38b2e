/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How two processes join a pair of rings: a Unix socket, the handshake on it, and the
 * memory (include/svan/wire_ring.h). Nothing in here blocks. Descriptors that the peer
 * holds, too, are never trusted to be non-blocking: each call says so itself.
 */
#ifndef SVAN_WIRE_ROOM_LINK_H
#define SVAN_WIRE_ROOM_LINK_H

#include <stddef.h>

#include "ring.h"

#define SVAN_WIRE_LOG_CELLS     14      /* 1 MiB for each direction */

typedef enum SvanWireState {
    SVAN_WIRE_OFF,
    SVAN_WIRE_HELLO,            /* a listener awaits svan_wire_hello */
    SVAN_WIRE_SETUP,            /* a connector awaits svan_wire_setup */
    SVAN_WIRE_READY,            /* a listener awaits svan_wire_ready */
    SVAN_WIRE_UP,
    SVAN_WIRE_FAILED,
} SvanWireState;

typedef struct SvanWireLink {
    SvanWireState state;
    int fd;                     /* owned; -1: none */
    bool listener;
    unsigned log_cells;
    void *memory;               /* mapped while it is not NULL */
    size_t size;
    SvanRingTx tx;
    SvanRingRx rx;
    const char *error;          /* why it has failed: a sentence without a full stop */
} SvanWireLink;

/*
 * Listen at path. A socket at which nobody listens any more is replaced. -1: *error says
 * why, and errno.
 */
int svan_wire_listen(const char *path, const char **error);
/* A connection, if there is one; else -1. */
int svan_wire_accept(int listener);
/* Connect to path. -1: errno; ENOENT, ECONNREFUSED and EAGAIN mean nobody is there yet. */
int svan_wire_connect(const char *path);

/* Begin the handshake on fd, which is the link's from here on. log_cells: a listener's. */
void svan_wire_open(SvanWireLink *link, int fd, bool listener, unsigned log_cells);
/*
 * Go on with the handshake, whenever fd is readable. UP: the rings may be used. FAILED: see
 * link->error; close the link. Anything else: to be continued.
 */
SvanWireState svan_wire_handshake(SvanWireLink *link);
/* Unmap the memory, close the socket. Nobody may use the rings any more. */
void svan_wire_close(SvanWireLink *link);

/* Wake the peer. */
void svan_wire_wake(SvanWireLink *link);
/* Take wakes, whenever fd is readable. false: the peer has gone, or talks nonsense. */
bool svan_wire_hear(SvanWireLink *link);

#endif /* SVAN_WIRE_ROOM_LINK_H */
