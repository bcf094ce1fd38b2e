/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Patterns of traffic.
 */
#include <stdlib.h>

#include "fake.h"
#include "rng.h"
#include "traffic.h"

#define START_WITHIN    10000u  /* ns: flows do not all begin at once */
#define SERVERS         4u      /* that a client of FABRIC_STORAGE is connected to */

/* Purposes of random numbers. */
enum { RNG_ORDER, RNG_START, RNG_SERVERS };

static void add_flow(Traffic *traffic, uint32_t source, uint32_t target, bool read)
{
    FabricFlow *flow = &traffic->flows[traffic->num_flows];

    *flow = (FabricFlow) {
        .id = traffic->num_flows++, .source = source, .target = target, .read = read,
        .source_end = traffic->ends[source]++, .target_end = traffic->ends[target]++,
    };
}

static void room_for(Traffic *traffic, uint32_t flows)
{
    traffic->flows = fake_must(calloc(flows, sizeof(traffic->flows[0])));
}

/* A single cycle (Sattolo), so that no host sends to itself. */
static void permutation(Traffic *traffic, const FabricOptions *options, uint32_t *order)
{
    Rng rng = rng_make(options->seed, RNG_ORDER);

    room_for(traffic, options->hosts);
    for (uint32_t i = options->hosts - 1; i; i--) {
        uint32_t j = rng_below(&rng, i), old = order[i];

        order[i] = order[j];
        order[j] = old;
    }
    for (uint32_t i = 0; i < options->hosts; i++) {
        add_flow(traffic, i, order[i], false);
    }
}

static void shuffle(uint32_t *order, const FabricOptions *options)
{
    Rng rng = rng_make(options->seed, RNG_ORDER);

    for (uint32_t i = options->hosts - 1; i; i--) {
        uint32_t j = rng_below(&rng, i + 1), old = order[i];

        order[i] = order[j];
        order[j] = old;
    }
}

/* Groups of hosts from all over the tree; those that are left over do nothing. */
static void incast(Traffic *traffic, const FabricOptions *options, uint32_t *order)
{
    uint32_t size = options->fan_in + 1;

    shuffle(order, options);
    room_for(traffic, options->hosts * options->cheat);
    for (uint32_t group = 0; (group + 1) * size <= options->hosts; group++) {
        const uint32_t *hosts = order + group * size;

        for (uint32_t i = 1; i < size; i++) {
            add_flow(traffic, hosts[i], hosts[0], false);
        }
        for (uint32_t i = 1; i < options->cheat; i++) {
            add_flow(traffic, hosts[1], hosts[0], false);
            traffic->flows[traffic->num_flows - 1].cheats = true;
        }
        traffic->flows[traffic->num_flows - size - options->cheat + 2].cheats =
            options->cheat > 1;
    }
}

/* Each client with some servers that follow each other; it writes and reads in turn. */
static void storage(Traffic *traffic, const FabricOptions *options, uint32_t *order)
{
    uint32_t servers = options->hosts / (options->fan_in + 1);
    uint32_t of_client = servers < SERVERS ? servers : SERVERS;

    shuffle(order, options);
    room_for(traffic, (options->hosts - servers) * of_client);
    for (uint32_t i = servers; i < options->hosts; i++) {
        Rng rng = rng_of_node(options->seed, RNG_SERVERS, order[i]);
        uint32_t first = rng_below(&rng, servers);

        for (uint32_t n = 0; n < of_client; n++) {
            add_flow(traffic, order[i], order[(first + n) % servers], (i + n) & 1);
        }
    }
}

static void (*const patterns[])(Traffic *traffic, const FabricOptions *options,
                                uint32_t *order) = {
    [FABRIC_PERMUTATION] = permutation,
    [FABRIC_INCAST] = incast,
    [FABRIC_STORAGE] = storage,
};

void traffic_make(Traffic *traffic, const FabricOptions *options)
{
    uint32_t *order = fake_must(calloc(options->hosts, sizeof(order[0])));
    uint64_t messages;

    traffic->ends = fake_must(calloc(options->hosts, sizeof(traffic->ends[0])));
    traffic->packets = (options->message + (1u << options->log_mtu) - 1) >> options->log_mtu;
    for (uint32_t i = 0; i < options->hosts; i++) {
        order[i] = i;
    }
    patterns[options->pattern](traffic, options, order);
    free(order);
    messages = options->packets / traffic->packets / traffic->num_flows;
    messages += messages * traffic->packets * traffic->num_flows < options->packets;
    for (uint32_t i = 0; i < traffic->num_flows; i++) {
        Rng rng = rng_of_node(options->seed, RNG_START, i);

        traffic->flows[i].messages = options->endless ? UINT32_MAX : messages;
        traffic->flows[i].start = 1 + rng_below(&rng, START_WITHIN);
    }
}

void traffic_free(Traffic *traffic)
{
    free(traffic->flows);
    free(traffic->ends);
}
