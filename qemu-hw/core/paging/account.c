/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accounts: what waits for pages is charged to a process, however many verbs contexts
 * it has opened, or to a verbs context if the driver has not named its process. A queue
 * pair holds a reference to its account as long as it lives, a page request until it is
 * answered for good.
 */
#include <stdlib.h>

#include "paging/paging.h"

#define OF_PROCESS      (1ull << 32)    /* tells a process's id from an owner's */

uint64_t svan_account_id(const SvanFn *fn, uint32_t uar)
{
    const SvanUar *page = svan_uar_get(fn, uar);

    return page->process ? OF_PROCESS | page->process : page->owner;
}

static SvanAccount **chain_of(SvanFn *fn, uint64_t id)
{
    return &fn->paging->accounts[id % SVAN_ACCOUNT_CHAINS];
}

SvanAccount *svan_account_get(SvanFn *fn, uint64_t id)
{
    SvanAccount **chain = chain_of(fn, id), *account = *chain;

    while (account && account->id != id) {
        account = account->next;
    }
    if (!account) {
        account = calloc(1, sizeof(*account));
        if (!account) {
            return NULL;
        }
        account->id = id;
        svan_list_init(&account->waits);
        account->next = *chain;
        *chain = account;
    }
    account->refs++;
    return account;
}

void svan_account_put(SvanFn *fn, SvanAccount *account)
{
    SvanAccount **at = chain_of(fn, account->id);

    if (--account->refs) {
        return;
    }
    while (*at != account) {
        at = &(*at)->next;
    }
    *at = account->next;
    free(account);
}

bool svan_account_may_keep(const SvanAccount *account, const SvanShare *share)
{
    uint32_t reserve = share->total / 16, left = share->free - share->more;

    if (share->more > share->free) {
        return false;
    }
    if (!share->used || svan_account_is_kernel(account)) {
        return true;
    }
    return left >= reserve && (share->used + share->more) / 4 <= left - reserve;
}
