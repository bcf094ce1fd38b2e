/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doorbells, records and page tables beside a running engine, in real time. Built
 * twice: with the thread sanitizer, and optimised, where stores and loads do
 * overtake.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "mock.h"

#ifdef __SANITIZE_THREAD__
#define RINGS           5000u
#define POSTS           5000u
#define UNMAPS          3000u
#else
#define RINGS           20000u
#define POSTS           150000u
#define UNMAPS          100000u
#endif
#define ROUNDS          (RINGS / 8)
#define RINGERS         3
#define LIVES           40u             /* of a function */
#define POLL_NS         300u
#define LIMIT_NS        10000000000ull  /* of anything that must happen */

typedef struct Bench {
    Host *host;
    Fake *fake;
    HostCq cq;
    HostQp qps[RINGERS];
    _Atomic uint32_t done[RINGERS];     /* what the engine has consumed */
    _Atomic bool stop, stuck;
    _Atomic bool hold;                  /* the engine, which is busy elsewhere */
} Bench;

static uint64_t clock_ns(void *opaque)
{
    struct timespec now;

    (void)opaque;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static int setup(void **state)
{
    Bench *bench = calloc(1, sizeof(*bench));

    mock_reset();
    bench->fake = fake_create(NULL);
    bench->host = host_create(bench->fake, 0, 1);
    bench->cq = host_cq(bench->host, 4);
    for (uint32_t i = 0; i < RINGERS; i++) {
        HostQpAttr attr = { .log_sq = 15 };

        bench->qps[i] = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
        mock_qp(&bench->qps[i]);
    }
    fake_run(bench->fake);
    bench->fake->core->ops.trace = NULL;        /* the Fake's is for one thread */
    bench->fake->core->ops.now = clock_ns;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->fake);
    host_destroy(bench->host);
    free(bench);
    return 0;
}

/* Runs while there is work, then sleeps until it is kicked. */
static void *engine(void *arg)
{
    Bench *bench = arg;

    while (!atomic_load(&bench->stop)) {
        uint32_t kicks = atomic_load(&bench->fake->kicks);
        SvanRun run;

        while (atomic_load(&bench->hold)) {
            sched_yield();
        }
        do {
            run = svan_run(bench->fake->core);
            for (uint32_t i = 0; i < RINGERS; i++) {
                atomic_store(&bench->done[i], mocks[i].ci);
            }
        } while (run != SVAN_RUN_IDLE && !atomic_load(&bench->stop));
        while (atomic_load(&bench->fake->kicks) == kicks &&
               !atomic_load(&bench->stop)) {
            sched_yield();
        }
    }
    return NULL;
}

/* Everybody rings a queue of its own, and all of them one that is not there. */
static void *ringer(void *arg)
{
    HostQp *qp = arg;
    SvanCore *core = qp->host->fake->core;

    for (uint32_t i = 1; i <= RINGS; i++) {
        host_ring(qp, SVAN_UAR_SQ_DB, i);
        host_cq_arm(qp->send_cq, i & 1);
        svan_doorbell(core, 0, 0, svan_db_value(0x777, i), 8);
    }
    return NULL;
}

static bool wait_for(Bench *bench, uint32_t qp, uint32_t pi)
{
    uint64_t limit = clock_ns(NULL) + LIMIT_NS;

    while (atomic_load(&bench->done[qp]) != pi) {
        if (clock_ns(NULL) > limit) {
            return false;
        }
        sched_yield();
    }
    return true;
}

static void no_ring_is_lost(void **state)
{
    Bench *bench = *state;
    SvanFn *fn = host_fn(bench->host);
    pthread_t threads[RINGERS], runner;
    bool good = true;

    assert_int_equal(pthread_create(&runner, NULL, engine, bench), 0);
    for (uint32_t i = 0; i < RINGERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ringer,
                                        &bench->qps[i]), 0);
    }
    for (uint32_t i = 0; i < RINGERS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (uint32_t i = 0; i < RINGERS; i++) {
        good &= wait_for(bench, i, RINGS);
    }
    atomic_store(&bench->stop, true);
    pthread_join(runner, NULL);
    assert_true(good);
    assert_int_equal(fn->doorbells, 2 * RINGERS * RINGS);
    assert_int_equal(fn->doorbells_refused, RINGERS * RINGS);
}

static void spin(uint64_t ns)
{
    uint64_t end = clock_ns(NULL) + ns;

    while (clock_ns(NULL) < end) {
        /* no system call: it would miss the moment */
    }
}

/* Two who ring one queue, and are never more than a few doorbells apart. */
typedef struct Pair {
    Bench *bench;
    _Atomic uint32_t next;              /* the index that was prepared last */
    _Atomic uint32_t ringers, round, ended;
    _Atomic bool stop;
} Pair;

#define RINGS_A_ROUND   3u
#define STORE_NS        256u            /* a doorbell is on its way, at most */

/*
 * Takes an index and rings for it: between the two the other one may take a later one,
 * and ring first.
 */
static void *one_of_two(void *arg)
{
    Pair *pair = arg;
    uint32_t seed = atomic_fetch_add(&pair->ringers, 1);

    for (uint32_t round = 1; round <= ROUNDS; round++) {
        while (atomic_load(&pair->round) != round) {
            if (atomic_load(&pair->stop)) {
                return NULL;
            }
            sched_yield();
        }
        for (uint32_t i = 0; i < RINGS_A_ROUND; i++) {
            uint32_t index = atomic_fetch_add(&pair->next, 1) + 1;

            seed = seed * 1664525 + 1013904223;
            spin((seed >> 8) % STORE_NS);
            if (seed >> 30 == 0) {
                sched_yield();          /* or it is later by a time slice */
            }
            host_ring(&pair->bench->qps[0], SVAN_UAR_SQ_DB, index);
        }
        atomic_fetch_add(&pair->ended, 1);
    }
    return NULL;
}

/*
 * The CPU and a peer ring one queue, without the record. When both have rung, the
 * engine learns of all that was prepared, whoever's store came last; whether it looks
 * in between, or, in each second round, not before both have rung.
 */
static void the_latest_of_two_ringers_is_not_lost(void **state)
{
    Bench *bench = *state;
    Pair pair = { .bench = bench };
    pthread_t threads[2], runner;
    bool good = true;

    assert_int_equal(pthread_create(&runner, NULL, engine, bench), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, one_of_two, &pair),
                         0);
    }
    for (uint32_t round = 1; good && round <= ROUNDS; round++) {
        atomic_store(&bench->hold, round & 1);
        atomic_store(&pair.round, round);
        while (atomic_load(&pair.ended) != 2 * round) {
            sched_yield();
        }
        atomic_store(&bench->hold, false);
        good = wait_for(bench, 0, 2 * RINGS_A_ROUND * round);
    }
    atomic_store(&pair.stop, true);
    for (uint32_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&bench->stop, true);
    pthread_join(runner, NULL);
    assert_true(good);
}

/* Posts one at a time, about when the engine stops polling. */
static void *poster(void *arg)
{
    Bench *bench = arg;
    HostQp *qp = &bench->qps[0];
    uint32_t seed = 1;

    for (uint32_t i = 1; i <= POSTS; i++) {
        seed = seed * 1664525 + 1013904223;
        spin(POLL_NS / 2 + (seed >> 8) % (2 * POLL_NS));
        qp->sq_pi = i;
        host_post(qp);
        if (!wait_for(bench, 0, i)) {
            atomic_store(&bench->stuck, true);
            break;
        }
    }
    return NULL;
}

static void nobody_sleeps_over_a_post(void **state)
{
    Bench *bench = *state;
    pthread_t runner, thread;

    svan_set_poll(bench->fake->core, POLL_NS);
    assert_int_equal(pthread_create(&runner, NULL, engine, bench), 0);
    assert_int_equal(pthread_create(&thread, NULL, poster, bench), 0);
    pthread_join(thread, NULL);
    atomic_store(&bench->stop, true);
    pthread_join(runner, NULL);
    assert_false(bench->stuck);
}

/* Queues come and go under the ringers' hands. */
static void *careless_ringer(void *arg)
{
    Bench *bench = arg;
    uint32_t i = 0;

    while (!atomic_load(&bench->stop)) {
        for (uint32_t index = 0; index < 64; index++) {
            svan_doorbell(bench->fake->core, 0, SVAN_UAR_SQ_DB,
                          svan_db_value(index | (i % 4) << 16, i), 8);
            svan_doorbell(bench->fake->core, 0, SVAN_UAR_CQ_DB,
                          svan_db_value(index | (i % 4) << 16, i), 8);
        }
        i++;
    }
    return NULL;
}

static void rung_while_they_die(void **state)
{
    Bench *bench = *state;
    pthread_t threads[2];

    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, careless_ringer,
                                        bench), 0);
    }
    for (uint32_t i = 0; i < 500; i++) {
        HostQp qp;
        HostCq cq;

        bench->fake->used = 7 << 20;
        cq = host_cq(bench->host, 2);
        qp = host_qp(bench->host, &cq, &cq, NULL);
        host_object(bench->host, SVAN_CMD_DESTROY_QP, qp.qpn);
        host_object(bench->host, SVAN_CMD_DESTROY_CQ, cq.cqn);
    }
    svan_reset(bench->fake->core, 0);
    atomic_store(&bench->stop, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    fake_run(bench->fake);
}

/* So does the function, whose slots come as its queues do, and stay. */
static void rung_while_the_function_dies(void **state)
{
    Bench *bench = *state;
    uint32_t used = bench->fake->used;
    pthread_t threads[2];

    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, careless_ringer,
                                        bench), 0);
    }
    for (uint32_t i = 0; i < LIVES; i++) {
        HostCq cq;

        svan_reset(bench->fake->core, 0);
        host_destroy(bench->host);
        bench->fake->used = used;
        bench->host = host_create(bench->fake, 0, 1);
        cq = host_cq(bench->host, 2);
        for (uint32_t k = 0; k <= i; k++) {
            host_qp(bench->host, &cq, &cq, NULL);
        }
    }
    svan_reset(bench->fake->core, 0);
    atomic_store(&bench->stop, true);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    fake_run(bench->fake);
}

/* ---- page tables ---- */

#define KERNELS         2
#define POISON          UINT64_MAX
#define VA              0x7f0012345000ull
#define PTE_BITS        (SVAN_PTE_PRESENT | SVAN_PTE_WRITABLE | SVAN_PTE_USER)
#define PTE_MARKS       (SVAN_PTE_ACCESSED | SVAN_PTE_DIRTY)

/*
 * A page that its kernel moves to and fro between two frames, by an entry of the
 * leaf's table or of the root.
 */
typedef struct Slot {
    uint64_t va;
    _Atomic uint64_t *entry;            /* what is changed */
    uint64_t values[2];                 /* what to */
    _Atomic uint64_t *leaves[2];
    uint64_t frames[2];                 /* bus addresses */
} Slot;

typedef struct Space {
    Bench *bench;
    pthread_mutex_t engine;     /* the engine lock */
    struct svan_process_context *context;
    SvanUser user;
    uint32_t key;
    Slot slots[KERNELS];
    _Atomic uint32_t running;   /* kernels */
    _Atomic uint32_t epochs;
    _Atomic bool stale, unmarked;
    _Atomic uint32_t skipped, asked;
} Space;

typedef struct Kernel {
    Space *space;
    uint32_t number;
} Kernel;

static _Atomic uint64_t *word_at(Space *space, uint64_t bus)
{
    return fake_ram(space->bench->fake, bus);
}

/* A table of this level with the tables below, down to a leaf for the frame. */
static uint64_t branch(Space *space, Slot *slot, uint32_t n, uint32_t level)
{
    uint64_t table = fake_alloc(space->bench->fake, 4096, 4096);
    _Atomic uint64_t *entry = word_at(space, table) +
                              (slot->va >> (3 + 9 * level) & 511);

    if (level == 1) {
        slot->leaves[n] = entry;
    } else {
        *entry = htole64(branch(space, slot, n, level - 1) | PTE_BITS |
                         PTE_MARKS);
    }
    return table;
}

static void space_tables(Space *space)
{
    Fake *fake = space->bench->fake;
    _Atomic uint64_t *root;

    space->context->root = htole64(fake_alloc(fake, 4096, 4096));
    space->context->flags = htole32(SVAN_CTX_VALID |
                                    4 << SVAN_CTX_LEVELS_SHIFT |
                                    SVAN_PT_X86_64 << SVAN_CTX_FORMAT_SHIFT);
    root = word_at(space, le64toh(space->context->root));
    for (uint32_t i = 0; i < KERNELS; i++) {
        Slot *slot = &space->slots[i];

        slot->va = VA + ((uint64_t)i << 39);
        slot->entry = root + (slot->va >> 39 & 511);
        for (uint32_t n = 0; n < 2; n++) {
            slot->frames[n] = fake_alloc(fake, 4096, 4096);
            slot->values[n] = branch(space, slot, n, 3);
        }
        if (i % 2 == 0) {
            *slot->entry = htole64(slot->values[0] | PTE_BITS | PTE_MARKS);
            slot->entry = slot->leaves[1] = slot->leaves[0];
            slot->values[0] = slot->frames[0];
            slot->values[1] = slot->frames[1];
        }
    }
}

static void space_key(Space *space)
{
    Host *host = space->bench->host;
    uint64_t contexts = fake_alloc(host->fake, 4096, 4096);
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_PROCESS, .page_shift = 12, .pasid = htole32(1),
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE), .pd = htole32(host->pd),
        .length = htole64(1ull << 47),
    };

    host_set_contexts(host, contexts, 2);
    space->context = (struct svan_process_context *)
                     fake_ram(host->fake, contexts) + 1;
    space->key = host_key(host, &key);
    space->user.fn = host_fn(host);
    space->user.pd = host->pd;
    space->user.can_wait = true;
}

/* What the kernel has to do between an entry and its page. */
static void invalidate(Space *space, uint64_t va, bool all)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!__atomic_load_n(&space->context->cached, __ATOMIC_RELAXED)) {
        space->skipped++;
        return;
    }
    space->asked++;
    pthread_mutex_lock(&space->engine);
    svan_reg_write(space->bench->fake->core, 0, SVAN_REG_INV_CONTEXT(1),
                   all ? SVAN_INV_CONTEXT_ALL :
                         svan_inv_context(va, 0), 8);
    pthread_mutex_unlock(&space->engine);
}

/* Let the engine run, were it on the same processor. */
static void wait_for_epochs(Space *space)
{
    uint32_t epochs = space->epochs;

    while (space->epochs - epochs < 8) {
        sched_yield();
    }
}

static void *kernel(void *arg)
{
    Kernel *self = arg;
    Space *space = self->space;
    Slot *slot = &space->slots[self->number];
    uint32_t seed = self->number;

    for (uint32_t i = 1; i <= UNMAPS; i++) {
        uint32_t n = i & 1;
        _Atomic uint64_t *word = word_at(space, slot->frames[n]);
        bool marked;

        seed = seed * 1664525 + 1013904223;
        /* With the marks set there is no compare-and-swap that would notice. */
        marked = seed >> 29 & 1;
        atomic_store(word, i);
        atomic_store(slot->leaves[n],
                     htole64(slot->frames[n] | PTE_BITS |
                             (marked ? PTE_MARKS : 0)));
        if (slot->entry != slot->leaves[n]) {
            atomic_store(slot->entry,
                         htole64(slot->values[n] | PTE_BITS | PTE_MARKS));
        }
        if (i % (UNMAPS / 50) == 0) {
            wait_for_epochs(space);
        }
        spin(seed >> 8 & 1023);
        marked |= !!(le64toh(atomic_exchange(slot->entry, 0)) &
                     SVAN_PTE_DIRTY) && slot->entry == slot->leaves[n];
        invalidate(space, slot->va, seed >> 30 == 0);
        /* Nobody but us has it now. */
        marked |= !!(le64toh(atomic_load(slot->leaves[n])) & SVAN_PTE_DIRTY);
        if (atomic_exchange(word, POISON) != i && !marked) {
            space->unmarked = true;
        }
        spin(seed >> 18 & 127);
        if (atomic_load(word) != POISON) {
            space->stale = true;
        }
    }
    space->running--;
    return NULL;
}

/* An epoch: reads, or writes, one of the pages, if it is there. */
static void space_access(Space *space, uint32_t slot, bool write)
{
    SvanAccess access = {
        .fn = space->user.fn, .user = &space->user, .key = space->key,
        .va = space->slots[slot].va, .len = 8,
        .access = write ? SVAN_ACCESS_LOCAL_WRITE : 0,
    };
    uint32_t syndrome;
    SvanMem mem;

    pthread_mutex_lock(&space->engine);
    if (svan_access(&access, &mem, &syndrome) == SVAN_STEP_DONE) {
        _Atomic uint64_t *word = (_Atomic uint64_t *)mem.host;

        space->stale |= atomic_load(word) == POISON;
        if (write) {
            atomic_store(word, 0);
        }
        space->stale |= atomic_load(word) == POISON;
    }
    pthread_mutex_unlock(&space->engine);
    space->epochs++;
}

/* No page is read, or written, after its entry was cleared and invalidated. */
static void no_page_is_used_once_it_is_gone(void **state)
{
    Space space = { .bench = *state, .running = KERNELS };
    Kernel kernels[KERNELS];
    pthread_t threads[KERNELS];
    uint32_t seed = 3;

    pthread_mutex_init(&space.engine, NULL);
    space_key(&space);
    space_tables(&space);
    for (uint32_t i = 0; i < KERNELS; i++) {
        kernels[i] = (Kernel) { &space, i };
        assert_int_equal(pthread_create(&threads[i], NULL, kernel,
                                        &kernels[i]), 0);
    }
    while (space.running) {
        seed = seed * 1664525 + 1013904223;
        space_access(&space, seed >> 16 & 1, seed >> 17 & 1);
        spin(seed >> 20 & 511);
    }
    for (uint32_t i = 0; i < KERNELS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&space.engine);
    assert_false(space.stale);
    assert_false(space.unmarked);
    assert_true(space.asked && space.skipped);
    assert_true(space.user.fn->stats->tlb_hits);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(no_ring_is_lost),
        TEST(the_latest_of_two_ringers_is_not_lost),
        TEST(nobody_sleeps_over_a_post),
        TEST(rung_while_they_die),
        TEST(rung_while_the_function_dies),
        TEST(no_page_is_used_once_it_is_gone),
    };

    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
