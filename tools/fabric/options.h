/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is simulated, and how it is asked for.
 */
#ifndef FABRIC_OPTIONS_H
#define FABRIC_OPTIONS_H

#include "settings.h"

#define FABRIC_HOSTS_MAX        16384u
#define FABRIC_MESSAGE_MAX      (1u << 20)
#define FABRIC_DEPTH_MAX        64u

typedef enum FabricPattern {
    FABRIC_PERMUTATION,         /* each host to another one, none to the same */
    FABRIC_INCAST,              /* `fan_in` hosts to one, in each group */
    FABRIC_STORAGE,             /* all others to one host in fan_in + 1, WRITE and READ */
    FABRIC_PATTERNS,
} FabricPattern;

extern const char *const fabric_patterns[FABRIC_PATTERNS];

typedef struct FabricOptions {
    uint32_t hosts;
    FabricPattern pattern;
    uint64_t packets;           /* data packets of all flows, at least */
    uint32_t log_mtu;
    uint32_t message;           /* octets, of one work request */
    uint32_t depth;             /* work requests that a flow has outstanding */
    uint32_t fan_in;
    uint32_t cheat;             /* flows of one source in each group of an incast */
    NetLinkModel link;          /* all of them */
    uint64_t buffer;            /* octets, of a switch */
    bool dcqcn;                 /* the devices control congestion of their own accord */
    bool enforce;               /* ... and police paths, whatever the guests do */
    uint32_t timeout;           /* of a queue pair: 4.096 us times 2^timeout */
    uint64_t seed;
    uint64_t until;             /* ns */
    bool endless;               /* flows go on until then */
    uint32_t check;             /* one packet in so many is compared, octet by octet */
    bool quiet;                 /* no progress */
    const char *json;           /* files; NULL: not written */
    const char *flows;
    const char *cost;
} FabricOptions;

extern const FabricOptions fabric_defaults;

typedef enum FabricAsked {
    FABRIC_RUN,
    FABRIC_HELP,                /* it was printed */
    FABRIC_WRONG,               /* error says why */
} FabricAsked;

FabricAsked fabric_options(int argc, char **argv, FabricOptions *options, Error *error);

#endif /* FABRIC_OPTIONS_H */
