// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <svan/regs.h>
#include <svan/wqe.h>

#include "trigger-lib.h"
#include "unserved.h"

#define LOOP_LIMIT_NS	2000000000ull	/* of what never comes */
#define TIMEOUT		16		/* 0.27 s, seven times again */
#define BACK_MS		5000		/* more than all retries of a connection */

/* ---- set-up ---- */

struct ibv_mr *triggered_reg(struct accel_buf *buf, struct ibv_pd *pd, uint64_t iova)
{
	int fd = accel_buf_export(buf);
	struct ibv_mr *mr;

	if (fd < 0)
		return NULL;
	mr = ibv_reg_dmabuf_mr(pd, 0, buf->size, iova, fd, ACCESS_ALL);
	if (!mr)
		complain("registering the accelerator's memory: %m");
	close(fd);
	return mr;
}

/* What ep[0] sends; the counts are in memory of the host. */
static int count_sends(struct triggered *t)
{
	struct svandv_comp_cntr_init_attr init = {};
	struct svandv_comp_cntr_attach_attr attach = {
		.op_mask = SVANDV_COMP_CNTR_ATTACH_OP_SEND |
			   SVANDV_COMP_CNTR_ATTACH_OP_RDMA_READ |
			   SVANDV_COMP_CNTR_ATTACH_OP_RDMA_WRITE,
	};

	t->sent = svandv_create_comp_cntr(t->pair.node[0].ctx, &init);
	return t->sent ? -svandv_qp_attach_comp_cntr(t->pair.ep[0].qp, t->sent, &attach) :
			 -errno;
}

static int open_pair(struct triggered *t, bool wire)
{
	struct ep_opts opts = ep_defaults;
	struct conn conn = conn_defaults;
	struct pair *pair = &t->pair;
	int ret = pair_open(pair, wire, TRIGGER_SIZE);

	if (ret)
		return ret;
	t->uar = svandv_alloc_uar(pair->node[0].ctx);
	if (!t->uar)
		return -errno;
	opts.extended = true;
	opts.max_send_wr = 8;
	opts.uar = t->uar;
	ret = ep_create(&pair->ep[0], &pair->node[0], &opts);
	opts.uar = NULL;
	if (!ret)
		ret = ep_create(&pair->ep[1], &pair->node[1], &opts);
	if (!ret)
		ret = count_sends(t);
	conn.timeout = TIMEOUT;
	if (!ret)
		ret = pair_connect(pair, &conn);
	return ret ?: -svandv_query_queues(pair->ep[0].qp, &t->queues);
}

static void close_back(struct triggered *t)
{
	ep_destroy(&t->back[0]);
	ep_destroy(&t->back[1]);
}

static int open_back(struct triggered *t)
{
	int i, ret = 0;

	for (i = 0; !ret && i < 2; i++)
		ret = ep_create(&t->back[i], &t->pair.node[i], &ep_defaults);
	return ret ?: connect_eps(&t->back[0], &t->back[1], &conn_defaults);
}

static int open_accel(struct triggered *t)
{
	int ret = accel_open(&t->accel);

	if (!ret)
		ret = accel_queue_create(&t->queue, &t->accel, 6);
	if (!ret)
		ret = accel_buf_alloc(&t->local, &t->accel, DRM_SVAN_ACCEL_BO_LOCAL,
				      TRIGGER_SIZE);
	return ret ?: accel_buf_alloc(&t->staging, &t->accel, DRM_SVAN_ACCEL_BO_HOST,
				      ACCEL_PAGE);
}

/* What NIC and accelerator reach of each other. */
static int share(struct triggered *t)
{
	int ret;

	t->mr = triggered_reg(&t->local, t->pair.node[0].pd, TRIGGER_IOVA);
	if (!t->mr)
		return -EIO;
	ret = accel_import_uar(&t->accel, t->uar, &t->window);
	if (!ret)
		ret = accel_map_user(&t->accel, t->queues.buf, t->queues.buf_length, true,
				     &t->sq);
	t->sq += (uint8_t *)t->queues.sq - (uint8_t *)t->queues.buf;
	if (!ret)
		ret = accel_map_user(&t->accel, t->sent->comp_count, ACCEL_PAGE, false,
				     &t->num_sent);
	memset(t->pair.in[1].data, 0, TRIGGER_SIZE);
	return ret ?: accel_map_user(&t->accel, t->pair.in[1].data, TRIGGER_SIZE, false,
				     &t->in);
}

int triggered_open(struct triggered *t, bool wire)
{
	int ret = open_pair(t, wire);

	if (!ret)
		ret = open_back(t);
	if (!ret)
		ret = open_accel(t);
	return ret ?: share(t);
}

int triggered_close(struct triggered *t)
{
	int ret;

	close_back(t);
	ep_destroy(&t->pair.ep[0]);
	ep_destroy(&t->pair.ep[1]);
	ret = t->uar ? -svandv_free_uar(t->uar) : 0;
	if (t->sent && svandv_destroy_comp_cntr(t->sent))
		ret = -EIO;
	if (t->mr && ibv_dereg_mr(t->mr))
		ret = -EIO;
	accel_queue_destroy(&t->queue);
	accel_buf_free(&t->staging);
	accel_buf_free(&t->local);
	accel_close(&t->accel);
	if (!ret)
		ret = pair_sound(&t->pair);
	pair_close(&t->pair);
	return ret;
}

/* ---- work ---- */

uint64_t word_va(const struct triggered *t, enum trigger_word word)
{
	return t->staging.va + 8 * word;
}

uint64_t *word_at(const struct triggered *t, enum trigger_word word)
{
	return (uint64_t *)t->staging.map + word;
}

int triggered_prepare(struct triggered *t, uint32_t length, unsigned int flags,
		      struct svandv_trigger *trigger)
{
	struct ibv_qp_ex *qp = t->pair.ep[0].qpx;
	const struct area *in = &t->pair.in[1];

	ibv_wr_start(qp);
	qp->wr_id = 7;
	qp->wr_flags = flags;
	ibv_wr_rdma_write(qp, in->mr->rkey, (uintptr_t)in->data);
	ibv_wr_set_sge(qp, t->mr->lkey, TRIGGER_IOVA, length);
	return -svandv_prepare(qp, trigger);
}

void triggered_post_ring(struct triggered *t, const struct svandv_trigger *trigger)
{
	accel_post(&t->queue, accel_store(t->window + trigger->offset, trigger->value, 0));
}

/* The work request in staging; in form 'a' in all blocks of the queue, too. */
static int stage(struct triggered *t, char form)
{
	uint8_t *sq = t->queues.sq;
	struct svandv_trigger trigger;
	uint32_t i;
	int ret = triggered_prepare(t, 8, 0, &trigger);

	if (ret)
		return ret;
	memcpy(word_at(t, WQE), sq + SVAN_WQEBB_SIZE *
	       (trigger.first_block % (1u << t->queues.log_sq_blocks)), SVAN_WQEBB_SIZE);
	ret = -svandv_cancel_prepared(t->pair.ep[0].qp);
	for (i = 0; i < 1u << t->queues.log_sq_blocks; i++) {
		if (form == 'a')
			memcpy(sq + i * SVAN_WQEBB_SIZE, word_at(t, WQE), SVAN_WQEBB_SIZE);
		else
			memset(sq + i * SVAN_WQEBB_SIZE, 0, SVAN_WQEBB_SIZE);
	}
	return ret;
}

int triggered_post_loop(struct triggered *t, char form, uint32_t rounds, uint64_t limit_ns)
{
	uint64_t count = t->local.va, doorbell = word_va(t, DOORBELL);
	struct accel_queue *queue = &t->queue;
	uint32_t first = queue->posted;
	int ret = stage(t, form);

	*word_at(t, DOORBELL) = svan_db_value(t->queues.qp_num, 0);
	*word_at(t, ONE) = 1;
	if (form == 'b')
		accel_post(queue, accel_copy_wqe(t->sq, word_va(t, WQE), count,
						 t->queues.log_sq_blocks));
	accel_post(queue, accel_add(count, word_va(t, ONE)));
	accel_post(queue, accel_set_index(doorbell, count));
	accel_post(queue, accel_fence());
	accel_post(queue, accel_store(t->window + SVAN_UAR_SQ_DB, doorbell,
				      SVAN_ACCEL_CMD_INDIRECT));
	accel_post(queue, accel_wait(t->in, count, limit_ns));
	/* Its block of the queue is free only when it is acknowledged. */
	accel_post(queue, accel_wait(t->num_sent, count, limit_ns));
	accel_post(queue, accel_loop(queue->posted - first, rounds));
	return ret;
}

int triggered_write_back(struct triggered *t, unsigned int ms)
{
	struct ep *ep = &t->back[1];
	struct ibv_sge sge = area_sge(&t->pair.out[1], 0, ACCEL_PAGE);
	struct ibv_send_wr wr = {
		.wr_id = 9, .sg_list = &sge, .num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE, .send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = {
			.remote_addr = TRIGGER_IOVA + ACCEL_PAGE, .rkey = t->mr->rkey,
		},
	};
	struct ibv_wc wc;
	int ret = -ep_post_send(ep, &wr);

	if (!ret)
		ret = ep_wait(ep, &wc, ms);
	return ret ?: wc.status;
}

/* ---- what becomes of it when a device goes ---- */

/* Until a store through the window faults the context: the page is not its any more. */
static int window_is_gone(struct triggered *t, struct accel_queue *other)
{
	struct svan_accel_cmd nothing = accel_store(t->window + SVAN_UAR_SQ_DB, 0, 0);
	struct drm_svan_accel_fault fault = {};
	uint64_t deadline = now_ms() + WAIT_MS;
	int ret;

	do {
		ret = accel_do(other, nothing);
	} while (!ret && now_ms() < deadline);
	if (!ret)
		ret = -ETIMEDOUT;
	else if (ret == -EIO)
		ret = accel_ioctl(&t->accel, DRM_IOCTL_SVAN_ACCEL_FAULT, &fault);
	if (!ret && fault.state == SVAN_ACCEL_CTX_FAULTED &&
	    fault.status == SVAN_ACCEL_NOT_MAPPED && fault.va == t->window)
		return 0;
	complain("a store to the window: %d, context in state %u, status %u, at 0x%llx",
		 ret, fault.state, fault.status, (unsigned long long)fault.va);
	return -EIO;
}

/* The loop has stopped, by itself or by the limit of its wait. */
static int loop_has_stopped(struct triggered *t)
{
	int ret = accel_await(&t->queue, WAIT_MS);
	uint32_t status = ret == -EIO ? accel_queue_status(&t->queue) : 0;

	if (status == SVAN_ACCEL_NOT_MAPPED || status == SVAN_ACCEL_TIMEOUT)
		return 0;
	complain("the loop: %d, status %u", ret, status);
	return -EIO;
}

static int is_refused(int status)
{
	if (status == IBV_WC_REM_ACCESS_ERR)
		return 0;
	complain("a write to memory that was taken away: %d", status);
	return -EIO;
}

/* The user may be told of it just before the memory is taken away. */
static int writes_are_refused(struct triggered *t, int status)
{
	uint64_t deadline = now_ms() + WAIT_MS;

	while (!status && now_ms() < deadline)
		status = triggered_write_back(t, BACK_MS);
	return is_refused(status);
}

/* The key leads to it no more, also by a connection that is new, and when all is quiet. */
static int key_leads_nowhere(struct triggered *t)
{
	int ret;

	close_back(t);
	ret = open_back(t);
	return ret ?: is_refused(triggered_write_back(t, BACK_MS));
}

static int accel_is_gone(struct triggered *t)
{
	struct drm_svan_accel_info info;
	int ret = accel_ioctl(&t->accel, DRM_IOCTL_SVAN_ACCEL_INFO, &info);

	if (ret == -ENODEV)
		return 0;
	complain("INFO of a device that is gone: %d", ret);
	return -EIO;
}

/* The user gets the context back. */
static int accel_comes_back(struct triggered *t)
{
	struct drm_svan_accel_reset_context reset = {};
	struct drm_svan_accel_fault fault = { .state = UINT32_MAX };
	uint64_t deadline = now_ms() + WAIT_MS;
	struct accel_queue queue;
	int ret = accel_ioctl(&t->accel, DRM_IOCTL_SVAN_ACCEL_FAULT, &fault);

	if (ret || fault.state != SVAN_ACCEL_CTX_OFF) {
		complain("FAULT after a reset: %d, state %u", ret, fault.state);
		return -EIO;
	}
	while ((ret = accel_ioctl(&t->accel, DRM_IOCTL_SVAN_ACCEL_RESET_CONTEXT, &reset)) ==
	       -EBUSY && now_ms() < deadline)
		usleep(1000);
	if (!ret)
		ret = accel_queue_create(&queue, &t->accel, 2);
	if (!ret)
		ret = accel_do(&queue, accel_fill(t->local.va, TRIGGER_SIZE, 0x5a));
	if (!ret && t->local.map[TRIGGER_SIZE - 1] == 0x5a)
		return 0;
	complain("the context after a reset: %d", ret);
	return -EIO;
}

/* The memory keeps what the accelerator has filled it with since. */
static int nothing_is_placed(struct triggered *t)
{
	const volatile uint8_t *page = t->local.map + ACCEL_PAGE;
	int ret;

	memset(t->pair.out[1].data, 0xa5, ACCEL_PAGE);
	ret = key_leads_nowhere(t);
	if (!ret && page[0] == 0x5a && page[ACCEL_PAGE - 1] == 0x5a)
		return 0;
	complain("a write after a reset: %d, octets 0x%x and 0x%x", ret, page[0],
		 page[ACCEL_PAGE - 1]);
	return -EIO;
}

/* `status` is that of the last write back: 0, or why there are no more. */
static int ends_as_it_should(struct triggered *t, struct accel_queue *other,
			     enum triggered_end end, int status)
{
	int ret;

	switch (end) {
	case NIC_GOES:
		ret = loop_has_stopped(t);
		return ret ?: window_is_gone(t, other);
	case ACCEL_GOES:
		ret = writes_are_refused(t, status) ?: key_leads_nowhere(t);
		return ret ?: accel_is_gone(t);
	case ACCEL_RESETS:
		ret = writes_are_refused(t, status) ?: accel_comes_back(t);
		return ret ?: nothing_is_placed(t);
	case ALL_RESET:
		return accel_comes_back(t);
	}
	return -EINVAL;
}

/* The context has faulted, or gone; or a queue has stopped. */
static bool is_over(int *events)
{
	return !accel_event_await(events[0], 0) || !accel_event_await(events[1], 0);
}

int triggered_outlive(struct triggered *t, char form, enum triggered_end end, int fd)
{
	struct accel_queue other;
	int ret = accel_queue_create(&other, &t->accel, 4), rounds = 0, status;
	int events[] = {
		accel_event(&t->accel, DRM_SVAN_ACCEL_EVENT_FAULT),
		accel_event(&t->accel, DRM_SVAN_ACCEL_EVENT_QUEUE),
	};

	if (ret || events[0] < 0 || events[1] < 0)
		return -EIO;
	ret = triggered_post_loop(t, form, UINT32_MAX, LOOP_LIMIT_NS);
	accel_ring(&t->queue);
	do {
		status = ret ?: triggered_write_back(t, BACK_MS);
		if (!status && ++rounds == 10)
			child_say(fd);
	} while (!status && !is_over(events));
	if (rounds < 10) {
		complain("the work does not begin: %d", status);
		return -EIO;
	}
	/* The memory may be taken away before anybody is told. */
	if (status && end != NIC_GOES && accel_event_await(events[0], WAIT_MS)) {
		complain("status %d, and no event", status);
		return -EIO;
	}
	return ends_as_it_should(t, &other, end, status);
}
