/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's estimator of fault times, against distributions whose truth is
 * known: after 100 faults the estimate is within a factor of two of the median.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../drivers/infiniband/hw/svan/estimate.c"

static uint64_t seed = 1;

static uint32_t draw(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z >> 32;
}

/* ---- distributions, by their mean or their modes ---- */

/* -log2(u) for u in (0, 1], with 16 bits behind the point */
static uint64_t minus_log2(uint32_t u)
{
    uint64_t x = (uint64_t)u + 1, result = 0;
    int shift = 0;

    while (x < 1ull << 32) {
        x <<= 1;
        shift++;
    }
    /* 2^32 <= x < 2^33: the fraction bit by bit, by squaring */
    for (int bit = 15; bit >= 0; bit--) {
        x = (uint64_t)(((unsigned __int128)x * x) >> 32);
        if (x >= 1ull << 33) {
            x >>= 1;
            result |= 1ull << bit;
        }
    }
    return ((uint64_t)shift << 16) - result;
}

static uint64_t constant(uint64_t mean)
{
    return mean;
}

static uint64_t uniform(uint64_t mean)
{
    return mean / 2 + draw() % mean;
}

static uint64_t exponential(uint64_t mean)
{
    /* ln 2 = 45426 / 65536 */
    return mean * ((minus_log2(draw()) * 45426) >> 16) >> 16;
}

/* mostly fast, sometimes 200 times as slow: readahead, a busy disk */
static uint64_t bimodal(uint64_t mean)
{
    return draw() % 10 < 7 ? mean / 2 + draw() % mean : 200 * mean;
}

static uint64_t heavy_tail(uint64_t mean)
{
    return mean + ((mean << 16) / (draw() % 65536 + 1));
}

typedef uint64_t Distribution(uint64_t mean);

static Distribution *const distributions[] = {
    constant, uniform, exponential, bimodal, heavy_tail,
};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t median(Distribution *from, uint64_t mean)
{
    static uint64_t samples[4001];

    for (int i = 0; i < 4001; i++) {
        samples[i] = from(mean);
    }
    qsort(samples, 4001, sizeof(samples[0]), compare);
    return samples[2000];
}

static void assert_near(uint64_t estimate, uint64_t truth)
{
    if (estimate > 2 * truth || truth > 2 * estimate) {
        fail_msg("estimate %llu, truth %llu", (unsigned long long)estimate,
                 (unsigned long long)truth);
    }
}

/* ---- the estimator ---- */

static struct svan_estimator est;

static int setup(void **state)
{
    memset(&est, 0, sizeof(est));
    svan_est_reset(&est);
    return 0;
}

/* As the driver does it: what is said first, then what has come true. */
static void serve(uint32_t fault_class, uint32_t key, uint64_t actual)
{
    svan_est_add(&est, fault_class, key,
                 svan_est_get(&est, fault_class, key), actual);
}

static void learn(uint32_t fault_class, uint32_t key, Distribution *from,
                  uint64_t mean, int count)
{
    while (count--) {
        serve(fault_class, key, from(mean));
    }
}

static void within_a_factor_of_two(void **state)
{
    static const uint64_t means[] = {
        1000, 20000, 300000, 5000000, 80000000, 2000000000,
    };

    for (size_t d = 0; d < sizeof(distributions) / sizeof(*distributions); d++) {
        for (size_t m = 0; m < sizeof(means) / sizeof(*means); m++) {
            uint64_t truth = median(distributions[d], means[m]);

            for (uint32_t c = 1; c < SVAN_FAULT_CLASS_COUNT; c++) {
                setup(NULL);
                learn(c, SVAN_EST_ANY, distributions[d], means[m], 100);
                assert_near(svan_est_get(&est, c, SVAN_EST_ANY), truth);
            }
        }
    }
}

/* A disk becomes slow, and fast again: 100 faults later that is known. */
static void drift(void **state)
{
    uint64_t mean = 100000;

    for (int round = 0; round < 8; round++) {
        learn(SVAN_FAULT_SWAP_IN, 3, exponential, mean, 100);
        assert_near(svan_est_get(&est, SVAN_FAULT_SWAP_IN, 3),
                    median(exponential, mean));
        mean = round & 1 ? mean / 30 : mean * 30;
    }
}

static void stores_apart(void **state)
{
    uint64_t class_median;

    /* zram and a throttled disk */
    for (int i = 0; i < 100; i++) {
        serve(SVAN_FAULT_SWAP_IN, 0, exponential(40000));
        serve(SVAN_FAULT_SWAP_IN, 1, exponential(20000000));
    }
    assert_near(svan_est_get(&est, SVAN_FAULT_SWAP_IN, 0),
                median(exponential, 40000));
    assert_near(svan_est_get(&est, SVAN_FAULT_SWAP_IN, 1),
                median(exponential, 20000000));
    /* of one that is new the class speaks, of another class its own */
    class_median = svan_est_get(&est, SVAN_FAULT_SWAP_IN, SVAN_EST_ANY);
    assert_int_equal(svan_est_get(&est, SVAN_FAULT_SWAP_IN, 2), class_median);
    assert_true(svan_est_get(&est, SVAN_FAULT_FILE_READ, 0) != class_median);
}

static void more_stores_than_slots(void **state)
{
    for (uint32_t key = 0; key < 4 * SVAN_EST_SLOTS; key++) {
        learn(SVAN_FAULT_FILE_READ, key, constant, 1000 * (key + 1), 50);
        /* one that is used all the time is not forgotten */
        serve(SVAN_FAULT_FILE_READ, 1000000, 77000000);
    }
    assert_near(svan_est_get(&est, SVAN_FAULT_FILE_READ, 1000000), 77000000);
    assert_near(svan_est_get(&est, SVAN_FAULT_FILE_READ,
                             4 * SVAN_EST_SLOTS - 1), 4000 * SVAN_EST_SLOTS);
    /* the first is forgotten */
    assert_int_equal(svan_est_get(&est, SVAN_FAULT_FILE_READ, 0),
                     svan_est_get(&est, SVAN_FAULT_FILE_READ, SVAN_EST_ANY));
}

/* The chosen percentile covers as many of the faults to come. */
static void percentiles(void **state)
{
    static const uint32_t aims[] = { 10, 25, 50, 75, 90, 95 };

    learn(SVAN_FAULT_FILE_READ, 8, uniform, 1000000, 1000);
    for (size_t i = 0; i < sizeof(aims) / sizeof(*aims); i++) {
        uint64_t estimate;
        uint32_t covered = 0;

        est.percentile = aims[i];
        estimate = svan_est_get(&est, SVAN_FAULT_FILE_READ, 8);
        for (int n = 0; n < 10000; n++) {
            covered += uniform(1000000) <= estimate;
        }
        /* 64 samples' worth of memory: a few percent */
        assert_in_range(covered / 100, aims[i] > 15 ? aims[i] - 15 : 0,
                        aims[i] + 15);
    }
}

static void before_the_first_fault(void **state)
{
    for (uint32_t c = 0; c < SVAN_FAULT_CLASS_COUNT; c++) {
        uint64_t said = svan_est_get(&est, c, SVAN_EST_ANY);

        if (c == SVAN_FAULT_UNKNOWN) {
            assert_int_equal(said, 0);
        } else {
            assert_near(said, svan_est_priors[c]);
        }
        assert_int_equal(svan_est_get(&est, c, 7), said);
    }
}

static void reset_forgets(void **state)
{
    uint64_t prior = svan_est_get(&est, SVAN_FAULT_SWAP_IN, 5);

    est.percentile = 90;
    learn(SVAN_FAULT_SWAP_IN, 5, constant, 1, 100);
    svan_est_reset(&est);
    assert_int_equal(est.percentile, 90);
    est.percentile = SVAN_EST_PERCENTILE;
    assert_int_equal(svan_est_get(&est, SVAN_FAULT_SWAP_IN, 5), prior);
    assert_int_equal(est.slots[SVAN_FAULT_SWAP_IN].count, 0);
}

static void strange_input(void **state)
{
    static const uint64_t times[] = { 0, 1, 255, 256, 1ull << 38, UINT64_MAX };

    svan_est_add(&est, SVAN_FAULT_UNKNOWN, SVAN_EST_ANY, 0, 1);
    svan_est_add(&est, SVAN_FAULT_CLASS_COUNT, 0, 0, 1);
    svan_est_add(&est, UINT32_MAX, UINT32_MAX, 0, 1);
    assert_int_equal(est.tick, 0);
    assert_int_equal(svan_est_get(&est, SVAN_FAULT_CLASS_COUNT, 0), 0);

    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        setup(NULL);
        learn(SVAN_FAULT_ZERO_FILL, 1, constant, times[i], 1000);
        if (times[i] >= 256 && times[i] < 1ull << 38) {
            assert_near(svan_est_get(&est, SVAN_FAULT_ZERO_FILL, 1), times[i]);
        }
        assert_true(svan_est_get(&est, SVAN_FAULT_ZERO_FILL, 1));
    }
    /* the counts do not wrap */
    est.slots[SVAN_FAULT_ZERO_FILL].count = UINT32_MAX;
    est.slots[SVAN_FAULT_ZERO_FILL].near = UINT32_MAX;
    serve(SVAN_FAULT_ZERO_FILL, SVAN_EST_ANY, 5000);
    assert_true(est.slots[SVAN_FAULT_ZERO_FILL].count > UINT32_MAX / 2);
    assert_true(est.slots[SVAN_FAULT_ZERO_FILL].near <=
                est.slots[SVAN_FAULT_ZERO_FILL].count);
}

/* Sums stay what they are sums of, however long it runs. */
static void weights_add_up(void **state)
{
    for (int i = 0; i < 20000; i++) {
        uint32_t c = 1 + draw() % (SVAN_FAULT_CLASS_COUNT - 1);

        serve(c, draw() % 3 ? draw() % 100 : SVAN_EST_ANY,
              distributions[draw() % 5](1ull << (draw() % 40)));
    }
    for (int i = 0; i < SVAN_EST_SLOTS; i++) {
        const struct svan_est_slot *slot = &est.slots[i];
        uint64_t sum = 0;

        for (int b = 0; b < SVAN_EST_BUCKETS; b++) {
            sum += slot->buckets[b];
        }
        assert_int_equal(sum, slot->total);
        assert_true(slot->total <= 66 * SVAN_EST_UNIT);
        assert_true(slot->near <= slot->count);
    }
}

static void buckets_are_in_order(void **state)
{
    __u64 width, low, end = 1ull << SVAN_EST_MIN_LOG;

    for (uint32_t b = 0; b < SVAN_EST_BUCKETS; b++) {
        low = svan_est_low(b, &width);
        assert_int_equal(low, end);
        assert_int_equal(svan_est_bucket(low), b);
        assert_int_equal(svan_est_bucket(low + width - 1), b);
        end = low + width;
    }
    assert_int_equal(end, 1ull << SVAN_EST_MAX_LOG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(within_a_factor_of_two, setup),
        cmocka_unit_test_setup(drift, setup),
        cmocka_unit_test_setup(stores_apart, setup),
        cmocka_unit_test_setup(more_stores_than_slots, setup),
        cmocka_unit_test_setup(percentiles, setup),
        cmocka_unit_test_setup(before_the_first_fault, setup),
        cmocka_unit_test_setup(reset_forgets, setup),
        cmocka_unit_test_setup(strange_input, setup),
        cmocka_unit_test_setup(weights_add_up, setup),
        cmocka_unit_test_setup(buckets_are_in_order, setup),
    };

    return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
