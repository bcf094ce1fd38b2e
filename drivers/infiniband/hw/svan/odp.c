// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions that are not pinned: those of on-demand keys, whose table the driver fills
 * as the device asks for pages, and those of process keys, which have no table.
 *
 * Pages are faulted in while no lock of the driver is held (fault.c). Then those that
 * are present are entered into the table, under svan_odp.lock and without faulting,
 * so that deregistration never waits for a page. The interval notifier of a part
 * takes an entry away again: it makes the entry absent, has the device drop it, and
 * only then unmaps the page (part.c).
 */

#include <linux/memcontrol.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "svan_odp.h"

bool svan_odp_contains(const struct svan_odp *odp, u64 addr, u64 length)
{
	return addr >= odp->iova && length <= odp->length &&
	       addr - odp->iova <= odp->length - length;
}

/* The number of pages taken away; for a process key, of its process context's flushes. */
u64 svan_odp_invalidations(struct svan_odp *odp)
{
	if (odp->kind == SVAN_KEY_PROCESS)
		return svan_context_invalidations(odp->dev, odp->pasid);
	return atomic64_read(&odp->invalidations);
}

/* Enter the pages part by part. svan_odp.lock and mm_users are held. */
static int svan_odp_enter_range(struct svan_odp *odp, u64 user, u64 end,
				bool write, u32 *entered)
{
	u64 wanted = SVAN_MTT_PRESENT | (write ? SVAN_MTT_WRITABLE : 0);
	u64 first = (user - (odp->start & PAGE_MASK)) >> PAGE_SHIFT, next;
	int err;

	for (; user < end; user = next) {
		next = end;
		err = svan_odp_enter_part(odp, user, &next, entered);
		if (err)
			return err;
	}
	return (svan_radix_get(&odp->radix, first) & wanted) == wanted;
}

/**
 * svan_odp_enter - enter the present pages of a range into the table of a key
 * @odp: the region
 * @addr: first address, as the device sees it
 * @length: number of bytes, all within the region
 * @write: the first page is wanted for a store
 * @entered: number of pages that were not in the table before
 *
 * Does not fault pages in. The memory that it allocates is charged to the process
 * that the region belongs to, whoever calls.
 *
 * Return: 1 if the device can access the first page as wanted, 0 if not, or an error;
 * -ESRCH if the region or its process is gone.
 */
int svan_odp_enter(struct svan_odp *odp, u64 addr, u64 length, bool write,
		   u32 *entered)
{
	u64 user = svan_odp_user_addr(odp, addr);
	struct mem_cgroup *memcg, *old;
	int ret = -ESRCH;

	*entered = 0;
	if (odp->kind == SVAN_KEY_PROCESS)
		return READ_ONCE(odp->gone) ? -ESRCH : 1;
	if (!mmget_not_zero(odp->mm))
		return -ESRCH;

	memcg = get_mem_cgroup_from_mm(odp->mm);
	old = set_active_memcg(memcg);
	mutex_lock(&odp->lock);
	if (!odp->gone)
		ret = svan_odp_enter_range(odp, ALIGN_DOWN(user, PAGE_SIZE),
					   PAGE_ALIGN(user + length), write,
					   entered);
	mutex_unlock(&odp->lock);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	mmput_async(odp->mm);
	return ret;
}

/**
 * svan_odp_next - skip addresses that have no pages
 * @odp: the region
 * @addr: an address in the region, as the device sees it
 * @end: address to stop at
 *
 * Return: the first address from @addr on that may have a page, or @end.
 */
u64 svan_odp_next(struct svan_odp *odp, u64 addr, u64 end)
{
	u64 user = svan_odp_user_addr(odp, addr);

	if (!mmget_not_zero(odp->mm))
		return end;
	addr += svan_next_mapped(odp->mm, user, user + (end - addr)) - user;
	mmput_async(odp->mm);
	return addr;
}

/* ---- registration ---- */

static struct svan_odp *svan_odp_alloc(const struct ib_mr *ibmr, u64 start)
{
	struct svan_odp *odp;

	odp = kzalloc(sizeof(*odp), GFP_KERNEL_ACCOUNT);
	if (!odp)
		return NULL;

	kref_init(&odp->ref);
	mutex_init(&odp->lock);
	odp->dev = to_svan_ib_dev(ibmr->pd->device);
	odp->pd = ibmr->pd;
	odp->mm = current->mm;
	mmgrab(odp->mm);
	odp->start = start;
	odp->iova = ibmr->iova;
	odp->length = ibmr->length;
	odp->implicit = odp->length == U64_MAX;
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

/* The region of a key, with a reference, or NULL. */
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

/* Make the process context of a verbs context, unless it has one already. */
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

/* Size of an implicit region: as many addresses, from 0 on, as the key can cover. */
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
			 struct svan_ib_ucontext *uctx)
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
		err = svan_odp_init_parts(odp);
	if (err)
		return err;

	err = svan_odp_create_key(odp, mr, uctx);
	if (err)
		goto release_parts;
	err = xa_err(xa_store_bh(&dev->odps, odp->key, odp, GFP_KERNEL));
	if (err)
		goto destroy_key;
	return 0;

destroy_key:
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_KEY, odp->key);
release_parts:
	if (odp->kind == SVAN_KEY_ONDEMAND)
		svan_odp_release_parts(odp);
	return err;
}

/**
 * svan_odp_check - may this memory be registered on demand?
 * @dev: the device
 * @uctx: verbs context of the caller, or NULL if the caller is in the kernel
 * @start: first address in the caller's address space
 * @length: number of bytes; U64_MAX means the whole address space, and then @start
 *	and @virt have to be 0
 * @virt: first address as the device shall see it
 *
 * Return: 0 or an error.
 */
int svan_odp_check(struct svan_ib_dev *dev, const struct svan_ib_ucontext *uctx,
		   u64 start, u64 length, u64 virt)
{
	u64 end;

	if (!dev->ondemand_keys && !(dev->process_keys && length == U64_MAX))
		return -EOPNOTSUPP;
	if (!uctx)
		return -EINVAL;
	if (length == U64_MAX) {
		if (start || virt)
			return -EINVAL;
		/* A forked child, or a process that was sent the file, has another mm. */
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
 * svan_odp_reg - make the region and the key of an on-demand memory region
 * @mr: the memory region, which owns what is made
 * @uctx: verbs context of the caller
 * @start: first address in the caller's address space
 *
 * svan_odp_check() has accepted the request.
 *
 * Return: 0 or an error.
 */
int svan_odp_reg(struct svan_ib_mr *mr, struct svan_ib_ucontext *uctx, u64 start)
{
	struct svan_odp *odp;
	int err;

	odp = svan_odp_alloc(&mr->ibmr, start);
	if (!odp)
		return -ENOMEM;
	err = svan_odp_init(odp, mr, uctx);
	if (err) {
		svan_odp_put(odp);
		return err;
	}
	mr->odp = odp;
	mr->ibmr.lkey = odp->key;
	mr->ibmr.rkey = odp->key;
	return 0;
}

/**
 * svan_odp_modify_key - change the rights and the protection domain of a region
 * @odp: the region
 * @cmd: the command MODIFY_KEY
 * @pd: the new protection domain
 * @access: the new rights, SVAN_ACCESS_*
 *
 * Faults may be under way. As long as the device may accept stores through the key,
 * its requests for writable pages are served, so odp->writable is set before the
 * command and cleared after it. The device will ask again for pages that were
 * entered read-only.
 *
 * Return: as svan_cmd_exec().
 */
int svan_odp_modify_key(struct svan_odp *odp, struct svan_cmd *cmd,
			const struct ib_pd *pd, u32 access)
{
	bool writable = access & SVAN_ACCESS_LOCAL_WRITE;
	bool before = odp->writable;
	int err;

	WRITE_ONCE(odp->writable, before || writable);
	err = svan_cmd_exec(odp->dev->sdev, cmd, NULL);
	WRITE_ONCE(odp->writable, err ? before : writable);
	if (!err)
		WRITE_ONCE(odp->pd, pd);
	return err;
}

/*
 * Faults and prefetches may be under way. They do not find the region any more, or
 * they find it gone. When the key is destroyed, the device has ended every access
 * that waits for one of its pages.
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
		svan_odp_release_parts(odp);
	svan_servers_forget(odp->mm);
	svan_odp_put(odp);
}
