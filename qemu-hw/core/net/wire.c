/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RoCEv2 packets to octets and back (PRM "Wire format"; IBTA volume 1, chapter
 * 9 and annex A17). A frame of this encoder, decoded, encodes to the same octets.
 */
#include <string.h>

#include "net/switch.h"
#include "net/wire_ip.h"

#define MAX_HEADERS     (14 + 4 + 40 + 8 + 12 + 28 + 8 + 8 + 4 + 4)

/* ---- big-endian stores and loads at any alignment ---- */

static uint8_t *put16(uint8_t *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, 2);
    return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, 4);
    return p + 4;
}

static uint8_t *put64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, 8);
    return p + 8;
}

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, 2);
    return be16toh(v);
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return be32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return be64toh(v);
}

/* ---- encoding ---- */

static uint8_t *encode_eth(uint8_t *p, const SvanAddr *addr)
{
    memcpy(p, addr->dmac, 6);
    memcpy(p + 6, addr->smac, 6);
    p += 12;
    if (addr->has_vlan) {
        p = put16(p, ETHERTYPE_VLAN);
        p = put16(p, addr->vlan);
    }
    return put16(p, addr->ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}

static uint8_t *encode_ipv4(uint8_t *ip, const SvanAddr *addr, uint32_t l4_len)
{
    ip[0] = 0x45;
    ip[1] = addr->traffic_class;
    put16(ip + 2, IPV4_HLEN + l4_len);
    put16(ip + 4, addr->ip_id);
    put16(ip + 6, IPV4_DF);
    ip[8] = addr->hop_limit;
    ip[9] = IPPROTO_UDP;
    put16(ip + 10, 0);
    memcpy(ip + 12, addr->sgid + 12, 4);
    memcpy(ip + 16, addr->dgid + 12, 4);
    put16(ip + 10, svan_csum_fold(svan_csum_add(0, ip, IPV4_HLEN)));
    return ip + IPV4_HLEN;
}

static uint8_t *encode_ipv6(uint8_t *ip, const SvanAddr *addr, uint32_t l4_len)
{
    put32(ip, 6u << 28 | (uint32_t)addr->traffic_class << 20 |
              (addr->flow_label & 0xfffff));
    put16(ip + 4, l4_len);
    ip[6] = IPPROTO_UDP;
    ip[7] = addr->hop_limit;
    memcpy(ip + 8, addr->sgid, 16);
    memcpy(ip + 24, addr->dgid, 16);
    return ip + IPV6_HLEN;
}

static uint32_t ext_len(const SvanOpInfo *info)
{
    return (info->deth ? sizeof(struct svan_deth) : 0) +
           (info->reth ? sizeof(struct svan_reth) : 0) +
           (info->atomic_eth ? sizeof(struct svan_atomic_eth) : 0) +
           (info->aeth ? sizeof(struct svan_aeth) : 0) +
           (info->atomic_ack ? sizeof(struct svan_atomic_ack_eth) : 0) +
           (info->immdt ? sizeof(struct svan_immdt) : 0) +
           (info->ieth ? 4 : 0);
}

/* Octets of the UDP datagram. */
static uint32_t l4_len_of(const SvanPkt *pkt)
{
    return UDP_HLEN + sizeof(struct svan_bth) + ext_len(svan_op_info(pkt->opcode)) +
           pkt->payload_len + (-pkt->payload_len & 3) + SVAN_ICRC_SIZE;
}

void svan_pkt_network_header(const SvanPkt *pkt, uint8_t *header)
{
    uint32_t l4_len = l4_len_of(pkt);

    if (pkt->addr.ipv4) {
        memset(header, 0, IPV6_HLEN - IPV4_HLEN);
        encode_ipv4(header + IPV6_HLEN - IPV4_HLEN, &pkt->addr, l4_len);
    } else {
        encode_ipv6(header, &pkt->addr, l4_len);
    }
}

static uint8_t *encode_bth(uint8_t *p, const SvanPkt *pkt, uint32_t pad)
{
    p[0] = pkt->opcode;
    p[1] = (pkt->bth_flags & (SVAN_BTH_SE | SVAN_BTH_MIGREQ)) |
           pad << SVAN_BTH_PAD_SHIFT;
    put16(p + 2, pkt->pkey);
    put32(p + 4, (pkt->fecn ? SVAN_BTH_FECN : 0) |
                 (pkt->becn ? SVAN_BTH_BECN : 0) |
                 (pkt->dqpn & SVAN_QPN_MASK));
    put32(p + 8, (pkt->ack_req ? SVAN_BTH_ACKREQ : 0) |
                 (pkt->psn & SVAN_PSN_MASK));
    return p + sizeof(struct svan_bth);
}

static uint8_t *encode_ext(uint8_t *p, const SvanPkt *pkt,
                           const SvanOpInfo *info)
{
    if (info->deth) {
        p = put32(p, pkt->qkey);
        p = put32(p, pkt->sqpn & SVAN_QPN_MASK);
    }
    if (info->reth) {
        p = put64(p, pkt->va);
        p = put32(p, pkt->rkey);
        p = put32(p, pkt->dma_len);
    }
    if (info->atomic_eth) {
        p = put64(p, pkt->va);
        p = put32(p, pkt->rkey);
        p = put64(p, pkt->swap_add);
        p = put64(p, pkt->compare);
    }
    if (info->aeth) {
        p = put32(p, (uint32_t)pkt->syndrome << 24 |
                     (pkt->msn & SVAN_PSN_MASK));
    }
    if (info->atomic_ack) {
        p = put64(p, pkt->orig);
    }
    if (info->immdt) {
        memcpy(p, &pkt->imm, 4);
        p += 4;
    }
    return info->ieth ? put32(p, pkt->ieth_key) : p;
}

static uint8_t *encode_payload(uint8_t *p, const SvanPkt *pkt, uint32_t pad)
{
    uint32_t left = pkt->payload_len;

    for (uint32_t i = 0; i < pkt->num_runs && left; i++) {
        uint32_t n = pkt->runs[i].len < left ? pkt->runs[i].len : left;

        memcpy(p, pkt->runs[i].host, n);
        p += n;
        left -= n;
    }
    memset(p, 0, left + pad);
    return p + left + pad;
}

static uint32_t l3_offset_of(const SvanPkt *pkt)
{
    return ETH_HLEN + (pkt->addr.has_vlan ? VLAN_HLEN : 0);
}

uint32_t svan_pkt_len(const SvanPkt *pkt)
{
    return l3_offset_of(pkt) + (pkt->addr.ipv4 ? IPV4_HLEN : IPV6_HLEN) + l4_len_of(pkt);
}

/* All but the ICRC. Returns where that belongs. */
static uint8_t *encode(const SvanPkt *pkt, uint8_t *frame)
{
    const SvanOpInfo *info = svan_op_info(pkt->opcode);
    uint32_t pad = -pkt->payload_len & 3;
    uint32_t l4_len = l4_len_of(pkt);
    uint8_t head[MAX_HEADERS], *l3 = encode_eth(head, &pkt->addr), *p;

    p = pkt->addr.ipv4 ? encode_ipv4(l3, &pkt->addr, l4_len) :
                         encode_ipv6(l3, &pkt->addr, l4_len);
    p = put16(p, pkt->addr.udp_sport);
    p = put16(p, SVAN_ROCE_UDP_PORT);
    p = put16(p, l4_len);
    p = put16(p, 0);
    p = encode_bth(p, pkt, pad);
    p = encode_ext(p, pkt, info);
    memcpy(frame, head, p - head);
    return encode_payload(frame + (p - head), pkt, pad);
}

void svan_pkt_encode_in(const SvanPkt *pkt, uint8_t *frame)
{
    memset(encode(pkt, frame), 0, SVAN_ICRC_SIZE);
}

static SvanFrame *encode_frame(const SvanPkt *pkt, bool with_icrc)
{
    uint32_t len = svan_pkt_len(pkt), icrc = 0;
    SvanFrame *frame = svan_frame_alloc(len);
    uint8_t *end;

    if (!frame) {
        return NULL;
    }
    frame->len = len;
    end = encode(pkt, frame->data);
    if (with_icrc) {
        icrc = htole32(svan_icrc(frame->data, l3_offset_of(pkt), end - frame->data));
    }
    memcpy(end, &icrc, SVAN_ICRC_SIZE);
    return frame;
}

SvanFrame *svan_pkt_encode(const SvanPkt *pkt)
{
    return encode_frame(pkt, true);
}

SvanFrame *svan_pkt_encode_no_icrc(const SvanPkt *pkt)
{
    return encode_frame(pkt, false);
}

/* ---- decoding ---- */

/*
 * IPv4 without options or fragments, or IPv6 without extensions. A v4-mapped address
 * in an IPv6 header is refused (RFC 4291, 2.5.5.2): as a GID it means IPv4.
 */
static bool decode_ip(const uint8_t *ip, uint32_t room, SvanAddr *addr,
                      uint32_t *l4, uint32_t *end)
{
    if (addr->ipv4) {
        if (room < IPV4_HLEN || ip[0] != 0x45 || ip[9] != IPPROTO_UDP ||
            (get16(ip + 6) & ~IPV4_DF)) {
            return false;
        }
        addr->traffic_class = ip[1];
        addr->ip_id = get16(ip + 4);
        addr->hop_limit = ip[8];
        svan_gid_from_ipv4(addr->sgid, ip + 12);
        svan_gid_from_ipv4(addr->dgid, ip + 16);
        *l4 = IPV4_HLEN;
        *end = get16(ip + 2);
    } else {
        if (room < IPV6_HLEN || ip[0] >> 4 != 6 || ip[6] != IPPROTO_UDP) {
            return false;
        }
        addr->traffic_class = get16(ip) >> 4;
        addr->flow_label = get32(ip) & 0xfffff;
        addr->hop_limit = ip[7];
        memcpy(addr->sgid, ip + 8, 16);
        memcpy(addr->dgid, ip + 24, 16);
        *l4 = IPV6_HLEN;
        *end = IPV6_HLEN + get16(ip + 4);
        if (svan_gid_is_ipv4(addr->sgid) || svan_gid_is_ipv4(addr->dgid)) {
            return false;
        }
    }
    return *end <= room && *end >= *l4 + UDP_HLEN;
}

/* A frame: what is decided by is read from head, of SVAN_PACKET_HEAD octets or all. */
typedef struct Octets {
    const uint8_t *head, *data;
    uint32_t len;
} Octets;

static Octets octets_of(const SvanFrame *frame)
{
    return (Octets) { frame->data, frame->data, frame->len };
}

/* Where the parts of a frame begin, as offsets, and where the UDP datagram ends. */
typedef struct Parts {
    uint32_t l3, bth, end;
} Parts;

/* Ethernet, IP and UDP. */
static bool decode_l2l4(const Octets *frame, SvanAddr *addr, Parts *parts)
{
    const uint8_t *p = frame->head;
    uint32_t off = ETH_HLEN, l4, ip_end;
    uint16_t type;

    if (frame->len < ETH_HLEN + VLAN_HLEN) {
        return false;
    }
    memcpy(addr->dmac, p, 6);
    memcpy(addr->smac, p + 6, 6);
    type = get16(p + 12);
    addr->has_vlan = type == ETHERTYPE_VLAN;
    addr->vlan = 0;
    if (addr->has_vlan) {
        addr->vlan = get16(p + 14);
        type = get16(p + 16);
        off += VLAN_HLEN;
    }
    addr->ipv4 = type == ETHERTYPE_IPV4;
    addr->flow_label = 0;
    addr->ip_id = 0;
    if ((!addr->ipv4 && type != ETHERTYPE_IPV6) ||
        !decode_ip(p + off, frame->len - off, addr, &l4, &ip_end)) {
        return false;
    }
    parts->l3 = off;
    parts->bth = off + l4 + UDP_HLEN;
    parts->end = off + ip_end;
    addr->udp_sport = get16(p + off + l4);
    return get16(p + off + l4 + 2) == SVAN_ROCE_UDP_PORT;
}

bool svan_pkt_peek(const SvanFrame *frame, SvanAddr *addr)
{
    Octets octets = octets_of(frame);
    Parts parts;

    return decode_l2l4(&octets, addr, &parts);
}

static void decode_bth(const uint8_t *p, SvanPkt *pkt)
{
    uint32_t qpn = get32(p + 4);
    uint32_t psn = get32(p + 8);

    pkt->opcode = p[0];
    pkt->bth_flags = p[1] & (SVAN_BTH_SE | SVAN_BTH_MIGREQ);
    pkt->pkey = get16(p + 2);
    pkt->fecn = qpn & SVAN_BTH_FECN;
    pkt->becn = qpn & SVAN_BTH_BECN;
    pkt->dqpn = qpn & SVAN_QPN_MASK;
    pkt->ack_req = psn & SVAN_BTH_ACKREQ;
    pkt->psn = psn & SVAN_PSN_MASK;
}

static const uint8_t *decode_ext(const uint8_t *p, SvanPkt *pkt,
                                 const SvanOpInfo *info)
{
    if (info->deth) {
        pkt->qkey = get32(p);
        pkt->sqpn = get32(p + 4) & SVAN_QPN_MASK;
        p += sizeof(struct svan_deth);
    }
    if (info->reth) {
        pkt->va = get64(p);
        pkt->rkey = get32(p + 8);
        pkt->dma_len = get32(p + 12);
        p += sizeof(struct svan_reth);
    }
    if (info->atomic_eth) {
        pkt->va = get64(p);
        pkt->rkey = get32(p + 8);
        pkt->swap_add = get64(p + 12);
        pkt->compare = get64(p + 20);
        p += sizeof(struct svan_atomic_eth);
    }
    if (info->aeth) {
        pkt->syndrome = p[0];
        pkt->msn = get32(p) & SVAN_PSN_MASK;
        p += sizeof(struct svan_aeth);
    }
    if (info->atomic_ack) {
        pkt->orig = get64(p);
        p += sizeof(struct svan_atomic_ack_eth);
    }
    if (info->immdt) {
        memcpy(&pkt->imm, p, 4);
        p += sizeof(struct svan_immdt);
    }
    if (info->ieth) {
        pkt->ieth_key = get32(p);
        p += 4;
    }
    return p;
}

/* The IPv4 header checksum, which the ICRC leaves out, and the length of IP and UDP. */
static bool headers_agree(const uint8_t *ip, bool ipv4, uint32_t l4_len)
{
    uint32_t l4 = ipv4 ? IPV4_HLEN : IPV6_HLEN;

    return get16(ip + l4 + 4) == l4_len &&
           (!ipv4 || !svan_csum_fold(svan_csum_add(0, ip, IPV4_HLEN)));
}

/* The headers behind UDP, and the payload by reference; end: where the ICRC begins. */
static SvanDecode decode_ib(const Octets *frame, uint32_t bth, uint32_t end, SvanPkt *pkt)
{
    uint32_t ext = bth + sizeof(struct svan_bth), pad, begin;
    const uint8_t *p = frame->head;
    const SvanOpInfo *info;

    decode_bth(p + bth, pkt);
    info = svan_op_info(pkt->opcode);
    pad = (p[bth + 1] & SVAN_BTH_PAD_MASK) >> SVAN_BTH_PAD_SHIFT;
    if (!info->valid || (p[bth + 1] & SVAN_BTH_TVER_MASK) ||
        end < ext + ext_len(info) + pad ||
        (!info->payload && end != ext + ext_len(info))) {
        return SVAN_DECODE_MALFORMED;
    }
    begin = decode_ext(p + ext, pkt, info) - p;
    pkt->payload_len = end - begin - pad;
    pkt->num_runs = pkt->payload_len ? 1 : 0;
    pkt->runs[0] = (SvanMem) {
        .host = (uint8_t *)frame->data + begin, .len = pkt->payload_len,
    };
    return pkt->payload_len <= SVAN_MAX_MTU && !((pkt->payload_len + pad) & 3) ?
           SVAN_DECODE_OK : SVAN_DECODE_MALFORMED;
}

static SvanDecode decode(const Octets *frame, SvanPkt *pkt, bool with_icrc)
{
    Parts parts;
    uint32_t end, icrc;

    if (!decode_l2l4(frame, &pkt->addr, &parts)) {
        return SVAN_DECODE_NOT_ROCE;
    }
    if (!headers_agree(frame->head + parts.l3, pkt->addr.ipv4,
                       parts.end - parts.bth + UDP_HLEN) ||
        parts.end < parts.bth + sizeof(struct svan_bth) + SVAN_ICRC_SIZE) {
        return SVAN_DECODE_MALFORMED;
    }
    end = parts.end - SVAN_ICRC_SIZE;
    memcpy(&icrc, frame->data + end, SVAN_ICRC_SIZE);
    if (with_icrc && le32toh(icrc) != svan_icrc(frame->data, parts.l3, end)) {
        return SVAN_DECODE_BAD_ICRC;
    }
    return decode_ib(frame, parts.bth, end, pkt);
}

SvanDecode svan_pkt_decode(const SvanFrame *frame, SvanPkt *pkt)
{
    Octets octets = octets_of(frame);

    return decode(&octets, pkt, true);
}

SvanDecode svan_pkt_decode_no_icrc(const SvanFrame *frame, SvanPkt *pkt)
{
    Octets octets = octets_of(frame);

    return decode(&octets, pkt, false);
}

/* ---- packets that are lent ---- */

static Octets octets_of_lent(const SvanLentPacket *lent)
{
    return (Octets) { lent->head, lent->data, lent->len };
}

SvanDecode svan_pkt_decode_lent(const SvanLentPacket *lent, SvanPkt *pkt)
{
    Octets octets = octets_of_lent(lent);

    return decode(&octets, pkt, false);
}

void svan_pkt_add_icrc(uint8_t *frame, uint32_t len)
{
    Octets octets = { frame, frame, len };
    SvanAddr addr;
    Parts parts;
    uint32_t icrc;

    if (decode_l2l4(&octets, &addr, &parts) &&
        parts.end >= parts.bth + sizeof(struct svan_bth) + SVAN_ICRC_SIZE) {
        parts.end -= SVAN_ICRC_SIZE;
        icrc = htole32(svan_icrc(frame, parts.l3, parts.end));
        memcpy(frame + parts.end, &icrc, SVAN_ICRC_SIZE);
    }
}

SvanFrame *svan_frame_of_lent(const SvanLentPacket *lent)
{
    uint32_t head = lent->len < SVAN_PACKET_HEAD ? lent->len : SVAN_PACKET_HEAD;
    SvanFrame *frame = svan_frame_alloc(lent->len);

    if (!frame) {
        return NULL;
    }
    frame->len = lent->len;
    memcpy(frame->data, lent->head, head);
    memcpy(frame->data + head, lent->data + head, lent->len - head);
    svan_pkt_add_icrc(frame->data, frame->len);
    return frame;
}
