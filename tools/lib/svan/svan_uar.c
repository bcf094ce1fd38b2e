/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* UAR pages of single QPs, and work that another peripheral submits. */

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <infiniband/cmd_ioctl.h>
#include <rdma/svan_user_ioctl_cmds.h>

#include "svan.h"

static int svan_exec_alloc_uar(struct svandv_uar *uar, uint64_t *offset)
{
	DECLARE_COMMAND_BUFFER(cmd, SVAN_IB_OBJECT_UAR,
			       SVAN_IB_METHOD_UAR_ALLOC, 3);
	struct ib_uverbs_attr *handle;
	int ret;

	handle = fill_attr_out_obj(cmd, SVAN_IB_ATTR_UAR_ALLOC_HANDLE);
	fill_attr_out_ptr(cmd, SVAN_IB_ATTR_UAR_ALLOC_PAGE, &uar->page_id);
	fill_attr_out_ptr(cmd, SVAN_IB_ATTR_UAR_ALLOC_OFFSET, offset);
	ret = execute_ioctl(uar->context, cmd);
	if (!ret)
		uar->handle = read_attr_obj(SVAN_IB_ATTR_UAR_ALLOC_HANDLE,
					    handle);
	return ret;
}

static int svan_exec_free_uar(struct svandv_uar *uar)
{
	DECLARE_COMMAND_BUFFER(cmd, SVAN_IB_OBJECT_UAR,
			       SVAN_IB_METHOD_UAR_DESTROY, 1);

	fill_attr_in_obj(cmd, SVAN_IB_ATTR_UAR_DESTROY_HANDLE, uar->handle);
	return execute_ioctl(uar->context, cmd);
}

int svandv_query_uar_caps(struct ibv_context *context,
			  struct svandv_uar_caps *caps)
{
	if (!svan_is_svan(context->device))
		return EOPNOTSUPP;
	*caps = (struct svandv_uar_caps){
		.max_uars = to_svan_ctx(context)->max_uar,
		.max_context_uars = to_svan_ctx(context)->max_context_uar,
	};
	return 0;
}

struct svandv_uar *svandv_alloc_uar(struct ibv_context *context)
{
	struct svandv_uar *uar;
	uint64_t offset;
	int ret;

	if (!svan_is_svan(context->device)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	uar = calloc(1, sizeof(*uar));
	if (!uar)
		return NULL;
	uar->context = context;
	uar->length = SVAN_UAR_SIZE;
	ret = svan_exec_alloc_uar(uar, &offset);
	if (ret)
		goto err_free;
	uar->base_addr = mmap(NULL, uar->length, PROT_WRITE, MAP_SHARED,
			      context->cmd_fd, offset);
	if (uar->base_addr == MAP_FAILED) {
		ret = errno;
		svan_exec_free_uar(uar);
		goto err_free;
	}
	return uar;

err_free:
	free(uar);
	errno = ret;
	return NULL;
}

int svandv_free_uar(struct svandv_uar *uar)
{
	int ret = svan_exec_free_uar(uar);

	if (ret)
		return ret;
	munmap(uar->base_addr, uar->length);
	free(uar);
	return 0;
}

int svandv_uar_export_dmabuf_fd(struct svandv_uar *uar)
{
	DECLARE_COMMAND_BUFFER(cmd, SVAN_IB_OBJECT_UAR,
			       SVAN_IB_METHOD_UAR_EXPORT_DMABUF, 2);
	int32_t fd = -1;
	int ret;

	fill_attr_in_obj(cmd, SVAN_IB_ATTR_UAR_EXPORT_HANDLE, uar->handle);
	fill_attr_out_ptr(cmd, SVAN_IB_ATTR_UAR_EXPORT_FD, &fd);
	ret = execute_ioctl(uar->context, cmd);
	if (ret) {
		errno = ret;
		return -1;
	}
	return fd;
}

struct ibv_qp *svandv_create_qp(struct ibv_context *context,
				struct ibv_qp_init_attr_ex *attr,
				const struct svandv_qp_init_attr *svan_attr)
{
	if (!svan_is_svan(context->device)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	if (!check_comp_mask(svan_attr->comp_mask,
			     SVANDV_QP_INIT_ATTR_CREATE_FLAGS |
			     SVANDV_QP_INIT_ATTR_SQ_MEM |
			     SVANDV_QP_INIT_ATTR_RQ_MEM |
			     SVANDV_QP_INIT_ATTR_DBR_MEM) ||
	    svan_create_flags(svan_attr) & ~SVANDV_QP_CREATE_RECV_NO_CQE ||
	    (!svan_attr->uar && !svan_create_flags(svan_attr) &&
	     !(svan_attr->comp_mask & ~SVANDV_QP_INIT_ATTR_CREATE_FLAGS)) ||
	    (svan_attr->uar && svan_attr->uar->context != context)) {
		errno = EINVAL;
		return NULL;
	}
	/* svandv_query_qp_sizes() does not know of address vectors. */
	if (attr->qp_type == IBV_QPT_UD &&
	    svan_attr->comp_mask & SVANDV_QP_INIT_ATTR_SQ_MEM) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	return svan_make_qp(context, attr, svan_attr);
}

/* What submits the blocks, or the entries, from @first to @end. */
static struct svandv_trigger svan_trigger(const struct svan_qp *qp,
					  uint32_t offset, uint32_t first,
					  uint32_t end)
{
	return (struct svandv_trigger){
		.window = qp->uar,
		.offset = offset,
		.width = sizeof(uint64_t),
		.value = svan_db_value(qp->qpn, end),
		.first_block = first,
		.num_blocks = end - first,
	};
}

int svandv_prepare(struct ibv_qp_ex *ibqp, struct svandv_trigger *trigger)
{
	struct svan_qp *qp = to_svan_qp_ex(ibqp);
	uint32_t first, end;
	int ret;

	if (!svan_is_svan(ibqp->qp_base.context->device))
		return EOPNOTSUPP;
	first = qp->sq.pi;	/* ibv_wr_start() has taken the lock of the queue */
	ret = svan_prepare_sends(qp, &end);
	if (ret)
		return ret;
	*trigger = svan_trigger(qp, SVAN_UAR_SQ_DB, first, end);
	return 0;
}

int svandv_cancel_prepared(struct ibv_qp *ibqp)
{
	if (!svan_is_svan(ibqp->context->device))
		return EOPNOTSUPP;
	return svan_cancel_sends(to_svan_qp(ibqp));
}

int svandv_prepare_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr,
			struct ibv_recv_wr **bad_wr,
			struct svandv_trigger *trigger)
{
	struct svan_qp *qp = to_svan_qp(ibqp);
	uint32_t first, end;
	int ret;

	if (!svan_is_svan(ibqp->context->device)) {
		*bad_wr = wr;
		return EOPNOTSUPP;
	}
	ret = svan_prepare_recvs(qp, wr, bad_wr, &first, &end);
	if (ret)
		return ret;
	*trigger = svan_trigger(qp, SVAN_UAR_RQ_DB, first, end);
	return 0;
}

int svandv_cancel_prepared_recv(struct ibv_qp *ibqp)
{
	if (!svan_is_svan(ibqp->context->device))
		return EOPNOTSUPP;
	return svan_cancel_recvs(to_svan_qp(ibqp));
}

int svandv_query_queues(struct ibv_qp *ibqp, struct svandv_queues *queues)
{
	struct svan_qp *qp = to_svan_qp(ibqp);

	if (!svan_is_svan(ibqp->context->device))
		return EOPNOTSUPP;
	*queues = (struct svandv_queues){
		.qp_num = qp->qpn,
		.sq = qp->sq.ring.bbs,
		.log_sq_blocks = svan_log2_roundup(qp->sq.ring.mask + 1ull),
		.rq = qp->rq.buf,
		.log_rq_entries = svan_log2_roundup(qp->rq.mask + 1ull),
		.log_rq_stride = qp->rq.log_stride,
		.dbr = qp->dbr,
		.buf = qp->buf,
		.buf_length = qp->buf_length,
		.sq_mem = qp->sq_mem,
		.rq_mem = qp->rq_mem,
		.dbr_mem = qp->dbr_mem,
	};
	return 0;
}
