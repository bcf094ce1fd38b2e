// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of the functions of svan_ib that need no device. */

#include <kunit/test.h>
#include <linux/module.h>

#include "svan_ib.h"

static const struct svan_caps test_caps = {
	.max_qp_wqebb = cpu_to_le32(1 << 12),
	.max_qp_rwqe = cpu_to_le32(1 << 10),
	.max_cqe = cpu_to_le32(1 << 14),
	.max_sge = cpu_to_le16(30),
	.max_inline = cpu_to_le16(480),
};

/* ---- translation tables ---- */

struct mtt_case {
	u64 va;
	u64 length;
	u8 page_shift;
	int err;
	u64 pages;
	u8 levels;
	u32 num_tables;
};

static const struct mtt_case mtt_cases[] = {
	{ 0x1000, 0, 12, -EINVAL },
	{ 0x1000, 1, 12, 0, 1, 0, 0 },
	{ 0x1fff, 1, 12, 0, 1, 0, 0 },
	{ 0x1fff, 2, 12, 0, 2, 1, 1 },
	{ 0x1000, 4096, 12, 0, 1, 0, 0 },
	{ 0x1800, 4096, 12, 0, 2, 1, 1 },
	{ 0, 512 * 4096, 12, 0, 512, 1, 1 },
	{ 0, 512 * 4096 + 1, 12, 0, 513, 2, 3 },
	{ 0, 1ull << 30, 12, 0, 1 << 18, 2, 513 },
	{ 0, (1ull << 30) + 1, 12, 0, (1 << 18) + 1, 3, 513 + 1 + 2 },
	{ 0, 1ull << 30, 21, 0, 512, 1, 1 },
	{ 0x200000 - 1, 2, 21, 0, 2, 1, 1 },
	{ 0, 1ull << 30, 30, 0, 1, 0, 0 },
	/* the last bytes of the address space */
	{ 0ull - 4096, 4096, 12, 0, 1, 0, 0 },
	{ 0ull - 4096, 4097, 12, -EINVAL },
	{ 1, U64_MAX, 12, -EINVAL },
	/* the largest tree, and one that would need another level */
	{ 0, 1ull << 48, 12, 0, 1ull << 36, 4, (1 << 27) + (1 << 18) + 513 },
	{ 0, (1ull << 48) + 1, 12, -EINVAL },
};

static void mtt_layout_test(struct kunit *test)
{
	struct svan_mtt_layout layout;
	int i;

	for (i = 0; i < ARRAY_SIZE(mtt_cases); i++) {
		const struct mtt_case *c = &mtt_cases[i];
		int err = svan_mtt_layout_init(&layout, c->va, c->length,
					       c->page_shift);

		KUNIT_ASSERT_EQ_MSG(test, err, c->err, "case %d", i);
		if (err)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, layout.pages, c->pages, "case %d", i);
		KUNIT_EXPECT_EQ_MSG(test, layout.levels, c->levels, "case %d", i);
		KUNIT_EXPECT_EQ_MSG(test, layout.num_tables, c->num_tables,
				    "case %d", i);
	}
}

/* Walk down from the root, as the device does. Return the number of the leaf table. */
static u32 walk(const struct svan_mtt_layout *layout, u64 page)
{
	u32 table = 0, level = layout->levels - 1;

	while (level) {
		u32 slot = page >> (level * SVAN_MTT_INDEX_BITS) &
			   (SVAN_MTT_TABLE_ENTRIES - 1);
		u32 child = layout->first[level - 1] +
			    table * SVAN_MTT_TABLE_ENTRIES + slot;

		table = child - layout->first[level - 1];
		level--;
	}
	return table;
}

/* Every table has a parent of a larger number, where the device will look for it. */
static void mtt_parent_test(struct kunit *test)
{
	struct svan_mtt_layout layout;
	u32 i, slot, parent;
	u64 page = (1ull << 18) + 5;

	KUNIT_ASSERT_EQ(test, 0, svan_mtt_layout_init(&layout, 0x1000,
						      (1ull << 31) + 1, 12));
	KUNIT_ASSERT_EQ(test, layout.levels, 3);
	for (i = 0; i + 1 < layout.num_tables; i++) {
		parent = svan_mtt_parent(&layout, i, &slot);
		KUNIT_EXPECT_GT(test, parent, i);
		KUNIT_EXPECT_LT(test, parent, layout.num_tables);
		KUNIT_EXPECT_LT(test, slot, (u32)SVAN_MTT_TABLE_ENTRIES);
	}

	/* A page's leaf table has the number page / 512; its parents follow the tree. */
	KUNIT_EXPECT_EQ(test, walk(&layout, page), (u32)(page >> 9));
	parent = svan_mtt_parent(&layout, page >> 9, &slot);
	KUNIT_EXPECT_EQ(test, slot, (u32)(page >> 9 & 511));
	KUNIT_EXPECT_EQ(test, parent, layout.first[1] + (u32)(page >> 18));
	parent = svan_mtt_parent(&layout, parent, &slot);
	KUNIT_EXPECT_EQ(test, slot, (u32)(page >> 18 & 511));
	KUNIT_EXPECT_EQ(test, parent, layout.num_tables - 1);
}

/* ---- requests of users ---- */

static struct svan_ureq_create_cq good_cq_ureq(void)
{
	return (struct svan_ureq_create_cq) {
		.buf_va = 0x7f0000000000,
		.buf_length = 256 * 64 + 4096,
		.dbr_offset = 256 * 64,
		.log_size = 8,
	};
}

static int check_cq_ureq(const struct svan_ureq_create_cq *ureq)
{
	return svan_ib_check_cq_ureq(ureq, &test_caps, 200);
}

#define EXPECT_BAD_CQ(test, field, value) do {				\
	struct svan_ureq_create_cq bad_cq = good_cq_ureq();			\
									\
	bad_cq.field = (value);						\
	KUNIT_EXPECT_EQ(test, check_cq_ureq(&bad_cq), -EINVAL);		\
} while (0)

static void cq_ureq_test(struct kunit *test)
{
	struct svan_ureq_create_cq ureq = good_cq_ureq();

	KUNIT_EXPECT_EQ(test, check_cq_ureq(&ureq), 0);
	/* The record comes right behind the entries, and the buffer ends with it. */
	ureq.buf_length = 256 * 64 + 64;
	KUNIT_EXPECT_EQ(test, check_cq_ureq(&ureq), 0);

	EXPECT_BAD_CQ(test, buf_va, 0x7f0000000040);
	EXPECT_BAD_CQ(test, buf_va, U64_MAX & PAGE_MASK);
	EXPECT_BAD_CQ(test, buf_length, 0);
	EXPECT_BAD_CQ(test, buf_length, 256 * 64 + 63);
	EXPECT_BAD_CQ(test, buf_length, U64_MAX);
	EXPECT_BAD_CQ(test, dbr_offset, 256 * 64 + 4);
	EXPECT_BAD_CQ(test, dbr_offset, 256 * 64 - 64);
	EXPECT_BAD_CQ(test, dbr_offset, 0);
	EXPECT_BAD_CQ(test, dbr_offset, U32_MAX & ~63u);
	EXPECT_BAD_CQ(test, log_size, 7);	/* fewer than 200 */
	EXPECT_BAD_CQ(test, log_size, 9);
	EXPECT_BAD_CQ(test, log_size, 15);
	EXPECT_BAD_CQ(test, log_size, 32);
	EXPECT_BAD_CQ(test, log_size, 64);
	EXPECT_BAD_CQ(test, log_size, U32_MAX);
}

/* Of 200 entries, each of 3 pieces. */
static struct svan_ureq_create_srq good_srq_ureq(void)
{
	return (struct svan_ureq_create_srq) {
		.buf_va = 0x7f0000000000,
		.buf_length = 256 * 64 + 4096,
		.dbr_offset = 256 * 64,
		.log_size = 8,
		.log_stride = 6,
	};
}

static int check_srq_ureq(const struct svan_ureq_create_srq *ureq)
{
	const struct ib_srq_attr attr = { .max_wr = 200, .max_sge = 3 };

	return svan_ib_check_srq_ureq(ureq, &test_caps, &attr);
}

#define EXPECT_BAD_SRQ(test, field, value) do {				\
	struct svan_ureq_create_srq bad_srq = good_srq_ureq();		\
									\
	bad_srq.field = (value);					\
	KUNIT_EXPECT_EQ(test, check_srq_ureq(&bad_srq), -EINVAL);	\
} while (0)

static void srq_ureq_test(struct kunit *test)
{
	struct svan_ureq_create_srq ureq = good_srq_ureq();

	KUNIT_EXPECT_EQ(test, check_srq_ureq(&ureq), 0);
	ureq.buf_length = 256 * 64 + 64;
	KUNIT_EXPECT_EQ(test, check_srq_ureq(&ureq), 0);

	EXPECT_BAD_SRQ(test, buf_va, 0x7f0000000040);
	EXPECT_BAD_SRQ(test, buf_va, U64_MAX & PAGE_MASK);
	EXPECT_BAD_SRQ(test, buf_length, 0);
	EXPECT_BAD_SRQ(test, buf_length, 256 * 64 + 63);
	EXPECT_BAD_SRQ(test, buf_length, U64_MAX);
	EXPECT_BAD_SRQ(test, dbr_offset, 256 * 64 + 4);
	EXPECT_BAD_SRQ(test, dbr_offset, 256 * 64 - 64);
	EXPECT_BAD_SRQ(test, dbr_offset, U32_MAX & ~63u);
	EXPECT_BAD_SRQ(test, log_size, 7);	/* fewer than 200 */
	EXPECT_BAD_SRQ(test, log_size, 9);
	EXPECT_BAD_SRQ(test, log_size, 11);
	EXPECT_BAD_SRQ(test, log_size, 255);
	EXPECT_BAD_SRQ(test, log_stride, 5);	/* fewer than 3 */
	EXPECT_BAD_SRQ(test, log_stride, 7);
	EXPECT_BAD_SRQ(test, log_stride, 0);
	EXPECT_BAD_SRQ(test, log_stride, 255);
	EXPECT_BAD_SRQ(test, reserved[0], 1);
	EXPECT_BAD_SRQ(test, reserved[1], 1);
}

static struct svan_ureq_create_qp good_qp_ureq(void)
{
	return (struct svan_ureq_create_qp) {
		.buf_va = 0x7f0000000000,
		.buf_length = 3 * 4096,
		.sq_offset = 0,
		.rq_offset = 4096,
		.dbr_offset = 8192,
		.log_sq_bbs = 6,
		.log_rq_size = 7,
		.log_rq_stride = 5,
	};
}

static int check_qp_ureq(const struct svan_ureq_create_qp *ureq)
{
	return svan_ib_check_qp_ureq(ureq, &test_caps);
}

#define EXPECT_BAD_QP(test, field, value) do {				\
	struct svan_ureq_create_qp bad_qp = good_qp_ureq();			\
									\
	bad_qp.field = (value);						\
	KUNIT_EXPECT_EQ(test, check_qp_ureq(&bad_qp), -EINVAL);		\
} while (0)

static void qp_ureq_test(struct kunit *test)
{
	struct svan_ureq_create_qp ureq = good_qp_ureq();

	KUNIT_EXPECT_EQ(test, check_qp_ureq(&ureq), 0);
	/* The parts may come in any order. */
	ureq.sq_offset = 8192;
	ureq.dbr_offset = 0;
	KUNIT_EXPECT_EQ(test, check_qp_ureq(&ureq), 0);
	/* There may be no receive queue. */
	ureq = good_qp_ureq();
	ureq.log_rq_stride = 0;
	ureq.log_rq_size = 0;
	ureq.rq_offset = 0;
	KUNIT_EXPECT_EQ(test, check_qp_ureq(&ureq), 0);
	ureq.rq_offset = 4096;
	KUNIT_EXPECT_EQ(test, check_qp_ureq(&ureq), -EINVAL);

	EXPECT_BAD_QP(test, buf_va, 0x7f0000000800);
	EXPECT_BAD_QP(test, buf_length, 0);
	EXPECT_BAD_QP(test, buf_length, 8192 + 63);
	EXPECT_BAD_QP(test, buf_length, U64_MAX - 4096);
	EXPECT_BAD_QP(test, sq_offset, 32);
	EXPECT_BAD_QP(test, sq_offset, 4096);
	EXPECT_BAD_QP(test, sq_offset, U32_MAX & ~63u);
	EXPECT_BAD_QP(test, rq_offset, 4096 - 64);
	EXPECT_BAD_QP(test, rq_offset, 4096 + 64);
	EXPECT_BAD_QP(test, rq_offset, 12288);
	EXPECT_BAD_QP(test, dbr_offset, 4096);
	EXPECT_BAD_QP(test, dbr_offset, 8192 + 32);
	EXPECT_BAD_QP(test, dbr_offset, 12288);
	EXPECT_BAD_QP(test, log_sq_bbs, 13);
	EXPECT_BAD_QP(test, log_sq_bbs, 255);
	EXPECT_BAD_QP(test, log_rq_size, 11);
	EXPECT_BAD_QP(test, log_rq_size, 255);
	EXPECT_BAD_QP(test, log_rq_stride, 4);
	EXPECT_BAD_QP(test, log_rq_stride, 10);
	EXPECT_BAD_QP(test, log_rq_stride, 255);
	EXPECT_BAD_QP(test, reserved, 1);
}

static void qp_cap_test(struct kunit *test)
{
	struct ib_qp_cap cap = {
		.max_send_wr = 1 << 12,
		.max_recv_wr = 1 << 10,
		.max_send_sge = 30,
		.max_recv_sge = 30,
		.max_inline_data = 480,
	};

	KUNIT_EXPECT_EQ(test, svan_ib_check_qp_cap(&cap, &test_caps), 0);
	cap.max_send_wr++;
	KUNIT_EXPECT_EQ(test, svan_ib_check_qp_cap(&cap, &test_caps), -EINVAL);
	cap.max_send_wr = 0;
	cap.max_recv_wr = U32_MAX;
	KUNIT_EXPECT_EQ(test, svan_ib_check_qp_cap(&cap, &test_caps), -EINVAL);
	cap.max_recv_wr = 0;
	cap.max_send_sge = 31;
	KUNIT_EXPECT_EQ(test, svan_ib_check_qp_cap(&cap, &test_caps), -EINVAL);
	cap.max_send_sge = 0;
	cap.max_recv_sge = 31;
	KUNIT_EXPECT_EQ(test, svan_ib_check_qp_cap(&cap, &test_caps), -EINVAL);
	cap.max_recv_sge = 0;
	cap.max_inline_data = 481;
	KUNIT_EXPECT_EQ(test, svan_ib_check_qp_cap(&cap, &test_caps), -EINVAL);
}

/* ---- values of verbs and of the device ---- */

static void access_test(struct kunit *test)
{
	u32 access;

	KUNIT_EXPECT_EQ(test, svan_ib_mr_access(0, &access), 0);
	KUNIT_EXPECT_EQ(test, access, 0);

	KUNIT_EXPECT_EQ(test, 0,
			svan_ib_mr_access(IB_ACCESS_LOCAL_WRITE |
					  IB_ACCESS_REMOTE_ATOMIC |
					  IB_ACCESS_HUGETLB |
					  IB_ACCESS_RELAXED_ORDERING |
					  IB_UVERBS_ACCESS_OPTIONAL_LAST,
					  &access));
	KUNIT_EXPECT_EQ(test, access, SVAN_ACCESS_LOCAL_WRITE |
				      SVAN_ACCESS_REMOTE_ATOMIC |
				      SVAN_ACCESS_RELAXED_ORDERING);

	KUNIT_EXPECT_EQ(test, svan_ib_mr_access(IB_ACCESS_REMOTE_WRITE, &access),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, svan_ib_mr_access(IB_ACCESS_ON_DEMAND, &access),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, svan_ib_mr_access(IB_ACCESS_MW_BIND, &access),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, svan_ib_mr_access(IB_ACCESS_FLUSH_GLOBAL, &access),
			-EOPNOTSUPP);

	/* Only the remote rights of a QP count. */
	access = svan_ib_qp_access(IB_ACCESS_LOCAL_WRITE | IB_ACCESS_MW_BIND |
				   IB_ACCESS_REMOTE_READ |
				   IB_ACCESS_RELAXED_ORDERING);
	KUNIT_EXPECT_EQ(test, access, SVAN_ACCESS_REMOTE_READ);
	KUNIT_EXPECT_EQ(test, svan_ib_from_qp_access(access),
			IB_ACCESS_REMOTE_READ);
}

static void status_test(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, svan_ib_wc_status(SVAN_CQE_SUCCESS), IB_WC_SUCCESS);
	KUNIT_EXPECT_EQ(test, svan_ib_wc_status(SVAN_CQE_LOC_PROT_ERR),
			IB_WC_LOC_PROT_ERR);
	KUNIT_EXPECT_EQ(test, svan_ib_wc_status(SVAN_CQE_REM_ACCESS_ERR),
			IB_WC_REM_ACCESS_ERR);
	KUNIT_EXPECT_EQ(test, svan_ib_wc_status(SVAN_CQE_RNR_RETRY_EXC_ERR),
			IB_WC_RNR_RETRY_EXC_ERR);
	KUNIT_EXPECT_EQ(test, svan_ib_wc_status(SVAN_CQE_GENERAL_ERR),
			IB_WC_GENERAL_ERR);
	KUNIT_EXPECT_EQ(test, svan_ib_wc_status(SVAN_CQE_GENERAL_ERR + 1),
			IB_WC_GENERAL_ERR);
	KUNIT_EXPECT_EQ(test, svan_ib_wc_status(255), IB_WC_GENERAL_ERR);

	KUNIT_EXPECT_EQ(test, svan_ib_wc_send_opcode(SVAN_WQE_SEND_IMM),
			IB_WC_SEND);
	KUNIT_EXPECT_EQ(test, svan_ib_wc_send_opcode(SVAN_WQE_RDMA_WRITE_IMM),
			IB_WC_RDMA_WRITE);
	KUNIT_EXPECT_EQ(test, svan_ib_wc_send_opcode(SVAN_WQE_ATOMIC_CMP_SWP),
			IB_WC_COMP_SWAP);

	KUNIT_EXPECT_EQ(test, svan_ib_event_type(SVAN_EVENT_QP_ACCESS_ERR),
			IB_EVENT_QP_ACCESS_ERR);
	KUNIT_EXPECT_LT(test, svan_ib_event_type(SVAN_EVENT_COMPLETION), 0);
	KUNIT_EXPECT_LT(test, svan_ib_event_type(0), 0);
}

static struct kunit_case svan_ib_cases[] = {
	KUNIT_CASE(mtt_layout_test),
	KUNIT_CASE(mtt_parent_test),
	KUNIT_CASE(cq_ureq_test),
	KUNIT_CASE(srq_ureq_test),
	KUNIT_CASE(qp_ureq_test),
	KUNIT_CASE(qp_cap_test),
	KUNIT_CASE(access_test),
	KUNIT_CASE(status_test),
	{}
};

static struct kunit_suite svan_ib_suite = {
	.name = "svan_ib",
	.test_cases = svan_ib_cases,
};

kunit_test_suite(svan_ib_suite);

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests of svan_ib");
MODULE_LICENSE("GPL");
