/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets that their own headers contradict, and operations that are none: all
 * with an ICRC that is right.
 */
#include "rc_peer.h"
#include "net/wire_ip.h"

#define UDP4            (ETH_HLEN + IPV4_HLEN)
#define BTH4            (UDP4 + UDP_HLEN)

/* A WRITE of 16 octets that the queue pair would execute. */
static SvanFrame *good_frame(Rc *rc, bool ipv4)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, PSN_IN, rc_mem(rc, 0), 16);
    SvanGid *gid = &host_fn(rc->host)->net->gids[0];
    SvanFrame *frame;

    pkt.va = rc->buffer + 0x8000;
    pkt.rkey = rc->host->all_key;
    pkt.dma_len = 16;
    pkt.ack_req = true;
    pkt.pkey = SVAN_PKEY_DEFAULT;
    pkt.dqpn = rc->qp.qpn;
    pkt.psn = PSN_IN;
    memcpy(pkt.addr.smac, peer_mac, 6);
    memcpy(pkt.addr.dmac, gid->smac, 6);
    memcpy(pkt.addr.sgid, rc->core->av.dgid, 16);
    memcpy(pkt.addr.dgid, gid->gid, 16);
    pkt.addr.ipv4 = ipv4;
    pkt.addr.hop_limit = 64;
    frame = svan_pkt_encode(&pkt);
    assert_non_null(frame);
    return frame;
}

/* The frame with its ICRC put right. */
static void arrive(Rc *rc, SvanFrame *frame)
{
    uint32_t end = frame->len - SVAN_ICRC_SIZE;
    uint32_t icrc = htole32(svan_icrc(frame->data, ETH_HLEN, end));

    memcpy(frame->data + end, &icrc, sizeof(icrc));
    assert_true(svan_frame_in(rc->fake->core, frame));
    fake_run(rc->fake);
}

static void put16(SvanFrame *frame, uint32_t at, uint16_t value)
{
    frame->data[at] = value >> 8;
    frame->data[at + 1] = value;
}

static uint16_t get16(const SvanFrame *frame, uint32_t at)
{
    return frame->data[at] << 8 | frame->data[at + 1];
}

/* The control of those below. */
static void a_good_one_is_executed(void **state)
{
    Rc *rc = *state;

    arrive(rc, good_frame(rc, true));
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    assert_int_equal(RC_STAT(rc, rx_malformed), 0);
}

static void use_ipv6(Rc *rc)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_GID);

    memcpy(cmd.set_gid.gid, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    memcpy(cmd.set_gid.smac, host_fn(rc->host)->net->gids[0].smac, 6);
    host_must(rc->host, &cmd);
    memcpy(qp_new_av(rc->core)->dgid, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
}

static void a_udp_length_of_its_own(void **state)
{
    static const int off[] = { -16, -4, -1, 1, 4 };
    Rc *rc = *state;

    for (uint32_t i = 0; i < SIZE(off); i++) {
        SvanFrame *frame = good_frame(rc, true);

        put16(frame, UDP4 + 4, get16(frame, UDP4 + 4) + off[i]);
        arrive(rc, frame);
        RC_SENT_NOTHING(rc);
        assert_int_equal(RC_STAT(rc, rx_malformed), i + 1);
    }
}

static void a_udp_length_of_its_own_over_ipv6(void **state)
{
    const uint32_t at = ETH_HLEN + IPV6_HLEN + 4;
    Rc *rc = *state;
    SvanFrame *frame;

    use_ipv6(rc);
    arrive(rc, good_frame(rc, false));
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    frame = good_frame(rc, false);
    put16(frame, at, get16(frame, at) - 4);
    arrive(rc, frame);
    RC_SENT_NOTHING(rc);
    assert_int_equal(RC_STAT(rc, rx_malformed), 1);
}

/* The ICRC does not cover it. */
static void an_ip_checksum_that_is_wrong(void **state)
{
    Rc *rc = *state;
    SvanFrame *frame = good_frame(rc, true);

    frame->data[ETH_HLEN + 10] ^= 0x40;
    arrive(rc, frame);
    RC_SENT_NOTHING(rc);
    assert_int_equal(RC_STAT(rc, rx_malformed), 1);
}

/* The same 16 octets in a header of IPv6 are not the peer that IPv4 has. */
static void mapped_addresses_are_no_ipv6(void **state)
{
    Rc *rc = *state;

    arrive(rc, good_frame(rc, false));
    RC_SENT_NOTHING(rc);
    assert_int_equal(RC_STAT(rc, roce_rx_packets), 0);
    assert_int_equal(RC_STAT(rc, rx_write_requests), 0);
}

/* Nor is anything sent with a source of the one and a destination of the other. */
static void both_addresses_are_of_one_version(void **state)
{
    Rc *rc = *state;

    qp_new_av(rc->core)->dgid[0] = 0xfe;
    rc_post(rc, SVAN_WQE_SEND, 0, 8);
    rc_go(rc);
    RC_SENT_NOTHING(rc);
}

/* Table 58: what is not known is refused, not taken for lost; 9.7.4.1.2. */
static void reserved_operations_are_refused(void **state)
{
    static const uint8_t reserved[] = { 0x15, 0x18, 0x19, 0x1f };

    for (uint32_t i = 0; i < SIZE(reserved); i++) {
        Rc *rc = rc_new();
        SvanFrame *frame;

        rc_to(rc, SVAN_QPS_RTS);
        frame = good_frame(rc, true);
        frame->data[BTH4] = reserved[i];
        arrive(rc, frame);
        RC_SENT_AETH(rc, PSN_IN, NAK(INVALID_REQUEST));
        assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
        assert_int_equal(rc_event(rc), SVAN_EVENT_QP_REQ_ERR);
        assert_int_equal(RC_STAT(rc, rx_malformed), 0);
        rc_free(rc);
    }
}

/* Ahead of its turn it is a gap like any other, and of another transport noise. */
static void reserved_operations_out_of_place(void **state)
{
    Rc *rc = *state;
    SvanFrame *frame = good_frame(rc, true);

    frame->data[BTH4] = 0x1f;
    memset(frame->data + BTH4 + 9, 0, 3);       /* the PSN behind PSN_IN */
    arrive(rc, frame);
    RC_SENT_AETH(rc, PSN_IN, NAK(PSN_SEQ));
    frame = good_frame(rc, true);
    frame->data[BTH4] = SVAN_BTH_UD | 0x1f;
    arrive(rc, frame);
    RC_SENT_NOTHING(rc);
    assert_int_equal(RC_STAT(rc, rx_malformed), 1);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_RTS);
}

static uint32_t icrc_of(const SvanFrame *frame)
{
    uint32_t icrc;

    memcpy(&icrc, frame->data + frame->len - SVAN_ICRC_SIZE, SVAN_ICRC_SIZE);
    return icrc;
}

/* Sent: zero. Received: whatever it is; all other checks are as ever. */
static void a_device_without_icrc(void **state)
{
    SvanConfig config = fake_config;
    SvanFrame *frame;
    Rc *rc;

    (void)state;
    config.no_icrc = true;
    rc = rc_new_as(&config);
    rc_to(rc, SVAN_QPS_RTS);
    frame = good_frame(rc, true);
    frame->data[frame->len - 1] ^= 1;
    assert_true(svan_frame_in(rc->fake->core, frame));
    frame = good_frame(rc, true);
    frame->data[BTH4] = SVAN_BTH_UD | 0x1f;
    assert_true(svan_frame_in(rc->fake->core, frame));
    fake_run(rc->fake);
    frame = fake_frame(rc->fake);
    assert_non_null(frame);
    assert_int_equal(icrc_of(frame), 0);
    assert_int_equal(svan_pkt_decode(frame, &rc->pkt), SVAN_DECODE_BAD_ICRC);
    assert_int_equal(svan_pkt_decode_no_icrc(frame, &rc->pkt),
                     SVAN_DECODE_OK);
    assert_int_equal(rc->pkt.syndrome, ACKED);
    assert_int_equal(RC_STAT(rc, rx_icrc_errors), 0);
    assert_int_equal(RC_STAT(rc, rx_malformed), 1);
    svan_frame_free(frame);
    rc_free(rc);
}

/* The opcode that is chosen for a part of a message is one of such a part. */
static void each_part_is_what_its_opcode_says(void **state)
{
    static const uint8_t verbs[] = {
        SVAN_VERB_SEND, SVAN_VERB_WRITE, SVAN_VERB_READ,
    };

    for (uint32_t i = 0; i < SIZE(verbs) * 8; i++) {
        bool first = i & 1, last = i & 2, imm = i & 4;
        uint8_t verb = verbs[i / 8];
        uint8_t op = svan_op_part(verb, first, last, imm);
        const SvanOpInfo *rc = svan_op_info(SVAN_BTH_RC | op);
        const SvanOpInfo *uc = svan_op_info(SVAN_BTH_UC | op);

        if (verb == SVAN_VERB_READ && imm) {
            continue;
        }
        assert_true(rc->valid && rc->payload);
        assert_int_equal(rc->verb, verb);
        assert_int_equal(rc->first, first);
        assert_int_equal(rc->last, last);
        assert_int_equal(rc->immdt, last && imm);
        assert_int_equal(rc->request, verb != SVAN_VERB_READ);
        assert_int_equal(rc->reth, verb == SVAN_VERB_WRITE && first);
        assert_int_equal(uc->valid, verb != SVAN_VERB_READ);
        assert_true(!uc->valid || !memcmp(uc, rc, sizeof(*uc)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RC_TEST(a_good_one_is_executed),
        RC_TEST(a_udp_length_of_its_own),
        RC_TEST(a_udp_length_of_its_own_over_ipv6),
        RC_TEST(an_ip_checksum_that_is_wrong),
        RC_TEST(mapped_addresses_are_no_ipv6),
        RC_TEST(both_addresses_are_of_one_version),
        cmocka_unit_test(reserved_operations_are_refused),
        RC_TEST(reserved_operations_out_of_place),
        cmocka_unit_test(a_device_without_icrc),
        cmocka_unit_test(each_part_is_what_its_opcode_says),
    };

    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
