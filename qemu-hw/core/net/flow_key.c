/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From packets and frames to flows. Frames are written by guests and by strangers: what
 * does not look like TCP or UDP is a flow by its protocol, so that nothing is in none.
 */
#include "net/flow_key.h"
#include "net/stations.h"
#include "net/wire_ip.h"

#define MCAST_OCTET     1               /* group bit of an address's first octet */

static uint32_t get16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

SvanAgedKey svan_flow_key(const uint8_t *peer, const uint8_t *own, uint16_t vlan,
                          uint8_t kind, uint32_t flow)
{
    SvanAgedKey key;

    memcpy(&key.words[0], peer, 16);
    memcpy(&key.words[2], own, 16);
    key.words[4] = (uint64_t)kind << 56 | (uint64_t)vlan << 32 | flow;
    return key;
}

bool svan_flow_is_blind(const SvanAgedKey *flow)
{
    return svan_flow_kind(flow) == SVAN_FLOW_ETHERNET ||
           svan_gid_is_multicast(svan_flow_peer(flow));
}

SvanAgedKey svan_path_key(const SvanAgedKey *flow)
{
    SvanAgedKey key = *flow;

    key.words[2] = key.words[3] = 0;
    key.words[4] = (uint64_t)svan_flow_vlan(flow) << 32;
    return key;
}

/* ---- packets ---- */

void svan_flow_of_packet(const SvanPkt *pkt, SvanWay way, SvanFlowInfo *info)
{
    const SvanAddr *addr = &pkt->addr;
    bool out = way == SVAN_OUTGOING;

    info->key = svan_flow_key(out ? addr->dgid : addr->sgid, out ? addr->sgid : addr->dgid,
                              svan_vlan_id(addr->has_vlan, addr->vlan), SVAN_FLOW_RDMA,
                              pkt->dqpn);
    info->kind = SVAN_FLOW_RDMA;
    info->traffic_class = addr->traffic_class;
    info->ipv4 = addr->ipv4;
    info->is_tcp_ack = false;
    info->is_request = svan_op_info(pkt->opcode)->request;
    info->witness = pkt->psn;
    info->payload = 0;
}

/* ---- frames ---- */

/* Ports of the packet's sender and receiver, in their order in the key. */
static uint32_t ports(const uint8_t *l4, SvanWay way)
{
    return way == SVAN_OUTGOING ? get16(l4) << 16 | get16(l4 + 2) :
                                  get16(l4 + 2) << 16 | get16(l4);
}

/* *number: what tells the flow apart. */
static uint8_t transport(const uint8_t *l4, uint32_t len, uint8_t protocol, SvanWay way,
                         SvanFlowInfo *info, uint32_t *number)
{
    *number = protocol;
    if (protocol == IPPROTO_UDP && len >= UDP_HLEN) {
        info->witness = get16(l4 + 6) << 16 | get16(l4 + 4);
        *number = ports(l4, way);
        return SVAN_FLOW_UDP;
    }
    if (protocol == IPPROTO_TCP && len >= TCP_HLEN) {
        uint32_t header = (l4[12] >> 4) * 4;

        info->witness = get32(l4 + 4);
        info->payload = header >= TCP_HLEN && header <= len ? len - header : 0;
        info->ack = get32(l4 + 8);
        info->is_tcp_ack = l4[13] & 0x10;
        *number = ports(l4, way);
        return SVAN_FLOW_TCP;
    }
    return SVAN_FLOW_IP;
}

/* false: it is no IP packet. */
static bool of_ip(const SvanFrame *frame, uint32_t type, SvanWay way, uint16_t vlan,
                  SvanFlowInfo *info)
{
    const uint8_t *ip = frame->data + info->l3;
    uint32_t room = frame->len - info->l3, hlen, total, number;
    bool out = way == SVAN_OUTGOING, whole = true;
    uint8_t sgid[16], dgid[16], protocol;

    info->ipv4 = type == ETHERTYPE_IPV4;
    if (info->ipv4 && room >= IPV4_HLEN && ip[0] >> 4 == 4 && (ip[0] & 15) >= 5) {
        info->traffic_class = ip[1];
        hlen = (ip[0] & 15) * 4;
        total = get16(ip + 2);
        whole = !(get16(ip + 6) & IPV4_FRAGMENT_MASK);
        protocol = ip[9];
        svan_gid_from_ipv4(sgid, ip + 12);
        svan_gid_from_ipv4(dgid, ip + 16);
    } else if (type == ETHERTYPE_IPV6 && room >= IPV6_HLEN && ip[0] >> 4 == 6) {
        info->traffic_class = get16(ip) >> 4;
        hlen = IPV6_HLEN;
        total = IPV6_HLEN + get16(ip + 4);
        protocol = ip[6];
        memcpy(sgid, ip + 8, 16);
        memcpy(dgid, ip + 24, 16);
    } else {
        return false;
    }
    total = total < room ? total : room;
    info->l4 = info->l3 + hlen;
    info->end = info->l3 + total;
    info->kind = transport(ip + hlen, whole && total > hlen ? total - hlen : 0, protocol,
                           way, info, &number);
    info->key = svan_flow_key(out ? dgid : sgid, out ? sgid : dgid, vlan, info->kind, number);
    return true;
}

void svan_flow_of_frame(const SvanFrame *frame, SvanWay way, SvanFlowInfo *info)
{
    uint32_t type, l3 = svan_frame_l3(frame, &type);
    bool tagged = svan_frame_is_tagged(frame) && frame->len >= ETH_HLEN + VLAN_HLEN;
    uint16_t vlan = svan_vlan_id(tagged, tagged ? get16(frame->data + ETH_HLEN) : 0);
    uint8_t macs[2][16] = { { 0 } };

    *info = (SvanFlowInfo) { .l3 = l3 };
    /* By its MAC address: a subnet's broadcast address looks like any other. */
    if (l3 && !(frame->data[0] & MCAST_OCTET) && of_ip(frame, type, way, vlan, info)) {
        return;
    }
    memcpy(macs[0] + 10, frame->data + (way == SVAN_OUTGOING ? 0 : 6), 6);
    memcpy(macs[1] + 10, frame->data + (way == SVAN_OUTGOING ? 6 : 0), 6);
    info->kind = SVAN_FLOW_ETHERNET;
    info->key = svan_flow_key(macs[0], macs[1], vlan, SVAN_FLOW_ETHERNET, type);
}
