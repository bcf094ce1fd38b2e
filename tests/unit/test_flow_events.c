/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The physical function hears that a path has changed its state: by one event of each
 * function, however often that happens, until it has looked.
 */
#include "stand.h"

#define EVENTS(stand)           COUNT(stand, flow_events)
#define MERGED(stand)           COUNT(stand, flow_events_merged)

static Host *pf_of(Stand *stand)
{
    return stand->hall->stations[0].host;
}

static void watch(Stand *stand, uint8_t flags)
{
    struct svan_enforcement_attr attr = normal();

    attr.flags |= flags;
    enforce(stand, &attr);
}

static int events_setup(void **state)
{
    stand_setup(state);
    watch(*state, SVAN_ENFORCE_EVENTS);
    return 0;
}

#define EVENTS_TEST(name) \
    cmocka_unit_test_setup_teardown(name, events_setup, stand_teardown)

/* How many events of flows function `id` was told of, all of the one that is policed. */
static uint32_t heard(Stand *stand, uint32_t id)
{
    Host *host = stand->hall->stations[id].host;
    uint32_t count = 0;
    struct svan_eqe eqe;

    fake_run(stand->hall->fake);
    while (host_eq_poll(host, 0, &eqe)) {
        host_eq_arm(host, 0);
        fake_run(stand->hall->fake);
        if (eqe.type == SVAN_EVENT_FLOW) {
            assert_int_equal(le32toh(eqe.qn), POLICED);
            assert_int_equal(le32toh(eqe.data), 0);
            count++;
        }
    }
    return count;
}

static void look(Stand *stand, bool paths, uint32_t first)
{
    uint64_t bus = fake_alloc(stand->hall->fake, 4096, 4096);
    uint32_t total;

    query(stand, paths, first, 36, bus, &total);
}

/* The path gets congested, and recovers. */
static void toggle(Stand *stand)
{
    congest(stand, 0);
    fake_advance(stand->hall->fake, 20 * MS);
    svan_flows_step_all(&policed(stand)->net->enforcement->flows,
                        svan_now(stand->hall->fake->core));
    assert_int_not_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_CONGESTING);
}

/* ---- one for all ---- */

static void one_event_for_many_changes(void **state)
{
    Stand *stand = *state;

    for (uint32_t i = 0; i < 100; i++) {
        toggle(stand);
    }
    assert_int_equal(heard(stand, 0), 1);
    assert_int_equal(EVENTS(stand), 1);
    assert_in_range(MERGED(stand), 199, 1000);
    /* Neither flows, nor the second part of the paths, are a look at them. */
    look(stand, false, 0);
    look(stand, true, 1);
    toggle(stand);
    assert_int_equal(heard(stand, 0), 0);
    look(stand, true, 0);
    assert_int_equal(heard(stand, 0), 0);
    toggle(stand);
    assert_int_equal(heard(stand, 0), 1);
    assert_int_equal(EVENTS(stand), 2);
}

/* Whoever looks as often as the guest can toggle gets an event a look, and no more. */
static void no_more_events_than_looks(void **state)
{
    Stand *stand = *state;
    uint32_t count = 0;

    for (uint32_t i = 0; i < 50; i++) {
        toggle(stand);
        toggle(stand);
        count += heard(stand, 0);
        look(stand, true, 0);
    }
    assert_int_equal(count, 50);
    assert_int_equal(EVENTS(stand), 50);
}

/* What has changed until a look is seen by it, so it needs no event. */
static void a_look_makes_no_event(void **state)
{
    Stand *stand = *state;

    toggle(stand);
    assert_int_equal(heard(stand, 0), 1);
    look(stand, true, 0);
    for (uint32_t i = 0; i < 10; i++) {
        fake_advance(stand->hall->fake, 500 * MS);
        look(stand, true, 0);
    }
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_CLEAR);
    assert_int_equal(heard(stand, 0), 0);
}

static void suspicion_is_told(void **state)
{
    Stand *stand = *state;

    for (uint32_t i = 0; i < 4; i++) {
        send_segment(stand, 1000);
        fake_advance(stand->hall->fake, MS);
    }
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_SUSPECT);
    assert_int_equal(heard(stand, 0), 1);
}

/* The device's timer does not run: only a verdict has it limited. */
static void without_a_verdict_nothing_is_limited(void **state)
{
    Stand *stand = *state;
    struct svan_enforcement_attr attr = normal();
    struct svan_cmd judge = host_cmd_init(SVAN_CMD_JUDGE_FLOW);

    attr.flags |= SVAN_ENFORCE_EVENTS;
    attr.suspect = 0;
    enforce(stand, &attr);
    for (uint32_t i = 0; i < 1000; i++) {
        send_segment(stand, 1000);
        fake_advance(stand->hall->fake, MS);
    }
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_SUSPECT);
    assert_false(svan_rp_is_limited(&path_of(stand)->rp));
    assert_int_equal(COUNT(stand, enforce_delays), 0);
    assert_int_equal(heard(stand, 0), 1);
    judge.judge_flow.function = htole32(POLICED);
    judge.judge_flow.congesting = 1;
    memcpy(judge.judge_flow.peer, peer_gid, 16);
    host_must(pf_of(stand), &judge);
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_CONGESTING);
    assert_true(svan_rp_is_limited(&path_of(stand)->rp));
}

static struct svan_flow_entry only_path(Stand *stand)
{
    uint64_t bus = fake_alloc(stand->hall->fake, 4096, 4096);
    uint32_t total;

    assert_int_equal(query(stand, true, 0, 36, bus, &total), 1);
    return *(struct svan_flow_entry *)fake_ram(stand->hall->fake, bus);
}

/* What was sent before, and by other flows of the path, counts until it is innocent. */
static void classes_are_kept_until_it_is_clear(void **state)
{
    Stand *stand = *state;

    qp_new_av(inside(stand))->traffic_class = 46 << 2;
    post(stand, 1);
    qp_new_av(inside(stand))->traffic_class = 8 << 2;
    congest(stand, 0);
    assert_int_equal(only_path(stand).classes, 1 << 5 | 1 << 1);
    for (uint32_t i = 0; i < 10; i++) {
        fake_advance(stand->hall->fake, 500 * MS);
        only_path(stand);
    }
    assert_int_equal(only_path(stand).state, SVAN_CONGESTION_CLEAR);
    /* What is not acknowledged is sent again in the meantime. */
    assert_int_equal(only_path(stand).classes & ~(1 << 1), 0);
}

/* However they are used between two queries, each path is shown. */
static void paths_keep_their_places(void **state)
{
    Stand *stand = *state;
    uint64_t bus = fake_alloc(stand->hall->fake, 4096, 4096);
    const struct svan_flow_entry *entries = fake_ram(stand->hall->fake, bus);
    uint32_t total, seen = 0;

    for (uint32_t i = 0; i < 8; i++) {
        qp_new_av(inside(stand))->dgid[15] = peer_gid[15] + i;
        post(stand, 1);
    }
    left(stand, NULL);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(query(stand, true, i, 1, bus, &total), 1);
        seen |= 1u << (entries[0].peer[15] - peer_gid[15]);
        qp_new_av(inside(stand))->dgid[15] = entries[0].peer[15];
        fake_advance(stand->hall->fake, 2 * MS);
        post(stand, 1);
        left(stand, NULL);
    }
    assert_int_equal(total, 8);
    assert_int_equal(seen, 0xff);
}

/* ---- who is told ---- */

static void nobody_is_told_unasked(void **state)
{
    Stand *stand = *state;

    watch(stand, 0);
    congest(stand, 0);
    assert_int_equal(heard(stand, 0), 0);
    assert_int_equal(EVENTS(stand) + MERGED(stand), 0);
    /* Who asks is told of what there is. */
    watch(stand, SVAN_ENFORCE_EVENTS);
    assert_int_equal(heard(stand, 0), 1);
    look(stand, true, 0);
    watch(stand, SVAN_ENFORCE_EVENTS);
    assert_int_equal(heard(stand, 0), 1);
}

static void virtual_functions_are_not_told(void **state)
{
    Stand *stand = *state;

    toggle(stand);
    for (uint32_t id = 1; id < NUM_STATIONS; id++) {
        struct svan_eqe eqe;

        while (host_eq_poll(stand->hall->stations[id].host, 0, &eqe)) {
            assert_int_not_equal(eqe.type, SVAN_EVENT_FLOW);
        }
    }
    assert_int_equal(heard(stand, 0), 1);
}

/* It waits for room, and so do the events of others. */
static void a_full_queue_loses_nothing(void **state)
{
    Stand *stand = *state;
    Host *pf = pf_of(stand);
    SvanEq *eq = host_fn(pf)->queues->eqs[0];

    assert_int_equal(heard(stand, 0), 0);
    for (uint32_t i = 0; i < 1u << eq->log_size; i++) {
        host_event(pf, SVAN_EVENT_PORT, 0, 0);
        fake_run(stand->hall->fake);
    }
    toggle(stand);
    toggle(stand);
    assert_int_equal(EVENTS(stand), 1);
    assert_int_equal(eq->pi - eq->ci, 1u << eq->log_size);
    assert_int_equal(heard(stand, 0), 1);
    look(stand, true, 0);
    toggle(stand);
    assert_int_equal(heard(stand, 0), 1);
}

/* What is known of paths is not saved; an event that waits is, and another follows. */
static void saved_while_one_waits(void **state)
{
    Stand *stand = *state;
    Host *pf = pf_of(stand);

    host_event(pf, SVAN_EVENT_FLOW, POLICED, 0);
    assert_true(fake_restore(stand->hall->fake));
    assert_int_equal(heard(stand, 0), 1);
    toggle(stand);
    assert_int_equal(heard(stand, 0), 1);
}

/* Its queues are gone with a reset, and with them the events; then it sets anew. */
static void the_physical_function_resets(void **state)
{
    Stand *stand = *state;
    SvanCore *core = stand->hall->fake->core;

    svan_reset(core, 0);
    congest(stand, 0);
    assert_int_equal(EVENTS(stand), 0);
    host_destroy(pf_of(stand));
    stand->hall->stations[0].host = host_create(stand->hall->fake, 0, 1);
    watch(stand, SVAN_ENFORCE_EVENTS);
    assert_int_equal(EVENTS(stand), 1);
    assert_int_equal(heard(stand, 0), 1);
}

/* A query that goes on where another one ended looks at no path again. */
static void one_look_is_one_step(void **state)
{
    Stand *stand = *state;
    uint64_t bus = fake_alloc(stand->hall->fake, 4096, 4096);
    uint32_t total;

    post(stand, 1);
    left(stand, NULL);
    path_of(stand)->estimate.loss = SVAN_FRACTION_ONE / 2;
    assert_int_equal(query(stand, true, 1, 1, bus, &total), 0);
    assert_int_equal(total, 1);
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_CLEAR);
    assert_int_equal(query(stand, true, 0, 1, bus, &total), 1);
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_SUSPECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVENTS_TEST(one_event_for_many_changes),
        EVENTS_TEST(no_more_events_than_looks),
        EVENTS_TEST(a_look_makes_no_event),
        EVENTS_TEST(suspicion_is_told),
        EVENTS_TEST(without_a_verdict_nothing_is_limited),
        EVENTS_TEST(classes_are_kept_until_it_is_clear),
        EVENTS_TEST(paths_keep_their_places),
        EVENTS_TEST(nobody_is_told_unasked),
        EVENTS_TEST(virtual_functions_are_not_told),
        EVENTS_TEST(a_full_queue_loses_nothing),
        EVENTS_TEST(saved_while_one_waits),
        EVENTS_TEST(the_physical_function_resets),
        EVENTS_TEST(one_look_is_one_step),
    };

    return cmocka_run_group_tests_name("flow events", tests, NULL, NULL);
}
