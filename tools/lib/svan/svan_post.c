/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Posting work: ibv_post_send(), ibv_post_recv() and the ibv_wr_*() builders. */

#include <errno.h>
#include <string.h>

#include <ccan/array_size.h>
#include <util/compiler.h>

#include <svan/wire.h>

#include "svan.h"

enum svan_op_kind {
	SVAN_OP_NONE,			/* not known to this provider */
	SVAN_OP_SEND,
	SVAN_OP_WRITE,
	SVAN_OP_READ,
	SVAN_OP_ATOMIC,
};

struct svan_op {
	uint8_t kind;
	uint8_t opcode;			/* enum svan_wqe_opcode */
};

static const struct svan_op svan_wr_ops[] = {
	[IBV_WR_RDMA_WRITE] = { SVAN_OP_WRITE, SVAN_WQE_RDMA_WRITE },
	[IBV_WR_RDMA_WRITE_WITH_IMM] = { SVAN_OP_WRITE,
					 SVAN_WQE_RDMA_WRITE_IMM },
	[IBV_WR_SEND] = { SVAN_OP_SEND, SVAN_WQE_SEND },
	[IBV_WR_SEND_WITH_IMM] = { SVAN_OP_SEND, SVAN_WQE_SEND_IMM },
	[IBV_WR_RDMA_READ] = { SVAN_OP_READ, SVAN_WQE_RDMA_READ },
	[IBV_WR_ATOMIC_CMP_AND_SWP] = { SVAN_OP_ATOMIC,
					SVAN_WQE_ATOMIC_CMP_SWP },
	[IBV_WR_ATOMIC_FETCH_AND_ADD] = { SVAN_OP_ATOMIC,
					  SVAN_WQE_ATOMIC_FETCH_ADD },
};

#define SVAN_SEND_FLAGS	(IBV_SEND_FENCE | IBV_SEND_SIGNALED | \
			 IBV_SEND_SOLICITED | IBV_SEND_INLINE)

static inline uint8_t svan_wr_flags(const struct svan_qp *qp,
				    unsigned int send_flags, uint8_t opcode)
{
	return svan_wqe_flags(opcode,
			      qp->signal_all || send_flags & IBV_SEND_SIGNALED,
			      send_flags & IBV_SEND_SOLICITED,
			      send_flags & IBV_SEND_FENCE);
}

/* Why nothing can be posted: by the state, or because the queue is not mapped. */
static int svan_unready(const void *queue)
{
	return queue ? EINVAL : EOPNOTSUPP;
}

/* Give the device the WQEs before block @end. sq_lock is held. */
static void svan_commit_sends(struct svan_qp *qp, uint32_t end, uint32_t posted)
{
	qp->sq.pi = end;
	qp->sq.posted = posted;
	udma_to_device_barrier();
	if (!qp->dbr || svan_dbr_publish(qp->dbr, &qp->dbr->sq_pi, end))
		svan_ring(qp->sq_db, svan_db_value(qp->qpn, end));
}

static uint64_t svan_sge_bytes(const struct ibv_sge *sge, uint32_t num_sge)
{
	uint64_t bytes = 0;

	while (num_sge--)
		bytes += sge++->length;
	return bytes;
}

static void svan_put_sges(const struct svan_sq_ring *ring, uint32_t index,
			  const struct ibv_sge *sge, uint32_t num_sge)
{
	uint32_t i;

	for (i = 0; i < num_sge; i++)
		svan_sge_set(svan_wqe_sge(ring, index, i), sge[i].addr,
			     sge[i].length, sge[i].lkey);
}

/* ---- ibv_post_send() ---- */

/* The number of blocks of the WQE for @wr, or 0 if @wr is not valid. */
static inline uint32_t svan_wr_bbs(const struct svan_sq *sq,
				   const struct ibv_send_wr *wr,
				   const struct svan_op *op)
{
	uint64_t bytes;

	if (wr->send_flags & IBV_SEND_INLINE) {
		if (op->kind != SVAN_OP_SEND && op->kind != SVAN_OP_WRITE)
			return 0;
		bytes = svan_sge_bytes(wr->sg_list, wr->num_sge);
		return bytes <= sq->max_inline ? svan_wqe_inline_bbs(bytes) : 0;
	}
	if (unlikely((uint32_t)wr->num_sge > sq->max_sge))
		return 0;
	if (op->kind == SVAN_OP_ATOMIC)
		return wr->num_sge == 1;
	return svan_wqe_sge_bbs(wr->num_sge);
}

static ALWAYS_INLINE inline void
svan_put_payload(const struct svan_sq_ring *ring, uint32_t index,
		 struct svan_wqe_head *head, const struct ibv_send_wr *wr)
{
	uint32_t offset = 0;
	int i;

	if (!(wr->send_flags & IBV_SEND_INLINE)) {
		svan_put_sges(ring, index, wr->sg_list, wr->num_sge);
		svan_wqe_set_num_sge(head, wr->num_sge);
		return;
	}
	for (i = 0; i < wr->num_sge; i++) {
		svan_wqe_put_inline(ring, index, offset,
				    (void *)(uintptr_t)wr->sg_list[i].addr,
				    wr->sg_list[i].length);
		offset += wr->sg_list[i].length;
	}
	svan_wqe_set_inline(head, offset);
}

static ALWAYS_INLINE inline void svan_put_atomic(struct svan_wqe_head *head,
						 const struct ibv_send_wr *wr)
{
	svan_wqe_set_remote(head, wr->wr.atomic.remote_addr,
			    wr->wr.atomic.rkey);
	if (wr->opcode == IBV_WR_ATOMIC_CMP_AND_SWP)
		svan_wqe_set_atomic(head, wr->wr.atomic.swap,
				    wr->wr.atomic.compare_add);
	else
		svan_wqe_set_atomic(head, wr->wr.atomic.compare_add, 0);
	svan_sge_set(&head->atomic.sge, wr->sg_list[0].addr,
		     wr->sg_list[0].length, wr->sg_list[0].lkey);
}

/* The address vector of a datagram. Return 0, or EINVAL if there is no such QPN. */
static int svan_fill_av(struct svan_av *av, struct ibv_ah *ah, uint32_t qpn,
			uint32_t qkey)
{
	if (unlikely(qpn & ~SVAN_QPN_MASK))
		return EINVAL;
	*av = to_svan_ah(ah)->av;
	av->dqpn = htole32(qpn);
	av->qkey = htole32(qkey);
	return 0;
}

/* Write the WQE of @wr at *@end and move *@end behind it. */
static ALWAYS_INLINE inline int svan_build_wr(struct svan_qp *qp,
					      const struct ibv_send_wr *wr,
					      uint32_t *end, uint32_t posted,
					      const enum ibv_qp_type type)
{
	const bool ud = type == IBV_QPT_UD, uc = type == IBV_QPT_UC;
	const struct svan_sq_ring *ring = &qp->sq.ring;
	struct svan_wqe_head *head;
	uint32_t index = *end, bbs;
	const struct svan_op *op;
	struct svan_av av;

	if (unlikely(wr->opcode >= ARRAY_SIZE(svan_wr_ops)))
		return EINVAL;
	op = &svan_wr_ops[wr->opcode];
	if (unlikely(op->kind == SVAN_OP_NONE || wr->num_sge < 0 ||
		     (wr->send_flags & ~SVAN_SEND_FLAGS)))
		return EINVAL;
	if (ud && (op->kind != SVAN_OP_SEND ||
		   svan_fill_av(&av, wr->wr.ud.ah, wr->wr.ud.remote_qpn,
				wr->wr.ud.remote_qkey)))
		return EINVAL;
	if (uc && op->kind != SVAN_OP_SEND && op->kind != SVAN_OP_WRITE)
		return EINVAL;
	bbs = svan_wr_bbs(&qp->sq, wr, op);
	if (unlikely(!bbs))
		return EINVAL;
	bbs += ud;
	if (unlikely(!svan_sq_has_room(&qp->sq, index + bbs, posted)))
		return ENOMEM;

	head = svan_wqe_begin(ring, index, op->opcode,
			      svan_wr_flags(qp, wr->send_flags, op->opcode),
			      wr->imm_data);
	if (op->kind == SVAN_OP_ATOMIC) {
		svan_put_atomic(head, wr);
	} else {
		if (op->kind != SVAN_OP_SEND)
			svan_wqe_set_remote(head, wr->wr.rdma.remote_addr,
					    wr->wr.rdma.rkey);
		svan_put_payload(ring, index, head, wr);
	}
	if (ud)
		svan_wqe_set_av(ring, index, head, &av);
	*end = index + bbs;
	svan_sq_record(&qp->sq, index, *end, posted + 1, wr->wr_id);
	return 0;
}

/*
 * @type is a constant. The compiler makes the whole of posting for each type, so what
 * only the others need costs an RC QP nothing.
 */
static ALWAYS_INLINE inline int svan_post_sends(struct svan_qp *qp,
						struct ibv_send_wr *wr,
						struct ibv_send_wr **bad_wr,
						const enum ibv_qp_type type)
{
	uint32_t end, posted;
	int ret = 0;

	pthread_spin_lock(&qp->sq_lock);
	end = qp->sq.pi;
	posted = qp->sq.posted;
	if (unlikely(!qp->sq_ready))
		ret = svan_unready(qp->sq.ring.bbs);
	else if (unlikely(svan_sq_has_prepared(&qp->sq)))
		ret = EBUSY;

	while (wr && !ret) {
		ret = svan_build_wr(qp, wr, &end, posted, type);
		if (ret)
			break;
		rdma_tracepoint(rdma_core_svan, post_send,
				qp->vqp.qp.context->device->name, qp->qpn,
				wr->wr_id, end, wr->opcode, wr->num_sge);
		posted++;
		wr = wr->next;
	}
	if (ret)
		*bad_wr = wr;
	if (end != qp->sq.pi)
		svan_commit_sends(qp, end, posted);
	pthread_spin_unlock(&qp->sq_lock);
	return ret;
}

int svan_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr,
		   struct ibv_send_wr **bad_wr)
{
	struct svan_qp *qp = to_svan_qp(ibqp);

	if (likely(qp->type == IBV_QPT_RC))
		return svan_post_sends(qp, wr, bad_wr, IBV_QPT_RC);
	return qp->type == IBV_QPT_UD ?
		       svan_post_sends(qp, wr, bad_wr, IBV_QPT_UD) :
		       svan_post_sends(qp, wr, bad_wr, IBV_QPT_UC);
}

/* ---- ibv_post_recv() ---- */

static int svan_build_recv(struct svan_rq *rq, const struct ibv_recv_wr *wr,
			   uint32_t pi)
{
	if (unlikely((uint32_t)wr->num_sge > rq->max_sge))
		return EINVAL;
	if (unlikely(!svan_rq_has_room(rq, pi)))
		return ENOMEM;

	svan_fill_rwqe(svan_rq_entry(rq, pi), wr);
	rq->wr_ids[pi & rq->mask] = wr->wr_id;
	return 0;
}

/* Write the entries of @wr at *@pi and move *@pi behind them. rq_lock is held. */
static int svan_build_recvs(struct svan_qp *qp, struct ibv_recv_wr *wr,
			    struct ibv_recv_wr **bad_wr, uint32_t *pi)
{
	int ret = 0;

	if (unlikely(!qp->rq_ready))
		ret = qp->vqp.qp.srq ? EINVAL : svan_unready(qp->rq.buf);
	*pi = qp->rq.pi;
	while (wr && !ret) {
		ret = svan_build_recv(&qp->rq, wr, *pi);
		if (ret)
			break;
		rdma_tracepoint(rdma_core_svan, post_recv,
				qp->vqp.qp.context->device->name, qp->qpn,
				wr->wr_id, *pi, wr->num_sge);
		++*pi;
		wr = wr->next;
	}
	if (ret)
		*bad_wr = wr;
	return ret;
}

int svan_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr,
		   struct ibv_recv_wr **bad_wr)
{
	struct svan_qp *qp = to_svan_qp(ibqp);
	uint32_t pi;
	int ret;

	pthread_spin_lock(&qp->rq_lock);
	if (unlikely(svan_rq_has_prepared(&qp->rq))) {
		pthread_spin_unlock(&qp->rq_lock);
		*bad_wr = wr;
		return EBUSY;
	}
	ret = svan_build_recvs(qp, wr, bad_wr, &pi);
	if (pi != qp->rq.pi) {
		qp->rq.pi = pi;
		udma_to_device_barrier();
		if (!qp->dbr || svan_dbr_publish(qp->dbr, &qp->dbr->rq_pi, pi))
			svan_ring(qp->rq_db, svan_db_value(qp->qpn, pi));
	}
	pthread_spin_unlock(&qp->rq_lock);
	return ret;
}

int svan_prepare_recvs(struct svan_qp *qp, struct ibv_recv_wr *wr,
		       struct ibv_recv_wr **bad_wr, uint32_t *first,
		       uint32_t *end)
{
	int ret = EINVAL;

	*bad_wr = wr;
	if (!qp->uar)
		return ret;
	pthread_spin_lock(&qp->rq_lock);
	*first = qp->rq.pi;
	ret = svan_build_recvs(qp, wr, bad_wr, end);
	if (!ret && *end != *first) {
		svan_rq_prepare(&qp->rq, *end);
		/* Whoever is told of the trigger finds the entries in memory. */
		udma_to_device_barrier();
	}
	pthread_spin_unlock(&qp->rq_lock);
	return ret;
}

int svan_cancel_recvs(struct svan_qp *qp)
{
	bool done;

	if (!qp->uar)
		return EINVAL;
	pthread_spin_lock(&qp->rq_lock);
	done = svan_rq_cancel(&qp->rq);
	pthread_spin_unlock(&qp->rq_lock);
	return done ? 0 : EBUSY;
}

/* ---- ibv_wr_*(): errors are kept until ibv_wr_complete() ---- */

static void svan_wr_fail(struct svan_qp *qp, int error)
{
	if (!qp->build.error)
		qp->build.error = error;
	qp->build.head = NULL;
}

static void svan_wr_start(struct ibv_qp_ex *ibqp)
{
	struct svan_qp *qp = to_svan_qp_ex(ibqp);

	pthread_spin_lock(&qp->sq_lock);
	qp->build.head = NULL;
	qp->build.end = qp->sq.pi;
	qp->build.posted = qp->sq.posted;
	qp->build.error = qp->sq_ready ? 0 : svan_unready(qp->sq.ring.bbs);
}

static int svan_wr_complete(struct ibv_qp_ex *ibqp)
{
	struct svan_qp *qp = to_svan_qp_ex(ibqp);
	int ret = qp->build.error;

	if (likely(!ret) && unlikely(svan_sq_has_prepared(&qp->sq)))
		ret = EBUSY;
	if (likely(!ret && qp->build.end != qp->sq.pi))
		svan_commit_sends(qp, qp->build.end, qp->build.posted);
	pthread_spin_unlock(&qp->sq_lock);
	return ret;
}

int svan_prepare_sends(struct svan_qp *qp, uint32_t *end)
{
	int ret = qp->build.error;

	if (!ret && !qp->uar)
		ret = EINVAL;
	if (!ret && qp->build.end != qp->sq.pi) {
		svan_sq_prepare(&qp->sq, qp->build.end, qp->build.posted);
		/* Whoever is told of the trigger finds the WQEs in memory. */
		udma_to_device_barrier();
	}
	*end = qp->sq.pi;
	pthread_spin_unlock(&qp->sq_lock);
	return ret;
}

int svan_cancel_sends(struct svan_qp *qp)
{
	bool done;

	if (!qp->uar)
		return EINVAL;
	pthread_spin_lock(&qp->sq_lock);
	done = svan_sq_cancel(&qp->sq);
	pthread_spin_unlock(&qp->sq_lock);
	return done ? 0 : EBUSY;
}

static void svan_wr_abort(struct ibv_qp_ex *ibqp)
{
	pthread_spin_unlock(&to_svan_qp_ex(ibqp)->sq_lock);
}

static struct svan_wqe_head *svan_wr_begin(struct svan_qp *qp, uint8_t opcode,
					   __be32 imm)
{
	uint32_t index = qp->build.end;

	if (unlikely(qp->build.error))
		return NULL;
	if (unlikely(!svan_sq_has_room(&qp->sq, index + 1, qp->build.posted))) {
		svan_wr_fail(qp, ENOMEM);
		return NULL;
	}

	qp->build.index = index;
	qp->build.end = index + 1;
	qp->build.posted++;
	svan_sq_record(&qp->sq, index, index + 1, qp->build.posted,
		       qp->vqp.qp_ex.wr_id);
	qp->build.head = svan_wqe_begin(&qp->sq.ring, index, opcode,
					svan_wr_flags(qp,
						      qp->vqp.qp_ex.wr_flags,
						      opcode),
					imm);
	return qp->build.head;
}

/* Extend the WQE that was begun last to @bbs blocks. */
static bool svan_wr_extend(struct svan_qp *qp, uint32_t bbs)
{
	uint32_t end = qp->build.index + bbs;

	if (unlikely(!svan_sq_has_room(&qp->sq, end, qp->build.posted - 1))) {
		svan_wr_fail(qp, ENOMEM);
		return false;
	}
	qp->build.end = end;
	qp->sq.slots[qp->build.index & qp->sq.ring.mask].end = end;
	return true;
}

static void svan_wr_send(struct ibv_qp_ex *ibqp)
{
	svan_wr_begin(to_svan_qp_ex(ibqp), SVAN_WQE_SEND, 0);
}

static void svan_wr_send_imm(struct ibv_qp_ex *ibqp, __be32 imm)
{
	svan_wr_begin(to_svan_qp_ex(ibqp), SVAN_WQE_SEND_IMM, imm);
}

static void svan_wr_remote(struct ibv_qp_ex *ibqp, uint8_t opcode,
			   uint32_t rkey, uint64_t addr, __be32 imm)
{
	struct svan_wqe_head *head;

	head = svan_wr_begin(to_svan_qp_ex(ibqp), opcode, imm);
	if (likely(head))
		svan_wqe_set_remote(head, addr, rkey);
}

static void svan_wr_rdma_write(struct ibv_qp_ex *ibqp, uint32_t rkey,
			       uint64_t addr)
{
	svan_wr_remote(ibqp, SVAN_WQE_RDMA_WRITE, rkey, addr, 0);
}

static void svan_wr_rdma_write_imm(struct ibv_qp_ex *ibqp, uint32_t rkey,
				   uint64_t addr, __be32 imm)
{
	svan_wr_remote(ibqp, SVAN_WQE_RDMA_WRITE_IMM, rkey, addr, imm);
}

static void svan_wr_rdma_read(struct ibv_qp_ex *ibqp, uint32_t rkey,
			      uint64_t addr)
{
	svan_wr_remote(ibqp, SVAN_WQE_RDMA_READ, rkey, addr, 0);
}

static void svan_wr_atomic(struct ibv_qp_ex *ibqp, uint8_t opcode,
			   const struct svan_wqe_remote *remote,
			   uint64_t swap_add, uint64_t compare)
{
	struct svan_wqe_head *head;

	head = svan_wr_begin(to_svan_qp_ex(ibqp), opcode, 0);
	if (unlikely(!head))
		return;
	head->remote = *remote;
	svan_wqe_set_atomic(head, swap_add, compare);
}

static void svan_wr_atomic_cmp_swp(struct ibv_qp_ex *ibqp, uint32_t rkey,
				   uint64_t addr, uint64_t compare,
				   uint64_t swap)
{
	const struct svan_wqe_remote remote = {
		.addr = htole64(addr),
		.rkey = htole32(rkey),
	};

	svan_wr_atomic(ibqp, SVAN_WQE_ATOMIC_CMP_SWP, &remote, swap, compare);
}

static void svan_wr_atomic_fetch_add(struct ibv_qp_ex *ibqp, uint32_t rkey,
				     uint64_t addr, uint64_t add)
{
	const struct svan_wqe_remote remote = {
		.addr = htole64(addr),
		.rkey = htole32(rkey),
	};

	svan_wr_atomic(ibqp, SVAN_WQE_ATOMIC_FETCH_ADD, &remote, add, 0);
}

static void svan_wr_set_sge_list(struct ibv_qp_ex *ibqp, size_t num_sge,
				 const struct ibv_sge *sge)
{
	struct svan_qp *qp = to_svan_qp_ex(ibqp);
	struct svan_wqe_head *head = qp->build.head;

	if (unlikely(!head || num_sge > qp->sq.max_sge)) {
		svan_wr_fail(qp, EINVAL);
		return;
	}
	if (svan_wqe_is_atomic(head->ctrl.opcode)) {
		if (num_sge != 1)
			svan_wr_fail(qp, EINVAL);
		else
			svan_sge_set(&head->atomic.sge, sge->addr, sge->length,
				     sge->lkey);
		return;
	}
	if (!svan_wr_extend(qp, svan_wqe_sge_bbs(num_sge)))
		return;
	svan_put_sges(&qp->sq.ring, qp->build.index, sge, num_sge);
	svan_wqe_set_num_sge(head, num_sge);
}

static void svan_wr_set_sge(struct ibv_qp_ex *ibqp, uint32_t lkey,
			    uint64_t addr, uint32_t length)
{
	const struct ibv_sge sge = {
		.addr = addr,
		.length = length,
		.lkey = lkey,
	};

	svan_wr_set_sge_list(ibqp, 1, &sge);
}

static bool svan_may_inline(const struct svan_wqe_head *head)
{
	return head->ctrl.opcode != SVAN_WQE_RDMA_READ &&
	       !svan_wqe_is_atomic(head->ctrl.opcode);
}

static void svan_wr_set_inline_data_list(struct ibv_qp_ex *ibqp, size_t num_buf,
					 const struct ibv_data_buf *bufs)
{
	struct svan_qp *qp = to_svan_qp_ex(ibqp);
	struct svan_wqe_head *head = qp->build.head;
	uint32_t offset = 0;
	size_t i, bytes = 0;

	if (unlikely(!head || !svan_may_inline(head))) {
		svan_wr_fail(qp, EINVAL);
		return;
	}
	for (i = 0; i < num_buf && bytes <= qp->sq.max_inline; i++)
		bytes += min_t(size_t, bufs[i].length, SVAN_MAX_INLINE + 1);
	if (unlikely(bytes > qp->sq.max_inline)) {
		svan_wr_fail(qp, EINVAL);
		return;
	}
	if (!svan_wr_extend(qp, svan_wqe_inline_bbs(bytes)))
		return;
	for (i = 0; i < num_buf; i++) {
		svan_wqe_put_inline(&qp->sq.ring, qp->build.index, offset,
				    bufs[i].addr, bufs[i].length);
		offset += bufs[i].length;
	}
	svan_wqe_set_inline(head, bytes);
}

static void svan_wr_set_inline_data(struct ibv_qp_ex *ibqp, void *addr,
				    size_t length)
{
	const struct ibv_data_buf buf = { .addr = addr, .length = length };

	svan_wr_set_inline_data_list(ibqp, 1, &buf);
}

/* ---- ibv_wr_*() of UD: address and data come in either order ---- */

/* The data that is set so far has its address behind it. */
static void svan_ud_append_av(struct svan_qp *qp, struct svan_wqe_head *head)
{
	if (svan_wr_extend(qp, head->ctrl.num_bbs + 1))
		svan_wqe_set_av(&qp->sq.ring, qp->build.index, head,
				&qp->build.av);
}

static void svan_ud_set_addr(struct ibv_qp_ex *ibqp, struct ibv_ah *ah,
			     uint32_t remote_qpn, uint32_t remote_qkey)
{
	struct svan_qp *qp = to_svan_qp_ex(ibqp);
	struct svan_wqe_head *head = qp->build.head;

	if (unlikely(!head || head->ctrl.flags & SVAN_WQE_AV ||
		     svan_fill_av(&qp->build.av, ah, remote_qpn, remote_qkey))) {
		svan_wr_fail(qp, EINVAL);
		return;
	}
	svan_ud_append_av(qp, head);
}

/* Data has been set. If there was an address before, the data lies over it now. */
static void svan_ud_move_av(struct svan_qp *qp)
{
	struct svan_wqe_head *head = qp->build.head;

	if (head && head->ctrl.flags & SVAN_WQE_AV)
		svan_ud_append_av(qp, head);
}

static void svan_ud_set_sge(struct ibv_qp_ex *ibqp, uint32_t lkey, uint64_t addr,
			    uint32_t length)
{
	svan_wr_set_sge(ibqp, lkey, addr, length);
	svan_ud_move_av(to_svan_qp_ex(ibqp));
}

static void svan_ud_set_sge_list(struct ibv_qp_ex *ibqp, size_t num_sge,
				 const struct ibv_sge *sge)
{
	svan_wr_set_sge_list(ibqp, num_sge, sge);
	svan_ud_move_av(to_svan_qp_ex(ibqp));
}

static void svan_ud_set_inline_data(struct ibv_qp_ex *ibqp, void *addr,
				    size_t length)
{
	svan_wr_set_inline_data(ibqp, addr, length);
	svan_ud_move_av(to_svan_qp_ex(ibqp));
}

static void svan_ud_set_inline_data_list(struct ibv_qp_ex *ibqp, size_t num_buf,
					 const struct ibv_data_buf *bufs)
{
	svan_wr_set_inline_data_list(ibqp, num_buf, bufs);
	svan_ud_move_av(to_svan_qp_ex(ibqp));
}

/* ---- which QP has which ---- */

#define SVAN_UD_SEND_OPS	(IBV_QP_EX_WITH_SEND | \
				 IBV_QP_EX_WITH_SEND_WITH_IMM)

#define SVAN_UC_SEND_OPS	(SVAN_UD_SEND_OPS | \
				 IBV_QP_EX_WITH_RDMA_WRITE | \
				 IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM)

#define SVAN_RC_SEND_OPS	(SVAN_UC_SEND_OPS | \
				 IBV_QP_EX_WITH_RDMA_READ | \
				 IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP | \
				 IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD)

static void svan_set_ud_ops(struct ibv_qp_ex *qpx)
{
	qpx->wr_set_ud_addr = svan_ud_set_addr;
	qpx->wr_set_sge = svan_ud_set_sge;
	qpx->wr_set_sge_list = svan_ud_set_sge_list;
	qpx->wr_set_inline_data = svan_ud_set_inline_data;
	qpx->wr_set_inline_data_list = svan_ud_set_inline_data_list;
}

static void svan_set_uc_ops(struct ibv_qp_ex *qpx)
{
	qpx->wr_rdma_write = svan_wr_rdma_write;
	qpx->wr_rdma_write_imm = svan_wr_rdma_write_imm;
	qpx->wr_set_sge = svan_wr_set_sge;
	qpx->wr_set_sge_list = svan_wr_set_sge_list;
	qpx->wr_set_inline_data = svan_wr_set_inline_data;
	qpx->wr_set_inline_data_list = svan_wr_set_inline_data_list;
}

static void svan_set_rc_ops(struct ibv_qp_ex *qpx)
{
	svan_set_uc_ops(qpx);
	qpx->wr_rdma_read = svan_wr_rdma_read;
	qpx->wr_atomic_cmp_swp = svan_wr_atomic_cmp_swp;
	qpx->wr_atomic_fetch_add = svan_wr_atomic_fetch_add;
}

static uint64_t svan_send_ops(enum ibv_qp_type type)
{
	switch (type) {
	case IBV_QPT_UD:
		return SVAN_UD_SEND_OPS;
	case IBV_QPT_UC:
		return SVAN_UC_SEND_OPS;
	default:
		return SVAN_RC_SEND_OPS;
	}
}

int svan_set_wr_ops(struct svan_qp *qp, uint64_t send_ops)
{
	struct ibv_qp_ex *qpx = &qp->vqp.qp_ex;

	if (send_ops & ~svan_send_ops(qp->type))
		return EOPNOTSUPP;

	qpx->wr_start = svan_wr_start;
	qpx->wr_complete = svan_wr_complete;
	qpx->wr_abort = svan_wr_abort;
	qpx->wr_send = svan_wr_send;
	qpx->wr_send_imm = svan_wr_send_imm;
	if (qp->type == IBV_QPT_UD)
		svan_set_ud_ops(qpx);
	else if (qp->type == IBV_QPT_UC)
		svan_set_uc_ops(qpx);
	else
		svan_set_rc_ops(qpx);
	return 0;
}
