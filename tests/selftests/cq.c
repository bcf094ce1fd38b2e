// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion queues: queue pairs that go away in the middle of a batch of a
 * single-threaded CQ, and events that are moderated.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>

#include "common.h"
#include "kselftest_harness.h"

#define LIMIT		60
#define SLOT		64u
#define PER_QP		4u
#define ROUNDS		20
#define WR_ID_ANY	UINT64_MAX

/* ---- batches ---- */

FIXTURE(batch)
{
	struct pair pair;		/* devices and memory */
	struct ibv_cq_ex *cqx;		/* of the requesters, single-threaded */
	struct ep from[2], to[2];
};

static int connect_anew(FIXTURE_DATA(batch) *self, int i)
{
	struct ep_opts opts = ep_defaults;
	int ret;

	ep_destroy(&self->from[i]);
	ep_destroy(&self->to[i]);
	ret = ep_create(&self->to[i], &self->pair.node[1], &opts);
	if (ret)
		return ret;
	opts.cq = ibv_cq_ex_to_cq(self->cqx);
	ret = ep_create(&self->from[i], &self->pair.node[0], &opts);
	return ret ? ret : connect_eps(&self->from[i], &self->to[i],
				       &conn_defaults);
}

FIXTURE_SETUP(batch)
{
	struct ibv_cq_init_attr_ex attr = {
		.cqe = 2 * PER_QP,
		.wc_flags = IBV_WC_EX_WITH_QP_NUM,
		.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS,
		.flags = IBV_CREATE_CQ_ATTR_SINGLE_THREADED,
	};
	int i;

	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, pair_open(&self->pair, false, 2 * PER_QP * SLOT));
	self->cqx = ibv_create_cq_ex(self->pair.node[0].ctx, &attr);
	ASSERT_NE(NULL, self->cqx);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, connect_anew(self, i));
	}
}

FIXTURE_TEARDOWN(batch)
{
	int i;

	for (i = 0; i < 2; i++) {
		ep_destroy(&self->from[i]);
		ep_destroy(&self->to[i]);
	}
	EXPECT_EQ(0, ibv_destroy_cq(ibv_cq_ex_to_cq(self->cqx)));
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* wr_id: the queue pair and the number of its request. */
static uint64_t wr_id_of(unsigned int qp, unsigned int nr)
{
	return qp << 8 | nr;
}

static int post_write(struct pair *pair, struct ep *ep, uint64_t wr_id)
{
	struct ibv_sge sge = area_sge(&pair->out[0], 0, SLOT);
	struct ibv_send_wr wr = {
		.wr_id = wr_id,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = (uintptr_t)pair->in[1].data,
			.rkey = pair->in[1].mr->rkey,
		},
	};

	return ep_post_send(ep, &wr);
}

/*
 * As many completions of each queue pair as the CQ has room for. Work of others
 * gives them time to come; who is late is waited for in the batch.
 */
static int fill_cq(FIXTURE_DATA(batch) *self)
{
	unsigned int i;

	for (i = 0; i < 2 * PER_QP; i++)
		if (post_write(&self->pair, &self->from[i % 2],
			       wr_id_of(i % 2, i / 2)))
			return -EIO;
	return pair_sound(&self->pair);
}

static int check_current(FIXTURE_DATA(batch) *self, uint64_t wr_id,
			 uint32_t qpn)
{
	struct ibv_cq_ex *cqx = self->cqx;

	if (cqx->wr_id == wr_id && cqx->status == IBV_WC_SUCCESS &&
	    ibv_wc_read_qp_num(cqx) == qpn &&
	    ibv_wc_read_opcode(cqx) == IBV_WC_RDMA_WRITE)
		return 0;
	complain("QP %u, work request 0x%llx: %s; wanted QP %u, 0x%llx",
		 ibv_wc_read_qp_num(cqx), (unsigned long long)cqx->wr_id,
		 ibv_wc_status_str(cqx->status), qpn,
		 (unsigned long long)wr_id);
	return -EIO;
}

/* The next completion, the first one if @begin; it must be this one. */
static int expect_next(FIXTURE_DATA(batch) *self, bool begin, uint64_t wr_id,
		       uint32_t qpn)
{
	struct ibv_poll_cq_attr attr = {};
	uint64_t deadline = now_ms() + WAIT_MS;
	int ret;

	do {
		ret = begin ? ibv_start_poll(self->cqx, &attr) :
			      ibv_next_poll(self->cqx);
	} while (ret == ENOENT && now_ms() < deadline);
	if (ret) {
		complain("no completion 0x%llx: %s", (unsigned long long)wr_id,
			 strerror(ret));
		return -ret;
	}
	return wr_id == WR_ID_ANY ? 0 : check_current(self, wr_id, qpn);
}

static int take_away(struct ep *ep, bool reset)
{
	if (reset)
		return ep_state(ep, IBV_QPS_RESET);
	ep_destroy(ep);
	return 0;
}

/*
 * In a batch, one of the two queue pairs goes: that of the current completion or
 * the other one. The rest of the batch is the survivor's.
 */
static int lose_one(FIXTURE_DATA(batch) *self, bool current, bool reset)
{
	unsigned int first, victim, living, nr;
	uint32_t qpn, current_qpn;
	int ret;

	ret = fill_cq(self);
	if (!ret)
		ret = expect_next(self, true, WR_ID_ANY, 0);
	if (ret)
		return ret;
	first = self->cqx->wr_id >> 8 & 1;
	victim = current ? first : !first;
	living = !victim;
	current_qpn = self->from[first].qp->qp_num;
	qpn = self->from[living].qp->qp_num;

	ret = take_away(&self->from[victim], reset);
	if (!ret)
		ret = check_current(self, wr_id_of(first, 0), current_qpn);
	for (nr = current ? 0 : 1; nr < PER_QP && !ret; nr++)
		ret = expect_next(self, false, wr_id_of(living, nr), qpn);
	if (!ret && ibv_next_poll(self->cqx) != ENOENT) {
		complain("a completion too many: 0x%llx",
			 (unsigned long long)self->cqx->wr_id);
		ret = -EIO;
	}
	ibv_end_poll(self->cqx);
	return ret ? ret : connect_anew(self, victim);
}

TEST_F_TIMEOUT(batch, destroy, LIMIT)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, lose_one(self, i % 2 == 0, false));
	}
}

TEST_F_TIMEOUT(batch, reset, LIMIT)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, lose_one(self, i % 2 == 0, true));
	}
}

/* Nobody is left, and the batch ends. */
TEST_F_TIMEOUT(batch, destroy_all, LIMIT)
{
	struct ibv_poll_cq_attr attr = {};
	int i;

	ASSERT_EQ(0, fill_cq(self));
	ASSERT_EQ(0, expect_next(self, true, WR_ID_ANY, 0));
	ep_destroy(&self->from[0]);
	ep_destroy(&self->from[1]);
	ASSERT_EQ(ENOENT, ibv_next_poll(self->cqx));
	ibv_end_poll(self->cqx);
	ASSERT_EQ(ENOENT, ibv_start_poll(self->cqx, &attr));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, connect_anew(self, i));
	}
	ASSERT_EQ(0, lose_one(self, true, false));
}

/* ---- moderation ---- */

#define MAX_PERIOD_MS	65	/* of 16 bits of microseconds */

FIXTURE(moderation)
{
	struct pair pair;
	struct ibv_comp_channel *channel;	/* of ep[0]'s CQ */
};

FIXTURE_SETUP(moderation)
{
	struct ep_opts opts = ep_defaults;

	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, pair_open(&self->pair, false, SLOT));
	self->channel = ibv_create_comp_channel(self->pair.node[0].ctx);
	ASSERT_NE(NULL, self->channel);
	ASSERT_EQ(0, ep_create(&self->pair.ep[1], &self->pair.node[1], &opts));
	opts.channel = self->channel;
	ASSERT_EQ(0, ep_create(&self->pair.ep[0], &self->pair.node[0], &opts));
	ASSERT_EQ(0, pair_connect(&self->pair, &conn_defaults));
}

FIXTURE_TEARDOWN(moderation)
{
	pair_destroy(&self->pair);
	EXPECT_EQ(0, ibv_destroy_comp_channel(self->channel));
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

static int moderate(FIXTURE_DATA(moderation) *self, uint16_t count,
		    uint16_t period_us)
{
	struct ibv_modify_cq_attr attr = {
		.attr_mask = IBV_CQ_ATTR_MODERATE,
		.moderate = { .cq_count = count, .cq_period = period_us },
	};

	return ibv_modify_cq(self->pair.ep[0].cq, &attr);
}

static bool event_waits(FIXTURE_DATA(moderation) *self, int ms)
{
	struct pollfd pfd = { .fd = self->channel->fd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1;
}

static int take_event(FIXTURE_DATA(moderation) *self)
{
	struct ibv_cq *cq;
	void *context;

	if (!event_waits(self, WAIT_MS)) {
		complain("no event came");
		return -ETIMEDOUT;
	}
	if (ibv_get_cq_event(self->channel, &cq, &context))
		return -errno;
	ibv_ack_cq_events(cq, 1);
	return 0;
}

/* Operations and their completions, which are taken from the CQ. */
static int complete(FIXTURE_DATA(moderation) *self, unsigned int count)
{
	int ret = 0;

	while (count-- && !ret)
		ret = pair_write(&self->pair, self->pair.in[1].mr,
				 self->pair.in[1].data, SLOT);
	return ret;
}

/*
 * All completions but one, then that one, or @hasten instead of it. *early says
 * whether the event came before the period can have been over; none may come
 * before it while one completion is missing.
 */
static int moderated_round(FIXTURE_DATA(moderation) *self, unsigned int count,
			   bool hasten, bool *early)
{
	uint64_t begin;
	bool ready;
	int ret;

	ret = moderate(self, count, UINT16_MAX);
	if (ret || ibv_req_notify_cq(self->pair.ep[0].cq, 0))
		return -EIO;
	begin = now_ms();
	ret = complete(self, count - 1);
	ready = event_waits(self, 0);
	if (!ret && ready && now_ms() - begin < MAX_PERIOD_MS - 1) {
		complain("an event after less than %u completions", count);
		ret = -EIO;
	}
	if (!ret)
		ret = hasten ? moderate(self, 0, 0) : complete(self, 1);
	if (!ret)
		ret = take_event(self);
	*early = now_ms() - begin < MAX_PERIOD_MS - 1;
	return ret;
}

/*
 * A slow machine takes longer than the period, then a round says nothing; not
 * each time.
 */
static int moderated(FIXTURE_DATA(moderation) *self, bool hasten)
{
	unsigned int i, told = 0;
	bool early;
	int ret;

	for (i = 0; i < 10 * ROUNDS && told < ROUNDS; i++) {
		ret = moderated_round(self, 2 + i % 7, hasten, &early);
		if (ret)
			return ret;
		told += early;
	}
	if (!told)
		complain("no event came before the end of its period");
	return told ? 0 : -EIO;
}

TEST_F_TIMEOUT(moderation, by_count, LIMIT)
{
	ASSERT_EQ(0, moderated(self, false));
}

TEST_F_TIMEOUT(moderation, ends_at_once, LIMIT)
{
	ASSERT_EQ(0, moderated(self, true));
}

TEST_F_TIMEOUT(moderation, by_period, LIMIT)
{
	uint64_t begin;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, moderate(self, 1000, 20000));
		ASSERT_EQ(0, ibv_req_notify_cq(self->pair.ep[0].cq, 0));
		begin = now_ms();
		ASSERT_EQ(0, complete(self, 1 + i % 3));
		ASSERT_EQ(0, take_event(self));
		ASSERT_LE(begin + 19, now_ms());
	}
	/* the CQ is as it was created */
	ASSERT_EQ(0, moderate(self, 0, 0));
	ASSERT_EQ(0, moderated(self, false));
}

TEST_F_TIMEOUT(moderation, what_is_offered, LIMIT)
{
	struct ibv_modify_cq_attr attr = {};
	struct ibv_device_attr_ex offer;

	ASSERT_EQ(0, ibv_query_device_ex(self->pair.node[0].ctx, NULL, &offer));
	ASSERT_LT(0, offer.cq_mod_caps.max_cq_count);
	ASSERT_LT(0, offer.cq_mod_caps.max_cq_period);
	ASSERT_EQ(0, moderate(self, offer.cq_mod_caps.max_cq_count,
			      offer.cq_mod_caps.max_cq_period));
	/* nothing, and what there is not */
	ASSERT_EQ(EINVAL, ibv_modify_cq(self->pair.ep[0].cq, &attr));
	attr.attr_mask = IBV_CQ_ATTR_MODERATE << 1;
	ASSERT_EQ(EINVAL, ibv_modify_cq(self->pair.ep[0].cq, &attr));
}

TEST_HARNESS_MAIN
