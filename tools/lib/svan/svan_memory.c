/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Queues in memory of the user, which may be that of another device. */

#include <errno.h>
#include <string.h>

#include "svan.h"
#include "svan_abi.h"

bool svan_is_location(const struct svandv_memory_location *memory)
{
	static const uint8_t none[sizeof(memory->reserved)];

	return !memcmp(memory->reserved, none, sizeof(none)) &&
	       (memory->type != SVANDV_MEMORY_LOCATION_DMABUF ||
		!memory->dmabuf.reserved);
}

int svan_describe(const struct svandv_memory_location *memory, uint64_t length,
		  struct svan_ib_buffer_desc *desc)
{
	if (!svan_is_location(memory))
		return EINVAL;
	desc->length = length;
	switch (memory->type) {
	case SVANDV_MEMORY_LOCATION_VA:
		desc->type = SVAN_IB_BUFFER_TYPE_VA;
		desc->addr = (uintptr_t)memory->ptr;
		return memory->ptr ? 0 : EINVAL;
	case SVANDV_MEMORY_LOCATION_DMABUF:
		desc->type = SVAN_IB_BUFFER_TYPE_DMABUF;
		desc->addr = memory->dmabuf.offset;
		desc->fd = memory->dmabuf.fd;
		return 0;
	default:
		return EINVAL;
	}
}

int svandv_query_qp_sizes(struct ibv_context *context,
			  const struct ibv_qp_cap *cap,
			  struct svandv_qp_sizes *sizes)
{
	struct svan_qp_layout layout;
	int ret;

	if (!svan_is_svan(context->device))
		return EOPNOTSUPP;
	ret = svan_choose_layout(to_svan_ctx(context), cap, false, &layout);
	if (ret)
		return ret;
	sizes->sq = svan_sq_bytes(&layout);
	sizes->rq = svan_rq_bytes(&layout);
	sizes->dbr = sizeof(struct svan_qp_dbr);
	return 0;
}

static uint64_t svan_cq_bytes(const struct svan_cq_layout *layout)
{
	return layout->dbr_offset + sizeof(struct svan_cq_dbr);
}

int svandv_query_cq_length(struct ibv_context *context, uint32_t cqe,
			   uint64_t *length)
{
	struct svan_cq_layout layout;
	int ret;

	if (!svan_is_svan(context->device))
		return EOPNOTSUPP;
	ret = svan_cq_layout(cqe, to_svan_ctx(context)->max_cqe, &layout);
	if (!ret)
		*length = svan_cq_bytes(&layout);
	return ret;
}

struct ibv_cq_ex *svandv_create_cq(struct ibv_context *context,
				   struct ibv_cq_init_attr_ex *attr,
				   const struct svandv_cq_init_attr *svan_attr)
{
	uint64_t length;
	int ret;

	if (!svan_is_svan(context->device)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	if (svan_attr->comp_mask ||
	    svan_attr->flags & ~(uint64_t)SVANDV_CQ_INIT_FLAGS_EXT_MEM) {
		errno = EINVAL;
		return NULL;
	}
	if (!svan_attr->flags)
		return svan_make_cq_ex(context, attr, NULL);
	ret = svandv_query_cq_length(context, attr->cqe, &length);
	if (!ret && svan_attr->ext_mem_length < length)
		ret = EINVAL;
	if (ret) {
		errno = ret;
		return NULL;
	}
	return svan_make_cq_ex(context, attr, &svan_attr->ext_mem);
}

int svandv_query_cq(struct ibv_cq *ibcq, struct svandv_cq_attr *attr)
{
	struct svan_cq *cq = to_svan_cq(ibcq);

	if (!svan_is_svan(ibcq->context->device))
		return EOPNOTSUPP;
	*attr = (struct svandv_cq_attr){
		.cq_num = cq->cqn,
		.num_entries = 1u << cq->ring.log_size,
		.entry_size = sizeof(struct svan_cqe),
		.buffer = cq->ring.cqes,
		.dbr = cq->ring.dbr,
		.dbr_offset = sizeof(struct svan_cqe) << cq->ring.log_size,
	};
	return 0;
}
