/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "region.h"

void pages_init(PagePool *pool, Node *node, uint32_t from, Rng *rng)
{
    uint32_t count = (node->world->model->ram_bytes - from) / SIM_PAGE;

    pool->pages = malloc(count * sizeof(pool->pages[0]));
    pool->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = rng_below(rng, i + 1);

        pool->pages[i] = pool->pages[j];
        pool->pages[j] = from + i * SIM_PAGE;
    }
}

void pages_fini(PagePool *pool)
{
    free(pool->pages);
}

uint32_t page_take(PagePool *pool, Node *node)
{
    if (!pool->count) {
        world_fail(node->world, "node %u has no page left", node->id);
    }
    return pool->pages[--pool->count];
}

/* ---- bytes ---- */

/* Memory of the byte at offset, and how many follow it in its page. */
static uint8_t *locate(const Region *region, uint32_t offset, uint32_t *room)
{
    uint32_t at = region->va % SIM_PAGE + offset;

    *room = SIM_PAGE - at % SIM_PAGE;
    return region->node->fake->ram + region->pages[at / SIM_PAGE] +
           at % SIM_PAGE;
}

static uint32_t piece(const Region *region, uint32_t offset, uint32_t length,
                      uint8_t **host)
{
    uint32_t room;

    *host = locate(region, offset, &room);
    return length < room ? length : room;
}

static void store(Region *region, uint32_t offset, uint32_t length)
{
    uint8_t *host;

    for (uint32_t n; length; offset += n, length -= n) {
        n = piece(region, offset, length, &host);
        memcpy(host, region->want + offset, n);
    }
}

static int64_t compare(const Region *region, uint32_t offset, uint32_t length)
{
    uint8_t *host;

    for (uint32_t n; length; offset += n, length -= n) {
        n = piece(region, offset, length, &host);
        if (memcmp(host, region->want + offset, n)) {
            while (*host == region->want[offset]) {
                host++;
                offset++;
            }
            return offset;
        }
    }
    return -1;
}

static void randomize(uint8_t *bytes, uint32_t length, Rng *rng)
{
    for (uint64_t word; length >= 8; bytes += 8, length -= 8) {
        word = rng_next(rng);
        memcpy(bytes, &word, 8);
    }
    while (length--) {
        *bytes++ = rng_next(rng);
    }
}

/* ---- regions ---- */

Region *region_new(Node *node, PagePool *pool, uint64_t va, uint32_t length,
                   Rng *rng)
{
    Region *region = calloc(1, sizeof(*region));

    region->node = node;
    region->va = va;
    region->length = length;
    region->num_pages = (va % SIM_PAGE + length + SIM_PAGE - 1) / SIM_PAGE;
    region->pages = malloc(region->num_pages * sizeof(region->pages[0]));
    for (uint32_t i = 0; i < region->num_pages; i++) {
        region->pages[i] = page_take(pool, node);
    }
    region->want = malloc(length);
    randomize(region->want, length, rng);
    store(region, 0, length);
    return region;
}

void region_free(Region *region)
{
    while (region->extents) {
        Extent *extent = region->extents;

        region->extents = extent->next;
        free(extent);
    }
    free(region->pages);
    free(region->want);
    free(region);
}

int64_t region_check(const Region *region)
{
    return compare(region, 0, region->length);
}

/* ---- extents ---- */

static Extent *insert(Region *region, Extent **link, uint32_t offset,
                      uint32_t length)
{
    Extent *extent = malloc(sizeof(*extent));

    extent->region = region;
    extent->offset = offset;
    extent->length = length;
    extent->refs = 1;
    extent->next = *link;
    *link = extent;
    return extent;
}

/* First fit behind `from`; at least one byte lies between two extents. */
static Extent *place(Region *region, uint32_t from, uint32_t length,
                     uint32_t align)
{
    uint64_t slack = (region->va + from) % align;
    uint32_t offset = from + (slack ? align - slack : 0);

    for (Extent **link = &region->extents; ; link = &(*link)->next) {
        uint32_t end = *link ? (*link)->offset : region->length;

        if (offset + length < end) {
            return insert(region, link, offset, length);
        }
        if (!*link) {
            return NULL;
        }
        if ((*link)->offset + (*link)->length >= offset) {
            offset = (*link)->offset + (*link)->length + 1;
            slack = (region->va + offset) % align;
            offset += slack ? align - slack : 0;
        }
    }
}

Extent *extent_new(Region *region, uint32_t length, uint32_t align, Rng *rng)
{
    uint32_t from = rng_below(rng, region->length);
    Extent *extent = place(region, from, length, align);

    return extent ? extent : place(region, 1, length, align);
}

Extent *extent_hold(Extent *extent)
{
    extent->refs++;
    return extent;
}

void extent_put(Extent *extent)
{
    if (!extent || --extent->refs) {
        return;
    }
    for (Extent **link = &extent->region->extents; ; link = &(*link)->next) {
        if (*link == extent) {
            *link = extent->next;
            free(extent);
            return;
        }
    }
}

void extent_fill(Extent *extent, Rng *rng)
{
    Region *region = extent->region;

    randomize(region->want + extent->offset, extent->length, rng);
    store(region, extent->offset, extent->length);
}

void extent_expect(Extent *extent, uint32_t offset, const uint8_t *bytes,
                   uint32_t length)
{
    memcpy(extent->region->want + extent->offset + offset, bytes, length);
}

void extent_learn(Extent *extent)
{
    Region *region = extent->region;
    uint32_t offset = extent->offset, length = extent->length;
    uint8_t *host;

    for (uint32_t n; length; offset += n, length -= n) {
        n = piece(region, offset, length, &host);
        memcpy(region->want + offset, host, n);
    }
}

void extent_want(const Extent *extent, uint8_t *bytes)
{
    memcpy(bytes, extent->region->want + extent->offset, extent->length);
}

int64_t extent_check(const Extent *extent)
{
    return compare(extent->region, extent->offset, extent->length);
}
