/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of triggered work share: a pair of queue pairs of which the accelerator
 * rings the first, memory of the accelerator that it sends from, and a loop of sends.
 *
 * Functions return 0, or a negative errno after having said on stderr what went wrong.
 */
#ifndef SVAN_SELFTEST_TRIGGER_LIB_H
#define SVAN_SELFTEST_TRIGGER_LIB_H

#include <infiniband/svandv.h>

#include "accel-lib.h"

#define TRIGGER_SIZE	65536u
#define TRIGGER_IOVA	0x100000ull	/* of the accelerator's memory, for the NIC */
#define TRIGGER_WAIT_NS	(WAIT_MS * 1000000ull)

/* Words of the staging buffer. */
enum trigger_word { DOORBELL, QPN, ONE, STATUS, WQE = 8 };

struct triggered {
	struct pair pair;		/* ep[0] is rung by the accelerator */
	struct ep back[2];		/* of the same nodes; [1] writes back, [0] does nothing */
	struct svandv_uar *uar;		/* of ep[0] */
	struct svandv_queues queues;
	struct svandv_comp_cntr *sent;	/* by ep[0] */
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf local;		/* what is sent; of the accelerator */
	struct accel_buf staging;	/* of the host */
	struct ibv_mr *mr;		/* of local */
	uint64_t window;		/* addresses in the context */
	uint64_t sq;
	uint64_t in;			/* of in[1], where it comes to */
	uint64_t num_sent;		/* of the count of successes of sent */
};

/* In loopback, or to the peer device. */
int triggered_open(struct triggered *t, bool wire);
/* -EIO if the devices do not work any more. */
int triggered_close(struct triggered *t);

uint64_t word_va(const struct triggered *t, enum trigger_word word);
uint64_t *word_at(const struct triggered *t, enum trigger_word word);

/* An RDMA WRITE from the beginning of local to that of in[1], with the wr_id 7. */
int triggered_prepare(struct triggered *t, uint32_t length, unsigned int flags,
		      struct svandv_trigger *trigger);
/* Post the store that submits it. */
void triggered_post_ring(struct triggered *t, const struct svandv_trigger *trigger);
/*
 * Post the commands that send a count, which grows by one, and wait until it has come
 * over and is acknowledged, that many times: form 'a', where all blocks of the send queue
 * hold the work request, or 'b', where it is copied there. Each wait has the limit limit_ns.
 * The queue pair has sent nothing yet.
 */
int triggered_post_loop(struct triggered *t, char form, uint32_t rounds, uint64_t limit_ns);

/*
 * back[1] writes into local, behind the first page; status of the completion, or -errno.
 * The connection has no triggered work, whose end would be this one's, too.
 */
int triggered_write_back(struct triggered *t, unsigned int ms);

enum triggered_end {
	NIC_GOES,		/* the device of ep[0], or its driver */
	ACCEL_GOES,
	ACCEL_RESETS,
	ALL_RESET,		/* both devices: a sleep of the system */
};

/*
 * Work in both directions, say so on fd, and go on until that happens; then all must have
 * ended as it should, in bounded time.
 */
int triggered_outlive(struct triggered *t, char form, enum triggered_end end, int fd);

/* The accelerator's memory as memory of the NIC. */
struct ibv_mr *triggered_reg(struct accel_buf *buf, struct ibv_pd *pd, uint64_t iova);

#endif /* SVAN_SELFTEST_TRIGGER_LIB_H */
