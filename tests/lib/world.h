/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world in virtual time: machines with a Svan each, joined by a switch whose
 * links lose, delay, duplicate, reorder and corrupt. Everything that happens
 * is an event; everything random comes from the seed.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "svan_core.h"
#include "rng.h"

#define SIM_MAX_NODES   8
#define SIM_PAGE        4096u

typedef struct World World;
typedef struct Node Node;

/* What the world does to its machines; all times in ns, chances in ppm. */
typedef struct WorldModel {
    uint32_t num_nodes;
    uint32_t ram_bytes;         /* of a node, pages */
    /* link, from a node to the switch and on */
    uint32_t delay, jitter;
    uint32_t ps_per_byte;
    uint32_t queue_bytes;       /* what does not fit is dropped */
    uint32_t loss, duplicate, reorder, corrupt;
    uint32_t reorder_delay;
    uint32_t refuse;            /* frame_out has no room */
    uint32_t max_rx_frames;     /* of the core */
    uint32_t fault_buffer;
    /* engine */
    uint32_t run_cost;          /* of an epoch */
    uint32_t miss;              /* a page is not translated */
    uint32_t forget;            /* what was translated is not any more */
    uint32_t restore;           /* the core is saved, loaded into a new one */
    uint32_t invalidate;        /* svan_invalidate_bus() */
    uint64_t poll_ns;
} WorldModel;

typedef struct NodeCounts {
    uint64_t runs, misses, restores, frames, refused, lost, rx_refused;
} NodeCounts;

struct Node {
    World *world;
    uint32_t id;
    uint8_t mac[6];
    SvanCore *core;
    uint8_t *ram;
    uint64_t bus;               /* address of ram[0] */
    uint8_t *translated;        /* by page */
    uint64_t missed;            /* page that made the last run stop */
    uint64_t deadline;
    uint64_t link_free;         /* when the link has sent what it has */
    bool run_scheduled, irq_scheduled, refused, in_core;
    uint64_t irqs;              /* vectors that were raised */
    Rng rng_link, rng_engine;
    NodeCounts counts;
    void *guest;
};

typedef struct EventQueue EventQueue;

struct World {
    const WorldModel *model;
    uint64_t seed;
    uint64_t now;
    uint64_t hash;              /* of everything the cores told */
    bool verbose;
    Node nodes[SIM_MAX_NODES];
    EventQueue *events;
    /* set by the guest side */
    void (*irq)(Node *node, uint32_t vector);
    void (*mapped)(Node *node, uint32_t page, bool for_write);
    /* NULL: any frame may be lost, late or corrupt, as the model says */
    bool (*may_disturb)(Node *node, const SvanFrame *frame);
    void *user;
};

World *world_create(const WorldModel *model, uint64_t seed);
void world_destroy(World *world);

/* Call fn(arg) after `delay`. */
void world_after(World *world, uint64_t delay, void (*fn)(void *arg),
                 void *arg);
/* One event. false: there is none, nothing will ever happen again. */
bool world_step(World *world);

/* Fold into the hash by which two runs are compared. */
void world_note(World *world, uint64_t value);

/* Report and exit. */
void world_fail(const World *world, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif /* SIM_WORLD_H */
