/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steps that miss a translation, and what others do in the meantime.
 */
#include "unit.h"

#define FUNCTIONS       4

/* Functions with a queue pair each that is connected to itself. */
typedef struct Bench {
    Fake *fake;
    SvanCore *core;
    Host *hosts[FUNCTIONS];
    HostCq cqs[FUNCTIONS];
    HostQp qps[FUNCTIONS];
    uint64_t from, to;
    /* an IOMMU */
    SvanDma (*map)(void *, uint16_t, uint64_t, uint32_t, bool, void **);
    uint64_t page;              /* what it does not know yet */
    uint16_t fn;                /* whose page it is */
    bool known, refused;
    bool siege;                 /* it is of all VFs, and gone again at once */
} Bench;

static Bench *the_bench;

/* As the glue does it: a refused page answers ERROR as long as it is awaited. */
static SvanDma iommu_map(void *opaque, uint16_t fn, uint64_t addr, uint32_t len,
                         bool for_write, void **host)
{
    Bench *bench = the_bench;

    if (addr / SVAN_PAGE_SIZE == bench->page / SVAN_PAGE_SIZE &&
        (bench->siege ? fn : fn == bench->fn)) {
        if (!bench->known) {
            return SVAN_DMA_MISS;
        }
        if (bench->refused) {
            return SVAN_DMA_ERROR;
        }
    }
    return bench->map(opaque, fn, addr, len, for_write, host);
}

static int setup(void **state)
{
    Bench *bench = fake_must(calloc(1, sizeof(*bench)));
    SvanConfig config = fake_config;

    config.num_vfs = FUNCTIONS - 1;
    bench->fake = fake_create(&config);
    bench->core = bench->fake->core;
    for (uint16_t i = 0; i < FUNCTIONS; i++) {
        HostQpAttr attr = { .log_sq = 8 };

        bench->hosts[i] = host_create(bench->fake, i, 1 + i);
        bench->cqs[i] = host_cq(bench->hosts[i], 8);
        bench->qps[i] = host_qp(bench->hosts[i], &bench->cqs[i], &bench->cqs[i],
                                &attr);
        host_connect(&bench->qps[i], &bench->qps[i]);
    }
    bench->from = fake_alloc(bench->fake, 4096, 4096);
    bench->to = fake_alloc(bench->fake, 4096, 4096);
    bench->page = fake_alloc(bench->fake, 4096, 4096);
    bench->map = bench->core->ops.map;
    bench->core->ops.map = iommu_map;
    the_bench = bench;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->fake);
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        host_destroy(bench->hosts[i]);
    }
    free(bench);
    return 0;
}

static void post(Bench *bench, uint32_t qp, uint64_t from, uint32_t count)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .addr = from, .length = 4096,
        .remote = bench->to, .rkey = bench->hosts[qp]->all_key,
        .flags = SVAN_WQE_SIGNALED,
    };

    while (count--) {
        host_send(&bench->qps[qp], &send);
    }
    host_post(&bench->qps[qp]);
}

static uint64_t sent(const Bench *bench, uint32_t fn)
{
    return bench->core->fns[fn]->stats->roce_tx_packets;
}

static uint32_t done(Bench *bench, uint32_t qp, uint8_t status)
{
    struct svan_cqe cqe;
    uint32_t count = 0;

    while (host_cq_poll(&bench->cqs[qp], &cqe)) {
        count += cqe.status == status;
    }
    return count;
}

/* The PF's step misses while the VF is busy. */
static void miss(Bench *bench)
{
    post(bench, 1, bench->from, 200);
    post(bench, 0, bench->page, 1);
    for (uint32_t i = 0; svan_run(bench->core) != SVAN_RUN_MISS; i++) {
        assert_true(i < 20);
    }
    assert_true(svan_awaits(bench->core, bench->fn));
    assert_false(svan_awaits(bench->core, 1 - bench->fn));
    assert_true(svan_set_aside(bench->core));
}

static void run(Bench *bench, uint32_t runs)
{
    while (runs--) {
        assert_int_equal(svan_run(bench->core), SVAN_RUN_MORE);
    }
}

static void a_miss_stops_its_function_alone(void **state)
{
    Bench *bench = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);
    struct svan_cmd_resp resp;
    uint64_t before[2];

    miss(bench);
    before[0] = sent(bench, 0);
    before[1] = sent(bench, 1);
    host_cmd_post(bench->hosts[0], &cmd);
    host_write(bench->hosts[0], SVAN_REG_CMDQ_DB, bench->hosts[0]->cmd_pi);
    run(bench, 100);
    assert_int_equal(sent(bench, 0), before[0]);
    assert_true(sent(bench, 1) > before[1] + 30);
    assert_false(host_cmd_resp(bench->hosts[0], bench->hosts[0]->cmd_pi - 1,
                               &resp));
    bench->known = true;
    svan_resolved(bench->core);
    before[1] = sent(bench, 1);
    run(bench, 1);                      /* what missed comes before all others */
    assert_int_equal(sent(bench, 1), before[1]);
    assert_true(sent(bench, 0) > before[0]);
    assert_false(svan_awaits(bench->core, 0));
    fake_run(bench->fake);
    assert_true(host_cmd_resp(bench->hosts[0], bench->hosts[0]->cmd_pi - 1,
                              &resp));
    assert_int_equal(done(bench, 0, SVAN_CQE_SUCCESS), 1);
    assert_int_equal(done(bench, 1, SVAN_CQE_SUCCESS), 200);
}

/* Others have steps that do not miss before the refusal is looked at. */
static void a_refusal_is_awaited_until_the_step_is_run_again(void **state)
{
    Bench *bench = *state;

    miss(bench);
    bench->known = bench->refused = true;
    run(bench, 50);
    assert_true(svan_awaits(bench->core, 0));
    svan_resolved(bench->core);
    assert_true(svan_awaits(bench->core, 0));
    run(bench, 1);
    assert_false(svan_awaits(bench->core, 0));
    fake_run(bench->fake);
    assert_int_equal(done(bench, 0, SVAN_CQE_LOC_PROT_ERR), 1);
}

/* The PF writes to the VF, whose memory it is that is not translated. */
static void a_miss_in_the_memory_of_another(void **state)
{
    Bench *bench = *state;
    HostQp a = host_qp(bench->hosts[0], &bench->cqs[0], &bench->cqs[0], NULL);
    HostQp b = host_qp(bench->hosts[1], &bench->cqs[1], &bench->cqs[1], NULL);
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .addr = bench->from, .length = 4096,
        .remote = bench->page, .rkey = bench->hosts[1]->all_key,
        .flags = SVAN_WQE_SIGNALED,
    };

    bench->fn = 1;
    host_connect(&a, &b);
    host_send(&a, &send);
    host_post(&a);
    miss(bench);
    assert_false(svan_awaits(bench->core, 0));
    run(bench, 100);
    assert_true(svan_awaits(bench->core, 1));
    bench->known = true;
    svan_resolved(bench->core);
    run(bench, 1);
    assert_false(svan_awaits(bench->core, 1));
    fake_run(bench->fake);
    assert_int_equal(done(bench, 0, SVAN_CQE_SUCCESS), 2);
}

/* Then there is nothing to set aside it for, now or later, and nobody to wake. */
static void nobody_else_has_work(void **state)
{
    Bench *bench = *state;
    uint32_t kicks;

    miss(bench);
    for (uint32_t i = 0; svan_run(bench->core) == SVAN_RUN_MORE; i++) {
        assert_true(i < 10000);
    }
    assert_int_equal(done(bench, 1, SVAN_CQE_SUCCESS), 200);
    kicks = bench->fake->kicks;
    assert_false(svan_set_aside(bench->core));
    assert_int_equal(svan_run(bench->core), SVAN_RUN_MISS);     /* it was run */
    assert_false(svan_set_aside(bench->core));
    assert_int_equal(bench->fake->kicks, kicks);
    bench->known = true;
    fake_run(bench->fake);
    assert_int_equal(done(bench, 0, SVAN_CQE_SUCCESS), 1);
}

static void a_function_that_is_aside_is_reset(void **state)
{
    Bench *bench = *state;

    miss(bench);
    svan_reset(bench->core, 0);
    assert_false(svan_awaits(bench->core, 0));
    fake_run(bench->fake);
    assert_int_equal(done(bench, 1, SVAN_CQE_SUCCESS), 200);
    assert_int_equal(svan_run(bench->core), SVAN_RUN_IDLE);
    bench->known = true;
    host_destroy(bench->hosts[0]);
    bench->hosts[0] = host_create(bench->fake, 0, 1);           /* it works */
}

static void a_function_that_is_aside_becomes_fatal(void **state)
{
    Bench *bench = *state;
    struct svan_eqe eqe;

    while (host_eq_poll(bench->hosts[0], 0, &eqe)) {
    }
    miss(bench);
    svan_fatal(host_fn(bench->hosts[0]), SVAN_FATAL_INTERNAL);
    assert_false(svan_awaits(bench->core, 0));
    run(bench, 20);
    assert_true(host_eq_poll(bench->hosts[0], 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_FATAL);
    fake_run(bench->fake);
    assert_int_equal(svan_run(bench->core), SVAN_RUN_IDLE);
}

/* Where it is loaded nothing is aside: it finds out what misses there. */
static void a_function_that_is_aside_is_saved(void **state)
{
    Bench *bench = *state;

    miss(bench);
    assert_true(fake_restore(bench->fake));
    bench->core = bench->fake->core;
    fake_run(bench->fake);
    assert_int_equal(done(bench, 0, SVAN_CQE_SUCCESS), 1);
    assert_int_equal(done(bench, 1, SVAN_CQE_SUCCESS), 200);
}

/* A frame for the PF waits with those behind it; the functions go on. */
static void a_frame_is_set_aside(void **state)
{
    Bench *bench = *state;
    HostQpAttr attr = { .type = SVAN_QPT_ETH };
    HostQp eth = host_qp(bench->hosts[0], &bench->cqs[0], &bench->cqs[0], &attr);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);
    SvanFrame *frame = svan_frame_alloc(64);
    uint64_t before;

    host_eth_rts(&eth);
    cmd.eth_filter.qpn = htole32(eth.qpn);
    cmd.eth_filter.flags = SVAN_CMD_ETH_PROMISC;
    cmd.eth_filter.max_frame = htole32(1500);
    host_must(bench->hosts[0], &cmd);
    host_recv(&eth, bench->page, 4096);
    fake_run(bench->fake);
    memset(frame->data, 0, 64);
    frame->len = 64;
    post(bench, 0, bench->from, 100);
    svan_frame_in(bench->core, frame);
    while (svan_run(bench->core) != SVAN_RUN_MISS) {
    }
    assert_true(svan_set_aside(bench->core));
    before = sent(bench, 0);
    run(bench, 40);
    assert_true(sent(bench, 0) > before + 10);
    assert_int_equal(bench->core->ingress->frames, 1);
    assert_true(svan_awaits(bench->core, 0));
    bench->known = true;
    svan_resolved(bench->core);
    run(bench, 1);
    assert_false(svan_awaits(bench->core, 0));
    fake_run(bench->fake);
    assert_int_equal(bench->core->ingress->frames, 0);
    assert_int_equal(done(bench, 0, SVAN_CQE_SUCCESS), 101);
}

/* A function is set aside; what arrives, for nobody here, is looked at all the same. */
static void frames_go_on(void **state)
{
    Bench *bench = *state;
    SvanFrame *frame = svan_frame_alloc(64);

    post(bench, 0, bench->page, 1);
    while (svan_run(bench->core) != SVAN_RUN_MISS) {
    }
    memset(frame->data, 0, 64);
    frame->len = 64;
    svan_frame_in(bench->core, frame);
    assert_true(svan_set_aside(bench->core));
    svan_run(bench->core);
    assert_int_equal(bench->core->ingress->frames, 0);
    assert_false(svan_has_work(bench->core));
    bench->known = true;
    svan_resolved(bench->core);
    fake_run(bench->fake);
    assert_int_equal(done(bench, 0, SVAN_CQE_SUCCESS), 1);
}

/* ---- steps that miss again and again ---- */

/* These functions write what they never come to read. */
static void attack(Bench *bench, uint32_t count)
{
    bench->siege = true;
    for (uint32_t i = 1; i <= count; i++) {
        post(bench, i, bench->page, 1);
    }
}

/* What has missed is run again after each so many runs. */
static void resist(Bench *bench, uint32_t runs, uint32_t every)
{
    for (uint32_t i = 0; i < runs; i++) {
        if (svan_run(bench->core) == SVAN_RUN_MISS) {
            svan_set_aside(bench->core);
        }
        if (i % every == 0) {
            svan_resolved(bench->core);
        }
    }
}

static void those_who_miss_again_do_not_starve_others(void **state)
{
    Bench *bench = *state;

    attack(bench, FUNCTIONS - 1);
    resist(bench, 20, 1);
    for (uint32_t every = 8; every; every--) {
        uint64_t before = sent(bench, 0);

        post(bench, 0, bench->from, 100);
        resist(bench, 80, every);
        print_message("translated every %u runs: %llu packets of another\n", every,
                      (unsigned long long)(sent(bench, 0) - before));
        assert_in_range(sent(bench, 0) - before, 20, 100);
        resist(bench, 1000, every);
        assert_int_equal(done(bench, 0, SVAN_CQE_SUCCESS), 100);
    }
}

/* Each source has its turns while a step of one is run again. */
static void a_step_that_misses_again_takes_no_source_its_turn(void **state)
{
    Bench *bench = *state;
    SvanFn *fn = host_fn(bench->hosts[0]);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

    attack(bench, 1);
    resist(bench, 20, 1);
    for (uint32_t every = 8; every; every--) {
        uint64_t before = sent(bench, 0);

        post(bench, 0, bench->from, 100);
        resist(bench, 10, every);
        for (uint32_t i = 0; i < 4; i++) {
            host_cmd_post(bench->hosts[0], &cmd);
        }
        host_write(bench->hosts[0], SVAN_REG_CMDQ_DB, bench->hosts[0]->cmd_pi);
        host_event(bench->hosts[0], SVAN_EVENT_CMD, 0, 0);
        resist(bench, 50, every);
        assert_in_range(sent(bench, 0) - before, 10, 99);
        assert_int_equal(fn->regs->cmdq.ci, bench->hosts[0]->cmd_pi);
        assert_true(svan_list_empty(&fn->work[SVAN_TURN_EQ].objects));
        resist(bench, 1000, every);
        assert_int_equal(done(bench, 0, SVAN_CQE_SUCCESS), 100);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_miss_stops_its_function_alone),
        TEST(a_refusal_is_awaited_until_the_step_is_run_again),
        TEST(a_miss_in_the_memory_of_another),
        TEST(nobody_else_has_work),
        TEST(a_function_that_is_aside_is_reset),
        TEST(a_function_that_is_aside_becomes_fatal),
        TEST(a_function_that_is_aside_is_saved),
        TEST(a_frame_is_set_aside),
        TEST(frames_go_on),
        TEST(those_who_miss_again_do_not_starve_others),
        TEST(a_step_that_misses_again_takes_no_source_its_turn),
    };

    return cmocka_run_group_tests_name("miss", tests, NULL, NULL);
}
