/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pager.h"

#define FREE_FRAMES     128
#define SPARE_PAGES     6
#define PASIDS          8
#define GENERATION      0x51a7u
#define MARKS           (SVAN_PTE_ACCESSED | SVAN_PTE_DIRTY)
#define HIGH_HALF_OF_5  (1ull << 52)    /* above what 4 levels reach */

/* ---- frames ---- */

static uint8_t *frame_mem(const Pager *pager, uint32_t offset)
{
    return pager->node->fake->ram + offset;
}

/* Odd bytes: what is read as an entry is present, and leads to nowhere. */
static uint8_t poison_of(uint32_t offset)
{
    return 0x81 | offset / SIM_PAGE * 2;
}

static void check_poison(const Pager *pager, uint32_t offset)
{
    const uint8_t *mem = frame_mem(pager, offset);

    for (uint32_t i = 0; i < SIM_PAGE; i++) {
        if (mem[i] != poison_of(offset)) {
            world_fail(pager->node->world, "node %u: byte %u of page %u was "
                       "changed after it was taken back", pager->node->id, i,
                       offset / SIM_PAGE);
        }
    }
}

uint32_t frame_take(Pager *pager)
{
    uint32_t offset;

    if (!pager->free_count) {
        world_fail(pager->node->world, "node %u: the pager has no page left",
                   pager->node->id);
    }
    offset = pager->free[pager->free_head];
    pager->free_head = (pager->free_head + 1) % FREE_FRAMES;
    pager->free_count--;
    check_poison(pager, offset);
    memset(frame_mem(pager, offset), 0, SIM_PAGE);
    pager->frames[offset / SIM_PAGE].use = FRAME_OTHER;
    return offset;
}

void frame_give(Pager *pager, uint32_t offset)
{
    uint32_t tail = (pager->free_head + pager->free_count++) % FREE_FRAMES;

    memset(frame_mem(pager, offset), poison_of(offset), SIM_PAGE);
    pager->frames[offset / SIM_PAGE].use = FRAME_FREE;
    pager->free[tail] = offset;
}

/* ---- pages ---- */

static uint64_t page_number(const Paged *paged, uint32_t index)
{
    return paged->region->va / SIM_PAGE + index;
}

/* NULL: a table is absent. */
static __le64 *page_entry(Paged *paged, uint32_t index)
{
    uint8_t level;
    __le64 *slot = space_leaf(paged->space, page_number(paged, index), &level);

    return level == 1 ? slot : NULL;
}

static uint8_t *page_mem(const Paged *paged, uint32_t index)
{
    return paged->region->node->fake->ram + paged->region->pages[index];
}

static uint64_t page_bus(const Paged *paged, uint32_t index)
{
    return paged->region->node->fake->bus + paged->region->pages[index];
}

static bool has_marks(const Paged *paged, uint64_t entry, uint64_t marks)
{
    return !paged->process || (entry & marks) == marks;
}

void pager_watch(Node *node, uint32_t page, bool for_write)
{
    Pager *pager = ((Guest *)node->guest)->pager;
    const Frame *frame = pager ? &pager->frames[page] : NULL;
    uint64_t want, entry, size;
    const __le64 *slot;
    uint8_t level;

    if (!frame || frame->use == FRAME_OTHER) {
        return;
    }
    if (frame->use == FRAME_FREE) {
        world_fail(node->world, "node %u maps page %u, which was taken back",
                   node->id, page);
    }
    slot = space_leaf(frame->paged->space,
                      page_number(frame->paged, frame->index), &level);
    entry = svan_le64_to_cpu(*slot);
    size = (uint64_t)SIM_PAGE << (level - 1) * SVAN_MTT_INDEX_BITS;
    want = space_present(frame->paged->space,
                         page_bus(frame->paged, frame->index) & ~(size - 1),
                         for_write) | (level > 1 ? SVAN_PTE_LARGE : 0);
    if ((want & ~entry) || ((want ^ entry) & SVAN_PTE_ADDR_MASK)) {
        world_fail(node->world, "node %u maps page %u%s, and its entry is %"
                   PRIx64, node->id, page, for_write ? " for writing" : "",
                   entry);
    }
    if (!has_marks(frame->paged, entry,
                   for_write ? MARKS : SVAN_PTE_ACCESSED)) {
        world_fail(node->world, "node %u maps page %u%s, and its entry %" PRIx64
                   " does not say so", node->id, page,
                   for_write ? " for writing" : "", entry);
    }
}

void page_remember(Paged *paged, uint32_t index)
{
    memcpy(paged->clean + (size_t)index * SIM_PAGE, page_mem(paged, index),
           SIM_PAGE);
    paged->pages[index].watched = true;
}

void page_check_clean(Paged *paged, uint32_t index, uint64_t entry)
{
    Pager *pager = paged->space->pager;
    bool dirty = entry & SVAN_PTE_DIRTY;

    if (!paged->process) {
        return;
    }
    pager->counts.dirty += dirty;
    pager->counts.clean += !dirty;
    if (!dirty && (!paged->pages[index].watched ||
                   memcmp(paged->clean + (size_t)index * SIM_PAGE,
                          page_mem(paged, index), SIM_PAGE))) {
        world_fail(pager->node->world, "node %u: page %" PRIx64 " was changed, "
                   "and its entry %" PRIx64 " is clean", pager->node->id,
                   page_number(paged, index) * SIM_PAGE, entry);
    }
}

/* The contents go to another page; nobody knows of the old one any more. */
static void move(Paged *paged, uint32_t index)
{
    Pager *pager = paged->space->pager;
    uint32_t old = paged->region->pages[index], new = frame_take(pager);

    memcpy(frame_mem(pager, new), frame_mem(pager, old), SIM_PAGE);
    paged->region->pages[index] = new;
    pager->frames[new / SIM_PAGE] = (Frame) { FRAME_DATA, paged, index };
    frame_give(pager, old);
}

/* ---- invalidation ---- */

static void write_wide(Pager *pager, uint32_t reg, uint64_t value)
{
    SvanCore *core = pager->node->fake->core;

    if (reg < SVAN_REG_INV_CONTEXT(0) && rng_below(&pager->rng, 2)) {
        svan_reg_write(core, 0, reg, (uint32_t)value, 4);
        svan_reg_write(core, 0, reg + 4, value >> 32, 4);
    } else {
        svan_reg_write(core, 0, reg, value, 8);
    }
}

static void invalidate_go(Pager *pager, uint32_t kind)
{
    svan_reg_write(pager->node->fake->core, 0, SVAN_REG_INV_GO, kind, 4);
}

static void invalidate_key(Paged *paged, uint64_t page, uint32_t count)
{
    Pager *pager = paged->space->pager;
    uint64_t addr = page * SIM_PAGE, length = (uint64_t)count * SIM_PAGE;

    if (count == 1 && rng_below(&pager->rng, 2)) {
        addr += rng_below(&pager->rng, SIM_PAGE);       /* any octet of it */
        length = 1;
    } else if (rng_below(&pager->rng, 8) == 0) {
        addr = rng_next(&pager->rng);
        length = 0;
    }
    svan_reg_write(pager->node->fake->core, 0, SVAN_REG_INV_TARGET,
                   paged->region->key, 4);
    write_wide(pager, SVAN_REG_INV_ADDR, addr);
    write_wide(pager, SVAN_REG_INV_LENGTH, length);
    invalidate_go(pager, SVAN_INV_KEY);
}

static void invalidate_process(Paged *paged, uint64_t page, uint32_t count)
{
    uint32_t reg = SVAN_REG_INV_CONTEXT(paged->process->pasid), log = 0;
    Pager *pager = paged->space->pager;
    uint64_t last = page + count - 1;

    switch (rng_below(&pager->rng, 8)) {
    case 0:
        write_wide(pager, reg, SVAN_INV_CONTEXT_ALL | page * SIM_PAGE);
        break;
    case 1:
        invalidate_key(paged, page, count);
        break;
    case 2: case 3:
        for (uint32_t i = 0; i < count; i++) {
            write_wide(pager, reg, svan_inv_context((page + i) * SIM_PAGE, 0));
        }
        break;
    default:
        while (page >> log != last >> log) {
            log++;
        }
        write_wide(pager, reg, svan_inv_context(page * SIM_PAGE, log));
        break;
    }
}

void page_invalidate(Paged *paged, uint32_t index, uint32_t count)
{
    Pager *pager = paged->space->pager;
    const struct svan_process_context *contexts =
        (void *)frame_mem(pager, pager->contexts);
    uint64_t page = page_number(paged, index);

    if (paged->process && !contexts[paged->process->pasid].cached) {
        pager->counts.spared++;
        return;
    }
    pager->counts.invalidated++;
    if (rng_below(&pager->rng, 16) == 0) {
        invalidate_go(pager, SVAN_INV_FUNCTION);
    } else if (paged->process) {
        invalidate_process(paged, page, count);
    } else {
        invalidate_key(paged, page, count);
    }
}

/* ---- what is done to pages ---- */

static void set_present(Paged *paged, uint32_t index, bool writable,
                        uint64_t marks)
{
    uint64_t entry = space_present(paged->space, page_bus(paged, index),
                                   writable);

    if (paged->process) {
        entry |= marks;
        if (!(marks & SVAN_PTE_DIRTY)) {
            page_remember(paged, index);
        }
    }
    *space_make(paged->space, page_number(paged, index)) =
        svan_cpu_to_le64(entry);
    paged->pages[index].mapped = true;
    paged->pages[index].writable = writable;
}

void page_evict(Paged *paged, uint32_t index, uint32_t count)
{
    Pager *pager = paged->space->pager;
    bool gone[SVAN_MTT_TABLE_ENTRIES];

    if (paged->huge) {
        huge_split(paged);
    }
    for (uint32_t i = 0; i < count; i++) {
        PageState *page = &paged->pages[index + i];
        __le64 *slot = page_entry(paged, index + i);

        gone[i] = page->mapped;
        if (page->mapped) {
            page_check_clean(paged, index + i, svan_le64_to_cpu(*slot));
            page->mapped = page->watched = false;
            pager->counts.evicted++;
        }
        /* of a page that is absent already more may be known now */
        if (slot && (gone[i] || rng_below(&pager->rng, 2))) {
            *slot = svan_cpu_to_le64(space_absent(paged->space, &pager->rng));
        }
    }
    page_invalidate(paged, index, count);
    for (uint32_t i = 0; i < count; i++) {
        if (gone[i]) {
            move(paged, index + i);
        }
    }
}

/* A shared page gets a copy of its own, or there is nobody else any more. */
static void unprotect(Paged *paged, uint32_t index)
{
    __le64 *slot = page_entry(paged, index);
    uint64_t marks = svan_le64_to_cpu(*slot) & MARKS;

    if (rng_below(&paged->space->pager->rng, 2)) {
        *slot = 0;
        page_invalidate(paged, index, 1);
        move(paged, index);
    }
    if (marks & SVAN_PTE_DIRTY) {
        set_present(paged, index, true, marks);
    } else {
        /* the same contents as ever: what is remembered goes on to count */
        *slot = svan_cpu_to_le64(space_present(paged->space,
                                               page_bus(paged, index), true) |
                                 (paged->process ? marks : 0));
        paged->pages[index].writable = true;
    }
}

void page_map(Paged *paged, uint32_t index, bool write)
{
    PageState *page = &paged->pages[index];
    Rng *rng = &paged->space->pager->rng;

    if (paged->huge) {
        huge_unprotect(paged);
    } else if (!page->mapped) {
        set_present(paged, index, write || rng_below(rng, 2),
                    rng_next(rng) & (write ? MARKS : SVAN_PTE_ACCESSED));
    } else if (write && !page->writable) {
        unprotect(paged, index);
    }
}

/* Write access is taken back; for the next one it is asked. */
static void protect(Paged *paged, uint32_t index, uint32_t count)
{
    uint64_t bit = paged->process ? SVAN_PTE_WRITABLE : SVAN_MTT_WRITABLE;

    for (uint32_t i = 0; i < count; i++) {
        if (paged->pages[index + i].mapped) {
            *page_entry(paged, index + i) &= ~svan_cpu_to_le64(bit);
            paged->pages[index + i].writable = false;
            paged->space->pager->counts.protected++;
        }
    }
    page_invalidate(paged, index, count);
}

/* As when pages are written back: from now on they are clean. */
static void clean(Paged *paged, uint32_t index, uint32_t count)
{
    for (uint32_t i = 0; paged->process && i < count; i++) {
        if (paged->pages[index + i].mapped) {
            __le64 *slot = page_entry(paged, index + i);

            page_check_clean(paged, index + i, svan_le64_to_cpu(*slot));
            *slot &= ~svan_cpu_to_le64(MARKS);
            page_remember(paged, index + i);
            paged->space->pager->counts.cleaned++;
        }
    }
    page_invalidate(paged, index, count);
}

/* As when memory is compacted: there at once, elsewhere. */
static void relocate(Paged *paged, uint32_t index, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (paged->pages[index + i].mapped) {
            __le64 *slot = page_entry(paged, index + i);
            uint64_t entry = svan_le64_to_cpu(*slot) & ~SVAN_PTE_ADDR_MASK;

            *slot = 0;
            page_invalidate(paged, index + i, 1);
            move(paged, index + i);
            *slot = svan_cpu_to_le64(entry | page_bus(paged, index + i));
            paged->space->pager->counts.moved++;
        }
    }
}

/* Nothing of a whole table is left, nor the table. */
static void prune(Paged *paged, uint32_t index)
{
    Pager *pager = paged->space->pager;
    uint64_t page = page_number(paged, index);
    uint32_t before = (page - paged->space->table.first) % SVAN_MTT_TABLE_ENTRIES;
    uint32_t first = index > before ? index - before : 0;
    uint32_t end = index + SVAN_MTT_TABLE_ENTRIES - before, table;

    end = end < paged->region->num_pages ? end : paged->region->num_pages;
    page_evict(paged, first, end - first);
    table = space_prune(paged->space, page,
                        paged->process ? 0 : space_absent(paged->space,
                                                          &pager->rng));
    if (table) {
        page_invalidate(paged, first, end - first);
        frame_give(pager, table);
        pager->counts.pruned++;
    }
}

static void disturb(Pager *pager)
{
    Paged *paged = &pager->paged[rng_below(&pager->rng, pager->num_paged)];
    uint32_t pages = paged->region->num_pages;
    uint32_t index = rng_below(&pager->rng, pages);
    uint32_t count = rng_between(&pager->rng, 1, pager->model->batch);

    count = count < pages - index ? count : pages - index;
    if (paged->huge) {
        huge_disturb(paged);
        return;
    }
    switch (rng_below(&pager->rng, 16)) {
    case 0: case 1: case 2:
        protect(paged, index, count);
        break;
    case 3: case 4:
        clean(paged, index, count);
        break;
    case 5: case 6:
        relocate(paged, index, count);
        break;
    case 7:
        if (rng_below(&pager->rng, 16) == 0) {
            prune(paged, index);
            break;
        }
        /* fallthrough */
    default:
        page_evict(paged, index, count);
        break;
    }
}

static void disturb_event(void *arg)
{
    Pager *pager = arg;
    if (pager->num_paged) {
        disturb(pager);
    }
    world_after(pager->node->world,
                rng_between(&pager->rng, pager->mean / 2, pager->mean * 3 / 2),
                disturb_event, pager);
}

/* ---- regions ---- */

static void adopt(Paged *paged)
{
    Region *region = paged->region;
    Pager *pager = paged->space->pager;

    paged->pages = calloc(region->num_pages, sizeof(paged->pages[0]));
    paged->clean = malloc((size_t)region->num_pages * SIM_PAGE);
    if (paged->process && rng_below(&pager->rng, 2)) {
        huge_adopt(paged);
    }
    for (uint32_t i = 0; i < region->num_pages; i++) {
        pager->frames[region->pages[i] / SIM_PAGE] =
            (Frame) { FRAME_DATA, paged, i };
        if (!paged->huge && rng_below(&pager->rng, 2)) {
            page_map(paged, i, rng_below(&pager->rng, 2));
        }
    }
}

static void register_ondemand(Paged *paged, struct svan_cmd_create_key *key)
{
    const Region *region = paged->region;
    Pager *pager = paged->space->pager;
    uint8_t least = region->num_pages > SVAN_MTT_TABLE_ENTRIES ? 2 : 1;

    space_init(&paged->own, pager, false,
               rng_between(&pager->rng, least, SVAN_MTT_MAX_LEVELS),
               page_number(paged, 0));
    key->kind = SVAN_KEY_ONDEMAND;
    key->levels = paged->own.table.levels;
    key->table = svan_cpu_to_le64(paged->own.table.root);
}

static void register_process(Paged *paged, struct svan_cmd_create_key *key,
                             bool whole)
{
    key->kind = SVAN_KEY_PROCESS;
    key->pasid = svan_cpu_to_le32(paged->process->pasid);
    key->generation = svan_cpu_to_le32(GENERATION + paged->process->pasid);
    if (whole) {
        key->va = 0;
        key->length = svan_cpu_to_le64(1ull << (paged->space->table.levels == 5 ?
                                                56 : 47));
    }
}

/* The process whose addresses these are. */
static Process *process_of(Pager *pager, uint64_t va)
{
    return va & HIGH_HALF_OF_5 ? &pager->processes[1] : &pager->processes[0];
}

uint64_t pager_choose_va(Pager *pager, uint64_t va)
{
    va += rng_below(&pager->rng, SVAN_MTT_TABLE_ENTRIES) * SIM_PAGE;
    return rng_below(&pager->rng, 2) ? va | HIGH_HALF_OF_5 : va;
}

void pager_register(Pager *pager, Region *region, uint32_t access)
{
    Paged *paged = &pager->paged[pager->num_paged];
    bool writable = access & SVAN_ACCESS_LOCAL_WRITE;
    struct svan_cmd cmd = {
        .create_key = {
            .page_shift = 12, .access = svan_cpu_to_le32(access),
            .pd = svan_cpu_to_le32(pager->guest->host->pd),
            .va = svan_cpu_to_le64(region->va),
            .length = svan_cpu_to_le64(region->length),
        },
    };

    if (rng_below(&pager->rng, 8) == 0) {
        guest_register(pager->guest, region, access);
        return;
    }
    pager->num_paged++;
    paged->region = region;
    if (rng_below(&pager->rng, 2)) {
        paged->space = &paged->own;
        paged->own.pager = pager;
        register_ondemand(paged, &cmd.create_key);
    } else {
        paged->process = process_of(pager, region->va);
        paged->space = &paged->process->space;
        region->whole = writable && rng_ppm(&pager->rng, pager->model->whole);
        register_process(paged, &cmd.create_key, region->whole);
    }
    adopt(paged);
    region->key = guest_must(pager->guest, &cmd, SVAN_CMD_CREATE_KEY);
}

/* ---- policies and spare pages ---- */

#define ONE_OF(rng, ...) \
    (((const uint32_t[]) { __VA_ARGS__ })[rng_below(rng, \
        sizeof((const uint32_t[]) { __VA_ARGS__ }) / sizeof(uint32_t))])

void pager_set_policy(Pager *pager, uint32_t qpn)
{
    Rng *rng = &pager->rng;
    struct svan_cmd cmd = {
        .fault_policy = {
            .qpn = svan_cpu_to_le32(qpn),
            .policy = {
                .mode = ONE_OF(rng, SVAN_FAULT_MODE_AUTO, SVAN_FAULT_MODE_AUTO,
                               SVAN_FAULT_MODE_AUTO, SVAN_FAULT_MODE_HOLD,
                               SVAN_FAULT_MODE_RNR, SVAN_FAULT_MODE_DIVERT,
                               SVAN_FAULT_MODE_DROP),
                .sources = ONE_OF(rng, SVAN_ESTIMATE_MASK, SVAN_ESTIMATE_MASK,
                                  rng_below(rng, SVAN_ESTIMATE_MASK + 1)),
                .hold_max_us = svan_cpu_to_le32(ONE_OF(rng, 0, 20, 200, 1000)),
                .divert_max_us = svan_cpu_to_le32(ONE_OF(rng, 0, 100, 4000)),
                .drop_max_us = svan_cpu_to_le32(ONE_OF(rng, 0, 500, 8000)),
                .bound_us = svan_cpu_to_le32(ONE_OF(rng, 0, 20, 200, 2000)),
                .unknown_us = svan_cpu_to_le32(ONE_OF(rng, 0, 50, 500, 5000)),
                .hold_bytes = svan_cpu_to_le32(ONE_OF(rng, 0, 256, 5000,
                                                      1 << 16)),
                .divert_pages = svan_cpu_to_le32(ONE_OF(rng, 0, 1, 3, 64)),
            },
        },
    };

    guest_must(pager->guest, &cmd, SVAN_CMD_SET_FAULT_POLICY);
}

/* So few that they do not suffice. */
static void lend_spares(Pager *pager)
{
    uint64_t pages[SPARE_PAGES];

    for (uint32_t i = 0; i < SPARE_PAGES; i++) {
        pages[i] = pager->node->fake->bus + frame_take(pager);
    }
    page_queue_lend_pages(pager->guest->host, pages, SPARE_PAGES);
}

/* ---- life ---- */

static void make_process(Pager *pager, uint32_t n)
{
    Process *process = &pager->processes[n];
    struct svan_process_context *context;
    uint8_t levels = n ? 5 : rng_between(&pager->rng, 4, 5);

    do {
        process->pasid = rng_between(&pager->rng, 1, PASIDS - 1);
    } while (n && process->pasid == pager->processes[0].pasid);
    space_init(&process->space, pager, true, levels, 0);
    context = (struct svan_process_context *)
              frame_mem(pager, pager->contexts) + process->pasid;
    context->generation = svan_cpu_to_le32(GENERATION + process->pasid);
    if (rng_below(&pager->rng, 4)) {
        context->location_table = svan_cpu_to_le64(pager->node->fake->bus +
                                                   pager->locations);
        context->location_entries = svan_cpu_to_le32(
            rng_between(&pager->rng, 1, SVAN_LOCATION_COUNT));
    }
    page_table_to_context(&process->space.table, context);
}

static void make_contexts(Pager *pager)
{
    __le64 *locations;

    pager->contexts = guest_ram(pager->guest, SIM_PAGE);
    pager->locations = guest_ram(pager->guest, SIM_PAGE);
    locations = (__le64 *)frame_mem(pager, pager->locations);
    for (uint32_t i = 0; i < SVAN_LOCATION_COUNT; i++) {
        locations[i] = svan_cpu_to_le64(
            svan_mtt_absent(rng_below(&pager->rng, SVAN_FAULT_CLASS_COUNT),
                            random_time(&pager->rng, false)));
    }
    for (uint32_t i = 0; i < PAGER_PROCESSES; i++) {
        make_process(pager, i);
    }
    host_set_contexts(pager->guest->host,
                      pager->node->fake->bus + pager->contexts, PASIDS);
}

Pager *pager_new(Guest *guest, const PagerModel *model)
{
    uint32_t count = guest->node->world->model->ram_bytes / SIM_PAGE;
    Pager *pager = calloc(1, sizeof(*pager));

    pager->guest = guest;
    pager->node = guest->node;
    pager->model = model;
    pager->rng = rng_make(guest->node->world->seed, 600 + guest->node->id);
    pager->frames = calloc(count, sizeof(pager->frames[0]));
    pager->free = calloc(FREE_FRAMES, sizeof(pager->free[0]));
    for (uint32_t i = 0; i < FREE_FRAMES; i++) {
        frame_give(pager, page_take(&guest->pool, guest->node));
    }
    requests_init(pager);
    make_contexts(pager);
    lend_spares(pager);
    guest->pager = pager;
    pager->mean = model->evict * ONE_OF(&pager->rng, 1, 4, 10);
    world_after(pager->node->world, rng_below(&pager->rng, pager->mean),
                disturb_event, pager);
    return pager;
}

void pager_free(Pager *pager)
{
    for (uint32_t i = 0; pager && i < pager->num_paged; i++) {
        free(pager->paged[i].pages);
        free(pager->paged[i].clean);
    }
    if (pager) {
        free(pager->frames);
        free(pager->free);
        free(pager);
    }
}

void pager_check(Pager *pager)
{
    for (uint32_t i = 0; i < pager->num_paged; i++) {
        Paged *paged = &pager->paged[i];

        for (uint32_t n = 0; n < paged->region->num_pages; n++) {
            if (paged->pages[n].mapped) {
                uint8_t level;
                const __le64 *slot = space_leaf(paged->space,
                                                page_number(paged, n), &level);

                page_check_clean(paged, n, svan_le64_to_cpu(*slot));
            }
        }
    }
    for (uint32_t i = 0; i < pager->free_count; i++) {
        check_poison(pager, pager->free[(pager->free_head + i) % FREE_FRAMES]);
    }
}
