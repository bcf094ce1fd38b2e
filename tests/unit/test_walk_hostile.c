/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks of a process's page table that changes under the device, or that is wrong.
 */
#include "process.h"

Trap trap;

/* ---- an entry that changes between its reading and its marking ---- */

typedef struct Change {
    uint64_t *entry;
    uint64_t value;
} Change;

static void make_change(Process *p, void *arg)
{
    const Change *change = arg;

    *change->entry = htole64(change->value);
}

static void entries_that_change(void **state)
{
    Process *p = *state;
    uint64_t moved = p->pages + 4096, va = va_of(p);
    const struct {
        uint64_t value;
        uint8_t right;
        uint32_t result;
        uint64_t bus, left;
    } rows[] = {
        { 0, 0, FAULTED, 0, 0 },
        { 0, WRITE, FAULTED, 0, 0 },
        { 2ull << 59 | 0x1234000, WRITE, FAULTED, 0, 2ull << 59 | 0x1234000 },
        { p->pages | P_USER, WRITE, FAULTED, 0, p->pages | P_USER },
        { p->pages | P_USER, 0, 0, p->pages, p->pages | P_USER | P_A },
        { moved | P_RW, WRITE, 0, moved, moved | P_RW | P_A | P_D },
        { moved | P_RW, 0, 0, moved, moved | P_RW | P_A },
        { p->pages | P_RW | P_A, WRITE, 0, p->pages,
          p->pages | P_RW | P_A | P_D },
        { p->pages | P_RW | P_A | P_D | 0x200, WRITE, 0, p->pages,
          p->pages | P_RW | P_A | P_D | 0x200 },
        { p->pages | SVAN_PTE_PRESENT, WRITE, SVAN_SYN_ADDRESS, 0,
          p->pages | SVAN_PTE_PRESENT },
    };
    SvanMem mem;

    for (size_t i = 0; i < SIZE(rows); i++) {
        uint64_t *leaf = map_leaf(p, va, 1, p->pages | P_RW);
        Change change = { leaf, rows[i].value };
        uint64_t written;

        invalidate_all(p);
        /* The tables above have their marks, and the word is set. */
        assert_int_equal(tap(p, va + 4096, 0), FAULTED);
        written = p->fake->written;
        trap_set(p, leaf, make_change, &change);
        assert_int_equal(touch(p, va, 8, rows[i].right, &mem), rows[i].result);
        assert_int_equal(trap.sprung, 1);
        assert_int_equal(*leaf, htole64(rows[i].left));
        assert_int_equal(p->fake->written,
                         written + (rows[i].left != rows[i].value ? 8 : 0));
        if (rows[i].result == 0) {
            assert_int_equal(mem.bus, rows[i].bus);
        }
        trap_clear();
    }
}

/* A table that is replaced: the walk begins at the root again. */
static void tables_that_change(void **state)
{
    Process *p = *state;
    uint64_t va = va_of(p);
    SvanMem mem;

    for (uint32_t level = 2; level <= 4; level++) {
        Change change;

        process_begin(p, 4);
        map_leaf(p, va, 1, (p->pages + 4096) | P_RW);
        change.entry = pte(p, va, level);
        change.value = le64toh(*change.entry);
        *change.entry = 0;
        map_leaf(p, va, 1, p->pages | P_RW);
        trap_set(p, change.entry, make_change, &change);
        assert_int_equal(touch(p, va, 8, WRITE, &mem), 0);
        assert_int_equal(mem.bus, p->pages + 4096);
        trap_clear();
        change.value = 0;
        invalidate_all(p);
        *pte(p, va, level) &= htole64(~P_A);
        trap_set(p, change.entry, make_change, &change);
        assert_int_equal(touch(p, va, 8, WRITE, &mem), FAULTED);
        assert_int_equal(p->fn->memory->miss.level, level);
        trap_clear();
    }
}

typedef struct Restless {
    uint64_t *entry;
    uint64_t bus;               /* of the entry's table */
    uint32_t left;              /* changes to come */
} Restless;

static void fidget(Process *p, void *arg)
{
    Restless *restless = arg;

    *restless->entry ^= htole64(0x200);
    restless->left--;
}

/* The device comes to read the entry: lie in wait for its mark. */
static void lie_in_wait(Fake *fake, uint64_t addr, void *arg)
{
    const Restless *restless = arg;

    if (addr / 4096 == restless->bus / 4096 && restless->left) {
        trap_lay();
    }
}

/* A step tries some times, then lets others run. */
static void an_entry_that_never_rests(void **state)
{
    Process *p = *state;
    uint64_t va = va_of(p), *leaf = map_leaf(p, va, 1, p->pages | P_RW);
    Restless restless = { .entry = leaf, .left = 1000 };
    uint32_t steps = 0;
    SvanMem mem;

    restless.bus = le64toh(*pte(p, va, 2)) & SVAN_PTE_ADDR_MASK;
    assert_int_equal(tap(p, va + 4096, 0), FAULTED);
    trap_set(p, leaf, fidget, &restless);
    p->fake->on_map = lie_in_wait;
    p->fake->on_map_arg = &restless;
    for (; restless.left > 900; steps++) {
        uint32_t before = restless.left;

        assert_int_equal(touch(p, va, 8, WRITE, &mem), AGAIN);
        assert_in_range(before - restless.left, 2, 64);
        assert_int_equal(le64toh(*leaf) & (P_A | P_D), 0);
    }
    assert_true(steps > 1);
    restless.left = 1;
    assert_int_equal(touch(p, va, 8, WRITE, &mem), 0);
    assert_int_equal(mem.bus, p->pages);
    trap_clear();
}

/* The same under a queue pair: its step is run again, nothing is lost. */
static void a_transfer_meets_a_restless_entry(void **state)
{
    Process *p = *state;
    struct svan_cmd_create_key cmd = process_key(p);
    HostCq cq = host_cq(p->host, 4);
    HostQp a = host_qp(p->host, &cq, &cq, NULL);
    HostQp b = host_qp(p->host, &cq, &cq, NULL);
    uint64_t va = va_of(p), *leaf = map_leaf(p, va, 1, p->pages | P_RW);
    Restless restless = { .entry = leaf, .left = 100 };
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = p->pages + 4096, .length = 100, .remote = va + 50,
    };
    struct svan_cqe cqe;

    cmd.owner = 0;
    send.rkey = host_key(p->host, &cmd);
    host_connect(&a, &b);
    memset(fake_ram(p->fake, p->pages + 4096), 0x5c, 100);
    restless.bus = le64toh(*pte(p, va, 2)) & SVAN_PTE_ADDR_MASK;
    trap_set(p, leaf, fidget, &restless);
    p->fake->on_map = lie_in_wait;
    p->fake->on_map_arg = &restless;
    host_send(&a, &send);
    host_post(&a);
    fake_run(p->fake);
    assert_int_equal(restless.left, 0);
    assert_true(host_cq_poll(&cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
    assert_memory_equal(fake_ram(p->fake, p->pages + 50),
                        fake_ram(p->fake, p->pages + 4096), 100);
    assert_int_equal(*leaf, htole64(p->pages | P_RW | P_A | P_D));
    trap_clear();
}

/* ---- hostile tables ---- */

static void reserved_bits(void **state)
{
    Process *p = *state;

    for (uint32_t n = 0; n < 2; n++) {
        uint32_t levels = 4 + n;
        uint64_t va;

        process_begin(p, levels);
        va = va_of(p);
        for (uint32_t level = 4; level <= levels; level++) {
            map_leaf(p, va, 1, p->pages | P_RW);
            *pte(p, va, level) |= htole64(SVAN_PTE_LARGE);
            assert_int_equal(tap(p, va, 0), SVAN_SYN_TABLE);
            /* the address is that of such a large page */
            *pte(p, va, level) = htole64(P_RW | SVAN_PTE_LARGE);
            assert_int_equal(tap(p, va, 0), SVAN_SYN_TABLE);
            *pte(p, va, level) = 0;
        }
        for (uint32_t bit = 13; bit < 30; bit++) {
            map_leaf(p, va, 3, FAKE_RAM_BASE | P_RW | SVAN_PTE_LARGE |
                               1ull << bit);
            assert_int_equal(tap(p, va, 0), SVAN_SYN_TABLE);
        }
        *pte(p, va, 3) = 0;
        for (uint32_t bit = 13; bit < 21; bit++) {
            map_leaf(p, va, 2, FAKE_RAM_BASE | P_RW | SVAN_PTE_LARGE |
                               1ull << bit);
            assert_int_equal(tap(p, va, 0), SVAN_SYN_TABLE);
        }
    }
}

static void tables_that_are_nowhere(void **state)
{
    static const uint64_t nowhere[] = {
        0, 0xfffff000, FAKE_RAM_BASE + FAKE_RAM_SIZE, FAKE_RAM_BASE - 4096,
        0x000ffffffffff000,
    };
    Process *p = *state;
    uint64_t va = va_of(p);

    for (size_t i = 0; i < SIZE(nowhere); i++) {
        process_begin(p, 4);
        map_leaf(p, va, 1, nowhere[i] | P_RW);
        assert_int_equal(tap(p, va, WRITE), SVAN_SYN_DMA);
        invalidate_all(p);
        for (uint32_t level = 2; level <= 4; level++) {
            *pte(p, va, level) = htole64(nowhere[i] | P_RW);
            assert_int_equal(tap(p, va, WRITE), SVAN_SYN_TABLE);
        }
        p->context->root = htole64(nowhere[i]);
        assert_int_equal(tap(p, va, WRITE), SVAN_SYN_TABLE);
    }
}

/* A table that is its own: as many levels as there are, and it ends. */
static void tables_in_a_circle(void **state)
{
    Process *p = *state;
    SvanMem mem;

    for (uint8_t levels = 4; levels <= 5; levels++) {
        uint64_t *root;

        process_begin(p, levels);
        root = fake_ram(p->fake, p->pt.root);
        for (uint32_t i = 0; i < 512; i++) {
            root[i] = htole64(p->pt.root | P_RW | (uint64_t)i << 52);
        }
        assert_int_equal(touch(p, va_of(p), 8, 0, &mem), 0);
        assert_int_equal(mem.bus, p->pt.root);
        assert_int_equal(touch(p, 0, 8, WRITE, &mem), 0);
        assert_int_equal(mem.bus, p->pt.root);
    }
}

static void a_leaf_in_the_context_table(void **state)
{
    Process *p = *state;
    uint64_t va = va_of(p);
    SvanMem mem;

    /* Allowed: it is the kernel that says what a process sees. */
    map_leaf(p, va, 1, p->table | P_RW);
    assert_int_equal(touch(p, va, 8, WRITE, &mem), 0);
    assert_int_equal(mem.bus, p->table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(entries_that_change),
        PROCESS_TEST(tables_that_change),
        PROCESS_TEST(an_entry_that_never_rests),
        PROCESS_TEST(a_transfer_meets_a_restless_entry),
        PROCESS_TEST(reserved_bits),
        PROCESS_TEST(tables_that_are_nowhere),
        PROCESS_TEST(tables_in_a_circle),
        PROCESS_TEST(a_leaf_in_the_context_table),
    };

    return cmocka_run_group_tests_name("walk_hostile", tests, NULL, NULL);
}
