// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that writes into its rings, records and doorbell page whatever it
 * likes. The device answers each with a status, harms nobody else, and goes on.
 * These tests know Svan's layouts, so they run on Svan alone.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "kselftest_harness.h"
#include "raw.h"

#define LIMIT		120
#define CQ_LOG_SIZE	8
#define SHORT_MS	50

static struct rng rng;

FIXTURE(hostile)
{
	struct pair bystander;		/* through libibverbs */
	struct raw raw;
	struct raw_cq cq;
	struct raw_qp qp, peer;		/* connected to each other */
};

static int reconnect(struct raw *raw, struct raw_qp *qp, struct raw_qp *peer)
{
	int ret = raw_reset(raw, qp);

	if (!ret)
		ret = raw_reset(raw, peer);
	if (!ret)
		ret = raw_connect(raw, qp, peer->qpn);
	if (!ret)
		ret = raw_connect(raw, peer, qp->qpn);
	return ret;
}

FIXTURE_SETUP(hostile)
{
	rng_init(&rng, "hostile");
	ASSERT_EQ(0, pair_open(&self->bystander, false, 65536));
	ASSERT_EQ(0, raw_open(&self->raw, &self->bystander.node[0]));
	ASSERT_EQ(0, raw_create_cq(&self->raw, &self->cq, CQ_LOG_SIZE));
	ASSERT_EQ(0, raw_create_qp(&self->raw, &self->qp, &self->cq));
	ASSERT_EQ(0, raw_create_qp(&self->raw, &self->peer, &self->cq));
	ASSERT_EQ(0, reconnect(&self->raw, &self->qp, &self->peer));
}

/* The neighbour has noticed nothing, and fresh queue pairs work. */
FIXTURE_TEARDOWN(hostile)
{
	raw_destroy_qp(&self->raw, &self->peer);
	raw_destroy_qp(&self->raw, &self->qp);
	raw_destroy_cq(&self->raw, &self->cq);
	raw_close(&self->raw);
	EXPECT_EQ(0, area_check_canary(&self->bystander.in[0], 0, 65536));
	EXPECT_EQ(0, area_check_canary(&self->bystander.out[0], 0, 65536));
	EXPECT_EQ(0, pair_sound(&self->bystander));
	pair_close(&self->bystander);
}

static int good_write(struct raw *raw, struct raw_qp *qp, struct raw_cq *cq)
{
	struct svan_cqe cqe;

	raw_build_write(raw, qp, 64);
	raw_ring_sq(raw, qp, qp->sq_pi + 1);
	if (!raw_poll(cq, &cqe, WAIT_MS)) {
		complain("a good WRITE does not complete");
		return -ETIMEDOUT;
	}
	if (cqe.status != SVAN_CQE_SUCCESS ||
	    svan_le32_to_cpu(cqe.qpn) != qp->qpn) {
		complain("a good WRITE ends with status %u, vendor 0x%x",
			 cqe.status, svan_le32_to_cpu(cqe.vendor_err));
		return -EIO;
	}
	return 0;
}

/* This test's own plumbing works. */
TEST_F_TIMEOUT(hostile, nothing, LIMIT)
{
	int i;

	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
	}
	ASSERT_EQ(0, reconnect(&self->raw, &self->qp, &self->peer));
	ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
}

/* ---- work queue entries with one thing wrong ---- */

struct spoil {
	const char *what;
	void (*spoil)(struct raw_qp *qp, struct svan_wqe_head *head);
	uint8_t status;
	uint8_t syndrome;
};

static void unknown_opcode(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.opcode = 0xff;
}

static void reserved_opcode(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.opcode = SVAN_WQE_BIND;
}

static void ethernet_opcode(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.opcode = SVAN_WQE_ETH_SEND;
}

static void unknown_flags(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.flags = 0xff;
}

static void no_blocks(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.num_bbs = 0;
}

static void many_blocks(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.num_bbs = SVAN_WQE_MAX_BBS + 1;
}

static void blocks_not_posted(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.num_bbs = 2;
}

static void many_entries(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.num_sge = SVAN_MAX_SGE + 1;
}

static void entries_in_no_block(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.num_sge = SVAN_WQE_HEAD_SGES + 1;
}

static void long_inline(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.flags |= SVAN_WQE_INLINE;
	head->ctrl.num_sge = 0;
	head->ctrl.inline_length = svan_cpu_to_le32(SVAN_MAX_INLINE + 1);
}

static void inline_in_no_block(struct raw_qp *qp, struct svan_wqe_head *head)
{
	long_inline(qp, head);
	head->ctrl.inline_length = svan_cpu_to_le32(SVAN_WQE_HEAD_INLINE + 1);
}

static void wide_inline(struct raw_qp *qp, struct svan_wqe_head *head)
{
	long_inline(qp, head);
	head->ctrl.inline_length = svan_cpu_to_le32(0xfffffff0u);
}

static void inline_read(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->ctrl.opcode = SVAN_WQE_RDMA_READ;
	head->ctrl.flags |= SVAN_WQE_INLINE;
}

static void short_atomic(struct raw_qp *qp, struct svan_wqe_head *head)
{
	struct svan_sge sge = head->sge[0];

	head->ctrl.opcode = SVAN_WQE_ATOMIC_FETCH_ADD;
	head->atomic.sge = sge;
	head->atomic.sge.length = svan_cpu_to_le32(4);
}

static void two_gigabytes(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->sge[1] = head->sge[0];
	head->sge[0].length = svan_cpu_to_le32(0x80000000u);
	head->sge[1].length = svan_cpu_to_le32(0x80000001u);
	head->ctrl.num_sge = 2;
}

static void bus_key(struct raw_qp *qp, struct svan_wqe_head *head)
{
	head->sge[0].lkey = svan_cpu_to_le32(SVAN_KEY_LOCAL_DMA);
	head->sge[0].addr = 0;
}

static void bus_rkey(struct raw_qp *qp, struct svan_wqe_head *head)
{
	svan_wqe_set_remote(head, 0x1000, SVAN_KEY_LOCAL_DMA);
}

static const struct spoil spoils[] = {
	{ "unknown opcode", unknown_opcode,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_OPCODE },
	{ "reserved opcode", reserved_opcode,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_OPCODE },
	{ "Ethernet opcode", ethernet_opcode,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_OPCODE },
	{ "unknown flags", unknown_flags,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_OPCODE },
	{ "no blocks", no_blocks,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_NUM_BBS },
	{ "too many blocks", many_blocks,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_NUM_BBS },
	{ "blocks not posted", blocks_not_posted,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_NUM_BBS },
	{ "too many entries", many_entries,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_NUM_SGE },
	{ "entries without blocks", entries_in_no_block,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_NUM_BBS },
	{ "too much inline data", long_inline,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_INLINE },
	{ "inline data without blocks", inline_in_no_block,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_INLINE },
	{ "4 GiB of inline data", wide_inline,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_INLINE },
	{ "inline READ", inline_read,
	  SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_OPCODE },
	{ "atomic of 4 bytes", short_atomic,
	  SVAN_CQE_LOC_LEN_ERR, SVAN_SYN_LENGTH },
	{ "lengths that wrap", two_gigabytes,
	  SVAN_CQE_LOC_LEN_ERR, SVAN_SYN_LENGTH },
	{ "bus address key", bus_key,
	  SVAN_CQE_LOC_PROT_ERR, SVAN_SYN_KEY_INVALID },
	{ "remote bus address key", bus_rkey,
	  SVAN_CQE_REM_ACCESS_ERR, SVAN_SYN_NAK },
};

static int spoil_one(struct raw *raw, struct raw_qp *qp, struct raw_cq *cq,
		     const struct spoil *spoil)
{
	struct svan_wqe_head *head = raw_build_write(raw, qp, 64);
	struct svan_cqe cqe;

	spoil->spoil(qp, head);
	raw_ring_sq(raw, qp, qp->sq_pi + 1);
	if (!raw_poll(cq, &cqe, WAIT_MS)) {
		complain("%s: no completion", spoil->what);
		return -ETIMEDOUT;
	}
	if (cqe.status != spoil->status ||
	    svan_le32_to_cpu(cqe.vendor_err) != spoil->syndrome ||
	    svan_le32_to_cpu(cqe.qpn) != qp->qpn) {
		complain("%s: status %u, vendor 0x%x; wanted %u, 0x%x",
			 spoil->what, cqe.status,
			 svan_le32_to_cpu(cqe.vendor_err), spoil->status,
			 spoil->syndrome);
		return -EIO;
	}
	return 0;
}

TEST_F_TIMEOUT(hostile, wrong_wqe, LIMIT)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(spoils); i++) {
		EXPECT_EQ(0, spoil_one(&self->raw, &self->qp, &self->cq,
				       &spoils[i]));
		ASSERT_EQ(0, reconnect(&self->raw, &self->qp, &self->peer));
		while (raw_poll(&self->cq, &(struct svan_cqe){}, 0)) {
			;
		}
		ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
	}
}

/* ---- noise ---- */

static void fill_noise(void *to, size_t len)
{
	uint8_t *octet = to;

	while (len--)
		*octet++ = rng_u64(&rng);
}

/* Half of it looks right at first sight, so that it gets further. */
static void noise_wqe(struct raw *raw, struct raw_qp *qp, uint32_t index)
{
	struct svan_wqe_head *head = &svan_sq_bb(&qp->sq, index)->head;

	fill_noise(head, sizeof(*head));
	if (rng_below(&rng, 2)) {
		head->ctrl.opcode = rng_below(&rng, SVAN_WQE_ETH_SEND + 2);
		head->ctrl.flags &= SVAN_WQE_SIGNALED | SVAN_WQE_FENCE |
				    SVAN_WQE_INLINE | SVAN_WQE_SOLICITED;
		head->ctrl.num_bbs = rng_below(&rng, SVAN_WQE_MAX_BBS + 2);
		head->ctrl.num_sge = rng_below(&rng, SVAN_MAX_SGE + 2);
		head->ctrl.inline_length =
			svan_cpu_to_le32(rng_below(&rng, SVAN_MAX_INLINE + 2));
	}
	if (rng_below(&rng, 2))
		head->sge[0].lkey = svan_cpu_to_le32(raw->lkey);
	if (rng_below(&rng, 2))
		head->remote.rkey = svan_cpu_to_le32(raw->rkey);
	if (rng_below(&rng, 4) == 0)
		head->sge[0].addr = svan_cpu_to_le64((uintptr_t)raw->mem +
						     rng_below(&rng, 65536));
	if (rng_below(&rng, 4) == 0)
		head->remote.addr = svan_cpu_to_le64((uintptr_t)raw->mem +
						     rng_below(&rng, 65536));
}

/*
 * Noise ends in the error state, with a completion of an error; what looks right
 * by chance may be executed before. All is flushed in the end.
 */
static int noise_round(struct raw *raw, struct raw_qp *qp, struct raw_cq *cq)
{
	uint32_t blocks = 1 + rng_below(&rng, 16), i, errors = 0;
	uint64_t deadline = now_ms() + WAIT_MS;
	struct svan_cqe cqe;
	int state;

	for (i = 0; i < blocks; i++)
		noise_wqe(raw, qp, qp->sq_pi + i);
	/* the last one stops it for certain */
	svan_sq_bb(&qp->sq, qp->sq_pi + i)->head.ctrl.opcode = 0xee;
	svan_sq_bb(&qp->sq, qp->sq_pi + i)->head.ctrl.num_bbs = 0;
	raw_ring_sq(raw, qp, qp->sq_pi + blocks + 1);
	do {
		while (raw_poll(cq, &cqe, 0))
			errors += cqe.status != SVAN_CQE_SUCCESS;
		state = raw_state(raw, qp);
	} while ((state != IBV_QPS_ERR || !errors) && now_ms() < deadline);
	if (state == IBV_QPS_ERR && errors)
		return 0;
	complain("after noise: state %d, %u errors", state, errors);
	return -EIO;
}

TEST_F_TIMEOUT(hostile, noise, LIMIT)
{
	int round;

	for (round = 0; round < 150; round++) {
		ASSERT_EQ(0, noise_round(&self->raw, &self->qp, &self->cq)) {
			TH_LOG("round %d", round);
		}
		ASSERT_EQ(0, reconnect(&self->raw, &self->qp, &self->peer));
	}
	while (raw_poll(&self->cq, &(struct svan_cqe){}, SHORT_MS)) {
		;
	}
	ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
}

/* The ring changes while the device works on it. */
TEST_F_TIMEOUT(hostile, noise_in_flight, LIMIT)
{
	uint32_t spins;
	int round, i;

	for (round = 0; round < 40; round++) {
		for (i = 0; i < 32; i++) {
			raw_build_write(&self->raw, &self->qp, 4096);
			self->qp.sq_pi++;
		}
		raw_ring_sq(&self->raw, &self->qp, self->qp.sq_pi);
		for (spins = rng_below(&rng, 300); spins; spins--) {
			noise_wqe(&self->raw, &self->qp, rng_below(&rng, 64));
		}
		while (raw_poll(&self->cq, &(struct svan_cqe){}, 0)) {
			;
		}
		ASSERT_EQ(0, reconnect(&self->raw, &self->qp, &self->peer));
	}
}

/* ---- receive queue entries ---- */

static int wrong_receive(struct raw *raw, struct raw_qp *qp,
			 struct raw_qp *peer, struct raw_cq *cq,
			 uint32_t num_sge)
{
	struct svan_rwqe *rwqe = (struct svan_rwqe *)peer->rq;
	struct svan_wqe_head *head;
	struct svan_cqe cqe;
	int i, seen = 0;

	fill_noise(rwqe, 1u << peer->log_rq_stride);
	rwqe->num_sge = svan_cpu_to_le32(num_sge);
	raw_ring_rq(raw, peer, 1);
	head = raw_build_write(raw, qp, 64);
	head->ctrl.opcode = SVAN_WQE_SEND;
	raw_ring_sq(raw, qp, qp->sq_pi + 1);
	for (i = 0; i < 2; i++) {
		if (!raw_poll(cq, &cqe, WAIT_MS)) {
			complain("%u entries: no completion", num_sge);
			return -ETIMEDOUT;
		}
		if (svan_le32_to_cpu(cqe.qpn) == peer->qpn)
			seen += cqe.status == SVAN_CQE_LOC_QP_OP_ERR;
		else
			seen += cqe.status == SVAN_CQE_REM_OP_ERR;
	}
	if (seen != 2)
		complain("%u entries: last status %u, vendor 0x%x", num_sge,
			 cqe.status, svan_le32_to_cpu(cqe.vendor_err));
	return seen == 2 ? 0 : -EIO;
}

TEST_F_TIMEOUT(hostile, wrong_receives, LIMIT)
{
	static const uint32_t counts[] = {
		8, SVAN_MAX_SGE, SVAN_MAX_SGE + 1, 1000, 0x80000000u, UINT32_MAX,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		ASSERT_EQ(0, wrong_receive(&self->raw, &self->qp, &self->peer,
					   &self->cq, counts[i]));
		ASSERT_EQ(0, reconnect(&self->raw, &self->qp, &self->peer));
	}
}

/* ---- indices ---- */

static int await_error(struct raw *raw, struct raw_qp *qp)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	int state;

	do {
		state = raw_state(raw, qp);
	} while (state != IBV_QPS_ERR && now_ms() < deadline);
	if (state != IBV_QPS_ERR)
		complain("QP %u is in state %d", qp->qpn, state);
	return state == IBV_QPS_ERR ? 0 : -EIO;
}

static const uint32_t wild[] = { 65, 66, 1000, 0x10000, 0x7fffffff };

TEST_F_TIMEOUT(hostile, wild_record, LIMIT)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		raw_ring_sq(&self->raw, &self->qp, wild[i]);
		ASSERT_EQ(0, await_error(&self->raw, &self->qp));
		ASSERT_EQ(0, reconnect(&self->raw, &self->qp, &self->peer));
		while (raw_poll(&self->cq, &(struct svan_cqe){}, 0)) {
			;
		}
		ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
	}
}

TEST_F_TIMEOUT(hostile, wild_doorbell, LIMIT)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		raw_store(&self->raw, SVAN_UAR_SQ_DB,
			  svan_db_value(self->qp.qpn, wild[i]));
		ASSERT_EQ(0, await_error(&self->raw, &self->qp));
		ASSERT_EQ(0, reconnect(&self->raw, &self->qp, &self->peer));
		while (raw_poll(&self->cq, &(struct svan_cqe){}, 0)) {
			;
		}
		ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
	}
}

/* An index that lies behind is old news. */
TEST_F_TIMEOUT(hostile, stale_doorbell, LIMIT)
{
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
	}
	raw_store(&self->raw, SVAN_UAR_SQ_DB, svan_db_value(self->qp.qpn, 3));
	raw_store(&self->raw, SVAN_UAR_SQ_DB,
		  svan_db_value(self->qp.qpn, 0xfffffff0));
	ASSERT_EQ(0, raw_poll(&self->cq, &(struct svan_cqe){}, SHORT_MS));
	ASSERT_EQ(IBV_QPS_RTS, raw_state(&self->raw, &self->qp));
	ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
}

/* Doorbell alone, and record alone while the device polls: both are enough. */
TEST_F_TIMEOUT(hostile, doorbell_without_record, LIMIT)
{
	struct svan_cqe cqe;
	int i;

	for (i = 0; i < 50; i++) {
		raw_build_write(&self->raw, &self->qp, 64);
		self->qp.sq_pi++;
		raw_store(&self->raw, SVAN_UAR_SQ_DB,
			  svan_db_value(self->qp.qpn, self->qp.sq_pi));
		ASSERT_EQ(1, raw_poll(&self->cq, &cqe, WAIT_MS));
		ASSERT_EQ(SVAN_CQE_SUCCESS, cqe.status);
	}
}

TEST_F_TIMEOUT(hostile, records_full_of_noise, LIMIT)
{
	int round;

	for (round = 0; round < 50; round++) {
		fill_noise(self->qp.dbr, sizeof(*self->qp.dbr));
		fill_noise(self->peer.dbr, sizeof(*self->peer.dbr));
		fill_noise(self->cq.dbr, sizeof(*self->cq.dbr));
		raw_store(&self->raw, SVAN_UAR_SQ_DB, rng_u64(&rng) << 32 |
			  self->qp.qpn);
		raw_store(&self->raw, SVAN_UAR_RQ_DB, rng_u64(&rng) << 32 |
			  self->peer.qpn);
		raw_store(&self->raw, SVAN_UAR_CQ_DB, rng_u64(&rng) << 32 |
			  self->cq.cqn);
		ASSERT_LE(0, raw_state(&self->raw, &self->qp));
		ASSERT_EQ(0, raw_reset(&self->raw, &self->qp));
		ASSERT_EQ(0, raw_reset(&self->raw, &self->peer));
		ASSERT_EQ(0, raw_connect(&self->raw, &self->qp,
					 self->peer.qpn));
		ASSERT_EQ(0, raw_connect(&self->raw, &self->peer,
					 self->qp.qpn));
	}
}

/* ---- doorbells of others ---- */

TEST_F_TIMEOUT(hostile, foreign_doorbell, LIMIT)
{
	uint64_t before = device_counter("doorbells_refused");
	struct raw thief;

	ASSERT_EQ(0, raw_open(&thief, &self->bystander.node[0]));
	/* it would be executed if its owner rang */
	raw_build_write(&self->raw, &self->qp, 64);
	raw_store(&thief, SVAN_UAR_SQ_DB, svan_db_value(self->qp.qpn, 1));
	raw_store(&thief, SVAN_UAR_RQ_DB, svan_db_value(self->qp.qpn, 1));
	raw_store(&thief, SVAN_UAR_SQ_DB, svan_db_value(self->qp.qpn, 0x10000));
	raw_store(&thief, SVAN_UAR_CQ_DB, svan_db_value(self->cq.cqn, 0));
	ASSERT_EQ(0, raw_poll(&self->cq, &(struct svan_cqe){}, SHORT_MS));
	ASSERT_EQ(IBV_QPS_RTS, raw_state(&self->raw, &self->qp));
	ASSERT_LE(before + 4, device_counter("doorbells_refused"));
	ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
	raw_close(&thief);
}

/* Every number there may be, the kernel's own queues among them. */
TEST_F_TIMEOUT(hostile, all_foreign_doorbells, LIMIT)
{
	struct raw thief;
	uint32_t qn;

	ASSERT_EQ(0, raw_open(&thief, &self->bystander.node[0]));
	for (qn = 0; qn < 1u << 24; qn = qn < 8192 ? qn + 1 : qn * 2 + 1) {
		raw_store(&thief, SVAN_UAR_SQ_DB, svan_db_value(qn, 0x1234));
		raw_store(&thief, SVAN_UAR_RQ_DB, svan_db_value(qn, 0x1234));
		raw_store(&thief, SVAN_UAR_CQ_DB, svan_db_value(qn, 0x1234));
	}
	ASSERT_EQ(IBV_QPS_RTS, raw_state(&self->raw, &self->qp));
	ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
	raw_close(&thief);
}

TEST_F_TIMEOUT(hostile, crooked_stores, LIMIT)
{
	uint64_t before = device_counter("doorbells_bad_access");
	volatile uint8_t *uar = self->raw.uar;
	uint32_t offset;

	for (offset = 0; offset < 64; offset += 4) {
		*(volatile uint8_t *)(uar + offset) = self->qp.qpn;
		*(volatile uint16_t *)(uar + offset) = self->qp.qpn;
		*(volatile uint32_t *)(uar + offset) = self->qp.qpn;
		memcpy((void *)(uar + offset + 1), &before, 8);
	}
	for (offset = 0x18; offset + 8 <= self->raw.limits.uar_size;
	     offset += 8) {
		raw_store(&self->raw, offset, svan_db_value(self->qp.qpn, 1));
	}
	ASSERT_LT(before, device_counter("doorbells_bad_access"));
	ASSERT_EQ(0, raw_poll(&self->cq, &(struct svan_cqe){}, SHORT_MS));
	ASSERT_EQ(0, good_write(&self->raw, &self->qp, &self->cq));
}

/* ---- memory that goes away ---- */

TEST_F_TIMEOUT(hostile, unmapped_rings, LIMIT)
{
	struct raw_qp *qp = &self->qp;
	int i;

	for (i = 0; i < 20; i++) {
		raw_build_write(&self->raw, qp, 4096);
		qp->sq_pi++;
	}
	raw_ring_sq(&self->raw, qp, qp->sq_pi);
	/* the device goes on with the pages that were pinned */
	ASSERT_EQ(qp->buf, mmap(qp->buf, qp->length, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(self->raw.mem, mmap(self->raw.mem, self->raw.mem_size,
				      PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				      -1, 0));
	raw_store(&self->raw, SVAN_UAR_SQ_DB, svan_db_value(qp->qpn, 40));
	ASSERT_LE(0, raw_state(&self->raw, qp));
}

/* ---- what the kernel is asked for ---- */

static int refused_cq(struct raw *raw, struct svan_ureq_create_cq ureq,
		      uint32_t cqe)
{
	int ret = raw_try_cq(raw, &ureq, cqe);

	if (ret == -EINVAL || ret == -EFAULT || ret == -ENOMEM)
		return 0;
	complain("CQ of 2^%u at 0x%llx+0x%llx, record at 0x%x: %d",
		 ureq.log_size, (unsigned long long)ureq.buf_va,
		 (unsigned long long)ureq.buf_length, ureq.dbr_offset, ret);
	return -EIO;
}

TEST_F_TIMEOUT(hostile, create_cq, LIMIT)
{
	const struct svan_ureq_create_cq good = {
		.buf_va = (uintptr_t)self->raw.mem,
		.buf_length = 8192,
		.dbr_offset = 4096,
		.log_size = 6,
	};
	struct svan_ureq_create_cq ureq = good;

	ASSERT_EQ(0, raw_try_cq(&self->raw, &ureq, 64));
	ASSERT_EQ(0, refused_cq(&self->raw, good, 65));
	ureq.log_size = 7;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
	ureq.log_size = 200;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
	ureq = good;
	ureq.dbr_offset = 8192 - 32;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
	ureq.dbr_offset = 4095;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
	ureq.dbr_offset = 0xffffffc0;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
	ureq = good;
	ureq.buf_va += 8;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
	ureq.buf_va = 0xffff888000000000ull;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
	ureq.buf_va = 0x1000;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
	ureq = good;
	ureq.buf_length = 0;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
	ureq.buf_length = UINT64_MAX;
	ASSERT_EQ(0, refused_cq(&self->raw, ureq, 64));
}

static int refused_qp(struct raw *raw, struct svan_ureq_create_qp ureq,
		      const struct raw_cq *cq)
{
	int ret = raw_try_qp(raw, &ureq, cq);

	if (ret == -EINVAL || ret == -EFAULT || ret == -ENOMEM)
		return 0;
	complain("QP of 2^%u and 2^%u*2^%u at 0x%x, 0x%x, record at 0x%x: %d",
		 ureq.log_sq_bbs, ureq.log_rq_size, ureq.log_rq_stride,
		 ureq.sq_offset, ureq.rq_offset, ureq.dbr_offset, ret);
	return -EIO;
}

TEST_F_TIMEOUT(hostile, create_qp, LIMIT)
{
	const struct svan_ureq_create_qp good = {
		.buf_va = (uintptr_t)self->raw.mem,
		.buf_length = 12288,
		.rq_offset = 4096,
		.dbr_offset = 8192,
		.log_sq_bbs = 6,
		.log_rq_size = 6,
		.log_rq_stride = 6,
	};
	struct svan_ureq_create_qp ureq = good;

	ASSERT_EQ(0, raw_try_qp(&self->raw, &ureq, &self->cq));
	ureq.log_sq_bbs = 8;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq.log_sq_bbs = 40;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq = good;
	ureq.log_rq_size = 8;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq.log_rq_size = 255;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq = good;
	ureq.log_rq_stride = 4;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq.log_rq_stride = 10;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq = good;
	ureq.rq_offset = 4095;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq.rq_offset = 0xfffff000;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq = good;
	ureq.dbr_offset = 12288;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq = good;
	ureq.sq_offset = 1u << 31;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq = good;
	ureq.buf_va += 64;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq.buf_va = UINT64_MAX & ~4095ull;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq = good;
	ureq.flags = SVAN_UREQ_QP_MASK + 1;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq.flags = 0;
	ureq.uar_page = 1;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq.flags = SVAN_UREQ_QP_RECV_NO_CQE;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
}

/* The doorbell page of a QP is an object of its own context, or there is no QP. */
TEST_F_TIMEOUT(hostile, pages_of_others, LIMIT)
{
	struct svan_ureq_create_qp ureq = {
		.buf_va = (uintptr_t)self->raw.mem,
		.buf_length = 12288,
		.rq_offset = 4096,
		.dbr_offset = 8192,
		.log_sq_bbs = 6,
		.log_rq_size = 6,
		.log_rq_stride = 6,
		.flags = SVAN_UREQ_QP_OWN_UAR,
	};

	for (ureq.uar_page = 0; ureq.uar_page < 5000; ureq.uar_page++)
		ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
	ureq.uar_page = UINT32_MAX;
	ASSERT_EQ(0, refused_qp(&self->raw, ureq, &self->cq));
}

/* Commands that end too early. */
TEST_F_TIMEOUT(hostile, short_commands, LIMIT)
{
	struct svan_ureq_create_cq ureq = {
		.buf_va = (uintptr_t)self->raw.mem,
		.buf_length = 8192,
		.dbr_offset = 4096,
		.log_size = 6,
	};
	struct ib_uverbs_create_cq core = { .cqe = 64, .comp_channel = -1 };
	struct ib_uverbs_create_cq_resp resp;
	struct raw_cmd cmd = {
		.command = IB_USER_VERBS_CMD_CREATE_CQ,
		.core = &core,
		.core_size = sizeof(core),
		.driver = &ureq,
		.resp = &resp,
		.resp_size = sizeof(resp),
	};

	for (cmd.driver_size = 0; cmd.driver_size < sizeof(ureq);
	     cmd.driver_size += 4) {
		ASSERT_GT(0, raw_exec(&self->raw, &cmd));
	}
}

TEST_HARNESS_MAIN
