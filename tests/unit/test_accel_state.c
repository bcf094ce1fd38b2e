/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saved state, in the middle of everything, and streams that nobody has saved.
 */
#include <stdio.h>

#include "accel.h"
#include "accel_inside.h"

#define DATA            (HOST_VA + 0x1000)
#define COUNT           (HOST_VA + 0x40000)
#define FLAG            (HOST_VA + 0x41000)

/* Queue 0 copies, 1 waits, 2 loops, 3 stores through a window. */
static void make_work(AccelFake *fake)
{
    struct svan_accel_cmd copy = cmd_copy(LOCAL_VA + 100, DATA, 20 * 4096);
    struct svan_accel_cmd wait = cmd_wait(FLAG, 1);
    struct svan_accel_cmd loop[] = { cmd_patch(COUNT, COUNT, 1), cmd_loop(1, 200) };
    struct svan_accel_cmd bell = cmd_write(WINDOW_VA, 8, 0x1234);
    struct svan_accel_cmd sum = {
        .opcode = SVAN_ACCEL_CHECKSUM,
        .checksum = { .src = LE64(DATA), .length = LE64(9 * 4096),
                      .dst = LE64(COUNT + 0x2000) },
    };

    accel_fake_context(fake, 2);
    for (uint32_t i = 0; i < 4; i++) {
        accel_fake_queue(fake, 2, i);
    }
    for (uint64_t i = 0; i < 20 * 4096; i += 8) {
        accel_fake_set64(fake, DATA + i, i * 0x9e3779b97f4a7c15);
    }
    wait.wait.limit_ns = LE64(50000000);
    accel_fake_post(fake, 2, 0, &copy);
    accel_fake_post(fake, 2, 1, &wait);
    accel_fake_post(fake, 2, 2, &loop[0]);
    accel_fake_post(fake, 2, 2, &loop[1]);
    accel_fake_post(fake, 2, 3, &sum);
    accel_fake_post(fake, 2, 3, &bell);
    for (uint32_t i = 0; i < 4; i++) {
        accel_fake_ring(fake, 2, i);
    }
}

static void work_is_done(AccelFake *fake)
{
    for (uint64_t i = 0; i < 20 * 4096; i += 8) {
        assert_int_equal(accel_fake_get64(fake, LOCAL_VA + 100 + i), i * 0x9e3779b97f4a7c15);
    }
    assert_int_equal(accel_fake_get64(fake, COUNT), 200);
    assert_int_equal(accel_fake_head(fake, 2, 0), 1);
    assert_int_equal(accel_fake_head(fake, 2, 1), 0);
    assert_int_equal(accel_fake_head(fake, 2, 2), 2);
    assert_int_equal(accel_fake_head(fake, 2, 3), 2);
    assert_int_equal(fake->last_store.value, 0x1234);
}

/* Saved and loaded after every `every` steps. */
static void survives(uint64_t reorder, uint32_t every, uint32_t *crc)
{
    AccelFake *fake = accel_fake_create(reorder);
    uint64_t end = fake->now + 50000000;
    uint32_t generation = accel_fake_read(fake, SVAN_ACCEL_REG_GENERATION);

    make_work(fake);
    for (uint32_t i = 1; i <= 1000; i++) {
        if (every && i % every == 0) {
            assert_true(accel_fake_restore(fake));
        }
        accel_fake_step(fake);
        if (fake->store_wanted && i % 5 == 0) {
            accel_fake_stores(fake);
        }
    }
    /* long commands have gone on from where they were */
    assert_int_equal(accel_fake_head(fake, 2, 0), 1);
    assert_int_equal(accel_fake_head(fake, 2, 3), 2);
    accel_fake_advance(fake, 1000000);
    work_is_done(fake);
    *crc = accel_fake_get64(fake, COUNT + 0x2000);
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_GENERATION), generation);
    assert_int_equal(accel_fake_state(fake, 2, 1), SVAN_ACCEL_QUEUE_WAITING);
    /* the limit is a time, not a rest */
    fake->now = end - 1;
    accel_fake_run(fake);
    assert_true(accel_fake_restore(fake));
    accel_fake_run(fake);
    assert_int_equal(accel_fake_state(fake, 2, 1), SVAN_ACCEL_QUEUE_WAITING);
    fake->now = end;
    accel_fake_run(fake);
    accel_fake_advance(fake, 1000000);
    assert_int_equal(accel_record(fake, 2, 1).status, SVAN_ACCEL_TIMEOUT);
    accel_fake_destroy(fake);
}

static void work_survives_being_saved(void **state)
{
    uint32_t want, crc;

    survives(0, 0, &want);
    survives(0, 1, &crc);
    assert_int_equal(crc, want);
    survives(0, 7, &crc);
    assert_int_equal(crc, want);
    survives(3, 1, &crc);
    assert_int_equal(crc, want);
    survives(4, 5, &crc);
    assert_int_equal(crc, want);
}

/* What was rung and not looked at is in the stream, and so is what stands in registers. */
static void doorbells_and_registers_survive(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_fill(LOCAL_VA, 8, 5);

    accel_fake_post(fake, 0, 0, &cmd);
    accel_fake_ring(fake, 0, 0);
    accel_fake_write64(fake, SVAN_ACCEL_REG_QUEUE(9, 1, SVAN_ACCEL_QUEUE_BASE), 0x123456789a);
    assert_true(accel_fake_restore(fake));
    accel_fake_run(fake);
    assert_int_equal(accel_fake_get64(fake, LOCAL_VA), 5);
    assert_int_equal(accel_reg_read(fake->accel,
                                    SVAN_ACCEL_REG_QUEUE(9, 1, SVAN_ACCEL_QUEUE_BASE), 8),
                     0x123456789a);
}

static void a_store_survives_and_an_old_end_is_ignored(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_write(WINDOW_VA, 8, 5);
    AccelStore store;
    size_t len;
    void *stream;

    fake->hold_stores = true;
    accel_fake_do(fake, 0, 0, &cmd);
    assert_true(accel_store_next(fake->accel, &store));
    stream = accel_save(fake->accel, &len);
    assert_non_null(stream);
    assert_true(accel_load(fake->accel, stream, len));
    free(stream);
    accel_store_end(fake->accel, &store, true);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 0);
    accel_fake_stores(fake);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
}

static void saves_what_it_has_loaded(AccelFake *fake)
{
    size_t len, again_len;
    void *stream = accel_save(fake->accel, &len), *again;

    assert_non_null(stream);
    assert_true(accel_fake_restore(fake));
    again = accel_save(fake->accel, &again_len);
    assert_non_null(again);
    assert_int_equal(again_len, len);
    assert_memory_equal(again, stream, len);
    free(again);
    free(stream);
}

/* With stores that are kept back, and when all of them have left. */
static void what_is_loaded_is_what_is_saved(void **state)
{
    AccelFake *fake = accel_fake_create(3);
    struct svan_accel_cmd cmd = cmd_fill(DATA, 8, 5);

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    accel_fake_do(fake, 0, 0, &cmd);
    saves_what_it_has_loaded(fake);
    accel_fake_advance(fake, 1000000);
    assert_int_equal(accel_fake_get64(fake, DATA), 5);
    assert_non_null(fake->accel->ctxs[0].kept);
    saves_what_it_has_loaded(fake);
    accel_fake_destroy(fake);
}

/*
 * Nobody tells the device that has loaded it of stores that came before, and no stream says
 * when to look.
 */
static void a_wait_is_looked_at_when_it_is_loaded(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd wait = cmd_wait(FLAG, 1);

    accel_fake_do(fake, 0, 0, &wait);
    accel_fake_advance(fake, 20000000);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_WAITING);
    saves_what_it_has_loaded(fake);
    accel_fake_set64(fake, FLAG, 1);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
}

/*
 * While the operand of a command is not at hand, that of the one before it is still
 * there, and may be none for it.
 */
static void an_operand_to_come_survives(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd wide = cmd_write(DATA, 8, UINT64_MAX - 1);
    struct svan_accel_cmd narrow = cmd_write(DATA + 8, 4, FLAG);

    accel_fake_do(fake, 0, 0, &wide);
    narrow.flags = SVAN_ACCEL_CMD_INDIRECT;
    accel_fake_set64(fake, FLAG, 7);
    accel_fake_post(fake, 0, 0, &narrow);
    accel_fake_ring(fake, 0, 0);
    fake->miss_permille = 1000;
    while (accel_run(fake->accel) == ACCEL_RUN_MISS) {
        assert_true(accel_fake_restore(fake));
        assert_in_range(++fake->runs, 0, 1000);
    }
    assert_int_equal(accel_fake_head(fake, 0, 0), 2);
    assert_int_equal(accel_fake_get64(fake, DATA + 8), 7);
}

/* The numbers of stores that are kept back are not saved, so nobody can give bad ones. */
static void numbers_of_stores_begin_anew(void **state)
{
    AccelFake *fake = accel_fake_create(3);
    struct svan_accel_cmd cmd = cmd_fill(DATA, 8, 5);
    AccelKept *kept;

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    accel_fake_do(fake, 0, 0, &cmd);
    kept = fake->accel->ctxs[0].kept;
    assert_int_equal(kept->count, 1);
    kept->sequence = INT64_MAX;
    kept->stores[kept->order[0]].sequence = INT64_MAX - 1;
    saves_what_it_has_loaded(fake);
    kept = fake->accel->ctxs[0].kept;
    assert_int_equal(kept->sequence, 2);
    assert_int_equal(kept->stores[kept->order[0]].sequence, 1);
    accel_fake_do(fake, 0, 0, &cmd);
    saves_what_it_has_loaded(fake);
    accel_fake_destroy(fake);
}

/* Saved between the stores that it waits for, and with some that came behind it. */
static void a_fence_survives(void **state)
{
    for (uint32_t after = 0; after < 12; after++) {
        AccelFake *fake = accel_fake_create(3 + after);
        struct svan_accel_cmd fence = cmd_plain(SVAN_ACCEL_FENCE), cmd;

        accel_fake_context(fake, 0);
        accel_fake_queue(fake, 0, 0);
        accel_fake_queue(fake, 0, 1);
        /* as after many stores, which are not counted any more after the load */
        accel_kept_make(&fake->accel->ctxs[0])->sequence = 1ull << 40;
        for (uint32_t i = 0; i < 8; i++) {
            cmd = cmd_fill(DATA + i * 4096, 8, 5);
            accel_fake_post(fake, 0, 0, &cmd);
            cmd = cmd_fill(DATA + (8 + i) * 4096, 8, 5);
            accel_fake_post(fake, 0, 1, &cmd);
        }
        fence.flags = SVAN_ACCEL_CMD_RECORD;
        accel_fake_post(fake, 0, 0, &fence);
        accel_fake_ring(fake, 0, 0);
        accel_fake_ring(fake, 0, 1);
        for (uint32_t i = 0; i < 8 + after; i++) {
            accel_fake_step(fake);
        }
        for (uint32_t i = 0; accel_fake_head(fake, 0, 0) < 9; i++) {
            assert_in_range(i, 0, 1000);
            saves_what_it_has_loaded(fake);
            accel_fake_step(fake);
        }
        for (uint32_t i = 0; i < 8; i++) {
            assert_int_equal(accel_fake_get64(fake, DATA + i * 4096), 5);
        }
        accel_fake_destroy(fake);
    }
}

/* Wherever the indices of a state begin, what has run since is accepted as well. */
static void indices_begin_anywhere(void **state)
{
    static const uint64_t first[] = {
        0, UINT32_MAX, 1ull << 32, INT64_MAX - 1, INT64_MAX, 1ull << 63, UINT64_MAX,
    };
    struct svan_accel_cmd nop = cmd_plain(SVAN_ACCEL_NOP);

    for (uint32_t i = 0; i < SIZE(first); i++) {
        AccelFake *fake = accel_fake_create(0);
        AccelQueue *queue = &fake->accel->ctxs[0].queues[0];

        accel_fake_context(fake, 0);
        accel_fake_queue(fake, 0, 0);
        queue->head = queue->index = queue->producer = first[i];
        accel_queue_open_doorbell(queue, (uint32_t)first[i]);
        fake->posted[0][0] = first[i];
        if (accel_fake_restore(fake)) {
            accel_fake_post(fake, 0, 0, &nop);
            accel_fake_do(fake, 0, 0, &nop);
            assert_int_equal(accel_fake_head(fake, 0, 0), (uint32_t)(first[i] + 2));
            saves_what_it_has_loaded(fake);
        }
        accel_fake_destroy(fake);
    }
}

/* Neither the bad index nor the interrupt that is still to come is lost. */
static void what_is_still_to_be_told_survives(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_plain(SVAN_ACCEL_INTERRUPT);

    for (uint32_t i = 0; i <= SVAN_ACCEL_IRQ_BURST; i++) {
        accel_fake_do(fake, 0, 0, &cmd);
    }
    assert_int_equal(fake->irqs[1], SVAN_ACCEL_IRQ_BURST);
    accel_doorbell(fake->accel, SVAN_ACCEL_DB(0), 1u << 31, 8);
    accel_fake_ring(fake, 0, 0);
    saves_what_it_has_loaded(fake);
    accel_fake_run(fake);
    assert_true(fake->irqs[1] > SVAN_ACCEL_IRQ_BURST);
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_BAD_INDEX);
}

/* What has copied its last block has ended: nobody saves it, and no step copies nothing. */
static void a_copy_that_has_ended_is_refused(void **state)
{
    AccelFake *fake = *state;
    AccelQueue *queue;

    for (uint32_t done = 0; done <= 128; done += 64) {
        accel_fake_replace(fake, 0);
        accel_fake_context(fake, 0);
        accel_fake_queue(fake, 0, 0);
        queue = &fake->accel->ctxs[0].queues[0];
        queue->producer = 1;
        accel_queue_open_doorbell(queue, 1);
        queue->have = queue->resolved = true;
        queue->cmd = cmd_copy_wqe(DATA, 4, FLAG, 0, 2);
        queue->done = done;
        assert_int_equal(accel_fake_restore(fake), done < 128);
    }
}

static void is_reset(AccelFake *fake)
{
    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        uint32_t at = SVAN_ACCEL_REG_CTX(i, SVAN_ACCEL_CTX_STATE);

        assert_int_equal(accel_fake_read(fake, at), SVAN_ACCEL_CTX_OFF);
        assert_int_equal(accel_fake_state(fake, i, 0), SVAN_ACCEL_QUEUE_OFF);
    }
    assert_int_equal(accel_run(fake->accel), ACCEL_RUN_IDLE);
}

/* A stream of a device in the middle of its work. */
static uint8_t *busy_stream(AccelFake *fake, size_t *len)
{
    uint8_t *stream;

    make_work(fake);
    for (uint32_t i = 0; i < 30; i++) {
        accel_fake_step(fake);
    }
    stream = accel_save(fake->accel, len);
    assert_non_null(stream);
    return stream;
}

static void short_and_long_streams_are_refused(void **state)
{
    AccelFake *fake = accel_fake_create(3);
    size_t len;
    uint8_t *stream = busy_stream(fake, &len), *longer = calloc(1, len + 1);

    for (size_t cut = 0; cut < len; cut += cut % 97 + 1) {
        assert_false(accel_load(fake->accel, stream, cut));
    }
    is_reset(fake);
    assert_non_null(longer);
    memcpy(longer, stream, len);
    assert_false(accel_load(fake->accel, longer, len + 1));
    is_reset(fake);
    assert_true(accel_load(fake->accel, longer, len));
    free(longer);
    free(stream);
    accel_fake_destroy(fake);
}

/* Whatever is loaded runs, and ends nowhere. */
static void damaged_streams_hurt_nobody(void **state)
{
    AccelFake *fake = accel_fake_create(3);
    Rng rng = rng_make(5, 3);
    size_t len, busy = 2000 + 2 * 160;
    uint8_t *stream = busy_stream(fake, &len), *copy = malloc(len);
    uint32_t loaded = 0, refused = 0;

    printf("# seed 5\n");
    assert_non_null(copy);
    for (uint32_t i = 0; i < 6000; i++) {
        memcpy(copy, stream, len);
        for (uint64_t n = rng_between(&rng, 1, 3); n; n--) {
            size_t at = rng_below(&rng, rng_below(&rng, 4) && busy < len ? busy : len);

            copy[at] = rng_below(&rng, 2) ? rng_next(&rng) : copy[at] ^ 1u << rng_below(&rng, 8);
        }
        if (accel_load(fake->accel, copy, len)) {
            loaded++;
            for (uint32_t j = 0; j < 60; j++) {
                accel_fake_step(fake);
                fake->now += 10000;
                accel_fake_stores(fake);
            }
        } else {
            refused++;
            is_reset(fake);
        }
    }
    printf("# %u loaded, %u refused\n", loaded, refused);
    assert_in_range(loaded, 100, 5900);
    assert_in_range(refused, 100, 5900);
    free(copy);
    free(stream);
    accel_fake_destroy(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_survives_being_saved),
        ACCEL_TEST(doorbells_and_registers_survive),
        ACCEL_TEST(a_store_survives_and_an_old_end_is_ignored),
        cmocka_unit_test(what_is_loaded_is_what_is_saved),
        ACCEL_TEST(a_wait_is_looked_at_when_it_is_loaded),
        ACCEL_TEST(an_operand_to_come_survives),
        cmocka_unit_test(numbers_of_stores_begin_anew),
        cmocka_unit_test(a_fence_survives),
        cmocka_unit_test(indices_begin_anywhere),
        ACCEL_TEST(what_is_still_to_be_told_survives),
        ACCEL_TEST(a_copy_that_has_ended_is_refused),
        cmocka_unit_test(short_and_long_streams_are_refused),
        cmocka_unit_test(damaged_streams_hurt_nobody),
    };

    return cmocka_run_group_tests_name("accel_state", tests, NULL, NULL);
}
