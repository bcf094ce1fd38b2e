/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Completion queues: creation, both ways of polling, arming, moderation. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ccan/array_size.h>
#include <util/compiler.h>

#include "svan.h"
#include "svan_abi.h"

/* what may be asked for in ibv_cq_init_attr_ex.wc_flags */
#define SVAN_WC_FLAGS	(IBV_WC_EX_WITH_BYTE_LEN | IBV_WC_EX_WITH_IMM | \
			 IBV_WC_EX_WITH_QP_NUM | IBV_WC_EX_WITH_SRC_QP | \
			 IBV_WC_EX_WITH_SLID | IBV_WC_EX_WITH_SL | \
			 IBV_WC_EX_WITH_DLID_PATH_BITS | \
			 IBV_WC_EX_WITH_CVLAN)

static const enum ibv_wc_status svan_wc_status[] = {
	[SVAN_CQE_SUCCESS] = IBV_WC_SUCCESS,
	[SVAN_CQE_LOC_LEN_ERR] = IBV_WC_LOC_LEN_ERR,
	[SVAN_CQE_LOC_QP_OP_ERR] = IBV_WC_LOC_QP_OP_ERR,
	[SVAN_CQE_LOC_PROT_ERR] = IBV_WC_LOC_PROT_ERR,
	[SVAN_CQE_WR_FLUSH_ERR] = IBV_WC_WR_FLUSH_ERR,
	[SVAN_CQE_MW_BIND_ERR] = IBV_WC_MW_BIND_ERR,
	[SVAN_CQE_BAD_RESP_ERR] = IBV_WC_BAD_RESP_ERR,
	[SVAN_CQE_LOC_ACCESS_ERR] = IBV_WC_LOC_ACCESS_ERR,
	[SVAN_CQE_REM_INV_REQ_ERR] = IBV_WC_REM_INV_REQ_ERR,
	[SVAN_CQE_REM_ACCESS_ERR] = IBV_WC_REM_ACCESS_ERR,
	[SVAN_CQE_REM_OP_ERR] = IBV_WC_REM_OP_ERR,
	[SVAN_CQE_RETRY_EXC_ERR] = IBV_WC_RETRY_EXC_ERR,
	[SVAN_CQE_RNR_RETRY_EXC_ERR] = IBV_WC_RNR_RETRY_EXC_ERR,
	[SVAN_CQE_REM_ABORT_ERR] = IBV_WC_REM_ABORT_ERR,
	[SVAN_CQE_FATAL_ERR] = IBV_WC_FATAL_ERR,
	[SVAN_CQE_GENERAL_ERR] = IBV_WC_GENERAL_ERR,
};

static const enum ibv_wc_opcode svan_wc_sq_opcode[] = {
	[SVAN_WQE_SEND] = IBV_WC_SEND,
	[SVAN_WQE_SEND_IMM] = IBV_WC_SEND,
	[SVAN_WQE_SEND_INV] = IBV_WC_SEND,
	[SVAN_WQE_RDMA_WRITE] = IBV_WC_RDMA_WRITE,
	[SVAN_WQE_RDMA_WRITE_IMM] = IBV_WC_RDMA_WRITE,
	[SVAN_WQE_RDMA_READ] = IBV_WC_RDMA_READ,
	[SVAN_WQE_ATOMIC_CMP_SWP] = IBV_WC_COMP_SWAP,
	[SVAN_WQE_ATOMIC_FETCH_ADD] = IBV_WC_FETCH_ADD,
	[SVAN_WQE_BIND] = IBV_WC_BIND_MW,
	[SVAN_WQE_LOCAL_INV] = IBV_WC_LOCAL_INV,
	[SVAN_WQE_FLUSH] = IBV_WC_FLUSH,
	[SVAN_WQE_ATOMIC_WRITE] = IBV_WC_ATOMIC_WRITE,
};

static enum ibv_wc_status svan_cqe_status(const struct svan_cqe *cqe)
{
	if (unlikely(cqe->status >= ARRAY_SIZE(svan_wc_status)))
		return IBV_WC_GENERAL_ERR;
	return svan_wc_status[cqe->status];
}

static enum ibv_wc_opcode svan_cqe_opcode(const struct svan_cqe *cqe)
{
	switch (cqe->opcode) {
	case SVAN_CQE_SQ:
		if (unlikely(cqe->wqe_opcode >= ARRAY_SIZE(svan_wc_sq_opcode)))
			return IBV_WC_SEND;
		return svan_wc_sq_opcode[cqe->wqe_opcode];
	case SVAN_CQE_RECV_WRITE_IMM:
		return IBV_WC_RECV_RDMA_WITH_IMM;
	default:
		return IBV_WC_RECV;
	}
}

/* @recv_flags: those of the QP */
static unsigned int svan_cqe_wc_flags(const struct svan_cqe *cqe,
				      unsigned int recv_flags)
{
	switch (cqe->opcode) {
	case SVAN_CQE_SQ:
		return 0;
	case SVAN_CQE_RECV_IMM:
	case SVAN_CQE_RECV_WRITE_IMM:
		return recv_flags | IBV_WC_WITH_IMM;
	default:
		return recv_flags;
	}
}

/* ---- polling ---- */

static struct svan_qp *svan_cqe_qp(struct svan_cq *cq,
				   const struct svan_cqe *cqe)
{
	uint32_t qpn = le32toh(cqe->qpn);

	if (unlikely(!cq->last_qp || cq->last_qp->qpn != qpn))
		cq->last_qp =
			svan_qp_table_find(&to_svan_ctx(cq->vcq.cq.context)->qp_table,
					   qpn);
	return cq->last_qp;
}

/*
 * Take the next entry from the ring, without giving it back to the device yet.
 * Return the entry and its wr_id, or NULL if there is none. Entries of QPs that are
 * gone are skipped.
 */
static struct svan_cqe *svan_next_cqe(struct svan_cq *cq, uint64_t *wr_id)
{
	struct svan_cqe *cqe;
	struct svan_qp *qp;
	uint32_t index;

	do {
		cqe = svan_cq_valid_entry(&cq->ring, cq->ring.ci);
		if (!cqe)
			return NULL;
		udma_from_device_barrier();
		svan_cq_advance(&cq->ring, 1);
		qp = svan_cqe_qp(cq, cqe);
	} while (unlikely(!qp));

	index = le32toh(cqe->wqe_index);
	if (cqe->opcode == SVAN_CQE_SQ)
		*wr_id = svan_sq_complete(&qp->sq, index);
	else if (qp->vqp.qp.srq)
		*wr_id = le64toh(cqe->wr_id);
	else
		*wr_id = svan_rq_retire(&qp->rq, index);

	rdma_tracepoint(rdma_core_svan, poll_cq,
			cq->vcq.cq.context->device->name, cq->cqn, qp->qpn,
			*wr_id, cqe->status);
	return cqe;
}

static void svan_fill_wc(const struct svan_cqe *cqe, unsigned int recv_flags,
			 struct ibv_wc *wc)
{
	wc->status = svan_cqe_status(cqe);
	wc->opcode = svan_cqe_opcode(cqe);
	wc->vendor_err = le32toh(cqe->vendor_err);
	wc->byte_len = le32toh(cqe->byte_len);
	wc->imm_data = cqe->imm;
	wc->qp_num = le32toh(cqe->qpn);
	wc->src_qp = le32toh(cqe->src_qpn);
	wc->wc_flags = svan_cqe_wc_flags(cqe, recv_flags);
	wc->pkey_index = le16toh(cqe->pkey_index);
	wc->slid = 0;
	wc->sl = 0;
	wc->dlid_path_bits = 0;
}

int svan_poll_cq(struct ibv_cq *ibcq, int count, struct ibv_wc *wc)
{
	struct svan_cq *cq = to_svan_cq(ibcq);
	struct svan_cqe *cqe;
	uint32_t first;
	int n;

	if (unlikely(!cq->ring.cqes))
		return -EOPNOTSUPP;
	svan_cq_lock(&cq->lock);
	first = cq->ring.ci;
	for (n = 0; n < count; n++) {
		cqe = svan_next_cqe(cq, &wc[n].wr_id);
		if (!cqe)
			break;
		svan_fill_wc(cqe, cq->last_qp->recv_flags, &wc[n]);
	}
	if (cq->ring.ci != first)
		svan_cq_publish(&cq->ring);
	svan_cq_unlock(&cq->lock);
	return n;
}

static int svan_cq_next(struct svan_cq *cq)
{
	cq->cqe = svan_next_cqe(cq, &cq->vcq.cq_ex.wr_id);
	if (!cq->cqe)
		return ENOENT;
	cq->vcq.cq_ex.status = svan_cqe_status(cq->cqe);
	cq->recv_flags = cq->last_qp->recv_flags;
	return 0;
}

/* If this succeeds, the lock is held until svan_end_poll(). */
static int svan_start_poll(struct ibv_cq_ex *ibcq,
			   struct ibv_poll_cq_attr *attr)
{
	struct svan_cq *cq = to_svan_cq_ex(ibcq);
	uint32_t first;
	int ret;

	if (unlikely(attr->comp_mask))
		return EINVAL;
	if (unlikely(!cq->ring.cqes))
		return EOPNOTSUPP;

	svan_cq_lock(&cq->lock);
	first = cq->ring.ci;
	ret = svan_cq_next(cq);
	if (ret) {
		if (cq->ring.ci != first)
			svan_cq_publish(&cq->ring);
		svan_cq_unlock(&cq->lock);
		return ret;
	}
	svan_cq_begin_batch(&cq->ring);
	return 0;
}

static int svan_next_poll(struct ibv_cq_ex *ibcq)
{
	return svan_cq_next(to_svan_cq_ex(ibcq));
}

static void svan_end_poll(struct ibv_cq_ex *ibcq)
{
	struct svan_cq *cq = to_svan_cq_ex(ibcq);

	svan_cq_end_batch(&cq->ring);
	svan_cq_unlock(&cq->lock);
}

static enum ibv_wc_opcode svan_read_opcode(struct ibv_cq_ex *ibcq)
{
	return svan_cqe_opcode(to_svan_cq_ex(ibcq)->cqe);
}

static uint32_t svan_read_vendor_err(struct ibv_cq_ex *ibcq)
{
	return le32toh(to_svan_cq_ex(ibcq)->cqe->vendor_err);
}

static uint32_t svan_read_byte_len(struct ibv_cq_ex *ibcq)
{
	return le32toh(to_svan_cq_ex(ibcq)->cqe->byte_len);
}

static __be32 svan_read_imm_data(struct ibv_cq_ex *ibcq)
{
	return to_svan_cq_ex(ibcq)->cqe->imm;
}

static uint32_t svan_read_qp_num(struct ibv_cq_ex *ibcq)
{
	return le32toh(to_svan_cq_ex(ibcq)->cqe->qpn);
}

static uint32_t svan_read_src_qp(struct ibv_cq_ex *ibcq)
{
	return le32toh(to_svan_cq_ex(ibcq)->cqe->src_qpn);
}

static unsigned int svan_read_wc_flags(struct ibv_cq_ex *ibcq)
{
	const struct svan_cq *cq = to_svan_cq_ex(ibcq);

	return svan_cqe_wc_flags(cq->cqe, cq->recv_flags);
}

/* RoCE has no LIDs. */
static uint32_t svan_read_slid(struct ibv_cq_ex *ibcq)
{
	return 0;
}

static uint8_t svan_read_zero(struct ibv_cq_ex *ibcq)
{
	return 0;
}

/* The tag of a datagram's packet; 0 if it had none, and of all else. */
static uint16_t svan_read_cvlan(struct ibv_cq_ex *ibcq)
{
	const struct svan_cqe *cqe = to_svan_cq_ex(ibcq)->cqe;

	return cqe->owner & SVAN_CQE_VLAN ? le16toh(cqe->vlan) : 0;
}

static void svan_set_poll_ops(struct ibv_cq_ex *ibcq,
			      const struct ibv_cq_init_attr_ex *attr)
{
	ibcq->start_poll = svan_start_poll;
	ibcq->next_poll = svan_next_poll;
	ibcq->end_poll = svan_end_poll;
	ibcq->read_opcode = svan_read_opcode;
	ibcq->read_vendor_err = svan_read_vendor_err;
	ibcq->read_wc_flags = svan_read_wc_flags;
	ibcq->read_byte_len = svan_read_byte_len;
	ibcq->read_imm_data = svan_read_imm_data;
	ibcq->read_qp_num = svan_read_qp_num;
	ibcq->read_src_qp = svan_read_src_qp;
	ibcq->read_slid = svan_read_slid;
	ibcq->read_sl = svan_read_zero;
	ibcq->read_dlid_path_bits = svan_read_zero;
	if (attr->wc_flags & IBV_WC_EX_WITH_CVLAN)
		ibcq->read_cvlan = svan_read_cvlan;
}

/* ---- arming ---- */

/*
 * The lock is not taken: the caller may hold it, between start_poll() and
 * end_poll(). If ci moves on meanwhile, the event comes early, which does no harm.
 */
int svan_req_notify_cq(struct ibv_cq *ibcq, int solicited_only)
{
	struct svan_context *ctx = to_svan_ctx(ibcq->context);
	struct svan_cq *cq = to_svan_cq(ibcq);
	uint64_t value;

	if (!cq->ring.cqes)
		return EOPNOTSUPP;
	value = svan_db_value(cq->cqn, svan_load_index(&cq->ring.ci));
	if (solicited_only)
		value |= SVAN_DB_CQ_SOLICITED;
	svan_ring(ctx->uar + SVAN_UAR_CQ_DB, value);
	return 0;
}

/* ---- removing the entries of a QP ---- */

void svan_clean_cq(struct svan_cq *cq, uint32_t qpn)
{
	if (cq->ring.cqes)
		svan_cq_clean(&cq->ring, qpn);
	cq->last_qp = NULL;
}

/* ---- creation ---- */

static int svan_check_cq_attr(struct svan_context *ctx,
			      const struct ibv_cq_init_attr_ex *attr)
{
	if (!check_comp_mask(attr->comp_mask, IBV_CQ_INIT_ATTR_MASK_FLAGS))
		return EOPNOTSUPP;
	if ((attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS) &&
	    (attr->flags & ~(IBV_CREATE_CQ_ATTR_SINGLE_THREADED |
			     IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN)))
		return EOPNOTSUPP;
	if (!check_comp_mask(attr->wc_flags, SVAN_WC_FLAGS)) {
		verbs_debug(&ctx->vctx, "no such completion fields: 0x%lx\n",
			    attr->wc_flags & ~(unsigned long)SVAN_WC_FLAGS);
		return EOPNOTSUPP;
	}
	return 0;
}

static bool svan_is_single_threaded(const struct ibv_cq_init_attr_ex *attr)
{
	return attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS &&
	       attr->flags & IBV_CREATE_CQ_ATTR_SINGLE_THREADED;
}

static int svan_alloc_cq_buf(struct svan_cq *cq,
			     const struct svan_cq_layout *layout,
			     const struct svandv_memory_location *memory)
{
	uint8_t *ring;

	if (memory) {
		cq->foreign = memory->type == SVANDV_MEMORY_LOCATION_DMABUF;
		ring = memory->ptr;
	} else {
		cq->buf = svan_alloc_buf(layout->length);
		if (!cq->buf)
			return ENOMEM;
		cq->buf_length = layout->length;
		ring = cq->buf;
	}
	if (ring) {
		cq->ring.cqes = (void *)ring;
		cq->ring.dbr = (void *)(ring + layout->dbr_offset);
	}
	cq->ring.log_size = layout->log_size;
	return 0;
}

static void svan_free_cq_buf(struct svan_cq *cq)
{
	if (cq->buf)
		svan_free_buf(cq->buf, cq->buf_length);
}

static int svan_exec_create_cq(struct svan_cq *cq, struct ibv_context *ibctx,
			       struct ibv_cq_init_attr_ex *attr,
			       const struct svan_cq_layout *layout,
			       const struct svandv_memory_location *memory)
{
	struct svan_create_cq_ex_resp resp = {};
	struct svan_create_cq_ex cmd = {
		.buf_va = (uintptr_t)cq->buf,
		.buf_length = cq->buf_length,
		.dbr_offset = layout->dbr_offset,
		.log_size = layout->log_size,
	};
	int ret;

	if (memory) {
		ret = svan_describe(memory, layout->dbr_offset +
				    sizeof(struct svan_cq_dbr), &cmd.buf);
		if (ret)
			return ret;
	}
	ret = ibv_cmd_create_cq_ex(ibctx, attr, &cq->vcq, &cmd.ibv_cmd,
				   sizeof(cmd), &resp.ibv_resp, sizeof(resp),
				   0);
	if (ret && memory)
		verbs_err(&to_svan_ctx(ibctx)->vctx,
			  "no CQ in the memory that was given (dma-buf %d): %s\n",
			  cmd.buf.fd, strerror(ret));
	if (ret)
		return ret;
	cq->cqn = resp.cqn;
	verbs_debug(&to_svan_ctx(ibctx)->vctx,
		    "CQ %u of %u entries\n", cq->cqn, 1u << layout->log_size);
	return 0;
}

static struct svan_cq *svan_new_cq(struct ibv_context *ibctx,
				   struct ibv_cq_init_attr_ex *attr,
				   const struct svandv_memory_location *memory)
{
	struct svan_context *ctx = to_svan_ctx(ibctx);
	struct svan_cq_layout layout;
	struct svan_cq *cq;
	int ret;

	ret = svan_check_cq_attr(ctx, attr);
	if (ret)
		goto err;
	ret = svan_cq_layout(attr->cqe, ctx->max_cqe, &layout);
	if (ret)
		goto err;

	cq = calloc(1, sizeof(*cq));
	if (!cq) {
		ret = ENOMEM;
		goto err;
	}
	ret = svan_alloc_cq_buf(cq, &layout, memory);
	if (ret)
		goto err_free;
	svan_cq_lock_init(&cq->lock, svan_is_single_threaded(attr));
	ret = svan_exec_create_cq(cq, ibctx, attr, &layout, memory);
	if (ret)
		goto err_free_buf;
	return cq;

err_free_buf:
	svan_cq_lock_destroy(&cq->lock);
	svan_free_cq_buf(cq);
err_free:
	free(cq);
err:
	errno = ret;
	return NULL;
}

struct ibv_cq *svan_create_cq(struct ibv_context *ibctx, int cqe,
			      struct ibv_comp_channel *channel, int vector)
{
	struct ibv_cq_init_attr_ex attr = {
		.cqe = cqe > 0 ? cqe : 0,
		.channel = channel,
		.comp_vector = vector,
	};
	struct svan_cq *cq = svan_new_cq(ibctx, &attr, NULL);

	return cq ? &cq->vcq.cq : NULL;
}

struct ibv_cq_ex *svan_make_cq_ex(struct ibv_context *ibctx,
				  struct ibv_cq_init_attr_ex *attr,
				  const struct svandv_memory_location *memory)
{
	struct svan_cq *cq = svan_new_cq(ibctx, attr, memory);

	if (!cq)
		return NULL;
	svan_set_poll_ops(&cq->vcq.cq_ex, attr);
	return &cq->vcq.cq_ex;
}

struct ibv_cq_ex *svan_create_cq_ex(struct ibv_context *ibctx,
				    struct ibv_cq_init_attr_ex *attr)
{
	return svan_make_cq_ex(ibctx, attr, NULL);
}

int svan_modify_cq(struct ibv_cq *ibcq, struct ibv_modify_cq_attr *attr)
{
	struct ibv_modify_cq cmd = {};

	return ibv_cmd_modify_cq(ibcq, attr, &cmd, sizeof(cmd));
}

int svan_destroy_cq(struct ibv_cq *ibcq)
{
	struct svan_cq *cq = to_svan_cq(ibcq);
	int ret;

	ret = ibv_cmd_destroy_cq(ibcq);
	if (ret)
		return ret;
	svan_cq_lock_destroy(&cq->lock);
	svan_free_cq_buf(cq);
	free(cq);
	return 0;
}
