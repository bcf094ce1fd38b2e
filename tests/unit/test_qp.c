/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "refusal.h"

#define A(name)         SVAN_QP_ATTR_##name
#define INIT_ATTRS      (A(PKEY_INDEX) | A(PORT) | A(ACCESS))
#define RTR_ATTRS       (A(AV) | A(MTU) | A(DEST_QPN) | A(RQ_PSN) | \
                         A(MAX_DEST_RD_ATOMIC) | A(MIN_RNR_TIMER))
#define RTS_ATTRS       (A(TIMEOUT) | A(RETRY_CNT) | A(RNR_RETRY) | \
                         A(MAX_RD_ATOMIC) | A(SQ_PSN))

typedef struct Bench {
    Host *host;
    HostCq cq;
    HostQp qp;
    SvanQp *core;
    struct svan_cmd_modify_qp attrs;
} Bench;

static Bench *bench_new(uint8_t type)
{
    Bench *bench = calloc(1, sizeof(*bench));
    HostQpAttr attr = { .type = type };

    bench->host = host_create(fake_create(NULL), 0, 1);
    bench->cq = host_cq(bench->host, 4);
    bench->qp = host_qp(bench->host, &bench->cq, &bench->cq, &attr);
    bench->core = svan_qp_get(host_fn(bench->host), bench->qp.qpn);
    bench->attrs.attr.port = 1;
    bench->attrs.attr.log_mtu = 12;
    bench->attrs.attr.dest_qpn = htole32(5);
    return bench;
}

static void bench_free(Bench *bench)
{
    fake_destroy(bench->host->fake);
    host_destroy(bench->host);
    free(bench);
}

static int setup(void **state)
{
    *state = bench_new(SVAN_QPT_RC);
    return 0;
}

static int teardown(void **state)
{
    bench_free(*state);
    return 0;
}

static uint8_t move(Bench *bench, uint8_t to, uint32_t mask)
{
    return host_modify(&bench->qp, to, mask, &bench->attrs);
}

/* By the legal way only. */
static void bring_to(Bench *bench, uint8_t state)
{
    assert_int_equal(move(bench, SVAN_QPS_RESET, 0), SVAN_CMD_OK);
    if (state == SVAN_QPS_ERR) {
        assert_int_equal(move(bench, SVAN_QPS_ERR, 0), SVAN_CMD_OK);
        return;
    }
    if (state >= SVAN_QPS_INIT) {
        assert_int_equal(move(bench, SVAN_QPS_INIT, INIT_ATTRS), SVAN_CMD_OK);
    }
    if (state >= SVAN_QPS_RTR) {
        assert_int_equal(move(bench, SVAN_QPS_RTR, RTR_ATTRS), SVAN_CMD_OK);
    }
    if (state >= SVAN_QPS_RTS) {
        assert_int_equal(move(bench, SVAN_QPS_RTS, RTS_ATTRS), SVAN_CMD_OK);
    }
    if (state == SVAN_QPS_SQD) {
        assert_int_equal(move(bench, SVAN_QPS_SQD, 0), SVAN_CMD_OK);
    }
    assert_int_equal(bench->core->state, state);
}

/*
 * Table 91, written once more: from, to, needed and allowed attributes. What is
 * not here is illegal.
 */
typedef struct Way {
    uint8_t from, to;
    uint32_t required, optional;
} Way;

static const Way rc_ways[] = {
    { SVAN_QPS_RESET, SVAN_QPS_INIT, INIT_ATTRS, 0 },
    { SVAN_QPS_INIT, SVAN_QPS_INIT, 0, INIT_ATTRS },
    { SVAN_QPS_INIT, SVAN_QPS_RTR, RTR_ATTRS, A(ACCESS) | A(PKEY_INDEX) },
    { SVAN_QPS_RTR, SVAN_QPS_RTS, RTS_ATTRS,
      A(ACCESS) | A(MIN_RNR_TIMER) | A(RATE_LIMIT) },
    { SVAN_QPS_RTS, SVAN_QPS_RTS, 0, A(ACCESS) | A(MIN_RNR_TIMER) | A(RATE_LIMIT) },
    { SVAN_QPS_RTS, SVAN_QPS_SQD, 0, A(SQD_NOTIFY) },
    { SVAN_QPS_SQD, SVAN_QPS_RTS, 0, A(ACCESS) | A(MIN_RNR_TIMER) | A(RATE_LIMIT) },
    { SVAN_QPS_SQD, SVAN_QPS_SQD, 0,
      A(PORT) | A(AV) | A(TIMEOUT) | A(RETRY_CNT) | A(RNR_RETRY) |
      A(MAX_RD_ATOMIC) | A(MAX_DEST_RD_ATOMIC) | A(ACCESS) | A(PKEY_INDEX) |
      A(MIN_RNR_TIMER) | A(RATE_LIMIT) },
};

static const Way eth_ways[] = {
    { SVAN_QPS_RESET, SVAN_QPS_INIT, 0, 0 },
    { SVAN_QPS_INIT, SVAN_QPS_RTR, 0, 0 },
    { SVAN_QPS_RTR, SVAN_QPS_RTS, 0, 0 },
};

static const uint8_t states[] = {
    SVAN_QPS_RESET, SVAN_QPS_INIT, SVAN_QPS_RTR, SVAN_QPS_RTS, SVAN_QPS_SQD,
    SVAN_QPS_ERR,
};

static const Way *find_way(const Way *ways, size_t count, uint8_t from,
                           uint8_t to)
{
    static const Way always = { 0 };

    if (to == SVAN_QPS_RESET || to == SVAN_QPS_ERR) {
        return &always;
    }
    for (size_t i = 0; i < count; i++) {
        if (ways[i].from == from && ways[i].to == to) {
            return &ways[i];
        }
    }
    return NULL;
}

static void check_way(Bench *bench, uint8_t from, uint8_t to, const Way *way)
{
    bring_to(bench, from);
    if (!way) {
        assert_int_equal(move(bench, to, 0), SVAN_CMD_BAD_STATE);
        assert_int_equal(bench->core->state, from);
        return;
    }
    for (uint32_t bit = 1; bit < 0x40000; bit <<= 1) {
        if (way->required & bit) {
            assert_int_equal(move(bench, to, way->required & ~bit),
                             SVAN_CMD_BAD_PARAM);
        } else if (!(way->optional & bit)) {
            assert_int_equal(move(bench, to, way->required | bit),
                             SVAN_CMD_BAD_PARAM);
        }
    }
    assert_int_equal(bench->core->state, from);
    assert_int_equal(move(bench, to, way->required | way->optional),
                     SVAN_CMD_OK);
    assert_int_equal(bench->core->state, to);
}

static void every_transition(void **state)
{
    Bench *bench = *state;

    for (size_t from = 0; from < SIZE(states); from++) {
        for (size_t to = 0; to < SIZE(states); to++) {
            check_way(bench, states[from], states[to],
                      find_way(rc_ways, SIZE(rc_ways), states[from],
                               states[to]));
        }
    }
    for (uint32_t to = SVAN_QPS_ERR + 1; to < 256; to++) {
        assert_int_equal(move(bench, to, 0), SVAN_CMD_BAD_PARAM);
    }
    bring_to(bench, SVAN_QPS_RTS);
    assert_int_equal(move(bench, SVAN_QPS_SQE, 0), SVAN_CMD_BAD_STATE);
}

static void transitions_of_ethernet(void **state)
{
    Bench *bench = bench_new(SVAN_QPT_ETH);

    for (uint8_t from = SVAN_QPS_RESET; from <= SVAN_QPS_RTS; from++) {
        for (size_t to = 0; to < SIZE(states); to++) {
            const Way *way = find_way(eth_ways, SIZE(eth_ways), from,
                                      states[to]);

            move(bench, SVAN_QPS_RESET, 0);
            for (uint8_t at = SVAN_QPS_INIT; at <= from; at++) {
                assert_int_equal(move(bench, at, 0), SVAN_CMD_OK);
            }
            assert_int_equal(move(bench, states[to], A(ACCESS)),
                             way ? SVAN_CMD_BAD_PARAM : SVAN_CMD_BAD_STATE);
            assert_int_equal(move(bench, states[to], 0),
                             way ? SVAN_CMD_OK : SVAN_CMD_BAD_STATE);
        }
    }
    bench_free(bench);
}

static void attribute_ranges(void **state)
{
    Bench *bench = *state;
    struct svan_cmd good = host_cmd_init(SVAN_CMD_MODIFY_QP);
    const Refusal bad_rtr[] = {
        BAD(modify_qp.attr.log_mtu, 7, BAD_PARAM),
        BAD(modify_qp.attr.log_mtu, 13, BAD_PARAM),
        BAD(modify_qp.attr.max_dest_rd_atomic, 17, BAD_PARAM),
        BAD(modify_qp.attr.min_rnr_timer, 32, BAD_PARAM),
        BAD(modify_qp.attr.dest_qpn, 1 << 24, BAD_PARAM),
        BAD(modify_qp.attr.rq_psn, 1 << 24, BAD_PARAM),
        BAD(modify_qp.av.sgid_index, SVAN_MAX_GID, BAD_PARAM),
        BAD(modify_qp.av.sgid_index, 1, BAD_RESOURCE),
        BAD(modify_qp.av.dgid[0], 0xff, BAD_PARAM),
        BAD(modify_qp.qpn, 0x777, BAD_RESOURCE),
        BAD(modify_qp.qpn, 0, BAD_RESOURCE),
    };
    const Refusal bad_rts[] = {
        BAD(modify_qp.attr.max_rd_atomic, 17, BAD_PARAM),
        BAD(modify_qp.attr.timeout, 32, BAD_PARAM),
        BAD(modify_qp.attr.retry_cnt, 8, BAD_PARAM),
        BAD(modify_qp.attr.rnr_retry, 8, BAD_PARAM),
        BAD(modify_qp.attr.sq_psn, 1 << 24, BAD_PARAM),
        BAD(modify_qp.attr.access, SVAN_ACCESS_ZERO_BASED, BAD_PARAM),
    };
    const Refusal bad_init[] = {
        BAD(modify_qp.attr.port, 0, BAD_PARAM),
        BAD(modify_qp.attr.port, 2, BAD_PARAM),
        BAD(modify_qp.attr.pkey_index, 1, BAD_PARAM),
    };

    good.modify_qp = bench->attrs;
    good.modify_qp.qpn = htole32(bench->qp.qpn);
    good.modify_qp.mask = htole32(INIT_ATTRS);
    good.modify_qp.attr.state = SVAN_QPS_INIT;
    check_refusals(bench->host, &good, bad_init, SIZE(bad_init));
    bring_to(bench, SVAN_QPS_INIT);
    good.modify_qp.mask = htole32(RTR_ATTRS);
    good.modify_qp.attr.state = SVAN_QPS_RTR;
    check_refusals(bench->host, &good, bad_rtr, SIZE(bad_rtr));
    assert_int_equal(bench->core->log_mtu, 0);  /* refused: nothing changed */
    bring_to(bench, SVAN_QPS_RTR);
    good.modify_qp.mask = htole32(RTS_ATTRS | A(ACCESS));
    good.modify_qp.attr.state = SVAN_QPS_RTS;
    check_refusals(bench->host, &good, bad_rts, SIZE(bad_rts));
    assert_int_equal(bench->core->state, SVAN_QPS_RTR);
}

static void query_returns_what_was_set(void **state)
{
    Bench *bench = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_QP);
    struct svan_qp_attr *attr = &bench->attrs.attr;
    struct svan_cmd_resp resp;

    *attr = (struct svan_qp_attr) {
        .access = SVAN_ACCESS_REMOTE_READ, .log_mtu = 10, .max_rd_atomic = 3,
        .max_dest_rd_atomic = 4, .min_rnr_timer = 31, .timeout = 18,
        .retry_cnt = 5, .rnr_retry = 6, .port = 1,
        .dest_qpn = htole32(0xabcdef), .rq_psn = htole32(0x123456),
        .sq_psn = htole32(0xffffff),
    };
    bring_to(bench, SVAN_QPS_RTS);
    cmd.object.id = htole32(bench->qp.qpn);
    assert_int_equal(host_cmd(bench->host, &cmd, &resp), SVAN_CMD_OK);
    attr->state = SVAN_QPS_RTS;
    assert_memory_equal(&resp.query_qp.attr, attr, sizeof(*attr));
    cmd.object.id = htole32(bench->qp.qpn ^ 0x10000);
    assert_int_equal(host_cmd(bench->host, &cmd, &resp),
                     SVAN_CMD_BAD_RESOURCE);
}

static void a_reset_forgets(void **state)
{
    Bench *bench = *state;
    SvanQp *qp = bench->core;

    bring_to(bench, SVAN_QPS_RTS);
    host_ring(&bench->qp, SVAN_UAR_SQ_DB, 3);
    host_ring(&bench->qp, SVAN_UAR_RQ_DB, 3);
    svan_db_collect(bench->host->fake->core);
    assert_non_null(qp->work.ready.next);
    svan_qp_set_state(qp, SVAN_QPS_RESET, 0);
    assert_null(qp->work.ready.next);
    assert_null(qp->sq.poll_link.next);
    assert_false(qp->sq.producer.rung || qp->rq.producer.rung);
    assert_int_equal(qp->attr_mask | qp->log_mtu | qp->dest_qpn | qp->timeout,
                     0);
    bring_to(bench, SVAN_QPS_RTS);
    fake_run(bench->host->fake);
    assert_int_equal(qp->state, SVAN_QPS_RTS);
    assert_int_equal(qp->sq.producer.pi, 0);
}

static void an_error_has_one_event(void **state)
{
    Bench *bench = *state;
    struct svan_eqe eqe;

    bring_to(bench, SVAN_QPS_RTS);
    svan_qp_error(bench->core, SVAN_EVENT_QP_ACCESS_ERR, SVAN_SYN_KEY_ACCESS);
    svan_qp_error(bench->core, SVAN_EVENT_QP_FATAL, SVAN_SYN_DMA);
    fake_run(bench->host->fake);
    assert_int_equal(bench->core->state, SVAN_QPS_ERR);
    assert_true(host_eq_poll(bench->host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_QP_ACCESS_ERR);
    assert_int_equal(le32toh(eqe.qn), bench->qp.qpn);
    assert_int_equal(le32toh(eqe.data), SVAN_SYN_KEY_ACCESS);
    assert_false(host_eq_poll(bench->host, 0, &eqe));
}

static void draining_is_asked_for(void **state)
{
    Bench *bench = *state;

    bring_to(bench, SVAN_QPS_RTS);
    svan_qp_set_state(bench->core, SVAN_QPS_SQD, 0);
    assert_true(bench->core->sq_draining);
    bench->core->sq_draining = false;
    svan_qp_set_state(bench->core, SVAN_QPS_SQD, 0);
    assert_false(bench->core->sq_draining);
    svan_qp_set_state(bench->core, SVAN_QPS_RTS, 0);
    assert_false(bench->core->sq_draining);
    assert_int_equal(move(bench, SVAN_QPS_SQD, A(SQD_NOTIFY)), SVAN_CMD_OK);
    assert_true(bench->core->sqd_notify);
    assert_int_equal(move(bench, SVAN_QPS_RTS, 0), SVAN_CMD_OK);
    assert_int_equal(move(bench, SVAN_QPS_SQD, 0), SVAN_CMD_OK);
    assert_false(bench->core->sqd_notify);
}

static void numbers_are_not_used_again(void **state)
{
    Bench *bench = *state;
    uint32_t before = bench->qp.qpn;

    for (uint32_t i = 0; i < 200; i++) {
        HostQp qp;

        bench->host->fake->used = 4 << 20;
        qp = host_qp(bench->host, &bench->cq, &bench->cq, NULL);
        assert_int_not_equal(qp.qpn, before);
        assert_int_not_equal(qp.qpn, bench->qp.qpn);
        assert_ptr_equal(svan_qp_get(host_fn(bench->host), bench->qp.qpn),
                         bench->core);
        before = qp.qpn;
        assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_QP, qp.qpn),
                         SVAN_CMD_OK);
        assert_null(svan_qp_get(host_fn(bench->host), qp.qpn));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_transition),
        cmocka_unit_test(transitions_of_ethernet),
        TEST(attribute_ranges),
        TEST(query_returns_what_was_set),
        TEST(a_reset_forgets),
        TEST(an_error_has_one_event),
        TEST(draining_is_asked_for),
        TEST(numbers_are_not_used_again),
    };

    return cmocka_run_group_tests_name("qp", tests, NULL, NULL);
}
