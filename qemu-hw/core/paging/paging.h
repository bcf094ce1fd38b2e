/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page faults: the requests of a function, who waits for them, and the memory
 * that transfers wait in (PRM "Faults").
 *
 * A fault is what the driver is asked for, a wait is one transfer's interest in
 * it. Waits for the same page share a fault; who waits is scheduled when the
 * fault is over or when more is known about its length. One process's faults say
 * nothing to another, nor those of a key to a later one of the same number.
 */
#ifndef SVAN_PAGING_H
#define SVAN_PAGING_H

#include "net/switch.h"
#include "queue/queue.h"

typedef struct SvanPrq SvanPrq;
typedef struct SvanSpares SvanSpares;
typedef struct SvanAccount SvanAccount;
typedef struct SvanPageRequest SvanPageRequest;

/* Who waits for pages, and is charged for it. */
typedef struct SvanWaiter {
    SvanWork *work;             /* gets ready when there is news */
    SvanAccount *account;       /* its process's */
    uint32_t qpn;               /* as the driver is told */
} SvanWaiter;

typedef enum SvanWaitState {
    SVAN_WAIT_NONE,
    SVAN_WAIT_PENDING,
    SVAN_WAIT_OVER,             /* worth another try */
    SVAN_WAIT_FAILED,           /* the page will never come */
} SvanWaitState;

/* What is known about when a page comes. */
typedef struct SvanEstimate {
    bool known;                 /* if not, at counts for nothing */
    bool answered;              /* PENDING has come, or never will */
    uint8_t fault_class;        /* enum svan_fault_class */
    uint64_t at;                /* ns, VM clock */
} SvanEstimate;

/* What a transfer wants of a page, and what is known of the page. */
typedef struct SvanWanted {
    uint32_t key, pasid;
    uint32_t generation;        /* of the process */
    uint8_t flags;              /* SVAN_PAGE_REQ_* */
    uint8_t level;              /* of the entry */
    uint8_t source;             /* SVAN_ESTIMATE_*, of `table` */
    bool injected;              /* by the host: nobody is asked */
    bool injected_failure;
    uint64_t injected_ns;
    uint64_t page, len, entry;
    SvanEstimate table;
} SvanWanted;

typedef struct SvanPageWait {
    const SvanWaiter *waiter;
    struct SvanMet *met;        /* NULL: no page since an access went well */
    SvanWaitState state;
    uint32_t token;             /* of the last fault, which may be over; SVAN_NONE */
    bool news;                  /* the estimate has changed; the waiter's to clear */
    uint8_t attempt;            /* how often one of the pages met was gone again */
    uint16_t rounds;            /* pages met since an access went well */
} SvanPageWait;

/* Of a wait: the pages that were met. It has memory since the first of them. */
typedef struct SvanMet {
    SvanPageWait *wait;
    SvanPageRequest *fault;     /* PENDING without: waits for a free one */
    SvanLink link;
    uint64_t page, before;      /* of the last fault, and the one before */
    SvanWanted wanted;          /* of the last fault */
} SvanMet;

/*
 * Wait for what the function's `miss` tells. Without a page request queue the wait has
 * failed at once; without memory for it, it is over at once, and the waiter is to
 * look again. remote: the access came over the wire.
 */
void svan_page_wait(SvanPageWait *wait, bool remote);
/* Waits for nothing any more; the state is NONE. */
void svan_page_wait_leave(SvanPageWait *wait);
/* the function's `miss` has been waited for already, and the access did not go well. */
bool svan_page_wait_is_again(const SvanPageWait *wait);
/* What was met, which is there. */
void svan_page_wait_drop(SvanPageWait *wait);

/* The access went well: the next fault of the page is the first again. */
static inline void svan_page_wait_forget(SvanPageWait *wait)
{
    if (wait->met) {
        svan_page_wait_drop(wait);
    }
}

/* The driver has told something of the page, be it before this wait began. */
bool svan_page_wait_is_told(const SvanPageWait *wait);
/* By the sources (SVAN_ESTIMATE_*) that count. PENDING waits only. */
SvanEstimate svan_page_wait_estimate(const SvanPageWait *wait, uint8_t sources);
/* The same for what the function's `miss` tells, before anybody waits for it. */
SvanEstimate svan_page_expected(SvanFn *fn, uint8_t sources);
/* The key goes: who waits for a page of it looks again, and nobody joins them. */
void svan_page_key_gone(SvanFn *fn, uint32_t key);

/* ---- accounts: who is charged ---- */

struct SvanAccount {
    SvanAccount *next;          /* in its chain of the function */
    uint64_t id;                /* 0: the kernel */
    uint32_t refs;              /* queue pairs, and page requests */
    uint32_t requests;          /* outstanding */
    uint32_t held_bytes;        /* of the fault buffer */
    uint32_t spares;            /* pages */
    SvanLink waits;             /* those without a request, in order */
    SvanLink turn;              /* prq->turns, while there are some */
};

/* Of who has the UAR page. */
uint64_t svan_account_id(const SvanFn *fn, uint32_t uar);
SvanAccount *svan_account_get(SvanFn *fn, uint64_t id); /* NULL: no memory */
void svan_account_put(SvanFn *fn, SvanAccount *account);

/* Who writes the page tables need not be kept from them. */
static inline bool svan_account_is_kernel(const SvanAccount *account)
{
    return account->id == 0;
}

/* Of a kind of memory: what all have, what is free, what the account has. */
typedef struct SvanShare {
    uint32_t total, free, used, more;
} SvanShare;

/*
 * May it have `more`? Who has nothing yet may while there is some; who has some
 * leaves a sixteenth of all and, beside that, a quarter of what it has.
 */
bool svan_account_may_keep(const SvanAccount *account, const SvanShare *share);

/* ---- the page request queue ---- */

uint32_t svan_prq_create(SvanFn *fn, const struct svan_cmd_create_prq *cmd);
/* Every wait has failed. */
void svan_prq_destroy(SvanFn *fn);
/* Requests that are in use, whether they have been written or not. */
uint32_t svan_prq_open_requests(const SvanFn *fn);
void svan_prq_doorbell(SvanFn *fn, uint32_t value);     /* SVAN_REG_PRQ_DB */
void svan_prr_doorbell(SvanFn *fn, uint32_t pi);        /* SVAN_REG_PRR_DB */
/* Some responses and requests of the function at the head of the list. */
SvanStep svan_prq_step(SvanFn *fn);
/* Out of service: nothing is written or read any more. */
void svan_prq_stop(SvanFn *fn);

/* ---- memory that packets wait in ---- */

/* A packet that waits; its payload lies in the fault buffer or a spare page. */
typedef struct SvanHeld {
    struct SvanHeld *next;
    SvanAccount *account;
    uint32_t psn, psns;         /* what the request takes */
    uint32_t len;               /* of the payload */
    uint32_t spare;             /* page with the payload, SVAN_NONE: it is here */
    uint32_t offset;            /* in that page */
    uint8_t head[offsetof(SvanPkt, runs)];
    uint8_t payload[];
} SvanHeld;

static inline uint8_t svan_held_opcode(const SvanHeld *held)
{
    return held->head[offsetof(SvanPkt, opcode)];
}

/* A copy in the fault buffer; NULL: no room. */
SvanHeld *svan_hold(const SvanWaiter *waiter, const SvanPkt *pkt);
/*
 * A copy in a spare page; *page is the one that the last went to, SVAN_NONE at
 * first; may_take: another one, if that is full. DONE; IDLE: no room; MISS.
 */
SvanStep svan_divert(const SvanWaiter *waiter, const SvanPkt *pkt,
                     bool may_take, uint32_t *page, SvanHeld **out);
void svan_held_free(SvanFn *fn, SvanHeld *held);
/* The packet again. DONE, MISS, ERROR: the spare page is out of reach. */
SvanStep svan_held_packet(SvanFn *fn, SvanHeld *held, SvanPkt *pkt);

#define SVAN_HELD_OVERHEAD      64u     /* of a packet in the fault buffer */

/* What it takes of the fault buffer. */
static inline uint32_t svan_held_size(const SvanHeld *held)
{
    return held->spare == SVAN_NONE ? SVAN_HELD_OVERHEAD + held->len : 0;
}

/* Packets of one queue pair that wait, in their order. */
typedef struct SvanKept {
    const SvanWaiter *waiter;
    const struct svan_fault_policy *policy;     /* what they may take */
    SvanHeld *first, **tail;
    uint32_t bytes;             /* of the fault buffer */
    uint32_t spares;            /* spare pages taken */
    uint32_t spare;             /* the last of them, SVAN_NONE: none */
} SvanKept;

void svan_kept_init(SvanKept *kept, const SvanWaiter *waiter,
                    const struct svan_fault_policy *policy);
/* Behind the others, as the mode says; *held is it. DONE; IDLE: no room; MISS. */
SvanStep svan_keep(SvanKept *kept, const SvanPkt *pkt, uint8_t mode,
                   SvanHeld **held);
/* From the fault buffer to spare pages, as far as they go. DONE, MISS. */
SvanStep svan_kept_to_spares(SvanKept *kept);
/* May one be in the fault buffer, whose sender has been sent away for long? */
bool svan_kept_may_be_long(const SvanKept *kept);
void svan_kept_drop_first(SvanKept *kept);
void svan_kept_drop_rest(SvanKept *kept);           /* all but the first */
void svan_kept_drop(SvanKept *kept);

#define SVAN_MAX_SPARES         256u

/* 4096-aligned bus addresses; none of the old ones is in use. false: no memory */
bool svan_spares_set(SvanFn *fn, const uint64_t *pages, uint32_t count);
bool svan_spares_in_use(const SvanFn *fn);
void svan_spares_free(SvanFn *fn);

/* ---- policies ---- */

bool svan_policy_ok(const struct svan_fault_policy *policy);
/* ns until the page comes, as far as is known. */
uint64_t svan_policy_time_left(const struct svan_fault_policy *policy,
                               const SvanEstimate *estimate, uint64_t now);

/* Modes as bits: those that a transport can take for this miss. */
#define SVAN_MODE_BIT(name)     (1u << SVAN_FAULT_MODE_##name)

typedef struct SvanChoice {
    const struct svan_fault_policy *policy;
    uint64_t now;
    uint8_t offered;            /* SVAN_MODE_BIT() */
} SvanChoice;

/*
 * *mode: how to handle a miss, which is the one that the policy always takes, or the
 * first that is offered and whose limit covers the time. One that is not offered
 * becomes DROP. false: the miss waits until more is known.
 */
bool svan_policy_choose(const SvanChoice *choice, const SvanEstimate *estimate,
                        uint8_t *mode);
/* To what the function gives each of its queue pairs. */
void svan_policy_limit(struct svan_fault_policy *policy,
                       const struct svan_fault_policy *limit);

/* ---- state ---- */

void svan_save_prq(SvanFn *fn, SvanWriter *writer);
bool svan_load_prq(SvanFn *fn, SvanReader *reader);
void svan_save_spares(SvanFn *fn, SvanWriter *writer);
bool svan_load_spares(SvanFn *fn, SvanReader *reader);

/* ---- the part of a function ---- */

#define SVAN_ACCOUNT_CHAINS     64u

typedef struct SvanPaging {
    SvanPrq *prq;               /* page request queue, NULL: none */
    SvanSpares *spares;
    SvanAccount *accounts[SVAN_ACCOUNT_CHAINS]; /* by id; account.c */
    uint32_t held_bytes;        /* of the fault buffer */
    struct svan_fault_policy policy;    /* of new queue pairs; checked */
} SvanPaging;

#endif /* SVAN_PAGING_H */
