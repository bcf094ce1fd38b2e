/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the examples share: a side, which is a queue pair of a NIC with a page of doorbells
 * of its own, and a context of the accelerator that rings them.
 *
 * What is sent and received lies in the side's memory, which is the accelerator's. Staging
 * is a page of the host, for words that the commands compute with and for work requests.
 * The NIC counts the side's sends in words of that memory, which the commands wait for.
 *
 * Functions return 0, or a negative errno after they have said on stderr what went wrong.
 */
#ifndef SVAN_PEER_SIDE_H
#define SVAN_PEER_SIDE_H

#include <infiniband/svandv.h>

#include "accel-lib.h"

#define SIDE_IOVA	0x100000ull	/* where the memory begins, for its MR */
#define SIDE_MAX_WRITES	32u		/* work requests of a round */

/* Words of the staging page, of eight octets; those from USER on are the example's. */
enum side_word { SIDE_DOORBELL, SIDE_INDEX, SIDE_USER, SIDE_WQE = 64 };

struct side_size {
	size_t memory;			/* octets */
	unsigned int log_commands;	/* of the accelerator's queue */
};

struct side {
	struct node node;
	struct ep ep;
	struct svandv_uar *uar;
	struct svandv_queues queues;
	struct svandv_comp_cntr *sent;
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf memory, staging;
	size_t counts;			/* offset of the counts in the memory */
	struct ibv_mr *mr;
	uint64_t window, sq;		/* addresses in the context */
	int event;			/* of INTERRUPT, an eventfd */
};

/* An RDMA WRITE into the other side's memory: offsets, and octets. */
struct side_write {
	uint32_t from;
	uint32_t to;
	uint32_t length;
};

/* At svan_0, or at svan_1 if @number is odd and there is one. */
int side_open(struct side *side, unsigned int number, const struct side_size *size);
void side_close(struct side *side);
/* Open two, and connect them. */
int sides_open(struct side *sides, const struct side_size *size);

/* What lies at an offset of the memory: for the CPU, and for commands. */
void *side_at(const struct side *side, size_t offset);
uint64_t side_va(const struct side *side, size_t offset);
uint64_t *side_word(const struct side *side, unsigned int n);
uint64_t side_word_va(const struct side *side, unsigned int n);

/*
 * Prepare the work requests of a round, one block each, @count a power of two. In form
 * 'a' the whole ring of the send queue is full of rounds; in form 'b' they lie in staging,
 * and the ring is empty.
 */
int side_prepare(struct side *side, const struct side *peer,
		 const struct side_write *writes, unsigned int count, char form);

/* Work request @n of the round that begins at @block of the ring, for the accelerator. */
uint64_t side_wqe_va(const struct side *side, uint32_t block, unsigned int n, char form);

/*
 * Post commands that submit @count work requests, from number @first of the round on. The
 * word at @by is @count.
 */
void side_post_submit(struct side *side, unsigned int first, unsigned int count,
		      uint64_t by, char form);
/* Post a command that waits until all sends of the side are complete. */
void side_post_sent(struct side *side);
/*
 * Post a loop of what was posted since @first, and an interrupt when all that it has
 * stored is visible.
 */
void side_post_loop(struct side *side, uint32_t first, uint32_t count);

struct side_run {
	uint64_t ms;			/* from the doorbell to the interrupt */
	long sleeps;			/* how often the CPU has gone to sleep meanwhile */
};

/* Start the sides, the first at last; sleep until it has interrupted; wait for all. */
int sides_run(struct side *const *sides, unsigned int count, unsigned int limit_ms,
	      struct side_run *run);
/* Print what was done, and how often the CPU slept. */
void side_report(const struct side_run *run, char form, unsigned long rounds,
		 const char *what);

struct side_options {
	char form;			/* 'a', 'b' */
	unsigned long count;		/* rounds, 1 to 2^30 - 1 */
	unsigned long size;
	unsigned long ranks;
};

/* Read --form, --count, --size and --ranks; what they may be is the example's. */
bool side_parse(int argc, char **argv, struct side_options *options);

#endif /* SVAN_PEER_SIDE_H */
