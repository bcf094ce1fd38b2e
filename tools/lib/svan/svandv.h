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

#ifdef __cplusplus
}
#endif

#endif /* SVANDV_H */
