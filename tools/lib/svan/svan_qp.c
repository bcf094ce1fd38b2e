/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Queue pairs: creation, state, and the table that finds them by number. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "svan.h"
#include "svan_abi.h"

/* ---- QPN to QP ---- */

/*
 * No CQ has an entry of an earlier QP of this number. The device gives a number out
 * again only after 255 others with the same index, and svan_remove_qp() has removed
 * the entries of the earlier QP.
 */
static int svan_store_qp(struct svan_context *ctx, struct svan_qp *qp)
{
	int ret;

	pthread_mutex_lock(&ctx->qp_table_mutex);
	ret = svan_qp_table_store(&ctx->qp_table, qp->qpn, qp);
	pthread_mutex_unlock(&ctx->qp_table_mutex);
	return ret;
}

/*
 * Remove the entries of a QP from its CQs. The device writes no more of them. If @gone,
 * CQs in memory of another device are left alone, since it may be revoked, and then an
 * access to it kills: pollers skip entries of QPs that are gone.
 */
static void svan_clean_cqs(struct svan_qp *qp, bool gone)
{
	struct svan_cq *send_cq = to_svan_cq(qp->vqp.qp.send_cq);
	struct svan_cq *recv_cq = to_svan_cq(qp->vqp.qp.recv_cq);

	svan_cq_lock(&send_cq->lock);
	if (!gone || !send_cq->foreign)
		svan_clean_cq(send_cq, qp->qpn);
	send_cq->last_qp = NULL;
	svan_sq_reset_consumer(&qp->sq);
	svan_cq_unlock(&send_cq->lock);

	svan_cq_lock(&recv_cq->lock);
	if (!gone || !recv_cq->foreign)
		svan_clean_cq(recv_cq, qp->qpn);
	recv_cq->last_qp = NULL;
	svan_rq_reset_consumer(&qp->rq);
	svan_cq_unlock(&recv_cq->lock);
}

/*
 * The kernel has destroyed the QP. A poller that has found it in the table holds
 * the lock of one of its CQs. svan_clean_cqs() takes these locks after the QP has
 * left the table, so no poller uses the QP afterwards.
 */
static void svan_remove_qp(struct svan_context *ctx, struct svan_qp *qp)
{
	pthread_mutex_lock(&ctx->qp_table_mutex);
	svan_qp_table_remove(&ctx->qp_table, qp->qpn, qp);
	pthread_mutex_unlock(&ctx->qp_table_mutex);
	svan_clean_cqs(qp, true);
}

/* ---- creation ---- */

static bool svan_has_qp_type(const struct svan_context *ctx,
			     enum ibv_qp_type type)
{
	switch (type) {
	case IBV_QPT_RC:
		return true;
	case IBV_QPT_UC:
		return ctx->features & SVAN_CAP_UC;
	case IBV_QPT_UD:
		return ctx->features & SVAN_CAP_UD;
	default:
		return false;
	}
}

static int svan_check_qp_attr(struct svan_context *ctx,
			      const struct ibv_qp_init_attr_ex *attr)
{
	if (!check_comp_mask(attr->comp_mask,
			     IBV_QP_INIT_ATTR_PD |
			     IBV_QP_INIT_ATTR_CREATE_FLAGS |
			     IBV_QP_INIT_ATTR_SEND_OPS_FLAGS) ||
	    ((attr->comp_mask & IBV_QP_INIT_ATTR_CREATE_FLAGS) &&
	     attr->create_flags)) {
		verbs_debug(&ctx->vctx,
			    "QP attributes 0x%x, flags 0x%x are not known\n",
			    attr->comp_mask, attr->create_flags);
		return EOPNOTSUPP;
	}
	if (!svan_has_qp_type(ctx, attr->qp_type)) {
		verbs_debug(&ctx->vctx, "QP type %d is not supported\n",
			    attr->qp_type);
		return EOPNOTSUPP;
	}
	if (!attr->send_cq || !attr->recv_cq)
		return EINVAL;
	return 0;
}

int svan_choose_layout(struct svan_context *ctx, const struct ibv_qp_cap *cap,
		       bool ud, struct svan_qp_layout *layout)
{
	const struct svan_qp_cap want = {
		.max_send_wr = cap->max_send_wr,
		.max_recv_wr = cap->max_recv_wr,
		.max_send_sge = cap->max_send_sge,
		.max_recv_sge = cap->max_recv_sge,
		.max_inline = cap->max_inline_data,
	};
	int ret;

	ret = svan_qp_layout(&want, &ctx->qp_limits, ud, layout);
	if (ret)
		verbs_debug(&ctx->vctx,
			    "no such queues: %u sends of %u entries, %u inline, %u receives of %u entries\n",
			    cap->max_send_wr, cap->max_send_sge,
			    cap->max_inline_data, cap->max_recv_wr,
			    cap->max_recv_sge);
	return ret;
}

static void svan_get_cap(const struct svan_qp *qp, struct ibv_qp_cap *cap)
{
	cap->max_send_wr = qp->cap.max_send_wr;
	cap->max_recv_wr = qp->cap.max_recv_wr;
	cap->max_send_sge = qp->cap.max_send_sge;
	cap->max_recv_sge = qp->cap.max_recv_sge;
	cap->max_inline_data = qp->cap.max_inline;
}

/* SVAN_APART_*: what the user gives memory for. */
static uint32_t svan_apart(const struct svandv_qp_init_attr *attr)
{
	uint64_t mask = attr->comp_mask;

	return (mask & SVANDV_QP_INIT_ATTR_SQ_MEM ? SVAN_APART_SQ : 0) |
	       (mask & SVANDV_QP_INIT_ATTR_RQ_MEM ? SVAN_APART_RQ : 0) |
	       (mask & SVANDV_QP_INIT_ATTR_DBR_MEM ? SVAN_APART_DBR : 0);
}

/* Where a part lies: in the user's memory, or at @offset of the provider's. */
static struct svandv_memory_location
svan_part(const struct svan_qp *qp, const struct svandv_memory_location *memory,
	  bool apart, uint32_t offset)
{
	if (apart)
		return *memory;
	return (struct svandv_memory_location){
		.type = SVANDV_MEMORY_LOCATION_VA,
		.ptr = (uint8_t *)qp->buf + offset,
	};
}

static void svan_place_queues(struct svan_qp *qp,
			      const struct svan_qp_layout *layout,
			      const struct svandv_qp_init_attr *attr)
{
	uint32_t apart = svan_apart(attr);

	qp->sq_mem = svan_part(qp, &attr->sq_mem, apart & SVAN_APART_SQ,
			       layout->sq_offset);
	qp->rq_mem = svan_part(qp, &attr->rq_mem, apart & SVAN_APART_RQ,
			       layout->rq_offset);
	qp->dbr_mem = svan_part(qp, &attr->dbr_mem, apart & SVAN_APART_DBR,
				layout->dbr_offset);
	qp->sq.ring.bbs = (void *)qp->sq_mem.ptr;
	qp->rq.buf = qp->rq_mem.ptr;	/* unused without entries */
	qp->dbr = (void *)qp->dbr_mem.ptr;
}

static int svan_alloc_queues(struct svan_qp *qp,
			     const struct svan_qp_layout *layout)
{
	uint32_t bbs = 1u << layout->log_sq_bbs;
	uint32_t entries = 1u << layout->log_rq_size;

	if (layout->length) {
		qp->buf = svan_alloc_buf(layout->length);
		if (!qp->buf)
			return ENOMEM;
		qp->buf_length = layout->length;
	}
	qp->sq.slots = calloc(bbs, sizeof(*qp->sq.slots));
	if (!qp->sq.slots)
		goto err_buf;
	qp->rq.wr_ids = calloc(entries, sizeof(*qp->rq.wr_ids));
	if (!qp->rq.wr_ids)
		goto err_slots;

	qp->cap = layout->cap;
	qp->sq.ring.mask = bbs - 1;
	qp->sq.max_wr = layout->cap.max_send_wr;
	qp->sq.max_sge = layout->cap.max_send_sge;
	qp->sq.max_inline = layout->cap.max_inline;
	qp->rq.mask = entries - 1;
	qp->rq.log_stride = layout->log_rq_stride;
	qp->rq.max_wr = layout->cap.max_recv_wr;
	qp->rq.max_sge = layout->cap.max_recv_sge;
	return 0;

err_slots:
	free(qp->sq.slots);
err_buf:
	if (qp->buf)
		svan_free_buf(qp->buf, qp->buf_length);
	return ENOMEM;
}

static void svan_free_queues(struct svan_qp *qp)
{
	free(qp->rq.wr_ids);
	free(qp->sq.slots);
	if (qp->buf)
		svan_free_buf(qp->buf, qp->buf_length);
}

/* Describe what the user gives memory for. */
static int svan_describe_parts(const struct svan_qp *qp, uint32_t apart,
			       const struct svan_qp_layout *layout,
			       struct svan_create_qp *cmd)
{
	int ret = 0;

	if (apart & SVAN_APART_SQ)
		ret = svan_describe(&qp->sq_mem, svan_sq_bytes(layout),
				    &cmd->sq_buf);
	if (!ret && apart & SVAN_APART_RQ)
		ret = layout->log_rq_stride ?
			      svan_describe(&qp->rq_mem, svan_rq_bytes(layout),
					    &cmd->rq_buf) : EINVAL;
	if (!ret && apart & SVAN_APART_DBR)
		ret = svan_describe(&qp->dbr_mem, sizeof(struct svan_qp_dbr),
				    &cmd->dbr_buf);
	return ret;
}

static int svan_dmabuf_fd(const struct svan_ib_buffer_desc *desc)
{
	return desc->length && desc->type == SVAN_IB_BUFFER_TYPE_DMABUF ?
		       desc->fd : -1;
}

static int svan_exec_create_qp(struct svan_qp *qp, struct ibv_context *ibctx,
			       const struct ibv_qp_init_attr_ex *attr,
			       const struct svan_qp_layout *layout,
			       uint32_t apart)
{
	struct ibv_qp_init_attr_ex core_attr = *attr;
	struct svan_create_qp_resp resp = {};
	struct svan_create_qp cmd = {
		.buf_va = (uintptr_t)qp->buf,
		.buf_length = qp->buf_length,
		.sq_offset = layout->sq_offset,
		.rq_offset = layout->rq_offset,
		.dbr_offset = layout->dbr_offset,
		.log_sq_bbs = layout->log_sq_bbs,
		.log_rq_size = layout->log_rq_size,
		.log_rq_stride = layout->log_rq_stride,
		.flags = (qp->uar ? SVAN_UREQ_QP_OWN_UAR : 0) |
			 (qp->rq.counted ? SVAN_UREQ_QP_RECV_NO_CQE : 0),
		.uar_page = qp->uar ? qp->uar->page_id : 0,
	};
	int ret = svan_describe_parts(qp, apart, layout, &cmd);

	if (ret)
		return ret;
	/* No flag is set, and this command does not know the bit. */
	core_attr.comp_mask &= ~IBV_QP_INIT_ATTR_CREATE_FLAGS;
	ret = ibv_cmd_create_qp_ex(ibctx, &qp->vqp, &core_attr, &cmd.ibv_cmd,
				   sizeof(cmd), &resp.ibv_resp, sizeof(resp));
	if (ret && apart)
		verbs_err(&to_svan_ctx(ibctx)->vctx,
			  "no QP in the memory that was given (dma-buf, or -1: send queue %d, receive queue %d, record %d): %s\n",
			  svan_dmabuf_fd(&cmd.sq_buf), svan_dmabuf_fd(&cmd.rq_buf),
			  svan_dmabuf_fd(&cmd.dbr_buf), strerror(ret));
	if (ret)
		return ret;
	qp->qpn = resp.drv_payload.qpn;
	verbs_debug(&to_svan_ctx(ibctx)->vctx,
		    "QP %u: 2^%u send blocks, 2^%u receives of 2^%u octets\n",
		    qp->qpn, layout->log_sq_bbs, layout->log_rq_size,
		    layout->log_rq_stride);
	return 0;
}

static void svan_init_qp(struct svan_qp *qp, struct svan_context *ctx,
			 const struct ibv_qp_init_attr_ex *attr,
			 const struct svandv_qp_init_attr *svan_attr)
{
	struct svandv_uar *uar = svan_attr->uar;
	uint8_t *doorbells = uar ? uar->base_addr : ctx->uar;

	qp->signal_all = attr->sq_sig_all;
	qp->type = attr->qp_type;
	qp->recv_flags = qp->type == IBV_QPT_UD ? IBV_WC_GRH : 0;
	qp->uar = uar;
	qp->rq.counted = svan_create_flags(svan_attr) &
			 SVANDV_QP_CREATE_RECV_NO_CQE;
	qp->sq_db = doorbells + SVAN_UAR_SQ_DB;
	qp->rq_db = doorbells + SVAN_UAR_RQ_DB;
	pthread_spin_init(&qp->sq_lock, PTHREAD_PROCESS_PRIVATE);
	pthread_spin_init(&qp->rq_lock, PTHREAD_PROCESS_PRIVATE);
}

static void svan_fini_qp(struct svan_qp *qp)
{
	pthread_spin_destroy(&qp->rq_lock);
	pthread_spin_destroy(&qp->sq_lock);
}

static int svan_enable_wr_ops(struct svan_qp *qp,
			      const struct ibv_qp_init_attr_ex *attr)
{
	int ret;

	if (!(attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS))
		return 0;
	ret = svan_set_wr_ops(qp, attr->send_ops_flags);
	if (!ret)
		qp->vqp.comp_mask |= VERBS_QP_EX;
	return ret;
}

static int svan_setup_qp(struct svan_qp *qp, struct ibv_context *ibctx,
			 const struct ibv_qp_init_attr_ex *attr,
			 const struct svan_qp_layout *layout, uint32_t apart)
{
	struct svan_context *ctx = to_svan_ctx(ibctx);
	int ret;

	ret = svan_exec_create_qp(qp, ibctx, attr, layout, apart);
	if (ret)
		return ret;
	ret = svan_enable_wr_ops(qp, attr);
	if (ret)
		goto err_destroy;
	ret = svan_store_qp(ctx, qp);
	if (ret)
		goto err_destroy;
	return 0;

err_destroy:
	ibv_cmd_destroy_qp(&qp->vqp.qp);
	return ret;
}

struct ibv_qp *svan_make_qp(struct ibv_context *ibctx,
			    struct ibv_qp_init_attr_ex *attr,
			    const struct svandv_qp_init_attr *svan_attr)
{
	struct svan_context *ctx = to_svan_ctx(ibctx);
	struct ibv_qp_cap cap = attr->cap;
	struct svan_qp_layout layout;
	struct svan_qp *qp;
	int ret;

	ret = svan_check_qp_attr(ctx, attr);
	if (ret)
		goto err;
	if (attr->srq)
		cap.max_recv_wr = 0;
	ret = svan_choose_layout(ctx, &cap, attr->qp_type == IBV_QPT_UD,
				 &layout);
	if (ret)
		goto err;
	svan_qp_layout_apart(&layout, svan_apart(svan_attr));

	qp = calloc(1, sizeof(*qp));
	if (!qp) {
		ret = ENOMEM;
		goto err;
	}
	ret = svan_alloc_queues(qp, &layout);
	if (ret)
		goto err_free;
	svan_place_queues(qp, &layout, svan_attr);
	svan_init_qp(qp, ctx, attr, svan_attr);
	ret = svan_setup_qp(qp, ibctx, attr, &layout, svan_apart(svan_attr));
	if (ret)
		goto err_fini;

	svan_get_cap(qp, &attr->cap);
	return &qp->vqp.qp;

err_fini:
	svan_fini_qp(qp);
	svan_free_queues(qp);
err_free:
	free(qp);
err:
	errno = ret;
	return NULL;
}

struct ibv_qp *svan_create_qp_ex(struct ibv_context *ibctx,
				 struct ibv_qp_init_attr_ex *attr)
{
	const struct svandv_qp_init_attr none = {};

	return svan_make_qp(ibctx, attr, &none);
}

struct ibv_qp *svan_create_qp(struct ibv_pd *ibpd,
			      struct ibv_qp_init_attr *attr)
{
	struct ibv_qp_init_attr_ex attr_ex = {
		.qp_context = attr->qp_context,
		.send_cq = attr->send_cq,
		.recv_cq = attr->recv_cq,
		.srq = attr->srq,
		.cap = attr->cap,
		.qp_type = attr->qp_type,
		.sq_sig_all = attr->sq_sig_all,
		.comp_mask = IBV_QP_INIT_ATTR_PD,
		.pd = ibpd,
	};
	struct ibv_qp *ibqp;

	ibqp = svan_create_qp_ex(ibpd->context, &attr_ex);
	if (ibqp)
		attr->cap = attr_ex.cap;
	return ibqp;
}

int svan_destroy_qp(struct ibv_qp *ibqp)
{
	struct svan_qp *qp = to_svan_qp(ibqp);
	int ret;

	ret = ibv_cmd_destroy_qp(ibqp);
	if (ret)
		return ret;
	svan_remove_qp(to_svan_ctx(ibqp->context), qp);
	svan_fini_qp(qp);
	svan_free_queues(qp);
	free(qp);
	return 0;
}

/* ---- state ---- */

static void svan_set_ready(struct svan_qp *qp, enum ibv_qp_state state)
{
	pthread_spin_lock(&qp->sq_lock);
	qp->sq_ready = state != IBV_QPS_RESET && state != IBV_QPS_INIT &&
		       state != IBV_QPS_RTR && qp->sq.ring.bbs;
	pthread_spin_unlock(&qp->sq_lock);

	pthread_spin_lock(&qp->rq_lock);
	qp->rq_ready = state != IBV_QPS_RESET && qp->rq.buf && !qp->vqp.qp.srq;
	pthread_spin_unlock(&qp->rq_lock);
}

/*
 * Let both queues begin again at index 0. The device has forgotten their contents,
 * and nobody posts.
 */
static void svan_reset_queues(struct svan_qp *qp)
{
	svan_clean_cqs(qp, false);

	pthread_spin_lock(&qp->sq_lock);
	svan_sq_reset_producer(&qp->sq);
	if (qp->dbr)
		svan_store_le32(&qp->dbr->sq_pi, 0);
	pthread_spin_unlock(&qp->sq_lock);

	pthread_spin_lock(&qp->rq_lock);
	svan_rq_reset_producer(&qp->rq);
	if (qp->dbr)
		svan_store_le32(&qp->dbr->rq_pi, 0);
	pthread_spin_unlock(&qp->rq_lock);
}

int svan_modify_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr,
		   int attr_mask)
{
	struct svan_qp *qp = to_svan_qp(ibqp);
	struct ibv_modify_qp cmd = {};
	int ret;

	ret = ibv_cmd_modify_qp(ibqp, attr, attr_mask, &cmd, sizeof(cmd));
	if (ret || !(attr_mask & IBV_QP_STATE))
		return ret;

	svan_set_ready(qp, attr->qp_state);
	if (attr->qp_state == IBV_QPS_RESET)
		svan_reset_queues(qp);
	return 0;
}

/* The device sends each packet by itself, so there are no bursts to be limited. */
int svan_modify_qp_rate_limit(struct ibv_qp *ibqp,
			      struct ibv_qp_rate_limit_attr *attr)
{
	struct ibv_qp_attr qp_attr = { .rate_limit = attr->rate_limit };
	struct ib_uverbs_ex_modify_qp_resp resp = {};
	struct ibv_modify_qp_ex cmd = {};

	if (attr->comp_mask || attr->max_burst_sz || attr->typical_pkt_sz)
		return EINVAL;
	return ibv_cmd_modify_qp_ex(ibqp, &qp_attr, IBV_QP_RATE_LIMIT, &cmd,
				    sizeof(cmd), &resp, sizeof(resp));
}

int svan_query_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int attr_mask,
		  struct ibv_qp_init_attr *init_attr)
{
	struct svan_qp *qp = to_svan_qp(ibqp);
	struct ibv_query_qp cmd = {};
	int ret;

	ret = ibv_cmd_query_qp(ibqp, attr, attr_mask, init_attr, &cmd,
			       sizeof(cmd));
	if (ret)
		return ret;
	svan_get_cap(qp, &attr->cap);
	init_attr->cap = attr->cap;
	init_attr->sq_sig_all = qp->signal_all;
	return 0;
}
