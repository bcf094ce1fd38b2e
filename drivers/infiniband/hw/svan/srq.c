// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared receive queues: creation, destruction, limit and events; posting for users in
 * the kernel. There is no doorbell: the device reads the record when it needs an entry.
 */

#include <linux/log2.h>

#include "svan_ib.h"
#include "svan_ib_trace.h"

static void svan_srq_dispatch(struct svan_ib_srq *srq, enum ib_event_type type)
{
	struct ib_event event = {
		.device = srq->ibsrq.device,
		.element.srq = &srq->ibsrq,
		.event = type,
	};

	if (srq->ibsrq.event_handler)
		srq->ibsrq.event_handler(&event, srq->ibsrq.srq_context);
}

/* Called in hard interrupt context, as is svan_srq_error(). */
static void svan_srq_limit(struct svan_srq_handler *handler)
{
	struct svan_ib_srq *srq = container_of(handler, struct svan_ib_srq, handler);

	trace_svan_ib_srq_event(srq, SVAN_EVENT_SRQ_LIMIT, 0);
	svan_srq_dispatch(srq, IB_EVENT_SRQ_LIMIT_REACHED);
}

static void svan_srq_error(struct svan_srq_handler *handler, u32 syndrome)
{
	struct svan_ib_srq *srq = container_of(handler, struct svan_ib_srq, handler);

	trace_svan_ib_srq_event(srq, SVAN_EVENT_SRQ_ERROR, syndrome);
	svan_srq_dispatch(srq, IB_EVENT_SRQ_ERR);
}

static int svan_srq_user_ring(struct svan_ib_dev *dev, struct svan_ib_srq *srq,
			      const struct ib_srq_attr *attr,
			      struct ib_udata *udata,
			      struct svan_cmd_create_srq *create)
{
	struct svan_ib_ucontext *uctx = svan_ib_udata_ucontext(udata);
	struct svan_ureq_create_srq ureq;
	int err;

	err = svan_ib_read_ureq(&ureq, sizeof(ureq), udata);
	if (err)
		return err;
	err = svan_ib_check_srq_ureq(&ureq, dev->caps, attr);
	if (err)
		return err;

	srq->log_size = ureq.log_size;
	srq->log_stride = ureq.log_stride;
	create->dbr_offset = cpu_to_le32(ureq.dbr_offset);
	create->owner = cpu_to_le32(uctx->owner);
	return svan_ring_pin(dev, &srq->ring, ureq.buf_va, ureq.buf_length,
			     uctx->owner);
}

static int svan_srq_kernel_ring(struct svan_ib_dev *dev,
				struct svan_ib_srq *srq,
				const struct ib_srq_attr *attr,
				struct svan_cmd_create_srq *create)
{
	u32 dbr_offset;
	int err;

	spin_lock_init(&srq->lock);
	srq->log_size = order_base_2(attr->max_wr);
	srq->log_stride = svan_rwqe_log_stride(attr->max_sge);
	dbr_offset = ALIGN(1u << (srq->log_size + srq->log_stride),
			   SVAN_WQEBB_SIZE);
	err = svan_ring_alloc(dev, &srq->ring,
			      dbr_offset + sizeof(struct svan_srq_dbr));
	if (err)
		return err;

	srq->entries = srq->ring.addr;
	srq->dbr = srq->ring.addr + dbr_offset;
	create->flags = SVAN_CMD_SRQ_PRIVILEGED;
	create->dbr_offset = cpu_to_le32(dbr_offset);
	return 0;
}

static int svan_srq_create_hw(struct svan_ib_dev *dev, struct svan_ib_srq *srq,
			      struct svan_cmd *cmd)
{
	struct svan_cmd_create_srq *create = &cmd->create_srq;

	cmd->hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_SRQ);
	create->log_size = srq->log_size;
	create->log_stride = srq->log_stride;
	create->pd = cpu_to_le32(to_svan_ib_pd(srq->ibsrq.pd)->pdn);
	create->ring_va = cpu_to_le64(srq->ring.va);
	create->ring_key = cpu_to_le32(srq->ring.key);
	return svan_cmd_create_object(dev->sdev, cmd, &srq->srqn);
}

/*
 * The handler is detached first. Once the device has destroyed the SRQ, it may give the
 * number to another one, for which another handler will be attached.
 */
static void svan_srq_destroy_hw(struct svan_ib_dev *dev, struct svan_ib_srq *srq)
{
	svan_srq_detach(dev->sdev, srq->srqn);
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_SRQ, srq->srqn);
}

/* No event is lost before the handler is attached: no QP uses the SRQ yet. */
static int svan_srq_start(struct svan_ib_dev *dev, struct svan_ib_srq *srq,
			  struct svan_cmd *cmd)
{
	int err;

	err = svan_srq_create_hw(dev, srq, cmd);
	if (err)
		return err;

	srq->handler.limit = svan_srq_limit;
	srq->handler.error = svan_srq_error;
	err = svan_srq_attach(dev->sdev, srq->srqn, &srq->handler);
	if (err)
		svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_SRQ,
					srq->srqn);
	return err;
}

static int svan_srq_build(struct svan_ib_dev *dev, struct svan_ib_srq *srq,
			  const struct ib_srq_attr *attr,
			  struct ib_udata *udata)
{
	struct svan_uresp_create_srq uresp = {};
	struct svan_cmd cmd = {};
	int err;

	if (udata)
		err = svan_srq_user_ring(dev, srq, attr, udata, &cmd.create_srq);
	else
		err = svan_srq_kernel_ring(dev, srq, attr, &cmd.create_srq);
	if (err)
		return err;

	err = svan_srq_start(dev, srq, &cmd);
	if (err)
		goto free_ring;

	uresp.srqn = srq->srqn;
	err = svan_ib_write_uresp(udata, &uresp, sizeof(uresp));
	if (err)
		goto destroy_hw;
	return 0;

destroy_hw:
	svan_srq_destroy_hw(dev, srq);
free_ring:
	svan_ring_free(dev, &srq->ring);
	return err;
}

int svan_ib_create_srq(struct ib_srq *ibsrq, struct ib_srq_init_attr *attr,
		       struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibsrq->device);
	struct svan_ib_srq *srq = to_svan_ib_srq(ibsrq);
	const struct svan_caps *caps = dev->caps;
	u32 room;
	int err;

	if (attr->srq_type != IB_SRQT_BASIC ||
	    !(le64_to_cpu(caps->features) & SVAN_CAP_SRQ))
		return -EOPNOTSUPP;
	if (!attr->attr.max_wr ||
	    attr->attr.max_wr > le32_to_cpu(caps->max_qp_rwqe) ||
	    attr->attr.max_sge > le16_to_cpu(caps->max_sge))
		return -EINVAL;

	err = svan_srq_build(dev, srq, &attr->attr, udata);
	trace_svan_ib_srq_create(srq, 0, err);
	if (err)
		return err;

	room = (BIT(srq->log_stride) - sizeof(struct svan_rwqe)) /
	       sizeof(struct svan_sge);
	srq->max_sge = min_t(u32, room, le16_to_cpu(caps->max_sge));
	attr->attr.max_wr = BIT(srq->log_size);
	attr->attr.max_sge = srq->max_sge;
	return 0;
}

/* ib_core does not call this as long as a QP uses the SRQ. */
int svan_ib_destroy_srq(struct ib_srq *ibsrq, struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibsrq->device);
	struct svan_ib_srq *srq = to_svan_ib_srq(ibsrq);

	trace_svan_ib_srq_destroy(srq, 0, 0);
	svan_srq_destroy_hw(dev, srq);
	svan_ring_free(dev, &srq->ring);
	return 0;
}

int svan_ib_modify_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr,
		       enum ib_srq_attr_mask mask, struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibsrq->device);
	struct svan_ib_srq *srq = to_svan_ib_srq(ibsrq);
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_MODIFY_SRQ),
		.modify_srq = {
			.srqn = cpu_to_le32(srq->srqn),
			.limit = cpu_to_le32(attr->srq_limit),
		},
	};
	int err;

	if (mask & ~IB_SRQ_LIMIT)
		return -EOPNOTSUPP;
	err = svan_ib_no_ureq(udata);
	if (err)
		return err;
	if (!mask)
		return 0;

	err = svan_cmd_exec(dev->sdev, &cmd, NULL);
	trace_svan_ib_srq_modify(srq, attr->srq_limit, err);
	return err;
}

int svan_ib_query_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibsrq->device);
	struct svan_ib_srq *srq = to_svan_ib_srq(ibsrq);
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_QUERY_SRQ),
		.object.id = cpu_to_le32(srq->srqn),
	};
	struct svan_cmd_resp resp;
	int err;

	err = svan_cmd_exec(dev->sdev, &cmd, &resp);
	if (err)
		return err;

	attr->max_wr = BIT(srq->log_size);
	attr->max_sge = srq->max_sge;
	attr->srq_limit = le32_to_cpu(resp.query_srq.limit);
	return 0;
}

/* Write the entry of a receive request. srq->lock is held. */
static int svan_srq_recv_one(struct svan_ib_srq *srq, const struct ib_recv_wr *wr)
{
	u32 mask = BIT(srq->log_size) - 1;
	struct svan_rwqe *rwqe;

	if (wr->num_sge < 0 || wr->num_sge > srq->max_sge)
		return -EINVAL;
	/*
	 * The device has copied what lies before ci. Acquire: the slot is not written
	 * before ci is read.
	 */
	if (srq->pi - le32_to_cpu(smp_load_acquire(&srq->dbr->ci)) > mask)
		return -ENOMEM;

	rwqe = (struct svan_rwqe *)(srq->entries + ((size_t)(srq->pi & mask) <<
						    srq->log_stride));
	svan_ib_write_rwqe(rwqe, wr);
	rwqe->wr_id = cpu_to_le64(wr->wr_id);
	srq->pi++;
	return 0;
}

int svan_ib_post_srq_recv(struct ib_srq *ibsrq, const struct ib_recv_wr *wr,
			  const struct ib_recv_wr **bad_wr)
{
	struct svan_ib_srq *srq = to_svan_ib_srq(ibsrq);
	unsigned long flags;
	int err = 0;

	if (!srq->dbr) {
		*bad_wr = wr;
		return -EINVAL;
	}

	spin_lock_irqsave(&srq->lock, flags);
	for (; wr; wr = wr->next) {
		err = svan_srq_recv_one(srq, wr);
		if (err) {
			*bad_wr = wr;
			break;
		}
	}
	dma_wmb();	/* The entries are written before the index. */
	WRITE_ONCE(srq->dbr->pi, cpu_to_le32(srq->pi));
	spin_unlock_irqrestore(&srq->lock, flags);
	return err;
}
