/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * WAIT: how it ends, and when it looks.
 */
#include "accel.h"

#define VALUE           (HOST_VA + 0x1040)
#define ERRORS          (HOST_VA + 0x2080)
#define STATUS          (HOST_VA + 0x3000)

static struct svan_accel_cmd full_wait(uint64_t value, uint64_t limit_ns)
{
    struct svan_accel_cmd cmd = cmd_wait(VALUE, value);

    cmd.wait.errors = LE64(ERRORS);
    cmd.wait.error_value = LE64(3);
    cmd.wait.limit_ns = LE64(limit_ns);
    cmd.wait.status = LE64(STATUS);
    return cmd;
}

static void begin(AccelFake *fake, const struct svan_accel_cmd *cmd)
{
    accel_fake_set64(fake, ERRORS, 3);
    accel_fake_set64(fake, STATUS, 0x5555);
    accel_fake_do(fake, 0, 0, cmd);
}

static void touch(AccelFake *fake, uint64_t va)
{
    accel_touched(fake->accel, ACCEL_HOST, accel_fake_bus(fake, va));
}

static void a_touched_value_ends_it_at_once(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 0);
    uint64_t looks;
    uint32_t kicks;

    begin(fake, &cmd);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_WAITING);
    looks = accel_counted(fake).looks;
    kicks = fake->kicks;
    touch(fake, VALUE + 4096 * 5);
    assert_int_equal(fake->kicks, kicks);
    accel_fake_run(fake);
    assert_int_equal(accel_counted(fake).looks, looks);
    accel_fake_set64(fake, VALUE, 7);
    touch(fake, VALUE ^ 8);
    assert_int_equal(fake->kicks, kicks + 1);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_RUNNING);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
    assert_int_equal(accel_fake_get64(fake, STATUS), SVAN_ACCEL_OK);
    assert_int_equal(accel_counted(fake).wakes, 1);
    assert_int_equal(accel_counted(fake).waits, 1);
}

/* The world knows which pages are slept on, as long as they are. */
static void the_world_watches_for_those_that_sleep(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 0);

    begin(fake, &cmd);
    assert_ptr_equal(fake->watched[0], accel_fake_at(fake, VALUE));
    assert_ptr_equal(fake->watched[1], accel_fake_at(fake, ERRORS));
    /* Once is enough: looks in vain do not tell it again. */
    fake->watched[0] = fake;
    accel_fake_advance(fake, 20000000);
    assert_ptr_equal(fake->watched[0], fake);
    /* The value moves, and is watched where it is then. */
    accel_fake_entry(fake, 0, VALUE, accel_fake_bus(fake, HOST_VA + 0x9000) |
                                     SVAN_ACCEL_PTE_PRESENT);
    accel_fake_write64(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_INVALIDATE), VALUE & ~4095ull);
    accel_fake_run(fake);
    assert_ptr_equal(fake->watched[0], accel_fake_at(fake, HOST_VA + 0x9040));
    accel_fake_entry(fake, 0, VALUE, accel_fake_bus(fake, VALUE & ~4095ull) |
                                     SVAN_ACCEL_PTE_PRESENT);
    accel_fake_write64(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_INVALIDATE), VALUE & ~4095ull);
    accel_fake_run(fake);
    assert_ptr_equal(fake->watched[0], accel_fake_at(fake, VALUE));
    accel_fake_set64(fake, VALUE, 7);
    touch(fake, VALUE);
    accel_fake_run(fake);
    assert_null(fake->watched[0]);
    assert_null(fake->watched[1]);

    cmd.wait.errors = 0;
    accel_fake_set64(fake, VALUE, 0);
    begin(fake, &cmd);
    assert_ptr_equal(fake->watched[0], accel_fake_at(fake, VALUE));
    assert_null(fake->watched[1]);
    accel_reset(fake->accel);
    assert_null(fake->watched[0]);
}

/*
 * A store that came while the page is not watched would be seen by the next look only,
 * which may be far. So the watch goes on while looks find nothing.
 */
static void looks_do_not_interrupt_the_watch(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 0);
    uint64_t looks;

    begin(fake, &cmd);
    assert_int_equal(fake->watches, 2);
    looks = accel_counted(fake).looks;
    accel_fake_advance(fake, 20000000);
    touch(fake, VALUE);
    accel_fake_run(fake);
    assert_in_range(accel_counted(fake).looks, looks + 5, looks + 100);
    assert_int_equal(fake->watches, 2);
    accel_fake_set64(fake, VALUE, 7);
    touch(fake, VALUE);
    accel_fake_run(fake);
    assert_int_equal(fake->watches, 4);
}

/* Nobody tells of what was stored before a page is watched, so a look follows soon. */
static void a_value_that_moves_is_looked_at_soon(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 0);
    uint64_t elsewhere = accel_fake_bus(fake, VALUE + 5 * 4096) & ~4095ull;

    begin(fake, &cmd);
    accel_fake_advance(fake, 20000000);
    accel_fake_entry(fake, 0, VALUE, elsewhere | SVAN_ACCEL_PTE_PRESENT);
    accel_fake_write64(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_INVALIDATE),
                       SVAN_ACCEL_INV_ALL);
    accel_fake_run(fake);
    assert_ptr_equal(fake->watched[0], accel_fake_at(fake, VALUE + 5 * 4096));
    assert_int_equal(fake->watches, 4);
    assert_in_range(fake->deadline, fake->now, fake->now + 1000);
    accel_fake_set64(fake, VALUE + 5 * 4096, 7);
    accel_fake_advance(fake, 1000);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
}

static void the_device_wakes_its_own(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd wait = cmd_wait(VALUE, 7), fill = cmd_fill(VALUE, 8, 7);

    accel_fake_queue(fake, 0, 1);
    accel_fake_do(fake, 0, 0, &wait);
    accel_fake_do(fake, 0, 1, &fill);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
}

static void changed_errors_end_it(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 0);

    begin(fake, &cmd);
    accel_fake_set64(fake, ERRORS, 4);
    touch(fake, ERRORS);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_get64(fake, STATUS), SVAN_ACCEL_ERROR_COUNT);
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_ERROR_COUNT);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_STOPPED);
}

static void a_limit_ends_it(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 12345678);
    uint64_t end = fake->now + 12345678;

    begin(fake, &cmd);
    accel_fake_advance(fake, end - 1 - fake->now);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_WAITING);
    accel_fake_advance(fake, 1);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_STOPPED);
    assert_int_equal(accel_fake_get64(fake, STATUS), SVAN_ACCEL_TIMEOUT);
    assert_int_equal(accel_counted(fake).timeouts, 1);
}

static void the_value_comes_before_errors_before_the_limit(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 1000000);

    cmd.flags = SVAN_ACCEL_CMD_CONTINUE;
    begin(fake, &cmd);
    accel_fake_set64(fake, ERRORS, 4);
    fake->now += 2000000;
    accel_fake_run(fake);
    assert_int_equal(accel_fake_get64(fake, STATUS), SVAN_ACCEL_ERROR_COUNT);
    begin(fake, &cmd);
    accel_fake_set64(fake, ERRORS, 4);
    accel_fake_set64(fake, VALUE, 8);
    fake->now += 2000000;
    accel_fake_run(fake);
    assert_int_equal(accel_fake_get64(fake, STATUS), SVAN_ACCEL_OK);
    assert_int_equal(accel_fake_head(fake, 0, 0), 2);
}

static void continue_goes_on_and_completions_tell(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 1000), complete = cmd_complete(LOCAL_VA, 1);
    struct svan_accel_completion completion;

    cmd.flags = SVAN_ACCEL_CMD_CONTINUE;
    cmd.wait.status = 0;
    accel_fake_post(fake, 0, 0, &cmd);
    begin(fake, &complete);
    accel_fake_advance(fake, 1000);
    accel_fake_get(fake, LOCAL_VA, &completion, sizeof(completion));
    assert_int_equal(completion.status, SVAN_ACCEL_TIMEOUT);
    assert_int_equal(accel_fake_get64(fake, STATUS), 0x5555);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_RUNNING);
}

static bool holds(uint8_t condition, uint8_t width, uint64_t seen, uint64_t value, uint64_t mask)
{
    AccelFake *fake = accel_fake_create(0);
    struct svan_accel_cmd cmd = cmd_wait(VALUE, value);
    bool held;

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    cmd.condition = condition;
    cmd.width = width;
    cmd.wait.mask = LE64(mask);
    accel_fake_set64(fake, VALUE, seen);
    accel_fake_do(fake, 0, 0, &cmd);
    held = accel_fake_head(fake, 0, 0);
    accel_fake_destroy(fake);
    return held;
}

static void conditions_hold(void **state)
{
    const uint64_t all = UINT64_MAX;

    assert_true(holds(SVAN_ACCEL_EQUAL, 8, 0xab34, 0x0034, 0x00ff));
    assert_false(holds(SVAN_ACCEL_EQUAL, 8, 0xab34, 0x0034, 0xffff));
    assert_true(holds(SVAN_ACCEL_EQUAL, 4, 0x100000007, 7, all));
    assert_false(holds(SVAN_ACCEL_EQUAL, 8, 0x100000007, 7, all));
    assert_true(holds(SVAN_ACCEL_AT_LEAST, 8, 1ull << 63, 1, all));
    assert_false(holds(SVAN_ACCEL_AT_LEAST, 4, 0xffffffff00000000, 1, all));
    assert_true(holds(SVAN_ACCEL_REACHED, 4, 5, 0xfffffff0, all));
    assert_false(holds(SVAN_ACCEL_REACHED, 4, 0xfffffff0, 5, all));
    assert_false(holds(SVAN_ACCEL_REACHED, 8, 5, 0xfffffff0, all));
    assert_true(holds(SVAN_ACCEL_REACHED, 8, 5, 0xfffffffffffffff0, all));
    assert_true(holds(SVAN_ACCEL_REACHED, 8, 5, 5, all));
}

static void the_value_may_be_indirect(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_wait(VALUE, HOST_VA + 8);

    cmd.flags = SVAN_ACCEL_CMD_INDIRECT;
    accel_fake_set64(fake, HOST_VA + 8, 9);
    accel_fake_set64(fake, VALUE, 8);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_fake_head(fake, 0, 0), 0);
    accel_fake_set64(fake, VALUE, 9);
    touch(fake, VALUE);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
}

/* A CPU's store is seen at the next look, and gaps grow to 8 ms, no further. */
static void looks_back_off(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_wait(VALUE, 7);
    uint64_t start = fake->now, looks;

    accel_fake_do(fake, 0, 0, &cmd);
    assert_in_range(fake->deadline, start + 1, start + 1000);
    accel_fake_advance(fake, 100000000);
    looks = accel_counted(fake).looks;
    assert_in_range(looks, 20, 30);
    assert_in_range(fake->deadline, fake->now + 1, fake->now + 8000000);
    accel_fake_set64(fake, VALUE, 7);
    accel_fake_advance(fake, 8000000);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
    assert_int_equal(accel_counted(fake).looks, looks + 1);
    accel_fake_advance(fake, 1);
    assert_int_equal(fake->deadline, UINT64_MAX);
}

#define QUEUES          (SVAN_ACCEL_CONTEXTS * SVAN_ACCEL_QUEUES)

/* Idle waiters look together: those of all queues cost as many wake-ups as one. */
static void many_waiters_share_their_wake_ups(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_wait(VALUE, 7);
    uint32_t deadlines = 0;
    uint64_t looks, runs, end;

    for (uint32_t i = 0; i < QUEUES; i++) {
        if (i % 4 == 0 && i) {
            accel_fake_context(fake, i / 4);
        }
        if (i) {
            accel_fake_queue(fake, i / 4, i % 4);
        }
        accel_fake_do(fake, i / 4, i % 4, &cmd);
        accel_fake_advance(fake, 12345);
    }
    accel_fake_advance(fake, 100000000);
    looks = accel_counted(fake).looks;
    runs = fake->runs;
    end = fake->now + 1000000000;
    while (fake->deadline <= end) {
        fake->now = fake->deadline;
        accel_fake_run(fake);
        deadlines++;
    }
    assert_in_range(deadlines, 120, 130);
    assert_in_range(accel_counted(fake).looks - looks, 120 * QUEUES, 130 * QUEUES);
    /* and looks in vain share runs */
    assert_in_range(fake->runs - runs, deadlines, deadlines * (QUEUES / 16));
    accel_fake_set64(fake, VALUE, 7);
    touch(fake, VALUE);
    accel_fake_run(fake);
    assert_int_equal(accel_counted(fake).waits, QUEUES);
}

static void a_wait_may_miss_anywhere(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 0);

    fake->miss_permille = 1000;
    begin(fake, &cmd);
    assert_int_equal(accel_counted(fake).looks, 1);
    accel_fake_set64(fake, VALUE, 7);
    touch(fake, VALUE);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_get64(fake, STATUS), SVAN_ACCEL_OK);
    assert_int_equal(accel_counted(fake).waits, 1);
}

/* The page that is waited for moves, or goes away: the next look is at once. */
static void an_invalidation_makes_it_look(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 0);
    uint64_t other = accel_fake_bus(fake, HOST_VA + 0x9000);

    begin(fake, &cmd);
    accel_fake_advance(fake, 20000000);
    accel_fake_entry(fake, 0, VALUE, other | SVAN_ACCEL_PTE_PRESENT);
    accel_fake_write64(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_INVALIDATE), VALUE & ~4095ull);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_WAITING);
    accel_fake_set64(fake, HOST_VA + 0x9040, 7);
    accel_touched(fake->accel, ACCEL_HOST, other);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_get64(fake, STATUS), SVAN_ACCEL_OK);
    accel_fake_set64(fake, HOST_VA + 0x9040, 0);
    begin(fake, &cmd);
    accel_fake_entry(fake, 0, VALUE, 0);
    accel_invalidate_bus(fake->accel, 0, 0);
    accel_fake_run(fake);
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_NOT_MAPPED);
}

/* A waiter that is gone is looked for no more. */
static void a_disabled_waiter_is_forgotten(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = full_wait(7, 1000000);

    begin(fake, &cmd);
    accel_fake_write(fake, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_CONTROL), 0);
    accel_fake_set64(fake, VALUE, 7);
    touch(fake, VALUE);
    accel_fake_advance(fake, 10000000);
    assert_int_equal(accel_counted(fake).looks, 1);
    assert_int_equal(fake->deadline, UINT64_MAX);
    assert_int_equal(accel_fake_get64(fake, STATUS), 0x5555);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEL_TEST(a_touched_value_ends_it_at_once),
        ACCEL_TEST(the_world_watches_for_those_that_sleep),
        ACCEL_TEST(looks_do_not_interrupt_the_watch),
        ACCEL_TEST(a_value_that_moves_is_looked_at_soon),
        ACCEL_TEST(the_device_wakes_its_own),
        ACCEL_TEST(changed_errors_end_it),
        ACCEL_TEST(a_limit_ends_it),
        ACCEL_TEST(the_value_comes_before_errors_before_the_limit),
        ACCEL_TEST(continue_goes_on_and_completions_tell),
        cmocka_unit_test(conditions_hold),
        ACCEL_TEST(the_value_may_be_indirect),
        ACCEL_TEST(looks_back_off),
        ACCEL_TEST(many_waiters_share_their_wake_ups),
        ACCEL_TEST(a_wait_may_miss_anywhere),
        ACCEL_TEST(an_invalidation_makes_it_look),
        ACCEL_TEST(a_disabled_waiter_is_forgotten),
    };

    return cmocka_run_group_tests_name("accel_wait", tests, NULL, NULL);
}
