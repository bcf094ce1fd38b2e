/*
 * Svan RDMA NIC: guest memory as the functions of a device see it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_BUS_H
#define HW_SVAN_BUS_H

#include "view.h"

/* What the buses of one device share. */
typedef struct SvanMemory {
    SvanEngine *engine;
    /*
     * Drop what the core has cached of [addr, addr + len) in the bus addresses
     * of fn; len 0: all. Engine lock held.
     */
    void (*invalidate)(void *opaque, uint16_t fn, uint64_t addr, uint64_t len);
    void *opaque;
    SvanView system;                /* where an IOMMU's translations end */
    QLIST_HEAD(, SvanBus) buses;    /* changes under BQL and engine lock */
    bool refusals;                  /* a bus may have refusals; engine lock */
} SvanMemory;

/* The bus addresses of a function. */
typedef struct SvanBus {
    SvanMemory *memory;
    uint16_t fn;
    SvanView direct;                /* RAM that is reached without an IOMMU */
    MemoryListener listener;        /* for IOMMUs */
    QLIST_HEAD(, SvanIommu) iommus; /* changes under BQL and engine lock */
    GHashTable *iotlb;              /* bus page -> system page | SVAN_IOTLB_* */
    bool refusals;                  /* iotlb has SVAN_IOTLB_NO_*; engine lock */
    bool missed;                    /* the next two are a miss; atomic */
    bool miss_write;
    hwaddr miss_addr;
    QLIST_ENTRY(SvanBus) link;
} SvanBus;

void svan_memory_init(SvanMemory *memory, SvanEngine *engine,
                      void (*invalidate)(void *opaque, uint16_t fn,
                                         uint64_t addr, uint64_t len),
                      void *opaque);
void svan_memory_fini(SvanMemory *memory);
/* Translate what was missed. false: nothing was. BQL held, engine lock not. */
bool svan_memory_resolve(SvanMemory *memory);
/*
 * To be called after each step that does not miss: from here on the IOMMU is
 * asked again for addresses that it has refused. Refusals of a function are
 * kept while it is awaited, which means that a step that missed an address of
 * it has not been run again yet. opaque is the memory's. Engine lock held.
 */
void svan_memory_forget_refusals(SvanMemory *memory,
                                 bool (*awaited)(void *opaque, uint16_t fn));

/* as: the address space that the function's bus master accesses go to. */
void svan_bus_init(SvanBus *bus, SvanMemory *memory, uint16_t fn,
                   AddressSpace *as);
void svan_bus_fini(SvanBus *bus);
/* As SvanOps.map and SvanOps.written. Engine lock held. */
SvanDma svan_bus_map(SvanBus *bus, uint64_t addr, uint32_t len, bool for_write,
                     void **host);
void svan_bus_written(SvanBus *bus, uint64_t addr, void *host, uint32_t len);

#endif /* HW_SVAN_BUS_H */
