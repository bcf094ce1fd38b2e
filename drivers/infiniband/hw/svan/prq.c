// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page request queue (PRM chapter "Faults"). The event handler schedules the
 * drain, which takes the requests from their ring. For each one svan_prq.begin tells
 * the device what the page waits for, and hands the fault to the threads of the
 * process that the page belongs to (server.c). The drain runs in softirq context, so a
 * page costs one wake-up only, that of the thread; the drain must not sleep.
 * Responses are written by whoever has one, under svan_prq.lock.
 */

#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/log2.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

#define SVAN_PRQ_LOG_SIZE	8
/* requests that the drain takes before others may run */
#define SVAN_PRQ_BATCH		32

static u32 svan_prq_entries(const struct svan_prq *prq)
{
	return 1u << prq->log_size;
}

static size_t svan_prq_request_bytes(const struct svan_prq *prq)
{
	return sizeof(*prq->requests) << prq->log_size;
}

static size_t svan_prq_response_bytes(const struct svan_prq *prq)
{
	return sizeof(*prq->responses) << (prq->log_size + 1);
}

/* ---- responses ---- */

/*
 * Write a response. A request has two responses at most, and the ring has room for
 * two of each request, so no response is overwritten before the device has read it.
 * prq->lock is held.
 */
static void svan_prq_write(struct svan_prq *prq, u32 token, u8 status,
			   u8 fault_class, u64 time_ns)
{
	struct svan_page_response *entry;

	lockdep_assert_held(&prq->lock);
	entry = &prq->responses[prq->pi & (2 * svan_prq_entries(prq) - 1)];
	entry->token = cpu_to_le32(token);
	entry->status = status;
	entry->fault_class = fault_class;
	entry->reserved = 0;
	entry->time_ns = cpu_to_le64(time_ns);
	prq->pi++;
}

/*
 * Write the response that tells what the page waits for, and how long. The drain does
 * this once for each request. It rings the doorbell later, for all that it has taken.
 */
void svan_prq_pending(struct svan_fault *fault)
{
	struct svan_prq *prq = fault->prq;

	trace_svan_ib_page_pending(fault);
	spin_lock_bh(&prq->lock);
	if (prq->live)
		svan_prq_write(prq, fault->req.token, SVAN_PAGE_PENDING,
			       fault->place.fault_class, fault->estimate);
	spin_unlock_bh(&prq->lock);
}

/* Ring the doorbell for responses that were written without it. */
static void svan_prq_ring(struct svan_prq *prq)
{
	spin_lock_bh(&prq->lock);
	if (prq->live)
		svan_prr_produced(prq->dev->sdev, prq->pi);
	spin_unlock_bh(&prq->lock);
}

/* Write the final response. From here on the device may use the token again. */
void svan_prq_finish(struct svan_fault *fault, bool resolved)
{
	struct svan_prq *prq = fault->prq;

	spin_lock_bh(&prq->lock);
	__clear_bit(fault->req.token & SVAN_PAGE_TOKEN_INDEX, prq->busy);
	if (prq->live) {
		svan_prq_write(prq, fault->req.token,
			       resolved ? SVAN_PAGE_RESOLVED : SVAN_PAGE_FAILED,
			       fault->place.fault_class, 0);
		svan_prr_produced(prq->dev->sdev, prq->pi);
	}
	spin_unlock_bh(&prq->lock);
}

/* ---- requests ---- */

/* Copy the next request, if there is one. Return true if there is. */
static bool svan_prq_next(struct svan_prq *prq, struct svan_page_req *req)
{
	u32 slot = prq->ci & (svan_prq_entries(prq) - 1);
	struct svan_page_request *entry = &prq->requests[slot];
	u8 phase = READ_ONCE(entry->owner) & SVAN_PAGE_REQ_PHASE;

	if (phase == ((prq->ci >> prq->log_size) & 1))
		return false;
	/* The owner octet is read before the rest, as the device writes it last. */
	dma_rmb();
	req->addr = le64_to_cpu(READ_ONCE(entry->addr));
	req->entry = le64_to_cpu(READ_ONCE(entry->entry));
	req->length = le32_to_cpu(READ_ONCE(entry->length));
	req->token = le32_to_cpu(READ_ONCE(entry->token));
	req->key = le32_to_cpu(READ_ONCE(entry->key));
	req->pasid = le32_to_cpu(READ_ONCE(entry->pasid));
	req->generation = le32_to_cpu(READ_ONCE(entry->generation));
	req->qpn = le32_to_cpu(READ_ONCE(entry->qpn));
	req->flags = READ_ONCE(entry->flags);
	req->level = READ_ONCE(entry->level);
	req->attempt = READ_ONCE(entry->attempt);
	return true;
}

/* A token that is out of range or in use is an error of the device. */
static bool svan_prq_take_token(struct svan_prq *prq, u32 token)
{
	u32 index = token & SVAN_PAGE_TOKEN_INDEX;
	bool taken = false;

	spin_lock_bh(&prq->lock);
	if (index < svan_prq_entries(prq))
		taken = !__test_and_set_bit(index, prq->busy);
	spin_unlock_bh(&prq->lock);
	if (!taken)
		dev_warn_ratelimited(&prq->dev->ibdev.dev,
				     "page request with a bad token %#x\n", token);
	return taken;
}

static struct svan_fault *svan_prq_take_fault(struct svan_prq *prq)
{
	struct svan_fault *fault;

	spin_lock_bh(&prq->lock);
	fault = list_first_entry_or_null(&prq->free, struct svan_fault,
					 job.entry);
	if (fault) {
		list_del(&fault->job.entry);
		kref_get(&prq->ref);
	}
	prq->starved = !fault;
	spin_unlock_bh(&prq->lock);
	return fault;
}

/* May be called in any context. */
static void svan_prq_start_drain(struct svan_prq *prq)
{
	queue_work(system_bh_highpri_wq, &prq->drain);
}

static void svan_prq_free(struct kref *ref)
{
	struct svan_prq *prq = container_of(ref, struct svan_prq, ref);

	put_device(&prq->dev->ibdev.dev);
	kvfree(prq->faults);
	bitmap_free(prq->busy);
	kfree(prq);
}

void svan_prq_put(struct svan_prq *prq)
{
	kref_put(&prq->ref, svan_prq_free);
}

/* The fault is over: it drops its references and becomes idle. */
void svan_prq_release(struct svan_fault *fault)
{
	struct svan_prq *prq = fault->prq;

	if (fault->odp)
		svan_odp_put(fault->odp);
	if (fault->mm)
		mmdrop(fault->mm);
	fault->odp = NULL;
	fault->mm = NULL;

	spin_lock_bh(&prq->lock);
	list_add(&fault->job.entry, &prq->free);
	if (prq->starved && prq->live)
		svan_prq_start_drain(prq);
	spin_unlock_bh(&prq->lock);
	svan_prq_put(prq);
}

static void svan_prq_dispose(struct work_struct *work)
{
	struct svan_prq *prq = container_of(work, struct svan_prq, dispose);
	struct svan_fault *fault, *next;
	LIST_HEAD(list);

	spin_lock_bh(&prq->lock);
	list_splice_init(&prq->refused, &list);
	spin_unlock_bh(&prq->lock);
	list_for_each_entry_safe(fault, next, &list, job.entry) {
		list_del(&fault->job.entry);
		svan_prq_release(fault);
	}
}

/*
 * The fault has been answered in the drain. Dropping its references may sleep, so a
 * worker does it.
 */
static void svan_prq_refuse(struct svan_fault *fault)
{
	struct svan_prq *prq = fault->prq;

	spin_lock_bh(&prq->lock);
	list_add_tail(&fault->job.entry, &prq->refused);
	spin_unlock_bh(&prq->lock);
	schedule_work(&prq->dispose);
}

/* Take one request. Return false if there is none, or no fault is idle. */
static bool svan_prq_take_one(struct svan_prq *prq)
{
	struct svan_fault *fault = svan_prq_take_fault(prq);

	if (!fault)
		return false;
	if (!svan_prq_next(prq, &fault->req)) {
		svan_prq_release(fault);
		return false;
	}
	prq->ci++;
	if (!svan_prq_take_token(prq, fault->req.token)) {
		svan_prq_release(fault);
		return true;
	}
	fault->start = ktime_get();
	if (!prq->begin(fault))
		svan_prq_refuse(fault);
	return true;
}

static void svan_prq_drain(struct work_struct *work)
{
	struct svan_prq *prq = container_of(work, struct svan_prq, drain);
	u32 n = 0;

	while (n < SVAN_PRQ_BATCH && svan_prq_take_one(prq))
		n++;
	if (n)
		svan_prq_ring(prq);
	if (n == SVAN_PRQ_BATCH)
		svan_prq_start_drain(prq);
	else
		svan_prq_consumed(prq->dev->sdev, prq->ci, true);
}

/* Called in hard interrupt context. */
static void svan_prq_event(struct svan_page_handler *handler)
{
	svan_prq_start_drain(container_of(handler, struct svan_prq, handler));
}

/* ---- creation ---- */

static int svan_prq_alloc_rings(struct svan_prq *prq)
{
	struct device *dma_dev = svan_ib_dma_device(prq->dev);

	prq->requests = dma_alloc_coherent(dma_dev, svan_prq_request_bytes(prq),
					   &prq->requests_dma, GFP_KERNEL);
	if (!prq->requests)
		return -ENOMEM;
	prq->responses = dma_alloc_coherent(dma_dev,
					    svan_prq_response_bytes(prq),
					    &prq->responses_dma, GFP_KERNEL);
	if (prq->responses)
		return 0;
	dma_free_coherent(dma_dev, svan_prq_request_bytes(prq), prq->requests,
			  prq->requests_dma);
	return -ENOMEM;
}

static void svan_prq_free_rings(struct svan_prq *prq)
{
	struct device *dma_dev = svan_ib_dma_device(prq->dev);

	dma_free_coherent(dma_dev, svan_prq_response_bytes(prq),
			  prq->responses, prq->responses_dma);
	dma_free_coherent(dma_dev, svan_prq_request_bytes(prq), prq->requests,
			  prq->requests_dma);
}

static int svan_prq_alloc_faults(struct svan_prq *prq)
{
	u32 i, size = svan_prq_entries(prq);

	prq->busy = bitmap_zalloc(size, GFP_KERNEL);
	prq->faults = kvcalloc(size, sizeof(*prq->faults), GFP_KERNEL);
	if (!prq->busy || !prq->faults)
		return -ENOMEM;
	for (i = 0; i < size; i++) {
		prq->faults[i].prq = prq;
		list_add_tail(&prq->faults[i].job.entry, &prq->free);
	}
	return 0;
}

static struct svan_prq *svan_prq_alloc(struct svan_ib_dev *dev,
				       bool (*begin)(struct svan_fault *fault))
{
	struct svan_prq *prq;

	prq = kzalloc(sizeof(*prq), GFP_KERNEL);
	if (!prq)
		return NULL;
	prq->dev = dev;
	prq->begin = begin;
	get_device(&dev->ibdev.dev);
	kref_init(&prq->ref);
	spin_lock_init(&prq->lock);
	INIT_WORK(&prq->drain, svan_prq_drain);
	INIT_WORK(&prq->dispose, svan_prq_dispose);
	INIT_LIST_HEAD(&prq->free);
	INIT_LIST_HEAD(&prq->refused);
	prq->handler.request = svan_prq_event;
	prq->log_size = min(ilog2(le32_to_cpu(dev->caps->max_page_requests)),
			    SVAN_PRQ_LOG_SIZE);
	if (svan_prq_alloc_faults(prq)) {
		svan_prq_put(prq);
		return NULL;
	}
	return prq;
}

static int svan_prq_create_hw(struct svan_prq *prq)
{
	struct svan_dev *sdev = prq->dev->sdev;
	struct svan_cmd cmd = {
		.hdr.opcode = cpu_to_le16(SVAN_CMD_CREATE_PRQ),
		.create_prq = {
			.requests = cpu_to_le64(prq->requests_dma),
			.responses = cpu_to_le64(prq->responses_dma),
			.log_size = prq->log_size,
		},
	};
	int err;

	err = svan_page_attach(sdev, &prq->handler);
	if (err)
		return err;
	err = svan_cmd_exec(sdev, &cmd, NULL);
	if (err) {
		svan_page_detach(sdev);
		disable_work_sync(&prq->drain);
		flush_work(&prq->dispose);
		return err;
	}
	svan_prq_consumed(sdev, 0, true);
	return 0;
}

/**
 * svan_ib_prq_create - begin to serve page requests
 * @dev: the device; nothing is done if it makes no page requests
 * @begin: called for each request, see struct svan_prq
 *
 * Return: 0 or an error.
 */
int svan_ib_prq_create(struct svan_ib_dev *dev,
		       bool (*begin)(struct svan_fault *fault))
{
	struct svan_prq *prq;
	int err;

	if (!dev->ondemand_keys)
		return 0;
	prq = svan_prq_alloc(dev, begin);
	if (!prq)
		return -ENOMEM;
	err = svan_prq_alloc_rings(prq);
	if (err)
		goto put_prq;
	prq->live = true;
	err = svan_prq_create_hw(prq);
	if (err)
		goto free_rings;
	dev->prq = prq;
	return 0;

free_rings:
	svan_prq_free_rings(prq);
put_prq:
	svan_prq_put(prq);
	return err;
}

/*
 * The device is about to be unregistered, which waits for calls of verbs. Calls that
 * wait until advice is followed are made to return, and later ones do not wait.
 */
void svan_ib_prq_close(struct svan_ib_dev *dev)
{
	if (!dev->prq)
		return;
	WRITE_ONCE(dev->prq->closing, true);
	svan_servers_forget(NULL);
}

/* Called when no key exists any more. Threads that wait for a page are not waited for. */
void svan_ib_prq_destroy(struct svan_ib_dev *dev)
{
	struct svan_prq *prq = dev->prq;

	if (!prq)
		return;
	spin_lock_bh(&prq->lock);
	prq->live = false;
	spin_unlock_bh(&prq->lock);
	svan_page_detach(dev->sdev);
	disable_work_sync(&prq->drain);
	flush_work(&prq->dispose);
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_PRQ, 0);
	svan_servers_forget(NULL);
	dev->prq = NULL;
	svan_prq_free_rings(prq);
	svan_prq_put(prq);
}
