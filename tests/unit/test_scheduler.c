/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns: of functions at a source of work, and of a function's objects.
 */
#include "turns_bench.h"
#include "transport/rc.h"

/* A function that begins later has no right to what the other one has had, all by itself. */
static void who_comes_later_gets_as_much(void **state)
{
    Bench *bench = *state;
    uint64_t before;
    HostQp early, late;

    svan_reset(bench->core, 2);
    svan_reset(bench->core, 0);
    assert_false(svan_is_shared(bench->core));
    early = writer(bench, bench->many, 12);
    host_post(&early);
    fake_run(bench->fake);
    before = sent(bench->many);
    assert_int_equal(before, SVAN_PAGE_SIZE << 12);
    host_destroy(bench->one);
    bench->one = host_create(bench->fake, 2, 3);
    bench->cqs[2] = host_cq(bench->one, 12);
    late = writer(bench, bench->one, 12);
    for (uint32_t i = 0; i < 1u << 12; i++) {
        post(bench, &early, SVAN_WQE_RDMA_WRITE, SVAN_PAGE_SIZE, bench->many);
    }
    host_post(&early);
    host_post(&late);
    run(bench, 4000);
    assert_alike("octets", sent(bench->many) - before, sent(bench->one));
}

/* The first packet of a queue pair costs more than the next, so it is not counted. */
static void a_thousand_writers_get_what_one_gets(void **state)
{
    Bench *bench = *state;
    uint64_t many, one;

    bench->single = writer(bench, bench->one, 12);
    for (uint32_t i = 0; i < CROWD; i++) {
        bench->crowd[i] = writer(bench, bench->many, 3);
    }
    ring_all(bench, CROWD);
    run(bench, 3 * CROWD);
    many = sent(bench->many);
    one = sent(bench->one);
    assert_true(many >= CROWD * SVAN_PAGE_SIZE);
    run(bench, 1200);
    assert_alike("octets written", sent(bench->many) - many, sent(bench->one) - one);
}

/* The PF reads from a queue pair of host. */
static HostQp reader(Bench *bench, Host *host, uint32_t length)
{
    HostQp a = new_qp(bench, bench->pf, 3), b = new_qp(bench, host, 3);

    host_connect(&a, &b);
    post(bench, &a, SVAN_WQE_RDMA_READ, length, host);
    return a;
}

static void a_thousand_readers_are_served_as_one_is(void **state)
{
    Bench *bench = *state;
    uint64_t before[2];

    bench->single = reader(bench, bench->one, BUFFER);
    for (uint32_t i = 0; i < CROWD; i++) {
        bench->crowd[i] = reader(bench, bench->many, 64 * SVAN_PAGE_SIZE);
    }
    ring_all(bench, CROWD);
    while (!sent(bench->one)) {
        svan_run(bench->core);
    }
    before[0] = sent(bench->many);
    before[1] = sent(bench->one);
    run(bench, 1500);
    assert_alike("octets read", sent(bench->many) - before[0],
                 sent(bench->one) - before[1]);
}

/* To somebody out there, who never answers; of four packets a message. */
static HostQp sender(Bench *bench, Host *host, uint8_t log_sq)
{
    static const uint8_t gid[16] = { [10] = 0xff, 0xff, 10, 9, 9, 9 };
    Host away = *host;
    HostQp peer = { .host = &away, .qpn = 77 }, qp = new_qp(bench, host, log_sq);
    HostConnection to = host_connection(&peer);

    memcpy(away.gids[0].gid, gid, sizeof(gid));
    to.attr.log_mtu = 10;
    host_connect_to(&qp, &to);
    for (uint32_t i = 0; i < 1u << log_sq; i++) {
        post(bench, &qp, SVAN_WQE_RDMA_WRITE, SVAN_PAGE_SIZE, host);
    }
    return qp;
}

typedef struct Wire {
    uint32_t room, tries;
} Wire;

static bool take_one(void *arg, SvanFrame *frame)
{
    Wire *wire = arg;

    wire->tries++;
    if (!wire->room) {
        return false;
    }
    --wire->room;
    svan_frame_free(frame);
    return true;
}

static uint32_t packets_of(HostQp *qp)
{
    const SvanRc *rc = svan_qp_get(host_fn(qp->host), qp->qpn)->priv;

    return (rc->req.nxt - 0x100) & SVAN_PSN_MASK;
}

/* There is room on the wire for one frame at a time, and none while a step goes on. */
static void a_crowd_that_waits_for_the_wire_gets_what_one_gets(void **state)
{
    Bench *bench = *state;
    Fake *fake = bench->fake;
    Wire wire = { 0 };
    uint32_t total;

    bench->single = sender(bench, bench->one, 10);
    for (uint32_t i = 0; i < 32; i++) {
        bench->crowd[i] = sender(bench, bench->many, 5);
    }
    fake->hooks.frame_out = take_one;
    fake->hooks_arg = &wire;
    ring_all(bench, 32);
    run(bench, 100);
    assert_int_equal(wire.tries, 33);           /* all of them are refused */
    for (uint32_t i = 0; i < 1000; i++) {
        wire = (Wire) { .room = 1 };
        svan_tx_ready(bench->core);
        run(bench, 100);
        assert_int_equal(wire.room, 0);
        assert_true(wire.tries <= 5);           /* and not all of them again */
    }
    assert_alike("octets sent", sent(bench->many), sent(bench->one));
    total = sent(bench->many) / 1024;
    for (uint32_t i = 0; i < 32; i++) {
        assert_in_range(packets_of(&bench->crowd[i]), total / 32 - 3, total / 32 + 3);
    }
}

/* ---- events and page requests ---- */

#define MANY_EQS        8

static void new_eq(Host *host, uint32_t eqn)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_EQ);

    cmd.create_eq.eqn = htole32(eqn);
    cmd.create_eq.ring = htole64(fake_alloc(host->fake, 4096, 4096));
    cmd.create_eq.log_size = 6;
    host_must(host, &cmd);
}

/* Completion events on EQs 1 to count, which the host takes at once. */
static uint32_t take_events(Host *host, uint32_t count)
{
    SvanFn *fn = host_fn(host);
    uint32_t written = 0;

    for (uint32_t eqn = 1; eqn <= count; eqn++) {
        written += fn->queues->eqs[eqn]->pi;
        fn->queues->eqs[eqn]->ci = fn->queues->eqs[eqn]->pi;
    }
    return written;
}

static void make_events(Host *host, HostCq *cqs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        SvanCq *cq = svan_cq_get(host_fn(host), cqs[i].cqn);

        cq->eq = host_fn(host)->queues->eqs[i + 1];
        svan_list_append(&cq->eq->cqs, &cq->link);
        cq->event_pending = true;
        svan_eq_schedule(cq->eq);
    }
}

static void many_event_queues_get_what_one_gets(void **state)
{
    Bench *bench = *state;
    HostCq many[MANY_EQS], one = host_cq(bench->one, 4);

    for (uint32_t i = 0; i < MANY_EQS; i++) {
        many[i] = host_cq(bench->many, 4);
        if (i) {
            new_eq(bench->many, i + 1);
        }
    }
    for (uint32_t i = 0; i < 400; i++) {
        make_events(bench->many, many, MANY_EQS);
        make_events(bench->one, &one, 1);
        svan_run(bench->core);
        take_events(bench->many, MANY_EQS);
        take_events(bench->one, 1);
    }
    assert_alike("events", take_events(bench->many, MANY_EQS),
                 take_events(bench->one, 1));
    for (uint32_t i = 0; i < MANY_EQS; i++) {
        SvanCq *cq = svan_cq_get(host_fn(bench->many), many[i].cqn);

        svan_list_remove(&cq->link);    /* these CQs are EQ 1's, by right */
        cq->eq = host_fn(bench->many)->queues->eqs[1];
    }
}

static void make_prq(Host *host)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_PRQ);

    cmd.create_prq.requests = htole64(fake_alloc(host->fake, 65536, 4096));
    cmd.create_prq.responses = htole64(fake_alloc(host->fake, 65536, 4096));
    cmd.create_prq.log_size = 8;
    host_must(host, &cmd);
}

/* Responses of two functions, one of which has never less than a ringful. */
static void page_responses_are_read_in_turn(void **state)
{
    Bench *bench = *state;
    SvanFn *many, *one;

    make_prq(bench->many);
    make_prq(bench->one);
    many = host_fn(bench->many);
    one = host_fn(bench->one);
    host_write(bench->many, SVAN_REG_PRR_DB, 500);
    run(bench, 1);
    host_write(bench->one, SVAN_REG_PRR_DB, 500);
    many->stats->page_responses_bad = 0;
    run(bench, 50);
    assert_alike("responses", many->stats->page_responses_bad,
                 one->stats->page_responses_bad);
}

/* ---- who has work ---- */

static void assert_no_work(SvanFn *fn)
{
    for (SvanTurn turn = 0; turn < SVAN_TURN_COUNT; turn++) {
        assert_true(svan_list_empty(&fn->work[turn].objects));
        assert_null(fn->work[turn].link.next);
    }
    assert_null(fn->miss.link.next);
    assert_false(fn->miss.aside);
}

/* Work at each source that is divided among functions. */
static void make_work(Bench *bench, Host *host)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);
    HostQp qp = writer(bench, host, 3);

    make_prq(host);
    svan_poll_begin(&svan_qp_get(host_fn(host), qp.qpn)->sq);
    host_event(host, SVAN_EVENT_CMD, 0, 0);
    host_cmd_post(host, &cmd);
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
    host_write(host, SVAN_REG_PRR_DB, 1);
    svan_qp_schedule(svan_qp_get(host_fn(host), qp.qpn));
    for (SvanTurn turn = 0; turn < SVAN_TURN_COUNT; turn++) {
        assert_true(turn == SVAN_TURN_RX || turn == SVAN_TURN_NOTIFY ||
                    host_fn(host)->work[turn].link.next);
    }
}

static void a_reset_function_has_no_work(void **state)
{
    Bench *bench = *state;

    make_work(bench, bench->many);
    svan_reset(bench->core, bench->many->fn);
    assert_no_work(host_fn(bench->many));
    assert_false(svan_has_work(bench->core));
    assert_int_equal(svan_run(bench->core), SVAN_RUN_IDLE);
}

static void a_fatal_function_has_an_event(void **state)
{
    Bench *bench = *state;
    SvanFn *fn = host_fn(bench->many);

    make_work(bench, bench->many);
    svan_fatal(fn, SVAN_FATAL_INTERNAL);
    assert_int_equal(bench->core->ready, 1u << SVAN_TURN_EQ);
    svan_run(bench->core);
    assert_no_work(fn);
    assert_int_equal(svan_run(bench->core), SVAN_RUN_IDLE);
}

typedef struct Turns {
    uint32_t len;
    uint32_t qpns[64];          /* | function << 24 */
} Turns;

static Turns turns_of(const SvanCore *core)
{
    const SvanLink *fns = &core->work[SVAN_TURN_QP], *link, *object;
    Turns turns = { 0 };

    for (link = fns->next; link != fns; link = link->next) {
        SvanFnWork *work = svan_container(link, SvanFnWork, link);

        for (object = work->objects.next; object != &work->objects;
             object = object->next) {
            SvanQp *qp = svan_container(object, SvanQp, work.ready);

            turns.qpns[turns.len++] = qp->qpn | (uint32_t)qp->fn->id << 24;
        }
    }
    return turns;
}

/* Functions and queue pairs have their turns in the same order afterwards. */
static void the_order_of_turns_is_state(void **state)
{
    Bench *bench = *state;
    Host *hosts[] = { bench->one, bench->many };
    Turns before, after;

    for (uint32_t i = 0; i < 12; i++) {
        bench->crowd[i] = writer(bench, hosts[i % 2], 3);
    }
    bench->single = bench->crowd[11];
    ring_all(bench, 12);
    run(bench, 9);
    before = turns_of(bench->core);
    assert_int_equal(before.len, 12);
    assert_true(fake_restore(bench->fake));
    assert_true(svan_is_shared(bench->fake->core));
    bench->core = bench->fake->core;
    after = turns_of(bench->core);
    assert_memory_equal(&before, &after, sizeof(before));
    fake_run(bench->fake);
    assert_int_equal(sent(bench->one), sent(bench->many));
}

/* A step that waits for a time of its own is not asked again before. */
static void later(void **state)
{
    Bench *bench = *state;
    HostQp qp = new_qp(bench, bench->pf, 3);
    Mock *mock;

    mock_reset();
    mock = mock_qp(&qp);
    fake_run(bench->fake);
    mock->steps = 0;
    mock->answer = SVAN_STEP_LATER;
    mock->answers = 1;
    svan_qp_schedule(mock->qp);
    fake_run(bench->fake);
    assert_int_equal(mock->steps, 1);
    assert_false(svan_work_is_ready(&mock->qp->work));
    svan_qp_schedule(mock->qp);
    fake_run(bench->fake);
    assert_int_equal(mock->steps, 2);
}

/* An engine that has something to do and does not run; one that sleeps is not late. */
static void a_gap_in_what_an_engine_does(void **state)
{
    Bench *bench = *state;

    bench->single = writer(bench, bench->one, 5);
    fake_advance(bench->fake, 10 * SVAN_STALL_NS);
    ring_all(bench, 0);
    svan_run(bench->core);
    assert_int_equal(bench->core->stalled, 0);
    for (uint32_t n = 0; n < 20; n++) {
        bench->fake->now += SVAN_STALL_NS / 100;
        assert_int_equal(svan_run(bench->core), SVAN_RUN_MORE);
    }
    assert_int_equal(bench->core->stalled, 0);
    bench->fake->now += 2 * SVAN_STALL_NS;
    for (uint32_t n = 0; n < 8; n++) {
        svan_run(bench->core);
    }
    assert_int_equal(bench->core->stalled, bench->fake->now);
}

/* State that is loaded has another clock, which may be far behind. */
static void a_clock_that_is_set_back(void **state)
{
    Bench *bench = *state;

    bench->fake->now += 1000 * SVAN_STALL_NS;
    bench->core->busy = true;
    svan_now(bench->core);
    assert_int_not_equal(bench->core->stalled, 0);
    assert_false(svan_load(bench->core, "", 0));
    assert_int_equal(bench->core->stalled, 0);
    assert_int_equal(svan_lately(bench->core), 0);
    fake_run(bench->fake);
    assert_int_equal(svan_lately(bench->core), bench->fake->now);
    assert_int_equal(bench->core->stalled, 0);
}

/* Three of the crowd, for a wire that takes nothing. */
static void three_wait(Bench *bench, Wire *wire)
{
    bench->fake->hooks.frame_out = take_one;
    bench->fake->hooks_arg = wire;
    for (uint32_t i = 0; i < 3; i++) {
        bench->crowd[i] = sender(bench, bench->many, 4);
        host_post(&bench->crowd[i]);
    }
    run(bench, 20);
}

/* Who was to try first when there is room is gone: the next one tries. */
static void who_waits_for_the_wire_is_not_forgotten(void **state)
{
    Bench *bench = *state;
    Wire wire = { 0 };

    three_wait(bench, &wire);
    assert_int_equal(wire.tries, 3);
    wire.room = 1;
    svan_tx_ready(bench->core);
    svan_work_stop(&svan_qp_get(host_fn(bench->many), bench->crowd[0].qpn)->work);
    run(bench, 20);
    assert_int_equal(packets_of(&bench->crowd[0]), 0);
    assert_int_equal(packets_of(&bench->crowd[1]), 1);
}

/* Nor if who was to try first was saved, and is loaded. */
static void who_waits_is_not_forgotten_by_a_load(void **state)
{
    Bench *bench = *state;
    Wire wire = { 0 };

    three_wait(bench, &wire);
    svan_tx_ready(bench->core);
    assert_true(fake_restore(bench->fake));
    bench->core = bench->fake->core;
    wire.room = 1000;
    run(bench, 100);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(packets_of(&bench->crowd[i]) > 0);
    }
}

/* Packets that one step of a queue pair sends, of sixteen. */
static uint64_t packets_of_a_step(Bench *bench)
{
    SvanFnStats *stats = host_fn(bench->one)->stats;
    uint64_t before = stats->roce_tx_packets;

    for (uint32_t i = 0; i < 16; i++) {
        post(bench, &bench->single, SVAN_WQE_RDMA_WRITE, 1, bench->one);
    }
    host_post(&bench->single);
    while (stats->roce_tx_packets == before) {
        run(bench, 1);
    }
    before = stats->roce_tx_packets - before;
    fake_run(bench->fake);
    bench->single.sq_ci = bench->single.sq_pi;
    return before;
}

/* Another function does not wait for sixteen packets; one that is alone sends them. */
static void steps_are_short_beside_others(void **state)
{
    Bench *bench = *state;
    HostQp other = writer(bench, bench->many, 4);

    bench->single = new_qp(bench, bench->one, 6);
    host_connect(&bench->single, &bench->single);
    host_post(&other);
    fake_run(bench->fake);
    assert_int_equal(packets_of_a_step(bench), 2);
    bench->fake->now += SVAN_ALONE_NS / 2;
    assert_int_equal(packets_of_a_step(bench), 2);
    bench->fake->now += SVAN_ALONE_NS;
    packets_of_a_step(bench);           /* the engine looks at the clock, now and then */
    assert_int_equal(packets_of_a_step(bench), 16);
}

/* A record is looked at in time, whatever others do, and however little its function has had. */
static void polled_records_are_looked_at_in_turn(void **state)
{
    Bench *bench = *state;
    HostQp idle = writer(bench, bench->pf, 4), busy = writer(bench, bench->many, 12);
    uint32_t runs = 0;

    bench->single = writer(bench, bench->one, 4);
    svan_set_poll(bench->core, 1000000000);
    host_post(&idle);
    host_post(&bench->single);
    run(bench, 200);
    assert_int_equal(sent(bench->one), 16 * SVAN_PAGE_SIZE);
    assert_true(le32toh(host_dbr(&bench->single)->device_flags) & SVAN_QP_DBR_POLLING);
    /* The idle one lags behind the others. */
    host_post(&busy);
    run(bench, 2000);
    bench->single.sq_ci = bench->single.sq_pi;
    post(bench, &bench->single, SVAN_WQE_RDMA_WRITE, SVAN_PAGE_SIZE, bench->one);
    host_post(&bench->single);
    assert_false(svan_db_is_rung(bench->core));
    while (sent(bench->one) == 16 * SVAN_PAGE_SIZE) {
        run(bench, 1);
        assert_true(++runs < 10);
    }
}

static void fired(SvanTimer *timer)
{
    (void)timer;
}

/* More timers of one deadline than fire at once: the engine does not sleep before all have. */
static void timers_of_one_deadline(void **state)
{
    Bench *bench = *state;
    SvanTimer timers[100];
    uint64_t when;

    fake_run(bench->fake);
    when = bench->fake->now + SVAN_STALL_NS;
    assert_true(svan_timer_reserve(bench->core, 100));
    for (uint32_t i = 0; i < 100; i++) {
        svan_timer_init(&timers[i], fired);
        svan_timer_set(bench->core, &timers[i], when);
    }
    fake_run(bench->fake);
    bench->fake->now = when;
    fake_run(bench->fake);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(timers[i].slot, -1);
    }
    svan_timer_unreserve(bench->core, 100);
}

#define TIMERS          4096u

/* Many timers of one function are due, all before one of another, while there is work. */
static void timers_do_not_wait_behind_a_crowd(void **state)
{
    Bench *bench = *state;
    SvanTimer *timers = fake_must(calloc(TIMERS + 1, sizeof(*timers)));
    HostQp busy = writer(bench, bench->many, 12);
    uint64_t when = bench->fake->now + SVAN_STALL_NS;
    uint32_t runs = 0;

    assert_true(svan_timer_reserve(bench->core, TIMERS + 1));
    for (uint32_t i = 0; i <= TIMERS; i++) {
        svan_timer_init(&timers[i], fired);
        svan_timer_set(bench->core, &timers[i], when + i / TIMERS);
    }
    host_post(&busy);
    bench->fake->now = when + 1;
    for (; timers[TIMERS].slot >= 0; runs++) {
        run(bench, 1);
    }
    assert_true(sent(bench->many));
    assert_true(runs <= TIMERS / 32 + 8);
    svan_timer_unreserve(bench->core, TIMERS + 1);
    free(timers);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_comes_later_gets_as_much),
        TEST(a_thousand_writers_get_what_one_gets),
        TEST(a_thousand_readers_are_served_as_one_is),
        TEST(a_crowd_that_waits_for_the_wire_gets_what_one_gets),
        TEST(many_event_queues_get_what_one_gets),
        TEST(page_responses_are_read_in_turn),
        TEST(a_reset_function_has_no_work),
        TEST(a_fatal_function_has_an_event),
        TEST(the_order_of_turns_is_state),
        TEST(later),
        TEST(a_gap_in_what_an_engine_does),
        TEST(a_clock_that_is_set_back),
        TEST(who_waits_for_the_wire_is_not_forgotten),
        TEST(who_waits_is_not_forgotten_by_a_load),
        TEST(steps_are_short_beside_others),
        TEST(polled_records_are_looked_at_in_turn),
        TEST(timers_of_one_deadline),
        TEST(timers_do_not_wait_behind_a_crowd),
    };

    return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}
