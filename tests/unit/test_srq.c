/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared receive queues (IBTA volume 1, 10.2.9; PRM "Queues").
 */
#include "unit.h"
#include "transport/message.h"

#define A(name)         SVAN_QP_ATTR_##name
#define LOG_SIZE        3
#define ENTRIES         (1u << LOG_SIZE)
#define ROOM            8192u
#define SENDERS         3

typedef struct Shared {
    Fake *fake;
    Host *host;
    HostCq scq, rcq;
    HostQp from[SENDERS], to[SENDERS];  /* each sends to its own receiver */
    uint64_t ring, buffers, data;       /* bus addresses */
    uint32_t srqn, pi;
    struct svan_cqe cqe;
} Shared;

static struct svan_cmd creation(Shared *shared)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_SRQ);

    cmd.create_srq = (struct svan_cmd_create_srq) {
        .log_size = LOG_SIZE, .log_stride = SVAN_RWQE_MIN_LOG_STRIDE,
        .pd = htole32(shared->host->pd), .ring_va = htole64(shared->ring),
        .ring_key = htole32(shared->host->ring_key), .dbr_offset = htole32(2048),
    };
    return cmd;
}

static struct svan_srq_dbr *record(Shared *shared)
{
    return fake_ram(shared->fake, shared->ring + 2048);
}

/* The host's library does not know SRQs, so the number is put into its command. */
static HostQp receiver(Shared *shared)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_QP);
    uint64_t ring = fake_alloc(shared->fake, 8192, 4096);
    HostQp qp = {
        .host = shared->host, .type = SVAN_QPT_RC, .send_cq = &shared->scq,
        .recv_cq = &shared->rcq, .sq_bus = ring, .dbr = ring + 4096, .log_sq = 4,
        .sq = { .bbs = fake_ram(shared->fake, ring), .mask = 15 },
    };

    cmd.create_qp = (struct svan_cmd_create_qp) {
        .type = SVAN_QPT_RC, .log_sq_bbs = 4, .pd = htole32(shared->host->pd),
        .send_cq = htole32(shared->scq.cqn), .recv_cq = htole32(shared->rcq.cqn),
        .ring_va = htole64(ring), .ring_key = htole32(shared->host->ring_key),
        .dbr_offset = htole32(4096), .srq = htole32(shared->srqn),
    };
    qp.qpn = host_must(shared->host, &cmd);
    return qp;
}

static int setup(void **state)
{
    Shared *shared = calloc(1, sizeof(*shared));
    struct svan_cmd cmd;
    uint8_t *ram;

    shared->fake = fake_create(NULL);
    shared->host = host_create(shared->fake, 0, 1);
    shared->scq = host_cq(shared->host, 6);
    shared->rcq = host_cq(shared->host, 6);
    shared->ring = fake_alloc(shared->fake, 4096, 4096);
    shared->buffers = fake_alloc(shared->fake, 32 * ROOM, 4096);
    shared->data = fake_alloc(shared->fake, ROOM, 4096);
    ram = fake_ram(shared->fake, shared->data);
    for (uint32_t i = 0; i < ROOM; i++) {
        ram[i] = i * 7 + i / 251;
    }
    cmd = creation(shared);
    shared->srqn = host_must(shared->host, &cmd);
    for (uint32_t i = 0; i < SENDERS; i++) {
        shared->from[i] = host_qp(shared->host, &shared->scq, &shared->scq, NULL);
        shared->to[i] = receiver(shared);
        host_connect(&shared->from[i], &shared->to[i]);
    }
    *state = shared;
    return 0;
}

static int teardown(void **state)
{
    Shared *shared = *state;

    fake_destroy(shared->fake);
    host_destroy(shared->host);
    free(shared);
    return 0;
}

#define SRQ_TEST(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Post an entry; its wr_id says which buffer it has. */
static void post_entry(Shared *shared, uint32_t num_sge, uint32_t length)
{
    uint32_t slot = shared->pi % ENTRIES;
    struct svan_rwqe *rwqe = fake_ram(shared->fake, shared->ring +
                                      (slot << SVAN_RWQE_MIN_LOG_STRIDE));

    assert_true(shared->pi - le32toh(record(shared)->ci) < ENTRIES);
    rwqe->num_sge = htole32(num_sge);
    rwqe->wr_id = htole64(0xabc00000000ull + shared->pi);
    svan_sge_set(&rwqe->sge[0], shared->buffers + shared->pi % 32 * ROOM, length,
                 shared->host->all_key);
    record(shared)->pi = htole32(++shared->pi);
}

static void post(Shared *shared, uint32_t count)
{
    while (count--) {
        post_entry(shared, 1, ROOM);
    }
}

static void send(Shared *shared, uint32_t i, uint8_t opcode, uint32_t length)
{
    HostSend send = {
        .opcode = opcode, .flags = SVAN_WQE_SIGNALED, .addr = shared->data,
        .length = length, .remote = shared->buffers + 31 * ROOM,
        .rkey = shared->host->all_key,
    };

    host_send(&shared->from[i], &send);
    host_post(&shared->from[i]);
    fake_run(shared->fake);
}

static void came(Shared *shared, uint32_t i, uint32_t entry, uint32_t length)
{
    assert_true(host_cq_poll(&shared->rcq, &shared->cqe));
    assert_int_equal(shared->cqe.status, SVAN_CQE_SUCCESS);
    assert_int_equal(le32toh(shared->cqe.qpn), shared->to[i].qpn);
    assert_int_equal(le64toh(shared->cqe.wr_id), 0xabc00000000ull + entry);
    assert_int_equal(le32toh(shared->cqe.wqe_index), entry);
    assert_int_equal(le32toh(shared->cqe.byte_len), length);
    assert_memory_equal(fake_ram(shared->fake, shared->buffers + entry % 32 * ROOM),
                        fake_ram(shared->fake, shared->data), length);
}

static bool event(Shared *shared, uint8_t type, uint32_t qn)
{
    struct svan_eqe eqe;
    bool found = false;

    while (host_eq_poll(shared->host, 0, &eqe)) {
        found |= eqe.type == type && le32toh(eqe.qn) == qn;
    }
    return found;
}

/* ---- */

static void entries_go_to_whoever_comes(void **state)
{
    Shared *shared = *state;

    for (uint32_t n = 0; n < 5 * ENTRIES; n++) {
        post(shared, 1);
        send(shared, n % SENDERS, SVAN_WQE_SEND, n * 10);
        came(shared, n % SENDERS, n, n * 10);
        assert_int_equal(le32toh(record(shared)->ci), n + 1);
    }
    post(shared, 1);
    send(shared, 0, SVAN_WQE_RDMA_WRITE_IMM, 100);
    assert_true(host_cq_poll(&shared->rcq, &shared->cqe));
    assert_int_equal(shared->cqe.opcode, SVAN_CQE_RECV_WRITE_IMM);
    assert_int_equal(le64toh(shared->cqe.wr_id), 0xabc00000000ull + 5 * ENTRIES);
}

/* A message that has begun keeps its entry; others overtake it. */
static void entries_complete_in_any_order(void **state)
{
    Shared *shared = *state;
    SvanQp *slow = svan_qp_get(host_fn(shared->host), shared->to[0].qpn);
    SvanPkt pkt = {
        .opcode = SVAN_OP_SEND_FIRST, .pkey = SVAN_PKEY_DEFAULT, .dqpn = slow->qpn,
        .payload_len = svan_qp_mtu(slow), .num_runs = 1,
        .runs = { { .host = fake_ram(shared->fake, shared->data), .len = svan_qp_mtu(slow) } },
    };

    post(shared, 3);
    memcpy(pkt.addr.sgid, slow->av.dgid, 16);
    memcpy(pkt.addr.dgid, shared->host->gids[0].gid, 16);
    memcpy(pkt.addr.dmac, shared->host->gids[0].smac, 6);
    pkt.psn = slow->rq_psn;
    assert_int_equal(svan_qp_receiver.packet(slow->fn, &pkt), SVAN_STEP_DONE);
    assert_int_equal(le32toh(record(shared)->ci), 1);
    send(shared, 1, SVAN_WQE_SEND, 10);
    came(shared, 1, 1, 10);
    pkt.opcode = SVAN_OP_SEND_LAST;
    pkt.psn = (pkt.psn + 1) & SVAN_PSN_MASK;
    pkt.payload_len = 5;
    assert_int_equal(svan_qp_receiver.packet(slow->fn, &pkt), SVAN_STEP_DONE);
    assert_true(host_cq_poll(&shared->rcq, &shared->cqe));
    assert_int_equal(le64toh(shared->cqe.wr_id), 0xabc00000000ull);
    assert_int_equal(le32toh(shared->cqe.byte_len), svan_qp_mtu(slow) + 5);
}

static void an_empty_queue_is_no_error(void **state)
{
    Shared *shared = *state;

    send(shared, 0, SVAN_WQE_SEND, 10);
    assert_false(host_cq_poll(&shared->rcq, &shared->cqe));
    assert_int_equal(host_fn(shared->host)->stats->rnr_nak_sent, 1);
    post(shared, 1);
    fake_advance(shared->fake, 1000000000ull);
    fake_run(shared->fake);
    came(shared, 0, 0, 10);
}

static uint8_t set_limit(Shared *shared, uint32_t limit)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_MODIFY_SRQ);

    cmd.modify_srq.srqn = htole32(shared->srqn);
    cmd.modify_srq.limit = htole32(limit);
    return host_cmd(shared->host, &cmd, NULL);
}

static uint32_t limit_of(Shared *shared)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_SRQ);
    struct svan_cmd_resp resp;

    cmd.object.id = htole32(shared->srqn);
    assert_int_equal(host_cmd(shared->host, &cmd, &resp), SVAN_CMD_OK);
    return le32toh(resp.query_srq.limit);
}

static void the_limit_is_told_once(void **state)
{
    Shared *shared = *state;

    assert_int_equal(set_limit(shared, ENTRIES + 1), SVAN_CMD_BAD_PARAM);
    post(shared, 4);
    assert_int_equal(set_limit(shared, 3), SVAN_CMD_OK);
    assert_int_equal(limit_of(shared), 3);
    send(shared, 0, SVAN_WQE_SEND, 10);
    assert_false(event(shared, SVAN_EVENT_SRQ_LIMIT, shared->srqn));    /* three are left */
    post(shared, 1);                    /* which the device has not seen yet */
    send(shared, 0, SVAN_WQE_SEND, 10);
    assert_int_equal(limit_of(shared), 3);
    send(shared, 1, SVAN_WQE_SEND, 10);
    assert_true(event(shared, SVAN_EVENT_SRQ_LIMIT, shared->srqn));
    assert_int_equal(limit_of(shared), 0);
    send(shared, 1, SVAN_WQE_SEND, 10);
    assert_false(event(shared, SVAN_EVENT_SRQ_LIMIT, shared->srqn));
}

static void a_bad_entry_is_its_takers(void **state)
{
    Shared *shared = *state;

    post_entry(shared, 2, 10);          /* more than the stride holds */
    post(shared, 2);
    send(shared, 0, SVAN_WQE_SEND, 10);
    assert_true(host_cq_poll(&shared->rcq, &shared->cqe));
    assert_int_equal(shared->cqe.status, SVAN_CQE_LOC_QP_OP_ERR);
    assert_int_equal(le64toh(shared->cqe.wr_id), 0xabc00000000ull);
    assert_int_equal(host_state(&shared->to[0]), SVAN_QPS_ERR);
    assert_true(event(shared, SVAN_EVENT_QP_LAST_WQE, shared->to[0].qpn));
    assert_false(host_cq_poll(&shared->rcq, &shared->cqe));     /* the rest is not flushed */
    send(shared, 1, SVAN_WQE_SEND, 10);
    came(shared, 1, 1, 10);
}

static void a_bad_index_ends_the_queue(void **state)
{
    Shared *shared = *state;

    record(shared)->pi = htole32(ENTRIES + 1);
    send(shared, 0, SVAN_WQE_SEND, 10);
    assert_true(event(shared, SVAN_EVENT_SRQ_ERROR, shared->srqn));
    assert_int_equal(host_state(&shared->to[0]), SVAN_QPS_ERR);
}

static void what_is_refused(void **state)
{
    Shared *shared = *state;
    struct svan_cmd cmd = creation(shared);

    assert_int_equal(host_object(shared->host, SVAN_CMD_DESTROY_SRQ, shared->srqn),
                     SVAN_CMD_BUSY);
    assert_int_equal(host_object(shared->host, SVAN_CMD_DESTROY_SRQ, 77),
                     SVAN_CMD_BAD_RESOURCE);
    cmd.create_srq.log_size = SVAN_RQ_MAX_LOG_SIZE + 1;
    assert_int_equal(host_cmd(shared->host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    cmd = creation(shared);
    cmd.create_srq.log_stride = 0;
    assert_int_equal(host_cmd(shared->host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    cmd = creation(shared);
    cmd.create_srq.pd = htole32(999);
    assert_int_equal(host_cmd(shared->host, &cmd, NULL), SVAN_CMD_BAD_RESOURCE);
    cmd = creation(shared);
    cmd.create_srq.flags = SVAN_CMD_SRQ_PRIVILEGED;
    cmd.create_srq.owner = htole32(5);
    assert_int_equal(host_cmd(shared->host, &cmd, NULL), SVAN_CMD_NOT_PERMITTED);
    cmd = creation(shared);
    cmd.create_srq.dbr_offset = htole32(32);
    assert_int_equal(host_cmd(shared->host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SRQ_TEST(entries_go_to_whoever_comes),
        SRQ_TEST(entries_complete_in_any_order),
        SRQ_TEST(an_empty_queue_is_no_error),
        SRQ_TEST(the_limit_is_told_once),
        SRQ_TEST(a_bad_entry_is_its_takers),
        SRQ_TEST(a_bad_index_ends_the_queue),
        SRQ_TEST(what_is_refused),
    };

    return cmocka_run_group_tests_name("srq", tests, NULL, NULL);
}
