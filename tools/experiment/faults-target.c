// SPDX-License-Identifier: GPL-2.0-only
/* A process whose memory is written to, and is not always there. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults.h"

#define REGION		(8ull << 20)	/* of a lane, but of swap: */
#define SWAP_REGION	(16ull << 20)
#define SWAP_PERCENT	75		/* of all its memory that may be present */
#define RECEIVES	48
#define TURN_MS		20		/* how often pages are thrown away */
#define TURN_PAGES	2		/* of each lane */

struct target_lane {
	struct lane_info info;
	struct ep ep;
	struct ibv_mr *mr;
	uint8_t *map;
	uint64_t next;			/* to be thrown away */
};

struct target {
	const struct options *options;
	enum memory memory;
	struct node node;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct rng rng;
	int file;
	struct target_lane lanes[TRAFFICS * LANES_EACH];
	unsigned int count;
};

static uint64_t region_size(const struct target *target)
{
	return target->memory == SWAP ? SWAP_REGION : REGION;
}

/* ---- the memory cgroup ---- */

static int write_file(const char *folder, const char *name, const char *text)
{
	char path[128];
	ssize_t done = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY);
	if (fd >= 0) {
		done = write(fd, text, strlen(text));
		close(fd);
	}
	if (done < 0) {
		complain("%s: %m", path);
		return -errno;
	}
	return 0;
}

static int cgroup_enter(enum memory memory)
{
	char folder[64], pid[16];

	snprintf(folder, sizeof(folder), "/sys/fs/cgroup/faults-%s",
		 memory_names[memory]);
	mkdir(folder, 0755);
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (write_file(folder, "memory.max", "max") ||
	    write_file(folder, "cgroup.procs", pid))
		return -EIO;
	return 0;
}

/* Of the regions alone: what else there is has been charged before. */
static int cgroup_limit(struct target *target)
{
	uint64_t all = target->count * region_size(target);
	char text[32];

	if (target->memory != SWAP)
		return 0;
	snprintf(text, sizeof(text), "%llu",
		 (unsigned long long)(all * SWAP_PERCENT / 100 + (8 << 20)));
	return write_file("/sys/fs/cgroup/faults-swap", "memory.max", text);
}

/* ---- regions ---- */

static int region_map(struct target *target, struct target_lane *lane)
{
	uint64_t size = region_size(target);
	int flags = target->memory == COLD ? MAP_PRIVATE :
					     MAP_PRIVATE | MAP_ANONYMOUS;
	off_t at = target->memory == COLD ? target->count * size : 0;

	lane->map = mmap(NULL, size, PROT_READ | PROT_WRITE, flags,
			 target->file, at);
	if (lane->map == MAP_FAILED) {
		complain("cannot map %s memory: %m",
			 memory_names[target->memory]);
		return -errno;
	}
	/* the modes are what is compared: one page a fault */
	madvise(lane->map, size, MADV_NOHUGEPAGE);
	lane->info.addr = (uintptr_t)lane->map;
	lane->info.length = size;
	return 0;
}

static void throw_away(struct target *target, struct target_lane *lane,
		       uint64_t at, uint64_t length)
{
	madvise(lane->map + at, length, MADV_DONTNEED);
	if (target->memory == COLD)
		posix_fadvise(target->file, (lane - target->lanes) *
			      region_size(target) + at, length,
			      POSIX_FADV_DONTNEED);
}

/* As it is when traffic begins: all of it is elsewhere, or none of it. */
static void region_prepare(struct target *target, struct target_lane *lane)
{
	if (target->memory == SWAP)
		memset(lane->map, 0x5a, lane->info.length);
	else
		throw_away(target, lane, 0, lane->info.length);
}

static void region_turn(struct target *target, struct target_lane *lane)
{
	uint64_t length = TURN_PAGES * PAGE;

	throw_away(target, lane, lane->next, length);
	lane->next = (lane->next + length) % lane->info.length;
}

/* ---- lanes ---- */

static int post_receive(struct target *target, struct target_lane *lane)
{
	uint64_t pages = lane->info.length / PAGE;
	struct ibv_sge sge = {
		.addr = lane->info.addr +
			rng_below(&target->rng, pages) * (uint64_t)PAGE,
		.length = PAGE,
		.lkey = lane->mr->lkey,
	};

	return ep_post_recv(&lane->ep, lane - target->lanes, &sge, 1);
}

static struct ibv_mr *lane_register(struct target *target,
				    struct target_lane *lane)
{
	int access = ACCESS_ALL | IBV_ACCESS_ON_DEMAND;

	if (target->count % LANES_EACH)
		return ibv_reg_mr(target->node.pd, lane->map, lane->info.length,
				  access);
	return ibv_reg_mr(target->node.pd, NULL, SIZE_MAX, access);
}

static int lane_open(struct target *target, enum traffic traffic)
{
	struct target_lane *lane = &target->lanes[target->count];
	struct ep_opts opts = ep_defaults;
	int ret;

	lane->info.memory = target->memory;
	lane->info.traffic = traffic;
	opts.cq = target->cq;
	ret = region_map(target, lane);
	if (!ret)
		ret = ep_create(&lane->ep, &target->node, &opts);
	if (ret)
		return ret;
	lane->mr = lane_register(target, lane);
	if (!lane->mr) {
		complain("cannot register %s memory: %m",
			 memory_names[target->memory]);
		return -errno;
	}
	lane->info.gid = target->node.gid;
	lane->info.qpn = lane->ep.qp->qp_num;
	lane->info.psn = lane->ep.psn;
	lane->info.rkey = lane->mr->rkey;
	target->count++;
	ret = svandv_set_fault_policy(lane->ep.qp, &target->options->policy);
	if (ret)
		complain("cannot set the fault policy: %s", strerror(ret));
	return -ret;
}

static int lanes_open(struct target *target)
{
	int i, traffic, ret = 0;

	for (traffic = 0; traffic < TRAFFICS; traffic++)
		for (i = 0; i < LANES_EACH && !ret; i++)
			if (target->options->traffics[traffic])
				ret = lane_open(target, traffic);
	for (i = 0; i < target->count; i++)
		region_prepare(target, &target->lanes[i]);
	return ret ? ret : cgroup_limit(target);
}

static int lane_start(struct target *target, struct target_lane *lane, int sock)
{
	struct lane_info peer;
	struct conn conn;
	int i, ret;

	connection(target->options, &target->node, &conn);
	if (send(sock, &lane->info, sizeof(lane->info), 0) < 0 ||
	    recv(sock, &peer, sizeof(peer), 0) != sizeof(peer))
		return -EPIPE;
	ret = lane_connect(&lane->ep, &peer, &conn);
	for (i = 0; !ret && lane->info.traffic == MESSAGE && i < RECEIVES; i++)
		ret = post_receive(target, lane);
	return ret;
}

/* ---- life ---- */

static void receives_again(struct target *target)
{
	struct ibv_cq *cq;
	struct ibv_wc wc;
	void *context;

	if (ibv_get_cq_event(target->channel, &cq, &context))
		return;
	ibv_ack_cq_events(cq, 1);
	ibv_req_notify_cq(cq, 0);
	while (ibv_poll_cq(cq, 1, &wc) == 1)
		if (wc.status == IBV_WC_SUCCESS)
			post_receive(target, &target->lanes[wc.wr_id]);
}

static void serve(struct target *target, int sock)
{
	struct pollfd fds[] = {
		{ .fd = sock, .events = POLLIN },
		{ .fd = target->channel->fd, .events = POLLIN },
	};
	uint64_t turn = now_ms() + TURN_MS;
	unsigned int i;

	ibv_req_notify_cq(target->cq, 0);
	while (!fds[0].revents) {
		uint64_t now = now_ms();

		poll(fds, 2, turn > now ? turn - now : 0);
		if (fds[1].revents)
			receives_again(target);
		if (now_ms() < turn)
			continue;
		turn += TURN_MS;
		if (target->memory == SWAP)
			continue;
		for (i = 0; i < target->count; i++)
			region_turn(target, &target->lanes[i]);
	}
}

static int target_open(struct target *target)
{
	int ret = node_open(&target->node, LOCAL);

	if (ret)
		return ret;
	target->channel = ibv_create_comp_channel(target->node.ctx);
	if (target->channel)
		target->cq = ibv_create_cq(target->node.ctx, 1024, NULL,
					   target->channel, 0);
	if (!target->cq) {
		complain("no completion queue: %m");
		return -errno;
	}
	return 0;
}

int target_main(const struct options *options, enum memory memory, int sock)
{
	static struct target target;
	unsigned int i;
	int ret;

	target.options = options;
	target.memory = memory;
	target.rng.state = options->seed * 7919 + memory;
	target.file = -1;
	if (memory == COLD) {
		target.file = open(options->file, O_RDONLY);
		if (target.file < 0) {
			complain("%s: %m", options->file);
			return -errno;
		}
	}
	ret = cgroup_enter(memory);
	if (!ret)
		ret = target_open(&target);
	if (!ret)
		ret = lanes_open(&target);
	for (i = 0; i < target.count && !ret; i++)
		ret = lane_start(&target, &target.lanes[i], sock);
	if (!ret && send(sock, "", 1, 0) == 1)
		serve(&target, sock);
	return ret;
}
