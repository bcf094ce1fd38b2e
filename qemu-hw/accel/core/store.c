/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stores: those to memory, which a context keeps back if the device reorders, and those
 * through windows, which the glue makes.
 *
 * A kept store is translated once when it is made, so that a bad address faults at the
 * command that gave it, and again when it leaves: an address that was taken away in
 * between is not stored to. What a context reads it finds as it has stored it, because a
 * page that is read first lets go of all stores to it, one a step.
 */
#include <stdlib.h>

#include "accel_inside.h"

/* ---- memory ---- */

static void store_octets(void *host, const void *data, uint32_t len)
{
    uint64_t word;
    uint32_t half;

    if (len % 8 == 0 && len <= 16 && (uintptr_t)host % 8 == 0) {
        for (uint32_t i = 0; i < len; i += 8) {
            memcpy(&word, (const uint8_t *)data + i, 8);
            __atomic_store_n((uint64_t *)((uint8_t *)host + i), word, __ATOMIC_RELEASE);
        }
    } else if (len == 4 && (uintptr_t)host % 4 == 0) {
        memcpy(&half, data, 4);
        __atomic_store_n((uint32_t *)host, half, __ATOMIC_RELEASE);
    } else {
        memmove(host, data, len);
    }
}

static void was_stored(AccelCtx *ctx, const AccelMem *mem)
{
    Accel *accel = ctx->accel;

    accel->ops.written(accel->opaque, mem->space, mem->addr, mem->host, mem->len);
    accel_wake_page(accel, accel_page_key(mem->space, mem->addr));
}

/* ---- stores that are kept back ---- */

static uint64_t draw(uint64_t *rng)
{
    uint64_t z = *rng += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

AccelKept *accel_kept_make(AccelCtx *ctx)
{
    AccelKept *kept = ctx->kept;

    if (!kept) {
        kept = calloc(1, sizeof(*kept));
        if (!kept) {
            return NULL;
        }
        for (uint32_t i = 0; i < ACCEL_KEPT_STORES; i++) {
            kept->order[i] = i;
        }
        kept->rng = ctx->accel->config.reorder_seed * 0xd1342543de82ef95ull + ctx->number;
        kept->sequence = 1;
        ctx->kept = kept;
    }
    return kept;
}

void accel_kept_join(AccelCtx *ctx, uint64_t leave_at)
{
    Accel *accel = ctx->accel;

    ctx->kept->leave_at = leave_at;
    svan_list_append(&accel->keeping, &ctx->keeping);
    if (leave_at < accel->next_leave) {
        accel->next_leave = leave_at;
    }
}

static void next_leaves_soon(AccelCtx *ctx)
{
    AccelKept *kept = ctx->kept;

    kept->due = false;
    if (kept->count) {
        accel_kept_join(ctx, accel_later(accel_now(ctx->accel),
                                         draw(&kept->rng) % ACCEL_KEPT_NS));
    } else {
        svan_list_remove(&ctx->keeping);
    }
}

static AccelKeptStore *kept_at(AccelKept *kept, uint32_t i)
{
    return &kept->stores[kept->order[i]];
}

/* The oldest store to the page; kept->count: there is none. */
static uint32_t oldest_to(AccelKept *kept, uint64_t page)
{
    uint32_t i = 0;

    while (i < kept->count && kept_at(kept, i)->page != page) {
        i++;
    }
    return i;
}

uint32_t accel_kept_before(const AccelKept *kept, uint64_t sequence)
{
    uint32_t i = 0;

    while (i < kept->count && kept->stores[kept->order[i]].sequence < sequence) {
        i++;
    }
    return i;
}

static void kept_remove(AccelCtx *ctx, uint32_t i)
{
    AccelKept *kept = ctx->kept;
    uint8_t slot = kept->order[i];

    kept->count--;
    memmove(&kept->order[i], &kept->order[i + 1], kept->count - i);
    kept->order[kept->count] = slot;
    next_leaves_soon(ctx);
}

/*
 * A store whose address leads nowhere by now is lost, and the context faults, whoever's
 * step this is. So the step has ended, unless it has missed.
 */
static AccelStep kept_leaves(AccelCtx *ctx, uint32_t i)
{
    AccelKeptStore *store = kept_at(ctx->kept, i);
    AccelMem mem;
    AccelStep step = accel_map_through(ctx, ACCEL_WRITE, store->va, store->len, &mem);

    if (step == ACCEL_STEP_MISS) {
        return step;
    }
    if (step == ACCEL_STEP_DONE) {
        store_octets(mem.host, store->data, store->len);
        was_stored(ctx, &mem);
    }
    kept_remove(ctx, i);
    if (step == ACCEL_STEP_FAULT) {
        accel_ctx_fault(ctx, SVAN_ACCEL_QUEUES);
    }
    return ACCEL_STEP_AGAIN;
}

AccelStep accel_leave(AccelCtx *ctx, uint32_t among)
{
    AccelKept *kept = ctx->kept;
    uint64_t rng = kept->rng;
    uint32_t i = oldest_to(kept, kept_at(kept, draw(&rng) % among)->page);

    return kept_leaves(ctx, i);
}

bool accel_leave_turn(AccelCtx *ctx)
{
    AccelKept *kept = ctx->kept;

    return kept && kept->count && (kept->due || draw(&kept->rng) % 4 == 0);
}

void accel_leave_due(Accel *accel, uint64_t now)
{
    if (now < accel->next_leave) {
        return;
    }
    accel->next_leave = ACCEL_NO_TIME;
    for (SvanLink *link = accel->keeping.next; link != &accel->keeping; link = link->next) {
        AccelCtx *ctx = svan_container(link, AccelCtx, keeping);

        if (ctx->kept->leave_at <= now) {
            ctx->kept->due = true;
            accel_ctx_ready(ctx);
        } else if (ctx->kept->leave_at < accel->next_leave) {
            accel->next_leave = ctx->kept->leave_at;
        }
    }
}

void accel_drop_kept(AccelCtx *ctx)
{
    svan_list_remove(&ctx->keeping);
    free(ctx->kept);
    ctx->kept = NULL;
}

/* Without memory for it the store is not kept back. */
static AccelStep kept_reserve(AccelCtx *ctx, AccelMem *mem)
{
    AccelKept *kept = accel_kept_make(ctx);

    if (!kept) {
        return ACCEL_STEP_DONE;
    }
    if (kept->count == ACCEL_KEPT_STORES) {
        return accel_leave(ctx, kept->count);
    }
    mem->kept = kept_at(kept, kept->count);
    mem->host = mem->kept->data;
    return ACCEL_STEP_DONE;
}

static AccelStep page_lets_go(AccelCtx *ctx, const AccelMem *mem)
{
    AccelKept *kept = ctx->kept;
    uint32_t i = kept ? oldest_to(kept, accel_page_key(mem->space, mem->addr)) : 0;

    return kept && i < kept->count ? kept_leaves(ctx, i) : ACCEL_STEP_DONE;
}

/* ---- what steps call ---- */

AccelStep accel_map(AccelCtx *ctx, AccelAccess access, uint64_t va, uint32_t len,
                    AccelMem *mem)
{
    AccelStep step = accel_map_through(ctx, access, va, len, mem);

    if (step != ACCEL_STEP_DONE || mem->window || !ctx->accel->config.reorder_seed) {
        return step;
    }
    return access == ACCEL_READ ? page_lets_go(ctx, mem) : kept_reserve(ctx, mem);
}

void accel_stored(AccelCtx *ctx, const AccelMem *mem)
{
    AccelKept *kept = ctx->kept;

    ctx->accel->stats.octets += mem->len;
    if (!mem->kept) {
        was_stored(ctx, mem);
        return;
    }
    mem->kept->va = mem->va;
    mem->kept->page = accel_page_key(mem->space, mem->addr);
    mem->kept->len = mem->len;
    mem->kept->sequence = kept->sequence++;
    if (!kept->count++) {
        next_leaves_soon(ctx);
    }
}

void accel_put(AccelCtx *ctx, const AccelMem *mem, const void *data)
{
    store_octets(mem->host, data, mem->len);
    accel_stored(ctx, mem);
}

/* ---- stores through windows ---- */

AccelStep accel_want_store(AccelQueue *queue)
{
    Accel *accel = queue->ctx->accel;

    queue->store = ACCEL_STORE_WANTED;
    queue->store_serial = ++accel->serial;
    svan_list_append(&accel->wanted, &queue->wanted);
    accel->ops.store_wanted(accel->opaque);
    return ACCEL_STEP_BLOCKED;
}

void accel_forget_store(AccelQueue *queue)
{
    svan_list_remove(&queue->wanted);
    queue->store = ACCEL_STORE_NONE;
}

/*
 * The window may have gone since the step that found it: then, and if its translation is
 * not at hand, the queue runs the step again.
 */
static bool store_translate(AccelQueue *queue, AccelStore *store)
{
    const struct svan_accel_cmd *cmd = &queue->cmd;
    AccelCtx *ctx = queue->ctx;
    Accel *accel = ctx->accel;
    AccelMem mem;
    AccelStep step = accel_translate(ctx, ACCEL_WRITE_OR_WINDOW,
                                     svan_le64_to_cpu(cmd->write.addr), &mem);

    accel_forget_store(queue);
    if (step != ACCEL_STEP_DONE || !mem.window) {
        accel_ctx_ready(ctx);
        return false;
    }
    queue->store = ACCEL_STORE_OPEN;
    queue->store_serial = ++accel->serial;
    *store = (AccelStore) {
        .bus = mem.addr, .value = queue->value, .width = cmd->width, .ctx = ctx->number,
        .queue = queue->number, .serial = queue->store_serial,
    };
    accel_trace(ctx, ACCEL_TRACE_STORE, queue->number, store->bus, store->value,
                store->width);
    return true;
}

void accel_store_turn(Accel *accel)
{
    accel->store_turn = accel->serial;
}

bool accel_store_next(Accel *accel, AccelStore *store)
{
    while (!svan_list_empty(&accel->wanted)) {
        AccelQueue *queue = svan_container(accel->wanted.next, AccelQueue, wanted);

        if (queue->store_serial > accel->store_turn) {
            return false;
        }
        if (store_translate(queue, store)) {
            return true;
        }
    }
    return false;
}

void accel_store_end(Accel *accel, const AccelStore *store, bool made)
{
    AccelQueue *queue;

    if (store->ctx >= SVAN_ACCEL_CONTEXTS || store->queue >= SVAN_ACCEL_QUEUES) {
        return;
    }
    queue = &accel->ctxs[store->ctx].queues[store->queue];
    if (queue->store != ACCEL_STORE_OPEN || queue->store_serial != store->serial) {
        return;
    }
    accel_forget_store(queue);
    if (made) {
        accel->stats.stores++;
        accel_queue_command_end(queue);
    } else {
        accel->stats.stores_refused++;
        accel_queue_stop(queue, SVAN_ACCEL_STORE);
    }
    accel_ctx_ready(queue->ctx);
}
