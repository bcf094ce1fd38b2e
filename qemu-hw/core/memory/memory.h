/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory: keys, and the translation of (key, address) to host memory, by the tables
 * that drivers write and by the page tables of processes.
 */
#ifndef SVAN_MEMORY_H
#define SVAN_MEMORY_H

#include "base/base.h"

typedef struct SvanInjections SvanInjections;

/* A piece of memory within one page, usable until the step ends. */
typedef struct SvanMem {
    uint8_t *host;
    uint64_t bus;
    uint32_t len;
} SvanMem;

typedef struct SvanKey {
    SvanFn *fn;
    uint32_t key;               /* index << 8 | variant */
    uint8_t kind;               /* enum svan_key_kind */
    uint8_t flags;              /* SVAN_CMD_KEY_* */
    uint8_t levels;
    uint8_t page_shift;
    uint32_t access;            /* SVAN_ACCESS_* */
    uint32_t pd;
    uint32_t pasid;
    uint32_t owner;             /* the verbs context; process keys only */
    uint32_t generation;        /* of the process context; process keys only */
    uint64_t va, length, table;
    uint64_t origin;            /* address that users give to the first octet */
    uint64_t serial;            /* of its TLB entries; never given out again */
    bool direct;                /* bus address = va + direct_offset, no walk */
    uint64_t direct_offset;
    uint32_t refs;              /* queues and counters whose memory it covers */
} SvanKey;

/*
 * The page miss of the function's last access that answered FAULT. Addresses are those
 * of the key's table.
 */
typedef struct SvanPageMiss {
    SvanKey *key;
    uint64_t va;                /* of the first octet that is absent */
    uint64_t len;               /* octets wanted from va on */
    uint64_t entry;             /* what stood in the table */
    uint64_t time_ns;           /* the table's estimate; 0 = unknown */
    uint8_t fault_class;        /* enum svan_fault_class */
    uint8_t source;             /* SVAN_ESTIMATE_ENTRY, _LOCATION; 0: no estimate */
    uint8_t level;              /* of the entry, 1 = leaf */
    bool write;
    bool is_protected;          /* present, but not for this access */
    bool injected;              /* by the host: the driver is not asked */
    bool injected_failure;      /* the page never comes */
    uint64_t injected_ns;       /* how long the page takes */
} SvanPageMiss;

/* The queue pair, or other object, on whose behalf a key is used. */
typedef struct SvanUser {
    SvanFn *fn;
    uint32_t pd;
    uint32_t owner;             /* the verbs context: that of the UAR page */
    uint32_t uar;               /* that page, of a queue pair */
    bool local_dma;             /* may use SVAN_KEY_LOCAL_DMA */
    bool can_wait;              /* may meet absent pages, and wait for them */
} SvanUser;

/* An access that svan_access() is asked for. */
typedef struct SvanAccess {
    SvanFn *fn;
    const SvanUser *user;       /* NULL: the device itself, by an internal key */
    uint32_t key;
    uint32_t len;               /* > 0 */
    uint64_t va;
    uint8_t access;             /* one SVAN_ACCESS_* right, 0 = local read */
} SvanAccess;

/*
 * Check, translate and map: *mem is a run that begins at va, within one page and no
 * longer than asked for. DONE, AGAIN (the table changed during the walk: try again in
 * another step), MISS, FAULT (fn->memory->miss) or ERROR (*syndrome, enum
 * svan_syndrome). Bounds and rights are checked for the whole of len, not for the run
 * alone. The rights are those of the key; the responder checks those of the queue pair
 * (SvanQp.access).
 */
SvanStep svan_access(const SvanAccess *access, SvanMem *mem,
                     uint32_t *syndrome);
/* Report that the step has stored to mem. */
void svan_stored(SvanFn *fn, const SvanMem *mem);
/* Only the checks of key, PD, rights and bounds. DONE or ERROR. len may be 0. */
SvanStep svan_check_access(const SvanAccess *access, uint32_t *syndrome);
/* Map len octets at a bus address, all within one page. DONE, MISS or ERROR. */
SvanStep svan_map_bus(SvanFn *fn, uint64_t bus, uint32_t len, bool for_write,
                      SvanMem *mem);
/*
 * svan_access() by the device itself, to a ring or doorbell record that the INTERNAL
 * key covers. An access that crosses a page boundary is an ERROR.
 */
SvanStep svan_ring_access(SvanKey *key, uint64_t va, uint32_t len,
                          bool for_write, SvanMem *mem, uint32_t *syndrome);
/*
 * Clear the next part of [va, va + len), from octet *done on and within one page. DONE, or
 * AGAIN, MISS, ERROR.
 */
SvanStep svan_ring_clear(SvanKey *key, uint64_t va, uint64_t len, uint64_t *done);
void svan_tlb_flush_key(SvanKey *key);
void svan_tlb_flush(SvanFn *fn);
/* SVAN_REG_INV_GO: drop what overlaps [addr, addr + len) of a key; len 0: all of it. */
void svan_invalidate_key(SvanFn *fn, uint32_t key, uint64_t addr, uint64_t len);
/* Derive the fields that depend on the command's, and drop the key's TLB entries. */
void svan_key_prepare(SvanKey *key);

/* May an access to keys of the kind meet an absent page? */
static inline bool svan_key_is_pageable(uint8_t kind)
{
    return kind == SVAN_KEY_ONDEMAND || kind == SVAN_KEY_PROCESS;
}

uint32_t svan_key_create(SvanFn *fn, const struct svan_cmd_create_key *cmd,
                         uint32_t id, SvanKey **out);
uint32_t svan_key_modify(SvanKey *key, const struct svan_cmd_modify_key *cmd);
/* refs is 0, and no transfer waits for a page of the key (svan_page_key_gone()). */
void svan_key_destroy(SvanKey *key);

/* ---- process contexts ---- */

/* What the TLB holds of a process. */
typedef struct SvanContext {
    uint64_t serial;            /* of its entries, as SvanKey.serial; 0: no entries */
    uint64_t limit;             /* end of user space */
    uint32_t generation;        /* of the process context that they come from */
    bool huge;                  /* some of them are from leaves above 4 KiB */
} SvanContext;

uint32_t svan_context_table_set(SvanFn *fn,
                                const struct svan_cmd_context_table *cmd);
void svan_context_table_clear(SvanFn *fn);          /* process_keys is 0 */
/* A write of value to SVAN_REG_INV_CONTEXT(pasid). */
void svan_invalidate_context(SvanFn *fn, uint32_t pasid, uint64_t value);

/* ---- the part of a function ---- */

typedef struct SvanTlbEntry {
    uint64_t serial;            /* SvanKey's or SvanContext's, 0 = free */
    uint64_t page;              /* va >> page_shift of the key */
    uint64_t bus;               /* of the page; bit 0: writable */
    uint64_t generation;        /* SvanMemory.tlb_generation when it was filled */
} SvanTlbEntry;

#define SVAN_TLB_WRITABLE       1ull

void svan_tlb_init(struct SvanMemory *memory, uint32_t max_key);
void svan_tlb_fini(struct SvanMemory *memory);

typedef struct SvanMemory {
    SvanTable pds;              /* slot: uint32_t *refs */
    SvanTable keys;
    uint64_t key_serial;        /* last one given out */
    SvanTlbEntry *tlb;          /* tlb_mask + 1 entries, a power of two */
    uint32_t tlb_mask;
    uint32_t tlb_max;           /* entries that tlb has once one was filled */
    uint64_t tlb_generation;
    SvanTlbEntry tlb_first;     /* what tlb points to until then */
    SvanPageMiss miss;
    struct {
        uint64_t addr;          /* bus address */
        uint32_t count;         /* 0: none */
    } context_table;
    SvanContext *contexts;      /* by PASID, context_table.count of them */
    uint32_t process_keys;      /* how many exist */
} SvanMemory;

/* NULL: there is no such key, or not any more. */
static inline SvanKey *svan_key_get(SvanFn *fn, uint32_t key)
{
    SvanKey *k = svan_table_get(&fn->memory->keys, key >> SVAN_KEY_INDEX_SHIFT);

    return k && k->key == key ? k : NULL;
}

#endif /* SVAN_MEMORY_H */
