// SPDX-License-Identifier: GPL-2.0-only
/*
 * Producer and consumer: what the accelerator has computed decides how much is sent.
 *
 * The producer adds a step to each word of its data, takes a CRC of them, and PATCHes bits
 * of it into the work request as the length. A second work request writes that length
 * and the number of the message behind the data. The consumer waits for the number, PATCHes
 * the length into its own next command, a CRC of what has come, and writes the result back;
 * then the producer goes on. The CPU sleeps, and computes the same afterwards.
 *
 * Form a: the work requests lie in the queue, and are PATCHed there. Form b: they lie in
 * staging, are PATCHed there, and copied into the queue.
 */
#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <svan/queues.h>

#include "side.h"

#define LOG_COMMANDS	8
#define PAST_LAST	(1u << 30)
#define MIN_LENGTH	8u

static const char usage[] =
	"usage: producer [--form a|b] [--count N] [--size OCTETS]\n"
	"  --form a   the work requests lie in the queue (the default)\n"
	"  --form b   the accelerator copies them from staging into the queue\n"
	"  --count N  messages, 100000; rounded up to what a queue holds\n"
	"  --size N   octets of data, of which the first are sent: a power of two, 32 to\n"
	"             65536; 1024\n"
	"The producer is at svan_0 and the consumer at svan_1, or both at svan_0 in loopback.\n";

struct options {
	char form;
	unsigned long count;
	unsigned long size;
};

/* Words of the staging pages. */
enum { ONE = SIDE_USER, TWO, INDEX, CRC, TOTAL, EXPECTED };

/* Behind the data in both buffers of a message. */
struct header {
	uint64_t length;
	uint64_t number;
};

/* What the consumer answers, at the beginning of the buffers. */
struct answer {
	uint64_t crc;
	uint64_t number;
};

static uint64_t step_offset(const struct options *options)
{
	return options->size + SVAN_WQEBB_SIZE;
}

static uint64_t first_word(unsigned long i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static uint64_t step_word(unsigned long i)
{
	return (i + 1) * 0xbf58476d1ce4e5b9ull;
}

/* ---- commands ---- */

static struct svan_accel_cmd reduce(uint64_t dst, uint64_t by, uint64_t count)
{
	struct svan_accel_cmd cmd = accel_add(dst, by);

	cmd.reduce.count = svan_cpu_to_le64(count);
	return cmd;
}

static struct svan_accel_cmd checksum(uint64_t dst, uint64_t src, uint64_t length)
{
	struct svan_accel_cmd cmd = { .opcode = SVAN_ACCEL_CHECKSUM };

	cmd.checksum = (struct svan_accel_checksum){
		.src = svan_cpu_to_le64(src), .length = svan_cpu_to_le64(length),
		.dst = svan_cpu_to_le64(dst),
	};
	return cmd;
}

/* Bits of the eight octets at @src replace those of the field. */
static struct svan_accel_cmd patch(uint64_t dst, unsigned int width, uint64_t src,
				   uint64_t mask)
{
	struct svan_accel_cmd cmd = { .opcode = SVAN_ACCEL_PATCH, .width = width };

	cmd.patch = (struct svan_accel_patch){
		.dst = svan_cpu_to_le64(dst), .src = svan_cpu_to_le64(src),
		.mask = svan_cpu_to_le64(mask), .src_width = 8,
	};
	return cmd;
}

/* Lengths are odd multiples of MIN_LENGTH, which is in the field from the beginning. */
static uint64_t length_mask(const struct options *options)
{
	return (options->size - 1) & ~(uint64_t)(2 * MIN_LENGTH - 1);
}

static void post_message(struct side *side, uint32_t block, const struct options *options)
{
	uint64_t data = side->out.va, crc = side_word_va(side, CRC);
	uint64_t length = data + options->size + offsetof(struct header, length);
	uint64_t number = data + options->size + offsetof(struct header, number);
	uint64_t wqe = side_wqe_va(side, block, 0, options->form);

	accel_post(&side->queue, reduce(data, side->in.va + step_offset(options),
					options->size / 8));
	accel_post(&side->queue, checksum(crc, data, options->size));
	accel_post(&side->queue, patch(length, 8, crc, length_mask(options)));
	accel_post(&side->queue,
		   patch(wqe + offsetof(struct svan_wqe_head, sge[0].length), 4, length,
			 UINT32_MAX));
	accel_post(&side->queue, accel_add(number, side_word_va(side, ONE)));
	side_post_submit(side, side_word_va(side, INDEX), side_word_va(side, TWO), 2,
			 options->form);
	accel_post(&side->queue, accel_add(side_word_va(side, TOTAL), length));
	accel_post(&side->queue, accel_wait(side->in.va + offsetof(struct answer, number),
					    number, WAIT_MS * 1000000ull));
}

static void post_consumer(struct side *side, const struct options *options)
{
	uint64_t header = side->in.va + options->size;
	uint64_t expected = side_word_va(side, EXPECTED);
	uint64_t checksum_cmd;

	accel_post(&side->queue, accel_add(expected, side_word_va(side, ONE)));
	accel_post(&side->queue, accel_wait(header + offsetof(struct header, number),
					    expected, WAIT_MS * 1000000ull));
	/* The command after the next one; the fence keeps it from being read too early. */
	checksum_cmd = side->queue.memory.va +
		       (side->queue.posted + 2) * sizeof(struct svan_accel_cmd);
	accel_post(&side->queue,
		   patch(checksum_cmd + offsetof(struct svan_accel_cmd, checksum.length), 8,
			 header + offsetof(struct header, length), UINT64_MAX));
	accel_post(&side->queue, accel_fence());
	accel_post(&side->queue, checksum(side->out.va, side->in.va, 0));
	accel_post(&side->queue, accel_add(side_word_va(side, TOTAL), side->out.va));
	side_post_submit(side, side->out.va + offsetof(struct answer, number),
			 side_word_va(side, ONE), 1, options->form);
	side_post_loop(side, 0, options->count);
}

static int prepare(struct side *sides, struct options *options)
{
	struct side *producer = &sides[0], *consumer = &sides[1];
	struct side_write message[2] = {
		{ .length = MIN_LENGTH },
		{ .from = options->size, .to = options->size,
		  .length = sizeof(struct header) },
	};
	struct side_write answer = { .length = sizeof(struct answer) };
	uint32_t messages = (1u << producer->queues.log_sq_blocks) / 2, i;
	int ret = side_prepare(producer, consumer, message, 2, options->form);

	if (!ret)
		ret = side_prepare(consumer, producer, &answer, 1, options->form);
	if (ret)
		return ret;
	*side_word(producer, ONE) = 1;
	*side_word(producer, TWO) = 2;
	*side_word(consumer, ONE) = 1;
	for (i = 0; i < options->size / 8; i++) {
		((uint64_t *)producer->out.map)[i] = first_word(i);
		((uint64_t *)(producer->in.map + step_offset(options)))[i] = step_word(i);
	}
	((struct header *)(producer->out.map + options->size))->length = MIN_LENGTH;

	/* Each pass of the loop goes once through the queue, whose places are known so. */
	for (i = 0; i < messages; i++)
		post_message(producer, 2 * i, options);
	options->count = (options->count + messages - 1) / messages * messages;
	side_post_loop(producer, 0, options->count / messages);
	post_consumer(consumer, options);
	return 0;
}

/* ---- the CPU computes the same ---- */

struct result {
	uint64_t octets;		/* sent */
	uint64_t crcs;			/* sum of those of what has come */
	uint64_t last;			/* octets of the last message */
	uint64_t *data;
};

static uint32_t crc32c(const void *data, size_t length)
{
	static uint32_t table[256];
	const uint8_t *octet = data;
	uint32_t crc = UINT32_MAX;
	unsigned int i, bit;

	for (i = 0; !table[255] && i < 256; i++) {
		table[i] = i;
		for (bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78 : 0);
	}
	while (length--)
		crc = table[(crc ^ *octet++) & 0xff] ^ crc >> 8;
	return ~crc;
}

static int compute(struct result *result, const struct options *options)
{
	unsigned long words = options->size / 8, n, i;

	*result = (struct result){ .data = calloc(words, 8) };
	if (!result->data)
		return -ENOMEM;
	for (i = 0; i < words; i++)
		result->data[i] = first_word(i);
	for (n = 0; n < options->count; n++) {
		for (i = 0; i < words; i++)
			result->data[i] += step_word(i);
		result->last = MIN_LENGTH | (crc32c(result->data, options->size) &
					     length_mask(options));
		result->octets += result->last;
		result->crcs += crc32c(result->data, result->last);
	}
	return 0;
}

static int differs(const char *what, uint64_t seen, uint64_t expected)
{
	if (seen == expected)
		return 0;
	complain("%s: 0x%llx instead of 0x%llx", what, (unsigned long long)seen,
		 (unsigned long long)expected);
	return -EIO;
}

static int check(const struct side *sides, const struct options *options,
		 struct result *result)
{
	const uint64_t *seen = (const uint64_t *)sides[1].in.map;
	const struct header *header = (const void *)(sides[1].in.map + options->size);
	unsigned long i;
	int ret = compute(result, options);

	if (!ret)
		ret = differs("number of the last message", header->number, options->count);
	if (!ret)
		ret = differs("octets sent", *side_word(&sides[0], TOTAL), result->octets);
	if (!ret)
		ret = differs("sum of the CRCs", *side_word(&sides[1], TOTAL), result->crcs);
	for (i = 0; !ret && i < result->last / 8; i++)
		ret = differs("last data", seen[i], result->data[i]);
	free(result->data);
	return ret;
}

static int run(struct options *options)
{
	static struct side sides[2];
	struct result result;
	struct side_run run;
	int ret = sides_open(sides, step_offset(options) + options->size, LOG_COMMANDS);

	if (!ret)
		ret = prepare(sides, options);
	if (!ret)
		ret = sides_run(sides, WAIT_MS + options->count, &run);
	if (!ret)
		ret = check(sides, options, &result);
	if (ret)
		return ret;	/* the process ends, and takes everything along */
	printf("form %c, %s: %lu messages of %llu octets on average in %llu ms, %.2f us each; the CPU slept %ld time%s\n",
	       options->form, sides_path(), options->count,
	       (unsigned long long)(result.octets / options->count),
	       (unsigned long long)run.ms, run.ms * 1000.0 / options->count, run.sleeps,
	       run.sleeps == 1 ? "" : "s");
	sides_close(sides);
	return 0;
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
	       options->size >= 32 && options->size <= 65536 &&
	       !(options->size & (options->size - 1));
}

int main(int argc, char **argv)
{
	struct options options = { .form = 'a', .count = 100000, .size = 1024 };

	if (!parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	return run(&options) ? 1 : 0;
}
