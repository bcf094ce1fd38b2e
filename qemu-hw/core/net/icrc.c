/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Invariant CRC of RoCEv2 (IBTA volume 1, 7.8.1 and annex A17.3.3): CRC-32 over
 * eight octets of ones in place of the LRH, the IP, UDP and BTH headers with
 * the fields that routers may change set to ones, and everything behind them.
 */
#include <string.h>

#include <libdeflate.h>

#include "net/switch.h"
#include "net/wire_ip.h"

/* l3 points to an IPv4 header without options, or to an IPv6 header. */
static uint32_t mask_headers(uint8_t *l3)
{
    uint32_t l4;

    if (l3[0] >> 4 == 4) {
        l3[1] = 0xff;                   /* type of service */
        l3[8] = 0xff;                   /* time to live */
        l3[10] = l3[11] = 0xff;         /* checksum */
        l4 = IPV4_HLEN;
    } else {
        l3[0] |= 0x0f;                  /* traffic class, flow label */
        l3[1] = l3[2] = l3[3] = 0xff;
        l3[7] = 0xff;                   /* hop limit */
        l4 = IPV6_HLEN;
    }
    l3[l4 + 6] = l3[l4 + 7] = 0xff;     /* UDP checksum */
    l3[l4 + UDP_HLEN + 4] = 0xff;       /* BTH: FECN, BECN, reserved */
    return l4 + UDP_HLEN + sizeof(struct svan_bth);
}

/*
 * ICRC of the octets [l3_offset, len) of a frame: from the IP header to the
 * last octet before the ICRC. The caller has checked that the headers are there.
 * The value goes to the wire in little-endian order.
 */
uint32_t svan_icrc(const uint8_t *frame, uint32_t l3_offset, uint32_t len)
{
    uint8_t head[8 + IPV6_HLEN + UDP_HLEN + sizeof(struct svan_bth)];
    const uint8_t *l3 = frame + l3_offset;
    uint32_t hlen = (l3[0] >> 4 == 4 ? IPV4_HLEN : IPV6_HLEN) + UDP_HLEN +
                    sizeof(struct svan_bth);
    uint32_t crc;

    memset(head, 0xff, 8);
    memcpy(head + 8, l3, hlen);
    mask_headers(head + 8);
    crc = libdeflate_crc32(0, head, 8 + hlen);
    return libdeflate_crc32(crc, l3 + hlen, len - l3_offset - hlen);
}
