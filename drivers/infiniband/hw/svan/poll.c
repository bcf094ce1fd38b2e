// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completions for users in the kernel. Users in user space poll by themselves. The
 * functions here are not called for their CQs, as the commands are not in
 * uverbs_cmd_mask; cq->cqes, which is NULL for them, is checked all the same.
 */

#include <linux/if_vlan.h>
#include <linux/io.h>

#include "svan_ib.h"
#include "svan_ib_trace.h"

/* QP number in the completions of a QP that is gone; a real one has 24 bits. */
#define SVAN_IB_DEAD_QPN	cpu_to_le32(U32_MAX)

/* The entry at @index, or NULL if the device has not written it. cq->lock is held. */
static struct svan_cqe *svan_cq_next(struct svan_ib_cq *cq, u32 index)
{
	struct svan_cqe *cqe = &cq->cqes[index & (BIT(cq->log_size) - 1)];

	if (!svan_cqe_valid(READ_ONCE(cqe->owner), index, cq->log_size))
		return NULL;

	/* The owner octet is read before the rest, as the device writes it last. */
	dma_rmb();
	return cqe;
}

static void svan_wc_fill_send(struct svan_ib_qp *qp, const struct svan_cqe *cqe,
			      struct ib_wc *wc)
{
	struct svan_ib_wq *sq = &qp->sq;
	u32 slot = le32_to_cpu(cqe->wqe_index) & sq->mask;
	u32 skipped = (slot - sq->ci) & sq->mask;

	wc->wr_id = sq->wr_ids[slot];
	wc->opcode = svan_ib_wc_send_opcode(cqe->wqe_opcode);
	/*
	 * The WQEs before this one were not signaled, so they are done as well.
	 * This pairs with the acquire in svan_send_one(), which reuses the slots.
	 */
	smp_store_release(&sq->ci, sq->ci + skipped + qp->sq_bbs[slot]);
}

/* Who sent a datagram, beside the QPN. The buffer begins with the header of the network. */
static void svan_wc_fill_sender(const struct svan_cqe *cqe, struct ib_wc *wc)
{
	u16 tci = le16_to_cpu(cqe->vlan);

	wc->wc_flags |= IB_WC_GRH | IB_WC_WITH_NETWORK_HDR_TYPE | IB_WC_WITH_SMAC;
	wc->network_hdr_type = cqe->owner & SVAN_CQE_IPV4 ? RDMA_NETWORK_IPV4 :
							    RDMA_NETWORK_IPV6;
	memcpy(wc->smac, cqe->smac, sizeof(wc->smac));
	if (!(cqe->owner & SVAN_CQE_VLAN))
		return;
	wc->sl = tci >> VLAN_PRIO_SHIFT;
	/* A tag with VLAN 0 says the priority only: no GID is of that VLAN. */
	wc->vlan_id = tci & VLAN_VID_MASK;
	if (wc->vlan_id)
		wc->wc_flags |= IB_WC_WITH_VLAN;
}

static void svan_wc_fill_recv(struct svan_ib_qp *qp, const struct svan_cqe *cqe,
			      struct ib_wc *wc)
{
	struct svan_ib_wq *rq = &qp->rq;

	wc->opcode = cqe->opcode == SVAN_CQE_RECV_WRITE_IMM ?
		     IB_WC_RECV_RDMA_WITH_IMM : IB_WC_RECV;
	if (cqe->opcode != SVAN_CQE_RECV) {
		wc->ex.imm_data = cqe->imm;
		wc->wc_flags |= IB_WC_WITH_IMM;
	}
	if (svan_ib_is_datagram(qp) && cqe->status == SVAN_CQE_SUCCESS)
		svan_wc_fill_sender(cqe, wc);
	if (qp->ibqp.srq) {
		/* The device gave the slot back when it took the entry. */
		wc->wr_id = le64_to_cpu(cqe->wr_id);
		return;
	}
	wc->wr_id = rq->wr_ids[le32_to_cpu(cqe->wqe_index) & rq->mask];
	/* This pairs with the acquire in svan_recv_one(), which reuses the slot. */
	smp_store_release(&rq->ci, rq->ci + 1);
}

/* Return the number of completions: 1, or 0 if the QP of the entry is gone. */
static int svan_wc_fill(struct svan_ib_cq *cq, const struct svan_cqe *cqe,
			struct ib_wc *wc)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(cq->ibcq.device);
	struct svan_ib_qp *qp;

	qp = xa_load(&dev->kernel_qps, le32_to_cpu(cqe->qpn));
	if (!qp)
		return 0;

	memset(wc, 0, sizeof(*wc));
	wc->qp = &qp->ibqp;
	wc->status = svan_ib_wc_status(cqe->status);
	wc->vendor_err = le32_to_cpu(cqe->vendor_err);
	wc->byte_len = le32_to_cpu(cqe->byte_len);
	wc->src_qp = le32_to_cpu(cqe->src_qpn);
	wc->pkey_index = le16_to_cpu(cqe->pkey_index);
	wc->port_num = SVAN_IB_PORT;
	if (cqe->opcode == SVAN_CQE_SQ)
		svan_wc_fill_send(qp, cqe, wc);
	else
		svan_wc_fill_recv(qp, cqe, wc);
	return 1;
}

int svan_ib_poll_cq(struct ib_cq *ibcq, int num_entries, struct ib_wc *wc)
{
	struct svan_ib_cq *cq = to_svan_ib_cq(ibcq);
	struct svan_cqe *cqe;
	unsigned long flags;
	int n = 0;

	if (!cq->cqes)
		return -EOPNOTSUPP;

	spin_lock_irqsave(&cq->lock, flags);
	while (n < num_entries) {
		cqe = svan_cq_next(cq, cq->ci);
		if (!cqe)
			break;
		n += svan_wc_fill(cq, cqe, &wc[n]);
		cq->ci++;
	}
	/* The entries are read before the device is told that it may reuse them. */
	smp_store_release(&cq->dbr->ci, cpu_to_le32(cq->ci));
	spin_unlock_irqrestore(&cq->lock, flags);
	return n;
}

/*
 * When a CQ is armed, the device raises an event at once if there is an entry from ci
 * on. So no event is missed, and IB_CQ_REPORT_MISSED_EVENTS needs no support.
 */
int svan_ib_req_notify_cq(struct ib_cq *ibcq, enum ib_cq_notify_flags flags)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibcq->device);
	struct svan_ib_cq *cq = to_svan_ib_cq(ibcq);
	unsigned long irq_flags;
	u64 value;

	if (!cq->cqes)
		return -EOPNOTSUPP;

	spin_lock_irqsave(&cq->lock, irq_flags);
	value = svan_db_value(cq->cqn, cq->ci);
	if ((flags & IB_CQ_SOLICITED_MASK) == IB_CQ_SOLICITED)
		value |= SVAN_DB_CQ_SOLICITED;
	writeq(value, svan_kernel_uar(dev->sdev) + SVAN_UAR_CQ_DB);
	spin_unlock_irqrestore(&cq->lock, irq_flags);
	return 0;
}

/*
 * Mark the entries of QP @qpn in a CQ of the kernel as dead, so that they are not taken
 * for those of a later QP of the same number. The device does not write more of them. What
 * they give back is the QP's alone: the slots of an SRQ are free already.
 */
void svan_ib_cq_purge(struct svan_ib_cq *cq, u32 qpn)
{
	struct svan_cqe *cqe;
	unsigned long flags;
	u32 index;

	spin_lock_irqsave(&cq->lock, flags);
	for (index = cq->ci; index - cq->ci < BIT(cq->log_size); index++) {
		cqe = svan_cq_next(cq, index);
		if (!cqe)
			break;
		if (le32_to_cpu(cqe->qpn) == qpn)
			cqe->qpn = SVAN_IB_DEAD_QPN;
	}
	spin_unlock_irqrestore(&cq->lock, flags);
}
