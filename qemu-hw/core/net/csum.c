/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checksums of IP, TCP and UDP in Ethernet frames.
 */
#include "net/switch.h"
#include "net/wire_ip.h"

static uint64_t pseudo_header(const uint8_t *ip, bool ipv4, uint8_t proto,
                              uint32_t len)
{
    uint64_t sum = ipv4 ? svan_csum_add(0, ip + 12, 8) :
                          svan_csum_add(0, ip + 8, 32);

    return sum + proto + len;
}

static uint8_t check_l4(const uint8_t *ip, bool ipv4, uint8_t proto,
                        const uint8_t *l4, uint32_t len)
{
    if ((proto != IPPROTO_TCP || len < TCP_HLEN) &&
        (proto != IPPROTO_UDP || len < UDP_HLEN)) {
        return 0;
    }
    if (proto == IPPROTO_UDP &&
        ((!l4[6] && !l4[7]) || (uint32_t)(l4[4] << 8 | l4[5]) != len)) {
        return 0;                       /* no checksum, or one for another length */
    }
    return svan_csum_fold(svan_csum_add(pseudo_header(ip, ipv4, proto, len),
                                        l4, len)) ? 0 : SVAN_CQE_CSUM_L4_OK;
}

static uint8_t check_ipv4(const uint8_t *ip, uint32_t room)
{
    uint32_t hlen = (ip[0] & 0xf) * 4, total = ip[2] << 8 | ip[3];
    uint32_t fragment = (ip[6] << 8 | ip[7]) & IPV4_FRAGMENT_MASK;

    if (ip[0] >> 4 != 4 || hlen < IPV4_HLEN || total < hlen || total > room ||
        svan_csum_fold(svan_csum_add(0, ip, hlen))) {
        return 0;
    }
    return SVAN_CQE_CSUM_IP_OK |
           (fragment ? 0 : check_l4(ip, true, ip[9], ip + hlen, total - hlen));
}

static uint8_t check_ipv6(const uint8_t *ip, uint32_t room)
{
    uint32_t len = ip[4] << 8 | ip[5];

    if (ip[0] >> 4 != 6 || len > room - IPV6_HLEN) {
        return 0;
    }
    return check_l4(ip, false, ip[6], ip + IPV6_HLEN, len);
}

uint8_t svan_frame_csum(const SvanFrame *frame)
{
    const uint8_t *p = frame->data;
    uint32_t off = ETH_HLEN;
    uint32_t type = p[12] << 8 | p[13];

    if (type == ETHERTYPE_VLAN && frame->len >= ETH_HLEN + VLAN_HLEN) {
        type = p[16] << 8 | p[17];
        off += VLAN_HLEN;
    }
    if (type == ETHERTYPE_IPV4 && frame->len >= off + IPV4_HLEN) {
        return check_ipv4(p + off, frame->len - off);
    }
    if (type == ETHERTYPE_IPV6 && frame->len >= off + IPV6_HLEN) {
        return check_ipv6(p + off, frame->len - off);
    }
    return 0;
}

bool svan_frame_complete_csum(SvanFrame *frame, const struct svan_wqe_eth *eth)
{
    uint32_t start = le16toh(eth->csum_start);
    uint32_t field = start + le16toh(eth->csum_offset);
    uint16_t csum;

    if (start >= frame->len || field + 2 > frame->len) {
        return false;
    }
    csum = svan_csum_fold(svan_csum_add(0, frame->data + start,
                                        frame->len - start));
    csum = csum ? csum : 0xffff;        /* zero means "none" in UDP */
    frame->data[field] = csum >> 8;
    frame->data[field + 1] = csum;
    return true;
}
