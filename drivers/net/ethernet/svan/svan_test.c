// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the functions of svan.ko that need no device: validity of entries,
 * index arithmetic, decoding of responses, decisions about checksums and lengths, turns
 * and policies of the shim.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/slab.h>

#include "eth.h"
#include "shim.h"

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

/* ---- the shim ---- */

#define SVAN_TEST_FUNCTIONS	65
#define SVAN_TEST_MS		2000

/* A look costs as many commands as that of a function with many paths. */
static u32 svan_test_look(struct svan_shim *shim, u32 function)
{
	usleep_range(100, 200);
	return SVAN_SHIM_QUERIES + SVAN_SHIM_VERDICTS;
}

static s64 svan_test_stat(const atomic64_t *stat)
{
	return atomic64_read(stat);
}

/* However many events there are, the turns are limited, and nothing is kept but bits. */
static void svan_test_shim_storm(struct kunit *test)
{
	struct svan_shim *shim = kunit_kzalloc(test, sizeof(*shim), GFP_KERNEL);
	struct svan_shim_stats *stats;
	s64 events, looks, merged, turns;
	unsigned long end;
	u32 function = 0;

	KUNIT_ASSERT_NOT_NULL(test, shim);
	stats = &shim->stats;
	KUNIT_ASSERT_EQ(test, svan_shim_init(shim, SVAN_TEST_FUNCTIONS, "test",
					     svan_test_look), 0);
	svan_shim_start(shim);
	end = jiffies + msecs_to_jiffies(SVAN_TEST_MS);
	while (time_before(jiffies, end)) {
		svan_shim_event(shim, function++ % SVAN_TEST_FUNCTIONS);
		if (function % 1024 == 0)
			cond_resched();
	}
	svan_shim_stop(shim);
	events = svan_test_stat(&stats->events);
	merged = svan_test_stat(&stats->events_merged);
	turns = svan_test_stat(&stats->turns);
	looks = events - merged;
	kunit_info(test, "%lld events in %u ms, %lld merged, %lld turns\n", events,
		   SVAN_TEST_MS, merged, turns);
	KUNIT_EXPECT_GE(test, events, 100000 * SVAN_TEST_MS / MSEC_PER_SEC);
	KUNIT_EXPECT_GT(test, merged, events * 9 / 10);
	KUNIT_EXPECT_GT(test, turns, 2);
	KUNIT_EXPECT_LE(test, turns, SVAN_TEST_MS / SVAN_SHIM_INTERVAL_MS + 2);
	/* Each event that was not merged is one look. A turn has some. */
	KUNIT_EXPECT_LE(test, looks, SVAN_TEST_FUNCTIONS +
			turns * DIV_ROUND_UP(SVAN_SHIM_COMMANDS,
					     SVAN_SHIM_QUERIES + SVAN_SHIM_VERDICTS));
	svan_shim_event(shim, SVAN_TEST_FUNCTIONS);
	svan_shim_event(shim, U32_MAX);
	KUNIT_EXPECT_EQ(test, svan_test_stat(&stats->failures), 2);
	svan_shim_exit(shim);
}

static unsigned long svan_test_looked[BITS_TO_LONGS(SVAN_TEST_FUNCTIONS)];
static u32 svan_test_looks;

static u32 svan_test_look_and_defer(struct svan_shim *shim, u32 function)
{
	set_bit(function, svan_test_looked);
	if (!svan_test_looks++)
		svan_shim_defer(shim, function);
	return 1;
}

/* All have their turns; what comes before the start is not lost; what is deferred returns. */
static void svan_test_shim_turns(struct kunit *test)
{
	struct svan_shim *shim = kunit_kzalloc(test, sizeof(*shim), GFP_KERNEL);
	u32 n;

	KUNIT_ASSERT_NOT_NULL(test, shim);
	bitmap_zero(svan_test_looked, SVAN_TEST_FUNCTIONS);
	svan_test_looks = 0;
	KUNIT_ASSERT_EQ(test, svan_shim_init(shim, SVAN_TEST_FUNCTIONS, "test",
					     svan_test_look_and_defer), 0);
	for (n = 0; n < SVAN_TEST_FUNCTIONS; n++)
		svan_shim_event(shim, n);
	KUNIT_EXPECT_EQ(test, READ_ONCE(svan_test_looks), 0);
	svan_shim_start(shim);
	for (n = 0; n < 500 && READ_ONCE(svan_test_looks) <= SVAN_TEST_FUNCTIONS; n++)
		usleep_range(10000, 20000);
	svan_shim_stop(shim);
	KUNIT_EXPECT_EQ(test, svan_test_looks, SVAN_TEST_FUNCTIONS + 1);
	KUNIT_EXPECT_TRUE(test, bitmap_full(svan_test_looked, SVAN_TEST_FUNCTIONS));
	KUNIT_EXPECT_EQ(test, svan_test_stat(&shim->stats.events_merged), 0);
	svan_shim_exit(shim);
}

static enum svan_verdict svan_test_verdict(const struct svan_police *police, u8 classes,
					   u32 loss, u32 rtt)
{
	struct svan_flow_entry path = {
		.classes = classes, .loss = cpu_to_le32(loss), .rtt = cpu_to_le32(rtt),
		.rtt_min = cpu_to_le32(1000),
	};

	return svan_police_judge(police, svan_policy_find("nic"), &path);
}

static void svan_test_policies(struct kunit *test)
{
	struct svan_police police = svan_police_default;

	KUNIT_EXPECT_NULL(test, svan_policy_find("stric"));
	KUNIT_EXPECT_NULL(test, svan_policy_find(""));
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, 1, 65536, 0), SVAN_VERDICT_NONE);
	police.policy = svan_policy_find("strict");
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, 1, 0, 0), SVAN_VERDICT_CONGESTING);
	police.policy = svan_policy_find("lenient");
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, 1, 65536, 0), SVAN_VERDICT_CLEAR);
	/* 5% of losses, or five times the least round trip, and not more */
	police.policy = svan_policy_find("threshold");
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, 1, 3276, 5000), SVAN_VERDICT_LATER);
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, 1, 3277, 5000),
			SVAN_VERDICT_CONGESTING);
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, 1, 3276, 5001),
			SVAN_VERDICT_CONGESTING);
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, 1, 0, U32_MAX),
			SVAN_VERDICT_CONGESTING);
	police.limits.rtt = 0;
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, 1, 0, U32_MAX), SVAN_VERDICT_LATER);
}

/* The strictest of the classes that the guest has used counts. */
static void svan_test_classes(struct kunit *test)
{
	struct svan_police police = svan_police_default;

	police.policy = svan_policy_find("strict");
	police.of_class[3] = svan_policy_find("lenient");
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, BIT(3), 0, 0), SVAN_VERDICT_CLEAR);
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, BIT(3) | BIT(7), 0, 0),
			SVAN_VERDICT_CONGESTING);
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, BIT(2), 0, 0),
			SVAN_VERDICT_CONGESTING);
	/* A device that does not tell the classes. */
	KUNIT_EXPECT_EQ(test, svan_test_verdict(&police, 0, 0, 0), SVAN_VERDICT_CONGESTING);
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
	KUNIT_CASE_SLOW(svan_test_shim_storm),
	KUNIT_CASE(svan_test_shim_turns),
	KUNIT_CASE(svan_test_policies),
	KUNIT_CASE(svan_test_classes),
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
