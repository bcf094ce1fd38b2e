/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process whose page table the device walks: its context, its tables, and a key
 * to all of its memory.
 */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H

#include <signal.h>
#include <sys/mman.h>

#include "page_table.h"
#include "unit.h"

#define PASID           5
#define PASIDS          64
#define GENERATION      3
#define OWNER           77
#define WRITE           SVAN_ACCESS_LOCAL_WRITE
#define REMOTE_WRITE    SVAN_ACCESS_REMOTE_WRITE
#define REMOTE_READ     SVAN_ACCESS_REMOTE_READ
#define ALL             (SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK)

/* What touch() returns beside 0 and syndromes. */
#define MISSED          0x1000
#define FAULTED         0x2000          /* fn->memory->miss */
#define AGAIN           0x4000

#define P_USER          (SVAN_PTE_PRESENT | SVAN_PTE_USER)
#define P_RW            (P_USER | SVAN_PTE_WRITABLE)
#define P_A             SVAN_PTE_ACCESSED
#define P_D             SVAN_PTE_DIRTY

typedef struct Process {
    Host *host;
    Fake *fake;
    SvanFn *fn;
    SvanUser user;
    uint64_t table;             /* of contexts, PASIDS of them */
    struct svan_process_context *context;
    PageTable pt;
    uint64_t pages;             /* 8 of them, for data */
    uint32_t key;
} Process;

/* An empty page table, after a flush. */
static inline void process_begin(Process *p, uint8_t levels)
{
    svan_reg_write(p->fake->core, 0, SVAN_REG_INV_CONTEXT(PASID),
                   SVAN_INV_CONTEXT_ALL, 8);
    p->pt = (PageTable) {
        .fake = p->fake, .process = true, .levels = levels,
    };
    page_table_init(&p->pt);
    page_table_to_context(&p->pt, p->context);
    p->context->generation = htole32(GENERATION);
}

/* An address with another index at each level. */
static inline uint64_t va_of(const Process *p)
{
    return p->pt.levels == 5 ? 0x00f123456789a000ull : 0x123456789000ull;
}

static inline struct svan_cmd_create_key process_key(Process *p)
{
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PROCESS, .page_shift = 12, .access = htole32(ALL),
        .pd = htole32(p->host->pd), .pasid = htole32(PASID),
        .length = htole64(SVAN_MAX_PROCESS_KEY), .owner = htole32(OWNER),
        .generation = htole32(GENERATION),
    };

    return key;
}

static inline int process_setup(void **state)
{
    Process *p = calloc(1, sizeof(*p));
    struct svan_cmd_create_key key;

    p->fake = fake_create(NULL);
    p->host = host_create(p->fake, 0, 1);
    p->fn = host_fn(p->host);
    p->user.fn = p->fn;
    p->user.pd = p->host->pd;
    p->user.can_wait = true;
    p->user.owner = OWNER;
    p->table = fake_alloc(p->fake, 4096, 4096);
    p->context = (struct svan_process_context *)fake_ram(p->fake, p->table) +
                 PASID;
    p->pages = fake_alloc(p->fake, 8 * 4096, 4096);
    host_set_contexts(p->host, p->table, PASIDS);
    process_begin(p, 4);
    key = process_key(p);
    p->key = host_key(p->host, &key);
    *state = p;
    return 0;
}

static inline int process_teardown(void **state)
{
    Process *p = *state;

    fake_destroy(p->fake);
    host_destroy(p->host);
    free(p);
    return 0;
}

#define PROCESS_TEST(name) \
    cmocka_unit_test_setup_teardown(name, process_setup, process_teardown)

/* ---- its page table ---- */

/* The entry of a level; tables above it are made. */
static inline uint64_t *pte(Process *p, uint64_t va, uint32_t level)
{
    return page_table_make(&p->pt, va / SVAN_PAGE_SIZE, level);
}

static inline uint64_t *map_leaf(Process *p, uint64_t va, uint32_t level,
                                 uint64_t entry)
{
    uint64_t *at = pte(p, va, level);

    *at = htole64(entry);
    return at;
}

/* ---- accesses ---- */

/* 0 and *mem, or the syndrome, or one of the above */
static inline uint32_t touch_as(const SvanUser *user, uint32_t key, uint64_t va,
                                uint32_t len, uint8_t right, SvanMem *mem)
{
    SvanAccess access = {
        .fn = user->fn, .user = user, .key = key, .va = va, .len = len,
        .access = right,
    };
    const SvanKey *known = svan_key_get(user->fn, key);
    uint32_t syndrome = 0, checked = 0;
    SvanStep check = svan_check_access(&access, &checked);

    switch (svan_access(&access, mem, &syndrome)) {
    case SVAN_STEP_DONE:
        assert_int_equal(check, SVAN_STEP_DONE);
        assert_true(mem->len && mem->len <= len);
        assert_int_equal(mem->bus / 4096, (mem->bus + mem->len - 1) / 4096);
        return 0;
    case SVAN_STEP_MISS:
        return MISSED;
    case SVAN_STEP_AGAIN:
        return AGAIN;
    case SVAN_STEP_FAULT:
        assert_int_equal(check, SVAN_STEP_DONE);
        assert_ptr_equal(user->fn->memory->miss.key, known);
        assert_int_equal(user->fn->memory->miss.va, va - known->origin + known->va);
        assert_int_equal(user->fn->memory->miss.len, len);
        return FAULTED;
    case SVAN_STEP_ERROR:
        assert_int_not_equal(syndrome, 0);
        assert_true(check == SVAN_STEP_DONE || checked == syndrome);
        return syndrome;
    default:
        fail_msg("no step that svan_access() answers");
        return 0;
    }
}

static inline uint32_t touch(Process *p, uint64_t va, uint32_t len,
                             uint8_t right, SvanMem *mem)
{
    return touch_as(&p->user, p->key, va, len, right, mem);
}

/* The same, where nobody looks at what was found. */
static inline uint32_t tap(Process *p, uint64_t va, uint8_t right)
{
    SvanMem mem;

    return touch(p, va, 8, right, &mem);
}

static inline void invalidate(Process *p, uint64_t va, uint32_t log_pages)
{
    svan_reg_write(p->fake->core, 0, SVAN_REG_INV_CONTEXT(PASID),
                   svan_inv_context(va, log_pages), 8);
}

static inline void invalidate_all(Process *p)
{
    invalidate(p, 0, SVAN_INV_CONTEXT_ALL);
}

/*
 * ---- a trap: something that happens just before the device's next store to a
 * page of guest memory, be it a compare-and-swap that fails ----
 */

typedef struct Trap {
    void *page;
    void (*spring)(Process *p, void *arg);
    Process *process;
    void *arg;
    uint32_t sprung;
} Trap;

extern Trap trap;

static inline void trap_caught(int signal, siginfo_t *info, void *context)
{
    char *at = info->si_addr;

    if (at < (char *)trap.page || at >= (char *)trap.page + 4096 ||
        mprotect(trap.page, 4096, PROT_READ | PROT_WRITE)) {
        fake_die("a fault at %p is not the trap's", info->si_addr);
    }
    trap.sprung++;
    trap.spring(trap.process, trap.arg);
}

static inline void trap_lay(void)
{
    struct sigaction action = {
        .sa_sigaction = trap_caught, .sa_flags = SA_SIGINFO,
    };

    if (sigaction(SIGSEGV, &action, NULL) ||
        mprotect(trap.page, 4096, PROT_READ)) {
        fake_die("the trap cannot be laid");
    }
}

static inline void trap_set(Process *p, void *at,
                            void (*spring)(Process *p, void *arg), void *arg)
{
    trap = (Trap) {
        .page = (void *)((uintptr_t)at & ~4095ull), .spring = spring,
        .process = p, .arg = arg,
    };
    trap_lay();
}

static inline void trap_clear(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };

    if (sigaction(SIGSEGV, &action, NULL) ||
        mprotect(trap.page, 4096, PROT_READ | PROT_WRITE)) {
        fake_die("the trap cannot be taken away");
    }
}

#endif /* TESTS_PROCESS_H */
