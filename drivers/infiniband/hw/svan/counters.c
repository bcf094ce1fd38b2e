// SPDX-License-Identifier: GPL-2.0-only
/* Counters of the device (SVAN_STATS in svan/cmd.h), as hw_counters of the port. */

#include "svan_ib.h"

/*
 * Those that concern RDMA: `rdma statistic` gets all of a port in one message, which is
 * smaller than a page. `ethtool -S` has them all.
 */
#define SVAN_IB_STATS(X) \
	X(roce_tx_packets)		X(roce_tx_bytes) \
	X(roce_rx_packets)		X(roce_rx_bytes) \
	X(roce_local_packets)		X(roce_local_bytes) \
	X(rx_icrc_errors)		X(rx_malformed) \
	X(rx_no_qp)			X(rx_wrong_state) \
	X(rx_wrong_peer)		X(rx_queue_drops) \
	X(duplicate_request)		X(out_of_sequence) \
	X(packet_seq_err)		X(implied_nak_seq_err) \
	X(rnr_nak_retry_err)		X(local_ack_timeout_err) \
	X(out_of_buffer)		X(rnr_nak_sent) \
	X(req_remote_access_errors)	X(req_remote_invalid_request) \
	X(resp_remote_access_errors)	X(resp_local_length_error) \
	X(req_cqe_error)		X(resp_cqe_error) \
	X(req_cqe_flush_error)		X(resp_cqe_flush_error) \
	X(rx_write_requests)		X(rx_read_requests) \
	X(rx_atomic_requests)		X(retransmits) \
	X(doorbells)			X(doorbells_refused) \
	X(doorbells_bad_access)		X(commands) \
	X(commands_failed)		X(tlb_hits) \
	X(tlb_misses)			X(cq_overruns) \
	X(eq_overruns)			X(ecn_marked_roce_packets) \
	X(dma_errors)			X(context_walks) \
	X(invalidations)		X(page_requests) \
	X(page_requests_merged)		X(page_requests_stalled) \
	X(page_responses_bad)		X(page_faults) \
	X(page_faults_again)		X(page_faults_injected) \
	X(page_faults_requester)	X(page_faults_estimated) \
	X(fault_hold)			X(fault_rnr) \
	X(fault_divert)			X(fault_drop) \
	X(fault_fail)			X(fault_fallback) \
	X(fault_held_bytes)		X(fault_diverted_bytes) \
	X(fault_dropped_bytes)		X(fault_dropped_packets) \
	X(port_disabled_drops)		X(source_drops) \
	X(flow_delays)			X(flow_marks) \
	X(flow_drops)			X(cnps_ignored) \
	X(cnps_sent)			X(cnps_handled) \
	X(qp_rate_delays)

/* priv: where it is in struct svan_stats */
#define SVAN_IB_STAT_AS(alias, stat)						\
	{ .name = #alias, .priv = (void *)offsetof(struct svan_stats, stat) },
#define SVAN_IB_STAT(stat)	SVAN_IB_STAT_AS(stat, stat)

static const struct rdma_stat_desc svan_ib_stat_descs[] = {
	SVAN_IB_STATS(SVAN_IB_STAT)
	/* by the names under which tools look for those of other RDMA NICs */
	SVAN_IB_STAT_AS(np_ecn_marked_roce_packets, ecn_marked_roce_packets)
	SVAN_IB_STAT_AS(np_cnp_sent, cnps_sent)
	SVAN_IB_STAT_AS(rp_cnp_handled, cnps_handled)
	SVAN_IB_STAT_AS(rp_cnp_ignored, cnps_ignored)
};

struct rdma_hw_stats *svan_ib_alloc_hw_port_stats(struct ib_device *ibdev,
						  u32 port)
{
	return rdma_alloc_hw_stats_struct(svan_ib_stat_descs,
					  ARRAY_SIZE(svan_ib_stat_descs),
					  RDMA_HW_STATS_DEFAULT_LIFESPAN);
}

int svan_ib_get_hw_stats(struct ib_device *ibdev, struct rdma_hw_stats *stats,
			 u32 port, int index)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibdev);
	struct svan_stats hw;
	int i, err;

	err = svan_read_stats(dev->sdev, &hw);
	if (err)
		return err;

	for (i = 0; i < ARRAY_SIZE(svan_ib_stat_descs); i++)
		stats->value[i] = le64_to_cpup((void *)&hw +
					       (uintptr_t)svan_ib_stat_descs[i].priv);
	return ARRAY_SIZE(svan_ib_stat_descs);
}
