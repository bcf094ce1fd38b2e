// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <infiniband/svandv.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <svan/regs.h>

#include "accel-lib.h"

#define COUNTS	"/sys/kernel/debug/accel/*/counts"

bool accel_wanted(void)
{
	const char *wanted = getenv("SVAN_PEERDEV");

	return wanted && strcmp(wanted, "0");
}

bool accel_exists(void)
{
	return !access(ACCEL_DEVICE, F_OK);
}

/* ---- contexts ---- */

int accel_ioctl(struct accel *accel, unsigned long request, void *arg)
{
	return ioctl(accel->fd, request, arg) ? -errno : 0;
}

int accel_open(struct accel *accel)
{
	void *map;
	int ret;

	accel->fd = open(ACCEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (accel->fd < 0)
		return -errno;
	ret = accel_ioctl(accel, DRM_IOCTL_SVAN_ACCEL_INFO, &accel->info);
	if (ret) {
		complain("INFO: %s", strerror(-ret));
		goto err_close;
	}
	map = mmap(NULL, ACCEL_PAGE, PROT_WRITE, MAP_SHARED, accel->fd,
		   accel->info.doorbell_offset);
	if (map == MAP_FAILED) {
		ret = -errno;
		complain("mapping the doorbells: %m");
		goto err_close;
	}
	accel->doorbells = map;
	return 0;

err_close:
	close(accel->fd);
	return ret;
}

void accel_close(struct accel *accel)
{
	munmap((void *)accel->doorbells, ACCEL_PAGE);
	close(accel->fd);
}

/* ---- memory ---- */

static int buf_mmap(struct accel_buf *buf)
{
	struct drm_svan_accel_bo_info info = { .handle = buf->handle };
	int ret = accel_ioctl(buf->accel, DRM_IOCTL_SVAN_ACCEL_BO_INFO, &info);
	void *map;

	if (ret)
		return ret;
	map = mmap(NULL, buf->size, PROT_READ | PROT_WRITE, MAP_SHARED, buf->accel->fd,
		   info.mmap_offset);
	if (map == MAP_FAILED)
		return -errno;
	buf->map = map;
	return 0;
}

static int buf_map(struct accel_buf *buf)
{
	struct drm_svan_accel_map map = {
		.handle = buf->handle,
		.flags = DRM_SVAN_ACCEL_WRITE,
		.length = buf->size,
	};
	int ret = accel_ioctl(buf->accel, DRM_IOCTL_SVAN_ACCEL_MAP, &map);

	buf->va = map.va;
	return ret;
}

static void buf_close(struct accel_buf *buf)
{
	struct drm_gem_close gem_close = { .handle = buf->handle };

	accel_ioctl(buf->accel, DRM_IOCTL_GEM_CLOSE, &gem_close);
}

int accel_buf_alloc(struct accel_buf *buf, struct accel *accel,
		    enum drm_svan_accel_bo_kind kind, size_t size)
{
	struct drm_svan_accel_bo_create create = { .size = size, .kind = kind };
	int ret = accel_ioctl(accel, DRM_IOCTL_SVAN_ACCEL_BO_CREATE, &create);

	*buf = (struct accel_buf){ .accel = accel, .handle = create.handle, .size = size };
	if (!ret)
		ret = buf_mmap(buf);
	if (!ret)
		ret = buf_map(buf);
	if (ret) {
		complain("a buffer of %zu octets: %s", size, strerror(-ret));
		accel_buf_free(buf);
	}
	return ret;
}

void accel_buf_free(struct accel_buf *buf)
{
	if (buf->va)
		accel_unmap(buf->accel, buf->va);
	if (buf->map)
		munmap(buf->map, buf->size);
	if (buf->handle)
		buf_close(buf);
	buf->va = 0;
	buf->map = NULL;
	buf->handle = 0;
}

int accel_buf_export(const struct accel_buf *buf)
{
	struct drm_prime_handle prime = {
		.handle = buf->handle, .flags = DRM_CLOEXEC | DRM_RDWR,
	};
	int ret = accel_ioctl(buf->accel, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);

	if (ret)
		complain("exporting a buffer: %s", strerror(-ret));
	return ret ? ret : prime.fd;
}

int accel_map_user(struct accel *accel, void *addr, size_t length, bool write,
		   uint64_t *va)
{
	struct drm_svan_accel_map_user map = {
		.addr = (uintptr_t)addr,
		.length = length,
		.flags = write ? DRM_SVAN_ACCEL_WRITE : 0,
	};
	int ret = accel_ioctl(accel, DRM_IOCTL_SVAN_ACCEL_MAP_USER, &map);

	*va = map.va;
	return ret;
}

int accel_unmap(struct accel *accel, uint64_t va)
{
	struct drm_svan_accel_unmap unmap = { .va = va };

	return accel_ioctl(accel, DRM_IOCTL_SVAN_ACCEL_UNMAP, &unmap);
}

int accel_import_window(struct accel *accel, int fd, uint64_t *va)
{
	struct drm_svan_accel_import_window window = { .fd = fd };
	int ret = accel_ioctl(accel, DRM_IOCTL_SVAN_ACCEL_IMPORT_WINDOW, &window);

	*va = window.va;
	return ret ?: window.size == ACCEL_PAGE ? 0 : -EINVAL;
}

int accel_import_uar(struct accel *accel, struct svandv_uar *uar, uint64_t *va)
{
	int fd = svandv_uar_export_dmabuf_fd(uar);
	int ret = accel_import_window(accel, fd, va);

	if (ret)
		complain("importing a window: %s", strerror(-ret));
	if (fd >= 0)
		close(fd);
	return ret;
}

/* ---- queues ---- */

static size_t ring_octets(const struct accel_queue *queue)
{
	size_t octets = queue->size * sizeof(struct svan_accel_cmd);

	return (octets + ACCEL_PAGE - 1) / ACCEL_PAGE * ACCEL_PAGE;
}

int accel_queue_create(struct accel_queue *queue, struct accel *accel,
		       unsigned int log_size)
{
	struct drm_svan_accel_queue_create create = { .log_size = log_size };
	int ret;

	*queue = (struct accel_queue){ .accel = accel, .size = 1u << log_size };
	ret = accel_buf_alloc(&queue->memory, accel, DRM_SVAN_ACCEL_BO_HOST,
			      ring_octets(queue) + ACCEL_PAGE);
	if (ret)
		return ret;
	create.ring = queue->memory.va;
	create.record = queue->memory.va + ring_octets(queue);
	ret = accel_ioctl(accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_CREATE, &create);
	if (ret) {
		complain("a queue: %s", strerror(-ret));
		accel_buf_free(&queue->memory);
		return ret;
	}
	queue->number = create.queue;
	queue->ring = (struct svan_accel_cmd *)queue->memory.map;
	queue->record = (struct svan_accel_record *)(queue->memory.map +
						     ring_octets(queue));
	return 0;
}

void accel_queue_destroy(struct accel_queue *queue)
{
	struct drm_svan_accel_queue_destroy destroy = { .queue = queue->number };

	accel_ioctl(queue->accel, DRM_IOCTL_SVAN_ACCEL_QUEUE_DESTROY, &destroy);
	accel_buf_free(&queue->memory);
}

void accel_post(struct accel_queue *queue, struct svan_accel_cmd cmd)
{
	cmd.flags |= SVAN_ACCEL_CMD_RECORD;
	cmd.tag = svan_cpu_to_le32(queue->posted);
	queue->ring[queue->posted++ % queue->size] = cmd;
}

void accel_ring(struct accel_queue *queue)
{
	/* The commands come before the doorbell, also if they are in local memory. */
	__sync_synchronize();
	queue->accel->doorbells[SVAN_ACCEL_DB(queue->number) / 8] = queue->posted;
}

static uint32_t record_head(const struct accel_queue *queue)
{
	return svan_le32_to_cpu(__atomic_load_n(&queue->record->head, __ATOMIC_ACQUIRE));
}

static bool has_stopped(const struct accel_queue *queue)
{
	return svan_le32_to_cpu(__atomic_load_n(&queue->record->state, __ATOMIC_ACQUIRE)) ==
	       SVAN_ACCEL_QUEUE_STOPPED;
}

int accel_await(struct accel_queue *queue, unsigned int ms)
{
	uint64_t deadline = now_ms() + ms;

	while (record_head(queue) != queue->posted) {
		if (has_stopped(queue))
			return -EIO;
		if (now_ms() > deadline) {
			complain("%u of %u commands are done", record_head(queue),
				 queue->posted);
			return -ETIMEDOUT;
		}
		sched_yield();
	}
	return 0;
}

int accel_do(struct accel_queue *queue, struct svan_accel_cmd cmd)
{
	accel_post(queue, cmd);
	accel_post(queue, accel_fence());
	accel_ring(queue);
	return accel_await(queue, WAIT_MS);
}

/* The device stores state and status one after the other. */
uint32_t accel_queue_status(const struct accel_queue *queue)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	uint32_t status = 0;

	while (has_stopped(queue) && !status && now_ms() < deadline)
		status = svan_le32_to_cpu(__atomic_load_n(&queue->record->status,
							  __ATOMIC_ACQUIRE));
	return status;
}

struct svan_accel_cmd accel_fill(uint64_t dst, uint64_t length, uint8_t octet)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_FILL,
		.fill = {
			.dst = svan_cpu_to_le64(dst),
			.length = svan_cpu_to_le64(length),
			.value = svan_cpu_to_le64(0x0101010101010101ull * octet),
		},
	};
}

struct svan_accel_cmd accel_copy(uint64_t dst, uint64_t src, uint64_t length)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_COPY,
		.copy = {
			.dst = svan_cpu_to_le64(dst),
			.src = svan_cpu_to_le64(src),
			.length = svan_cpu_to_le64(length),
		},
	};
}

struct svan_accel_cmd accel_store(uint64_t addr, uint64_t value, uint8_t flags)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_WRITE, .width = 8, .flags = flags,
		.write = {
			.addr = svan_cpu_to_le64(addr),
			.value = svan_cpu_to_le64(value),
		},
	};
}

struct svan_accel_cmd accel_wait(uint64_t addr, uint64_t value, uint64_t limit_ns)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_WAIT, .width = 8,
		.flags = SVAN_ACCEL_CMD_INDIRECT,
		.condition = SVAN_ACCEL_REACHED,
		.wait = {
			.addr = svan_cpu_to_le64(addr),
			.value = svan_cpu_to_le64(value),
			.mask = svan_cpu_to_le64(UINT64_MAX),
			.limit_ns = svan_cpu_to_le64(limit_ns),
		},
	};
}

struct svan_accel_cmd accel_fence(void)
{
	return (struct svan_accel_cmd){ .opcode = SVAN_ACCEL_FENCE };
}

struct svan_accel_cmd accel_add_words(uint64_t addr, uint64_t by, uint64_t count)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_REDUCE,
		.reduce = {
			.dst = svan_cpu_to_le64(addr), .a = svan_cpu_to_le64(addr),
			.b = svan_cpu_to_le64(by), .count = svan_cpu_to_le64(count),
			.op = SVAN_ACCEL_SUM, .type = SVAN_ACCEL_INT64,
		},
	};
}

struct svan_accel_cmd accel_add(uint64_t addr, uint64_t by)
{
	return accel_add_words(addr, by, 1);
}

struct svan_accel_cmd accel_set_index(uint64_t doorbell, uint64_t src)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_PATCH, .width = 8,
		.patch = {
			.dst = svan_cpu_to_le64(doorbell),
			.src = svan_cpu_to_le64(src),
			.mask = svan_cpu_to_le64(0xffffffffull << SVAN_DB_INDEX_SHIFT),
			.src_width = 8, .shift = SVAN_DB_INDEX_SHIFT,
		},
	};
}

struct svan_accel_cmd accel_copy_wqe(uint64_t ring, uint64_t src, uint64_t index,
				      uint32_t log_ring)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_COPY_WQE, .flags = SVAN_ACCEL_CMD_INDIRECT,
		.copy_wqe = {
			.ring = svan_cpu_to_le64(ring), .src = svan_cpu_to_le64(src),
			.value = svan_cpu_to_le64(index),
			.blocks = svan_cpu_to_le32(1),
			.log_ring = svan_cpu_to_le32(log_ring),
		},
	};
}

struct svan_accel_cmd accel_loop(uint32_t span, uint32_t count)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_LOOP,
		.loop = {
			.span = svan_cpu_to_le32(span),
			.count = svan_cpu_to_le32(count),
		},
	};
}

/* ---- events ---- */

int accel_event(struct accel *accel, enum drm_svan_accel_event_kind kind)
{
	struct drm_svan_accel_event event = { .kind = kind };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), ret;

	if (fd < 0)
		return -errno;
	event.fd = fd;
	ret = accel_ioctl(accel, DRM_IOCTL_SVAN_ACCEL_EVENT, &event);
	if (ret) {
		complain("EVENT: %s", strerror(-ret));
		close(fd);
		return ret;
	}
	return fd;
}

int accel_event_await(int event, unsigned int ms)
{
	struct pollfd pfd = { .fd = event, .events = POLLIN };
	uint64_t count;

	if (poll(&pfd, 1, ms) != 1)
		return -ETIMEDOUT;
	return read(event, &count, sizeof(count)) == sizeof(count) ? 0 : -errno;
}

/* ---- counts ---- */

static long count_in(FILE *file, const char *name)
{
	char line[128], seen[64];
	long value;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s = %ld", seen, &value) == 2 && !strcmp(seen, name))
			return value;
	}
	return -ENOENT;
}

long accel_count(const char *name)
{
	long value = -ENOENT;
	glob_t found;
	FILE *file;

	if (glob(COUNTS, 0, NULL, &found))
		return -ENOENT;
	file = fopen(found.gl_pathv[0], "r");
	if (file) {
		value = count_in(file, name);
		fclose(file);
	}
	globfree(&found);
	return value;
}

int accel_count_await(const char *name, long value, unsigned int ms)
{
	uint64_t deadline = now_ms() + ms;
	long seen;

	while ((seen = accel_count(name)) != value) {
		if (now_ms() > deadline) {
			complain("%s is %ld, not %ld", name, seen, value);
			return -ETIMEDOUT;
		}
		usleep(10000);
	}
	return 0;
}

/* ---- the driver ---- */

static char bound[32];		/* PCI address of the accelerator */

static int write_driver(const char *file)
{
	char path[64];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/svan_accel/%s", file);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, bound, strlen(bound)) < 0) {
		complain("%s: %m", path);
		ret = -errno;
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

int accel_unbind(void)
{
	glob_t found;

	if (glob("/sys/bus/pci/drivers/svan_accel/0*", 0, NULL, &found))
		return -ENOENT;
	snprintf(bound, sizeof(bound), "%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return write_driver("unbind");
}

int accel_rebind(void)
{
	return write_driver("bind");
}
