// SPDX-License-Identifier: GPL-2.0-only
/*
 * Translation tables of pinned keys, and of keys to the memory of other devices: the
 * radix tree of svan/keys.h over the pages of a umem. While the device reads them they
 * do not change, but that the memory of another device may be revoked.
 */

#include <kunit/visibility.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <rdma/iter.h>

#include "svan_ib.h"

/*
 * Page number i of a key begins at the address ALIGN_DOWN(va, size) + i * size. The
 * first and the last page may lie in the key only in part, but count as whole pages.
 */
int svan_mtt_layout_init(struct svan_mtt_layout *layout, u64 va, u64 length,
			 u8 page_shift)
{
	u64 last, count;

	if (!length || check_add_overflow(va, length - 1, &last))
		return -EINVAL;

	memset(layout, 0, sizeof(*layout));
	layout->page_shift = page_shift;
	layout->pages = (last >> page_shift) - (va >> page_shift) + 1;

	for (count = layout->pages; count > 1; layout->levels++) {
		if (layout->levels == SVAN_MTT_MAX_LEVELS)
			return -EINVAL;
		count = DIV_ROUND_UP_ULL(count, SVAN_MTT_TABLE_ENTRIES);
		if (count > U32_MAX - layout->num_tables)
			return -EINVAL;
		layout->first[layout->levels] = layout->num_tables;
		layout->num_tables += count;
	}
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(svan_mtt_layout_init);

/* The table above @table, and the slot of @table in it. @table is not the root. */
u32 svan_mtt_parent(const struct svan_mtt_layout *layout, u32 table, u32 *slot)
{
	u32 level = 0, index;

	while (level + 1 < layout->levels && table >= layout->first[level + 1])
		level++;
	index = table - layout->first[level];
	*slot = index % SVAN_MTT_TABLE_ENTRIES;
	return layout->first[level + 1] + index / SVAN_MTT_TABLE_ENTRIES;
}
EXPORT_SYMBOL_IF_KUNIT(svan_mtt_parent);

static void svan_mtt_free_tables(struct svan_mtt *mtt)
{
	u32 i;

	for (i = 0; i < mtt->layout.num_tables; i++) {
		free_page((unsigned long)mtt->tables[i].entries);
		cond_resched();
	}
	kvfree(mtt->tables);
	mtt->tables = NULL;
}

static int svan_mtt_alloc_tables(struct svan_mtt *mtt)
{
	u32 i;

	BUILD_BUG_ON(SVAN_MTT_TABLE_SIZE != PAGE_SIZE);

	mtt->tables = kvcalloc(mtt->layout.num_tables, sizeof(*mtt->tables),
			       GFP_KERNEL_ACCOUNT);
	if (!mtt->tables)
		return -ENOMEM;

	for (i = 0; i < mtt->layout.num_tables; i++) {
		mtt->tables[i].entries =
			(__le64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!mtt->tables[i].entries) {
			svan_mtt_free_tables(mtt);
			return -ENOMEM;
		}
		cond_resched();
	}
	return 0;
}

static void svan_mtt_fill_leaves(struct svan_mtt *mtt, struct ib_umem *umem)
{
	struct ib_block_iter biter;
	u64 i = 0;

	rdma_umem_for_each_dma_block(umem, &biter, 1ul << mtt->layout.page_shift) {
		u64 dma = rdma_block_iter_dma_address(&biter);

		if (WARN_ON_ONCE(i >= mtt->layout.pages))
			return;
		mtt->tables[i / SVAN_MTT_TABLE_ENTRIES]
			.entries[i % SVAN_MTT_TABLE_ENTRIES] =
			cpu_to_le64(svan_mtt_present(dma, umem->writable));
		if (++i % SVAN_MTT_TABLE_ENTRIES == 0)
			cond_resched();
	}
}

static void svan_mtt_unmap_tables(struct svan_ib_dev *dev, struct svan_mtt *mtt,
				  u32 count)
{
	while (count--)
		dma_unmap_single(svan_ib_dma_device(dev),
				 mtt->tables[count].dma, SVAN_MTT_TABLE_SIZE,
				 DMA_TO_DEVICE);
}

/*
 * The tables are mapped in the order of their numbers. All tables below a table have
 * smaller numbers, so it is complete when its turn comes. The device learns of the tree
 * by the command that makes the key, whose doorbell is ordered after these stores.
 */
static int svan_mtt_map_tables(struct svan_ib_dev *dev, struct svan_mtt *mtt)
{
	struct device *dma_dev = svan_ib_dma_device(dev);
	u32 i, parent, slot;

	for (i = 0; i < mtt->layout.num_tables; i++) {
		struct svan_mtt_table *table = &mtt->tables[i];

		table->dma = dma_map_single(dma_dev, table->entries,
					    SVAN_MTT_TABLE_SIZE, DMA_TO_DEVICE);
		if (dma_mapping_error(dma_dev, table->dma)) {
			svan_mtt_unmap_tables(dev, mtt, i);
			return -ENOMEM;
		}
		if (i == mtt->layout.num_tables - 1)
			break;

		parent = svan_mtt_parent(&mtt->layout, i, &slot);
		mtt->tables[parent].entries[slot] =
			cpu_to_le64(svan_mtt_present(table->dma, 0));
		cond_resched();
	}
	mtt->root = mtt->tables[mtt->layout.num_tables - 1].dma;
	return 0;
}

/* A key of one page has no table: it holds the address of the page. */
static int svan_mtt_set_single(struct svan_mtt *mtt, struct ib_umem *umem)
{
	struct ib_block_iter biter;

	rdma_umem_for_each_dma_block(umem, &biter, 1ul << mtt->layout.page_shift) {
		mtt->root = rdma_block_iter_dma_address(&biter);
		return 0;
	}
	return -EINVAL;
}

/*
 * Addresses of a key without a table cannot be taken away from the device, so memory
 * that may be revoked has a table for a single page, too.
 */
static void svan_mtt_want_table(struct svan_mtt_layout *layout)
{
	if (!layout->levels) {
		layout->levels = 1;
		layout->num_tables = 1;
	}
}

/**
 * svan_mtt_create - build the translation table of a key
 * @dev: the device
 * @mtt: the translation table
 * @umem: the memory
 * @va: address of its first byte as the device will see it
 *
 * The pages are as large as the memory and @va allow.
 *
 * Return: 0 or an error.
 */
int svan_mtt_create(struct svan_ib_dev *dev, struct svan_mtt *mtt,
		    struct ib_umem *umem, u64 va)
{
	unsigned long page_size;
	int err;

	page_size = ib_umem_find_best_pgsz(umem,
					   le32_to_cpu(dev->caps->page_size_cap),
					   va);
	if (!page_size)
		return -EINVAL;

	err = svan_mtt_layout_init(&mtt->layout, va, umem->length,
				   ilog2(page_size));
	if (err)
		return err;
	if (umem->is_dmabuf)
		svan_mtt_want_table(&mtt->layout);
	if (!mtt->layout.levels)
		return svan_mtt_set_single(mtt, umem);

	err = svan_mtt_alloc_tables(mtt);
	if (err)
		return err;

	svan_mtt_fill_leaves(mtt, umem);
	err = svan_mtt_map_tables(dev, mtt);
	if (err)
		svan_mtt_free_tables(mtt);
	return err;
}

/**
 * svan_mtt_revoke - make all pages of a table absent
 * @dev: the device
 * @mtt: the translation table, which has levels
 *
 * The caller then has the device drop what it has cached of the key.
 */
void svan_mtt_revoke(struct svan_ib_dev *dev, struct svan_mtt *mtt)
{
	u64 i;

	for (i = 0; i < mtt->layout.pages; i++) {
		struct svan_mtt_table *table =
			&mtt->tables[i / SVAN_MTT_TABLE_ENTRIES];
		u32 slot = i % SVAN_MTT_TABLE_ENTRIES;

		WRITE_ONCE(table->entries[slot], 0);
		if (slot == SVAN_MTT_TABLE_ENTRIES - 1 ||
		    i == mtt->layout.pages - 1) {
			dma_sync_single_for_device(svan_ib_dma_device(dev),
						   table->dma,
						   SVAN_MTT_TABLE_SIZE,
						   DMA_TO_DEVICE);
			cond_resched();
		}
	}
}

void svan_mtt_destroy(struct svan_ib_dev *dev, struct svan_mtt *mtt)
{
	if (!mtt->tables)
		return;
	svan_mtt_unmap_tables(dev, mtt, mtt->layout.num_tables);
	svan_mtt_free_tables(mtt);
}
