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
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "side.h"

#define LOG_COMMANDS	6
#define PAST_LAST	(1u << 30)

static const char usage[] =
	"usage: pingpong [--form a|b] [--count N] [--size OCTETS]\n"
	"  --form a   the work request lies in the queue (the default)\n"
	"  --form b   the accelerator copies it from staging into the queue\n"
	"  --count N  messages of each side, 100000\n"
	"  --size N   octets of a message, 16 to 65536, a multiple of 8; 64\n"
	"The sides are svan_0 and svan_1, or svan_0 alone in loopback.\n";

struct options {
	char form;
	unsigned long count;
	unsigned long size;
};

/* Words of the staging page. */
enum { ONE = SIDE_USER, EXPECTED };

static uint64_t number_va(const struct accel_buf *buf, const struct options *options)
{
	return buf->va + options->size - 8;
}

static int prepare(struct side *side, const struct side *peer,
		   const struct options *options)
{
	struct side_write message = { .length = options->size };

	*side_word(side, ONE) = 1;
	*side_word(side, EXPECTED) = 0;
	return side_prepare(side, peer, &message, 1, options->form);
}

/* Number the message, and submit it: the number is also the index of its block. */
static void post_send(struct side *side, const struct options *options)
{
	side_post_submit(side, number_va(&side->out, options), side_word_va(side, ONE), 1,
			 options->form);
}

/* Wait for the message of the next number. */
static void post_receive(struct side *side, const struct options *options)
{
	uint64_t expected = side_word_va(side, EXPECTED);

	accel_post(&side->queue, accel_add(expected, side_word_va(side, ONE)));
	accel_post(&side->queue, accel_wait(number_va(&side->in, options), expected,
					    WAIT_MS * 1000000ull));
}

static void post_ping(struct side *side, const struct options *options)
{
	post_send(side, options);
	post_receive(side, options);
	side_post_loop(side, 0, options->count);
}

static void post_pong(struct side *side, const struct options *options)
{
	post_receive(side, options);
	accel_post(&side->queue, accel_copy(side->out.va, side->in.va,
					    options->size - 8));
	post_send(side, options);
	side_post_loop(side, 0, options->count);
}

static uint64_t pattern(unsigned long i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static int check(const struct side *side, const char *name,
		 const struct options *options)
{
	const uint64_t *seen = (const uint64_t *)side->in.map;
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

static int run(struct side *sides, const struct options *options)
{
	struct side_run run;
	unsigned long i;
	int ret;

	for (i = 0; i < options->size / 8 - 1; i++)
		((uint64_t *)sides[0].out.map)[i] = pattern(i);
	post_ping(&sides[0], options);
	post_pong(&sides[1], options);
	ret = sides_run(sides, WAIT_MS + options->count, &run);
	if (!ret)
		ret = check(&sides[0], "ping", options);
	if (!ret)
		ret = check(&sides[1], "pong", options);
	if (ret)
		return ret;
	printf("form %c, %s: %lu round trips of %lu octets in %llu ms, %.2f us each; the CPU slept %ld time%s\n",
	       options->form, sides_path(), options->count, options->size,
	       (unsigned long long)run.ms, run.ms * 1000.0 / options->count, run.sleeps,
	       run.sleeps == 1 ? "" : "s");
	return 0;
}

static int pingpong(const struct options *options)
{
	static struct side sides[2];
	int ret = sides_open(sides, options->size, LOG_COMMANDS);

	if (!ret)
		ret = prepare(&sides[0], &sides[1], options);
	if (!ret)
		ret = prepare(&sides[1], &sides[0], options);
	if (!ret)
		ret = run(sides, options);
	if (!ret)
		sides_close(sides);	/* else the process ends, and takes all along */
	return ret;
}

static bool parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "form", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'f')
			options->form = optarg[1] ? 0 : optarg[0];
		else if (c == 'c')
			options->count = strtoul(optarg, NULL, 0);
		else if (c == 's')
			options->size = strtoul(optarg, NULL, 0);
		else
			return false;
	}
	return optind == argc && (options->form == 'a' || options->form == 'b') &&
	       options->count > 0 && options->count < PAST_LAST &&
	       options->size >= 16 && options->size <= 65536 && options->size % 8 == 0;
}

int main(int argc, char **argv)
{
	struct options options = { .form = 'a', .count = 100000, .size = 64 };

	if (!parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	return pingpong(&options) ? 1 : 0;
}
