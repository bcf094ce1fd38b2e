/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net.h"

#include <math.h>

#define FRAMES          100000u

/* Within four standard deviations of what a chance gives; once in 16,000 seeds not. */
static void assert_chance(uint64_t count, uint64_t of, double chance)
{
    double sigma = sqrt(of * chance * (1 - chance));

    if (fabs(count - of * chance) > 4 * sigma) {
        fail_msg("%llu of %llu, expected %g", (unsigned long long)count,
                 (unsigned long long)of, of * chance);
    }
}

static void a_wire_takes_its_time(void **state)
{
    Line *line = line_new((NetLinkModel) { .delay = 5 * US }, 1);

    line_carry(line, 3, 100, 7);
    assert_int_equal(line->to.first, 5 * US);
    assert_int_equal(line->to.last, 5 * US + 14);
    assert_int_equal(line->to.count, 3);
    line_free(line);
}

static void a_rate_is_exact(void **state)
{
    /* 124 octets at 7 Gbit/s: 141 and 5/7 ns */
    Line *line = line_new((NetLinkModel) { .rate = 7000000000, .overhead = 24, .delay = 10 }, 1);

    line_carry(line, FRAMES, 100, 0);
    assert_int_equal(line->to.count, FRAMES);
    assert_int_equal(line->to.first, 141 + 10);
    assert_int_equal(line->to.last, FRAMES * 992ull / 7 + 10);
    line_free(line);
}

static void rates_from_end_to_end(void **state)
{
    static const uint64_t rates[] = { NET_RATE_MIN, 123456789, 10000000000, NET_RATE_MAX };

    for (uint32_t i = 0; i < 4; i++) {
        Line *line = line_new((NetLinkModel) { .rate = rates[i] }, 1);

        for (uint32_t n = 0; n < 3; n++) {
            net_link_send(&line->link, numbered(NET_FRAME_MAX, n));
        }
        net_schedule_run(&line->schedule, 1000000 * SECOND);
        assert_int_equal(line->to.last,
                         (unsigned __int128)3 * NET_FRAME_MAX * 8 * SECOND / rates[i]);
        line_free(line);
    }
}

static void an_idle_line_saves_nothing(void **state)
{
    Line *line = line_new((NetLinkModel) { .rate = 8 * SECOND }, 1);

    line_carry(line, 2, 100, 0);
    net_link_send(&line->link, numbered(100, 2));
    net_link_send(&line->link, numbered(100, 3));
    net_schedule_run(&line->schedule, line->schedule.now + 150);
    assert_int_equal(line->to.count, 3);
    line_free(line);
}

/* While the sender waits, a clock that jumps costs the line nothing, up to its burst. */
static void a_jump_is_made_up_for(void **state)
{
    Line *line = line_new((NetLinkModel) { .rate = 8 * SECOND }, 1);

    line->link.held = true;
    line->link.burst = 1000;
    for (uint32_t i = 0; i < 1000; i++) {
        net_link_send(&line->link, numbered(100, 2 * i));
        net_link_send(&line->link, numbered(100, 2 * i + 1));
        net_schedule_run(&line->schedule, line->schedule.now + 200 + (i % 2 ? 90 : -90));
    }
    assert_in_range(line->to.last, 200000 - 290, 200000);
    net_schedule_run(&line->schedule, SECOND);
    for (uint32_t i = 0; i < 12; i++) {
        net_link_send(&line->link, numbered(100, i));
    }
    net_schedule_run(&line->schedule, SECOND);
    assert_int_equal(net_link_len(&line->link), 2);
    line_free(line);
}

static void a_rate_changes_with_the_next_frame(void **state)
{
    Line *line = line_new((NetLinkModel) { .rate = 8 * SECOND }, 1);

    for (uint32_t n = 0; n < 3; n++) {
        net_link_send(&line->link, numbered(100, n));
    }
    line->link.model.rate = 4 * SECOND;
    net_schedule_run(&line->schedule, 100 + 200);
    assert_int_equal(line->to.last, 300);
    line->link.model.rate = 0;
    net_schedule_run(&line->schedule, 10000);
    assert_int_equal(line->to.last, 500);
    net_link_send(&line->link, numbered(100, 3));
    net_schedule_run(&line->schedule, 10000);
    assert_int_equal(line->to.last, 10000);
    line_free(line);
}

static void a_queue_is_bounded(void **state)
{
    Line *line = line_new((NetLinkModel) { .rate = 8 * SECOND, .queue = 1000 }, 1);

    line_carry(line, 12, 100, 0);
    assert_int_equal(line->to.count, 10);
    assert_int_equal(line->link.counts.full, 2);
    assert_int_equal(line->link.queued, 0);
    line_free(line);
}

/* n frames that come while `waiting` octets wait; how many of them are marked. */
static Line *marked_line(NetLinkModel model, uint32_t waiting, uint32_t n, bool capable)
{
    Line *line = line_new(model, 3);
    uint8_t data[100] = { [12] = 0x08, [14] = 0x45, [15] = capable ? 2 : 0 };

    net_link_send(&line->link, numbered(waiting, 0));
    line->link.counts = (NetLinkCounts) { 0 };
    for (uint32_t i = 0; i < n; i++) {
        net_link_send(&line->link, net_frame_new(data, sizeof(data)));
        /* the last one is taken back, so that the queue keeps its length */
        if (line->link.waiting) {
            line->link.waiting--;
            line->link.queued -= sizeof(data);
            net_frame_put(line->link.queue[line->link.head].frame);
        }
    }
    return line;
}

static void red_is_a_ramp(void **state)
{
    NetLinkModel model = { .rate = NET_RATE_MIN, .marking = NET_MARK_RED,
                           .kmin = 5000, .kmax = 25000, .pmax = 200000 };
    static const struct { uint32_t waiting; double chance; } points[] = {
        { 100, 0 }, { 5000, 0 }, { 10000, 0.05 }, { 15000, 0.1 }, { 25000, 0.2 }, { 25001, 1 },
    };

    for (uint32_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        for (int capable = 0; capable < 2; capable++) {
            Line *line = marked_line(model, points[i].waiting, FRAMES, capable);
            const NetLinkCounts *counts = &line->link.counts;

            assert_chance(capable ? counts->marked : counts->early, FRAMES, points[i].chance);
            assert_int_equal(capable ? counts->early : counts->marked, 0);
            line_free(line);
        }
    }
}

/* The same fractions, but none is left to chance. */
static void red_may_mark_evenly(void **state)
{
    NetLinkModel model = { .rate = NET_RATE_MIN, .marking = NET_MARK_RED, .evenly = true,
                           .kmin = 5000, .kmax = 25000, .pmax = 200000 };
    static const struct { uint32_t waiting, of_1000; } points[] = {
        { 100, 0 }, { 5000, 0 }, { 10000, 50 }, { 15000, 100 }, { 25000, 200 }, { 25001, 1000 },
    };

    for (uint32_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        Line *line = marked_line(model, points[i].waiting, 1000, true);
        uint64_t marked = line->link.counts.marked;

        assert_in_range(marked + 1, points[i].of_1000, points[i].of_1000 + 1);
        line_free(line);
    }
}

/* What waits when the frame has left decides, not what waits as it comes. */
static void frames_may_be_marked_as_they_leave(void **state)
{
    uint8_t data[100] = { [12] = 0x08, [14] = 0x45, [15] = 2 };
    Line *line = line_new((NetLinkModel) {
        .rate = 1000000, .marking = NET_MARK_STEP, .kmax = 500, .leaving = true,
    }, 3);

    for (uint32_t i = 0; i < 10; i++) {
        net_link_send(&line->link, net_frame_new(data, sizeof(data)));
    }
    assert_int_equal(line->link.counts.marked, 0);
    net_schedule_run(&line->schedule, SECOND);
    assert_int_equal(line->to.count, 10);
    assert_int_equal(line->link.counts.marked, 4);      /* 900 to 600 octets are behind them */
    line_free(line);
}

static void a_step_marks_above_it(void **state)
{
    NetLinkModel model = { .rate = NET_RATE_MIN, .marking = NET_MARK_STEP, .kmax = 3000 };
    static const struct { uint32_t waiting; bool capable; uint32_t marked; } points[] = {
        { 3000, true, 0 }, { 3001, true, 10 }, { 3001, false, 0 },
    };

    for (uint32_t i = 0; i < 3; i++) {
        Line *line = marked_line(model, points[i].waiting, 10, points[i].capable);

        assert_int_equal(line->link.counts.marked, points[i].marked);
        assert_int_equal(line->link.counts.early, 0);
        line_free(line);
    }
}

static void chances_are_kept(void **state)
{
    Line *line = line_new((NetLinkModel) {
        .delay = 10, .loss = 50000, .duplicate = 20000, .reorder = 10000,
        .reorder_delay = 5000, .corrupt = 3000,
    }, 4);
    const NetLinkCounts *counts = &line->link.counts;
    uint64_t survived;

    line_carry(line, FRAMES, 64, 100);
    survived = FRAMES - counts->lost;
    assert_chance(counts->lost, FRAMES, 0.05);
    assert_chance(counts->duplicated, survived, 0.02);
    assert_chance(counts->reordered, counts->sent, 0.01);
    assert_chance(counts->corrupted, counts->sent, 0.003);
    assert_int_equal(counts->sent, survived + counts->duplicated);
    assert_int_equal(line->to.count, counts->sent);
    line_free(line);
}

/* One that is held back for longer than to the next frame is overtaken. */
static void reordered_ones_are_overtaken(void **state)
{
    Line *line = line_new((NetLinkModel) { .delay = 10, .reorder = 10000,
                                           .reorder_delay = 150 }, 5);

    line_carry(line, FRAMES, 64, 100);
    assert_int_equal(line->to.count, FRAMES);
    assert_in_range(line->to.overtaken, line->link.counts.reordered * 97 / 100,
                    line->link.counts.reordered);
    line_free(line);
}

static void jitter_is_uniform(void **state)
{
    Line *line = line_new((NetLinkModel) { .delay = 1000, .jitter = 999 }, 6);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < FRAMES; i++) {
        uint64_t sent = line->schedule.now, took;

        net_link_send(&line->link, numbered(64, i));
        net_schedule_run(&line->schedule, sent + 5000);
        took = line->to.last - sent;
        assert_in_range(took, 1000, 1999);
        sum += took;
    }
    /* the standard deviation of the mean is 0.9 */
    assert_in_range(sum / FRAMES, 1495, 1504);
    line_free(line);
}

static void a_copy_is_damaged_alone(void **state)
{
    Line *line = line_new((NetLinkModel) { .corrupt = NET_PPM }, 7);
    NetFrame *frame = numbered(64, 9), *mine = net_frame_ref(frame);
    uint32_t bits = 0;

    net_link_send(&line->link, frame);
    net_schedule_run(&line->schedule, 1);
    for (uint32_t i = 0; i < 64; i++) {
        bits += __builtin_popcount(line->to.kept->data[i] ^ mine->data[i]);
    }
    assert_int_equal(bits, 1);
    assert_ptr_not_equal(line->to.kept, mine);
    net_frame_put(mine);
    line_free(line);
}

static uint64_t course(uint64_t seed, NetLinkModel model, NetLinkCounts *counts)
{
    Line *line = line_new(model, seed);
    uint64_t hash;

    line_carry(line, 1000, 64, 100);
    hash = line->to.hash;
    *counts = line->link.counts;
    line_free(line);
    return hash;
}

/* The same seed, the same course; and a chance more leaves the others as they were. */
static void a_seed_decides(void **state)
{
    NetLinkModel model = { .rate = SECOND, .loss = 50000, .duplicate = 20000, .corrupt = 10000,
                           .jitter = 500 };
    NetLinkCounts one, two;
    uint64_t hash = course(1, model, &one);

    assert_int_equal(course(1, model, &two), hash);
    assert_memory_equal(&one, &two, sizeof(one));
    assert_int_not_equal(course(2, model, &two), hash);
    model.reorder = 100000;
    model.reorder_delay = 1000;
    assert_int_not_equal(course(1, model, &two), hash);
    assert_int_equal(one.lost, two.lost);
    assert_int_equal(one.duplicated, two.duplicated);
    assert_int_equal(one.corrupted, two.corrupted);
}

static void what_is_under_way_is_bounded(void **state)
{
    Line *line = line_new((NetLinkModel) { .delay = SECOND }, 1);

    line->link.under_way_max = 1000;
    for (uint32_t i = 0; i < 12; i++) {
        net_link_send(&line->link, numbered(100, i));
    }
    assert_int_equal(line->link.counts.no_memory, 2);
    net_schedule_run(&line->schedule, SECOND);
    assert_int_equal(line->to.count, 10);
    assert_int_equal(line->link.under_way, 0);
    line_free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wire_takes_its_time),
        cmocka_unit_test(a_rate_is_exact),
        cmocka_unit_test(rates_from_end_to_end),
        cmocka_unit_test(an_idle_line_saves_nothing),
        cmocka_unit_test(a_jump_is_made_up_for),
        cmocka_unit_test(a_rate_changes_with_the_next_frame),
        cmocka_unit_test(a_queue_is_bounded),
        cmocka_unit_test(red_is_a_ramp),
        cmocka_unit_test(red_may_mark_evenly),
        cmocka_unit_test(frames_may_be_marked_as_they_leave),
        cmocka_unit_test(a_step_marks_above_it),
        cmocka_unit_test(chances_are_kept),
        cmocka_unit_test(reordered_ones_are_overtaken),
        cmocka_unit_test(jitter_is_uniform),
        cmocka_unit_test(a_copy_is_damaged_alone),
        cmocka_unit_test(a_seed_decides),
        cmocka_unit_test(what_is_under_way_is_bounded),
    };

    return cmocka_run_group_tests_name("net_link", tests, NULL, NULL);
}
