/*
 * Svan RDMA NIC: guest memory as a function sees it
 *
 * The core asks for host pointers within an epoch, where nothing may block. So
 * the RAM of the function's address space stands in a table that a memory
 * listener keeps, and translations of an IOMMU stand in a cache: what is not
 * in it is a miss, translated outside of the epoch under the BQL, and dropped
 * again when the IOMMU says so. Whoever drops something holds the engine lock,
 * so the open epoch is over when the dropping returns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "exec/address-spaces.h"
#include "glue.h"
#include "trace.h"

#define SVAN_BUS_PAGE_BITS      12
#define SVAN_BUS_PAGE_SIZE      (1ull << SVAN_BUS_PAGE_BITS)
#define SVAN_BUS_PAGE_MASK      (~(SVAN_BUS_PAGE_SIZE - 1))

#define SVAN_IOTLB_READ         0x1
#define SVAN_IOTLB_WRITE        0x2
#define SVAN_IOTLB_NO_READ      0x4
#define SVAN_IOTLB_NO_WRITE     0x8
/* More than one step can ask for, so that a flush never starves a step. */
#define SVAN_IOTLB_LIMIT        65536

QEMU_BUILD_BUG_ON(sizeof(gpointer) != sizeof(uint64_t));

/* ---- views ---- */

static SvanRegion *svan_region(SvanView *view, unsigned i)
{
    return &g_array_index(view->regions, SvanRegion, i);
}

static bool svan_region_covers(const SvanRegion *r, hwaddr addr, uint32_t len)
{
    return addr >= r->first && addr <= r->last && len - 1 <= r->last - addr;
}

/* The region with all of [addr, addr + len), or NULL. */
static SvanRegion *svan_view_find(SvanView *view, hwaddr addr, uint32_t len)
{
    unsigned low = 0, high = view->regions->len;

    if (view->hint < high &&
        svan_region_covers(svan_region(view, view->hint), addr, len)) {
        return svan_region(view, view->hint);
    }
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        SvanRegion *r = svan_region(view, mid);

        if (addr > r->last) {
            low = mid + 1;
        } else if (addr < r->first) {
            high = mid;
        } else {
            view->hint = mid;
            return svan_region_covers(r, addr, len) ? r : NULL;
        }
    }
    return NULL;
}

static void svan_view_add_ram(SvanView *view, MemoryRegionSection *section)
{
    MemoryRegion *mr = section->mr;
    SvanRegion r = {
        .first = section->offset_within_address_space,
        .last = section->offset_within_address_space +
                int128_get64(int128_sub(section->size, int128_one())),
        .host = memory_region_get_ram_ptr(mr) + section->offset_within_region,
        .writable = !section->readonly && !mr->readonly && !mr->rom_device,
        /*
         * Filled in by hand, since address_space_cache_init() would also keep
         * a FlatView, and so every device of this moment, from going away.
         */
        .cache = {
            .ptr = memory_region_get_ram_ptr(mr),
            .xlat = section->offset_within_region,
            .len = int128_get64(section->size),
            .mrs = *section,
            .is_write = true,
        },
    };

    memory_region_ref(mr);
    g_array_append_val(view->next, r);
    view->changed = true;
}

static void svan_view_del_ram(SvanView *view, MemoryRegionSection *section)
{
    for (unsigned i = 0; i < view->next->len; i++) {
        SvanRegion *r = &g_array_index(view->next, SvanRegion, i);

        if (r->first == section->offset_within_address_space &&
            r->cache.mrs.mr == section->mr) {
            g_array_append_val(view->dead, section->mr);
            g_array_remove_index_fast(view->next, i);
            view->changed = true;
            return;
        }
    }
}

static bool svan_section_is_ram(MemoryRegionSection *section)
{
    return memory_region_is_ram(section->mr) &&
           !memory_region_is_ram_device(section->mr);
}

static int svan_region_compare(const void *a, const void *b)
{
    const SvanRegion *ra = a, *rb = b;

    return ra->first < rb->first ? -1 : ra->first > rb->first;
}

/* The topology has changed: let the engine see the new regions, only them. */
static void svan_view_commit(MemoryListener *listener)
{
    SvanView *view = container_of(listener, SvanView, listener);
    SvanBus *bus = view->bus;
    SvanEngine *e = &bus->s->engine;
    GArray *old;

    if (!view->changed) {
        return;
    }
    view->changed = false;
    g_array_sort(view->next, svan_region_compare);

    svan_engine_lock(e);
    old = view->regions;
    view->regions = g_array_copy(view->next);
    view->hint = 0;
    if (bus->s->core) {
        svan_invalidate_bus(bus->s->core, bus->fn, 0, 0);
    }
    svan_engine_unlock(e);

    trace_svan_bus_topology(bus->fn, view->as->name, view->next->len);
    g_array_unref(old);
    for (unsigned i = 0; i < view->dead->len; i++) {
        memory_region_unref(g_array_index(view->dead, MemoryRegion *, i));
    }
    g_array_set_size(view->dead, 0);
}

static void svan_view_init(SvanView *view, SvanBus *bus, AddressSpace *as,
                           const MemoryListener *listener)
{
    view->bus = bus;
    view->as = as;
    view->regions = g_array_new(false, false, sizeof(SvanRegion));
    view->next = g_array_new(false, false, sizeof(SvanRegion));
    view->dead = g_array_new(false, false, sizeof(MemoryRegion *));
    view->listener = *listener;
    memory_listener_register(&view->listener, as);
}

static void svan_view_fini(SvanView *view)
{
    memory_listener_unregister(&view->listener);
    g_array_unref(view->dead);
    g_array_unref(view->next);
    g_array_unref(view->regions);
}

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
        bus->refused = 0;
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

static void svan_iommu_unmap(IOMMUNotifier *notifier, IOMMUTLBEntry *entry)
{
    SvanIommu *iommu = container_of(notifier, SvanIommu, notifier);
    SvanBus *bus = iommu->bus;
    SvanEngine *e = &bus->s->engine;
    hwaddr first = entry->iova + iommu->offset;

    trace_svan_bus_unmap(bus->fn, first, entry->addr_mask);
    svan_engine_lock(e);
    svan_iotlb_drop(bus, first, first + entry->addr_mask);
    if (bus->s->core) {
        /* a length of 2^64 is 0, which means everything */
        svan_invalidate_bus(bus->s->core, bus->fn, first, entry->addr_mask + 1);
    }
    svan_engine_unlock(e);
}

static void svan_bus_flush(SvanBus *bus)
{
    SvanEngine *e = &bus->s->engine;

    svan_engine_lock(e);
    g_hash_table_remove_all(bus->iotlb);
    bus->refused = 0;
    if (bus->s->core) {
        svan_invalidate_bus(bus->s->core, bus->fn, 0, 0);
    }
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
        /* Never cache what nobody would tell us to drop. */
        warn_reportf_err(err, "svan: no DMA behind this IOMMU: ");
        g_free(iommu);
        return;
    }
    memory_region_ref(section->mr);
    svan_engine_lock(&bus->s->engine);
    QLIST_INSERT_HEAD(&bus->iommus, iommu, next);
    svan_engine_unlock(&bus->s->engine);
}

static void svan_iommu_remove(SvanIommu *iommu)
{
    MemoryRegion *mr = MEMORY_REGION(iommu->mr);

    svan_engine_lock(&iommu->bus->s->engine);
    QLIST_REMOVE(iommu, next);
    svan_engine_unlock(&iommu->bus->s->engine);
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

/* ---- listeners ---- */

static void svan_direct_add(MemoryListener *listener,
                            MemoryRegionSection *section)
{
    SvanView *view = container_of(listener, SvanView, listener);

    if (memory_region_is_iommu(section->mr)) {
        svan_iommu_add(view->bus, section);
    } else if (svan_section_is_ram(section)) {
        svan_view_add_ram(view, section);
    }
}

static void svan_direct_del(MemoryListener *listener,
                            MemoryRegionSection *section)
{
    SvanView *view = container_of(listener, SvanView, listener);

    if (memory_region_is_iommu(section->mr)) {
        svan_iommu_del(view->bus, section);
    } else if (svan_section_is_ram(section)) {
        svan_view_del_ram(view, section);
    }
}

static void svan_system_add(MemoryListener *listener,
                            MemoryRegionSection *section)
{
    if (svan_section_is_ram(section)) {
        svan_view_add_ram(container_of(listener, SvanView, listener), section);
    }
}

static void svan_system_del(MemoryListener *listener,
                            MemoryRegionSection *section)
{
    if (svan_section_is_ram(section)) {
        svan_view_del_ram(container_of(listener, SvanView, listener), section);
    }
}

static const MemoryListener svan_direct_listener = {
    .name = "svan",
    .region_add = svan_direct_add,
    .region_del = svan_direct_del,
    .commit = svan_view_commit,
};

static const MemoryListener svan_system_listener = {
    .name = "svan-system",
    .region_add = svan_system_add,
    .region_del = svan_system_del,
    .commit = svan_view_commit,
};

/* ---- what the engine and its ops use ---- */

void svan_bus_init(SvanBus *bus, SvanState *s, uint16_t fn, AddressSpace *as)
{
    bus->s = s;
    bus->fn = fn;
    QLIST_INIT(&bus->iommus);
    bus->iotlb = g_hash_table_new(NULL, NULL);
    svan_view_init(&bus->system, bus, &address_space_memory,
                   &svan_system_listener);
    svan_view_init(&bus->direct, bus, as, &svan_direct_listener);
}

void svan_bus_fini(SvanBus *bus)
{
    svan_view_fini(&bus->direct);
    svan_view_fini(&bus->system);
    g_hash_table_unref(bus->iotlb);
}

/*
 * Where [addr, addr + len) lies: *region, and the address in its address
 * space. Engine lock held.
 */
static SvanDma svan_bus_find(SvanBus *bus, hwaddr addr, uint32_t len,
                             bool for_write, SvanRegion **region, hwaddr *at)
{
    uint64_t entry;

    *region = svan_view_find(&bus->direct, addr, len);
    if (likely(*region)) {
        *at = addr;
        return SVAN_DMA_OK;
    }
    if (QLIST_EMPTY(&bus->iommus)) {
        return SVAN_DMA_ERROR;
    }
    entry = svan_iotlb_get(bus, addr);
    if (entry & (for_write ? SVAN_IOTLB_NO_WRITE : SVAN_IOTLB_NO_READ)) {
        return SVAN_DMA_ERROR;
    }
    if (!(entry & (for_write ? SVAN_IOTLB_WRITE : SVAN_IOTLB_READ))) {
        bus->missed = true;
        bus->miss_addr = addr;
        bus->miss_write = for_write;
        return SVAN_DMA_MISS;
    }
    *at = (entry & SVAN_BUS_PAGE_MASK) | (addr & ~SVAN_BUS_PAGE_MASK);
    *region = svan_view_find(&bus->system, *at, len);
    return *region ? SVAN_DMA_OK : SVAN_DMA_ERROR;
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

/* Dirty log and translated code, as address_space_write() treats them. */
void svan_bus_written(SvanBus *bus, uint64_t addr, void *host, uint32_t len)
{
    SvanRegion *region;
    hwaddr at;

    if (svan_bus_find(bus, addr, len, true, &region, &at) == SVAN_DMA_OK) {
        address_space_cache_invalidate(&region->cache, at - region->first, len);
    }
}

/* The entry of a page once more is known about it. */
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

bool svan_bus_resolve(SvanBus *bus)
{
    SvanEngine *e = &bus->s->engine;
    bool missed, is_write;
    IOMMUTLBEntry found;
    uint64_t entry;
    hwaddr addr;

    svan_engine_lock(e);        /* somebody else may run by now */
    missed = bus->missed;
    addr = bus->miss_addr;
    is_write = bus->miss_write;
    bus->missed = false;
    svan_engine_unlock(e);
    if (!missed) {
        return false;
    }
    WITH_RCU_READ_LOCK_GUARD() {
        found = address_space_get_iotlb_entry(bus->direct.as, addr, is_write,
                                              MEMTXATTRS_UNSPECIFIED);
    }
    svan_engine_lock(e);
    entry = svan_iotlb_update(svan_iotlb_get(bus, addr), &found, addr,
                              is_write);
    if (entry & (SVAN_IOTLB_NO_READ | SVAN_IOTLB_NO_WRITE)) {
        bus->refused++;
    }
    svan_iotlb_set(bus, addr, entry);
    svan_engine_unlock(e);
    trace_svan_bus_translate(bus->fn, addr, is_write, entry);
    return true;
}

static gboolean svan_iotlb_is_refusal(gpointer key, gpointer value,
                                      gpointer opaque)
{
    return (uintptr_t)value & (SVAN_IOTLB_NO_READ | SVAN_IOTLB_NO_WRITE);
}

void svan_bus_forget_refusals(SvanBus *bus)
{
    if (unlikely(bus->refused)) {
        g_hash_table_foreach_remove(bus->iotlb, svan_iotlb_is_refusal, NULL);
        bus->refused = 0;
    }
}
