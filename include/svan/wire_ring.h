/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A wire in shared memory: two rings of frames, one for each direction, between two
 * processes of one machine, which trust each other in nothing.
 *
 * The processes meet at a Unix socket (SOCK_SEQPACKET). The one that listens makes a memfd,
 * seals its size, and hands it over:
 *
 *	connector -> listener	svan_wire_hello
 *	listener -> connector	svan_wire_setup, and the memfd as SCM_RIGHTS
 *	connector -> listener	svan_wire_ready
 *
 * From then on frames pass through the memory. The socket carries only SVAN_WIRE_WAKE, one
 * octet, for a process that has declared itself asleep; and it tells, by its end, that the
 * peer has gone.
 */
#ifndef SVAN_WIRE_RING_H
#define SVAN_WIRE_RING_H

#include "types.h"

/* ---- messages ---- */

#define SVAN_WIRE_MAGIC		0x57617653	/* "SvaW" */
#define SVAN_WIRE_VERSION	1
#define SVAN_WIRE_WAKE		0x57

/* features; both sides have to know what is used */
#define SVAN_WIRE_FEAT_NO_ICRC	0x1	/* SVAN_RING_NO_ICRC may be set */

struct svan_wire_hello {
	__le32	magic;
	__le16	version_min;		/* what the connector speaks */
	__le16	version_max;
	__le64	features;		/* that the connector knows */
};

struct svan_wire_setup {
	__le32	magic;
	__le16	version;		/* the one that is spoken */
	__le16	log_cells;		/* of each ring: SVAN_RING_MIN_LOG.. */
	__le64	features;		/* in use: a part of the connector's */
	__le64	size;			/* octets of the memfd: svan_wire_size() */
};

struct svan_wire_ready {
	__le32	magic;
	__le32	reserved;
};

SVAN_ASSERT_SIZE(struct svan_wire_hello, 16);
SVAN_ASSERT_SIZE(struct svan_wire_setup, 24);
SVAN_ASSERT_SIZE(struct svan_wire_ready, 8);

/* ---- memory ---- */

/*
 * A ring is an array of 2^log_cells cells. Indices count cells and run freely modulo 2^32;
 * the low bits are the place. Each word is stored by one side only.
 */
#define SVAN_RING_CELL		64u		/* octets */
#define SVAN_RING_MIN_LOG	10		/* 64 KiB */
#define SVAN_RING_MAX_LOG	18		/* 16 MiB */
#define SVAN_RING_MAX_FRAME	16384u		/* octets */
#define SVAN_RING_MIN_FRAME	14u

/*
 * Who goes to sleep stores an odd value that differs from the one before, then looks at the
 * other side's index once more; who publishes an index looks at the word afterwards (a full
 * barrier between the two steps, on both sides). One wake is enough for each odd value. A
 * side that is awake has an even value.
 */
struct svan_ring_producer {
	__le32	head;			/* the first cell that holds no frame yet */
	__le32	waits;			/* odd: wake me when tail moves */
	__u8	reserved[120];
};

struct svan_ring_consumer {
	__le32	tail;			/* the first cell that is still in use */
	__le32	sleeps;			/* odd: wake me when head moves */
	__u8	reserved[120];
};

struct svan_ring_control {
	struct svan_ring_producer producer;
	struct svan_ring_consumer consumer;
};

/* At the start of the memory; the cells of the two rings begin at SVAN_WIRE_CELLS. */
struct svan_wire_control {
	struct svan_ring_control to_connector;
	struct svan_ring_control to_listener;
};

#define SVAN_WIRE_CELLS		4096u

SVAN_ASSERT_SIZE(struct svan_ring_producer, 128);
SVAN_ASSERT_SIZE(struct svan_ring_consumer, 128);
SVAN_ASSERT_OFFSET(struct svan_ring_control, consumer, 128);
SVAN_ASSERT_OFFSET(struct svan_wire_control, to_listener, 256);

/*
 * What a record begins with; the frame follows, without FCS. A record takes as many whole
 * cells as it needs, and never wraps: a record with SVAN_RING_PAD has no frame and lasts
 * until the end of the array.
 */
struct svan_ring_record {
	__le32	length;			/* octets of the frame */
	__le16	flags;			/* SVAN_RING_* */
	__le16	reserved;
};

#define SVAN_RING_PAD		0x1	/* nothing here; length is 0 */
/*
 * A RoCE packet in whose place for the ICRC there is none. Whoever passes the frame on to
 * anything but such a ring computes it.
 */
#define SVAN_RING_NO_ICRC	0x2

SVAN_ASSERT_SIZE(struct svan_ring_record, 8);

/* The octets of the memory with rings of 2^log_cells cells. */
static inline __u64 svan_wire_size(unsigned int log_cells)
{
	return SVAN_WIRE_CELLS + 2 * ((__u64)SVAN_RING_CELL << log_cells);
}

/* The cells that the record of a frame takes. */
static inline __u32 svan_ring_cells(__u32 length)
{
	return (sizeof(struct svan_ring_record) + length + SVAN_RING_CELL - 1) /
	       SVAN_RING_CELL;
}

#endif /* SVAN_WIRE_RING_H */
