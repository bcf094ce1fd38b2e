// SPDX-License-Identifier: GPL-2.0-only
/*
 * All-reduce over a ring of ranks, each a queue pair of a NIC and a context of the
 * accelerator.
 *
 * In a round each rank adds a step of its own to a vector; then all vectors are to become
 * the sum of all. A vector has one chunk a rank. In the first half of the steps, a rank
 * sends a chunk to the next rank, and adds what comes to the chunk that it sends next; in
 * the second half, complete chunks go round. Behind each chunk goes the number of the
 * round, for which the next rank waits.
 *
 * A slot for each step of what comes is enough: before a rank can send the same step of
 * the next round, what the one after it has sent has come round the ring. What is sent
 * is changed again when the count of sends says that it has left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "job.h"

static const char usage[] =
	"usage: allreduce [OPTION...]\n"
	JOB_USAGE
	"  --count N  rounds, 25000\n"
	"  --ranks N  2 (the default), 3, 5 or 9: a queue holds whole rounds\n"
	"  --size N   octets of a chunk, 8 to 16384, a multiple of 8; 256\n"
	JOB_USAGE_OTHER
	"Ranks are at svan_0 and svan_1 in turn, or at svan_0 alone in loopback.\n";

static unsigned int num_steps(const struct side_options *options)
{
	return 2 * (options->ranks - 1);
}

/* The memory is: the vector, the number of the round, slots, the step that is added. */
static size_t chunk_offset(unsigned int chunk, const struct side_options *options)
{
	return chunk % options->ranks * options->size;
}

static size_t number_offset(const struct side_options *options)
{
	return options->ranks * options->size;
}

static size_t slot_offset(unsigned int step, const struct side_options *options)
{
	return number_offset(options) + 8 + step * (options->size + 8);
}

static size_t added_offset(const struct side_options *options)
{
	return slot_offset(num_steps(options), options);
}

/* The chunk that a rank sends at a step, and the one that comes to it. */
static unsigned int sent_chunk(unsigned int rank, unsigned int step,
			       const struct side_options *options)
{
	return (rank + num_steps(options) + 2 - step) % options->ranks;
}

static unsigned int come_chunk(unsigned int rank, unsigned int step,
			       const struct side_options *options)
{
	return sent_chunk(rank + options->ranks - 1, step, options);
}

static uint64_t first_word(unsigned int rank, unsigned long i)
{
	return (rank * 0x10001ull + i + 1) * 0x9e3779b97f4a7c15ull;
}

static uint64_t added_word(unsigned int rank, unsigned long i)
{
	return (rank * 0x10001ull + i + 1) * 0xbf58476d1ce4e5b9ull;
}

static unsigned long num_words(const struct side_options *options)
{
	return options->ranks * options->size / 8;
}

/* ---- preparing ---- */

static void post_step(struct side *side, unsigned int step)
{
	const struct side_options *options = side->options;
	uint64_t slot = side_va(side, slot_offset(step, options));
	uint64_t chunk = side_va(side, chunk_offset(come_chunk(side->number, step, options),
						    options));

	side_post_submit(side, 2 * step, 2);
	side_post_await(side, slot + options->size, side_va(side, number_offset(options)));
	if (step < options->ranks - 1)
		accel_post(&side->queue, accel_add_words(chunk, slot, options->size / 8));
	else
		accel_post(&side->queue, accel_copy(chunk, slot, options->size));
	side_post_receive(side, step);
}

static void post_rounds(struct side *side)
{
	const struct side_options *options = side->options;
	uint32_t first = side->queue.posted;
	unsigned int step;

	accel_post(&side->queue, accel_add_words(side_va(side, 0),
						 side_va(side, added_offset(options)),
						 num_words(options)));
	accel_post(&side->queue, side_increase(side_va(side, number_offset(options)), 1));
	for (step = 0; step < num_steps(options); step++)
		post_step(side, step);
	side_post_sent(side);
	side_post_loop(side, first, options->count);
}

/* The slots are at the same places at all ranks. */
static int prepare_requests(struct side *side)
{
	const struct side_options *options = side->options;
	struct side_request requests[SIDE_MAX_SENDS];
	const struct side_round round = { requests, 2 * num_steps(options) };
	unsigned int step;

	for (step = 0; step < num_steps(options); step++) {
		size_t slot = slot_offset(step, options);

		requests[2 * step] = (struct side_request){
			.from = chunk_offset(sent_chunk(side->number, step, options), options),
			.to = slot, .length = options->size,
		};
		requests[2 * step + 1] = (struct side_request){
			.from = number_offset(options), .to = slot + options->size,
			.length = 8, .tells = true,
		};
	}
	return side_prepare(side, &round, &round, num_steps(options));
}

static int prepare(struct side *side)
{
	const struct side_options *options = side->options;
	uint64_t *vector = side_at(side, 0), *added = side_at(side, added_offset(options));
	unsigned long i;
	int ret = prepare_requests(side);

	for (i = 0; i < num_words(options); i++) {
		vector[i] = first_word(side->number, i);
		added[i] = added_word(side->number, i);
	}
	if (!ret)
		post_rounds(side);
	return ret;
}

/* What each rank must have: rounds add to what is there, and multiply it by the ranks. */
static uint64_t expected_word(unsigned long i, const struct side_options *options)
{
	uint64_t value = 0, added = 0;
	unsigned long n;
	unsigned int rank;

	for (rank = 0; rank < options->ranks; rank++) {
		value += first_word(rank, i);
		added += added_word(rank, i);
	}
	value += added;
	for (n = 1; n < options->count; n++)
		value = value * options->ranks + added;
	return value;
}

static int check(const struct side *side)
{
	const uint64_t *vector = side_at(side, 0);
	unsigned long i;

	for (i = 0; i < num_words(side->options); i++) {
		uint64_t value = expected_word(i, side->options);

		if (vector[i] == value)
			continue;
		complain("rank %u: word %lu is 0x%llx instead of 0x%llx", side->number, i,
			 (unsigned long long)vector[i], (unsigned long long)value);
		return -EIO;
	}
	return 0;
}

static bool usable(const struct side_options *options)
{
	return (options->ranks == 2 || options->ranks == 3 || options->ranks == 5 ||
		options->ranks == 9) &&
	       options->size >= 8 && options->size <= 16384 && options->size % 8 == 0;
}

int main(int argc, char **argv)
{
	struct side_options options = { .count = 25000, .size = 256, .ranks = 2 };
	static struct job job;
	struct job_kind kind = {
		.prepare = prepare, .check = check,
		.size = { .log_commands = 8, .ring = true },
	};
	char what[80];

	if (!job_parse(argc, argv, &options) || !usable(&options)) {
		fputs(usage, stderr);
		return 2;
	}
	kind.num_sides = options.ranks;
	kind.size.memory = added_offset(&options) + number_offset(&options);
	if (job_do(&job, &kind, &options))
		return 1;
	snprintf(what, sizeof(what), "all-reduces of %lu ranks, %lu octets",
		 options.ranks, num_words(&options) * 8);
	job_report(&job, options.count, what);
	return 0;
}
