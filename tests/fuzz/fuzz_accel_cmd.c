/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accelerator under a hostile context: commands, rings, doorbells, registers, table
 * entries, answers to stores, time, misses, resets and saved state, as the input says.
 * Memory that nobody gave to it stays as it is, a bystander ends with its right result,
 * the device comes to rest, and its state is the same after saving and loading.
 */
#include "fuzz_accel_bystander.h"

#define MAX_ACTIONS     100u
#define SEED_SIZE       800u
#define MAX_RESETS      3u
#define LOOP_RUNS       2000u           /* that loops get */
#define MAX_RUNS        400000u         /* until nothing is to do */
#define MEMORY_COMES_NS 20000000u       /* all that is kept back has left by then */

static uint32_t resets;

/* ---- running ---- */

static void check_store(const AccelStore *store)
{
    if (store->ctx == BYSTANDER) {
        by_store(store);
    } else if (store->ctx != HOSTILE || store->queue >= SVAN_ACCEL_QUEUES ||
               (store->width != 4 && store->width != 8) || store->bus % store->width ||
               store->bus / PAGE != ACCEL_FAKE_WINDOW / PAGE || !hostile_may(WINDOW_TARGET)) {
        fake_die("a store to %" PRIx64 " that nobody may store to", store->bus);
    }
}

static void make_stores(void)
{
    AccelStore store;

    stage.fake->store_wanted = false;
    while (accel_store_next(stage.fake->accel, &store)) {
        check_store(&store);
        if (store.ctx == HOSTILE && stage.answer == 2 && stage.late_count < 4) {
            stage.late[stage.late_count++] = store;
        } else {
            accel_store_end(stage.fake->accel, &store,
                            store.ctx == BYSTANDER || stage.answer != 1);
        }
    }
}

static AccelRun step(void)
{
    AccelRun result = accel_fake_step(stage.fake);

    if (stage.fake->store_wanted) {
        make_stores();
        result = ACCEL_RUN_MORE;
    }
    return result;
}

static void steps(uint32_t count)
{
    while (count--) {
        step();
    }
}

/* The bystander has its turns, and ends, whatever the other one does. */
static void bystander_ends(void)
{
    for (uint32_t i = 0; !by_is_done(); i++) {
        if (i == BY_RUNS) {
            fake_die("the bystander does not end");
        }
        if (step() == ACCEL_RUN_IDLE || i % BY_TURN == 0) {
            stage.fake->now += BY_STEP_NS;
        }
    }
}

/* What waits for something to happen is woken at the deadline that was told. */
static void check_deadline(void)
{
    AccelFake *fake = stage.fake;
    uint64_t latest = UINT64_MAX;

    for (uint32_t i = 0; i < SVAN_ACCEL_CONTEXTS; i++) {
        const AccelCtx *ctx = &fake->accel->ctxs[i];

        for (uint32_t q = 0; q < SVAN_ACCEL_QUEUES; q++) {
            if (accel_fake_state(fake, i, q) == SVAN_ACCEL_QUEUE_WAITING) {
                latest = fake->now + ACCEL_LAST_LOOK_NS;
            }
        }
        if (ctx->kept && ctx->kept->count) {
            latest = fake->now + ACCEL_KEPT_NS;
        }
    }
    if (latest != UINT64_MAX && fake->deadline > latest) {
        fake_die("queues wait, or stores are kept back, without a deadline");
    }
}

static void stop_loops(void)
{
    for (uint32_t q = 0; q < SVAN_ACCEL_QUEUES; q++) {
        if (stage.fake->accel->ctxs[HOSTILE].queues[q].loop_left) {
            accel_fake_write(stage.fake,
                             SVAN_ACCEL_REG_QUEUE(HOSTILE, q, SVAN_ACCEL_QUEUE_CONTROL), 0);
        }
    }
}

/* Only a loop may go on for ever. */
static void comes_to_rest(void)
{
    uint32_t kicks, i = 0;
    AccelRun result;

    do {
        if (i && i % LOOP_RUNS == 0) {
            stop_loops();
        }
        if (i++ == MAX_RUNS) {
            fake_die("the device does not come to rest");
        }
        kicks = atomic_load(&stage.fake->kicks);
        result = step();
    } while (result != ACCEL_RUN_IDLE || kicks != atomic_load(&stage.fake->kicks));
    check_deadline();
}

/* ---- saved state ---- */

/* In this device, or in another one that takes its place. */
static void reload(bool same_device)
{
    AccelFake *fake = stage.fake;
    size_t len, again_len;
    void *stream = fake_must(accel_save(fake->accel, &len)), *again;
    bool good = same_device ? accel_load(fake->accel, stream, len) : accel_fake_restore(fake);

    if (!good) {
        fake_die("the saved state is not accepted");
    }
    again = fake_must(accel_save(fake->accel, &again_len));
    if (again_len != len || memcmp(stream, again, len)) {
        fake_die("the state is not that which was loaded");
    }
    free(again);
    free(stream);
    if (!same_device) {
        stage.late_count = 0;
    }
    stage_flushed(0, UINT64_MAX);
}

/* ---- registers of the hostile context ---- */

static void hostile_queue(uint32_t queue, uint64_t base, uint64_t record, uint32_t log_size)
{
    uint32_t at = SVAN_ACCEL_REG_QUEUE(HOSTILE, queue, 0);

    accel_fake_write(stage.fake, at + SVAN_ACCEL_QUEUE_CONTROL, 0);
    accel_fake_write64(stage.fake, at + SVAN_ACCEL_QUEUE_BASE, base);
    accel_fake_write64(stage.fake, at + SVAN_ACCEL_QUEUE_RECORD, record);
    accel_fake_write(stage.fake, at + SVAN_ACCEL_QUEUE_LOG_SIZE, log_size);
    accel_fake_write(stage.fake, at + SVAN_ACCEL_QUEUE_CONTROL, SVAN_ACCEL_QUEUE_ENABLE);
    stage.posted[queue] = 0;
}

static void hostile_queue_again(uint32_t queue)
{
    hostile_queue(queue, stage.fake->rings[HOSTILE][queue], RECORDS + 16 * queue,
                  ACCEL_FAKE_LOG_RING);
}

static void hostile_context(uint64_t table, uint32_t levels)
{
    accel_fake_write(stage.fake, SVAN_ACCEL_REG_CTX(HOSTILE, SVAN_ACCEL_CTX_CONTROL), 0);
    stage_flushed(0, UINT64_MAX);
    accel_fake_write64(stage.fake, SVAN_ACCEL_REG_CTX(HOSTILE, SVAN_ACCEL_CTX_TABLE), table);
    accel_fake_write(stage.fake, SVAN_ACCEL_REG_CTX(HOSTILE, SVAN_ACCEL_CTX_LEVELS), levels);
    accel_fake_write(stage.fake, SVAN_ACCEL_REG_CTX(HOSTILE, SVAN_ACCEL_CTX_CONTROL),
                     SVAN_ACCEL_CTX_ENABLE);
    for (uint32_t q = 0; q < SVAN_ACCEL_QUEUES; q++) {
        hostile_queue_again(q);
    }
}

static void everybody_starts(void)
{
    hostile_context(stage.fake->roots[HOSTILE], 3);
    by_start();
}

static void reset(void)
{
    if (resets++ < MAX_RESETS) {
        accel_reset(stage.fake->accel);
        everybody_starts();
    }
}

/*
 * A root is the hostile context's, or leads nowhere; and that one is not taken for a
 * table of four levels, which would make its data tables.
 */
static uint64_t tame_value(uint32_t offset, uint64_t value, unsigned size)
{
    uint32_t ctx = (offset - SVAN_ACCEL_REG_CTX(0, 0)) / 0x80, reg = offset % 0x80;

    if (ctx >= SVAN_ACCEL_CONTEXTS) {
        return value;
    }
    if (reg < 8 && ctx == HOSTILE && (value & 1)) {
        return stage.fake->roots[HOSTILE] >> (reg ? 32 : 0);
    }
    if (reg < 8) {
        return size == 8 ? value | 1ull << 50 : reg ? value : value | 0x80000000;
    }
    return reg == SVAN_ACCEL_CTX_LEVELS && (uint32_t)value == 4 ? 3 : value;
}

/* The bystander's registers are not written. */
static bool is_bystanders(uint32_t offset)
{
    return (offset & ~0x7fu) == SVAN_ACCEL_REG_CTX(BYSTANDER, 0) ||
           (offset & ~0x7fu) == SVAN_ACCEL_REG_QUEUE(BYSTANDER, 0, 0);
}

static uint32_t some_offset(Input *input, uint8_t bits)
{
    uint32_t offset = input_number(input, 2);

    if (bits & 0x80) {
        return offset;
    }
    return (bits & 0x40 ? SVAN_ACCEL_REG_CTX(offset >> 14, 0) :
                          SVAN_ACCEL_REG_QUEUE(offset >> 14, 0, 0)) + (offset & 0x7c);
}

static void write_register(Input *input, uint8_t bits)
{
    static const unsigned sizes[] = { 8, 4, 4, 8, 4, 8, 2, 1 };
    uint32_t offset = some_offset(input, bits);
    uint64_t value = svan_le64_to_cpu(input_value(input));
    unsigned size = sizes[bits >> 3 & 7];

    if (is_bystanders(offset) || is_bystanders(offset + 7)) {
        return;
    }
    if (offset == SVAN_ACCEL_REG_CONTROL && (value & SVAN_ACCEL_CONTROL_RESET)) {
        reset();
        return;
    }
    accel_reg_write(stage.fake->accel, offset, tame_value(offset, value, size), size);
}

static void read_register(Input *input, uint8_t bits)
{
    uint32_t offset = some_offset(input, bits);
    unsigned size = bits & 1 ? 8 : 4;
    uint64_t value = accel_reg_read(stage.fake->accel, offset, size);

    if (value == (size == 8 ? UINT64_MAX : UINT32_MAX)) {
        fake_die("register %#x reads all ones", offset);
    }
}

/* ---- what else the input does ---- */

static void ring(uint32_t queue, uint64_t index)
{
    accel_doorbell(stage.fake->accel,
                   (HOSTILE << SVAN_ACCEL_DB_SHIFT) + SVAN_ACCEL_DB(queue), index, 8);
}

/* Mostly there is somebody to execute what is posted. */
static void revive(Input *input, uint32_t queue)
{
    uint32_t ctx = accel_fake_read(stage.fake,
                                   SVAN_ACCEL_REG_CTX(HOSTILE, SVAN_ACCEL_CTX_STATE));

    if (input_number(input, 1) % 8 == 7) {
        return;
    }
    if (ctx != SVAN_ACCEL_CTX_RUNNING) {
        hostile_context(stage.fake->roots[HOSTILE], 3);
    } else if (accel_fake_state(stage.fake, HOSTILE, queue) == SVAN_ACCEL_QUEUE_STOPPED ||
               accel_fake_state(stage.fake, HOSTILE, queue) == SVAN_ACCEL_QUEUE_OFF) {
        hostile_queue_again(queue);
    }
}

static void post(Input *input, uint8_t bits)
{
    uint32_t queue = bits >> 4 & 3;

    revive(input, queue);
    for (uint32_t i = 0; i <= (bits & 0xc0) >> 6; i++) {
        struct svan_accel_cmd cmd = input_command(input);
        uint64_t at = accel_fake_slot(stage.fake, HOSTILE, queue, stage.posted[queue]++);

        stage_poke(accel_fake_at(stage.fake, at), &cmd, sizeof(cmd));
    }
    ring(queue, stage.posted[queue]);
}

static void any_doorbell(Input *input, uint8_t bits)
{
    uint32_t offset = input_number(input, 3);
    uint64_t value = svan_le64_to_cpu(input_value(input));

    if (!(bits & 0x80)) {
        ring(bits >> 4 & 3, stage.posted[bits >> 4 & 3] + (int8_t)value);
    } else if (offset >> SVAN_ACCEL_DB_SHIFT != BYSTANDER) {
        accel_doorbell(stage.fake->accel, offset, value, 1u << (bits >> 5 & 3));
    }
}

/* Of an entry: what it leads to, which rights it gives, and what is wrong with it. */
static uint64_t some_entry(Input *input)
{
    uint8_t target = input_number(input, 1) % TARGETS, bits = input_number(input, 1);
    uint64_t entry = stage.bus[target] | SVAN_ACCEL_PTE_PRESENT;

    entry |= is_local(target) ? SVAN_ACCEL_PTE_LOCAL :
             target == WINDOW_TARGET ? SVAN_ACCEL_PTE_WINDOW : 0;
    entry |= bits & 1 && target != READ_TARGET ? SVAN_ACCEL_PTE_WRITABLE : 0;
    switch (bits >> 4) {
    case 0:
        return 0;
    case 1:
        return entry & ~SVAN_ACCEL_PTE_PRESENT;
    case 2:
        return entry | 1ull << (52 + bits % 12);
    case 3:
        return entry | SVAN_ACCEL_PTE_LOCAL | SVAN_ACCEL_PTE_WINDOW;
    case 4:
        return (LOCAL_SIZE + bits % 16 * PAGE) | SVAN_ACCEL_PTE_LOCAL | 3;
    case 5:
        return ((uint64_t)bits << 44) | SVAN_ACCEL_PTE_PRESENT | SVAN_ACCEL_PTE_WRITABLE;
    case 6:
        return input_number(input, 8) | 1ull << 51;
    default:
        return entry;
    }
}

static void invalidate(Input *input, uint8_t bits)
{
    uint64_t va = stage.slots[input_number(input, 1) % TARGETS].va;
    uint32_t log = bits & 0x80 ? SVAN_ACCEL_INV_ALL : bits >> 4;

    if (bits & 8) {
        accel_invalidate_bus(stage.fake->accel, stage.bus[bits >> 4], PAGE);
        stage_flushed(0, UINT64_MAX);
        return;
    }
    accel_fake_write64(stage.fake, SVAN_ACCEL_REG_CTX(HOSTILE, SVAN_ACCEL_CTX_INVALIDATE),
                       svan_accel_invalidate(va, log));
    if (log == SVAN_ACCEL_INV_ALL) {
        stage_flushed(0, UINT64_MAX);
    } else {
        stage_flushed(va, 1ull << log);
    }
}

/* What the context held of the page is invalidated, or not. */
static void change_table(Input *input, uint8_t bits)
{
    Slot *slot = &stage.slots[input_number(input, 1) % TARGETS];

    stage_set_entry(slot, some_entry(input));
    if (bits & 0x80) {
        accel_fake_write64(stage.fake, SVAN_ACCEL_REG_CTX(HOSTILE, SVAN_ACCEL_CTX_INVALIDATE),
                           svan_accel_invalidate(slot->va, 0));
        stage_flushed(slot->va, 1);
    }
}

static void answer_stores(uint8_t bits)
{
    stage.answer = bits >> 4 & 3;
    if (stage.late_count && (bits & 0x40)) {
        AccelStore store = stage.late[--stage.late_count];

        accel_store_end(stage.fake->accel, &store, bits & 0x80);
    }
}

/* The CPU stores to memory of the context; the device may learn of it. */
static void store_and_touch(Input *input, uint8_t bits)
{
    uint32_t target = input_number(input, 1) % WINDOW_TARGET;
    uint64_t at = stage.bus[target];
    uint8_t *page = is_local(target) ? stage.fake->local + at :
                                       stage.fake->ram + (at - ACCEL_FAKE_RAM);
    __le64 value = input_value(input);

    stage_poke(page + (bits >> 4) * 8, &value, sizeof(value));
    if (bits & 8) {
        accel_touched(stage.fake->accel, is_local(target) ? ACCEL_LOCAL : ACCEL_HOST, at);
    }
}

static void control(Input *input, uint8_t bits)
{
    static const uint8_t levels[] = { 0, 1, 2, 3, 3, 5, 255, 3 };
    uint32_t queue = bits >> 4 & 3;
    uint64_t root = stage.fake->roots[HOSTILE];

    if (bits & 0x80) {
        hostile_queue_again(queue);
    } else if (bits & 0x40) {
        uint64_t base = input_va(input, 64), record = input_va(input, 16);

        hostile_queue(queue, base, record, bits & 8 ? input_number(input, 1) % 18 : 2);
    } else if (queue == 3) {
        reset();
    } else {
        uint8_t kind = input_number(input, 1);

        hostile_context(kind & 0x80 ? root : root + (kind & 0x40 ? 8 : 1ull << 40),
                        kind & 0x40 ? levels[kind % 8] : 3);
    }
}

static void disturb(Input *input, uint8_t bits)
{
    switch (bits >> 5) {
    case 0:
        stage.fake->miss_permille = (bits & 16) * 10;
        break;
    case 1:
        stage.fake->bad_page = bits & 16 ? stage.bus[input_number(input, 1) % HOST_TARGETS] :
                                           0;
        break;
    case 2:
    case 3:
        stage.fake->now += 1ull << input_number(input, 1) % 40;
        break;
    case 4:
        comes_to_rest();
        break;
    default:
        reload(bits & 16);
        break;
    }
}

static void one_action(Input *input)
{
    uint8_t action = input_number(input, 1);

    switch (action % 16) {
    case 6:
        any_doorbell(input, action);
        break;
    case 7:
        write_register(input, input_number(input, 1));
        break;
    case 8:
        read_register(input, input_number(input, 1));
        break;
    case 9:
        change_table(input, action);
        break;
    case 10:
        invalidate(input, input_number(input, 1));
        break;
    case 11:
        answer_stores(action);
        break;
    case 12:
        store_and_touch(input, input_number(input, 1));
        break;
    case 13:
        control(input, action);
        break;
    case 14:
    case 15:
        disturb(input, action);
        break;
    default:
        post(input, action);
        break;
    }
    steps(action >> 4);
}

/* ---- the whole ---- */

/* What the bystander comes to if it is alone. */
static void learn_the_result(void)
{
    by_start();
    bystander_ends();
    comes_to_rest();
    by_look(stage.by_host, stage.by_local);
    if (accel_fake_get64(stage.fake, BY_COUNT) != BY_TURNS ||
        accel_fake_get64(stage.fake, BY_LOCAL_VA + 100) != BY_VALUE ||
        !accel_fake_get64(stage.fake, BY_CRC) || stage.by_stores != 1) {
        fake_die("the bystander alone has a wrong result");
    }
}

static void make_stage(void)
{
    AccelFake *fake = accel_fake_create(0);

    stage.fake = fake;
    stage.ram = fake_must(malloc(ACCEL_FAKE_RAM_PAGES * PAGE));
    stage.local = fake_must(malloc(LOCAL_SIZE));
    for (uint32_t ctx = HOSTILE; ctx <= BYSTANDER; ctx++) {
        accel_fake_context(fake, ctx);
        for (uint32_t q = 0; q < SVAN_ACCEL_QUEUES; q++) {
            accel_fake_queue(fake, ctx, q);
        }
    }
    memset(accel_fake_at(fake, READ_PAGE), READ_OCTET, PAGE);
    make_targets();
    make_tables();
    by_make_program();
    accel_fake_keep(fake);
    fake->on_written = written;
    accel_fake_replace(fake, 0);
    memcpy(stage.ram, fake->ram, ACCEL_FAKE_RAM_PAGES * PAGE);
    memcpy(stage.local, fake->local, LOCAL_SIZE);
    learn_the_result();
}

static void begin(Input *input)
{
    static const uint8_t seeds[] = { 0, 0, 1, 7 };
    uint8_t how = input_number(input, 1);
    bool dirty[sizeof(stage.fake->dirty)];

    memcpy(dirty, stage.fake->dirty, sizeof(dirty));
    accel_fake_replace(stage.fake, seeds[how % 4]);
    stage_sync(dirty);
    for (uint32_t i = 0; i < TARGETS; i++) {
        stage.slots[i].may = 0;
    }
    resets = 0;
    stage.answer = 0;
    stage.late_count = 0;
    everybody_starts();
}

/* What is kept back for the bystander leaves, once the other one is gone. */
static void end(void)
{
    AccelFake *fake = stage.fake;

    bystander_ends();
    comes_to_rest();
    reload(true);
    comes_to_rest();
    accel_fake_write(fake, SVAN_ACCEL_REG_CTX(HOSTILE, SVAN_ACCEL_CTX_CONTROL), 0);
    for (uint64_t until = fake->now + MEMORY_COMES_NS; fake->now < until;
         fake->now = fake->deadline > fake->now && fake->deadline < until ? fake->deadline :
                                                                            until) {
        comes_to_rest();
    }
    comes_to_rest();
    by_check();
    stage_check_memory();
}

/* Inputs of random octets do much: they are the seeds that the others come from. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    Rng rng = rng_make(seed, 1);

    if (seed % 4) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    size = rng_below(&rng, max_size < SEED_SIZE ? max_size : SEED_SIZE) + 1;
    for (size_t i = 0; i < size; i++) {
        data[i] = rng_next(&rng);
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = { data, size };

    if (!stage.fake) {
        make_stage();
    }
    begin(&input);
    for (uint32_t n = 0; input.size && n < MAX_ACTIONS; n++) {
        one_action(&input);
    }
    end();
    return 0;
}
