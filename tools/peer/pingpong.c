// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ping-pong between two sides, each a queue pair of a NIC and a context of the
 * accelerator, while the CPU sleeps: it prepares one work request and a loop of commands
 * for each side, wakes the accelerator, and is woken when the last message has come.
 *
 * A message lies in the accelerator's memory, and is written by RDMA into that of the
 * other side. Its last octets are the number of the message; the other side waits for
 * it, copies what has come into its own message, and sends that back.
 *
 * Form a: the ring of the send queue is full of the work request, and the accelerator
 * only rings. Form b: the ring is empty; the accelerator copies the work request from
 * staging into the next block, and rings.
 */
#include <errno.h>
#include <stdio.h>

#include "side.h"

static const char usage[] =
	"usage: pingpong [--form a|b] [--count N] [--size OCTETS]\n"
	"  --form a   the work request lies in the queue (the default)\n"
	"  --form b   the accelerator copies it from staging into the queue\n"
	"  --count N  messages of each side, 100000\n"
	"  --size N   octets of a message, 16 to 65536, a multiple of 8; 64\n"
	"The sides are svan_0 and svan_1, or svan_0 alone in loopback.\n";

/* Words of the staging page. */
enum { ONE = SIDE_USER, EXPECTED };

/* What is sent lies at the beginning of the memory, what comes behind it. */
static size_t in_offset(const struct side_options *options)
{
	return (options->size + ACCEL_PAGE - 1) / ACCEL_PAGE * ACCEL_PAGE;
}

static int prepare(struct side *side, const struct side *peer,
		   const struct side_options *options)
{
	struct side_write message = {
		.to = in_offset(options), .length = options->size,
	};

	*side_word(side, ONE) = 1;
	*side_word(side, EXPECTED) = 0;
	return side_prepare(side, peer, &message, 1, options->form);
}

/* Number the message, and submit it. */
static void post_send(struct side *side, const struct side_options *options)
{
	uint64_t one = side_word_va(side, ONE);

	accel_post(&side->queue, accel_add(side_va(side, options->size - 8), one));
	side_post_submit(side, 0, 1, one, options->form);
}

/* Wait for the message of the next number. */
static void post_receive(struct side *side, const struct side_options *options)
{
	uint64_t number = side_va(side, in_offset(options) + options->size - 8);
	uint64_t expected = side_word_va(side, EXPECTED);

	accel_post(&side->queue, accel_add(expected, side_word_va(side, ONE)));
	accel_post(&side->queue, accel_wait(number, expected, WAIT_MS * 1000000ull));
}

static void post_ping(struct side *side, const struct side_options *options)
{
	post_send(side, options);
	post_receive(side, options);
	side_post_loop(side, 0, options->count);
}

static void post_pong(struct side *side, const struct side_options *options)
{
	post_receive(side, options);
	accel_post(&side->queue, accel_copy(side_va(side, 0),
					    side_va(side, in_offset(options)),
					    options->size - 8));
	post_send(side, options);
	side_post_loop(side, 0, options->count);
}

static uint64_t pattern(unsigned long i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static int check(const struct side *side, const char *name,
		 const struct side_options *options)
{
	const uint64_t *seen = side_at(side, in_offset(options));
	unsigned long i, last = options->size / 8 - 1;

	for (i = 0; i < last; i++) {
		if (seen[i] != pattern(i)) {
			complain("%s: word %lu is 0x%llx instead of 0x%llx", name, i,
				 (unsigned long long)seen[i],
				 (unsigned long long)pattern(i));
			return -EIO;
		}
	}
	if (seen[last] != options->count) {
		complain("%s: the last message is number %llu instead of %lu", name,
			 (unsigned long long)seen[last], options->count);
		return -EIO;
	}
	return 0;
}

static int run(struct side *sides, const struct side_options *options)
{
	struct side *const both[] = { &sides[0], &sides[1] };
	struct side_run run;
	unsigned long i;
	char what[64];
	int ret;

	for (i = 0; i < options->size / 8 - 1; i++)
		((uint64_t *)side_at(&sides[0], 0))[i] = pattern(i);
	post_ping(&sides[0], options);
	post_pong(&sides[1], options);
	ret = sides_run(both, 2, WAIT_MS + options->count, &run);
	if (!ret)
		ret = check(&sides[0], "ping", options);
	if (!ret)
		ret = check(&sides[1], "pong", options);
	if (ret)
		return ret;
	snprintf(what, sizeof(what), "round trips of %lu octets", options->size);
	side_report(&run, options->form, options->count, what);
	return 0;
}

static int pingpong(const struct side_options *options)
{
	const struct side_size size = {
		.memory = in_offset(options) + options->size, .log_commands = 6,
	};
	static struct side sides[2];
	int ret = sides_open(sides, &size);

	if (!ret)
		ret = prepare(&sides[0], &sides[1], options);
	if (!ret)
		ret = prepare(&sides[1], &sides[0], options);
	if (!ret)
		ret = run(sides, options);
	if (ret)
		return ret;	/* the process ends, and takes everything along */
	side_close(&sides[1]);
	side_close(&sides[0]);
	return 0;
}

int main(int argc, char **argv)
{
	struct side_options options = { .form = 'a', .count = 100000, .size = 64 };

	if (!side_parse(argc, argv, &options) || options.size < 16 ||
	    options.size > 65536 || options.size % 8) {
		fputs(usage, stderr);
		return 2;
	}
	return pingpong(&options) ? 1 : 0;
}
