/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world in virtual time: any number of machines with a Svan each, joined by a
 * switch that has a link from each of them. Everything that happens is an event,
 * everything random comes from the seed: the same seed, the same world.
 *
 *   events.h   what is going to happen, in order
 *   link.h     what becomes of a frame on its way
 *   fake.h     a machine: memory, and the core's view of the world
 *   world.h    machines, links and time together (this file)
 *   host.h     the driver of a machine, with commands, queues and keys
 *   page_table.h, page_queue.h   tables of keys and processes, page requests
 *   rng.h      random numbers, a stream for each purpose
 *
 * A unit test or a fuzzer has one machine and no world; it moves the clock itself.
 *
 * Software on a machine acts in events of its own, in interrupts, or, with an
 * instant engine, in world->look().
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include "fake.h"
#include "link.h"

typedef struct World World;
typedef struct Node Node;

/*
 * What it takes until the engine of a machine has done something. An instant one
 * does all that it has to do in no time, until its link is busy for more than
 * `backlog`; then it rests, so that nothing queues up behind its back and its
 * queue pairs share the link in turn. Any other one takes an event and `run_cost`
 * for each epoch, and the chances, in ppm, are of each epoch or page.
 */
typedef struct EngineModel {
    bool instant;
    uint32_t backlog;           /* ns */
    uint32_t run_cost;          /* ns */
    uint32_t miss;              /* a page is not translated */
    uint32_t forget;            /* what was translated is not any more */
    uint32_t restore;           /* the core is saved, loaded into a new one */
    uint32_t invalidate;        /* svan_invalidate_bus() */
} EngineModel;

typedef struct WorldModel {
    uint32_t num_nodes;
    uint32_t ram_bytes;         /* of a node, pages */
    SvanConfig core;            /* of each node; the MAC is its own */
    LinkModel link;
    uint32_t refuse;            /* ppm: frame_out has no room */
    EngineModel engine;
    bool hash;                  /* what the cores tell and send goes into it */
    const char *replay;         /* the variable that takes a seed; NULL: none */
} WorldModel;

typedef struct NodeCounts {
    uint64_t runs, misses, aside, restores, frames, refused, rx_refused;
} NodeCounts;

struct Node {
    World *world;
    uint32_t id;
    uint8_t mac[6];
    Fake *fake;
    Link link;
    uint64_t missed;            /* page that made the last run stop */
    bool run_scheduled, irq_scheduled, refused, in_core;
    bool resting;               /* an instant engine, until its link has room */
    uint64_t irqs;              /* vectors that were raised */
    Rng rng;                    /* of the engine */
    NodeCounts counts;
    void *guest;                /* the user's */
};

struct World {
    const WorldModel *model;
    uint64_t seed;
    uint64_t now;
    uint64_t steps;             /* events so far */
    uint64_t hash;
    bool verbose;               /* SVAN_SIM_VERBOSE: what the cores trace */
    Node *nodes;
    EventQueue events;
    uint64_t *woken;            /* a bit for each instant engine */
    uint32_t num_woken;
    /* set by the user; each may be NULL */
    void (*irq)(Node *node, uint32_t vector);
    void (*mapped)(Node *node, uint32_t page, bool for_write);
    bool (*may_disturb)(Node *node, const SvanFrame *frame);    /* as Link's */
    void (*look)(World *world); /* instant engines have run */
    void *user;
};

World *world_create(const WorldModel *model, uint64_t seed);
/* Before it, events of the user's that own their arguments are dropped. */
void world_destroy(World *world);

/* Call fn(arg) after `delay`. */
void world_after(World *world, uint64_t delay, EventFn *fn, void *arg);
/*
 * Instant engines do what they have been given to do, and so again. Each event
 * ends with it; whoever gives them something outside of events calls it.
 */
void world_settle(World *world);
/* One event. false: there is none, nothing will ever happen again. */
bool world_step(World *world);
/* All events up to a time, which it is then. */
void world_run(World *world, uint64_t until);

/* Fold into the hash by which two runs are compared. */
void world_note(World *world, uint64_t value);

/* Report and exit. */
void world_fail(const World *world, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static inline SvanStats node_stats(const Node *node)
{
    SvanStats stats;

    svan_stats(node->fake->core, 0, &stats);
    return stats;
}

#endif /* TESTS_WORLD_H */
