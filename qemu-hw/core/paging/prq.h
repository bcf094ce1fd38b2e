/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What page_request.c, which knows who waits, and prq.c, which speaks to the driver,
 * share. Only these two files of paging include it.
 */
#ifndef SVAN_CORE_PRQ_H
#define SVAN_CORE_PRQ_H

#include "paging/paging.h"

#define SVAN_PRQ_HASH           256u    /* power of two */
#define SVAN_TOKEN_SHIFT        16      /* a token is count << 16 | index */

struct SvanPageRequest {
    SvanFn *fn;
    uint32_t token;
    uint32_t qpn;
    uint8_t attempt;
    bool used;
    bool asked;                 /* the request has been written */
    bool orphan;                /* its key is gone: no wait joins it any more */
    SvanWanted wanted;          /* of the first wait */
    SvanAccount *account;       /* of the first wait; the request holds a reference */
    SvanTimer timer;            /* ends an injected one */
    SvanEstimate answer;        /* of the last PENDING */
    SvanLink link;              /* prq->queue, until it has been written */
    SvanLink waits;             /* SvanMet.link */
    SvanPageRequest *next;            /* in its hash chain, or among the free ones */
};

struct SvanPrq {
    SvanFn *fn;
    uint64_t requests, responses;       /* bus addresses */
    uint8_t log_size;
    bool armed;                 /* send an event when there are requests */
    uint32_t pi, ci;            /* of the request ring */
    uint32_t resp_pi, resp_ci;  /* of the response ring */
    SvanLink link;              /* fn->work[SVAN_TURN_FAULT] */
    SvanLink queue;             /* page requests to be written */
    SvanLink turns;             /* accounts with waits; the first is served next */
    SvanPageRequest *free;
    uint32_t num_free;
    uint64_t factor;            /* of the hash; odd */
    SvanPageRequest *hash[SVAN_PRQ_HASH];
    SvanPageRequest faults[];
};

/* ---- page_request.c ---- */

/* Begin; the queue's memory is zero but for what svan_prq_create() has set. */
void svan_page_requests_init(SvanPrq *prq);
void svan_page_requests_fini(SvanPrq *prq);            /* every wait has FAILED */
/* The page request that was written with this token, and still waits; NULL: none. */
SvanPageRequest *svan_page_request_by_token(SvanPrq *prq, uint32_t token);
void svan_page_request_pending(SvanPageRequest *fault, uint8_t fault_class,
                        uint64_t time_ns);
/*
 * The driver's final answer: the waits are OVER or FAILED. A FAILED answer fails only
 * waits that need what was asked for; the others are OVER.
 */
void svan_page_request_ends(SvanPageRequest *fault, SvanWaitState how);
/*
 * Load a page request that was written before the state was saved. The caller sets its
 * fields between the two calls; the second takes over the caller's reference to the
 * account. NULL: the token is out of range, or in use.
 */
SvanPageRequest *svan_page_request_restore(SvanPrq *prq, uint32_t token);
void svan_page_request_restored(SvanPageRequest *fault, SvanAccount *account);
/* Build the list of free page requests, after all have been loaded. */
void svan_page_requests_collect(SvanPrq *prq);

static inline uint32_t svan_prq_size(const SvanPrq *prq)
{
    return 1u << prq->log_size;
}

#endif /* SVAN_CORE_PRQ_H */
