/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accelerator as a whole.
 */
#include <stdlib.h>

#include "accel_inside.h"

#define MAX_MEM_SIZE    (1ull << 48)

void accel_trace(const AccelCtx *ctx, AccelTraceEvent event, uint32_t id, uint64_t a,
                 uint64_t b, uint64_t c)
{
    const Accel *accel = ctx->accel;

    if (accel->ops.trace) {
        AccelTrace trace = {
            .event = event, .ctx = ctx->number, .id = id, .a = a, .b = b, .c = c,
        };

        accel->ops.trace(accel->opaque, &trace);
    }
}

Accel *accel_create(const AccelConfig *config, const AccelOps *ops, void *opaque)
{
    Accel *accel;

    if (config->mem_size % ACCEL_PAGE || config->mem_size > MAX_MEM_SIZE) {
        return NULL;
    }
    accel = calloc(1, sizeof(*accel));
    if (!accel) {
        return NULL;
    }
    accel->ops = *ops;
    accel->opaque = opaque;
    accel->config = *config;
    accel->next_look = ACCEL_NO_TIME;
    accel->next_leave = ACCEL_NO_TIME;
    accel->next_irq = ACCEL_NO_TIME;
    accel->deadline_told = ACCEL_NO_TIME;
    accel->store_turn = UINT64_MAX;
    svan_list_init(&accel->ready);
    svan_list_init(&accel->aside);
    svan_list_init(&accel->waiting);
    svan_list_init(&accel->wanted);
    svan_list_init(&accel->keeping);
    accel_crc_table(accel);
    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        AccelCtx *ctx = &accel->ctxs[i];

        ctx->accel = accel;
        ctx->number = i;
        for (uint32_t j = 0; j < SVAN_ACCEL_QUEUES; j++) {
            ctx->queues[j].ctx = ctx;
            ctx->queues[j].number = j;
        }
        accel_ctx_disable(ctx);
    }
    return accel;
}

void accel_destroy(Accel *accel)
{
    for (uint32_t i = 0; accel && i < SVAN_ACCEL_CONTEXTS; i++) {
        accel_drop_kept(&accel->ctxs[i]);
    }
    free(accel);
}

void accel_reset(Accel *accel)
{
    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        AccelCtx *ctx = &accel->ctxs[i];

        accel_ctx_disable(ctx);
        ctx->reg_table = 0;
        ctx->reg_levels = 0;
        ctx->fault = SVAN_ACCEL_OK;
        ctx->fault_queue = 0;
        ctx->fault_addr = 0;
        ctx->next_queue = 0;
        for (uint32_t j = 0; j < SVAN_ACCEL_QUEUES; j++) {
            ctx->queues[j].reg_base = 0;
            ctx->queues[j].reg_record = 0;
            ctx->queues[j].reg_log_size = 0;
        }
    }
    accel->next_look = ACCEL_NO_TIME;
    accel->next_leave = ACCEL_NO_TIME;
    accel_irq_forget(accel, 0);
    accel->clock_latch = 0;
    accel->generation++;
    accel_trace(&accel->ctxs[0], ACCEL_TRACE_RESET, 0, accel->generation, 0, 0);
}

/*
 * Entries of the TLB hold bus addresses, but were read from tables that lie at bus
 * addresses, too.
 */
void accel_invalidate_bus(Accel *accel, uint64_t addr, uint64_t len)
{
    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        accel_flush_ctx(&accel->ctxs[i]);
        accel_wake_ctx(&accel->ctxs[i]);
    }
}

void accel_stats(const Accel *accel, AccelStats *stats)
{
    *stats = accel->stats;
    stats->doorbells = atomic_load_explicit(&accel->doorbells, memory_order_relaxed);
    stats->doorbells_refused = atomic_load_explicit(&accel->doorbells_refused,
                                                    memory_order_relaxed);
}
