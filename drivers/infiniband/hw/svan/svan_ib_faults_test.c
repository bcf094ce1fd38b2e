// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the fault path's functions that need no device and no process. */

#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "svan_odp.h"

/* ---- estimates; tests/unit/test_estimate.c tests them with distributions ---- */

static void learn_often(struct svan_estimator *est, u32 fault_class, u32 key, u64 ns)
{
	int i;

	for (i = 0; i < 100; i++)
		svan_est_add(est, fault_class, key,
			     svan_est_get(est, fault_class, key), ns);
}

#define EXPECT_NEAR(test, value, truth) do {				\
	u64 near_value = (value);					\
									\
	KUNIT_EXPECT_GE(test, near_value, (u64)(truth) / 2);		\
	KUNIT_EXPECT_LE(test, near_value, (u64)(truth) * 2);		\
} while (0)

static void estimate_test(struct kunit *test)
{
	struct svan_estimator *est;
	u64 prior;

	est = kunit_kzalloc(test, sizeof(*est), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, est);
	svan_est_reset(est);
	prior = svan_est_get(est, SVAN_FAULT_SWAP_IN, 1);
	KUNIT_EXPECT_GT(test, prior, 0ull);

	learn_often(est, SVAN_FAULT_SWAP_IN, 0, 30000);
	learn_often(est, SVAN_FAULT_SWAP_IN, 1, 40000000);
	learn_often(est, SVAN_FAULT_ZERO_FILL, SVAN_EST_ANY, 8000);
	EXPECT_NEAR(test, svan_est_get(est, SVAN_FAULT_SWAP_IN, 0), 30000);
	EXPECT_NEAR(test, svan_est_get(est, SVAN_FAULT_SWAP_IN, 1), 40000000);
	EXPECT_NEAR(test, svan_est_get(est, SVAN_FAULT_ZERO_FILL, SVAN_EST_ANY),
		    8000);
	KUNIT_EXPECT_EQ(test, 0ull, svan_est_get(est, SVAN_FAULT_UNKNOWN, 0));

	svan_est_reset(est);
	KUNIT_EXPECT_EQ(test, prior, svan_est_get(est, SVAN_FAULT_SWAP_IN, 1));
}

/* ---- invalidations ---- */

struct split_case {
	u64 start;
	u64 end;
	int count;
	struct svan_context_range ranges[SVAN_MAX_INVALIDATIONS];
};

static const struct split_case split_cases[] = {
	{ 0x5000, 0x6000, 1, { { 0x5000, 0 } } },
	{ 0x5000, 0x7000, 1, { { 0x4000, 2 } } },
	{ 0x4000, 0x6000, 1, { { 0x4000, 1 } } },
	{ 0x5008, 0x5010, 1, { { 0x5000, 0 } } },
	/* a huge page, and ranges across a boundary of huge pages */
	{ 0x40000000, 0x40200000, 1, { { 0x40000000, 9 } } },
	{ 0x401ff000, 0x40201000, 2, { { 0x401ff000, 0 }, { 0x40200000, 0 } } },
	{ 0x40100000, 0x40300000, 2, { { 0x40100000, 8 }, { 0x40200000, 8 } } },
	/* the first and the last pages of the address space */
	{ 0, 0x1000, 1, { { 0, 0 } } },
	{ 0x7fffffffe000, 0x7ffffffff000, 1, { { 0x7fffffffe000, 0 } } },
	{ 0x400000000000 - 0x3000, 0x400000002000, 2,
	  { { 0x400000000000 - 0x4000, 2 }, { 0x400000000000, 1 } } },
	/* everything */
	{ 0, U64_MAX, 1, { { 0, SVAN_INV_CONTEXT_ALL } } },
	{ 0x1000, 0x40000000, 1, { { 0, SVAN_INV_CONTEXT_ALL } } },
	{ 0x2000, 0x2000, 1, { { 0, SVAN_INV_CONTEXT_ALL } } },
	{ 0x3000, 0x2000, 1, { { 0, SVAN_INV_CONTEXT_ALL } } },
};

static void split_test(struct kunit *test)
{
	struct svan_context_range ranges[SVAN_MAX_INVALIDATIONS];
	int i, n, count;

	for (i = 0; i < ARRAY_SIZE(split_cases); i++) {
		const struct split_case *c = &split_cases[i];

		count = svan_context_split(c->start, c->end, ranges);
		KUNIT_ASSERT_EQ_MSG(test, count, c->count, "case %d", i);
		for (n = 0; n < count; n++) {
			KUNIT_EXPECT_EQ_MSG(test, ranges[n].addr,
					    c->ranges[n].addr, "case %d", i);
			KUNIT_EXPECT_EQ_MSG(test, ranges[n].log_pages,
					    c->ranges[n].log_pages, "case %d",
					    i);
		}
	}
}

static bool covers(const struct svan_context_range *range, u64 addr)
{
	if (range->log_pages == SVAN_INV_CONTEXT_ALL)
		return true;
	return addr >= range->addr &&
	       addr - range->addr < (u64)PAGE_SIZE << range->log_pages;
}

/* The blocks cover the range, and each one is aligned to its size. */
static void split_covers_test(struct kunit *test)
{
	struct svan_context_range ranges[SVAN_MAX_INVALIDATIONS];
	u64 state = 1, start, addr, pages, size;
	int i, n, count;
	bool covered;

	for (i = 0; i < 20000; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		start = (state >> 20) & 0x7ffffff00000ull;
		start += ((state >> 8) & 0x1ff) << PAGE_SHIFT;
		pages = 1 + (state >> 3) % 33;
		count = svan_context_split(start,
					   start + (pages << PAGE_SHIFT),
					   ranges);
		for (n = 0; n < count; n++) {
			if (ranges[n].log_pages == SVAN_INV_CONTEXT_ALL)
				continue;
			size = (u64)PAGE_SIZE << ranges[n].log_pages;
			KUNIT_ASSERT_TRUE(test, IS_ALIGNED(ranges[n].addr, size));
		}
		for (addr = start; pages--; addr += PAGE_SIZE) {
			covered = covers(&ranges[0], addr) ||
				  (count > 1 && covers(&ranges[1], addr));
			KUNIT_ASSERT_TRUE_MSG(test, covered, "%#llx of %#llx",
					      addr, start);
		}
	}
}

/* ---- classes ---- */

static struct svan_place classify(u8 flags, u64 entry)
{
	struct svan_page_req req = { .flags = flags, .entry = entry };
	struct svan_place place = {};

	svan_classify_entry(&req, &place);
	return place;
}

static void classify_process_test(struct kunit *test)
{
	const u8 process = SVAN_PAGE_REQ_PROCESS;
	struct svan_place place;
	u32 type;

	/* The entries are made by the kernel's own functions. */
	for (type = 0; type < MAX_SWAPFILES; type++) {
		pte_t pte = swp_entry_to_pte(swp_entry(type, 12345));

		place = classify(process, pte_val(pte));
		KUNIT_EXPECT_EQ(test, place.fault_class, SVAN_FAULT_SWAP_IN);
		KUNIT_EXPECT_EQ(test, place.key, type);
	}
#ifdef CONFIG_MIGRATION
	place = classify(process,
			 pte_val(swp_entry_to_pte(make_writable_migration_entry(77))));
	KUNIT_EXPECT_EQ(test, place.fault_class, SVAN_FAULT_MIGRATION);
	place = classify(process,
			 pte_val(swp_entry_to_pte(make_readable_migration_entry(77))));
	KUNIT_EXPECT_EQ(test, place.fault_class, SVAN_FAULT_MIGRATION);
#endif
	place = classify(process | SVAN_PAGE_REQ_PROTECTED, 0x8000000000000865);
	KUNIT_EXPECT_EQ(test, place.fault_class, SVAN_FAULT_COPY_ON_WRITE);
	place = classify(process, 0);
	KUNIT_EXPECT_EQ(test, place.fault_class, SVAN_FAULT_UNKNOWN);
}

static void classify_key_test(struct kunit *test)
{
	struct svan_place place;
	u32 c;

	for (c = 0; c < SVAN_FAULT_CLASS_COUNT; c++) {
		place = classify(0, svan_mtt_absent(c, 1000));
		KUNIT_EXPECT_EQ(test, place.fault_class, c);
		KUNIT_EXPECT_EQ(test, place.key, SVAN_EST_ANY);
	}
	place = classify(SVAN_PAGE_REQ_PROTECTED, 0x1001);
	KUNIT_EXPECT_EQ(test, place.fault_class, SVAN_FAULT_COPY_ON_WRITE);
}

static void location_test(struct kunit *test)
{
	struct svan_place place;
	u32 i;

	for (i = 0; i < SVAN_LOCATION_COUNT; i++) {
		svan_classify_location(i, &place);
		KUNIT_EXPECT_LT(test, place.fault_class,
				(u32)SVAN_FAULT_CLASS_COUNT);
	}
	svan_classify_location(SVAN_LOCATION_NONE, &place);
	KUNIT_EXPECT_EQ(test, place.fault_class, SVAN_FAULT_ZERO_FILL);
	svan_classify_location(SVAN_LOCATION_SWAP + 4, &place);
	KUNIT_EXPECT_EQ(test, place.fault_class, SVAN_FAULT_SWAP_IN);
	KUNIT_EXPECT_EQ(test, place.key, 4u);
}

/* ---- tables of on-demand keys ---- */

#define TREE_PAGES	(1ull << (3 * SVAN_MTT_INDEX_BITS))
#define LEAF_OF(n)	((u64)(n) << SVAN_MTT_INDEX_BITS)

struct tree {
	struct device *dma_dev;
	struct svan_radix radix;
	struct list_head dead;
};

static void tree_init(struct kunit *test, struct tree *tree, u64 pages)
{
	tree->dma_dev = kunit_device_register(test, "svan_radix");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tree->dma_dev);
	tree->dma_dev->dma_mask = &tree->dma_dev->coherent_dma_mask;
	KUNIT_ASSERT_EQ(test, 0, dma_set_mask_and_coherent(tree->dma_dev,
							   DMA_BIT_MASK(64)));
	INIT_LIST_HEAD(&tree->dead);
	KUNIT_ASSERT_EQ(test, 0, svan_radix_init(&tree->radix, tree->dma_dev,
						 pages));
}

/* Walk down from the root to the first absent entry, as the device does. */
static u64 tree_walk(struct tree *tree, u64 page)
{
	u64 entry = svan_mtt_present(tree->radix.root, 0);
	const __le64 *table;
	int level;

	for (level = tree->radix.levels - 1; level >= 0; level--) {
		if (!(entry & SVAN_MTT_PRESENT))
			break;
		table = phys_to_virt(dma_to_phys(tree->dma_dev,
						 entry & SVAN_MTT_ADDR_MASK));
		entry = le64_to_cpu(table[(page >> level * SVAN_MTT_INDEX_BITS) %
					  SVAN_MTT_TABLE_ENTRIES]);
	}
	return entry;
}

static u32 tree_prune(struct tree *tree, u64 page)
{
	u32 before = tree->radix.count;

	svan_radix_prune(&tree->radix, page, &tree->dead);
	svan_radix_bury(&tree->radix, &tree->dead);
	return before - tree->radix.count;
}

static void tree_grow_test(struct kunit *test)
{
	u64 pages[] = { 0, 511, 512, TREE_PAGES / 2, TREE_PAGES - 1 };
	struct tree tree;
	u64 entry;
	int i;

	tree_init(test, &tree, TREE_PAGES);
	KUNIT_EXPECT_EQ(test, tree.radix.levels, 3);
	KUNIT_EXPECT_EQ(test, tree.radix.count, 1u);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		entry = svan_mtt_present(pages[i] << PAGE_SHIFT, i % 2);
		KUNIT_EXPECT_EQ(test, tree_walk(&tree, pages[i]), 0ull);
		KUNIT_ASSERT_EQ(test, 0, svan_radix_grow(&tree.radix, pages[i]));
		svan_radix_set(&tree.radix, pages[i], entry);
		KUNIT_EXPECT_EQ(test, tree_walk(&tree, pages[i]), entry);
		KUNIT_EXPECT_EQ(test, svan_radix_get(&tree.radix, pages[i]),
				entry);
	}
	/* These are the root, three tables of 1 GiB and four of 2 MiB. */
	KUNIT_EXPECT_EQ(test, tree.radix.count, 8u);
	svan_radix_destroy(&tree.radix);
}

/* The tables that lead to a present page stay. */
static void tree_prune_test(struct kunit *test)
{
	u64 entry = svan_mtt_present(0x1000, 1);
	struct tree tree;

	tree_init(test, &tree, TREE_PAGES);
	KUNIT_ASSERT_EQ(test, 0, svan_radix_grow(&tree.radix, LEAF_OF(1)));
	KUNIT_ASSERT_EQ(test, 0, svan_radix_grow(&tree.radix, LEAF_OF(2)));
	svan_radix_set(&tree.radix, LEAF_OF(1) + 3, entry);
	svan_radix_set(&tree.radix, LEAF_OF(1) + 4, entry);
	svan_radix_set(&tree.radix, LEAF_OF(2) + 5, entry);

	KUNIT_EXPECT_EQ(test, tree_prune(&tree, LEAF_OF(1)), 0u);
	KUNIT_EXPECT_TRUE(test, svan_radix_clear(&tree.radix, LEAF_OF(1),
						 LEAF_OF(1) + 3, 0x10002));
	KUNIT_EXPECT_EQ(test, tree_walk(&tree, LEAF_OF(1) + 3), 0x10002ull);
	KUNIT_EXPECT_EQ(test, tree_prune(&tree, LEAF_OF(1)), 0u);
	KUNIT_EXPECT_EQ(test, tree_walk(&tree, LEAF_OF(1) + 4), entry);

	KUNIT_EXPECT_TRUE(test, svan_radix_clear(&tree.radix, LEAF_OF(1),
						 LEAF_OF(1) + 511, 0x10002));
	KUNIT_EXPECT_FALSE(test, svan_radix_clear(&tree.radix, LEAF_OF(1),
						  LEAF_OF(1) + 511, 0));
	/* Absent entries do not keep a table. */
	KUNIT_EXPECT_EQ(test, tree_prune(&tree, LEAF_OF(1)), 1u);
	KUNIT_EXPECT_EQ(test, tree_walk(&tree, LEAF_OF(1) + 3), 0ull);
	KUNIT_EXPECT_EQ(test, tree_walk(&tree, LEAF_OF(2) + 5), entry);
	KUNIT_EXPECT_EQ(test, tree_prune(&tree, LEAF_OF(1)), 0u);

	KUNIT_EXPECT_TRUE(test, svan_radix_clear(&tree.radix, LEAF_OF(2),
						 LEAF_OF(2) + 511, 0));
	KUNIT_EXPECT_EQ(test, tree_prune(&tree, LEAF_OF(2)), 2u);
	KUNIT_EXPECT_EQ(test, tree.radix.count, 1u);
	KUNIT_EXPECT_EQ(test, tree_walk(&tree, LEAF_OF(2) + 5), 0ull);
	svan_radix_destroy(&tree.radix);
}

/* A small tree consists of the root alone. */
static void tree_small_test(struct kunit *test)
{
	struct tree tree;

	tree_init(test, &tree, SVAN_MTT_TABLE_ENTRIES);
	KUNIT_EXPECT_EQ(test, tree.radix.levels, 1);
	KUNIT_EXPECT_EQ(test, 0, svan_radix_grow(&tree.radix, 511));
	svan_radix_set(&tree.radix, 511, svan_mtt_present(0x2000, 0));
	KUNIT_EXPECT_TRUE(test, svan_radix_clear(&tree.radix, 511, 511, 0));
	KUNIT_EXPECT_EQ(test, tree_prune(&tree, 511), 0u);
	KUNIT_EXPECT_EQ(test, tree.radix.count, 1u);
	svan_radix_destroy(&tree.radix);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			svan_radix_init(&tree.radix, tree.dma_dev,
					(TREE_PAGES <<
					 (SVAN_MTT_MAX_LEVELS - 3) *
					 SVAN_MTT_INDEX_BITS) + 1));
}

static struct kunit_case svan_ib_faults_cases[] = {
	KUNIT_CASE(estimate_test),
	KUNIT_CASE(split_test),
	KUNIT_CASE(split_covers_test),
	KUNIT_CASE(classify_process_test),
	KUNIT_CASE(classify_key_test),
	KUNIT_CASE(location_test),
	KUNIT_CASE(tree_grow_test),
	KUNIT_CASE(tree_prune_test),
	KUNIT_CASE(tree_small_test),
	{}
};

static struct kunit_suite svan_ib_faults_suite = {
	.name = "svan_ib_faults",
	.test_cases = svan_ib_faults_cases,
};

kunit_test_suite(svan_ib_faults_suite);

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests of svan_ib's faults");
MODULE_LICENSE("GPL");
