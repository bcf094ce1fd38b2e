/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The doorbell window of a virtual function, whoever stores to it: a processor or another
 * peripheral. It reaches the function's own queues, each by its own page alone, though
 * other functions have queues and pages of the same numbers.
 */
#include "vf_unit.h"

#define LENGTH          3000u

static uint64_t counted(Vf *vf, bool refused)
{
    SvanFn *fn = host_fn(vf->host);

    return atomic_load(refused ? &fn->doorbells_refused : &fn->doorbells);
}

/* It is written to the queue, but nobody has rung, and the record does not tell. */
static void prepare(Vf *vf)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = vf->buffer, .length = LENGTH, .remote = VF_PAGE(3), .rkey = vf->key,
    };

    vf_map(vf, 3);
    vf->qp.mmio_only = true;
    host_send(&vf->qp, &send);
}

/* Both functions' queue pairs, whose numbers are alike, are each its own peer. */
static int setup(void **state)
{
    Vfs *vfs;

    vfs_setup(state);
    vfs = *state;
    for (uint32_t i = 0; i < VFS; i++) {
        Vf *vf = &vfs->vf[i];
        HostQpAttr attr = { .uar = host_uar(vf->host, 0) };

        vf->qp = host_qp(vf->host, &vf->cq, &vf->cq, &attr);
        host_connect(&vf->qp, &vf->qp);
        prepare(vf);
    }
    assert_int_equal(vfs->vf[0].qp.qpn, vfs->vf[1].qp.qpn);
    assert_int_equal(vfs->vf[0].qp.uar, vfs->vf[1].qp.uar);
    return 0;
}

static void a_window_reaches_its_own_queue(void **state)
{
    Vfs *vfs = *state;
    Vf *a = &vfs->vf[0], *b = &vfs->vf[1];

    host_ring(&a->qp, SVAN_UAR_SQ_DB, a->qp.sq_pi);
    fake_run(vfs->fake);
    vf_done(&a->cq, SVAN_CQE_SUCCESS);
    vf_check(a, 3, LENGTH);
    vf_nothing_done(&b->cq);
    assert_int_equal(VF_STAT(b, roce_tx_packets), 0);
    host_ring(&b->qp, SVAN_UAR_SQ_DB, b->qp.sq_pi);
    fake_run(vfs->fake);
    vf_done(&b->cq, SVAN_CQE_SUCCESS);
    vf_check(b, 3, LENGTH);
}

/* Whatever is stored to the one's pages but its own: all registers, indices and numbers. */
static void a_window_reaches_no_other_queue(void **state)
{
    static const uint32_t registers[] = { SVAN_UAR_SQ_DB, SVAN_UAR_RQ_DB, SVAN_UAR_CQ_DB };
    Vfs *vfs = *state;
    Vf *a = &vfs->vf[0], *b = &vfs->vf[1];
    uint64_t rung = counted(b, false), refused = counted(b, true);
    uint64_t mine = counted(a, false), stores = 0;

    for (uint32_t uar = 0; uar < SVAN_VF_UAR_COUNT + 8; uar++) {
        for (uint32_t qn = 0; qn < 64; qn++) {
            for (uint32_t i = 0; i < SIZE(registers); i++) {
                uint32_t at = uar << SVAN_UAR_SHIFT | registers[i];

                if (uar == a->qp.uar || uar == a->cq.uar) {
                    continue;
                }
                svan_doorbell(vfs->fake->core, a->host->fn, at, svan_db_value(qn, 1), 8);
                stores += uar < SVAN_VF_UAR_COUNT;
            }
        }
    }
    fake_run(vfs->fake);
    assert_int_equal(counted(a, true), stores);
    assert_int_equal(counted(a, false), mine);
    assert_int_equal(counted(b, false), rung);
    assert_int_equal(counted(b, true), refused);
    for (uint32_t i = 0; i < VFS; i++) {
        vf_nothing_done(&vfs->vf[i].cq);
        assert_int_equal(VF_STAT(&vfs->vf[i], roce_tx_packets), 0);
    }
}

/* Who still rings for a function that was reset reaches nobody, and no new queue of it. */
static void a_window_outlives_its_function_s_reset(void **state)
{
    Vfs *vfs = *state;
    Vf *a = &vfs->vf[0], *b = &vfs->vf[1], old = *a;

    svan_reset(vfs->fake->core, a->host->fn);
    host_ring(&old.qp, SVAN_UAR_SQ_DB, old.qp.sq_pi);
    fake_run(vfs->fake);
    host_destroy(a->host);
    vf_make(vfs, 1);
    old.qp.host = a->host;
    host_ring(&old.qp, SVAN_UAR_SQ_DB, old.qp.sq_pi);
    fake_run(vfs->fake);
    assert_int_equal(counted(a, true), 2);
    assert_int_equal(VF_STAT(a, roce_tx_packets), 0);
    assert_int_equal(VF_STAT(b, roce_tx_packets), 0);
    host_ring(&b->qp, SVAN_UAR_SQ_DB, b->qp.sq_pi);
    fake_run(vfs->fake);
    vf_done(&b->cq, SVAN_CQE_SUCCESS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, vfs_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_window_reaches_its_own_queue),
        TEST(a_window_reaches_no_other_queue),
        TEST(a_window_outlives_its_function_s_reset),
    };

    return cmocka_run_group_tests_name("windows of virtual functions", tests, NULL, NULL);
}
