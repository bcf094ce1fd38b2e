// SPDX-License-Identifier: GPL-2.0-only
/* The counters of the device (SVAN_STATS in svan/cmd.h), as hw_counters of the port. */

#include "svan_ib.h"

static const struct rdma_stat_desc svan_ib_stat_descs[] = {
#define SVAN_IB_STAT_DESC(stat) { .name = #stat },
	SVAN_STATS(SVAN_IB_STAT_DESC)
#undef SVAN_IB_STAT_DESC
	/* by the names under which tools look for those of other RDMA NICs */
	{ .name = "np_ecn_marked_roce_packets" },
	{ .name = "np_cnp_sent" },
	{ .name = "rp_cnp_handled" },
	{ .name = "rp_cnp_ignored" },
};

#define SVAN_IB_NUM_DEVICE_STATS	(sizeof(struct svan_stats) / sizeof(__le64))

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
	const __le64 *values;
	struct svan_stats hw;
	int i, err;

	static_assert(SVAN_IB_NUM_DEVICE_STATS + 4 ==
		      ARRAY_SIZE(svan_ib_stat_descs));

	err = svan_read_stats(dev->sdev, &hw);
	if (err)
		return err;

	values = (const __le64 *)&hw;
	for (i = 0; i < SVAN_IB_NUM_DEVICE_STATS; i++)
		stats->value[i] = le64_to_cpu(values[i]);
	stats->value[i++] = le64_to_cpu(hw.ecn_marked_roce_packets);
	stats->value[i++] = le64_to_cpu(hw.cnps_sent);
	stats->value[i++] = le64_to_cpu(hw.cnps_handled);
	stats->value[i++] = le64_to_cpu(hw.cnps_ignored);
	return ARRAY_SIZE(svan_ib_stat_descs);
}
