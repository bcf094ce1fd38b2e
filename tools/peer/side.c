// SPDX-License-Identifier: GPL-2.0-only
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <svan/regs.h>
#include <svan/wqe.h>

static int export_memory(struct side *side)
{
	struct drm_prime_handle prime = {
		.handle = side->memory.handle, .flags = DRM_CLOEXEC | DRM_RDWR,
	};
	int ret = accel_ioctl(&side->accel, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);

	return ret ? ret : prime.fd;
}

/* Let the NIC reach the memory, for data and for the counts of its sends. */
static int share_memory(struct side *side)
{
	struct svandv_comp_cntr_attach_attr attach = {
		.op_mask = SVANDV_COMP_CNTR_ATTACH_OP_SEND |
			   SVANDV_COMP_CNTR_ATTACH_OP_RDMA_READ |
			   SVANDV_COMP_CNTR_ATTACH_OP_RDMA_WRITE,
	};
	int fd = export_memory(side);
	struct svandv_memory_location count = {
		.type = SVANDV_MEMORY_LOCATION_DMABUF,
		.dmabuf = { .fd = fd, .offset = side->counts },
	};
	struct svandv_comp_cntr_init_attr init = {
		.flags = SVANDV_COMP_CNTR_INIT_WITH_EXTERNAL_MEM,
		.comp_cntr_ext_mem = count, .err_cntr_ext_mem = count,
	};

	if (fd < 0)
		return fd;
	init.err_cntr_ext_mem.dmabuf.offset += 8;
	side->mr = ibv_reg_dmabuf_mr(side->node.pd, 0, side->counts, SIDE_IOVA, fd,
				     ACCESS_ALL);
	side->sent = svandv_create_comp_cntr(side->node.ctx, &init);
	close(fd);
	if (!side->mr || !side->sent) {
		complain("registering memory of the accelerator: %m");
		return -EIO;
	}
	return -svandv_qp_attach_comp_cntr(side->ep.qp, side->sent, &attach);
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
	opts.max_send_wr = SIDE_MAX_WRITES;
	opts.uar = side->uar;
	ret = ep_create(&side->ep, &side->node, &opts);
	return ret ?: -svandv_query_queues(side->ep.qp, &side->queues);
}

static int open_accel(struct side *side, const struct side_size *size)
{
	size_t pages = (size->memory + 2 * ACCEL_PAGE - 1) / ACCEL_PAGE;
	int ret = accel_open(&side->accel);

	side->counts = (pages - 1) * ACCEL_PAGE;
	if (ret)
		complain("opening %s: %s; start the guest with PEERDEV=1", ACCEL_DEVICE,
			 strerror(-ret));
	if (!ret)
		ret = accel_queue_create(&side->queue, &side->accel, size->log_commands);
	if (!ret)
		ret = accel_buf_alloc(&side->memory, &side->accel,
				      DRM_SVAN_ACCEL_BO_LOCAL, pages * ACCEL_PAGE);
	if (!ret)
		ret = accel_buf_alloc(&side->staging, &side->accel,
				      DRM_SVAN_ACCEL_BO_HOST, ACCEL_PAGE);
	if (ret)
		return ret;
	side->event = accel_event(&side->accel, DRM_SVAN_ACCEL_EVENT_QUEUE);
	return side->event < 0 ? side->event : 0;
}

/* Let the accelerator reach the NIC's doorbells and the send queue. */
static int share_queue(struct side *side)
{
	int ret = import_window(side);

	if (!ret)
		ret = accel_map_user(&side->accel, side->queues.buf,
				     side->queues.buf_length, true, &side->sq);
	side->sq += (uint8_t *)side->queues.sq - (uint8_t *)side->queues.buf;
	return ret;
}

int side_open(struct side *side, unsigned int number, const struct side_size *size)
{
	int ret = open_qp(side, number % 2 && device_exists(PEER) ? PEER : LOCAL);

	if (!ret)
		ret = open_accel(side, size);
	if (!ret)
		ret = share_memory(side);
	return ret ?: share_queue(side);
}

void side_close(struct side *side)
{
	close(side->event);
	ep_destroy(&side->ep);
	svandv_destroy_comp_cntr(side->sent);
	svandv_free_uar(side->uar);
	ibv_dereg_mr(side->mr);
	accel_queue_destroy(&side->queue);
	accel_buf_free(&side->staging);
	accel_buf_free(&side->memory);
	accel_close(&side->accel);
	node_close(&side->node);
}

int sides_open(struct side *sides, const struct side_size *size)
{
	int ret = side_open(&sides[0], 0, size);

	if (!ret)
		ret = side_open(&sides[1], 1, size);
	return ret ?: connect_eps(&sides[0].ep, &sides[1].ep, &conn_defaults);
}

void *side_at(const struct side *side, size_t offset)
{
	return side->memory.map + offset;
}

uint64_t side_va(const struct side *side, size_t offset)
{
	return side->memory.va + offset;
}

uint64_t *side_word(const struct side *side, unsigned int n)
{
	return (uint64_t *)side->staging.map + n;
}

uint64_t side_word_va(const struct side *side, unsigned int n)
{
	return side->staging.va + 8 * n;
}

static int prepare_writes(struct side *side, const struct side *peer,
			  const struct side_write *writes, unsigned int count)
{
	struct ibv_qp_ex *qp = side->ep.qpx;
	struct svandv_trigger trigger;
	unsigned int i;
	int ret;

	ibv_wr_start(qp);
	for (i = 0; i < count; i++) {
		qp->wr_id = i;
		qp->wr_flags = 0;
		ibv_wr_rdma_write(qp, peer->mr->rkey, SIDE_IOVA + writes[i].to);
		ibv_wr_set_sge(qp, side->mr->lkey, SIDE_IOVA + writes[i].from,
			       writes[i].length);
	}
	ret = svandv_prepare(qp, &trigger);
	if (ret || trigger.num_blocks != count) {
		complain("svandv_prepare: %s", strerror(ret));
		return -EIO;
	}
	return 0;
}

int side_prepare(struct side *side, const struct side *peer,
		 const struct side_write *writes, unsigned int count, char form)
{
	uint8_t *ring = side->queues.sq;
	size_t octets = SVAN_WQEBB_SIZE << side->queues.log_sq_blocks;
	size_t message = count * SVAN_WQEBB_SIZE, i;
	int ret = prepare_writes(side, peer, writes, count);

	if (ret)
		return ret;
	memcpy(side_word(side, SIDE_WQE), ring, message);
	for (i = 0; i < octets; i += message) {
		if (form == 'a')
			memcpy(ring + i, side_word(side, SIDE_WQE), message);
		else
			memset(ring + i, 0, message);
	}
	*side_word(side, SIDE_INDEX) = 0;
	*side_word(side, SIDE_DOORBELL) = svan_db_value(side->queues.qp_num, 0);
	return 0;
}

uint64_t side_wqe_va(const struct side *side, uint32_t block, unsigned int n, char form)
{
	if (form == 'b')
		return side_word_va(side, SIDE_WQE) + n * SVAN_WQEBB_SIZE;
	return side->sq + (uint64_t)(block + n) * SVAN_WQEBB_SIZE;
}

void side_post_submit(struct side *side, unsigned int first, unsigned int count,
		      uint64_t by, char form)
{
	uint64_t index = side_word_va(side, SIDE_INDEX);
	uint64_t doorbell = side_word_va(side, SIDE_DOORBELL);
	struct svan_accel_cmd copy = accel_copy_wqe(side->sq,
						    side_wqe_va(side, 0, first, 'b'),
						    index, side->queues.log_sq_blocks);

	copy.copy_wqe.blocks = svan_cpu_to_le32(count);
	if (form == 'b')
		accel_post(&side->queue, copy);
	accel_post(&side->queue, accel_add(index, by));
	accel_post(&side->queue, accel_set_index(doorbell, index));
	accel_post(&side->queue, accel_fence());
	accel_post(&side->queue, accel_store(side->window + SVAN_UAR_SQ_DB, doorbell,
					     SVAN_ACCEL_CMD_INDIRECT));
}

void side_post_sent(struct side *side)
{
	struct svan_accel_cmd wait = accel_wait(side_va(side, side->counts),
						side_word_va(side, SIDE_INDEX),
						WAIT_MS * 1000000ull);

	wait.wait.errors = svan_cpu_to_le64(side_va(side, side->counts + 8));
	accel_post(&side->queue, wait);
}

void side_post_loop(struct side *side, uint32_t first, uint32_t count)
{
	struct svan_accel_cmd interrupt = { .opcode = SVAN_ACCEL_INTERRUPT };

	accel_post(&side->queue, accel_loop(side->queue.posted - first, count));
	accel_post(&side->queue, accel_fence());
	accel_post(&side->queue, interrupt);
}

static long slept(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

int sides_run(struct side *const *sides, unsigned int count, unsigned int limit_ms,
	      struct side_run *run)
{
	uint64_t start = now_ms();
	long sleeps = slept();
	unsigned int i;
	int ret;

	for (i = count; i-- > 0;)
		accel_ring(&sides[i]->queue);
	ret = accel_event_await(sides[0]->event, limit_ms);
	run->ms = now_ms() - start;
	run->sleeps = slept() - sleeps;
	for (i = 0; !ret && i < count; i++)
		ret = accel_await(&sides[i]->queue, WAIT_MS);
	for (i = 0; ret && i < count; i++)
		complain("side %u: status %u after %u commands", i,
			 accel_queue_status(&sides[i]->queue),
			 svan_le32_to_cpu(sides[i]->queue.record->head));
	return ret;
}

void side_report(const struct side_run *run, char form, unsigned long rounds,
		 const char *what)
{
	printf("form %c, %s: %lu %s in %llu ms, %.2f us each; the CPU slept %ld time%s\n",
	       form, device_exists(PEER) ? "over the wire" : "in loopback", rounds, what,
	       (unsigned long long)run->ms, run->ms * 1000.0 / rounds, run->sleeps,
	       run->sleeps == 1 ? "" : "s");
}

bool side_parse(int argc, char **argv, struct side_options *options)
{
	static const struct option known[] = {
		{ "form", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{ "ranks", required_argument, NULL, 'r' },
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
		else if (c == 'r')
			options->ranks = strtoul(optarg, NULL, 0);
		else
			return false;
	}
	return optind == argc && (options->form == 'a' || options->form == 'b') &&
	       options->count > 0 && options->count < 1u << 30;
}
