// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a minor fault costs, and what an invalidation costs, by kind of key: CSV on
 * stdout, kind,group,x,value as of faults.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "common.h"

#define PAGE		4096u
#define PAGES		64u
#define ROUNDS		1000u

enum kind { NOTHING, EXPLICIT, PROCESS, KINDS };

static const char *const kind_names[KINDS] = {
	[NOTHING] = "none", [EXPLICIT] = "explicit", [PROCESS] = "process",
};

static double samples[ROUNDS];

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print_quantiles(const char *what, enum kind kind)
{
	static const unsigned int percents[] = { 10, 50, 90, 99 };
	unsigned int i;

	qsort(samples, ROUNDS, sizeof(samples[0]), compare);
	for (i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
		printf("%s,%s,%u,%.2f\n", what, kind_names[kind], percents[i],
		       samples[ROUNDS * percents[i] / 100]);
	fflush(stdout);
}

/* Of a WRITE to pages that are there, or were just thrown away. */
static int time_writes(struct pair *pair, const struct ibv_mr *mr, uint8_t *map,
		       bool absent)
{
	unsigned int i;
	double start;

	for (i = 0; i < ROUNDS; i++) {
		uint8_t *page = map + i % PAGES * PAGE;

		pair->out[0].data[0] = i;
		page[0] = ~i;
		if (absent)
			madvise(page, PAGE, MADV_DONTNEED);
		start = now_us();
		if (pair_write(pair, mr, page, PAGE))
			return -EIO;
		samples[i] = now_us() - start;
		if (page[0] != (uint8_t)i) {
			complain("the data is not there");
			return -EIO;
		}
	}
	return 0;
}

/* Of throwing away a page that the CPU has touched, and the device if it may. */
static int time_invalidations(struct pair *pair, const struct ibv_mr *mr,
			      uint8_t *map, bool cached)
{
	unsigned int i;
	double start;

	for (i = 0; i < ROUNDS; i++) {
		map[0] = i;
		if (cached && pair_write(pair, mr, map, PAGE))
			return -EIO;
		start = now_us();
		madvise(map, PAGE, MADV_DONTNEED);
		samples[i] = now_us() - start;
	}
	return 0;
}

static int measure(struct pair *pair, enum kind kind, uint8_t *map)
{
	int access = ACCESS_ALL | IBV_ACCESS_ON_DEMAND, ret;
	struct ibv_mr *mr;

	mr = kind == PROCESS ? ibv_reg_mr(pair->node[1].pd, NULL, SIZE_MAX,
					  access) :
			       ibv_reg_mr(pair->node[1].pd, map, PAGES * PAGE,
					  access);
	if (!mr) {
		complain("cannot register, %s: %m", kind_names[kind]);
		return -errno;
	}
	ret = time_invalidations(pair, mr, map, false);
	print_quantiles("invalidation_uncached_us", kind);
	if (!ret)
		ret = time_invalidations(pair, mr, map, true);
	print_quantiles("invalidation_cached_us", kind);
	if (!ret)
		ret = time_writes(pair, mr, map, false);
	print_quantiles("write_present_us", kind);
	if (!ret)
		ret = time_writes(pair, mr, map, true);
	print_quantiles("write_absent_us", kind);
	ibv_dereg_mr(mr);
	return ret;
}

int main(void)
{
	uint8_t *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pair pair;
	int ret;

	if (map == MAP_FAILED || pair_open(&pair, false, PAGE))
		return 1;
	ret = pair_create(&pair, &ep_defaults);
	if (!ret)
		ret = pair_connect(&pair, &conn_defaults);
	puts("kind,group,x,value");
	if (!ret) {
		ret = time_invalidations(&pair, NULL, map, false);
		print_quantiles("invalidation_uncached_us", NOTHING);
	}
	if (!ret)
		ret = measure(&pair, EXPLICIT, map);
	if (!ret)
		ret = measure(&pair, PROCESS, map);
	pair_close(&pair);
	return ret ? 1 : 0;
}
