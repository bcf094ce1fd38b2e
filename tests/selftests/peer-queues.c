// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues, CQs and doorbell records in memory of the accelerator, or of the process: work in
 * both directions, contents that the device initialises, revocation, refusals.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <infiniband/svandv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <svan/queues.h>
#include <svan/regs.h>
#include <svan/wqe.h>

#include "accel-lib.h"
#include "kselftest_harness.h"
#include "unserved.h"

#define LIMIT	200
#define SIZE	65536u
#define WRS	16u
#define CQES	64u
#define LEN	64u
#define KILLS	8

/* Where the parts lie in the memory; none begins at a page. */
enum part { SQ, RQ, DBR, CQ, PARTS };
static const uint32_t offsets[PARTS] = { 0x0040, 0x2040, 0x4080, 0x50c0 };

#define BIT(n)	(1u << (n))
#define ALL	(BIT(PARTS) - 1)

FIXTURE(peer_queues)
{
	struct pair pair;	/* endpoint 0 has its queues in the memory */
	struct accel accel;
	struct accel_buf buf;
	struct svandv_uar *uar;
	struct svandv_memory_location mem[PARTS];
	struct ep_opts opts;
	int fd;
	bool revoked;
};

FIXTURE_VARIANT(peer_queues)
{
	unsigned int parts;	/* which lie in the memory */
	unsigned int process;	/* and of these, in memory of the process */
};

#define VARIANT(name, some, of_process)			\
FIXTURE_VARIANT_ADD(peer_queues, name)			\
{							\
	.parts = some, .process = of_process,		\
}

VARIANT(send_queue, BIT(SQ), 0);
VARIANT(receive_queue, BIT(RQ), 0);
VARIANT(record, BIT(DBR), 0);
VARIANT(cq, BIT(CQ), 0);
VARIANT(all, ALL, 0);
VARIANT(mixed, ALL, BIT(SQ) | BIT(CQ));
VARIANT(process, ALL, ALL);

static void locate(FIXTURE_DATA(peer_queues) *self, enum part part, bool process)
{
	struct svandv_memory_location *mem = &self->mem[part];

	memset(mem, 0, sizeof(*mem));
	if (process) {
		mem->type = SVANDV_MEMORY_LOCATION_VA;
		mem->ptr = self->pair.in[0].data + offsets[part];
		return;
	}
	mem->type = SVANDV_MEMORY_LOCATION_DMABUF;
	mem->ptr = self->buf.map + offsets[part];
	mem->dmabuf.fd = self->fd;
	mem->dmabuf.offset = offsets[part];
}

FIXTURE_SETUP(peer_queues)
{
	const struct svandv_memory_location **where[PARTS] = {
		[SQ] = &self->opts.sq_mem, [RQ] = &self->opts.rq_mem,
		[DBR] = &self->opts.dbr_mem, [CQ] = &self->opts.cq_mem,
	};
	struct pair *pair = &self->pair;
	unsigned int i;

	ACCEL_REQUIRE();
	ASSERT_EQ(0, pair_open(pair, false, SIZE));
	ASSERT_EQ(0, accel_open(&self->accel));
	ASSERT_EQ(0, accel_buf_alloc(&self->buf, &self->accel,
				     DRM_SVAN_ACCEL_BO_LOCAL, SIZE));
	self->fd = accel_buf_export(&self->buf);
	ASSERT_LE(0, self->fd);
	self->uar = svandv_alloc_uar(pair->node[0].ctx);
	ASSERT_NE(NULL, self->uar);
	self->opts = ep_defaults;
	self->opts.extended = true;
	self->opts.max_send_wr = WRS;
	self->opts.max_recv_wr = WRS;
	self->opts.cqe = CQES;
	ASSERT_EQ(0, ep_create(&pair->ep[1], &pair->node[1], &self->opts));
	self->opts.uar = self->uar;
	for (i = 0; i < PARTS; i++) {
		locate(self, i, variant->process & BIT(i));
		if (variant->parts & BIT(i))
			*where[i] = &self->mem[i];
	}
	/* Whatever stands there does not matter. */
	memset(self->buf.map, 0xff, SIZE);
	memset(pair->in[0].data, 0xff, SIZE);
}

static void let_go(FIXTURE_DATA(peer_queues) *self)
{
	ep_destroy(&self->pair.ep[0]);
	close(self->fd);
	accel_buf_free(&self->buf);
	accel_close(&self->accel);
}

FIXTURE_TEARDOWN(peer_queues)
{
	if (!accel_exists())
		return;
	if (!self->revoked)
		let_go(self);
	ep_destroy(&self->pair.ep[1]);
	EXPECT_EQ(0, svandv_free_uar(self->uar));
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* A message from one to the other, from a place that changes, to out of the other. */
static int message(struct pair *pair, int from, uint32_t n)
{
	uint32_t place = n % 64 * LEN;
	struct ibv_sge out = area_sge(&pair->out[from], place, LEN);
	struct ibv_sge in = area_sge(&pair->out[!from], SIZE / 2 + place, LEN);
	struct ibv_send_wr wr = {
		.wr_id = n, .sg_list = &out, .num_sge = 1,
		.opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED,
	};
	uint8_t *data = pair->out[from].data + place;
	int ret;

	memset(data, n, LEN);
	memcpy(data, &n, sizeof(n));
	ret = ep_post_recv(&pair->ep[!from], n + 1, &in, 1);
	if (!ret)
		ret = ep_post_send(&pair->ep[from], &wr);
	if (!ret)
		ret = ep_expect(&pair->ep[from], n, IBV_WC_SUCCESS);
	if (!ret)
		ret = ep_expect(&pair->ep[!from], n + 1, IBV_WC_SUCCESS);
	return ret ? ret :
		     check_equal("message", pair->out[!from].data + SIZE / 2 + place,
				 data, LEN);
}

static int exchange(struct pair *pair, uint32_t count)
{
	uint32_t n;
	int ret = 0;

	for (n = 1; !ret && n <= count; n++) {
		ret = message(pair, 0, n);
		if (!ret)
			ret = message(pair, 1, n);
	}
	return ret;
}

/* Around every ring; more than once through RESET. */
TEST_F_TIMEOUT(peer_queues, both_ways, LIMIT)
{
	struct pair *pair = &self->pair;
	struct svandv_cq_attr cq;
	struct svandv_queues queues;
	struct ibv_wc wc;
	unsigned int i;

	ASSERT_EQ(0, ep_create(&pair->ep[0], &pair->node[0], &self->opts));
	ASSERT_EQ(0, ep_poll(&pair->ep[0], &wc));
	ASSERT_EQ(0, svandv_query_queues(pair->ep[0].qp, &queues));
	ASSERT_EQ(0, svandv_query_cq(pair->ep[0].cq, &cq));
	if (variant->parts & BIT(SQ)) {
		EXPECT_EQ(self->mem[SQ].ptr, (uint8_t *)queues.sq);
		EXPECT_EQ(self->mem[SQ].type, queues.sq_mem.type);
		EXPECT_EQ(self->mem[SQ].dmabuf.offset, queues.sq_mem.dmabuf.offset);
	}
	if (variant->parts & BIT(RQ))
		EXPECT_EQ(self->mem[RQ].ptr, (uint8_t *)queues.rq);
	if (variant->parts & BIT(DBR))
		EXPECT_EQ(self->mem[DBR].ptr, (uint8_t *)queues.dbr);
	if (variant->parts & BIT(CQ))
		EXPECT_EQ(self->mem[CQ].ptr, (uint8_t *)cq.buffer);
	EXPECT_EQ((variant->parts & 7) != 7, queues.buf_length != 0);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
		ASSERT_EQ(0, exchange(pair, 500));
		ASSERT_EQ(0, ep_state(&pair->ep[0], IBV_QPS_RESET));
		ASSERT_EQ(0, ep_state(&pair->ep[1], IBV_QPS_RESET));
	}
}

TEST_F_TIMEOUT(peer_queues, more_than_16_bits, LIMIT)
{
	struct pair *pair = &self->pair;

	if (variant->parts != ALL || variant->process)
		SKIP(return, "once is enough");
	ASSERT_EQ(0, ep_create(&pair->ep[0], &pair->node[0], &self->opts));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, exchange(pair, 66000));
}

/* What is not mapped cannot be used by the CPU, and says so; the record is not needed. */
TEST_F_TIMEOUT(peer_queues, not_mapped, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ep *ep = &pair->ep[0];
	struct ibv_recv_wr recv = {}, *bad_recv;
	struct ibv_send_wr send = { .opcode = IBV_WR_SEND }, *bad_send;
	struct ibv_poll_cq_attr poll = {};
	struct svandv_trigger trigger;
	struct ibv_wc wc;
	unsigned int i;

	if (variant->process)
		SKIP(return, "memory of the process is mapped");
	for (i = 0; i < PARTS; i++)
		self->mem[i].ptr = NULL;
	ASSERT_EQ(0, ep_create(ep, &pair->node[0], &self->opts));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	if (variant->parts & BIT(SQ)) {
		EXPECT_EQ(EOPNOTSUPP, ibv_post_send(ep->qp, &send, &bad_send));
		ibv_wr_start(ep->qpx);
		ibv_wr_send(ep->qpx);
		EXPECT_EQ(EOPNOTSUPP, svandv_prepare(ep->qpx, &trigger));
		ibv_wr_start(ep->qpx);
		ibv_wr_send(ep->qpx);
		EXPECT_EQ(EOPNOTSUPP, ibv_wr_complete(ep->qpx));
	}
	if (variant->parts & BIT(RQ)) {
		EXPECT_EQ(EOPNOTSUPP, ibv_post_recv(ep->qp, &recv, &bad_recv));
		EXPECT_EQ(EOPNOTSUPP, svandv_prepare_recv(ep->qp, &recv, &bad_recv,
							  &trigger));
	}
	if (variant->parts & BIT(CQ)) {
		EXPECT_EQ(-EOPNOTSUPP, ibv_poll_cq(ep->cq, 1, &wc));
		EXPECT_EQ(EOPNOTSUPP, ibv_start_poll(ep->cqx, &poll));
		EXPECT_EQ(EOPNOTSUPP, ibv_req_notify_cq(ep->cq, 0));
	}
	if (variant->parts == BIT(DBR))
		ASSERT_EQ(0, exchange(pair, 100));
}

/* ---- queues that only the accelerator reaches ---- */

#define SENDS		48u	/* more than the send queue holds, fewer than the CQ */
#define RECVS		8u
#define WAIT_NS		(WAIT_MS * 1000000ull)

/* What the accelerator works with, in memory of the host. */
struct staging {
	struct svan_wqe_head wqe;		/* of 64 octets, as ring entries are */
	union {
		struct svan_rwqe head;
		uint8_t entry[SVAN_WQEBB_SIZE];
	} rwqe;
	uint64_t index[SENDS];			/* each is its own number */
};

struct driven {
	struct accel_queue queue;
	struct accel_buf staging;
	uint64_t window, out;			/* addresses in the context */
	uint32_t completions;			/* that were waited for */
};

static void stage_requests(struct staging *staging, const struct pair *pair)
{
	const struct svan_sq_ring one = { .bbs = (union svan_wqebb *)&staging->wqe };
	struct svan_wqe_head *head;
	uint32_t i;

	head = svan_wqe_begin(&one, 0, SVAN_WQE_RDMA_WRITE, SVAN_WQE_SIGNALED, 0);
	svan_wqe_set_remote(head, (uintptr_t)pair->in[1].data, pair->in[1].mr->rkey);
	svan_wqe_set_num_sge(head, 1);
	svan_sge_set(&head->sge[0], (uintptr_t)pair->out[0].data, 8, pair->out[0].mr->lkey);
	memset(&staging->rwqe, 0, sizeof(staging->rwqe));
	staging->rwqe.head.num_sge = svan_cpu_to_le32(1);
	svan_sge_set(&staging->rwqe.head.sge[0], (uintptr_t)pair->in[0].data, LEN,
		     pair->in[0].mr->lkey);
	for (i = 0; i < SENDS; i++)
		staging->index[i] = i;
}

static int driven_open(struct driven *driven, FIXTURE_DATA(peer_queues) *self)
{
	int ret = accel_queue_create(&driven->queue, &self->accel, 8);

	if (!ret)
		ret = accel_buf_alloc(&driven->staging, &self->accel,
				      DRM_SVAN_ACCEL_BO_HOST, ACCEL_PAGE);
	if (!ret)
		ret = accel_import_uar(&self->accel, self->uar, &driven->window);
	if (!ret)
		ret = accel_map_user(&self->accel, self->pair.out[0].data, SIZE, true,
				     &driven->out);
	if (!ret)
		stage_requests((struct staging *)driven->staging.map, &self->pair);
	return ret;
}

static void driven_close(struct driven *driven)
{
	accel_queue_destroy(&driven->queue);
	accel_buf_free(&driven->staging);
}

static uint64_t staged(const struct driven *driven, size_t offset)
{
	return driven->staging.va + offset;
}

/* The next entry of the CQ is valid, in the first pass over it. */
static void post_completion(struct driven *driven, const struct accel_buf *buf)
{
	uint64_t cqe = buf->va + offsets[CQ] +
		       driven->completions++ * sizeof(struct svan_cqe);
	const uint64_t phase = (uint64_t)SVAN_CQE_PHASE << 56;

	accel_post(&driven->queue, (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_WAIT, .width = 8, .condition = SVAN_ACCEL_EQUAL,
		.wait = {
			.addr = svan_cpu_to_le64(cqe + sizeof(struct svan_cqe) - 8),
			.value = svan_cpu_to_le64(phase), .mask = svan_cpu_to_le64(phase),
			.limit_ns = svan_cpu_to_le64(WAIT_NS),
		},
	});
}

/* The work request into the ring, the doorbell, the completion; once for each send. */
static int drive_sends(struct driven *driven, FIXTURE_DATA(peer_queues) *self)
{
	uint64_t sq = self->buf.va + offsets[SQ];
	uint32_t i, qpn = self->pair.ep[0].qp->qp_num, log = __builtin_ctz(WRS);

	for (i = 0; i < SENDS; i++) {
		accel_post(&driven->queue, accel_store(driven->out, i + 1, 0));
		accel_post(&driven->queue, accel_copy_wqe(
			sq, staged(driven, offsetof(struct staging, wqe)),
			staged(driven, offsetof(struct staging, index[i])), log));
		accel_post(&driven->queue, accel_fence());
		accel_post(&driven->queue, accel_store(driven->window + SVAN_UAR_SQ_DB,
						       svan_db_value(qpn, i + 1), 0));
		post_completion(driven, &self->buf);
	}
	accel_ring(&driven->queue);
	return accel_await(&driven->queue, WAIT_MS);
}

/* The same for receives, which the peer's CPU sends to. */
static int drive_recvs(struct driven *driven, FIXTURE_DATA(peer_queues) *self,
		       uint32_t stride)
{
	struct ibv_sge out = area_sge(&self->pair.out[1], 0, LEN);
	struct ibv_send_wr wr = {
		.wr_id = 7, .sg_list = &out, .num_sge = 1,
		.opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED,
	};
	uint64_t rq = self->buf.va + offsets[RQ];
	uint32_t i, qpn = self->pair.ep[0].qp->qp_num;
	int ret = 0;

	memset(self->pair.out[1].data, 0x3c, LEN);
	for (i = 0; i < RECVS; i++)
		accel_post(&driven->queue, accel_copy(
			rq + i * stride, staged(driven, offsetof(struct staging, rwqe)),
			stride));
	accel_post(&driven->queue, accel_fence());
	accel_post(&driven->queue, accel_store(driven->window + SVAN_UAR_RQ_DB,
					       svan_db_value(qpn, RECVS), 0));
	for (i = 0; i < RECVS; i++)
		post_completion(driven, &self->buf);
	accel_ring(&driven->queue);
	for (i = 0; !ret && i < RECVS; i++) {
		ret = -ep_post_send(&self->pair.ep[1], &wr);
		if (!ret)
			ret = ep_expect(&self->pair.ep[1], 7, IBV_WC_SUCCESS);
	}
	return ret ?: accel_await(&driven->queue, WAIT_MS);
}

/* All that was waited for has succeeded. */
static int check_completions(const struct driven *driven, const struct accel_buf *buf)
{
	const struct svan_cqe *cqes = (const void *)(buf->map + offsets[CQ]);
	uint32_t i;

	for (i = 0; i < driven->completions; i++) {
		if (!cqes[i].status && svan_le32_to_cpu(cqes[i].wqe_index) ==
		    (i < SENDS ? i : i - SENDS))
			continue;
		complain("completion %u: status %u, index %u", i, cqes[i].status,
			 svan_le32_to_cpu(cqes[i].wqe_index));
		return -EIO;
	}
	return 0;
}

/*
 * The process gives no ptr: it has created the queues, and the accelerator alone prepares
 * work in them, submits it, and sees its completions.
 */
TEST_F_TIMEOUT(peer_queues, driven_by_the_accelerator, LIMIT)
{
	struct pair *pair = &self->pair;
	struct svandv_queues queues;
	struct svandv_cq_attr cq;
	struct driven driven = {};
	unsigned int i;

	if (variant->parts != ALL || variant->process)
		SKIP(return, "once is enough");
	for (i = 0; i < PARTS; i++)
		self->mem[i].ptr = NULL;
	ASSERT_EQ(0, ep_create(&pair->ep[0], &pair->node[0], &self->opts));
	ASSERT_EQ(0, svandv_query_queues(pair->ep[0].qp, &queues));
	ASSERT_EQ(0, svandv_query_cq(pair->ep[0].cq, &cq));
	EXPECT_EQ(NULL, queues.sq);
	EXPECT_EQ(NULL, queues.rq);
	EXPECT_EQ(NULL, queues.dbr);
	EXPECT_EQ(NULL, cq.buffer);
	ASSERT_EQ(WRS, 1u << queues.log_sq_blocks);
	ASSERT_EQ(WRS, 1u << queues.log_rq_entries);
	ASSERT_LE(SENDS + RECVS, cq.num_entries);
	ASSERT_GE(SVAN_WQEBB_SIZE, 1u << queues.log_rq_stride);
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, driven_open(&driven, self));
	EXPECT_EQ(0, drive_sends(&driven, self));
	EXPECT_EQ(SENDS, *(volatile uint64_t *)pair->in[1].data);
	EXPECT_EQ(0, drive_recvs(&driven, self, 1u << queues.log_rq_stride));
	EXPECT_EQ(0, check_equal("received", pair->in[0].data, pair->out[1].data, LEN));
	EXPECT_EQ(0, check_completions(&driven, &self->buf));
	driven_close(&driven);
}

/* ---- the memory is taken away ---- */

static int await_error(struct ep *ep)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int state;

	while ((state = ep_query_state(ep)) != IBV_QPS_ERR) {
		if (now_ms() > deadline)
			return state;
		usleep(1000);
	}
	return state;
}

/* The device wants the memory once more, for sends and receives, and finds it gone. */
static int fails_at_next_use(struct pair *pair, struct svandv_uar *uar, bool cq_alone)
{
	volatile uint64_t *doorbell = (void *)((uint8_t *)uar->base_addr + SVAN_UAR_SQ_DB);
	struct ibv_sge out = area_sge(&pair->out[1], 0, LEN);
	struct ibv_send_wr wr = {
		.sg_list = &out, .num_sge = 1, .opcode = IBV_WR_SEND,
	};
	int state;

	/* The CPU cannot reach the queues any more, the doorbells it can. */
	*doorbell = svan_db_value(pair->ep[0].qp->qp_num, 6);
	if (ep_post_send(&pair->ep[1], &wr))
		return -EIO;
	state = await_error(&pair->ep[0]);
	if (state != IBV_QPS_ERR) {
		complain("the queue pair is in state %d", state);
		return -EIO;
	}
	return cq_alone ? expect_async(&pair->node[0], IBV_EVENT_CQ_ERR, WAIT_MS) : 0;
}

/*
 * The accelerator goes, and its memory with it. The queue pair goes to the error state when the
 * device next wants the memory, and can be destroyed.
 */
TEST_F_TIMEOUT(peer_queues, revoked, LIMIT)
{
	struct pair *pair = &self->pair;
	int status;

	if (variant->process == ALL)
		SKIP(return, "memory of the process is not revoked");
	ASSERT_EQ(0, ep_create(&pair->ep[0], &pair->node[0], &self->opts));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, exchange(pair, 5));
	status = accel_unbind();
	self->revoked = !status;
	if (!status) {
		EXPECT_EQ(0, fails_at_next_use(pair, self->uar,
					       variant->parts == BIT(CQ)));
		let_go(self);
		status = accel_rebind();
	}
	EXPECT_EQ(0, status);
}

/* The memory is whose it becomes after the reset: nothing is stored to it. */
TEST_F_TIMEOUT(peer_queues, revoked_by_a_reset, LIMIT)
{
	struct pair *pair = &self->pair;
	uint8_t *expected = malloc(SIZE);

	if (variant->process == ALL)
		SKIP(return, "memory of the process is not revoked");
	ASSERT_NE(NULL, expected);
	ASSERT_EQ(0, ep_create(&pair->ep[0], &pair->node[0], &self->opts));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, exchange(pair, 5));
	ASSERT_EQ(0, write_to("/sys/class/accel/accel0/device", "reset", "1"));
	memset(self->buf.map, CANARY, SIZE);
	memset(expected, CANARY, SIZE);
	EXPECT_EQ(0, fails_at_next_use(pair, self->uar, variant->parts == BIT(CQ)));
	EXPECT_EQ(0, check_equal("memory after the reset", self->buf.map, expected, SIZE));
	free(expected);
}

static void exchange_for_ever(void *arg, int fd)
{
	FIXTURE_DATA(peer_queues) *self = arg;
	struct pair *pair = &self->pair;
	struct accel_buf buf;
	struct accel accel;
	unsigned int i;

	/* Its own: a context ends with its process. */
	if (accel_open(&accel) ||
	    accel_buf_alloc(&buf, &accel, DRM_SVAN_ACCEL_BO_LOCAL, SIZE) ||
	    pair_open(pair, false, SIZE))
		return;
	self->fd = accel_buf_export(&buf);
	self->opts.uar = svandv_alloc_uar(pair->node[0].ctx);
	for (i = 0; i < PARTS; i++) {
		self->mem[i].dmabuf.fd = self->fd;
		self->mem[i].ptr = buf.map + offsets[i];
	}
	if (self->fd < 0 || !self->opts.uar ||
	    ep_create(&pair->ep[0], &pair->node[0], &self->opts))
		return;
	self->opts = ep_defaults;
	self->opts.extended = true;
	if (ep_create(&pair->ep[1], &pair->node[1], &self->opts) ||
	    pair_connect(pair, &conn_defaults) || exchange(pair, 5))
		return;
	child_say(fd);
	while (!exchange(pair, 100))
		;
}

/* The process dies in the middle of work; the memory that its queues had is another's. */
TEST_F_TIMEOUT(peer_queues, killed, LIMIT)
{
	long memory = accel_count("memory");
	uint8_t *expected = malloc(SIZE);
	struct accel_buf next;
	struct child child;
	int i;

	if (variant->parts != ALL || variant->process)
		SKIP(return, "once is enough");
	ASSERT_NE(NULL, expected);
	memset(expected, CANARY, SIZE);
	for (i = 0; i < KILLS; i++) {
		ASSERT_EQ(0, child_start(&child, exchange_for_ever, self));
		ASSERT_EQ(0, child_kill_watching(&child));
		ASSERT_EQ(0, accel_count_await("memory", memory, WAIT_MS));
		ASSERT_EQ(0, accel_buf_alloc(&next, &self->accel, DRM_SVAN_ACCEL_BO_LOCAL,
					     SIZE));
		memset(next.map, CANARY, SIZE);
		EXPECT_EQ(0, pair_sound(&self->pair));
		EXPECT_EQ(0, check_equal("memory of the next one", next.map, expected,
					 SIZE));
		accel_buf_free(&next);
	}
	free(expected);
}

/* ---- refusals ---- */

/* The errno of an attempt to create the endpoint. */
static int try(FIXTURE_DATA(peer_queues) *self)
{
	struct ep ep;
	int ret = ep_create(&ep, &self->pair.node[0], &self->opts);

	if (!ret)
		ep_destroy(&ep);
	return -ret;
}

TEST_F_TIMEOUT(peer_queues, refused, LIMIT)
{
	enum part part = variant->parts & BIT(SQ) ? SQ : variant->parts & BIT(RQ) ? RQ :
			 variant->parts & BIT(DBR) ? DBR : CQ;
	struct svandv_memory_location *mem = &self->mem[part];
	int null = open("/dev/null", O_RDWR);
	int window = svandv_uar_export_dmabuf_fd(self->uar);
	void *readonly = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_LE(0, null);
	ASSERT_LE(0, window);
	ASSERT_NE(MAP_FAILED, readonly);
	locate(self, part, false);
	EXPECT_EQ(0, try(self));
	mem->dmabuf.offset += 32;
	EXPECT_EQ(EINVAL, try(self));
	mem->dmabuf.offset = SIZE - 32;
	EXPECT_EQ(EINVAL, try(self));
	mem->dmabuf.offset = SIZE;
	EXPECT_EQ(EINVAL, try(self));
	mem->dmabuf.offset = UINT64_MAX - 63;
	EXPECT_EQ(EINVAL, try(self));
	locate(self, part, false);
	mem->dmabuf.reserved = 1;
	EXPECT_EQ(EINVAL, try(self));
	mem->dmabuf.reserved = 0;
	mem->reserved[6] = 1;
	EXPECT_EQ(EINVAL, try(self));
	mem->reserved[6] = 0;
	mem->dmabuf.fd = null;
	EXPECT_EQ(EINVAL, try(self));
	mem->dmabuf.fd = 9999;
	EXPECT_EQ(EBADF, try(self));
	mem->dmabuf.offset = 0;
	mem->dmabuf.fd = window;
	EXPECT_EQ(part == CQ ? EINVAL : EOPNOTSUPP, try(self));	/* a CQ is longer */
	locate(self, part, true);
	EXPECT_EQ(0, try(self));
	mem->ptr += 8;
	EXPECT_EQ(EINVAL, try(self));
	mem->ptr = NULL;
	EXPECT_EQ(EINVAL, try(self));
	mem->ptr = readonly;
	EXPECT_EQ(EFAULT, try(self));
	mem->type = 2;
	EXPECT_EQ(EINVAL, try(self));
	munmap(readonly, SIZE);
	close(window);
	close(null);
}

TEST_HARNESS_MAIN
