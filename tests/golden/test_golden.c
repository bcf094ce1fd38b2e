/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traffic of Linux 6.12's soft-RoCE, captured between two of its devices
 * (rxe.pcap: RC send, write, write with immediate, read, both atomics over IPv4,
 * writes over IPv6, UD sends): every frame decodes, and encodes to the same
 * octets, ICRC included.
 */
#include "capture.h"

static void every_frame_comes_back(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < num_frames; i++) {
        SvanPkt pkt = { 0 };
        SvanFrame *again;

        assert_int_equal(svan_pkt_decode(frames[i], &pkt), SVAN_DECODE_OK);
        again = svan_pkt_encode(&pkt);
        assert_non_null(again);
        assert_int_equal(again->len, frames[i]->len);
        assert_memory_equal(again->data, frames[i]->data, again->len);
        svan_frame_free(again);
    }
}

static void the_capture_is_worth_it(void **state)
{
    static const uint8_t wanted[] = {
        SVAN_OP_SEND_FIRST, SVAN_OP_SEND_MIDDLE, SVAN_OP_SEND_LAST,
        SVAN_OP_SEND_ONLY, SVAN_OP_WRITE_FIRST, SVAN_OP_WRITE_MIDDLE,
        SVAN_OP_WRITE_LAST, SVAN_OP_WRITE_LAST_IMM, SVAN_OP_WRITE_ONLY_IMM,
        SVAN_OP_READ_REQUEST, SVAN_OP_READ_RESP_FIRST, SVAN_OP_READ_RESP_MIDDLE,
        SVAN_OP_READ_RESP_LAST, SVAN_OP_ACK, SVAN_OP_ATOMIC_ACK,
        SVAN_OP_CMP_SWP, SVAN_OP_FETCH_ADD, SVAN_BTH_UD | SVAN_OP_SEND_ONLY,
    };
    bool seen[256] = { false }, ipv6 = false;

    (void)state;
    for (uint32_t i = 0; i < num_frames; i++) {
        SvanPkt pkt;

        assert_int_equal(svan_pkt_decode(frames[i], &pkt), SVAN_DECODE_OK);
        seen[pkt.opcode] = true;
        ipv6 |= !pkt.addr.ipv4;
    }
    for (size_t i = 0; i < sizeof(wanted); i++) {
        if (!seen[wanted[i]]) {
            fail_msg("no packet with opcode 0x%02x", wanted[i]);
        }
    }
    assert_true(ipv6);
}

/* Octets that the ICRC leaves out, counted from the IP header. */
static bool is_masked(const uint8_t *l3, uint32_t octet)
{
    if (l3[0] >> 4 == 4) {
        return octet == 1 || octet == 8 || octet == 10 || octet == 11 ||
               octet == 26 || octet == 27 || octet == 32;
    }
    return octet <= 3 || octet == 7 || octet == 46 || octet == 47 ||
           octet == 52;
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < num_frames; i++) {
        SvanFrame *frame = frames[i];

        for (uint32_t octet = 14; octet < frame->len; octet++) {
            SvanPkt pkt;

            if (is_masked(frame->data + 14, octet - 14)) {
                continue;
            }
            frame->data[octet] ^= 1u << (octet + i) % 8;
            if (svan_pkt_decode(frame, &pkt) == SVAN_DECODE_OK) {
                fail_msg("frame %u octet %u: nobody noticed", i, octet);
            }
            frame->data[octet] ^= 1u << (octet + i) % 8;
        }
    }
}

static void a_truncated_frame_is_no_packet(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < num_frames; i++) {
        uint32_t len = frames[i]->len;

        for (uint32_t cut = 0; cut < len; cut++) {
            SvanFrame *frame = svan_frame_alloc(cut);   /* for the sanitizer */
            SvanPkt pkt;

            memcpy(frame->data, frames[i]->data, cut);
            frame->len = cut;
            assert_int_not_equal(svan_pkt_decode(frame, &pkt), SVAN_DECODE_OK);
            svan_frame_free(frame);
        }
    }
}

static void vlan_and_ecn_are_kept(void **state)
{
    SvanPkt pkt = { 0 }, back = { 0 };
    SvanFrame *frame;

    (void)state;
    assert_int_equal(svan_pkt_decode(frames[0], &pkt), SVAN_DECODE_OK);
    pkt.addr.has_vlan = true;
    pkt.addr.vlan = 0x6123;
    pkt.addr.traffic_class = 0xbb;
    pkt.becn = true;
    frame = svan_pkt_encode(&pkt);
    assert_int_equal(svan_pkt_decode(frame, &back), SVAN_DECODE_OK);
    assert_true(back.addr.has_vlan);
    assert_int_equal(back.addr.vlan, 0x6123);
    assert_int_equal(back.addr.traffic_class, 0xbb);
    assert_true(back.becn);
    assert_int_equal(back.psn, pkt.psn);
    /* None of these is covered: the ICRC is that of the captured packet. */
    assert_memory_equal(frame->data + frame->len - 4,
                        frames[0]->data + frames[0]->len - 4, 4);
    svan_frame_free(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_comes_back),
        cmocka_unit_test(the_capture_is_worth_it),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(a_truncated_frame_is_no_packet),
        cmocka_unit_test(vlan_and_ecn_are_kept),
    };

    return cmocka_run_group_tests_name("golden", tests, load_capture,
                                       free_capture);
}
