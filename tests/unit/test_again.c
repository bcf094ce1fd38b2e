/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is loaded is saved to the same octets, at every step of ordinary traffic, and when
 * it has ended in an error.
 */
#include "transport/rc.h"
#include "unit.h"

#define LENGTH          9000u
#define ROUNDS          2u
#define MOST_STEPS      500u

typedef struct Bench {
    Fake *fake;
    Host *host;
    HostCq cq;
    HostQp a, b;
    uint64_t src, dst;
} Bench;

static int setup(void **state)
{
    Bench *bench = calloc(1, sizeof(*bench));

    bench->fake = fake_create(NULL);
    bench->host = host_create(bench->fake, 0, 1);
    bench->cq = host_cq(bench->host, 8);
    bench->a = host_qp(bench->host, &bench->cq, &bench->cq, NULL);
    bench->b = host_qp(bench->host, &bench->cq, &bench->cq, NULL);
    bench->src = fake_alloc(bench->fake, 65536, 4096);
    bench->dst = fake_alloc(bench->fake, 65536, 4096);
    host_connect(&bench->a, &bench->b);
    *state = bench;
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

static void post(Bench *bench, uint8_t opcode, uint8_t flags, uint32_t rkey)
{
    bool atomic = opcode == SVAN_WQE_ATOMIC_FETCH_ADD;
    HostWr wr = {
        .opcode = opcode, .flags = flags, .num_sge = opcode != SVAN_WQE_NOP,
        .remote = bench->dst, .rkey = rkey, .swap_add = 1,
        .sge[0] = { bench->src, atomic ? 8 : LENGTH, bench->host->all_key },
    };

    if (opcode == SVAN_WQE_SEND || opcode == SVAN_WQE_RDMA_WRITE_IMM) {
        host_recv(&bench->b, bench->dst, LENGTH);
    }
    host_write_wqe(&bench->a, &wr);
    host_post(&bench->a);
}

static void check_again(Bench *bench, uint8_t opcode, uint32_t step)
{
    size_t len, again_len, at = 0;
    uint8_t *stream = svan_save(bench->fake->core, &len), *again;

    assert_true(fake_restore(bench->fake));
    again = svan_save(bench->fake->core, &again_len);
    assert_int_equal(len, again_len);
    while (at < len && stream[at] == again[at]) {
        at++;
    }
    if (at < len) {
        fail_msg("opcode %u, step %u: octet %zu of %zu was %u and is %u", opcode, step,
                 at, len, stream[at], again[at]);
    }
    free(stream);
    free(again);
}

/* Until there is nothing to do any more. How many completions tell of a failure. */
static uint32_t check_to_the_end(Bench *bench, uint8_t opcode)
{
    uint32_t steps = 0, failures = 0;
    struct svan_cqe cqe;

    do {
        check_again(bench, opcode, steps);
    } while (svan_run(bench->fake->core) == SVAN_RUN_MORE && ++steps < MOST_STEPS);
    assert_in_range(steps, 1, MOST_STEPS - 1);
    check_again(bench, opcode, steps);
    while (host_cq_poll(&bench->cq, &cqe)) {
        failures += cqe.status != SVAN_CQE_SUCCESS;
    }
    return failures;
}

static void in_ordinary_traffic(void **state)
{
    static const uint8_t opcodes[] = {
        SVAN_WQE_RDMA_WRITE, SVAN_WQE_RDMA_READ, SVAN_WQE_SEND, SVAN_WQE_NOP,
        SVAN_WQE_RDMA_WRITE_IMM, SVAN_WQE_ATOMIC_FETCH_ADD,
    };
    static const uint8_t flags[] = { 0, SVAN_WQE_SIGNALED };
    Bench *bench = *state;

    for (uint32_t i = 0; i < ROUNDS * SIZE(opcodes) * SIZE(flags); i++) {
        uint8_t opcode = opcodes[i / SIZE(flags) % SIZE(opcodes)];

        for (uint32_t n = 0; n < 3; n++) {
            post(bench, opcode, flags[i % SIZE(flags)], bench->host->all_key);
        }
        assert_int_equal(check_to_the_end(bench, opcode), 0);
    }
}

/* Another pair of queue pairs in place of the two. */
static void of_type(Bench *bench, uint8_t type)
{
    HostQpAttr attr = { .type = type };

    bench->a = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    bench->b = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
}

static void in_unreliable_messages(void **state)
{
    static const uint8_t opcodes[] = {
        SVAN_WQE_RDMA_WRITE, SVAN_WQE_SEND, SVAN_WQE_NOP, SVAN_WQE_RDMA_WRITE_IMM,
    };
    Bench *bench = *state;

    of_type(bench, SVAN_QPT_UC);
    host_connect(&bench->a, &bench->b);
    for (uint32_t i = 0; i < ROUNDS * SIZE(opcodes); i++) {
        for (uint32_t n = 0; n < 3; n++) {
            post(bench, opcodes[i % SIZE(opcodes)], SVAN_WQE_SIGNALED,
                 bench->host->all_key);
        }
        assert_int_equal(check_to_the_end(bench, opcodes[i % SIZE(opcodes)]), 0);
    }
}

/* Half of them for a group that both queue pairs are in. */
static void in_datagrams(void **state)
{
    static const uint8_t group[16] = { [10] = 0xff, 0xff, 239, 1, 2, 3 };
    Bench *bench = *state;
    struct svan_av avs[2];

    of_type(bench, SVAN_QPT_UD);
    host_datagrams(&bench->a, 1);
    host_datagrams(&bench->b, 1);
    host_join(&bench->a, group);
    host_join(&bench->b, group);
    avs[0] = host_av(&bench->b, 1);
    avs[1] = host_group_av(group, 1);
    for (uint32_t i = 0; i < 6; i++) {
        HostWr wr = {
            .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED, .num_sge = 1,
            .sge[0] = { bench->src, 4096, bench->host->all_key }, .av = &avs[i % 2],
        };

        host_recv(&bench->a, bench->dst, LENGTH);
        host_recv(&bench->b, bench->dst, LENGTH);
        host_write_wqe(&bench->a, &wr);
    }
    host_post(&bench->a);
    assert_int_equal(check_to_the_end(bench, SVAN_WQE_SEND), 0);
    assert_int_equal(svan_cq_get(host_fn(bench->host), bench->cq.cqn)->pi, 6 + 3 + 2 * 3);
}

/* The timer for acknowledgements has run, and runs no more. */
static void in_an_error(void **state)
{
    Bench *bench = *state;

    post(bench, SVAN_WQE_RDMA_WRITE, SVAN_WQE_SIGNALED, bench->host->all_key);
    post(bench, SVAN_WQE_RDMA_WRITE, SVAN_WQE_SIGNALED, 0xdead00);
    assert_int_equal(check_to_the_end(bench, SVAN_WQE_RDMA_WRITE), 1);
}

/* Its PSN came again, as it does when PSNs wrap. */
static void with_an_atomic_that_is_forgotten(void **state)
{
    Bench *bench = *state;
    SvanQp *qp;

    post(bench, SVAN_WQE_ATOMIC_FETCH_ADD, SVAN_WQE_SIGNALED, bench->host->all_key);
    assert_int_equal(check_to_the_end(bench, SVAN_WQE_ATOMIC_FETCH_ADD), 0);
    qp = svan_qp_get(host_fn(bench->host), bench->b.qpn);
    assert_true(((SvanRc *)qp->priv)->resp.atomics[0].valid);
    ((SvanRc *)qp->priv)->resp.atomics[0].valid = false;
    check_again(bench, SVAN_WQE_ATOMIC_FETCH_ADD, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(in_ordinary_traffic),
        TEST(in_unreliable_messages),
        TEST(in_datagrams),
        TEST(in_an_error),
        TEST(with_an_atomic_that_is_forgotten),
    };

    return cmocka_run_group_tests_name("again", tests, NULL, NULL);
}
