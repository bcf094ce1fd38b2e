// SPDX-License-Identifier: GPL-2.0-only
/*
 * The translation tables of a context: a radix tree that grows with the addresses in use
 * and shrinks with the end of the context. Since addresses are given out from below, the
 * tables are as many as the most pages that were mapped at a time need.
 *
 * The device reads the tables at any time. An entry changes by a single store, and a
 * table is complete before an entry names it.
 */
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include "svan_accel.h"

#define SVAN_ACCEL_TABLE_BITS	9

static void svan_accel_table_free(struct svan_accel_dev *dev,
				  struct svan_accel_table *table)
{
	dma_free_coherent(&dev->pdev->dev, PAGE_SIZE, table->entries, table->dma);
	kfree(table);
	atomic_long_dec(&dev->counts.tables);
}

/* Level 1 holds leaves. */
static struct svan_accel_table *svan_accel_table_alloc(struct svan_accel_dev *dev,
						       unsigned int level)
{
	struct svan_accel_table *table;

	BUILD_BUG_ON(SVAN_ACCEL_TABLE_ENTRIES * sizeof(*table->entries) != PAGE_SIZE);
	BUILD_BUG_ON(1 << SVAN_ACCEL_TABLE_BITS != SVAN_ACCEL_TABLE_ENTRIES);

	table = kzalloc(struct_size(table, below, level > 1 ? SVAN_ACCEL_TABLE_ENTRIES : 0),
			GFP_KERNEL_ACCOUNT);
	if (!table)
		return NULL;
	table->entries = dma_alloc_coherent(&dev->pdev->dev, PAGE_SIZE, &table->dma,
					    GFP_KERNEL_ACCOUNT);
	if (!table->entries) {
		kfree(table);
		return NULL;
	}
	atomic_long_inc(&dev->counts.tables);
	return table;
}

static void svan_accel_table_destroy(struct svan_accel_dev *dev,
				     struct svan_accel_table *table, unsigned int level)
{
	unsigned int i;

	for (i = 0; level > 1 && i < SVAN_ACCEL_TABLE_ENTRIES; i++) {
		if (table->below[i])
			svan_accel_table_destroy(dev, table->below[i], level - 1);
	}
	svan_accel_table_free(dev, table);
	cond_resched();
}

struct svan_accel_table *svan_accel_table_create_root(struct svan_accel_dev *dev)
{
	struct svan_accel_table *root = svan_accel_table_alloc(dev, SVAN_ACCEL_LEVELS);

	return root ?: ERR_PTR(-ENOMEM);
}

/* The context is off, so the device does not read the tables any more. */
void svan_accel_table_destroy_root(struct svan_accel_dev *dev,
				   struct svan_accel_table *root)
{
	svan_accel_table_destroy(dev, root, SVAN_ACCEL_LEVELS);
}

static unsigned int svan_accel_table_index(unsigned long page, unsigned int level)
{
	return (page >> (SVAN_ACCEL_TABLE_BITS * (level - 1))) %
	       SVAN_ACCEL_TABLE_ENTRIES;
}

/* The table with the leaf of the page, or NULL if there is none yet. */
static struct svan_accel_table *svan_accel_table_of(struct svan_accel_ctx *ctx,
						    unsigned long page)
{
	struct svan_accel_table *table = ctx->root;
	unsigned int level;

	for (level = SVAN_ACCEL_LEVELS; table && level > 1; level--)
		table = table->below[svan_accel_table_index(page, level)];
	return table;
}

static int svan_accel_table_make(struct svan_accel_ctx *ctx, unsigned long page)
{
	struct svan_accel_table *table = ctx->root, *below;
	unsigned int level, i;

	for (level = SVAN_ACCEL_LEVELS; level > 1; level--, table = below) {
		i = svan_accel_table_index(page, level);
		below = table->below[i];
		if (below)
			continue;
		below = svan_accel_table_alloc(ctx->dev, level - 1);
		if (!below)
			return -ENOMEM;
		table->below[i] = below;
		/* The table's zeros come before the entry that names it. */
		dma_wmb();
		WRITE_ONCE(table->entries[i],
			   cpu_to_le64(below->dma | SVAN_ACCEL_PTE_PRESENT));
	}
	return 0;
}

/* The pages of [first, first + pages) that have their leaves in the same table. */
static unsigned long svan_accel_table_span(unsigned long first, unsigned long pages)
{
	return min(pages, SVAN_ACCEL_TABLE_ENTRIES - first % SVAN_ACCEL_TABLE_ENTRIES);
}

/**
 * svan_accel_table_grow - make the tables that a range needs
 * @ctx: the context
 * @first: number of the first page
 * @pages: number of pages
 *
 * What was made stays if it fails.
 *
 * Return: 0 or -ENOMEM.
 */
int svan_accel_table_grow(struct svan_accel_ctx *ctx, unsigned long first,
			  unsigned long pages)
{
	unsigned long span;
	int err;

	lockdep_assert_held(&ctx->lock);
	for (; pages; first += span, pages -= span) {
		span = svan_accel_table_span(first, pages);
		err = svan_accel_table_make(ctx, first);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

/* The tables of the range exist. */
static void svan_accel_table_fill(struct svan_accel_ctx *ctx, unsigned long first,
				  unsigned long pages, u64 entry, u64 step)
{
	struct svan_accel_table *table;
	unsigned long span, i;

	lockdep_assert_held(&ctx->lock);
	for (; pages; first += span, pages -= span) {
		span = svan_accel_table_span(first, pages);
		table = svan_accel_table_of(ctx, first);
		for (i = 0; i < span; i++, entry += step)
			WRITE_ONCE(table->entries[first % SVAN_ACCEL_TABLE_ENTRIES + i],
				   cpu_to_le64(entry));
		cond_resched();
	}
}

/* Map pages to consecutive addresses; @entry is the first one's. */
void svan_accel_table_set(struct svan_accel_ctx *ctx, unsigned long first,
			  unsigned long pages, u64 entry)
{
	svan_accel_table_fill(ctx, first, pages, entry, PAGE_SIZE);
}

/* The device may go on to use what it has read of these entries until it is told. */
void svan_accel_table_clear(struct svan_accel_ctx *ctx, unsigned long first,
			    unsigned long pages)
{
	svan_accel_table_fill(ctx, first, pages, 0, 0);
}
