/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Statistics of a function.
 */
#include <string.h>

#include "device/device.h"

void svan_stats(SvanCore *core, uint16_t id, SvanStats *stats)
{
    SvanFn *fn = svan_fn(core, id);

    memset(stats, 0, sizeof(*stats));
    if (!fn) {
        return;
    }
    if (fn->stats) {
#define COPY_STAT(name) stats->name = fn->stats->name;
        SVAN_STATS(COPY_STAT)
#undef COPY_STAT
    }
    stats->doorbells = atomic_load_explicit(&fn->doorbells,
                                            memory_order_relaxed);
    stats->doorbells_refused = atomic_load_explicit(&fn->doorbells_refused,
                                                    memory_order_relaxed);
    stats->doorbells_bad_access =
        atomic_load_explicit(&fn->doorbells_bad_access, memory_order_relaxed);
    if (!fn->regs->enabled) {
        return;
    }
    stats->held_bytes = fn->paging->held_bytes;
    stats->open_requests = svan_prq_open_requests(fn);
    stats->spares_lent = svan_spares_in_use(fn);
}
