/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The torture of on-demand and process keys. Memory is cut into slots, and of
 * each slot a shadow tells what every octet of it must be.
 *
 * A slot is claimed by one writer or by several readers. Who writes it (a
 * transfer into it, a store, an munmap...) is its writer; transfers out of it are
 * readers. What leaves the contents alone (reclaim, migration, merging, the
 * collapse into huge pages...) needs no claim, and hits slots with traffic.
 */
#ifndef SVAN_SELFTEST_TORTURE_H
#define SVAN_SELFTEST_TORTURE_H

#include <stdatomic.h>

#include "demand.h"

#define NODES		3
#define LANES		5	/* one for each fault mode */
#define SLOTS		44
#define SLOT_SIZE	131072u
#define TRAPS		48
#define GHOSTS		8
#define FILL		0x5a	/* of what the userfaultfd serves */

struct torture;

struct slot {
	struct mem mem;
	uint8_t *shadow;
	uint8_t *base;		/* what lies in the file, of MEM_PRIVATE */
	bool read_only;		/* a file of the root: a source only */
	bool served;		/* by the userfaultfd */
	bool undefined;		/* MADV_FREE: until all of it was written */
	struct ibv_mr *mr[NODES];
	atomic_uint children;	/* of fork() that live and may share its pages */
	/* torture.lock */
	unsigned int readers;
	bool writer;
};

/* Pages that were mapped just after others were freed, full of poison. */
struct trap {
	uint8_t *map;
	size_t length;
};

/* A file that was mapped once. */
struct ghost {
	int fd;
	uint8_t *data;
	size_t length;
};

struct lane {
	struct torture *t;
	struct ep ep[2];
	int node[2];
	enum svandv_fault_mode mode;
	struct rng rng;
	pthread_t thread;
	uint64_t transfers, octets;
};

enum act {
	ACT_MMAP_OVER, ACT_MUNMAP, ACT_MREMAP, ACT_DONTNEED, ACT_REMOVE,
	ACT_FREE, ACT_STORE, ACT_PWRITE, ACT_PROT_NONE, ACT_TWIN,
	ACT_EXCLUSIVE_COUNT,		/* the rest needs no writer */
	ACT_PAGEOUT = ACT_EXCLUSIVE_COUNT, ACT_COLD, ACT_HUGEPAGE,
	ACT_COLLAPSE, ACT_MERGEABLE, ACT_COMPACT, ACT_DROP_CACHES,
	ACT_READ_ONLY, ACT_SOFT_DIRTY, ACT_PEEK,
	ACT_FORK, ACT_HAMMER, ACT_COUNT
};

extern const char *const act_names[ACT_COUNT];

struct torture {
	struct node nodes[NODES];
	int num_nodes;
	struct ibv_mr *all[NODES];
	struct slot slots[SLOTS];
	int num_slots;
	struct lane lanes[LANES];
	struct server server;
	bool has_server, has_swap, has_limit;
	pthread_mutex_t lock;
	atomic_bool stop;
	atomic_int failed;
	atomic_ullong done[ACT_COUNT];
	uint64_t merged_pages;		/* most that KSM has shared */
	/* by the one thread of exclusive acts */
	struct trap traps[TRAPS];
	struct ghost ghosts[GHOSTS];
	unsigned int next_trap, next_ghost;
	/* a slot whose pages are taken away all the time */
	pthread_mutex_t hammer_lock;
	struct slot *hammered;
};

/* Says so, and ends the run. */
void torture_fail(struct torture *t);

/* ---- slots ---- */

int slots_make(struct torture *t, struct rng *rng);
void slots_drop(struct torture *t);
/* NULL: found none. Readers get no slot that is undefined. */
struct slot *slot_claim(struct torture *t, struct rng *rng, bool write);
bool slot_try(struct torture *t, struct slot *slot, bool write);
void slot_release(struct torture *t, struct slot *slot, bool write);
uint32_t slot_key(struct torture *t, const struct slot *slot, int node,
		  struct rng *rng);
/* New regions, as its address has changed. */
int slot_register(struct torture *t, struct slot *slot);
/* Claimed: is everything as it must be? */
int slot_check(struct torture *t, const struct slot *slot, size_t at,
	       size_t length);
/* As the writer: new contents by stores. */
void slot_store(struct slot *slot, size_t at, size_t length, struct rng *rng);
size_t slot_index(const struct torture *t, const struct slot *slot);
/* All of them, when nothing runs any more. */
int slots_check(struct torture *t);

/* ---- threads; the argument is the torture, or the lane ---- */

void *lane_main(void *arg);
void *exclusive_main(void *arg);
void *quiet_main(void *arg);
void *fork_main(void *arg);
void *hammer_main(void *arg);
int traps_check(struct torture *t);
int write_file(const char *path, const char *text);
uint64_t read_number(const char *path);

#endif /* SVAN_SELFTEST_TORTURE_H */
