// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serving a page request: find the process that the memory belongs to, tell the
 * device at once what the page waits for, have a thread of the process fault it in,
 * write the final response, and learn how long it took.
 *
 * After RESOLVED the device walks again, and may find that the page is gone again.
 * When that has happened three times in a row, the page is pinned for a moment, so
 * that it is present when the device walks (pin.c). If the device still does not get
 * it after many attempts, the request fails.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

/* value of svan_page_req.attempt from which on the page is pinned */
#define SVAN_FAULT_ATTEMPTS	3
/* value of svan_page_req.attempt at which the request fails: the largest one */
#define SVAN_FAULT_MAX_ATTEMPTS	U8_MAX
/* attempts of the driver to enter the page before the device tries again */
#define SVAN_FAULT_ROUNDS	4
/* attempts to fault a page in while memory is short and the OOM killer is at work */
#define SVAN_FAULT_OOM_ROUNDS	1000
/* time before a thread takes a fault up, in ns: a sample counts this much of it at most */
#define SVAN_DELAY_NS		NSEC_PER_MSEC
/* largest number of pages that one request faults in; only the first may be waited for */
#define SVAN_REST_PAGES		32
/* longest time that is spent on further pages before the first is answered, in ns */
#define SVAN_NEXT_NS		(2 * NSEC_PER_MSEC)

/* May a page be faulted in as @how says? Return 0 or an error. */
static int svan_fault_check(struct vm_area_struct *vma, u32 how)
{
	if (!vma || !(vma->vm_flags & (how & SVAN_IN_WRITE ? VM_WRITE :
							     VM_READ)))
		return -EFAULT;
	if (how & SVAN_IN_WRITE && vma->vm_flags & VM_SHADOW_STACK)
		return -EFAULT;
	/* hmm_range_fault() treats such memory as absent. */
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
 * Fault a page in, in one attempt. Releases mmap_lock. Return -EAGAIN if another
 * attempt has to be made with the new flags.
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
 * svan_fault_in - fault in a page of the calling process
 * @addr: address of the page
 * @how: SVAN_IN_*
 *
 * This works like fixup_user_fault(): a userfaultfd is asked for its pages, stacks do
 * not grow, and protection keys are ignored. Signals end those waits that signals may
 * interrupt.
 *
 * Return: 0; -EFAULT if nothing is mapped there, or the access is not allowed; -EINTR
 * if a signal is pending; -ENOMEM; -EWOULDBLOCK if it would have to wait and @how
 * forbids that; -EBUSY if a userfaultfd would have to serve the page and @how forbids
 * that.
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
	/* A file system that a signal interrupts may return any error. */
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

/* Does the device still want the page? */
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

/* Find the memory that the request is for, and take references. */
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
	/* The region may begin in the middle of the page. */
	req->addr = max(req->addr, fault->odp->iova);
	if (!svan_odp_contains(fault->odp, req->addr, 1) ||
	    (svan_fault_is_write(fault) && !READ_ONCE(fault->odp->writable)))
		return false;
	fault->mm = fault->odp->mm;
	mmgrab(fault->mm);
	fault->addr = svan_odp_user_addr(fault->odp, req->addr) & PAGE_MASK;
	return true;
}

/*
 * Fault a page in, again and again while memory is short. The job is lent, so the fault
 * is not touched.
 */
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
 * Fault the page in. If it has gone away several times, pin it until the device has
 * walked again. Return -EALREADY if the fault has been failed by somebody else
 * meanwhile; it must not be touched then.
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

/*
 * Enter the page into the table of an on-demand key; a process key has none. Return as
 * svan_odp_enter() does.
 */
static int svan_fault_enter(struct svan_fault *fault)
{
	u32 entered;

	if (svan_fault_is_process(fault))
		return 1;
	return svan_odp_enter(fault->odp, fault->req.addr, 1,
			      svan_fault_is_write(fault), &entered);
}

/* Fault the first page of the request in, and enter it. */
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
	/*
	 * The page was gone again each time. The device will find that out and ask
	 * again, with a higher attempt.
	 */
	return 0;
}

/*
 * Learn from a page that has come. The time that passed before a thread took the fault
 * up counts only up to a limit. A process may have stopped its threads or have too few
 * CPUs; estimates for the pages of other processes should not depend on that.
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
	/*
	 * An entry of the class INVALIDATED does not tell where the page is. That
	 * class learns from the same sample.
	 */
	said.fault_class = svan_mtt_absent_class(fault->req.entry);
	if (said.fault_class == SVAN_FAULT_INVALIDATED)
		svan_learn_add(dev, &said, svan_mtt_absent_time(fault->req.entry),
			       actual);
}

/* Write the final response; if there was no error, count and learn. */
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

/* If the entry was wrong, those around it are probably wrong, too: correct them. */
static void svan_fault_refine(struct svan_fault *fault)
{
	u32 said = svan_mtt_absent_class(fault->req.entry);
	u32 found = fault->place.fault_class;

	if (svan_fault_is_process(fault) || found == said ||
	    found == SVAN_FAULT_UNKNOWN ||
	    fault->req.flags & SVAN_PAGE_REQ_PROTECTED)
		return;
	/* Classes that are quick take about the same time. */
	if (!svan_fault_class_is_quick(said) ||
	    !svan_fault_class_is_quick(found))
		svan_odp_refine(fault->odp, fault->req.addr);
}

/*
 * Fault a further page in without waiting. A page of a file is tried only if the page
 * cache has it, since file systems may wait even if they are asked not to.
 */
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
 * Fault in further pages of the request, from page number @first on, until one would
 * have to be waited for or the time @until (ns) is reached. The device will ask for
 * those that are missing. Return the number of the first page that was not tried or
 * did not come.
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
 * Fault in further pages before the device is told of the first one. Otherwise the
 * device would ask for the next page at once, and each request costs as much as several
 * pages. This at most doubles the time that the device waits.
 */
static u64 svan_fault_next(struct svan_fault *fault)
{
	u64 now = ktime_get_ns(), took = now - ktime_to_ns(fault->start);

	return svan_fault_behind(fault, 1, SVAN_IN_NO_ASK,
				 now + min_t(u64, took, SVAN_NEXT_NS));
}

/*
 * Do what is not urgent: fault in the remaining pages and correct entries. It may take
 * long, so the fault is released first, and a copy is used.
 */
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

/* Answer a fault whose page has come. @limits are SVAN_IN_* for the pages behind it. */
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
	/*
	 * A page of a file is tried only if the page cache has it, since file
	 * systems may wait even if they are asked not to.
	 */
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

/* May the page come without a wait, as far as is known? */
static bool svan_fault_may_be_quick(const struct svan_fault *fault)
{
	return fault->place.fault_class != SVAN_FAULT_FILE_READ &&
	       fault->place.fault_class != SVAN_FAULT_SWAP_IN &&
	       fault->place.fault_class != SVAN_FAULT_USERFAULTFD &&
	       fault->req.attempt < SVAN_FAULT_ATTEMPTS;
}

/**
 * svan_fault_begin - begin to serve a request
 * @fault: the fault, with the request copied from the queue
 *
 * Tells the device what the page waits for and how long that takes, and hands the
 * fault to a thread of its process. Called in softirq context.
 *
 * Return: false if the final response has been written, and no thread has the fault.
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
