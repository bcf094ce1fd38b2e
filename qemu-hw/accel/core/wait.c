/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * WAIT. A queue whose value has not come sleeps, and takes no steps before somebody says
 * that its page was stored to, or before its next look, or its limit. Looks come at
 * multiples of the gap between them, so that those of all patient waiters fall
 * together and cost one wake-up.
 */
#include "accel_inside.h"

/* ---- the pages of those that sleep ---- */

static uint16_t *bucket(Accel *accel, uint64_t key)
{
    return &accel->watched[(key * 0x9e3779b97f4a7c15ull) >> 56];
}

static_assert(ACCEL_WATCH_BUCKETS == 1u << (64 - 56), "the hash has 8 bits");

static void watch(AccelQueue *queue, int by)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (queue->watched[i]) {
            *bucket(queue->ctx->accel, queue->watched[i]) += by;
        }
    }
}

/*
 * Have the world tell of stores to the page of mem; NULL: no more. What it tells of already
 * it goes on to tell of, so that no store comes in between. true: the page is a new one.
 */
static bool watch_outside(AccelQueue *queue, uint32_t i, const AccelMem *mem)
{
    Accel *accel = queue->ctx->accel;
    uint32_t waiter = 2 * (queue->ctx->number * SVAN_ACCEL_QUEUES + queue->number) + i;
    void *host = mem ? mem->host : NULL;
    uint64_t key = mem ? accel_page_key(mem->space, mem->addr) : 0;

    if (!accel->ops.watch || (queue->outside[i] == host && queue->watched[i] == key)) {
        return false;
    }
    if (queue->outside[i]) {
        accel->ops.watch(accel->opaque, waiter, ACCEL_HOST, 0, NULL);
    }
    if (host) {
        accel->ops.watch(accel->opaque, waiter, mem->space, mem->addr, host);
    }
    queue->outside[i] = host;
    return host;
}

static void note_next_look(AccelQueue *queue)
{
    Accel *accel = queue->ctx->accel;
    uint64_t next = queue->look_at < queue->limit ? queue->look_at : queue->limit;

    if (next < accel->next_look) {
        accel->next_look = next;
    }
}

void accel_wait_join(AccelQueue *queue)
{
    svan_list_append(&queue->ctx->accel->waiting, &queue->waiting);
    watch(queue, 1);
    note_next_look(queue);
}

/* It does not sleep while it looks, but is still told of stores. */
static void look_up(AccelQueue *queue)
{
    if (queue->waiting.next) {
        svan_list_remove(&queue->waiting);
        watch(queue, -1);
    }
    queue->watched[0] = 0;
    queue->watched[1] = 0;
    queue->look = false;
}

void accel_wait_leave(AccelQueue *queue)
{
    look_up(queue);
    watch_outside(queue, 0, NULL);
    watch_outside(queue, 1, NULL);
}

static void wake(AccelQueue *queue)
{
    queue->look = true;
    accel_ctx_ready(queue->ctx);
}

void accel_wake_page(Accel *accel, uint64_t key)
{
    if (!*bucket(accel, key)) {
        return;
    }
    for (SvanLink *link = accel->waiting.next; link != &accel->waiting; link = link->next) {
        AccelQueue *queue = svan_container(link, AccelQueue, waiting);

        if (!queue->look && (queue->watched[0] == key || queue->watched[1] == key)) {
            accel->stats.wakes++;
            wake(queue);
        }
    }
}

void accel_wake_due(Accel *accel, uint64_t now)
{
    if (now < accel->next_look) {
        return;
    }
    accel->next_look = ACCEL_NO_TIME;
    for (SvanLink *link = accel->waiting.next; link != &accel->waiting; link = link->next) {
        AccelQueue *queue = svan_container(link, AccelQueue, waiting);
        uint64_t next = queue->look_at < queue->limit ? queue->look_at : queue->limit;

        if (queue->look) {
            continue;
        }
        if (next <= now) {
            wake(queue);
        } else if (next < accel->next_look) {
            accel->next_look = next;
        }
    }
}

/* What they wait for may lie elsewhere from here on, or nowhere. */
void accel_wake_ctx(AccelCtx *ctx)
{
    for (uint32_t i = 0; i < SVAN_ACCEL_QUEUES; i++) {
        if (ctx->queues[i].state == SVAN_ACCEL_QUEUE_WAITING) {
            wake(&ctx->queues[i]);
        }
    }
}

void accel_touched(Accel *accel, AccelSpace space, uint64_t addr)
{
    accel_wake_page(accel, accel_page_key(space, addr));
}

/* ---- the command ---- */

static uint64_t load(const AccelMem *mem)
{
    return mem->len == 4 ? le32toh(__atomic_load_n((uint32_t *)mem->host, __ATOMIC_ACQUIRE)) :
                           le64toh(__atomic_load_n((uint64_t *)mem->host, __ATOMIC_ACQUIRE));
}

static bool has_come(const AccelQueue *queue, uint64_t seen)
{
    uint64_t value = queue->value;

    seen &= svan_le64_to_cpu(queue->cmd.wait.mask);
    switch (queue->cmd.condition) {
    case SVAN_ACCEL_EQUAL:
        return seen == value;
    case SVAN_ACCEL_AT_LEAST:
        return seen >= value;
    default:
        return queue->cmd.width == 4 ? (int32_t)(uint32_t)(seen - value) >= 0 :
                                       (int64_t)(seen - value) >= 0;
    }
}

/*
 * Most looks are in vain, at a value that lies where it has lain before: then the queue
 * stays among those that wait. Stores from before a page was watched are not told of, so
 * the next look at a page that is new comes soon.
 */
static void sleep_on(AccelQueue *queue, const AccelMem *mem, const AccelMem *errors,
                     uint64_t now, uint64_t limit)
{
    bool again = queue->state == SVAN_ACCEL_QUEUE_WAITING;
    bool moved = watch_outside(queue, 0, mem);
    uint64_t value = accel_page_key(mem->space, mem->addr);
    uint64_t error = errors->len ? accel_page_key(errors->space, errors->addr) : 0;
    bool stays = again && queue->watched[0] == value && queue->watched[1] == error;
    uint32_t gap;

    moved |= watch_outside(queue, 1, errors->len ? errors : NULL);
    gap = again && !moved ? 2 * queue->gap : ACCEL_FIRST_LOOK_NS;
    if (!stays) {
        look_up(queue);
    }
    queue->state = SVAN_ACCEL_QUEUE_WAITING;
    queue->look = false;
    queue->gap = gap < ACCEL_LAST_LOOK_NS ? gap : ACCEL_LAST_LOOK_NS;
    queue->look_at = accel_later(now - now % queue->gap, queue->gap);
    queue->limit = limit;
    if (stays) {
        note_next_look(queue);
    } else {
        queue->watched[0] = value;
        queue->watched[1] = error;
        accel_wait_join(queue);
    }
    queue->ctx->accel->looked_in_vain = again;
}

static AccelStep wait_ends(AccelQueue *queue, uint8_t status, uint64_t seen)
{
    Accel *accel = queue->ctx->accel;
    uint64_t at = svan_le64_to_cpu(queue->cmd.wait.status);
    __le32 word = svan_cpu_to_le32(status);
    AccelMem mem;

    if (at) {
        AccelStep step = accel_map(queue->ctx, ACCEL_WRITE, at, sizeof(word), &mem);

        if (step != ACCEL_STEP_DONE) {
            return step;
        }
    }
    accel_wait_leave(queue);
    queue->state = SVAN_ACCEL_QUEUE_RUNNING;
    queue->wait_status = status;
    accel->stats.waits++;
    accel->stats.timeouts += status == SVAN_ACCEL_TIMEOUT;
    accel_trace(queue->ctx, ACCEL_TRACE_WAIT_END, queue->number,
                svan_le64_to_cpu(queue->cmd.wait.addr), seen, status);
    if (at) {
        accel_put(queue->ctx, &mem, &word);
    }
    return status == SVAN_ACCEL_OK || (queue->cmd.flags & SVAN_ACCEL_CMD_CONTINUE) ?
           ACCEL_STEP_DONE : accel_stop(queue, status);
}

AccelStep accel_cmd_wait(AccelQueue *queue)
{
    const struct svan_accel_wait *wait = &queue->cmd.wait;
    uint64_t limit_ns = svan_le64_to_cpu(wait->limit_ns);
    uint64_t now = accel_run_now(queue->ctx->accel), limit = queue->limit, seen;
    AccelMem mem, errors = { .host = NULL };
    AccelStep step = accel_map(queue->ctx, ACCEL_READ, svan_le64_to_cpu(wait->addr),
                               queue->cmd.width, &mem);

    if (step == ACCEL_STEP_DONE && wait->errors) {
        step = accel_map(queue->ctx, ACCEL_READ, svan_le64_to_cpu(wait->errors), 8, &errors);
    }
    if (step != ACCEL_STEP_DONE) {
        return step;
    }
    if (queue->state != SVAN_ACCEL_QUEUE_WAITING) {
        limit = limit_ns ? accel_later(now, limit_ns) : ACCEL_NO_TIME;
    }
    queue->ctx->accel->stats.looks++;
    seen = load(&mem);
    if (has_come(queue, seen)) {
        return wait_ends(queue, SVAN_ACCEL_OK, seen);
    }
    if (errors.len && load(&errors) != svan_le64_to_cpu(wait->error_value)) {
        return wait_ends(queue, SVAN_ACCEL_ERROR_COUNT, seen);
    }
    if (now >= limit) {
        return wait_ends(queue, SVAN_ACCEL_TIMEOUT, seen);
    }
    sleep_on(queue, &mem, &errors, now, limit);
    return ACCEL_STEP_BLOCKED;
}
