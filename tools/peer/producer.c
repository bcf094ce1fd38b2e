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
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <svan/queues.h>

#include "side.h"

#define LOG_COMMANDS	10
#define MIN_LENGTH	8u

static const char usage[] =
	"usage: producer [--form a|b] [--count N] [--size OCTETS]\n"
	"  --form a   the work requests lie in the queue (the default)\n"
	"  --form b   the accelerator copies them from staging into the queue\n"
	"  --count N  messages, 100000; rounded up to what a queue holds\n"
	"  --size N   octets of data, of which the first are sent: a power of two, 32 to\n"
	"             65536; 1024\n"
	"The producer is at svan_0 and the consumer at svan_1, or both at svan_0 in loopback.\n";

/* Words of the staging page. */
enum { ONE = SIDE_USER, TWO, CRC, TOTAL, EXPECTED };

/* Behind the data of both sides. */
struct header {
	uint64_t length;
	uint64_t number;
};

/* What the consumer answers, behind the header of both sides. */
struct answer {
	uint64_t crc;
	uint64_t number;
};

static size_t answer_offset(const struct side_options *options)
{
	return options->size + sizeof(struct header);
}

static size_t step_offset(const struct side_options *options)
{
	return answer_offset(options) + sizeof(struct answer);
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
static uint64_t length_mask(const struct side_options *options)
{
	return (options->size - 1) & ~(uint64_t)(2 * MIN_LENGTH - 1);
}

static void post_message(struct side *side, uint32_t block,
			 const struct side_options *options)
{
	uint64_t data = side_va(side, 0), crc = side_word_va(side, CRC);
	uint64_t length = data + options->size + offsetof(struct header, length);
	uint64_t number = data + options->size + offsetof(struct header, number);
	uint64_t answer = side_va(side, answer_offset(options));
	uint64_t wqe = side_wqe_va(side, block, 0, options->form);

	accel_post(&side->queue, accel_add_words(data, side_va(side, step_offset(options)),
						 options->size / 8));
	accel_post(&side->queue, checksum(crc, data, options->size));
	accel_post(&side->queue, patch(length, 8, crc, length_mask(options)));
	accel_post(&side->queue,
		   patch(wqe + offsetof(struct svan_wqe_head, sge[0].length), 4, length,
			 UINT32_MAX));
	accel_post(&side->queue, accel_add(number, side_word_va(side, ONE)));
	side_post_submit(side, 0, 2, side_word_va(side, TWO), options->form);
	accel_post(&side->queue, accel_add(side_word_va(side, TOTAL), length));
	accel_post(&side->queue, accel_wait(answer + offsetof(struct answer, number),
					    number, WAIT_MS * 1000000ull));
}

static void post_consumer(struct side *side, const struct side_options *options)
{
	uint64_t header = side_va(side, options->size);
	uint64_t answer = side_va(side, answer_offset(options));
	uint64_t expected = side_word_va(side, EXPECTED), one = side_word_va(side, ONE);
	uint64_t checksum_cmd;

	accel_post(&side->queue, accel_add(expected, one));
	accel_post(&side->queue, accel_wait(header + offsetof(struct header, number),
					    expected, WAIT_MS * 1000000ull));
	/* The command after the next one; the fence keeps it from being read too early. */
	checksum_cmd = side->queue.memory.va +
		       (side->queue.posted + 2) * sizeof(struct svan_accel_cmd);
	accel_post(&side->queue,
		   patch(checksum_cmd + offsetof(struct svan_accel_cmd, checksum.length), 8,
			 header + offsetof(struct header, length), UINT64_MAX));
	accel_post(&side->queue, accel_fence());
	accel_post(&side->queue, checksum(answer, side_va(side, 0), 0));
	accel_post(&side->queue, accel_add(side_word_va(side, TOTAL), answer));
	accel_post(&side->queue, accel_add(answer + offsetof(struct answer, number), one));
	side_post_submit(side, 0, 1, one, options->form);
	side_post_loop(side, 0, options->count);
}

static int prepare(struct side *sides, struct side_options *options)
{
	struct side *producer = &sides[0], *consumer = &sides[1];
	struct side_write message[2] = {
		{ .length = MIN_LENGTH },
		{ .from = options->size, .to = options->size,
		  .length = sizeof(struct header) },
	};
	struct side_write answer = {
		.from = answer_offset(options), .to = answer_offset(options),
		.length = sizeof(struct answer),
	};
	uint64_t *data = side_at(producer, 0), *step = side_at(producer, step_offset(options));
	struct header *header = side_at(producer, options->size);
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
		data[i] = first_word(i);
		step[i] = step_word(i);
	}
	header->length = MIN_LENGTH;

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

static int compute(struct result *result, const struct side_options *options)
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

static int check(const struct side *sides, const struct side_options *options,
		 struct result *result)
{
	const uint64_t *seen = side_at(&sides[1], 0);
	const struct header *header = side_at(&sides[1], options->size);
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

static int run(struct side_options *options)
{
	const struct side_size size = {
		.memory = step_offset(options) + options->size,
		.log_commands = LOG_COMMANDS,
	};
	static struct side sides[2];
	struct side *const both[] = { &sides[0], &sides[1] };
	struct result result;
	struct side_run run;
	char what[64];
	int ret = sides_open(sides, &size);

	if (!ret)
		ret = prepare(sides, options);
	if (!ret)
		ret = sides_run(both, 2, WAIT_MS + options->count, &run);
	if (!ret)
		ret = check(sides, options, &result);
	if (ret)
		return ret;	/* the process ends, and takes everything along */
	snprintf(what, sizeof(what), "messages of %llu octets on average",
		 (unsigned long long)(result.octets / options->count));
	side_report(&run, options->form, options->count, what);
	side_close(&sides[1]);
	side_close(&sides[0]);
	return 0;
}

int main(int argc, char **argv)
{
	struct side_options options = { .form = 'a', .count = 100000, .size = 1024 };

	if (!side_parse(argc, argv, &options) || options.size < 32 ||
	    options.size > 65536 || options.size & (options.size - 1)) {
		fputs(usage, stderr);
		return 2;
	}
	return run(&options) ? 1 : 0;
}
