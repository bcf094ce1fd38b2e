/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR Linux-OpenIB) */
/*
 * Methods and objects of svan_ib.ko, called through the ioctl interface of ib_uverbs.
 */
#ifndef SVAN_USER_IOCTL_CMDS_H
#define SVAN_USER_IOCTL_CMDS_H

#include <linux/types.h>
#include <rdma/ib_user_ioctl_cmds.h>

/* methods of UVERBS_OBJECT_QP */
enum svan_ib_qp_methods {
	SVAN_IB_METHOD_SET_FAULT_POLICY = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_METHOD_QUERY_FAULT_POLICY,
	SVAN_IB_METHOD_QP_ATTACH_COMP_CNTR,
};

/* attributes of both methods: the QP's handle and a struct svan_ib_fault_policy */
enum svan_ib_fault_policy_attrs {
	SVAN_IB_ATTR_FAULT_POLICY_QP = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_ATTR_FAULT_POLICY,
};

/*
 * What a QP does with transfers that meet an absent page. The fields are those of
 * struct svan_fault_policy in svan/faults.h, in host byte order.
 */
struct svan_ib_fault_policy {
	__u8 mode;			/* enum svan_fault_mode, not FAIL */
	__u8 sources;			/* SVAN_ESTIMATE_* */
	__u16 reserved0;
	__u32 hold_max_us;
	__u32 divert_max_us;
	__u32 drop_max_us;
	__u32 bound_us;
	__u32 unknown_us;
	__u32 hold_bytes;
	__u32 divert_pages;
};

enum svan_ib_objects {
	SVAN_IB_OBJECT_UAR = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_OBJECT_COMP_CNTR,
};

/*
 * A UAR page for the doorbells of one QP, so that they can be handed to another
 * peripheral. It is mapped as the page of the verbs context is. Its dma-buf can be
 * attached by the driver of an accelerator alone, and cannot be mapped by mmap().
 */
enum svan_ib_uar_methods {
	SVAN_IB_METHOD_UAR_ALLOC = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_METHOD_UAR_DESTROY,
	SVAN_IB_METHOD_UAR_EXPORT_DMABUF,
};

enum svan_ib_uar_alloc_attrs {
	SVAN_IB_ATTR_UAR_ALLOC_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_ATTR_UAR_ALLOC_PAGE,		/* __u32, for svan_ureq_create_qp */
	SVAN_IB_ATTR_UAR_ALLOC_OFFSET,		/* __u64, for mmap() */
};

enum svan_ib_uar_destroy_attrs {
	SVAN_IB_ATTR_UAR_DESTROY_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
};

enum svan_ib_uar_export_dmabuf_attrs {
	SVAN_IB_ATTR_UAR_EXPORT_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_ATTR_UAR_EXPORT_FD,		/* __s32 */
};

/* A completion counter: a count of successes and a count of errors, 64 bits each. */
enum svan_ib_comp_cntr_methods {
	SVAN_IB_METHOD_COMP_CNTR_CREATE = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_METHOD_COMP_CNTR_DESTROY,
	SVAN_IB_METHOD_COMP_CNTR_MODIFY,
};

enum svan_ib_memory_type {
	SVAN_IB_MEMORY_VA,		/* of the caller, pinned */
	SVAN_IB_MEMORY_DMABUF,		/* its exporter may revoke it */
};

/* Where a count lies. */
struct svan_ib_memory_location {
	__aligned_u64 address;		/* or offset in the dma-buf; 8-byte aligned */
	__s32 fd;			/* of the dma-buf, else 0 */
	__u16 type;			/* enum svan_ib_memory_type */
	__u16 reserved;
};

enum svan_ib_comp_cntr_create_attrs {
	SVAN_IB_ATTR_COMP_CNTR_CREATE_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_ATTR_COMP_CNTR_CREATE_SUCCESS,	/* struct svan_ib_memory_location */
	SVAN_IB_ATTR_COMP_CNTR_CREATE_ERROR,	/* the same */
};

enum svan_ib_comp_cntr_destroy_attrs {
	SVAN_IB_ATTR_COMP_CNTR_DESTROY_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
};

enum svan_ib_comp_cntr_modify_attrs {
	SVAN_IB_ATTR_COMP_CNTR_MODIFY_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_ATTR_COMP_CNTR_MODIFY,		/* struct svan_ib_modify_counter */
};

#define SVAN_IB_COUNTER_SUCCESS		0x1	/* this count changes */
#define SVAN_IB_COUNTER_ERROR		0x2
#define SVAN_IB_COUNTER_ADD		0x4	/* by the values, else to the values */

struct svan_ib_modify_counter {
	__aligned_u64 success;
	__aligned_u64 error;
	__u32 mask;			/* SVAN_IB_COUNTER_* */
	__u32 reserved;
};

/* attributes of SVAN_IB_METHOD_QP_ATTACH_COMP_CNTR */
enum svan_ib_attach_comp_cntr_attrs {
	SVAN_IB_ATTR_ATTACH_COMP_CNTR_QP = (1U << UVERBS_ID_NS_SHIFT),
	SVAN_IB_ATTR_ATTACH_COMP_CNTR_HANDLE,
	SVAN_IB_ATTR_ATTACH_COMP_CNTR_SIDES,	/* enum svan_ib_counter_sides */
};

enum svan_ib_counter_sides {
	SVAN_IB_COUNT_SEND = 1 << 0,
	SVAN_IB_COUNT_RECV = 1 << 1,
};

#endif /* SVAN_USER_IOCTL_CMDS_H */
