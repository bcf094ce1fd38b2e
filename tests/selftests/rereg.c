// SPDX-License-Identifier: GPL-2.0-only
/*
 * ibv_rereg_mr(): memory, rights and domain of a region change, each alone and
 * together, for pinned memory and memory on demand and from one to the other.
 * What was given up is not reached any more, also by what was under way. Keys
 * stay where the memory does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "demand.h"
#include "kselftest_harness.h"

#define LIMIT		120
#define LENGTH		(5u * PAGE)
#define LONG		(1u << 20)	/* of transfers that take a while */

#define MEMORY		IBV_REREG_MR_CHANGE_TRANSLATION
#define DOMAIN		IBV_REREG_MR_CHANGE_PD
#define RIGHTS		IBV_REREG_MR_CHANGE_ACCESS
#define EVERYTHING	(MEMORY | DOMAIN | RIGHTS)
#define UNKNOWN		(RIGHTS << 1)

/* A region of the responder, and where it can be. */
struct region {
	struct pair *pair;
	struct ibv_mr *mr;
	struct ibv_pd *pd[2];		/* pd[0] is that of the queue pair */
	uint8_t *at[2];
	size_t length;
	int demand;			/* 0, or IBV_ACCESS_ON_DEMAND */
	bool writable;			/* it was pinned for that, if it is */
	unsigned int where;		/* which of at[] */
};

FIXTURE(rereg)
{
	struct pair pair;
	struct region region;
};

FIXTURE_VARIANT(rereg)
{
	bool wire;
	int demand;
};

FIXTURE_VARIANT_ADD(rereg, pinned)
{
	.wire = false,
	.demand = 0,
};

FIXTURE_VARIANT_ADD(rereg, demand)
{
	.wire = false,
	.demand = IBV_ACCESS_ON_DEMAND,
};

FIXTURE_VARIANT_ADD(rereg, pinned_wire)
{
	.wire = true,
	.demand = 0,
};

FIXTURE_VARIANT_ADD(rereg, demand_wire)
{
	.wire = true,
	.demand = IBV_ACCESS_ON_DEMAND,
};

static int reconnect(struct pair *pair)
{
	int ret;

	pair_destroy(pair);
	ret = pair_create(pair, &ep_defaults);
	return ret ? ret : pair_connect(pair, &conn_defaults);
}

static uint8_t *map(size_t length)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static int region_open(struct region *region, struct pair *pair, size_t length,
		       int demand)
{
	*region = (struct region){
		.pair = pair,
		.length = length,
		.demand = demand,
		.writable = true,
		.pd = { pair->node[1].pd, ibv_alloc_pd(pair->node[1].ctx) },
		.at = { map(length), map(length) },
	};
	if (!region->pd[1] || !region->at[0] || !region->at[1])
		return -ENOMEM;
	region->mr = ibv_reg_mr(region->pd[0], region->at[0], length,
				ACCESS_ALL | demand);
	if (!region->mr) {
		complain("ibv_reg_mr: %m");
		return -errno;
	}
	return 0;
}

/* The second domain is not in use any more, or it is not given back. */
static int region_close(struct region *region)
{
	int i, ret = 0;

	if (region->mr)
		ret = ibv_dereg_mr(region->mr);
	if (!ret && region->pd[1])
		ret = ibv_dealloc_pd(region->pd[1]);
	for (i = 0; i < 2; i++)
		if (region->at[i])
			munmap(region->at[i], region->length);
	return ret;
}

FIXTURE_SETUP(rereg)
{
	memset(self, 0, sizeof(*self));
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, pair_open(&self->pair, variant->wire, LONG));
	if (variant->demand &&
	    !demand_supported(self->pair.node[1].ctx, false)) {
		pair_close(&self->pair);
		SKIP(return, "the device has no memory on demand");
	}
	ASSERT_EQ(0, region_open(&self->region, &self->pair, LENGTH,
				 variant->demand));
	ASSERT_EQ(0, reconnect(&self->pair));
}

FIXTURE_TEARDOWN(rereg)
{
	if (!self->pair.node[0].ctx)
		return;
	pair_destroy(&self->pair);
	EXPECT_EQ(0, region_close(&self->region));
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_close(&self->pair);
}

/* ---- what a key reaches ---- */

static int post(struct region *region, enum ibv_wr_opcode opcode, void *remote,
		uint32_t rkey, uint32_t length)
{
	struct ibv_sge sge = area_sge(&region->pair->out[0], 0, length);
	struct ibv_send_wr wr = {
		.wr_id = 1,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = (uintptr_t)remote, .rkey = rkey },
	};

	return -ep_post_send(&region->pair->ep[0], &wr);
}

/* All of the region can be written and read, and holds what was written. */
static int reaches(struct region *region, uint8_t *at)
{
	static uint8_t seed;
	uint8_t *local = region->pair->out[0].data;
	struct ibv_mr *mr = region->mr;
	int ret;

	memset(local, ++seed, LENGTH);
	ret = post(region, IBV_WR_RDMA_WRITE, at, mr->rkey, LENGTH);
	if (!ret)
		ret = ep_expect(&region->pair->ep[0], 1, IBV_WC_SUCCESS);
	if (!ret)
		ret = check_equal("written", at, local, LENGTH);
	memset(local, ~seed, LENGTH);
	if (!ret)
		ret = post(region, IBV_WR_RDMA_READ, at, mr->rkey, LENGTH);
	if (!ret)
		ret = ep_expect(&region->pair->ep[0], 1, IBV_WC_SUCCESS);
	return ret ? ret : check_equal("read", local, at, LENGTH);
}

/* A WRITE is refused, and nothing is written. New queue pairs for the next. */
static int is_refused(struct region *region, uint8_t *at, uint32_t rkey)
{
	uint8_t before = at[0];
	int ret;

	memset(region->pair->out[0].data, ~before, 64);
	ret = post(region, IBV_WR_RDMA_WRITE, at, rkey, 64);
	if (!ret)
		ret = ep_expect(&region->pair->ep[0], 1, IBV_WC_REM_ACCESS_ERR);
	if (!ret && at[0] != before) {
		complain("refused, and written all the same");
		ret = -EIO;
	}
	return ret ? ret : reconnect(region->pair);
}

/* The region changes; an old key does not lead anywhere any more. */
static int change(struct region *region, int flags, unsigned int where,
		  struct ibv_pd *pd, int access)
{
	struct ibv_mr *mr = region->mr;
	uint8_t *old = region->at[region->where];
	uint32_t lkey = mr->lkey, rkey = mr->rkey;
	bool stays = !(flags & MEMORY);
	int ret;

	if (flags & RIGHTS) {
		stays &= region->demand == (access & IBV_ACCESS_ON_DEMAND);
		stays &= region->demand || region->writable ||
			 !(access & IBV_ACCESS_LOCAL_WRITE);
	}

	ret = ibv_rereg_mr(mr, flags, flags & DOMAIN ? pd : NULL,
			   flags & MEMORY ? region->at[where] : NULL,
			   flags & MEMORY ? LENGTH : 0,
			   flags & RIGHTS ? access : 0);
	if (ret) {
		complain("ibv_rereg_mr 0x%x, access 0x%x: %d, %m", flags,
			 access, ret);
		return -errno;
	}
	if (flags & MEMORY)
		region->where = where;
	if (flags & RIGHTS)
		region->demand = access & IBV_ACCESS_ON_DEMAND;
	if (flags & RIGHTS && !stays)
		region->writable = access & IBV_ACCESS_LOCAL_WRITE;
	if (mr->addr != region->at[region->where] || mr->length != LENGTH ||
	    (flags & DOMAIN && mr->pd != pd)) {
		complain("struct ibv_mr is not what was asked for");
		return -EIO;
	}
	if ((mr->rkey == rkey) != stays || (mr->lkey == lkey) != stays) {
		complain("flags 0x%x, access 0x%x: the keys %s", flags, access,
			 stays ? "are others" : "have stayed");
		return -EIO;
	}
	return stays ? 0 : is_refused(region, old, rkey);
}

/* ---- each change alone ---- */

TEST_F_TIMEOUT(rereg, memory, LIMIT)
{
	struct region *region = &self->region;
	int i;

	ASSERT_EQ(0, reaches(region, region->at[0]));
	for (i = 1; i <= 6; i++) {
		ASSERT_EQ(0, change(region, MEMORY, i % 2, NULL, 0));
		ASSERT_EQ(0, reaches(region, region->at[i % 2]));
		/* by the new key, too */
		ASSERT_EQ(0, is_refused(region, region->at[!(i % 2)],
					region->mr->rkey));
	}
}

TEST_F_TIMEOUT(rereg, rights, LIMIT)
{
	const int demand = variant->demand;
	struct region *region = &self->region;

	ASSERT_EQ(0, change(region, RIGHTS, 0, NULL, IBV_ACCESS_LOCAL_WRITE |
			    IBV_ACCESS_REMOTE_READ | demand));
	ASSERT_EQ(0, is_refused(region, region->at[0], region->mr->rkey));
	ASSERT_EQ(0, post(region, IBV_WR_RDMA_READ, region->at[0],
			  region->mr->rkey, LENGTH));
	ASSERT_EQ(0, ep_expect(&self->pair.ep[0], 1, IBV_WC_SUCCESS));
	ASSERT_EQ(0, change(region, RIGHTS, 0, NULL, ACCESS_ALL | demand));
	ASSERT_EQ(0, reaches(region, region->at[0]));
}

/* What was registered for reading alone was not prepared for stores. */
TEST_F_TIMEOUT(rereg, from_read_only, LIMIT)
{
	const int demand = variant->demand;
	struct region *region = &self->region;

	ASSERT_EQ(0, reaches(region, region->at[0]));
	ASSERT_EQ(0, ibv_dereg_mr(region->mr));
	region->mr = ibv_reg_mr(region->pd[0], region->at[0], LENGTH,
				IBV_ACCESS_REMOTE_READ | demand);
	ASSERT_NE(NULL, region->mr);
	region->writable = false;
	ASSERT_EQ(0, is_refused(region, region->at[0], region->mr->rkey));
	ASSERT_EQ(0, change(region, RIGHTS, 0, NULL, ACCESS_ALL | demand));
	ASSERT_EQ(0, reaches(region, region->at[0]));
}

TEST_F_TIMEOUT(rereg, domain, LIMIT)
{
	struct region *region = &self->region;

	ASSERT_EQ(0, change(region, DOMAIN, 0, region->pd[1], 0));
	ASSERT_EQ(0, is_refused(region, region->at[0], region->mr->rkey));
	/* the region has left the first one for the second */
	ASSERT_NE(0, ibv_dealloc_pd(region->pd[1]));
	ASSERT_EQ(0, change(region, DOMAIN, 0, region->pd[0], 0));
	ASSERT_EQ(0, reaches(region, region->at[0]));
}

/* ---- all of them together, and from pinned to on-demand and back ---- */

TEST_F_TIMEOUT(rereg, together, LIMIT)
{
	struct region *region = &self->region;
	bool odp = demand_supported(self->pair.node[1].ctx, false);
	unsigned int flags, i;
	int demand = variant->demand;

	for (flags = 1; flags <= EVERYTHING; flags++) {
		/* into another domain, and back in the same way */
		for (i = 0; i < 2; i++) {
			if (odp && flags & RIGHTS)
				demand ^= IBV_ACCESS_ON_DEMAND;
			ASSERT_EQ(0, change(region, flags, !region->where,
					    region->pd[!i],
					    ACCESS_ALL | demand));
			if (flags & DOMAIN && !i) {
				ASSERT_EQ(0, is_refused(region,
							region->at[region->where],
							region->mr->rkey));
			} else {
				ASSERT_EQ(0, reaches(region,
						     region->at[region->where]));
			}
		}
	}
}

/* ---- what is refused leaves the region as it is ---- */

static int stays(struct region *region, int flags, struct ibv_pd *pd,
		 void *addr, size_t length, int access)
{
	struct ibv_mr before = *region->mr;
	int ret = ibv_rereg_mr(region->mr, flags, pd, addr, length, access);

	if (!ret || memcmp(&before, region->mr, sizeof(before))) {
		complain("flags 0x%x, %p, %zu, access 0x%x: %d", flags, addr,
			 length, access, ret);
		return -EIO;
	}
	return reaches(region, region->at[region->where]);
}

TEST_F_TIMEOUT(rereg, refused, LIMIT)
{
	const int demand = variant->demand;
	struct region *region = &self->region;
	uint8_t *hole = map(LENGTH);

	ASSERT_NE(NULL, hole);
	ASSERT_EQ(0, munmap(hole, LENGTH));
	ASSERT_EQ(0, stays(region, 0, NULL, NULL, 0, 0));
	ASSERT_EQ(0, stays(region, UNKNOWN, NULL, NULL, 0, 0));
	ASSERT_EQ(0, stays(region, MEMORY, NULL, NULL, LENGTH, 0));
	ASSERT_EQ(0, stays(region, MEMORY, NULL, region->at[1], 0, 0));
	ASSERT_EQ(0, stays(region, RIGHTS, NULL, NULL, 0,
			   IBV_ACCESS_REMOTE_WRITE | demand));
	ASSERT_EQ(0, stays(region, RIGHTS, NULL, NULL, 0,
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND |
			   demand));
	/* what is on demand may be mapped later */
	ASSERT_EQ(0, stays(region, MEMORY | RIGHTS, NULL, hole, LENGTH,
			   ACCESS_ALL));
	ASSERT_EQ(0, stays(region, EVERYTHING, region->pd[1], hole, LENGTH,
			   ACCESS_ALL));
}

/*
 * A child has other memory at the address: where the region would have to be
 * registered from there, it is refused.
 */
static int child_rereg(struct region *region, int access)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0)
		_exit(!ibv_rereg_mr(region->mr, RIGHTS, NULL, NULL, 0, access) ||
		      errno != EPERM);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (status) {
		complain("the child's ibv_rereg_mr was not refused");
		return -EIO;
	}
	return reaches(region, region->at[region->where]);
}

TEST_F_TIMEOUT(rereg, by_a_child, LIMIT)
{
	struct region *region = &self->region;

	if (!demand_supported(self->pair.node[1].ctx, false))
		SKIP(return, "the device has no memory on demand");
	ASSERT_EQ(0, reaches(region, region->at[0]));
	ASSERT_EQ(0, child_rereg(region, ACCESS_ALL | IBV_ACCESS_ON_DEMAND));
	if (variant->demand) {
		ASSERT_EQ(0, child_rereg(region, ACCESS_ALL));
	}
}

/* ---- under traffic ---- */

#define IN_FLIGHT	48
#define TRAFFIC_ROUNDS	12

/*
 * Completions of the WRITEs that were under way, and of the one that was posted
 * after the change, which cannot have succeeded: the number of those that did.
 */
static int drain(struct region *region)
{
	int i, done = 0, refusals = 0;
	struct ibv_wc wc;

	for (i = 0; i <= IN_FLIGHT; i++) {
		if (ep_wait(&region->pair->ep[0], &wc, WAIT_MS))
			return -ETIMEDOUT;
		done += wc.status == IBV_WC_SUCCESS;
		refusals += wc.status == IBV_WC_REM_ACCESS_ERR;
		if (wc.status == IBV_WC_SUCCESS ? refusals :
		    wc.status == IBV_WC_WR_FLUSH_ERR ? !refusals :
		    wc.status != IBV_WC_REM_ACCESS_ERR) {
			complain("completion %d: %s", i,
				 ibv_wc_status_str(wc.status));
			return -EIO;
		}
	}
	if (refusals != 1) {
		complain("%d of %d WRITEs by an old key were refused", refusals,
			 IN_FLIGHT + 1);
		return -EIO;
	}
	return done;
}

static int start_writes(struct region *region, uint8_t *at)
{
	int i, ret = 0;

	memset(region->pair->out[0].data, 0x11, LONG);
	for (i = 0; i < IN_FLIGHT && !ret; i++)
		ret = post(region, IBV_WR_RDMA_WRITE, at, region->mr->rkey,
			   LONG);
	return ret;
}

static int check_canary(const uint8_t *at)
{
	int i;

	for (i = 0; i < (int)LONG; i++) {
		if (at[i] != CANARY) {
			complain("octet %d was written all the same", i);
			return -EIO;
		}
	}
	return 0;
}

/*
 * The memory changes under WRITEs. Its old pages are given back at once, and what
 * was in their place, or gets them next, stays as it is.
 */
static int under_traffic(struct region *region, int *cut)
{
	uint8_t *old = region->at[region->where], *other;
	uint32_t rkey = region->mr->rkey;
	int done, ret;

	ret = start_writes(region, old);
	if (ret)
		return ret;
	region->where = !region->where;
	ret = ibv_rereg_mr(region->mr, MEMORY, NULL, region->at[region->where],
			   LONG, 0);
	if (ret) {
		complain("ibv_rereg_mr: %d, %m", ret);
		return -errno;
	}
	if (madvise(old, LONG, MADV_DONTNEED))
		return -errno;
	other = map(LONG);
	if (!other)
		return -ENOMEM;
	memset(other, CANARY, LONG);
	memset(old, CANARY, LONG);
	ret = post(region, IBV_WR_RDMA_WRITE, old, rkey, LONG);
	done = ret ? ret : drain(region);
	if (done < 0)
		return done;
	*cut += done < IN_FLIGHT;
	if (check_canary(old) || check_canary(other))
		return -EIO;
	munmap(other, LONG);
	ret = reconnect(region->pair);
	return ret ? ret : reaches(region, region->at[region->where]);
}

TEST_F_TIMEOUT(rereg, traffic, LIMIT)
{
	struct region region;
	int i, cut = 0;

	ASSERT_EQ(0, region_open(&region, &self->pair, LONG, variant->demand));
	for (i = 0; i < TRAFFIC_ROUNDS; i++) {
		ASSERT_EQ(0, under_traffic(&region, &cut));
	}
	TH_LOG("%d of %d changes came before all WRITEs were done", cut, i);
	ASSERT_LT(0, cut);
	ASSERT_EQ(0, region_close(&region));
}

/* What the key loses it loses for the WRITEs, too, and it gets it back. */
static int lost_under_traffic(struct region *region, int flags, int *cut)
{
	const int all = flags & RIGHTS ? ACCESS_ALL | region->demand : 0;
	const int less = all & ~IBV_ACCESS_REMOTE_WRITE;
	uint8_t *at = region->at[0];
	uint32_t rkey = region->mr->rkey;
	int done, ret;

	ret = start_writes(region, at);
	if (ret)
		return ret;
	ret = ibv_rereg_mr(region->mr, flags, region->pd[1], NULL, 0, less);
	if (ret) {
		complain("ibv_rereg_mr 0x%x: %d, %m", flags, ret);
		return -errno;
	}
	memset(at, CANARY, LONG);
	ret = post(region, IBV_WR_RDMA_WRITE, at, rkey, LONG);
	done = ret ? ret : drain(region);
	if (done < 0)
		return done;
	*cut += done < IN_FLIGHT;
	ret = check_canary(at);
	if (!ret)
		ret = reconnect(region->pair);
	if (!ret)
		ret = ibv_rereg_mr(region->mr, flags, region->pd[0], NULL, 0,
				   all);
	if (!ret && region->mr->rkey != rkey) {
		complain("the key is another one");
		ret = -EIO;
	}
	return ret ? ret : reaches(region, at);
}

TEST_F_TIMEOUT(rereg, lost_under_traffic, LIMIT)
{
	struct region region;
	int i, cut = 0;

	ASSERT_EQ(0, region_open(&region, &self->pair, LONG, variant->demand));
	for (i = 0; i < TRAFFIC_ROUNDS; i++) {
		ASSERT_EQ(0, lost_under_traffic(&region,
						i % 2 ? RIGHTS : DOMAIN, &cut));
	}
	TH_LOG("%d of %d changes came before all WRITEs were done", cut, i);
	ASSERT_LT(0, cut);
	ASSERT_EQ(0, region_close(&region));
}

/* The requester's own memory changes under what it sends from it. */
TEST_F_TIMEOUT(rereg, source_under_traffic, LIMIT)
{
	struct area *out = &self->pair.out[0];
	struct ibv_mr *mr;
	uint32_t lkey;
	struct ibv_wc wc;
	int i;

	mr = ibv_reg_mr(self->pair.node[0].pd, out->data, LENGTH,
			ACCESS_ALL | variant->demand);
	ASSERT_NE(NULL, mr);
	for (i = 0; i < TRAFFIC_ROUNDS; i++) {
		struct ibv_sge sge = {
			.addr = (uintptr_t)out->data,
			.length = LENGTH,
			.lkey = mr->lkey,
		};
		struct ibv_send_wr wr = {
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IBV_WR_RDMA_WRITE,
			.wr.rdma = {
				.remote_addr = (uintptr_t)self->region.at[0],
				.rkey = self->region.mr->rkey,
			},
		};

		lkey = mr->lkey;
		ASSERT_EQ(0, ep_post_send(&self->pair.ep[0], &wr));
		ASSERT_EQ(0, ibv_rereg_mr(mr, MEMORY, NULL, out->data, LENGTH,
					  0));
		ASSERT_NE(lkey, mr->lkey);
		/* by the old key, which is refused whatever became of the first */
		ASSERT_EQ(0, ep_post_send(&self->pair.ep[0], &wr));
		ASSERT_EQ(0, ep_wait(&self->pair.ep[0], &wc, WAIT_MS));
		ASSERT_EQ(IBV_WC_LOC_PROT_ERR, wc.status);
		ASSERT_EQ(0, reconnect(&self->pair));
		sge.lkey = mr->lkey;
		wr.send_flags = IBV_SEND_SIGNALED;
		ASSERT_EQ(0, ep_post_send(&self->pair.ep[0], &wr));
		ASSERT_EQ(0, ep_expect(&self->pair.ep[0], 0, IBV_WC_SUCCESS));
	}
	ASSERT_EQ(0, ibv_dereg_mr(mr));
}

/* ---- the whole address space ---- */

TEST(implicit)
{
	struct ibv_mr *all[2];
	struct region region;
	struct pair pair;
	uint32_t rkey;

	ASSERT_EQ(0, implicit_open(&pair, LONG, all));
	ASSERT_EQ(0, region_open(&region, &pair, LENGTH, 0));
	ASSERT_EQ(0, ibv_dereg_mr(region.mr));
	region.mr = all[1];
	ASSERT_EQ(0, reconnect(&pair));
	ASSERT_EQ(0, reaches(&region, region.at[0]));

	rkey = all[1]->rkey;
	ASSERT_EQ(0, ibv_rereg_mr(all[1], DOMAIN, region.pd[1], NULL, 0, 0));
	ASSERT_EQ(0, is_refused(&region, region.at[0], rkey));
	ASSERT_EQ(rkey, all[1]->rkey);
	ASSERT_EQ(0, ibv_rereg_mr(all[1], DOMAIN | RIGHTS, region.pd[0], NULL, 0,
				  IBV_ACCESS_REMOTE_READ |
				  IBV_ACCESS_ON_DEMAND));
	ASSERT_EQ(0, is_refused(&region, region.at[0], all[1]->rkey));
	ASSERT_EQ(0, ibv_rereg_mr(all[1], RIGHTS, NULL, NULL, 0,
				  ACCESS_ALL | IBV_ACCESS_ON_DEMAND));
	ASSERT_EQ(rkey, all[1]->rkey);
	ASSERT_EQ(0, reaches(&region, region.at[1]));
	/* all of it cannot be pinned */
	ASSERT_NE(0, ibv_rereg_mr(all[1], RIGHTS, NULL, NULL, 0, ACCESS_ALL));
	ASSERT_EQ(0, reaches(&region, region.at[0]));

	region.mr = NULL;
	pair_destroy(&pair);
	ASSERT_EQ(0, region_close(&region));
	ASSERT_EQ(0, implicit_close(&pair, all));
}

TEST_HARNESS_MAIN
