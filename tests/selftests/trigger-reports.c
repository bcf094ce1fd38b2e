// SPDX-License-Identifier: GPL-2.0-only
/*
 * What users of device-initiated communication report, provoked; and who may ring what.
 * Documentation/triggered.rst says which test shows which.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <svan/queues.h>
#include <svan/regs.h>

#include "demand.h"
#include "kselftest_harness.h"
#include "trigger-lib.h"

#define LIMIT		200
#define SHORT_NS	100000000ull
#define QUIET_MS	300
#define RANKS		3
#define BATCH		4u		/* two of them are in the queue at most */
#define ROUNDS		20000u
#define RESETS		100

FIXTURE(reports)
{
	struct triggered t;
};

FIXTURE_SETUP(reports)
{
	ACCEL_REQUIRE();
	ASSERT_EQ(0, triggered_open(&self->t, false));
}

FIXTURE_TEARDOWN(reports)
{
	if (accel_exists())
		EXPECT_EQ(0, triggered_close(&self->t));
}

static int reconnect(struct triggered *t)
{
	return ep_state(&t->pair.ep[0], IBV_QPS_RESET) ?:
	       ep_state(&t->pair.ep[1], IBV_QPS_RESET) ?:
	       pair_connect(&t->pair, &conn_defaults);
}

/* Post a WAIT that goes on however it ends, and leaves that in word STATUS + n. */
static void post_wait(struct triggered *t, struct accel_queue *queue,
		      struct svan_accel_cmd wait, unsigned int n)
{
	*word_at(t, STATUS + n) = UINT64_MAX;
	wait.flags |= SVAN_ACCEL_CMD_CONTINUE;
	wait.wait.status = svan_cpu_to_le64(word_va(t, STATUS + n));
	accel_post(queue, wait);
	accel_post(queue, accel_fence());
}

static uint32_t status_of(struct triggered *t, unsigned int n)
{
	return *(volatile uint64_t *)word_at(t, STATUS + n);
}

/* A wait until the sum of a count, or of what has come, is at least `value`. */
static struct svan_accel_cmd wait_until(struct triggered *t, uint64_t addr, uint64_t value,
					uint64_t limit_ns)
{
	*word_at(t, ONE) = value;
	return accel_wait(addr, word_va(t, ONE), limit_ns);
}

/*
 * "An error completion is taken for 'not yet', and every rank spins." Here all that wait
 * for a send, or for what it should have caused, end when it fails, and are told.
 */
TEST_F_TIMEOUT(reports, an_error_is_not_not_yet, LIMIT)
{
	struct triggered *t = &self->t;
	struct accel_queue ranks[RANKS];
	struct svan_accel_cmd wait;
	struct svandv_trigger trigger;
	unsigned int i;
	uint64_t start;

	t->pair.in[1].mr->rkey ^= 0x100;	/* nobody's */
	ASSERT_EQ(0, triggered_prepare(t, 8, 0, &trigger));
	t->pair.in[1].mr->rkey ^= 0x100;
	for (i = 0; i < RANKS; i++) {
		ASSERT_EQ(0, accel_queue_create(&ranks[i], &t->accel, 3));
		wait = wait_until(t, i ? t->in : t->num_sent, 1, TRIGGER_WAIT_NS);
		wait.wait.errors = svan_cpu_to_le64(t->num_sent + 8);
		post_wait(t, &ranks[i], wait, i);
		accel_ring(&ranks[i]);
	}
	start = now_ms();
	triggered_post_ring(t, &trigger);
	accel_ring(&t->queue);
	for (i = 0; i < RANKS; i++) {
		ASSERT_EQ(0, accel_await(&ranks[i], WAIT_MS));
		EXPECT_EQ(SVAN_ACCEL_ERROR_COUNT, status_of(t, i));
	}
	EXPECT_GT(WAIT_MS / 4, now_ms() - start);
	EXPECT_EQ(0, ep_expect(&t->pair.ep[0], 7, IBV_WC_REM_ACCESS_ERR));
	for (i = 0; i < RANKS; i++)
		accel_queue_destroy(&ranks[i]);
}

/*
 * "The last request is never rung." The waiter's limit says so, its counts say how far it
 * has come, and the ring makes up for it later.
 */
TEST_F_TIMEOUT(reports, the_last_request_is_not_rung, LIMIT)
{
	struct triggered *t = &self->t;
	struct svandv_trigger triggers[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, triggered_prepare(t, 64, 0, &triggers[i]));
	triggered_post_ring(t, &triggers[1]);
	post_wait(t, &t->queue, wait_until(t, t->num_sent, 3, SHORT_NS), 0);
	accel_ring(&t->queue);
	ASSERT_EQ(0, accel_await(&t->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_TIMEOUT, status_of(t, 0));
	EXPECT_EQ(2, *(volatile uint64_t *)t->sent->comp_count);
	EXPECT_EQ(0, *(volatile uint64_t *)t->sent->err_count);

	triggered_post_ring(t, &triggers[2]);
	post_wait(t, &t->queue, wait_until(t, t->num_sent, 3, TRIGGER_WAIT_NS), 0);
	accel_ring(&t->queue);
	ASSERT_EQ(0, accel_await(&t->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_OK, status_of(t, 0));
}

/* Store an index into half of the record, then ring: the device looks at all of it. */
static void post_record(struct triggered *t, size_t half, uint32_t index)
{
	uint64_t record = t->sq + (uint8_t *)t->queues.dbr - (uint8_t *)t->queues.sq;
	struct svan_accel_cmd store = accel_store(record + half, index, 0);
	struct svandv_trigger nothing = {
		.offset = SVAN_UAR_SQ_DB, .value = svan_db_value(t->queues.qp_num, 0),
	};

	store.width = 4;
	accel_post(&t->queue, store);
	accel_post(&t->queue, accel_fence());
	triggered_post_ring(t, &nothing);
}

/*
 * "The wrong half of a record is written, and silently ignored." An index in the half of the
 * receive queue submits no send, which it does in the other, and the waiter is told by its
 * limit. Half a doorbell is counted by the device.
 */
TEST_F_TIMEOUT(reports, the_wrong_half, LIMIT)
{
	struct triggered *t = &self->t;
	struct svan_qp_dbr *dbr = t->queues.dbr;
	uint64_t bad = counter_of(LOCAL, "doorbells_bad_access");
	struct svandv_trigger trigger;
	struct svan_accel_cmd half;
	uint32_t index;

	ASSERT_EQ(0, triggered_prepare(t, 8, IBV_SEND_SIGNALED, &trigger));
	index = trigger.value >> SVAN_DB_INDEX_SHIFT;
	post_record(t, offsetof(struct svan_qp_dbr, rq_pi), index);
	post_wait(t, &t->queue, wait_until(t, t->in, 1, SHORT_NS), 0);
	*(uint64_t *)t->local.map = 1;
	accel_ring(&t->queue);
	ASSERT_EQ(0, accel_await(&t->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_TIMEOUT, status_of(t, 0));
	EXPECT_EQ(0, ep_expect_none(&t->pair.ep[0], 0));
	dbr->rq_pi = 0;

	half = accel_store(t->window + trigger.offset + 4, index, 0);
	half.width = 4;
	ASSERT_EQ(0, accel_do(&t->queue, half));
	EXPECT_EQ(bad + 1, counter_of(LOCAL, "doorbells_bad_access"));
	EXPECT_EQ(0, ep_expect_none(&t->pair.ep[0], 0));

	post_record(t, offsetof(struct svan_qp_dbr, sq_pi), index);
	accel_ring(&t->queue);
	EXPECT_EQ(0, ep_expect(&t->pair.ep[0], 7, IBV_WC_SUCCESS));
}

/* "The ceiling of queues is not told." There are as many as is told. */
TEST_F_TIMEOUT(reports, ceilings_are_told, LIMIT)
{
	struct triggered *t = &self->t;
	struct ibv_context *ctx = t->pair.node[0].ctx;
	struct svandv_uar_caps caps;
	struct accel_queue queues[SVAN_ACCEL_QUEUES];
	struct drm_svan_accel_queue_create more = { .ring = t->queue.memory.va };
	struct svandv_uar **uars;
	unsigned int i;

	ASSERT_EQ(SVAN_ACCEL_QUEUES, t->accel.info.queues);
	for (i = 1; i < t->accel.info.queues; i++)
		ASSERT_EQ(0, accel_queue_create(&queues[i], &t->accel, 2));
	EXPECT_EQ(-ENOSPC, accel_ioctl(&t->accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_CREATE, &more));
	for (i = 1; i < t->accel.info.queues; i++)
		accel_queue_destroy(&queues[i]);

	ASSERT_EQ(0, svandv_query_uar_caps(ctx, &caps));
	ASSERT_LT(1, caps.max_context_uars);
	uars = calloc(caps.max_context_uars, sizeof(*uars));
	for (i = 1; i < caps.max_context_uars; i++) {	/* one is ep[0]'s */
		uars[i] = svandv_alloc_uar(ctx);
		ASSERT_NE(NULL, uars[i]);
	}
	EXPECT_EQ(NULL, svandv_alloc_uar(ctx));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_LT(caps.max_context_uars, caps.max_uars);
	for (i = 1; i < caps.max_context_uars; i++)
		EXPECT_EQ(0, svandv_free_uar(uars[i]));
	free(uars);
}

/*
 * "All queues share a page of doorbells, and must take turns." Each has its own: two contexts
 * ring at the same time, as nobody tells them not to, and nothing is lost.
 */
TEST_F_TIMEOUT(reports, pages_are_not_shared, LIMIT)
{
	struct triggered *t[2] = { &self->t, calloc(1, sizeof(*t[1])) };
	uint64_t start;
	int i;

	ASSERT_EQ(0, triggered_open(t[1], false));
	EXPECT_NE(t[0]->uar->page_id, t[1]->uar->page_id);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, triggered_post_loop(t[i], "ab"[i], ROUNDS, TRIGGER_WAIT_NS));
	start = now_ms();
	for (i = 0; i < 2; i++)
		accel_ring(&t[i]->queue);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, accel_await(&t[i]->queue, WAIT_MS));
		EXPECT_EQ(ROUNDS, *(volatile uint64_t *)t[i]->pair.in[1].data);
	}
	printf("# two times %u messages in %llu ms\n", ROUNDS,
	       (unsigned long long)(now_ms() - start));
	EXPECT_EQ(0, triggered_close(t[1]));
	free(t[1]);
}

/* ---- an error query that races with set-up ---- */

struct asker {
	struct triggered *t;
	bool (*is_wrong)(struct triggered *t);
	bool stop;
	unsigned int asked, wrong;
	pthread_t thread;
};

static bool accel_is_wrong(struct triggered *t)
{
	struct drm_svan_accel_fault fault;

	memset(&fault, 0xff, sizeof(fault));
	return accel_ioctl(&t->accel, DRM_IOCTL_SVAN_ACCEL_FAULT, &fault) ||
	       fault.state != SVAN_ACCEL_CTX_RUNNING || fault.status;
}

static bool nic_is_wrong(struct triggered *t)
{
	return wait_async(&t->pair.node[0], 0) != -ETIMEDOUT ||
	       ep_query_state(&t->pair.ep[1]) != IBV_QPS_RTS;
}

/* Nothing is wrong at any time. */
static void *ask(void *arg)
{
	struct asker *asker = arg;

	while (!__atomic_load_n(&asker->stop, __ATOMIC_RELAXED)) {
		asker->wrong += asker->is_wrong(asker->t);
		asker->asked++;
	}
	return NULL;
}

/* A context that is made anew is off for a moment, which nobody may see. */
static int reset_often(struct triggered *t)
{
	struct drm_svan_accel_reset_context reset = {};
	int i, ret = 0;

	for (i = 0; !ret && i < RESETS; i++)
		ret = accel_ioctl(&t->accel, DRM_IOCTL_SVAN_ACCEL_RESET_CONTEXT, &reset);
	return ret;
}

static int set_up_and_work(struct triggered *t)
{
	struct ep_opts opts = ep_defaults;
	struct accel_queue queue;
	uint64_t va;
	struct ep eps[2];
	int ret;

	opts.extended = true;
	opts.uar = svandv_alloc_uar(t->pair.node[0].ctx);
	if (!opts.uar)
		return -errno;
	ret = ep_create(&eps[0], &t->pair.node[0], &opts) ?:
	      accel_import_uar(&t->accel, opts.uar, &va);
	ret = ret ?: ep_create(&eps[1], &t->pair.node[1], &ep_defaults) ?:
	      connect_eps(&eps[0], &eps[1], &conn_defaults);
	ret = ret ?: reset_often(t) ?: accel_queue_create(&queue, &t->accel, 2);
	if (ret)
		return ret;
	ret = accel_do(&queue, accel_store(va, svan_db_value(eps[0].qp->qp_num, 0), 0));
	accel_queue_destroy(&queue);
	ep_destroy(&eps[0]);
	ep_destroy(&eps[1]);
	return ret ?: accel_unmap(&t->accel, va) ?: -svandv_free_uar(opts.uar);
}

/* "A query of errors while another thread sets up answers nonsense, or crashes." */
TEST_F_TIMEOUT(reports, queries_beside_set_up, LIMIT)
{
	struct triggered *t = &self->t;
	struct asker askers[] = {
		{ .t = t, .is_wrong = accel_is_wrong }, { .t = t, .is_wrong = nic_is_wrong },
	};
	unsigned int i;

	/* The fixture's queue goes with the first reset of the context. */
	for (i = 0; i < ARRAY_SIZE(askers); i++)
		ASSERT_EQ(0, pthread_create(&askers[i].thread, NULL, ask, &askers[i]));
	for (i = 0; i < 30; i++)
		ASSERT_EQ(0, set_up_and_work(t));
	for (i = 0; i < ARRAY_SIZE(askers); i++) {
		__atomic_store_n(&askers[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(askers[i].thread, NULL);
		EXPECT_LT(0, askers[i].asked);
		EXPECT_EQ(0, askers[i].wrong);
	}
}

/* ---- memory that is freed under traffic ---- */

/* A batch of WRITEs from ep[1] into that memory of the accelerator; the CQ is not polled. */
static int write_batch(struct triggered *t, uint32_t rkey, unsigned int count)
{
	struct ibv_sge sge = area_sge(&t->pair.out[1], 0, TRIGGER_SIZE);
	struct ibv_send_wr wr = {
		.wr_id = 9, .sg_list = &sge, .num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE, .send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = 0, .rkey = rkey },
	};
	int ret = 0;

	while (!ret && count--)
		ret = -ep_post_send(&t->pair.ep[1], &wr);
	return ret;
}

static int all_zero(const struct accel_buf *buf)
{
	const volatile uint64_t *word = (void *)buf->map;
	size_t i;

	for (i = 0; i < buf->size / 8 && !word[i]; i++)
		;
	return i == buf->size / 8;
}

/*
 * "Peer memory is freed while the NIC writes to it." The region keeps it, so the next
 * owner's memory is other memory; and when the region goes, the writes end first.
 */
TEST_F_TIMEOUT(reports, memory_is_freed_under_writes, LIMIT)
{
	struct triggered *t = &self->t;
	struct accel_buf old, next;
	unsigned int round, i;
	struct ibv_wc wc;
	struct ibv_mr *mr;

	memset(t->pair.out[1].data, 0xa5, TRIGGER_SIZE);
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, accel_buf_alloc(&old, &t->accel, DRM_SVAN_ACCEL_BO_LOCAL,
					     TRIGGER_SIZE));
		mr = triggered_reg(&old, t->pair.node[0].pd, 0);
		ASSERT_NE(NULL, mr);
		ASSERT_EQ(0, write_batch(t, mr->rkey, BATCH));
		accel_buf_free(&old);
		ASSERT_EQ(0, accel_buf_alloc(&next, &t->accel, DRM_SVAN_ACCEL_BO_LOCAL,
					     TRIGGER_SIZE));
		ASSERT_TRUE(all_zero(&next));
		if (round % 2)
			ASSERT_EQ(0, write_batch(t, mr->rkey, BATCH));
		ASSERT_EQ(0, ibv_dereg_mr(mr));
		/* Now the memory is free. */
		ASSERT_EQ(0, accel_buf_alloc(&old, &t->accel, DRM_SVAN_ACCEL_BO_LOCAL,
					     TRIGGER_SIZE));
		for (i = 0; i < (round % 2 ? 2 * BATCH : BATCH); i++) {
			ASSERT_TRUE(all_zero(&old) && all_zero(&next));
			ASSERT_EQ(0, ep_wait(&t->pair.ep[1], &wc, WAIT_MS));
			ASSERT_TRUE(wc.status == IBV_WC_SUCCESS ||
				    wc.status == IBV_WC_REM_ACCESS_ERR ||
				    wc.status == IBV_WC_WR_FLUSH_ERR);
		}
		EXPECT_TRUE(all_zero(&old) && all_zero(&next));
		accel_buf_free(&old);
		accel_buf_free(&next);
		ASSERT_EQ(0, reconnect(t));
	}
}

/* ---- who may ring ---- */

/* The address of a window means nothing in another context. */
TEST_F_TIMEOUT(reports, a_neighbours_window, LIMIT)
{
	struct triggered *t = &self->t;
	struct accel_queue queue;
	struct svandv_trigger trigger;
	struct accel other;

	ASSERT_EQ(0, accel_open(&other));
	ASSERT_EQ(0, accel_queue_create(&queue, &other, 3));
	ASSERT_EQ(0, triggered_prepare(t, 8, IBV_SEND_SIGNALED, &trigger));
	ASSERT_NE(queue.memory.va, t->window & ~0xfffull);
	EXPECT_EQ(-EIO, accel_do(&queue, accel_store(t->window + trigger.offset,
						     trigger.value, 0)));
	EXPECT_EQ(SVAN_ACCEL_NOT_MAPPED, accel_queue_status(&queue));
	EXPECT_EQ(0, ep_expect_none(&t->pair.ep[0], QUIET_MS));
	accel_queue_destroy(&queue);
	accel_close(&other);
	/* Whose window it is has noticed nothing. */
	triggered_post_ring(t, &trigger);
	accel_ring(&t->queue);
	EXPECT_EQ(0, ep_expect(&t->pair.ep[0], 7, IBV_WC_SUCCESS));
}

/* A page of one's own rings no queue of a neighbour, though its number is known. */
TEST_F_TIMEOUT(reports, a_neighbours_queue, LIMIT)
{
	struct triggered *mine = &self->t, *other = calloc(1, sizeof(*other));
	uint64_t refused = counter_of(LOCAL, "doorbells_refused");
	struct svandv_trigger trigger;

	ASSERT_EQ(0, triggered_open(other, false));
	ASSERT_EQ(0, triggered_prepare(other, 8, IBV_SEND_SIGNALED, &trigger));
	ASSERT_EQ(0, accel_do(&mine->queue, accel_store(mine->window + trigger.offset,
							trigger.value, 0)));
	EXPECT_EQ(refused + 1, counter_of(LOCAL, "doorbells_refused"));
	EXPECT_EQ(0, ep_expect_none(&other->pair.ep[0], QUIET_MS));
	triggered_post_ring(other, &trigger);
	accel_ring(&other->queue);
	EXPECT_EQ(0, ep_expect(&other->pair.ep[0], 7, IBV_WC_SUCCESS));
	EXPECT_EQ(0, triggered_close(other));
	free(other);
}

/*
 * The queue pair is destroyed under the loop that rings it, and its page has another one
 * next: the old one's doorbells are counted and do nothing, the loop ends by its limit.
 */
TEST_F_TIMEOUT(reports, the_page_has_a_new_queue, LIMIT)
{
	struct triggered *t = &self->t;
	struct ep *ep = &t->pair.ep[0];
	struct ep_opts opts = ep_defaults;
	volatile uint64_t *come = (void *)t->pair.in[1].data;
	uint64_t deadline = now_ms() + WAIT_MS;
	struct svandv_trigger old, trigger;
	uint64_t refused;

	ASSERT_EQ(0, triggered_post_loop(t, 'b', UINT32_MAX, SHORT_NS));
	accel_ring(&t->queue);
	while (*come < 100 && now_ms() < deadline)
		;
	old.value = svan_db_value(t->queues.qp_num, 1);
	ep_destroy(ep);
	EXPECT_EQ(-EIO, accel_await(&t->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_TIMEOUT, accel_queue_status(&t->queue));
	EXPECT_LE(100, *come);
	accel_queue_destroy(&t->queue);
	ASSERT_EQ(0, accel_queue_create(&t->queue, &t->accel, 6));

	opts.extended = true;
	opts.uar = t->uar;
	ASSERT_EQ(0, ep_create(ep, &t->pair.node[0], &opts));
	ASSERT_NE(t->queues.qp_num, ep->qp->qp_num);
	ASSERT_EQ(0, reconnect(t));
	refused = counter_of(LOCAL, "doorbells_refused");
	ASSERT_EQ(0, triggered_prepare(t, 8, IBV_SEND_SIGNALED, &trigger));
	ASSERT_EQ(0, accel_do(&t->queue, accel_store(t->window + trigger.offset, old.value,
						     0)));
	EXPECT_EQ(refused + 1, counter_of(LOCAL, "doorbells_refused"));
	EXPECT_EQ(0, ep_expect_none(ep, QUIET_MS));
	triggered_post_ring(t, &trigger);
	accel_ring(&t->queue);
	EXPECT_EQ(0, ep_expect(ep, 7, IBV_WC_SUCCESS));
}

TEST_HARNESS_MAIN
