/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit tests of kernel verbs share: a device with two QPs, and the buffer from
 * whose first half one sends and into whose second half the other receives.
 */
#ifndef SVAN_IB_KVERBS_TEST_H
#define SVAN_IB_KVERBS_TEST_H

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
	struct ib_srq *srq;		/* of both QPs, or NULL */
	struct ib_qp *qp[2];
	struct ib_ah *ah;		/* where datagrams go */
	u8 *buf;
	u64 dma;
};

static inline u8 *kv_half(struct kv *kv, int side)
{
	return kv->buf + side * KV_SIZE;
}

static inline u64 kv_half_dma(struct kv *kv, int side)
{
	return kv->dma + side * KV_SIZE;
}

static inline void kv_fill(u8 *data, size_t length, u8 seed)
{
	size_t i;

	for (i = 0; i < length; i++)
		data[i] = i * 7 + seed;
}

static inline void kv_expect_data(struct kunit *test, const u8 *data,
				  size_t length, u8 seed)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (data[i] != (u8)(i * 7 + seed))
			break;
	KUNIT_EXPECT_EQ_MSG(test, i, length, "first wrong octet");
}

/* ---- life ---- */

static inline void kv_complete(struct ib_cq *cq, void *context)
{
	struct kv *kv = context;

	complete(&kv->event);
}

static inline void kv_create_qps(struct kunit *test, struct kv *kv,
				 enum ib_qp_type type)
{
	struct ib_qp_init_attr attr = {
		.send_cq = kv->cq,
		.recv_cq = kv->cq,
		.srq = kv->srq,
		.qp_type = type,
		.sq_sig_type = IB_SIGNAL_REQ_WR,
		.cap = {
			.max_send_wr = KV_DEPTH,
			.max_recv_wr = KV_DEPTH,
			.max_send_sge = KV_SGE,
			.max_recv_sge = KV_SGE,
			.max_inline_data = KV_INLINE,
		},
	};
	int i;

	for (i = 0; i < 2; i++) {
		kv->qp[i] = ib_create_qp(kv->pd, &attr);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kv->qp[i]);
	}
}

static inline const struct ib_gid_attr *kv_gid(struct kv *kv)
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

/* The address of a GID of the device itself. It takes over the reference to the GID. */
static inline int kv_fill_ah(struct rdma_ah_attr *ah,
			     const struct ib_gid_attr *gid)
{
	union ib_gid dgid = gid->gid;

	ah->type = RDMA_AH_ATTR_TYPE_ROCE;
	rdma_ah_set_port_num(ah, KV_PORT);
	rdma_move_grh_sgid_attr(ah, &dgid, 0, 64, 0, gid);
	return rdma_read_gid_l2_fields(gid, NULL, ah->roce.dmac);
}

static inline int kv_to_state(struct ib_qp *qp, enum ib_qp_state state)
{
	struct ib_qp_attr attr = { .qp_state = state };

	return ib_modify_qp(qp, &attr, IB_QP_STATE);
}

static inline int kv_to_init(struct ib_qp *qp)
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

static inline bool kv_is_rc(const struct ib_qp *qp)
{
	return qp->qp_type == IB_QPT_RC;
}

static inline int kv_to_rtr(struct kv *kv, struct ib_qp *qp, struct ib_qp *peer)
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
	int mask = IB_QP_STATE | IB_QP_AV | IB_QP_PATH_MTU | IB_QP_DEST_QPN |
		   IB_QP_RQ_PSN;
	int err;

	if (!gid)
		return -ENODATA;

	if (kv_is_rc(qp))
		mask |= IB_QP_MAX_DEST_RD_ATOMIC | IB_QP_MIN_RNR_TIMER;
	err = kv_fill_ah(&attr.ah_attr, gid);
	if (!err)
		err = ib_modify_qp(qp, &attr, mask);
	rdma_destroy_ah_attr(&attr.ah_attr);
	return err;
}

static inline int kv_to_rts(struct ib_qp *qp)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTS,
		.sq_psn = 0xfffff0,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 4,
	};
	int mask = IB_QP_STATE | IB_QP_SQ_PSN;

	if (kv_is_rc(qp))
		mask |= IB_QP_TIMEOUT | IB_QP_RETRY_CNT | IB_QP_RNR_RETRY |
			IB_QP_MAX_QP_RD_ATOMIC;
	return ib_modify_qp(qp, &attr, mask);
}

static inline void kv_connect(struct kunit *test, struct kv *kv)
{
	int i;

	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, kv_to_init(kv->qp[i]), 0);
		KUNIT_ASSERT_EQ(test, kv_to_rtr(kv, kv->qp[i], kv->qp[!i]), 0);
		KUNIT_ASSERT_EQ(test, kv_to_rts(kv->qp[i]), 0);
	}
}

/* All but the QPs and what they share. */
static inline void kv_open(struct kunit *test)
{
	struct ib_cq_init_attr cq_attr = { .cqe = 4 * KV_DEPTH };
	struct kv *kv;

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
}

static inline void kv_close(struct kunit *test)
{
	struct kv *kv = test->priv;
	int i;

	if (!kv || !kv->ibdev)
		return;
	for (i = 0; i < 2; i++)
		if (!IS_ERR_OR_NULL(kv->qp[i]))
			ib_destroy_qp(kv->qp[i]);
	if (!IS_ERR_OR_NULL(kv->srq))
		ib_destroy_srq(kv->srq);
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
static inline void kv_wait(struct kunit *test, struct kv *kv, struct ib_wc *wc)
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

static inline void kv_expect_wc(struct kunit *test, struct kv *kv, u64 wr_id,
				enum ib_wc_status status)
{
	struct ib_wc wc;

	kv_wait(test, kv, &wc);
	KUNIT_EXPECT_EQ(test, wc.wr_id, wr_id);
	KUNIT_EXPECT_EQ_MSG(test, wc.status, status, "vendor_err %#x",
			    wc.vendor_err);
}

static inline struct ib_sge kv_sge(struct kv *kv, int side, u32 offset,
				   u32 length)
{
	return (struct ib_sge) {
		.addr = kv_half_dma(kv, side) + offset,
		.length = length,
		.lkey = kv->pd->local_dma_lkey,
	};
}

static inline void kv_recv(struct kunit *test, struct kv *kv,
			   struct ib_sge *sges, int num_sge, u64 wr_id)
{
	const struct ib_recv_wr *bad = NULL;
	struct ib_recv_wr wr = {
		.wr_id = wr_id,
		.sg_list = sges,
		.num_sge = num_sge,
	};

	KUNIT_ASSERT_EQ(test, ib_post_recv(kv->qp[1], &wr, &bad), 0);
}

static inline void kv_post(struct kunit *test, struct kv *kv,
			   struct ib_send_wr *wr)
{
	const struct ib_send_wr *bad = NULL;

	KUNIT_ASSERT_EQ(test, ib_post_send(kv->qp[0], wr, &bad), 0);
}

#endif /* SVAN_IB_KVERBS_TEST_H */
