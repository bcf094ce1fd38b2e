/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Estimates of the time that an absent page takes, learned from earlier faults.
 *
 * The estimator takes no locks, reads no clock and uses no floating point, so that
 * the same code is compiled into svan_ib.ko and into tests/unit/test_estimate.c.
 * Callers serialise the calls for one estimator.
 *
 * Each class of faults has a histogram of times, on a logarithmic scale of four
 * buckets for each factor of two. Samples fade: the last one has the weight 1, the
 * one before it 1 - 1/64, and so on. An estimate is a percentile of the histogram.
 * File reads and swap-ins have a histogram for each backing store as well; its key is
 * the device number of the file's file system or the number of the swap area. For a
 * store without samples the histogram of the class is used.
 */
#ifndef SVAN_ESTIMATE_H
#define SVAN_ESTIMATE_H

#include <linux/types.h>

#include <svan/faults.h>

#define SVAN_EST_MIN_LOG	8	/* times below 256 ns share a bucket */
#define SVAN_EST_MAX_LOG	38	/* as do times above 4.5 minutes */
#define SVAN_EST_SUB_LOG	2
#define SVAN_EST_BUCKETS	((SVAN_EST_MAX_LOG - SVAN_EST_MIN_LOG) << \
				 SVAN_EST_SUB_LOG)
#define SVAN_EST_UNIT		(1u << 16)	/* weight of a new sample */
#define SVAN_EST_FADE_LOG	6
#define SVAN_EST_PRIOR		(2 * SVAN_EST_UNIT)
#define SVAN_EST_SLOTS		48		/* for classes and stores together */
#define SVAN_EST_ANY		0xffffffffu	/* key that means the whole class */
#define SVAN_EST_PERCENTILE	50

/**
 * struct svan_est_slot - what is known of a class, or of one of its stores
 * @fault_class: enum svan_fault_class
 * @key: key of the backing store, or SVAN_EST_ANY for the whole class
 * @count: number of samples since the reset; at 0 a store's slot is free, and a
 *	class's holds its prior alone
 * @near: number of samples that differed from their estimate by a factor of two
 *	at most
 * @total: sum of @buckets
 * @used: svan_estimator.tick at the last sample; a new store takes the slot of the
 *	store whose last sample is oldest
 * @last: the last sample in ns
 * @buckets: the histogram, as sums of weights
 */
struct svan_est_slot {
	__u32	fault_class;
	__u32	key;
	__u32	count;
	__u32	near;
	__u32	total;
	__u32	used;
	__u64	last;
	__u32	buckets[SVAN_EST_BUCKETS];
};

/**
 * struct svan_estimator - all that has been learned
 * @percentile: percentile that estimates give, 1..99
 * @tick: number of samples, free-running
 * @slots: the first SVAN_FAULT_CLASS_COUNT slots belong to the classes, by number;
 *	the others to backing stores
 */
struct svan_estimator {
	__u32	percentile;
	__u32	tick;
	struct svan_est_slot slots[SVAN_EST_SLOTS];
};

void svan_est_reset(struct svan_estimator *est);
void svan_est_add(struct svan_estimator *est, __u32 fault_class, __u32 key,
		  __u64 estimate, __u64 actual);
__u64 svan_est_get(const struct svan_estimator *est, __u32 fault_class,
		   __u32 key);
__u64 svan_est_quantile(const struct svan_est_slot *slot, __u32 percentile);

#endif /* SVAN_ESTIMATE_H */
