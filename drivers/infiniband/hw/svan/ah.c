// SPDX-License-Identifier: GPL-2.0-only
/*
 * Addresses: of connections and of datagrams, and the multicast groups that datagrams go
 * to. An address handle is of the driver alone: it goes to the device with each work
 * request. So it needs no command, and may be created and destroyed in any context.
 */

#include <rdma/ib_addr.h>

#include "svan_ib.h"
#include "svan_ib_trace.h"

int svan_ib_fill_av(struct svan_av *av, const struct rdma_ah_attr *ah)
{
	const struct ib_global_route *grh = rdma_ah_read_grh(ah);

	if (ah->type != RDMA_AH_ATTR_TYPE_ROCE ||
	    !(rdma_ah_get_ah_flags(ah) & IB_AH_GRH) ||
	    rdma_ah_get_port_num(ah) != SVAN_IB_PORT ||
	    grh->flow_label > 0xfffff)
		return -EINVAL;

	memset(av, 0, sizeof(*av));
	memcpy(av->dgid, grh->dgid.raw, sizeof(av->dgid));
	memcpy(av->dmac, ah->roce.dmac, sizeof(av->dmac));
	av->hop_limit = grh->hop_limit;
	av->traffic_class = grh->traffic_class;
	av->flow_label = cpu_to_le32(grh->flow_label);
	av->sgid_index = grh->sgid_index;
	av->sl = rdma_ah_get_sl(ah);
	return 0;
}

void svan_ib_read_av(const struct svan_av *av, struct rdma_ah_attr *ah)
{
	union ib_gid dgid;

	memcpy(dgid.raw, av->dgid, sizeof(dgid.raw));
	ah->type = RDMA_AH_ATTR_TYPE_ROCE;
	rdma_ah_set_port_num(ah, SVAN_IB_PORT);
	rdma_ah_set_sl(ah, av->sl);
	rdma_ah_set_grh(ah, &dgid, le32_to_cpu(av->flow_label), av->sgid_index,
			av->hop_limit, av->traffic_class);
	memcpy(ah->roce.dmac, av->dmac, sizeof(ah->roce.dmac));
}

/* ---- address handles ---- */

/*
 * ib_core finds the MAC address of a multicast group for users only. Users in the kernel
 * get attributes without it from rdma_join_multicast().
 */
static void svan_ah_set_group_mac(struct svan_av *av)
{
	struct in6_addr group;

	memcpy(&group, av->dgid, sizeof(group));
	if (!rdma_is_multicast_addr(&group))
		return;
	if (ipv6_addr_v4mapped(&group))
		ip_eth_mc_map(group.s6_addr32[3], av->dmac);
	else
		ipv6_eth_mc_map(&group, av->dmac);
}

static int svan_ah_init(struct svan_ib_ah *ah, const struct rdma_ah_attr *attr,
			struct ib_udata *udata)
{
	struct svan_uresp_create_ah uresp;
	int err;

	err = svan_ib_no_ureq(udata);
	if (err)
		return err;
	err = svan_ib_fill_av(&ah->av, attr);
	if (err)
		return err;

	svan_ah_set_group_mac(&ah->av);
	static_assert(sizeof(uresp.av) == sizeof(ah->av));
	memcpy(uresp.av, &ah->av, sizeof(uresp.av));
	return svan_ib_write_uresp(udata, &uresp, sizeof(uresp));
}

/*
 * ib_core holds the entry of the GID table as long as the handle exists, so its index
 * stays that of the same GID.
 */
int svan_ib_create_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *attr,
		      struct ib_udata *udata)
{
	struct svan_ib_ah *ah = to_svan_ib_ah(ibah);
	int err = svan_ah_init(ah, attr->ah_attr, udata);

	trace_svan_ib_ah_create(ah, err);
	return err;
}

int svan_ib_query_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	svan_ib_read_av(&to_svan_ib_ah(ibah)->av, attr);
	return 0;
}

int svan_ib_destroy_ah(struct ib_ah *ibah, u32 flags)
{
	trace_svan_ib_ah_destroy(to_svan_ib_ah(ibah), 0);
	return 0;
}

/* ---- multicast groups ---- */

static int svan_mcast_exec(struct ib_qp *ibqp, const union ib_gid *gid,
			   enum svan_cmd_opcode opcode)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibqp->device);
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(opcode),
		.attach_mcast.qpn = cpu_to_le32(ibqp->qp_num),
	};

	if (ibqp->qp_type != IB_QPT_UD)
		return -EINVAL;
	memcpy(cmd.attach_mcast.gid, gid->raw, sizeof(cmd.attach_mcast.gid));
	return svan_cmd_exec(dev->sdev, &cmd, NULL);
}

/* RoCE has no LIDs. */
int svan_ib_attach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 lid)
{
	int err = svan_mcast_exec(ibqp, gid, SVAN_CMD_ATTACH_MCAST);

	trace_svan_ib_mcast_attach(ibqp, gid, err);
	return err;
}

int svan_ib_detach_mcast(struct ib_qp *ibqp, union ib_gid *gid, u16 lid)
{
	int err = svan_mcast_exec(ibqp, gid, SVAN_CMD_DETACH_MCAST);

	trace_svan_ib_mcast_detach(ibqp, gid, err);
	return err;
}
