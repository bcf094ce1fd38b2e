/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables by which the device finds the pages of a key, or of a process, in
 * guest memory. Tables come as they are needed. Pages are told by their numbers.
 */
#ifndef TESTS_PAGE_TABLE_H
#define TESTS_PAGE_TABLE_H

#include "fake.h"

typedef struct PageTable {
    Fake *fake;
    bool process;               /* as the CPU's; else as that of a key */
    uint8_t levels;
    uint64_t first;             /* the page of the first entry; of a process 0 */
    uint64_t root;              /* bus address */
    /* bus address of a page of zeroes; NULL: fake_alloc() */
    uint64_t (*new_page)(void *arg);
    void *arg;
} PageTable;

/* An empty one: all is set but the root. */
void page_table_init(PageTable *table);
/* The entry of a page at a level; tables above it are made. */
uint64_t *page_table_make(PageTable *table, uint64_t page, uint8_t level);
/*
 * The entry of a page at *level, or what ends the walk above it, an absent entry
 * or one of a large page, and its level.
 */
uint64_t *page_table_find(const PageTable *table, uint64_t page,
                          uint8_t *level);
/* The entry of a page that is there, neither accessed nor dirty. */
uint64_t page_table_present(const PageTable *table, uint64_t bus,
                            bool writable);
/* The table that an entry leads to. */
static inline uint64_t page_table_below(uint64_t entry)
{
    return le64toh(entry) & SVAN_PTE_ADDR_MASK;
}

/* Let a process context have this table. */
void page_table_to_context(const PageTable *table,
                           struct svan_process_context *context);

#endif /* TESTS_PAGE_TABLE_H */
