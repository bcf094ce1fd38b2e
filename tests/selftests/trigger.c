// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work that the CPU prepares and the accelerator submits: the work request lies in the
 * send queue already (form a), or the accelerator copies it there from staging (form b).
 * What is sent lies in the accelerator's memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <infiniband/svandv.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <svan/regs.h>
#include <svan/wqe.h>

#include "accel-lib.h"
#include "demand.h"
#include "kselftest_harness.h"

#define SIZE		65536u
#define LIMIT		200
#define IOVA		0x100000ull	/* of the accelerator's memory, for the NIC */
#define ROUNDS		100000u
#define WAIT_NS		(WAIT_MS * 1000000ull)

/* Words of the staging buffer. */
enum word { DOORBELL, QPN, ONE, STATUS, WQE = 8 };

FIXTURE(trigger)
{
	struct pair pair;
	struct svandv_uar *uar;
	struct svandv_queues queues;
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf local;		/* what is sent */
	struct accel_buf staging;
	struct ibv_mr *mr;		/* of local */
	uint64_t window;		/* addresses in the context */
	uint64_t sq;
	uint64_t in;
};

static struct ibv_mr *reg_local(const struct accel_buf *local, struct ibv_pd *pd)
{
	int fd = accel_buf_export(local);
	struct ibv_mr *mr;

	if (fd < 0)
		return NULL;
	mr = ibv_reg_dmabuf_mr(pd, 0, local->size, IOVA, fd, ACCESS_ALL);
	if (!mr)
		complain("registering the accelerator's memory: %m");
	close(fd);
	return mr;
}

FIXTURE_SETUP(trigger)
{
	struct ep_opts opts = ep_defaults;
	struct pair *pair = &self->pair;

	ACCEL_REQUIRE();
	ASSERT_EQ(0, pair_open(pair, false, SIZE));
	self->uar = svandv_alloc_uar(pair->node[0].ctx);
	ASSERT_NE(NULL, self->uar);
	opts.extended = true;
	opts.max_send_wr = 8;
	opts.uar = self->uar;
	ASSERT_EQ(0, ep_create(&pair->ep[0], &pair->node[0], &opts));
	opts.uar = NULL;
	ASSERT_EQ(0, ep_create(&pair->ep[1], &pair->node[1], &opts));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, svandv_query_queues(pair->ep[0].qp, &self->queues));

	ASSERT_EQ(0, accel_open(&self->accel));
	ASSERT_EQ(0, accel_queue_create(&self->queue, &self->accel, 6));
	ASSERT_EQ(0, accel_buf_alloc(&self->local, &self->accel,
				     DRM_SVAN_ACCEL_BO_LOCAL, SIZE));
	ASSERT_EQ(0, accel_buf_alloc(&self->staging, &self->accel,
				     DRM_SVAN_ACCEL_BO_HOST, ACCEL_PAGE));
	self->mr = reg_local(&self->local, pair->node[0].pd);
	ASSERT_NE(NULL, self->mr);
	ASSERT_EQ(0, accel_import_window(&self->accel, self->uar, &self->window));
	ASSERT_EQ(0, accel_map_user(&self->accel, self->queues.buf,
				    self->queues.buf_length, true, &self->sq));
	self->sq += (uint8_t *)self->queues.sq - (uint8_t *)self->queues.buf;
	memset(pair->in[1].data, 0, SIZE);
	ASSERT_EQ(0, accel_map_user(&self->accel, pair->in[1].data, SIZE, false,
				    &self->in));
}

FIXTURE_TEARDOWN(trigger)
{
	if (!accel_exists())
		return;
	ep_destroy(&self->pair.ep[0]);
	ep_destroy(&self->pair.ep[1]);
	if (self->uar)
		EXPECT_EQ(0, svandv_free_uar(self->uar));
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	accel_queue_destroy(&self->queue);
	accel_buf_free(&self->staging);
	accel_buf_free(&self->local);
	accel_close(&self->accel);
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* ---- commands ---- */

static uint64_t word_va(const struct accel_buf *staging, enum word word)
{
	return staging->va + 8 * word;
}

static uint64_t *word(const struct accel_buf *staging, enum word word)
{
	return (uint64_t *)staging->map + word;
}

/* ---- preparing ---- */

/* An RDMA WRITE from the accelerator's memory to the same place of in[1]. */
static int prepare(struct pair *pair, const struct ibv_mr *mr, uint32_t length,
		   unsigned int flags, struct svandv_trigger *trigger)
{
	struct ibv_qp_ex *qp = pair->ep[0].qpx;

	ibv_wr_start(qp);
	qp->wr_id = 7;
	qp->wr_flags = flags;
	ibv_wr_rdma_write(qp, pair->in[1].mr->rkey, (uintptr_t)pair->in[1].data);
	ibv_wr_set_sge(qp, mr->lkey, IOVA, length);
	return svandv_prepare(qp, trigger);
}

/* Form (a): compute, then the store that submits what lies in the queue. */
TEST_F_TIMEOUT(trigger, work_in_the_queue, LIMIT)
{
	struct pair *pair = &self->pair;
	struct svandv_trigger trigger;
	uint8_t octet;

	for (octet = 1; octet <= 100; octet++) {
		ASSERT_EQ(0, prepare(pair, self->mr, SIZE, IBV_SEND_SIGNALED,
				     &trigger));
		accel_post(&self->queue, accel_fill(self->local.va, SIZE, octet));
		accel_post(&self->queue, accel_fence());
		accel_post(&self->queue, accel_store(self->window + trigger.offset,
					       trigger.value, 0));
		accel_ring(&self->queue);
		ASSERT_EQ(0, ep_expect(&pair->ep[0], 7, IBV_WC_SUCCESS));
		ASSERT_EQ(octet, pair->in[1].data[0]);
		ASSERT_EQ(0, memcmp(pair->in[1].data, pair->in[1].data + 1,
				    SIZE - 1));
		ASSERT_EQ(0, accel_await(&self->queue, WAIT_MS));
	}
}

/*
 * Several triggers in one go, in any order: the last index counts, and no work is left
 * behind.
 */
TEST_F_TIMEOUT(trigger, triggers_in_one_go, LIMIT)
{
	static const unsigned int order[] = { 3, 7, 0, 5, 1, 6, 2, 4 };
	struct pair *pair = &self->pair;
	struct svandv_trigger triggers[8];
	unsigned int round, i;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < 8; i++)
			ASSERT_EQ(0, prepare(pair, self->mr, 64,
					     IBV_SEND_SIGNALED, &triggers[i]));
		for (i = 0; i < 8; i++) {
			const struct svandv_trigger *t =
				&triggers[order[(i + round) % 8]];

			accel_post(&self->queue, accel_store(self->window + t->offset,
						       t->value, 0));
		}
		accel_ring(&self->queue);
		for (i = 0; i < 8; i++)
			ASSERT_EQ(0, ep_expect(&pair->ep[0], 7, IBV_WC_SUCCESS));
		ASSERT_EQ(0, accel_await(&self->queue, WAIT_MS));
	}
}

/* The memory that is sent from is absent: the send waits for it, and then comes. */
TEST_F_TIMEOUT(trigger, memory_that_is_absent, LIMIT)
{
	struct pair *pair = &self->pair;
	struct svandv_trigger trigger;
	struct ibv_qp_ex *qp = pair->ep[0].qpx;
	uint64_t requests = counter_of(LOCAL, "page_requests");
	struct ibv_mr *mr;
	struct mem mem;
	uint8_t octet;

	ASSERT_EQ(0, mem_map(&mem, MEM_SHARED, SIZE));
	mr = demand_reg(pair->node[0].pd, mem.map, SIZE, ACCESS_ALL);
	ASSERT_NE(NULL, mr);
	for (octet = 1; octet <= 20; octet++) {
		memset(mem.map, octet, SIZE);
		ASSERT_EQ(0, madvise(mem.map, SIZE, MADV_DONTNEED));
		ibv_wr_start(qp);
		qp->wr_id = 7;
		qp->wr_flags = IBV_SEND_SIGNALED;
		ibv_wr_rdma_write(qp, pair->in[1].mr->rkey,
				  (uintptr_t)pair->in[1].data);
		ibv_wr_set_sge(qp, mr->lkey, (uintptr_t)mem.map, SIZE);
		ASSERT_EQ(0, svandv_prepare(qp, &trigger));
		*word(&self->staging, ONE) = octet * 0x0101010101010101ull;
		accel_post(&self->queue, accel_store(self->window + trigger.offset,
					       trigger.value, 0));
		accel_post(&self->queue, accel_wait(self->in + SIZE - 8,
					       word_va(&self->staging, ONE),
					       WAIT_NS));
		accel_ring(&self->queue);
		ASSERT_EQ(0, accel_await(&self->queue, WAIT_MS));
		ASSERT_EQ(0, ep_expect(&pair->ep[0], 7, IBV_WC_SUCCESS));
		ASSERT_EQ(0, check_equal("sent", pair->in[1].data, mem.map, SIZE));
	}
	EXPECT_LE(requests + 20, counter_of(LOCAL, "page_requests"));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	mem_unmap(&mem);
}

/*
 * Form (b): the accelerator writes a count into its memory, copies the work request into
 * the send queue, rings, and waits until the count has come over. The CPU does nothing
 * meanwhile. The queue is far shorter than the number of messages, which passes 2^16.
 */
TEST_F_TIMEOUT(trigger, work_from_staging, LIMIT)
{
	struct pair *pair = &self->pair;
	struct accel_buf *staging = &self->staging;
	uint64_t count = self->local.va, start;
	struct svandv_trigger trigger;
	volatile uint64_t *come = (void *)pair->in[1].data;
	uint32_t sq_bytes = SVAN_WQEBB_SIZE << self->queues.log_sq_blocks;

	ASSERT_EQ(0, prepare(pair, self->mr, 8, 0, &trigger));
	ASSERT_EQ(0, trigger.first_block);
	memcpy(word(staging, WQE), self->queues.sq, SVAN_WQEBB_SIZE);
	ASSERT_EQ(0, svandv_cancel_prepared(pair->ep[0].qp));
	memset(self->queues.sq, 0, sq_bytes);
	*word(staging, DOORBELL) = svan_db_value(self->queues.qp_num, 0);
	*word(staging, ONE) = 1;

	accel_post(&self->queue, accel_copy_wqe(self->sq, word_va(staging, WQE), count,
					  self->queues.log_sq_blocks));
	accel_post(&self->queue, accel_add(count, word_va(staging, ONE)));
	accel_post(&self->queue, accel_set_index(word_va(staging, DOORBELL), count));
	accel_post(&self->queue, accel_fence());
	accel_post(&self->queue, accel_store(self->window + SVAN_UAR_SQ_DB,
				       word_va(staging, DOORBELL),
				       SVAN_ACCEL_CMD_INDIRECT));
	accel_post(&self->queue, accel_wait(self->in, count, WAIT_NS));
	accel_post(&self->queue, accel_loop(6, ROUNDS));
	start = now_ms();
	accel_ring(&self->queue);
	ASSERT_EQ(0, accel_await(&self->queue, 4 * WAIT_MS));
	printf("# %u messages in %llu ms\n", ROUNDS,
	       (unsigned long long)(now_ms() - start));
	EXPECT_EQ(ROUNDS, *come);
	EXPECT_EQ(ROUNDS, *(volatile uint64_t *)self->local.map);
	EXPECT_EQ(0, ep_expect_none(&pair->ep[0], 0));
}

/* A queue pair in error: the wait for what does not come ends by its limit. */
TEST_F_TIMEOUT(trigger, queue_pair_in_error, LIMIT)
{
	struct pair *pair = &self->pair;
	struct accel_buf *staging = &self->staging;
	struct svan_accel_cmd wait = accel_wait(self->in, word_va(staging, ONE), 50000000);
	struct svandv_trigger trigger;

	*word(staging, ONE) = 1;
	*word(staging, STATUS) = UINT64_MAX;
	wait.flags |= SVAN_ACCEL_CMD_CONTINUE;
	wait.wait.status = svan_cpu_to_le64(word_va(staging, STATUS));
	ASSERT_EQ(0, prepare(pair, self->mr, 8, IBV_SEND_SIGNALED, &trigger));
	ASSERT_EQ(0, ep_state(&pair->ep[0], IBV_QPS_ERR));
	accel_post(&self->queue, accel_store(self->window + trigger.offset, trigger.value,
				       0));
	accel_post(&self->queue, wait);
	accel_ring(&self->queue);
	ASSERT_EQ(0, accel_await(&self->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_TIMEOUT, (uint32_t)*word(staging, STATUS));
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 7, IBV_WC_WR_FLUSH_ERR));
}

/* The page is gone, and is somebody else's: the accelerator stores nothing there. */
TEST_F_TIMEOUT(trigger, page_of_a_queue_that_is_gone, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ep_opts opts = ep_defaults;
	struct svandv_trigger trigger;
	uint32_t page = self->uar->page_id;

	ASSERT_EQ(0, prepare(pair, self->mr, 8, IBV_SEND_SIGNALED, &trigger));
	ep_destroy(&pair->ep[0]);
	ASSERT_EQ(0, svandv_free_uar(self->uar));
	self->uar = svandv_alloc_uar(pair->node[0].ctx);
	ASSERT_NE(NULL, self->uar);
	EXPECT_EQ(page, self->uar->page_id);
	opts.extended = true;
	opts.uar = self->uar;
	ASSERT_EQ(0, ep_create(&pair->ep[0], &pair->node[0], &opts));
	ASSERT_EQ(0, ep_state(&pair->ep[1], IBV_QPS_RESET));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, prepare(pair, self->mr, 8, IBV_SEND_SIGNALED, &trigger));

	accel_post(&self->queue, accel_store(self->window + trigger.offset, trigger.value,
				       0));
	accel_ring(&self->queue);
	EXPECT_EQ(-EIO, accel_await(&self->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_NOT_MAPPED, accel_queue_status(&self->queue));
	EXPECT_EQ(0, ep_expect_none(&pair->ep[0], 300));
}

/* What a window leads to can neither be read nor copied to. */
TEST_F_TIMEOUT(trigger, a_window_is_for_stores, LIMIT)
{
	EXPECT_EQ(-EIO, accel_do(&self->queue,
				 accel_copy(self->local.va, self->window, 8)));
	EXPECT_EQ(SVAN_ACCEL_NOT_PERMITTED, accel_queue_status(&self->queue));
}

TEST_HARNESS_MAIN
