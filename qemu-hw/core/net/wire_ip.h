/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The little of Ethernet, IP and their checksums that RoCE and the checksum
 * offloads need.
 */
#ifndef SVAN_WIRE_IP_H
#define SVAN_WIRE_IP_H

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#define ETH_HLEN                14u
#define VLAN_HLEN               4u
#define IPV4_HLEN               20u
#define IPV6_HLEN               40u
#define UDP_HLEN                8u
#define TCP_HLEN                20u
#define ETHERTYPE_IPV4          0x0800
#define ETHERTYPE_IPV6          0x86dd
#define ETHERTYPE_VLAN          0x8100
#define ETHERTYPE_QINQ          0x88a8
#define IPV4_DF                 0x4000
#define IPV4_OFFSET_MASK        0x1fff  /* the offset of a fragment */
#define IPV4_FRAGMENT_MASK      0x3fff  /* more fragments, offset */

/*
 * Internet checksum (RFC 1071) of big-endian words. `sum` is passed on from piece to
 * piece; all pieces but the last have an even length.
 */
static inline uint64_t svan_csum_add(uint64_t sum, const uint8_t *p,
                                     uint32_t len)
{
    while (len >= 4) {
        uint32_t v;

        memcpy(&v, p, 4);
        sum += be32toh(v);
        p += 4;
        len -= 4;
    }
    if (len >= 2) {
        sum += (uint32_t)p[0] << 8 | p[1];
        p += 2;
        len -= 2;
    }
    return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

static inline uint16_t svan_csum_fold(uint64_t sum)
{
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return ~sum;
}

/*
 * A word that a checksum covers changes: the checksum is updated (RFC 1624), not computed,
 * so that a wrong one stays wrong.
 */
static inline void svan_csum_update(uint8_t *checksum, uint16_t before, uint16_t after)
{
    uint32_t sum = (uint16_t)~(checksum[0] << 8 | checksum[1]);

    sum = svan_csum_fold(sum + (uint16_t)~before + after);
    checksum[0] = sum >> 8;
    checksum[1] = sum;
}

static inline void svan_gid_from_ipv4(uint8_t gid[16], const uint8_t ip[4])
{
    memset(gid, 0, 10);
    gid[10] = gid[11] = 0xff;
    memcpy(gid + 12, ip, 4);
}

static inline int svan_gid_is_ipv4(const uint8_t gid[16])
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

    return !memcmp(gid, prefix, sizeof(prefix));
}

#endif /* SVAN_WIRE_IP_H */
