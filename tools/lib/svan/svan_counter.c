/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Completion counters, and what they do not tell the provider: which slots are free. */

#include <errno.h>
#include <stdlib.h>

#include <infiniband/cmd_ioctl.h>
#include <rdma/svan_user_ioctl_cmds.h>

#include "svan.h"

/* The device counts all that a queue completes. */
#define SVAN_SEND_OPS	(SVANDV_COMP_CNTR_ATTACH_OP_SEND | \
			 SVANDV_COMP_CNTR_ATTACH_OP_RDMA_READ | \
			 SVANDV_COMP_CNTR_ATTACH_OP_RDMA_WRITE)
#define SVAN_ALL_OPS	(SVAN_SEND_OPS | SVANDV_COMP_CNTR_ATTACH_OP_RECV | \
			 SVANDV_COMP_CNTR_ATTACH_OP_REMOTE_RDMA_READ | \
			 SVANDV_COMP_CNTR_ATTACH_OP_REMOTE_RDMA_WRITE)

struct svan_counter {
	struct svandv_comp_cntr counter;
	void *buf;		/* of both counts; NULL: the user's memory */
};

static struct svan_counter *to_svan_counter(struct svandv_comp_cntr *counter)
{
	return container_of(counter, struct svan_counter, counter);
}

int svandv_query_comp_cntr_caps(struct ibv_context *context,
				struct svandv_comp_cntr_caps *caps)
{
	if (!svan_is_svan(context->device) ||
	    !(to_svan_ctx(context)->features & SVAN_CAP_COMP_COUNTERS))
		return EOPNOTSUPP;
	*caps = (struct svandv_comp_cntr_caps){
		.max_value = UINT64_MAX,
		.max_counters = to_svan_ctx(context)->max_comp_cntr,
		.max_context_counters =
			to_svan_ctx(context)->max_context_comp_cntr,
		.supported_qp_attach_ops =
			SVAN_SEND_OPS | SVANDV_COMP_CNTR_ATTACH_OP_RECV,
	};
	return 0;
}

/* ---- creation and destruction ---- */

/* The place of a count, for the kernel, and where the user can read it, or NULL. */
static int svan_locate(const struct svandv_memory_location *memory,
		       struct svan_ib_memory_location *location,
		       uint64_t **count)
{
	if (!svan_is_location(memory))
		return EINVAL;
	switch (memory->type) {
	case SVANDV_MEMORY_LOCATION_VA:
		location->type = SVAN_IB_MEMORY_VA;
		location->address = (uintptr_t)memory->ptr;
		break;
	case SVANDV_MEMORY_LOCATION_DMABUF:
		location->type = SVAN_IB_MEMORY_DMABUF;
		location->address = memory->dmabuf.offset;
		location->fd = memory->dmabuf.fd;
		break;
	default:
		return EINVAL;
	}
	*count = (uint64_t *)memory->ptr;
	return 0;
}

static int svan_locate_counts(struct svan_counter *counter,
			      const struct svandv_comp_cntr_init_attr *attr,
			      struct svan_ib_memory_location *success,
			      struct svan_ib_memory_location *error)
{
	struct svandv_memory_location memory = {
		.type = SVANDV_MEMORY_LOCATION_VA,
	};
	int ret;

	if (attr->flags & SVANDV_COMP_CNTR_INIT_WITH_EXTERNAL_MEM) {
		ret = svan_locate(&attr->comp_cntr_ext_mem, success,
				  &counter->counter.comp_count);
		return ret ? ret :
			     svan_locate(&attr->err_cntr_ext_mem, error,
					 &counter->counter.err_count);
	}
	counter->buf = svan_alloc_buf(SVAN_RING_ALIGN);
	if (!counter->buf)
		return ENOMEM;
	memory.ptr = counter->buf;
	svan_locate(&memory, success, &counter->counter.comp_count);
	memory.ptr += sizeof(uint64_t);
	svan_locate(&memory, error, &counter->counter.err_count);
	return 0;
}

static int svan_exec_create_counter(struct svandv_comp_cntr *counter,
				    const struct svan_ib_memory_location *success,
				    const struct svan_ib_memory_location *error)
{
	DECLARE_COMMAND_BUFFER(cmd, SVAN_IB_OBJECT_COMP_CNTR,
			       SVAN_IB_METHOD_COMP_CNTR_CREATE, 3);
	struct ib_uverbs_attr *handle;
	int ret;

	handle = fill_attr_out_obj(cmd, SVAN_IB_ATTR_COMP_CNTR_CREATE_HANDLE);
	fill_attr_in(cmd, SVAN_IB_ATTR_COMP_CNTR_CREATE_SUCCESS, success,
		     sizeof(*success));
	fill_attr_in(cmd, SVAN_IB_ATTR_COMP_CNTR_CREATE_ERROR, error,
		     sizeof(*error));
	ret = execute_ioctl(counter->context, cmd);
	if (!ret)
		counter->handle =
			read_attr_obj(SVAN_IB_ATTR_COMP_CNTR_CREATE_HANDLE,
				      handle);
	return ret;
}

static void svan_free_counter(struct svan_counter *counter)
{
	if (counter->buf)
		svan_free_buf(counter->buf, SVAN_RING_ALIGN);
	free(counter);
}

struct svandv_comp_cntr *
svandv_create_comp_cntr(struct ibv_context *context,
			struct svandv_comp_cntr_init_attr *attr)
{
	struct svan_ib_memory_location success = {}, error = {};
	struct svan_counter *counter;
	int ret;

	if (!svan_is_svan(context->device)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	if (attr->comp_mask ||
	    attr->flags & ~SVANDV_COMP_CNTR_INIT_WITH_EXTERNAL_MEM) {
		errno = EINVAL;
		return NULL;
	}
	counter = calloc(1, sizeof(*counter));
	if (!counter)
		return NULL;
	counter->counter.context = context;
	counter->counter.comp_count_max_value = UINT64_MAX;
	counter->counter.err_count_max_value = UINT64_MAX;
	ret = svan_locate_counts(counter, attr, &success, &error);
	if (!ret)
		ret = svan_exec_create_counter(&counter->counter, &success,
					       &error);
	if (ret) {
		svan_free_counter(counter);
		errno = ret;
		return NULL;
	}
	return &counter->counter;
}

int svandv_destroy_comp_cntr(struct svandv_comp_cntr *counter)
{
	DECLARE_COMMAND_BUFFER(cmd, SVAN_IB_OBJECT_COMP_CNTR,
			       SVAN_IB_METHOD_COMP_CNTR_DESTROY, 1);
	int ret;

	fill_attr_in_obj(cmd, SVAN_IB_ATTR_COMP_CNTR_DESTROY_HANDLE,
			 counter->handle);
	ret = execute_ioctl(counter->context, cmd);
	if (!ret)
		svan_free_counter(to_svan_counter(counter));
	return ret;
}

/* ---- changes ---- */

static int svan_exec_modify_counter(struct svandv_comp_cntr *counter,
				    uint32_t mask, uint64_t value)
{
	struct svan_ib_modify_counter modify = {
		.success = value, .error = value, .mask = mask,
	};
	DECLARE_COMMAND_BUFFER(cmd, SVAN_IB_OBJECT_COMP_CNTR,
			       SVAN_IB_METHOD_COMP_CNTR_MODIFY, 2);

	fill_attr_in_obj(cmd, SVAN_IB_ATTR_COMP_CNTR_MODIFY_HANDLE,
			 counter->handle);
	fill_attr_in(cmd, SVAN_IB_ATTR_COMP_CNTR_MODIFY, &modify,
		     sizeof(modify));
	return execute_ioctl(counter->context, cmd);
}

int svandv_set_comp_cntr(struct svandv_comp_cntr *counter, uint64_t value)
{
	return svan_exec_modify_counter(counter, SVAN_IB_COUNTER_SUCCESS,
					value);
}

int svandv_set_err_comp_cntr(struct svandv_comp_cntr *counter, uint64_t value)
{
	return svan_exec_modify_counter(counter, SVAN_IB_COUNTER_ERROR, value);
}

int svandv_inc_comp_cntr(struct svandv_comp_cntr *counter, uint64_t amount)
{
	return svan_exec_modify_counter(counter,
					SVAN_IB_COUNTER_SUCCESS |
					SVAN_IB_COUNTER_ADD, amount);
}

int svandv_inc_err_comp_cntr(struct svandv_comp_cntr *counter, uint64_t amount)
{
	return svan_exec_modify_counter(counter,
					SVAN_IB_COUNTER_ERROR |
					SVAN_IB_COUNTER_ADD, amount);
}

/* ---- attachment ---- */

static int svan_counter_sides(uint32_t ops, uint32_t *sides)
{
	if (!ops || ops & ~SVAN_ALL_OPS)
		return EINVAL;
	if (ops & ~(SVAN_SEND_OPS | SVANDV_COMP_CNTR_ATTACH_OP_RECV) ||
	    (ops & SVAN_SEND_OPS && ~ops & SVAN_SEND_OPS))
		return EOPNOTSUPP;
	*sides = (ops & SVAN_SEND_OPS ? SVAN_IB_COUNT_SEND : 0) |
		 (ops & SVANDV_COMP_CNTR_ATTACH_OP_RECV ? SVAN_IB_COUNT_RECV :
							  0);
	return 0;
}

int svandv_qp_attach_comp_cntr(struct ibv_qp *qp,
			       struct svandv_comp_cntr *counter,
			       struct svandv_comp_cntr_attach_attr *attr)
{
	DECLARE_COMMAND_BUFFER(cmd, UVERBS_OBJECT_QP,
			       SVAN_IB_METHOD_QP_ATTACH_COMP_CNTR, 3);
	uint32_t sides;
	int ret;

	if (!svan_is_svan(qp->context->device))
		return EOPNOTSUPP;
	if (attr->comp_mask || qp->context != counter->context)
		return EINVAL;
	ret = svan_counter_sides(attr->op_mask, &sides);
	if (ret)
		return ret;

	fill_attr_in_obj(cmd, SVAN_IB_ATTR_ATTACH_COMP_CNTR_QP, qp->handle);
	fill_attr_in_obj(cmd, SVAN_IB_ATTR_ATTACH_COMP_CNTR_HANDLE,
			 counter->handle);
	fill_attr_in_uint32(cmd, SVAN_IB_ATTR_ATTACH_COMP_CNTR_SIDES, sides);
	return execute_ioctl(qp->context, cmd);
}

/* ---- slots ---- */

/* What the counter tells of was posted before, so that the number read here covers it. */
int svandv_retire_sends(struct ibv_qp *ibqp, uint64_t count)
{
	struct svan_qp *qp = to_svan_qp(ibqp);
	struct svan_cq *cq = to_svan_cq(ibqp->send_cq);
	uint32_t posted;
	int ret;

	if (!svan_is_svan(ibqp->context->device))
		return EOPNOTSUPP;
	pthread_spin_lock(&qp->sq_lock);
	posted = qp->sq.posted;
	pthread_spin_unlock(&qp->sq_lock);

	svan_cq_lock(&cq->lock);
	ret = svan_sq_retire(&qp->sq, count, posted);
	svan_cq_unlock(&cq->lock);
	return ret;
}

int svandv_retire_recvs(struct ibv_qp *ibqp, uint64_t count)
{
	struct svan_qp *qp = to_svan_qp(ibqp);
	struct svan_cq *cq = to_svan_cq(ibqp->recv_cq);
	uint32_t pi;
	int ret;

	if (!svan_is_svan(ibqp->context->device))
		return EOPNOTSUPP;
	if (!qp->rq.counted)
		return EINVAL;
	pthread_spin_lock(&qp->rq_lock);
	pi = qp->rq.pi;
	pthread_spin_unlock(&qp->rq_lock);

	svan_cq_lock(&cq->lock);
	ret = svan_rq_retire_counted(&qp->rq, count, pi);
	svan_cq_unlock(&cq->lock);
	return ret;
}
