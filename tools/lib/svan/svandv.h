/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Direct verbs: what a Svan device can do beyond what libibverbs offers. Link with
 * -lsvan. A call with an object of a device that is no Svan device returns
 * EOPNOTSUPP.
 */
#ifndef SVANDV_H
#define SVANDV_H

#include <stdbool.h>
#include <stdint.h>

#include <infiniband/verbs.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Is @device a Svan device? */
bool svandv_is_supported(struct ibv_device *device);

/* What a responder does with a packet that meets an absent page (manual, "Faults"). */
enum svandv_fault_mode {
	SVANDV_FAULT_AUTO = 0,		/* choose by the estimate */
	SVANDV_FAULT_HOLD = 1,		/* keep it in the device's fault buffer */
	SVANDV_FAULT_RNR = 2,		/* RNR NAK; its timer covers the estimate */
	SVANDV_FAULT_DIVERT = 3,	/* keep it in spare pages of the host */
	SVANDV_FAULT_DROP = 4,		/* drop it, call back when the page has come */
};

/* Where an estimate may come from. */
enum svandv_estimate_source {
	SVANDV_ESTIMATE_ENTRY = 1 << 0,		/* absent entry of a key's table */
	SVANDV_ESTIMATE_LOCATION = 1 << 1,	/* location table of a process */
	SVANDV_ESTIMATE_RESPONSE = 1 << 2,	/* response to the page request */
};

/*
 * SVANDV_FAULT_AUTO takes the first of hold, divert and drop whose limit covers the
 * estimate and that has room, and RNR if there is none. Times are in microseconds.
 */
struct svandv_fault_policy {
	enum svandv_fault_mode mode;
	uint32_t sources;		/* mask of enum svandv_estimate_source to use */
	uint32_t hold_max_us;
	uint32_t divert_max_us;
	uint32_t drop_max_us;
	uint32_t bound_us;		/* longest wait before an RNR NAK; 0: no bound */
	uint32_t unknown_us;		/* time to assume if no estimate is known */
	uint32_t hold_bytes;		/* this QP's limit in the fault buffer */
	uint32_t divert_pages;		/* this QP's limit of spare pages */
};

/*
 * Set or query the fault policy of the receiving side of a QP. UC and UD QPs hold, or
 * drop where the policy says anything else; what they drop is lost. A new policy takes
 * effect with the next absent page that the QP meets. Without CAP_NET_ADMIN,
 * bound_us, hold_bytes and divert_pages are limited to the values of a new QP; the
 * query returns the policy in force.
 * Return 0 or an errno value: EINVAL for a mode or a source that does not exist.
 */
int svandv_set_fault_policy(struct ibv_qp *qp,
			    const struct svandv_fault_policy *policy);
int svandv_query_fault_policy(struct ibv_qp *qp,
			      struct svandv_fault_policy *policy);

/* ---- where queues and counts lie ---- */

enum svandv_memory_location_type {
	SVANDV_MEMORY_LOCATION_VA,
	SVANDV_MEMORY_LOCATION_DMABUF,
};

/*
 * Memory of the process, or of another device. The shape is that of struct
 * ibv_memory_location, which libibverbs got later.
 */
struct svandv_memory_location {
	uint8_t *ptr;		/* DMABUF: where it is mapped, or NULL */
	struct {
		uint64_t offset;
		int32_t fd;
		uint32_t reserved;
	} dmabuf;
	uint8_t type;		/* enum svandv_memory_location_type */
	uint8_t reserved[7];
};

/* ---- doorbells that another peripheral rings (manual, "Doorbells") ---- */

/*
 * A UAR page: the doorbells of one QP. It can be exported as a window, a dma-buf that
 * the driver of an accelerator attaches; no other driver may, and a process cannot map
 * it. When the page is freed, or its context closed, windows of it lead nowhere.
 */
struct svandv_uar {
	struct ibv_context *context;
	void *base_addr;		/* mapped write-only */
	size_t length;			/* octets */
	uint32_t page_id;
	uint32_t handle;		/* of the provider */
};

struct svandv_uar_caps {
	uint32_t max_uars;		/* of the device; each context takes one, too */
	uint32_t max_context_uars;	/* of a context */
};

/* Return 0, or EOPNOTSUPP. */
int svandv_query_uar_caps(struct ibv_context *context,
			  struct svandv_uar_caps *caps);
/*
 * Return NULL and set errno on error: ENOSPC if the context has as many pages as it
 * may have, or the user half of the device's, ENOMEM if the device has none left.
 */
struct svandv_uar *svandv_alloc_uar(struct ibv_context *context);
/* Return 0 or an errno value: EBUSY while the page is a QP's. */
int svandv_free_uar(struct svandv_uar *uar);
/* Return a file descriptor of the window, or -1 and set errno. */
int svandv_uar_export_dmabuf_fd(struct svandv_uar *uar);

enum svandv_qp_init_attr_mask {
	SVANDV_QP_INIT_ATTR_CREATE_FLAGS = 1 << 0,
	SVANDV_QP_INIT_ATTR_SQ_MEM = 1 << 1,
	SVANDV_QP_INIT_ATTR_RQ_MEM = 1 << 2,
	SVANDV_QP_INIT_ATTR_DBR_MEM = 1 << 3,
};

enum svandv_qp_create_flags {
	/*
	 * Receives that succeed, and are counted, write no completion. Whatever they
	 * write, their slots become free by svandv_retire_recvs() alone.
	 */
	SVANDV_QP_CREATE_RECV_NO_CQE = 1 << 0,
};

struct svandv_qp_init_attr {
	uint64_t comp_mask;		/* enum svandv_qp_init_attr_mask */
	struct svandv_uar *uar;		/* no other QP's; it outlives the QP */
	uint32_t create_flags;		/* enum svandv_qp_create_flags */
	struct svandv_memory_location sq_mem;	/* of the send queue */
	struct svandv_memory_location rq_mem;	/* of the receive queue */
	struct svandv_memory_location dbr_mem;	/* of the doorbell record */
};

/* Octets that the parts of an RC QP take, each from a multiple of 64 on. */
struct svandv_qp_sizes {
	uint64_t sq;
	uint64_t rq;			/* 0: no receive queue */
	uint64_t dbr;
};

/* Return 0 or an errno value: EINVAL for more than the device allows. */
int svandv_query_qp_sizes(struct ibv_context *context,
			  const struct ibv_qp_cap *cap,
			  struct svandv_qp_sizes *sizes);

/*
 * Create a QP whose doorbells are in a page of its own, or, without a page, in that of
 * the context. What has no memory of its own lies in the provider's. What stands in the
 * memory does not matter: the device initialises the record, and reads of the queues only
 * what was posted. The memory belongs to the QP until that is destroyed.
 *
 * Without a ptr of the send (receive) queue, posting and preparing sends (receives) returns
 * EOPNOTSUPP; without one of the record, posting rings the doorbell alone.
 *
 * Memory is taken as it is asked for, or the call fails; there is no other memory in its
 * place. Return NULL and set errno on error: EINVAL also for a page that another QP has,
 * for memory that is not aligned to 64 octets or ends too early; EBADF, EINVAL for what is
 * no dma-buf; EFAULT for an address that cannot be written; EOPNOTSUPP if the device, or
 * the exporter of the dma-buf, does not share its memory, and for the send queue of a UD
 * QP; ENODEV if the exporter's device is gone, EBUSY while it is being reset.
 */
struct ibv_qp *svandv_create_qp(struct ibv_context *context,
				struct ibv_qp_init_attr_ex *attr,
				const struct svandv_qp_init_attr *svan_attr);

/* A store of @value to @offset of the window submits what was prepared. */
struct svandv_trigger {
	struct svandv_uar *window;
	uint32_t offset;		/* octets */
	uint32_t width;			/* octets */
	uint64_t value;			/* in the order of the host */
	/* blocks of 64 octets of the send queue, or entries of the receive queue */
	uint32_t first_block;		/* free-running */
	uint32_t num_blocks;
};

/*
 * End what ibv_wr_start() has begun, in place of ibv_wr_complete(): the work requests
 * lie in the send queue, and the device executes them when the trigger is stored. A
 * later trigger of the same QP submits earlier ones, too. The QP is one of
 * svandv_create_qp().
 *
 * Until all prepared work is complete, posting returns EBUSY, because it would submit
 * the work that was prepared before.
 *
 * Return 0 or an errno value, as ibv_wr_complete(); EINVAL for a QP of another kind.
 */
int svandv_prepare(struct ibv_qp_ex *qp, struct svandv_trigger *trigger);
/*
 * Take back all that was prepared since prepared work was last complete. The caller
 * knows that none of its triggers was or will be stored. Return 0 or an errno value: EBUSY
 * if some of it is complete, so that nothing is taken back; EINVAL for a QP of another kind.
 */
int svandv_cancel_prepared(struct ibv_qp *qp);

/*
 * Receives that another peripheral submits: as ibv_post_recv(), but the receives lie in
 * the receive queue, and the device uses them when the trigger is stored. A later trigger
 * of the same queue submits earlier ones, too. Until all prepared receives are
 * complete, ibv_post_recv() returns EBUSY. The QP is one of svandv_create_qp(), and not in RESET.
 *
 * Return 0, or an errno value as ibv_post_recv(); then *@bad_wr is the cause, and none is
 * prepared. EINVAL for a QP of another kind.
 */
int svandv_prepare_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr,
			struct ibv_recv_wr **bad_wr,
			struct svandv_trigger *trigger);
/* As svandv_cancel_prepared(), of receives. */
int svandv_cancel_prepared_recv(struct ibv_qp *qp);

/* Where the queues of a QP lie, for a peripheral that reads or writes them. */
struct svandv_queues {
	uint32_t qp_num;
	void *sq;			/* blocks of 64 octets */
	uint32_t log_sq_blocks;
	void *rq;
	uint32_t log_rq_entries;
	uint32_t log_rq_stride;		/* octets; 0: there is no receive queue */
	void *dbr;			/* doorbell record, 64 octets */
	void *buf;			/* page-aligned; it holds what has no memory */
	size_t buf_length;		/* of its own; 0: there is none */
	/* as they were given, or VA with a ptr into buf; pointers above are the ptrs */
	struct svandv_memory_location sq_mem;
	struct svandv_memory_location rq_mem;
	struct svandv_memory_location dbr_mem;
};

/* Return 0, or EOPNOTSUPP. */
int svandv_query_queues(struct ibv_qp *qp, struct svandv_queues *queues);

/* ---- CQs in memory of the user ---- */

enum svandv_cq_init_flags {
	SVANDV_CQ_INIT_FLAGS_EXT_MEM = 1 << 0,
};

/* The shape is that of struct efadv_cq_init_attr. */
struct svandv_cq_init_attr {
	uint64_t comp_mask;		/* 0 */
	uint64_t flags;			/* enum svandv_cq_init_flags */
	/* EXT_MEM: entries, and behind the last one the record, which has the
	 * consumer index; from a multiple of 64 on
	 */
	struct svandv_memory_location ext_mem;
	uint64_t ext_mem_length;	/* octets; svandv_query_cq_length() or more */
};

/* Octets of a CQ of so many entries. Return 0 or EINVAL. */
int svandv_query_cq_length(struct ibv_context *context, uint32_t cqe,
			   uint64_t *length);
/*
 * As ibv_create_cq_ex(). The device initialises the memory, so that it has no valid entry,
 * whatever stood there. Without a ptr, ibv_poll_cq() returns -EOPNOTSUPP, and
 * ibv_start_poll() and ibv_req_notify_cq() return EOPNOTSUPP. Errors are those of
 * svandv_create_qp().
 */
struct ibv_cq_ex *svandv_create_cq(struct ibv_context *context,
				   struct ibv_cq_init_attr_ex *attr,
				   const struct svandv_cq_init_attr *svan_attr);

struct svandv_cq_attr {
	uint32_t cq_num;
	uint32_t num_entries;
	uint32_t entry_size;		/* octets */
	void *buffer;			/* NULL: not mapped */
	void *dbr;			/* record, 64 octets */
	uint64_t dbr_offset;		/* from the first entry */
};

/* Return 0, or EOPNOTSUPP. */
int svandv_query_cq(struct ibv_cq *cq, struct svandv_cq_attr *attr);

/* ---- completion counters (manual, "Queues") ---- */

/*
 * The calls, structures and flags have the shape of ibv_create_comp_cntr(3) and
 * ibv_qp_attach_comp_cntr(3), which libibverbs got later.
 */
enum svandv_comp_cntr_init_flags {
	SVANDV_COMP_CNTR_INIT_WITH_EXTERNAL_MEM = 1 << 0,
};

struct svandv_comp_cntr_init_attr {
	uint32_t comp_mask;	/* 0 */
	uint32_t flags;		/* enum svandv_comp_cntr_init_flags */
	/* eight octets each, aligned to eight */
	struct svandv_memory_location comp_cntr_ext_mem;
	struct svandv_memory_location err_cntr_ext_mem;
};

/*
 * The counts are little-endian. A load with acquire order that sees a count also sees the
 * data, and the completions in the CQ, of all that it counts. A store of the user does
 * not change them.
 */
struct svandv_comp_cntr {
	struct ibv_context *context;
	uint32_t handle;	/* of the provider */
	uint64_t *comp_count;	/* NULL: not mapped */
	uint64_t *err_count;
	uint64_t comp_count_max_value;
	uint64_t err_count_max_value;
};

struct svandv_comp_cntr_caps {
	uint64_t max_value;
	uint32_t max_counters;		/* of the device */
	uint32_t max_context_counters;	/* of a context */
	uint32_t supported_qp_attach_ops;
};

/* Return 0, or EOPNOTSUPP. */
int svandv_query_comp_cntr_caps(struct ibv_context *context,
				struct svandv_comp_cntr_caps *caps);
/*
 * Both counts begin at 0. Return NULL and set errno on error: EINVAL, EFAULT for memory
 * that cannot be written, ENOSPC if the context has as many counters as it may have,
 * ENOMEM if the device has none left.
 */
struct svandv_comp_cntr *
svandv_create_comp_cntr(struct ibv_context *context,
			struct svandv_comp_cntr_init_attr *attr);
/* Return 0 or an errno value: EBUSY while it is attached. */
int svandv_destroy_comp_cntr(struct svandv_comp_cntr *counter);
/*
 * Return 0 or an errno value: EFAULT, and nothing has changed, if the memory has been
 * revoked.
 */
int svandv_set_comp_cntr(struct svandv_comp_cntr *counter, uint64_t value);
int svandv_set_err_comp_cntr(struct svandv_comp_cntr *counter, uint64_t value);
int svandv_inc_comp_cntr(struct svandv_comp_cntr *counter, uint64_t amount);
int svandv_inc_err_comp_cntr(struct svandv_comp_cntr *counter,
			     uint64_t amount);

enum svandv_comp_cntr_attach_op {
	SVANDV_COMP_CNTR_ATTACH_OP_SEND = 1 << 0,
	SVANDV_COMP_CNTR_ATTACH_OP_RECV = 1 << 1,
	SVANDV_COMP_CNTR_ATTACH_OP_RDMA_READ = 1 << 2,
	SVANDV_COMP_CNTR_ATTACH_OP_REMOTE_RDMA_READ = 1 << 3,
	SVANDV_COMP_CNTR_ATTACH_OP_RDMA_WRITE = 1 << 4,
	SVANDV_COMP_CNTR_ATTACH_OP_REMOTE_RDMA_WRITE = 1 << 5,
};

struct svandv_comp_cntr_attach_attr {
	uint32_t comp_mask;	/* 0 */
	uint32_t op_mask;	/* enum svandv_comp_cntr_attach_op */
};

/*
 * Count what a QP in RESET or INIT will complete, until it is destroyed. SEND, RDMA_READ
 * and RDMA_WRITE go together: they are all that the send queue completes, atomics
 * included. RECV is what the receive queue completes. Return 0 or an errno value: EBUSY if
 * a side is counted already, EOPNOTSUPP for other operations.
 */
int svandv_qp_attach_comp_cntr(struct ibv_qp *qp,
			       struct svandv_comp_cntr *counter,
			       struct svandv_comp_cntr_attach_attr *attr);

/*
 * Work requests that complete without a completion in the CQ leave their slots to these
 * calls: the first @count that were posted since the QP was created, or last in RESET, are
 * complete, so that their slots can be used again. For a counter that counts one side
 * of this QP alone, since it was 0, that is the sum of both counts. A @count that is not
 * larger than the last one does nothing.
 *
 * Sends that have a completion, too, can be retired by either. svandv_retire_recvs() is for
 * QPs with RECV_NO_CQE. A completion, of a send or a receive, that is polled after its work
 * request was retired has a wr_id of 0.
 *
 * Both take the lock of the CQ, as polling does. Return 0 or an errno value: EINVAL for more
 * than was posted, or for a QP of another kind.
 */
int svandv_retire_sends(struct ibv_qp *qp, uint64_t count);
int svandv_retire_recvs(struct ibv_qp *qp, uint64_t count);

#ifdef __cplusplus
}
#endif

#endif /* SVANDV_H */
