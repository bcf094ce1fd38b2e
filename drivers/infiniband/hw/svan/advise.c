// SPDX-License-Identifier: GPL-2.0-only
/*
 * ibv_advise_mr(): pages are faulted in before the device asks for them, and entered
 * into the table of the key. A process key has no table, so it is enough to fault the
 * pages in.
 *
 * A thread of the process that the memory belongs to follows the advice (server.c). If
 * the caller wants to wait for the result, and is a thread of that process, it first
 * does itself what can be done without waiting. Then it waits for the other thread,
 * and this wait ends early when a signal comes or the device goes away.
 *
 * Advice does not wait for a userfaultfd. The pages that one serves are skipped.
 */

#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

/* size and alignment of the pieces that are faulted in and then entered */
#define SVAN_ADVISE_BYTES	((u64)PAGE_SIZE << SVAN_MTT_INDEX_BITS)

/**
 * struct svan_advice_range - one element of the advice
 * @odp: the region, with a reference
 * @addr: first address that is not done
 * @end: address behind the last one
 */
struct svan_advice_range {
	struct svan_odp *odp;
	u64 addr;
	u64 end;
};

/**
 * struct svan_advice - a call of ibv_advise_mr()
 * @job: job of a thread of the process
 * @ref: one reference for the caller, one for the job
 * @server: the server whose limits the call was counted against, or NULL
 * @bytes: number of bytes that it was counted with
 * @done: completed when @err is final
 * @err: the result
 * @given_up: the caller does not wait any more
 * @prq: the page request queue, with a reference
 * @advice: kind of the advice
 * @index: index of the first element of @ranges that is not done
 * @count: number of elements of @ranges
 * @ranges: the memory that the call is about
 */
struct svan_advice {
	struct svan_job job;
	struct kref ref;
	struct svan_server *server;
	u64 bytes;
	struct completion done;
	int err;
	bool given_up;
	struct svan_prq *prq;
	enum ib_uverbs_advise_mr_advice advice;
	u32 index;
	u32 count;
	struct svan_advice_range ranges[] __counted_by(count);
};

static struct svan_advice *to_svan_advice(const struct svan_job *job)
{
	return container_of(job, struct svan_advice, job);
}

static bool svan_advice_is_write(const struct svan_advice *advice)
{
	return advice->advice == IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE;
}

static bool svan_advice_is_wanted(const struct svan_job *job)
{
	const struct svan_advice *advice = to_svan_advice(job);

	return !READ_ONCE(advice->given_up) &&
	       !READ_ONCE(advice->prq->closing) &&
	       (advice->index == advice->count ||
		!READ_ONCE(advice->ranges[advice->index].odp->gone));
}

/*
 * Fault pages in, up to the first one that fails. The job may be lent, so it is not
 * touched. Pages that a userfaultfd serves are skipped. Return the address that was
 * reached.
 */
static u64 svan_advice_fault_in(u64 addr, u64 end, u32 how, int *err)
{
	for (; addr < end; addr = (addr & PAGE_MASK) + PAGE_SIZE) {
		*err = signal_pending(current) ? -EINTR :
						 svan_fault_in(addr, how);
		if (*err == -EBUSY)
			*err = 0;
		if (*err)
			break;
		cond_resched();
	}
	return addr;
}

/* Enter the present pages of a piece into the table of the key, and count them. */
static int svan_advice_enter(struct svan_advice *advice, struct svan_odp *odp,
			     u64 addr, u64 end)
{
	u32 entered = 0;
	int ret;

	if (odp->kind == SVAN_KEY_PROCESS) {
		if (advice->advice != IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
			entered = ((end - 1) >> PAGE_SHIFT) -
				  (addr >> PAGE_SHIFT) + 1;
	} else {
		ret = svan_odp_enter(odp, addr, end - addr,
				     svan_advice_is_write(advice), &entered);
		if (ret < 0 && ret != -EBUSY)
			return ret;
	}
	atomic64_add(entered, &odp->prefetches);
	return 0;
}

/*
 * Fault in and enter what is left of a piece. @thread is NULL for the caller itself,
 * which does not wait but gets -EWOULDBLOCK.
 */
static int svan_advice_piece(struct svan_thread *thread,
			     struct svan_advice *advice,
			     struct svan_advice_range *range, u64 end)
{
	u32 how = SVAN_IN_NO_USER |
		  (svan_advice_is_write(advice) ? SVAN_IN_WRITE : 0) |
		  (thread ? 0 : SVAN_IN_NOWAIT | SVAN_IN_ANON);
	u64 offset = range->odp->start - range->odp->iova;
	u64 addr = range->addr, reached;
	int err = 0, ret;

	if (thread && !svan_thread_lend(thread, &advice->job))
		return -ESRCH;
	reached = svan_advice_fault_in(addr + offset, end + offset, how, &err);
	if (thread && !svan_thread_reclaim(thread))
		return -EALREADY;

	end = min(reached - offset, end);
	if (end <= addr)
		return err;
	ret = svan_advice_enter(advice, range->odp, addr, end);
	range->addr = end;
	return ret ?: err;
}

/* Follow the advice for the next piece of a range. */
static int svan_advice_next(struct svan_thread *thread,
			    struct svan_advice *advice,
			    struct svan_advice_range *range)
{
	int err;
	u64 end;

	if (advice->advice == IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT) {
		if (signal_pending(current))
			return -EINTR;
		/* Holes are skipped, however large they are. */
		range->addr = svan_odp_next(range->odp, range->addr,
					    range->end);
		if (range->addr >= range->end)
			return 0;
	}
	end = min(ALIGN_DOWN(range->addr, SVAN_ADVISE_BYTES) +
		  SVAN_ADVISE_BYTES, range->end);
	if (advice->advice != IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
		return svan_advice_piece(thread, advice, range, end);
	err = svan_advice_enter(advice, range->odp, range->addr, end);
	range->addr = end;
	cond_resched();
	return err;
}

/* Follow the advice, piece by piece, from where it was left. */
static int svan_advice_follow(struct svan_thread *thread,
			      struct svan_advice *advice)
{
	struct svan_advice_range *range;
	int err;

	for (; advice->index < advice->count; advice->index++) {
		range = &advice->ranges[advice->index];
		while (range->addr < range->end) {
			if (!svan_advice_is_wanted(&advice->job))
				return -ESRCH;
			err = svan_advice_next(thread, advice, range);
			if (err)
				return err;
		}
	}
	return 0;
}

static void svan_advice_free(struct kref *ref)
{
	struct svan_advice *advice = container_of(ref, struct svan_advice, ref);
	u32 i;

	if (advice->server)
		svan_server_uncharge(advice->server, advice->bytes);
	for (i = 0; i < advice->count; i++)
		if (advice->ranges[i].odp)
			svan_odp_put(advice->ranges[i].odp);
	svan_prq_put(advice->prq);
	kvfree(advice);
}

static void svan_advice_put(struct svan_advice *advice)
{
	kref_put(&advice->ref, svan_advice_free);
}

static void svan_advice_end(struct svan_advice *advice, int err)
{
	advice->err = err;
	complete(&advice->done);
	svan_advice_put(advice);
}

static bool svan_advice_serve(struct svan_thread *thread, struct svan_job *job)
{
	struct svan_advice *advice = to_svan_advice(job);
	int err = svan_advice_follow(thread, advice);

	if (err == -EINTR)
		return false;
	if (err != -EALREADY)
		svan_advice_end(advice, err);
	return true;
}

static void svan_advice_fail(struct svan_job *job)
{
	svan_advice_end(to_svan_advice(job), -ESRCH);
}

static const struct svan_job_ops svan_advice_ops = {
	.serve = svan_advice_serve,
	.wanted = svan_advice_is_wanted,
	.fail = svan_advice_fail,
};

static int svan_advice_check(struct ib_pd *pd, struct svan_advice *advice,
			     const struct ib_sge *sge,
			     struct svan_advice_range *range)
{
	struct svan_odp *odp = svan_odp_get(to_svan_ib_dev(pd->device),
					    sge->lkey);

	if (!odp)
		return -ENOENT;
	range->odp = odp;
	range->addr = sge->addr;
	range->end = sge->addr + sge->length;
	advice->bytes += sge->length;
	if (READ_ONCE(odp->pd) != pd)
		return -EPERM;
	/* One thread follows the advice, so all memory must be of its process. */
	if (odp->mm != advice->ranges[0].odp->mm)
		return -EINVAL;
	if (svan_advice_is_write(advice) && !READ_ONCE(odp->writable))
		return -EPERM;
	if (!svan_odp_contains(odp, sge->addr, sge->length))
		return -EFAULT;
	return 0;
}

static struct svan_advice *svan_advice_alloc(struct ib_pd *pd,
					     enum ib_uverbs_advise_mr_advice kind,
					     const struct ib_sge *sg_list,
					     u32 num_sge)
{
	struct svan_ib_dev *dev = to_svan_ib_dev(pd->device);
	struct svan_advice *advice;
	int err;
	u32 i;

	advice = kvzalloc(struct_size(advice, ranges, num_sge),
			  GFP_KERNEL_ACCOUNT);
	if (!advice)
		return ERR_PTR(-ENOMEM);
	kref_init(&advice->ref);
	init_completion(&advice->done);
	advice->job.ops = &svan_advice_ops;
	advice->count = num_sge;
	advice->advice = kind;
	advice->prq = dev->prq;
	kref_get(&dev->prq->ref);
	for (i = 0; i < num_sge; i++) {
		err = svan_advice_check(pd, advice, &sg_list[i],
					&advice->ranges[i]);
		if (err) {
			svan_advice_put(advice);
			return ERR_PTR(err);
		}
	}
	return advice;
}

/* Submit the job. If that succeeds, the job has a reference to @advice, too. */
static int svan_advice_submit(struct svan_advice *advice)
{
	const struct mm_struct *mm = advice->ranges[0].odp->mm;
	struct svan_server *server;
	int err;

	server = svan_server_charge(mm, advice->bytes);
	if (IS_ERR(server))
		return PTR_ERR(server);
	advice->server = server;
	kref_get(&advice->ref);
	err = svan_server_submit(mm, &advice->job, SVAN_QUEUE_ADVICE);
	if (err)
		svan_advice_put(advice);
	return err;
}

static int svan_advice_wait(struct svan_advice *advice)
{
	const struct mm_struct *mm = advice->ranges[0].odp->mm;
	int err = -EWOULDBLOCK;

	if (current->mm == mm)
		err = svan_advice_follow(NULL, advice);
	if (err != -EWOULDBLOCK)
		return err;
	err = svan_advice_submit(advice);
	if (err)
		return err;
	if (!wait_for_completion_interruptible(&advice->done))
		return advice->err;
	WRITE_ONCE(advice->given_up, true);
	svan_servers_forget(mm);
	return -EINTR;
}

int svan_ib_advise_mr(struct ib_pd *pd, enum ib_uverbs_advise_mr_advice kind,
		      u32 flags, struct ib_sge *sg_list, u32 num_sge,
		      struct uverbs_attr_bundle *attrs)
{
	struct svan_advice *advice;
	int err;

	if (!to_svan_ib_dev(pd->device)->prq)
		return -EOPNOTSUPP;
	if (kind != IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH &&
	    kind != IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE &&
	    kind != IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
		return -EOPNOTSUPP;
	if (!num_sge)
		return 0;

	advice = svan_advice_alloc(pd, kind, sg_list, num_sge);
	if (IS_ERR(advice))
		return PTR_ERR(advice);
	err = flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH ?
	      svan_advice_wait(advice) : svan_advice_submit(advice);
	svan_advice_put(advice);
	return err;
}
