// SPDX-License-Identifier: GPL-2.0-only
/*
 * Triggered sends from memory that is absent: they wait for it and then come, and who
 * waits for them in the accelerator sees that, or its limit. And the accelerator's memory
 * as memory of the process, by keys that are not of its dma-buf.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demand.h"
#include "kselftest_harness.h"
#include "trigger-lib.h"
#include "unserved.h"

#define LIMIT		200
#define SIZE		TRIGGER_SIZE
#define SHORT_NS	100000000ull
#define OTHERS		(16u << 20)
#define ACCEL_DRIVER	"/sys/bus/pci/drivers/svan_accel"
#define ACCEL_FOLDER	"/sys/class/accel/accel0/device"

FIXTURE(absent)
{
	struct triggered t;
};

FIXTURE_SETUP(absent)
{
	ACCEL_REQUIRE();
	ASSERT_EQ(0, triggered_open(&self->t, false));
}

FIXTURE_TEARDOWN(absent)
{
	if (accel_exists())
		EXPECT_EQ(0, triggered_close(&self->t));
}

/* An RDMA WRITE from there to in[1], and the store that submits it. */
static int post_send_from(struct triggered *t, const struct ibv_mr *mr, void *from)
{
	struct ibv_qp_ex *qp = t->pair.ep[0].qpx;
	const struct area *in = &t->pair.in[1];
	struct svandv_trigger trigger;
	int ret;

	ibv_wr_start(qp);
	qp->wr_id = 7;
	qp->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_rdma_write(qp, in->mr->rkey, (uintptr_t)in->data);
	ibv_wr_set_sge(qp, mr->lkey, (uintptr_t)from, SIZE);
	ret = -svandv_prepare(qp, &trigger);
	if (!ret)
		triggered_post_ring(t, &trigger);
	return ret;
}

/* Wait until the last word that is sent is full of the octet; go on however it ends. */
static void post_wait(struct triggered *t, uint8_t octet, uint64_t limit_ns)
{
	struct svan_accel_cmd wait = accel_wait(t->in + SIZE - 8, word_va(t, ONE), limit_ns);

	*word_at(t, ONE) = 0x0101010101010101ull * octet;
	*word_at(t, STATUS) = UINT64_MAX;
	wait.flags |= SVAN_ACCEL_CMD_CONTINUE;
	wait.condition = SVAN_ACCEL_EQUAL;
	wait.wait.status = svan_cpu_to_le64(word_va(t, STATUS));
	accel_post(&t->queue, wait);
	accel_post(&t->queue, accel_fence());
}

/* How the wait has ended. */
static uint32_t wait_status(struct triggered *t)
{
	return accel_await(&t->queue, WAIT_MS) ? UINT32_MAX :
	       (uint32_t)*(volatile uint64_t *)word_at(t, STATUS);
}

/*
 * The page comes later than the waiter's limit. The send is suspended meanwhile, and comes
 * over when it has its page.
 */
TEST_F_TIMEOUT(absent, held_by_a_userfaultfd, LIMIT)
{
	struct triggered *t = &self->t;
	struct unserved held;
	struct ibv_mr *mr;

	ASSERT_EQ(0, unserved_map(&held, SIZE));
	mr = demand_reg(t->pair.node[0].pd, held.map, SIZE, ACCESS_ALL);
	ASSERT_NE(NULL, mr);
	memset(t->pair.in[1].data, 0xee, SIZE);
	ASSERT_EQ(0, post_send_from(t, mr, held.map));
	post_wait(t, 0, SHORT_NS);
	accel_ring(&t->queue);
	ASSERT_LE(1, unserved_await(&held));
	EXPECT_EQ(SVAN_ACCEL_TIMEOUT, wait_status(t));
	EXPECT_EQ(0xee, t->pair.in[1].data[SIZE - 1]);
	EXPECT_EQ(0, ep_expect_none(&t->pair.ep[0], 0));

	post_wait(t, 0, TRIGGER_WAIT_NS);
	accel_ring(&t->queue);
	ASSERT_EQ(0, unserved_serve(&held));
	EXPECT_EQ(SVAN_ACCEL_OK, wait_status(t));
	EXPECT_EQ(0, ep_expect(&t->pair.ep[0], 7, IBV_WC_SUCCESS));
	EXPECT_EQ(0, check_equal("sent", t->pair.in[1].data, held.map, SIZE));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	unserved_unmap(&held);
}

/* Pages of it that are in swap, by the process' page map. */
static unsigned int pages_in_swap(const uint8_t *map)
{
	uint64_t entries[SIZE / PAGE] = {};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned int i, count = 0;

	if (fd < 0 || pread(fd, entries, sizeof(entries), (uintptr_t)map / PAGE * 8) !=
		      sizeof(entries))
		complain("/proc/self/pagemap: %m");
	close(fd);
	for (i = 0; i < SIZE / PAGE; i++)
		count += entries[i] >> 62 & 1;
	return count;
}

/*
 * Pages that were given back are others', who store to them: whoever still reads there does
 * not find what he has lost.
 */
static int overwrite_free_pages(void)
{
	uint8_t *map = mmap(NULL, OTHERS, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || madvise(map, OTHERS, MADV_NOHUGEPAGE)) {
		complain("memory of others: %m");
		return -errno;
	}
	memset(map, 0xdd, OTHERS);
	munmap(map, OTHERS);
	return 0;
}

/* The kernel may keep a page back that another CPU has just touched. */
static int page_out(uint8_t *map)
{
	uint64_t deadline = now_ms() + WAIT_MS;

	do {
		write_to("/proc/sys/vm", "compact_memory", "1");
		if (madvise(map, SIZE, MADV_PAGEOUT)) {
			complain("MADV_PAGEOUT: %m");
			return -errno;
		}
		if (pages_in_swap(map))
			return overwrite_free_pages();
	} while (now_ms() < deadline);
	complain("no page is swapped out");
	return -ETIMEDOUT;
}

TEST_F_TIMEOUT(absent, swapped_out, LIMIT)
{
	struct triggered *t = &self->t;
	struct ibv_mr *mr;
	struct mem mem;
	uint64_t requests;
	uint8_t octet;

	ASSERT_TRUE(swap_on());
	/* The kernel gives pages again first to the CPU that they were given back by. */
	ASSERT_EQ(0, share_a_cpu());
	ASSERT_EQ(0, mem_map(&mem, MEM_ANON, SIZE));
	mr = demand_reg(t->pair.node[0].pd, mem.map, SIZE, ACCESS_ALL);
	ASSERT_NE(NULL, mr);
	for (octet = 1; octet <= 5; octet++) {
		memset(mem.map, octet, SIZE);
		ASSERT_EQ(0, page_out(mem.map));
		requests = counter_of(LOCAL, "page_requests");
		ASSERT_EQ(0, post_send_from(t, mr, mem.map));
		post_wait(t, octet, TRIGGER_WAIT_NS);
		accel_ring(&t->queue);
		ASSERT_EQ(SVAN_ACCEL_OK, wait_status(t));
		ASSERT_EQ(0, ep_expect(&t->pair.ep[0], 7, IBV_WC_SUCCESS));
		EXPECT_LT(requests, counter_of(LOCAL, "page_requests"));
		ASSERT_EQ(0, check_equal("sent", t->pair.in[1].data, mem.map, SIZE));
	}
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	mem_unmap(&mem);
	swap_off();
}

/* ---- the accelerator's memory, mapped ---- */

FIXTURE(mapped)
{
	struct pair pair;
	struct ibv_mr *all[2];		/* process keys */
	struct accel accel;
	struct accel_buf local;
	char device[PATH_MAX];
	bool bound;
};

FIXTURE_SETUP(mapped)
{
	ACCEL_REQUIRE();
	ASSERT_NE(NULL, realpath(ACCEL_FOLDER, self->device));
	ASSERT_EQ(0, implicit_open(&self->pair, SIZE, self->all));
	ASSERT_EQ(0, pair_create(&self->pair, &ep_defaults));
	ASSERT_EQ(0, pair_connect(&self->pair, &conn_defaults));
	ASSERT_EQ(0, accel_open(&self->accel));
	ASSERT_EQ(0, accel_buf_alloc(&self->local, &self->accel, DRM_SVAN_ACCEL_BO_LOCAL,
				     SIZE));
	self->bound = true;
}

FIXTURE_TEARDOWN(mapped)
{
	if (!accel_exists() && self->bound)
		return;
	accel_buf_free(&self->local);
	accel_close(&self->accel);
	if (!self->bound)
		EXPECT_EQ(0, driver_bind(ACCEL_DRIVER, self->device, true));
	EXPECT_EQ(0, implicit_close(&self->pair, self->all));
}

/* Between the mapping, by its address in the process, and pinned memory of the other. */
static int move(FIXTURE_DATA(mapped) *self, enum ibv_wr_opcode opcode, uint32_t key,
		bool remote)
{
	struct area *area = remote ? &self->pair.out[0] : &self->pair.in[1];
	struct op op = {
		.opcode = opcode,
		.local = remote ? area->data : self->local.map,
		.lkey = remote ? area->mr->lkey : key,
		.remote = remote ? self->local.map : area->data,
		.rkey = remote ? key : area->mr->rkey,
		.length = SIZE,
	};

	return op_run(&self->pair.ep[0], &self->pair.ep[1], &op, NULL);
}

static int reconnect(struct pair *pair)
{
	pair_destroy(pair);
	return pair_create(pair, &ep_defaults) ?: pair_connect(pair, &conn_defaults);
}

static void fill(volatile uint8_t *map, uint8_t octet)
{
	memset((void *)map, octet, SIZE);
	__sync_synchronize();
}

/*
 * A process key reaches it as the CPU does: whether its pages are in the page table
 * already, or the NIC is the first to touch them.
 */
TEST_F_TIMEOUT(mapped, by_a_process_key, LIMIT)
{
	struct pair *pair = &self->pair;
	uint64_t walks = counter_of(LOCAL, "context_walks");
	uint64_t requests = counter_of(LOCAL, "page_requests");
	uint64_t seen;

	if (!demand_supported(pair->node[0].ctx, true))
		SKIP(return, "there are no process keys");
	memset(pair->out[0].data, 0x21, SIZE);
	ASSERT_EQ(0, move(self, IBV_WR_RDMA_WRITE, self->all[1]->rkey, true));
	EXPECT_LT(requests, counter_of(LOCAL, "page_requests"));
	EXPECT_LT(walks, counter_of(LOCAL, "context_walks"));
	EXPECT_EQ(0, check_equal("written", self->local.map, pair->out[0].data, SIZE));

	fill(self->local.map, 0x22);
	ASSERT_EQ(0, move(self, IBV_WR_RDMA_READ, self->all[1]->rkey, true));
	EXPECT_EQ(0, check_equal("read", pair->out[0].data, self->local.map, SIZE));
	fill(self->local.map, 0x23);
	ASSERT_EQ(0, move(self, IBV_WR_RDMA_WRITE, self->all[0]->lkey, false));
	EXPECT_EQ(0, check_equal("sent", pair->in[1].data, self->local.map, SIZE));

	*(volatile uint64_t *)self->local.map = 41;
	__sync_synchronize();
	ASSERT_EQ(0, op_run(&pair->ep[0], &pair->ep[1], &(struct op){
		.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD, .local = &seen,
		.lkey = self->all[0]->lkey, .remote = self->local.map,
		.rkey = self->all[1]->rkey, .length = 8, .compare_add = 1,
	}, NULL));
	EXPECT_EQ(41, seen);
	EXPECT_EQ(42, *(volatile uint64_t *)self->local.map);
}

/* When it is unmapped, or its device goes, the key leads nowhere, at once. */
TEST_F_TIMEOUT(mapped, until_it_goes, LIMIT)
{
	struct pair *pair = &self->pair;
	struct accel_buf next;

	if (!demand_supported(pair->node[0].ctx, true))
		SKIP(return, "there are no process keys");
	ASSERT_EQ(0, move(self, IBV_WR_RDMA_WRITE, self->all[1]->rkey, true));
	ASSERT_EQ(0, mprotect(self->local.map, SIZE, PROT_READ));
	EXPECT_EQ(0, move(self, IBV_WR_RDMA_READ, self->all[1]->rkey, true));
	EXPECT_EQ(IBV_WC_REM_ACCESS_ERR,
		  move(self, IBV_WR_RDMA_WRITE, self->all[1]->rkey, true));
	ASSERT_EQ(0, reconnect(pair));
	ASSERT_EQ(0, mprotect(self->local.map, SIZE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, move(self, IBV_WR_RDMA_WRITE, self->all[1]->rkey, true));

	/* The memory is another buffer's, and the old mapping nobody's. */
	ASSERT_EQ(0, munmap(self->local.map, SIZE));
	EXPECT_EQ(IBV_WC_REM_ACCESS_ERR,
		  move(self, IBV_WR_RDMA_WRITE, self->all[1]->rkey, true));
	ASSERT_EQ(0, reconnect(pair));
	self->local.map = NULL;
	accel_buf_free(&self->local);
	ASSERT_EQ(0, accel_buf_alloc(&next, &self->accel, DRM_SVAN_ACCEL_BO_LOCAL, SIZE));
	self->local = next;
	memset(pair->out[0].data, 0x31, SIZE);
	ASSERT_EQ(0, move(self, IBV_WR_RDMA_WRITE, self->all[1]->rkey, true));
	EXPECT_EQ(0x31, *(volatile uint8_t *)(self->local.map + SIZE - 1));

	ASSERT_EQ(0, driver_bind(ACCEL_DRIVER, self->device, false));
	self->bound = false;
	EXPECT_EQ(IBV_WC_REM_ACCESS_ERR,
		  move(self, IBV_WR_RDMA_WRITE, self->all[1]->rkey, true));
	ASSERT_EQ(0, reconnect(pair));
	EXPECT_EQ(IBV_WC_LOC_PROT_ERR,
		  move(self, IBV_WR_RDMA_WRITE, self->all[0]->lkey, false));
	ASSERT_EQ(0, reconnect(pair));
}

/* An on-demand key has no page of it: registered it can be, reached it cannot. */
TEST_F_TIMEOUT(mapped, by_an_on_demand_key, LIMIT)
{
	struct pair *pair = &self->pair;
	struct ibv_mr *mr = demand_reg(pair->node[1].pd, self->local.map, SIZE, ACCESS_ALL);

	ASSERT_NE(NULL, mr);
	fill(self->local.map, 0x41);
	memset(pair->out[0].data, 0x42, SIZE);
	EXPECT_EQ(IBV_WC_REM_ACCESS_ERR, move(self, IBV_WR_RDMA_WRITE, mr->rkey, true));
	ASSERT_EQ(0, reconnect(pair));
	EXPECT_EQ(0x41, *(volatile uint8_t *)self->local.map);
	EXPECT_EQ(0, ibv_dereg_mr(mr));

	mr = demand_reg(pair->node[0].pd, self->local.map, SIZE, ACCESS_ALL);
	ASSERT_NE(NULL, mr);
	EXPECT_EQ(IBV_WC_LOC_PROT_ERR, move(self, IBV_WR_RDMA_WRITE, mr->lkey, false));
	ASSERT_EQ(0, reconnect(pair));
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	/* Nor can it be pinned. */
	EXPECT_EQ(NULL, ibv_reg_mr(pair->node[0].pd, self->local.map, SIZE, ACCESS_ALL));
}

/* Registers are no memory: the NIC does not store to doorbells that the process has mapped. */
TEST_F_TIMEOUT(mapped, registers_are_no_memory, LIMIT)
{
	struct pair *pair = &self->pair;

	if (!demand_supported(pair->node[0].ctx, true))
		SKIP(return, "there are no process keys");
	self->accel.doorbells[0] = 0;		/* so that the page is in the table */
	EXPECT_EQ(IBV_WC_REM_ACCESS_ERR, op_run(&pair->ep[0], &pair->ep[1], &(struct op){
		.opcode = IBV_WR_RDMA_WRITE, .local = pair->out[0].data,
		.lkey = pair->out[0].mr->lkey, .remote = (void *)self->accel.doorbells,
		.rkey = self->all[1]->rkey, .length = 8,
	}, NULL));
	ASSERT_EQ(0, reconnect(pair));
}

TEST_HARNESS_MAIN
