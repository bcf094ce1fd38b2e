// SPDX-License-Identifier: GPL-2.0-only
/*
 * What user space sees: the DRM driver with its ioctls, and the mapping of doorbells.
 */
#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_ioctl.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "svan_accel.h"

/*
 * Offset of the doorbells in the file's mmap space. GEM gives out offsets from 4 GiB on
 * (DRM_FILE_PAGE_OFFSET_START).
 */
#define SVAN_ACCEL_DOORBELL_OFFSET	0

static int svan_accel_info_ioctl(struct drm_device *drm, void *data,
				 struct drm_file *file)
{
	struct svan_accel_dev *dev = to_svan_accel_dev(drm);
	struct svan_accel_ctx *ctx = file->driver_priv;
	struct drm_svan_accel_info *info = data;
	int idx;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	*info = (struct drm_svan_accel_info) {
		.contexts = SVAN_ACCEL_CONTEXTS,
		.contexts_used = bitmap_weight(dev->numbers, SVAN_ACCEL_CONTEXTS),
		.queues = SVAN_ACCEL_QUEUES,
		.max_log_size = SVAN_ACCEL_QUEUE_MAX_LOG_SIZE,
		.memory_size = dev->memory_size,
		.memory_used = atomic64_read(&dev->memory_used),
		.va_end = (u64)SVAN_ACCEL_END_PAGE << PAGE_SHIFT,
		.doorbell_offset = SVAN_ACCEL_DOORBELL_OFFSET,
		.context = ctx->number,
		.generation = svan_accel_read(dev, SVAN_ACCEL_REG_GENERATION),
		.user_contexts = SVAN_ACCEL_USER_CONTEXTS,
		.user_memory = svan_accel_user_memory(dev),
	};
	drm_dev_exit(idx);
	return 0;
}

/* ---- doorbells ---- */

/*
 * Pages are inserted on demand, so that a mapping that is just being made when the device
 * goes is not forgotten by drm_dev_unplug(): it finds all that have a page.
 */
static vm_fault_t svan_accel_doorbell_fault(struct vm_fault *vmf)
{
	struct svan_accel_ctx *ctx = vmf->vma->vm_private_data;
	phys_addr_t phys = ctx->dev->doorbells_phys +
			   ((phys_addr_t)ctx->number << SVAN_ACCEL_DB_SHIFT);
	vm_fault_t ret;
	int idx;

	if (!drm_dev_enter(&ctx->dev->drm, &idx))
		return VM_FAULT_SIGBUS;
	ret = vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(phys));
	drm_dev_exit(idx);
	return ret;
}

static const struct vm_operations_struct svan_accel_doorbell_vm_ops = {
	.fault = svan_accel_doorbell_fault,
};

/*
 * A page of doorbells can only be mapped for stores. The mapping holds the file, and so
 * the context. A forked child does not inherit it, as with the doorbells of the NIC.
 */
static int svan_accel_map_doorbells(struct svan_accel_ctx *ctx,
				    struct vm_area_struct *vma)
{
	/* A mapping of one page must not show the doorbells of another context. */
	BUILD_BUG_ON(PAGE_SIZE != 1 << SVAN_ACCEL_DB_SHIFT);

	if (vma_pages(vma) != 1)
		return -EINVAL;
	if (!(vma->vm_flags & VM_SHARED) ||
	    (vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC)) != VM_WRITE)
		return -EPERM;
	vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY,
		     VM_MAYREAD | VM_MAYEXEC);
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_ops = &svan_accel_doorbell_vm_ops;
	vma->vm_private_data = ctx;
	return 0;
}

static int svan_accel_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct drm_file *file = filp->private_data;

	if (vma->vm_pgoff != SVAN_ACCEL_DOORBELL_OFFSET >> PAGE_SHIFT)
		return drm_gem_mmap(filp, vma);
	return svan_accel_map_doorbells(file->driver_priv, vma);
}

/* ---- the driver ---- */

static const struct file_operations svan_accel_fops = {
	.owner		= THIS_MODULE,
	.open		= accel_open,
	.release	= drm_release,
	.unlocked_ioctl	= drm_ioctl,
	.compat_ioctl	= drm_compat_ioctl,
	.poll		= drm_poll,
	.read		= drm_read,
	.llseek		= noop_llseek,
	.mmap		= svan_accel_mmap,
	.fop_flags	= FOP_UNSIGNED_OFFSET,
};

static const struct drm_ioctl_desc svan_accel_ioctls[] = {
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_INFO, svan_accel_info_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_BO_CREATE, svan_accel_bo_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_BO_INFO, svan_accel_bo_info_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_MAP, svan_accel_map_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_MAP_USER, svan_accel_map_user_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_IMPORT_WINDOW, svan_accel_import_window_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_UNMAP, svan_accel_unmap_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_QUEUE_CREATE, svan_accel_queue_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_QUEUE_DESTROY, svan_accel_queue_destroy_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_EVENT, svan_accel_event_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_FAULT, svan_accel_fault_ioctl, 0),
	DRM_IOCTL_DEF_DRV(SVAN_ACCEL_RESET_CONTEXT, svan_accel_reset_context_ioctl, 0),
};

const struct drm_driver svan_accel_driver = {
	.driver_features	= DRIVER_COMPUTE_ACCEL | DRIVER_GEM,
	.open			= svan_accel_ctx_open,
	.postclose		= svan_accel_ctx_close,
	.gem_prime_import	= svan_accel_bo_import,
	.ioctls			= svan_accel_ioctls,
	.num_ioctls		= ARRAY_SIZE(svan_accel_ioctls),
	.fops			= &svan_accel_fops,
	.name			= KBUILD_MODNAME,
	.desc			= "Svan accelerator",
	.date			= "20261127",
	.major			= 1,
	.minor			= 0,
};
