// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbell windows: pages of a NIC's doorbells, which svan_ib exports as dma-bufs. They
 * are attached here and not by PRIME, as they are not buffers and no file may find them
 * by a handle.
 *
 * svan_ib admits one importer, which registers itself. It is asked for by symbol_get()
 * when the first window is imported: the accelerator works without a NIC's driver, and
 * the two can be loaded and unloaded in any order. Whoever has a window to import has
 * svan_ib loaded, as its dma-buf holds the module; the reference to the symbol holds it
 * until the last window is released.
 */
#include <drm/drm_drv.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "svan_accel.h"
#include "svan_window.h"

MODULE_IMPORT_NS(DMA_BUF);

#define SVAN_ACCEL_WINDOW_EXPORTER	"svan_ib"
#define SVAN_ACCEL_MAX_WINDOW		(16 * PAGE_SIZE)

/* The device only stores through a window. */
#define SVAN_ACCEL_WINDOW_DIR		DMA_FROM_DEVICE

static DEFINE_MUTEX(svan_accel_windows_lock);	/* protects svan_accel_windows */
static unsigned long svan_accel_windows;	/* attachments, of all devices */

/* The reservation lock is held, so the attachment's mapping is this function's to drop. */
static void svan_accel_window_drop(struct svan_accel_mapping *mapping)
{
	struct svan_accel_ctx *ctx = mapping->ctx;

	dma_resv_assert_held(mapping->attach->dmabuf->resv);
	mutex_lock(&ctx->lock);
	svan_accel_mapping_withdraw(mapping);
	mutex_unlock(&ctx->lock);
	if (!mapping->sgt)
		return;
	dma_buf_unmap_attachment(mapping->attach, mapping->sgt, SVAN_ACCEL_WINDOW_DIR);
	mapping->sgt = NULL;
	atomic_long_dec(&ctx->dev->counts.windows);
}

/*
 * The owner takes the page away. On return no store of the device to it is under way, and
 * none will be. The next command that uses the address faults the context.
 */
static void svan_accel_window_move_notify(struct dma_buf_attachment *attach)
{
	svan_accel_window_drop(attach->importer_priv);
}

static const struct dma_buf_attach_ops svan_accel_window_ops = {
	.allow_peer2peer = true,
	.move_notify = svan_accel_window_move_notify,
};

/* ---- registration with svan_ib ---- */

static int svan_accel_windows_get(void)
{
	int (*enter)(const struct dma_buf_attach_ops *ops);
	int err = 0;

	mutex_lock(&svan_accel_windows_lock);
	if (!svan_accel_windows) {
		enter = symbol_get(svan_ib_window_importer_register);
		err = enter ? enter(&svan_accel_window_ops) : -EOPNOTSUPP;
		if (enter && err)
			symbol_put(svan_ib_window_importer_register);
	}
	if (!err)
		svan_accel_windows++;
	mutex_unlock(&svan_accel_windows_lock);
	return err;
}

static void svan_accel_windows_put(void)
{
	void (*leave)(const struct dma_buf_attach_ops *ops);

	mutex_lock(&svan_accel_windows_lock);
	if (!--svan_accel_windows) {
		leave = symbol_get(svan_ib_window_importer_unregister);
		if (!WARN_ON(!leave)) {
			leave(&svan_accel_window_ops);
			symbol_put(svan_ib_window_importer_unregister);
		}
		symbol_put(svan_ib_window_importer_register);
	}
	mutex_unlock(&svan_accel_windows_lock);
}

/* ---- import ---- */

static void svan_accel_window_detach(struct svan_accel_mapping *mapping)
{
	struct dma_buf *dmabuf = mapping->attach->dmabuf;

	dma_buf_detach(dmabuf, mapping->attach);
	dma_buf_put(dmabuf);
	svan_accel_windows_put();
}

void svan_accel_window_release(struct svan_accel_mapping *mapping)
{
	struct dma_buf *dmabuf = mapping->attach->dmabuf;

	dma_resv_lock(dmabuf->resv, NULL);
	svan_accel_window_drop(mapping);
	dma_resv_unlock(dmabuf->resv);
	svan_accel_window_detach(mapping);
}

/*
 * A revocation comes either before the mapping, which then fails, or after the insertion,
 * which it undoes.
 */
static int svan_accel_window_map(struct svan_accel_mapping *mapping, u64 *va)
{
	struct svan_accel_ctx *ctx = mapping->ctx;
	struct dma_buf *dmabuf = mapping->attach->dmabuf;
	struct sg_table *sgt;
	int err;

	err = dma_resv_lock_interruptible(dmabuf->resv, NULL);
	if (err)
		return err;
	sgt = dma_buf_map_attachment(mapping->attach, SVAN_ACCEL_WINDOW_DIR);
	if (IS_ERR(sgt)) {
		dma_resv_unlock(dmabuf->resv);
		return PTR_ERR(sgt);
	}
	mapping->sgt = sgt;
	atomic_long_inc(&ctx->dev->counts.windows);
	mutex_lock(&ctx->lock);
	err = svan_accel_mapping_insert(mapping);
	*va = (u64)mapping->first << PAGE_SHIFT;
	mutex_unlock(&ctx->lock);
	dma_resv_unlock(dmabuf->resv);
	return err;
}

static int svan_accel_window_attach(struct svan_accel_mapping *mapping,
				    struct dma_buf *dmabuf)
{
	struct device *device = &mapping->ctx->dev->pdev->dev;
	struct dma_buf_attachment *attach;
	int err;

	err = svan_accel_windows_get();
	if (err)
		return err;
	attach = dma_buf_dynamic_attach(dmabuf, device, &svan_accel_window_ops, mapping);
	if (IS_ERR(attach)) {
		svan_accel_windows_put();
		return PTR_ERR(attach);
	}
	get_dma_buf(dmabuf);
	mapping->attach = attach;
	return 0;
}

/* The caller's reference keeps the dma-buf if another thread unmaps the window at once. */
static int svan_accel_import_dmabuf(struct svan_accel_ctx *ctx, struct dma_buf *dmabuf,
				    struct drm_svan_accel_import_window *args)
{
	struct svan_accel_mapping *mapping;
	int err;

	/* Other dma-bufs are memory, which is not what a window is for. */
	if (strcmp(dmabuf->exp_name, SVAN_ACCEL_WINDOW_EXPORTER) || !dmabuf->size ||
	    dmabuf->size > SVAN_ACCEL_MAX_WINDOW || !PAGE_ALIGNED(dmabuf->size))
		return -EINVAL;
	mapping = svan_accel_mapping_alloc(ctx, SVAN_ACCEL_MAPS_WINDOW, dmabuf->size,
					   SVAN_ACCEL_PTE_WINDOW | SVAN_ACCEL_PTE_WRITABLE);
	if (!mapping)
		return -ENOMEM;
	err = svan_accel_window_attach(mapping, dmabuf);
	if (err) {
		svan_accel_mapping_free(mapping);
		return err;
	}
	args->size = dmabuf->size;
	err = svan_accel_window_map(mapping, &args->va);
	if (err)
		svan_accel_mapping_release(mapping);
	return err;
}

static int svan_accel_import_window(struct svan_accel_ctx *ctx,
				    struct drm_svan_accel_import_window *args)
{
	struct dma_buf *dmabuf = dma_buf_get(args->fd);
	int err;

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	err = svan_accel_import_dmabuf(ctx, dmabuf, args);
	dma_buf_put(dmabuf);
	return err;
}

int svan_accel_import_window_ioctl(struct drm_device *drm, void *data,
				   struct drm_file *file)
{
	struct drm_svan_accel_import_window *args = data;
	int err, idx;

	if (args->flags)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	err = svan_accel_import_window(file->driver_priv, args);
	drm_dev_exit(idx);
	return err;
}
