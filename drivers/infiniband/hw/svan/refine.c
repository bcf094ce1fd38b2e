// SPDX-License-Identifier: GPL-2.0-only
/*
 * Correction of absent entries. When a page turns out to wait for something else than
 * its entry has said, the pages around it are examined as well. Their entries then
 * tell the device what they wait for before it asks.
 */

#include <linux/slab.h>

#include "svan_odp.h"

/* pages that are examined; a block of them lies within one leaf table */
#define SVAN_REFINE_PAGES	32

/**
 * struct svan_refine - a block of pages that is examined
 * @first: number of the first page in the table
 * @count: number of the pages that are in the region
 * @places: where each of them is
 */
struct svan_refine {
	u64 first;
	u32 count;
	struct svan_place places[SVAN_REFINE_PAGES];
};

/* The aligned block of pages around @addr, cut at the end of the region. */
static void svan_refine_block(const struct svan_odp *odp, u64 addr,
			      struct svan_refine *block)
{
	u64 pages = svan_odp_page(odp, odp->iova + odp->length - 1) + 1;

	block->first = ALIGN_DOWN(svan_odp_page(odp, addr), SVAN_REFINE_PAGES);
	block->count = min_t(u64, pages - block->first, SVAN_REFINE_PAGES);
}

/* Write the absent entries. Neighbours in the same place share one estimate. */
static void svan_refine_write(struct svan_odp *odp,
			      const struct svan_refine *block)
{
	struct svan_ib_dev *dev = odp->dev;
	const struct svan_place *place, *last = NULL;
	u64 entry = 0;
	u32 i;

	for (i = 0; i < block->count; i++) {
		u64 page = block->first + i;

		place = &block->places[i];
		if (place->fault_class == SVAN_FAULT_UNKNOWN ||
		    svan_radix_get(&odp->radix, page) & SVAN_MTT_PRESENT)
			continue;
		if (!last || last->fault_class != place->fault_class ||
		    last->key != place->key)
			entry = svan_mtt_absent(place->fault_class,
						svan_learn_get(dev, place));
		last = place;
		svan_radix_set(&odp->radix, page, entry);
	}
}

/**
 * svan_odp_refine - correct the entries around one that was wrong
 * @odp: an on-demand region
 * @addr: address of the page as the device sees it; the page has been entered
 */
void svan_odp_refine(struct svan_odp *odp, u64 addr)
{
	struct svan_refine *block;
	struct mutex *part_lock = NULL;
	unsigned long user;

	block = kmalloc(sizeof(*block), GFP_KERNEL);
	if (!block)
		return;
	svan_refine_block(odp, addr, block);
	user = (odp->start & PAGE_MASK) + (block->first << PAGE_SHIFT);
	if (!svan_classify_block(odp->mm, user, block->count, block->places))
		goto free_block;

	mutex_lock(&odp->lock);
	/* A region that is gone has no parts any more. */
	if (!odp->gone)
		part_lock = svan_odp_lock_part(odp, block->first);
	if (part_lock) {
		svan_refine_write(odp, block);
		mutex_unlock(part_lock);
	}
	mutex_unlock(&odp->lock);
free_block:
	kfree(block);
}
