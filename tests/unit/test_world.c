/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The worlds that tests and experiments stand on: order of events, what a link does
 * to frames, and machines that find each other however many there are.
 */
#include "unit.h"
#include "world.h"

#define NEVER           UINT64_MAX
#define ALWAYS          1000000u        /* ppm */
#define MAX_FRAMES      64u
#define LENGTH          1000u           /* octets of a frame */

/* ---- events ---- */

static uint32_t happened[8], num_happened;

static void happen(void *arg)
{
    happened[num_happened++] = (uintptr_t)arg;
}

static void events_happen_by_time_then_by_age(void **state)
{
    static const uint64_t times[] = { 30, 10, 20, 10, 30, 10 };
    static const uint32_t want[] = { 1, 3, 5, 2, 0, 4 };
    EventQueue queue = { 0 };

    (void)state;
    num_happened = 0;
    assert_int_equal(events_next(&queue), NEVER);
    for (uintptr_t i = 0; i < SIZE(times); i++) {
        events_add(&queue, times[i], happen, (void *)i);
    }
    assert_int_equal(events_next(&queue), 10);
    while (queue.len) {
        Event event = events_take(&queue);

        event.fn(event.arg);
    }
    assert_memory_equal(happened, want, sizeof(want));
    events_fini(&queue);
}

/* ---- a link ---- */

typedef struct Wire {
    LinkModel model;
    Link link;
    EventQueue events;
    uint64_t now;
    SvanFrame *frames[MAX_FRAMES];      /* that have arrived, in order */
    uint64_t times[MAX_FRAMES];
    uint32_t count, asked;
    bool spare;                         /* nothing may be disturbed */
} Wire;

static void take(void *to, SvanFrame *frame)
{
    Wire *wire = to;

    wire->times[wire->count] = wire->now;
    wire->frames[wire->count++] = frame;
}

static bool ask(void *arg, const SvanFrame *frame)
{
    Wire *wire = arg;

    wire->asked++;
    return !wire->spare;
}

static Wire *wire_new(const LinkModel *model, uint64_t seed)
{
    Wire *wire = calloc(1, sizeof(*wire));

    wire->model = *model;
    wire->link = (Link) {
        .model = &wire->model, .events = &wire->events, .now = &wire->now,
        .rng = rng_make(seed, 0), .arrive = take, .may_disturb = ask,
        .arg = wire,
    };
    return wire;
}

/* Numbered frames, at once. */
static void send(Wire *wire, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        SvanFrame *frame = svan_frame_alloc(LENGTH);

        memset(frame->data, i, LENGTH);
        frame->len = LENGTH;
        link_send(&wire->link, wire, frame);
    }
}

static void wait_for_all(Wire *wire)
{
    while (wire->events.len) {
        Event event = events_take(&wire->events);

        wire->now = event.time;
        event.fn(event.arg);
    }
}

static void wire_free(Wire *wire)
{
    link_drop_all(&wire->events);
    events_fini(&wire->events);
    for (uint32_t i = 0; i < wire->count; i++) {
        svan_frame_free(wire->frames[i]);
    }
    free(wire);
}

static const LinkModel plain = {
    .delay = 500, .ps_per_byte = 80, .overhead = 24,
};

static void a_link_has_a_rate_and_a_delay(void **state)
{
    const uint64_t each = (LENGTH + 24) * 80 / 1000;
    Wire *wire = wire_new(&plain, 1);

    (void)state;
    send(wire, 3);
    assert_int_equal(link_backlog(&wire->link), 3 * each);
    wait_for_all(wire);
    assert_int_equal(wire->count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(wire->times[i], (i + 1) * each + 500);
        assert_int_equal(wire->frames[i]->data[0], i);
    }
    assert_int_equal(link_backlog(&wire->link), 0);
    send(wire, 1);
    wait_for_all(wire);
    assert_int_equal(wire->times[3], wire->times[2] + each + 500);
    wire_free(wire);
}

static void what_does_not_fit_is_lost(void **state)
{
    LinkModel model = plain;
    Wire *wire;

    (void)state;
    model.queue_bytes = 3 * LENGTH;
    wire = wire_new(&model, 1);
    send(wire, 8);
    wait_for_all(wire);
    assert_int_equal(wire->count, 3);
    assert_int_equal(wire->link.lost, 5);
    assert_int_equal(wire->frames[2]->data[0], 2);
    wire_free(wire);
}

static uint32_t bits_that_differ(const SvanFrame *frame, uint8_t octet)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < frame->len; i++) {
        count += __builtin_popcount(frame->data[i] ^ octet);
    }
    return count;
}

/* Each of them alone, to all frames; nobody is disturbed without leave. */
static void frames_are_lost_doubled_or_damaged(void **state)
{
    LinkModel loss = plain, duplicate = plain, corrupt = plain;
    Wire *wire;

    (void)state;
    loss.loss = duplicate.duplicate = corrupt.corrupt = ALWAYS;
    wire = wire_new(&loss, 1);
    send(wire, 4);
    wire->spare = true;
    send(wire, 2);
    wait_for_all(wire);
    assert_int_equal(wire->asked, 6);
    assert_int_equal(wire->link.lost, 4);
    assert_int_equal(wire->count, 2);
    wire_free(wire);

    wire = wire_new(&duplicate, 1);
    send(wire, 2);
    wait_for_all(wire);
    assert_int_equal(wire->count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(wire->frames[i]->len, LENGTH);
        assert_int_equal(bits_that_differ(wire->frames[i], i / 2), 0);
    }
    wire_free(wire);

    wire = wire_new(&corrupt, 1);
    send(wire, 3);
    wait_for_all(wire);
    assert_int_equal(wire->count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(bits_that_differ(wire->frames[i], i), 1);
    }
    wire_free(wire);
}

static bool is_in_order(const Wire *wire)
{
    for (uint32_t i = 1; i < wire->count; i++) {
        if (wire->frames[i]->data[0] < wire->frames[i - 1]->data[0]) {
            return false;
        }
    }
    return true;
}

static void late_frames_are_overtaken(void **state)
{
    LinkModel model = plain;
    Wire *wire, *again, *other;

    (void)state;
    model.reorder = ALWAYS / 2;
    model.reorder_delay = 1000;
    wire = wire_new(&model, 1);
    again = wire_new(&model, 1);
    other = wire_new(&model, 2);
    send(wire, 30);
    send(again, 30);
    send(other, 30);
    wait_for_all(wire);
    wait_for_all(again);
    wait_for_all(other);
    assert_int_equal(wire->count, 30);
    assert_false(is_in_order(wire));
    assert_memory_equal(wire->times, again->times, sizeof(wire->times));
    assert_memory_not_equal(wire->times, other->times, sizeof(wire->times));
    wire_free(wire);
    wire_free(again);
    wire_free(other);
}

/* Frames that are under way when it ends are freed; the sanitizer watches. */
static void an_end_in_mid_flight(void **state)
{
    Wire *wire = wire_new(&plain, 1);

    (void)state;
    send(wire, 5);
    assert_int_equal(wire->events.len, 5);
    wire_free(wire);
}

/* ---- a world ---- */

#define NODES           300u            /* more than an octet of an address */
#define OCTETS          5000u           /* more than a packet */
#define LONG            10000000000ull  /* ns */

typedef struct Ring {
    World *world;
    Host *hosts[NODES];
    HostCq cqs[NODES];
    HostQp from[NODES], to[NODES];
    uint64_t source[NODES], target[NODES];
} Ring;

static const WorldModel ring_model = {
    .num_nodes = NODES, .ram_bytes = 256u << 10, .hash = true,
    .core = {
        .link_mbps = 100000, .true_atomics = true, .max_qp = 16, .max_cq = 16,
        .max_key = 16,
    },
    .link = { .delay = 1000, .ps_per_byte = 80 },
};

/* Each to the next, and back. */
static Ring *ring_new(const WorldModel *model, uint64_t seed)
{
    static const HostQpAttr attr = { .log_sq = 4, .log_rq = 2, .max_sge = 1 };
    Ring *ring = calloc(1, sizeof(*ring));

    ring->world = world_create(model, seed);
    for (uint32_t i = 0; i < NODES; i++) {
        Host *host = host_create(ring->world->nodes[i].fake, 0, i + 1);

        ring->hosts[i] = host;
        ring->cqs[i] = host_cq(host, 4);
        ring->from[i] = host_qp(host, &ring->cqs[i], &ring->cqs[i], &attr);
        ring->to[i] = host_qp(host, &ring->cqs[i], &ring->cqs[i], &attr);
        ring->source[i] = fake_alloc(host->fake, OCTETS, SVAN_PAGE_SIZE);
        ring->target[i] = fake_alloc(host->fake, OCTETS, SVAN_PAGE_SIZE);
        memset(fake_ram(host->fake, ring->source[i]), 1 + i % 251, OCTETS);
    }
    for (uint32_t i = 0; i < NODES; i++) {
        host_connect(&ring->from[i], &ring->to[(i + 1) % NODES]);
    }
    return ring;
}

static void ring_free(Ring *ring)
{
    for (uint32_t i = 0; i < NODES; i++) {
        host_destroy(ring->hosts[i]);
    }
    world_destroy(ring->world);
    free(ring);
}

static void write_around(Ring *ring)
{
    for (uint32_t i = 0; i < NODES; i++) {
        uint32_t next = (i + 1) % NODES;
        HostSend send = {
            .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
            .addr = ring->source[i], .length = OCTETS,
            .remote = ring->target[next], .rkey = ring->hosts[next]->all_key,
        };

        host_send(&ring->from[i], &send);
        host_post(&ring->from[i]);
    }
    world_settle(ring->world);
    world_run(ring->world, LONG);
}

static void check_around(Ring *ring)
{
    for (uint32_t i = 0; i < NODES; i++) {
        uint32_t next = (i + 1) % NODES;
        struct svan_cqe cqe;

        assert_true(host_cq_poll(&ring->cqs[i], &cqe));
        assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
        assert_false(host_cq_poll(&ring->cqs[i], &cqe));
        assert_memory_equal(fake_ram(ring->hosts[i]->fake, ring->source[i]),
                            fake_ram(ring->hosts[next]->fake,
                                     ring->target[next]), OCTETS);
        assert_int_equal(node_stats(&ring->world->nodes[i]).rx_icrc_errors, 0);
    }
}

/* What the model allows does happen. */
static void check_troubles(const World *world)
{
    uint64_t misses = 0, lost = 0, retransmits = 0;

    for (uint32_t i = 0; i < NODES; i++) {
        misses += world->nodes[i].counts.misses;
        lost += world->nodes[i].link.lost;
        retransmits += node_stats(&world->nodes[i]).retransmits;
    }
    assert_int_equal(misses != 0, world->model->engine.miss != 0);
    assert_int_equal(lost != 0, world->model->link.loss != 0);
    assert_int_equal(retransmits != 0, world->model->link.loss != 0);
}

static void run_ring(const WorldModel *model, uint64_t seed, uint64_t *hash)
{
    Ring *ring = ring_new(model, seed);

    write_around(ring);
    check_around(ring);
    check_troubles(ring->world);
    *hash = ring->world->hash;
    ring_free(ring);
}

static void engines_that_take_an_event_an_epoch(void **state)
{
    WorldModel model = ring_model;
    uint64_t hash, again, other;

    (void)state;
    model.engine.run_cost = 100;
    model.engine.miss = ALWAYS / 10;
    model.link.loss = ALWAYS / 100;
    run_ring(&model, 1, &hash);
    run_ring(&model, 1, &again);
    run_ring(&model, 2, &other);
    assert_int_equal(hash, again);
    assert_int_not_equal(hash, other);
}

static void engines_that_take_no_time(void **state)
{
    WorldModel model = ring_model;
    uint64_t hash, again;

    (void)state;
    model.engine.instant = true;
    model.engine.backlog = 700;
    model.engine.miss = ALWAYS / 10;
    model.core.no_icrc = true;
    run_ring(&model, 1, &hash);
    run_ring(&model, 1, &again);
    assert_int_equal(hash, again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_happen_by_time_then_by_age),
        cmocka_unit_test(a_link_has_a_rate_and_a_delay),
        cmocka_unit_test(what_does_not_fit_is_lost),
        cmocka_unit_test(frames_are_lost_doubled_or_damaged),
        cmocka_unit_test(late_frames_are_overtaken),
        cmocka_unit_test(an_end_in_mid_flight),
        cmocka_unit_test(engines_that_take_an_event_an_epoch),
        cmocka_unit_test(engines_that_take_no_time),
    };

    return cmocka_run_group_tests_name("world", tests, NULL, NULL);
}
