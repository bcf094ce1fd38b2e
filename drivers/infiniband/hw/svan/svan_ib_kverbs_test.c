// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the verbs that users in the kernel call. svan_0 is connected with
 * itself, and all data is verified. Without such a device the tests are skipped.
 */

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <rdma/ib_cache.h>
#include <rdma/ib_verbs.h>

#define KV_DEVICE	"svan_0"
#define KV_PORT		1
#define KV_DEPTH	8
#define KV_SGE		3
#define KV_INLINE	100
#define KV_SIZE		(64 * 1024)	/* size of each side's half of the buffer */
#define KV_TIMEOUT	(10 * HZ)

struct kv {
	struct ib_device *ibdev;
	struct ib_pd *pd;
	struct ib_mr *mr;		/* covers all memory */
	struct ib_cq *cq;
	struct completion event;
	struct ib_qp *qp[2];
	u8 *buf;
	u64 dma;
};

static u8 *kv_half(struct kv *kv, int side)
{
	return kv->buf + side * KV_SIZE;
}

static u64 kv_half_dma(struct kv *kv, int side)
{
	return kv->dma + side * KV_SIZE;
}

static void kv_fill(u8 *data, size_t length, u8 seed)
{
	size_t i;

	for (i = 0; i < length; i++)
		data[i] = i * 7 + seed;
}

static void kv_expect_data(struct kunit *test, const u8 *data, size_t length,
			   u8 seed)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (data[i] != (u8)(i * 7 + seed))
			break;
	KUNIT_EXPECT_EQ_MSG(test, i, length, "first wrong octet");
}

/* ---- life ---- */

static void kv_complete(struct ib_cq *cq, void *context)
{
	struct kv *kv = context;

	complete(&kv->event);
}

static struct ib_qp *kv_create_qp(struct kunit *test, struct kv *kv)
{
	struct ib_qp_init_attr attr = {
		.send_cq = kv->cq,
		.recv_cq = kv->cq,
		.qp_type = IB_QPT_RC,
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.cap = {
			.max_send_wr = KV_DEPTH,
			.max_recv_wr = KV_DEPTH,
			.max_send_sge = KV_SGE,
			.max_recv_sge = KV_SGE,
			.max_inline_data = KV_INLINE,
		},
	};
	struct ib_qp *qp = ib_create_qp(kv->pd, &attr);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, qp);
	return qp;
}

static const struct ib_gid_attr *kv_gid(struct kv *kv)
{
	const struct ib_gid_attr *attr;
	int i;

	for (i = 0; i < 8; i++) {
		attr = rdma_get_gid_attr(kv->ibdev, KV_PORT, i);
		if (!IS_ERR(attr))
			return attr;
	}
	return NULL;
}

static int kv_to_init(struct ib_qp *qp)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_INIT,
		.port_num = KV_PORT,
		.qp_access_flags = IB_ACCESS_REMOTE_WRITE |
				   IB_ACCESS_REMOTE_READ |
				   IB_ACCESS_REMOTE_ATOMIC,
	};

	return ib_modify_qp(qp, &attr, IB_QP_STATE | IB_QP_PORT |
			    IB_QP_PKEY_INDEX | IB_QP_ACCESS_FLAGS);
}

static int kv_to_rtr(struct kv *kv, struct ib_qp *qp, struct ib_qp *peer)
{
	const struct ib_gid_attr *gid = kv_gid(kv);
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTR,
		.path_mtu = IB_MTU_1024,
		.dest_qp_num = peer->qp_num,
		.rq_psn = 0xfffff0,
		.max_dest_rd_atomic = 4,
		.min_rnr_timer = 1,
	};
	union ib_gid dgid;
	int err;

	if (!gid)
		return -ENODATA;

	dgid = gid->gid;
	attr.ah_attr.type = RDMA_AH_ATTR_TYPE_ROCE;
	rdma_ah_set_port_num(&attr.ah_attr, KV_PORT);
	err = rdma_read_gid_l2_fields(gid, NULL, attr.ah_attr.roce.dmac);
	rdma_move_grh_sgid_attr(&attr.ah_attr, &dgid, 0, 64, 0, gid);
	if (!err)
		err = ib_modify_qp(qp, &attr, IB_QP_STATE | IB_QP_AV |
				   IB_QP_PATH_MTU | IB_QP_DEST_QPN |
				   IB_QP_RQ_PSN | IB_QP_MAX_DEST_RD_ATOMIC |
				   IB_QP_MIN_RNR_TIMER);
	rdma_destroy_ah_attr(&attr.ah_attr);
	return err;
}

static int kv_to_rts(struct ib_qp *qp)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTS,
		.sq_psn = 0xfffff0,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 4,
	};

	return ib_modify_qp(qp, &attr, IB_QP_STATE | IB_QP_SQ_PSN |
			    IB_QP_TIMEOUT | IB_QP_RETRY_CNT |
			    IB_QP_RNR_RETRY | IB_QP_MAX_QP_RD_ATOMIC);
}

static int kv_to_state(struct ib_qp *qp, enum ib_qp_state state)
{
	struct ib_qp_attr attr = { .qp_state = state };

	return ib_modify_qp(qp, &attr, IB_QP_STATE);
}

static void kv_connect(struct kunit *test, struct kv *kv)
{
	int i;

	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, kv_to_init(kv->qp[i]), 0);
		KUNIT_ASSERT_EQ(test, kv_to_rtr(kv, kv->qp[i], kv->qp[!i]), 0);
		KUNIT_ASSERT_EQ(test, kv_to_rts(kv->qp[i]), 0);
	}
}

static int kv_init(struct kunit *test)
{
	struct ib_cq_init_attr cq_attr = { .cqe = 4 * KV_DEPTH };
	struct kv *kv;
	int i;

	kv = kunit_kzalloc(test, sizeof(*kv), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, kv);
	test->priv = kv;
	init_completion(&kv->event);
	kv->ibdev = ib_device_get_by_name(KV_DEVICE, RDMA_DRIVER_UNKNOWN);
	if (!kv->ibdev)
		kunit_skip(test, "there is no " KV_DEVICE);

	kv->pd = ib_alloc_pd(kv->ibdev, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kv->pd);
	kv->mr = kv->ibdev->ops.get_dma_mr(kv->pd, IB_ACCESS_REMOTE_WRITE |
					   IB_ACCESS_REMOTE_READ |
					   IB_ACCESS_REMOTE_ATOMIC);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kv->mr);
	kv->mr->device = kv->ibdev;
	kv->cq = ib_create_cq(kv->ibdev, kv_complete, NULL, kv, &cq_attr);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kv->cq);
	kv->buf = kzalloc(2 * KV_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, kv->buf);
	kv->dma = ib_dma_map_single(kv->ibdev, kv->buf, 2 * KV_SIZE,
				    DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, ib_dma_mapping_error(kv->ibdev, kv->dma), 0);
	for (i = 0; i < 2; i++)
		kv->qp[i] = kv_create_qp(test, kv);
	kv_connect(test, kv);
	return 0;
}

static void kv_exit(struct kunit *test)
{
	struct kv *kv = test->priv;
	int i;

	if (!kv || !kv->ibdev)
		return;
	for (i = 0; i < 2; i++)
		if (!IS_ERR_OR_NULL(kv->qp[i]))
			ib_destroy_qp(kv->qp[i]);
	if (kv->dma && !ib_dma_mapping_error(kv->ibdev, kv->dma))
		ib_dma_unmap_single(kv->ibdev, kv->dma, 2 * KV_SIZE,
				    DMA_BIDIRECTIONAL);
	kfree(kv->buf);
	if (!IS_ERR_OR_NULL(kv->cq))
		ib_destroy_cq(kv->cq);
	if (!IS_ERR_OR_NULL(kv->mr))
		kv->ibdev->ops.dereg_mr(kv->mr, NULL);
	if (!IS_ERR_OR_NULL(kv->pd))
		ib_dealloc_pd(kv->pd);
	ib_device_put(kv->ibdev);
}

/* ---- work ---- */

/* Wait for one completion: poll, arm, poll again, sleep until the event. */
static void kv_wait(struct kunit *test, struct kv *kv, struct ib_wc *wc)
{
	unsigned long limit = jiffies + KV_TIMEOUT;
	int n;

	for (;;) {
		n = ib_poll_cq(kv->cq, 1, wc);
		if (n)
			break;
		reinit_completion(&kv->event);
		ib_req_notify_cq(kv->cq, IB_CQ_NEXT_COMP);
		n = ib_poll_cq(kv->cq, 1, wc);
		if (n)
			break;
		KUNIT_ASSERT_TRUE_MSG(test, time_before(jiffies, limit),
				      "no completion");
		wait_for_completion_timeout(&kv->event, KV_TIMEOUT);
	}
	KUNIT_ASSERT_EQ(test, n, 1);
}

static void kv_expect_wc(struct kunit *test, struct kv *kv, u64 wr_id,
			 enum ib_wc_status status)
{
	struct ib_wc wc;

	kv_wait(test, kv, &wc);
	KUNIT_EXPECT_EQ(test, wc.wr_id, wr_id);
	KUNIT_EXPECT_EQ_MSG(test, wc.status, status, "vendor_err %#x",
			    wc.vendor_err);
}

static struct ib_sge kv_sge(struct kv *kv, int side, u32 offset, u32 length)
{
	return (struct ib_sge) {
		.addr = kv_half_dma(kv, side) + offset,
		.length = length,
		.lkey = kv->pd->local_dma_lkey,
	};
}

static void kv_recv(struct kunit *test, struct kv *kv, struct ib_sge *sges,
		    int num_sge, u64 wr_id)
{
	const struct ib_recv_wr *bad = NULL;
	struct ib_recv_wr wr = {
		.wr_id = wr_id,
		.sg_list = sges,
		.num_sge = num_sge,
	};

	KUNIT_ASSERT_EQ(test, ib_post_recv(kv->qp[1], &wr, &bad), 0);
}

static void kv_post(struct kunit *test, struct kv *kv, struct ib_send_wr *wr)
{
	const struct ib_send_wr *bad = NULL;

	KUNIT_ASSERT_EQ(test, ib_post_send(kv->qp[0], wr, &bad), 0);
}

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
	.exit = kv_exit,
	.test_cases = kv_cases,
};

kunit_test_suite(kv_suite);

MODULE_DESCRIPTION("KUnit tests of svan_ib's kernel verbs");
MODULE_LICENSE("GPL");
