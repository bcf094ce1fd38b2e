// SPDX-License-Identifier: GPL-2.0-only
/*
 * Translation tables of on-demand keys: the radix tree of svan/keys.h. Tables exist
 * only where pages are entered; pages without a table are absent.
 *
 * The device reads the tables while the driver writes them. So each entry is written
 * by one store, and a table is written before the entry that points to it. Tables are
 * made and freed under svan_odp.lock. The entries of a leaf table are written under
 * the lock of the region's part, and the table is freed only after the part.
 */

#include <kunit/visibility.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/slab.h>

#include "svan_odp.h"

/**
 * struct svan_radix_table - a table of 512 entries
 * @entries: the entries, read by the device
 * @dma: bus address of @entries
 * @used: number of entries that are present
 * @dead: link in the list of tables that svan_radix_prune() has taken out
 */
struct svan_radix_table {
	__le64 *entries;
	dma_addr_t dma;
	u32 used;
	struct list_head dead;
};

static struct svan_radix_table *svan_radix_table(struct svan_radix *radix,
						 u32 level, u64 number)
{
	return xa_load(&radix->tables[level], number);
}

static void svan_radix_sync(const struct svan_radix *radix,
			    const struct svan_radix_table *table, u32 slot,
			    u32 count)
{
	dma_sync_single_for_device(radix->dma_dev,
				   table->dma + slot * sizeof(__le64),
				   count * sizeof(__le64), DMA_TO_DEVICE);
}

static u64 svan_radix_load(const struct svan_radix_table *table, u32 slot)
{
	return le64_to_cpu(READ_ONCE(table->entries[slot]));
}

static void svan_radix_store(struct svan_radix_table *table, u32 slot,
			     u64 entry)
{
	table->used -= svan_radix_load(table, slot) & SVAN_MTT_PRESENT;
	table->used += entry & SVAN_MTT_PRESENT;
	WRITE_ONCE(table->entries[slot], cpu_to_le64(entry));
}

static struct svan_radix_table *svan_radix_alloc_table(struct svan_radix *radix)
{
	struct svan_radix_table *table;

	table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return NULL;
	table->entries = (__le64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!table->entries)
		goto free_table;
	table->dma = dma_map_single(radix->dma_dev, table->entries,
				    SVAN_MTT_TABLE_SIZE, DMA_TO_DEVICE);
	if (dma_mapping_error(radix->dma_dev, table->dma))
		goto free_entries;
	return table;

free_entries:
	free_page((unsigned long)table->entries);
free_table:
	kfree(table);
	return NULL;
}

static void svan_radix_free_table(struct svan_radix *radix,
				  struct svan_radix_table *table)
{
	dma_unmap_single(radix->dma_dev, table->dma, SVAN_MTT_TABLE_SIZE,
			 DMA_TO_DEVICE);
	free_page((unsigned long)table->entries);
	kfree(table);
}

/* Write the entry that points to a table into the table above it. */
static void svan_radix_link(struct svan_radix *radix, u32 level, u64 number,
			    const struct svan_radix_table *table)
{
	struct svan_radix_table *parent;
	u32 slot = number % SVAN_MTT_TABLE_ENTRIES;

	parent = svan_radix_table(radix, level + 1,
				  number >> SVAN_MTT_INDEX_BITS);
	/*
	 * The entries of the table are written before the entry that points to it.
	 * The other side of this barrier is the device's walk: it cannot read an
	 * entry of the table before the parent's entry has told it where that is.
	 */
	dma_wmb();
	svan_radix_store(parent, slot, svan_mtt_present(table->dma, 0));
	svan_radix_sync(radix, parent, slot, 1);
}

/* Make table @number of a level, if there is none. */
static int svan_radix_add(struct svan_radix *radix, u32 level, u64 number)
{
	struct svan_radix_table *table;
	int err;

	if (svan_radix_table(radix, level, number))
		return 0;

	table = svan_radix_alloc_table(radix);
	if (!table)
		return -ENOMEM;
	err = xa_err(xa_store(&radix->tables[level], number, table,
			      GFP_KERNEL_ACCOUNT));
	if (err) {
		svan_radix_free_table(radix, table);
		return err;
	}
	WRITE_ONCE(radix->count, radix->count + 1);
	if (level == radix->levels - 1)
		radix->root = table->dma;
	else
		svan_radix_link(radix, level, number, table);
	return 0;
}

/**
 * svan_radix_init - make a tree that consists of its root
 * @radix: the tree
 * @dma_dev: the device that reads it
 * @pages: number of pages of 4 KiB that it must be able to hold
 *
 * Return: 0 or an error.
 */
int svan_radix_init(struct svan_radix *radix, struct device *dma_dev, u64 pages)
{
	u64 reach = SVAN_MTT_TABLE_ENTRIES;
	u32 i;
	int err;

	BUILD_BUG_ON(SVAN_MTT_PRESENT != 1);	/* svan_radix_store() adds the bit */

	for (radix->levels = 1; reach < pages; radix->levels++) {
		if (radix->levels == SVAN_MTT_MAX_LEVELS)
			return -EINVAL;
		reach <<= SVAN_MTT_INDEX_BITS;
	}
	radix->dma_dev = dma_dev;
	for (i = 0; i < SVAN_MTT_MAX_LEVELS; i++)
		xa_init_flags(&radix->tables[i], XA_FLAGS_ACCOUNT);

	err = svan_radix_add(radix, radix->levels - 1, 0);
	if (err)
		svan_radix_destroy(radix);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(svan_radix_init);

/* Free all tables. The key is destroyed, so the device does not read them any more. */
void svan_radix_destroy(struct svan_radix *radix)
{
	struct svan_radix_table *table;
	unsigned long number;
	u32 i;

	for (i = 0; i < SVAN_MTT_MAX_LEVELS; i++) {
		xa_for_each(&radix->tables[i], number, table) {
			svan_radix_free_table(radix, table);
			cond_resched();
		}
		xa_destroy(&radix->tables[i]);
	}
	radix->count = 0;
}
EXPORT_SYMBOL_IF_KUNIT(svan_radix_destroy);

/**
 * svan_radix_grow - make the tables that lead to a page
 * @radix: the tree
 * @page: number of the page
 *
 * svan_odp.lock is held. Memory is allocated, so the caller must not hold a lock that
 * an invalidation takes. After an error svan_radix_prune() removes the tables that
 * were made.
 *
 * Return: 0 or an error.
 */
int svan_radix_grow(struct svan_radix *radix, u64 page)
{
	int level, err = 0;

	for (level = radix->levels - 2; level >= 0 && !err; level--)
		err = svan_radix_add(radix, level,
				     page >> (level + 1) * SVAN_MTT_INDEX_BITS);
	return err;
}
EXPORT_SYMBOL_IF_KUNIT(svan_radix_grow);

/**
 * svan_radix_prune - take out the tables that lead to a page, if they are empty
 * @radix: the tree
 * @page: number of the page
 * @dead: list to add them to, for svan_radix_bury()
 *
 * svan_odp.lock is held, and nobody writes entries of the leaf table meanwhile. The
 * root stays.
 */
void svan_radix_prune(struct svan_radix *radix, u64 page,
		      struct list_head *dead)
{
	struct svan_radix_table *table, *parent;
	u32 level, slot;

	for (level = 0; level + 1 < radix->levels; level++) {
		page >>= SVAN_MTT_INDEX_BITS;
		table = svan_radix_table(radix, level, page);
		if (!table)
			continue;
		if (table->used)
			return;
		parent = svan_radix_table(radix, level + 1,
					  page >> SVAN_MTT_INDEX_BITS);
		slot = page % SVAN_MTT_TABLE_ENTRIES;
		svan_radix_store(parent, slot, 0);
		svan_radix_sync(radix, parent, slot, 1);
		xa_erase(&radix->tables[level], page);
		WRITE_ONCE(radix->count, radix->count - 1);
		list_add(&table->dead, dead);
	}
}
EXPORT_SYMBOL_IF_KUNIT(svan_radix_prune);

/* Free tables taken out, after the device has dropped the translations of the key. */
void svan_radix_bury(struct svan_radix *radix, struct list_head *dead)
{
	struct svan_radix_table *table, *next;

	list_for_each_entry_safe(table, next, dead, dead)
		svan_radix_free_table(radix, table);
	INIT_LIST_HEAD(dead);
}
EXPORT_SYMBOL_IF_KUNIT(svan_radix_bury);

/* Write the entry of a page, whose table exists. */
void svan_radix_set(struct svan_radix *radix, u64 page, u64 entry)
{
	struct svan_radix_table *table;
	u32 slot = page % SVAN_MTT_TABLE_ENTRIES;

	table = svan_radix_table(radix, 0, page >> SVAN_MTT_INDEX_BITS);
	if (WARN_ON_ONCE(!table))
		return;
	svan_radix_store(table, slot, entry);
	svan_radix_sync(radix, table, slot, 1);
}
EXPORT_SYMBOL_IF_KUNIT(svan_radix_set);

/* The entry of a page, or 0 if it has no table. */
u64 svan_radix_get(struct svan_radix *radix, u64 page)
{
	struct svan_radix_table *table;

	table = svan_radix_table(radix, 0, page >> SVAN_MTT_INDEX_BITS);
	return table ? svan_radix_load(table, page % SVAN_MTT_TABLE_ENTRIES) : 0;
}
EXPORT_SYMBOL_IF_KUNIT(svan_radix_get);

/**
 * svan_radix_clear - make the present entries of a range of pages absent
 * @radix: the tree
 * @first: number of the first page
 * @last: number of the last page, which is in the same leaf table
 * @entry: the absent entry
 *
 * Return: true if an entry was present.
 */
bool svan_radix_clear(struct svan_radix *radix, u64 first, u64 last, u64 entry)
{
	struct svan_radix_table *table;
	u32 from = first % SVAN_MTT_TABLE_ENTRIES;
	u32 to = last % SVAN_MTT_TABLE_ENTRIES, slot;
	bool changed = false;

	table = svan_radix_table(radix, 0, first >> SVAN_MTT_INDEX_BITS);
	if (!table)
		return false;
	for (slot = from; slot <= to; slot++) {
		if (!(svan_radix_load(table, slot) & SVAN_MTT_PRESENT))
			continue;
		svan_radix_store(table, slot, entry);
		changed = true;
	}
	if (changed)
		svan_radix_sync(radix, table, from, to - from + 1);
	return changed;
}
EXPORT_SYMBOL_IF_KUNIT(svan_radix_clear);
