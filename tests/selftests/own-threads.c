// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process's pages are brought by threads of its own: what happens to them when
 * it is stopped, traced, frozen, when it forks, becomes another program, may have
 * no more threads, or has pages that never come.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "demand.h"
#include "kselftest_harness.h"
#include "unserved.h"

#define LIMIT		120
#define THREAD		"svan_fault"
#define PAGES		16
#define HELD_MS		300	/* so long nothing comes */

/* ---- a process that is written to ---- */

/* What it tells of itself, and is told. */
struct address {
	uint32_t qpn, psn, rkey;
	uint64_t resident, fresh;
	union ibv_gid gid;
};

FIXTURE(own)
{
	struct node node;
	struct area out;
	struct ep ep;
	struct child child;
	struct address peer;
	unsigned int fresh;	/* pages that have been written to */
};

static int connect_to(struct ep *ep, const struct address *address)
{
	struct ibv_qp qp = { .qp_num = address->qpn };
	struct node node = { .gid = address->gid };
	struct ep peer = { .qp = &qp, .node = &node, .psn = address->psn };

	if (ep_init(ep, &conn_defaults) || ep_rtr(ep, &peer, &conn_defaults) ||
	    ep_rts(ep, &conn_defaults))
		return -EINVAL;
	return 0;
}

/* What it has: memory to be written to, and a page that nobody serves. */
struct target {
	struct node node;
	struct mem mem;
	struct ibv_mr *mr;
	struct ep ep;
	struct unserved unserved;
	struct crowd crowd;
	struct ibv_mr *unserved_mr;
};

/* One of its threads waits for the page, all the time. */
static int target_open(struct target *target)
{
	struct unserved *unserved = &target->unserved;
	struct crowd *crowd = &target->crowd;

	if (node_open(&target->node, LOCAL) ||
	    mem_map(&target->mem, MEM_ANON, PAGES * PAGE) ||
	    ep_create(&target->ep, &target->node, &ep_defaults) ||
	    unserved_map(unserved, PAGE) || crowd_open(crowd, LOCAL, LOCAL, 1))
		return -EIO;
	memset(target->mem.map, 1, PAGE);
	target->mr = demand_reg(target->node.pd, NULL, SIZE_MAX, ACCESS_ALL);
	target->unserved_mr = demand_reg(crowd->node[1].pd, unserved->map, PAGE,
					 ACCESS_ALL);
	if (!target->mr || !target->unserved_mr ||
	    crowd_post(crowd, target->unserved_mr, unserved->map, PAGE))
		return -EIO;
	return unserved_await(unserved) < 0 ? -EIO : 0;
}

/* The verbs contexts go, while the page is waited for. */
static void target_close(struct target *target)
{
	ep_destroy(&target->ep);
	if (ibv_dereg_mr(target->mr) || ibv_dereg_mr(target->unserved_mr))
		_exit(1);
	crowd_close(&target->crowd);
	node_close(&target->node);
}

/* What the parent asks for by an octet. */
static void obey(struct target *target, int fd)
{
	char *argv[] = { "sh", "-c", "echo x; read x", NULL };
	char octet;

	while (read(fd, &octet, 1) == 1) {
		switch (octet) {
		case 'f':
			if (!fork())
				_exit(0);
			wait(NULL);
			break;
		case 'x':
			dup2(fd, 0);
			dup2(fd, 1);
			execv("/bin/sh", argv);
			_exit(1);
		case 'c':
			target_close(target);
			break;
		default:
			if (unserved_serve(&target->unserved) ||
			    crowd_drain(&target->crowd))
				_exit(1);
		}
		child_say(fd);
	}
	_exit(0);
}

static void be_written_to(void *arg, int fd)
{
	struct address mine, theirs;
	struct target target;

	if (target_open(&target))
		return;
	mine = (struct address){
		.qpn = target.ep.qp->qp_num,
		.psn = target.ep.psn,
		.rkey = target.mr->rkey,
		.resident = (uintptr_t)target.mem.map,
		.fresh = (uintptr_t)target.mem.map + PAGE,
		.gid = target.node.gid,
	};
	child_say(fd);
	if (write(fd, &mine, sizeof(mine)) != sizeof(mine) ||
	    read(fd, &theirs, sizeof(theirs)) != sizeof(theirs) ||
	    connect_to(&target.ep, &theirs))
		return;
	child_say(fd);
	obey(&target, fd);
}

FIXTURE_SETUP(own)
{
	struct address mine;

	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, node_open(&self->node, LOCAL));
	if (!demand_supported(self->node.ctx, true))
		SKIP(return, "no key to everything");
	ASSERT_EQ(0, area_alloc(&self->out, self->node.pd, PAGE, ACCESS_ALL));
	ASSERT_EQ(0, ep_create(&self->ep, &self->node, &ep_defaults));
	ASSERT_EQ(0, child_start(&self->child, be_written_to, NULL));
	ASSERT_EQ(sizeof(self->peer), read(self->child.fd, &self->peer,
					   sizeof(self->peer)));
	mine = (struct address){
		.qpn = self->ep.qp->qp_num,
		.psn = self->ep.psn,
		.gid = self->node.gid,
	};
	ASSERT_EQ(0, connect_to(&self->ep, &self->peer));
	ASSERT_EQ(sizeof(mine), write(self->child.fd, &mine, sizeof(mine)));
	ASSERT_EQ(0, child_hear(self->child.fd));
}

FIXTURE_TEARDOWN(own)
{
	EXPECT_EQ(0, child_kill(&self->child));
	ep_destroy(&self->ep);
	area_free(&self->out);
	node_close(&self->node);
	EXPECT_EQ(0, touch_fresh(LOCAL, 2));
}

static int post_write(FIXTURE_DATA(own) *self, uint64_t to)
{
	struct ibv_sge sge = area_sge(&self->out, 0, 64);
	struct ibv_send_wr wr = {
		.wr_id = 7,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.remote_addr = to,
		.wr.rdma.rkey = self->peer.rkey,
	};

	return ep_post_send(&self->ep, &wr);
}

static int post_fresh(FIXTURE_DATA(own) *self)
{
	return post_write(self, self->peer.fresh + PAGE * self->fresh++);
}

/* Tell it what to do, and wait until it says that it has. */
static int command(FIXTURE_DATA(own) *self, char octet)
{
	if (write(self->child.fd, &octet, 1) != 1)
		return -errno;
	return child_hear(self->child.fd);
}

/*
 * While it is held, in whatever way: what is resident can be reached, what is
 * not has to wait. Afterwards it comes.
 */
static int check_held(FIXTURE_DATA(own) *self)
{
	int ret = post_write(self, self->peer.resident);

	if (!ret)
		ret = ep_expect(&self->ep, 7, IBV_WC_SUCCESS);
	if (!ret)
		ret = post_fresh(self);
	return ret ? ret : ep_expect_none(&self->ep, HELD_MS);
}

static int check_released(FIXTURE_DATA(own) *self)
{
	int ret = ep_expect(&self->ep, 7, IBV_WC_SUCCESS);

	if (!ret)
		ret = post_fresh(self);
	return ret ? ret : ep_expect(&self->ep, 7, IBV_WC_SUCCESS);
}

/* ---- whose they are ---- */

static int await_no_threads(pid_t pid)
{
	uint64_t deadline = now_ms() + WAIT_MS;

	while (threads_of(pid, THREAD)) {
		if (now_ms() > deadline) {
			complain("process %d keeps its threads", pid);
			return -ETIMEDOUT;
		}
		usleep(1000);
	}
	return 0;
}

TEST_F_TIMEOUT(own, threads, LIMIT)
{
	int count = threads_of(self->child.pid, THREAD);

	EXPECT_LE(2, count);
	EXPECT_GT(5, count);
	EXPECT_EQ(0, threads_of(getpid(), THREAD));
	ASSERT_EQ(0, post_fresh(self));
	ASSERT_EQ(0, check_released(self));
	/* with the last verbs context they go, though one of them waits */
	ASSERT_EQ(0, command(self, 'c'));
	EXPECT_EQ(0, await_no_threads(self->child.pid));
}

/* ---- stopped, traced, frozen ---- */

/* In whatever way; -ETIMEDOUT. */
static int await_state(pid_t pid, int options)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int status, ret;

	do {
		ret = waitpid(pid, &status, options | WNOHANG);
		if (ret == pid)
			return 0;
		usleep(1000);
	} while (!ret && now_ms() < deadline);
	complain("thread %d does not stop", pid);
	return -ETIMEDOUT;
}

/* The longest that any device has learned last of a fresh page, in ms, or -1. */
static int64_t learned_ms(void)
{
	int64_t ms = -1;
	FILE *pipe;

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	/* class store count estimate p50 p90 last within2x% */
	pipe = popen("awk '$1 == \"zero_fill\" && $7 > max { max = $7 } "
		     "END { print int(max / 1000000) }' "
		     "/sys/kernel/debug/svan_ib/*/estimates", "re");
	if (!pipe || fscanf(pipe, "%" SCNd64, &ms) != 1)
		complain("cannot read the estimates");
	if (pipe)
		pclose(pipe);
	return ms;
}

TEST_F_TIMEOUT(own, stopped, LIMIT)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, kill(self->child.pid, SIGSTOP));
		ASSERT_EQ(0, await_state(self->child.pid, WUNTRACED));
		ASSERT_EQ(0, check_held(self));
		ASSERT_EQ(0, kill(self->child.pid, SIGCONT));
		ASSERT_EQ(0, ep_expect(&self->ep, 7, IBV_WC_SUCCESS));
		/* it took HELD_MS, but that is not what others' will take */
		EXPECT_LE(0, learned_ms());
		EXPECT_GT(HELD_MS / 2, learned_ms());
		ASSERT_EQ(0, post_fresh(self));
		ASSERT_EQ(0, check_released(self));
	}
	/* who waited, waits; and is served in the end */
	ASSERT_EQ(0, command(self, 's'));
}

/* For each thread of the child, as a debugger does. */
static int trace_all(pid_t pid, int (*what)(pid_t tid))
{
	struct dirent *entry;
	char path[64];
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && !ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = what(atoi(entry->d_name));
	if (dir)
		closedir(dir);
	return dir ? ret : -errno;
}

static int trace_stop(pid_t tid)
{
	if (ptrace(PTRACE_SEIZE, tid, 0, 0) ||
	    ptrace(PTRACE_INTERRUPT, tid, 0, 0)) {
		complain("tracing thread %d: %m", tid);
		return -errno;
	}
	return await_state(tid, __WALL);
}

static int trace_go(pid_t tid)
{
	return ptrace(PTRACE_DETACH, tid, 0, 0) ? -errno : 0;
}

TEST_F_TIMEOUT(own, traced, LIMIT)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, trace_all(self->child.pid, trace_stop));
		ASSERT_EQ(0, check_held(self));
		ASSERT_EQ(0, trace_all(self->child.pid, trace_go));
		ASSERT_EQ(0, check_released(self));
	}
	ASSERT_EQ(0, command(self, 's'));
}

#define GROUP	"/sys/fs/cgroup/svan-own"

static int group_write(const char *file, long value)
{
	char path[128];
	int ret = 0;
	FILE *f;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%ld\n", value) < 0 || fclose(f)) {
		complain("writing %ld to %s: %m", value, path);
		ret = -errno;
	}
	return ret;
}

static int group_make(pid_t pid)
{
	FILE *f = fopen("/sys/fs/cgroup/cgroup.subtree_control", "w");

	if (f) {
		fputs("+pids\n", f);
		fclose(f);
	}
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		return -errno;
	return group_write("cgroup.procs", pid);
}

static bool group_is_frozen(void)
{
	FILE *f = fopen(GROUP "/cgroup.events", "r");
	bool frozen = false;
	char line[64];

	while (f && fgets(line, sizeof(line), f))
		frozen |= !strcmp(line, "frozen 1\n");
	if (f)
		fclose(f);
	return frozen;
}

static int group_freeze(bool freeze)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int ret = group_write("cgroup.freeze", freeze);

	while (!ret && group_is_frozen() != freeze && now_ms() < deadline)
		usleep(1000);
	if (!ret && group_is_frozen() != freeze) {
		complain("the group does not %s", freeze ? "freeze" : "thaw");
		ret = -ETIMEDOUT;
	}
	return ret;
}

TEST_F_TIMEOUT(own, frozen, LIMIT)
{
	int i;

	if (access("/sys/fs/cgroup/cgroup.procs", W_OK))
		SKIP(return, "there are no control groups");
	ASSERT_EQ(0, group_make(self->child.pid));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, group_freeze(true));
		ASSERT_EQ(0, check_held(self));
		ASSERT_EQ(0, group_freeze(false));
		ASSERT_EQ(0, check_released(self));
	}
	ASSERT_EQ(0, command(self, 's'));
	ASSERT_EQ(0, child_kill(&self->child));
	ASSERT_EQ(0, child_start(&self->child, be_written_to, NULL));
	ASSERT_EQ(0, rmdir(GROUP));
}

/*
 * All of the system, as suspend begins with, and back: who waits for a page is no
 * hindrance, and is told that the device has gone.
 */
TEST_F_TIMEOUT(own, suspended, LIMIT)
{
	static const char *const steps[][2] = {
		{ "/sys/module/suspend/parameters/pm_test_delay", "0" },
		{ "/sys/power/pm_test", "freezer" },
		{ "/sys/power/state", "freeze" },
		{ "/sys/power/pm_test", "none" },
	};
	unsigned int i;
	int fd, ret;

	if (access(steps[1][0], W_OK))
		SKIP(return, "the freezer cannot be tested by itself");
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		fd = open(steps[i][0], O_WRONLY);
		ret = write(fd, steps[i][1], strlen(steps[i][1]));
		EXPECT_EQ(strlen(steps[i][1]), ret)
			TH_LOG("%s to %s: %m", steps[i][1], steps[i][0]);
		close(fd);
	}
	EXPECT_EQ(0, expect_async(&self->node, IBV_EVENT_DEVICE_FATAL, WAIT_MS));
}

/* ---- fork and exec ---- */

TEST_F_TIMEOUT(own, forks, LIMIT)
{
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, command(self, 'f'));
		ASSERT_EQ(0, post_fresh(self));
		ASSERT_EQ(0, ep_expect(&self->ep, 7, IBV_WC_SUCCESS));
	}
	ASSERT_EQ(0, command(self, 's'));
}

/* It becomes another program at once, though a page of it is waited for. */
TEST_F_TIMEOUT(own, becomes_another, LIMIT)
{
	ASSERT_EQ(0, command(self, 'x'));
	EXPECT_EQ(0, threads_of(self->child.pid, THREAD));
}

/* ---- limits ---- */

/* With room for so many threads more, each of which it has itself. */
static void be_limited(void *arg, int fd)
{
	struct unserved unserved;
	struct ibv_mr *mr;
	struct crowd crowd;
	struct node node;
	struct mem mem;

	if (node_open(&node, LOCAL) || mem_map(&mem, MEM_ANON, PAGE) ||
	    group_make(getpid()) || group_write("pids.max", 2))
		return;
	errno = 0;
	mr = demand_reg(node.pd, mem.map, PAGE, ACCESS_ALL);
	if (mr || errno != EAGAIN) {
		complain("registration beyond the limit: %m");
		return;
	}
	if (await_no_threads(getpid()) || group_write("pids.max", 3))
		return;
	/* the two that there are from the beginning */
	mr = demand_reg(node.pd, mem.map, PAGE, ACCESS_ALL);
	if (!mr || ibv_dereg_mr(mr))
		return;
	/* and no more of them, however many pages are waited for */
	if (unserved_map(&unserved, 8 * PAGE) ||
	    crowd_open(&crowd, LOCAL, LOCAL, 8))
		return;
	mr = demand_reg(crowd.node[1].pd, unserved.map, 8 * PAGE, ACCESS_ALL);
	if (!mr || crowd_post(&crowd, mr, unserved.map, PAGE) ||
	    unserved_await(&unserved) < 0)
		return;
	if (touch_fresh(LOCAL, 4))
		return;
	if (unserved_serve(&unserved) || crowd_drain(&crowd))
		return;
	child_say(fd);
	for (;;)
		pause();
}

TEST(limited)
{
	struct child child;

	if (access("/sys/fs/cgroup/cgroup.procs", W_OK))
		SKIP(return, "there are no control groups");
	ASSERT_EQ(0, child_start(&child, be_limited, NULL));
	EXPECT_EQ(0, child_kill(&child));
	EXPECT_EQ(0, rmdir(GROUP));
}

/* ---- pages that never come ---- */

/*
 * However many pages are waited for, those that need no wait come: who serves the
 * former may depend on the latter.
 */
TEST(waits_beside_each_other)
{
	struct unserved unserved;
	struct crowd crowd;
	struct ibv_mr *mr;

	ASSERT_EQ(0, unserved_map(&unserved, 96 * PAGE));
	ASSERT_EQ(0, crowd_open(&crowd, LOCAL, LOCAL, 96));
	mr = demand_reg(crowd.node[1].pd, unserved.map, 96 * PAGE, ACCESS_ALL);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, crowd_post(&crowd, mr, unserved.map, PAGE));
	EXPECT_LE(16, unserved_await(&unserved));
	EXPECT_EQ(0, touch_fresh(LOCAL, 4));
	ASSERT_EQ(0, unserved_serve(&unserved));
	EXPECT_EQ(0, crowd_drain(&crowd));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	crowd_close(&crowd);
	unserved_unmap(&unserved);
}

/* Nothing that is taken away waits for a page. */
TEST(ends_beside_waits)
{
	struct crowd crowd;
	struct stuck stuck;
	struct ibv_mr *mr;
	uint64_t start;

	ASSERT_EQ(0, stuck_map(&stuck, 8 * PAGE));
	ASSERT_EQ(0, crowd_open(&crowd, LOCAL, LOCAL, 8));
	mr = demand_reg(crowd.node[1].pd, stuck.map, 8 * PAGE, ACCESS_ALL);
	ASSERT_NE(NULL, mr);
	ASSERT_EQ(0, crowd_post(&crowd, mr, stuck.map, PAGE));
	ASSERT_EQ(0, stuck_await(&stuck));
	start = now_ms();
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	crowd_close(&crowd);
	EXPECT_GT(4 * PROMPT_MS, now_ms() - start);
	EXPECT_EQ(0, touch_fresh(LOCAL, 2));
	stuck_unmap(&stuck);
}

/* ---- advice that is waited for ---- */

static void nothing(int sig)
{
}

static void advise_stuck(void *arg, int fd)
{
	struct sigaction action = { .sa_handler = nothing };
	struct ibv_sge sge = { .length = PAGE };
	struct stuck stuck;
	struct ibv_mr *mr;
	struct node node;

	sigaction(SIGUSR1, &action, NULL);
	if (stuck_map(&stuck, PAGE) || node_open(&node, LOCAL))
		return;
	mr = demand_reg(node.pd, stuck.map, PAGE, ACCESS_ALL);
	if (!mr)
		return;
	sge.addr = (uintptr_t)stuck.map;
	sge.lkey = mr->lkey;
	child_say(fd);
	if (ibv_advise_mr(node.pd, IBV_ADVISE_MR_ADVICE_PREFETCH,
			  IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1) != EINTR)
		_exit(1);
	child_say(fd);
	for (;;)
		pause();
}

TEST(advice_is_interrupted)
{
	struct child child;
	int i, ret = -ETIMEDOUT;

	ASSERT_EQ(0, child_start(&child, advise_stuck, NULL));
	/* it may not be in the call yet */
	for (i = 0; i < WAIT_MS / 50 && ret == -ETIMEDOUT; i++) {
		struct pollfd pfd = { .fd = child.fd, .events = POLLIN };

		kill(child.pid, SIGUSR1);
		if (poll(&pfd, 1, 50) == 1)
			ret = child_hear(child.fd);
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, child_kill(&child));
}

TEST_HARNESS_MAIN
