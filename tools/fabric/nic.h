/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host: a device core that takes no time, a driver (tests/lib/host.h), the software
 * that posts and polls, and the link to its edge switch. The core has a packet for the
 * link when the link has sent all but the one that it is sending.
 */
#ifndef FABRIC_NIC_H
#define FABRIC_NIC_H

#include "digest.h"
#include "host.h"
#include "model/link.h"
#include "traffic.h"

typedef struct Fabric Fabric;
typedef struct FabricHost FabricHost;

/* A queue pair of a flow, at one of its ends. */
typedef struct FabricEnd {
    HostQp qp;
    FabricFlow *flow;
} FabricEnd;

#define FABRIC_COUNTS(x) \
    x(received)         /* frames */ \
    x(received_ce)      /* of them: congestion experienced */ \
    x(refused)          /* of them: the host had no room for more */ \
    x(sent)             /* data packets, repeated ones included */ \
    x(delivered)        /* data packets whose payload was stored, each once */ \
    x(runs)             /* of the engine */ \
    x(retransmits)      /* packets that were sent again */ \
    x(cnps)             /* of queue pairs, that were sent */ \
    x(notifications)    /* of devices, that were sent */

typedef struct FabricCounts {
#define FABRIC_COUNT(name) uint64_t name;
    FABRIC_COUNTS(FABRIC_COUNT)
#undef FABRIC_COUNT
} FabricCounts;

struct FabricHost {
    NetNode node;
    Fabric *fabric;
    Fake *fake;
    Host *driver;
    HostCq cq;
    uint64_t written;           /* Fake.written when it was looked at */
    uint32_t key;               /* of the payload's region */
    FabricEnd *ends;
    uint32_t num_ends;
    NetLink out;
    NetFrame **rx;              /* a ring; frames that the core has not taken yet */
    uint32_t rx_head, rx_len, rx_capacity;
    bool in_core;
    bool listed;                /* among Fabric.ready */
    FabricHost *next;
    bool blocked;               /* the core waits for room on the link */
    bool unblocked;             /* there is some, and it is to be told */
    uint64_t digest;            /* of all that has arrived, and when */
    FabricCounts counts;
};

FabricHost *nic_new(Fabric *fabric, uint32_t id);
void nic_free(FabricHost *host);
/*
 * The queue pair of a flow at this end is made, and connected to where the other one will
 * be; the flow begins when it is to. Flows come in their order.
 */
void nic_connect(FabricHost *host, FabricFlow *flow, bool is_source);
/* A NetEventFn of a FabricHost. */
void nic_receive(void *host, NetFrame *frame);
/* Engine and software do what they can at this moment. */
void nic_run(FabricHost *host);

#endif /* FABRIC_NIC_H */
