// SPDX-License-Identifier: GPL-2.0-only
/*
 * Producer and consumer: what the accelerator has computed decides how much is sent.
 *
 * The producer adds a step to each word of its data, takes a CRC of them, and PATCHes bits
 * of it into the work request as the length. A second work request tells that length and
 * the number of the message, which come behind the data. The consumer waits for it, PATCHes
 * the length into its own next command, a CRC of what has come, and sends the result back;
 * then the producer goes on. The CPU sleeps, and computes the same afterwards.
 *
 * Form a: the work requests lie in the queue, and are PATCHed there. Form b: they lie in
 * staging, are PATCHed there, and copied into the queue.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <svan/queues.h>

#include "job.h"

#define LOG_COMMANDS	10
#define MIN_LENGTH	8u

static const char usage[] =
	"usage: producer [OPTION...]\n"
	JOB_USAGE
	"  --count N  messages, 100000; rounded up to what a queue holds\n"
	"  --size N   octets of data, of which the first are sent: a power of two, 32 to\n"
	"             65536; 1024\n"
	JOB_USAGE_OTHER
	"The producer is at svan_0 and the consumer at svan_1, or both at svan_0 in loopback.\n";

/* Words of the staging page. */
enum { CRC = SIDE_USER, TOTAL, EXPECTED };

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

static void post_message(struct side *side, uint32_t block)
{
	const struct side_options *options = side->options;
	uint64_t data = side_va(side, 0), crc = side_word_va(side, CRC);
	uint64_t length = data + options->size + offsetof(struct header, length);
	uint64_t number = data + options->size + offsetof(struct header, number);
	uint64_t answer = side_va(side, answer_offset(options));
	uint64_t wqe = side_wqe_va(side, block, 0);

	side_post_sent(side);
	accel_post(&side->queue, accel_add_words(data, side_va(side, step_offset(options)),
						 options->size / 8));
	accel_post(&side->queue, checksum(crc, data, options->size));
	accel_post(&side->queue, patch(length, 8, crc, length_mask(options)));
	accel_post(&side->queue,
		   patch(wqe + offsetof(struct svan_wqe_head, sge[0].length), 4, length,
			 UINT32_MAX));
	accel_post(&side->queue, side_increase(number, 1));
	side_post_submit(side, 0, 2);
	accel_post(&side->queue, accel_add(side_word_va(side, TOTAL), length));
	side_post_await(side, answer + offsetof(struct answer, number), number);
	side_post_receive(side, 0);
}

static void post_answer(struct side *side)
{
	const struct side_options *options = side->options;
	uint64_t header = side_va(side, options->size);
	uint64_t answer = side_va(side, answer_offset(options));
	uint64_t expected = side_word_va(side, EXPECTED), checksum_cmd;

	accel_post(&side->queue, side_increase(expected, 1));
	side_post_await(side, header + offsetof(struct header, number), expected);
	side_post_sent(side);
	/* The command after the next one; the fence keeps it from being read too early. */
	checksum_cmd = side->queue.memory.va +
		       (side->queue.posted + 2) * sizeof(struct svan_accel_cmd);
	accel_post(&side->queue,
		   patch(checksum_cmd + offsetof(struct svan_accel_cmd, checksum.length), 8,
			 header + offsetof(struct header, length), UINT64_MAX));
	accel_post(&side->queue, accel_fence());
	accel_post(&side->queue, checksum(answer, side_va(side, 0), 0));
	accel_post(&side->queue, accel_add(side_word_va(side, TOTAL), answer));
	accel_post(&side->queue,
		   side_increase(answer + offsetof(struct answer, number), 1));
	side_post_receive(side, 0);
	side_post_submit(side, 0, 1);
}

/* Messages that the send queue holds: each pass of the producer's loop goes through it. */
static uint32_t pass(const struct side *side)
{
	return (1u << side->out.queues.log_sq_blocks) / 2;
}

static unsigned long num_messages(const struct side *side)
{
	return (side->options->count + pass(side) - 1) / pass(side) * pass(side);
}

static void post_producer(struct side *side)
{
	const struct side_options *options = side->options;
	uint64_t *data = side_at(side, 0), *step = side_at(side, step_offset(options));
	struct header *header = side_at(side, options->size);
	uint32_t first = side->queue.posted, i;

	for (i = 0; i < options->size / 8; i++) {
		data[i] = first_word(i);
		step[i] = step_word(i);
	}
	header->length = MIN_LENGTH;
	for (i = 0; i < pass(side); i++)
		post_message(side, 2 * i);
	side_post_loop(side, first, num_messages(side) / pass(side));
}

static void post_consumer(struct side *side)
{
	uint32_t first = side->queue.posted;

	post_answer(side);
	side_post_loop(side, first, num_messages(side));
}

static int prepare(struct side *side)
{
	const struct side_options *options = side->options;
	const struct side_request requests[] = {
		{ .length = MIN_LENGTH },
		{ .from = options->size, .to = options->size,
		  .length = sizeof(struct header), .tells = true },
		{ .from = answer_offset(options), .to = answer_offset(options),
		  .length = sizeof(struct answer), .tells = true },
	};
	const struct side_round message = { requests, 2 }, answer = { requests + 2, 1 };
	bool producer = !side->number;
	int ret = side_prepare(side, producer ? &message : &answer,
			       producer ? &answer : &message, 1);

	if (ret)
		return ret;
	if (producer)
		post_producer(side);
	else
		post_consumer(side);
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

/* Once, for all sides. */
static const struct result *compute(const struct side *side)
{
	unsigned long words = side->options->size / 8, n, i;
	static struct result result;

	if (result.data)
		return &result;
	result.data = calloc(words, 8);
	for (i = 0; result.data && i < words; i++)
		result.data[i] = first_word(i);
	for (n = 0; result.data && n < num_messages(side); n++) {
		for (i = 0; i < words; i++)
			result.data[i] += step_word(i);
		result.last = MIN_LENGTH | (crc32c(result.data, side->options->size) &
					    length_mask(side->options));
		result.octets += result.last;
		result.crcs += crc32c(result.data, result.last);
	}
	return result.data ? &result : NULL;
}

static int differs(const char *what, uint64_t seen, uint64_t expected)
{
	if (seen == expected)
		return 0;
	complain("%s: 0x%llx instead of 0x%llx", what, (unsigned long long)seen,
		 (unsigned long long)expected);
	return -EIO;
}

static int check(const struct side *side)
{
	const struct result *result = compute(side);
	const uint64_t *seen = side_at(side, 0);
	const struct header *header = side_at(side, side->options->size);
	uint64_t total = *side_word(side, TOTAL);
	unsigned long i;
	int ret;

	if (!result)
		return -ENOMEM;
	ret = differs("number of the last message", header->number, num_messages(side));
	if (ret)
		return ret;
	if (!side->number)
		return differs("octets sent", total, result->octets);
	ret = differs("sum of the CRCs", total, result->crcs);
	for (i = 0; !ret && i < result->last / 8; i++)
		ret = differs("last data", seen[i], result->data[i]);
	return ret;
}

int main(int argc, char **argv)
{
	struct side_options options = { .count = 100000, .size = 1024 };
	static struct job job;
	struct job_kind kind = {
		.num_sides = 2, .prepare = prepare, .check = check,
		.size.log_commands = LOG_COMMANDS,
	};
	char what[64];

	if (!job_parse(argc, argv, &options) || options.size < 32 ||
	    options.size > 65536 || options.size & (options.size - 1)) {
		fputs(usage, stderr);
		return 2;
	}
	kind.size.memory = step_offset(&options) + options.size;
	if (job_do(&job, &kind, &options))
		return 1;
	snprintf(what, sizeof(what), "messages from up to %lu octets", options.size);
	job_report(&job, options.count, what);
	return 0;
}
