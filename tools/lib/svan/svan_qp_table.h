/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The table that finds a QP by its number. It has two levels, and pollers look up
 * without its lock. The table knows nothing of libibverbs, so that it can be tested
 * by itself.
 *
 * The index within the number selects the entry, so the table does not grow
 * however many QPs come and go. The rest of the number, the variant, tells apart
 * QPs that have had the same index one after the other.
 *
 * Whoever stores or removes a QP holds the table's mutex. Leaves are freed only
 * with the table.
 */
#ifndef SVAN_QP_TABLE_H
#define SVAN_QP_TABLE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include <svan/queues.h>

#define SVAN_LEAF_SHIFT		8
#define SVAN_LEAF_SIZE		(1u << SVAN_LEAF_SHIFT)
#define SVAN_QP_TABLE_SIZE		((SVAN_QN_INDEX_MASK + 1) >> SVAN_LEAF_SHIFT)

struct svan_qp;

struct svan_qp_table_entry {
	_Atomic uint32_t qpn;		/* written before qp, read after it */
	struct svan_qp *_Atomic qp;
};

struct svan_qp_table_leaf {
	struct svan_qp_table_entry entries[SVAN_LEAF_SIZE];
};

struct svan_qp_table {
	struct svan_qp_table_leaf *_Atomic leaves[SVAN_QP_TABLE_SIZE];
};

/* The entry for @qpn, or NULL if its leaf does not exist. */
static inline struct svan_qp_table_entry *
svan_qp_table_entry(struct svan_qp_table *table, uint32_t qpn)
{
	uint32_t index = qpn & SVAN_QN_INDEX_MASK;
	struct svan_qp_table_leaf *leaf;

	leaf = atomic_load_explicit(&table->leaves[index >> SVAN_LEAF_SHIFT],
				    memory_order_acquire);
	return leaf ? &leaf->entries[index & (SVAN_LEAF_SIZE - 1)] : NULL;
}

/*
 * Return the QP, or NULL if it is gone. The caller holds the lock of a CQ that has
 * a completion of @qpn. A QP is freed only after the locks of its CQs were taken
 * (svan_remove_qp()), so the result stays valid. The entry's number is that of the
 * QP that was read or of a later one. So a completion of a QP that is gone never
 * yields a later QP of the same index, which may have other CQs.
 */
static inline struct svan_qp *svan_qp_table_find(struct svan_qp_table *table,
						 uint32_t qpn)
{
	struct svan_qp_table_entry *entry = svan_qp_table_entry(table, qpn);
	struct svan_qp *qp;

	if (!entry)
		return NULL;
	qp = atomic_load_explicit(&entry->qp, memory_order_acquire);
	return atomic_load_explicit(&entry->qpn, memory_order_relaxed) == qpn ?
	       qp : NULL;
}

/*
 * Store a QP. The entry may still hold an earlier QP, which the device has
 * destroyed but whose owner has not yet called svan_qp_table_remove(). Return 0 or
 * ENOMEM.
 */
static inline int svan_qp_table_store(struct svan_qp_table *table, uint32_t qpn,
				      struct svan_qp *qp)
{
	uint32_t at = (qpn & SVAN_QN_INDEX_MASK) >> SVAN_LEAF_SHIFT;
	struct svan_qp_table_entry *entry;

	if (!table->leaves[at]) {
		table->leaves[at] = calloc(1, sizeof(struct svan_qp_table_leaf));
		if (!table->leaves[at])
			return ENOMEM;
	}
	entry = svan_qp_table_entry(table, qpn);
	atomic_store_explicit(&entry->qpn, qpn, memory_order_relaxed);
	atomic_store_explicit(&entry->qp, qp, memory_order_release);
	return 0;
}

/* Remove a QP, unless a later one has taken its place in the entry. */
static inline void svan_qp_table_remove(struct svan_qp_table *table, uint32_t qpn,
					struct svan_qp *qp)
{
	struct svan_qp_table_entry *entry = svan_qp_table_entry(table, qpn);

	if (entry && entry->qp == qp)
		entry->qp = NULL;
}

static inline void svan_qp_table_free(struct svan_qp_table *table)
{
	uint32_t at;

	for (at = 0; at < SVAN_QP_TABLE_SIZE; at++)
		free(table->leaves[at]);
}

#endif /* SVAN_QP_TABLE_H */
