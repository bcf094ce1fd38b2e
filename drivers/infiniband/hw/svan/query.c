// SPDX-License-Identifier: GPL-2.0-only
/* Attributes of the device and its port, from the capabilities and the netdev. */

#include <linux/netdevice.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_mad.h>
#include <svan/wire.h>

#include "svan_ib.h"

/* 4.096 us * 2^15 = 134 ms, because an emulated device may have to wait for a CPU */
#define SVAN_IB_ACK_DELAY	15

static enum ib_atomic_cap svan_ib_atomic_cap(u64 features)
{
	if (features & SVAN_CAP_ATOMIC_GLOBAL)
		return IB_ATOMIC_GLOB;
	return features & SVAN_CAP_ATOMIC ? IB_ATOMIC_HCA : IB_ATOMIC_NONE;
}

static void svan_ib_fill_queue_limits(const struct svan_caps *caps,
				      struct ib_device_attr *attr)
{
	u32 rd_atomic = le16_to_cpu(caps->max_rd_atomic);

	attr->max_qp = le32_to_cpu(caps->max_qp);
	/*
	 * A send of at most SVAN_WQE_HEAD_SGES entries takes one block of the ring, and a
	 * datagram two.
	 */
	attr->max_qp_wr = min(le32_to_cpu(caps->max_qp_wqebb) / 2,
			      le32_to_cpu(caps->max_qp_rwqe));
	attr->max_send_sge = le16_to_cpu(caps->max_sge);
	attr->max_recv_sge = le16_to_cpu(caps->max_sge);
	attr->max_sge_rd = le16_to_cpu(caps->max_sge_rd);
	if (le64_to_cpu(caps->features) & SVAN_CAP_SRQ) {
		attr->max_srq = le32_to_cpu(caps->max_srq);
		attr->max_srq_wr = le32_to_cpu(caps->max_qp_rwqe);
		attr->max_srq_sge = le16_to_cpu(caps->max_sge);
	}
	attr->max_cq = le32_to_cpu(caps->max_cq);
	attr->max_cqe = le32_to_cpu(caps->max_cqe);
	attr->max_qp_rd_atom = rd_atomic;
	attr->max_qp_init_rd_atom = rd_atomic;
	attr->max_res_rd_atom = rd_atomic * attr->max_qp;
	attr->cq_caps.max_cq_moderation_count = U16_MAX;
	attr->cq_caps.max_cq_moderation_period = U16_MAX;
}

/* What may be done with absent pages, for each type of QP. */
static void svan_ib_fill_transport_odp_caps(struct svan_ib_dev *dev,
					    struct ib_device_attr *attr)
{
	u64 features = le64_to_cpu(dev->caps->features);
	struct ib_odp_caps *caps = &attr->odp_caps;

	caps->per_transport_caps.rc_odp_caps = IB_ODP_SUPPORT_SEND |
					       IB_ODP_SUPPORT_RECV |
					       IB_ODP_SUPPORT_WRITE |
					       IB_ODP_SUPPORT_READ;
	if (attr->atomic_cap != IB_ATOMIC_NONE)
		caps->per_transport_caps.rc_odp_caps |= IB_ODP_SUPPORT_ATOMIC;
	if (features & SVAN_CAP_UC)
		caps->per_transport_caps.uc_odp_caps = IB_ODP_SUPPORT_SEND |
						       IB_ODP_SUPPORT_RECV |
						       IB_ODP_SUPPORT_WRITE;
	if (features & SVAN_CAP_UD)
		caps->per_transport_caps.ud_odp_caps = IB_ODP_SUPPORT_SEND |
						       IB_ODP_SUPPORT_RECV;
	if (features & SVAN_CAP_SRQ) {
		caps->per_transport_caps.rc_odp_caps |= IB_ODP_SUPPORT_SRQ_RECV;
		if (features & SVAN_CAP_UC)
			caps->per_transport_caps.uc_odp_caps |= IB_ODP_SUPPORT_SRQ_RECV;
		if (features & SVAN_CAP_UD)
			caps->per_transport_caps.ud_odp_caps |= IB_ODP_SUPPORT_SRQ_RECV;
	}
}

/*
 * If the device makes page requests, all operations of all types of QP work on absent
 * pages. Without page requests but with process keys, the whole address space can still
 * be registered. The kernel allows this only with IBK_ON_DEMAND_PAGING. No operation is
 * then claimed to support it, as each one fails on an absent page.
 */
static void svan_ib_fill_odp_caps(struct svan_ib_dev *dev,
				  struct ib_device_attr *attr)
{
	struct ib_odp_caps *caps = &attr->odp_caps;

	if (!dev->ondemand_keys && !dev->process_keys)
		return;
	attr->kernel_cap_flags |= IBK_ON_DEMAND_PAGING;
	caps->general_caps = IB_ODP_SUPPORT_IMPLICIT;
	if (!dev->ondemand_keys)
		return;
	caps->general_caps |= IB_ODP_SUPPORT;
	svan_ib_fill_transport_odp_caps(dev, attr);
}

/*
 * The device knows no address handles, so their number is limited by memory only. They are
 * all of the only port, on which every QP is.
 */
static void svan_ib_fill_datagram_limits(struct ib_device_attr *attr)
{
	attr->device_cap_flags |= IB_DEVICE_UD_AV_PORT_ENFORCE;
	attr->max_ah = INT_MAX;
	attr->max_mcast_grp = SVAN_MAX_MCAST_GROUPS;
	attr->max_mcast_qp_attach = SVAN_MAX_MCAST_QPS;
	attr->max_total_mcast_qp_attach = SVAN_MAX_MCAST_GROUPS *
					  SVAN_MAX_MCAST_QPS;
}

int svan_ib_query_device(struct ib_device *ibdev, struct ib_device_attr *attr,
			 struct ib_udata *udata)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibdev);
	const struct svan_caps *caps = dev->caps;
	struct pci_dev *pdev = svan_pdev(dev->sdev);
	u64 features = le64_to_cpu(caps->features);
	int err;

	err = svan_ib_no_ureq(udata);
	if (err)
		return err;

	attr->fw_ver = le32_to_cpu(caps->fw_version);
	attr->sys_image_guid = ibdev->node_guid;
	attr->vendor_id = pdev->vendor;
	attr->vendor_part_id = pdev->device;
	attr->hw_ver = pdev->revision;
	attr->device_cap_flags = IB_DEVICE_CURR_QP_STATE_MOD |
				 IB_DEVICE_PORT_ACTIVE_EVENT |
				 IB_DEVICE_RC_RNR_NAK_GEN |
				 IB_DEVICE_SYS_IMAGE_GUID;
	attr->kernel_cap_flags = IBK_LOCAL_DMA_LKEY;
	attr->atomic_cap = svan_ib_atomic_cap(features);
	svan_ib_fill_odp_caps(dev, attr);
	attr->max_mr_size = le64_to_cpu(caps->max_key_length);
	attr->page_size_cap = le32_to_cpu(caps->page_size_cap);
	attr->max_mr = le32_to_cpu(caps->max_key);
	attr->max_pd = le32_to_cpu(caps->max_pd);
	attr->max_pkeys = 1;
	attr->local_ca_ack_delay = SVAN_IB_ACK_DELAY;
	svan_ib_fill_queue_limits(caps, attr);

	if (features & SVAN_CAP_UD)
		svan_ib_fill_datagram_limits(attr);
	if (features & SVAN_CAP_TIMESTAMP) {
		attr->hca_core_clock = le64_to_cpu(caps->clock_khz);
		attr->timestamp_mask = U64_MAX;
	}
	return 0;
}

enum ib_port_state svan_ib_port_state(struct svan_ib_dev *dev)
{
	struct net_device *netdev = svan_netdev(dev->sdev);

	return netif_running(netdev) && netif_carrier_ok(netdev) ?
	       IB_PORT_ACTIVE : IB_PORT_DOWN;
}

static enum ib_port_phys_state svan_ib_phys_state(struct svan_ib_dev *dev)
{
	struct net_device *netdev = svan_netdev(dev->sdev);

	if (!netif_running(netdev))
		return IB_PORT_PHYS_STATE_DISABLED;
	return netif_carrier_ok(netdev) ? IB_PORT_PHYS_STATE_LINK_UP :
					  IB_PORT_PHYS_STATE_POLLING;
}

/* Of the packets of RDMA, which knows no smaller MTU than 256. */
enum ib_mtu svan_ib_active_mtu(struct svan_ib_dev *dev)
{
	enum ib_mtu max = ib_mtu_int_to_enum(le32_to_cpu(dev->caps->max_mtu));
	enum ib_mtu mtu = iboe_get_mtu(READ_ONCE(svan_netdev(dev->sdev)->mtu));

	return clamp(mtu, IB_MTU_256, max);
}

int svan_ib_query_port(struct ib_device *ibdev, u32 port,
		       struct ib_port_attr *attr)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(ibdev);
	const struct svan_caps *caps = dev->caps;

	attr->state = svan_ib_port_state(dev);
	attr->phys_state = svan_ib_phys_state(dev);
	attr->max_mtu = ib_mtu_int_to_enum(le32_to_cpu(caps->max_mtu));
	attr->active_mtu = svan_ib_active_mtu(dev);
	attr->gid_tbl_len = le32_to_cpu(caps->max_gid);
	attr->pkey_tbl_len = 1;
	attr->max_msg_sz = le32_to_cpu(caps->max_msg_size);
	attr->max_vl_num = 1;
	attr->ip_gids = true;
	if (le64_to_cpu(caps->features) & SVAN_CAP_GSI)
		attr->port_cap_flags = IB_PORT_CM_SUP;
	if (attr->state != IB_PORT_ACTIVE) {
		/* A netdev without a link does not know its speed. */
		attr->active_speed = IB_SPEED_SDR;
		attr->active_width = IB_WIDTH_1X;
		return 0;
	}
	return ib_get_eth_speed(ibdev, port, &attr->active_speed,
				&attr->active_width);
}

/*
 * GIDs and address handles are those of RoCE v2. MADs and the connection manager are
 * claimed with a GSI QP only, which ib_mad then creates while the device is registered.
 */
int svan_ib_get_port_immutable(struct ib_device *ibdev, u32 port,
			       struct ib_port_immutable *immutable)
{
	const struct svan_caps *caps = to_svan_ib_dev(ibdev)->caps;

	immutable->core_cap_flags = RDMA_CORE_CAP_PROT_ROCE_UDP_ENCAP |
				    RDMA_CORE_CAP_ETH_AH;
	immutable->gid_tbl_len = le32_to_cpu(caps->max_gid);
	immutable->pkey_tbl_len = 1;
	if (le64_to_cpu(caps->features) & SVAN_CAP_GSI) {
		immutable->core_cap_flags = RDMA_CORE_PORT_IBA_ROCE_UDP_ENCAP;
		immutable->max_mad_size = IB_MGMT_MAD_SIZE;
	}
	return 0;
}

int svan_ib_query_pkey(struct ib_device *ibdev, u32 port, u16 index, u16 *pkey)
{
	if (index)
		return -EINVAL;

	*pkey = SVAN_PKEY_DEFAULT;
	return 0;
}

enum rdma_link_layer svan_ib_get_link_layer(struct ib_device *ibdev, u32 port)
{
	return IB_LINK_LAYER_ETHERNET;
}

void svan_ib_get_fw_str(struct ib_device *ibdev, char *str)
{
	u32 version = le32_to_cpu(to_svan_ib_dev(ibdev)->caps->fw_version);

	snprintf(str, IB_FW_VERSION_NAME_MAX, "%u.%u",
		 version >> 16, version & 0xffff);
}
