/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks of a process's page table: what is found, refused, absent, and what is
 * left in the entries.
 */
#include "process.h"

Trap trap;

/* ---- what is found ---- */

static void pages_of_both_formats(void **state)
{
    Process *p = *state;
    SvanMem mem;

    for (uint8_t levels = 4; levels <= 5; levels++) {
        uint64_t va;

        process_begin(p, levels);
        va = va_of(p);
        for (uint32_t i = 0; i < 8; i++) {
            map_leaf(p, va + i * 4096, 1, (p->pages + i * 4096) | P_RW);
        }
        for (uint32_t n = 0; n < 16; n++) {     /* walked, then from the TLB */
            uint32_t i = n % 8;

            assert_int_equal(touch(p, va + i * 4096 + 17, 4000, WRITE, &mem),
                             0);
            assert_int_equal(mem.bus, p->pages + i * 4096 + 17);
            assert_ptr_equal(mem.host, fake_ram(p->fake, mem.bus));
            assert_int_equal(mem.len, 4000);
        }
        assert_int_equal(tap(p, va + 8 * 4096, 0), FAULTED);
        assert_int_equal(touch(p, va + 4000, 200, 0, &mem), 0);
        assert_int_equal(mem.len, 96);
    }
    assert_int_equal(p->fn->stats->context_walks, 18);
}

/* The first and the last page of user space. */
static void the_ends_of_user_space(void **state)
{
    Process *p = *state;
    SvanMem mem;

    for (uint8_t levels = 4; levels <= 5; levels++) {
        uint64_t end = levels == 5 ? 1ull << 56 : 1ull << 47;

        process_begin(p, levels);
        map_leaf(p, 0, 1, p->pages | P_RW);
        map_leaf(p, end - 4096, 1, (p->pages + 4096) | P_RW);
        assert_int_equal(touch(p, 0, 4096, WRITE, &mem), 0);
        assert_int_equal(mem.bus, p->pages);
        assert_int_equal(touch(p, end - 4096, 4096, WRITE, &mem), 0);
        assert_int_equal(mem.bus, p->pages + 4096);
    }
}

static void large_leaves(void **state)
{
    static const uint64_t offsets[] = { 0, 1, 4095, 4096, 0x1ff123, 0x1ff000 };
    Process *p = *state;
    SvanMem mem;

    for (uint8_t n = 0; n < 4; n++) {
        uint32_t level = 2 + n % 2;
        uint64_t size = level == 2 ? 1ull << 21 : 1ull << 30, va;
        uint64_t bus = FAKE_RAM_BASE + (level == 2 ? 2 << 20 : 0);

        process_begin(p, 4 + n / 2);
        va = va_of(p) & ~(size - 1);
        map_leaf(p, va, level, bus | P_RW | SVAN_PTE_LARGE);
        for (size_t i = 0; i < SIZE(offsets); i++) {
            assert_int_equal(touch(p, va + offsets[i], 1, WRITE, &mem), 0);
            assert_int_equal(mem.bus, bus + offsets[i]);
        }
        if (level == 3) {
            assert_int_equal(tap(p, va + (8 << 20), 0), SVAN_SYN_DMA);
            assert_int_equal(touch(p, va + (6 << 20) + 5, 9, 0, &mem), 0);
            assert_int_equal(mem.bus, bus + (6 << 20) + 5);
        }
    }
}

/* What CPUs do not look at: software's bits, protection keys, NX, PAT, global. */
static void bits_that_are_ignored(void **state)
{
    static const uint64_t ignored = 0xfffull << 52 | 0xf18;
    Process *p = *state;
    uint64_t va = va_of(p);
    SvanMem mem;

    map_leaf(p, va, 1, p->pages | P_RW | ignored | SVAN_PTE_LARGE);
    for (uint32_t level = 2; level <= 4; level++) {
        *pte(p, va, level) |= htole64(ignored);
    }
    assert_int_equal(touch(p, va + 5, 1, WRITE, &mem), 0);
    assert_int_equal(mem.bus, p->pages + 5);
    for (uint32_t level = 2; level <= 3; level++) {
        process_begin(p, 4);
        map_leaf(p, va, level, FAKE_RAM_BASE | P_RW | ignored | SVAN_PTE_LARGE |
                               0x1000);
        va &= ~((1ull << 30) - 1);
        map_leaf(p, va, level, FAKE_RAM_BASE | P_RW | ignored | SVAN_PTE_LARGE |
                               0x1000);
        assert_int_equal(touch(p, va + 5, 1, WRITE, &mem), 0);
        assert_int_equal(mem.bus, FAKE_RAM_BASE + 5);
    }
}

/* ---- rights ---- */

static uint32_t expected(uint32_t level_bits[6], uint32_t leaf,
                         uint32_t levels, bool write)
{
    bool writable = true;

    for (uint32_t level = levels; level >= leaf; level--) {
        if (!(level_bits[level] & SVAN_PTE_PRESENT)) {
            return FAULTED;
        }
        if (!(level_bits[level] & SVAN_PTE_USER)) {
            return SVAN_SYN_ADDRESS;
        }
        writable &= !!(level_bits[level] & SVAN_PTE_WRITABLE);
    }
    return write && !writable ? FAULTED : 0;
}

/* All of PRESENT, WRITABLE and USER at one level, and at two of them. */
static void rights_of_every_level(void **state)
{
    Process *p = *state;
    const SvanPageMiss *absent = &p->fn->memory->miss;
    uint32_t count = 0;

    for (uint32_t n = 0; n < 2 * 4 * 4 * 64 * 2; n++) {
        uint32_t levels = 4 + n % 2, first = levels - n / 2 % 4;
        uint32_t second = 1 + n / 8 % 4, bits[6] = { 0 };
        bool write = n / 2048;
        uint64_t va, tables;

        p->fake->used = p->pages - FAKE_RAM_BASE + 8 * 4096;
        process_begin(p, levels);
        va = va_of(p);
        map_leaf(p, va, 1, p->pages | P_RW);
        for (uint32_t level = 1; level <= levels; level++) {
            bits[level] = P_RW;
        }
        bits[first] = n / 32 % 8;
        bits[second] &= n / 256 % 8;
        for (uint32_t level = 1; level <= levels; level++) {
            tables = le64toh(*pte(p, va, level));
            *pte(p, va, level) = htole64((tables & ~7ull) | bits[level]);
        }
        assert_int_equal(tap(p, va, write ? REMOTE_WRITE : REMOTE_READ),
                         expected(bits, 1, levels, write));
        if (expected(bits, 1, levels, write) == FAULTED) {
            assert_int_equal(absent->write, write);
            assert_int_equal(absent->is_protected,
                             !!(absent->entry & SVAN_PTE_PRESENT));
            count++;
        }
    }
    assert_true(count > 1000);
}

static void a_write_that_is_protected(void **state)
{
    Process *p = *state;
    const SvanPageMiss *absent = &p->fn->memory->miss;
    uint64_t va = va_of(p);
    uint64_t *leaf = map_leaf(p, va, 1, p->pages | P_USER);

    assert_int_equal(tap(p, va + 24, WRITE), FAULTED);
    assert_true(absent->is_protected);
    assert_int_equal(absent->level, 1);
    assert_int_equal(absent->entry, p->pages | P_USER);
    assert_int_equal(absent->source, 0);
    assert_int_equal(*leaf, htole64(p->pages | P_USER));
    /* known from a read: walked again all the same */
    assert_int_equal(tap(p, va, 0), 0);
    assert_int_equal(tap(p, va, WRITE), FAULTED);
    assert_true(absent->is_protected);
    *leaf |= htole64(SVAN_PTE_WRITABLE);
    assert_int_equal(tap(p, va, WRITE), 0);
}

static void a_large_leaf_that_is_protected(void **state)
{
    Process *p = *state;
    uint64_t va = va_of(p) & ~0x1fffffull;

    map_leaf(p, va, 2, (FAKE_RAM_BASE + (2 << 20)) | P_USER | SVAN_PTE_LARGE);
    assert_int_equal(tap(p, va + 0x5123, WRITE), FAULTED);
    assert_true(p->fn->memory->miss.is_protected);
    assert_int_equal(p->fn->memory->miss.level, 2);
    assert_int_equal(tap(p, va + 0x5123, 0), 0);
}

/* The key's own rights, and whose it is, come before any walk. */
static void whose_key(void **state)
{
    Process *p = *state;
    struct svan_cmd_create_key cmd = process_key(p);
    uint64_t walks = p->fn->stats->context_walks;
    uint64_t va = va_of(p);
    SvanUser other = p->user;
    SvanMem mem;
    uint32_t key;

    map_leaf(p, va, 1, p->pages | P_RW);
    other.owner = OWNER + 1;
    assert_int_equal(touch_as(&other, p->key, va, 8, 0, &mem),
                     SVAN_SYN_KEY_OWNER);
    assert_int_equal(touch_as(&other, p->key, va, 8, REMOTE_WRITE, &mem),
                     SVAN_SYN_KEY_OWNER);
    other.pd = host_pd(p->host);
    assert_int_equal(touch_as(&other, p->key, va, 8, 0, &mem),
                     SVAN_SYN_KEY_PD);
    other = p->user;
    other.can_wait = false;
    assert_int_equal(touch_as(&other, p->key, va, 8, 0, &mem),
                     SVAN_SYN_KEY_INVALID);
    cmd.access = htole32(REMOTE_READ);
    cmd.va = htole64(va);
    cmd.length = htole64(100);
    key = host_key(p->host, &cmd);
    assert_int_equal(touch_as(&p->user, key, va, 8, WRITE, &mem),
                     SVAN_SYN_KEY_ACCESS);
    assert_int_equal(touch_as(&p->user, key, va, 101, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(touch_as(&p->user, key, va - 1, 1, 0, &mem),
                     SVAN_SYN_KEY_BOUNDS);
    assert_int_equal(p->fn->stats->context_walks, walks);
    assert_int_equal(touch_as(&p->user, key, va, 100, REMOTE_READ, &mem), 0);
}

static void outside_user_space(void **state)
{
    Process *p = *state;
    SvanMem mem;

    for (uint8_t levels = 4; levels <= 5; levels++) {
        uint64_t end = levels == 5 ? 1ull << 56 : 1ull << 47;
        uint32_t beyond = levels == 5 ? SVAN_SYN_KEY_BOUNDS : SVAN_SYN_ADDRESS;

        process_begin(p, levels);
        map_leaf(p, end - 4096, 1, p->pages | P_RW);
        /* walked, then with the page in the TLB */
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(touch(p, end - 8, 9, 0, &mem), beyond);
            assert_int_equal(touch(p, end, 1, 0, &mem), beyond);
            assert_int_equal(touch(p, end - 4096, 4097, 0, &mem), beyond);
            assert_int_equal(touch(p, end - 8, 8, 0, &mem), 0);
        }
        assert_int_equal(touch(p, 1ull << 63, 1, 0, &mem),
                         SVAN_SYN_KEY_BOUNDS);
        assert_int_equal(touch(p, UINT64_MAX, 1, 0, &mem),
                         SVAN_SYN_KEY_BOUNDS);
    }
    process_begin(p, 4);
    page_table_to_context(&p->pt, p->context);
    map_leaf(p, 1ull << 47, 1, p->pages | P_RW);
    assert_int_equal(tap(p, 1ull << 47, 0), SVAN_SYN_ADDRESS);
    assert_int_equal(tap(p, 0xffff800000000000ull & ((1ull << 56) - 1), 0),
                     SVAN_SYN_ADDRESS);
}

/* ---- accessed and dirty ---- */

static void accessed_and_dirty(void **state)
{
    Process *p = *state;
    uint64_t written;

    for (uint32_t n = 0; n < 2 * 3; n++) {
        uint32_t levels = 4 + n % 2, leaf = 1 + n / 2;
        uint64_t large = leaf > 1 ? SVAN_PTE_LARGE : 0, va;
        uint64_t bus = leaf == 1 ? p->pages : FAKE_RAM_BASE;

        process_begin(p, levels);
        va = va_of(p) & ~((1ull << 30) - 1);
        map_leaf(p, va, leaf, bus | P_RW | large);
        assert_int_equal(tap(p, va, 0), 0);
        assert_int_equal(*pte(p, va, leaf), htole64(bus | P_RW | large | P_A));
        for (uint32_t level = leaf + 1; level <= levels; level++) {
            assert_int_equal(le64toh(*pte(p, va, level)) & 0xfff, P_RW | P_A);
        }
        written = p->fake->written;
        assert_int_equal(tap(p, va, WRITE), 0);
        assert_int_equal(p->fake->written, written + 8);
        assert_int_equal(*pte(p, va, leaf),
                         htole64(bus | P_RW | large | P_A | P_D));
        for (uint32_t level = leaf + 1; level <= levels; level++) {
            assert_int_equal(le64toh(*pte(p, va, level)) & 0xfff, P_RW | P_A);
        }
    }
}

/* Each store to a page table is reported. */
static void marks_are_reported(void **state)
{
    Process *p = *state;
    uint64_t va = va_of(p), written;

    map_leaf(p, va, 1, p->pages | P_RW);
    written = p->fake->written;
    assert_int_equal(tap(p, va, WRITE), 0);
    assert_int_equal(p->fake->written, written + 4 * 8 + 4);
    invalidate_all(p);
    written = p->fake->written;
    assert_int_equal(tap(p, va, WRITE), 0);
    assert_int_equal(p->fake->written, written + 4);    /* cached alone */
}

/* What failed leaves no mark in the entry that it failed at. */
static void no_marks_for_nothing(void **state)
{
    Process *p = *state;
    uint64_t va = va_of(p);
    uint64_t *leaf = map_leaf(p, va, 1, p->pages | P_USER);

    assert_int_equal(tap(p, va, WRITE), FAULTED);
    assert_int_equal(*leaf, htole64(p->pages | P_USER));
    *leaf = htole64(p->pages | SVAN_PTE_PRESENT);
    assert_int_equal(tap(p, va, 0), SVAN_SYN_ADDRESS);
    assert_int_equal(*leaf, htole64(p->pages | SVAN_PTE_PRESENT));
    *leaf = htole64(0x123456 << 9 & ~1ull);
    assert_int_equal(tap(p, va, 0), FAULTED);
    assert_int_equal(*leaf, htole64(0x123456 << 9 & ~1ull));
    *pte(p, va, 2) = htole64(le64toh(*pte(p, va, 2)) & ~SVAN_PTE_WRITABLE);
    *leaf = htole64(p->pages | P_RW);
    assert_int_equal(tap(p, va, WRITE), FAULTED);
    assert_int_equal(*leaf, htole64(p->pages | P_RW));
}

/* A leaf that was loaded clean is walked for the first write, not for others. */
static void clean_and_dirty_in_the_tlb(void **state)
{
    Process *p = *state;
    uint64_t va = va_of(p), walks;
    uint64_t *leaf = map_leaf(p, va, 1, p->pages | P_RW);

    assert_int_equal(tap(p, va, 0), 0);
    walks = p->fn->stats->context_walks;
    assert_int_equal(tap(p, va, 0), 0);
    assert_int_equal(p->fn->stats->context_walks, walks);
    assert_int_equal(tap(p, va, WRITE), 0);
    assert_int_equal(p->fn->stats->context_walks, walks + 1);
    assert_true(le64toh(*leaf) & P_D);
    assert_int_equal(tap(p, va, WRITE), 0);
    assert_int_equal(tap(p, va, 0), 0);
    assert_int_equal(p->fn->stats->context_walks, walks + 1);
    /* dirty before: a read's walk is enough for writes */
    invalidate_all(p);
    assert_int_equal(tap(p, va, 0), 0);
    assert_int_equal(tap(p, va, WRITE), 0);
    assert_int_equal(p->fn->stats->context_walks, walks + 2);
    /* dirty, but not writable: a page of a shadow stack, or shared */
    *leaf = htole64(p->pages | P_USER | P_A | P_D);
    invalidate_all(p);
    assert_int_equal(tap(p, va, 0), 0);
    assert_int_equal(tap(p, va, WRITE), FAULTED);
}

/* ---- absent pages ---- */

static void absent_at_every_level(void **state)
{
    Process *p = *state;
    const SvanPageMiss *absent = &p->fn->memory->miss;

    for (uint32_t n = 0; n < 9; n++) {
        uint32_t levels = n < 4 ? 4 : 5, level = n < 4 ? 1 + n : n - 3;
        uint64_t va, *entry;

        process_begin(p, levels);
        va = va_of(p);
        map_leaf(p, va, 1, p->pages | P_RW);
        entry = pte(p, va, level);
        *entry = 0;
        memset(&p->fn->memory->miss, 0xff, sizeof(p->fn->memory->miss));
        assert_int_equal(tap(p, va + 7, WRITE), FAULTED);
        assert_int_equal(absent->level, level);
        assert_int_equal(absent->entry, 0);
        assert_int_equal(absent->fault_class, SVAN_FAULT_UNKNOWN);
        assert_int_equal(absent->time_ns, 0);
        assert_int_equal(absent->source, 0);
        assert_true(absent->write);
        assert_false(absent->is_protected);
        /* never cached: it is seen as soon as it comes */
        map_leaf(p, va, 1, p->pages | P_RW);
        assert_int_equal(tap(p, va + 7, WRITE), 0);
    }
    assert_int_equal(p->fake->traces[SVAN_TRACE_ACCESS_ERROR], 0);
}

static uint64_t locations(Process *p, uint32_t entries)
{
    uint64_t table = fake_alloc(p->fake, 4096, 4096);
    uint64_t *words = fake_ram(p->fake, table);

    for (uint32_t i = 0; i < SVAN_LOCATION_COUNT; i++) {
        words[i] = htole64(svan_mtt_absent(1 + i % 8, 1000 + i));
    }
    p->context->location_table = htole64(table);
    p->context->location_entries = htole32(entries);
    return table;
}

/* Every place that an entry can name, with as many as the table has of them. */
static void where_the_page_is(void **state)
{
    Process *p = *state;
    const SvanPageMiss *absent = &p->fn->memory->miss;
    uint64_t va = va_of(p);

    for (uint32_t n = 0; n < 3 * SVAN_LOCATION_COUNT; n++) {
        uint32_t at = n / 3, count = at + n % 3;        /* at: just not in it */
        uint64_t entry = at == SVAN_LOCATION_NONE ? 0 :
            at == SVAN_LOCATION_PROTNONE ? 0x8000000123456100 | P_RW :
            (uint64_t)(at - SVAN_LOCATION_SWAP) << 59 | 0x00abcdef00000202;

        map_leaf(p, va, 1, entry & ~SVAN_PTE_PRESENT);
        locations(p, count);
        assert_int_equal(tap(p, va, 0), FAULTED);
        assert_int_equal(absent->entry, entry & ~SVAN_PTE_PRESENT);
        assert_int_equal(absent->source,
                         at < count ? SVAN_ESTIMATE_LOCATION : 0);
        assert_int_equal(absent->fault_class, at < count ? 1 + at % 8 : 0);
        assert_int_equal(absent->time_ns, at < count ? 1000 + at : 0);
        p->fake->used -= 4096;
    }
}

/* In upper tables: nothing yet, or a huge page that was swapped. */
static void where_a_huge_page_is(void **state)
{
    Process *p = *state;
    const SvanPageMiss *absent = &p->fn->memory->miss;
    uint64_t va = va_of(p);

    locations(p, SVAN_LOCATION_COUNT);
    map_leaf(p, va, 3, 0);
    assert_int_equal(tap(p, va, 0), FAULTED);
    assert_int_equal(absent->level, 3);
    assert_int_equal(absent->time_ns, 1000 + SVAN_LOCATION_NONE);
    map_leaf(p, va, 2, 7ull << 59 | 0x1234000);
    *pte(p, va, 3) |= htole64(P_RW);
    assert_int_equal(tap(p, va, 0), FAULTED);
    assert_int_equal(absent->level, 2);
    assert_int_equal(absent->time_ns, 1000 + SVAN_LOCATION_SWAP + 7);
}

/* An estimate is no more than that: without it the page is absent all the same. */
static void locations_that_say_nothing(void **state)
{
    Process *p = *state;
    const SvanPageMiss *absent = &p->fn->memory->miss;
    uint64_t table = locations(p, SVAN_LOCATION_COUNT);
    uint64_t *words = fake_ram(p->fake, table), va = va_of(p);
    const uint64_t silent[] = {
        0, SVAN_MTT_PRESENT | svan_mtt_absent(3, 99), svan_mtt_absent(120, 0),
        0xff00,
    };

    for (size_t i = 0; i < SIZE(silent); i++) {
        words[0] = htole64(silent[i]);
        assert_int_equal(tap(p, va, 0), FAULTED);
        assert_int_equal(absent->source, 0);
        assert_int_equal(absent->fault_class, 0);
        assert_int_equal(absent->time_ns, 0);
    }
    words[0] = htole64(svan_mtt_absent(120, 5));
    assert_int_equal(tap(p, va, 0), FAULTED);
    assert_int_equal(absent->source, SVAN_ESTIMATE_LOCATION);
    assert_int_equal(absent->fault_class, SVAN_FAULT_UNKNOWN);
    for (uint32_t i = 0; i < 3; i++) {
        static const uint64_t bad[] = { 0, 4096 + 8, 1ull << 45 };

        p->context->location_table = htole64(bad[i] == 4104 ? table + 8 :
                                                              bad[i]);
        assert_int_equal(tap(p, va, 0), FAULTED);
        assert_int_equal(absent->source, 0);
    }
}

/* ---- MISS ---- */

typedef uint32_t Attempt(Process *p);

static uint32_t attempt_write(Process *p)
{
    return tap(p, va_of(p), WRITE);
}

static uint32_t attempt_absent(Process *p)
{
    return tap(p, va_of(p) + 4096, 0);
}

/* Each map of a walk misses once; then it does as if nothing had been. */
static void a_miss_anywhere(void **state)
{
    static Attempt *const attempts[] = { attempt_write, attempt_absent };
    static const uint32_t results[] = { 0, FAULTED };
    Process *p = *state;

    for (size_t i = 0; i < SIZE(attempts); i++) {
        for (uint32_t levels = 4; levels <= 5; levels++) {
            uint32_t maps = levels + 2; /* context, tables, page or locations */

            for (uint32_t n = 1; n <= maps; n++) {
                process_begin(p, levels);
                locations(p, SVAN_LOCATION_COUNT);
                map_leaf(p, va_of(p), 1, p->pages | P_RW);
                p->fake->miss_at = p->fake->maps + n;
                assert_int_equal(attempts[i](p), MISSED);
                assert_int_equal(attempts[i](p), results[i]);
            }
            invalidate_all(p);
            p->fake->miss_at = p->fake->maps + maps + 1;
            assert_int_equal(attempts[i](p), results[i]);
            p->fake->miss_at = 0;
        }
    }
    assert_int_equal(p->fn->memory->miss.time_ns, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(pages_of_both_formats),
        PROCESS_TEST(the_ends_of_user_space),
        PROCESS_TEST(large_leaves),
        PROCESS_TEST(bits_that_are_ignored),
        PROCESS_TEST(rights_of_every_level),
        PROCESS_TEST(a_write_that_is_protected),
        PROCESS_TEST(a_large_leaf_that_is_protected),
        PROCESS_TEST(whose_key),
        PROCESS_TEST(outside_user_space),
        PROCESS_TEST(accessed_and_dirty),
        PROCESS_TEST(marks_are_reported),
        PROCESS_TEST(no_marks_for_nothing),
        PROCESS_TEST(clean_and_dirty_in_the_tlb),
        PROCESS_TEST(absent_at_every_level),
        PROCESS_TEST(where_the_page_is),
        PROCESS_TEST(where_a_huge_page_is),
        PROCESS_TEST(locations_that_say_nothing),
        PROCESS_TEST(a_miss_anywhere),
    };

    return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
