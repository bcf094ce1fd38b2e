/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation tables of on-demand keys, and page tables of processes, on pages of
 * the pager's, and what absent entries say.
 */
#include <string.h>

#include "pager.h"

static uint64_t new_page(void *pager)
{
    return ((Pager *)pager)->node->fake->bus + frame_take(pager);
}

void space_init(Space *space, Pager *pager, bool process, uint8_t levels,
                uint64_t first)
{
    space->pager = pager;
    space->table = (PageTable) {
        .fake = pager->node->fake, .process = process, .levels = levels,
        .first = first, .new_page = new_page, .arg = pager,
    };
    page_table_init(&space->table);
}

__le64 *space_leaf(Space *space, uint64_t page, uint8_t *level)
{
    *level = 1;
    return (__le64 *)page_table_find(&space->table, page, level);
}

__le64 *space_make(Space *space, uint64_t page)
{
    return (__le64 *)page_table_make(&space->table, page, 1);
}

__le64 *space_make_huge(Space *space, uint64_t page)
{
    return (__le64 *)page_table_make(&space->table, page, 2);
}

uint32_t space_prune(Space *space, uint64_t page, uint64_t entry)
{
    uint8_t level = 2;
    __le64 *slot = (__le64 *)page_table_find(&space->table, page, &level);
    uint64_t table;

    if (space->table.levels == 1 || level != 2 ||
        !(*slot & svan_cpu_to_le64(SVAN_PTE_PRESENT))) {
        return 0;
    }
    table = page_table_below(*slot);
    *slot = svan_cpu_to_le64(entry);
    return table - space->pager->node->fake->bus;
}

uint64_t space_present(const Space *space, uint64_t bus, bool writable)
{
    return page_table_present(&space->table, bus, writable);
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
    if (space->table.process) {
        return absent_pte(rng);
    }
    return rng_below(rng, 4) == 0 ? 0 :
           svan_mtt_absent(rng_below(rng, SVAN_FAULT_CLASS_COUNT),
                           random_time(rng, false));
}
