// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers: local memory, which lies in a BAR and has no struct pages, and host memory by
 * the shmem helpers. Local memory is cleared before it is given out.
 *
 * A mapping in a context, a mapping in a process and a dma-buf each hold their buffer, so
 * when a buffer is freed nobody can reach its memory.
 */
#include <drm/drm_drv.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_managed.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "svan_accel.h"

/* ---- the allocator ---- */

static void svan_accel_memory_exit(struct drm_device *drm, void *unused)
{
	struct svan_accel_dev *dev = to_svan_accel_dev(drm);

	drm_mm_takedown(&dev->memory);
	WARN_ON(!xa_empty(&dev->user_memory));
	xa_destroy(&dev->user_memory);
}

int svan_accel_memory_init(struct svan_accel_dev *dev)
{
	u64 size = svan_accel_read64(dev, SVAN_ACCEL_REG_MEM_SIZE);

	if (!size || !PAGE_ALIGNED(size) ||
	    size > pci_resource_len(dev->pdev, SVAN_ACCEL_BAR_MEM))
		return dev_err_probe(&dev->pdev->dev, -ENODEV,
				     "%#llx octets of local memory\n", size);
	dev->memory_size = size;
	drm_mm_init(&dev->memory, 0, size);
	xa_init(&dev->user_memory);
	/* Buffers may outlive the binding. */
	return drmm_add_action_or_reset(&dev->drm, svan_accel_memory_exit, NULL);
}

/*
 * A user must not take the memory of all others. What is charged is given back when the
 * buffer is freed, whoever holds it last.
 */
static int svan_accel_memory_charge(struct svan_accel_dev *dev, kuid_t uid,
				    unsigned long pages)
{
	unsigned long used, limit = svan_accel_user_memory(dev) >> PAGE_SHIFT;

	lockdep_assert_held(&dev->memory_lock);
	used = xa_to_value(xa_load(&dev->user_memory, __kuid_val(uid)));
	if (pages > limit - min(used, limit) && !capable(CAP_SYS_ADMIN))
		return -ENOSPC;
	return xa_err(xa_store(&dev->user_memory, __kuid_val(uid),
			       xa_mk_value(used + pages), GFP_KERNEL_ACCOUNT));
}

static void svan_accel_memory_uncharge(struct svan_accel_dev *dev, kuid_t uid,
				       unsigned long pages)
{
	unsigned long used;

	lockdep_assert_held(&dev->memory_lock);
	used = xa_to_value(xa_load(&dev->user_memory, __kuid_val(uid)));
	/* A store over an entry needs no memory. */
	if (used > pages)
		xa_store(&dev->user_memory, __kuid_val(uid), xa_mk_value(used - pages),
			 GFP_KERNEL);
	else
		xa_erase(&dev->user_memory, __kuid_val(uid));
}

static int svan_accel_memory_take(struct svan_accel_dev *dev, struct svan_accel_bo *bo)
{
	unsigned long pages = bo->gem.size >> PAGE_SHIFT;
	int err;

	mutex_lock(&dev->memory_lock);
	err = svan_accel_memory_charge(dev, bo->uid, pages);
	if (!err) {
		err = drm_mm_insert_node(&dev->memory, &bo->node, bo->gem.size);
		if (err)
			svan_accel_memory_uncharge(dev, bo->uid, pages);
	}
	mutex_unlock(&dev->memory_lock);
	if (!err)
		atomic64_add(bo->gem.size, &dev->memory_used);
	return err;
}

static void svan_accel_memory_put(struct svan_accel_dev *dev, struct svan_accel_bo *bo)
{
	if (!drm_mm_node_allocated(&bo->node))
		return;
	atomic64_sub(bo->gem.size, &dev->memory_used);
	mutex_lock(&dev->memory_lock);
	drm_mm_remove_node(&bo->node);
	svan_accel_memory_uncharge(dev, bo->uid, bo->gem.size >> PAGE_SHIFT);
	mutex_unlock(&dev->memory_lock);
}

/*
 * What a reset meets is not cleared for sure. Bits of it may be what another owner has
 * left there, so the buffer is not given out.
 */
static int svan_accel_memory_clear(struct svan_accel_dev *dev, struct svan_accel_bo *bo)
{
	unsigned int resets = READ_ONCE(dev->resets);
	u64 done, size = bo->gem.size;

	if (READ_ONCE(dev->down))
		return -EBUSY;
	for (done = 0; done < size; done += SZ_1M) {
		if (fatal_signal_pending(current))
			return -EINTR;
		memset_io(dev->local + bo->node.start + done, 0, min(size - done, SZ_1M));
		cond_resched();
	}
	/* The stores may be write-combined, and the device must not overtake them. */
	wmb();
	return READ_ONCE(dev->down) || READ_ONCE(dev->resets) != resets ? -EBUSY : 0;
}

/* ---- buffers of local memory ---- */

static void svan_accel_bo_free(struct drm_gem_object *gem)
{
	struct svan_accel_bo *bo = to_svan_accel_bo(gem);

	svan_accel_memory_put(to_svan_accel_dev(gem->dev), bo);
	drm_gem_object_release(gem);
	kfree(bo);
}

/*
 * As with doorbells, a page is inserted on demand. The file of a dma-buf of the buffer
 * has the address space of the device's own files, so drm_dev_unplug() finds its mappings,
 * too.
 */
static vm_fault_t svan_accel_bo_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *gem = vmf->vma->vm_private_data;
	struct svan_accel_dev *dev = to_svan_accel_dev(gem->dev);
	u64 offset = (u64)vmf->pgoff << PAGE_SHIFT;
	vm_fault_t ret;
	int idx;

	if (offset >= gem->size)
		return VM_FAULT_SIGBUS;
	if (!drm_dev_enter(gem->dev, &idx))
		return VM_FAULT_SIGBUS;
	ret = vmf_insert_pfn(vmf->vma, vmf->address,
			     PHYS_PFN(dev->local_phys + to_svan_accel_bo(gem)->node.start +
				      offset));
	drm_dev_exit(idx);
	return ret;
}

static const struct vm_operations_struct svan_accel_bo_vm_ops = {
	.fault = svan_accel_bo_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

/* There is no page of which a private mapping could have a copy. */
static int svan_accel_bo_mmap(struct drm_gem_object *gem, struct vm_area_struct *vma)
{
	if (is_cow_mapping(vma->vm_flags))
		return -EINVAL;
	/* From here on the offset is that in the buffer. */
	vma->vm_pgoff -= drm_vma_node_start(&gem->vma_node);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = pgprot_writecombine(vm_get_page_prot(vma->vm_flags));
	return 0;
}

const struct drm_gem_object_funcs svan_accel_bo_funcs = {
	.free = svan_accel_bo_free,
	.export = svan_accel_bo_export,
	.mmap = svan_accel_bo_mmap,
	.vm_ops = &svan_accel_bo_vm_ops,
};

static struct drm_gem_object *svan_accel_local_create(struct svan_accel_dev *dev, u64 size)
{
	struct svan_accel_bo *bo;
	int err;

	bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);
	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->gem.funcs = &svan_accel_bo_funcs;
	bo->uid = current_uid();
	INIT_LIST_HEAD(&bo->export);
	drm_gem_private_object_init(&dev->drm, &bo->gem, size);

	err = svan_accel_memory_take(dev, bo);
	if (!err)
		err = svan_accel_memory_clear(dev, bo);
	/* The offset stays the same for life: svan_accel_bo_mmap() subtracts it. */
	if (!err)
		err = drm_gem_create_mmap_offset(&bo->gem);
	if (err) {
		drm_gem_object_put(&bo->gem);
		return ERR_PTR(err);
	}
	return &bo->gem;
}

/* ---- ioctls ---- */

static struct drm_gem_object *svan_accel_bo_create(struct svan_accel_dev *dev, u32 kind,
						   u64 size)
{
	struct drm_gem_shmem_object *shmem;

	if (kind == DRM_SVAN_ACCEL_BO_LOCAL)
		return svan_accel_local_create(dev, size);
	shmem = drm_gem_shmem_create(&dev->drm, size);
	return IS_ERR(shmem) ? ERR_CAST(shmem) : &shmem->base;
}

int svan_accel_bo_create_ioctl(struct drm_device *drm, void *data,
			       struct drm_file *file)
{
	struct drm_svan_accel_bo_create *args = data;
	struct drm_gem_object *gem;
	int err, idx;

	if (args->flags || args->pad || !args->size || !PAGE_ALIGNED(args->size) ||
	    args->size >> PAGE_SHIFT >= SVAN_ACCEL_END_PAGE ||
	    args->kind > DRM_SVAN_ACCEL_BO_HOST)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	gem = svan_accel_bo_create(to_svan_accel_dev(drm), args->kind, args->size);
	drm_dev_exit(idx);
	if (IS_ERR(gem))
		return PTR_ERR(gem);
	err = drm_gem_handle_create(file, gem, &args->handle);
	drm_gem_object_put(gem);
	return err;
}

int svan_accel_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_svan_accel_bo_info *args = data;
	struct drm_gem_object *gem;

	gem = drm_gem_object_lookup(file, args->handle);
	if (!gem)
		return -ENOENT;
	args->kind = gem->funcs == &svan_accel_bo_funcs ? DRM_SVAN_ACCEL_BO_LOCAL :
							  DRM_SVAN_ACCEL_BO_HOST;
	args->size = gem->size;
	args->mmap_offset = drm_vma_node_offset_addr(&gem->vma_node);
	drm_gem_object_put(gem);
	return 0;
}
