/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page requests and their answers: late, in any order, with estimates that may
 * be right.
 */
#include <inttypes.h>
#include <string.h>

#include "pager.h"

#define POLL_NS         3000
#define TOKEN_INDEX     0xffffu

/* Mostly short, but of any order of magnitude. */
uint64_t random_time(Rng *rng, bool slow)
{
    switch (rng_below(rng, 8)) {
    case 0:
        return rng_between(rng, 1000000, slow ? 30000000 : 4000000);
    case 1: case 2:
        return rng_between(rng, 50000, 1000000);
    default:
        return rng_between(rng, 2000, 50000);
    }
}

/* ---- answers ---- */

static void respond(PageWork *work, uint8_t status, uint64_t ns)
{
    page_queue_answer(&work->pager->prq, &(struct svan_page_response) {
        .token = work->request.token, .status = status,
        .fault_class = rng_below(&work->pager->rng, SVAN_FAULT_CLASS_COUNT),
        .time_ns = svan_cpu_to_le64(ns),
    });
}

/* The page, and some of those behind it that are wanted too. */
static void map_wanted(const PageWork *work)
{
    uint32_t left = work->paged->region->num_pages - work->index;
    uint32_t count = svan_le32_to_cpu(work->request.length) / SIM_PAGE + 1;
    bool write = work->request.flags & SVAN_PAGE_REQ_WRITE;
    Rng *rng = &work->pager->rng;

    count = rng_between(rng, 1, count < left ? count : left);
    for (uint32_t i = 0; i < count; i++) {
        page_map(work->paged, work->index + i, write);
    }
}

static void resolve_event(void *arg)
{
    PageWork *work = arg;
    Pager *pager = work->pager;

    work->busy = false;
    if (!work->paged) {
        pager->counts.failed++;
        respond(work, SVAN_PAGE_FAILED, 0);
        return;
    }
    map_wanted(work);
    respond(work, SVAN_PAGE_RESOLVED, 0);
    if (rng_ppm(&pager->rng, pager->model->again)) {
        pager->counts.again++;
        page_evict(work->paged, work->index, 1);
    }
}

/* ---- requests ---- */

static void __attribute__((noreturn))
bad_request(const PageWork *work, const char *why)
{
    const struct svan_page_request *request = &work->request;

    world_fail(work->pager->node->world, "node %u: page request %08x (%" PRIx64
               " + %x, key %x pasid %x flags %x level %u entry %" PRIx64
               "): %s", work->pager->node->id,
               svan_le32_to_cpu(request->token),
               (uint64_t)svan_le64_to_cpu(request->addr),
               svan_le32_to_cpu(request->length),
               svan_le32_to_cpu(request->key),
               svan_le32_to_cpu(request->pasid), request->flags,
               request->level, (uint64_t)svan_le64_to_cpu(request->entry),
               why);
}

static bool is_of(const Paged *paged, const struct svan_page_request *request)
{
    return request->flags & SVAN_PAGE_REQ_PROCESS ?
           paged->process &&
           paged->process->pasid == svan_le32_to_cpu(request->pasid) :
           !paged->process &&
           paged->region->key == svan_le32_to_cpu(request->key);
}

static void find_page(PageWork *work)
{
    uint64_t page = svan_le64_to_cpu(work->request.addr) / SIM_PAGE;

    work->paged = NULL;
    for (uint32_t i = 0; i < work->pager->num_paged; i++) {
        Paged *paged = &work->pager->paged[i];
        uint64_t index = page - paged->region->va / SIM_PAGE;

        if (is_of(paged, &work->request) && index < paged->region->num_pages) {
            work->paged = paged;
            work->index = index;
            return;
        }
    }
}

/* What would answer this one as well must not be waiting. */
static void check_merged(const PageWork *work)
{
    const struct svan_page_request *request = &work->request;

    for (uint32_t i = 0; i < PAGER_REQUESTS; i++) {
        const PageWork *other = &work->pager->work[i];

        if (other != work && other->busy && other->paged == work->paged &&
            other->request.addr == request->addr &&
            other->request.pasid == request->pasid &&
            (!(request->flags & SVAN_PAGE_REQ_WRITE) ||
             (other->request.flags & SVAN_PAGE_REQ_WRITE))) {
            bad_request(work, "the same as another one");
        }
    }
}

static void check_request(const PageWork *work)
{
    const struct svan_page_request *request = &work->request;
    bool present = svan_le64_to_cpu(request->entry) & SVAN_PTE_PRESENT;
    bool protected = request->flags & SVAN_PAGE_REQ_PROTECTED;
    uint64_t end = svan_le64_to_cpu(request->addr) +
                   svan_le32_to_cpu(request->length);
    const Region *region = work->paged ? work->paged->region : NULL;

    if (svan_le64_to_cpu(request->addr) % SIM_PAGE || !request->length) {
        bad_request(work, "its range");
    }
    if (present != protected ||
        (protected && !(request->flags & SVAN_PAGE_REQ_WRITE))) {
        bad_request(work, "its entry");
    }
    if (!region) {
        return;
    }
    if (!region->whole && end > region->va + region->length) {
        bad_request(work, "it reaches beyond the key");
    }
    if (!request->level || request->level > work->paged->space->table.levels) {
        bad_request(work, "its level");
    }
    check_merged(work);
}

static void begin(Pager *pager, const struct svan_page_request *request)
{
    uint32_t n = svan_le32_to_cpu(request->token) & TOKEN_INDEX;
    PageWork *work = &pager->work[n % PAGER_REQUESTS];
    uint64_t delay = random_time(&pager->rng,
                                 rng_ppm(&pager->rng, pager->model->slow));

    if (n >= PAGER_REQUESTS || work->busy) {
        bad_request(work, "the token of the next is in use");
    }
    *work = (PageWork) { .pager = pager, .busy = true, .request = *request };
    find_page(work);
    check_request(work);
    if (!work->paged && !pager->model->whole) {
        bad_request(work, "nothing is there");
    }
    pager->counts.requests++;
    if (rng_below(&pager->rng, 2)) {
        static const uint64_t none;
        uint64_t guess = random_time(&pager->rng, false);

        pager->counts.pending++;
        respond(work, SVAN_PAGE_PENDING,
                rng_below(&pager->rng, 2) ? delay :
                rng_below(&pager->rng, 4) ? guess : none);
    }
    world_after(pager->node->world, delay, resolve_event, work);
}

/* Until there are no more; the index is told then, or in between. */
static void poll_event(void *arg)
{
    struct svan_page_request request;
    Pager *pager = arg;
    bool more = true;

    for (uint32_t n = rng_between(&pager->rng, 1, 8); n && more; n--) {
        more = page_queue_take(&pager->prq, &request);
        if (more) {
            begin(pager, &request);
        }
    }
    if (!more) {
        pager->polling = false;
        page_queue_consumed(&pager->prq, true);
    } else {
        if (rng_below(&pager->rng, 4) == 0) {
            page_queue_consumed(&pager->prq, false);
        }
        world_after(pager->node->world, rng_below(&pager->rng, POLL_NS),
                    poll_event, pager);
    }
}

void requests_event(Pager *pager)
{
    if (!pager->polling) {
        pager->polling = true;
        world_after(pager->node->world, rng_below(&pager->rng, POLL_NS),
                    poll_event, pager);
    }
}

void requests_init(Pager *pager)
{
    pager->prq = page_queue(pager->guest->host, PAGER_PRQ_LOG);
    page_queue_consumed(&pager->prq, true);
}
