/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random traffic whose every byte, completion and status is known beforehand.
 */
#ifndef SIM_TRAFFIC_H
#define SIM_TRAFFIC_H

#include "pager.h"

#define SIM_MAX_PAIRS   16
#define SIM_WORDS       6       /* words for atomics on each node */

#define ST(name)        (1u << SVAN_CQE_##name)

/* What is wrong with one operation, or done to one connection. */
typedef enum Defect {
    DEFECT_NONE,
    DEFECT_LKEY,                /* local key unknown */
    DEFECT_LOCAL_BOUNDS,
    DEFECT_RKEY,
    DEFECT_REMOTE_BOUNDS,
    DEFECT_REMOTE_RIGHT,        /* the key forbids it */
    DEFECT_QP_RIGHT,            /* the responder's QP forbids it */
    DEFECT_ALIGNMENT,           /* atomic */
    DEFECT_RECV_SMALL,
    DEFECT_OPCODE,
    DEFECT_NO_RECV,             /* finite RNR retries, no receive is posted */
    DEFECT_MODIFY_ERR,          /* by command, in mid-flight */
    DEFECT_VANISH,              /* the peer is reset: nobody answers */
    DEFECT_COUNT
} Defect;

/* What is done, beside what the world does; chances in ppm. */
typedef struct TrafficModel {
    uint32_t num_pairs;
    uint32_t local_pairs;       /* of them: both ends on one node */
    uint32_t self_pairs;        /* of them: a QP connected to itself */
    uint32_t ops;               /* of each QP */
    uint32_t max_length;        /* of WRITE and READ */
    uint32_t recv_length;       /* of SEND at most */
    uint32_t region_bytes;      /* of a node */
    uint32_t idle;              /* ns, between looks of the guest, mean */
    uint32_t starve;            /* a look posts no receives */
    uint32_t unsignaled;
    uint32_t drain;             /* SQD and back */
    uint32_t defect;            /* a post is DEFECT_*, else what it should be */
    bool events;                /* wait for completion events */
    bool lossy;                 /* packets of a dying connection may be lost */
    uint8_t timeout, retry_cnt, rnr_timer;
    uint8_t max_rd_atomic;
    uint8_t log_mtu;            /* 0: random */
    PagerModel pager;
} TrafficModel;

typedef struct Traffic Traffic;
typedef struct End End;
typedef struct Op Op;

typedef enum OpType {
    OP_NOP, OP_SEND, OP_SEND_IMM, OP_WRITE, OP_WRITE_IMM, OP_READ, OP_CAS,
    OP_FAA, OP_TYPES
} OpType;

typedef struct AtomicResult {
    bool known;                 /* false: it may have been executed or not */
    bool used;
    uint64_t orig;              /* known */
    uint64_t compare, operand;
} AtomicResult;

/* A word that is changed by one kind of atomic alone. */
typedef struct Word {
    Extent *extent;
    OpType kind;
    uint64_t initial, last;     /* last: some value it has had */
    AtomicResult *results;
    uint32_t num_results, capacity;
} Word;

struct Op {
    Op *next;                   /* of its QP, in order of posting */
    End *end;
    OpType type;
    Defect defect;
    uint32_t index, bbs, length;
    HostWr wr;
    Extent *local[SVAN_MAX_SGE];
    Extent *remote;
    Word *word;
    uint8_t *data;              /* sent, or expected to be read */
    uint32_t allowed;           /* statuses that it may complete with */
    uint32_t refs;              /* the QP's list, the peer's list of messages */
    Op *next_message;
};

typedef struct Recv {
    struct Recv *next;
    uint32_t index, length, num_sge;
    HostSge sge[SVAN_MAX_SGE];
    Extent *local[SVAN_MAX_SGE];
} Recv;

typedef enum PairState {
    PAIR_LIVE,
    PAIR_BREAKING,              /* a defect was posted or done */
    PAIR_FLUSHING,              /* both ends are in the error state */
} PairState;

typedef struct Pair {
    Traffic *traffic;
    End *ends[2];               /* the same one: connected to itself */
    PairState state;
    Op *failed;                 /* until nothing of them is on its way */
    uint64_t since;             /* of the state */
    bool lossy;
    bool fragile;               /* finite RNR retries: nothing takes receives */
} Pair;

/* One QP. */
struct End {
    Pair *pair;
    End *peer;
    Node *node;
    HostQp *qp;
    HostConnection connection;
    Op *ops, **ops_tail;        /* posted, not completed */
    Op *messages, **messages_tail;      /* that this end is to receive */
    Recv *recvs, **recvs_tail;
    uint32_t posted, completed, since_signaled;
    const __le64 *counts;       /* of its sends: successes, errors; NULL: no counter */
    uint32_t told[2];           /* the same, by CQEs */
    uint8_t denied;             /* remote rights that the peer's QP withholds */
    bool vanished;              /* in RESET: nothing completes */
    bool doomed;                /* a defect was posted: nothing more succeeds */
    bool draining;
    bool sq_failed, rq_failed;
    uint32_t tolerated;         /* statuses of whatever is outstanding */
};

typedef struct TrafficNode {
    Guest *guest;
    Pager *pager;               /* NULL: no page is ever absent */
    Region *data;               /* everything is permitted */
    Region *readable;           /* remote reads only */
    Word words[SIM_WORDS];
    HostCq *cqs[3];
    Rng rng;
} TrafficNode;

typedef struct TrafficCounts {
    uint64_t ops, bytes, errors, breaks, drains, atomics;
    uint64_t by_defect[DEFECT_COUNT];
} TrafficCounts;

struct Traffic {
    World *world;
    const TrafficModel *model;
    TrafficNode nodes[SIM_MAX_NODES];
    Pair pairs[SIM_MAX_PAIRS];
    TrafficCounts counts;
    Rng rng;
};

Traffic *traffic_new(World *world, const TrafficModel *model);
/* Everything was posted and completed. */
bool traffic_done(const Traffic *traffic);
/* Memory and atomics at the end. */
void traffic_check(Traffic *traffic);
void traffic_free(Traffic *traffic);
/* Why it does not go on, to stderr. */
void traffic_describe(const Traffic *traffic);

TrafficNode *traffic_node(const End *end);

/* ---- traffic.c ---- */

/* The oldest ones. */
Op *pop_op(End *end);
Op *pop_message(End *end);
Recv *pop_recv(End *end);
/* It has met an error, or will: both ends are taken down and connected anew. */
void pair_break(Pair *pair);

/* ---- completion.c ---- */

/* All that a completion queue has. */
void traffic_drain(Traffic *traffic, HostCq *cq);
/* Have a counter count what the end sends. */
void end_count(End *end);
End *traffic_find_end(Traffic *traffic, const Node *node, uint32_t qpn);

/* ---- op.c ---- */

/* NULL: no room for it now. */
Op *op_new(End *end, Defect defect);
void op_put(Op *op);
bool op_takes_recv(const Op *op);
/* It has completed with success: verify, and update the model. */
void op_done(Op *op);
/* It has failed, and nothing of it is on its way: learn what it has changed. */
void op_undone(Op *op);
/* What a WRITE must have left, before its completion is seen. */
void op_check_placed(const Op *op);
/* Where the defect is: in the WQE, or found by the responder. */
bool defect_is_remote(Defect defect);
Recv *recv_new(End *end);
void recv_free(Recv *recv);
/* It has received this: verify, and update the model. */
void recv_done(Recv *recv, const Op *message);
void recv_undone(Recv *recv);

/* ---- word.c ---- */

void word_init(Word *word, Region *region, OpType kind, Rng *rng);
void word_choose(Word *word, HostWr *wr, Rng *rng);
void word_result(Word *word, const HostWr *wr, bool known, uint64_t orig);
/* All that is known fits into one order of execution. */
void word_check(Word *word, const World *world);
void word_fini(Word *word);

#endif /* SIM_TRAFFIC_H */
