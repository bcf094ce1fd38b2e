/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A port: what comes from a socket goes over the port's incoming link to the switch, what
 * the switch sends over its outgoing link goes to the socket.
 *
 * The other side of a socket is not trusted. A port holds so much and no more of what it
 * has sent and of what it does not take; all else of it stays in the socket, or is dropped
 * and counted, and nobody else's traffic waits for it.
 */
#ifndef SWITCH_PORT_H
#define SWITCH_PORT_H

#include <stdio.h>
#include <sys/socket.h>

#include "capture.h"
#include "model/bridge.h"
#include "settings.h"
#include "wire/link.h"

typedef struct Switch Switch;
typedef struct Port Port;

/* What epoll calls. */
typedef struct Handler {
    void (*ready)(void *arg, uint32_t events);
    void *arg;
} Handler;

#define PORT_NAME_LEN           16u
#define PORT_RECEIVE            (256u << 10)    /* octets read at a time */
#define PORT_BACKLOG            (64u << 10)     /* octets on the incoming link, at least */
#define PORT_BURST              100000000u      /* ns that are made up for at most, */
#define PORT_BURST_OCTETS       (1u << 20)      /* and octets */
#define PORT_UNDER_WAY          (64u << 20)     /* octets on the wire of each link */
#define PORT_PENDING            (4u << 20)      /* octets that the socket does not take yet */
#define PORT_PENDING_FRAMES     4096u
#define PORT_RETRY              1000000000ull   /* ns between attempts to connect */

#define PORT_COUNTS(x) \
    x(connections) \
    x(refused)          /* connections while there is one, and to no ring */ \
    x(bad_length)       /* a length that no frame has: the connection is closed */ \
    x(broken)           /* a ring that makes no sense: the connection is closed */ \
    x(left)             /* frames in the ring of a side that has gone */ \
    x(runts)            /* frames without a whole Ethernet header */ \
    x(unsent)           /* frames that the other side has not taken in time */

typedef struct PortCounts {
#define PORT_COUNT(name) uint64_t name;
    PORT_COUNTS(PORT_COUNT)
#undef PORT_COUNT
} PortCounts;

/* How frames travel over a kind of port. */
typedef struct PortKind {
    const char *prefix;         /* of the address, with its colon */
    bool connects;              /* it has connections, which end */
    bool (*open)(Port *port, const char *address, Error *error);
    /* Takes what has come while the incoming link has room for it. */
    void (*receive)(Port *port);
    /* Gives what is pending to the other side, as far as it takes it. */
    void (*flush)(Port *port);
    /* NULL, or what there is to do at retry_at, while nobody is connected */
    void (*retry)(Port *port);
    /*
     * For a kind whose frames do not pass through the socket, else NULL: takes the wakes of
     * the other side; false: it has gone.
     */
    bool (*hear)(Port *port);
    /* With hear(): from now on the other side has to wake us. false: it has more already. */
    bool (*rest)(Port *port);
    void (*close)(Port *port);  /* NULL: there is nothing but the socket to be closed */
} PortKind;

struct Port {
    Switch *owner;
    uint32_t number;
    char name[PORT_NAME_LEN];
    char *address;
    const PortKind *kind;
    NetNode node;
    NetLink in;
    NetBridgePort *bridge;      /* with the outgoing link */
    Handler handler, listen_handler;
    int fd;                     /* of frames; -1: nobody is connected */
    int listen_fd;              /* -1: does not listen */
    uint32_t watched;           /* epoll's events */
    struct sockaddr_storage peer;
    socklen_t peer_len;         /* 0: the socket knows where it sends */
    uint64_t retry_at;          /* the model's time */
    SvanWireLink link;          /* of a ring: its fd is of frames, too, when it is up */
    Handler link_handler;       /* of a ring: until it is up */
    uint8_t *received;          /* PORT_RECEIVE octets */
    uint32_t received_len;
    NetFrame *pending[PORT_PENDING_FRAMES]; /* a ring */
    uint32_t head, num_pending;
    uint32_t written;           /* octets of the first one, with its length */
    uint64_t pending_octets;
    bool blocked;               /* the socket takes no more */
    bool waiting;               /* the other side had more than the incoming link took */
    Capture *capture;           /* NULL: none */
    PortCounts counts;
};

/* address: KIND:..., see Documentation/testing/switch.rst. NULL: see error. */
Port *port_new(Switch *owner, uint32_t number, const char *name, const char *address,
               Error *error);
void port_free(Port *port);
/* After the model has run: what can move moves. false: there is more, so do not wait. */
bool port_turn(Port *port);
/* Whether the incoming link has room for more. */
bool port_has_room(const Port *port);
/* A frame has come from the other side. */
void port_take(Port *port, const void *data, uint32_t len);
/* The same with the caller's reference. NULL: there was no memory for it. */
void port_take_frame(Port *port, NetFrame *frame);
/* The first pending frame has gone, or is given up. */
void port_pop(Port *port);
/* The other side is gone; a port that listens or connects waits for the next one. */
void port_disconnect(Port *port);
/* The other side is there. */
void port_connected(Port *port, int fd);

/* They end with zeroes. */
extern const PortKind port_kinds_stream[], port_kinds_dgram[], port_kinds_ring[];

#endif /* SWITCH_PORT_H */
