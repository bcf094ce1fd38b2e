/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page requests, and the transfers that wait for them (PRM "Faults"). prq.c writes the
 * requests to the driver and reads its responses.
 */
#include <stdlib.h>
#include <string.h>

#include "paging/prq.h"

/* ---- what is wanted ---- */

/* By a factor that guests do not know, or they would have all in one chain. */
static uint32_t hash_of(const SvanPrq *prq, uint32_t space, uint64_t page)
{
    return ((page >> 12) + space) * prq->factor >> 56;
}

static bool is_process(const SvanWanted *wanted)
{
    return wanted->flags & SVAN_PAGE_REQ_PROCESS;
}

/* All process keys of a process share one address space; each other key has its own. */
static uint32_t space_of(const SvanWanted *wanted)
{
    return is_process(wanted) ? wanted->pasid : wanted->key;
}

/*
 * A PASID is given to one process after another; the generation of the process context
 * tells them apart.
 */
static bool same_page(const SvanWanted *a, const SvanWanted *b)
{
    return a->page == b->page && space_of(a) == space_of(b) &&
           is_process(a) == is_process(b) &&
           (!is_process(a) || a->generation == b->generation) &&
           a->injected == b->injected;
}

static bool is_write(const SvanWanted *wanted)
{
    return wanted->flags & SVAN_PAGE_REQ_WRITE;
}

/* A page that comes for `asked` serves `wanted`, too. */
static bool promises(const SvanWanted *asked, const SvanWanted *wanted)
{
    return same_page(asked, wanted) && (is_write(asked) || !is_write(wanted));
}

/* If the driver answers FAILED for `asked`, `wanted` has failed, too. */
static bool fails_with(const SvanWanted *asked, const SvanWanted *wanted)
{
    return asked->key == wanted->key && (is_write(wanted) || !is_write(asked));
}

/* The time ns from now; UINT64_MAX if it would overflow. */
static uint64_t later(SvanFn *fn, uint64_t ns)
{
    uint64_t now = svan_now(fn->core);

    return ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
}

static void set_estimate(SvanEstimate *estimate, SvanFn *fn,
                         uint8_t fault_class, uint64_t time_ns)
{
    estimate->fault_class = fault_class < SVAN_FAULT_CLASS_COUNT ?
                            fault_class : SVAN_FAULT_UNKNOWN;
    estimate->known = time_ns;
    estimate->at = later(fn, time_ns);
}

static uint8_t request_flags(const SvanPageMiss *absent, bool remote)
{
    return (absent->write ? SVAN_PAGE_REQ_WRITE : 0) |
           (remote ? SVAN_PAGE_REQ_REMOTE : 0) |
           (absent->is_protected ? SVAN_PAGE_REQ_PROTECTED : 0) |
           (absent->key->kind == SVAN_KEY_PROCESS ? SVAN_PAGE_REQ_PROCESS : 0);
}

static void set_wanted(SvanWanted *wanted, SvanFn *fn, bool remote)
{
    const SvanPageMiss *absent = &fn->memory->miss;

    *wanted = (SvanWanted) {
        .key = absent->key->key,
        .pasid = absent->key->pasid,
        .generation = absent->key->generation,
        .flags = request_flags(absent, remote),
        .level = absent->level,
        .source = absent->source,
        .injected = absent->injected,
        .injected_failure = absent->injected_failure,
        .injected_ns = absent->injected_ns,
        .page = absent->va & ~(uint64_t)SVAN_PAGE_MASK,
        .len = (absent->va & SVAN_PAGE_MASK) + absent->len,
        .entry = absent->entry,
    };
    set_estimate(&wanted->table, fn, absent->fault_class, absent->time_ns);
}

/* ---- page requests ---- */

static SvanPageRequest **chain_of(SvanPrq *prq, const SvanWanted *wanted)
{
    return &prq->hash[hash_of(prq, space_of(wanted), wanted->page)];
}

static SvanPageRequest *find_fault(SvanPrq *prq, const SvanWanted *wanted)
{
    SvanPageRequest *fault = *chain_of(prq, wanted);

    while (fault && !promises(&fault->wanted, wanted)) {
        fault = fault->next;
    }
    return fault;
}

static void fault_hash(SvanPageRequest *fault)
{
    SvanPageRequest **chain = chain_of(fault->fn->paging->prq, &fault->wanted);

    fault->next = *chain;
    *chain = fault;
}

static void fault_unhash(SvanPageRequest *fault)
{
    SvanPageRequest **at = chain_of(fault->fn->paging->prq, &fault->wanted);

    while (*at != fault) {
        at = &(*at)->next;
    }
    *at = fault->next;
}

static void charge(SvanPageRequest *fault, SvanAccount *account)
{
    fault->account = account;
    account->requests++;
}

/* Take a free page request for the wait, and queue it; the wait joins it afterwards. */
static SvanPageRequest *fault_begin(const SvanPageWait *wait)
{
    SvanFn *fn = wait->waiter->work->fn;
    SvanPrq *prq = fn->paging->prq;
    SvanPageRequest *fault = prq->free;

    prq->free = fault->next;
    prq->num_free--;
    wait->waiter->account->refs++;
    charge(fault, wait->waiter->account);
    fault->used = true;
    fault->asked = false;
    fault->orphan = false;
    fault->token += 1u << SVAN_TOKEN_SHIFT;
    fault->qpn = wait->waiter->qpn;
    fault->attempt = wait->attempt;
    fault->wanted = wait->met->wanted;
    memset(&fault->answer, 0, sizeof(fault->answer));
    svan_list_init(&fault->waits);
    fault_hash(fault);
    if (fault->wanted.injected) {
        fault->asked = true;
        svan_timer_set(fn->core, &fault->timer,
                       later(fn, fault->wanted.injected_ns));
        return fault;
    }
    svan_list_append(&prq->queue, &fault->link);
    svan_turn_join(fn, SVAN_TURN_FAULT, &prq->link);
    return fault;
}

/* The wait of a link in SvanPageRequest.waits or SvanAccount.waits. */
static SvanPageWait *wait_of(SvanLink *link)
{
    return svan_container(link, SvanMet, link)->wait;
}

static void wait_ends(SvanPageWait *wait, SvanWaitState state)
{
    wait->waiter->work->fn->core->cost += SVAN_COST_ACCESS;
    svan_list_remove(&wait->met->link);
    wait->met->fault = NULL;
    wait->state = state;
    svan_work_ready(wait->waiter->work);
}

bool svan_page_wait_is_told(const SvanPageWait *wait)
{
    return wait->met && wait->met->fault && wait->met->fault->answer.answered;
}

/* ---- shares: the queue of an account, and the turns of accounts ---- */

/*
 * May the account have another page request? The more it has, the more it must leave
 * free for others. A quarter of all is left to accounts that have none, however many
 * accounts take all that they may; one account alone has at most half of all.
 */
static bool may_ask(const SvanPrq *prq, const SvanAccount *account)
{
    uint32_t n = account->requests;
    uint32_t leave = n ? svan_prq_size(prq) / 4 + 2 * (n / 4) : 0;

    return prq->num_free > (svan_account_is_kernel(account) ? 0 : leave);
}

static void tell(SvanPageWait *wait)
{
    wait->waiter->work->fn->core->cost += SVAN_COST_ACCESS;
    wait->news = true;
    svan_work_ready(wait->waiter->work);
}

static void join(SvanPageRequest *fault, SvanPageWait *wait)
{
    wait->met->fault = fault;
    wait->token = fault->token;
    svan_list_append(&fault->waits, &wait->met->link);
}

static void enqueue(SvanPrq *prq, SvanPageWait *wait)
{
    SvanAccount *account = wait->waiter->account;

    svan_list_append(&account->waits, &wait->met->link);
    svan_list_append(&prq->turns, &account->turn);
}

/* A wait of the account may have left its queue: without waits it takes no turns. */
static void check_turn(SvanAccount *account)
{
    if (svan_list_empty(&account->waits)) {
        svan_list_remove(&account->turn);
    }
}

/* Give the account's oldest wait a page request; the account goes behind the others. */
static void serve(SvanPrq *prq, SvanAccount *account)
{
    SvanPageWait *wait = wait_of(account->waits.next);
    SvanPageRequest *fault = find_fault(prq, &wait->met->wanted);

    svan_list_remove(&wait->met->link);
    svan_list_remove(&account->turn);
    if (!svan_list_empty(&account->waits)) {
        svan_list_append(&prq->turns, &account->turn);
    }
    join(fault ? fault : fault_begin(wait), wait);
    if (svan_page_wait_is_told(wait)) {
        tell(wait);
    }
}

/*
 * Give free page requests to accounts that wait for one, in turn, as their shares
 * allow. When the function is out of service the driver is not asked any more.
 */
static void serve_waiting(SvanPrq *prq)
{
    SvanLink *link = prq->turns.next;

    while (!prq->fn->fatal && prq->num_free && link != &prq->turns) {
        SvanAccount *account = svan_container(link, SvanAccount, turn);

        link = link->next;
        if (may_ask(prq, account)) {
            serve(prq, account);
            link = prq->turns.next;
        }
    }
}

static void fault_free(SvanPageRequest *fault)
{
    SvanPrq *prq = fault->fn->paging->prq;

    if (!fault->orphan) {
        fault_unhash(fault);
    }
    svan_list_remove(&fault->link);
    svan_timer_cancel(fault->fn->core, &fault->timer);
    fault->used = false;
    fault->next = prq->free;
    prq->free = fault;
    prq->num_free++;
    fault->account->requests--;
    svan_account_put(fault->fn, fault->account);
    serve_waiting(prq);
}

void svan_page_request_ends(SvanPageRequest *fault, SvanWaitState how)
{
    while (!svan_list_empty(&fault->waits)) {
        SvanPageWait *wait = wait_of(fault->waits.next);

        wait_ends(wait, how == SVAN_WAIT_FAILED &&
                        !fails_with(&fault->wanted, &wait->met->wanted) ?
                        SVAN_WAIT_OVER : how);
    }
    fault_free(fault);
}

static void fire_injected(SvanTimer *timer)
{
    SvanPageRequest *fault = svan_container(timer, SvanPageRequest, timer);

    svan_page_request_ends(fault, fault->wanted.injected_failure ? SVAN_WAIT_FAILED :
                                                            SVAN_WAIT_OVER);
}

SvanPageRequest *svan_page_request_by_token(SvanPrq *prq, uint32_t token)
{
    uint32_t index = token & SVAN_PAGE_TOKEN_INDEX;
    SvanPageRequest *fault = &prq->faults[index & (svan_prq_size(prq) - 1)];

    return index < svan_prq_size(prq) && fault->used && fault->asked &&
           fault->token == token && !fault->wanted.injected ? fault : NULL;
}

void svan_page_request_pending(SvanPageRequest *fault, uint8_t fault_class, uint64_t time_ns)
{
    set_estimate(&fault->answer, fault->fn, fault_class, time_ns);
    fault->answer.answered = true;
    for (SvanLink *link = fault->waits.next; link != &fault->waits;
         link = link->next) {
        tell(wait_of(link));
    }
}

/* ---- waits ---- */

/* Two pages are remembered, as a packet may cross from one to another. */
bool svan_page_wait_is_again(const SvanPageWait *wait)
{
    uint64_t page = wait->waiter->work->fn->memory->miss.va & ~(uint64_t)SVAN_PAGE_MASK;

    return wait->met && (page == wait->met->page || page == wait->met->before);
}

/*
 * Absent pages that a transfer may meet before an access of it succeeds.
 * SVAN_PAGE_ATTEMPT_MAX bounds one page, or two in turn, that come and go; this bounds
 * more than two. A packet has far fewer pages than this, so a transfer that meets each
 * of them once does not reach it.
 */
#define MAX_ROUNDS      4096u

static bool gets_nowhere(const SvanPageWait *wait)
{
    return wait->attempt == SVAN_PAGE_ATTEMPT_MAX || wait->rounds == MAX_ROUNDS;
}

static void wait_begins(SvanPageWait *wait, bool remote)
{
    SvanFn *fn = wait->waiter->work->fn;
    SvanMet *met = wait->met;

    set_wanted(&met->wanted, fn, remote);
    wait->rounds += wait->rounds < MAX_ROUNDS;
    if (svan_page_wait_is_again(wait)) {
        wait->attempt += wait->attempt < SVAN_PAGE_ATTEMPT_MAX;
        fn->stats->page_faults_again++;
    } else {
        wait->attempt = 0;
    }
    if (met->wanted.page != met->page) {
        met->before = met->page;
        met->page = met->wanted.page;
    }
    wait->state = SVAN_WAIT_PENDING;
    wait->token = SVAN_NONE;
    wait->news = true;
    fn->stats->page_faults++;
}

/* A wait that is PENDING goes on, as if its page was the first that it has met. */
void svan_page_wait_drop(SvanPageWait *wait)
{
    SvanMet *met = wait->met;

    met->page = met->before = UINT64_MAX;
    wait->attempt = 0;
    wait->rounds = 0;
    if (wait->state != SVAN_WAIT_PENDING) {
        wait->met = NULL;
        free(met);
    }
}

static bool make_met(SvanPageWait *wait)
{
    SvanMet *met = wait->met;

    if (!met) {
        met = calloc(1, sizeof(*met));
        if (!met) {
            return false;
        }
        met->wait = wait;
        met->page = met->before = UINT64_MAX;
        wait->met = met;
    }
    return true;
}

void svan_page_wait(SvanPageWait *wait, bool remote)
{
    SvanFn *fn = wait->waiter->work->fn;
    SvanPrq *prq = fn->paging->prq;
    SvanPageRequest *fault;

    if (!make_met(wait)) {
        wait->state = SVAN_WAIT_OVER;
        wait->token = SVAN_NONE;
        wait->news = true;
        svan_work_ready(wait->waiter->work);
        return;
    }
    wait_begins(wait, remote);
    if (!prq || fn->fatal || gets_nowhere(wait)) {
        wait->state = SVAN_WAIT_FAILED;
        svan_work_ready(wait->waiter->work);
        return;
    }
    fault = find_fault(prq, &wait->met->wanted);
    if (fault) {
        fn->stats->page_requests_merged++;
        join(fault, wait);
    } else if (may_ask(prq, wait->waiter->account)) {
        join(fault_begin(wait), wait);
    } else {
        fn->stats->page_requests_stalled++;
        enqueue(prq, wait);
    }
}

/* No wait needs the page request, and the driver has not been asked for it. */
static bool is_idle(const SvanPageRequest *fault)
{
    return (!fault->asked || fault->wanted.injected) &&
           svan_list_empty(&fault->waits);
}

/*
 * A page request that has lost its last wait is dropped if it was not written yet. Once
 * written it stays in use until the driver answers it.
 */
void svan_page_wait_leave(SvanPageWait *wait)
{
    SvanMet *met = wait->met;
    SvanPageRequest *fault = met ? met->fault : NULL;

    wait->state = SVAN_WAIT_NONE;
    if (met) {
        svan_list_remove(&met->link);
        met->fault = NULL;
    }
    if (fault && is_idle(fault)) {
        fault_free(fault);
    } else if (!fault) {
        check_turn(wait->waiter->account);
    }
}

static void look_again(SvanLink *waits, uint32_t key)
{
    SvanLink *next;

    for (SvanLink *link = waits->next; link != waits; link = next) {
        SvanPageWait *wait = wait_of(link);

        next = link->next;
        if (wait->met->wanted.key == key) {
            wait_ends(wait, SVAN_WAIT_OVER);
        }
    }
}

void svan_page_key_gone(SvanFn *fn, uint32_t key)
{
    SvanPrq *prq = fn->paging->prq;
    SvanLink *next;

    if (!prq) {
        return;
    }
    fn->core->cost += svan_prq_size(prq);
    for (SvanLink *link = prq->turns.next; link != &prq->turns; link = next) {
        SvanAccount *account = svan_container(link, SvanAccount, turn);

        next = link->next;
        look_again(&account->waits, key);
        check_turn(account);
    }
    for (uint32_t i = 0; i < svan_prq_size(prq); i++) {
        SvanPageRequest *fault = &prq->faults[i];

        if (!fault->used) {
            continue;
        }
        look_again(&fault->waits, key);
        if (!is_process(&fault->wanted) && fault->wanted.key == key &&
            !fault->orphan) {
            fault_unhash(fault);
            fault->orphan = true;
        }
        if (is_idle(fault)) {
            fault_free(fault);
        }
    }
}

SvanEstimate svan_page_wait_estimate(const SvanPageWait *wait, uint8_t sources)
{
    const SvanPageRequest *fault = wait->met ? wait->met->fault : NULL;
    SvanEstimate result = { 0 };

    if (wait->met && (sources & wait->met->wanted.source)) {
        result = wait->met->wanted.table;
    }
    result.answered = !(sources & SVAN_ESTIMATE_RESPONSE);
    if (!result.answered && fault && fault->answer.answered) {
        result.answered = true;
        if (fault->answer.known || !result.known) {
            result = fault->answer;
        }
    }
    return result;
}

SvanEstimate svan_page_expected(SvanFn *fn, uint8_t sources)
{
    SvanEstimate estimate = { 0 };

    if (sources & fn->memory->miss.source) {
        set_estimate(&estimate, fn, fn->memory->miss.fault_class,
                     fn->memory->miss.time_ns);
    }
    estimate.answered = !fn->paging->prq || !(sources & SVAN_ESTIMATE_RESPONSE);
    return estimate;
}

/* ---- life ---- */

void svan_page_requests_collect(SvanPrq *prq)
{
    prq->free = NULL;
    prq->num_free = 0;
    for (uint32_t i = svan_prq_size(prq); i--; ) {
        if (!prq->faults[i].used) {
            prq->faults[i].next = prq->free;
            prq->free = &prq->faults[i];
            prq->num_free++;
        }
    }
}

void svan_page_requests_init(SvanPrq *prq)
{
    svan_list_init(&prq->queue);
    svan_list_init(&prq->turns);
    for (uint32_t i = 0; i < svan_prq_size(prq); i++) {
        prq->faults[i].fn = prq->fn;
        prq->faults[i].token = i;
        svan_timer_init(&prq->faults[i].timer, fire_injected);
    }
    svan_page_requests_collect(prq);
}

void svan_page_requests_fini(SvanPrq *prq)
{
    while (!svan_list_empty(&prq->turns)) {
        SvanAccount *account = svan_container(prq->turns.next, SvanAccount,
                                              turn);

        wait_ends(wait_of(account->waits.next), SVAN_WAIT_FAILED);
        check_turn(account);
    }
    for (uint32_t i = 0; i < svan_prq_size(prq); i++) {
        SvanPageRequest *fault = &prq->faults[i];

        while (fault->used && !svan_list_empty(&fault->waits)) {
            wait_ends(wait_of(fault->waits.next), SVAN_WAIT_FAILED);
        }
        if (fault->used) {
            fault_free(fault);
        }
    }
}

SvanPageRequest *svan_page_request_restore(SvanPrq *prq, uint32_t token)
{
    uint32_t index = token & SVAN_PAGE_TOKEN_INDEX;
    SvanPageRequest *fault = &prq->faults[index & (svan_prq_size(prq) - 1)];

    if (index >= svan_prq_size(prq) || fault->used) {
        return NULL;
    }
    fault->token = token;
    return fault;
}

void svan_page_request_restored(SvanPageRequest *fault, SvanAccount *account)
{
    charge(fault, account);
    fault->used = fault->asked = true;
    svan_list_init(&fault->waits);
    if (!fault->orphan) {
        fault_hash(fault);
    }
}
