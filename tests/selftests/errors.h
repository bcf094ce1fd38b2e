/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pair that is used wrongly, in loopback and over the wire, and that must be
 * sound afterwards: the fixture of the programs about errors of RC.
 */
#ifndef SVAN_SELFTEST_ERRORS_H
#define SVAN_SELFTEST_ERRORS_H

#include <errno.h>
#include <string.h>

#include "common.h"
#include "kselftest_harness.h"

#define LIMIT		60
#define AREA		(64u << 10)
#define SHORT_MS	50	/* in which what may not come would have come */

FIXTURE(errors)
{
	struct pair pair;
	struct ep *req, *resp;
	struct area *local, *remote;	/* the requester's, the responder's */
};

FIXTURE_VARIANT(errors)
{
	bool wire;
};

FIXTURE_VARIANT_ADD(errors, loopback)
{
	.wire = false,
};

FIXTURE_VARIANT_ADD(errors, wire)
{
	.wire = true,
};

FIXTURE_SETUP(errors)
{
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, pair_open(&self->pair, variant->wire, AREA));
	self->req = &self->pair.ep[0];
	self->resp = &self->pair.ep[1];
	self->local = &self->pair.out[0];
	self->remote = &self->pair.in[1];
}

/* Whatever happened: a fresh pair of queue pairs works. */
FIXTURE_TEARDOWN(errors)
{
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* Retries are few and quick, so that their end is soon seen. */
static const struct conn quick = {
	.mtu = IBV_MTU_1024,
	.timeout = 12,		/* 17 ms */
	.retry_cnt = 1,
	.rnr_retry = 1,
	.min_rnr_timer = 1,	/* 10 us */
	.rd_atomic = 4,
	.access = ACCESS_REMOTE,
};

/* A pair in which nothing has been sent. */
static inline int start(struct pair *pair, const struct conn *conn)
{
	struct ep_opts opts = ep_defaults;
	int ret;

	opts.max_sge = 4;
	ret = pair_create(pair, &opts);
	return ret ? ret : pair_connect(pair, conn);
}

static inline struct ibv_send_wr request(enum ibv_wr_opcode opcode,
					 struct ibv_sge *sge, int num_sge)
{
	return (struct ibv_send_wr){
		.wr_id = 1,
		.sg_list = sge,
		.num_sge = num_sge,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
	};
}

/* The request of wr_id 1 ends like this and takes its QP to the error state. */
static inline int expect_request(struct ep *ep, struct ibv_send_wr *wr,
				 enum ibv_wc_status status)
{
	int ret = ep_post_send(ep, wr);

	if (ret) {
		complain("posting: %s", strerror(ret));
		return -ret;
	}
	ret = ep_expect(ep, wr->wr_id, status);
	return ret ? ret : expect_state(ep, IBV_QPS_ERR);
}

#endif /* SVAN_SELFTEST_ERRORS_H */
