// SPDX-License-Identifier: GPL-2.0-only
/* Lanes: the traffic of one pair of queue pairs, in both directions. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "torture.h"

#define BATCH		6

static const enum ibv_wr_opcode opcodes[] = {
	IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
	IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD,
	IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
};

/* Of an atomic, `from` is where the answer goes. */
struct xfer {
	enum ibv_wr_opcode opcode;
	int dir;
	struct slot *from, *to;
	uint32_t from_at, to_at, length;
	uint64_t before, after, operand;
};

static bool is_atomic(const struct xfer *x)
{
	return x->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ||
	       x->opcode == IBV_WR_ATOMIC_CMP_AND_SWP;
}

static uint32_t draw_length(struct rng *rng, uint32_t most)
{
	uint32_t length;

	switch (rng_below(rng, 4)) {
	case 0:
		length = 1 + rng_below(rng, 64);
		break;
	case 1:
		length = 1 + rng_below(rng, 3 * PAGE);
		break;
	case 2:
		length = PAGE * (1 + rng_below(rng, 8));
		break;
	default:
		length = 1 + rng_below(rng, SLOT_SIZE);
		break;
	}
	return length < most ? length : most;
}

static void draw_atomic(struct xfer *x, struct rng *rng)
{
	x->length = 8;
	x->from_at = rng_below(rng, x->from->mem.length / 8) * 8;
	x->to_at = rng_below(rng, x->to->mem.length / 8) * 8;
	x->operand = rng_u64(rng);
	memcpy(&x->before, x->to->shadow + x->to_at, 8);
	x->after = x->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ?
		   x->before + x->operand : x->operand;
}

/* What will be overwritten may go before; a page elsewhere may be swapped out. */
static void thin_out(const struct xfer *x, struct rng *rng)
{
	uintptr_t at = (uintptr_t)x->to->mem.map + x->to_at;
	uintptr_t first = (at + PAGE - 1) / PAGE * PAGE;
	uintptr_t end = (at + x->length) / PAGE * PAGE;

	if (end > first && !is_atomic(x) && x->to->mem.kind == MEM_ANON &&
	    !rng_below(rng, 3))
		madvise((void *)first, end - first, MADV_DONTNEED);
	else if (!rng_below(rng, 3))
		madvise(x->to->mem.map, x->to->mem.length, MADV_PAGEOUT);
	if (!rng_below(rng, 4))
		madvise(x->from->mem.map, x->from->mem.length, MADV_PAGEOUT);
}

/* Claims what it needs; false: not this time. */
static bool draw_xfer(struct lane *lane, struct xfer *x)
{
	struct torture *t = lane->t;
	struct rng *rng = &lane->rng;
	bool whole;

	x->opcode = opcodes[rng_below(rng, 8)];
	x->dir = rng_below(rng, 2);
	x->to = slot_claim(t, rng, true);
	if (!x->to)
		return false;
	whole = x->to->undefined;
	x->from = slot_claim(t, rng, is_atomic(x));
	if (!x->from)
		goto not_to;
	if (x->from->undefined || (whole && (is_atomic(x) || x->to->mem.length !=
					     x->from->mem.length)))
		goto not_from;
	if (is_atomic(x)) {
		draw_atomic(x, rng);
	} else {
		x->length = whole ? x->to->mem.length :
				    draw_length(rng, SLOT_SIZE);
		x->from_at = whole ? 0 : rng_below(rng, x->from->mem.length -
						   x->length + 1);
		x->to_at = whole ? 0 : rng_below(rng, x->to->mem.length -
						 x->length + 1);
	}
	thin_out(x, rng);
	return true;

not_from:
	slot_release(t, x->from, is_atomic(x));
not_to:
	slot_release(t, x->to, true);
	return false;
}

/* ---- posting ---- */

static bool receives(const struct xfer *x)
{
	return op_is_send(x->opcode) || x->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

static int post(struct lane *lane, struct xfer *x, uint64_t id)
{
	bool pull = x->opcode == IBV_WR_RDMA_READ || is_atomic(x);
	struct slot *local = x->opcode == IBV_WR_RDMA_READ ? x->to : x->from;
	struct slot *remote = local == x->to ? x->from : x->to;
	uint32_t local_at = local == x->to ? x->to_at : x->from_at;
	uint32_t remote_at = local == x->to ? x->from_at : x->to_at;
	struct rng *rng = &lane->rng;
	struct ibv_sge sge = {
		.addr = (uintptr_t)local->mem.map + local_at,
		.length = x->length,
		.lkey = slot_key(lane->t, local, lane->node[x->dir], rng),
	}, into = {
		.addr = (uintptr_t)remote->mem.map + remote_at,
		.length = x->length,
		.lkey = slot_key(lane->t, remote, lane->node[!x->dir], rng),
	};
	struct ibv_send_wr wr = {
		.wr_id = id,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = x->opcode,
		.send_flags = IBV_SEND_SIGNALED |
			      (pull && !rng_below(rng, 4) ? IBV_SEND_FENCE : 0),
	};

	if (is_atomic(x)) {
		wr.wr.atomic.remote_addr = into.addr;
		wr.wr.atomic.rkey = into.lkey;
		wr.wr.atomic.compare_add =
			x->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ? x->operand :
								   x->before;
		wr.wr.atomic.swap = x->operand;
	} else {
		wr.wr.rdma.remote_addr = into.addr;
		wr.wr.rdma.rkey = into.lkey;
	}
	if (receives(x) && ep_post_recv(&lane->ep[!x->dir], id, &into,
					op_is_send(x->opcode)))
		return -EIO;
	return ep_post_send(&lane->ep[x->dir], &wr) ? -EIO : 0;
}

static int reap(struct lane *lane, const struct xfer *xs, unsigned int left[2])
{
	uint64_t deadline = now_ms() + 2 * PATIENCE_MS;
	struct ibv_wc wc;
	int side = 0, ret;

	while (left[0] + left[1]) {
		side = !side;
		ret = left[side] ? ep_poll(&lane->ep[side], &wc) : 0;
		if (ret < 0)
			return ret;
		if (!ret) {
			if (now_ms() > deadline) {
				complain("mode %d: %u and %u completions do not come",
					 lane->mode, left[0], left[1]);
				return -ETIMEDOUT;
			}
			sched_yield();
			continue;
		}
		left[side]--;
		if (wc.status) {
			const struct xfer *x = &xs[wc.wr_id];

			complain("mode %d, opcode %d of %u, slot %zu+0x%x to %zu+0x%x: %s (0x%x) at QP %u",
				 lane->mode, x->opcode, x->length,
				 slot_index(lane->t, x->from), x->from_at,
				 slot_index(lane->t, x->to), x->to_at,
				 ibv_wc_status_str(wc.status), wc.vendor_err,
				 wc.qp_num);
			return -EIO;
		}
	}
	return 0;
}

/* ---- what it has done ---- */

static void settle(struct lane *lane, struct xfer *x)
{
	if (is_atomic(x)) {
		memcpy(x->from->shadow + x->from_at, &x->before, 8);
		memcpy(x->to->shadow + x->to_at, &x->after, 8);
	} else {
		memcpy(x->to->shadow + x->to_at, x->from->shadow + x->from_at,
		       x->length);
		if (x->length == x->to->mem.length)
			x->to->undefined = false;
	}
	lane->transfers++;
	lane->octets += x->length;
}

static void finish(struct lane *lane, struct xfer *x)
{
	struct torture *t = lane->t;

	if (!rng_below(&lane->rng, 2))
		slot_check(t, x->to, x->to_at, x->length);
	if (!rng_below(&lane->rng, 16))
		slot_check(t, x->to, 0, x->to->mem.length);
	slot_release(t, x->from, is_atomic(x));
	slot_release(t, x->to, true);
}

/* After a failure slots stay claimed: the device may be at them still. */
static int batch(struct lane *lane)
{
	unsigned int i, n = 0, wanted = 1 + rng_below(&lane->rng, BATCH);
	struct xfer xs[BATCH];
	unsigned int left[2] = {};

	for (i = 0; i < wanted; i++)
		n += draw_xfer(lane, &xs[n]);
	for (i = 0; i < n; i++) {
		if (post(lane, &xs[i], i))
			return -EIO;
		left[xs[i].dir]++;
		left[!xs[i].dir] += receives(&xs[i]);
	}
	if (n && reap(lane, xs, left))
		return -EIO;
	for (i = 0; i < n; i++)
		settle(lane, &xs[i]);
	for (i = 0; i < n; i++)
		finish(lane, &xs[i]);
	return 0;
}

/* ---- a slot whose pages go while they are written ---- */

/* Each octet is what it was, what was written, or of a page that went: zero. */
static int check_hammered(struct torture *t, const struct xfer *x)
{
	const uint8_t *data = x->from->shadow + x->from_at;
	size_t i;

	for (i = 0; i < x->to->mem.length; i++) {
		uint8_t seen = x->to->mem.map[i];
		bool inside = i >= x->to_at && i < x->to_at + x->length;

		if (!seen || seen == x->to->shadow[i] ||
		    (inside && seen == data[i - x->to_at]))
			continue;
		complain("hammered slot %zu: octet 0x%zx is 0x%02x",
			 slot_index(t, x->to), i, seen);
		torture_fail(t);
		return -EIO;
	}
	return 0;
}

static int hammered(struct lane *lane)
{
	struct torture *t = lane->t;
	struct rng *rng = &lane->rng;
	struct xfer x = { .opcode = IBV_WR_RDMA_WRITE, .length = SLOT_SIZE };
	unsigned int left[2];
	int ret = 0, i;

	x.to = slot_claim(t, rng, true);
	if (!x.to)
		return 0;
	x.from = slot_claim(t, rng, false);
	if (x.to->mem.kind != MEM_ANON || x.to->served || !x.from)
		goto out;
	pthread_mutex_lock(&t->hammer_lock);
	ret = t->hammered ? -EBUSY : 0;
	if (!ret)
		t->hammered = x.to;
	pthread_mutex_unlock(&t->hammer_lock);
	if (ret) {
		ret = 0;
		goto out;
	}
	x.from_at = (x.from->mem.length - SLOT_SIZE) / 2;
	for (i = 0; i < 4 && !ret; i++) {
		left[0] = 1;
		left[1] = 0;
		ret = post(lane, &x, 0) ?: reap(lane, &x, left);
	}
	pthread_mutex_lock(&t->hammer_lock);
	t->hammered = NULL;
	pthread_mutex_unlock(&t->hammer_lock);
	if (ret)
		return ret;
	atomic_fetch_add(&t->done[ACT_HAMMER], 1);
	if (!x.to->undefined)
		check_hammered(t, &x);
	slot_store(x.to, 0, x.to->mem.length, rng);
out:
	if (x.from)
		slot_release(t, x.from, false);
	slot_release(t, x.to, true);
	return ret;
}

void *lane_main(void *arg)
{
	struct lane *lane = arg;
	struct torture *t = lane->t;
	int ret = 0;

	while (!ret && !atomic_load(&t->stop))
		ret = rng_below(&lane->rng, 12) ? batch(lane) : hammered(lane);
	if (ret)
		torture_fail(t);
	return NULL;
}
