// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the verbs that users in the kernel call. svan_0 is connected with
 * itself, reliably or not, and all data is verified. Without such a device, or if it has no
 * unreliable connections, the tests are skipped.
 */

#include <linux/module.h>

#include "svan_ib_kverbs_test.h"

/* ---- life ---- */

static int kv_init(struct kunit *test)
{
	kv_open(test);
	kv_create_qps(test, test->priv, IB_QPT_RC);
	kv_connect(test, test->priv);
	return 0;
}

/* ---- tests ---- */

/* Both sides have several scatter/gather entries, and there is immediate data. */
static void kv_send_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge from[KV_SGE] = {
		kv_sge(kv, 0, 0, 1000), kv_sge(kv, 0, 1000, 4096),
		kv_sge(kv, 0, 5096, 10000),
	};
	struct ib_sge to[] = {
		kv_sge(kv, 1, 0, 4097), kv_sge(kv, 1, 4097, 20000),
	};
	struct ib_send_wr wr = {
		.wr_id = 1,
		.sg_list = from,
		.num_sge = ARRAY_SIZE(from),
		.opcode = IB_WR_SEND_WITH_IMM,
		.send_flags = IB_SEND_SIGNALED,
		.ex.imm_data = cpu_to_be32(0x12345678),
	};
	struct ib_wc wc;
	int i;

	kv_fill(kv_half(kv, 0), 15096, 3);
	kv_recv(test, kv, to, ARRAY_SIZE(to), 2);
	kv_post(test, kv, &wr);
	for (i = 0; i < 2; i++) {
		kv_wait(test, kv, &wc);
		KUNIT_EXPECT_EQ(test, wc.status, IB_WC_SUCCESS);
		if (wc.wr_id == 1) {
			KUNIT_EXPECT_EQ(test, wc.opcode, IB_WC_SEND);
			KUNIT_EXPECT_PTR_EQ(test, wc.qp, kv->qp[0]);
			continue;
		}
		KUNIT_EXPECT_EQ(test, wc.wr_id, 2);
		KUNIT_EXPECT_EQ(test, wc.opcode, IB_WC_RECV);
		KUNIT_EXPECT_EQ(test, wc.byte_len, 15096);
		KUNIT_EXPECT_EQ(test, wc.wc_flags, IB_WC_WITH_IMM);
		KUNIT_EXPECT_EQ(test, be32_to_cpu(wc.ex.imm_data), 0x12345678);
		KUNIT_EXPECT_PTR_EQ(test, wc.qp, kv->qp[1]);
	}
	kv_expect_data(test, kv_half(kv, 1), 15096, 3);
}

/* Go around both rings many times; few sends are signaled, some are inline. */
static void kv_wrap_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge to = kv_sge(kv, 1, 0, 256), from;
	struct ib_send_wr wr = {
		.sg_list = &from,
		.num_sge = 1,
		.opcode = IB_WR_SEND,
	};
	int i, left;

	for (i = 0; i < 20 * KV_DEPTH; i++) {
		bool inlined = i % 3 == 0, signaled = i % 4 == 3;

		kv_fill(kv_half(kv, 0), 256, i);
		memset(kv_half(kv, 1), 0, 256);
		kv_recv(test, kv, &to, 1, 1000 + i);
		from = kv_sge(kv, 0, 0, inlined ? KV_INLINE : 256);
		if (inlined)
			from.addr = (uintptr_t)kv_half(kv, 0);
		wr.wr_id = i;
		wr.send_flags = (inlined ? IB_SEND_INLINE : 0) |
				(signaled ? IB_SEND_SIGNALED : 0);
		kv_post(test, kv, &wr);
		for (left = signaled ? 2 : 1; left; left--) {
			struct ib_wc wc;

			kv_wait(test, kv, &wc);
			KUNIT_ASSERT_EQ(test, wc.status, IB_WC_SUCCESS);
			KUNIT_ASSERT_EQ(test, wc.wr_id,
					wc.opcode == IB_WC_RECV ? 1000 + i : i);
		}
		kv_expect_data(test, kv_half(kv, 1), from.length, i);
	}
}

/* SOLICITED and FENCE may be set for any request, even where they have no effect. */
static void kv_rdma_op(struct kunit *test, struct kv *kv,
		       enum ib_wr_opcode opcode, struct ib_sge *sge, u64 remote)
{
	struct ib_rdma_wr wr = {
		.wr = {
			.wr_id = opcode,
			.sg_list = sge,
			.num_sge = 1,
			.opcode = opcode,
			.send_flags = IB_SEND_SIGNALED |
				      IB_SEND_SOLICITED | IB_SEND_FENCE,
		},
		.remote_addr = remote,
		.rkey = kv->mr->rkey,
	};

	kv_post(test, kv, &wr.wr);
	kv_expect_wc(test, kv, opcode, IB_WC_SUCCESS);
}

static void kv_rdma_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge sge = kv_sge(kv, 0, 0, KV_SIZE);

	kv_fill(kv_half(kv, 0), KV_SIZE, 11);
	kv_rdma_op(test, kv, IB_WR_RDMA_WRITE, &sge, kv_half_dma(kv, 1));
	kv_expect_data(test, kv_half(kv, 1), KV_SIZE, 11);

	kv_fill(kv_half(kv, 1), KV_SIZE, 23);
	kv_rdma_op(test, kv, IB_WR_RDMA_READ, &sge, kv_half_dma(kv, 1));
	kv_expect_data(test, kv_half(kv, 0), KV_SIZE, 23);
}

static void kv_atomic_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge sge = kv_sge(kv, 0, 0, 8);
	u64 *local = (u64 *)kv_half(kv, 0), *remote = (u64 *)kv_half(kv, 1);
	struct ib_atomic_wr wr = {
		.wr = {
			.wr_id = 7,
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IB_WR_ATOMIC_FETCH_AND_ADD,
			.send_flags = IB_SEND_SIGNALED,
		},
		.remote_addr = kv_half_dma(kv, 1),
		.rkey = kv->mr->rkey,
		.compare_add = 5,
	};

	*remote = 37;
	kv_post(test, kv, &wr.wr);
	kv_expect_wc(test, kv, 7, IB_WC_SUCCESS);
	KUNIT_EXPECT_EQ(test, *local, 37);
	KUNIT_EXPECT_EQ(test, *remote, 42);

	wr.wr.opcode = IB_WR_ATOMIC_CMP_AND_SWP;
	wr.compare_add = 42;
	wr.swap = 99;
	kv_post(test, kv, &wr.wr);
	kv_expect_wc(test, kv, 7, IB_WC_SUCCESS);
	KUNIT_EXPECT_EQ(test, *local, 42);
	KUNIT_EXPECT_EQ(test, *remote, 99);
}

/* A request that cannot be posted is reported, and those before it are posted. */
static void kv_bad_wr_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge sges[KV_SGE + 1] = { kv_sge(kv, 0, 0, 8) };
	struct ib_send_wr bad_wr = {
		.sg_list = sges,
		.num_sge = KV_SGE + 1,
		.opcode = IB_WR_SEND,
	};
	struct ib_rdma_wr wr = {
		.wr = {
			.wr_id = 1,
			.next = &bad_wr,
			.sg_list = sges,
			.num_sge = 1,
			.opcode = IB_WR_RDMA_WRITE,
			.send_flags = IB_SEND_SIGNALED,
		},
		.remote_addr = kv_half_dma(kv, 1),
		.rkey = kv->mr->rkey,
	};
	const struct ib_send_wr *bad = NULL;

	KUNIT_EXPECT_EQ(test, ib_post_send(kv->qp[0], &wr.wr, &bad), -EINVAL);
	KUNIT_EXPECT_PTR_EQ(test, bad, (const struct ib_send_wr *)&bad_wr);
	kv_expect_wc(test, kv, 1, IB_WC_SUCCESS);

	bad_wr.num_sge = 1;
	bad_wr.opcode = IB_WR_LOCAL_INV;
	KUNIT_EXPECT_EQ(test, ib_post_send(kv->qp[0], &bad_wr, &bad),
			-EOPNOTSUPP);
	bad_wr.opcode = IB_WR_SEND;
	bad_wr.send_flags = IB_SEND_INLINE;
	sges[0].length = KV_INLINE + 1;
	KUNIT_EXPECT_EQ(test, ib_post_send(kv->qp[0], &bad_wr, &bad), -EINVAL);
}

/* After an error all later requests are completed as flushed. */
static void kv_error_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge sge = kv_sge(kv, 0, 0, 8);
	struct ib_rdma_wr next = {
		.wr = {
			.wr_id = 2,
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IB_WR_RDMA_WRITE,
		},
		.remote_addr = kv_half_dma(kv, 1),
		.rkey = kv->mr->rkey,
	};
	struct ib_rdma_wr wr = next;

	wr.wr.wr_id = 1;
	wr.wr.next = &next.wr;
	wr.rkey ^= 0x100;
	kv_post(test, kv, &wr.wr);
	kv_expect_wc(test, kv, 1, IB_WC_REM_ACCESS_ERR);
	kv_expect_wc(test, kv, 2, IB_WC_WR_FLUSH_ERR);

	/* Requests that are posted later are flushed, too, in both queues. */
	KUNIT_ASSERT_EQ(test, kv_to_state(kv->qp[0], IB_QPS_ERR), 0);
	next.wr.wr_id = 3;
	kv_post(test, kv, &next.wr);
	kv_expect_wc(test, kv, 3, IB_WC_WR_FLUSH_ERR);
	KUNIT_ASSERT_EQ(test, kv_to_state(kv->qp[1], IB_QPS_ERR), 0);
	kv_recv(test, kv, &sge, 1, 4);
	kv_expect_wc(test, kv, 4, IB_WC_WR_FLUSH_ERR);
}

/* Completions that were not polled are dropped when their QP is reset. */
static void kv_reset_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge sge = kv_sge(kv, 0, 0, 64);
	unsigned long limit = jiffies + KV_TIMEOUT;
	struct ib_qp_attr attr;
	struct ib_qp_init_attr init_attr;
	struct ib_wc wc;
	int i;

	for (i = 0; i < KV_DEPTH; i++)
		kv_recv(test, kv, &sge, 1, 100 + i);
	KUNIT_ASSERT_EQ(test, kv_to_state(kv->qp[1], IB_QPS_ERR), 0);
	/* The first completion shows that the device is writing them. */
	kv_expect_wc(test, kv, 100, IB_WC_WR_FLUSH_ERR);
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, kv_to_state(kv->qp[i], IB_QPS_RESET), 0);
	while (ib_poll_cq(kv->cq, 1, &wc) == 1) {
		KUNIT_EXPECT_TRUE_MSG(test, false, "wr_id %llu has survived",
				      wc.wr_id);
		KUNIT_ASSERT_TRUE(test, time_before(jiffies, limit));
	}

	KUNIT_ASSERT_EQ(test, ib_query_qp(kv->qp[0], &attr, IB_QP_STATE,
					  &init_attr), 0);
	KUNIT_EXPECT_EQ(test, attr.qp_state, IB_QPS_RESET);
	kv_connect(test, kv);
	kv_send_test(test);
}

/* Attributes that the device does not have are returned as zero. */
static void kv_query_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_qp_init_attr *init_attr;
	struct ib_qp_attr *attr;

	attr = kunit_kzalloc(test, sizeof(*attr), GFP_KERNEL);
	init_attr = kunit_kzalloc(test, sizeof(*init_attr), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, attr);
	KUNIT_ASSERT_NOT_NULL(test, init_attr);
	memset(attr, 0xa5, sizeof(*attr));
	memset(init_attr, 0xa5, sizeof(*init_attr));
	KUNIT_ASSERT_EQ(test, ib_query_qp(kv->qp[0], attr, IB_QP_STATE,
					  init_attr), 0);
	KUNIT_EXPECT_EQ(test, attr->qp_state, IB_QPS_RTS);
	KUNIT_EXPECT_EQ(test, attr->dest_qp_num, kv->qp[1]->qp_num);
	KUNIT_EXPECT_PTR_EQ(test, init_attr->send_cq, kv->cq);

	KUNIT_EXPECT_NULL(test, memchr_inv(&attr->alt_ah_attr, 0,
					   sizeof(attr->alt_ah_attr)));
	KUNIT_EXPECT_EQ(test, attr->ah_attr.static_rate, 0);
	KUNIT_EXPECT_EQ(test, attr->alt_pkey_index, 0);
	KUNIT_EXPECT_EQ(test, attr->alt_port_num, 0);
	KUNIT_EXPECT_EQ(test, attr->alt_timeout, 0);
	KUNIT_EXPECT_EQ(test, attr->en_sqd_async_notify, 0);
	KUNIT_EXPECT_EQ(test, attr->rate_limit, 0);
	KUNIT_EXPECT_NULL(test, init_attr->srq);
	KUNIT_EXPECT_EQ(test, init_attr->create_flags, 0);
	KUNIT_EXPECT_EQ(test, init_attr->port_num, 0);
}

static struct kunit_case kv_cases[] = {
	KUNIT_CASE(kv_send_test),
	KUNIT_CASE(kv_wrap_test),
	KUNIT_CASE(kv_rdma_test),
	KUNIT_CASE(kv_atomic_test),
	KUNIT_CASE(kv_bad_wr_test),
	KUNIT_CASE(kv_error_test),
	KUNIT_CASE(kv_reset_test),
	KUNIT_CASE(kv_query_test),
	{}
};

static struct kunit_suite kv_suite = {
	.name = "svan_ib_kverbs",
	.init = kv_init,
	.exit = kv_close,
	.test_cases = kv_cases,
};

/* ---- unreliable connections ---- */

static int uc_init(struct kunit *test)
{
	struct ib_qp_init_attr attr = { .qp_type = IB_QPT_UC };
	struct ib_qp *qp;
	struct kv *kv;

	kv_open(test);
	kv = test->priv;
	attr.send_cq = kv->cq;
	attr.recv_cq = kv->cq;
	qp = ib_create_qp(kv->pd, &attr);
	if (qp == ERR_PTR(-EOPNOTSUPP))
		kunit_skip(test, KV_DEVICE " has no unreliable connections");
	if (!IS_ERR(qp))
		ib_destroy_qp(qp);
	kv_create_qps(test, kv, IB_QPT_UC);
	kv_connect(test, kv);
	return 0;
}

static struct ib_rdma_wr uc_wr(struct kv *kv, enum ib_wr_opcode opcode,
			       struct ib_sge *sge)
{
	return (struct ib_rdma_wr) {
		.wr = {
			.wr_id = 1,
			.sg_list = sge,
			.num_sge = 1,
			.opcode = opcode,
			.send_flags = IB_SEND_SIGNALED,
			.ex.imm_data = cpu_to_be32(0x87654321),
		},
		.remote_addr = kv_half_dma(kv, 1),
		.rkey = kv->mr->rkey,
	};
}

/* The immediate data comes in a receive behind the data, whose sender is done earlier. */
static void uc_write_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge sge = kv_sge(kv, 0, 0, KV_SIZE);
	struct ib_rdma_wr wr = uc_wr(kv, IB_WR_RDMA_WRITE_WITH_IMM, &sge);
	struct ib_wc wc;
	int i;

	kv_fill(kv_half(kv, 0), KV_SIZE, 17);
	kv_recv(test, kv, NULL, 0, 2);
	kv_post(test, kv, &wr.wr);
	for (i = 0; i < 2; i++) {
		kv_wait(test, kv, &wc);
		KUNIT_ASSERT_EQ_MSG(test, wc.status, IB_WC_SUCCESS,
				    "vendor_err %#x", wc.vendor_err);
		if (wc.wr_id == 1) {
			KUNIT_EXPECT_EQ(test, wc.opcode, IB_WC_RDMA_WRITE);
			continue;
		}
		KUNIT_EXPECT_EQ(test, wc.wr_id, 2);
		KUNIT_EXPECT_EQ(test, wc.opcode, IB_WC_RECV_RDMA_WITH_IMM);
		KUNIT_EXPECT_EQ(test, wc.byte_len, KV_SIZE);
		KUNIT_EXPECT_EQ(test, be32_to_cpu(wc.ex.imm_data), 0x87654321);
	}
	kv_expect_data(test, kv_half(kv, 1), KV_SIZE, 17);

	/* A SEND behind a WRITE shows that the WRITE has come. */
	memset(kv_half(kv, 1), 0, KV_SIZE);
	kv_rdma_op(test, kv, IB_WR_RDMA_WRITE, &sge, kv_half_dma(kv, 1));
	kv_send_test(test);
	kv_expect_data(test, kv_half(kv, 1) + 20000, 100, (u8)(20000 * 7 + 17));
}

/* Nobody would answer. */
static void uc_bad_wr_test(struct kunit *test)
{
	static const enum ib_wr_opcode opcodes[] = {
		IB_WR_RDMA_READ, IB_WR_ATOMIC_CMP_AND_SWP,
		IB_WR_ATOMIC_FETCH_AND_ADD, IB_WR_LOCAL_INV,
	};
	struct kv *kv = test->priv;
	struct ib_sge sge = kv_sge(kv, 0, 0, 8);
	const struct ib_send_wr *bad = NULL;
	int i;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		struct ib_rdma_wr wr = uc_wr(kv, opcodes[i], &sge);

		KUNIT_EXPECT_EQ(test, ib_post_send(kv->qp[0], &wr.wr, &bad),
				-EINVAL);
		KUNIT_EXPECT_PTR_EQ(test, bad, (const struct ib_send_wr *)&wr.wr);
	}
	kv_send_test(test);
}

/*
 * A WRITE that the receiver does not permit is lost. A request that cannot be sent stops
 * the send queue until the transition to RTS.
 */
static void uc_error_test(struct kunit *test)
{
	struct kv *kv = test->priv;
	struct ib_sge sge = kv_sge(kv, 0, 0, 8), wrong = sge;
	struct ib_rdma_wr wr = uc_wr(kv, IB_WR_RDMA_WRITE, &sge);
	struct ib_rdma_wr next = uc_wr(kv, IB_WR_RDMA_WRITE, &sge);
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTS,
		.cur_qp_state = IB_QPS_SQE,
	};

	wr.rkey ^= 0x100;
	kv_post(test, kv, &wr.wr);
	kv_expect_wc(test, kv, 1, IB_WC_SUCCESS);
	kv_send_test(test);

	wrong.lkey ^= 0x100;
	wr.wr.sg_list = &wrong;
	wr.wr.next = &next.wr;
	next.wr.wr_id = 2;
	kv_post(test, kv, &wr.wr);
	kv_expect_wc(test, kv, 1, IB_WC_LOC_PROT_ERR);
	kv_expect_wc(test, kv, 2, IB_WC_WR_FLUSH_ERR);
	KUNIT_ASSERT_EQ(test, 0, ib_modify_qp(kv->qp[0], &attr, IB_QP_STATE |
					      IB_QP_CUR_STATE));
	kv_send_test(test);
}

static struct kunit_case uc_cases[] = {
	KUNIT_CASE(kv_send_test),
	KUNIT_CASE(kv_wrap_test),
	KUNIT_CASE(uc_write_test),
	KUNIT_CASE(uc_bad_wr_test),
	KUNIT_CASE(uc_error_test),
	{}
};

static struct kunit_suite uc_suite = {
	.name = "svan_ib_uc",
	.init = uc_init,
	.exit = kv_close,
	.test_cases = uc_cases,
};

kunit_test_suites(&kv_suite, &uc_suite);

MODULE_DESCRIPTION("KUnit tests of svan_ib's kernel verbs");
MODULE_LICENSE("GPL");
