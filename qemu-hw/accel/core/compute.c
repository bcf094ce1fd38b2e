/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that move and compute: a step is what lies within one page of everything that
 * it touches.
 */
#include "accel_inside.h"

#define CRC32C          0x82f63b78u     /* reflected */
#define NAN32           0x7fc00000u

/* The chunk was dealt with. */
static AccelStep progress(AccelQueue *queue, uint32_t len)
{
    queue->done += len;
    return queue->done == accel_cmd_length(&queue->cmd) ? ACCEL_STEP_DONE : ACCEL_STEP_AGAIN;
}

AccelStep accel_cmd_fill(AccelQueue *queue)
{
    const struct svan_accel_fill *fill = &queue->cmd.fill;
    uint64_t dst = svan_le64_to_cpu(fill->dst) + queue->done;
    uint32_t len = accel_chunk(dst, svan_le64_to_cpu(fill->length) - queue->done);
    uint32_t turn = queue->done % 8 * 8;
    uint64_t word = queue->value >> turn | (turn ? queue->value << (64 - turn) : 0);
    AccelMem mem;
    AccelStep step;

    if (!len) {
        return ACCEL_STEP_DONE;
    }
    step = accel_map(queue->ctx, ACCEL_WRITE, dst, len, &mem);
    if (step != ACCEL_STEP_DONE) {
        return step;
    }
    word = htole64(word);
    for (uint32_t i = 0; i < len; i += 8) {
        memcpy((uint8_t *)mem.host + i, &word, len - i < 8 ? len - i : 8);
    }
    accel_stored(queue->ctx, &mem);
    return progress(queue, len);
}

static AccelStep copy_chunk(AccelQueue *queue, uint64_t dst, uint64_t src, uint64_t len)
{
    AccelMem from, to;
    AccelStep step;

    len = accel_chunk(dst, accel_chunk(src, len));
    step = accel_map(queue->ctx, ACCEL_READ, src, len, &from);
    if (step == ACCEL_STEP_DONE) {
        step = accel_map(queue->ctx, ACCEL_WRITE, dst, len, &to);
    }
    if (step != ACCEL_STEP_DONE) {
        return step;
    }
    memmove(to.host, from.host, len);
    accel_stored(queue->ctx, &to);
    return progress(queue, len);
}

AccelStep accel_cmd_copy(AccelQueue *queue)
{
    const struct svan_accel_copy *copy = &queue->cmd.copy;
    uint64_t left = svan_le64_to_cpu(copy->length) - queue->done;

    return left ? copy_chunk(queue, svan_le64_to_cpu(copy->dst) + queue->done,
                             svan_le64_to_cpu(copy->src) + queue->done, left) :
                  ACCEL_STEP_DONE;
}

AccelStep accel_cmd_copy_wqe(AccelQueue *queue)
{
    const struct svan_accel_copy_wqe *copy = &queue->cmd.copy_wqe;
    uint64_t size = 64ull << svan_le32_to_cpu(copy->log_ring);
    uint64_t at = (64 * queue->value + queue->done) % size;
    uint64_t left = accel_cmd_length(&queue->cmd) - queue->done;
    AccelStep step = copy_chunk(queue, svan_le64_to_cpu(copy->ring) + at,
                                svan_le64_to_cpu(copy->src) + queue->done,
                                left < size - at ? left : size - at);

    if (step == ACCEL_STEP_DONE) {
        accel_trace(queue->ctx, ACCEL_TRACE_COPY_WQE, queue->number,
                    svan_le64_to_cpu(copy->ring), queue->value,
                    svan_le32_to_cpu(copy->blocks));
    }
    return step;
}

/* ---- REDUCE ---- */

static bool is_nan(uint32_t bits)
{
    return (bits & 0x7fffffff) > 0x7f800000;
}

/* As signed numbers the bits are then in the order of the numbers, -0 below 0. */
static int32_t float_order(uint32_t bits)
{
    return (int32_t)(bits >> 31 ? bits ^ 0x7fffffff : bits);
}

/* What is not a number, however it came about, is one NaN. */
static uint32_t reduce_float(uint8_t op, uint32_t a, uint32_t b)
{
    float x, y;

    if (is_nan(a) || is_nan(b)) {
        return NAN32;
    }
    if (op != SVAN_ACCEL_SUM) {
        return (float_order(a) > float_order(b)) == (op == SVAN_ACCEL_MAX) ? a : b;
    }
    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    x += y;
    memcpy(&a, &x, 4);
    return is_nan(a) ? NAN32 : a;
}

static uint64_t reduce_int(uint8_t op, int64_t a, int64_t b)
{
    if (op == SVAN_ACCEL_SUM) {
        return (uint64_t)a + (uint64_t)b;
    }
    return (a > b) == (op == SVAN_ACCEL_MAX) ? a : b;
}

static void reduce_words(const struct svan_accel_reduce *reduce, void *to, const void *from_a,
                         const void *from_b, uint32_t len)
{
    for (uint32_t i = 0; i < len; i += 4) {
        uint32_t a, b;

        memcpy(&a, (const uint8_t *)from_a + i, 4);
        memcpy(&b, (const uint8_t *)from_b + i, 4);
        a = le32toh(a);
        b = le32toh(b);
        a = reduce->type == SVAN_ACCEL_FLOAT32 ? reduce_float(reduce->op, a, b) :
            (uint32_t)reduce_int(reduce->op, (int32_t)a, (int32_t)b);
        a = htole32(a);
        memcpy((uint8_t *)to + i, &a, 4);
    }
}

static void reduce_long_words(const struct svan_accel_reduce *reduce, void *to,
                              const void *from_a, const void *from_b, uint32_t len)
{
    for (uint32_t i = 0; i < len; i += 8) {
        uint64_t a, b;

        memcpy(&a, (const uint8_t *)from_a + i, 8);
        memcpy(&b, (const uint8_t *)from_b + i, 8);
        a = htole64(reduce_int(reduce->op, le64toh(a), le64toh(b)));
        memcpy((uint8_t *)to + i, &a, 8);
    }
}

AccelStep accel_cmd_reduce(AccelQueue *queue)
{
    const struct svan_accel_reduce *reduce = &queue->cmd.reduce;
    uint64_t dst = svan_le64_to_cpu(reduce->dst) + queue->done;
    uint64_t a = svan_le64_to_cpu(reduce->a) + queue->done;
    uint64_t b = svan_le64_to_cpu(reduce->b) + queue->done;
    uint64_t left = accel_cmd_length(&queue->cmd) - queue->done;
    uint32_t len = accel_chunk(dst, accel_chunk(a, accel_chunk(b, left)));
    AccelMem from_a, from_b, to;
    AccelStep step;

    if (!left) {
        return ACCEL_STEP_DONE;
    }
    step = accel_map(queue->ctx, ACCEL_READ, a, len, &from_a);
    if (step == ACCEL_STEP_DONE) {
        step = accel_map(queue->ctx, ACCEL_READ, b, len, &from_b);
    }
    if (step == ACCEL_STEP_DONE) {
        step = accel_map(queue->ctx, ACCEL_WRITE, dst, len, &to);
    }
    if (step != ACCEL_STEP_DONE) {
        return step;
    }
    if (accel_type_size(reduce->type) == 8) {
        reduce_long_words(reduce, to.host, from_a.host, from_b.host, len);
    } else {
        reduce_words(reduce, to.host, from_a.host, from_b.host, len);
    }
    accel_stored(queue->ctx, &to);
    return progress(queue, len);
}

/* ---- CHECKSUM ---- */

/* crc_table[n][octet]: what the octet adds, with n octets behind it. */
void accel_crc_table(Accel *accel)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (uint32_t bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ CRC32C : crc >> 1;
        }
        accel->crc_table[0][i] = crc;
    }
    for (uint32_t n = 1; n < 8; n++) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t crc = accel->crc_table[n - 1][i];

            accel->crc_table[n][i] = crc >> 8 ^ accel->crc_table[0][crc & 0xff];
        }
    }
}

static uint32_t crc_update(const Accel *accel, uint32_t crc, const uint8_t *data, uint32_t len)
{
    for (; len >= 8; len -= 8, data += 8) {
        uint64_t word;
        uint32_t next = 0;

        memcpy(&word, data, 8);
        word = le64toh(word) ^ crc;
        for (uint32_t n = 0; n < 8; n++) {
            next ^= accel->crc_table[7 - n][word >> (8 * n) & 0xff];
        }
        crc = next;
    }
    for (; len; len--, data++) {
        crc = crc >> 8 ^ accel->crc_table[0][(crc ^ *data) & 0xff];
    }
    return crc;
}

static AccelStep checksum_store(AccelQueue *queue)
{
    __le32 crc = svan_cpu_to_le32(queue->done ? ~queue->crc :
                                  svan_le32_to_cpu(queue->cmd.checksum.seed));
    AccelMem to;
    AccelStep step = accel_map(queue->ctx, ACCEL_WRITE,
                               svan_le64_to_cpu(queue->cmd.checksum.dst), sizeof(crc), &to);

    if (step == ACCEL_STEP_DONE) {
        accel_put(queue->ctx, &to, &crc);
    }
    return step;
}

AccelStep accel_cmd_checksum(AccelQueue *queue)
{
    const struct svan_accel_checksum *checksum = &queue->cmd.checksum;
    uint64_t src = svan_le64_to_cpu(checksum->src) + queue->done;
    uint64_t left = svan_le64_to_cpu(checksum->length) - queue->done;
    uint32_t len = accel_chunk(src, left);
    AccelMem from;
    AccelStep step;

    if (!left) {
        return checksum_store(queue);
    }
    step = accel_map(queue->ctx, ACCEL_READ, src, len, &from);
    if (step != ACCEL_STEP_DONE) {
        return step;
    }
    queue->crc = crc_update(queue->ctx->accel,
                            queue->done ? queue->crc : ~svan_le32_to_cpu(checksum->seed),
                            from.host, len);
    queue->done += len;
    return ACCEL_STEP_AGAIN;
}
