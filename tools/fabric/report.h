/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What came of a run, the same for any number of ranks, and what the run has cost.
 */
#ifndef FABRIC_REPORT_H
#define FABRIC_REPORT_H

#include <stdio.h>

#include "fabric.h"

/* Directions of links, from the sending host to the receiving one. */
enum { REPORT_LINKS = 6 };

typedef struct ReportLinks {
    uint64_t links, longest;    /* octets of the longest queue there was */
    NetLinkCounts counts;
} ReportLinks;

typedef struct Report {
    uint64_t digest;            /* of everything */
    uint64_t time;              /* ns: when the last flow ended */
    uint64_t done, failed;      /* flows */
    uint64_t wanted;            /* data packets of all flows */
    uint64_t checked, wrong, strays;
    FabricCounts hosts;
    ReportLinks links[REPORT_LINKS];
    uint64_t memory;            /* octets, of all ranks; not part of the digest */
} Report;

/* All ranks take part; rank 0 has the report, and all flows, afterwards. */
void report_make(Report *report, Fabric *fabric);
void report_json(const Report *report, const Fabric *fabric, FILE *file);
void report_flows(const Fabric *fabric, FILE *file);
/* NULL: everything is as it should be. */
const char *report_fault(const Report *report, const Fabric *fabric);

#endif /* FABRIC_REPORT_H */
