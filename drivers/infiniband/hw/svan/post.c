// SPDX-License-Identifier: GPL-2.0-only
/*
 * Posting to the work queues of users in the kernel. WQEs are written by the encoders
 * of svan/wqe.h, which the provider uses, too. Users in user space post by themselves,
 * without the driver.
 */

#include <linux/io.h>
#include <linux/log2.h>
#include <linux/slab.h>

#include "svan_ib.h"

static int svan_wq_init(struct svan_ib_wq *wq, u8 log_size, u32 max_sge)
{
	spin_lock_init(&wq->lock);
	wq->mask = BIT(log_size) - 1;
	wq->max_sge = max_sge;
	wq->wr_ids = kvcalloc(BIT(log_size), sizeof(*wq->wr_ids), GFP_KERNEL);
	return wq->wr_ids ? 0 : -ENOMEM;
}

/* Compute the sizes from qp->cap, which svan_ib_check_qp_cap() has accepted. */
static void svan_qp_kernel_sizes(struct svan_ib_qp *qp)
{
	const struct ib_qp_cap *cap = &qp->cap;
	u32 bbs = max(svan_wqe_sge_bbs(cap->max_send_sge),
		      svan_wqe_inline_bbs(cap->max_inline_data));

	if (svan_ib_is_datagram(qp))
		bbs++;	/* the address vector */
	qp->log_sq_bbs = order_base_2(max(cap->max_send_wr * bbs, 1u));
	if (cap->max_recv_wr) {
		qp->log_rq_size = order_base_2(cap->max_recv_wr);
		qp->log_rq_stride = svan_rwqe_log_stride(cap->max_recv_sge);
	}
}

int svan_ib_init_kernel_queues(struct svan_ib_qp *qp)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(qp->ibqp.device);
	int err;

	svan_qp_kernel_sizes(qp);
	if (BIT(qp->log_sq_bbs) > le32_to_cpu(dev->caps->max_qp_wqebb))
		return -EINVAL;

	err = svan_wq_init(&qp->sq, qp->log_sq_bbs, qp->cap.max_send_sge);
	if (err)
		return err;

	qp->sq_bbs = kvcalloc(BIT(qp->log_sq_bbs), sizeof(*qp->sq_bbs),
			      GFP_KERNEL);
	if (!qp->sq_bbs) {
		err = -ENOMEM;
		goto free_sq;
	}

	err = svan_wq_init(&qp->rq, qp->log_rq_size, qp->cap.max_recv_sge);
	if (err)
		goto free_sq_bbs;
	return 0;

free_sq_bbs:
	kvfree(qp->sq_bbs);
free_sq:
	kvfree(qp->sq.wr_ids);
	return err;
}

/* This does nothing for QPs of user space, whose arrays are NULL. */
void svan_ib_free_kernel_queues(struct svan_ib_qp *qp)
{
	kvfree(qp->rq.wr_ids);
	kvfree(qp->sq_bbs);
	kvfree(qp->sq.wr_ids);
}

/* The QP is in RESET, so the device starts again at index 0. qp->mutex is held. */
void svan_ib_reset_kernel_queues(struct svan_ib_qp *qp)
{
	svan_ib_cq_purge(to_svan_ib_cq(qp->ibqp.send_cq), qp->ibqp.qp_num);
	svan_ib_cq_purge(to_svan_ib_cq(qp->ibqp.recv_cq), qp->ibqp.qp_num);

	spin_lock_irq(&qp->sq.lock);
	qp->sq.pi = 0;
	qp->sq.ci = 0;
	qp->dbr->sq_pi = 0;
	spin_unlock_irq(&qp->sq.lock);

	spin_lock_irq(&qp->rq.lock);
	qp->rq.pi = 0;
	qp->rq.ci = 0;
	qp->dbr->rq_pi = 0;
	spin_unlock_irq(&qp->rq.lock);
}

/*
 * Tell the device how far a queue is filled. While it polls the queue, it reads the
 * doorbell record, and needs no doorbell. The device, before it sleeps, clears the flag
 * POLLING, executes a full fence and reads the record again (PRM chapter "Doorbells").
 * The full fence here pairs with that one.
 */
static void svan_qp_ring(struct svan_ib_qp *qp, __le32 *record, u32 pi,
			 u32 doorbell)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(qp->ibqp.device);

	dma_wmb();	/* The entries are written before the index. */
	WRITE_ONCE(*record, cpu_to_le32(pi));
	mb();		/* The index is written before the flag is read. */
	if (READ_ONCE(qp->dbr->device_flags) & cpu_to_le32(SVAN_QP_DBR_POLLING))
		return;
	writeq(svan_db_value(qp->ibqp.qp_num, pi),
	       svan_kernel_uar(dev->sdev) + doorbell);
}

static int svan_send_opcode(enum ib_wr_opcode opcode)
{
	switch (opcode) {
	case IB_WR_SEND:
		return SVAN_WQE_SEND;
	case IB_WR_SEND_WITH_IMM:
		return SVAN_WQE_SEND_IMM;
	case IB_WR_RDMA_WRITE:
		return SVAN_WQE_RDMA_WRITE;
	case IB_WR_RDMA_WRITE_WITH_IMM:
		return SVAN_WQE_RDMA_WRITE_IMM;
	case IB_WR_RDMA_READ:
		return SVAN_WQE_RDMA_READ;
	case IB_WR_ATOMIC_CMP_AND_SWP:
		return SVAN_WQE_ATOMIC_CMP_SWP;
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		return SVAN_WQE_ATOMIC_FETCH_ADD;
	default:
		return -EOPNOTSUPP;
	}
}

/* A datagram is a SEND that says where it goes. */
static bool svan_send_datagram_ok(const struct ib_send_wr *wr)
{
	return (wr->opcode == IB_WR_SEND || wr->opcode == IB_WR_SEND_WITH_IMM) &&
	       ud_wr(wr)->ah;
}

/* Does the type of the QP allow the request? Nobody answers a UC QP. */
static bool svan_send_ok(const struct svan_ib_qp *qp,
			 const struct ib_send_wr *wr)
{
	if (svan_ib_is_datagram(qp))
		return svan_send_datagram_ok(wr);
	return qp->type != SVAN_QPT_UC || wr->opcode == IB_WR_SEND ||
	       wr->opcode == IB_WR_SEND_WITH_IMM ||
	       wr->opcode == IB_WR_RDMA_WRITE ||
	       wr->opcode == IB_WR_RDMA_WRITE_WITH_IMM;
}

/* The number of blocks that a request takes, without an address vector, or an error. */
static int svan_send_bbs(struct svan_ib_qp *qp, const struct ib_send_wr *wr,
			 int opcode, u32 *inline_length)
{
	u64 length = 0;
	int i;

	if (svan_wqe_is_atomic(opcode))
		return wr->num_sge == 1 && !(wr->send_flags & IB_SEND_INLINE) ?
		       1 : -EINVAL;
	if (wr->num_sge < 0 || wr->num_sge > qp->sq.max_sge)
		return -EINVAL;
	if (!(wr->send_flags & IB_SEND_INLINE))
		return svan_wqe_sge_bbs(wr->num_sge);

	for (i = 0; i < wr->num_sge; i++)
		length += wr->sg_list[i].length;
	if (opcode == SVAN_WQE_RDMA_READ || length > qp->cap.max_inline_data)
		return -EINVAL;
	*inline_length = length;
	return svan_wqe_inline_bbs(length);
}

static u8 svan_send_flags(const struct svan_ib_qp *qp, int send_flags,
			  u8 opcode)
{
	return svan_wqe_flags(opcode,
			      qp->signal_all || send_flags & IB_SEND_SIGNALED,
			      send_flags & IB_SEND_SOLICITED,
			      send_flags & IB_SEND_FENCE);
}

static void svan_send_set_remote(struct svan_wqe_head *head,
				 const struct ib_send_wr *wr, int opcode)
{
	switch (opcode) {
	case SVAN_WQE_RDMA_WRITE:
	case SVAN_WQE_RDMA_WRITE_IMM:
	case SVAN_WQE_RDMA_READ:
		svan_wqe_set_remote(head, rdma_wr(wr)->remote_addr,
				    rdma_wr(wr)->rkey);
		break;
	case SVAN_WQE_ATOMIC_CMP_SWP:
		svan_wqe_set_remote(head, atomic_wr(wr)->remote_addr,
				    atomic_wr(wr)->rkey);
		svan_wqe_set_atomic(head, atomic_wr(wr)->swap,
				    atomic_wr(wr)->compare_add);
		break;
	case SVAN_WQE_ATOMIC_FETCH_ADD:
		svan_wqe_set_remote(head, atomic_wr(wr)->remote_addr,
				    atomic_wr(wr)->rkey);
		svan_wqe_set_atomic(head, atomic_wr(wr)->compare_add, 0);
		break;
	default:
		break;
	}
}

static void svan_send_set_data(const struct svan_sq_ring *ring, u32 index,
			       struct svan_wqe_head *head,
			       const struct ib_send_wr *wr, u32 inline_length)
{
	const struct ib_sge *sge = wr->sg_list;
	u32 offset = 0;
	int i;

	if (wr->send_flags & IB_SEND_INLINE) {
		for (i = 0; i < wr->num_sge; i++, sge++) {
			svan_wqe_put_inline(ring, index, offset,
					    (void *)(uintptr_t)sge->addr,
					    sge->length);
			offset += sge->length;
		}
		svan_wqe_set_inline(head, inline_length);
		return;
	}

	for (i = 0; i < wr->num_sge; i++, sge++)
		svan_sge_set(svan_wqe_sge(ring, index, i), sge->addr,
			     sge->length, sge->lkey);
	svan_wqe_set_num_sge(head, wr->num_sge);
}

static void svan_send_set_av(struct svan_ib_qp *qp, struct svan_wqe_head *head,
			     const struct ib_ud_wr *wr)
{
	struct svan_av av = to_svan_ib_ah(wr->ah)->av;

	av.dqpn = cpu_to_le32(wr->remote_qpn);
	av.qkey = cpu_to_le32(wr->remote_qkey);
	svan_wqe_set_av(&qp->sq_ring, qp->sq.pi, head, &av);
}

/* Write the WQE of a request. qp->sq.lock is held. */
static int svan_send_one(struct svan_ib_qp *qp, const struct ib_send_wr *wr)
{
	int opcode = svan_send_opcode(wr->opcode);
	bool datagram = svan_ib_is_datagram(qp);
	struct svan_ib_wq *sq = &qp->sq;
	struct svan_wqe_head *head;
	u32 inline_length = 0;
	int bbs;

	if (!svan_send_ok(qp, wr))
		return -EINVAL;
	if (opcode < 0)
		return opcode;
	bbs = svan_send_bbs(qp, wr, opcode, &inline_length);
	if (bbs < 0)
		return bbs;
	bbs += datagram;
	/* This pairs with the release in svan_wc_fill_send(). */
	if (sq->pi - smp_load_acquire(&sq->ci) + bbs > sq->mask + 1)
		return -ENOMEM;

	head = svan_wqe_begin(&qp->sq_ring, sq->pi, opcode,
			      svan_send_flags(qp, wr->send_flags, opcode),
			      wr->opcode == IB_WR_SEND_WITH_IMM ||
			      wr->opcode == IB_WR_RDMA_WRITE_WITH_IMM ?
			      wr->ex.imm_data : 0);
	svan_send_set_remote(head, wr, opcode);
	if (svan_wqe_is_atomic(opcode))
		svan_sge_set(&head->atomic.sge, wr->sg_list[0].addr,
			     wr->sg_list[0].length, wr->sg_list[0].lkey);
	else
		svan_send_set_data(&qp->sq_ring, sq->pi, head, wr,
				   inline_length);
	if (datagram)
		svan_send_set_av(qp, head, ud_wr(wr));

	sq->wr_ids[sq->pi & sq->mask] = wr->wr_id;
	qp->sq_bbs[sq->pi & sq->mask] = bbs;
	sq->pi += bbs;
	return 0;
}

int svan_ib_post_send(struct ib_qp *ibqp, const struct ib_send_wr *wr,
		      const struct ib_send_wr **bad_wr)
{
	struct svan_ib_qp *qp = to_svan_ib_qp(ibqp);
	unsigned long flags;
	int err = 0;
	u32 pi;

	if (!qp->dbr || READ_ONCE(qp->state) < IB_QPS_RTS) {
		*bad_wr = wr;
		return -EINVAL;
	}

	spin_lock_irqsave(&qp->sq.lock, flags);
	pi = qp->sq.pi;
	for (; wr; wr = wr->next) {
		err = svan_send_one(qp, wr);
		if (err) {
			*bad_wr = wr;
			break;
		}
	}
	if (qp->sq.pi != pi)
		svan_qp_ring(qp, &qp->dbr->sq_pi, qp->sq.pi, SVAN_UAR_SQ_DB);
	spin_unlock_irqrestore(&qp->sq.lock, flags);
	return err;
}

void svan_ib_write_rwqe(struct svan_rwqe *rwqe, const struct ib_recv_wr *wr)
{
	int i;

	memset(rwqe, 0, sizeof(*rwqe));
	rwqe->num_sge = cpu_to_le32(wr->num_sge);
	for (i = 0; i < wr->num_sge; i++)
		svan_sge_set(&rwqe->sge[i], wr->sg_list[i].addr,
			     wr->sg_list[i].length, wr->sg_list[i].lkey);
}

/* Write the entry of a receive request. qp->rq.lock is held. */
static int svan_recv_one(struct svan_ib_qp *qp, const struct ib_recv_wr *wr)
{
	struct svan_ib_wq *rq = &qp->rq;
	u32 slot = rq->pi & rq->mask;

	if (wr->num_sge < 0 || wr->num_sge > rq->max_sge)
		return -EINVAL;
	/* This pairs with the release in svan_wc_fill_recv(). */
	if (rq->pi - smp_load_acquire(&rq->ci) > rq->mask)
		return -ENOMEM;

	svan_ib_write_rwqe((struct svan_rwqe *)(qp->rq_entries +
						((size_t)slot << qp->log_rq_stride)),
			   wr);
	rq->wr_ids[slot] = wr->wr_id;
	rq->pi++;
	return 0;
}

int svan_ib_post_recv(struct ib_qp *ibqp, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad_wr)
{
	struct svan_ib_qp *qp = to_svan_ib_qp(ibqp);
	unsigned long flags;
	int err = 0;
	u32 pi;

	if (!qp->dbr || !qp->log_rq_stride ||
	    READ_ONCE(qp->state) == IB_QPS_RESET) {
		*bad_wr = wr;
		return -EINVAL;
	}

	spin_lock_irqsave(&qp->rq.lock, flags);
	pi = qp->rq.pi;
	for (; wr; wr = wr->next) {
		err = svan_recv_one(qp, wr);
		if (err) {
			*bad_wr = wr;
			break;
		}
	}
	if (qp->rq.pi != pi)
		svan_qp_ring(qp, &qp->dbr->rq_pi, qp->rq.pi, SVAN_UAR_RQ_DB);
	spin_unlock_irqrestore(&qp->rq.lock, flags);
	return err;
}
