// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the accelerator's contexts, its buffers and the device itself end: processes that
 * are killed, dma-bufs that outlive their file, resets, and a driver that is unbound while
 * files are open. Nobody hangs, nobody's memory is touched, everything comes back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accel-lib.h"
#include "kselftest_harness.h"
#include "unserved.h"

#define LIMIT		180
#define SIZE		(256u << 10)
#define ROUNDS		20
#define POISON		0xa5

#define CLASS		"/sys/class/accel/accel0/device"
#define DRIVER		"/sys/bus/pci/drivers/svan_accel"

FIXTURE(accel_ends)
{
	char device[PATH_MAX];		/* of the bus */
	long contexts;			/* that are open before */
};

static int bind_driver(const char *device, bool bind)
{
	return driver_bind(DRIVER, device, bind);
}

/* A context, a queue and a buffer: they work. */
static int sound(void)
{
	struct accel_queue queue;
	struct accel_buf local;
	struct accel accel;
	int ret;

	ret = accel_open(&accel);
	if (ret)
		return ret;
	ret = accel_queue_create(&queue, &accel, 2);
	if (!ret) {
		ret = accel_buf_alloc(&local, &accel, DRM_SVAN_ACCEL_BO_LOCAL, SIZE);
		if (!ret) {
			ret = accel_do(&queue, accel_fill(local.va, SIZE, 1));
			accel_buf_free(&local);
		}
		accel_queue_destroy(&queue);
	}
	accel_close(&accel);
	return ret;
}

FIXTURE_SETUP(accel_ends)
{
	ACCEL_REQUIRE();
	ASSERT_NE(NULL, realpath(CLASS, self->device));
	ASSERT_EQ(0, sound());
	self->contexts = accel_count("contexts");
	ASSERT_LE(0, self->contexts);
}

/* Nothing is left behind. */
FIXTURE_TEARDOWN(accel_ends)
{
	EXPECT_EQ(0, accel_count_await("contexts", self->contexts, WAIT_MS));
	EXPECT_EQ(0, accel_count_await("mappings", 0, WAIT_MS));
	EXPECT_EQ(0, accel_count_await("pinned", 0, WAIT_MS));
	EXPECT_EQ(0, accel_count_await("tables", 0, WAIT_MS));
	EXPECT_EQ(0, accel_count_await("memory", 0, WAIT_MS));
	EXPECT_EQ(0, accel_count_await("exports", 0, WAIT_MS));
	EXPECT_EQ(0, sound());
}

/* ---- contexts are counted ---- */

TEST_F_TIMEOUT(accel_ends, all_contexts, LIMIT)
{
	struct accel accels[SVAN_ACCEL_CONTEXTS], more;
	int i, count, round;

	for (round = 0; round < 2; round++) {
		for (count = 0; count < SVAN_ACCEL_CONTEXTS - self->contexts; count++)
			ASSERT_EQ(0, accel_open(&accels[count]));
		EXPECT_EQ(-ENOSPC, accel_open(&more));
		for (i = 0; i < count; i++)
			accel_close(&accels[i]);
	}
}

/* ---- killed processes ---- */

/* Stores to memory of its own for as long as it lives. */
static int poison_for_ever(struct accel *accel)
{
	struct svan_accel_cmd again = {
		.opcode = SVAN_ACCEL_LOOP,
		.loop = { .span = svan_cpu_to_le32(1), .count = svan_cpu_to_le32(~0u) },
	};
	struct accel_queue queue;
	uint64_t va;
	uint8_t *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t deadline = now_ms() + WAIT_MS;

	if (map == MAP_FAILED || accel_queue_create(&queue, accel, 2) ||
	    accel_map_user(accel, map, SIZE, true, &va))
		return -1;
	accel_post(&queue, accel_fill(va, SIZE, POISON));
	accel_post(&queue, again);
	accel_ring(&queue);
	while (__atomic_load_n(&map[SIZE - 1], __ATOMIC_RELAXED) != POISON) {
		if (now_ms() > deadline)
			return -ETIMEDOUT;
	}
	return 0;
}

static void poisoner(void *arg, int fd)
{
	struct accel accel;

	if (accel_open(&accel) || poison_for_ever(&accel))
		return;
	child_say(fd);
	for (;;)
		pause();
}

/* No store of one that is dying comes to memory that others get meanwhile. */
TEST_F_TIMEOUT(accel_ends, killed, LIMIT)
{
	struct child child;
	int i;

	ASSERT_EQ(0, share_a_cpu());
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, child_start(&child, poisoner, NULL));
		ASSERT_EQ(0, child_kill_watching(&child));
		ASSERT_EQ(0, accel_count_await("pinned", 0, WAIT_MS));
	}
}

/* ---- dma-bufs ---- */

static int import(struct accel *accel, int fd, uint32_t *handle)
{
	struct drm_prime_handle prime = { .fd = fd };
	int ret = accel_ioctl(accel, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime);

	*handle = prime.handle;
	return ret;
}

/* The dma-buf has the memory when its file is closed, and another context can have it. */
TEST_F_TIMEOUT(accel_ends, exported_memory, LIMIT)
{
	struct drm_svan_accel_map map = { .length = SIZE, .flags = DRM_SVAN_ACCEL_WRITE };
	struct accel first, second;
	struct accel_queue queue;
	struct accel_buf local;
	uint8_t *seen;
	int fd;

	ASSERT_EQ(0, accel_open(&first));
	ASSERT_EQ(0, accel_buf_alloc(&local, &first, DRM_SVAN_ACCEL_BO_LOCAL, SIZE));
	fd = accel_buf_export(&local);
	ASSERT_LE(0, fd);
	memset(local.map, 0x11, SIZE);
	accel_buf_free(&local);
	accel_close(&first);

	seen = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, seen);
	EXPECT_EQ(0x11, seen[SIZE - 1]);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	ASSERT_EQ(0, accel_open(&second));
	ASSERT_EQ(0, accel_queue_create(&queue, &second, 2));
	ASSERT_EQ(0, import(&second, fd, &map.handle));
	ASSERT_EQ(0, accel_ioctl(&second, DRM_IOCTL_SVAN_ACCEL_MAP, &map));
	EXPECT_EQ(0, accel_do(&queue, accel_fill(map.va, SIZE, 0x22)));
	EXPECT_EQ(0x22, seen[0]);
	EXPECT_EQ(0x22, seen[SIZE - 1]);
	accel_queue_destroy(&queue);
	accel_close(&second);
	EXPECT_EQ(SIZE, accel_count("memory"));
	munmap(seen, SIZE);
	close(fd);
}

/* Memory is no window, whoever exports it. */
TEST_F_TIMEOUT(accel_ends, no_window, LIMIT)
{
	struct drm_svan_accel_import_window window = {};
	struct accel_buf buf;
	struct accel accel;
	int kind;

	ASSERT_EQ(0, accel_open(&accel));
	for (kind = DRM_SVAN_ACCEL_BO_LOCAL; kind <= DRM_SVAN_ACCEL_BO_HOST; kind++) {
		ASSERT_EQ(0, accel_buf_alloc(&buf, &accel, kind, ACCEL_PAGE));
		window.fd = accel_buf_export(&buf);
		ASSERT_LE(0, window.fd);
		EXPECT_EQ(-EINVAL, accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_IMPORT_WINDOW,
					       &window));
		close(window.fd);
		accel_buf_free(&buf);
	}
	accel_close(&accel);
}

/* ---- resets ---- */

/* The user is told, and gets the context back with its mappings. */
TEST_F_TIMEOUT(accel_ends, reset_of_the_device, LIMIT)
{
	struct drm_svan_accel_queue_create create = {};
	struct drm_svan_accel_reset_context reset = {};
	struct drm_svan_accel_fault fault;
	struct accel_queue queue, after;
	struct accel_buf local;
	struct accel accel;
	int event;

	ASSERT_EQ(0, accel_open(&accel));
	ASSERT_EQ(0, accel_buf_alloc(&local, &accel, DRM_SVAN_ACCEL_BO_LOCAL, SIZE));
	ASSERT_EQ(0, accel_queue_create(&queue, &accel, 2));
	event = accel_event(&accel, DRM_SVAN_ACCEL_EVENT_FAULT);
	ASSERT_LE(0, event);
	ASSERT_EQ(0, write_to(self->device, "reset", "1"));
	EXPECT_EQ(0, accel_event_await(event, WAIT_MS));
	ASSERT_EQ(0, accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_FAULT, &fault));
	EXPECT_EQ(SVAN_ACCEL_CTX_OFF, fault.state);
	create.ring = queue.memory.va;
	EXPECT_EQ(-EIO, accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_CREATE, &create));
	accel_ring(&queue);		/* of a queue that is gone: nothing comes of it */

	ASSERT_EQ(0, accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_RESET_CONTEXT, &reset));
	ASSERT_EQ(0, accel_queue_create(&after, &accel, 2));
	EXPECT_EQ(0, accel_do(&after, accel_fill(local.va, SIZE, 0x66)));
	EXPECT_EQ(0x66, local.map[SIZE - 1]);
	accel_queue_destroy(&after);
	accel_buf_free(&queue.memory);
	accel_buf_free(&local);
	accel_close(&accel);
	close(event);
}

/* Resets beside a process that works, and does not care. */
TEST_F_TIMEOUT(accel_ends, resets_at_work, LIMIT)
{
	struct child child;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, child_start(&child, poisoner, NULL));
		ASSERT_EQ(0, write_to(self->device, "reset", "1"));
		ASSERT_EQ(0, child_kill(&child));
	}
}

/* ---- the driver goes ---- */

/* Works until it is told that the device is gone; then its doorbells are no more. */
static void bereaved(void *arg, int fd)
{
	struct drm_svan_accel_info info;
	struct accel accel;
	int event;

	if (accel_open(&accel))
		return;
	event = accel_event(&accel, DRM_SVAN_ACCEL_EVENT_FAULT);
	if (event < 0 || poison_for_ever(&accel))
		return;
	child_say(fd);
	if (accel_event_await(event, WAIT_MS) ||
	    accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_INFO, &info) != -ENODEV)
		return;
	child_say(fd);
	accel.doorbells[0] = 1;
	_exit(0);
}

static int end_of(struct child *child, int sig)
{
	int status;

	if (waitpid(child->pid, &status, 0) != child->pid)
		return -errno;
	close(child->fd);
	if (WIFSIGNALED(status) && WTERMSIG(status) == sig)
		return 0;
	complain("the child's status is 0x%x", status);
	return -EIO;
}

TEST_F_TIMEOUT(accel_ends, unbind_at_work, LIMIT)
{
	struct child child;
	int i;

	for (i = 0; i < ROUNDS / 4; i++) {
		ASSERT_EQ(0, child_start(&child, bereaved, NULL));
		ASSERT_EQ(0, bind_driver(self->device, false));
		EXPECT_EQ(0, child_hear(child.fd));
		EXPECT_EQ(0, end_of(&child, SIGBUS));
		ASSERT_EQ(0, bind_driver(self->device, true));
		ASSERT_EQ(0, sound());
	}
}

/* A dma-buf outlives the device; its memory is gone. */
TEST_F_TIMEOUT(accel_ends, unbind_with_a_dma_buf, LIMIT)
{
	struct accel_buf local;
	struct accel accel;
	volatile uint8_t *seen;
	int fd, status;
	pid_t pid;

	ASSERT_EQ(0, accel_open(&accel));
	ASSERT_EQ(0, accel_buf_alloc(&local, &accel, DRM_SVAN_ACCEL_BO_LOCAL, SIZE));
	fd = accel_buf_export(&local);
	ASSERT_LE(0, fd);
	seen = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, seen);
	seen[0] = 1;
	ASSERT_EQ(0, bind_driver(self->device, false));
	pid = fork();
	if (!pid) {
		seen[0] = 2;
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	munmap((void *)seen, SIZE);
	close(fd);
	accel_buf_free(&local);
	accel_close(&accel);
	ASSERT_EQ(0, bind_driver(self->device, true));
}

/* ---- memory that nobody serves ---- */

/* A userfaultfd that nobody reads, and that stops the kernel's accesses, too. */
static int unread_userfaultfd(void *map, size_t length)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)map, .len = length },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg))
		return fd;
	complain("a userfaultfd: %m");
	return -1;
}

struct pinning {
	struct accel accel;
	void *map;
};

static void *pin(void *arg)
{
	struct pinning *pinning = arg;
	uint64_t va;

	accel_map_user(&pinning->accel, pinning->map, SIZE, true, &va);
	return NULL;
}

static void pins_for_ever(void *arg, int fd)
{
	struct pollfd pfd = { .events = POLLIN };
	struct pinning pinning;
	pthread_t thread;

	pinning.map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	pfd.fd = unread_userfaultfd(pinning.map, SIZE);
	if (pfd.fd < 0 || accel_open(&pinning.accel) ||
	    pthread_create(&thread, NULL, pin, &pinning) || poll(&pfd, 1, WAIT_MS) != 1)
		return;
	child_say(fd);
	for (;;)
		pause();
}

/* The device goes without it, and the process can be killed. */
TEST_F_TIMEOUT(accel_ends, unbind_beside_a_wait, LIMIT)
{
	struct child child;
	uint64_t start;

	ASSERT_EQ(0, child_start(&child, pins_for_ever, NULL));
	start = now_ms();
	ASSERT_EQ(0, bind_driver(self->device, false));
	EXPECT_GT(WAIT_MS / 4, now_ms() - start);
	EXPECT_EQ(0, child_kill(&child));
	ASSERT_EQ(0, bind_driver(self->device, true));
}

TEST_HARNESS_MAIN
