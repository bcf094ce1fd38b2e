/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page faults in virtual time: two device cores joined by a link, thousands of
 * connections from one to the other, whose targets are pages that come and go.
 * All times are nanoseconds of the simulation unless a name says otherwise, and
 * everything random comes from the seed.
 */
#ifndef VIRTUAL_H
#define VIRTUAL_H

#include <stdio.h>

#include <svan/faults.h>

#include "host.h"
#include "world.h"

#define US              1000ull
#define MS              1000000ull
#define NUM_QPS         4096u
#define NODES           2
#define REQUESTER       0
#define RESPONDER       1

/* ---- what is compared ---- */

typedef struct Config {
    char name[32];
    struct svan_fault_policy policy;
    uint8_t min_rnr_timer;      /* code of table 45 */
    uint32_t fault_buffer;      /* bytes; 0: that of the scenario */
} Config;

/* Operations, and what the queue pairs of a workload do. */
typedef enum Op {
    OP_RANDOM,                  /* WRITE of 4 KiB anywhere */
    OP_STREAM,                  /* WRITE of 256 KiB to 1 MiB */
    OP_SEND,                    /* SEND of 4 KiB */
    OP_COUNT,
} Op;

#define WORKLOAD_MIX    OP_COUNT        /* a third of the queue pairs each */
#define WORKLOADS       (OP_COUNT + 1)

extern const char *const op_names[WORKLOADS];

/* The surroundings, the same for all configurations. */
typedef struct Scenario {
    const char *name;
    uint32_t fault_buffer;      /* bytes */
    uint32_t spares;            /* pages */
    uint32_t resident_ppm;      /* of the pages */
    uint32_t disk_ppm;          /* of the pages: on the slow disk */
    uint32_t load_ppm;          /* of the link, without faults; 0: no think time */
    uint64_t warm_up, length;
} Scenario;

/* ---- results ---- */

#define HIST_SUB_LOG    4               /* buckets of an octave: 16 */
#define HIST_BUCKETS    (40 << HIST_SUB_LOG)

typedef struct Hist {
    uint64_t count, sum, max;
    uint32_t buckets[HIST_BUCKETS];
} Hist;

void hist_add(Hist *hist, uint64_t ns);
void hist_merge(Hist *hist, const Hist *from);
uint64_t hist_quantile(const Hist *hist, double q);

#define SAMPLES         64

#define COUNTERS(X) \
    X(page_faults) X(page_faults_again) X(page_requests) \
    X(fault_hold) X(fault_rnr) X(fault_divert) X(fault_drop) X(fault_fallback) \
    X(fault_held_bytes) X(fault_diverted_bytes) X(fault_dropped_bytes) \
    X(rnr_nak_sent) X(duplicate_request)

/* of the requester */
#define REQ_COUNTERS(X) \
    X(retransmits) X(local_ack_timeout_err) X(packet_seq_err) \
    X(req_cqe_error) X(port_tx_bytes)

typedef struct Result {
    Hist ops[OP_COUNT];
    uint64_t bytes;             /* of operations that completed */
    uint64_t samples[SAMPLES];  /* bytes, by time */
    uint64_t span;              /* ns of the measurement */
    uint64_t held_peak;
#define COUNTER(name) uint64_t name;
    COUNTERS(COUNTER)
    REQ_COUNTERS(COUNTER)
#undef COUNTER
} Result;

typedef struct Run {
    const Scenario *scenario;
    const Config *config;
    uint32_t workload;
    uint64_t seed;
} Run;

void run_simulation(const Run *run, Result *result);

/* ---- run.c ---- */

typedef struct Pager Pager;
typedef struct Load Load;

/* What a run has: the world, and the software on its two machines. */
typedef struct Trial {
    const Run *run;
    WorldModel model;
    World *world;
    Host *hosts[NODES];
    Pager *pager;
    Load *load;
} Trial;

/* ---- pager.c ---- */

Pager *pager_create(Trial *trial);
void pager_destroy(Pager *pager);
/* New requests are taken up. */
void pager_look(Trial *trial);
uint32_t pager_key(const Pager *pager);
/* Address of `pages` pages in a row, at random. */
uint64_t pager_draw(Pager *pager, Rng *rng, uint32_t pages);

/* ---- load.c ---- */

Load *load_create(Trial *trial);
void load_destroy(Load *load);
/* Completions are taken. */
void load_look(Trial *trial);
/* From now on operations that complete count. */
void load_measure(Trial *trial, Result *result);

/* ---- grid.c ---- */

typedef enum Family {
    FAMILY_HOLD, FAMILY_RNR, FAMILY_DIVERT, FAMILY_DROP, FAMILY_AUTO, FAMILIES
} Family;

#define GRID_SIZE       16

extern const char *const family_names[FAMILIES];
/* One of the GRID_SIZE settings of a family. */
Config grid_config(Family family, uint32_t index);
/* What no device can have: whatever meets an absent page is held. */
Config grid_unlimited(void);

/* ---- report.c ---- */

void report_head(FILE *out);
void report_run(FILE *out, const char *phase, const Run *run,
                const Result *result);
void report_policy(FILE *out, const Scenario *scenario, const char *family,
                   const Config *config);
/* Operations, bytes and time of several runs; no counters. */
void result_add(Result *result, const Result *from);
uint64_t result_quantile(const Result *result, double q);
double result_gbps(const Result *result);

#endif /* VIRTUAL_H */
