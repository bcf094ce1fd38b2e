/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program of the accelerator's second context. It uses every kind of command, and
 * ends with the same memory, whatever the first context does.
 */
#ifndef TESTS_FUZZ_ACCEL_BYSTANDER_H
#define TESTS_FUZZ_ACCEL_BYSTANDER_H

#include "fuzz_accel_stage.h"

#define BY_WORDS        (BY_HOST_VA + 3 * PAGE)         /* values, flags, completions */
#define BY_COUNT        (BY_WORDS + 0)
#define BY_CRC          (BY_WORDS + 8)
#define BY_FLAG(queue)  (BY_WORDS + 64 + 64 * (queue))
#define BY_DONE(queue)  (BY_WORDS + 256 + 16 * (queue))
#define BY_RECORD(queue) (BY_WORDS + 512 + 16 * (queue))
#define BY_TURNS        20u

#define BY_RUNS         60000u  /* of the device, in which a bystander is done */
#define BY_TURN         100u    /* runs between moves of the clock */
#define BY_STEP_NS      50000u

static void by_post(uint32_t queue, struct svan_accel_cmd cmd)
{
    accel_fake_post(stage.fake, BYSTANDER, queue, &cmd);
    stage.by_posted[queue]++;
}

static void by_flag(uint32_t queue, uint32_t flag)
{
    by_post(queue, ACCEL_PLAIN(FENCE));
    by_post(queue, ACCEL_COMMAND(WRITE, 8, write, .addr = LE64(BY_FLAG(flag)),
                                 .value = LE64(1)));
}

static void by_wait(uint32_t queue, uint32_t flag)
{
    by_post(queue, ACCEL_COMMAND(WAIT, 8, wait, .addr = LE64(BY_FLAG(flag)),
                                 .value = LE64(1), .mask = LE64(UINT64_MAX)));
}

static void by_end(uint32_t queue)
{
    struct svan_accel_cmd last = ACCEL_PLAIN(INTERRUPT);

    last.flags = SVAN_ACCEL_CMD_RECORD;
    last.tag = LE32(77 + queue);
    by_post(queue, ACCEL_COMMAND(COMPLETE, 0, complete, .addr = LE64(BY_DONE(queue))));
    by_post(queue, last);
}

static void by_compute(void)
{
    by_post(0, ACCEL_COMMAND(FILL, 0, fill, .dst = LE64(BY_HOST_VA), .length = LE64(8000),
                             .value = LE64(BY_VALUE)));
    by_post(0, ACCEL_COMMAND(COPY, 0, copy, .dst = LE64(BY_LOCAL_VA + 100),
                             .src = LE64(BY_HOST_VA), .length = LE64(7000)));
    by_post(0, ACCEL_COMMAND(REDUCE, 0, reduce, .dst = LE64(BY_HOST_VA + 2 * PAGE),
                             .a = LE64(BY_HOST_VA + 8), .b = LE64(BY_LOCAL_VA + 128),
                             .count = LE64(500), .op = SVAN_ACCEL_SUM));
    by_post(0, ACCEL_COMMAND(PATCH, 8, patch, .dst = LE64(BY_COUNT), .src = LE64(BY_COUNT),
                             .add = LE64(1), .mask = LE64(UINT64_MAX), .src_width = 8));
    by_post(0, ACCEL_COMMAND(LOOP, 0, loop, .span = LE32(1), .count = LE32(BY_TURNS)));
    by_post(0, ACCEL_COMMAND(CHECKSUM, 0, checksum, .src = LE64(BY_LOCAL_VA),
                             .length = LE64(9000), .dst = LE64(BY_CRC)));
}

static void by_make_program(void)
{
    by_compute();
    by_flag(0, 0);
    by_wait(0, 1);
    by_post(0, ACCEL_COMMAND(WRITE, 8, write, .addr = LE64(WINDOW_VA + 8),
                             .value = LE64(BY_VALUE)));
    by_end(0);
    by_wait(1, 0);
    by_post(1, ACCEL_COMMAND(COPY_WQE, 0, copy_wqe, .ring = LE64(BY_LOCAL_VA + 2 * PAGE),
                             .src = LE64(BY_HOST_VA), .value = LE64(14), .blocks = LE32(4),
                             .log_ring = LE32(4)));
    by_flag(1, 1);
    by_end(1);
}

/* Its memory is as in the beginning; queues are there, and rung. */
static void by_start(void)
{
    AccelFake *fake = stage.fake;

    for (uint32_t i = 0; i < BY_PAGES; i++) {
        static const uint8_t zeros[PAGE];

        stage_poke(accel_fake_at(fake, BY_HOST_VA + i * PAGE), zeros, PAGE);
        stage_poke(accel_fake_at(fake, BY_LOCAL_VA + i * PAGE), zeros, PAGE);
    }
    stage.by_stores = 0;
    accel_fake_write64(fake, SVAN_ACCEL_REG_CTX(BYSTANDER, SVAN_ACCEL_CTX_TABLE),
                       fake->roots[BYSTANDER]);
    accel_fake_write(fake, SVAN_ACCEL_REG_CTX(BYSTANDER, SVAN_ACCEL_CTX_LEVELS), 3);
    accel_fake_write(fake, SVAN_ACCEL_REG_CTX(BYSTANDER, SVAN_ACCEL_CTX_CONTROL),
                     SVAN_ACCEL_CTX_ENABLE);
    for (uint32_t i = 0; i < BY_QUEUES; i++) {
        uint32_t at = SVAN_ACCEL_REG_QUEUE(BYSTANDER, i, 0);

        accel_fake_write64(fake, at + SVAN_ACCEL_QUEUE_BASE, fake->rings[BYSTANDER][i]);
        accel_fake_write64(fake, at + SVAN_ACCEL_QUEUE_RECORD, BY_RECORD(i));
        accel_fake_write(fake, at + SVAN_ACCEL_QUEUE_LOG_SIZE, ACCEL_FAKE_LOG_RING);
        accel_fake_write(fake, at + SVAN_ACCEL_QUEUE_CONTROL, SVAN_ACCEL_QUEUE_ENABLE);
        accel_doorbell(fake->accel, (BYSTANDER << SVAN_ACCEL_DB_SHIFT) + SVAN_ACCEL_DB(i),
                       stage.by_posted[i], 8);
    }
}

static void by_store(const AccelStore *store)
{
    if (store->bus != BY_WINDOW + 8 || store->value != BY_VALUE || store->width != 8 ||
        store->queue != 0) {
        fake_die("the bystander's store is %" PRIx64 " at %" PRIx64, store->value,
                 store->bus);
    }
    stage.by_stores++;
}

static bool by_is_done(void)
{
    for (uint32_t i = 0; i < BY_QUEUES; i++) {
        uint32_t state = accel_fake_state(stage.fake, BYSTANDER, i);

        if (state != SVAN_ACCEL_QUEUE_RUNNING && state != SVAN_ACCEL_QUEUE_WAITING) {
            fake_die("queue %u of the bystander is in state %u, at its command %u", i, state,
                     accel_fake_head(stage.fake, BYSTANDER, i));
        }
        if (accel_fake_head(stage.fake, BYSTANDER, i) != stage.by_posted[i]) {
            return false;
        }
    }
    return true;
}

/* What lies in its pages, but for the time of completions. */
static void by_look(uint8_t *host, uint8_t *local)
{
    for (uint32_t i = 0; i < BY_PAGES; i++) {
        memcpy(host + i * PAGE, accel_fake_at(stage.fake, BY_HOST_VA + i * PAGE), PAGE);
        memcpy(local + i * PAGE, accel_fake_at(stage.fake, BY_LOCAL_VA + i * PAGE), PAGE);
    }
    for (uint32_t i = 0; i < BY_QUEUES; i++) {
        memset(host + (BY_DONE(i) - BY_HOST_VA) + 8, 0, 8);
    }
}

static void by_check(void)
{
    uint8_t host[BY_PAGES * PAGE], local[BY_PAGES * PAGE];

    by_look(host, local);
    if (memcmp(host, stage.by_host, sizeof(host)) ||
        memcmp(local, stage.by_local, sizeof(local)) || stage.by_stores != 1) {
        fake_die("the bystander has a wrong result");
    }
}

#endif /* TESTS_FUZZ_ACCEL_BYSTANDER_H */
