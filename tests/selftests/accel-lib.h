/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the accelerator share: a context, buffers, a queue of commands.
 *
 * Functions return 0, or a negative errno. Those that are expected to work say on stderr
 * what went wrong; accel_ioctl() says nothing.
 */
#ifndef SVAN_SELFTEST_ACCEL_LIB_H
#define SVAN_SELFTEST_ACCEL_LIB_H

#include <drm/svan_accel.h>
#include <stdbool.h>
#include <stdint.h>
#include <svan/accel.h>

#include "common.h"

#define ACCEL_PAGE	4096u
#define ACCEL_DEVICE	"/dev/accel/accel0"

/* Was the guest started with an accelerator? */
bool accel_wanted(void);
bool accel_exists(void);

/*
 * In a set-up of a fixture: without an accelerator the test is skipped, or fails if there
 * should be one.
 */
#define ACCEL_REQUIRE() do { \
	if (!accel_exists() && !accel_wanted()) \
		SKIP(return, "there is no accelerator: make guest PEERDEV=1"); \
	ASSERT_TRUE(accel_exists()); \
} while (0)

/* An open file, which is a context. */
struct accel {
	int fd;
	struct drm_svan_accel_info info;
	volatile uint64_t *doorbells;
};

int accel_open(struct accel *accel);
void accel_close(struct accel *accel);
int accel_ioctl(struct accel *accel, unsigned long request, void *arg);

/* A buffer that is mapped in the process and in the context, for everything. */
struct accel_buf {
	struct accel *accel;
	uint32_t handle;
	size_t size;
	uint8_t *map;
	uint64_t va;
};

int accel_buf_alloc(struct accel_buf *buf, struct accel *accel,
		    enum drm_svan_accel_bo_kind kind, size_t size);
void accel_buf_free(struct accel_buf *buf);

/* A dma-buf of it; or -errno. */
int accel_buf_export(const struct accel_buf *buf);

int accel_map_user(struct accel *accel, void *addr, size_t length, bool write,
		   uint64_t *va);
int accel_unmap(struct accel *accel, uint64_t va);
/* Doorbells of a NIC, from a dma-buf. */
int accel_import_window(struct accel *accel, int fd, uint64_t *va);
/* The doorbells of a page. */
int accel_import_uar(struct accel *accel, struct svandv_uar *uar, uint64_t *va);

/* A queue, whose ring and record are in a buffer of host memory. */
struct accel_queue {
	struct accel *accel;
	struct accel_buf memory;
	uint32_t number;
	uint32_t size;
	uint32_t posted;
	struct svan_accel_cmd *ring;
	struct svan_accel_record *record;
};

int accel_queue_create(struct accel_queue *queue, struct accel *accel,
		       unsigned int log_size);
void accel_queue_destroy(struct accel_queue *queue);
/* Put a command into the ring, with the record to be written after it. */
void accel_post(struct accel_queue *queue, struct svan_accel_cmd cmd);
void accel_ring(struct accel_queue *queue);
/*
 * Wait until all that was posted is done: -EIO if the queue stops instead, -ETIMEDOUT
 * after that many milliseconds.
 */
int accel_await(struct accel_queue *queue, unsigned int ms);
/* Post one command and a FENCE, ring, and wait: what it has stored is visible. */
int accel_do(struct accel_queue *queue, struct svan_accel_cmd cmd);
/* Why it has stopped, or 0. */
uint32_t accel_queue_status(const struct accel_queue *queue);

struct svan_accel_cmd accel_fill(uint64_t dst, uint64_t length, uint8_t octet);
struct svan_accel_cmd accel_copy(uint64_t dst, uint64_t src, uint64_t length);
/* Eight octets; flags: SVAN_ACCEL_CMD_INDIRECT, or 0. */
struct svan_accel_cmd accel_store(uint64_t addr, uint64_t value, uint8_t flags);
/* Until the value at addr reaches that at `value`. limit_ns 0: without a limit. */
struct svan_accel_cmd accel_wait(uint64_t addr, uint64_t value, uint64_t limit_ns);
struct svan_accel_cmd accel_fence(void);
/* *addr += *by; of one word of eight octets, or of count of them. */
struct svan_accel_cmd accel_add(uint64_t addr, uint64_t by);
struct svan_accel_cmd accel_add_words(uint64_t addr, uint64_t by, uint64_t count);
/* The index of the doorbell word becomes the value at src. */
struct svan_accel_cmd accel_set_index(uint64_t doorbell, uint64_t src);
/* One block, from src into a NIC's ring, at the index that lies at `index`. */
struct svan_accel_cmd accel_copy_wqe(uint64_t ring, uint64_t src, uint64_t index,
				     uint32_t log_ring);
struct svan_accel_cmd accel_loop(uint32_t span, uint32_t count);

/* An eventfd for events of a kind; or -errno. */
int accel_event(struct accel *accel, enum drm_svan_accel_event_kind kind);
/* Wait for it, and take it. */
int accel_event_await(int event, unsigned int ms);

/* A count of /sys/kernel/debug/accel/.../counts, or -errno. */
long accel_count(const char *name);
/* Until it has this value. */
int accel_count_await(const char *name, long value, unsigned int ms);

/* Take the device from its driver, which revokes its memory; and give it back. */
int accel_unbind(void);
int accel_rebind(void);

#endif /* SVAN_SELFTEST_ACCEL_LIB_H */
