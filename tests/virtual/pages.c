/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages come and go: as many are taken away as come. What the driver does
 * around a page that has come is done here too: entries of pages taken away say
 * "invalidated" and what that takes as a rule, those around a page that was
 * something else are refined, what a request wants behind its page is entered if
 * it is in memory.
 */
#include "pager.h"

#define FRAMES          256u            /* pages share them: nobody reads them */
#define EXTENT          64u             /* pages of one store in a row */
#define CLUSTER         8u              /* pages that are read together */
#define REFINED         32u             /* as the driver: SVAN_REFINE_PAGES */
#define REST            16u             /* SVAN_REST_PAGES */

uint32_t pager_key(const Pager *pager)
{
    return pager->key;
}

uint64_t pager_draw(Pager *pager, Rng *rng, uint32_t pages)
{
    return PAGER_VA + rng_below(rng, PAGER_PAGES + 1 - pages) * SVAN_PAGE_SIZE;
}

StoreId pages_store(const Pager *pager, uint32_t page)
{
    return pager->pages[page].cached ? STORE_CACHE : pager->pages[page].store;
}

static uint64_t absent_entry(const Pager *pager, uint32_t fault_class,
                             uint32_t key)
{
    return htole64(svan_mtt_absent(fault_class,
                                   svan_est_get(&pager->est, fault_class,
                                                key)));
}

static void evict(Pager *pager)
{
    uint32_t i = rng_below(&pager->rng, pager->num_resident);
    uint32_t page = pager->resident[i];
    Host *host = pager_host(pager);

    pager->resident[i] = pager->resident[--pager->num_resident];
    pager->pages[page].present = false;
    pager->table[page] = absent_entry(pager, SVAN_FAULT_INVALIDATED,
                                      SVAN_EST_ANY);
    host_invalidate_key(host, pager->key, PAGER_VA + (uint64_t)page * SVAN_PAGE_SIZE,
                        SVAN_PAGE_SIZE);
}

void pages_enter(Pager *pager, uint32_t page)
{
    if (pager->pages[page].present) {
        return;
    }
    while (pager->num_resident >= pager->limit) {
        evict(pager);
    }
    pager->pages[page].present = true;
    pager->pages[page].cached = false;
    pager->resident[pager->num_resident++] = page;
    pager->table[page] = htole64(svan_mtt_present(
        pager->frames + page % FRAMES * SVAN_PAGE_SIZE, true));
}

/* Readahead: the rest of the cluster has been read as well. */
void pages_read_ahead(Pager *pager, const Work *work)
{
    uint32_t first = work->page & ~(CLUSTER - 1);

    if (work->store != STORE_NVME && work->store != STORE_DISK) {
        return;
    }
    for (uint32_t i = first; i < first + CLUSTER; i++) {
        pager->pages[i].cached = !pager->pages[i].present;
    }
}

void pages_enter_rest(Pager *pager, const Work *work)
{
    uint64_t want = (le32toh(work->request.length) + SVAN_PAGE_SIZE - 1) /
                    SVAN_PAGE_SIZE;

    for (uint32_t i = 1; i < want && i < REST && work->page + i < PAGER_PAGES; i++) {
        uint32_t page = work->page + i;

        if (!pager->pages[page].present &&
            pages_store(pager, page) > STORE_CACHE) {
            return;
        }
        pages_enter(pager, page);
    }
}

static bool is_quick(uint32_t fault_class)
{
    return fault_class == SVAN_FAULT_ZERO_FILL ||
           fault_class == SVAN_FAULT_PAGE_CACHE;
}

/* The entry was wrong: those around it are, too. */
void pages_refine(Pager *pager, const Work *work)
{
    uint32_t said = svan_mtt_absent_class(le64toh(work->request.entry));
    uint32_t found = stores[work->store].fault_class;
    uint32_t first = work->page & ~(REFINED - 1);

    if (said == found || (is_quick(said) && is_quick(found))) {
        return;
    }
    for (uint32_t i = first; i < first + REFINED; i++) {
        const Store *store = &stores[pages_store(pager, i)];

        if (!pager->pages[i].present) {
            pager->table[i] = absent_entry(pager, store->fault_class,
                                           store->key);
        }
    }
}

/* ---- life ---- */

static void make_key(Pager *pager)
{
    Fake *fake = pager_host(pager)->fake;
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_ONDEMAND, .levels = 2, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(pager_host(pager)->pd), .va = htole64(PAGER_VA),
        .length = htole64((uint64_t)PAGER_PAGES * SVAN_PAGE_SIZE),
    };
    uint64_t root = fake_alloc(fake, SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    uint64_t leaves = fake_alloc(fake, PAGER_PAGES * 8, SVAN_PAGE_SIZE);
    uint64_t *entries = fake_ram(fake, root);

    for (uint32_t i = 0; i < PAGER_PAGES / SVAN_MTT_TABLE_ENTRIES; i++) {
        entries[i] = htole64(svan_mtt_present(leaves + i * SVAN_PAGE_SIZE,
                                              false));
    }
    key.table = htole64(root);
    pager->table = fake_ram(fake, leaves);
    pager->frames = fake_alloc(fake, FRAMES * SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    pager->key = host_key(pager_host(pager), &key);
}

/* Every page has a store; some are there, whichever. */
static void populate(Pager *pager)
{
    const Scenario *scenario = pager->trial->run->scenario;
    StoreId store = 0;

    pager->limit = (uint64_t)PAGER_PAGES * scenario->resident_ppm / 1000000;
    for (uint32_t i = 0; i < PAGER_PAGES; i++) {
        if (i % EXTENT == 0) {
            store = store_draw(&pager->rng, scenario->disk_ppm);
        }
        pager->pages[i].store = store;
        pager->table[i] = absent_entry(pager, SVAN_FAULT_INVALIDATED,
                                       SVAN_EST_ANY);
    }
    while (pager->num_resident < pager->limit) {
        pages_enter(pager, rng_below(&pager->rng, PAGER_PAGES));
    }
}

void pages_init(Pager *pager)
{
    make_key(pager);
    populate(pager);
}
