// SPDX-License-Identifier: GPL-2.0-only
/* Memory regions. */

#include <linux/overflow.h>
#include <linux/slab.h>

#include "svan_ib.h"
#include "svan_ib_trace.h"

static int svan_mr_create_key(struct svan_ib_dev *dev, struct svan_ib_mr *mr,
			      struct svan_cmd *cmd)
{
	u32 key;
	int err;

	cmd->hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_KEY);
	cmd->create_key.access = cpu_to_le32(mr->access);
	cmd->create_key.pd = cpu_to_le32(to_svan_ib_pd(mr->ibmr.pd)->pdn);
	err = svan_cmd_create_object(dev->sdev, cmd, &key);
	if (err)
		return err;

	mr->ibmr.lkey = key;
	mr->ibmr.rkey = key;
	return 0;
}

/* All of the function's bus addresses, for ULPs that ask for it. */
struct ib_mr *svan_ib_get_dma_mr(struct ib_pd *ibpd, int ib_access)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibpd->device);
	struct svan_cmd cmd = {
		.create_key = {
			.kind = SVAN_KEY_PHYS,
			.page_shift = PAGE_SHIFT,
			.length = dev->caps->max_key_length,
		},
	};
	struct svan_ib_mr *mr;
	u32 access;
	int err;

	err = svan_ib_mr_access(ib_access, &access);
	if (err)
		return ERR_PTR(err);

	mr = kzalloc(sizeof(*mr), GFP_KERNEL);
	if (!mr)
		return ERR_PTR(-ENOMEM);

	mr->access = access;
	mr->ibmr.pd = ibpd;
	err = svan_mr_create_key(dev, mr, &cmd);
	if (err) {
		kfree(mr);
		return ERR_PTR(err);
	}

	trace_svan_ib_mr_reg(&dev->ibdev, mr, 0);
	return &mr->ibmr;
}

static u32 svan_mr_owner(struct ib_udata *udata)
{
	struct svan_ib_ucontext *uctx = svan_ib_udata_ucontext(udata);

	return uctx ? uctx->owner : 0;
}

static int svan_mr_pin(struct svan_ib_dev *dev, struct svan_ib_mr *mr,
		       u64 start, int ib_access, u32 owner)
{
	struct svan_cmd cmd = {};
	int err;

	mr->umem = ib_umem_get(&dev->ibdev, start, mr->ibmr.length, ib_access);
	if (IS_ERR(mr->umem))
		return PTR_ERR(mr->umem);

	err = svan_mtt_create(dev, &mr->mtt, mr->umem, mr->ibmr.iova);
	if (err)
		goto release_umem;

	cmd.create_key.kind = SVAN_KEY_PINNED;
	cmd.create_key.levels = mr->mtt.layout.levels;
	cmd.create_key.page_shift = mr->mtt.layout.page_shift;
	cmd.create_key.va = cpu_to_le64(mr->ibmr.iova);
	cmd.create_key.length = cpu_to_le64(mr->ibmr.length);
	cmd.create_key.table = cpu_to_le64(mr->mtt.root);
	cmd.create_key.owner = cpu_to_le32(owner);
	err = svan_mr_create_key(dev, mr, &cmd);
	if (err)
		goto destroy_mtt;
	return 0;

destroy_mtt:
	svan_mtt_destroy(dev, &mr->mtt);
release_umem:
	ib_umem_release(mr->umem);
	return err;
}

struct ib_mr *svan_ib_reg_user_mr(struct ib_pd *ibpd, u64 start, u64 length,
				  u64 virt, int ib_access,
				  struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibpd->device);
	struct svan_ib_mr *mr;
	u32 access;
	u64 end;
	int err;

	err = svan_ib_no_ureq(udata);
	if (err)
		return ERR_PTR(err);
	err = svan_ib_mr_access(ib_access, &access);
	if (err)
		return ERR_PTR(err);
	if (!length || length > le64_to_cpu(dev->caps->max_key_length) ||
	    check_add_overflow(virt, length, &end))
		return ERR_PTR(-EINVAL);

	mr = kzalloc(sizeof(*mr), GFP_KERNEL);
	if (!mr)
		return ERR_PTR(-ENOMEM);

	mr->access = access;
	mr->ibmr.pd = ibpd;
	mr->ibmr.iova = virt;
	mr->ibmr.length = length;
	err = svan_mr_pin(dev, mr, start, ib_access, svan_mr_owner(udata));
	trace_svan_ib_mr_reg(&dev->ibdev, mr, err);
	if (err) {
		kfree(mr);
		return ERR_PTR(err);
	}
	return &mr->ibmr;
}

int svan_ib_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibmr->device);
	struct svan_ib_mr *mr = to_svan_ib_mr(ibmr);

	trace_svan_ib_mr_dereg(&dev->ibdev, ibmr->lkey);
	/* when it returns, the device reads and writes the pages no more */
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_KEY, ibmr->lkey);
	svan_mtt_destroy(dev, &mr->mtt);
	ib_umem_release(mr->umem);
	kfree(mr);
	return 0;
}
