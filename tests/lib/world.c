/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines, links and time together.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "world.h"

#define WAKE_NS         300
#define IRQ_NS          1500
#define MISS_NS         2500
#define ASIDE           500000  /* ppm: others go on while a miss is translated */
#define POLL_STEP_NS    400
#define READY_MIN_NS    500     /* until a port that refused has room again */
#define READY_MAX_NS    20000
#define BUS_BASE        0x100000000ull
#define MAX_CHECKED     8       /* nodes, after each event */

/* Purposes of random numbers, see rng_of_node(). */
#define RNG_LINK        100
#define RNG_ENGINE      200

/* ---- time ---- */

void world_after(World *world, uint64_t delay, EventFn *fn, void *arg)
{
    events_add(&world->events, world->now + delay, fn, arg);
}

/* It runs soon, by itself. */
static bool is_woken(const Node *node)
{
    return node->run_scheduled || node->resting ||
           node->world->woken[node->id / 64] >> node->id % 64 & 1;
}

/* Steps of the world between two looks at the queues of those who sleep. */
#define QUEUES_EVERY    64

/* Its host need not ring, and neither the poll list nor its owner looks at it. */
static bool is_forgotten(const SvanQp *qp)
{
    return qp->sq.poll_parked && !svan_work_is_ready(&qp->work) &&
           !qp->work.blocked.next;
}

static void check_queues(const World *world, const SvanCore *core)
{
    for (uint32_t f = 0; f < core->num_fns; f++) {
        const SvanFn *fn = core->fns[f];

        for (uint32_t i = 0; fn->qps && !fn->fatal && i < fn->qps->table.size; i++) {
            const SvanQp *qp = fn->qps->table.slots[i];

            if (qp && is_forgotten(qp)) {
                world_fail(world, "nobody looks at what QP %#x is posted", qp->qpn);
            }
        }
    }
}

/* An engine sleeps until somebody kicks, or until the time that it was told. */
static void check_sleepers(const World *world)
{
    for (uint32_t i = 0; i < world->model->num_nodes && i < MAX_CHECKED; i++) {
        const Node *node = &world->nodes[i];
        SvanCore *core = node->fake->core;

        if (is_woken(node)) {
            continue;
        }
        if (svan_has_work(core)) {
            world_fail(world, "node %u sleeps, and has work", i);
        }
        if (core->ready >> SVAN_TURN_POLL & 1) {
            world_fail(world, "node %u sleeps, and has a queue to poll", i);
        }
        if (world->steps % QUEUES_EVERY == 0) {
            check_queues(world, core);
        }
        if (svan_timer_next(core) < node->fake->deadline) {
            world_fail(world, "node %u sleeps through a timer", i);
        }
    }
}

bool world_step(World *world)
{
    Event event;

    if (!world->events.len) {
        return false;
    }
    event = events_take(&world->events);
    world->now = event.time;
    world->steps++;
    event.fn(event.arg);
    check_sleepers(world);
    world_settle(world);
    return true;
}

void world_run(World *world, uint64_t until)
{
    while (events_next(&world->events) <= until && world_step(world)) {
    }
    world->now = until;
}

/* ---- reporting ---- */

void world_note(World *world, uint64_t value)
{
    world->hash = (world->hash ^ value) * 0x100000001b3ull;
    world->hash ^= world->hash >> 29;
}

void world_fail(const World *world, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 ", at %" PRIu64 " ns: ", world->seed,
            world->now);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (world->model->replay) {
        fprintf(stderr, "replay with %s=%" PRIu64 " (SVAN_SIM_VERBOSE=1 shows "
                "what the cores trace)\n", world->model->replay, world->seed);
    }
    exit(1);
}

static const char *const trace_names[] = {
#define NAME(name, id, a, b, c) #name,
    SVAN_TRACE_EVENTS(NAME)
#undef NAME
};

static void on_trace(void *arg, const SvanTrace *trace)
{
    Node *node = arg;
    World *world = node->world;

    if (world->model->hash) {
        world_note(world, world->now);
        world_note(world, (uint64_t)node->id << 56 |
                          (uint64_t)trace->event << 32 | trace->id);
        world_note(world, trace->a);
        world_note(world, trace->b);
        world_note(world, trace->c);
    }
    if (world->verbose) {
        printf("%12" PRIu64 " node %u %-12s %06x %" PRIx64 " %" PRIx64
               " %" PRIx64 "\n", world->now, node->id,
               trace_names[trace->event], trace->id, trace->a, trace->b,
               trace->c);
    }
}

/* ---- engines that take an event for each epoch ---- */

static void schedule_run(Node *node, uint64_t delay);

/* As when a machine is migrated: a new core goes on where the old one was. */
static void restore(Node *node)
{
    if (!fake_restore(node->fake)) {
        world_fail(node->world, "node %u does not load what it saved",
                   node->id);
    }
    svan_set_link(node->fake->core, true);
    if (!node->refused) {
        svan_tx_ready(node->fake->core);
    }
    node->counts.restores++;
    schedule_run(node, WAKE_NS);
}

static void resolved_event(void *arg)
{
    Node *node = arg;

    svan_resolved(node->fake->core);
}

/* The page is translated at once; the core is told so when it would have been. */
static void run_missed(Node *node)
{
    node->counts.misses++;
    node->fake->translated[node->missed] = 1;
    if (rng_ppm(&node->rng, ASIDE) && svan_set_aside(node->fake->core)) {
        node->counts.aside++;
        world_after(node->world, MISS_NS, resolved_event, node);
        schedule_run(node, node->world->model->engine.run_cost);
    } else {
        schedule_run(node, MISS_NS);
    }
}

static void run_event(void *arg)
{
    Node *node = arg;
    const EngineModel *model = &node->world->model->engine;
    SvanRun run;

    node->run_scheduled = false;
    if (rng_ppm(&node->rng, model->restore)) {
        restore(node);
    }
    if (rng_ppm(&node->rng, model->invalidate)) {
        svan_invalidate_bus(node->fake->core, 0, 0, 0);
    }
    node->counts.runs++;
    node->in_core = true;
    run = svan_run(node->fake->core);
    node->in_core = false;
    switch (run) {
    case SVAN_RUN_MISS:
        run_missed(node);
        return;
    case SVAN_RUN_MORE:
        schedule_run(node, model->run_cost);
        break;
    case SVAN_RUN_POLL:
        schedule_run(node, POLL_STEP_NS);
        break;
    case SVAN_RUN_IDLE:
        break;
    }
    if (rng_ppm(&node->rng, model->forget)) {
        fake_forget(node->fake);
    }
}

static void schedule_run(Node *node, uint64_t delay)
{
    if (!node->run_scheduled) {
        node->run_scheduled = true;
        world_after(node->world, delay, run_event, node);
    }
}

/* ---- engines that take no time ---- */

static void mark(Node *node, bool woken)
{
    uint64_t *word = &node->world->woken[node->id / 64];
    uint64_t bit = 1ull << node->id % 64;

    if (woken != !!(*word & bit)) {
        *word ^= bit;
        node->world->num_woken += woken ? 1 : -1;
    }
}

static void rested_event(void *arg)
{
    Node *node = arg;

    node->resting = false;
    mark(node, true);
}

static void run_instantly(Node *node)
{
    uint32_t backlog = node->world->model->engine.backlog;
    SvanRun run = SVAN_RUN_MORE;

    mark(node, false);
    while ((run == SVAN_RUN_MORE || run == SVAN_RUN_MISS) &&
           link_backlog(&node->link) <= backlog) {
        node->counts.runs++;
        node->in_core = true;
        run = svan_run(node->fake->core);
        node->in_core = false;
        if (run == SVAN_RUN_MISS) {
            node->counts.misses++;
            node->fake->translated[node->missed] = 1;
        }
    }
    if (run == SVAN_RUN_MORE || run == SVAN_RUN_MISS) {
        node->resting = true;
        mark(node, false);
        world_after(node->world, link_backlog(&node->link) - backlog,
                    rested_event, node);
    }
}

/* What the engines do now, and the software at once with it. */
void world_settle(World *world)
{
    while (world->num_woken) {
        for (uint32_t i = 0; i < (world->model->num_nodes + 63) / 64; i++) {
            while (world->woken[i]) {
                uint32_t bit = __builtin_ctzll(world->woken[i]);

                run_instantly(&world->nodes[i * 64 + bit]);
            }
        }
        if (world->look) {
            world->look(world);
        }
    }
}

/* ---- what an engine is told ---- */

static void wake(Node *node, uint64_t delay)
{
    if (!node->world->model->engine.instant) {
        schedule_run(node, delay);
    } else if (!node->resting && !node->in_core) {
        mark(node, true);
    }
}

static void deadline_event(void *arg)
{
    Node *node = arg;

    if (node->fake->deadline <= node->world->now) {
        node->fake->deadline = UINT64_MAX;
        wake(node, 0);
    }
}

static void on_deadline(void *arg, uint64_t when)
{
    Node *node = arg;
    uint64_t now = node->world->now;

    if (when != UINT64_MAX) {
        world_after(node->world, when > now ? when - now : 0, deadline_event,
                    node);
    }
}

static void on_kick(void *arg)
{
    wake(arg, WAKE_NS);
}

/* ---- interrupts and memory ---- */

static void irq_event(void *arg)
{
    Node *node = arg;
    uint64_t irqs = node->irqs;

    node->irq_scheduled = false;
    node->irqs = 0;
    while (irqs) {
        uint32_t vector = __builtin_ctzll(irqs);

        irqs &= irqs - 1;
        node->world->irq(node, vector);
    }
}

static void on_irq(void *arg, uint16_t fn, uint16_t vector)
{
    Node *node = arg;

    node->irqs |= 1ull << vector;
    if (!node->irq_scheduled && node->world->irq) {
        node->irq_scheduled = true;
        world_after(node->world, IRQ_NS, irq_event, node);
    }
}

static bool on_misses(void *arg, uint64_t bus)
{
    Node *node = arg;
    uint64_t page = (bus - node->fake->bus) / SVAN_PAGE_SIZE;

    if (!node->in_core || node->fake->translated[page] ||
        !rng_ppm(&node->rng, node->world->model->engine.miss)) {
        return false;
    }
    node->missed = page;
    return true;
}

static void on_mapped(void *arg, uint64_t bus, bool for_write)
{
    Node *node = arg;

    if (node->world->mapped) {
        node->world->mapped(node, (bus - node->fake->bus) / SVAN_PAGE_SIZE,
                            for_write);
    }
}

/* ---- the port ---- */

static void mac_of(uint32_t id, uint8_t *mac)
{
    const uint8_t bytes[6] = {
        0x02, 0x53, 0x56, (id + 1) >> 16, (id + 1) >> 8, id + 1,
    };

    memcpy(mac, bytes, 6);
}

/* NULL: nobody has this address. */
static Node *route(World *world, const uint8_t *mac)
{
    uint32_t id = (mac[3] << 16 | mac[4] << 8 | mac[5]) - 1;

    return id < world->model->num_nodes &&
           !memcmp(world->nodes[id].mac, mac, 6) ? &world->nodes[id] : NULL;
}

static void arrive(void *to, SvanFrame *frame)
{
    Node *node = to;

    if (!svan_frame_in(node->fake->core, frame)) {
        node->counts.rx_refused++;
        svan_frame_free(frame);
    }
}

static bool may_disturb(void *arg, const SvanFrame *frame)
{
    Node *node = arg;

    return !node->world->may_disturb || node->world->may_disturb(node, frame);
}

static void ready_event(void *arg)
{
    Node *node = arg;

    node->refused = false;
    svan_tx_ready(node->fake->core);
}

static bool refuses(Node *node)
{
    World *world = node->world;

    if (!node->refused && !rng_ppm(&node->link.rng, world->model->refuse)) {
        return false;
    }
    node->counts.refused++;
    if (!node->refused) {
        node->refused = true;
        world_after(world, rng_between(&node->link.rng, READY_MIN_NS,
                                       READY_MAX_NS), ready_event, node);
    }
    return true;
}

/* What is for a group of addresses goes to all other machines. */
static void flood(Node *node, const SvanFrame *frame)
{
    World *world = node->world;

    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        if (&world->nodes[i] != node) {
            link_send(&node->link, &world->nodes[i], fake_must(svan_frame_copy(frame)));
        }
    }
}

static bool on_frame_out(void *arg, SvanFrame *frame)
{
    Node *node = arg;
    World *world = node->world;

    if (refuses(node)) {
        return false;
    }
    for (uint32_t i = 0; world->model->hash && i < frame->len; i += 7) {
        world_note(world, frame->data[i]);
    }
    node->counts.frames++;
    if (frame->data[0] & 1) {
        flood(node, frame);
        svan_frame_free(frame);
    } else {
        link_send(&node->link, route(world, frame->data), frame);
    }
    return true;
}

/* ---- life ---- */

static const FakeHooks hooks = {
    .misses = on_misses,
    .mapped = on_mapped,
    .irq = on_irq,
    .frame_out = on_frame_out,
    .deadline = on_deadline,
    .kick = on_kick,
    .trace = on_trace,
};

static void node_init(World *world, uint32_t id)
{
    Node *node = &world->nodes[id];
    FakeSetup setup = {
        .config = world->model->core, .bus = BUS_BASE * (id + 1),
        .ram_size = world->model->ram_bytes, .clock = &world->now,
        .hooks = &hooks, .hooks_arg = node,
    };

    node->world = world;
    node->id = id;
    mac_of(id, node->mac);
    memcpy(setup.config.mac, node->mac, 6);
    node->rng = rng_of_node(world->seed, RNG_ENGINE, id);
    node->link = (Link) {
        .model = &world->model->link, .events = &world->events,
        .now = &world->now, .rng = rng_of_node(world->seed, RNG_LINK, id),
        .arrive = arrive, .may_disturb = may_disturb, .arg = node,
    };
    node->fake = fake_create_as(&setup);
    if (!world->model->hash && !world->verbose) {
        node->fake->hooks.trace = NULL;
    }
}

/* So that whatever ends the program tells which world it was. */
static void tell_seed(const World *world)
{
    char text[64];

    snprintf(text, sizeof(text), "%s=%" PRIu64 ": ", world->model->replay ?
             world->model->replay : "seed", world->seed);
    fake_context(text);
}

World *world_create(const WorldModel *model, uint64_t seed)
{
    World *world = fake_must(calloc(1, sizeof(*world)));

    if (model->engine.instant && model->core.poll_ns) {
        fake_die("an engine that takes no time cannot poll");
    }
    world->model = model;
    world->seed = seed;
    world->hash = 0xcbf29ce484222325ull;
    world->verbose = getenv("SVAN_SIM_VERBOSE");
    world->woken = fake_must(calloc(model->num_nodes / 64 + 1,
                                    sizeof(world->woken[0])));
    world->nodes = fake_must(calloc(model->num_nodes,
                                    sizeof(world->nodes[0])));
    tell_seed(world);
    for (uint32_t i = 0; i < model->num_nodes; i++) {
        node_init(world, i);
    }
    return world;
}

void world_destroy(World *world)
{
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        fake_destroy(world->nodes[i].fake);
    }
    fake_context(NULL);
    link_drop_all(&world->events);
    events_fini(&world->events);
    free(world->woken);
    free(world->nodes);
    free(world);
}
