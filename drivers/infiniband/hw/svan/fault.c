// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serving page requests: find whose memory it is, say at once what the page
 * waits for, have it faulted in by a thread of its process, answer, learn.
 *
 * The device walks again after RESOLVED and may find the page gone again. From
 * the third attempt on it is pinned for a moment, so that it is there when the
 * device looks (pin.c). A page that the device never gets, whatever is done, is
 * refused in the end.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

/* attempts of the device before a page is pinned */
#define SVAN_FAULT_ATTEMPTS	3
/* attempts of the device before it is refused; it counts no further */
#define SVAN_FAULT_MAX_ATTEMPTS	U8_MAX
/* rounds of faulting in and finding the page gone, before the device tries */
#define SVAN_FAULT_ROUNDS	4
/* out of memory: as a CPU does it, wait for the OOM killer, but not for ever */
#define SVAN_FAULT_OOM_ROUNDS	1000
/* what is learned of the time until a thread takes a fault up, in ns, at most */
#define SVAN_DELAY_NS		NSEC_PER_MSEC
/* pages, with the first, that are faulted in as long as that is easy */
#define SVAN_REST_PAGES		32
/* of which as many before the first is answered as take no longer, in ns */
#define SVAN_NEXT_NS		(2 * NSEC_PER_MSEC)

/* May it be had, in the way it is wanted? 0 or an error. */
static int svan_fault_check(struct vm_area_struct *vma, u32 how)
{
	if (!vma || !(vma->vm_flags & (how & SVAN_IN_WRITE ? VM_WRITE :
							     VM_READ)))
		return -EFAULT;
	if (how & SVAN_IN_WRITE && vma->vm_flags & VM_SHADOW_STACK)
		return -EFAULT;
	/* what hmm_range_fault() takes as absent, whatever is there */
	if (how & SVAN_IN_TABLE && (!(vma->vm_flags & VM_READ) ||
				    vma->vm_flags & (VM_IO | VM_PFNMAP)))
		return -EFAULT;
	if (how & SVAN_IN_ANON && !vma_is_anonymous(vma))
		return -EWOULDBLOCK;
	if (how & SVAN_IN_NO_USER && userfaultfd_armed(vma))
		return -EBUSY;
	if (how & SVAN_IN_NO_ASK && how & SVAN_IN_WRITE &&
	    vma->vm_flags & VM_SHARED && vma->vm_ops &&
	    vma->vm_ops->page_mkwrite)
		return -EWOULDBLOCK;
	return 0;
}

/*
 * One attempt; mmap_lock is held and given up. Return -EAGAIN to try again with
 * the new flags.
 */
static int svan_fault_round(struct mm_struct *mm, unsigned long addr, u32 how,
			    unsigned int *flags)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);
	int err = svan_fault_check(vma, how);
	vm_fault_t ret;

	if (err)
		goto unlock;
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
 * svan_fault_in - fault a page of the caller's process in, as a store or load of
 * its own would
 * @addr: where
 * @how: SVAN_IN_*
 *
 * As fixup_user_fault() does it: userfaultfd works, stacks do not grow, and
 * protection keys do not count. A signal ends the waits that it may.
 *
 * Return: 0; -EFAULT if there is nothing, or no right to it; -EINTR if there is
 * a signal; -ENOMEM; -EWOULDBLOCK if it would have to wait and must not; -EBUSY
 * if it is left to a userfaultfd.
 */
int svan_fault_in(unsigned long addr, u32 how)
{
	unsigned int flags = FAULT_FLAG_USER | FAULT_FLAG_REMOTE |
			     FAULT_FLAG_DEFAULT;
	struct mm_struct *mm = current->mm;
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
		if (signal_pending(current) || mmap_read_lock_killable(mm))
			return -EINTR;
		err = svan_fault_round(mm, addr, how, &flags);
	} while (err == -EAGAIN);
	/* a file system that was interrupted may say anything */
	return err && signal_pending(current) ? -EINTR : err;
}

static struct svan_fault *to_svan_fault(const struct svan_job *job)
{
	return container_of(job, struct svan_fault, job);
}

static bool svan_fault_is_write(const struct svan_fault *fault)
{
	return fault->req.flags & SVAN_PAGE_REQ_WRITE;
}

static bool svan_fault_is_process(const struct svan_fault *fault)
{
	return fault->req.flags & SVAN_PAGE_REQ_PROCESS;
}

static u32 svan_fault_how(const struct svan_fault *fault)
{
	return (svan_fault_is_write(fault) ? SVAN_IN_WRITE : 0) |
	       (svan_fault_is_process(fault) ? 0 : SVAN_IN_TABLE);
}

/* Is there still somebody who wants the page? */
static bool svan_fault_is_wanted(const struct svan_job *job)
{
	const struct svan_fault *fault = to_svan_fault(job);
	const struct svan_prq *prq = fault->prq;

	if (!READ_ONCE(prq->live))
		return false;
	if (!svan_fault_is_process(fault))
		return !READ_ONCE(fault->odp->gone);
	return svan_context_is_live(prq->dev, fault->req.pasid,
				    fault->req.generation);
}

/* Whose memory? Take references to it. */
static bool svan_fault_find(struct svan_fault *fault)
{
	struct svan_page_req *req = &fault->req;
	struct svan_ib_dev *dev = fault->prq->dev;

	fault->odp = svan_odp_get(dev, req->key);
	if (svan_fault_is_process(fault)) {
		fault->mm = svan_context_get_mm(dev, req->pasid,
						req->generation);
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

/* The job is lent out: nothing of the fault is touched. */
static int svan_fault_in_retrying(struct svan_thread *thread, unsigned long addr,
				  u32 how)
{
	int tries = 0, err;

	do {
		err = svan_fault_in(addr, how);
		if (err != -ENOMEM)
			break;
		schedule_timeout_interruptible(HZ / 100);
	} while (++tries < SVAN_FAULT_OOM_ROUNDS &&
		 svan_thread_is_lent(thread));
	return err;
}

/*
 * Fault the page in. If it keeps going away, hold it until the device has looked.
 * Return -EALREADY if the fault has been failed meanwhile: it is not ours.
 */
static int svan_fault_page(struct svan_thread *thread, struct svan_fault *fault)
{
	bool hold = fault->req.attempt >= SVAN_FAULT_ATTEMPTS;
	u32 how = svan_fault_how(fault);
	unsigned long addr = fault->addr;
	struct page *page = NULL;
	int err;

	if (!svan_thread_lend(thread, &fault->job))
		return -ESRCH;
	err = svan_fault_in_retrying(thread, addr, how);
	if (!err && hold)
		page = svan_pin_get(addr, how & SVAN_IN_WRITE);
	if (page)
		svan_pin_keep(svan_thread_pins(thread), page);
	return svan_thread_reclaim(thread) ? err : -EALREADY;
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
static int svan_fault_first(struct svan_thread *thread,
			    struct svan_fault *fault)
{
	int round, ret;

	if (fault->req.attempt >= SVAN_FAULT_MAX_ATTEMPTS)
		return -EFAULT;
	for (round = 0; round < SVAN_FAULT_ROUNDS; round++) {
		ret = svan_fault_page(thread, fault);
		if (ret)
			return ret;
		ret = svan_fault_enter(fault);
		if (ret && ret != -EBUSY)
			return ret < 0 ? ret : 0;
	}
	/* gone each time; the device counts how often it asks again */
	return 0;
}

/*
 * Of the time that passed before a thread took the fault up little is the page's:
 * what a process does to its own threads (it stops them, or has too few CPUs) is
 * nothing that other processes' pages should be expected to take.
 */
static void svan_fault_learn(struct svan_fault *fault, ktime_t end)
{
	struct svan_ib_dev *dev = fault->prq->dev;
	struct svan_place said = { .key = SVAN_EST_ANY };
	u64 delay = ktime_to_ns(ktime_sub(fault->picked, fault->start));
	u64 actual = ktime_to_ns(ktime_sub(end, fault->picked)) +
		     min_t(u64, delay, SVAN_DELAY_NS);

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
	ktime_t end = ktime_get();

	trace_svan_ib_page_resolved(fault, err, ktime_to_ns(ktime_sub(end,
								      fault->start)));
	svan_prq_finish(fault, !err);
	if (err)
		return;
	if (fault->odp)
		atomic64_inc(&fault->odp->faults);
	svan_fault_learn(fault, end);
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

/* A page behind; where a file's is not known to be there, its system may wait. */
static int svan_fault_in_ready(unsigned long addr, u32 how)
{
	struct svan_place place;
	int err;

	err = svan_fault_in(addr, how | SVAN_IN_NOWAIT | SVAN_IN_ANON);
	if (err != -EWOULDBLOCK ||
	    !svan_classify_block(current->mm, addr, 1, &place) ||
	    !svan_fault_class_is_quick(place.fault_class))
		return err;
	return svan_fault_in(addr, how | SVAN_IN_NOWAIT);
}

/*
 * What the device wants behind its page is faulted in from page number @first on,
 * as long as nothing has to be waited for and it is before @until (ns); it will ask
 * for what is missing. Return the number of the first page that is not looked at.
 */
static u64 svan_fault_behind(struct svan_fault *fault, u64 first, u32 limits,
			     u64 until)
{
	u64 pages = min_t(u64, DIV_ROUND_UP_ULL(fault->req.length, PAGE_SIZE),
			  SVAN_REST_PAGES);
	u64 start = fault->req.addr & PAGE_MASK;
	u32 how = svan_fault_how(fault) | limits, entered = 0;
	bool process = svan_fault_is_process(fault);
	u64 i;

	for (i = first; i < pages && ktime_get_ns() < until; i++)
		if ((!process && !svan_odp_contains(fault->odp,
						    start + i * PAGE_SIZE,
						    1)) ||
		    svan_fault_in_ready(fault->addr + i * PAGE_SIZE, how))
			break;
	if (process || i <= first)
		return i;
	svan_odp_enter(fault->odp, start + first * PAGE_SIZE,
		       (i - first) * PAGE_SIZE, svan_fault_is_write(fault),
		       &entered);
	atomic64_add(entered, &fault->odp->faults);
	return i;
}

/*
 * Before the device is told of its page: it would ask for the next one at once, and
 * each time it asks costs as much as several pages. It waits twice as long for that
 * at most.
 */
static u64 svan_fault_next(struct svan_fault *fault)
{
	u64 now = ktime_get_ns(), took = now - ktime_to_ns(fault->start);

	return svan_fault_behind(fault, 1, SVAN_IN_NO_ASK,
				 now + min_t(u64, took, SVAN_NEXT_NS));
}

/* What has time. It may take long after all, so the request is done before. */
static void svan_fault_rest(struct svan_fault *fault, u64 first, u32 limits)
{
	struct svan_prq *prq = fault->prq;
	struct svan_fault rest = *fault;

	kref_get(&prq->ref);
	if (fault->odp)
		kref_get(&fault->odp->ref);
	svan_prq_release(fault);

	svan_fault_behind(&rest, first, limits, U64_MAX);
	svan_fault_refine(&rest);
	if (rest.odp)
		svan_odp_put(rest.odp);
	svan_prq_put(prq);
}

/* The page is there. @limits: SVAN_IN_*, of what may be done behind it. */
static void svan_fault_close(struct svan_fault *fault, u32 limits)
{
	u64 next = svan_fault_next(fault);

	svan_fault_end(fault, 0);
	svan_fault_rest(fault, next, limits);
}

static void svan_fault_refuse(struct svan_fault *fault, int err)
{
	svan_fault_end(fault, err);
	svan_prq_release(fault);
}

static void svan_fault_fail(struct svan_job *job)
{
	svan_fault_refuse(to_svan_fault(job), -ESRCH);
}

static bool svan_fault_quick(struct svan_thread *thread, struct svan_job *job)
{
	struct svan_fault *fault = to_svan_fault(job);
	u32 how = svan_fault_how(fault) | SVAN_IN_NOWAIT | SVAN_IN_NO_ASK;
	unsigned long addr = fault->addr;
	int err;

	fault->picked = ktime_get();
	/* where a file's page is not known to be there, its system may wait */
	if (!svan_fault_class_is_quick(fault->place.fault_class))
		how |= SVAN_IN_ANON;
	if (!svan_thread_lend(thread, job)) {
		svan_fault_fail(job);
		return true;
	}
	err = svan_fault_in(addr, how);
	if (!svan_thread_reclaim(thread))
		return true;
	if (err || svan_fault_enter(fault) <= 0)
		return false;
	svan_fault_close(fault, SVAN_IN_NO_ASK);
	return true;
}

static bool svan_fault_serve(struct svan_thread *thread, struct svan_job *job)
{
	struct svan_fault *fault = to_svan_fault(job);
	int err;

	fault->picked = ktime_get();
	err = svan_fault_first(thread, fault);
	if (err == -EINTR)
		return false;
	if (!err)
		svan_fault_close(fault, 0);
	else if (err != -EALREADY)
		svan_fault_refuse(fault, err);
	return true;
}

static const struct svan_job_ops svan_fault_ops = {
	.quick = svan_fault_quick,
	.serve = svan_fault_serve,
	.wanted = svan_fault_is_wanted,
	.fail = svan_fault_fail,
};

/* Nothing is known that it has to wait for. */
static bool svan_fault_may_be_quick(const struct svan_fault *fault)
{
	return fault->place.fault_class != SVAN_FAULT_FILE_READ &&
	       fault->place.fault_class != SVAN_FAULT_SWAP_IN &&
	       fault->place.fault_class != SVAN_FAULT_USERFAULTFD &&
	       fault->req.attempt < SVAN_FAULT_ATTEMPTS;
}

/**
 * svan_fault_begin - take up a request
 * @fault: copied from the queue, its token is taken
 *
 * Says what the page waits for and how long that takes, and hands the fault to
 * its process. Softirq context.
 *
 * Return: false if it has been answered.
 */
bool svan_fault_begin(struct svan_fault *fault)
{
	struct svan_ib_dev *dev = fault->prq->dev;

	fault->job.ops = &svan_fault_ops;
	fault->place.fault_class = SVAN_FAULT_UNKNOWN;
	fault->place.key = SVAN_EST_ANY;
	fault->estimate = 0;
	if (!svan_fault_find(fault)) {
		trace_svan_ib_page_request(fault);
		svan_fault_end(fault, -ENOENT);
		return false;
	}
	trace_svan_ib_page_request(fault);
	svan_classify(fault->mm, fault->addr, &fault->req, &fault->place);
	fault->estimate = svan_learn_get(dev, &fault->place);
	svan_prq_pending(fault);
	if (!svan_server_submit(fault->mm, &fault->job,
				svan_fault_may_be_quick(fault) ?
				SVAN_QUEUE_QUICK : SVAN_QUEUE_WAIT))
		return true;
	svan_fault_end(fault, -ESRCH);
	return false;
}
