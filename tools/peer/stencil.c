// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stencil of two dimensions on a grid that two sides share, with an exchange of halos.
 *
 * In a round each cell becomes the sum of itself and its four neighbours, modulo 2^32. Rows
 * lie one behind the other, and the neighbour of a row's last cell is the first one of the
 * next row (helical boundaries), so that a shift of the whole grid brings all neighbours.
 * The upper half of the rows is side 0's, the lower half side 1's. Each half has a halo
 * of one row above it and one below; the two between the halves hold the other side's
 * edge, and the outer ones keep what they have.
 *
 * There are two grids, of which each round reads one and writes the other. A round ends
 * when the edge of the other side has come, with its number behind it; the other side's
 * edge needed ours of the round before, so an edge has left before it is written again, and
 * the other side is one round ahead at most.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "job.h"

#define CELL	sizeof(uint32_t)
#define WIDTH	64u

static const char usage[] =
	"usage: stencil [OPTION...]\n"
	JOB_USAGE
	"  --count N  rounds, an even number, 50000\n"
	"  --size N   rows of each side, 2 to 1024; 16\n"
	JOB_USAGE_OTHER
	"The sides are svan_0 and svan_1, or svan_0 alone in loopback.\n";

/* The memory is two grids with their halos, a number to send, and the one that comes. */
static size_t grid_offset(unsigned int grid, const struct side_options *options)
{
	return grid * (options->size + 2) * WIDTH * CELL;
}

static size_t row_offset(unsigned int grid, unsigned int row,
			 const struct side_options *options)
{
	return grid_offset(grid, options) + (row + 1) * WIDTH * CELL;
}

static size_t number_offset(const struct side_options *options)
{
	return grid_offset(2, options);
}

static size_t come_offset(const struct side_options *options)
{
	return number_offset(options) + 8;
}

static uint32_t first_cell(unsigned long i)
{
	return (i + 1) * 0x9e3779b1u;
}

/* ---- preparing ---- */

static struct svan_accel_cmd add_cells(uint64_t dst, uint64_t a, uint64_t b,
				       uint64_t cells)
{
	struct svan_accel_cmd cmd = { .opcode = SVAN_ACCEL_REDUCE };

	cmd.reduce = (struct svan_accel_reduce){
		.dst = svan_cpu_to_le64(dst), .a = svan_cpu_to_le64(a),
		.b = svan_cpu_to_le64(b), .count = svan_cpu_to_le64(cells),
		.op = SVAN_ACCEL_SUM, .type = SVAN_ACCEL_INT32,
	};
	return cmd;
}

/* Compute grid @to from the other one, send its edge, and wait for that of the other side. */
static void post_round(struct side *side, unsigned int to)
{
	const struct side_options *options = side->options;
	uint64_t src = side_va(side, row_offset(!to, 0, options));
	uint64_t dst = side_va(side, row_offset(to, 0, options));
	uint64_t cells = options->size * WIDTH, row = WIDTH * CELL;
	uint64_t number = side_va(side, number_offset(options));

	accel_post(&side->queue, add_cells(dst, src, src - CELL, cells));
	accel_post(&side->queue, add_cells(dst, dst, src + CELL, cells));
	accel_post(&side->queue, add_cells(dst, dst, src - row, cells));
	accel_post(&side->queue, add_cells(dst, dst, src + row, cells));
	/* The number of the round before may still be on its way. */
	side_post_sent(side);
	accel_post(&side->queue, side_increase(number, 1));
	side_post_submit(side, 2 * !to, 2);
	side_post_await(side, side_va(side, come_offset(options)), number);
	side_post_receive(side, !to);
}

/* The edge of side 0 is its last row, and goes to the halo above the other; and so on. */
static int prepare_requests(struct side *side)
{
	const struct side_options *options = side->options;
	unsigned int edge = side->number ? 0 : options->size - 1, grid;
	int halo = side->number ? (int)options->size : -1;
	struct side_request requests[4];
	const struct side_round round = { requests, 4 };

	for (grid = 0; grid < 2; grid++) {
		/* The first round writes grid 1. */
		struct side_request *request = &requests[2 * !grid];

		request[0] = (struct side_request){
			.from = row_offset(grid, edge, options),
			.to = row_offset(grid, halo, options), .length = WIDTH * CELL,
		};
		request[1] = (struct side_request){
			.from = number_offset(options), .to = come_offset(options),
			.length = 8, .tells = true,
		};
	}
	/* What tells of a message is the same at both sides. */
	return side_prepare(side, &round, &round, 2);
}

/* Both grids of a side hold its part of the world, so that the outer halos have values. */
static void fill(struct side *side)
{
	const struct side_options *options = side->options;
	unsigned long cells = (options->size + 2) * WIDTH, i;
	unsigned int grid;

	for (grid = 0; grid < 2; grid++) {
		uint32_t *part = side_at(side, grid_offset(grid, options));

		for (i = 0; i < cells; i++)
			part[i] = first_cell(side->number * options->size * WIDTH + i);
	}
}

static int prepare(struct side *side)
{
	int ret = prepare_requests(side);
	uint32_t first = side->queue.posted;

	if (ret)
		return ret;
	fill(side);
	post_round(side, 1);
	post_round(side, 0);
	side_post_loop(side, first, side->options->count / 2);
	return 0;
}

/* ---- the CPU computes the same ---- */

/* Once, for both sides. */
static const uint32_t *compute(const struct side_options *options)
{
	unsigned long cells = 2 * options->size * WIDTH, i, n;
	static uint32_t *from;
	uint32_t *to, *other;

	if (from)
		return from;
	from = calloc(cells + 2 * WIDTH, CELL);
	to = calloc(cells + 2 * WIDTH, CELL);
	for (i = 0; from && to && i < cells + 2 * WIDTH; i++)
		from[i] = to[i] = first_cell(i);
	for (n = 0; from && to && n < options->count; n++) {
		for (i = WIDTH; i < cells + WIDTH; i++)
			to[i] = from[i] + from[i - 1] + from[i + 1] + from[i - WIDTH] +
				from[i + WIDTH];
		other = from;
		from = to;
		to = other;
	}
	free(to);
	return from;
}

static int check(const struct side *side)
{
	unsigned long cells = side->options->size * WIDTH, i;
	const uint32_t *seen = side_at(side, row_offset(0, 0, side->options));
	const uint32_t *expected = compute(side->options);

	if (!expected)
		return -ENOMEM;
	expected += WIDTH + side->number * cells;
	for (i = 0; i < cells; i++) {
		if (seen[i] == expected[i])
			continue;
		complain("side %u: cell %lu is 0x%x instead of 0x%x", side->number, i, seen[i],
			 expected[i]);
		return -EIO;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct side_options options = { .count = 50000, .size = 16 };
	static struct job job;
	struct job_kind kind = {
		.num_sides = 2, .prepare = prepare, .check = check,
		.size.log_commands = 6,
	};
	char what[64];

	if (!job_parse(argc, argv, &options) || options.count % 2 || options.size < 2 ||
	    options.size > 1024) {
		fputs(usage, stderr);
		return 2;
	}
	kind.size.memory = come_offset(&options) + 8;
	if (job_do(&job, &kind, &options))
		return 1;
	snprintf(what, sizeof(what), "rounds of 2 times %lu rows of %u cells",
		 options.size, WIDTH);
	job_report(&job, options.count, what);
	return 0;
}
