/*
 * Svan RDMA NIC: guest memory as the functions of a device see it
 *
 * RAM that a function reaches without an IOMMU stands in the function's own
 * view. Translations of an IOMMU stand in a cache. An address that is not in it
 * is a miss; it is translated outside of the epoch, under the BQL, and its
 * translation is dropped when the IOMMU says so. Whoever drops something holds
 * the engine lock, so no epoch that has used it is open any more afterwards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "exec/address-spaces.h"
#include "qapi/error.h"
#include "bus.h"
#include "trace.h"
#include "watch.h"

#define SVAN_BUS_PAGE_BITS      12
#define SVAN_BUS_PAGE_SIZE      (1ull << SVAN_BUS_PAGE_BITS)
#define SVAN_BUS_PAGE_MASK      (~(SVAN_BUS_PAGE_SIZE - 1))

#define SVAN_IOTLB_READ         0x1
#define SVAN_IOTLB_WRITE        0x2
#define SVAN_IOTLB_NO_READ      0x4
#define SVAN_IOTLB_NO_WRITE     0x8
/* More pages than one step can ask for, so that a flush never starves a step. */
#define SVAN_IOTLB_LIMIT        65536

/* An IOMMU in front of a function. */
typedef struct SvanIommu {
    IOMMUNotifier notifier;
    IOMMUMemoryRegion *mr;
    hwaddr offset;                  /* bus address less offset in mr */
    SvanBus *bus;
    QLIST_ENTRY(SvanIommu) next;
} SvanIommu;

QEMU_BUILD_BUG_ON(sizeof(gpointer) != sizeof(uint64_t));

/* ---- translations ---- */

static gpointer svan_iotlb_key(hwaddr addr)
{
    return (gpointer)(uintptr_t)(addr >> SVAN_BUS_PAGE_BITS);
}

static uint64_t svan_iotlb_get(SvanBus *bus, hwaddr addr)
{
    return (uintptr_t)g_hash_table_lookup(bus->iotlb, svan_iotlb_key(addr));
}

static void svan_iotlb_set(SvanBus *bus, hwaddr addr, uint64_t entry)
{
    if (g_hash_table_size(bus->iotlb) >= SVAN_IOTLB_LIMIT) {
        g_hash_table_remove_all(bus->iotlb);
    }
    g_hash_table_insert(bus->iotlb, svan_iotlb_key(addr),
                        (gpointer)(uintptr_t)entry);
}

typedef struct SvanPageRange {
    uint64_t first, last;
} SvanPageRange;

static gboolean svan_iotlb_in_range(gpointer key, gpointer value,
                                    gpointer opaque)
{
    const SvanPageRange *range = opaque;
    uint64_t page = (uintptr_t)key;

    return page >= range->first && page <= range->last;
}

static void svan_iotlb_drop(SvanBus *bus, hwaddr first, hwaddr last)
{
    SvanPageRange range = {
        first >> SVAN_BUS_PAGE_BITS, last >> SVAN_BUS_PAGE_BITS
    };

    if (range.last - range.first >= g_hash_table_size(bus->iotlb)) {
        g_hash_table_foreach_remove(bus->iotlb, svan_iotlb_in_range, &range);
        return;
    }
    for (uint64_t page = range.first; page <= range.last; page++) {
        g_hash_table_remove(bus->iotlb, (gpointer)(uintptr_t)page);
    }
}

/* What the core has cached of the bus is not valid any more. */
static void svan_bus_invalidate(SvanBus *bus, uint64_t addr, uint64_t len)
{
    bus->memory->invalidate(bus->memory->opaque, bus->fn, addr, len);
}

static void svan_iommu_unmap(IOMMUNotifier *notifier, IOMMUTLBEntry *entry)
{
    SvanIommu *iommu = container_of(notifier, SvanIommu, notifier);
    SvanBus *bus = iommu->bus;
    SvanEngine *e = bus->memory->engine;
    hwaddr first = entry->iova + iommu->offset;

    trace_svan_bus_unmap(bus->fn, first, entry->addr_mask);
    svan_engine_lock(e);
    svan_iotlb_drop(bus, first, first + entry->addr_mask);
    /* A length of 2^64 becomes 0, which means everything. */
    svan_bus_invalidate(bus, first, entry->addr_mask + 1);
    svan_engine_unlock(e);
}

static void svan_bus_flush(SvanBus *bus)
{
    SvanEngine *e = bus->memory->engine;

    svan_engine_lock(e);
    g_hash_table_remove_all(bus->iotlb);
    svan_bus_invalidate(bus, 0, 0);
    svan_engine_unlock(e);
}

static void svan_iommu_add(SvanBus *bus, MemoryRegionSection *section)
{
    IOMMUMemoryRegion *mr = IOMMU_MEMORY_REGION(section->mr);
    SvanIommu *iommu = g_new0(SvanIommu, 1);
    hwaddr first = section->offset_within_region;
    hwaddr last = first +
                  int128_get64(int128_sub(section->size, int128_one()));
    Error *err = NULL;

    iommu->bus = bus;
    iommu->mr = mr;
    iommu->offset = section->offset_within_address_space - first;
    iommu_notifier_init(&iommu->notifier, svan_iommu_unmap,
                        IOMMU_NOTIFIER_UNMAP, first, last,
                        memory_region_iommu_attrs_to_index(
                            mr, MEMTXATTRS_UNSPECIFIED));
    if (memory_region_register_iommu_notifier(section->mr, &iommu->notifier,
                                              &err)) {
        /* Nobody would tell us when to drop a translation, so we cache none. */
        warn_reportf_err(err, "svan: no DMA behind this IOMMU: ");
        g_free(iommu);
        return;
    }
    memory_region_ref(section->mr);
    svan_engine_lock(bus->memory->engine);
    QLIST_INSERT_HEAD(&bus->iommus, iommu, next);
    svan_engine_unlock(bus->memory->engine);
}

static void svan_iommu_remove(SvanIommu *iommu)
{
    MemoryRegion *mr = MEMORY_REGION(iommu->mr);

    svan_engine_lock(iommu->bus->memory->engine);
    QLIST_REMOVE(iommu, next);
    svan_engine_unlock(iommu->bus->memory->engine);
    svan_bus_flush(iommu->bus);
    memory_region_unregister_iommu_notifier(mr, &iommu->notifier);
    memory_region_unref(mr);
    g_free(iommu);
}

static void svan_iommu_del(SvanBus *bus, MemoryRegionSection *section)
{
    SvanIommu *iommu;

    QLIST_FOREACH(iommu, &bus->iommus, next) {
        if (MEMORY_REGION(iommu->mr) == section->mr &&
            iommu->notifier.start == section->offset_within_region) {
            svan_iommu_remove(iommu);
            return;
        }
    }
}

static void svan_bus_region_add(MemoryListener *listener,
                                MemoryRegionSection *section)
{
    if (memory_region_is_iommu(section->mr)) {
        svan_iommu_add(container_of(listener, SvanBus, listener), section);
    }
}

static void svan_bus_region_del(MemoryListener *listener,
                                MemoryRegionSection *section)
{
    if (memory_region_is_iommu(section->mr)) {
        svan_iommu_del(container_of(listener, SvanBus, listener), section);
    }
}

/* ---- life ---- */

static void svan_direct_changed(SvanView *view)
{
    svan_bus_invalidate(container_of(view, SvanBus, direct), 0, 0);
}

void svan_bus_init(SvanBus *bus, SvanMemory *memory, uint16_t fn,
                   AddressSpace *as)
{
    bus->memory = memory;
    bus->fn = fn;
    QLIST_INIT(&bus->iommus);
    bus->iotlb = g_hash_table_new(NULL, NULL);
    svan_engine_lock(memory->engine);
    QLIST_INSERT_HEAD(&memory->buses, bus, link);
    svan_engine_unlock(memory->engine);
    svan_view_init(&bus->direct, memory->engine, as, svan_direct_changed);
    bus->listener = (MemoryListener) {
        .name = "svan-iommu",
        .region_add = svan_bus_region_add,
        .region_del = svan_bus_region_del,
    };
    memory_listener_register(&bus->listener, as);
}

void svan_bus_fini(SvanBus *bus)
{
    memory_listener_unregister(&bus->listener);
    svan_view_fini(&bus->direct);
    svan_engine_lock(bus->memory->engine);
    QLIST_REMOVE(bus, link);
    svan_engine_unlock(bus->memory->engine);
    g_hash_table_unref(bus->iotlb);
}

static void svan_system_changed(SvanView *view)
{
    SvanMemory *memory = container_of(view, SvanMemory, system);
    SvanBus *bus;

    QLIST_FOREACH(bus, &memory->buses, link) {
        if (!QLIST_EMPTY(&bus->iommus)) {
            svan_bus_invalidate(bus, 0, 0);
        }
    }
}

void svan_memory_init(SvanMemory *memory, SvanEngine *engine,
                      void (*invalidate)(void *opaque, uint16_t fn,
                                         uint64_t addr, uint64_t len),
                      void *opaque)
{
    memory->engine = engine;
    memory->invalidate = invalidate;
    memory->opaque = opaque;
    QLIST_INIT(&memory->buses);
    svan_view_init(&memory->system, engine, &address_space_memory,
                   svan_system_changed);
}

void svan_memory_fini(SvanMemory *memory)
{
    svan_view_fini(&memory->system);
}

/* ---- access ---- */

/* The IOMMU's answer, if it is known. */
static SvanDma svan_bus_search(SvanBus *bus, hwaddr addr, uint32_t len,
                               bool for_write, SvanRegion **region, hwaddr *at)
{
    uint64_t entry;

    if (QLIST_EMPTY(&bus->iommus)) {
        return SVAN_DMA_ERROR;
    }
    entry = svan_iotlb_get(bus, addr);
    if (entry & (for_write ? SVAN_IOTLB_NO_WRITE : SVAN_IOTLB_NO_READ)) {
        return SVAN_DMA_ERROR;
    }
    if (!(entry & (for_write ? SVAN_IOTLB_WRITE : SVAN_IOTLB_READ))) {
        /*
         * The first miss stays until it is resolved, so no step waits for
         * ever.
         */
        if (!qatomic_read(&bus->missed)) {
            bus->miss_addr = addr;
            bus->miss_write = for_write;
            qatomic_set(&bus->missed, true);
        }
        return SVAN_DMA_MISS;
    }
    *at = (entry & SVAN_BUS_PAGE_MASK) | (addr & ~SVAN_BUS_PAGE_MASK);
    *region = svan_view_find(&bus->memory->system, *at, len);
    return *region ? SVAN_DMA_OK : SVAN_DMA_ERROR;
}

/*
 * Find out where [addr, addr + len) lies: in *region, at the address *at of its
 * address space. Engine lock held.
 */
static inline SvanDma svan_bus_find(SvanBus *bus, hwaddr addr, uint32_t len,
                                    bool for_write, SvanRegion **region,
                                    hwaddr *at)
{
    *region = svan_view_find(&bus->direct, addr, len);
    if (likely(*region)) {
        *at = addr;
        return SVAN_DMA_OK;
    }
    return svan_bus_search(bus, addr, len, for_write, region, at);
}

SvanDma svan_bus_map(SvanBus *bus, uint64_t addr, uint32_t len, bool for_write,
                     void **host)
{
    SvanRegion *region;
    SvanDma result;
    hwaddr at;

    result = svan_bus_find(bus, addr, len, for_write, &region, &at);
    if (result == SVAN_DMA_OK && for_write && !region->writable) {
        result = SVAN_DMA_ERROR;
    }
    if (likely(result == SVAN_DMA_OK)) {
        *host = region->host + (at - region->first);
    } else if (result == SVAN_DMA_ERROR) {
        trace_svan_bus_refused(bus->fn, addr, len, for_write);
    }
    return result;
}

/*
 * Report a store to dirty log and TBs, as address_space_write() does, and to
 * those that wait for it.
 */
void svan_bus_written(SvanBus *bus, uint64_t addr, void *host, uint32_t len)
{
    SvanRegion *region;
    hwaddr at;

    if (svan_bus_find(bus, addr, len, true, &region, &at) == SVAN_DMA_OK) {
        address_space_cache_invalidate(&region->cache, at - region->first, len);
    }
    svan_watch_stored(host);
}

/* The entry of a page with what the IOMMU has just told about it. */
static uint64_t svan_iotlb_update(uint64_t entry, IOMMUTLBEntry *found,
                                  hwaddr addr, bool is_write)
{
    uint64_t page;

    if (found->target_as != &address_space_memory ||
        !(found->perm & (is_write ? IOMMU_WO : IOMMU_RO))) {
        return entry | (is_write ? SVAN_IOTLB_NO_WRITE : SVAN_IOTLB_NO_READ);
    }
    page = ((found->translated_addr & ~found->addr_mask) |
            (addr & found->addr_mask)) & SVAN_BUS_PAGE_MASK;
    if ((entry & SVAN_BUS_PAGE_MASK) != page) {
        entry = page;
    }
    return entry | (is_write ? SVAN_IOTLB_WRITE : SVAN_IOTLB_READ);
}

static bool svan_bus_resolve(SvanBus *bus)
{
    SvanEngine *e = bus->memory->engine;
    bool is_write;
    IOMMUTLBEntry found;
    uint64_t entry;
    hwaddr addr;

    if (!qatomic_read(&bus->missed)) {
        return false;
    }
    svan_engine_lock(e);        /* somebody else may run the core by now */
    addr = bus->miss_addr;
    is_write = bus->miss_write;
    qatomic_set(&bus->missed, false);
    svan_engine_unlock(e);
    WITH_RCU_READ_LOCK_GUARD() {
        found = address_space_get_iotlb_entry(bus->direct.as, addr, is_write,
                                              MEMTXATTRS_UNSPECIFIED);
    }
    svan_engine_lock(e);
    entry = svan_iotlb_update(svan_iotlb_get(bus, addr), &found, addr,
                              is_write);
    if (entry & (SVAN_IOTLB_NO_READ | SVAN_IOTLB_NO_WRITE)) {
        bus->refusals = bus->memory->refusals = true;
    }
    svan_iotlb_set(bus, addr, entry);
    svan_engine_unlock(e);
    trace_svan_bus_translate(bus->fn, addr, is_write, entry);
    return true;
}

bool svan_memory_resolve(SvanMemory *memory)
{
    bool any = false;
    SvanBus *bus;

    QLIST_FOREACH(bus, &memory->buses, link) {
        any |= svan_bus_resolve(bus);
    }
    return any;
}

static gboolean svan_iotlb_is_refusal(gpointer key, gpointer value,
                                      gpointer opaque)
{
    return (uintptr_t)value & (SVAN_IOTLB_NO_READ | SVAN_IOTLB_NO_WRITE);
}

void svan_memory_forget_refusals(SvanMemory *memory,
                                 bool (*awaited)(void *opaque, uint16_t fn))
{
    SvanBus *bus;

    if (likely(!memory->refusals)) {
        return;
    }
    memory->refusals = false;
    QLIST_FOREACH(bus, &memory->buses, link) {
        if (bus->refusals && awaited(memory->opaque, bus->fn)) {
            memory->refusals = true;
        } else if (bus->refusals) {
            bus->refusals = false;
            g_hash_table_foreach_remove(bus->iotlb, svan_iotlb_is_refusal, NULL);
        }
    }
}
