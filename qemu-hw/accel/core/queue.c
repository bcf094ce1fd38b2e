/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queues: doorbells, turns, the fetching of commands, and how commands and queues end.
 *
 * accel_doorbell() runs in any thread, without the engine lock, beside the engine and
 * beside itself. It touches queue->rung, which holds ACCEL_DB_OPEN while the queue takes
 * doorbells, and accel->rung. It first moves the index in queue->rung on, by a compare-
 * and-swap that only ever replaces an index by a later one, or notes that one was bad, and
 * then sets the context's bit in accel->rung; the engine exchanges accel->rung with 0,
 * then reads the indices. Both touch accel->rung with acquire and release order, so either
 * the engine sees the new index, or the ringer finds the bit clear, sets it and kicks.
 */
#include "accel_inside.h"

/* ---- doorbells ---- */

/*
 * What is rung is at most a ring ahead of what was rung before. An index that is not, and
 * not a late one either, is bad whatever is rung afterwards: the queue will stop, so that
 * what it hides is not missed.
 */
static uint64_t merge(uint64_t rung, uint32_t index)
{
    uint32_t ahead = index - (uint32_t)rung;

    if ((rung & ACCEL_DB_BAD) || 0 - ahead <= SVAN_ACCEL_DB_OLD) {
        return rung;
    }
    return ahead <= 1u << SVAN_ACCEL_QUEUE_MAX_LOG_SIZE ? ACCEL_DB_OPEN | index :
                                                          rung | ACCEL_DB_BAD;
}

/* Is the later index there? false: the queue takes no doorbells. */
static bool publish(AccelQueue *queue, uint32_t index)
{
    uint64_t old = atomic_load_explicit(&queue->rung, memory_order_acquire), merged;

    do {
        if (!(old & ACCEL_DB_OPEN)) {
            return false;
        }
        merged = merge(old, index);
        if (merged == old) {
            return true;
        }
    } while (!atomic_compare_exchange_weak_explicit(&queue->rung, &old, merged,
                                                    memory_order_acq_rel,
                                                    memory_order_acquire));
    return true;
}

void accel_doorbell(Accel *accel, uint32_t offset, uint64_t value, unsigned size)
{
    uint32_t number = offset >> SVAN_ACCEL_DB_SHIFT;
    uint32_t at = offset % (1u << SVAN_ACCEL_DB_SHIFT);
    uint64_t bit = 1ull << number % 64;
    AccelCtx *ctx;
    bool accepted;

    if (number >= SVAN_ACCEL_CONTEXTS || size != 8 || at % 8 || value > UINT32_MAX ||
        at >= SVAN_ACCEL_DB(SVAN_ACCEL_QUEUES)) {
        atomic_fetch_add_explicit(&accel->doorbells_refused, 1, memory_order_relaxed);
        return;
    }
    ctx = &accel->ctxs[number];
    accepted = publish(&ctx->queues[at / 8], value);
    atomic_fetch_add_explicit(accepted ? &accel->doorbells : &accel->doorbells_refused, 1,
                              memory_order_relaxed);
    accel_trace(ctx, ACCEL_TRACE_DOORBELL, at / 8, value, accepted, 0);
    if (accepted &&
        !(atomic_fetch_or_explicit(&accel->rung, bit, memory_order_acq_rel) & bit)) {
        accel->ops.kick(accel->opaque);
    }
}

void accel_queue_open_doorbell(AccelQueue *queue, uint64_t rung)
{
    atomic_store_explicit(&queue->rung, ACCEL_DB_OPEN | rung, memory_order_release);
}

static void close_doorbell(AccelQueue *queue)
{
    atomic_store_explicit(&queue->rung, 0, memory_order_release);
}

static void take_doorbell(AccelQueue *queue)
{
    uint64_t rung = atomic_load_explicit(&queue->rung, memory_order_acquire);
    uint32_t ahead = (uint32_t)rung - (uint32_t)queue->producer;

    if (!(rung & ACCEL_DB_OPEN) || (!ahead && !(rung & ACCEL_DB_BAD))) {
        return;
    }
    if ((rung & ACCEL_DB_BAD) ||
        queue->producer + ahead - queue->head > accel_queue_size(queue)) {
        accel_queue_stop(queue, SVAN_ACCEL_BAD_INDEX);
        return;
    }
    queue->producer += ahead;
    accel_ctx_ready(queue->ctx);
}

static void take_doorbells(Accel *accel)
{
    uint64_t rung = atomic_load_explicit(&accel->rung, memory_order_relaxed);

    if (rung) {
        rung = atomic_exchange_explicit(&accel->rung, 0, memory_order_acq_rel);
    }
    for (; rung; rung &= rung - 1) {
        AccelCtx *ctx = &accel->ctxs[__builtin_ctzll(rung)];

        for (uint32_t i = 0; i < SVAN_ACCEL_QUEUES; i++) {
            take_doorbell(&ctx->queues[i]);
        }
    }
}

/* ---- how queues begin and end ---- */

void accel_queue_disable(AccelQueue *queue)
{
    uint64_t base = queue->reg_base, record = queue->reg_record;
    uint32_t log_size = queue->reg_log_size, number = queue->number;
    AccelCtx *ctx = queue->ctx;

    close_doorbell(queue);
    accel_wait_leave(queue);
    accel_forget_store(queue);
    if (ctx->missed == number) {
        ctx->missed = ACCEL_TURN_NONE;
    }
    /* rung stays: a ringer may be at it. */
    memset(queue, 0, offsetof(AccelQueue, rung));
    queue->ctx = ctx;
    queue->number = number;
    queue->reg_base = base;
    queue->reg_record = record;
    queue->reg_log_size = log_size;
}

void accel_queue_enable(AccelQueue *queue)
{
    if (queue->ctx->state != SVAN_ACCEL_CTX_RUNNING ||
        queue->state != SVAN_ACCEL_QUEUE_OFF) {
        return;
    }
    if (queue->reg_log_size > SVAN_ACCEL_QUEUE_MAX_LOG_SIZE || queue->reg_base % 64 ||
        queue->reg_record % sizeof(struct svan_accel_record)) {
        accel_queue_stop(queue, SVAN_ACCEL_BAD_PARAM);
        return;
    }
    queue->base = queue->reg_base;
    queue->record = queue->reg_record;
    queue->log_size = queue->reg_log_size;
    queue->state = SVAN_ACCEL_QUEUE_RUNNING;
    accel_queue_open_doorbell(queue, 0);
}

static void queue_irq(const AccelQueue *queue)
{
    accel_irq(queue->ctx->accel, 1 + queue->ctx->number);
}

/* The context's vector is raised behind the record, or at once if there is none. */
void accel_queue_stop(AccelQueue *queue, uint8_t status)
{
    close_doorbell(queue);
    accel_wait_leave(queue);
    accel_forget_store(queue);
    accel_trace(queue->ctx, ACCEL_TRACE_COMMAND_END, queue->number, queue->index, status, 0);
    if (queue->have) {
        queue->tag = svan_le32_to_cpu(queue->cmd.tag);
    }
    queue->have = false;
    queue->loop_left = 0;
    queue->state = SVAN_ACCEL_QUEUE_STOPPED;
    queue->status = status;
    queue->record_due = queue->record;
    if (!queue->record) {
        queue_irq(queue);
    }
    accel_ctx_ready(queue->ctx);
}

/* ---- one step ---- */

/* A record that a faulted context cannot store is given up. */
static AccelStep record_step(AccelQueue *queue)
{
    struct svan_accel_record record = {
        .state = svan_cpu_to_le32(queue->state),
        .status = svan_cpu_to_le32(queue->status),
        .tag = svan_cpu_to_le32(queue->tag),
        .head = svan_cpu_to_le32((uint32_t)queue->head),
    };
    AccelMem mem;
    AccelStep step = accel_map(queue->ctx, ACCEL_WRITE, queue->record, sizeof(record), &mem);

    if (step == ACCEL_STEP_MISS || step == ACCEL_STEP_AGAIN) {
        return step;
    }
    queue->record_due = false;
    if (step == ACCEL_STEP_DONE) {
        accel_put(queue->ctx, &mem, &record);
        step = ACCEL_STEP_AGAIN;
    }
    if (queue->state == SVAN_ACCEL_QUEUE_STOPPED) {
        queue_irq(queue);
    }
    return step;
}

static AccelStep fetch(AccelQueue *queue)
{
    uint64_t at = queue->index % accel_queue_size(queue) * sizeof(queue->cmd);
    struct svan_accel_cmd *cmd = &queue->cmd;
    AccelMem mem;
    AccelStep step = accel_map(queue->ctx, ACCEL_READ, queue->base + at, sizeof(*cmd), &mem);
    uint8_t status;

    if (step != ACCEL_STEP_DONE) {
        return step;
    }
    memcpy(cmd, mem.host, sizeof(*cmd));
    accel_trace(queue->ctx, ACCEL_TRACE_COMMAND, queue->number, queue->index, cmd->opcode,
                svan_le32_to_cpu(cmd->tag));
    queue->have = true;
    queue->resolved = false;
    queue->done = 0;
    status = accel_validate(cmd);
    return status == SVAN_ACCEL_OK ? ACCEL_STEP_DONE : accel_stop(queue, status);
}

/* The operand of a command that has one. */
static uint64_t operand(const struct svan_accel_cmd *cmd)
{
    switch (cmd->opcode) {
    case SVAN_ACCEL_FILL:
        return svan_le64_to_cpu(cmd->fill.value);
    case SVAN_ACCEL_WAIT:
        return svan_le64_to_cpu(cmd->wait.value);
    case SVAN_ACCEL_WRITE:
        return svan_le64_to_cpu(cmd->write.value);
    case SVAN_ACCEL_COPY_WQE:
        return svan_le64_to_cpu(cmd->copy_wqe.value);
    default:
        return 0;
    }
}

static AccelStep resolve(AccelQueue *queue)
{
    uint64_t value = operand(&queue->cmd);
    AccelMem mem;

    if (queue->cmd.flags & SVAN_ACCEL_CMD_INDIRECT) {
        AccelStep step = accel_map(queue->ctx, ACCEL_READ, value, 8, &mem);

        if (step != ACCEL_STEP_DONE) {
            return step;
        }
        value = le64toh(__atomic_load_n((uint64_t *)mem.host, __ATOMIC_ACQUIRE));
    }
    queue->value = queue->cmd.width == 4 ? (uint32_t)value : value;
    queue->resolved = true;
    return ACCEL_STEP_DONE;
}

static AccelStep nop(AccelQueue *queue)
{
    return ACCEL_STEP_DONE;
}

static AccelStep (*const commands[])(AccelQueue *queue) = {
    [SVAN_ACCEL_NOP]        = nop,
    [SVAN_ACCEL_FILL]       = accel_cmd_fill,
    [SVAN_ACCEL_COPY]       = accel_cmd_copy,
    [SVAN_ACCEL_REDUCE]     = accel_cmd_reduce,
    [SVAN_ACCEL_CHECKSUM]   = accel_cmd_checksum,
    [SVAN_ACCEL_WAIT]       = accel_cmd_wait,
    [SVAN_ACCEL_WRITE]      = accel_cmd_write,
    [SVAN_ACCEL_COPY_WQE]   = accel_cmd_copy_wqe,
    [SVAN_ACCEL_PATCH]      = accel_cmd_patch,
    [SVAN_ACCEL_LOOP]       = accel_cmd_loop,
    [SVAN_ACCEL_FENCE]      = accel_cmd_fence,
    [SVAN_ACCEL_COMPLETE]   = accel_cmd_complete,
    [SVAN_ACCEL_INTERRUPT]  = accel_cmd_interrupt,
};

/* The command at index is done; flags and tag are its. */
static void advance(AccelQueue *queue, uint8_t flags, uint32_t tag)
{
    queue->ctx->accel->stats.commands++;
    accel_trace(queue->ctx, ACCEL_TRACE_COMMAND_END, queue->number, queue->index,
                SVAN_ACCEL_OK, 0);
    queue->tag = tag;
    queue->index++;
    if (!queue->loop_left) {
        queue->head = queue->index;
    }
    if (flags & SVAN_ACCEL_CMD_RECORD) {
        queue->record_due = queue->record;
    }
}

void accel_queue_command_end(AccelQueue *queue)
{
    queue->have = false;
    advance(queue, queue->cmd.flags, svan_le32_to_cpu(queue->cmd.tag));
}

/* The span of the loop that runs was executed once more. */
static AccelStep loop_turn(AccelQueue *queue)
{
    if (--queue->loop_left) {
        queue->index = queue->head;
    } else {
        advance(queue, queue->loop_flags, queue->loop_tag);
    }
    return ACCEL_STEP_AGAIN;
}

static AccelStep queue_step(AccelQueue *queue)
{
    AccelStep step = ACCEL_STEP_DONE;

    if (queue->record_due) {
        return record_step(queue);
    }
    if (queue->loop_left && queue->index == queue->loop_at) {
        return loop_turn(queue);
    }
    if (!queue->have) {
        step = fetch(queue);
    }
    if (step == ACCEL_STEP_DONE && !queue->resolved) {
        step = resolve(queue);
    }
    return step == ACCEL_STEP_DONE ? commands[queue->cmd.opcode](queue) : step;
}

/* ---- turns ---- */

static bool queue_has_work(const AccelQueue *queue)
{
    switch (queue->state) {
    case SVAN_ACCEL_QUEUE_RUNNING:
        return queue->store == ACCEL_STORE_NONE &&
               (queue->record_due || queue->have || queue->index != queue->producer);
    case SVAN_ACCEL_QUEUE_WAITING:
        return queue->look;
    default:
        return queue->record_due;
    }
}

static bool ctx_has_work(const AccelCtx *ctx)
{
    bool work = ctx->kept && ctx->kept->due;

    for (uint32_t i = 0; i < SVAN_ACCEL_QUEUES; i++) {
        work |= queue_has_work(&ctx->queues[i]);
    }
    return work;
}

void accel_ctx_ready(AccelCtx *ctx)
{
    Accel *accel = ctx->accel;

    svan_list_append(&accel->ready, &ctx->ready);
    if (!accel->running) {
        accel->ops.kick(accel->opaque);
    }
}

/* What missed may have been stopped since. */
static bool may_retry(const AccelCtx *ctx)
{
    if (ctx->missed < SVAN_ACCEL_QUEUES) {
        return queue_has_work(&ctx->queues[ctx->missed]);
    }
    return ctx->missed == ACCEL_TURN_LEAVE && ctx->kept && ctx->kept->count;
}

static uint32_t next_turn(AccelCtx *ctx)
{
    if (may_retry(ctx)) {
        return ctx->missed;
    }
    if (accel_leave_turn(ctx)) {
        return ACCEL_TURN_LEAVE;
    }
    for (uint32_t i = 0; i < SVAN_ACCEL_QUEUES; i++) {
        uint32_t number = (ctx->next_queue + i) % SVAN_ACCEL_QUEUES;

        if (queue_has_work(&ctx->queues[number])) {
            ctx->next_queue = (number + 1) % SVAN_ACCEL_QUEUES;
            return number;
        }
    }
    return ACCEL_TURN_NONE;
}

/* false: it missed. */
static bool take_turn(AccelCtx *ctx, uint32_t turn)
{
    AccelQueue *queue = turn < SVAN_ACCEL_QUEUES ? &ctx->queues[turn] : NULL;
    AccelStep step = queue ? queue_step(queue) : accel_leave(ctx, ctx->kept->count);

    ctx->missed = step == ACCEL_STEP_MISS ? turn : ACCEL_TURN_NONE;
    if (step == ACCEL_STEP_FAULT) {
        accel_ctx_fault(ctx, turn);
    } else if (queue && step == ACCEL_STEP_STOP) {
        accel_queue_stop(queue, ctx->accel->refused.status);
    } else if (queue && step == ACCEL_STEP_DONE) {
        accel_queue_command_end(queue);
    }
    return step != ACCEL_STEP_MISS;
}

/* ---- steps that have missed ---- */

bool accel_set_aside(Accel *accel)
{
    AccelCtx *ctx = svan_container(accel->ready.next, AccelCtx, ready);

    if (svan_list_empty(&accel->ready) || accel->ready.next == accel->ready.prev) {
        return false;
    }
    svan_list_remove(&ctx->ready);
    svan_list_append(&accel->aside, &ctx->ready);
    return true;
}

void accel_resolved(Accel *accel)
{
    while (!svan_list_empty(&accel->aside)) {
        svan_list_first(&accel->ready, accel->aside.prev);
    }
}

bool accel_awaits(const Accel *accel)
{
    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        if (may_retry(&accel->ctxs[i])) {
            return true;
        }
    }
    return false;
}

/* ---- runs ---- */

static AccelRun take_next_turn(Accel *accel)
{
    AccelCtx *ctx;
    uint32_t turn;

    do {
        if (svan_list_empty(&accel->ready)) {
            return ACCEL_RUN_IDLE;
        }
        ctx = svan_container(accel->ready.next, AccelCtx, ready);
        turn = next_turn(ctx);
        if (turn == ACCEL_TURN_NONE) {
            svan_list_remove(&ctx->ready);
        }
    } while (turn == ACCEL_TURN_NONE);
    if (!take_turn(ctx, turn)) {
        return ACCEL_RUN_MISS;
    }
    svan_list_remove(&ctx->ready);
    if (ctx_has_work(ctx)) {
        svan_list_append(&accel->ready, &ctx->ready);
    }
    return svan_list_empty(&accel->ready) ? ACCEL_RUN_IDLE : ACCEL_RUN_MORE;
}

/* Looks in vain are so short that a run has room for some of them. */
static AccelRun run(Accel *accel)
{
    uint32_t looks = 0;
    AccelRun result;

    do {
        accel->looked_in_vain = false;
        result = take_next_turn(accel);
    } while (result == ACCEL_RUN_MORE && accel->looked_in_vain &&
             ++looks < ACCEL_VAIN_LOOKS);
    return result;
}

static uint64_t next_time(const Accel *accel)
{
    uint64_t when = accel->next_look < accel->next_leave ? accel->next_look :
                                                           accel->next_leave;

    return when < accel->next_irq ? when : accel->next_irq;
}

AccelRun accel_run(Accel *accel)
{
    AccelRun result;
    uint64_t when;

    accel->running = true;
    accel->run_now = ACCEL_NO_TIME;
    take_doorbells(accel);
    if (next_time(accel) != ACCEL_NO_TIME) {
        uint64_t now = accel_run_now(accel);

        accel_wake_due(accel, now);
        accel_leave_due(accel, now);
        accel_irqs_due(accel, now);
    }
    result = run(accel);
    accel->running = false;
    when = next_time(accel);
    if (when != accel->deadline_told) {
        accel->deadline_told = when;
        accel->ops.deadline(accel->opaque, when);
    }
    return result;
}
