/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of events, with a calendar and without.
 */
#include "unit.h"

#include "model/schedule.h"
#include "rng.h"

#define NODES           7u
#define EVENTS          60000u          /* more than a calendar has days */
#define HORIZON         5000000ull      /* ns */

/* Nodes that give each other events, near and far ones, some for the same moment. */
typedef struct Course {
    NetSchedule schedule;
    NetNode nodes[NODES];
    Rng rng;
    uint64_t hash, happened;
    uint32_t added;
} Course;

static void happen(void *arg, NetFrame *frame);

static void add(Course *course)
{
    uint64_t scale = 1ull << rng_below(&course->rng, 16);
    uint32_t node = rng_below(&course->rng, NODES), source = rng_below(&course->rng, NODES);
    NetEvent event = {
        .time = course->schedule.now + rng_below(&course->rng, scale),
        .kind = rng_below(&course->rng, 3), .fn = happen, .arg = course,
    };

    if (course->added++ < EVENTS) {
        assert_true(net_schedule_add(&course->schedule, node, &course->nodes[source], event));
    }
}

static void happen(void *arg, NetFrame *frame)
{
    Course *course = arg;

    course->hash = (course->hash ^ course->schedule.now) * 0x9e3779b97f4a7c15ull;
    course->hash ^= course->nodes[course->happened++ % NODES].sequence;
    add(course);
    add(course);
}

static Course *take(uint64_t seed, uint64_t ahead)
{
    Course *course = calloc(1, sizeof(*course));

    course->rng = rng_make(seed, 0);
    if (ahead) {
        assert_true(net_schedule_spread(&course->schedule, ahead));
    }
    for (uint32_t i = 0; i < NODES; i++) {
        course->nodes[i].id = i;
        add(course);
    }
    for (uint64_t until = 0; until < HORIZON; until += 1777) {
        net_schedule_run(&course->schedule, until);
        assert_true(net_schedule_next(&course->schedule) > until);
    }
    assert_true(net_schedule_next(&course->schedule) == UINT64_MAX);
    return course;
}

static void a_calendar_changes_no_order(void **state)
{
    static const uint64_t ahead[] = { 1, 3000, 60000, 1u << 20 };

    for (uint64_t seed = 1; seed <= 3; seed++) {
        Course *plain = take(seed, 0);

        assert_true(plain->happened >= EVENTS);
        for (uint32_t i = 0; i < SIZE(ahead); i++) {
            Course *spread = take(seed, ahead[i]);

            assert_int_equal(spread->happened, plain->happened);
            assert_true(spread->hash == plain->hash);
            net_schedule_fini(&spread->schedule);
            free(spread);
        }
        net_schedule_fini(&plain->schedule);
        free(plain);
    }
}

static void no_use(void *arg, NetFrame *frame)
{
    fail();
}

static void what_will_not_happen_is_freed(void **state)
{
    static const uint64_t times[] = { 0, 1, 4095, 4096, 100000 };
    NetSchedule schedule = { 0 };
    NetNode node = { .id = 1 };

    assert_true(net_schedule_spread(&schedule, 4096));
    for (uint32_t i = 0; i < SIZE(times); i++) {
        uint8_t data[NET_FRAME_MIN] = { 0 };
        NetEvent event = {
            .time = times[i], .fn = no_use, .frame = net_frame_new(data, sizeof(data)),
        };

        assert_true(net_schedule_add(&schedule, 1, &node, event));
    }
    net_schedule_fini(&schedule);
}

/* What is added elsewhere, with its key, takes its place here. */
static bool take_away(void *arg, const NetEvent *event)
{
    return event->node == 2 && net_schedule_put(arg, event);
}

static void note(void *arg, NetFrame *frame)
{
    uint64_t *order = arg;

    *order = *order * 10 + 1 + (frame != NULL);
    net_frame_put(frame);
}

static void events_go_elsewhere(void **state)
{
    NetSchedule here = { 0 }, there = { 0 };
    NetNode near = { .id = 1 }, far = { .id = 2 };
    uint8_t data[NET_FRAME_MIN] = { 0 };
    uint64_t order = 0;
    NetEvent event = { .time = 5, .fn = note, .arg = &order };

    here.away = take_away;
    here.away_arg = &there;
    assert_true(net_schedule_add(&there, 2, &far, event));
    event.frame = net_frame_new(data, sizeof(data));
    event.time = 4;
    assert_true(net_schedule_add(&here, 2, &near, event));
    assert_int_equal(near.sequence, 1);
    assert_true(net_schedule_next(&here) == UINT64_MAX);
    assert_int_equal(net_schedule_run(&there, 10), 2);
    assert_int_equal(order, 21);
    net_schedule_fini(&here);
    net_schedule_fini(&there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calendar_changes_no_order),
        cmocka_unit_test(what_will_not_happen_is_freed),
        cmocka_unit_test(events_go_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
