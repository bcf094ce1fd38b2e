/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Memory keys, translation tables and the process context table
 * (PRM chapter "Translation").
 */
#ifndef SVAN_KEYS_H
#define SVAN_KEYS_H

#include "types.h"

/*
 * A key has 32 bits: 31..8 are its index, 7..0 its variant. The device gives a new
 * variant each time an index is used again, so that a stale key is refused.
 */
#define SVAN_KEY_INDEX_SHIFT	8
#define SVAN_KEY_VARIANT_MASK	0xffu

/* index 0: bus addresses of the function, privileged queues only */
#define SVAN_KEY_LOCAL_DMA	0u

enum svan_key_kind {
	SVAN_KEY_PHYS		= 0,	/* bus addresses, no table */
	SVAN_KEY_PINNED		= 1,
	SVAN_KEY_ONDEMAND	= 2,	/* SVAN_CAP_ONDEMAND_KEYS */
	SVAN_KEY_PROCESS	= 3,	/* SVAN_CAP_PROCESS_KEYS */
	SVAN_KEY_DEVMEM		= 4,	/* SVAN_CAP_DEVMEM_KEYS */
};

/* access rights, of keys and (the remote ones) of queue pairs */
#define SVAN_ACCESS_LOCAL_WRITE		0x01
#define SVAN_ACCESS_REMOTE_WRITE	0x02
#define SVAN_ACCESS_REMOTE_READ		0x04
#define SVAN_ACCESS_REMOTE_ATOMIC	0x08
#define SVAN_ACCESS_BIND		0x10	/* reserved: memory windows */
#define SVAN_ACCESS_ZERO_BASED		0x20
#define SVAN_ACCESS_RELAXED_ORDERING	0x40
#define SVAN_ACCESS_FLUSH		0x80	/* reserved */
#define SVAN_ACCESS_MASK		0x6f	/* what keys accept */
#define SVAN_ACCESS_REMOTE_MASK \
	(SVAN_ACCESS_REMOTE_WRITE | SVAN_ACCESS_REMOTE_READ | \
	 SVAN_ACCESS_REMOTE_ATOMIC)

/*
 * Translation table: a radix tree of 4096-byte tables of 512 entries. A key
 * with levels = 0 has no table: `table` is the bus address of the one
 * contiguous region. With levels = n the index of a page is cut into n
 * groups of 9 bits, the most significant first; the root may be used in part.
 * Entries of upper tables hold the next table's address and PRESENT.
 */
#define SVAN_MTT_TABLE_SIZE	4096
#define SVAN_MTT_TABLE_ENTRIES	512
#define SVAN_MTT_INDEX_BITS	9
#define SVAN_MTT_MAX_LEVELS	4

/* present entry: other bits are zero */
#define SVAN_MTT_PRESENT	0x0000000000000001ull
#define SVAN_MTT_WRITABLE	0x0000000000000002ull	/* leaf only */
#define SVAN_MTT_ADDR_MASK	0x000ffffffffff000ull

/*
 * Absent entry (PRESENT clear): the fault class, and the time in nanoseconds that
 * the page is expected to take; 0 = unknown (PRM "Estimates"). All zeroes is a valid
 * absent entry. This is for on-demand keys; absent entries of other kinds of keys are
 * access errors.
 */
#define SVAN_MTT_ABSENT_CLASS_MASK	0x00000000000000feull
#define SVAN_MTT_ABSENT_CLASS_SHIFT	1
#define SVAN_MTT_ABSENT_TIME_MASK	0xffffffffffff0000ull
#define SVAN_MTT_ABSENT_TIME_SHIFT	16

static inline __u64 svan_mtt_present(__u64 addr, int writable)
{
	return (addr & SVAN_MTT_ADDR_MASK) | SVAN_MTT_PRESENT |
	       (writable ? SVAN_MTT_WRITABLE : 0);
}

static inline __u32 svan_mtt_absent_class(__u64 entry)
{
	return (entry & SVAN_MTT_ABSENT_CLASS_MASK) >> SVAN_MTT_ABSENT_CLASS_SHIFT;
}

static inline __u64 svan_mtt_absent_time(__u64 entry)
{
	return entry >> SVAN_MTT_ABSENT_TIME_SHIFT;
}

static inline __u64 svan_mtt_absent(__u32 fault_class, __u64 time_ns)
{
	__u64 limit = SVAN_MTT_ABSENT_TIME_MASK >> SVAN_MTT_ABSENT_TIME_SHIFT;

	if (time_ns > limit)
		time_ns = limit;
	return (((__u64)fault_class << SVAN_MTT_ABSENT_CLASS_SHIFT) &
		SVAN_MTT_ABSENT_CLASS_MASK) |
	       (time_ns << SVAN_MTT_ABSENT_TIME_SHIFT);
}

/*
 * Process context, an element of the process context table in host memory,
 * indexed by PASID (1..; no process has PASID 0) and written by the kernel, but for
 * `cached`. The kernel writes `flags` last when it makes a context valid. When it takes
 * one back it clears `flags` first, and then invalidates the whole PASID (PRM
 * "Translation", "Process contexts").
 */
#define SVAN_CTX_VALID		0x0001
#define SVAN_CTX_FORMAT_MASK	0x00f0	/* enum svan_pt_format */
#define SVAN_CTX_FORMAT_SHIFT	4
#define SVAN_CTX_LEVELS_MASK	0x0f00	/* 4 or 5 */
#define SVAN_CTX_LEVELS_SHIFT	8

enum svan_pt_format {
	SVAN_PT_X86_64		= 1,
};

struct svan_process_context {
	__le64	root;			/* bus address of the top table */
	__le32	flags;			/* SVAN_CTX_* */
	__le32	generation;		/* as in the keys that may use it */
	__le64	location_table;		/* bus address, 4096-aligned, 0 = none */
	__le32	location_entries;
	__le32	reserved0;
	__u8	reserved1[24];
	__le32	cached;			/* device writes: it may hold translations */
	__le32	reserved2;
};

SVAN_ASSERT_SIZE(struct svan_process_context, 64);
SVAN_ASSERT_OFFSET(struct svan_process_context, location_table, 16);
SVAN_ASSERT_OFFSET(struct svan_process_context, cached, 56);

/* page table entries of SVAN_PT_X86_64 */
#define SVAN_PTE_PRESENT	0x0000000000000001ull
#define SVAN_PTE_WRITABLE	0x0000000000000002ull
#define SVAN_PTE_USER		0x0000000000000004ull
#define SVAN_PTE_ACCESSED	0x0000000000000020ull
#define SVAN_PTE_DIRTY		0x0000000000000040ull
#define SVAN_PTE_LARGE		0x0000000000000080ull	/* levels 2 and 3 */
#define SVAN_PTE_ADDR_MASK	0x000ffffffffff000ull
#define SVAN_PTE_PROTNONE	0x0000000000000100ull	/* Linux, absent only */
#define SVAN_PTE_SWAP_SHIFT	59			/* Linux, absent: type */
#define SVAN_PTE_SWAP_TYPES	32

/*
 * Indices into the location table of a process context: where an absent page is. The
 * table has a 64-bit word for each, class and time in the form of an absent translation
 * entry.
 */
#define SVAN_LOCATION_NONE	0	/* never touched: the entry is empty */
#define SVAN_LOCATION_PROTNONE	1
#define SVAN_LOCATION_SWAP	2	/* + swap type */
#define SVAN_LOCATION_COUNT	(SVAN_LOCATION_SWAP + SVAN_PTE_SWAP_TYPES)

/* Where an absent page is, by its entry in a page table of SVAN_PT_X86_64 */
static inline __u32 svan_pte_location(__u64 pte)
{
	if (!pte)
		return SVAN_LOCATION_NONE;
	if (pte & SVAN_PTE_PROTNONE)
		return SVAN_LOCATION_PROTNONE;
	return SVAN_LOCATION_SWAP + (__u32)(pte >> SVAN_PTE_SWAP_SHIFT);
}

#endif /* SVAN_KEYS_H */
