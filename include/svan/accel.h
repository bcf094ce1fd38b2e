/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The accelerator: a peripheral with memory and work queues of its own, which stands
 * for a GPU (PRM chapter "Accelerator"). Registers are as in regs.h: little-endian, 32
 * bits wide unless marked (64).
 */
#ifndef SVAN_ACCEL_H
#define SVAN_ACCEL_H

#include "types.h"

#define SVAN_ACCEL_BAR_REGS		0
#define SVAN_ACCEL_BAR_REGS_SIZE	0x10000
#define SVAN_ACCEL_BAR_DB		2	/* one page of doorbells a context */
#define SVAN_ACCEL_BAR_MEM		4	/* local memory, 64 bits, prefetchable */
#define SVAN_ACCEL_DB_SHIFT		12
#define SVAN_ACCEL_MSIX_TABLE_OFFSET	0x8000	/* in BAR 0 */
#define SVAN_ACCEL_MSIX_PBA_OFFSET	0xc000	/* in BAR 0 */
#define SVAN_ACCEL_MSIX_COUNT		33	/* 0: faults; 1 + n: context n */
#define SVAN_ACCEL_CONTEXTS		32
#define SVAN_ACCEL_QUEUES		4	/* of each context */

/* identification and control */
#define SVAN_ACCEL_REG_MAGIC		0x000	/* RO */
#define   SVAN_ACCEL_MAGIC		0x43415653	/* "SVAC" */
#define SVAN_ACCEL_REG_VERSION		0x004	/* RO */
#define   SVAN_ACCEL_VERSION		0x00010000	/* major, minor */
#define SVAN_ACCEL_REG_CONTEXTS		0x008	/* RO: contexts 0.. */
#define SVAN_ACCEL_REG_QUEUES		0x00c	/* RO: queues of each */
#define SVAN_ACCEL_REG_MEM_SIZE		0x010	/* RO (64): octets of local memory */
#define SVAN_ACCEL_REG_CONTROL		0x020	/* WO */
#define   SVAN_ACCEL_CONTROL_RESET	0x80000000
#define SVAN_ACCEL_REG_GENERATION	0x024	/* RO: +1 for each reset */
#define SVAN_ACCEL_REG_CLOCK		0x028	/* RO (64): VM time, nanoseconds */
/*
 * A read is answered once no step that began before the read is open, and every store
 * through a window that began before it has ended.
 */
#define SVAN_ACCEL_REG_DRAIN		0x030	/* RO: 0 */
#define SVAN_ACCEL_REG_FAULTS		0x038	/* RO (64): bit n: context n is FAULTED */

/* interrupts of a vector: so many at once, then one each gap */
#define SVAN_ACCEL_IRQ_BURST		16
#define SVAN_ACCEL_IRQ_GAP_NS		100000

/* context n */
#define SVAN_ACCEL_REG_CTX(n, reg)	(0x1000 + 0x80 * (n) + (reg))
#define   SVAN_ACCEL_CTX_TABLE		0x00	/* RW (64): bus address of the root table */
#define   SVAN_ACCEL_CTX_LEVELS		0x08	/* RW: 1..4 */
#define   SVAN_ACCEL_CTX_CONTROL	0x0c	/* RW */
#define     SVAN_ACCEL_CTX_ENABLE	0x1
#define   SVAN_ACCEL_CTX_STATE		0x10	/* RO: enum svan_accel_ctx_state */
#define   SVAN_ACCEL_CTX_FAULT		0x14	/* RO: enum svan_accel_status */
#define   SVAN_ACCEL_CTX_FAULT_QUEUE	0x18	/* RO; SVAN_ACCEL_QUEUES: none */
#define   SVAN_ACCEL_CTX_FAULT_ADDR	0x20	/* RO (64): address in the context */
#define   SVAN_ACCEL_CTX_INVALIDATE	0x28	/* WO (64), as one: svan_accel_invalidate() */
#define     SVAN_ACCEL_INV_ADDR_MASK	0xfffffffffffff000ull
#define     SVAN_ACCEL_INV_LOG_MASK	0x000000000000003full	/* log2 of 4 KiB pages */
#define     SVAN_ACCEL_INV_ALL		0x000000000000003full

/* queue q of context n */
#define SVAN_ACCEL_REG_QUEUE(n, q, reg)	(0x4000 + 0x80 * (n) + 0x20 * (q) + (reg))
#define   SVAN_ACCEL_QUEUE_BASE		0x00	/* RW (64): in the context, aligned to 64 */
#define   SVAN_ACCEL_QUEUE_RECORD	0x08	/* RW (64): the same, to 16; 0: none */
#define   SVAN_ACCEL_QUEUE_LOG_SIZE	0x10	/* RW: commands, 0..16 */
#define   SVAN_ACCEL_QUEUE_CONTROL	0x14	/* RW */
#define     SVAN_ACCEL_QUEUE_ENABLE	0x1
#define   SVAN_ACCEL_QUEUE_STATE	0x18	/* RO: enum svan_accel_queue_state */
#define   SVAN_ACCEL_QUEUE_HEAD		0x1c	/* RO: commands done, free-running */
#define SVAN_ACCEL_QUEUE_MAX_LOG_SIZE	16

#define SVAN_ACCEL_REG_END		0x6000	/* from here on: reserved, reads 0 */

/*
 * Doorbell page of a context: an aligned 64-bit store at 8 * queue. The low half is the
 * producer index of the queue, free-running; the high half is zero. A store of another
 * kind is counted and ignored.
 */
#define SVAN_ACCEL_DB(queue)		(8 * (queue))
#define SVAN_ACCEL_DB_OLD		0x40000000	/* so far behind is late, not bad */

enum svan_accel_ctx_state {
	SVAN_ACCEL_CTX_OFF		= 0,
	SVAN_ACCEL_CTX_RUNNING		= 1,
	SVAN_ACCEL_CTX_FAULTED		= 2,	/* until ENABLE is cleared */
};

enum svan_accel_queue_state {
	SVAN_ACCEL_QUEUE_OFF		= 0,
	SVAN_ACCEL_QUEUE_RUNNING	= 1,	/* idle or at work */
	SVAN_ACCEL_QUEUE_WAITING	= 2,	/* in a WAIT whose value has not come */
	SVAN_ACCEL_QUEUE_STOPPED	= 3,	/* until ENABLE is cleared */
};

/* how a command ended, and why a queue is stopped or a context faulted */
enum svan_accel_status {
	SVAN_ACCEL_OK			= 0,
	SVAN_ACCEL_ERROR_COUNT		= 1,	/* WAIT: the count of errors has changed */
	SVAN_ACCEL_TIMEOUT		= 2,	/* WAIT: its limit is over */
	SVAN_ACCEL_BAD_OPCODE		= 3,
	SVAN_ACCEL_BAD_PARAM		= 4,
	SVAN_ACCEL_BAD_INDEX		= 5,	/* producer more than one ring ahead */
	SVAN_ACCEL_NOT_MAPPED		= 6,	/* absent entry: the context faults */
	SVAN_ACCEL_NOT_PERMITTED	= 7,	/* read-only, or a window: the context faults */
	SVAN_ACCEL_DMA			= 8,	/* nothing there: the context faults */
	SVAN_ACCEL_STORE		= 9,	/* a store through a window was refused */
	SVAN_ACCEL_CONTEXT		= 10,	/* another queue has faulted the context */
};

/*
 * Translation table of a context: a radix tree of 4096-byte tables of 512 entries in
 * host memory, as that of keys (keys.h). Entries of upper tables hold the next table's
 * bus address and PRESENT.
 */
#define SVAN_ACCEL_PTE_PRESENT		0x0000000000000001ull
#define SVAN_ACCEL_PTE_WRITABLE		0x0000000000000002ull	/* leaf only */
#define SVAN_ACCEL_PTE_LOCAL		0x0000000000000004ull	/* leaf: local memory */
#define SVAN_ACCEL_PTE_WINDOW		0x0000000000000008ull	/* leaf: WRITE only */
#define SVAN_ACCEL_PTE_ADDR_MASK	0x000ffffffffff000ull

/* ---- commands ---- */

enum svan_accel_opcode {
	SVAN_ACCEL_NOP			= 0,
	SVAN_ACCEL_FILL			= 1,
	SVAN_ACCEL_COPY			= 2,
	SVAN_ACCEL_REDUCE		= 3,
	SVAN_ACCEL_CHECKSUM		= 4,	/* CRC-32C */
	SVAN_ACCEL_WAIT			= 5,
	SVAN_ACCEL_WRITE		= 6,
	SVAN_ACCEL_COPY_WQE		= 7,
	SVAN_ACCEL_PATCH		= 8,
	SVAN_ACCEL_LOOP			= 9,
	SVAN_ACCEL_FENCE		= 10,
	SVAN_ACCEL_COMPLETE		= 11,
	SVAN_ACCEL_INTERRUPT		= 12,
};

/* flags of a command */
#define SVAN_ACCEL_CMD_RECORD		0x01	/* write the queue's record after it */
#define SVAN_ACCEL_CMD_INDIRECT		0x02	/* `value` is where it lies: le64, aligned */
#define SVAN_ACCEL_CMD_CONTINUE		0x04	/* WAIT: go on however it ends */
#define SVAN_ACCEL_CMD_BIG_ENDIAN	0x08	/* PATCH: store it so */
#define SVAN_ACCEL_CMD_FLAGS		0x0f

enum svan_accel_reduce_op {
	SVAN_ACCEL_SUM			= 0,
	SVAN_ACCEL_MAX			= 1,
	SVAN_ACCEL_MIN			= 2,
};

enum svan_accel_type {
	SVAN_ACCEL_INT32		= 0,	/* a SUM wraps */
	SVAN_ACCEL_INT64		= 1,
	SVAN_ACCEL_FLOAT32		= 2,	/* IEEE 754, little-endian */
};

enum svan_accel_condition {
	SVAN_ACCEL_EQUAL		= 0,
	SVAN_ACCEL_AT_LEAST		= 1,	/* unsigned */
	SVAN_ACCEL_REACHED		= 2,	/* (signed)(seen - value) >= 0, of `width` */
};

/*
 * Parameters of commands. Each struct has all 56 octets, `unused` is zero: an initializer
 * of a union's member says nothing of octets that are not the member's.
 */
struct svan_accel_fill {
	__le64	dst;
	__le64	length;			/* octets */
	__le64	value;			/* repeated; its lowest octet comes first */
	__u8	unused[32];
};

struct svan_accel_copy {
	__le64	dst;
	__le64	src;			/* the two do not overlap */
	__le64	length;			/* octets */
	__u8	unused[32];
};

/* dst[i] = a[i] op b[i]; dst may be a or b. Elements are aligned to their size. */
struct svan_accel_reduce {
	__le64	dst;
	__le64	a;
	__le64	b;
	__le64	count;			/* elements */
	__u8	op;			/* enum svan_accel_reduce_op */
	__u8	type;			/* enum svan_accel_type */
	__u8	reserved[6];
	__u8	unused[16];
};

struct svan_accel_checksum {
	__le64	src;
	__le64	length;			/* octets */
	__le64	dst;			/* the CRC is stored there, le32 */
	__le32	seed;			/* CRC of what comes before; 0: nothing */
	__le32	reserved;
	__u8	unused[24];
};

/*
 * Until (value at addr & mask) meets the condition, or the 64-bit value at `errors`
 * differs from error_value, or limit_ns is over. How it ended is stored at `status`.
 */
struct svan_accel_wait {
	__le64	addr;			/* aligned to `width` */
	__le64	value;
	__le64	mask;
	__le64	errors;			/* aligned to 8; 0: none */
	__le64	error_value;
	__le64	limit_ns;		/* 0: none */
	__le64	status;			/* le32, enum svan_accel_status; 0: nowhere */
};

struct svan_accel_write {
	__le64	addr;			/* aligned to `width`; memory, or a window */
	__le64	value;
	__u8	unused[40];
};

/* Copy blocks of 64 octets into a ring, from its block `value` on. */
struct svan_accel_copy_wqe {
	__le64	ring;			/* aligned to 64 */
	__le64	src;			/* aligned to 64 */
	__le64	value;			/* index, free-running */
	__le32	blocks;			/* 1..16 */
	__le32	log_ring;		/* blocks of the ring, 0..24 */
	__u8	unused[24];
};

/*
 * Of the `width` octets at dst, replace the bits of mask by those of (the value at src +
 * add) << shift, shifted right if shift is negative. dst and src are aligned to their
 * widths.
 */
struct svan_accel_patch {
	__le64	dst;
	__le64	src;			/* src_width octets, little-endian */
	__le64	add;
	__le64	mask;
	__u8	src_width;		/* 1, 2, 4, 8 */
	__s8	shift;			/* -63..63 */
	__u8	reserved[6];
	__u8	unused[16];
};

/*
 * Execute the `span` commands before this one until they were executed `count` times. The
 * ring must still hold them: their entries are free when the head is past the loop.
 */
struct svan_accel_loop {
	__le32	span;			/* 1..ring size - 1; no loop lies in it */
	__le32	count;			/* > 0, the time before this command included */
	__u8	unused[48];
};

struct svan_accel_complete {
	__le64	addr;			/* of a struct svan_accel_completion, aligned */
	__u8	unused[48];
};

struct svan_accel_cmd {
	__u8	opcode;			/* enum svan_accel_opcode */
	__u8	flags;			/* SVAN_ACCEL_CMD_*; only those that it knows */
	__u8	width;			/* WAIT: 4, 8; WRITE: 4, 8; PATCH: 1, 2, 4, 8; else 0 */
	__u8	condition;		/* WAIT: enum svan_accel_condition; else 0 */
	__le32	tag;			/* the user's, for records and completions */
	union {
		struct svan_accel_fill		fill;
		struct svan_accel_copy		copy;
		struct svan_accel_reduce	reduce;
		struct svan_accel_checksum	checksum;
		struct svan_accel_wait		wait;
		struct svan_accel_write		write;
		struct svan_accel_copy_wqe	copy_wqe;
		struct svan_accel_patch		patch;
		struct svan_accel_loop		loop;
		struct svan_accel_complete	complete;
		__u8				octets[56];
	};
};

SVAN_ASSERT_SIZE(struct svan_accel_cmd, 64);
SVAN_ASSERT_SIZE(struct svan_accel_wait, 56);
SVAN_ASSERT_SIZE(struct svan_accel_fill, 56);
SVAN_ASSERT_SIZE(struct svan_accel_copy, 56);
SVAN_ASSERT_SIZE(struct svan_accel_reduce, 56);
SVAN_ASSERT_SIZE(struct svan_accel_checksum, 56);
SVAN_ASSERT_SIZE(struct svan_accel_write, 56);
SVAN_ASSERT_SIZE(struct svan_accel_copy_wqe, 56);
SVAN_ASSERT_SIZE(struct svan_accel_patch, 56);
SVAN_ASSERT_SIZE(struct svan_accel_loop, 56);
SVAN_ASSERT_SIZE(struct svan_accel_complete, 56);
SVAN_ASSERT_OFFSET(struct svan_accel_cmd, octets, 8);

/* What COMPLETE stores; time_ns last, with release order. */
struct svan_accel_completion {
	__le32	tag;
	__le32	status;			/* of the last WAIT: enum svan_accel_status */
	__le64	time_ns;		/* as SVAN_ACCEL_REG_CLOCK */
};

SVAN_ASSERT_SIZE(struct svan_accel_completion, 16);

/*
 * Record of a queue: what the device has done. It is stored after a command with
 * CMD_RECORD and when the queue stops; `head` last, with release order.
 */
struct svan_accel_record {
	__le32	state;			/* enum svan_accel_queue_state */
	__le32	status;			/* STOPPED: why, enum svan_accel_status */
	__le32	tag;			/* of the command it stopped at, or did last */
	__le32	head;			/* commands done, free-running */
};

SVAN_ASSERT_SIZE(struct svan_accel_record, 16);

/* [addr, addr + 2^log_pages pages), for SVAN_ACCEL_CTX_INVALIDATE */
static inline __u64 svan_accel_invalidate(__u64 addr, __u32 log_pages)
{
	return (addr & SVAN_ACCEL_INV_ADDR_MASK) |
	       (log_pages & SVAN_ACCEL_INV_LOG_MASK);
}

#endif /* SVAN_ACCEL_H */
