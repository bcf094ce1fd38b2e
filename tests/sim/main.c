/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network simulation. Each seed is a world of its own: seed modulo the
 * number of scenarios picks what it is like. Prints TAP.
 *
 *   SVAN_SIM_SEED=n     this seed alone
 *   SVAN_SIM_COUNT=n    so many seeds, from SVAN_SIM_FIRST or 1 on
 *   SVAN_SIM_ONLY=name  of them those of scenarios whose names begin so
 *   SVAN_SIM_VERBOSE=1  what the cores trace
 *   SVAN_SIM_STATS=1    what they count, and the hash of all they did
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blame.h"
#include "traffic.h"

#define LIMIT_NS        60000000000ull
#define DEFAULT_COUNT   (4 * NUM_SCENARIOS)

typedef struct Scenario {
    const char *name;
    WorldModel world;
    TrafficModel traffic;
    const PlanModel *plan;      /* instead of traffic */
    bool clean;                 /* nothing is ever sent twice */
} Scenario;

#define WORLD(...) \
    { .ram_bytes = 16u << 20, .hash = true, .replay = "SVAN_SIM_SEED", \
      .core.link_mbps = 100000, .core.true_atomics = true, \
      .core.max_qp = 256, .core.max_cq = 256, .core.max_key = 256, \
      .core.max_rx_frames = 4096, .engine.run_cost = 150, \
      .link.delay = 2000, .link.ps_per_byte = 200, \
      .link.queue_bytes = 4u << 20, __VA_ARGS__ }
#define TRAFFIC(...) \
    { .ops = 150, .max_length = 40000, .recv_length = 9000, \
      .region_bytes = 4u << 20, .idle = 3000, .unsignaled = 400000, \
      .timeout = 8, .retry_cnt = 7, .rnr_timer = 1, .max_rd_atomic = 16, \
      __VA_ARGS__ }
#define PAGER(...) \
    { .evict = 200000, .batch = 8, .slow = 50000, .again = 200000, \
      .policy = 2000, __VA_ARGS__ }
/* A policy may hold for as long as a page takes, so the timeout is longer. */
#define PAGED(...) \
    TRAFFIC(.num_pairs = 4, .local_pairs = 2, .self_pairs = 1, .ops = 80, \
            .max_length = 20000, .region_bytes = 1u << 20, .idle = 20000, \
            .timeout = 14, .pager = PAGER(), __VA_ARGS__)

/* So much that what a plan allows does happen. */
#define ROUGH(...) \
    WORLD(.core.fault_buffer = 32768, .link.loss = 20000, \
          .link.duplicate = 50000, .link.reorder = 20000, \
          .link.reorder_delay = 30000, .link.corrupt = 5000, __VA_ARGS__)

static const PlanModel crowd = {
    .local_pairs = 4, .processes = true, .impatient = true,
};
static const PlanModel patient = { .local_pairs = 4, .processes = true };

static const Scenario scenarios[] = {
    {
        .name = "calm", .clean = true,
        .world = WORLD(.num_nodes = 2),
        .traffic = TRAFFIC(.num_pairs = 4, .local_pairs = 2, .self_pairs = 1,
                           .timeout = 14),
    }, {
        .name = "loss",
        .world = WORLD(.num_nodes = 2, .link.loss = 20000, .link.jitter = 500),
        .traffic = TRAFFIC(.num_pairs = 3, .lossy = true),
    }, {
        .name = "storm",
        .world = WORLD(.num_nodes = 4, .link.loss = 20000, .link.jitter = 3000,
                       .link.duplicate = 20000, .link.reorder = 20000,
                       .link.reorder_delay = 30000, .link.corrupt = 10000,
                       .refuse = 10000, .core.max_rx_frames = 256),
        .traffic = TRAFFIC(.num_pairs = 8, .local_pairs = 2, .self_pairs = 1,
                           .starve = 300000, .lossy = true, .ops = 80),
    }, {
        .name = "starved",
        .world = WORLD(.num_nodes = 2, .link.loss = 2000),
        .traffic = TRAFFIC(.num_pairs = 4, .local_pairs = 2, .self_pairs = 1,
                           .starve = 970000, .lossy = true),
    }, {
        .name = "missing",
        .world = WORLD(.num_nodes = 2, .engine.miss = 300000,
                       .engine.forget = 20000, .engine.invalidate = 5000),
        .traffic = TRAFFIC(.num_pairs = 4, .local_pairs = 2, .self_pairs = 1,
                           .events = true),
    }, {
        .name = "restored",
        .world = WORLD(.num_nodes = 2, .link.loss = 5000,
                       .link.duplicate = 5000, .link.reorder = 5000,
                       .link.reorder_delay = 10000, .link.jitter = 500,
                       .engine.restore = 5000, .refuse = 2000),
        .traffic = TRAFFIC(.num_pairs = 4, .local_pairs = 2, .self_pairs = 1,
                           .starve = 300000, .lossy = true, .events = true),
    }, {
        .name = "broken",
        .world = WORLD(.num_nodes = 3, .engine.miss = 20000,
                       .engine.forget = 20000),
        .traffic = TRAFFIC(.num_pairs = 8, .local_pairs = 3, .self_pairs = 1,
                           .defect = 6000, .starve = 100000, .drain = 5000,
                           .ops = 300),
    }, {
        .name = "everything",
        .world = WORLD(.num_nodes = 8, .link.loss = 10000, .link.jitter = 1000,
                       .link.duplicate = 10000, .link.reorder = 10000,
                       .link.reorder_delay = 20000, .link.corrupt = 5000,
                       .refuse = 5000, .engine.miss = 50000,
                       .engine.forget = 10000, .engine.restore = 5000,
                       .engine.invalidate = 1000, .core.poll_ns = 2000),
        .traffic = PAGED(.num_pairs = 12, .local_pairs = 3, .self_pairs = 1,
                         .defect = 5000, .starve = 300000, .drain = 5000,
                         .lossy = true, .events = true, .timeout = 12,
                         .pager = PAGER(.whole = 1000000)),
    }, {
        .name = "polled",
        .world = WORLD(.num_nodes = 3, .core.poll_ns = 5000, .link.loss = 1000),
        .traffic = TRAFFIC(.num_pairs = 6, .local_pairs = 3, .self_pairs = 2,
                           .drain = 20000, .lossy = true,
                           .max_length = 400000, .ops = 60),
    }, {
        .name = "paged",
        .world = WORLD(.num_nodes = 2, .core.fault_buffer = 32768),
        .traffic = PAGED(.events = true),
    }, {
        .name = "paged-loss",
        .world = WORLD(.num_nodes = 2, .core.fault_buffer = 32768,
                       .link.loss = 3000, .link.duplicate = 10000,
                       .link.reorder = 10000, .link.jitter = 1000,
                       .link.reorder_delay = 30000),
        .traffic = PAGED(.lossy = true, .timeout = 12),
    }, {
        .name = "paged-missing",
        .world = WORLD(.num_nodes = 2, .engine.miss = 200000,
                       .engine.forget = 20000, .engine.invalidate = 5000),
        .traffic = PAGED(.starve = 300000, .defect = 5000,
                         .pager = PAGER(.whole = 1000000)),
    }, {
        .name = "paged-restored",
        .world = WORLD(.num_nodes = 2, .core.fault_buffer = 32768,
                       .engine.restore = 5000, .refuse = 2000),
        .traffic = PAGED(.drain = 2000),
    }, {
        .name = "blame", .clean = true,
        .world = WORLD(.num_nodes = 2, .core.fault_buffer = 32768),
        .plan = &patient,
    }, {
        .name = "blame-loss",
        .world = ROUGH(.num_nodes = 2),
        .plan = &crowd,
    }, {
        .name = "blame-missing",
        .world = ROUGH(.num_nodes = 2, .engine.miss = 200000,
                       .engine.forget = 20000, .engine.invalidate = 5000,
                       .refuse = 2000),
        .plan = &crowd,
    }, {
        .name = "blame-spares", .clean = true,   /* its spare pages miss */
        .world = WORLD(.num_nodes = 2, .core.fault_buffer = 2400,
                       .engine.miss = 700000, .engine.forget = 300000,
                       .engine.invalidate = 5000),
        .plan = &patient,
    }, {
        .name = "blame-crowd",
        .world = ROUGH(.num_nodes = 3, .core.fault_buffer = 4096,
                       .core.poll_ns = 2000),
        .plan = &crowd,
    }, {
        .name = "blame-restored",
        .world = WORLD(.num_nodes = 2, .core.fault_buffer = 32768,
                       .engine.restore = 5000, .refuse = 2000),
        .plan = &patient,
    },
};

#define NUM_SCENARIOS   (sizeof(scenarios) / sizeof(scenarios[0]))

/* How absent pages were met; all of it has to happen. */
#define FAULT_STATS(X) \
    X(fault_hold) X(fault_rnr) X(fault_divert) X(fault_drop) X(fault_fail) \
    X(fault_fallback) X(page_faults_requester) X(page_faults_again) \
    X(page_requests_merged)

typedef struct Totals {
    TrafficCounts traffic;
    uint64_t runs, misses, aside, restores, lost, retransmits, time;
#define TOTAL(name) uint64_t name;
    FAULT_STATS(TOTAL)
    PAGER_COUNTS(TOTAL)
    BLAME_COUNTS(TOTAL)
#undef TOTAL
} Totals;

static void add(uint64_t *to, uint64_t value)
{
    *to += value;
}

static void sum_up_pages(Totals *totals, const TrafficNode *node)
{
#define ADD(name) \
    add(&totals->name, node->pager ? node->pager->counts.name : 0);
    PAGER_COUNTS(ADD)
#undef ADD
}

static void sum_up_traffic(Totals *totals, const World *world,
                           const Traffic *traffic)
{
    add(&totals->traffic.ops, traffic->counts.ops);
    add(&totals->traffic.bytes, traffic->counts.bytes);
    add(&totals->traffic.breaks, traffic->counts.breaks);
    add(&totals->traffic.atomics, traffic->counts.atomics);
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        sum_up_pages(totals, &traffic->nodes[i]);
    }
}

static void sum_up(Totals *totals, const World *world)
{
    add(&totals->time, world->now);
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        const Node *node = &world->nodes[i];
        const SvanStats stats = node_stats(&world->nodes[i]);

        add(&totals->runs, node->counts.runs);
        add(&totals->misses, node->counts.misses);
        add(&totals->aside, node->counts.aside);
        add(&totals->restores, node->counts.restores);
        add(&totals->lost, node->link.lost);
        add(&totals->retransmits, stats.retransmits);
#define ADD(name) add(&totals->name, stats.name);
        FAULT_STATS(ADD)
#undef ADD
    }
}

#define RETRY_STATS(X) \
    X(duplicate_request) X(out_of_sequence) X(packet_seq_err) \
    X(implied_nak_seq_err) X(local_ack_timeout_err)

static void check_clean(const World *world)
{
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        const SvanStats stats = node_stats(&world->nodes[i]);

#define CHECK_ZERO(name) \
        if (stats.name) { \
            world_fail(world, "node %u: " #name " is %" PRIu64 \
                       " although nothing was lost", i, stats.name); \
        }
        RETRY_STATS(CHECK_ZERO)
    }
}

/* Nothing waits any more, and every answer was understood. */
static void check_faults(const World *world)
{
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        const SvanStats stats = node_stats(&world->nodes[i]);

        if (stats.held_bytes || stats.spares_lent) {
            world_fail(world, "node %u: packets are kept (%u bytes%s) although "
                       "nothing is under way", i, stats.held_bytes,
                       stats.spares_lent ? ", spare pages" : "");
        }
        if (stats.page_responses_bad) {
            world_fail(world, "node %u: page_responses_bad is %" PRIu64, i,
                       stats.page_responses_bad);
        }
    }
}

static void print_stats(const World *world)
{
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        const SvanStats stats = node_stats(&world->nodes[i]);

#define PRINT(name) \
        if (stats.name) { \
            printf("# node %u " #name " %" PRIu64 "\n", i, stats.name); \
        }
        SVAN_STATS(PRINT)
    }
}

static void run_traffic(const Scenario *scenario, World *world,
                        Totals *totals)
{
    Traffic *traffic = traffic_new(world, &scenario->traffic);

    while (!traffic_done(traffic)) {
        for (uint32_t i = 0; i < 256; i++) {
            world_step(world);
        }
        if (world->now > LIMIT_NS) {
            traffic_describe(traffic);
            world_fail(world, "it does not come to an end");
        }
    }
    traffic_check(traffic);
    if (scenario->clean) {
        check_clean(world);
    }
    sum_up_traffic(totals, world, traffic);
    if (getenv("SVAN_SIM_STATS")) {
        for (uint32_t i = 0; i < DEFECT_COUNT; i++) {
            printf("# defect %u: %" PRIu64 "\n", i,
                   traffic->counts.by_defect[i]);
        }
    }
    traffic_free(traffic);
}

/* Where nothing is lost, who waits for a page is told before its timeout. */
static void check_in_time(const World *world)
{
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        const SvanStats stats = node_stats(&world->nodes[i]);

        if (stats.local_ack_timeout_err) {
            world_fail(world, "node %u: %" PRIu64 " timeouts although nothing "
                       "was lost", i, stats.local_ack_timeout_err);
        }
    }
}

/* Every request has had its answer, so the queue has all of its faults again. */
static void check_requests(const World *world)
{
    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        const SvanStats stats = node_stats(&world->nodes[i]);

        if (stats.open_requests) {
            world_fail(world, "node %u: %u page requests are open", i,
                       stats.open_requests);
        }
    }
}

static void run_plan(const Scenario *scenario, World *world, Totals *totals)
{
    Blame *blame = blame_new(world, scenario->plan);

    while (!blame_done(blame)) {
        for (uint32_t i = 0; i < 256; i++) {
            world_step(world);
        }
    }
    check_requests(world);
    if (scenario->clean) {
        check_in_time(world);
    }
    add(&totals->traffic.ops, blame->counts.blame_operations);
    add(&totals->traffic.breaks, blame->counts.blame_ended);
#define ADD(name) add(&totals->name, blame->counts.name);
    BLAME_COUNTS(ADD)
#undef ADD
    blame_free(blame);
}

/* The hash of the run. */
static uint64_t run(uint64_t seed, Totals *totals)
{
    const Scenario *scenario = &scenarios[seed % NUM_SCENARIOS];
    World *world = world_create(&scenario->world, seed);
    uint64_t hash;

    if (scenario->plan) {
        run_plan(scenario, world, totals);
    } else {
        run_traffic(scenario, world, totals);
    }
    check_faults(world);
    sum_up(totals, world);
    if (getenv("SVAN_SIM_STATS")) {
        print_stats(world);
        printf("# hash %016" PRIx64 "\n", world->hash);
    }
    hash = world->hash;
    world_destroy(world);
    return hash;
}

static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void add_totals(Totals *all, const Totals *one)
{
#define ADD(name) add(&all->name, one->name);
    FAULT_STATS(ADD)
    PAGER_COUNTS(ADD)
    BLAME_COUNTS(ADD)
#undef ADD
}

/* Has everything that pages can do happened at least once? */
static bool report_faults(const Totals *all, uint64_t number)
{
    bool complete = true;

#define REPORT(name) \
    complete &= all->name != 0; \
    printf("# " #name " %" PRIu64 "\n", all->name);
    FAULT_STATS(REPORT)
    PAGER_COUNTS(REPORT)
#undef REPORT
    printf("%sok %" PRIu64 " - pages were absent in every way\n",
           complete ? "" : "not ", number);
    return complete;
}

/* Whatever may end does so now and then, and few may. */
static bool report_blame(const Totals *all, uint64_t number)
{
    bool good = all->blame_excused * 20 < all->blame_connections;   /* 5% */

#define REPORT(name) \
    good &= all->name != 0; \
    printf("# " #name " %" PRIu64 "\n", all->name);
    BLAME_COUNTS(REPORT)
#undef REPORT
    printf("%sok %" PRIu64 " - of %" PRIu64 " connections %" PRIu64
           " may end, no other did\n", good ? "" : "not ", number,
           all->blame_connections, all->blame_excused);
    return good;
}

/* The first of each scenario twice: the same seed, the same world. */
static void run_seed(uint64_t number, uint64_t seed, Totals *all)
{
    Totals totals = { 0 }, again = { 0 };
    const char *name = scenarios[seed % NUM_SCENARIOS].name;
    uint64_t hash = run(seed, &totals);
    bool same = number > NUM_SCENARIOS || run(seed, &again) == hash;

    printf("%sok %" PRIu64 " - seed %" PRIu64 " %s: %" PRIu64 " operations, %"
           PRIu64 " KiB, %" PRIu64 " atomics, %" PRIu64 " lost, %" PRIu64
           " sent again, %" PRIu64 " misses (%" PRIu64 " aside), %" PRIu64 " restores, %" PRIu64
           " breaks in %" PRIu64 " us%s\n", same ? "" : "not ", number, seed,
           name, totals.traffic.ops, totals.traffic.bytes >> 10,
           totals.traffic.atomics, totals.lost, totals.retransmits,
           totals.misses, totals.aside, totals.restores, totals.traffic.breaks,
           totals.time / 1000, same ? "" : " # not the same twice");
    fflush(stdout);
    if (!same) {
        exit(1);
    }
    add_totals(all, &totals);
}

/* In a process of its own, so that what breaks one seed leaves the others. */
static void start_seed(uint64_t number, uint64_t seed, Totals *totals)
{
    pid_t pid = fork();

    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        run_seed(number, seed, totals);
        exit(0);
    }
}

/* false: the child that has ended did not end well. */
static bool await_seed(void)
{
    int status;

    return wait(&status) > 0 && WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool is_wanted(uint64_t seed)
{
    const char *only = getenv("SVAN_SIM_ONLY");

    return !only || !strncmp(scenarios[seed % NUM_SCENARIOS].name, only,
                             strlen(only));
}

/* How many are wanted: of all scenarios, or of those with a plan. */
static uint32_t count_wanted(bool plans)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < NUM_SCENARIOS; i++) {
        count += is_wanted(i) && (!plans || scenarios[i].plan);
    }
    return count;
}

/* One on each CPU; totals, one of each, are shared with them. */
static bool run_seeds(uint64_t seed, uint64_t count, Totals *totals)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t jobs = cpus > 1 ? cpus : 1, running = 0;
    bool good = true;

    for (uint64_t i = 0; i < count; i++, seed++) {
        while (!is_wanted(seed)) {
            seed++;
        }
        if (running == jobs) {
            good &= await_seed();
            running--;
        }
        start_seed(i + 1, seed, &totals[i]);
        running++;
    }
    while (running--) {
        good &= await_seed();
    }
    return good;
}

int main(void)
{
    uint64_t first = env_number("SVAN_SIM_FIRST", 1);
    uint64_t count = env_number("SVAN_SIM_COUNT", DEFAULT_COUNT);
    Totals all = { 0 }, *totals;
    bool faults, blame, good;

    if (getenv("SVAN_SIM_SEED")) {
        printf("1..1\n");
        run_seed(1, env_number("SVAN_SIM_SEED", 1), &all);
        return 0;
    }
    if (!count_wanted(false)) {
        fprintf(stderr, "no scenario has this name\n");
        return 2;
    }
    blame = count >= DEFAULT_COUNT && count_wanted(true);
    faults = count >= DEFAULT_COUNT && !getenv("SVAN_SIM_ONLY");
    printf("1..%" PRIu64 "\n", count + faults + blame);
    fflush(stdout);
    totals = mmap(NULL, count * sizeof(totals[0]), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED || !run_seeds(first, count, totals)) {
        return 1;
    }
    for (uint64_t i = 0; i < count; i++) {
        add_totals(&all, &totals[i]);
    }
    good = !faults || report_faults(&all, ++count);
    good &= !blame || report_blame(&all, ++count);
    return !good;
}
