/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual time, machines, links.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core.h"
#include "world.h"

#define WAKE_NS         300
#define IRQ_NS          1500
#define MISS_NS         2500
#define POLL_STEP_NS    400
#define BUS_BASE        0x100000000ull

/* ---- events: a heap ordered by time, then by age ---- */

typedef struct Event {
    uint64_t time, order;
    void (*fn)(void *arg);
    void *arg;
} Event;

struct EventQueue {
    Event *heap;
    uint32_t len, capacity;
    uint64_t order;
};

static void *must_alloc(void *ptr)
{
    if (!ptr) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return ptr;
}

static bool earlier(const Event *a, const Event *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void world_after(World *world, uint64_t delay, void (*fn)(void *arg), void *arg)
{
    EventQueue *q = world->events;
    Event event = { world->now + delay, q->order++, fn, arg };
    uint32_t i;

    if (q->len == q->capacity) {
        q->capacity *= 2;
        q->heap = must_alloc(realloc(q->heap, q->capacity * sizeof(Event)));
    }
    for (i = q->len++; i && earlier(&event, &q->heap[(i - 1) / 2]);
         i = (i - 1) / 2) {
        q->heap[i] = q->heap[(i - 1) / 2];
    }
    q->heap[i] = event;
}

static Event event_pop(EventQueue *q)
{
    Event first = q->heap[0], last = q->heap[--q->len];
    uint32_t i = 0;

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child + 1 < q->len &&
            earlier(&q->heap[child + 1], &q->heap[child])) {
            child++;
        }
        if (child >= q->len || !earlier(&q->heap[child], &last)) {
            break;
        }
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = last;
    return first;
}

bool world_step(World *world)
{
    Event event;

    if (!world->events->len) {
        return false;
    }
    event = event_pop(world->events);
    world->now = event.time;
    event.fn(event.arg);
    return true;
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
    fprintf(stderr, "\nreplay with SVAN_SIM_SEED=%" PRIu64 " (SVAN_SIM_VERBOSE"
            "=1 shows what the cores trace)\n", world->seed);
    exit(1);
}

/* ---- engine ---- */

static void schedule_run(Node *node, uint64_t delay);

static void forget_translations(Node *node)
{
    memset(node->translated, 0, node->world->model->ram_bytes / SIM_PAGE);
}

static void restore(Node *node);

static void run_event(void *arg)
{
    Node *node = arg;
    const WorldModel *model = node->world->model;
    SvanRun run;

    node->run_scheduled = false;
    if (rng_ppm(&node->rng_engine, model->restore)) {
        restore(node);
    }
    if (rng_ppm(&node->rng_engine, model->invalidate)) {
        svan_invalidate_bus(node->core, 0, 0, 0);
    }
    node->counts.runs++;
    node->in_core = true;
    run = svan_run(node->core);
    node->in_core = false;
    switch (run) {
    case SVAN_RUN_MISS:
        node->counts.misses++;
        node->translated[node->missed] = 1;
        schedule_run(node, MISS_NS);
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
    if (rng_ppm(&node->rng_engine, model->forget)) {
        forget_translations(node);
    }
}

static void schedule_run(Node *node, uint64_t delay)
{
    if (!node->run_scheduled) {
        node->run_scheduled = true;
        world_after(node->world, delay, run_event, node);
    }
}

static void deadline_event(void *arg)
{
    Node *node = arg;

    if (node->deadline <= node->world->now) {
        node->deadline = UINT64_MAX;
        schedule_run(node, 0);
    }
}

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

/* ---- ops ---- */

static SvanDma op_map(void *opaque, uint16_t fn, uint64_t addr, uint32_t len,
                      bool for_write, void **host)
{
    Node *node = opaque;
    const WorldModel *model = node->world->model;
    uint64_t offset = addr - node->bus;
    uint64_t page = offset / SIM_PAGE;

    if (!len || addr % SIM_PAGE + len > SIM_PAGE) {
        world_fail(node->world, "node %u maps %u bytes at %" PRIx64
                   ", not within a page", node->id, len, addr);
    }
    if (addr < node->bus || offset + len > model->ram_bytes) {
        return SVAN_DMA_ERROR;
    }
    if (node->in_core && !node->translated[page] &&
        rng_ppm(&node->rng_engine, model->miss)) {
        node->missed = page;
        return SVAN_DMA_MISS;
    }
    if (node->world->mapped) {
        node->world->mapped(node, page, for_write);
    }
    *host = node->ram + offset;
    return SVAN_DMA_OK;
}

static void op_written(void *opaque, uint16_t fn, uint64_t addr, void *host,
                       uint32_t len)
{
    Node *node = opaque;

    if ((uint8_t *)host != node->ram + (addr - node->bus)) {
        world_fail(node->world, "node %u reports a store at %" PRIx64
                   " that is not there", node->id, addr);
    }
}

static void op_irq(void *opaque, uint16_t fn, uint16_t vector)
{
    Node *node = opaque;

    node->irqs |= 1ull << vector;
    if (!node->irq_scheduled) {
        node->irq_scheduled = true;
        world_after(node->world, IRQ_NS, irq_event, node);
    }
}

static uint64_t op_now(void *opaque)
{
    return ((Node *)opaque)->world->now;
}

static void op_deadline(void *opaque, uint64_t when)
{
    Node *node = opaque;
    World *world = node->world;

    node->deadline = when;
    if (when != UINT64_MAX) {
        world_after(world, when > world->now ? when - world->now : 0,
                    deadline_event, node);
    }
}

static void op_kick(void *opaque)
{
    schedule_run(opaque, WAKE_NS);
}

static const char *const trace_names[] = {
#define NAME(name, id, a, b, c) #name,
    SVAN_TRACE_EVENTS(NAME)
};

static void op_trace(void *opaque, const SvanTrace *trace)
{
    Node *node = opaque;
    World *world = node->world;

    world_note(world, world->now);
    world_note(world, (uint64_t)node->id << 56 | (uint64_t)trace->event << 32 |
                      trace->id);
    world_note(world, trace->a);
    world_note(world, trace->b);
    world_note(world, trace->c);
    if (world->verbose) {
        printf("%12" PRIu64 " node %u %-12s %06x %" PRIx64 " %" PRIx64
               " %" PRIx64 "\n", world->now, node->id,
               trace_names[trace->event], trace->id, trace->a, trace->b,
               trace->c);
    }
}

/* ---- links ---- */

typedef struct Transit {
    Node *to;
    SvanFrame *frame;
} Transit;

static void arrive_event(void *arg)
{
    Transit *transit = arg;
    Node *to = transit->to;

    if (!svan_frame_in(to->core, transit->frame)) {
        to->counts.rx_refused++;
        svan_frame_free(transit->frame);
    }
    free(transit);
}

/* By chance, and with leave. */
static bool disturbs(Node *node, const SvanFrame *frame, uint32_t chance)
{
    return rng_ppm(&node->rng_link, chance) &&
           (!node->world->may_disturb ||
            node->world->may_disturb(node, frame));
}

static void deliver(Node *from, Node *to, const SvanFrame *frame,
                    uint64_t delay)
{
    const WorldModel *model = from->world->model;
    Transit *transit = must_alloc(malloc(sizeof(*transit)));

    transit->to = to;
    transit->frame = must_alloc(svan_frame_alloc(frame->len));
    transit->frame->len = frame->len;
    memcpy(transit->frame->data, frame->data, frame->len);
    if (disturbs(from, frame, model->corrupt)) {
        uint32_t bit = rng_below(&from->rng_link, frame->len * 8);

        transit->frame->data[bit / 8] ^= 1 << bit % 8;
    }
    delay += rng_below(&from->rng_link, model->jitter + 1);
    if (disturbs(from, frame, model->reorder)) {
        delay += rng_below(&from->rng_link, model->reorder_delay + 1);
    }
    world_after(from->world, delay, arrive_event, transit);
}

static void ready_event(void *arg)
{
    Node *node = arg;

    node->refused = false;
    svan_tx_ready(node->core);
}

static Node *route(World *world, const uint8_t *dmac)
{
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        if (!memcmp(world->nodes[i].mac, dmac, 6)) {
            return &world->nodes[i];
        }
    }
    return NULL;
}

static void transmit(Node *node, const SvanFrame *frame)
{
    World *world = node->world;
    const WorldModel *model = world->model;
    Node *to = route(world, frame->data);
    uint64_t start = node->link_free > world->now ? node->link_free :
                                                    world->now;
    uint64_t backlog = (start - world->now) * 1000 / model->ps_per_byte;

    node->counts.frames++;
    if (!to || backlog > model->queue_bytes ||
        disturbs(node, frame, model->loss)) {
        node->counts.lost++;
        return;
    }
    node->link_free = start + (uint64_t)frame->len * model->ps_per_byte / 1000;
    deliver(node, to, frame, node->link_free - world->now + model->delay);
    if (rng_ppm(&node->rng_link, model->duplicate)) {
        deliver(node, to, frame, node->link_free - world->now + model->delay);
    }
}

static bool op_frame_out(void *opaque, SvanFrame *frame)
{
    Node *node = opaque;
    World *world = node->world;

    if (node->refused || rng_ppm(&node->rng_link, world->model->refuse)) {
        node->counts.refused++;
        if (!node->refused) {
            node->refused = true;
            world_after(world, rng_between(&node->rng_link, 500, 20000),
                        ready_event, node);
        }
        return false;
    }
    for (uint32_t i = 0; i < frame->len; i += 7) {
        world_note(world, frame->data[i]);
    }
    transmit(node, frame);
    svan_frame_free(frame);
    return true;
}

/* ---- machines ---- */

static const SvanOps ops = {
    .map = op_map,
    .written = op_written,
    .irq = op_irq,
    .frame_out = op_frame_out,
    .now = op_now,
    .deadline = op_deadline,
    .kick = op_kick,
    .trace = op_trace,
};

static SvanCore *make_core(Node *node)
{
    const WorldModel *model = node->world->model;
    SvanConfig config = {
        .link_mbps = 100000,
        .true_atomics = true,
        .max_qp = 256,
        .max_cq = 256,
        .max_key = 256,
        .poll_ns = model->poll_ns,
        .max_rx_frames = model->max_rx_frames,
        .fault_buffer = model->fault_buffer,
    };

    memcpy(config.mac, node->mac, 6);
    return must_alloc(svan_create(&config, &ops, node));
}

/* As when a machine is migrated: a new core goes on where the old one was. */
static void restore(Node *node)
{
    SvanCore *old = node->core;
    size_t len;
    void *stream = must_alloc(svan_save(old, &len));

    node->deadline = UINT64_MAX;
    node->core = make_core(node);
    if (!svan_load(node->core, stream, len)) {
        world_fail(node->world, "node %u does not load what it saved",
                   node->id);
    }
    svan_set_link(node->core, true);
    if (!node->refused) {
        svan_tx_ready(node->core);
    }
    free(stream);
    svan_destroy(old);
    node->counts.restores++;
    schedule_run(node, WAKE_NS);
}

static void node_init(World *world, uint32_t id)
{
    Node *node = &world->nodes[id];
    const uint8_t mac[6] = { 0x02, 0x53, 0x56, 0x00, 0x00, id + 1 };

    node->world = world;
    node->id = id;
    memcpy(node->mac, mac, 6);
    node->bus = BUS_BASE * (id + 1);
    /* zeroes that cost nothing until they are touched */
    node->ram = mmap(NULL, world->model->ram_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must_alloc(node->ram == MAP_FAILED ? NULL : node->ram);
    node->translated = must_alloc(calloc(1, world->model->ram_bytes /
                                            SIM_PAGE));
    node->deadline = UINT64_MAX;
    node->rng_link = rng_make(world->seed, 100 + id);
    node->rng_engine = rng_make(world->seed, 200 + id);
    node->core = make_core(node);
    svan_set_link(node->core, true);
}

World *world_create(const WorldModel *model, uint64_t seed)
{
    World *world = must_alloc(calloc(1, sizeof(*world)));

    world->model = model;
    world->seed = seed;
    world->hash = 0xcbf29ce484222325ull;
    world->verbose = getenv("SVAN_SIM_VERBOSE");
    world->events = must_alloc(calloc(1, sizeof(*world->events)));
    world->events->capacity = 1024;
    world->events->heap = must_alloc(malloc(1024 * sizeof(Event)));
    for (uint32_t i = 0; i < model->num_nodes; i++) {
        node_init(world, i);
    }
    return world;
}

static void drop_transit(const EventQueue *events)
{
    for (uint32_t i = 0; i < events->len; i++) {
        if (events->heap[i].fn == arrive_event) {
            Transit *transit = events->heap[i].arg;

            svan_frame_free(transit->frame);
            free(transit);
        }
    }
}

void world_destroy(World *world)
{
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        svan_destroy(world->nodes[i].core);
        free(world->nodes[i].translated);
        munmap(world->nodes[i].ram, world->model->ram_bytes);
    }
    drop_transit(world->events);
    free(world->events->heap);
    free(world->events);
    free(world);
}
