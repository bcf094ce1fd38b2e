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
    bool differs;                   /* next from regions; BQL */
} SvanView;

void svan_view_init(SvanView *view, SvanEngine *engine, AddressSpace *as,
                    void (*changed)(SvanView *view));
void svan_view_fini(SvanView *view);
/* The region with all of [addr, addr + len), or NULL. Engine lock held. */
SvanRegion *svan_view_find(SvanView *view, hwaddr addr, uint32_t len);

#endif /* HW_SVAN_VIEW_H */
