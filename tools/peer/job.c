// SPDX-License-Identifier: GPL-2.0-only
#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exchange.h"

#define TRACE_MARKER	"/sys/kernel/tracing/trace_marker"
#define CPU_LOOK_US	100

/* For each side that is here, from the first on. */
#define for_each_side(job, n) \
	for (n = (job)->first; n < (job)->kind->num_sides; n += (job)->step)

/* ---- opening ---- */

/* The addresses of the sides that are elsewhere come from there. */
static int exchange_addresses(struct job *job)
{
	struct side_address theirs[JOB_MAX_SIDES];
	unsigned int n;
	int ret = exchange(job->other, job->addresses, theirs, sizeof(theirs));

	for (n = !job->first; !ret && n < job->kind->num_sides; n += 2)
		job->addresses[n] = theirs[n];
	return ret;
}

static int open_sides(struct job *job)
{
	unsigned int n;
	int ret = 0;

	for_each_side(job, n) {
		struct side *side = &job->sides[n];

		side->number = n;
		side->options = job->options;
		ret = side_open(side, &job->kind->size, n == job->first);
		if (ret)
			return ret;
		side_tell(side, &job->addresses[n]);
	}
	if (job->other >= 0)
		ret = exchange_addresses(job);
	return ret;
}

static int connect_sides(struct job *job)
{
	unsigned int n, count = job->kind->num_sides;
	int ret = 0;

	for_each_side(job, n) {
		struct side *side = &job->sides[n];

		ret = side_connect(side, &job->addresses[(n + 1) % count],
				   &job->addresses[(n + count - 1) % count]);
		if (!ret)
			ret = job->kind->prepare(side);
		if (ret)
			break;
	}
	return ret;
}

/* Nobody sends before the other process is ready to receive. */
static int meet(struct job *job)
{
	char ready = 1;
	int ret = exchange(job->other, &ready, &ready, sizeof(ready));

	return ret ?: exchange_close(job->other);
}

static int job_open(struct job *job)
{
	bool two = job->options->listen || job->options->peer;
	int ret;

	job->other = -1;
	job->first = job->options->listen;
	job->step = two ? 2 : 1;
	if (two) {
		job->other = exchange_open(job->options->peer);
		if (job->other < 0)
			return job->other;
	}
	ret = open_sides(job);
	if (!ret)
		ret = connect_sides(job);
	if (!ret && two)
		ret = meet(job);
	return ret;
}

/* ---- the CPU ---- */

static long slept(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

/* A send of the CPU's own, as the CPU drives sends: it sleeps until the completion. */
struct cpu_work {
	struct ibv_comp_channel *channel;
	struct ep ep[2];
};

static int cpu_open(struct cpu_work *work, struct node *node)
{
	struct ep_opts opts = ep_defaults;
	int ret;

	work->channel = ibv_create_comp_channel(node->ctx);
	if (!work->channel)
		return -errno;
	opts.channel = work->channel;
	ret = ep_create(&work->ep[0], node, &opts);
	if (!ret)
		ret = ep_create(&work->ep[1], node, &ep_defaults);
	return ret ?: connect_eps(&work->ep[0], &work->ep[1], &conn_defaults);
}

static int cpu_post(struct cpu_work *work)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_WRITE, .send_flags = IBV_SEND_SIGNALED,
	};
	struct ibv_cq *cq = work->ep[0].cq;
	void *context;
	int ret = ibv_req_notify_cq(cq, 0);

	if (!ret)
		ret = ep_post_send(&work->ep[0], &wr);
	if (ret)
		return -ret;
	if (ibv_get_cq_event(work->channel, &cq, &context))
		return -errno;
	ibv_ack_cq_events(cq, 1);
	return ep_expect(&work->ep[0], 0, IBV_WC_SUCCESS);
}

static void cpu_close(struct cpu_work *work)
{
	ep_destroy(&work->ep[1]);
	ep_destroy(&work->ep[0]);
	ibv_destroy_comp_channel(work->channel);
}

/* ---- running ---- */

/* A line in the kernel's trace; @file is -1 if nobody wants it. */
static void mark(int file, const char *text)
{
	if (file >= 0 && write(file, text, strlen(text)) < 0)
		complain("%s: %m", TRACE_MARKER);
}

static void start(struct job *job)
{
	unsigned int n, last = job->first;

	for_each_side(job, n)
		last = n;
	for (n = last; n != job->first; n -= job->step)
		accel_ring(&job->sides[n].queue);
	accel_ring(&job->sides[job->first].queue);
}

static int sleep_until_done(struct job *job, struct cpu_work *work, int marker)
{
	struct side *first = &job->sides[job->first];
	uint64_t start_ms = now_ms();
	long sleeps = slept();
	int ret = 0;

	mark(marker, "svan-peer: start");
	start(job);
	if (job->options->cpu_post) {
		while (side_num_sent(first) < job->options->cpu_post)
			usleep(CPU_LOOK_US);
		ret = cpu_post(work);
	}
	if (!ret)
		ret = accel_event_await(first->event, WAIT_MS + job->options->count);
	mark(marker, "svan-peer: end");
	job->ms = now_ms() - start_ms;
	job->sleeps = slept() - sleeps;
	return ret;
}

static int job_run(struct job *job)
{
	int marker = -1, ret = 0;
	struct cpu_work work;
	unsigned int n;

	if (job->options->mark) {
		marker = open(TRACE_MARKER, O_WRONLY | O_CLOEXEC);
		if (marker < 0)
			complain("%s: %m", TRACE_MARKER);
	}
	if (job->options->cpu_post)
		ret = cpu_open(&work, &job->sides[job->first].node);
	if (!ret)
		ret = sleep_until_done(job, &work, marker);
	for_each_side(job, n)
		ret = ret ?: accel_await(&job->sides[n].queue, WAIT_MS);
	if (!ret && job->options->cpu_post)
		cpu_close(&work);
	for_each_side(job, n) {
		const struct accel_queue *queue = &job->sides[n].queue;

		if (ret)
			complain("side %u: status %u after %u commands", n,
				 accel_queue_status(queue),
				 svan_le32_to_cpu(queue->record->head));
	}
	if (marker >= 0)
		close(marker);
	return ret;
}

int job_do(struct job *job, const struct job_kind *kind, const struct side_options *options)
{
	unsigned int n;
	int ret;

	job->kind = kind;
	job->options = options;
	ret = job_open(job);
	if (!ret)
		ret = job_run(job);
	for_each_side(job, n)
		ret = ret ?: kind->check(&job->sides[n]);
	if (ret)
		return ret;
	for_each_side(job, n) {
		if (job->depth < side_depth(&job->sides[n]))
			job->depth = side_depth(&job->sides[n]);
		side_close(&job->sides[n]);
	}
	return 0;
}

void job_report(const struct job *job, unsigned long rounds, const char *what)
{
	const struct side_options *options = job->options;

	printf("form %c, %s, %s: %lu %s in %llu ms, %.2f us each; queues of up to %u; "
	       "the CPU slept %ld time%s\n",
	       options->form, options->send ? "send" : "write",
	       job->step == 2 ? "with another guest" :
	       device_exists(PEER) ? "over the wire" : "in loopback",
	       rounds, what, (unsigned long long)job->ms, job->ms * 1000.0 / rounds,
	       job->depth, job->sleeps, job->sleeps == 1 ? "" : "s");
}

/* ---- options ---- */

static const struct option known[] = {
	{ "form", required_argument, NULL, 'f' },
	{ "operation", required_argument, NULL, 'o' },
	{ "count", required_argument, NULL, 'c' },
	{ "size", required_argument, NULL, 's' },
	{ "ranks", required_argument, NULL, 'r' },
	{ "cpu-post", required_argument, NULL, 'n' },
	{ "peer", required_argument, NULL, 'p' },
	{ "listen", no_argument, NULL, 'l' },
	{ "mark", no_argument, NULL, 'm' },
	{}
};

static bool parse_option(int c, struct side_options *options)
{
	switch (c) {
	case 'f':
		options->form = optarg[0];
		return !strcmp(optarg, "a") || !strcmp(optarg, "b");
	case 'o':
		options->send = !strcmp(optarg, "send");
		return options->send || !strcmp(optarg, "write");
	case 'c':
		options->count = strtoul(optarg, NULL, 0);
		return options->count > 0 && options->count < 1u << 30;
	case 's':
		options->size = strtoul(optarg, NULL, 0);
		return true;
	case 'r':
		options->ranks = strtoul(optarg, NULL, 0);
		return true;
	case 'n':
		options->cpu_post = strtoul(optarg, NULL, 0);
		return options->cpu_post > 0;
	case 'p':
		options->peer = optarg;
		return !options->listen;
	case 'l':
		options->listen = true;
		return !options->peer;
	case 'm':
		options->mark = true;
		return true;
	default:
		return false;
	}
}

bool job_parse(int argc, char **argv, struct side_options *options)
{
	int c;

	options->form = 'a';
	options->send = true;
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (!parse_option(c, options))
			return false;
	}
	return optind == argc;
}
