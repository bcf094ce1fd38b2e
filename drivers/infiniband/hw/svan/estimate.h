/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long an absent page will take, learned from those that were served.
 *
 * Pure: memory in, memory out, no locks, no clock, no floating point. Compiled
 * into svan_ib.ko and, unedited, into tests/unit/test_estimate.c. Callers
 * serialise the calls for one estimator.
 *
 * Each class of faults has a histogram of times, on a logarithmic scale of
 * four buckets an octave, whose samples fade: of n samples the last counts 1,
 * the one before 1 - 1/64 and so on. An estimate is a percentile of it. Two
 * classes are learned for each backing store as well (key: the device of a
 * file, the swap area), and the class's own histogram speaks for a store that
 * has had no sample.
 */
#ifndef SVAN_ESTIMATE_H
#define SVAN_ESTIMATE_H

#include <linux/types.h>

#include <svan/faults.h>

#define SVAN_EST_MIN_LOG	8	/* below 256 ns it is all one */
#define SVAN_EST_MAX_LOG	38	/* from 4.5 minutes on, too */
#define SVAN_EST_SUB_LOG	2
#define SVAN_EST_BUCKETS	((SVAN_EST_MAX_LOG - SVAN_EST_MIN_LOG) << \
				 SVAN_EST_SUB_LOG)
#define SVAN_EST_UNIT		(1u << 16)	/* weight of a new sample */
#define SVAN_EST_FADE_LOG	6
#define SVAN_EST_PRIOR		(2 * SVAN_EST_UNIT)
#define SVAN_EST_SLOTS		48		/* classes and stores */
#define SVAN_EST_ANY		0xffffffffu	/* key: the whole class */
#define SVAN_EST_PERCENTILE	50

/**
 * struct svan_est_slot - what is known of a class, or of one of its stores
 * @fault_class: enum svan_fault_class
 * @key: the store, or SVAN_EST_ANY
 * @count: samples since reset, 0: the slot is free or knows its prior alone
 * @near: those whose estimate was within a factor of two
 * @total: sum of @buckets
 * @used: tick of the last sample; the oldest store gives way to a new one
 * @last: the last sample, ns
 * @buckets: weights of the histogram
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
 * @percentile: what estimates aim at, 1..99
 * @tick: samples, free-running
 * @slots: the first SVAN_FAULT_CLASS_COUNT are the classes in their order,
 *	those behind them stores
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
