// SPDX-License-Identifier: GPL-2.0-only
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <svan/regs.h>
#include <svan/wqe.h>

static struct ibv_mr *reg_buf(struct side *side, struct accel_buf *buf)
{
	struct drm_prime_handle prime = {
		.handle = buf->handle, .flags = DRM_CLOEXEC | DRM_RDWR,
	};
	struct ibv_mr *mr;

	if (accel_ioctl(&side->accel, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return NULL;
	mr = ibv_reg_dmabuf_mr(side->node.pd, 0, buf->size, SIDE_IOVA, prime.fd, ACCESS_ALL);
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

static int open_accel(struct side *side, size_t size, unsigned int log_commands)
{
	size_t pages = (size + ACCEL_PAGE - 1) / ACCEL_PAGE * ACCEL_PAGE;
	int ret = accel_open(&side->accel);

	if (ret)
		complain("opening %s: %s; start the guest with PEERDEV=1", ACCEL_DEVICE,
			 strerror(-ret));
	if (!ret)
		ret = accel_queue_create(&side->queue, &side->accel, log_commands);
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

static int side_open(struct side *side, enum which which, size_t size,
		     unsigned int log_commands)
{
	int ret = open_qp(side, which);

	if (!ret)
		ret = open_accel(side, size, log_commands);
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

int sides_open(struct side *sides, size_t size, unsigned int log_commands)
{
	enum which which = device_exists(PEER) ? PEER : LOCAL;
	int ret = side_open(&sides[0], LOCAL, size, log_commands);

	if (!ret)
		ret = side_open(&sides[1], which, size, log_commands);
	if (!ret)
		ret = connect_eps(&sides[0].ep, &sides[1].ep, &conn_defaults);
	return ret;
}

void sides_close(struct side *sides)
{
	side_close(&sides[1]);
	side_close(&sides[0]);
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
		ibv_wr_rdma_write(qp, peer->in_mr->rkey, SIDE_IOVA + writes[i].to);
		ibv_wr_set_sge(qp, side->out_mr->lkey, SIDE_IOVA + writes[i].from,
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
	*side_word(side, SIDE_DOORBELL) = svan_db_value(side->queues.qp_num, 0);
	return 0;
}

uint64_t side_wqe_va(const struct side *side, uint32_t block, unsigned int n, char form)
{
	if (form == 'b')
		return side_word_va(side, SIDE_WQE) + n * SVAN_WQEBB_SIZE;
	return side->sq + (uint64_t)(block + n) * SVAN_WQEBB_SIZE;
}

void side_post_submit(struct side *side, uint64_t index, uint64_t by,
		      unsigned int count, char form)
{
	struct svan_accel_cmd copy = accel_copy_wqe(side->sq, side_word_va(side, SIDE_WQE),
						    index, side->queues.log_sq_blocks);
	uint64_t doorbell = side_word_va(side, SIDE_DOORBELL);

	copy.copy_wqe.blocks = svan_cpu_to_le32(count);
	if (form == 'b')
		accel_post(&side->queue, copy);
	accel_post(&side->queue, accel_add(index, by));
	accel_post(&side->queue, accel_set_index(doorbell, index));
	accel_post(&side->queue, accel_fence());
	accel_post(&side->queue, accel_store(side->window + SVAN_UAR_SQ_DB, doorbell,
					     SVAN_ACCEL_CMD_INDIRECT));
}

void side_post_loop(struct side *side, uint32_t first, uint32_t count)
{
	struct svan_accel_cmd interrupt = { .opcode = SVAN_ACCEL_INTERRUPT };

	accel_post(&side->queue, accel_loop(side->queue.posted - first, count));
	accel_post(&side->queue, interrupt);
}

static long slept(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

int sides_run(struct side *sides, unsigned int limit_ms, struct side_run *run)
{
	uint64_t start;
	long sleeps;
	int ret;

	accel_ring(&sides[1].queue);
	sleeps = slept();
	start = now_ms();
	accel_ring(&sides[0].queue);
	ret = accel_event_await(sides[0].event, limit_ms);
	run->ms = now_ms() - start;
	run->sleeps = slept() - sleeps;
	if (!ret)
		ret = accel_await(&sides[0].queue, WAIT_MS);
	if (!ret)
		ret = accel_await(&sides[1].queue, WAIT_MS);
	if (ret)
		complain("the sides have stopped with status %u and %u",
			 accel_queue_status(&sides[0].queue),
			 accel_queue_status(&sides[1].queue));
	return ret;
}

const char *sides_path(void)
{
	return device_exists(PEER) ? "over the wire" : "in loopback";
}
