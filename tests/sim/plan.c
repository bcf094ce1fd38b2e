/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include <svan/queues.h>

#include "plan.h"
#include "rng.h"

#define ST(name)        (1u << SVAN_CQE_##name)
#define US              1000ull
#define MS              1000000ull

#define FIRST_PASID     1
#define LONGEST_RNR     656ull * MS
#define OVERHEAD        (2 * MS)        /* of an operation that waits for nothing */
#define SLACK           (200 * US)      /* until a request is read, and answered */
#define MAX_LENGTH      9000u
#define TRIES           64

typedef struct Planner {
    Plan *plan;
    const PlanModel *model;
    Rng rng;
    PlanPair *culprit;          /* NULL: there is none */
    uint32_t hot;               /* page that fails for the culprit */
    bool hot_reads;             /* it does not for those who read */
    uint32_t hot_space;
} Planner;

#define ONE_OF(rng, ...) \
    (((const uint64_t[]) { __VA_ARGS__ })[rng_below(rng, \
        sizeof((const uint64_t[]) { __VA_ARGS__ }) / sizeof(uint64_t))])

/* table 45 of the specification */
static uint64_t rnr_ns(uint8_t code)
{
    static const uint32_t units[32] = {
        65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384,
        512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384,
        24576, 32768, 49152,
    };

    return units[code] * 10 * US;
}

static uint64_t timeout_ns(const PlanPair *pair)
{
    return 4096ull << pair->timeout;
}

/* ---- pages ---- */

/* Mostly short; now and then longer than any requester has patience. */
static uint64_t page_time(Rng *rng)
{
    switch (rng_below(rng, 12)) {
    case 0:
        return rng_between(rng, 40 * MS, 500 * MS);
    case 1: case 2:
        return rng_between(rng, 1 * MS, 30 * MS);
    case 3: case 4: case 5:
        return rng_between(rng, 50 * US, 1 * MS);
    default:
        return rng_between(rng, 2 * US, 50 * US);
    }
}

/* Of anything: right, wrong by factors, unknown. */
static uint64_t guess(Rng *rng, uint64_t time)
{
    switch (rng_below(rng, 16)) {
    case 0: case 1: case 2:
        return 0;
    case 3: case 4:
        return time / 100 + 1;
    case 5: case 6: case 7:
        return time / 10 + 1;
    case 8: case 9:
        return time / 2 + 1;
    case 10:
        return time * 10;
    case 11:
        return rng_below(rng, 4) ? time * 2 : UINT64_MAX;
    default:
        return time;
    }
}

static void make_page(PlanPage *page, Rng *rng)
{
    uint64_t at = 0;

    page->present = rng_below(rng, 3) == 0;
    page->writable = page->present && rng_below(rng, 2);
    page->protects = rng_below(rng, 4) == 0;
    page->time = page_time(rng);
    page->rounds = rng_below(rng, 6) ? 1 : rng_between(rng, 2, 3);
    page->entry_says = guess(rng, page->time);
    page->num_pending = rng_below(rng, PLAN_PENDING + 1);
    for (uint32_t i = 0; i < page->num_pending; i++) {
        at += rng_below(rng, i ? page->time / 2 : page->time / 8 + 1);
        page->pending[i].at = at;
        page->pending[i].says = guess(rng, page->time - (at < page->time ?
                                                         at : 0));
    }
    page->evictions = rng_below(rng, 8) ? 0 : rng_between(rng, 1, 2);
    for (uint32_t i = 0; i < page->evictions; i++) {
        page->evict_at[i] = rng_between(rng, 10 * US, 60 * MS);
    }
    if (page->evictions && rng_below(rng, 2)) {
        /* gone as soon as what it has come for is on its way */
        page->stays = rng_between(rng, 1 * US, 20 * US);
    }
}

static PlanSpace *make_space(Planner *planner, uint32_t node, uint32_t pasid)
{
    Plan *plan = planner->plan;
    PlanSpace *space = &plan->spaces[plan->num_spaces++];

    space->node = node;
    space->pasid = pasid;
    for (uint32_t i = 0; i < PLAN_PAGES; i++) {
        make_page(&space->pages[i], &planner->rng);
    }
    return space;
}

/* Half of a node's spaces are processes. The mortal one is space 0, on node 0. */
static void make_spaces(Planner *planner)
{
    Plan *plan = planner->plan;

    for (uint32_t n = 0; n < plan->num_nodes; n++) {
        for (uint32_t i = 0; i < PLAN_SPACES; i++) {
            make_space(planner, n, i < PLAN_SPACES / 2 ? FIRST_PASID + i : 0);
        }
    }
    if (plan->death) {
        make_space(planner, 0, FIRST_PASID)->life = 1;
    }
}

static bool is_there(const PlanPage *page, PlanAccess access)
{
    return page->present && !page->evictions &&
           (access == PLAN_FOR_READ || page->writable);
}

/*
 * The longest that one may wait for it: somebody else's request may have failed
 * before, or have been answered for reads alone.
 */
static uint64_t longest(const PlanPage *page, PlanAccess access)
{
    return is_there(page, access) ? 0 :
           (page->rounds + 2) * (1 + page->evictions) * (page->time + SLACK);
}

/* ---- connections ---- */

static void make_attributes(Planner *planner, PlanPair *pair)
{
    Rng *rng = &planner->rng;

    pair->gid = rng_below(rng, 2);
    pair->log_mtu = rng_between(rng, 8, 12);
    pair->timeout = rng_between(rng, 9, 13);
    pair->retry_cnt = rng_between(rng, 1, 7);
    pair->max_rd_atomic = rng_between(rng, 1, 16);
    pair->min_rnr_timer = ONE_OF(rng, 1, 1, 4, 10, 18, 20);
    pair->rnr_retry = 7;
    pair->losses = pair->local ? 0 : rng_below(rng, (pair->retry_cnt - 1) / 2 + 1);
    if (rng_below(rng, 3) == 0) {
        pair->rnr_retry = rng_between(rng, 1, 6);
        pair->min_rnr_timer = rng_between(rng, 16, 22);
        pair->losses = pair->losses ? rng_below(rng, 2) : 0;
    } else if (planner->model->impatient && rng_below(rng, 4) == 0) {
        pair->impatient = true;
        pair->retry_cnt = rng_between(rng, 2, 7);
        pair->losses = pair->losses ? rng_below(rng, pair->retry_cnt / 2) : 0;
    }
}

/*
 * The bound ends before the timeout of the requester at the other end, unless that
 * one is to show by a retry how long it is.
 */
static void make_policy(Planner *planner, const PlanPair *pair, PlanEnd *end)
{
    Rng *rng = &planner->rng;
    uint64_t bound_us;

    do {
        bound_us = pair->impatient ? 20000 :
                                     ONE_OF(rng, 20, 200, 2000, 20000);
    } while (!pair->impatient && 2 * bound_us * US > timeout_ns(pair));
    end->policy = (struct svan_fault_policy) {
        .mode = ONE_OF(rng, SVAN_FAULT_MODE_AUTO, SVAN_FAULT_MODE_AUTO,
                       SVAN_FAULT_MODE_AUTO, SVAN_FAULT_MODE_HOLD,
                       SVAN_FAULT_MODE_RNR, SVAN_FAULT_MODE_DIVERT,
                       SVAN_FAULT_MODE_DROP),
        .sources = ONE_OF(rng, SVAN_ESTIMATE_MASK, SVAN_ESTIMATE_MASK,
                          rng_below(rng, SVAN_ESTIMATE_MASK + 1)),
        .hold_max_us = svan_cpu_to_le32(ONE_OF(rng, 0, 20, 200, 1000)),
        .divert_max_us = svan_cpu_to_le32(ONE_OF(rng, 0, 100, 4000)),
        .drop_max_us = svan_cpu_to_le32(ONE_OF(rng, 0, 500, 8000)),
        .bound_us = svan_cpu_to_le32(bound_us),
        .unknown_us = svan_cpu_to_le32(ONE_OF(rng, 0, 50, 500, 5000)),
        .hold_bytes = svan_cpu_to_le32(ONE_OF(rng, 0, 256, 5000, 1 << 16)),
        .divert_pages = svan_cpu_to_le32(ONE_OF(rng, 0, 1, 3, 64)),
    };
}

/* One that neither dies nor inherits. */
static uint32_t some_space(Planner *planner, uint32_t node)
{
    uint32_t low = planner->plan->death && node == 0 ? 1 : 0;

    return node * PLAN_SPACES + rng_between(&planner->rng, low, PLAN_SPACES - 1);
}

#define MORTAL_PAIRS    2       /* then as many of the heir */

static void make_pair(Planner *planner, uint32_t i)
{
    Plan *plan = planner->plan;
    PlanPair *pair = &plan->pairs[i];
    uint32_t nodes[2] = { i % plan->num_nodes, (i + 1) % plan->num_nodes };

    if (i >= PLAN_PAIRS - planner->model->local_pairs) {
        pair->local = true;
        nodes[1] = nodes[0];
    }
    for (uint32_t n = 0; n < 2; n++) {
        pair->ends[n].space = some_space(planner, nodes[n]);
    }
    if (plan->death && i < 2 * MORTAL_PAIRS) {
        pair->late = i >= MORTAL_PAIRS;
        pair->fate = pair->late ? PLAN_LASTS : PLAN_CLOSED;
        pair->ends[0].space = some_space(planner, 1);
        pair->ends[1].space = pair->late ? plan->num_spaces - 1 : 0;
    }
    make_attributes(planner, pair);
    make_policy(planner, pair, &pair->ends[0]);
    make_policy(planner, pair, &pair->ends[1]);
}

/* ---- operations ---- */

uint32_t plan_pages(const PlanOp *op)
{
    return op->kind == PLAN_FAA ? 1 : (op->offset + op->length - 1) / SIM_PAGE + 1;
}

static PlanAccess remote_access(const PlanOp *op)
{
    return op->kind == PLAN_READ ? PLAN_FOR_READ : PLAN_FOR_WRITE;
}

static PlanAccess local_access(const PlanOp *op)
{
    return op->kind == PLAN_READ || op->kind == PLAN_FAA ? PLAN_FOR_WRITE :
                                                           PLAN_FOR_READ;
}

static PlanPage *page_of(Planner *planner, const PlanEnd *end, uint32_t page)
{
    return &planner->plan->spaces[end->space].pages[page];
}

typedef struct Need {
    bool fails, fatal, changes;         /* changes: more than one round */
    uint64_t time;
} Need;

static Need need_of(Planner *planner, const PlanEnd *end, uint32_t first,
                    uint32_t count, PlanAccess access)
{
    Need need = { 0 };

    for (uint32_t i = 0; i < count; i++) {
        const PlanPage *page = page_of(planner, end, first + i);

        need.fails |= page->fails[access];
        need.fatal |= page->fatal;
        need.changes |= !is_there(page, access) &&
                        (page->rounds > 1 || page->evictions);
        need.time += longest(page, access);
    }
    return need;
}

/*
 * What its RNR retries cover for certain: each takes the least time at least. A lost
 * packet may cost one, a page that is called back for, too.
 */
static bool outlasts(const PlanPair *pair, const Need *need, uint32_t pages)
{
    uint32_t spent = 2 * pair->losses + 1 + pages;

    if (pair->rnr_retry == 7 || !need->time) {
        return false;
    }
    return need->changes || pair->rnr_retry <= spent ||
           need->time >= (pair->rnr_retry - spent) * rnr_ns(pair->min_rnr_timer);
}

static void choose_pages(PlanOp *op, uint32_t pages, Rng *rng)
{
    bool sources = op->kind == PLAN_READ && rng_below(rng, 2);
    uint32_t target = PLAN_SOURCES + rng_below(rng, PLAN_TARGETS - pages + 1);
    uint32_t landing = PLAN_FIRST_LANDING +
                       rng_below(rng, PLAN_LANDINGS - pages + 1);
    uint32_t source = rng_below(rng, PLAN_SOURCES - pages + 1);

    switch (op->kind) {
    case PLAN_READ:
        op->remote = sources ? source : target;
        op->local = landing;
        break;
    case PLAN_FAA:
        op->remote = PLAN_WORDS;
        op->local = PLAN_RESULTS;
        break;
    default:
        op->remote = target;
        op->local = source;
        break;
    }
}

static PlanOp random_op(Rng *rng)
{
    PlanOp op = { .kind = ONE_OF(rng, PLAN_WRITE, PLAN_WRITE, PLAN_WRITE,
                                 PLAN_READ, PLAN_READ, PLAN_READ, PLAN_SEND,
                                 PLAN_SEND, PLAN_FAA) };

    op.offset = rng_below(rng, SIM_PAGE);
    op.length = rng_below(rng, 3) ? rng_between(rng, 1, 300) :
                                    rng_between(rng, 1, MAX_LENGTH);
    if (op.kind == PLAN_FAA) {
        op.offset = 0;
        op.length = 8;
    }
    choose_pages(&op, plan_pages(&op), rng);
    return op;
}

/* Nothing that it meets can end the connection. */
static bool is_harmless(Planner *planner, const PlanPair *pair,
                        const PlanEnd *end, const PlanOp *op)
{
    const PlanEnd *peer = &pair->ends[end == &pair->ends[0]];
    uint32_t pages = plan_pages(op);
    Need there = need_of(planner, peer, op->remote, pages, remote_access(op));
    Need here = need_of(planner, end, op->local, pages, local_access(op));

    return !there.fails && !here.fails && !there.fatal && !here.fatal &&
           !outlasts(pair, &there, pages);
}

static bool add_op(Planner *planner, const PlanPair *pair, PlanEnd *end,
                   const PlanOp *op)
{
    if (!is_harmless(planner, pair, end, op)) {
        return false;
    }
    end->ops[end->num_ops++] = *op;
    return true;
}

/* Those who only read begin with the page that fails for one who writes. */
static void add_hot(Planner *planner, const PlanPair *pair, PlanEnd *end)
{
    const PlanEnd *peer = &pair->ends[end == &pair->ends[0]];
    PlanOp op = random_op(&planner->rng);

    if (!planner->culprit || !planner->hot_reads ||
        peer->space != planner->hot_space || rng_below(&planner->rng, 4) == 0) {
        return;
    }
    op = (PlanOp) { .kind = PLAN_READ, .remote = planner->hot,
                    .local = PLAN_FIRST_LANDING, .offset = op.offset / 2,
                    .length = 1 + op.length % 2000 };
    add_op(planner, pair, end, &op);
}

/* The heir begins with the page that the process before it had asked for. */
static void add_first(Planner *planner, PlanPair *pair, PlanEnd *end)
{
    PlanOp op = random_op(&planner->rng);

    if (end != &pair->ends[0] || (!pair->late && pair->fate != PLAN_CLOSED)) {
        add_hot(planner, pair, end);
        return;
    }
    op = (PlanOp) { .kind = rng_below(&planner->rng, 2) ? PLAN_WRITE : PLAN_READ,
                    .remote = PLAN_SOURCES + 1, .offset = op.offset / 2,
                    .length = 1 + op.length % 2000 };
    op.local = op.kind == PLAN_READ ? PLAN_FIRST_LANDING : 0;
    if (pair->fate == PLAN_CLOSED) {
        op.kind = PLAN_WRITE;
        op.local = 0;
    }
    end->ops[end->num_ops++] = op;
}

static void add_ops(Planner *planner, PlanPair *pair, PlanEnd *end)
{
    uint32_t count = rng_between(&planner->rng, 3, PLAN_OPS - 1);

    add_first(planner, pair, end);
    for (uint32_t i = 0; i < TRIES && end->num_ops < count; i++) {
        PlanOp op = random_op(&planner->rng);

        add_op(planner, pair, end, &op);
    }
}

/* ---- those who may end ---- */

typedef enum Crime {
    CRIME_WRITE_PROTECTED,      /* a page that is there for reads */
    CRIME_REMOTE,               /* a page that never comes */
    CRIME_LOCAL,                /* the same, of its own */
    CRIME_KEY,
    CRIME_SLOW,                 /* a page that outlasts its RNR retries */
} Crime;

static PlanOp *insert_op(PlanEnd *end, uint32_t at, const PlanOp *op)
{
    if (end->num_ops == PLAN_OPS) {
        end->num_ops--;
    }
    at = at < end->num_ops ? at : end->num_ops;
    for (uint32_t i = end->num_ops++; i > at; i--) {
        end->ops[i] = end->ops[i - 1];
    }
    end->ops[at] = *op;
    return &end->ops[at];
}

/* Before anybody has operations: what is wrong with which page. */
static void prepare_crime(Planner *planner, Crime crime)
{
    PlanPair *pair = planner->culprit;
    PlanEnd *victim = &pair->ends[crime == CRIME_LOCAL ? 0 : 1];
    PlanPage *page;

    pair->fate = PLAN_EXCUSED;
    planner->hot = crime == CRIME_LOCAL ? PLAN_FIRST_LANDING + 1 :
                                          PLAN_SOURCES + 2;
    planner->hot_space = victim->space;
    planner->hot_reads = crime == CRIME_WRITE_PROTECTED;
    page = page_of(planner, victim, planner->hot);
    page->present = page->writable = false;
    if (crime == CRIME_SLOW) {
        pair->rnr_retry = rng_between(&planner->rng, 1, 3);
        pair->min_rnr_timer = 12;
        page->time = rng_between(&planner->rng, 20 * MS, 200 * MS);
        page->entry_says = page->time / 100;
        page->num_pending = 0;
    } else if (crime != CRIME_KEY) {
        page->fails[PLAN_FOR_WRITE] = true;
        page->fails[PLAN_FOR_READ] = !planner->hot_reads;
        page->time = rng_between(&planner->rng, 20 * US, 5 * MS);
    }
}

static void commit_crime(Planner *planner, Crime crime)
{
    static const struct {
        PlanKind kind;
        uint32_t status;
    } at_the_other_end[] = {
        { PLAN_WRITE, ST(REM_ACCESS_ERR) }, { PLAN_SEND, ST(REM_OP_ERR) },
        { PLAN_READ, ST(REM_ACCESS_ERR) },
    };
    uint32_t n = rng_below(&planner->rng, crime == CRIME_WRITE_PROTECTED ? 2 : 3);
    PlanPair *pair = planner->culprit;
    PlanOp op = {
        .kind = at_the_other_end[n].kind, .local = 0, .remote = planner->hot,
        .offset = rng_below(&planner->rng, 2000), .length = 200,
        .must_fail = crime != CRIME_SLOW,
    };
    uint32_t allowed = at_the_other_end[n].status;

    if (crime == CRIME_LOCAL || crime == CRIME_KEY) {
        op.kind = crime == CRIME_LOCAL ? PLAN_READ : PLAN_WRITE;
        op.local = crime == CRIME_LOCAL ? planner->hot : 0;
        op.remote = 0;
        allowed = crime == CRIME_LOCAL ? ST(LOC_PROT_ERR) : ST(REM_ACCESS_ERR);
    } else if (op.kind == PLAN_READ) {
        op.local = PLAN_FIRST_LANDING;
    }
    op.bad_key = crime == CRIME_KEY;
    allowed = crime == CRIME_SLOW ? ST(RNR_RETRY_EXC_ERR) : allowed;
    if (pair->rnr_retry != 7) {
        /* they may run out before it is told that the page has failed */
        allowed |= ST(RNR_RETRY_EXC_ERR);
    }
    insert_op(&pair->ends[0], rng_below(&planner->rng, 2) ? 0 :
              rng_below(&planner->rng, PLAN_OPS), &op);
    /* its last words may be lost, and then the peer is gone without one */
    pair->ends[0].allowed = allowed | ST(RETRY_EXC_ERR);
    pair->ends[1].allowed = ST(WR_FLUSH_ERR) | ST(RETRY_EXC_ERR);
}

/* ---- limits ---- */

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* How late a requester may come back for a page, by an RNR NAK of any estimate. */
static uint64_t overshoot(const PlanPair *pair, const PlanPage *page)
{
    uint64_t says = max_of(page->entry_says, page->time);

    for (uint32_t i = 0; i < page->num_pending; i++) {
        says = max_of(says, page->pending[i].says);
    }
    says = max_of(says, max_of(rnr_ns(pair->min_rnr_timer), 5 * MS));
    return says > LONGEST_RNR / 2 ? LONGEST_RNR : 2 * says;
}

static uint64_t wait_limit(Planner *planner, const PlanPair *pair,
                           const PlanEnd *end, uint32_t first, uint32_t count)
{
    uint64_t limit = 0;

    for (uint32_t i = 0; i < count; i++) {
        const PlanPage *page = page_of(planner, end, first + i);

        limit += (page->rounds + 2) * (1 + page->evictions) *
                 (2 * (page->time + SLACK) + overshoot(pair, page));
    }
    return limit;
}

static uint64_t set_limits(Planner *planner, PlanPair *pair, PlanEnd *end)
{
    const PlanEnd *peer = &pair->ends[end == &pair->ends[0]];
    uint64_t retries = 2 * pair->losses + 2, sum = 0;

    if (pair->fate == PLAN_EXCUSED) {
        retries += pair->retry_cnt + 1;
    }
    for (uint32_t i = 0; i < end->num_ops; i++) {
        PlanOp *op = &end->ops[i];
        uint32_t pages = plan_pages(op);

        op->limit = OVERHEAD + retries * 2 * timeout_ns(pair) +
                    wait_limit(planner, pair, end, op->local, pages) +
                    wait_limit(planner, pair, peer, op->remote, pages);
        sum += op->limit;
    }
    return sum;
}

static void set_all_limits(Planner *planner)
{
    Plan *plan = planner->plan;

    for (uint32_t i = 0; i < 2 * PLAN_PAIRS; i++) {
        PlanPair *pair = &plan->pairs[i / 2];

        plan->limit = max_of(plan->limit, set_limits(planner, pair,
                                                     &pair->ends[i % 2]));
    }
    plan->limit += plan->death_after + plan->failed_after + plan->heir_after +
                   plan->limit / 8 + 100 * MS;
}

/* ---- all of it ---- */

/* One connection in three of four seeds: far below one of twenty. */
static void make_culprit(Planner *planner, Crime *crime)
{
    static const Crime crimes[] = {
        CRIME_WRITE_PROTECTED, CRIME_WRITE_PROTECTED, CRIME_WRITE_PROTECTED,
        CRIME_REMOTE, CRIME_LOCAL, CRIME_KEY, CRIME_SLOW,
    };

    if (rng_below(&planner->rng, 4) == 0) {
        return;
    }
    planner->culprit = &planner->plan->pairs[
        rng_between(&planner->rng, 2 * MORTAL_PAIRS, PLAN_PAIRS - 1)];
    *crime = crimes[rng_below(&planner->rng, sizeof(crimes) / sizeof(crimes[0]))];
    prepare_crime(planner, *crime);
}

static void make_death(Planner *planner)
{
    Plan *plan = planner->plan;
    PlanPage *page = &plan->spaces[0].pages[PLAN_SOURCES + 1];

    plan->death_after = rng_between(&planner->rng, 10 * US, 5 * MS);
    plan->failed_after = rng_below(&planner->rng, 4) ?
                         rng_between(&planner->rng, 20 * US, 5 * MS) : 50 * MS;
    plan->heir_after = rng_below(&planner->rng, 2) ? 0 : 30 * US;
    page->present = page->writable = false;
    page->fatal = true;
    page = &plan->spaces[plan->num_spaces - 1].pages[PLAN_SOURCES + 1];
    page->present = page->writable = false;
    page->rounds = 1;
    page->evictions = 0;
    page->stays = 0;
    for (uint32_t i = 0; i < 2 * MORTAL_PAIRS; i++) {
        plan->pairs[i].rnr_retry = 7;
    }
}

Plan *plan_new(const PlanModel *model, uint32_t num_nodes, uint64_t seed)
{
    Planner planner = {
        .plan = calloc(1, sizeof(Plan)), .model = model,
        .rng = rng_make(seed, 700),
    };
    Plan *plan = planner.plan;
    Crime crime = CRIME_KEY;

    plan->num_nodes = num_nodes;
    plan->death = model->processes;
    make_spaces(&planner);
    for (uint32_t i = 0; i < PLAN_PAIRS; i++) {
        make_pair(&planner, i);
    }
    if (plan->death) {
        make_death(&planner);
    }
    make_culprit(&planner, &crime);
    for (uint32_t i = 0; i < 2 * PLAN_PAIRS; i++) {
        PlanPair *pair = &plan->pairs[i / 2];

        add_ops(&planner, pair, &pair->ends[i % 2]);
    }
    if (planner.culprit) {
        commit_crime(&planner, crime);
    }
    set_all_limits(&planner);
    return plan;
}

void plan_free(Plan *plan)
{
    free(plan);
}
