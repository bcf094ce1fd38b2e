/*
 * Svan RDMA NIC: the RAM of an address space, for the engine
 *
 * The core asks for host pointers within an epoch, where nothing may block. So
 * a memory listener keeps a table of the address space's RAM. The table changes
 * under the engine lock: the open epoch is over when the listener returns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "view.h"
#include "trace.h"

SvanRegion *svan_view_search(SvanView *view, hwaddr addr, uint32_t len)
{
    unsigned low = 0, high = view->regions->len;

    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        SvanRegion *r = svan_view_region(view, mid);

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
    view->differs = true;
}

static void svan_view_del_ram(SvanView *view, MemoryRegionSection *section)
{
    for (unsigned i = 0; i < view->next->len; i++) {
        SvanRegion *r = &g_array_index(view->next, SvanRegion, i);

        if (r->first == section->offset_within_address_space &&
            r->cache.mrs.mr == section->mr) {
            g_array_append_val(view->dead, section->mr);
            g_array_remove_index_fast(view->next, i);
            view->differs = true;
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

/* The topology has changed: from here on the engine sees the new regions. */
static void svan_view_commit(MemoryListener *listener)
{
    SvanView *view = container_of(listener, SvanView, listener);
    GArray *old;

    if (!view->differs) {
        return;
    }
    view->differs = false;
    g_array_sort(view->next, svan_region_compare);

    svan_engine_lock(view->engine);
    old = view->regions;
    view->regions = g_array_copy(view->next);
    view->hint = 0;
    view->changed(view);
    svan_engine_unlock(view->engine);

    trace_svan_bus_topology(view->engine->dev->id ?: "", view->as->name,
                            view->next->len);
    g_array_unref(old);
    for (unsigned i = 0; i < view->dead->len; i++) {
        memory_region_unref(g_array_index(view->dead, MemoryRegion *, i));
    }
    g_array_set_size(view->dead, 0);
}

static void svan_view_add(MemoryListener *listener,
                          MemoryRegionSection *section)
{
    if (svan_section_is_ram(section)) {
        svan_view_add_ram(container_of(listener, SvanView, listener), section);
    }
}

static void svan_view_del(MemoryListener *listener,
                          MemoryRegionSection *section)
{
    if (svan_section_is_ram(section)) {
        svan_view_del_ram(container_of(listener, SvanView, listener), section);
    }
}

void svan_view_init(SvanView *view, SvanEngine *engine, AddressSpace *as,
                    void (*changed)(SvanView *view))
{
    view->engine = engine;
    view->as = as;
    view->changed = changed;
    view->regions = g_array_new(false, false, sizeof(SvanRegion));
    view->next = g_array_new(false, false, sizeof(SvanRegion));
    view->dead = g_array_new(false, false, sizeof(MemoryRegion *));
    view->listener = (MemoryListener) {
        .name = "svan",
        .region_add = svan_view_add,
        .region_del = svan_view_del,
        .commit = svan_view_commit,
    };
    memory_listener_register(&view->listener, as);
}

void svan_view_fini(SvanView *view)
{
    memory_listener_unregister(&view->listener);
    g_array_unref(view->dead);
    g_array_unref(view->next);
    g_array_unref(view->regions);
}
