/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Symptoms of congestion that may have other causes: when they count, and for how much.
 * Function 1 is policed.
 */
#include "stand.h"

/* Nobody notifies, but what is sent is lost: in the end that counts, or a verdict does. */
static void ambiguity_and_verdicts(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_JUDGE_FLOW);

    for (uint32_t i = 0; i < 4; i++) {
        send_segment(stand, 1000);
        fake_advance(fake, MS);
    }
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_SUSPECT);
    assert_int_equal(COUNT(stand, paths_suspect), 1);
    assert_false(svan_rp_is_limited(&path_of(stand)->rp));
    cmd.judge_flow.function = htole32(POLICED);
    memcpy(cmd.judge_flow.peer, peer_gid, 16);
    host_must(stand->hall->stations[0].host, &cmd);
    send_segment(stand, 1000);
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_CLEAR);
    /* It holds for those symptoms, not for the next ones. */
    fake_advance(fake, 1000 * MS);
    send_segment(stand, 1100);
    fake_advance(fake, 1000 * MS);
    for (uint32_t i = 0; i < 3; i++) {
        send_segment(stand, 1100);
        fake_advance(fake, MS);
    }
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_SUSPECT);
    cmd.judge_flow.congesting = 1;
    host_must(stand->hall->stations[0].host, &cmd);
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_CONGESTING);
    assert_true(svan_rp_is_limited(&path_of(stand)->rp));
    cmd.judge_flow.peer[15]++;
    assert_int_equal(host_cmd(stand->hall->stations[0].host, &cmd, NULL),
                     SVAN_CMD_BAD_RESOURCE);
}

/* Segments are sent again and again, for so long: how often that slowed the path down. */
static uint32_t cuts_by_losses(Stand *stand, uint64_t ns)
{
    SvanPath *path = path_of(stand);
    uint32_t cuts = 0;

    for (; ns; ns -= MS) {
        uint64_t cut_at = path->cut_at;
        bool sent;

        path->until = 0;
        svan_frame_send(egress_of(stand->hall, POLICED), segment(stand, true, 1000, 0), &sent);
        left(stand, NULL);
        fake_advance(stand->hall->fake, MS);
        cuts += path->cut_at != cut_at;
    }
    return cuts;
}

/*
 * What follows from a decrease is seen after a round trip. Where all is lost there are no
 * samples of them any more; and a peer may make them as long as it likes.
 */
static void losses_count_once_a_round_trip(void **state)
{
    Stand *stand = *state;

    send_segment(stand, 1000);
    congest(stand, 10 * GBPS);
    assert_in_range(cuts_by_losses(stand, 200 * MS), 180, 200);
    path_of(stand)->last_rtt = 10 * MS;
    assert_in_range(cuts_by_losses(stand, 400 * MS), 39, 41);
    path_of(stand)->last_rtt = 1000 * MS;
    assert_in_range(cuts_by_losses(stand, 500 * MS), 4, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(ambiguity_and_verdicts),
        STAND_TEST(losses_count_once_a_round_trip),
    };

    return cmocka_run_group_tests_name("ambiguity", tests, NULL, NULL);
}
