/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash table of a fixed size, with a list of its entries in the order of their last use.
 */
#include <stdlib.h>

#include "net/aged.h"

/* The n-th number of the seed's sequence (splitmix64), made odd. */
static uint64_t factor(uint64_t seed, uint64_t n)
{
    uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (z ^ z >> 31) | 1;
}

bool svan_aged_init(SvanAgedTable *table, uint32_t max, size_t entry_size, uint64_t seed)
{

    *table = (SvanAgedTable) { .entry_size = entry_size, .max = max, .log_buckets = 1 };
    svan_list_init(&table->used);
    while (1u << table->log_buckets < max) {
        table->log_buckets++;
    }
    for (uint32_t i = 0; i < SVAN_AGED_WORDS; i++) {
        table->factors[i] = factor(seed, i);
    }
    table->entries = calloc(max, entry_size);
    table->buckets = calloc(1u << table->log_buckets, sizeof(table->buckets[0]));
    if (!table->entries || !table->buckets) {
        svan_aged_fini(table);
        return false;
    }
    return true;
}

void svan_aged_fini(SvanAgedTable *table)
{
    free(table->entries);
    free(table->buckets);
    table->entries = NULL;
    table->buckets = NULL;
    table->free = NULL;
}

static SvanAged **bucket_of(const SvanAgedTable *table, const SvanAgedKey *key)
{
    uint64_t hash = 0;

    for (uint32_t i = 0; i < SVAN_AGED_WORDS; i++) {
        /* Upper halves count as well: the product alone would drop what they differ in. */
        hash += (key->words[i] ^ key->words[i] >> 32) * table->factors[i];
    }
    return &table->buckets[hash >> (64 - table->log_buckets)];
}

SvanAged *svan_aged_find(const SvanAgedTable *table, const SvanAgedKey *key)
{
    SvanAged *entry = *bucket_of(table, key);

    while (entry && !svan_aged_is(&entry->key, key)) {
        entry = entry->chain;
    }
    return entry;
}

SvanAged *svan_aged_add(SvanAgedTable *table, const SvanAgedKey *key, uint64_t now)
{
    SvanAged *entry = table->free, **bucket = bucket_of(table, key);

    if (entry) {
        table->free = entry->chain;
    } else if (table->fresh < table->max) {
        entry = (SvanAged *)(table->entries + table->fresh++ * table->entry_size);
    } else {
        return NULL;
    }
    memset(entry, 0, table->entry_size);
    entry->key = *key;
    entry->used_at = now;
    entry->chain = *bucket;
    *bucket = entry;
    svan_list_append(&table->used, &entry->age);
    table->count++;
    return entry;
}

void svan_aged_remove(SvanAgedTable *table, SvanAged *entry)
{
    SvanAged **link = bucket_of(table, &entry->key);

    while (*link != entry) {
        link = &(*link)->chain;
    }
    *link = entry->chain;
    svan_list_remove(&entry->age);
    entry->chain = table->free;
    table->free = entry;
    table->count--;
}
