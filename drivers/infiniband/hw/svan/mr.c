// SPDX-License-Identifier: GPL-2.0-only
/* Memory regions. */

#include <linux/overflow.h>
#include <linux/slab.h>
#include <rdma/uverbs_ioctl.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

static int svan_mr_create_key(struct svan_ib_dev *dev, struct svan_ib_mr *mr,
			      u8 kind)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_KEY),
		.create_key = {
			.kind = kind,
			.levels = mr->mtt.layout.levels,
			.page_shift = mr->mtt.layout.page_shift,
			.access = cpu_to_le32(mr->access),
			.pd = cpu_to_le32(to_svan_ib_pd(mr->ibmr.pd)->pdn),
			.va = cpu_to_le64(mr->ibmr.iova),
			.length = cpu_to_le64(mr->ibmr.length),
			.table = cpu_to_le64(mr->mtt.root),
			.owner = cpu_to_le32(mr->owner),
		},
	};
	u32 key;
	int err;

	err = svan_cmd_create_object(dev->sdev, &cmd, &key);
	if (err)
		return err;

	mr->ibmr.lkey = key;
	mr->ibmr.rkey = key;
	return 0;
}

static struct svan_ib_mr *svan_mr_alloc(struct ib_pd *ibpd, u64 virt,
					u64 length, int ib_access)
{
	struct svan_ib_mr *mr;
	u32 access;
	int err;

	err = svan_ib_mr_access(ib_access, &access);
	if (err)
		return ERR_PTR(err);

	mr = kzalloc(sizeof(*mr), GFP_KERNEL_ACCOUNT);
	if (!mr)
		return ERR_PTR(-ENOMEM);

	mr->access = access;
	mr->ibmr.device = ibpd->device;
	mr->ibmr.pd = ibpd;
	mr->ibmr.iova = virt;
	mr->ibmr.length = length;
	return mr;
}

/* Register all bus addresses of the function, for users in the kernel. */
struct ib_mr *svan_ib_get_dma_mr(struct ib_pd *ibpd, int ib_access)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibpd->device);
	struct svan_ib_mr *mr;
	int err;

	/* ib_core asks for remote rights only, but they need the local one. */
	mr = svan_mr_alloc(ibpd, 0, le64_to_cpu(dev->caps->max_key_length),
			   ib_access | IB_ACCESS_LOCAL_WRITE);
	if (IS_ERR(mr))
		return ERR_CAST(mr);

	mr->mtt.layout.page_shift = PAGE_SHIFT;
	err = svan_mr_create_key(dev, mr, SVAN_KEY_PHYS);
	trace_svan_ib_mr_reg(&dev->ibdev, mr, err);
	if (err) {
		kfree(mr);
		return ERR_PTR(err);
	}
	return &mr->ibmr;
}

static int svan_mr_pin(struct svan_ib_dev *dev, struct svan_ib_mr *mr,
		       u64 start, int ib_access)
{
	int err;

	mr->umem = ib_umem_get(&dev->ibdev, start, mr->ibmr.length, ib_access);
	if (IS_ERR(mr->umem))
		return PTR_ERR(mr->umem);

	err = svan_mtt_create(dev, &mr->mtt, mr->umem, mr->ibmr.iova);
	if (err)
		goto release_umem;

	err = svan_mr_create_key(dev, mr, SVAN_KEY_PINNED);
	if (err)
		goto destroy_mtt;
	return 0;

destroy_mtt:
	svan_mtt_destroy(dev, &mr->mtt);
release_umem:
	ib_umem_release(mr->umem);
	return err;
}

/*
 * Get the threads that will serve the caller's memory. A verbs context of the same
 * process becomes a user of them, too, so that they are not made anew for each region.
 */
static int svan_mr_get_server(struct svan_ib_dev *dev,
			      struct svan_ib_ucontext *uctx,
			      struct svan_server **server)
{
	*server = NULL;
	if (!dev->prq || !uctx)
		return 0;
	*server = svan_server_get();
	if (IS_ERR(*server))
		return PTR_ERR(*server);

	mutex_lock(&uctx->context_lock);
	if (!uctx->server && uctx->mm == current->mm)
		uctx->server = svan_server_again(*server);
	mutex_unlock(&uctx->context_lock);
	return 0;
}

/**
 * struct svan_mr_span - memory that a user wants to register
 * @start: first address in the caller's address space
 * @length: number of bytes
 * @virt: first address as the device shall see it
 */
struct svan_mr_span {
	u64 start;
	u64 length;
	u64 virt;
};

static struct svan_ib_mr *
svan_mr_create_ondemand(struct ib_pd *ibpd, struct svan_ib_ucontext *uctx,
			const struct svan_mr_span *span, int ib_access)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibpd->device);
	struct svan_ib_mr *mr;
	int err;

	err = svan_odp_check(dev, uctx, span->start, span->length, span->virt);
	if (err)
		return ERR_PTR(err);
	mr = svan_mr_alloc(ibpd, span->virt, span->length,
			   ib_access & ~IB_ACCESS_ON_DEMAND);
	if (IS_ERR(mr))
		return mr;
	mr->owner = uctx->owner;
	err = svan_odp_reg(mr, uctx, span->start);
	trace_svan_ib_mr_reg(&dev->ibdev, mr, err);
	if (err) {
		kfree(mr);
		return ERR_PTR(err);
	}
	return mr;
}

static struct ib_mr *svan_mr_reg_ondemand(struct ib_pd *ibpd,
					  struct svan_ib_ucontext *uctx,
					  const struct svan_mr_span *span,
					  int ib_access)
{
	struct svan_server *server;
	struct svan_ib_mr *mr;
	int err;

	err = svan_mr_get_server(to_svan_ib_dev(ibpd->device), uctx, &server);
	if (err)
		return ERR_PTR(err);
	mr = svan_mr_create_ondemand(ibpd, uctx, span, ib_access);
	if (IS_ERR(mr)) {
		if (server)
			svan_server_put(server);
		return ERR_CAST(mr);
	}
	mr->server = server;
	return &mr->ibmr;
}

struct ib_mr *svan_ib_reg_user_mr(struct ib_pd *ibpd, u64 start, u64 length,
				  u64 virt, int ib_access,
				  struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibpd->device);
	struct svan_ib_ucontext *uctx = svan_ib_udata_ucontext(udata);
	const struct svan_mr_span span = { start, length, virt };
	struct svan_ib_mr *mr;
	u64 end;
	int err;

	err = svan_ib_no_ureq(udata);
	if (err)
		return ERR_PTR(err);
	if (ib_access & IB_ACCESS_ON_DEMAND)
		return svan_mr_reg_ondemand(ibpd, uctx, &span, ib_access);
	if (!length || length > le64_to_cpu(dev->caps->max_key_length) ||
	    check_add_overflow(virt, length, &end))
		return ERR_PTR(-EINVAL);

	mr = svan_mr_alloc(ibpd, virt, length, ib_access);
	if (IS_ERR(mr))
		return ERR_CAST(mr);

	mr->owner = uctx ? uctx->owner : 0;
	err = svan_mr_pin(dev, mr, start, ib_access);
	trace_svan_ib_mr_reg(&dev->ibdev, mr, err);
	if (err) {
		kfree(mr);
		return ERR_PTR(err);
	}
	return &mr->ibmr;
}

/*
 * The exporter takes the memory back, or the region goes. On return the device does not
 * access the memory any more; the keys stay the region's, and lead nowhere.
 */
static void svan_mr_revoke(void *priv)
{
	struct svan_ib_mr *mr = priv;
	/* Not by the protection domain, which rereg_mr may change meanwhile. */
	struct svan_ib_dev *dev = to_svan_ib_dev(mr->ibmr.device);

	svan_mtt_revoke(dev, &mr->mtt);
	svan_inval_key(dev->sdev, mr->ibmr.lkey, 0, 0);
	trace_svan_ib_mr_revoke(&dev->ibdev, mr->ibmr.lkey);
}

/* Called with the reservation lock of the dma-buf, as svan_mr_revoke() is. */
static int svan_mr_attach(struct svan_ib_dev *dev, struct svan_ib_mr *mr,
			  struct ib_umem_dmabuf *memory)
{
	int err;

	err = svan_mtt_create(dev, &mr->mtt, &memory->umem, mr->ibmr.iova);
	if (err)
		return err;
	err = svan_mr_create_key(dev, mr, SVAN_KEY_DEVMEM);
	if (err) {
		svan_mtt_destroy(dev, &mr->mtt);
		return err;
	}
	mr->umem = &memory->umem;
	ib_umem_dmabuf_set_revoke_locked(memory, svan_mr_revoke, mr);
	return 0;
}

/* Register memory of another device. It stays where it is until it is revoked. */
struct ib_mr *svan_ib_reg_user_mr_dmabuf(struct ib_pd *ibpd, u64 offset,
					 u64 length, u64 virt, int fd,
					 int ib_access,
					 struct uverbs_attr_bundle *attrs)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibpd->device);
	struct ib_umem_dmabuf *memory;
	struct svan_ib_mr *mr;
	u64 end;
	int err;

	if (!(le64_to_cpu(dev->caps->features) & SVAN_CAP_DEVMEM_KEYS) ||
	    ib_access & IB_ACCESS_ON_DEMAND)
		return ERR_PTR(-EOPNOTSUPP);
	if (!length || length > le64_to_cpu(dev->caps->max_key_length) ||
	    check_add_overflow(virt, length, &end))
		return ERR_PTR(-EINVAL);

	mr = svan_mr_alloc(ibpd, virt, length, ib_access);
	if (IS_ERR(mr))
		return ERR_CAST(mr);
	mr->owner = svan_ib_udata_ucontext(&attrs->driver_udata)->owner;
	memory = ib_umem_dmabuf_get_pinned_revocable_and_lock(&dev->ibdev,
							      offset, length,
							      fd, ib_access);
	if (IS_ERR(memory)) {
		err = PTR_ERR(memory);
		goto free_mr;
	}
	err = svan_mr_attach(dev, mr, memory);
	ib_umem_dmabuf_revoke_unlock(memory);
	trace_svan_ib_mr_reg(&dev->ibdev, mr, err);
	if (err) {
		ib_umem_release(&memory->umem);
		goto free_mr;
	}
	return &mr->ibmr;

free_mr:
	kfree(mr);
	return ERR_PTR(err);
}

/*
 * Can a region keep its memory and its keys when it is registered again? Memory that
 * was pinned read-only has to be pinned again before it can be written.
 */
static bool svan_mr_stays(const struct svan_ib_mr *mr, int flags, int ib_access)
{
	if (flags & IB_MR_REREG_TRANS ||
	    !mr->odp != !(ib_access & IB_ACCESS_ON_DEMAND))
		return false;
	return mr->odp || !ib_umem_check_rereg(mr->umem, flags, ib_access);
}

/*
 * Change the rights or the protection domain of the existing keys. When the command is
 * done, no access with the old ones is under way.
 */
static int svan_mr_modify(struct svan_ib_dev *dev, struct svan_ib_mr *mr,
			  struct ib_pd *pd, int ib_access)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_MODIFY_KEY),
		.modify_key = {
			.key = cpu_to_le32(mr->ibmr.lkey),
			.mask = cpu_to_le32(SVAN_MODIFY_KEY_MASK),
			.pd = cpu_to_le32(to_svan_ib_pd(pd)->pdn),
		},
	};
	u32 access;
	int err;

	err = svan_ib_mr_access(ib_access & ~IB_ACCESS_ON_DEMAND, &access);
	if (err)
		return err;

	cmd.modify_key.access = cpu_to_le32(access);
	if (mr->odp)
		err = svan_odp_modify_key(mr->odp, &cmd, pd, access);
	else
		err = svan_cmd_exec(dev->sdev, &cmd, NULL);
	if (!err)
		mr->access = access;
	trace_svan_ib_mr_reg(&dev->ibdev, mr, err);
	return err;
}

/*
 * Find the address at which the caller has the memory of a region. Only the process
 * that registered the memory has it there: another one has other memory at that address.
 */
static int svan_mr_start(const struct svan_ib_mr *mr, u64 *start)
{
	if (current->mm != (mr->odp ? mr->odp->mm : mr->umem->owning_mm))
		return -EPERM;
	*start = mr->odp ? mr->odp->start : mr->umem->address;
	return 0;
}

/*
 * A region that keeps its memory keeps its keys, too. Otherwise a new region is made.
 * ib_uverbs then deregisters the old one, but only after success.
 */
struct ib_mr *svan_ib_rereg_user_mr(struct ib_mr *ibmr, int flags, u64 start,
				    u64 length, u64 virt, int ib_access,
				    struct ib_pd *new_pd,
				    struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibmr->device);
	struct svan_ib_mr *mr = to_svan_ib_mr(ibmr);
	bool stays;
	int err;

	if (flags & ~IB_MR_REREG_SUPPORTED)
		return ERR_PTR(-EOPNOTSUPP);
	err = svan_ib_no_ureq(udata);
	if (err)
		return ERR_PTR(err);
	if (!(flags & IB_MR_REREG_ACCESS))
		ib_access = svan_ib_from_mr_access(mr->access) |
			    (mr->odp ? IB_ACCESS_ON_DEMAND : 0);
	if (!(flags & IB_MR_REREG_PD))
		new_pd = ibmr->pd;

	stays = svan_mr_stays(mr, flags, ib_access);
	if (!(flags & IB_MR_REREG_TRANS) && (!stays || mr->odp)) {
		err = svan_mr_start(mr, &start);
		if (err)
			return ERR_PTR(err);
		length = ibmr->length;
		virt = ibmr->iova;
	}
	if (stays)
		return ERR_PTR(svan_mr_modify(dev, mr, new_pd, ib_access));
	return svan_ib_reg_user_mr(new_pd, start, length, virt, ib_access,
				   udata);
}

int svan_ib_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibmr->device);
	struct svan_ib_mr *mr = to_svan_ib_mr(ibmr);

	trace_svan_ib_mr_dereg(&dev->ibdev, ibmr->lkey);
	if (mr->odp) {
		svan_odp_dereg_mr(mr);
		if (mr->server)
			svan_server_put(mr->server);
		kfree(mr);
		return 0;
	}
	svan_ib_revoke_umem(mr->umem);
	/* On return the device does not access the pages any more. */
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_KEY, ibmr->lkey);
	ib_umem_release(mr->umem);
	svan_mtt_destroy(dev, &mr->mtt);
	kfree(mr);
	return 0;
}
