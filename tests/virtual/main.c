/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How requests that meet absent pages fare, by the way of handling them: CSV on
 * standard output, progress on standard error.
 *
 *   virtual_time [quick]
 *
 * In surroundings where memory for packets is ample, and in those where it is
 * scarce, the best of as many settings of each way is looked for on the mix of
 * workloads, with seeds of their own, and then runs with other seeds, and in
 * surroundings that it was not made for.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "virtual.h"

#define SWEEP_SEEDS     2
#define SEEDS           5
#define FIRST_SEED      101     /* those of the sweep begin at 1 */

typedef enum Surroundings {
    AMPLE, SCARCE, FULL, SLOW, SQUEEZED, SCENARIOS
} Surroundings;

static Scenario scenarios[SCENARIOS] = {
    [AMPLE]  = { .name = "ample", .fault_buffer = 4u << 20, .spares = 256,
                 .resident_ppm = 600000, .disk_ppm = 5000,
                 .load_ppm = 900000 },
    [SCARCE] = { .name = "scarce", .fault_buffer = 256u << 10, .spares = 64,
                 .resident_ppm = 600000, .disk_ppm = 5000,
                 .load_ppm = 900000 },
    [FULL]   = { .name = "full", .fault_buffer = 4u << 20, .spares = 256,
                 .resident_ppm = 600000, .disk_ppm = 5000,
                 .load_ppm = 970000 },
    [SLOW]   = { .name = "slow", .fault_buffer = 4u << 20, .spares = 256,
                 .resident_ppm = 600000, .disk_ppm = 15000,
                 .load_ppm = 900000 },
    [SQUEEZED] = { .name = "squeezed", .fault_buffer = 256u << 10,
                   .spares = 64, .resident_ppm = 600000, .disk_ppm = 15000,
                   .load_ppm = 900000 },
};

/* AUTO without one of its sources, at last without any. */
static const struct {
    const char *name;
    uint8_t without;
} blind[] = {
    { "auto-no-entry", SVAN_ESTIMATE_ENTRY },
    { "auto-no-response", SVAN_ESTIMATE_RESPONSE },
    { "auto-no-estimate", SVAN_ESTIMATE_MASK },
};

#define BLIND           (sizeof(blind) / sizeof(blind[0]))

static bool quick;

static void prepare(void)
{
    for (uint32_t i = 0; i < SCENARIOS; i++) {
        scenarios[i].warm_up = quick ? 2 * MS : 20 * MS;
        scenarios[i].length = quick ? 3 * MS : 25 * MS;
    }
    /* what one run gives back the next takes */
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
}

static void progress(const char *phase, const Run *run, const Result *result)
{
    fprintf(stderr, "%s %s %s %s seed %u: %.2f Gbit/s, p50 %.1f us, p99 %.1f "
            "us\n", phase, run->scenario->name, op_names[run->workload],
            run->config->name, (unsigned)run->seed, result_gbps(result),
            result_quantile(result, 0.5) / 1e3,
            result_quantile(result, 0.99) / 1e3);
}

/* ---- the sweep ---- */

/* Goodput by the 99th percentile of completion times, over all seeds. */
static double score(const Scenario *scenario, const Config *config)
{
    static Result all, result;
    Run run = {
        .scenario = scenario, .config = config, .workload = WORKLOAD_MIX,
    };

    memset(&all, 0, sizeof(all));
    for (run.seed = 1; run.seed <= (quick ? 1 : SWEEP_SEEDS); run.seed++) {
        run_simulation(&run, &result);
        report_run(stdout, "sweep", &run, &result);
        result_add(&all, &result);
    }
    run.seed = 0;
    progress("sweep", &run, &all);
    return result_gbps(&all) / result_quantile(&all, 0.99);
}

static Config best_of(const Scenario *scenario, Family family)
{
    Config best = grid_config(family, 0);
    double best_score = 0;

    for (uint32_t i = 0; i < (quick ? 1 : GRID_SIZE); i++) {
        Config config = grid_config(family, i);
        double this_score = score(scenario, &config);

        if (this_score > best_score) {
            best_score = this_score;
            best = config;
        }
    }
    report_policy(stdout, scenario, family_names[family], &best);
    snprintf(best.name, sizeof(best.name), "%s", family_names[family]);
    return best;
}

/* ---- the comparison ---- */

static void compare(const Scenario *scenario, uint32_t workload,
                    const Config *config)
{
    static Result result;
    Run run = {
        .scenario = scenario, .config = config, .workload = workload,
    };

    for (uint32_t i = 0; i < (quick ? 1 : SEEDS); i++) {
        run.seed = FIRST_SEED + i;
        run_simulation(&run, &result);
        report_run(stdout, "run", &run, &result);
        progress("run", &run, &result);
    }
}

/* Those of a sweep, AUTO without its sources, and what no device can do. */
typedef struct Contest {
    Config found[FAMILIES], blind[BLIND], unlimited;
} Contest;

static void find(const Scenario *scenario, Contest *contest)
{
    for (uint32_t i = 0; i < FAMILIES; i++) {
        contest->found[i] = best_of(scenario, i);
    }
    for (uint32_t i = 0; i < BLIND; i++) {
        Config *config = &contest->blind[i];

        *config = contest->found[FAMILY_AUTO];
        config->policy.sources &= ~blind[i].without;
        snprintf(config->name, sizeof(config->name), "%s", blind[i].name);
    }
    contest->unlimited = grid_unlimited();
}

static void compare_all(const Scenario *scenario, uint32_t workload,
                        const Contest *contest)
{
    for (uint32_t i = 0; i < FAMILIES; i++) {
        compare(scenario, workload, &contest->found[i]);
    }
    compare(scenario, workload, &contest->unlimited);
}

static void compare_blind(const Scenario *scenario, const Contest *contest)
{
    for (uint32_t i = 0; i < BLIND; i++) {
        compare(scenario, WORKLOAD_MIX, &contest->blind[i]);
    }
}

int main(int argc, char **argv)
{
    static Contest contest;

    quick = argc > 1 && !strcmp(argv[1], "quick");
    prepare();
    report_head(stdout);
    find(&scenarios[SCARCE], &contest);
    compare_all(&scenarios[SCARCE], WORKLOAD_MIX, &contest);
    compare_blind(&scenarios[SCARCE], &contest);
    compare_all(&scenarios[SQUEEZED], WORKLOAD_MIX, &contest);
    compare_blind(&scenarios[SQUEEZED], &contest);
    find(&scenarios[AMPLE], &contest);
    for (uint32_t workload = 0; workload < WORKLOADS; workload++) {
        compare_all(&scenarios[AMPLE], workload, &contest);
    }
    compare_blind(&scenarios[AMPLE], &contest);
    compare_all(&scenarios[FULL], WORKLOAD_MIX, &contest);
    compare_all(&scenarios[SLOW], WORKLOAD_MIX, &contest);
    return 0;
}
