/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Congestion notifications between NICs: what has arrived is counted for each path, and
 * its sender is told of marks (PRM "Enforcement", "Notifications").
 */
#ifndef SVAN_NET_NOTIFY_H
#define SVAN_NET_NOTIFY_H

#include "net/flow_key.h"

#define SVAN_MAX_ARRIVALS       128u            /* paths into a function */
/* Without a mark, packets are counted over this time, ns. */
#define SVAN_ARRIVAL_WINDOW     1000000ull

/* What a notification says, in the host's order. */
typedef struct SvanNotice {
    uint8_t kind, traffic_class;
    uint32_t sequence, flow, witness, packets, marks, interval, delay, octets;
} SvanNotice;

/* What has come from a peer to an address of a function. */
typedef struct SvanArrival {
    SvanAged aged;              /* its key is that of a flow, of kind 0 */
    SvanFn *fn;
    SvanTimer timer;            /* runs from the first mark until the notification is due */
    SvanLink due;               /* SvanSwitch.notices */
    SvanNotice notice;          /* what is counted for the next one */
    uint8_t peer_mac[6], own_mac[6];
    uint8_t hops;               /* of what is sent */
    uint64_t since;             /* ns: the beginning of its interval */
    uint64_t marked_at;         /* ns: the first of its marks */
    uint64_t sent_at;           /* ns: the last notification; 0: none */
} SvanArrival;

typedef struct SvanArrivals {
    SvanFn *fn;
    SvanAgedTable table;
    SvanArrival *last;
    uint64_t delay[SVAN_NOTIFICATION_CLASSES];  /* ns from a mark to its notification */
    uint64_t interval;          /* ns between two of them to a peer */
    uint32_t packets;           /* since the clock was looked at */
} SvanArrivals;

bool svan_arrivals_init(SvanArrivals *arrivals, SvanFn *fn, uint64_t seed);
void svan_arrivals_fini(SvanArrivals *arrivals);

/* One step: send a notification. IDLE: none is due; BLOCKED. */
SvanStep svan_notices_step(SvanCore *core);

/* Ethernet addresses of a packet. */
typedef struct SvanMacs {
    const uint8_t *source, *destination;
} SvanMacs;

/*
 * A packet without a mark has arrived by the port. false: it is not of the path that was last
 * heard of, or more than a packet is to be counted, so svan_arrivals_count() is to do it.
 */
bool svan_arrivals_unmarked(SvanArrivals *arrivals, const SvanAddr *addr);

/* A packet or a frame has arrived by the port; len: its octets, if it is marked. */
void svan_arrivals_count(SvanArrivals *arrivals, const SvanFlowInfo *info, uint32_t len,
                         SvanMacs macs);

/*
 * A frame with the notification. addr has the MAC addresses, GIDs and VLAN; sport is the
 * sender's. NULL: no memory.
 */
SvanFrame *svan_notice_encode(const SvanNotice *notice, const SvanAddr *addr);
typedef enum SvanNoticeDecode {
    SVAN_NOTICE_OK,
    SVAN_NOTICE_NONE,           /* the frame is not for the port of notifications */
    SVAN_NOTICE_MALFORMED,
} SvanNoticeDecode;
SvanNoticeDecode svan_notice_decode(const SvanFrame *frame, SvanNotice *notice,
                                    SvanFlowInfo *info);

#endif /* SVAN_NET_NOTIFY_H */
