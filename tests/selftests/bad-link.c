// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verified traffic of several connections between two devices for SVAN_SECONDS (10), over a
 * link that may lose, repeat and reorder what it likes: every octet of every transfer is
 * looked at, no transfer fails, none hangs, and atomics are executed once each.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "demand.h"
#include "kselftest_harness.h"

#define LANES		4
#define BATCH		4		/* transfers of a lane that are under way */
#define LENGTH		65536u		/* of a transfer, at most */
#define SECONDS		10
#define LIMIT		7200		/* the caller's limit comes first */
#define WAIT_LOST_MS	60000
#define TIMEOUT		17		/* 0.5 s, seven times again: a busy machine is no loss */
#define PER_CONNECTION	200		/* batches between two connections */

static const enum ibv_wr_opcode opcodes[] = {
	IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
	IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD,
};

struct lane {
	pthread_t thread;
	struct rng rng;
	struct text text;
	struct pair pair;
	struct ibv_comp_channel *channel[2];	/* of either end's device */
	int ret;
	uint64_t deadline;		/* ms */
	uint64_t transfers, octets, connections;
};

struct xfer {
	enum ibv_wr_opcode opcode;
	int dir;			/* ep[dir] is the requester */
	unsigned int slot;
	uint32_t at, length;		/* of the text */
	uint64_t before, operand;
};

static bool pulls(const struct xfer *x)
{
	return x->opcode == IBV_WR_RDMA_READ || x->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

static bool receives(const struct xfer *x)
{
	return op_is_send(x->opcode) || x->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

/* Where the data comes to lie, and where it comes from. */
static struct ibv_sge sink(const struct lane *lane, const struct xfer *x)
{
	return area_sge(&lane->pair.in[pulls(x) ? x->dir : !x->dir], x->slot * LENGTH,
			x->length);
}

static struct ibv_sge source(const struct lane *lane, const struct xfer *x)
{
	return area_sge(&lane->pair.out[pulls(x) ? !x->dir : x->dir], x->slot * LENGTH,
			x->length);
}

static uint8_t *at(struct ibv_sge sge)
{
	return (uint8_t *)(uintptr_t)sge.addr;
}

static void draw(struct lane *lane, struct xfer *x, unsigned int slot)
{
	struct rng *rng = &lane->rng;
	uint32_t most = rng_below(rng, 2) ? LENGTH : 4096;

	*x = (struct xfer){
		.opcode = opcodes[rng_below(rng, ARRAY_SIZE(opcodes))],
		.dir = rng_below(rng, 2), .slot = slot, .operand = rng_u64(rng),
	};
	x->length = x->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ? 8 : 1 + rng_below(rng, most);
	x->at = rng_below(rng, LENGTH);
	memcpy(at(source(lane, x)), lane->text.plain + x->at, x->length);
	memcpy(at(sink(lane, x)), lane->text.inverse + x->at, x->length);
	memcpy(&x->before, lane->text.plain + x->at, sizeof(x->before));
}

static int post(struct lane *lane, const struct xfer *x)
{
	struct ibv_sge from = source(lane, x), to = sink(lane, x);
	struct ibv_sge *local = pulls(x) ? &to : &from, *remote = pulls(x) ? &from : &to;
	struct area *areas = pulls(x) ? lane->pair.out : lane->pair.in;
	uint32_t rkey = areas[!x->dir].mr->rkey;
	struct ibv_send_wr wr = {
		.wr_id = x->slot, .sg_list = local, .num_sge = 1, .opcode = x->opcode,
		.send_flags = IBV_SEND_SIGNALED,
	};

	if (x->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = remote->addr;
		wr.wr.atomic.rkey = rkey;
		wr.wr.atomic.compare_add = x->operand;
	} else {
		wr.wr.rdma.remote_addr = remote->addr;
		wr.wr.rdma.rkey = rkey;
	}
	if (receives(x) && ep_post_recv(&lane->pair.ep[!x->dir], x->slot, remote,
					op_is_send(x->opcode)))
		return -EIO;
	return ep_post_send(&lane->pair.ep[x->dir], &wr) ? -EIO : 0;
}

/* As ep_wait(), but asleep: an hour of this leaves the CPUs to others. */
static int await(struct lane *lane, int side, struct ibv_wc *wc)
{
	uint64_t deadline = now_ms() + WAIT_LOST_MS, now;
	struct ep *ep = &lane->pair.ep[side];
	struct pollfd event = { .fd = lane->channel[side]->fd, .events = POLLIN };
	struct ibv_cq *cq;
	void *context;
	int ret;

	while (!(ret = ep_poll(ep, wc))) {
		if (ibv_req_notify_cq(ep->cq, 0))
			return -EIO;
		ret = ep_poll(ep, wc);
		now = now_ms();
		if (ret || now >= deadline)
			break;
		if (poll(&event, 1, deadline - now) == 1) {
			if (ibv_get_cq_event(lane->channel[side], &cq, &context))
				return -EIO;
			ibv_ack_cq_events(cq, 1);
		}
	}
	return ret > 0 ? 0 : ret ?: -ETIMEDOUT;
}

static int reap(struct lane *lane, const unsigned int wanted[2])
{
	struct ibv_wc wc;
	unsigned int i;
	int side, ret;

	for (side = 0; side < 2; side++) {
		for (i = 0; i < wanted[side]; i++) {
			ret = await(lane, side, &wc);
			if (!ret && wc.status)
				ret = -EIO;
			if (ret) {
				complain("completion %u of %u: %d, %s", i, wanted[side], ret,
					 ret == -EIO ? ibv_wc_status_str(wc.status) : "none");
				return ret;
			}
		}
	}
	return 0;
}

static int check(struct lane *lane, const struct xfer *x)
{
	const uint8_t *wanted = lane->text.plain + x->at;
	uint64_t after = x->before + x->operand;
	int ret = check_equal("what has arrived", at(sink(lane, x)), wanted, x->length);

	if (x->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		wanted = (const uint8_t *)&after;
	ret = ret ?: check_equal("what it was sent from", at(source(lane, x)), wanted,
				 x->length);
	if (ret)
		complain("opcode %d, %u octets, direction %d", x->opcode, x->length, x->dir);
	return ret;
}

static int batch(struct lane *lane)
{
	unsigned int n = 1 + rng_below(&lane->rng, BATCH), wanted[2] = {}, i;
	struct xfer xs[BATCH];
	int ret = 0;

	for (i = 0; i < n; i++)
		draw(lane, &xs[i], i);
	for (i = 0; !ret && i < n; i++) {
		ret = post(lane, &xs[i]);
		wanted[xs[i].dir]++;
		wanted[!xs[i].dir] += receives(&xs[i]);
	}
	ret = ret ?: reap(lane, wanted);
	for (i = 0; !ret && i < n; i++) {
		ret = check(lane, &xs[i]);
		lane->transfers++;
		lane->octets += xs[i].length;
	}
	return ret;
}

/* The life of a connection. To connect may take all the time that there is. */
static int connection(struct lane *lane)
{
	struct ep_opts opts = ep_defaults;
	struct conn conn = conn_defaults;
	int ret = 0, i;

	for (i = 0; !ret && i < 2; i++) {
		opts.channel = lane->channel[i];
		ret = ep_create(&lane->pair.ep[i], &lane->pair.node[i], &opts);
	}
	conn.timeout = TIMEOUT;
	ret = ret ?: pair_connect(&lane->pair, &conn);
	for (i = 0; !ret && i < PER_CONNECTION && (!i || now_ms() < lane->deadline); i++)
		ret = batch(lane);
	for (i = 0; !ret && i < 2; i++) {
		ret = area_check_canary(&lane->pair.in[i], -(ptrdiff_t)MARGIN, 0) ?:
		      area_check_canary(&lane->pair.in[i], BATCH * LENGTH,
					BATCH * LENGTH + MARGIN);
	}
	pair_destroy(&lane->pair);
	lane->connections++;
	return ret;
}

static void *lane_main(void *arg)
{
	struct lane *lane = arg;

	while (!lane->ret && now_ms() < lane->deadline)
		lane->ret = connection(lane);
	return NULL;
}

FIXTURE(bad_link)
{
	struct lane lanes[LANES];
};

FIXTURE_SETUP(bad_link)
{
	struct lane *lane;
	struct rng rng;
	int i, side;

	if (!device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	rng_init(&rng, "bad-link");
	for (i = 0; i < LANES; i++) {
		lane = &self->lanes[i];
		lane->rng.state = rng_u64(&rng);
		ASSERT_EQ(0, text_alloc(&lane->text, 2 * LENGTH, &rng));
		ASSERT_EQ(0, pair_open(&lane->pair, true, BATCH * LENGTH));
		for (side = 0; side < 2; side++) {
			lane->channel[side] =
				ibv_create_comp_channel(lane->pair.node[side].ctx);
			ASSERT_NE(NULL, lane->channel[side]);
		}
	}
}

FIXTURE_TEARDOWN(bad_link)
{
	int i, side;

	for (i = 0; i < LANES; i++) {
		for (side = 0; side < 2; side++) {
			if (self->lanes[i].channel[side])
				ibv_destroy_comp_channel(self->lanes[i].channel[side]);
		}
		pair_close(&self->lanes[i].pair);
		text_free(&self->lanes[i].text);
	}
}

TEST_F_TIMEOUT(bad_link, all_is_verified, LIMIT)
{
	const char *seconds = getenv("SVAN_SECONDS");
	uint64_t transfers = 0, octets = 0, connections = 0;
	int failed = 0, i;

	for (i = 0; i < LANES; i++) {
		self->lanes[i].deadline = now_ms() + 1000 * (seconds ? atoi(seconds) : SECONDS);
		ASSERT_EQ(0, pthread_create(&self->lanes[i].thread, NULL, lane_main,
					    &self->lanes[i]));
	}
	for (i = 0; i < LANES; i++) {
		ASSERT_EQ(0, pthread_join(self->lanes[i].thread, NULL));
		EXPECT_EQ(0, self->lanes[i].ret);
		failed |= self->lanes[i].ret;
		transfers += self->lanes[i].transfers;
		octets += self->lanes[i].octets;
		connections += self->lanes[i].connections;
	}
	ASSERT_LE(LANES, transfers);
	if (!failed)
		printf("# %llu transfers of %llu KiB by %llu connections, all verified\n",
		       (unsigned long long)transfers, (unsigned long long)octets >> 10,
		       (unsigned long long)connections);
}

TEST_HARNESS_MAIN
