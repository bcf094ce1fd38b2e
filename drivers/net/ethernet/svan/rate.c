// SPDX-License-Identifier: GPL-2.0-only
/*
 * devlink rates: limits and shares of virtual functions (leaves) and of groups of them
 * (nodes). The device knows no groups of groups.
 */
#include <linux/math64.h>

#include "sriov.h"

/* Rates of devlink are in bytes per second, those of the device in Mb/s. */
#define SVAN_BYTES_PER_MBIT	(1000000 / BITS_PER_BYTE)

static int svan_rate_mbps(u64 bytes, __le32 *mbps, struct netlink_ext_ack *extack)
{
	u64 quotient;
	u32 rest;

	quotient = div_u64_rem(bytes, SVAN_BYTES_PER_MBIT, &rest);
	if (rest || quotient > U32_MAX) {
		NL_SET_ERR_MSG_MOD(extack, "a rate is a whole number of Mbit/s");
		return -EINVAL;
	}
	*mbps = cpu_to_le32(quotient);
	return 0;
}

/* ---- functions ---- */

static int svan_rate_leaf_set(struct svan_vf *vf, u32 mask, u64 bytes,
			      struct netlink_ext_ack *extack)
{
	struct svan_function_attr attr = {};
	int err;

	err = svan_rate_mbps(bytes, &attr.tx_max, extack);
	attr.tx_share = attr.tx_max;	/* @mask says which of them counts */
	return err ? err : svan_vf_set(vf, mask, &attr);
}

int svan_rate_leaf_tx_max_set(struct devlink_rate *rate, void *priv, u64 bytes,
			      struct netlink_ext_ack *extack)
{
	return svan_rate_leaf_set(priv, SVAN_SET_FUNCTION_TX_MAX, bytes, extack);
}

int svan_rate_leaf_tx_share_set(struct devlink_rate *rate, void *priv, u64 bytes,
				struct netlink_ext_ack *extack)
{
	return svan_rate_leaf_set(priv, SVAN_SET_FUNCTION_TX_SHARE, bytes, extack);
}

/* @priv_parent NULL: the function leaves its group. */
int svan_rate_leaf_parent_set(struct devlink_rate *rate, struct devlink_rate *parent,
			      void *priv, void *priv_parent,
			      struct netlink_ext_ack *extack)
{
	struct svan_rate_group *group = priv_parent;
	struct svan_vf *vf = priv;
	struct svan_function_attr attr = {
		.group = group ? group - vf->sriov->groups + 1 : 0,
	};

	return svan_vf_set(vf, SVAN_SET_FUNCTION_GROUP, &attr);
}

/* ---- groups ---- */

static int svan_rate_group_apply(struct svan_sriov *sriov,
				 const struct svan_rate_group *group, __le32 tx_max,
				 __le32 tx_share)
{
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_SET_RATE_GROUP),
		.set_rate_group.group = cpu_to_le32(group - sriov->groups + 1),
		.set_rate_group.tx_max = tx_max,
		.set_rate_group.tx_share = tx_share,
	};

	lockdep_assert_held(&sriov->lock);
	return svan_cmd_exec(sriov->dev, &cmd, NULL);
}

static int svan_rate_group_set(struct svan_sriov *sriov, struct svan_rate_group *group,
			       __le32 tx_max, __le32 tx_share)
{
	int err;

	lockdep_assert_held(&sriov->lock);
	err = svan_rate_group_apply(sriov, group, tx_max, tx_share);
	if (!err) {
		group->tx_max = tx_max;
		group->tx_share = tx_share;
	}
	return err;
}

static int svan_rate_node_set(struct devlink_rate *rate, struct svan_rate_group *group,
			      bool is_share, u64 bytes, struct netlink_ext_ack *extack)
{
	struct svan_sriov *sriov = devlink_priv(rate->devlink);
	__le32 mbps;
	int err;

	err = svan_rate_mbps(bytes, &mbps, extack);
	if (err)
		return err;
	mutex_lock(&sriov->lock);
	err = svan_rate_group_set(sriov, group, is_share ? group->tx_max : mbps,
				  is_share ? mbps : group->tx_share);
	mutex_unlock(&sriov->lock);
	return err;
}

int svan_rate_node_tx_max_set(struct devlink_rate *rate, void *priv, u64 bytes,
			      struct netlink_ext_ack *extack)
{
	return svan_rate_node_set(rate, priv, false, bytes, extack);
}

int svan_rate_node_tx_share_set(struct devlink_rate *rate, void *priv, u64 bytes,
				struct netlink_ext_ack *extack)
{
	return svan_rate_node_set(rate, priv, true, bytes, extack);
}

/* The device may know rates of the group from a driver before this one. */
int svan_rate_node_new(struct devlink_rate *rate, void **priv,
		       struct netlink_ext_ack *extack)
{
	struct svan_sriov *sriov = devlink_priv(rate->devlink);
	struct svan_rate_group *group = sriov->groups;
	int err;

	mutex_lock(&sriov->lock);
	while (group < sriov->groups + SVAN_RATE_GROUPS && group->used)
		group++;
	if (group == sriov->groups + SVAN_RATE_GROUPS) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "the device has %u groups",
				       SVAN_RATE_GROUPS);
		err = -ENOSPC;
	} else {
		err = svan_rate_group_set(sriov, group, 0, 0);
		group->used = !err;
		*priv = group;
	}
	mutex_unlock(&sriov->lock);
	return err;
}

/* No function is in it any more; what is left of its rates does no harm. */
int svan_rate_node_del(struct devlink_rate *rate, void *priv,
		       struct netlink_ext_ack *extack)
{
	struct svan_sriov *sriov = devlink_priv(rate->devlink);
	struct svan_rate_group *group = priv;

	mutex_lock(&sriov->lock);
	group->used = false;
	mutex_unlock(&sriov->lock);
	return 0;
}

/* After a reset of the device. */
int svan_rate_groups_restore(struct svan_sriov *sriov)
{
	struct svan_rate_group *group;
	int err = 0;

	for (group = sriov->groups; group < sriov->groups + SVAN_RATE_GROUPS; group++) {
		if (group->used)
			err = svan_rate_group_apply(sriov, group, group->tx_max,
						    group->tx_share) ?: err;
	}
	return err;
}
