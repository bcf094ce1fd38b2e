/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pattern: each word is its own offset, multiplied by an odd number, so that a word
 * tells where it stands.
 */
#include <endian.h>
#include <string.h>

#include "fake.h"
#include "payload.h"

#define FACTOR          0x9e3779b97f4a7c15ull
#define WORD            8u
#define SHORTEST        (2 * WORD)
#define SPOILT          0xa5

/* Its inverse modulo 2^64, by Newton's iteration. */
static uint64_t inverse(void)
{
    uint64_t x = FACTOR;

    for (uint32_t i = 0; i < 6; i++) {
        x *= 2 - FACTOR * x;
    }
    return x;
}

static uint64_t word_at(const uint8_t *data)
{
    uint64_t word;

    memcpy(&word, data, WORD);
    return le64toh(word);
}

void payload_init(Payload *payload, uint32_t message)
{
    *payload = (Payload) { .size = message + PAYLOAD_PERIOD };
    for (uint32_t i = 0; i < sizeof(payload->pattern); i += WORD) {
        uint64_t word = htole64(i % PAYLOAD_PERIOD * FACTOR);

        memcpy(payload->pattern + i, &word, WORD);
    }
}

uint64_t payload_address(uint32_t flow, uint32_t n, uint32_t log_mtu)
{
    return PAYLOAD_BASE + ((uint64_t)(flow + n) << log_mtu) % PAYLOAD_PERIOD;
}

static bool is_inside(const Payload *payload, uint64_t bus)
{
    return bus - PAYLOAD_BASE < payload->size;
}

void *payload_source(Payload *payload, uint64_t bus)
{
    return is_inside(payload, bus) ?
           payload->pattern + (bus - PAYLOAD_BASE) % PAYLOAD_PERIOD : NULL;
}

void *payload_target(Payload *payload, uint64_t bus, bool check)
{
    if (!is_inside(payload, bus)) {
        return NULL;
    }
    if (check) {
        memset(payload->page, SPOILT, sizeof(payload->page));
    }
    return payload->page + bus % sizeof(payload->page);
}

void payload_check(Payload *payload, uint64_t bus, const void *host, uint32_t len)
{
    payload->checked++;
    payload->wrong += memcmp(host, payload->pattern + (bus - PAYLOAD_BASE) % PAYLOAD_PERIOD,
                             len) != 0;
}

uint64_t payload_tag(Payload *payload, const uint8_t *data, uint32_t len, bool check)
{
    static uint64_t unfactor;
    uint64_t offset, last;

    if (len < SHORTEST) {
        return PAYLOAD_NONE;
    }
    unfactor = unfactor ? unfactor : inverse();
    offset = word_at(data) * unfactor;
    last = (len - WORD) & ~(uint64_t)(WORD - 1);
    if (offset >= PAYLOAD_PERIOD || offset % WORD || offset + len > sizeof(payload->pattern) ||
        word_at(data + last) != word_at(payload->pattern + offset + last) ||
        (check && memcmp(data, payload->pattern + offset, len))) {
        payload->wrong++;
        return PAYLOAD_NONE;
    }
    return offset;
}
