/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between translate.c, which has the checks and the TLB, and the walkers.
 */
#ifndef SVAN_TRANSLATE_H
#define SVAN_TRANSLATE_H

#include "memory/memory.h"

/* What is walked for. The octets lie in the key, which has the right. */
typedef struct SvanWalk {
    SvanFn *fn;                 /* the key's */
    SvanKey *key;
    uint64_t va;                /* as the key's table knows it */
    uint32_t len;               /* > 0 */
    bool write;
} SvanWalk;

/* What a walker finds. */
typedef struct SvanLeaf {
    uint64_t bus;               /* of the page that holds va */
    bool writable;              /* stores need no walk of their own */
} SvanLeaf;

/* DONE; AGAIN, MISS, FAULT or ERROR (*syndrome), as svan_access(). */
typedef SvanStep SvanWalker(const SvanWalk *walk, SvanLeaf *leaf,
                            uint32_t *syndrome);

SvanWalker svan_context_walk;           /* of process keys; walk_process.c */

/*
 * FAULT: fn->memory->miss tells of the entry, which is present if is_protected. What
 * it estimates is added by svan_page_miss_estimate(), from a word in the form of an
 * absent translation entry.
 */
SvanStep svan_page_miss(const SvanWalk *walk, uint64_t entry, uint8_t level,
                     bool is_protected);
void svan_page_miss_estimate(SvanFn *fn, uint64_t word, uint8_t source);

/* FAULT is to be met here, fn->memory->miss says which; fn->injections is not NULL. */
bool svan_inject_applies(const SvanWalk *walk);

/*
 * Drop pages [first, first + count) of what the TLB holds under a serial; of more
 * pages than these nobody looks for each, a new serial is cheaper.
 */
#define SVAN_TLB_PROBES 64

void svan_tlb_drop(SvanFn *fn, uint64_t serial, uint64_t first,
                   uint32_t count);
/* The same of a process, by its PASID, of any number of pages. */
void svan_context_drop(SvanFn *fn, uint32_t pasid, uint64_t first,
                       uint64_t count);

#endif /* SVAN_TRANSLATE_H */
