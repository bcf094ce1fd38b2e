// SPDX-License-Identifier: GPL-2.0-only
/*
 * On-demand and process keys at their edges: addresses that cannot be, keys of
 * others, advice, policies, and pages that come too late.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "demand.h"
#include "kselftest_harness.h"
#include "unserved.h"

#define LIMIT		300
#define AREA		65536u

FIXTURE(edge)
{
	struct pair pair;
	struct conn conn;
	struct ibv_mr *all[2];
};

static int reconnect(FIXTURE_DATA(edge) *self)
{
	int ret;

	pair_destroy(&self->pair);
	ret = pair_create(&self->pair, &ep_defaults);
	return ret ? ret : pair_connect(&self->pair, &self->conn);
}

FIXTURE_SETUP(edge)
{
	self->conn = conn_defaults;
	ASSERT_EQ(0, implicit_open(&self->pair, AREA, self->all));
	ASSERT_EQ(0, reconnect(self));
}

FIXTURE_TEARDOWN(edge)
{
	EXPECT_EQ(0, implicit_close(&self->pair, self->all));
}

/* An operation of ep[0], whose own memory is pinned where it is not named. */
static int run(FIXTURE_DATA(edge) *self, struct op op)
{
	struct area *area = op.opcode == IBV_WR_RDMA_WRITE ?
			    &self->pair.out[0] : &self->pair.in[0];

	if (!op.lkey) {
		op.local = area->data;
		op.lkey = area->mr->lkey;
	}
	return op_run(&self->pair.ep[0], &self->pair.ep[1], &op, NULL);
}

/* ---- addresses ---- */

static const struct {
	uint64_t addr;
	uint32_t length;
} bad_ranges[] = {
	{ 0, 64 },
	{ 0x7ffffffff000, 64 },			/* the last page below 2^47 */
	{ 0x7fffffffefc0, 4096 },
	{ 0x800000000000, 64 },
	{ 0x7fffffffffc0, 4096 },		/* across */
	{ 1ull << 56, 64 },
	{ (1ull << 56) - 32, 64 },
	{ 0x8000000000000000, 64 },
	{ 0xffff800000000000, 64 },		/* the kernel's half */
	{ 0xffff888000000000, 64 },
	{ 0xffffffff81000000, 64 },
	{ 0xffffffffff600000, 64 },		/* vsyscall */
	{ 0xffffffffffffffc0, 64 },
	{ 0xffffffffffffffe0, 64 },		/* wraps */
	{ 0xffffffffffffff00, 65536 },
};

TEST_F_TIMEOUT(edge, bad_addresses, LIMIT)
{
	unsigned int i, w;

	for (i = 0; i < ARRAY_SIZE(bad_ranges); i++) {
		struct op op = { .length = bad_ranges[i].length };

		for (w = 0; w < 2; w++) {
			op.opcode = w ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ;
			op.remote = (void *)bad_ranges[i].addr;
			op.rkey = self->all[1]->rkey;
			op.lkey = 0;
			EXPECT_EQ(IBV_WC_REM_ACCESS_ERR, run(self, op))
				TH_LOG("remote %p of %u, opcode %d", op.remote,
				       op.length, op.opcode);
			ASSERT_EQ(0, reconnect(self));

			op.local = op.remote;
			op.lkey = self->all[0]->lkey;
			op.remote = self->pair.in[1].data;
			op.rkey = self->pair.in[1].mr->rkey;
			EXPECT_EQ(IBV_WC_LOC_PROT_ERR, run(self, op))
				TH_LOG("local %p of %u, opcode %d", op.local,
				       op.length, op.opcode);
			ASSERT_EQ(0, reconnect(self));
		}
	}
}

/* Such a region may be had, as it may name anything; its memory may not. */
TEST_F_TIMEOUT(edge, bad_regions, LIMIT)
{
	struct ibv_pd *pd = self->pair.node[1].pd;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_ranges); i++) {
		struct op op = {
			.opcode = IBV_WR_RDMA_WRITE,
			.remote = (void *)bad_ranges[i].addr,
			.length = bad_ranges[i].length,
		};
		struct ibv_mr *mr = demand_reg(pd, op.remote, op.length,
					       ACCESS_ALL);

		if (!mr)
			continue;
		op.rkey = mr->rkey;
		EXPECT_EQ(IBV_WC_REM_ACCESS_ERR, run(self, op))
			TH_LOG("region at %p", op.remote);
		ASSERT_EQ(0, ibv_dereg_mr(mr));
		ASSERT_EQ(0, reconnect(self));
	}
	/* not everything, and not nothing */
	ASSERT_EQ(NULL, demand_reg(pd, (void *)4096, SIZE_MAX, ACCESS_ALL));
	ASSERT_EQ(NULL, demand_reg(pd, self->pair.in[1].data, 0, ACCESS_ALL));
}

/* ---- bounds of an on-demand key ---- */

TEST_F_TIMEOUT(edge, bounds, LIMIT)
{
	static const struct {
		int from;
		uint32_t length;
		bool good;
	} cases[] = {
		{ 100, 5000, true }, { 5099, 1, true }, { 99, 10, false },
		{ 99, 1, false }, { 5090, 11, false }, { 5100, 1, false },
		{ 100, 5001, false }, { 4096, 1004, true },
	};
	struct ibv_mr *mr;
	struct mem mem;
	unsigned int i;

	ASSERT_EQ(0, mem_map(&mem, MEM_ANON, 4 * PAGE));
	mr = demand_reg(self->pair.node[1].pd, mem.map + 100, 5000, ACCESS_ALL);
	ASSERT_NE(NULL, mr);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct op op = {
			.opcode = IBV_WR_RDMA_WRITE,
			.remote = mem.map + cases[i].from,
			.rkey = mr->rkey,
			.length = cases[i].length,
		};

		EXPECT_EQ(cases[i].good ? 0 : IBV_WC_REM_ACCESS_ERR,
			  run(self, op)) TH_LOG("case %u", i);
		if (!cases[i].good)
			ASSERT_EQ(0, reconnect(self));
	}
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	mem_unmap(&mem);
}

/* ---- memory that may be written only ---- */

/*
 * It can be had through the page table, and not through a table of its own; in
 * either case there is an end, after which nobody asks for its page any more.
 */
TEST_F_TIMEOUT(edge, write_only, LIMIT)
{
	struct op op = { .opcode = IBV_WR_RDMA_WRITE, .length = PAGE };
	int implicit, status;
	struct ibv_mr *mr;
	uint64_t again;
	uint8_t *map;

	for (implicit = 0; implicit < 2; implicit++) {
		map = mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
		ASSERT_NE(MAP_FAILED, map);
		mr = implicit ? self->all[1] :
		     demand_reg(self->pair.node[1].pd, map, PAGE, ACCESS_ALL);
		ASSERT_NE(NULL, mr);
		op.remote = map;
		op.rkey = mr->rkey;
		status = run(self, op);
		EXPECT_TRUE(!status || status == IBV_WC_REM_ACCESS_ERR)
			TH_LOG("implicit %d: %s", implicit,
			       ibv_wc_status_str(status));
		if (!status)
			EXPECT_EQ(0, mprotect(map, PAGE, PROT_READ) ||
				     memcmp(map, self->pair.out[0].data, PAGE));
		again = counter_of(LOCAL, "page_faults_again");
		usleep(300000);
		EXPECT_EQ(again, counter_of(LOCAL, "page_faults_again"));
		ASSERT_EQ(0, reconnect(self));
		if (!implicit)
			ASSERT_EQ(0, ibv_dereg_mr(mr));
		munmap(map, PAGE);
	}
}

/* ---- somebody else's key ---- */

TEST_F_TIMEOUT(edge, keys_of_others, LIMIT)
{
	struct op op = { .opcode = IBV_WR_RDMA_WRITE, .length = 64 };

	/* ep[1] serves with a key of ep[0]'s context */
	op.remote = self->pair.in[0].data;
	op.rkey = self->all[0]->rkey;
	ASSERT_EQ(IBV_WC_REM_ACCESS_ERR, run(self, op));
	ASSERT_EQ(0, reconnect(self));
	/* ep[0] sends with a key of ep[1]'s context */
	op.local = self->pair.out[0].data;
	op.lkey = self->all[1]->lkey;
	op.remote = self->pair.in[1].data;
	op.rkey = self->all[1]->rkey;
	ASSERT_EQ(IBV_WC_LOC_PROT_ERR, run(self, op));
	ASSERT_EQ(0, reconnect(self));
	/* and one that is no more */
	op.lkey = 0;
	ASSERT_EQ(0, run(self, op));
	ASSERT_EQ(0, ibv_dereg_mr(self->all[1]));
	ASSERT_EQ(IBV_WC_REM_ACCESS_ERR, run(self, op));
	ASSERT_EQ(0, reconnect(self));
	self->all[1] = demand_reg(self->pair.node[1].pd, NULL, SIZE_MAX,
				  ACCESS_ALL);
	ASSERT_NE(NULL, self->all[1]);
}

/* ---- advice ---- */

static int advise(struct ibv_mr *mr, int advice, int flags, void *addr,
		  uint32_t length)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)addr,
		.length = length,
		.lkey = mr->lkey,
	};

	return ibv_advise_mr(mr->pd, advice, flags, &sge, 1);
}

#define ADVISED		(32 * PAGE)

/* Page requests of a WRITE to all of it. */
static int64_t write_requests(FIXTURE_DATA(edge) *self, struct ibv_mr *mr,
			      void *at)
{
	struct op op = { .opcode = IBV_WR_RDMA_WRITE, .remote = at,
			 .rkey = mr->rkey, .length = AREA };
	uint64_t before = counter_of(LOCAL, "page_requests");

	if (run(self, op) || memcmp(at, self->pair.out[0].data, AREA))
		return -1;
	return counter_of(LOCAL, "page_requests") - before;
}

/*
 * After the pages went and the advice was given, with time to be followed, no
 * page is asked for. It is advice: on a busy machine it may take another go.
 */
static bool prefetched(FIXTURE_DATA(edge) *self, struct ibv_mr *mr, void *at,
		       int flags)
{
	int tries;

	for (tries = 0; tries < 3; tries++) {
		if (madvise(at, ADVISED, MADV_DONTNEED) ||
		    advise(mr, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, flags, at,
			   AREA))
			return false;
		if (!flags)
			usleep(300000);
		if (!write_requests(self, mr, at))
			return true;
	}
	return false;
}

TEST_F_TIMEOUT(edge, prefetch, LIMIT)
{
	struct ibv_pd *pd = self->pair.node[1].pd;
	struct ibv_mr *mr;
	struct mem mem;
	int implicit;

	for (implicit = 0; implicit < 2; implicit++) {
		ASSERT_EQ(0, mem_map(&mem, MEM_ANON, ADVISED));
		mr = implicit ? self->all[1] :
		     demand_reg(pd, mem.map, ADVISED, ACCESS_ALL);
		ASSERT_NE(NULL, mr);
		/* nothing is there, and this does not change it */
		ASSERT_EQ(0, advise(mr, IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
				    IBV_ADVISE_MR_FLAG_FLUSH, mem.map, AREA));
		ASSERT_LT(0, write_requests(self, mr, mem.map));
		ASSERT_TRUE(prefetched(self, mr, mem.map,
				       IBV_ADVISE_MR_FLAG_FLUSH));
		/* for reading: the zero page is replaced on the first store */
		ASSERT_EQ(0, madvise(mem.map, ADVISED, MADV_DONTNEED));
		ASSERT_EQ(0, advise(mr, IBV_ADVISE_MR_ADVICE_PREFETCH,
				    IBV_ADVISE_MR_FLAG_FLUSH, mem.map, AREA));
		ASSERT_LT(0, write_requests(self, mr, mem.map));
		ASSERT_TRUE(prefetched(self, mr, mem.map, 0));
		if (!implicit)
			ASSERT_EQ(0, ibv_dereg_mr(mr));
		mem_unmap(&mem);
	}
}

TEST_F_TIMEOUT(edge, prefetch_no_fault, LIMIT)
{
	struct ibv_mr *mr;
	struct mem mem;

	ASSERT_EQ(0, mem_map(&mem, MEM_ANON, ADVISED));
	memset(mem.map, 1, ADVISED);
	mr = demand_reg(self->pair.node[1].pd, mem.map, ADVISED, ACCESS_ALL);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, advise(mr, IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
			    IBV_ADVISE_MR_FLAG_FLUSH, mem.map, ADVISED));
	ASSERT_EQ(0, write_requests(self, mr, mem.map));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	mem_unmap(&mem);
}

TEST_F_TIMEOUT(edge, bad_advice, LIMIT)
{
	const int now = IBV_ADVISE_MR_FLAG_FLUSH;
	struct ibv_mr *mr, *ro, *other, lost;
	struct mem mem;

	ASSERT_EQ(0, mem_map(&mem, MEM_ANON, 4 * PAGE));
	mr = demand_reg(self->pair.node[1].pd, mem.map, 2 * PAGE, ACCESS_ALL);
	ro = demand_reg(self->pair.node[1].pd, mem.map, 2 * PAGE,
			IBV_ACCESS_REMOTE_READ);
	other = demand_reg(self->pair.node[0].pd, mem.map, PAGE, ACCESS_ALL);
	ASSERT_TRUE(mr && ro && other);
	EXPECT_EQ(EFAULT, advise(mr, 0, now, mem.map + PAGE, 2 * PAGE));
	EXPECT_EQ(EFAULT, advise(mr, 0, now, mem.map - 1, 2));
	EXPECT_EQ(EPERM, advise(ro, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, now,
				mem.map, PAGE));
	EXPECT_EQ(0, advise(ro, 0, now, mem.map, PAGE));
	lost = *mr;
	lost.lkey += 0x77;
	EXPECT_NE(0, advise(&lost, 0, now, mem.map, PAGE));
	lost = *other;
	lost.pd = self->pair.node[1].pd;
	EXPECT_NE(0, advise(&lost, 0, now, mem.map, PAGE));
	/* the mapping has gone: nothing comes, and that is said */
	munmap(mem.map, mem.length);
	EXPECT_EQ(EFAULT, advise(mr, 0, now, mem.map, PAGE));
	EXPECT_EQ(EFAULT, advise(self->all[1], 0, now, mem.map, PAGE));
	EXPECT_EQ(0, advise(mr, 0, 0, mem.map, PAGE));
	/* advice under way does not hold up the end of its region */
	EXPECT_EQ(0, ibv_dereg_mr(mr));
	EXPECT_EQ(0, ibv_dereg_mr(ro));
	EXPECT_EQ(0, ibv_dereg_mr(other));
}

/* ---- policies ---- */

TEST_F_TIMEOUT(edge, policy, LIMIT)
{
	struct svandv_fault_policy policy, seen;
	struct ibv_qp *qp = self->pair.ep[1].qp;
	int mode;

	ASSERT_EQ(0, svandv_query_fault_policy(qp, &policy));
	for (mode = SVANDV_FAULT_AUTO; mode <= SVANDV_FAULT_DROP; mode++) {
		policy.mode = mode;
		policy.hold_max_us = 1000 + mode;
		policy.divert_max_us = 2000 + mode;
		policy.drop_max_us = 3000 + mode;
		policy.bound_us = 4000 + mode;
		policy.unknown_us = 5000 + mode;
		policy.hold_bytes = 6000 + mode;
		policy.divert_pages = 7 + mode;
		policy.sources = mode & 7;
		ASSERT_EQ(0, svandv_set_fault_policy(qp, &policy));
		memset(&seen, 0xff, sizeof(seen));
		ASSERT_EQ(0, svandv_query_fault_policy(qp, &seen));
		ASSERT_EQ(0, memcmp(&seen, &policy, sizeof(seen)));
	}
	policy.mode = SVANDV_FAULT_DROP + 1;
	EXPECT_EQ(EINVAL, svandv_set_fault_policy(qp, &policy));
	policy.mode = 255;
	EXPECT_EQ(EINVAL, svandv_set_fault_policy(qp, &policy));
	policy.mode = 257;
	EXPECT_EQ(EINVAL, svandv_set_fault_policy(qp, &policy));
	policy.mode = SVANDV_FAULT_HOLD;
	policy.sources = 8;
	EXPECT_EQ(EINVAL, svandv_set_fault_policy(qp, &policy));
	policy.sources = 7 | 256;
	EXPECT_EQ(EINVAL, svandv_set_fault_policy(qp, &policy));
	ASSERT_EQ(0, svandv_query_fault_policy(qp, &policy));
	EXPECT_EQ(0, memcmp(&seen, &policy, sizeof(seen)));
}

/* ---- pages that come late ---- */

struct late {
	enum svandv_fault_mode mode;
	uint32_t bound_us;
	uint8_t rnr_retry;
	int status;
	const char *counter;	/* that must have grown */
};

static int late_once(FIXTURE_DATA(edge) *self, const struct late *late)
{
	struct svandv_fault_policy policy;
	struct op op = { .opcode = IBV_WR_RDMA_WRITE, .length = PAGE };
	struct server server;
	struct mem mem;
	int status;

	self->conn.rnr_retry = late->rnr_retry;
	/* 4 s: who has shown an ACK timeout is told to wait, which costs a retry */
	self->conn.timeout = 20;
	if (reconnect(self) || mem_map(&mem, MEM_ANON, 2 * PAGE))
		return -EIO;
	svandv_query_fault_policy(self->pair.ep[1].qp, &policy);
	policy.mode = late->mode;
	policy.bound_us = late->bound_us;
	/* nobody says how long: a short timer, so that it comes back early */
	policy.sources = 0;
	policy.unknown_us = 1000;
	if (svandv_set_fault_policy(self->pair.ep[1].qp, &policy) ||
	    server_start(&server, mem.map, mem.length, 700, 0x5a))
		return -EIO;
	op.remote = mem.map;
	op.rkey = self->all[1]->rkey;
	status = run(self, op);
	/* it is served in the end, to nobody */
	if (mem.map[PAGE - 1] != (status ? 0x5a : self->pair.out[0].data[7]))
		status = -EIO;
	server_stop(&server);
	self->conn.rnr_retry = conn_defaults.rnr_retry;
	self->conn.timeout = conn_defaults.timeout;
	if (!status || !reconnect(self)) {
		memset(self->pair.out[0].data, 0x31, PAGE);
		if (run(self, op) || mem.map[PAGE - 1] != 0x31)
			status = -EIO;
		memset(self->pair.out[0].data, CANARY, PAGE);
	}
	mem_unmap(&mem);
	return status;
}

TEST_F_TIMEOUT(edge, late_pages, LIMIT)
{
	static const struct late cases[] = {
		{ SVANDV_FAULT_RNR, 0, 0, IBV_WC_RNR_RETRY_EXC_ERR, "fault_rnr" },
		/* what comes back too early is held, then sent away once more */
		{ SVANDV_FAULT_RNR, 10000, 1, IBV_WC_RNR_RETRY_EXC_ERR,
		  "fault_rnr" },
		{ SVANDV_FAULT_RNR, 10000, 7, IBV_WC_SUCCESS, "fault_rnr" },
		{ SVANDV_FAULT_RNR, 0, 1, IBV_WC_SUCCESS, "fault_rnr" },
		{ SVANDV_FAULT_HOLD, 0, 0, IBV_WC_SUCCESS, "fault_hold" },
		{ SVANDV_FAULT_HOLD, 10000, 0, IBV_WC_RNR_RETRY_EXC_ERR,
		  "fault_fallback" },
		{ SVANDV_FAULT_HOLD, 10000, 7, IBV_WC_SUCCESS, "fault_fallback" },
		{ SVANDV_FAULT_DIVERT, 0, 0, IBV_WC_SUCCESS, "fault_divert" },
		{ SVANDV_FAULT_DROP, 0, 0, IBV_WC_SUCCESS, "fault_drop" },
	};
	unsigned int i;
	uint64_t before;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		before = counter_of(LOCAL, cases[i].counter);
		EXPECT_EQ(cases[i].status, late_once(self, &cases[i]))
			TH_LOG("case %u", i);
		EXPECT_LT(before, counter_of(LOCAL, cases[i].counter))
			TH_LOG("case %u: %s", i, cases[i].counter);
	}
}

/* ---- what is brought in behind a page ---- */

/*
 * The page is there, and the file system does not give what is wanted behind it:
 * whoever tries must not wait for that, for other pages of the process come next.
 */
TEST_F_TIMEOUT(edge, absent_behind, LIMIT)
{
	struct ibv_sge sge = area_sge(&self->pair.in[0], 0, 2 * PAGE);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_READ,
		.send_flags = IBV_SEND_SIGNALED,
	};
	struct ibv_mr *behind;
	struct stuck stuck;
	struct ibv_wc wc;
	int ret;

	ret = stuck_map(&stuck, 2 * PAGE);
	if (ret == -ENOENT)
		SKIP(return, "no FUSE");
	ASSERT_EQ(0, ret);
	stuck.served = PAGE;
	EXPECT_EQ(0, *(volatile uint8_t *)stuck.map);
	behind = demand_reg(self->pair.node[1].pd, stuck.map, 2 * PAGE,
			    ACCESS_ALL);
	ASSERT_TRUE(behind);

	wr.wr.rdma.remote_addr = (uintptr_t)stuck.map;
	wr.wr.rdma.rkey = behind->rkey;
	ASSERT_EQ(0, ep_post_send(&self->pair.ep[0], &wr));
	ASSERT_EQ(0, stuck_await(&stuck));
	EXPECT_EQ(0, touch_fresh(LOCAL, 2));

	stuck_unmap(&stuck);
	ASSERT_EQ(0, ep_wait(&self->pair.ep[0], &wc, WAIT_MS));
	EXPECT_EQ(IBV_WC_REM_ACCESS_ERR, wc.status);
	ASSERT_EQ(0, ibv_dereg_mr(behind));
	ASSERT_EQ(0, reconnect(self));
}

/* ---- pages that are being written to their file ---- */

static void *write_back(void *arg)
{
	const struct stuck *stuck = arg;

	msync(stuck->map, stuck->length, MS_SYNC);
	return NULL;
}

/*
 * The file system wants them to stay as they are until it has them. Who waits for
 * it is counted: there is somebody left for other pages of the process. They wait
 * under the mmap lock, so all memory is mapped before that.
 */
TEST_F_TIMEOUT(edge, written_back, LIMIT)
{
	struct ibv_mr *file, *fresh;
	struct crowd crowd, other;
	pthread_t thread;
	struct stuck stuck;
	struct ibv_wc wc;
	struct mem mem;
	int ret;

	ret = stuck_map(&stuck, 2 * PAGE);
	if (ret == -ENOENT)
		SKIP(return, "no FUSE");
	ASSERT_EQ(0, ret);
	stuck.served = 2 * PAGE;
	memset(stuck.map, 1, 2 * PAGE);
	ASSERT_EQ(0, crowd_open(&crowd, LOCAL, LOCAL, 2));
	ASSERT_EQ(0, crowd_open(&other, LOCAL, LOCAL, 1));
	ASSERT_EQ(0, mem_map(&mem, MEM_ANON, PAGE));
	file = demand_reg(crowd.node[1].pd, stuck.map, 2 * PAGE, ACCESS_ALL);
	fresh = demand_reg(other.node[1].pd, mem.map, PAGE, ACCESS_ALL);
	ASSERT_TRUE(file && fresh);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_back, &stuck));
	ASSERT_EQ(0, stuck_await(&stuck));

	ASSERT_EQ(0, crowd_post(&crowd, file, stuck.map, PAGE));
	EXPECT_EQ(-ETIMEDOUT, ep_wait(&crowd.ep[0][0], &wc, PROMPT_MS));
	ASSERT_EQ(0, crowd_post(&other, fresh, mem.map, PAGE));
	EXPECT_EQ(0, ep_wait(&other.ep[0][0], &wc, PROMPT_MS));
	EXPECT_EQ(IBV_WC_SUCCESS, wc.status);

	stuck_unmap(&stuck);
	pthread_join(thread, NULL);
	ASSERT_EQ(0, crowd_drain(&crowd));
	ASSERT_EQ(0, ibv_dereg_mr(file));
	ASSERT_EQ(0, ibv_dereg_mr(fresh));
	mem_unmap(&mem);
	crowd_close(&crowd);
	crowd_close(&other);
}

TEST_HARNESS_MAIN
