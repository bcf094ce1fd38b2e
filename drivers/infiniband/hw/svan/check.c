// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks of the requests that users send, and conversion between the values of verbs
 * and those of the device. Nothing here accesses the device.
 */

#include <kunit/visibility.h>
#include <linux/overflow.h>

#include "svan_ib.h"

/*
 * Read the private part of a command. A newer provider may send more, but only zeroes
 * are accepted there.
 */
int svan_ib_read_ureq(void *ureq, size_t size, struct ib_udata *udata)
{
	if (udata->inlen < size)
		return -EINVAL;
	if (udata->inlen > size &&
	    !ib_is_udata_cleared(udata, size, udata->inlen - size))
		return -EOPNOTSUPP;
	return ib_copy_from_udata(ureq, udata, size);
}

/* Check the private part of a command that has none: only zeroes are accepted. */
int svan_ib_no_ureq(struct ib_udata *udata)
{
	if (udata && udata->inlen &&
	    !ib_is_udata_cleared(udata, 0, udata->inlen))
		return -EOPNOTSUPP;
	return 0;
}

int svan_ib_write_uresp(struct ib_udata *udata, void *uresp, size_t size)
{
	if (!udata)
		return 0;
	return ib_copy_to_udata(udata, uresp, min(size, udata->outlen));
}

/* a part of a queue buffer */
struct svan_ib_part {
	u64 offset;
	u64 size;
};

/* Parts must be aligned to 64 bytes, lie within the buffer and not overlap. */
static bool svan_ib_parts_ok(const struct svan_ib_part *parts, int count,
			     u64 length)
{
	int i, j;

	for (i = 0; i < count; i++) {
		if (parts[i].offset % SVAN_WQEBB_SIZE)
			return false;
		if (parts[i].size > length ||
		    parts[i].offset > length - parts[i].size)
			return false;
		for (j = 0; j < i; j++)
			if (parts[i].offset < parts[j].offset + parts[j].size &&
			    parts[j].offset < parts[i].offset + parts[i].size)
				return false;
	}
	return true;
}

static bool svan_ib_buffer_ok(u64 va, u64 length)
{
	u64 end;

	return length && !(va & ~PAGE_MASK) &&
	       !check_add_overflow(va, length, &end);
}

/* Memory of a queue that is not in the provider's buffer: @size octets are needed. */
static bool svan_ib_desc_ok(const struct svan_ib_buffer_desc *desc, u64 size)
{
	u64 end;

	if (!desc->length)
		return !desc->type && !desc->fd && !desc->flags && !desc->addr;
	return (desc->type == SVAN_IB_BUFFER_TYPE_DMABUF ||
		(desc->type == SVAN_IB_BUFFER_TYPE_VA && !desc->fd)) &&
	       !desc->flags && !(desc->addr % SVAN_WQEBB_SIZE) &&
	       desc->length >= size &&
	       !check_add_overflow(desc->addr, desc->length, &end);
}

int svan_ib_check_cq_ureq(const struct svan_ureq_create_cq *ureq,
			  const struct svan_caps *caps, u32 cqe)
{
	struct svan_ib_part parts[] = {
		{ .offset = 0 },
		{ .offset = ureq->dbr_offset, .size = sizeof(struct svan_cq_dbr) },
	};
	u64 length = ureq->buf.length ?: ureq->buf_length;

	if (ureq->log_size > SVAN_CQ_MAX_LOG_SIZE ||
	    BIT(ureq->log_size) > le32_to_cpu(caps->max_cqe) ||
	    BIT(ureq->log_size) < cqe)
		return -EINVAL;
	if (!svan_ib_desc_ok(&ureq->buf, 0))
		return -EINVAL;
	if (ureq->buf.length ? ureq->buf_va || ureq->buf_length :
			       !svan_ib_buffer_ok(ureq->buf_va, ureq->buf_length))
		return -EINVAL;

	parts[0].size = sizeof(struct svan_cqe) << ureq->log_size;
	if (!svan_ib_parts_ok(parts, ARRAY_SIZE(parts), length))
		return -EINVAL;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_check_cq_ureq);

static bool svan_ib_recv_sizes_ok(u8 log_size, u8 log_stride,
				  const struct svan_caps *caps)
{
	return log_stride >= SVAN_RWQE_MIN_LOG_STRIDE &&
	       log_stride <= SVAN_RWQE_MAX_LOG_STRIDE &&
	       log_size <= SVAN_RQ_MAX_LOG_SIZE &&
	       BIT(log_size) <= le32_to_cpu(caps->max_qp_rwqe);
}

/* @attr: what the user asks for, for which there must be room */
int svan_ib_check_srq_ureq(const struct svan_ureq_create_srq *ureq,
			   const struct svan_caps *caps,
			   const struct ib_srq_attr *attr)
{
	struct svan_ib_part parts[] = {
		{ .offset = 0 },
		{ .offset = ureq->dbr_offset, .size = sizeof(struct svan_srq_dbr) },
	};

	if (ureq->reserved[0] || ureq->reserved[1])
		return -EINVAL;
	if (!svan_ib_recv_sizes_ok(ureq->log_size, ureq->log_stride, caps) ||
	    BIT(ureq->log_size) < attr->max_wr ||
	    ureq->log_stride < svan_rwqe_log_stride(attr->max_sge))
		return -EINVAL;

	parts[0].size = 1ull << (ureq->log_size + ureq->log_stride);
	if (!svan_ib_buffer_ok(ureq->buf_va, ureq->buf_length) ||
	    !svan_ib_parts_ok(parts, ARRAY_SIZE(parts), ureq->buf_length))
		return -EINVAL;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_check_srq_ureq);

static bool svan_ib_rq_ok(const struct svan_ureq_create_qp *ureq,
			  const struct svan_caps *caps)
{
	if (!ureq->log_rq_stride)
		return !ureq->log_rq_size && !ureq->rq_offset;

	return svan_ib_recv_sizes_ok(ureq->log_rq_size, ureq->log_rq_stride,
				     caps);
}

/* The parts of the provider's buffer, and those that have a place of their own. */
static bool svan_ib_qp_memory_ok(const struct svan_ureq_create_qp *ureq)
{
	const struct {
		const struct svan_ib_buffer_desc *desc;
		u32 offset;
		u64 size;
	} all[] = {
		{ &ureq->sq_buf, ureq->sq_offset,
		  (u64)SVAN_WQEBB_SIZE << ureq->log_sq_bbs },
		{ &ureq->dbr_buf, ureq->dbr_offset, sizeof(struct svan_qp_dbr) },
		{ &ureq->rq_buf, ureq->rq_offset, ureq->log_rq_stride ?
		  1ull << (ureq->log_rq_stride + ureq->log_rq_size) : 0 },
	};
	struct svan_ib_part parts[ARRAY_SIZE(all)];
	int i, count = 0;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (!svan_ib_desc_ok(all[i].desc, all[i].size))
			return false;
		if (!all[i].size && all[i].desc->length)
			return false;
		if (all[i].desc->length && all[i].offset)
			return false;
		if (!all[i].size || all[i].desc->length)
			continue;
		parts[count].offset = all[i].offset;
		parts[count++].size = all[i].size;
	}
	if (!count)
		return !ureq->buf_va && !ureq->buf_length;
	return svan_ib_buffer_ok(ureq->buf_va, ureq->buf_length) &&
	       svan_ib_parts_ok(parts, count, ureq->buf_length);
}

int svan_ib_check_qp_ureq(const struct svan_ureq_create_qp *ureq,
			  const struct svan_caps *caps)
{
	if (ureq->reserved || ureq->flags & ~SVAN_UREQ_QP_MASK ||
	    (!(ureq->flags & SVAN_UREQ_QP_OWN_UAR) && ureq->uar_page))
		return -EINVAL;
	if (ureq->log_sq_bbs > SVAN_SQ_MAX_LOG_BBS ||
	    BIT(ureq->log_sq_bbs) > le32_to_cpu(caps->max_qp_wqebb))
		return -EINVAL;
	if (!svan_ib_rq_ok(ureq, caps) || !svan_ib_qp_memory_ok(ureq))
		return -EINVAL;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_check_qp_ureq);

int svan_ib_check_qp_cap(const struct ib_qp_cap *cap,
			 const struct svan_caps *caps)
{
	if (cap->max_send_wr > le32_to_cpu(caps->max_qp_wqebb) ||
	    cap->max_recv_wr > le32_to_cpu(caps->max_qp_rwqe) ||
	    cap->max_send_sge > le16_to_cpu(caps->max_sge) ||
	    cap->max_recv_sge > le16_to_cpu(caps->max_sge) ||
	    cap->max_inline_data > le16_to_cpu(caps->max_inline))
		return -EINVAL;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_check_qp_cap);

static const struct {
	int ib;
	u32 svan;
} svan_ib_rights[] = {
	{ IB_ACCESS_LOCAL_WRITE,	SVAN_ACCESS_LOCAL_WRITE },
	{ IB_ACCESS_REMOTE_WRITE,	SVAN_ACCESS_REMOTE_WRITE },
	{ IB_ACCESS_REMOTE_READ,	SVAN_ACCESS_REMOTE_READ },
	{ IB_ACCESS_REMOTE_ATOMIC,	SVAN_ACCESS_REMOTE_ATOMIC },
	{ IB_ZERO_BASED,		SVAN_ACCESS_ZERO_BASED },
	{ IB_ACCESS_RELAXED_ORDERING,	SVAN_ACCESS_RELAXED_ORDERING },
};

static u32 svan_ib_map_rights(int ib_access, int *unknown)
{
	u32 access = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(svan_ib_rights); i++) {
		if (ib_access & svan_ib_rights[i].ib)
			access |= svan_ib_rights[i].svan;
		ib_access &= ~svan_ib_rights[i].ib;
	}
	*unknown = ib_access;
	return access;
}

/* Convert the rights of a key. Flags that are mere hints are ignored. */
int svan_ib_mr_access(int ib_access, u32 *access)
{
	int unknown;

	*access = svan_ib_map_rights(ib_access, &unknown);
	if (unknown & ~(IB_ACCESS_OPTIONAL | IB_ACCESS_HUGETLB))
		return -EOPNOTSUPP;
	if (*access & (SVAN_ACCESS_REMOTE_WRITE | SVAN_ACCESS_REMOTE_ATOMIC) &&
	    !(*access & SVAN_ACCESS_LOCAL_WRITE))
		return -EINVAL;
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_mr_access);

/* Convert the rights that a QP grants. Only the remote ones have a meaning there. */
u32 svan_ib_qp_access(int ib_access)
{
	int unknown;

	return svan_ib_map_rights(ib_access, &unknown) & SVAN_ACCESS_REMOTE_MASK;
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_qp_access);

int svan_ib_from_mr_access(u32 access)
{
	int i, ib_access = 0;

	for (i = 0; i < ARRAY_SIZE(svan_ib_rights); i++)
		if (access & svan_ib_rights[i].svan)
			ib_access |= svan_ib_rights[i].ib;
	return ib_access;
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_from_mr_access);

int svan_ib_from_qp_access(u32 access)
{
	return svan_ib_from_mr_access(access & SVAN_ACCESS_REMOTE_MASK);
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_from_qp_access);

enum ib_wc_status svan_ib_wc_status(u8 status)
{
	static const enum ib_wc_status map[] = {
		[SVAN_CQE_SUCCESS]		= IB_WC_SUCCESS,
		[SVAN_CQE_LOC_LEN_ERR]		= IB_WC_LOC_LEN_ERR,
		[SVAN_CQE_LOC_QP_OP_ERR]	= IB_WC_LOC_QP_OP_ERR,
		[SVAN_CQE_LOC_PROT_ERR]		= IB_WC_LOC_PROT_ERR,
		[SVAN_CQE_WR_FLUSH_ERR]		= IB_WC_WR_FLUSH_ERR,
		[SVAN_CQE_MW_BIND_ERR]		= IB_WC_MW_BIND_ERR,
		[SVAN_CQE_BAD_RESP_ERR]		= IB_WC_BAD_RESP_ERR,
		[SVAN_CQE_LOC_ACCESS_ERR]	= IB_WC_LOC_ACCESS_ERR,
		[SVAN_CQE_REM_INV_REQ_ERR]	= IB_WC_REM_INV_REQ_ERR,
		[SVAN_CQE_REM_ACCESS_ERR]	= IB_WC_REM_ACCESS_ERR,
		[SVAN_CQE_REM_OP_ERR]		= IB_WC_REM_OP_ERR,
		[SVAN_CQE_RETRY_EXC_ERR]	= IB_WC_RETRY_EXC_ERR,
		[SVAN_CQE_RNR_RETRY_EXC_ERR]	= IB_WC_RNR_RETRY_EXC_ERR,
		[SVAN_CQE_REM_ABORT_ERR]	= IB_WC_REM_ABORT_ERR,
		[SVAN_CQE_FATAL_ERR]		= IB_WC_FATAL_ERR,
		[SVAN_CQE_GENERAL_ERR]		= IB_WC_GENERAL_ERR,
	};

	return status < ARRAY_SIZE(map) ? map[status] : IB_WC_GENERAL_ERR;
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_wc_status);

enum ib_wc_opcode svan_ib_wc_send_opcode(u8 wqe_opcode)
{
	switch (wqe_opcode) {
	case SVAN_WQE_RDMA_WRITE:
	case SVAN_WQE_RDMA_WRITE_IMM:
		return IB_WC_RDMA_WRITE;
	case SVAN_WQE_RDMA_READ:
		return IB_WC_RDMA_READ;
	case SVAN_WQE_ATOMIC_CMP_SWP:
		return IB_WC_COMP_SWAP;
	case SVAN_WQE_ATOMIC_FETCH_ADD:
		return IB_WC_FETCH_ADD;
	default:
		return IB_WC_SEND;
	}
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_wc_send_opcode);

/* The enum ib_event_type of an event of the device; negative if it is not of a QP. */
int svan_ib_event_type(u8 event)
{
	switch (event) {
	case SVAN_EVENT_QP_FATAL:
		return IB_EVENT_QP_FATAL;
	case SVAN_EVENT_QP_REQ_ERR:
		return IB_EVENT_QP_REQ_ERR;
	case SVAN_EVENT_QP_ACCESS_ERR:
		return IB_EVENT_QP_ACCESS_ERR;
	case SVAN_EVENT_QP_COMM_EST:
		return IB_EVENT_COMM_EST;
	case SVAN_EVENT_QP_SQ_DRAINED:
		return IB_EVENT_SQ_DRAINED;
	case SVAN_EVENT_QP_LAST_WQE:
		return IB_EVENT_QP_LAST_WQE_REACHED;
	default:
		return -EINVAL;
	}
}
EXPORT_SYMBOL_IF_KUNIT(svan_ib_event_type);
