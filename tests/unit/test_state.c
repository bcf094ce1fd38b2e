/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saving and loading: what is loaded is saved to the same octets and behaves the
 * same; a damaged stream is refused or leads to a sane device.
 */
#include "transport/rc.h"
#include "unit.h"

typedef struct Bench {
    Fake *fake;
    Host *host;
    HostCq cq;
    HostQp a, b, eth;
    uint64_t src, dst;
} Bench;

static SvanFrame *frame_of(uint32_t len)
{
    SvanFrame *frame = svan_frame_alloc(len);

    frame->len = len;
    for (uint32_t i = 0; i < len; i++) {
        frame->data[i] = i < 6 ? 0xff : i * 7;
    }
    return frame;
}

static void set_filter(Bench *bench)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);

    cmd.eth_filter.qpn = htole32(bench->eth.qpn);
    cmd.eth_filter.max_frame = htole32(9000);
    host_must(bench->host, &cmd);
    cmd = host_cmd_init(SVAN_CMD_ETH_SET_MCAST);
    cmd.eth_mcast.addr = htole64(FAKE_RAM_BASE);
    cmd.eth_mcast.count = htole32(3);
    host_must(bench->host, &cmd);
}

/* Sends of a and receives of b, by one counter. */
static void count(Bench *bench)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_COUNTER);
    uint64_t page = fake_alloc(bench->fake, 4096, 4096);
    uint32_t id;

    cmd.create_counter.success_va = htole64(page);
    cmd.create_counter.error_va = htole64(page + 8);
    cmd.create_counter.success_key = htole32(bench->host->ring_key);
    cmd.create_counter.error_key = htole32(bench->host->ring_key);
    id = host_must(bench->host, &cmd);
    cmd = host_cmd_init(SVAN_CMD_ATTACH_COUNTER);
    cmd.attach_counter.counter = htole32(id);
    cmd.attach_counter.qpn = htole32(bench->a.qpn);
    cmd.attach_counter.sides = htole32(SVAN_ATTACH_COUNTER_SEND);
    host_must(bench->host, &cmd);
    cmd.attach_counter.qpn = htole32(bench->b.qpn);
    cmd.attach_counter.sides = htole32(SVAN_ATTACH_COUNTER_RECV);
    host_must(bench->host, &cmd);
}

/* A device in the middle of many things. */
static int setup(void **state)
{
    Bench *bench = calloc(1, sizeof(*bench));
    HostQpAttr eth = { .type = SVAN_QPT_ETH };
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_MODERATE_CQ);

    bench->fake = fake_create(NULL);
    bench->host = host_create(bench->fake, 0, 1);
    bench->cq = host_cq(bench->host, 6);
    bench->a = host_qp(bench->host, &bench->cq, &bench->cq, NULL);
    bench->b = host_qp(bench->host, &bench->cq, &bench->cq, NULL);
    bench->eth = host_qp(bench->host, &bench->cq, &bench->cq, &eth);
    bench->src = fake_alloc(bench->fake, 65536, 4096);
    bench->dst = fake_alloc(bench->fake, 65536, 4096);
    count(bench);
    host_connect(&bench->a, &bench->b);
    host_eth_rts(&bench->eth);
    set_filter(bench);
    host_uar(bench->host, 77);
    cmd.moderate_cq.cqn = htole32(bench->cq.cqn);
    cmd.moderate_cq.count = htole16(50);
    cmd.moderate_cq.period_us = htole16(60000);
    host_must(bench->host, &cmd);
    for (uint32_t i = 0; i < 65536; i++) {
        ((uint8_t *)fake_ram(bench->fake, bench->src))[i] = i * 11 + i / 256;
    }
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

static void make_busy(Bench *bench)
{
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = bench->src, .length = 65536, .remote = bench->dst,
        .rkey = bench->host->all_key,
    };
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_NOP);

    host_send(&bench->a, &send);
    host_post(&bench->a);
    host_cq_arm(&bench->cq, false);
    for (uint32_t i = 0; i < 3; i++) {
        svan_run(bench->fake->core);
    }
    svan_frame_in(bench->fake->core, frame_of(100));
    svan_frame_in(bench->fake->core, frame_of(5000));
    host_ring(&bench->b, SVAN_UAR_RQ_DB, 2);
    host_event(bench->host, SVAN_EVENT_QP_REQ_ERR,
               bench->b.qpn, 9);
    cmd.hdr.flags = htole16(SVAN_CMD_NOTIFY);
    host_cmd_post(bench->host, &cmd);
    host_write(bench->host, SVAN_REG_CMDQ_DB, bench->host->cmd_pi);
    host_write(bench->host, SVAN_REG_TEST_SCRATCH, 0x1234);
    host_write(bench->host, SVAN_REG_TEST_DMA_CTRL, SVAN_TEST_DMA_CLEAR);
}

static void loading_and_saving_again(void **state)
{
    Bench *bench = *state;
    size_t len, len2;
    void *stream, *stream2;
    uint32_t next;

    make_busy(bench);
    stream = svan_save(bench->fake->core, &len);
    assert_non_null(stream);
    assert_true(fake_restore(bench->fake));
    stream2 = svan_save(bench->fake->core, &len2);
    assert_int_equal(len, len2);
    assert_memory_equal(stream, stream2, len);
    free(stream);
    free(stream2);
    assert_int_equal(host_read(bench->host, SVAN_REG_TEST_SCRATCH), 0x1234);
    assert_int_equal(bench->fake->core->ingress->frames, 2);
    next = host_fn(bench->host)->qps->table.next;
    assert_int_equal(host_qp(bench->host, &bench->cq, &bench->cq, NULL).qpn,
                     next);
}

static void check_transfer(Bench *bench)
{
    struct svan_cqe cqe;

    fake_run(bench->fake);
    assert_true(host_cq_poll(&bench->cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
    assert_memory_equal(fake_ram(bench->fake, bench->src),
                        fake_ram(bench->fake, bench->dst), 65536);
}

/* A transfer through a restoration after each single run. */
static void a_transfer_survives_at_every_step(void **state)
{
    Bench *bench = *state;
    struct svan_eqe eqe;
    uint32_t restores = 0;
    SvanRun run;

    make_busy(bench);
    do {
        assert_true(fake_restore(bench->fake));
        restores++;
        run = svan_run(bench->fake->core);
    } while (run == SVAN_RUN_MORE && restores < 1000);
    assert_in_range(restores, 20, 999);
    check_transfer(bench);
    assert_true(host_eq_poll(bench->host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_QP_REQ_ERR);
    assert_true(host_eq_poll(bench->host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_CMD);
    assert_false(host_eq_poll(bench->host, 1, &eqe));
    fake_advance(bench->fake, 60000000);        /* the moderation timer */
    assert_true(host_eq_poll(bench->host, 1, &eqe));
    assert_int_equal(host_fn(bench->host)->stats->eth_rx_no_buffer, 2);
}

static void saving_changes_nothing(void **state)
{
    Bench *bench = *state;
    struct svan_cmd_resp resp;

    make_busy(bench);
    for (uint32_t i = 0; i < 5; i++) {
        size_t len;

        free(svan_save(bench->fake->core, &len));
        svan_run(bench->fake->core);
    }
    check_transfer(bench);
    assert_true(host_cmd_resp(bench->host, bench->host->cmd_pi - 1, &resp));
}

/* Every truncation is refused, and leaves a device that can be used. */
static void truncations(void **state)
{
    Bench *bench = *state;
    uint8_t *stream;
    size_t len;
    Host *host;

    make_busy(bench);
    stream = svan_save(bench->fake->core, &len);
    for (size_t cut = 0; cut < len; cut += cut < 4000 ? 1 : 7) {
        uint8_t *copy = malloc(cut ? cut : 1);

        memcpy(copy, stream, cut);
        assert_false(svan_load(bench->fake->core, copy, cut));
        assert_null(host_fn(bench->host)->qps);
        assert_int_equal(bench->fake->core->heap_len, 0);
        assert_int_equal(bench->fake->core->ingress->frames, 0);
        free(copy);
    }
    fake_run(bench->fake);
    host = host_create(bench->fake, 0, 1);
    host_destroy(host);
    assert_true(svan_load(bench->fake->core, stream, len));
    check_transfer(bench);
    free(stream);
}

static void something_behind_the_end(void **state)
{
    Bench *bench = *state;
    uint8_t *stream;
    size_t len;

    stream = svan_save(bench->fake->core, &len);
    stream = realloc(stream, len + 1);
    stream[len] = 0;
    assert_false(svan_load(bench->fake->core, stream, len + 1));
    assert_true(svan_load(bench->fake->core, stream, len));
    free(stream);
}

static void another_configuration(void **state)
{
    Bench *bench = *state;
    SvanConfig config = bench->fake->config;
    Fake *other;
    void *stream;
    size_t len;

    stream = svan_save(bench->fake->core, &len);
    config.max_qp *= 2;
    other = fake_create(&config);
    assert_false(svan_load(other->core, stream, len));
    fake_destroy(other);
    config.max_qp /= 2;
    config.num_vfs = 1;
    other = fake_create(&config);
    assert_false(svan_load(other->core, stream, len));
    fake_destroy(other);
    free(stream);
}

static bool loads(Bench *bench, const void *stream, size_t len)
{
    Fake *other = fake_create(&bench->fake->config);
    bool loaded = svan_load(other->core, stream, len);

    fake_destroy(other);
    return loaded;
}

/* An index stands in the stream twice, of the queue and of its transport. */
static void indices_that_disagree(void **state)
{
    Bench *bench = *state;
    SvanQp *qp = svan_qp_get(host_fn(bench->host), bench->b.qpn);
    size_t len, len2, at = 0;
    uint8_t *stream = svan_save(bench->fake->core, &len), *stream2;

    qp->rq.producer.pi++;
    stream2 = svan_save(bench->fake->core, &len2);
    assert_int_equal(len, len2);
    while (stream[at] == stream2[at]) {
        at++;
    }
    assert_true(loads(bench, stream, len));
    assert_true(loads(bench, stream2, len));
    stream[at] = stream2[at];
    assert_memory_not_equal(stream, stream2, len);
    assert_false(loads(bench, stream, len));
    free(stream);
    free(stream2);
}

/* Only what sends, or has sent, holds WQEs: their numbers are of that time. */
static void a_window_before_its_time(void **state)
{
    static const uint8_t states[] = {
        SVAN_QPS_RESET, SVAN_QPS_INIT, SVAN_QPS_RTR, SVAN_QPS_ERR,
    };

    for (uint32_t i = 0; i < SIZE(states); i++) {
        Bench *bench = *state;
        SvanQp *qp = svan_qp_get(host_fn(bench->host), bench->b.qpn);
        SvanRcRequester *req = &((SvanRc *)qp->priv)->req;

        qp->state = states[i];
        qp->sq.producer.pi = 1;
        *req = (SvanRcRequester) {
            .state = SVAN_RC_REQ_OFF, .tail = 1, .acked = 1, .send = 1,
            .end = 5, .next_index = 1, .ack_timer = req->ack_timer,
            .rnr_timer = req->rnr_timer, .wait = req->wait,
            .in_wait = req->in_wait, .window = req->few,
            .window_mask = SVAN_RC_FEW - 1,
        };
        req->window[0] = (SvanRcWqe) {
            .opcode = SVAN_WQE_SEND, .num_bbs = 1, .length = 100,
            .packets = 1, .seq = 4, .asked = 4,
        };
        assert_int_equal(fake_restore(bench->fake),
                         states[i] == SVAN_QPS_ERR);
        teardown(state);
        setup(state);
    }
}

/* A NAK that waits to be sent ends with an event of a queue pair's errors, or none. */
static void naks_with_any_event(void **state)
{
    static const uint64_t good = 1 | SVAN_EVENTS_QP_ERROR;
    Bench *bench = *state;

    for (uint32_t event = 0; event < 256; event++) {
        SvanQp *qp = svan_qp_get(host_fn(bench->host), bench->b.qpn);

        ((SvanRc *)qp->priv)->resp.nak = (SvanRcNak) {
            .pending = true, .fatal = true, .event = event,
        };
        if (fake_restore(bench->fake) != (event < 64 && (good >> event & 1))) {
            fail_msg("event %u", event);
        }
        teardown(state);
        setup(state);
        bench = *state;
    }
}

/* What was rung is no news of the queues that are loaded, whose numbers it has. */
static void doorbells_from_before_the_load(void **state)
{
    Bench *bench = *state;
    SvanCore *core = bench->fake->core;
    uint32_t cqn;
    uint8_t *stream;
    SvanQp *qp;
    size_t len;

    stream = svan_save(core, &len);
    qp = svan_qp_get(host_fn(bench->host), bench->b.qpn);
    cqn = qp->send_cq->cqn;
    host_ring(&bench->b, SVAN_UAR_SQ_DB, qp->sq.producer.pi + 3);
    host_ring(&bench->b, SVAN_UAR_RQ_DB, qp->rq.producer.pi + 3);
    svan_doorbell(core, 0, SVAN_UAR_CQ_DB, svan_db_value(cqn, 0), 8);
    assert_true(svan_load(core, stream, len));
    free(stream);
    qp = svan_qp_get(host_fn(bench->host), bench->b.qpn);
    svan_run(core);
    assert_false(qp->sq.producer.rung || qp->rq.producer.rung);
    assert_false(qp->send_cq->armed);
}

/* One octet is changed: refused, or a device that runs and can be reset. */
static void damaged_octets(void **state)
{
    Bench *bench = *state;
    uint32_t refused = 0;
    uint8_t *stream;
    size_t len;

    make_busy(bench);
    stream = svan_save(bench->fake->core, &len);
    for (size_t at = 0; at < len; at++) {
        uint8_t good = stream[at];
        Fake *fake = bench->fake;

        stream[at] ^= 1 << at % 8;
        refused += !svan_load(fake->core, stream, len);
        for (uint32_t i = 0; i < 200; i++) {
            svan_run(fake->core);
        }
        svan_reset(fake->core, 0);
        stream[at] = good;
    }
    assert_true(refused > 500);         /* most octets may be anything */
    assert_true(svan_load(bench->fake->core, stream, len));
    free(stream);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(loading_and_saving_again),
        TEST(a_transfer_survives_at_every_step),
        TEST(saving_changes_nothing),
        TEST(truncations),
        TEST(something_behind_the_end),
        TEST(another_configuration),
        TEST(indices_that_disagree),
        TEST(a_window_before_its_time),
        TEST(naks_with_any_event),
        TEST(doorbells_from_before_the_load),
        TEST(damaged_octets),
    };

    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
