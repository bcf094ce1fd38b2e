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

#include "demand.h"
#include "kselftest_harness.h"
#include "trigger-lib.h"

#define SIZE		TRIGGER_SIZE
#define LIMIT		200
#define ROUNDS		100000u

FIXTURE(trigger)
{
	struct triggered t;
};

FIXTURE_SETUP(trigger)
{
	ACCEL_REQUIRE();
	ASSERT_EQ(0, triggered_open(&self->t, false));
}

FIXTURE_TEARDOWN(trigger)
{
	if (accel_exists())
		EXPECT_EQ(0, triggered_close(&self->t));
}

/* Form (a): compute, then the store that submits what lies in the queue. */
TEST_F_TIMEOUT(trigger, work_in_the_queue, LIMIT)
{
	struct triggered *t = &self->t;
	struct pair *pair = &t->pair;
	struct svandv_trigger trigger;
	uint8_t octet;

	for (octet = 1; octet <= 100; octet++) {
		ASSERT_EQ(0, triggered_prepare(t, SIZE, IBV_SEND_SIGNALED, &trigger));
		accel_post(&t->queue, accel_fill(t->local.va, SIZE, octet));
		accel_post(&t->queue, accel_fence());
		triggered_post_ring(t, &trigger);
		accel_ring(&t->queue);
		ASSERT_EQ(0, ep_expect(&pair->ep[0], 7, IBV_WC_SUCCESS));
		ASSERT_EQ(octet, pair->in[1].data[0]);
		ASSERT_EQ(0, memcmp(pair->in[1].data, pair->in[1].data + 1,
				    SIZE - 1));
		ASSERT_EQ(0, accel_await(&t->queue, WAIT_MS));
	}
}

/*
 * Several triggers in one go, in any order: the last index counts, and no work is left
 * behind.
 */
TEST_F_TIMEOUT(trigger, triggers_in_one_go, LIMIT)
{
	static const unsigned int order[] = { 3, 7, 0, 5, 1, 6, 2, 4 };
	struct triggered *t = &self->t;
	struct pair *pair = &t->pair;
	struct svandv_trigger triggers[8];
	unsigned int round, i;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < 8; i++)
			ASSERT_EQ(0, triggered_prepare(t, 64, IBV_SEND_SIGNALED,
						       &triggers[i]));
		for (i = 0; i < 8; i++)
			triggered_post_ring(t, &triggers[order[(i + round) % 8]]);
		accel_ring(&t->queue);
		for (i = 0; i < 8; i++)
			ASSERT_EQ(0, ep_expect(&pair->ep[0], 7, IBV_WC_SUCCESS));
		ASSERT_EQ(0, accel_await(&t->queue, WAIT_MS));
	}
}

/* The memory that is sent from is absent: the send waits for it, and then comes. */
TEST_F_TIMEOUT(trigger, memory_that_is_absent, LIMIT)
{
	struct triggered *t = &self->t;
	struct pair *pair = &t->pair;
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
		*word_at(t, ONE) = octet * 0x0101010101010101ull;
		triggered_post_ring(t, &trigger);
		accel_post(&t->queue, accel_wait(t->in + SIZE - 8, word_va(t, ONE),
						 TRIGGER_WAIT_NS));
		accel_ring(&t->queue);
		ASSERT_EQ(0, accel_await(&t->queue, WAIT_MS));
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
	struct triggered *t = &self->t;
	struct pair *pair = &t->pair;
	volatile uint64_t *come = (void *)pair->in[1].data;
	uint64_t start;

	ASSERT_EQ(0, triggered_post_loop(t, 'b', ROUNDS, TRIGGER_WAIT_NS));
	start = now_ms();
	accel_ring(&t->queue);
	ASSERT_EQ(0, accel_await(&t->queue, 4 * WAIT_MS));
	printf("# %u messages in %llu ms\n", ROUNDS,
	       (unsigned long long)(now_ms() - start));
	EXPECT_EQ(ROUNDS, *come);
	EXPECT_EQ(ROUNDS, *(volatile uint64_t *)t->local.map);
	EXPECT_EQ(0, ep_expect_none(&pair->ep[0], 0));
}

/* A queue pair in error: the wait for what does not come ends by its limit. */
TEST_F_TIMEOUT(trigger, queue_pair_in_error, LIMIT)
{
	struct triggered *t = &self->t;
	struct pair *pair = &t->pair;
	struct svan_accel_cmd wait = accel_wait(t->in, word_va(t, ONE), 50000000);
	struct svandv_trigger trigger;

	*word_at(t, ONE) = 1;
	*word_at(t, STATUS) = UINT64_MAX;
	wait.flags |= SVAN_ACCEL_CMD_CONTINUE;
	wait.wait.status = svan_cpu_to_le64(word_va(t, STATUS));
	ASSERT_EQ(0, triggered_prepare(t, 8, IBV_SEND_SIGNALED, &trigger));
	ASSERT_EQ(0, ep_state(&pair->ep[0], IBV_QPS_ERR));
	triggered_post_ring(t, &trigger);
	accel_post(&t->queue, wait);
	accel_ring(&t->queue);
	ASSERT_EQ(0, accel_await(&t->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_TIMEOUT, (uint32_t)*word_at(t, STATUS));
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 7, IBV_WC_WR_FLUSH_ERR));
}

/* The page is gone, and is somebody else's: the accelerator stores nothing there. */
TEST_F_TIMEOUT(trigger, page_of_a_queue_that_is_gone, LIMIT)
{
	struct triggered *t = &self->t;
	struct pair *pair = &t->pair;
	struct ep_opts opts = ep_defaults;
	struct svandv_trigger trigger;
	uint32_t page = t->uar->page_id;

	ASSERT_EQ(0, triggered_prepare(t, 8, IBV_SEND_SIGNALED, &trigger));
	ep_destroy(&pair->ep[0]);
	ASSERT_EQ(0, svandv_free_uar(t->uar));
	t->uar = svandv_alloc_uar(pair->node[0].ctx);
	ASSERT_NE(NULL, t->uar);
	EXPECT_EQ(page, t->uar->page_id);
	opts.extended = true;
	opts.uar = t->uar;
	ASSERT_EQ(0, ep_create(&pair->ep[0], &pair->node[0], &opts));
	ASSERT_EQ(0, ep_state(&pair->ep[1], IBV_QPS_RESET));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, triggered_prepare(t, 8, IBV_SEND_SIGNALED, &trigger));

	triggered_post_ring(t, &trigger);
	accel_ring(&t->queue);
	EXPECT_EQ(-EIO, accel_await(&t->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_NOT_MAPPED, accel_queue_status(&t->queue));
	EXPECT_EQ(0, ep_expect_none(&pair->ep[0], 300));
}

/* What a window leads to can neither be read nor copied to. */
TEST_F_TIMEOUT(trigger, a_window_is_for_stores, LIMIT)
{
	struct triggered *t = &self->t;

	EXPECT_EQ(-EIO, accel_do(&t->queue, accel_copy(t->local.va, t->window, 8)));
	EXPECT_EQ(SVAN_ACCEL_NOT_PERMITTED, accel_queue_status(&t->queue));
}

TEST_HARNESS_MAIN
