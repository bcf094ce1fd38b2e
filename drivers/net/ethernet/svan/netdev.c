// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network device: opening and closing, receive filter, carrier, and
 * rebuilding the queues when something about them changes or fails.
 */
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>

#include "eth.h"
#include "svan_trace.h"

#define SVAN_MCAST_ENTRY	8	/* bytes of an address in the list */
/* between two attempts to find memory for receive buffers */
#define SVAN_REFILL_DELAY	msecs_to_jiffies(20)

/* ---- receive filter; filter_lock is held ---- */

/* Copy the multicast list to dev->page; more than fits: all multicast. */
static u8 svan_eth_copy_mcast(struct svan_eth *eth, u32 *count)
{
	u32 max = min_t(u32, le32_to_cpu(eth->dev->caps.max_mcast_filters),
			SVAN_PAGE_BYTES / SVAN_MCAST_ENTRY);
	struct net_device *netdev = eth->netdev;
	struct netdev_hw_addr *ha;
	u32 n = 0, flags = 0;

	lockdep_assert_held(&eth->dev->page_lock);
	netif_addr_lock_bh(netdev);
	if (netdev->flags & IFF_PROMISC)
		flags |= SVAN_CMD_ETH_PROMISC;
	if ((netdev->flags & IFF_ALLMULTI) || netdev_mc_count(netdev) > max) {
		flags |= SVAN_CMD_ETH_ALLMULTI;
	} else {
		memset(eth->dev->page, 0, SVAN_PAGE_BYTES);
		netdev_for_each_mc_addr(ha, netdev)
			ether_addr_copy(eth->dev->page + SVAN_MCAST_ENTRY * n++,
					ha->addr);
	}
	netif_addr_unlock_bh(netdev);
	*count = n;
	return flags;
}

/*
 * List and flags are two commands, and no frame of a group that was joined before
 * and after may be lost between them: the list is given before ALLMULTI is taken
 * back, and with ALLMULTI, where nobody looks at it, the old one is left alone.
 */
static int svan_eth_set_mcast(struct svan_eth *eth, u8 *flags)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_ETH_SET_MCAST),
		.eth_mcast.addr = cpu_to_le64(eth->dev->page_dma),
	};
	u32 count;
	int err = 0;

	mutex_lock(&eth->dev->page_lock);
	*flags = svan_eth_copy_mcast(eth, &count);
	cmd.eth_mcast.count = cpu_to_le32(count);
	if (!(*flags & SVAN_CMD_ETH_ALLMULTI))
		err = svan_cmd_exec(eth->dev, &cmd, NULL);
	mutex_unlock(&eth->dev->page_lock);
	return err;
}

static int svan_eth_set_filter(struct svan_eth *eth)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_ETH_SET_FILTER),
		.eth_filter.qpn = cpu_to_le32(eth->qpn),
		.eth_filter.max_frame = cpu_to_le32(eth->rxq.frame_size),
	};
	int err;

	lockdep_assert_held(&eth->filter_lock);
	err = svan_eth_set_mcast(eth, &cmd.eth_filter.flags);
	if (err)
		return err;
	ether_addr_copy(cmd.eth_filter.mac, eth->netdev->dev_addr);
	return svan_cmd_exec(eth->dev, &cmd, NULL);
}

/* Reception off: qpn 0. What fails here fails again, louder, at destroy. */
static void svan_eth_clear_filter(struct svan_eth *eth)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_ETH_SET_FILTER),
		.eth_filter.max_frame = cpu_to_le32(eth->rxq.frame_size),
	};

	ether_addr_copy(cmd.eth_filter.mac, eth->netdev->dev_addr);
	svan_cmd_exec(eth->dev, &cmd, NULL);
}

static void svan_eth_rx_mode_work(struct work_struct *work)
{
	struct svan_eth *eth = container_of(work, struct svan_eth, rx_mode_work);
	int err = 0;

	mutex_lock(&eth->filter_lock);
	if (eth->up)
		err = svan_eth_set_filter(eth);
	mutex_unlock(&eth->filter_lock);
	if (err)
		netdev_err(eth->netdev, "receive filter: error %d\n", err);
}

/* ---- up, down, and again ---- */

/*
 * There is no memory for receive buffers. To poll on would keep a CPU from those
 * who could give some back; and without buffers no completion comes to try again.
 */
static void svan_eth_refill_later(struct svan_eth *eth)
{
	if (!timer_pending(&eth->refill_timer))
		mod_timer(&eth->refill_timer, jiffies + SVAN_REFILL_DELAY);
}

static void svan_eth_refill_timer(struct timer_list *timer)
{
	struct svan_eth *eth = from_timer(eth, timer, refill_timer);

	napi_schedule(&eth->napi);
}

static int svan_napi_poll(struct napi_struct *napi, int budget)
{
	struct svan_eth *eth = container_of(napi, struct svan_eth, napi);
	bool more = svan_txq_clean(eth, budget);
	int work;

	/* netpoll: transmit only */
	if (!budget)
		return 0;
	work = svan_rxq_poll(eth, budget);
	if (!svan_rxq_refill(eth))
		svan_eth_refill_later(eth);
	if (more || work == budget)
		return budget;
	if (napi_complete_done(napi, work)) {
		svan_eth_cq_arm(&eth->tx_cq);
		svan_eth_cq_arm(&eth->rx_cq);
	}
	return work;
}

static void svan_eth_update_carrier(struct svan_eth *eth)
{
	u32 port = svan_read(eth->dev, SVAN_REG_PORT);
	bool on = !svan_gone(port) && (port & SVAN_PORT_LINK_UP);

	ASSERT_RTNL();
	if (on == netif_carrier_ok(eth->netdev))
		return;
	if (on)
		netif_carrier_on(eth->netdev);
	else
		netif_carrier_off(eth->netdev);
	netdev_info(eth->netdev, "link %s\n", on ? "up" : "down");
}

static int svan_eth_up(struct svan_eth *eth)
{
	int err;

	ASSERT_RTNL();
	err = svan_eth_queues_create(eth);
	if (err)
		return err;
	if (!svan_rxq_refill(eth)) {
		err = -ENOMEM;
		goto err_destroy_queues;
	}
	mutex_lock(&eth->filter_lock);
	err = svan_eth_set_filter(eth);
	if (!err)
		eth->up = true;
	mutex_unlock(&eth->filter_lock);
	if (err)
		goto err_destroy_queues;
	netdev_tx_reset_queue(netdev_get_tx_queue(eth->netdev, 0));
	napi_enable(&eth->napi);
	svan_eth_cq_arm(&eth->tx_cq);
	svan_eth_cq_arm(&eth->rx_cq);
	netif_tx_wake_all_queues(eth->netdev);
	svan_eth_update_carrier(eth);
	return 0;

err_destroy_queues:
	svan_eth_queues_destroy(eth);
	return err;
}

static void svan_eth_down(struct svan_eth *eth)
{
	ASSERT_RTNL();
	mutex_lock(&eth->filter_lock);
	eth->up = false;
	svan_eth_clear_filter(eth);
	mutex_unlock(&eth->filter_lock);
	/* first NAPI: it wakes the transmit queue and starts the timer */
	napi_disable(&eth->napi);
	timer_delete_sync(&eth->refill_timer);
	netif_trans_update(eth->netdev);
	netif_tx_disable(eth->netdev);
	svan_eth_queues_destroy(eth);
}

/*
 * The interface goes up and down, and with it the port of the function, which is
 * RDMA's as well: a port of which the netdev is down neither sends nor receives.
 * The queues alone are rebuilt without RDMA noticing.
 */
static int svan_eth_open(struct svan_eth *eth)
{
	int err;

	err = svan_eth_up(eth);
	if (err)
		return err;
	err = svan_cmd_set_port(eth->dev, true);
	if (err)
		svan_eth_down(eth);
	return err;
}

static void svan_eth_close(struct svan_eth *eth)
{
	int err = svan_cmd_set_port(eth->dev, false);

	if (err && err != -ENODEV)
		netdev_err(eth->netdev, "port cannot be disabled: error %d\n", err);
	if (eth->up)
		svan_eth_down(eth);
}

/*
 * The queues could not be built again. Of a dead function the interface stays
 * open, so that a reset finds it so; else it goes down, which everybody sees.
 */
static void svan_eth_give_up(struct svan_eth *eth, int err)
{
	netdev_err(eth->netdev, "queues cannot be made: error %d\n", err);
	netif_carrier_off(eth->netdev);
	if (err == -ENODEV)
		netif_device_detach(eth->netdev);
	else
		dev_close(eth->netdev);
}

/**
 * svan_eth_reconfigure - change ring sizes and MTU
 * @eth: the netdev
 * @config: ring sizes
 * @mtu: the MTU
 *
 * Under rtnl. On failure what was stays, if that can still be had.
 *
 * Return: 0 or a negative error.
 */
int svan_eth_reconfigure(struct svan_eth *eth, const struct svan_eth_config *config,
			 unsigned int mtu)
{
	struct svan_eth_config old_config = eth->config;
	struct net_device *netdev = eth->netdev;
	unsigned int old_mtu = netdev->mtu;
	int err, again;

	ASSERT_RTNL();
	if (eth->up)
		svan_eth_down(eth);
	eth->config = *config;
	WRITE_ONCE(netdev->mtu, mtu);
	if (!netif_running(netdev))
		return 0;
	err = svan_eth_up(eth);
	if (!err)
		return 0;
	eth->config = old_config;
	WRITE_ONCE(netdev->mtu, old_mtu);
	again = svan_eth_up(eth);
	if (again)
		svan_eth_give_up(eth, again);
	return err;
}

static void svan_eth_restart_work(struct work_struct *work)
{
	struct svan_eth *eth = container_of(to_delayed_work(work), struct svan_eth,
					    restart_work);
	int err;

	rtnl_lock();
	if (eth->up && netif_device_present(eth->netdev)) {
		netdev_info(eth->netdev, "rebuilding the queues\n");
		svan_eth_count(eth, restarts);
		svan_eth_down(eth);
		err = svan_eth_up(eth);
		if (err)
			svan_eth_give_up(eth, err);
	}
	rtnl_unlock();
}

/* Any context. */
void svan_eth_restart_later(struct svan_eth *eth, unsigned long delay)
{
	schedule_delayed_work(&eth->restart_work, delay);
}

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

/* Called with the address lock: commands have to wait for a worker. */
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

/* A ring of 2^@def, or as large as @limit allows. */
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
 * The port has changed. What is down or detached learns it when it comes up
 * again; the register is read under rtnl, so that the last to look shows what
 * is so now.
 */
static void svan_netdev_port_event(struct svan_eth *eth)
{
	rtnl_lock();
	if (eth->up && netif_device_present(eth->netdev))
		svan_eth_update_carrier(eth);
	rtnl_unlock();
}

/* The function is dead: the stack leaves it alone until it is bound again. */
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
	mutex_init(&eth->filter_lock);
	INIT_WORK(&eth->rx_mode_work, svan_eth_rx_mode_work);
	INIT_DELAYED_WORK(&eth->restart_work, svan_eth_restart_work);
	eth->dev_nb.notifier_call = svan_netdev_dev_event;
	/* before RDMA, whose port follows the carrier of the netdev */
	eth->dev_nb.priority = 1;
	timer_setup(&eth->refill_timer, svan_eth_refill_timer, 0);
	svan_netdev_setup(dev);
	netif_napi_add(netdev, &eth->napi, svan_napi_poll);
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

/* On return no queue exists, and no event of the function is heard any more. */
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

/* A reset is about to happen: queues down, registration and addresses kept. */
void svan_netdev_suspend(struct svan_dev *dev)
{
	struct svan_eth *eth = netdev_priv(dev->netdev);

	rtnl_lock();
	netif_carrier_off(dev->netdev);
	netif_device_detach(dev->netdev);
	svan_eth_close(eth);
	rtnl_unlock();
}

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
