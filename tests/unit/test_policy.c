/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a miss is handled: by the limits of a policy, of what a transport offers.
 */
#include "unit.h"

#define US              1000ull
#define NOW             (5000 * US)
#define KEEPS           (SVAN_MODE_BIT(HOLD) | SVAN_MODE_BIT(DIVERT))
#define ALL             (KEEPS | SVAN_MODE_BIT(RNR) | SVAN_MODE_BIT(DROP))
#define HOLD            SVAN_FAULT_MODE_HOLD
#define RNR             SVAN_FAULT_MODE_RNR
#define DIVERT          SVAN_FAULT_MODE_DIVERT
#define DROP            SVAN_FAULT_MODE_DROP

static struct svan_fault_policy policy_of(uint8_t mode)
{
    return (struct svan_fault_policy) {
        .mode = mode, .hold_max_us = htole32(10), .divert_max_us = htole32(20),
        .drop_max_us = htole32(30), .unknown_us = htole32(15),
    };
}

/* SVAN_NONE: not chosen yet */
static uint32_t choose(uint8_t policy_mode, uint8_t offered,
                       const SvanEstimate *estimate)
{
    struct svan_fault_policy policy = policy_of(policy_mode);
    SvanChoice choice = { .policy = &policy, .now = NOW, .offered = offered };
    uint8_t mode;

    return svan_policy_choose(&choice, estimate, &mode) ? mode : SVAN_NONE;
}

static void by_time(void **state)
{
    static const struct {
        uint8_t offered;
        uint32_t at_10, at_11, at_20, at_21, at_30, at_31;
    } rows[] = {
        { ALL, HOLD, DIVERT, DIVERT, DROP, DROP, RNR },
        /* one that was called back already */
        { ALL & ~SVAN_MODE_BIT(DROP), HOLD, DIVERT, DIVERT, RNR, RNR, RNR },
        /* nobody to be told to wait */
        { KEEPS | SVAN_MODE_BIT(DROP), HOLD, DIVERT, DIVERT, DROP, DROP, DROP },
        { SVAN_MODE_BIT(HOLD) | SVAN_MODE_BIT(DROP),
          HOLD, DROP, DROP, DROP, DROP, DROP },
        { 0, DROP, DROP, DROP, DROP, DROP, DROP },
    };

    for (size_t i = 0; i < SIZE(rows); i++) {
        const struct {
            uint64_t us;
            uint32_t mode;
        } times[] = {
            { 0, rows[i].at_10 }, { 10, rows[i].at_10 },
            { 11, rows[i].at_11 }, { 20, rows[i].at_20 },
            { 21, rows[i].at_21 }, { 30, rows[i].at_30 },
            { 31, rows[i].at_31 }, { 1000000, rows[i].at_31 },
        };

        for (size_t t = 0; t < SIZE(times); t++) {
            SvanEstimate estimate = {
                .known = true, .at = NOW + times[t].us * US,
            };

            assert_int_equal(choose(SVAN_FAULT_MODE_AUTO, rows[i].offered,
                                    &estimate), times[t].mode);
        }
    }
}

static void what_is_over_and_what_is_unknown(void **state)
{
    struct svan_fault_policy policy = policy_of(SVAN_FAULT_MODE_AUTO);
    SvanEstimate estimate = { .known = true, .at = NOW - 1 };

    assert_int_equal(svan_policy_time_left(&policy, &estimate, NOW), 0);
    assert_int_equal(choose(SVAN_FAULT_MODE_AUTO, ALL, &estimate), HOLD);
    estimate.known = false;
    assert_int_equal(choose(SVAN_FAULT_MODE_AUTO, ALL, &estimate), SVAN_NONE);
    estimate.answered = true;
    assert_int_equal(svan_policy_time_left(&policy, &estimate, NOW), 15 * US);
    assert_int_equal(choose(SVAN_FAULT_MODE_AUTO, ALL, &estimate), DIVERT);
}

/* Known or not; what a transport cannot do is dropped. */
static void always_the_same(void **state)
{
    static const uint8_t modes[] = { HOLD, RNR, DIVERT, DROP };
    SvanEstimate unknown = { 0 }, far = { .known = true, .at = NOW * 2 };

    for (size_t i = 0; i < SIZE(modes); i++) {
        bool datagrams = modes[i] != RNR;

        assert_int_equal(choose(modes[i], ALL, &unknown), modes[i]);
        assert_int_equal(choose(modes[i], ALL, &far), modes[i]);
        assert_int_equal(choose(modes[i], ALL & ~SVAN_MODE_BIT(RNR), &far),
                         datagrams ? modes[i] : DROP);
        assert_int_equal(choose(modes[i], 0, &far), DROP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_time),
        cmocka_unit_test(what_is_over_and_what_is_unknown),
        cmocka_unit_test(always_the_same),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
