/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registered memory of a machine and what ought to be in it. A region is
 * contiguous to its users and scattered over the machine's pages; `want` is
 * the model of its contents. Traffic works on extents, which never overlap, so
 * that at any time it is known what each byte must be.
 */
#ifndef SIM_REGION_H
#define SIM_REGION_H

#include "sim.h"

typedef struct Region Region;

typedef struct Extent {
    Region *region;
    uint32_t offset, length;
    uint32_t refs;
    struct Extent *next;        /* the region's, by offset */
} Extent;

struct Region {
    Node *node;
    uint64_t va;                /* of byte 0, at any place in its page */
    uint32_t length;
    uint32_t num_pages;
    uint32_t *pages;            /* offsets in node->fake->ram */
    uint8_t *want;
    Extent *extents;
    uint32_t key;
    bool whole;                 /* the key covers more than the region */
};

/* Free pages of a node; they are taken from the end of the list. */
typedef struct PagePool {
    uint32_t *pages;
    uint32_t count;
} PagePool;

/* All pages of the node from byte `from` on, in random order. */
void pages_init(PagePool *pool, Node *node, uint32_t from, Rng *rng);
void pages_fini(PagePool *pool);
uint32_t page_take(PagePool *pool, Node *node);

/* Filled with random bytes. */
Region *region_new(Node *node, PagePool *pool, uint64_t va, uint32_t length,
                   Rng *rng);
void region_free(Region *region);

/* NULL: no room of this length. One reference is the caller's. */
Extent *extent_new(Region *region, uint32_t length, uint32_t align, Rng *rng);
Extent *extent_hold(Extent *extent);
void extent_put(Extent *extent);        /* NULL is fine */

/* New random contents, in memory and in the model. */
void extent_fill(Extent *extent, Rng *rng);
/* The model alone: from now on memory must be so. */
void extent_expect(Extent *extent, uint32_t offset, const uint8_t *bytes,
                   uint32_t length);
/* Memory may be anything; the model learns what it is. */
void extent_learn(Extent *extent);
void extent_want(const Extent *extent, uint8_t *bytes);
/* -1, or the offset of the first byte of the region that is not as wanted */
int64_t extent_check(const Extent *extent);
int64_t region_check(const Region *region);

static inline uint64_t extent_va(const Extent *extent)
{
    return extent->region->va + extent->offset;
}

#endif /* SIM_REGION_H */
