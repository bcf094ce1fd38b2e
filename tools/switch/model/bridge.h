/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A store-and-forward switch: what has arrived at one port leaves by the port behind which
 * its destination was last seen, or by all others. Its ports' outgoing links share a
 * buffer. VLAN tags pass as they are. PFC and pause frames are discarded.
 */
#ifndef SWITCH_MODEL_BRIDGE_H
#define SWITCH_MODEL_BRIDGE_H

#include "link.h"

#define NET_PORTS_MAX           256u
#define NET_ADDRESSES           256u                    /* remembered of each port */
#define NET_ADDRESS_AGE         300000000000ull         /* ns */

typedef struct NetAddress {
    uint64_t mac;
    uint64_t seen;              /* ns */
    uint32_t next;              /* in its bucket, index + 1 */
    bool used;
} NetAddress;

typedef struct NetPortCounts {
    uint64_t frames;            /* that have come in by this port */
    uint64_t flooded;           /* of them: to all others */
    uint64_t filtered;          /* of them: the destination is behind this port */
    uint64_t pauses;            /* of them: PFC or pause, discarded */
    uint64_t forgotten;         /* addresses that had to make room for new ones */
} NetPortCounts;

typedef struct NetBridge NetBridge;

typedef struct NetBridgePort {
    NetBridge *bridge;
    uint32_t number;
    bool up;                    /* the user's: it takes part in floods */
    NetLink out;                /* the user sets model, to_node, arrive and to */
    NetPortCounts counts;
    uint32_t next_address;      /* the oldest of the port's addresses */
} NetBridgePort;

struct NetBridge {
    NetNode node;
    NetSchedule *schedule;
    NetBuffer buffer;
    NetBridgePort *ports;
    uint32_t num_ports;
    NetAddress *addresses;      /* NET_ADDRESSES of each port */
    uint32_t *buckets;          /* index + 1 */
    uint32_t bucket_mask;
    uint64_t hash_key;
};

/* buffer: octets; 0: no bound. NULL: no memory, or too many ports. */
NetBridge *net_bridge_new(NetSchedule *schedule, uint32_t node, uint32_t num_ports,
                          uint64_t buffer, uint64_t seed);
void net_bridge_free(NetBridge *bridge);
/* A NetEventFn of a NetBridgePort: the frame has come in by this port. */
void net_bridge_receive(void *port, NetFrame *frame);
/* Forgets what was seen behind the port. */
void net_bridge_forget(NetBridgePort *port);

#endif /* SWITCH_MODEL_BRIDGE_H */
