/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that steer, the two forms of a triggered send, and hostile commands.
 */
#include <stdio.h>

#include "accel.h"

#define STAGING         (HOST_VA + 0x1000)
#define INDEX           (HOST_VA + 0x2000)
#define DOORBELL        (HOST_VA + 0x2008)
#define NIC_RING        (LOCAL_VA + 0x3000)     /* 16 blocks, not on one page of them all */
#define NIC_LOG_RING    7u

static void stores_have_their_width(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_write(LOCAL_VA + 8, 8, 0x1122334455667788);

    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_fake_get64(fake, LOCAL_VA + 8), 0x1122334455667788);
    cmd = cmd_write(LOCAL_VA + 12, 4, 0xaabbccdd);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_fake_get64(fake, LOCAL_VA + 8), 0xaabbccdd55667788);
    accel_fake_set64(fake, HOST_VA, 0x0102030405060708);
    cmd = cmd_write(LOCAL_VA + 8, 4, HOST_VA);
    cmd.flags = SVAN_ACCEL_CMD_INDIRECT;
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_fake_get64(fake, LOCAL_VA + 8), 0xaabbccdd05060708);
    assert_int_equal(fake->stores, 0);
}

static void a_store_through_a_window_blocks(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_write(WINDOW_VA + 0x18, 8, 0x0000000700000012);
    struct svan_accel_cmd next = cmd_fill(LOCAL_VA, 8, 1);
    AccelStore store;

    fake->hold_stores = true;
    accel_fake_post(fake, 0, 0, &cmd);
    accel_fake_do(fake, 0, 0, &next);
    assert_true(fake->store_wanted);
    assert_int_equal(accel_fake_head(fake, 0, 0), 0);
    assert_true(accel_store_next(fake->accel, &store));
    assert_int_equal(store.bus, ACCEL_FAKE_WINDOW + 0x18);
    assert_int_equal(store.value, 0x0000000700000012);
    assert_int_equal(store.width, 8);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 0);
    /* it is handed out once */
    assert_false(accel_store_next(fake->accel, &(AccelStore) { 0 }));
    accel_store_end(fake->accel, &store, true);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 2);
    /* and ends once */
    accel_store_end(fake->accel, &store, true);
    assert_int_equal(accel_counted(fake).stores, 1);
    assert_int_equal(accel_fake_head(fake, 0, 0), 2);
}

/*
 * Who makes the stores holds a lock that others wait for, while another thread runs the
 * queues: a queue that wants its next store at once has that in the next turn.
 */
static void a_turn_of_stores_has_an_end(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_write(WINDOW_VA + 0x18, 8, 1);
    AccelStore store;

    fake->hold_stores = true;
    accel_fake_queue(fake, 0, 1);
    accel_fake_post(fake, 0, 0, &cmd);
    accel_fake_do(fake, 0, 0, &cmd);
    accel_fake_do(fake, 0, 1, &cmd);
    fake->store_wanted = false;
    accel_store_turn(fake->accel);
    for (uint32_t queue = 0; queue < 2; queue++) {
        assert_true(accel_store_next(fake->accel, &store));
        assert_int_equal(store.queue, queue);
        accel_store_end(fake->accel, &store, true);
        accel_fake_run(fake);
    }
    assert_false(accel_store_next(fake->accel, &store));
    assert_true(fake->store_wanted);

    accel_store_turn(fake->accel);
    assert_true(accel_store_next(fake->accel, &store));
    assert_int_equal(store.queue, 0);
    accel_store_end(fake->accel, &store, true);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 2);
    assert_int_equal(accel_fake_head(fake, 0, 1), 1);
}

static void a_refused_store_stops_the_queue(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_write(WINDOW_VA, 4, 1);
    struct svan_accel_record record;

    cmd.tag = LE32(77);
    fake->refuse_stores = true;
    accel_fake_do(fake, 0, 0, &cmd);
    record = accel_record(fake, 0, 0);
    assert_int_equal(record.state, SVAN_ACCEL_QUEUE_STOPPED);
    assert_int_equal(record.status, SVAN_ACCEL_STORE);
    assert_int_equal(record.tag, 77);
    assert_int_equal(record.head, 0);
    assert_int_equal(fake->irqs[1], 1);
    assert_int_equal(fake->irqs[0], 0);
    assert_int_equal(accel_fake_read(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_STATE)),
                     SVAN_ACCEL_CTX_RUNNING);
}

static void a_reset_forgets_an_open_store(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_write(WINDOW_VA, 4, 1);
    AccelStore store, next;

    fake->hold_stores = true;
    accel_fake_do(fake, 0, 0, &cmd);
    assert_true(accel_store_next(fake->accel, &store));
    accel_fake_write(fake, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_CONTROL), 0);
    accel_fake_queue(fake, 0, 0);
    accel_fake_do(fake, 0, 0, &cmd);
    /* that of the queue's next life is still to come, or open */
    accel_store_end(fake->accel, &store, true);
    assert_true(accel_store_next(fake->accel, &next));
    accel_store_end(fake->accel, &store, true);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_head(fake, 0, 0), 0);
    accel_reset(fake->accel);
    accel_store_end(fake->accel, &next, false);
    accel_fake_run(fake);
    assert_int_equal(accel_counted(fake).stores_refused, 0);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_OFF);
}

/* ---- records, completions, interrupts ---- */

static void records_say_what_is_done(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_plain(SVAN_ACCEL_NOP);

    cmd.tag = LE32(5);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_record(fake, 0, 0).head, 0);
    cmd.flags = SVAN_ACCEL_CMD_RECORD;
    cmd.tag = LE32(6);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(accel_record(fake, 0, 0).head, 2);
    assert_int_equal(accel_record(fake, 0, 0).tag, 6);
    assert_int_equal(accel_record(fake, 0, 0).state, SVAN_ACCEL_QUEUE_RUNNING);
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_OK);
}

static void completions_and_interrupts(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmd = cmd_complete(LOCAL_VA + 16, 0xabcd);
    struct svan_accel_completion completion;

    accel_fake_do(fake, 0, 0, &cmd);
    accel_fake_get(fake, LOCAL_VA + 16, &completion, sizeof(completion));
    assert_int_equal(completion.tag, 0xabcd);
    assert_int_equal(completion.status, SVAN_ACCEL_OK);
    assert_int_equal(completion.time_ns, fake->now);
    assert_int_equal(fake->irqs[1], 0);
    cmd = cmd_plain(SVAN_ACCEL_INTERRUPT);
    accel_fake_do(fake, 0, 0, &cmd);
    assert_int_equal(fake->irqs[1], 1);
}

/* A loop of interrupts as fast as the device can, while the clock goes on. */
static uint32_t interrupts_of_a_loop(AccelFake *fake, uint32_t count, uint64_t step_ns)
{
    struct svan_accel_cmd cmd = cmd_plain(SVAN_ACCEL_INTERRUPT), loop = cmd_loop(1, count);

    accel_fake_post(fake, 0, 0, &cmd);
    accel_fake_post(fake, 0, 0, &loop);
    accel_fake_ring(fake, 0, 0);
    while (accel_fake_step(fake) == ACCEL_RUN_MORE) {
        fake->now += step_ns;
    }
    return fake->irqs[1];
}

static void interrupts_in_a_loop_are_few(void **state)
{
    AccelFake *fake = *state;
    uint64_t begin = fake->now;
    uint32_t seen = interrupts_of_a_loop(fake, 10000, 100), allowed;

    allowed = SVAN_ACCEL_IRQ_BURST + (fake->now - begin) / SVAN_ACCEL_IRQ_GAP_NS;
    assert_in_range(seen, allowed - 1, allowed);
    /* the last of them comes, and then no more */
    accel_fake_advance(fake, SVAN_ACCEL_IRQ_GAP_NS);
    assert_int_equal(fake->irqs[1], seen + 1);
    accel_fake_advance(fake, 100 * SVAN_ACCEL_IRQ_GAP_NS);
    assert_int_equal(fake->irqs[1], seen + 1);
    assert_true(fake->deadline == UINT64_MAX);
    /* after a rest a whole burst is allowed again, to each context its own */
    interrupts_of_a_loop(fake, 100, 0);
    assert_int_equal(fake->irqs[1], seen + 1 + SVAN_ACCEL_IRQ_BURST);
    assert_int_equal(fake->irqs[0] + fake->irqs[2], 0);
}

/* What was held back does not come in the next life of the context. */
static void a_context_that_ends_takes_its_interrupts_along(void **state)
{
    AccelFake *fake = *state;

    assert_int_equal(interrupts_of_a_loop(fake, 100, 0), SVAN_ACCEL_IRQ_BURST);
    accel_fake_write(fake, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_CONTROL), 0);
    accel_fake_context(fake, 0);
    accel_fake_advance(fake, 10 * SVAN_ACCEL_IRQ_GAP_NS);
    assert_int_equal(fake->irqs[1], SVAN_ACCEL_IRQ_BURST);
}

/* Faults have their bound, too; outside of a run somebody is told that one is due. */
static void faults_over_and_over_interrupt_seldom(void **state)
{
    AccelFake *fake = *state;
    uint32_t kicks = fake->kicks;

    for (uint32_t i = 0; i < 100; i++) {
        accel_fake_write(fake, SVAN_ACCEL_REG_CTX(7, SVAN_ACCEL_CTX_CONTROL), 0);
        accel_fake_write(fake, SVAN_ACCEL_REG_CTX(7, SVAN_ACCEL_CTX_CONTROL),
                         SVAN_ACCEL_CTX_ENABLE);
    }
    assert_int_equal(fake->irqs[0], SVAN_ACCEL_IRQ_BURST);
    assert_true(fake->kicks > kicks);
    accel_fake_advance(fake, SVAN_ACCEL_IRQ_GAP_NS);
    assert_int_equal(fake->irqs[0], SVAN_ACCEL_IRQ_BURST + 1);
}

/* ---- loops ---- */

static void post_all(AccelFake *fake, const struct svan_accel_cmd *cmds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        accel_fake_post(fake, 0, 0, &cmds[i]);
    }
    accel_fake_ring(fake, 0, 0);
}

typedef struct Nic {
    uint32_t rung;              /* the last producer index */
    uint32_t wrong;             /* stores that were not as expected */
    uint32_t span;              /* blocks that each store submits */
} Nic;

/* The block before the producer must carry its own index when the doorbell comes. */
static void nic_store(AccelFake *fake, const AccelStore *store, void *arg)
{
    Nic *nic = arg;
    uint32_t index = store->value;
    uint64_t block = NIC_RING + (index - 1) % (1u << NIC_LOG_RING) * 64ull;

    nic->wrong += index != nic->rung + nic->span || store->bus != ACCEL_FAKE_WINDOW + 8 ||
                  (nic->span == 1 && accel_fake_get64(fake, block) != index);
    nic->rung = index;
}

/* Form (b): patch the staged block, copy it into the ring, ring the doorbell. */
static void form_b(AccelFake *fake, uint32_t count)
{
    Nic nic = { .span = 1 };
    struct svan_accel_cmd cmds[5];

    cmds[0] = cmd_patch(STAGING, INDEX, 1);
    cmds[1] = cmd_copy_wqe(NIC_RING, NIC_LOG_RING, STAGING, INDEX, 1);
    cmds[1].flags = SVAN_ACCEL_CMD_INDIRECT;
    cmds[2] = cmd_patch(INDEX, INDEX, 1);
    cmds[3] = cmd_write(WINDOW_VA + 8, 8, INDEX);
    cmds[3].flags = SVAN_ACCEL_CMD_INDIRECT;
    cmds[4] = cmd_loop(4, count);
    cmds[4].flags = SVAN_ACCEL_CMD_RECORD;
    cmds[4].tag = LE32(99);
    fake->on_store = nic_store;
    fake->on_store_arg = &nic;
    post_all(fake, cmds, 5);
    accel_fake_run(fake);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_RUNNING);
    assert_int_equal(nic.rung, count);
    assert_int_equal(nic.wrong, 0);
    assert_int_equal(accel_record(fake, 0, 0).head, 5);
    assert_int_equal(accel_record(fake, 0, 0).tag, 99);
    assert_int_equal(accel_counted(fake).commands, 4ull * count + 1);
}

static void form_b_a_hundred_thousand_times(void **state)
{
    form_b(*state, 100000);
}

static void form_b_with_misses(void **state)
{
    AccelFake *fake = *state;

    fake->miss_permille = 500;
    form_b(fake, 1000);
    assert_in_range(fake->misses, 1000, UINT32_MAX);
}

/* Form (a): the blocks lie in the ring, the doorbell moves on by as many as it has. */
static void form_a_a_hundred_thousand_times(void **state)
{
    AccelFake *fake = *state;
    Nic nic = { .span = 3 };
    struct svan_accel_cmd cmds[3];

    cmds[0] = cmd_patch(DOORBELL, DOORBELL, 3);
    cmds[1] = cmd_write(WINDOW_VA + 8, 4, DOORBELL);
    cmds[1].flags = SVAN_ACCEL_CMD_INDIRECT;
    cmds[2] = cmd_loop(2, 100000);
    fake->on_store = nic_store;
    fake->on_store_arg = &nic;
    post_all(fake, cmds, 3);
    accel_fake_run(fake);
    assert_int_equal(nic.rung, 300000);
    assert_int_equal(nic.wrong, 0);
    assert_int_equal(fake->stores, 100000);
}

static void the_head_stays_while_a_loop_runs(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmds[] = {
        cmd_plain(SVAN_ACCEL_NOP), cmd_plain(SVAN_ACCEL_NOP), cmd_patch(INDEX, INDEX, 1),
        cmd_loop(2, 10), cmd_plain(SVAN_ACCEL_NOP),
    };

    post_all(fake, cmds, SIZE(cmds));
    while (accel_fake_get64(fake, INDEX) < 2) {
        accel_fake_step(fake);
    }
    while (accel_fake_get64(fake, INDEX) < 9) {
        assert_int_equal(accel_fake_head(fake, 0, 0), 1);
        accel_fake_step(fake);
    }
    accel_fake_run(fake);
    assert_int_equal(accel_fake_get64(fake, INDEX), 10);
    assert_int_equal(accel_fake_head(fake, 0, 0), 5);
}

static struct svan_accel_record record_of(const struct svan_accel_cmd *cmds, uint32_t count)
{
    AccelFake *fake = accel_fake_create(0);
    struct svan_accel_record record;

    accel_fake_context(fake, 0);
    accel_fake_queue(fake, 0, 0);
    post_all(fake, cmds, count);
    accel_fake_run(fake);
    record = accel_record(fake, 0, 0);
    accel_fake_destroy(fake);
    return record;
}

static uint32_t status_of(const struct svan_accel_cmd *cmds, uint32_t count)
{
    return record_of(cmds, count).status;
}

/* The span gets a loop while it is executed. */
static void a_loop_that_comes_later_is_refused(void **state)
{
    AccelFake *fake = *state;
    struct svan_accel_cmd cmds[] = {
        cmd_plain(SVAN_ACCEL_NOP), cmd_plain(SVAN_ACCEL_NOP),
        cmd_copy(accel_fake_slot(fake, 0, 0, 1), STAGING, 64), cmd_loop(3, 5),
    };
    struct svan_accel_cmd loop = cmd_loop(1, 2);

    loop.tag = LE32(31);
    accel_fake_set(fake, STAGING, &loop, sizeof(loop));
    post_all(fake, cmds, SIZE(cmds));
    accel_fake_run(fake);
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_BAD_PARAM);
    assert_int_equal(accel_record(fake, 0, 0).tag, 31);
    assert_int_equal(accel_record(fake, 0, 0).head, 0);
}

static void bad_loops_are_refused(void **state)
{
    struct svan_accel_cmd nested[] = {
        cmd_plain(SVAN_ACCEL_NOP), cmd_loop(1, 2), cmd_plain(SVAN_ACCEL_NOP), cmd_loop(3, 2),
    };
    struct svan_accel_cmd beside[] = {
        cmd_plain(SVAN_ACCEL_NOP), cmd_loop(1, 2), cmd_plain(SVAN_ACCEL_NOP), cmd_loop(1, 2),
    };
    struct svan_accel_cmd early[] = { cmd_plain(SVAN_ACCEL_NOP), cmd_loop(2, 2) };
    AccelFake *fake = *state;
    struct svan_accel_cmd nop = cmd_plain(SVAN_ACCEL_NOP), loop = cmd_loop(40, 2);

    assert_int_equal(status_of(nested, SIZE(nested)), SVAN_ACCEL_BAD_PARAM);
    assert_int_equal(record_of(nested, SIZE(nested)).head, 3);
    assert_int_equal(status_of(beside, SIZE(beside)), SVAN_ACCEL_OK);
    assert_int_equal(status_of(early, SIZE(early)), SVAN_ACCEL_BAD_PARAM);
    /* 64 commands are posted behind the loop: its span has been overwritten */
    for (uint32_t i = 0; i < 40; i++) {
        accel_fake_do(fake, 0, 0, &nop);
    }
    accel_fake_post(fake, 0, 0, &loop);
    for (uint32_t i = 0; i < 40; i++) {
        accel_fake_post(fake, 0, 0, &nop);
    }
    accel_fake_ring(fake, 0, 0);
    accel_fake_run(fake);
    assert_int_equal(accel_record(fake, 0, 0).status, SVAN_ACCEL_BAD_PARAM);
    assert_int_equal(accel_record(fake, 0, 0).head, 40);
}

/* ---- what is refused ---- */

static void every_field_is_checked(void **state)
{
    const struct svan_accel_cmd reduce = {
        .opcode = SVAN_ACCEL_REDUCE,
        .reduce = { .dst = LE64(LOCAL_VA), .a = LE64(HOST_VA), .b = LE64(HOST_VA),
                    .count = LE64(1) },
    };
    struct svan_accel_cmd bad[] = {
        cmd_plain(SVAN_ACCEL_NOP), cmd_plain(SVAN_ACCEL_NOP), cmd_plain(SVAN_ACCEL_NOP),
        cmd_plain(SVAN_ACCEL_NOP), cmd_fill(LOCAL_VA, 8, 1), cmd_copy(LOCAL_VA, HOST_VA, 8),
        reduce, reduce, reduce, reduce, reduce, reduce,
        cmd_wait(HOST_VA + 4, 0), cmd_wait(HOST_VA, 0), cmd_wait(HOST_VA, 0),
        cmd_wait(HOST_VA, 0), cmd_wait(HOST_VA, 0), cmd_wait(HOST_VA, UINT64_MAX),
        cmd_write(LOCAL_VA + 4, 8, 1), cmd_write(LOCAL_VA, 2, 1),
        cmd_write(LOCAL_VA, 4, 1ull << 32), cmd_write(LOCAL_VA, 8, HOST_VA + 4),
        cmd_copy_wqe(LOCAL_VA + 32, 4, HOST_VA, 0, 1), cmd_copy_wqe(LOCAL_VA, 4, HOST_VA, 0, 17),
        cmd_copy_wqe(LOCAL_VA, 25, HOST_VA, 0, 1), cmd_copy_wqe(LOCAL_VA, 2, HOST_VA, 0, 5),
        cmd_copy_wqe(LOCAL_VA, 4, HOST_VA, 0, 0), cmd_copy_wqe(LOCAL_VA, 4, HOST_VA + 8, 0, 1),
        cmd_patch(LOCAL_VA + 1, HOST_VA, 0), cmd_patch(LOCAL_VA, HOST_VA + 4, 0),
        cmd_patch(LOCAL_VA, HOST_VA, 0), cmd_patch(LOCAL_VA, HOST_VA, 0),
        cmd_patch(LOCAL_VA, HOST_VA, 0), cmd_loop(0, 2), cmd_loop(1, 0),
        cmd_complete(LOCAL_VA + 8, 0), cmd_complete(LOCAL_VA, 0),
    };
    struct svan_accel_cmd opcode = cmd_plain(SVAN_ACCEL_INTERRUPT + 1);

    bad[0].flags = 0x10;
    bad[1].flags = SVAN_ACCEL_CMD_CONTINUE;
    bad[2].width = 4;
    bad[3].octets[55] = 1;
    bad[4].condition = 1;
    bad[5].flags = SVAN_ACCEL_CMD_INDIRECT;
    bad[6].reduce.op = 3;
    bad[7].reduce.type = 3;
    bad[8].reduce.reserved[5] = 1;
    bad[9].reduce.dst = LE64(LOCAL_VA + 2);
    bad[10].reduce.b = LE64(HOST_VA + 1);
    bad[11].reduce.count = LE64(UINT64_MAX / 4);
    bad[13].condition = 3;
    bad[14].wait.errors = LE64(HOST_VA + 4);
    bad[15].wait.status = LE64(HOST_VA + 2);
    bad[16].width = 1;
    bad[17].width = 4;
    bad[21].flags = SVAN_ACCEL_CMD_INDIRECT;
    bad[30].patch.src_width = 3;
    bad[31].patch.shift = 64;
    bad[32].patch.reserved[0] = 1;
    bad[36].complete.addr = LE64(LOCAL_VA);
    bad[36].flags = SVAN_ACCEL_CMD_BIG_ENDIAN;
    for (uint32_t i = 0; i < SIZE(bad); i++) {
        if (status_of(&bad[i], 1) != SVAN_ACCEL_BAD_PARAM) {
            fail_msg("bad command %u is not refused", i);
        }
    }
    assert_int_equal(status_of(&opcode, 1), SVAN_ACCEL_BAD_OPCODE);
}

static bool has_width(uint8_t opcode)
{
    return opcode == SVAN_ACCEL_WAIT || opcode == SVAN_ACCEL_WRITE ||
           opcode == SVAN_ACCEL_PATCH;
}

/* Much of it is nearly right. */
static struct svan_accel_cmd hostile_command(Rng *rng)
{
    struct svan_accel_cmd cmd = cmd_plain(rng_below(rng, 14));
    uint32_t words = rng_between(rng, 1, 7);

    for (uint32_t i = 0; i < words; i++) {
        uint64_t word = rng_next(rng) >> rng_below(rng, 64);

        word = rng_below(rng, 2) ? word :
               (rng_below(rng, 2) ? LOCAL_VA : WINDOW_VA) + word % 0x800 * 8;
        word = LE64(rng_below(rng, 3) ? word : word % 8);
        memcpy(cmd.octets + 8 * i, &word, 8);
    }
    cmd.flags = rng_below(rng, 4) ? 0 : rng_below(rng, 17);
    cmd.width = rng_below(rng, 8) ? 8 * has_width(cmd.opcode) : rng_below(rng, 10);
    cmd.condition = rng_below(rng, 8) ? 0 : rng_below(rng, 4);
    return cmd;
}

/* The neighbour is a loop that counts; it must come to its end. */
static void hostile_commands_hurt_nobody(void **state)
{
    AccelFake *fake = *state;
    Rng rng = rng_make(11, 2);
    struct svan_accel_cmd count[] = { cmd_patch(INDEX, INDEX, 1), cmd_loop(1, 50000) };

    printf("# seed 11\n");
    fake->miss_permille = 100;
    post_all(fake, count, 2);
    for (uint32_t i = 0; i < 4000; i++) {
        struct svan_accel_cmd cmd = hostile_command(&rng);

        if (accel_fake_read(fake, SVAN_ACCEL_REG_CTX(1, SVAN_ACCEL_CTX_STATE)) !=
            SVAN_ACCEL_CTX_RUNNING || accel_fake_state(fake, 1, 0) != SVAN_ACCEL_QUEUE_RUNNING) {
            accel_fake_write(fake, SVAN_ACCEL_REG_CTX(1, SVAN_ACCEL_CTX_CONTROL), 0);
            accel_fake_context(fake, 1);
            accel_fake_queue(fake, 1, 0);
        }
        cmd.tag = LE32(i);
        accel_fake_post(fake, 1, 0, &cmd);
        accel_fake_ring(fake, 1, 0);
        for (uint32_t j = 0; j < 20; j++) {
            accel_fake_step(fake);
        }
        fake->now += 1000;
        accel_fake_stores(fake);
    }
    accel_fake_run(fake);
    assert_int_equal(accel_fake_get64(fake, INDEX), 50000);
    assert_int_equal(accel_fake_state(fake, 0, 0), SVAN_ACCEL_QUEUE_RUNNING);
    assert_in_range(accel_counted(fake).faults, 100, 4000);
    assert_in_range(accel_counted(fake).stores, 1, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACCEL_TEST(stores_have_their_width),
        ACCEL_TEST(a_store_through_a_window_blocks),
        ACCEL_TEST(a_turn_of_stores_has_an_end),
        ACCEL_TEST(a_refused_store_stops_the_queue),
        ACCEL_TEST(a_reset_forgets_an_open_store),
        ACCEL_TEST(records_say_what_is_done),
        ACCEL_TEST(completions_and_interrupts),
        ACCEL_TEST(interrupts_in_a_loop_are_few),
        ACCEL_TEST(a_context_that_ends_takes_its_interrupts_along),
        ACCEL_TEST(faults_over_and_over_interrupt_seldom),
        ACCEL_TEST(form_b_a_hundred_thousand_times),
        ACCEL_TEST(form_b_with_misses),
        ACCEL_TEST(form_a_a_hundred_thousand_times),
        ACCEL_TEST(the_head_stays_while_a_loop_runs),
        ACCEL_TEST(bad_loops_are_refused),
        ACCEL_TEST(a_loop_that_comes_later_is_refused),
        cmocka_unit_test(every_field_is_checked),
        ACCEL_TEST(hostile_commands_hurt_nobody),
    };

    return cmocka_run_group_tests_name("accel_control", tests, NULL, NULL);
}
