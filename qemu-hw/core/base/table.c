/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Object tables. Free indices are searched from behind the last one given out,
 * so that an index rests as long as possible; its variant changes each time it
 * is given back, so that an old number of the object is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

bool svan_table_init(SvanTable *table, uint32_t capacity, uint32_t first)
{
    table->slots = calloc(capacity, sizeof(table->slots[0]));
    table->variants = calloc(capacity, sizeof(table->variants[0]));
    table->capacity = capacity;
    table->first = first;
    table->next = first;
    table->used = 0;
    if (!table->slots || !table->variants) {
        svan_table_fini(table);
        return false;
    }
    return true;
}

void svan_table_fini(SvanTable *table)
{
    free(table->slots);
    free(table->variants);
    table->slots = NULL;
    table->variants = NULL;
    table->capacity = 0;
}

void svan_table_reset(SvanTable *table)
{
    memset(table->variants, 0, table->capacity * sizeof(table->variants[0]));
    table->next = table->first;
}

static uint32_t table_after(const SvanTable *table, uint32_t index)
{
    return index + 1 < table->capacity ? index + 1 : table->first;
}

uint32_t svan_table_insert(SvanTable *table, void *object)
{
    uint32_t index = table->next;

    if (table->used >= table->capacity - table->first) {
        return SVAN_NONE;
    }
    while (table->slots[index]) {
        index = table_after(table, index);
    }
    table->slots[index] = object;
    table->used++;
    table->next = table_after(table, index);
    return index;
}

bool svan_table_insert_at(SvanTable *table, uint32_t index, void *object)
{
    if (index < table->first || index >= table->capacity ||
        table->slots[index]) {
        return false;
    }
    table->slots[index] = object;
    table->used++;
    return true;
}

void svan_table_remove(SvanTable *table, uint32_t index)
{
    if (svan_table_get(table, index)) {
        table->slots[index] = NULL;
        table->variants[index]++;
        table->used--;
    }
}

static uint32_t qn_at(const SvanTable *table, uint32_t index)
{
    return (uint32_t)table->variants[index] << SVAN_QN_INDEX_SHIFT | index;
}

/* The highest number is the one that multicast packets are for (9.2.6). */
bool svan_qn_insert(SvanTable *table, void *object, uint32_t want,
                    uint32_t *qn)
{
    uint32_t index = want & SVAN_QN_INDEX_MASK;

    if (want == SVAN_NONE) {
        index = svan_table_insert(table, object);
        if (index == SVAN_NONE) {
            return false;
        }
        table->variants[index] += qn_at(table, index) == SVAN_QPN_MASK;
    } else if (want == SVAN_QPN_MASK || index >= table->capacity ||
               table->variants[index] != want >> SVAN_QN_INDEX_SHIFT ||
               !svan_table_insert_at(table, index, object)) {
        return false;
    }
    *qn = qn_at(table, index);
    return true;
}
