/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers, and what they do to contexts.
 */
#include "accel_inside.h"

#define CTX_STRIDE      0x80u
#define QUEUE_STRIDE    0x20u

/* ---- contexts ---- */

static void raise_fault(AccelCtx *ctx, uint8_t status, uint32_t queue, uint64_t addr)
{
    Accel *accel = ctx->accel;

    ctx->state = SVAN_ACCEL_CTX_FAULTED;
    ctx->fault = status;
    ctx->fault_queue = queue;
    ctx->fault_addr = addr;
    accel->stats.faults++;
    accel_trace(ctx, ACCEL_TRACE_FAULT, queue, addr, status, 0);
    for (uint32_t i = 0; i < SVAN_ACCEL_QUEUES; i++) {
        AccelQueue *other = &ctx->queues[i];

        if (other->state == SVAN_ACCEL_QUEUE_RUNNING ||
            other->state == SVAN_ACCEL_QUEUE_WAITING) {
            accel_queue_stop(other, i == queue ? status : SVAN_ACCEL_CONTEXT);
        }
    }
    accel_irq(accel, 0);
    accel_irq(accel, 1 + ctx->number);
}

void accel_ctx_fault(AccelCtx *ctx, uint32_t queue)
{
    if (ctx->state == SVAN_ACCEL_CTX_RUNNING) {
        raise_fault(ctx, ctx->accel->refused.status, queue, ctx->accel->refused.addr);
    }
}

void accel_ctx_enable(AccelCtx *ctx)
{
    if (ctx->state != SVAN_ACCEL_CTX_OFF) {
        return;
    }
    if (ctx->reg_levels < 1 || ctx->reg_levels > 4 ||
        (ctx->reg_table & ~SVAN_ACCEL_PTE_ADDR_MASK)) {
        raise_fault(ctx, SVAN_ACCEL_BAD_PARAM, SVAN_ACCEL_QUEUES, 0);
        return;
    }
    ctx->fault = SVAN_ACCEL_OK;
    ctx->fault_queue = 0;
    ctx->fault_addr = 0;
    ctx->root = ctx->reg_table;
    ctx->levels = ctx->reg_levels;
    ctx->state = SVAN_ACCEL_CTX_RUNNING;
    accel_flush_ctx(ctx);
}

void accel_ctx_disable(AccelCtx *ctx)
{
    for (uint32_t i = 0; i < SVAN_ACCEL_QUEUES; i++) {
        accel_queue_disable(&ctx->queues[i]);
    }
    accel_drop_kept(ctx);
    accel_flush_ctx(ctx);
    ctx->state = SVAN_ACCEL_CTX_OFF;
    ctx->root = 0;
    ctx->levels = 0;
    ctx->missed = ACCEL_TURN_NONE;
    svan_list_remove(&ctx->ready);
    accel_irq_forget(ctx->accel, 1 + ctx->number);
}

/* ---- reading ---- */

static uint64_t ctx_read(const AccelCtx *ctx, uint32_t reg)
{
    switch (reg) {
    case SVAN_ACCEL_CTX_TABLE:
        return ctx->reg_table;
    case SVAN_ACCEL_CTX_LEVELS:
        return ctx->reg_levels;
    case SVAN_ACCEL_CTX_CONTROL:
        return ctx->state == SVAN_ACCEL_CTX_OFF ? 0 : SVAN_ACCEL_CTX_ENABLE;
    case SVAN_ACCEL_CTX_STATE:
        return ctx->state;
    case SVAN_ACCEL_CTX_FAULT:
        return ctx->fault;
    case SVAN_ACCEL_CTX_FAULT_QUEUE:
        return ctx->fault_queue;
    case SVAN_ACCEL_CTX_FAULT_ADDR:
        return ctx->fault_addr;
    default:
        return 0;
    }
}

static uint64_t queue_read(const AccelQueue *queue, uint32_t reg)
{
    switch (reg) {
    case SVAN_ACCEL_QUEUE_BASE:
        return queue->reg_base;
    case SVAN_ACCEL_QUEUE_RECORD:
        return queue->reg_record;
    case SVAN_ACCEL_QUEUE_LOG_SIZE:
        return queue->reg_log_size;
    case SVAN_ACCEL_QUEUE_CONTROL:
        return queue->state == SVAN_ACCEL_QUEUE_OFF ? 0 : SVAN_ACCEL_QUEUE_ENABLE;
    case SVAN_ACCEL_QUEUE_STATE:
        return queue->state;
    case SVAN_ACCEL_QUEUE_HEAD:
        return (uint32_t)queue->head;
    default:
        return 0;
    }
}

static uint64_t faults(const Accel *accel)
{
    uint64_t bits = 0;

    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        bits |= (uint64_t)(accel->ctxs[i].state == SVAN_ACCEL_CTX_FAULTED) << i;
    }
    return bits;
}

static uint64_t device_read(Accel *accel, uint32_t offset)
{
    switch (offset) {
    case SVAN_ACCEL_REG_MAGIC:
        return SVAN_ACCEL_MAGIC;
    case SVAN_ACCEL_REG_VERSION:
        return SVAN_ACCEL_VERSION;
    case SVAN_ACCEL_REG_CONTEXTS:
        return SVAN_ACCEL_CONTEXTS;
    case SVAN_ACCEL_REG_QUEUES:
        return SVAN_ACCEL_QUEUES;
    case SVAN_ACCEL_REG_MEM_SIZE:
        return accel->config.mem_size;
    case SVAN_ACCEL_REG_GENERATION:
        return accel->generation;
    case SVAN_ACCEL_REG_CLOCK:
        return accel_now(accel);
    case SVAN_ACCEL_REG_FAULTS:
        return faults(accel);
    default:
        return 0;
    }
}

/* The context whose register this is, NULL: none; *queue if it is its queue's. */
static AccelCtx *owner(Accel *accel, uint32_t offset, AccelQueue **queue)
{
    uint32_t first = SVAN_ACCEL_REG_CTX(0, 0), queues = SVAN_ACCEL_REG_QUEUE(0, 0, 0);
    uint32_t span = CTX_STRIDE * SVAN_ACCEL_CONTEXTS;
    AccelCtx *ctx = NULL;

    *queue = NULL;
    if (offset >= first && offset < first + span) {
        ctx = &accel->ctxs[(offset - first) / CTX_STRIDE];
    } else if (offset >= queues && offset < queues + span) {
        ctx = &accel->ctxs[(offset - queues) / CTX_STRIDE];
        *queue = &ctx->queues[offset % CTX_STRIDE / QUEUE_STRIDE];
    }
    return ctx;
}

static_assert(SVAN_ACCEL_REG_QUEUE(0, 0, 0) + CTX_STRIDE * SVAN_ACCEL_CONTEXTS <=
              SVAN_ACCEL_REG_END, "there is room for the registers of the last queue");

static uint64_t value_at(Accel *accel, uint32_t offset)
{
    AccelQueue *queue;
    const AccelCtx *ctx = owner(accel, offset, &queue);

    if (queue) {
        return queue_read(queue, offset % QUEUE_STRIDE);
    }
    return ctx ? ctx_read(ctx, offset % CTX_STRIDE) : device_read(accel, offset);
}

static bool is_wide(Accel *accel, uint32_t offset)
{
    AccelQueue *queue;
    const AccelCtx *ctx = owner(accel, offset, &queue);
    uint32_t reg = offset % CTX_STRIDE;

    if (queue) {
        reg = offset % QUEUE_STRIDE;
        return reg == SVAN_ACCEL_QUEUE_BASE || reg == SVAN_ACCEL_QUEUE_RECORD;
    }
    if (ctx) {
        return reg == SVAN_ACCEL_CTX_TABLE || reg == SVAN_ACCEL_CTX_FAULT_ADDR ||
               reg == SVAN_ACCEL_CTX_INVALIDATE;
    }
    return offset == SVAN_ACCEL_REG_MEM_SIZE || offset == SVAN_ACCEL_REG_CLOCK ||
           offset == SVAN_ACCEL_REG_FAULTS;
}

static bool access_is_sane(uint32_t offset, unsigned size)
{
    return (size == 4 || size == 8) && offset % size == 0 && offset < SVAN_ACCEL_REG_END;
}

/* All ones would tell the driver that the device was unplugged. */
static uint64_t never_gone(uint64_t value, unsigned size)
{
    return value == (size == 8 ? UINT64_MAX : UINT32_MAX) ? value - 1 : value;
}

uint64_t accel_reg_read(Accel *accel, uint32_t offset, unsigned size)
{
    uint32_t whole = offset & ~7u;
    uint64_t value;

    if (!access_is_sane(offset, size)) {
        return 0;
    }
    if (!is_wide(accel, whole)) {
        return size == 4 ? never_gone(value_at(accel, offset), size) : 0;
    }
    if (size == 8) {
        return never_gone(value_at(accel, whole), size);
    }
    value = value_at(accel, whole);
    if (whole == SVAN_ACCEL_REG_CLOCK) {
        /* The low half latches the high one. */
        accel->clock_latch = offset == whole ? value : accel->clock_latch;
        value = accel->clock_latch;
    }
    return never_gone((uint32_t)(value >> (offset == whole ? 0 : 32)), size);
}

/* ---- writing ---- */

static void ctx_write(AccelCtx *ctx, uint32_t reg, uint64_t value)
{
    switch (reg) {
    case SVAN_ACCEL_CTX_TABLE:
        ctx->reg_table = value;
        break;
    case SVAN_ACCEL_CTX_LEVELS:
        ctx->reg_levels = value;
        break;
    case SVAN_ACCEL_CTX_CONTROL:
        if (value & SVAN_ACCEL_CTX_ENABLE) {
            accel_ctx_enable(ctx);
        } else {
            accel_ctx_disable(ctx);
        }
        break;
    case SVAN_ACCEL_CTX_INVALIDATE:
        accel_flush_range(ctx, value);
        accel_wake_ctx(ctx);
        break;
    }
}

static void queue_write(AccelQueue *queue, uint32_t reg, uint64_t value)
{
    switch (reg) {
    case SVAN_ACCEL_QUEUE_BASE:
        queue->reg_base = value;
        break;
    case SVAN_ACCEL_QUEUE_RECORD:
        queue->reg_record = value;
        break;
    case SVAN_ACCEL_QUEUE_LOG_SIZE:
        queue->reg_log_size = value;
        break;
    case SVAN_ACCEL_QUEUE_CONTROL:
        if (value & SVAN_ACCEL_QUEUE_ENABLE) {
            accel_queue_enable(queue);
        } else {
            accel_queue_disable(queue);
        }
        break;
    }
}

void accel_reg_write(Accel *accel, uint32_t offset, uint64_t value, unsigned size)
{
    uint32_t whole = offset & ~7u;
    AccelQueue *queue;
    AccelCtx *ctx;

    if (!access_is_sane(offset, size)) {
        return;
    }
    ctx = owner(accel, whole, &queue);
    accel_trace(&accel->ctxs[0], ACCEL_TRACE_REG_WRITE, offset, value, size, 0);
    if (is_wide(accel, whole)) {
        uint64_t old = value_at(accel, whole);

        if (size == 4 && ctx && !queue && whole % CTX_STRIDE == SVAN_ACCEL_CTX_INVALIDATE) {
            return;
        }
        if (size == 4) {
            value = offset == whole ? (old & ~(uint64_t)UINT32_MAX) | (uint32_t)value :
                                      value << 32 | (uint32_t)old;
        }
        offset = whole;
    } else if (size == 8) {
        return;
    }
    if (queue) {
        queue_write(queue, offset % QUEUE_STRIDE, value);
    } else if (ctx) {
        ctx_write(ctx, offset % CTX_STRIDE, value);
    } else if (offset == SVAN_ACCEL_REG_CONTROL && (value & SVAN_ACCEL_CONTROL_RESET)) {
        accel_reset(accel);
    }
}
