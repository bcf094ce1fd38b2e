// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every octet of every operation of the RC transport: what arrives is what was
 * sent, and nothing beside it changes. Both directions, over loopback and over
 * the wire, all path MTUs, sizes up to 8 MiB, both posting interfaces.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "kselftest_harness.h"
#include "transfer.h"

#define MAX_SIZE	(8u << 20)
#define LIMIT		180		/* seconds for one test */

FIXTURE(rc)
{
	struct pair pair;
	struct ep_opts opts;
};

FIXTURE_VARIANT(rc)
{
	bool wire;
	bool extended;
};

FIXTURE_VARIANT_ADD(rc, loopback)
{
	.wire = false,
};

FIXTURE_VARIANT_ADD(rc, wire)
{
	.wire = true,
};

FIXTURE_VARIANT_ADD(rc, loopback_extended)
{
	.wire = false,
	.extended = true,
};

FIXTURE_VARIANT_ADD(rc, wire_extended)
{
	.wire = true,
	.extended = true,
};

FIXTURE_SETUP(rc)
{
	rng_init(&rng, "verify-rc");
	self->opts = ep_defaults;
	self->opts.extended = variant->extended;
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, text_alloc(&text, MAX_SIZE + SLACK, &rng));
	ASSERT_EQ(0, pair_open(&self->pair, variant->wire, MAX_SIZE + SLACK));
}

FIXTURE_TEARDOWN(rc)
{
	pair_close(&self->pair);
	text_free(&text);
}

/* ---- sizes, MTUs, pieces ---- */

TEST_F_TIMEOUT(rc, send, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_SEND, &self->opts));
}

TEST_F_TIMEOUT(rc, send_imm, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_SEND_WITH_IMM, &self->opts));
}

TEST_F_TIMEOUT(rc, write, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_RDMA_WRITE, &self->opts));
}

TEST_F_TIMEOUT(rc, write_imm, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_RDMA_WRITE_WITH_IMM,
			       &self->opts));
}

TEST_F_TIMEOUT(rc, read, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_RDMA_READ, &self->opts));
}

TEST_F_TIMEOUT(rc, inline_data, LIMIT)
{
	ASSERT_EQ(0, all_inline(&self->pair, self->opts));
}

TEST_F_TIMEOUT(rc, scatter_gather, LIMIT)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
	};

	ASSERT_EQ(0, scatter_gather(&self->pair, self->opts, opcodes));
}

/* ---- atomics ---- */

struct atomic {
	enum ibv_wr_opcode opcode;
	uint64_t compare_add, swap;
	uint64_t before, after;		/* of the remote word */
};

static int atomic_once(struct pair *pair, int dir, const struct atomic *op)
{
	uint32_t at = rng_below(&rng, 512) * 8, to = rng_below(&rng, 512) * 8;
	struct area *local = &pair->in[dir], *remote = &pair->in[!dir];
	struct ibv_sge sge = area_sge(local, to, 8);
	struct ibv_send_wr wr = {
		.wr_id = rng_u64(&rng),
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = op->opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.atomic = {
			.remote_addr = (uintptr_t)(remote->data + at),
			.compare_add = op->compare_add,
			.swap = op->swap,
			.rkey = remote->mr->rkey,
		},
	};
	int ret;

	memcpy(remote->data + at, &op->before, 8);
	ret = ep_post_send(&pair->ep[dir], &wr);
	if (ret) {
		complain("posting an atomic: %s", strerror(ret));
		return -ret;
	}
	ret = ep_expect(&pair->ep[dir], wr.wr_id, IBV_WC_SUCCESS);
	if (!ret)
		ret = check_equal("old value", local->data + to,
				  (const uint8_t *)&op->before, 8);
	if (!ret)
		ret = check_equal("new value", remote->data + at,
				  (const uint8_t *)&op->after, 8);
	if (!ret)
		ret = area_check_canary(local, -(ptrdiff_t)MARGIN, to);
	if (!ret)
		ret = area_check_canary(local, to + 8, 8192);
	if (!ret)
		ret = area_check_canary(remote, -(ptrdiff_t)MARGIN, at);
	if (!ret)
		ret = area_check_canary(remote, at + 8, 8192);
	memset(local->data + to, CANARY, 8);
	memset(remote->data + at, CANARY, 8);
	return ret;
}

static void draw_atomic(struct atomic *op)
{
	op->before = rng_u64(&rng);
	op->compare_add = rng_u64(&rng);
	op->swap = rng_u64(&rng);
	if (rng_below(&rng, 2)) {
		op->opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
		op->after = op->before + op->compare_add;
		return;
	}
	op->opcode = IBV_WR_ATOMIC_CMP_AND_SWP;
	if (rng_below(&rng, 2))
		op->compare_add = op->before;
	op->after = op->before == op->compare_add ? op->swap : op->before;
}

TEST_F_TIMEOUT(rc, atomics, LIMIT)
{
	struct atomic op;
	int i;

	if (self->pair.node[0].attr.atomic_cap == IBV_ATOMIC_NONE)
		SKIP(return, "the device has no atomics");
	ASSERT_EQ(0, start(&self->pair, &self->opts, IBV_MTU_1024));
	for (i = 0; i < 400; i++) {
		draw_atomic(&op);
		ASSERT_EQ(0, atomic_once(&self->pair, i & 1, &op));
	}
}

/* ---- many requests at once, rings that wrap, few completions ---- */

#define SLOTS		16		/* requests in flight in one direction */
#define SLOT_SIZE	32768u
#define ROUNDS		60

/* A request of a round and where its data lies. */
struct item {
	struct transfer t;
	struct layout source, sink;
	const uint8_t *data;
	struct ibv_send_wr wr;
};

static void draw_item(struct pair *pair, struct item *item, int dir,
		      unsigned int slot)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE,
		IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WR_RDMA_READ,
	};
	uint32_t at = slot * SLOT_SIZE + (dir ? SLOTS * SLOT_SIZE : 0);
	struct transfer *t = &item->t;
	uint32_t left, i, len;
	int from;

	memset(item, 0, sizeof(*item));
	t->dir = dir;
	t->opcode = opcodes[rng_below(&rng, 5)];
	t->size = rng_below(&rng, 1u << (1 + rng_below(&rng, 15)));
	t->num_local = 1 + rng_below(&rng, 16);
	t->num_remote = 1;
	item->data = text.plain + rng_below(&rng, SLACK);

	from = t->opcode == IBV_WR_RDMA_READ ? !dir : dir;
	item->source.num = item->sink.num = 1;
	item->source.sge[0] = area_sge(&pair->out[from], at, t->size);
	item->sink.sge[0] = area_sge(&pair->in[!from], at, t->size);
	paint(&item->source, item->data);

	/* the requester's side of it in pieces that touch each other */
	struct layout *local = from == dir ? &item->source : &item->sink;
	const struct area *area = from == dir ? &pair->out[from] :
						&pair->in[!from];

	local->num = t->num_local;
	for (i = 0, left = t->size; i < local->num; i++) {
		len = i + 1 < local->num ? rng_below(&rng, left + 1) : left;
		local->sge[i] = area_sge(area, at, len);
		at += len;
		left -= len;
	}
}

static int post_item(struct pair *pair, struct item *item, uint64_t wr_id,
		     bool signaled)
{
	struct transfer *t = &item->t;
	bool read = t->opcode == IBV_WR_RDMA_READ;
	struct layout *local = read ? &item->sink : &item->source;
	struct layout *remote = read ? &item->source : &item->sink;
	struct ibv_send_wr *wr = &item->wr;
	int ret;

	wr->wr_id = wr_id;
	wr->imm_data = htobe32(wr_id);
	wr->sg_list = local->sge;
	wr->num_sge = local->num;
	wr->opcode = t->opcode;
	wr->send_flags = (signaled ? IBV_SEND_SIGNALED : 0) |
			 (rng_below(&rng, 8) ? 0 : IBV_SEND_FENCE);
	wr->wr.rdma.remote_addr = remote->sge[0].addr;
	wr->wr.rdma.rkey = read ? pair->out[!t->dir].mr->rkey :
				  pair->in[!t->dir].mr->rkey;
	if (consumes_receive(t->opcode) &&
	    ep_post_recv(&pair->ep[!t->dir], ~wr_id, remote->sge, 1))
		return -EIO;
	ret = ep_post_send(&pair->ep[t->dir], wr);
	if (ret)
		complain("request %d of the round: %s", (int)wr_id,
			 strerror(ret));
	return -ret;
}

/* The next completion of either side; *side says whose. */
static int wait_either(struct pair *pair, struct ibv_wc *wc, unsigned int *side)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int ret;

	do {
		*side = !*side;
		ret = ep_wait(&pair->ep[*side], wc, 0);
	} while (ret == -ETIMEDOUT && now_ms() < deadline);
	return ret;
}

/* Reap both CQs until each requester's last request and all receives are in. */
static int reap_round(struct pair *pair, struct item items[2][SLOTS],
		      const unsigned int sends[2])
{
	unsigned int left = sends[0] + sends[1], next[2] = {}, i, d;
	struct ibv_wc wc;
	int ret;

	for (d = 0; d < 2; d++)
		for (i = 0; i < SLOTS; i++)
			left += consumes_receive(items[d][i].t.opcode);

	for (d = 0; left; left--) {
		ret = wait_either(pair, &wc, &d);
		if (ret) {
			complain("%u completions are missing", left);
			return ret;
		}
		if (wc.status != IBV_WC_SUCCESS) {
			complain("%s", ibv_wc_status_str(wc.status));
			return -EIO;
		}
		if (!(wc.opcode & IBV_WC_RECV))
			continue;
		/* receives complete in the order of the requests */
		while (!consumes_receive(items[!d][next[d]].t.opcode))
			next[d]++;
		struct item *item = &items[!d][next[d]++];

		if (wc.wr_id != ~item->wr.wr_id ||
		    check_recv_wc(&wc, &item->t, item->wr.imm_data))
			return -EIO;
	}
	return 0;
}

static int check_round(struct pair *pair, struct item items[2][SLOTS])
{
	unsigned int i, d, from;

	for (d = 0; d < 2; d++) {
		for (i = 0; i < SLOTS; i++) {
			struct item *item = &items[d][i];
			uint32_t at = i * SLOT_SIZE +
				      (d ? SLOTS * SLOT_SIZE : 0);

			from = item->t.opcode == IBV_WR_RDMA_READ ? !d : d;
			if (check_equal("slot", pair->in[!from].data + at,
					item->data, item->t.size) ||
			    area_check_canary(&pair->in[!from],
					      at + item->t.size,
					      at + SLOT_SIZE))
				return -EIO;
			memset(pair->in[!from].data + at, CANARY,
			       item->t.size);
		}
	}
	return 0;
}

static int one_round(struct pair *pair, struct item items[2][SLOTS])
{
	unsigned int sends[2] = {}, i, d;
	int ret;

	for (i = 0; i < SLOTS; i++) {
		for (d = 0; d < 2; d++) {
			bool signaled = i + 1 == SLOTS || !rng_below(&rng, 4);

			sends[d] += signaled;
			draw_item(pair, &items[d][i], d, i);
			ret = post_item(pair, &items[d][i], i, signaled);
			if (ret)
				return ret;
		}
	}
	ret = reap_round(pair, items, sends);
	return ret ? ret : check_round(pair, items);
}

TEST_F_TIMEOUT(rc, mixed, LIMIT)
{
	static struct item items[2][SLOTS];
	struct ep_opts opts = self->opts;
	enum ibv_mtu mtu = IBV_MTU_256;
	int round;

	opts.max_send_wr = SLOTS + 3;
	opts.max_recv_wr = SLOTS;
	opts.max_sge = 16;
	for (round = 0; round < ROUNDS; round++) {
		if (round % 12 == 0) {
			pair_destroy(&self->pair);
			ASSERT_EQ(0, start(&self->pair, &opts, mtu));
			if (mtu < self->pair.node[0].port.active_mtu)
				mtu++;
		}
		ASSERT_EQ(0, one_round(&self->pair, items))
			TH_LOG("round %d", round);
	}
}

TEST_HARNESS_MAIN
