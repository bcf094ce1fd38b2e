/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of the responder: pages of one on-demand key, each with a store
 * that it is in while it is absent.
 */
#ifndef VIRTUAL_PAGER_H
#define VIRTUAL_PAGER_H

#include "page_queue.h"
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

/* ---- the pager ---- */

#define PAGER_PAGES     (1u << 17)
#define PAGER_VA        0x7f0000000000ull

typedef struct Page {
    uint8_t store;              /* StoreId */
    bool present;
    bool cached;                /* absent, but in memory */
} Page;

typedef struct Work {
    Pager *pager;
    struct svan_page_request request;
    uint32_t page;
    StoreId store;
    uint64_t start, estimate;
    struct Work *next;          /* in its store's queue */
} Work;

typedef struct Queue {
    uint32_t busy;
    Work *head, **tail;
} Queue;

struct Pager {
    Trial *trial;
    Rng rng, times;
    struct svan_estimator est;
    Page pages[PAGER_PAGES];
    uint32_t resident[PAGER_PAGES], num_resident, limit;
    uint64_t *table;            /* leaves */
    uint64_t frames;            /* bus address */
    uint32_t key;
    PageQueue prq;
    Queue queues[STORES];
};

static inline Host *pager_host(Pager *pager)
{
    return pager->trial->hosts[RESPONDER];
}

/* ---- pages.c ---- */

void pages_init(Pager *pager);
/* Where a page is that is not present. */
StoreId pages_store(const Pager *pager, uint32_t page);
/* What is done when a page has come, one after the other. */
void pages_enter(Pager *pager, uint32_t page);
void pages_read_ahead(Pager *pager, const Work *work);
void pages_enter_rest(Pager *pager, const Work *work);
void pages_refine(Pager *pager, const Work *work);

#endif /* VIRTUAL_PAGER_H */
