// SPDX-License-Identifier: GPL-2.0-only
/*
 * The netdev opens and closes its queues, polls them, and rebuilds them when their
 * configuration changes or when they fail.
 */
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>

#include "eth.h"

/* time between two attempts to find memory for receive buffers */
#define SVAN_REFILL_DELAY	msecs_to_jiffies(20)

/*
 * There was no memory for receive buffers. NAPI must not go on polling, which would
 * take the CPU from those who could free some. Nor may it wait for an event: without
 * buffers no completion will come. So a timer makes it try again.
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

	/* A budget of 0 comes from netpoll, which only wants transmit completions. */
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

void svan_eth_update_carrier(struct svan_eth *eth)
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
	/* NAPI goes first, as it wakes the transmit queue and starts the timer. */
	napi_disable(&eth->napi);
	timer_delete_sync(&eth->refill_timer);
	netif_trans_update(eth->netdev);
	netif_tx_disable(eth->netdev);
	svan_eth_queues_destroy(eth);
}

/*
 * Opening and closing the interface enables and disables the port of the function,
 * and RDMA uses the same port: while the netdev is down, it neither sends nor
 * receives. svan_eth_up() and svan_eth_down() leave the port alone, so RDMA does not
 * notice when the queues are rebuilt.
 */
int svan_eth_open(struct svan_eth *eth)
{
	int err;

	err = svan_eth_up(eth);
	if (err)
		return err;
	err = svan_set_port_enabled(eth->dev, true);
	if (err)
		svan_eth_down(eth);
	return err;
}

void svan_eth_close(struct svan_eth *eth)
{
	int err = svan_set_port_enabled(eth->dev, false);

	if (err && err != -ENODEV)
		netdev_err(eth->netdev, "port cannot be disabled: error %d\n", err);
	if (eth->up)
		svan_eth_down(eth);
}

/*
 * The queues could not be built again. If the function is dead, the interface stays
 * open, and a later reset will build them. Otherwise it is closed, so that users
 * see that it does not work.
 */
void svan_eth_give_up(struct svan_eth *eth, int err)
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
 * Called under rtnl. After a failure the old sizes and MTU are in use again, if the
 * queues can still be built with them.
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

/* Prepare what does not depend on the queues: NAPI, the worker and the timer. */
void svan_eth_init(struct svan_eth *eth)
{
	INIT_DELAYED_WORK(&eth->restart_work, svan_eth_restart_work);
	timer_setup(&eth->refill_timer, svan_eth_refill_timer, 0);
	netif_napi_add(eth->netdev, &eth->napi, svan_napi_poll);
}
