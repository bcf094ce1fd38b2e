/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where absent pages are, and how long it takes to get them: times of real
 * hardware, spread lognormally.
 */
#include <math.h>

#include "pager.h"

/*
 * Medians. A minor fault is some thousand cycles and a walk or two; zram has to
 * decompress 4 KiB; an NVMe drive reads in 80 to 100 us at queue depth 1; a disk
 * has to seek and turn, and sorts what is in its queue.
 */
const Store stores[STORES] = {
    [STORE_ZERO]  = { SVAN_FAULT_ZERO_FILL, SVAN_EST_ANY, 3 * US, 0.5, 0 },
    [STORE_CACHE] = { SVAN_FAULT_PAGE_CACHE, SVAN_EST_ANY, 4 * US, 0.5, 0 },
    [STORE_ZRAM]  = { SVAN_FAULT_SWAP_IN, 0, 25 * US, 0.4, 0 },
    [STORE_NVME]  = { SVAN_FAULT_FILE_READ, 1, 90 * US, 0.3, 128 },
    [STORE_DISK]  = { SVAN_FAULT_SWAP_IN, 2, 9 * MS, 0.35, 128 },
};

/* Of the pages that are not on the disk, parts of a hundred. */
static const uint32_t shares[STORES] = {
    [STORE_ZERO] = 30, [STORE_CACHE] = 20, [STORE_ZRAM] = 30, [STORE_NVME] = 20,
};

StoreId store_draw(Rng *rng, uint32_t disk_ppm)
{
    uint32_t left = rng_below(rng, 100), store = 0;

    if (rng_ppm(rng, disk_ppm)) {
        return STORE_DISK;
    }
    while (left >= shares[store]) {
        left -= shares[store++];
    }
    return store;
}

/* Box and Muller */
static double normal(Rng *rng)
{
    double u = (rng_next(rng) >> 11) * 0x1p-53 + 0x1p-54;
    double v = (rng_next(rng) >> 11) * 0x1p-53;

    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

uint64_t store_time(const Store *store, Rng *rng)
{
    return store->median * exp(store->sigma * normal(rng));
}
