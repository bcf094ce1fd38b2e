/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that move and compute, against a model of the memory that the contexts see.
 */
#include <stdio.h>

#include "accel.h"

#define LONGEST         20000u

typedef struct Model {
    uint8_t host[HOST_SIZE];
    uint8_t local[LOCAL_SIZE];
} Model;

static uint8_t *model_at(Model *model, uint64_t va)
{
    return va >= LOCAL_VA ? &model->local[va - LOCAL_VA] : &model->host[va - HOST_VA];
}

/* len octets in either space; the page of records is left alone. */
static uint64_t somewhere(Rng *rng, uint64_t len, uint32_t align)
{
    bool local = rng_below(rng, 2);
    uint64_t size = local ? LOCAL_SIZE : HOST_SIZE - 4096;

    return (local ? LOCAL_VA : HOST_VA) + rng_below(rng, (size - len) / align) * align;
}

static uint64_t elsewhere(Rng *rng, uint64_t len, uint32_t align, uint64_t than)
{
    uint64_t va;

    do {
        va = somewhere(rng, len, align);
    } while (va < than + len && than < va + len);
    return va;
}

static uint64_t some_length(Rng *rng)
{
    return rng_below(rng, 4) ? rng_below(rng, 200) : rng_below(rng, LONGEST);
}

static struct svan_accel_cmd random_fill(Rng *rng, Model *model)
{
    uint64_t len = some_length(rng), dst = somewhere(rng, len, 1), value = rng_next(rng);

    for (uint64_t i = 0; i < len; i++) {
        model_at(model, dst)[i] = value >> (8 * (i % 8));
    }
    return cmd_fill(dst, len, value);
}

static struct svan_accel_cmd random_copy(Rng *rng, Model *model)
{
    uint64_t len = some_length(rng), src = somewhere(rng, len, 1);
    uint64_t dst = elsewhere(rng, len, 1, src);

    memcpy(model_at(model, dst), model_at(model, src), len);
    return cmd_copy(dst, src, len);
}

static struct svan_accel_cmd random_copy_wqe(Rng *rng, Model *model)
{
    uint32_t blocks = rng_between(rng, 1, 16), log_ring = rng_between(rng, 4, 8);
    uint64_t ring = somewhere(rng, 64ull << log_ring, 64), src, index = rng_next(rng);

    do {
        src = somewhere(rng, 64 * blocks, 64);
    } while (src < ring + (64ull << log_ring) && ring < src + 64 * blocks);
    for (uint32_t i = 0; i < blocks; i++) {
        memcpy(model_at(model, ring + (index + i) % (1u << log_ring) * 64),
               model_at(model, src + 64 * i), 64);
    }
    return cmd_copy_wqe(ring, log_ring, src, index, blocks);
}

static uint64_t get(const uint8_t *at, uint32_t width, bool big)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < width; i++) {
        value |= (uint64_t)at[big ? width - 1 - i : i] << (8 * i);
    }
    return value;
}

static void put(uint8_t *at, uint32_t width, bool big, uint64_t value)
{
    for (uint32_t i = 0; i < width; i++) {
        at[big ? width - 1 - i : i] = value >> (8 * i);
    }
}

static struct svan_accel_cmd random_patch(Rng *rng, Model *model)
{
    uint32_t width = 1u << rng_below(rng, 4), src_width = 1u << rng_below(rng, 4);
    uint64_t dst = somewhere(rng, 8, width), src = somewhere(rng, 8, src_width);
    uint64_t add = rng_next(rng) >> rng_below(rng, 64);
    uint64_t mask = rng_next(rng) >> rng_below(rng, 64);
    int32_t shift = (int32_t)rng_below(rng, 127) - 63;
    bool big = rng_below(rng, 2);
    uint64_t value = get(model_at(model, src), src_width, false) + add;
    uint64_t old = get(model_at(model, dst), width, big);

    value = shift >= 0 ? value << shift : value >> -shift;
    put(model_at(model, dst), width, big, (old & ~mask) | (value & mask));
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_PATCH, .width = width,
        .flags = big ? SVAN_ACCEL_CMD_BIG_ENDIAN : 0,
        .patch = { .dst = LE64(dst), .src = LE64(src), .add = LE64(add), .mask = LE64(mask),
                   .src_width = src_width, .shift = shift },
    };
}

/* ---- REDUCE ---- */

static int64_t model_int(uint8_t op, int64_t a, int64_t b)
{
    switch (op) {
    case SVAN_ACCEL_SUM:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    case SVAN_ACCEL_MAX:
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

static uint32_t model_float(uint8_t op, uint32_t a, uint32_t b)
{
    float x, y, z;

    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    if (x != x || y != y) {
        return 0x7fc00000;
    }
    if (op == SVAN_ACCEL_SUM) {
        z = x + y;
    } else if (x == y) {
        /* also of two zeros: that without sign is the larger one */
        return op == SVAN_ACCEL_MAX ? a & b : a | b;
    } else {
        z = (op == SVAN_ACCEL_MAX) == (x > y) ? x : y;
    }
    memcpy(&a, &z, 4);
    return z != z ? 0x7fc00000 : a;
}

static struct svan_accel_cmd random_reduce(Rng *rng, Model *model)
{
    uint8_t op = rng_below(rng, 3), type = rng_below(rng, 3);
    uint32_t size = type == SVAN_ACCEL_INT64 ? 8 : 4;
    uint64_t count = some_length(rng) / size, len = count * size;
    uint64_t a = somewhere(rng, len, size), b = elsewhere(rng, len, size, a), dst;

    do {
        dst = elsewhere(rng, len, size, a);
    } while (dst < b + len && b < dst + len);
    dst = rng_below(rng, 3) ? dst : rng_below(rng, 2) ? a : b;
    for (uint64_t i = 0; i < len; i += size) {
        uint64_t x = get(model_at(model, a) + i, size, false);
        uint64_t y = get(model_at(model, b) + i, size, false);

        put(model_at(model, dst) + i, size, false,
            type == SVAN_ACCEL_FLOAT32 ? model_float(op, x, y) :
            type == SVAN_ACCEL_INT64 ? (uint64_t)model_int(op, x, y) :
            (uint64_t)model_int(op, (int32_t)x, (int32_t)y));
    }
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_REDUCE,
        .reduce = { .dst = LE64(dst), .a = LE64(a), .b = LE64(b), .count = LE64(count),
                    .op = op, .type = type },
    };
}

/* ---- CHECKSUM ---- */

static uint32_t model_crc(uint32_t seed, const uint8_t *data, uint64_t len)
{
    uint32_t crc = ~seed;

    for (uint64_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (uint32_t bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
        }
    }
    return ~crc;
}

static struct svan_accel_cmd random_checksum(Rng *rng, Model *model)
{
    uint64_t len = some_length(rng), src = somewhere(rng, len, 1);
    uint64_t dst = somewhere(rng, 4, 4);
    uint32_t seed = rng_below(rng, 2) ? rng_next(rng) : 0;

    put(model_at(model, dst), 4, false, model_crc(seed, model_at(model, src), len));
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_CHECKSUM,
        .checksum = { .src = LE64(src), .length = LE64(len), .dst = LE64(dst),
                      .seed = LE32(seed) },
    };
}

/* ---- all of them ---- */

static struct svan_accel_cmd (*const kinds[])(Rng *rng, Model *model) = {
    random_fill, random_copy, random_copy_wqe, random_patch, random_reduce, random_checksum,
};

static void compare(AccelFake *fake, Model *model, uint8_t opcode)
{
    for (uint64_t at = 0; at < HOST_SIZE - 4096; at += 4096) {
        if (memcmp(accel_fake_at(fake, HOST_VA + at), &model->host[at], 4096)) {
            fail_msg("opcode %u: host memory at %llx", opcode, (unsigned long long)at);
        }
    }
    for (uint64_t at = 0; at < LOCAL_SIZE; at += 4096) {
        if (memcmp(accel_fake_at(fake, LOCAL_VA + at), &model->local[at], 4096)) {
            fail_msg("opcode %u: local memory at %llx", opcode, (unsigned long long)at);
        }
    }
}

/* Numbers of floats that are no plain numbers are among the random octets. */
static void randomize(AccelFake *fake, Model *model, Rng *rng)
{
    static const uint32_t special[] = {
        0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00001, 0xff800001, 0x7f7fffff, 1,
    };

    for (uint64_t at = 0; at < HOST_SIZE; at += 4) {
        uint32_t word = rng_below(rng, 4) ? rng_next(rng) : special[rng_below(rng, 8)];

        memcpy(&model->host[at], &word, 4);
        memcpy(&model->local[at % LOCAL_SIZE], &word, 4);
    }
    for (uint64_t at = 0; at < HOST_SIZE; at += 4096) {
        memcpy(accel_fake_at(fake, HOST_VA + at), &model->host[at], 4096);
    }
    for (uint64_t at = 0; at < LOCAL_SIZE; at += 4096) {
        memcpy(accel_fake_at(fake, LOCAL_VA + at), &model->local[at], 4096);
    }
}

static void commands_are_as_modelled(uint64_t seed, uint32_t miss_permille, uint64_t reorder,
                                     uint32_t batch)
{
    AccelFake *fake = accel_fake_create(reorder);
    Model *model = malloc(sizeof(*model));
    Rng rng = rng_make(seed, 1);

    assert_non_null(model);
    printf("# seed %llu, %u permille miss, reorder %llu\n", (unsigned long long)seed,
           miss_permille, (unsigned long long)reorder);
    randomize(fake, model, &rng);
    accel_fake_context(fake, 3);
    accel_fake_queue(fake, 3, 1);
    fake->miss_permille = miss_permille;
    for (uint32_t i = 0; i < 600; i++) {
        struct svan_accel_cmd cmd = kinds[rng_below(&rng, SIZE(kinds))](&rng, model);

        accel_fake_post(fake, 3, 1, &cmd);
        if (i % batch == batch - 1) {
            accel_fake_ring(fake, 3, 1);
            accel_fake_run(fake);
            accel_fake_advance(fake, 1000000);
            assert_int_equal(accel_fake_head(fake, 3, 1), i + 1);
            compare(fake, model, cmd.opcode);
        }
    }
    assert_int_equal(fake->misses != 0, miss_permille != 0);
    assert_int_equal(accel_counted(fake).commands, 600);
    free(model);
    accel_fake_destroy(fake);
}

static void results_are_the_models(void **state)
{
    commands_are_as_modelled(1, 0, 0, 1);
    commands_are_as_modelled(2, 0, 0, 20);
}

static void misses_change_nothing(void **state)
{
    commands_are_as_modelled(1, 1000, 0, 1);
    commands_are_as_modelled(3, 400, 0, 20);
}

static void reordered_stores_change_nothing_in_the_end(void **state)
{
    commands_are_as_modelled(1, 0, 5, 1);
    commands_are_as_modelled(4, 400, 6, 20);
}

static void a_checksum_is_the_known_one(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = {
        .opcode = SVAN_ACCEL_CHECKSUM,
        .checksum = { .src = LE64(HOST_VA + 4090), .length = LE64(9), .dst = LE64(LOCAL_VA) },
    };

    accel_fake_set(fake, HOST_VA + 4090, "123456789", 9);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_fake_get64(fake, LOCAL_VA), 0xe3069283);
    /* of nothing: that of what comes before */
    cmd.checksum.length = 0;
    cmd.checksum.seed = LE32(0x12345678);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_fake_get64(fake, LOCAL_VA), 0x12345678);
}

/* A fill whose value is found where it is used. */
static void a_fill_may_be_indirect(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_fill(LOCAL_VA + 1, 10000, HOST_VA + 64);

    cmd.flags = SVAN_ACCEL_CMD_INDIRECT;
    accel_fake_set64(fake, HOST_VA + 64, 0x1122334455667788);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_fake_get64(fake, LOCAL_VA + 1), 0x1122334455667788);
    assert_int_equal(accel_fake_get64(fake, LOCAL_VA + 10001 - 8), 0x1122334455667788);
    assert_int_equal(*accel_fake_at(fake, LOCAL_VA + 10001), 0);
}

/* Contexts and queues take turns by pages, so a long copy delays nobody. */
static void a_long_copy_gives_way(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd big = cmd_copy(LOCAL_VA, HOST_VA, LOCAL_SIZE);
    struct svan_accel_cmd small = cmd_fill(HOST_VA + HOST_SIZE - 8192, 8, 0x55);

    accel_fake_queue(fake, 0, 1);
    accel_fake_context(fake, 1);
    accel_fake_queue(fake, 1, 0);
    accel_fake_post(fake, 0, 0, &big);
    accel_fake_ring(fake, 0, 0);
    assert_int_equal(accel_fake_step(fake), ACCEL_RUN_MORE);
    accel_fake_post(fake, 0, 1, &small);
    accel_fake_ring(fake, 0, 1);
    accel_fake_post(fake, 1, 0, &small);
    accel_fake_ring(fake, 1, 0);
    for (uint32_t i = 0; i < 6; i++) {
        accel_fake_step(fake);
    }
    assert_int_equal(accel_fake_head(fake, 0, 1), 1);
    assert_int_equal(accel_fake_head(fake, 1, 0), 1);
    assert_int_equal(accel_fake_head(fake, 0, 0), 0);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
    assert_in_range(fake->runs, LOCAL_SIZE / 4096, LOCAL_SIZE / 4096 + 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_the_models),
        cmocka_unit_test(misses_change_nothing),
        cmocka_unit_test(reordered_stores_change_nothing_in_the_end),
        ACCEL_TEST(a_checksum_is_the_known_one),
        ACCEL_TEST(a_fill_may_be_indirect),
        ACCEL_TEST(a_long_copy_gives_way),
    };

    return cmocka_run_group_tests_name("accel_compute", tests, NULL, NULL);
}
