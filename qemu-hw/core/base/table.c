/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Object tables. The search for a free index begins behind the last one given out, so
 * that an index rests as long as possible before it is used again. Its variant changes
 * each time it is given back, so that the old object's number is refused. A table grows
 * by doubling, as far as the highest index that it has given out needs.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define MIN_SIZE        8u

void svan_table_init(SvanTable *table, uint32_t capacity, uint32_t first,
                     uint8_t variant)
{
    *table = (SvanTable) {
        .capacity = capacity, .first = first, .next = first, .variant = variant,
    };
}

void svan_table_fini(SvanTable *table)
{
    free(table->slots);
    free(table->variants);
    table->slots = NULL;
    table->variants = NULL;
    table->size = 0;
    table->capacity = 0;
}

bool svan_table_grow(SvanTable *table, uint32_t want)
{
    uint32_t size = table->size ? table->size : MIN_SIZE;
    uint8_t *variants;
    void **slots;

    if (want <= table->size || want > table->capacity) {
        return want <= table->size;
    }
    while (size < want) {
        size *= 2;
    }
    size = size < table->capacity ? size : table->capacity;
    slots = realloc(table->slots, size * sizeof(slots[0]));
    if (!slots) {
        return false;
    }
    table->slots = slots;
    variants = realloc(table->variants, size * sizeof(variants[0]));
    if (!variants) {
        return false;
    }
    table->variants = variants;
    memset(slots + table->size, 0, (size - table->size) * sizeof(slots[0]));
    memset(variants + table->size, table->variant, size - table->size);
    table->size = size;
    return true;
}

/*
 * Each index gives out its variants one after the other, beginning with table->variant.
 * So the one behind the furthest that any index has given out is unused at all of them.
 */
uint8_t svan_table_next_variant(const SvanTable *table)
{
    uint8_t used = 0;

    for (uint32_t i = 0; i < table->size; i++) {
        uint8_t ahead = table->variants[i] - table->variant;

        ahead += table->slots[i] && ahead < UINT8_MAX;
        used = ahead > used ? ahead : used;
    }
    return table->variant + used;
}

static uint32_t table_after(const SvanTable *table, uint32_t index)
{
    return index + 1 < table->capacity ? index + 1 : table->first;
}

uint32_t svan_table_insert(SvanTable *table, void *object)
{
    uint32_t index = table->next;

    if (table->used - table->below >= table->capacity - table->first) {
        return SVAN_NONE;
    }
    while (svan_table_get(table, index)) {
        index = table_after(table, index);
    }
    if (!svan_table_grow(table, index + 1)) {
        return SVAN_NONE;
    }
    table->slots[index] = object;
    table->used++;
    table->next = table_after(table, index);
    return index;
}

bool svan_table_insert_at(SvanTable *table, uint32_t index, void *object)
{
    if (index < table->first || index >= table->capacity ||
        svan_table_get(table, index) || !svan_table_grow(table, index + 1)) {
        return false;
    }
    table->slots[index] = object;
    table->used++;
    return true;
}

bool svan_table_insert_below(SvanTable *table, uint32_t index, void *object)
{
    if (index >= table->first || svan_table_get(table, index) ||
        !svan_table_grow(table, index + 1)) {
        return false;
    }
    table->slots[index] = object;
    table->used++;
    table->below++;
    return true;
}

void svan_table_remove(SvanTable *table, uint32_t index)
{
    if (!svan_table_get(table, index)) {
        return;
    }
    table->slots[index] = NULL;
    table->used--;
    if (index >= table->first) {
        table->variants[index]++;
    } else {
        table->below--;
    }
}

static uint32_t qn_at(const SvanTable *table, uint32_t index)
{
    return (uint32_t)table->variants[index] << SVAN_QN_INDEX_SHIFT | index;
}

/* The highest number is never given out: multicast packets carry it (IBTA 9.2.6). */
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
    } else if (want == SVAN_QPN_MASK ||
               svan_table_variant(table, index) != want >> SVAN_QN_INDEX_SHIFT ||
               !svan_table_insert_at(table, index, object)) {
        return false;
    }
    *qn = qn_at(table, index);
    return true;
}
