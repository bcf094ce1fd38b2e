/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completion counters, and two queue pairs that have some.
 */
#ifndef TESTS_COUNTERS_H
#define TESTS_COUNTERS_H

#include "unit.h"

#define BUFFER          65536u
#define MISSING         0x777

typedef struct Counter {
    uint32_t id;
    uint64_t success, error;    /* bus addresses, each on a page of its own */
} Counter;

/* Two queue pairs that are connected to each other, each with counters of its own. */
typedef struct Bench {
    Fake *fake;
    Host *host;
    HostCq scq, rcq;
    HostQp a, b;
    Counter sent, received;     /* by a; by b */
    uint64_t src, dst;
} Bench;

/* ---- commands ---- */

static inline struct svan_cmd create(Host *host, uint64_t success, uint64_t error)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_COUNTER);

    cmd.create_counter.success_va = htole64(success);
    cmd.create_counter.error_va = htole64(error);
    cmd.create_counter.success_key = htole32(host->ring_key);
    cmd.create_counter.error_key = htole32(host->ring_key);
    return cmd;
}

static inline Counter counter(Host *host)
{
    Counter new = {
        .success = fake_alloc(host->fake, 4096, 4096),
        .error = fake_alloc(host->fake, 4096, 4096),
    };
    struct svan_cmd cmd = create(host, new.success, new.error);

    new.id = host_must(host, &cmd);
    return new;
}

static inline uint8_t attach(const HostQp *qp, uint32_t id, uint32_t sides)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ATTACH_COUNTER);

    cmd.attach_counter.qpn = htole32(qp->qpn);
    cmd.attach_counter.counter = htole32(id);
    cmd.attach_counter.sides = htole32(sides);
    return host_cmd(qp->host, &cmd, NULL);
}

static inline uint64_t word(Fake *fake, uint64_t bus)
{
    return le64toh(*(uint64_t *)fake_ram(fake, bus));
}

static inline uint64_t successes(Bench *bench, const Counter *counter)
{
    return word(bench->fake, counter->success);
}

static inline uint64_t errors(Bench *bench, const Counter *counter)
{
    return word(bench->fake, counter->error);
}

/* ---- set up ---- */

static inline Bench *bench_new(const HostQpAttr *of_a, const HostQpAttr *of_b)
{
    Bench *bench = calloc(1, sizeof(*bench));

    bench->fake = fake_create(NULL);
    bench->host = host_create(bench->fake, 0, 1);
    bench->scq = host_cq(bench->host, 7);
    bench->rcq = host_cq(bench->host, 7);
    bench->a = host_qp(bench->host, &bench->scq, &bench->scq, of_a);
    bench->b = host_qp(bench->host, &bench->rcq, &bench->rcq, of_b);
    bench->src = fake_alloc(bench->fake, BUFFER, 4096);
    bench->dst = fake_alloc(bench->fake, BUFFER, 4096);
    bench->sent = counter(bench->host);
    bench->received = counter(bench->host);
    return bench;
}

static inline void count_and_connect(Bench *bench)
{
    assert_int_equal(attach(&bench->a, bench->sent.id,
                            SVAN_ATTACH_COUNTER_SEND), SVAN_CMD_OK);
    assert_int_equal(attach(&bench->b, bench->received.id,
                            SVAN_ATTACH_COUNTER_RECV), SVAN_CMD_OK);
    host_connect(&bench->a, &bench->b);
}

static inline int counters_setup(void **state)
{
    Bench *bench = bench_new(NULL, NULL);

    count_and_connect(bench);
    *state = bench;
    return 0;
}

static inline int counters_setup_unconnected(void **state)
{
    *state = bench_new(NULL, NULL);
    return 0;
}

static inline int counters_setup_silent(void **state)
{
    static const HostQpAttr silent = { .flags = SVAN_CMD_QP_RECV_NO_CQE };
    Bench *bench = bench_new(NULL, &silent);

    count_and_connect(bench);
    *state = bench;
    return 0;
}

static inline int counters_teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->fake);
    host_destroy(bench->host);
    free(bench);
    return 0;
}

static inline void post(Bench *bench, uint8_t opcode, uint8_t flags, uint32_t length)
{
    HostSend send = {
        .opcode = opcode, .flags = flags, .addr = bench->src, .length = length,
        .remote = bench->dst, .rkey = bench->host->all_key,
    };

    if (opcode == SVAN_WQE_NOP) {
        send = (HostSend) { .opcode = opcode, .flags = flags };
    }
    host_send(&bench->a, &send);
    host_post(&bench->a);
}

/* How many there are; all of this status. */
static inline uint32_t polled(HostCq *cq, uint8_t status)
{
    struct svan_cqe cqe;
    uint32_t count = 0;

    while (host_cq_poll(cq, &cqe)) {
        assert_int_equal(cqe.status, status);
        count++;
    }
    return count;
}

static inline uint32_t event_of(Bench *bench, const HostQp *qp, uint8_t type)
{
    struct svan_eqe eqe;

    while (host_eq_poll(bench->host, 0, &eqe)) {
        if (eqe.type == type && le32toh(eqe.qn) == qp->qpn) {
            return le32toh(eqe.data);
        }
    }
    fail_msg("no event of type %#x", type);
    return 0;
}

#define COUNTERS_TEST(name) \
    cmocka_unit_test_setup_teardown(name, counters_setup, counters_teardown)
#define UNCONNECTED_TEST(name) \
    cmocka_unit_test_setup_teardown(name, counters_setup_unconnected, \
                                    counters_teardown)

#endif /* TESTS_COUNTERS_H */
