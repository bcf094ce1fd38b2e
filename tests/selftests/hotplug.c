// SPDX-License-Identifier: GPL-2.0-only
/*
 * The RDMA driver goes while verbs are in use: by unbinding it from a function,
 * and by unloading it. Users are told, nobody hangs, and it comes back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "demand.h"
#include "kselftest_harness.h"
#include "unserved.h"

#define LIMIT		180
#define AREA		(256u << 10)
#define BURST		16
#define ROUNDS		5

FIXTURE(hotplug)
{
	char aux[PATH_MAX];		/* auxiliary device of the function */
	char driver[PATH_MAX];		/* its driver */
};

FIXTURE_VARIANT(hotplug)
{
	bool wire;
};

FIXTURE_VARIANT_ADD(hotplug, loopback)
{
	.wire = false,
};

FIXTURE_VARIANT_ADD(hotplug, wire)
{
	.wire = true,
};

FIXTURE_SETUP(hotplug)
{
	if (variant->wire && !device_exists(PEER))
		SKIP(return, "there is no %s", device_name(PEER));
	ASSERT_EQ(0, await_sound(variant->wire));
	ASSERT_EQ(0, rdma_driver_find(LOCAL, self->aux, self->driver));
}

FIXTURE_TEARDOWN(hotplug)
{
	EXPECT_EQ(0, await_sound(variant->wire));
}

/* ---- a user ---- */

/* Has the device told that it is gone? */
static bool device_is_gone(struct node *node)
{
	int event = wait_async(node, 0);

	return event == IBV_EVENT_DEVICE_FATAL || event == -EIO;
}

static int post_burst(struct pair *pair)
{
	struct ibv_sge sge = area_sge(&pair->out[0], 0, AREA / BURST);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
	};
	int i, ret;

	for (i = 0; i < BURST; i++) {
		wr.wr.rdma.remote_addr = (uintptr_t)pair->in[1].data +
					 i * (AREA / BURST);
		wr.wr.rdma.rkey = pair->in[1].mr->rkey;
		ret = ep_post_send(&pair->ep[0], &wr);
		if (ret)
			return ret;
	}
	return 0;
}

/* Works, or idles, until the device is gone; then goes on ringing for a while. */
static void user(bool wire, bool idle, int said)
{
	struct ibv_wc wc;
	struct pair pair;
	int i = 0, n;

	if (pair_open(&pair, wire, AREA) || pair_create(&pair, &ep_defaults) ||
	    pair_connect(&pair, &conn_defaults) || post_burst(&pair))
		_exit(1);
	while (!device_is_gone(&pair.node[0])) {
		if (i == BURST && write(said, "x", 1) != 1)
			_exit(2);
		for (n = 0; n < BURST && !ep_wait(&pair.ep[0], &wc, 5); n++)
			i++;
		if (idle && i >= BURST)
			usleep(1000);
		else if (n == BURST)
			post_burst(&pair);
	}
	for (n = 0; n < 3; n++)
		post_burst(&pair);
	pair_close(&pair);		/* may say that there is no device */
	_exit(0);
}

static pid_t start_user(bool wire, bool idle)
{
	struct pollfd pfd = { .events = POLLIN };
	int pipes[2];
	pid_t pid;

	if (pipe(pipes))
		return -1;
	pid = fork();
	if (!pid)
		user(wire, idle, pipes[1]);
	close(pipes[1]);
	pfd.fd = pipes[0];
	if (pid > 0 && (poll(&pfd, 1, WAIT_MS) != 1 ||
			!(pfd.revents & POLLIN))) {
		complain("the user did not come so far");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(pipes[0]);
	return pid;
}

static int end_of_user(pid_t pid)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (now_ms() > deadline) {
			complain("the user was not told");
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			return -ETIMEDOUT;
		}
		usleep(5000);
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	complain("the user's status is 0x%x", status);
	return -EIO;
}

TEST_F_TIMEOUT(hotplug, unbind_in_traffic, LIMIT)
{
	pid_t pid;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pid = start_user(variant->wire, false);
		ASSERT_LT(0, pid);
		ASSERT_EQ(0, driver_bind(self->driver, self->aux, false));
		EXPECT_EQ(0, end_of_user(pid));
		ASSERT_EQ(0, driver_bind(self->driver, self->aux, true));
		ASSERT_EQ(0, await_sound(variant->wire));
	}
}

TEST_F_TIMEOUT(hotplug, unbind_at_rest, LIMIT)
{
	pid_t pids[3];
	int i;

	for (i = 0; i < 3; i++) {
		pids[i] = start_user(variant->wire, true);
		ASSERT_LT(0, pids[i]);
	}
	ASSERT_EQ(0, driver_bind(self->driver, self->aux, false));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, end_of_user(pids[i]));
	}
	ASSERT_EQ(0, driver_bind(self->driver, self->aux, true));
}

/* A user that was killed between the two. */
TEST_F_TIMEOUT(hotplug, unbind_from_the_dead, LIMIT)
{
	pid_t pid;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pid = start_user(variant->wire, false);
		ASSERT_LT(0, pid);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(0, driver_bind(self->driver, self->aux, false));
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		ASSERT_EQ(0, driver_bind(self->driver, self->aux, true));
		ASSERT_EQ(0, await_sound(variant->wire));
	}
}

/* ---- pages that never come ---- */

/* Advice that it waits for, and writes, to a file that nobody serves. */
static void wait_for_pages(void *arg, int fd)
{
	struct ibv_sge sge = { .length = PAGE };
	struct stuck stuck;
	struct crowd crowd;
	struct ibv_mr *mr;

	if (stuck_map(&stuck, 8 * PAGE) || crowd_open(&crowd, LOCAL, LOCAL, 4))
		return;
	mr = demand_reg(crowd.node[1].pd, stuck.map, 8 * PAGE, ACCESS_ALL);
	if (!mr || crowd_post(&crowd, mr, stuck.map, PAGE) || stuck_await(&stuck))
		return;
	sge.addr = (uintptr_t)stuck.map + 7 * PAGE;
	sge.lkey = mr->lkey;
	child_say(fd);
	if (!ibv_advise_mr(crowd.node[1].pd, IBV_ADVISE_MR_ADVICE_PREFETCH,
			   IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1))
		return;
	child_say(fd);
	for (;;)
		pause();
}

/* The driver goes without them, and a stopped process does not keep it. */
TEST_F_TIMEOUT(hotplug, unbind_beside_waits, LIMIT)
{
	struct child child;
	uint64_t start;
	int stopped;

	for (stopped = 0; stopped < 2; stopped++) {
		ASSERT_EQ(0, child_start(&child, wait_for_pages, NULL));
		if (stopped)
			ASSERT_EQ(0, kill(child.pid, SIGSTOP));
		start = now_ms();
		ASSERT_EQ(0, driver_bind(self->driver, self->aux, false));
		EXPECT_GT(WAIT_MS / 4, now_ms() - start);
		if (!stopped)
			EXPECT_EQ(0, child_hear(child.fd));
		ASSERT_EQ(0, driver_bind(self->driver, self->aux, true));
		ASSERT_EQ(0, await_sound(variant->wire));
		EXPECT_EQ(0, child_kill(&child));
	}
}

/* ---- modules ---- */

static int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

static int load(const char *module)
{
	char command[64];

	snprintf(command, sizeof(command), "modprobe %s", module);
	return system(command);
}

/*
 * Contexts do not hold the module: they are taken away from their users. What the
 * core holds for a moment goes by itself.
 */
static int unload_soon(const char *module)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int ret;

	while ((ret = unload(module)) == -EAGAIN && now_ms() < deadline)
		usleep(10000);
	if (ret)
		complain("unloading %s: %s", module, strerror(-ret));
	return ret;
}

TEST_F_TIMEOUT(hotplug, unload_in_use, LIMIT)
{
	pid_t pid;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pid = start_user(variant->wire, i % 2);
		ASSERT_LT(0, pid);
		ASSERT_EQ(0, unload_soon("svan_ib"));
		EXPECT_FALSE(device_exists(LOCAL));
		EXPECT_EQ(0, end_of_user(pid));
		ASSERT_EQ(0, load("svan_ib"));
		ASSERT_EQ(0, await_sound(variant->wire));
	}
}

TEST_F_TIMEOUT(hotplug, unload_at_rest, LIMIT)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, unload_soon("svan_ib"));
		ASSERT_EQ(0, load("svan_ib"));
	}
}

TEST_HARNESS_MAIN
