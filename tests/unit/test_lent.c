/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A port that takes packets without ICRC in its own memory, and lends those that arrive.
 */
#include "rc_peer.h"
#include "net/wire_ip.h"

#define BTH4            (ETH_HLEN + IPV4_HLEN + UDP_HLEN)
#define LEN             16u

static int lent_setup(void **state)
{
    static const FakeHooks hooks = { .lends = true };
    FakeSetup setup = {
        .config = fake_config, .bus = FAKE_RAM_BASE, .ram_size = FAKE_RAM_SIZE,
        .hooks = &hooks,
    };
    Rc *rc = rc_new_on(fake_create_as(&setup));

    rc_to(rc, SVAN_QPS_RTS);
    *state = rc;
    return 0;
}

#define LENT_TEST(name) cmocka_unit_test_setup_teardown(name, lent_setup, rc_teardown)

static SvanPkt good_packet(Rc *rc)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, PSN_IN, rc_mem(rc, 0), LEN);
    SvanGid *gid = &host_fn(rc->host)->net->gids[0];

    pkt.va = rc->buffer + 0x8000;
    pkt.rkey = rc->host->all_key;
    pkt.dma_len = LEN;
    pkt.ack_req = true;
    pkt.pkey = SVAN_PKEY_DEFAULT;
    pkt.dqpn = rc->qp.qpn;
    memcpy(pkt.addr.smac, peer_mac, 6);
    memcpy(pkt.addr.dmac, gid->smac, 6);
    memcpy(pkt.addr.sgid, rc->core->av.dgid, 16);
    memcpy(pkt.addr.dgid, gid->gid, 16);
    pkt.addr.ipv4 = true;
    pkt.addr.hop_limit = 64;
    return pkt;
}

static SvanFrame *good_frame(Rc *rc)
{
    SvanPkt pkt = good_packet(rc);
    SvanFrame *frame = svan_pkt_encode_no_icrc(&pkt);

    assert_non_null(frame);
    return frame;
}

static void lend(Rc *rc, const SvanFrame *frame)
{
    fake_lend(rc->fake, frame);
    fake_run(rc->fake);
    assert_null(rc->fake->lent.data);
}

static bool was_written(Rc *rc)
{
    return !memcmp(rc_mem(rc, 0x8000), rc_mem(rc, 0), LEN);
}

/* ---- sending ---- */

static void packets_are_filled_in(void **state)
{
    Rc *rc = *state;
    SvanFrame *frame;
    SvanPkt pkt;

    rc_post(rc, SVAN_WQE_SEND, 0, 300);         /* two packets */
    rc_go(rc);
    assert_int_equal(rc->fake->out_packets, 2);
    assert_int_equal(rc->fake->out_frames, 2);
    frame = fake_frame(rc->fake);
    assert_int_equal(svan_pkt_decode(frame, &pkt), SVAN_DECODE_BAD_ICRC);
    assert_int_equal(svan_pkt_decode_no_icrc(frame, &pkt), SVAN_DECODE_OK);
    assert_int_equal(frame->len, svan_pkt_len(&pkt));
    assert_int_equal(pkt.payload_len, MTU);
    assert_memory_equal(pkt.runs[0].host, rc_mem(rc, 0), MTU);
    svan_frame_free(frame);
    assert_int_equal(RC_STAT(rc, port_tx_frames), 2);
}

static void no_room_is_waited_for(void **state)
{
    Rc *rc = *state;

    rc->fake->out_full = true;
    rc_post(rc, SVAN_WQE_SEND, 0, 100);
    rc_go(rc);
    assert_int_equal(rc->fake->out_frames, 0);
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    assert_int_equal(rc->fake->out_packets, 1);
}

/* ---- receiving ---- */

static void a_good_one_is_executed(void **state)
{
    Rc *rc = *state;
    SvanFrame *frame = good_frame(rc);

    lend(rc, frame);
    svan_frame_free(frame);
    assert_true(was_written(rc));
    assert_int_equal(rc->fake->out_packets, 1);         /* the acknowledgement */
    assert_int_equal(RC_STAT(rc, port_rx_frames), 1);
}

/* Only the copy of the headers counts: the peer changes its own as soon as it was made. */
static void headers_that_change_are_not_seen(void **state)
{
    Rc *rc = *state;
    SvanFrame *frame = good_frame(rc);

    fake_lend(rc->fake, frame);
    memset(frame->data, 0xff, BTH4 + sizeof(struct svan_bth) + sizeof(struct svan_reth));
    fake_run(rc->fake);
    svan_frame_free(frame);
    assert_true(was_written(rc));
}

/* However often the guest's memory is not translated yet: the same packet, once. */
static void a_miss_repeats_it(void **state)
{
    Rc *rc = *state;
    SvanFrame *frame = good_frame(rc);

    rc->fake->miss_every = 2;
    lend(rc, frame);
    svan_frame_free(frame);
    assert_true(was_written(rc));
    assert_true(rc->fake->misses > 0);
    assert_int_equal(RC_STAT(rc, roce_rx_packets), 1);
}

/* Lengths that contradict each other, in a frame of any length. */
static void cut_ones_are_refused(void **state)
{
    Rc *rc = *state;
    SvanFrame *frame = good_frame(rc);
    uint32_t whole = frame->len;

    for (uint32_t len = ETH_HLEN; len < whole; len++) {
        SvanFrame *cut = svan_frame_alloc(len);         /* for the sanitizer */

        memcpy(cut->data, frame->data, len);
        cut->len = len;
        lend(rc, cut);
        svan_frame_free(cut);
    }
    frame->data[BTH4] = SVAN_BTH_UD | 0x1f;
    lend(rc, frame);
    svan_frame_free(frame);
    assert_false(was_written(rc));
    assert_int_equal(RC_STAT(rc, rx_malformed), 1);
    assert_int_equal(RC_STAT(rc, roce_rx_packets), 0);
}

/* Whoever else gets it, gets it with an ICRC. */
static void it_is_passed_on_with_an_icrc(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = good_packet(rc);
    SvanFrame *frame = svan_pkt_encode_no_icrc(&pkt), *whole = svan_pkt_encode(&pkt), *passed;

    fake_lend(rc->fake, frame);
    passed = svan_frame_of_lent(&rc->fake->lent);
    assert_int_equal(passed->len, whole->len);
    assert_memory_equal(passed->data, whole->data, whole->len);
    svan_frame_free(passed);
    frame->data[ETH_HLEN + 19] ^= 1;            /* another host's, from here on */
    frame->data[0] ^= 4;
    fake_lend(rc->fake, frame);
    passed = svan_frame_of_lent(&rc->fake->lent);
    assert_int_equal(svan_pkt_decode(passed, &pkt), SVAN_DECODE_MALFORMED);
    svan_frame_free(passed);
    fake_run(rc->fake);
    assert_false(was_written(rc));
    assert_int_equal(RC_STAT(rc, roce_rx_packets), 0);
    svan_frame_free(frame);
    svan_frame_free(whole);
}

/* Frames and packets that are lent take turns; neither waits for the end of the other. */
static void frames_have_their_turn(void **state)
{
    Rc *rc = *state;
    SvanFrame *frame = good_frame(rc);
    SvanPkt pkt = good_packet(rc);

    for (unsigned i = 0; i < 3; i++) {
        assert_true(svan_frame_in(rc->fake->core, svan_pkt_encode(&pkt)));
    }
    lend(rc, frame);
    svan_frame_free(frame);
    assert_int_equal(RC_STAT(rc, port_rx_frames), 4);
    assert_int_equal(RC_STAT(rc, roce_rx_packets), 4);
    assert_int_equal(RC_STAT(rc, duplicate_request), 3);
    assert_true(was_written(rc));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LENT_TEST(packets_are_filled_in),
        LENT_TEST(no_room_is_waited_for),
        LENT_TEST(a_good_one_is_executed),
        LENT_TEST(headers_that_change_are_not_seen),
        LENT_TEST(a_miss_repeats_it),
        LENT_TEST(cut_ones_are_refused),
        LENT_TEST(it_is_passed_on_with_an_icrc),
        LENT_TEST(frames_have_their_turn),
    };

    return cmocka_run_group_tests_name("lent", tests, NULL, NULL);
}
