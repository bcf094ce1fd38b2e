// SPDX-License-Identifier: GPL-2.0-only
/*
 * trigger-user nic|accel|reset|sleep [a|b]: a user of NIC and accelerator in loopback, which
 * says "working", and then outlives what others do to the devices: the NIC goes, the
 * accelerator goes or is reset, all devices sleep.
 *
 * trigger-user wait COUNT: as many queues that wait for what never comes, after "resting"
 * and half a minute without them; "waiting" when they do, and half a minute with them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trigger-lib.h"

#define PHASE_S		30

static int outlive(enum triggered_end end, char form)
{
	static struct triggered t;
	int pipes[2];

	if (pipe(pipes))
		return 1;
	if (!fork()) {
		char octet;

		close(pipes[1]);
		if (read(pipes[0], &octet, 1) == 1)
			printf("working\n");
		fflush(stdout);
		_exit(0);
	}
	close(pipes[0]);
	if (triggered_open(&t, false) || triggered_outlive(&t, form, end, pipes[1]))
		return 1;
	printf("done\n");
	return 0;
}

/* A context with four queues, each of which waits for one word of a page. */
static int wait_for_ever(unsigned int count)
{
	struct accel_queue queue;
	struct accel_buf page;
	struct accel accel;
	unsigned int i;

	if (accel_open(&accel) ||
	    accel_buf_alloc(&page, &accel, DRM_SVAN_ACCEL_BO_HOST, ACCEL_PAGE))
		return -1;
	for (i = 0; i < count; i++) {
		if (accel_queue_create(&queue, &accel, 2))
			return -1;
		*((uint64_t *)page.map + 2 * i + 1) = 1;
		accel_post(&queue, accel_wait(page.va + 16 * i, page.va + 16 * i + 8, 0));
		accel_ring(&queue);
	}
	return 0;
}

static int wait_phases(unsigned int count)
{
	unsigned int i;

	printf("resting\n");
	fflush(stdout);
	sleep(PHASE_S);
	for (i = 0; i < count; i += SVAN_ACCEL_QUEUES) {
		if (wait_for_ever(count - i < SVAN_ACCEL_QUEUES ? count - i :
								  SVAN_ACCEL_QUEUES))
			return 1;
	}
	printf("waiting\n");
	fflush(stdout);
	sleep(PHASE_S);
	printf("done\n");
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const ends[] = {
		[NIC_GOES] = "nic", [ACCEL_GOES] = "accel", [ACCEL_RESETS] = "reset",
		[ALL_RESET] = "sleep",
	};
	unsigned int i;

	if (argc == 3 && !strcmp(argv[1], "wait"))
		return wait_phases(atoi(argv[2]));
	for (i = 0; argc >= 2 && i <= ALL_RESET; i++) {
		if (!strcmp(argv[1], ends[i]))
			return outlive(i, argc > 2 ? argv[2][0] : 'a');
	}
	fprintf(stderr, "usage: trigger-user nic|accel|reset|sleep [a|b], or wait COUNT\n");
	return 2;
}
