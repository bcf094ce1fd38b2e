/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who sends to whom. Every rank makes all flows, from the options alone, and does what
 * its own hosts have to do.
 */
#ifndef FABRIC_TRAFFIC_H
#define FABRIC_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/*
 * A reliable connection, and what goes over it: the source posts work requests, `depth`
 * at a time, and waits for their completions.
 */
typedef struct FabricFlow {
    uint32_t id;
    uint32_t source, target;    /* hosts */
    uint32_t source_end, target_end;    /* index of the queue pair at each */
    bool cheats;                /* its source has more than one to the same target */
    bool read;                  /* the source reads: data come from the target */
    bool failed;                /* a work request has */
    uint32_t messages;          /* work requests */
    uint32_t posted, done;
    uint64_t start, end;        /* ns; end is 0 until the last one has completed */
} FabricFlow;

typedef struct Traffic {
    FabricFlow *flows;
    uint32_t num_flows;
    uint32_t *ends;             /* queue pairs of each host */
    uint32_t packets;           /* data packets of a message */
} Traffic;

void traffic_make(Traffic *traffic, const FabricOptions *options);
void traffic_free(Traffic *traffic);

#endif /* FABRIC_TRAFFIC_H */
