/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How requests that meet absent pages fare, by the way of handling them: CSV on
 * standard output, progress on standard error.
 *
 *   virtual_time [quick]
 *
 * Of each way the best of as many settings is looked for on the mix of
 * workloads, with seeds of their own, and then runs with other seeds: all
 * workloads in the surroundings that it was found in, the mix in others.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "virtual.h"

#define SWEEP_SEEDS     2
#define SEEDS           5
#define FIRST_SEED      101     /* those of the sweep begin at 1 */

/* Surroundings; the first is the one that settings are found in. */
static Scenario scenarios[] = {
    { .name = "main", .fault_buffer = 4u << 20, .spares = SVAN_MAX_SPARES,
      .resident_ppm = 600000, .disk_ppm = 5000, .load_ppm = 900000 },
    { .name = "calm", .fault_buffer = 4u << 20, .spares = SVAN_MAX_SPARES,
      .resident_ppm = 600000, .disk_ppm = 5000, .load_ppm = 600000 },
    { .name = "full", .fault_buffer = 4u << 20, .spares = SVAN_MAX_SPARES,
      .resident_ppm = 600000, .disk_ppm = 5000, .load_ppm = 970000 },
    { .name = "small", .fault_buffer = 256u << 10, .spares = 64,
      .resident_ppm = 600000, .disk_ppm = 5000, .load_ppm = 900000 },
    { .name = "slow", .fault_buffer = 4u << 20, .spares = SVAN_MAX_SPARES,
      .resident_ppm = 600000, .disk_ppm = 15000, .load_ppm = 900000 },
};

#define SCENARIOS       (sizeof(scenarios) / sizeof(scenarios[0]))

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
        scenarios[i].length = quick ? 3 * MS : 30 * MS;
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
static double score(const Config *config)
{
    static Result all, result;
    Run run = {
        .scenario = &scenarios[0], .config = config, .workload = WORKLOAD_MIX,
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

static Config best_of(Family family)
{
    Config best = grid_config(family, 0);
    double best_score = 0;

    for (uint32_t i = 0; i < (quick ? 1 : GRID_SIZE); i++) {
        Config config = grid_config(family, i);
        double this_score = score(&config);

        if (this_score > best_score) {
            best_score = this_score;
            best = config;
        }
    }
    report_policy(stdout, family_names[family], &best);
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

static void compare_all(const Config *configs, uint32_t count)
{
    const Config unlimited = grid_unlimited();

    for (uint32_t workload = 0; workload < WORKLOADS; workload++) {
        uint32_t n = workload == WORKLOAD_MIX ? count : FAMILIES;

        for (uint32_t i = 0; i < n; i++) {
            compare(&scenarios[0], workload, &configs[i]);
        }
        compare(&scenarios[0], workload, &unlimited);
    }
    for (uint32_t s = 1; s < SCENARIOS; s++) {
        for (uint32_t i = 0; i < FAMILIES; i++) {
            compare(&scenarios[s], WORKLOAD_MIX, &configs[i]);
        }
        compare(&scenarios[s], WORKLOAD_MIX, &unlimited);
    }
}

int main(int argc, char **argv)
{
    Config configs[FAMILIES + BLIND];

    quick = argc > 1 && !strcmp(argv[1], "quick");
    prepare();
    report_head(stdout);
    for (uint32_t i = 0; i < FAMILIES; i++) {
        configs[i] = best_of(i);
    }
    for (uint32_t i = 0; i < BLIND; i++) {
        Config *config = &configs[FAMILIES + i];

        *config = configs[FAMILY_AUTO];
        config->policy.sources &= ~blind[i].without;
        snprintf(config->name, sizeof(config->name), "%s", blind[i].name);
    }
    compare_all(configs, FAMILIES + BLIND);
    return 0;
}
