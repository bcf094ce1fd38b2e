/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Estimates of the congestion of a flow, and what a flow is recognized as by them.
 */
#include <stdio.h>

#include "net/recognition.h"
#include "unit.h"

#define US              1000ull
#define MS              1000000ull
#define SECOND          1000000000ull
#define START           (5 * SECOND)

/* ---- rates ---- */

static void the_rate_is_what_was_sent(void **state)
{
    SvanFlowEstimate e = { .ce = 0 };
    uint64_t now = START;

    for (uint32_t i = 0; i < 20000; i++, now += US) {
        svan_estimate_sent(&e, 1250, now);
    }
    assert_in_range(e.rate, 9990000000ull, 10010000000ull);
    svan_estimate_age(&e, now + 3 * MS);
    assert_in_range(e.rate, 1000000000ull, 2600000000ull);
    svan_estimate_age(&e, now + 1000 * SECOND);
    assert_int_equal(e.rate, 0);
}

static void losses_and_cnps(void **state)
{
    SvanFlowEstimate e = { .ce = 0 };
    uint64_t now = START;

    for (uint32_t i = 0; i < 20000; i++, now += US) {
        svan_estimate_sent(&e, 1000, now);
        if (i % 100 == 0) {
            svan_estimate_lost(&e, now);
            svan_estimate_cnp(&e, now);
        }
    }
    assert_in_range(e.loss, SVAN_FRACTION_ONE / 110, SVAN_FRACTION_ONE / 90);
    assert_in_range(e.cnp_rate, 9000, 11000);
    svan_estimate_age(&e, now + SECOND);
    assert_int_equal(e.loss, 0);
    assert_int_equal(e.cnp_rate, 0);
}

static void marks_are_averaged_and_forgotten(void **state)
{
    SvanFlowEstimate e = { .ce = 0 };

    svan_estimate_marks(&e, 1000, 1000, START);
    assert_int_equal(e.ce, SVAN_FRACTION_ONE / 4);
    for (uint32_t i = 0; i < 100; i++) {
        svan_estimate_marks(&e, 1000, 100, START + i * US);
    }
    assert_in_range(e.ce, SVAN_FRACTION_ONE / 10 - 4, SVAN_FRACTION_ONE / 10 + 4);
    svan_estimate_age(&e, START + 3 * SVAN_ESTIMATE_WINDOW + 200 * US);
    assert_in_range(e.ce, SVAN_FRACTION_ONE / 90, SVAN_FRACTION_ONE / 70);
    svan_estimate_age(&e, START + SECOND);
    assert_int_equal(e.ce, 0);
    /* Whatever a stranger claims, it is a fraction. */
    svan_estimate_marks(&e, 0, UINT32_MAX, START + SECOND);
    svan_estimate_marks(&e, 1, UINT32_MAX, START + SECOND);
    assert_in_range(e.ce, 0, SVAN_FRACTION_ONE);
}

/* ---- round trips ---- */

#define TRIP            (100 * US)

static void trip(SvanFlowEstimate *e, uint64_t *now, uint64_t rtt)
{
    svan_estimate_probe(e, 1, *now);
    svan_estimate_probe(e, 2, *now + 1);
    assert_int_equal(e->probe, 1);
    *now += rtt;
    svan_estimate_answer(e, *now, 0);
}

static void round_trips_and_their_gradient(void **state)
{
    SvanFlowEstimate e = { .ce = 0 };
    uint64_t now = START;

    for (uint32_t i = 0; i < 50; i++) {
        trip(&e, &now, 10 * TRIP);
    }
    assert_int_equal(e.rtt, 10 * TRIP);
    assert_int_equal(e.rtt_min, 10 * TRIP);
    assert_int_equal(e.rtt_gradient, 0);
    for (uint32_t i = 0; i < 100; i++) {
        trip(&e, &now, 10 * TRIP + i * TRIP);
    }
    assert_true(e.rtt_gradient > 0);
    assert_in_range(e.rtt, 90 * TRIP, 109 * TRIP);
    assert_int_equal(svan_symptom(&e), SVAN_SYMPTOM_AMBIGUOUS);
    for (uint32_t i = 0; i < 50; i++) {
        trip(&e, &now, 10 * TRIP);
    }
    assert_int_equal(svan_symptom(&e), SVAN_SYMPTOM_NONE);
    svan_estimate_age(&e, now + SVAN_RTT_OLD + MS);
    assert_int_equal(e.rtt, 0);
}

/* The engine's own delays are not the network's. */
static void what_the_engine_slept_through_is_no_sample(void **state)
{
    SvanFlowEstimate e = { .ce = 0 };
    uint64_t now = START;

    trip(&e, &now, 10 * US);
    svan_estimate_probe(&e, 1, now);
    svan_estimate_answer(&e, now + 30 * MS, now + 29 * MS);
    assert_int_equal(e.rtt, 10 * US);
    assert_false(e.probing);
    /* A later probe is one again; a lost one is not. */
    svan_estimate_probe(&e, 1, now + 30 * MS);
    svan_estimate_answer(&e, now + 30 * MS + 18 * US, now + 29 * MS);
    assert_int_equal(e.rtt, 11 * US);
    svan_estimate_probe(&e, 1, now + 31 * MS);
    svan_estimate_lost(&e, now + 32 * MS);
    svan_estimate_answer(&e, now + 33 * MS, 0);
    assert_int_equal(e.rtt, 11 * US);
}

/* ---- recognition ---- */

static const SvanPatience patience = { 5 * MS, MS, 10 * MS };

typedef struct Turn {
    const char *from, *by, *to;
} Turn;

/* What each state may become, and by what. */
static const Turn turns[] = {
    { "CLEAR", "certain", "CONGESTING" }, { "CLEAR", "ambiguous", "SUSPECT" },
    { "SUSPECT", "certain", "CONGESTING" }, { "SUSPECT", "lasting", "CONGESTING" },
    { "SUSPECT", "calm", "CLEAR" }, { "SUSPECT", "verdict", "CONGESTING" },
    { "SUSPECT", "acquittal", "CLEAR" },
    { "CONGESTING", "calm", "RECOVERING" }, { "RECOVERING", "certain", "CONGESTING" },
    { "RECOVERING", "losing", "SUSPECT" }, { "RECOVERING", "recovered", "CLEAR" },
};

static const char *const names[] = { "CLEAR", "SUSPECT", "CONGESTING", "RECOVERING" };

static uint8_t state_of(const char *name)
{
    uint8_t state = 0;

    while (strcmp(names[state], name)) {
        state++;
    }
    return state;
}

/* What a state becomes by something, in the code. */
static uint8_t becomes(uint8_t from, const char *by, bool limited)
{
    SvanRecognition r = { .state = from, .since = START, .symptom_at = START };
    SvanSymptom symptom = !strcmp(by, "certain") ? SVAN_SYMPTOM_CERTAIN :
                          !strcmp(by, "ambiguous") || !strcmp(by, "lasting") ?
                          SVAN_SYMPTOM_AMBIGUOUS :
                          !strcmp(by, "losing") ? SVAN_SYMPTOM_LOSS : SVAN_SYMPTOM_NONE;
    uint64_t after = !strcmp(by, "lasting") ? patience.suspect :
                     !strcmp(by, "calm") || !strcmp(by, "losing") ? patience.calm :
                     !strcmp(by, "recovered") ? patience.recovery : 1;

    if (!strcmp(by, "verdict") || !strcmp(by, "acquittal")) {
        svan_recognition_judge(&r, !strcmp(by, "verdict"), START + after);
    } else {
        svan_recognition_step(&r, &patience, symptom, limited, START);
        svan_recognition_step(&r, &patience, symptom, limited, START + after);
    }
    return r.state;
}

static void each_state_by_each_symptom(void **state)
{
    static const char *const by[] = {
        "certain", "ambiguous", "lasting", "calm", "recovered", "verdict", "acquittal",
        "losing",
    };

    for (uint32_t i = 0; i < SIZE(turns); i++) {
        assert_int_equal(becomes(state_of(turns[i].from), turns[i].by, false),
                         state_of(turns[i].to));
    }
    for (uint8_t from = 0; from < SVAN_CONGESTION_STATES; from++) {
        for (uint32_t b = 0; b < SIZE(by); b++) {
            uint8_t to = becomes(from, by[b], false);
            bool known = to == from;

            for (uint32_t i = 0; i < SIZE(turns); i++) {
                known |= state_of(turns[i].from) == from && state_of(turns[i].to) == to;
            }
            assert_true(known);
        }
    }
    /* Whoever still has a rate is not forgotten. */
    assert_int_equal(becomes(SVAN_CONGESTION_RECOVERING, "recovered", true),
                     SVAN_CONGESTION_RECOVERING);
}

/* A symptom that comes and goes does not make the state come and go with it. */
static void there_is_hysteresis(void **state)
{
    SvanRecognition r = { .state = SVAN_CONGESTION_CLEAR };
    uint32_t changes = 0;

    for (uint32_t i = 0; i < 1000; i++) {
        changes += svan_recognition_step(&r, &patience, i % 3 ? SVAN_SYMPTOM_NONE :
                                         SVAN_SYMPTOM_CERTAIN, false, START + i * MS / 4);
    }
    assert_int_equal(changes, 1);
    assert_int_equal(r.state, SVAN_CONGESTION_CONGESTING);
}

/* The picture has each of the turns, and no other. */
static void the_manual_draws_this_machine(void **state)
{
    FILE *manual = fopen(MANUAL, "r");
    uint32_t drawn = 0, edges = 0;
    bool inside = false;
    char line[256];

    assert_non_null(manual);
    while (fgets(line, sizeof(line), manual)) {
        char from[32], to[32], by[32];

        inside |= strstr(line, "digraph recognition") != NULL;
        inside &= line[0] == ' ' || line[0] == '\n';
        if (!inside || sscanf(line, " %31[A-Z] -> %31[A-Z] [label=\"%31[a-z]", from, to,
                              by) != 3) {
            continue;
        }
        edges++;
        for (uint32_t i = 0; i < SIZE(turns); i++) {
            drawn += !strcmp(turns[i].from, from) && !strcmp(turns[i].to, to) &&
                     !strcmp(turns[i].by, by);
        }
    }
    fclose(manual);
    assert_int_equal(edges, SIZE(turns));
    assert_int_equal(drawn, SIZE(turns));
}

/* RTTs that grow: from where on they tell of a queue. */
static void a_queue_is_seen_in_long_round_trips(void **state)
{
    SvanFlowEstimate e = { 0 };
    uint64_t now = MS;

    (void)state;
    trip(&e, &now, 20 * US);
    for (uint32_t n = 2; n < 50; n++) {
        trip(&e, &now, 20 * n * US);
        assert_int_equal(svan_symptom(&e), SVAN_SYMPTOM_NONE);
    }
    for (uint32_t n = 0; n < 20; n++) {
        trip(&e, &now, (1600 + 20 * n) * US);
    }
    assert_int_equal(svan_symptom(&e), SVAN_SYMPTOM_AMBIGUOUS);
    for (uint32_t n = 0; n < 4; n++) {
        trip(&e, &now, 400 * US);       /* it falls */
    }
    assert_int_equal(svan_symptom(&e), SVAN_SYMPTOM_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_what_was_sent),
        cmocka_unit_test(losses_and_cnps),
        cmocka_unit_test(marks_are_averaged_and_forgotten),
        cmocka_unit_test(round_trips_and_their_gradient),
        cmocka_unit_test(what_the_engine_slept_through_is_no_sample),
        cmocka_unit_test(each_state_by_each_symptom),
        cmocka_unit_test(there_is_hysteresis),
        cmocka_unit_test(the_manual_draws_this_machine),
        cmocka_unit_test(a_queue_is_seen_in_long_round_trips),
    };

    return cmocka_run_group_tests_name("flow_estimate", tests, NULL, NULL);
}
