// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verified traffic over on-demand and process keys, in all modes of faults, while
 * everything happens to the memory that can happen to memory; the same beside a
 * hostile process; and processes that are killed in the middle of that.
 *
 * SVAN_SEED=n draws the same again (threads run as they like), SVAN_SECONDS=n runs
 * longer. What did not happen at all in three times that makes the run fail.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "torture.h"

#define LIMIT		7200	/* the caller's limit comes first */
#define SECONDS		10
#define CGROUP		"/sys/fs/cgroup/svan-torture"

static struct torture torture;

/* ---- what the guest lends: swap, KSM, huge pages, a memory limit ---- */

static void guest_prepare(struct torture *t)
{
	t->has_swap = swap_on();
	if (!t->has_swap)
		complain("skipped: swap (no zram, mkswap or swapon)");
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "500");
	if (write_file("/sys/kernel/mm/ksm/run", "1"))
		complain("skipped: KSM");
	write_file("/proc/sys/vm/nr_hugepages", "4");
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
}

static void guest_restore(struct torture *t)
{
	write_file("/sys/kernel/mm/ksm/run", "0");
	write_file("/proc/sys/vm/nr_hugepages", "0");
	rmdir(CGROUP);
	if (t->has_swap)
		swap_off();
}

static void enter_cgroup(const char *folder)
{
	char path[128], pid[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (write_file(path, pid))
		complain("cannot enter %s: %m", folder);
}

/* Before memory is allocated: it stays where it was charged. */
static void limit_prepare(struct torture *t)
{
	if (!t->has_swap)
		return;
	mkdir("/sys/fs/cgroup", 0755);
	if (access("/sys/fs/cgroup/cgroup.controllers", R_OK))
		mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	/* one that was killed may have left its own */
	t->has_limit = !write_file(CGROUP "/memory.max", "max");
	if (t->has_limit)
		enter_cgroup(CGROUP);
	else
		complain("skipped: a memory limit (no cgroup v2 with memory)");
}

/* Below what is in use: about three quarters of it. */
static void limit_set(struct torture *t)
{
	unsigned long long used = read_number(CGROUP "/memory.current");
	char text[32];

	if (!t->has_limit)
		return;
	snprintf(text, sizeof(text), "%llu", used / 4 * 3);
	printf("# memory: %llu KiB used, limit %llu KiB\n", used >> 10,
	       used / 4 * 3 >> 10);
	if (write_file(CGROUP "/memory.max", text))
		complain("memory.max: %m");
}

static void limit_drop(struct torture *t)
{
	if (!t->has_limit)
		return;
	write_file(CGROUP "/memory.max", "max");
	enter_cgroup("/sys/fs/cgroup");
	rmdir(CGROUP);
}

/* ---- setting up ---- */

static int lane_open(struct torture *t, int n)
{
	struct lane *lane = &t->lanes[n];
	struct ep_opts opts = ep_defaults;
	struct conn conn = conn_defaults;
	struct svandv_fault_policy policy;
	int i, ret = 0;

	lane->t = t;
	lane->mode = n;
	/* over the wire where there is one */
	lane->node[1] = n & 1 && t->num_nodes > 2 ? 2 : 1;
	for (i = 0; i < 2 && !ret; i++)
		ret = ep_create(&lane->ep[i], &t->nodes[lane->node[i]], &opts);
	if (!ret)
		ret = connect_eps(&lane->ep[0], &lane->ep[1], &conn);
	for (i = 0; i < 2 && !ret; i++) {
		ret = svandv_query_fault_policy(lane->ep[i].qp, &policy);
		policy.mode = lane->mode;
		if (!ret)
			ret = svandv_set_fault_policy(lane->ep[i].qp, &policy);
	}
	return ret;
}

static int nodes_open(struct torture *t)
{
	int i, ret;

	t->num_nodes = device_exists(PEER) ? 3 : 2;
	for (i = 0; i < t->num_nodes; i++) {
		ret = node_open(&t->nodes[i], i < 2 ? LOCAL : PEER);
		if (ret)
			return ret;
		t->all[i] = demand_reg(t->nodes[i].pd, NULL, SIZE_MAX,
				       ACCESS_ALL);
		if (!t->all[i]) {
			complain("an implicit region: %m");
			return -EIO;
		}
	}
	return 0;
}

static int torture_open(struct torture *t, struct rng *rng)
{
	int i, ret;

	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->hammer_lock, NULL);
	guest_prepare(t);
	limit_prepare(t);
	ret = nodes_open(t);
	if (ret)
		return ret;
	t->has_server = !server_start(&t->server, NULL, 0, 12, FILL);
	if (!t->has_server)
		complain("skipped: userfaultfd");
	t->server.jitter = true;
	ret = slots_make(t, rng);
	for (i = 0; i < LANES && !ret; i++) {
		t->lanes[i].rng.state = rng_u64(rng);
		ret = lane_open(t, i);
	}
	if (!ret)
		limit_set(t);
	return ret;
}

static void torture_close(struct torture *t)
{
	int i;

	for (i = 0; i < LANES; i++) {
		ep_destroy(&t->lanes[i].ep[0]);
		ep_destroy(&t->lanes[i].ep[1]);
	}
	slots_drop(t);
	if (t->has_server)
		server_stop(&t->server);
	for (i = 0; i < t->num_nodes; i++) {
		if (t->all[i])
			ibv_dereg_mr(t->all[i]);
		node_close(&t->nodes[i]);
	}
	limit_drop(t);
}

/* ---- what must have happened ---- */

static const struct wanted {
	const char *name;
	bool swap;		/* only if there is some */
	bool server;
} device_counters[] = {
	{ .name = "fault_hold" }, { .name = "fault_rnr" },
	{ .name = "fault_divert" }, { .name = "fault_drop" },
	{ .name = "fault_held_bytes" }, { .name = "fault_diverted_bytes" },
	{ .name = "fault_dropped_packets" }, { .name = "fault_fallback" },
	{ .name = "page_requests" }, { .name = "page_requests_merged" },
	{ .name = "page_faults_again" }, { .name = "page_faults_requester" },
	{ .name = "page_faults_estimated" }, { .name = "invalidations" },
	{ .name = "context_walks" },
};

static const struct wanted kernel_counters[] = {
	{ .name = "pswpin", .swap = true }, { .name = "pswpout", .swap = true },
	{ .name = "pgmigrate_success" }, { .name = "thp_collapse_alloc" },
	{ .name = "pgpgin" },
};

static const struct wanted classes[] = {
	{ .name = "zero_fill" }, { .name = "page_cache" },
	{ .name = "file_read" }, { .name = "swap_in", .swap = true },
	{ .name = "copy_on_write" }, { .name = "huge_page" },
	{ .name = "userfaultfd", .server = true },
};

#define DEVICE_N	ARRAY_SIZE(device_counters)
#define KERNEL_N	ARRAY_SIZE(kernel_counters)
#define CLASS_N		ARRAY_SIZE(classes)

struct counts {
	uint64_t device[DEVICE_N], kernel[KERNEL_N], classes[CLASS_N];
};

static uint64_t vmstat(const char *name)
{
	unsigned long long value, found = 0;
	FILE *file = fopen("/proc/vmstat", "re");
	char line[64];

	while (file && fscanf(file, "%63s %llu", line, &value) == 2)
		if (!strcmp(line, name))
			found = value;
	if (file)
		fclose(file);
	return found;
}

/* Of all devices: "class store count ..." */
static uint64_t class_count(const char *name)
{
	char command[256];
	uint64_t sum = 0;
	FILE *pipe;

	snprintf(command, sizeof(command),
		 "awk '$1 == \"%s\" { n += $3 } END { print n + 0 }' "
		 "/sys/kernel/debug/svan_ib/*/estimates",
		 name);
	pipe = popen(command, "re");
	if (!pipe || fscanf(pipe, "%lu", &sum) != 1)
		complain("cannot read the estimates");
	if (pipe)
		pclose(pipe);
	return sum;
}

static void counts_take(struct torture *t, struct counts *counts)
{
	unsigned int i;

	for (i = 0; i < DEVICE_N; i++) {
		counts->device[i] = counter_of(LOCAL, device_counters[i].name);
		if (t->num_nodes > 2)
			counts->device[i] += counter_of(PEER,
							device_counters[i].name);
	}
	for (i = 0; i < KERNEL_N; i++)
		counts->kernel[i] = vmstat(kernel_counters[i].name);
	for (i = 0; i < CLASS_N; i++)
		counts->classes[i] = class_count(classes[i].name);
}

static int count_missing(struct torture *t, const struct wanted *wanted,
			 const uint64_t *before, const uint64_t *after,
			 unsigned int n, bool say)
{
	unsigned int i;
	int missing = 0;

	for (i = 0; i < n; i++) {
		bool possible = (!wanted[i].swap || t->has_swap) &&
				(!wanted[i].server || t->has_server);

		if (possible && after[i] == before[i])
			missing++;
		if (say)
			printf("# %-22s %12llu%s\n", wanted[i].name,
			       (unsigned long long)(after[i] - before[i]),
			       after[i] != before[i] ? "" :
			       possible ? "  MISSING" : "  (not here)");
	}
	return missing;
}

static int acts_missing(struct torture *t, bool say)
{
	int i, missing = 0;

	for (i = 0; i < ACT_COUNT; i++) {
		uint64_t done = atomic_load(&t->done[i]);

		missing += !done;
		if (say)
			printf("# act %-18s %12llu%s\n", act_names[i],
			       (unsigned long long)done,
			       done ? "" : "  MISSING");
	}
	missing += !t->merged_pages;
	if (say)
		printf("# %-22s %12llu\n", "KSM pages shared",
		       (unsigned long long)t->merged_pages);
	return missing;
}

static int all_missing(struct torture *t, const struct counts *before, bool say)
{
	struct counts now;

	counts_take(t, &now);
	return count_missing(t, device_counters, before->device, now.device,
			     DEVICE_N, say) +
	       count_missing(t, kernel_counters, before->kernel, now.kernel,
			     KERNEL_N, say) +
	       count_missing(t, classes, before->classes, now.classes, CLASS_N,
			     say) +
	       acts_missing(t, say);
}

/* ---- running ---- */

static void *(*const mains[])(void *) = {
	exclusive_main, quiet_main, fork_main, hammer_main,
};

#define MAINS	ARRAY_SIZE(mains)

static int threads_start(struct torture *t, pthread_t *threads)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < MAINS; i++)
		ret |= pthread_create(&threads[i], NULL, mains[i], t);
	for (i = 0; i < LANES; i++)
		ret |= pthread_create(&t->lanes[i].thread, NULL, lane_main,
				      &t->lanes[i]);
	return ret;
}

static void threads_join(struct torture *t, pthread_t *threads)
{
	unsigned int i;

	atomic_store(&t->stop, true);
	for (i = 0; i < MAINS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < LANES; i++)
		pthread_join(t->lanes[i].thread, NULL);
}

static void run_for(struct torture *t, const struct counts *before,
		    unsigned int seconds)
{
	uint64_t start = now_ms();

	while (!atomic_load(&t->stop)) {
		sleep(1);
		if (now_ms() < start + seconds * 1000ull)
			continue;
		if (now_ms() > start + 3000ull * seconds ||
		    !all_missing(t, before, false))
			break;
	}
	printf("# ran for %llu s\n",
	       (unsigned long long)(now_ms() - start) / 1000);
}

static void report(struct torture *t)
{
	int i;

	for (i = 0; i < LANES; i++)
		printf("# lane of mode %d: %llu transfers, %llu KiB\n", i,
		       (unsigned long long)t->lanes[i].transfers,
		       (unsigned long long)t->lanes[i].octets >> 10);
	fflush(stdout);
}

FIXTURE(torture)
{
	struct rng rng;
};

FIXTURE_SETUP(torture)
{
	rng_init(&self->rng, "torture");
}

FIXTURE_TEARDOWN(torture)
{
	struct pair pair;

	guest_restore(&torture);
	ASSERT_EQ(0, pair_open(&pair, device_exists(PEER), 65536));
	EXPECT_EQ(0, pair_sound(&pair));
	pair_close(&pair);
}

static void traffic(struct __test_metadata *_metadata, struct rng *rng)
{
	const char *seconds = getenv("SVAN_SECONDS");
	struct torture *t = &torture;
	struct counts before;
	pthread_t threads[MAINS];

	ASSERT_EQ(0, torture_open(t, rng));
	counts_take(t, &before);
	ASSERT_EQ(0, threads_start(t, threads));
	run_for(t, &before, seconds ? atoi(seconds) : SECONDS);
	threads_join(t, threads);
	report(t);
	EXPECT_EQ(0, atomic_load(&t->failed));
	if (!atomic_load(&t->failed)) {
		EXPECT_EQ(0, slots_check(t));
		EXPECT_EQ(0, traps_check(t));
	}
	EXPECT_EQ(0, all_missing(t, &before, true));
	torture_close(t);
}

TEST_F_TIMEOUT(torture, traffic, LIMIT)
{
	traffic(_metadata, &self->rng);
}

/* ---- what others may leave behind ---- */

/* QPs, CQs, MRs, PDs and contexts of all devices. */
static void resources(char *text, size_t size)
{
	FILE *pipe = popen("rdma resource show", "re");
	size_t n = pipe ? fread(text, 1, size - 1, pipe) : 0;

	text[n] = 0;
	if (pipe)
		pclose(pipe);
}

static int until_equal(const char *before)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	char now[2048];

	do {
		resources(now, sizeof(now));
		if (!strcmp(before, now))
			return 0;
		usleep(100000);
	} while (now_ms() < deadline);
	complain("left behind:\n%sinstead of:\n%s", now, before);
	return -EBUSY;
}

/* ---- beside hostile-neighbour, which lies in the same folder ---- */

static pid_t neighbour_start(void)
{
	char path[256];
	ssize_t length;
	pid_t pid = fork();

	if (pid)
		return pid;
	length = readlink("/proc/self/exe", path, sizeof(path) - 32);
	while (length > 0 && path[length - 1] != '/')
		length--;
	strcpy(path + (length > 0 ? length : 0), "hostile-neighbour");
	execl(path, path, NULL);
	complain("%s: %m", path);
	_exit(1);
}

static int neighbour_end(pid_t pid)
{
	int status;

	kill(pid, SIGTERM);
	return waitpid(pid, &status, 0) == pid ? status : -errno;
}

TEST_F_TIMEOUT(torture, hostile_neighbour, LIMIT)
{
	char before[2048];
	pid_t pid;

	resources(before, sizeof(before));
	ASSERT_NE(0, before[0]);
	pid = neighbour_start();
	ASSERT_LT(0, pid);
	traffic(_metadata, &self->rng);
	EXPECT_EQ(0, neighbour_end(pid));
	EXPECT_EQ(0, until_equal(before));
}

/* ---- killed at any moment ---- */

static void victim(struct rng *rng, int fd)
{
	pthread_t threads[MAINS];

	setpgid(0, 0);
	if (torture_open(&torture, rng) ||
	    threads_start(&torture, threads) || write(fd, "x", 1) != 1)
		_exit(1);
	pause();
}

TEST_F_TIMEOUT(torture, killed, LIMIT)
{
	char before[2048], octet;
	int round, status, fds[2];
	struct pair pair;
	pid_t pid;

	torture.has_swap = true;
	resources(before, sizeof(before));
	ASSERT_NE(0, before[0]);
	for (round = 0; round < 6; round++) {
		ASSERT_EQ(0, pipe(fds));
		self->rng.state++;
		pid = fork();
		if (!pid)
			victim(&self->rng, fds[1]);
		close(fds[1]);
		ASSERT_EQ(1, read(fds[0], &octet, 1));
		usleep(rng_below(&self->rng, 2000000));
		ASSERT_EQ(0, kill(-pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		close(fds[0]);
		ASSERT_EQ(0, until_equal(before));
		ASSERT_EQ(0, pair_open(&pair, device_exists(PEER), 65536));
		ASSERT_EQ(0, pair_sound(&pair));
		pair_close(&pair);
	}
}

TEST_HARNESS_MAIN
