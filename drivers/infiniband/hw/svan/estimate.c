// SPDX-License-Identifier: GPL-2.0-only
/* The estimator that estimate.h describes. */

#ifdef __KERNEL__
#include <kunit/visibility.h>
#include <linux/string.h>
#else
#include <string.h>
#define EXPORT_SYMBOL_IF_KUNIT(symbol)	struct symbol##_is_not_exported
#endif

#include "estimate.h"

/* Estimates before the first sample of a class, in ns. They allow for emulated CPUs. */
static const __u32 svan_est_priors[SVAN_FAULT_CLASS_COUNT] = {
	[SVAN_FAULT_ZERO_FILL]		= 50000,
	[SVAN_FAULT_PAGE_CACHE]		= 50000,
	[SVAN_FAULT_FILE_READ]		= 5000000,
	[SVAN_FAULT_SWAP_IN]		= 1000000,
	[SVAN_FAULT_COPY_ON_WRITE]	= 50000,
	[SVAN_FAULT_HUGE_PAGE]		= 1000000,
	[SVAN_FAULT_USERFAULTFD]	= 1000000,
	[SVAN_FAULT_MIGRATION]		= 200000,
	[SVAN_FAULT_INVALIDATED]	= 200000,
};

static __u32 svan_est_log2(__u64 value)
{
	return 63 - __builtin_clzll(value);
}

static __u32 svan_est_bucket(__u64 ns)
{
	__u32 log, sub;

	if (ns < 1ull << SVAN_EST_MIN_LOG)
		return 0;
	log = svan_est_log2(ns);
	if (log >= SVAN_EST_MAX_LOG)
		return SVAN_EST_BUCKETS - 1;
	sub = ns >> (log - SVAN_EST_SUB_LOG) & ((1 << SVAN_EST_SUB_LOG) - 1);
	return ((log - SVAN_EST_MIN_LOG) << SVAN_EST_SUB_LOG) + sub;
}

/* A bucket holds the times from low on, up to but not including low + width. */
static __u64 svan_est_low(__u32 bucket, __u64 *width)
{
	__u32 log = SVAN_EST_MIN_LOG + (bucket >> SVAN_EST_SUB_LOG);
	__u64 sub = bucket & ((1 << SVAN_EST_SUB_LOG) - 1);

	*width = 1ull << (log - SVAN_EST_SUB_LOG);
	return (1ull << log) + sub * *width;
}

/**
 * svan_est_quantile - a percentile of the times that a slot has seen
 * @slot: the slot of a class or of a store
 * @percentile: 1..99
 *
 * Return: nanoseconds, or 0 if the slot has no sample and no prior.
 */
__u64 svan_est_quantile(const struct svan_est_slot *slot, __u32 percentile)
{
	__u32 target = slot->total / 100 * percentile;
	__u64 low, width;
	__u32 i, sum = 0;

	if (!slot->total)
		return 0;
	for (i = 0; i < SVAN_EST_BUCKETS - 1; i++) {
		if (sum + slot->buckets[i] > target)
			break;
		sum += slot->buckets[i];
	}
	low = svan_est_low(i, &width);
	if (!slot->buckets[i] || target < sum)
		return low;
	/* The samples are taken to be spread evenly over the bucket. */
	return low + (width * (((target - sum) << 8) / slot->buckets[i]) >> 8);
}
EXPORT_SYMBOL_IF_KUNIT(svan_est_quantile);

static void svan_est_weigh(struct svan_est_slot *slot, __u64 ns, __u32 weight)
{
	slot->buckets[svan_est_bucket(ns)] += weight;
	slot->total += weight;
}

static void svan_est_fade(struct svan_est_slot *slot)
{
	const __u32 round = (1u << SVAN_EST_FADE_LOG) - 1;
	__u32 i, total = 0;

	for (i = 0; i < SVAN_EST_BUCKETS; i++) {
		slot->buckets[i] -= (slot->buckets[i] + round) >>
				    SVAN_EST_FADE_LOG;
		total += slot->buckets[i];
	}
	slot->total = total;
}

static int svan_est_is_near(__u64 estimate, __u64 actual)
{
	return estimate / 2 <= actual && actual / 2 <= estimate;
}

static void svan_est_sample(struct svan_est_slot *slot, __u64 estimate,
			    __u64 actual, __u32 tick)
{
	svan_est_fade(slot);
	svan_est_weigh(slot, actual, SVAN_EST_UNIT);
	slot->last = actual;
	slot->used = tick;
	if (slot->count == 0xffffffffu) {
		slot->count /= 2;
		slot->near /= 2;
	}
	slot->count++;
	slot->near += svan_est_is_near(estimate, actual);
}

/* Initialise a slot. A prior has the weight of two samples. */
static void svan_est_open(struct svan_est_slot *slot, __u32 fault_class,
			  __u32 key, __u64 prior)
{
	memset(slot, 0, sizeof(*slot));
	slot->fault_class = fault_class;
	slot->key = key;
	if (prior)
		svan_est_weigh(slot, prior, SVAN_EST_PRIOR);
}

/* The index of the slot of a store, or SVAN_EST_SLOTS if it has none. */
static __u32 svan_est_find(const struct svan_estimator *est, __u32 fault_class,
			   __u32 key)
{
	__u32 i;

	for (i = SVAN_FAULT_CLASS_COUNT; i < SVAN_EST_SLOTS; i++) {
		const struct svan_est_slot *slot = &est->slots[i];

		if (slot->count && slot->fault_class == fault_class &&
		    slot->key == key)
			break;
	}
	return i;
}

/* The index of a slot for a new store: a free one, or that with the oldest sample. */
static __u32 svan_est_evict(const struct svan_estimator *est)
{
	__u32 i, oldest = SVAN_FAULT_CLASS_COUNT;

	for (i = SVAN_FAULT_CLASS_COUNT; i < SVAN_EST_SLOTS; i++) {
		if (!est->slots[i].count)
			return i;
		if (est->tick - est->slots[i].used >
		    est->tick - est->slots[oldest].used)
			oldest = i;
	}
	return oldest;
}

/**
 * svan_est_reset - forget everything
 * @est: the estimator; its percentile stays if it is valid
 */
void svan_est_reset(struct svan_estimator *est)
{
	__u32 i;

	if (est->percentile < 1 || est->percentile > 99)
		est->percentile = SVAN_EST_PERCENTILE;
	est->tick = 0;
	memset(est->slots, 0, sizeof(est->slots));
	for (i = 0; i < SVAN_FAULT_CLASS_COUNT; i++)
		svan_est_open(&est->slots[i], i, SVAN_EST_ANY,
			      svan_est_priors[i]);
}
EXPORT_SYMBOL_IF_KUNIT(svan_est_reset);

/**
 * svan_est_add - learn from a fault that has been served
 * @est: the estimator
 * @fault_class: its class, enum svan_fault_class
 * @key: key of the backing store, or SVAN_EST_ANY
 * @estimate: time that the device was told, in ns; 0 means unknown
 * @actual: time that it took, in ns
 */
void svan_est_add(struct svan_estimator *est, __u32 fault_class, __u32 key,
		  __u64 estimate, __u64 actual)
{
	struct svan_est_slot *slot;
	__u32 i;

	if (fault_class == SVAN_FAULT_UNKNOWN ||
	    fault_class >= SVAN_FAULT_CLASS_COUNT)
		return;
	est->tick++;
	slot = &est->slots[fault_class];
	if (key != SVAN_EST_ANY) {
		i = svan_est_find(est, fault_class, key);
		if (i == SVAN_EST_SLOTS) {
			i = svan_est_evict(est);
			svan_est_open(&est->slots[i], fault_class, key,
				      svan_est_quantile(slot, est->percentile));
		}
		svan_est_sample(&est->slots[i], estimate, actual, est->tick);
	}
	svan_est_sample(slot, estimate, actual, est->tick);
}
EXPORT_SYMBOL_IF_KUNIT(svan_est_add);

/**
 * svan_est_get - how long a page will take
 * @est: the estimator
 * @fault_class: its class, enum svan_fault_class
 * @key: key of the backing store, or SVAN_EST_ANY
 *
 * Return: nanoseconds, or 0 if that is unknown.
 */
__u64 svan_est_get(const struct svan_estimator *est, __u32 fault_class,
		   __u32 key)
{
	__u32 i = SVAN_EST_SLOTS;

	if (fault_class >= SVAN_FAULT_CLASS_COUNT)
		return 0;
	if (key != SVAN_EST_ANY)
		i = svan_est_find(est, fault_class, key);
	if (i == SVAN_EST_SLOTS)
		i = fault_class;
	return svan_est_quantile(&est->slots[i], est->percentile);
}
EXPORT_SYMBOL_IF_KUNIT(svan_est_get);
