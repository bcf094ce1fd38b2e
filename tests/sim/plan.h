/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may fail, decided before anything runs. From the seed alone: pages and how
 * long they take, connections and what they do, and of each connection whether
 * it may end in an error, and in which. Nothing here looks at what the device
 * does.
 *
 * The losses of a link are bounded by the plan, so that retries never run out: an
 * operation may meet `losses` disturbed packets before it has completed. As the
 * requester counts anew at each progress, at most twice that lie between two
 * counts; each costs one retry, and the device may spend one more to call back.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <svan/faults.h>

#include "sim.h"

#define PLAN_PAIRS      30
#define PLAN_OPS        10      /* of an end, at most */
#define PLAN_SPACES     4       /* of a node */
#define PLAN_PENDING    3

/* What the pages of a space are for. */
#define PLAN_SOURCES    6       /* from page 0 on: never written */
#define PLAN_TARGETS    8       /* of WRITE and SEND, read by others */
#define PLAN_LANDINGS   4       /* of READ */
#define PLAN_FIRST_LANDING      (PLAN_SOURCES + PLAN_TARGETS)
#define PLAN_WORDS      (PLAN_FIRST_LANDING + PLAN_LANDINGS)    /* operands */
#define PLAN_RESULTS    (PLAN_WORDS + 1)        /* what atomics have found */
#define PLAN_PAGES      (PLAN_RESULTS + 1)

typedef struct PlanModel {
    uint32_t local_pairs;       /* both ends on one node */
    bool processes;             /* they die, and PASIDs are given away again */
    bool impatient;             /* timeouts may be shorter than bounds */
} PlanModel;

typedef enum PlanAccess { PLAN_FOR_READ, PLAN_FOR_WRITE, PLAN_ACCESSES } PlanAccess;

/* Times in ns. */
typedef struct PlanPage {
    bool present, writable;     /* in the beginning */
    bool fails[PLAN_ACCESSES];  /* FAILED is the answer */
    bool fatal;                 /* the process dies while it is awaited */
    bool protects;              /* it comes for reads alone at first */
    uint64_t time;              /* from a request to its answer */
    uint8_t rounds;             /* RESOLVED so often, then it is there */
    uint8_t evictions;
    uint64_t evict_at[2];       /* since the beginning */
    uint64_t stays;             /* the first eviction, since it has come; or 0 */
    uint64_t entry_says;        /* 0: nothing */
    uint8_t num_pending;
    struct {
        uint64_t at, says;
    } pending[PLAN_PENDING];
} PlanPage;

typedef struct PlanSpace {
    uint32_t node, pasid;       /* pasid 0: on-demand key */
    uint32_t life;              /* 1: its PASID was another's before */
    PlanPage pages[PLAN_PAGES];
} PlanSpace;

typedef enum PlanKind {
    PLAN_WRITE, PLAN_READ, PLAN_SEND, PLAN_FAA, PLAN_KINDS
} PlanKind;

typedef struct PlanOp {
    PlanKind kind;
    uint8_t local, remote;      /* pages of the one and of the other space */
    uint16_t offset;            /* in both; atomics have places of their own */
    uint32_t length;
    bool bad_key;
    bool must_fail;
    uint64_t limit;             /* after what was posted before has completed */
} PlanOp;

typedef struct PlanEnd {
    uint32_t space;             /* index */
    uint32_t num_ops;
    PlanOp ops[PLAN_OPS];
    struct svan_fault_policy policy;
    uint32_t allowed;           /* statuses that it may end with; 0: never */
} PlanEnd;

typedef enum PlanFate {
    PLAN_LASTS,                 /* nobody wrongs it, so it never ends */
    PLAN_EXCUSED,               /* it may end, for a reason of its own */
    PLAN_CLOSED,                /* its owner dies, and takes it along */
} PlanFate;

typedef struct PlanPair {
    PlanEnd ends[2];
    PlanFate fate;
    bool late;                  /* of the second owner of a PASID */
    bool local;
    bool impatient;             /* its timeout is shorter than the other's bound */
    uint8_t gid, log_mtu, timeout, retry_cnt, rnr_retry, min_rnr_timer;
    uint8_t max_rd_atomic;
    uint32_t losses;            /* of packets, for each operation */
} PlanPair;

typedef struct Plan {
    uint32_t num_nodes, num_spaces;
    PlanSpace spaces[SIM_MAX_NODES * PLAN_SPACES + 1];
    PlanPair pairs[PLAN_PAIRS];
    bool death;                 /* space 0, whose heir is the last one */
    uint64_t death_after;       /* the fatal page was asked for */
    uint64_t failed_after;      /* the death: what it had asked for */
    uint64_t heir_after;
    uint64_t limit;             /* by then everything has ended */
} Plan;

Plan *plan_new(const PlanModel *model, uint32_t num_nodes, uint64_t seed);
void plan_free(Plan *plan);

uint32_t plan_pages(const PlanOp *op);

#endif /* SIM_PLAN_H */
