// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page request queue (PRM chapter "Faults"). The event queues a drain,
 * which takes the requests from their ring, tells the device what each waits
 * for, and hands the slow ones to a worker each, so that none holds up another.
 * Quick ones it serves itself. That may take longer than expected (reclaim), so
 * there are several drains, and the next event goes to one that is not serving.
 * Answers are written by whoever has one, under svan_prq.lock.
 *
 * Workers can be stuck for as long as user space likes (userfaultfd) or a file
 * server takes. So they run on a workqueue of the module, hold what they need
 * (svan_odp.h), and listen to SIGKILL, which ends the waits of the fault path:
 * svan_prq_kick() sends it when something they may be waiting for has gone.
 * Only unloading the module waits for them.
 */

#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/log2.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

#define SVAN_PRQ_LOG_SIZE	8

struct workqueue_struct *svan_fault_wq;

int svan_fault_wq_create(void)
{
	svan_fault_wq = alloc_workqueue("svan_fault", WQ_UNBOUND | WQ_HIGHPRI,
					WQ_UNBOUND_MAX_ACTIVE);
	return svan_fault_wq ? 0 : -ENOMEM;
}

/* Waits for the workers; those of devices that are gone have been kicked. */
void svan_fault_wq_destroy(void)
{
	destroy_workqueue(svan_fault_wq);
}

static u32 svan_prq_size(const struct svan_prq *prq)
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

/* ---- answers ---- */

/*
 * A request has two answers at most, and the ring has room for two of each, so
 * none is overwritten before the device has read it. prq->lock is held.
 */
static void svan_prq_write(struct svan_prq *prq, u32 token, u8 status,
			   u8 fault_class, u64 time_ns)
{
	struct svan_page_response *entry;

	lockdep_assert_held(&prq->lock);
	entry = &prq->responses[prq->pi & (2 * svan_prq_size(prq) - 1)];
	entry->token = cpu_to_le32(token);
	entry->status = status;
	entry->fault_class = fault_class;
	entry->reserved = 0;
	entry->time_ns = cpu_to_le64(time_ns);
	prq->pi++;
}

/*
 * Say what the page waits for, and how long. Once for a request, by the drain,
 * which rings the bell when it has said so of all of them.
 */
void svan_prq_pending(struct svan_fault *fault)
{
	struct svan_prq *prq = fault->prq;

	trace_svan_ib_page_pending(fault);
	spin_lock(&prq->lock);
	if (prq->live)
		svan_prq_write(prq, fault->req.token, SVAN_PAGE_PENDING,
			       fault->place.fault_class, fault->estimate);
	spin_unlock(&prq->lock);
}

/* Tell the device of what has been written without the bell. */
static void svan_prq_ring(struct svan_prq *prq)
{
	spin_lock(&prq->lock);
	if (prq->live)
		svan_prr_doorbell(prq->dev->sdev, prq->pi);
	spin_unlock(&prq->lock);
}

/* The final answer. From here on the device may use the token again. */
void svan_prq_finish(struct svan_fault *fault, bool resolved)
{
	struct svan_prq *prq = fault->prq;

	spin_lock(&prq->lock);
	__clear_bit(fault->req.token & SVAN_PAGE_TOKEN_INDEX, prq->busy);
	if (prq->live) {
		svan_prq_write(prq, fault->req.token,
			       resolved ? SVAN_PAGE_RESOLVED : SVAN_PAGE_FAILED,
			       fault->place.fault_class, 0);
		svan_prr_doorbell(prq->dev->sdev, prq->pi);
	}
	spin_unlock(&prq->lock);
}

/* ---- requests ---- */

static bool svan_prq_next(struct svan_prq *prq, struct svan_page_req *req)
{
	u32 slot = prq->ci & (svan_prq_size(prq) - 1);
	struct svan_page_request *entry = &prq->requests[slot];
	u8 phase = READ_ONCE(entry->owner) & SVAN_PAGE_REQ_PHASE;

	if (phase == ((prq->ci >> prq->log_size) & 1))
		return false;
	/* owner before the rest; the device writes it last */
	dma_rmb();
	req->addr = le64_to_cpu(READ_ONCE(entry->addr));
	req->entry = le64_to_cpu(READ_ONCE(entry->entry));
	req->length = le32_to_cpu(READ_ONCE(entry->length));
	req->token = le32_to_cpu(READ_ONCE(entry->token));
	req->key = le32_to_cpu(READ_ONCE(entry->key));
	req->pasid = le32_to_cpu(READ_ONCE(entry->pasid));
	req->qpn = le32_to_cpu(READ_ONCE(entry->qpn));
	req->flags = READ_ONCE(entry->flags);
	req->level = READ_ONCE(entry->level);
	req->attempt = READ_ONCE(entry->attempt);
	return true;
}

/* A token that cannot be, or is in use, is the device's mistake. */
static bool svan_prq_take_token(struct svan_prq *prq, u32 token)
{
	u32 index = token & SVAN_PAGE_TOKEN_INDEX;
	bool taken = false;

	spin_lock(&prq->lock);
	if (index < svan_prq_size(prq))
		taken = !__test_and_set_bit(index, prq->busy);
	spin_unlock(&prq->lock);
	if (!taken)
		dev_warn_ratelimited(&prq->dev->ibdev.dev,
				     "page request with a bad token %#x\n", token);
	return taken;
}

static struct svan_fault *svan_prq_take_fault(struct svan_prq *prq)
{
	struct svan_fault *fault;

	spin_lock(&prq->lock);
	fault = list_first_entry_or_null(&prq->free, struct svan_fault, entry);
	if (fault) {
		list_del(&fault->entry);
		kref_get(&prq->ref);
	}
	prq->starved = !fault;
	spin_unlock(&prq->lock);
	return fault;
}

/* Any context. A drain that is serving would come to it too late. */
static void svan_prq_start_drain(struct svan_prq *prq)
{
	u32 i;

	for (i = 0; i < SVAN_DRAINS - 1; i++)
		if (!READ_ONCE(prq->drains[i].away))
			break;
	queue_work(svan_fault_wq, &prq->drains[i].work);
}

static void svan_prq_free(struct kref *ref)
{
	struct svan_prq *prq = container_of(ref, struct svan_prq, ref);

	put_device(&prq->dev->ibdev.dev);
	kvfree(prq->faults);
	bitmap_free(prq->busy);
	mutex_destroy(&prq->drain_lock);
	kfree(prq);
}

void svan_prq_put(struct svan_prq *prq)
{
	kref_put(&prq->ref, svan_prq_free);
}

/* The fault is over, whether it was answered or not. */
void svan_prq_release(struct svan_fault *fault)
{
	struct svan_prq *prq = fault->prq;

	if (fault->odp)
		svan_odp_put(fault->odp);
	if (fault->mm)
		mmdrop(fault->mm);
	fault->odp = NULL;
	fault->mm = NULL;

	spin_lock(&prq->lock);
	list_add(&fault->entry, &prq->free);
	if (prq->starved && prq->live)
		svan_prq_start_drain(prq);
	spin_unlock(&prq->lock);
	svan_prq_put(prq);
}

/*
 * Take a request and say what it waits for. Quick ones are put into @quick.
 * Return false if nothing more can be taken for now.
 */
static bool svan_prq_take_one(struct svan_prq *prq, struct list_head *quick)
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
	if (svan_fault_begin(fault))
		list_add_tail(&fault->entry, quick);
	return true;
}

/* First all requests are taken and answered PENDING, then quick ones served. */
static void svan_prq_drain(struct work_struct *work)
{
	struct svan_drain *drain = container_of(work, struct svan_drain, work);
	struct svan_prq *prq = drain->prq;
	LIST_HEAD(quick);
	u32 n = 0;

	mutex_lock(&prq->drain_lock);
	while (n < svan_prq_size(prq) && svan_prq_take_one(prq, &quick))
		n++;
	if (n)
		svan_prq_ring(prq);
	/* before the bell: from then on the event may come again */
	WRITE_ONCE(drain->away, true);
	svan_prq_doorbell(prq->dev->sdev, prq->ci, true);
	mutex_unlock(&prq->drain_lock);

	svan_fault_serve(&quick);
	WRITE_ONCE(drain->away, false);
}

/* hard interrupt context */
static void svan_prq_event(struct svan_page_handler *handler)
{
	svan_prq_start_drain(container_of(handler, struct svan_prq, handler));
}

/* ---- waking those who wait ---- */

/*
 * From here to svan_prq_deafen() a worker can be kicked: SIGKILL ends the waits
 * of the fault path.
 */
void svan_prq_listen(struct svan_prq *prq, struct svan_waiter *waiter,
		     const void *subject)
{
	allow_kernel_signal(SIGKILL);
	waiter->task = current;
	waiter->subject = subject;
	spin_lock(&prq->lock);
	list_add(&waiter->entry, &prq->waiters);
	spin_unlock(&prq->lock);
}

void svan_prq_deafen(struct svan_prq *prq, struct svan_waiter *waiter)
{
	spin_lock(&prq->lock);
	list_del(&waiter->entry);
	spin_unlock(&prq->lock);
	/* forgets a signal that is pending, too */
	disallow_signal(SIGKILL);
}

/* Who works for @subject; NULL: everybody. */
static void svan_prq_kick_waiters(struct svan_prq *prq, const void *subject)
{
	struct svan_waiter *waiter;

	spin_lock(&prq->lock);
	list_for_each_entry(waiter, &prq->waiters, entry)
		if (!subject || !waiter->subject || waiter->subject == subject)
			send_sig(SIGKILL, waiter->task, 1);
	spin_unlock(&prq->lock);
}

/*
 * A region, or a context of an mm, has been marked as gone: wake the workers
 * that may be waiting for its pages, so that they look.
 */
void svan_prq_kick(struct svan_ib_dev *dev, const void *subject)
{
	if (dev->prq)
		svan_prq_kick_waiters(dev->prq, subject);
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
	u32 i, size = svan_prq_size(prq);

	for (i = 0; i < SVAN_DRAINS; i++) {
		prq->drains[i].prq = prq;
		INIT_WORK(&prq->drains[i].work, svan_prq_drain);
	}
	prq->busy = bitmap_zalloc(size, GFP_KERNEL);
	prq->faults = kvcalloc(size, sizeof(*prq->faults), GFP_KERNEL);
	if (!prq->busy || !prq->faults)
		return -ENOMEM;
	for (i = 0; i < size; i++) {
		prq->faults[i].prq = prq;
		INIT_WORK(&prq->faults[i].work, svan_fault_work);
		list_add_tail(&prq->faults[i].entry, &prq->free);
	}
	return 0;
}

static struct svan_prq *svan_prq_alloc(struct svan_ib_dev *dev)
{
	struct svan_prq *prq;

	prq = kzalloc(sizeof(*prq), GFP_KERNEL);
	if (!prq)
		return NULL;
	prq->dev = dev;
	get_device(&dev->ibdev.dev);
	kref_init(&prq->ref);
	spin_lock_init(&prq->lock);
	mutex_init(&prq->drain_lock);
	INIT_LIST_HEAD(&prq->free);
	INIT_LIST_HEAD(&prq->waiters);
	svan_pins_init(prq);
	prq->handler.request = svan_prq_event;
	prq->log_size = min(ilog2(le32_to_cpu(dev->caps->max_page_requests)),
			    SVAN_PRQ_LOG_SIZE);
	if (svan_prq_alloc_faults(prq)) {
		svan_prq_put(prq);
		return NULL;
	}
	return prq;
}

static void svan_prq_stop_drains(struct svan_prq *prq)
{
	u32 i;

	for (i = 0; i < SVAN_DRAINS; i++)
		disable_work_sync(&prq->drains[i].work);
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
		svan_prq_stop_drains(prq);
		return err;
	}
	svan_prq_doorbell(sdev, 0, true);
	return 0;
}

/**
 * svan_prq_create - begin to serve page requests
 * @dev: the device; does nothing if it has none
 */
int svan_prq_create(struct svan_ib_dev *dev)
{
	struct svan_prq *prq;
	int err;

	if (!dev->ondemand_keys)
		return 0;
	prq = svan_prq_alloc(dev);
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

/* There is no key any more. Faults under way end by themselves. */
void svan_prq_destroy(struct svan_ib_dev *dev)
{
	struct svan_prq *prq = dev->prq;

	if (!prq)
		return;
	spin_lock(&prq->lock);
	prq->live = false;
	spin_unlock(&prq->lock);
	svan_page_detach(dev->sdev);
	svan_prq_stop_drains(prq);
	svan_cmd_destroy_object(dev->sdev, SVAN_CMD_DESTROY_PRQ, 0);
	svan_prq_kick_waiters(prq, NULL);
	svan_pins_exit(prq);
	dev->prq = NULL;
	svan_prq_free_rings(prq);
	svan_prq_put(prq);
}
