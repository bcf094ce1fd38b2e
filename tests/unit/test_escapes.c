/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways in which a function might get out of enforcement: what nobody can tell the marks of,
 * peers without room, losses where nothing is marked.
 */
#include "stand.h"

#define BLIND_NS(octets) ((octets) * 8ull * SVAN_BLIND_PART * 1000000000 / \
                          policed(stand)->net->enforcement->flows.params.line_rate)

static uint32_t leave_within(Stand *stand, uint64_t ns)
{
    Fake *fake = stand->hall->fake;
    uint64_t end = fake->now + ns;
    uint32_t count = 0;
    SvanFrame *frame;

    for (; fake->now < end; fake_advance(fake, 10 * US)) {
        while ((frame = fake_frame(fake)) != NULL) {
            svan_frame_free(frame);
            count++;
        }
    }
    return count;
}

/* So many frames of 1,000 octets, which begin so, and go on with zeroes. */
static void send_frames(Stand *stand, const uint8_t *head, uint32_t len, uint32_t count)
{
    while (count--) {
        SvanFrame *frame = svan_frame_alloc(LENGTH + 4);
        bool sent;

        memset(frame->data, 0, frame->len = LENGTH);
        memcpy(frame->data, head, len);
        memcpy(frame->data + 6, stand->hall->stations[POLICED].mac, 6);
        svan_frame_send(egress_of(stand->hall, POLICED), frame, &sent);
    }
    fake_run(stand->hall->fake);
}

/* A hundred of them have the time of a hundred at the rate of what is blind. */
static void leave_slowly(Stand *stand, const uint8_t *head, uint32_t len)
{
    SvanPath *blind = &policed(stand)->net->enforcement->flows.blind;
    uint64_t before = blind->packets;

    send_frames(stand, head, len, 100);
    assert_in_range(leave_within(stand, BLIND_NS(50 * LENGTH)), 45, 55);
    assert_in_range(leave_within(stand, BLIND_NS(60 * LENGTH)), 45, 55);
    assert_int_equal(blind->packets, before + 100);
    fake_advance(stand->hall->fake, 10 * MS);
}

static void what_is_not_ip_has_little(void **state)
{
    static const uint8_t heads[][24] = {
        { 2, 0, 0, 0, 9, 9, [12] = 0x88, 0xb5 },
        { 2, 0, 0, 0, 9, 8, [12] = 0x88, 0xb6 },            /* all of it has that together */
        { 2, 0, 0, 0, 9, 9, [12] = 8, 0, 0x65 },            /* IP of no known version */
        { 2, 0, 0, 0, 9, 9, [12] = 0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3 },
    };
    Stand *stand = *state;

    for (uint32_t i = 0; i < SIZE(heads); i++) {
        leave_slowly(stand, heads[i], sizeof(heads[i]));
    }
}

static void what_is_for_groups_has_little(void **state)
{
    static const uint8_t head[] = {
        1, 0, 0x5e, 1, 2, 3, [12] = 8, 0, 0x45, 0, (LENGTH - 14) >> 8, (LENGTH - 14) & 0xff,
        [23] = 17, [30] = 239, 1, 2, 3,
    };
    Stand *stand = *state;
    struct svan_flow_entry *entries;
    uint64_t bus = fake_alloc(stand->hall->fake, 4096, 4096);
    uint32_t total;

    leave_slowly(stand, head, sizeof(head));
    assert_int_equal(query(stand, true, 0, 4, bus, &total), 1);
    entries = fake_ram(stand->hall->fake, bus);
    assert_int_equal(le16toh(entries[0].vlan), SVAN_PATH_BLIND);
    assert_int_equal(le64toh(entries[0].packets), 100);
    assert_true(le64toh(entries[0].limit));
}

/* A few frames in between go unhindered: ARP, neighbour discovery, LLDP. */
static void a_few_frames_are_not_held_up(void **state)
{
    static const uint8_t arp[] = { 255, 255, 255, 255, 255, 255, [12] = 8, 6 };
    Stand *stand = *state;

    for (uint32_t i = 0; i < 20; i++) {
        send_frames(stand, arp, sizeof(arp), 1);
        assert_int_equal(leave_within(stand, 10 * US), 1);
        fake_advance(stand->hall->fake, MS);
    }
    assert_int_equal(COUNT(stand, enforce_delays), 0);
}

/* UDP to a peer. */
static void send_udp(Stand *stand, const uint8_t *peer)
{
    uint8_t head[42] = {
        2, 0, 0, 0, 9, 9, [12] = 8, 0, 0x45, 0, (LENGTH - 14) >> 8, (LENGTH - 14) & 0xff,
        [20] = 0x40, 0, 64, 17, [35] = 99, [37] = 7, [38] = (LENGTH - 34) >> 8,
        (LENGTH - 34) & 0xff, 0x12, 0x34,
    };
    SvanAddr addr = backwards(stand);

    memcpy(head + 26, addr.dgid + 12, 4);
    memcpy(head + 30, peer, 4);
    send_frames(stand, head, sizeof(head), 1);
}

/* Each has its own NIC, which begins to count where it likes. */
static void peers_without_room_are_all_heard(void **state)
{
    Stand *stand = *state;
    SvanNotice notice = {
        .kind = SVAN_FLOW_UDP, .flow = 99 << 16 | 7, .witness = 0x1234 << 16 | (LENGTH - 34),
        .packets = 1, .marks = 1, .octets = LENGTH, .sequence = 5,
    };
    uint64_t before;

    for (uint32_t i = 0; i < SVAN_MAX_PATHS; i++) {
        send_udp(stand, (uint8_t[]) { 10, 40, 0, i });
    }
    before = COUNT(stand, notifications_received);
    for (uint32_t i = 0; i < 20; i++) {
        const uint8_t peer[4] = { 10, 41, 0, i };
        SvanAddr addr = backwards(stand);

        send_udp(stand, peer);
        memcpy(addr.sgid + 12, peer, sizeof(peer));
        receive(stand, svan_notice_encode(&notice, &addr));
        leave_within(stand, 10 * US);
    }
    assert_int_equal(COUNT(stand, notifications_received), before + 20);
    assert_int_equal(COUNT(stand, notifications_ignored), 0);
}

/* Every second segment is one that was sent before, but for a silence now and then. */
static void who_loses_all_the_time_gets_slower(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    uint64_t line = svan_congestion(fake->core)->params.line_rate, limits = 0, looks = 0;
    uint32_t seq = 1000;

    for (uint32_t i = 0; i < 100000; i++) {
        bool sent;

        if (i % 20000 > 4000) {
            seq += i % 2 ? 0 : 100;
            svan_frame_send(egress_of(stand->hall, POLICED), segment(stand, true, seq, 0), &sent);
        }
        fake_advance(fake, 5 * US);
        left(stand, NULL);
        if (i % 20000 > 10000) {
            limits += svan_rp_is_limited(&path_of(stand)->rp) ? path_of(stand)->rp.current : line;
            looks++;
        }
    }
    assert_true(limits / looks < line / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(what_is_not_ip_has_little),
        STAND_TEST(what_is_for_groups_has_little),
        STAND_TEST(a_few_frames_are_not_held_up),
        STAND_TEST(peers_without_room_are_all_heard),
        STAND_TEST(who_loses_all_the_time_gets_slower),
    };

    return cmocka_run_group_tests_name("escapes", tests, NULL, NULL);
}
