/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of on-demand and process keys share: memory of all kinds, one
 * operation between any two addresses, a server of page faults, counters.
 *
 * Functions return 0, or a negative errno after having said on stderr what
 * went wrong.
 */
#ifndef SVAN_SELFTEST_DEMAND_H
#define SVAN_SELFTEST_DEMAND_H

#include <infiniband/svandv.h>
#include <pthread.h>

#include "common.h"

#define PAGE		4096u
#define HUGE		(2u << 20)
#define PATIENCE_MS	60000	/* thousands of faults on a busy machine */

/* ---- memory ---- */

enum mem_kind {
	MEM_ANON,
	MEM_SHARED,		/* of a file in memory */
	MEM_PRIVATE,		/* of the same, copied on write */
	MEM_THP,
	MEM_FILE,		/* shared, of a file of the root */
	MEM_HUGETLB,
	MEM_KINDS,
};

struct mem {
	enum mem_kind kind;
	int fd;
	uint8_t *map;
	size_t length;
};

/* -ENOENT: the guest has none of this kind. */
int mem_map(struct mem *mem, enum mem_kind kind, size_t length);
void mem_unmap(struct mem *mem);
/* Puts data there; of a file without touching the mapping. */
int mem_put(struct mem *mem, size_t at, const uint8_t *data, size_t length);

/* Swap in compressed memory, 256 MiB; false: the guest has none. */
bool swap_on(void);
void swap_off(void);

/* ---- keys ---- */

/* IBV_ACCESS_ON_DEMAND is added; NULL and SIZE_MAX are everything. */
struct ibv_mr *demand_reg(struct ibv_pd *pd, void *addr, size_t length,
			  int access);
bool demand_supported(struct ibv_context *ctx, bool implicit);

/* A pair in loopback, and a key to everything on either side. */
int implicit_open(struct pair *pair, size_t size, struct ibv_mr *all[2]);
/* 0 if the pair was sound to the end. */
int implicit_close(struct pair *pair, struct ibv_mr *all[2]);

/* ---- one operation ---- */

struct op {
	enum ibv_wr_opcode opcode;
	void *local;
	uint32_t lkey;
	void *remote;		/* of SENDs: the receive buffer */
	uint32_t rkey;
	uint32_t length;
	uint64_t compare_add, swap;
};

bool op_is_send(enum ibv_wr_opcode opcode);
/*
 * Posts it and waits. The status of the requester, or -errno; of a receive that
 * it consumed in *received, -1 if there was none.
 */
int op_run(struct ep *from, struct ep *to, const struct op *op, int *received);

/* ---- a server of page faults ---- */

struct server {
	int fd, stop[2];
	pthread_t thread;
	unsigned int delay_ms;	/* of each page */
	bool jitter;		/* anything up to that, by the address */
	unsigned int served;
	uint8_t fill;		/* what the pages are full of */
};

/* -ENOENT: the guest has no userfaultfd. With a length of 0, watches nothing. */
int server_start(struct server *server, void *addr, size_t length,
		 unsigned int delay_ms, uint8_t fill);
int server_watch(struct server *server, void *addr, size_t length);
void server_stop(struct server *server);

/* ---- counters ---- */

/* Of the port. */
uint64_t counter_of(enum which which, const char *name);

#endif /* SVAN_SELFTEST_DEMAND_H */
