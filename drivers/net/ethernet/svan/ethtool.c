// SPDX-License-Identifier: GPL-2.0-only
/*
 * ethtool: counters, link settings and ring sizes.
 */
#include <linux/ethtool.h>
#include <linux/log2.h>

#include "eth.h"
#include "sriov.h"

static const char svan_stat_names[][ETH_GSTRING_LEN] = {
#define SVAN_STAT_NAME(name)	#name,
	SVAN_STATS(SVAN_STAT_NAME)
#undef SVAN_STAT_NAME
#define SVAN_ETH_STAT_NAME(name)	"drv_" #name,
	SVAN_ETH_STATS(SVAN_ETH_STAT_NAME)
#undef SVAN_ETH_STAT_NAME
};

#define SVAN_NUM_DEVICE_STATS	(sizeof(struct svan_stats) / sizeof(__le64))
#define SVAN_NUM_DRIVER_STATS	(sizeof(struct svan_eth_stats) / sizeof(u64))

static_assert(ARRAY_SIZE(svan_stat_names) ==
	      SVAN_NUM_DEVICE_STATS + SVAN_NUM_DRIVER_STATS);

/*
 * Counters of the device once more, by the names under which tools look for those of
 * other RDMA NICs. Bytes are those of the payload.
 */
static const struct svan_vport_stat {
	char	name[ETH_GSTRING_LEN];
	u32	offset;			/* in struct svan_stats */
} svan_vport_stats[] = {
	{ "rx_vport_rdma_unicast_packets", offsetof(struct svan_stats, roce_rx_packets) },
	{ "rx_vport_rdma_unicast_bytes", offsetof(struct svan_stats, roce_rx_bytes) },
	{ "tx_vport_rdma_unicast_packets", offsetof(struct svan_stats, roce_tx_packets) },
	{ "tx_vport_rdma_unicast_bytes", offsetof(struct svan_stats, roce_tx_bytes) },
};

/* Of a physical function that may have virtual ones. */
static const char svan_shim_stat_names[][ETH_GSTRING_LEN] = {
#define SVAN_SHIM_STAT_NAME(name)	"shim_" #name,
	SVAN_SHIM_STATS(SVAN_SHIM_STAT_NAME)
#undef SVAN_SHIM_STAT_NAME
};

static_assert(ARRAY_SIZE(svan_shim_stat_names) ==
	      sizeof(struct svan_shim_stats) / sizeof(atomic64_t));

static u32 svan_num_shim_stats(struct net_device *netdev)
{
	struct svan_eth *eth = netdev_priv(netdev);

	return eth->dev->sriov ? ARRAY_SIZE(svan_shim_stat_names) : 0;
}

static void svan_get_drvinfo(struct net_device *netdev,
			     struct ethtool_drvinfo *info)
{
	struct svan_eth *eth = netdev_priv(netdev);
	u32 version = le32_to_cpu(eth->dev->caps.fw_version);

	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->bus_info, svan_name(eth->dev), sizeof(info->bus_info));
	snprintf(info->fw_version, sizeof(info->fw_version), "%u.%u",
		 version >> 16, version & 0xffff);
}

static int svan_get_sset_count(struct net_device *netdev, int sset)
{
	return sset == ETH_SS_STATS ?
	       ARRAY_SIZE(svan_stat_names) + ARRAY_SIZE(svan_vport_stats) +
	       svan_num_shim_stats(netdev) : -EOPNOTSUPP;
}

static void svan_get_strings(struct net_device *netdev, u32 sset, u8 *data)
{
	u32 n;

	if (sset != ETH_SS_STATS)
		return;
	memcpy(data, svan_stat_names, sizeof(svan_stat_names));
	data += sizeof(svan_stat_names);
	for (n = 0; n < ARRAY_SIZE(svan_vport_stats); n++, data += ETH_GSTRING_LEN)
		memcpy(data, svan_vport_stats[n].name, ETH_GSTRING_LEN);
	memcpy(data, svan_shim_stat_names, svan_num_shim_stats(netdev) * ETH_GSTRING_LEN);
}

static void svan_get_ethtool_stats(struct net_device *netdev,
				   struct ethtool_stats *stats, u64 *data)
{
	struct svan_eth *eth = netdev_priv(netdev);
	const u64 *drv = (const u64 *)&eth->stats;
	struct svan_stats device;
	u32 n;
	int err;

	err = svan_read_stats(eth->dev, &device);
	if (err) {
		netdev_warn(netdev, "counters cannot be read: error %d\n", err);
		memset(&device, 0, sizeof(device));
	}
	for (n = 0; n < SVAN_NUM_DEVICE_STATS; n++)
		*data++ = le64_to_cpu(((const __le64 *)&device)[n]);
	for (n = 0; n < SVAN_NUM_DRIVER_STATS; n++)
		*data++ = READ_ONCE(drv[n]);
	for (n = 0; n < ARRAY_SIZE(svan_vport_stats); n++)
		*data++ = le64_to_cpu(*(const __le64 *)((const char *)&device +
							svan_vport_stats[n].offset));
	for (n = 0; n < svan_num_shim_stats(netdev); n++)
		*data++ = atomic64_read((const atomic64_t *)&eth->dev->sriov->shim.stats + n);
}

static int svan_get_link_ksettings(struct net_device *netdev,
				   struct ethtool_link_ksettings *ks)
{
	struct svan_eth *eth = netdev_priv(netdev);
	u32 port = svan_read(eth->dev, SVAN_REG_PORT);

	ethtool_link_ksettings_zero_link_mode(ks, supported);
	ethtool_link_ksettings_zero_link_mode(ks, advertising);
	ks->base.autoneg = AUTONEG_DISABLE;
	ks->base.port = PORT_OTHER;
	ks->base.speed = SPEED_UNKNOWN;
	ks->base.duplex = DUPLEX_UNKNOWN;
	if (!svan_gone(port) && (port & SVAN_PORT_LINK_UP)) {
		ks->base.speed = svan_port_mbps(port);
		ks->base.duplex = DUPLEX_FULL;
	}
	return 0;
}

/* Size of the largest ring that both the device and the driver allow. */
static u32 svan_ring_max(struct svan_eth *eth, __le32 limit, u32 max_log)
{
	u32 max = min(le32_to_cpu(limit), le32_to_cpu(eth->dev->caps.max_cqe));

	return min_t(u32, BIT(max_log), rounddown_pow_of_two(max));
}

static void svan_get_ringparam(struct net_device *netdev,
			       struct ethtool_ringparam *ring,
			       struct kernel_ethtool_ringparam *kernel_ring,
			       struct netlink_ext_ack *extack)
{
	struct svan_eth *eth = netdev_priv(netdev);

	ring->tx_max_pending = svan_ring_max(eth, eth->dev->caps.max_qp_wqebb,
					     SVAN_ETH_MAX_LOG_SQ);
	ring->rx_max_pending = svan_ring_max(eth, eth->dev->caps.max_qp_rwqe,
					     SVAN_ETH_MAX_LOG_RQ);
	ring->tx_pending = BIT(eth->config.log_sq);
	ring->rx_pending = BIT(eth->config.log_rq);
}

/* Sizes are rounded up to a power of two. The caller has checked the maximum. */
static int svan_set_ringparam(struct net_device *netdev,
			      struct ethtool_ringparam *ring,
			      struct kernel_ethtool_ringparam *kernel_ring,
			      struct netlink_ext_ack *extack)
{
	struct svan_eth *eth = netdev_priv(netdev);
	struct svan_eth_config config;

	if (ring->tx_pending < BIT(SVAN_ETH_MIN_LOG_SQ) ||
	    ring->rx_pending < BIT(SVAN_ETH_MIN_LOG_RQ)) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "rings need %u and %u entries at least",
				       (u32)BIT(SVAN_ETH_MIN_LOG_SQ),
				       (u32)BIT(SVAN_ETH_MIN_LOG_RQ));
		return -EINVAL;
	}
	config.log_sq = order_base_2(ring->tx_pending);
	config.log_rq = order_base_2(ring->rx_pending);
	if (config.log_sq == eth->config.log_sq &&
	    config.log_rq == eth->config.log_rq)
		return 0;
	return svan_eth_reconfigure(eth, &config, netdev->mtu);
}

static void svan_get_channels(struct net_device *netdev,
			      struct ethtool_channels *channels)
{
	channels->max_combined = 1;
	channels->combined_count = 1;
}

const struct ethtool_ops svan_ethtool_ops = {
	.get_drvinfo		= svan_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_ts_info		= ethtool_op_get_ts_info,
	.get_sset_count		= svan_get_sset_count,
	.get_strings		= svan_get_strings,
	.get_ethtool_stats	= svan_get_ethtool_stats,
	.get_link_ksettings	= svan_get_link_ksettings,
	.get_ringparam		= svan_get_ringparam,
	.set_ringparam		= svan_set_ringparam,
	.get_channels		= svan_get_channels,
};
