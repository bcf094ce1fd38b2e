/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits and shares of functions and of groups (PRM "Virtual functions", Link and rate): four
 * functions send frames by a port of 1 Gbit/s, in virtual time.
 */
#include "net/stations.h"
#include "hall.h"

#define MS              1000000ull
#define LINE            1000u           /* Mb/s of the port */
#define FRAME           1500u           /* octets */
#define DEPTH           8u              /* frames that a sender has posted */
#define MEASURED        (40 * MS)

typedef struct Line {
    Hall *hall;
    uint32_t mbps;
    uint64_t busy_until;
    uint64_t frames[NUM_STATIONS];      /* bus addresses */
    uint32_t lengths[NUM_STATIONS];
    uint32_t posted[NUM_STATIONS], blocks;
} Line;

static Line the_line;

static int setup(void **state)
{
    int status = hall_setup(state);

    the_line = (Line) { .hall = *state, .mbps = LINE };
    for (uint32_t id = 0; id < NUM_STATIONS; id++) {
        /* within a page, so that all cost the engine the same */
        the_line.frames[id] = fake_alloc(the_line.hall->fake, FRAME, SVAN_PAGE_SIZE);
        the_line.lengths[id] = FRAME;
    }
    the_line.hall->fake->core->config.link_mbps = LINE;
    return status;
}

static bool line_takes(void *arg, SvanFrame *frame)
{
    Line *line = arg;

    if (line->hall->fake->now < line->busy_until) {
        return false;
    }
    line->busy_until = line->hall->fake->now + frame->len * 8000ull / line->mbps;
    svan_frame_free(frame);
    return true;
}

static void post(Line *line, uint32_t id)
{
    Station *station = &line->hall->stations[id];
    uint8_t *data = fake_ram(line->hall->fake, line->frames[id]);
    HostWr wr = {
        .opcode = SVAN_WQE_ETH_SEND, .flags = SVAN_WQE_SIGNALED, .num_sge = 1,
        .sge[0] = {
            .va = line->frames[id], .length = line->lengths[id], .key = SVAN_KEY_LOCAL_DMA,
        },
    };

    memcpy(data, stranger_mac, 6);
    memcpy(data + 6, station->mac, 6);
    host_write_wqe(&station->qp, &wr);
    host_post(&station->qp);
}

static void refill(Line *line, uint32_t id)
{
    Station *station = &line->hall->stations[id];
    uint32_t done = completed(&station->send_cq), before;

    line->posted[id] -= done;
    station->qp.sq_ci += done * line->blocks;
    for (; line->posted[id] < DEPTH; line->posted[id]++) {
        before = station->qp.sq_pi;
        post(line, id);
        line->blocks = station->qp.sq_pi - before;
    }
}

static void go(Line *line, uint32_t senders, uint64_t ns)
{
    Fake *fake = line->hall->fake;
    uint64_t end = fake->now + ns;

    while (fake->now < end) {
        for (uint32_t id = 0; id < NUM_STATIONS; id++) {
            if (senders >> id & 1) {
                refill(line, id);
            }
        }
        fake_run(fake);
        fake->now = line->busy_until > fake->now ? line->busy_until : fake->now + MS / 1000;
        svan_tx_ready(fake->core);
        fake_run(fake);
    }
}

/* Functions whose bits are in senders always have something to send: Mb/s of each. */
static void measure(Hall *hall, uint32_t senders, uint32_t mbps[NUM_STATIONS])
{
    uint64_t before[NUM_STATIONS];

    hall->fake->hooks.frame_out = line_takes;
    hall->fake->hooks_arg = &the_line;
    go(&the_line, senders, 5 * MS);         /* bursts are over */
    for (uint32_t id = 0; id < NUM_STATIONS; id++) {
        before[id] = STAT(hall, id, eth_tx_bytes);
    }
    go(&the_line, senders, MEASURED);
    for (uint32_t id = 0; id < NUM_STATIONS; id++) {
        mbps[id] = (STAT(hall, id, eth_tx_bytes) - before[id]) * 8000 / MEASURED;
    }
    print_message("Mb/s: %u %u %u %u\n", mbps[0], mbps[1], mbps[2], mbps[3]);
}

/* Within 3 %. */
#define assert_rates(hall, senders, ...) do { \
    static const uint32_t wanted_[NUM_STATIONS] = { __VA_ARGS__ }; \
    uint32_t mbps_[NUM_STATIONS]; \
    measure(hall, senders, mbps_); \
    for (uint32_t id_ = 0; id_ < NUM_STATIONS; id_++) { \
        assert_in_range(mbps_[id_], wanted_[id_] * 97 / 100, wanted_[id_] * 103 / 100 + 1); \
    } \
} while (0)

static void set(Hall *hall, uint32_t id, uint32_t max, uint32_t share, uint8_t group)
{
    set_function(hall, id, SVAN_SET_FUNCTION_TX_MAX | SVAN_SET_FUNCTION_TX_SHARE |
                 SVAN_SET_FUNCTION_GROUP, &(struct svan_function_attr) {
        .group = group, .tx_max = htole32(max), .tx_share = htole32(share),
    });
}

static struct svan_cmd group_cmd(uint32_t group, uint32_t max, uint32_t share)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_RATE_GROUP);

    cmd.set_rate_group.group = htole32(group);
    cmd.set_rate_group.tx_max = htole32(max);
    cmd.set_rate_group.tx_share = htole32(share);
    return cmd;
}

static void set_group(Hall *hall, uint32_t group, uint32_t max, uint32_t share)
{
    struct svan_cmd cmd = group_cmd(group, max, share);

    host_must(hall->stations[0].host, &cmd);
}

/* ---- limits ---- */

static void without_settings_all_have_the_same(void **state)
{
    assert_rates(*state, 0xf, 250, 250, 250, 250);
}

static void a_limit_is_held(void **state)
{
    Hall *hall = *state;

    set(hall, 1, 10, 0, 0);
    assert_rates(hall, 0x2, 0, 10, 0, 0);
    assert_true(STAT(hall, 1, rate_delays) > 0);
    assert_rates(hall, 0x6, 0, 10, 990, 0);
    set(hall, 1, 0, 0, 0);
    assert_rates(hall, 0x2, 0, 1000, 0, 0);
}

/* Octet by octet: what a limit allows in a second, and the burst. */
static void a_limit_is_exact(void **state)
{
    Hall *hall = *state;
    uint64_t octets;

    set(hall, 1, 10, 0, 0);
    hall->fake->hooks.frame_out = line_takes;
    hall->fake->hooks_arg = &the_line;
    the_line.lengths[1] = 100;
    go(&the_line, 0x2, 1000 * MS);
    octets = STAT(hall, 1, eth_tx_bytes);
    assert_in_range(octets, 1250000, 1250000 + 1250 + 200);
    assert_true(STAT(hall, 1, rate_delays) > 0);
}

/* What queue pairs send counts as frames do, also from one function to another. */
static void packets_are_limited(void **state)
{
    enum { WRITES = 10 };
    Hall *hall = *state;
    Station *from = &hall->stations[1], *to = &hall->stations[2];
    HostQp a = host_qp(from->host, &from->send_cq, &from->recv_cq, NULL);
    HostQp b = host_qp(to->host, &to->send_cq, &to->recv_cq, NULL);
    HostSend send = { .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED };
    uint32_t done;

    set(hall, 1, 1, 0, 0);
    host_connect(&a, &b);
    for (uint32_t i = 0; i < WRITES; i++) {
        host_send(&a, &send);
    }
    host_post(&a);
    fake_run(hall->fake);
    done = completed(&from->send_cq);
    assert_in_range(done, 1, WRITES / 2);       /* at 1 Mb/s each takes half a millisecond */
    assert_true(STAT(hall, 1, rate_delays) > 0);
    for (uint32_t i = 0; done < WRITES; i++) {
        assert_true(i < 20);
        fake_advance(hall->fake, MS / 2);
        done += completed(&from->send_cq);
    }
}

static void members_of_a_group_divide_its_limit(void **state)
{
    Hall *hall = *state;

    set_group(hall, 5, 200, 0);
    set(hall, 1, 0, 0, 5);
    set(hall, 2, 0, 0, 5);
    assert_rates(hall, 0xe, 0, 100, 100, 800);
    assert_rates(hall, 0xa, 0, 200, 0, 800);
    /* One of them has a limit of its own. */
    set(hall, 1, 50, 0, 5);
    assert_rates(hall, 0xe, 0, 50, 150, 800);
    set(hall, 2, 0, 0, 0);
    assert_rates(hall, 0xe, 0, 50, 475, 475);
    set_group(hall, 5, 20, 0);
    assert_rates(hall, 0x2, 0, 20, 0, 0);
}

/* ---- shares ---- */

static void a_share_is_what_a_function_has_at_least(void **state)
{
    Hall *hall = *state;

    set(hall, 1, 0, 500, 0);
    assert_rates(hall, 0xf, 167, 500, 167, 167);
    /* What it does not use others have, and what others do not use it has. */
    assert_rates(hall, 0xd, 333, 0, 333, 333);
    assert_rates(hall, 0x2, 0, 1000, 0, 0);
    set(hall, 2, 0, 300, 0);
    assert_rates(hall, 0xf, 100, 500, 300, 100);
    /* Less than it would have anyway. */
    set(hall, 1, 0, 50, 0);
    assert_rates(hall, 0xa, 0, 500, 0, 500);
}

/* A share of a frame in 12 ms. */
static void a_share_is_not_more_than_it_says(void **state)
{
    Hall *hall = *state;

    the_line.mbps = 20;
    set(hall, 1, 0, 1, 0);
    assert_rates(hall, 0xf, 5, 5, 5, 5);
}

static bool takes_all(void *arg, SvanFrame *frame)
{
    (void)arg;
    svan_frame_free(frame);
    return true;
}

/*
 * Four send by an engine that takes `cost` ns a run, and never wait for the port, so each
 * stays where it is in the order: octets of function 1, in Mb/s.
 */
static uint32_t by_a_slow_engine(Hall *hall, uint64_t cost, uint64_t ns)
{
    uint64_t end = hall->fake->now + ns, before = STAT(hall, 1, eth_tx_bytes);

    hall->fake->hooks.frame_out = takes_all;
    while (hall->fake->now < end) {
        for (uint32_t id = 0; id < NUM_STATIONS; id++) {
            refill(&the_line, id);
        }
        svan_run(hall->fake->core);
        hall->fake->now += cost;
    }
    return (STAT(hall, 1, eth_tx_bytes) - before) * 8000 / ns;
}

/* A round of all takes longer than a function with a share may wait. */
static void who_comes_to_be_ahead_does_not_wait_for_a_round(void **state)
{
    Hall *hall = *state;
    uint32_t all;

    hall->fake->core->config.link_mbps = 20;
    all = 4 * by_a_slow_engine(hall, 150000, 2000 * MS);
    assert_in_range(all, 15, 25);
    set(hall, 1, 0, all / 2, 0);
    by_a_slow_engine(hall, 150000, 200 * MS);
    assert_in_range(by_a_slow_engine(hall, 150000, 2000 * MS), all / 2 - 1, all / 2 + 1);
}

static uint64_t clock_reads, (*real_now)(void *opaque);

static uint64_t counted_now(void *opaque)
{
    clock_reads++;
    return real_now(opaque);
}

/* However many functions have shares, to find who is first takes no look at the clock. */
static void shares_do_not_look_at_the_clock(void **state)
{
    Hall *hall = *state;
    uint32_t mbps[NUM_STATIONS];
    uint64_t without;

    real_now = hall->fake->core->ops.now;
    hall->fake->core->ops.now = counted_now;
    clock_reads = 0;
    measure(hall, 0xf, mbps);
    without = clock_reads;
    for (uint32_t id = 1; id < NUM_STATIONS; id++) {
        set(hall, id, 0, 200, 0);
    }
    clock_reads = 0;
    measure(hall, 0xf, mbps);
    assert_true(clock_reads < without * 3 / 2);
}

/* A promise that cannot be kept is not kept at the cost of one that can. */
static void a_share_beside_one_that_is_too_large(void **state)
{
    Hall *hall = *state;
    uint32_t mbps[NUM_STATIONS];

    set(hall, 1, 0, 300, 0);
    set(hall, 2, 0, 1100, 0);
    measure(hall, 0xf, mbps);
    assert_in_range(mbps[1], 290, 310);
}

/* Shares of more than there is: others have every 32nd turn; a frame takes four. */
static void nobody_starves(void **state)
{
    Hall *hall = *state;

    set(hall, 1, 0, 4000, 0);
    assert_rates(hall, 0x6, 0, 889, 111, 0);
    set(hall, 2, 0, 4000, 0);
    assert_rates(hall, 0xe, 0, 444, 444, 111);
    assert_rates(hall, 0xf, 56, 444, 444, 56);
}

/* Two send small frames, and the engine has 500 ns a turn, which is what is scarce. */
static void a_share_is_not_for_many_small_frames(void **state)
{
    Hall *hall = *state;
    uint64_t of_two;

    set(hall, 1, 0, 1000, 0);
    hall->fake->core->config.link_mbps = 10000;
    hall->fake->hooks.frame_out = takes_all;
    the_line.lengths[1] = the_line.lengths[2] = 64;
    for (uint32_t n = 0; n < 100000; n++) {
        refill(&the_line, 1);
        refill(&the_line, 2);
        svan_run(hall->fake->core);
        hall->fake->now += 500;
    }
    of_two = STAT(hall, 1, eth_tx_frames) + STAT(hall, 2, eth_tx_frames);
    assert_true(of_two > 20000);
    assert_true(STAT(hall, 2, eth_tx_frames) > of_two * 45 / 100);
}

/* Who sends more than others, because it has a share, is heard as soon as they are. */
static void a_share_is_not_paid_for_with_commands(void **state)
{
    Hall *hall = *state;
    Host *host = hall->stations[1].host;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_CAPS);
    struct svan_cmd_resp resp;
    uint32_t runs = 0;

    set(hall, 1, 0, 90000, 0);
    hall->fake->core->config.link_mbps = 100000;
    hall->fake->hooks.frame_out = takes_all;
    for (uint32_t n = 0; n < 5000; n++) {
        refill(&the_line, 1);
        refill(&the_line, 2);
        svan_run(hall->fake->core);
        hall->fake->now += 500;
    }
    assert_true(STAT(hall, 1, eth_tx_frames) > 2 * STAT(hall, 2, eth_tx_frames));
    host_cmd_post(host, &cmd);
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
    while (!host_cmd_resp(host, host->cmd_pi - 1, &resp)) {
        refill(&the_line, 1);
        refill(&the_line, 2);
        svan_run(hall->fake->core);
        hall->fake->now += 500;
        assert_true(++runs < 20);
    }
}

static void frames_for_nobody(SvanCore *core, uint32_t count)
{
    while (count--) {
        SvanFrame *frame = fake_must(svan_frame_alloc(64));

        memset(frame->data, 2, 64);
        frame->len = 64;
        assert_true(svan_frame_in(core, frame));
    }
}

/* Shares are of what is sent: what arrives, and commands of others, do not wait for them. */
static void a_share_is_not_paid_for_by_others(void **state)
{
    Hall *hall = *state;
    Host *host = hall->stations[2].host;
    SvanCore *core = hall->fake->core;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_CAPS);
    struct svan_cmd_resp resp;
    uint32_t runs = 0;

    set(hall, 1, 0, 90000, 0);
    core->config.link_mbps = 100000;
    hall->fake->hooks.frame_out = takes_all;
    for (uint32_t n = 0; n < 5000; n++) {
        refill(&the_line, 1);
        refill(&the_line, 2);
        svan_run(core);
        hall->fake->now += 500;
    }
    frames_for_nobody(core, 100);
    for (uint32_t n = 0; n < 4; n++) {
        host_cmd_post(host, &cmd);
    }
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
    while (core->ingress->head || !host_cmd_resp(host, host->cmd_pi - 1, &resp)) {
        refill(&the_line, 1);
        refill(&the_line, 2);
        svan_run(core);
        hall->fake->now += 500;
        assert_true(++runs < 300);
    }
    assert_true(STAT(hall, 1, eth_tx_frames) > 2 * STAT(hall, 2, eth_tx_frames));
}

static void a_share_within_a_limit(void **state)
{
    Hall *hall = *state;

    set(hall, 1, 600, 600, 0);
    assert_rates(hall, 0xf, 133, 600, 133, 133);
    set(hall, 1, 100, 600, 0);
    assert_rates(hall, 0xe, 0, 100, 450, 450);
}

static void members_of_a_group_divide_its_share(void **state)
{
    Hall *hall = *state;

    set_group(hall, SVAN_RATE_GROUPS, 0, 600);
    set(hall, 1, 0, 0, SVAN_RATE_GROUPS);
    set(hall, 2, 0, 0, SVAN_RATE_GROUPS);
    assert_rates(hall, 0xf, 200, 300, 300, 200);
    assert_rates(hall, 0xd, 200, 0, 600, 200);
    /* One of them has most of the share for itself; the rest is divided as without one. */
    set(hall, 1, 0, 450, SVAN_RATE_GROUPS);
    assert_rates(hall, 0xf, 183, 450, 183, 183);
}

/* ---- settings ---- */

static void who_sets_what(void **state)
{
    Hall *hall = *state;
    struct svan_cmd cmd = group_cmd(1, 2, 3);
    struct svan_cmd_resp resp;

    assert_int_equal(host_cmd(hall->stations[1].host, &cmd, NULL), SVAN_CMD_NOT_PERMITTED);
    for (uint32_t group = 0; group <= SVAN_RATE_GROUPS + 1; group += SVAN_RATE_GROUPS + 1) {
        cmd = group_cmd(group, 2, 3);
        assert_int_equal(host_cmd(hall->stations[0].host, &cmd, &resp), SVAN_CMD_BAD_PARAM);
        assert_int_equal(le32toh(resp.syndrome),
                         offsetof(struct svan_cmd, set_rate_group.group));
    }
    cmd = host_cmd_init(SVAN_CMD_SET_FUNCTION);
    cmd.set_function.function = htole32(1);
    cmd.set_function.mask = htole32(SVAN_SET_FUNCTION_GROUP);
    cmd.set_function.attr.group = SVAN_RATE_GROUPS + 1;
    assert_int_equal(host_cmd(hall->stations[0].host, &cmd, &resp), SVAN_CMD_BAD_PARAM);
    assert_int_equal(le32toh(resp.syndrome),
                     offsetof(struct svan_cmd, set_function.attr.group));
}

static void groups_outlive_resets_and_snapshots(void **state)
{
    Hall *hall = *state;
    SvanCore *core = hall->fake->core;

    set_group(hall, 7, 20, 5);
    set(hall, 1, 0, 0, 7);
    svan_reset(core, 0);
    assert_true(fake_restore(hall->fake));
    core = hall->fake->core;
    assert_rates(hall, 0x2, 0, 20, 0, 0);
    assert_int_equal(core->sw->groups[6].tx_share, 5);
    svan_reset_settings(core);
    assert_int_equal(core->sw->groups[6].tx_max, 0);
    assert_false(core->fns[1]->has_share);
    assert_rates(hall, 0x2, 0, 1000, 0, 0);
}

#define RATE_TEST(name)         cmocka_unit_test_setup_teardown(name, setup, hall_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RATE_TEST(without_settings_all_have_the_same),
        RATE_TEST(a_limit_is_held),
        RATE_TEST(a_limit_is_exact),
        RATE_TEST(packets_are_limited),
        RATE_TEST(members_of_a_group_divide_its_limit),
        RATE_TEST(a_share_is_what_a_function_has_at_least),
        RATE_TEST(a_share_is_not_more_than_it_says),
        RATE_TEST(a_share_beside_one_that_is_too_large),
        RATE_TEST(who_comes_to_be_ahead_does_not_wait_for_a_round),
        RATE_TEST(shares_do_not_look_at_the_clock),
        RATE_TEST(nobody_starves),
        RATE_TEST(a_share_is_not_for_many_small_frames),
        RATE_TEST(a_share_is_not_paid_for_with_commands),
        RATE_TEST(a_share_is_not_paid_for_by_others),
        RATE_TEST(a_share_within_a_limit),
        RATE_TEST(members_of_a_group_divide_its_share),
        RATE_TEST(who_sets_what),
        RATE_TEST(groups_outlive_resets_and_snapshots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
