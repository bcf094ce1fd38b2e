// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a registration takes, and how long until the first byte has been
 * written through it, by kind of key and size: CSV on stdout.
 *
 *   registration [BYTES...]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#define MAX_ROUNDS	7
/* a round of a large region takes seconds */
#define FEW_ROUNDS	3
#define LARGE		(256ull << 20)

enum kind { PINNED, EXPLICIT, PROCESS, KINDS };

static const char *const kind_names[KINDS] = {
	[PINNED] = "pinned", [EXPLICIT] = "explicit", [PROCESS] = "process",
};

struct sample {
	double reg_us, first_us, dereg_us, resident;
};

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static double resident_bytes(void)
{
	unsigned long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return (double)resident * sysconf(_SC_PAGESIZE);
}

static struct ibv_mr *reg(struct ibv_pd *pd, enum kind kind, void *addr,
			  uint64_t size)
{
	switch (kind) {
	case PINNED:
		return ibv_reg_mr(pd, addr, size, ACCESS_ALL);
	case EXPLICIT:
		return ibv_reg_mr(pd, addr, size,
				  ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	default:
		return ibv_reg_mr(pd, NULL, SIZE_MAX,
				  ACCESS_ALL | IBV_ACCESS_ON_DEMAND);
	}
}

static int measure(struct pair *pair, enum kind kind, uint64_t size,
		   struct sample *sample)
{
	double t0, t1, t2, t3, before;
	struct ibv_mr *mr;
	uint8_t *area;
	int ret;

	area = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	pair->out[0].data[0] = 0x5a;
	before = resident_bytes();
	t0 = now_us();
	mr = reg(pair->node[1].pd, kind, area, size);
	if (!mr) {
		ret = -errno;
		complain("cannot register %" PRIu64 " bytes, %s: %m", size,
			 kind_names[kind]);
		munmap(area, size);
		return ret;
	}
	t1 = now_us();
	/* the last byte, so that nobody gains by being lazy at the end */
	ret = pair_write(pair, mr, area + size - 1, 1);
	t2 = now_us();
	sample->resident = resident_bytes() - before;
	if (!ret && area[size - 1] != 0x5a) {
		complain("the byte is not there");
		ret = -EIO;
	}
	t3 = now_us();
	ibv_dereg_mr(mr);
	sample->dereg_us = now_us() - t3;
	sample->reg_us = t1 - t0;
	sample->first_us = t2 - t0;
	munmap(area, size);
	return ret;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print_median(enum kind kind, uint64_t size, const char *metric,
			 const char *unit, const struct sample *samples, int n,
			 size_t field)
{
	double values[MAX_ROUNDS];
	int i;

	for (i = 0; i < n; i++)
		values[i] = *(const double *)((const char *)&samples[i] + field);
	qsort(values, n, sizeof(values[0]), compare);
	printf("%s,%" PRIu64 ",%s,%s,%.1f\n", kind_names[kind], size, metric,
	       unit, values[n / 2]);
}

static int measure_size(struct pair *pair, enum kind kind, uint64_t size)
{
	int rounds = size < LARGE ? MAX_ROUNDS : FEW_ROUNDS, i, ret;
	struct sample samples[MAX_ROUNDS];

	for (i = 0; i < rounds; i++) {
		ret = measure(pair, kind, size, &samples[i]);
		if (ret)
			return ret;
	}
#define PRINT(metric, unit, field) \
	print_median(kind, size, metric, unit, samples, rounds, \
		     offsetof(struct sample, field))
	PRINT("register", "us", reg_us);
	PRINT("first_byte", "us", first_us);
	PRINT("deregister", "us", dereg_us);
	PRINT("resident", "bytes", resident);
	fflush(stdout);
	return 0;
}

static int measure_all(struct pair *pair, char **sizes)
{
	int kind, ret;

	for (; *sizes; sizes++) {
		for (kind = 0; kind < KINDS; kind++) {
			ret = measure_size(pair, kind,
					   strtoull(*sizes, NULL, 0));
			if (ret)
				return ret;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct pair pair;
	int ret;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (pair_open(&pair, false, 4096))
		return 1;
	ret = pair_create(&pair, &ep_defaults);
	if (!ret)
		ret = pair_connect(&pair, &conn_defaults);
	if (!ret) {
		puts("kind,size,metric,unit,value");
		ret = measure_all(&pair, argv + 1);
		pair_destroy(&pair);
	}
	pair_close(&pair);
	return ret ? 1 : 0;
}
