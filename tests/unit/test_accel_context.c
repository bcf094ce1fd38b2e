/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers, contexts, translation, windows and doorbells.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "accel.h"
#include "accel_inside.h"

#define CTX(n, reg)     SVAN_ACCEL_REG_CTX(n, SVAN_ACCEL_CTX_##reg)
#define QUEUE(n, q, reg) SVAN_ACCEL_REG_QUEUE(n, q, SVAN_ACCEL_QUEUE_##reg)

static void registers_tell_the_device(void **state)
{
    AccelFake *fake = *state;
    uint32_t generation = accel_fake_read(fake, SVAN_ACCEL_REG_GENERATION);

    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_MAGIC), SVAN_ACCEL_MAGIC);
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_CONTEXTS),
                     SVAN_ACCEL_CONTEXTS);
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_QUEUES), 4);
    assert_int_equal(accel_reg_read(fake->accel, SVAN_ACCEL_REG_MEM_SIZE, 8), LOCAL_SIZE);
    assert_int_equal(accel_reg_read(fake->accel, SVAN_ACCEL_REG_CLOCK, 8), fake->now);
    fake->now = 0x1234567890;
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_CLOCK), 0x34567890);
    fake->now = 0xff00000000;
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_CLOCK + 4), 0x12);
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_DRAIN), 0);
    /* not aligned, of a wrong size, or beyond the end */
    assert_int_equal(accel_reg_read(fake->accel, 2, 4), 0);
    assert_int_equal(accel_reg_read(fake->accel, 0, 8), 0);
    assert_int_equal(accel_reg_read(fake->accel, 0, 2), 0);
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_END), 0);
    accel_fake_write(fake, SVAN_ACCEL_REG_CONTROL, SVAN_ACCEL_CONTROL_RESET);
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_GENERATION), generation + 1);
    assert_int_equal(accel_fake_read(fake, CTX(0, STATE)), SVAN_ACCEL_CTX_OFF);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_OFF);
    assert_int_equal(accel_reg_read(fake->accel, QUEUE(0, 0, BASE), 8), 0);
    assert_int_equal(accel_reg_read(fake->accel, CTX(0, TABLE), 8), 0);
}

static void wide_registers_have_halves(void **state)
{
    AccelFake *fake = *state;

    accel_fake_write(fake, QUEUE(5, 3, BASE), 0x11223344);
    accel_fake_write(fake, QUEUE(5, 3, BASE) + 4, 0x55667788);
    assert_int_equal(accel_reg_read(fake->accel, QUEUE(5, 3, BASE), 8), 0x5566778811223344);
    assert_int_equal(accel_fake_read(fake, QUEUE(5, 3, BASE) + 4), 0x55667788);
    assert_int_equal(accel_reg_read(fake->accel, QUEUE(5, 2, BASE), 8), 0);
}

static void bad_contexts_and_queues_are_told(void **state)
{
    AccelFake *fake = *state;

    accel_fake_write(fake, CTX(7, LEVELS), 5);
    accel_fake_write(fake, CTX(7, CONTROL), SVAN_ACCEL_CTX_ENABLE);
    assert_int_equal(accel_fake_read(fake, CTX(7, STATE)), SVAN_ACCEL_CTX_FAULTED);
    assert_int_equal(accel_fake_read(fake, CTX(7, FAULT)), SVAN_ACCEL_BAD_PARAM);
    assert_int_equal(accel_fake_read(fake, CTX(7, FAULT_QUEUE)), SVAN_ACCEL_QUEUES);
    assert_int_equal(fake->irqs[0], 1);
    assert_int_equal(fake->irqs[8], 1);
    accel_fake_write(fake, CTX(7, CONTROL), 0);
    assert_int_equal(accel_fake_read(fake, CTX(7, STATE)), SVAN_ACCEL_CTX_OFF);
    /* a queue of a context that is off */
    accel_fake_write(fake, QUEUE(7, 0, CONTROL), SVAN_ACCEL_QUEUE_ENABLE);
    assert_int_equal(accel_fake_state(fake, 7, 0), SVAN_ACCEL_QUEUE_OFF);
    accel_fake_write64(fake, QUEUE(0, 1, BASE), HOST_VA + 32);
    accel_fake_write(fake, QUEUE(0, 1, CONTROL), SVAN_ACCEL_QUEUE_ENABLE);
    assert_int_equal(accel_fake_state(fake, 0, 1), SVAN_ACCEL_QUEUE_STOPPED);
    assert_int_equal(fake->irqs[1], 1);
    accel_fake_write(fake, QUEUE(0, 1, CONTROL), 0);
    assert_int_equal(accel_fake_state(fake, 0, 1), SVAN_ACCEL_QUEUE_OFF);
}

/* Context 0 has a queue that waits and one that is idle, too; its first one does it. */
static void faults_isolate(struct svan_accel_cmd cmd, uint8_t status, uint64_t addr)
{
    AccelFake *fake = accel_fake_create(0);
    struct svan_accel_cmd idle = cmd_wait(HOST_VA, 1), after = cmd_fill(LOCAL_VA + 64, 8, 9);

    for (uint32_t i = 0; i < 4; i++) {
        if (i % 2 == 0) {
            accel_fake_context(fake, i / 2);
        }
        accel_fake_queue(fake, i / 2, i % 2);
    }
    accel_fake_queue(fake, 0, 2);
    accel_fake_do(fake, 0, 1, &idle);
    accel_fake_do(fake, 1, 0, &idle);
    fake->miss_permille = 500;
    cmd.tag = LE32(4711);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_fake_read(fake, CTX(0, STATE)), SVAN_ACCEL_CTX_FAULTED);
    assert_int_equal(accel_fake_read(fake, CTX(0, FAULT)), status);
    assert_int_equal(accel_fake_read(fake, CTX(0, FAULT_QUEUE)), 0);
    assert_int_equal(accel_reg_read(fake->accel, CTX(0, FAULT_ADDR), 8), addr);
    assert_int_equal(accel_record(fake, 0, 0).status, status);
    assert_int_equal(accel_record(fake, 0, 0).tag, 4711);
    assert_int_equal(accel_record(fake, 0, 1).status, SVAN_ACCEL_CONTEXT);
    assert_int_equal(accel_record(fake, 0, 1).state, SVAN_ACCEL_QUEUE_STOPPED);
    assert_int_equal(accel_record(fake, 0, 2).status, SVAN_ACCEL_CONTEXT);
    assert_int_equal(accel_fake_state(fake, 0, 2), SVAN_ACCEL_QUEUE_STOPPED);
    assert_int_equal(fake->irqs[0], 1);
    assert_in_range(fake->irqs[1], 1, 4);
    assert_int_equal(fake->irqs[2], 0);
    assert_int_equal(accel_counted(fake).faults, 1);
    /* the other context goes on, also with its wait */
    accel_fake_do(fake, 1, 1, &after);
    assert_int_equal(accel_fake_get64(fake, LOCAL_VA + 64), 9);
    accel_fake_set64(fake, HOST_VA, 1);
    accel_fake_advance(fake, 8000000);
    assert_int_equal(accel_fake_head(fake, 1, 0), 1);
    assert_int_equal(accel_fake_head(fake, 0, 1), 0);
    /* once it was disabled the context can be had again */
    accel_fake_write(fake, CTX(0, CONTROL), 0);
    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    accel_fake_do(fake, 0, 0, &after);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
    accel_fake_destroy(fake);
}

static void bad_addresses_fault_one_context(void **state)
{
    struct svan_accel_cmd window = cmd_write(WINDOW_VA, 8, WINDOW_VA + 8);

    window.flags = SVAN_ACCEL_CMD_INDIRECT;
    faults_isolate(cmd_fill(NOWHERE_VA + 0x123, 8, 0), SVAN_ACCEL_NOT_MAPPED,
                   NOWHERE_VA + 0x123);
    faults_isolate(cmd_fill(1ull << 39, 8, 0), SVAN_ACCEL_NOT_MAPPED, 1ull << 39);
    faults_isolate(cmd_copy(HOST_VA, LOCAL_VA + LOCAL_SIZE - 100, 200),
                   SVAN_ACCEL_NOT_MAPPED, LOCAL_VA + LOCAL_SIZE);
    faults_isolate(cmd_fill(READ_VA, 8, 0), SVAN_ACCEL_NOT_PERMITTED, READ_VA);
    /* windows take WRITE alone */
    faults_isolate(cmd_fill(WINDOW_VA + 8, 8, 0), SVAN_ACCEL_NOT_PERMITTED, WINDOW_VA + 8);
    faults_isolate(cmd_copy(WINDOW_VA, HOST_VA, 8), SVAN_ACCEL_NOT_PERMITTED, WINDOW_VA);
    faults_isolate(cmd_copy(HOST_VA, WINDOW_VA, 8), SVAN_ACCEL_NOT_PERMITTED, WINDOW_VA);
    faults_isolate(cmd_wait(WINDOW_VA, 1), SVAN_ACCEL_NOT_PERMITTED, WINDOW_VA);
    faults_isolate(cmd_patch(WINDOW_VA, HOST_VA, 0), SVAN_ACCEL_NOT_PERMITTED, WINDOW_VA);
    faults_isolate(cmd_complete(WINDOW_VA, 0), SVAN_ACCEL_NOT_PERMITTED, WINDOW_VA);
    faults_isolate(cmd_copy_wqe(WINDOW_VA, 4, HOST_VA, 0, 1), SVAN_ACCEL_NOT_PERMITTED,
                   WINDOW_VA);
    faults_isolate(window, SVAN_ACCEL_NOT_PERMITTED, WINDOW_VA + 8);
}

static uint32_t fault_of_entry(uint64_t entry, bool write)
{
    AccelFake *fake = accel_fake_create(0);
    struct svan_accel_cmd cmd = write ? cmd_write(NOWHERE_VA, 8, 1) :
                                        cmd_copy(HOST_VA, NOWHERE_VA, 8);
    uint32_t fault;

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    accel_fake_entry(fake, 0, NOWHERE_VA, entry);
    accel_fake_do(fake, 0, 0, &cmd);
    fault = accel_fake_read(fake, CTX(0, FAULT));
    accel_fake_destroy(fake);
    return fault;
}

static void entries_are_checked(void **state)
{
    const uint64_t p = SVAN_ACCEL_PTE_PRESENT, w = SVAN_ACCEL_PTE_WRITABLE;
    const uint64_t local = SVAN_ACCEL_PTE_LOCAL, window = SVAN_ACCEL_PTE_WINDOW;

    assert_int_equal(fault_of_entry(p | local, false), SVAN_ACCEL_OK);
    assert_int_equal(fault_of_entry(p | local, true), SVAN_ACCEL_NOT_PERMITTED);
    assert_int_equal(fault_of_entry(p | w | local, true), SVAN_ACCEL_OK);
    assert_int_equal(fault_of_entry(w | local, false), SVAN_ACCEL_NOT_MAPPED);
    assert_int_equal(fault_of_entry(p | local | LOCAL_SIZE, false), SVAN_ACCEL_DMA);
    assert_int_equal(fault_of_entry(p | local | window, true), SVAN_ACCEL_DMA);
    assert_int_equal(fault_of_entry(p | local | 0x10, false), SVAN_ACCEL_DMA);
    assert_int_equal(fault_of_entry(p | local | 1ull << 63, false), SVAN_ACCEL_DMA);
    assert_int_equal(fault_of_entry(p | 0x1000, false), SVAN_ACCEL_DMA);
    assert_int_equal(fault_of_entry(p | window, true), SVAN_ACCEL_OK);
}

static void invalidations_take_effect(void **state)
{
    static const uint64_t how[] = { HOST_VA + 4096, SVAN_ACCEL_INV_ALL, HOST_VA + 12, HOST_VA };
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_fill(HOST_VA + 4096, 8, 1);
    uint64_t entry = accel_fake_bus(fake, HOST_VA + 4096) | SVAN_ACCEL_PTE_PRESENT |
                     SVAN_ACCEL_PTE_WRITABLE;

    for (uint32_t i = 0; i < SIZE(how); i++) {
        accel_fake_do(fake, 0, 0, &cmd);
        accel_fake_entry(fake, 0, HOST_VA + 4096, 0);
        /* what was translated may be used until it is invalidated */
        accel_fake_do(fake, 0, 0, &cmd);
        assert_int_equal(accel_fake_head(fake, 0, 0), 2);
        accel_fake_write64(fake, CTX(0, INVALIDATE), how[i]);
        accel_fake_do(fake, 0, 0, &cmd);
        assert_int_equal(accel_fake_state(fake, 0, 0),
                         how[i] == HOST_VA ? SVAN_ACCEL_QUEUE_RUNNING :
                                             SVAN_ACCEL_QUEUE_STOPPED);
        accel_fake_write(fake, CTX(0, CONTROL), 0);
        accel_fake_entry(fake, 0, HOST_VA + 4096, entry);
        accel_fake_context(fake, 0);
        accel_fake_queue(fake, 0, 0);
    }
}

static void a_revoked_window_is_not_stored_to(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_write(WINDOW_VA, 8, 1);

    fake->hold_stores = true;
    accel_fake_do(fake, 0, 0, &cmd);
    assert_true(fake->store_wanted);
    accel_fake_entry(fake, 0, WINDOW_VA, 0);
    accel_fake_write64(fake, CTX(0, INVALIDATE), SVAN_ACCEL_INV_ALL);
    assert_false(accel_store_next(fake->accel, &(AccelStore) { 0 }));
    accel_fake_run(fake);
    assert_int_equal(accel_fake_read(fake, CTX(0, FAULT)), SVAN_ACCEL_NOT_MAPPED);
    assert_int_equal(accel_reg_read(fake->accel, CTX(0, FAULT_ADDR), 8), WINDOW_VA);
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_NOT_MAPPED);
    assert_int_equal(accel_counted(fake).stores, 0);
}

/* The translation misses where the store is handed out: the step is run again. */
static void a_store_may_miss_where_it_is_made(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_write(WINDOW_VA, 8, 1);

    fake->hold_stores = true;
    accel_fake_do(fake, 0, 0, &cmd);
    accel_fake_write64(fake, CTX(0, INVALIDATE), SVAN_ACCEL_INV_ALL);
    fake->miss_permille = 1000;
    assert_false(accel_store_next(fake->accel, &(AccelStore) { 0 }));
    fake->hold_stores = false;
    fake->store_wanted = false;
    accel_fake_run(fake);
    assert_int_equal(fake->stores, 1);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
}

static void a_record_that_cannot_be_stored_faults(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_plain(SVAN_ACCEL_NOP);

    cmd.flags = SVAN_ACCEL_CMD_RECORD;
    accel_fake_entry(fake, 0, RECORD_VA(0, 0), 0);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_fake_read(fake, CTX(0, FAULT)), SVAN_ACCEL_NOT_MAPPED);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_STOPPED);
    assert_int_equal(fake->irqs[0], 1);
}

/* One register tells which contexts have faulted, so that nobody reads those of all. */
static void faulted_contexts_are_bits(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_fill(NOWHERE_VA, 8, 0);

    assert_int_equal(accel_reg_read(fake->accel, SVAN_ACCEL_REG_FAULTS, 8), 0);
    accel_fake_do(fake, 0, 0, &cmd);
    accel_fake_write(fake, CTX(31, CONTROL), SVAN_ACCEL_CTX_ENABLE);
    assert_int_equal(accel_reg_read(fake->accel, SVAN_ACCEL_REG_FAULTS, 8), 0x80000001);
    accel_fake_write(fake, CTX(0, CONTROL), 0);
    assert_int_equal(accel_reg_read(fake->accel, SVAN_ACCEL_REG_FAULTS, 8), 0x80000000);
    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        accel_fake_write(fake, CTX(i, LEVELS), 0);
        accel_fake_write(fake, CTX(i, CONTROL), SVAN_ACCEL_CTX_ENABLE);
    }
    assert_int_equal(accel_reg_read(fake->accel, SVAN_ACCEL_REG_FAULTS, 8), 0xffffffff);
}

/* ---- misses ---- */

/* The translation of one context's page is long in coming. */
static void a_miss_holds_up_its_context_alone(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd slow = cmd_fill(HOST_VA, 8, 1);
    struct svan_accel_cmd other = cmd_fill(LOCAL_VA, 2 * 4096, 2);
    uint32_t runs = 0;

    accel_fake_context(fake, 1);
    accel_fake_queue(fake, 1, 0);
    fake->miss_page = accel_fake_bus(fake, HOST_VA);
    accel_fake_post(fake, 0, 0, &slow);
    accel_fake_post(fake, 1, 0, &other);
    accel_fake_ring(fake, 0, 0);
    assert_int_equal(accel_run(fake->accel), ACCEL_RUN_MISS);
    /* nobody else has work: the engine may as well wait */
    assert_false(accel_set_aside(fake->accel));
    assert_int_equal(accel_run(fake->accel), ACCEL_RUN_MISS);
    accel_fake_ring(fake, 1, 0);
    assert_int_equal(accel_run(fake->accel), ACCEL_RUN_MISS);
    assert_true(accel_set_aside(fake->accel));
    while (accel_run(fake->accel) == ACCEL_RUN_MORE) {
        assert_in_range(++runs, 1, 10);
    }
    assert_int_equal(accel_fake_head(fake, 1, 0), 1);
    assert_int_equal(accel_fake_head(fake, 0, 0), 0);
    assert_true(accel_awaits(fake->accel));
    /* no doorbell brings it back before */
    accel_fake_ring(fake, 0, 0);
    assert_int_equal(accel_run(fake->accel), ACCEL_RUN_IDLE);
    fake->miss_page = 0;
    accel_resolved(fake->accel);
    assert_true(accel_awaits(fake->accel));
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 1);
    assert_false(accel_awaits(fake->accel));
}

/* It may be gone when its translation comes. */
static void what_is_set_aside_may_end(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_fill(HOST_VA, 8, 1), nop = cmd_plain(SVAN_ACCEL_NOP);

    accel_fake_context(fake, 1);
    accel_fake_queue(fake, 1, 0);
    fake->miss_page = accel_fake_bus(fake, HOST_VA);
    accel_fake_post(fake, 0, 0, &cmd);
    accel_fake_ring(fake, 0, 0);
    assert_int_equal(accel_run(fake->accel), ACCEL_RUN_MISS);
    accel_fake_post(fake, 1, 0, &nop);
    accel_fake_ring(fake, 1, 0);
    assert_int_equal(accel_run(fake->accel), ACCEL_RUN_MISS);
    assert_true(accel_set_aside(fake->accel));
    accel_fake_write(fake, CTX(0, CONTROL), 0);
    assert_false(accel_awaits(fake->accel));
    accel_resolved(fake->accel);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 1, 0), 1);
    assert_int_equal(accel_run(fake->accel), ACCEL_RUN_IDLE);
}

/* ---- doorbells ---- */

static void ring(AccelFake *fake, uint32_t index)
{
    accel_doorbell(fake->accel, SVAN_ACCEL_DB(0), index, 8);
}

static void the_later_index_counts(void **state)
{
    AccelFake *fake = *state;

    ring(fake, 7);
    ring(fake, 5);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 7);
    ring(fake, 3);
    ring(fake, 7);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 7);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_RUNNING);
    ring(fake, 7 + 64);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 71);
    ring(fake, 71 + 65);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_STOPPED);
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_BAD_INDEX);
    assert_int_equal(accel_counted(fake).doorbells, 6);
}

/* A queue whose head and producer are 71, and one ring of an index. */
static uint32_t status_of(uint32_t index)
{
    AccelFake *fake = accel_fake_create(0);
    uint32_t status;

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    ring(fake, 64);
    accel_fake_run(fake);
    ring(fake, 71);
    accel_fake_run(fake);
    ring(fake, index);
    /* what is rung behind a bad index does not hide it */
    ring(fake, 72);
    ring(fake, 70);
    accel_fake_run(fake);
    status = accel_record(fake, 0, 0).status;
    assert_int_equal(accel_fake_head(fake, 0, 0), status ? 71 : 72);
    accel_fake_destroy(fake);
    return status;
}

/* Half of all indices are "behind" modulo 2^32. Not all of them are late. */
static void indices_far_behind_are_bad(void **state)
{
    assert_int_equal(status_of(70), SVAN_ACCEL_OK);
    assert_int_equal(status_of(71 - SVAN_ACCEL_DB_OLD), SVAN_ACCEL_OK);
    assert_int_equal(status_of(71 - SVAN_ACCEL_DB_OLD - 1), SVAN_ACCEL_BAD_INDEX);
    assert_int_equal(status_of(71 + (1u << 31)), SVAN_ACCEL_BAD_INDEX);
    assert_int_equal(status_of(71 + (1u << 31) + 1000), SVAN_ACCEL_BAD_INDEX);
    assert_int_equal(status_of(71 + (1u << 31) - 1), SVAN_ACCEL_BAD_INDEX);
    assert_int_equal(status_of(71 + (1u << 16) + 1), SVAN_ACCEL_BAD_INDEX);
    assert_int_equal(status_of(71 + 65), SVAN_ACCEL_BAD_INDEX);
}

static void bad_doorbells_are_counted(void **state)
{
    AccelFake *fake = *state;

    accel_doorbell(fake->accel, 0, 1ull << 32 | 1, 8);
    accel_doorbell(fake->accel, 0, 1, 4);
    accel_doorbell(fake->accel, 4, 1, 8);
    accel_doorbell(fake->accel, 8, 1, 8);               /* not enabled */
    accel_doorbell(fake->accel, 32, 1, 8);
    accel_doorbell(fake->accel, SVAN_ACCEL_CONTEXTS << SVAN_ACCEL_DB_SHIFT, 1, 8);
    accel_fake_run(fake);
    assert_int_equal(accel_counted(fake).doorbells_refused, 6);
    assert_int_equal(accel_counted(fake).doorbells, 0);
    assert_int_equal(accel_fake_head(fake, 0, 0), 0);
}

#define RINGERS         3u
#define RINGS           30000u
#define RINGS_LIMIT_S   60
#define INTERRUPTIONS   3000u

typedef struct Ringer {
    AccelFake *fake;
    _Atomic uint32_t *next;     /* the last index that somebody rings */
    _Atomic uint32_t *head;     /* of the queue, told by the thread of the engine */
    uint32_t lost;              /* indices that were replaced by an earlier one */
} Ringer;

/* Each rings the next index until it comes to the end. */
static void *rings(void *arg)
{
    Ringer *ringer = arg;
    AccelQueue *queue = &ringer->fake->accel->ctxs[0].queues[0];
    uint32_t i;

    while ((i = atomic_fetch_add(ringer->next, 1) + 1) <= RINGS) {
        while (atomic_load(ringer->head) + 48 < i) {
            sched_yield();              /* the ring has no room: the engine is at it */
        }
        ring(ringer->fake, i);
        ringer->lost += (uint32_t)atomic_load(&queue->rung) < i;
    }
    return NULL;
}

/* No index is lost, whoever rings last: without it the head does not come to the end. */
static void threads_ring_one_queue(void **state)
{
    AccelFake *fake = *state;
    Ringer ringers[RINGERS];
    pthread_t threads[RINGERS];
    _Atomic uint32_t head = 0, next = 0;
    time_t end = time(NULL) + RINGS_LIMIT_S;

    for (uint32_t i = 0; i < RINGERS; i++) {
        ringers[i] = (Ringer) { fake, &next, &head, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, rings, &ringers[i]), 0);
    }
    while (head < RINGS && accel_fake_state(fake, 0, 0) == SVAN_ACCEL_QUEUE_RUNNING &&
           time(NULL) < end) {
        accel_run(fake->accel);
        head = accel_fake_head(fake, 0, 0);
    }
    head = RINGS;
    for (uint32_t i = 0; i < RINGERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(ringers[i].lost, 0);
    }
    assert_int_equal(accel_fake_head(fake, 0, 0), RINGS);
    assert_int_equal(accel_counted(fake).doorbells, RINGS);
}

static AccelFake *interrupted;
static _Atomic uint32_t next_index, interruptions;

static void ring_next(int signal)
{
    ring(interrupted, atomic_fetch_add(&next_index, 1) + 1);
    interruptions += signal != 0;
}

/*
 * Somebody rings while another one is in the middle of it, at any instruction: after each
 * of both all that was rung is there.
 */
static void an_index_never_goes_back(void **state)
{
    const struct itimerval often = { { 0, 50 }, { 0, 50 } }, never = { { 0, 0 }, { 0, 0 } };
    struct sigaction action = { .sa_handler = ring_next }, before;
    time_t end = time(NULL) + RINGS_LIMIT_S;
    uint32_t lost = 0;

    interrupted = *state;
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    while (interruptions < INTERRUPTIONS && time(NULL) < end) {
        for (uint32_t i = 0; i < 1000; i++) {
            uint32_t rung;

            ring_next(0);
            rung = next_index;
            lost += (uint32_t)interrupted->accel->ctxs[0].queues[0].rung < rung;
        }
    }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    assert_int_equal(interruptions < INTERRUPTIONS, 0);
    assert_int_equal(lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEL_TEST(registers_tell_the_device),
        ACCEL_TEST(wide_registers_have_halves),
        ACCEL_TEST(bad_contexts_and_queues_are_told),
        cmocka_unit_test(bad_addresses_fault_one_context),
        cmocka_unit_test(entries_are_checked),
        ACCEL_TEST(invalidations_take_effect),
        ACCEL_TEST(a_revoked_window_is_not_stored_to),
        ACCEL_TEST(a_store_may_miss_where_it_is_made),
        ACCEL_TEST(a_record_that_cannot_be_stored_faults),
        ACCEL_TEST(faulted_contexts_are_bits),
        ACCEL_TEST(a_miss_holds_up_its_context_alone),
        ACCEL_TEST(what_is_set_aside_may_end),
        ACCEL_TEST(the_later_index_counts),
        cmocka_unit_test(indices_far_behind_are_bad),
        ACCEL_TEST(bad_doorbells_are_counted),
        ACCEL_TEST(threads_ring_one_queue),
        ACCEL_TEST(an_index_never_goes_back),
    };

    return cmocka_run_group_tests_name("accel_context", tests, NULL, NULL);
}
