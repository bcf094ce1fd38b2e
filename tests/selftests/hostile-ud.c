// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that writes whatever it likes into the rings of a queue pair for
 * datagrams, address vectors among it. The device answers with a status and goes
 * on, and the process's other queue pairs notice nothing.
 */
#include <errno.h>
#include <string.h>

#include "common.h"
#include "kselftest_harness.h"
#include "raw.h"

#define LIMIT		120
#define CQ_LOG_SIZE	8
#define QKEY		0x11223344u
#define GROUP_QPN	0xffffffu

static struct rng rng;

FIXTURE(hostile_ud)
{
	struct pair bystander;		/* through libibverbs */
	struct raw raw;
	struct raw_cq cq;
	struct raw_qp ud;
	struct raw_qp rc;		/* connected to itself */
};

FIXTURE_SETUP(hostile_ud)
{
	rng_init(&rng, "hostile-ud");
	ASSERT_EQ(0, pair_open(&self->bystander, false, 65536));
	ASSERT_EQ(0, raw_open(&self->raw, &self->bystander.node[0]));
	ASSERT_EQ(0, raw_create_cq(&self->raw, &self->cq, CQ_LOG_SIZE));
	ASSERT_EQ(0, raw_create_ud(&self->raw, &self->ud, &self->cq));
	ASSERT_EQ(0, raw_create_qp(&self->raw, &self->rc, &self->cq));
	ASSERT_EQ(0, raw_begin_ud(&self->raw, &self->ud, QKEY));
	ASSERT_EQ(0, raw_connect(&self->raw, &self->rc, self->rc.qpn));
}

FIXTURE_TEARDOWN(hostile_ud)
{
	raw_destroy_qp(&self->raw, &self->rc);
	raw_destroy_qp(&self->raw, &self->ud);
	raw_destroy_cq(&self->raw, &self->cq);
	raw_close(&self->raw);
	EXPECT_EQ(0, area_check_canary(&self->bystander.in[0], 0, 65536));
	EXPECT_EQ(0, area_check_canary(&self->bystander.out[0], 0, 65536));
	EXPECT_EQ(0, pair_sound(&self->bystander));
	pair_close(&self->bystander);
}

static void fill_noise(void *to, size_t len)
{
	uint8_t *octet = to;

	while (len--)
		*octet++ = rng_u64(&rng);
}

/* Half of it is for the queue pair itself, for another or for a group. */
static void noise_av(const struct raw *raw, const struct raw_qp *qp,
		     struct svan_av *av)
{
	fill_noise(av, sizeof(*av));
	if (rng_below(&rng, 2))
		memcpy(av->dgid, &raw->gid, sizeof(av->dgid));
	if (rng_below(&rng, 2))
		av->sgid_index = raw->gid_index;
	if (rng_below(&rng, 2))
		av->dqpn = svan_cpu_to_le32(qp->qpn);
	else if (rng_below(&rng, 2))
		av->dqpn = svan_cpu_to_le32(GROUP_QPN);
	if (rng_below(&rng, 2))
		av->qkey = svan_cpu_to_le32(QKEY);
}

/* Most of it looks right at first sight. Returns the number of its blocks. */
static uint32_t noise_datagram(struct raw *raw, struct raw_qp *qp, uint32_t index)
{
	uint8_t opcode = rng_below(&rng, 8) ? SVAN_WQE_SEND + rng_below(&rng, 2) :
					      rng_u64(&rng);
	struct svan_wqe_head *head = svan_wqe_begin(&qp->sq, index, opcode,
						    SVAN_WQE_SIGNALED, 0);
	struct svan_av av;

	noise_av(raw, qp, &av);
	if (rng_below(&rng, 2)) {
		uint32_t num_sge = rng_below(&rng, 5), i;

		svan_wqe_set_num_sge(head, num_sge);
		for (i = 0; i < num_sge; i++)
			svan_sge_set(svan_wqe_sge(&qp->sq, index, i),
				     (uintptr_t)raw->mem + rng_below(&rng, 4096),
				     rng_below(&rng, 2000),
				     rng_below(&rng, 8) ? raw->lkey : rng_u64(&rng));
	} else {
		svan_wqe_set_inline(head, rng_below(&rng, SVAN_MAX_INLINE + 1));
	}
	if (rng_below(&rng, 8))
		svan_wqe_set_av(&qp->sq, index, head, &av);
	if (rng_below(&rng, 8) == 0)
		fill_noise(&head->ctrl.flags, 1);
	return head->ctrl.num_bbs;
}

static void post_receives(struct raw *raw, struct raw_qp *qp)
{
	struct svan_rwqe *rwqe;
	int i;

	for (i = 0; i < 8; i++) {
		rwqe = (void *)(qp->rq + (i << qp->log_rq_stride));
		rwqe->num_sge = svan_cpu_to_le32(1);
		svan_sge_set(&rwqe->sge[0], (uintptr_t)raw->mem + 32768,
			     rng_below(&rng, 4096), raw->lkey);
	}
	raw_ring_rq(raw, qp, i);
}

/*
 * Noise ends with a completion of an error, and takes the send queue down, which is
 * SQE; the first error may be any of it.
 */
static int noise_round(struct raw *raw, struct raw_qp *qp, struct raw_cq *cq)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	uint32_t index = qp->sq_pi, errors = 0, n;
	struct svan_cqe cqe;
	int state;

	post_receives(raw, qp);
	for (n = 1 + rng_below(&rng, 5); n; n--)
		index += noise_datagram(raw, qp, index);
	/* the last one stops it for certain */
	svan_wqe_begin(&qp->sq, index, 0xee, 0, 0);
	raw_ring_sq(raw, qp, index + 1);
	do {
		while (raw_poll(cq, &cqe, 0))
			errors += cqe.status != SVAN_CQE_SUCCESS &&
				  svan_le32_to_cpu(cqe.qpn) == qp->qpn;
		state = raw_state(raw, qp);
	} while ((state != IBV_QPS_SQE || !errors) && now_ms() < deadline);
	if (state == IBV_QPS_SQE && errors)
		return 0;
	complain("after noise: state %d, %u errors", state, errors);
	return -EIO;
}

static int good_write(struct raw *raw, struct raw_qp *qp, struct raw_cq *cq)
{
	struct svan_cqe cqe;

	raw_build_write(raw, qp, 64);
	raw_ring_sq(raw, qp, qp->sq_pi + 1);
	do {
		if (!raw_poll(cq, &cqe, WAIT_MS)) {
			complain("a good WRITE does not complete");
			return -ETIMEDOUT;
		}
	} while (svan_le32_to_cpu(cqe.qpn) != qp->qpn);
	if (cqe.status == SVAN_CQE_SUCCESS)
		return 0;
	complain("a good WRITE ends with status %u", cqe.status);
	return -EIO;
}

TEST_F_TIMEOUT(hostile_ud, noise, LIMIT)
{
	int round;

	for (round = 0; round < 150; round++) {
		ASSERT_EQ(0, noise_round(&self->raw, &self->ud, &self->cq)) {
			TH_LOG("round %d", round);
		}
		ASSERT_EQ(0, raw_reset(&self->raw, &self->ud));
		ASSERT_EQ(0, raw_begin_ud(&self->raw, &self->ud, QKEY));
		ASSERT_EQ(0, good_write(&self->raw, &self->rc, &self->cq));
	}
}

/* The ring changes while the device works on it. */
TEST_F_TIMEOUT(hostile_ud, noise_in_flight, LIMIT)
{
	uint32_t spins, index;
	int round, i;

	for (round = 0; round < 40; round++) {
		post_receives(&self->raw, &self->ud);
		for (i = 0, index = 0; i < 6; i++)
			index += noise_datagram(&self->raw, &self->ud, index);
		raw_ring_sq(&self->raw, &self->ud, index);
		for (spins = rng_below(&rng, 100); spins; spins--)
			noise_datagram(&self->raw, &self->ud, rng_below(&rng, 64));
		ASSERT_EQ(0, raw_reset(&self->raw, &self->ud));
		ASSERT_EQ(0, raw_begin_ud(&self->raw, &self->ud, QKEY));
		ASSERT_EQ(0, good_write(&self->raw, &self->rc, &self->cq));
	}
}

TEST_HARNESS_MAIN
