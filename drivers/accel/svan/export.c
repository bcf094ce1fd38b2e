// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local memory as a dma-buf, for RDMA and other devices that access it over the bus. The
 * memory has no struct pages: an importer gets bus addresses, and has to say that it
 * takes those of a peer.
 *
 * A buffer does not move, so to pin it is nothing. Its memory is lost by a reset of the
 * device, and goes with the device: importers are told by move_notify before that, and do
 * not use what they have mapped after.
 */
#include <drm/drm_drv.h>
#include <drm/drm_prime.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "svan_accel.h"

/* The length field of a scatter/gather entry has 32 bits. */
#define SVAN_ACCEL_EXPORT_SEGMENT	((u64)SZ_1G)

static struct svan_accel_dev *svan_accel_exporter(struct dma_buf_attachment *attach)
{
	struct drm_gem_object *gem = attach->dmabuf->priv;

	return to_svan_accel_dev(gem->dev);
}

static int svan_accel_export_attach(struct dma_buf *dmabuf,
				    struct dma_buf_attachment *attach)
{
	return attach->peer2peer ? 0 : -EOPNOTSUPP;
}

/*
 * Is the memory there? It is looked at under the reservation lock, which is taken to
 * revoke, too: what is given out when it still was is revoked after.
 */
static int svan_accel_export_check(struct dma_buf_attachment *attach)
{
	struct svan_accel_dev *dev = svan_accel_exporter(attach);

	dma_resv_assert_held(attach->dmabuf->resv);
	if (drm_dev_is_unplugged(&dev->drm))
		return -ENODEV;
	return READ_ONCE(dev->down) ? -EBUSY : 0;
}

static int svan_accel_export_pin(struct dma_buf_attachment *attach)
{
	int err = svan_accel_export_check(attach);

	if (!err)
		atomic_long_inc(&svan_accel_exporter(attach)->counts.pins);
	return err;
}

static void svan_accel_export_unpin(struct dma_buf_attachment *attach)
{
	atomic_long_dec(&svan_accel_exporter(attach)->counts.pins);
}

static void svan_accel_unmap_segments(struct device *device, struct sg_table *sgt,
				      unsigned int count, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (i == count)
			return;
		dma_unmap_resource(device, sg_dma_address(sg), sg_dma_len(sg), dir,
				   DMA_ATTR_SKIP_CPU_SYNC);
	}
}

static int svan_accel_map_segments(struct device *device, struct sg_table *sgt,
				   struct svan_accel_bo *bo, enum dma_data_direction dir)
{
	phys_addr_t phys = to_svan_accel_dev(bo->gem.dev)->local_phys + bo->node.start;
	u64 left = bo->gem.size;
	struct scatterlist *sg;
	unsigned int i;
	int err;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		u64 length = min(left, SVAN_ACCEL_EXPORT_SEGMENT);
		dma_addr_t dma = dma_map_resource(device, phys, length, dir,
						  DMA_ATTR_SKIP_CPU_SYNC);

		err = dma_mapping_error(device, dma);
		if (err) {
			svan_accel_unmap_segments(device, sgt, i, dir);
			return err;
		}
		sg_set_page(sg, NULL, length, 0);
		sg_dma_address(sg) = dma;
		sg_dma_len(sg) = length;
		phys += length;
		left -= length;
	}
	return 0;
}

static struct sg_table *svan_accel_export_map(struct dma_buf_attachment *attach,
					      enum dma_data_direction dir)
{
	struct drm_gem_object *gem = attach->dmabuf->priv;
	struct sg_table *sgt;
	int err;

	err = svan_accel_export_check(attach);
	if (err)
		return ERR_PTR(err);
	sgt = kzalloc(sizeof(*sgt), GFP_KERNEL);
	if (!sgt)
		return ERR_PTR(-ENOMEM);
	err = sg_alloc_table(sgt, DIV_ROUND_UP_ULL(gem->size, SVAN_ACCEL_EXPORT_SEGMENT),
			     GFP_KERNEL);
	if (err)
		goto err_free;
	err = svan_accel_map_segments(attach->dev, sgt, to_svan_accel_bo(gem), dir);
	if (err)
		goto err_free_table;
	return sgt;

err_free_table:
	sg_free_table(sgt);
err_free:
	kfree(sgt);
	return ERR_PTR(err);
}

static void svan_accel_export_unmap(struct dma_buf_attachment *attach,
				    struct sg_table *sgt, enum dma_data_direction dir)
{
	svan_accel_unmap_segments(attach->dev, sgt, sgt->nents, dir);
	sg_free_table(sgt);
	kfree(sgt);
}

static void svan_accel_export_release(struct dma_buf *dmabuf)
{
	struct drm_gem_object *gem = dmabuf->priv;
	struct svan_accel_dev *dev = to_svan_accel_dev(gem->dev);
	struct svan_accel_bo *bo = to_svan_accel_bo(gem);

	mutex_lock(&dev->exports_lock);
	list_del_init(&bo->export);
	bo->dmabuf = NULL;
	mutex_unlock(&dev->exports_lock);
	atomic_long_dec(&dev->counts.exports);
	drm_gem_dmabuf_release(dmabuf);
}

/* There is no vmap(): the kernel has no business in memory of the device. */
static const struct dma_buf_ops svan_accel_export_ops = {
	.attach = svan_accel_export_attach,
	.pin = svan_accel_export_pin,
	.unpin = svan_accel_export_unpin,
	.map_dma_buf = svan_accel_export_map,
	.unmap_dma_buf = svan_accel_export_unmap,
	.release = svan_accel_export_release,
	.mmap = drm_gem_dmabuf_mmap,
};

/* PRIME makes one dma-buf of a buffer at a time. */
struct dma_buf *svan_accel_bo_export(struct drm_gem_object *gem, int flags)
{
	struct svan_accel_dev *dev = to_svan_accel_dev(gem->dev);
	struct svan_accel_bo *bo = to_svan_accel_bo(gem);
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.ops = &svan_accel_export_ops;
	info.size = gem->size;
	info.flags = flags;
	info.priv = gem;
	info.resv = gem->resv;
	mutex_lock(&dev->exports_lock);
	if (WARN_ON(bo->dmabuf)) {
		mutex_unlock(&dev->exports_lock);
		return ERR_PTR(-EBUSY);
	}
	dmabuf = drm_gem_dmabuf_export(gem->dev, &info);
	if (!IS_ERR(dmabuf)) {
		bo->dmabuf = dmabuf;
		list_add_tail(&bo->export, &dev->exports);
		atomic_long_inc(&dev->counts.exports);
	}
	mutex_unlock(&dev->exports_lock);
	return dmabuf;
}

/* A file gets a handle of a buffer of the same device, and of nothing else. */
struct drm_gem_object *svan_accel_bo_import(struct drm_device *drm,
					    struct dma_buf *dmabuf)
{
	struct drm_gem_object *gem = dmabuf->priv;

	if (dmabuf->ops != &svan_accel_export_ops)
		return drm_gem_prime_import(drm, dmabuf);
	if (gem->dev != drm)
		return ERR_PTR(-EINVAL);
	drm_gem_object_get(gem);
	return gem;
}

/**
 * svan_accel_revoke_exports - take local memory away from other devices
 * @dev: the device
 *
 * It was marked as down or unplugged before. On return no importer that was told uses
 * what it has mapped. A dma-buf that is being released waits for the lock, and has no
 * attachments.
 */
void svan_accel_revoke_exports(struct svan_accel_dev *dev)
{
	struct svan_accel_bo *bo;

	mutex_lock(&dev->exports_lock);
	list_for_each_entry(bo, &dev->exports, export) {
		dma_resv_lock(bo->gem.resv, NULL);
		dma_buf_move_notify(bo->dmabuf);
		dma_resv_unlock(bo->gem.resv);
	}
	mutex_unlock(&dev->exports_lock);
}
