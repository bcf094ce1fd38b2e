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

/*
 * Segments are sent again and again, for so long, by a path with such an RTT: how often that
 * slowed the path down.
 */
static uint32_t cuts_by_losses(Stand *stand, uint64_t ns, uint64_t rtt)
{
    SvanPath *path = path_of(stand);
    uint32_t cuts = 0;

    for (; ns; ns -= MS) {
        uint64_t cut_at = path->cut_at;
        bool sent;

        path->until = 0;
        path->estimate.rtt = rtt;
        path->estimate.rtt_at = stand->hall->fake->now;
        svan_frame_send(egress_of(stand->hall, POLICED), segment(stand, true, 1000, 0), &sent);
        left(stand, NULL);
        fake_advance(stand->hall->fake, MS);
        cuts += path->cut_at != cut_at;
    }
    return cuts;
}

/* On a slow link marks are rare; between them the queue, and what it has cost, stays. */
static void between_notifications_losses_say_nothing(void **state)
{
    Stand *stand = *state;
    SvanNotice notice;

    send_segment(stand, 1000);
    congest(stand, 10 * GBPS);
    assert_int_equal(cuts_by_losses(stand, 190 * MS, 0), 0);
    notice = notice_of(stand);
    notify(stand, &notice);
    assert_int_equal(cuts_by_losses(stand, 190 * MS, 0), 0);
    assert_in_range(cuts_by_losses(stand, 100 * MS, 0), 50, 90);
}

static void a_verdict_counts_at_once(void **state)
{
    Stand *stand = *state;
    SvanPath *path;

    congest(stand, 10 * GBPS);
    path = path_of(stand);
    svan_rp_init(&path->rp, &policed(stand)->net->enforcement->flows.params);
    for (uint32_t i = 0; i < 40; i++) {
        send_segment(stand, i < 38 ? i * 100 : 1000);
        fake_advance(stand->hall->fake, MS);
    }
    assert_int_equal(path->recognition.state, SVAN_CONGESTION_SUSPECT);
    assert_false(svan_rp_is_limited(&path->rp));
    assert_true(svan_enforcement_judge(policed(stand), peer_gid, 0, true));
    assert_true(svan_rp_is_limited(&path->rp));
}

/* What follows from a decrease is seen after an RTT, but a peer may say what it likes. */
static void losses_count_once_a_round_trip(void **state)
{
    Stand *stand = *state;

    send_segment(stand, 1000);
    congest(stand, 10 * GBPS);
    cuts_by_losses(stand, 250 * MS, 0);
    assert_in_range(cuts_by_losses(stand, 200 * MS, 10 * MS), 19, 21);
    assert_in_range(cuts_by_losses(stand, 500 * MS, 1000 * MS), 4, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(ambiguity_and_verdicts),
        STAND_TEST(between_notifications_losses_say_nothing),
        STAND_TEST(a_verdict_counts_at_once),
        STAND_TEST(losses_count_once_a_round_trip),
    };

    return cmocka_run_group_tests_name("ambiguity", tests, NULL, NULL);
}
