/* SPDX-License-Identifier: GPL-2.0-only */
/* Datagrams from one queue pair to another, for the tests of UD. */
#ifndef SVAN_SELFTEST_UD_LIB_H
#define SVAN_SELFTEST_UD_LIB_H

#include "common.h"

#define UD_AREA		(64u << 10)
#define QKEY		0x11223344u
#define GRH		40u
#define RECV_ID		0x900u

/* Who sends to whom, and where it lands. */
struct way {
	struct ep *from, *to;
	struct area *in;			/* of UD_AREA */
	struct ibv_ah *ah;
	const union ibv_gid *sgid, *dgid;	/* as the GRH has them */
};

struct ibv_ah *create_ah(struct node *node, int gid_index,
			 const union ibv_gid *dgid);
/* A SEND whose wr_id and immediate no other has. */
struct ibv_send_wr datagram(const struct way *way, struct ibv_sge *sge, int num_sge);
/* A datagram leaves, whether it arrives or not. */
int leave(struct ep *from, struct ibv_send_wr *wr);
/*
 * Post a receive, where a datagram over IPv6 might have been before: who looks for the
 * IP version finds it nevertheless.
 */
int arm(const struct way *way, struct ibv_sge *dst, int num);
/* This one arrives, and whole; @wc: its completion. */
int arrive(const struct way *way, const struct ibv_send_wr *wr,
	   const struct ibv_sge *dst, int num, struct ibv_wc *wc);
/* All three. */
int deliver(const struct way *way, struct ibv_send_wr *wr, struct ibv_sge *dst,
	    int num);
/* To one piece of memory. */
int deliver_piece(const struct way *way, struct ibv_send_wr *wr);
/* @num pieces, with gaps, that hold at least @length octets. */
void cut(struct ibv_sge *sge, const struct area *area, int num, uint32_t length);

#endif /* SVAN_SELFTEST_UD_LIB_H */
