/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which flow a packet or a frame belongs to, by its octets alone: so both ends of the
 * network say the same (PRM "Enforcement", "Flows and paths").
 */
#ifndef SVAN_NET_FLOW_KEY_H
#define SVAN_NET_FLOW_KEY_H

#include <svan/notification.h>

#include "net/aged.h"
#include "net/switch.h"

/* Addresses are IPv6 ones, v4-mapped ones, or a MAC address behind ten zeroes. */
typedef struct SvanFlowInfo {
    SvanAgedKey key;            /* peer's address, own address, and what tells flows apart */
    uint8_t kind;               /* enum svan_flow_kind */
    uint8_t traffic_class;      /* DSCP and ECN; 0 without IP */
    bool ipv4;                  /* counts if kind is not ETHERNET */
    bool is_tcp_ack;            /* ack counts */
    bool is_request;            /* RDMA: by the requester */
    uint16_t l3, l4, end;       /* of a frame: offsets of the headers, and behind IP */
    /*
     * What one who does not see the packet does not know: PSN; TCP sequence number; UDP
     * checksum << 16 | length.
     */
    uint32_t witness;
    uint32_t payload;           /* octets that the sequence number counts, of TCP */
    uint32_t ack;               /* of TCP */
} SvanFlowInfo;

/* Whose packet it is: this device's function's, or one for it. */
typedef enum SvanWay { SVAN_OUTGOING, SVAN_INCOMING } SvanWay;

void svan_flow_of_packet(const SvanPkt *pkt, SvanWay way, SvanFlowInfo *info);
/* Of whatever frame, ETH_HLEN octets at least. */
void svan_flow_of_frame(const SvanFrame *frame, SvanWay way, SvanFlowInfo *info);
/* The key of a flow, from what a notification says and the addresses that it has. */
SvanAgedKey svan_flow_key(const uint8_t *peer, const uint8_t *own, uint16_t vlan,
                          uint8_t kind, uint32_t flow);
/*
 * May its packets be marked, and nobody tell? Those that are not IP have no marks, and nobody
 * answers for what is sent to a group.
 */
bool svan_flow_is_blind(const SvanAgedKey *flow);
/* The key of the path of a flow that is not blind: the peer's address and the VLAN. */
SvanAgedKey svan_path_key(const SvanAgedKey *flow);

/* enum svan_flow_kind, and what tells the flow apart: svan_notification.flow */
static inline uint8_t svan_flow_kind(const SvanAgedKey *flow)
{
    return flow->words[4] >> 56;
}

static inline uint32_t svan_flow_number(const SvanAgedKey *flow)
{
    return flow->words[4];
}

static inline uint16_t svan_flow_vlan(const SvanAgedKey *flow)
{
    return flow->words[4] >> 32 & 0xfff;
}

static inline const uint8_t *svan_flow_peer(const SvanAgedKey *flow)
{
    return (const uint8_t *)flow->words;
}

static inline const uint8_t *svan_flow_own(const SvanAgedKey *flow)
{
    return (const uint8_t *)(flow->words + 2);
}

#endif /* SVAN_NET_FLOW_KEY_H */
