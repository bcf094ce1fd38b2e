/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables of any content, contexts of any content, accesses, invalidations. An
 * access to a process of which nothing is held does what a second, simpler walk
 * says.
 */
#include "fuzz.h"

#define ARENA_PAGES     12u
#define PASIDS          4u
#define OWNER           9u
#define PTE(bus)        ((uint64_t *)fake_ram(fake, bus))

typedef struct Walks {
    Host *host;
    SvanUser user;
    uint64_t contexts, arena;
    uint32_t keys[PASIDS];
} Walks;

/* What the second walk has come to. */
typedef struct Verdict {
    SvanStep step;
    uint32_t syndrome;
    uint64_t bus, entry;
    uint32_t level;
} Verdict;

static struct svan_process_context *context_of(Walks *walks, uint32_t pasid)
{
    return (struct svan_process_context *)fake_ram(walks->host->fake,
                                                   walks->contexts) + pasid;
}

/* Few indices, so that walks meet. */
static uint32_t some_index(uint32_t bits)
{
    static const uint16_t indices[] = { 0, 1, 2, 511 };

    return indices[bits % 4];
}

/* Every table is one of every level, and its pages are tables. */
static void fill_arena(Walks *walks)
{
    for (uint32_t n = 0; n < ARENA_PAGES * 4; n++) {
        uint64_t *table = fake_ram(walks->host->fake,
                                   walks->arena + n / 4 * 4096);

        table[some_index(n)] = htole64((walks->arena +
                                        (n + 1) % ARENA_PAGES * 4096) | 7);
    }
}

static Walks walks_set(Fake *fake)
{
    Walks walks = { .host = host_create(fake, 0, 1) };

    walks.contexts = fake_alloc(fake, 4096, 4096);
    walks.arena = fake_alloc(fake, ARENA_PAGES * 4096, 4096);
    walks.user.fn = host_fn(walks.host);
    walks.user.pd = walks.host->pd;
    walks.user.can_wait = true;
    walks.user.owner = OWNER;
    host_set_contexts(walks.host, walks.contexts, PASIDS);
    for (uint32_t pasid = 1; pasid < PASIDS; pasid++) {
        struct svan_process_context *context = context_of(&walks, pasid);
        struct svan_cmd_create_key key = {
            .kind = SVAN_KEY_PROCESS, .page_shift = 12,
            .access = htole32(SVAN_ACCESS_LOCAL_WRITE),
            .pd = htole32(walks.host->pd), .pasid = htole32(pasid),
            .length = htole64(1ull << 56), .owner = htole32(OWNER),
            .generation = htole32(pasid),
        };

        walks.keys[pasid] = host_key(walks.host, &key);
        context->root = htole64(walks.arena);
        context->generation = htole32(pasid);
        context->flags = htole32(SVAN_CTX_VALID | 1 << SVAN_CTX_FORMAT_SHIFT |
                                 (4 + pasid % 2) << SVAN_CTX_LEVELS_SHIFT);
    }
    fill_arena(&walks);
    return walks;
}

/* Mostly a page of the arena, or nearly. */
static uint64_t some_address(Walks *walks, Input *input)
{
    uint8_t choice = input_number(input, 1);

    return choice < 0xe0 ? walks->arena + choice % (ARENA_PAGES + 1) * 4096 :
           choice < 0xf0 ? FAKE_RAM_BASE :
           input_number(input, 8) & SVAN_PTE_ADDR_MASK;
}

static void write_context(Walks *walks, Input *input, uint32_t pasid)
{
    struct svan_process_context *context = context_of(walks, pasid);
    uint8_t bits = input_number(input, 1);

    context->root = htole64(some_address(walks, input));
    context->location_table = htole64(some_address(walks, input));
    context->location_entries = htole32(bits);
    context->generation = htole32(bits & 1 ? pasid : bits);
    context->flags = htole32(bits & 2 ? input_number(input, 2) :
                             SVAN_CTX_VALID | 1 << SVAN_CTX_FORMAT_SHIFT |
                             (bits & 4 ? 5 : 4) << SVAN_CTX_LEVELS_SHIFT);
    context->cached = bits & 8 ? 0 : context->cached;
}

static void write_entry(Walks *walks, Input *input)
{
    uint8_t where = input_number(input, 1);
    uint64_t *table = fake_ram(walks->host->fake, walks->arena +
                               where / 4 % ARENA_PAGES * 4096);
    uint64_t entry = some_address(walks, input);
    uint8_t bits = input_number(input, 1);

    entry |= bits | (bits & 0x18 ? 5 : 0);
    if (where >= 0xc0) {
        entry ^= input_number(input, 2) << 48;
    }
    table[some_index(where)] = htole64(entry);
}

static uint64_t some_va(Input *input)
{
    uint16_t bits = input_number(input, 2);
    uint64_t va = bits >> 10 << 6;

    for (uint32_t level = 1; level <= 5; level++) {
        va |= (uint64_t)some_index(bits >> 2 * (level - 1)) <<
              (12 + 9 * (level - 1));
    }
    return va & ((1ull << 56) - 1);
}

static Verdict refuse(uint32_t syndrome)
{
    return (Verdict) { .step = SVAN_STEP_ERROR, .syndrome = syndrome };
}

static bool in_ram(uint64_t bus)
{
    return bus >= FAKE_RAM_BASE && bus < FAKE_RAM_BASE + FAKE_RAM_SIZE;
}

static Verdict judge_leaf(uint64_t entry, uint32_t level, uint64_t va)
{
    uint64_t size = 4096ull << 9 * (level - 1);
    uint64_t bus = (entry & SVAN_PTE_ADDR_MASK & ~(size - 1)) + va % size;

    if (level > 1 && (entry & SVAN_PTE_ADDR_MASK & (size - 1) & ~0x1000ull)) {
        return refuse(SVAN_SYN_TABLE);
    }
    return in_ram(bus) ? (Verdict) { .step = SVAN_STEP_DONE, .bus = bus } :
                         refuse(SVAN_SYN_DMA);
}

/* The second walk: of the context's tables as they are, without any trace. */
static Verdict judge(Walks *walks, uint32_t pasid, uint64_t va, uint32_t len,
                     bool write)
{
    const struct svan_process_context *context = context_of(walks, pasid);
    uint32_t flags = le32toh(context->flags), level = flags >> 8 & 15;
    uint64_t table = le64toh(context->root), entry;
    Fake *fake = walks->host->fake;
    bool writable = true;

    if ((flags & 0xf1) != 0x11 || (level != 4 && level != 5) ||
        le32toh(context->generation) != pasid ||
        (table & ~SVAN_PTE_ADDR_MASK)) {
        return refuse(SVAN_SYN_CONTEXT);
    }
    if (va + len > (level == 5 ? 1ull << 56 : 1ull << 47)) {
        return refuse(SVAN_SYN_ADDRESS);
    }
    for (;; level--) {
        if (!in_ram(table)) {
            return refuse(SVAN_SYN_TABLE);
        }
        entry = le64toh(PTE(table)[va >> (3 + 9 * level) & 511]);
        if (!(entry & SVAN_PTE_PRESENT)) {
            return (Verdict) { SVAN_STEP_FAULT, .entry = entry,
                               .level = level };
        }
        if (!(entry & SVAN_PTE_USER)) {
            return refuse(SVAN_SYN_ADDRESS);
        }
        if (level > 3 && (entry & SVAN_PTE_LARGE)) {
            return refuse(SVAN_SYN_TABLE);
        }
        writable &= !!(entry & SVAN_PTE_WRITABLE);
        if (level == 1 || (entry & SVAN_PTE_LARGE)) {
            Verdict verdict = judge_leaf(entry, level, va);

            if (write && !writable && verdict.syndrome != SVAN_SYN_TABLE) {
                return (Verdict) { SVAN_STEP_FAULT, .entry = entry,
                                   .level = level };
            }
            return verdict;
        }
        table = entry & SVAN_PTE_ADDR_MASK;
    }
}

static void compare(const Verdict *want, SvanStep step, uint32_t syndrome,
                    const SvanMem *mem, const SvanPageMiss *absent)
{
    uint64_t marks = SVAN_PTE_ACCESSED | SVAN_PTE_DIRTY;

    if (step != want->step ||
        (step == SVAN_STEP_ERROR && syndrome != want->syndrome) ||
        (step == SVAN_STEP_DONE && mem->bus != want->bus) ||
        (step == SVAN_STEP_FAULT &&
         (((absent->entry ^ want->entry) & ~marks) ||
          absent->level != want->level ||
          absent->is_protected != (want->entry & 1) ||
          absent->fault_class >= SVAN_FAULT_CLASS_COUNT))) {
        fake_die("step %u, syndrome %#x, should be %u, %#x", step, syndrome,
                 want->step, want->syndrome);
    }
}

static void access_process(Walks *walks, Input *input, uint32_t pasid)
{
    SvanFn *fn = walks->user.fn;
    uint16_t bits = input_number(input, 2);
    SvanAccess access = {
        .fn = fn, .user = &walks->user, .key = walks->keys[pasid],
        .va = some_va(input), .len = 1 + bits % 9000,
        .access = bits & 0x8000 ? SVAN_ACCESS_LOCAL_WRITE : 0,
    };
    bool fresh = bits & 0x4000;
    uint32_t syndrome = 0;
    Verdict want;
    SvanMem mem;
    SvanStep step;

    if (access.va + access.len > 1ull << 56) {
        return;
    }
    if (fresh) {
        svan_reg_write(fn->core, 0, SVAN_REG_INV_CONTEXT(pasid),
                       SVAN_INV_CONTEXT_ALL, 8);
    }
    want = judge(walks, pasid, access.va, access.len, access.access);
    step = svan_access(&access, &mem, &syndrome);
    if (step == SVAN_STEP_DONE) {
        *mem.host ^= access.access ? 1 : 0;
    }
    if (fresh && step != SVAN_STEP_MISS) {
        compare(&want, step, syndrome, &mem, &fn->memory->miss);
    }
    if (fresh && step == SVAN_STEP_FAULT &&
        !context_of(walks, pasid)->cached) {
        fake_die("a walk without the word set");
    }
}

static void one_action(Walks *walks, Input *input)
{
    Fake *fake = walks->host->fake;
    uint8_t action = input_number(input, 1);
    uint32_t pasid = 1 + action / 8 % (PASIDS - 1);

    switch (action % 8) {
    case 0:
    case 1:
        write_entry(walks, input);
        break;
    case 2:
    case 3:
    case 4:
        access_process(walks, input, pasid);
        break;
    case 5:
        write_context(walks, input, pasid);
        break;
    case 6:
        svan_reg_write(fake->core, 0, SVAN_REG_INV_CONTEXT(pasid),
                       some_va(input) | input_number(input, 1), 8);
        break;
    default:
        fake->miss_every = action >> 6;
        fake_forget(fake);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Fake *fake;
    Input input = { data, size };
    Walks walks;

    if (!fake) {
        fake = fake_create(NULL);
    }
    walks = walks_set(fake);
    for (uint32_t n = 0; input.size && n < 500; n++) {
        one_action(&walks, &input);
    }
    host_destroy(walks.host);
    fake_recycle(fake);
    return 0;
}
