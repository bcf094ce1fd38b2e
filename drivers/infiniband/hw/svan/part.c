// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parts of an on-demand region. A part is the 2 MiB of addresses that one leaf
 * table covers, and it has an interval notifier of its own. It is made when there is
 * a page to enter. So the memory that a region costs depends on what is mapped, and
 * not on what was registered, advised or asked for by a peer. All of it is charged to
 * the process that the region belongs to.
 *
 * A part without pages costs as much as one with pages, but is kept for a while,
 * because its absent entries tell why the pages went. It is dropped soon after the
 * last mapping in its range is gone, or when the region has twice as many tables as
 * it had after such parts were last dropped.
 */

#include <linux/dma-mapping.h>
#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

/* number of tables that a region may have before parts without pages are dropped */
#define SVAN_TRIM_TABLES	256

/* time from munmap() to the trim: memory that is soon mapped again keeps its tables */
#define SVAN_TRIM_DELAY		HZ

/**
 * struct svan_odp_page - a page that is entered into the table
 * @page: the page, or NULL; no reference is held, as the notifier is called before
 *	the page goes
 * @entry: its entry in the table: the bus address, and whether it may be written
 */
struct svan_odp_page {
	struct page *page;
	u64 entry;
};

/**
 * struct svan_odp_part - a part of a region
 * @notifier: notifier of the part's address range
 * @odp: the region
 * @lock: protects the entries of the leaf table, @count and @pages
 * @number: number of the leaf table
 * @start: first address in the mm, page aligned
 * @end: address behind the last one in the mm, page aligned
 * @unmapped: nothing was mapped in the range when this was last checked
 * @count: number of pages that are entered
 * @pages: the pages, by slot of the leaf table
 */
struct svan_odp_part {
	struct mmu_interval_notifier notifier;
	struct svan_odp *odp;
	struct mutex lock;		/* protects the table's entries, count, pages */
	u64 number;
	u64 start;
	u64 end;
	bool unmapped;
	u32 count;
	struct svan_odp_page *pages;
};

static u64 svan_odp_user_start(const struct svan_odp *odp)
{
	return odp->start & PAGE_MASK;
}

/* The number that the page at an address in the mm has in the table. */
static u64 svan_odp_user_page(const struct svan_odp *odp, u64 user)
{
	return (user - svan_odp_user_start(odp)) >> PAGE_SHIFT;
}

/* ---- taking pages away ---- */

/* The class of fault that an absent entry gets, from the reason why the page goes. */
static u32 svan_part_event_class(enum mmu_notifier_event event)
{
	switch (event) {
	case MMU_NOTIFY_PROTECTION_PAGE:
	case MMU_NOTIFY_SOFT_DIRTY:
		return SVAN_FAULT_COPY_ON_WRITE;
	case MMU_NOTIFY_RELEASE:
		return SVAN_FAULT_UNKNOWN;
	default:
		return SVAN_FAULT_INVALIDATED;
	}
}

/* Unmap pages. The device has dropped them, and accesses none of them any more. */
static void svan_part_unmap(struct svan_odp_part *part, u64 start, u64 end)
{
	struct device *dma_dev = svan_ib_dma_device(part->odp->dev);
	struct svan_odp_page *page = &part->pages[(start - part->start) >>
						  PAGE_SHIFT];

	lockdep_assert_held(&part->lock);
	for (; start < end; start += PAGE_SIZE, page++) {
		if (!page->page)
			continue;
		dma_unmap_page(dma_dev, page->entry & SVAN_MTT_ADDR_MASK,
			       PAGE_SIZE, DMA_BIDIRECTIONAL);
		/*
		 * set_page_dirty() usually wants the page to be locked. Some
		 * callers of the notifier hold that lock, so it is not taken.
		 * The page's mapping cannot go before the notifier returns.
		 */
		if (page->entry & SVAN_MTT_WRITABLE)
			set_page_dirty(compound_head(page->page));
		page->page = NULL;
		part->count--;
	}
}

/* Take the pages of a range away from the device. part->lock is held. */
static void svan_part_take(struct svan_odp_part *part, u64 start, u64 end,
			   u32 fault_class)
{
	struct svan_odp *odp = part->odp;
	u64 first = svan_odp_user_page(odp, start);
	u64 absent = svan_learn_absent(odp->dev, fault_class);
	u32 before = part->count;

	if (svan_radix_clear(&odp->radix, first,
			     svan_odp_user_page(odp, end - 1), absent))
		svan_inval_key(odp->dev->sdev, odp->key,
			       (odp->iova & PAGE_MASK) + (first << PAGE_SHIFT),
			       end - start);
	svan_part_unmap(part, start, end);
	atomic64_add(before - part->count, &odp->invalidations);
	trace_svan_ib_odp_invalidate(odp, start, end, fault_class,
				     before - part->count);
}

static bool svan_part_invalidate(struct mmu_interval_notifier *mni,
				 const struct mmu_notifier_range *range,
				 unsigned long seq)
{
	struct svan_odp_part *part = container_of(mni, struct svan_odp_part,
						  notifier);

	if (!mmu_notifier_range_blockable(range))
		return false;

	mutex_lock(&part->lock);
	mmu_interval_set_seq(mni, seq);
	if (part->count)
		svan_part_take(part, max_t(u64, part->start, range->start),
			       min_t(u64, part->end, range->end),
			       svan_part_event_class(range->event));
	mutex_unlock(&part->lock);
	if (range->event == MMU_NOTIFY_UNMAP)
		queue_delayed_work(system_unbound_wq, &part->odp->trim,
				   SVAN_TRIM_DELAY);
	return true;
}

static const struct mmu_interval_notifier_ops svan_part_ops = {
	.invalidate = svan_part_invalidate,
};

/* ---- parts come and go ---- */

static void svan_part_free(struct svan_odp_part *part)
{
	mutex_destroy(&part->lock);
	kvfree(part->pages);
	kfree(part);
}

/* The pages are unmapped first: none of them goes before the notifier was called. */
static void svan_part_release(struct svan_odp_part *part)
{
	mutex_lock(&part->lock);
	svan_part_unmap(part, part->start, part->end);
	mutex_unlock(&part->lock);
	mmu_interval_notifier_remove(&part->notifier);
	svan_part_free(part);
}

/* Drop a part without pages. svan_odp.lock is held, so it gets none meanwhile. */
static void svan_part_drop(struct svan_odp_part *part, struct list_head *dead)
{
	struct svan_odp *odp = part->odp;
	u64 number = part->number;

	lockdep_assert_held(&odp->lock);
	xa_erase(&odp->parts, number);
	svan_part_release(part);
	svan_radix_prune(&odp->radix, number << SVAN_MTT_INDEX_BITS, dead);
}

/*
 * Free tables that were taken out of the tree. The device may still be walking
 * through them, so it has to drop the translations of the key first.
 */
static void svan_odp_bury(struct svan_odp *odp, struct list_head *dead)
{
	if (list_empty(dead))
		return;
	svan_inval_key(odp->dev->sdev, odp->key, 0, 0);
	svan_radix_bury(&odp->radix, dead);
}

static struct svan_odp_part *svan_part_alloc(struct svan_odp *odp, u64 number)
{
	u64 start = svan_odp_user_start(odp) +
		    (number << (PAGE_SHIFT + SVAN_MTT_INDEX_BITS));
	u64 end = min(start + SVAN_PART_BYTES,
		      PAGE_ALIGN(odp->start + odp->length));
	struct svan_odp_part *part;

	part = kzalloc(sizeof(*part), GFP_KERNEL_ACCOUNT);
	if (!part)
		return NULL;
	part->pages = kvcalloc((end - start) >> PAGE_SHIFT,
			       sizeof(*part->pages), GFP_KERNEL_ACCOUNT);
	if (!part->pages) {
		kfree(part);
		return NULL;
	}
	mutex_init(&part->lock);
	part->odp = odp;
	part->number = number;
	part->start = start;
	part->end = end;
	return part;
}

static struct svan_odp_part *svan_part_create(struct svan_odp *odp, u64 number)
{
	struct svan_odp_part *part;
	LIST_HEAD(dead);
	int err;

	part = svan_part_alloc(odp, number);
	if (!part)
		return ERR_PTR(-ENOMEM);
	err = svan_radix_grow(&odp->radix, number << SVAN_MTT_INDEX_BITS);
	if (err)
		goto prune;
	err = xa_err(xa_store(&odp->parts, number, part, GFP_KERNEL_ACCOUNT));
	if (err)
		goto prune;
	/* The notifier may be called at once; it finds no pages then. */
	err = mmu_interval_notifier_insert(&part->notifier, odp->mm,
					   part->start, part->end - part->start,
					   &svan_part_ops);
	if (err)
		goto erase;
	return part;

erase:
	xa_erase(&odp->parts, number);
prune:
	svan_radix_prune(&odp->radix, number << SVAN_MTT_INDEX_BITS, &dead);
	svan_odp_bury(odp, &dead);
	svan_part_free(part);
	return ERR_PTR(err);
}

/* Mark the parts in whose range nothing is mapped. Return false if that would wait. */
static bool svan_odp_find_unmapped(struct svan_odp *odp)
{
	struct svan_odp_part *part;
	unsigned long number;

	if (!mmap_read_trylock(odp->mm))
		return false;
	xa_for_each(&odp->parts, number, part) {
		part->unmapped = !READ_ONCE(part->count) &&
				 !find_vma_intersection(odp->mm, part->start,
							part->end);
		cond_resched();
	}
	mmap_read_unlock(odp->mm);
	return true;
}

/* Drop all parts without pages, or only those that are marked. */
static void svan_odp_trim(struct svan_odp *odp, bool all)
{
	struct svan_odp_part *part;
	unsigned long number;
	LIST_HEAD(dead);

	lockdep_assert_held(&odp->lock);
	xa_for_each(&odp->parts, number, part) {
		if (!READ_ONCE(part->count) && (all || part->unmapped))
			svan_part_drop(part, &dead);
		cond_resched();
	}
	svan_odp_bury(odp, &dead);
	odp->trim_at = 2 * odp->radix.count + SVAN_TRIM_TABLES;
}

/*
 * Something was unmapped. Other regions need the same workers, so this one does not
 * wait for a lock but tries again later.
 */
static void svan_odp_trim_work(struct work_struct *work)
{
	struct svan_odp *odp = container_of(to_delayed_work(work),
					    struct svan_odp, trim);
	bool done = false;

	/* If the process has ended, its regions will soon be deregistered. */
	if (!mmget_not_zero(odp->mm))
		return;
	if (mutex_trylock(&odp->lock)) {
		done = odp->gone || svan_odp_find_unmapped(odp);
		if (done && !odp->gone)
			svan_odp_trim(odp, false);
		mutex_unlock(&odp->lock);
	}
	mmput_async(odp->mm);
	if (!done)
		queue_delayed_work(system_unbound_wq, &odp->trim,
				   SVAN_TRIM_DELAY);
}

/* ---- entering pages ---- */

/* Enter one page as HMM has found it. part->lock is held. */
static int svan_part_set(struct svan_odp_part *part, u64 user,
			 unsigned long hmm_pfn, u32 *entered)
{
	struct svan_odp *odp = part->odp;
	struct device *dma_dev = svan_ib_dma_device(odp->dev);
	struct svan_odp_page *page = &part->pages[(user - part->start) >>
						  PAGE_SHIFT];
	bool writable = READ_ONCE(odp->writable);
	dma_addr_t dma;

	/*
	 * HMM found no page. One that is entered all the same is left to the
	 * notifier: munmap() removes the mapping before it calls the notifier.
	 */
	if (!(hmm_pfn & HMM_PFN_VALID))
		return 0;
	if (page->page) {
		/*
		 * The page may have become writable, which the notifier is not
		 * told. If it was writable it stays so until it is unmapped, since
		 * it may have been written and must be marked dirty then.
		 */
		dma = page->entry & SVAN_MTT_ADDR_MASK;
		writable |= page->entry & SVAN_MTT_WRITABLE;
	} else {
		dma = dma_map_page(dma_dev, hmm_pfn_to_page(hmm_pfn), 0,
				   PAGE_SIZE, DMA_BIDIRECTIONAL);
		if (dma_mapping_error(dma_dev, dma))
			return -EFAULT;
		page->page = hmm_pfn_to_page(hmm_pfn);
		part->count++;
		(*entered)++;
	}
	/* A read-only entry keeps the page from being marked dirty at unmap. */
	writable = writable && (hmm_pfn & HMM_PFN_WRITE);
	page->entry = svan_mtt_present(dma, writable);
	svan_radix_set(&odp->radix, svan_odp_user_page(odp, user), page->entry);
	return 0;
}

/*
 * Read the page table into odp->pfns. On success part->lock is held, and until it is
 * released no page that was found can go.
 */
static int svan_part_snapshot(struct svan_odp_part *part, u64 start, u64 end)
{
	struct svan_odp *odp = part->odp;
	struct hmm_range range = {
		.notifier = &part->notifier,
		.start = start,
		.end = end,
		.hmm_pfns = odp->pfns,
	};
	unsigned long limit = jiffies +
			      msecs_to_jiffies(HMM_RANGE_DEFAULT_TIMEOUT);
	int err;

	do {
		range.notifier_seq = mmu_interval_read_begin(&part->notifier);
		mmap_read_lock(odp->mm);
		err = hmm_range_fault(&range);
		mmap_read_unlock(odp->mm);
		if (err && err != -EBUSY)
			return err;
		mutex_lock(&part->lock);
		if (!err && !mmu_interval_read_retry(&part->notifier,
						     range.notifier_seq))
			return 0;
		mutex_unlock(&part->lock);
	} while (time_before(jiffies, limit));
	return -EBUSY;
}

static int svan_part_enter(struct svan_odp_part *part, u64 start, u64 end,
			   u32 *entered)
{
	u32 i, count = (end - start) >> PAGE_SHIFT;
	int err;

	err = svan_part_snapshot(part, start, end);
	if (err)
		return err;
	for (i = 0; i < count && !err; i++)
		err = svan_part_set(part, start + i * PAGE_SIZE,
				    part->odp->pfns[i], entered);
	mutex_unlock(&part->lock);
	return err;
}

/**
 * svan_odp_enter_part - enter pages of one part that are present in the page table
 * @odp: the region; its lock and mm_users are held
 * @start: first address in the mm, page aligned
 * @end: address behind the last one, page aligned; it is moved to the end of the part
 *	that @start is in, if that comes first
 * @entered: is increased by the number of pages that were not entered before
 *
 * The entries get the rights that the pages have in the page table.
 *
 * Return: 0 or an error.
 */
int svan_odp_enter_part(struct svan_odp *odp, u64 start, u64 *end, u32 *entered)
{
	u64 number = svan_odp_user_page(odp, start) >> SVAN_MTT_INDEX_BITS;
	struct svan_odp_part *part;
	bool is_new = false;
	LIST_HEAD(dead);
	int err;

	lockdep_assert_held(&odp->lock);
	part = xa_load(&odp->parts, number);
	if (!part) {
		if (odp->radix.count >= odp->trim_at)
			svan_odp_trim(odp, true);
		part = svan_part_create(odp, number);
		if (IS_ERR(part))
			return PTR_ERR(part);
		is_new = true;
	}
	*end = min(*end, part->end);
	err = svan_part_enter(part, start, *end, entered);
	if (is_new && !READ_ONCE(part->count)) {
		svan_part_drop(part, &dead);
		svan_odp_bury(odp, &dead);
	}
	return err;
}

/**
 * svan_odp_lock_part - lock the part of a page, to write absent entries
 * @odp: the region; its lock is held
 * @page: number of the page
 *
 * Return: the lock of the part, which is held, or NULL if the page has no part.
 */
struct mutex *svan_odp_lock_part(struct svan_odp *odp, u64 page)
{
	struct svan_odp_part *part;

	lockdep_assert_held(&odp->lock);
	part = xa_load(&odp->parts, page >> SVAN_MTT_INDEX_BITS);
	if (!part)
		return NULL;
	mutex_lock(&part->lock);
	return &part->lock;
}

/* ---- the parts of a region together ---- */

static bool svan_probe_invalidate(struct mmu_interval_notifier *mni,
				  const struct mmu_notifier_range *range,
				  unsigned long seq)
{
	return true;
}

static const struct mmu_interval_notifier_ops svan_probe_ops = {
	.invalidate = svan_probe_invalidate,
};

/*
 * The first interval notifier of an mm takes all locks of that mm, and fails if a
 * signal comes meanwhile. It is better to do this in the process's call for
 * registration than at a fault, so a notifier is inserted and removed again.
 */
static int svan_odp_try_notifier(struct svan_odp *odp)
{
	struct mmu_interval_notifier probe = {};
	int err;

	err = mmu_interval_notifier_insert(&probe, odp->mm,
					   svan_odp_user_start(odp), PAGE_SIZE,
					   &svan_probe_ops);
	if (!err)
		mmu_interval_notifier_remove(&probe);
	return err;
}

/**
 * svan_odp_init_parts - prepare the parts and the table of an on-demand region
 * @odp: the region
 *
 * Return: 0 or an error.
 */
int svan_odp_init_parts(struct svan_odp *odp)
{
	u64 pages = svan_odp_page(odp, odp->iova + odp->length - 1) + 1;
	int err;

	if (PAGE_ALIGN(odp->start + odp->length) < odp->start)
		return -EOVERFLOW;
	xa_init_flags(&odp->parts, XA_FLAGS_ACCOUNT);
	INIT_DELAYED_WORK(&odp->trim, svan_odp_trim_work);
	odp->trim_at = SVAN_TRIM_TABLES;
	odp->pfns = kcalloc(min_t(u64, pages, SVAN_MTT_TABLE_ENTRIES),
			    sizeof(*odp->pfns), GFP_KERNEL_ACCOUNT);
	if (!odp->pfns)
		return -ENOMEM;
	err = svan_odp_try_notifier(odp);
	if (!err)
		err = svan_radix_init(&odp->radix, svan_ib_dma_device(odp->dev),
				      pages);
	if (err)
		kfree(odp->pfns);
	return err;
}

/* Free all parts and tables. The region is marked gone, and its key is destroyed. */
void svan_odp_release_parts(struct svan_odp *odp)
{
	struct svan_odp_part *part;
	unsigned long number;

	xa_for_each(&odp->parts, number, part) {
		svan_part_release(part);
		cond_resched();
	}
	xa_destroy(&odp->parts);
	cancel_delayed_work_sync(&odp->trim);
	svan_radix_destroy(&odp->radix);
	kfree(odp->pfns);
}
