/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traffic to memory that is not there, for the experiment on fault modes. One
 * process owns the targets of each kind of memory, in a memory cgroup of its
 * own; one requester, whose memory is pinned, has a lane to each target and
 * keeps it busy.
 */
#ifndef SVAN_EXPERIMENT_FAULTS_H
#define SVAN_EXPERIMENT_FAULTS_H

#include <infiniband/svandv.h>

#include "common.h"

#define PAGE		4096u

/* what the targets are in */
enum memory {
	FRESH,			/* anonymous, never touched or thrown away */
	SWAP,			/* anonymous, more than its cgroup may have */
	COLD,			/* private mapping of a file that is not cached */
	MEMORIES,
};

enum traffic {
	STREAM,			/* RDMA WRITEs of 512 KiB, one behind the other */
	RANDOM,			/* RDMA WRITEs of a page */
	MESSAGE,		/* SENDs of a page */
	TRAFFICS,
};

#define LANES_EACH	2	/* to each target: process key, on-demand key */
#define MAX_LANES	(MEMORIES * TRAFFICS * LANES_EACH)

extern const char *const memory_names[MEMORIES];
extern const char *const traffic_names[TRAFFICS];

struct options {
	struct svandv_fault_policy policy;
	bool memories[MEMORIES];
	bool traffics[TRAFFICS];
	unsigned int rnr_timer;		/* min_rnr_timer, IBTA table 46 */
	unsigned int warm_ms, ms;	/* measured after the first, for the second */
	uint64_t seed;
	bool paced;			/* streams, too, are due at times */
	const char *file;		/* what COLD maps */
};

/* One connection, as one side tells the other of it. */
struct lane_info {
	enum memory memory;
	enum traffic traffic;
	union ibv_gid gid;
	uint32_t qpn, psn, rkey;
	uint64_t addr, length;
};

uint32_t transfer_size(enum traffic traffic);
unsigned int transfers_at_once(enum traffic traffic);
void connection(const struct options *options, const struct node *node,
		struct conn *conn);
/* Connects to what the other side has told of. */
int lane_connect(struct ep *ep, const struct lane_info *peer,
		 const struct conn *conn);
uint64_t now_ns(void);

/*
 * A process that owns memory of one kind. It tells of its lanes through the socket,
 * is told of the other sides of them, and lives until the socket is closed.
 */
int target_main(const struct options *options, enum memory memory, int sock);

/* The requester, with a socket to each target. Prints CSV: kind,group,x,value */
int load_main(const struct options *options, const int *socks);

#endif /* SVAN_EXPERIMENT_FAULTS_H */
