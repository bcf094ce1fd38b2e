// SPDX-License-Identifier: GPL-2.0-only
/*
 * Progress: a page that was gone again each time the device looked is pinned
 * for a moment, so that reclaim, compaction and copy-on-write leave it alone.
 */

#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "svan_odp.h"

/* for the device to read the answer and walk again */
#define SVAN_PIN_TIME	max(HZ / 100, 1)

/**
 * struct svan_pin - a page that is held
 * @entry: in svan_prq.pins, oldest first
 * @page: the page
 * @until: jiffies
 */
struct svan_pin {
	struct list_head entry;
	struct page *page;
	unsigned long until;
};

static int svan_pin_get(struct mm_struct *mm, unsigned long addr, bool write,
			struct page **page)
{
	int locked = 1;
	long count;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	count = pin_user_pages_remote(mm, addr, 1, write ? FOLL_WRITE : 0, page,
				      &locked);
	if (locked)
		mmap_read_unlock(mm);
	if (count < 0)
		return count;
	return count == 1 ? 0 : -EFAULT;
}

/**
 * svan_pin_page - hold a page for a moment
 * @prq: the queue of the request
 * @mm: mm_users is held
 * @addr: where
 * @write: for a store
 *
 * Return: 0, or why it cannot be: it is no memory.
 */
int svan_pin_page(struct svan_prq *prq, struct mm_struct *mm,
		  unsigned long addr, bool write)
{
	struct svan_pin *pin;
	bool live;
	int err;

	pin = kmalloc(sizeof(*pin), GFP_KERNEL);
	if (!pin)
		return -ENOMEM;
	err = svan_pin_get(mm, addr, write, &pin->page);
	if (err) {
		kfree(pin);
		return err;
	}

	pin->until = jiffies + SVAN_PIN_TIME;
	spin_lock(&prq->lock);
	live = prq->live;
	if (live)
		list_add_tail(&pin->entry, &prq->pins);
	spin_unlock(&prq->lock);
	if (live) {
		queue_delayed_work(svan_fault_wq, &prq->unpin, SVAN_PIN_TIME);
		return 0;
	}
	unpin_user_page(pin->page);
	kfree(pin);
	return -ESRCH;
}

/* The oldest one, if its time is over or @all go. */
static struct svan_pin *svan_pin_next(struct svan_prq *prq, bool all)
{
	struct svan_pin *pin;

	spin_lock(&prq->lock);
	pin = list_first_entry_or_null(&prq->pins, struct svan_pin, entry);
	if (pin && !all && time_before(jiffies, pin->until)) {
		queue_delayed_work(svan_fault_wq, &prq->unpin,
				   pin->until - jiffies);
		pin = NULL;
	}
	if (pin)
		list_del(&pin->entry);
	spin_unlock(&prq->lock);
	return pin;
}

static void svan_pins_drop(struct svan_prq *prq, bool all)
{
	struct svan_pin *pin;

	while ((pin = svan_pin_next(prq, all))) {
		unpin_user_page(pin->page);
		kfree(pin);
	}
}

static void svan_pins_work(struct work_struct *work)
{
	svan_pins_drop(container_of(work, struct svan_prq, unpin.work), false);
}

void svan_pins_init(struct svan_prq *prq)
{
	INIT_LIST_HEAD(&prq->pins);
	INIT_DELAYED_WORK(&prq->unpin, svan_pins_work);
}

/* The queue is not live: no pin is added. */
void svan_pins_exit(struct svan_prq *prq)
{
	disable_delayed_work_sync(&prq->unpin);
	svan_pins_drop(prq, true);
}
