/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What completion counters count, and when.
 */
#include "counters.h"

/* ---- counting ---- */

static void a_count_without_a_cqe(void **state)
{
    Bench *bench = *state;

    for (uint32_t i = 0; i < 10; i++) {
        post(bench, SVAN_WQE_RDMA_WRITE, 0, 100);
    }
    post(bench, SVAN_WQE_NOP, 0, 0);
    fake_run(bench->fake);
    assert_int_equal(successes(bench, &bench->sent), 11);
    assert_int_equal(errors(bench, &bench->sent), 0);
    assert_int_equal(polled(&bench->scq, SVAN_CQE_SUCCESS), 0);
    post(bench, SVAN_WQE_RDMA_WRITE, SVAN_WQE_SIGNALED, 100);
    fake_run(bench->fake);
    assert_int_equal(successes(bench, &bench->sent), 12);
    assert_int_equal(polled(&bench->scq, SVAN_CQE_SUCCESS), 1);
}

/* Whatever misses, each work request counts once. */
static void random_traffic(void **state)
{
    static const uint8_t opcodes[] = {
        SVAN_WQE_RDMA_WRITE, SVAN_WQE_RDMA_READ, SVAN_WQE_SEND,
        SVAN_WQE_RDMA_WRITE_IMM, SVAN_WQE_NOP,
    };
    Bench *bench = *state;
    uint32_t posted = 0, signaled = 0, receives = 0, told = 0, heard = 0;
    uint32_t seed = 1;
    uint64_t last = 0;

    for (uint32_t round = 0; round < 300; round++) {
        for (uint32_t i = 0; i < 1 + seed % 7; i++) {
            uint8_t opcode = opcodes[(seed >> 8) % SIZE(opcodes)];
            uint8_t flags = seed >> 29 & SVAN_WQE_SIGNALED;

            if (opcode == SVAN_WQE_SEND || opcode == SVAN_WQE_RDMA_WRITE_IMM) {
                host_recv(&bench->b, bench->dst, BUFFER);
                receives++;
            }
            post(bench, opcode, flags, 1 + (seed >> 12) % 9000);
            signaled += flags != 0;
            posted++;
            seed = seed * 1664525 + 1013904223;
        }
        bench->fake->miss_every = seed >> 13 & 3;
        for (SvanRun run = SVAN_RUN_MORE;
             run == SVAN_RUN_MORE || run == SVAN_RUN_MISS;) {
            run = svan_run(bench->fake->core);
            if (run != SVAN_RUN_MISS) {
                fake_forget(bench->fake);
            }
            assert_true(successes(bench, &bench->sent) >= last);
            last = successes(bench, &bench->sent);
        }
        bench->fake->miss_every = 0;
        fake_advance(bench->fake, 1000000000);
        told += polled(&bench->scq, SVAN_CQE_SUCCESS);
        heard += polled(&bench->rcq, SVAN_CQE_SUCCESS);
        assert_int_equal(successes(bench, &bench->sent), posted);
        assert_int_equal(successes(bench, &bench->received), receives);
        assert_int_equal(told, signaled);
        assert_int_equal(heard, receives);
        bench->a.sq_ci = bench->a.sq_pi;
    }
    assert_true(bench->fake->misses > 500);
    assert_int_equal(errors(bench, &bench->sent), 0);
    assert_int_equal(errors(bench, &bench->received), 0);
}

/* Who sees the count finds the entry and, as that comes behind the data, the data. */
static Bench *witness;
static uint32_t seen;

static void written(void *opaque, uint16_t fn, uint64_t addr, void *host,
                    uint32_t len)
{
    const struct svan_cqe *ring = fake_ram(witness->fake, witness->rcq.ring);

    if (addr == witness->received.success) {
        uint64_t count = successes(witness, &witness->received);

        assert_int_equal(len, 8);
        assert_int_equal(count, ++seen);
        assert_int_equal(ring[count - 1].owner & SVAN_CQE_PHASE,
                         SVAN_CQE_PHASE);
        assert_int_equal(((uint8_t *)fake_ram(witness->fake,
                                              witness->dst))[5], count);
    }
}

static void the_count_comes_last(void **state)
{
    Bench *bench = *state;

    witness = bench;
    seen = 0;
    bench->fake->core->ops.written = written;
    for (uint32_t i = 1; i <= 9; i++) {
        memset(fake_ram(bench->fake, bench->src), i, 10);
        host_recv(&bench->b, bench->dst, 10);
        post(bench, SVAN_WQE_SEND, 0, 10);
        fake_run(bench->fake);
    }
    assert_int_equal(seen, 9);
}

static void both_sides_of_two_queue_pairs(void **state)
{
    Bench *bench = *state;

    assert_int_equal(attach(&bench->a, bench->sent.id,
                            SVAN_ATTACH_COUNTER_MASK), SVAN_CMD_OK);
    assert_int_equal(attach(&bench->b, bench->sent.id,
                            SVAN_ATTACH_COUNTER_MASK), SVAN_CMD_OK);
    host_connect(&bench->a, &bench->b);
    for (uint32_t i = 0; i < 5; i++) {
        host_recv(&bench->b, bench->dst, 100);
        post(bench, SVAN_WQE_SEND, i & SVAN_WQE_SIGNALED, 100);
    }
    fake_run(bench->fake);
    assert_int_equal(successes(bench, &bench->sent), 10);
    for (uint32_t i = 0; i < 3; i++) {
        host_recv(&bench->b, bench->dst, 100);
    }
    host_modify(&bench->b, SVAN_QPS_ERR, 0, NULL);
    host_modify(&bench->a, SVAN_QPS_ERR, 0, NULL);
    post(bench, SVAN_WQE_SEND, 0, 100);
    fake_run(bench->fake);
    assert_int_equal(successes(bench, &bench->sent), 10);
    assert_int_equal(errors(bench, &bench->sent), 4);
    host_object(bench->host, SVAN_CMD_DESTROY_QP, bench->a.qpn);
    assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_COUNTER,
                                 bench->sent.id), SVAN_CMD_BUSY);
    host_object(bench->host, SVAN_CMD_DESTROY_QP, bench->b.qpn);
    assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_COUNTER,
                                 bench->sent.id), SVAN_CMD_OK);
}

/* ---- errors ---- */

/* One fails, those behind it and those posted later are flushed; all are counted. */
static void errors_and_what_they_flush(void **state)
{
    Bench *bench = *state;
    HostSend bad = {
        .opcode = SVAN_WQE_RDMA_WRITE, .addr = bench->src, .length = 100,
        .remote = bench->dst, .rkey = MISSING << 8,
    };
    struct svan_cqe cqe;

    post(bench, SVAN_WQE_RDMA_WRITE, 0, 100);
    host_send(&bench->a, &bad);
    for (uint32_t i = 0; i < 5; i++) {
        post(bench, SVAN_WQE_RDMA_WRITE, i & SVAN_WQE_SIGNALED, 100);
    }
    for (uint32_t i = 0; i < 4; i++) {
        host_recv(&bench->b, bench->dst, 100);
    }
    fake_run(bench->fake);
    assert_int_equal(successes(bench, &bench->sent), 1);
    assert_int_equal(errors(bench, &bench->sent), 6);
    assert_true(host_cq_poll(&bench->scq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_REM_ACCESS_ERR);
    assert_int_equal(polled(&bench->scq, SVAN_CQE_WR_FLUSH_ERR), 5);
    assert_int_equal(errors(bench, &bench->received), 4);
    assert_int_equal(polled(&bench->rcq, SVAN_CQE_WR_FLUSH_ERR), 4);
    for (uint32_t i = 0; i < 3; i++) {
        post(bench, SVAN_WQE_SEND, 0, 100);
        host_recv(&bench->b, bench->dst, 100);
        host_ring(&bench->b, SVAN_UAR_RQ_DB, bench->b.rq_pi);
    }
    fake_run(bench->fake);
    assert_int_equal(errors(bench, &bench->sent), 9);
    assert_int_equal(errors(bench, &bench->received), 7);
    assert_int_equal(successes(bench, &bench->sent), 1);
}

/* Those that were acknowledged before the error succeeded, signaled or not. */
static void success_is_counted_though_there_is_no_room_for_its_cqe(void **state)
{
    Bench *bench = *state;
    SvanCq *cq = svan_cq_get(host_fn(bench->host), bench->scq.cqn);

    cq->error = true;
    post(bench, SVAN_WQE_RDMA_WRITE, SVAN_WQE_SIGNALED, 100);
    fake_run(bench->fake);
    assert_int_equal(host_state(&bench->a), SVAN_QPS_ERR);
    assert_int_equal(event_of(bench, &bench->a, SVAN_EVENT_QP_FATAL),
                     SVAN_SYN_CQ_OVERRUN);
    assert_int_equal(successes(bench, &bench->sent), 1);
    assert_int_equal(errors(bench, &bench->sent), 0);
}

/* The queue pair goes to the error state, and no completion is lost. */
static void an_unreachable_counter_of_sends(void **state)
{
    Bench *bench = *state;

    for (uint32_t flags = 0; flags < 2; flags++) {
        post(bench, SVAN_WQE_RDMA_WRITE, flags, 100);
        bench->fake->bad_page = bench->sent.success;
        fake_run(bench->fake);
        assert_int_equal(event_of(bench, &bench->a, SVAN_EVENT_QP_FATAL),
                         SVAN_SYN_COUNTER);
        assert_int_equal(host_state(&bench->a), SVAN_QPS_ERR);
        assert_int_equal(polled(&bench->scq, SVAN_CQE_SUCCESS), flags);
        bench->fake->bad_page = 0;
        assert_int_equal(successes(bench, &bench->sent), 0);
        /* it was counted all the same, and is told when there is something to tell */
        assert_int_equal(host_fn(bench->host)->queues->counters.used, 2);
        assert_int_equal(svan_counter_get(host_fn(bench->host), bench->sent.id)
                         ->counts[SVAN_COUNT_SUCCESS].value, 1);
        counters_teardown(state);
        counters_setup(state);
        bench = *state;
    }
}

static void an_unreachable_counter_of_receives(void **state)
{
    Bench *bench = *state;
    struct svan_cqe cqe;

    for (uint32_t i = 0; i < 3; i++) {
        host_recv(&bench->b, bench->dst, 100);
    }
    bench->fake->bad_page = bench->received.success;
    post(bench, SVAN_WQE_SEND, SVAN_WQE_SIGNALED, 100);
    fake_run(bench->fake);
    assert_int_equal(event_of(bench, &bench->b, SVAN_EVENT_QP_FATAL),
                     SVAN_SYN_COUNTER);
    assert_int_equal(host_state(&bench->b), SVAN_QPS_ERR);
    assert_int_equal(polled(&bench->rcq, SVAN_CQE_WR_FLUSH_ERR), 3);
    assert_int_equal(errors(bench, &bench->received), 3);
    assert_true(host_cq_poll(&bench->scq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_REM_OP_ERR);
    assert_int_equal(errors(bench, &bench->sent), 1);
}

static void a_count_of_errors_that_is_unreachable(void **state)
{
    Bench *bench = *state;

    bench->fake->bad_page = bench->sent.error;
    host_modify(&bench->a, SVAN_QPS_ERR, 0, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        post(bench, SVAN_WQE_SEND, 0, 100);
    }
    fake_run(bench->fake);
    assert_int_equal(polled(&bench->scq, SVAN_CQE_WR_FLUSH_ERR), 3);
    bench->fake->bad_page = 0;
    post(bench, SVAN_WQE_SEND, 0, 100);
    fake_run(bench->fake);
    assert_int_equal(errors(bench, &bench->sent), 4);
}

/* ---- receives that are counted alone ---- */

/* Work requests were lost, and still the counts stand as they are: waits need a limit. */
static void a_dead_device_counts_nothing(void **state)
{
    Bench *bench = *state;

    post(bench, SVAN_WQE_RDMA_WRITE, 0, 100);
    fake_run(bench->fake);
    assert_int_equal(successes(bench, &bench->sent), 1);
    post(bench, SVAN_WQE_RDMA_WRITE, 0, 20000);
    svan_run(bench->fake->core);
    host_write(bench->host, SVAN_REG_CMDQ_DB, bench->host->cmd_pi + 100000);
    assert_true(host_read(bench->host, SVAN_REG_STATUS) & SVAN_STATUS_FATAL);
    post(bench, SVAN_WQE_RDMA_WRITE, 0, 100);
    fake_advance(bench->fake, 10000000000);
    svan_reset(bench->fake->core, 0);
    fake_advance(bench->fake, 10000000000);
    assert_int_equal(successes(bench, &bench->sent), 1);
    assert_int_equal(errors(bench, &bench->sent), 0);
}

static void receives_without_cqes(void **state)
{
    Bench *bench = *state;
    struct svan_cqe cqe;

    for (uint32_t i = 0; i < 12; i++) {
        host_recv(&bench->b, bench->dst, 100);
    }
    for (uint32_t i = 0; i < 8; i++) {
        post(bench, i & 1 ? SVAN_WQE_SEND : SVAN_WQE_RDMA_WRITE_IMM, 0, 100);
    }
    fake_run(bench->fake);
    assert_false(host_cq_poll(&bench->rcq, &cqe));
    assert_int_equal(successes(bench, &bench->received), 8);
    assert_memory_equal(fake_ram(bench->fake, bench->src),
                        fake_ram(bench->fake, bench->dst), 100);
    /* errors are told */
    post(bench, SVAN_WQE_SEND, 0, 101);
    fake_run(bench->fake);
    assert_true(host_cq_poll(&bench->rcq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_LOC_LEN_ERR);
    assert_int_equal(le32toh(cqe.wqe_index), 8);
    assert_int_equal(polled(&bench->rcq, SVAN_CQE_WR_FLUSH_ERR), 3);
    assert_int_equal(successes(bench, &bench->received), 8);
    assert_int_equal(errors(bench, &bench->received), 4);
}

/* Nobody would know of them. */
static void receives_that_nothing_counts_have_cqes(void **state)
{
    static const HostQpAttr silent = { .flags = SVAN_CMD_QP_RECV_NO_CQE };
    Bench *bench = *state;
    HostQp b = host_qp(bench->host, &bench->rcq, &bench->rcq, &silent);

    assert_int_equal(attach(&b, bench->sent.id, SVAN_ATTACH_COUNTER_SEND),
                     SVAN_CMD_OK);
    host_connect(&bench->a, &b);
    host_recv(&b, bench->dst, 100);
    post(bench, SVAN_WQE_SEND, 0, 100);
    fake_run(bench->fake);
    assert_int_equal(polled(&bench->rcq, SVAN_CQE_SUCCESS), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COUNTERS_TEST(a_count_without_a_cqe),
        COUNTERS_TEST(random_traffic),
        COUNTERS_TEST(the_count_comes_last),
        UNCONNECTED_TEST(both_sides_of_two_queue_pairs),
        COUNTERS_TEST(errors_and_what_they_flush),
        COUNTERS_TEST(success_is_counted_though_there_is_no_room_for_its_cqe),
        COUNTERS_TEST(an_unreachable_counter_of_sends),
        COUNTERS_TEST(an_unreachable_counter_of_receives),
        COUNTERS_TEST(a_count_of_errors_that_is_unreachable),
        COUNTERS_TEST(a_dead_device_counts_nothing),
        cmocka_unit_test_setup_teardown(receives_without_cqes,
                                        counters_setup_silent,
                                        counters_teardown),
        UNCONNECTED_TEST(receives_that_nothing_counts_have_cqes),
    };

    return cmocka_run_group_tests_name("counting", tests, NULL, NULL);
}
