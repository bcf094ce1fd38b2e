// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual functions: switched on and off by sysfs, managed by `ip link set ... vf`.
 * devlink.c manages them by devlink.
 */
#include <linux/etherdevice.h>
#include <linux/if_link.h>
#include <linux/netdevice.h>

#include "eth.h"
#include "sriov.h"

static const struct svan_function_attr svan_vf_default = {
	.flags = SVAN_FUNCTION_SPOOF_CHECK,
	.link = SVAN_FUNCTION_LINK_AUTO,
};

/* What each device knows. */
#define SVAN_VF_ALWAYS	(SVAN_SET_FUNCTION_MASK & ~SVAN_SET_FUNCTION_GROUP)

/* ---- the device's side ---- */

static int svan_vf_apply(struct svan_vf *vf, u32 mask,
			 const struct svan_function_attr *attr)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_SET_FUNCTION),
		.set_function.function = cpu_to_le32(vf->number + 1),
		.set_function.mask = cpu_to_le32(mask),
		.set_function.attr = *attr,
	};

	lockdep_assert_held(&vf->sriov->lock);
	return svan_cmd_exec(vf->sriov->dev, &cmd, NULL);
}

static void svan_vf_keep(struct svan_function_attr *to, u32 mask,
			 const struct svan_function_attr *from)
{
	u8 flags = 0;

	if (mask & SVAN_SET_FUNCTION_SPOOF_CHECK)
		flags |= SVAN_FUNCTION_SPOOF_CHECK;
	if (mask & SVAN_SET_FUNCTION_TRUSTED)
		flags |= SVAN_FUNCTION_TRUSTED;
	to->flags = (to->flags & ~flags) | (from->flags & flags);
	if (mask & SVAN_SET_FUNCTION_MAC)
		ether_addr_copy(to->mac, from->mac);
	if (mask & SVAN_SET_FUNCTION_VLAN) {
		to->vlan = from->vlan;
		to->priority = from->priority;
	}
	if (mask & SVAN_SET_FUNCTION_LINK)
		to->link = from->link;
	if (mask & SVAN_SET_FUNCTION_TX_MAX)
		to->tx_max = from->tx_max;
	if (mask & SVAN_SET_FUNCTION_TX_SHARE)
		to->tx_share = from->tx_share;
	if (mask & SVAN_SET_FUNCTION_GROUP)
		to->group = from->group;
}

/* Set the attributes that @mask names, in the device and for after its next reset. */
int svan_vf_set(struct svan_vf *vf, u32 mask, const struct svan_function_attr *attr)
{
	int err;

	mutex_lock(&vf->sriov->lock);
	err = svan_vf_apply(vf, mask, attr);
	if (!err)
		svan_vf_keep(&vf->attr, mask, attr);
	mutex_unlock(&vf->sriov->lock);
	return err;
}

int svan_vf_query(struct svan_vf *vf, struct svan_function_attr *attr)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_QUERY_FUNCTION),
		.object.id = cpu_to_le32(vf->number + 1),
	};
	struct svan_cmd_resp resp;
	int err;

	err = svan_cmd_exec(vf->sriov->dev, &cmd, &resp);
	if (!err)
		*attr = resp.query_function;
	return err;
}

/* The device may have been reset as a whole, and have lost what was set. */
void svan_sriov_restore(struct svan_dev *dev)
{
	struct svan_sriov *sriov = dev->sriov;
	int n, err;

	if (!sriov)
		return;
	mutex_lock(&sriov->lock);
	for (n = 0; n < pci_num_vf(dev->pdev); n++) {
		struct svan_function_attr *attr = &sriov->vfs[n].attr;

		err = svan_vf_apply(&sriov->vfs[n], attr->group ? SVAN_SET_FUNCTION_MASK :
				    SVAN_VF_ALWAYS, attr);
		if (err)
			dev_err(&dev->pdev->dev,
				"settings of virtual function %d are lost: error %d\n",
				n, err);
	}
	if (svan_rate_groups_restore(sriov))
		dev_err(&dev->pdev->dev, "rates of groups are lost\n");
	if (svan_dcqcn_restore(sriov))
		dev_err(&dev->pdev->dev, "parameters of congestion control are lost\n");
	if (svan_enforcement_apply(sriov)) {
		/* The parameter is to say what is true. */
		WRITE_ONCE(sriov->enforced, false);
		dev_err(&dev->pdev->dev,
			"congestion control is not enforced any more: set devlink's parameter enforcement again\n");
	}
	mutex_unlock(&sriov->lock);
}

/* ---- on and off ---- */

/* What was set for functions that existed before ends with them. */
static int svan_vfs_reset(struct svan_sriov *sriov, int count)
{
	int n, err = 0;

	for (n = 0; n < count && !err; n++)
		err = svan_vf_set(&sriov->vfs[n], SVAN_VF_ALWAYS, &svan_vf_default);
	/* A device without groups refuses them, and has none to leave. */
	for (n = 0; n < count && !err; n++)
		svan_vf_set(&sriov->vfs[n], SVAN_SET_FUNCTION_GROUP, &svan_vf_default);
	return err;
}

/* So many there are from now on: congestion control is enforced on them, if it is. */
static int svan_vfs_count(struct svan_sriov *sriov, u32 count)
{
	int err;

	mutex_lock(&sriov->lock);
	WRITE_ONCE(sriov->num_vfs, count);
	err = svan_enforcement_apply(sriov);
	mutex_unlock(&sriov->lock);
	return err;
}

static int svan_sriov_enable(struct svan_dev *dev, int count)
{
	int err;

	err = svan_vfs_reset(dev->sriov, count);
	if (err)
		return err;
	err = svan_vfs_count(dev->sriov, count);
	if (err)
		goto err_count;
	err = svan_devlink_add_ports(dev->sriov, count);
	if (err)
		goto err_count;
	err = pci_enable_sriov(dev->pdev, count);
	if (err)
		goto err_ports;
	return 0;

err_ports:
	svan_devlink_del_ports(dev->sriov);
err_count:
	svan_vfs_count(dev->sriov, 0);
	return err;
}

static void svan_sriov_disable(struct svan_dev *dev)
{
	pci_disable_sriov(dev->pdev);
	svan_devlink_del_ports(dev->sriov);
	svan_vfs_count(dev->sriov, 0);
}

int svan_sriov_configure(struct pci_dev *pdev, int count)
{
	struct svan_dev *dev = pci_get_drvdata(pdev);
	int err;

	if (!dev->sriov)
		return -EOPNOTSUPP;
	if (pci_vfs_assigned(pdev)) {
		pci_warn(pdev, "virtual functions are assigned to guests\n");
		return -EPERM;
	}
	if (!count) {
		svan_sriov_disable(dev);
		return 0;
	}
	err = svan_sriov_enable(dev, count);
	return err ? err : count;
}

static int svan_shim_open(struct svan_sriov *sriov)
{
	int err;

	sriov->shim_entries = kmalloc(SVAN_QUERY_FLOWS_MAX, GFP_KERNEL);
	if (!sriov->shim_entries)
		return -ENOMEM;
	err = svan_shim_init(&sriov->shim, sriov->max_vfs + 1, svan_name(sriov->dev),
			     svan_shim_look);
	if (err)
		kfree(sriov->shim_entries);
	else
		svan_shim_attach(sriov->dev, &sriov->shim);
	return err;
}

static void svan_shim_close(struct svan_sriov *sriov)
{
	svan_shim_detach(sriov->dev);
	svan_shim_exit(&sriov->shim);
	kfree(sriov->shim_entries);
}

int svan_sriov_init(struct svan_dev *dev)
{
	int max_vfs = pci_sriov_get_totalvfs(dev->pdev);
	int err;

	if (!dev->pdev->is_physfn || max_vfs <= 0)
		return 0;
	dev->sriov = svan_devlink_alloc(dev, max_vfs);
	if (!dev->sriov)
		return -ENOMEM;
	err = svan_shim_open(dev->sriov);
	if (err)
		goto err_free;
	err = svan_police_files_add(dev->sriov);
	if (err)
		goto err_shim;
	err = svan_health_create(dev->sriov);
	if (err)
		goto err_files;
	err = svan_congestion_params_register(dev->sriov);
	if (err)
		goto err_health;
	err = svan_dcqcn_register(dev->sriov);
	if (err)
		goto err_params;
	/* The device may remember what a driver before this one has set. */
	svan_vfs_count(dev->sriov, 0);
	return 0;

err_params:
	svan_congestion_params_unregister(dev->sriov);
err_health:
	svan_health_destroy(dev->sriov);
err_files:
	svan_police_files_del(dev->sriov);
err_shim:
	svan_shim_close(dev->sriov);
err_free:
	svan_devlink_free(dev->sriov);
	dev->sriov = NULL;
	return err;
}

/* The function is complete: users may manage what it has. */
void svan_sriov_start(struct svan_dev *dev)
{
	if (!dev->sriov)
		return;
	svan_devlink_register(dev->sriov);
	svan_shim_start(&dev->sriov->shim);
}

void svan_sriov_stop(struct svan_dev *dev)
{
	if (!dev->sriov)
		return;
	svan_shim_stop(&dev->sriov->shim);
	svan_devlink_unregister(dev->sriov);
	svan_sriov_disable(dev);
	svan_devlink_del_groups(dev->sriov);
}

/* After the netdev, whose operations use it. */
void svan_sriov_exit(struct svan_dev *dev)
{
	if (!dev->sriov)
		return;
	svan_dcqcn_unregister(dev->sriov);
	svan_congestion_params_unregister(dev->sriov);
	svan_health_destroy(dev->sriov);
	svan_police_files_del(dev->sriov);
	svan_shim_close(dev->sriov);
	svan_devlink_free(dev->sriov);
	dev->sriov = NULL;
}

/* ---- net_device_ops ---- */

/* The virtual function of that number; NULL: it is not enabled. */
static struct svan_vf *svan_netdev_vf(struct net_device *netdev, int number)
{
	struct svan_eth *eth = netdev_priv(netdev);
	struct svan_dev *dev = eth->dev;

	if (!dev->sriov || number < 0 || number >= pci_num_vf(dev->pdev))
		return NULL;
	return &dev->sriov->vfs[number];
}

static int svan_netdev_vf_set(struct net_device *netdev, int number, u32 mask,
			      const struct svan_function_attr *attr)
{
	struct svan_vf *vf = svan_netdev_vf(netdev, number);

	return vf ? svan_vf_set(vf, mask, attr) : -EINVAL;
}

int svan_set_vf_mac(struct net_device *netdev, int number, u8 *mac)
{
	struct svan_function_attr attr = {};

	if (is_multicast_ether_addr(mac))
		return -EINVAL;
	ether_addr_copy(attr.mac, mac);
	return svan_netdev_vf_set(netdev, number, SVAN_SET_FUNCTION_MAC, &attr);
}

int svan_set_vf_vlan(struct net_device *netdev, int number, u16 vlan, u8 qos,
		     __be16 proto)
{
	struct svan_function_attr attr = {
		.vlan = cpu_to_le16(vlan), .priority = qos,
	};

	if (proto != htons(ETH_P_8021Q))
		return -EPROTONOSUPPORT;
	return svan_netdev_vf_set(netdev, number, SVAN_SET_FUNCTION_VLAN, &attr);
}

int svan_set_vf_rate(struct net_device *netdev, int number, int min_rate,
		     int max_rate)
{
	struct svan_function_attr attr = {
		.tx_max = cpu_to_le32(max_rate), .tx_share = cpu_to_le32(min_rate),
	};

	if (min_rate < 0 || max_rate < 0 || (max_rate && min_rate > max_rate))
		return -EINVAL;
	return svan_netdev_vf_set(netdev, number, SVAN_SET_FUNCTION_TX_MAX |
				  SVAN_SET_FUNCTION_TX_SHARE, &attr);
}

int svan_set_vf_spoofchk(struct net_device *netdev, int number, bool on)
{
	struct svan_function_attr attr = {
		.flags = on ? SVAN_FUNCTION_SPOOF_CHECK : 0,
	};

	return svan_netdev_vf_set(netdev, number, SVAN_SET_FUNCTION_SPOOF_CHECK,
				  &attr);
}

int svan_set_vf_trust(struct net_device *netdev, int number, bool on)
{
	struct svan_function_attr attr = {
		.flags = on ? SVAN_FUNCTION_TRUSTED : 0,
	};

	return svan_netdev_vf_set(netdev, number, SVAN_SET_FUNCTION_TRUSTED, &attr);
}

int svan_set_vf_link_state(struct net_device *netdev, int number, int state)
{
	struct svan_function_attr attr = {};

	switch (state) {
	case IFLA_VF_LINK_STATE_AUTO:
		attr.link = SVAN_FUNCTION_LINK_AUTO;
		break;
	case IFLA_VF_LINK_STATE_ENABLE:
		attr.link = SVAN_FUNCTION_LINK_UP;
		break;
	case IFLA_VF_LINK_STATE_DISABLE:
		attr.link = SVAN_FUNCTION_LINK_DOWN;
		break;
	default:
		return -EINVAL;
	}
	return svan_netdev_vf_set(netdev, number, SVAN_SET_FUNCTION_LINK, &attr);
}

static u32 svan_vf_link_state(u8 link)
{
	switch (link) {
	case SVAN_FUNCTION_LINK_UP:
		return IFLA_VF_LINK_STATE_ENABLE;
	case SVAN_FUNCTION_LINK_DOWN:
		return IFLA_VF_LINK_STATE_DISABLE;
	default:
		return IFLA_VF_LINK_STATE_AUTO;
	}
}

int svan_get_vf_config(struct net_device *netdev, int number,
		       struct ifla_vf_info *info)
{
	struct svan_vf *vf = svan_netdev_vf(netdev, number);
	struct svan_function_attr attr;
	int err;

	if (!vf)
		return -EINVAL;
	err = svan_vf_query(vf, &attr);
	if (err)
		return err;
	info->vf = number;
	ether_addr_copy(info->mac, attr.mac);
	info->vlan = le16_to_cpu(attr.vlan);
	info->qos = attr.priority;
	info->vlan_proto = htons(ETH_P_8021Q);
	info->spoofchk = !!(attr.flags & SVAN_FUNCTION_SPOOF_CHECK);
	info->trusted = !!(attr.flags & SVAN_FUNCTION_TRUSTED);
	info->linkstate = svan_vf_link_state(attr.link);
	info->min_tx_rate = le32_to_cpu(attr.tx_share);
	info->max_tx_rate = le32_to_cpu(attr.tx_max);
	return 0;
}

int svan_get_vf_stats(struct net_device *netdev, int number,
		      struct ifla_vf_stats *to)
{
	struct svan_vf *vf = svan_netdev_vf(netdev, number);
	struct svan_stats from;
	int err;

	if (!vf)
		return -EINVAL;
	err = svan_read_function_stats(vf->sriov->dev, number + 1, &from);
	if (err)
		return err;
	to->rx_packets = le64_to_cpu(from.eth_rx_frames) +
			 le64_to_cpu(from.roce_rx_packets);
	to->tx_packets = le64_to_cpu(from.eth_tx_frames) +
			 le64_to_cpu(from.roce_tx_packets);
	to->rx_bytes = le64_to_cpu(from.eth_rx_bytes) +
		       le64_to_cpu(from.roce_rx_bytes);
	to->tx_bytes = le64_to_cpu(from.eth_tx_bytes) +
		       le64_to_cpu(from.roce_tx_bytes);
	to->rx_dropped = le64_to_cpu(from.eth_rx_no_buffer) +
			 le64_to_cpu(from.eth_rx_filtered) +
			 le64_to_cpu(from.eth_rx_too_long);
	to->tx_dropped = le64_to_cpu(from.spoof_mac_drops) +
			 le64_to_cpu(from.spoof_vlan_drops) +
			 le64_to_cpu(from.spoof_roce_drops) +
			 le64_to_cpu(from.source_drops);
	return 0;
}
