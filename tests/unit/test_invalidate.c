/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the TLB holds of keys and processes, and how it is taken away again: the
 * life of contexts, the word `cached`, and the invalidation registers.
 */
#include "process.h"
#include "refusal.h"

Trap trap;

#define VA      0x123456789000ull

static void wr(Process *p, uint32_t reg, uint64_t value, unsigned size)
{
    svan_reg_write(p->fake->core, 0, reg, value, size);
}

static uint32_t cached(const Process *p)
{
    return le32toh(p->context->cached);
}

/* Pages from VA on, of which n % 8 is the data page; all in the TLB. */
static void fill(Process *p, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++) {
        map_leaf(p, VA + i * 4096, 1, (p->pages + i % 8 * 4096) | P_RW);
        assert_int_equal(tap(p, VA + i * 4096, WRITE), 0);
    }
}

/* How many of these pages are found without a walk; the others are after. */
static uint32_t held(Process *p, uint32_t pages)
{
    uint64_t hits = p->fn->stats->tlb_hits;

    for (uint32_t i = 0; i < pages; i++) {
        assert_int_equal(tap(p, VA + i * 4096, WRITE), 0);
    }
    return p->fn->stats->tlb_hits - hits;
}

/* ---- contexts ---- */

static void contexts_that_are_none(void **state)
{
    static const uint32_t bad[] = {
        0x0410, 0x0400, 0x0401, 0x0421, 0x0311, 0x0611, 0x0011, 0x0f11, 0,
        0x04f1, 0xfffff410,
    };
    Process *p = *state;

    map_leaf(p, VA, 1, p->pages | P_RW);
    for (size_t i = 0; i < SIZE(bad); i++) {
        p->context->flags = htole32(bad[i]);
        assert_int_equal(tap(p, VA, 0), SVAN_SYN_CONTEXT);
        assert_int_equal(cached(p), 0);
    }
    p->context->flags = htole32(0xfffff411);    /* the rest is not looked at */
    assert_int_equal(tap(p, VA, 0), 0);
    invalidate_all(p);
    for (uint32_t bit = 0; bit < 64; bit++) {
        if (bit < 12 || bit >= 52) {
            p->context->root = htole64(p->pt.root ^ 1ull << bit);
            assert_int_equal(tap(p, VA, 0), SVAN_SYN_CONTEXT);
        }
    }
    p->context->root = htole64(p->pt.root);
    p->fake->bad_page = p->table;
    assert_int_equal(tap(p, VA, 0), SVAN_SYN_CONTEXT);
    p->fake->bad_page = 0;
    assert_int_equal(tap(p, VA, 0), 0);
}

/* A context that was never written is not one. */
static void a_pasid_without_a_context(void **state)
{
    Process *p = *state;
    struct svan_cmd_create_key cmd = process_key(p);
    SvanMem mem;
    uint32_t key;

    cmd.pasid = htole32(PASIDS - 1);
    cmd.generation = 0;
    key = host_key(p->host, &cmd);
    assert_int_equal(touch_as(&p->user, key, VA, 8, 0, &mem), SVAN_SYN_CONTEXT);
}

static void generations(void **state)
{
    Process *p = *state;
    struct svan_cmd_create_key cmd = process_key(p);
    SvanMem mem;
    uint32_t next;

    cmd.generation = htole32(GENERATION + 1);
    next = host_key(p->host, &cmd);
    map_leaf(p, VA, 1, p->pages | P_RW);
    assert_int_equal(touch_as(&p->user, next, VA, 8, 0, &mem), SVAN_SYN_CONTEXT);
    assert_int_equal(tap(p, VA, 0), 0);
    assert_int_equal(touch_as(&p->user, next, VA, 8, 0, &mem), SVAN_SYN_CONTEXT);
    assert_int_equal(tap(p, VA, 0), 0);
    /* the next process under the PASID, were it even without invalidation */
    p->context->generation = htole32(GENERATION + 1);
    map_leaf(p, VA, 1, (p->pages + 4096) | P_RW);
    assert_int_equal(touch_as(&p->user, next, VA, 8, 0, &mem), 0);
    assert_int_equal(mem.bus, p->pages + 4096);
    assert_int_equal(tap(p, VA, 0), SVAN_SYN_CONTEXT);
    assert_int_equal(touch_as(&p->user, next, VA, 8, 0, &mem), 0);
}

/* As the kernel takes one back. */
static void a_context_that_dies(void **state)
{
    Process *p = *state;
    uint64_t walks;

    fill(p, 3);
    p->context->flags = 0;
    invalidate_all(p);
    walks = p->fn->stats->context_walks;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(tap(p, VA + i * 4096, WRITE), SVAN_SYN_CONTEXT);
    }
    assert_int_equal(p->fn->stats->context_walks, walks + 3);
    assert_int_equal(cached(p), 0);
}

static void die_now(Process *p, void *arg)
{
    p->context->flags = 0;
}

/* It dies while the word is being set: the kernel may not have seen that. */
static void a_context_that_dies_just_now(void **state)
{
    Process *p = *state;

    map_leaf(p, VA, 1, p->pages | P_RW);
    trap_set(p, p->context, die_now, NULL);
    assert_int_equal(tap(p, VA, 0), SVAN_SYN_CONTEXT);
    assert_int_equal(trap.sprung, 1);
    assert_int_equal(le64toh(*pte(p, VA, 4)) & P_A, 0);
    trap_clear();
}

/* All keys of a process share what is held; another process has its own. */
static void keys_of_one_process(void **state)
{
    Process *p = *state;
    struct svan_cmd_create_key cmd = process_key(p);
    uint64_t walks;
    SvanMem mem;
    uint32_t second, other;

    cmd.va = htole64(VA);
    cmd.length = htole64(8 * 4096);
    cmd.access = htole32(ALL | SVAN_ACCESS_ZERO_BASED);
    second = host_key(p->host, &cmd);
    cmd.pasid = htole32(PASID + 1);
    other = host_key(p->host, &cmd);
    p->context[1] = p->context[0];
    p->context[1].root = htole64(fake_alloc(p->fake, 4096, 4096));
    p->context[1].cached = 0;
    fill(p, 8);
    walks = p->fn->stats->context_walks;
    assert_int_equal(touch_as(&p->user, second, 4096 + 7, 8, WRITE, &mem), 0);
    assert_int_equal(mem.bus, p->pages + 4096 + 7);
    assert_int_equal(p->fn->stats->context_walks, walks);
    assert_int_equal(touch_as(&p->user, other, 4096 + 7, 8, 0, &mem), FAULTED);
    assert_int_equal(p->fn->memory->miss.va, VA + 4096 + 7);
    assert_int_equal(host_object(p->host, SVAN_CMD_DESTROY_KEY, second),
                     SVAN_CMD_OK);
    assert_int_equal(held(p, 8), 8);
}

/* ---- the word `cached` ---- */

static void watch_order(Fake *fake, uint64_t addr, void *arg)
{
    const Process *p = arg;

    if (addr / 4096 == p->pt.root / 4096) {
        assert_int_equal(cached(p), 1);
    }
}

static void it_is_set_before_the_first_entry(void **state)
{
    Process *p = *state;
    uint64_t written;

    map_leaf(p, VA, 1, p->pages | P_RW);
    assert_int_equal(cached(p), 0);
    p->fake->on_map = watch_order;
    p->fake->on_map_arg = p;
    assert_int_equal(tap(p, VA + 4096, 0), FAULTED);
    assert_int_equal(cached(p), 1);     /* though nothing was found */
    written = p->fake->written;
    assert_int_equal(tap(p, VA + 8192, 0), FAULTED);
    assert_int_equal(p->fake->written, written);
    p->fake->on_map = NULL;
}

static void nothing_else_of_the_context_is_written(void **state)
{
    Process *p = *state;
    struct svan_process_context before[PASIDS];

    memcpy(before, fake_ram(p->fake, p->table), sizeof(before));
    before[PASID].cached = htole32(1);
    fill(p, 4);
    assert_memory_equal(before, fake_ram(p->fake, p->table), sizeof(before));
    before[PASID].cached = 0;
    invalidate_all(p);
    assert_memory_equal(before, fake_ram(p->fake, p->table), sizeof(before));
}

static void only_a_whole_flush_clears_it(void **state)
{
    Process *p = *state;

    fill(p, 4);
    invalidate(p, VA, 0);
    assert_int_equal(cached(p), 1);
    wr(p, SVAN_REG_INV_GO, SVAN_INV_FUNCTION, 4);
    assert_int_equal(cached(p), 1);
    assert_int_equal(held(p, 4), 0);
    invalidate_all(p);
    assert_int_equal(cached(p), 0);
    assert_int_equal(held(p, 4), 0);
    assert_int_equal(cached(p), 1);
    invalidate(p, VA & ~0xfffffull, 7); /* so large that it is whole */
    assert_int_equal(cached(p), 0);
}

/* The device's own state says nothing about the word: it may be a new one. */
static void a_word_that_the_kernel_has_written(void **state)
{
    Process *p = *state;

    fill(p, 2);
    p->fake->miss_at = p->fake->maps + 1;
    invalidate_all(p);                  /* the context is out of reach */
    assert_int_equal(cached(p), 1);
    p->context->cached = 0;             /* the next process */
    assert_int_equal(held(p, 2), 0);
    assert_int_equal(cached(p), 1);
    p->fake->bad_page = p->table;
    invalidate_all(p);
    p->fake->bad_page = 0;
    assert_int_equal(cached(p), 1);
    invalidate(p, VA, 0);               /* nothing is held: also whole */
    assert_int_equal(cached(p), 0);
    p->context->cached = htole32(7);
    invalidate_all(p);
    assert_int_equal(cached(p), 0);
    assert_int_equal(held(p, 2), 0);
}

/* ---- ranges of a process ---- */

static void one_page(void **state)
{
    Process *p = *state;

    for (uint32_t i = 0; i < 8; i++) {
        fill(p, 8);
        map_leaf(p, VA + i * 4096, 1, 0);
        invalidate(p, VA + i * 4096, 0);
        for (uint32_t page = 0; page < 8; page++) {
            assert_int_equal(tap(p, VA + page * 4096, WRITE),
                             page == i ? FAULTED : 0);
        }
    }
}

/* Up to 64 pages, exactly those; of more, where it is dear to look, all. */
static void some_pages(void **state)
{
    Process *p = *state;

    for (uint32_t log = 0; log <= 7; log++) {
        uint64_t page = VA / 4096 + 70, first = page & ~((1ull << log) - 1);
        uint32_t gone = 0;

        for (uint32_t i = 0; i < 100; i++) {
            gone += (VA / 4096 + i) >> log == page >> log;
        }
        assert_true(gone <= 1u << log && gone > 1u << log >> 2);
        fill(p, 100);
        assert_int_equal(held(p, 100), 100);
        invalidate(p, first * 4096, log);
        assert_int_equal(held(p, 100), log > 6 ? 0 : 100 - gone);
        /* an address that is not aligned means the range that it lies in */
        invalidate(p, page * 4096, log);
        assert_int_equal(held(p, 100), log > 6 ? 0 : 100 - gone);
    }
}

static void all_pages(void **state)
{
    static const uint32_t logs[] = { 8, 20, 35, 44, 51, 52, 53, 62, 63 };
    Process *p = *state;

    for (size_t i = 0; i < SIZE(logs); i++) {
        fill(p, 8);
        invalidate(p, 0, logs[i]);
        assert_int_equal(held(p, 8), 0);
    }
}

/* One page of what came from a large leaf: the others go too. */
static void large_leaves(void **state)
{
    Process *p = *state;
    uint64_t va = VA & ~0x1fffffull, walks;

    map_leaf(p, va, 2, (FAKE_RAM_BASE + (2 << 20)) | P_RW | SVAN_PTE_LARGE);
    map_leaf(p, va + (2 << 20), 1, p->pages | P_RW);
    assert_int_equal(tap(p, va + 0x5000, WRITE), 0);
    assert_int_equal(tap(p, va + 0x9000, WRITE), 0);
    assert_int_equal(tap(p, va + (2 << 20), WRITE), 0);
    map_leaf(p, va, 2, 0);
    invalidate(p, va, 0);
    assert_int_equal(tap(p, va + 0x5000, WRITE), FAULTED);
    assert_int_equal(tap(p, va + 0x9000, WRITE), FAULTED);
    /* since then there is none: ranges are ranges again */
    assert_int_equal(tap(p, va + (2 << 20), WRITE), 0);
    invalidate(p, va, 0);
    walks = p->fn->stats->context_walks;
    assert_int_equal(tap(p, va + (2 << 20), WRITE), 0);
    assert_int_equal(p->fn->stats->context_walks, walks);
}

static void other_processes_are_left_alone(void **state)
{
    Process *p = *state;
    uint64_t invalidations = p->fn->stats->invalidations;
    struct svan_process_context *nobody = p->context - PASID;
    struct svan_process_context *outside = nobody + PASIDS;

    nobody->cached = outside->cached = htole32(7);
    fill(p, 8);
    for (uint32_t pasid = 0; pasid < SVAN_PASID_COUNT; pasid++) {
        if (pasid != PASID) {
            wr(p, SVAN_REG_INV_CONTEXT(pasid), SVAN_INV_CONTEXT_ALL, 8);
        }
    }
    assert_int_equal(nobody->cached, htole32(7));
    assert_int_equal(outside->cached, htole32(7));
    assert_int_equal(held(p, 8), 8);
    assert_int_equal(p->fn->stats->invalidations,
                     invalidations + SVAN_PASID_COUNT - 1);
}

/* One store of 64 bits. A read is the completion of it, and does nothing itself. */
static void accesses_of_another_kind(void **state)
{
    Process *p = *state;
    uint64_t invalidations = p->fn->stats->invalidations;
    uint32_t reg = SVAN_REG_INV_CONTEXT(PASID);

    fill(p, 8);
    wr(p, reg, SVAN_INV_CONTEXT_ALL, 4);
    wr(p, reg + 4, 0, 4);
    wr(p, reg + 4, SVAN_INV_CONTEXT_ALL, 8);
    wr(p, reg, SVAN_INV_CONTEXT_ALL, 2);
    wr(p, SVAN_REG_INV_CONTEXT(SVAN_PASID_COUNT), SVAN_INV_CONTEXT_ALL, 8);
    assert_int_equal(held(p, 8), 8);
    assert_int_equal(p->fn->stats->invalidations, invalidations);
    assert_int_equal(svan_reg_read(p->fake->core, 0, reg, 8), 0);
    assert_int_equal(svan_reg_read(p->fake->core, 0, reg, 4), 0);
    assert_int_equal(svan_reg_read(p->fake->core, 0, reg + 4, 4), 0);
    assert_int_equal(held(p, 8), 8);
    assert_int_equal(p->fn->stats->invalidations, invalidations);
    wr(p, reg, SVAN_INV_CONTEXT_ALL, 8);
    assert_int_equal(held(p, 8), 0);
}

/* ---- keys ---- */

typedef struct Table {
    uint32_t key;
    uint64_t *entries;
} Table;

static Table ondemand(Process *p, uint8_t page_shift)
{
    uint64_t table = host_mtt(p->host, FAKE_RAM_BASE, 100, 1, page_shift, true);
    struct svan_cmd_create_key cmd = {
        .kind = SVAN_KEY_ONDEMAND, .page_shift = page_shift, .levels = 1,
        .access = htole32(ALL), .pd = htole32(p->host->pd),
        .va = htole64(VA), .length = htole64(90ull << page_shift),
        .table = htole64(table),
    };

    return (Table) { host_key(p->host, &cmd), fake_ram(p->fake, table) };
}

static void inv_key(Process *p, uint32_t key, uint64_t addr, uint64_t length)
{
    wr(p, SVAN_REG_INV_TARGET, key, 4);
    wr(p, SVAN_REG_INV_ADDR, addr, 8);
    wr(p, SVAN_REG_INV_LENGTH, (uint32_t)length, 4);
    wr(p, SVAN_REG_INV_LENGTH + 4, length >> 32, 4);
    wr(p, SVAN_REG_INV_GO, SVAN_INV_KEY, 4);
}

/* Pages [0, n) of the key are touched; how many of them needed no walk. */
static uint32_t key_held(Process *p, const Table *table, uint32_t n)
{
    const SvanKey *key = svan_key_get(p->fn, table->key);
    uint64_t hits = p->fn->stats->tlb_hits;
    SvanMem mem;

    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(touch_as(&p->user, table->key,
                                  VA + ((uint64_t)i << key->page_shift), 8,
                                  WRITE, &mem), 0);
    }
    return p->fn->stats->tlb_hits - hits;
}

static void ranges_of_a_key(void **state)
{
    static const struct {
        uint64_t addr, length;
        uint32_t gone;
    } rows[] = {
        { VA, 1, 1 }, { VA, 4096, 1 }, { VA, 4097, 2 }, { VA + 4095, 2, 2 },
        { VA + 4096, 8192, 2 }, { VA - 1, 1, 0 }, { VA - 4096, 8192, 1 },
        { VA + 89 * 4096, 4096, 1 }, { VA + 90 * 4096, 4096, 0 },
        { VA + 4096, 64 * 4096, 64 }, { VA + 4096, 64 * 4096 + 1, 90 },
        { VA, 0, 90 }, { 0, 0, 90 }, { 0, UINT64_MAX, 90 }, { 1, UINT64_MAX, 90 },
        { VA, UINT64_MAX, 90 }, { UINT64_MAX, 1, 0 }, { UINT64_MAX, 2, 90 },
    };
    Process *p = *state;
    Table table = ondemand(p, 12), other = ondemand(p, 12);

    for (size_t i = 0; i < SIZE(rows); i++) {
        key_held(p, &table, 90);
        key_held(p, &other, 90);
        assert_int_equal(key_held(p, &table, 90), 90);
        inv_key(p, table.key, rows[i].addr, rows[i].length);
        assert_int_equal(key_held(p, &other, 90), 90);
        assert_int_equal(key_held(p, &table, 90), 90 - rows[i].gone);
    }
}

static void large_pages_of_a_key(void **state)
{
    Process *p = *state;
    struct svan_cmd_create_key cmd = {
        .kind = SVAN_KEY_ONDEMAND, .page_shift = 20, .levels = 1,
        .access = htole32(ALL), .pd = htole32(p->host->pd),
        .length = htole64(8 << 20),
        .table = htole64(host_mtt(p->host, FAKE_RAM_BASE, 8, 1, 20, true)),
    };
    uint32_t key = host_key(p->host, &cmd);
    uint64_t misses;
    SvanMem mem;

    for (uint32_t i = 0; i < 8; i++) {
        touch_as(&p->user, key, (uint64_t)i << 20, 8, 0, &mem);
    }
    misses = p->fn->stats->tlb_misses;
    inv_key(p, key, (3 << 20) + 0x12345, 1 << 20);      /* two pages of it */
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(touch_as(&p->user, key, (uint64_t)i << 20, 8, 0, &mem),
                         0);
    }
    assert_int_equal(p->fn->stats->tlb_misses, misses + 2);
}

/* What a driver does: the entry goes first, then what is held of it. */
static void an_entry_taken_back(void **state)
{
    Process *p = *state;
    Table table = ondemand(p, 12);
    SvanMem mem;

    key_held(p, &table, 90);
    table.entries[5] = htole64(svan_mtt_absent(SVAN_FAULT_INVALIDATED, 0));
    inv_key(p, table.key, VA + 5 * 4096, 4096);
    assert_int_equal(touch_as(&p->user, table.key, VA + 5 * 4096, 8, 0, &mem),
                     FAULTED);
    assert_int_equal(p->fn->memory->miss.fault_class, SVAN_FAULT_INVALIDATED);
    assert_int_equal(touch_as(&p->user, table.key, VA + 4 * 4096, 8, 0, &mem), 0);
}

static void targets_that_are_gone(void **state)
{
    Process *p = *state;
    Table table = ondemand(p, 12);
    uint64_t invalidations = p->fn->stats->invalidations;

    fill(p, 8);
    key_held(p, &table, 90);
    inv_key(p, table.key ^ 1, 0, 0);
    inv_key(p, table.key + 256 * 50, 0, 0);
    inv_key(p, SVAN_KEY_LOCAL_DMA, 0, 0);
    inv_key(p, UINT32_MAX, 0, 0);
    assert_int_equal(p->fn->stats->invalidations, invalidations + 4);
    for (uint32_t kind = 3; kind < 40; kind++) {
        wr(p, SVAN_REG_INV_GO, kind, 4);
    }
    wr(p, SVAN_REG_INV_GO, 0, 4);
    wr(p, SVAN_REG_INV_GO, SVAN_INV_FUNCTION, 8);
    assert_int_equal(p->fn->stats->invalidations, invalidations + 4);
    assert_int_equal(key_held(p, &table, 90), 90);
    assert_int_equal(held(p, 8), 8);
    assert_int_equal(host_read(p->host, SVAN_REG_INV_GO), 0);
}

static void everything_of_a_function(void **state)
{
    Process *p = *state;
    Table table = ondemand(p, 12);

    fill(p, 8);
    key_held(p, &table, 90);
    wr(p, SVAN_REG_INV_GO, SVAN_INV_FUNCTION, 4);
    assert_int_equal(key_held(p, &table, 90), 0);
    assert_int_equal(held(p, 8), 0);
}

/* A process key as the target names what is held of its process. */
static void a_process_key_as_target(void **state)
{
    Process *p = *state;

    fill(p, 100);
    inv_key(p, p->key, VA + 4096, 8192);
    assert_int_equal(held(p, 100), 98);
    assert_int_equal(cached(p), 1);
    inv_key(p, p->key, 0, 0);
    assert_int_equal(cached(p), 0);
    assert_int_equal(held(p, 100), 0);
}

/* ---- the table of contexts ---- */

static void setting_the_table(void **state)
{
    Process *p = *state;
    struct svan_cmd good = host_cmd_init(SVAN_CMD_SET_CONTEXT_TABLE);
    const Refusal bad[] = {
        BAD(context_table.count, SVAN_PASID_COUNT + 1, BAD_PARAM),
        BAD(context_table.count, UINT32_MAX, BAD_PARAM),
        BAD(context_table.addr, p->table + 64, BAD_PARAM),
        BAD(context_table.addr, ~0xfffull, BAD_PARAM),
        BAD_AS(context_table.count, 1, BUSY, context_table.addr),
        BAD_AS(context_table.count, 0, BUSY, context_table.addr),
    };
    const Refusal fine[] = {
        BAD(context_table.addr, ~0x1ffffull, OK),       /* to the very end */
        BAD(context_table.count, 0, OK),
        BAD(context_table.count, 1, OK),
    };

    good.context_table.addr = htole64(p->table);
    good.context_table.count = htole32(SVAN_PASID_COUNT);
    check_refusals(p->host, &good, bad, SIZE(bad));
    fill(p, 4);
    assert_int_equal(held(p, 4), 4);
    assert_int_equal(host_object(p->host, SVAN_CMD_DESTROY_KEY, p->key),
                     SVAN_CMD_OK);
    check_refusals(p->host, &good, fine, SIZE(fine));
}

static void another_table(void **state)
{
    Process *p = *state;
    struct svan_cmd_create_key cmd = process_key(p);
    uint64_t table = fake_alloc(p->fake, 4096, 4096);

    fill(p, 4);
    host_object(p->host, SVAN_CMD_DESTROY_KEY, p->key);
    memcpy(fake_ram(p->fake, table), fake_ram(p->fake, p->table), 4096);
    host_set_contexts(p->host, table, PASIDS);
    p->context = (struct svan_process_context *)fake_ram(p->fake, table) +
                 PASID;
    p->context->cached = 0;
    p->key = host_key(p->host, &cmd);
    assert_int_equal(held(p, 4), 0);
    assert_int_equal(cached(p), 1);
}

static void creating_process_keys(void **state)
{
    Process *p = *state;
    struct svan_cmd good = host_cmd_init(SVAN_CMD_CREATE_KEY);
    const Refusal bad[] = {
        BAD(create_key.flags, SVAN_CMD_KEY_INTERNAL, BAD_PARAM),
        BAD(create_key.levels, 1, BAD_PARAM),
        BAD(create_key.page_shift, 21, BAD_PARAM),
        BAD(create_key.page_shift, 0, BAD_PARAM),
        BAD(create_key.table, p->pt.root, BAD_PARAM),
        BAD(create_key.table, 1, BAD_PARAM),
        BAD(create_key.pasid, 0, BAD_PARAM),
        BAD(create_key.pasid, PASIDS, BAD_PARAM),
        BAD(create_key.pasid, UINT32_MAX, BAD_PARAM),
        BAD(create_key.access, 0x100, BAD_PARAM),
        BAD(create_key.length, (1ull << 56) + 1, BAD_PARAM),
        BAD(create_key.length, UINT64_MAX, BAD_PARAM),
        BAD_AS(create_key.va, 1, BAD_PARAM, create_key.length),
        BAD_AS(create_key.va, 1ull << 63, BAD_PARAM, create_key.length),
        BAD(create_key.pd, 0x777, BAD_RESOURCE),
        BAD(create_key.pasid, PASIDS - 1, OK),
        BAD(create_key.length, 0, OK),
        BAD(create_key.length, 1ull << 56, OK),
    };

    good.create_key = process_key(p);
    check_refusals(p->host, &good, bad, SIZE(bad));
    assert_int_equal(p->fn->memory->process_keys, 4);
}

static void without_the_feature(void **state)
{
    static const struct {
        bool true_atomics;
        uint64_t features_off;
        uint32_t off_reason, reason;
        uint64_t others;        /* what is on all the same */
    } rows[] = {
        { false, 0, 0, SVAN_CAP_OFF_NO_TRUE_ATOMICS, 0 },
        { true, 0, SVAN_CAP_OFF_VIOMMU, SVAN_CAP_OFF_VIOMMU,
          SVAN_CAP_ATOMIC_GLOBAL },
        { true, 0, 0, SVAN_CAP_OFF_VIOMMU, SVAN_CAP_ATOMIC_GLOBAL },
        { true, SVAN_CAP_PROCESS_KEYS, 0, SVAN_CAP_OFF_DISABLED,
          SVAN_CAP_ATOMIC_GLOBAL },
        { false, SVAN_CAP_PROCESS_KEYS | SVAN_CAP_ATOMIC_GLOBAL,
          SVAN_CAP_OFF_NO_TRUE_ATOMICS, SVAN_CAP_OFF_NO_TRUE_ATOMICS, 0 },
    };
    (void)state;

    for (size_t i = 0; i < SIZE(rows); i++) {
        SvanConfig config = {
            .max_qp = 16, .max_cq = 16, .max_key = 16,
            .true_atomics = rows[i].true_atomics,
            .features_off = rows[i].features_off,
            .off_reason = rows[i].off_reason,
        };
        struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_CONTEXT_TABLE);
        Fake *fake = fake_create(&config);
        Host *host = host_create(fake, 0, 1);
        struct svan_cmd_resp resp;

        /* an IOMMU that was created after the device */
        if (rows[i].reason == SVAN_CAP_OFF_VIOMMU && !rows[i].off_reason) {
            svan_behind_iommu(fake->core);
        }
        assert_int_equal(host_fn(host)->features &
                         (SVAN_CAP_PROCESS_KEYS | SVAN_CAP_ATOMIC_GLOBAL |
                          SVAN_CAP_ONDEMAND_KEYS),
                         rows[i].others | SVAN_CAP_ONDEMAND_KEYS);
        assert_int_equal(host_fn(host)->regs->off_reason, rows[i].reason);
        assert_int_equal(host_cmd(host, &cmd, &resp), SVAN_CMD_NOT_SUPPORTED);
        cmd = host_cmd_init(SVAN_CMD_CREATE_KEY);
        cmd.create_key.kind = SVAN_KEY_PROCESS;
        cmd.create_key.page_shift = 12;
        cmd.create_key.pasid = htole32(1);
        assert_int_equal(host_cmd(host, &cmd, &resp), SVAN_CMD_NOT_SUPPORTED);
        assert_int_equal(le32toh(resp.syndrome),
                         offsetof(struct svan_cmd, create_key.kind));
        host_destroy(host);
        fake_destroy(fake);
    }
}

/* ---- reset, and state ---- */

static void a_reset_forgets(void **state)
{
    Process *p = *state;
    struct svan_cmd_create_key key = process_key(p);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_KEY);

    fill(p, 4);
    svan_reset(p->fake->core, 0);
    assert_null(p->fn->memory);
    p->fake->used += 4096;
    host_destroy(p->host);
    p->host = host_create(p->fake, 0, 1);
    key.pd = htole32(p->host->pd);
    cmd.create_key = key;
    assert_int_equal(host_cmd(p->host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    p->context->cached = 0;
    host_set_contexts(p->host, p->table, PASIDS);
    p->key = host_key(p->host, &key);
    p->user.pd = p->host->pd;
    p->user.can_wait = true;
    assert_int_equal(held(p, 4), 0);
    assert_int_equal(cached(p), 1);
}

static void saved_and_loaded(void **state)
{
    Process *p = *state;
    Table table = ondemand(p, 12);

    fill(p, 4);
    key_held(p, &table, 90);
    assert_true(fake_restore(p->fake));
    p->fn = p->user.fn = host_fn(p->host);
    assert_int_equal(p->fn->memory->context_table.addr, p->table);
    assert_int_equal(p->fn->memory->context_table.count, PASIDS);
    assert_int_equal(p->fn->memory->process_keys, 1);
    assert_int_equal(cached(p), 1);     /* and nothing is held */
    assert_int_equal(held(p, 4), 0);
    assert_int_equal(key_held(p, &table, 90), 0);
    invalidate_all(p);
    assert_int_equal(cached(p), 0);
    assert_true(fake_restore(p->fake));
    p->fn = p->user.fn = host_fn(p->host);
    p->context->cached = htole32(1);
    invalidate(p, VA, 0);
    assert_int_equal(cached(p), 0);
}

/* A stream whose keys need a table that is not in it, or of a lesser device. */
static void streams_that_do_not_fit(void **state)
{
    Process *p = *state;
    SvanConfig config = p->fake->config;
    Fake *other;
    void *stream;
    size_t len;

    config.features_off = SVAN_CAP_PROCESS_KEYS;
    other = fake_create(&config);
    stream = svan_save(p->fake->core, &len);
    assert_false(svan_load(other->core, stream, len));
    free(stream);
    host_object(p->host, SVAN_CMD_DESTROY_KEY, p->key);
    stream = svan_save(p->fake->core, &len);
    assert_false(svan_load(other->core, stream, len));
    free(stream);
    host_set_contexts(p->host, 0, 0);
    stream = svan_save(p->fake->core, &len);
    assert_true(svan_load(other->core, stream, len));
    free(stream);
    fake_destroy(other);
    host_set_contexts(p->host, p->table, PASIDS);
    p->fn->memory->context_table.addr++;
    assert_false(fake_restore(p->fake));
    p->fn = p->user.fn = host_fn(p->host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(contexts_that_are_none),
        PROCESS_TEST(a_pasid_without_a_context),
        PROCESS_TEST(generations),
        PROCESS_TEST(a_context_that_dies),
        PROCESS_TEST(a_context_that_dies_just_now),
        PROCESS_TEST(keys_of_one_process),
        PROCESS_TEST(it_is_set_before_the_first_entry),
        PROCESS_TEST(nothing_else_of_the_context_is_written),
        PROCESS_TEST(only_a_whole_flush_clears_it),
        PROCESS_TEST(a_word_that_the_kernel_has_written),
        PROCESS_TEST(one_page),
        PROCESS_TEST(some_pages),
        PROCESS_TEST(all_pages),
        PROCESS_TEST(large_leaves),
        PROCESS_TEST(other_processes_are_left_alone),
        PROCESS_TEST(accesses_of_another_kind),
        PROCESS_TEST(ranges_of_a_key),
        PROCESS_TEST(large_pages_of_a_key),
        PROCESS_TEST(an_entry_taken_back),
        PROCESS_TEST(targets_that_are_gone),
        PROCESS_TEST(everything_of_a_function),
        PROCESS_TEST(a_process_key_as_target),
        PROCESS_TEST(setting_the_table),
        PROCESS_TEST(another_table),
        PROCESS_TEST(creating_process_keys),
        cmocka_unit_test(without_the_feature),
        PROCESS_TEST(a_reset_forgets),
        PROCESS_TEST(saved_and_loaded),
        PROCESS_TEST(streams_that_do_not_fit),
    };

    return cmocka_run_group_tests_name("invalidate", tests, NULL, NULL);
}
