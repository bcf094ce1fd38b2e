// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unreliable connections: every octet of what arrives, what is lost, what a send that fails
 * does to its queue pair (IBTA volume 1, 10.3.1). And memory on demand under unreliable
 * connections and datagrams: what is for an absent page waits, or is lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "demand.h"
#include "transfer.h"
#include "ud-lib.h"

#define LIMIT		180
#define SHORT_MS	50	/* in which what may not come would have come */
#define MAX_SIZE	(1u << 20)

FIXTURE(uc)
{
	struct pair pair;
	struct ep_opts opts;
};

FIXTURE_VARIANT(uc)
{
	bool wire;
	bool extended;
};

FIXTURE_VARIANT_ADD(uc, loopback)
{
	.wire = false,
};

FIXTURE_VARIANT_ADD(uc, wire)
{
	.wire = true,
};

FIXTURE_VARIANT_ADD(uc, loopback_extended)
{
	.extended = true,
};

FIXTURE_VARIANT_ADD(uc, wire_extended)
{
	.wire = true,
	.extended = true,
};

FIXTURE_SETUP(uc)
{
	rng_init(&rng, "uc");
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	self->opts = ep_defaults;
	self->opts.qp_type = IBV_QPT_UC;
	self->opts.extended = variant->extended;
	ASSERT_EQ(0, text_alloc(&text, MAX_SIZE + SLACK, &rng));
	ASSERT_EQ(0, pair_open(&self->pair, variant->wire, MAX_SIZE + SLACK));
}

/* Whatever happened: a fresh pair of queue pairs works. */
FIXTURE_TEARDOWN(uc)
{
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
	text_free(&text);
}

/* ---- what arrives ---- */

TEST_F_TIMEOUT(uc, send, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_SEND, &self->opts));
}

TEST_F_TIMEOUT(uc, send_imm, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_SEND_WITH_IMM, &self->opts));
}

TEST_F_TIMEOUT(uc, write, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_RDMA_WRITE, &self->opts));
}

TEST_F_TIMEOUT(uc, write_imm, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_RDMA_WRITE_WITH_IMM,
			       &self->opts));
}

TEST_F_TIMEOUT(uc, inline_data, LIMIT)
{
	ASSERT_EQ(0, all_inline(&self->pair, self->opts));
}

TEST_F_TIMEOUT(uc, scatter_gather, LIMIT)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
	};

	ASSERT_EQ(0, scatter_gather(&self->pair, self->opts, opcodes));
}

/* ---- what does not ---- */

#define LENGTH		3000u	/* of several packets */

static struct ibv_send_wr message(FIXTURE_DATA(uc) *self, enum ibv_wr_opcode opcode,
				  struct ibv_sge *sge)
{
	return (struct ibv_send_wr){
		.wr_id = rng_u64(&rng),
		.sg_list = sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = (uintptr_t)self->pair.in[1].data,
			.rkey = self->pair.in[1].mr->rkey,
		},
	};
}

/* It leaves, and is lost: nobody is told, and no octet is stored. */
static int lose(FIXTURE_DATA(uc) *self, struct ibv_send_wr *wr)
{
	struct area *in = &self->pair.in[1];
	int ret;

	memset(self->pair.out[0].data, 0x77, LENGTH);
	ret = leave(&self->pair.ep[0], wr);
	if (!ret)
		ret = ep_expect_none(&self->pair.ep[1], SHORT_MS);
	memset(self->pair.out[0].data, CANARY, LENGTH);
	return ret ? ret : area_check_canary(in, 0, in->size);
}

static int deliver_message(FIXTURE_DATA(uc) *self, int dir)
{
	const struct transfer t = {
		.opcode = IBV_WR_SEND,
		.size = LENGTH,
		.dir = dir,
		.num_local = 1,
		.num_remote = 1,
	};

	return transfer(&self->pair, &t);
}

/* The receive that was too small takes the next message. */
TEST_F_TIMEOUT(uc, too_small, LIMIT)
{
	struct ibv_sge src = area_sge(&self->pair.out[0], 0, LENGTH);
	struct ibv_sge dst = area_sge(&self->pair.in[1], 0, 100);
	struct ibv_send_wr wr = message(self, IBV_WR_SEND, &src);
	struct ep *to = &self->pair.ep[1];
	struct ibv_wc wc;

	ASSERT_EQ(0, start(&self->pair, &self->opts, IBV_MTU_1024));
	ASSERT_EQ(0, ep_post_recv(to, RECV_ID, &dst, 1));
	ASSERT_EQ(0, lose(self, &wr));
	src.length = 100;
	self->pair.out[0].data[50] = 0x77;
	ASSERT_EQ(0, leave(&self->pair.ep[0], &wr));
	ASSERT_EQ(0, ep_wait(to, &wc, WAIT_MS));
	ASSERT_EQ(IBV_WC_SUCCESS, wc.status);
	ASSERT_EQ(RECV_ID, wc.wr_id);
	ASSERT_EQ(100, wc.byte_len);
	ASSERT_EQ(0, check_equal("next message", self->pair.in[1].data,
				 self->pair.out[0].data, 100));
	ASSERT_EQ(IBV_QPS_RTS, ep_query_state(to));
	self->pair.out[0].data[50] = CANARY;
	memset(self->pair.in[1].data, CANARY, 100);
	ASSERT_EQ(0, deliver_message(self, 0));
}

/* Neither a SEND nor the end of a WRITE finds a receive. */
TEST_F_TIMEOUT(uc, no_receive, LIMIT)
{
	struct ibv_sge src = area_sge(&self->pair.out[0], 0, 100);
	struct ibv_send_wr wr = message(self, IBV_WR_SEND, &src);

	ASSERT_EQ(0, start(&self->pair, &self->opts, IBV_MTU_1024));
	ASSERT_EQ(0, lose(self, &wr));
	wr = message(self, IBV_WR_RDMA_WRITE_WITH_IMM, &src);
	ASSERT_EQ(0, lose(self, &wr));
	ASSERT_EQ(IBV_QPS_RTS, ep_query_state(&self->pair.ep[1]));
	ASSERT_EQ(0, deliver_message(self, 0));
}

TEST_F_TIMEOUT(uc, wrong_rkey, LIMIT)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
	};
	struct ibv_sge src = area_sge(&self->pair.out[0], 0, LENGTH);
	struct ep *to = &self->pair.ep[1];
	unsigned int i;

	ASSERT_EQ(0, start(&self->pair, &self->opts, IBV_MTU_1024));
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		struct ibv_send_wr wr = message(self, opcodes[i], &src);

		ASSERT_EQ(0, ep_post_recv(to, RECV_ID, NULL, 0));
		wr.wr.rdma.rkey ^= 0x5500;
		ASSERT_EQ(0, lose(self, &wr));
		ASSERT_EQ(IBV_QPS_RTS, ep_query_state(to));
		/* the receive is there still */
		src.length = 0;
		wr = message(self, IBV_WR_SEND, &src);
		ASSERT_EQ(0, leave(&self->pair.ep[0], &wr));
		ASSERT_EQ(0, ep_expect(to, RECV_ID, IBV_WC_SUCCESS));
		ASSERT_EQ(0, deliver_message(self, 0));
		src.length = LENGTH;
	}
}

/* ---- states ---- */

#define MANY		5

/* One that cannot be sent; those behind it do not leave. */
TEST_F_TIMEOUT(uc, bad_source, LIMIT)
{
	struct ibv_sge sge = area_sge(&self->pair.out[0], 0, 64), bad = sge;
	struct ep *from = &self->pair.ep[0];
	struct ibv_send_wr wr[MANY];
	int i;

	ASSERT_EQ(0, start(&self->pair, &self->opts, IBV_MTU_1024));
	bad.lkey ^= 0x5500;
	for (i = 0; i < MANY; i++) {
		wr[i] = message(self, IBV_WR_RDMA_WRITE, i ? &sge : &bad);
		wr[i].next = i + 1 < MANY ? &wr[i + 1] : NULL;
	}
	ASSERT_EQ(0, ep_post_send(from, wr));
	ASSERT_EQ(0, ep_expect(from, wr[0].wr_id, IBV_WC_LOC_PROT_ERR));
	for (i = 1; i < MANY; i++) {
		ASSERT_EQ(0, ep_expect(from, wr[i].wr_id, IBV_WC_WR_FLUSH_ERR));
	}
	ASSERT_EQ(0, expect_state(from, IBV_QPS_SQE));
	wr[0] = message(self, IBV_WR_SEND, &sge);
	ASSERT_EQ(0, ep_post_send(from, wr));
	ASSERT_EQ(0, ep_expect(from, wr[0].wr_id, IBV_WC_WR_FLUSH_ERR));
	ASSERT_EQ(0, deliver_message(self, 1));
	ASSERT_EQ(IBV_QPS_SQE, ep_query_state(from));
	ASSERT_EQ(0, ep_state(from, IBV_QPS_RTS));
	ASSERT_EQ(0, area_check_canary(&self->pair.in[1], 0, LENGTH));
	ASSERT_EQ(0, deliver_message(self, 0));
}

/* ---- what the provider refuses ---- */

TEST_F_TIMEOUT(uc, bad_requests, LIMIT)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_RDMA_READ, IBV_WR_ATOMIC_CMP_AND_SWP,
		IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_SEND_WITH_INV, IBV_WR_TSO,
	};
	struct ibv_sge sge = area_sge(&self->pair.out[0], 0, 8);
	struct ep *from = &self->pair.ep[0];
	unsigned int i;

	ASSERT_EQ(0, start(&self->pair, &self->opts, IBV_MTU_1024));
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		struct ibv_send_wr wr = message(self, opcodes[i], &sge);

		ASSERT_EQ(0, ep_expect_refusal(from, &wr));
	}
	ASSERT_EQ(0, ep_expect_none(from, 1));
	ASSERT_EQ(0, deliver_message(self, 0));
}

TEST_F_TIMEOUT(uc, bad_operations, LIMIT)
{
	static const uint64_t ops[] = {
		IBV_QP_EX_WITH_RDMA_READ, IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP,
		IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD,
	};
	struct node *node = &self->pair.node[0];
	unsigned int i;

	ASSERT_EQ(0, start(&self->pair, &self->opts, IBV_MTU_1024));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		struct ibv_qp_init_attr_ex attr = {
			.send_cq = self->pair.ep[0].cq,
			.recv_cq = self->pair.ep[0].cq,
			.cap = { .max_send_wr = 1, .max_send_sge = 1 },
			.qp_type = IBV_QPT_UC,
			.comp_mask = IBV_QP_INIT_ATTR_PD |
				     IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
			.pd = node->pd,
			.send_ops_flags = IBV_QP_EX_WITH_SEND | ops[i],
		};

		ASSERT_EQ(NULL, ibv_create_qp_ex(node->ctx, &attr));
		ASSERT_EQ(EOPNOTSUPP, errno);
	}
}

/* ---- memory on demand ---- */

#define ROOM		(16 * PAGE)	/* of either side */
#define ROUNDS		10

FIXTURE(absent)
{
	struct pair pair;
	struct mem source, sink;
	struct ibv_mr *source_mr, *sink_mr;
	struct ibv_ah *ah;
	uint32_t header;	/* octets in front of the data */
	uint32_t max;
};

FIXTURE_VARIANT(absent)
{
	enum ibv_qp_type type;
	bool wire;
	bool implicit;
};

FIXTURE_VARIANT_ADD(absent, uc)
{
	.type = IBV_QPT_UC,
};

FIXTURE_VARIANT_ADD(absent, uc_implicit_wire)
{
	.type = IBV_QPT_UC,
	.wire = true,
	.implicit = true,
};

FIXTURE_VARIANT_ADD(absent, ud)
{
	.type = IBV_QPT_UD,
};

FIXTURE_VARIANT_ADD(absent, ud_implicit)
{
	.type = IBV_QPT_UD,
	.implicit = true,
};

FIXTURE_VARIANT_ADD(absent, ud_wire)
{
	.type = IBV_QPT_UD,
	.wire = true,
};

/*
 * The policy of a new queue pair, but for the longest estimate at which it holds: nobody
 * knows how long a page takes on a busy machine.
 */
static int hold_patiently(struct ibv_qp *qp)
{
	struct svandv_fault_policy policy;
	int ret = svandv_query_fault_policy(qp, &policy);

	policy.hold_max_us = UINT32_MAX;
	return ret ? ret : svandv_set_fault_policy(qp, &policy);
}

static struct ibv_mr *absent_reg(struct ibv_pd *pd, const struct mem *mem,
				 bool implicit)
{
	return implicit ? demand_reg(pd, NULL, SIZE_MAX, ACCESS_ALL) :
			  demand_reg(pd, mem->map, mem->length, ACCESS_ALL);
}

FIXTURE_SETUP(absent)
{
	struct ep_opts opts = ep_defaults;
	struct pair *pair = &self->pair;

	rng_init(&rng, "absent");
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, text_alloc(&text, ROOM + SLACK, &rng));
	ASSERT_EQ(0, pair_open(pair, variant->wire, PAGE));
	if (!demand_supported(pair->node[0].ctx, variant->implicit))
		SKIP(return, "no such memory on demand");
	opts.qp_type = variant->type;
	self->max = ROOM;
	if (variant->type == IBV_QPT_UD) {
		self->header = GRH;
		self->max = 128u << pair->node[0].port.active_mtu;
		ASSERT_EQ(0, pair_create(pair, &opts));
		ASSERT_EQ(0, ep_start_ud(&pair->ep[0], QKEY));
		ASSERT_EQ(0, ep_start_ud(&pair->ep[1], QKEY));
		self->ah = create_ah(&pair->node[0], pair->node[0].gid_index,
				     &pair->node[1].gid);
		ASSERT_NE(NULL, self->ah);
	} else {
		ASSERT_EQ(0, start(pair, &opts, IBV_MTU_1024));
	}
	ASSERT_EQ(0, hold_patiently(pair->ep[1].qp));
	/* of a file, so that it can be filled without a page of it being mapped */
	ASSERT_EQ(0, mem_map(&self->source, MEM_SHARED, ROOM));
	ASSERT_EQ(0, mem_map(&self->sink, MEM_ANON, ROOM + PAGE));
	self->source_mr = absent_reg(pair->node[0].pd, &self->source,
				     variant->implicit);
	self->sink_mr = absent_reg(pair->node[1].pd, &self->sink,
				   variant->implicit);
	ASSERT_NE(NULL, self->source_mr);
	ASSERT_NE(NULL, self->sink_mr);
}

FIXTURE_TEARDOWN(absent)
{
	if (self->sink_mr) {
		EXPECT_EQ(0, ibv_dereg_mr(self->sink_mr));
	}
	if (self->source_mr) {
		EXPECT_EQ(0, ibv_dereg_mr(self->source_mr));
	}
	if (self->ah) {
		EXPECT_EQ(0, ibv_destroy_ah(self->ah));
	}
	mem_unmap(&self->sink);
	mem_unmap(&self->source);
	if (self->pair.node[0].ctx) {
		EXPECT_EQ(0, pair_sound(&self->pair));
	}
	pair_close(&self->pair);
	text_free(&text);
}

/* Whatever has been there: nobody has touched it. */
static int forget_pages(FIXTURE_DATA(absent) *self)
{
	if (!madvise(self->sink.map, self->sink.length, MADV_DONTNEED) &&
	    !madvise(self->source.map, self->source.length, MADV_DONTNEED))
		return 0;
	complain("madvise: %m");
	return -errno;
}

/* Octets of the text from @from on leave, from pages that are not mapped. */
static int send_text(FIXTURE_DATA(absent) *self, enum ibv_wr_opcode opcode,
		     uint32_t from, uint32_t length)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)self->source.map,
		.length = length,
		.lkey = self->source_mr->lkey,
	};
	struct ibv_send_wr wr = {
		.wr_id = from,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
	};

	if (self->ah) {
		wr.wr.ud.ah = self->ah;
		wr.wr.ud.remote_qpn = self->pair.ep[1].qp->qp_num;
		wr.wr.ud.remote_qkey = QKEY;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)self->sink.map;
		wr.wr.rdma.rkey = self->sink_mr->rkey;
	}
	if (mem_put(&self->source, 0, text.plain + from, length))
		return -EIO;
	return leave(&self->pair.ep[0], &wr);
}

static int post_receive(FIXTURE_DATA(absent) *self, uint32_t at)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)self->sink.map + at,
		.length = self->header + self->max,
		.lkey = self->sink_mr->lkey,
	};

	return ep_post_recv(&self->pair.ep[1], RECV_ID + at, &sge, 1);
}

/* These octets of the text are the next to have arrived, into that receive. */
static int expect_text(FIXTURE_DATA(absent) *self, uint32_t at, uint32_t from,
		       uint32_t length)
{
	struct ibv_wc wc;

	if (ep_wait(&self->pair.ep[1], &wc, PATIENCE_MS)) {
		complain("a message of %u does not arrive", length);
		return -ETIMEDOUT;
	}
	if (wc.status || wc.wr_id != RECV_ID + at ||
	    wc.byte_len != self->header + length) {
		complain("receive 0x%llx: %s, %u octets",
			 (unsigned long long)wc.wr_id,
			 ibv_wc_status_str(wc.status), wc.byte_len);
		return -EIO;
	}
	return check_equal("message", self->sink.map + at + self->header,
			   text.plain + from, length);
}

/* Neither side is mapped, and the buffer begins at the end of a page. */
TEST_F_TIMEOUT(absent, held, LIMIT)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		uint32_t length = 1 + rng_below(&rng, self->max);
		uint32_t from = rng_below(&rng, SLACK);
		uint32_t at = round % 2 ? PAGE - GRH : rng_below(&rng, PAGE);

		at -= at > PAGE - GRH ? GRH : 0;
		ASSERT_EQ(0, forget_pages(self));
		ASSERT_EQ(0, post_receive(self, at));
		ASSERT_EQ(0, send_text(self, IBV_WR_SEND, from, length));
		ASSERT_EQ(0, expect_text(self, at, from, length));
	}
}

/* Those behind wait for their turn, although their pages are there. */
TEST_F_TIMEOUT(absent, in_order, LIMIT)
{
	uint32_t i, stride = 4 * PAGE, length = self->max < stride ?
						self->max : 3 * PAGE;
	int round;

	self->max = length;
	for (round = 0; round < ROUNDS; round++) {
		ASSERT_EQ(0, forget_pages(self));
		for (i = 0; i < 4; i++) {
			if (i)
				self->sink.map[i * stride] = 1;
			ASSERT_EQ(0, post_receive(self, i * stride));
		}
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, send_text(self, IBV_WR_SEND, i * 10,
					       length));
		}
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, expect_text(self, i * stride, i * 10,
						 length));
		}
	}
}

/* The receive is there for the first message that comes when its page is there. */
TEST_F_TIMEOUT(absent, dropped, LIMIT)
{
	enum which to = variant->wire ? PEER : LOCAL;
	uint64_t before = counter_of(to, "fault_dropped_packets");
	struct ep *ep = &self->pair.ep[1];
	struct svandv_fault_policy policy;
	struct ibv_wc wc;
	uint32_t tries = 0;

	ASSERT_EQ(0, svandv_query_fault_policy(ep->qp, &policy));
	policy.mode = SVANDV_FAULT_DROP;
	ASSERT_EQ(0, svandv_set_fault_policy(ep->qp, &policy));
	ASSERT_EQ(0, post_receive(self, 0));
	do {
		ASSERT_EQ(0, send_text(self, IBV_WR_SEND, tries, 100));
		ASSERT_LT(tries++, 100);
	} while (ep_wait(ep, &wc, 2 * SHORT_MS));
	ASSERT_LT(1, tries);
	ASSERT_LE(before + 1, counter_of(to, "fault_dropped_packets"));
	ASSERT_EQ(IBV_WC_SUCCESS, wc.status);
	ASSERT_EQ(0, check_equal("message", self->sink.map + self->header,
				 text.plain + tries - 1, 100));
	ASSERT_EQ(0, post_receive(self, 0));
	ASSERT_EQ(0, send_text(self, IBV_WR_SEND, 50, 100));
	ASSERT_EQ(0, expect_text(self, 0, 50, 100));
}

TEST_F_TIMEOUT(absent, written, LIMIT)
{
	int round;

	if (variant->type != IBV_QPT_UC)
		SKIP(return, "datagrams are no WRITEs");
	for (round = 0; round < ROUNDS; round++) {
		uint32_t length = 1 + rng_below(&rng, self->max);

		ASSERT_EQ(0, forget_pages(self));
		ASSERT_EQ(0, ep_post_recv(&self->pair.ep[1], RECV_ID, NULL, 0));
		ASSERT_EQ(0, send_text(self, IBV_WR_RDMA_WRITE_WITH_IMM, round,
				       length));
		ASSERT_EQ(0, expect_text(self, 0, round, length));
	}
}

TEST_HARNESS_MAIN
