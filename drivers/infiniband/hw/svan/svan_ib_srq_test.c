// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of shared receive queues of users in the kernel. Two QPs of svan_0 are
 * connected with each other and receive from one SRQ. Without such a device, or if it has
 * no shared receive queues, the tests are skipped.
 */

#include <linux/module.h>

#include "svan_ib_kverbs_test.h"

#define SRQ_LENGTH	200
#define SRQ_ID		0xabc00000000ull

static int srq_events;

static void srq_event(struct ib_event *event, void *context)
{
	struct kv *kv = context;

	if (event->event == IB_EVENT_SRQ_LIMIT_REACHED &&
	    event->element.srq == kv->srq)
		WRITE_ONCE(srq_events, srq_events + 1);
}

static int srq_init(struct kunit *test)
{
	struct ib_srq_init_attr attr = {
		.event_handler = srq_event,
		.attr = { .max_wr = KV_DEPTH - 1, .max_sge = 1 },
		.srq_type = IB_SRQT_BASIC,
	};
	struct kv *kv;

	kv_open(test);
	kv = test->priv;
	attr.srq_context = kv;
	kv->srq = ib_create_srq(kv->pd, &attr);
	if (kv->srq == ERR_PTR(-EOPNOTSUPP))
		kunit_skip(test, KV_DEVICE " has no shared receive queues");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kv->srq);
	KUNIT_ASSERT_EQ(test, attr.attr.max_wr, KV_DEPTH);
	KUNIT_ASSERT_EQ(test, attr.attr.max_sge, 1);
	kv_create_qps(test, kv, IB_QPT_RC);
	kv_connect(test, kv);
	srq_events = 0;
	return 0;
}

/* ---- work ---- */

/* An entry whose wr_id says where in the second half of the buffer it lies. */
static int srq_recv(struct kv *kv, u32 slot)
{
	struct ib_sge sge = kv_sge(kv, 1, slot * SRQ_LENGTH, SRQ_LENGTH);
	struct ib_recv_wr wr = {
		.wr_id = SRQ_ID + slot,
		.sg_list = &sge,
		.num_sge = 1,
	};
	const struct ib_recv_wr *bad = NULL;
	int err;

	err = ib_post_srq_recv(kv->srq, &wr, &bad);
	return err && bad != &wr ? -EIO : err;
}

/* From QP @side to the other one, into the entry of that slot. */
static void srq_deliver(struct kunit *test, struct kv *kv, int side, u32 slot)
{
	struct ib_sge sge = kv_sge(kv, 0, 0, SRQ_LENGTH - slot);
	struct ib_send_wr wr = {
		.wr_id = 1,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IB_WR_SEND,
		.send_flags = IB_SEND_SIGNALED,
	};
	const struct ib_send_wr *bad = NULL;
	struct ib_wc wc;
	int i;

	kv_fill(kv_half(kv, 0), SRQ_LENGTH, slot + side);
	KUNIT_ASSERT_EQ(test, ib_post_send(kv->qp[side], &wr, &bad), 0);
	for (i = 0; i < 2; i++) {
		kv_wait(test, kv, &wc);
		KUNIT_ASSERT_EQ_MSG(test, wc.status, IB_WC_SUCCESS,
				    "vendor_err %#x", wc.vendor_err);
		if (wc.opcode == IB_WC_SEND)
			continue;
		KUNIT_EXPECT_EQ(test, wc.wr_id, SRQ_ID + slot);
		KUNIT_EXPECT_EQ(test, wc.byte_len, SRQ_LENGTH - slot);
		KUNIT_EXPECT_PTR_EQ(test, wc.qp, kv->qp[!side]);
	}
	kv_expect_data(test, kv_half(kv, 1) + slot * SRQ_LENGTH,
		       SRQ_LENGTH - slot, slot + side);
}

/* ---- tests ---- */

/* Both take the entries, in the order of their messages, many times around the ring. */
static void srq_share_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	int i;

	for (i = 0; i < 5; i++)
		KUNIT_ASSERT_EQ(test, srq_recv(kv, i), 0);
	for (i = 0; i < 20 * KV_DEPTH; i++) {
		srq_deliver(test, kv, i / 3 % 2, i % 5);
		KUNIT_ASSERT_EQ(test, srq_recv(kv, i % 5), 0);
	}
}

static void srq_full_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_recv_wr wr = { .num_sge = 2 };
	const struct ib_recv_wr *bad = NULL;
	int i, round;

	KUNIT_EXPECT_EQ(test, ib_post_srq_recv(kv->srq, &wr, &bad), -EINVAL);
	KUNIT_EXPECT_PTR_EQ(test, bad, (const struct ib_recv_wr *)&wr);
	for (i = 0; i < KV_DEPTH; i++)
		KUNIT_ASSERT_EQ(test, srq_recv(kv, i), 0);
	for (round = 0; round < 3 * KV_DEPTH; round++) {
		KUNIT_ASSERT_EQ(test, srq_recv(kv, 0), -ENOMEM);
		srq_deliver(test, kv, 0, round % KV_DEPTH);
		KUNIT_ASSERT_EQ(test, srq_recv(kv, round % KV_DEPTH), 0);
	}
	wr.num_sge = 0;
	KUNIT_EXPECT_EQ(test, ib_post_recv(kv->qp[0], &wr, &bad), -EINVAL);
}

static u32 srq_limit_of(struct kunit *test, struct kv *kv)
{
	struct ib_srq_attr attr = {};

	KUNIT_ASSERT_EQ(test, ib_query_srq(kv->srq, &attr), 0);
	KUNIT_EXPECT_EQ(test, attr.max_wr, KV_DEPTH);
	KUNIT_EXPECT_EQ(test, attr.max_sge, 1);
	return attr.srq_limit;
}

/* The event comes once, when fewer than the limit are left. */
static void srq_limit_test(struct kunit *test)
{
	struct ib_srq_attr attr = { .max_wr = 2 * KV_DEPTH, .srq_limit = 3 };
	unsigned long end = jiffies + KV_TIMEOUT;
	struct kv *kv = test->priv;
	int i;

	KUNIT_EXPECT_EQ(test, ib_modify_srq(kv->srq, &attr, IB_SRQ_MAX_WR),
			-EOPNOTSUPP);
	for (i = 0; i < 5; i++)
		KUNIT_ASSERT_EQ(test, srq_recv(kv, i), 0);
	KUNIT_ASSERT_EQ(test, ib_modify_srq(kv->srq, &attr, IB_SRQ_LIMIT), 0);
	KUNIT_EXPECT_EQ(test, srq_limit_of(test, kv), 3);
	srq_deliver(test, kv, 0, 0);
	srq_deliver(test, kv, 1, 1);
	KUNIT_EXPECT_EQ(test, srq_limit_of(test, kv), 3);
	KUNIT_EXPECT_EQ(test, READ_ONCE(srq_events), 0);
	srq_deliver(test, kv, 1, 2);
	while (!READ_ONCE(srq_events) && time_before(jiffies, end))
		cond_resched();
	KUNIT_EXPECT_EQ(test, srq_limit_of(test, kv), 0);
	srq_deliver(test, kv, 1, 3);
	KUNIT_EXPECT_EQ(test, READ_ONCE(srq_events), 1);
}

/* ib_core hears that a QP takes no more. What it did not take is still there. */
static void srq_error_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	int i;

	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, srq_recv(kv, i), 0);
	srq_deliver(test, kv, 0, 0);
	KUNIT_ASSERT_EQ(test, kv_to_state(kv->qp[1], IB_QPS_ERR), 0);
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&kv->qp[1]->srq_completion,
						    KV_TIMEOUT));
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, kv_to_state(kv->qp[i], IB_QPS_RESET), 0);
	kv_connect(test, kv);
	srq_deliver(test, kv, 0, 1);
	srq_deliver(test, kv, 1, 2);
}

static struct kunit_case srq_cases[] = {
	KUNIT_CASE(srq_share_test),
	KUNIT_CASE(srq_full_test),
	KUNIT_CASE(srq_limit_test),
	KUNIT_CASE(srq_error_test),
	{}
};

static struct kunit_suite srq_suite = {
	.name = "svan_ib_srq",
	.init = srq_init,
	.exit = kv_close,
	.test_cases = srq_cases,
};

kunit_test_suite(srq_suite);

MODULE_DESCRIPTION("KUnit tests of svan_ib's shared receive queues");
MODULE_LICENSE("GPL");
