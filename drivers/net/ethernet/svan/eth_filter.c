// SPDX-License-Identifier: GPL-2.0-only
/*
 * The receive filter: which frames the device gives to the netdev.
 */
#include <linux/netdevice.h>

#include "eth.h"

#define SVAN_MCAST_ENTRY	8	/* bytes of an address in the list */

/*
 * Copy the multicast list to dev->page, and return the flags of the filter. A list
 * that does not fit is replaced by the flag for all multicast.
 */
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
 * The multicast list and the flags are set by two commands. No frame may be lost
 * between them, if its group is joined both before and after. So the new list is set
 * before ALLMULTI is cleared. While ALLMULTI is set the device does not look at the
 * list, and the old one stays.
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

/* filter_lock is held. */
int svan_eth_set_filter(struct svan_eth *eth)
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

/*
 * Turn reception off, by QP number 0. An error is ignored: the queue pair is
 * destroyed next, and if that fails, the function is reset.
 */
void svan_eth_clear_filter(struct svan_eth *eth)
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

void svan_eth_filter_init(struct svan_eth *eth)
{
	mutex_init(&eth->filter_lock);
	INIT_WORK(&eth->rx_mode_work, svan_eth_rx_mode_work);
}
