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

#include "side.h"

#define MAX_RANKS	9

static const char usage[] =
	"usage: allreduce [--form a|b] [--count N] [--ranks N] [--size OCTETS]\n"
	"  --form a   the work requests lie in the queue (the default)\n"
	"  --form b   the accelerator copies them from staging into the queue\n"
	"  --count N  rounds, 25000\n"
	"  --ranks N  2 (the default), 3, 5 or 9: a queue holds whole rounds\n"
	"  --size N   octets of a chunk, 8 to 16384, a multiple of 8; 256\n"
	"Ranks are at svan_0 and svan_1 in turn, or at svan_0 alone in loopback.\n";

/* Words of the staging page. */
enum { ONE = SIDE_USER, TWO };

struct rank {
	struct side side;		/* it sends to the next rank */
	struct ep from;			/* what comes from the one before */
};

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

static void post_step(struct side *side, unsigned int rank, unsigned int step,
		      const struct side_options *options)
{
	uint64_t slot = side_va(side, slot_offset(step, options));
	uint64_t chunk = side_va(side, chunk_offset(come_chunk(rank, step, options),
						    options));

	side_post_submit(side, 2 * step, 2, side_word_va(side, TWO), options->form);
	accel_post(&side->queue, accel_wait(slot + options->size,
					    side_va(side, number_offset(options)),
					    WAIT_MS * 1000000ull));
	if (step < options->ranks - 1)
		accel_post(&side->queue, accel_add_words(chunk, slot, options->size / 8));
	else
		accel_post(&side->queue, accel_copy(chunk, slot, options->size));
}

static void post_rounds(struct side *side, unsigned int rank,
			const struct side_options *options)
{
	unsigned int step;

	accel_post(&side->queue, accel_add_words(side_va(side, 0),
						 side_va(side, added_offset(options)),
						 num_words(options)));
	accel_post(&side->queue, accel_add(side_va(side, number_offset(options)),
					   side_word_va(side, ONE)));
	for (step = 0; step < num_steps(options); step++)
		post_step(side, rank, step, options);
	side_post_sent(side);
	side_post_loop(side, 0, options->count);
}

static int prepare(struct rank *ranks, unsigned int rank,
		   const struct side_options *options)
{
	struct side *side = &ranks[rank].side;
	struct side *next = &ranks[(rank + 1) % options->ranks].side;
	struct side_write writes[SIDE_MAX_WRITES];
	uint64_t *vector = side_at(side, 0), *added = side_at(side, added_offset(options));
	unsigned int step;
	unsigned long i;

	for (step = 0; step < num_steps(options); step++) {
		size_t slot = slot_offset(step, options);

		writes[2 * step] = (struct side_write){
			.from = chunk_offset(sent_chunk(rank, step, options), options),
			.to = slot, .length = options->size,
		};
		writes[2 * step + 1] = (struct side_write){
			.from = number_offset(options), .to = slot + options->size,
			.length = 8,
		};
	}
	for (i = 0; i < num_words(options); i++) {
		vector[i] = first_word(rank, i);
		added[i] = added_word(rank, i);
	}
	*side_word(side, ONE) = 1;
	*side_word(side, TWO) = 2;
	post_rounds(side, rank, options);
	return side_prepare(side, next, writes, 2 * num_steps(options), options->form);
}

/* ---- running ---- */

static int open_ranks(struct rank *ranks, const struct side_options *options)
{
	const struct side_size size = {
		.memory = added_offset(options) + number_offset(options),
		.log_commands = 8,
	};
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < options->ranks; i++) {
		ret = side_open(&ranks[i].side, i, &size);
		if (!ret)
			ret = ep_create(&ranks[i].from, &ranks[i].side.node, &ep_defaults);
	}
	for (i = 0; !ret && i < options->ranks; i++)
		ret = connect_eps(&ranks[i].side.ep, &ranks[(i + 1) % options->ranks].from,
				  &conn_defaults);
	return ret;
}

static int check(const struct rank *ranks, const struct side_options *options)
{
	unsigned long i, n;
	unsigned int rank;

	for (i = 0; i < num_words(options); i++) {
		uint64_t value = 0, added = 0;

		for (rank = 0; rank < options->ranks; rank++) {
			value += first_word(rank, i);
			added += added_word(rank, i);
		}
		value += added;
		for (n = 1; n < options->count; n++)
			value = value * options->ranks + added;
		for (rank = 0; rank < options->ranks; rank++) {
			const uint64_t *vector = side_at(&ranks[rank].side, 0);

			if (vector[i] == value)
				continue;
			complain("rank %u: word %lu is 0x%llx instead of 0x%llx", rank, i,
				 (unsigned long long)vector[i],
				 (unsigned long long)value);
			return -EIO;
		}
	}
	return 0;
}

static int allreduce(const struct side_options *options)
{
	static struct rank ranks[MAX_RANKS];
	struct side *sides[MAX_RANKS];
	struct side_run run;
	char what[80];
	unsigned int i;
	int ret = open_ranks(ranks, options);

	for (i = 0; !ret && i < options->ranks; i++) {
		sides[i] = &ranks[i].side;
		ret = prepare(ranks, i, options);
	}
	if (!ret)
		ret = sides_run(sides, options->ranks, WAIT_MS + options->count, &run);
	if (!ret)
		ret = check(ranks, options);
	if (ret)
		return ret;	/* the process ends, and takes everything along */
	snprintf(what, sizeof(what), "all-reduces of %lu ranks, %lu octets",
		 options->ranks, num_words(options) * 8);
	side_report(&run, options->form, options->count, what);
	for (i = 0; i < options->ranks; i++) {
		ep_destroy(&ranks[i].from);
		side_close(&ranks[i].side);
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
	struct side_options options = {
		.form = 'a', .count = 25000, .size = 256, .ranks = 2,
	};

	if (!side_parse(argc, argv, &options) || !usable(&options)) {
		fputs(usage, stderr);
		return 2;
	}
	return allreduce(&options) ? 1 : 0;
}
