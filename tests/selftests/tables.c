// SPDX-License-Identifier: GPL-2.0-only
/*
 * What memory on demand costs the kernel: tables follow what is mapped, not what
 * is named; they are charged to their process, and go when the mappings go.
 * Where implicit keys are process keys, which have no tables, only what concerns
 * explicit ones is of interest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "demand.h"
#include "kselftest_harness.h"

#define LIMIT		300
#define AREA		65536u
#define GIB		(1ull << 30)
#define SPACE		(64 * GIB)
/* where nobody else maps anything */
#define BASE		((uint8_t *)(1ull << 44))

#define TOLERANCE_KIB	8192	/* of all the guest's memory, while we look */
#define QUICK_MS	5000

FIXTURE(tables)
{
	struct pair pair;
	struct ibv_mr *mr;
	int none;		/* tables of the key before it was used */
};

FIXTURE_VARIANT(tables)
{
	bool explicit;
};

FIXTURE_VARIANT_ADD(tables, implicit)
{
	.explicit = false,
};

FIXTURE_VARIANT_ADD(tables, explicit)
{
	.explicit = true,
};

static long mem_available_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

/* Translation tables of a key; 0: it is a process key, which has none. */
static int tables_of(const struct ibv_mr *mr)
{
	FILE *pipe = popen("rdma -dd resource show mr", "re");
	char line[1024], key[32], *at;
	bool ours = false;
	int tables = -1;

	/* long entries are several lines, of which the first begins with dev */
	snprintf(key, sizeof(key), "lkey 0x%x ", mr->lkey);
	while (pipe && fgets(line, sizeof(line), pipe)) {
		if (!strncmp(line, "dev ", 4))
			ours = strstr(line, device_name(LOCAL)) &&
			       strstr(line, key);
		if (!ours)
			continue;
		at = strstr(line, "tables ");
		if (at)
			tables = atoi(at + strlen("tables "));
		else if (tables < 0)
			tables = 0;
	}
	if (pipe)
		pclose(pipe);
	return tables;
}

static bool tables_become(const struct ibv_mr *mr, int wanted)
{
	uint64_t limit = now_ms() + WAIT_MS;
	int tables;

	do {
		tables = tables_of(mr);
		if (tables == wanted)
			return true;
		usleep(100000);
	} while (now_ms() < limit);
	complain("%d tables, not %d", tables, wanted);
	return false;
}

static bool map_at(void *at, uint64_t length)
{
	void *map = mmap(at, length, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			 MAP_FIXED_NOREPLACE, -1, 0);

	if (map == at)
		return !madvise(at, length, MADV_NOHUGEPAGE);
	complain("mmap at %p: %m", at);
	return false;
}

static struct ibv_mr *reg(struct ibv_pd *pd, bool explicit)
{
	return explicit ? demand_reg(pd, BASE, SPACE, ACCESS_ALL) :
			  demand_reg(pd, NULL, SIZE_MAX, ACCESS_ALL);
}

static int connect_pair(struct pair *pair)
{
	int ret;

	pair_destroy(pair);
	ret = pair_create(pair, &ep_defaults);
	return ret ? ret : pair_connect(pair, &conn_defaults);
}

FIXTURE_SETUP(tables)
{
	ASSERT_EQ(0, pair_open(&self->pair, false, AREA));
	ASSERT_EQ(0, connect_pair(&self->pair));
	self->mr = reg(self->pair.node[1].pd, variant->explicit);
	ASSERT_NE(NULL, self->mr);
	self->none = tables_of(self->mr);
	ASSERT_LE(0, self->none);
}

FIXTURE_TEARDOWN(tables)
{
	EXPECT_EQ(0, pair_sound(&self->pair));
	pair_destroy(&self->pair);
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	pair_close(&self->pair);
}

/* ---- what is named ---- */

TEST_F_TIMEOUT(tables, registration, LIMIT)
{
	struct ibv_mr *mr[16];
	long before = mem_available_kib();
	int i;

	for (i = 0; i < 16; i++) {
		mr[i] = reg(self->pair.node[1].pd, variant->explicit);
		ASSERT_NE(NULL, mr[i]);
	}
	EXPECT_GT(TOLERANCE_KIB, before - mem_available_kib());
	for (i = 0; i < 16; i++)
		ASSERT_EQ(0, ibv_dereg_mr(mr[i]));
}

/* All of SPACE but a page of each 4 GiB. */
static int advise_space(const struct ibv_mr *mr)
{
	struct ibv_sge sge[SPACE / (4 * GIB)];
	unsigned int i;

	for (i = 0; i < SPACE / (4 * GIB); i++)
		sge[i] = (struct ibv_sge){
			.addr = (uintptr_t)BASE + i * 4 * GIB,
			.length = 0xfffff000u,
			.lkey = mr->lkey,
		};
	return ibv_advise_mr(mr->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
			     IBV_ADVISE_MR_FLAG_FLUSH, sge, i);
}

static bool advice_costs_nothing(const struct ibv_mr *mr)
{
	long before = mem_available_kib(), fell;
	uint64_t begin = now_ms(), took;
	int ret = advise_space(mr);

	took = now_ms() - begin;
	fell = before - mem_available_kib();
	if (!ret && fell < TOLERANCE_KIB && took < QUICK_MS)
		return true;
	complain("advice: %s, %ld KiB, %u ms", strerror(ret), fell,
		 (unsigned int)took);
	return false;
}

TEST_F_TIMEOUT(tables, advice_on_nothing, LIMIT)
{
	ASSERT_TRUE(advice_costs_nothing(self->mr));
	EXPECT_EQ(self->none, tables_of(self->mr));

	/* a mapping without pages is nothing, too */
	ASSERT_TRUE(map_at(BASE, SPACE));
	ASSERT_TRUE(advice_costs_nothing(self->mr));
	EXPECT_EQ(self->none, tables_of(self->mr));
	ASSERT_EQ(0, munmap(BASE, SPACE));
}

/* Pages that are far from each other are found. */
TEST_F_TIMEOUT(tables, advice_on_few, LIMIT)
{
	uint64_t requests;
	int i;

	ASSERT_TRUE(map_at(BASE, SPACE));
	for (i = 0; i < 16; i++)
		BASE[i * 4 * GIB + 3 * i * HUGE + PAGE] = 1;
	ASSERT_TRUE(advice_costs_nothing(self->mr));
	requests = counter_of(LOCAL, "page_requests");
	for (i = 0; i < 16; i++)
		ASSERT_EQ(0, pair_write(&self->pair, self->mr, BASE +
					i * 4 * GIB + 3 * i * HUGE + PAGE,
					PAGE));
	EXPECT_EQ(requests, counter_of(LOCAL, "page_requests"));
	ASSERT_EQ(0, munmap(BASE, SPACE));
}

TEST_F_TIMEOUT(tables, writes_to_nothing, LIMIT)
{
	struct op op = {
		.opcode = IBV_WR_RDMA_WRITE,
		.local = self->pair.out[0].data,
		.lkey = self->pair.out[0].mr->lkey,
		.rkey = self->mr->rkey,
		.length = AREA,
	};
	int i;

	for (i = 0; i < 8; i++) {
		op.remote = BASE + i * 8 * GIB;
		ASSERT_EQ(IBV_WC_REM_ACCESS_ERR,
			  op_run(&self->pair.ep[0], &self->pair.ep[1], &op,
				 NULL));
		ASSERT_EQ(0, connect_pair(&self->pair));
	}
	EXPECT_EQ(self->none, tables_of(self->mr));
}

/* The doorbell page of a verbs context. */
static void *find_doorbells(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned long start = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		if (strstr(line, "uverbs") &&
		    sscanf(line, "%lx-", &start) == 1)
			break;
		start = 0;
	}
	if (file)
		fclose(file);
	return (void *)start;
}

/* A page that a process may touch, but which is no memory, is nothing, too. */
TEST_F_TIMEOUT(tables, write_to_registers, LIMIT)
{
	struct op op = {
		.opcode = IBV_WR_RDMA_WRITE,
		.local = self->pair.out[0].data,
		.lkey = self->pair.out[0].mr->lkey,
		.remote = find_doorbells(),
		.rkey = self->mr->rkey,
		.length = 64,
	};

	if (variant->explicit)
		SKIP(return, "the region has no such page");
	ASSERT_NE(NULL, op.remote);
	ASSERT_LT(0, op_run(&self->pair.ep[0], &self->pair.ep[1], &op, NULL));
	EXPECT_EQ(self->none, tables_of(self->mr));
}

/* ---- what was mapped ---- */

/* A page in each 2 MiB. */
static int write_each(struct pair *pair, const struct ibv_mr *mr, uint8_t *at,
		      int count)
{
	int i, ret = 0;

	for (i = 0; i < count && !ret; i++)
		ret = pair_write(pair, mr, at + (uint64_t)i * HUGE, PAGE);
	return ret;
}

#define CYCLES		64
#define CYCLE_PARTS	8

TEST_F_TIMEOUT(tables, unmapped, LIMIT)
{
	uint8_t *at;
	int i;

	for (i = 0; i < CYCLES; i++) {
		at = BASE + i * GIB;
		ASSERT_TRUE(map_at(at, CYCLE_PARTS * HUGE));
		ASSERT_EQ(0, write_each(&self->pair, self->mr, at,
					CYCLE_PARTS));
		ASSERT_EQ(0, memcmp(at, self->pair.out[0].data, PAGE));
		ASSERT_EQ(0, munmap(at, CYCLE_PARTS * HUGE));
	}
	EXPECT_TRUE(tables_become(self->mr, self->none));

	/* and at the same addresses */
	ASSERT_TRUE(map_at(BASE, GIB));
	ASSERT_EQ(0, write_each(&self->pair, self->mr, BASE, CYCLE_PARTS));
	for (i = 0; i < CYCLE_PARTS; i++)
		ASSERT_EQ(0, memcmp(BASE + i * HUGE, self->pair.out[0].data,
				    PAGE));
	ASSERT_EQ(0, munmap(BASE, GIB));
}

#define PARTS		512
#define MOST		300	/* tables of a region with none in use */

/* Pages that go one by one, of a mapping that stays. */
TEST_F_TIMEOUT(tables, emptied, LIMIT)
{
	int i;

	ASSERT_TRUE(map_at(BASE, PARTS * HUGE));
	for (i = 0; i < PARTS; i++) {
		uint8_t *at = BASE + (uint64_t)i * HUGE;

		ASSERT_EQ(0, pair_write(&self->pair, self->mr, at, PAGE));
		ASSERT_EQ(0, madvise(at, PAGE, MADV_DONTNEED));
	}
	EXPECT_GE(MOST, tables_of(self->mr));
	ASSERT_EQ(0, munmap(BASE, PARTS * HUGE));
	EXPECT_TRUE(tables_become(self->mr, self->none));
}

/* ---- who pays ---- */

static int write_text(const char *dir, const char *name, const char *text)
{
	char path[256];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Memory of the kernel, page tables included. */
static long kernel_bytes(const char *cgroup)
{
	char path[256], line[128];
	long bytes = -1;
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.stat", cgroup);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "kernel %ld", &bytes) == 1)
			break;
	if (file)
		fclose(file);
	return bytes;
}

/* What the kernel takes from a process whose pages are asked for; in a child. */
static long charged(const char *cgroup, bool explicit)
{
	struct pair pair = {};
	struct ibv_mr *mr;
	long before;

	if (write_text(cgroup, "cgroup.procs", "0") ||
	    pair_open(&pair, false, AREA) || connect_pair(&pair) ||
	    !map_at(BASE, PARTS * HUGE))
		return -1;
	mr = reg(pair.node[1].pd, explicit);
	before = kernel_bytes(cgroup);
	if (!mr || write_each(&pair, mr, BASE, PARTS))
		return -1;
	return kernel_bytes(cgroup) - before;
}

/* A leaf table and the addresses of its pages. */
#define PART_BYTES	(4096 + 8192)

TEST_F_TIMEOUT(tables, charge, LIMIT)
{
	char root[] = "/var/tmp/svan-cgroup-XXXXXX", cgroup[64];
	int status, mounted;
	pid_t pid;

	if (!self->none)
		SKIP(return, "a process key has no tables");
	ASSERT_NE(NULL, mkdtemp(root));
	mounted = mount("none", root, "cgroup2", 0, NULL);
	if (mounted || write_text(root, "cgroup.subtree_control", "+memory")) {
		umount(root);
		rmdir(root);
		SKIP(return, "no memory cgroups");
	}
	snprintf(cgroup, sizeof(cgroup), "%s/svan-tables", root);
	ASSERT_EQ(0, mkdir(cgroup, 0755));
	pid = fork();
	if (!pid) {
		long bytes = charged(cgroup, variant->explicit);

		if (bytes < PARTS * PART_BYTES * 9 / 10)
			complain("charged %ld bytes", bytes);
		_exit(bytes < PARTS * PART_BYTES * 9 / 10);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, rmdir(cgroup));
	umount(root);
	rmdir(root);
}

/* ---- what goes while it is used ---- */

#define QPS		8
#define ROUNDS		40

/* A WRITE to a fresh page on each pair. */
static int write_all(struct pair *pair, struct ep (*eps)[2],
		     const struct ibv_mr *mr, uint8_t *at)
{
	struct ibv_sge sge = area_sge(&pair->out[0], 0, PAGE);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.rkey = mr->rkey,
	};
	int i, ret = 0;

	for (i = 0; i < QPS && !ret; i++) {
		wr.wr.rdma.remote_addr = (uintptr_t)at + i * 64 * PAGE;
		ret = ep_post_send(&eps[i][0], &wr);
	}
	return ret;
}

static int connect_all(struct pair *pair, struct ep (*eps)[2])
{
	int i, ret = 0;

	for (i = 0; i < QPS && !ret; i++) {
		ret = ep_create(&eps[i][0], &pair->node[0], &ep_defaults);
		if (!ret)
			ret = ep_create(&eps[i][1], &pair->node[1],
					&ep_defaults);
		if (!ret)
			ret = connect_eps(&eps[i][0], &eps[i][1],
					  &conn_defaults);
	}
	return ret;
}

/* With the first page there, the key goes: what works for it must notice. */
TEST_F_TIMEOUT(tables, deregistered, LIMIT)
{
	struct ep eps[QPS][2];
	struct ibv_wc wc;
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		struct ibv_mr *mr = reg(self->pair.node[1].pd,
					variant->explicit);

		memset(eps, 0, sizeof(eps));
		ASSERT_NE(NULL, mr);
		ASSERT_TRUE(map_at(BASE, HUGE));
		ASSERT_EQ(0, connect_all(&self->pair, eps));
		ASSERT_EQ(0, write_all(&self->pair, eps, mr, BASE));
		ASSERT_EQ(0, ep_wait(&eps[0][0], &wc, WAIT_MS));
		ASSERT_EQ(IBV_WC_SUCCESS, wc.status);
		ASSERT_EQ(0, ibv_dereg_mr(mr));
		for (i = 0; i < QPS; i++) {
			ep_destroy(&eps[i][0]);
			ep_destroy(&eps[i][1]);
		}
		ASSERT_EQ(0, munmap(BASE, HUGE));
	}
}

/* ---- what goes while advice is followed ---- */

#define ADVISED_PARTS	256
#define ADVISED_ROUNDS	20

/* Of a part whose page goes last, until there is nothing any more. */
static void *advise_last(void *arg)
{
	const struct ibv_mr *mr = arg;
	struct ibv_sge sge = {
		.addr = (uintptr_t)BASE + (ADVISED_PARTS - 1) * HUGE,
		.length = HUGE,
		.lkey = mr->lkey,
	};
	uint8_t there;

	while (!mincore((void *)sge.addr, PAGE, &there))
		ibv_advise_mr(mr->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
			      IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
	return NULL;
}

/*
 * munmap() takes the mapping away at once, and the pages part by part: for a
 * while the device has a page of an address where nothing is mapped. What the
 * kernel reports then fails the run.
 */
TEST_F_TIMEOUT(tables, unmapped_under_advice, LIMIT)
{
	struct ibv_sge sge = { .lkey = self->mr->lkey, .length = PAGE };
	pthread_t thread;
	int round, i;

	for (round = 0; round < ADVISED_ROUNDS; round++) {
		ASSERT_TRUE(map_at(BASE, ADVISED_PARTS * HUGE));
		for (i = 0; i < ADVISED_PARTS; i++) {
			sge.addr = (uintptr_t)BASE + i * HUGE;
			ASSERT_EQ(0, ibv_advise_mr(self->mr->pd,
					IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
					IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1));
		}
		ASSERT_EQ(0, pthread_create(&thread, NULL, advise_last,
					    self->mr));
		usleep(1000);
		ASSERT_EQ(0, munmap(BASE, ADVISED_PARTS * HUGE));
		ASSERT_EQ(0, pthread_join(thread, NULL));
	}
}

/* ---- memory is short ---- */

static int fail_nth(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	return write_text("/proc/thread-self", "fail-nth", text);
}

/* Allocations still to come when all was over; 0: one has failed. */
static int failures_left(void)
{
	FILE *file = fopen("/proc/thread-self/fail-nth", "re");
	int left = 0;

	if (file) {
		if (fscanf(file, "%d", &left) != 1)
			left = 0;
		fclose(file);
	}
	fail_nth(0);
	return left;
}

/* The n-th allocation of a registration and an advice fails; false: none did. */
static bool one_fails(struct ibv_pd *pd, bool explicit, int n)
{
	struct ibv_sge sge = { .addr = (uintptr_t)BASE, .length = PAGE };
	struct ibv_mr *mr;

	if (fail_nth(n))
		return false;
	mr = reg(pd, explicit);
	if (mr) {
		sge.lkey = mr->lkey;
		ibv_advise_mr(pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			      IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
	}
	n = failures_left();
	if (mr && ibv_dereg_mr(mr))
		complain("ibv_dereg_mr: %m");
	return !n;
}

#define MOST_ALLOCATIONS	300

TEST_F_TIMEOUT(tables, no_memory, LIMIT)
{
	int n = 1;

	if (access("/proc/thread-self/fail-nth", W_OK) ||
	    write_text("/sys/kernel/debug/failslab", "ignore-gfp-wait", "N"))
		SKIP(return, "no fault injection in this kernel");
	ASSERT_TRUE(map_at(BASE, HUGE));
	while (n < MOST_ALLOCATIONS &&
	       one_fails(self->pair.node[1].pd, variant->explicit, n))
		n++;
	write_text("/sys/kernel/debug/failslab", "ignore-gfp-wait", "Y");
	/* the last one was the first that did not fail */
	EXPECT_LT(10, n);
	EXPECT_GT(MOST_ALLOCATIONS, n);
	ASSERT_EQ(0, munmap(BASE, HUGE));
}

TEST_HARNESS_MAIN
