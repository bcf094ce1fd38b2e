/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults that the host injects, for tests: accesses meet pages that are present as if
 * they were absent, for a time and with an outcome of the host's choice. An injection
 * applies to each page once.
 */
#include <stdlib.h>
#include <string.h>

#include "memory/memory.h"
#include "memory/walk.h"

#define MAX_INJECTIONS  16
#define SET_SIZE        65536u  /* pages that an injection remembers */

typedef struct Injection {
    SvanInjection what;
    uint64_t rng;
    uint32_t left;              /* faults that may still be injected */
    uint64_t *met;              /* open-addressed: page number + 1, 0 = free */
    uint32_t num_met;
} Injection;

struct SvanInjections {
    uint32_t count;
    Injection items[MAX_INJECTIONS];
};

/* xorshift64*; the seed must not be zero */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

bool svan_inject(SvanCore *core, uint16_t id, const SvanInjection *what)
{
    SvanFn *fn = svan_fn(core, id);
    Injection *item;

    if (!fn || what->first > what->last || what->chance_ppm > 1000000 ||
        what->fault_class >= SVAN_FAULT_CLASS_COUNT) {
        return false;
    }
    if (!fn->injections) {
        fn->injections = calloc(1, sizeof(*fn->injections));
    }
    if (!fn->injections || fn->injections->count == MAX_INJECTIONS) {
        return false;
    }
    item = &fn->injections->items[fn->injections->count];
    item->met = calloc(SET_SIZE, sizeof(item->met[0]));
    if (!item->met) {
        return false;
    }
    item->what = *what;
    item->left = what->count ? what->count : UINT32_MAX;
    item->rng = what->seed ? what->seed : 1;
    item->num_met = 0;
    fn->injections->count++;
    return true;
}

void svan_inject_nothing(SvanCore *core, uint16_t id)
{
    SvanFn *fn = svan_fn(core, id);

    if (!fn || !fn->injections) {
        return;
    }
    for (uint32_t i = 0; i < fn->injections->count; i++) {
        free(fn->injections->items[i].met);
    }
    free(fn->injections);
    fn->injections = NULL;
}

/* false: an access met the page before, or the set is full. */
static bool meets_first(Injection *item, uint64_t page)
{
    uint32_t at = (page * 0x9e3779b97f4a7c15ull) >> 48;

    while (item->met[at]) {
        if (item->met[at] == page + 1) {
            return false;
        }
        at = (at + 1) % SET_SIZE;
    }
    if (item->num_met == SET_SIZE / 2) {
        return false;
    }
    item->met[at] = page + 1;
    item->num_met++;
    return true;
}

static bool applies(Injection *item, const SvanWalk *walk)
{
    const SvanInjection *what = &item->what;

    return item->left && (!what->key || what->key == walk->key->key) &&
           walk->va >= what->first && walk->va <= what->last &&
           meets_first(item, walk->va / SVAN_PAGE_SIZE) &&
           next_random(&item->rng) % 1000000 < what->chance_ppm;
}

bool svan_inject_applies(const SvanWalk *walk)
{
    SvanFn *fn = walk->fn;
    SvanInjections *all = fn->injections;

    for (uint32_t i = 0; i < all->count; i++) {
        Injection *item = &all->items[i];

        if (applies(item, walk)) {
            item->left--;
            svan_page_miss(walk, 0, 1, false);
            fn->memory->miss.fault_class = item->what.fault_class;
            fn->memory->miss.time_ns = item->what.estimate_ns;
            fn->memory->miss.source = SVAN_ESTIMATE_ENTRY;
            fn->memory->miss.injected = true;
            fn->memory->miss.injected_ns = item->what.delay_ns;
            fn->memory->miss.injected_failure = item->what.failure;
            fn->stats->page_faults_injected++;
            return true;
        }
    }
    return false;
}
