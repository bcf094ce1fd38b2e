/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of the accelerator: cmocka, and commands in a line.
 */
#ifndef TESTS_UNIT_ACCEL_H
#define TESTS_UNIT_ACCEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accel_fake.h"

#define SIZE(array)     (sizeof(array) / sizeof((array)[0]))
#define LE64(value)     svan_cpu_to_le64(value)
#define LE32(value)     svan_cpu_to_le32(value)

/* A machine with context 0 and its queue 0, in *state. */
static inline int accel_setup(void **state)
{
    AccelFake *fake = accel_fake_create(0);

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    *state = fake;
    return 0;
}

static inline int accel_teardown(void **state)
{
    accel_fake_destroy(*state);
    return 0;
}

#define ACCEL_TEST(name) \
    cmocka_unit_test_setup_teardown(name, accel_setup, accel_teardown)

static inline AccelStats accel_counted(AccelFake *fake)
{
    AccelStats stats;

    accel_stats(fake->accel, &stats);
    return stats;
}

static inline struct svan_accel_cmd cmd_plain(uint8_t opcode)
{
    return (struct svan_accel_cmd) { .opcode = opcode };
}

static inline struct svan_accel_cmd cmd_fill(uint64_t dst, uint64_t length, uint64_t value)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_FILL,
        .fill = { .dst = LE64(dst), .length = LE64(length), .value = LE64(value) },
    };
}

static inline struct svan_accel_cmd cmd_copy(uint64_t dst, uint64_t src, uint64_t length)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_COPY,
        .copy = { .dst = LE64(dst), .src = LE64(src), .length = LE64(length) },
    };
}

static inline struct svan_accel_cmd cmd_write(uint64_t addr, uint8_t width, uint64_t value)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_WRITE, .width = width,
        .write = { .addr = LE64(addr), .value = LE64(value) },
    };
}

static inline struct svan_accel_cmd cmd_copy_wqe(uint64_t ring, uint32_t log_ring,
                                                 uint64_t src, uint64_t index,
                                                 uint32_t blocks)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_COPY_WQE,
        .copy_wqe = { .ring = LE64(ring), .log_ring = LE32(log_ring), .src = LE64(src),
                      .value = LE64(index), .blocks = LE32(blocks) },
    };
}

/* The 64 bits at dst become those at src, plus add. */
static inline struct svan_accel_cmd cmd_patch(uint64_t dst, uint64_t src, uint64_t add)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_PATCH, .width = 8,
        .patch = { .dst = LE64(dst), .src = LE64(src), .add = LE64(add),
                   .mask = LE64(UINT64_MAX), .src_width = 8 },
    };
}

static inline struct svan_accel_cmd cmd_loop(uint32_t span, uint32_t count)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_LOOP,
        .loop = { .span = LE32(span), .count = LE32(count) },
    };
}

static inline struct svan_accel_cmd cmd_complete(uint64_t addr, uint32_t tag)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_COMPLETE, .tag = LE32(tag), .complete = { .addr = LE64(addr) },
    };
}

/* A wait of 64 bits, unsigned, at least the value. */
static inline struct svan_accel_cmd cmd_wait(uint64_t addr, uint64_t value)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_WAIT, .width = 8, .condition = SVAN_ACCEL_AT_LEAST,
        .wait = { .addr = LE64(addr), .value = LE64(value), .mask = LE64(UINT64_MAX) },
    };
}

static inline struct svan_accel_record accel_record(AccelFake *fake, uint32_t ctx,
                                                    uint32_t queue)
{
    struct svan_accel_record record;

    accel_fake_get(fake, RECORD_VA(ctx, queue), &record, sizeof(record));
    return record;
}

#endif /* TESTS_UNIT_ACCEL_H */
