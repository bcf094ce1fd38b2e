// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invalidation of translations, and the doorbells of the page request queue (PRM
 * chapters "Translation" and "Faults"). MMU notifiers and the server of page
 * requests call these functions, so none sleeps or takes longer than a few
 * register accesses.
 */
#include "svan.h"

/**
 * svan_inval_context - begin to drop translations of a process context
 * @dev: the function
 * @pasid: the context, below SVAN_PASID_COUNT
 * @addr: first address, aligned to the size of what is dropped
 * @log_pages: log2 of the size in 4 KiB pages, or SVAN_INV_CONTEXT_ALL
 *
 * Takes no lock, and may be called in any context and on several CPUs at once.
 * When the device walks the page table again, it sees the changes made before the
 * call. svan_inval_wait() waits until no access uses the old translations.
 */
void svan_inval_context(struct svan_dev *dev, u32 pasid, u64 addr,
			u32 log_pages)
{
	/* writeq() orders the stores to the page table before it. */
	svan_write64(dev, SVAN_REG_INV_CONTEXT(pasid),
		     svan_inv_context(addr, log_pages));
}
EXPORT_SYMBOL_GPL(svan_inval_context);

/**
 * svan_inval_wait - wait for the invalidations that this CPU has begun
 * @dev: the function
 *
 * On return the device has dropped the translations, and every access that began
 * with one of them has ended. May be called in any context.
 */
void svan_inval_wait(struct svan_dev *dev)
{
	/*
	 * A store to a device is posted: it may not have arrived when the CPU goes
	 * on. A read does not overtake it, and the device answers it only when the
	 * accesses have ended. A function that is gone or in reset answers with
	 * all ones, and has no translations.
	 */
	svan_read(dev, SVAN_REG_INV_GO);
}
EXPORT_SYMBOL_GPL(svan_inval_wait);

/**
 * svan_inval_key - drop translations of a key
 * @dev: the function
 * @key: the key, all 32 bits of it
 * @addr: first address, as the device sees it
 * @length: number of bytes; 0 means all of the key
 *
 * On return the device has dropped the translations, and every access that began
 * with one of them has ended. May be called in any context.
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
 * svan_prq_consumed - give entries of the page request queue back to the device
 * @dev: the function
 * @ci: number of requests consumed, free-running
 * @arm: raise an event for the next request, or at once if there is one already
 */
void svan_prq_consumed(struct svan_dev *dev, u32 ci, bool arm)
{
	svan_write(dev, SVAN_REG_PRQ_DB,
		   (ci & SVAN_PRQ_DB_CI_MASK) | (arm ? SVAN_PRQ_DB_ARM : 0));
}
EXPORT_SYMBOL_GPL(svan_prq_consumed);

/**
 * svan_prr_produced - tell the device of responses to page requests
 * @dev: the function
 * @pi: number of responses written, free-running
 */
void svan_prr_produced(struct svan_dev *dev, u32 pi)
{
	/* writel() orders the responses before it. */
	svan_write(dev, SVAN_REG_PRR_DB, pi);
}
EXPORT_SYMBOL_GPL(svan_prr_produced);
