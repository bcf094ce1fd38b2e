/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside paging: what page_request.c, which knows who waits, and prq.c, which speaks to
 * the driver, share.
 */
#ifndef SVAN_CORE_PRQ_H
#define SVAN_CORE_PRQ_H

#include "paging/paging.h"

#define SVAN_PRQ_HASH           256u    /* power of two */
#define SVAN_TOKEN_SHIFT        16      /* variant << 16 | index */

struct SvanPageRequest {
    SvanFn *fn;
    uint32_t token;
    uint32_t qpn;
    uint8_t attempt;
    bool used;
    bool asked;                 /* the request has been written */
    bool orphan;                /* its key is gone: nobody joins any more */
    SvanWanted wanted;          /* by the first who waited */
    SvanAccount *account;       /* of the first; it holds a reference */
    SvanTimer timer;            /* ends an injected one */
    SvanEstimate answer;
    SvanLink link;              /* prq->queue, until it is asked */
    SvanLink waits;
    SvanPageRequest *next;            /* in its hash chain, or among the free ones */
};

struct SvanPrq {
    SvanFn *fn;
    uint64_t requests, responses;       /* bus addresses */
    uint8_t log_size;
    bool armed;
    uint32_t pi, ci;
    uint32_t resp_pi, resp_ci;
    SvanLink link;              /* fn->work[SVAN_TURN_FAULT] */
    SvanLink queue;             /* faults to be asked for */
    SvanLink turns;             /* accounts with waits, who is next first */
    SvanPageRequest *free;
    uint32_t num_free;
    SvanPageRequest *hash[SVAN_PRQ_HASH];
    SvanPageRequest faults[];
};

/* ---- page_request.c ---- */

/* The queue's memory is zero but for fn and its size. */
void svan_page_requests_init(SvanPrq *prq);
void svan_page_requests_fini(SvanPrq *prq);            /* every wait has failed */
/* Asked for, and not answered; NULL: none. */
SvanPageRequest *svan_page_request_by_token(SvanPrq *prq, uint32_t token);
void svan_page_request_pending(SvanPageRequest *fault, uint8_t fault_class,
                        uint64_t time_ns);
/* FAILED fails those who wanted what was asked; the others look again. */
void svan_page_request_ends(SvanPageRequest *fault, SvanWaitState how);
/*
 * The fault of a token that was asked for before the load; its other fields are
 * the caller's to set before svan_page_request_restored(). NULL: there is no such token.
 * svan_page_requests_collect(): those that are free, after the last of them.
 */
SvanPageRequest *svan_page_request_restore(SvanPrq *prq, uint32_t token);
void svan_page_request_restored(SvanPageRequest *fault, SvanAccount *account);
void svan_page_requests_collect(SvanPrq *prq);

static inline uint32_t svan_prq_size(const SvanPrq *prq)
{
    return 1u << prq->log_size;
}

#endif /* SVAN_CORE_PRQ_H */
