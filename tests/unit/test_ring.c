/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring in shared memory: frames pass, room is given back, nobody sleeps for ever, and
 * whatever the other end stores there harms nobody.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "unit.h"
#include "rng.h"
#include "wire/ring.h"

#define LOG_CELLS       SVAN_RING_MIN_LOG
#define CELLS           (1u << LOG_CELLS)

/* A memory and its four ends; peer_tx sends to rx, tx to peer_rx. */
typedef struct Wire {
    uint8_t *memory;
    struct svan_wire_control *control;
    SvanRingTx tx, peer_tx;
    SvanRingRx rx, peer_rx;
    _Atomic bool stop;
} Wire;

static int setup(void **state)
{
    Wire *w = calloc(1, sizeof(*w));

    w->memory = aligned_alloc(4096, svan_wire_size(LOG_CELLS));
    memset(w->memory, 0, svan_wire_size(LOG_CELLS));
    w->control = (void *)w->memory;
    svan_rings_init(&w->tx, &w->rx, w->memory, LOG_CELLS, true);
    svan_rings_init(&w->peer_tx, &w->peer_rx, w->memory, LOG_CELLS, false);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    Wire *w = *state;

    free(w->memory);
    free(w);
    return 0;
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static bool send_frame(SvanRingTx *tx, uint32_t length, uint8_t value)
{
    uint8_t *room = svan_ring_room(tx, length);

    if (room) {
        memset(room, value, length);
        svan_ring_put(tx, length, 0);
    }
    return room;
}

static void receive_frame(SvanRingRx *rx, uint32_t length, uint8_t value)
{
    SvanRingFrame frame;

    assert_true(svan_ring_next(rx, &frame));
    assert_int_equal(frame.length, length);
    for (uint32_t i = 0; i < length; i++) {
        assert_int_equal(frame.data[i], value);
    }
    svan_ring_take(rx);
}

/* ---- honest ends ---- */

/* Frames of all lengths, in both directions, many times around. */
static void test_pass(void **state)
{
    Wire *w = *state;
    Rng rng = rng_make(1, 0);

    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t length = SVAN_RING_MIN_FRAME +
                          rng_below(&rng, i % 8 ? 200 : SVAN_RING_MAX_FRAME - SVAN_RING_MIN_FRAME);
        bool out = rng_below(&rng, 2);
        SvanRingTx *tx = out ? &w->tx : &w->peer_tx;
        SvanRingRx *rx = out ? &w->peer_rx : &w->rx;

        assert_true(send_frame(tx, length, i));
        assert_false(svan_ring_has_more(rx));
        assert_false(svan_ring_publish(tx));
        assert_true(svan_ring_has_more(rx));
        receive_frame(rx, length, i);
        assert_false(svan_ring_release(rx));
        assert_false(svan_ring_has_more(rx));
    }
    assert_false(w->tx.broken || w->rx.broken || w->peer_tx.broken || w->peer_rx.broken);
}

/* A full ring refuses, and takes no more than has been given back. */
static void test_full(void **state)
{
    Wire *w = *state;
    uint32_t sent = 0, length = 4200, cells = svan_ring_cells(length);

    while (send_frame(&w->tx, length, sent)) {
        sent++;
    }
    assert_int_equal(sent, CELLS / cells);
    svan_ring_publish(&w->tx);
    assert_false(svan_ring_wait_room(&w->tx));
    receive_frame(&w->peer_rx, length, 0);
    assert_null(svan_ring_room(&w->tx, length));
    assert_true(svan_ring_release(&w->peer_rx));
    assert_false(w->tx.broken);
    receive_frame(&w->peer_rx, length, 1);
    assert_false(svan_ring_release(&w->peer_rx));       /* one wake is enough */
    assert_true(send_frame(&w->tx, length, sent));
    assert_null(svan_ring_room(&w->tx, SVAN_RING_MAX_FRAME + 1));
}

static void test_sleep(void **state)
{
    Wire *w = *state;

    assert_true(svan_ring_sleep(&w->rx));
    assert_false(svan_ring_publish(&w->peer_tx));       /* there is nothing to tell */
    send_frame(&w->peer_tx, 100, 1);
    assert_true(svan_ring_publish(&w->peer_tx));
    send_frame(&w->peer_tx, 100, 2);
    assert_false(svan_ring_publish(&w->peer_tx));       /* it has been woken already */
    svan_ring_stay_awake(&w->rx);
    assert_false(svan_ring_sleep(&w->rx));              /* there is more */
    receive_frame(&w->rx, 100, 1);
    receive_frame(&w->rx, 100, 2);
    assert_true(svan_ring_sleep(&w->rx));
    svan_ring_stay_awake(&w->rx);
    send_frame(&w->peer_tx, 100, 3);
    assert_false(svan_ring_publish(&w->peer_tx));       /* it is awake */
}

static void test_drop(void **state)
{
    Wire *w = *state;

    for (unsigned i = 0; i < 10; i++) {
        send_frame(&w->peer_tx, 50, i);
        svan_ring_publish(&w->peer_tx);
        if (i == 4) {
            receive_frame(&w->rx, 50, 0);
        }
    }
    assert_int_equal(svan_ring_drop(&w->rx), 9);
    assert_int_equal(svan_ring_drop(&w->rx), 0);
    send_frame(&w->peer_tx, 50, 77);
    svan_ring_publish(&w->peer_tx);
    receive_frame(&w->rx, 50, 77);
}

/* ---- threads: whoever sleeps is woken, and nothing is read before it is written ---- */

#define MANY            200000u

typedef struct Bell {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned rung;
} Bell;

static void ring_bell(Bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    bell->rung++;
    pthread_cond_signal(&bell->cond);
    pthread_mutex_unlock(&bell->lock);
}

/* A wake that was lost is waited for in vain. */
static void await_bell(Bell *bell)
{
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 20;
    pthread_mutex_lock(&bell->lock);
    while (!bell->rung) {
        assert_int_equal(pthread_cond_timedwait(&bell->cond, &bell->lock, &limit), 0);
    }
    bell->rung--;
    pthread_mutex_unlock(&bell->lock);
}

typedef struct Race {
    Wire *wire;
    Bell sender, receiver;
} Race;

static void *sending(void *arg)
{
    Race *race = arg;
    SvanRingTx *tx = &race->wire->tx;
    Rng rng = rng_make(1, 1);

    for (uint32_t i = 0; i < MANY; i++) {
        uint8_t *room;

        while (!(room = svan_ring_room(tx, 1000))) {
            if (svan_ring_publish(tx)) {
                ring_bell(&race->receiver);
            }
            if (!svan_ring_wait_room(tx)) {
                await_bell(&race->sender);
            }
        }
        memcpy(room, &i, sizeof(i));
        memcpy(room + 996, &i, sizeof(i));
        svan_ring_put(tx, 1000, 0);
        if (rng_below(&rng, 8) == 0 && svan_ring_publish(tx)) {
            ring_bell(&race->receiver);
        }
    }
    if (svan_ring_publish(tx)) {
        ring_bell(&race->receiver);
    }
    return NULL;
}

static void test_threads(void **state)
{
    Race race = {
        .wire = *state,
        .sender = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 },
        .receiver = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 },
    };
    SvanRingRx *rx = &race.wire->peer_rx;
    Rng rng = rng_make(1, 2);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, sending, &race), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        SvanRingFrame frame;
        uint32_t first, last;

        while (!svan_ring_next(rx, &frame)) {
            assert_false(rx->broken);
            if (svan_ring_release(rx)) {
                ring_bell(&race.sender);
            }
            if (svan_ring_sleep(rx)) {
                await_bell(&race.receiver);
            }
            svan_ring_stay_awake(rx);
        }
        memcpy(&first, frame.data, sizeof(first));
        memcpy(&last, frame.data + 996, sizeof(last));
        assert_int_equal(first, i);
        assert_int_equal(last, i);
        svan_ring_take(rx);
        if (rng_below(&rng, 16) == 0 && svan_ring_release(rx)) {
            ring_bell(&race.sender);
        }
    }
    pthread_join(thread, NULL);
}

/*
 * The sender publishes a frame at about the moment at which the receiver goes to sleep. If
 * either side looked before its own store is seen, both would wait.
 */
#define ROUNDS          200000u

/* For a thread that polls: where there is one CPU, the other thread needs it. */
static void polled(uint32_t *times)
{
    if (++*times % 256 == 0) {
        sched_yield();
    }
}

typedef struct Litmus {
    Wire *wire;
    _Atomic uint32_t taken, rung;
} Litmus;

static void *publishing(void *arg)
{
    Litmus *litmus = arg;
    SvanRingTx *tx = &litmus->wire->tx;
    Rng rng = rng_make(1, 4);
    uint32_t polls = 0;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        while (litmus->taken != i) {
            polled(&polls);
        }
        for (volatile uint32_t delay = rng_below(&rng, 64); delay; delay--) {
        }
        send_frame(tx, 20, i);
        if (svan_ring_publish(tx)) {
            litmus->rung++;
        }
    }
    return NULL;
}

static void test_sleep_races(void **state)
{
    Litmus litmus = { .wire = *state };
    SvanRingRx *rx = &litmus.wire->peer_rx;
    uint32_t heard = 0, slept = 0, polls = 0;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, publishing, &litmus), 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        SvanRingFrame frame;

        while (!svan_ring_next(rx, &frame)) {
            time_t limit = time(NULL) + 10;

            if (svan_ring_sleep(rx)) {
                for (slept++; litmus.rung == heard;) {
                    assert_true(time(NULL) < limit);
                    polled(&polls);
                }
                heard++;
            } else if (svan_ring_next(rx, &frame)) {
                break;
            }
        }
        /* perhaps it was woken, and had seen the frame itself */
        svan_ring_stay_awake(rx);
        heard = litmus.rung;
        svan_ring_take(rx);
        svan_ring_release(rx);
        litmus.taken = i + 1;
    }
    pthread_join(thread, NULL);
    assert_true(slept > 0);
}

/* ---- a hostile end ---- */

static struct svan_ring_record *record_at(Wire *w, uint32_t cell)
{
    return (void *)(w->rx.cells + (size_t)cell * SVAN_RING_CELL);
}

static void break_rx(Wire *w)
{
    SvanRingFrame frame;

    assert_false(svan_ring_next(&w->rx, &frame));
    assert_true(w->rx.broken);
    assert_false(svan_ring_next(&w->rx, &frame));
    assert_false(svan_ring_has_more(&w->rx));
}

static void test_wild_head(void **state)
{
    static const uint32_t heads[] = { CELLS + 1, 0xffffffff, 0x80000000 };

    for (unsigned i = 0; i < SIZE(heads); i++) {
        Wire *w = *state;

        svan_rings_init(&w->tx, &w->rx, w->memory, LOG_CELLS, true);
        w->control->to_listener.producer.head = svan_cpu_to_le32(heads[i]);
        break_rx(w);
    }
}

static void test_wild_tail(void **state)
{
    static const uint32_t tails[] = { 1, 0xffffffff, 0x80000000 };

    for (unsigned i = 0; i < SIZE(tails); i++) {
        Wire *w = *state;

        svan_rings_init(&w->tx, &w->rx, w->memory, LOG_CELLS, true);
        w->control->to_connector.consumer.tail = svan_cpu_to_le32(tails[i]);
        while (send_frame(&w->tx, 1000, 0)) {
        }
        assert_true(w->tx.broken);
        assert_null(svan_ring_room(&w->tx, 100));
        assert_false(svan_ring_wait_room(&w->tx));
        svan_ring_publish(&w->tx);
    }
}

/* Records that lead out of the ring, or past what was published. */
static void test_wild_records(void **state)
{
    static const struct {
        uint32_t length, at, ready;
        uint16_t flags;
    } wild[] = {
        { 0, 0, 1, 0 },
        { SVAN_RING_MIN_FRAME - 1, 0, 1, 0 },
        { SVAN_RING_MAX_FRAME + 1, 0, CELLS, 0 },
        { 0xffffffff, 0, CELLS, 0 },
        { 1000, 0, 15, 0 },             /* it needs one more */
        { 1000, CELLS - 8, 100, 0 },    /* it would wrap */
        { 100, 0, 10, 0x8000 },
        { 0, 0, CELLS, SVAN_RING_PAD }, /* a whole array of nothing */
        { 0, CELLS - 8, 7, SVAN_RING_PAD },
    };

    for (unsigned i = 0; i < SIZE(wild); i++) {
        Wire *w = *state;
        struct svan_ring_record *record = record_at(w, wild[i].at);

        svan_rings_init(&w->tx, &w->rx, w->memory, LOG_CELLS, true);
        w->rx.tail = w->rx.head = wild[i].at;
        w->control->to_listener.producer.head = svan_cpu_to_le32(wild[i].at + wild[i].ready);
        record->length = svan_cpu_to_le32(wild[i].length);
        record->flags = svan_cpu_to_le16(wild[i].flags);
        break_rx(w);
    }
}

static void *scribbling(void *arg)
{
    Wire *w = arg;
    /* the listener's incoming ring */
    uint64_t *cells = (void *)(w->memory + SVAN_WIRE_CELLS + CELLS * SVAN_RING_CELL);
    Rng rng = rng_make(1, 3);

    while (!w->stop) {
        uint32_t at = rng_below(&rng, CELLS);
        uint64_t once;
        struct svan_ring_record record = {
            .length = svan_cpu_to_le32(rng_below(&rng, 20000)),
            .flags = svan_cpu_to_le16(rng_below(&rng, 4) ? 0 : rng_below(&rng, 4)),
        };

        memcpy(&once, &record, sizeof(once));
        __atomic_store_n(&cells[at * SVAN_RING_CELL / sizeof(once)], once, __ATOMIC_RELAXED);
        __atomic_add_fetch((uint32_t *)&w->control->to_listener.producer.head,
                           rng_below(&rng, 64), __ATOMIC_RELAXED);
        __atomic_add_fetch((uint32_t *)&w->control->to_connector.consumer.tail,
                           rng_below(&rng, 8), __ATOMIC_RELAXED);
        if (!rng_below(&rng, 16)) {
            sched_yield();      /* where there is one CPU, the reader sees small steps, too */
        }
    }
    return NULL;
}

/* Descriptors and indices change all the time; what is handed out stays inside. */
static void test_scribbler(void **state)
{
    Wire *w = *state;
    const uint8_t *begin = w->rx.cells, *end = begin + (size_t)CELLS * SVAN_RING_CELL;
    uint64_t frames = 0, breaks = 0;
    uint32_t polls = 0;
    time_t limit = time(NULL) + 30;
    pthread_t thread;

    w->stop = false;
    assert_int_equal(pthread_create(&thread, NULL, scribbling, w), 0);
    /* On a busy machine the thread may begin late. */
    for (uint32_t i = 0; i < 300000 || ((!frames || !breaks) && time(NULL) < limit); i++) {
        SvanRingFrame frame;
        uint8_t *room = svan_ring_room(&w->tx, 64 + i % 1000);

        if (svan_ring_next(&w->rx, &frame)) {
            assert_true(frame.data >= begin && frame.data < end);
            assert_in_range(frame.length, SVAN_RING_MIN_FRAME, SVAN_RING_MAX_FRAME);
            assert_true(frame.length <= end - frame.data);
            svan_ring_take(&w->rx);
            frames++;
        }
        if (room) {
            svan_ring_put(&w->tx, 64 + i % 1000, 0);
        }
        svan_ring_publish(&w->tx);
        svan_ring_release(&w->rx);
        if (w->rx.broken || w->tx.broken) {
            svan_rings_init(&w->tx, &w->rx, w->memory, LOG_CELLS, true);
            w->rx.tail = w->rx.head = w->rx.released =
                svan_le32_to_cpu(w->control->to_listener.producer.head);
            breaks++;
        }
        polled(&polls);
    }
    w->stop = true;
    pthread_join(thread, NULL);
    print_message("%llu frames, broken %llu times\n", (unsigned long long)frames,
                  (unsigned long long)breaks);
    assert_true(frames > 0);
    assert_true(breaks > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(test_pass),
        RING_TEST(test_full),
        RING_TEST(test_sleep),
        RING_TEST(test_drop),
        RING_TEST(test_threads),
        RING_TEST(test_sleep_races),
        RING_TEST(test_wild_head),
        RING_TEST(test_wild_tail),
        RING_TEST(test_wild_records),
        RING_TEST(test_scribbler),
    };

    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
