/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An accelerator with two contexts: a hostile one, whose table the input changes, too,
 * and a bystander, which runs a program of its own.
 *
 * A shadow of both memories holds what may be there. Each store that the core reports
 * must be to a page that a context may store to, and goes into the shadow. So memory that
 * differs from it in the end was stored to by nobody's right.
 */
#ifndef TESTS_FUZZ_ACCEL_STAGE_H
#define TESTS_FUZZ_ACCEL_STAGE_H

#include <inttypes.h>

#include "fuzz_accel.h"

#define PAGE            4096u
#define HOSTILE         0u
#define BYSTANDER       1u

/* What entries of the hostile table lead to, by number: its own memory. */
#define HOST_TARGETS    16u
#define LOCAL_TARGETS   8u
#define RING_TARGET     (HOST_TARGETS + LOCAL_TARGETS)
#define WINDOW_TARGET   (RING_TARGET + SVAN_ACCEL_QUEUES)
#define READ_TARGET     (WINDOW_TARGET + 1)
#define TARGETS         (READ_TARGET + 1)
#define BY_OWNER        0xfeu           /* of a page: the bystander */
#define NO_OWNER        0xffu
#define RECORDS         (HOST_VA + (HOST_TARGETS - 1) * PAGE)

/* The page that READ_VA leads to. What it holds is no entry of a table. */
#define READ_PAGE       (HOST_VA + 100 * PAGE)
#define READ_OCTET      0x5a

/* What the bystander has, in pages of HOST_VA and LOCAL_VA. */
#define BY_PAGE         64u
#define BY_LOCAL        32u
#define BY_PAGES        4u              /* of each */
#define BY_HOST_VA      (HOST_VA + BY_PAGE * PAGE)
#define BY_LOCAL_VA     (LOCAL_VA + BY_LOCAL * PAGE)
#define BY_VALUE        0x1234567890abull
#define BY_WINDOW       (ACCEL_FAKE_WINDOW + PAGE)
#define BY_QUEUES       2u

/* A page of the hostile context. */
typedef struct Slot {
    uint64_t va;
    uint64_t *entry;
    /* Bit n: an entry for target n that may be stored to was there since it was flushed. */
    uint64_t may;
} Slot;

typedef struct Stage {
    AccelFake *fake;
    uint8_t *ram, *local;               /* shadows */
    uint8_t owner[ACCEL_FAKE_RAM_PAGES + ACCEL_FAKE_LOCAL_PAGES];       /* or a target */
    uint64_t bus[TARGETS];
    Slot slots[TARGETS];
    uint32_t posted[SVAN_ACCEL_QUEUES];

    /* stores through windows: of the hostile context, and of the other */
    uint8_t answer;                     /* 0: made; 1: refused; 2: later */
    AccelStore late[4];
    uint32_t late_count, by_stores;

    uint32_t by_posted[BY_QUEUES];
    uint8_t by_host[BY_PAGES * PAGE], by_local[BY_PAGES * PAGE];        /* in the end */
} Stage;

static Stage stage;

static bool is_local(uint32_t target)
{
    return target >= HOST_TARGETS && target < RING_TARGET;
}

/* NULL: not memory of the device. */
static uint8_t *page_owner(bool local, uint64_t bus)
{
    uint64_t page = (local ? bus : bus - ACCEL_FAKE_RAM) / PAGE;

    return page < (local ? ACCEL_FAKE_LOCAL_PAGES : ACCEL_FAKE_RAM_PAGES) ?
           &stage.owner[page + (local ? ACCEL_FAKE_RAM_PAGES : 0)] : NULL;
}

/* The target that an entry leads to; TARGETS: none. */
static uint32_t entry_target(uint64_t entry)
{
    uint64_t bus = entry & SVAN_ACCEL_PTE_ADDR_MASK;
    const uint8_t *owner = page_owner(entry & SVAN_ACCEL_PTE_LOCAL, bus);

    if (entry & SVAN_ACCEL_PTE_WINDOW) {
        return bus == ACCEL_FAKE_WINDOW ? WINDOW_TARGET : TARGETS;
    }
    return owner && *owner < TARGETS ? *owner : TARGETS;
}

/* The target that the entry of the slot lets stores to, as a bit. */
static uint64_t slot_rights(const Slot *slot)
{
    uint64_t entry = le64toh(*slot->entry);
    uint32_t target = entry_target(entry);

    return (entry & SVAN_ACCEL_PTE_PRESENT) && target < TARGETS &&
           (target == WINDOW_TARGET || (entry & SVAN_ACCEL_PTE_WRITABLE)) ? 1ull << target : 0;
}

/* May the hostile context store to the target, by what it holds, or by its table? */
static bool hostile_may(uint32_t target)
{
    for (uint32_t i = 0; i < TARGETS; i++) {
        if (stage.slots[i].may >> target & 1) {
            return true;
        }
    }
    return false;
}

static uint8_t *shadow_at(const uint8_t *host)
{
    AccelFake *fake = stage.fake;

    return host >= fake->local && host < fake->local + LOCAL_SIZE ?
           stage.local + (host - fake->local) : stage.ram + (host - fake->ram);
}

/* The input, that is the CPU, stores. */
static void stage_poke(void *host, const void *data, size_t len)
{
    memcpy(host, data, len);
    memcpy(shadow_at(host), data, len);
    accel_fake_dirty(stage.fake, host);
}

static void written(AccelFake *fake, AccelSpace space, uint64_t addr, uint32_t len)
{
    uint8_t *host = space == ACCEL_LOCAL ? fake->local + addr :
                                           fake->ram + (addr - ACCEL_FAKE_RAM);
    uint8_t owner = *page_owner(space == ACCEL_LOCAL, addr);

    if (owner != BY_OWNER && (owner >= TARGETS || !hostile_may(owner))) {
        fake_die("a store to %s memory at %" PRIx64 " that nobody may store to",
                 space == ACCEL_LOCAL ? "local" : "host", addr);
    }
    memcpy(shadow_at(host), host, len);
}

/* Where a new device has got its memory back, the shadow has, too. */
static void stage_sync(const bool *dirty)
{
    for (uint32_t i = 0; i < ACCEL_FAKE_RAM_PAGES; i++) {
        if (dirty[i]) {
            memcpy(stage.ram + i * PAGE, stage.fake->ram + i * PAGE, PAGE);
        }
    }
    for (uint32_t i = 0; i < ACCEL_FAKE_LOCAL_PAGES; i++) {
        if (dirty[ACCEL_FAKE_RAM_PAGES + i]) {
            memcpy(stage.local + i * PAGE, stage.fake->local + i * PAGE, PAGE);
        }
    }
}

static void stage_check_memory(void)
{
    if (memcmp(stage.ram, stage.fake->ram, ACCEL_FAKE_RAM_PAGES * PAGE)) {
        fake_die("host memory was stored to in secret");
    }
    if (memcmp(stage.local, stage.fake->local, LOCAL_SIZE)) {
        fake_die("local memory was stored to in secret");
    }
}

/* ---- tables ---- */

/* The context has lost what it held of these pages. */
static void stage_flushed(uint64_t va, uint64_t pages)
{
    for (uint32_t i = 0; i < TARGETS; i++) {
        if (stage.slots[i].va / PAGE - va / PAGE < pages) {
            stage.slots[i].may = slot_rights(&stage.slots[i]);
        }
    }
}

static void stage_set_entry(Slot *slot, uint64_t entry)
{
    entry = htole64(entry);
    stage_poke(slot->entry, &entry, sizeof(entry));
    slot->may |= slot_rights(slot);
}

static uint64_t *leaf_of(uint32_t ctx, uint64_t va)
{
    uint64_t table = stage.fake->roots[ctx], *entry = NULL;

    for (uint32_t level = 3; level; level--) {
        entry = (uint64_t *)(stage.fake->ram + (table - ACCEL_FAKE_RAM)) +
                (va / PAGE >> 9 * (level - 1)) % 512;
        table = le64toh(*entry) & SVAN_ACCEL_PTE_ADDR_MASK;
    }
    return entry;
}

static void make_targets(void)
{
    AccelFake *fake = stage.fake;

    memset(stage.owner, NO_OWNER, sizeof(stage.owner));
    for (uint32_t i = 0; i < TARGETS; i++) {
        Slot *slot = &stage.slots[i];

        slot->va = i < HOST_TARGETS ? HOST_VA + i * PAGE :
                   i < RING_TARGET ? LOCAL_VA + (i - HOST_TARGETS) * PAGE :
                   i < WINDOW_TARGET ? fake->rings[HOSTILE][i - RING_TARGET] :
                   i == WINDOW_TARGET ? WINDOW_VA : READ_VA;
        slot->entry = leaf_of(HOSTILE, slot->va);
        stage.bus[i] = accel_fake_bus(fake, i == READ_TARGET ? READ_PAGE : slot->va);
        if (i != WINDOW_TARGET) {
            *page_owner(is_local(i), stage.bus[i]) = i;
        }
    }
    for (uint32_t i = 0; i < BY_PAGES; i++) {
        *page_owner(false, accel_fake_bus(fake, BY_HOST_VA + i * PAGE)) = BY_OWNER;
        *page_owner(true, accel_fake_bus(fake, BY_LOCAL_VA + i * PAGE)) = BY_OWNER;
    }
}

/* Each has what is its own, of what accel_fake_context() gives to everybody. */
static void make_tables(void)
{
    AccelFake *fake = stage.fake;

    for (uint32_t i = 0; i < ACCEL_FAKE_DATA_PAGES; i++) {
        if (i >= HOST_TARGETS) {
            accel_fake_entry(fake, HOSTILE, HOST_VA + i * PAGE, 0);
        }
        if (i - BY_PAGE >= BY_PAGES) {
            accel_fake_entry(fake, BYSTANDER, HOST_VA + i * PAGE, 0);
        }
    }
    for (uint32_t i = 0; i < ACCEL_FAKE_LOCAL_PAGES; i++) {
        if (i >= LOCAL_TARGETS) {
            accel_fake_entry(fake, HOSTILE, LOCAL_VA + i * PAGE, 0);
        }
        if (i - BY_LOCAL >= BY_PAGES) {
            accel_fake_entry(fake, BYSTANDER, LOCAL_VA + i * PAGE, 0);
        }
    }
    accel_fake_entry(fake, HOSTILE, READ_VA, stage.bus[READ_TARGET] | SVAN_ACCEL_PTE_PRESENT);
    accel_fake_entry(fake, BYSTANDER, WINDOW_VA,
                     BY_WINDOW | SVAN_ACCEL_PTE_PRESENT | SVAN_ACCEL_PTE_WINDOW);
}

#endif /* TESTS_FUZZ_ACCEL_STAGE_H */
