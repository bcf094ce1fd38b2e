// SPDX-License-Identifier: GPL-2.0-only
/* Completion queues: creation, destruction and their events. */

#include <linux/log2.h>
#include <rdma/uverbs_ioctl.h>

#include "svan_ib.h"
#include "svan_ib_trace.h"

/* Called in hard interrupt context, as is svan_cq_error(). */
static void svan_cq_complete(struct svan_cq_handler *handler)
{
	struct svan_ib_cq *cq = container_of(handler, struct svan_ib_cq, handler);

	cq->ibcq.comp_handler(&cq->ibcq, cq->ibcq.cq_context);
}

static void svan_cq_error(struct svan_cq_handler *handler, u32 syndrome)
{
	struct svan_ib_cq *cq = container_of(handler, struct svan_ib_cq, handler);
	struct ib_event event = {
		.device = cq->ibcq.device,
		.element.cq = &cq->ibcq,
		.event = IB_EVENT_CQ_ERR,
	};

	trace_svan_ib_cq_error(cq, syndrome);
	if (cq->ibcq.event_handler)
		cq->ibcq.event_handler(&event, cq->ibcq.cq_context);
}

static int svan_cq_user_ring(struct svan_ib_dev *dev, struct svan_ib_cq *cq,
			     struct ib_udata *udata, u32 cqe, u32 *dbr_offset)
{
	struct svan_ib_ucontext *uctx = svan_ib_udata_ucontext(udata);
	struct svan_ureq_create_cq ureq;
	int err;

	err = svan_ib_read_ureq(&ureq, sizeof(ureq), udata);
	if (err)
		return err;
	err = svan_ib_check_cq_ureq(&ureq, dev->caps, cqe);
	if (err)
		return err;

	cq->log_size = ureq.log_size;
	*dbr_offset = ureq.dbr_offset;
	if (ureq.buf.length)
		return svan_ring_pin_desc(dev, &cq->ring, &ureq.buf,
					  uctx->owner);
	return svan_ring_pin(dev, &cq->ring, ureq.buf_va, ureq.buf_length,
			     uctx->owner);
}

static int svan_cq_kernel_ring(struct svan_ib_dev *dev, struct svan_ib_cq *cq,
			       u32 cqe, u32 *dbr_offset)
{
	int err;

	cq->log_size = order_base_2(cqe);
	*dbr_offset = sizeof(struct svan_cqe) << cq->log_size;
	err = svan_ring_alloc(dev, &cq->ring,
			      *dbr_offset + sizeof(struct svan_cq_dbr));
	if (err)
		return err;

	spin_lock_init(&cq->lock);
	cq->cqes = cq->ring.addr;
	cq->dbr = cq->ring.addr + *dbr_offset;
	return 0;
}

static int svan_cq_create_hw(struct svan_ib_dev *dev, struct svan_ib_cq *cq,
			     u32 dbr_offset, u32 uar)
{
	u8 flags = cq->ignore_overrun ? SVAN_CMD_CQ_IGNORE_OVERRUN : 0;
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_CQ),
		.create_cq = {
			.ring_va = cpu_to_le64(cq->ring.va),
			.ring_key = cpu_to_le32(cq->ring.key),
			.dbr_offset = cpu_to_le32(dbr_offset),
			.eqn = cpu_to_le32(cq->eqn),
			.uar = cpu_to_le32(uar),
			.log_size = cq->log_size,
			.flags = flags,
		},
	};

	return svan_cmd_create_object(dev->sdev, &cmd, &cq->cqn);
}

/*
 * The handler is detached first. Once the device has destroyed the CQ, it may give the
 * number to another one, for which another handler will be attached.
 */
static void svan_cq_destroy_hw(struct svan_ib_dev *dev, struct svan_ib_cq *cq)
{
	svan_cq_detach(dev->sdev, cq->cqn);
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_CQ, cq->cqn);
}

/*
 * The CQ exists in the device before its handler is attached. No event is lost by that,
 * since no queue uses the CQ yet and nobody has armed it.
 */
static int svan_cq_start(struct svan_ib_dev *dev, struct svan_ib_cq *cq,
			 u32 dbr_offset, u32 uar)
{
	int err;

	err = svan_cq_create_hw(dev, cq, dbr_offset, uar);
	if (err)
		return err;

	cq->handler.complete = svan_cq_complete;
	cq->handler.error = svan_cq_error;
	err = svan_cq_attach(dev->sdev, cq->cqn, &cq->handler);
	if (err)
		svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_CQ, cq->cqn);
	return err;
}

static int svan_cq_build(struct svan_ib_dev *dev, struct svan_ib_cq *cq,
			 u32 cqe, struct ib_udata *udata)
{
	struct svan_ib_ucontext *uctx = svan_ib_udata_ucontext(udata);
	struct svan_uresp_create_cq uresp = {};
	u32 dbr_offset;
	int err;

	if (udata)
		err = svan_cq_user_ring(dev, cq, udata, cqe, &dbr_offset);
	else
		err = svan_cq_kernel_ring(dev, cq, cqe, &dbr_offset);
	if (err)
		return err;

	err = svan_cq_start(dev, cq, dbr_offset, uctx ? uctx->uar : 0);
	if (err)
		goto free_ring;

	uresp.cqn = cq->cqn;
	err = svan_ib_write_uresp(udata, &uresp, sizeof(uresp));
	if (err)
		goto destroy_hw;
	return 0;

destroy_hw:
	svan_cq_destroy_hw(dev, cq);
free_ring:
	svan_ring_free(dev, &cq->ring);
	return err;
}

int svan_ib_create_cq(struct ib_cq *ibcq, const struct ib_cq_init_attr *attr,
		      struct uverbs_attr_bundle *attrs)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibcq->device);
	struct svan_ib_cq *cq = to_svan_ib_cq(ibcq);
	int err;

	if (attr->flags & ~IB_UVERBS_CQ_FLAGS_IGNORE_OVERRUN)
		return -EOPNOTSUPP;
	/* Without completion counters the device refuses such a CQ. */
	cq->ignore_overrun = attr->flags & IB_UVERBS_CQ_FLAGS_IGNORE_OVERRUN;
	if (!attr->cqe || attr->cqe > le32_to_cpu(dev->caps->max_cqe) ||
	    attr->comp_vector >= ibcq->device->num_comp_vectors)
		return -EINVAL;

	cq->eqn = svan_comp_eqn(dev->sdev, attr->comp_vector);
	err = svan_cq_build(dev, cq, attr->cqe,
			    attrs ? &attrs->driver_udata : NULL);
	trace_svan_ib_cq_create(cq, err);
	if (err)
		return err;

	ibcq->cqe = 1 << cq->log_size;
	return 0;
}

int svan_ib_destroy_cq(struct ib_cq *ibcq, struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibcq->device);
	struct svan_ib_cq *cq = to_svan_ib_cq(ibcq);

	trace_svan_ib_cq_destroy(cq, 0);
	svan_cq_destroy_hw(dev, cq);
	svan_ring_free(dev, &cq->ring);
	return 0;
}

/* Raise events after @count completions or after @period microseconds. */
int svan_ib_modify_cq(struct ib_cq *ibcq, u16 count, u16 period)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibcq->device);
	struct svan_ib_cq *cq = to_svan_ib_cq(ibcq);
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_MODERATE_CQ),
		.moderate_cq = {
			.cqn = cpu_to_le32(cq->cqn),
			.count = cpu_to_le16(count),
			.period_us = cpu_to_le16(period),
		},
	};
	int err;

	err = svan_cmd_exec(dev->sdev, &cmd, NULL);
	trace_svan_ib_cq_modify(cq, count, period, err);
	return err;
}
