/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's half of page requests: the queue, answers and spare pages. What is
 * answered, and when, is the user's affair.
 */
#ifndef TESTS_PAGE_QUEUE_H
#define TESTS_PAGE_QUEUE_H

#include "host.h"

typedef struct PageQueue {
    Host *host;
    uint32_t log_size;          /* of requests; responses are twice as many */
    struct svan_page_request *requests;
    struct svan_page_response *responses;
    uint32_t ci, pi;            /* requests taken, responses written */
} PageQueue;

/* It is not armed. */
PageQueue page_queue(Host *host, uint32_t log_size);
/* The next request; NULL: there is none. */
const struct svan_page_request *page_queue_next(const PageQueue *queue);
/* Take it. The device learns so by page_queue_consumed(). */
bool page_queue_take(PageQueue *queue, struct svan_page_request *request);
void page_queue_consumed(PageQueue *queue, bool arm);
/* Write a response, and tell the device. */
void page_queue_answer(PageQueue *queue,
                       const struct svan_page_response *response);

/* Lend spare pages of guest memory, one page each. */
void page_queue_lend_pages(Host *host, const uint64_t *pages, uint32_t count);
/* The same, new ones. */
void page_queue_lend(Host *host, uint32_t count);

#endif /* TESTS_PAGE_QUEUE_H */
