/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine with one accelerator.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "accel_fake.h"
#include "fake.h"

#define PAGE            4096u
#define LEVELS          3u
#define MAX_RUNS        20000000u
#define RING_VA         (HOST_VA + 0x800000ull)
#define FIRST_NOW       1000000000u     /* ns */

/* ---- operations ---- */

static uint8_t *memory(AccelFake *fake, AccelSpace space, uint64_t addr, uint32_t len)
{
    if (space == ACCEL_LOCAL) {
        return addr < LOCAL_SIZE && len <= LOCAL_SIZE - addr ? fake->local + addr : NULL;
    }
    addr -= ACCEL_FAKE_RAM;
    return addr < ACCEL_FAKE_RAM_PAGES * PAGE && len <= ACCEL_FAKE_RAM_PAGES * PAGE - addr ?
           fake->ram + addr : NULL;
}

void accel_fake_dirty(AccelFake *fake, const void *host)
{
    const uint8_t *at = host;
    bool local = at >= fake->local && at < fake->local + LOCAL_SIZE;

    fake->dirty[local ? ACCEL_FAKE_RAM_PAGES + (at - fake->local) / PAGE :
                        (at - fake->ram) / PAGE] = true;
}

static bool misses(AccelFake *fake, AccelSpace space, uint64_t addr)
{
    uint64_t page = addr / PAGE * 2 + space;

    for (uint32_t i = 0; i < fake->missed_count; i++) {
        if (fake->missed[i] == page) {
            return false;
        }
    }
    if (!fake->miss_permille || rng_below(&fake->miss_rng, 1000) >= fake->miss_permille) {
        return false;
    }
    if (fake->missed_count == sizeof(fake->missed) / sizeof(fake->missed[0])) {
        fake_die("one step wants %u pages", fake->missed_count);
    }
    fake->missed[fake->missed_count++] = page;
    fake->misses++;
    return true;
}

static AccelDma op_map(void *opaque, AccelSpace space, uint64_t addr, uint32_t len,
                       bool for_write, void **host)
{
    AccelFake *fake = opaque;

    if (!len || addr % PAGE + len > PAGE) {
        fake_die("map of %u octets at %" PRIx64, len, addr);
    }
    fake->maps++;
    if (misses(fake, space, addr) ||
        (fake->miss_page && space == ACCEL_HOST && addr / PAGE == fake->miss_page / PAGE)) {
        return ACCEL_DMA_MISS;
    }
    if (fake->bad_page && space == ACCEL_HOST && addr / PAGE == fake->bad_page / PAGE) {
        return ACCEL_DMA_ERROR;
    }
    *host = memory(fake, space, addr, len);
    if (!*host && space == ACCEL_LOCAL) {
        fake_die("map of local memory at %" PRIx64, addr);
    }
    return *host ? ACCEL_DMA_OK : ACCEL_DMA_ERROR;
}

static void op_written(void *opaque, AccelSpace space, uint64_t addr, void *host,
                       uint32_t len)
{
    AccelFake *fake = opaque;

    if (!len || !host || memory(fake, space, addr, len) != host) {
        fake_die("written: %u octets at %" PRIx64, len, addr);
    }
    fake->written += len;
    accel_fake_dirty(fake, host);
    if (fake->on_written) {
        fake->on_written(fake, space, addr, len);
    }
}

static void op_irq(void *opaque, uint16_t vector)
{
    AccelFake *fake = opaque;

    if (vector >= SVAN_ACCEL_MSIX_COUNT) {
        fake_die("vector %u", vector);
    }
    fake->irqs[vector]++;
}

static uint64_t op_now(void *opaque)
{
    return ((AccelFake *)opaque)->now;
}

static void op_deadline(void *opaque, uint64_t when)
{
    ((AccelFake *)opaque)->deadline = when;
}

static void op_kick(void *opaque)
{
    atomic_fetch_add(&((AccelFake *)opaque)->kicks, 1);
}

static void op_store_wanted(void *opaque)
{
    ((AccelFake *)opaque)->store_wanted = true;
}

static void op_watch(void *opaque, uint32_t waiter, AccelSpace space, uint64_t addr,
                     void *host)
{
    AccelFake *fake = opaque;

    if (waiter >= ACCEL_WAITERS || !host == !fake->watched[waiter] ||
        (host && memory(fake, space, addr, 1) != host)) {
        fake_die("watch %u at %" PRIx64, waiter, addr);
    }
    fake->watched[waiter] = host;
    fake->watches++;
}

static void op_trace(void *opaque, const AccelTrace *trace)
{
    AccelFake *fake = opaque;

    if (fake->on_trace) {
        fake->on_trace(fake, trace);
    }
}

static const AccelOps ops = {
    .map = op_map,
    .written = op_written,
    .irq = op_irq,
    .now = op_now,
    .deadline = op_deadline,
    .kick = op_kick,
    .store_wanted = op_store_wanted,
    .watch = op_watch,
    .trace = op_trace,
};

/* ---- the machine ---- */

/* It has told no deadline yet. */
static void create_device(AccelFake *fake)
{
    fake->deadline = UINT64_MAX;
    memset(fake->watched, 0, sizeof(fake->watched));
    fake->accel = fake_must(accel_create(&fake->config, &ops, fake));
}

AccelFake *accel_fake_create(uint64_t reorder_seed)
{
    AccelFake *fake = fake_must(calloc(1, sizeof(*fake)));

    fake->config = (AccelConfig) { .mem_size = LOCAL_SIZE, .reorder_seed = reorder_seed };
    fake->ram = fake_must(aligned_alloc(PAGE, ACCEL_FAKE_RAM_PAGES * PAGE));
    fake->local = fake_must(aligned_alloc(PAGE, LOCAL_SIZE));
    memset(fake->ram, 0, ACCEL_FAKE_RAM_PAGES * PAGE);
    memset(fake->local, 0, LOCAL_SIZE);
    fake->now = FIRST_NOW;
    fake->miss_rng = rng_make(1, 77);
    create_device(fake);
    return fake;
}

void accel_fake_destroy(AccelFake *fake)
{
    accel_destroy(fake->accel);
    free(fake->ram);
    free(fake->local);
    free(fake->kept_ram);
    free(fake->kept_local);
    free(fake);
}

void accel_fake_keep(AccelFake *fake)
{
    fake->kept_ram = fake_must(malloc(ACCEL_FAKE_RAM_PAGES * PAGE));
    fake->kept_local = fake_must(malloc(LOCAL_SIZE));
    memcpy(fake->kept_ram, fake->ram, ACCEL_FAKE_RAM_PAGES * PAGE);
    memcpy(fake->kept_local, fake->local, LOCAL_SIZE);
    memset(fake->dirty, 0, sizeof(fake->dirty));
}

static void memory_comes_back(AccelFake *fake)
{
    for (uint32_t i = 0; fake->kept_ram && i < ACCEL_FAKE_RAM_PAGES; i++) {
        if (fake->dirty[i]) {
            memcpy(fake->ram + i * PAGE, fake->kept_ram + i * PAGE, PAGE);
        }
    }
    for (uint32_t i = 0; fake->kept_local && i < ACCEL_FAKE_LOCAL_PAGES; i++) {
        if (fake->dirty[ACCEL_FAKE_RAM_PAGES + i]) {
            memcpy(fake->local + i * PAGE, fake->kept_local + i * PAGE, PAGE);
        }
    }
}

void accel_fake_replace(AccelFake *fake, uint64_t reorder_seed)
{
    AccelFake before = *fake;

    accel_destroy(fake->accel);
    memory_comes_back(fake);
    memset(fake, 0, sizeof(*fake));
    fake->config = (AccelConfig) { .mem_size = LOCAL_SIZE, .reorder_seed = reorder_seed };
    fake->ram = before.ram;
    fake->local = before.local;
    fake->kept_ram = before.kept_ram;
    fake->kept_local = before.kept_local;
    fake->tables = before.tables;
    memcpy(fake->roots, before.roots, sizeof(fake->roots));
    memcpy(fake->rings, before.rings, sizeof(fake->rings));
    fake->on_store = before.on_store;
    fake->on_store_arg = before.on_store_arg;
    fake->on_trace = before.on_trace;
    fake->on_written = before.on_written;
    fake->now = FIRST_NOW;
    fake->miss_rng = rng_make(1, 77);
    create_device(fake);
}

/* Rings of the contexts follow the data, in the order of addresses. */
uint64_t accel_fake_bus(AccelFake *fake, uint64_t va)
{
    if (va >= RING_VA && va < RING_VA + 0x800000) {
        return ACCEL_FAKE_RAM + HOST_SIZE + (va - RING_VA);
    }
    if (va >= HOST_VA && va < HOST_VA + HOST_SIZE) {
        return ACCEL_FAKE_RAM + ((va - HOST_VA) / PAGE * 37 % ACCEL_FAKE_DATA_PAGES) * PAGE +
               va % PAGE;
    }
    if (va >= LOCAL_VA && va < LOCAL_VA + LOCAL_SIZE) {
        return ((va - LOCAL_VA) / PAGE * 11 % ACCEL_FAKE_LOCAL_PAGES) * PAGE + va % PAGE;
    }
    if (va >= READ_VA && va < READ_VA + PAGE) {
        return ACCEL_FAKE_RAM + va % PAGE;
    }
    if (va < WINDOW_VA || va >= WINDOW_VA + PAGE) {
        fake_die("%" PRIx64 " leads nowhere", va);
    }
    return ACCEL_FAKE_WINDOW + va % PAGE;
}

uint8_t *accel_fake_at(AccelFake *fake, uint64_t va)
{
    bool local = va >= LOCAL_VA && va < LOCAL_VA + LOCAL_SIZE;
    uint8_t *host = fake_must(memory(fake, local ? ACCEL_LOCAL : ACCEL_HOST,
                                     accel_fake_bus(fake, va), 1));

    accel_fake_dirty(fake, host);
    return host;
}

void accel_fake_get(AccelFake *fake, uint64_t va, void *data, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++) {
        ((uint8_t *)data)[i] = *accel_fake_at(fake, va + i);
    }
}

void accel_fake_set(AccelFake *fake, uint64_t va, const void *data, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++) {
        *accel_fake_at(fake, va + i) = ((const uint8_t *)data)[i];
    }
}

uint64_t accel_fake_get64(AccelFake *fake, uint64_t va)
{
    uint64_t value;

    accel_fake_get(fake, va, &value, sizeof(value));
    return le64toh(value);
}

void accel_fake_set64(AccelFake *fake, uint64_t va, uint64_t value)
{
    value = htole64(value);
    accel_fake_set(fake, va, &value, sizeof(value));
}

uint64_t accel_fake_read(AccelFake *fake, uint32_t offset)
{
    return accel_reg_read(fake->accel, offset, 4);
}

void accel_fake_write(AccelFake *fake, uint32_t offset, uint32_t value)
{
    accel_reg_write(fake->accel, offset, value, 4);
}

void accel_fake_write64(AccelFake *fake, uint32_t offset, uint64_t value)
{
    accel_reg_write(fake->accel, offset, value, 8);
}

/* ---- contexts and queues ---- */

static uint64_t new_table(AccelFake *fake)
{
    uint32_t page = ACCEL_FAKE_RAM_PAGES - ++fake->tables;

    if (page < ACCEL_FAKE_DATA_PAGES + SVAN_ACCEL_CONTEXTS * SVAN_ACCEL_QUEUES) {
        fake_die("too many tables");
    }
    memset(fake->ram + page * PAGE, 0, PAGE);
    return ACCEL_FAKE_RAM + page * (uint64_t)PAGE;
}

void accel_fake_entry(AccelFake *fake, uint32_t ctx, uint64_t va, uint64_t entry)
{
    uint64_t table = fake->roots[ctx];

    for (uint32_t level = LEVELS; ; level--) {
        uint64_t index = (va / PAGE >> (9 * (level - 1))) % 512;
        uint64_t *at = (uint64_t *)(fake->ram + (table - ACCEL_FAKE_RAM)) + index;

        if (level == 1) {
            *at = htole64(entry);
            accel_fake_dirty(fake, at);
            return;
        }
        if (!*at) {
            *at = htole64(new_table(fake) | SVAN_ACCEL_PTE_PRESENT);
        }
        table = le64toh(*at) & SVAN_ACCEL_PTE_ADDR_MASK;
    }
}

void accel_fake_context(AccelFake *fake, uint32_t ctx)
{
    const uint64_t rw = SVAN_ACCEL_PTE_PRESENT | SVAN_ACCEL_PTE_WRITABLE;

    if (!fake->roots[ctx]) {
        fake->roots[ctx] = new_table(fake);
    }
    for (uint64_t va = HOST_VA; va < HOST_VA + HOST_SIZE; va += PAGE) {
        accel_fake_entry(fake, ctx, va, accel_fake_bus(fake, va) | rw);
    }
    for (uint64_t va = LOCAL_VA; va < LOCAL_VA + LOCAL_SIZE; va += PAGE) {
        accel_fake_entry(fake, ctx, va, accel_fake_bus(fake, va) | rw | SVAN_ACCEL_PTE_LOCAL);
    }
    accel_fake_entry(fake, ctx, WINDOW_VA,
                     ACCEL_FAKE_WINDOW | SVAN_ACCEL_PTE_PRESENT | SVAN_ACCEL_PTE_WINDOW);
    accel_fake_entry(fake, ctx, READ_VA, ACCEL_FAKE_RAM | SVAN_ACCEL_PTE_PRESENT);
    accel_fake_write64(fake, SVAN_ACCEL_REG_CTX(ctx, SVAN_ACCEL_CTX_TABLE), fake->roots[ctx]);
    accel_fake_write(fake, SVAN_ACCEL_REG_CTX(ctx, SVAN_ACCEL_CTX_LEVELS), LEVELS);
    accel_fake_write(fake, SVAN_ACCEL_REG_CTX(ctx, SVAN_ACCEL_CTX_CONTROL),
                     SVAN_ACCEL_CTX_ENABLE);
}

void accel_fake_queue(AccelFake *fake, uint32_t ctx, uint32_t queue)
{
    uint64_t ring = RING_VA + (ctx * SVAN_ACCEL_QUEUES + queue) * (uint64_t)PAGE;
    uint32_t at = SVAN_ACCEL_REG_QUEUE(ctx, queue, 0);

    fake->rings[ctx][queue] = ring;
    fake->posted[ctx][queue] = 0;
    accel_fake_entry(fake, ctx, ring, accel_fake_bus(fake, ring) | SVAN_ACCEL_PTE_PRESENT |
                                      SVAN_ACCEL_PTE_WRITABLE);
    accel_fake_write64(fake, at + SVAN_ACCEL_QUEUE_BASE, ring);
    accel_fake_write64(fake, at + SVAN_ACCEL_QUEUE_RECORD, RECORD_VA(ctx, queue));
    accel_fake_write(fake, at + SVAN_ACCEL_QUEUE_LOG_SIZE, ACCEL_FAKE_LOG_RING);
    accel_fake_write(fake, at + SVAN_ACCEL_QUEUE_CONTROL, SVAN_ACCEL_QUEUE_ENABLE);
}

uint64_t accel_fake_slot(AccelFake *fake, uint32_t ctx, uint32_t queue, uint32_t index)
{
    return fake->rings[ctx][queue] + index % (1u << ACCEL_FAKE_LOG_RING) * 64;
}

void accel_fake_post(AccelFake *fake, uint32_t ctx, uint32_t queue,
                     const struct svan_accel_cmd *cmd)
{
    memcpy(accel_fake_at(fake, accel_fake_slot(fake, ctx, queue, fake->posted[ctx][queue]++)),
           cmd, sizeof(*cmd));
}

void accel_fake_ring(AccelFake *fake, uint32_t ctx, uint32_t queue)
{
    accel_doorbell(fake->accel, (ctx << SVAN_ACCEL_DB_SHIFT) + SVAN_ACCEL_DB(queue),
                   fake->posted[ctx][queue], 8);
}

uint32_t accel_fake_state(AccelFake *fake, uint32_t ctx, uint32_t queue)
{
    return accel_fake_read(fake, SVAN_ACCEL_REG_QUEUE(ctx, queue, SVAN_ACCEL_QUEUE_STATE));
}

uint32_t accel_fake_head(AccelFake *fake, uint32_t ctx, uint32_t queue)
{
    return accel_fake_read(fake, SVAN_ACCEL_REG_QUEUE(ctx, queue, SVAN_ACCEL_QUEUE_HEAD));
}

/* ---- running ---- */

/* A run that misses must not have stored anything. */
AccelRun accel_fake_step(AccelFake *fake)
{
    bool aside = false;
    uint64_t written;
    AccelRun result;

    do {
        written = fake->written;
        result = accel_run(fake->accel);
        if (++fake->runs > MAX_RUNS) {
            fake_die("no end after %u runs", MAX_RUNS);
        }
        if (result == ACCEL_RUN_MISS && fake->written != written) {
            fake_die("a step that missed has stored");
        }
        if (fake->written - written > PAGE + 16) {
            fake_die("one epoch stored %" PRIu64 " octets", fake->written - written);
        }
        if (result == ACCEL_RUN_MISS && rng_below(&fake->miss_rng, 2)) {
            aside |= accel_set_aside(fake->accel);
        }
    } while (result == ACCEL_RUN_MISS);
    if (aside) {
        accel_resolved(fake->accel);
        result = ACCEL_RUN_MORE;
    }
    if (!accel_awaits(fake->accel)) {
        fake->missed_count = 0;
    }
    return result;
}

void accel_fake_stores(AccelFake *fake)
{
    AccelStore store;

    fake->store_wanted = false;
    while (accel_store_next(fake->accel, &store)) {
        bool made = !fake->refuse_stores;

        if (made) {
            fake->last_store = store;
            fake->stores++;
        }
        if (made && fake->on_store) {
            fake->on_store(fake, &store, fake->on_store_arg);
        }
        accel_store_end(fake->accel, &store, made);
    }
}

void accel_fake_run(AccelFake *fake)
{
    uint32_t kicks;
    AccelRun result;

    do {
        kicks = atomic_load(&fake->kicks);
        result = accel_fake_step(fake);
        if (fake->store_wanted && !fake->hold_stores) {
            accel_fake_stores(fake);
        }
    } while (result == ACCEL_RUN_MORE || kicks != atomic_load(&fake->kicks));
}

void accel_fake_advance(AccelFake *fake, uint64_t ns)
{
    uint64_t end = fake->now + ns;

    while (fake->deadline <= end) {
        if (fake->deadline > fake->now) {
            fake->now = fake->deadline;
        }
        accel_fake_run(fake);
    }
    fake->now = end;
    accel_fake_run(fake);
}

void accel_fake_do(AccelFake *fake, uint32_t ctx, uint32_t queue,
                   const struct svan_accel_cmd *cmd)
{
    accel_fake_post(fake, ctx, queue, cmd);
    accel_fake_ring(fake, ctx, queue);
    accel_fake_run(fake);
}

bool accel_fake_restore(AccelFake *fake)
{
    size_t len;
    void *stream = fake_must(accel_save(fake->accel, &len));
    bool good;

    accel_destroy(fake->accel);
    create_device(fake);
    good = accel_load(fake->accel, stream, len);
    free(stream);
    return good;
}
