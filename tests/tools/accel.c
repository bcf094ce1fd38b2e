// SPDX-License-Identifier: GPL-2.0-or-later
/* A ring with a command of each kind, then a record and a completion, to stdout. */
#include <stdio.h>

#include <svan/accel.h>

#define LE32(x)	((__le32)(x))
#define LE64(x)	((__le64)(x))
#define BASE	0x100000ull

static const struct svan_accel_cmd ring[] = {
	{
		.opcode = SVAN_ACCEL_FILL, .tag = LE32(1),
		.fill = {
			.dst = LE64(BASE), .length = LE64(4096),
			.value = LE64(0x1122334455667788ull),
		},
	}, {
		.opcode = SVAN_ACCEL_COPY, .flags = SVAN_ACCEL_CMD_RECORD, .tag = LE32(2),
		.copy = { .dst = LE64(BASE), .src = LE64(2 * BASE), .length = LE64(100) },
	}, {
		.opcode = SVAN_ACCEL_REDUCE, .tag = LE32(3),
		.reduce = {
			.dst = LE64(BASE), .a = LE64(2 * BASE), .b = LE64(3 * BASE),
			.count = LE64(1000), .op = SVAN_ACCEL_MAX, .type = SVAN_ACCEL_FLOAT32,
		},
	}, {
		.opcode = SVAN_ACCEL_CHECKSUM, .tag = LE32(4),
		.checksum = {
			.src = LE64(BASE), .length = LE64(9), .dst = LE64(2 * BASE),
			.seed = LE32(0xe3069283),
		},
	}, {
		.opcode = SVAN_ACCEL_WAIT, .width = 8, .condition = SVAN_ACCEL_REACHED,
		.flags = SVAN_ACCEL_CMD_INDIRECT | SVAN_ACCEL_CMD_CONTINUE, .tag = LE32(5),
		.wait = {
			.addr = LE64(BASE), .value = LE64(2 * BASE), .mask = LE64(~0ull),
			.errors = LE64(BASE + 8), .error_value = LE64(1),
			.limit_ns = LE64(1000000), .status = LE64(3 * BASE),
		},
	}, {
		.opcode = SVAN_ACCEL_WRITE, .width = 4, .tag = LE32(6),
		.write = { .addr = LE64(BASE), .value = LE64(0x500000105ull) },
	}, {
		.opcode = SVAN_ACCEL_COPY_WQE, .flags = SVAN_ACCEL_CMD_INDIRECT, .tag = LE32(7),
		.copy_wqe = {
			.ring = LE64(BASE), .src = LE64(2 * BASE), .value = LE64(3 * BASE),
			.blocks = LE32(2), .log_ring = LE32(6),
		},
	}, {
		.opcode = SVAN_ACCEL_PATCH, .width = 8, .flags = SVAN_ACCEL_CMD_BIG_ENDIAN,
		.tag = LE32(8),
		.patch = {
			.dst = LE64(BASE), .src = LE64(2 * BASE), .add = LE64(1),
			.mask = LE64(0xffffffff00000000ull), .src_width = 4, .shift = -32,
		},
	}, {
		.opcode = SVAN_ACCEL_LOOP, .tag = LE32(9),
		.loop = { .span = LE32(8), .count = LE32(100000) },
	}, {
		.opcode = SVAN_ACCEL_FENCE, .tag = LE32(10),
	}, {
		.opcode = SVAN_ACCEL_COMPLETE, .tag = LE32(11), .complete = { .addr = LE64(BASE) },
	}, {
		.opcode = SVAN_ACCEL_INTERRUPT, .tag = LE32(0xfffffff0),
	},
	{ .opcode = SVAN_ACCEL_NOP }, { .opcode = SVAN_ACCEL_NOP }, { .opcode = SVAN_ACCEL_NOP },
	/* What the device would refuse: another kind, and octets of no meaning. */
	{ .opcode = 77, .flags = 0x81, .condition = 9, .octets = { 1, 2, 3 } },
	{ .opcode = SVAN_ACCEL_FENCE, .octets = { [55] = 0xaa } },
	{ .opcode = SVAN_ACCEL_LOOP, .octets = { [3] = 1, [8] = 0xbb } },
	{ .opcode = SVAN_ACCEL_REDUCE, .reduce = { .op = 3, .type = 9, .reserved = { 1 } } },
};

static const struct svan_accel_record record = {
	.state = LE32(SVAN_ACCEL_QUEUE_STOPPED), .status = LE32(SVAN_ACCEL_ERROR_COUNT),
	.tag = LE32(5), .head = LE32(4),
};

static const struct svan_accel_completion completion = {
	.tag = LE32(11), .status = LE32(SVAN_ACCEL_TIMEOUT), .time_ns = LE64(123456789),
};

int main(void)
{
	fwrite(ring, sizeof(ring), 1, stdout);
	fwrite(&record, sizeof(record), 1, stdout);
	fwrite(&completion, sizeof(completion), 1, stdout);
	return ferror(stdout);
}
