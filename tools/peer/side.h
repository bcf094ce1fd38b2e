/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the examples share: a side, which is a queue pair of a NIC with a page of doorbells
 * of its own, and a context of the accelerator that rings them.
 *
 * A side has three buffers. What it sends lies in `out`, what it receives in `in`, both
 * in the accelerator's memory; `staging` is host memory for words that the commands
 * compute with and for work requests.
 *
 * Functions return 0, or a negative errno after they have said on stderr what went wrong.
 */
#ifndef SVAN_PEER_SIDE_H
#define SVAN_PEER_SIDE_H

#include <infiniband/svandv.h>

#include "accel-lib.h"

#define SIDE_IOVA	0x100000ull	/* where `out` and `in` begin, for their MRs */
#define SIDE_MAX_WRITES	4u		/* of one message */

/* Words of the staging page, of eight octets; those from USER on are the example's. */
enum side_word { SIDE_DOORBELL, SIDE_USER, SIDE_WQE = 64 };

struct side {
	struct node node;
	struct ep ep;
	struct svandv_uar *uar;
	struct svandv_queues queues;
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf out, in, staging;
	struct ibv_mr *out_mr, *in_mr;
	uint64_t window, sq;		/* addresses in the context */
	int event;			/* of INTERRUPT, an eventfd */
};

/* An RDMA WRITE from `out` of this side into `in` of the other: offsets, and octets. */
struct side_write {
	uint32_t from;
	uint32_t to;
	uint32_t length;
};

/* Open both sides, of svan_0 and svan_1, or of svan_0 alone if it has no peer. */
int sides_open(struct side *sides, size_t size, unsigned int log_commands);
void sides_close(struct side *sides);

uint64_t *side_word(const struct side *side, unsigned int n);
uint64_t side_word_va(const struct side *side, unsigned int n);

/*
 * Prepare the work requests of one message, one block each, @count a power of two. In form
 * 'a' the whole ring of the send queue is full of them; in form 'b' they lie in staging,
 * and the ring is empty.
 */
int side_prepare(struct side *side, const struct side *peer,
		 const struct side_write *writes, unsigned int count, char form);

/* Work request @n of those that begin at @block of the ring, for the accelerator. */
uint64_t side_wqe_va(const struct side *side, uint32_t block, unsigned int n, char form);

/*
 * Post commands that submit the next @count blocks. The index of the first is the word at
 * @index, to which the one at @by, which is @count, is added.
 */
void side_post_submit(struct side *side, uint64_t index, uint64_t by,
		      unsigned int count, char form);
/* Post a loop of what was posted since @first, and an interrupt after it. */
void side_post_loop(struct side *side, uint32_t first, uint32_t count);

struct side_run {
	uint64_t ms;			/* from the doorbell to the interrupt */
	long sleeps;			/* how often the CPU has gone to sleep meanwhile */
};

/* Start both sides, sleep until the first has interrupted, wait for the second. */
int sides_run(struct side *sides, unsigned int limit_ms, struct side_run *run);

/* "over the wire" or "in loopback" */
const char *sides_path(void);

#endif /* SVAN_PEER_SIDE_H */
