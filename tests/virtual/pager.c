/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver and the kernel below it: requests are answered by PENDING with what
 * the driver's estimator has learned, served by the stores, entered, and answered
 * by RESOLVED. As many pages are taken away as come. What the driver does around
 * it is done here too: entries of pages taken away say "invalidated" and what
 * that takes as a rule, those around a page that was something else are refined,
 * what a request wants behind its page is entered if it is there.
 */
#include <stdlib.h>
#include <string.h>

#include "pager.h"

#define PAGES           (1u << 17)
#define FRAMES          256u            /* pages share them: nobody reads them */
#define EXTENT          64u             /* pages of one store in a row */
#define CLUSTER         8u              /* pages that are read together */
#define REFINED         32u             /* as the driver: SVAN_REFINE_PAGES */
#define REST            16u             /* SVAN_REST_PAGES */
#define PRQ_LOG         SVAN_PRQ_MAX_LOG_SIZE
#define KEY_VA          0x7f0000000000ull

#define NOTIFY          (4 * US)        /* interrupt, wake up, read the request */
#define ANSWER          (1 * US)        /* classify, look up, write PENDING */

typedef struct Page {
    uint8_t store;              /* StoreId */
    bool present;
    bool cached;                /* absent, but in memory */
} Page;

typedef struct Work {
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
    World *world;
    Rng rng, times;
    struct svan_estimator est;
    Page pages[PAGES];
    uint32_t resident[PAGES], num_resident, limit;
    uint64_t *table;            /* leaves */
    uint64_t frames;            /* bus address */
    uint32_t key;
    struct svan_page_request *requests;
    struct svan_page_response *responses;
    uint32_t ci, pi;
    Queue queues[STORES];
};

uint32_t pager_key(const Pager *pager)
{
    return pager->key;
}

uint64_t pager_draw(Pager *pager, Rng *rng, uint32_t pages)
{
    return KEY_VA + rng_below(rng, PAGES + 1 - pages) * SVAN_PAGE_SIZE;
}

static Fake *fake_of(Pager *pager)
{
    return pager->world->nodes[RESPONDER].fake;
}

static Host *host_of(Pager *pager)
{
    return pager->world->nodes[RESPONDER].host;
}

/* ---- pages ---- */

static StoreId store_of(const Pager *pager, uint32_t page)
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
    Host *host = host_of(pager);
    SvanCore *core = host->fake->core;

    pager->resident[i] = pager->resident[--pager->num_resident];
    pager->pages[page].present = false;
    pager->table[page] = absent_entry(pager, SVAN_FAULT_INVALIDATED,
                                      SVAN_EST_ANY);
    host_write(host, SVAN_REG_INV_TARGET, pager->key);
    svan_reg_write(core, 0, SVAN_REG_INV_ADDR,
                   KEY_VA + (uint64_t)page * SVAN_PAGE_SIZE, 8);
    svan_reg_write(core, 0, SVAN_REG_INV_LENGTH, SVAN_PAGE_SIZE, 8);
    host_write(host, SVAN_REG_INV_GO, SVAN_INV_KEY);
}

static void enter(Pager *pager, uint32_t page)
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
static void read_cluster(Pager *pager, uint32_t page, StoreId store)
{
    uint32_t first = page & ~(CLUSTER - 1);

    if (store != STORE_NVME && store != STORE_DISK) {
        return;
    }
    for (uint32_t i = first; i < first + CLUSTER; i++) {
        pager->pages[i].cached = !pager->pages[i].present;
    }
}

static void enter_rest(Pager *pager, const Work *work)
{
    uint64_t want = (le32toh(work->request.length) + SVAN_PAGE_SIZE - 1) /
                    SVAN_PAGE_SIZE;

    for (uint32_t i = 1; i < want && i < REST && work->page + i < PAGES; i++) {
        uint32_t page = work->page + i;

        if (!pager->pages[page].present &&
            store_of(pager, page) > STORE_CACHE) {
            return;
        }
        enter(pager, page);
    }
}

static bool is_quick(uint32_t fault_class)
{
    return fault_class == SVAN_FAULT_ZERO_FILL ||
           fault_class == SVAN_FAULT_PAGE_CACHE;
}

/* The entry was wrong: those around it are, too. */
static void refine(Pager *pager, const Work *work)
{
    uint32_t said = svan_mtt_absent_class(le64toh(work->request.entry));
    uint32_t found = stores[work->store].fault_class;
    uint32_t first = work->page & ~(REFINED - 1);

    if (said == found || (is_quick(said) && is_quick(found))) {
        return;
    }
    for (uint32_t i = first; i < first + REFINED; i++) {
        const Store *store = &stores[store_of(pager, i)];

        if (!pager->pages[i].present) {
            pager->table[i] = absent_entry(pager, store->fault_class,
                                           store->key);
        }
    }
}

/* ---- answers ---- */

static void respond(Pager *pager, const Work *work, uint8_t status,
                    uint64_t ns)
{
    uint32_t slot = pager->pi++ & ((2u << PRQ_LOG) - 1);

    pager->responses[slot] = (struct svan_page_response) {
        .token = work->request.token, .status = status,
        .fault_class = stores[work->store].fault_class,
        .time_ns = htole64(ns),
    };
    host_write(host_of(pager), SVAN_REG_PRR_DB, pager->pi);
    world_touch(pager->world, RESPONDER);
}

static void learn(Pager *pager, const Work *work)
{
    const Store *store = &stores[work->store];
    uint64_t entry = le64toh(work->request.entry);
    uint64_t actual = pager->world->now - work->start;

    svan_est_add(&pager->est, store->fault_class, store->key, work->estimate,
                 actual);
    if (svan_mtt_absent_class(entry) == SVAN_FAULT_INVALIDATED) {
        svan_est_add(&pager->est, SVAN_FAULT_INVALIDATED, SVAN_EST_ANY,
                     svan_mtt_absent_time(entry), actual);
    }
}

/* ---- the stores at work ---- */

static void served(World *world, uint64_t arg);

static void serve(Pager *pager, Work *work)
{
    world_after(pager->world, store_time(&stores[work->store], &pager->times),
                served, (uintptr_t)work);
}

/* Somebody else's read may have brought the page meanwhile. */
static void next_of(Pager *pager, StoreId store)
{
    Queue *queue = &pager->queues[store];
    Work *work = queue->head;

    queue->busy--;
    if (!work) {
        return;
    }
    queue->head = work->next;
    if (!queue->head) {
        queue->tail = &queue->head;
    }
    queue->busy++;
    if (store_of(pager, work->page) == STORE_CACHE ||
        pager->pages[work->page].present) {
        world_after(pager->world, 0, served, (uintptr_t)work);
    } else {
        serve(pager, work);
    }
}

static void served(World *world, uint64_t arg)
{
    Pager *pager = world->pager;
    Work *work = (Work *)(uintptr_t)arg;

    enter(pager, work->page);
    read_cluster(pager, work->page, work->store);
    respond(pager, work, SVAN_PAGE_RESOLVED, 0);
    learn(pager, work);
    enter_rest(pager, work);
    refine(pager, work);
    next_of(pager, work->store);
    free(work);
}

static void queue_work(Pager *pager, Work *work)
{
    Queue *queue = &pager->queues[work->store];
    uint32_t depth = stores[work->store].depth;

    if (depth && queue->busy >= depth) {
        work->next = NULL;
        *queue->tail = work;
        queue->tail = &work->next;
        return;
    }
    queue->busy++;
    serve(pager, work);
}

/* ---- requests ---- */

static void pending(World *world, uint64_t arg)
{
    Pager *pager = world->pager;
    Work *work = (Work *)(uintptr_t)arg;

    respond(pager, work, SVAN_PAGE_PENDING, work->estimate);
    queue_work(pager, work);
}

static void take_up(World *world, uint64_t arg)
{
    Pager *pager = world->pager;
    Work *work = (Work *)(uintptr_t)arg;
    const Store *store;

    work->start = world->now;
    work->store = store_of(pager, work->page);
    if (pager->pages[work->page].present) {
        work->store = STORE_CACHE;
    }
    store = &stores[work->store];
    work->estimate = svan_est_get(&pager->est, store->fault_class, store->key);
    world_after(world, ANSWER, pending, arg);
}

void pager_look(World *world)
{
    Pager *pager = world->pager;
    uint32_t mask = (1u << PRQ_LOG) - 1, ci = pager->ci;

    for (;;) {
        struct svan_page_request *at = &pager->requests[ci & mask];
        uint8_t phase = (ci >> PRQ_LOG) & 1 ? 0 : SVAN_PAGE_REQ_PHASE;
        Work *work;

        if ((at->owner & SVAN_PAGE_REQ_PHASE) != phase) {
            break;
        }
        work = must(calloc(1, sizeof(*work)));
        work->request = *at;
        work->page = (le64toh(at->addr) - KEY_VA) / SVAN_PAGE_SIZE;
        ci++;
        world_after(world, NOTIFY, take_up, (uintptr_t)work);
    }
    if (ci != pager->ci) {
        pager->ci = ci;
        host_write(host_of(pager), SVAN_REG_PRQ_DB, ci & SVAN_PRQ_DB_CI_MASK);
    }
}

/* ---- life ---- */

static void make_key(Pager *pager)
{
    Fake *fake = fake_of(pager);
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_ONDEMAND, .levels = 2, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(host_of(pager)->pd), .va = htole64(KEY_VA),
        .length = htole64((uint64_t)PAGES * SVAN_PAGE_SIZE),
    };
    uint64_t root = fake_alloc(fake, SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    uint64_t leaves = fake_alloc(fake, PAGES * 8, SVAN_PAGE_SIZE);
    uint64_t *entries = fake_ram(fake, root);

    for (uint32_t i = 0; i < PAGES / SVAN_MTT_TABLE_ENTRIES; i++) {
        entries[i] = htole64(svan_mtt_present(leaves + i * SVAN_PAGE_SIZE,
                                              false));
    }
    key.table = htole64(root);
    pager->table = fake_ram(fake, leaves);
    pager->frames = fake_alloc(fake, FRAMES * SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    pager->key = host_key(host_of(pager), &key);
}

static void make_prq(Pager *pager)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_PRQ);
    Fake *fake = fake_of(pager);
    uint64_t requests = fake_alloc(fake, 64u << PRQ_LOG, SVAN_PAGE_SIZE);
    uint64_t responses = fake_alloc(fake, 32u << PRQ_LOG, SVAN_PAGE_SIZE);

    cmd.create_prq.requests = htole64(requests);
    cmd.create_prq.responses = htole64(responses);
    cmd.create_prq.log_size = PRQ_LOG;
    host_must(host_of(pager), &cmd);
    pager->requests = fake_ram(fake, requests);
    pager->responses = fake_ram(fake, responses);
}

static void make_spares(Pager *pager, uint32_t count)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_SPARE_PAGES);
    Fake *fake = fake_of(pager);
    uint64_t list = fake_alloc(fake, SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    uint64_t *pages = fake_ram(fake, list);

    for (uint32_t i = 0; i < count; i++) {
        pages[i] = htole64(fake_alloc(fake, SVAN_PAGE_SIZE, SVAN_PAGE_SIZE));
    }
    cmd.spare_pages.addr = htole64(list);
    cmd.spare_pages.count = htole32(count);
    host_must(host_of(pager), &cmd);
}

/* Every page has a store; some are there, whichever. */
static void populate(Pager *pager)
{
    const Scenario *scenario = pager->world->run->scenario;
    StoreId store = 0;

    pager->limit = (uint64_t)PAGES * scenario->resident_ppm / 1000000;
    for (uint32_t i = 0; i < PAGES; i++) {
        if (i % EXTENT == 0) {
            store = store_draw(&pager->rng, scenario->disk_ppm);
        }
        pager->pages[i].store = store;
        pager->table[i] = absent_entry(pager, SVAN_FAULT_INVALIDATED,
                                       SVAN_EST_ANY);
    }
    while (pager->num_resident < pager->limit) {
        enter(pager, rng_below(&pager->rng, PAGES));
    }
}

Pager *pager_create(World *world)
{
    Pager *pager = must(calloc(1, sizeof(*pager)));

    pager->world = world;
    pager->rng = rng_make(world->run->seed, 1);
    pager->times = rng_make(world->run->seed, 2);
    svan_est_reset(&pager->est);
    for (uint32_t i = 0; i < STORES; i++) {
        pager->queues[i].tail = &pager->queues[i].head;
    }
    make_key(pager);
    make_prq(pager);
    make_spares(pager, world->run->scenario->spares);
    populate(pager);
    return pager;
}

static void drop_work(World *world)
{
    for (uint32_t i = 0; i < world->len; i++) {
        EventFn *fn = world->heap[i].fn;

        if (fn == take_up || fn == pending || fn == served) {
            free((Work *)(uintptr_t)world->heap[i].arg);
        }
    }
}

void pager_destroy(Pager *pager)
{
    drop_work(pager->world);
    for (uint32_t i = 0; i < STORES; i++) {
        Work *work = pager->queues[i].head;

        while (work) {
            Work *next = work->next;

            free(work);
            work = next;
        }
    }
    free(pager);
}
