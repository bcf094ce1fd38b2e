/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the packets carry. Each message is sent from, and stored to, a region of bus
 * addresses that all hosts have and that takes no memory: reads find a pattern that all
 * share, stores go to one page that all share. So a frame needs to keep only its headers
 * and where in the pattern its payload begins.
 *
 * That a packet carries the right octets is checked: its first and its last word when it
 * is sent, and of one packet in some all octets as they are sent, and again as they are
 * stored, to a page that was spoilt before.
 */
#ifndef FABRIC_PAYLOAD_H
#define FABRIC_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#define PAYLOAD_BASE            0x10000000000ull        /* bus address of the region */
#define PAYLOAD_PERIOD          16384u
/* The payload of a frame that keeps all of its octets. */
#define PAYLOAD_NONE            UINT64_MAX

typedef struct Payload {
    uint64_t size;              /* octets of the region */
    uint64_t checked;           /* packets that were compared when they were stored */
    uint64_t wrong;             /* they were not what they should be */
    _Alignas(64) uint8_t pattern[PAYLOAD_PERIOD + 64];
    _Alignas(4096) uint8_t page[4096];
} Payload;

/* For messages of so many octets. */
void payload_init(Payload *payload, uint32_t message);
/* Where the n-th message of a flow lies; packets of it do not cross pages. */
uint64_t payload_address(uint32_t flow, uint32_t n, uint32_t log_mtu);
/* To read there, as SvanOps.map. NULL: not in the region. */
void *payload_source(Payload *payload, uint64_t bus);
/* To store there. check: the page is spoilt before. */
void *payload_target(Payload *payload, uint64_t bus, bool check);
/* The core has stored a packet there, which is compared. */
void payload_check(Payload *payload, uint64_t bus, const void *host, uint32_t len);
/*
 * What is sent, as an offset in the pattern. PAYLOAD_NONE: it is too short for that, or
 * wrong. check: it is compared.
 */
uint64_t payload_tag(Payload *payload, const uint8_t *data, uint32_t len, bool check);

#endif /* FABRIC_PAYLOAD_H */
