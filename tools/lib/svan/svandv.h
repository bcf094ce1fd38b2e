/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Direct verbs: what a Svan device can do beside what libibverbs offers. Link
 * with -lsvan; every call fails with EOPNOTSUPP on the object of another device.
 */
#ifndef SVANDV_H
#define SVANDV_H

#include <stdbool.h>
#include <stdint.h>

#include <infiniband/verbs.h>

#ifdef __cplusplus
extern "C" {
#endif

bool svandv_is_supported(struct ibv_device *device);

/* What is done with a transfer that meets an absent page (manual, "Faults"). */
enum svandv_fault_mode {
	SVANDV_FAULT_AUTO = 0,		/* by the estimate of its time */
	SVANDV_FAULT_HOLD = 1,		/* in the device's fault buffer */
	SVANDV_FAULT_RNR = 2,		/* RNR NAK with the covering timer */
	SVANDV_FAULT_DIVERT = 3,	/* in spare pages of the host */
	SVANDV_FAULT_DROP = 4,		/* drop, call back when the page is there */
};

enum svandv_estimate_source {
	SVANDV_ESTIMATE_ENTRY = 1 << 0,		/* absent entry of a key's table */
	SVANDV_ESTIMATE_LOCATION = 1 << 1,	/* where a process's page is */
	SVANDV_ESTIMATE_RESPONSE = 1 << 2,	/* the driver's answer */
};

/*
 * SVANDV_FAULT_AUTO takes the first mode whose limit covers the estimate and that
 * has room, and RNR for what is above all of them. Times in microseconds.
 */
struct svandv_fault_policy {
	enum svandv_fault_mode mode;
	uint32_t sources;		/* enum svandv_estimate_source that count */
	uint32_t hold_max_us;
	uint32_t divert_max_us;
	uint32_t drop_max_us;
	uint32_t bound_us;		/* an RNR NAK after it; 0: never */
	uint32_t unknown_us;		/* taken for an unknown time */
	uint32_t hold_bytes;		/* of the fault buffer, for this QP */
	uint32_t divert_pages;		/* of the spare pages, for this QP */
};

/*
 * Of the responder side of an RC QP; counts for the next absent page it meets.
 * Without CAP_NET_ADMIN, bound_us, hold_bytes and divert_pages are limited to what
 * a new QP has; the query shows what counts.
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
