/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes: the table of their contexts, and the walk of a page table that CPUs
 * walk and change at the same time (PRM "Process contexts").
 *
 * An entry is read once, as 64 bits, and what it says holds until the epoch ends: the
 * kernel clears an entry, then invalidates, and the invalidation waits for the end of
 * the epoch. The kernel leaves the invalidation out when the context's `cached` is 0.
 * So the device sets that word before it reads the first entry, and clears it under
 * the engine lock, when the TLB holds nothing of the process any more.
 */
#include <stdlib.h>
#include <string.h>

#include "memory/walk.h"

#define REFUSE(status, field) \
    SVAN_REFUSAL(SVAN_CMD_##status, context_table.field)

#define PTE_INDEX_BITS  9
#define PTE_ENTRIES     512
#define PTE_PAT_LARGE   0x1000ull       /* the PAT bit of large leaves */
#define MAX_LARGE_LEVEL 3
#define MAX_TRIES       8               /* walks in one step */

/* A copy of a process context: each field was read once. */
typedef struct Context {
    uint64_t root;
    uint64_t location_table;
    uint32_t location_entries;
    uint8_t levels;
} Context;

typedef struct Entry {
    SvanMem mem;
    uint64_t value;
    uint8_t level;              /* 1 = leaf of 4 KiB */
} Entry;

/* ---- the table ---- */

uint32_t svan_context_table_set(SvanFn *fn,
                                const struct svan_cmd_context_table *cmd)
{
    uint64_t addr = le64toh(cmd->addr);
    uint32_t count = le32toh(cmd->count);
    uint64_t size = (uint64_t)count * sizeof(struct svan_process_context);
    SvanContext *contexts = NULL;

    if (count > SVAN_PASID_COUNT) {
        return REFUSE(BAD_PARAM, count);
    }
    if (addr % SVAN_PAGE_SIZE || (size && addr + (size - 1) < addr)) {
        return REFUSE(BAD_PARAM, addr);
    }
    if (fn->memory->process_keys) {
        return REFUSE(BUSY, addr);
    }
    if (count) {
        contexts = calloc(count, sizeof(contexts[0]));
        if (!contexts) {
            return SVAN_CMD_NO_RESOURCES;
        }
    }
    svan_context_table_clear(fn);
    fn->memory->contexts = contexts;
    fn->memory->context_table.addr = addr;
    fn->memory->context_table.count = count;
    return SVAN_CMD_OK;
}

void svan_context_table_clear(SvanFn *fn)
{
    fn->memory->context_table.addr = 0;
    fn->memory->context_table.count = 0;
    free(fn->memory->contexts);
    fn->memory->contexts = NULL;
}

static SvanStep context_map(SvanFn *fn, uint32_t pasid, SvanMem *mem)
{
    uint32_t size = sizeof(struct svan_process_context);

    return svan_map_bus(fn, fn->memory->context_table.addr + (uint64_t)pasid * size,
                        size, true, mem);
}

static uint32_t load32(const __le32 *field)
{
    return le32toh(__atomic_load_n((const uint32_t *)field, __ATOMIC_ACQUIRE));
}

static uint64_t load64(const __le64 *field)
{
    return le64toh(__atomic_load_n((const uint64_t *)field, __ATOMIC_ACQUIRE));
}

static void cached_set(SvanFn *fn, const SvanMem *mem, uint32_t value)
{
    struct svan_process_context *context =
        (struct svan_process_context *)mem->host;
    SvanMem stored = {
        .host = (uint8_t *)&context->cached, .len = sizeof(context->cached),
        .bus = mem->bus + offsetof(struct svan_process_context, cached),
    };

    if (load32(&context->cached) == value) {
        return;
    }
    __atomic_store_n((uint32_t *)&context->cached, htole32(value),
                     __ATOMIC_RELAXED);
    svan_stored(fn, &stored);
    /* Pairs with the kernel's fence between storing an entry and loading `cached`. */
    atomic_thread_fence(memory_order_seq_cst);
}

/* Levels of the page table; 0: the context is not, or no longer, that of the key. */
static uint8_t context_levels(const SvanKey *key,
                              const struct svan_process_context *context)
{
    uint32_t flags = load32(&context->flags);
    uint32_t format = (flags & SVAN_CTX_FORMAT_MASK) >> SVAN_CTX_FORMAT_SHIFT;
    uint32_t levels = (flags & SVAN_CTX_LEVELS_MASK) >> SVAN_CTX_LEVELS_SHIFT;

    if (!(flags & SVAN_CTX_VALID) || format != SVAN_PT_X86_64 ||
        (levels != 4 && levels != 5) ||
        load32(&context->generation) != key->generation) {
        return 0;
    }
    return levels;
}

static SvanStep context_refused(uint32_t *syndrome)
{
    *syndrome = SVAN_SYN_CONTEXT;
    return SVAN_STEP_ERROR;
}

static SvanStep context_read(const SvanKey *key, Context *context,
                             uint32_t *syndrome)
{
    const struct svan_process_context *from;
    SvanMem mem;
    SvanStep step = context_map(key->fn, key->pasid, &mem);

    if (step != SVAN_STEP_DONE) {
        return step == SVAN_STEP_ERROR ? context_refused(syndrome) : step;
    }
    from = (const struct svan_process_context *)mem.host;
    if (!context_levels(key, from)) {
        return context_refused(syndrome);
    }
    cached_set(key->fn, &mem, 1);
    /*
     * The flags are read again: a kernel that cleared them before it could see `cached`
     * need not know of this walk.
     */
    context->levels = context_levels(key, from);
    context->root = load64(&from->root);
    context->location_table = load64(&from->location_table);
    context->location_entries = load32(&from->location_entries);
    return !context->levels || (context->root & ~SVAN_PTE_ADDR_MASK) ?
           context_refused(syndrome) : SVAN_STEP_DONE;
}

/* ---- entries ---- */

static uint64_t level_size(uint8_t level)
{
    return (uint64_t)SVAN_PAGE_SIZE << (level - 1) * PTE_INDEX_BITS;
}

static SvanStep entry_read(SvanFn *fn, uint64_t table, uint64_t va,
                           Entry *entry, uint32_t *syndrome)
{
    uint64_t index = va / level_size(entry->level) % PTE_ENTRIES;
    SvanStep step = svan_map_bus(fn, table + index * sizeof(entry->value),
                                 sizeof(entry->value), true, &entry->mem);

    if (step == SVAN_STEP_DONE) {
        entry->value = load64((const __le64 *)entry->mem.host);
    } else if (step == SVAN_STEP_ERROR) {
        *syndrome = SVAN_SYN_TABLE;
    }
    return step;
}

static bool entry_is_leaf(const Entry *entry)
{
    return entry->level == 1 || (entry->value & SVAN_PTE_LARGE);
}

/* Does the CPU take a set bit for reserved? At level 1 LARGE is PAT: nothing is. */
static bool entry_is_reserved(const Entry *entry)
{
    uint64_t misaligned = (level_size(entry->level) - 1) & SVAN_PTE_ADDR_MASK &
                          ~PTE_PAT_LARGE;

    return (entry->value & SVAN_PTE_LARGE) &&
           (entry->level > MAX_LARGE_LEVEL || (entry->value & misaligned));
}

static uint32_t entry_check(const Entry *entry)
{
    if (!(entry->value & SVAN_PTE_USER)) {
        return SVAN_SYN_ADDRESS;
    }
    return entry_is_reserved(entry) ? SVAN_SYN_TABLE : SVAN_SYN_NONE;
}

/*
 * Set bits as CPUs do: by compare-and-swap, so that only the entry that was read gets
 * them. false: it has changed since.
 */
static bool entry_mark(SvanFn *fn, Entry *entry, uint64_t bits)
{
    uint64_t expected = htole64(entry->value);

    if ((entry->value & bits) == bits) {
        return true;
    }
    if (!__atomic_compare_exchange_n((uint64_t *)entry->mem.host, &expected,
                                     htole64(entry->value | bits), false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        return false;
    }
    entry->value |= bits;
    svan_stored(fn, &entry->mem);
    return true;
}

/* ---- absent pages ---- */

/* *word: that of the location table, 0: it says nothing. DONE or MISS. */
static SvanStep location_read(SvanFn *fn, const Context *context,
                              uint32_t location, uint64_t *word)
{
    uint64_t at = context->location_table + location * sizeof(*word);
    SvanMem mem;
    SvanStep step;

    *word = 0;
    if (!context->location_table ||
        context->location_table % SVAN_PAGE_SIZE ||
        location >= context->location_entries) {
        return SVAN_STEP_DONE;
    }
    step = svan_map_bus(fn, at, sizeof(*word), false, &mem);
    if (step == SVAN_STEP_DONE) {
        *word = load64((const __le64 *)mem.host);
        if (*word & SVAN_MTT_PRESENT) {
            *word = 0;
        }
    }
    return step == SVAN_STEP_MISS ? step : SVAN_STEP_DONE;
}

static SvanStep entry_absent(const SvanWalk *walk, const Context *context,
                             const Entry *entry)
{
    uint32_t location = svan_pte_location(entry->value);
    SvanFn *fn = walk->fn;
    uint64_t word;
    SvanStep step = location_read(fn, context, location, &word);

    if (step != SVAN_STEP_DONE) {
        return step;
    }
    svan_page_miss(walk, entry->value, entry->level, false);
    svan_page_miss_estimate(fn, word, SVAN_ESTIMATE_LOCATION);
    return SVAN_STEP_FAULT;
}

/* ---- the walk ---- */

static SvanStep leaf_found(const SvanWalk *walk, Entry *entry, bool writable,
                           SvanLeaf *leaf)
{
    SvanFn *fn = walk->fn;
    uint64_t size = level_size(entry->level);

    if (walk->write && !writable) {
        return svan_page_miss(walk, entry->value, entry->level, true);
    }
    /* DIRTY comes before the data: the kernel must not take the page for clean. */
    if (!entry_mark(fn, entry, SVAN_PTE_ACCESSED |
                               (walk->write ? SVAN_PTE_DIRTY : 0))) {
        return SVAN_STEP_AGAIN;
    }
    leaf->bus = (entry->value & SVAN_PTE_ADDR_MASK & ~(size - 1)) +
                (walk->va & (size - 1) & ~(uint64_t)SVAN_PAGE_MASK);
    leaf->writable = writable && (entry->value & SVAN_PTE_DIRTY);
    if (entry->level > 1) {
        fn->memory->contexts[walk->key->pasid].huge = true;
    }
    return SVAN_STEP_DONE;
}

/* Walk from the root. AGAIN: a CPU has changed an entry meanwhile. */
static SvanStep walk_once(const SvanWalk *walk, const Context *context,
                          SvanLeaf *leaf, uint32_t *syndrome)
{
    SvanFn *fn = walk->fn;
    Entry entry = { .level = context->levels };
    uint64_t table = context->root;
    bool writable = true;

    for (;;) {
        SvanStep step = entry_read(fn, table, walk->va, &entry, syndrome);

        if (step != SVAN_STEP_DONE) {
            return step;
        }
        if (!(entry.value & SVAN_PTE_PRESENT)) {
            return entry_absent(walk, context, &entry);
        }
        *syndrome = entry_check(&entry);
        if (*syndrome != SVAN_SYN_NONE) {
            return SVAN_STEP_ERROR;
        }
        writable &= !!(entry.value & SVAN_PTE_WRITABLE);
        if (entry_is_leaf(&entry)) {
            return leaf_found(walk, &entry, writable, leaf);
        }
        if (!entry_mark(fn, &entry, SVAN_PTE_ACCESSED)) {
            return SVAN_STEP_AGAIN;
        }
        table = entry.value & SVAN_PTE_ADDR_MASK;
        entry.level--;
    }
}

/* Give the process a serial for TLB entries, unless it has one of this generation. */
static void context_open(const SvanKey *key, const Context *context)
{
    SvanContext *open = &key->fn->memory->contexts[key->pasid];

    if (!open->serial || open->generation != key->generation) {
        open->serial = ++key->fn->memory->key_serial;
        open->generation = key->generation;
        open->huge = false;
    }
    open->limit = 1ull << (context->levels == 5 ? 56 : 47);
}

SvanStep svan_context_walk(const SvanWalk *walk, SvanLeaf *leaf,
                           uint32_t *syndrome)
{
    const SvanKey *key = walk->key;
    SvanFn *fn = walk->fn;
    Context context;
    SvanStep step = context_read(key, &context, syndrome);

    fn->stats->context_walks++;
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    context_open(key, &context);
    if (walk->va + walk->len > fn->memory->contexts[key->pasid].limit) {
        *syndrome = SVAN_SYN_ADDRESS;
        return SVAN_STEP_ERROR;
    }
    step = SVAN_STEP_AGAIN;
    for (uint32_t tries = 0; step == SVAN_STEP_AGAIN && tries < MAX_TRIES;
         tries++) {
        step = walk_once(walk, &context, leaf, syndrome);
    }
    return step;
}

/* ---- invalidation ---- */

static void context_flush(SvanFn *fn, uint32_t pasid)
{
    SvanMem mem;

    fn->memory->contexts[pasid].serial = 0;
    /* If `cached` cannot be cleared, the kernel makes needless invalidations. */
    if (context_map(fn, pasid, &mem) == SVAN_STEP_DONE) {
        cached_set(fn, &mem, 0);
    }
}

/*
 * Everything of the process is dropped if a larger leaf was loaded: it has filled TLB
 * entries of many 4 KiB pages, while the invalidation may name only one of them.
 */
void svan_context_drop(SvanFn *fn, uint32_t pasid, uint64_t first,
                       uint64_t count)
{
    const SvanContext *context = &fn->memory->contexts[pasid];

    if (!context->serial || context->huge || count > SVAN_TLB_PROBES) {
        context_flush(fn, pasid);
    } else {
        svan_tlb_drop(fn, context->serial, first, count);
    }
}

void svan_invalidate_context(SvanFn *fn, uint32_t pasid, uint64_t value)
{
    uint32_t log = value & SVAN_INV_CONTEXT_LOG_MASK;
    uint64_t count = 1ull << log;
    uint64_t first = (value & SVAN_INV_CONTEXT_ADDR_MASK) / SVAN_PAGE_SIZE;

    fn->stats->invalidations++;
    if (pasid != 0 && pasid < fn->memory->context_table.count) {
        svan_context_drop(fn, pasid, first & ~(count - 1), count);
    }
}
