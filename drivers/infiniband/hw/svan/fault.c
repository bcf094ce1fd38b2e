// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serving page requests: find whose memory it is, say at once what the page
 * waits for, fault it in, answer, learn.
 *
 * The device walks again after RESOLVED and may find the page gone again. From
 * the third attempt on it is pinned for a moment, so that it is there when the
 * device looks.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

/* attempts of the device before a page is pinned */
#define SVAN_FAULT_ATTEMPTS	3
/* rounds of faulting in and finding the page gone, before the device tries */
#define SVAN_FAULT_ROUNDS	4
/* out of memory: as a CPU does it, wait for the OOM killer, but not for ever */
#define SVAN_FAULT_OOM_ROUNDS	1000

/**
 * svan_fault_in - fault a page in, as its process would
 * @mm: mm_users is held
 * @addr: where
 * @write: for a store
 *
 * As fixup_user_fault() does it, userfaultfd works and stacks do not grow.
 *
 * Return: 0; -EFAULT if there is nothing or no right to it; -EINTR after
 * SIGKILL; -ENOMEM.
 */
int svan_fault_in(struct mm_struct *mm, unsigned long addr, bool write)
{
	unsigned int flags = FAULT_FLAG_USER | FAULT_FLAG_REMOTE;
	bool unlocked = false;
	int err;

	if (write)
		flags |= FAULT_FLAG_WRITE;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	err = fixup_user_fault(mm, addr, flags, &unlocked);
	mmap_read_unlock(mm);
	return err;
}

static bool svan_fault_is_write(const struct svan_fault *fault)
{
	return fault->req.flags & SVAN_PAGE_REQ_WRITE;
}

static bool svan_fault_is_process(const struct svan_fault *fault)
{
	return fault->req.flags & SVAN_PAGE_REQ_PROCESS;
}

/* Is there still somebody who wants the page? */
static bool svan_fault_is_wanted(const struct svan_fault *fault)
{
	const struct svan_prq *prq = fault->prq;

	if (!READ_ONCE(prq->live))
		return false;
	if (!svan_fault_is_process(fault))
		return !READ_ONCE(fault->odp->gone);
	return svan_context_is_live(prq->dev, fault->req.pasid, fault->mm);
}

/* Whose memory? Take references to it. */
static bool svan_fault_find(struct svan_fault *fault)
{
	struct svan_page_req *req = &fault->req;
	struct svan_ib_dev *dev = fault->prq->dev;

	fault->odp = svan_odp_get(dev, req->key);
	if (svan_fault_is_process(fault)) {
		fault->mm = svan_context_get_mm(dev, req->pasid);
		fault->addr = req->addr & PAGE_MASK;
		return fault->mm && fault->addr < TASK_SIZE_MAX;
	}

	if (!fault->odp || fault->odp->kind != SVAN_KEY_ONDEMAND)
		return false;
	/* of the first page the region may have a part only */
	req->addr = max(req->addr, fault->odp->iova);
	if (!svan_odp_contains(fault->odp, req->addr, 1) ||
	    (svan_fault_is_write(fault) && !fault->odp->writable))
		return false;
	fault->mm = fault->odp->mm;
	mmgrab(fault->mm);
	fault->addr = svan_odp_user_addr(fault->odp, req->addr) & PAGE_MASK;
	return true;
}

/* Told to stop: go on if that was meant for another fault. */
static int svan_fault_page(struct svan_fault *fault)
{
	int tries = 0, err;

	do {
		if (!svan_fault_is_wanted(fault))
			return -ESRCH;
		err = svan_fault_in(fault->mm, fault->addr,
				    svan_fault_is_write(fault));
		if (err == -EINTR)
			flush_signals(current);
		else if (err == -ENOMEM && ++tries < SVAN_FAULT_OOM_ROUNDS)
			schedule_timeout_killable(HZ / 100);
		else
			return err;
	} while (true);
}

/* Fault the first page in, and enter it if the table is ours. */
static int svan_fault_first(struct svan_fault *fault)
{
	bool write = svan_fault_is_write(fault);
	int round, ret;

	for (round = 0; round < SVAN_FAULT_ROUNDS; round++) {
		ret = svan_fault_page(fault);
		if (ret || svan_fault_is_process(fault))
			return ret;
		ret = svan_odp_enter(fault->odp, fault->req.addr, 1, write);
		if (ret && ret != -EBUSY)
			return ret < 0 ? ret : 0;
	}
	/* gone each time; the device will ask again */
	return 0;
}

static int svan_fault_resolve(struct svan_fault *fault)
{
	int err;

	if (!mmget_not_zero(fault->mm))
		return -ESRCH;
	err = svan_fault_first(fault);
	mmput_async(fault->mm);
	return err;
}

static void svan_fault_learn(struct svan_fault *fault, u64 actual)
{
	struct svan_ib_dev *dev = fault->prq->dev;
	struct svan_place said = { .key = SVAN_EST_ANY };

	svan_learn_add(dev, &fault->place, fault->estimate, actual);
	if (svan_fault_is_process(fault))
		return;
	/* what the entry said knew less; it learns from the same page */
	said.fault_class = svan_mtt_absent_class(fault->req.entry);
	if (said.fault_class == SVAN_FAULT_INVALIDATED)
		svan_learn_add(dev, &said, svan_mtt_absent_time(fault->req.entry),
			       actual);
}

static void svan_fault_end(struct svan_fault *fault, int err)
{
	u64 actual = ktime_to_ns(ktime_sub(ktime_get(), fault->start));

	trace_svan_ib_page_resolved(fault, err, actual);
	if (!err) {
		if (fault->odp)
			atomic64_inc(&fault->odp->faults);
		svan_fault_learn(fault, actual);
	}
	svan_prq_finish(fault, !err);
}

/* From here to svan_fault_deafen() SIGKILL ends the waits of the fault path. */
static void svan_fault_listen(struct svan_fault *fault)
{
	allow_kernel_signal(SIGKILL);
	spin_lock(&fault->prq->lock);
	fault->task = current;
	spin_unlock(&fault->prq->lock);
}

static void svan_fault_deafen(struct svan_fault *fault)
{
	spin_lock(&fault->prq->lock);
	fault->task = NULL;
	spin_unlock(&fault->prq->lock);
	/* forgets a signal that is pending, too */
	disallow_signal(SIGKILL);
}

void svan_fault_work(struct work_struct *work)
{
	struct svan_fault *fault = container_of(work, struct svan_fault, work);
	int err;

	svan_fault_listen(fault);
	err = svan_fault_resolve(fault);
	svan_fault_deafen(fault);
	svan_fault_end(fault, err);
	svan_prq_release(fault);
}

/**
 * svan_fault_begin - take up a request
 * @fault: copied from the queue, its token is taken
 *
 * Does not wait for anything but memory.
 */
void svan_fault_begin(struct svan_fault *fault)
{
	struct svan_ib_dev *dev = fault->prq->dev;

	fault->place.fault_class = SVAN_FAULT_UNKNOWN;
	fault->place.key = SVAN_EST_ANY;
	fault->estimate = 0;
	if (!svan_fault_find(fault)) {
		trace_svan_ib_page_request(fault);
		svan_fault_end(fault, -ENOENT);
		svan_prq_release(fault);
		return;
	}
	trace_svan_ib_page_request(fault);
	svan_classify(fault->mm, fault->addr, &fault->req, &fault->place);
	fault->estimate = svan_learn_get(dev, &fault->place);
	svan_prq_pending(fault);
	queue_work(svan_fault_wq, &fault->work);
}
