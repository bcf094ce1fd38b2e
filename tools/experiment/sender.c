// SPDX-License-Identifier: GPL-2.0-only
/*
 * sender PAIRS SECONDS WARM_UP [LIMIT]: writes from the device that SVAN_DEV names to the one of
 * SVAN_PEER_DEV, by so many queue pairs, each of which always has something to write; LIMIT is
 * what it sets its own rate limit to again and again, in kbit/s. Says "ready" and begins when
 * it is told a line. Prints a line "MS OCTETS" each 100 ms since then, of what has been
 * completed since the one before, and at the end "p50_us X", "p99_us X" of the messages that were
 * posted after the first WARM_UP seconds, if there are any.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common.h"

#define LENGTH		32768u
#define DEPTH		4u		/* messages of a queue pair */
#define MAX_PAIRS	64u
#define SLICE		100		/* ms */
#define MAX_SAMPLES	(1u << 20)

struct lane {
	struct ep ep[2];
	unsigned int posted, done;
	uint64_t posted_at[DEPTH];	/* us */
};

struct sender {
	struct node node[2];
	struct area area[2];
	struct ibv_comp_channel *channel;
	struct ibv_cq *cq;
	struct lane *lanes;
	unsigned int count;
	uint64_t begun, sampled_from;	/* us */
	uint64_t octets;
	uint32_t *samples;		/* us */
	uint32_t num_samples;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static int lane_open(struct sender *sender, struct lane *lane, const struct conn *conn)
{
	struct ep_opts opts = ep_defaults;
	int ret;

	opts.max_send_wr = DEPTH;
	opts.max_recv_wr = 1;
	opts.max_sge = 1;
	ret = ep_create(&lane->ep[1], &sender->node[1], &opts);
	opts.cq = sender->cq;
	ret = ret ?: ep_create(&lane->ep[0], &sender->node[0], &opts);
	return ret ?: connect_eps(&lane->ep[0], &lane->ep[1], conn);
}

static int sender_open(struct sender *sender, unsigned int count)
{
	struct conn conn = conn_defaults;
	unsigned int i;
	int ret = 0;

	/* The queue of a slow link may take longer than a connection usually allows. */
	conn.timeout = 18;
	for (i = 0; !ret && i < 2; i++) {
		ret = node_open(&sender->node[i], i ? PEER : LOCAL);
		ret = ret ?: area_alloc(&sender->area[i], sender->node[i].pd, LENGTH, ACCESS_ALL);
	}
	if (ret)
		return ret;
	sender->channel = ibv_create_comp_channel(sender->node[0].ctx);
	sender->cq = ibv_create_cq(sender->node[0].ctx, count * DEPTH, NULL, sender->channel, 0);
	sender->lanes = calloc(count, sizeof(*sender->lanes));
	sender->samples = malloc(MAX_SAMPLES * sizeof(*sender->samples));
	if (!sender->channel || !sender->cq || !sender->lanes || !sender->samples)
		return -ENOMEM;
	for (; !ret && sender->count < count; sender->count++)
		ret = lane_open(sender, &sender->lanes[sender->count], &conn);
	return ret;
}

static int post(struct sender *sender, unsigned int n)
{
	struct lane *lane = &sender->lanes[n];
	struct ibv_sge sge = area_sge(&sender->area[0], 0, LENGTH);
	struct ibv_send_wr wr = {
		.wr_id = n, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = (uintptr_t)sender->area[1].data,
			.rkey = sender->area[1].mr->rkey,
		},
	};

	lane->posted_at[lane->posted++ % DEPTH] = now_us();
	return -ep_post_send(&lane->ep[0], &wr);
}

static int take(struct sender *sender, const struct ibv_wc *wc)
{
	struct lane *lane = &sender->lanes[wc->wr_id];
	uint64_t posted_at = lane->posted_at[lane->done++ % DEPTH];

	if (wc->status) {
		complain("a message failed: %s", ibv_wc_status_str(wc->status));
		return -EIO;
	}
	sender->octets += LENGTH;
	if (posted_at >= sender->sampled_from && sender->num_samples < MAX_SAMPLES)
		sender->samples[sender->num_samples++] = now_us() - posted_at;
	return post(sender, wc->wr_id);
}

/* What has been completed; else up to the time given, us. */
static int work(struct sender *sender, uint64_t until)
{
	struct pollfd fd = { .fd = sender->channel->fd, .events = POLLIN };
	uint64_t now = now_us();
	struct ibv_cq *cq;
	struct ibv_wc wc;
	void *context;
	int n, ret = 0;

	if (now < until && poll(&fd, 1, (until - now) / 1000 + 1) > 0) {
		if (ibv_get_cq_event(sender->channel, &cq, &context))
			return -errno;
		ibv_ack_cq_events(cq, 1);
		if (ibv_req_notify_cq(cq, 0))
			return -EIO;
	}
	while (!ret && (n = ibv_poll_cq(sender->cq, 1, &wc)) > 0)
		ret = take(sender, &wc);
	return n < 0 ? -EIO : ret;
}

static int set_limits(struct sender *sender, uint32_t limit)
{
	struct ibv_qp_rate_limit_attr attr = { .rate_limit = limit };
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < sender->count; i++)
		ret = ibv_modify_qp_rate_limit(sender->lanes[i].ep[0].qp, &attr);
	return -ret;
}

static int slice(struct sender *sender, uint64_t until, uint32_t limit)
{
	uint64_t before = sender->octets;
	int ret = limit ? set_limits(sender, limit) : 0;

	while (!ret && now_us() < until)
		ret = work(sender, until);
	printf("%llu %llu\n", (unsigned long long)(until - sender->begun) / 1000,
	       (unsigned long long)(sender->octets - before));
	fflush(stdout);
	return ret;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int run(struct sender *sender, unsigned int seconds, unsigned int warm_up, uint32_t limit)
{
	uint64_t end, until;
	unsigned int i;
	int ret = ibv_req_notify_cq(sender->cq, 0);

	puts("ready");
	fflush(stdout);
	getchar();
	sender->begun = until = now_us();
	end = until + seconds * 1000000ull;
	sender->sampled_from = until + warm_up * 1000000ull;
	for (i = 0; !ret && i < sender->count * DEPTH; i++)
		ret = post(sender, i % sender->count);
	while (!ret && until < end)
		ret = slice(sender, until += SLICE * 1000, limit);
	/* Whoever starves has none. */
	if (ret || !sender->num_samples)
		return ret;
	qsort(sender->samples, sender->num_samples, sizeof(*sender->samples), by_value);
	printf("p50_us %u\np99_us %u\n", sender->samples[sender->num_samples / 2],
	       sender->samples[sender->num_samples * 99ull / 100]);
	return 0;
}

int main(int argc, char **argv)
{
	static struct sender sender;
	unsigned int count = argc > 3 ? atoi(argv[1]) : 0;
	int ret;

	if (!count || count > MAX_PAIRS) {
		fprintf(stderr, "usage: sender PAIRS SECONDS WARM_UP [LIMIT]\n");
		return 2;
	}
	ret = sender_open(&sender, count);
	ret = ret ?: run(&sender, atoi(argv[2]), atoi(argv[3]),
			 argc > 4 ? atoi(argv[4]) : 0);
	if (ret)
		complain("sender: %s", strerror(-ret));
	return ret ? 1 : 0;
}
