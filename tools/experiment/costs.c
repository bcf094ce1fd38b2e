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

/* it is there, has just been thrown away, or has never been */
enum state { PRESENT, ABSENT, FRESH };

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

/* Of a WRITE to pages in @state; PAGES of them, or ROUNDS if they are fresh. */
static int time_writes(struct pair *pair, const struct ibv_mr *mr, uint8_t *map,
		       enum state state)
{
	unsigned int i, pages = state == FRESH ? ROUNDS : PAGES;
	double start;

	for (i = 0; i < ROUNDS; i++) {
		uint8_t *page = map + i % pages * PAGE;

		pair->out[0].data[0] = ~i;
		if (state != FRESH)
			page[0] = i;
		if (state == ABSENT)
			madvise(page, PAGE, MADV_DONTNEED);
		start = now_us();
		if (pair_write(pair, mr, page, PAGE))
			return -EIO;
		samples[i] = now_us() - start;
		if (page[0] != (uint8_t)~i) {
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

static struct ibv_mr *reg(struct pair *pair, enum kind kind, uint8_t *map,
			  size_t length)
{
	struct ibv_mr *mr;

	if (kind == PROCESS) {
		map = NULL;
		length = SIZE_MAX;
	}
	mr = ibv_reg_mr(pair->node[1].pd, map, length,
			ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	if (!mr)
		complain("cannot register, %s: %m", kind_names[kind]);
	return mr;
}

/* What a first touch costs: nothing is invalidated beside it. */
static int measure_fresh(struct pair *pair, enum kind kind)
{
	size_t length = ROUNDS * PAGE;
	uint8_t *map = mmap(NULL, length, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ibv_mr *mr;
	int ret = -EIO;

	if (map == MAP_FAILED)
		return -errno;
	madvise(map, length, MADV_NOHUGEPAGE);
	mr = reg(pair, kind, map, length);
	if (mr) {
		ret = time_writes(pair, mr, map, FRESH);
		print_quantiles("write_fresh_us", kind);
		ibv_dereg_mr(mr);
	}
	munmap(map, length);
	return ret;
}

static int measure(struct pair *pair, enum kind kind, uint8_t *map)
{
	struct ibv_mr *mr = reg(pair, kind, map, PAGES * PAGE);
	int ret;

	if (!mr)
		return -EIO;
	ret = time_invalidations(pair, mr, map, false);
	print_quantiles("invalidation_uncached_us", kind);
	if (!ret)
		ret = time_invalidations(pair, mr, map, true);
	print_quantiles("invalidation_cached_us", kind);
	if (!ret)
		ret = time_writes(pair, mr, map, PRESENT);
	print_quantiles("write_present_us", kind);
	if (!ret)
		ret = time_writes(pair, mr, map, ABSENT);
	print_quantiles("write_absent_us", kind);
	ibv_dereg_mr(mr);
	return ret ? ret : measure_fresh(pair, kind);
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
