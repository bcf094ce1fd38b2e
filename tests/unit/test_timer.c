/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#define TIMERS  200u
#define MOST    32u                     /* that fire in one call */

typedef struct Alarm {
    SvanTimer timer;
    uint32_t id;
} Alarm;

static uint32_t fired[TIMERS];
static uint32_t num_fired;

static void note(SvanTimer *timer)
{
    fired[num_fired++] = svan_container(timer, Alarm, timer)->id;
}

static int setup(void **state)
{
    Fake *fake = fake_create(NULL);

    num_fired = 0;
    assert_true(svan_timer_reserve(fake->core, TIMERS));
    *state = fake;
    return 0;
}

static int teardown(void **state)
{
    fake_destroy(*state);
    return 0;
}

static void check_heap(const SvanCore *core)
{
    for (uint32_t i = 0; i < core->heap_len; i++) {
        assert_int_equal(core->heap[i]->slot, i);
        assert_true(!i || core->heap[(i - 1) / 2]->deadline <=
                          core->heap[i]->deadline);
    }
}

static void alarms_init(Alarm *alarms)
{
    for (uint32_t i = 0; i < TIMERS; i++) {
        svan_timer_init(&alarms[i].timer, note);
        alarms[i].id = i;
    }
}

/* However many are due at once, a call is short. */
static void fire_all(SvanCore *core)
{
    uint32_t before = num_fired;

    while (svan_timer_fire_due(core)) {
        assert_in_range(num_fired - before, 1, MOST);
        before = num_fired;
    }
}

/* Timers start, move and stop at random; a list of their deadlines is the model. */
static void they_fire_in_order(void **state)
{
    Fake *fake = *state;
    Alarm alarms[TIMERS];
    uint64_t model[TIMERS] = { 0 };
    uint32_t seed = 12345, running = 0;

    alarms_init(alarms);
    for (uint32_t n = 0; n < 20000; n++) {
        uint32_t i, when;

        seed = seed * 1664525 + 1013904223;
        i = (seed >> 8) % TIMERS;
        when = fake->now + 1 + (seed >> 16) % 5000;
        if (seed >> 30) {
            svan_timer_set(fake->core, &alarms[i].timer, when);
            model[i] = when;
        } else {
            svan_timer_cancel(fake->core, &alarms[i].timer);
            model[i] = 0;
        }
        if (n % 1000 == 0) {
            check_heap(fake->core);
        }
    }
    for (uint32_t i = 0; i < TIMERS; i++) {
        running += model[i] != 0;
    }
    assert_int_equal(fake->core->heap_len, running);
    fake->now += 100000;
    fire_all(fake->core);
    assert_int_equal(num_fired, running);
    for (uint32_t i = 1; i < num_fired; i++) {
        assert_true(model[fired[i - 1]] <= model[fired[i]]);
    }
    assert_false(svan_timer_fire_due(fake->core));
}

static void equal_deadlines_keep_their_order(void **state)
{
    Fake *fake = *state;
    Alarm alarms[TIMERS];

    alarms_init(alarms);
    for (uint32_t i = 0; i < TIMERS; i++) {
        svan_timer_set(fake->core, &alarms[i].timer, fake->now + 5);
    }
    fake->now += 4;
    assert_false(svan_timer_fire_due(fake->core));
    fake->now += 1;
    fire_all(fake->core);
    for (uint32_t i = 0; i < TIMERS; i++) {
        assert_int_equal(fired[i], i);
        assert_int_equal(alarms[i].timer.slot, -1);
    }
}

typedef struct Restarter {
    SvanTimer timer;
    SvanCore *core;
} Restarter;

static void again(SvanTimer *timer)
{
    num_fired++;
    svan_timer_set(svan_container(timer, Restarter, timer)->core, timer, 1);
}

/* One that starts itself anew in the past does not keep the engine. */
static void a_restarting_timer_is_bounded(void **state)
{
    Fake *fake = *state;
    Restarter self = { .core = fake->core };

    svan_timer_init(&self.timer, again);
    svan_timer_set(fake->core, &self.timer, 1);
    assert_true(svan_timer_fire_due(fake->core));
    assert_int_equal(num_fired, 1);
    svan_timer_cancel(fake->core, &self.timer);
}

static void through_a_stream(void **state)
{
    Fake *fake = *state;
    Alarm alarms[2];
    SvanWriter writer = { 0 };
    SvanReader reader;

    for (uint32_t i = 0; i < 2; i++) {
        svan_timer_init(&alarms[i].timer, note);
    }
    svan_timer_set(fake->core, &alarms[0].timer, 777);
    svan_timer_save(&alarms[0].timer, &writer);
    svan_timer_save(&alarms[1].timer, &writer);
    svan_timer_cancel(fake->core, &alarms[0].timer);
    reader = (SvanReader) { .data = writer.data, .len = writer.len };
    svan_timer_load(fake->core, &alarms[0].timer, &reader);
    svan_timer_load(fake->core, &alarms[1].timer, &reader);
    assert_int_equal(svan_timer_next(fake->core), 777);
    assert_int_equal(fake->core->heap_len, 1);
    svan_timer_load(fake->core, &alarms[1].timer, &reader);
    assert_true(reader.failed);
    assert_int_equal(alarms[1].timer.slot, -1);
    svan_timer_cancel(fake->core, &alarms[0].timer);
    free(writer.data);
}

/* Told when it comes nearer, or once the old one has passed. */
static void the_deadline_is_told_when_it_must(void **state)
{
    Fake *fake = *state;
    Alarm alarm;

    svan_timer_init(&alarm.timer, note);
    fake_run(fake);
    assert_int_equal(fake->deadlines, 0);
    svan_timer_set(fake->core, &alarm.timer, fake->now + 1000);
    fake_run(fake);
    fake_run(fake);
    assert_int_equal(fake->deadlines, 1);
    assert_int_equal(fake->deadline, fake->now + 1000);
    svan_timer_set(fake->core, &alarm.timer, fake->now + 5000);
    fake_run(fake);
    assert_int_equal(fake->deadlines, 1);
    fake_advance(fake, 1000);
    assert_int_equal(num_fired, 0);
    assert_int_equal(fake->deadline, fake->now + 4000);
    fake_advance(fake, 3999);
    assert_int_equal(num_fired, 0);
    fake_advance(fake, 1);
    assert_int_equal(num_fired, 1);
    assert_int_equal(fake->deadline, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_fire_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(equal_deadlines_keep_their_order,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_restarting_timer_is_bounded, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(through_a_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(the_deadline_is_told_when_it_must,
                                        setup, teardown),
    };

    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
