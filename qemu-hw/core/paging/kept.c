/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packets of a queue pair that are kept for a page, in their order, each of them in
 * the fault buffer or in a spare page (PRM "Faults"). The transport knows what they ask
 * for, and when to execute them.
 */
#include "paging/paging.h"

static void forget_all(SvanKept *kept)
{
    kept->first = NULL;
    kept->tail = &kept->first;
    kept->bytes = 0;
    kept->spares = 0;
    kept->spare = SVAN_NONE;
}

void svan_kept_init(SvanKept *kept, const SvanWaiter *waiter,
                    const struct svan_fault_policy *policy)
{
    kept->waiter = waiter;
    kept->policy = policy;
    forget_all(kept);
}

static SvanFn *fn_of(const SvanKept *kept)
{
    return kept->waiter->work->fn;
}

void svan_kept_drop(SvanKept *kept)
{
    while (kept->first) {
        SvanHeld *held = kept->first;

        kept->first = held->next;
        svan_held_free(fn_of(kept), held);
    }
    forget_all(kept);
}

void svan_kept_drop_first(SvanKept *kept)
{
    SvanHeld *held = kept->first;

    kept->first = held->next;
    if (!kept->first) {
        kept->tail = &kept->first;
    }
    kept->bytes -= svan_held_size(held);
    svan_held_free(fn_of(kept), held);
}

void svan_kept_drop_rest(SvanKept *kept)
{
    SvanHeld *first = kept->first;

    kept->first = first->next;
    svan_kept_drop(kept);
    first->next = NULL;
    kept->first = first;
    kept->tail = &first->next;
    kept->bytes = svan_held_size(first);
    if (first->spare != SVAN_NONE) {
        kept->spare = first->spare;
        kept->spares = 1;
    }
}

/* ---- keeping ---- */

/* DONE; IDLE: there is no room. */
static SvanStep keep_in_buffer(SvanKept *kept, const SvanPkt *pkt,
                               SvanHeld **held)
{
    uint32_t size = SVAN_HELD_OVERHEAD + pkt->payload_len;
    uint32_t limit = le32toh(kept->policy->hold_bytes);

    if (size > limit || kept->bytes > limit - size) {
        return SVAN_STEP_IDLE;
    }
    *held = svan_hold(kept->waiter, pkt);
    return *held ? SVAN_STEP_DONE : SVAN_STEP_IDLE;
}

static SvanStep keep_in_spare(SvanKept *kept, const SvanPkt *pkt,
                              SvanHeld **held)
{
    uint32_t page = kept->spare;
    bool may_take = kept->spares < le32toh(kept->policy->divert_pages);
    SvanStep step = svan_divert(kept->waiter, pkt, may_take, &kept->spare, held);

    kept->spares += step == SVAN_STEP_DONE && kept->spare != page;
    return step;
}

static bool by_estimate(const SvanKept *kept)
{
    return kept->policy->mode == SVAN_FAULT_MODE_AUTO;
}

/* Half of the fault buffer is left to packets that wait briefly. */
bool svan_kept_may_be_long(const SvanKept *kept)
{
    const SvanFn *fn = fn_of(kept);

    return fn->paging->held_bytes <= fn->core->config.fault_buffer / 2;
}

/*
 * A packet without payload takes no spare page, but SVAN_HELD_OVERHEAD of the fault
 * buffer. With AUTO, a packet that finds no room in the buffer takes a spare page, and
 * one whose sender is told to wait by an RNR NAK takes none of the half of the buffer
 * that is left to short waits.
 */
static SvanStep keep_somewhere(SvanKept *kept, const SvanPkt *pkt, uint8_t mode,
                               SvanHeld **held)
{
    bool crowded = mode == SVAN_FAULT_MODE_RNR && by_estimate(kept) &&
                   !svan_kept_may_be_long(kept);

    if (!crowded && (mode != SVAN_FAULT_MODE_DIVERT || !pkt->payload_len)) {
        SvanStep step = keep_in_buffer(kept, pkt, held);

        if (step != SVAN_STEP_IDLE || !by_estimate(kept)) {
            return step;
        }
    }
    return pkt->payload_len ? keep_in_spare(kept, pkt, held) : SVAN_STEP_IDLE;
}

SvanStep svan_keep(SvanKept *kept, const SvanPkt *pkt, uint8_t mode,
                   SvanHeld **held)
{
    SvanStep step = keep_somewhere(kept, pkt, mode, held);

    if (step == SVAN_STEP_DONE) {
        kept->bytes += svan_held_size(*held);
        *kept->tail = *held;
        kept->tail = &(*held)->next;
    }
    return step;
}

SvanStep svan_kept_to_spares(SvanKept *kept)
{
    for (SvanHeld **at = &kept->first; *at; at = &(*at)->next) {
        SvanHeld *old = *at, *new;
        SvanPkt pkt;
        SvanStep step;

        if (old->spare != SVAN_NONE || !old->len) {
            continue;
        }
        svan_held_packet(fn_of(kept), old, &pkt);
        step = keep_in_spare(kept, &pkt, &new);
        if (step != SVAN_STEP_DONE) {
            return step == SVAN_STEP_MISS ? step : SVAN_STEP_DONE;
        }
        new->psns = old->psns;
        new->next = old->next;
        *at = new;
        if (!new->next) {
            kept->tail = &new->next;
        }
        kept->bytes -= svan_held_size(old);
        svan_held_free(fn_of(kept), old);
    }
    return SVAN_STEP_DONE;
}
