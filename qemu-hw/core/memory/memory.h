/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory: keys, and the way from (key, address) to host memory, through the tables
 * that drivers write and those of processes.
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
    uint32_t access;
    uint32_t pd;
    uint32_t pasid;
    uint32_t owner;
    uint32_t generation;
    uint64_t va, length, table;
    uint64_t origin;            /* address of the first octet to its users */
    uint64_t serial;            /* of the TLB entries; never used again */
    bool direct;                /* bus address = va + direct_offset, no walk */
    uint64_t direct_offset;
    uint32_t refs;              /* queues whose rings it covers */
} SvanKey;

/*
 * What the last svan_access() of the function that answered FAULT was about;
 * addresses as in the key's table.
 */
typedef struct SvanPageMiss {
    SvanKey *key;
    uint64_t va;                /* of the first octet that is not there */
    uint64_t len;               /* wanted from va on */
    uint64_t entry;             /* what stood in the table */
    uint64_t time_ns;           /* the table's estimate; 0 = unknown */
    uint8_t fault_class;        /* enum svan_fault_class */
    uint8_t source;             /* SVAN_ESTIMATE_ENTRY, _LOCATION, 0: none */
    uint8_t level;              /* of the entry, 1 = leaf */
    bool write;
    bool is_protected;          /* present, but not for this access */
    bool injected;              /* by the host: nobody is asked */
    bool injected_failure;
    uint64_t injected_ns;
} SvanPageMiss;

/* On whose behalf keys are used. */
typedef struct SvanUser {
    SvanFn *fn;
    uint32_t pd;
    uint32_t owner;             /* the verbs context: that of the UAR page */
    bool local_dma;             /* may use SVAN_KEY_LOCAL_DMA */
    bool can_wait;              /* for a page that is absent */
} SvanUser;

/* What is asked of svan_access(). */
typedef struct SvanAccess {
    SvanFn *fn;
    const SvanUser *user;       /* NULL: the device itself, by an internal key */
    uint32_t key;
    uint32_t len;               /* > 0 */
    uint64_t va;
    uint8_t access;             /* one SVAN_ACCESS_* right, 0 = local read */
} SvanAccess;

/*
 * translate() and map: a run that begins at va, within one page and no longer
 * than asked for. DONE, AGAIN (the table has changed meanwhile: in another step),
 * MISS, FAULT (fn->miss) or ERROR (*syndrome, enum svan_syndrome).
 * Bounds and rights are checked for the whole of len, not for the run alone.
 * The key's rights are; those of the QP (SvanQp.access) are the responder's.
 */
SvanStep svan_access(const SvanAccess *access, SvanMem *mem,
                     uint32_t *syndrome);
/* The step has stored to mem. */
void svan_stored(SvanFn *fn, const SvanMem *mem);
/* The checks alone: key, PD, rights, bounds. DONE or ERROR. len may be 0. */
SvanStep svan_check_access(const SvanAccess *access, uint32_t *syndrome);
/* Bus address of the function, within one page (commands, EQs). */
SvanStep svan_map_bus(SvanFn *fn, uint64_t bus, uint32_t len, bool for_write,
                      SvanMem *mem);
/*
 * svan_access() to a ring of the device's own; key is an internal one. What does
 * not lie within one page is an ERROR.
 */
SvanStep svan_ring_access(SvanKey *key, uint64_t va, uint32_t len,
                          bool for_write, SvanMem *mem, uint32_t *syndrome);
void svan_tlb_flush_key(SvanKey *key);
void svan_tlb_flush(SvanFn *fn);
/* SVAN_REG_INV_GO: what overlaps [addr, addr + len) of a key; len 0: all of it. */
void svan_invalidate_key(SvanFn *fn, uint32_t key, uint64_t addr, uint64_t len);
/* The key's fields have just been set. */
void svan_key_prepare(SvanKey *key);

/* May an access to keys of the kind meet an absent page? */
static inline bool svan_key_is_pageable(uint8_t kind)
{
    return kind == SVAN_KEY_ONDEMAND || kind == SVAN_KEY_PROCESS;
}

uint32_t svan_key_create(SvanFn *fn, const struct svan_cmd_create_key *cmd,
                         uint32_t id, SvanKey **out);
uint32_t svan_key_modify(SvanKey *key, const struct svan_cmd_modify_key *cmd);
/* refs is 0, and nobody waits for a page of it: svan_page_key_gone() */
void svan_key_destroy(SvanKey *key);

/* ---- process contexts ---- */

/* What the TLB holds of a process. */
typedef struct SvanContext {
    uint64_t serial;            /* of its entries, as SvanKey.serial; 0: none */
    uint64_t limit;             /* end of user space */
    uint32_t generation;        /* of the context that they come from */
    bool huge;                  /* some of them are of larger leaves */
} SvanContext;

uint32_t svan_context_table_set(SvanFn *fn,
                                const struct svan_cmd_context_table *cmd);
void svan_context_table_clear(SvanFn *fn);          /* process_keys is 0 */
/* SVAN_REG_INV_CONTEXT */
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
    SvanTlbEntry *tlb;          /* tlb_mask + 1, a power of two */
    uint32_t tlb_mask;
    uint32_t tlb_max;           /* entries that it gets as it is filled first */
    uint64_t tlb_generation;
    SvanTlbEntry tlb_first;     /* all of it until then */
    SvanPageMiss miss;
    struct {
        uint64_t addr;          /* bus address */
        uint32_t count;         /* 0: none */
    } context_table;
    SvanContext *contexts;      /* by PASID, as many as context_table has */
    uint32_t process_keys;      /* that exist */
} SvanMemory;

/* NULL: stale */
static inline SvanKey *svan_key_get(SvanFn *fn, uint32_t key)
{
    SvanKey *k = svan_table_get(&fn->memory->keys, key >> SVAN_KEY_INDEX_SHIFT);

    return k && k->key == key ? k : NULL;
}

#endif /* SVAN_MEMORY_H */
