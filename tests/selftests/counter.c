// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completion counters: what they count, where they may lie, what is refused; the room in
 * queues whose work has no completions; the accelerator's WAIT on them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <infiniband/svandv.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel-lib.h"
#include "kselftest_harness.h"
#include "unserved.h"

#define SIZE		65536u
#define PAGE		4096u
#define LIMIT		100
#define LEN		64u
#define SHORT_MS	50	/* in which what may not come would have come */

#define SEND_OPS	(SVANDV_COMP_CNTR_ATTACH_OP_SEND | \
			 SVANDV_COMP_CNTR_ATTACH_OP_RDMA_READ | \
			 SVANDV_COMP_CNTR_ATTACH_OP_RDMA_WRITE)
#define RECV_OPS	SVANDV_COMP_CNTR_ATTACH_OP_RECV

typedef struct svandv_comp_cntr counter_t;

/* ---- helpers ---- */

static uint64_t load(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_ACQUIRE);
}

/* Until the count is at least this; it must be this. */
static int await(const uint64_t *count, uint64_t value)
{
	uint64_t deadline = now_ms() + WAIT_MS;

	while (load(count) < value) {
		if (now_ms() > deadline) {
			complain("the count is %llu, not %llu",
				 (unsigned long long)load(count),
				 (unsigned long long)value);
			return -ETIMEDOUT;
		}
	}
	return load(count) == value ? 0 : -ERANGE;
}

static counter_t *make(struct ibv_context *ctx)
{
	struct svandv_comp_cntr_init_attr attr = {};

	return svandv_create_comp_cntr(ctx, &attr);
}

static int attach(struct ep *ep, counter_t *counter, uint32_t ops)
{
	struct svandv_comp_cntr_attach_attr attr = { .op_mask = ops };

	return svandv_qp_attach_comp_cntr(ep->qp, counter, &attr);
}

/* An RDMA WRITE of LEN octets from out[from] to in[!from]. */
static int post_write(struct pair *pair, int from, unsigned int flags,
		      uint32_t rkey)
{
	struct ibv_sge sge = area_sge(&pair->out[from], 0, LEN);
	struct ibv_send_wr wr = {
		.wr_id = 7, .sg_list = &sge, .num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE, .send_flags = flags,
		.wr.rdma = {
			.remote_addr = (uintptr_t)pair->in[!from].data,
			.rkey = rkey,
		},
	};

	return ep_post_send(&pair->ep[from], &wr);
}

static int write_some(struct pair *pair, int from, unsigned int number)
{
	int ret = 0;

	while (!ret && number--)
		ret = post_write(pair, from, 0, pair->in[!from].mr->rkey);
	return ret;
}

/* ---- what is counted ---- */

FIXTURE(counter)
{
	struct pair pair;
	counter_t *counter;
	struct svandv_comp_cntr_init_attr ext;	/* for memory of the test's */
	uint8_t *map;		/* two pages, as a dma-buf */
	int memfd, fd;
};

FIXTURE_SETUP(counter)
{
	struct pair *pair = &self->pair;

	self->memfd = memfd_create("counter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->memfd);
	ASSERT_EQ(0, ftruncate(self->memfd, 2 * PAGE));
	ASSERT_EQ(0, fcntl(self->memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	self->map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 self->memfd, 0);
	ASSERT_NE(MAP_FAILED, self->map);
	memset(self->map, CANARY, 2 * PAGE);
	self->fd = udmabuf_create(self->memfd, 2 * PAGE);
	ASSERT_LE(0, self->fd);
	self->ext.flags = SVANDV_COMP_CNTR_INIT_WITH_EXTERNAL_MEM;
	ASSERT_EQ(0, pair_open(pair, false, SIZE));
	ASSERT_EQ(0, pair_create(pair, &ep_defaults));
	self->counter = make(pair->node[0].ctx);
	ASSERT_NE(NULL, self->counter);
	ASSERT_EQ(0, load(self->counter->comp_count));
	ASSERT_EQ(0, load(self->counter->err_count));
}

FIXTURE_TEARDOWN(counter)
{
	pair_destroy(&self->pair);
	EXPECT_EQ(0, svandv_destroy_comp_cntr(self->counter));
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
	close(self->fd);
	munmap(self->map, 2 * PAGE);
	close(self->memfd);
}

/* Far more than the queue holds; slots become free by the count alone. */
TEST_F_TIMEOUT(counter, unsignaled_writes, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ep *ep = &pair->ep[0];
	unsigned int i;
	int ret;

	ASSERT_EQ(0, attach(ep, self->counter, SEND_OPS));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	memset(pair->out[0].data, 0x5a, LEN);
	ASSERT_EQ(0, write_some(pair, 0, ep->cap.max_send_wr));
	ASSERT_EQ(0, await(self->counter->comp_count, ep->cap.max_send_wr));
	EXPECT_EQ(ENOMEM, write_some(pair, 0, 1));
	EXPECT_EQ(EINVAL, svandv_retire_sends(ep->qp, ep->cap.max_send_wr + 1));
	EXPECT_EQ(EINVAL, svandv_retire_recvs(ep->qp, 0));
	for (i = ep->cap.max_send_wr; i < 1000; i++) {
		while ((ret = write_some(pair, 0, 1)) == ENOMEM)
			ASSERT_EQ(0, svandv_retire_sends(ep->qp,
							 load(self->counter->comp_count)));
		ASSERT_EQ(0, ret);
	}
	ASSERT_EQ(0, await(self->counter->comp_count, 1000));
	EXPECT_EQ(0, check_equal("written", pair->in[1].data, pair->out[0].data,
				 LEN));
	EXPECT_EQ(0, load(self->counter->err_count));
	EXPECT_EQ(0, ep_expect_none(ep, SHORT_MS));
}

/* Who sees the count of errors finds the reason in the CQ at once. */
TEST_F_TIMEOUT(counter, errors, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ibv_wc wc;
	unsigned int i;

	ASSERT_EQ(0, attach(&pair->ep[0], self->counter, SEND_OPS));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, post_write(pair, 0, 0, pair->in[1].mr->rkey ^ 0x100));
	ASSERT_EQ(0, await(self->counter->err_count, 1));
	ASSERT_EQ(1, ep_poll(&pair->ep[0], &wc));
	EXPECT_EQ(IBV_WC_REM_ACCESS_ERR, wc.status);
	for (i = 2; i < 6; i++) {
		ASSERT_EQ(0, write_some(pair, 0, 1));
		ASSERT_EQ(0, await(self->counter->err_count, i));
		ASSERT_EQ(1, ep_poll(&pair->ep[0], &wc));
		EXPECT_EQ(IBV_WC_WR_FLUSH_ERR, wc.status);
	}
	EXPECT_EQ(0, load(self->counter->comp_count));
}

/* Receives without completions, unless they fail. */
TEST_F_TIMEOUT(counter, receives, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ep *ep = &pair->ep[1];
	struct ibv_sge in = area_sge(&pair->in[1], 0, LEN);
	struct ibv_sge out = area_sge(&pair->out[0], 0, LEN);
	struct ibv_send_wr wr = {
		.wr_id = 3, .sg_list = &out, .num_sge = 1,
		.opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED,
	};
	struct ep_opts opts = ep_defaults;
	counter_t *counter = make(pair->node[1].ctx);
	unsigned int i;

	opts.recv_no_cqe = true;
	opts.max_recv_wr = 16;
	ep_destroy(ep);
	ASSERT_EQ(0, ep_create(ep, &pair->node[1], &opts));
	ASSERT_NE(NULL, counter);
	ASSERT_EQ(0, attach(ep, counter, RECV_OPS));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	for (i = 1; i <= 100; i++) {
		if (i == ep->cap.max_recv_wr + 1)
			EXPECT_EQ(-ENOMEM, ep_post_recv(ep, i, &in, 1));
		if (i > ep->cap.max_recv_wr)
			ASSERT_EQ(0, svandv_retire_recvs(ep->qp,
							 i - ep->cap.max_recv_wr));
		ASSERT_EQ(0, ep_post_recv(ep, i, &in, 1));
		ASSERT_EQ(0, ep_post_send(&pair->ep[0], &wr));
		ASSERT_EQ(0, ep_expect(&pair->ep[0], 3, IBV_WC_SUCCESS));
		ASSERT_EQ(0, await(counter->comp_count, i));
	}
	EXPECT_EQ(0, ep_expect_none(ep, SHORT_MS));
	EXPECT_EQ(EINVAL, svandv_retire_recvs(ep->qp, 101));
	ASSERT_EQ(0, svandv_retire_recvs(ep->qp, 100));
	ASSERT_EQ(0, ep_post_recv(ep, 55, &in, 1));
	ASSERT_EQ(0, ep_state(ep, IBV_QPS_ERR));
	ASSERT_EQ(0, ep_expect(ep, 55, IBV_WC_WR_FLUSH_ERR));
	ASSERT_EQ(0, await(counter->err_count, 1));
	EXPECT_EQ(100, load(counter->comp_count));
	ep_destroy(ep);
	EXPECT_EQ(0, svandv_destroy_comp_cntr(counter));
}

/* A counter of two queue pairs stays attached to each until it is destroyed. */
TEST_F_TIMEOUT(counter, shared, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ep other;

	ASSERT_EQ(0, ep_create(&other, &pair->node[0], &ep_defaults));
	ASSERT_EQ(0, attach(&other, self->counter, SEND_OPS));
	ASSERT_EQ(0, attach(&pair->ep[0], self->counter, SEND_OPS | RECV_OPS));
	EXPECT_EQ(EBUSY, attach(&pair->ep[0], self->counter, RECV_OPS));
	EXPECT_EQ(EBUSY, attach(&other, self->counter, SEND_OPS | RECV_OPS));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, write_some(pair, 0, 10));
	ASSERT_EQ(0, await(self->counter->comp_count, 10));
	EXPECT_EQ(EBUSY, svandv_destroy_comp_cntr(self->counter));

	/* The other queue pair takes the first one's place. */
	ep_destroy(&pair->ep[0]);
	EXPECT_EQ(EBUSY, svandv_destroy_comp_cntr(self->counter));
	pair->ep[0] = other;
	ASSERT_EQ(0, ep_state(&pair->ep[1], IBV_QPS_RESET));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, write_some(pair, 0, 10));
	ASSERT_EQ(0, await(self->counter->comp_count, 20));
	ep_destroy(&pair->ep[0]);
	EXPECT_EQ(0, svandv_destroy_comp_cntr(self->counter));
	self->counter = make(pair->node[0].ctx);
	ASSERT_NE(NULL, self->counter);
	ASSERT_EQ(0, ep_create(&pair->ep[0], &pair->node[0], &ep_defaults));
}

TEST_F_TIMEOUT(counter, set_and_add, LIMIT)
{
	struct pair *pair = &self->pair;
	counter_t *counter = self->counter;

	ASSERT_EQ(0, attach(&pair->ep[0], counter, SEND_OPS));
	ASSERT_EQ(0, svandv_set_comp_cntr(counter, 100));
	ASSERT_EQ(0, svandv_inc_comp_cntr(counter, 5));
	EXPECT_EQ(105, load(counter->comp_count));
	EXPECT_EQ(0, load(counter->err_count));
	ASSERT_EQ(0, svandv_set_err_comp_cntr(counter, 7));
	ASSERT_EQ(0, svandv_inc_err_comp_cntr(counter, UINT64_MAX));
	EXPECT_EQ(6, load(counter->err_count));
	EXPECT_EQ(105, load(counter->comp_count));

	/* What the user stores is not what the device counts by. */
	*counter->comp_count = 50;
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	ASSERT_EQ(0, write_some(pair, 0, 1));
	EXPECT_EQ(0, await(counter->comp_count, 106));
}

/* ---- where the counts lie ---- */

/* The two counts are at map + success and map + error; nothing else changes. */
static int check_external(struct pair *pair,
			  const uint8_t *map, size_t success, size_t error)
{
	uint64_t expected[2 * PAGE / 8];

	memset(expected, CANARY, sizeof(expected));
	expected[success / 8] = 10;
	expected[error / 8] = 0;
	if (pair_connect(pair, &conn_defaults) || write_some(pair, 0, 10) ||
	    await((const uint64_t *)(map + success), 10))
		return -EIO;
	return check_equal("counts", map, (uint8_t *)expected, 2 * PAGE);
}

TEST_F_TIMEOUT(counter, in_memory_of_the_user, LIMIT)
{
	struct pair *pair = &self->pair;
	counter_t *counter;

	self->ext.comp_cntr_ext_mem.ptr = self->map + PAGE - 8;
	self->ext.err_cntr_ext_mem.ptr = self->map + 16;
	counter = svandv_create_comp_cntr(pair->node[0].ctx, &self->ext);
	ASSERT_NE(NULL, counter);
	EXPECT_EQ(self->map + 16, (uint8_t *)counter->err_count);
	ASSERT_EQ(0, attach(&pair->ep[0], counter, SEND_OPS));
	EXPECT_EQ(0, check_external(pair, self->map, PAGE - 8, 16));
	ep_destroy(&pair->ep[0]);
	EXPECT_EQ(0, svandv_destroy_comp_cntr(counter));
}

static struct svandv_memory_location in_dmabuf(int fd, uint64_t offset)
{
	return (struct svandv_memory_location){
		.type = SVANDV_MEMORY_LOCATION_DMABUF,
		.dmabuf = { .fd = fd, .offset = offset },
	};
}

TEST_F_TIMEOUT(counter, in_a_dmabuf, LIMIT)
{
	struct pair *pair = &self->pair;
	counter_t *counter;

	self->ext.comp_cntr_ext_mem = in_dmabuf(self->fd, 2 * PAGE - 8);
	self->ext.err_cntr_ext_mem = in_dmabuf(self->fd, 8);
	counter = svandv_create_comp_cntr(pair->node[0].ctx, &self->ext);
	ASSERT_NE(NULL, counter);
	EXPECT_EQ(NULL, counter->comp_count);
	ASSERT_EQ(0, attach(&pair->ep[0], counter, SEND_OPS));
	EXPECT_EQ(0, check_external(pair, self->map, 2 * PAGE - 8, 8));
	ep_destroy(&pair->ep[0]);
	EXPECT_EQ(0, svandv_destroy_comp_cntr(counter));
}

/* ---- what is refused ---- */

static int refusal(struct ibv_context *ctx,
		   struct svandv_comp_cntr_init_attr *attr)
{
	counter_t *counter = svandv_create_comp_cntr(ctx, attr);

	if (!counter)
		return errno;
	svandv_destroy_comp_cntr(counter);
	return 0;
}

TEST_F_TIMEOUT(counter, bad_memory, LIMIT)
{
	struct ibv_context *ctx = self->pair.node[0].ctx;
	struct svandv_comp_cntr_init_attr *ext = &self->ext;
	struct svandv_memory_location good = { .ptr = self->map }, *bad;
	int i;

	for (i = 0; i < 2; i++) {
		bad = i ? &ext->err_cntr_ext_mem : &ext->comp_cntr_ext_mem;
		ext->comp_cntr_ext_mem = good;
		ext->err_cntr_ext_mem = good;
		EXPECT_EQ(0, refusal(ctx, ext));
		bad->ptr = self->map + 4;
		EXPECT_EQ(EINVAL, refusal(ctx, ext));
		bad->ptr = NULL;
		EXPECT_EQ(EFAULT, refusal(ctx, ext));
		bad->ptr = (uint8_t *)(UINTPTR_MAX - 7);
		EXPECT_NE(0, refusal(ctx, ext));
		bad->type = 2;
		EXPECT_EQ(EINVAL, refusal(ctx, ext));
		*bad = good;
		bad->reserved[6] = 1;
		EXPECT_EQ(EINVAL, refusal(ctx, ext));
		*bad = in_dmabuf(self->fd, 4);
		EXPECT_EQ(EINVAL, refusal(ctx, ext));
		*bad = in_dmabuf(self->fd, 2 * PAGE);
		EXPECT_EQ(EINVAL, refusal(ctx, ext));
		*bad = in_dmabuf(self->fd, UINT64_MAX - 7);
		EXPECT_EQ(EINVAL, refusal(ctx, ext));
		*bad = in_dmabuf(-1, 0);
		EXPECT_EQ(EBADF, refusal(ctx, ext));
		*bad = in_dmabuf(self->memfd, 0);
		EXPECT_EQ(EINVAL, refusal(ctx, ext));
	}
	ext->comp_cntr_ext_mem = good;
	ext->err_cntr_ext_mem = good;
	ASSERT_EQ(0, mprotect(self->map, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, refusal(ctx, ext));
	ext->flags = 2;
	EXPECT_EQ(EINVAL, refusal(ctx, ext));
}

TEST_F_TIMEOUT(counter, bad_attachments, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ep *ep = &pair->ep[0];
	counter_t *foreign = make(pair->node[1].ctx), forged = *self->counter;

	ASSERT_NE(NULL, foreign);
	EXPECT_EQ(EINVAL, attach(ep, self->counter, 0));
	EXPECT_EQ(EINVAL, attach(ep, self->counter, 1 << 6 | RECV_OPS));
	EXPECT_EQ(EOPNOTSUPP, attach(ep, self->counter,
				     SVANDV_COMP_CNTR_ATTACH_OP_SEND));
	EXPECT_EQ(EOPNOTSUPP,
		  attach(ep, self->counter, SEND_OPS |
			 SVANDV_COMP_CNTR_ATTACH_OP_REMOTE_RDMA_WRITE));
	EXPECT_EQ(EINVAL, attach(ep, foreign, SEND_OPS));
	foreign->context = pair->node[0].ctx;
	forged.handle = foreign->handle + 1000;
	EXPECT_EQ(ENOENT, attach(ep, &forged, SEND_OPS));
	EXPECT_EQ(ENOENT, svandv_set_comp_cntr(&forged, 1));
	forged.handle = ep->qp->handle;		/* an object of another kind */
	EXPECT_NE(0, attach(ep, &forged, SEND_OPS));
	EXPECT_NE(0, svandv_inc_comp_cntr(&forged, 1));
	EXPECT_NE(0, svandv_destroy_comp_cntr(&forged));
	foreign->context = pair->node[1].ctx;
	EXPECT_EQ(0, svandv_destroy_comp_cntr(foreign));

	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	EXPECT_EQ(EINVAL, attach(ep, self->counter, SEND_OPS));
	ASSERT_EQ(0, ep_state(ep, IBV_QPS_ERR));
	EXPECT_EQ(EINVAL, attach(ep, self->counter, SEND_OPS));
	EXPECT_EQ(0, svandv_set_comp_cntr(self->counter, 1));
}

TEST_F_TIMEOUT(counter, too_many, LIMIT)
{
	struct svandv_comp_cntr_caps caps;
	struct ibv_context *ctx = self->pair.node[0].ctx;
	counter_t **counters;
	unsigned int i;

	ASSERT_EQ(0, svandv_query_comp_cntr_caps(ctx, &caps));
	ASSERT_LT(1, caps.max_context_counters);
	ASSERT_LT(caps.max_context_counters, caps.max_counters);
	EXPECT_EQ(SEND_OPS | RECV_OPS, caps.supported_qp_attach_ops);
	counters = calloc(caps.max_context_counters, sizeof(*counters));
	ASSERT_NE(NULL, counters);
	for (i = 1; i < caps.max_context_counters; i++) {	/* one is the fixture's */
		counters[i] = make(ctx);
		ASSERT_NE(NULL, counters[i]);
	}
	EXPECT_EQ(NULL, make(ctx));
	EXPECT_EQ(ENOSPC, errno);
	for (i = 1; i < caps.max_context_counters; i++)
		ASSERT_EQ(0, svandv_destroy_comp_cntr(counters[i]));
	free(counters);
}

/* ---- CQs that are not polled ---- */

TEST_F_TIMEOUT(counter, ignored_overrun, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ep *ep = &pair->ep[0];
	struct ep_opts opts = ep_defaults;
	unsigned int i;

	opts.extended = true;
	opts.ignore_overrun = true;
	opts.cqe = 16;
	ep_destroy(ep);
	ASSERT_EQ(0, ep_create(ep, &pair->node[0], &opts));
	ASSERT_EQ(0, attach(ep, self->counter, SEND_OPS));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
	for (i = 1; i <= 4 * opts.cqe + 5; i++) {
		ASSERT_EQ(0, post_write(pair, 0, IBV_SEND_SIGNALED,
					pair->in[1].mr->rkey));
		ASSERT_EQ(0, await(self->counter->comp_count, i));
		ASSERT_EQ(0, svandv_retire_sends(ep->qp, i));
	}
	EXPECT_EQ(IBV_QPS_RTS, ep_query_state(ep));
	EXPECT_EQ(0, load(self->counter->err_count));
}

/* ---- ends ---- */

/* Counters, attached, while there is traffic; nothing is destroyed. */
static void count_for_ever(void *arg, int fd)
{
	struct pair pair;
	counter_t *counter;

	if (pair_open(&pair, false, SIZE) || pair_create(&pair, &ep_defaults))
		_exit(1);
	counter = make(pair.node[0].ctx);
	if (!counter || attach(&pair.ep[0], counter, SEND_OPS) ||
	    pair_connect(&pair, &conn_defaults))
		_exit(1);
	if (arg) {
		/* The context is closed under the counter, which is the older object. */
		counter = make(pair.node[0].ctx);
		close(pair.node[0].ctx->cmd_fd);
		child_say(fd);
		pause();
	}
	child_say(fd);
	for (;;) {
		if (write_some(&pair, 0, 1) == ENOMEM)
			svandv_retire_sends(pair.ep[0].qp, load(counter->comp_count));
	}
}

/* A warning of the kernel sets a bit. */
static long taint(void)
{
	FILE *file = fopen("/proc/sys/kernel/tainted", "r");
	long value = -1;

	if (file) {
		if (fscanf(file, "%ld", &value) != 1)
			value = -1;
		fclose(file);
	}
	return value;
}

TEST_F_TIMEOUT(counter, killed, LIMIT)
{
	struct child child;
	long before = taint();
	unsigned int i;

	ASSERT_LE(0, before);

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, child_start(&child, count_for_ever, NULL));
		usleep(i * 3000);
		ASSERT_EQ(0, child_kill(&child));
	}
	ASSERT_EQ(0, child_start(&child, count_for_ever, self));
	ASSERT_EQ(0, child_kill(&child));
	EXPECT_EQ(before, taint());
}

/* ---- the accelerator waits ---- */

FIXTURE(accel_counter)
{
	struct pair pair;
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf local;		/* holds the counts, or */
	counter_t *counter;		/* this one's page does, at va */
	uint64_t va;
	uint32_t *status;
	struct accel_buf staging;
	bool revoked;
};

FIXTURE_VARIANT(accel_counter)
{
	bool local;
};

FIXTURE_VARIANT_ADD(accel_counter, host)
{
	.local = false,
};

FIXTURE_VARIANT_ADD(accel_counter, local)
{
	.local = true,
};

/* A counter whose counts are the first words of the buffer. */
static counter_t *make_local(struct ibv_context *ctx, struct accel_buf *local)
{
	int fd = accel_buf_export(local);
	struct svandv_comp_cntr_init_attr attr = {
		.flags = SVANDV_COMP_CNTR_INIT_WITH_EXTERNAL_MEM,
		.comp_cntr_ext_mem = in_dmabuf(fd, 0),
		.err_cntr_ext_mem = in_dmabuf(fd, 8),
	};
	counter_t *counter;

	if (fd < 0)
		return NULL;
	attr.comp_cntr_ext_mem.ptr = local->map;
	attr.err_cntr_ext_mem.ptr = local->map + 8;
	counter = svandv_create_comp_cntr(ctx, &attr);
	close(fd);
	return counter;
}

FIXTURE_SETUP(accel_counter)
{
	struct pair *pair = &self->pair;

	ACCEL_REQUIRE();
	ASSERT_EQ(0, accel_open(&self->accel));
	ASSERT_EQ(0, accel_queue_create(&self->queue, &self->accel, 2));
	ASSERT_EQ(0, accel_buf_alloc(&self->local, &self->accel,
				     DRM_SVAN_ACCEL_BO_LOCAL, PAGE));
	ASSERT_EQ(0, accel_buf_alloc(&self->staging, &self->accel,
				     DRM_SVAN_ACCEL_BO_HOST, PAGE));
	self->status = (uint32_t *)self->staging.map;
	*self->status = UINT32_MAX;
	ASSERT_EQ(0, pair_open(pair, false, SIZE));
	ASSERT_EQ(0, pair_create(pair, &ep_defaults));
	self->va = self->local.va;
	if (variant->local) {
		self->counter = make_local(pair->node[0].ctx, &self->local);
		ASSERT_NE(NULL, self->counter);
	} else {
		self->counter = make(pair->node[0].ctx);
		ASSERT_NE(NULL, self->counter);
		ASSERT_EQ(0, accel_map_user(&self->accel, self->counter->comp_count,
					    PAGE, false, &self->va));
	}
	ASSERT_EQ(0, attach(&pair->ep[0], self->counter, SEND_OPS));
	ASSERT_EQ(0, pair_connect(pair, &conn_defaults));
}

/* All that holds the accelerator. */
static int let_go(FIXTURE_DATA(accel_counter) *self)
{
	accel_queue_destroy(&self->queue);
	accel_buf_free(&self->staging);
	accel_buf_free(&self->local);
	accel_close(&self->accel);
	pair_destroy(&self->pair);
	return svandv_destroy_comp_cntr(self->counter);
}

FIXTURE_TEARDOWN(accel_counter)
{
	if (!accel_exists())
		return;
	if (!self->revoked)
		EXPECT_EQ(0, let_go(self));
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* Until the count of successes reaches value, or that of errors is not 0. */
static struct svan_accel_cmd wait_for(uint64_t counts, uint64_t status,
				      uint64_t value, uint64_t limit_ms)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_WAIT, .width = 8,
		.flags = SVAN_ACCEL_CMD_CONTINUE,
		.condition = SVAN_ACCEL_REACHED,
		.wait = {
			.addr = svan_cpu_to_le64(counts),
			.value = svan_cpu_to_le64(value),
			.mask = svan_cpu_to_le64(UINT64_MAX),
			.errors = svan_cpu_to_le64(counts + 8),
			.limit_ns = svan_cpu_to_le64(limit_ms * 1000000),
			.status = svan_cpu_to_le64(status),
		},
	};
}

TEST_F_TIMEOUT(accel_counter, reached, LIMIT)
{
	accel_post(&self->queue, wait_for(self->va, self->staging.va, 20, WAIT_MS));
	accel_post(&self->queue, accel_fence());
	accel_ring(&self->queue);
	ASSERT_EQ(0, write_some(&self->pair, 0, 19));
	ASSERT_EQ(0, await(self->counter->comp_count, 19));
	usleep(SHORT_MS * 1000);
	EXPECT_EQ(UINT32_MAX, *(volatile uint32_t *)self->status);
	ASSERT_EQ(0, write_some(&self->pair, 0, 1));
	ASSERT_EQ(0, accel_await(&self->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_OK, *(volatile uint32_t *)self->status);
}

TEST_F_TIMEOUT(accel_counter, error, LIMIT)
{
	struct pair *pair = &self->pair;

	accel_post(&self->queue, wait_for(self->va, self->staging.va, 2, WAIT_MS));
	accel_post(&self->queue, accel_fence());
	accel_ring(&self->queue);
	ASSERT_EQ(0, write_some(pair, 0, 1));
	ASSERT_EQ(0, post_write(pair, 0, 0, pair->in[1].mr->rkey ^ 0x100));
	ASSERT_EQ(0, accel_await(&self->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_ERROR_COUNT, *(volatile uint32_t *)self->status);
	EXPECT_EQ(0, ep_expect(&pair->ep[0], 7, IBV_WC_REM_ACCESS_ERR));
}

TEST_F_TIMEOUT(accel_counter, limit, LIMIT)
{
	accel_post(&self->queue, wait_for(self->va, self->staging.va, 2, 50));
	accel_post(&self->queue, accel_fence());
	accel_ring(&self->queue);
	ASSERT_EQ(0, write_some(&self->pair, 0, 1));
	ASSERT_EQ(0, accel_await(&self->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_TIMEOUT, *(volatile uint32_t *)self->status);
	EXPECT_EQ(1, load(self->counter->comp_count));
}

/* The memory of the counts goes: the next completion is the queue pair's last. */
TEST_F_TIMEOUT(accel_counter, revoked, LIMIT)
{
	struct pair *pair = &self->pair;
	int status;

	if (!variant->local)
		SKIP(return, "memory of the host is not revoked");
	ASSERT_EQ(0, write_some(pair, 0, 1));
	ASSERT_EQ(0, await(self->counter->comp_count, 1));
	status = accel_unbind();
	self->revoked = !status;
	if (!status) {
		EXPECT_EQ(EFAULT, svandv_set_comp_cntr(self->counter, 1));
		EXPECT_EQ(0, write_some(pair, 0, 1));
		EXPECT_EQ(0, expect_async(&pair->node[0], IBV_EVENT_QP_FATAL,
					  WAIT_MS));
		EXPECT_EQ(IBV_QPS_ERR, ep_query_state(&pair->ep[0]));
		EXPECT_EQ(0, let_go(self));
		status = accel_rebind();
	}
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
