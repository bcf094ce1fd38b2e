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
 * edge needed ours of the round before, so an edge has left before it is written again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "side.h"

#define CELL	sizeof(uint32_t)
#define WIDTH	64u

static const char usage[] =
	"usage: stencil [--form a|b] [--count N] [--size ROWS]\n"
	"  --form a   the work requests lie in the queue (the default)\n"
	"  --form b   the accelerator copies them from staging into the queue\n"
	"  --count N  rounds, an even number, 50000\n"
	"  --size N   rows of each side, 2 to 1024; 16\n"
	"The sides are svan_0 and svan_1, or svan_0 alone in loopback.\n";

/* Words of the staging page. */
enum { ONE = SIDE_USER, TWO, ROUND };

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
static void post_round(struct side *side, unsigned int to,
		       const struct side_options *options)
{
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
	accel_post(&side->queue, accel_add(number, side_word_va(side, ONE)));
	side_post_submit(side, 2 * !to, 2, side_word_va(side, TWO), options->form);
	accel_post(&side->queue, accel_wait(side_va(side, come_offset(options)), number,
					    WAIT_MS * 1000000ull));
}

/* The edge of side 0 is its last row, and goes to the halo above the other; and so on. */
static int prepare(struct side *sides, unsigned int me,
		   const struct side_options *options)
{
	unsigned int edge = me ? 0 : options->size - 1, grid;
	int halo = me ? (int)options->size : -1;
	struct side_write writes[4];

	for (grid = 0; grid < 2; grid++) {
		/* The first round writes grid 1. */
		struct side_write *write = &writes[2 * !grid];

		write[0] = (struct side_write){
			.from = row_offset(grid, edge, options),
			.to = row_offset(grid, halo, options), .length = WIDTH * CELL,
		};
		write[1] = (struct side_write){
			.from = number_offset(options), .to = come_offset(options),
			.length = 8,
		};
	}
	*side_word(&sides[me], ONE) = 1;
	*side_word(&sides[me], TWO) = 2;
	post_round(&sides[me], 1, options);
	post_round(&sides[me], 0, options);
	side_post_loop(&sides[me], 0, options->count / 2);
	return side_prepare(&sides[me], &sides[!me], writes, 4, options->form);
}

/* Both grids of a side hold its part of the world, so that the outer halos have values. */
static void fill(struct side *sides, const struct side_options *options)
{
	unsigned long cells = (options->size + 2) * WIDTH, i;
	unsigned int me, grid;

	for (me = 0; me < 2; me++) {
		for (grid = 0; grid < 2; grid++) {
			uint32_t *part = side_at(&sides[me], grid_offset(grid, options));

			for (i = 0; i < cells; i++)
				part[i] = first_cell(me * options->size * WIDTH + i);
		}
	}
}

/* ---- the CPU computes the same ---- */

static uint32_t *compute(const struct side_options *options)
{
	unsigned long cells = 2 * options->size * WIDTH, i, n;
	uint32_t *from = calloc(cells + 2 * WIDTH, CELL);
	uint32_t *to = calloc(cells + 2 * WIDTH, CELL), *other;

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

static int check(const struct side *sides, const struct side_options *options)
{
	unsigned long cells = options->size * WIDTH, i;
	uint32_t *world = compute(options);
	unsigned int me;
	int ret = world ? 0 : -ENOMEM;

	for (me = 0; me < 2; me++) {
		const uint32_t *seen = side_at(&sides[me], row_offset(0, 0, options));
		const uint32_t *expected = world + WIDTH + me * cells;

		for (i = 0; !ret && i < cells; i++) {
			if (seen[i] == expected[i])
				continue;
			complain("side %u: cell %lu is 0x%x instead of 0x%x", me, i, seen[i],
				 expected[i]);
			ret = -EIO;
		}
	}
	free(world);
	return ret;
}

static int stencil(const struct side_options *options)
{
	const struct side_size size = {
		.memory = come_offset(options) + 8, .log_commands = 6,
	};
	static struct side sides[2];
	struct side *const both[] = { &sides[0], &sides[1] };
	struct side_run run;
	char what[64];
	int ret = sides_open(sides, &size);

	if (!ret)
		ret = prepare(sides, 0, options);
	if (!ret)
		ret = prepare(sides, 1, options);
	if (ret)
		return ret;
	fill(sides, options);
	ret = sides_run(both, 2, WAIT_MS + options->count, &run);
	if (!ret)
		ret = check(sides, options);
	if (ret)
		return ret;	/* the process ends, and takes everything along */
	snprintf(what, sizeof(what), "rounds of 2 times %lu rows of %u cells",
		 options->size, WIDTH);
	side_report(&run, options->form, options->count, what);
	side_close(&sides[1]);
	side_close(&sides[0]);
	return 0;
}

int main(int argc, char **argv)
{
	struct side_options options = { .form = 'a', .count = 50000, .size = 16 };

	if (!side_parse(argc, argv, &options) || options.count % 2 || options.size < 2 ||
	    options.size > 1024) {
		fputs(usage, stderr);
		return 2;
	}
	return stencil(&options) ? 1 : 0;
}
