// SPDX-License-Identifier: GPL-2.0-only
/*
 * The address space of a context: buffers and memory of processes. (Windows are in
 * window.c.)
 *
 * A mapping is prepared, then inserted; and withdrawn, then released. Only to insert and
 * to withdraw it takes the lock of the context, under which nothing may be pinned or let
 * go.
 */
#include <drm/drm_drv.h>
#include <drm/drm_gem_shmem_helper.h>
#include <linux/dma-mapping.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "svan_accel.h"

/* most pages of a process in one mapping */
#define SVAN_ACCEL_MAX_USER_PAGES	((u64)SZ_4G >> PAGE_SHIFT)

/* ---- what all mappings share ---- */

static bool svan_accel_range_is_sane(u64 start, u64 length)
{
	u64 end;

	return length && PAGE_ALIGNED(start | length) &&
	       !check_add_overflow(start, length, &end) &&
	       length >> PAGE_SHIFT < SVAN_ACCEL_END_PAGE;
}

struct svan_accel_mapping *svan_accel_mapping_alloc(struct svan_accel_ctx *ctx,
						    enum svan_accel_mapping_kind kind,
						    u64 length, u64 flags)
{
	struct svan_accel_mapping *mapping;

	mapping = kzalloc(sizeof(*mapping), GFP_KERNEL_ACCOUNT);
	if (!mapping)
		return NULL;
	mapping->ctx = ctx;
	mapping->kind = kind;
	mapping->pages = length >> PAGE_SHIFT;
	mapping->flags = flags | SVAN_ACCEL_PTE_PRESENT;
	atomic_long_inc(&ctx->dev->counts.mappings);
	return mapping;
}

void svan_accel_mapping_free(struct svan_accel_mapping *mapping)
{
	atomic_long_dec(&mapping->ctx->dev->counts.mappings);
	kfree(mapping);
}

static void svan_accel_mapping_set(struct svan_accel_mapping *mapping)
{
	struct svan_accel_ctx *ctx = mapping->ctx;
	unsigned long page = mapping->first;
	struct scatterlist *sg;
	unsigned int i;

	if (mapping->kind == SVAN_ACCEL_MAPS_LOCAL) {
		svan_accel_table_set(ctx, page, mapping->pages, mapping->flags |
				     (to_svan_accel_bo(mapping->gem)->node.start +
				      mapping->offset));
		return;
	}
	for_each_sgtable_dma_sg(mapping->sgt, sg, i) {
		unsigned long pages = sg_dma_len(sg) >> PAGE_SHIFT;

		svan_accel_table_set(ctx, page, pages, mapping->flags |
				     sg_dma_address(sg));
		page += pages;
	}
}

/**
 * svan_accel_mapping_insert - let the device use what is mapped
 * @mapping: the mapping
 *
 * The context's lock is held, and the device cannot go. On success the mapping is found
 * by its address: once the lock is dropped another thread of the user may release it.
 *
 * Return: 0, -ENOSPC if the address space is full, or another error.
 */
int svan_accel_mapping_insert(struct svan_accel_mapping *mapping)
{
	struct svan_accel_ctx *ctx = mapping->ctx;
	int err;

	lockdep_assert_held(&ctx->lock);
	err = mtree_alloc_range(&ctx->mappings, &mapping->first, mapping, mapping->pages,
				SVAN_ACCEL_FIRST_PAGE, SVAN_ACCEL_END_PAGE - 1,
				GFP_KERNEL_ACCOUNT);
	if (err)
		return err == -EBUSY ? -ENOSPC : err;
	err = svan_accel_table_grow(ctx, mapping->first, mapping->pages);
	if (err) {
		mtree_erase(&ctx->mappings, mapping->first);
		return err;
	}
	svan_accel_mapping_set(mapping);
	mapping->live = true;
	return 0;
}

/*
 * On return the device does not use what is mapped any more. The context's lock is held.
 * The address stays taken.
 */
void svan_accel_mapping_withdraw(struct svan_accel_mapping *mapping)
{
	struct svan_accel_ctx *ctx = mapping->ctx;
	struct svan_accel_dev *dev = ctx->dev;

	lockdep_assert_held(&ctx->lock);
	if (!mapping->live)
		return;
	mapping->live = false;
	svan_accel_table_clear(ctx, mapping->first, mapping->pages);
	if (!ctx->on)
		return;
	svan_accel_put64(dev, SVAN_ACCEL_REG_CTX(ctx->number, SVAN_ACCEL_CTX_INVALIDATE),
			 svan_accel_invalidate((u64)mapping->first << PAGE_SHIFT,
					       order_base_2(mapping->pages)));
	svan_accel_drain(dev);
}

/* Insert and tell the address, or release. */
static int svan_accel_mapping_finish(struct svan_accel_mapping *mapping, u64 *va)
{
	struct svan_accel_ctx *ctx = mapping->ctx;
	int err;

	mutex_lock(&ctx->lock);
	err = svan_accel_mapping_insert(mapping);
	if (!err)
		*va = (u64)mapping->first << PAGE_SHIFT;
	mutex_unlock(&ctx->lock);
	if (err)
		svan_accel_mapping_release(mapping);
	return err;
}

/* ---- pages ---- */

static int svan_accel_map_pages(struct svan_accel_mapping *mapping, struct page **pages)
{
	struct device *device = &mapping->ctx->dev->pdev->dev;
	int err;

	mapping->dir = mapping->flags & SVAN_ACCEL_PTE_WRITABLE ? DMA_BIDIRECTIONAL :
								  DMA_TO_DEVICE;
	err = sg_alloc_table_from_pages(&mapping->own_sgt, pages, mapping->pages, 0,
					(unsigned long)mapping->pages << PAGE_SHIFT,
					GFP_KERNEL_ACCOUNT);
	if (err)
		return err;
	err = dma_map_sgtable(device, &mapping->own_sgt, mapping->dir, 0);
	if (err) {
		sg_free_table(&mapping->own_sgt);
		return err;
	}
	mapping->sgt = &mapping->own_sgt;
	return 0;
}

/* ---- buffers ---- */

/*
 * Pages that are pinned are charged to the process that opened the context, whoever maps
 * them, as they stay pinned while the context lives. As with ib_umem_get(), pages that are
 * pinned twice are charged twice.
 */
static int svan_accel_charge(struct svan_accel_mapping *mapping)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	struct mm_struct *mm = mapping->ctx->mm;

	if (atomic64_add_return(mapping->pages, &mm->pinned_vm) > limit &&
	    !capable(CAP_IPC_LOCK)) {
		atomic64_sub(mapping->pages, &mm->pinned_vm);
		return -ENOMEM;
	}
	if (mapping->kind == SVAN_ACCEL_MAPS_USER)
		atomic_long_add(mapping->pages, &mapping->ctx->dev->counts.pinned);
	return 0;
}

static void svan_accel_uncharge(struct svan_accel_mapping *mapping)
{
	if (mapping->kind == SVAN_ACCEL_MAPS_USER)
		atomic_long_sub(mapping->pages, &mapping->ctx->dev->counts.pinned);
	atomic64_sub(mapping->pages, &mapping->ctx->mm->pinned_vm);
}

static int svan_accel_prepare_bo(struct svan_accel_mapping *mapping)
{
	struct drm_gem_shmem_object *shmem;
	int err;

	if (mapping->kind == SVAN_ACCEL_MAPS_LOCAL)
		return 0;
	err = svan_accel_charge(mapping);
	if (err)
		return err;
	shmem = to_drm_gem_shmem_obj(mapping->gem);
	err = drm_gem_shmem_pin(shmem);
	if (err)
		goto uncharge;
	err = svan_accel_map_pages(mapping, shmem->pages + (mapping->offset >> PAGE_SHIFT));
	if (err)
		goto unpin;
	return 0;

unpin:
	drm_gem_shmem_unpin(shmem);
uncharge:
	svan_accel_uncharge(mapping);
	return err;
}

static int svan_accel_map_bo(struct svan_accel_ctx *ctx, struct drm_gem_object *gem,
			     struct drm_svan_accel_map *args)
{
	bool local = gem->funcs == &svan_accel_bo_funcs;
	struct svan_accel_mapping *mapping;
	u64 flags = local ? SVAN_ACCEL_PTE_LOCAL : 0;
	int err;

	if (args->offset + args->length > gem->size)
		return -EINVAL;
	if (args->flags & DRM_SVAN_ACCEL_WRITE)
		flags |= SVAN_ACCEL_PTE_WRITABLE;
	mapping = svan_accel_mapping_alloc(ctx, local ? SVAN_ACCEL_MAPS_LOCAL :
							SVAN_ACCEL_MAPS_HOST,
					   args->length, flags);
	if (!mapping)
		return -ENOMEM;
	mapping->gem = gem;
	mapping->offset = args->offset;
	err = svan_accel_prepare_bo(mapping);
	if (err) {
		svan_accel_mapping_free(mapping);
		return err;
	}
	drm_gem_object_get(gem);
	return svan_accel_mapping_finish(mapping, &args->va);
}

int svan_accel_map_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_svan_accel_map *args = data;
	struct drm_gem_object *gem;
	int err, idx;

	if (args->flags & ~DRM_SVAN_ACCEL_WRITE ||
	    !svan_accel_range_is_sane(args->offset, args->length))
		return -EINVAL;
	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;
	err = -ENODEV;
	if (drm_dev_enter(drm, &idx)) {
		err = svan_accel_map_bo(file->driver_priv, gem, args);
		drm_dev_exit(idx);
	}
	drm_gem_object_put(gem);
	return err;
}

/* ---- memory of processes ---- */

static int svan_accel_pin(struct svan_accel_mapping *mapping, unsigned long addr,
			  struct page **pages)
{
	unsigned int flags = FOLL_LONGTERM;
	unsigned long done = 0;
	int n;

	if (mapping->flags & SVAN_ACCEL_PTE_WRITABLE)
		flags |= FOLL_WRITE;
	while (done < mapping->pages) {
		n = pin_user_pages_fast(addr + (done << PAGE_SHIFT), mapping->pages - done,
					flags, pages + done);
		if (n <= 0) {
			unpin_user_pages(pages, done);
			return n ?: -EFAULT;
		}
		done += n;
		cond_resched();
	}
	return 0;
}

/* What the device may have written is dirty. */
static void svan_accel_unpin(struct svan_accel_mapping *mapping)
{
	bool dirty = mapping->flags & SVAN_ACCEL_PTE_WRITABLE;
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(mapping->sgt, sg, i) {
		unpin_user_page_range_dirty_lock(sg_page(sg), sg->length >> PAGE_SHIFT,
						 dirty);
		cond_resched();
	}
}

/* The pages are pinned; from here on the mapping owns them, or they are unpinned. */
static int svan_accel_map_pinned(struct svan_accel_mapping *mapping, struct page **pages,
				 u64 *va)
{
	struct drm_device *drm = &mapping->ctx->dev->drm;
	int err = -ENODEV, idx;

	if (drm_dev_enter(drm, &idx)) {
		err = svan_accel_map_pages(mapping, pages);
		if (!err) {
			err = svan_accel_mapping_finish(mapping, va);
			drm_dev_exit(idx);
			return err;
		}
		drm_dev_exit(idx);
	}
	unpin_user_pages(pages, mapping->pages);
	svan_accel_uncharge(mapping);
	svan_accel_mapping_free(mapping);
	return err;
}

/*
 * Nothing is held while the pages are pinned: that may wait for whoever serves the
 * memory, for as long as it likes, and must not keep the device from going.
 */
static int svan_accel_map_user(struct svan_accel_mapping *mapping,
			       struct drm_svan_accel_map_user *args)
{
	struct page **pages;
	int err;

	err = svan_accel_charge(mapping);
	if (err)
		goto err_free;
	err = -ENOMEM;
	pages = kvmalloc_array(mapping->pages, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		goto err_uncharge;
	err = svan_accel_pin(mapping, args->addr, pages);
	if (err)
		goto err_free_pages;
	err = svan_accel_map_pinned(mapping, pages, &args->va);
	kvfree(pages);
	return err;

err_free_pages:
	kvfree(pages);
err_uncharge:
	svan_accel_uncharge(mapping);
err_free:
	svan_accel_mapping_free(mapping);
	return err;
}

int svan_accel_map_user_ioctl(struct drm_device *drm, void *data,
			      struct drm_file *file)
{
	struct drm_svan_accel_map_user *args = data;
	struct svan_accel_ctx *ctx = file->driver_priv;
	struct svan_accel_mapping *mapping;
	u64 flags = 0;

	if (args->flags & ~DRM_SVAN_ACCEL_WRITE || args->pad ||
	    !svan_accel_range_is_sane(args->addr, args->length) ||
	    args->length >> PAGE_SHIFT > SVAN_ACCEL_MAX_USER_PAGES)
		return -EINVAL;
	/* Pages of another process would be charged to this one, or to nobody. */
	if (current->mm != ctx->mm)
		return -EPERM;
	if (args->flags & DRM_SVAN_ACCEL_WRITE)
		flags |= SVAN_ACCEL_PTE_WRITABLE;
	mapping = svan_accel_mapping_alloc(ctx, SVAN_ACCEL_MAPS_USER, args->length, flags);
	if (!mapping)
		return -ENOMEM;
	return svan_accel_map_user(mapping, args);
}

/* ---- the end of a mapping ---- */

static void svan_accel_release_pages(struct svan_accel_mapping *mapping)
{
	dma_unmap_sgtable(&mapping->ctx->dev->pdev->dev, mapping->sgt, mapping->dir, 0);
	if (mapping->kind == SVAN_ACCEL_MAPS_USER)
		svan_accel_unpin(mapping);
	else
		drm_gem_shmem_unpin(to_drm_gem_shmem_obj(mapping->gem));
	svan_accel_uncharge(mapping);
	sg_free_table(mapping->sgt);
}

/* It is withdrawn, or was never inserted, and none of the driver's locks is held. */
void svan_accel_mapping_release(struct svan_accel_mapping *mapping)
{
	switch (mapping->kind) {
	case SVAN_ACCEL_MAPS_LOCAL:
		break;
	case SVAN_ACCEL_MAPS_HOST:
	case SVAN_ACCEL_MAPS_USER:
		svan_accel_release_pages(mapping);
		break;
	case SVAN_ACCEL_MAPS_WINDOW:
		svan_accel_window_release(mapping);
		break;
	}
	if (mapping->gem)
		drm_gem_object_put(mapping->gem);
	svan_accel_mapping_free(mapping);
}

static struct svan_accel_mapping *svan_accel_mapping_take(struct svan_accel_ctx *ctx,
							  u64 va)
{
	unsigned long first = va >> PAGE_SHIFT;
	struct svan_accel_mapping *mapping;

	lockdep_assert_held(&ctx->lock);
	mapping = mtree_load(&ctx->mappings, first);
	if (!mapping || mapping->first != first)
		return NULL;
	mtree_erase(&ctx->mappings, first);
	svan_accel_mapping_withdraw(mapping);
	return mapping;
}

int svan_accel_unmap_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_svan_accel_unmap *args = data;
	struct svan_accel_ctx *ctx = file->driver_priv;
	struct svan_accel_mapping *mapping;
	int idx;

	if (!PAGE_ALIGNED(args->va))
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	mutex_lock(&ctx->lock);
	mapping = svan_accel_mapping_take(ctx, args->va);
	mutex_unlock(&ctx->lock);
	if (mapping)
		svan_accel_mapping_release(mapping);
	drm_dev_exit(idx);
	return mapping ? 0 : -ENOENT;
}
