/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR Linux-OpenIB) */
/*
 * The accelerator's ABI of user space: Documentation/driver/svan_accel.rst. Commands,
 * records and doorbells are those of svan/accel.h.
 *
 * An open file is a context of the device: it has an address space of its own, its own
 * queues, and its own page of doorbells. "va" is an address in the context. Flags that
 * are not named here, and padding, are zero.
 */
#ifndef _UAPI_DRM_SVAN_ACCEL_H
#define _UAPI_DRM_SVAN_ACCEL_H

#include <drm/drm.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_SVAN_ACCEL_INFO		0x00
#define DRM_SVAN_ACCEL_BO_CREATE	0x01
#define DRM_SVAN_ACCEL_BO_INFO		0x02
#define DRM_SVAN_ACCEL_MAP		0x03
#define DRM_SVAN_ACCEL_MAP_USER		0x04
#define DRM_SVAN_ACCEL_IMPORT_WINDOW	0x05
#define DRM_SVAN_ACCEL_UNMAP		0x06
#define DRM_SVAN_ACCEL_QUEUE_CREATE	0x07
#define DRM_SVAN_ACCEL_QUEUE_DESTROY	0x08
#define DRM_SVAN_ACCEL_EVENT		0x09
#define DRM_SVAN_ACCEL_FAULT		0x0a
#define DRM_SVAN_ACCEL_RESET_CONTEXT	0x0b

/* All counts of the device, whoever uses them. */
struct drm_svan_accel_info {
	__u32 contexts;			/* of the device; open() fails with ENOSPC after */
	__u32 contexts_used;
	__u32 queues;			/* of a context */
	__u32 max_log_size;		/* of a queue */
	__u64 memory_size;		/* octets of local memory */
	__u64 memory_used;
	__u64 va_end;			/* all addresses in a context are below */
	__u64 doorbell_offset;		/* of the page of doorbells, for mmap() */
	__u32 context;			/* number of this context, as traces show it */
	__u32 generation;		/* +1 for each reset of the device */
	__u32 user_contexts;		/* of a user without CAP_SYS_ADMIN, at most */
	__u32 pad;
	__u64 user_memory;		/* octets of such a user, at most; then ENOSPC */
};

enum drm_svan_accel_bo_kind {
	DRM_SVAN_ACCEL_BO_LOCAL		= 0,	/* memory of the device */
	DRM_SVAN_ACCEL_BO_HOST		= 1,
};

/* A buffer of zeros. Its handle is closed by DRM_IOCTL_GEM_CLOSE. */
struct drm_svan_accel_bo_create {
	__u64 size;			/* in whole pages */
	__u32 kind;			/* enum drm_svan_accel_bo_kind */
	__u32 flags;			/* 0 */
	__u32 handle;			/* out */
	__u32 pad;
};

struct drm_svan_accel_bo_info {
	__u32 handle;
	__u32 kind;			/* out: enum drm_svan_accel_bo_kind */
	__u64 size;			/* out */
	__u64 mmap_offset;		/* out */
};

#define DRM_SVAN_ACCEL_WRITE		0x1	/* the device may store there, too */

/* Map a part of a buffer; it stays until it is unmapped, whatever becomes of the handle. */
struct drm_svan_accel_map {
	__u32 handle;
	__u32 flags;			/* DRM_SVAN_ACCEL_WRITE */
	__u64 offset;			/* all in whole pages */
	__u64 length;
	__u64 va;			/* out */
};

/*
 * Map memory of the caller, who is the process that opened the file (else EPERM). It is
 * pinned, and counts for RLIMIT_MEMLOCK, as host memory that is mapped by MAP does.
 */
struct drm_svan_accel_map_user {
	__u64 addr;			/* all in whole pages */
	__u64 length;
	__u32 flags;			/* DRM_SVAN_ACCEL_WRITE */
	__u32 pad;
	__u64 va;			/* out */
};

/*
 * Map a doorbell window, a dma-buf of svan_ib. When its owner takes it away, the mapping
 * is empty: the next command that uses it faults the context.
 */
struct drm_svan_accel_import_window {
	__s32 fd;
	__u32 flags;			/* 0 */
	__u64 size;			/* out */
	__u64 va;			/* out */
};

/* On return the device does not access the memory any more. */
struct drm_svan_accel_unmap {
	__u64 va;			/* as MAP, MAP_USER or IMPORT_WINDOW have given it */
};

struct drm_svan_accel_queue_create {
	__u64 ring;			/* va of the commands, aligned to 64 */
	__u64 record;			/* va of the record, aligned to 16; 0: none */
	__u32 log_size;			/* commands of the ring */
	__u32 flags;			/* 0 */
	__u32 queue;			/* out */
	__u32 pad;
};

struct drm_svan_accel_queue_destroy {
	__u32 queue;
	__u32 pad;
};

enum drm_svan_accel_event_kind {
	/* INTERRUPT was executed, or a queue has stopped. */
	DRM_SVAN_ACCEL_EVENT_QUEUE	= 0,
	/* The context has faulted, or the device was reset or has gone. */
	DRM_SVAN_ACCEL_EVENT_FAULT	= 1,
};

/* Signal this eventfd. */
struct drm_svan_accel_event {
	__u32 kind;			/* enum drm_svan_accel_event_kind */
	__s32 fd;			/* -1: none any more */
};

struct drm_svan_accel_fault {
	__u32 state;			/* enum svan_accel_ctx_state; OFF: after a reset */
	__u32 status;			/* FAULTED: why, enum svan_accel_status */
	__u32 queue;			/* FAULTED: number; not a queue's if none did it */
	__u32 pad;
	__u64 va;			/* FAULTED: where */
};

/*
 * Destroy all queues, and bring the context back after a fault or a reset of the device.
 * Mappings stay.
 */
struct drm_svan_accel_reset_context {
	__u32 flags;			/* 0 */
	__u32 pad;
};

#define DRM_IOCTL_SVAN_ACCEL_INFO \
	DRM_IOR(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_INFO, \
		struct drm_svan_accel_info)
#define DRM_IOCTL_SVAN_ACCEL_BO_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_BO_CREATE, \
		 struct drm_svan_accel_bo_create)
#define DRM_IOCTL_SVAN_ACCEL_BO_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_BO_INFO, \
		 struct drm_svan_accel_bo_info)
#define DRM_IOCTL_SVAN_ACCEL_MAP \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_MAP, \
		 struct drm_svan_accel_map)
#define DRM_IOCTL_SVAN_ACCEL_MAP_USER \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_MAP_USER, \
		 struct drm_svan_accel_map_user)
#define DRM_IOCTL_SVAN_ACCEL_IMPORT_WINDOW \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_IMPORT_WINDOW, \
		 struct drm_svan_accel_import_window)
#define DRM_IOCTL_SVAN_ACCEL_UNMAP \
	DRM_IOW(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_UNMAP, \
		struct drm_svan_accel_unmap)
#define DRM_IOCTL_SVAN_ACCEL_QUEUE_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_QUEUE_CREATE, \
		 struct drm_svan_accel_queue_create)
#define DRM_IOCTL_SVAN_ACCEL_QUEUE_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_QUEUE_DESTROY, \
		struct drm_svan_accel_queue_destroy)
#define DRM_IOCTL_SVAN_ACCEL_EVENT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_EVENT, \
		struct drm_svan_accel_event)
#define DRM_IOCTL_SVAN_ACCEL_FAULT \
	DRM_IOR(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_FAULT, \
		struct drm_svan_accel_fault)
#define DRM_IOCTL_SVAN_ACCEL_RESET_CONTEXT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_SVAN_ACCEL_RESET_CONTEXT, \
		struct drm_svan_accel_reset_context)

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_DRM_SVAN_ACCEL_H */
