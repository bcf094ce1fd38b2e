/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the examples share: a side, which is a queue pair of a NIC with a page of doorbells
 * of its own, and a context of the accelerator that rings them.
 *
 * What is sent and received lies in the side's memory, which is the accelerator's. Staging
 * is a page of the host, for words that the commands compute with and for work requests.
 * The NIC counts the side's sends, and its receives, in words of that memory, which the
 * commands wait for.
 *
 * A message is one work request or more, of which the last one tells the other side. With
 * the operation "send" that one is a SEND into the other side's next receive, which is
 * counted; with "write" all are RDMA WRITEs, and the last octets of the message are a number
 * that the other side waits for.
 *
 * Functions return 0, or a negative errno after they have said on stderr what went wrong.
 */
#ifndef SVAN_PEER_SIDE_H
#define SVAN_PEER_SIDE_H

#include <infiniband/svandv.h>

#include "accel-lib.h"

#define SIDE_IOVA	0x100000ull	/* where the memory begins, for its MR */
#define SIDE_MAX_SENDS	32u		/* work requests of a round */
#define SIDE_MAX_RECEIVES 32u

/* Words of the staging page, of eight octets; those from USER on are the example's. */
enum side_word {
	SIDE_INDEX, SIDE_DOORBELL,		/* of the send queue */
	SIDE_RQ_INDEX, SIDE_RQ_DOORBELL,	/* of the receive queue */
	SIDE_CAME,				/* messages that were waited for */
	SIDE_USER,
	SIDE_WQE = 64,
	SIDE_RECEIVE = SIDE_WQE + 8 * SIDE_MAX_SENDS,
};

struct side_options {
	char form;			/* 'a', 'b' */
	bool send;			/* the operation: "send" or "write" */
	unsigned long count;		/* rounds, 1 to 2^30 - 1 */
	unsigned long size;
	unsigned long ranks;
	unsigned long cpu_post;		/* sends before one of the CPU; 0: none */
	bool mark;			/* beginning and end in the kernel's trace */
	bool listen;			/* for the process that has the other sides */
	const char *peer;		/* or the address of the one that listens */
};

struct side_size {
	size_t memory;			/* octets */
	unsigned int log_commands;	/* of the accelerator's queue */
	bool ring;			/* messages come over a queue pair of their own */
};

/* A queue pair, and where the accelerator finds what belongs to it. */
struct side_qp {
	struct ep ep;
	struct svandv_uar *uar;
	struct svandv_queues queues;
	uint64_t window, buf;		/* addresses in the context */
};

struct side {
	const struct side_options *options;
	unsigned int number;
	struct node node;
	struct side_qp out, own_in;
	struct side_qp *in;		/* out, or in a ring own_in */
	struct svandv_comp_cntr *sent, *came;
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf memory, staging;
	size_t counts;			/* offset of the counts in the memory */
	struct ibv_mr *mr;
	uint32_t rkey;			/* of the memory of the side that it sends to */
	int event;			/* of INTERRUPT, an eventfd; -1: it raises none */
};

/* A work request: octets of the memory that go to the other side's; offsets. */
struct side_request {
	uint32_t from;
	uint32_t to;
	uint32_t length;
	bool tells;			/* the last one of a message */
};

/* The work requests of a round: a power of two, of one block each. */
struct side_round {
	const struct side_request *requests;
	unsigned int count;
};

/* What a side says of itself to those that it is connected to. */
struct side_address {
	union ibv_gid gid;
	uint32_t rkey;
	struct {
		uint32_t qp_num;
		uint32_t psn;
	} out, in;
};

/*
 * Open side @number, at svan_0, or at svan_1 if the number is odd and there is one. If it
 * raises no INTERRUPT it is somebody else who tells the CPU that the work is done.
 */
int side_open(struct side *side, const struct side_size *size, bool interrupts);
void side_close(struct side *side);

void side_tell(const struct side *side, struct side_address *address);
/* What it sends goes to @next, and what it receives comes from @previous. */
int side_connect(struct side *side, const struct side_address *next,
		 const struct side_address *previous);

/* What lies at an offset of the memory: for the CPU, and for commands. */
void *side_at(const struct side *side, size_t offset);
uint64_t side_va(const struct side *side, size_t offset);
uint64_t *side_word(const struct side *side, unsigned int n);
uint64_t side_word_va(const struct side *side, unsigned int n);
/* How many sends are complete, as the CPU sees it. */
uint64_t side_num_sent(const struct side *side);

/*
 * Prepare the work requests of a round, and the receives for those with which the other
 * side's round tells of its messages. In form 'a' the whole ring of the queue is full of
 * rounds; in form 'b' they lie in staging, and the ring is empty. Then the accelerator
 * submits the first @ahead receives.
 */
int side_prepare(struct side *side, const struct side_round *round,
		 const struct side_round *other, unsigned int ahead);

/* Work request @n of the round that begins at @block of the ring, for the accelerator. */
uint64_t side_wqe_va(const struct side *side, uint32_t block, unsigned int n);

/* The word at @addr grows by @value. */
struct svan_accel_cmd side_increase(uint64_t addr, uint64_t value);

/* Post commands that submit @count work requests, from number @first of the round on. */
void side_post_submit(struct side *side, unsigned int first, unsigned int count);
/* Post a command that waits until all sends of the side are complete. */
void side_post_sent(struct side *side);
/*
 * Post commands that wait for the next message: for its receive, or until the word at
 * @number reaches that at @expected.
 */
void side_post_await(struct side *side, uint64_t number, uint64_t expected);
/* Post commands that submit a receive more, which is number @n of the round. */
void side_post_receive(struct side *side, unsigned int n);
/*
 * Post a loop of what was posted since @first, and an interrupt when all that it has
 * stored is visible, if the side raises one.
 */
void side_post_loop(struct side *side, uint32_t first, uint32_t count);

/* The most entries that one of its queues has. */
unsigned int side_depth(const struct side *side);

#endif /* SVAN_PEER_SIDE_H */
