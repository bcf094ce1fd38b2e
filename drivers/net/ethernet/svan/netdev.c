// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network device: its operations, how it is made and freed, and what becomes of
 * it when the function is reset or dies.
 */
#include <linux/log2.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>

#include "eth.h"

/* ---- net_device_ops ---- */

static int svan_open(struct net_device *netdev)
{
	return svan_eth_open(netdev_priv(netdev));
}

static int svan_stop(struct net_device *netdev)
{
	struct svan_eth *eth = netdev_priv(netdev);

	netif_carrier_off(netdev);
	svan_eth_close(eth);
	return 0;
}

static void svan_tx_timeout(struct net_device *netdev, unsigned int queue)
{
	struct svan_eth *eth = netdev_priv(netdev);

	netdev_err(netdev, "transmit queue %u hangs: pi %u, ci %u\n", queue,
		   READ_ONCE(eth->txq.pi), READ_ONCE(eth->txq.ci));
	svan_eth_restart_later(eth, 0);
}

static int svan_change_mtu(struct net_device *netdev, int mtu)
{
	struct svan_eth *eth = netdev_priv(netdev);

	return svan_eth_reconfigure(eth, &eth->config, mtu);
}

static int svan_set_mac_address(struct net_device *netdev, void *p)
{
	struct svan_eth *eth = netdev_priv(netdev);
	u8 old[ETH_ALEN];
	int err;

	err = eth_prepare_mac_addr_change(netdev, p);
	if (err)
		return err;
	ether_addr_copy(old, netdev->dev_addr);
	mutex_lock(&eth->filter_lock);
	eth_commit_mac_addr_change(netdev, p);
	if (eth->up)
		err = svan_eth_set_filter(eth);
	if (err)
		eth_hw_addr_set(netdev, old);
	mutex_unlock(&eth->filter_lock);
	return err;
}

/* The caller holds a spin lock, so a worker sends the commands. */
static void svan_set_rx_mode(struct net_device *netdev)
{
	struct svan_eth *eth = netdev_priv(netdev);

	schedule_work(&eth->rx_mode_work);
}

static const struct net_device_ops svan_netdev_ops = {
	.ndo_open		= svan_open,
	.ndo_stop		= svan_stop,
	.ndo_start_xmit		= svan_start_xmit,
	.ndo_tx_timeout		= svan_tx_timeout,
	.ndo_change_mtu		= svan_change_mtu,
	.ndo_set_mac_address	= svan_set_mac_address,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_set_rx_mode	= svan_set_rx_mode,
	.ndo_get_stats64	= dev_get_tstats64,
	.ndo_set_vf_mac		= svan_set_vf_mac,
	.ndo_set_vf_vlan	= svan_set_vf_vlan,
	.ndo_set_vf_rate	= svan_set_vf_rate,
	.ndo_set_vf_spoofchk	= svan_set_vf_spoofchk,
	.ndo_set_vf_trust	= svan_set_vf_trust,
	.ndo_set_vf_link_state	= svan_set_vf_link_state,
	.ndo_get_vf_config	= svan_get_vf_config,
	.ndo_get_vf_stats	= svan_get_vf_stats,
};

/* ---- making and freeing ---- */

static void svan_netdev_set_mac(struct svan_dev *dev)
{
	u32 lo = svan_read(dev, SVAN_REG_MAC_LO);
	u32 hi = svan_read(dev, SVAN_REG_MAC_HI);
	u8 mac[ETH_ALEN];

	put_unaligned_le32(lo, mac);
	put_unaligned_le16(hi, mac + 4);
	if (is_valid_ether_addr(mac)) {
		eth_hw_addr_set(dev->netdev, mac);
		return;
	}
	eth_hw_addr_random(dev->netdev);
	dev_warn(&dev->pdev->dev, "device has no MAC address, taking %pM\n",
		 dev->netdev->dev_addr);
}

/* log2 of a ring's size: @def, or less if the device does not take so many. */
static u8 svan_eth_log_size(struct svan_dev *dev, u32 def, __le32 limit)
{
	u32 max = min(le32_to_cpu(limit), le32_to_cpu(dev->caps.max_cqe));

	return min_t(u32, def, ilog2(max));
}

static void svan_netdev_setup(struct svan_dev *dev)
{
	u64 features = le64_to_cpu(dev->caps.features);
	struct net_device *netdev = dev->netdev;
	struct svan_eth *eth = netdev_priv(netdev);
	u32 max_frame = min_t(u32, le32_to_cpu(dev->caps.max_frame),
			      SVAN_ETH_MAX_FRAME);

	eth->config.log_sq = svan_eth_log_size(dev, SVAN_ETH_DEF_LOG_SQ,
					       dev->caps.max_qp_wqebb);
	eth->config.log_rq = svan_eth_log_size(dev, SVAN_ETH_DEF_LOG_RQ,
					       dev->caps.max_qp_rwqe);
	netdev->netdev_ops = &svan_netdev_ops;
	netdev->ethtool_ops = &svan_ethtool_ops;
	netdev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	netdev->watchdog_timeo = 10 * HZ;
	netdev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	netdev->min_mtu = ETH_MIN_MTU;
	netdev->max_mtu = max_frame - SVAN_ETH_OVERHEAD;
	netdev->hw_features = NETIF_F_SG;
	if (features & SVAN_CAP_ETH_TX_CSUM)
		netdev->hw_features |= NETIF_F_HW_CSUM;
	if (features & SVAN_CAP_ETH_RX_CSUM)
		netdev->hw_features |= NETIF_F_RXCSUM;
	netdev->features = netdev->hw_features | NETIF_F_HIGHDMA;
	netdev->vlan_features = netdev->features & ~NETIF_F_RXCSUM;
	svan_netdev_set_mac(dev);
}

/*
 * The port has changed. A netdev that is down or detached reads the register when it
 * comes up. Everybody reads it under rtnl, so that the last one to set the carrier
 * has also read the newest value.
 */
static void svan_netdev_port_event(struct svan_eth *eth)
{
	rtnl_lock();
	if (eth->up && netif_device_present(eth->netdev))
		svan_eth_update_carrier(eth);
	rtnl_unlock();
}

/* The function is dead: the stack uses it no more until it is bound or reset. */
void svan_netdev_detach(struct svan_dev *dev)
{
	rtnl_lock();
	netif_carrier_off(dev->netdev);
	netif_device_detach(dev->netdev);
	rtnl_unlock();
}

static int svan_netdev_dev_event(struct notifier_block *nb, unsigned long event,
				 void *data)
{
	struct svan_eth *eth = container_of(nb, struct svan_eth, dev_nb);

	switch (event) {
	case SVAN_NOTIFY_PORT:
		svan_netdev_port_event(eth);
		return NOTIFY_OK;
	case SVAN_NOTIFY_FATAL:
		svan_netdev_detach(eth->dev);
		return NOTIFY_OK;
	default:
		return NOTIFY_DONE;
	}
}

int svan_netdev_create(struct svan_dev *dev)
{
	struct net_device *netdev;
	struct svan_eth *eth;
	int err;

	netdev = alloc_etherdev(sizeof(*eth));
	if (!netdev)
		return -ENOMEM;
	SET_NETDEV_DEV(netdev, &dev->pdev->dev);
	dev->netdev = netdev;
	eth = netdev_priv(netdev);
	eth->dev = dev;
	eth->netdev = netdev;
	eth->dev_nb.notifier_call = svan_netdev_dev_event;
	/* RDMA is told later, since its port follows the carrier of the netdev. */
	eth->dev_nb.priority = 1;
	svan_eth_filter_init(eth);
	svan_eth_init(eth);
	svan_netdev_setup(dev);
	netif_carrier_off(netdev);
	err = svan_register_notifier(dev, &eth->dev_nb);
	if (err)
		goto err_free;
	err = register_netdev(netdev);
	if (err)
		goto err_unregister_notifier;
	return 0;

err_unregister_notifier:
	svan_unregister_notifier(dev, &eth->dev_nb);
err_free:
	svan_netdev_free(dev);
	return err;
}

/* On return no queue exists, and events of the function are not received. */
void svan_netdev_unregister(struct svan_dev *dev)
{
	struct svan_eth *eth = netdev_priv(dev->netdev);

	svan_unregister_notifier(dev, &eth->dev_nb);
	disable_delayed_work_sync(&eth->restart_work);
	unregister_netdev(dev->netdev);
	cancel_work_sync(&eth->rx_mode_work);
}

void svan_netdev_free(struct svan_dev *dev)
{
	struct svan_eth *eth = netdev_priv(dev->netdev);

	mutex_destroy(&eth->filter_lock);
	free_netdev(dev->netdev);
	dev->netdev = NULL;
}

/* Before a reset: the queues go, the registration and the addresses stay. */
void svan_netdev_suspend(struct svan_dev *dev)
{
	struct svan_eth *eth = netdev_priv(dev->netdev);

	rtnl_lock();
	netif_carrier_off(dev->netdev);
	netif_device_detach(dev->netdev);
	svan_eth_close(eth);
	rtnl_unlock();
}

/* After a reset: an interface that was open gets new queues. */
void svan_netdev_resume(struct svan_dev *dev)
{
	struct svan_eth *eth = netdev_priv(dev->netdev);
	int err;

	rtnl_lock();
	if (netif_running(dev->netdev)) {
		err = svan_eth_open(eth);
		if (err)
			svan_eth_give_up(eth, err);
	}
	if (eth->up || !netif_running(dev->netdev))
		netif_device_attach(dev->netdev);
	rtnl_unlock();
}
