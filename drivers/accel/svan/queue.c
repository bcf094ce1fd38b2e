// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues of a context. Their memory is the user's, by addresses in the context: the
 * driver neither reads nor writes it, and what the addresses lead to is the device's to
 * check.
 */
#include <drm/drm_drv.h>

#include "svan_accel.h"

#define SVAN_ACCEL_RING_ALIGN	64

static u32 svan_accel_queue_reg(const struct svan_accel_ctx *ctx, u32 queue, u32 reg)
{
	return SVAN_ACCEL_REG_QUEUE(ctx->number, queue, reg);
}

static int svan_accel_queue_enable(struct svan_accel_ctx *ctx, u32 queue,
				   const struct drm_svan_accel_queue_create *args)
{
	struct svan_accel_dev *dev = ctx->dev;
	u32 state;

	svan_accel_put64(dev, svan_accel_queue_reg(ctx, queue, SVAN_ACCEL_QUEUE_BASE),
			 args->ring);
	svan_accel_put64(dev, svan_accel_queue_reg(ctx, queue, SVAN_ACCEL_QUEUE_RECORD),
			 args->record);
	svan_accel_put32(dev, svan_accel_queue_reg(ctx, queue, SVAN_ACCEL_QUEUE_LOG_SIZE),
			 args->log_size);
	svan_accel_put32(dev, svan_accel_queue_reg(ctx, queue, SVAN_ACCEL_QUEUE_CONTROL),
			 SVAN_ACCEL_QUEUE_ENABLE);
	state = svan_accel_read(dev, svan_accel_queue_reg(ctx, queue,
							  SVAN_ACCEL_QUEUE_STATE));
	/* The context has faulted: no queue starts before it is reset. */
	return state == SVAN_ACCEL_QUEUE_RUNNING ? 0 : -EIO;
}

static void svan_accel_queue_disable(struct svan_accel_ctx *ctx, u32 queue)
{
	svan_accel_put32(ctx->dev, svan_accel_queue_reg(ctx, queue,
							SVAN_ACCEL_QUEUE_CONTROL), 0);
	svan_accel_drain(ctx->dev);
}

static int svan_accel_queue_create(struct svan_accel_ctx *ctx,
				   struct drm_svan_accel_queue_create *args)
{
	u32 queue = find_first_zero_bit(ctx->queues, SVAN_ACCEL_QUEUES);
	int err;

	lockdep_assert_held(&ctx->lock);
	if (!ctx->on)
		return -EIO;
	if (queue == SVAN_ACCEL_QUEUES)
		return -ENOSPC;
	err = svan_accel_queue_enable(ctx, queue, args);
	if (err) {
		svan_accel_queue_disable(ctx, queue);
		return err;
	}
	__set_bit(queue, ctx->queues);
	args->queue = queue;
	return 0;
}

int svan_accel_queue_create_ioctl(struct drm_device *drm, void *data,
				  struct drm_file *file)
{
	struct drm_svan_accel_queue_create *args = data;
	struct svan_accel_ctx *ctx = file->driver_priv;
	int err, idx;

	if (args->flags || args->pad || args->log_size > SVAN_ACCEL_QUEUE_MAX_LOG_SIZE ||
	    args->ring % SVAN_ACCEL_RING_ALIGN ||
	    args->record % sizeof(struct svan_accel_record))
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	mutex_lock(&ctx->lock);
	err = svan_accel_queue_create(ctx, args);
	mutex_unlock(&ctx->lock);
	drm_dev_exit(idx);
	return err;
}

int svan_accel_queue_destroy_ioctl(struct drm_device *drm, void *data,
				   struct drm_file *file)
{
	struct drm_svan_accel_queue_destroy *args = data;
	struct svan_accel_ctx *ctx = file->driver_priv;
	int err = 0, idx;

	if (args->pad)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	mutex_lock(&ctx->lock);
	if (args->queue < SVAN_ACCEL_QUEUES && test_bit(args->queue, ctx->queues)) {
		svan_accel_queue_disable(ctx, args->queue);
		__clear_bit(args->queue, ctx->queues);
	} else {
		err = -ENOENT;
	}
	mutex_unlock(&ctx->lock);
	drm_dev_exit(idx);
	return err;
}
