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
 * Set or query the fault policy of the responder side of an RC QP. A new policy
 * takes effect with the next absent page that the QP meets. Without CAP_NET_ADMIN,
 * bound_us, hold_bytes and divert_pages are limited to the values of a new QP; the
 * query returns the policy in force.
 * Return 0 or an errno value: EINVAL for a mode or a source that does not exist.
 */
int svandv_set_fault_policy(struct ibv_qp *qp,
			    const struct svandv_fault_policy *policy);
int svandv_query_fault_policy(struct ibv_qp *qp,
			      struct svandv_fault_policy *policy);

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

/*
 * Return NULL and set errno on error: ENOSPC if the context has as many pages as it
 * may have (64), ENOMEM if the device has none left.
 */
struct svandv_uar *svandv_alloc_uar(struct ibv_context *context);
/* Return 0 or an errno value: EBUSY while the page is a QP's. */
int svandv_free_uar(struct svandv_uar *uar);
/* Return a file descriptor of the window, or -1 and set errno. */
int svandv_uar_export_dmabuf_fd(struct svandv_uar *uar);

struct svandv_qp_init_attr {
	uint64_t comp_mask;		/* 0 */
	struct svandv_uar *uar;		/* no other QP's; it outlives the QP */
};

/*
 * Create a QP whose doorbells are in a page of its own. Return NULL and set errno on
 * error: EINVAL also for a page that another QP has.
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
	uint32_t first_block;		/* of the send queue, free-running */
	uint32_t num_blocks;		/* of 64 octets */
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

/* Where the queues of a QP lie, for a peripheral that reads or writes them. */
struct svandv_queues {
	uint32_t qp_num;
	void *sq;			/* blocks of 64 octets */
	uint32_t log_sq_blocks;
	void *rq;
	uint32_t log_rq_entries;
	uint32_t log_rq_stride;		/* octets; 0: there is no receive queue */
	void *dbr;			/* doorbell record, 64 octets */
	void *buf;			/* page-aligned; it holds all of these */
	size_t buf_length;
};

/* Return 0, or EOPNOTSUPP. */
int svandv_query_queues(struct ibv_qp *qp, struct svandv_queues *queues);

#ifdef __cplusplus
}
#endif

#endif /* SVANDV_H */
