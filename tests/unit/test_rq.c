/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receive queues by themselves: one that belongs to no queue pair, in the memory of
 * one that does.
 */
#include "unit.h"

typedef struct Bench {
    Host *host;
    HostCq cq;
    HostQp qp;
    SvanQp *dev;
    SvanRq rq;                  /* not the queue pair's own */
    SvanRwqe rwqe;
    uint8_t status;
    uint32_t syndrome;
} Bench;

static int setup(void **state)
{
    HostQpAttr attr = { .log_sq = 4, .log_rq = 3, .max_sge = 2 };
    Bench *bench = calloc(1, sizeof(*bench));

    bench->host = host_create(fake_create(NULL), 0, 1);
    bench->cq = host_cq(bench->host, 4);
    bench->qp = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    bench->dev = svan_qp_get(host_fn(bench->host), bench->qp.qpn);
    bench->rq = bench->dev->rq;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->host->fake);
    host_destroy(bench->host);
    free(bench);
    return 0;
}

static SvanStep fetch(Bench *bench)
{
    bench->status = 0xff;
    return svan_rq_fetch(&bench->rq, &bench->rwqe, &bench->status,
                         &bench->syndrome);
}

/* With a completion, or without. */
static void complete(Bench *bench, bool told)
{
    struct svan_cqe cqe = { .opcode = SVAN_CQE_RECV };
    SvanCqSlot slot;

    if (told) {
        assert_int_equal(svan_cq_reserve(bench->dev->recv_cq, &slot),
                         SVAN_STEP_DONE);
    }
    svan_rq_complete(&bench->rq, told ? &slot : NULL, &cqe);
}

static void entries_come_in_their_order(void **state)
{
    Bench *bench = *state;
    struct svan_cqe cqe;

    assert_int_equal(svan_rq_find(&bench->rq, &bench->syndrome),
                     SVAN_STEP_IDLE);
    assert_int_equal(fetch(bench), SVAN_STEP_IDLE);
    for (uint32_t i = 0; i < 5; i++) {
        host_recv(&bench->qp, 0x1000 * (i + 1), 10 + i);
    }
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(fetch(bench), SVAN_STEP_DONE);
        assert_int_equal(bench->rwqe.index, i);
        assert_int_equal(bench->rwqe.sge[0].addr, 0x1000 * (i + 1));
        assert_int_equal(fetch(bench), SVAN_STEP_DONE);         /* again */
        assert_int_equal(bench->rwqe.length, 10 + i);
        complete(bench, i != 2);
    }
    assert_int_equal(fetch(bench), SVAN_STEP_IDLE);
    for (uint32_t i = 0; i < 5; i++) {
        if (i != 2) {
            assert_true(host_cq_poll(&bench->cq, &cqe));
            assert_int_equal(le32toh(cqe.wqe_index), i);
        }
    }
    assert_false(host_cq_poll(&bench->cq, &cqe));
    assert_int_equal(bench->dev->rq.ci, 0);     /* another queue */
}

static void the_record_is_read_when_all_are_used(void **state)
{
    Bench *bench = *state;

    host_recv(&bench->qp, 0, 1);
    host_recv(&bench->qp, 0, 1);
    assert_int_equal(fetch(bench), SVAN_STEP_DONE);
    host_dbr(&bench->qp)->rq_pi = htole32(99);          /* nonsense */
    complete(bench, false);
    assert_int_equal(svan_rq_find(&bench->rq, &bench->syndrome),
                     SVAN_STEP_DONE);
    complete(bench, false);
    assert_int_equal(svan_rq_find(&bench->rq, &bench->syndrome),
                     SVAN_STEP_ERROR);
    assert_int_equal(bench->syndrome, SVAN_SYN_INDEX);
}

static void it_is_told_who_is_at_fault(void **state)
{
    Bench *bench = *state;
    struct svan_rwqe *rwqe;

    host_recv(&bench->qp, 0, 1);
    rwqe = fake_ram(bench->host->fake, bench->qp.rq_bus);
    rwqe->num_sge = htole32(100);
    assert_int_equal(fetch(bench), SVAN_STEP_ERROR);
    assert_int_equal(bench->status, SVAN_CQE_LOC_QP_OP_ERR);
    assert_int_equal(bench->syndrome, SVAN_SYN_NUM_SGE);
    bench->rq = bench->dev->rq;
    bench->host->fake->bad_page = bench->qp.dbr;
    assert_int_equal(fetch(bench), SVAN_STEP_ERROR);
    assert_int_equal(bench->status, SVAN_CQE_SUCCESS);
    assert_int_equal(bench->syndrome, SVAN_SYN_RING);
}

static void without_memory_it_has_none(void **state)
{
    Bench *bench = *state;

    host_recv(&bench->qp, 0, 1);
    bench->rq.log_stride = 0;
    assert_int_equal(fetch(bench), SVAN_STEP_IDLE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(entries_come_in_their_order),
        TEST(the_record_is_read_when_all_are_used),
        TEST(it_is_told_who_is_at_fault),
        TEST(without_memory_it_has_none),
    };

    return cmocka_run_group_tests_name("rq", tests, NULL, NULL);
}
