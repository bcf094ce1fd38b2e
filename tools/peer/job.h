/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A job: the sides of an example, those that are in this process, and those that are in
 * another one, which runs in another guest. There, the sides of even numbers are in the
 * process that calls, and those of odd numbers in the one that listens.
 *
 * Functions return 0, or a negative errno after they have said on stderr what went wrong.
 */
#ifndef SVAN_PEER_JOB_H
#define SVAN_PEER_JOB_H

#include "side.h"

#define JOB_MAX_SIDES	9

/* An example. */
struct job_kind {
	unsigned int num_sides;
	struct side_size size;
	/* Called for each side that is here. */
	int (*prepare)(struct side *side);
	int (*check)(const struct side *side);
};

struct job {
	const struct job_kind *kind;
	const struct side_options *options;
	int other;			/* socket to the other process; -1: there is none */
	unsigned int first, step;	/* numbers of the sides that are here */
	struct side sides[JOB_MAX_SIDES];
	struct side_address addresses[JOB_MAX_SIDES];
	uint64_t ms;			/* from the doorbell to the interrupt */
	long sleeps;			/* how often the CPU has gone to sleep meanwhile */
	unsigned int depth;		/* of the deepest queue */
};

/*
 * Open the sides, connect and prepare them, start them, the first at last; sleep until the
 * first has interrupted; wait for all, check, close. After an error the sides are left to
 * the end of the process.
 */
int job_do(struct job *job, const struct job_kind *kind, const struct side_options *options);
/* Print what was done, and how often the CPU slept. */
void job_report(const struct job *job, unsigned long rounds, const char *what);

/* What all examples say of the options that they share. */
#define JOB_USAGE \
	"  --form a   the work requests lie in the queue (the default)\n" \
	"  --form b   the accelerator copies them from staging into the queue\n" \
	"  --operation send   messages end with a SEND into a receive queue, which the\n" \
	"             accelerator fills, too (the default)\n" \
	"  --operation write  all is RDMA WRITE, and the last octets are looked at\n"
#define JOB_USAGE_OTHER \
	"  --listen   the sides of odd numbers, for a process in another guest\n" \
	"  --peer A   those of even numbers; the other process listens at this address\n" \
	"  --mark     write to the kernel's trace when the CPU has nothing to do any more,\n" \
	"             and when it is told that all is done\n" \
	"  --cpu-post N  after N sends the CPU posts one of its own: what a trace has to show\n"

/* Read the options; what numbers they may be is the example's. */
bool job_parse(int argc, char **argv, struct side_options *options);

#endif /* SVAN_PEER_JOB_H */
