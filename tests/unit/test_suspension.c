/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The states of a suspension: the table of their transitions is walked, and held
 * against the one that the manual draws.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault_peer.h"

#define STATES          SVAN_SUSPENSION_NUM_STATES
#define EVENTS          SVAN_SUSPENSION_NUM_EVENTS

#define NAME(name)      #name,
static const char *const state_names[] = { SVAN_SUSPENSION_STATES(NAME) };
static const char *const event_names[] = { SVAN_SUSPENSION_EVENTS(NAME) };

static const SvanSuspensionTurn *turn_of(uint32_t state, uint32_t event)
{
    return &svan_suspension_turns[state][event];
}

static SvanSuspension *suspension_of(Od *od)
{
    return &rc_priv(od->rc)->suspension;
}

/* By which event each state is first come to, and from where. */
typedef struct Way {
    bool known;
    uint8_t from, event;
} Way;

static void find_ways(Way *ways)
{
    bool found = true;

    ways[SVAN_SUSPENSION_NONE].known = true;
    while (found) {
        found = false;
        for (uint32_t s = 0; s < STATES; s++) {
            for (uint32_t e = 0; e < EVENTS; e++) {
                const SvanSuspensionTurn *turn = turn_of(s, e);

                if (ways[s].known && turn->legal && !ways[turn->next].known) {
                    ways[turn->next] = (Way) { true, s, e };
                    found = true;
                }
            }
        }
    }
}

static void fire(Od *od, uint8_t event)
{
    assert_int_equal(svan_suspension_turn(od->rc->core, event),
                     SVAN_STEP_DONE);
}

static void walk_to(Od *od, const Way *ways, uint8_t state)
{
    if (state != SVAN_SUSPENSION_NONE) {
        walk_to(od, ways, ways[state].from);
        fire(od, ways[state].event);
    }
    assert_int_equal(suspension_of(od)->state, state);
}

static void each_transition(void **state)
{
    Way ways[STATES] = { 0 };
    Od *od = *state;

    find_ways(ways);
    for (uint32_t s = 0; s < STATES; s++) {
        assert_true(ways[s].known);
        for (uint32_t e = 0; e < EVENTS; e++) {
            if (turn_of(s, e)->legal) {
                fire(od, SVAN_SUSPENDED_STOP);
                walk_to(od, ways, s);
                fire(od, e);
                assert_int_equal(suspension_of(od)->state,
                                 turn_of(s, e)->next);
            }
        }
    }
}

/* Whatever it is in, the connection may come to an end, and only then is it over. */
static void the_end_is_always_possible(void **state)
{
    for (uint32_t s = 0; s < STATES; s++) {
        assert_true(turn_of(s, SVAN_SUSPENDED_STOP)->legal);
        for (uint32_t e = 0; e < EVENTS; e++) {
            const SvanSuspensionTurn *turn = turn_of(s, e);
            bool ends = e == SVAN_SUSPENDED_STOP || e == SVAN_SUSPENDED_OVER ||
                        e == SVAN_SUSPENDED_FAILED;

            assert_true(!turn->legal ||
                        (turn->next == SVAN_SUSPENSION_NONE) == ends);
        }
    }
}

static bool dies(Od *od, uint8_t from, uint8_t event)
{
    pid_t child = fork();
    int status;

    if (!child) {
        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        suspension_of(od)->state = from;
        svan_suspension_turn(od->rc->core, event);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void no_other_transition(void **state)
{
    uint32_t illegal = 0;
    Od *od = *state;

    for (uint32_t s = 0; s < STATES; s++) {
        for (uint32_t e = 0; e < EVENTS; e++) {
            if (!turn_of(s, e)->legal) {
                assert_true(dies(od, s, e));
                illegal++;
            }
        }
    }
    assert_in_range(illegal, 1, STATES * EVENTS - 1);
}

/* ---- the manual ---- */

static uint32_t index_of(const char *name, const char *const *names,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!strcmp(name, names[i])) {
            return i;
        }
    }
    fail_msg("the manual names %s", name);
    return count;
}

/* FROM -> TO [label="EVENT, EVENT"]; */
static bool read_edge(const char *line, bool drawn[STATES][EVENTS])
{
    char from[32], to[32], label[128], *event, *rest;
    uint32_t s, next;

    if (sscanf(line, " %31[A-Z_] -> %31[A-Z_] [label=\"%127[^\"]\"", from, to,
               label) != 3) {
        return false;
    }
    s = index_of(from, state_names, STATES);
    next = index_of(to, state_names, STATES);
    for (event = strtok_r(label, ", ", &rest); event;
         event = strtok_r(NULL, ", ", &rest)) {
        uint32_t e = index_of(event, event_names, EVENTS);

        if (!turn_of(s, e)->legal || turn_of(s, e)->next != next) {
            fail_msg("%s does not go to %s by %s", from, to, event);
        }
        drawn[s][e] = true;
    }
    return true;
}

/* STOP leads to NONE from everywhere, and is not drawn. */
static void the_manual_draws_this_table(void **state)
{
    bool drawn[STATES][EVENTS] = { { false } };
    FILE *manual = fopen(MANUAL, "r");
    bool inside = false;
    uint32_t edges = 0;
    char line[256];

    assert_non_null(manual);
    while (fgets(line, sizeof(line), manual)) {
        inside |= strstr(line, "digraph suspension") != NULL;
        inside &= line[0] == ' ' || line[0] == '\n';
        edges += inside && read_edge(line, drawn);
    }
    fclose(manual);
    assert_true(edges >= STATES);
    for (uint32_t s = 0; s < STATES; s++) {
        for (uint32_t e = 0; e < EVENTS; e++) {
            if (e != SVAN_SUSPENDED_STOP && turn_of(s, e)->legal &&
                !drawn[s][e]) {
                fail_msg("not drawn: %s by %s", state_names[s],
                         event_names[e]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(each_transition),
        cmocka_unit_test(the_end_is_always_possible),
        OD_TEST(no_other_transition),
        cmocka_unit_test(the_manual_draws_this_table),
    };

    return cmocka_run_group_tests_name("suspension", tests, NULL, NULL);
}
