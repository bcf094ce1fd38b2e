/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for packets that wait for a page: the fault buffer, which is the
 * device's own, and the spare pages that the host has lent (PRM "Faults").
 */
#include <stdlib.h>
#include <string.h>

#include "paging/paging.h"

struct SvanSpares {
    uint32_t count;
    uint32_t free;
    struct {
        uint64_t bus;
        SvanAccount *account;   /* whose packets it holds, while refs is not 0 */
        uint32_t used;          /* octets in use, from the start of the page */
        uint32_t refs;          /* packets in it */
    } pages[];
};

static SvanHeld *held_new(const SvanWaiter *waiter, const SvanPkt *pkt, uint32_t room)
{
    SvanHeld *held = malloc(sizeof(*held) + room);

    if (held) {
        held->next = NULL;
        held->account = waiter->account;
        held->psn = pkt->psn;
        held->psns = 1;
        held->len = pkt->payload_len;
        held->spare = SVAN_NONE;
        memcpy(held->head, pkt, sizeof(held->head));
    }
    return held;
}

static void gather_payload(uint8_t *to, const SvanPkt *pkt)
{
    uint32_t left = pkt->payload_len;

    for (uint32_t i = 0; i < pkt->num_runs && left; i++) {
        uint32_t n = pkt->runs[i].len < left ? pkt->runs[i].len : left;

        memcpy(to, pkt->runs[i].host, n);
        to += n;
        left -= n;
    }
}

SvanHeld *svan_hold(const SvanWaiter *waiter, const SvanPkt *pkt)
{
    uint32_t size = SVAN_HELD_OVERHEAD + pkt->payload_len;
    SvanFn *fn = waiter->work->fn;
    SvanShare share = {
        .total = fn->core->config.fault_buffer, .more = size,
        .used = waiter->account->held_bytes,
    };
    SvanHeld *held;

    share.free = share.total > fn->paging->held_bytes ? share.total - fn->paging->held_bytes : 0;
    if (!svan_account_may_keep(waiter->account, &share)) {
        return NULL;
    }
    held = held_new(waiter, pkt, pkt->payload_len);
    if (held) {
        gather_payload(held->payload, pkt);
        fn->paging->held_bytes += size;
        waiter->account->held_bytes += size;
        fn->stats->fault_held_bytes += pkt->payload_len;
    }
    return held;
}

/* A spare page with room for len octets: the waiter's last one, or an empty one. */
static uint32_t find_spare(const SvanWaiter *waiter, uint32_t page, uint32_t len,
                           bool may_take)
{
    const SvanSpares *spares = waiter->work->fn->paging->spares;
    SvanShare share = {
        .total = spares->count, .free = spares->free,
        .used = waiter->account->spares, .more = 1,
    };

    if (page < spares->count && spares->pages[page].refs &&
        spares->pages[page].account == waiter->account &&
        len <= SVAN_PAGE_SIZE - spares->pages[page].used) {
        return page;
    }
    may_take = may_take && svan_account_may_keep(waiter->account, &share);
    for (uint32_t i = 0; may_take && i < spares->count; i++) {
        if (!spares->pages[i].refs) {
            return i;
        }
    }
    return SVAN_NONE;
}

/*
 * Octets of a spare page that a payload takes: they are rounded up, so that the number
 * of packets in a page is bounded.
 */
static uint32_t room_of(uint32_t len)
{
    return (len + SVAN_HELD_OVERHEAD - 1) / SVAN_HELD_OVERHEAD *
           SVAN_HELD_OVERHEAD;
}

static void take_piece(const SvanWaiter *waiter, uint32_t page, uint32_t end)
{
    SvanSpares *spares = waiter->work->fn->paging->spares;

    if (!spares->pages[page].refs++) {
        spares->pages[page].account = waiter->account;
        spares->free--;
        waiter->account->spares++;
    }
    spares->pages[page].used = end;
}

static void give_piece(SvanSpares *spares, uint32_t page)
{
    if (!--spares->pages[page].refs) {
        spares->pages[page].account->spares--;
        spares->free++;
    }
}

SvanStep svan_divert(const SvanWaiter *waiter, const SvanPkt *pkt,
                     bool may_take, uint32_t *page, SvanHeld **out)
{
    SvanFn *fn = waiter->work->fn;
    SvanSpares *spares = fn->paging->spares;
    uint32_t len = pkt->payload_len;
    uint32_t to = spares ? find_spare(waiter, *page, len, may_take) : SVAN_NONE;
    uint32_t offset;
    SvanStep step;
    SvanHeld *held;
    SvanMem mem;

    if (!len || to == SVAN_NONE) {
        return SVAN_STEP_IDLE;
    }
    offset = spares->pages[to].refs ? spares->pages[to].used : 0;
    step = svan_map_bus(fn, spares->pages[to].bus + offset, len, true, &mem);
    if (step != SVAN_STEP_DONE) {
        return step == SVAN_STEP_MISS ? step : SVAN_STEP_IDLE;
    }
    held = held_new(waiter, pkt, 0);
    if (!held) {
        return SVAN_STEP_IDLE;
    }
    gather_payload(mem.host, pkt);
    svan_stored(fn, &mem);
    held->spare = *page = to;
    held->offset = offset;
    take_piece(waiter, to, offset + room_of(len));
    fn->stats->fault_diverted_bytes += len;
    *out = held;
    return SVAN_STEP_DONE;
}

void svan_held_free(SvanFn *fn, SvanHeld *held)
{
    fn->paging->held_bytes -= svan_held_size(held);
    held->account->held_bytes -= svan_held_size(held);
    if (held->spare != SVAN_NONE) {
        give_piece(fn->paging->spares, held->spare);
    }
    free(held);
}

SvanStep svan_held_packet(SvanFn *fn, SvanHeld *held, SvanPkt *pkt)
{
    SvanStep step = SVAN_STEP_DONE;

    memcpy(pkt, held->head, sizeof(held->head));
    pkt->num_runs = held->len ? 1 : 0;
    if (held->spare != SVAN_NONE) {
        step = svan_map_bus(fn, fn->paging->spares->pages[held->spare].bus +
                                held->offset, held->len, false, &pkt->runs[0]);
    } else if (held->len) {
        pkt->runs[0] = (SvanMem) { .host = held->payload, .len = held->len };
    }
    return step;
}

/* ---- the spare pages ---- */

bool svan_spares_in_use(const SvanFn *fn)
{
    const SvanSpares *spares = fn->paging->spares;

    for (uint32_t i = 0; spares && i < spares->count; i++) {
        if (spares->pages[i].refs) {
            return true;
        }
    }
    return false;
}

bool svan_spares_set(SvanFn *fn, const uint64_t *pages, uint32_t count)
{
    SvanSpares *spares = NULL;

    if (count) {
        spares = calloc(1, sizeof(*spares) + count * sizeof(spares->pages[0]));
        if (!spares) {
            return false;
        }
        spares->count = spares->free = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        spares->pages[i].bus = pages[i];
    }
    svan_spares_free(fn);
    fn->paging->spares = spares;
    return true;
}

void svan_spares_free(SvanFn *fn)
{
    free(fn->paging->spares);
    fn->paging->spares = NULL;
}

void svan_save_spares(SvanFn *fn, SvanWriter *writer)
{
    uint32_t count = fn->paging->spares ? fn->paging->spares->count : 0;

    svan_put_u32(writer, count);
    for (uint32_t i = 0; i < count; i++) {
        svan_put_u64(writer, fn->paging->spares->pages[i].bus);
    }
}

bool svan_load_spares(SvanFn *fn, SvanReader *reader)
{
    uint64_t pages[SVAN_MAX_SPARES];
    uint32_t count = svan_get_u32(reader);

    if (count > SVAN_MAX_SPARES ||
        (count && !(fn->features & SVAN_CAP_PAGE_REQUESTS))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        pages[i] = svan_get_u64(reader);
        if (pages[i] & SVAN_PAGE_MASK) {
            return false;
        }
    }
    return !reader->failed && svan_spares_set(fn, pages, count);
}
