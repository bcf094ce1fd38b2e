/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* LTTng tracepoints, as in the other providers: configure with ENABLE_LTTNG. */

#if defined(LTTNG_ENABLED)

#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER rdma_core_svan

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "svan_trace.h"

#if !defined(SVAN_TRACE_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define SVAN_TRACE_H

#include <lttng/tracepoint.h>
#include <infiniband/verbs.h>

/* end: producer index behind the WQE, in blocks of 64 bytes */
LTTNG_UST_TRACEPOINT_EVENT(
	rdma_core_svan,
	post_send,
	LTTNG_UST_TP_ARGS(
		char *, dev,
		uint32_t, qpn,
		uint64_t, wr_id,
		uint32_t, end,
		uint32_t, opcode,
		uint32_t, num_sge
	),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_string(dev, dev)
		lttng_ust_field_integer(uint32_t, qpn, qpn)
		lttng_ust_field_integer_hex(uint64_t, wr_id, wr_id)
		lttng_ust_field_integer(uint32_t, end, end)
		lttng_ust_field_integer(uint32_t, opcode, opcode)
		lttng_ust_field_integer(uint32_t, num_sge, num_sge)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(
	rdma_core_svan,
	post_recv,
	LTTNG_UST_TP_ARGS(
		char *, dev,
		uint32_t, qpn,
		uint64_t, wr_id,
		uint32_t, index,
		uint32_t, num_sge
	),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_string(dev, dev)
		lttng_ust_field_integer(uint32_t, qpn, qpn)
		lttng_ust_field_integer_hex(uint64_t, wr_id, wr_id)
		lttng_ust_field_integer(uint32_t, index, index)
		lttng_ust_field_integer(uint32_t, num_sge, num_sge)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(
	rdma_core_svan,
	post_srq_recv,
	LTTNG_UST_TP_ARGS(
		char *, dev,
		uint32_t, srqn,
		uint64_t, wr_id,
		uint32_t, index,
		uint32_t, num_sge
	),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_string(dev, dev)
		lttng_ust_field_integer(uint32_t, srqn, srqn)
		lttng_ust_field_integer_hex(uint64_t, wr_id, wr_id)
		lttng_ust_field_integer(uint32_t, index, index)
		lttng_ust_field_integer(uint32_t, num_sge, num_sge)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(
	rdma_core_svan,
	doorbell,
	LTTNG_UST_TP_ARGS(
		uint64_t, value
	),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer_hex(uint64_t, value, value)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(
	rdma_core_svan,
	poll_cq,
	LTTNG_UST_TP_ARGS(
		char *, dev,
		uint32_t, cqn,
		uint32_t, qpn,
		uint64_t, wr_id,
		uint32_t, status
	),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_string(dev, dev)
		lttng_ust_field_integer(uint32_t, cqn, cqn)
		lttng_ust_field_integer(uint32_t, qpn, qpn)
		lttng_ust_field_integer_hex(uint64_t, wr_id, wr_id)
		lttng_ust_field_integer(uint32_t, status, status)
	)
)

#define rdma_tracepoint(arg...) lttng_ust_tracepoint(arg)

#endif /* SVAN_TRACE_H */

#include <lttng/tracepoint-event.h>

#else

#ifndef SVAN_TRACE_H
#define SVAN_TRACE_H

#define rdma_tracepoint(arg...)

#endif /* SVAN_TRACE_H */

#endif /* defined(LTTNG_ENABLED) */
