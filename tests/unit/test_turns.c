/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns of the engine: what else a function has, and the port, beside those that send all the time.
 */
#include "turns_bench.h"

#define UNDER_WAY       64u

/* So many writes to itself are always under way. */
static void keep_writing(Bench *bench, HostQp *qp, uint32_t length)
{
    uint64_t done = sent(qp->host) / length;
    uint32_t under_way = qp->sq_pi - (uint32_t)done;

    qp->sq_ci = (uint32_t)done;
    for (; under_way < UNDER_WAY; under_way++) {
        post(bench, qp, SVAN_WQE_RDMA_WRITE, length, qp->host);
    }
    host_post(qp);
}

static void keep_arriving(Bench *bench, uint32_t length)
{
    while (bench->core->ingress->frames < UNDER_WAY) {
        SvanFrame *frame = fake_must(svan_frame_alloc(length));

        memset(frame->data, 2, length);
        frame->len = length;
        assert_true(svan_frame_in(bench->core, frame));
    }
}

static void query(Host *host)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_CAPS);

    host_cmd_post(host, &cmd);
    host_write(host, SVAN_REG_CMDQ_DB, host->cmd_pi);
}

static bool is_answered(Host *host)
{
    struct svan_cmd_resp resp;

    return host_cmd_resp(host, host->cmd_pi - 1, &resp);
}

/* Beside a function that has nothing but commands, or a port that has nothing but frames. */
static void is_obeyed(Bench *bench, uint32_t length, bool commands)
{
    uint32_t runs = 0;
    HostQp qp = new_qp(bench, bench->one, 7);

    host_connect(&qp, &qp);
    for (uint32_t i = 0; i < 1000 || !is_answered(bench->one); i++) {
        keep_writing(bench, &qp, length);
        if (!commands) {
            keep_arriving(bench, 64);
        } else if (is_answered(bench->many)) {
            query(bench->many);
        }
        if (i == 1000) {
            query(bench->one);
        }
        assert_true(i < 1000 || ++runs < 20);
        run(bench, 1);
    }
}

static void who_sends_all_the_time_is_obeyed(void **state)
{
    query(((Bench *)*state)->many);
    is_obeyed(*state, SVAN_PAGE_SIZE, true);
}

static void who_sends_a_little_all_the_time_is_obeyed(void **state)
{
    query(((Bench *)*state)->many);
    is_obeyed(*state, 64, true);
}

static void who_sends_beside_a_busy_port_is_obeyed(void **state)
{
    is_obeyed(*state, SVAN_PAGE_SIZE, false);
}

/* However many send, the port has as much as all of them; and no more. */
static void the_port_has_its_part(void **state)
{
    Bench *bench = *state;
    SvanFnStats *port = host_fn(bench->pf)->stats;
    HostQp qps[2] = { new_qp(bench, bench->many, 7), new_qp(bench, bench->one, 7) };
    uint64_t frames = 0, cost = 0;

    host_connect(&qps[0], &qps[0]);
    host_connect(&qps[1], &qps[1]);
    for (uint32_t i = 0; i < 20000; i++) {
        keep_writing(bench, &qps[0], SVAN_PAGE_SIZE);
        keep_writing(bench, &qps[1], SVAN_PAGE_SIZE);
        keep_arriving(bench, 1500);
        cost = i == 1000 ? bench->core->cost : cost;
        frames = i <= 1000 ? port->port_rx_frames : frames;
        run(bench, 1);
    }
    /* A frame for nobody costs a step. */
    frames = port->port_rx_frames - frames;
    cost = bench->core->cost - cost + 19000 * SVAN_COST_STEP;
    print_message("%llu of %llu\n", (unsigned long long)frames * SVAN_COST_STEP,
                  (unsigned long long)cost);
    assert_in_range(frames * SVAN_COST_STEP, cost * 4 / 10, cost * 6 / 10);
}

/* Neither has it more because it was set aside for a while. */
static void a_port_that_was_set_aside_saves_nothing_up(void **state)
{
    Bench *bench = *state;
    HostQp qps[2] = { new_qp(bench, bench->many, 7), new_qp(bench, bench->one, 7) };
    uint64_t before = 0;

    host_connect(&qps[0], &qps[0]);
    host_connect(&qps[1], &qps[1]);
    bench->core->rx_miss.turn = SVAN_TURN_RX;
    for (uint32_t i = 0; i < 3100; i++) {
        keep_writing(bench, &qps[0], SVAN_PAGE_SIZE);
        keep_writing(bench, &qps[1], SVAN_PAGE_SIZE);
        keep_arriving(bench, 64);
        if (i == 1000) {
            svan_miss_suspend(bench->core, &bench->core->rx_miss);
        } else if (i == 3000) {
            svan_miss_resume(bench->core, &bench->core->rx_miss);
            before = sent(bench->many) + sent(bench->one);
        }
        run(bench, 1);
    }
    assert_true(sent(bench->many) + sent(bench->one) >= before + 5 * SVAN_PAGE_SIZE);
}

#define FUNCTIONS       32u

/* One of many functions, which writes to itself; its steps take so many ns for what they cost. */
static HostQp busy_function(Fake *fake, uint16_t fn, HostCq *cq, uint32_t price)
{
    Host *host = host_create(fake, fn, fn + 1);
    HostQp qp;
    uint64_t area = fake_alloc(fake, 2 * SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .addr = area, .length = SVAN_PAGE_SIZE,
        .remote = area + SVAN_PAGE_SIZE, .rkey = host->all_key,
    };

    *cq = host_cq(host, 4);
    qp = host_qp(host, cq, cq, &(HostQpAttr) { .log_sq = 9, .log_rq = 1 });
    host_connect(&qp, &qp);
    for (uint32_t i = 0; i < 1u << 9; i++) {
        host_send(&qp, &write);
    }
    host_fn(host)->price.price = price * SVAN_PRICE_ONE;
    return qp;
}

/* However many functions want the engine, all have as much time of it. */
static void dear_functions_have_fewer_turns(void **state)
{
    FakeSetup setup = {
        .config = fake_config, .bus = FAKE_RAM_BASE, .ram_size = RAM_SIZE,
    };
    uint64_t octets[2] = { 0, 0 };
    HostQp qps[FUNCTIONS];
    HostCq cqs[FUNCTIONS];
    Fake *fake;

    (void)state;
    setup.config.num_vfs = FUNCTIONS;
    fake = fake_create_as(&setup);
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        qps[i] = busy_function(fake, i + 1, &cqs[i], i % 2 ? 6 : 1);
    }
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        host_post(&qps[i]);
    }
    for (uint32_t i = 0; i < 3000; i++) {
        svan_run(fake->core);
    }
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        octets[i % 2] += sent(qps[i].host);
    }
    print_message("%.1f times as much\n", (double)octets[0] / octets[1]);
    assert_in_range(octets[0], 5 * octets[1], 7 * octets[1]);
    fake_destroy(fake);
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        host_destroy(qps[i].host);
    }
}

static uint64_t a_ms_a_look(void *opaque)
{
    return ((Fake *)opaque)->now += 1000000;
}

/* Nobody else has the engine meanwhile. */
static void a_reset_is_paid_for(void **state)
{
    Bench *bench = *state;
    SvanFn *fn = host_fn(bench->many);
    uint64_t (*now)(void *opaque) = bench->core->ops.now, before = fn->served;

    bench->core->ops.now = a_ms_a_look;
    svan_reset(bench->core, fn->id);
    bench->core->ops.now = now;
    assert_true(fn->served >= before + 1000000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_sends_all_the_time_is_obeyed),
        TEST(who_sends_a_little_all_the_time_is_obeyed),
        TEST(who_sends_beside_a_busy_port_is_obeyed),
        TEST(the_port_has_its_part),
        TEST(a_port_that_was_set_aside_saves_nothing_up),
        cmocka_unit_test(dear_functions_have_fewer_turns),
        TEST(a_reset_is_paid_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
