/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The invariant CRC against an oracle that follows the specification one bit at
 * a time: over frames of all lengths, wherever they begin, and over captured
 * ones. SVAN_SEED=n draws other frames.
 */
#include "unit.h"
#include "../golden/capture.h"

#define ETHERNET        14u             /* octets of headers */
#define HEADERS4        (20u + 8 + 12)  /* IPv4, UDP, BTH */
#define HEADERS6        (40u + 8 + 12)
#define LONGEST         (HEADERS6 + 4096 + 64)

static uint32_t crc32_of_bit_by_bit(uint32_t crc, uint8_t octet)
{
    crc ^= octet;
    for (int bit = 0; bit < 8; bit++) {
        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return crc;
}

/* What a router may change, as ones; A17.3.3. */
static uint8_t ones_of(const uint8_t *l3, uint32_t octet)
{
    if (l3[0] >> 4 == 4) {
        return octet == 1 || octet == 8 || octet == 10 || octet == 11 ||
               octet == 26 || octet == 27 || octet == 32 ? 0xff : 0;
    }
    return octet == 0 ? 0x0f : octet <= 3 || octet == 7 || octet == 46 ||
           octet == 47 || octet == 52 ? 0xff : 0;
}

static uint32_t oracle(const uint8_t *l3, uint32_t len)
{
    uint32_t crc = ~0u;

    for (int i = 0; i < 8; i++) {
        crc = crc32_of_bit_by_bit(crc, 0xff);
    }
    for (uint32_t i = 0; i < len; i++) {
        crc = crc32_of_bit_by_bit(crc, l3[i] | ones_of(l3, i));
    }
    return ~crc;
}

/* `len` octets from the IP header on, which begins at `offset` of the memory. */
static void hold_against_oracle(uint32_t offset, uint32_t len, bool ipv4,
                                unsigned short seed[3])
{
    uint8_t *data = malloc(offset + len);   /* as long as it must be, no more */
    uint32_t got, want;

    assert_non_null(data);
    for (uint32_t i = 0; i < offset + len; i++) {
        data[i] = nrand48(seed) >> 8;
    }
    data[offset] = (ipv4 ? 0x40 : 0x60) | (data[offset] & 0x0f);
    got = svan_icrc(data, offset, offset + len);
    want = oracle(data + offset, len);
    if (got != want) {
        fail_msg("IPv%d, %u octets at %u: 0x%08x, should be 0x%08x",
                 ipv4 ? 4 : 6, len, offset, got, want);
    }
    free(data);
}

static void every_length_at_some_offset(void **state)
{
    const char *given = getenv("SVAN_SEED");
    unsigned long value = given ? strtoul(given, NULL, 0) : 1;
    unsigned short seed[3] = { value, value >> 16, value >> 32 };

    (void)state;
    print_message("# SVAN_SEED=%lu\n", value);
    for (uint32_t len = HEADERS4; len <= LONGEST; len++) {
        hold_against_oracle(nrand48(seed) % 64, len, true, seed);
        if (len >= HEADERS6 && len % 7 == 0) {
            hold_against_oracle(nrand48(seed) % 64, len, false, seed);
        }
    }
}

static void every_offset_with_some_length(void **state)
{
    unsigned short seed[3] = { 7 };

    (void)state;
    for (uint32_t offset = 0; offset < 128; offset++) {
        hold_against_oracle(offset, HEADERS4 + nrand48(seed) % 512, true, seed);
        hold_against_oracle(offset, HEADERS6 + nrand48(seed) % 512, false, seed);
    }
}

/* The oracle, too, is no better than what others send. */
static void captured_frames(void **state)
{
    (void)state;
    assert_int_not_equal(num_frames, 0);
    for (uint32_t i = 0; i < num_frames; i++) {
        const SvanFrame *frame = frames[i];
        uint32_t end = frame->len - SVAN_ICRC_SIZE, icrc;

        memcpy(&icrc, frame->data + end, sizeof(icrc));
        assert_int_equal(oracle(frame->data + ETHERNET, end - ETHERNET),
                         le32toh(icrc));
        assert_int_equal(svan_icrc(frame->data, ETHERNET, end), le32toh(icrc));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_at_some_offset),
        cmocka_unit_test(every_offset_with_some_length),
        cmocka_unit_test(captured_frames),
    };

    return cmocka_run_group_tests_name("icrc", tests, load_capture, free_capture);
}
