/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of the responder: pages of one on-demand key, each with a store
 * that it is in while it is absent.
 */
#ifndef VIRTUAL_PAGER_H
#define VIRTUAL_PAGER_H

#include "virtual.h"
#include "../../drivers/infiniband/hw/svan/estimate.h"

typedef enum StoreId {
    STORE_ZERO, STORE_CACHE, STORE_ZRAM, STORE_NVME, STORE_DISK, STORES
} StoreId;

typedef struct Store {
    uint8_t fault_class;        /* enum svan_fault_class */
    uint32_t key;               /* as the driver's estimator knows it */
    uint64_t median;
    double sigma;               /* of the logarithm */
    uint32_t depth;             /* served at a time; 0: all */
} Store;

extern const Store stores[STORES];

StoreId store_draw(Rng *rng, uint32_t disk_ppm);
uint64_t store_time(const Store *store, Rng *rng);

#endif /* VIRTUAL_PAGER_H */
