/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saved state. Nothing in a stream is believed: what could not have been saved is
 * refused, and what the steps rely on is checked here. A store through a window that was
 * open when the state was saved is made again. A WAIT is looked at when it is loaded, and
 * begins to watch its pages then: only its limit is saved.
 */
#include <stdlib.h>

#include "accel_inside.h"

#define STATE_MAGIC     0x53434341u     /* "ACCS" */
#define STATE_VERSION   3u

/* ---- saving ---- */

/*
 * What the command has done. A FENCE counts by the sequence of kept stores, which begins
 * anew with the load.
 */
static uint64_t progress(const AccelQueue *queue)
{
    const AccelKept *kept = queue->ctx->kept;

    if (!queue->have || queue->cmd.opcode != SVAN_ACCEL_FENCE || !queue->done) {
        return queue->done;
    }
    return 1 + (kept ? accel_kept_before(kept, queue->done) : 0);
}

static void save_command(const AccelQueue *queue, SvanWriter *writer)
{
    svan_put_u8(writer, queue->have);
    svan_put_u8(writer, queue->resolved);
    svan_put_bytes(writer, &queue->cmd, sizeof(queue->cmd));
    svan_put_u64(writer, queue->value);
    svan_put_u64(writer, progress(queue));
    svan_put_u32(writer, queue->crc);
    svan_put_u32(writer, queue->loop_left);
    svan_put_u64(writer, queue->loop_at);
    svan_put_u64(writer, queue->loop_end);
    svan_put_u8(writer, queue->loop_flags);
    svan_put_u32(writer, queue->loop_tag);
}

static void save_queue(const AccelQueue *queue, SvanWriter *writer)
{
    svan_put_u64(writer, queue->reg_base);
    svan_put_u64(writer, queue->reg_record);
    svan_put_u32(writer, queue->reg_log_size);
    svan_put_u8(writer, queue->state);
    if (queue->state == SVAN_ACCEL_QUEUE_OFF) {
        return;
    }
    svan_put_u64(writer, queue->base);
    svan_put_u64(writer, queue->record);
    svan_put_u32(writer, queue->log_size);
    svan_put_u8(writer, queue->status);
    svan_put_u32(writer, queue->tag);
    svan_put_u64(writer, queue->head);
    svan_put_u64(writer, queue->index);
    svan_put_u64(writer, queue->producer);
    svan_put_u64(writer, atomic_load_explicit(&queue->rung, memory_order_acquire) &
                         ~ACCEL_DB_OPEN);
    svan_put_u8(writer, queue->record_due);
    save_command(queue, writer);
    svan_put_u8(writer, queue->store != ACCEL_STORE_NONE);
    svan_put_u8(writer, queue->wait_status);
    svan_put_u64(writer, queue->limit);
}

static void save_kept(const AccelKept *kept, SvanWriter *writer)
{
    svan_put_u8(writer, kept != NULL);
    if (!kept) {
        return;
    }
    svan_put_u64(writer, kept->leave_at);
    svan_put_u64(writer, kept->rng);
    svan_put_u8(writer, kept->count);
    for (uint32_t i = 0; i < kept->count; i++) {
        const AccelKeptStore *store = &kept->stores[kept->order[i]];

        svan_put_u64(writer, store->va);
        svan_put_u64(writer, store->page);
        svan_put_u32(writer, store->len);
        svan_put_bytes(writer, store->data, store->len);
    }
}

static void save_ctx(const AccelCtx *ctx, SvanWriter *writer)
{
    svan_put_u64(writer, ctx->reg_table);
    svan_put_u32(writer, ctx->reg_levels);
    svan_put_u64(writer, ctx->root);
    svan_put_u32(writer, ctx->levels);
    svan_put_u8(writer, ctx->state);
    svan_put_u8(writer, ctx->fault);
    svan_put_u32(writer, ctx->fault_queue);
    svan_put_u64(writer, ctx->fault_addr);
    svan_put_u8(writer, ctx->next_queue);
    for (uint32_t i = 0; i < SVAN_ACCEL_QUEUES; i++) {
        save_queue(&ctx->queues[i], writer);
    }
    save_kept(ctx->kept, writer);
}

void *accel_save(Accel *accel, size_t *len)
{
    SvanWriter writer = { 0 };

    svan_put_u32(&writer, STATE_MAGIC);
    svan_put_u32(&writer, STATE_VERSION);
    svan_put_u64(&writer, accel->config.mem_size);
    svan_put_u32(&writer, accel->generation);
    svan_put_u64(&writer, accel->clock_latch);
    svan_put_u64(&writer, accel->irqs_due);
    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        save_ctx(&accel->ctxs[i], &writer);
    }
    if (writer.failed) {
        free(writer.data);
        return NULL;
    }
    *len = writer.len;
    return writer.data;
}

/* ---- loading ---- */

static bool get_bool(SvanReader *reader)
{
    uint8_t value = svan_get_u8(reader);

    if (value > 1) {
        reader->failed = true;
    }
    return value;
}

/*
 * Only distances count, because a bound on the indices themselves would be passed by the
 * next command of a queue that is loaded close to it.
 */
static bool good_indices(const AccelQueue *queue)
{
    uint64_t index = queue->index - queue->head, posted = queue->producer - queue->head;
    uint64_t loop_at = queue->loop_at - queue->head;

    if (queue->log_size > SVAN_ACCEL_QUEUE_MAX_LOG_SIZE || queue->base % 64 ||
        queue->record % sizeof(struct svan_accel_record) || index > posted ||
        posted > accel_queue_size(queue)) {
        return false;
    }
    if (queue->state == SVAN_ACCEL_QUEUE_STOPPED) {
        return !queue->loop_left;
    }
    return queue->loop_left ? loop_at && loop_at >= index && loop_at < posted &&
                              queue->loop_end == queue->loop_at + 1 :
                              !index;
}

static bool good_progress(const AccelQueue *queue)
{
    const struct svan_accel_cmd *cmd = &queue->cmd;

    switch (cmd->opcode) {
    case SVAN_ACCEL_FENCE:
        return queue->done <= ACCEL_KEPT_STORES + 1;
    case SVAN_ACCEL_REDUCE:
        return queue->done <= accel_cmd_length(cmd) &&
               queue->done % accel_type_size(cmd->reduce.type) == 0;
    case SVAN_ACCEL_COPY_WQE:
        return queue->done < accel_cmd_length(cmd) && queue->done % 64 == 0;
    default:
        return queue->done <= accel_cmd_length(cmd);
    }
}

/* The command at hand, and what the queue's state says of it. */
static bool good_command(const AccelQueue *queue)
{
    bool stopped = queue->state == SVAN_ACCEL_QUEUE_STOPPED;
    bool waiting = queue->state == SVAN_ACCEL_QUEUE_WAITING;
    bool wanted = queue->store == ACCEL_STORE_WANTED;

    if (!queue->have) {
        return !waiting && !wanted;
    }
    return !stopped && !(waiting && wanted) && queue->index != queue->producer &&
           !(queue->loop_left && queue->index == queue->loop_at) &&
           accel_validate(&queue->cmd) == SVAN_ACCEL_OK && good_progress(queue) &&
           (!queue->resolved || queue->cmd.width != 4 || queue->value <= UINT32_MAX) &&
           (!waiting || (queue->resolved && queue->cmd.opcode == SVAN_ACCEL_WAIT)) &&
           (!wanted || (queue->resolved && queue->cmd.opcode == SVAN_ACCEL_WRITE));
}

static bool good_queue(const AccelQueue *queue)
{
    bool stopped = queue->state == SVAN_ACCEL_QUEUE_STOPPED;
    bool waiting = queue->state == SVAN_ACCEL_QUEUE_WAITING;

    return queue->state <= SVAN_ACCEL_QUEUE_STOPPED &&
           queue->ctx->state != SVAN_ACCEL_CTX_OFF &&
           (stopped || queue->ctx->state == SVAN_ACCEL_CTX_RUNNING) &&
           stopped == (queue->status != SVAN_ACCEL_OK) &&
           queue->status <= SVAN_ACCEL_CONTEXT &&
           queue->wait_status <= SVAN_ACCEL_TIMEOUT &&
           !(queue->loop_flags & ~SVAN_ACCEL_CMD_RECORD) &&
           !(queue->record_due && (!queue->record || waiting)) &&
           good_indices(queue) && good_command(queue);
}

static void load_command(AccelQueue *queue, SvanReader *reader)
{
    queue->have = get_bool(reader);
    queue->resolved = get_bool(reader);
    svan_get_bytes(reader, &queue->cmd, sizeof(queue->cmd));
    queue->value = svan_get_u64(reader);
    queue->done = svan_get_u64(reader);
    queue->crc = svan_get_u32(reader);
    queue->loop_left = svan_get_u32(reader);
    queue->loop_at = svan_get_u64(reader);
    queue->loop_end = svan_get_u64(reader);
    queue->loop_flags = svan_get_u8(reader);
    queue->loop_tag = svan_get_u32(reader);
}

/* Lists, doorbell and deadlines, once the queue has been found good. */
static void queue_joins(AccelQueue *queue, uint64_t rung)
{
    Accel *accel = queue->ctx->accel;

    if (queue->state != SVAN_ACCEL_QUEUE_STOPPED) {
        accel_queue_open_doorbell(queue, rung);
    }
    if (queue->state == SVAN_ACCEL_QUEUE_WAITING) {
        queue->look = true;
        queue->gap = ACCEL_FIRST_LOOK_NS;
        accel_wait_join(queue);
    }
    if (queue->store == ACCEL_STORE_WANTED) {
        accel_want_store(queue);
    }
    svan_list_append(&accel->ready, &queue->ctx->ready);
}

static bool load_queue(AccelQueue *queue, SvanReader *reader)
{
    uint64_t rung;

    queue->reg_base = svan_get_u64(reader);
    queue->reg_record = svan_get_u64(reader);
    queue->reg_log_size = svan_get_u32(reader);
    queue->state = svan_get_u8(reader);
    if (queue->state == SVAN_ACCEL_QUEUE_OFF) {
        return !reader->failed;
    }
    queue->base = svan_get_u64(reader);
    queue->record = svan_get_u64(reader);
    queue->log_size = svan_get_u32(reader);
    queue->status = svan_get_u8(reader);
    queue->tag = svan_get_u32(reader);
    queue->head = svan_get_u64(reader);
    queue->index = svan_get_u64(reader);
    queue->producer = svan_get_u64(reader);
    rung = svan_get_u64(reader);
    queue->record_due = get_bool(reader);
    load_command(queue, reader);
    queue->store = get_bool(reader) ? ACCEL_STORE_WANTED : ACCEL_STORE_NONE;
    queue->wait_status = svan_get_u8(reader);
    queue->limit = svan_get_u64(reader);
    if (reader->failed || !good_queue(queue) || (rung & ~(ACCEL_DB_BAD | UINT32_MAX))) {
        queue->store = ACCEL_STORE_NONE;
        return false;
    }
    queue_joins(queue, rung);
    return true;
}

static bool load_kept_store(AccelKept *kept, SvanReader *reader)
{
    AccelKeptStore *store = &kept->stores[kept->count];

    store->va = svan_get_u64(reader);
    store->page = svan_get_u64(reader);
    store->sequence = kept->sequence++;
    store->len = svan_get_u32(reader);
    if (!store->len || store->len > ACCEL_PAGE - store->va % ACCEL_PAGE) {
        return false;
    }
    svan_get_bytes(reader, store->data, store->len);
    kept->count++;
    return !reader->failed;
}

static bool load_kept(AccelCtx *ctx, SvanReader *reader)
{
    AccelKept *kept;
    uint8_t count;

    if (!get_bool(reader)) {
        return !reader->failed;
    }
    if (!ctx->accel->config.reorder_seed || ctx->state == SVAN_ACCEL_CTX_OFF) {
        return false;
    }
    kept = accel_kept_make(ctx);
    if (!kept) {
        return false;
    }
    kept->leave_at = svan_get_u64(reader);
    kept->rng = svan_get_u64(reader);
    count = svan_get_u8(reader);
    if (count > ACCEL_KEPT_STORES) {
        return false;
    }
    while (kept->count < count) {
        if (!load_kept_store(kept, reader)) {
            return false;
        }
    }
    if (count) {
        accel_kept_join(ctx, kept->leave_at);
    }
    return true;
}

static bool load_ctx(AccelCtx *ctx, SvanReader *reader)
{
    ctx->reg_table = svan_get_u64(reader);
    ctx->reg_levels = svan_get_u32(reader);
    ctx->root = svan_get_u64(reader);
    ctx->levels = svan_get_u32(reader);
    ctx->state = svan_get_u8(reader);
    ctx->fault = svan_get_u8(reader);
    ctx->fault_queue = svan_get_u32(reader);
    ctx->fault_addr = svan_get_u64(reader);
    ctx->next_queue = svan_get_u8(reader);
    if (reader->failed || ctx->state > SVAN_ACCEL_CTX_FAULTED || ctx->levels > 4 ||
        (ctx->root & ~SVAN_ACCEL_PTE_ADDR_MASK) || ctx->fault > SVAN_ACCEL_CONTEXT ||
        ctx->fault_queue > SVAN_ACCEL_QUEUES || ctx->next_queue >= SVAN_ACCEL_QUEUES ||
        (ctx->state == SVAN_ACCEL_CTX_RUNNING && !ctx->levels)) {
        return false;
    }
    for (uint32_t i = 0; i < SVAN_ACCEL_QUEUES; i++) {
        if (!load_queue(&ctx->queues[i], reader)) {
            return false;
        }
    }
    return load_kept(ctx, reader);
}

static bool load(Accel *accel, SvanReader *reader)
{
    if (svan_get_u32(reader) != STATE_MAGIC || svan_get_u32(reader) != STATE_VERSION ||
        svan_get_u64(reader) != accel->config.mem_size) {
        return false;
    }
    accel->generation = svan_get_u32(reader);
    accel->clock_latch = svan_get_u64(reader);
    if (!accel_irqs_load(accel, svan_get_u64(reader))) {
        return false;
    }
    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        if (!load_ctx(&accel->ctxs[i], reader)) {
            return false;
        }
    }
    return !reader->failed && reader->pos == reader->len;
}

bool accel_load(Accel *accel, const void *stream, size_t len)
{
    SvanReader reader = { .data = stream, .len = len };

    accel_reset(accel);
    if (!load(accel, &reader)) {
        accel_reset(accel);
        return false;
    }
    /* What was rung before the state was saved, and what is at hand. */
    atomic_store_explicit(&accel->rung, ACCEL_ALL_CONTEXTS, memory_order_release);
    accel->ops.kick(accel->opaque);
    return true;
}
