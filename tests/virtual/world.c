/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events in virtual time, and the link between two devices. The devices
 * themselves take no time; a device whose link is busy rests, so that nothing
 * queues up behind its back and its queue pairs share the link in turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtual.h"

#define PS_PER_BYTE     80u             /* 100 Gbit/s */
#define LINK_DELAY      (2 * US)        /* one way */
#define FRAME_OVERHEAD  24u             /* preamble, FCS, gap */
#define EGRESS_LIMIT    700u            /* ns: two full frames */
#define RX_FRAMES       (1u << 20)      /* the link loses nothing */

void *must(void *ptr)
{
    if (!ptr) {
        fake_die("out of memory");
    }
    return ptr;
}

/* ---- events: a heap ordered by time, then by age ---- */

static bool earlier(const Event *a, const Event *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void world_after(World *world, uint64_t delay, EventFn *fn, uint64_t arg)
{
    Event event = { world->now + delay, world->order++, fn, arg };
    uint32_t i;

    if (world->len == world->capacity) {
        world->capacity = world->capacity ? world->capacity * 2 : 1024;
        world->heap = must(realloc(world->heap,
                                   world->capacity * sizeof(Event)));
    }
    for (i = world->len++; i && earlier(&event, &world->heap[(i - 1) / 2]);
         i = (i - 1) / 2) {
        world->heap[i] = world->heap[(i - 1) / 2];
    }
    world->heap[i] = event;
}

static Event pop(World *world)
{
    Event *heap = world->heap, first = heap[0], last = heap[--world->len];
    uint32_t i = 0;

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child + 1 < world->len && earlier(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (child >= world->len || !earlier(&heap[child], &last)) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

/* ---- the link ---- */

static void arrive(World *world, uint64_t arg, uint32_t to)
{
    SvanFrame *frame = (SvanFrame *)(uintptr_t)arg;

    if (!svan_frame_in(world->nodes[to].fake->core, frame)) {
        fake_die("the receive queue is full");
    }
    world->dirty[to] = true;
}

static void arrive_requester(World *world, uint64_t arg)
{
    arrive(world, arg, REQUESTER);
}

static void arrive_responder(World *world, uint64_t arg)
{
    arrive(world, arg, RESPONDER);
}

static EventFn *const arrivals[NODES] = {
    [REQUESTER] = arrive_responder, [RESPONDER] = arrive_requester,
};

static void transmit(World *world, uint32_t id)
{
    Node *node = &world->nodes[id];
    SvanFrame *frame;

    while ((frame = fake_frame(node->fake))) {
        uint64_t start = node->link_free > world->now ? node->link_free :
                                                        world->now;

        node->link_free = start + (frame->len + FRAME_OVERHEAD) *
                          (uint64_t)PS_PER_BYTE / 1000;
        world_after(world, node->link_free - world->now + LINK_DELAY,
                    arrivals[id], (uintptr_t)frame);
    }
}

/* ---- devices ---- */

void world_touch(World *world, uint32_t node)
{
    world->dirty[node] = true;
}

static void resume(World *world, uint64_t node)
{
    world->nodes[node].paused = false;
    world->dirty[node] = true;
}

static void deadline(World *world, uint64_t node)
{
    if (world->nodes[node].deadline <= world->now) {
        world->nodes[node].deadline = UINT64_MAX;
        world->dirty[node] = true;
    }
}

static void watch_deadline(World *world, uint32_t id)
{
    Node *node = &world->nodes[id];
    uint64_t when = node->fake->deadline;

    if (when < node->deadline) {
        node->deadline = when;
        world_after(world, when > world->now ? when - world->now : 0, deadline,
                    id);
    }
}

/* Run a device until it has nothing to do or its link has enough. */
static void pump(World *world, uint32_t id)
{
    Node *node = &world->nodes[id];
    SvanRun run = SVAN_RUN_MORE;

    world->dirty[id] = false;
    if (node->paused) {
        return;
    }
    node->fake->now = world->now;
    while (run == SVAN_RUN_MORE &&
           node->link_free <= world->now + EGRESS_LIMIT) {
        run = svan_run(node->fake->core);
        transmit(world, id);
    }
    if (run == SVAN_RUN_MORE) {
        node->paused = true;
        world_after(world, node->link_free - EGRESS_LIMIT - world->now, resume,
                    id);
    }
    watch_deadline(world, id);
}

/* What the devices do now, and the software on both sides at once with it. */
static void settle(World *world)
{
    while (world->dirty[REQUESTER] || world->dirty[RESPONDER]) {
        for (uint32_t i = 0; i < NODES; i++) {
            if (world->dirty[i]) {
                pump(world, i);
            }
        }
        pager_look(world);
        load_look(world);
        if ((!world->dirty[REQUESTER] || world->nodes[REQUESTER].paused) &&
            (!world->dirty[RESPONDER] || world->nodes[RESPONDER].paused)) {
            break;
        }
    }
}

void world_run(World *world, uint64_t until)
{
    while (world->len && world->heap[0].time <= until) {
        Event event = pop(world);

        world->now = event.time;
        world->nodes[REQUESTER].fake->now = world->now;
        world->nodes[RESPONDER].fake->now = world->now;
        event.fn(world, event.arg);
        settle(world);
    }
    world->now = until;
}

/* ---- life ---- */

static void node_create(World *world, uint32_t id)
{
    const Run *run = world->run;
    SvanConfig config = {
        .mac = { 0x02, 0x53, 0x56, 0x00, 0x00, id + 1 },
        .link_mbps = 100000, .true_atomics = true,
        .max_qp = 2 * NUM_QPS, .max_cq = 64, .max_key = 64,
        .max_rx_frames = RX_FRAMES, .no_icrc = true,
        .fault_buffer = run->config->fault_buffer ?
                        run->config->fault_buffer : run->scenario->fault_buffer,
    };
    Node *node = &world->nodes[id];

    node->fake = fake_create(&config);
    node->host = host_create(node->fake, 0, id + 1);
    node->deadline = UINT64_MAX;
}

World *world_create(const Run *run)
{
    World *world = must(calloc(1, sizeof(*world)));

    world->run = run;
    for (uint32_t i = 0; i < NODES; i++) {
        node_create(world, i);
    }
    world->now = world->nodes[0].fake->now;
    world->pager = pager_create(world);
    world->load = load_create(world);
    return world;
}

static void drop_frames(World *world)
{
    for (uint32_t i = 0; i < world->len; i++) {
        if (world->heap[i].fn == arrive_requester ||
            world->heap[i].fn == arrive_responder) {
            svan_frame_free((SvanFrame *)(uintptr_t)world->heap[i].arg);
        }
    }
}

void world_destroy(World *world)
{
    drop_frames(world);
    load_destroy(world->load);
    pager_destroy(world->pager);
    for (uint32_t i = 0; i < NODES; i++) {
        host_destroy(world->nodes[i].host);
        fake_destroy(world->nodes[i].fake);
    }
    free(world->heap);
    free(world);
}
