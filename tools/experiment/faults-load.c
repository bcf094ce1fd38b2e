// SPDX-License-Identifier: GPL-2.0-only
/*
 * The requester: it notes how long each transfer takes. Streams follow one on the
 * other; short transfers are due at times of their own, whatever became of those
 * before, and take from then on: a policy that delays them is not asked less often.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "faults.h"

#define MAX_SAMPLES	(1u << 20)
#define MAX_OUT		4		/* transfers of a lane at a time */
#define BIN_MS		250

struct sample {
	uint64_t end_ns;
	uint32_t us, lane;
};

struct load_lane {
	struct lane_info info;
	struct ep ep;
	struct rng rng;
	uint64_t next;			/* of a stream */
	uint64_t interval_ns;		/* of what is due, 0: follows the last */
	uint64_t due_ns;
	uint64_t started[MAX_OUT];
	unsigned int posted, done;
	bool failed;
};

struct load {
	const struct options *options;
	struct node node;
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct area out;
	struct load_lane lanes[MAX_LANES];
	unsigned int count, failures;
	uint64_t from_ns, to_ns;	/* what is measured */
	struct sample *samples;
	unsigned int taken;
};

/* ---- lanes ---- */

/* Of memory that is swapped, as often as the disk can bear. */
static uint64_t interval_of(const struct options *options,
			    const struct lane_info *info)
{
	if (info->traffic == STREAM && info->memory == SWAP)
		return 1000000000;
	if (info->traffic == STREAM)
		return options->paced ? 6000000 : 0;
	return info->memory == SWAP ? 20000000 : 4000000;
}

static int lane_take(struct load *load, int sock, const struct conn *conn,
		     const struct lane_info *info)
{
	struct load_lane *lane = &load->lanes[load->count];
	struct ep_opts opts = ep_defaults;
	struct lane_info mine;
	int ret;

	lane->info = *info;
	opts.cq = load->cq;
	ret = ep_create(&lane->ep, &load->node, &opts);
	if (ret)
		return ret;
	lane->rng.state = load->options->seed * 104729 + load->count;
	lane->interval_ns = interval_of(load->options, info);
	load->count++;
	mine = lane->info;
	mine.gid = load->node.gid;
	mine.qpn = lane->ep.qp->qp_num;
	mine.psn = lane->ep.psn;
	if (send(sock, &mine, sizeof(mine), 0) < 0)
		return -EPIPE;
	return lane_connect(&lane->ep, &lane->info, conn);
}

/* Lanes until the target says that it has no more. */
static int lanes_take(struct load *load, int sock)
{
	struct lane_info info;
	struct conn conn;
	ssize_t got;
	int ret;

	connection(load->options, &load->node, &conn);
	do {
		got = recv(sock, &info, sizeof(info), 0);
		if (got == 1)
			return 0;
		if (got != sizeof(info)) {
			complain("a target has ended");
			return -EPIPE;
		}
		ret = lane_take(load, sock, &conn, &info);
	} while (!ret);
	return ret;
}

static uint64_t lane_address(struct load_lane *lane)
{
	uint32_t size = transfer_size(lane->info.traffic);
	uint64_t at;

	if (lane->info.traffic == STREAM) {
		at = lane->next;
		lane->next = (at + size) % lane->info.length;
	} else {
		at = rng_below(&lane->rng, lane->info.length / size) *
		     (uint64_t)size;
	}
	return lane->info.addr + at;
}

static int lane_post(struct load *load, struct load_lane *lane, uint64_t start)
{
	struct ibv_sge sge = area_sge(&load->out, 0,
				      transfer_size(lane->info.traffic));
	struct ibv_send_wr wr = {
		.wr_id = lane - load->lanes,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
	};

	if (lane->info.traffic != MESSAGE) {
		wr.opcode = IBV_WR_RDMA_WRITE;
		wr.wr.rdma.remote_addr = lane_address(lane);
		wr.wr.rdma.rkey = lane->info.rkey;
	}
	lane->started[lane->posted++ % MAX_OUT] = start;
	return ep_post_send(&lane->ep, &wr);
}

/* The next is due after half to one and a half of the interval. */
static void lane_schedule(struct load_lane *lane)
{
	lane->due_ns += lane->interval_ns / 2 +
			rng_below(&lane->rng, lane->interval_ns);
}

static bool lane_has_room(const struct load_lane *lane)
{
	return !lane->failed && lane->posted - lane->done <
				transfers_at_once(lane->info.traffic);
}

/* Whatever may be posted; when to look again, if nothing completes. */
static uint64_t post_all(struct load *load)
{
	uint64_t now = now_ns(), next = now + 10000000;
	struct load_lane *lane;
	unsigned int i;

	for (i = 0; i < load->count; i++) {
		lane = &load->lanes[i];
		while (lane_has_room(lane) && !lane->interval_ns)
			lane_post(load, lane, now);
		while (lane_has_room(lane) && lane->due_ns <= now) {
			lane_post(load, lane, lane->due_ns);
			lane_schedule(lane);
		}
		if (lane_has_room(lane) && lane->due_ns < next)
			next = lane->due_ns;
	}
	return next;
}

static void take_completion(struct load *load, const struct ibv_wc *wc)
{
	struct load_lane *lane = &load->lanes[wc->wr_id];
	uint64_t now = now_ns();
	uint64_t start = lane->started[lane->done++ % MAX_OUT];

	if (wc->status != IBV_WC_SUCCESS) {
		if (!lane->failed)
			load->failures++;
		lane->failed = true;
		return;
	}
	if (now >= load->from_ns && now < load->to_ns &&
	    load->taken < MAX_SAMPLES)
		load->samples[load->taken++] = (struct sample) {
			.end_ns = now, .us = (now - start) / 1000,
			.lane = wc->wr_id,
		};
}

static void poll_all(struct load *load)
{
	struct ibv_wc wc[16];
	int i, n;

	while ((n = ibv_poll_cq(load->cq, 16, wc)) > 0)
		for (i = 0; i < n; i++)
			take_completion(load, &wc[i]);
}

static void take_late(struct load *load, unsigned int lane, uint64_t start)
{
	if (load->taken < MAX_SAMPLES)
		load->samples[load->taken++] = (struct sample) {
			.end_ns = load->to_ns, .lane = lane,
			.us = (load->to_ns - start) / 1000,
		};
}

/* What is not complete at the end has taken that long at least. */
static void take_rest(struct load *load)
{
	struct load_lane *lane;
	unsigned int i;

	for (i = 0; i < load->count; i++) {
		lane = &load->lanes[i];
		for (; lane->done != lane->posted; lane->done++)
			if (lane->started[lane->done % MAX_OUT] < load->to_ns)
				take_late(load, i, lane->started[lane->done %
								 MAX_OUT]);
		while (lane->interval_ns && lane->due_ns < load->to_ns) {
			take_late(load, i, lane->due_ns);
			lane_schedule(lane);
		}
	}
}

static void wait_until(struct load *load, uint64_t next)
{
	struct pollfd fd = { .fd = load->channel->fd, .events = POLLIN };
	uint64_t now = now_ns(), ns = next > now ? next - now : 0;
	struct timespec limit = { .tv_nsec = ns };
	struct ibv_cq *cq;
	void *context;

	if (ppoll(&fd, 1, &limit, NULL) == 1 &&
	    !ibv_get_cq_event(load->channel, &cq, &context)) {
		ibv_ack_cq_events(cq, 1);
		ibv_req_notify_cq(cq, 0);
	}
}

static void run(struct load *load)
{
	uint64_t now = now_ns();
	unsigned int i;

	load->from_ns = now + load->options->warm_ms * 1000000ull;
	load->to_ns = load->from_ns + load->options->ms * 1000000ull;
	ibv_req_notify_cq(load->cq, 0);
	for (i = 0; i < load->count; i++) {
		load->lanes[i].due_ns = now;
		if (load->lanes[i].interval_ns)
			lane_schedule(&load->lanes[i]);
	}
	while (now_ns() < load->to_ns) {
		wait_until(load, post_all(load));
		poll_all(load);
	}
	take_rest(load);
}

/* ---- figures ---- */

static int by_time(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

#define SHORT	TRAFFICS	/* all but streams */

/* -1: any */
static bool belongs(const struct load *load, const struct sample *sample,
		    int memory, int traffic)
{
	const struct lane_info *info = &load->lanes[sample->lane].info;

	if (traffic == SHORT && info->traffic == STREAM)
		return false;
	return (memory < 0 || memory == info->memory) &&
	       (traffic < 0 || traffic == SHORT || traffic == info->traffic);
}

static void print_times(const char *group, uint32_t *times, unsigned int count)
{
	/* hundredths of a percent */
	static const unsigned int tails[] = { 9950, 9990, 9999 };
	unsigned int i;

	qsort(times, count, sizeof(*times), by_time);
	for (i = 100; i < 10000; i += 100)
		printf("time_us,%s,%u,%u\n", group, i / 100,
		       times[(uint64_t)count * i / 10000]);
	for (i = 0; i < 3; i++)
		printf("time_us,%s,%g,%u\n", group, tails[i] / 100.0,
		       times[(uint64_t)count * tails[i] / 10000]);
	printf("time_us,%s,100,%u\n", group, times[count - 1]);
}

static void print_group(const struct load *load, const char *group, int memory,
			int traffic)
{
	uint32_t *times = calloc(load->taken + 1, sizeof(*times));
	unsigned int i, count = 0;
	uint64_t bytes = 0;

	if (!times)
		return;
	for (i = 0; i < load->taken; i++) {
		const struct sample *sample = &load->samples[i];

		if (!belongs(load, sample, memory, traffic))
			continue;
		times[count++] = sample->us;
		if (sample->end_ns < load->to_ns)
			bytes += transfer_size(load->lanes[sample->lane].info
					       .traffic);
	}
	printf("transfers,%s,,%u\n", group, count);
	printf("goodput_mbs,%s,,%.3f\n", group,
	       bytes / 1e3 / load->options->ms);
	if (count)
		print_times(group, times, count);
	free(times);
}

/* MB/s in each quarter of a second. */
static void print_course(const struct load *load)
{
	unsigned int bins = load->options->ms / BIN_MS, i;
	uint64_t *bytes = calloc(bins + 1, sizeof(*bytes));

	if (!bytes)
		return;
	for (i = 0; i < load->taken; i++) {
		const struct sample *sample = &load->samples[i];

		if (sample->end_ns < load->to_ns)
			bytes[(sample->end_ns - load->from_ns) / 1000000 /
			      BIN_MS] += transfer_size(load->lanes[sample->lane]
						       .info.traffic);
	}
	for (i = 0; i < bins; i++)
		printf("course_mbs,all,%u,%.3f\n", i * BIN_MS,
		       bytes[i] / 1e3 / BIN_MS);
	free(bytes);
}

static void print_all(const struct load *load)
{
	char group[32];
	int i, j;

	puts("kind,group,x,value");
	printf("failures,all,,%u\n", load->failures);
	print_group(load, "all", -1, -1);
	print_group(load, "short", -1, SHORT);
	for (i = 0; i < MEMORIES; i++)
		if (load->options->memories[i])
			print_group(load, memory_names[i], i, -1);
	for (j = 0; j < TRAFFICS; j++)
		if (load->options->traffics[j])
			print_group(load, traffic_names[j], -1, j);
	for (i = 0; i < MEMORIES * TRAFFICS; i++) {
		if (!load->options->memories[i / TRAFFICS] ||
		    !load->options->traffics[i % TRAFFICS])
			continue;
		snprintf(group, sizeof(group), "%s-%s",
			 memory_names[i / TRAFFICS], traffic_names[i % TRAFFICS]);
		print_group(load, group, i / TRAFFICS, i % TRAFFICS);
	}
	print_course(load);
}

int load_main(const struct options *options, const int *socks)
{
	static struct load load;
	int i, ret;

	load.options = options;
	load.samples = calloc(MAX_SAMPLES, sizeof(*load.samples));
	ret = load.samples ? node_open(&load.node, LOCAL) : -ENOMEM;
	if (!ret)
		ret = area_alloc(&load.out, load.node.pd,
				 transfer_size(STREAM), ACCESS_ALL);
	if (ret)
		return ret;
	load.channel = ibv_create_comp_channel(load.node.ctx);
	if (load.channel)
		load.cq = ibv_create_cq(load.node.ctx, 1024, NULL, load.channel,
					0);
	if (!load.cq)
		return -errno;
	for (i = 0; i < MEMORIES && !ret; i++)
		if (socks[i] >= 0)
			ret = lanes_take(&load, socks[i]);
	if (ret)
		return ret;
	run(&load);
	print_all(&load);
	return 0;
}
