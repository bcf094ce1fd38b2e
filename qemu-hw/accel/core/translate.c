/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From an address in a context to memory: the radix tree in host memory, and a TLB that
 * all contexts share. An entry of the TLB carries the serial of its context, and a
 * context that gets a new serial has lost them all.
 */
#include "accel_inside.h"

#define INDEX_BITS      9
#define TABLE_BITS      (SVAN_ACCEL_PTE_PRESENT | SVAN_ACCEL_PTE_ADDR_MASK)
#define LEAF_BITS       (TABLE_BITS | SVAN_ACCEL_PTE_WRITABLE | \
                         SVAN_ACCEL_PTE_LOCAL | SVAN_ACCEL_PTE_WINDOW)
#define FLUSH_PROBES    64u     /* pages that are looked up one by one */

AccelStep accel_refuse(AccelCtx *ctx, uint8_t status, uint64_t addr)
{
    ctx->accel->refused.status = status;
    ctx->accel->refused.addr = addr;
    return ACCEL_STEP_FAULT;
}

/* Tables are in host memory, whatever the leaves say. */
static AccelStep read_entry(AccelCtx *ctx, uint64_t va, uint64_t table, uint64_t index,
                            uint64_t *entry)
{
    Accel *accel = ctx->accel;
    void *host;
    AccelDma dma = accel->ops.map(accel->opaque, ACCEL_HOST, table + 8 * index, 8, false,
                                  &host);

    if (dma == ACCEL_DMA_OK) {
        *entry = le64toh(__atomic_load_n((uint64_t *)host, __ATOMIC_RELAXED));
        return ACCEL_STEP_DONE;
    }
    if (dma == ACCEL_DMA_MISS) {
        return ACCEL_STEP_MISS;
    }
    accel->stats.dma_errors++;
    return accel_refuse(ctx, SVAN_ACCEL_DMA, va);
}

static AccelStep walk(AccelCtx *ctx, uint64_t va, uint64_t *leaf)
{
    uint64_t page = va / ACCEL_PAGE, table = ctx->root;

    if (!ctx->levels || page >> (INDEX_BITS * ctx->levels)) {
        return accel_refuse(ctx, SVAN_ACCEL_NOT_MAPPED, va);
    }
    for (uint32_t level = ctx->levels; level; level--) {
        uint64_t allowed = level > 1 ? TABLE_BITS : LEAF_BITS;
        uint64_t index = (page >> (INDEX_BITS * (level - 1))) % (1u << INDEX_BITS);
        uint64_t entry = 0;
        AccelStep step = read_entry(ctx, va, table, index, &entry);

        if (step != ACCEL_STEP_DONE) {
            return step;
        }
        if (!(entry & SVAN_ACCEL_PTE_PRESENT)) {
            return accel_refuse(ctx, SVAN_ACCEL_NOT_MAPPED, va);
        }
        if (entry & ~allowed) {
            return accel_refuse(ctx, SVAN_ACCEL_DMA, va);
        }
        table = entry & SVAN_ACCEL_PTE_ADDR_MASK;
        *leaf = entry;
    }
    return ACCEL_STEP_DONE;
}

/* A window takes stores by WRITE alone; WRITABLE says nothing of it. */
static uint8_t leaf_refuses(const AccelCtx *ctx, AccelAccess access, uint64_t leaf)
{
    if (leaf & SVAN_ACCEL_PTE_WINDOW) {
        if (leaf & SVAN_ACCEL_PTE_LOCAL) {
            return SVAN_ACCEL_DMA;
        }
        return access == ACCEL_WRITE_OR_WINDOW ? SVAN_ACCEL_OK : SVAN_ACCEL_NOT_PERMITTED;
    }
    if (access != ACCEL_READ && !(leaf & SVAN_ACCEL_PTE_WRITABLE)) {
        return SVAN_ACCEL_NOT_PERMITTED;
    }
    return (leaf & SVAN_ACCEL_PTE_LOCAL) &&
           (leaf & SVAN_ACCEL_PTE_ADDR_MASK) >= ctx->accel->config.mem_size ?
           SVAN_ACCEL_DMA : SVAN_ACCEL_OK;
}

static AccelTlbEntry *tlb_entry(AccelCtx *ctx, uint64_t page)
{
    return &ctx->accel->tlb[(page + ctx->serial * 0x9e3779b1u) % ACCEL_TLB_ENTRIES];
}

AccelStep accel_translate(AccelCtx *ctx, AccelAccess access, uint64_t va, AccelMem *mem)
{
    uint64_t page = va / ACCEL_PAGE, leaf = 0;
    AccelTlbEntry *entry = tlb_entry(ctx, page);
    uint8_t status;

    if (entry->serial == ctx->serial && entry->page == page) {
        leaf = entry->leaf;
    }
    /* Rights may have been added since, which needs no invalidation: walk again. */
    if (!leaf || leaf_refuses(ctx, access, leaf) != SVAN_ACCEL_OK) {
        AccelStep step = walk(ctx, va, &leaf);

        if (step != ACCEL_STEP_DONE) {
            return step;
        }
        *entry = (AccelTlbEntry) { .serial = ctx->serial, .page = page, .leaf = leaf };
    }
    status = leaf_refuses(ctx, access, leaf);
    if (status != SVAN_ACCEL_OK) {
        return accel_refuse(ctx, status, va);
    }
    mem->va = va;
    mem->addr = (leaf & SVAN_ACCEL_PTE_ADDR_MASK) + va % ACCEL_PAGE;
    mem->space = leaf & SVAN_ACCEL_PTE_LOCAL ? ACCEL_LOCAL : ACCEL_HOST;
    mem->window = leaf & SVAN_ACCEL_PTE_WINDOW;
    return ACCEL_STEP_DONE;
}

AccelStep accel_map_through(AccelCtx *ctx, AccelAccess access, uint64_t va, uint32_t len,
                            AccelMem *mem)
{
    Accel *accel = ctx->accel;
    AccelStep step = accel_translate(ctx, access, va, mem);
    AccelDma dma;

    mem->len = len;
    mem->kept = NULL;
    if (step != ACCEL_STEP_DONE || mem->window) {
        return step;
    }
    dma = accel->ops.map(accel->opaque, mem->space, mem->addr, len, access != ACCEL_READ,
                         &mem->host);
    if (dma == ACCEL_DMA_OK) {
        return ACCEL_STEP_DONE;
    }
    if (dma == ACCEL_DMA_MISS) {
        return ACCEL_STEP_MISS;
    }
    accel->stats.dma_errors++;
    return accel_refuse(ctx, SVAN_ACCEL_DMA, va);
}

void accel_flush_ctx(AccelCtx *ctx)
{
    ctx->serial = ++ctx->accel->serial;
}

void accel_flush_range(AccelCtx *ctx, uint64_t invalidate)
{
    uint64_t page = (invalidate & SVAN_ACCEL_INV_ADDR_MASK) / ACCEL_PAGE;
    uint32_t log = invalidate & SVAN_ACCEL_INV_LOG_MASK;

    if (log > 31 || 1u << log > FLUSH_PROBES) {
        accel_flush_ctx(ctx);
        return;
    }
    for (uint32_t i = 0; i < 1u << log; i++) {
        AccelTlbEntry *entry = tlb_entry(ctx, page + i);

        if (entry->serial == ctx->serial && entry->page == page + i) {
            entry->serial = 0;
        }
    }
}
