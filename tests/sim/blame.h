/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carries a plan out, and holds the device to it: who was not wronged ends in no
 * error, who may end does so by a status of its own, everything ends in time, and
 * nothing is left behind.
 */
#ifndef SIM_BLAME_H
#define SIM_BLAME_H

#include "guest.h"
#include "page_queue.h"
#include "page_table.h"
#include "plan.h"

#define BLAME_PRQ_LOG   7
#define BLAME_REQUESTS  (1u << BLAME_PRQ_LOG)
#define BLAME_CQS       3

#define BLAME_COUNTS(X) \
    X(blame_connections) X(blame_excused) X(blame_ended) X(blame_closed) \
    X(blame_operations) X(blame_disturbed) X(blame_page_requests) \
    X(blame_page_failed) X(blame_deaths)

typedef struct BlameCounts {
#define BLAME_COUNT(name) uint64_t name;
    BLAME_COUNTS(BLAME_COUNT)
#undef BLAME_COUNT
} BlameCounts;

typedef struct Blame Blame;
typedef struct BlameNode BlameNode;
typedef struct BlamePair BlamePair;
typedef struct BlameEnd BlameEnd;
typedef struct BlameSpace BlameSpace;

typedef struct BlameEviction {
    BlameSpace *space;
    uint32_t page;
} BlameEviction;

/* The memory of one process, or behind one key. */
struct BlameSpace {
    const PlanSpace *plan;
    BlameNode *node;
    uint32_t key;
    uint64_t va;
    uint32_t root, leaf;                /* tables, offsets in RAM */
    uint32_t frames[PLAN_PAGES];        /* the same */
    uint8_t rounds[PLAN_PAGES];         /* until the page is there */
    bool came[PLAN_PAGES];              /* it was absent, and has come */
    BlameEviction evictions[PLAN_PAGES];
    bool dead;
};

/* A request that waits for its answer. */
typedef struct BlameWork {
    bool busy;
    uint32_t token, page;
    bool write;
    BlameSpace *space;
} BlameWork;

struct BlameNode {
    Blame *blame;
    Guest *guest;
    HostCq *cqs[BLAME_CQS];
    uint32_t contexts;                  /* offset in RAM */
    PageQueue prq;
    bool polling;
    BlameWork work[BLAME_REQUESTS];
    Rng rng;
};

struct BlameEnd {
    const PlanEnd *plan;
    BlamePair *pair;
    BlameEnd *peer;
    BlameSpace *space;
    HostQp *qp;                        /* NULL: not there */
    uint32_t closed_qpn;                /* when it was */
    uint32_t posted, completed, received, adds;
    uint32_t index[PLAN_OPS];           /* of the WQEs */
    uint64_t since;                     /* the last completion, or the start */
    uint32_t losses;                    /* that may still happen */
};

struct BlamePair {
    const PlanPair *plan;
    Blame *blame;
    BlameEnd ends[2];
    bool ended, closed;
};

struct Blame {
    World *world;
    Plan *plan;
    BlameNode nodes[SIM_MAX_NODES];
    BlameSpace spaces[SIM_MAX_NODES * PLAN_SPACES + 1];
    BlamePair pairs[PLAN_PAIRS];
    bool dying;
    uint32_t answers;                   /* that are under way */
    BlameCounts counts;
    Rng rng;
};

Blame *blame_new(World *world, const PlanModel *model);
/* Every operation has ended, and every answer been given. */
bool blame_done(Blame *blame);
void blame_free(Blame *blame);

/* ---- blame_pages.c ---- */

void pages_set(BlameNode *node);
void space_set(Blame *blame, BlameSpace *space);
/* SVAN_EVENT_PAGE_REQUEST */
void pages_event(BlameNode *node);
uint8_t *space_mem(const BlameSpace *space, uint32_t page, uint32_t offset);
uint64_t space_va(const BlameSpace *space, uint32_t page, uint32_t offset);
/* What an octet of a page is once it has been written, by its offset alone. */
uint8_t octet_after(uint32_t offset);
uint8_t octet_before(uint32_t offset);

/* ---- blame.c ---- */

/* The owner of space 0 has died: its connections are gone. */
void blame_close(Blame *blame);
/* Its heir begins. */
void blame_inherit(void *blame);

#endif /* SIM_BLAME_H */
