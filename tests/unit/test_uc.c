/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unreliable connections (IBTA volume 1, 9.8.2): a queue pair whose packets leave by the
 * port, and come to another only as far as the test hands them over.
 */
#include "unit.h"
#include "transport/unreliable.h"

#define A(name)         SVAN_QP_ATTR_##name
#define MTU             256u
#define PSN             0xfffffeu
#define ROOM            0x10000u
#define PACKETS         16u

typedef struct Uc {
    Fake *fakes[2];
    Host *hosts[2];
    HostCq cqs[2];
    HostQp qps[2];              /* 0 sends to 1 */
    uint64_t from, to;
    SvanFrame *frames[PACKETS]; /* that have left */
    uint32_t num_frames;
    struct svan_cqe cqe;
} Uc;

static void connect_to(Uc *uc, uint32_t side)
{
    const Host *peer = uc->hosts[!side];
    struct svan_cmd_modify_qp attrs = {
        .attr = {
            .port = 1, .log_mtu = 8, .access = SVAN_ACCESS_REMOTE_WRITE,
            .dest_qpn = htole32(uc->qps[!side].qpn), .rq_psn = htole32(PSN),
            .sq_psn = htole32(PSN),
        },
        .av = { .hop_limit = 64 },
    };
    HostQp *qp = &uc->qps[side];

    memcpy(attrs.av.dgid, peer->gids[0].gid, 16);
    memcpy(attrs.av.dmac, peer->gids[0].smac, 6);
    assert_int_equal(host_modify(qp, SVAN_QPS_INIT, A(PKEY_INDEX) | A(PORT) | A(ACCESS),
                                 &attrs), SVAN_CMD_OK);
    assert_int_equal(host_modify(qp, SVAN_QPS_RTR,
                                 A(AV) | A(MTU) | A(DEST_QPN) | A(RQ_PSN), &attrs),
                     SVAN_CMD_OK);
    assert_int_equal(host_modify(qp, SVAN_QPS_RTS, A(SQ_PSN), &attrs), SVAN_CMD_OK);
}

static int setup(void **state)
{
    HostQpAttr attr = { .type = SVAN_QPT_UC, .log_sq = 6, .log_rq = 4, .max_sge = 2 };
    Uc *uc = calloc(1, sizeof(*uc));
    uint8_t *ram;

    for (uint32_t i = 0; i < 2; i++) {
        uc->fakes[i] = fake_create(NULL);
        uc->hosts[i] = host_create(uc->fakes[i], 0, i + 1);
        uc->cqs[i] = host_cq(uc->hosts[i], 6);
        uc->qps[i] = host_qp(uc->hosts[i], &uc->cqs[i], &uc->cqs[i], &attr);
    }
    connect_to(uc, 0);
    connect_to(uc, 1);
    uc->from = fake_alloc(uc->fakes[0], ROOM, 4096);
    uc->to = fake_alloc(uc->fakes[1], ROOM, 4096);
    ram = fake_ram(uc->fakes[0], uc->from);
    for (uint32_t i = 0; i < ROOM; i++) {
        ram[i] = i * 7 + i / 251 + 1;
    }
    *state = uc;
    return 0;
}

static void forget_frames(Uc *uc)
{
    while (uc->num_frames) {
        svan_frame_free(uc->frames[--uc->num_frames]);
    }
}

static int teardown(void **state)
{
    Uc *uc = *state;

    forget_frames(uc);
    for (uint32_t i = 0; i < 2; i++) {
        fake_destroy(uc->fakes[i]);
        host_destroy(uc->hosts[i]);
    }
    free(uc);
    return 0;
}

#define UC_TEST(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define STAT(uc, name)  (host_fn((uc)->hosts[1])->stats->name)

/* Post a message; its packets are in uc->frames, and have been completed. */
static void send(Uc *uc, uint8_t opcode, uint32_t length)
{
    HostSend send = {
        .opcode = opcode, .flags = SVAN_WQE_SIGNALED, .addr = uc->from, .length = length,
        .remote = uc->to, .rkey = uc->hosts[1]->all_key,
    };
    SvanFrame *frame;

    forget_frames(uc);
    host_send(&uc->qps[0], &send);
    host_post(&uc->qps[0]);
    fake_run(uc->fakes[0]);
    while ((frame = fake_frame(uc->fakes[0])) != NULL) {
        assert_true(uc->num_frames < PACKETS);
        uc->frames[uc->num_frames++] = frame;
    }
    assert_int_equal(uc->num_frames, length ? (length + MTU - 1) / MTU : 1);
    assert_true(host_cq_poll(&uc->cqs[0], &uc->cqe));
    assert_int_equal(uc->cqe.status, SVAN_CQE_SUCCESS);
}

/* Hand over packet n. */
static void deliver(Uc *uc, uint32_t n)
{
    assert_true(svan_frame_in(uc->fakes[1]->core, svan_frame_copy(uc->frames[n])));
    fake_run(uc->fakes[1]);
    assert_null(fake_frame(uc->fakes[1]));      /* nothing is ever answered */
}

static void deliver_all(Uc *uc)
{
    for (uint32_t n = 0; n < uc->num_frames; n++) {
        deliver(uc, n);
    }
}

static void recv_of(Uc *uc, uint32_t length)
{
    host_recv(&uc->qps[1], uc->to, length);
}

static bool received(Uc *uc)
{
    return host_cq_poll(&uc->cqs[1], &uc->cqe);
}

static void came(Uc *uc, uint8_t opcode, uint32_t length)
{
    assert_true(received(uc));
    assert_int_equal(uc->cqe.status, SVAN_CQE_SUCCESS);
    assert_int_equal(uc->cqe.opcode, opcode);
    assert_int_equal(le32toh(uc->cqe.byte_len), length);
    assert_int_equal(le32toh(uc->cqe.src_qpn), uc->qps[0].qpn);
}

static void is_there(Uc *uc, uint32_t length)
{
    uint8_t *to = fake_ram(uc->fakes[1], uc->to);

    assert_memory_equal(to, fake_ram(uc->fakes[0], uc->from), length);
    memset(to, 0, ROOM);
}

/* ---- what comes through ---- */

static void messages_of_all_lengths(void **state)
{
    static const uint32_t lengths[] = { 0, 1, MTU - 1, MTU, MTU + 1, 5 * MTU, 1000 };
    Uc *uc = *state;

    for (size_t i = 0; i < SIZE(lengths); i++) {
        recv_of(uc, lengths[i]);
        send(uc, SVAN_WQE_SEND, lengths[i]);
        deliver_all(uc);
        came(uc, SVAN_CQE_RECV, lengths[i]);
        is_there(uc, lengths[i]);

        send(uc, SVAN_WQE_RDMA_WRITE, lengths[i]);
        deliver_all(uc);
        assert_false(received(uc));
        is_there(uc, lengths[i]);

        recv_of(uc, 0);
        send(uc, SVAN_WQE_RDMA_WRITE_IMM, lengths[i]);
        deliver_all(uc);
        came(uc, SVAN_CQE_RECV_WRITE_IMM, lengths[i]);
        is_there(uc, lengths[i]);
    }
}

/* ---- what does not ---- */

static void a_lost_packet_costs_its_message(void **state)
{
    Uc *uc = *state;

    for (uint32_t lost = 0; lost < 4; lost++) {
        recv_of(uc, ROOM);
        send(uc, SVAN_WQE_SEND, 4 * MTU);
        for (uint32_t n = 0; n < 4; n++) {
            if (n != lost) {
                deliver(uc, n);
            }
        }
        assert_false(received(uc));
        memset(fake_ram(uc->fakes[1], uc->to), 0, ROOM);
        send(uc, SVAN_WQE_SEND, 2 * MTU);
        deliver_all(uc);
        came(uc, SVAN_CQE_RECV, 2 * MTU);
        is_there(uc, 2 * MTU);
        assert_int_equal(host_state(&uc->qps[1]), SVAN_QPS_RTS);
    }
    assert_int_equal(STAT(uc, out_of_sequence), 3 + 2 + 1);
}

static void the_end_of_one_is_not_that_of_another(void **state)
{
    Uc *uc = *state;
    SvanFrame *last;

    recv_of(uc, ROOM);
    send(uc, SVAN_WQE_SEND, 3 * MTU);
    deliver(uc, 0);
    last = svan_frame_copy(uc->frames[2]);
    assert_true(svan_frame_in(uc->fakes[1]->core, last));
    fake_run(uc->fakes[1]);
    assert_false(received(uc));
    deliver(uc, 1);                     /* too late: its message is lost */
    assert_false(received(uc));
    send(uc, SVAN_WQE_SEND, 10);
    deliver_all(uc);
    came(uc, SVAN_CQE_RECV, 10);
}

static void who_has_no_buffer_loses_the_message(void **state)
{
    Uc *uc = *state;

    send(uc, SVAN_WQE_SEND, 3 * MTU);
    deliver(uc, 0);
    recv_of(uc, ROOM);
    deliver(uc, 1);
    deliver(uc, 2);
    assert_false(received(uc));
    assert_int_equal(STAT(uc, out_of_buffer), 1);
    send(uc, SVAN_WQE_SEND, 3 * MTU);
    deliver_all(uc);
    came(uc, SVAN_CQE_RECV, 3 * MTU);
}

static void who_may_not_write_is_not_told(void **state)
{
    Uc *uc = *state;

    svan_qp_get(host_fn(uc->hosts[1]), uc->qps[1].qpn)->access = 0;
    send(uc, SVAN_WQE_RDMA_WRITE, 3 * MTU);
    deliver_all(uc);
    assert_int_equal(((uint8_t *)fake_ram(uc->fakes[1], uc->to))[1], 0);
    assert_int_equal(STAT(uc, resp_remote_access_errors), 1);
    assert_int_equal(host_state(&uc->qps[1]), SVAN_QPS_RTS);
    recv_of(uc, ROOM);
    send(uc, SVAN_WQE_SEND, 10);
    deliver_all(uc);
    came(uc, SVAN_CQE_RECV, 10);
}

static void a_read_is_no_operation_of_it(void **state)
{
    Uc *uc = *state;
    HostSend read = {
        .opcode = SVAN_WQE_RDMA_READ, .addr = uc->from, .length = 8, .remote = uc->to,
        .rkey = uc->hosts[1]->all_key,
    };

    host_send(&uc->qps[0], &read);
    host_post(&uc->qps[0]);
    fake_run(uc->fakes[0]);
    assert_true(host_cq_poll(&uc->cqs[0], &uc->cqe));
    assert_int_equal(uc->cqe.status, SVAN_CQE_LOC_QP_OP_ERR);
    assert_int_equal(host_state(&uc->qps[0]), SVAN_QPS_SQE);
    assert_null(fake_frame(uc->fakes[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UC_TEST(messages_of_all_lengths),
        UC_TEST(a_lost_packet_costs_its_message),
        UC_TEST(the_end_of_one_is_not_that_of_another),
        UC_TEST(who_has_no_buffer_loses_the_message),
        UC_TEST(who_may_not_write_is_not_told),
        UC_TEST(a_read_is_no_operation_of_it),
    };

    return cmocka_run_group_tests_name("uc", tests, NULL, NULL);
}
