// SPDX-License-Identifier: GPL-2.0-only
/* Transfers between connected queue pairs, every octet of which is verified. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "transfer.h"

struct rng rng;
struct text text;

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

void paint(const struct layout *layout, const uint8_t *data)
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

bool consumes_receive(enum ibv_wr_opcode opcode)
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

int check_recv_wc(const struct ibv_wc *wc, const struct transfer *t, __be32 imm)
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

/*
 * That a WRITE over an unreliable connection has left does not say that it is there. What
 * comes behind it says so.
 */
static int pass_behind(struct pair *pair, int dir)
{
	struct ibv_send_wr wr = {
		.wr_id = rng_u64(&rng),
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
	};

	if (ep_post_recv(&pair->ep[!dir], ~wr.wr_id, NULL, 0) ||
	    ep_post_send(&pair->ep[dir], &wr) ||
	    ep_expect(&pair->ep[dir], wr.wr_id, IBV_WC_SUCCESS))
		return -EIO;
	return ep_expect(&pair->ep[!dir], ~wr.wr_id, IBV_WC_SUCCESS);
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
	if (t->opcode == IBV_WR_RDMA_WRITE &&
	    pair->ep[t->dir].qp->qp_type == IBV_QPT_UC)
		return pass_behind(pair, t->dir);
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

int transfer(struct pair *pair, const struct transfer *t)
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
	const uint32_t max = text.size - SLACK;
	const uint32_t edges[] = {
		0, 1, 3, 5, 7, mtu - 1, mtu + 1, 2 * mtu - 1, 2 * mtu + 1,
		4095, 4097, 3 * mtu + rng_below(&rng, mtu), 65535, 65537,
		1 + rng_below(&rng, 200000), max - 1,
	};
	uint32_t i, n = 0, size;

	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		sizes[n++] = edges[i];
	for (size = 2; size <= max; size *= 2)
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

int start(struct pair *pair, const struct ep_opts *opts, enum ibv_mtu mtu)
{
	struct conn conn = conn_defaults;
	int ret;

	conn.mtu = mtu;
	ret = pair_create(pair, opts);
	if (!ret)
		ret = pair_connect(pair, &conn);
	return ret;
}

int all_sizes(struct pair *pair, enum ibv_wr_opcode opcode,
	      const struct ep_opts *opts)
{
	uint32_t sizes[MAX_SIZES], n, i;
	enum ibv_mtu mtu;
	int ret;

	for (mtu = IBV_MTU_256; mtu <= pair->node[0].port.active_mtu; mtu++) {
		if (skip_mtu(mtu, pair, opts->extended))
			continue;
		ret = start(pair, opts, mtu);
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

/* ---- inline data ---- */

static int inline_of(struct pair *pair, enum ibv_wr_opcode opcode)
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

int all_inline(struct pair *pair, struct ep_opts opts)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
	};
	unsigned int i;

	opts.max_sge = 4;
	opts.max_inline = 400;
	for (i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		if (start(pair, &opts, IBV_MTU_256) ||
		    pair->ep[0].cap.max_inline_data < opts.max_inline ||
		    inline_of(pair, opcodes[i]))
			return -EIO;
		pair_destroy(pair);
	}
	return 0;
}

/* ---- scatter and gather ---- */

static int pieces_of(struct pair *pair, uint32_t sges,
		     const enum ibv_wr_opcode opcodes[3])
{
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

int scatter_gather(struct pair *pair, struct ep_opts opts,
		   const enum ibv_wr_opcode opcodes[3])
{
	static const uint32_t counts[] = { 2, 3, 7, 16, MAX_SGE };
	enum ibv_mtu mtu = IBV_MTU_256;
	unsigned int i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		opts.max_sge = counts[i];
		if (start(pair, &opts, mtu) ||
		    pair->ep[0].cap.max_send_sge < counts[i] ||
		    pair->ep[0].cap.max_recv_sge < counts[i] ||
		    pieces_of(pair, counts[i], opcodes))
			return -EIO;
		pair_destroy(pair);
		if (mtu < pair->node[0].port.active_mtu)
			mtu++;
	}
	return 0;
}
