/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DCQCN's reaction and notification point by themselves. Times are chosen so that what
 * has to come out can be worked out by hand.
 */
#include <math.h>

#include "net/dcqcn.h"
#include "rng.h"
#include "unit.h"

#define GBPS            1000000000ull
#define US              1000ull
#define LINE            (40 * GBPS)

typedef struct Flow {
    SvanDcqcnParams params;
    SvanRp rp;
} Flow;

static Flow flow_at_line(void)
{
    Flow flow;

    svan_dcqcn_default(&flow.params, LINE);
    svan_rp_init(&flow.rp, &flow.params);
    return flow;
}

static void the_defaults_are_valid_at_any_line_rate(void **state)
{
    static const uint64_t rates[] = { 1000000, 10000000, 25 * GBPS, 4000 * GBPS };
    SvanDcqcnParams params;

    for (uint32_t i = 0; i < SIZE(rates); i++) {
        svan_dcqcn_default(&params, rates[i]);
        assert_true(svan_dcqcn_is_valid(&params));
        assert_int_equal(params.line_rate, rates[i]);
    }
}

/* As many packets in each interval, and as much of the line by each increase. */
static void on_slow_lines_all_is_slower(void **state)
{
    SvanDcqcnParams fast, slow;

    svan_dcqcn_default(&fast, 10 * GBPS);
    svan_dcqcn_default(&slow, GBPS / 10);
    assert_int_equal(fast.increase_additive, 40000000);
    assert_int_equal(fast.cnp_interval, 50000);
    assert_int_equal(slow.min_rate, fast.min_rate / 100);
    assert_int_equal(slow.increase_additive, fast.increase_additive / 100);
    assert_int_equal(slow.increase_hyper, fast.increase_hyper / 100);
    assert_int_equal(slow.byte_counter, fast.byte_counter / 100);
    assert_int_equal(slow.alpha_interval, fast.alpha_interval * 100);
    assert_int_equal(slow.increase_interval, fast.increase_interval * 100);
    assert_int_equal(slow.decrease_interval, fast.decrease_interval * 100);
    assert_int_equal(slow.cnp_interval, fast.cnp_interval * 100);
    svan_dcqcn_default(&slow, 8 * GBPS);
    assert_int_equal(slow.increase_additive, fast.increase_additive * 8 / 10);
    assert_int_equal(slow.increase_interval, fast.increase_interval * 10 / 8);
    assert_int_equal(slow.decrease_interval, fast.decrease_interval * 10 / 8);
    svan_dcqcn_default(&slow, 100 * GBPS);
    assert_int_equal(slow.increase_additive, fast.increase_additive);
    assert_int_equal(slow.increase_interval, fast.increase_interval);
}

/* Also of who had no rate at the line's old one, or has a higher rate than the new one. */
static void the_line_may_change(void **state)
{
    Flow flow = flow_at_line();
    uint64_t again;

    svan_dcqcn_default(&flow.params, 4 * LINE);
    svan_rp_notified(&flow.rp, &flow.params, 0);
    assert_int_equal(flow.rp.current, 2 * LINE);
    flow = flow_at_line();

    svan_dcqcn_default(&flow.params, LINE / 10);
    svan_rp_notified(&flow.rp, &flow.params, 0);
    assert_int_equal(flow.rp.current, LINE / 20);
    again = flow.params.decrease_interval;
    svan_dcqcn_default(&flow.params, LINE / 100);
    svan_rp_notified(&flow.rp, &flow.params, again);
    assert_true(flow.rp.current < LINE / 100);
    assert_true(flow.rp.target <= LINE / 100);
}

static void parameters_out_of_range_are_refused(void **state)
{
    SvanDcqcnParams good, bad;

    svan_dcqcn_default(&good, LINE);
#define REFUSED(field, value) \
    bad = good; \
    bad.field = (value); \
    assert_false(svan_dcqcn_is_valid(&bad))
    REFUSED(line_rate, 0);
    REFUSED(line_rate, SVAN_DCQCN_MAX_LINE + 1);
    REFUSED(line_rate, good.increase_hyper - 1);
    REFUSED(min_rate, 0);
    REFUSED(min_rate, LINE + 1);
    REFUSED(increase_additive, 0);
    REFUSED(increase_additive, LINE + 1);
    REFUSED(increase_hyper, 0);
    REFUSED(increase_hyper, UINT64_MAX);
    REFUSED(alpha_shift_g, SVAN_DCQCN_MAX_SHIFT + 1);
    REFUSED(alpha_interval, 0);
    REFUSED(increase_interval, 0);
    REFUSED(increase_interval, SVAN_DCQCN_MAX_NS + 1);
    REFUSED(byte_counter, 0);
    REFUSED(fast_recovery, 0);
    REFUSED(fast_recovery, SVAN_DCQCN_MAX_STAGES + 1);
    REFUSED(decrease_interval, 0);
    REFUSED(cnp_interval, 0);
#undef REFUSED
}

static void a_flow_begins_at_line_rate_without_timers(void **state)
{
    Flow flow = flow_at_line();

    assert_false(svan_rp_is_limited(&flow.rp));
    assert_int_equal(flow.rp.current, LINE);
    assert_int_equal(svan_rp_next(&flow.rp), UINT64_MAX);
    svan_rp_sent(&flow.rp, &flow.params, UINT32_MAX, 1000 * US);
    assert_false(svan_rp_is_limited(&flow.rp));
}

static void the_first_notification_halves_the_rate(void **state)
{
    Flow flow = flow_at_line();

    svan_rp_notified(&flow.rp, &flow.params, 1000 * US);
    assert_true(svan_rp_is_limited(&flow.rp));
    assert_int_equal(flow.rp.target, LINE);
    assert_int_equal(flow.rp.current, LINE / 2);
    assert_int_equal(svan_rp_next(&flow.rp), 1055 * US);
}

static void a_second_decrease_waits_for_its_interval(void **state)
{
    Flow flow = flow_at_line();

    svan_rp_notified(&flow.rp, &flow.params, 1000 * US);
    svan_rp_notified(&flow.rp, &flow.params, 1010 * US);
    svan_rp_notified(&flow.rp, &flow.params, 1049 * US);
    assert_int_equal(flow.rp.current, LINE / 2);
    assert_int_equal(svan_rp_next(&flow.rp), 1050 * US);
    svan_rp_timer(&flow.rp, &flow.params, 1050 * US);
    assert_int_equal(flow.rp.target, LINE / 2);
    assert_int_equal(flow.rp.current, LINE / 4);
    svan_rp_notified(&flow.rp, &flow.params, 1100 * US);
    assert_int_equal(flow.rp.current, LINE / 8);
}

static void fast_recovery_then_additive_increase(void **state)
{
    Flow flow = flow_at_line();
    uint64_t rate = 10 * GBPS, target = 20 * GBPS, now = 50 * US;

    svan_rp_notified(&flow.rp, &flow.params, 0);
    svan_rp_notified(&flow.rp, &flow.params, now);
    for (uint32_t i = 1; i <= 8; i++) {
        now += 55 * US;
        if (i > 5) {
            target += 40000000;
        }
        rate = (rate + target) / 2;
        svan_rp_timer(&flow.rp, &flow.params, now - 1);
        assert_true(flow.rp.current < rate);
        svan_rp_timer(&flow.rp, &flow.params, now);
        assert_int_equal(flow.rp.target, target);
        assert_int_equal(flow.rp.current, rate);
    }
}

static void octets_increase_as_time_does_and_both_hyper(void **state)
{
    Flow flow = flow_at_line();
    uint64_t rate = 10 * GBPS, target = 20 * GBPS;

    svan_rp_notified(&flow.rp, &flow.params, 0);
    svan_rp_notified(&flow.rp, &flow.params, 50 * US);
    for (uint32_t i = 1; i <= 6; i++) {
        svan_rp_sent(&flow.rp, &flow.params, 9999999, 51 * US);
        assert_int_equal(flow.rp.current, rate);
        svan_rp_sent(&flow.rp, &flow.params, 1, 51 * US);
        target += i > 5 ? 40000000 : 0;
        rate = (rate + target) / 2;
        assert_int_equal(flow.rp.current, rate);
    }
    for (uint32_t i = 1; i <= 6; i++) {
        svan_rp_timer(&flow.rp, &flow.params, (50 + 55 * i) * US);
        target += i > 5 ? 400000000 : 40000000;
        rate = (rate + target) / 2;
        assert_int_equal(flow.rp.target, target);
        assert_int_equal(flow.rp.current, rate);
    }
}

static void a_notification_begins_the_stages_anew(void **state)
{
    Flow flow = flow_at_line();

    svan_rp_notified(&flow.rp, &flow.params, 0);
    svan_rp_sent(&flow.rp, &flow.params, 9999999, 1);
    svan_rp_notified(&flow.rp, &flow.params, 54 * US);
    assert_int_equal(flow.rp.current, LINE / 4);
    svan_rp_sent(&flow.rp, &flow.params, 1, 55 * US);
    assert_int_equal(flow.rp.current, LINE / 4);
    assert_int_equal(flow.rp.increase_at, 109 * US);
}

/* alpha is (1 - g) alpha + g for each interval with a notification, else (1 - g) alpha. */
static void alpha_follows_the_notifications(void **state)
{
    Flow flow = flow_at_line();
    double alpha = 1, g = 1.0 / 256;

    svan_rp_notified(&flow.rp, &flow.params, 0);
    for (uint32_t i = 1; i < 2000; i++) {
        bool marked = i == 1 || i % 5 == 0;     /* in the interval that ends */

        alpha = (1 - g) * alpha + (marked ? g : 0);
        svan_rp_timer(&flow.rp, &flow.params, i * 55 * US);
        assert_true(fabs((double)flow.rp.alpha / SVAN_RP_ALPHA_ONE - alpha) < 1e-4);
        if ((i + 1) % 5 == 0) {
            svan_rp_notified(&flow.rp, &flow.params, i * 55 * US + 1);
            svan_rp_notified(&flow.rp, &flow.params, i * 55 * US + 2);
        }
    }
}

static void the_rate_stays_above_its_minimum(void **state)
{
    Flow flow = flow_at_line();

    for (uint32_t i = 0; i < 1000; i++) {
        svan_rp_notified(&flow.rp, &flow.params, i * 50 * US);
        assert_in_range(flow.rp.current, flow.params.min_rate, LINE);
    }
    assert_int_equal(flow.rp.current, flow.params.min_rate);
}

static void a_flow_that_is_left_alone_returns_to_line_rate(void **state)
{
    Flow flow = flow_at_line();
    uint64_t now = 0;

    svan_rp_notified(&flow.rp, &flow.params, now);
    for (uint32_t i = 0; svan_rp_is_limited(&flow.rp); i++) {
        assert_in_range(i, 0, 100);
        now = svan_rp_next(&flow.rp);
        svan_rp_timer(&flow.rp, &flow.params, now);
    }
    assert_int_equal(flow.rp.current, LINE);
    svan_rp_notified(&flow.rp, &flow.params, now);
    assert_int_equal(flow.rp.current, LINE / 2);
}

static void a_long_idle_flow_is_bounded_work(void **state)
{
    Flow flow = flow_at_line();

    flow.params.increase_additive = SVAN_DCQCN_LEAST_RATE;
    svan_rp_notified(&flow.rp, &flow.params, 0);
    svan_rp_notified(&flow.rp, &flow.params, 50 * US);
    svan_rp_timer(&flow.rp, &flow.params, UINT64_MAX / 2);
    assert_true(svan_rp_is_limited(&flow.rp));
    assert_in_range(svan_rp_next(&flow.rp), UINT64_MAX / 2, UINT64_MAX / 2 + 55 * US);
}

static void other_parameters_take_effect_on_a_limited_flow(void **state)
{
    Flow flow = flow_at_line();

    svan_rp_notified(&flow.rp, &flow.params, 0);
    svan_rp_sent(&flow.rp, &flow.params, 9000000, 1);
    svan_dcqcn_default(&flow.params, GBPS);
    flow.params.byte_counter = 1024;
    svan_rp_sent(&flow.rp, &flow.params, 1, 2);
    assert_false(svan_rp_is_limited(&flow.rp));
    assert_int_equal(flow.rp.current, GBPS);
}

/* Whether timers are looked at when they expire or at the next event says nothing. */
static void lazy_timers_do_what_prompt_ones_do(void **state)
{
    uint64_t seed = 12, now = 0;
    Flow lazy = flow_at_line(), prompt = flow_at_line();
    Rng rng = { seed };

    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t next = now + rng_below(&rng, 400 * US);

        while (svan_rp_next(&prompt.rp) <= next) {
            svan_rp_timer(&prompt.rp, &prompt.params, svan_rp_next(&prompt.rp));
        }
        now = next;
        if (rng_below(&rng, 2)) {
            svan_rp_notified(&lazy.rp, &lazy.params, now);
            svan_rp_notified(&prompt.rp, &prompt.params, now);
        } else {
            uint32_t octets = rng_below(&rng, 4000000);

            svan_rp_sent(&lazy.rp, &lazy.params, octets, now);
            svan_rp_sent(&prompt.rp, &prompt.params, octets, now);
        }
        assert_memory_equal(&lazy.rp, &prompt.rp, sizeof(lazy.rp));
    }
}

static void one_cnp_in_each_interval(void **state)
{
    Flow flow = flow_at_line();
    SvanNp np = { 0 };
    uint64_t last = 0;
    uint32_t sent = 0;

    for (uint64_t now = 0; now < 1000 * US; now += 7 * US) {
        if (svan_np_is_due(&np, now)) {
            assert_true(!sent || now - last >= 50 * US);
            svan_np_sent(&np, &flow.params, now);
            last = now;
            sent++;
        }
    }
    assert_int_equal(sent, 18);         /* each 56 us */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_valid_at_any_line_rate),
        cmocka_unit_test(on_slow_lines_all_is_slower),
        cmocka_unit_test(the_line_may_change),
        cmocka_unit_test(parameters_out_of_range_are_refused),
        cmocka_unit_test(a_flow_begins_at_line_rate_without_timers),
        cmocka_unit_test(the_first_notification_halves_the_rate),
        cmocka_unit_test(a_second_decrease_waits_for_its_interval),
        cmocka_unit_test(fast_recovery_then_additive_increase),
        cmocka_unit_test(octets_increase_as_time_does_and_both_hyper),
        cmocka_unit_test(a_notification_begins_the_stages_anew),
        cmocka_unit_test(alpha_follows_the_notifications),
        cmocka_unit_test(the_rate_stays_above_its_minimum),
        cmocka_unit_test(a_flow_that_is_left_alone_returns_to_line_rate),
        cmocka_unit_test(a_long_idle_flow_is_bounded_work),
        cmocka_unit_test(other_parameters_take_effect_on_a_limited_flow),
        cmocka_unit_test(lazy_timers_do_what_prompt_ones_do),
        cmocka_unit_test(one_cnp_in_each_interval),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
