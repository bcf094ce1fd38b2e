/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For fuzz targets of the accelerator: commands, addresses and lengths out of an input,
 * mostly such that something is done.
 */
#ifndef TESTS_FUZZ_ACCEL_H
#define TESTS_FUZZ_ACCEL_H

#include <stdlib.h>

#include "fuzz_input.h"

#include "accel_fake.h"
#include "accel_inside.h"
#include "fake.h"

#define LE64(value)     svan_cpu_to_le64(value)
#define LE32(value)     svan_cpu_to_le32(value)

/* All that the parameters do not name is zero, which initializers of unions do not promise. */
static inline struct svan_accel_cmd accel_command(uint8_t opcode, uint8_t width,
                                                  const void *params, size_t size)
{
    struct svan_accel_cmd cmd;

    memset(&cmd, 0, sizeof(cmd));
    cmd.opcode = opcode;
    cmd.width = width;
    if (size) {
        memcpy(cmd.octets, params, size);
    }
    return cmd;
}

#define ACCEL_PLAIN(opcode) accel_command(SVAN_ACCEL_##opcode, 0, NULL, 0)
#define ACCEL_COMMAND(opcode, width, type, ...) \
    accel_command(SVAN_ACCEL_##opcode, width, &(struct svan_accel_##type) { __VA_ARGS__ }, \
                  sizeof(struct svan_accel_##type))

/* Addresses that lead somewhere begin at these. */
static const uint64_t accel_areas[] = {
    HOST_VA, HOST_VA, HOST_VA, HOST_VA, HOST_VA, HOST_VA, HOST_VA, LOCAL_VA, LOCAL_VA,
    LOCAL_VA, LOCAL_VA, LOCAL_VA, WINDOW_VA, WINDOW_VA, READ_VA, NOWHERE_VA,
};

#define ACCEL_AREAS     (sizeof(accel_areas) / sizeof(accel_areas[0]))
#define ACCEL_AREA_MASK 0x7fffu         /* of an offset: 8 pages */

static inline uint64_t input_va(Input *input, uint32_t align)
{
    uint8_t area = input_number(input, 1);
    uint64_t offset = input_number(input, 2);

    if (area == 0xff) {
        return input_number(input, 8);
    }
    offset = area & 0x80 ? offset : offset & ~(uint64_t)(align - 1);
    return accel_areas[area % 64 % ACCEL_AREAS] + (offset & ACCEL_AREA_MASK);
}

static inline __le64 input_le64_va(Input *input, uint32_t align)
{
    return svan_cpu_to_le64(input_va(input, align));
}

static inline __le64 input_length(Input *input)
{
    uint64_t length = input_number(input, 2);

    return svan_cpu_to_le64(length >= 0xff00 ? input_number(input, 8) : length);
}

/* A value: small, or any. */
static inline __le64 input_value(Input *input)
{
    uint8_t value = input_number(input, 1);

    if (value >= 0xf0) {
        return svan_cpu_to_le64(UINT64_MAX);
    }
    return svan_cpu_to_le64(value & 0x80 ? input_number(input, 8) : value);
}

static inline __le64 input_operand(Input *input, const struct svan_accel_cmd *cmd)
{
    __le64 value = input_value(input);

    if (cmd->flags & SVAN_ACCEL_CMD_INDIRECT) {
        return input_le64_va(input, 8);
    }
    return cmd->width == 4 ? svan_cpu_to_le64((uint32_t)svan_le64_to_cpu(value)) : value;
}

static inline void input_reduce(Input *input, struct svan_accel_reduce *reduce)
{
    uint8_t kind = input_number(input, 1);

    reduce->op = kind % 3;
    reduce->type = kind / 4 % 3;
    reduce->dst = input_le64_va(input, 8);
    reduce->a = kind & 0x40 ? reduce->dst : input_le64_va(input, 8);
    reduce->b = input_le64_va(input, 8);
    reduce->count = svan_cpu_to_le64(input_number(input, 2) & 0xfff);
}

static inline void input_wait(Input *input, struct svan_accel_cmd *cmd)
{
    uint8_t kind = input_number(input, 1);
    struct svan_accel_wait *wait = &cmd->wait;

    cmd->condition = kind % 3;
    wait->addr = input_le64_va(input, 8);
    wait->value = input_operand(input, cmd);
    wait->mask = kind & 0x10 ? svan_cpu_to_le64(UINT64_MAX) : input_value(input);
    wait->errors = kind & 0x20 ? input_le64_va(input, 8) : 0;
    wait->error_value = kind & 0x20 ? input_value(input) : 0;
    wait->limit_ns = kind & 0x40 ? svan_cpu_to_le64(input_number(input, 3)) : 0;
    wait->status = kind & 0x80 ? input_le64_va(input, 4) : 0;
}

static inline void input_patch(Input *input, struct svan_accel_cmd *cmd)
{
    uint16_t kind = input_number(input, 2);
    struct svan_accel_patch *patch = &cmd->patch;

    cmd->width = 1u << kind % 4;
    patch->src_width = 1u << kind / 4 % 4;
    patch->shift = (int)(kind >> 4 & 127) % 127 - 63;
    patch->dst = input_le64_va(input, 8);
    patch->src = kind & 0x800 ? patch->dst : input_le64_va(input, 8);
    patch->add = input_value(input);
    patch->mask = input_value(input);
}

static inline void input_copy_wqe(Input *input, struct svan_accel_cmd *cmd)
{
    uint8_t kind = input_number(input, 1);
    struct svan_accel_copy_wqe *copy = &cmd->copy_wqe;

    copy->blocks = svan_cpu_to_le32(1 + kind % 16);
    copy->log_ring = svan_cpu_to_le32(kind & 0x80 ? 4 + kind / 16 % 8 : kind / 16 % 8);
    copy->ring = input_le64_va(input, 64);
    copy->src = input_le64_va(input, 64);
    copy->value = input_operand(input, cmd);
}

/* Short, or longer than anybody may have to wait for. */
static inline void input_loop(Input *input, struct svan_accel_loop *loop)
{
    uint8_t span = input_number(input, 1);
    uint32_t count = input_number(input, 1);

    loop->span = svan_cpu_to_le32(span % 8);
    loop->count = svan_cpu_to_le32(span & 0x80 ? count << 16 : count);
}

static inline void input_params(Input *input, struct svan_accel_cmd *cmd)
{
    switch (cmd->opcode) {
    case SVAN_ACCEL_FILL:
        cmd->fill.dst = input_le64_va(input, 1);
        cmd->fill.length = input_length(input);
        cmd->fill.value = input_operand(input, cmd);
        break;
    case SVAN_ACCEL_COPY:
        cmd->copy.dst = input_le64_va(input, 1);
        cmd->copy.src = input_le64_va(input, 1);
        cmd->copy.length = input_length(input);
        break;
    case SVAN_ACCEL_REDUCE:
        input_reduce(input, &cmd->reduce);
        break;
    case SVAN_ACCEL_CHECKSUM:
        cmd->checksum.src = input_le64_va(input, 1);
        cmd->checksum.length = input_length(input);
        cmd->checksum.dst = input_le64_va(input, 4);
        break;
    case SVAN_ACCEL_WAIT:
        input_wait(input, cmd);
        break;
    case SVAN_ACCEL_WRITE:
        cmd->write.addr = input_le64_va(input, 8);
        cmd->write.value = input_operand(input, cmd);
        break;
    case SVAN_ACCEL_COPY_WQE:
        input_copy_wqe(input, cmd);
        break;
    case SVAN_ACCEL_PATCH:
        input_patch(input, cmd);
        break;
    case SVAN_ACCEL_LOOP:
        input_loop(input, &cmd->loop);
        break;
    case SVAN_ACCEL_COMPLETE:
        cmd->complete.addr = input_le64_va(input, 16);
        break;
    }
}

static inline struct svan_accel_cmd input_command(Input *input)
{
    static const uint8_t known[] = {
        [SVAN_ACCEL_FILL] = SVAN_ACCEL_CMD_INDIRECT,
        [SVAN_ACCEL_WAIT] = SVAN_ACCEL_CMD_INDIRECT | SVAN_ACCEL_CMD_CONTINUE,
        [SVAN_ACCEL_WRITE] = SVAN_ACCEL_CMD_INDIRECT,
        [SVAN_ACCEL_COPY_WQE] = SVAN_ACCEL_CMD_INDIRECT,
        [SVAN_ACCEL_PATCH] = SVAN_ACCEL_CMD_BIG_ENDIAN,
        [SVAN_ACCEL_INTERRUPT] = 0,
    };
    uint8_t kind = input_number(input, 1), flags = input_number(input, 1);
    struct svan_accel_cmd cmd = accel_command(kind % 16, 0, NULL, 0);

    if (cmd.opcode > SVAN_ACCEL_INTERRUPT) {
        input_bytes(input, &cmd, sizeof(cmd));
        return cmd;
    }
    cmd.tag = svan_cpu_to_le32(kind);
    cmd.flags = flags & (known[cmd.opcode] | SVAN_ACCEL_CMD_RECORD);
    if (cmd.opcode == SVAN_ACCEL_WAIT || cmd.opcode == SVAN_ACCEL_WRITE) {
        cmd.width = flags & 0x10 ? 4 : 8;
    }
    input_params(input, &cmd);
    if ((flags & 0xe0) == 0xe0) {
        ((uint8_t *)&cmd)[input_number(input, 1) % sizeof(cmd)] = input_number(input, 1);
    }
    return cmd;
}

#endif /* TESTS_FUZZ_ACCEL_H */
