// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serving page requests: find whose memory it is, say at once what the page
 * waits for, fault it in, answer, learn.
 *
 * The device walks again after RESOLVED and may find the page gone again. From
 * the third attempt on it is pinned for a moment, so that it is there when the
 * device looks (pin.c).
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

/* attempts of the device before a page is pinned */
#define SVAN_FAULT_ATTEMPTS	3
/* rounds of faulting in and finding the page gone, before the device tries */
#define SVAN_FAULT_ROUNDS	4
/* out of memory: as a CPU does it, wait for the OOM killer, but not for ever */
#define SVAN_FAULT_OOM_ROUNDS	1000
/* what a drain serves by itself: how many of one batch, expected to take this */
#define SVAN_QUICK_MAX		8
#define SVAN_QUICK_NS		(1000 * NSEC_PER_USEC)
/* pages behind the first that are faulted in as long as that is easy */
#define SVAN_REST_PAGES		16

/*
 * One attempt; mmap_lock is held and given up. Return -EAGAIN to try again with
 * the new flags.
 */
static int svan_fault_round(struct mm_struct *mm, unsigned long addr, u32 how,
			    unsigned int *flags)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);
	vm_fault_t ret;
	int err = 0;

	if (!vma || !(vma->vm_flags & (how & SVAN_IN_WRITE ? VM_WRITE :
							     VM_READ))) {
		err = -EFAULT;
		goto unlock;
	}
	if (how & SVAN_IN_NO_USER && userfaultfd_armed(vma)) {
		err = -EWOULDBLOCK;
		goto unlock;
	}

	ret = handle_mm_fault(vma, addr, *flags, NULL);
	if (ret & VM_FAULT_COMPLETED)
		return 0;
	if (ret & VM_FAULT_ERROR) {
		err = vm_fault_to_errno(ret, 0);
	} else if (ret & VM_FAULT_RETRY) {
		if (!(how & SVAN_IN_NOWAIT)) {
			*flags |= FAULT_FLAG_TRIED;
			return -EAGAIN;
		}
		err = -EWOULDBLOCK;
	}
unlock:
	mmap_read_unlock(mm);
	return err;
}

/**
 * svan_fault_in - fault a page in, as its process would
 * @mm: mm_users is held
 * @addr: where
 * @how: SVAN_IN_*
 *
 * As fixup_user_fault() does it: userfaultfd works, stacks do not grow.
 *
 * Return: 0; -EFAULT if there is nothing, or no right to it; -EINTR after
 * SIGKILL; -ENOMEM; -EWOULDBLOCK if it would have to wait and must not.
 */
int svan_fault_in(struct mm_struct *mm, unsigned long addr, u32 how)
{
	unsigned int flags = FAULT_FLAG_USER | FAULT_FLAG_REMOTE |
			     FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE;
	int err;

	if (how & SVAN_IN_WRITE)
		flags |= FAULT_FLAG_WRITE;
	if (how & SVAN_IN_NOWAIT) {
		flags |= FAULT_FLAG_RETRY_NOWAIT;
		if (!mmap_read_trylock(mm))
			return -EWOULDBLOCK;
		return svan_fault_round(mm, addr, how, &flags);
	}

	do {
		if (fatal_signal_pending(current) ||
		    mmap_read_lock_killable(mm))
			return -EINTR;
		err = svan_fault_round(mm, addr, how, &flags);
	} while (err == -EAGAIN);
	return err;
}

static bool svan_fault_is_write(const struct svan_fault *fault)
{
	return fault->req.flags & SVAN_PAGE_REQ_WRITE;
}

static u32 svan_fault_how(const struct svan_fault *fault)
{
	return svan_fault_is_write(fault) ? SVAN_IN_WRITE : 0;
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
	    (svan_fault_is_write(fault) && !READ_ONCE(fault->odp->writable)))
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
				    svan_fault_how(fault));
		if (err == -EINTR)
			flush_signals(current);
		else if (err == -ENOMEM && ++tries < SVAN_FAULT_OOM_ROUNDS)
			schedule_timeout_killable(HZ / 100);
		else
			return err;
	} while (true);
}

/* It keeps going away: hold it until the device has looked. */
static int svan_fault_pin(struct svan_fault *fault)
{
	if (fault->req.attempt < SVAN_FAULT_ATTEMPTS)
		return 0;
	return svan_pin_page(fault->prq, fault->mm, fault->addr,
			     svan_fault_is_write(fault));
}

/* Of a process key the page table is the table. */
static int svan_fault_enter(struct svan_fault *fault)
{
	u32 entered;

	if (svan_fault_is_process(fault))
		return 1;
	return svan_odp_enter(fault->odp, fault->req.addr, 1,
			      svan_fault_is_write(fault), &entered);
}

/* Fault the first page in, and enter it if the table is ours. */
static int svan_fault_first(struct svan_fault *fault)
{
	int round, ret;

	for (round = 0; round < SVAN_FAULT_ROUNDS; round++) {
		ret = svan_fault_page(fault);
		if (ret)
			return ret;
		ret = svan_fault_pin(fault);
		if (ret == -EFAULT || ret == -ESRCH)
			return ret;
		ret = svan_fault_enter(fault);
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
	svan_prq_finish(fault, !err);
	if (err)
		return;
	if (fault->odp)
		atomic64_inc(&fault->odp->faults);
	svan_fault_learn(fault, actual);
}

static bool svan_fault_class_is_quick(u32 fault_class)
{
	return fault_class == SVAN_FAULT_ZERO_FILL ||
	       fault_class == SVAN_FAULT_PAGE_CACHE ||
	       fault_class == SVAN_FAULT_COPY_ON_WRITE;
}

/* Was the entry wrong? Then those around it are, too. */
static void svan_fault_refine(struct svan_fault *fault)
{
	u32 said = svan_mtt_absent_class(fault->req.entry);
	u32 found = fault->place.fault_class;

	if (svan_fault_is_process(fault) || found == said ||
	    found == SVAN_FAULT_UNKNOWN ||
	    fault->req.flags & SVAN_PAGE_REQ_PROTECTED)
		return;
	/* one is as good as the other */
	if (!svan_fault_class_is_quick(said) ||
	    !svan_fault_class_is_quick(found))
		svan_odp_refine(fault->odp, fault->req.addr);
}

/*
 * The device has its page. What it wants behind that is faulted in as long as
 * nothing has to be waited for; it will ask for what is missing.
 */
static void svan_fault_rest(struct svan_fault *fault)
{
	u64 pages = min_t(u64, DIV_ROUND_UP_ULL(fault->req.length, PAGE_SIZE),
			  SVAN_REST_PAGES);
	u64 next = (fault->req.addr & PAGE_MASK) + PAGE_SIZE;
	u32 how = svan_fault_how(fault) | SVAN_IN_NOWAIT, entered = 0;
	bool process = svan_fault_is_process(fault);
	u64 i;

	if (pages <= 1 || !mmget_not_zero(fault->mm))
		return;
	for (i = 1; i < pages; i++)
		if ((!process && !svan_odp_contains(fault->odp,
						    next + (i - 1) * PAGE_SIZE,
						    1)) ||
		    svan_fault_in(fault->mm, fault->addr + i * PAGE_SIZE, how))
			break;
	mmput_async(fault->mm);
	if (process || i == 1)
		return;
	svan_odp_enter(fault->odp, next, (i - 1) * PAGE_SIZE,
		       svan_fault_is_write(fault), &entered);
	atomic64_add(entered, &fault->odp->faults);
}

void svan_fault_work(struct work_struct *work)
{
	struct svan_fault *fault = container_of(work, struct svan_fault, work);
	int err;

	svan_prq_listen(fault->prq, &fault->waiter,
			svan_fault_is_process(fault) ? (void *)fault->mm :
						       (void *)fault->odp);
	err = svan_fault_resolve(fault);
	svan_prq_deafen(fault->prq, &fault->waiter);
	svan_fault_end(fault, err);
	if (!err) {
		svan_fault_rest(fault);
		svan_fault_refine(fault);
	}
	svan_prq_release(fault);
}

/* Without waiting for data or user space; false: it is for a worker. */
static bool svan_fault_try(struct svan_fault *fault)
{
	int err;

	if (!mmget_not_zero(fault->mm))
		return false;
	err = svan_fault_in(fault->mm, fault->addr,
			    svan_fault_how(fault) | SVAN_IN_NOWAIT);
	mmput_async(fault->mm);
	if (err || svan_fault_enter(fault) <= 0)
		return false;
	svan_fault_end(fault, 0);
	return true;
}

/**
 * svan_fault_serve - serve those that should not take long
 * @quick: faults that svan_fault_begin() has returned true for
 */
void svan_fault_serve(struct list_head *quick)
{
	struct svan_fault *fault, *next;
	u32 served = 0;

	list_for_each_entry_safe(fault, next, quick, entry) {
		if (served < SVAN_QUICK_MAX && svan_fault_try(fault)) {
			served++;
			continue;
		}
		list_del(&fault->entry);
		queue_work(svan_fault_wq, &fault->work);
	}
	list_for_each_entry_safe(fault, next, quick, entry) {
		list_del(&fault->entry);
		svan_fault_rest(fault);
		svan_fault_refine(fault);
		svan_prq_release(fault);
	}
}

static bool svan_fault_is_quick(const struct svan_fault *fault)
{
	return svan_fault_class_is_quick(fault->place.fault_class) &&
	       fault->estimate < SVAN_QUICK_NS &&
	       fault->req.attempt < SVAN_FAULT_ATTEMPTS;
}

/**
 * svan_fault_begin - take up a request
 * @fault: copied from the queue, its token is taken
 *
 * Says what the page waits for and how long that takes. Does not wait.
 *
 * Return: true if the caller shall serve it with svan_fault_serve(), false if
 * it is in other hands.
 */
bool svan_fault_begin(struct svan_fault *fault)
{
	struct svan_ib_dev *dev = fault->prq->dev;

	fault->place.fault_class = SVAN_FAULT_UNKNOWN;
	fault->place.key = SVAN_EST_ANY;
	fault->estimate = 0;
	if (!svan_fault_find(fault)) {
		trace_svan_ib_page_request(fault);
		svan_fault_end(fault, -ENOENT);
		svan_prq_release(fault);
		return false;
	}
	trace_svan_ib_page_request(fault);
	svan_classify(fault->mm, fault->addr, &fault->req, &fault->place);
	fault->estimate = svan_learn_get(dev, &fault->place);
	svan_prq_pending(fault);
	if (svan_fault_is_quick(fault))
		return true;
	queue_work(svan_fault_wq, &fault->work);
	return false;
}
