/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * QPN to QP: two levels, so that pollers look up without a lock. It knows nothing
 * of libibverbs, so that it is tested by itself.
 *
 * The index within the number is what selects: so the table does not grow with
 * queue pairs that come and go. The rest of the number tells apart those that
 * follow each other at an index.
 *
 * Who stores and removes holds the table's mutex. Leaves stay until the end.
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

/* NULL: nothing was ever stored near it. */
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
 * The caller holds the lock of a CQ that has an entry of @qpn, which keeps the QP
 * alive. The number that is read is the one of the QP or of a successor: so an
 * entry of a QP that is gone gives NULL, and never its successor, which may have
 * other CQs.
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
 * In place of a QP that the device has destroyed and whose owner has not come to
 * svan_qp_table_remove() yet. ENOMEM without memory.
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
