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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_sends_all_the_time_is_obeyed),
        TEST(who_sends_a_little_all_the_time_is_obeyed),
        TEST(who_sends_beside_a_busy_port_is_obeyed),
        TEST(the_port_has_its_part),
        TEST(a_port_that_was_set_aside_saves_nothing_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
