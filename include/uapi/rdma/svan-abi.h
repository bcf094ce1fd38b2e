/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR Linux-OpenIB) */
/*
 * Verbs ABI between svan_ib.ko and its libibverbs provider. Fields are in host
 * byte order, and the layout is the same on 32 and 64 bits. Structures only grow
 * at their end. svan_ib.ko refuses a shorter request, and zeroes are all that it
 * accepts in a longer one; of a response it writes what there is room for.
 */
#ifndef SVAN_ABI_USER_H
#define SVAN_ABI_USER_H

#include <linux/types.h>

#define SVAN_UVERBS_ABI_VERSION	1

/*
 * Each verbs context owns one UAR page, with the doorbells of its queues. The
 * page is mapped by mmap() of uar_size bytes at uar_mmap_offset, write-only and
 * shared.
 */
struct svan_uresp_alloc_ucontext {
	__aligned_u64 features;		/* SVAN_CAP_* */
	__aligned_u64 uar_mmap_offset;
	__u32 uar_size;
	__u32 max_qp_wqebb;		/* limits as in struct svan_caps */
	__u32 max_qp_rwqe;
	__u32 max_cqe;
	__u32 max_sge;
	__u32 max_inline;
	__u32 max_comp_cntr;		/* of the device; 0: none */
	__u32 max_uar;			/* of the device */
	__u32 max_context_uar;		/* that are objects, of a context */
	__u32 max_context_comp_cntr;	/* of a context */
};

struct svan_uresp_alloc_pd {
	__u32 pdn;
	__u32 reserved;
};

enum svan_ib_buffer_type {
	SVAN_IB_BUFFER_TYPE_DMABUF,	/* its exporter may revoke it */
	SVAN_IB_BUFFER_TYPE_VA,		/* of the caller */
};

/*
 * Where a queue lies instead of in the provider's buffer. Layout and types are those of
 * struct ib_uverbs_buffer_desc, which ib_uverbs got later, with attributes of the
 * commands that create queues. addr is a multiple of 64. length 0: the queue is in
 * the provider's buffer, and all else is zero.
 */
struct svan_ib_buffer_desc {
	__u32 type;			/* enum svan_ib_buffer_type */
	__s32 fd;			/* DMABUF, else 0 */
	__u32 flags;			/* none are known */
	__u32 optional_flags;		/* those that are not known are ignored */
	__aligned_u64 addr;		/* or offset in the dma-buf */
	__aligned_u64 length;
};

/*
 * One buffer holds the CQEs and, at dbr_offset, the doorbell record. The
 * provider allocates it, page-aligned, and keeps it until the CQ is gone; or it is
 * where buf says, and buf_va and buf_length are zero.
 */
struct svan_ureq_create_cq {
	__aligned_u64 buf_va;
	__aligned_u64 buf_length;
	__u32 dbr_offset;
	__u32 log_size;
	struct svan_ib_buffer_desc buf;
};

struct svan_uresp_create_cq {
	__u32 cqn;
	__u32 reserved;
};

/*
 * One buffer holds the entries and, at dbr_offset, the doorbell record of a shared
 * receive queue. It is as that of a CQ.
 */
struct svan_ureq_create_srq {
	__aligned_u64 buf_va;
	__aligned_u64 buf_length;
	__u32 dbr_offset;
	__u8 log_size;
	__u8 log_stride;
	__u8 reserved[2];
};

struct svan_uresp_create_srq {
	__u32 srqn;
	__u32 reserved;
};

/* the doorbells of the QP are in the page uar_page, an object of its own */
#define SVAN_UREQ_QP_OWN_UAR		0x1
/* receives that succeed are counted, and write no CQE (svan/queues.h) */
#define SVAN_UREQ_QP_RECV_NO_CQE	0x2
#define SVAN_UREQ_QP_MASK		0x3

/*
 * One buffer holds SQ, RQ and doorbell record of a QP, but for those that have a place
 * of their own, whose offset is zero. If all have, buf_va and buf_length are zero.
 */
struct svan_ureq_create_qp {
	__aligned_u64 buf_va;
	__aligned_u64 buf_length;
	__u32 sq_offset;
	__u32 rq_offset;
	__u32 dbr_offset;
	__u8 log_sq_bbs;
	__u8 log_rq_size;
	__u8 log_rq_stride;		/* 0: no receive queue of its own */
	__u8 reserved;
	__u32 flags;			/* SVAN_UREQ_QP_* */
	__u32 uar_page;			/* without OWN_UAR: zero */
	struct svan_ib_buffer_desc sq_buf;
	struct svan_ib_buffer_desc rq_buf;
	struct svan_ib_buffer_desc dbr_buf;
};

struct svan_uresp_create_qp {
	__u32 qpn;
	__u32 reserved;
};

/*
 * The address as the device takes it, for the provider to put into its WQEs: struct
 * svan_av (svan/queues.h) but for the QPN and the Q_Key, which are zero.
 */
struct svan_uresp_create_ah {
	__u8 av[64];
};

#endif /* SVAN_ABI_USER_H */
