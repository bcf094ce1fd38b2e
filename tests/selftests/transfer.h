/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Transfers between connected queue pairs: what arrives is what was sent, and nothing
 * beside it changes. The text is at least SLACK longer than what is sent of it.
 */
#ifndef SVAN_SELFTEST_TRANSFER_H
#define SVAN_SELFTEST_TRANSFER_H

#include "common.h"

#define SLACK		65536u		/* room for odd offsets */

extern struct rng rng;
extern struct text text;

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

void paint(const struct layout *layout, const uint8_t *data);
bool consumes_receive(enum ibv_wr_opcode opcode);
int check_recv_wc(const struct ibv_wc *wc, const struct transfer *t, __be32 imm);
/* Post it, wait for all of its completions, and look at the memory of both sides. */
int transfer(struct pair *pair, const struct transfer *t);

/* New queue pairs, connected. */
int start(struct pair *pair, const struct ep_opts *opts, enum ibv_mtu mtu);
/* Each of these makes its own queue pairs. */
int all_sizes(struct pair *pair, enum ibv_wr_opcode opcode,
	      const struct ep_opts *opts);
int all_inline(struct pair *pair, struct ep_opts opts);
/* Pieces on the side of the requester, and of the receiver of a SEND. */
int scatter_gather(struct pair *pair, struct ep_opts opts,
		   const enum ibv_wr_opcode opcodes[3]);

#endif /* SVAN_SELFTEST_TRANSFER_H */
