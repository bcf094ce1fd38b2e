// SPDX-License-Identifier: GPL-2.0-only
/* Contexts: each open file has one, from its opening to its end. */
#include <drm/drm_drv.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "svan_accel.h"

/* A register of the context. */
static u32 svan_accel_ctx_reg(const struct svan_accel_ctx *ctx, u32 reg)
{
	return SVAN_ACCEL_REG_CTX(ctx->number, reg);
}

/*
 * The device reads the tables from here on. Memory that a descriptor names is visible to
 * it before: the register writes are ordered after the stores.
 */
static int svan_accel_ctx_enable(struct svan_accel_ctx *ctx)
{
	struct svan_accel_slot *slot = svan_accel_slot(ctx);
	struct svan_accel_dev *dev = ctx->dev;

	lockdep_assert_held(&ctx->lock);
	if (READ_ONCE(dev->down))
		return -EBUSY;
	spin_lock_irq(&slot->lock);
	slot->told = false;
	spin_unlock_irq(&slot->lock);
	svan_accel_put64(dev, svan_accel_ctx_reg(ctx, SVAN_ACCEL_CTX_TABLE),
			 ctx->root->dma);
	svan_accel_put32(dev, svan_accel_ctx_reg(ctx, SVAN_ACCEL_CTX_LEVELS),
			 SVAN_ACCEL_LEVELS);
	ctx->on = true;
	svan_accel_put32(dev, svan_accel_ctx_reg(ctx, SVAN_ACCEL_CTX_CONTROL),
			 SVAN_ACCEL_CTX_ENABLE);
	if (svan_accel_read(dev, svan_accel_ctx_reg(ctx, SVAN_ACCEL_CTX_STATE)) !=
	    SVAN_ACCEL_CTX_RUNNING) {
		svan_accel_ctx_disable(ctx);
		return -EIO;
	}
	return 0;
}

/* On return the device does not access memory for the context, and has no queue of it. */
void svan_accel_ctx_disable(struct svan_accel_ctx *ctx)
{
	lockdep_assert_held(&ctx->lock);
	if (!ctx->on)
		return;
	svan_accel_put32(ctx->dev, svan_accel_ctx_reg(ctx, SVAN_ACCEL_CTX_CONTROL), 0);
	svan_accel_drain(ctx->dev);
	bitmap_zero(ctx->queues, SVAN_ACCEL_QUEUES);
	ctx->on = false;
}

/* Take all mappings out, for the device does not use them any more. */
static void svan_accel_ctx_collect(struct svan_accel_ctx *ctx, struct list_head *list)
{
	struct svan_accel_mapping *mapping;
	unsigned long index = 0;

	lockdep_assert_held(&ctx->lock);
	mt_for_each(&ctx->mappings, mapping, index, ULONG_MAX) {
		svan_accel_mapping_withdraw(mapping);
		list_add_tail(&mapping->link, list);
	}
	mtree_destroy(&ctx->mappings);
}

/**
 * svan_accel_ctx_tear_down - end a context, but for its struct and its number
 * @ctx: the context
 *
 * A second call does nothing. The caller sees to it that the device cannot go meanwhile.
 */
void svan_accel_ctx_tear_down(struct svan_accel_ctx *ctx)
{
	struct svan_accel_mapping *mapping, *next;
	LIST_HEAD(list);

	mutex_lock(&ctx->lock);
	svan_accel_ctx_disable(ctx);
	if (ctx->root) {
		svan_accel_ctx_collect(ctx, &list);
		svan_accel_table_destroy_root(ctx->dev, ctx->root);
		ctx->root = NULL;
	}
	mutex_unlock(&ctx->lock);

	list_for_each_entry_safe(mapping, next, &list, link) {
		svan_accel_mapping_release(mapping);
		cond_resched();
	}
}

/* One user must not take the contexts of all others. */
static bool svan_accel_user_has_enough(struct svan_accel_ctx *ctx)
{
	struct svan_accel_ctx *other;
	u32 count = 0;

	lockdep_assert_held(&ctx->dev->contexts_lock);
	if (capable(CAP_SYS_ADMIN))
		return false;
	list_for_each_entry(other, &ctx->dev->contexts, link)
		count += uid_eq(other->uid, ctx->uid);
	return count >= SVAN_ACCEL_USER_CONTEXTS;
}

static int svan_accel_ctx_get_number(struct svan_accel_ctx *ctx)
{
	struct svan_accel_dev *dev = ctx->dev;
	int err = 0;

	mutex_lock(&dev->contexts_lock);
	if (svan_accel_user_has_enough(ctx)) {
		mutex_unlock(&dev->contexts_lock);
		return -ENOSPC;
	}
	ctx->number = find_first_zero_bit(dev->numbers, SVAN_ACCEL_CONTEXTS);
	if (ctx->number == SVAN_ACCEL_CONTEXTS) {
		err = -ENOSPC;
	} else {
		__set_bit(ctx->number, dev->numbers);
		list_add_tail(&ctx->link, &dev->contexts);
	}
	mutex_unlock(&dev->contexts_lock);
	return err;
}

static void svan_accel_ctx_put_number(struct svan_accel_ctx *ctx)
{
	lockdep_assert_held(&ctx->dev->contexts_lock);
	svan_accel_events_clear(svan_accel_slot(ctx));
	list_del(&ctx->link);
	__clear_bit(ctx->number, ctx->dev->numbers);
}

static void svan_accel_ctx_free(struct svan_accel_ctx *ctx)
{
	mtree_destroy(&ctx->mappings);
	mutex_destroy(&ctx->lock);
	mmdrop(ctx->mm);
	kfree(ctx);
}

/*
 * While the device is there, only its going waits for a context to be torn down, not
 * those who open or close another one. When it has gone, or is just going, it is the lock
 * that keeps it until the tables and mappings are freed; svan_accel_remove() may have
 * done all of that.
 */
static void svan_accel_ctx_end(struct svan_accel_ctx *ctx)
{
	struct svan_accel_dev *dev = ctx->dev;
	int idx;

	if (drm_dev_enter(&dev->drm, &idx)) {
		svan_accel_ctx_tear_down(ctx);
		drm_dev_exit(idx);
	}
	mutex_lock(&dev->contexts_lock);
	svan_accel_ctx_tear_down(ctx);
	svan_accel_ctx_put_number(ctx);
	mutex_unlock(&dev->contexts_lock);
	svan_accel_ctx_free(ctx);
}

static int svan_accel_ctx_begin(struct svan_accel_ctx *ctx)
{
	int err = 0;

	mutex_lock(&ctx->lock);
	ctx->root = svan_accel_table_create_root(ctx->dev);
	if (IS_ERR(ctx->root)) {
		err = PTR_ERR(ctx->root);
		ctx->root = NULL;
	} else {
		err = svan_accel_ctx_enable(ctx);
	}
	mutex_unlock(&ctx->lock);
	return err;
}

int svan_accel_ctx_open(struct drm_device *drm, struct drm_file *file)
{
	struct svan_accel_ctx *ctx;
	int err, idx;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return -ENOMEM;
	ctx->dev = to_svan_accel_dev(drm);
	ctx->mm = current->mm;
	mmgrab(ctx->mm);
	ctx->uid = current_uid();
	mutex_init(&ctx->lock);
	mt_init_flags(&ctx->mappings, MT_FLAGS_ALLOC_RANGE);
	err = svan_accel_ctx_get_number(ctx);
	if (err) {
		svan_accel_ctx_free(ctx);
		return err;
	}

	err = -ENODEV;
	if (drm_dev_enter(drm, &idx)) {
		err = svan_accel_ctx_begin(ctx);
		drm_dev_exit(idx);
	}
	if (err) {
		svan_accel_ctx_end(ctx);
		return err;
	}
	file->driver_priv = ctx;
	return 0;
}

void svan_accel_ctx_close(struct drm_device *drm, struct drm_file *file)
{
	svan_accel_ctx_end(file->driver_priv);
}

int svan_accel_reset_context_ioctl(struct drm_device *drm, void *data,
				   struct drm_file *file)
{
	struct drm_svan_accel_reset_context *args = data;
	struct svan_accel_ctx *ctx = file->driver_priv;
	int err, idx;

	if (args->flags || args->pad)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	mutex_lock(&ctx->lock);
	svan_accel_ctx_disable(ctx);
	err = svan_accel_ctx_enable(ctx);
	mutex_unlock(&ctx->lock);
	drm_dev_exit(idx);
	return err;
}

/* What the device says of a context. One that a reset has turned off has no fault. */
static void svan_accel_ctx_read_fault(struct svan_accel_ctx *ctx,
				      struct drm_svan_accel_fault *fault)
{
	u32 base = svan_accel_ctx_reg(ctx, 0);
	struct svan_accel_dev *dev = ctx->dev;

	lockdep_assert_held(&ctx->lock);
	if (!ctx->on)
		return;
	fault->state = svan_accel_read(dev, base + SVAN_ACCEL_CTX_STATE);
	if (fault->state != SVAN_ACCEL_CTX_FAULTED)
		return;
	fault->status = svan_accel_read(dev, base + SVAN_ACCEL_CTX_FAULT);
	fault->queue = svan_accel_read(dev, base + SVAN_ACCEL_CTX_FAULT_QUEUE);
	fault->va = svan_accel_read64(dev, base + SVAN_ACCEL_CTX_FAULT_ADDR);
}

int svan_accel_fault_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct svan_accel_ctx *ctx = file->driver_priv;
	int idx;

	memset(data, 0, sizeof(struct drm_svan_accel_fault));
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	mutex_lock(&ctx->lock);
	svan_accel_ctx_read_fault(ctx, data);
	mutex_unlock(&ctx->lock);
	drm_dev_exit(idx);
	return 0;
}
