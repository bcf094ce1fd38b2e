// SPDX-License-Identifier: GPL-2.0-only
/*
 * A neighbour of whom nobody should notice anything. Its processes make faults
 * that nobody serves, write to where nobody may read, ask for advice on nothing,
 * throw queue pairs, keys and mappings away in the middle of faults, and end in
 * the middle of that: by themselves, killed, or killed while they are stopped.
 *
 * hostile-neighbour [SECONDS]   without them, until SIGTERM
 *
 * There are at most ROGUES processes, without privileges, each with a limit for
 * its memory. Fails if something of the list never happened or if a process that
 * was killed does not end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demand.h"

#define ROGUES		6
#define NOBODY		65534
#define MEMORY		(512ull << 20)	/* of addresses, each */
#define LIFE_MS		4000
#define STAYERS		2	/* of them: to the end, with unserved faults */
#define PAIRS		96
#define FEW		6
/* hundreds of queues come, or go, each by several commands, on a busy machine */
#define SLOW_MS		(3 * WAIT_MS)

enum deed {
	UNSERVED_FAULTS, WRITE_ONLY, ADVICE_ON_NOTHING, THROWN_AWAY, DEEDS,
};

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif

struct rogue {
	struct rng rng;
	struct node node[2];
	struct area plain;	/* of node 0 */
	struct ibv_mr *all;	/* of node 1: everything */
	struct ep ep[PAIRS][2];
	unsigned int deed, slot;
};

/* Of all processes. */
static struct shared {
	unsigned int done[DEEDS];
	bool begun[ROGUES];	/* its life is counted from there */
} *shared;

/* ---- what they share ---- */

static void did(struct rogue *r)
{
	__atomic_add_fetch(&shared->done[r->deed], 1, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->begun[r->slot], true, __ATOMIC_RELAXED);
}

static int rogue_open(struct rogue *r)
{
	int ret;

	ret = node_open(&r->node[0], LOCAL);
	if (!ret)
		ret = node_open(&r->node[1], r->slot >= STAYERS &&
				device_exists(PEER) &&
				rng_below(&r->rng, 2) ? PEER : LOCAL);
	if (!ret)
		ret = area_alloc(&r->plain, r->node[0].pd, PAGE, ACCESS_ALL);
	if (ret)
		return ret;
	r->all = demand_reg(r->node[1].pd, NULL, SIZE_MAX, ACCESS_ALL);
	return r->all ? 0 : -EIO;
}

/* Memory whose faults nobody will ever serve, for as long as the process lives. */
static uint8_t *unserved(size_t length)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range.len = length,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	uint8_t *map;
	int fd;

	fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	map = mmap(NULL, length, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)map;
	if (fd < 0 || map == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return NULL;
	return map;
}

static int pairs_open(struct rogue *r, int n)
{
	struct ep_opts opts = ep_defaults;
	int i, ret = 0;

	opts.max_send_wr = 4;
	opts.max_recv_wr = 1;
	opts.cqe = 8;
	for (i = 0; i < n && !ret; i++) {
		ret = ep_create(&r->ep[i][0], &r->node[0], &opts);
		if (!ret)
			ret = ep_create(&r->ep[i][1], &r->node[1], &opts);
		if (!ret)
			ret = connect_eps(&r->ep[i][0], &r->ep[i][1],
					  &conn_defaults);
	}
	return ret;
}

static void pairs_close(struct rogue *r, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		ep_destroy(&r->ep[i][0]);
		ep_destroy(&r->ep[i][1]);
	}
}

/* A READ or WRITE of the plain area from and to anything. */
static int start(struct rogue *r, int pair, const void *to, uint32_t rkey)
{
	struct ibv_sge sge = area_sge(&r->plain, 0, 64);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = rng_below(&r->rng, 3) ? IBV_WR_RDMA_WRITE :
						  IBV_WR_RDMA_READ,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = (uintptr_t)to, .rkey = rkey },
	};

	return ep_post_send(&r->ep[pair][0], &wr);
}

/* A SEND from there: a fault of the requester. */
static int start_own(struct rogue *r, int pair, const void *from)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)from,
		.length = 64,
		.lkey = r->all->lkey,
	};
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
	};

	return ep_post_send(&r->ep[pair][1], &wr);
}

/* ---- what they do ---- */

/* So many that those who stay have more of them than a device has requests. */
static int unserved_faults(struct rogue *r)
{
	uint8_t *map = unserved(2 * PAIRS * PAGE);
	int i, ret;

	ret = map ? pairs_open(r, PAIRS) : -EIO;
	for (i = 0; i < PAIRS && !ret; i++, map += 2 * PAGE) {
		ret = start(r, i, map, r->all->rkey);
		if (!ret)
			ret = start_own(r, i, map + PAGE);
	}
	if (ret)
		return ret;
	did(r);
	if (r->slot < STAYERS)
		pause();
	usleep(rng_below(&r->rng, 2000 * LIFE_MS));
	_exit(0);
}

static int write_only(struct rogue *r)
{
	struct ibv_mr *mr = r->all;
	struct ibv_wc wc;
	uint8_t *map;
	int ret;

	map = mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rng_below(&r->rng, 2))
		mr = demand_reg(r->node[1].pd, map, PAGE, ACCESS_ALL);
	ret = mr ? pairs_open(r, 1) : -EIO;
	if (!ret)
		ret = start(r, 0, map, mr->rkey);
	if (ret)
		return ret;
	ep_wait(&r->ep[0][0], &wc, rng_below(&r->rng, 500));
	pairs_close(r, 1);
	if (mr != r->all)
		ibv_dereg_mr(mr);
	return munmap(map, PAGE);
}

static int advice_on_nothing(struct rogue *r)
{
	static const enum ibv_advise_mr_advice kinds[] = {
		IBV_ADVISE_MR_ADVICE_PREFETCH,
		IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
		IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
	};
	struct ibv_sge sge[8];
	int i;

	for (i = 0; i < 8; i++)
		sge[i] = (struct ibv_sge){
			.addr = rng_u64(&r->rng) % (1ull << 47) / PAGE * PAGE,
			.length = rng_u64(&r->rng),
			.lkey = r->all->lkey,
		};
	if (!rng_below(&r->rng, 8)) {
		sge[0].addr = (uintptr_t)unserved(FEW * PAGE);
		sge[0].length = FEW * PAGE;
	}
	/* what it says does not matter */
	ibv_advise_mr(r->node[1].pd, kinds[rng_below(&r->rng, 3)],
		      rng_below(&r->rng, 2) ? IBV_ADVISE_MR_FLAG_FLUSH : 0,
		      sge, 1 + rng_below(&r->rng, 8));
	return 0;
}

/* In the middle of the fault, one of what it needs goes before the others. */
static int thrown_away(struct rogue *r)
{
	uint8_t *map = unserved(FEW * PAGE);
	struct ibv_mr *mr;
	int i, ret;

	mr = demand_reg(r->node[1].pd, map, FEW * PAGE, ACCESS_ALL);
	ret = map && mr ? pairs_open(r, FEW) : -EIO;
	for (i = 0; i < FEW && !ret; i++)
		ret = start(r, i, map + i * PAGE, mr->rkey);
	if (ret)
		return ret;
	usleep(rng_below(&r->rng, 20000));
	switch (rng_below(&r->rng, 5)) {
	case 0:
		ep_state(&r->ep[0][1], IBV_QPS_RESET);
		break;
	case 1:
		ep_state(&r->ep[0][0], IBV_QPS_ERR);
		break;
	case 2:
		munmap(map, FEW * PAGE);
		break;
	case 3:
		ibv_dereg_mr(mr);
		mr = NULL;
		break;
	}
	pairs_close(r, FEW);
	if (mr)
		ibv_dereg_mr(mr);
	munmap(map, FEW * PAGE);
	return 0;
}

static const struct {
	const char *name;
	int (*body)(struct rogue *r);	/* again and again, until it fails */
} deeds[DEEDS] = {
	[UNSERVED_FAULTS] = { "unserved faults", unserved_faults },
	[WRITE_ONLY] = { "write-only mappings", write_only },
	[ADVICE_ON_NOTHING] = { "advice on nothing", advice_on_nothing },
	[THROWN_AWAY] = { "things thrown away", thrown_away },
};

/* ---- one process ---- */

static void rogue_main(unsigned int deed, unsigned int slot, uint64_t seed)
{
	const struct rlimit limit = { MEMORY, MEMORY };
	struct rogue *r = calloc(1, sizeof(*r));
	int null = open("/dev/null", O_WRONLY);

	/* what goes wrong for it is none of anybody's business */
	dup2(null, STDERR_FILENO);
	setrlimit(RLIMIT_AS, &limit);
	setpriority(PRIO_PROCESS, 0, 10);
	if (setgid(NOBODY) || setuid(NOBODY) ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL))
		_exit(1);
	r->rng.state = seed;
	r->deed = deed;
	r->slot = slot;
	if (rogue_open(r))
		_exit(2);
	while (!deeds[deed].body(r))
		did(r);
	_exit(3);
}

/* ---- all of them ---- */

struct child {
	pid_t pid;
	unsigned int life;	/* ms, once it has begun */
	bool stops;		/* in the middle of it */
	uint64_t end;		/* ms */
	bool begun, killed;
};

static volatile sig_atomic_t over;

static void on_term(int sig)
{
	over = 1;
}

static void spawn(struct child *child, unsigned int slot, struct rng *rng)
{
	static unsigned int next;
	unsigned int deed = slot < STAYERS ? UNSERVED_FAULTS : next++ % DEEDS;
	uint64_t seed = rng_u64(rng);

	*child = (struct child){
		.life = slot < STAYERS ? UINT32_MAX : rng_below(rng, LIFE_MS),
		.stops = slot >= STAYERS && !rng_below(rng, 4),
		.end = now_ms() + SLOW_MS,
	};
	shared->begun[slot] = false;
	child->pid = fork();
	if (!child->pid)
		rogue_main(deed, slot, seed);
}

/* Where it is; what else is blocked is put into the kernel's log. */
static void explain(pid_t pid)
{
	int trigger = open("/proc/sysrq-trigger", O_WRONLY);
	char path[64], line[128];
	FILE *file;

	complain("process %d does not end when it is killed:", pid);
	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "#  %s", line);
	if (file)
		fclose(file);
	if (trigger < 0 || write(trigger, "w", 1) != 1)
		complain("no list of what is blocked: %m");
	close(trigger);
}

/* Its next step, if it is time for that; true if it does not end. */
static bool watch(struct child *child, unsigned int slot)
{
	uint64_t now = now_ms();

	if (waitpid(child->pid, NULL, WNOHANG) == child->pid) {
		child->pid = 0;
	} else if (!child->killed && (over || now >= child->end)) {
		kill(child->pid, SIGKILL);
		child->killed = true;
		child->end = now + SLOW_MS;
	} else if (!child->begun &&
		   __atomic_load_n(&shared->begun[slot], __ATOMIC_RELAXED)) {
		child->begun = true;
		child->end = now + child->life;
		if (child->stops)
			kill(child->pid, SIGSTOP);
	}
	return child->pid && child->killed && now >= child->end;
}

static int end_all(struct child *children)
{
	int i, left;

	do {
		left = 0;
		for (i = 0; i < ROGUES; i++) {
			if (children[i].pid > 0 && watch(&children[i], i)) {
				explain(children[i].pid);
				return -EBUSY;
			}
			left += children[i].pid > 0;
		}
		usleep(5000);
	} while (left);
	return 0;
}

static int report(void)
{
	int missing = 0;
	unsigned int i;

	for (i = 0; i < DEEDS; i++) {
		printf("# neighbour: %-20s %8u%s\n", deeds[i].name,
		       shared->done[i], shared->done[i] ? "" : "  MISSING");
		missing += !shared->done[i];
	}
	fflush(stdout);
	return missing;
}

int main(int argc, char **argv)
{
	uint64_t until = argc > 1 ? now_ms() + 1000ull * atoi(argv[1]) : UINT64_MAX;
	struct child children[ROGUES] = {};
	struct rng rng;
	int i, ret = 0;

	signal(SIGTERM, on_term);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	rng_init(&rng, "neighbour");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	while (!over && !ret && now_ms() < until) {
		for (i = 0; i < ROGUES && !ret; i++) {
			if (children[i].pid <= 0)
				spawn(&children[i], i, &rng);
			else if (watch(&children[i], i))
				ret = -EBUSY;
		}
		usleep(5000);
	}
	over = 1;
	if (end_all(children))
		ret = -EBUSY;
	return report() || ret;
}
