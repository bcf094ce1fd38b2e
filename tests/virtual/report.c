/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CSV: one row for each value, so that a reader needs no more than the columns
 * phase, scenario, workload, config, seed, what, key, value.
 */
#include <inttypes.h>
#include <stdio.h>

#include "virtual.h"

const char *const op_names[WORKLOADS] = {
    [OP_RANDOM] = "random", [OP_STREAM] = "stream", [OP_SEND] = "send",
    [WORKLOAD_MIX] = "mix",
};

static const double quantiles[] = {
    0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95,
    0.97, 0.98, 0.99, 0.993, 0.995, 0.997, 0.999, 0.9995, 0.9999,
};

static Hist all_ops(const Result *result)
{
    Hist all = { 0 };

    for (uint32_t op = 0; op < OP_COUNT; op++) {
        hist_merge(&all, &result->ops[op]);
    }
    return all;
}

uint64_t result_quantile(const Result *result, double q)
{
    Hist all = all_ops(result);

    return hist_quantile(&all, q);
}

void result_add(Result *result, const Result *from)
{
    for (uint32_t op = 0; op < OP_COUNT; op++) {
        hist_merge(&result->ops[op], &from->ops[op]);
    }
    result->bytes += from->bytes;
    result->span += from->span;
}

double result_gbps(const Result *result)
{
    return result->bytes * 8.0 / result->span;
}

void report_head(FILE *out)
{
    fprintf(out, "phase,scenario,workload,config,seed,what,key,value\n");
}

/* What the sweep has found; the setting's name is in the column what. */
void report_policy(FILE *out, const Scenario *scenario, const char *family,
                   const Config *config)
{
    const struct svan_fault_policy *policy = &config->policy;
    const struct {
        const char *name;
        uint32_t value;
    } fields[] = {
        { "hold_max_us", le32toh(policy->hold_max_us) },
        { "divert_max_us", le32toh(policy->divert_max_us) },
        { "drop_max_us", le32toh(policy->drop_max_us) },
        { "bound_us", le32toh(policy->bound_us) },
        { "unknown_us", le32toh(policy->unknown_us) },
        { "hold_bytes", le32toh(policy->hold_bytes) },
        { "divert_pages", le32toh(policy->divert_pages) },
    };

    for (uint32_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        fprintf(out, "found,%s,mix,%s,,%s,%s,%u\n", scenario->name, family,
                config->name, fields[i].name, fields[i].value);
    }
}

typedef struct Row {
    FILE *out;
    const char *phase;
    const Run *run;
} Row;

static void row(const Row *row, const char *what, const char *key, double value)
{
    fprintf(row->out, "%s,%s,%s,%s,%" PRIu64 ",%s,%s,%.10g\n", row->phase,
            row->run->scenario->name, op_names[row->run->workload],
            row->run->config->name, row->run->seed, what, key, value);
}

static void report_hist(const Row *at, const char *what, const Hist *hist)
{
    char key[16];

    for (uint32_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        snprintf(key, sizeof(key), "%g", quantiles[i]);
        row(at, what, key, hist_quantile(hist, quantiles[i]) / 1e3);
    }
    row(at, what, "max", hist->max / 1e3);
    row(at, what, "mean", hist->count ? hist->sum / 1e3 / hist->count : 0);
    row(at, what, "count", hist->count);
}

static void report_counters(const Row *at, const Result *result)
{
#define COUNTER(name) row(at, "count", #name, result->name);
    COUNTERS(COUNTER)
    REQ_COUNTERS(COUNTER)
#undef COUNTER
    row(at, "count", "held_peak", result->held_peak);
}

static void report_samples(const Row *at, const Result *result)
{
    double span = (double)result->span / SAMPLES;
    char key[16];

    for (uint32_t i = 0; i < SAMPLES; i++) {
        snprintf(key, sizeof(key), "%g", i * span / 1e6);
        row(at, "gbps", key, result->samples[i] * 8 / span);
    }
}

void report_run(FILE *out, const char *phase, const Run *run,
                const Result *result)
{
    Row at = { out, phase, run };
    Hist all = all_ops(result);

    row(&at, "goodput", "gbps", result_gbps(result));
    report_hist(&at, "us", &all);
    if (run->workload == WORKLOAD_MIX) {
        for (uint32_t op = 0; op < OP_COUNT; op++) {
            char what[16];

            snprintf(what, sizeof(what), "us_%s", op_names[op]);
            report_hist(&at, what, &result->ops[op]);
        }
    }
    report_counters(&at, result);
    report_samples(&at, result);
}
