/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's half of page requests.
 */
#include "page_queue.h"

#define MAX_LENT        (SVAN_PAGE_SIZE / sizeof(uint64_t))     /* one list */

PageQueue page_queue(Host *host, uint32_t log_size)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_PRQ);
    PageQueue queue = { .host = host, .log_size = log_size };
    uint64_t requests, responses;

    requests = fake_alloc(host->fake, sizeof(*queue.requests) << log_size,
                          SVAN_PAGE_SIZE);
    responses = fake_alloc(host->fake,
                           2 * sizeof(*queue.responses) << log_size,
                           SVAN_PAGE_SIZE);
    cmd.create_prq.requests = htole64(requests);
    cmd.create_prq.responses = htole64(responses);
    cmd.create_prq.log_size = log_size;
    host_must(host, &cmd);
    queue.requests = fake_ram(host->fake, requests);
    queue.responses = fake_ram(host->fake, responses);
    return queue;
}

const struct svan_page_request *page_queue_next(const PageQueue *queue)
{
    uint32_t mask = (1u << queue->log_size) - 1;
    const struct svan_page_request *at = &queue->requests[queue->ci & mask];
    uint8_t phase = queue->ci >> queue->log_size & 1 ? 0 : SVAN_PAGE_REQ_PHASE;

    return (at->owner & SVAN_PAGE_REQ_PHASE) == phase ? at : NULL;
}

bool page_queue_take(PageQueue *queue, struct svan_page_request *request)
{
    const struct svan_page_request *next = page_queue_next(queue);

    if (!next) {
        return false;
    }
    *request = *next;
    queue->ci++;
    return true;
}

void page_queue_consumed(PageQueue *queue, bool arm)
{
    host_write(queue->host, SVAN_REG_PRQ_DB,
               (queue->ci & SVAN_PRQ_DB_CI_MASK) |
               (arm ? SVAN_PRQ_DB_ARM : 0));
}

void page_queue_answer(PageQueue *queue,
                       const struct svan_page_response *response)
{
    queue->responses[queue->pi++ & ((2u << queue->log_size) - 1)] = *response;
    host_write(queue->host, SVAN_REG_PRR_DB, queue->pi);
}

void page_queue_lend_pages(Host *host, const uint64_t *pages, uint32_t count)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_SPARE_PAGES);
    uint64_t bus = fake_alloc(host->fake, SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    uint64_t *list = fake_ram(host->fake, bus);

    for (uint32_t i = 0; i < count; i++) {
        list[i] = htole64(pages[i]);
    }
    cmd.spare_pages.addr = htole64(bus);
    cmd.spare_pages.count = htole32(count);
    host_must(host, &cmd);
}

void page_queue_lend(Host *host, uint32_t count)
{
    uint64_t pages[MAX_LENT];

    if (count > MAX_LENT) {
        fake_die("%u spare pages are more than a list holds", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        pages[i] = fake_alloc(host->fake, SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    }
    page_queue_lend_pages(host, pages, count);
}
