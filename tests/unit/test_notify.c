/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Congestion notifications between NICs: who is told, when, and whom the NIC believes.
 */
#include "stand.h"

#define INTERVAL        (50 * US)

/* ---- the format ---- */

/* Made by other means than this code. */
static const uint8_t golden_ipv4[] = {
    0x02, 0x00, 0x00, 0x00, 0x09, 0x09, 0x02, 0x00, 0x00, 0x00, 0x00, 0x03,
    0x08, 0x00, 0x45, 0xc0, 0x00, 0x44, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
    0x25, 0xe7, 0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00, 0x00, 0x02, 0x12, 0xb9,
    0x12, 0xb9, 0x00, 0x30, 0xe5, 0x15, 0x53, 0x76, 0x4e, 0x43, 0x02, 0x01,
    0x05, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x12, 0x34, 0x56, 0x00, 0x00,
    0xab, 0xcd, 0x00, 0x00, 0x03, 0xe8, 0x00, 0x00, 0x00, 0x19, 0x00, 0x00,
    0xc3, 0x50, 0x00, 0x00, 0x27, 0x10, 0x00, 0x00, 0x69, 0xaa,
};

static const uint8_t golden_ipv6[] = {
    0x02, 0x00, 0x00, 0x00, 0x09, 0x09, 0x02, 0x00, 0x00, 0x00, 0x00, 0x03,
    0x81, 0x00, 0x00, 0x05, 0x86, 0xdd, 0x6c, 0x00, 0x00, 0x00, 0x00, 0x30,
    0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x12, 0xb9,
    0x12, 0xb9, 0x00, 0x30, 0x9d, 0xa3, 0x53, 0x76, 0x4e, 0x43, 0x02, 0x01,
    0x05, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x12, 0x34, 0x56, 0x00, 0x00,
    0xab, 0xcd, 0x00, 0x00, 0x03, 0xe8, 0x00, 0x00, 0x00, 0x19, 0x00, 0x00,
    0xc3, 0x50, 0x00, 0x00, 0x27, 0x10, 0x00, 0x00, 0x69, 0xaa,
};

/* Octet by octet, and back. */
static void the_format_is_the_manuals(void **state)
{
    const SvanNotice notice = {
        .kind = SVAN_FLOW_RDMA, .traffic_class = 5, .sequence = 7, .flow = 0x123456,
        .witness = 0xabcd, .packets = 1000, .marks = 25, .interval = 50000, .delay = 10000,
        .octets = 25 * 1082,
    };
    SvanAddr addr = {
        .dmac = { 2, 0, 0, 0, 9, 9 }, .smac = { 2, 0, 0, 0, 0, 3 }, .ipv4 = true,
        .sgid = { [10] = 255, 255, 10, 0, 0, 1 }, .dgid = { [10] = 255, 255, 10, 0, 0, 2 },
    };
    SvanFrame *frame = svan_notice_encode(&notice, &addr);
    SvanFlowInfo info;
    SvanNotice back;

    assert_int_equal(frame->len, sizeof(golden_ipv4));
    assert_memory_equal(frame->data, golden_ipv4, sizeof(golden_ipv4));
    assert_int_equal(svan_notice_decode(frame, &back, &info), SVAN_NOTICE_OK);
    svan_frame_free(frame);
    memcpy(addr.sgid, (uint8_t[16]) { 0x20, 1, 0xd, 0xb8, [15] = 1 }, 16);
    memcpy(addr.dgid, (uint8_t[16]) { 0x20, 1, 0xd, 0xb8, [15] = 2 }, 16);
    addr.ipv4 = false;
    addr.has_vlan = true;
    addr.vlan = 5;
    frame = svan_notice_encode(&back, &addr);           /* what was decoded */
    assert_int_equal(frame->len, sizeof(golden_ipv6));
    assert_memory_equal(frame->data, golden_ipv6, sizeof(golden_ipv6));
    assert_int_equal(svan_notice_decode(frame, &back, &info), SVAN_NOTICE_OK);
    assert_int_equal(svan_flow_vlan(&info.key), 5);
    for (uint32_t len = 14; len < sizeof(golden_ipv6); len++) {
        frame->len = len;
        assert_int_not_equal(svan_notice_decode(frame, &back, &info), SVAN_NOTICE_OK);
    }
    svan_frame_free(frame);
}

/* ---- whom the NIC believes ---- */

static void forgeries_are_ignored(void **state)
{
    Stand *stand = *state;
    SvanNotice good, bad;
    SvanAddr addr = backwards(stand);
    uint32_t ignored = 0;
    SvanFrame *frame;

    post(stand, 3);
    left(stand, NULL);
    good = notice_of(stand);
#define IGNORED(change) do { \
        bad = good; \
        change; \
        receive(stand, svan_notice_encode(&bad, &addr)); \
        assert_int_equal(COUNT(stand, notifications_ignored), ++ignored); \
        addr = backwards(stand); \
    } while (0)
    IGNORED(bad.witness = (good.witness + 1) & 0xffffff);
    IGNORED(bad.witness = (good.witness - SVAN_PSN_WINDOW - 1) & 0xffffff);
    IGNORED(bad.witness |= 1u << 24);
    IGNORED(bad.flow++);
    IGNORED(bad.kind = SVAN_FLOW_TCP);
    IGNORED(bad.kind = 0);
    IGNORED(bad.kind = SVAN_FLOW_ETHERNET);
    IGNORED(bad.marks = bad.packets + 1);
    IGNORED(bad.marks = 0);
    IGNORED(bad.octets = bad.marks - 1);
    IGNORED(bad.octets = bad.marks << 16);
    IGNORED(bad.traffic_class = 8);
    IGNORED(addr.sgid[15]++);
    IGNORED(addr.dgid[15]++);
    /* its checksum is wrong then */
    for (uint32_t i = 0; i < sizeof(struct svan_notification); i++) {
        frame = svan_notice_encode(&good, &addr);
        frame->data[42 + i] ^= 0x40;
        receive(stand, frame);
        assert_int_equal(COUNT(stand, notifications_ignored), ++ignored);
    }
    assert_int_equal(COUNT(stand, notifications_received), 0);
    assert_false(svan_rp_is_limited(&path_of(stand)->rp));
    notify(stand, &good);
    assert_int_equal(COUNT(stand, notifications_received), 1);
    IGNORED((void)0);                           /* once */
    assert_true(svan_rp_is_limited(&path_of(stand)->rp));
    assert_int_equal(completed(&stand->hall->stations[POLICED].recv_cq), 0);
}

/* Whoever it is for, the hosts do not see it, whether or not anything is enforced. */
static void notifications_stay_in_the_nic(void **state)
{
    Stand *stand = *state;
    SvanNotice notice = { .kind = SVAN_FLOW_RDMA, .packets = 1, .marks = 1,
                          .octets = 100 };
    SvanAddr addr = backwards(stand);

    for (uint32_t id = 0; id < NUM_STATIONS; id++) {
        memcpy(addr.dmac, stand->hall->stations[id].mac, 6);
        receive(stand, svan_notice_encode(&notice, &addr));
        assert_int_equal(completed(&stand->hall->stations[id].recv_cq), 0);
        assert_int_equal(STAT(stand->hall, id, notifications_ignored), 1);
    }
    memcpy(addr.dmac, stranger_mac, 6);
    addr.has_vlan = true;
    addr.vlan = 7;
    addr.ipv4 = false;
    memcpy(addr.sgid, (uint8_t[16]) { 0xfe, 0x80 }, 16);
    memcpy(addr.dgid, (uint8_t[16]) { 0xfe, 0x80 }, 16);
    receive(stand, svan_notice_encode(&notice, &addr));
    assert_int_equal(STAT(stand->hall, 0, notifications_ignored), 2);
}

static void functions_cannot_send_them(void **state)
{
    Stand *stand = *state;
    SvanNotice notice = { .kind = SVAN_FLOW_RDMA, .packets = 1, .marks = 1,
                          .octets = 100 };
    SvanAddr addr = backwards(stand);
    SvanFrame *frame;
    bool sent;

    memcpy(addr.smac, stand->hall->stations[POLICED].mac, 6);
    memcpy(addr.dmac, stranger_mac, 6);
    frame = svan_notice_encode(&notice, &addr);
    svan_frame_send(egress_of(stand->hall, POLICED), frame, &sent);
    assert_false(sent);
    assert_int_equal(COUNT(stand, spoof_roce_drops), 1);
    /* One that may send anything reaches no other function's reaction point by it. */
    svan_fn_trust(policed(stand));
    memcpy(addr.dmac, stand->hall->stations[2].mac, 6);
    frame = svan_notice_encode(&notice, &addr);
    svan_frame_send(egress_of(stand->hall, POLICED), frame, &sent);
    fake_run(stand->hall->fake);
    assert_int_equal(completed(&stand->hall->stations[2].recv_cq), 1);
    assert_int_equal(STAT(stand->hall, 2, notifications_ignored), 0);
}

/* ---- who is notified ---- */

/* A packet of the peer for the queue pair, or for none. */
/* Octets of its frame: Ethernet, IPv4, UDP, BTH and ICRC. */
#define EMPTY_PACKET    (14 + 20 + 8 + 12 + 4)

static void packet_in(Stand *stand, uint8_t traffic_class, uint32_t psn)
{
    SvanPkt pkt = {
        .opcode = SVAN_OP_SEND_ONLY, .pkey = SVAN_PKEY_DEFAULT, .dqpn = stand->qp.qpn,
        .psn = psn,
    };

    pkt.addr = backwards(stand);
    pkt.addr.traffic_class = traffic_class;
    receive(stand, svan_pkt_encode(&pkt));
}

/* The notification that has left; false: none has. Other frames are dropped. */
static bool notified(Stand *stand, SvanNotice *notice)
{
    bool found = false;
    SvanFlowInfo info;
    SvanFrame *frame;

    while ((frame = fake_frame(stand->hall->fake)) != NULL) {
        if (svan_notice_decode(frame, notice, &info) == SVAN_NOTICE_OK) {
            assert_false(found);
            found = true;
            assert_memory_equal(frame->data, stranger_mac, 6);
            assert_memory_equal(svan_flow_own(&info.key), peer_gid, 16);
            assert_int_equal(info.traffic_class, 0xc0);
        }
        svan_frame_free(frame);
    }
    return found;
}

static void marks_are_told_once_and_by_class(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    uint32_t first = 0;
    SvanNotice notice;

    for (uint32_t class = 0; class < SVAN_NOTIFICATION_CLASSES; class++) {
        uint64_t delay = 10 * (class + 1) * US;

        fake_advance(fake, 10 * MS);
        packet_in(stand, class << 5 | 2, 1);
        assert_false(notified(stand, &notice));
        packet_in(stand, class << 5 | 3, 2);
        packet_in(stand, class << 5 | 2, 3);
        packet_in(stand, class << 5 | 3, 4);
        fake_advance(fake, delay - 1);
        assert_false(notified(stand, &notice));
        fake_advance(fake, 1);
        assert_true(notified(stand, &notice));
        assert_int_equal(notice.kind, SVAN_FLOW_RDMA);
        assert_int_equal(notice.flow, stand->qp.qpn);
        assert_int_equal(notice.witness, 4);
        assert_int_equal(notice.packets, class ? 3 : 4);
        assert_int_equal(notice.marks, 2);
        assert_int_equal(notice.octets, 2 * EMPTY_PACKET);
        assert_int_equal(notice.traffic_class, class);
        assert_int_equal(notice.delay, delay);
        first = class ? first : notice.sequence;
        assert_int_equal(notice.sequence, first + class);
    }
    assert_int_equal(COUNT(stand, notifications_sent), SVAN_NOTIFICATION_CLASSES);
}

/* What comes from elsewhere, or in another VLAN, is not of the path. */
static void each_peer_is_counted_by_itself(void **state)
{
    Stand *stand = *state;
    SvanPkt pkt = {
        .opcode = SVAN_OP_SEND_ONLY, .pkey = SVAN_PKEY_DEFAULT, .dqpn = stand->qp.qpn,
        .addr = backwards(stand),
    };
    SvanNotice notice;

    pkt.addr.traffic_class = 2;
    packet_in(stand, 3, 1);
    for (uint32_t i = 0; i < 5; i++) {
        pkt.addr.sgid[15] ^= 1;
        receive(stand, svan_pkt_encode(&pkt));
        pkt.addr.sgid[15] ^= 1;
        packet_in(stand, 2, 2 + i);
    }
    fake_advance(stand->hall->fake, MS);
    assert_true(notified(stand, &notice));
    assert_int_equal(notice.packets, 6);
    assert_int_equal(notice.marks, 1);
}

static void none_comes_too_soon(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    uint64_t last = 0;
    uint32_t count = 0, marks = 0;
    SvanNotice notice;

    for (uint32_t i = 0; i < 1000; i++) {
        packet_in(stand, 3, i);
        if (notified(stand, &notice)) {
            assert_true(!last || fake->now - last >= INTERVAL);
            last = fake->now;
            marks += notice.marks;
            count++;
        }
        fake_advance(fake, US);
    }
    assert_in_range(count, 18, 20);
    assert_in_range(marks, 940, 1000);
}

static void a_full_port_delays_them(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    SvanNotice notice;

    fake->out_full = true;
    packet_in(stand, 3, 1);
    fake_advance(fake, MS);
    packet_in(stand, 3, 2);
    fake->out_full = false;
    svan_tx_ready(fake->core);
    fake_run(fake);
    assert_true(notified(stand, &notice));
    assert_int_equal(notice.marks, 2);
    fake_advance(fake, MS);
    assert_false(notified(stand, &notice));
}

/* However many claim to be peers. */
static void peers_are_counted_within_bounds(void **state)
{
    Stand *stand = *state;
    SvanPkt pkt = {
        .opcode = SVAN_OP_SEND_ONLY, .pkey = SVAN_PKEY_DEFAULT, .dqpn = stand->qp.qpn,
    };

    for (uint32_t i = 0; i < 3 * SVAN_MAX_ARRIVALS; i++) {
        pkt.addr = backwards(stand);
        pkt.addr.traffic_class = 3;
        pkt.addr.sgid[14] = i >> 8;
        pkt.addr.sgid[15] = i;
        receive(stand, svan_pkt_encode(&pkt));
    }
    assert_int_equal(COUNT(stand, notifications_no_room), 2 * SVAN_MAX_ARRIVALS);
    fake_advance(stand->hall->fake, MS);
    assert_int_equal(COUNT(stand, notifications_sent), SVAN_MAX_ARRIVALS);
    left(stand, NULL);
}

static void frames_are_notified_too(void **state)
{
    Stand *stand = *state;
    SvanFrame *frame = segment(stand, false, 77, 0);
    SvanNotice notice;

    frame->data[15] = 3;
    receive(stand, frame);
    fake_advance(stand->hall->fake, MS);
    assert_true(notified(stand, &notice));
    assert_int_equal(notice.kind, SVAN_FLOW_TCP);
    assert_int_equal(notice.flow, 80 << 16 | 12345);
    assert_int_equal(notice.witness, 77);
}

/* Who hears what is for all does not answer in the name of all. */
static void marks_for_groups_are_not_told(void **state)
{
    Stand *stand = *state;
    SvanFrame *frame = segment(stand, false, 77, 0);
    SvanNotice notice;

    memset(frame->data, 0xff, 6);
    frame->data[15] = 3;
    receive(stand, frame);
    fake_advance(stand->hall->fake, MS);
    assert_false(notified(stand, &notice));
    assert_int_equal(COUNT(stand, notifications_sent), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_format_is_the_manuals),
        STAND_TEST(forgeries_are_ignored),
        STAND_TEST(notifications_stay_in_the_nic),
        STAND_TEST(functions_cannot_send_them),
        STAND_TEST(marks_are_told_once_and_by_class),
        STAND_TEST(each_peer_is_counted_by_itself),
        STAND_TEST(none_comes_too_soon),
        STAND_TEST(a_full_port_delays_them),
        STAND_TEST(peers_are_counted_within_bounds),
        STAND_TEST(frames_are_notified_too),
        STAND_TEST(marks_for_groups_are_not_told),
    };

    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
