// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ping-pong between two sides, each a queue pair of a NIC and a context of the
 * accelerator, while the CPU sleeps: it prepares one work request and a loop of commands
 * for each side, wakes the accelerator, and is woken when the last message has come.
 *
 * A message lies in the accelerator's memory, and goes into that of the other side. Its
 * last octets are the number of the message. The other side waits for it, copies what has
 * come into its own message, and sends that back. A side that SENDs submits a receive for
 * the answer before.
 *
 * Form a: the rings of the queues are full of work requests, and the accelerator only
 * rings. Form b: the rings are empty; the accelerator copies a work request from staging
 * into the next block, and rings.
 */
#include <errno.h>
#include <stdio.h>

#include "job.h"

static const char usage[] =
	"usage: pingpong [OPTION...]\n"
	JOB_USAGE
	"  --count N  messages of each side, 100000\n"
	"  --size N   octets of a message, 16 to 65536, a multiple of 8; 64\n"
	JOB_USAGE_OTHER
	"The sides are svan_0 and svan_1, or svan_0 alone in loopback.\n";

/* A word of the staging page. */
enum { EXPECTED = SIDE_USER };

/* What is sent lies at the beginning of the memory, what comes behind it. */
static size_t in_offset(const struct side_options *options)
{
	return (options->size + ACCEL_PAGE - 1) / ACCEL_PAGE * ACCEL_PAGE;
}

/*
 * Number the message, and submit it. The one before has been answered, but it has its block
 * of the send queue until its ACK comes.
 */
static void post_send(struct side *side)
{
	side_post_sent(side);
	accel_post(&side->queue, side_increase(side_va(side, side->options->size - 8), 1));
	side_post_submit(side, 0, 1);
}

/* Wait for the message of the next number. */
static void post_await(struct side *side)
{
	const struct side_options *options = side->options;
	uint64_t expected = side_word_va(side, EXPECTED);

	accel_post(&side->queue, side_increase(expected, 1));
	side_post_await(side, side_va(side, in_offset(options) + options->size - 8),
			expected);
	side_post_receive(side, 0);
}

static void post_answer(struct side *side)
{
	const struct side_options *options = side->options;

	accel_post(&side->queue,
		   accel_copy(side_va(side, 0), side_va(side, in_offset(options)),
			      options->size - 8));
}

static uint64_t pattern(unsigned long i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static int prepare(struct side *side)
{
	const struct side_options *options = side->options;
	const struct side_request message = {
		.to = in_offset(options), .length = options->size, .tells = true,
	};
	const struct side_round round = { &message, 1 };
	uint64_t *data = side_at(side, 0);
	int ret = side_prepare(side, &round, &round, 1);
	uint32_t first = side->queue.posted;
	unsigned long i;

	if (ret)
		return ret;
	if (side->number == 0) {
		for (i = 0; i < options->size / 8 - 1; i++)
			data[i] = pattern(i);
		post_send(side);
		post_await(side);
	} else {
		post_await(side);
		post_answer(side);
		post_send(side);
	}
	side_post_loop(side, first, options->count);
	return 0;
}

static int check(const struct side *side)
{
	const struct side_options *options = side->options;
	const uint64_t *seen = side_at(side, in_offset(options));
	unsigned long i, last = options->size / 8 - 1;

	for (i = 0; i < last; i++) {
		if (seen[i] != pattern(i)) {
			complain("side %u: word %lu is 0x%llx instead of 0x%llx", side->number, i,
				 (unsigned long long)seen[i],
				 (unsigned long long)pattern(i));
			return -EIO;
		}
	}
	if (seen[last] != options->count) {
		complain("side %u: the last message is number %llu instead of %lu", side->number,
			 (unsigned long long)seen[last], options->count);
		return -EIO;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct side_options options = { .count = 100000, .size = 64 };
	static struct job job;
	struct job_kind kind = {
		.num_sides = 2, .prepare = prepare, .check = check,
		.size.log_commands = 6,
	};
	char what[64];

	if (!job_parse(argc, argv, &options) || options.size < 16 ||
	    options.size > 65536 || options.size % 8) {
		fputs(usage, stderr);
		return 2;
	}
	kind.size.memory = in_offset(&options) + options.size;
	if (job_do(&job, &kind, &options))
		return 1;
	snprintf(what, sizeof(what), "round trips of %lu octets", options.size);
	job_report(&job, options.count, what);
	return 0;
}
