// SPDX-License-Identifier: GPL-2.0-only
/*
 * Translation tables of on-demand keys: the radix tree of svan/keys.h, which
 * grows as its pages are entered. What is not there yet is absent.
 *
 * The device reads the tables while they are written: each entry by one store,
 * a table before the entry that leads to it. Tables stay until the end, so they
 * are found without a lock; who writes entries holds the umem_mutex of the part.
 */

#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/slab.h>

#include "svan_odp.h"

static struct svan_mtt_table *svan_radix_table(struct svan_radix *radix,
					       u32 level, u64 number)
{
	return xa_load(&radix->tables[level], number);
}

static void svan_radix_sync(struct svan_ib_dev *dev,
			    const struct svan_mtt_table *table, u32 slot,
			    u32 count)
{
	dma_sync_single_for_device(svan_ib_dma_device(dev),
				   table->dma + slot * sizeof(__le64),
				   count * sizeof(__le64), DMA_TO_DEVICE);
}

static void svan_radix_store(struct svan_mtt_table *table, u32 slot, u64 entry)
{
	WRITE_ONCE(table->entries[slot], cpu_to_le64(entry));
}

static u64 svan_radix_load(const struct svan_mtt_table *table, u32 slot)
{
	return le64_to_cpu(READ_ONCE(table->entries[slot]));
}

static struct svan_mtt_table *svan_radix_alloc_table(struct svan_ib_dev *dev)
{
	struct device *dma_dev = svan_ib_dma_device(dev);
	struct svan_mtt_table *table;

	table = kzalloc(sizeof(*table), GFP_KERNEL);
	if (!table)
		return NULL;
	table->entries = (__le64 *)get_zeroed_page(GFP_KERNEL);
	if (!table->entries)
		goto free_table;
	table->dma = dma_map_single(dma_dev, table->entries,
				    SVAN_MTT_TABLE_SIZE, DMA_TO_DEVICE);
	if (dma_mapping_error(dma_dev, table->dma))
		goto free_entries;
	return table;

free_entries:
	free_page((unsigned long)table->entries);
free_table:
	kfree(table);
	return NULL;
}

static void svan_radix_free_table(struct svan_ib_dev *dev,
				  struct svan_mtt_table *table)
{
	dma_unmap_single(svan_ib_dma_device(dev), table->dma,
			 SVAN_MTT_TABLE_SIZE, DMA_TO_DEVICE);
	free_page((unsigned long)table->entries);
	kfree(table);
}

/* Make table @number of a level and hang it into the one above it. */
static int svan_radix_add(struct svan_ib_dev *dev, struct svan_radix *radix,
			  u32 level, u64 number)
{
	struct svan_mtt_table *table, *parent;
	u32 slot;
	int err;

	if (svan_radix_table(radix, level, number))
		return 0;

	table = svan_radix_alloc_table(dev);
	if (!table)
		return -ENOMEM;
	err = xa_err(xa_store(&radix->tables[level], number, table, GFP_KERNEL));
	if (err) {
		svan_radix_free_table(dev, table);
		return err;
	}
	radix->count++;
	if (level == radix->levels - 1) {
		radix->root = table->dma;
		return 0;
	}

	parent = svan_radix_table(radix, level + 1,
				  number >> SVAN_MTT_INDEX_BITS);
	slot = number % SVAN_MTT_TABLE_ENTRIES;
	/*
	 * The table's entries before the one that leads to it. In the device
	 * this pairs with the order of its walk: it reads an entry of the table
	 * only after the parent's has told it where the table is.
	 */
	dma_wmb();
	svan_radix_store(parent, slot, svan_mtt_present(table->dma, 0));
	svan_radix_sync(dev, parent, slot, 1);
	return 0;
}

/**
 * svan_radix_init - start a tree, with its root alone
 * @dev: the device
 * @radix: what to fill in
 * @pages: pages of 4 KiB it can hold
 */
int svan_radix_init(struct svan_ib_dev *dev, struct svan_radix *radix,
		    u64 pages)
{
	u64 reach = SVAN_MTT_TABLE_ENTRIES;
	u32 i;
	int err;

	for (radix->levels = 1; reach < pages; radix->levels++) {
		if (radix->levels == SVAN_MTT_MAX_LEVELS)
			return -EINVAL;
		reach <<= SVAN_MTT_INDEX_BITS;
	}
	for (i = 0; i < SVAN_MTT_MAX_LEVELS; i++)
		xa_init(&radix->tables[i]);

	err = svan_radix_add(dev, radix, radix->levels - 1, 0);
	if (err)
		svan_radix_destroy(dev, radix);
	return err;
}

/* The key is gone: the device does not read the tables any more. */
void svan_radix_destroy(struct svan_ib_dev *dev, struct svan_radix *radix)
{
	struct svan_mtt_table *table;
	unsigned long number;
	u32 i;

	for (i = 0; i < SVAN_MTT_MAX_LEVELS; i++) {
		xa_for_each(&radix->tables[i], number, table) {
			svan_radix_free_table(dev, table);
			cond_resched();
		}
		xa_destroy(&radix->tables[i]);
	}
}

/**
 * svan_radix_grow - make the tables for a range of pages
 * @dev: the device
 * @radix: the tree
 * @first: first page
 * @last: last page
 *
 * One caller at a time. Allocates, so no lock may be held that an invalidation
 * takes.
 */
int svan_radix_grow(struct svan_ib_dev *dev, struct svan_radix *radix,
		    u64 first, u64 last)
{
	u64 number, shift;
	int level, err = 0;

	for (level = radix->levels - 2; level >= 0 && !err; level--) {
		shift = (level + 1) * SVAN_MTT_INDEX_BITS;
		for (number = first >> shift; number <= last >> shift && !err;
		     number++)
			err = svan_radix_add(dev, radix, level, number);
	}
	return err;
}

/* Write the entry of a page; its table exists. */
void svan_radix_set(struct svan_ib_dev *dev, struct svan_radix *radix,
		    u64 page, u64 entry)
{
	struct svan_mtt_table *table;
	u32 slot = page % SVAN_MTT_TABLE_ENTRIES;

	table = svan_radix_table(radix, 0, page >> SVAN_MTT_INDEX_BITS);
	if (WARN_ON_ONCE(!table))
		return;
	svan_radix_store(table, slot, entry);
	svan_radix_sync(dev, table, slot, 1);
}

/* The entry of a page, 0 where there is no table. */
u64 svan_radix_get(struct svan_radix *radix, u64 page)
{
	struct svan_mtt_table *table;

	table = svan_radix_table(radix, 0, page >> SVAN_MTT_INDEX_BITS);
	return table ? svan_radix_load(table, page % SVAN_MTT_TABLE_ENTRIES) : 0;
}

static bool svan_radix_clear_leaf(struct svan_ib_dev *dev,
				  struct svan_mtt_table *table, u32 first,
				  u32 last, u64 entry)
{
	bool changed = false;
	u32 slot;

	for (slot = first; slot <= last; slot++) {
		if (!(svan_radix_load(table, slot) & SVAN_MTT_PRESENT))
			continue;
		svan_radix_store(table, slot, entry);
		changed = true;
	}
	if (changed)
		svan_radix_sync(dev, table, first, last - first + 1);
	return changed;
}

/**
 * svan_radix_clear - make the present ones of a range of pages absent
 * @dev: the device
 * @radix: the tree
 * @first: first page
 * @last: last page
 * @entry: the absent entry
 *
 * Return: whether there was one.
 */
bool svan_radix_clear(struct svan_ib_dev *dev, struct svan_radix *radix,
		      u64 first, u64 last, u64 entry)
{
	struct svan_mtt_table *table;
	unsigned long number;
	bool changed = false;

	xa_for_each_range(&radix->tables[0], number, table,
			  first >> SVAN_MTT_INDEX_BITS,
			  last >> SVAN_MTT_INDEX_BITS) {
		u64 base = (u64)number << SVAN_MTT_INDEX_BITS;
		u64 end = base + SVAN_MTT_TABLE_ENTRIES - 1;

		changed |= svan_radix_clear_leaf(dev, table,
						 max(first, base) - base,
						 min(last, end) - base, entry);
	}
	return changed;
}
