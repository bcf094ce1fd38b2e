/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UAR pages and their owners. The array grows by doubling, as far as the highest page
 * that was given out needs.
 */
#include <stdlib.h>

#include "queue/queue.h"

#define MIN_UARS        8u

static bool uars_grow(SvanFn *fn, uint32_t want)
{
    SvanQueues *queues = fn->queues;
    uint32_t count = queues->num_uars ? queues->num_uars : MIN_UARS;
    SvanUar *uars;

    if (want <= queues->num_uars || want > fn->uar_count) {
        return want <= queues->num_uars;
    }
    while (count < want) {
        count *= 2;
    }
    count = count < fn->uar_count ? count : fn->uar_count;
    uars = realloc(queues->uars, count * sizeof(uars[0]));
    if (!uars) {
        return false;
    }
    for (uint32_t i = queues->num_uars; i < count; i++) {
        uars[i] = (SvanUar) { .owner = SVAN_NONE };
    }
    queues->uars = uars;
    queues->num_uars = count;
    return true;
}

SvanUar *svan_uar_take(SvanFn *fn, uint32_t uar, uint32_t owner,
                       uint32_t process)
{
    SvanUar *page;

    if (owner == SVAN_NONE || uar >= fn->uar_count || svan_uar_get(fn, uar) ||
        !uars_grow(fn, uar + 1)) {
        return NULL;
    }
    page = &fn->queues->uars[uar];
    *page = (SvanUar) { .owner = owner, .process = process };
    return page;
}
