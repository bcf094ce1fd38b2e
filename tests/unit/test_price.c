/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The price of steps: what is learned from those that are timed, and which are.
 */
#include "unit.h"
#include "device/device.h"

#define COST            1000u
#define LONG_NS         3000000u        /* a thread has lost its CPU */

static void what_steps_take_is_learned(void **state)
{
    static const uint32_t times[] = { 5000, 700, 1000 };
    SvanCore core = {};
    SvanPrice price;

    svan_price_init(&price);
    assert_int_equal(svan_price_of(&price, COST), COST);
    for (uint32_t i = 0; i < SIZE(times); i++) {
        for (uint32_t n = 0; n < 300; n++) {
            svan_price_learn(&core, &price, COST, times[i]);
        }
        assert_in_range(svan_price_of(&price, COST), times[i] * 95ull / 100,
                        times[i] * 105ull / 100);
    }
}

static void one_long_step_says_little(void **state)
{
    SvanCore core = {};
    SvanPrice price;

    svan_price_init(&price);
    svan_price_learn(&core, &price, COST, LONG_NS);
    assert_in_range(svan_price_of(&price, COST), COST, COST * 5 / 4);
    svan_price_learn(&core, &price, COST, UINT64_MAX);
    assert_in_range(svan_price_of(&price, COST), COST, COST * 3 / 2);
}

/* What is paid is what was taken, although one step in sixteen alone is a dear one. */
static void dear_steps_do_not_hide_among_cheap_ones(void **state)
{
    uint64_t taken = 0, charged = 0;
    SvanCore core = {};
    SvanPrice price;

    svan_price_init(&price);
    for (uint32_t step = 0; step < 64000; step++) {
        bool dear = step % 16 == 5;
        uint64_t cost = dear ? 800 : 100, ns = dear ? 6400 : 30;

        if (svan_price_is_due(&price)) {
            svan_price_learn(&core, &price, cost, ns);
        }
        if (step >= 32000) {
            taken += ns;
            charged += svan_price_of(&price, cost);
        }
    }
    print_message("charged %.2f of what was taken\n", (double)charged / taken);
    assert_in_range(charged, taken * 6 / 10, taken * 12 / 10);
}

static void a_price_has_bounds(void **state)
{
    SvanCore core = {};
    SvanPrice price;

    svan_price_init(&price);
    for (uint32_t n = 0; n < 1000; n++) {
        svan_price_learn(&core, &price, 100, LONG_NS);
    }
    assert_int_equal(price.price, SVAN_PRICE_MOST);
    for (uint32_t n = 0; n < 1000; n++) {
        svan_price_learn(&core, &price, UINT32_MAX, 1);
    }
    assert_int_equal(price.price, SVAN_PRICE_LEAST);
}

/* A simulation, in which the clock stands still during a step. */
static void steps_that_take_no_time_say_nothing(void **state)
{
    SvanCore core = {};
    SvanPrice price;

    svan_price_init(&price);
    for (uint32_t n = 0; n < 100; n++) {
        svan_price_learn(&core, &price, COST, 0);
    }
    assert_int_equal(price.price, SVAN_PRICE_ONE);
}

/* One in about sixteen, and now this one, now that one of each sixteen. */
static void which_steps_are_timed_varies(void **state)
{
    uint32_t timed = 0, by_rest[16] = {};
    SvanCore core = {};
    SvanPrice price;

    svan_price_init(&price);
    for (uint32_t step = 0; step < 16000; step++) {
        if (svan_price_is_due(&price)) {
            svan_price_learn(&core, &price, COST, COST);
            by_rest[step % 16]++;
            timed++;
        }
    }
    assert_in_range(timed, 900, 1100);
    for (uint32_t i = 0; i < SIZE(by_rest); i++) {
        assert_in_range(by_rest[i], 30, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_steps_take_is_learned),
        cmocka_unit_test(one_long_step_says_little),
        cmocka_unit_test(dear_steps_do_not_hide_among_cheap_ones),
        cmocka_unit_test(a_price_has_bounds),
        cmocka_unit_test(steps_that_take_no_time_say_nothing),
        cmocka_unit_test(which_steps_are_timed_varies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
