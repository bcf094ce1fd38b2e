// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wrong use of the RC transport: each mistake ends with the completion status
 * the specification (IBTA volume 1, 9.9 and 10.10) gives it, on both sides, in
 * order, and the device works on.
 */
#include <errno.h>
#include <string.h>

#include "common.h"
#include "kselftest_harness.h"

#define LIMIT		60
#define AREA		(64u << 10)
#define SHORT_MS	50	/* in which what may not come would have come */

FIXTURE(errors)
{
	struct pair pair;
	struct ep *req, *resp;
	struct area *local, *remote;	/* the requester's, the responder's */
};

FIXTURE_VARIANT(errors)
{
	bool wire;
};

FIXTURE_VARIANT_ADD(errors, loopback)
{
	.wire = false,
};

FIXTURE_VARIANT_ADD(errors, wire)
{
	.wire = true,
};

FIXTURE_SETUP(errors)
{
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, pair_open(&self->pair, variant->wire, AREA));
	self->req = &self->pair.ep[0];
	self->resp = &self->pair.ep[1];
	self->local = &self->pair.out[0];
	self->remote = &self->pair.in[1];
}

/* Whatever happened: a fresh pair of queue pairs works. */
FIXTURE_TEARDOWN(errors)
{
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* Retries are few and quick, so that their end is soon seen. */
static const struct conn quick = {
	.mtu = IBV_MTU_1024,
	.timeout = 12,		/* 17 ms */
	.retry_cnt = 1,
	.rnr_retry = 1,
	.min_rnr_timer = 1,	/* 10 us */
	.rd_atomic = 4,
	.access = ACCESS_REMOTE,
};

static int start(struct pair *pair, const struct conn *conn)
{
	struct ep_opts opts = ep_defaults;
	int ret;

	opts.max_sge = 4;
	ret = pair_create(pair, &opts);
	return ret ? ret : pair_connect(pair, conn);
}

static struct ibv_send_wr request(enum ibv_wr_opcode opcode,
				  struct ibv_sge *sge, int num_sge)
{
	return (struct ibv_send_wr){
		.wr_id = 1,
		.sg_list = sge,
		.num_sge = num_sge,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
	};
}

static int expect_state(struct ep *ep, enum ibv_qp_state state)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int seen;

	do {
		seen = ep_query_state(ep);
	} while (seen != (int)state && now_ms() < deadline);
	if (seen == (int)state)
		return 0;
	complain("QP %u is in state %d, not %d", ep->qp->qp_num, seen, state);
	return -EIO;
}

/* The request of wr_id 1 ends like this and takes its QP to the error state. */
static int expect_request(struct ep *ep, struct ibv_send_wr *wr,
			  enum ibv_wc_status status)
{
	int ret = ep_post_send(ep, wr);

	if (ret) {
		complain("posting: %s", strerror(ret));
		return -ret;
	}
	ret = ep_expect(ep, wr->wr_id, status);
	return ret ? ret : expect_state(ep, IBV_QPS_ERR);
}

/* ---- the requester's memory ---- */

static int local_error(struct pair *pair, struct ibv_sge sge,
		       enum ibv_wr_opcode opcode)
{
	struct ibv_send_wr wr = request(opcode, &sge, 1);
	struct area *remote = &pair->in[1];
	int ret = start(pair, &quick);

	wr.wr.rdma.remote_addr = (uintptr_t)remote->data;
	wr.wr.rdma.rkey = remote->mr->rkey;
	if (!ret)
		ret = expect_request(&pair->ep[0], &wr, IBV_WC_LOC_PROT_ERR);
	if (!ret)
		ret = area_check_canary(remote, 0, AREA);
	if (!ret)
		ret = area_check_canary(&pair->out[0], 0, AREA);
	pair_destroy(pair);
	return ret;
}

static int local_errors(struct pair *pair, struct ibv_sge sge)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
	};
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		ret = local_error(pair, sge, opcodes[i]);
		if (ret) {
			complain("opcode %d", opcodes[i]);
			return ret;
		}
	}
	return 0;
}

TEST_F_TIMEOUT(errors, lkey_unknown, LIMIT)
{
	struct ibv_sge sge = area_sge(self->local, 0, 100);

	sge.lkey ^= 0x5a5a5a00;
	ASSERT_EQ(0, local_errors(&self->pair, sge));
	sge = area_sge(self->local, 0, 100);
	sge.lkey ^= 0x01;
	ASSERT_EQ(0, local_errors(&self->pair, sge));
	sge.lkey = 0;
	ASSERT_EQ(0, local_errors(&self->pair, sge));
}

TEST_F_TIMEOUT(errors, lkey_stale, LIMIT)
{
	struct ibv_sge sge;
	struct area area;

	ASSERT_EQ(0, area_alloc(&area, self->pair.node[0].pd, AREA, ACCESS_ALL));
	sge = area_sge(&area, 0, 100);
	area_free(&area);
	ASSERT_EQ(0, local_errors(&self->pair, sge));
}

TEST_F_TIMEOUT(errors, lkey_other_pd, LIMIT)
{
	struct ibv_pd *pd = ibv_alloc_pd(self->pair.node[0].ctx);
	struct area area;

	ASSERT_NE(NULL, pd);
	ASSERT_EQ(0, area_alloc(&area, pd, AREA, ACCESS_ALL));
	ASSERT_EQ(0, local_errors(&self->pair, area_sge(&area, 0, 100)));
	area_free(&area);
	ASSERT_EQ(0, ibv_dealloc_pd(pd));
}

TEST_F_TIMEOUT(errors, local_bounds, LIMIT)
{
	struct ibv_sge sge = area_sge(self->local, 0, 100);

	sge.addr += AREA + MARGIN - 99;
	ASSERT_EQ(0, local_errors(&self->pair, sge));
	sge.addr = (uintptr_t)self->local->map - 1;
	ASSERT_EQ(0, local_errors(&self->pair, sge));
	sge = area_sge(self->local, 0, 100);
	sge.addr = UINT64_MAX - 50;
	ASSERT_EQ(0, local_errors(&self->pair, sge));
}

TEST_F_TIMEOUT(errors, local_read_only, LIMIT)
{
	struct area area;

	ASSERT_EQ(0, area_alloc(&area, self->pair.node[0].pd, AREA, 0));
	ASSERT_EQ(0, local_error(&self->pair, area_sge(&area, 0, 100),
				 IBV_WR_RDMA_READ));
	ASSERT_EQ(0, area_check_canary(&area, 0, AREA));
	area_free(&area);
}

TEST_F_TIMEOUT(errors, message_too_long, LIMIT)
{
	struct ibv_sge sge[2] = {
		area_sge(self->local, 0, 0x80000000u),
		area_sge(self->local, 0, 1),
	};
	struct ibv_send_wr wr = request(IBV_WR_RDMA_WRITE, sge, 2);

	ASSERT_EQ(0, start(&self->pair, &quick));
	wr.wr.rdma.remote_addr = (uintptr_t)self->remote->data;
	wr.wr.rdma.rkey = self->remote->mr->rkey;
	ASSERT_EQ(0, expect_request(self->req, &wr, IBV_WC_LOC_LEN_ERR));
}

/* ---- the responder's memory ---- */

struct target {
	uint64_t addr;
	uint32_t rkey;
};

static int remote_error(struct pair *pair, enum ibv_wr_opcode opcode,
			struct target target, const struct conn *conn,
			enum ibv_wc_status status)
{
	bool atomic = opcode == IBV_WR_ATOMIC_CMP_AND_SWP ||
		      opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
	struct ibv_sge sge = area_sge(&pair->out[0], 0, atomic ? 8 : 3000);
	struct ibv_send_wr wr = request(opcode, &sge, 1);
	int ret = start(pair, conn);

	if (atomic) {
		wr.wr.atomic.remote_addr = target.addr;
		wr.wr.atomic.rkey = target.rkey;
		wr.wr.atomic.compare_add = 1;
	} else {
		wr.wr.rdma.remote_addr = target.addr;
		wr.wr.rdma.rkey = target.rkey;
	}
	if (!ret)
		ret = expect_request(&pair->ep[0], &wr, status);
	if (!ret)
		ret = expect_state(&pair->ep[1], IBV_QPS_ERR);
	if (!ret)
		ret = area_check_canary(&pair->in[1], -(ptrdiff_t)MARGIN,
					AREA + MARGIN);
	if (!ret)
		ret = area_check_canary(&pair->out[0], 0, AREA);
	if (ret)
		complain("opcode %d, address 0x%llx, key 0x%x", opcode,
			 (unsigned long long)target.addr, target.rkey);
	pair_destroy(pair);
	return ret;
}

/* WRITE, READ and both atomics */
static int remote_errors(struct pair *pair, struct target target,
			 enum ibv_wc_status status)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
		IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_ATOMIC_FETCH_AND_ADD,
	};
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(opcodes) && !ret; i++)
		ret = remote_error(pair, opcodes[i], target, &quick, status);
	return ret;
}

static struct target target_of(const struct area *area, size_t offset)
{
	return (struct target){
		.addr = (uintptr_t)(area->data + offset),
		.rkey = area->mr->rkey,
	};
}

TEST_F_TIMEOUT(errors, rkey_unknown, LIMIT)
{
	struct target target = target_of(self->remote, 0);

	target.rkey ^= 0x5a5a5a00;
	ASSERT_EQ(0, remote_errors(&self->pair, target,
				   IBV_WC_REM_ACCESS_ERR));
	target.rkey = self->remote->mr->rkey ^ 1;
	ASSERT_EQ(0, remote_errors(&self->pair, target,
				   IBV_WC_REM_ACCESS_ERR));
	target.rkey = 0;
	ASSERT_EQ(0, remote_errors(&self->pair, target,
				   IBV_WC_REM_ACCESS_ERR));
}

TEST_F_TIMEOUT(errors, rkey_stale, LIMIT)
{
	struct target target;
	struct area area;

	ASSERT_EQ(0, area_alloc(&area, self->pair.node[1].pd, AREA, ACCESS_ALL));
	target = target_of(&area, 0);
	area_free(&area);
	ASSERT_EQ(0, remote_errors(&self->pair, target,
				   IBV_WC_REM_ACCESS_ERR));
}

TEST_F_TIMEOUT(errors, rkey_other_pd, LIMIT)
{
	struct ibv_pd *pd = ibv_alloc_pd(self->pair.node[1].ctx);
	struct area area;

	ASSERT_NE(NULL, pd);
	ASSERT_EQ(0, area_alloc(&area, pd, AREA, ACCESS_ALL));
	ASSERT_EQ(0, remote_errors(&self->pair, target_of(&area, 0),
				   IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, area_check_canary(&area, 0, AREA));
	area_free(&area);
	ASSERT_EQ(0, ibv_dealloc_pd(pd));
}

TEST_F_TIMEOUT(errors, remote_bounds, LIMIT)
{
	struct target target = target_of(self->remote, AREA + MARGIN);

	ASSERT_EQ(0, remote_errors(&self->pair, target,
				   IBV_WC_REM_ACCESS_ERR));
	target.addr = ((uintptr_t)self->remote->map - 8) & ~7ull;
	ASSERT_EQ(0, remote_errors(&self->pair, target,
				   IBV_WC_REM_ACCESS_ERR));
	target.addr = 0;
	ASSERT_EQ(0, remote_errors(&self->pair, target,
				   IBV_WC_REM_ACCESS_ERR));
	target.addr = UINT64_MAX & ~7ull;
	ASSERT_EQ(0, remote_errors(&self->pair, target,
				   IBV_WC_REM_ACCESS_ERR));
}

/* The last octet but one is inside, the last one is not. */
TEST_F_TIMEOUT(errors, remote_end, LIMIT)
{
	struct target target = target_of(self->remote, AREA + MARGIN - 2999);

	ASSERT_EQ(0, remote_error(&self->pair, IBV_WR_RDMA_WRITE, target,
				  &quick, IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, remote_error(&self->pair, IBV_WR_RDMA_READ, target,
				  &quick, IBV_WC_REM_ACCESS_ERR));
}

/* Keys that lack the right, for each operation. */
TEST_F_TIMEOUT(errors, key_rights, LIMIT)
{
	static const struct {
		enum ibv_wr_opcode opcode;
		int right;
	} rows[] = {
		{ IBV_WR_RDMA_WRITE, IBV_ACCESS_REMOTE_WRITE },
		{ IBV_WR_RDMA_READ, IBV_ACCESS_REMOTE_READ },
		{ IBV_WR_ATOMIC_CMP_AND_SWP, IBV_ACCESS_REMOTE_ATOMIC },
		{ IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_ACCESS_REMOTE_ATOMIC },
	};
	struct area area;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, area_alloc(&area, self->pair.node[1].pd, AREA,
					ACCESS_ALL & ~rows[i].right));
		ASSERT_EQ(0, remote_error(&self->pair, rows[i].opcode,
					  target_of(&area, 0), &quick,
					  IBV_WC_REM_ACCESS_ERR));
		ASSERT_EQ(0, area_check_canary(&area, 0, AREA));
		area_free(&area);
	}
}

/* QPs that do not permit the operation (9.7.4.1.2: not supported by this QP). */
TEST_F_TIMEOUT(errors, qp_rights, LIMIT)
{
	static const struct {
		enum ibv_wr_opcode opcode;
		int right;
	} rows[] = {
		{ IBV_WR_RDMA_WRITE, IBV_ACCESS_REMOTE_WRITE },
		{ IBV_WR_RDMA_READ, IBV_ACCESS_REMOTE_READ },
		{ IBV_WR_ATOMIC_CMP_AND_SWP, IBV_ACCESS_REMOTE_ATOMIC },
		{ IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_ACCESS_REMOTE_ATOMIC },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct conn conn = quick;

		conn.access &= ~rows[i].right;
		ASSERT_EQ(0, remote_error(&self->pair, rows[i].opcode,
					  target_of(self->remote, 0), &conn,
					  IBV_WC_REM_INV_REQ_ERR));
	}
}

TEST_F_TIMEOUT(errors, atomic_misaligned, LIMIT)
{
	unsigned int offset;

	for (offset = 1; offset < 8; offset++) {
		struct target target = target_of(self->remote, offset);

		ASSERT_EQ(0, remote_error(&self->pair,
					  IBV_WR_ATOMIC_FETCH_AND_ADD, target,
					  &quick, IBV_WC_REM_INV_REQ_ERR));
		ASSERT_EQ(0, remote_error(&self->pair,
					  IBV_WR_ATOMIC_CMP_AND_SWP, target,
					  &quick, IBV_WC_REM_INV_REQ_ERR));
	}
}

/* 9.7.7.2.2: the responder tells its consumer, too */
TEST_F_TIMEOUT(errors, access_event, LIMIT)
{
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	struct ibv_send_wr wr = request(IBV_WR_RDMA_WRITE, &sge, 1);

	ASSERT_EQ(0, start(&self->pair, &quick));
	wr.wr.rdma.remote_addr = (uintptr_t)self->remote->data;
	wr.wr.rdma.rkey = self->remote->mr->rkey ^ 1;
	ASSERT_EQ(0, expect_request(self->req, &wr, IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, expect_async(&self->pair.node[1],
				  IBV_EVENT_QP_ACCESS_ERR, WAIT_MS));
}

/* ---- receives ---- */

static int receive_error(struct pair *pair, struct ibv_sge sge,
			 enum ibv_wc_status recv_status,
			 enum ibv_wc_status send_status)
{
	struct ibv_sge src = area_sge(&pair->out[0], 0, 3000);
	struct ibv_send_wr wr = request(IBV_WR_SEND, &src, 1);
	int ret = start(pair, &quick);

	if (!ret)
		ret = ep_post_recv(&pair->ep[1], 7, &sge, 1);
	if (!ret)
		ret = expect_request(&pair->ep[0], &wr, send_status);
	if (!ret)
		ret = ep_expect(&pair->ep[1], 7, recv_status);
	if (!ret)
		ret = expect_state(&pair->ep[1], IBV_QPS_ERR);
	pair_destroy(pair);
	return ret;
}

TEST_F_TIMEOUT(errors, receive_memory, LIMIT)
{
	struct ibv_sge sge = area_sge(self->remote, 0, 4000);
	struct area area;

	sge.lkey ^= 1;
	ASSERT_EQ(0, receive_error(&self->pair, sge, IBV_WC_LOC_PROT_ERR,
				   IBV_WC_REM_OP_ERR));
	sge = area_sge(self->remote, 0, 4000);
	sge.addr = (uintptr_t)self->remote->map - 1;
	ASSERT_EQ(0, receive_error(&self->pair, sge, IBV_WC_LOC_PROT_ERR,
				   IBV_WC_REM_OP_ERR));
	ASSERT_EQ(0, area_alloc(&area, self->pair.node[1].pd, AREA, 0));
	ASSERT_EQ(0, receive_error(&self->pair, area_sge(&area, 0, 4000),
				   IBV_WC_LOC_PROT_ERR, IBV_WC_REM_OP_ERR));
	ASSERT_EQ(0, area_check_canary(&area, 0, AREA));
	area_free(&area);
}

TEST_F_TIMEOUT(errors, receive_too_small, LIMIT)
{
	ASSERT_EQ(0, receive_error(&self->pair,
				   area_sge(self->remote, 0, 2999),
				   IBV_WC_LOC_LEN_ERR,
				   IBV_WC_REM_INV_REQ_ERR));
	ASSERT_EQ(0, area_check_canary(self->remote, 2999, AREA));
	ASSERT_EQ(0, receive_error(&self->pair, area_sge(self->remote, 0, 0),
				   IBV_WC_LOC_LEN_ERR,
				   IBV_WC_REM_INV_REQ_ERR));
}

TEST_F_TIMEOUT(errors, no_receive, LIMIT)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE_WITH_IMM,
	};
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		struct ibv_send_wr wr = request(opcodes[i], &sge, 1);

		wr.wr.rdma.remote_addr = (uintptr_t)self->remote->data;
		wr.wr.rdma.rkey = self->remote->mr->rkey;
		ASSERT_EQ(0, start(&self->pair, &quick));
		ASSERT_EQ(0, expect_request(self->req, &wr,
					    IBV_WC_RNR_RETRY_EXC_ERR));
		/* RNR is no error of the responder */
		ASSERT_EQ(IBV_QPS_RTS, ep_query_state(self->resp));
		pair_destroy(&self->pair);
	}
}

/* A receive that comes in time ends the wait. */
TEST_F_TIMEOUT(errors, late_receive, LIMIT)
{
	struct ibv_sge src = area_sge(self->local, 0, 64);
	struct ibv_sge dst = area_sge(self->remote, 0, 64);
	struct ibv_send_wr wr = request(IBV_WR_SEND, &src, 1);
	struct conn conn = quick;

	conn.rnr_retry = 7;
	ASSERT_EQ(0, start(&self->pair, &conn));
	ASSERT_EQ(0, ep_post_send(self->req, &wr));
	ASSERT_EQ(0, ep_expect_none(self->req, SHORT_MS));
	ASSERT_EQ(0, ep_post_recv(self->resp, 2, &dst, 1));
	ASSERT_EQ(0, ep_expect(self->req, 1, IBV_WC_SUCCESS));
	ASSERT_EQ(0, ep_expect(self->resp, 2, IBV_WC_SUCCESS));
}

/* ---- a peer that is not there ---- */

TEST_F_TIMEOUT(errors, peer_destroyed, LIMIT)
{
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	struct ibv_send_wr wr = request(IBV_WR_SEND, &sge, 1);

	ASSERT_EQ(0, start(&self->pair, &quick));
	ep_destroy(self->resp);
	ASSERT_EQ(0, expect_request(self->req, &wr, IBV_WC_RETRY_EXC_ERR));
}

TEST_F_TIMEOUT(errors, peer_state, LIMIT)
{
	static const enum ibv_qp_state states[] = {
		IBV_QPS_RESET, IBV_QPS_INIT, IBV_QPS_ERR,
	};
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		struct ibv_send_wr wr = request(IBV_WR_RDMA_WRITE, &sge, 1);

		wr.wr.rdma.remote_addr = (uintptr_t)self->remote->data;
		wr.wr.rdma.rkey = self->remote->mr->rkey;
		ASSERT_EQ(0, start(&self->pair, &quick));
		ASSERT_EQ(0, ep_state(self->resp, IBV_QPS_RESET));
		if (states[i] != IBV_QPS_RESET) {
			ASSERT_EQ(0, ep_init(self->resp, &quick));
		}
		if (states[i] == IBV_QPS_ERR) {
			ASSERT_EQ(0, ep_state(self->resp, IBV_QPS_ERR));
		}
		ASSERT_EQ(0, expect_request(self->req, &wr,
					    IBV_WC_RETRY_EXC_ERR));
		pair_destroy(&self->pair);
	}
	ASSERT_EQ(0, area_check_canary(self->remote, 0, AREA));
}

/* ---- flushing ---- */

#define MANY		12

/* The first one fails, all others follow it in order, signaled or not. */
TEST_F_TIMEOUT(errors, flush_sends, LIMIT)
{
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	struct ibv_send_wr wr[MANY];
	int i;

	ASSERT_EQ(0, start(&self->pair, &quick));
	for (i = 0; i < MANY; i++) {
		wr[i] = request(IBV_WR_RDMA_WRITE, &sge, 1);
		wr[i].wr_id = 100 + i;
		wr[i].send_flags = i % 3 ? 0 : IBV_SEND_SIGNALED;
		wr[i].wr.rdma.remote_addr = (uintptr_t)self->remote->data;
		wr[i].wr.rdma.rkey = self->remote->mr->rkey ^ (i == 3);
		wr[i].next = i + 1 < MANY ? &wr[i + 1] : NULL;
	}
	ASSERT_EQ(0, ep_post_send(self->req, wr));
	ASSERT_EQ(0, ep_expect(self->req, 100, IBV_WC_SUCCESS));
	ASSERT_EQ(0, ep_expect(self->req, 103, IBV_WC_REM_ACCESS_ERR));
	for (i = 4; i < MANY; i++) {
		ASSERT_EQ(0, ep_expect(self->req, 100 + i,
				       IBV_WC_WR_FLUSH_ERR));
	}
	ASSERT_EQ(0, ep_expect_none(self->req, SHORT_MS));
}

static int post_receives(struct ep *ep, struct area *area, uint64_t first)
{
	struct ibv_sge sge = area_sge(area, 0, 64);
	int i, ret = 0;

	for (i = 0; i < MANY && !ret; i++)
		ret = ep_post_recv(ep, first + i, &sge, 1);
	return ret;
}

TEST_F_TIMEOUT(errors, flush_receives, LIMIT)
{
	int i;

	ASSERT_EQ(0, start(&self->pair, &quick));
	ASSERT_EQ(0, post_receives(self->resp, self->remote, 200));
	ASSERT_EQ(0, ep_state(self->resp, IBV_QPS_ERR));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, ep_expect(self->resp, 200 + i,
				       IBV_WC_WR_FLUSH_ERR));
	}
	ASSERT_EQ(0, ep_expect_none(self->resp, SHORT_MS));
}

/* 10.3.1: what is posted in the error state is flushed as well */
TEST_F_TIMEOUT(errors, post_in_error_state, LIMIT)
{
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	struct ibv_send_wr wr = request(IBV_WR_SEND, &sge, 1);
	int i, round;

	ASSERT_EQ(0, start(&self->pair, &quick));
	ASSERT_EQ(0, ep_state(self->req, IBV_QPS_ERR));
	for (round = 0; round < 200; round++) {
		wr.wr_id = 1000 + round;
		ASSERT_EQ(0, ep_post_send(self->req, &wr));
		ASSERT_EQ(0, ep_expect(self->req, 1000 + round,
				       IBV_WC_WR_FLUSH_ERR));
		ASSERT_EQ(0, post_receives(self->req, self->local, 300));
		for (i = 0; i < MANY; i++) {
			ASSERT_EQ(0, ep_expect(self->req, 300 + i,
					       IBV_WC_WR_FLUSH_ERR));
		}
	}
}

/* The responder fails, without a word to its consumer, and receives come later. */
TEST_F_TIMEOUT(errors, receive_after_silent_error, LIMIT)
{
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	struct ibv_send_wr wr = request(IBV_WR_RDMA_WRITE, &sge, 1);
	int i;

	ASSERT_EQ(0, start(&self->pair, &quick));
	wr.wr.rdma.remote_addr = (uintptr_t)self->remote->data;
	wr.wr.rdma.rkey = self->remote->mr->rkey ^ 1;
	ASSERT_EQ(0, expect_request(self->req, &wr, IBV_WC_REM_ACCESS_ERR));
	ASSERT_EQ(0, post_receives(self->resp, self->remote, 400));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, ep_expect(self->resp, 400 + i,
				       IBV_WC_WR_FLUSH_ERR));
	}
}

/* Writes that a reset stops in their midst, when the device polls the queue. */
static int reset_at_work(struct pair *pair)
{
	struct ibv_sge sge = area_sge(&pair->out[0], 0, AREA / 2);
	struct ibv_send_wr wr = request(IBV_WR_RDMA_WRITE, &sge, 1);
	int i, ret = pair_connect(pair, &quick);

	wr.wr.rdma.remote_addr = (uintptr_t)pair->in[1].data;
	wr.wr.rdma.rkey = pair->in[1].mr->rkey;
	for (i = 0; i < MANY && !ret; i++)
		ret = -ep_post_send(&pair->ep[0], &wr);
	if (!ret)
		ret = ep_state(&pair->ep[0], IBV_QPS_RESET);
	return ret ? ret : ep_state(&pair->ep[1], IBV_QPS_RESET);
}

/* That it polled before does not keep the device from seeing receives. */
TEST_F_TIMEOUT(errors, flush_after_reset, LIMIT)
{
	int round, i;

	ASSERT_EQ(0, pair_create(&self->pair, &ep_defaults));
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, reset_at_work(&self->pair));
		ASSERT_EQ(0, ep_init(self->req, &quick));
		ASSERT_EQ(0, ep_state(self->req, IBV_QPS_ERR));
		ASSERT_EQ(0, post_receives(self->req, self->local, 700));
		for (i = 0; i < MANY; i++) {
			ASSERT_EQ(0, ep_expect(self->req, 700 + i,
					       IBV_WC_WR_FLUSH_ERR));
		}
		ASSERT_EQ(0, ep_state(self->req, IBV_QPS_RESET));
	}
}

/* ---- states ---- */

static int post_is_refused(struct ep *ep, struct area *area)
{
	struct ibv_sge sge = area_sge(area, 0, 64);
	struct ibv_send_wr second = request(IBV_WR_SEND, &sge, 1);
	struct ibv_send_wr wr = request(IBV_WR_SEND, &sge, 1), *bad_wr = NULL;
	int ret;

	wr.next = &second;
	ret = ibv_post_send(ep->qp, &wr, &bad_wr);
	if (ret <= 0 || bad_wr != &wr) {
		complain("a send was accepted: %d", ret);
		return -EIO;
	}
	return 0;
}

TEST_F_TIMEOUT(errors, post_states, LIMIT)
{
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = 1 }, *bad_wr;

	ASSERT_EQ(0, pair_create(&self->pair, &ep_defaults));
	bad_wr = NULL;
	ASSERT_LT(0, ibv_post_recv(self->req->qp, &wr, &bad_wr));
	ASSERT_EQ(&wr, bad_wr);
	ASSERT_EQ(0, post_is_refused(self->req, self->local));
	ASSERT_EQ(0, ep_init(self->req, &quick));
	ASSERT_EQ(0, post_is_refused(self->req, self->local));
	ASSERT_EQ(0, ibv_post_recv(self->req->qp, &wr, &bad_wr));
	ASSERT_EQ(0, ep_rtr(self->req, self->resp, &quick));
	ASSERT_EQ(0, post_is_refused(self->req, self->local));
	ASSERT_EQ(0, ep_rts(self->req, &quick));
	ASSERT_EQ(0, ep_expect_none(self->req, SHORT_MS));
}

static int refused_state(struct ep *ep, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	return ibv_modify_qp(ep->qp, &attr, IBV_QP_STATE) ? 0 : -EIO;
}

TEST_F_TIMEOUT(errors, transitions, LIMIT)
{
	ASSERT_EQ(0, pair_create(&self->pair, &ep_defaults));
	ASSERT_EQ(0, refused_state(self->req, IBV_QPS_RTR));
	ASSERT_EQ(0, refused_state(self->req, IBV_QPS_RTS));
	ASSERT_EQ(0, refused_state(self->req, IBV_QPS_SQD));
	ASSERT_EQ(0, ep_init(self->req, &quick));
	ASSERT_EQ(0, refused_state(self->req, IBV_QPS_RTS));
	ASSERT_EQ(IBV_QPS_INIT, ep_query_state(self->req));
	ASSERT_EQ(0, ep_rtr(self->req, self->resp, &quick));
	ASSERT_EQ(0, refused_state(self->req, IBV_QPS_RTS));
	ASSERT_EQ(0, refused_state(self->req, IBV_QPS_INIT));
	ASSERT_EQ(0, ep_rts(self->req, &quick));
	ASSERT_EQ(0, refused_state(self->req, IBV_QPS_RTR));
	ASSERT_EQ(IBV_QPS_RTS, ep_query_state(self->req));
	ASSERT_EQ(0, ep_state(self->req, IBV_QPS_ERR));
	ASSERT_EQ(0, refused_state(self->req, IBV_QPS_RTS));
	ASSERT_EQ(IBV_QPS_ERR, ep_query_state(self->req));
	ASSERT_EQ(0, ep_state(self->req, IBV_QPS_RESET));
}

static int send_and_check(struct pair *pair, int round)
{
	struct ibv_sge src = area_sge(&pair->out[0], 0, 2000);
	struct ibv_sge dst = area_sge(&pair->in[1], 0, 2000);
	struct ibv_send_wr wr = request(IBV_WR_SEND, &src, 1);

	memset(pair->out[0].data, round, 2000);
	wr.wr_id = round;
	if (ep_post_recv(&pair->ep[1], 500 + round, &dst, 1) ||
	    ep_post_send(&pair->ep[0], &wr) ||
	    ep_expect(&pair->ep[0], round, IBV_WC_SUCCESS) ||
	    ep_expect(&pair->ep[1], 500 + round, IBV_WC_SUCCESS))
		return -EIO;
	return check_equal("after a reset", pair->in[1].data,
			   pair->out[0].data, 2000);
}

/* Reset with work in every place; nothing of it is ever seen again. */
TEST_F_TIMEOUT(errors, reuse_after_reset, LIMIT)
{
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	int round, i;

	ASSERT_EQ(0, pair_create(&self->pair, &ep_defaults));
	for (round = 1; round < 20; round++) {
		ASSERT_EQ(0, pair_connect(&self->pair, &quick));
		for (i = 0; i < round; i++) {
			ASSERT_EQ(0, send_and_check(&self->pair, round));
		}
		ASSERT_EQ(0, post_receives(self->resp, self->remote, 600));
		for (i = 0; i < MANY + round % 3; i++) {
			struct ibv_send_wr wr = request(IBV_WR_SEND, &sge, 1);

			ASSERT_EQ(0, ep_post_send(self->req, &wr));
		}
		if (round % 2) {
			ASSERT_EQ(0, ep_state(self->req, IBV_QPS_ERR));
		}
		if (round % 4 < 2) {
			ASSERT_EQ(0, ep_state(self->resp, IBV_QPS_ERR));
		}
		ASSERT_EQ(0, ep_state(self->req, IBV_QPS_RESET));
		ASSERT_EQ(0, ep_state(self->resp, IBV_QPS_RESET));
		ASSERT_EQ(0, ep_expect_none(self->req, 1));
		ASSERT_EQ(0, ep_expect_none(self->resp, 1));
	}
}

/* ---- what the provider refuses ---- */

static int refused(struct ep *ep, struct ibv_send_wr *wr, int error)
{
	struct ibv_send_wr *bad_wr = NULL;
	int ret = ibv_post_send(ep->qp, wr, &bad_wr);

	if (ret == error && bad_wr == wr)
		return 0;
	complain("posting opcode %d: %s instead of %s", wr->opcode,
		 strerror(ret), strerror(error));
	return -EIO;
}

TEST_F_TIMEOUT(errors, bad_requests, LIMIT)
{
	struct ibv_sge sge[5] = {};
	struct ibv_send_wr wr;
	struct ep_opts opts = ep_defaults;

	opts.max_sge = 2;
	opts.max_inline = 32;
	ASSERT_EQ(0, pair_create(&self->pair, &opts));
	ASSERT_EQ(0, pair_connect(&self->pair, &quick));
	wr = request(IBV_WR_SEND, sge, self->req->cap.max_send_sge + 1);
	ASSERT_EQ(0, refused(self->req, &wr, EINVAL));
	wr = request(99, sge, 1);
	ASSERT_EQ(0, refused(self->req, &wr, EINVAL));
	wr = request(IBV_WR_SEND, sge, 1);
	sge[0] = area_sge(self->local, 0, self->req->cap.max_inline_data + 1);
	wr.send_flags |= IBV_SEND_INLINE;
	ASSERT_EQ(0, refused(self->req, &wr, EINVAL));
	ASSERT_EQ(0, ep_expect_none(self->req, 1));
	ASSERT_EQ(0, send_and_check(&self->pair, 3));
}

/* bad_wr is the one that found no room, those before it are executed. */
TEST_F_TIMEOUT(errors, full_queues, LIMIT)
{
	struct ibv_send_wr wr[MANY * 2], *bad_wr = NULL;
	struct ibv_sge sge = area_sge(self->local, 0, 64);
	struct ep_opts opts = ep_defaults;
	uint32_t i, room;

	opts.max_send_wr = MANY;
	opts.max_recv_wr = MANY;
	ASSERT_EQ(0, pair_create(&self->pair, &opts));
	ASSERT_EQ(0, pair_connect(&self->pair, &quick));
	room = self->req->cap.max_send_wr;
	ASSERT_LE(MANY, room);
	ASSERT_GT(MANY * 2, room);
	for (i = 0; i < MANY * 2; i++) {
		wr[i] = request(IBV_WR_RDMA_WRITE, &sge, 1);
		wr[i].wr_id = i;
		wr[i].send_flags = i + 1 == room ? IBV_SEND_SIGNALED : 0;
		wr[i].wr.rdma.remote_addr = (uintptr_t)self->remote->data;
		wr[i].wr.rdma.rkey = self->remote->mr->rkey;
		wr[i].next = i + 1 < MANY * 2 ? &wr[i + 1] : NULL;
	}
	ASSERT_EQ(ENOMEM, ibv_post_send(self->req->qp, wr, &bad_wr));
	ASSERT_EQ(&wr[room], bad_wr);
	ASSERT_EQ(0, ep_expect(self->req, room - 1, IBV_WC_SUCCESS));
	ASSERT_EQ(0, ep_expect_none(self->req, SHORT_MS));

	room = self->resp->cap.max_recv_wr;
	for (i = 0; i < room; i++) {
		ASSERT_EQ(0, ep_post_recv(self->resp, i, &sge, 1));
	}
	ASSERT_GT(0, ep_post_recv(self->resp, i, &sge, 1));
}

/* What is not there says so, and what is advertised is there. */
TEST_F_TIMEOUT(errors, unsupported, LIMIT)
{
	struct node *node = &self->pair.node[0];
	struct ibv_qp_init_attr attr = {
		.cap = { .max_send_wr = 1000, .max_recv_wr = 1000,
			 .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_UD,
	};
	struct ibv_cq *cq = ibv_create_cq(node->ctx, 1000, NULL, NULL, 0);
	struct ibv_qp *qp;

	ASSERT_NE(NULL, cq);
	ASSERT_LE(1000, cq->cqe);
	ASSERT_EQ(EOPNOTSUPP, ibv_resize_cq(cq, 2000));
	ASSERT_EQ(NULL, ibv_create_cq(node->ctx, node->attr.max_cqe + 1, NULL,
				      NULL, 0));
	ASSERT_EQ(EINVAL, errno);

	attr.send_cq = attr.recv_cq = cq;
	ASSERT_EQ(NULL, ibv_create_qp(node->pd, &attr));
	ASSERT_EQ(EOPNOTSUPP, errno);
	attr.qp_type = IBV_QPT_RC;
	qp = ibv_create_qp(node->pd, &attr);
	ASSERT_NE(NULL, qp);
	ASSERT_LE(1000, attr.cap.max_send_wr);
	ASSERT_LE(1000, attr.cap.max_recv_wr);
	ASSERT_EQ(0, ibv_destroy_qp(qp));
	attr.cap.max_recv_wr = node->attr.max_qp_wr + 1;
	ASSERT_EQ(NULL, ibv_create_qp(node->pd, &attr));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(0, ibv_destroy_cq(cq));

	ASSERT_EQ(NULL, ibv_reg_mr(node->pd, NULL, SIZE_MAX,
				   IBV_ACCESS_ON_DEMAND |
				   IBV_ACCESS_LOCAL_WRITE));
	ASSERT_EQ(EOPNOTSUPP, errno);
}

TEST_HARNESS_MAIN
