// SPDX-License-Identifier: GPL-2.0-only
/* Queue pairs: creation, destruction and their events. */

#include "svan_ib.h"
#include "svan_ib_trace.h"

/* Called in hard interrupt context. */
static void svan_qp_event(struct svan_qp_handler *handler, u8 event)
{
	struct svan_ib_qp *qp = container_of(handler, struct svan_ib_qp, handler);
	int type = svan_ib_event_type(event);
	struct ib_event ib_event = {
		.device = qp->ibqp.device,
		.element.qp = &qp->ibqp,
		.event = type,
	};

	trace_svan_ib_qp_event(qp, event, type);
	if (type >= 0 && qp->ibqp.event_handler)
		qp->ibqp.event_handler(&ib_event, qp->ibqp.qp_context);
}

/* The page of the QP's doorbells: an object of its own, or that of the context. */
static int svan_qp_choose_uar(struct svan_ib_qp *qp,
			      struct svan_ib_ucontext *uctx,
			      const struct svan_ureq_create_qp *ureq,
			      struct svan_cmd *cmd)
{
	cmd->create_qp.uar = cpu_to_le32(uctx->uar);
	if (!(ureq->flags & SVAN_UREQ_QP_OWN_UAR))
		return 0;
	qp->uar = svan_ib_uar_get(uctx, ureq->uar_page);
	if (!qp->uar)
		return -EINVAL;
	cmd->create_qp.uar = cpu_to_le32(ureq->uar_page);
	return 0;
}

/* The memory in which a part lies. */
static struct svan_ring *svan_qp_ring_of(struct svan_ib_qp *qp,
					 enum svan_ib_qp_part part)
{
	return qp->apart_mask & BIT(part) ? &qp->apart[part] : &qp->ring;
}

static void svan_qp_free_apart(struct svan_ib_dev *dev, struct svan_ib_qp *qp)
{
	int i;

	for (i = 0; i < SVAN_IB_QP_PARTS; i++)
		if (qp->apart_mask & BIT(i))
			svan_ring_free(dev, &qp->apart[i]);
	qp->apart_mask = 0;
}

static int svan_qp_pin_apart(struct svan_ib_dev *dev, struct svan_ib_qp *qp,
			     const struct svan_ureq_create_qp *ureq, u32 owner)
{
	const struct svan_ib_buffer_desc *descs[SVAN_IB_QP_PARTS] = {
		[SVAN_IB_QP_SQ] = &ureq->sq_buf,
		[SVAN_IB_QP_RQ] = &ureq->rq_buf,
		[SVAN_IB_QP_DBR] = &ureq->dbr_buf,
	};
	int i, err;

	for (i = 0; i < SVAN_IB_QP_PARTS; i++) {
		if (!descs[i]->length)
			continue;
		err = svan_ring_pin_desc(dev, &qp->apart[i], descs[i], owner);
		if (err) {
			svan_qp_free_apart(dev, qp);
			return err;
		}
		qp->apart_mask |= BIT(i);
	}
	return 0;
}

static int svan_qp_pin(struct svan_ib_dev *dev, struct svan_ib_qp *qp,
		       const struct svan_ureq_create_qp *ureq, u32 owner)
{
	int err;

	err = svan_qp_pin_apart(dev, qp, ureq, owner);
	if (err || !ureq->buf_length)
		return err;
	err = svan_ring_pin(dev, &qp->ring, ureq->buf_va, ureq->buf_length,
			    owner);
	if (err) {
		/* What could not be pinned is not freed. */
		qp->ring.umem = NULL;
		svan_qp_free_apart(dev, qp);
	}
	return err;
}

/* A QP with an SRQ has no queue of its own, and its completions bring the wr_ids. */
static bool svan_qp_srq_ok(const struct svan_ureq_create_qp *ureq)
{
	return !ureq->log_rq_stride && !(ureq->flags & SVAN_UREQ_QP_RECV_NO_CQE);
}

static int svan_qp_user_ring(struct svan_ib_dev *dev, struct svan_ib_qp *qp,
			     struct ib_udata *udata, struct svan_cmd *cmd)
{
	struct svan_ib_ucontext *uctx = svan_ib_udata_ucontext(udata);
	struct svan_ureq_create_qp ureq;
	int err;

	err = svan_ib_read_ureq(&ureq, sizeof(ureq), udata);
	if (err)
		return err;
	err = svan_ib_check_qp_ureq(&ureq, dev->caps);
	if (err)
		return err;
	if (qp->ibqp.srq && !svan_qp_srq_ok(&ureq))
		return -EINVAL;

	qp->log_sq_bbs = ureq.log_sq_bbs;
	qp->log_rq_size = ureq.log_rq_size;
	qp->log_rq_stride = ureq.log_rq_stride;
	cmd->create_qp.sq_offset = cpu_to_le32(ureq.sq_offset);
	cmd->create_qp.rq_offset = cpu_to_le32(ureq.rq_offset);
	cmd->create_qp.dbr_offset = cpu_to_le32(ureq.dbr_offset);
	if (ureq.flags & SVAN_UREQ_QP_RECV_NO_CQE)
		cmd->create_qp.flags |= SVAN_CMD_QP_RECV_NO_CQE;
	err = svan_qp_choose_uar(qp, uctx, &ureq, cmd);
	if (err)
		return err;
	err = svan_qp_pin(dev, qp, &ureq, uctx->owner);
	if (err)
		svan_ib_uar_put(qp->uar);
	return err;
}

static int svan_qp_kernel_ring(struct svan_ib_dev *dev, struct svan_ib_qp *qp,
			       struct svan_cmd *cmd)
{
	u32 rq_offset, dbr_offset;
	int err;

	err = svan_ib_init_kernel_queues(qp);
	if (err)
		return err;

	/* The memory holds both queues and the record, each aligned to 64 bytes. */
	rq_offset = SVAN_WQEBB_SIZE << qp->log_sq_bbs;
	dbr_offset = rq_offset;
	if (qp->log_rq_stride)
		dbr_offset += ALIGN(1u << (qp->log_rq_size + qp->log_rq_stride),
				    SVAN_WQEBB_SIZE);
	err = svan_ring_alloc(dev, &qp->ring,
			      dbr_offset + sizeof(struct svan_qp_dbr));
	if (err) {
		svan_ib_free_kernel_queues(qp);
		return err;
	}

	qp->sq_ring.bbs = qp->ring.addr;
	qp->sq_ring.mask = qp->sq.mask;
	qp->rq_entries = qp->ring.addr + rq_offset;
	qp->dbr = qp->ring.addr + dbr_offset;
	cmd->create_qp.flags |= SVAN_CMD_QP_PRIVILEGED;
	cmd->create_qp.rq_offset = cpu_to_le32(qp->log_rq_stride ? rq_offset : 0);
	cmd->create_qp.dbr_offset = cpu_to_le32(dbr_offset);
	return 0;
}

static void svan_qp_free_ring(struct svan_ib_dev *dev, struct svan_ib_qp *qp)
{
	if (qp->ring.umem || qp->ring.addr)
		svan_ring_free(dev, &qp->ring);
	svan_qp_free_apart(dev, qp);
	svan_ib_free_kernel_queues(qp);
	svan_ib_uar_put(qp->uar);
}

static void svan_qp_fill_rings(struct svan_ib_qp *qp,
			       struct svan_cmd_create_qp *create)
{
	const struct svan_ring *sq = svan_qp_ring_of(qp, SVAN_IB_QP_SQ);
	const struct svan_ring *rq = svan_qp_ring_of(qp, SVAN_IB_QP_RQ);
	const struct svan_ring *dbr = svan_qp_ring_of(qp, SVAN_IB_QP_DBR);

	create->ring_va = cpu_to_le64(sq->va);
	create->ring_key = cpu_to_le32(sq->key);
	if (qp->log_rq_stride && rq != sq) {
		create->flags |= SVAN_CMD_QP_RQ_APART;
		create->rq_va = cpu_to_le64(rq->va);
		create->rq_key = cpu_to_le32(rq->key);
	}
	if (dbr != sq) {
		create->flags |= SVAN_CMD_QP_DBR_APART;
		create->dbr_va = cpu_to_le64(dbr->va);
		create->dbr_key = cpu_to_le32(dbr->key);
	}
}

static int svan_qp_create_hw(struct svan_ib_dev *dev, struct svan_ib_qp *qp,
			     const struct ib_qp_init_attr *attr,
			     struct svan_cmd *cmd)
{
	cmd->hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_QP);
	cmd->create_qp.type = qp->type;
	if (qp->signal_all)
		cmd->create_qp.flags |= SVAN_CMD_QP_SIGNAL_ALL;
	cmd->create_qp.log_sq_bbs = qp->log_sq_bbs;
	cmd->create_qp.log_rq_size = qp->log_rq_size;
	cmd->create_qp.log_rq_stride = qp->log_rq_stride;
	cmd->create_qp.pd = cpu_to_le32(to_svan_ib_pd(qp->ibqp.pd)->pdn);
	cmd->create_qp.send_cq = cpu_to_le32(to_svan_ib_cq(attr->send_cq)->cqn);
	cmd->create_qp.recv_cq = cpu_to_le32(to_svan_ib_cq(attr->recv_cq)->cqn);
	if (attr->srq)
		cmd->create_qp.srq = cpu_to_le32(to_svan_ib_srq(attr->srq)->srqn);
	svan_qp_fill_rings(qp, &cmd->create_qp);
	return svan_cmd_create_object(dev->sdev, cmd, &qp->ibqp.qp_num);
}

/*
 * Attach the handler, and make the QP known by its number. A QP in RESET has no events
 * and no completions, so none is lost before. svan_ib_poll_cq() looks up the QPs of
 * the kernel.
 */
static int svan_qp_publish(struct svan_ib_dev *dev, struct svan_ib_qp *qp)
{
	struct xarray *qps = qp->dbr ? &dev->kernel_qps : &dev->user_qps;
	int err;

	qp->handler.event = svan_qp_event;
	err = svan_qp_attach(dev->sdev, qp->ibqp.qp_num, &qp->handler);
	if (err)
		return err;

	err = xa_err(xa_store(qps, qp->ibqp.qp_num, qp, GFP_KERNEL));
	if (err)
		svan_qp_detach(dev->sdev, qp->ibqp.qp_num);
	return err;
}

/*
 * Undo svan_qp_publish() before the QP is destroyed, since the device may afterwards
 * give its number to another QP. A QP of the kernel is reset, after which no completion
 * of it is written, and its completions are removed from its CQs. For QPs of user space
 * the provider removes them.
 */
static void svan_qp_withdraw(struct svan_ib_dev *dev, struct svan_ib_qp *qp)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_MODIFY_QP),
		.modify_qp = {
			.qpn = cpu_to_le32(qp->ibqp.qp_num),
			.attr.state = SVAN_QPS_RESET,
		},
	};

	svan_qp_detach(dev->sdev, qp->ibqp.qp_num);
	if (!qp->dbr) {
		xa_erase(&dev->user_qps, qp->ibqp.qp_num);
		return;
	}

	svan_cmd_exec(dev->sdev, &cmd, NULL);
	xa_erase(&dev->kernel_qps, qp->ibqp.qp_num);
	svan_ib_cq_purge(to_svan_ib_cq(qp->ibqp.send_cq), qp->ibqp.qp_num);
	svan_ib_cq_purge(to_svan_ib_cq(qp->ibqp.recv_cq), qp->ibqp.qp_num);
}

static int svan_qp_build(struct svan_ib_dev *dev, struct svan_ib_qp *qp,
			 const struct ib_qp_init_attr *attr,
			  struct ib_udata *udata)
{
	struct svan_uresp_create_qp uresp = {};
	struct svan_cmd cmd = {};
	int err;

	if (udata)
		err = svan_qp_user_ring(dev, qp, udata, &cmd);
	else
		err = svan_qp_kernel_ring(dev, qp, &cmd);
	if (err)
		return err;

	err = svan_qp_create_hw(dev, qp, attr, &cmd);
	if (err)
		goto free_ring;

	uresp.qpn = qp->ibqp.qp_num;
	err = svan_ib_write_uresp(udata, &uresp, sizeof(uresp));
	if (err)
		goto destroy_hw;

	err = svan_qp_publish(dev, qp);
	if (err)
		goto destroy_hw;
	return 0;

destroy_hw:
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_QP, qp->ibqp.qp_num);
free_ring:
	svan_qp_free_ring(dev, qp);
	return err;
}

/*
 * The device's type of a queue pair, or an error. That of general services is ib_mad's
 * alone.
 */
static int svan_qp_type(const struct svan_ib_dev *dev,
			const struct ib_qp_init_attr *attr, bool user)
{
	u64 features = le64_to_cpu(dev->caps->features);

	switch (attr->qp_type) {
	case IB_QPT_RC:
		return SVAN_QPT_RC;
	case IB_QPT_UC:
		return features & SVAN_CAP_UC ? SVAN_QPT_UC : -EOPNOTSUPP;
	case IB_QPT_UD:
		return features & SVAN_CAP_UD ? SVAN_QPT_UD : -EOPNOTSUPP;
	case IB_QPT_GSI:
		if (user || !(features & SVAN_CAP_GSI))
			return -EOPNOTSUPP;
		return attr->port_num == SVAN_IB_PORT ? SVAN_QPT_GSI : -EINVAL;
	default:
		return -EOPNOTSUPP;
	}
}

int svan_ib_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *attr,
		      struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibqp->device);
	struct svan_ib_qp *qp = to_svan_ib_qp(ibqp);
	int type = svan_qp_type(dev, attr, udata);
	int err;

	if (type < 0)
		return type;
	if (attr->rwq_ind_tbl || attr->create_flags)
		return -EOPNOTSUPP;
	if (!attr->send_cq || !attr->recv_cq)
		return -EINVAL;
	if (attr->srq) {
		attr->cap.max_recv_wr = 0;
		attr->cap.max_recv_sge = 0;
	}
	err = svan_ib_check_qp_cap(&attr->cap, dev->caps);
	if (err)
		return err;

	mutex_init(&qp->mutex);
	qp->type = type;
	qp->state = IB_QPS_RESET;
	qp->cap = attr->cap;
	qp->signal_all = attr->sq_sig_type == IB_SIGNAL_ALL_WR;
	err = svan_qp_build(dev, qp, attr, udata);
	trace_svan_ib_qp_create(qp, err);
	if (err)
		mutex_destroy(&qp->mutex);
	return err;
}

int svan_ib_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibqp->device);
	struct svan_ib_qp *qp = to_svan_ib_qp(ibqp);

	trace_svan_ib_qp_destroy(qp, 0);
	svan_qp_withdraw(dev, qp);
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_QP, ibqp->qp_num);
	svan_ib_counters_put(qp);
	svan_qp_free_ring(dev, qp);
	mutex_destroy(&qp->mutex);
	return 0;
}

/*
 * The device is about to be unregistered. Users who only poll learn of it by
 * completions: the QPs go into the error state, which flushes what was posted, while
 * their queues still exist. QPs may be created and destroyed meanwhile, so a number may
 * be nobody's or another QP's; the command is harmless then, too.
 */
void svan_ib_flush_user_qps(struct svan_ib_dev *dev)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_MODIFY_QP),
		.modify_qp.attr.state = SVAN_QPS_ERR,
	};
	struct svan_ib_qp *qp;
	unsigned long qpn;

	xa_for_each(&dev->user_qps, qpn, qp) {
		cmd.modify_qp.qpn = cpu_to_le32(qpn);
		svan_cmd_exec(dev->sdev, &cmd, NULL);
	}
}
