/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What TCP is told of marks while its NIC reacts to them. Function 1 is policed.
 */
#include "stand.h"

#define FLAGS           46              /* in segment(): data offset and flags */
#define SYN             0x002
#define ECE             0x040
#define CWR             0x080
#define AE              0x100
#define TCP_NUMBER      (12345 << 16 | 80)

static uint32_t flags_of(const SvanFrame *frame)
{
    return frame->data[FLAGS] << 8 | frame->data[FLAGS + 1];
}

/* With these flags, and a checksum that is right. */
static SvanFrame *flagged(SvanFrame *frame, uint32_t flags)
{
    uint8_t *ip = frame->data + 14, *tcp = ip + 20;
    uint32_t len = frame->len - 34;
    uint64_t sum = svan_csum_add(6 + len, ip + 12, 8);

    frame->data[FLAGS] |= flags >> 8;
    frame->data[FLAGS + 1] |= flags;
    sum = svan_csum_fold(svan_csum_add(sum, tcp, len));
    tcp[16] = sum >> 8;
    tcp[17] = sum;
    assert_int_equal(svan_frame_csum(frame), SVAN_CQE_CSUM_IP_OK | SVAN_CQE_CSUM_L4_OK);
    return frame;
}

/* An acknowledgement that has come for the function. Is its guest told of marks? */
static bool is_told(Stand *stand, uint32_t flags)
{
    SvanFrame *frame = flagged(segment(stand, false, 1, 1000), flags);
    bool told;

    svan_echo_hide(stand->hall->fake->core, frame);
    told = flags_of(frame) & ECE;
    assert_int_equal(flags_of(frame) | ECE, 0x5010 | flags | ECE);
    assert_int_equal(svan_frame_csum(frame), SVAN_CQE_CSUM_IP_OK | SVAN_CQE_CSUM_L4_OK);
    svan_frame_free(frame);
    return told;
}

/* A segment of 100 octets, or of none, that leaves at once; its flags. */
static uint32_t sent_flags(Stand *stand, uint32_t seq, uint32_t flags, bool payload)
{
    SvanFrame *frame = segment(stand, true, seq, 0);
    uint32_t result;
    bool sent;

    if (!payload) {
        frame->len -= 100;
        frame->data[17] -= 100;
        svan_csum_update(frame->data + 24, 140, 40);
    }
    path_of(stand)->until = 0;
    assert_int_equal(svan_frame_send(egress_of(stand->hall, POLICED), flagged(frame, flags),
                                     &sent), SVAN_STEP_DONE);
    frame = fake_frame(stand->hall->fake);
    assert_non_null(frame);
    assert_int_equal(svan_frame_csum(frame), SVAN_CQE_CSUM_IP_OK | SVAN_CQE_CSUM_L4_OK);
    result = flags_of(frame) & 0xfff;
    svan_frame_free(frame);
    return result;
}

/* TCP sends by a path that has a rate, for which its peer's NIC has notified. */
static void slow_tcp_down(Stand *stand)
{
    congest(stand, GBPS);
    send_segment(stand, 1000);
}

static void who_is_paced_is_not_told(void **state)
{
    Stand *stand = *state;

    send_segment(stand, 1000);
    assert_true(is_told(stand, ECE));
    slow_tcp_down(stand);
    assert_false(is_told(stand, ECE));
    assert_false(is_told(stand, ECE | CWR));
    assert_int_equal(COUNT(stand, enforce_echoes_hidden), 2);
    svan_rp_init(&path_of(stand)->rp, &policed(stand)->net->enforcement->flows.params);
    assert_true(is_told(stand, ECE));
}

/* Marks that no notification has told of are nobody's but the guest's. */
static void nothing_is_hidden_where_nobody_notifies_any_more(void **state)
{
    Stand *stand = *state;

    slow_tcp_down(stand);
    fake_advance(stand->hall->fake, 999 * MS);
    assert_false(is_told(stand, ECE));
    path_of(stand)->rp.limited = true;
    fake_advance(stand->hall->fake, MS);
    assert_true(is_told(stand, ECE));
}

/* Whoever does not see the connection has to guess what has been sent by it. */
static void what_acknowledges_nothing_is_let_alone(void **state)
{
    Stand *stand = *state;
    SvanFrame *frame;

    slow_tcp_down(stand);
    for (uint32_t i = 0; i < 2; i++) {
        frame = flagged(segment(stand, false, 1, 2000), i ? AE : ECE);
        svan_echo_hide(stand->hall->fake->core, frame);
        assert_int_equal(flags_of(frame) & ECE, i ? 0 : ECE);
        svan_frame_free(frame);
    }
    assert_false(is_told(stand, ECE));
    frame = segment(stand, false, 1, 1000);
    frame->data[FLAGS + 1] = ECE;
    svan_echo_hide(stand->hall->fake->core, frame);
    assert_int_equal(COUNT(stand, enforce_echoes_hidden), 1);
    svan_frame_free(frame);
}

static void what_arrives_is_looked_at(void **state)
{
    Stand *stand = *state;

    slow_tcp_down(stand);
    receive(stand, flagged(segment(stand, false, 1, 1000), 0));
    assert_int_equal(COUNT(stand, enforce_echoes_hidden), 0);
    receive(stand, flagged(segment(stand, false, 1, 1000), ECE));
    assert_int_equal(COUNT(stand, enforce_echoes_hidden), 1);
}

/* The peer goes on to tell until it is answered, once, by a segment with new payload. */
static void the_peer_is_answered(void **state)
{
    Stand *stand = *state;

    slow_tcp_down(stand);
    assert_int_equal(sent_flags(stand, 1100, 0, true), 0x10);
    assert_false(is_told(stand, ECE));
    assert_int_equal(sent_flags(stand, 1200, 0, false), 0x10);
    assert_int_equal(sent_flags(stand, 1100, 0, true), 0x10);
    assert_int_equal(sent_flags(stand, 1200, 0, true), 0x10 | CWR);
    assert_int_equal(sent_flags(stand, 1300, 0, true), 0x10);
    assert_false(is_told(stand, ECE));
    assert_int_equal(sent_flags(stand, 1400, CWR, true), 0x10 | CWR);
    assert_int_equal(sent_flags(stand, 1500, 0, true), 0x10);
}

/* The guest, which hears of marks again, answers by itself. */
static void nothing_is_answered_without_pacing(void **state)
{
    Stand *stand = *state;
    struct svan_enforcement_attr attr = normal();

    slow_tcp_down(stand);
    assert_false(is_told(stand, ECE));
    attr.action = SVAN_ENFORCE_WATCH;
    enforce(stand, &attr);
    assert_int_equal(sent_flags(stand, 1100, 0, true), 0x10);
}

/* Here ECE offers ECN, or accepts it. */
static void handshakes_are_let_alone(void **state)
{
    Stand *stand = *state;

    slow_tcp_down(stand);
    assert_true(is_told(stand, SYN | ECE));
    assert_true(is_told(stand, SYN | ECE | CWR));
    assert_int_equal(COUNT(stand, enforce_echoes_hidden), 0);
}

/*
 * Where the three bits count marks (RFC 9768) a bit that was taken away, or set, would add
 * some; whichever end is heard first.
 */
static void counts_of_marks_are_let_alone(void **state)
{
    Stand *stand = *state;

    slow_tcp_down(stand);
    assert_false(is_told(stand, AE));
    assert_true(is_told(stand, ECE));
    assert_int_equal(sent_flags(stand, 1100, 0, true), 0x10);
    /* The same ports, for another connection. */
    assert_int_equal(sent_flags(stand, 5000, SYN | ECE | CWR, true), 0x10 | SYN | ECE | CWR);
    assert_false(is_told(stand, ECE));
    assert_int_equal(sent_flags(stand, 5100, AE | ECE, true), 0x10 | AE | ECE);
    assert_true(is_told(stand, ECE));
    assert_int_equal(sent_flags(stand, 5200, 0, true), 0x10);
}

/* What was hidden from one connection is not answered by the next one. */
static void a_new_connection_owes_nothing(void **state)
{
    Stand *stand = *state;

    slow_tcp_down(stand);
    assert_false(is_told(stand, ECE));
    assert_int_equal(sent_flags(stand, 5000, SYN, true), 0x10 | SYN);
    assert_int_equal(sent_flags(stand, 5100, 0, true), 0x10);
}

static void nothing_is_hidden_without_pacing(void **state)
{
    Stand *stand = *state;
    struct svan_enforcement_attr attr = normal();

    slow_tcp_down(stand);
    for (uint8_t action = SVAN_ENFORCE_MARK; action < SVAN_ENFORCE_ACTIONS; action++) {
        attr.action = action;
        enforce(stand, &attr);
        assert_true(is_told(stand, ECE));
    }
    attr.action = SVAN_ENFORCE_PACE;
    enforce(stand, &attr);
    assert_false(is_told(stand, ECE));
    attr.flags = SVAN_ENFORCE_NOTIFY;
    enforce(stand, &attr);
    assert_true(is_told(stand, ECE));
}

/* Between functions there is no network; what has several receivers is not only TCP's. */
static void only_what_arrives_for_one_function_is_changed(void **state)
{
    Stand *stand = *state;
    SvanCore *core = stand->hall->fake->core;
    SvanStationKey key = svan_station_mac(stand->hall->stations[POLICED].mac);
    SvanFrame *frame = flagged(segment(stand, false, 1, 1000), ECE);
    bool sent;

    slow_tcp_down(stand);
    memcpy(frame->data + 6, stand->hall->stations[2].mac, 6);
    assert_int_equal(svan_frame_send(egress_of(stand->hall, 2), frame, &sent), SVAN_STEP_DONE);
    fake_run(stand->hall->fake);
    assert_int_equal(COUNT(stand, eth_rx_frames), 1);
    assert_int_equal(COUNT(stand, enforce_echoes_hidden), 0);
    assert_true(svan_stations_reserve(core->sw, 1));
    svan_station_add(core->sw, &key, 2);
    assert_true(is_told(stand, ECE));
    svan_station_remove(core->sw, &key, 2);
    assert_false(is_told(stand, ECE));
}

/* ---- shapes ---- */

/* The frame with other octets in place of some. */
static SvanFrame *with_instead(SvanFrame *frame, uint32_t at, uint32_t count,
                               const uint8_t *octets, uint32_t len)
{
    SvanFrame *made = svan_frame_alloc(frame->len - count + len);

    memcpy(made->data, frame->data, at);
    memcpy(made->data + at, octets, len);
    memcpy(made->data + at + len, frame->data + at + count, frame->len - at - count);
    made->len = frame->len - count + len;
    svan_frame_free(frame);
    return made;
}

enum { WITH_OPTIONS, WITH_TAG, OVER_IPV6, SHAPES };

static SvanFrame *shaped(Stand *stand, uint32_t shape, bool out)
{
    SvanFrame *frame = segment(stand, out, 1000, 1000);
    const uint8_t tag[4] = { 0x81, 0, 0, 7 }, options[4] = { 1, 1, 1, 1 };
    uint8_t ip[42] = { 0x86, 0xdd, 0x60, [7] = frame->len - 34, 6, 64, 0xfd };

    switch (shape) {
    case WITH_OPTIONS:
        frame->data[14]++;
        frame->data[17] += sizeof(options);
        return with_instead(frame, 34, 0, options, sizeof(options));
    case WITH_TAG:
        return with_instead(frame, 12, 0, tag, sizeof(tag));
    default:
        ip[26] = 0xfd;
        ip[25] = out ? 1 : 2;
        ip[41] = out ? 2 : 1;
        return with_instead(frame, 12, 22, ip, sizeof(ip));
    }
}

static void whatever_shape_it_has(void **state)
{
    Stand *stand = *state;
    const uint32_t flags[SHAPES] = {
        [WITH_OPTIONS] = FLAGS + 4, [WITH_TAG] = FLAGS + 4, [OVER_IPV6] = FLAGS + 20,
    };
    const SvanFlows *flows = &policed(stand)->net->enforcement->flows;

    slow_tcp_down(stand);
    for (uint32_t shape = 0; shape < SHAPES; shape++) {
        SvanPath *path;
        SvanFrame *frame = shaped(stand, shape, true);
        bool sent;

        path_of(stand)->until = 0;
        assert_int_equal(svan_frame_send(egress_of(stand->hall, POLICED), frame, &sent),
                         SVAN_STEP_DONE);
        left(stand, NULL);
        path = policed(stand)->net->enforcement->path;
        path->told_at = stand->hall->fake->now;
        svan_rp_notified(&path->rp, &flows->params, stand->hall->fake->now);
        frame = shaped(stand, shape, false);
        frame->data[flags[shape] + 1] |= ECE;
        svan_echo_hide(stand->hall->fake->core, frame);
        assert_int_equal(frame->data[flags[shape] + 1], 0x10);
        assert_int_equal(COUNT(stand, enforce_echoes_hidden), shape + 1);
        svan_frame_free(frame);
    }
}

/* The first octets of a segment, of which those of its IP header say something else. */
static void look_at_piece(Stand *stand, uint32_t len, const uint8_t *says)
{
    SvanFrame *whole = flagged(segment(stand, false, 1, 1000), ECE);
    SvanFrame *piece = svan_frame_alloc(len);

    memcpy(whole->data + 12, says, 3);
    whole->data[20] = says[3] ? says[3] : whole->data[20];
    memcpy(piece->data, whole->data, piece->len = len);
    svan_echo_hide(stand->hall->fake->core, piece);
    svan_frame_free(piece);
    svan_frame_free(whole);
}

static void pieces_are_let_alone(void **state)
{
    static const uint8_t says[][4] = {
        { 8, 0, 0x45 }, { 8, 0, 0x4f }, { 8, 0, 0x40 }, { 0x86, 0xdd, 0x60, IPPROTO_TCP },
    };
    Stand *stand = *state;

    slow_tcp_down(stand);
    for (uint32_t len = 14; len <= 54; len++) {
        for (uint32_t i = 0; i < SIZE(says); i++) {
            look_at_piece(stand, len, says[i]);
        }
        assert_int_equal(COUNT(stand, enforce_echoes_hidden), len == 54);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(who_is_paced_is_not_told),
        STAND_TEST(what_arrives_is_looked_at),
        STAND_TEST(nothing_is_hidden_where_nobody_notifies_any_more),
        STAND_TEST(what_acknowledges_nothing_is_let_alone),
        STAND_TEST(the_peer_is_answered),
        STAND_TEST(nothing_is_answered_without_pacing),
        STAND_TEST(handshakes_are_let_alone),
        STAND_TEST(counts_of_marks_are_let_alone),
        STAND_TEST(a_new_connection_owes_nothing),
        STAND_TEST(nothing_is_hidden_without_pacing),
        STAND_TEST(only_what_arrives_for_one_function_is_changed),
        STAND_TEST(whatever_shape_it_has),
        STAND_TEST(pieces_are_let_alone),
    };

    return cmocka_run_group_tests_name("echo", tests, NULL, NULL);
}
