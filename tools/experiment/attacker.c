// SPDX-License-Identifier: GPL-2.0-only
/*
 * attacker [FAULTS]: burns a CPU until it is killed, with so many writes beside it
 * that wait for pages which nobody serves. Says so when it has begun.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "demand.h"
#include "unserved.h"

static int begin_faults(unsigned int count)
{
	static struct unserved unserved;
	static struct crowd crowd;
	struct ibv_mr *mr;

	if (unserved_map(&unserved, count * PAGE) ||
	    crowd_open(&crowd, LOCAL, LOCAL, count))
		return -1;
	mr = demand_reg(crowd.node[1].pd, unserved.map, unserved.length,
			ACCESS_ALL);
	if (!mr || crowd_post(&crowd, mr, unserved.map, PAGE))
		return -1;
	return unserved_await(&unserved);
}

int main(int argc, char **argv)
{
	unsigned int count = argc > 1 ? atoi(argv[1]) : 0;
	int waiting = count ? begin_faults(count) : 0;
	volatile uint64_t spin = 0;

	if (waiting < 0)
		return 1;
	printf("%d waiting\n", waiting);
	fflush(stdout);
	for (;;)
		spin++;
}
