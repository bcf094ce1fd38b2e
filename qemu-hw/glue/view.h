/*
 * Svan RDMA NIC: the RAM of an address space, for the engine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_VIEW_H
#define HW_SVAN_VIEW_H

#include "exec/memory.h"
#include "engine.h"

/* A piece of RAM in an address space. */
typedef struct SvanRegion {
    hwaddr first, last;
    uint8_t *host;
    bool writable;
    MemoryRegionCache cache;        /* only to report stores */
} SvanRegion;

/* All RAM of an address space, kept up to date by a listener. */
typedef struct SvanView {
    SvanEngine *engine;
    AddressSpace *as;
    MemoryListener listener;
    /* The regions have changed. BQL and engine lock held. */
    void (*changed)(struct SvanView *view);
    GArray *regions;                /* SvanRegion, ordered; engine lock */
    GArray *next;                   /* the same while it is built; BQL */
    GArray *dead;                   /* MemoryRegion * to let go; BQL */
    unsigned hint;                  /* region of the last hit; engine lock */
    bool differs;                   /* next differs from regions; BQL */
} SvanView;

void svan_view_init(SvanView *view, SvanEngine *engine, AddressSpace *as,
                    void (*changed)(SvanView *view));
void svan_view_fini(SvanView *view);
/*
 * svan_view_find() where the region of the last hit does not cover the
 * address.
 */
SvanRegion *svan_view_search(SvanView *view, hwaddr addr, uint32_t len);

static inline SvanRegion *svan_view_region(SvanView *view, unsigned i)
{
    return &g_array_index(view->regions, SvanRegion, i);
}

static inline bool svan_region_covers(const SvanRegion *r, hwaddr addr,
                                      uint32_t len)
{
    return addr >= r->first && addr <= r->last && len - 1 <= r->last - addr;
}

/* The region with all of [addr, addr + len), or NULL. Engine lock held. */
static inline SvanRegion *svan_view_find(SvanView *view, hwaddr addr,
                                         uint32_t len)
{
    if (likely(view->hint < view->regions->len)) {
        SvanRegion *r = svan_view_region(view, view->hint);

        if (likely(svan_region_covers(r, addr, len))) {
            return r;
        }
    }
    return svan_view_search(view, addr, len);
}

#endif /* HW_SVAN_VIEW_H */
