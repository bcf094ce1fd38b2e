/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process whose page table the device walks: its context, its tables, and a key
 * to all of its memory.
 */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H

#include <signal.h>
#include <sys/mman.h>

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
#define FAULTED         0x2000          /* fn->absent */
#define AGAIN           0x4000

#define P_USER          (SVAN_PTE_PRESENT | SVAN_PTE_USER)
#define P_RW            (P_USER | SVAN_PTE_WRITABLE)
#define P_A             SVAN_PTE_ACCESSED
#define P_D             SVAN_PTE_DIRTY

typedef struct Process {
    Host *host;
    Fake *fake;
    SvanFn *fn;
    SvanQp qp;                  /* as far as accesses look at one */
    uint64_t table;             /* of contexts, PASIDS of them */
    struct svan_process_context *context;
    uint64_t root;
    uint8_t levels;
    uint64_t pages;             /* 8 of them, for data */
    uint32_t key;
} Process;

static inline uint32_t context_flags(uint32_t levels)
{
    return SVAN_CTX_VALID | SVAN_PT_X86_64 << SVAN_CTX_FORMAT_SHIFT |
           levels << SVAN_CTX_LEVELS_SHIFT;
}

/* An empty page table, after a flush. */
static inline void process_begin(Process *p, uint8_t levels)
{
    svan_reg_write(p->fake->core, 0, SVAN_REG_INV_CONTEXT(PASID),
                   SVAN_INV_CONTEXT_ALL, 8);
    p->levels = levels;
    p->root = fake_alloc(p->fake, 4096, 4096);
    p->context->root = htole64(p->root);
    p->context->generation = htole32(GENERATION);
    p->context->flags = htole32(context_flags(levels));
}

/* An address with another index at each level. */
static inline uint64_t va_of(const Process *p)
{
    return p->levels == 5 ? 0x00f123456789a000ull : 0x123456789000ull;
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

static inline void context_table_set(Host *host, uint64_t addr, uint32_t count)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_CONTEXT_TABLE);

    cmd.context_table.addr = htole64(addr);
    cmd.context_table.count = htole32(count);
    host_must(host, &cmd);
}

static inline int process_setup(void **state)
{
    Process *p = calloc(1, sizeof(*p));
    struct svan_cmd_create_key key;

    p->fake = fake_create(NULL);
    p->host = host_create(p->fake, 0, 1);
    p->fn = host_fn(p->host);
    p->qp.fn = p->fn;
    p->qp.pd = p->host->pd;
    p->qp.owner = OWNER;
    p->table = fake_alloc(p->fake, 4096, 4096);
    p->context = (struct svan_process_context *)fake_ram(p->fake, p->table) +
                 PASID;
    p->pages = fake_alloc(p->fake, 8 * 4096, 4096);
    context_table_set(p->host, p->table, PASIDS);
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

static inline uint64_t *pte_in(Process *p, uint64_t table, uint64_t va,
                               uint32_t level)
{
    uint64_t *entries = fake_ram(p->fake, table);

    return &entries[va >> (12 + 9 * (level - 1)) & 511];
}

/* The entry of a level; tables above it are made. */
static inline uint64_t *pte(Process *p, uint64_t va, uint32_t level)
{
    uint64_t table = p->root;

    for (uint32_t at = p->levels; at > level; at--) {
        uint64_t *entry = pte_in(p, table, va, at);

        if (!*entry) {
            *entry = htole64(fake_alloc(p->fake, 4096, 4096) | P_RW);
        }
        table = le64toh(*entry) & SVAN_PTE_ADDR_MASK;
    }
    return pte_in(p, table, va, level);
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
static inline uint32_t touch_as(const SvanQp *qp, uint32_t key, uint64_t va,
                                uint32_t len, uint8_t right, SvanMem *mem)
{
    SvanAccess access = {
        .fn = qp->fn, .qp = qp, .key = key, .va = va, .len = len,
        .access = right,
    };
    const SvanKey *known = svan_key_get(qp->fn, key);
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
        assert_ptr_equal(qp->fn->absent.key, known);
        assert_int_equal(qp->fn->absent.va, va - known->origin + known->va);
        assert_int_equal(qp->fn->absent.len, len);
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
    return touch_as(&p->qp, p->key, va, len, right, mem);
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
