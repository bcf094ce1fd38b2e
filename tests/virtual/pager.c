/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver and the kernel below it: requests are answered by PENDING with what
 * the driver's estimator has learned, served by the stores, and answered by
 * RESOLVED.
 */
#include <stdlib.h>
#include <string.h>

#include "pager.h"

#define PRQ_LOG         SVAN_PRQ_MAX_LOG_SIZE
#define NOTIFY          (4 * US)        /* interrupt, wake up, read the request */
#define ANSWER          (1 * US)        /* classify, look up, write PENDING */

/* ---- answers ---- */

static void respond(Pager *pager, const Work *work, uint8_t status,
                    uint64_t ns)
{
    page_queue_answer(&pager->prq, &(struct svan_page_response) {
        .token = work->request.token, .status = status,
        .fault_class = stores[work->store].fault_class,
        .time_ns = htole64(ns),
    });
}

static void learn(Pager *pager, const Work *work)
{
    const Store *store = &stores[work->store];
    uint64_t entry = le64toh(work->request.entry);
    uint64_t actual = pager->trial->world->now - work->start;

    svan_est_add(&pager->est, store->fault_class, store->key, work->estimate,
                 actual);
    if (svan_mtt_absent_class(entry) == SVAN_FAULT_INVALIDATED) {
        svan_est_add(&pager->est, SVAN_FAULT_INVALIDATED, SVAN_EST_ANY,
                     svan_mtt_absent_time(entry), actual);
    }
}

/* ---- the stores at work ---- */

static void served(void *arg);

static void serve(Pager *pager, Work *work)
{
    world_after(pager->trial->world,
                store_time(&stores[work->store], &pager->times), served, work);
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
    if (pages_store(pager, work->page) == STORE_CACHE ||
        pager->pages[work->page].present) {
        world_after(pager->trial->world, 0, served, work);
    } else {
        serve(pager, work);
    }
}

static void served(void *arg)
{
    Work *work = arg;
    Pager *pager = work->pager;

    pages_enter(pager, work->page);
    pages_read_ahead(pager, work);
    respond(pager, work, SVAN_PAGE_RESOLVED, 0);
    learn(pager, work);
    pages_enter_rest(pager, work);
    pages_refine(pager, work);
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

static void pending(void *arg)
{
    Work *work = arg;
    Pager *pager = work->pager;

    respond(pager, work, SVAN_PAGE_PENDING, work->estimate);
    queue_work(pager, work);
}

static void take_up(void *arg)
{
    Work *work = arg;
    Pager *pager = work->pager;
    const Store *store;

    work->start = pager->trial->world->now;
    work->store = pages_store(pager, work->page);
    if (pager->pages[work->page].present) {
        work->store = STORE_CACHE;
    }
    store = &stores[work->store];
    work->estimate = svan_est_get(&pager->est, store->fault_class, store->key);
    world_after(pager->trial->world, ANSWER, pending, arg);
}

void pager_look(Trial *trial)
{
    Pager *pager = trial->pager;
    struct svan_page_request request;
    uint32_t before = pager->prq.ci;

    while (page_queue_take(&pager->prq, &request)) {
        Work *work = fake_must(calloc(1, sizeof(*work)));

        work->pager = pager;
        work->request = request;
        work->page = (le64toh(request.addr) - PAGER_VA) / SVAN_PAGE_SIZE;
        world_after(trial->world, NOTIFY, take_up, work);
    }
    if (pager->prq.ci != before) {
        page_queue_consumed(&pager->prq, false);
    }
}

/* ---- life ---- */

Pager *pager_create(Trial *trial)
{
    Pager *pager = fake_must(calloc(1, sizeof(*pager)));

    pager->trial = trial;
    pager->rng = rng_make(trial->run->seed, 1);
    pager->times = rng_make(trial->run->seed, 2);
    svan_est_reset(&pager->est);
    for (uint32_t i = 0; i < STORES; i++) {
        pager->queues[i].tail = &pager->queues[i].head;
    }
    pager->prq = page_queue(trial->hosts[RESPONDER], PRQ_LOG);
    page_queue_lend(trial->hosts[RESPONDER], trial->run->scenario->spares);
    pages_init(pager);
    return pager;
}

void pager_destroy(Pager *pager)
{
    EventQueue *events = &pager->trial->world->events;

    events_drop(events, take_up, free);
    events_drop(events, pending, free);
    events_drop(events, served, free);
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
