// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the functions of svan.ko that need no device: validity of entries,
 * index arithmetic, decoding of responses, decisions about checksums and lengths.
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include "eth.h"

/* ---- entries: valid by phase, over several passes of the ring ---- */

#define SVAN_TEST_LOG_SIZE	4

/* The phase bit that the device writes into entry @index. */
static u8 svan_test_phase(u32 index)
{
	return !((index >> SVAN_TEST_LOG_SIZE) & 1);
}

static void svan_test_cqe_valid(struct kunit *test)
{
	static const u32 starts[] = { 0, 16, 240, U32_MAX - 31 };
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		for (k = 0; k < 64; k++) {
			u32 index = starts[i] + k;
			u8 now = svan_test_phase(index) ? SVAN_CQE_PHASE : 0;

			KUNIT_EXPECT_TRUE(test, svan_cqe_valid(now, index,
							       SVAN_TEST_LOG_SIZE));
			KUNIT_EXPECT_FALSE(test, svan_cqe_valid(now ^ SVAN_CQE_PHASE,
								index,
								SVAN_TEST_LOG_SIZE));
			/* The other flags of the octet do not matter. */
			KUNIT_EXPECT_TRUE(test, svan_cqe_valid(now | SVAN_CQE_CSUM_L4_OK,
							       index,
							       SVAN_TEST_LOG_SIZE));
		}
	}
	/* Zeroed memory holds no entry. */
	KUNIT_EXPECT_FALSE(test, svan_cqe_valid(0, 0, SVAN_TEST_LOG_SIZE));
}

static void svan_test_eqe_valid(struct kunit *test)
{
	u32 index;

	KUNIT_EXPECT_FALSE(test, svan_eqe_valid(0, 0, SVAN_TEST_LOG_SIZE));
	for (index = U32_MAX - 40; index != 40; index++) {
		u8 now = svan_test_phase(index) ? SVAN_EQE_PHASE : 0;

		KUNIT_EXPECT_TRUE(test, svan_eqe_valid(now, index,
						       SVAN_TEST_LOG_SIZE));
		KUNIT_EXPECT_FALSE(test, svan_eqe_valid(now ^ SVAN_EQE_PHASE, index,
							SVAN_TEST_LOG_SIZE));
		KUNIT_EXPECT_TRUE(test, svan_eqe_valid(now | 0x7f, index,
						       SVAN_TEST_LOG_SIZE));
	}
}

static void svan_test_resp_valid(struct kunit *test)
{
	u32 index;

	KUNIT_EXPECT_FALSE(test, svan_cmd_resp_valid(0, 0, SVAN_CMDQ_LOG_SIZE));
	for (index = 0; index < 4 * SVAN_CMDQ_SIZE; index++) {
		u8 phase = !((index >> SVAN_CMDQ_LOG_SIZE) & 1);

		KUNIT_EXPECT_TRUE(test, svan_cmd_resp_valid(phase, index,
							    SVAN_CMDQ_LOG_SIZE));
		KUNIT_EXPECT_FALSE(test, svan_cmd_resp_valid(!phase, index,
							     SVAN_CMDQ_LOG_SIZE));
	}
}

/* ---- commands ---- */

static void svan_test_cmd_errno(struct kunit *test)
{
	u32 status;

	KUNIT_EXPECT_EQ(test, svan_cmd_errno(SVAN_CMD_OK), 0);
	KUNIT_EXPECT_EQ(test, svan_cmd_errno(SVAN_CMD_BAD_OPCODE), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, svan_cmd_errno(SVAN_CMD_BAD_PARAM), -EINVAL);
	KUNIT_EXPECT_EQ(test, svan_cmd_errno(SVAN_CMD_BAD_RESOURCE), -ENOENT);
	KUNIT_EXPECT_EQ(test, svan_cmd_errno(SVAN_CMD_BUSY), -EBUSY);
	KUNIT_EXPECT_EQ(test, svan_cmd_errno(SVAN_CMD_NO_RESOURCES), -ENOMEM);
	KUNIT_EXPECT_EQ(test, svan_cmd_errno(SVAN_CMD_DMA_ERROR), -EFAULT);
	KUNIT_EXPECT_EQ(test, svan_cmd_errno(SVAN_CMD_NOT_PERMITTED), -EPERM);
	/* No status but OK is a success. */
	for (status = 1; status <= U8_MAX; status++)
		KUNIT_EXPECT_LT_MSG(test, svan_cmd_errno(status), 0,
				    "status %u", status);
}

static void svan_test_cmd_id_valid(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, svan_cmd_id_valid(SVAN_CMD_ALLOC_UAR, 0, 16));
	KUNIT_EXPECT_TRUE(test, svan_cmd_id_valid(SVAN_CMD_ALLOC_UAR, 15, 16));
	KUNIT_EXPECT_FALSE(test, svan_cmd_id_valid(SVAN_CMD_ALLOC_UAR, 16, 16));
	KUNIT_EXPECT_FALSE(test, svan_cmd_id_valid(SVAN_CMD_CREATE_KEY,
						   SVAN_KEY_LOCAL_DMA, 16));
	KUNIT_EXPECT_FALSE(test, svan_cmd_id_valid(SVAN_CMD_CREATE_KEY, 0xff, 16));
	KUNIT_EXPECT_TRUE(test, svan_cmd_id_valid(SVAN_CMD_CREATE_KEY, 0x100, 16));
	KUNIT_EXPECT_TRUE(test, svan_cmd_id_valid(SVAN_CMD_CREATE_QP, 0xffffff, 16));
	KUNIT_EXPECT_FALSE(test, svan_cmd_id_valid(SVAN_CMD_CREATE_QP, 0x1000000, 16));
	KUNIT_EXPECT_FALSE(test, svan_cmd_id_valid(SVAN_CMD_CREATE_CQ, U32_MAX, 16));
}

/* ---- send queue ---- */

static void svan_test_txq_room(struct kunit *test)
{
	struct svan_txq *txq = kunit_kzalloc(test, sizeof(*txq), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, txq);
	txq->size = 64;
	KUNIT_EXPECT_EQ(test, svan_txq_room(txq), 64);
	txq->pi = 64;
	KUNIT_EXPECT_EQ(test, svan_txq_room(txq), 0);
	/* The indices have wrapped around. */
	txq->ci = U32_MAX - 2;
	txq->pi = 5;
	KUNIT_EXPECT_EQ(test, svan_txq_room(txq), 64 - 8);
}

static void svan_test_index_in_flight(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, svan_index_in_flight(7, 7, 7));
	KUNIT_EXPECT_TRUE(test, svan_index_in_flight(8, 7, 7));
	KUNIT_EXPECT_FALSE(test, svan_index_in_flight(8, 7, 8));
	KUNIT_EXPECT_FALSE(test, svan_index_in_flight(8, 7, 6));
	KUNIT_EXPECT_TRUE(test, svan_index_in_flight(2, U32_MAX - 1, U32_MAX));
	KUNIT_EXPECT_TRUE(test, svan_index_in_flight(2, U32_MAX - 1, 1));
	KUNIT_EXPECT_FALSE(test, svan_index_in_flight(2, U32_MAX - 1, 2));
	KUNIT_EXPECT_FALSE(test, svan_index_in_flight(2, U32_MAX - 1, U32_MAX - 2));
}

/* Each scatter/gather entry has its notes in its own block, at the ring's end too. */
static void svan_test_tx_map_of(struct kunit *test)
{
	struct svan_txq *txq = kunit_kzalloc(test, sizeof(*txq), GFP_KERNEL);
	u32 start, n, k;

	KUNIT_ASSERT_NOT_NULL(test, txq);
	txq->size = 16;
	txq->ring.mask = 15;
	txq->ring.bbs = kunit_kcalloc(test, 16, sizeof(*txq->ring.bbs), GFP_KERNEL);
	txq->blocks = kunit_kcalloc(test, 16, sizeof(*txq->blocks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, txq->ring.bbs);
	KUNIT_ASSERT_NOT_NULL(test, txq->blocks);
	for (start = U32_MAX - 20; start != 20; start++) {
		for (n = 0; n < SVAN_MAX_SGE; n++) {
			struct svan_tx_map *map = svan_tx_map_of(txq, start, n);
			void *sge = svan_wqe_sge(&txq->ring, start, n);
			u32 bb = (sge - (void *)txq->ring.bbs) / SVAN_WQEBB_SIZE;
			size_t offset = (void *)map - (void *)&txq->blocks[bb];

			KUNIT_EXPECT_LT(test, offset,
					offsetofend(struct svan_tx_block, map));
			KUNIT_EXPECT_LT(test, (bb - start) & 15,
					svan_wqe_sge_bbs(n + 1));
			for (k = 0; k < n; k++)
				KUNIT_EXPECT_PTR_NE(test, map,
						    svan_tx_map_of(txq, start, k));
		}
	}
}

static void svan_test_tx_csum_fits(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, svan_tx_csum_fits(34, 16, 54));
	KUNIT_EXPECT_TRUE(test, svan_tx_csum_fits(34, 16, 52));
	KUNIT_EXPECT_FALSE(test, svan_tx_csum_fits(34, 16, 51));
	KUNIT_EXPECT_FALSE(test, svan_tx_csum_fits(U16_MAX + 1, 0, 100000));
	KUNIT_EXPECT_FALSE(test, svan_tx_csum_fits(0, U16_MAX + 1, 100000));
	KUNIT_EXPECT_FALSE(test, svan_tx_csum_fits(U32_MAX, 2, 64));
}

/* ---- receive ---- */

static void svan_test_rx_csum_good(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, svan_rx_csum_good(SVAN_CQE_CSUM_L4_OK | SVAN_CQE_PHASE,
						  NETIF_F_RXCSUM));
	KUNIT_EXPECT_FALSE(test, svan_rx_csum_good(SVAN_CQE_CSUM_L4_OK, NETIF_F_SG));
	KUNIT_EXPECT_FALSE(test, svan_rx_csum_good(SVAN_CQE_CSUM_IP_OK |
						   SVAN_CQE_PHASE, NETIF_F_RXCSUM));
}

static void svan_test_rx_length(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, svan_rx_length_ok(0, 1518));
	KUNIT_EXPECT_FALSE(test, svan_rx_length_ok(13, 1518));
	KUNIT_EXPECT_TRUE(test, svan_rx_length_ok(14, 1518));
	KUNIT_EXPECT_TRUE(test, svan_rx_length_ok(1518, 1518));
	KUNIT_EXPECT_FALSE(test, svan_rx_length_ok(1519, 1518));
	KUNIT_EXPECT_FALSE(test, svan_rx_length_ok(U32_MAX, 1518));
}

static void svan_test_rxq_entry(struct kunit *test)
{
	struct svan_rxq *rxq = kunit_kzalloc(test, sizeof(*rxq), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, rxq);
	rxq->size = 8;
	rxq->ring = kunit_kcalloc(test, 8, 32, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rxq->ring);
	KUNIT_EXPECT_PTR_EQ(test, (void *)svan_rxq_entry(rxq, 0), rxq->ring);
	KUNIT_EXPECT_PTR_EQ(test, (void *)svan_rxq_entry(rxq, 7), rxq->ring + 7 * 32);
	KUNIT_EXPECT_PTR_EQ(test, (void *)svan_rxq_entry(rxq, 8), rxq->ring);
	KUNIT_EXPECT_PTR_EQ(test, (void *)svan_rxq_entry(rxq, U32_MAX),
			    rxq->ring + 7 * 32);
}

static void svan_test_port_mbps(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, svan_port_mbps(SVAN_PORT_LINK_UP), 0);
	KUNIT_EXPECT_EQ(test, svan_port_mbps(SVAN_PORT_LINK_UP |
					     1000 << SVAN_PORT_SPEED_SHIFT), 100000);
	KUNIT_EXPECT_EQ(test, svan_port_mbps(~0u), 6553500);
}

static struct kunit_case svan_test_cases[] = {
	KUNIT_CASE(svan_test_cqe_valid),
	KUNIT_CASE(svan_test_eqe_valid),
	KUNIT_CASE(svan_test_resp_valid),
	KUNIT_CASE(svan_test_cmd_errno),
	KUNIT_CASE(svan_test_cmd_id_valid),
	KUNIT_CASE(svan_test_txq_room),
	KUNIT_CASE(svan_test_index_in_flight),
	KUNIT_CASE(svan_test_tx_map_of),
	KUNIT_CASE(svan_test_tx_csum_fits),
	KUNIT_CASE(svan_test_rx_csum_good),
	KUNIT_CASE(svan_test_rx_length),
	KUNIT_CASE(svan_test_rxq_entry),
	KUNIT_CASE(svan_test_port_mbps),
	{}
};

static struct kunit_suite svan_test_suite = {
	.name = "svan",
	.test_cases = svan_test_cases,
};

kunit_test_suite(svan_test_suite);

MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
MODULE_DESCRIPTION("KUnit tests of svan.ko");
MODULE_LICENSE("GPL");
