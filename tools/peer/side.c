// SPDX-License-Identifier: GPL-2.0-only
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <svan/regs.h>
#include <svan/wqe.h>

/* The counts: successes and errors of the sends, then of the receives. */
enum { SENT = 0, CAME = 16 };

static int export_memory(struct side *side)
{
	struct drm_prime_handle prime = {
		.handle = side->memory.handle, .flags = DRM_CLOEXEC | DRM_RDWR,
	};
	int ret = accel_ioctl(&side->accel, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);

	return ret ? ret : prime.fd;
}

/* A counter of the operations of a queue pair, at that offset of the memory. */
static struct svandv_comp_cntr *count(struct side *side, int fd, size_t offset,
				      struct side_qp *qp, uint32_t ops)
{
	struct svandv_comp_cntr_attach_attr attach = { .op_mask = ops };
	struct svandv_memory_location count = {
		.type = SVANDV_MEMORY_LOCATION_DMABUF,
		.dmabuf = { .fd = fd, .offset = offset },
	};
	struct svandv_comp_cntr_init_attr init = {
		.flags = SVANDV_COMP_CNTR_INIT_WITH_EXTERNAL_MEM,
		.comp_cntr_ext_mem = count, .err_cntr_ext_mem = count,
	};
	struct svandv_comp_cntr *counter;

	init.err_cntr_ext_mem.dmabuf.offset += 8;
	counter = svandv_create_comp_cntr(side->node.ctx, &init);
	if (counter && svandv_qp_attach_comp_cntr(qp->ep.qp, counter, &attach)) {
		svandv_destroy_comp_cntr(counter);
		return NULL;
	}
	return counter;
}

/* Let the NIC reach the memory, for data and for the counts. */
static int share_memory(struct side *side)
{
	int fd = export_memory(side);

	if (fd < 0)
		return fd;
	side->mr = ibv_reg_dmabuf_mr(side->node.pd, 0, side->counts, SIDE_IOVA, fd,
				     ACCESS_ALL);
	side->sent = count(side, fd, side->counts + SENT, &side->out,
			   SVANDV_COMP_CNTR_ATTACH_OP_SEND |
			   SVANDV_COMP_CNTR_ATTACH_OP_RDMA_READ |
			   SVANDV_COMP_CNTR_ATTACH_OP_RDMA_WRITE);
	side->came = count(side, fd, side->counts + CAME, side->in,
			   SVANDV_COMP_CNTR_ATTACH_OP_RECV);
	close(fd);
	if (!side->mr || !side->sent || !side->came) {
		complain("registering memory of the accelerator: %m");
		return -EIO;
	}
	return 0;
}

/* ---- queue pairs ---- */

/* With room for two entries a receive has 64 octets, as a block of the send queue. */
static int open_qp(struct side *side, struct side_qp *qp)
{
	struct ep_opts opts = ep_defaults;
	int ret;

	qp->uar = svandv_alloc_uar(side->node.ctx);
	if (!qp->uar) {
		complain("a page of doorbells: %m");
		return -errno;
	}
	opts.extended = true;
	opts.max_send_wr = SIDE_MAX_SENDS;
	opts.max_recv_wr = SIDE_MAX_RECEIVES;
	opts.max_sge = 2;
	opts.recv_no_cqe = true;
	opts.uar = qp->uar;
	ret = ep_create(&qp->ep, &side->node, &opts);
	if (!ret)
		ret = -svandv_query_queues(qp->ep.qp, &qp->queues);
	if (!ret && 1u << qp->queues.log_rq_stride != SVAN_WQEBB_SIZE) {
		complain("receives of %u octets", 1u << qp->queues.log_rq_stride);
		ret = -EIO;
	}
	return ret;
}

static int import_window(struct side *side, struct side_qp *qp)
{
	struct drm_svan_accel_import_window import = {
		.fd = svandv_uar_export_dmabuf_fd(qp->uar),
	};
	int ret = accel_ioctl(&side->accel, DRM_IOCTL_SVAN_ACCEL_IMPORT_WINDOW, &import);

	if (ret)
		complain("importing the doorbells: %s", strerror(-ret));
	close(import.fd);
	qp->window = import.va;
	return ret;
}

/* Let the accelerator reach the doorbells and the queues. */
static int share_qp(struct side *side, struct side_qp *qp)
{
	return import_window(side, qp) ?:
	       accel_map_user(&side->accel, qp->queues.buf, qp->queues.buf_length, true,
			      &qp->buf);
}

static void close_qp(struct side_qp *qp)
{
	ep_destroy(&qp->ep);
	svandv_free_uar(qp->uar);
}

/* ---- opening ---- */

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
	return ret;
}

int side_open(struct side *side, const struct side_size *size, bool interrupts)
{
	int ret = node_open(&side->node,
			    side->number % 2 && device_exists(PEER) ? PEER : LOCAL);

	side->in = size->ring ? &side->own_in : &side->out;
	if (!ret)
		ret = open_qp(side, &side->out);
	if (!ret && size->ring)
		ret = open_qp(side, &side->own_in);
	if (!ret)
		ret = open_accel(side, size);
	if (!ret)
		ret = share_memory(side);
	if (!ret)
		ret = share_qp(side, &side->out);
	if (!ret && size->ring)
		ret = share_qp(side, &side->own_in);
	side->event = -1;
	if (ret || !interrupts)
		return ret;
	side->event = accel_event(&side->accel, DRM_SVAN_ACCEL_EVENT_QUEUE);
	return side->event < 0 ? side->event : 0;
}

void side_close(struct side *side)
{
	if (side->event >= 0)
		close(side->event);
	close_qp(&side->out);
	if (side->in != &side->out)
		close_qp(side->in);
	svandv_destroy_comp_cntr(side->sent);
	svandv_destroy_comp_cntr(side->came);
	ibv_dereg_mr(side->mr);
	accel_queue_destroy(&side->queue);
	accel_buf_free(&side->staging);
	accel_buf_free(&side->memory);
	accel_close(&side->accel);
	node_close(&side->node);
}

void side_tell(const struct side *side, struct side_address *address)
{
	*address = (struct side_address){
		.gid = side->node.gid, .rkey = side->mr->rkey,
		.out = { side->out.ep.qp->qp_num, side->out.ep.psn },
		.in = { side->in->ep.qp->qp_num, side->in->ep.psn },
	};
}

/* To a queue pair of which the number, the PSN and the GID are known. */
static int connect_qp(struct side_qp *qp, const union ibv_gid *gid, uint32_t qp_num,
		      uint32_t psn)
{
	const struct conn *conn = &conn_defaults;
	struct ibv_qp other = { .qp_num = qp_num };
	struct node node = { .gid = *gid };
	const struct ep peer = { .node = &node, .qp = &other, .psn = psn };

	return ep_init(&qp->ep, conn) ?: ep_rtr(&qp->ep, &peer, conn) ?:
	       ep_rts(&qp->ep, conn);
}

int side_connect(struct side *side, const struct side_address *next,
		 const struct side_address *previous)
{
	int ret = connect_qp(&side->out, &next->gid, next->in.qp_num, next->in.psn);

	side->rkey = next->rkey;
	if (!ret && side->in != &side->out)
		ret = connect_qp(side->in, &previous->gid, previous->out.qp_num,
				 previous->out.psn);
	return ret;
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

uint64_t side_num_sent(const struct side *side)
{
	const uint64_t *sent = side_at(side, side->counts + SENT);

	return svan_le64_to_cpu(__atomic_load_n(sent, __ATOMIC_ACQUIRE));
}

unsigned int side_depth(const struct side *side)
{
	unsigned int sq = 1u << side->out.queues.log_sq_blocks;
	unsigned int rq = 1u << side->in->queues.log_rq_entries;
	unsigned int depth = sq > rq ? sq : rq;

	depth = depth > side->queue.size ? depth : side->queue.size;
	return depth > ep_defaults.cqe ? depth : ep_defaults.cqe;
}

/* ---- work requests ---- */

static int prepare_sends(struct side *side, const struct side_round *round)
{
	struct ibv_qp_ex *qp = side->out.ep.qpx;
	struct svandv_trigger trigger;
	unsigned int i;
	int ret;

	ibv_wr_start(qp);
	for (i = 0; i < round->count; i++) {
		const struct side_request *request = &round->requests[i];

		qp->wr_id = i;
		qp->wr_flags = 0;
		if (request->tells && side->options->send)
			ibv_wr_send(qp);
		else
			ibv_wr_rdma_write(qp, side->rkey, SIDE_IOVA + request->to);
		ibv_wr_set_sge(qp, side->mr->lkey, SIDE_IOVA + request->from,
			       request->length);
	}
	ret = svandv_prepare(qp, &trigger);
	if (ret || trigger.num_blocks != round->count) {
		complain("svandv_prepare: %s", strerror(ret));
		return -EIO;
	}
	return 0;
}

/* Into staging; return how many there are. */
static unsigned int prepare_receives(struct side *side, const struct side_round *other)
{
	unsigned int i, count = 0;

	for (i = 0; i < other->count; i++) {
		const struct side_request *request = &other->requests[i];
		struct svan_rwqe *rwqe = (void *)side_word(side, SIDE_RECEIVE + 8 * count);

		if (!request->tells)
			continue;
		memset(rwqe, 0, SVAN_WQEBB_SIZE);
		rwqe->num_sge = svan_cpu_to_le32(1);
		svan_sge_set(&rwqe->sge[0], SIDE_IOVA + request->to, request->length,
			     side->mr->lkey);
		count++;
	}
	return count;
}

/* Form a: a ring full of rounds. Form b: an empty ring. */
static void fill_ring(const struct side *side, void *ring, uint32_t log_blocks,
		      const void *round, size_t blocks)
{
	size_t octets = SVAN_WQEBB_SIZE << log_blocks, length = blocks * SVAN_WQEBB_SIZE;
	size_t i;

	memset(ring, 0, octets);
	for (i = 0; side->options->form == 'a' && i < octets; i += length)
		memcpy((uint8_t *)ring + i, round, length);
}

int side_prepare(struct side *side, const struct side_round *round,
		 const struct side_round *other, unsigned int ahead)
{
	const struct svandv_queues *out = &side->out.queues, *in = &side->in->queues;
	unsigned int i, receives = prepare_receives(side, other);
	int ret = prepare_sends(side, round);

	if (ret)
		return ret;
	memcpy(side_word(side, SIDE_WQE), out->sq, round->count * SVAN_WQEBB_SIZE);
	fill_ring(side, out->sq, out->log_sq_blocks, side_word(side, SIDE_WQE), round->count);
	fill_ring(side, in->rq, in->log_rq_entries, side_word(side, SIDE_RECEIVE), receives);
	memset(side_word(side, 0), 0, 8 * SIDE_WQE);
	*side_word(side, SIDE_DOORBELL) = svan_db_value(out->qp_num, 0);
	*side_word(side, SIDE_RQ_DOORBELL) = svan_db_value(in->qp_num, 0);
	if (!side->options->send)
		return 0;
	for (i = 0; i < ahead; i++)
		side_post_receive(side, i);
	accel_ring(&side->queue);
	return accel_await(&side->queue, WAIT_MS);
}

static uint64_t ring_va(const struct side_qp *qp, const void *ring)
{
	return qp->buf + ((const uint8_t *)ring - (const uint8_t *)qp->queues.buf);
}

uint64_t side_wqe_va(const struct side *side, uint32_t block, unsigned int n)
{
	if (side->options->form == 'b')
		return side_word_va(side, SIDE_WQE + 8 * n);
	return ring_va(&side->out, side->out.queues.sq) +
	       (uint64_t)(block + n) * SVAN_WQEBB_SIZE;
}

/* ---- commands ---- */

struct svan_accel_cmd side_increase(uint64_t addr, uint64_t value)
{
	return (struct svan_accel_cmd){
		.opcode = SVAN_ACCEL_PATCH, .width = 8,
		.patch = {
			.dst = svan_cpu_to_le64(addr), .src = svan_cpu_to_le64(addr),
			.add = svan_cpu_to_le64(value),
			.mask = svan_cpu_to_le64(UINT64_MAX), .src_width = 8,
		},
	};
}

/*
 * Move the index, whose word is @index and whose doorbell is the word behind it, and store
 * the doorbell at @window. In form b the blocks are copied before: @copy.
 */
static void post_ring(struct side *side, struct svan_accel_cmd copy, unsigned int count,
		      enum side_word index, uint64_t window)
{
	uint64_t word = side_word_va(side, index), doorbell = side_word_va(side, index + 1);

	copy.copy_wqe.blocks = svan_cpu_to_le32(count);
	if (side->options->form == 'b')
		accel_post(&side->queue, copy);
	accel_post(&side->queue, side_increase(word, count));
	accel_post(&side->queue, accel_set_index(doorbell, word));
	accel_post(&side->queue, accel_fence());
	accel_post(&side->queue, accel_store(window, doorbell, SVAN_ACCEL_CMD_INDIRECT));
}

void side_post_submit(struct side *side, unsigned int first, unsigned int count)
{
	const struct side_qp *qp = &side->out;

	post_ring(side,
		  accel_copy_wqe(ring_va(qp, qp->queues.sq),
				 side_word_va(side, SIDE_WQE + 8 * first),
				 side_word_va(side, SIDE_INDEX), qp->queues.log_sq_blocks),
		  count, SIDE_INDEX, qp->window + SVAN_UAR_SQ_DB);
}

void side_post_receive(struct side *side, unsigned int n)
{
	const struct side_qp *qp = side->in;

	if (!side->options->send)
		return;
	post_ring(side,
		  accel_copy_wqe(ring_va(qp, qp->queues.rq),
				 side_word_va(side, SIDE_RECEIVE + 8 * n),
				 side_word_va(side, SIDE_RQ_INDEX),
				 qp->queues.log_rq_entries),
		  1, SIDE_RQ_INDEX, qp->window + SVAN_UAR_RQ_DB);
}

/* Until a count of successes reaches the word, or that of errors behind it is not 0. */
static void post_wait(struct side *side, size_t count, enum side_word word)
{
	struct svan_accel_cmd wait = accel_wait(side_va(side, side->counts + count),
						side_word_va(side, word),
						WAIT_MS * 1000000ull);

	wait.wait.errors = svan_cpu_to_le64(side_va(side, side->counts + count + 8));
	accel_post(&side->queue, wait);
}

void side_post_sent(struct side *side)
{
	post_wait(side, SENT, SIDE_INDEX);
}

void side_post_await(struct side *side, uint64_t number, uint64_t expected)
{
	if (!side->options->send) {
		accel_post(&side->queue, accel_wait(number, expected, WAIT_MS * 1000000ull));
		return;
	}
	accel_post(&side->queue, side_increase(side_word_va(side, SIDE_CAME), 1));
	post_wait(side, CAME, SIDE_CAME);
}

void side_post_loop(struct side *side, uint32_t first, uint32_t count)
{
	struct svan_accel_cmd interrupt = { .opcode = SVAN_ACCEL_INTERRUPT };

	accel_post(&side->queue, accel_loop(side->queue.posted - first, count));
	accel_post(&side->queue, accel_fence());
	if (side->event >= 0)
		accel_post(&side->queue, interrupt);
}
