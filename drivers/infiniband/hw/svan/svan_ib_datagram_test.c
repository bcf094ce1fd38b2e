// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of datagrams of users in the kernel. Two QPs of svan_0 send to each other.
 * Without such a device, or if it has no datagrams, the tests are skipped.
 */

#include <linux/etherdevice.h>
#include <linux/module.h>
#include <rdma/ib_addr.h>

#include "svan_ib_kverbs_test.h"

#define DG_QKEY		0x01234567
#define DG_HEADER	sizeof(union rdma_network_hdr)
#define DG_LENGTH	240	/* no MTU is smaller */
#define DG_GIDS		8	/* entries of the table that are tried */
#define DG_MAX_MESSAGE	4096

static const union ib_gid dg_ipv4_group = {
	.raw = { [10] = 0xff, 0xff, 239, 129, 2, 3 },
};

static const union ib_gid dg_ipv6_group = {
	.raw = { 0xff, 0x1e, [12] = 0x81, 2, 3, 4 },
};

static bool dg_is_ipv4(const union ib_gid *gid)
{
	return ipv6_addr_v4mapped((const struct in6_addr *)gid->raw);
}

static const union ib_gid *dg_group(const union ib_gid *source)
{
	return dg_is_ipv4(source) ? &dg_ipv4_group : &dg_ipv6_group;
}

/* ---- life ---- */

static int dg_to_init(struct ib_qp *qp)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_INIT,
		.port_num = KV_PORT,
		.qkey = DG_QKEY,
	};

	return ib_modify_qp(qp, &attr, IB_QP_STATE | IB_QP_PORT |
			    IB_QP_PKEY_INDEX | IB_QP_QKEY);
}

static int dg_to_rts(struct ib_qp *qp)
{
	struct ib_qp_attr attr = { .qp_state = IB_QPS_RTS };

	return ib_modify_qp(qp, &attr, IB_QP_STATE | IB_QP_SQ_PSN);
}

static void dg_forget_address(struct kv *kv)
{
	if (!IS_ERR_OR_NULL(kv->ah))
		rdma_destroy_ah(kv->ah, RDMA_DESTROY_AH_SLEEPABLE);
	kv->ah = NULL;
}

/*
 * Datagrams go to the device itself, or to @group, from now on. The reference to @gid is
 * taken over; the address handle has one of its own. Address handles of users in the
 * kernel have no MAC address of a group.
 */
static void dg_set_address(struct kunit *test, struct kv *kv,
			   const struct ib_gid_attr *gid,
			   const union ib_gid *group)
{
	struct rdma_ah_attr attr = {};
	int err = kv_fill_ah(&attr, gid);

	if (group) {
		attr.grh.dgid = *group;
		eth_zero_addr(attr.roce.dmac);
	}
	dg_forget_address(kv);
	if (!err)
		kv->ah = rdma_create_ah(kv->pd, &attr, 0);
	rdma_destroy_ah_attr(&attr);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kv->ah);
}

static const struct ib_gid_attr *dg_gid(struct kunit *test, struct kv *kv)
{
	const struct ib_gid_attr *gid = kv_gid(kv);

	KUNIT_ASSERT_NOT_NULL(test, gid);
	return gid;
}

static int dg_init(struct kunit *test)
{
	struct kv *kv;
	int i;

	kv_open(test);
	kv = test->priv;
	if (!kv->ibdev->attrs.max_ah)
		kunit_skip(test, KV_DEVICE " has no datagrams");
	kv_create_qps(test, kv, IB_QPT_UD);
	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, dg_to_init(kv->qp[i]), 0);
		KUNIT_ASSERT_EQ(test, kv_to_state(kv->qp[i], IB_QPS_RTR), 0);
		KUNIT_ASSERT_EQ(test, dg_to_rts(kv->qp[i]), 0);
	}
	dg_set_address(test, kv, dg_gid(test, kv), NULL);
	return 0;
}

static void dg_exit(struct kunit *test)
{
	struct kv *kv = test->priv;

	if (kv)
		dg_forget_address(kv);
	kv_close(test);
}

/* ---- work ---- */

static struct ib_ud_wr dg_wr(struct kv *kv, struct ib_sge *sges, int num_sge,
			     u64 wr_id)
{
	return (struct ib_ud_wr) {
		.wr = {
			.wr_id = wr_id,
			.sg_list = sges,
			.num_sge = num_sge,
			.opcode = IB_WR_SEND,
			.send_flags = IB_SEND_SIGNALED,
		},
		.ah = kv->ah,
		.remote_qpn = kv->qp[1]->qp_num,
		.remote_qkey = DG_QKEY,
	};
}

/* Wait for the completions of a send and of a receive; the order is not determined. */
static void dg_wait_both(struct kunit *test, struct kv *kv, u64 send_id,
			 struct ib_wc *recv)
{
	struct ib_wc wc;
	int i, sends = 0;

	for (i = 0; i < 2; i++) {
		kv_wait(test, kv, &wc);
		KUNIT_ASSERT_EQ_MSG(test, wc.status, IB_WC_SUCCESS,
				    "vendor_err %#x", wc.vendor_err);
		if (wc.opcode == IB_WC_RECV) {
			*recv = wc;
			continue;
		}
		KUNIT_EXPECT_EQ(test, wc.opcode, IB_WC_SEND);
		KUNIT_EXPECT_EQ(test, wc.wr_id, send_id);
		sends++;
	}
	KUNIT_ASSERT_EQ(test, sends, 1);
}

/* A datagram arrives as the next one. */
static void dg_expect_message(struct kunit *test, struct kv *kv, u8 seed)
{
	struct ib_sge from = kv_sge(kv, 0, 0, DG_LENGTH);
	struct ib_ud_wr wr = dg_wr(kv, &from, 1, seed);
	struct ib_wc wc;

	kv_fill(kv_half(kv, 0), DG_LENGTH, seed);
	kv_post(test, kv, &wr.wr);
	dg_wait_both(test, kv, seed, &wc);
	KUNIT_EXPECT_EQ(test, wc.byte_len, DG_HEADER + DG_LENGTH);
	kv_expect_data(test, kv_half(kv, 1) + DG_HEADER, DG_LENGTH, seed);
}

static void dg_recv(struct kunit *test, struct kv *kv, u64 wr_id)
{
	struct ib_sge to = kv_sge(kv, 1, 0, DG_HEADER + DG_LENGTH);

	kv_recv(test, kv, &to, 1, wr_id);
}

/* ---- who sent it ---- */

static void dg_expect_header(struct kunit *test, const union rdma_network_hdr *hdr,
			     const union ib_gid *source,
			     const union ib_gid *destination)
{
	bool ipv4 = dg_is_ipv4(source);
	union ib_gid sgid, dgid;

	KUNIT_ASSERT_EQ(test, ib_get_rdma_header_version(hdr), ipv4 ? 4 : 6);
	KUNIT_ASSERT_EQ(test, 0, ib_get_gids_from_rdma_hdr(hdr, ipv4 ?
							   RDMA_NETWORK_IPV4 :
							   RDMA_NETWORK_IPV6,
							   &sgid, &dgid));
	KUNIT_EXPECT_MEMEQ(test, sgid.raw, source->raw, sizeof(sgid));
	KUNIT_EXPECT_MEMEQ(test, dgid.raw, destination->raw, sizeof(dgid));
	if (ipv4) {
		KUNIT_EXPECT_EQ(test, hdr->roce4grh.protocol, IPPROTO_UDP);
		KUNIT_EXPECT_EQ(test, hdr->roce4grh.ttl, 64);
	} else {
		KUNIT_EXPECT_EQ(test, hdr->ibgrh.next_hdr, IPPROTO_UDP);
		KUNIT_EXPECT_EQ(test, hdr->ibgrh.hop_limit, 64);
	}
}

static void dg_expect_sender(struct kunit *test, struct kv *kv,
			     const struct ib_wc *wc, int more_flags)
{
	const struct ib_gid_attr *gid = kv->ah->sgid_attr;
	int flags = IB_WC_GRH | IB_WC_WITH_SMAC | IB_WC_WITH_NETWORK_HDR_TYPE |
		    more_flags;
	u16 vlan = VLAN_N_VID;
	u8 smac[ETH_ALEN];

	KUNIT_ASSERT_EQ(test, rdma_read_gid_l2_fields(gid, &vlan, smac), 0);
	if (vlan < VLAN_N_VID) {
		flags |= IB_WC_WITH_VLAN;
		KUNIT_EXPECT_EQ(test, wc->vlan_id, vlan);
	}
	KUNIT_EXPECT_EQ(test, wc->wc_flags, flags);
	KUNIT_EXPECT_PTR_EQ(test, wc->qp, kv->qp[1]);
	KUNIT_EXPECT_EQ(test, wc->src_qp, kv->qp[0]->qp_num);
	KUNIT_EXPECT_EQ(test, wc->port_num, KV_PORT);
	KUNIT_EXPECT_EQ(test, wc->pkey_index, 0);
	KUNIT_EXPECT_EQ(test, wc->network_hdr_type, dg_is_ipv4(&gid->gid) ?
						    RDMA_NETWORK_IPV4 :
						    RDMA_NETWORK_IPV6);
	KUNIT_EXPECT_MEMEQ(test, wc->smac, smac, ETH_ALEN);
}

/* Both sides have several entries, and the header does not fit into the receiver's first. */
static void dg_send_once(struct kunit *test, struct kv *kv, bool imm)
{
	struct ib_sge from[KV_SGE] = {
		kv_sge(kv, 0, 0, 100), kv_sge(kv, 0, 100, 39),
		kv_sge(kv, 0, 139, DG_LENGTH - 139),
	};
	struct ib_sge to[KV_SGE] = {
		kv_sge(kv, 1, 0, 20), kv_sge(kv, 1, 20, 101),
		kv_sge(kv, 1, 121, 1000),
	};
	struct ib_ud_wr wr = dg_wr(kv, from, KV_SGE, 1);
	const struct ib_gid_attr *gid = kv->ah->sgid_attr;
	struct ib_wc wc;

	if (imm) {
		wr.wr.opcode = IB_WR_SEND_WITH_IMM;
		wr.wr.ex.imm_data = cpu_to_be32(0x12345678);
	}
	kv_fill(kv_half(kv, 0), DG_LENGTH, 3 + imm);
	kv_recv(test, kv, to, KV_SGE, 2);
	kv_post(test, kv, &wr.wr);
	dg_wait_both(test, kv, 1, &wc);
	KUNIT_EXPECT_EQ(test, wc.wr_id, 2);
	KUNIT_EXPECT_EQ(test, wc.byte_len, DG_HEADER + DG_LENGTH);
	if (imm)
		KUNIT_EXPECT_EQ(test, be32_to_cpu(wc.ex.imm_data), 0x12345678);
	dg_expect_sender(test, kv, &wc, imm ? IB_WC_WITH_IMM : 0);
	dg_expect_header(test, (void *)kv_half(kv, 1), &gid->gid, &gid->gid);
	kv_expect_data(test, kv_half(kv, 1) + DG_HEADER, DG_LENGTH, 3 + imm);
}

/* From and to each address of the device. */
static void dg_send_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	const struct ib_gid_attr *gid;
	int i;

	for (i = 0; i < DG_GIDS; i++) {
		gid = rdma_get_gid_attr(kv->ibdev, KV_PORT, i);
		if (IS_ERR(gid))
			continue;
		dg_set_address(test, kv, gid, NULL);
		dg_send_once(test, kv, false);
		dg_send_once(test, kv, true);
	}
}

/* Go around both rings many times; few sends are signaled, some are inline. */
static void dg_wrap_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge from;
	struct ib_ud_wr wr;
	int i, left;

	for (i = 0; i < 20 * KV_DEPTH; i++) {
		bool inlined = i % 3 == 0, signaled = i % 4 == 3;

		kv_fill(kv_half(kv, 0), DG_LENGTH, i);
		memset(kv_half(kv, 1), 0, DG_HEADER + DG_LENGTH);
		dg_recv(test, kv, 1000 + i);
		from = kv_sge(kv, 0, 0, inlined ? KV_INLINE : DG_LENGTH);
		if (inlined)
			from.addr = (uintptr_t)kv_half(kv, 0);
		wr = dg_wr(kv, &from, 1, i);
		wr.wr.send_flags = (inlined ? IB_SEND_INLINE : 0) |
				   (signaled ? IB_SEND_SIGNALED : 0);
		kv_post(test, kv, &wr.wr);
		for (left = signaled ? 2 : 1; left; left--) {
			struct ib_wc wc;

			kv_wait(test, kv, &wc);
			KUNIT_ASSERT_EQ(test, wc.status, IB_WC_SUCCESS);
			KUNIT_ASSERT_EQ(test, wc.wr_id,
					wc.opcode == IB_WC_RECV ? 1000 + i : i);
		}
		kv_expect_data(test, kv_half(kv, 1) + DG_HEADER, from.length, i);
	}
}

/* ---- what does not arrive ---- */

static u64 dg_counter(struct kunit *test, struct kv *kv, const char *name)
{
	struct ib_device *ibdev = kv->ibdev;
	struct rdma_hw_stats *stats;
	u64 value = U64_MAX;
	int i, n;

	stats = ibdev->ops.alloc_hw_port_stats(ibdev, KV_PORT);
	KUNIT_ASSERT_NOT_NULL(test, stats);
	n = ibdev->ops.get_hw_stats(ibdev, stats, KV_PORT, 0);
	for (i = 0; i < n; i++)
		if (!strcmp(stats->descs[i].name, name))
			value = stats->value[i];
	rdma_free_hw_stats_struct(stats);
	KUNIT_ASSERT_NE_MSG(test, value, U64_MAX, "%s", name);
	return value;
}

/*
 * A datagram with another Q_Key is dropped, and its sender does not learn it. With bit 31
 * in the work request, the Q_Key of the sending QP is sent.
 */
static void dg_qkey_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge from = kv_sge(kv, 0, 0, DG_LENGTH);
	struct ib_ud_wr wr = dg_wr(kv, &from, 1, 200);
	u64 before = dg_counter(test, kv, "rx_wrong_peer");
	struct ib_wc wc;

	dg_recv(test, kv, 2);
	wr.remote_qkey = DG_QKEY ^ 1;
	kv_post(test, kv, &wr.wr);
	kv_expect_wc(test, kv, 200, IB_WC_SUCCESS);
	dg_expect_message(test, kv, 5);
	KUNIT_EXPECT_EQ(test, dg_counter(test, kv, "rx_wrong_peer"), before + 1);

	dg_recv(test, kv, 3);
	wr.remote_qkey = BIT(31) | (DG_QKEY ^ 1);
	kv_post(test, kv, &wr.wr);
	dg_wait_both(test, kv, 200, &wc);
	KUNIT_EXPECT_EQ(test, wc.wr_id, 3);
}

static enum ib_qp_state dg_state(struct kunit *test, struct ib_qp *qp)
{
	struct ib_qp_init_attr init_attr;
	struct ib_qp_attr attr;

	KUNIT_ASSERT_EQ(test, ib_query_qp(qp, &attr, IB_QP_STATE, &init_attr), 0);
	return attr.qp_state;
}

/*
 * A message longer than the MTU stops the send queue, and those behind it are flushed. The
 * queue works again after the transition to RTS, and a message of the MTU's size arrives.
 */
static void dg_length_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge from = kv_sge(kv, 0, 0, 0), small = kv_sge(kv, 0, 0, 8);
	struct ib_sge to = kv_sge(kv, 1, 0, DG_HEADER + DG_MAX_MESSAGE);
	struct ib_ud_wr next = dg_wr(kv, &small, 1, 2);
	struct ib_ud_wr wr = dg_wr(kv, &from, 1, 1);
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTS,
		.cur_qp_state = IB_QPS_SQE,
	};
	struct ib_port_attr port;
	struct ib_wc wc;
	u32 mtu;

	KUNIT_ASSERT_EQ(test, ib_query_port(kv->ibdev, KV_PORT, &port), 0);
	mtu = ib_mtu_enum_to_int(port.active_mtu);
	from.length = mtu + 1;
	wr.wr.next = &next.wr;
	kv_post(test, kv, &wr.wr);
	kv_expect_wc(test, kv, 1, IB_WC_LOC_LEN_ERR);
	kv_expect_wc(test, kv, 2, IB_WC_WR_FLUSH_ERR);
	KUNIT_EXPECT_EQ(test, dg_state(test, kv->qp[0]), IB_QPS_SQE);

	KUNIT_ASSERT_EQ(test, 0, ib_modify_qp(kv->qp[0], &attr, IB_QP_STATE |
					      IB_QP_CUR_STATE));
	KUNIT_EXPECT_EQ(test, dg_state(test, kv->qp[0]), IB_QPS_RTS);
	kv_fill(kv_half(kv, 0), mtu, 9);
	kv_recv(test, kv, &to, 1, 3);
	from.length = mtu;
	wr.wr.next = NULL;
	kv_post(test, kv, &wr.wr);
	dg_wait_both(test, kv, 1, &wc);
	KUNIT_EXPECT_EQ(test, wc.byte_len, DG_HEADER + mtu);
	kv_expect_data(test, kv_half(kv, 1) + DG_HEADER, mtu, 9);
}

/* Only SENDs with an address can be posted. */
static void dg_bad_wr_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge sges[KV_SGE + 1] = { kv_sge(kv, 0, 0, 8) };
	struct ib_ud_wr wr = dg_wr(kv, sges, KV_SGE + 1, 1);
	const struct ib_send_wr *bad = NULL;

	KUNIT_EXPECT_EQ(test, ib_post_send(kv->qp[0], &wr.wr, &bad), -EINVAL);
	KUNIT_EXPECT_PTR_EQ(test, bad, (const struct ib_send_wr *)&wr.wr);
	wr.wr.num_sge = 1;
	wr.wr.opcode = IB_WR_RDMA_WRITE;
	KUNIT_EXPECT_EQ(test, ib_post_send(kv->qp[0], &wr.wr, &bad), -EINVAL);
	wr.wr.opcode = IB_WR_LOCAL_INV;
	KUNIT_EXPECT_EQ(test, ib_post_send(kv->qp[0], &wr.wr, &bad), -EINVAL);
	wr.wr.opcode = IB_WR_SEND;
	wr.ah = NULL;
	KUNIT_EXPECT_EQ(test, ib_post_send(kv->qp[0], &wr.wr, &bad), -EINVAL);
}

/* ---- addresses and groups ---- */

static void dg_expect_mac(struct kunit *test, struct kv *kv,
			  const union ib_gid *group, const u8 *mac)
{
	struct rdma_ah_attr attr;

	dg_set_address(test, kv, dg_gid(test, kv), group);
	KUNIT_ASSERT_EQ(test, rdma_query_ah(kv->ah, &attr), 0);
	KUNIT_EXPECT_MEMEQ(test, attr.grh.dgid.raw, group->raw, sizeof(*group));
	KUNIT_EXPECT_EQ(test, attr.grh.hop_limit, 64);
	KUNIT_EXPECT_EQ(test, attr.grh.sgid_index, kv->ah->sgid_attr->index);
	KUNIT_EXPECT_MEMEQ(test, attr.roce.dmac, mac, ETH_ALEN);
}

static void dg_mac_test(struct kunit *test)
{
	static const u8 ipv4_mac[] = { 0x01, 0x00, 0x5e, 1, 2, 3 };
	static const u8 ipv6_mac[] = { 0x33, 0x33, 0x81, 2, 3, 4 };

	dg_expect_mac(test, test->priv, &dg_ipv4_group, ipv4_mac);
	dg_expect_mac(test, test->priv, &dg_ipv6_group, ipv6_mac);
}

/* Send to a group that the other QP has attached. */
static void dg_send_to_group(struct kunit *test, struct kv *kv,
			     const union ib_gid *group)
{
	struct ib_sge from = kv_sge(kv, 0, 0, DG_LENGTH);
	struct ib_ud_wr wr;
	struct ib_wc wc;

	dg_set_address(test, kv, dg_gid(test, kv), group);
	wr = dg_wr(kv, &from, 1, 1);
	wr.remote_qpn = IB_MULTICAST_QPN;
	kv_fill(kv_half(kv, 0), DG_LENGTH, 21);
	dg_recv(test, kv, 2);
	kv_post(test, kv, &wr.wr);
	dg_wait_both(test, kv, 1, &wc);
	dg_expect_sender(test, kv, &wc, 0);
	dg_expect_header(test, (void *)kv_half(kv, 1),
			 &kv->ah->sgid_attr->gid, group);
	kv_expect_data(test, kv_half(kv, 1) + DG_HEADER, DG_LENGTH, 21);
}

/* Once the QP has left the group, the next that arrives is one to the QP itself. */
static void dg_mcast_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	union ib_gid group = *dg_group(&kv->ah->sgid_attr->gid);
	union ib_gid unicast = kv->ah->sgid_attr->gid;
	struct ib_sge from = kv_sge(kv, 0, 0, DG_LENGTH);
	struct ib_ud_wr wr;

	KUNIT_EXPECT_EQ(test, ib_attach_mcast(kv->qp[1], &unicast, 0), -EINVAL);
	KUNIT_ASSERT_EQ(test, ib_attach_mcast(kv->qp[1], &group, 0), 0);
	dg_send_to_group(test, kv, &group);
	KUNIT_ASSERT_EQ(test, ib_detach_mcast(kv->qp[1], &group, 0), 0);
	KUNIT_EXPECT_EQ(test, ib_detach_mcast(kv->qp[1], &group, 0), -ENOENT);

	wr = dg_wr(kv, &from, 1, 200);
	wr.remote_qpn = IB_MULTICAST_QPN;
	dg_recv(test, kv, 3);
	kv_post(test, kv, &wr.wr);
	kv_expect_wc(test, kv, 200, IB_WC_SUCCESS);
	dg_set_address(test, kv, dg_gid(test, kv), NULL);
	dg_expect_message(test, kv, 33);
}

static struct kunit_case dg_cases[] = {
	KUNIT_CASE(dg_send_test),
	KUNIT_CASE(dg_wrap_test),
	KUNIT_CASE(dg_qkey_test),
	KUNIT_CASE(dg_length_test),
	KUNIT_CASE(dg_bad_wr_test),
	KUNIT_CASE(dg_mac_test),
	KUNIT_CASE(dg_mcast_test),
	{}
};

static struct kunit_suite dg_suite = {
	.name = "svan_ib_datagram",
	.init = dg_init,
	.exit = dg_exit,
	.test_cases = dg_cases,
};

kunit_test_suite(dg_suite);

MODULE_DESCRIPTION("KUnit tests of svan_ib's datagrams");
MODULE_LICENSE("GPL");
