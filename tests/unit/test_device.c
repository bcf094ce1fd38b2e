/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mock.h"

typedef struct Bench {
    Host *host;
    Fake *fake;
    SvanCore *core;
    HostCq cq;
    HostQp qps[MOCK_QPS];
} Bench;

static Bench *bench_new(uint32_t num_qps)
{
    Bench *bench = calloc(1, sizeof(*bench));

    mock_reset();
    bench->fake = fake_create(NULL);
    bench->core = bench->fake->core;
    bench->host = host_create(bench->fake, 0, 1);
    bench->cq = host_cq(bench->host, 4);
    for (uint32_t i = 0; i < num_qps; i++) {
        bench->qps[i] = host_qp(bench->host, &bench->cq, &bench->cq, NULL);
        mock_qp(&bench->qps[i]);
    }
    fake_run(bench->fake);
    mock_steps = 0;
    return bench;
}

static int setup(void **state)
{
    *state = bench_new(MOCK_QPS);
    return 0;
}

static int teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->fake);
    host_destroy(bench->host);
    free(bench);
    return 0;
}

static void assert_has_no_parts(const SvanFn *fn)
{
    assert_false(fn->regs->enabled);
    assert_null(fn->memory);
    assert_null(fn->queues);
    assert_null(fn->paging);
    assert_null(fn->qps);
    assert_null(fn->net->gids);
    assert_null(fn->net->eth.mcast);
    assert_int_equal(fn->net->gid_limit, 0);
}

static void bad_configurations(void **state)
{
    static const SvanConfig bad[] = {
        { .num_vfs = SVAN_MAX_VFS + 1 }, { .max_qp = 8 }, { .max_qp = 100 },
        { .max_cq = 1 << 17 }, { .max_key = 1 << 25 }, { .max_key = 17 },
    };
    static const SvanOps none;

    for (size_t i = 0; i < SIZE(bad); i++) {
        assert_null(svan_create(&bad[i], &none, NULL));
    }
}

/* The defaults, and as many functions as there can be. */
static void the_largest_device(void **state)
{
    SvanConfig config = { .num_vfs = SVAN_MAX_VFS };
    Fake *fake = fake_create(&config);

    assert_int_equal(fake->core->num_fns, SVAN_MAX_VFS + 1);
    assert_int_equal(fake->core->fns[SVAN_MAX_VFS]->id, SVAN_MAX_VFS);
    fake_destroy(fake);
}

/* QPs that always have work take turns. */
static void queue_pairs_take_turns(void **state)
{
    Bench *bench = *state;

    for (uint32_t i = 0; i < MOCK_QPS; i++) {
        mocks[i].answer = SVAN_STEP_DONE;
        mocks[i].answers = 100;
        svan_qp_schedule(mocks[i].qp);
    }
    fake_run(bench->fake);
    for (uint32_t i = 0; i < 100 * MOCK_QPS; i++) {
        assert_int_equal(mock_order[i], i % MOCK_QPS);
    }
}

/* Whatever runs all the time, a command is answered within few runs. */
static void no_source_starves_another(void **state)
{
    Bench *bench = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);
    struct svan_cmd_resp resp;
    uint32_t steps;

    svan_set_poll(bench->core, 1000000000);
    for (uint32_t i = 0; i < MOCK_QPS; i++) {
        mocks[i].answer = i & 1 ? SVAN_STEP_AGAIN : SVAN_STEP_DONE;
        mocks[i].answers = UINT32_MAX;
        svan_qp_schedule(mocks[i].qp);
    }
    for (uint32_t i = 0; i < 100; i++) {
        svan_run(bench->core);
    }
    for (uint32_t i = 0; i < 50; i++) {
        SvanFrame *frame = svan_frame_alloc(64);

        memset(frame->data, 0, 64);
        frame->len = 64;
        assert_true(svan_frame_in(bench->core, frame));
    }
    cmd.hdr.flags = htole16(SVAN_CMD_NOTIFY);
    host_cmd_post(bench->host, &cmd);
    host_write(bench->host, SVAN_REG_CMDQ_DB, bench->host->cmd_pi);
    host_eq_arm(bench->host, 0);
    steps = mock_steps;
    for (uint32_t i = 0; i < 2 * SVAN_TURN_COUNT; i++) {
        svan_run(bench->core);
    }
    assert_true(host_cmd_resp(bench->host, bench->host->cmd_pi - 1, &resp));
    assert_int_equal(bench->fake->irqs[0][0], 1);
    assert_true(bench->core->ingress->frames <= 48);
    assert_true(mock_steps > steps + 1);
}

static void fire_schedules(SvanTimer *timer)
{
    timer->deadline = 0;
}

/* A due timer fires although the run list never empties. */
static void timers_fire_under_load(void **state)
{
    Bench *bench = *state;
    SvanTimer timer;

    mocks[0].answer = SVAN_STEP_DONE;
    mocks[0].answers = UINT32_MAX;
    svan_qp_schedule(mocks[0].qp);
    svan_timer_init(&timer, fire_schedules);
    svan_timer_reserve(bench->core, 1);
    svan_timer_set(bench->core, &timer, bench->fake->now + 10);
    for (uint32_t i = 0; i < 50; i++) {
        svan_run(bench->core);
    }
    assert_true(timer.slot >= 0);
    bench->fake->now += 10;
    for (uint32_t i = 0; i < 10; i++) {
        svan_run(bench->core);
    }
    assert_int_equal(timer.slot, -1);
}

static void make_busy(uint32_t first)
{
    for (uint32_t i = first; i < MOCK_QPS; i++) {
        mocks[i].answer = SVAN_STEP_DONE;
        mocks[i].answers = UINT32_MAX;
        svan_qp_schedule(mocks[i].qp);
    }
}

/* What missed is what runs next, though others have work, too. */
static void a_miss_is_told_and_the_step_is_next(void **state)
{
    Bench *bench = *state;
    uint32_t misses = 0, first;

    mocks[3].answer = SVAN_STEP_MISS;
    mocks[3].answers = 10;
    svan_qp_schedule(mocks[3].qp);
    make_busy(4);
    for (uint32_t i = 0; i < 100; i++) {
        misses += svan_run(bench->core) == SVAN_RUN_MISS;
    }
    assert_int_equal(misses, 10);
    for (first = 0; mock_order[first] != 3; first++) {
        assert_true(first < MOCK_QPS);
    }
    for (uint32_t i = first; i <= first + 10; i++) {
        assert_int_equal(mock_order[i], 3);
    }
    assert_true(mocks[4].steps > 10);
}

/*
 * An IOMMU as the glue treats it: a page that it refuses misses, then answers
 * ERROR until a run has not missed.
 */
static struct {
    SvanDma (*map)(void *, uint16_t, uint64_t, uint32_t, bool, void **);
    uint64_t page;
    bool known;
} refused;

static SvanDma refusing_map(void *opaque, uint16_t fn, uint64_t addr,
                            uint32_t len, bool for_write, void **host)
{
    if (addr / SVAN_PAGE_SIZE != refused.page / SVAN_PAGE_SIZE) {
        return refused.map(opaque, fn, addr, len, for_write, host);
    }
    return refused.known ? SVAN_DMA_ERROR : SVAN_DMA_MISS;
}

/* Others being busy, which ends soon if the refusal becomes an error. */
static void run_refused(Bench *bench, uint64_t page)
{
    refused.map = bench->core->ops.map;
    refused.page = page;
    bench->core->ops.map = refusing_map;
    make_busy(1);
    for (uint32_t i = 0; i < 200; i++) {
        refused.known = svan_run(bench->core) == SVAN_RUN_MISS;
    }
    bench->core->ops.map = refused.map;
}

static void a_command_is_refused_memory(void **state)
{
    Bench *bench = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_STATS);
    uint64_t page = fake_alloc(bench->fake, 4096, 4096);
    struct svan_cmd_resp resp;

    cmd.query.addr = htole64(page);
    cmd.query.length = htole32(64);
    host_cmd_post(bench->host, &cmd);
    host_write(bench->host, SVAN_REG_CMDQ_DB, bench->host->cmd_pi);
    run_refused(bench, page);
    assert_true(host_cmd_resp(bench->host, bench->host->cmd_pi - 1, &resp));
    assert_int_equal(resp.status, SVAN_CMD_DMA_ERROR);
}

static void an_event_queue_is_refused_memory(void **state)
{
    Bench *bench = *state;

    host_event(bench->host, SVAN_EVENT_CMD, 0, 0);
    run_refused(bench, bench->host->eqs[0].ring);
    assert_int_equal(host_fn(bench->host)->fatal, SVAN_FATAL_EQ_DMA);
}

static void a_queue_pair_is_refused_memory(void **state)
{
    Bench *bench = *state;
    uint64_t page = fake_alloc(bench->fake, 8192, 4096);
    HostQp qp = host_qp(bench->host, &bench->cq, &bench->cq, NULL);
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .addr = page, .length = 8192,
        .remote = page, .rkey = bench->host->all_key,
    };
    struct svan_cqe cqe;

    host_connect(&qp, &qp);
    host_send(&qp, &send);
    host_post(&qp);
    run_refused(bench, page);
    assert_true(host_cq_poll(&bench->cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_LOC_PROT_ERR);
}

static void a_polled_record_is_refused(void **state)
{
    Bench *bench = *state;
    uint64_t page = fake_alloc(bench->fake, 4096, 4096);
    SvanQp *qp = mocks[0].qp;

    svan_set_poll(bench->core, 1000000);
    for (uint32_t i = 0; i < 3; i++) {
        svan_poll_begin(&mocks[i].qp->sq);
    }
    qp->sq.dbr_va = page;
    mocks[0].answer = SVAN_STEP_IDLE;
    mocks[0].answers = UINT32_MAX;
    run_refused(bench, page);
    assert_null(qp->sq.poll_link.next);
    assert_int_equal(mocks[0].steps, 2);        /* it is told; one at RTS */
}

static void a_frame_is_refused_memory(void **state)
{
    Bench *bench = *state;
    uint64_t page = fake_alloc(bench->fake, 4096, 4096);
    HostQpAttr attr = { .type = SVAN_QPT_ETH };
    HostQp qp = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);
    SvanFrame *frame = svan_frame_alloc(64);

    host_eth_rts(&qp);
    cmd.eth_filter.qpn = htole32(qp.qpn);
    cmd.eth_filter.flags = SVAN_CMD_ETH_PROMISC;
    cmd.eth_filter.max_frame = htole32(1500);
    host_must(bench->host, &cmd);
    host_recv(&qp, page, 4096);
    memset(frame->data, 0, 64);
    frame->len = 64;
    svan_frame_in(bench->core, frame);
    run_refused(bench, page);
    assert_int_equal(svan_qp_get(host_fn(bench->host), qp.qpn)->state,
                     SVAN_QPS_ERR);
    assert_null(bench->core->ingress->head);
}

static void make_prq(Host *host, uint64_t responses)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_PRQ);

    cmd.create_prq.requests = htole64(fake_alloc(host->fake, 8192, 4096));
    cmd.create_prq.responses = htole64(responses);
    cmd.create_prq.log_size = 6;
    host_must(host, &cmd);
}

/* Another function's queue, which always has responses, is not looked at first. */
static void page_responses_are_refused(void **state)
{
    SvanConfig config = {
        .num_vfs = 1, .max_qp = 16, .max_cq = 16, .max_key = 16,
    };
    Fake *fake = fake_create(&config);
    Host *a = host_create(fake, 0, 1), *b = host_create(fake, 1, 2);
    uint32_t pi = 0;

    refused.page = fake_alloc(fake, 4096, 4096);
    make_prq(a, refused.page);
    make_prq(b, fake_alloc(fake, 4096, 4096));
    refused.map = fake->core->ops.map;
    refused.known = false;
    fake->core->ops.map = refusing_map;
    host_write(a, SVAN_REG_PRR_DB, 1);
    for (uint32_t i = 0; i < 200; i++) {
        host_write(b, SVAN_REG_PRR_DB, ++pi);
        refused.known = svan_run(fake->core) == SVAN_RUN_MISS;
    }
    assert_int_equal(host_fn(a)->fatal, SVAN_FATAL_PRQ_DMA);
    assert_int_equal(host_fn(b)->fatal, 0);
    assert_true(host_fn(b)->stats->page_responses_bad > 100);
    fake_destroy(fake);
    host_destroy(a);
    host_destroy(b);
}

static void blocked_until_there_is_room(void **state)
{
    Bench *bench = *state;
    uint32_t kicks;

    mocks[0].answer = SVAN_STEP_BLOCKED;
    mocks[0].answers = 2;
    host_ring(&bench->qps[0], SVAN_UAR_SQ_DB, 1);
    fake_run(bench->fake);
    assert_int_equal(svan_run(bench->core), SVAN_RUN_IDLE);
    assert_int_equal(mocks[0].steps, 2);        /* one of them at RTS */
    kicks = bench->fake->kicks;
    svan_tx_ready(bench->core);
    assert_int_equal(bench->fake->kicks, kicks + 1);
    fake_run(bench->fake);
    assert_int_equal(mocks[0].ci, 0);
    svan_tx_ready(bench->core);
    fake_run(bench->fake);
    assert_int_equal(mocks[0].ci, 1);
    kicks = bench->fake->kicks;
    svan_tx_ready(bench->core);
    assert_int_equal(bench->fake->kicks, kicks);
}

/* Blocked with POLLING set: neither polled, nor forgotten. */
static void blocked_while_polling(void **state)
{
    Bench *bench = *state;
    struct svan_qp_dbr *dbr = host_dbr(&bench->qps[0]);

    for (uint64_t poll_ns = 0; poll_ns <= 1000; poll_ns += 1000) {
        uint32_t first = mocks[0].ci;

        svan_set_poll(bench->core, poll_ns);
        mock_post(&bench->qps[0], first + 1);
        for (uint32_t i = 0; !dbr->device_flags; i++) {
            assert_true(i < 100);
            svan_run(bench->core);
        }
        mocks[0].answer = SVAN_STEP_BLOCKED;
        mocks[0].answers = 1;
        svan_qp_schedule(mocks[0].qp);
        fake_run(bench->fake);
        assert_int_equal(svan_run(bench->core), SVAN_RUN_IDLE);
        assert_int_equal(le32toh(dbr->device_flags), SVAN_QP_DBR_POLLING);
        dbr->sq_pi = htole32(first + 2);
        svan_tx_ready(bench->core);
        fake_run(bench->fake);
        assert_int_equal(mocks[0].ci, first + 2);
        fake_advance(bench->fake, 1000);
        assert_int_equal(dbr->device_flags, 0);
    }
}

static void a_fatal_function_stands_still(void **state)
{
    Bench *bench = *state;
    uint32_t steps;

    for (uint32_t i = 0; i < MOCK_QPS; i++) {
        mocks[i].answer = SVAN_STEP_DONE;
        mocks[i].answers = UINT32_MAX;
        svan_qp_schedule(mocks[i].qp);
    }
    svan_run(bench->core);
    svan_fatal(host_fn(bench->host), SVAN_FATAL_INTERNAL);
    assert_int_equal(host_fn(bench->host)->net->eth.qpn, 0);
    assert_int_equal(host_fn(bench->host)->net->gid_limit, 0);
    steps = mock_steps;
    host_ring(&bench->qps[0], SVAN_UAR_SQ_DB, 1);
    svan_qp_schedule(mocks[0].qp);
    fake_run(bench->fake);
    assert_int_equal(mock_steps, steps);
    host_write(bench->host, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
    fake_run(bench->fake);
    assert_has_no_parts(host_fn(bench->host));
}

static void reset_of_everything(void **state)
{
    Bench *bench = *state;
    SvanFn *fn = host_fn(bench->host);
    uint32_t generation = fn->generation;
    HostCq old = bench->cq;

    for (uint32_t i = 0; i < MOCK_QPS; i++) {
        host_ring(&bench->qps[i], SVAN_UAR_SQ_DB, 1);
        host_cq_arm(&bench->cq, false);
    }
    svan_run(bench->core);
    svan_reset(bench->core, 0);
    assert_int_equal(fn->generation, generation + 1);
    assert_has_no_parts(fn);
    assert_int_equal(fn->stats->commands, 0);
    assert_int_equal(bench->core->heap_reserved, 0);
    assert_int_equal(bench->fake->last[SVAN_TRACE_RESET].a, generation + 1);
    assert_int_equal(svan_run(bench->core), SVAN_RUN_IDLE);
    /* old numbers stay dead */
    host_destroy(bench->host);
    bench->host = host_create(bench->fake, 0, 1);
    bench->cq = host_cq(bench->host, 4);
    assert_int_equal(bench->cq.cqn & SVAN_QN_INDEX_MASK,
                     old.cqn & SVAN_QN_INDEX_MASK);
    assert_int_equal(bench->cq.cqn >> SVAN_QN_INDEX_SHIFT,
                     (old.cqn >> SVAN_QN_INDEX_SHIFT) + 1);
    assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_CQ, old.cqn),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_QP,
                                 bench->qps[0].qpn), SVAN_CMD_BAD_RESOURCE);
    svan_doorbell(bench->core, 0, SVAN_UAR_CQ_DB, svan_db_value(old.cqn, 0), 8);
    assert_int_equal(fn->doorbells_refused, 1);
}

/* Whatever is written to it, or said of it. */
static void a_disabled_function_has_no_parts(void **state)
{
    SvanConfig config = { .num_vfs = 1 };
    SvanInjection what = { .last = UINT64_MAX };
    Fake *fake = fake_create(&config);
    SvanFn *fn = fake->core->fns[1];
    SvanStats stats;
    size_t len;
    void *stream;

    for (uint32_t offset = 0; offset < SVAN_REG_END; offset += 4) {
        if (offset == SVAN_REG_CONTROL) {
            continue;
        }
        svan_reg_write(fake->core, 1, offset, 1, 4);
        svan_reg_write(fake->core, 1, offset, 1, 8);
        svan_reg_read(fake->core, 1, offset, 4);
    }
    svan_set_link(fake->core, true);
    svan_invalidate_bus(fake->core, 1, 0, 0);
    assert_true(svan_inject(fake->core, 1, &what));
    svan_inject_nothing(fake->core, 1);
    svan_doorbell(fake->core, 1, SVAN_UAR_SQ_DB, svan_db_value(2, 1), 8);
    svan_stats(fake->core, 1, &stats);
    assert_int_equal(stats.doorbells_refused, 1);
    fake_run(fake);
    assert_has_no_parts(fn);
    stream = svan_save(fake->core, &len);
    assert_true(svan_load(fake->core, stream, len));
    free(stream);
    assert_has_no_parts(fn);
    svan_reset(fake->core, 1);
    assert_has_no_parts(fn);
    fake_destroy(fake);
}


static void functions_do_not_see_each_other(void **state)
{
    SvanConfig config = {
        .num_vfs = 2, .max_qp = 16, .max_cq = 16, .max_key = 16,
    };
    Fake *fake = fake_create(&config);
    Host *a = host_create(fake, 0, 1), *b = host_create(fake, 2, 2);
    HostCq cq = host_cq(a, 4);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

    assert_int_equal(host_object(b, SVAN_CMD_DESTROY_CQ, cq.cqn),
                     SVAN_CMD_BAD_RESOURCE);
    svan_doorbell(fake->core, 2, SVAN_UAR_CQ_DB, svan_db_value(cq.cqn, 0), 8);
    assert_int_equal(fake->core->fns[2]->doorbells_refused, 1);
    svan_doorbell(fake->core, 0, SVAN_UAR_CQ_DB, svan_db_value(cq.cqn, 0), 8);
    assert_int_equal(fake->core->fns[0]->doorbells, 1);
    svan_reset(fake->core, 2);
    assert_int_equal(host_cmd(a, &cmd, NULL), SVAN_CMD_OK);
    assert_int_equal(host_read(a, SVAN_REG_GENERATION), 0);
    assert_non_null(svan_cq_get(fake->core->fns[0], cq.cqn));
    host_eq_arm(a, 1);
    fake_destroy(fake);
    host_destroy(a);
    host_destroy(b);
}

/* No more than a kick for each time that there is news. */
static void kicks(void **state)
{
    Bench *bench = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);
    uint32_t before = bench->fake->kicks;

    host_write(bench->host, SVAN_REG_CMDQ_DB, bench->host->cmd_pi);
    host_read(bench->host, SVAN_REG_STATUS);
    svan_set_link(bench->core, true);
    svan_tx_ready(bench->core);
    svan_set_poll(bench->core, 0);
    assert_int_equal(bench->fake->kicks, before);
    host_cmd_post(bench->host, &cmd);
    host_write(bench->host, SVAN_REG_CMDQ_DB, bench->host->cmd_pi);
    assert_int_equal(bench->fake->kicks, before + 1);
    svan_set_link(bench->core, false);
    assert_int_equal(bench->fake->kicks, before + 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_configurations),
        cmocka_unit_test(the_largest_device),
        TEST(queue_pairs_take_turns),
        TEST(no_source_starves_another),
        TEST(timers_fire_under_load),
        TEST(a_miss_is_told_and_the_step_is_next),
        TEST(a_command_is_refused_memory),
        TEST(an_event_queue_is_refused_memory),
        TEST(a_queue_pair_is_refused_memory),
        TEST(a_polled_record_is_refused),
        TEST(a_frame_is_refused_memory),
        cmocka_unit_test(page_responses_are_refused),
        TEST(blocked_until_there_is_room),
        TEST(blocked_while_polling),
        TEST(a_fatal_function_stands_still),
        TEST(reset_of_everything),
        cmocka_unit_test(a_disabled_function_has_no_parts),
        cmocka_unit_test(functions_do_not_see_each_other),
        TEST(kicks),
    };

    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
