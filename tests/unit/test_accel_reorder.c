/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stores that leave in an order of their own, as posted writes do.
 */
#include <stdio.h>

#include "accel.h"

#define SEEDS           100u
#define DATA            (HOST_VA + 0x1000)
#define FLAG            (LOCAL_VA + 0x2000)

static void look_at_data(AccelFake *fake, const AccelStore *store, void *arg)
{
    *(uint32_t *)arg += accel_fake_get64(fake, DATA) != 0x1111111111111111;
}

/* How often somebody who is rung finds that the data is not there. */
static uint32_t rung_too_early(uint64_t seed, bool fence)
{
    AccelFake *fake = accel_fake_create(seed);
    struct svan_accel_cmd data = cmd_fill(DATA, 8, 0x1111111111111111);
    struct svan_accel_cmd barrier = cmd_plain(SVAN_ACCEL_FENCE);
    struct svan_accel_cmd bell = cmd_write(WINDOW_VA, 8, 1);
    uint32_t early = 0;

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    fake->on_store = look_at_data;
    fake->on_store_arg = &early;
    accel_fake_post(fake, 0, 0, &data);
    if (fence) {
        accel_fake_post(fake, 0, 0, &barrier);
    }
    accel_fake_do(fake, 0, 0, &bell);
    assert_int_equal(fake->stores, 1);
    accel_fake_advance(fake, 1000000);
    assert_int_equal(accel_fake_get64(fake, DATA), 0x1111111111111111);
    accel_fake_destroy(fake);
    return early;
}

static void a_doorbell_overtakes_data_without_fence(void **state)
{
    uint32_t early = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        early += rung_too_early(seed, false);
        assert_int_equal(rung_too_early(seed, true), 0);
    }
    printf("# %u of %u seeds rang too early\n", early, SEEDS);
    assert_in_range(early, 1, SEEDS);
    assert_int_equal(rung_too_early(0, false), 0);
}

/* Two stores to different pages: is the flag ever there without the data? */
static uint32_t flag_before_data(uint64_t seed, bool fence, uint64_t flag)
{
    AccelFake *fake = accel_fake_create(seed);
    struct svan_accel_cmd cmds[] = {
        cmd_fill(DATA, 8, 1), cmd_plain(fence ? SVAN_ACCEL_FENCE : SVAN_ACCEL_NOP),
        cmd_write(flag, 8, 1),
    };
    uint32_t seen = 0;

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    for (uint32_t i = 0; i < SIZE(cmds); i++) {
        accel_fake_post(fake, 0, 0, &cmds[i]);
    }
    accel_fake_ring(fake, 0, 0);
    for (uint32_t i = 0; i < 200; i++) {
        accel_fake_step(fake);
        fake->now += 500;
        seen |= accel_fake_get64(fake, flag) && !accel_fake_get64(fake, DATA);
    }
    assert_int_equal(accel_fake_get64(fake, flag), 1);
    accel_fake_destroy(fake);
    return seen;
}

static void stores_pass_each_other_without_fence(void **state)
{
    uint32_t seen = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        seen += flag_before_data(seed, false, FLAG);
        assert_int_equal(flag_before_data(seed, true, FLAG), 0);
        /* to one page they keep their order */
        assert_int_equal(flag_before_data(seed, false, DATA + 64), 0);
    }
    printf("# %u of %u seeds let the flag pass\n", seen, SEEDS);
    assert_in_range(seen, 1, SEEDS);
}

/* A context reads what it has stored: three dependent copies, then a wait. */
static void a_context_sees_its_own_stores(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        AccelFake *fake = accel_fake_create(seed);
        struct svan_accel_cmd cmds[] = {
            cmd_fill(DATA, 9000, 0x0101010101010101 * (seed % 200 + 1)),
            cmd_copy(FLAG, DATA, 9000), cmd_copy(DATA + 0x8000, FLAG, 9000),
            cmd_wait(DATA + 0x8000 + 8192, 1), cmd_complete(FLAG + 0x4000, 7),
        };

        fake->miss_permille = seed % 2 * 500;
        accel_fake_context(fake, 0);
        accel_fake_queue(fake, 0, 0);
        for (uint32_t i = 0; i < SIZE(cmds); i++) {
            accel_fake_post(fake, 0, 0, &cmds[i]);
        }
        accel_fake_ring(fake, 0, 0);
        accel_fake_run(fake);
        assert_int_equal(accel_fake_head(fake, 0, 0), SIZE(cmds));
        accel_fake_advance(fake, 1000000);
        assert_int_equal(accel_fake_get64(fake, DATA + 0x8000 + 8992),
                         0x0101010101010101 * (seed % 200 + 1));
        assert_int_equal((uint32_t)accel_fake_get64(fake, FLAG + 0x4000), 7);
        accel_fake_destroy(fake);
    }
}

/* More stores than can be kept back, and a bound on how long they are. */
static void what_is_kept_back_is_bounded(void **state)
{
    AccelFake *fake = accel_fake_create(9);
    struct svan_accel_cmd cmd = cmd_fill(DATA, 60 * 4096, 0x7777777777777777);

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_in_range(fake->written, 28 * 4096, 59 * 4096);
    /* 32 stores of at most 20 us each */
    accel_fake_advance(fake, 640000);
    assert_int_equal(fake->written, 60 * 4096);
    assert_int_equal(fake->deadline, UINT64_MAX);
    accel_fake_destroy(fake);
}

static void a_reset_drops_what_is_kept_back(void **state)
{
    AccelFake *fake = accel_fake_create(2);
    struct svan_accel_cmd cmd = cmd_fill(DATA, 8 * 4096, 1);
    uint64_t written;

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    accel_fake_do(fake, 0, 0, &cmd);
    written = fake->written;
    assert_in_range(written, 0, 7 * 4096);
    accel_reset(fake->accel);
    /* nor does it come out in the context's next life */
    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    cmd = cmd_plain(SVAN_ACCEL_NOP);
    for (uint32_t i = 0; i < 50; i++) {
        accel_fake_do(fake, 0, 0, &cmd);
        accel_fake_advance(fake, 1000000);
    }
    assert_int_equal(accel_fake_head(fake, 0, 0), 50);
    assert_int_equal(fake->written, written);
    accel_fake_destroy(fake);
}

/* An address that was taken away before the store has left is not stored to. */
static void a_kept_store_is_translated_again(void **state)
{
    AccelFake *fake = accel_fake_create(2);
    struct svan_accel_cmd cmd = cmd_fill(DATA, 8 * 4096, 1);

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    accel_fake_do(fake, 0, 0, &cmd);
    for (uint32_t i = 0; i < 8; i++) {
        accel_fake_entry(fake, 0, DATA + i * 4096, 0);
    }
    accel_fake_write64(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_INVALIDATE),
                       SVAN_ACCEL_INV_ALL);
    fake->written = 0;
    accel_fake_advance(fake, 1000000);
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_FAULT)),
                     SVAN_ACCEL_NOT_MAPPED);
    assert_int_equal(fake->written, sizeof(struct svan_accel_record));
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_CONTEXT);
    accel_fake_destroy(fake);
}

static void a_lost_store_faults(uint64_t seed, const struct svan_accel_cmd *next)
{
    AccelFake *fake = accel_fake_create(seed);
    struct svan_accel_cmd cmd = cmd_fill(DATA, 8 * 4096, 1);

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    accel_fake_do(fake, 0, 0, &cmd);
    for (uint32_t i = 0; i < 8; i++) {
        accel_fake_entry(fake, 0, DATA + i * 4096, 0);
    }
    accel_fake_write64(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_INVALIDATE),
                       SVAN_ACCEL_INV_ALL);
    accel_fake_do(fake, 0, 0, next);
    accel_fake_advance(fake, 1000000);
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_FAULT_QUEUE)),
                     SVAN_ACCEL_QUEUES);
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_CONTEXT);
    accel_fake_destroy(fake);
}

/* It is no command's fault, though one may have waited for it or wanted its place. */
static void a_lost_store_is_no_queues_fault(void **state)
{
    struct svan_accel_cmd fence = cmd_plain(SVAN_ACCEL_FENCE);
    struct svan_accel_cmd more = cmd_fill(LOCAL_VA, 40 * 4096, 1);

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        a_lost_store_faults(seed, &fence);
        a_lost_store_faults(seed, &more);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_doorbell_overtakes_data_without_fence),
        cmocka_unit_test(stores_pass_each_other_without_fence),
        cmocka_unit_test(a_context_sees_its_own_stores),
        cmocka_unit_test(what_is_kept_back_is_bounded),
        cmocka_unit_test(a_reset_drops_what_is_kept_back),
        cmocka_unit_test(a_kept_store_is_translated_again),
        cmocka_unit_test(a_lost_store_is_no_queues_fault),
    };

    return cmocka_run_group_tests_name("accel_reorder", tests, NULL, NULL);
}
