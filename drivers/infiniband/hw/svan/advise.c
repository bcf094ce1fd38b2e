// SPDX-License-Identifier: GPL-2.0-only
/*
 * ibv_advise_mr(): pages are brought in before the device asks for them. Of a
 * process key this is a matter of the process's page table alone.
 *
 * Advice never waits for user space: pages that a userfaultfd serves are left
 * to the faults.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "svan_odp.h"
#include "svan_ib_trace.h"

/* pages that are faulted in before they are entered */
#define SVAN_ADVISE_BYTES	((u64)PAGE_SIZE << SVAN_MTT_INDEX_BITS)

/**
 * struct svan_advice_range - one element of the advice
 * @odp: the region; counted
 * @addr: first address
 * @length: bytes
 */
struct svan_advice_range {
	struct svan_odp *odp;
	u64 addr;
	u32 length;
};

/**
 * struct svan_advice - a call of ibv_advise_mr()
 * @work: if nobody waits for it
 * @waiter: who does @work
 * @prq: counted, for the sake of @waiter
 * @advice: what kind
 * @count: of @ranges
 * @ranges: the memory
 */
struct svan_advice {
	struct work_struct work;
	struct svan_waiter waiter;
	struct svan_prq *prq;
	enum ib_uverbs_advise_mr_advice advice;
	u32 count;
	struct svan_advice_range ranges[] __counted_by(count);
};

static bool svan_advice_is_write(const struct svan_advice *advice)
{
	return advice->advice == IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE;
}

/* Fault in, up to the first page that will not come. */
static int svan_advice_fault(struct svan_advice *advice, struct svan_odp *odp,
			     u64 addr, u64 end)
{
	u32 how = SVAN_IN_NO_USER |
		  (svan_advice_is_write(advice) ? SVAN_IN_WRITE : 0);
	int err;

	for (; addr < end; addr = (addr & PAGE_MASK) + PAGE_SIZE) {
		if (READ_ONCE(odp->gone))
			return -ESRCH;
		err = svan_fault_in(odp->mm, svan_odp_user_addr(odp, addr),
				    how);
		if (err && err != -EWOULDBLOCK)
			return err;
		cond_resched();
	}
	return 0;
}

static int svan_advice_chunk(struct svan_advice *advice, struct svan_odp *odp,
			     u64 addr, u64 end)
{
	bool fault = advice->advice !=
		     IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT;
	u32 entered = 0;
	int ret = 0;

	if (fault)
		ret = svan_advice_fault(advice, odp, addr, end);
	if (ret)
		return ret;
	if (odp->kind == SVAN_KEY_PROCESS) {
		entered = fault ? ((end - 1) >> PAGE_SHIFT) -
				  (addr >> PAGE_SHIFT) + 1 : 0;
	} else {
		ret = svan_odp_enter(odp, addr, end - addr,
				     svan_advice_is_write(advice), &entered);
		if (ret < 0 && ret != -EBUSY)
			return ret;
	}
	atomic64_add(entered, &odp->prefetches);
	return 0;
}

/* In pieces that end where those of an implicit region do. */
static int svan_advice_range(struct svan_advice *advice,
			     const struct svan_advice_range *range)
{
	struct svan_odp *odp = range->odp;
	u64 addr = range->addr, end = addr + range->length, next;
	int err = 0;

	if (!mmget_not_zero(odp->mm))
		return -ESRCH;
	for (; addr < end && !err; addr = next) {
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		if (advice->advice ==
		    IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
			addr = svan_odp_next(odp, addr, end);
		if (addr >= end)
			break;
		next = min(ALIGN_DOWN(addr, SVAN_ADVISE_BYTES) +
			   SVAN_ADVISE_BYTES, end);
		err = svan_advice_chunk(advice, odp, addr, next);
	}
	mmput_async(odp->mm);
	return err;
}

static int svan_advice_follow(struct svan_advice *advice)
{
	int err = 0;
	u32 i;

	for (i = 0; i < advice->count && !err; i++)
		err = svan_advice_range(advice, &advice->ranges[i]);
	return err;
}

static void svan_advice_free(struct svan_advice *advice)
{
	u32 i;

	for (i = 0; i < advice->count; i++)
		if (advice->ranges[i].odp)
			svan_odp_put(advice->ranges[i].odp);
	svan_prq_put(advice->prq);
	kvfree(advice);
}

/* A signal that was meant for somebody else costs no more than the advice. */
static void svan_advice_work(struct work_struct *work)
{
	struct svan_advice *advice = container_of(work, struct svan_advice,
						  work);

	svan_prq_listen(advice->prq, &advice->waiter, NULL);
	svan_advice_follow(advice);
	svan_prq_deafen(advice->prq, &advice->waiter);
	svan_advice_free(advice);
}

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
	range->length = sge->length;
	if (READ_ONCE(odp->pd) != pd)
		return -EPERM;
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

	advice = kvzalloc(struct_size(advice, ranges, num_sge), GFP_KERNEL);
	if (!advice)
		return ERR_PTR(-ENOMEM);
	advice->count = num_sge;
	advice->advice = kind;
	advice->prq = dev->prq;
	kref_get(&dev->prq->ref);
	INIT_WORK(&advice->work, svan_advice_work);
	for (i = 0; i < num_sge; i++) {
		err = svan_advice_check(pd, advice, &sg_list[i],
					&advice->ranges[i]);
		if (err) {
			svan_advice_free(advice);
			return ERR_PTR(err);
		}
	}
	return advice;
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

	advice = svan_advice_alloc(pd, kind, sg_list, num_sge);
	if (IS_ERR(advice))
		return PTR_ERR(advice);
	if (!(flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH)) {
		queue_work(svan_fault_wq, &advice->work);
		return 0;
	}
	err = svan_advice_follow(advice);
	svan_advice_free(advice);
	return err;
}
