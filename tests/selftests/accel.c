// SPDX-License-Identifier: GPL-2.0-only
/*
 * The accelerator through its driver: memory of all kinds, commands, waits, interrupts,
 * faults, and contexts that leave each other alone. (How contexts and the device end is
 * in accel-ends.c.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accel-lib.h"
#include "kselftest_harness.h"

#define LIMIT		120
#define SIZE		(1u << 20)
#define SHORT_MS	50
#define NEVER		0x1234567890abcdefull

FIXTURE(accel)
{
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf local;
	struct accel_buf host;
};

FIXTURE_SETUP(accel)
{
	ACCEL_REQUIRE();
	ASSERT_EQ(0, accel_open(&self->accel));
	ASSERT_EQ(0, accel_queue_create(&self->queue, &self->accel, 4));
	ASSERT_EQ(0, accel_buf_alloc(&self->local, &self->accel, DRM_SVAN_ACCEL_BO_LOCAL,
				     SIZE));
	ASSERT_EQ(0, accel_buf_alloc(&self->host, &self->accel, DRM_SVAN_ACCEL_BO_HOST,
				     SIZE));
}

FIXTURE_TEARDOWN(accel)
{
	accel_buf_free(&self->host);
	accel_buf_free(&self->local);
	accel_queue_destroy(&self->queue);
	accel_close(&self->accel);
}

/* Are the octets [from, to) all this one? */
static bool all_are(const uint8_t *octets, size_t from, size_t to, uint8_t octet)
{
	size_t i;

	for (i = from; i < to && octets[i] == octet; i++)
		;
	if (i < to)
		complain("octet %zu is 0x%02x, not 0x%02x", i, octets[i], octet);
	return i == to;
}

static int fault_of(struct accel *accel, struct drm_svan_accel_fault *fault)
{
	return accel_ioctl(accel, DRM_IOCTL_SVAN_ACCEL_FAULT, fault);
}

static int reset_context(struct accel *accel)
{
	struct drm_svan_accel_reset_context reset = {};

	return accel_ioctl(accel, DRM_IOCTL_SVAN_ACCEL_RESET_CONTEXT, &reset);
}

/* ---- memory and commands ---- */

TEST_F_TIMEOUT(accel, limits_are_published, LIMIT)
{
	struct drm_svan_accel_info *info = &self->accel.info;

	EXPECT_EQ(SVAN_ACCEL_CONTEXTS, info->contexts);
	EXPECT_EQ(SVAN_ACCEL_QUEUES, info->queues);
	EXPECT_LE(1, info->contexts_used);
	ASSERT_EQ(0, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_INFO, info));
	EXPECT_LE(SIZE, info->memory_used);
	EXPECT_GE(info->memory_size, info->memory_used);
}

/* Local memory, host memory of the driver, and what lies beside it. */
TEST_F_TIMEOUT(accel, fill_and_copy, LIMIT)
{
	const size_t from = 100, length = SIZE / 2 + 17;

	memset(self->host.map, CANARY, SIZE);
	ASSERT_EQ(0, accel_do(&self->queue, accel_fill(self->local.va, SIZE, 0x5a)));
	EXPECT_TRUE(all_are(self->local.map, 0, SIZE, 0x5a));
	ASSERT_EQ(0, accel_do(&self->queue, accel_copy(self->host.va + from,
						       self->local.va + 3, length)));
	EXPECT_TRUE(all_are(self->host.map, 0, from, CANARY));
	EXPECT_TRUE(all_are(self->host.map, from, from + length, 0x5a));
	EXPECT_TRUE(all_are(self->host.map, from + length, SIZE, CANARY));
}

/* A ring goes round many times. */
TEST_F_TIMEOUT(accel, many_rounds, LIMIT)
{
	uint32_t i;

	for (i = 0; i < 20 * self->queue.size; i++) {
		ASSERT_EQ(0, accel_do(&self->queue,
				      accel_fill(self->host.va + 8 * i, 8, i)));
	}
	for (i = 0; i < 20 * self->queue.size; i++) {
		ASSERT_TRUE(all_are(self->host.map, 8 * i, 8 * i + 8, i));
	}
}

TEST_F_TIMEOUT(accel, memory_of_the_process, LIMIT)
{
	uint64_t va;
	uint8_t *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, accel_map_user(&self->accel, map, SIZE, true, &va));
	EXPECT_EQ(SIZE / ACCEL_PAGE, accel_count("pinned"));
	ASSERT_EQ(0, accel_do(&self->queue, accel_fill(va, SIZE, 0x77)));
	EXPECT_TRUE(all_are(map, 0, SIZE, 0x77));
	ASSERT_EQ(0, accel_unmap(&self->accel, va));
	EXPECT_EQ(0, accel_count("pinned"));
	EXPECT_TRUE(all_are(map, 0, SIZE, 0x77));
	EXPECT_EQ(-ENOENT, accel_unmap(&self->accel, va));
	munmap(map, SIZE);
}

/* A part of a buffer, read-only: what lies behind it is not reached. */
TEST_F_TIMEOUT(accel, part_of_a_buffer, LIMIT)
{
	struct drm_svan_accel_map map = {
		.handle = self->local.handle,
		.offset = 2 * ACCEL_PAGE,
		.length = ACCEL_PAGE,
	};
	struct drm_svan_accel_fault fault;

	memset(self->local.map + 2 * ACCEL_PAGE, 0x21, ACCEL_PAGE);
	ASSERT_EQ(0, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_MAP, &map));
	ASSERT_EQ(0, accel_do(&self->queue, accel_copy(self->host.va, map.va,
						       ACCEL_PAGE)));
	EXPECT_TRUE(all_are(self->host.map, 0, ACCEL_PAGE, 0x21));
	EXPECT_EQ(-EIO, accel_do(&self->queue, accel_fill(map.va + 8, 8, 1)));
	EXPECT_EQ(SVAN_ACCEL_NOT_PERMITTED, accel_queue_status(&self->queue));
	ASSERT_EQ(0, fault_of(&self->accel, &fault));
	EXPECT_EQ(SVAN_ACCEL_CTX_FAULTED, fault.state);
	EXPECT_EQ(SVAN_ACCEL_NOT_PERMITTED, fault.status);
	EXPECT_EQ(map.va + 8, fault.va);
	EXPECT_EQ(self->queue.number, fault.queue);
}

/* What the owner before has left in local memory is not given out. */
TEST_F_TIMEOUT(accel, memory_is_cleared, LIMIT)
{
	size_t size = self->accel.info.memory_size / 4;
	struct accel_buf buf;
	int round;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, accel_buf_alloc(&buf, &self->accel, DRM_SVAN_ACCEL_BO_LOCAL,
					     size));
		EXPECT_TRUE(all_are(buf.map, 0, size, 0));
		memset(buf.map, 0xee, size);
		accel_buf_free(&buf);
	}
}

TEST_F_TIMEOUT(accel, local_memory_is_finite, LIMIT)
{
	struct drm_svan_accel_bo_create create = {
		.size = self->accel.info.memory_size,
		.kind = DRM_SVAN_ACCEL_BO_LOCAL,
	};

	EXPECT_EQ(-ENOSPC, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_BO_CREATE,
				       &create));
}

/* A mapping keeps its buffer. */
TEST_F_TIMEOUT(accel, closed_handle, LIMIT)
{
	struct drm_gem_close gem_close = { .handle = self->local.handle };

	ASSERT_EQ(0, accel_ioctl(&self->accel, DRM_IOCTL_GEM_CLOSE, &gem_close));
	self->local.handle = 0;
	ASSERT_EQ(0, accel_do(&self->queue, accel_fill(self->local.va, SIZE, 0x42)));
	EXPECT_TRUE(all_are(self->local.map, 0, SIZE, 0x42));
}

/* ---- waits and events ---- */

static struct svan_accel_cmd wait_for(uint64_t addr, uint64_t value, uint64_t limit_ns,
				      uint64_t status)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_WAIT,
		.width = 8,
		.condition = SVAN_ACCEL_EQUAL,
		.wait = {
			.addr = svan_cpu_to_le64(addr),
			.value = svan_cpu_to_le64(value),
			.mask = svan_cpu_to_le64(~0ull),
			.limit_ns = svan_cpu_to_le64(limit_ns),
			.status = svan_cpu_to_le64(status),
		},
	};
}

static uint32_t *status_word(struct accel_buf *buf)
{
	return (uint32_t *)(buf->map + ACCEL_PAGE);
}

TEST_F_TIMEOUT(accel, wait_ends_by_its_limit, LIMIT)
{
	uint32_t *status = status_word(&self->host);
	struct svan_accel_cmd cmd = wait_for(self->host.va, NEVER, SHORT_MS * 1000000ull,
					     self->host.va + ACCEL_PAGE);
	uint64_t start = now_ms();

	cmd.flags = SVAN_ACCEL_CMD_CONTINUE;
	*status = ~0u;
	ASSERT_EQ(0, accel_do(&self->queue, cmd));
	EXPECT_EQ(SVAN_ACCEL_TIMEOUT, *status);
	EXPECT_LE(SHORT_MS, now_ms() - start + 1);

	cmd.flags = 0;
	EXPECT_EQ(-EIO, accel_do(&self->queue, cmd));
	EXPECT_EQ(SVAN_ACCEL_TIMEOUT, accel_queue_status(&self->queue));
}

/* The CPU stores the value, and a device's own store does. */
TEST_F_TIMEOUT(accel, wait_ends_by_the_value, LIMIT)
{
	struct accel_queue other;
	uint64_t *value = (uint64_t *)self->host.map;

	*status_word(&self->host) = ~0u;
	accel_post(&self->queue, wait_for(self->host.va, NEVER, 0,
					  self->host.va + ACCEL_PAGE));
	accel_ring(&self->queue);
	__atomic_store_n(value, NEVER, __ATOMIC_RELEASE);
	ASSERT_EQ(0, accel_await(&self->queue, WAIT_MS));
	EXPECT_EQ(SVAN_ACCEL_OK, *status_word(&self->host));

	ASSERT_EQ(0, accel_queue_create(&other, &self->accel, 2));
	accel_post(&self->queue, wait_for(self->local.va, 0x0909090909090909ull, 0, 0));
	accel_ring(&self->queue);
	EXPECT_EQ(0, accel_do(&other, accel_fill(self->local.va, 8, 9)));
	EXPECT_EQ(0, accel_await(&self->queue, WAIT_MS));
	accel_queue_destroy(&other);
}

TEST_F_TIMEOUT(accel, interrupt, LIMIT)
{
	struct svan_accel_cmd cmd = { .opcode = SVAN_ACCEL_INTERRUPT };
	struct drm_svan_accel_event none = { .kind = DRM_SVAN_ACCEL_EVENT_QUEUE, .fd = -1 };
	int event = accel_event(&self->accel, DRM_SVAN_ACCEL_EVENT_QUEUE);

	ASSERT_LE(0, event);
	EXPECT_EQ(-ETIMEDOUT, accel_event_await(event, SHORT_MS));
	ASSERT_EQ(0, accel_do(&self->queue, cmd));
	EXPECT_EQ(0, accel_event_await(event, WAIT_MS));

	ASSERT_EQ(0, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_EVENT, &none));
	ASSERT_EQ(0, accel_do(&self->queue, cmd));
	EXPECT_EQ(-ETIMEDOUT, accel_event_await(event, SHORT_MS));
	close(event);
}

/* ---- faults ---- */

/* After an unmap the address leads nowhere, and the user is told of the fault. */
TEST_F_TIMEOUT(accel, unmapped, LIMIT)
{
	struct drm_svan_accel_fault fault;
	int event = accel_event(&self->accel, DRM_SVAN_ACCEL_EVENT_FAULT);
	uint64_t va = self->local.va;

	ASSERT_LE(0, event);
	ASSERT_EQ(0, accel_do(&self->queue, accel_fill(va, 8, 1)));
	ASSERT_EQ(0, accel_unmap(&self->accel, va));
	self->local.va = 0;
	EXPECT_EQ(-EIO, accel_do(&self->queue, accel_fill(va, 8, 2)));
	EXPECT_EQ(SVAN_ACCEL_NOT_MAPPED, accel_queue_status(&self->queue));
	EXPECT_EQ(0, accel_event_await(event, WAIT_MS));
	ASSERT_EQ(0, fault_of(&self->accel, &fault));
	EXPECT_EQ(SVAN_ACCEL_CTX_FAULTED, fault.state);
	EXPECT_EQ(SVAN_ACCEL_NOT_MAPPED, fault.status);
	EXPECT_EQ(va, fault.va);
	EXPECT_TRUE(all_are(self->local.map, 0, 8, 1));
	close(event);
}

/* A context that has faulted takes no queues before it is reset; mappings stay. */
TEST_F_TIMEOUT(accel, reset_after_a_fault, LIMIT)
{
	struct drm_svan_accel_queue_create create = { .ring = self->host.va };
	struct drm_svan_accel_fault fault;
	struct accel_queue queue;

	EXPECT_EQ(-EIO, accel_do(&self->queue, accel_fill(0, 8, 1)));
	EXPECT_EQ(-EIO, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_CREATE,
				    &create));
	ASSERT_EQ(0, reset_context(&self->accel));
	ASSERT_EQ(0, fault_of(&self->accel, &fault));
	EXPECT_EQ(SVAN_ACCEL_CTX_RUNNING, fault.state);
	ASSERT_EQ(0, accel_queue_create(&queue, &self->accel, 2));
	EXPECT_EQ(0, accel_do(&queue, accel_fill(self->local.va, SIZE, 3)));
	EXPECT_TRUE(all_are(self->local.map, 0, SIZE, 3));
	accel_queue_destroy(&queue);
}

/* One context faults, the other runs on. */
TEST_F_TIMEOUT(accel, fault_of_a_neighbour, LIMIT)
{
	struct drm_svan_accel_fault fault;
	struct accel_queue queue;
	struct accel other;

	ASSERT_EQ(0, accel_open(&other));
	ASSERT_EQ(0, accel_queue_create(&queue, &other, 2));
	EXPECT_EQ(-EIO, accel_do(&queue, accel_fill(0, 8, 1)));
	EXPECT_EQ(0, accel_do(&self->queue, accel_fill(self->local.va, SIZE, 4)));
	ASSERT_EQ(0, fault_of(&self->accel, &fault));
	EXPECT_EQ(SVAN_ACCEL_CTX_RUNNING, fault.state);
	accel_queue_destroy(&queue);
	accel_close(&other);
}

/* ---- isolation ---- */

/*
 * Two processes: the same addresses lead each to its own memory, and the doorbells of one
 * move nothing of the other.
 */
static int neighbour(uint64_t *va)
{
	struct accel_queue queue;
	struct accel_buf local;
	struct accel accel;
	unsigned int i;

	if (accel_open(&accel) || accel_queue_create(&queue, &accel, 4) ||
	    accel_buf_alloc(&local, &accel, DRM_SVAN_ACCEL_BO_LOCAL, SIZE))
		return 1;
	*va = local.va;
	for (i = 0; i < 100; i++) {
		if (accel_do(&queue, accel_fill(local.va, SIZE, i)) ||
		    !all_are(local.map, 0, SIZE, i))
			return 2;
		/* a queue that this context does not have, and no queue at all */
		accel.doorbells[SVAN_ACCEL_DB(2) / 8] = 1;
		accel.doorbells[SVAN_ACCEL_DB(9) / 8] = 1;
	}
	return 0;
}

TEST_F_TIMEOUT(accel, two_processes, LIMIT)
{
	uint64_t *va = mmap(NULL, ACCEL_PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i;
	int status = 0;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, va);
	pid = fork();
	if (!pid)
		_exit(neighbour(va));
	ASSERT_LT(0, pid);
	for (i = 0; !waitpid(pid, &status, WNOHANG); i++) {
		ASSERT_EQ(0, accel_do(&self->queue, accel_fill(self->local.va, SIZE,
							       ~i)));
		ASSERT_TRUE(all_are(self->local.map, 0, SIZE, ~i));
	}
	EXPECT_EQ(0, status);
	EXPECT_EQ(self->local.va, *va);
	munmap(va, ACCEL_PAGE);
}

/* Of the doorbells, the own page, shared, for stores alone; of a buffer, no copies. */
TEST_F_TIMEOUT(accel, mappings_that_are_refused, LIMIT)
{
	struct drm_svan_accel_bo_info info = { .handle = self->local.handle };
	uint64_t at = self->accel.info.doorbell_offset;
	int fd = self->accel.fd;

	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * ACCEL_PAGE, PROT_WRITE, MAP_SHARED, fd, at));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, ACCEL_PAGE, PROT_WRITE, MAP_SHARED, fd,
				   at + ACCEL_PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, ACCEL_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				   fd, at));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, ACCEL_PAGE, PROT_WRITE, MAP_PRIVATE, fd, at));
	EXPECT_EQ(EPERM, errno);
	ASSERT_EQ(0, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_BO_INFO, &info));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
				   info.mmap_offset));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, SIZE + ACCEL_PAGE, PROT_WRITE, MAP_SHARED, fd,
				   info.mmap_offset));
	EXPECT_EQ(EINVAL, errno);
}

/* A part of a mapping that has lost its beginning still shows the same octets. */
TEST_F_TIMEOUT(accel, mapping_in_pieces, LIMIT)
{
	ASSERT_EQ(0, accel_do(&self->queue, accel_fill(self->local.va, SIZE, 0)));
	ASSERT_EQ(0, accel_do(&self->queue, accel_fill(self->local.va + 3 * ACCEL_PAGE,
						       ACCEL_PAGE, 0x33)));
	ASSERT_EQ(0, munmap(self->local.map, 2 * ACCEL_PAGE));
	EXPECT_TRUE(all_are(self->local.map, 2 * ACCEL_PAGE, 3 * ACCEL_PAGE, 0));
	EXPECT_TRUE(all_are(self->local.map, 3 * ACCEL_PAGE, 4 * ACCEL_PAGE, 0x33));
}

/* ---- what users get wrong ---- */

TEST_F_TIMEOUT(accel, arguments_that_are_refused, LIMIT)
{
	struct drm_svan_accel_bo_create creates[] = {
		{ .size = 0 }, { .size = 1 }, { .size = ~0xfffull },
		{ .size = SIZE, .kind = 2 }, { .size = SIZE, .flags = 1 },
		{ .size = SIZE, .pad = 1 },
	};
	struct drm_svan_accel_map maps[] = {
		{ .length = 0 }, { .length = 1 }, { .offset = 1, .length = ACCEL_PAGE },
		{ .length = SIZE + ACCEL_PAGE }, { .offset = SIZE, .length = ACCEL_PAGE },
		{ .offset = ~0xfffull, .length = 2 * ACCEL_PAGE },
		{ .length = SIZE, .flags = 2 },
	};
	struct drm_svan_accel_queue_create queues[] = {
		{ .ring = self->host.va + 8 }, { .ring = self->host.va, .log_size = 17 },
		{ .ring = self->host.va, .record = self->host.va + 8 },
		{ .ring = self->host.va, .flags = 1 }, { .ring = self->host.va, .pad = 1 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(creates); i++) {
		EXPECT_EQ(-EINVAL, accel_ioctl(&self->accel,
					       DRM_IOCTL_SVAN_ACCEL_BO_CREATE, &creates[i]));
	}
	for (i = 0; i < ARRAY_SIZE(maps); i++) {
		maps[i].handle = self->local.handle;
		EXPECT_EQ(-EINVAL, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_MAP,
					       &maps[i]));
	}
	for (i = 0; i < ARRAY_SIZE(queues); i++) {
		EXPECT_EQ(-EINVAL, accel_ioctl(&self->accel,
					       DRM_IOCTL_SVAN_ACCEL_QUEUE_CREATE,
					       &queues[i]));
	}
}

TEST_F_TIMEOUT(accel, names_of_nothing, LIMIT)
{
	struct drm_svan_accel_map map = { .handle = 12345, .length = ACCEL_PAGE };
	struct drm_svan_accel_queue_destroy destroy = { .queue = 3 };
	struct drm_svan_accel_event event = { .fd = self->accel.fd };
	struct drm_svan_accel_import_window window = { .fd = self->accel.fd };
	uint64_t va;

	EXPECT_EQ(-ENOENT, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_MAP, &map));
	EXPECT_EQ(-ENOENT, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_DESTROY,
				       &destroy));
	destroy.queue = ~0u;
	EXPECT_EQ(-ENOENT, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_DESTROY,
				       &destroy));
	EXPECT_EQ(-EINVAL, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_EVENT, &event));
	EXPECT_EQ(-EINVAL, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_IMPORT_WINDOW,
				       &window));
	EXPECT_EQ(-ENOENT, accel_unmap(&self->accel, self->local.va + ACCEL_PAGE));
	EXPECT_EQ(-EFAULT, accel_map_user(&self->accel, (void *)ACCEL_PAGE, ACCEL_PAGE,
					  true, &va));
	/* Local memory has no pages to be pinned. */
	EXPECT_EQ(-EFAULT, accel_map_user(&self->accel, self->local.map, ACCEL_PAGE, true,
					  &va));
}

TEST_F_TIMEOUT(accel, queues_are_counted, LIMIT)
{
	struct drm_svan_accel_queue_create create = { .ring = self->host.va };
	unsigned int i;

	for (i = 1; i < self->accel.info.queues; i++) {
		ASSERT_EQ(0, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_CREATE,
					 &create));
	}
	EXPECT_EQ(-ENOSPC, accel_ioctl(&self->accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_CREATE,
				       &create));
}

/* ---- limits of the process ---- */

static int limit_pages(unsigned int pages)
{
	struct rlimit limit = {
		.rlim_cur = pages * ACCEL_PAGE, .rlim_max = pages * ACCEL_PAGE,
	};

	return setrlimit(RLIMIT_MEMLOCK, &limit) || setuid(65534);
}

static void *map_pages(unsigned int pages)
{
	void *map = mmap(NULL, pages * ACCEL_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* In a child that has not opened `old`; its status. */
static int in_a_child(int (*body)(struct accel *old), struct accel *old)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(body(old));
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* An ordinary user pins no more than it may. */
static int pin_beyond_the_limit(struct accel *old)
{
	void *map = map_pages(9);
	struct accel accel;
	uint64_t va;

	if (!map || accel_open(&accel) || limit_pages(8))
		return 1;
	if (accel_map_user(&accel, map, 9 * ACCEL_PAGE, true, &va) != -ENOMEM)
		return 2;
	if (accel_map_user(&accel, map, 8 * ACCEL_PAGE, true, &va))
		return 3;
	if (accel_map_user(&accel, map, ACCEL_PAGE, true, &va) != -ENOMEM)
		return 4;
	return 0;
}

TEST_F_TIMEOUT(accel, pinned_memory_is_charged, LIMIT)
{
	EXPECT_EQ(0, in_a_child(pin_beyond_the_limit, &self->accel));
}

/* Host memory of buffers is pinned as long as it is mapped. */
static int map_beyond_the_limit(struct accel *old)
{
	struct drm_svan_accel_bo_create create = {
		.size = 9 * ACCEL_PAGE, .kind = DRM_SVAN_ACCEL_BO_HOST,
	};
	struct drm_svan_accel_map map = { .length = 9 * ACCEL_PAGE };
	struct accel accel;

	if (accel_open(&accel) || limit_pages(8) ||
	    accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_BO_CREATE, &create))
		return 1;
	map.handle = create.handle;
	if (accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_MAP, &map) != -ENOMEM)
		return 2;
	map.length = 8 * ACCEL_PAGE;
	if (accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_MAP, &map))
		return 3;
	if (accel_unmap(&accel, map.va) ||
	    accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_MAP, &map))
		return 4;
	return 0;
}

TEST_F_TIMEOUT(accel, host_memory_is_charged, LIMIT)
{
	EXPECT_EQ(0, in_a_child(map_beyond_the_limit, &self->accel));
}

/* Who has inherited the file cannot pin through it: nobody would be charged any more. */
static int pin_by_inheritance(struct accel *old)
{
	void *map = map_pages(1);
	uint64_t va;

	return !map || accel_map_user(old, map, ACCEL_PAGE, true, &va) != -EPERM;
}

TEST_F_TIMEOUT(accel, nobody_pins_for_another, LIMIT)
{
	EXPECT_EQ(0, in_a_child(pin_by_inheritance, &self->accel));
}

/* Contexts are left for others. */
static int open_too_many(struct accel *old)
{
	unsigned int i, limit = old->info.user_contexts;
	struct accel accel;

	if (!limit || limit > old->info.contexts / 2 || setuid(65534))
		return 1;
	for (i = 0; i < limit; i++)
		if (accel_open(&accel))
			return 2;
	return accel_open(&accel) != -ENOSPC;
}

TEST_F_TIMEOUT(accel, contexts_of_a_user, LIMIT)
{
	ASSERT_EQ(0, chmod(ACCEL_DEVICE, 0666));
	EXPECT_EQ(0, in_a_child(open_too_many, &self->accel));
}

/* Memory is left for others. */
static int allocate_too_much(struct accel *old)
{
	struct drm_svan_accel_bo_create create = { .kind = DRM_SVAN_ACCEL_BO_LOCAL };
	struct drm_gem_close close = {};
	uint64_t limit = old->info.user_memory;
	struct accel accel;

	if (!limit || limit > old->info.memory_size / 2 || setuid(65534) ||
	    accel_open(&accel))
		return 1;
	create.size = limit + ACCEL_PAGE;
	if (accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_BO_CREATE, &create) != -ENOSPC)
		return 2;
	create.size = limit;
	if (accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_BO_CREATE, &create))
		return 3;
	close.handle = create.handle;
	create.size = ACCEL_PAGE;
	if (accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_BO_CREATE, &create) != -ENOSPC)
		return 4;
	if (accel_ioctl(&accel, DRM_IOCTL_GEM_CLOSE, &close) ||
	    accel_ioctl(&accel, DRM_IOCTL_SVAN_ACCEL_BO_CREATE, &create))
		return 5;
	return 0;
}

TEST_F_TIMEOUT(accel, memory_of_a_user, LIMIT)
{
	ASSERT_EQ(0, chmod(ACCEL_DEVICE, 0666));
	EXPECT_EQ(0, in_a_child(allocate_too_much, &self->accel));
}

TEST_HARNESS_MAIN
