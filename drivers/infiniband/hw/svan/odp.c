// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions that are not pinned: on-demand keys, whose table the driver fills as
 * the device asks for pages, and process keys, which have none.
 *
 * Pages are faulted in without any lock of ours (fault.c). Then those that are
 * there are entered, under svan_odp.lock and without faulting, so that
 * deregistration never waits for a page. An entry is taken away by the interval
 * notifier: made absent, dropped by the device, and only then unmapped.
 */

#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

static u64 svan_odp_key_addr(const struct svan_odp *odp, u64 user)
{
	return user - odp->start + odp->iova;
}

bool svan_odp_contains(const struct svan_odp *odp, u64 addr, u64 length)
{
	return addr >= odp->iova && length <= odp->length &&
	       addr - odp->iova <= odp->length - length;
}

/* Pages, or of a process key flushes of its context. */
u64 svan_odp_invalidations(struct svan_odp *odp)
{
	if (odp->kind == SVAN_KEY_PROCESS)
		return svan_context_invalidations(odp->dev, odp->pasid);
	return atomic64_read(&odp->invalidations);
}

/* What is left behind says why the page went, as far as we are told. */
static u32 svan_odp_event_class(enum mmu_notifier_event event)
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

/* umem_mutex is held; [start, end) are addresses in the mm, page aligned. */
static void svan_odp_take(struct svan_odp *odp, struct ib_umem_odp *umem,
			  u64 start, u64 end, u32 fault_class)
{
	u64 first = svan_odp_key_addr(odp, start);
	u64 last = svan_odp_key_addr(odp, end - 1);
	u64 absent = svan_learn_absent(odp->dev, fault_class);
	int before = umem->npages;

	/* a key of one page alone may begin behind its start */
	if (svan_radix_clear(odp->dev, &odp->radix, svan_odp_page(odp, first),
			     svan_odp_page(odp, last), absent))
		svan_invalidate_key(odp->dev->sdev, odp->key,
				    ALIGN_DOWN(first, PAGE_SIZE), end - start);

	/* the device has drained: the pages are ours alone */
	ib_umem_odp_unmap_dma_pages(umem, start, end);
	atomic64_add(before - umem->npages, &odp->invalidations);
	trace_svan_ib_odp_invalidate(odp, start, end, fault_class,
				     before - umem->npages);
}

static bool svan_odp_invalidate(struct mmu_interval_notifier *mni,
				const struct mmu_notifier_range *range,
				unsigned long seq)
{
	struct ib_umem_odp *umem = container_of(mni, struct ib_umem_odp,
						notifier);
	u64 start, end;

	if (!mmu_notifier_range_blockable(range))
		return false;

	mutex_lock(&umem->umem_mutex);
	mmu_interval_set_seq(mni, seq);
	/* without pages, or so young that it has no owner yet: nothing to do */
	if (umem->npages && umem->private) {
		start = max_t(u64, ib_umem_start(umem), range->start);
		end = min_t(u64, ib_umem_end(umem), range->end);
		svan_odp_take(umem->private, umem, start, end,
			      svan_odp_event_class(range->event));
	}
	mutex_unlock(&umem->umem_mutex);
	return true;
}

const struct mmu_interval_notifier_ops svan_odp_notifier_ops = {
	.invalidate = svan_odp_invalidate,
};

/*
 * Enter those of @count pages from @user on that are mapped; umem_mutex is
 * held. Return how many were not there before.
 */
static u32 svan_odp_set(struct svan_odp *odp, struct ib_umem_odp *umem,
			u64 user, int count)
{
	u64 page = svan_odp_page(odp, svan_odp_key_addr(odp, user));
	u64 index = (user - ib_umem_start(umem)) >> PAGE_SHIFT;
	u32 entered = 0;
	int i;

	for (i = 0; i < count; i++) {
		dma_addr_t *dma = &umem->dma_list[index + i];

		if (!*dma)
			continue;
		/* what nobody writes is not made dirty when it is unmapped */
		if (!umem->umem.writable)
			*dma &= ~(dma_addr_t)ODP_WRITE_ALLOWED_BIT;
		entered += !(svan_radix_get(&odp->radix, page + i) &
			     SVAN_MTT_PRESENT);
		svan_radix_set(odp->dev, &odp->radix, page + i,
			       svan_mtt_present(*dma & ODP_DMA_ADDR_MASK,
						!!(*dma & ODP_WRITE_ALLOWED_BIT)));
	}
	return entered;
}

/*
 * Enter those pages of a part of the region that are in the page table now,
 * with the rights they have there. @user and @bytes lie in @umem and are page
 * aligned.
 *
 * svan_odp.lock is held: the snapshot is taken into umem->pfn_list, and an older
 * one that is late must not overwrite what a newer one has mapped by.
 *
 * Return: whether the first page can be accessed as wanted, or an error.
 */
static int svan_odp_map(struct svan_odp *odp, struct ib_umem_odp *umem,
			u64 user, u64 bytes, bool write, u32 *entered)
{
	u64 first = svan_odp_page(odp, svan_odp_key_addr(odp, user));
	u64 wanted = SVAN_MTT_PRESENT | (write ? SVAN_MTT_WRITABLE : 0);
	int count, err;
	u64 entry;

	lockdep_assert_held(&odp->lock);
	err = svan_radix_grow(odp->dev, &odp->radix, first,
			      first + (bytes >> PAGE_SHIFT) - 1);
	if (err)
		return err;

	count = ib_umem_odp_map_dma_and_lock(umem, user, bytes,
					     ODP_READ_ALLOWED_BIT, false);
	if (count < 0)
		return count;
	*entered = svan_odp_set(odp, umem, user, count);
	entry = svan_radix_get(&odp->radix, first);
	mutex_unlock(&umem->umem_mutex);
	return (entry & wanted) == wanted;
}

/**
 * svan_odp_enter - enter what is there of a range into the key's table
 * @odp: the region
 * @addr: first address as in the table
 * @length: bytes, within the region
 * @write: the first page shall be writable
 * @entered: pages that were not there before
 *
 * Does not fault. Of an implicit region the range is cut at 2 MiB.
 *
 * Return: 1 if the first page can be accessed as wanted, 0 if not, or an error;
 * -ESRCH if the region is gone.
 */
int svan_odp_enter(struct svan_odp *odp, u64 addr, u64 length, bool write,
		   u32 *entered)
{
	u64 user = svan_odp_user_addr(odp, addr);
	u64 end = PAGE_ALIGN(user + length);
	struct ib_umem_odp *umem = odp->umem;
	int ret = -ESRCH;

	*entered = 0;
	if (odp->kind == SVAN_KEY_PROCESS)
		return READ_ONCE(odp->gone) ? -ESRCH : 1;

	user = ALIGN_DOWN(user, PAGE_SIZE);
	mutex_lock(&odp->lock);
	if (odp->gone)
		goto unlock;
	if (odp->implicit) {
		umem = svan_odp_child(odp, user);
		if (IS_ERR(umem)) {
			ret = PTR_ERR(umem);
			goto unlock;
		}
	}
	end = min_t(u64, end, ib_umem_end(umem));
	ret = svan_odp_map(odp, umem, user, end - user, write, entered);
unlock:
	mutex_unlock(&odp->lock);
	return ret;
}

/* ---- registration ---- */

static struct svan_odp *svan_odp_alloc(struct ib_pd *ibpd, u64 start,
				       u64 length, u64 virt)
{
	struct svan_odp *odp;

	odp = kzalloc(sizeof(*odp), GFP_KERNEL);
	if (!odp)
		return NULL;

	kref_init(&odp->ref);
	mutex_init(&odp->lock);
	xa_init(&odp->children);
	odp->dev = to_svan_ib_dev(ibpd->device);
	odp->pd = ibpd;
	odp->mm = current->mm;
	mmgrab(odp->mm);
	odp->start = start;
	odp->iova = virt;
	odp->length = length;
	return odp;
}

static void svan_odp_free(struct kref *ref)
{
	struct svan_odp *odp = container_of(ref, struct svan_odp, ref);

	mmdrop(odp->mm);
	mutex_destroy(&odp->lock);
	kfree(odp);
}

void svan_odp_put(struct svan_odp *odp)
{
	kref_put(&odp->ref, svan_odp_free);
}

/* The region of a key with a reference, or NULL. */
struct svan_odp *svan_odp_get(struct svan_ib_dev *dev, u32 key)
{
	struct svan_odp *odp;

	xa_lock_bh(&dev->odps);
	odp = xa_load(&dev->odps, key);
	if (odp && !kref_get_unless_zero(&odp->ref))
		odp = NULL;
	xa_unlock_bh(&dev->odps);
	return odp;
}

static void svan_odp_release_umem(struct svan_odp *odp)
{
	if (odp->implicit)
		svan_odp_release_children(odp);
	ib_umem_odp_release(odp->umem);
	svan_radix_destroy(odp->dev, &odp->radix);
}

/* The interval notifier may come at once; it finds no pages. */
static int svan_odp_get_umem(struct svan_odp *odp, int ib_access)
{
	struct ib_device *ibdev = &odp->dev->ibdev;
	u64 pages = svan_odp_page(odp, odp->iova + odp->length - 1) + 1;
	int err;

	err = svan_radix_init(odp->dev, &odp->radix, pages);
	if (err)
		return err;

	/* huge pages are used as they come, with entries of 4 KiB */
	ib_access &= ~IB_ACCESS_HUGETLB;
	if (odp->implicit)
		odp->umem = ib_umem_odp_alloc_implicit(ibdev, ib_access);
	else
		odp->umem = ib_umem_odp_get(ibdev, odp->start, odp->length,
					    ib_access, &svan_odp_notifier_ops);
	if (IS_ERR(odp->umem)) {
		svan_radix_destroy(odp->dev, &odp->radix);
		return PTR_ERR(odp->umem);
	}
	if (!odp->implicit) {
		mutex_lock(&odp->umem->umem_mutex);
		odp->umem->private = odp;
		mutex_unlock(&odp->umem->umem_mutex);
	}
	return 0;
}

static int svan_odp_create_key(struct svan_odp *odp, struct svan_ib_mr *mr,
			       struct svan_ib_ucontext *uctx)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_KEY),
		.create_key = {
			.kind = odp->kind,
			.page_shift = PAGE_SHIFT,
			.access = cpu_to_le32(mr->access),
			.pd = cpu_to_le32(to_svan_ib_pd(mr->ibmr.pd)->pdn),
			.va = cpu_to_le64(odp->iova),
			.length = cpu_to_le64(odp->length),
			.owner = cpu_to_le32(mr->owner),
		},
	};

	if (odp->kind == SVAN_KEY_PROCESS) {
		odp->pasid = uctx->context->pasid;
		cmd.create_key.pasid = cpu_to_le32(odp->pasid);
		cmd.create_key.generation =
			cpu_to_le32(uctx->context->generation);
	} else {
		cmd.create_key.levels = odp->radix.levels;
		cmd.create_key.table = cpu_to_le64(odp->radix.root);
	}
	return svan_cmd_create_object(odp->dev->sdev, &cmd, &odp->key);
}

/* A context for the process keys of a verbs context, when it needs one first. */
static int svan_odp_need_context(struct svan_ib_dev *dev,
				 struct svan_ib_ucontext *uctx)
{
	struct svan_context *ctx;
	int err = 0;

	mutex_lock(&uctx->context_lock);
	if (!uctx->context) {
		ctx = svan_context_create(dev, uctx->mm);
		if (IS_ERR(ctx))
			err = PTR_ERR(ctx);
		else
			uctx->context = ctx;
	}
	mutex_unlock(&uctx->context_lock);
	return err;
}

/* Addresses that the device can have of an implicit region, from 0 on. */
static u64 svan_odp_reach(struct svan_ib_dev *dev, u8 kind)
{
	const u64 tables = 1ull << (PAGE_SHIFT + SVAN_MTT_MAX_LEVELS *
				    SVAN_MTT_INDEX_BITS);
	u64 reach = TASK_SIZE_MAX;

	if (kind == SVAN_KEY_ONDEMAND)
		reach = min3(reach, tables,
			     le64_to_cpu(dev->caps->max_key_length));
	return ALIGN_DOWN(reach, PAGE_SIZE);
}

static int svan_odp_init(struct svan_odp *odp, struct svan_ib_mr *mr,
			 struct svan_ib_ucontext *uctx, int ib_access)
{
	struct svan_ib_dev *dev = odp->dev;
	int err;

	odp->kind = odp->implicit && dev->process_keys ? SVAN_KEY_PROCESS :
							 SVAN_KEY_ONDEMAND;
	odp->writable = mr->access & SVAN_ACCESS_LOCAL_WRITE;
	if (odp->implicit)
		odp->length = svan_odp_reach(dev, odp->kind);
	if (odp->kind == SVAN_KEY_PROCESS)
		err = svan_odp_need_context(dev, uctx);
	else
		err = svan_odp_get_umem(odp, ib_access);
	if (err)
		return err;

	err = svan_odp_create_key(odp, mr, uctx);
	if (err)
		goto release_umem;
	err = xa_err(xa_store_bh(&dev->odps, odp->key, odp, GFP_KERNEL));
	if (err)
		goto destroy_key;
	return 0;

destroy_key:
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_KEY, odp->key);
release_umem:
	if (odp->kind == SVAN_KEY_ONDEMAND)
		svan_odp_release_umem(odp);
	return err;
}

static int svan_odp_check(struct svan_ib_dev *dev,
			  struct svan_ib_ucontext *uctx, u64 start, u64 length,
			  u64 virt)
{
	u64 end;

	if (!dev->ondemand_keys && !(dev->process_keys && length == U64_MAX))
		return -EOPNOTSUPP;
	if (!uctx)
		return -EINVAL;
	if (length == U64_MAX) {
		if (start || virt)
			return -EINVAL;
		/* a child, or who was handed the file, is somebody else */
		return current->mm == uctx->mm ? 0 : -EPERM;
	}
	if (!length || length > le64_to_cpu(dev->caps->max_key_length) ||
	    check_add_overflow(virt, length, &end) ||
	    check_add_overflow(start, length, &end) ||
	    (start ^ virt) & ~PAGE_MASK)
		return -EINVAL;
	return 0;
}

/**
 * svan_odp_reg_mr - register memory on demand
 * @ibpd: the protection domain
 * @start: first address, with @length = U64_MAX 0: all of the address space
 * @length: bytes
 * @virt: what the device calls @start
 * @ib_access: with IB_ACCESS_ON_DEMAND
 * @udata: of the verbs context
 *
 * Return: the region, or an error pointer.
 */
struct ib_mr *svan_odp_reg_mr(struct ib_pd *ibpd, u64 start, u64 length,
			      u64 virt, int ib_access, struct ib_udata *udata)
{
	struct svan_ib_ucontext *uctx = svan_ib_udata_ucontext(udata);
	struct svan_ib_dev *dev = to_svan_ib_dev(ibpd->device);
	struct svan_ib_mr *mr;
	struct svan_odp *odp;
	int err;

	err = svan_odp_check(dev, uctx, start, length, virt);
	if (err)
		return ERR_PTR(err);
	mr = svan_mr_alloc(ibpd, virt, length,
			   ib_access & ~IB_ACCESS_ON_DEMAND);
	if (IS_ERR(mr))
		return ERR_CAST(mr);
	mr->owner = uctx->owner;

	odp = svan_odp_alloc(ibpd, start, length, virt);
	if (!odp) {
		err = -ENOMEM;
		goto free_mr;
	}
	odp->implicit = length == U64_MAX;
	err = svan_odp_init(odp, mr, uctx, ib_access);
	if (err)
		goto put_odp;

	mr->odp = odp;
	mr->ibmr.lkey = odp->key;
	mr->ibmr.rkey = odp->key;
	trace_svan_ib_mr_reg(&dev->ibdev, mr, 0);
	return &mr->ibmr;

put_odp:
	svan_odp_put(odp);
free_mr:
	trace_svan_ib_mr_reg(&dev->ibdev, mr, err);
	kfree(mr);
	return ERR_PTR(err);
}

/*
 * Faults and prefetches may be under way. They find the region no more, or
 * gone; the device has answered them when its key is destroyed.
 */
void svan_odp_dereg_mr(struct svan_ib_mr *mr)
{
	struct svan_odp *odp = mr->odp;
	struct svan_ib_dev *dev = odp->dev;

	xa_erase_bh(&dev->odps, odp->key);
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_KEY, odp->key);
	mutex_lock(&odp->lock);
	WRITE_ONCE(odp->gone, true);
	mutex_unlock(&odp->lock);
	if (odp->kind == SVAN_KEY_ONDEMAND)
		svan_odp_release_umem(odp);
	svan_servers_forget(odp->mm);
	svan_odp_put(odp);
}
