// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process contexts (PRM chapter "Translation"). The device walks the page table of a
 * process by itself, and caches the translations that it finds. The driver's MMU
 * notifier tells it to drop them.
 *
 * The callbacks of the notifier run under page table locks. They take no lock and do
 * not sleep: they store to registers, and then read one, which the device answers
 * only when the accesses with the old translations have ended. If the device is gone
 * or was reset, the stores are lost, but then it has no translations either.
 *
 * A context becomes VALID after its notifier is registered. Before the notifier is
 * unregistered, VALID is cleared and all translations are invalidated. If the mm
 * ends first, the callback `release` does this, and no callback comes after it.
 */

#include <kunit/visibility.h>
#include <linux/dma-mapping.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

/* for a range that needs a larger block, the whole process context is flushed */
#define SVAN_INV_MAX_LOG_PAGES	9

/* shortest time between two flushes of everything by clear_young */
#define SVAN_YOUNG_INTERVAL	(HZ / 10)

/* Return n of the smallest naturally aligned block of 2^n pages that holds both pages. */
static u32 svan_context_cover(u64 first, u64 last)
{
	return first == last ? 0 : ilog2(first ^ last) + 1;
}

/**
 * svan_context_split - cover a range of addresses by blocks to be invalidated
 * @start: first address
 * @end: address behind the last one
 * @ranges: the blocks; room for SVAN_MAX_INVALIDATIONS of them
 *
 * A block is aligned to its size. A small range across a boundary of large blocks is
 * therefore covered by two blocks, one on each side.
 *
 * Return: the number of @ranges that are set.
 */
int svan_context_split(u64 start, u64 end, struct svan_context_range *ranges)
{
	u64 first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;
	u64 middle;
	u32 log;

	if (start >= end || end > TASK_SIZE_MAX)
		goto everything;

	log = svan_context_cover(first, last);
	if (log <= SVAN_INV_MAX_LOG_PAGES) {
		ranges[0].addr = first >> log << log << PAGE_SHIFT;
		ranges[0].log_pages = log;
		return 1;
	}

	/* the largest boundary between the first and the last page */
	middle = last >> (log - 1) << (log - 1);
	ranges[0].log_pages = svan_context_cover(first, middle - 1);
	ranges[1].log_pages = svan_context_cover(middle, last);
	if (max(ranges[0].log_pages, ranges[1].log_pages) >
	    SVAN_INV_MAX_LOG_PAGES)
		goto everything;
	ranges[0].addr = first >> ranges[0].log_pages << ranges[0].log_pages
			 << PAGE_SHIFT;
	ranges[1].addr = middle << PAGE_SHIFT;
	return 2;

everything:
	ranges[0].addr = 0;
	ranges[0].log_pages = SVAN_INV_CONTEXT_ALL;
	return 1;
}
EXPORT_SYMBOL_IF_KUNIT(svan_context_split);

/* Have the device drop the translations of a range, if it may have any. */
static void svan_context_flush(struct svan_context *ctx, u64 start, u64 end)
{
	struct svan_context_range ranges[SVAN_MAX_INVALIDATIONS];
	int i, count;

	/*
	 * The page table has been written before `cached` is read. The device sets
	 * `cached` and executes a full fence before it walks. So either the device
	 * sees the new entry, or the driver sees that the device may have the old
	 * one. mb() is an MFENCE. smp_mb() would not do: it is a locked instruction,
	 * or none in a kernel without SMP, and TCG runs a locked instruction as a
	 * plain one where the guest has a single CPU. But the device may run on
	 * another CPU of the host.
	 */
	mb();
	if (!READ_ONCE(ctx->entry->cached))
		return;

	count = svan_context_split(start, end, ranges);
	for (i = 0; i < count; i++)
		svan_inval_context(ctx->dev->sdev, ctx->pasid,
				   ranges[i].addr, ranges[i].log_pages);
	svan_inval_wait(ctx->dev->sdev);
	atomic64_inc(&ctx->invalidations);
	trace_svan_ib_ctx_invalidate(&ctx->dev->ibdev, ctx->pasid, start, end,
				     ranges[0].log_pages);
}

static void svan_context_invalidate(struct mmu_notifier *mn,
				    struct mm_struct *mm, unsigned long start,
				    unsigned long end)
{
	svan_context_flush(container_of(mn, struct svan_context, notifier),
			   start, end);
}

/*
 * The accessed bit was cleared. The device sets it only when it walks, so its
 * translation has to go.
 */
static int svan_context_clear_flush_young(struct mmu_notifier *mn,
					  struct mm_struct *mm,
					  unsigned long start,
					  unsigned long end)
{
	svan_context_flush(container_of(mn, struct svan_context, notifier),
			   start, end);
	return 0;
}

/*
 * The kernel calls this page by page when it looks for unused memory. The device
 * keeps its translations for a while, as a flush for each page would cost too much.
 * It must not keep them for ever: pages that it uses all the time would seem unused.
 */
static int svan_context_clear_young(struct mmu_notifier *mn,
				    struct mm_struct *mm, unsigned long start,
				    unsigned long end)
{
	struct svan_context *ctx = container_of(mn, struct svan_context,
						notifier);
	unsigned long last = READ_ONCE(ctx->young_flush);

	if (time_after(jiffies, last + SVAN_YOUNG_INTERVAL) &&
	    cmpxchg(&ctx->young_flush, last, jiffies) == last)
		svan_context_flush(ctx, 0, ULONG_MAX);
	return 0;
}

/* The device sets the accessed bits in the page table itself. */
static int svan_context_test_young(struct mmu_notifier *mn,
				   struct mm_struct *mm, unsigned long address)
{
	return 0;
}

/* On return the device does not use the context, and all its accesses have ended. */
static void svan_context_revoke(struct svan_context *ctx)
{
	WRITE_ONCE(ctx->gone, true);
	WRITE_ONCE(ctx->entry->flags, 0);
	/*
	 * The flags are cleared before the invalidation. It is made whatever
	 * `cached` says, because a walk may be under way.
	 */
	mb();
	svan_inval_context(ctx->dev->sdev, ctx->pasid, 0,
			   SVAN_INV_CONTEXT_ALL);
	svan_inval_wait(ctx->dev->sdev);
}

/* The page table is about to be freed. */
static void svan_context_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	svan_context_revoke(container_of(mn, struct svan_context, notifier));
}

static const struct mmu_notifier_ops svan_context_ops = {
	.release = svan_context_release,
	.clear_flush_young = svan_context_clear_flush_young,
	.clear_young = svan_context_clear_young,
	.test_young = svan_context_test_young,
	.arch_invalidate_secondary_tlbs = svan_context_invalidate,
};

static void svan_context_fill(struct svan_context *ctx)
{
	struct svan_process_context *entry = ctx->entry;
	u32 levels = pgtable_l5_enabled() ? 5 : 4;

	entry->root = cpu_to_le64(__pa(ctx->mm->pgd));
	entry->generation = cpu_to_le32(ctx->generation);
	entry->location_table = cpu_to_le64(ctx->dev->learn.locations_dma);
	entry->location_entries = cpu_to_le32(SVAN_LOCATION_COUNT);
	/* The other fields are written before the flags. */
	dma_wmb();
	WRITE_ONCE(entry->flags,
		   cpu_to_le32(SVAN_CTX_VALID |
			       SVAN_PT_X86_64 << SVAN_CTX_FORMAT_SHIFT |
			       levels << SVAN_CTX_LEVELS_SHIFT));
}

static int svan_context_take_pasid(struct svan_context *ctx)
{
	struct svan_context_table *table = &ctx->dev->contexts;
	int pasid;

	pasid = ida_alloc_range(&table->pasids, 1, table->count - 1, GFP_KERNEL);
	if (pasid < 0)
		return pasid == -ENOSPC ? -ENOMEM : pasid;

	ctx->pasid = pasid;
	ctx->entry = &table->entries[pasid];
	ctx->generation = ++table->generations[pasid];
	return 0;
}

/**
 * svan_context_create - let the device walk the page table of an mm
 * @dev: the device
 * @mm: the mm of the calling process
 *
 * Return: the context, or an error pointer.
 */
struct svan_context *svan_context_create(struct svan_ib_dev *dev,
					 struct mm_struct *mm)
{
	struct svan_context *ctx;
	int err;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return ERR_PTR(-ENOMEM);
	ctx->dev = dev;
	ctx->mm = mm;
	ctx->young_flush = jiffies;
	ctx->notifier.ops = &svan_context_ops;
	err = svan_context_take_pasid(ctx);
	if (err)
		goto free_ctx;

	mmgrab(mm);
	err = mmu_notifier_register(&ctx->notifier, mm);
	if (err)
		goto free_pasid;
	err = xa_err(xa_store_bh(&dev->contexts.live, ctx->pasid, ctx,
				 GFP_KERNEL));
	if (err)
		goto unregister;

	svan_context_fill(ctx);
	trace_svan_ib_context(&dev->ibdev, ctx, true);
	return ctx;

unregister:
	mmu_notifier_unregister(&ctx->notifier, mm);
free_pasid:
	mmdrop(mm);
	ida_free(&dev->contexts.pasids, ctx->pasid);
free_ctx:
	kfree(ctx);
	return ERR_PTR(err);
}

/* Destroy a process context to which no key refers any more. */
void svan_context_destroy(struct svan_context *ctx)
{
	struct svan_ib_dev *dev = ctx->dev;

	trace_svan_ib_context(&dev->ibdev, ctx, false);
	xa_erase_bh(&dev->contexts.live, ctx->pasid);
	svan_context_revoke(ctx);
	mmu_notifier_unregister(&ctx->notifier, ctx->mm);
	svan_servers_forget(ctx->mm);
	mmdrop(ctx->mm);
	ida_free(&dev->contexts.pasids, ctx->pasid);
	kfree(ctx);
}

/* The mm of a process context, held by mm_count; NULL if the context is gone. */
struct mm_struct *svan_context_get_mm(struct svan_ib_dev *dev, u32 pasid,
				      u32 generation)
{
	struct mm_struct *mm = NULL;
	struct svan_context *ctx;

	xa_lock_bh(&dev->contexts.live);
	ctx = xa_load(&dev->contexts.live, pasid);
	if (ctx && ctx->generation == generation && !READ_ONCE(ctx->gone)) {
		mm = ctx->mm;
		mmgrab(mm);
	}
	xa_unlock_bh(&dev->contexts.live);
	return mm;
}

bool svan_context_is_live(struct svan_ib_dev *dev, u32 pasid, u32 generation)
{
	struct svan_context *ctx;
	bool live;

	xa_lock_bh(&dev->contexts.live);
	ctx = xa_load(&dev->contexts.live, pasid);
	live = ctx && ctx->generation == generation && !READ_ONCE(ctx->gone);
	xa_unlock_bh(&dev->contexts.live);
	return live;
}

u64 svan_context_invalidations(struct svan_ib_dev *dev, u32 pasid)
{
	struct svan_context *ctx;
	u64 count;

	xa_lock_bh(&dev->contexts.live);
	ctx = xa_load(&dev->contexts.live, pasid);
	count = ctx ? atomic64_read(&ctx->invalidations) : 0;
	xa_unlock_bh(&dev->contexts.live);
	return count;
}

static int svan_contexts_set_table(struct svan_ib_dev *dev, u32 count)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_SET_CONTEXT_TABLE),
		.context_table.addr = cpu_to_le64(count ? dev->contexts.dma : 0),
		.context_table.count = cpu_to_le32(count),
	};

	return svan_cmd_exec(dev->sdev, &cmd, NULL);
}

static void svan_contexts_free(struct svan_ib_dev *dev)
{
	struct svan_context_table *table = &dev->contexts;
	struct device *dma_dev = svan_ib_dma_device(dev);

	if (table->entries)
		dma_free_coherent(dma_dev, table->count * sizeof(*table->entries),
				  table->entries, table->dma);
	kvfree(table->generations);
	table->entries = NULL;
	table->generations = NULL;
}

static int svan_contexts_alloc(struct svan_ib_dev *dev)
{
	struct svan_context_table *table = &dev->contexts;
	struct device *dma_dev = svan_ib_dma_device(dev);

	table->generations = kvcalloc(table->count,
				      sizeof(*table->generations), GFP_KERNEL);
	table->entries = dma_alloc_coherent(dma_dev,
					    table->count * sizeof(*table->entries),
					    &table->dma, GFP_KERNEL);
	if (table->generations && table->entries)
		return 0;
	svan_contexts_free(dev);
	return -ENOMEM;
}

/**
 * svan_contexts_init - give the device a process context table
 * @dev: the device; nothing is done if it serves no process keys
 *
 * Return: 0 or an error.
 */
int svan_contexts_init(struct svan_ib_dev *dev)
{
	struct svan_context_table *table = &dev->contexts;
	int err;

	if (!dev->process_keys)
		return 0;

	table->count = min(le32_to_cpu(dev->caps->max_pasid) + 1,
			   (u32)SVAN_PASID_COUNT);
	err = svan_contexts_alloc(dev);
	if (err)
		return err;
	err = svan_learn_add_locations(dev);
	if (err)
		goto free_table;
	err = svan_contexts_set_table(dev, table->count);
	if (err)
		goto free_locations;
	return 0;

free_locations:
	svan_learn_free_locations(dev);
free_table:
	svan_contexts_free(dev);
	return err;
}

/*
 * Take the table back from the device, after all contexts were destroyed. If the device
 * refuses to give it up, the memory is leaked, since the device may still read it.
 */
void svan_contexts_exit(struct svan_ib_dev *dev)
{
	struct svan_context_table *table = &dev->contexts;
	int err;

	WARN_ON(!xa_empty(&table->live));
	xa_destroy(&table->live);
	ida_destroy(&table->pasids);
	if (!table->entries)
		return;

	err = svan_contexts_set_table(dev, 0);
	if (err && err != -ENODEV) {
		dev_err(&dev->ibdev.dev,
			"the device keeps its process context table: error %d\n",
			err);
		return;
	}
	svan_learn_free_locations(dev);
	svan_contexts_free(dev);
}
