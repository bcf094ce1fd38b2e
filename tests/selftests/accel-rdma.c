// SPDX-License-Identifier: GPL-2.0-only
/*
 * What accelerator and NIC have of each other, windows and registered memory, and how it
 * is taken away. (Work that the accelerator submits is in trigger.c.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include <infiniband/svandv.h>

#include "trigger-lib.h"

#define LIMIT		120
#define SIZE		65536u
#define RESET		"/sys/class/accel/accel0/device/reset"

FIXTURE(accel_rdma)
{
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf local;
	struct pair pair;
	struct svandv_uar *uar;
	int fd;				/* window of the page */
	uint64_t window;		/* its address in the context */
};

/* Queue pairs in loopback, of which the first has a page of its own. */
static int open_pair(struct pair *pair, struct svandv_uar **uar)
{
	struct ep_opts opts = ep_defaults;
	int ret = pair_open(pair, false, SIZE);

	if (ret)
		return ret;
	*uar = svandv_alloc_uar(pair->node[0].ctx);
	if (!*uar)
		return -errno;
	opts.extended = true;
	opts.max_send_wr = 8;
	opts.uar = *uar;
	ret = ep_create(&pair->ep[0], &pair->node[0], &opts);
	opts.uar = NULL;
	if (!ret)
		ret = ep_create(&pair->ep[1], &pair->node[1], &opts);
	return ret ?: pair_connect(pair, &conn_defaults);
}

FIXTURE_SETUP(accel_rdma)
{
	ACCEL_REQUIRE();
	ASSERT_EQ(0, accel_open(&self->accel));
	ASSERT_EQ(0, accel_queue_create(&self->queue, &self->accel, 4));
	ASSERT_EQ(0, accel_buf_alloc(&self->local, &self->accel, DRM_SVAN_ACCEL_BO_LOCAL,
				     SIZE));
	ASSERT_EQ(0, open_pair(&self->pair, &self->uar));
	self->fd = svandv_uar_export_dmabuf_fd(self->uar);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, accel_import_window(&self->accel, self->fd, &self->window));
	EXPECT_EQ(1, accel_count("windows"));
}

FIXTURE_TEARDOWN(accel_rdma)
{
	accel_buf_free(&self->local);
	accel_queue_destroy(&self->queue);
	accel_close(&self->accel);
	EXPECT_EQ(0, accel_count("windows"));
	close(self->fd);
	ep_destroy(&self->pair.ep[0]);
	ep_destroy(&self->pair.ep[1]);
	if (self->uar)
		EXPECT_EQ(0, svandv_free_uar(self->uar));
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* ---- windows ---- */

/* The page goes: a store that was good a moment ago faults the context. */
TEST_F_TIMEOUT(accel_rdma, window_is_revoked, LIMIT)
{
	struct drm_svan_accel_fault fault;
	uint64_t va;

	ASSERT_EQ(0, accel_do(&self->queue, accel_store(self->window, 0, 0)));
	ep_destroy(&self->pair.ep[0]);
	memset(&self->pair.ep[0], 0, sizeof(self->pair.ep[0]));
	ASSERT_EQ(0, svandv_free_uar(self->uar));
	self->uar = NULL;
	EXPECT_EQ(0, accel_count("windows"));
	EXPECT_EQ(-EIO, accel_do(&self->queue, accel_store(self->window, 0, 0)));
	EXPECT_EQ(SVAN_ACCEL_NOT_MAPPED, accel_queue_status(&self->queue));
	ASSERT_EQ(0, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_FAULT, &fault));
	EXPECT_EQ(self->window, fault.va);
	EXPECT_EQ(-ENODEV, accel_import_window(&self->accel, self->fd, &va));
	EXPECT_EQ(0, accel_unmap(&self->accel, self->window));
}

/* Each context has a mapping of its own, which ends with it. */
TEST_F_TIMEOUT(accel_rdma, window_of_two_contexts, LIMIT)
{
	struct accel other;
	uint64_t va;

	ASSERT_EQ(0, accel_open(&other));
	ASSERT_EQ(0, accel_import_window(&other, self->fd, &va));
	EXPECT_EQ(2, accel_count("windows"));
	accel_close(&other);
	EXPECT_EQ(1, accel_count("windows"));
	EXPECT_EQ(0, accel_do(&self->queue, accel_store(self->window, 0, 0)));
}

/* ---- memory ---- */

static int rdma(struct pair *pair, enum ibv_wr_opcode opcode, struct ibv_mr *mr,
		struct ibv_wc *wc)
{
	struct ibv_sge sge = area_sge(&pair->out[0], 0, SIZE);
	struct ibv_send_wr wr = {
		.opcode = opcode,
		.sg_list = &sge,
		.num_sge = 1,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.rkey = mr->rkey,
	};
	int ret = ep_post_send(&pair->ep[0], &wr);

	return ret ?: ep_wait(&pair->ep[0], wc, WAIT_MS);
}

static int all_are(const uint8_t *octets, uint8_t octet)
{
	uint32_t i;

	for (i = 0; i < SIZE && octets[i] == octet; i++)
		;
	return i == SIZE;
}

/* RDMA to and from local memory; the region keeps it when its buffer is freed. */
TEST_F_TIMEOUT(accel_rdma, memory_is_registered, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ibv_mr *mr = triggered_reg(&self->local, pair->node[1].pd, 0);
	struct ibv_wc wc;

	ASSERT_NE(NULL, mr);
	EXPECT_EQ(1, accel_count("exports"));
	memset(pair->out[0].data, 0x31, SIZE);
	ASSERT_EQ(0, rdma(pair, IBV_WR_RDMA_WRITE, mr, &wc));
	ASSERT_EQ(IBV_WC_SUCCESS, wc.status);
	EXPECT_TRUE(all_are(self->local.map, 0x31));
	ASSERT_EQ(0, accel_do(&self->queue, accel_fill(self->local.va, SIZE, 0x32)));
	accel_buf_free(&self->local);
	ASSERT_EQ(0, rdma(pair, IBV_WR_RDMA_READ, mr, &wc));
	ASSERT_EQ(IBV_WC_SUCCESS, wc.status);
	EXPECT_TRUE(all_are(pair->out[0].data, 0x32));
	EXPECT_EQ(SIZE, accel_count("memory"));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	EXPECT_EQ(0, accel_count_await("exports", 0, WAIT_MS));
	EXPECT_EQ(0, accel_count_await("memory", 0, WAIT_MS));
}

/* A reset of the accelerator takes the memory from the NIC, and it fails as it should. */
TEST_F_TIMEOUT(accel_rdma, memory_is_revoked, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ibv_mr *mr = triggered_reg(&self->local, pair->node[1].pd, 0);
	int fd = open(RESET, O_WRONLY | O_CLOEXEC);
	struct ibv_wc wc;

	ASSERT_NE(NULL, mr);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rdma(pair, IBV_WR_RDMA_WRITE, mr, &wc));
	ASSERT_EQ(IBV_WC_SUCCESS, wc.status);
	ASSERT_EQ(1, write(fd, "1", 1));
	memset(self->local.map, 0x44, SIZE);
	ASSERT_EQ(0, rdma(pair, IBV_WR_RDMA_WRITE, mr, &wc));
	EXPECT_EQ(IBV_WC_REM_ACCESS_ERR, wc.status);
	EXPECT_TRUE(all_are(self->local.map, 0x44));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	close(fd);
}

TEST_HARNESS_MAIN
