/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that steer: stores of single values, patches, loops, fences, completions.
 * (WAIT is in wait.c.)
 */
#include "accel_inside.h"

AccelStep accel_stop(AccelQueue *queue, uint8_t status)
{
    queue->ctx->accel->refused.status = status;
    return ACCEL_STEP_STOP;
}

AccelStep accel_cmd_write(AccelQueue *queue)
{
    const struct svan_accel_write *write = &queue->cmd.write;
    uint64_t value = htole64(queue->value);
    AccelMem mem;
    AccelStep step = accel_map(queue->ctx, ACCEL_WRITE_OR_WINDOW,
                               svan_le64_to_cpu(write->addr), queue->cmd.width, &mem);

    if (step != ACCEL_STEP_DONE) {
        return step;
    }
    if (mem.window) {
        return accel_want_store(queue);
    }
    accel_put(queue->ctx, &mem, &value);
    return ACCEL_STEP_DONE;
}

/* ---- PATCH ---- */

static uint64_t swapped(uint64_t value, uint32_t width)
{
    return __builtin_bswap64(value) >> (64 - 8 * width);
}

static uint64_t patched(const struct svan_accel_cmd *cmd, uint64_t old, uint64_t src)
{
    uint64_t mask = svan_le64_to_cpu(cmd->patch.mask);
    uint64_t value = src + svan_le64_to_cpu(cmd->patch.add);
    int8_t shift = cmd->patch.shift;

    value = shift < 0 ? value >> -shift : value << shift;
    return (old & ~mask) | (value & mask);
}

AccelStep accel_cmd_patch(AccelQueue *queue)
{
    const struct svan_accel_cmd *cmd = &queue->cmd;
    uint64_t dst = svan_le64_to_cpu(cmd->patch.dst), old = 0, src = 0;
    bool big = cmd->flags & SVAN_ACCEL_CMD_BIG_ENDIAN;
    AccelMem from, before, to;
    AccelStep step = accel_map(queue->ctx, ACCEL_READ, svan_le64_to_cpu(cmd->patch.src),
                               cmd->patch.src_width, &from);

    if (step == ACCEL_STEP_DONE) {
        step = accel_map(queue->ctx, ACCEL_READ, dst, cmd->width, &before);
    }
    if (step == ACCEL_STEP_DONE) {
        step = accel_map(queue->ctx, ACCEL_WRITE, dst, cmd->width, &to);
    }
    if (step != ACCEL_STEP_DONE) {
        return step;
    }
    memcpy(&src, from.host, cmd->patch.src_width);
    memcpy(&old, before.host, cmd->width);
    old = le64toh(old);
    old = patched(cmd, big ? swapped(old, cmd->width) : old, le64toh(src));
    old = htole64(big ? swapped(old, cmd->width) : old);
    accel_put(queue->ctx, &to, &old);
    return ACCEL_STEP_DONE;
}

/* ---- the others ---- */

/*
 * The span is executed again if the ring still holds it all and no loop lies in it. A
 * loop that was met in the span lies at loop_end - 1; so does the one that runs, if this
 * one has come into its span since.
 */
AccelStep accel_cmd_loop(AccelQueue *queue)
{
    const struct svan_accel_loop *loop = &queue->cmd.loop;
    uint32_t span = svan_le32_to_cpu(loop->span);
    uint64_t start = queue->index - span;

    if (span >= accel_queue_size(queue) || span > queue->index ||
        queue->producer - start > accel_queue_size(queue) || start < queue->loop_end) {
        return accel_stop(queue, SVAN_ACCEL_BAD_PARAM);
    }
    queue->loop_end = queue->index + 1;
    if (loop->count == svan_cpu_to_le32(1)) {
        return ACCEL_STEP_DONE;
    }
    queue->loop_at = queue->index;
    queue->loop_left = svan_le32_to_cpu(loop->count) - 1;
    queue->loop_flags = queue->cmd.flags;
    queue->loop_tag = svan_le32_to_cpu(queue->cmd.tag);
    queue->head = start;
    queue->index = start;
    queue->have = false;
    return ACCEL_STEP_AGAIN;
}

/*
 * All that the context has stored before the fence leaves; what its other queues store
 * meanwhile does not count. done is the sequence of the first store that need not leave.
 */
AccelStep accel_cmd_fence(AccelQueue *queue)
{
    AccelKept *kept = queue->ctx->kept;
    uint32_t among;

    if (!kept) {
        return ACCEL_STEP_DONE;
    }
    if (!queue->done) {
        queue->done = kept->sequence;
    }
    among = accel_kept_before(kept, queue->done);
    return among ? accel_leave(queue->ctx, among) : ACCEL_STEP_DONE;
}

AccelStep accel_cmd_complete(AccelQueue *queue)
{
    struct svan_accel_completion completion = {
        .tag = queue->cmd.tag,
        .status = svan_cpu_to_le32(queue->wait_status),
        .time_ns = svan_cpu_to_le64(accel_now(queue->ctx->accel)),
    };
    AccelMem mem;
    AccelStep step = accel_map(queue->ctx, ACCEL_WRITE,
                               svan_le64_to_cpu(queue->cmd.complete.addr),
                               sizeof(completion), &mem);

    if (step == ACCEL_STEP_DONE) {
        accel_put(queue->ctx, &mem, &completion);
    }
    return step;
}

AccelStep accel_cmd_interrupt(AccelQueue *queue)
{
    accel_irq(queue->ctx->accel, 1 + queue->ctx->number);
    return ACCEL_STEP_DONE;
}
