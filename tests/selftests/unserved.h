/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages that nobody serves, and what is done beside them: a userfaultfd that is
 * not read, a file system that does not answer, children, their groups.
 *
 * Functions return 0, or a negative errno after having said on stderr what
 * went wrong.
 */
#ifndef SVAN_SELFTEST_UNSERVED_H
#define SVAN_SELFTEST_UNSERVED_H

#include <sys/types.h>

#include "demand.h"

#define PROMPT_MS	500	/* what needs nobody else, on a busy machine */

/* ---- memory of a userfaultfd that nobody serves ---- */

struct unserved {
	int fd;			/* the userfaultfd */
	uint8_t *map;
	size_t length;
};

int unserved_map(struct unserved *unserved, size_t length);
/* Faults that have arrived, when none has come for a while; at least one. */
int unserved_await(struct unserved *unserved);
/* All of it, from now on, and whoever waits. */
int unserved_serve(struct unserved *unserved);
void unserved_unmap(struct unserved *unserved);

/* ---- a file of a file system that answers no write, and few reads ---- */

struct stuck {
	char path[64];
	int dev;
	pthread_t thread;
	int asked[2];		/* an octet for each read or write that arrives */
	bool was_asked;
	uint8_t *map;
	size_t length;
	size_t served;		/* octets at the beginning that can be read */
};

/* -ENOENT: the guest has no FUSE. */
int stuck_map(struct stuck *stuck, size_t length);
/* Until it is asked for nothing more for a while; it must have been, once. */
int stuck_await(struct stuck *stuck);
/* The file system goes, and whoever waits for it is told. */
void stuck_unmap(struct stuck *stuck);

/* ---- many requests of one process ---- */

struct crowd {
	struct node node[2];	/* who writes, whose memory it is */
	struct area out;
	struct ibv_cq *cq[2];
	struct ep *ep[2];
	unsigned int count;
};

/* That many connections from one device to the same or the other. */
int crowd_open(struct crowd *crowd, enum which from, enum which to,
	       unsigned int count);
/* Each writes to an address of its own. */
int crowd_post(struct crowd *crowd, struct ibv_mr *mr, uint8_t *map,
	       size_t stride);
/* All of them have ended, in whatever way. */
int crowd_drain(struct crowd *crowd);
void crowd_close(struct crowd *crowd);

/* ---- first touches beside it ---- */

/*
 * Writes to fresh memory by a device, some with a key of its own and some with a
 * key to everything. Each must be done in PROMPT_MS.
 */
int touch_fresh(enum which which, unsigned int count);

/* ---- children ---- */

struct child {
	pid_t pid;
	int fd;			/* what it says, and is told */
};

/* Begins with body(arg, fd), which never returns; waits until it says so. */
int child_start(struct child *child, void (*body)(void *arg, int fd), void *arg);
void child_say(int fd);
int child_hear(int fd);
/* Killed, if it lives; -ETIMEDOUT if it does not end promptly. */
int child_kill(struct child *child);
/* The same; no store comes to memory that others get meanwhile, and after. */
int child_kill_watching(struct child *child);
/* The kernel gives pages again first to the CPU that they were given back by. */
int share_a_cpu(void);
/* Threads of that name in a process. */
int threads_of(pid_t pid, const char *name);

#endif /* SVAN_SELFTEST_UNSERVED_H */
