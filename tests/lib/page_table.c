/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of keys and processes.
 */
#include "page_table.h"

#define PTE_TABLE       (SVAN_PTE_PRESENT | SVAN_PTE_WRITABLE | SVAN_PTE_USER)

static uint64_t new_page(PageTable *table)
{
    return table->new_page ? table->new_page(table->arg) :
           fake_alloc(table->fake, SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
}

void page_table_init(PageTable *table)
{
    table->root = new_page(table);
}

static uint64_t *entry_at(const PageTable *table, uint64_t at, uint64_t page,
                          uint8_t level)
{
    uint64_t n = (page - table->first) >> (level - 1) * SVAN_MTT_INDEX_BITS;
    uint64_t *entries = fake_ram(table->fake, at);

    return &entries[n % SVAN_MTT_TABLE_ENTRIES];
}

uint64_t *page_table_make(PageTable *table, uint64_t page, uint8_t level)
{
    uint64_t at = table->root;

    for (uint8_t above = table->levels; above > level; above--) {
        uint64_t *entry = entry_at(table, at, page, above);

        if (!(le64toh(*entry) & SVAN_PTE_PRESENT)) {
            uint64_t below = new_page(table);

            *entry = htole64(table->process ? below | PTE_TABLE :
                                              svan_mtt_present(below, false));
        }
        at = page_table_below(*entry);
    }
    return entry_at(table, at, page, level);
}

uint64_t *page_table_find(const PageTable *table, uint64_t page, uint8_t *level)
{
    uint64_t at = table->root;

    for (uint8_t above = table->levels; above > *level; above--) {
        uint64_t *entry = entry_at(table, at, page, above);
        uint64_t value = le64toh(*entry);

        if (!(value & SVAN_PTE_PRESENT) ||
            (table->process && (value & SVAN_PTE_LARGE))) {
            *level = above;
            return entry;
        }
        at = page_table_below(*entry);
    }
    return entry_at(table, at, page, *level);
}

uint64_t page_table_present(const PageTable *table, uint64_t bus, bool writable)
{
    return !table->process ? svan_mtt_present(bus, writable) :
           bus | SVAN_PTE_PRESENT | SVAN_PTE_USER |
           (writable ? SVAN_PTE_WRITABLE : 0);
}

void page_table_to_context(const PageTable *table,
                           struct svan_process_context *context)
{
    context->root = htole64(table->root);
    context->flags = htole32(SVAN_CTX_VALID |
                             SVAN_PT_X86_64 << SVAN_CTX_FORMAT_SHIFT |
                             table->levels << SVAN_CTX_LEVELS_SHIFT);
}
