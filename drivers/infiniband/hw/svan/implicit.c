// SPDX-License-Identifier: GPL-2.0-only
/*
 * The whole address space through an on-demand key, where the device cannot
 * walk the process's own page table (a vIOMMU, one CPU). The table of the key
 * covers all of it and grows where it is used; each of its leaf tables, 2 MiB
 * of addresses, has a umem of its own that is made with the first fault there
 * and stays until the region is deregistered.
 */

#include <linux/slab.h>

#include "svan_odp.h"

#define SVAN_CHILD_SHIFT	(PAGE_SHIFT + SVAN_MTT_INDEX_BITS)

/* The interval notifier may come at once; it finds no pages and no owner. */
static struct ib_umem_odp *svan_odp_add_child(struct svan_odp *odp, u64 number)
{
	struct ib_umem_odp *child;
	int err;

	child = ib_umem_odp_alloc_child(odp->umem, number << SVAN_CHILD_SHIFT,
					1ul << SVAN_CHILD_SHIFT,
					&svan_odp_notifier_ops);
	if (IS_ERR(child))
		return child;

	mutex_lock(&child->umem_mutex);
	child->private = odp;
	mutex_unlock(&child->umem_mutex);
	err = xa_err(xa_store(&odp->children, number, child, GFP_KERNEL));
	if (err) {
		ib_umem_odp_release(child);
		return ERR_PTR(err);
	}
	return child;
}

/**
 * svan_odp_child - the part of an implicit region that an address is in
 * @odp: the region
 * @user: the address
 *
 * Return: the umem, made if there was none, or an error pointer.
 */
struct ib_umem_odp *svan_odp_child(struct svan_odp *odp, u64 user)
{
	u64 number = user >> SVAN_CHILD_SHIFT;
	struct ib_umem_odp *child;

	lockdep_assert_held(&odp->lock);
	child = xa_load(&odp->children, number);
	return child ?: svan_odp_add_child(odp, number);
}

/* The region is gone and its key destroyed. */
void svan_odp_release_children(struct svan_odp *odp)
{
	struct ib_umem_odp *child;
	unsigned long number;

	xa_for_each(&odp->children, number, child) {
		ib_umem_odp_release(child);
		cond_resched();
	}
	xa_destroy(&odp->children);
}
