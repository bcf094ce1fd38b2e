// SPDX-License-Identifier: GPL-2.0-only
/*
 * States of an RC queue pair: what is flushed, what a reset forgets, and what is
 * refused at once (IBTA volume 1, 10.3.1).
 */
#include "errors.h"

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
		.qp_type = IBV_QPT_XRC_SEND,
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
}

/* ---- rate limit ---- */

#define SLOW_KBPS	4000
#define SLOW_MS		(AREA * 8 / SLOW_KBPS)

/* How long a WRITE of the whole area takes, ms; or an error. */
static int timed_write(struct pair *pair, struct area *remote)
{
	uint64_t begin = now_ms();
	int ret = pair_write(pair, remote->mr, remote->data, AREA);

	return ret ? -EIO : (int)(now_ms() - begin);
}

TEST_F_TIMEOUT(errors, rate_limit, LIMIT)
{
	struct ibv_qp_rate_limit_attr limit = { .rate_limit = SLOW_KBPS };
	struct ibv_device_attr_ex attr = {};
	int took;

	ASSERT_EQ(0, ibv_query_device_ex(self->pair.node[0].ctx, NULL, &attr));
	ASSERT_EQ(1 << IBV_QPT_RC, attr.packet_pacing_caps.supported_qpts);
	ASSERT_EQ(0, start(&self->pair, &quick));
	ASSERT_EQ(0, ibv_modify_qp_rate_limit(self->req->qp, &limit));
	took = timed_write(&self->pair, self->remote);
	ASSERT_LE(SLOW_MS - 10, took);

	limit.rate_limit = attr.packet_pacing_caps.qp_rate_limit_min - 1;
	ASSERT_EQ(EINVAL, ibv_modify_qp_rate_limit(self->req->qp, &limit));
	limit.rate_limit = attr.packet_pacing_caps.qp_rate_limit_max + 1;
	ASSERT_EQ(EINVAL, ibv_modify_qp_rate_limit(self->req->qp, &limit));
	limit.rate_limit = SLOW_KBPS;
	limit.max_burst_sz = 1;
	ASSERT_EQ(EINVAL, ibv_modify_qp_rate_limit(self->req->qp, &limit));

	limit = (struct ibv_qp_rate_limit_attr) { .rate_limit = 0 };
	ASSERT_EQ(0, ibv_modify_qp_rate_limit(self->req->qp, &limit));
	took = timed_write(&self->pair, self->remote);
	ASSERT_LE(0, took);
	ASSERT_GT(SLOW_MS / 2, took);
}

TEST_HARNESS_MAIN
