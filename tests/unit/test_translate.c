/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#define WRITE   SVAN_ACCESS_LOCAL_WRITE
#define ALL     (SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK)
#define VA      0x7f0000001000ull
#define MISSED  0x1000
#define FAULTED 0x2000

typedef struct Bench {
    Host *host;
    SvanUser user;
    uint64_t pages;             /* 8 of them */
} Bench;

static int setup(void **state)
{
    Bench *bench = calloc(1, sizeof(*bench));

    bench->host = host_create(fake_create(NULL), 0, 1);
    bench->pages = fake_alloc(bench->host->fake, 8 * 4096, 4096);
    bench->user.fn = host_fn(bench->host);
    bench->user.pd = bench->host->pd;
    bench->user.can_wait = true;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->host->fake);
    host_destroy(bench->host);
    free(bench);
    return 0;
}

static struct svan_cmd_create_key key_of(Bench *bench, uint64_t va,
                                         uint64_t length, uint64_t table,
                                         uint8_t levels)
{
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PINNED, .levels = levels, .page_shift = 12,
        .access = htole32(ALL), .pd = htole32(bench->host->pd),
        .va = htole64(va), .length = htole64(length), .table = htole64(table),
    };

    return key;
}

/* 0 and *mem, or the syndrome, MISSED, FAULTED (fn->memory->miss) */
static uint32_t access_as(Bench *bench, const SvanUser *user, uint32_t key,
                          uint64_t va, uint32_t len, uint8_t right,
                          SvanMem *mem)
{
    SvanAccess access = {
        .fn = bench->user.fn, .user = user, .key = key, .va = va, .len = len,
        .access = right,
    };
    uint32_t syndrome = 0, checked;
    SvanStep step = svan_access(&access, mem, &syndrome);
    SvanStep check = svan_check_access(&access, &checked);

    if (step == SVAN_STEP_MISS) {
        return MISSED;
    }
    if (step == SVAN_STEP_FAULT) {
        assert_int_equal(check, SVAN_STEP_DONE);
        return FAULTED;
    }
    if (step == SVAN_STEP_DONE) {
        assert_int_equal(check, SVAN_STEP_DONE);
        assert_ptr_equal(mem->host, fake_ram(bench->host->fake, mem->bus));
        assert_true(mem->len && mem->len <= len);
        assert_int_equal(mem->bus / 4096, (mem->bus + mem->len - 1) / 4096);
        return 0;
    }
    assert_int_equal(step, SVAN_STEP_ERROR);
    assert_int_not_equal(syndrome, 0);
    /* what the checks refuse the access refuses alike */
    assert_true(check == SVAN_STEP_DONE || checked == syndrome);
    return syndrome;
}

static uint32_t go(Bench *bench, uint32_t key, uint64_t va, uint32_t len,
                   uint8_t right, SvanMem *mem)
{
    return access_as(bench, &bench->user, key, va, len, right, mem);
}

static void bounds(void **state)
{
    Bench *bench = *state;
    uint32_t key = host_key_flat(bench->host, bench->pages + 100, 1000, ALL, 0);
    uint64_t va = bench->pages + 100;
    SvanMem mem;

    assert_int_equal(go(bench, key, va, 1000, 0, &mem), 0);
    assert_int_equal(mem.bus, va);
    assert_int_equal(mem.len, 1000);
    assert_int_equal(go(bench, key, va + 999, 1, 0, &mem), 0);
    assert_int_equal(go(bench, key, va, 1001, 0, &mem), SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, key, va - 1, 1, 0, &mem), SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, key, va + 1000, 1, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, key, va + 999, 2, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, key, va + 1, UINT32_MAX, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, key, 0, 1, 0, &mem), SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, key, UINT64_MAX, 1, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, key, UINT64_MAX, 2, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
}

/* Bounds hold for all of len, though the run ends with the page. */
static void a_run_ends_with_the_page(void **state)
{
    Bench *bench = *state;
    uint32_t key = host_key_flat(bench->host, bench->pages, 8 * 4096, ALL, 0);
    SvanMem mem;

    assert_int_equal(go(bench, key, bench->pages + 4000, 8192, 0, &mem), 0);
    assert_int_equal(mem.len, 96);
    assert_int_equal(go(bench, key, bench->pages + 4096, 28672, 0, &mem), 0);
    assert_int_equal(mem.len, 4096);
    assert_int_equal(go(bench, key, bench->pages + 4096, 28673, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
}

static void rights(void **state)
{
    static const uint8_t rights[] = {
        SVAN_ACCESS_LOCAL_WRITE, SVAN_ACCESS_REMOTE_WRITE,
        SVAN_ACCESS_REMOTE_READ, SVAN_ACCESS_REMOTE_ATOMIC,
    };
    Bench *bench = *state;
    SvanMem mem;

    for (size_t has = 0; has < SIZE(rights); has++) {
        uint32_t key = host_key_flat(bench->host, bench->pages, 4096,
                                     rights[has], 0);

        assert_int_equal(go(bench, key, bench->pages, 8, 0, &mem), 0);
        for (size_t wants = 0; wants < SIZE(rights); wants++) {
            assert_int_equal(go(bench, key, bench->pages, 8, rights[wants],
                                &mem),
                             has == wants ? 0 : SVAN_SYN_KEY_ACCESS);
        }
    }
}

static void whose_key(void **state)
{
    Bench *bench = *state;
    Host *host = bench->host;
    uint32_t internal = host_key_flat(host, bench->pages, 4096, ALL,
                                      SVAN_CMD_KEY_INTERNAL);
    uint32_t key = host_key_flat(host, bench->pages, 4096, ALL, 0);
    uint64_t va = bench->pages;
    SvanUser other = bench->user;
    SvanMem mem;

    other.pd = host_pd(host);
    assert_int_equal(access_as(bench, &other, key, va, 1, 0, &mem),
                     SVAN_SYN_KEY_PD);
    assert_int_equal(access_as(bench, NULL, key, va, 1, 0, &mem),
                     SVAN_SYN_KEY_INVALID);
    assert_int_equal(access_as(bench, NULL, internal, va, 1, WRITE, &mem), 0);
    assert_int_equal(go(bench, internal, va, 1, 0, &mem),
                     SVAN_SYN_KEY_INVALID);
    assert_int_equal(go(bench, key ^ 1, va, 1, 0, &mem), SVAN_SYN_KEY_INVALID);
    assert_int_equal(go(bench, key + 256, va, 1, 0, &mem),
                     SVAN_SYN_KEY_INVALID);
    assert_int_equal(go(bench, UINT32_MAX, va, 1, 0, &mem),
                     SVAN_SYN_KEY_INVALID);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, key),
                     SVAN_CMD_OK);
    assert_int_equal(go(bench, key, va, 1, 0, &mem), SVAN_SYN_KEY_INVALID);
}

static void local_dma(void **state)
{
    Bench *bench = *state;
    SvanMem mem;

    assert_int_equal(go(bench, SVAN_KEY_LOCAL_DMA, bench->pages, 1, 0, &mem),
                     SVAN_SYN_KEY_INVALID);
    assert_int_equal(access_as(bench, NULL, SVAN_KEY_LOCAL_DMA, bench->pages,
                               1, 0, &mem), SVAN_SYN_KEY_INVALID);
    bench->user.local_dma = true;
    assert_int_equal(go(bench, SVAN_KEY_LOCAL_DMA, bench->pages + 4090, 100,
                        WRITE, &mem), 0);
    assert_int_equal(mem.bus, bench->pages + 4090);
    assert_int_equal(mem.len, 6);
    assert_int_equal(go(bench, SVAN_KEY_LOCAL_DMA, bench->pages, 1,
                        SVAN_ACCESS_REMOTE_READ, &mem), SVAN_SYN_KEY_INVALID);
    assert_int_equal(go(bench, SVAN_KEY_LOCAL_DMA, bench->pages, 1,
                        SVAN_ACCESS_REMOTE_WRITE, &mem), SVAN_SYN_KEY_INVALID);
    assert_int_equal(go(bench, SVAN_KEY_LOCAL_DMA, UINT64_MAX, 2, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, SVAN_KEY_LOCAL_DMA, 0, 2, 0, &mem),
                     SVAN_SYN_DMA);
}

static void zero_based(void **state)
{
    Bench *bench = *state;
    struct svan_cmd_create_key cmd =
        key_of(bench, bench->pages + 100, 1000, bench->pages, 0);
    SvanMem mem;
    uint32_t key;

    cmd.access = htole32(ALL | SVAN_ACCESS_ZERO_BASED);
    key = host_key(bench->host, &cmd);
    assert_int_equal(go(bench, key, 0, 1000, 0, &mem), 0);
    assert_int_equal(mem.bus, bench->pages + 100);
    assert_int_equal(go(bench, key, 1000, 1, 0, &mem), SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, key, bench->pages + 100, 1, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
}

static void bus_addresses(void **state)
{
    Bench *bench = *state;
    struct svan_cmd_create_key cmd = key_of(bench, 0, UINT64_MAX, 0, 0);
    SvanMem mem;
    uint32_t key;

    cmd.kind = SVAN_KEY_PHYS;
    key = host_key(bench->host, &cmd);
    assert_int_equal(go(bench, key, bench->pages + 5, 10, WRITE, &mem), 0);
    assert_int_equal(mem.bus, bench->pages + 5);
    assert_int_equal(go(bench, key, 64, 10, 0, &mem), SVAN_SYN_DMA);
    assert_int_equal(host_fn(bench->host)->stats->dma_errors, 1);
}

/* Each level, at the first and the last page, with an offset in the first. */
static void tables_of_all_levels(void **state)
{
    static const uint32_t pages[] = { 7, 600, 600, 600 };
    Bench *bench = *state;
    SvanMem mem;

    for (uint32_t level = 1; level <= SVAN_MTT_MAX_LEVELS; level++) {
        uint32_t n = pages[level - 1];
        uint64_t bus = fake_alloc(bench->host->fake, n * 4096, 4096);
        uint64_t table = host_mtt(bench->host, bus, n, level, 12, true);
        struct svan_cmd_create_key cmd =
            key_of(bench, VA + 10, n * 4096 - 20, table, level);
        uint32_t key = host_key(bench->host, &cmd);

        for (uint32_t i = 0; i < 2 * n; i++) {
            uint32_t page = i % n;

            assert_int_equal(go(bench, key, VA + page * 4096 + 11, 4, WRITE,
                                &mem), 0);
            assert_int_equal(mem.bus, bus + page * 4096 + 11);
        }
        assert_int_equal(go(bench, key, VA + n * 4096 - 11, 1, 0, &mem), 0);
        assert_int_equal(go(bench, key, VA + n * 4096 - 10, 1, 0, &mem),
                         SVAN_SYN_KEY_BOUNDS);
        bench->host->fake->used -= n * 4096;
    }
}

static void large_pages(void **state)
{
    Bench *bench = *state;
    uint64_t bus = fake_alloc(bench->host->fake, 4 << 16, 1 << 16);
    uint64_t table = host_mtt(bench->host, bus, 4, 1, 16, true);
    uint64_t va = 0x100000000 + 0x1234;
    struct svan_cmd_create_key cmd =
        key_of(bench, va, (4 << 16) - 0x1234, table, 1);
    uint64_t misses;
    SvanMem mem;
    uint32_t key;

    cmd.page_shift = 16;
    key = host_key(bench->host, &cmd);
    misses = host_fn(bench->host)->stats->tlb_misses;
    for (uint64_t at = va; at < 0x100000000 + (4 << 16); at += 512) {
        assert_int_equal(go(bench, key, at, 1, 0, &mem), 0);
        assert_int_equal(mem.bus, bus + (at - 0x100000000));
    }
    assert_int_equal(host_fn(bench->host)->stats->tlb_misses, misses + 4);
}

static uint32_t key_over(Bench *bench, uint64_t *table, uint8_t levels)
{
    struct svan_cmd_create_key cmd;

    *table = host_mtt(bench->host, bench->pages, 8, levels, 12, true);
    cmd = key_of(bench, VA, 8 * 4096, *table, levels);
    return host_key(bench->host, &cmd);
}

static void malformed_leaves(void **state)
{
    static const uint64_t present = FAKE_RAM_BASE | SVAN_MTT_PRESENT;
    const uint64_t bad[] = {
        0, FAKE_RAM_BASE | SVAN_MTT_WRITABLE, svan_mtt_absent(7, 1000),
        present | 4, present | 0x800, present | 1ull << 52,
        present | 1ull << 63,
    };
    Bench *bench = *state;
    uint64_t table;
    uint32_t key = key_over(bench, &table, 1);
    uint64_t *entries = fake_ram(bench->host->fake, table);
    SvanMem mem;

    for (size_t i = 0; i < SIZE(bad); i++) {
        entries[3] = htole64(bad[i]);
        assert_int_equal(go(bench, key, VA + 3 * 4096, 1, 0, &mem),
                         SVAN_SYN_TABLE);
    }
    entries[3] = htole64(svan_mtt_present(bench->pages, 1));
    assert_int_equal(go(bench, key, VA + 3 * 4096, 1, 0, &mem), 0);
}

static void malformed_tables(void **state)
{
    Bench *bench = *state;
    uint64_t table;
    uint32_t key = key_over(bench, &table, 2);
    uint64_t *root = fake_ram(bench->host->fake, table);
    uint64_t good = root[0];
    SvanMem mem;

    root[0] = 0;
    assert_int_equal(go(bench, key, VA, 1, 0, &mem), SVAN_SYN_TABLE);
    root[0] = good | htole64(SVAN_MTT_WRITABLE);
    assert_int_equal(go(bench, key, VA, 1, 0, &mem), SVAN_SYN_TABLE);
    root[0] = htole64(svan_mtt_present(1ull << 40, 0));
    assert_int_equal(go(bench, key, VA, 1, 0, &mem), SVAN_SYN_TABLE);
    root[0] = good;
    assert_int_equal(go(bench, key, VA, 1, 0, &mem), 0);
}

static void misaligned_leaves(void **state)
{
    Bench *bench = *state;
    uint64_t bus = fake_alloc(bench->host->fake, 2 << 16, 1 << 16);
    uint64_t table = host_mtt(bench->host, bus, 1, 1, 16, true);
    struct svan_cmd_create_key cmd =
        key_of(bench, 0x10000, 1 << 16, table, 1);
    uint64_t *entries = fake_ram(bench->host->fake, table);
    SvanMem mem;
    uint32_t key;

    cmd.page_shift = 16;
    key = host_key(bench->host, &cmd);
    entries[0] += htole64(4096);
    assert_int_equal(go(bench, key, 0x10000, 1, 0, &mem), SVAN_SYN_TABLE);
    entries[0] -= htole64(4096);
    assert_int_equal(go(bench, key, 0x10000, 1, 0, &mem), 0);
}

static void read_only_leaves(void **state)
{
    Bench *bench = *state;
    uint64_t table = host_mtt(bench->host, bench->pages, 8, 1, 12, false);
    struct svan_cmd_create_key cmd = key_of(bench, VA, 8 * 4096, table, 1);
    uint32_t key = host_key(bench->host, &cmd);
    SvanMem mem;

    for (uint32_t i = 0; i < 2; i++) {          /* from the table, the TLB */
        assert_int_equal(go(bench, key, VA, 1, WRITE, &mem),
                         SVAN_SYN_KEY_ACCESS);
        assert_int_equal(go(bench, key, VA, 1, SVAN_ACCESS_REMOTE_WRITE, &mem),
                         SVAN_SYN_KEY_ACCESS);
        assert_int_equal(go(bench, key, VA, 1, SVAN_ACCESS_REMOTE_ATOMIC,
                            &mem), SVAN_SYN_KEY_ACCESS);
        assert_int_equal(go(bench, key, VA, 1, SVAN_ACCESS_REMOTE_READ, &mem),
                         0);
        assert_int_equal(go(bench, key, VA, 1, 0, &mem), 0);
    }
}

static void the_tlb_remembers_until_flushed(void **state)
{
    Bench *bench = *state;
    uint64_t table;
    uint32_t key = key_over(bench, &table, 1);
    uint64_t *entries = fake_ram(bench->host->fake, table);
    SvanFn *fn = host_fn(bench->host);
    uint64_t hits = fn->stats->tlb_hits, misses = fn->stats->tlb_misses;
    SvanMem mem;

    assert_int_equal(go(bench, key, VA, 1, 0, &mem), 0);
    entries[0] = htole64(svan_mtt_present(bench->pages + 4096, 1));
    assert_int_equal(go(bench, key, VA, 1, 0, &mem), 0);
    assert_int_equal(mem.bus, bench->pages);
    assert_int_equal(fn->stats->tlb_hits, hits + 1);
    assert_int_equal(fn->stats->tlb_misses, misses + 1);
    svan_tlb_flush_key(svan_key_get(fn, key));
    assert_int_equal(go(bench, key, VA, 1, 0, &mem), 0);
    assert_int_equal(mem.bus, bench->pages + 4096);
    entries[0] = htole64(svan_mtt_present(bench->pages, 1));
    svan_invalidate_bus(bench->host->fake->core, 0, 0, 0);
    assert_int_equal(go(bench, key, VA, 1, 0, &mem), 0);
    assert_int_equal(mem.bus, bench->pages);
}

/* An index used again never finds what its predecessor left in the TLB. */
static void a_new_key_does_not_inherit(void **state)
{
    Bench *bench = *state;
    Host *host = bench->host;
    uint64_t table;
    SvanMem mem;

    for (uint32_t i = 0; i < 2000; i++) {
        uint64_t bus = bench->pages + i % 8 * 4096;
        struct svan_cmd_create_key cmd;
        uint32_t key;

        host->fake->used = (bench->pages - FAKE_RAM_BASE) + 8 * 4096;
        table = host_mtt(host, bus, 1, 1, 12, true);
        cmd = key_of(bench, VA, 4096, table, 1);
        key = host_key(host, &cmd);
        assert_int_equal(go(bench, key, VA, 1, 0, &mem), 0);
        assert_int_equal(mem.bus, bus);
        assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, key),
                         SVAN_CMD_OK);
    }
}

/* More pages than the TLB has entries, in an order that collides. */
static void collisions(void **state)
{
    Bench *bench = *state;
    uint64_t table = fake_alloc(bench->host->fake, 4096, 4096);
    uint64_t root = fake_alloc(bench->host->fake, 4096, 4096);
    struct svan_cmd_create_key cmd = key_of(bench, 0, 1ull << 30, root, 2);
    uint64_t *upper = fake_ram(bench->host->fake, root);
    uint64_t *lower = fake_ram(bench->host->fake, table);
    uint32_t seed = 7;
    SvanMem mem;
    uint32_t key;

    for (uint32_t i = 0; i < 512; i++) {
        upper[i] = htole64(svan_mtt_present(table, 0));
        lower[i] = htole64(svan_mtt_present(bench->pages + i % 8 * 4096, 1));
    }
    key = host_key(bench->host, &cmd);
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t page;

        seed = seed * 1664525 + 1013904223;
        page = (seed >> 8) % (1 << 18);
        assert_int_equal(go(bench, key, (uint64_t)page << 12, 1, 0, &mem), 0);
        assert_int_equal(mem.bus, bench->pages + page % 512 % 8 * 4096);
    }
    assert_true(host_fn(bench->host)->stats->tlb_misses > 10000);
}

static void a_miss_at_each_level(void **state)
{
    Bench *bench = *state;
    uint64_t table;
    uint32_t key = key_over(bench, &table, 4);
    Fake *fake = bench->host->fake;
    SvanMem mem;

    for (uint32_t i = 1; i <= 5; i++) {
        svan_tlb_flush(host_fn(bench->host));
        fake->miss_at = fake->maps + i;
        assert_int_equal(go(bench, key, VA + 4096, 8, 0, &mem), MISSED);
        assert_int_equal(go(bench, key, VA + 4096, 8, 0, &mem), 0);
        assert_int_equal(mem.bus, bench->pages + 4096);
    }
}

/* ---- on-demand keys ---- */

static uint32_t ondemand(Bench *bench, uint64_t *table, uint8_t levels,
                         bool writable)
{
    struct svan_cmd_create_key cmd;

    *table = host_mtt(bench->host, bench->pages, 8, levels, 12, writable);
    cmd = key_of(bench, VA, 8 * 4096, *table, levels);
    cmd.kind = SVAN_KEY_ONDEMAND;
    return host_key(bench->host, &cmd);
}

/* The table above the leaf's, or the leaf's, of the first pages. */
static uint64_t *table_at(Bench *bench, uint64_t root, uint32_t down)
{
    uint64_t *entries = fake_ram(bench->host->fake, root);

    while (down--) {
        entries = fake_ram(bench->host->fake,
                           le64toh(entries[0]) & SVAN_MTT_ADDR_MASK);
    }
    return entries;
}

static void absent_at_each_level(void **state)
{
    Bench *bench = *state;
    SvanFn *fn = bench->user.fn;
    const SvanPageMiss *absent = &fn->memory->miss;
    uint64_t table;
    uint32_t key = ondemand(bench, &table, 4, true);
    SvanMem mem;

    for (uint32_t level = 4; level; level--) {
        uint64_t *entry = table_at(bench, table, 4 - level);
        uint64_t good = *entry;

        *entry = 0;
        memset(&fn->memory->miss, 0xff, sizeof(fn->memory->miss));
        assert_int_equal(go(bench, key, VA + 5, 7000, WRITE, &mem), FAULTED);
        assert_ptr_equal(absent->key, svan_key_get(fn, key));
        assert_int_equal(absent->va, VA + 5);
        assert_int_equal(absent->len, 7000);
        assert_int_equal(absent->entry, 0);
        assert_int_equal(absent->level, level);
        assert_int_equal(absent->fault_class, SVAN_FAULT_UNKNOWN);
        assert_int_equal(absent->time_ns, 0);
        assert_int_equal(absent->source, 0);
        assert_true(absent->write);
        assert_false(absent->is_protected);
        /* nothing was cached */
        *entry = good;
        assert_int_equal(go(bench, key, VA + 5, 7000, WRITE, &mem), 0);
        assert_int_equal(mem.bus, bench->pages + 5);
        svan_tlb_flush(fn);
    }
    assert_int_equal(bench->host->fake->traces[SVAN_TRACE_ACCESS_ERROR], 0);
}

static void what_absent_entries_estimate(void **state)
{
    const struct {
        uint64_t entry;
        uint8_t fault_class, source;
        uint64_t time;
    } rows[] = {
        { svan_mtt_absent(SVAN_FAULT_SWAP_IN, 12345), SVAN_FAULT_SWAP_IN,
          SVAN_ESTIMATE_ENTRY, 12345 },
        { svan_mtt_absent(SVAN_FAULT_ZERO_FILL, 0), SVAN_FAULT_ZERO_FILL,
          SVAN_ESTIMATE_ENTRY, 0 },
        { svan_mtt_absent(0, 1), 0, SVAN_ESTIMATE_ENTRY, 1 },
        { svan_mtt_absent(SVAN_FAULT_CLASS_COUNT, 7), 0, SVAN_ESTIMATE_ENTRY,
          7 },
        { svan_mtt_absent(127, 0), 0, 0, 0 },
        { svan_mtt_absent(0, UINT64_MAX), 0, SVAN_ESTIMATE_ENTRY,
          0xffffffffffff },
        { 0xff00, 0, 0, 0 },            /* bits that say nothing */
    };
    Bench *bench = *state;
    const SvanPageMiss *absent = &bench->user.fn->memory->miss;
    uint64_t table;
    uint32_t key = ondemand(bench, &table, 2, true);
    SvanMem mem;

    for (size_t i = 0; i < 2 * SIZE(rows); i++) {
        size_t row = i / 2;
        uint64_t *entries = table_at(bench, table, i % 2);
        uint64_t good = entries[0];

        entries[0] = htole64(rows[row].entry);
        assert_int_equal(go(bench, key, VA, 1, 0, &mem), FAULTED);
        assert_int_equal(absent->entry, rows[row].entry);
        assert_int_equal(absent->fault_class, rows[row].fault_class);
        assert_int_equal(absent->time_ns, rows[row].time);
        assert_int_equal(absent->source, rows[row].source);
        assert_false(absent->write);
        entries[0] = good;
    }
}

static void only_what_is_absent_faults(void **state)
{
    static const uint64_t present = FAKE_RAM_BASE | SVAN_MTT_PRESENT;
    const uint64_t bad[] = { present | 4, present | 0x800, present | 1ull << 63 };
    Bench *bench = *state;
    uint64_t table;
    uint32_t key = ondemand(bench, &table, 2, true);
    uint64_t *root = table_at(bench, table, 0);
    uint64_t *leaves = table_at(bench, table, 1);
    uint64_t good = root[0];
    SvanMem mem;

    for (size_t i = 0; i < SIZE(bad); i++) {
        leaves[3] = htole64(bad[i]);
        assert_int_equal(go(bench, key, VA + 3 * 4096, 1, 0, &mem),
                         SVAN_SYN_TABLE);
    }
    leaves[3] = htole64(svan_mtt_present(1ull << 40, 1));
    assert_int_equal(go(bench, key, VA + 3 * 4096, 1, 0, &mem), SVAN_SYN_DMA);
    root[0] = good | htole64(SVAN_MTT_WRITABLE);
    assert_int_equal(go(bench, key, VA, 1, 0, &mem), SVAN_SYN_TABLE);
    root[0] = htole64(svan_mtt_present(1ull << 40, 0));
    assert_int_equal(go(bench, key, VA, 1, 0, &mem), SVAN_SYN_TABLE);
}

/* The run ends where the absent page begins. */
static void an_absent_page_in_the_middle(void **state)
{
    Bench *bench = *state;
    uint64_t table;
    uint32_t key = ondemand(bench, &table, 1, true);
    SvanMem mem;

    table_at(bench, table, 0)[1] = 0;
    assert_int_equal(go(bench, key, VA + 4000, 5000, 0, &mem), 0);
    assert_int_equal(mem.len, 96);
    assert_int_equal(go(bench, key, VA + 4096, 4904, 0, &mem), FAULTED);
    assert_int_equal(bench->user.fn->memory->miss.va, VA + 4096);
    assert_int_equal(bench->user.fn->memory->miss.len, 4904);
    assert_int_equal(go(bench, key, VA + 8192, 8, 0, &mem), 0);
}

/* Rights that grow are not told to the TLB: it is walked before a fault. */
static void a_write_to_a_read_only_leaf(void **state)
{
    Bench *bench = *state;
    const SvanPageMiss *absent = &bench->user.fn->memory->miss;
    uint64_t table;
    uint32_t key = ondemand(bench, &table, 2, false);
    uint64_t *leaves = table_at(bench, table, 1);
    SvanMem mem;

    assert_int_equal(go(bench, key, VA, 8, 0, &mem), 0);
    assert_int_equal(go(bench, key, VA, 8, SVAN_ACCESS_REMOTE_WRITE, &mem),
                     FAULTED);
    assert_true(absent->is_protected);
    assert_true(absent->write);
    assert_int_equal(absent->level, 1);
    assert_int_equal(absent->entry, le64toh(leaves[0]));
    assert_int_equal(absent->source, 0);
    assert_int_equal(go(bench, key, VA + 4096, 8, WRITE, &mem), FAULTED);
    assert_true(absent->is_protected);
    leaves[0] |= htole64(SVAN_MTT_WRITABLE);
    assert_int_equal(go(bench, key, VA, 8, WRITE, &mem), 0);
    leaves[0] = 0;                      /* and now it is known to be writable */
    assert_int_equal(go(bench, key, VA, 8, WRITE, &mem), 0);
    assert_int_equal(go(bench, key, VA, 8, 0, &mem), 0);
}

static void a_right_that_the_key_lacks(void **state)
{
    Bench *bench = *state;
    uint64_t table = fake_alloc(bench->host->fake, 4096, 4096);
    struct svan_cmd_create_key cmd = key_of(bench, VA, 4096, table, 1);
    SvanUser other = bench->user;
    SvanMem mem;
    uint32_t key;

    cmd.kind = SVAN_KEY_ONDEMAND;
    cmd.access = htole32(SVAN_ACCESS_REMOTE_READ);
    key = host_key(bench->host, &cmd);
    assert_int_equal(go(bench, key, VA, 8, WRITE, &mem), SVAN_SYN_KEY_ACCESS);
    assert_int_equal(go(bench, key, VA, 4097, 0, &mem), SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(go(bench, key, VA, 8, SVAN_ACCESS_REMOTE_READ, &mem),
                     FAULTED);
    other.can_wait = false;
    assert_int_equal(access_as(bench, &other, key, VA, 8, 0, &mem),
                     SVAN_SYN_KEY_INVALID);
}

static void large_ondemand_pages(void **state)
{
    Bench *bench = *state;
    uint64_t bus = fake_alloc(bench->host->fake, 2 << 16, 1 << 16);
    uint64_t table = host_mtt(bench->host, bus, 2, 1, 16, true);
    struct svan_cmd_create_key cmd =
        key_of(bench, 0x10000, 2 << 16, table, 1);
    uint64_t *entries = fake_ram(bench->host->fake, table);
    SvanMem mem;
    uint32_t key;

    cmd.kind = SVAN_KEY_ONDEMAND;
    cmd.page_shift = 16;
    key = host_key(bench->host, &cmd);
    entries[1] = htole64(svan_mtt_absent(SVAN_FAULT_HUGE_PAGE, 5));
    assert_int_equal(go(bench, key, 0x1f123, 8192, WRITE, &mem), 0);
    assert_int_equal(mem.bus, bus + 0xf123);
    assert_int_equal(go(bench, key, 0x20000, 8, WRITE, &mem), FAULTED);
    assert_int_equal(bench->user.fn->memory->miss.fault_class, SVAN_FAULT_HUGE_PAGE);
    entries[1] = htole64(svan_mtt_present(bus + 4096, 1));
    assert_int_equal(go(bench, key, 0x20000, 8, WRITE, &mem), SVAN_SYN_TABLE);
}

/* The table's own addresses are told, not those of the key's users. */
static void a_zero_based_ondemand_key(void **state)
{
    Bench *bench = *state;
    uint64_t table = fake_alloc(bench->host->fake, 4096, 4096);
    struct svan_cmd_create_key cmd = key_of(bench, VA + 100, 8192, table, 1);
    SvanMem mem;
    uint32_t key;

    cmd.kind = SVAN_KEY_ONDEMAND;
    cmd.access = htole32(ALL | SVAN_ACCESS_ZERO_BASED);
    key = host_key(bench->host, &cmd);
    assert_int_equal(go(bench, key, 50, 8, WRITE, &mem), FAULTED);
    assert_int_equal(bench->user.fn->memory->miss.va, VA + 150);
}

static void errors_are_traced(void **state)
{
    Bench *bench = *state;
    Fake *fake = bench->host->fake;
    SvanMem mem;

    go(bench, 0x12345600, 77, 3, 0, &mem);
    assert_true(fake->traces[SVAN_TRACE_ACCESS_ERROR] > 0);
    assert_int_equal(fake->last[SVAN_TRACE_ACCESS_ERROR].id, 0x12345600);
    assert_int_equal(fake->last[SVAN_TRACE_ACCESS_ERROR].a, 77);
    assert_int_equal(fake->last[SVAN_TRACE_ACCESS_ERROR].c,
                     SVAN_SYN_KEY_INVALID);
}

static void an_empty_check(void **state)
{
    Bench *bench = *state;
    uint32_t key = host_key_flat(bench->host, bench->pages, 4096, 0, 0);
    SvanAccess access = {
        .fn = bench->user.fn, .user = &bench->user, .key = key,
        .va = bench->pages + 4096,
    };
    uint32_t syndrome;

    assert_int_equal(svan_check_access(&access, &syndrome), SVAN_STEP_DONE);
    access.va++;
    assert_int_equal(svan_check_access(&access, &syndrome), SVAN_STEP_ERROR);
    assert_int_equal(syndrome, SVAN_SYN_KEY_BOUNDS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(bounds),
        TEST(a_run_ends_with_the_page),
        TEST(rights),
        TEST(whose_key),
        TEST(local_dma),
        TEST(zero_based),
        TEST(bus_addresses),
        TEST(tables_of_all_levels),
        TEST(large_pages),
        TEST(malformed_leaves),
        TEST(malformed_tables),
        TEST(misaligned_leaves),
        TEST(read_only_leaves),
        TEST(the_tlb_remembers_until_flushed),
        TEST(a_new_key_does_not_inherit),
        TEST(collisions),
        TEST(a_miss_at_each_level),
        TEST(absent_at_each_level),
        TEST(what_absent_entries_estimate),
        TEST(only_what_is_absent_faults),
        TEST(an_absent_page_in_the_middle),
        TEST(a_write_to_a_read_only_leaf),
        TEST(a_right_that_the_key_lacks),
        TEST(large_ondemand_pages),
        TEST(a_zero_based_ondemand_key),
        TEST(errors_are_traced),
        TEST(an_empty_check),
    };

    return cmocka_run_group_tests_name("translate", tests, NULL, NULL);
}
