/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What translate.c, which has the checks and the TLB, and the walkers share.
 */
#ifndef SVAN_TRANSLATE_H
#define SVAN_TRANSLATE_H

#include "memory/memory.h"

/* An access that is walked for. It has passed the checks of rights and bounds. */
typedef struct SvanWalk {
    SvanFn *fn;                 /* the key's */
    SvanKey *key;
    uint64_t va;                /* address in the key's table */
    uint32_t len;               /* > 0 */
    bool write;
} SvanWalk;

/* What a walker finds. */
typedef struct SvanLeaf {
    uint64_t bus;               /* of the page that holds va */
    bool writable;              /* the TLB entry may serve stores */
} SvanLeaf;

/* DONE: *leaf is set. AGAIN, MISS, FAULT or ERROR (*syndrome), as svan_access(). */
typedef SvanStep SvanWalker(const SvanWalk *walk, SvanLeaf *leaf,
                            uint32_t *syndrome);

SvanWalker svan_context_walk;           /* of process keys; walk_process.c */

/*
 * Note a page miss in fn->memory->miss, and answer FAULT. `entry` is what the table
 * holds for the page; is_protected: it is present, but does not allow the access. The
 * estimate is added by svan_page_miss_estimate(), from a word in the form of an absent
 * translation entry (keys.h).
 */
SvanStep svan_page_miss(const SvanWalk *walk, uint64_t entry, uint8_t level,
                     bool is_protected);
void svan_page_miss_estimate(SvanFn *fn, uint64_t word, uint8_t source);

/*
 * Does an injection apply to the access? If so, fn->memory->miss is set, and the caller
 * answers FAULT. fn->injections must not be NULL.
 */
bool svan_inject_applies(const SvanWalk *walk);

/*
 * svan_tlb_drop() drops pages [first, first + count) of what the TLB holds under a
 * serial. It looks for each of them, so for more pages than SVAN_TLB_PROBES a new
 * serial, which drops everything, is cheaper.
 */
#define SVAN_TLB_PROBES 64

void svan_tlb_drop(SvanFn *fn, uint64_t serial, uint64_t first,
                   uint32_t count);
/* The same for the process of a PASID, and for any number of pages. */
void svan_context_drop(SvanFn *fn, uint32_t pasid, uint64_t first,
                       uint64_t count);

#endif /* SVAN_TRANSLATE_H */
