// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that are pinned for a moment. A page that was gone again each time the device
 * walked is pinned, so that reclaim, compaction and copy-on-write leave it alone until
 * the device has walked once more. The number of such pages is limited for each
 * process. Unpinning them waits for nobody.
 */

#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "svan_odp.h"

/* time that the device gets to read the response and walk again */
#define SVAN_PIN_TIME	max(HZ / 100, 1)

/**
 * svan_pin_get - pin a page of the calling process
 * @addr: address of the page, which has just been faulted in
 * @write: whether the device will store to it
 *
 * Return: the page, or NULL if it is gone again, or has no struct page.
 */
struct page *svan_pin_get(unsigned long addr, bool write)
{
	unsigned int flags = FOLL_NOFAULT | (write ? FOLL_WRITE : 0);
	struct mm_struct *mm = current->mm;
	struct page *page;
	long count;

	if (mmap_read_lock_killable(mm))
		return NULL;
	/* A remote access ignores the protection keys of the thread, as the device does. */
	count = pin_user_pages_remote(mm, addr, 1, flags, &page, NULL);
	mmap_read_unlock(mm);
	return count == 1 ? page : NULL;
}

/* Take out the oldest page if its time is over, or in any case with @force. */
static struct page *svan_pins_next(struct svan_pins *pins, bool force)
{
	struct svan_pin *pin;

	lockdep_assert_held(&pins->lock);
	if (pins->first == pins->next)
		return NULL;
	pin = &pins->ring[pins->first % SVAN_PINS];
	if (!force && time_before(jiffies, pin->until)) {
		queue_delayed_work(system_unbound_wq, &pins->unpin,
				   pin->until - jiffies);
		return NULL;
	}
	pins->first++;
	return pin->page;
}

/**
 * svan_pin_keep - keep a page pinned for a moment
 * @pins: the pinned pages of the process
 * @page: the page, from svan_pin_get()
 */
void svan_pin_keep(struct svan_pins *pins, struct page *page)
{
	struct page *oldest = NULL;
	struct svan_pin *pin;

	spin_lock(&pins->lock);
	if (pins->next - pins->first == SVAN_PINS)
		oldest = svan_pins_next(pins, true);
	pin = &pins->ring[pins->next++ % SVAN_PINS];
	pin->page = page;
	pin->until = jiffies + SVAN_PIN_TIME;
	spin_unlock(&pins->lock);
	queue_delayed_work(system_unbound_wq, &pins->unpin, SVAN_PIN_TIME);
	if (oldest)
		unpin_user_page(oldest);
}

static void svan_pins_drop(struct svan_pins *pins, bool all)
{
	struct page *page;

	do {
		spin_lock(&pins->lock);
		page = svan_pins_next(pins, all);
		spin_unlock(&pins->lock);
		if (page)
			unpin_user_page(page);
	} while (page);
}

static void svan_pins_work(struct work_struct *work)
{
	svan_pins_drop(container_of(work, struct svan_pins, unpin.work), false);
}

void svan_pins_init(struct svan_pins *pins)
{
	spin_lock_init(&pins->lock);
	INIT_DELAYED_WORK(&pins->unpin, svan_pins_work);
}

/* Unpin all pages. No page is added any more. */
void svan_pins_exit(struct svan_pins *pins)
{
	disable_delayed_work_sync(&pins->unpin);
	svan_pins_drop(pins, true);
}
