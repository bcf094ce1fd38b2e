/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page faults: the page requests of a function, the transfers that wait for them, and
 * the memory that packets wait in (PRM "Faults").
 *
 * A page request is what the driver is asked for; a wait is one transfer's interest in
 * it. Waits for the same page share a page request. A waiter is scheduled when its page
 * request ends, or when more is known about how long it takes. A process never shares a
 * page request with another, nor a key with a later one of the same number.
 */
#ifndef SVAN_PAGING_H
#define SVAN_PAGING_H

#include "net/switch.h"
#include "queue/queue.h"

typedef struct SvanPrq SvanPrq;
typedef struct SvanSpares SvanSpares;
typedef struct SvanAccount SvanAccount;
typedef struct SvanPageRequest SvanPageRequest;

/* A queue pair as one that waits for pages, and the account that is charged for it. */
typedef struct SvanWaiter {
    SvanWork *work;             /* made ready when there is news */
    SvanAccount *account;       /* of its process */
    uint32_t qpn;               /* for page requests */
} SvanWaiter;

typedef enum SvanWaitState {
    SVAN_WAIT_NONE,
    SVAN_WAIT_PENDING,
    SVAN_WAIT_OVER,             /* the access is worth another try */
    SVAN_WAIT_FAILED,           /* the page will never come */
} SvanWaitState;

/* What is known about when a page comes. */
typedef struct SvanEstimate {
    bool known;                 /* false: `at` has no meaning */
    bool answered;              /* PENDING has come, or need not be waited for */
    uint8_t fault_class;        /* enum svan_fault_class */
    uint64_t at;                /* ns, VM clock */
} SvanEstimate;

/* The page that a transfer waits for, and what the table has told of it. */
typedef struct SvanWanted {
    uint32_t key, pasid;
    uint32_t generation;        /* of the process context */
    uint8_t flags;              /* SVAN_PAGE_REQ_* */
    uint8_t level;              /* of the entry, 1 = leaf */
    uint8_t source;             /* SVAN_ESTIMATE_*, of `table` */
    bool injected;              /* by the host: the driver is not asked */
    bool injected_failure;
    uint64_t injected_ns;
    uint64_t page, len, entry;  /* as in struct svan_page_request */
    SvanEstimate table;         /* what the table told when the page was met */
} SvanWanted;

typedef struct SvanPageWait {
    const SvanWaiter *waiter;
    struct SvanMet *met;        /* NULL: no absent page since an access succeeded */
    SvanWaitState state;
    uint32_t token;             /* of its last request, answered or not; SVAN_NONE */
    bool news;                  /* the estimate has changed; cleared by the waiter */
    uint8_t attempt;            /* how often in a row a page met before was met again */
    uint16_t rounds;            /* absent pages met since an access succeeded */
} SvanPageWait;

/* The absent pages that a wait has met; allocated when it meets the first. */
typedef struct SvanMet {
    SvanPageWait *wait;
    SvanPageRequest *fault;     /* NULL while PENDING: no page request was free */
    SvanLink link;              /* fault->waits, or the account's waits */
    uint64_t page, before;      /* met last, and met before that; UINT64_MAX: none */
    SvanWanted wanted;          /* of the page met last */
} SvanMet;

/*
 * Wait for the page that memory->miss of the function describes. Without a page request
 * queue the wait is FAILED at once. Without memory for it the wait is OVER at once, so
 * that the waiter tries the access again. remote: the access came over the wire.
 */
void svan_page_wait(SvanPageWait *wait, bool remote);
/* End the wait, whatever its state; the state is NONE then. */
void svan_page_wait_leave(SvanPageWait *wait);
/* The page of memory->miss was waited for before, and no access has succeeded since. */
bool svan_page_wait_is_again(const SvanPageWait *wait);
/* Forget the pages that were met; wait->met is not NULL. */
void svan_page_wait_drop(SvanPageWait *wait);

/* An access has succeeded: none of the pages counts as met before any more. */
static inline void svan_page_wait_forget(SvanPageWait *wait)
{
    if (wait->met) {
        svan_page_wait_drop(wait);
    }
}

/* The driver has answered PENDING for the page, perhaps before this wait began. */
bool svan_page_wait_is_told(const SvanPageWait *wait);
/* The estimate of a wait that is PENDING, by these sources (SVAN_ESTIMATE_*). */
SvanEstimate svan_page_wait_estimate(const SvanPageWait *wait, uint8_t sources);
/* The same for the page of memory->miss, before anybody waits for it. */
SvanEstimate svan_page_expected(SvanFn *fn, uint8_t sources);
/*
 * The key is about to go: waits for its pages are OVER, and no new wait joins one of
 * its page requests.
 */
void svan_page_key_gone(SvanFn *fn, uint32_t key);

/* ---- accounts: what a process, or a verbs context, is charged with ---- */

struct SvanAccount {
    SvanAccount *next;          /* in the same chain of SvanPaging.accounts */
    uint64_t id;                /* 0: the kernel */
    uint32_t refs;              /* queue pairs, and page requests */
    uint32_t requests;          /* page requests outstanding */
    uint32_t held_bytes;        /* octets of the fault buffer */
    uint32_t spares;            /* spare pages that hold its packets */
    SvanLink waits;             /* those without a page request, in order */
    SvanLink turn;              /* prq->turns, while `waits` is not empty */
};

/* The account of the owner of a UAR page, which is in use. */
uint64_t svan_account_id(const SvanFn *fn, uint32_t uar);
SvanAccount *svan_account_get(SvanFn *fn, uint64_t id); /* NULL: no memory */
void svan_account_put(SvanFn *fn, SvanAccount *account);

/* The kernel's account is not bounded: the kernel is trusted with all memory. */
static inline bool svan_account_is_kernel(const SvanAccount *account)
{
    return account->id == 0;
}

/*
 * An account's share of a kind of memory, in octets or pages: how much there is in all,
 * how much of that is free, how much the account has, and how much more it asks for.
 */
typedef struct SvanShare {
    uint32_t total, free, used, more;
} SvanShare;

/*
 * May the account have `more`? An account that has nothing may take all that is free.
 * One that has something must leave free a sixteenth of the total and, beside that, a
 * quarter of what it then has.
 */
bool svan_account_may_keep(const SvanAccount *account, const SvanShare *share);

/* ---- the page request queue ---- */

uint32_t svan_prq_create(SvanFn *fn, const struct svan_cmd_create_prq *cmd);
/* Every wait has FAILED when it returns. The function need not have a queue. */
void svan_prq_destroy(SvanFn *fn);
/* The number of page requests in use, whether they have been written or not. */
uint32_t svan_prq_open_requests(const SvanFn *fn);
void svan_prq_doorbell(SvanFn *fn, uint32_t value);     /* SVAN_REG_PRQ_DB */
void svan_prr_doorbell(SvanFn *fn, uint32_t pi);        /* SVAN_REG_PRR_DB */
/* One step: read some responses, and write some requests. */
SvanStep svan_prq_step(SvanFn *fn);
/* The function is out of service: its rings are not read or written any more. */
void svan_prq_stop(SvanFn *fn);

/* ---- memory that packets wait in ---- */

/* A packet that is kept; its payload lies in the fault buffer or in a spare page. */
typedef struct SvanHeld {
    struct SvanHeld *next;
    SvanAccount *account;
    uint32_t psn, psns;         /* the first PSN of the request, and their number */
    uint32_t len;               /* octets of the payload */
    uint32_t spare;             /* page with the payload; SVAN_NONE: `payload` has it */
    uint32_t offset;            /* in that page */
    uint8_t head[offsetof(SvanPkt, runs)];      /* the packet but for its runs */
    uint8_t payload[];
} SvanHeld;

static inline uint8_t svan_held_opcode(const SvanHeld *held)
{
    return held->head[offsetof(SvanPkt, opcode)];
}

/* Copy a packet to the fault buffer. NULL: no room, or no memory. */
SvanHeld *svan_hold(const SvanWaiter *waiter, const SvanPkt *pkt);
/*
 * Copy a packet to a spare page. *page is the spare page that the waiter's last packet
 * went to, SVAN_NONE at first; may_take: a new page may be taken when that one is full.
 * DONE; IDLE: no room; MISS.
 */
SvanStep svan_divert(const SvanWaiter *waiter, const SvanPkt *pkt,
                     bool may_take, uint32_t *page, SvanHeld **out);
void svan_held_free(SvanFn *fn, SvanHeld *held);
/*
 * Make the packet that was copied; its runs are valid for this step. DONE; MISS; ERROR:
 * the spare page is out of reach.
 */
SvanStep svan_held_packet(SvanFn *fn, SvanHeld *held, SvanPkt *pkt);

/* Octets that a packet takes of the fault buffer beside its payload. */
#define SVAN_HELD_OVERHEAD      64u

/* Octets that a packet takes of the fault buffer. */
static inline uint32_t svan_held_size(const SvanHeld *held)
{
    return held->spare == SVAN_NONE ? SVAN_HELD_OVERHEAD + held->len : 0;
}

/* The packets of one queue pair that are kept, in their order. */
typedef struct SvanKept {
    const SvanWaiter *waiter;
    const struct svan_fault_policy *policy;     /* bounds what they may take */
    SvanHeld *first, **tail;
    uint32_t bytes;             /* octets of the fault buffer */
    uint32_t spares;            /* spare pages taken */
    uint32_t spare;             /* the last of them; SVAN_NONE: none */
} SvanKept;

void svan_kept_init(SvanKept *kept, const SvanWaiter *waiter,
                    const struct svan_fault_policy *policy);
/*
 * Keep a packet behind the others, in the place that the mode asks for; *held is the
 * copy. DONE; IDLE: no room; MISS.
 */
SvanStep svan_keep(SvanKept *kept, const SvanPkt *pkt, uint8_t mode,
                   SvanHeld **held);
/*
 * Move the payloads from the fault buffer to spare pages; those that find no room there
 * stay. DONE, MISS.
 */
SvanStep svan_kept_to_spares(SvanKept *kept);
/* May the fault buffer hold a packet whose sender was told to wait for long? */
bool svan_kept_may_be_long(const SvanKept *kept);
void svan_kept_drop_first(SvanKept *kept);
void svan_kept_drop_rest(SvanKept *kept);           /* all but the first */
void svan_kept_drop(SvanKept *kept);

#define SVAN_MAX_SPARES         256u

/*
 * Replace the spare pages, of which none is in use, by those at these bus addresses,
 * which are multiples of SVAN_PAGE_SIZE. false: no memory, and nothing has changed.
 */
bool svan_spares_set(SvanFn *fn, const uint64_t *pages, uint32_t count);
bool svan_spares_in_use(const SvanFn *fn);
void svan_spares_free(SvanFn *fn);

/* ---- policies ---- */

bool svan_policy_ok(const struct svan_fault_policy *policy);
/* ns until the page comes; if that is not known, the policy's unknown_us. */
uint64_t svan_policy_time_left(const struct svan_fault_policy *policy,
                               const SvanEstimate *estimate, uint64_t now);

/* A mode as a bit of the set of modes that a transport offers for a fault. */
#define SVAN_MODE_BIT(name)     (1u << SVAN_FAULT_MODE_##name)

typedef struct SvanChoice {
    const struct svan_fault_policy *policy;
    uint64_t now;
    uint8_t offered;            /* SVAN_MODE_BIT() */
} SvanChoice;

/*
 * Choose how to handle a fault: *mode is the policy's own or, with AUTO, the first of
 * HOLD, DIVERT and DROP that is offered and whose limit covers the estimate, else RNR.
 * A mode that is not offered becomes DROP. false: the fault waits until more is known.
 */
bool svan_policy_choose(const SvanChoice *choice, const SvanEstimate *estimate,
                        uint8_t *mode);
/* Limit the policy of a queue pair to `limit`, which is its function's. */
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
    SvanSpares *spares;         /* NULL: none */
    SvanAccount *accounts[SVAN_ACCOUNT_CHAINS]; /* by id; account.c */
    uint32_t held_bytes;        /* octets of the fault buffer in use */
    struct svan_fault_policy policy;    /* of new queue pairs; checked */
} SvanPaging;

#endif /* SVAN_PAGING_H */
