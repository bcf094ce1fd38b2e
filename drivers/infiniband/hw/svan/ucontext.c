// SPDX-License-Identifier: GPL-2.0-only
/* Verbs contexts with their UAR page, and protection domains. */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <rdma/uverbs_ioctl.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

/*
 * A user must not take the pages of all others. One without CAP_SYS_ADMIN may have half
 * of them.
 */
static int svan_uar_charge(struct svan_ib_dev *dev, kuid_t uid)
{
	u32 limit = le32_to_cpu(dev->caps->max_uar) / 2;
	unsigned long count;
	int err = -ENOSPC;

	mutex_lock(&dev->uars_lock);
	count = xa_to_value(xa_load(&dev->user_uars, __kuid_val(uid)));
	if (count < limit || capable(CAP_SYS_ADMIN))
		err = xa_err(xa_store(&dev->user_uars, __kuid_val(uid),
				      xa_mk_value(count + 1), GFP_KERNEL_ACCOUNT));
	mutex_unlock(&dev->uars_lock);
	return err;
}

static void svan_uar_uncharge(struct svan_ib_dev *dev, kuid_t uid)
{
	unsigned long count;

	mutex_lock(&dev->uars_lock);
	count = xa_to_value(xa_load(&dev->user_uars, __kuid_val(uid)));
	/* A store over an entry needs no memory. */
	if (count > 1)
		xa_store(&dev->user_uars, __kuid_val(uid), xa_mk_value(count - 1),
			 GFP_KERNEL);
	else
		xa_erase(&dev->user_uars, __kuid_val(uid));
	mutex_unlock(&dev->uars_lock);
}

static void svan_uar_free_work(struct work_struct *work)
{
	struct svan_ib_mmap_entry *entry =
		container_of(work, struct svan_ib_mmap_entry, free);

	svan_cmd_destroy_object(entry->dev->sdev, SVAN_CMD_FREE_UAR, entry->page);
	svan_uar_uncharge(entry->dev, entry->uid);
	if (entry->count)
		atomic_dec(entry->count);
	kfree(entry);
}

/**
 * svan_ib_flush_uars - wait until the pages that were let go are free
 * @dev: the device
 */
void svan_ib_flush_uars(struct svan_ib_dev *dev)
{
	flush_workqueue(dev->uars_wq);
}

/**
 * svan_ib_alloc_uar - get a UAR page, and a place for it in the mmap space
 * @dev: the device
 * @uctx: the verbs context, whose @owner is set
 * @page: its number is stored there
 *
 * rdma_user_mmap_entry_remove() gives the page back, after its last mapping is gone.
 *
 * Return: the entry of the mmap space, or an error pointer.
 */
struct svan_ib_mmap_entry *svan_ib_alloc_uar(struct svan_ib_dev *dev,
					     struct svan_ib_ucontext *uctx,
					     u32 *page)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_ALLOC_UAR),
		.alloc_uar.owner = cpu_to_le32(uctx->owner),
		/* The contexts of a process share one quota in the device. */
		.alloc_uar.process = cpu_to_le32(task_tgid_nr(current)),
	};
	struct svan_ib_mmap_entry *entry;
	int err;

	entry = kzalloc(sizeof(*entry), GFP_KERNEL_ACCOUNT);
	if (!entry)
		return ERR_PTR(-ENOMEM);
	entry->uid = current_uid();
	err = svan_uar_charge(dev, entry->uid);
	if (err)
		goto free_entry;
	err = svan_cmd_create_object(dev->sdev, &cmd, page);
	if (err)
		goto uncharge;

	entry->dev = dev;
	INIT_WORK(&entry->free, svan_uar_free_work);
	entry->page = *page;
	entry->phys = svan_uar_phys(dev->sdev, *page);
	err = rdma_user_mmap_entry_insert(&uctx->ibucontext, &entry->rdma,
					  PAGE_SIZE);
	if (err)
		goto free_page;
	return entry;

free_page:
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_FREE_UAR, *page);
uncharge:
	svan_uar_uncharge(dev, entry->uid);
free_entry:
	kfree(entry);
	return ERR_PTR(err);
}

static void svan_ib_fill_ucontext_resp(struct svan_ib_dev *dev,
				       struct svan_ib_ucontext *uctx,
				       struct svan_uresp_alloc_ucontext *uresp)
{
	const struct svan_caps *caps = dev->caps;

	uresp->features = le64_to_cpu(caps->features);
	uresp->uar_mmap_offset =
		rdma_user_mmap_get_offset(&uctx->uar_entry->rdma);
	uresp->uar_size = PAGE_SIZE;
	uresp->max_qp_wqebb = le32_to_cpu(caps->max_qp_wqebb);
	uresp->max_qp_rwqe = le32_to_cpu(caps->max_qp_rwqe);
	uresp->max_cqe = le32_to_cpu(caps->max_cqe);
	uresp->max_sge = le16_to_cpu(caps->max_sge);
	uresp->max_inline = le16_to_cpu(caps->max_inline);
	uresp->max_comp_cntr = le32_to_cpu(caps->max_counter);
	uresp->max_uar = le32_to_cpu(caps->max_uar);
	uresp->max_context_uar = SVAN_IB_MAX_UARS;
	if (uresp->max_comp_cntr)
		uresp->max_context_comp_cntr = SVAN_IB_MAX_COUNTERS;
}

/* The verbs context of the caller, or NULL if the caller is in the kernel. */
struct svan_ib_ucontext *svan_ib_udata_ucontext(struct ib_udata *udata)
{
	return rdma_udata_to_drv_context(udata, struct svan_ib_ucontext,
					 ibucontext);
}

int svan_ib_alloc_ucontext(struct ib_ucontext *ibucontext,
			   struct ib_udata *udata)
{
	struct svan_ib_ucontext *uctx = to_svan_ib_ucontext(ibucontext);
	struct svan_ib_dev *dev = to_svan_ib_dev(ibucontext->device);
	struct svan_uresp_alloc_ucontext uresp = {};
	int err, owner;

	/* A mapping of one UAR page must not show a part of another one. */
	BUILD_BUG_ON(SVAN_UAR_SIZE != PAGE_SIZE);

	err = svan_ib_no_ureq(udata);
	if (err)
		return err;

	owner = ida_alloc_min(&dev->owners, 1, GFP_KERNEL);
	if (owner < 0)
		return owner;
	uctx->owner = owner;

	svan_ib_flush_uars(dev);
	uctx->uar_entry = svan_ib_alloc_uar(dev, uctx, &uctx->uar);
	if (IS_ERR(uctx->uar_entry)) {
		err = PTR_ERR(uctx->uar_entry);
		goto free_owner;
	}

	svan_ib_fill_ucontext_resp(dev, uctx, &uresp);
	err = svan_ib_write_uresp(udata, &uresp, sizeof(uresp));
	if (err)
		goto remove_entry;

	xa_init(&uctx->uars);
	mutex_init(&uctx->context_lock);
	uctx->mm = current->mm;
	mmgrab(uctx->mm);
	trace_svan_ib_ucontext_alloc(&dev->ibdev, uctx->owner, uctx->uar);
	return 0;

remove_entry:
	rdma_user_mmap_entry_remove(&uctx->uar_entry->rdma);
free_owner:
	ida_free(&dev->owners, uctx->owner);
	return err;
}

void svan_ib_dealloc_ucontext(struct ib_ucontext *ibucontext)
{
	struct svan_ib_ucontext *uctx = to_svan_ib_ucontext(ibucontext);
	struct svan_ib_dev *dev = to_svan_ib_dev(ibucontext->device);

	trace_svan_ib_ucontext_dealloc(&dev->ibdev, uctx->owner, uctx->uar);
	if (uctx->context)
		svan_context_destroy(uctx->context);
	if (uctx->server)
		svan_server_put(uctx->server);
	mmdrop(uctx->mm);
	mutex_destroy(&uctx->context_lock);
	WARN_ON(!xa_empty(&uctx->uars));
	xa_destroy(&uctx->uars);
	rdma_user_mmap_entry_remove(&uctx->uar_entry->rdma);
	svan_ib_flush_uars(dev);	/* what is freed counts in the context */
	ida_free(&dev->owners, uctx->owner);
}

/*
 * ib_uverbs does all the work. The operation only has to exist: that tells ib_uverbs
 * that verbs contexts may be open when the device is unregistered.
 */
void svan_ib_disassociate_ucontext(struct ib_ucontext *ibucontext)
{
}

/*
 * A doorbell page can only be mapped for stores. A forked child does not inherit the
 * mapping; it could not use the queues in any case, as it has no access to their
 * memory. This also avoids a deadlock: in fork() ib_uverbs would take its
 * disassociation lock under mmap_lock, and it takes them in the other order when the
 * device goes away.
 */
int svan_ib_mmap(struct ib_ucontext *ibucontext, struct vm_area_struct *vma)
{
	struct rdma_user_mmap_entry *rdma_entry;
	struct svan_ib_mmap_entry *entry;
	int err;

	if ((vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC)) != VM_WRITE)
		return -EPERM;

	rdma_entry = rdma_user_mmap_entry_get(ibucontext, vma);
	if (!rdma_entry)
		return -EINVAL;

	entry = container_of(rdma_entry, struct svan_ib_mmap_entry, rdma);
	vm_flags_mod(vma, VM_DONTCOPY, VM_MAYREAD | VM_MAYEXEC);
	err = rdma_user_mmap_io(ibucontext, vma, PHYS_PFN(entry->phys),
				PAGE_SIZE, pgprot_noncached(vma->vm_page_prot),
				rdma_entry);
	rdma_user_mmap_entry_put(rdma_entry);
	return err;
}

/*
 * No mapping of the page is left: they have been removed, or their file is closed, or
 * ib_uverbs has replaced them. So the user cannot reach the page when the device gives
 * it to another context. The caller may hold its mmap_lock, for which others wait who
 * look at the process, so it does not wait for the device here.
 */
void svan_ib_mmap_free(struct rdma_user_mmap_entry *rdma_entry)
{
	struct svan_ib_mmap_entry *entry =
		container_of(rdma_entry, struct svan_ib_mmap_entry, rdma);

	queue_work(entry->dev->uars_wq, &entry->free);
}

int svan_ib_alloc_pd(struct ib_pd *ibpd, struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibpd->device);
	struct svan_ib_pd *pd = to_svan_ib_pd(ibpd);
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_ALLOC_PD),
	};
	struct svan_uresp_alloc_pd uresp = {};
	int err;

	err = svan_ib_no_ureq(udata);
	if (err)
		return err;

	err = svan_cmd_create_object(dev->sdev, &cmd, &pd->pdn);
	if (err)
		return err;

	uresp.pdn = pd->pdn;
	err = svan_ib_write_uresp(udata, &uresp, sizeof(uresp));
	if (err) {
		svan_cmd_destroy_object(dev->sdev, SVAN_CMD_FREE_PD, pd->pdn);
		return err;
	}

	trace_svan_ib_pd_alloc(&dev->ibdev, pd->pdn);
	return 0;
}

int svan_ib_dealloc_pd(struct ib_pd *ibpd, struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibpd->device);
	u32 pdn = to_svan_ib_pd(ibpd)->pdn;

	trace_svan_ib_pd_dealloc(&dev->ibdev, pdn);
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_FREE_PD, pdn);
	return 0;
}
