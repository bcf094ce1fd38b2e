// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbell pages of single QPs: work that is prepared by one and submitted by another,
 * here by a store of the CPU, and the windows that are exported of such pages.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include <infiniband/svandv.h>

#include "common.h"

#define SIZE		65536u
#define MAX_UARS	64		/* of a context */
#define QUIET_MS	300		/* that nothing happens for */

FIXTURE(window)
{
	struct pair pair;
	struct svandv_uar *uar;
	struct rng rng;
	struct text text;
};

FIXTURE_SETUP(window)
{
	struct ep_opts opts = ep_defaults;

	rng_init(&self->rng, "window");
	ASSERT_EQ(0, text_alloc(&self->text, SIZE, &self->rng));
	ASSERT_EQ(0, pair_open(&self->pair, false, SIZE));
	self->uar = svandv_alloc_uar(self->pair.node[0].ctx);
	ASSERT_NE(NULL, self->uar);
	opts.extended = true;
	opts.max_send_wr = 8;
	opts.uar = self->uar;
	ASSERT_EQ(0, ep_create(&self->pair.ep[0], &self->pair.node[0], &opts));
	opts.uar = NULL;
	ASSERT_EQ(0, ep_create(&self->pair.ep[1], &self->pair.node[1], &opts));
	ASSERT_EQ(0, pair_connect(&self->pair, &conn_defaults));
	memcpy(self->pair.out[0].data, self->text.plain, SIZE);
	memcpy(self->pair.in[1].data, self->text.inverse, SIZE);
}

FIXTURE_TEARDOWN(window)
{
	ep_destroy(&self->pair.ep[0]);
	ep_destroy(&self->pair.ep[1]);
	if (self->uar)
		EXPECT_EQ(0, svandv_free_uar(self->uar));
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
	text_free(&self->text);
}

/* An RDMA WRITE of an octet, begun and not ended. */
static struct ibv_qp_ex *begin_write(struct pair *pair, uint32_t at)
{
	struct ibv_qp_ex *qp = pair->ep[0].qpx;

	ibv_wr_start(qp);
	qp->wr_id = at;
	qp->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_rdma_write(qp, pair->in[1].mr->rkey,
			  (uintptr_t)pair->in[1].data + at);
	ibv_wr_set_sge(qp, pair->out[0].mr->lkey,
		       (uintptr_t)pair->out[0].data + at, 1);
	return qp;
}

static int prepare(struct pair *pair, uint32_t at, struct svandv_trigger *trigger)
{
	return svandv_prepare(begin_write(pair, at), trigger);
}

static void fire(const struct svandv_trigger *trigger)
{
	uint8_t *doorbell = trigger->window->base_addr;

	doorbell += trigger->offset;
	*(volatile uint64_t *)doorbell = htole64(trigger->value);
}

static bool has_come(const struct pair *pair, const struct text *text, uint32_t at)
{
	return pair->in[1].data[at] == text->plain[at];
}

TEST_F(window, prepared_waits_for_its_trigger)
{
	struct pair *pair = &self->pair;
	struct svandv_trigger trigger;
	uint32_t at;

	for (at = 0; at < 100; at++) {
		ASSERT_EQ(0, prepare(pair, at, &trigger));
		EXPECT_EQ(self->uar, trigger.window);
		EXPECT_EQ(8, trigger.width);
		EXPECT_EQ(1, trigger.num_blocks);
		if (at % 50 == 0)
			ASSERT_EQ(0, ep_expect_none(&pair->ep[0], QUIET_MS));
		EXPECT_FALSE(has_come(pair, &self->text, at));
		fire(&trigger);
		ASSERT_EQ(0, ep_expect(&pair->ep[0], at, IBV_WC_SUCCESS));
		EXPECT_TRUE(has_come(pair, &self->text, at));
	}
}

/* A trigger submits what was prepared before it, and not what was prepared behind. */
TEST_F(window, triggers_in_any_order)
{
	struct pair *pair = &self->pair;
	struct svandv_trigger triggers[4];
	uint32_t at;

	for (at = 0; at < 4; at++)
		ASSERT_EQ(0, prepare(pair, at, &triggers[at]));
	fire(&triggers[1]);
	fire(&triggers[0]);	/* says nothing new */
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 0, IBV_WC_SUCCESS));
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 1, IBV_WC_SUCCESS));
	ASSERT_EQ(0, ep_expect_none(&pair->ep[0], QUIET_MS));
	EXPECT_FALSE(has_come(pair, &self->text, 2));
	fire(&triggers[3]);
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 2, IBV_WC_SUCCESS));
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 3, IBV_WC_SUCCESS));
}

TEST_F(window, nothing_is_posted_behind_prepared_work)
{
	struct pair *pair = &self->pair;
	struct ibv_sge sge = area_sge(&pair->out[0], 100, 1);
	struct ibv_send_wr wr = {
		.wr_id = 100, .sg_list = &sge, .num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE, .send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.rkey = pair->in[1].mr->rkey,
		.wr.rdma.remote_addr = (uintptr_t)pair->in[1].data + 100,
	}, *bad;
	struct svandv_trigger trigger;

	ASSERT_EQ(0, prepare(pair, 0, &trigger));
	EXPECT_EQ(EBUSY, ibv_post_send(pair->ep[0].qp, &wr, &bad));
	EXPECT_EQ(&wr, bad);
	EXPECT_EQ(EBUSY, ibv_wr_complete(begin_write(pair, 1)));
	ASSERT_EQ(0, ep_expect_none(&pair->ep[0], QUIET_MS));
	EXPECT_FALSE(has_come(pair, &self->text, 0));
	fire(&trigger);
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 0, IBV_WC_SUCCESS));

	EXPECT_EQ(0, ibv_post_send(pair->ep[0].qp, &wr, &bad));
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 100, IBV_WC_SUCCESS));
	EXPECT_TRUE(has_come(pair, &self->text, 100));
}

TEST_F(window, prepared_work_is_taken_back)
{
	struct pair *pair = &self->pair;
	struct svandv_trigger trigger;
	uint32_t at;

	for (at = 0; at < 8; at++)
		ASSERT_EQ(0, prepare(pair, at, &trigger));
	EXPECT_EQ(ENOMEM, prepare(pair, 8, &trigger));
	EXPECT_EQ(0, svandv_cancel_prepared(pair->ep[0].qp));
	ASSERT_EQ(0, ibv_wr_complete(begin_write(pair, 9)));
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 9, IBV_WC_SUCCESS));
	for (at = 0; at < 8; at++)
		EXPECT_FALSE(has_come(pair, &self->text, at));
	EXPECT_TRUE(has_come(pair, &self->text, 9));
}

/* In the error state a trigger yields flushed completions, not silence. */
TEST_F(window, trigger_in_the_error_state)
{
	struct pair *pair = &self->pair;
	struct svandv_trigger trigger;

	ASSERT_EQ(0, prepare(pair, 0, &trigger));
	ASSERT_EQ(0, ep_state(&pair->ep[0], IBV_QPS_ERR));
	fire(&trigger);
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 0, IBV_WC_WR_FLUSH_ERR));
	EXPECT_FALSE(has_come(pair, &self->text, 0));
}

TEST_F(window, other_queue_pairs_refuse_to_prepare)
{
	struct svandv_trigger trigger;
	struct ibv_qp_ex *qp = self->pair.ep[1].qpx;

	ibv_wr_start(qp);
	EXPECT_EQ(EINVAL, svandv_prepare(qp, &trigger));
	EXPECT_EQ(EINVAL, svandv_cancel_prepared(self->pair.ep[1].qp));
}

TEST_F(window, a_page_is_of_one_queue_pair)
{
	struct ep_opts opts = ep_defaults;
	struct ep ep;

	opts.uar = self->uar;
	EXPECT_EQ(-EINVAL, ep_create(&ep, &self->pair.node[0], &opts));
	EXPECT_EQ(EBUSY, svandv_free_uar(self->uar));
	ep_destroy(&self->pair.ep[0]);
	EXPECT_EQ(0, ep_create(&ep, &self->pair.node[0], &opts));
	ep_destroy(&ep);
}

TEST_F(window, pages_of_a_context_are_bounded)
{
	struct svandv_uar *uars[MAX_UARS];
	int i;

	for (i = 0; i < MAX_UARS - 1; i++) {
		uars[i] = svandv_alloc_uar(self->pair.node[0].ctx);
		ASSERT_NE(NULL, uars[i]);
	}
	EXPECT_EQ(NULL, svandv_alloc_uar(self->pair.node[0].ctx));
	EXPECT_EQ(ENOSPC, errno);
	while (i--)
		EXPECT_EQ(0, svandv_free_uar(uars[i]));
}

/* A page that its owner has freed, but keeps mapped, counts until it is unmapped. */
TEST_F(window, mapped_pages_of_a_context_are_bounded)
{
	struct ibv_context *ctx = self->pair.node[0].ctx;
	void *kept[MAX_UARS];
	struct svandv_uar *uar;
	int i;

	for (i = 0; i < MAX_UARS - 1; i++) {
		uar = svandv_alloc_uar(ctx);
		ASSERT_NE(NULL, uar);
		kept[i] = uar->base_addr;
		/* The provider unmaps something else. */
		uar->base_addr = mmap(NULL, uar->length, PROT_NONE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, uar->base_addr);
		EXPECT_EQ(0, svandv_free_uar(uar));
	}
	EXPECT_EQ(NULL, svandv_alloc_uar(ctx));
	EXPECT_EQ(ENOSPC, errno);
	while (i--)
		EXPECT_EQ(0, munmap(kept[i], 4096));
	uar = svandv_alloc_uar(ctx);
	ASSERT_NE(NULL, uar);
	EXPECT_EQ(0, svandv_free_uar(uar));
}

/*
 * In verbs contexts of one ordinary user, until he gets no more though a context could
 * have more. The process ends with all of them.
 */
static int take_pages(void)
{
	struct node node;
	unsigned int i;

	if (setuid(65534))
		return 1;
	for (;;) {
		if (node_open(&node, LOCAL))
			return 2;
		for (i = 0; i < MAX_UARS; i++)
			if (!svandv_alloc_uar(node.ctx))
				return errno == ENOSPC ? 0 : 3;
	}
}

TEST_F_TIMEOUT(window, pages_of_a_user_are_bounded, 120)
{
	struct svandv_uar *uar;
	int status = -1;
	char path[128];
	pid_t pid;

	snprintf(path, sizeof(path), "/dev/infiniband/%s",
		 self->pair.node[0].ctx->device->dev_name);
	ASSERT_EQ(0, chmod(path, 0666));
	pid = fork();
	if (!pid)
		_exit(take_pages());
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	uar = svandv_alloc_uar(self->pair.node[0].ctx);
	ASSERT_NE(NULL, uar);
	EXPECT_EQ(0, svandv_free_uar(uar));
}

/* Nobody but the accelerator's driver gets at the page through a window. */
TEST_F(window, a_window_is_no_memory)
{
	int fd = svandv_uar_export_dmabuf_fd(self->uar);

	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(NULL, ibv_reg_dmabuf_mr(self->pair.node[0].pd, 0, 4096, 0, fd,
					  IBV_ACCESS_LOCAL_WRITE));
	EXPECT_EQ(EOPNOTSUPP, errno);
	close(fd);
}

/* The window outlives page, QP and context, and leads nowhere then. */
TEST_F(window, a_window_outlives_its_page)
{
	struct node other;
	struct svandv_uar *uar;
	int fd, late;

	ASSERT_EQ(0, node_open(&other, LOCAL));
	uar = svandv_alloc_uar(other.ctx);
	ASSERT_NE(NULL, uar);
	fd = svandv_uar_export_dmabuf_fd(uar);
	ASSERT_LE(0, fd);
	late = svandv_uar_export_dmabuf_fd(uar);
	ASSERT_LE(0, late);
	EXPECT_EQ(0, svandv_free_uar(uar));
	close(fd);
	uar = svandv_alloc_uar(other.ctx);
	ASSERT_NE(NULL, uar);
	fd = svandv_uar_export_dmabuf_fd(uar);
	ASSERT_LE(0, fd);
	node_close(&other);	/* with the page and its window */
	close(fd);
	close(late);
}

/* As long as it is mapped, a page is not given to anybody else. */
TEST_F(window, a_mapped_page_is_not_given_away)
{
	struct ibv_context *ctx = self->pair.node[0].ctx;
	struct svandv_uar *uar = svandv_alloc_uar(ctx), *next;
	uint32_t page_id;
	void *kept;

	ASSERT_NE(NULL, uar);
	page_id = uar->page_id;
	kept = uar->base_addr;
	/* The provider unmaps something else. */
	uar->base_addr = mmap(NULL, uar->length, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, uar->base_addr);
	EXPECT_EQ(0, svandv_free_uar(uar));
	next = svandv_alloc_uar(ctx);
	ASSERT_NE(NULL, next);
	EXPECT_NE(page_id, next->page_id);
	EXPECT_EQ(0, svandv_free_uar(next));

	EXPECT_EQ(0, munmap(kept, 4096));
	next = svandv_alloc_uar(ctx);
	ASSERT_NE(NULL, next);
	EXPECT_EQ(page_id, next->page_id);
	EXPECT_EQ(0, svandv_free_uar(next));
}

TEST_HARNESS_MAIN
