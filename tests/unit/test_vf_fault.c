/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtual functions that fault at once: page requests, estimates, fault buffer, spare
 * pages, injections and counters are each one's own, and so is what a reset ends.
 */
#include "vf_unit.h"

#define LENGTH          3000u

/* What a function has counted; clocks and doorbells, which are not in here, go on. */
static SvanFnStats stats_of(Host *host)
{
    return *host_fn(host)->stats;
}

static void assert_same_stats(Host *host, const SvanFnStats *before)
{
    SvanFnStats after = stats_of(host);

    assert_memory_equal(&after, before, sizeof(after));
}

/* The same page of both, in one run. */
static void both_be_written(Vfs *vfs, uint32_t page, uint32_t length)
{
    for (uint32_t i = 0; i < VFS; i++) {
        vf_be_written(&vfs->vf[i], page, length);
    }
    fake_run(vfs->fake);
}

static void page_requests_are_each_one_s_own(void **state)
{
    Vfs *vfs = *state;
    Vf *a = &vfs->vf[0], *b = &vfs->vf[1];
    SvanFnStats before;

    both_be_written(vfs, 3, LENGTH);
    assert_true(vf_requested(a));
    assert_true(vf_requested(b));
    assert_int_equal(a->last.token, b->last.token);
    assert_int_equal(a->last.addr, b->last.addr);
    assert_int_equal(a->last.key, b->last.key);
    before = stats_of(a->host);
    vf_resolve(b);
    vf_check(b, 3, LENGTH);
    vf_done(&b->pf_cq, SVAN_CQE_SUCCESS);
    assert_same_stats(a->host, &before);
    assert_int_equal(svan_prq_open_requests(host_fn(a->host)), 1);
    assert_int_equal(svan_prq_open_requests(host_fn(b->host)), 0);
    vf_nothing_done(&a->pf_cq);
    vf_resolve(a);
    vf_check(a, 3, LENGTH);
    vf_done(&a->pf_cq, SVAN_CQE_SUCCESS);
    for (uint32_t i = 0; i < VFS; i++) {
        assert_int_equal(VF_STAT(&vfs->vf[i], page_requests), 1);
        assert_int_equal(VF_STAT(&vfs->vf[i], fault_held_bytes), LENGTH);
        assert_int_equal(VF_STAT(&vfs->vf[i], page_responses_bad), 0);
    }
    assert_int_equal(host_fn(vfs->pf)->stats->page_requests, 0);
}

static void sources_are_asked_for_by_their_function(void **state)
{
    Vfs *vfs = *state;

    for (uint32_t i = 0; i < VFS; i++) {
        Vf *vf = &vfs->vf[i];
        HostSend send = {
            .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
            .addr = VF_PAGE(5), .lkey = vf->key, .length = LENGTH,
            .remote = vf->buffer, .rkey = vfs->pf->all_key,
        };

        memset(fake_ram(vfs->fake, vf->pages + 5 * 4096), 0x40 + i, LENGTH);
        host_send(&vf->qp, &send);
        host_post(&vf->qp);
    }
    fake_run(vfs->fake);
    for (uint32_t i = 0; i < VFS; i++) {
        Vf *vf = &vfs->vf[i];

        assert_true(vf_requested(vf));
        assert_int_equal(vf->last.flags & SVAN_PAGE_REQ_REMOTE, 0);
        vf_nothing_done(&vf->cq);
        vf_resolve(vf);
        vf_done(&vf->cq, SVAN_CQE_SUCCESS);
        vf_check(vf, 5, LENGTH);
    }
}

/* One driver's PENDING sends its own requester away; the other's packet stays held. */
static void estimates_are_each_one_s_own(void **state)
{
    Vfs *vfs = *state;
    Vf *a = &vfs->vf[0], *b = &vfs->vf[1];

    both_be_written(vfs, 3, LENGTH);
    assert_true(vf_requested(a));
    assert_true(vf_requested(b));
    vf_answer(a, SVAN_PAGE_PENDING, 100000000);
    assert_int_equal(VF_STAT(a, fault_rnr), 1);
    assert_int_equal(VF_STAT(a, rnr_nak_sent), 1);
    assert_int_equal(VF_STAT(b, fault_rnr), 0);
    assert_int_equal(VF_STAT(b, rnr_nak_sent), 0);
    vf_answer(b, SVAN_PAGE_PENDING, 100000);
    assert_int_equal(VF_STAT(b, fault_hold), 1);
    vf_resolve(b);
    vf_check(b, 3, LENGTH);
    vf_resolve(a);
    fake_advance(vfs->fake, 1000000000);
    vf_check(a, 3, LENGTH);
    vf_done(&a->pf_cq, SVAN_CQE_SUCCESS);
}

static void an_injection_is_one_function_s(void **state)
{
    static const SvanInjection what = {
        .last = UINT64_MAX, .chance_ppm = 1000000, .delay_ns = 400000,
        .fault_class = SVAN_FAULT_FILE_READ, .estimate_ns = 400000,
    };
    Vfs *vfs = *state;
    Vf *a = &vfs->vf[0], *b = &vfs->vf[1];

    for (uint32_t page = 0; page < 8; page++) {
        vf_map(a, page);
        vf_map(b, page);
    }
    assert_true(svan_inject(vfs->fake->core, a->host->fn, &what));
    both_be_written(vfs, 2, 4 * LENGTH);
    vf_done(&b->pf_cq, SVAN_CQE_SUCCESS);
    vf_check(b, 2, 4 * LENGTH);
    vf_nothing_done(&a->pf_cq);
    for (uint32_t n = 0; n < 8; n++) {
        fake_advance(vfs->fake, 500000);
    }
    vf_done(&a->pf_cq, SVAN_CQE_SUCCESS);
    vf_check(a, 2, 4 * LENGTH);
    assert_int_equal(VF_STAT(a, page_faults_injected), 3);
    assert_int_equal(VF_STAT(b, page_faults_injected), 0);
    assert_int_equal(host_fn(vfs->pf)->stats->page_faults_injected, 0);
    assert_false(vf_requested(a));
    /* taking back those of one leaves the other's */
    assert_true(svan_inject(vfs->fake->core, b->host->fn, &what));
    svan_inject_nothing(vfs->fake->core, a->host->fn);
    both_be_written(vfs, 6, LENGTH);
    vf_done(&a->pf_cq, SVAN_CQE_SUCCESS);
    vf_nothing_done(&b->pf_cq);
    fake_advance(vfs->fake, 500000);
    vf_done(&b->pf_cq, SVAN_CQE_SUCCESS);
    vf_check(b, 6, LENGTH);
    assert_int_equal(VF_STAT(b, page_faults_injected), 1);
}

/* ---- memory in which packets wait ---- */

/* Packets of one queue pair, to as many pages that are absent, until one is refused. */
static void fill(Vfs *vfs, Vf *vf, uint32_t pages)
{
    for (uint32_t page = 0; page < pages; page++) {
        vf_be_written(vf, page, SVAN_PAGE_SIZE);
    }
    fake_run(vfs->fake);
}

static void memory_for_packets_is_each_one_s_own(void **state)
{
    static const uint8_t modes[] = { SVAN_FAULT_MODE_HOLD, SVAN_FAULT_MODE_DIVERT };
    Vfs *vfs = *state;
    Vf *a = &vfs->vf[0], *b = &vfs->vf[1];

    for (uint32_t i = 0; i < SIZE(modes); i++) {
        bool hold = modes[i] == SVAN_FAULT_MODE_HOLD;
        uint32_t page = hold ? 28 : 29;

        vf_set_mode(a, modes[i]);
        vf_set_mode(b, modes[i]);
        fill(vfs, a, 20);
        assert_true(hold ? vf_paging(a)->held_bytes > VF_FAULT_BUFFER / 2 :
                           svan_spares_in_use(host_fn(a->host)));
        vf_be_written(b, page, LENGTH);
        fake_run(vfs->fake);
        assert_true(hold ? vf_paging(b)->held_bytes > LENGTH :
                           svan_spares_in_use(host_fn(b->host)));
        vf_resolve_all(b);
        vf_done(&b->pf_cq, SVAN_CQE_SUCCESS);
        vf_check(b, page, LENGTH);
        assert_int_equal(VF_STAT(b, fault_hold) + VF_STAT(b, fault_divert), i + 1);
        assert_int_equal(vf_paging(b)->held_bytes, 0);
        assert_false(svan_spares_in_use(host_fn(b->host)));
        for (uint32_t n = 0; n < 100; n++) {
            vf_resolve_all(a);
            fake_advance(vfs->fake, 20000000);
        }
        for (uint32_t n = 0; n < 20; n++) {
            vf_done(&a->pf_cq, SVAN_CQE_SUCCESS);
        }
        vf_check(a, 0, SVAN_PAGE_SIZE);
        vf_unmap_all(a);
    }
}

/* Owners and processes are numbered by each function's driver. */
static void accounts_are_each_one_s_own(void **state)
{
    Vfs *vfs = *state;
    SvanFn *a = host_fn(vfs->vf[0].host), *b = host_fn(vfs->vf[1].host);
    SvanAccount *of_a = svan_account_get(a, 7), *of_b = svan_account_get(b, 7);

    of_a->held_bytes = VF_FAULT_BUFFER;
    of_a->requests = 1u << VF_PRQ_LOG;
    assert_int_equal(of_b->held_bytes, 0);
    assert_int_equal(of_b->requests, 0);
    svan_account_put(a, of_a);
    svan_account_put(b, of_b);
}

/* ---- resets ---- */

static void assert_no_faults(Vf *vf)
{
    SvanStats stats;

    svan_stats(vf->host->fake->core, vf->host->fn, &stats);
    assert_int_equal(stats.open_requests, 0);
    assert_int_equal(stats.held_bytes, 0);
    assert_false(stats.spares_lent);
}

/* A packet of the physical function's waits there, and a source of its own is asked for. */
static void fault_on_both_sides(Vfs *vfs, Vf *vf)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = VF_PAGE(9), .lkey = vf->key, .length = LENGTH,
        .remote = vf->buffer + VF_BUFFER / 2, .rkey = vfs->pf->all_key,
    };

    vf_be_written(vf, 3, LENGTH);
    host_send(&vf->qp, &send);
    host_post(&vf->qp);
    fake_run(vfs->fake);
    assert_int_equal(svan_prq_open_requests(host_fn(vf->host)), 2);
}

static void a_reset_ends_one_function_s_faults(void **state)
{
    Vfs *vfs = *state;
    Vf *a = &vfs->vf[0], *b = &vfs->vf[1];
    uint32_t reserved = vfs->fake->core->heap_reserved, timers;
    SvanFnStats before;

    fault_on_both_sides(vfs, a);
    fault_on_both_sides(vfs, b);
    timers = vfs->fake->core->heap_reserved;
    assert_int_equal(timers, reserved);
    before = stats_of(b->host);
    svan_reset(vfs->fake->core, a->host->fn);
    assert_no_faults(a);
    assert_true(vfs->fake->core->heap_reserved < timers);
    assert_same_stats(b->host, &before);
    assert_int_equal(svan_prq_open_requests(host_fn(b->host)), 2);
    vf_resolve_all(b);
    vf_done(&b->pf_cq, SVAN_CQE_SUCCESS);
    vf_done(&b->cq, SVAN_CQE_SUCCESS);
    vf_check(b, 3, LENGTH);
    assert_no_faults(b);
    /* its peer, who waits for the packet that was held, is told by its own timer */
    for (uint32_t n = 0; n < 100; n++) {
        fake_advance(vfs->fake, 100000000);
    }
    vf_done(&a->pf_cq, SVAN_CQE_RETRY_EXC_ERR);
    assert_int_equal(host_state(&b->pf_qp), SVAN_QPS_RTS);
}

/* It faults anew, with a queue of its own, while the other's requests are still open. */
static void a_function_faults_again_after_its_reset(void **state)
{
    Vfs *vfs = *state;
    Vf *a = &vfs->vf[0], *b = &vfs->vf[1];

    fault_on_both_sides(vfs, a);
    fault_on_both_sides(vfs, b);
    svan_reset(vfs->fake->core, a->host->fn);
    host_destroy(a->host);
    vf_make(vfs, 1);
    vf_be_written(a, 3, LENGTH);
    fake_run(vfs->fake);
    assert_int_equal(svan_prq_open_requests(host_fn(a->host)), 1);
    assert_true(vf_requested(a));
    vf_resolve(a);
    vf_done(&a->pf_cq, SVAN_CQE_SUCCESS);
    vf_check(a, 3, LENGTH);
    assert_int_equal(svan_prq_open_requests(host_fn(b->host)), 2);
    vf_resolve_all(b);
    vf_done(&b->pf_cq, SVAN_CQE_SUCCESS);
    vf_done(&b->cq, SVAN_CQE_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VFS_TEST(page_requests_are_each_one_s_own),
        VFS_TEST(sources_are_asked_for_by_their_function),
        VFS_TEST(estimates_are_each_one_s_own),
        VFS_TEST(an_injection_is_one_function_s),
        VFS_TEST(memory_for_packets_is_each_one_s_own),
        VFS_TEST(accounts_are_each_one_s_own),
        VFS_TEST(a_reset_ends_one_function_s_faults),
        VFS_TEST(a_function_faults_again_after_its_reset),
    };

    return cmocka_run_group_tests_name("faults of virtual functions", tests, NULL, NULL);
}
