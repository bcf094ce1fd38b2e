/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Results.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "report.h"

/* What another rank tells of a flow of its hosts. */
typedef struct FlowRecord {
    uint64_t end;
    uint32_t id, done, failed, unused;
} FlowRecord;

static const char *const link_names[REPORT_LINKS] = {
    "host-edge", "edge-aggregation", "aggregation-core",
    "core-aggregation", "aggregation-edge", "edge-host",
};

/* ---- one rank's ---- */

static void add_link(ReportLinks *links, const NetLink *link)
{
    links->links++;
    links->longest = link->longest > links->longest ? link->longest : links->longest;
#define ADD(name) links->counts.name += link->counts.name;
    NET_LINK_COUNTS(ADD)
#undef ADD
}

static uint64_t link_digest(uint64_t digest, const NetLink *link)
{
#define FOLD(name) digest = digest_fold(digest, link->counts.name);
    NET_LINK_COUNTS(FOLD)
#undef FOLD
    return digest_fold(digest, link->longest);
}

static void add_counts(FabricCounts *to, const FabricCounts *from)
{
#define ADD(name) to->name += from->name;
    FABRIC_COUNTS(ADD)
#undef ADD
}

static void add_host(Report *report, FabricHost *host)
{
    uint64_t digest = digest_fold(host->node.id, host->digest);
    SvanStats stats;

    svan_stats(host->fake->core, 0, &stats);
    host->counts.retransmits = stats.retransmits;
    host->counts.cnps = stats.cnps_sent;
    add_counts(&report->hosts, &host->counts);
    add_link(&report->links[0], &host->out);
#define FOLD(name) digest = digest_fold(digest, host->counts.name);
    FABRIC_COUNTS(FOLD)
#undef FOLD
    report->digest += link_digest(digest, &host->out);
}

static uint32_t direction(const FabricSwitch *sw, uint32_t port)
{
    return port >= sw->place.down ? 1 + sw->place.tier : 5 - sw->place.tier;
}

static void add_switch(Report *report, const FabricSwitch *sw)
{
    uint64_t digest = digest_fold(sw->node.id, sw->strays);

    report->strays += sw->strays;
    for (uint32_t i = 0; i < sw->place.down + sw->place.up; i++) {
        if (sw->ports[i].to_node != UINT32_MAX) {
            add_link(&report->links[direction(sw, i)], &sw->ports[i]);
            digest = link_digest(digest, &sw->ports[i]);
        }
    }
    report->digest += digest;
}

static uint64_t flow_digest(const FabricFlow *flow)
{
    uint64_t digest = digest_fold(UINT64_MAX - flow->id, flow->end);

    return digest_fold(digest, (uint64_t)flow->done << 1 | flow->failed);
}

static void own(Report *report, Fabric *fabric)
{
    struct rusage usage;

    *report = (Report) { .checked = fabric->payload.checked, .wrong = fabric->payload.wrong };
    for (uint32_t i = 0; i < fabric->tree.hosts; i++) {
        if (fabric->hosts[i]) {
            add_host(report, fabric->hosts[i]);
        }
    }
    for (uint32_t i = 0; i < fabric->tree.switches; i++) {
        if (fabric->switches[i]) {
            add_switch(report, fabric->switches[i]);
        }
    }
    getrusage(RUSAGE_SELF, &usage);
    report->memory = usage.ru_maxrss * 1024ull;
}

/* ---- all ranks' ---- */

static void tell_flows(Fabric *fabric)
{
    for (uint32_t i = 0; i < fabric->traffic.num_flows; i++) {
        const FabricFlow *flow = &fabric->traffic.flows[i];

        if (fabric->hosts[flow->source]) {
            FlowRecord *record = ranks_out(fabric->ranks, 0, sizeof(*record));

            *record = (FlowRecord) {
                .end = flow->end, .id = flow->id, .done = flow->done, .failed = flow->failed,
            };
        }
    }
}

static void hear_flows(Fabric *fabric)
{
    const RanksBuffer *in = &fabric->ranks->in;

    for (size_t at = 0; at < in->len; at += sizeof(FlowRecord)) {
        const FlowRecord *record = (const FlowRecord *)(in->data + at);
        FabricFlow *flow = &fabric->traffic.flows[record->id];

        flow->end = record->end;
        flow->done = record->done;
        flow->failed = record->failed;
    }
}

static void add_report(Report *to, const Report *from)
{
    to->digest += from->digest;
    to->checked += from->checked;
    to->wrong += from->wrong;
    to->strays += from->strays;
    to->memory += from->memory;
    add_counts(&to->hosts, &from->hosts);
    for (uint32_t i = 0; i < REPORT_LINKS; i++) {
        ReportLinks *links = &to->links[i];
        const ReportLinks *more = &from->links[i];

        links->links += more->links;
        links->longest = more->longest > links->longest ? more->longest : links->longest;
#define ADD(name) links->counts.name += more->counts.name;
        NET_LINK_COUNTS(ADD)
#undef ADD
    }
}

static void add_flows(Report *report, const Fabric *fabric)
{
    for (uint32_t i = 0; i < fabric->traffic.num_flows; i++) {
        const FabricFlow *flow = &fabric->traffic.flows[i];

        report->digest += flow_digest(flow);
        report->done += flow->end && !flow->failed;
        report->failed += flow->failed;
        report->time = flow->end > report->time ? flow->end : report->time;
        report->wanted += (uint64_t)flow->messages * fabric->traffic.packets;
    }
}

void report_make(Report *report, Fabric *fabric)
{
    Report mine, *all = fake_must(calloc(fabric->ranks->count, sizeof(*all)));
    uint8_t nothing[RANKS_MAX];

    own(&mine, fabric);
    ranks_share(fabric->ranks, &mine, sizeof(mine), all);
    *report = (Report) { .digest = 0 };
    for (uint32_t i = 0; i < fabric->ranks->count; i++) {
        add_report(report, &all[i]);
    }
    free(all);
    tell_flows(fabric);
    ranks_exchange(fabric->ranks, nothing, 0, nothing);
    hear_flows(fabric);
    add_flows(report, fabric);
}

const char *report_fault(const Report *report, const Fabric *fabric)
{
    if (report->wrong) {
        return "payload arrived that is not what was sent";
    }
    if (report->strays) {
        return "frames went astray";
    }
    if (report->failed) {
        return "a flow has failed: its queue pair gave up";
    }
    if (fabric->options->endless) {
        return report->hosts.delivered ? NULL : "nothing was delivered";
    }
    if (report->done != fabric->traffic.num_flows) {
        return "flows have not ended: more time is needed (--until)";
    }
    return report->hosts.delivered == report->wanted ? NULL :
           "not as many packets were delivered as were to be sent";
}

/* ---- on paper ---- */

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* How long the flows took that have ended, in order; their number. */
static uint32_t durations(const Fabric *fabric, uint64_t *values)
{
    uint32_t num = 0;

    for (uint32_t i = 0; i < fabric->traffic.num_flows; i++) {
        const FabricFlow *flow = &fabric->traffic.flows[i];

        if (flow->end && !flow->failed) {
            values[num++] = flow->end - flow->start;
        }
    }
    qsort(values, num, sizeof(values[0]), by_value);
    return num;
}

/* Payload of a flow by time, bit/s. */
static uint64_t rate(const Fabric *fabric, const FabricFlow *flow)
{
    unsigned __int128 bits = (unsigned __int128)flow->done * fabric->options->message * 8;
    uint64_t end = flow->end ? flow->end : fabric->options->until;

    return end > flow->start ? bits * 1000000000 / (end - flow->start) : 0;
}

/* Hosts that send requests. */
typedef struct Sources {
    uint64_t *rates;            /* of each host, bit/s; 0: it is none */
    bool *cheats;
    uint32_t honest, cheating;
    uint64_t honest_rate, cheating_rate;        /* the mean */
    uint64_t fairness;          /* Jain's index, ppm */
} Sources;

static void add_source(Sources *sources, uint64_t rate, bool cheats)
{
    if (!rate) {
        return;
    }
    sources->honest += !cheats;
    sources->cheating += cheats;
    *(cheats ? &sources->cheating_rate : &sources->honest_rate) += rate;
}

static uint64_t mean(uint64_t sum, uint32_t count)
{
    return count ? sum / count : 0;
}

static Sources sources_of(const Fabric *fabric)
{
    uint32_t hosts = fabric->tree.hosts, num;
    Sources sources = {
        .rates = fake_must(calloc(hosts, sizeof(sources.rates[0]))),
        .cheats = fake_must(calloc(hosts, sizeof(sources.cheats[0]))),
    };
    unsigned __int128 sum = 0, squares = 0;

    for (uint32_t i = 0; i < fabric->traffic.num_flows; i++) {
        const FabricFlow *flow = &fabric->traffic.flows[i];

        sources.rates[flow->source] += rate(fabric, flow);
        sources.cheats[flow->source] |= flow->cheats;
    }
    for (uint32_t i = 0; i < hosts; i++) {
        uint64_t x = sources.rates[i] / 1000;

        add_source(&sources, sources.rates[i], sources.cheats[i]);
        sum += x;
        squares += (unsigned __int128)x * x;
    }
    num = sources.honest + sources.cheating;
    sources.fairness = squares ? sum * sum / num / (squares / 1000000 + 1) : 0;
    sources.honest_rate = mean(sources.honest_rate, sources.honest);
    sources.cheating_rate = mean(sources.cheating_rate, sources.cheating);
    free(sources.rates);
    free(sources.cheats);
    return sources;
}

static void print_sources(const Fabric *fabric, FILE *file)
{
    Sources sources = sources_of(fabric);

    fprintf(file, "  \"sources\": {\"honest\": %u, \"honest_bit_s\": %" PRIu64
            ", \"cheating\": %u, \"cheating_bit_s\": %" PRIu64 ", \"fairness_ppm\": %"
            PRIu64 "},\n", sources.honest, sources.honest_rate, sources.cheating,
            sources.cheating_rate, sources.fairness);
}

static void print_links(const Report *report, FILE *file)
{
    fprintf(file, "  \"links\": {");
    for (uint32_t i = 0; i < REPORT_LINKS; i++) {
        const ReportLinks *links = &report->links[i];

        fprintf(file, "%s\n    \"%s\": {\"links\": %" PRIu64 ", \"longest\": %" PRIu64,
                i ? "," : "", link_names[i], links->links, links->longest);
#define PRINT(name) fprintf(file, ", \"" #name "\": %" PRIu64, links->counts.name);
        NET_LINK_COUNTS(PRINT)
#undef PRINT
        fprintf(file, "}");
    }
    fprintf(file, "\n  },\n");
}

static void print_options(const Fabric *fabric, FILE *file)
{
    const FabricOptions *options = fabric->options;
    const NetLinkModel *link = &options->link;

    fprintf(file, "  \"options\": {\"hosts\": %u, \"pattern\": \"%s\", \"fan_in\": %u, "
            "\"packets\": %" PRIu64 ", \"mtu\": %u,\n    \"message\": %u, \"depth\": %u, "
            "\"rate\": %" PRIu64 ", \"delay\": %" PRIu64 ", \"overhead\": %u, \"queue\": %u,\n"
            "    \"marking\": %u, \"kmin\": %u, \"kmax\": %u, \"pmax\": %u, \"buffer\": %" PRIu64
            ",\n    \"cheat\": %u, \"dcqcn\": %d, \"enforce\": %d, \"timeout\": %u, "
            "\"seed\": %" PRIu64 "},\n",
            options->hosts, fabric_patterns[options->pattern], options->fan_in,
            options->packets, 1u << options->log_mtu, options->message, options->depth,
            link->rate, link->delay, link->overhead, link->queue, link->marking, link->kmin,
            link->kmax, link->pmax, options->buffer, options->cheat, options->dcqcn,
            options->enforce, options->timeout, options->seed);
}

void report_json(const Report *report, const Fabric *fabric, FILE *file)
{
    uint32_t num_flows = fabric->traffic.num_flows;
    uint64_t *values = fake_must(calloc(num_flows, sizeof(values[0])));
    uint32_t num = durations(fabric, values);

    fprintf(file, "{\n");
    print_options(fabric, file);
    fprintf(file, "  \"tree\": {\"ports\": %u, \"pods\": %u, \"switches\": %u},\n",
            2 * fabric->tree.half, fabric->tree.pods, fabric->tree.switches);
    fprintf(file, "  \"time_ns\": %" PRIu64 ",\n  \"flows\": %u, \"done\": %" PRIu64
            ", \"failed\": %" PRIu64 ",\n", report->time, num_flows, report->done,
            report->failed);
    fprintf(file, "  \"flow_ns\": {\"least\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p99\": %"
            PRIu64 ", \"most\": %" PRIu64 "},\n", num ? values[0] : 0,
            num ? values[num / 2] : 0, num ? values[num * 99ull / 100] : 0,
            num ? values[num - 1] : 0);
    print_sources(fabric, file);
    fprintf(file, "  \"payload\": {\"checked\": %" PRIu64 ", \"wrong\": %" PRIu64 "},\n",
            report->checked, report->wrong);
    fprintf(file, "  \"hosts\": {\"strays\": %" PRIu64, report->strays);
#define PRINT(name) fprintf(file, ", \"" #name "\": %" PRIu64, report->hosts.name);
    FABRIC_COUNTS(PRINT)
#undef PRINT
    fprintf(file, "},\n");
    print_links(report, file);
    fprintf(file, "  \"digest\": \"%016" PRIx64 "\"\n}\n", report->digest);
    free(values);
}

void report_flows(const Fabric *fabric, FILE *file)
{
    fprintf(file, "flow,source,target,operation,messages,start_ns,end_ns,bit_s,failed\n");
    for (uint32_t i = 0; i < fabric->traffic.num_flows; i++) {
        const FabricFlow *flow = &fabric->traffic.flows[i];

        fprintf(file, "%u,%u,%u,%s,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%d\n", flow->id,
                flow->source, flow->target, flow->read ? "read" : "write", flow->done,
                flow->start, flow->end, rate(fabric, flow), flow->failed);
    }
}
