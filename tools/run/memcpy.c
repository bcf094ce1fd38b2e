// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rate at which this machine copies memory, in MB/s (2^20 bytes): buffers
 * far larger than the caches, the best of several passes. It bounds what one copy
 * from guest memory to guest memory can reach.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIZE	(256UL << 20)
#define PASSES	7

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int main(void)
{
	char *from = malloc(SIZE), *to = malloc(SIZE);
	double best = 0;
	int i;

	if (!from || !to) {
		fprintf(stderr, "memcpy: no memory for two buffers of 256 MiB\n");
		return 1;
	}
	memset(from, 1, SIZE);
	memset(to, 2, SIZE);
	for (i = 0; i < PASSES; i++) {
		double start = now(), rate;

		from[i] = i;
		memcpy(to, from, SIZE);
		rate = (SIZE >> 20) / (now() - start);
		if (to[i] == i && rate > best)
			best = rate;
	}
	printf("%.0f\n", best);
	free(from);
	free(to);
	return 0;
}
