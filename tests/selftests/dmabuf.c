// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is registered through a dma-buf: here the kernel's udmabuf. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"

#include "common.h"

#define SIZE		(4u << 20)	/* more pages than one table has entries */
#define PAGE		4096u

FIXTURE(dmabuf)
{
	struct pair pair;
	struct rng rng;
	struct text text;
	int memfd, fd;
	uint8_t *map;		/* of the same memory */
};

FIXTURE_SETUP(dmabuf)
{
	rng_init(&self->rng, "dmabuf");
	ASSERT_EQ(0, text_alloc(&self->text, SIZE, &self->rng));
	self->memfd = memfd_create("dmabuf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->memfd);
	ASSERT_EQ(0, ftruncate(self->memfd, SIZE));
	ASSERT_EQ(0, fcntl(self->memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	self->map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 self->memfd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	self->fd = udmabuf_create(self->memfd, SIZE);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pair_open(&self->pair, false, SIZE));
	ASSERT_EQ(0, pair_create(&self->pair, &ep_defaults));
	ASSERT_EQ(0, pair_connect(&self->pair, &conn_defaults));
	memcpy(self->pair.out[0].data, self->text.plain, SIZE);
}

FIXTURE_TEARDOWN(dmabuf)
{
	pair_destroy(&self->pair);
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
	close(self->fd);
	munmap(self->map, SIZE);
	close(self->memfd);
	text_free(&self->text);
}

static struct ibv_mr *reg(struct pair *pair, int fd, uint64_t offset,
			  size_t length, uint64_t iova, int access)
{
	return ibv_reg_dmabuf_mr(pair->node[1].pd, offset, length, iova, fd,
				 access);
}

/* RDMA from or to out[0], and its completion. */
static int transfer(struct pair *pair, enum ibv_wr_opcode opcode,
		    const struct ibv_mr *mr, uint64_t remote, uint32_t length,
		    enum ibv_wc_status status)
{
	struct ibv_sge sge = area_sge(&pair->out[0], 0, length);
	struct ibv_send_wr wr = {
		.wr_id = remote, .sg_list = &sge, .num_sge = 1,
		.opcode = opcode, .send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = remote, .rkey = mr->rkey },
	};
	int ret = ep_post_send(&pair->ep[0], &wr);

	return ret ? -ret : ep_expect(&pair->ep[0], remote, status);
}

TEST_F(dmabuf, write_and_read)
{
	struct pair *pair = &self->pair;
	struct ibv_mr *mr = reg(pair, self->fd, 0, SIZE, 0x10000, ACCESS_ALL);

	ASSERT_NE(NULL, mr);
	memcpy(self->map, self->text.inverse, SIZE);
	ASSERT_EQ(0, transfer(pair, IBV_WR_RDMA_WRITE, mr, 0x10000, SIZE,
			      IBV_WC_SUCCESS));
	EXPECT_EQ(0, check_equal("written", self->map, self->text.plain, SIZE));

	memset(self->pair.out[0].data, 0, SIZE);
	ASSERT_EQ(0, transfer(pair, IBV_WR_RDMA_READ, mr, 0x10000, SIZE,
			      IBV_WC_SUCCESS));
	EXPECT_EQ(0, check_equal("read", pair->out[0].data, self->text.plain,
				 SIZE));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
}

/* A part that begins and ends within pages; one page; what is beside it stays. */
TEST_F(dmabuf, parts)
{
	static const struct {
		uint64_t offset;
		uint32_t length;
	} parts[] = {
		{ 0, 1 }, { 0, PAGE }, { PAGE, PAGE }, { 100, 200 },
		{ PAGE - 1, 2 }, { 3 * PAGE + 5, 700 * PAGE }, { SIZE - 1, 1 },
	};
	struct pair *pair = &self->pair;
	unsigned int i;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t offset = parts[i].offset;
		uint32_t length = parts[i].length;
		uint64_t iova = (7ull << 40) + offset % PAGE;
		struct ibv_mr *mr = reg(pair, self->fd, offset, length, iova,
					ACCESS_ALL);

		ASSERT_NE(NULL, mr);
		memcpy(self->map, self->text.inverse, SIZE);
		ASSERT_EQ(0, transfer(pair, IBV_WR_RDMA_WRITE, mr, iova, length,
				      IBV_WC_SUCCESS));
		EXPECT_EQ(0, check_equal("before", self->map,
					 self->text.inverse, offset));
		EXPECT_EQ(0, check_equal("inside", self->map + offset,
					 self->text.plain, length));
		EXPECT_EQ(0, check_equal("behind", self->map + offset + length,
					 self->text.inverse + offset + length,
					 SIZE - offset - length));
		EXPECT_EQ(0, ibv_dereg_mr(mr));
	}
}

/* Send, receive and atomics, as the local memory of a queue pair. */
TEST_F(dmabuf, local)
{
	struct pair *pair = &self->pair;
	struct ibv_mr *mr = reg(pair, self->fd, 0, SIZE, 0, ACCESS_ALL);
	struct ibv_sge sge = area_sge(&pair->out[0], 0, PAGE);
	struct ibv_sge into = { .addr = PAGE, .length = PAGE };
	struct ibv_send_wr wr = {
		.wr_id = 1, .sg_list = &sge, .num_sge = 1,
		.opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED,
	};

	ASSERT_NE(NULL, mr);
	into.lkey = mr->lkey;
	ASSERT_EQ(0, ep_post_recv(&pair->ep[1], 2, &into, 1));
	ASSERT_EQ(0, ep_post_send(&pair->ep[0], &wr));
	ASSERT_EQ(0, ep_expect(&pair->ep[1], 2, IBV_WC_SUCCESS));
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 1, IBV_WC_SUCCESS));
	EXPECT_EQ(0, check_equal("received", self->map + PAGE, self->text.plain,
				 PAGE));

	*(uint64_t *)self->map = 41;
	wr.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
	wr.wr.atomic.remote_addr = 0;
	wr.wr.atomic.rkey = mr->rkey;
	wr.wr.atomic.compare_add = 1;
	sge.length = 8;
	ASSERT_EQ(0, ep_post_send(&pair->ep[0], &wr));
	ASSERT_EQ(0, ep_expect(&pair->ep[0], 1, IBV_WC_SUCCESS));
	EXPECT_EQ(42, *(uint64_t *)self->map);
	EXPECT_EQ(41, *(uint64_t *)pair->out[0].data);
	EXPECT_EQ(0, ibv_dereg_mr(mr));
}

TEST_F(dmabuf, rights)
{
	struct pair *pair = &self->pair;
	struct ibv_mr *mr = reg(pair, self->fd, 0, SIZE, 0,
				IBV_ACCESS_REMOTE_READ);

	ASSERT_NE(NULL, mr);
	memcpy(self->map, self->text.inverse, SIZE);
	ASSERT_EQ(0, transfer(pair, IBV_WR_RDMA_WRITE, mr, 0, PAGE,
			      IBV_WC_REM_ACCESS_ERR));
	EXPECT_EQ(0, check_equal("not written", self->map, self->text.inverse,
				 PAGE));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
}

/* After the region is gone its key leads nowhere. */
TEST_F(dmabuf, gone)
{
	struct pair *pair = &self->pair;
	struct ibv_mr *mr = reg(pair, self->fd, 0, SIZE, 0, ACCESS_ALL);
	struct ibv_mr old;

	ASSERT_NE(NULL, mr);
	old = *mr;
	memcpy(self->map, self->text.inverse, SIZE);
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	ASSERT_EQ(0, transfer(pair, IBV_WR_RDMA_WRITE, &old, 0, PAGE,
			      IBV_WC_REM_ACCESS_ERR));
	EXPECT_EQ(0, check_equal("not written", self->map, self->text.inverse,
				 PAGE));
}

TEST_F(dmabuf, refused)
{
	struct pair *pair = &self->pair;

	EXPECT_EQ(NULL, reg(pair, self->fd, 0, SIZE + PAGE, 0, ACCESS_ALL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(NULL, reg(pair, self->fd, PAGE, UINT64_MAX, 0, ACCESS_ALL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(NULL, reg(pair, self->fd, 0, 0, 0, ACCESS_ALL));
	EXPECT_EQ(NULL, reg(pair, self->fd, 0, PAGE, 1, ACCESS_ALL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(NULL, reg(pair, self->memfd, 0, PAGE, 0, ACCESS_ALL));
	EXPECT_EQ(NULL, reg(pair, -1, 0, PAGE, 0, ACCESS_ALL));
	EXPECT_EQ(NULL, reg(pair, self->fd, 0, PAGE, 0,
			    ACCESS_ALL | IBV_ACCESS_ON_DEMAND));
}

TEST_HARNESS_MAIN
