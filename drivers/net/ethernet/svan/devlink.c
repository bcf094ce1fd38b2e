// SPDX-License-Identifier: GPL-2.0-only
/*
 * devlink: an instance for each physical function that may have virtual ones, with a
 * port and a rate for each of those. There is no switch device, and there are no
 * representors.
 */
#include <linux/etherdevice.h>

#include "sriov.h"

static struct svan_vf *svan_port_vf(struct devlink_port *port)
{
	return container_of(port, struct svan_vf, port);
}

/* ---- devlink port function ---- */

static int svan_port_hw_addr_get(struct devlink_port *port, u8 *hw_addr, int *length,
				 struct netlink_ext_ack *extack)
{
	struct svan_function_attr attr;
	int err;

	err = svan_vf_query(svan_port_vf(port), &attr);
	if (err)
		return err;
	ether_addr_copy(hw_addr, attr.mac);
	*length = ETH_ALEN;
	return 0;
}

static int svan_port_hw_addr_set(struct devlink_port *port, const u8 *hw_addr,
				 int length, struct netlink_ext_ack *extack)
{
	struct svan_function_attr attr = {};

	if (length != ETH_ALEN || is_multicast_ether_addr(hw_addr)) {
		NL_SET_ERR_MSG_MOD(extack, "not a unicast Ethernet address");
		return -EINVAL;
	}
	ether_addr_copy(attr.mac, hw_addr);
	return svan_vf_set(svan_port_vf(port), SVAN_SET_FUNCTION_MAC, &attr);
}

/* Does a driver drive the virtual function, here or for a guest? */
static bool svan_vf_is_driven(const struct svan_vf *vf)
{
	struct pci_dev *pdev = NULL;
	bool driven = false;

	while ((pdev = pci_get_device(SVAN_PCI_VENDOR_ID, SVAN_PCI_DEVICE_ID_VF,
				      pdev))) {
		if (pci_physfn(pdev) == vf->sriov->dev->pdev &&
		    pci_iov_vf_id(pdev) == vf->number)
			driven = READ_ONCE(pdev->driver);
	}
	return driven;
}

static int svan_port_state_get(struct devlink_port *port,
			       enum devlink_port_fn_state *state,
			       enum devlink_port_fn_opstate *opstate,
			       struct netlink_ext_ack *extack)
{
	struct svan_vf *vf = svan_port_vf(port);
	struct svan_function_attr attr;
	int err;

	err = svan_vf_query(vf, &attr);
	if (err)
		return err;
	*state = attr.link == SVAN_FUNCTION_LINK_DOWN ?
		 DEVLINK_PORT_FN_STATE_INACTIVE : DEVLINK_PORT_FN_STATE_ACTIVE;
	*opstate = svan_vf_is_driven(vf) ? DEVLINK_PORT_FN_OPSTATE_ATTACHED :
					   DEVLINK_PORT_FN_OPSTATE_DETACHED;
	return 0;
}

/* An inactive function has no link and no traffic; its driver stays. */
static int svan_port_state_set(struct devlink_port *port,
			       enum devlink_port_fn_state state,
			       struct netlink_ext_ack *extack)
{
	struct svan_function_attr attr = {
		.link = state == DEVLINK_PORT_FN_STATE_ACTIVE ?
			SVAN_FUNCTION_LINK_AUTO : SVAN_FUNCTION_LINK_DOWN,
	};

	return svan_vf_set(svan_port_vf(port), SVAN_SET_FUNCTION_LINK, &attr);
}

static const struct devlink_port_ops svan_port_ops = {
	.port_fn_hw_addr_get	= svan_port_hw_addr_get,
	.port_fn_hw_addr_set	= svan_port_hw_addr_set,
	.port_fn_state_get	= svan_port_state_get,
	.port_fn_state_set	= svan_port_state_set,
};

static const struct devlink_ops svan_devlink_ops = {
	.rate_leaf_tx_max_set	= svan_rate_leaf_tx_max_set,
	.rate_leaf_tx_share_set	= svan_rate_leaf_tx_share_set,
	.rate_leaf_parent_set	= svan_rate_leaf_parent_set,
	.rate_node_new		= svan_rate_node_new,
	.rate_node_del		= svan_rate_node_del,
	.rate_node_tx_max_set	= svan_rate_node_tx_max_set,
	.rate_node_tx_share_set	= svan_rate_node_tx_share_set,
};

/* ---- ports come and go ---- */

static int svan_devlink_add_port(struct svan_vf *vf)
{
	struct devlink *devlink = priv_to_devlink(vf->sriov);
	struct pci_dev *pdev = vf->sriov->dev->pdev;
	int err;

	memset(&vf->port, 0, sizeof(vf->port));
	devlink_port_attrs_pci_vf_set(&vf->port, 0, PCI_FUNC(pdev->devfn),
				      vf->number, false);
	err = devl_port_register_with_ops(devlink, &vf->port, vf->number + 1,
					  &svan_port_ops);
	if (err)
		return err;
	err = devl_rate_leaf_create(&vf->port, vf, NULL);
	if (err)
		devl_port_unregister(&vf->port);
	return err;
}

static void svan_devlink_del_port(struct svan_vf *vf)
{
	devl_rate_leaf_destroy(&vf->port);
	devl_port_unregister(&vf->port);
}

static void svan_devlink_del_ports_locked(struct svan_sriov *sriov)
{
	while (sriov->num_ports)
		svan_devlink_del_port(&sriov->vfs[--sriov->num_ports]);
}

int svan_devlink_add_ports(struct svan_sriov *sriov, u32 count)
{
	struct devlink *devlink = priv_to_devlink(sriov);
	int err = 0;

	devl_lock(devlink);
	while (sriov->num_ports < count && !err) {
		err = svan_devlink_add_port(&sriov->vfs[sriov->num_ports]);
		if (!err)
			sriov->num_ports++;
	}
	if (err)
		svan_devlink_del_ports_locked(sriov);
	devl_unlock(devlink);
	return err;
}

void svan_devlink_del_ports(struct svan_sriov *sriov)
{
	struct devlink *devlink = priv_to_devlink(sriov);

	devl_lock(devlink);
	svan_devlink_del_ports_locked(sriov);
	devl_unlock(devlink);
}

/* No functions are there any more. */
void svan_devlink_del_groups(struct svan_sriov *sriov)
{
	struct devlink *devlink = priv_to_devlink(sriov);

	devl_lock(devlink);
	devl_rate_nodes_destroy(devlink);
	devl_unlock(devlink);
}

/* ---- the instance ---- */

struct svan_sriov *svan_devlink_alloc(struct svan_dev *dev, u32 max_vfs)
{
	struct svan_sriov *sriov;
	struct devlink *devlink;
	u32 n;

	devlink = devlink_alloc(&svan_devlink_ops, struct_size(sriov, vfs, max_vfs),
				&dev->pdev->dev);
	if (!devlink)
		return NULL;
	sriov = devlink_priv(devlink);
	sriov->dev = dev;
	sriov->max_vfs = max_vfs;
	sriov->policy = svan_policy_find("nic");
	mutex_init(&sriov->lock);
	for (n = 0; n < max_vfs; n++) {
		sriov->vfs[n].sriov = sriov;
		sriov->vfs[n].number = n;
		sriov->vfs[n].police = svan_police_default;
	}
	return sriov;
}

void svan_devlink_free(struct svan_sriov *sriov)
{
	mutex_destroy(&sriov->lock);
	devlink_free(priv_to_devlink(sriov));
}

void svan_devlink_register(struct svan_sriov *sriov)
{
	devlink_register(priv_to_devlink(sriov));
}

void svan_devlink_unregister(struct svan_sriov *sriov)
{
	devlink_unregister(priv_to_devlink(sriov));
}
