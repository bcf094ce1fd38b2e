// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invalidation of translations and the doorbells of the page request queue
 * (PRM chapters "Translation" and "Faults"), for MMU notifiers and what serves
 * page requests: nothing here sleeps, or can take longer than a register access.
 */
#include "svan.h"

/**
 * svan_inval_context - begin to drop translations of a process context
 * @dev: the function
 * @pasid: the context, below SVAN_PASID_COUNT
 * @addr: first address, aligned to the size of what is dropped
 * @log_pages: logarithm of its size in 4 KiB pages, or SVAN_INV_CONTEXT_ALL
 *
 * It takes no lock, may be called in any context and on several CPUs at once.
 * Changes of the page table before the call are visible to the device when it
 * walks again. svan_inval_wait() says when nothing uses the old ones.
 */
void svan_inval_context(struct svan_dev *dev, u32 pasid, u64 addr,
			u32 log_pages)
{
	/* writeq orders stores to memory before it */
	svan_write64(dev, SVAN_REG_INV_CONTEXT(pasid),
		     svan_inv_context(addr, log_pages));
}
EXPORT_SYMBOL_GPL(svan_inval_context);

/**
 * svan_inval_wait - end the invalidations that this CPU has begun
 * @dev: the function
 *
 * On return the device has dropped what overlaps, and no access that began
 * with it is under way. Any context.
 */
void svan_inval_wait(struct svan_dev *dev)
{
	/*
	 * A store to a device is posted: it may still be on its way when the CPU
	 * goes on. A read does not overtake it, and its answer comes after the
	 * device has drained. A function in reset, or gone, answers all ones and
	 * has no translations.
	 */
	svan_read(dev, SVAN_REG_INV_GO);
}
EXPORT_SYMBOL_GPL(svan_inval_wait);

/**
 * svan_inval_key - drop translations of a key
 * @dev: the function
 * @key: all 32 bits
 * @addr: first address, as in the key's table
 * @length: bytes, 0 = all of the key
 *
 * Begins and ends the invalidation. Writers take turns at the registers.
 */
void svan_inval_key(struct svan_dev *dev, u32 key, u64 addr, u64 length)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->inv_lock, flags);
	svan_write(dev, SVAN_REG_INV_TARGET, key);
	svan_write64(dev, SVAN_REG_INV_ADDR, addr);
	svan_write64(dev, SVAN_REG_INV_LENGTH, length);
	svan_write(dev, SVAN_REG_INV_GO, SVAN_INV_KEY);
	spin_unlock_irqrestore(&dev->inv_lock, flags);
	svan_inval_wait(dev);
}
EXPORT_SYMBOL_GPL(svan_inval_key);

/**
 * svan_prq_consumed - give entries of the page request queue back
 * @dev: the function
 * @ci: requests consumed, free-running
 * @arm: the next request, or one that is there already, shall raise an event
 */
void svan_prq_consumed(struct svan_dev *dev, u32 ci, bool arm)
{
	svan_write(dev, SVAN_REG_PRQ_DB,
		   (ci & SVAN_PRQ_DB_CI_MASK) | (arm ? SVAN_PRQ_DB_ARM : 0));
}
EXPORT_SYMBOL_GPL(svan_prq_consumed);

/**
 * svan_prr_produced - tell of responses to page requests
 * @dev: the function
 * @pi: responses written, free-running
 */
void svan_prr_produced(struct svan_dev *dev, u32 pi)
{
	/* writel orders the responses before it */
	svan_write(dev, SVAN_REG_PRR_DB, pi);
}
EXPORT_SYMBOL_GPL(svan_prr_produced);
