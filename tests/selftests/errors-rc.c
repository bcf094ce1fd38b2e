// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wrong use of the RC transport: each mistake ends with the completion status
 * the specification (IBTA volume 1, 9.9 and 10.10) gives it, on both sides, in
 * order, and the device works on.
 */
#include "errors.h"

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

TEST_HARNESS_MAIN
