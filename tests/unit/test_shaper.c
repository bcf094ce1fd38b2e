/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames that wait in the NIC for the rate of their path (PRM "Enforcement", "Policing").
 */
#include "stand.h"

/* A frame to the peer, or to its neighbour; the number goes into its last octet. */
static SvanFrame *frame_to(Stand *stand, bool neighbour, uint8_t number)
{
    SvanFrame *frame = segment(stand, true, 1000 + number * 100, 0);

    frame->data[33] += neighbour;
    frame->data[frame->len - 1] = number;
    return frame;
}

static void send_frames(Stand *stand, bool neighbour, uint32_t count)
{
    bool sent;

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(svan_frame_send(egress_of(stand->hall, POLICED),
                                         frame_to(stand, neighbour, i), &sent),
                         SVAN_STEP_DONE);
    }
    fake_run(stand->hall->fake);
}

/* Frames that have left, by destination; those of the peer in their order. */
static void frames_left(Stand *stand, uint32_t *to_peer, uint32_t *to_neighbour)
{
    SvanFrame *frame;

    while ((frame = fake_frame(stand->hall->fake)) != NULL) {
        if (frame->data[33] == peer_gid[15]) {
            assert_int_equal(frame->data[frame->len - 1], *to_peer & 0xff);
            ++*to_peer;
        } else {
            ++*to_neighbour;
        }
        svan_frame_free(frame);
    }
}

/* One queue pair, two paths: only the frames of that which is congested wait. */
static void frames_to_others_do_not_wait(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    uint32_t to_peer = 0, to_neighbour = 0;
    uint64_t start;

    congest(stand, 100000000ull);
    start = fake->now;
    send_frames(stand, false, 20);
    send_frames(stand, true, 20);
    frames_left(stand, &to_peer, &to_neighbour);
    assert_int_equal(to_neighbour, 20);
    assert_in_range(to_peer, 0, 2);
    fake->out_full = true;
    fake_advance(fake, 30 * US);
    frames_left(stand, &to_peer, &to_neighbour);
    assert_in_range(to_peer, 0, 2);
    fake->out_full = false;
    svan_tx_ready(fake->core);
    fake_run(fake);
    while (to_peer < 20) {
        fake_advance(fake, US);
        frames_left(stand, &to_peer, &to_neighbour);
        assert_true(fake->now - start < MS);
    }
    /* 154 octets take 12.3 us */
    assert_in_range(fake->now - start, 18 * 12 * US, 24 * 13 * US);
    assert_int_equal(policed(stand)->net->enforcement->held_octets, 0);
}

static uint32_t left_frames(Stand *stand)
{
    uint32_t count = 0;
    SvanFrame *frame;

    while ((frame = fake_frame(stand->hall->fake)) != NULL) {
        svan_frame_free(frame);
        count++;
    }
    return count;
}

static void frames_wait_within_bounds(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    uint32_t most = (128 << 10) / 154;

    congest(stand, 10000000ull);
    for (uint32_t i = 0; i < 5; i++) {
        send_frames(stand, false, 250);
    }
    assert_in_range(COUNT(stand, enforce_drops), 1250 - most - 2, 1250 - most);
    svan_reset(fake->core, POLICED);
    assert_int_equal(policed(stand)->net->enforcement->held_octets, 0);
    fake_advance(fake, 10 * MS);
    assert_in_range(left_frames(stand), 0, 2);
}

/* They count against the limit of their function when they leave, and wait for that, too. */
static void frames_that_wait_are_within_the_limit(void **state)
{
    Stand *stand = *state;
    uint32_t most = (6250 + 1250) / 154 + 2;    /* 10 Mb/s for 5 ms, and the burst */

    congest(stand, GBPS);
    set_function(stand->hall, POLICED, SVAN_SET_FUNCTION_TX_MAX,
                 &(struct svan_function_attr) { .tx_max = htole32(10) });
    send_frames(stand, false, 250);
    for (uint32_t i = 0; i < 500; i++) {
        fake_advance(stand->hall->fake, 10 * US);
    }
    assert_in_range(left_frames(stand), most - 6, most);
    set_function(stand->hall, POLICED, SVAN_SET_FUNCTION_TX_MAX,
                 &(struct svan_function_attr) { .tx_max = 0 });
    for (uint32_t i = 0; i < 100; i++) {
        fake_advance(stand->hall->fake, 10 * US);
    }
    assert_int_equal(policed(stand)->net->enforcement->held_octets, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(frames_to_others_do_not_wait),
        STAND_TEST(frames_wait_within_bounds),
        STAND_TEST(frames_that_wait_are_within_the_limit),
    };

    return cmocka_run_group_tests_name("shaper", tests, NULL, NULL);
}
