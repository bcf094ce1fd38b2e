// SPDX-License-Identifier: GPL-2.0-only
/*
 * The GID table. ib_core adds and removes entries as the addresses of the netdev and
 * of its VLANs change, and makes one call at a time for a port.
 */

#include <linux/if_vlan.h>
#include <rdma/ib_cache.h>

#include "svan_ib.h"
#include "svan_ib_trace.h"

int svan_ib_add_gid(const struct ib_gid_attr *attr, void **context)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(attr->device);
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_SET_GID),
		.set_gid.index = cpu_to_le32(attr->index),
	};
	u16 vlan = U16_MAX;
	int err;

	err = rdma_read_gid_l2_fields(attr, &vlan, cmd.set_gid.smac);
	if (err)
		return err;

	memcpy(cmd.set_gid.gid, attr->gid.raw, sizeof(cmd.set_gid.gid));
	if (vlan < VLAN_N_VID) {
		cmd.set_gid.flags = SVAN_CMD_GID_VLAN;
		cmd.set_gid.vlan = cpu_to_le16(vlan);
	}

	err = svan_cmd_exec(dev->sdev, &cmd, NULL);
	trace_svan_ib_gid_add(attr, vlan, err);
	return err;
}

/*
 * A QP may still use the entry; the device drops its packets then. ib_core does not use
 * the index for another GID before the QP is gone or has another address vector.
 */
int svan_ib_del_gid(const struct ib_gid_attr *attr, void **context)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(attr->device);

	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_CLEAR_GID, attr->index);
	trace_svan_ib_gid_del(attr, U16_MAX, 0);
	return 0;
}
