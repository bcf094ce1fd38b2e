/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Shared receive queues: creation, limit, posting. */

#include <errno.h>
#include <stdlib.h>

#include <util/compiler.h>

#include "svan.h"
#include "svan_abi.h"

/* ---- creation ---- */

static int svan_exec_create_srq(struct svan_srq *srq, struct ibv_pd *ibpd,
				struct ibv_srq_init_attr *attr,
				const struct svan_srq_layout *layout)
{
	struct svan_create_srq_resp resp = {};
	struct svan_create_srq cmd = {
		.buf_va = (uintptr_t)srq->buf,
		.buf_length = srq->buf_length,
		.dbr_offset = layout->dbr_offset,
		.log_size = layout->log_size,
		.log_stride = layout->log_stride,
	};
	int ret;

	ret = ibv_cmd_create_srq(ibpd, &srq->srq, attr, &cmd.ibv_cmd,
				 sizeof(cmd), &resp.ibv_resp, sizeof(resp));
	if (ret)
		return ret;
	srq->srqn = resp.srqn;
	verbs_debug(&to_svan_ctx(ibpd->context)->vctx,
		    "SRQ %u: 2^%u receives of 2^%u octets\n", srq->srqn,
		    layout->log_size, layout->log_stride);
	return 0;
}

static int svan_setup_srq(struct svan_srq *srq, struct ibv_pd *ibpd,
			  struct ibv_srq_init_attr *attr,
			  const struct svan_srq_layout *layout)
{
	int ret;

	srq->buf = svan_alloc_buf(layout->length);
	if (!srq->buf)
		return ENOMEM;
	srq->buf_length = layout->length;
	srq->ring = (struct svan_srq_ring) {
		.entries = srq->buf,
		.dbr = (void *)((uint8_t *)srq->buf + layout->dbr_offset),
		.mask = (1u << layout->log_size) - 1,
		.log_stride = layout->log_stride,
		.max_sge = layout->max_sge,
	};
	ret = svan_exec_create_srq(srq, ibpd, attr, layout);
	if (ret) {
		svan_free_buf(srq->buf, srq->buf_length);
		return ret;
	}
	pthread_spin_init(&srq->lock, PTHREAD_PROCESS_PRIVATE);
	return 0;
}

struct ibv_srq *svan_create_srq(struct ibv_pd *ibpd,
				struct ibv_srq_init_attr *attr)
{
	struct svan_context *ctx = to_svan_ctx(ibpd->context);
	struct svan_srq_layout layout;
	struct svan_srq *srq;
	int ret;

	if (!(ctx->features & SVAN_CAP_SRQ)) {
		ret = EOPNOTSUPP;
		goto err;
	}
	ret = svan_srq_layout(attr->attr.max_wr, attr->attr.max_sge,
			      &ctx->qp_limits, &layout);
	if (ret)
		goto err;
	srq = calloc(1, sizeof(*srq));
	if (!srq) {
		ret = ENOMEM;
		goto err;
	}
	ret = svan_setup_srq(srq, ibpd, attr, &layout);
	if (ret)
		goto err_free;
	return &srq->srq;

err_free:
	free(srq);
err:
	errno = ret;
	return NULL;
}

int svan_modify_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr,
		    int attr_mask)
{
	struct ibv_modify_srq cmd = {};

	return ibv_cmd_modify_srq(ibsrq, attr, attr_mask, &cmd, sizeof(cmd));
}

int svan_query_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr)
{
	struct ibv_query_srq cmd = {};

	return ibv_cmd_query_srq(ibsrq, attr, &cmd, sizeof(cmd));
}

/* No QP uses it, so no completion of it comes any more; the QPs have removed theirs. */
int svan_destroy_srq(struct ibv_srq *ibsrq)
{
	struct svan_srq *srq = to_svan_srq(ibsrq);
	int ret;

	ret = ibv_cmd_destroy_srq(ibsrq);
	if (ret)
		return ret;
	pthread_spin_destroy(&srq->lock);
	svan_free_buf(srq->buf, srq->buf_length);
	free(srq);
	return 0;
}

/* ---- posting ---- */

/* The device returns the wr_id in the completion. */
static int svan_build_srq_recv(struct svan_srq_ring *ring,
			       const struct ibv_recv_wr *wr, uint32_t pi)
{
	struct svan_rwqe *rwqe;

	if (unlikely((uint32_t)wr->num_sge > ring->max_sge))
		return EINVAL;
	if (unlikely(!svan_srq_has_room(ring, pi)))
		return ENOMEM;
	rwqe = svan_srq_entry(ring, pi);
	svan_fill_rwqe(rwqe, wr);
	rwqe->wr_id = htole64(wr->wr_id);
	return 0;
}

int svan_post_srq_recv(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr,
		       struct ibv_recv_wr **bad_wr)
{
	struct svan_srq *srq = to_svan_srq(ibsrq);
	uint32_t pi;
	int ret = 0;

	pthread_spin_lock(&srq->lock);
	for (pi = srq->ring.pi; wr; wr = wr->next) {
		ret = svan_build_srq_recv(&srq->ring, wr, pi);
		if (ret) {
			*bad_wr = wr;
			break;
		}
		rdma_tracepoint(rdma_core_svan, post_srq_recv,
				ibsrq->context->device->name, srq->srqn,
				wr->wr_id, pi, wr->num_sge);
		pi++;
	}
	if (pi != srq->ring.pi) {
		udma_to_device_barrier();
		svan_srq_publish(&srq->ring, pi);
	}
	pthread_spin_unlock(&srq->lock);
	return ret;
}
