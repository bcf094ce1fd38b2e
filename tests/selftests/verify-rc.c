// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every octet of every operation of the RC transport: what arrives is what was
 * sent, and nothing beside it changes. Both directions, over loopback and over
 * the wire, all path MTUs, sizes up to 8 MiB, both posting interfaces.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "common.h"
#include "kselftest_harness.h"

#define MAX_SIZE	(8u << 20)
#define SLACK		65536u		/* room for odd offsets */
#define LIMIT		180		/* seconds for one test */

static struct rng rng;
static struct text text;

/* One transfer: `size` octets from the text, laid out as these pieces. */
struct transfer {
	enum ibv_wr_opcode opcode;
	uint32_t size;
	int dir;			/* ep[dir] is the requester */
	bool inline_data;
	uint32_t num_local, num_remote;	/* pieces at the requester, at the responder */
};

struct layout {
	uint32_t num;
	uint32_t first, end;		/* extent within the area */
	struct ibv_sge sge[MAX_SGE];
};

FIXTURE(rc)
{
	struct pair pair;
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

/* ---- layouts: a message cut into pieces with canaries between them ---- */

static void cut(struct layout *layout, const struct area *area, uint32_t size,
		uint32_t num)
{
	uint32_t i, left = size, at = rng_below(&rng, 4096);

	layout->num = num;
	layout->first = at;
	for (i = 0; i < num; i++) {
		uint32_t len = left;

		if (i + 1 < num)
			len = rng_below(&rng, 2 * (left / (num - i)) + 1);
		if (len > left)
			len = left;
		layout->sge[i] = area_sge(area, at, len);
		left -= len;
		at += len;
		layout->end = at;
		at += 1 + rng_below(&rng, 63);
	}
}

static void paint(const struct layout *layout, const uint8_t *data)
{
	uint32_t i;

	for (i = 0; i < layout->num; i++) {
		memcpy((void *)(uintptr_t)layout->sge[i].addr, data,
		       layout->sge[i].length);
		data += layout->sge[i].length;
	}
}

/* The data where it belongs, and canaries everywhere around. */
static int check_layout(const char *what, const struct area *area,
			const struct layout *layout, const uint8_t *data)
{
	ptrdiff_t at = -(ptrdiff_t)MARGIN;
	uint32_t i;

	for (i = 0; i < layout->num; i++) {
		const struct ibv_sge *sge = &layout->sge[i];
		uint8_t *octets = (uint8_t *)(uintptr_t)sge->addr;

		if (check_equal(what, octets, data, sge->length) ||
		    area_check_canary(area, at, octets - area->data))
			return -EIO;
		data += sge->length;
		at = octets - area->data + sge->length;
	}
	return area_check_canary(area, at, (ptrdiff_t)layout->end + MARGIN);
}

static void restore_canary(struct area *area, const struct layout *layout)
{
	memset(area->data + layout->first, CANARY, layout->end - layout->first);
}

/* ---- one transfer ---- */

static bool consumes_receive(enum ibv_wr_opcode opcode)
{
	return opcode != IBV_WR_RDMA_WRITE && opcode != IBV_WR_RDMA_READ;
}

static bool has_imm(enum ibv_wr_opcode opcode)
{
	return opcode == IBV_WR_SEND_WITH_IMM ||
	       opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
}

static int check_send_wc(const struct ibv_wc *wc, const struct transfer *t)
{
	static const enum ibv_wc_opcode opcodes[] = {
		[IBV_WR_SEND] = IBV_WC_SEND,
		[IBV_WR_SEND_WITH_IMM] = IBV_WC_SEND,
		[IBV_WR_RDMA_WRITE] = IBV_WC_RDMA_WRITE,
		[IBV_WR_RDMA_WRITE_WITH_IMM] = IBV_WC_RDMA_WRITE,
		[IBV_WR_RDMA_READ] = IBV_WC_RDMA_READ,
	};

	if (wc->status != IBV_WC_SUCCESS || wc->opcode != opcodes[t->opcode]) {
		complain("requester: %s (vendor 0x%x), opcode %d",
			 ibv_wc_status_str(wc->status), wc->vendor_err,
			 wc->opcode);
		return -EIO;
	}
	return 0;
}

static int check_recv_wc(const struct ibv_wc *wc, const struct transfer *t,
			 __be32 imm)
{
	enum ibv_wc_opcode wanted = t->opcode == IBV_WR_RDMA_WRITE_WITH_IMM ?
				    IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV;
	unsigned int flags = has_imm(t->opcode) ? IBV_WC_WITH_IMM : 0;

	if (wc->status != IBV_WC_SUCCESS || wc->opcode != wanted ||
	    (wc->wc_flags & IBV_WC_WITH_IMM) != flags ||
	    wc->byte_len != t->size) {
		complain("responder: %s, opcode %d, flags 0x%x, %u octets",
			 ibv_wc_status_str(wc->status), wc->opcode,
			 wc->wc_flags, wc->byte_len);
		return -EIO;
	}
	if (flags && wc->imm_data != imm) {
		complain("immediate data 0x%x instead of 0x%x",
			 be32toh(wc->imm_data), be32toh(imm));
		return -EIO;
	}
	return 0;
}

static int post_receive(struct pair *pair, const struct transfer *t,
			struct layout *sink, uint64_t wr_id)
{
	if (!consumes_receive(t->opcode))
		return 0;
	if (t->opcode == IBV_WR_RDMA_WRITE_WITH_IMM)
		return ep_post_recv(&pair->ep[!t->dir], wr_id, NULL, 0);
	return ep_post_recv(&pair->ep[!t->dir], wr_id, sink->sge, sink->num);
}

static int post_request(struct pair *pair, const struct transfer *t,
			struct layout *local, const struct layout *remote,
			struct ibv_send_wr *wr)
{
	int ret;

	wr->sg_list = local->sge;
	wr->num_sge = local->num;
	wr->opcode = t->opcode;
	wr->send_flags = IBV_SEND_SIGNALED;
	if (t->inline_data)
		wr->send_flags |= IBV_SEND_INLINE;
	wr->wr.rdma.remote_addr = remote->sge[0].addr;
	wr->wr.rdma.rkey = t->opcode == IBV_WR_RDMA_READ ?
			   pair->out[!t->dir].mr->rkey :
			   pair->in[!t->dir].mr->rkey;
	ret = ep_post_send(&pair->ep[t->dir], wr);
	if (ret)
		complain("ibv_post_send: %s", strerror(ret));
	return -ret;
}

static int complete(struct pair *pair, const struct transfer *t,
		    const struct ibv_send_wr *wr)
{
	struct ibv_wc wc;

	if (ep_wait(&pair->ep[t->dir], &wc, WAIT_MS)) {
		complain("the request does not complete");
		return -ETIMEDOUT;
	}
	if (wc.wr_id != wr->wr_id || check_send_wc(&wc, t))
		return -EIO;
	if (!consumes_receive(t->opcode))
		return 0;
	if (ep_wait(&pair->ep[!t->dir], &wc, WAIT_MS)) {
		complain("the receive does not complete");
		return -ETIMEDOUT;
	}
	if (wc.wr_id != ~wr->wr_id)
		return -EIO;
	return check_recv_wc(&wc, t, wr->imm_data);
}

static int transfer(struct pair *pair, const struct transfer *t)
{
	bool read = t->opcode == IBV_WR_RDMA_READ;
	int from = read ? !t->dir : t->dir;
	struct area *src = &pair->out[from], *dst = &pair->in[!from];
	const uint32_t at = rng_below(&rng, SLACK - 8192);
	struct ibv_send_wr wr = { .wr_id = rng_u64(&rng) };
	struct layout source, sink;
	int ret;

	cut(&source, src, t->size, read ? t->num_remote : t->num_local);
	cut(&sink, dst, t->size, read ? t->num_local : t->num_remote);
	paint(&source, text.plain + at);
	paint(&sink, text.inverse + at);
	wr.imm_data = htobe32((uint32_t)wr.wr_id);

	if (post_receive(pair, t, &sink, ~wr.wr_id) ||
	    post_request(pair, t, read ? &sink : &source,
			 read ? &source : &sink, &wr))
		return -EIO;
	if (t->inline_data) {
		/* the data has left it */
		paint(&source, text.inverse + at);
		ret = complete(pair, t, &wr);
		paint(&source, text.plain + at);
	} else {
		ret = complete(pair, t, &wr);
	}
	if (!ret)
		ret = check_layout("source", src, &source, text.plain + at);
	if (!ret)
		ret = check_layout("destination", dst, &sink, text.plain + at);
	restore_canary(src, &source);
	restore_canary(dst, &sink);
	return ret;
}

static int transfer_both_ways(struct pair *pair, struct transfer t)
{
	for (t.dir = 0; t.dir < 2; t.dir++) {
		int ret = transfer(pair, &t);

		if (ret) {
			complain("opcode %d, %u octets, %u and %u pieces, direction %d",
				 t.opcode, t.size, t.num_local, t.num_remote,
				 t.dir);
			return ret;
		}
	}
	return 0;
}

/* ---- sizes and MTUs ---- */

#define MAX_SIZES	64

static uint32_t list_sizes(uint32_t mtu, uint32_t *sizes)
{
	const uint32_t edges[] = {
		0, 1, 3, 5, 7, mtu - 1, mtu + 1, 2 * mtu - 1, 2 * mtu + 1,
		4095, 4097, 3 * mtu + rng_below(&rng, mtu), 65535, 65537,
		1 + rng_below(&rng, 200000), MAX_SIZE - 1,
	};
	uint32_t i, n = 0, size;

	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		sizes[n++] = edges[i];
	for (size = 2; size <= MAX_SIZE; size *= 2)
		sizes[n++] = size;
	return n;
}

static uint32_t mtu_bytes(enum ibv_mtu mtu)
{
	return 128u << mtu;
}

/* The extended interface reaches the same code below it: two MTUs will do. */
static bool skip_mtu(enum ibv_mtu mtu, const struct pair *pair, bool extended)
{
	return extended && mtu != IBV_MTU_1024 &&
	       mtu != pair->node[0].port.active_mtu;
}

static int start(struct pair *pair, const struct ep_opts *opts,
		 enum ibv_mtu mtu)
{
	struct conn conn = conn_defaults;
	int ret;

	conn.mtu = mtu;
	ret = pair_create(pair, opts);
	if (!ret)
		ret = pair_connect(pair, &conn);
	return ret;
}

static int all_sizes(struct pair *pair, enum ibv_wr_opcode opcode,
		     bool extended)
{
	struct ep_opts opts = ep_defaults;
	uint32_t sizes[MAX_SIZES], n, i;
	enum ibv_mtu mtu;
	int ret;

	opts.extended = extended;
	for (mtu = IBV_MTU_256; mtu <= pair->node[0].port.active_mtu; mtu++) {
		if (skip_mtu(mtu, pair, extended))
			continue;
		ret = start(pair, &opts, mtu);
		if (ret)
			return ret;
		n = list_sizes(mtu_bytes(mtu), sizes);
		for (i = 0; i < n; i++) {
			struct transfer t = {
				.opcode = opcode,
				.size = sizes[i],
				.num_local = 1,
				.num_remote = 1,
			};

			ret = transfer_both_ways(pair, t);
			if (ret) {
				complain("path MTU %u", mtu_bytes(mtu));
				return ret;
			}
		}
		pair_destroy(pair);
	}
	return 0;
}

TEST_F_TIMEOUT(rc, send, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_SEND, variant->extended));
}

TEST_F_TIMEOUT(rc, send_imm, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_SEND_WITH_IMM,
			       variant->extended));
}

TEST_F_TIMEOUT(rc, write, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_RDMA_WRITE,
			       variant->extended));
}

TEST_F_TIMEOUT(rc, write_imm, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_RDMA_WRITE_WITH_IMM,
			       variant->extended));
}

TEST_F_TIMEOUT(rc, read, LIMIT)
{
	ASSERT_EQ(0, all_sizes(&self->pair, IBV_WR_RDMA_READ,
			       variant->extended));
}

/* ---- inline data ---- */

static int all_inline(struct pair *pair, enum ibv_wr_opcode opcode)
{
	uint32_t max = pair->ep[0].cap.max_inline_data, size;

	for (size = 0; size <= max; size += 1 + rng_below(&rng, 8)) {
		struct transfer t = {
			.opcode = opcode,
			.size = size,
			.inline_data = true,
			.num_local = 1 + rng_below(&rng, 4),
			.num_remote = 1,
		};
		int ret = transfer_both_ways(pair, t);

		if (ret)
			return ret;
	}
	return 0;
}

TEST_F_TIMEOUT(rc, inline_data, LIMIT)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
	};
	struct ep_opts opts = ep_defaults;
	unsigned int i;

	opts.extended = variant->extended;
	opts.max_sge = 4;
	opts.max_inline = 400;
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		ASSERT_EQ(0, start(&self->pair, &opts, IBV_MTU_256));
		ASSERT_LE(400, self->pair.ep[0].cap.max_inline_data);
		ASSERT_EQ(0, all_inline(&self->pair, opcodes[i]));
		pair_destroy(&self->pair);
	}
}

/* ---- scatter and gather ---- */

static int scatter_gather(struct pair *pair, uint32_t sges)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
	};
	int round, ret;

	for (round = 0; round < 60; round++) {
		struct transfer t = {
			.opcode = opcodes[round % 3],
			.size = rng_below(&rng, 1u << (4 + rng_below(&rng, 14))),
			.num_local = sges,
			.num_remote = 1,
		};

		if (t.opcode == IBV_WR_SEND)
			t.num_remote = 1 + rng_below(&rng, sges);
		ret = transfer_both_ways(pair, t);
		if (ret)
			return ret;
	}
	return 0;
}

TEST_F_TIMEOUT(rc, scatter_gather, LIMIT)
{
	static const uint32_t counts[] = { 2, 3, 7, 16, 30 };
	struct ep_opts opts = ep_defaults;
	enum ibv_mtu mtu = IBV_MTU_256;
	unsigned int i;

	opts.extended = variant->extended;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		ASSERT_LE(counts[i], (uint32_t)self->pair.node[0].attr.max_sge);
		opts.max_sge = counts[i];
		ASSERT_EQ(0, start(&self->pair, &opts, mtu));
		ASSERT_LE(counts[i], self->pair.ep[0].cap.max_send_sge);
		ASSERT_LE(counts[i], self->pair.ep[0].cap.max_recv_sge);
		ASSERT_EQ(0, scatter_gather(&self->pair, counts[i]));
		pair_destroy(&self->pair);
		if (mtu < self->pair.node[0].port.active_mtu)
			mtu++;
	}
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
	struct ep_opts opts = ep_defaults;
	struct atomic op;
	int i;

	if (self->pair.node[0].attr.atomic_cap == IBV_ATOMIC_NONE)
		SKIP(return, "the device has no atomics");
	opts.extended = variant->extended;
	ASSERT_EQ(0, start(&self->pair, &opts, IBV_MTU_1024));
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
	struct ep_opts opts = ep_defaults;
	enum ibv_mtu mtu = IBV_MTU_256;
	int round;

	opts.extended = variant->extended;
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
