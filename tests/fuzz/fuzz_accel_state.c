/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams of an accelerator's state: octets as they come, or (first octet even) a good
 * stream with patches. What is accepted must run, be saved, be accepted once more, and
 * be the same then.
 */
#include "fuzz_accel.h"

#define MAX_PATCH       16
#define DEVICES         2u              /* one that keeps stores back, one that does not */

typedef struct Good {
    AccelFake *fake;
    uint8_t *stream;
    size_t len;
} Good;

static Good goods[DEVICES];

static void post(AccelFake *fake, uint32_t ctx, uint32_t queue, struct svan_accel_cmd cmd)
{
    accel_fake_post(fake, ctx, queue, &cmd);
    accel_fake_ring(fake, ctx, queue);
}

/* A long command, a WAIT, a store through a window, and a loop. */
static void make_work(AccelFake *fake, uint32_t ctx)
{
    accel_fake_context(fake, ctx);
    for (uint32_t i = 0; i < SVAN_ACCEL_QUEUES; i++) {
        accel_fake_queue(fake, ctx, i);
    }
    post(fake, ctx, 0, ACCEL_COMMAND(CHECKSUM, 0, checksum, .src = LE64(HOST_VA),
                                     .length = LE64(100000), .dst = LE64(LOCAL_VA)));
    post(fake, ctx, 1, ACCEL_COMMAND(WAIT, 8, wait, .addr = LE64(HOST_VA), .value = LE64(1),
                                     .mask = LE64(UINT64_MAX),
                                     .errors = LE64(LOCAL_VA + 4096),
                                     .limit_ns = LE64(1000000)));
    post(fake, ctx, 2, ACCEL_COMMAND(WRITE, 8, write, .addr = LE64(WINDOW_VA),
                                     .value = LE64(7)));
    post(fake, ctx, 3, ACCEL_COMMAND(FILL, 0, fill, .dst = LE64(HOST_VA + 100),
                                     .length = LE64(200), .value = LE64(7)));
    post(fake, ctx, 3, ACCEL_COMMAND(LOOP, 0, loop, .span = LE32(1), .count = LE32(100)));
}

static Good make_good(uint64_t reorder_seed)
{
    Good good = { .fake = accel_fake_create(reorder_seed) };
    AccelFake *fake = good.fake;

    fake->hold_stores = true;
    make_work(fake, 0);
    make_work(fake, 1);
    post(fake, 1, 3, accel_command(99, 0, NULL, 0));
    accel_fake_context(fake, 2);
    accel_fake_queue(fake, 2, 0);
    post(fake, 2, 0, ACCEL_COMMAND(COMPLETE, 0, complete, .addr = LE64(NOWHERE_VA)));
    for (uint32_t i = 0; i < 40; i++) {
        accel_fake_step(fake);
    }
    accel_fake_keep(fake);
    good.stream = accel_save(fake->accel, &good.len);
    if (!good.stream || !accel_load(fake->accel, good.stream, good.len)) {
        fake_die("the good stream is not good");
    }
    return good;
}

static void patch(Input *input, uint8_t *stream, size_t size)
{
    uint32_t at = input_number(input, 2) % size;
    uint8_t len = 1 + input_number(input, 1) % MAX_PATCH;
    uint8_t bytes[MAX_PATCH];

    input_bytes(input, bytes, len);
    memcpy(stream + at, bytes, len < size - at ? len : size - at);
}

/*
 * A good stream, but the indices of the queues begin elsewhere: patches of so many fields
 * seldom fit together. The caller frees it.
 */
static uint8_t *moved(Good *good, uint64_t by)
{
    Accel *accel = good->fake->accel;
    uint8_t *stream;
    size_t len;

    if (!accel_load(accel, good->stream, good->len)) {
        fake_die("the good stream is not good");
    }
    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS * SVAN_ACCEL_QUEUES; i++) {
        AccelQueue *queue = &accel->ctxs[i / SVAN_ACCEL_QUEUES].queues[i % SVAN_ACCEL_QUEUES];

        if (queue->state != SVAN_ACCEL_QUEUE_OFF) {
            queue->head += by;
            queue->index += by;
            queue->producer += by;
            queue->loop_at += queue->loop_left ? by : 0;
            queue->loop_end += queue->loop_end ? by : 0;
        }
        if (atomic_load(&queue->rung) & ACCEL_DB_OPEN) {
            accel_queue_open_doorbell(queue, (uint32_t)(queue->rung + by));
        }
    }
    stream = accel_save(accel, &len);
    if (!stream || len != good->len) {
        fake_die("a stream of moved indices has another length");
    }
    return stream;
}

/* Shortly before the end of some range, or anywhere. */
static uint64_t distance(Input *input)
{
    static const uint64_t ends[] = { UINT32_MAX, INT64_MAX, UINT64_MAX };
    uint8_t how = input_number(input, 1);

    return how % 4 == 3 ? input_number(input, 8) : ends[how % 4] - how / 4;
}

/* The queue is rung with the next index, or with another one. */
static void ring(AccelFake *fake, uint32_t ctx, uint32_t number, uint8_t how)
{
    const AccelQueue *queue = &fake->accel->ctxs[ctx].queues[number];
    uint32_t index = how & 0x80 ? how : (uint32_t)queue->producer + how % 8;

    accel_doorbell(fake->accel, (ctx << SVAN_ACCEL_DB_SHIFT) + SVAN_ACCEL_DB(number), index,
                   8);
}

/* Whatever state it is in, it is accepted, and is the same then. */
static void reload(AccelFake *fake)
{
    size_t len, again_len;
    void *stream = accel_save(fake->accel, &len), *again;

    if (!stream || !accel_load(fake->accel, stream, len)) {
        fake_die("the saved state is not accepted");
    }
    again = accel_save(fake->accel, &again_len);
    if (!again || again_len != len || memcmp(stream, again, len)) {
        fake_die("the state is not that which was loaded");
    }
    free(again);
    free(stream);
}

/* It was accepted: live with it. */
static void live(AccelFake *fake, uint8_t how)
{
    static const uint32_t missing[] = { 0, 100, 400 };

    fake->miss_permille = missing[how % 3];
    reload(fake);
    for (uint32_t i = 0; i < 8; i++) {
        for (uint32_t n = 0; n < 25; n++) {
            accel_fake_step(fake);
        }
        fake->now += 1ull << (how >> 3 & 31);
        ring(fake, i % 3, i % 4, how + i);
        accel_touched(fake->accel, i % 2 ? ACCEL_LOCAL : ACCEL_HOST,
                      i % 2 ? accel_fake_bus(fake, LOCAL_VA + 4096) :
                              accel_fake_bus(fake, HOST_VA));
        if (i % 4 == how % 4) {
            fake->refuse_stores = how & 4;
            accel_fake_stores(fake);
        }
    }
    reload(fake);
    for (uint32_t n = 0; n < 25; n++) {
        accel_fake_step(fake);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = { data, size };
    uint8_t how;
    Good *good;

    if (!goods[0].fake) {
        goods[0] = make_good(0);
        goods[1] = make_good(3);
    }
    how = input_number(&input, 1);
    good = &goods[how >> 1 & 1];
    accel_fake_replace(good->fake, good->fake->config.reorder_seed);
    if (how & 1) {
        if (accel_load(good->fake->accel, input.data, input.size)) {
            live(good->fake, how);
        }
    } else {
        uint8_t *stream = moved(good, how & 4 ? distance(&input) : 0);

        for (uint32_t n = 0; input.size && n < 8; n++) {
            patch(&input, stream, good->len);
        }
        if (accel_load(good->fake->accel, stream, good->len)) {
            live(good->fake, how);
        }
        free(stream);
    }
    return 0;
}
