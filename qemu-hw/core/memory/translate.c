/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From (key, virtual address) to host memory: the checks, the TLB, and a walker
 * for each kind of key (PRM "Translation"). All data is moved through here.
 */
#include <stdlib.h>
#include <string.h>

#include "memory/walk.h"

#define likely(x)       __builtin_expect(!!(x), 1)
#define unlikely(x)     __builtin_expect(!!(x), 0)

#define MTT_TABLE_BITS  (SVAN_MTT_ADDR_MASK | SVAN_MTT_PRESENT)
#define MTT_LEAF_BITS   (MTT_TABLE_BITS | SVAN_MTT_WRITABLE)

/* ---- bus addresses ---- */

static SvanStep map_failed(SvanFn *fn, SvanDma dma)
{
    if (dma == SVAN_DMA_MISS) {
        fn->core->missed_memory = fn->id;
        return SVAN_STEP_MISS;
    }
    /* The DMA test also runs on a VF that is disabled, which has no counters. */
    if (fn->stats) {
        fn->stats->dma_errors++;
    }
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
    core->cost += SVAN_COST_ACCESS + len / SVAN_COST_OCTETS;
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

/* Map as much of len as lies in the page of bus. */
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
        /* The driver may change the entry meanwhile: it is read once, as 64 bits. */
        *entry = le64toh(__atomic_load_n((uint64_t *)mem.host,
                                         __ATOMIC_ACQUIRE));
    } else if (step == SVAN_STEP_ERROR) {
        *syndrome = SVAN_SYN_TABLE;
    }
    return step;
}

SvanStep svan_page_miss(const SvanWalk *walk, uint64_t entry, uint8_t level,
                     bool is_protected)
{
    walk->fn->memory->miss = (SvanPageMiss) {
        .key = walk->key, .va = walk->va, .len = walk->len, .entry = entry,
        .level = level, .write = walk->write, .is_protected = is_protected,
    };
    return SVAN_STEP_FAULT;
}

void svan_page_miss_estimate(SvanFn *fn, uint64_t word, uint8_t source)
{
    SvanPageMiss *absent = &fn->memory->miss;
    uint32_t fault_class = svan_mtt_absent_class(word);

    absent->fault_class = fault_class < SVAN_FAULT_CLASS_COUNT ?
                          fault_class : SVAN_FAULT_UNKNOWN;
    absent->time_ns = svan_mtt_absent_time(word);
    absent->source = absent->fault_class || absent->time_ns ? source : 0;
}

/* The entry does not allow the access: absent, or not writable. FAULT or ERROR. */
static SvanStep table_refuses(const SvanWalk *walk, uint64_t entry,
                              uint8_t level, uint32_t *syndrome)
{
    bool present = entry & SVAN_MTT_PRESENT;

    if (walk->key->kind != SVAN_KEY_ONDEMAND) {
        *syndrome = present ? SVAN_SYN_KEY_ACCESS : SVAN_SYN_TABLE;
        return SVAN_STEP_ERROR;
    }
    svan_page_miss(walk, entry, level, present);
    if (!present) {
        svan_page_miss_estimate(walk->fn, entry, SVAN_ESTIMATE_ENTRY);
    }
    return SVAN_STEP_FAULT;
}

/* The radix tree of keys.h; levels is not 0. */
static SvanStep walk_table(const SvanWalk *walk, SvanLeaf *leaf,
                           uint32_t *syndrome)
{
    const SvanKey *key = walk->key;
    uint64_t index = (walk->va >> key->page_shift) -
                     (key->va >> key->page_shift);
    uint64_t misaligned = (1ull << key->page_shift) - SVAN_PAGE_SIZE;
    uint64_t entry = 0;

    leaf->bus = key->table;
    for (uint32_t level = key->levels; level; level--) {
        uint32_t shift = (level - 1) * SVAN_MTT_INDEX_BITS;
        uint64_t allowed = level > 1 ? MTT_TABLE_BITS : MTT_LEAF_BITS;
        SvanStep step = read_entry(walk->fn, leaf->bus,
                                   (index >> shift) %
                                   SVAN_MTT_TABLE_ENTRIES, &entry, syndrome);

        if (step != SVAN_STEP_DONE) {
            return step;
        }
        if (!(entry & SVAN_MTT_PRESENT)) {
            return table_refuses(walk, entry, level, syndrome);
        }
        if ((entry & ~allowed) || (level == 1 && (entry & misaligned))) {
            *syndrome = SVAN_SYN_TABLE;
            return SVAN_STEP_ERROR;
        }
        leaf->bus = entry & SVAN_MTT_ADDR_MASK;
    }
    leaf->writable = entry & SVAN_MTT_WRITABLE;
    return walk->write && !leaf->writable ?
           table_refuses(walk, entry, 1, syndrome) : SVAN_STEP_DONE;
}

/*
 * By kind of key. PHYS keys, and keys without a table, are direct: no walker is called
 * for them.
 */
static SvanWalker *const walkers[] = {
    [SVAN_KEY_PHYS]     = walk_table,
    [SVAN_KEY_PINNED]   = walk_table,
    [SVAN_KEY_ONDEMAND] = walk_table,
    [SVAN_KEY_PROCESS]  = svan_context_walk,
    [SVAN_KEY_DEVMEM]   = walk_table,
};

/* ---- the TLB ---- */

void svan_tlb_flush(SvanFn *fn)
{
    fn->memory->tlb_generation++;
}

/* No TLB entry carries the new serial, so all of the key's are lost. */
void svan_tlb_flush_key(SvanKey *key)
{
    key->serial = ++key->fn->memory->key_serial;
}

void svan_key_prepare(SvanKey *key)
{
    uint64_t page_mask = (1ull << key->page_shift) - 1;

    key->origin = key->access & SVAN_ACCESS_ZERO_BASED ? 0 : key->va;
    key->direct = key->kind == SVAN_KEY_PHYS ||
                  (!svan_key_is_pageable(key->kind) && key->levels == 0);
    key->direct_offset = key->kind == SVAN_KEY_PHYS ? 0 :
                         key->table - (key->va & ~page_mask);
    svan_tlb_flush_key(key);
}

static inline SvanTlbEntry *tlb_entry(SvanFn *fn, uint64_t serial,
                                      uint64_t page)
{
    const SvanMemory *memory = fn->memory;

    return &memory->tlb[(page + serial * 0x9e3779b1u) & memory->tlb_mask];
}

/*
 * The serial of the TLB entries that may serve the access; 0: there are none. All keys
 * of a process share the entries of the process.
 */
static inline uint64_t tlb_serial(const SvanWalk *walk)
{
    const SvanKey *key = walk->key;
    const SvanContext *context;

    if (likely(key->kind != SVAN_KEY_PROCESS)) {
        return key->serial;
    }
    context = &walk->fn->memory->contexts[key->pasid];
    return context->generation == key->generation &&
           walk->va + walk->len <= context->limit ? context->serial : 0;
}

/*
 * An entry that is not WRITABLE does not serve a store, which walks instead: rights
 * may have been added since, which needs no invalidation, and the walk sets the dirty
 * bit in the leaf of a page table.
 */
static inline bool tlb_find(const SvanWalk *walk, uint64_t *bus)
{
    const SvanKey *key = walk->key;
    uint64_t page = walk->va >> key->page_shift, serial = tlb_serial(walk);
    const SvanTlbEntry *entry = tlb_entry(walk->fn, serial, page);

    if (unlikely(!serial || entry->serial != serial || entry->page != page ||
                 entry->generation != walk->fn->memory->tlb_generation)) {
        return false;
    }
    *bus = entry->bus & ~SVAN_TLB_WRITABLE;
    return likely(!walk->write || (entry->bus & SVAN_TLB_WRITABLE));
}

#define TLB_MAX         8192u   /* entries of a function, power of two */
#define TLB_PER_KEY     16u

void svan_tlb_init(SvanMemory *memory, uint32_t max_key)
{
    memory->tlb_max = max_key < TLB_MAX / TLB_PER_KEY ? max_key * TLB_PER_KEY :
                                                        TLB_MAX;
    memory->tlb = &memory->tlb_first;
    memory->tlb_generation = 1;
}

void svan_tlb_fini(SvanMemory *memory)
{
    if (memory->tlb != &memory->tlb_first) {
        free(memory->tlb);
    }
}

/* Without memory the TLB keeps its single entry, at the cost of more walks. */
static __attribute__((noinline)) void tlb_make(SvanMemory *memory)
{
    SvanTlbEntry *tlb = calloc(memory->tlb_max, sizeof(tlb[0]));

    if (tlb) {
        memory->tlb = tlb;
        memory->tlb_mask = memory->tlb_max - 1;
    }
}

static __attribute__((noinline)) SvanStep
tlb_fill(const SvanWalk *walk, uint64_t *bus, uint32_t *syndrome)
{
    const SvanKey *key = walk->key;
    SvanFn *fn = walk->fn;
    SvanTlbEntry *entry;
    uint64_t serial;
    SvanLeaf leaf;
    SvanStep step = walkers[key->kind](walk, &leaf, syndrome);

    fn->stats->tlb_misses++;
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    if (unlikely(fn->memory->tlb == &fn->memory->tlb_first)) {
        tlb_make(fn->memory);
    }
    serial = tlb_serial(walk);
    entry = tlb_entry(fn, serial, walk->va >> key->page_shift);
    entry->serial = serial;
    entry->page = walk->va >> key->page_shift;
    entry->bus = leaf.bus | (leaf.writable ? SVAN_TLB_WRITABLE : 0);
    entry->generation = fn->memory->tlb_generation;
    svan_trace(fn, SVAN_TRACE_TLB_FILL, key->key, walk->va, leaf.bus,
               1u << key->page_shift);
    *bus = leaf.bus;
    return SVAN_STEP_DONE;
}

void svan_tlb_drop(SvanFn *fn, uint64_t serial, uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        SvanTlbEntry *entry = tlb_entry(fn, serial, first + i);

        if (entry->serial == serial && entry->page == first + i) {
            entry->serial = 0;
        }
    }
}

void svan_invalidate_key(SvanFn *fn, uint32_t id, uint64_t addr, uint64_t len)
{
    SvanKey *key = svan_key_get(fn, id);
    uint64_t first = 0, count = UINT64_MAX, last = addr + (len - 1);

    fn->stats->invalidations++;
    if (!key) {
        return;                         /* the key was destroyed meanwhile */
    }
    if (len && last >= addr) {
        first = addr >> key->page_shift;
        count = (last >> key->page_shift) - first + 1;
    }
    if (key->kind == SVAN_KEY_PROCESS) {
        svan_context_drop(fn, key->pasid, first, count);
    } else if (count > SVAN_TLB_PROBES) {
        svan_tlb_flush_key(key);
    } else {
        svan_tlb_drop(fn, key->serial, first, count);
    }
}

static inline SvanStep key_map(const SvanWalk *walk, SvanMem *mem,
                               uint32_t *syndrome)
{
    const SvanKey *key = walk->key;
    uint64_t bus;

    if (key->direct) {
        return map_run(walk->fn, walk->va + key->direct_offset, walk->len,
                       walk->write, mem, syndrome);
    }
    if (likely(tlb_find(walk, &bus))) {
        walk->fn->stats->tlb_hits++;
    } else {
        SvanStep step = tlb_fill(walk, &bus, syndrome);

        if (step != SVAN_STEP_DONE) {
            return step;
        }
    }
    return map_run(walk->fn, bus + (walk->va & ((1ull << key->page_shift) - 1)),
                   walk->len, walk->write, mem, syndrome);
}

/* ---- the checks ---- */

/* SVAN_KEY_LOCAL_DMA, bus addresses: for local accesses of privileged queues alone. */
static uint32_t check_local_dma(const SvanAccess *access)
{
    if (!access->user || !access->user->local_dma ||
        (access->access & ~SVAN_ACCESS_LOCAL_WRITE)) {
        return SVAN_SYN_KEY_INVALID;
    }
    return access->len && access->va > UINT64_MAX - (access->len - 1) ?
           SVAN_SYN_KEY_BOUNDS : SVAN_SYN_NONE;
}

/* For keys whose pages may be absent. They are never INTERNAL, so there is a user. */
static uint32_t check_pageable(const SvanAccess *access, const SvanKey *key)
{
    if (!access->user->can_wait) {
        return SVAN_SYN_KEY_INVALID;
    }
    return key->kind == SVAN_KEY_PROCESS && key->owner != access->user->owner ?
           SVAN_SYN_KEY_OWNER : SVAN_SYN_NONE;
}

/* Sets *va: the address in the key's table. Returns the syndrome. */
static inline uint32_t check_key(const SvanAccess *access, const SvanKey *key,
                                 uint64_t *va)
{
    uint64_t offset;
    bool internal;

    if (unlikely(!key)) {
        return SVAN_SYN_KEY_INVALID;
    }
    internal = key->flags & SVAN_CMD_KEY_INTERNAL;
    if (unlikely(internal == !!access->user)) {
        return SVAN_SYN_KEY_INVALID;
    }
    if (unlikely(access->user && key->pd != access->user->pd)) {
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
    return svan_key_is_pageable(key->kind) ? check_pageable(access, key) :
                                             SVAN_SYN_NONE;
}

static __attribute__((noinline)) SvanStep
refuse(const SvanAccess *access, uint32_t syndrome)
{
    svan_trace(access->fn, SVAN_TRACE_ACCESS_ERROR, access->key, access->va,
               access->len, syndrome);
    return SVAN_STEP_ERROR;
}

/* All rights but local read (0) and remote read are rights to store. */
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
    SvanWalk walk = {
        .fn = access->fn, .len = access->len, .write = is_write(access->access),
    };
    SvanStep step;

    if (unlikely(access->key == SVAN_KEY_LOCAL_DMA)) {
        *syndrome = check_local_dma(access);
        if (*syndrome != SVAN_SYN_NONE) {
            return refuse(access, *syndrome);
        }
        return map_run(access->fn, access->va, access->len, walk.write, mem,
                       syndrome);
    }
    walk.key = svan_key_get(access->fn, access->key);
    *syndrome = check_key(access, walk.key, &walk.va);
    if (unlikely(*syndrome != SVAN_SYN_NONE)) {
        return refuse(access, *syndrome);
    }
    if (unlikely(access->fn->injections) && access->user &&
        access->user->can_wait && svan_inject_applies(&walk)) {
        return SVAN_STEP_FAULT;
    }
    step = key_map(&walk, mem, syndrome);
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
    SvanWalk walk = {
        .fn = key->fn, .key = key, .len = len, .write = for_write,
    };
    SvanStep step;

    *syndrome = check_key(&access, key, &walk.va);
    if (unlikely(*syndrome != SVAN_SYN_NONE)) {
        return refuse(&access, *syndrome);
    }
    step = key_map(&walk, mem, syndrome);
    if (unlikely(step == SVAN_STEP_ERROR)) {
        return refuse(&access, *syndrome);
    }
    if (unlikely(step == SVAN_STEP_DONE && mem->len < len)) {
        *syndrome = SVAN_SYN_RING;
        return refuse(&access, *syndrome);
    }
    return step;
}

SvanStep svan_ring_clear(SvanKey *key, uint64_t va, uint64_t len, uint64_t *done)
{
    uint64_t left = *done < len ? len - *done : 0;
    uint64_t room = SVAN_PAGE_SIZE - ((va + *done) & SVAN_PAGE_MASK);
    uint32_t count = left < room ? left : room;
    uint32_t syndrome;
    SvanStep step;
    SvanMem mem;

    if (!left) {
        return SVAN_STEP_DONE;
    }
    step = svan_ring_access(key, va + *done, count, true, &mem, &syndrome);
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    memset(mem.host, 0, count);
    svan_stored(key->fn, &mem);
    *done += count;
    return *done == len ? SVAN_STEP_DONE : SVAN_STEP_AGAIN;
}
