/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From (key, virtual address) to host memory: the checks, the TLB, and a walker
 * for each kind of key (PRM "Translation"). Everything that moves data comes
 * through here.
 */
#include "core.h"

#define likely(x)       __builtin_expect(!!(x), 1)
#define unlikely(x)     __builtin_expect(!!(x), 0)

#define MTT_TABLE_BITS  (SVAN_MTT_ADDR_MASK | SVAN_MTT_PRESENT)
#define MTT_LEAF_BITS   (MTT_TABLE_BITS | SVAN_MTT_WRITABLE)

/* What a walker finds. */
typedef struct Leaf {
    uint64_t bus;               /* of the page that holds va */
    bool writable;
} Leaf;

/* DONE, MISS, FAULT or ERROR (*syndrome); va lies in the key. */
typedef SvanStep Walker(SvanKey *key, uint64_t va, Leaf *leaf,
                        uint32_t *syndrome);

/* ---- bus addresses ---- */

static SvanStep map_failed(SvanFn *fn, SvanDma dma)
{
    if (dma == SVAN_DMA_MISS) {
        return SVAN_STEP_MISS;
    }
    fn->stats.dma_errors++;
    return SVAN_STEP_ERROR;
}

SvanStep svan_map_bus(SvanFn *fn, uint64_t bus, uint32_t len, bool for_write,
                      SvanMem *mem)
{
    SvanCore *core = fn->core;
    void *host;
    SvanDma dma = core->ops.map(core->opaque, fn->id, bus, len, for_write,
                                &host);

    if (unlikely(dma != SVAN_DMA_OK)) {
        return map_failed(fn, dma);
    }
    mem->host = host;
    mem->bus = bus;
    mem->len = len;
    return SVAN_STEP_DONE;
}

void svan_stored(SvanFn *fn, const SvanMem *mem)
{
    SvanCore *core = fn->core;

    core->ops.written(core->opaque, fn->id, mem->bus, mem->host, mem->len);
}

/* As much of len as lies in the page of bus. */
static inline SvanStep map_run(SvanFn *fn, uint64_t bus, uint32_t len,
                               bool for_write, SvanMem *mem,
                               uint32_t *syndrome)
{
    uint32_t room = SVAN_PAGE_SIZE - (bus & SVAN_PAGE_MASK);
    SvanStep step = svan_map_bus(fn, bus, len < room ? len : room, for_write,
                                 mem);

    if (unlikely(step == SVAN_STEP_ERROR)) {
        *syndrome = SVAN_SYN_DMA;
    }
    return step;
}

/* ---- walkers ---- */

static SvanStep read_entry(SvanFn *fn, uint64_t table, uint64_t index,
                           uint64_t *entry, uint32_t *syndrome)
{
    SvanMem mem;
    SvanStep step = svan_map_bus(fn, table + index * sizeof(*entry),
                                 sizeof(*entry), false, &mem);

    if (step == SVAN_STEP_DONE) {
        /* The driver may be writing it: read once, whole. */
        *entry = le64toh(__atomic_load_n((uint64_t *)mem.host,
                                         __ATOMIC_ACQUIRE));
    } else if (step == SVAN_STEP_ERROR) {
        *syndrome = SVAN_SYN_TABLE;
    }
    return step;
}

/* The radix tree of keys.h; levels is not 0. */
static SvanStep walk_table(SvanKey *key, uint64_t va, Leaf *leaf,
                           uint32_t *syndrome)
{
    uint64_t index = (va >> key->page_shift) - (key->va >> key->page_shift);
    uint64_t misaligned = (1ull << key->page_shift) - SVAN_PAGE_SIZE;
    uint64_t table = key->table;
    uint64_t entry = 0;

    for (uint32_t level = key->levels; level; level--) {
        uint32_t shift = (level - 1) * SVAN_MTT_INDEX_BITS;
        uint64_t allowed = level > 1 ? MTT_TABLE_BITS : MTT_LEAF_BITS;
        SvanStep step = read_entry(key->fn, table,
                                   (index >> shift) %
                                   SVAN_MTT_TABLE_ENTRIES, &entry, syndrome);

        if (step != SVAN_STEP_DONE) {
            return step;
        }
        if (!(entry & SVAN_MTT_PRESENT) || (entry & ~allowed)) {
            *syndrome = SVAN_SYN_TABLE;
            return SVAN_STEP_ERROR;
        }
        table = entry & SVAN_MTT_ADDR_MASK;
    }
    if (table & misaligned) {
        *syndrome = SVAN_SYN_TABLE;
        return SVAN_STEP_ERROR;
    }
    leaf->bus = table;
    leaf->writable = entry & SVAN_MTT_WRITABLE;
    return SVAN_STEP_DONE;
}

/*
 * By kind of key. PHYS keys, and those without a table, are direct: they never
 * come to a walker.
 */
static Walker *const walkers[] = {
    [SVAN_KEY_PHYS]     = walk_table,
    [SVAN_KEY_PINNED]   = walk_table,
};

bool svan_key_kind_known(uint8_t kind)
{
    return kind < sizeof(walkers) / sizeof(walkers[0]) && walkers[kind];
}

/* ---- the TLB ---- */

void svan_tlb_flush(SvanFn *fn)
{
    fn->tlb_generation++;
}

/* No entry carries the new serial. */
void svan_tlb_flush_key(SvanKey *key)
{
    key->serial = ++key->fn->key_serial;
}

void svan_key_prepare(SvanKey *key)
{
    uint64_t page_mask = (1ull << key->page_shift) - 1;

    key->origin = key->access & SVAN_ACCESS_ZERO_BASED ? 0 : key->va;
    key->direct = key->kind == SVAN_KEY_PHYS || key->levels == 0;
    key->direct_offset = key->kind == SVAN_KEY_PHYS ? 0 :
                         key->table - (key->va & ~page_mask);
    svan_tlb_flush_key(key);
}

static inline SvanTlbEntry *tlb_entry(const SvanKey *key, uint64_t page)
{
    uint64_t hash = page + key->serial * 0x9e3779b1u;

    return &key->fn->tlb[hash % SVAN_TLB_SIZE];
}

static __attribute__((noinline)) SvanStep
tlb_fill(SvanKey *key, uint64_t va, SvanTlbEntry *entry, uint32_t *syndrome)
{
    SvanFn *fn = key->fn;
    Leaf leaf;
    SvanStep step = walkers[key->kind](key, va, &leaf, syndrome);

    fn->stats.tlb_misses++;
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    entry->serial = key->serial;
    entry->page = va >> key->page_shift;
    entry->bus = leaf.bus | (leaf.writable ? SVAN_TLB_WRITABLE : 0);
    entry->generation = fn->tlb_generation;
    svan_trace(fn, SVAN_TRACE_TLB_FILL, key->key, va, leaf.bus,
               1u << key->page_shift);
    return SVAN_STEP_DONE;
}

/* va and len lie in the key, the right is checked. */
static inline SvanStep key_map(SvanKey *key, uint64_t va, uint32_t len,
                               bool for_write, SvanMem *mem,
                               uint32_t *syndrome)
{
    uint64_t page = va >> key->page_shift;
    SvanFn *fn = key->fn;
    SvanTlbEntry *entry;
    SvanStep step;

    if (key->direct) {
        return map_run(fn, va + key->direct_offset, len, for_write, mem,
                       syndrome);
    }
    entry = tlb_entry(key, page);
    if (likely(entry->serial == key->serial && entry->page == page &&
               entry->generation == fn->tlb_generation)) {
        fn->stats.tlb_hits++;
    } else {
        step = tlb_fill(key, va, entry, syndrome);
        if (step != SVAN_STEP_DONE) {
            return step;
        }
    }
    if (unlikely(for_write && !(entry->bus & SVAN_TLB_WRITABLE))) {
        *syndrome = SVAN_SYN_KEY_ACCESS;
        return SVAN_STEP_ERROR;
    }
    return map_run(fn, (entry->bus & ~SVAN_TLB_WRITABLE) +
                       (va & ((1ull << key->page_shift) - 1)),
                   len, for_write, mem, syndrome);
}

/* ---- the checks ---- */

/* The function's own addresses: privileged queues, local access. */
static uint32_t check_local_dma(const SvanAccess *access)
{
    if (!access->qp || !(access->qp->flags & SVAN_CMD_QP_PRIVILEGED) ||
        (access->access & ~SVAN_ACCESS_LOCAL_WRITE)) {
        return SVAN_SYN_KEY_INVALID;
    }
    return access->len && access->va > UINT64_MAX - (access->len - 1) ?
           SVAN_SYN_KEY_BOUNDS : SVAN_SYN_NONE;
}

/* *va: of the first octet as the table knows it */
static inline uint32_t check_key(const SvanAccess *access, const SvanKey *key,
                                 uint64_t *va)
{
    uint64_t offset;
    bool internal;

    if (unlikely(!key)) {
        return SVAN_SYN_KEY_INVALID;
    }
    internal = key->flags & SVAN_CMD_KEY_INTERNAL;
    if (unlikely(internal == !!access->qp)) {
        return SVAN_SYN_KEY_INVALID;
    }
    if (unlikely(access->qp && key->pd != access->qp->pd)) {
        return SVAN_SYN_KEY_PD;
    }
    if (unlikely(access->access & ~key->access)) {
        return SVAN_SYN_KEY_ACCESS;
    }
    offset = access->va - key->origin;
    if (unlikely(offset > key->length ||
                 access->len > key->length - offset)) {
        return SVAN_SYN_KEY_BOUNDS;
    }
    *va = key->va + offset;
    return SVAN_SYN_NONE;
}

static __attribute__((noinline)) SvanStep
refuse(const SvanAccess *access, uint32_t syndrome)
{
    svan_trace(access->fn, SVAN_TRACE_ACCESS_ERROR, access->key, access->va,
               access->len, syndrome);
    return SVAN_STEP_ERROR;
}

/* What an access asks to store: everything but reads and remote reads. */
static inline bool is_write(uint8_t access)
{
    return access & ~SVAN_ACCESS_REMOTE_READ;
}

SvanStep svan_check_access(const SvanAccess *access, uint32_t *syndrome)
{
    uint64_t va;

    if (access->key == SVAN_KEY_LOCAL_DMA) {
        *syndrome = check_local_dma(access);
    } else {
        *syndrome = check_key(access, svan_key_get(access->fn, access->key),
                              &va);
    }
    return *syndrome == SVAN_SYN_NONE ? SVAN_STEP_DONE :
                                        refuse(access, *syndrome);
}

SvanStep svan_access(const SvanAccess *access, SvanMem *mem,
                     uint32_t *syndrome)
{
    SvanKey *key;
    SvanStep step;
    uint64_t va;

    if (unlikely(access->key == SVAN_KEY_LOCAL_DMA)) {
        *syndrome = check_local_dma(access);
        if (*syndrome != SVAN_SYN_NONE) {
            return refuse(access, *syndrome);
        }
        return map_run(access->fn, access->va, access->len,
                       is_write(access->access), mem, syndrome);
    }
    key = svan_key_get(access->fn, access->key);
    *syndrome = check_key(access, key, &va);
    if (unlikely(*syndrome != SVAN_SYN_NONE)) {
        return refuse(access, *syndrome);
    }
    step = key_map(key, va, access->len, is_write(access->access), mem,
                   syndrome);
    if (unlikely(step == SVAN_STEP_ERROR)) {
        return refuse(access, *syndrome);
    }
    return step;
}

SvanStep svan_ring_access(SvanKey *key, uint64_t va, uint32_t len,
                          bool for_write, SvanMem *mem, uint32_t *syndrome)
{
    SvanAccess access = {
        .fn = key->fn, .key = key->key, .va = va, .len = len,
        .access = for_write ? SVAN_ACCESS_LOCAL_WRITE : 0,
    };
    SvanStep step;

    *syndrome = check_key(&access, key, &va);
    if (unlikely(*syndrome != SVAN_SYN_NONE)) {
        return refuse(&access, *syndrome);
    }
    step = key_map(key, va, len, for_write, mem, syndrome);
    if (unlikely(step == SVAN_STEP_ERROR)) {
        return refuse(&access, *syndrome);
    }
    if (unlikely(step == SVAN_STEP_DONE && mem->len < len)) {
        *syndrome = SVAN_SYN_RING;
        return refuse(&access, *syndrome);
    }
    return step;
}
