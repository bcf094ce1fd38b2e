/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands are hostile. Each is copied once, checked here, and used as the copy.
 */
#include "accel_inside.h"

#define WIDTH(n)        (1u << (n))
#define UNTIL_UNUSED(name) offsetof(struct svan_accel_##name, unused)
#define ANY_WIDTH       (WIDTH(1) | WIDTH(2) | WIDTH(4) | WIDTH(8))

static const struct {
    uint8_t size;               /* of what follows the head; the rest is zero */
    uint8_t flags;              /* that it knows, beside RECORD */
    uint16_t widths;            /* that it may have; 0: `width` is zero */
} kinds[] = {
    [SVAN_ACCEL_NOP]        = { 0, 0, 0 },
    [SVAN_ACCEL_FILL]       = { UNTIL_UNUSED(fill),
                                SVAN_ACCEL_CMD_INDIRECT, 0 },
    [SVAN_ACCEL_COPY]       = { UNTIL_UNUSED(copy), 0, 0 },
    [SVAN_ACCEL_REDUCE]     = { UNTIL_UNUSED(reduce), 0, 0 },
    [SVAN_ACCEL_CHECKSUM]   = { UNTIL_UNUSED(checksum), 0, 0 },
    [SVAN_ACCEL_WAIT]       = { sizeof(struct svan_accel_wait),
                                SVAN_ACCEL_CMD_INDIRECT | SVAN_ACCEL_CMD_CONTINUE,
                                WIDTH(4) | WIDTH(8) },
    [SVAN_ACCEL_WRITE]      = { UNTIL_UNUSED(write),
                                SVAN_ACCEL_CMD_INDIRECT, WIDTH(4) | WIDTH(8) },
    [SVAN_ACCEL_COPY_WQE]   = { UNTIL_UNUSED(copy_wqe),
                                SVAN_ACCEL_CMD_INDIRECT, 0 },
    [SVAN_ACCEL_PATCH]      = { UNTIL_UNUSED(patch),
                                SVAN_ACCEL_CMD_BIG_ENDIAN, ANY_WIDTH },
    [SVAN_ACCEL_LOOP]       = { UNTIL_UNUSED(loop), 0, 0 },
    [SVAN_ACCEL_FENCE]      = { 0, 0, 0 },
    [SVAN_ACCEL_COMPLETE]   = { UNTIL_UNUSED(complete), 0, 0 },
    [SVAN_ACCEL_INTERRUPT]  = { 0, 0, 0 },
};

static bool zeros(const uint8_t *octets, size_t count)
{
    uint8_t any = 0;

    for (size_t i = 0; i < count; i++) {
        any |= octets[i];
    }
    return !any;
}

static bool aligned(__le64 addr, uint32_t to)
{
    return svan_le64_to_cpu(addr) % to == 0;
}

/* Is it a width that the mask has? */
static bool is_width(uint8_t width, uint16_t widths)
{
    return widths ? width <= 8 && (widths & WIDTH(width)) : !width;
}

/* The operand `value`: a number of the width, or where a le64 lies. */
static bool good_value(const struct svan_accel_cmd *cmd, __le64 value)
{
    if (cmd->flags & SVAN_ACCEL_CMD_INDIRECT) {
        return aligned(value, 8);
    }
    return cmd->width != 4 || svan_le64_to_cpu(value) <= UINT32_MAX;
}

uint32_t accel_type_size(uint8_t type)
{
    return type == SVAN_ACCEL_INT64 ? 8 : 4;
}

static bool good_reduce(const struct svan_accel_reduce *reduce)
{
    uint32_t size = accel_type_size(reduce->type);

    return reduce->op <= SVAN_ACCEL_MIN && reduce->type <= SVAN_ACCEL_FLOAT32 &&
           zeros(reduce->reserved, sizeof(reduce->reserved)) &&
           aligned(reduce->dst, size) && aligned(reduce->a, size) &&
           aligned(reduce->b, size) &&
           svan_le64_to_cpu(reduce->count) <= UINT64_MAX / 8;
}

static bool good_wait(const struct svan_accel_cmd *cmd)
{
    const struct svan_accel_wait *wait = &cmd->wait;

    return cmd->condition <= SVAN_ACCEL_REACHED && aligned(wait->addr, cmd->width) &&
           good_value(cmd, wait->value) && aligned(wait->errors, 8) &&
           aligned(wait->status, 4);
}

static bool good_copy_wqe(const struct svan_accel_cmd *cmd)
{
    const struct svan_accel_copy_wqe *copy = &cmd->copy_wqe;
    uint32_t blocks = svan_le32_to_cpu(copy->blocks);
    uint32_t log_ring = svan_le32_to_cpu(copy->log_ring);

    return aligned(copy->ring, 64) && aligned(copy->src, 64) &&
           good_value(cmd, copy->value) && blocks >= 1 && blocks <= 16 &&
           log_ring <= 24 && blocks <= 1u << log_ring;
}

static bool good_patch(const struct svan_accel_cmd *cmd)
{
    const struct svan_accel_patch *patch = &cmd->patch;

    return is_width(patch->src_width, ANY_WIDTH) && aligned(patch->dst, cmd->width) &&
           aligned(patch->src, patch->src_width) && patch->shift >= -63 &&
           patch->shift <= 63 && zeros(patch->reserved, sizeof(patch->reserved));
}

static bool good_params(const struct svan_accel_cmd *cmd)
{
    switch (cmd->opcode) {
    case SVAN_ACCEL_FILL:
        return good_value(cmd, cmd->fill.value);
    case SVAN_ACCEL_REDUCE:
        return good_reduce(&cmd->reduce);
    case SVAN_ACCEL_CHECKSUM:
        return !cmd->checksum.reserved && aligned(cmd->checksum.dst, 4);
    case SVAN_ACCEL_WAIT:
        return good_wait(cmd);
    case SVAN_ACCEL_WRITE:
        return aligned(cmd->write.addr, cmd->width) && good_value(cmd, cmd->write.value);
    case SVAN_ACCEL_COPY_WQE:
        return good_copy_wqe(cmd);
    case SVAN_ACCEL_PATCH:
        return good_patch(cmd);
    case SVAN_ACCEL_LOOP:
        return cmd->loop.span && cmd->loop.count;
    case SVAN_ACCEL_COMPLETE:
        return aligned(cmd->complete.addr, sizeof(struct svan_accel_completion));
    default:
        return true;
    }
}

uint8_t accel_validate(const struct svan_accel_cmd *cmd)
{
    uint8_t size;

    if (cmd->opcode >= sizeof(kinds) / sizeof(kinds[0])) {
        return SVAN_ACCEL_BAD_OPCODE;
    }
    size = kinds[cmd->opcode].size;
    if ((cmd->flags & ~(kinds[cmd->opcode].flags | SVAN_ACCEL_CMD_RECORD)) ||
        !is_width(cmd->width, kinds[cmd->opcode].widths) ||
        (cmd->opcode != SVAN_ACCEL_WAIT && cmd->condition) ||
        !zeros(cmd->octets + size, sizeof(cmd->octets) - size)) {
        return SVAN_ACCEL_BAD_PARAM;
    }
    return good_params(cmd) ? SVAN_ACCEL_OK : SVAN_ACCEL_BAD_PARAM;
}

uint64_t accel_cmd_length(const struct svan_accel_cmd *cmd)
{
    switch (cmd->opcode) {
    case SVAN_ACCEL_FILL:
        return svan_le64_to_cpu(cmd->fill.length);
    case SVAN_ACCEL_COPY:
        return svan_le64_to_cpu(cmd->copy.length);
    case SVAN_ACCEL_REDUCE:
        return svan_le64_to_cpu(cmd->reduce.count) * accel_type_size(cmd->reduce.type);
    case SVAN_ACCEL_CHECKSUM:
        return svan_le64_to_cpu(cmd->checksum.length);
    case SVAN_ACCEL_COPY_WQE:
        return 64ull * svan_le32_to_cpu(cmd->copy_wqe.blocks);
    default:
        return 0;
    }
}
