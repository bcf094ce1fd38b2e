/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svan-fabric: see Documentation/testing/fabric.rst.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

#define PROGRESS        2000000000ull   /* ns between two lines */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void progress(const Fabric *fabric, uint64_t began)
{
    const FabricState *all = &fabric->all;
    uint64_t passed = clock_ns(CLOCK_MONOTONIC) - began;

    fprintf(stderr, "svan-fabric: %4" PRIu64 " s: at %" PRIu64 " us, %" PRIu64 " of %"
            PRIu64 " packets, %" PRIu64 " of %u flows\n", passed / 1000000000,
            fabric->schedule.now / 1000, all->delivered, fabric->options->packets, all->done,
            fabric->traffic.num_flows);
}

static void run(Fabric *fabric)
{
    bool tells = !fabric->options->quiet && !fabric->ranks->rank;
    uint64_t began = clock_ns(CLOCK_MONOTONIC), told = began;

    for (uint32_t n = 0; fabric_step(fabric); n++) {
        if (tells && n % 16 == 0 && clock_ns(CLOCK_MONOTONIC) - told > PROGRESS) {
            told = clock_ns(CLOCK_MONOTONIC);
            progress(fabric, began);
        }
    }
}

static FILE *open_file(const char *path)
{
    FILE *file = strcmp(path, "-") ? fopen(path, "w") : stdout;

    if (!file) {
        fprintf(stderr, "svan-fabric: %s cannot be written: %m\n", path);
    }
    return file;
}

static bool close_file(FILE *file, const char *path)
{
    bool bad = ferror(file);

    bad |= (file == stdout ? fflush(file) : fclose(file)) != 0;
    if (bad) {
        fprintf(stderr, "svan-fabric: %s was not written: %m\n", path);
    }
    return !bad;
}

/* What a run has taken. */
typedef struct Cost {
    uint64_t setup;             /* ns, until everything is made */
    uint64_t wall, cpu;         /* ns, from then on; cpu of all ranks */
} Cost;

static bool write_cost(const Cost *cost, const Report *report, const Fabric *fabric)
{
    FILE *file = open_file(fabric->options->cost);

    if (!file) {
        return false;
    }
    fprintf(file, "{\"hosts\": %u, \"ranks\": %u, \"delivered\": %" PRIu64 ", \"events\": %"
            PRIu64 ", \"setup_ns\": %" PRIu64 ", \"wall_ns\": %" PRIu64 ", \"cpu_ns\": %"
            PRIu64 ", \"memory\": %" PRIu64 "}\n", fabric->tree.hosts, fabric->ranks->count,
            report->hosts.delivered, fabric->all.events, cost->setup, cost->wall, cost->cpu,
            report->memory);
    return close_file(file, fabric->options->cost);
}

static bool write_all(const Cost *cost, const Report *report, const Fabric *fabric)
{
    const FabricOptions *options = fabric->options;
    FILE *file;

    if (options->json) {
        file = open_file(options->json);
        if (!file) {
            return false;
        }
        report_json(report, fabric, file);
        if (!close_file(file, options->json)) {
            return false;
        }
    }
    if (options->flows) {
        file = open_file(options->flows);
        if (!file) {
            return false;
        }
        report_flows(fabric, file);
        if (!close_file(file, options->flows)) {
            return false;
        }
    }
    return !options->cost || write_cost(cost, report, fabric);
}

/* The line that says whether all went well. */
static void verdict(const Cost *cost, const Report *report, const Fabric *fabric)
{
    const char *fault = report_fault(report, fabric);
    uint64_t packets = report->hosts.delivered ? report->hosts.delivered : 1;

    fprintf(stderr, "svan-fabric: %s: %u hosts, %" PRIu64 " data packets of %u octets in %"
            PRIu64 ".%02" PRIu64 " s (%" PRIu64 " ns of a core for each, %" PRIu64
            ".%" PRIu64 " events), %" PRIu64 " MiB, digest %016" PRIx64 "%s%s\n",
            fault ? "FAILED" : "ok", fabric->tree.hosts, report->hosts.delivered,
            1u << fabric->options->log_mtu, cost->wall / 1000000000,
            cost->wall / 10000000 % 100, cost->cpu / packets, fabric->all.events / packets,
            fabric->all.events * 10 / packets % 10, report->memory >> 20, report->digest,
            fault ? ": " : "", fault ? fault : "");
}

static int simulate(const FabricOptions *options, Ranks *ranks)
{
    uint64_t cpu[RANKS_MAX], mine, began = clock_ns(CLOCK_MONOTONIC), used;
    Cost cost = { .cpu = 0 };
    bool good = true;
    Report report;
    Fabric *fabric = fabric_new(options, ranks);

    cost.setup = clock_ns(CLOCK_MONOTONIC) - began;
    began = clock_ns(CLOCK_MONOTONIC);
    used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    run(fabric);
    cost.wall = clock_ns(CLOCK_MONOTONIC) - began;
    mine = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - used;
    ranks_share(ranks, &mine, sizeof(mine), cpu);
    for (uint32_t i = 0; i < ranks->count; i++) {
        cost.cpu += cpu[i];
    }
    report_make(&report, fabric);
    if (!ranks->rank) {
        good = write_all(&cost, &report, fabric);
        verdict(&cost, &report, fabric);
        good &= !report_fault(&report, fabric);
    }
    fabric_free(fabric);
    return good ? 0 : 1;
}

/*
 * A large world is spread over so many pages that looking up their addresses takes a fifth
 * of the time. The C library asks for huge pages only if its environment says so when the
 * program starts.
 */
static void ask_for_huge_pages(char **argv)
{
    if (!getenv("GLIBC_TUNABLES") && !setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1)) {
        execv("/proc/self/exe", argv);  /* if it fails there are none */
    }
}

int main(int argc, char **argv)
{
    FabricOptions options;
    Ranks *ranks;
    Error error;
    int status = 0;

    ask_for_huge_pages(argv);
    ranks = ranks_start(&argc, &argv);
    switch (fabric_options(argc, argv, &options, &error)) {
    case FABRIC_RUN:
        status = simulate(&options, ranks);
        break;
    case FABRIC_HELP:
        break;
    default:
        if (!ranks->rank) {
            fprintf(stderr, "svan-fabric: %s\n", error.text);
        }
        status = 2;
    }
    ranks_end(ranks);
    return status;
}
