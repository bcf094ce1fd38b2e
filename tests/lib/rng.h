/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The simulation's random numbers: splitmix64, one stream for each purpose, so
 * that a change in one place leaves the others as they are.
 */
#ifndef TESTS_RNG_H
#define TESTS_RNG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Rng {
    uint64_t state;
} Rng;

static inline uint64_t rng_next(Rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static inline Rng rng_make(uint64_t seed, uint64_t purpose)
{
    Rng rng = { seed * 0xd1342543de82ef95ull + purpose };

    rng_next(&rng);
    return rng;
}

/* One of each node, by hundreds of purposes; any number of nodes. */
static inline Rng rng_of_node(uint64_t seed, uint64_t purpose, uint32_t node)
{
    return rng_make(seed, purpose + node % 100 + ((uint64_t)node / 100 << 32));
}

/* 0 .. n - 1 */
static inline uint64_t rng_below(Rng *rng, uint64_t n)
{
    return n ? rng_next(rng) % n : 0;
}

static inline uint64_t rng_between(Rng *rng, uint64_t low, uint64_t high)
{
    return low + rng_below(rng, high - low + 1);
}

static inline bool rng_ppm(Rng *rng, uint32_t parts_per_million)
{
    return parts_per_million && rng_below(rng, 1000000) < parts_per_million;
}

#endif /* TESTS_RNG_H */
