// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receives that the CPU prepares and the accelerator submits, by the doorbell alone: the
 * entry lies in the receive queue already (form a), or the accelerator copies it there
 * (form b). What is received lies in the accelerator's memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <infiniband/svandv.h>
#include <string.h>
#include <unistd.h>

#include <svan/regs.h>
#include <svan/wqe.h>

#include "accel-lib.h"
#include "kselftest_harness.h"

#define LIMIT		200
#define SIZE		4096u
#define IOVA		0x100000ull	/* of the accelerator's memory, for the NIC */
#define ENTRIES		8u
#define ROUNDS		100000u		/* more than 2^16 */
#define WAIT_NS		(WAIT_MS * 1000000ull)
#define SHORT_MS	50		/* in which what may not come would have come */

/* Words of the accelerator's memory: two counts, what comes, what each entry got. */
enum { COUNT = 0, COME = 8, SEEN = 16 };
/* Words of staging. */
enum { SQ_DOORBELL, RQ_DOORBELL, ONE = 4, ENTRY = 16 };

FIXTURE(refill)
{
	struct pair pair;		/* 0 sends, 1 receives */
	struct svandv_uar *uar[2];
	uint64_t window[2];		/* addresses in the context */
	struct svandv_queues queues;	/* of the receiver */
	struct svandv_comp_cntr *received;
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf local, staging;
	struct ibv_mr *mr[2];		/* of local, in both domains */
};

static volatile uint64_t *word(const struct accel_buf *buf, unsigned int n)
{
	return (volatile uint64_t *)buf->map + n;
}

static uint64_t va(const struct accel_buf *buf, unsigned int n)
{
	return buf->va + 8 * n;
}

static int reg_local(struct ibv_mr **mrs, const struct accel_buf *local, struct pair *pair)
{
	int fd = accel_buf_export(local);
	unsigned int i;

	if (fd < 0)
		return fd;
	for (i = 0; i < 2; i++)
		mrs[i] = ibv_reg_dmabuf_mr(pair->node[i].pd, 0, SIZE, IOVA, fd, ACCESS_ALL);
	close(fd);
	return mrs[0] && mrs[1] ? 0 : -errno;
}

static struct svandv_comp_cntr *count_receives(struct ep *ep)
{
	struct svandv_comp_cntr_init_attr init = {};
	struct svandv_comp_cntr_attach_attr attach = {
		.op_mask = SVANDV_COMP_CNTR_ATTACH_OP_RECV,
	};
	struct svandv_comp_cntr *counter;

	counter = svandv_create_comp_cntr(ep->node->ctx, &init);
	if (counter && svandv_qp_attach_comp_cntr(ep->qp, counter, &attach))
		complain("attaching a counter failed");
	return counter;
}

FIXTURE_SETUP(refill)
{
	struct ep_opts opts = ep_defaults;
	struct pair *pair = &self->pair;
	unsigned int i;

	ACCEL_REQUIRE();
	ASSERT_EQ(0, pair_open(pair, false, SIZE));
	ASSERT_EQ(0, accel_open(&self->accel));
	opts.extended = true;
	opts.max_send_wr = ENTRIES;
	opts.max_recv_wr = ENTRIES;
	opts.max_sge = 2;
	opts.max_inline = 0;
	for (i = 0; i < 2; i++) {
		self->uar[i] = svandv_alloc_uar(pair->node[i].ctx);
		ASSERT_NE(NULL, self->uar[i]);
		opts.uar = self->uar[i];
		opts.recv_no_cqe = i;
		ASSERT_EQ(0, ep_create(&pair->ep[i], &pair->node[i], &opts));
		ASSERT_EQ(0, accel_import_uar(&self->accel, self->uar[i],
						 &self->window[i]));
	}
	self->received = count_receives(&pair->ep[1]);
	ASSERT_NE(NULL, self->received);
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, svandv_query_queues(pair->ep[1].qp, &self->queues));
	ASSERT_EQ(6, self->queues.log_rq_stride);
	ASSERT_EQ(3, self->queues.log_rq_entries);

	ASSERT_EQ(0, accel_queue_create(&self->queue, &self->accel, 6));
	ASSERT_EQ(0, accel_buf_alloc(&self->local, &self->accel,
				     DRM_SVAN_ACCEL_BO_LOCAL, SIZE));
	ASSERT_EQ(0, accel_buf_alloc(&self->staging, &self->accel,
				     DRM_SVAN_ACCEL_BO_HOST, SIZE));
	ASSERT_EQ(0, reg_local(self->mr, &self->local, pair));
	*word(&self->staging, ONE) = 1;
	*word(&self->staging, ONE + 1) = 1;
}

FIXTURE_TEARDOWN(refill)
{
	unsigned int i;

	if (!accel_exists())
		return;
	for (i = 0; i < 2; i++) {
		ep_destroy(&self->pair.ep[i]);
		EXPECT_EQ(0, svandv_free_uar(self->uar[i]));
		EXPECT_EQ(0, ibv_dereg_mr(self->mr[i]));
	}
	EXPECT_EQ(0, svandv_destroy_comp_cntr(self->received));
	accel_queue_destroy(&self->queue);
	accel_buf_free(&self->staging);
	accel_buf_free(&self->local);
	accel_close(&self->accel);
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* ---- preparing ---- */

/* A SEND of both counts. */
static int prepare_send(FIXTURE_DATA(refill) *self, struct svandv_trigger *trigger)
{
	struct ibv_qp_ex *qp = self->pair.ep[0].qpx;

	ibv_wr_start(qp);
	qp->wr_id = 1;
	qp->wr_flags = 0;
	ibv_wr_send(qp);
	ibv_wr_set_sge(qp, self->mr[0]->lkey, IOVA + 8 * COUNT, 16);
	return svandv_prepare(qp, trigger);
}

/* Receives into COME, and into the word of each entry. */
static int prepare_recvs(FIXTURE_DATA(refill) *self, unsigned int count,
			 struct svandv_trigger *trigger)
{
	struct ibv_recv_wr wrs[ENTRIES + 1] = {}, *bad = NULL;
	struct ibv_sge sges[ENTRIES + 1][2];
	uint32_t lkey = self->mr[1]->lkey;
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		sges[i][0] = (struct ibv_sge){ IOVA + 8 * COME, 8, lkey };
		sges[i][1] = (struct ibv_sge){ IOVA + 8 * (SEEN + i), 8, lkey };
		wrs[i].wr_id = 100 + i;
		wrs[i].sg_list = sges[i];
		wrs[i].num_sge = 2;
		wrs[i].next = i + 1 < count ? &wrs[i + 1] : NULL;
	}
	ret = svandv_prepare_recv(self->pair.ep[1].qp, wrs, &bad, trigger);
	return ret == ENOMEM && bad != &wrs[ENTRIES] ? -EINVAL : ret;
}

/* ---- many rounds ---- */

/*
 * Post the loop: another receive, then another send, both submitted by doorbells alone,
 * until what was sent has come. form b: the entry is copied first, from staging to rq.
 */
static void post_rounds(FIXTURE_DATA(refill) *self, uint64_t rq)
{
	struct accel_queue *queue = &self->queue;
	struct accel_buf *staging = &self->staging;
	uint64_t count = va(&self->local, COUNT);
	uint32_t first = queue->posted;

	if (rq)
		accel_post(queue, accel_copy_wqe(rq, va(staging, ENTRY), count, 3));
	accel_post(queue, accel_add_words(count, va(staging, ONE), 2));
	accel_post(queue, accel_set_index(va(staging, RQ_DOORBELL), count));
	accel_post(queue, accel_set_index(va(staging, SQ_DOORBELL), count));
	accel_post(queue, accel_fence());
	accel_post(queue, accel_store(self->window[1] + SVAN_UAR_RQ_DB,
				      va(staging, RQ_DOORBELL),
				      SVAN_ACCEL_CMD_INDIRECT));
	accel_post(queue, accel_fence());
	accel_post(queue, accel_store(self->window[0] + SVAN_UAR_SQ_DB,
				      va(staging, SQ_DOORBELL),
				      SVAN_ACCEL_CMD_INDIRECT));
	accel_post(queue, accel_wait(va(&self->local, COME), count, WAIT_NS));
	accel_post(queue, accel_loop(queue->posted - first, ROUNDS));
	accel_post(queue, accel_fence());
}

static int run_rounds(FIXTURE_DATA(refill) *self, uint64_t rq)
{
	uint64_t start = now_ms();
	int ret;

	post_rounds(self, rq);
	accel_ring(&self->queue);
	ret = accel_await(&self->queue, 4 * WAIT_MS);
	printf("# %u messages in %llu ms\n", ROUNDS,
	       (unsigned long long)(now_ms() - start));
	if (!ret && (*word(&self->local, COME) != ROUNDS ||
		     *(volatile uint64_t *)self->received->comp_count != ROUNDS ||
		     *(volatile uint64_t *)self->received->err_count))
		ret = -EIO;
	return ret;
}

TEST_F_TIMEOUT(refill, entries_in_the_queue, LIMIT)
{
	struct svandv_trigger trigger;
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, prepare_send(self, &trigger));
	*word(&self->staging, SQ_DOORBELL) = trigger.value;
	ASSERT_EQ(0, prepare_recvs(self, ENTRIES, &trigger));
	EXPECT_EQ(self->uar[1], trigger.window);
	EXPECT_EQ(SVAN_UAR_RQ_DB, trigger.offset);
	EXPECT_EQ(8, trigger.width);
	EXPECT_EQ(0, trigger.first_block);
	EXPECT_EQ(ENTRIES, trigger.num_blocks);
	EXPECT_EQ(svan_db_value(self->queues.qp_num, ENTRIES), trigger.value);
	*word(&self->staging, RQ_DOORBELL) = trigger.value;
	ASSERT_EQ(0, run_rounds(self, 0));
	/* Each entry has taken every eighth message, and the record has said nothing. */
	for (i = 0; i < ENTRIES; i++)
		EXPECT_EQ(ROUNDS - ENTRIES + 1 + i, *word(&self->local, SEEN + i));
	EXPECT_EQ(0, ((struct svan_qp_dbr *)self->queues.dbr)->rq_pi);
}

TEST_F_TIMEOUT(refill, entries_from_staging, LIMIT)
{
	struct svandv_trigger trigger;
	unsigned int i;
	uint64_t rq;

	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, prepare_send(self, &trigger));
	*word(&self->staging, SQ_DOORBELL) = trigger.value;
	ASSERT_EQ(0, prepare_recvs(self, 1, &trigger));
	*word(&self->staging, RQ_DOORBELL) = trigger.value;
	memcpy((void *)word(&self->staging, ENTRY), self->queues.rq, SVAN_WQEBB_SIZE);
	ASSERT_EQ(0, svandv_cancel_prepared_recv(self->pair.ep[1].qp));
	memset(self->queues.rq, 0, ENTRIES * SVAN_WQEBB_SIZE);
	ASSERT_EQ(0, accel_map_user(&self->accel, self->queues.buf,
				    self->queues.buf_length, true, &rq));
	rq += (uint8_t *)self->queues.rq - (uint8_t *)self->queues.buf;
	ASSERT_EQ(0, run_rounds(self, rq));
	EXPECT_EQ(ROUNDS, *word(&self->local, SEEN));
}

/* ---- rules ---- */

TEST_F_TIMEOUT(refill, prepared_and_posted, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ep *ep = &pair->ep[1];
	struct ibv_sge in = area_sge(&pair->in[1], 0, 64);
	struct ibv_recv_wr wr = { .wr_id = 5, .sg_list = &in, .num_sge = 1 }, *bad = NULL;
	struct svandv_trigger trigger;

	ASSERT_EQ(ENOMEM, prepare_recvs(self, ENTRIES + 1, &trigger));
	ASSERT_EQ(0, ep_post_recv(ep, 4, &in, 1));
	ASSERT_EQ(0, prepare_recvs(self, 2, &trigger));
	EXPECT_EQ(1, trigger.first_block);
	EXPECT_EQ(2, trigger.num_blocks);
	EXPECT_EQ(EBUSY, ibv_post_recv(ep->qp, &wr, &bad));
	EXPECT_EQ(&wr, bad);
	ASSERT_EQ(0, svandv_cancel_prepared_recv(ep->qp));
	ASSERT_EQ(0, ep_post_recv(ep, 5, &in, 1));

	/* In the error state a trigger yields completions. */
	ASSERT_EQ(0, ep_state(ep, IBV_QPS_ERR));
	ASSERT_EQ(0, ep_expect(ep, 4, IBV_WC_WR_FLUSH_ERR));
	ASSERT_EQ(0, ep_expect(ep, 5, IBV_WC_WR_FLUSH_ERR));
	ASSERT_EQ(0, prepare_recvs(self, 2, &trigger));
	EXPECT_EQ(0, ep_expect_none(ep, SHORT_MS));
	ASSERT_EQ(0, accel_do(&self->queue,
			      accel_store(self->window[1] + trigger.offset,
					  trigger.value, 0)));
	ASSERT_EQ(0, ep_expect(ep, 100, IBV_WC_WR_FLUSH_ERR));
	ASSERT_EQ(0, ep_expect(ep, 101, IBV_WC_WR_FLUSH_ERR));
	ASSERT_EQ(0, svandv_retire_recvs(ep->qp, 3));
	EXPECT_EQ(EBUSY, svandv_cancel_prepared_recv(ep->qp));
	ASSERT_EQ(0, ep_state(ep, IBV_QPS_RESET));
	EXPECT_EQ(EINVAL, prepare_recvs(self, 1, &trigger));
	EXPECT_EQ(0, svandv_cancel_prepared_recv(ep->qp));
}

/* A queue pair without a page of its own has no trigger to give. */
TEST_F_TIMEOUT(refill, doorbells_of_the_context, LIMIT)
{
	struct ibv_recv_wr wr = {}, *bad = NULL;
	struct svandv_trigger trigger;
	struct ep ep;

	ASSERT_EQ(0, ep_create(&ep, &self->pair.node[0], &ep_defaults));
	ASSERT_EQ(0, ep_init(&ep, &conn_defaults));
	EXPECT_EQ(EINVAL, svandv_prepare_recv(ep.qp, &wr, &bad, &trigger));
	EXPECT_EQ(&wr, bad);
	EXPECT_EQ(EINVAL, svandv_cancel_prepared_recv(ep.qp));
	ep_destroy(&ep);
}

TEST_HARNESS_MAIN
