/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A region in one page of 2 MiB, until that is split; nothing but the split
 * takes pages of it away. What the device is told names one small page alone.
 */
#include <string.h>

#include "pager.h"

#define HUGE_PAGES      SVAN_MTT_TABLE_ENTRIES
#define MARKS           (SVAN_PTE_ACCESSED | SVAN_PTE_DIRTY)

static uint64_t first_page(const Paged *paged)
{
    return paged->region->va / SIM_PAGE;
}

static __le64 *huge_entry(Paged *paged)
{
    uint8_t level;

    return space_leaf(paged->space, first_page(paged), &level);
}

static void remember_all(Paged *paged)
{
    for (uint32_t i = 0; i < paged->region->num_pages; i++) {
        page_remember(paged, i);
    }
}

static void check_all(Paged *paged, uint64_t entry)
{
    for (uint32_t i = 0; i < paged->region->num_pages; i++) {
        page_check_clean(paged, i, entry);
    }
}

static void invalidate_any(Paged *paged)
{
    page_invalidate(paged, rng_below(&paged->space->pager->rng,
                                     paged->region->num_pages), 1);
}

void huge_adopt(Paged *paged)
{
    Region *region = paged->region;
    Pager *pager = paged->space->pager;
    uint32_t before = first_page(paged) % HUGE_PAGES;

    if (before + region->num_pages > HUGE_PAGES || pager->huge_used) {
        return;
    }
    pager->huge_used = paged->huge = true;
    for (uint32_t i = 0; i < region->num_pages; i++) {
        uint32_t new = PAGER_HUGE_OFFSET + (before + i) * SIM_PAGE;

        memcpy(pager->node->fake->ram + new,
               pager->node->fake->ram + region->pages[i], SIM_PAGE);
        region->pages[i] = new;
        pager->frames[new / SIM_PAGE] = (Frame) { FRAME_DATA, paged, i };
        paged->pages[i].mapped = paged->pages[i].writable = true;
    }
    remember_all(paged);
    *space_make_huge(paged->space, first_page(paged)) = svan_cpu_to_le64(
        space_present(paged->space, pager->node->fake->bus + PAGER_HUGE_OFFSET,
                      true) | SVAN_PTE_LARGE);
}

/* As many small entries, which inherit the marks. */
void huge_split(Paged *paged)
{
    Pager *pager = paged->space->pager;
    __le64 *slot = huge_entry(paged);
    uint64_t entry = svan_le64_to_cpu(*slot);

    check_all(paged, entry);
    *slot = 0;
    invalidate_any(paged);
    paged->huge = false;
    for (uint32_t i = 0; i < HUGE_PAGES; i++) {
        uint64_t page = first_page(paged) / HUGE_PAGES * HUGE_PAGES + i;

        *space_make(paged->space, page) = svan_cpu_to_le64(
            (entry & ~(uint64_t)SVAN_PTE_LARGE) + i * SIM_PAGE);
    }
    pager->counts.split++;
}

/* Some time a write comes, and asks for it. */
static void set_writable(Paged *paged, bool writable)
{
    __le64 *slot = huge_entry(paged);
    __le64 bit = svan_cpu_to_le64(SVAN_PTE_WRITABLE);

    *slot = writable ? *slot | bit : *slot & ~bit;
    for (uint32_t i = 0; i < paged->region->num_pages; i++) {
        paged->pages[i].writable = writable;
    }
}

void huge_unprotect(Paged *paged)
{
    set_writable(paged, true);
}

void huge_disturb(Paged *paged)
{
    __le64 *slot = huge_entry(paged);

    switch (rng_below(&paged->space->pager->rng, 12)) {
    case 0:
        huge_split(paged);
        break;
    case 1: case 2:
        set_writable(paged, false);
        invalidate_any(paged);
        break;
    case 3: case 4:
        check_all(paged, svan_le64_to_cpu(*slot));
        *slot &= ~svan_cpu_to_le64(MARKS);
        invalidate_any(paged);
        remember_all(paged);
        break;
    default:
        break;
    }
}
