/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation tables of on-demand keys, and page tables of processes. Tables
 * come as they are needed.
 */
#include <string.h>

#include "pager.h"

#define INDEX_BITS      SVAN_MTT_INDEX_BITS
#define PTE_TABLE       (SVAN_PTE_PRESENT | SVAN_PTE_WRITABLE | SVAN_PTE_USER)

void space_init(Space *space, Pager *pager, bool process, uint8_t levels,
                uint64_t first)
{
    space->pager = pager;
    space->process = process;
    space->levels = levels;
    space->first = first;
    space->root = frame_take(pager);
}

static __le64 *entry_at(Space *space, uint32_t table, uint64_t page,
                        uint8_t level)
{
    uint64_t n = (page - space->first) >> (level - 1) * INDEX_BITS;
    __le64 *entries = (__le64 *)(space->pager->node->fake->ram + table);

    return &entries[n % SVAN_MTT_TABLE_ENTRIES];
}

/* The same bits in both kinds of table. */
static uint32_t table_of(const Space *space, __le64 entry)
{
    return (svan_le64_to_cpu(entry) & SVAN_PTE_ADDR_MASK) -
           space->pager->node->fake->bus;
}

static void make_table(Space *space, __le64 *entry)
{
    uint64_t bus = space->pager->node->fake->bus + frame_take(space->pager);

    *entry = svan_cpu_to_le64(space->process ? bus | PTE_TABLE :
                                               svan_mtt_present(bus, 0));
}

/* Down to *level, or to what is nearest above it. */
static __le64 *descend(Space *space, uint64_t page, uint8_t *level, bool make)
{
    uint32_t table = space->root;
    uint8_t at;

    for (at = space->levels; at > *level; at--) {
        __le64 *entry = entry_at(space, table, page, at);
        uint64_t value = svan_le64_to_cpu(*entry);

        if (!(value & SVAN_PTE_PRESENT) && make) {
            make_table(space, entry);
        } else if (!(value & SVAN_PTE_PRESENT) ||
                   (space->process && (value & SVAN_PTE_LARGE))) {
            *level = at;
            return entry;
        }
        table = table_of(space, *entry);
    }
    return entry_at(space, table, page, at);
}

__le64 *space_leaf(Space *space, uint64_t page, uint8_t *level)
{
    *level = 1;
    return descend(space, page, level, false);
}

__le64 *space_make(Space *space, uint64_t page)
{
    uint8_t level = 1;

    return descend(space, page, &level, true);
}

__le64 *space_make_huge(Space *space, uint64_t page)
{
    uint8_t level = 2;

    return descend(space, page, &level, true);
}

uint32_t space_prune(Space *space, uint64_t page, uint64_t entry)
{
    uint8_t level = 2;
    __le64 *slot = descend(space, page, &level, false);
    uint32_t table;

    if (space->levels == 1 || level != 2 ||
        !(*slot & svan_cpu_to_le64(SVAN_PTE_PRESENT))) {
        return 0;
    }
    table = table_of(space, *slot);
    *slot = svan_cpu_to_le64(entry);
    return table;
}

uint64_t space_present(const Space *space, uint64_t bus, bool writable)
{
    return !space->process ? svan_mtt_present(bus, writable) :
           bus | SVAN_PTE_PRESENT | SVAN_PTE_USER |
           (writable ? SVAN_PTE_WRITABLE : 0);
}

static uint64_t absent_pte(Rng *rng)
{
    switch (rng_below(rng, 4)) {
    case 0:
        return 0;
    case 1:                             /* as for NUMA balancing */
        return (rng_next(rng) & SVAN_PTE_ADDR_MASK) | SVAN_PTE_PROTNONE |
               SVAN_PTE_DIRTY | SVAN_PTE_ACCESSED | SVAN_PTE_WRITABLE;
    default:                            /* any type, any offset */
        return rng_next(rng) & ~(SVAN_PTE_PRESENT | SVAN_PTE_PROTNONE);
    }
}

uint64_t space_absent(const Space *space, Rng *rng)
{
    if (space->process) {
        return absent_pte(rng);
    }
    return rng_below(rng, 4) == 0 ? 0 :
           svan_mtt_absent(rng_below(rng, SVAN_FAULT_CLASS_COUNT),
                           random_time(rng, false));
}
