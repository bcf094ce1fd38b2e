/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of what was seen on the network, such as flows and paths. A table takes all of
 * its memory when it is made, so strangers can neither make it grow nor, as its hash has
 * factors that they do not know, make a search in it long. What was used longest ago is
 * the first to make room.
 */
#ifndef SVAN_NET_AGED_H
#define SVAN_NET_AGED_H

#include <string.h>

#include "base/base.h"

#define SVAN_AGED_WORDS         5

typedef struct SvanAgedKey {
    uint64_t words[SVAN_AGED_WORDS];
} SvanAgedKey;

/* The first member of an entry. */
typedef struct SvanAged {
    struct SvanAged *chain;     /* in its bucket, or of those that are free */
    SvanLink age;               /* SvanAgedTable.used; in no list while it is free */
    SvanAgedKey key;
    uint64_t used_at;           /* ns */
} SvanAged;

typedef struct SvanAgedTable {
    uint8_t *entries;           /* max of them, entry_size octets each */
    size_t entry_size;
    SvanAged **buckets;         /* a power of two, not fewer than entries */
    SvanAged *free;
    SvanLink used;              /* the one that was used longest ago comes first */
    uint64_t factors[SVAN_AGED_WORDS];
    uint32_t log_buckets, max, count;
    uint32_t fresh;             /* entries from here on were never used, nor touched */
} SvanAgedTable;

/* Entries are zeroed. seed: whatever strangers do not know. false: no memory. */
bool svan_aged_init(SvanAgedTable *table, uint32_t max, size_t entry_size, uint64_t seed);
void svan_aged_fini(SvanAgedTable *table);
/* NULL: there is none. */
SvanAged *svan_aged_find(const SvanAgedTable *table, const SvanAgedKey *key);
/*
 * A new entry, all zeroes behind its SvanAged, of a key that the table does not have. NULL:
 * the table is full.
 */
SvanAged *svan_aged_add(SvanAgedTable *table, const SvanAgedKey *key, uint64_t now);
void svan_aged_remove(SvanAgedTable *table, SvanAged *entry);

/* It is used now: all others were used before. */
static inline void svan_aged_touch(SvanAgedTable *table, SvanAged *entry, uint64_t now)
{
    entry->used_at = now;
    if (entry->age.next != &table->used) {
        svan_list_remove(&entry->age);
        svan_list_append(&table->used, &entry->age);
    }
}

/* The entry behind this one in the order of use; NULL: the first; and: there is none. */
static inline SvanAged *svan_aged_next(const SvanAgedTable *table, const SvanAged *entry)
{
    SvanLink *link = entry ? entry->age.next : table->used.next;

    return link == &table->used ? NULL : svan_container(link, SvanAged, age);
}

static inline bool svan_aged_is(const SvanAgedKey *a, const SvanAgedKey *b)
{
    uint64_t differs = 0;

    for (uint32_t i = 0; i < SVAN_AGED_WORDS; i++) {
        differs |= a->words[i] ^ b->words[i];
    }
    return !differs;
}

#endif /* SVAN_NET_AGED_H */
