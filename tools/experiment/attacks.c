// SPDX-License-Identifier: GPL-2.0-only
/*
 * attacks KIND: keeps a device busy with nothing but one of the attacks below, until it is
 * killed, and burns a CPU. Says "begun" when it has. `attacks loopback` is what they are
 * compared with: it burns as much with decent traffic of its own.
 *
 * attacks victim SECONDS: what a decent user gets meanwhile: writes of 4 KiB for half of
 * that time, then single writes of 64 octets. Prints "MB/s p50 p99", in us.
 *
 * Both are in loopback on the device that SVAN_DEV names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <infiniband/svandv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <svan/regs.h>

#include "common.h"
#include "demand.h"
#include "unserved.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define WRITE_SIZE	4096u
#define LARGE_SIZE	65536u
#define DEPTH		16		/* of the victim, and of decent traffic */
#define MAX_SAMPLES	(1u << 20)
#define SOME_PAIRS	16
#define MANY_PAIRS	1000
#define DEMANDED	(16u << 20)
#define REGISTERED	(1u << 20)

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* ---- connections, whose ends are all in one process ---- */

struct link {
	struct ep ep[2];
	unsigned int posted[2];		/* and not completed; of either end */
};

struct site {
	struct node node;
	struct area area[2];		/* the same for all */
	struct ibv_cq *cq;
	struct link *links;
	unsigned int count;
	struct conn conn;
};

static int link_open(struct site *site, struct link *link)
{
	struct ep_opts opts = ep_defaults;
	int i, ret = 0;

	opts.cq = site->cq;
	opts.max_send_wr = DEPTH;
	opts.max_recv_wr = 1;
	opts.max_sge = 1;
	for (i = 0; !ret && i < 2; i++)
		ret = ep_create(&link->ep[i], &site->node, &opts);
	return ret ?: connect_eps(&link->ep[0], &link->ep[1], &site->conn);
}

static int site_open(struct site *site, unsigned int count)
{
	unsigned int i;
	int ret = node_open(&site->node, LOCAL);

	for (i = 0; !ret && i < 2; i++)
		ret = area_alloc(&site->area[i], site->node.pd, REGISTERED, ACCESS_ALL);
	if (ret)
		return ret;
	site->conn = conn_defaults;
	site->conn.min_rnr_timer = 1;
	site->links = calloc(count, sizeof(*site->links));
	site->cq = ibv_create_cq(site->node.ctx, 4 * DEPTH * count < 65536 ? 4 * DEPTH * count :
									      65536,
				 NULL, NULL, 0);
	if (!site->links || !site->cq)
		return -ENOMEM;
	for (; !ret && site->count < count; site->count++)
		ret = link_open(site, &site->links[site->count]);
	return ret;
}

/* Of what the n-th link is at; to an offset that others do not write to. */
struct work {
	enum ibv_wr_opcode opcode;
	uint32_t length;
	uint64_t addr;			/* 0: in the area */
	uint32_t rkey;			/* 0: the area's */
};

static int post(struct site *site, unsigned int n, int end, const struct work *work)
{
	struct link *link = &site->links[n];
	uint64_t at = (2 * n + end) * 64 % (REGISTERED - WRITE_SIZE);
	struct ibv_sge sge = area_sge(&site->area[0], at, work->length);
	uint64_t addr = work->addr ?: (uintptr_t)site->area[1].data + at;
	uint32_t rkey = work->rkey ?: site->area[1].mr->rkey;
	struct ibv_send_wr wr = {
		.wr_id = 2 * n + end, .sg_list = &sge, .num_sge = 1, .opcode = work->opcode,
		.send_flags = IBV_SEND_SIGNALED,
	};

	if (work->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = addr;
		wr.wr.atomic.rkey = rkey;
	} else {
		wr.wr.rdma.remote_addr = addr;
		wr.wr.rdma.rkey = rkey;
	}
	link->posted[end]++;
	return -ep_post_send(&link->ep[end], &wr);
}

/* As many as are there. The last one of either end that failed, or -1. */
static int reap(struct site *site)
{
	struct ibv_wc wc[32];
	int failed = -1, i, n;

	while ((n = ibv_poll_cq(site->cq, ARRAY_SIZE(wc), wc)) > 0) {
		for (i = 0; i < n; i++) {
			site->links[wc[i].wr_id / 2].posted[wc[i].wr_id % 2]--;
			if (wc[i].status)
				failed = wc[i].wr_id;
		}
	}
	return failed;
}

/* All links, from one end or both, always full. */
static int keep_full(struct site *site, int ends, unsigned int depth, const struct work *work)
{
	unsigned int n;
	int end, ret = 0;

	if (reap(site) >= 0)
		return -EIO;
	for (n = 0; n < site->count; n++) {
		for (end = 0; end < ends; end++) {
			while (!ret && site->links[n].posted[end] < depth)
				ret = post(site, n, end, work);
		}
	}
	return ret;
}

/* ---- the attacks: what they need, and one round of each ---- */

static struct site site;

static int open_one(void) { return site_open(&site, 1); }
static int open_some(void) { return site_open(&site, SOME_PAIRS); }
static int open_many(void) { return site_open(&site, MANY_PAIRS); }

static int decent(void)
{
	const struct work work = { .opcode = IBV_WR_RDMA_WRITE, .length = WRITE_SIZE };

	return keep_full(&site, 1, DEPTH, &work);
}

/* A decent neighbour that wants all it can get: the device always has work. */
static int large_writes(void)
{
	const struct work work = { .opcode = IBV_WR_RDMA_WRITE, .length = LARGE_SIZE };

	return keep_full(&site, 1, DEPTH, &work);
}

static int atomics(void)
{
	const struct work work = { .opcode = IBV_WR_ATOMIC_FETCH_AND_ADD, .length = 8 };

	return keep_full(&site, 2, DEPTH, &work);
}

static int tiny_writes(void)
{
	const struct work work = { .opcode = IBV_WR_RDMA_WRITE, .length = 1 };

	return keep_full(&site, 2, DEPTH, &work);
}

static int many(void)
{
	const struct work work = { .opcode = IBV_WR_RDMA_WRITE, .length = 64 };

	return keep_full(&site, 1, 1, &work);
}

/* Nobody posts a receive: each message is asked for again, for ever. */
static int rnr(void)
{
	const struct work work = { .opcode = IBV_WR_SEND, .length = WRITE_SIZE };

	return keep_full(&site, 2, 1, &work);
}

/* Each write is refused, and both ends are connected anew. */
static int errors(void)
{
	const struct work wrong = {
		.opcode = IBV_WR_RDMA_WRITE, .length = 64, .rkey = 0xfffffff0,
	};
	struct link *link;
	unsigned int n;
	int ret = 0, failed;

	for (n = 0; !ret && n < site.count; n++) {
		if (!site.links[n].posted[0])
			ret = post(&site, n, 0, &wrong);
	}
	failed = reap(&site);
	if (ret || failed < 0)
		return ret;
	link = &site.links[failed / 2];
	ret = ep_state(&link->ep[0], IBV_QPS_RESET) ?: ep_state(&link->ep[1], IBV_QPS_RESET);
	return ret ?: connect_eps(&link->ep[0], &link->ep[1], &site.conn);
}

static struct svandv_uar *uar;

static int open_page(void)
{
	int ret = site_open(&site, 1);

	if (ret)
		return ret;
	uar = svandv_alloc_uar(site.node.ctx);
	return uar ? 0 : -errno;
}

/* Doorbells of a queue that is not this page's: each is looked at, and refused. */
static int doorbells(void)
{
	volatile uint64_t *doorbell = (void *)((uint8_t *)uar->base_addr + SVAN_UAR_SQ_DB);
	uint32_t qpn = site.links[0].ep[0].qp->qp_num;
	unsigned int i;

	for (i = 0; i < 1000; i++)
		*doorbell = svan_db_value(qpn, i);
	return 0;
}

static int registrations(void)
{
	struct ibv_mr *mr = ibv_reg_mr(site.node.pd, site.area[0].data, REGISTERED, ACCESS_ALL);

	return mr ? -ibv_dereg_mr(mr) : -errno;
}

static struct ibv_mr *demanded;
static uint8_t *pages;

static int open_demand(void)
{
	int ret = site_open(&site, SOME_PAIRS);

	if (ret)
		return ret;
	pages = mmap(NULL, DEMANDED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return -errno;
	demanded = demand_reg(site.node.pd, pages, DEMANDED, ACCESS_ALL);
	return demanded ? 0 : -errno;
}

/* Each write is to a page that was just taken away. */
static int faults(void)
{
	static unsigned int next;
	struct work work = {
		.opcode = IBV_WR_RDMA_WRITE, .length = 64, .rkey = demanded->rkey,
	};
	unsigned int n;
	int ret = 0;

	if (reap(&site) >= 0)
		return -EIO;
	for (n = 0; !ret && n < site.count; n++) {
		while (!ret && site.links[n].posted[0] < DEPTH) {
			if (!next)
				madvise(pages, DEMANDED, MADV_DONTNEED);
			work.addr = (uintptr_t)pages + next;
			next = (next + PAGE) % DEMANDED;
			ret = post(&site, n, 0, &work);
		}
	}
	return ret;
}

static const struct attack {
	const char *name;
	int (*open)(void);
	int (*round)(void);
} attacks[] = {
	{ "loopback", open_one, decent },
	{ "large-writes", open_one, large_writes },
	{ "rnr", open_some, rnr },
	{ "errors", open_some, errors },
	{ "atomics", open_some, atomics },
	{ "tiny-writes", open_some, tiny_writes },
	{ "doorbells", open_page, doorbells },
	{ "registrations", open_one, registrations },
	{ "queue-pairs", open_many, many },
	{ "faults", open_demand, faults },
};

static int attack(const struct attack *attack)
{
	int ret = attack->open(), rounds = 0;

	while (!ret) {
		ret = attack->round();
		if (!ret && ++rounds == 20) {
			printf("begun\n");
			fflush(stdout);
		}
	}
	fprintf(stderr, "attacks %s: %s\n", attack->name, strerror(-ret));
	return 1;
}

/* ---- the victim ---- */

static int by_time(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Octets that were written until then. */
static int64_t stream(uint64_t end)
{
	unsigned int under_way;
	int64_t octets = 0;

	while (now_ns() < end) {
		under_way = site.links[0].posted[0];
		if (reap(&site) >= 0)
			return -EIO;
		octets += (under_way - site.links[0].posted[0]) * (int64_t)WRITE_SIZE;
		if (decent())
			return -EIO;
	}
	while (site.links[0].posted[0]) {
		if (reap(&site) >= 0)
			return -EIO;
	}
	return octets;
}

static unsigned int single(uint32_t *samples, uint64_t end)
{
	const struct work work = { .opcode = IBV_WR_RDMA_WRITE, .length = 64 };
	unsigned int taken = 0;
	uint64_t start, now;

	for (start = now_ns(); start < end && taken < MAX_SAMPLES; start = now) {
		if (post(&site, 0, 0, &work))
			return 0;
		while (site.links[0].posted[0]) {
			if (reap(&site) >= 0)
				return 0;
		}
		now = now_ns();
		samples[taken++] = now - start;
	}
	qsort(samples, taken, sizeof(*samples), by_time);
	return taken;
}

static int victim(unsigned int seconds)
{
	uint32_t *samples = malloc(MAX_SAMPLES * sizeof(*samples));
	uint64_t begin, half = seconds * 500000000ull, took;
	unsigned int taken;
	int64_t octets;

	if (!samples || open_one())
		return 1;
	begin = now_ns();
	octets = stream(begin + half);
	took = now_ns() - begin;
	taken = single(samples, now_ns() + half);
	if (octets < 0 || !taken)
		return 1;
	printf("%.2f %.2f %.2f\n", octets * 1000.0 / took, samples[taken / 2] / 1000.0,
	       samples[taken * 99ull / 100] / 1000.0);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc == 3 && !strcmp(argv[1], "victim") && atoi(argv[2]) > 0)
		return victim(atoi(argv[2]));
	for (i = 0; argc == 2 && i < ARRAY_SIZE(attacks); i++) {
		if (!strcmp(argv[1], attacks[i].name))
			return attack(&attacks[i]);
	}
	fprintf(stderr, "usage: attacks KIND, or attacks victim SECONDS\n");
	return 2;
}
