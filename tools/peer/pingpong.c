// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ping-pong between two sides, each a queue pair of a NIC and a context of the
 * accelerator, while the CPU sleeps: it prepares one work request and a loop of commands
 * for each side, wakes the accelerator, and is woken when the last message has come.
 *
 * A message lies in the accelerator's memory, and is written by RDMA into that of the
 * other side. Its last octets are the number of the message; the other side waits for
 * it, copies what has come into its own message, and sends that back.
 *
 * Form a: the ring of the send queue is full of the work request, and the accelerator
 * only rings. Form b: the ring is empty; the accelerator copies the work request from
 * staging into the next block, and rings.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <infiniband/svandv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <svan/regs.h>
#include <svan/wqe.h>

#include "accel-lib.h"

#define LOG_RING	6
#define IOVA		0x100000ull	/* of a side's memory, for its NIC */
#define PAST_LAST	(1u << 30)

static const char usage[] =
	"usage: pingpong [--form a|b] [--count N] [--size OCTETS]\n"
	"  --form a   the work request lies in the queue (the default)\n"
	"  --form b   the accelerator copies it from staging into the queue\n"
	"  --count N  messages of each side, 100000\n"
	"  --size N   octets of a message, 16 to 65536, a multiple of 8; 64\n"
	"The sides are svan_0 and svan_1, or svan_0 alone in loopback.\n";

struct options {
	char form;
	unsigned long count;
	unsigned long size;
};

/* Words of the staging page. */
enum { DOORBELL, ONE, EXPECTED, WQE = 8 };

struct side {
	struct node node;
	struct ep ep;
	struct svandv_uar *uar;
	struct svandv_queues queues;
	struct accel accel;
	struct accel_queue queue;
	struct accel_buf out, in, staging;
	struct ibv_mr *out_mr, *in_mr;
	uint64_t window, sq;		/* addresses in the context */
	int event;
};

/* ---- setting up ---- */

static struct ibv_mr *reg_buf(struct side *side, struct accel_buf *buf)
{
	struct drm_prime_handle prime = {
		.handle = buf->handle, .flags = DRM_CLOEXEC | DRM_RDWR,
	};
	struct ibv_mr *mr;

	if (accel_ioctl(&side->accel, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return NULL;
	mr = ibv_reg_dmabuf_mr(side->node.pd, 0, buf->size, IOVA, prime.fd, ACCESS_ALL);
	if (!mr)
		complain("registering memory of the accelerator: %m");
	close(prime.fd);
	return mr;
}

static int import_window(struct side *side)
{
	struct drm_svan_accel_import_window import = {
		.fd = svandv_uar_export_dmabuf_fd(side->uar),
	};
	int ret = accel_ioctl(&side->accel, DRM_IOCTL_SVAN_ACCEL_IMPORT_WINDOW, &import);

	if (ret)
		complain("importing the doorbells: %s", strerror(-ret));
	close(import.fd);
	side->window = import.va;
	return ret;
}

static int open_qp(struct side *side, enum which which)
{
	struct ep_opts opts = ep_defaults;
	int ret = node_open(&side->node, which);

	if (ret)
		return ret;
	side->uar = svandv_alloc_uar(side->node.ctx);
	if (!side->uar) {
		complain("a page of doorbells: %m");
		return -errno;
	}
	opts.extended = true;
	opts.max_send_wr = 8;
	opts.uar = side->uar;
	ret = ep_create(&side->ep, &side->node, &opts);
	return ret ?: -svandv_query_queues(side->ep.qp, &side->queues);
}

static int open_accel(struct side *side, size_t size)
{
	size_t pages = (size + ACCEL_PAGE - 1) / ACCEL_PAGE * ACCEL_PAGE;
	int ret = accel_open(&side->accel);

	if (ret)
		complain("opening %s: %s; start the guest with PEERDEV=1", ACCEL_DEVICE,
			 strerror(-ret));
	if (!ret)
		ret = accel_queue_create(&side->queue, &side->accel, LOG_RING);
	if (!ret)
		ret = accel_buf_alloc(&side->out, &side->accel, DRM_SVAN_ACCEL_BO_LOCAL,
				      pages);
	if (!ret)
		ret = accel_buf_alloc(&side->in, &side->accel, DRM_SVAN_ACCEL_BO_LOCAL,
				      pages);
	if (!ret)
		ret = accel_buf_alloc(&side->staging, &side->accel,
				      DRM_SVAN_ACCEL_BO_HOST, ACCEL_PAGE);
	if (ret)
		return ret;
	side->event = accel_event(&side->accel, DRM_SVAN_ACCEL_EVENT_QUEUE);
	return side->event < 0 ? side->event : 0;
}

/* Let the NIC reach the accelerator's memory, and the accelerator the NIC's queue. */
static int join(struct side *side)
{
	int ret;

	side->out_mr = reg_buf(side, &side->out);
	side->in_mr = reg_buf(side, &side->in);
	if (!side->out_mr || !side->in_mr)
		return -EIO;
	ret = import_window(side);
	if (!ret)
		ret = accel_map_user(&side->accel, side->queues.buf,
				     side->queues.buf_length, true, &side->sq);
	side->sq += (uint8_t *)side->queues.sq - (uint8_t *)side->queues.buf;
	return ret;
}

static int side_open(struct side *side, enum which which, size_t size)
{
	int ret = open_qp(side, which);

	if (!ret)
		ret = open_accel(side, size);
	return ret ?: join(side);
}

static void side_close(struct side *side)
{
	close(side->event);
	ep_destroy(&side->ep);
	svandv_free_uar(side->uar);
	ibv_dereg_mr(side->in_mr);
	ibv_dereg_mr(side->out_mr);
	accel_queue_destroy(&side->queue);
	accel_buf_free(&side->staging);
	accel_buf_free(&side->in);
	accel_buf_free(&side->out);
	accel_close(&side->accel);
	node_close(&side->node);
}

/* ---- preparing ---- */

static uint64_t *word(const struct side *side, unsigned int n)
{
	return (uint64_t *)side->staging.map + n;
}

static uint64_t word_va(const struct side *side, unsigned int n)
{
	return side->staging.va + 8 * n;
}

/* The work request is one block, and goes to staging or into every block of the ring. */
static int prepare_wqe(struct side *side, const struct side *peer,
		       const struct options *options)
{
	uint8_t *ring = side->queues.sq;
	uint32_t blocks = 1u << side->queues.log_sq_blocks, i;
	struct ibv_qp_ex *qp = side->ep.qpx;
	struct svandv_trigger trigger;
	int ret;

	ibv_wr_start(qp);
	qp->wr_id = 0;
	qp->wr_flags = 0;
	ibv_wr_rdma_write(qp, peer->in_mr->rkey, IOVA);
	ibv_wr_set_sge(qp, side->out_mr->lkey, IOVA, options->size);
	ret = svandv_prepare(qp, &trigger);
	if (ret || trigger.num_blocks != 1) {
		complain("svandv_prepare: %s", strerror(ret));
		return -EIO;
	}
	memcpy(word(side, WQE), ring, SVAN_WQEBB_SIZE);
	for (i = 0; i < blocks; i++) {
		if (options->form == 'a')
			memcpy(ring + i * SVAN_WQEBB_SIZE, word(side, WQE),
			       SVAN_WQEBB_SIZE);
		else
			memset(ring + i * SVAN_WQEBB_SIZE, 0, SVAN_WQEBB_SIZE);
	}
	*word(side, DOORBELL) = svan_db_value(side->queues.qp_num, 0);
	*word(side, ONE) = 1;
	*word(side, EXPECTED) = 0;
	return 0;
}

/* Number the message, and submit it. The number of commands. */
static uint32_t post_send(struct side *side, const struct options *options)
{
	uint64_t number = side->out.va + options->size - 8;
	uint32_t before = side->queue.posted;

	if (options->form == 'b')
		accel_post(&side->queue, accel_copy_wqe(side->sq, word_va(side, WQE),
							number,
							side->queues.log_sq_blocks));
	accel_post(&side->queue, accel_add(number, word_va(side, ONE)));
	accel_post(&side->queue, accel_set_index(word_va(side, DOORBELL), number));
	accel_post(&side->queue, accel_fence());
	accel_post(&side->queue, accel_store(side->window + SVAN_UAR_SQ_DB,
					     word_va(side, DOORBELL),
					     SVAN_ACCEL_CMD_INDIRECT));
	return side->queue.posted - before;
}

/* Wait for the message of the next number. */
static uint32_t post_receive(struct side *side, const struct options *options)
{
	accel_post(&side->queue, accel_add(word_va(side, EXPECTED), word_va(side, ONE)));
	accel_post(&side->queue, accel_wait(side->in.va + options->size - 8,
					    word_va(side, EXPECTED),
					    WAIT_MS * 1000000ull));
	return 2;
}

static void post_end(struct side *side, uint32_t span, const struct options *options)
{
	struct svan_accel_cmd interrupt = { .opcode = SVAN_ACCEL_INTERRUPT };

	accel_post(&side->queue, accel_loop(span, options->count));
	accel_post(&side->queue, interrupt);
}

static void post_ping(struct side *side, const struct options *options)
{
	uint32_t span = post_send(side, options);

	span += post_receive(side, options);
	post_end(side, span, options);
}

static void post_pong(struct side *side, const struct options *options)
{
	uint32_t span = post_receive(side, options);

	accel_post(&side->queue, accel_copy(side->out.va, side->in.va,
					    options->size - 8));
	span += 1 + post_send(side, options);
	post_end(side, span, options);
}

/* ---- running ---- */

static long slept(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

static uint64_t pattern(unsigned long i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static int check(const struct side *side, const char *name,
		 const struct options *options)
{
	const uint64_t *seen = (const uint64_t *)side->in.map;
	unsigned long i, last = options->size / 8 - 1;

	for (i = 0; i < last; i++) {
		if (seen[i] != pattern(i)) {
			complain("%s: word %lu is 0x%llx instead of 0x%llx", name, i,
				 (unsigned long long)seen[i],
				 (unsigned long long)pattern(i));
			return -EIO;
		}
	}
	if (seen[last] != options->count) {
		complain("%s: the last message is number %llu instead of %lu", name,
			 (unsigned long long)seen[last], options->count);
		return -EIO;
	}
	return 0;
}

static int run(struct side *sides, const struct options *options)
{
	unsigned long i;
	uint64_t start, took;
	long sleeps;
	int ret;

	for (i = 0; i < options->size / 8 - 1; i++)
		((uint64_t *)sides[0].out.map)[i] = pattern(i);
	post_ping(&sides[0], options);
	post_pong(&sides[1], options);
	accel_ring(&sides[1].queue);
	sleeps = slept();
	start = now_ms();
	accel_ring(&sides[0].queue);
	ret = accel_event_await(sides[0].event, WAIT_MS + options->count);
	took = now_ms() - start;
	sleeps = slept() - sleeps;
	if (!ret)
		ret = accel_await(&sides[0].queue, WAIT_MS);
	if (!ret)
		ret = accel_await(&sides[1].queue, WAIT_MS);
	if (ret) {
		complain("the sides have stopped with status %u and %u",
			 accel_queue_status(&sides[0].queue),
			 accel_queue_status(&sides[1].queue));
		return ret;
	}
	ret = check(&sides[0], "ping", options) ?: check(&sides[1], "pong", options);
	if (ret)
		return ret;
	printf("form %c, %s: %lu round trips of %lu octets in %llu ms, %.2f us each; the CPU slept %ld time%s\n",
	       options->form, device_exists(PEER) ? "over the wire" : "in loopback",
	       options->count, options->size, (unsigned long long)took,
	       took * 1000.0 / options->count, sleeps, sleeps == 1 ? "" : "s");
	return 0;
}

static int pingpong(const struct options *options)
{
	static struct side sides[2];
	enum which which = device_exists(PEER) ? PEER : LOCAL;
	int ret = side_open(&sides[0], LOCAL, options->size);

	if (!ret)
		ret = side_open(&sides[1], which, options->size);
	if (!ret)
		ret = connect_eps(&sides[0].ep, &sides[1].ep, &conn_defaults);
	if (!ret)
		ret = prepare_wqe(&sides[0], &sides[1], options);
	if (!ret)
		ret = prepare_wqe(&sides[1], &sides[0], options);
	if (!ret)
		ret = run(sides, options);
	if (ret)
		return ret;	/* the process ends, and takes everything along */
	side_close(&sides[1]);
	side_close(&sides[0]);
	return 0;
}

static bool parse(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "form", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'f')
			options->form = optarg[1] ? 0 : optarg[0];
		else if (c == 'c')
			options->count = strtoul(optarg, NULL, 0);
		else if (c == 's')
			options->size = strtoul(optarg, NULL, 0);
		else
			return false;
	}
	return optind == argc && (options->form == 'a' || options->form == 'b') &&
	       options->count > 0 && options->count < PAST_LAST &&
	       options->size >= 16 && options->size <= 65536 && options->size % 8 == 0;
}

int main(int argc, char **argv)
{
	struct options options = { .form = 'a', .count = 100000, .size = 64 };

	if (!parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	return pingpong(&options) ? 1 : 0;
}
