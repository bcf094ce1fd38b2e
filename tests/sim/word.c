/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Atomics, exactly once: each operand is unique, so the values that were found
 * tell the order of execution. From the first value each step is an operation
 * that found the current value; what no result can tell (its QP failed) may
 * stand in a gap. All known results must be used, and the last value be there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic.h"

void word_init(Word *word, Region *region, OpType kind, Rng *rng)
{
    memset(word, 0, sizeof(*word));
    word->extent = extent_new(region, 8, 8, rng);
    word->kind = kind;
    extent_want(word->extent, (uint8_t *)&word->initial);
    word->initial = le64toh(word->initial);
    word->last = word->initial;
}

void word_fini(Word *word)
{
    free(word->results);
}

void word_choose(Word *word, HostWr *wr, Rng *rng)
{
    wr->swap_add = rng_next(rng) | 1;
    wr->compare = 0;
    if (word->kind == OP_CAS) {
        wr->compare = rng_below(rng, 4) ? word->last : rng_next(rng);
    }
}

void word_result(Word *word, const HostWr *wr, bool known, uint64_t orig)
{
    if (word->num_results == word->capacity) {
        word->capacity = word->capacity ? 2 * word->capacity : 64;
        word->results = realloc(word->results, word->capacity *
                                               sizeof(word->results[0]));
    }
    word->results[word->num_results++] = (AtomicResult) {
        .known = known, .orig = orig, .compare = wr->compare,
        .operand = wr->swap_add,
    };
    if (known) {
        word->last = word->kind == OP_FAA ? orig + wr->swap_add :
                     orig == wr->compare ? wr->swap_add : orig;
    }
}

static uint64_t after(const Word *word, const AtomicResult *result,
                      uint64_t value)
{
    return word->kind == OP_FAA ? value + result->operand :
           value == result->compare ? result->operand : value;
}

/* The known, successful operation that found this value. */
static AtomicResult *find_known(Word *word, uint64_t value)
{
    for (uint32_t i = 0; i < word->num_results; i++) {
        AtomicResult *result = &word->results[i];

        if (result->known && !result->used && result->orig == value &&
            after(word, result, value) != value) {
            return result;
        }
    }
    return NULL;
}

static bool all_used(const Word *word)
{
    for (uint32_t i = 0; i < word->num_results; i++) {
        const AtomicResult *result = &word->results[i];

        if (result->known && !result->used &&
            after(word, result, result->orig) != result->orig) {
            return false;
        }
    }
    return true;
}

/* How many of the unknown ones may stand in one gap. */
#define MAX_GAP         4

static bool follow(Word *word, uint64_t value, uint64_t final, uint32_t gap)
{
    AtomicResult *result = find_known(word, value);
    bool found;

    if (result) {
        result->used = true;
        found = follow(word, after(word, result, value), final, 0);
        result->used = found;
        return found;
    }
    if (value == final && all_used(word)) {
        return true;
    }
    for (uint32_t i = 0; gap < MAX_GAP && i < word->num_results; i++) {
        result = &word->results[i];
        if (!result->known && !result->used &&
            after(word, result, value) != value) {
            result->used = true;
            if (follow(word, after(word, result, value), final, gap + 1)) {
                return true;
            }
            result->used = false;
        }
    }
    return false;
}

void word_check(Word *word, const World *world)
{
    uint64_t final;

    extent_learn(word->extent);
    extent_want(word->extent, (uint8_t *)&final);
    if (!follow(word, word->initial, le64toh(final), 0)) {
        for (uint32_t i = 0; i < word->num_results; i++) {
            const AtomicResult *r = &word->results[i];

            fprintf(stderr, "%s%s found %016" PRIx64 " compare %016" PRIx64
                    " operand %016" PRIx64 "\n", r->known ? "" : "unknown ",
                    r->used ? "used" : "unused", r->orig, r->compare,
                    r->operand);
        }
        world_fail(world, "node %u: no order of the atomics on %" PRIx64
                   " leads from %016" PRIx64 " to %016" PRIx64,
                   word->extent->region->node->id, extent_va(word->extent),
                   word->initial, (uint64_t)le64toh(final));
    }
}
