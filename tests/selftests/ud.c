// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unreliable datagrams: what arrives and what is in front of it, what is dropped, what a
 * send that fails does to its queue pair (IBTA volume 1, 10.3.1), replies, and multicast
 * groups.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "kselftest_harness.h"
#include "ud-lib.h"

#define LIMIT		60
#define SHORT_MS	50	/* in which what may not come would have come */

#define MAX_INLINE	256u
#define MULTICAST_QPN	0xffffffu

static struct rng rng;

FIXTURE(ud)
{
	struct pair pair;
	struct way way;
	struct area *out;
	uint32_t mtu;
};

FIXTURE_VARIANT(ud)
{
	bool wire;
	bool extended;
	bool address_first;
};

FIXTURE_VARIANT_ADD(ud, loopback)
{
	.wire = false,
};

FIXTURE_VARIANT_ADD(ud, loopback_extended)
{
	.extended = true,
};

FIXTURE_VARIANT_ADD(ud, loopback_address_first)
{
	.extended = true,
	.address_first = true,
};

FIXTURE_VARIANT_ADD(ud, wire)
{
	.wire = true,
};

FIXTURE_SETUP(ud)
{
	struct pair *pair = &self->pair;
	struct ep_opts opts = ep_defaults;
	uint32_t i;

	rng_init(&rng, "ud");
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	opts.qp_type = IBV_QPT_UD;
	opts.extended = variant->extended;
	opts.address_first = variant->address_first;
	opts.max_sge = MAX_SGE;
	opts.max_inline = MAX_INLINE;
	ASSERT_EQ(0, pair_open(pair, variant->wire, UD_AREA));
	ASSERT_EQ(0, pair_create(pair, &opts));
	ASSERT_EQ(0, ep_start_ud(&pair->ep[0], QKEY));
	ASSERT_EQ(0, ep_start_ud(&pair->ep[1], QKEY));
	self->way = (struct way){
		.from = &pair->ep[0],
		.to = &pair->ep[1],
		.in = &pair->in[1],
		.sgid = &pair->node[0].gid,
		.dgid = &pair->node[1].gid,
	};
	self->way.ah = create_ah(&pair->node[0], pair->node[0].gid_index,
				 &pair->node[1].gid);
	ASSERT_NE(NULL, self->way.ah);
	self->mtu = 128u << pair->node[0].port.active_mtu;
	self->out = &pair->out[0];
	for (i = 0; i < UD_AREA; i++)
		self->out->data[i] = rng_u64(&rng);
}

/* Whatever happened: a fresh pair of queue pairs works. */
FIXTURE_TEARDOWN(ud)
{
	if (self->way.ah) {
		EXPECT_EQ(0, ibv_destroy_ah(self->way.ah));
	}
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* ---- what arrives ---- */

static int deliver_length(FIXTURE_DATA(ud) *self, uint32_t length)
{
	struct ibv_sge sge = area_sge(self->out, rng_below(&rng, 99), length);
	struct ibv_send_wr wr = datagram(&self->way, &sge, 1);
	int ret = deliver_piece(&self->way, &wr);

	if (ret)
		return ret;
	wr = datagram(&self->way, &sge, 1);
	wr.opcode = IBV_WR_SEND_WITH_IMM;
	return deliver_piece(&self->way, &wr);
}

TEST_F_TIMEOUT(ud, lengths, LIMIT)
{
	static const uint32_t lengths[] = {
		0, 1, 2, 3, 4, 5, 63, 64, 65, 200, 255, 256,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		ASSERT_EQ(0, deliver_length(self, lengths[i]));
	}
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, deliver_length(self, self->mtu - i));
	}
}

TEST_F_TIMEOUT(ud, inline_data, LIMIT)
{
	struct ibv_sge sge[4];
	uint32_t length, i;

	ASSERT_LE(MAX_INLINE, self->way.from->cap.max_inline_data);
	for (length = 0; length <= MAX_INLINE; length++) {
		uint32_t left = length, num = 1 + rng_below(&rng, 4);
		struct ibv_send_wr wr = datagram(&self->way, sge, num);

		for (i = 0; i < num; i++) {
			sge[i] = area_sge(self->out, i * MAX_INLINE + i,
					  i + 1 < num ? left / 2 : left);
			sge[i].lkey = 0;
			left -= sge[i].length;
		}
		wr.send_flags |= IBV_SEND_INLINE;
		if (length % 2)
			wr.opcode = IBV_WR_SEND_WITH_IMM;
		ASSERT_EQ(0, deliver_piece(&self->way, &wr));
	}
}

TEST_F_TIMEOUT(ud, scatter_gather, LIMIT)
{
	struct ibv_sge src[MAX_SGE], dst[MAX_SGE];
	int round, num;

	ASSERT_LE(MAX_SGE, self->way.from->cap.max_send_sge);
	ASSERT_LE(MAX_SGE, self->way.to->cap.max_recv_sge);
	for (round = 0; round < 4; round++) {
		for (num = 1; num <= MAX_SGE; num++) {
			struct ibv_send_wr wr = datagram(&self->way, src, num);
			int to = round ? 1 + rng_below(&rng, MAX_SGE) : num;

			cut(src, self->out, num,
			    rng_below(&rng, self->mtu - MAX_SGE));
			cut(dst, self->way.in, to, GRH + self->mtu);
			if (round % 2)
				wr.opcode = IBV_WR_SEND_WITH_IMM;
			ASSERT_EQ(0, deliver(&self->way, &wr, dst, to));
		}
	}
}

#define BATCH		8
#define SLOT		512u

/* Several at once, of which the last one is signaled, in their order. */
static int deliver_batch(FIXTURE_DATA(ud) *self)
{
	struct ibv_sge src[BATCH], dst[BATCH];
	struct ibv_send_wr wr[BATCH];
	struct ibv_wc wc;
	int i;

	for (i = 0; i < BATCH; i++) {
		src[i] = area_sge(self->out, i * SLOT,
				  rng_below(&rng, SLOT - GRH));
		dst[i] = area_sge(self->way.in, i * SLOT, SLOT);
		wr[i] = datagram(&self->way, &src[i], 1);
		wr[i].send_flags = i + 1 < BATCH ? 0 : IBV_SEND_SIGNALED;
		if (src[i].length <= MAX_INLINE && i % 2)
			wr[i].send_flags |= IBV_SEND_INLINE;
		wr[i].next = i + 1 < BATCH ? &wr[i + 1] : NULL;
		if (ep_post_recv(self->way.to, i, &dst[i], 1))
			return -EIO;
	}
	if (ep_post_send(self->way.from, wr) ||
	    ep_expect(self->way.from, wr[BATCH - 1].wr_id, IBV_WC_SUCCESS))
		return -EIO;
	for (i = 0; i < BATCH; i++) {
		if (ep_wait(self->way.to, &wc, WAIT_MS) || wc.wr_id != i ||
		    wc.byte_len != GRH + src[i].length ||
		    check_equal("batch",
				self->way.in->data + i * SLOT + GRH,
				self->out->data + i * SLOT, src[i].length))
			return -EIO;
	}
	return 0;
}

TEST_F_TIMEOUT(ud, batches, LIMIT)
{
	int round;

	for (round = 0; round < 60; round++) {
		ASSERT_EQ(0, deliver_batch(self));
	}
}

/* As many as there is room for, of the largest form, and then no more. */
TEST_F_TIMEOUT(ud, full_queue, LIMIT)
{
	struct ep *from = self->way.from;
	struct ibv_sge sge[MAX_SGE];
	struct ibv_send_wr wr = datagram(&self->way, sge, MAX_SGE);
	uint32_t i, room = from->cap.max_send_wr;

	cut(sge, self->out, MAX_SGE, MAX_SGE);
	ASSERT_LE(ep_defaults.max_send_wr, room);
	for (i = 0; i < room; i++) {
		wr.send_flags = i + 1 < room ? 0 : IBV_SEND_SIGNALED;
		ASSERT_EQ(0, ep_post_send(from, &wr));
	}
	ASSERT_EQ(ENOMEM, ep_post_send(from, &wr));
	ASSERT_EQ(0, ep_expect(from, wr.wr_id, IBV_WC_SUCCESS));
	/* all of them came while nothing was posted to receive them */
	ASSERT_EQ(0, ep_expect_none(self->way.to, SHORT_MS));
	ASSERT_EQ(0, deliver_length(self, 100));
}

/* ---- what does not ---- */

TEST_F_TIMEOUT(ud, wrong_qkey, LIMIT)
{
	struct ibv_sge src = area_sge(self->out, 0, 100);
	struct ibv_sge dst = area_sge(self->way.in, 0, SLOT);
	struct ibv_send_wr wr = datagram(&self->way, &src, 1);
	struct ibv_wc wc;

	ASSERT_EQ(0, arm(&self->way, &dst, 1));
	wr.wr.ud.remote_qkey = QKEY ^ 1;
	ASSERT_EQ(0, leave(self->way.from, &wr));
	ASSERT_EQ(0, ep_expect_none(self->way.to, SHORT_MS));
	src = area_sge(self->out, 5000, 60);
	wr = datagram(&self->way, &src, 1);
	ASSERT_EQ(0, leave(self->way.from, &wr));
	ASSERT_EQ(0, arrive(&self->way, &wr, &dst, 1, &wc));
	ASSERT_EQ(0, ep_expect_none(self->way.to, SHORT_MS));

	/* with bit 31 that of the sender's queue pair is sent */
	wr.wr.ud.remote_qkey = 0x80000001;
	ASSERT_EQ(0, deliver_piece(&self->way, &wr));
}

TEST_F_TIMEOUT(ud, no_receive, LIMIT)
{
	struct ibv_sge src = area_sge(self->out, 0, 100);
	struct ibv_send_wr wr = datagram(&self->way, &src, 1);

	ASSERT_EQ(0, leave(self->way.from, &wr));
	ASSERT_EQ(0, ep_expect_none(self->way.to, SHORT_MS));
	ASSERT_EQ(IBV_QPS_RTS, ep_query_state(self->way.to));
	ASSERT_EQ(0, deliver_length(self, 60));
}

/* ---- states ---- */

#define MANY		5

static struct way way_back(FIXTURE_DATA(ud) *self)
{
	return (struct way){
		.from = self->way.to,
		.to = self->way.from,
		.in = &self->pair.in[0],
		.sgid = self->way.dgid,
		.dgid = self->way.sgid,
	};
}

/* A datagram from the fixture's receiver to its sender. */
static int deliver_back(FIXTURE_DATA(ud) *self)
{
	struct node *node = &self->pair.node[1];
	struct ibv_sge src = area_sge(&self->pair.out[1], 0, 300);
	struct way back = way_back(self);
	struct ibv_send_wr wr;
	int ret;

	back.ah = create_ah(node, node->gid_index, back.dgid);
	if (!back.ah)
		return -EIO;
	wr = datagram(&back, &src, 1);
	ret = deliver_piece(&back, &wr);
	ibv_destroy_ah(back.ah);
	return ret;
}

/* A message longer than the MTU; those behind it do not leave. */
TEST_F_TIMEOUT(ud, too_long, LIMIT)
{
	struct ibv_sge sge = area_sge(self->out, 0, self->mtu + 1);
	struct ibv_sge small = area_sge(self->out, 0, 64);
	struct ep *from = self->way.from;
	struct ibv_send_wr wr[MANY];
	int i;

	for (i = 0; i < MANY; i++) {
		wr[i] = datagram(&self->way, i ? &small : &sge, 1);
		wr[i].next = i + 1 < MANY ? &wr[i + 1] : NULL;
	}
	ASSERT_EQ(0, ep_post_send(from, wr));
	ASSERT_EQ(0, ep_expect(from, wr[0].wr_id, IBV_WC_LOC_LEN_ERR));
	for (i = 1; i < MANY; i++) {
		ASSERT_EQ(0, ep_expect(from, wr[i].wr_id, IBV_WC_WR_FLUSH_ERR));
	}
	ASSERT_EQ(0, expect_state(from, IBV_QPS_SQE));
	for (i = 0; i < MANY; i++) {
		wr[i] = datagram(&self->way, &small, 1);
		ASSERT_EQ(0, ep_post_send(from, &wr[i]));
		ASSERT_EQ(0, ep_expect(from, wr[i].wr_id, IBV_WC_WR_FLUSH_ERR));
	}
	ASSERT_EQ(0, deliver_back(self));
	ASSERT_EQ(IBV_QPS_SQE, ep_query_state(from));
	ASSERT_EQ(0, ep_state(from, IBV_QPS_RTS));
	ASSERT_EQ(0, ep_expect_none(self->way.to, SHORT_MS));
	ASSERT_EQ(0, deliver_length(self, self->mtu));
}

/* A reset forgets what was posted, and both queues begin anew. */
TEST_F_TIMEOUT(ud, resets, LIMIT)
{
	struct ep *from = self->way.from, *to = self->way.to;
	struct ibv_sge sge = area_sge(self->way.in, 0, SLOT);
	int round, i;

	for (round = 0; round < 10; round++) {
		for (i = 0; i <= round; i++) {
			ASSERT_EQ(0, deliver_length(self, 100 + round));
		}
		ASSERT_EQ(0, ep_post_recv(to, RECV_ID + 1, &sge, 1));
		if (round % 2) {
			ASSERT_EQ(0, ep_state(to, IBV_QPS_ERR));
			ASSERT_EQ(0, ep_state(from, IBV_QPS_ERR));
		}
		ASSERT_EQ(0, ep_state(to, IBV_QPS_RESET));
		ASSERT_EQ(0, ep_state(from, IBV_QPS_RESET));
		ASSERT_EQ(0, ep_expect_none(to, 1));
		ASSERT_EQ(0, ep_start_ud(to, QKEY));
		ASSERT_EQ(0, ep_start_ud(from, QKEY));
	}
}

/* ---- replies ---- */

TEST_F_TIMEOUT(ud, reply, LIMIT)
{
	struct way back = way_back(self);
	struct ibv_sge src = area_sge(self->out, 0, 77);
	struct ibv_sge dst = area_sge(self->way.in, 0, SLOT);
	struct ibv_send_wr wr = datagram(&self->way, &src, 1);
	struct ibv_wc wc;

	ASSERT_EQ(0, arm(&self->way, &dst, 1));
	ASSERT_EQ(0, leave(self->way.from, &wr));
	ASSERT_EQ(0, arrive(&self->way, &wr, &dst, 1, &wc));

	src = area_sge(self->way.in, GRH, 77);
	back.ah = ibv_create_ah_from_wc(self->pair.node[1].pd, &wc,
					(void *)self->way.in->data, 1);
	ASSERT_NE(NULL, back.ah);
	wr = datagram(&back, &src, 1);
	wr.wr.ud.remote_qpn = wc.src_qp;
	ASSERT_EQ(0, deliver_piece(&back, &wr));
	ASSERT_EQ(0, ibv_destroy_ah(back.ah));
}

/* ---- what the provider refuses ---- */

TEST_F_TIMEOUT(ud, bad_requests, LIMIT)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_READ,
		IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_ATOMIC_FETCH_AND_ADD,
		IBV_WR_SEND_WITH_INV, IBV_WR_TSO,
	};
	struct ibv_sge sge = area_sge(self->out, 0, 64);
	struct ep *from = self->way.from;
	struct ibv_send_wr wr;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		wr = datagram(&self->way, &sge, 1);
		wr.opcode = opcodes[i];
		ASSERT_EQ(0, ep_expect_refusal(from, &wr));
	}
	wr = datagram(&self->way, &sge, 1);
	wr.wr.ud.remote_qpn |= 1u << 24;
	ASSERT_EQ(0, ep_expect_refusal(from, &wr));
	ASSERT_EQ(EINVAL, ep_post_send(from, &wr));
	sge.length = from->cap.max_inline_data + 1;
	wr = datagram(&self->way, &sge, 1);
	wr.send_flags |= IBV_SEND_INLINE;
	ASSERT_EQ(EINVAL, ep_post_send(from, &wr));
	ASSERT_EQ(0, ep_expect_none(from, 1));
	ASSERT_EQ(0, deliver_length(self, 100));
}

TEST_F_TIMEOUT(ud, bad_operations, LIMIT)
{
	struct ibv_qp_init_attr_ex attr = {
		.send_cq = self->way.from->cq,
		.recv_cq = self->way.from->cq,
		.cap = { .max_send_wr = 1, .max_send_sge = 1 },
		.qp_type = IBV_QPT_UD,
		.comp_mask = IBV_QP_INIT_ATTR_PD |
			     IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = self->pair.node[0].pd,
		.send_ops_flags = IBV_QP_EX_WITH_SEND |
				  IBV_QP_EX_WITH_RDMA_WRITE,
	};

	ASSERT_EQ(NULL, ibv_create_qp_ex(self->pair.node[0].ctx, &attr));
	ASSERT_EQ(EOPNOTSUPP, errno);
	attr.send_ops_flags = IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD;
	ASSERT_EQ(NULL, ibv_create_qp_ex(self->pair.node[0].ctx, &attr));
	ASSERT_EQ(EOPNOTSUPP, errno);
}

/* The setters of single pieces, and an address that is set twice. */
TEST_F_TIMEOUT(ud, single_setters, LIMIT)
{
	struct ibv_sge src = area_sge(self->out, 0, 99);
	struct ibv_sge dst = area_sge(self->way.in, 0, SLOT);
	struct ibv_send_wr wr = datagram(&self->way, &src, 1);
	struct ibv_qp_ex *qpx = self->way.from->qpx;
	uint32_t qpn = self->way.to->qp->qp_num;
	struct ibv_wc wc;
	int i;

	if (!qpx)
		SKIP(return, "ibv_post_send() has no setters");
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, arm(&self->way, &dst, 1));
		ibv_wr_start(qpx);
		qpx->wr_id = wr.wr_id;
		qpx->wr_flags = IBV_SEND_SIGNALED;
		ibv_wr_send(qpx);
		if (i < 2)
			ibv_wr_set_ud_addr(qpx, self->way.ah, qpn, QKEY);
		if (i % 2)
			ibv_wr_set_sge(qpx, src.lkey, src.addr, src.length);
		else
			ibv_wr_set_inline_data(qpx, self->out->data,
					       src.length);
		if (i >= 2)
			ibv_wr_set_ud_addr(qpx, self->way.ah, qpn, QKEY);
		ASSERT_EQ(0, ibv_wr_complete(qpx));
		ASSERT_EQ(0, ep_expect(self->way.from, wr.wr_id,
				       IBV_WC_SUCCESS));
		ASSERT_EQ(0, arrive(&self->way, &wr, &dst, 1, &wc));
	}
	ibv_wr_start(qpx);
	ibv_wr_send(qpx);
	ibv_wr_set_ud_addr(qpx, self->way.ah, qpn, QKEY);
	ibv_wr_set_ud_addr(qpx, self->way.ah, qpn, QKEY);
	ASSERT_EQ(EINVAL, ibv_wr_complete(qpx));
	ASSERT_EQ(0, ep_expect_none(self->way.from, SHORT_MS));
}

/* ---- multicast ---- */

/* The queue pair of the fixture, one of the sender's device, and one that never joins. */
enum { FIRST, OWN, STRANGER, RECEIVERS };

struct club {
	struct way way[RECEIVERS];
	struct ep own, stranger;
	union ibv_gid group, sgid;
	struct ibv_ah *ah;
};

/* If it fails, what is there of it is closed by club_close(), too. */
static int club_open(struct club *club, FIXTURE_DATA(ud) *self, const char *group)
{
	struct pair *pair = &self->pair;
	struct ep_opts opts = ep_defaults;
	int i, index;

	opts.qp_type = IBV_QPT_UD;
	if (inet_pton(AF_INET6, group, club->group.raw) != 1)
		return -EINVAL;
	index = node_find_gid(&pair->node[0], gid_is_ipv4(&club->group),
			      &club->sgid);
	if (index < 0)
		return index;
	club->ah = create_ah(&pair->node[0], index, &club->group);
	if (!club->ah || ep_create(&club->own, &pair->node[0], &opts) ||
	    ep_create(&club->stranger, &pair->node[1], &opts) ||
	    ep_start_ud(&club->own, QKEY) || ep_start_ud(&club->stranger, QKEY))
		return -EIO;
	for (i = 0; i < RECEIVERS; i++) {
		club->way[i] = self->way;
		club->way[i].sgid = &club->sgid;
		club->way[i].dgid = &club->group;
	}
	club->way[OWN].to = &club->own;
	club->way[OWN].in = &pair->in[0];
	club->way[STRANGER].to = &club->stranger;
	club->way[STRANGER].in = &pair->out[1];
	return 0;
}

static void club_close(struct club *club)
{
	ep_destroy(&club->own);
	ep_destroy(&club->stranger);
	if (club->ah)
		ibv_destroy_ah(club->ah);
}

/* One datagram for the group; who has joined gets it, the others do not. */
static int announce(struct club *club, FIXTURE_DATA(ud) *self,
		    const bool joined[RECEIVERS])
{
	struct ibv_sge src = area_sge(self->out, rng_below(&rng, 999), 300);
	struct ibv_send_wr wr = datagram(&self->way, &src, 1);
	struct ibv_sge dst[RECEIVERS];
	struct ibv_wc wc;
	int i, ret = 0;

	for (i = 0; i < RECEIVERS; i++) {
		dst[i] = area_sge(club->way[i].in, 0, SLOT);
		if (arm(&club->way[i], &dst[i], 1))
			return -EIO;
	}
	wr.wr.ud.ah = club->ah;
	wr.wr.ud.remote_qpn = MULTICAST_QPN;
	if (leave(self->way.from, &wr))
		return -EIO;
	for (i = 0; i < RECEIVERS && !ret; i++) {
		if (joined[i])
			ret = arrive(&club->way[i], &wr, &dst[i], 1, &wc);
		else
			ret = ep_expect_none(club->way[i].to, SHORT_MS);
	}
	return ret;
}

static int join_and_leave(struct club *club, FIXTURE_DATA(ud) *self)
{
	static const bool none[RECEIVERS], own[RECEIVERS] = { [OWN] = true };
	static const bool both[RECEIVERS] = { [FIRST] = true, [OWN] = true };
	struct ibv_qp *first = self->way.to->qp, *second = club->own.qp;

	if (announce(club, self, none) ||
	    ibv_attach_mcast(first, &club->group, 0) ||
	    ibv_attach_mcast(second, &club->group, 0) ||
	    announce(club, self, both) || announce(club, self, both) ||
	    ibv_detach_mcast(first, &club->group, 0) ||
	    announce(club, self, own) ||
	    !ibv_detach_mcast(first, &club->group, 0) ||
	    ibv_detach_mcast(second, &club->group, 0))
		return -EIO;
	return announce(club, self, none);
}

static int meet(FIXTURE_DATA(ud) *self, const char *group)
{
	struct club club = {};
	int ret = club_open(&club, self, group);

	if (!ret)
		ret = join_and_leave(&club, self);
	if (ret)
		complain("the group %s does not work", group);
	club_close(&club);
	return ret;
}

TEST_F_TIMEOUT(ud, multicast_ipv4, LIMIT)
{
	ASSERT_EQ(0, meet(self, "::ffff:239.1.2.3"));
}

TEST_F_TIMEOUT(ud, multicast_ipv6, LIMIT)
{
	ASSERT_EQ(0, meet(self, "ff1e::73:7661:6e"));
}

/* Only groups can be joined, and only by UD. */
TEST_F_TIMEOUT(ud, bad_groups, LIMIT)
{
	struct ep connected;
	union ibv_gid group;

	ASSERT_NE(0, ibv_attach_mcast(self->way.to->qp, self->way.dgid, 0));
	ASSERT_EQ(1, inet_pton(AF_INET6, "::ffff:239.1.2.3", group.raw));
	ASSERT_EQ(0, ep_create(&connected, &self->pair.node[0], &ep_defaults));
	ASSERT_NE(0, ibv_attach_mcast(connected.qp, &group, 0));
	ep_destroy(&connected);
}

TEST_HARNESS_MAIN
