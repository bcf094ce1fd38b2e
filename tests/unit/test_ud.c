/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams: UD and GSI queue pairs (IBTA volume 1, 9.8.3; PRM "Unreliable
 * connections and datagrams").
 */
#include "unit.h"
#include "transport/unreliable.h"

#define A(name)         SVAN_QP_ATTR_##name
#define QKEY            0x11223344u
#define PSN             0xfffffeu
#define MTU             1024u
#define GRH             40u
#define ROOM            (GRH + 4096u)

typedef struct Ud {
    Host *host;
    Fake *fake;
    HostCq scq, rcq;
    HostQp from, to;
    uint64_t data, buffer;      /* bus addresses */
    struct svan_cqe cqe;
} Ud;

static const uint8_t gid6[16] = { 0xfe, 0x80, [15] = 7 };

static SvanQp *inside(HostQp *qp)
{
    return svan_qp_get(host_fn(qp->host), qp->qpn);
}

#define STAT(ud, name)  (host_fn((ud)->host)->stats->name)

static struct svan_cmd_modify_qp attrs_of(uint32_t qkey)
{
    return (struct svan_cmd_modify_qp) {
        .attr = {
            .port = 1, .log_mtu = 10, .qkey = htole32(qkey), .sq_psn = htole32(PSN),
        },
    };
}

static void to_rts(HostQp *qp, uint32_t qkey)
{
    struct svan_cmd_modify_qp attrs = attrs_of(qkey);
    uint32_t port = qp->type == SVAN_QPT_GSI ? 0 : A(PORT);

    assert_int_equal(host_modify(qp, SVAN_QPS_INIT, A(PKEY_INDEX) | A(QKEY) | port, &attrs),
                     SVAN_CMD_OK);
    assert_int_equal(host_modify(qp, SVAN_QPS_RTR, A(MTU), &attrs), SVAN_CMD_OK);
    assert_int_equal(host_modify(qp, SVAN_QPS_RTS, A(SQ_PSN), &attrs), SVAN_CMD_OK);
}

static HostQp new_qp(Ud *ud, uint8_t type)
{
    HostQpAttr attr = {
        .type = type, .log_sq = 6, .log_rq = 4, .max_sge = 2,
        .flags = type == SVAN_QPT_GSI ? SVAN_CMD_QP_PRIVILEGED : 0,
    };

    return host_qp(ud->host, &ud->scq, &ud->rcq, &attr);
}

static int setup(void **state)
{
    Ud *ud = calloc(1, sizeof(*ud));
    uint8_t *ram;

    ud->fake = fake_create(NULL);
    ud->host = host_create(ud->fake, 0, 1);
    host_set_gid(ud->host, 1, gid6);
    ud->scq = host_cq(ud->host, 6);
    ud->rcq = host_cq(ud->host, 6);
    ud->from = new_qp(ud, SVAN_QPT_UD);
    ud->to = new_qp(ud, SVAN_QPT_UD);
    to_rts(&ud->from, QKEY + 1);
    to_rts(&ud->to, QKEY);
    ud->data = fake_alloc(ud->fake, 2 * ROOM, 4096);
    ud->buffer = fake_alloc(ud->fake, 16 * ROOM, 4096);
    ram = fake_ram(ud->fake, ud->data);
    for (uint32_t i = 0; i < 2 * ROOM; i++) {
        ram[i] = i * 7 + i / 251;
    }
    *state = ud;
    return 0;
}

static int teardown(void **state)
{
    Ud *ud = *state;

    fake_destroy(ud->fake);
    host_destroy(ud->host);
    free(ud);
    return 0;
}

#define UD_TEST(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)

/* To one of the host's own GIDs. */
static struct svan_av av_to(Ud *ud, uint8_t gid, const HostQp *to, uint32_t qkey)
{
    struct svan_av av = {
        .sgid_index = gid, .hop_limit = 9, .traffic_class = 0x20,
        .flow_label = htole32(0x12345), .dqpn = htole32(to->qpn), .qkey = htole32(qkey),
    };

    memcpy(av.dgid, ud->host->gids[gid].gid, 16);
    memcpy(av.dmac, ud->host->gids[gid].smac, 6);
    return av;
}

static void post(Ud *ud, HostWr *wr, const struct svan_av *av)
{
    wr->av = av;
    host_write_wqe(&ud->from, wr);
    host_post(&ud->from);
    fake_run(ud->fake);
}

static HostWr send_of(Ud *ud, uint32_t length)
{
    return (HostWr) {
        .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED,
        .num_sge = length ? 1 : 0, .sge = { { ud->data, length, ud->host->all_key } },
    };
}

static void send(Ud *ud, uint32_t length)
{
    struct svan_av av = av_to(ud, 0, &ud->to, QKEY);
    HostWr wr = send_of(ud, length);

    post(ud, &wr, &av);
}

static void recv_at(Ud *ud, HostQp *qp, uint32_t n)
{
    host_recv(qp, ud->buffer + n * ROOM, ROOM);
}

static bool done(Ud *ud, HostCq *cq)
{
    return host_cq_poll(cq, &ud->cqe);
}

#define SENT(ud, want) \
    do { \
        assert_true(done(ud, &(ud)->scq)); \
        assert_int_equal((ud)->cqe.status, SVAN_CQE_##want); \
    } while (0)

#define NOTHING(ud, cq) assert_false(done(ud, &(ud)->cq))

/* A datagram of this many octets has come to buffer n. */
static void came(Ud *ud, uint32_t n, uint32_t length)
{
    assert_true(done(ud, &ud->rcq));
    assert_int_equal(ud->cqe.status, SVAN_CQE_SUCCESS);
    assert_int_equal(le32toh(ud->cqe.byte_len), GRH + length);
    assert_int_equal(le32toh(ud->cqe.src_qpn), ud->from.qpn);
    assert_int_equal(le32toh(ud->cqe.qpn), ud->to.qpn);
    assert_memory_equal(ud->cqe.smac, ud->host->gids[0].smac, 6);
    assert_memory_equal(fake_ram(ud->fake, ud->buffer + n * ROOM + GRH),
                        fake_ram(ud->fake, ud->data), length);
}

/* ---- what arrives ---- */

static void a_datagram_says_who_has_sent_it(void **state)
{
    Ud *ud = *state;
    const uint8_t *ip;

    recv_at(ud, &ud->to, 0);
    send(ud, 100);
    SENT(ud, SUCCESS);
    came(ud, 0, 100);
    assert_int_equal(ud->cqe.opcode, SVAN_CQE_RECV);
    assert_true(ud->cqe.owner & SVAN_CQE_IPV4);
    assert_false(ud->cqe.owner & SVAN_CQE_VLAN);
    ip = fake_ram(ud->fake, ud->buffer);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(ip[i], 0);
    }
    assert_int_equal(ip[20], 0x45);
    assert_int_equal(ip[21] & ~3, 0x20);
    assert_int_equal(ip[22] << 8 | ip[23], 20 + 8 + 12 + 8 + 100 + 4);
    assert_int_equal(ip[28], 9);
    assert_int_equal(ip[29], 17);
    assert_memory_equal(ip + 32, ud->host->gids[0].gid + 12, 4);
    assert_memory_equal(ip + 36, ud->host->gids[0].gid + 12, 4);
}

static void the_header_of_ipv6_fills_its_place(void **state)
{
    Ud *ud = *state;
    struct svan_av av = av_to(ud, 1, &ud->to, QKEY);
    HostWr wr = send_of(ud, 3);
    const uint8_t *ip;

    recv_at(ud, &ud->to, 0);
    post(ud, &wr, &av);
    came(ud, 0, 3);
    assert_false(ud->cqe.owner & SVAN_CQE_IPV4);
    ip = fake_ram(ud->fake, ud->buffer);
    assert_int_equal(ip[0] >> 4, 6);
    assert_int_equal((ip[1] & 15) << 16 | ip[2] << 8 | ip[3], 0x12345);
    assert_int_equal(ip[4] << 8 | ip[5], 8 + 12 + 8 + 4 + 4);
    assert_memory_equal(ip + 8, gid6, 16);
    assert_memory_equal(ip + 24, gid6, 16);
}

static void immediate_inline_and_empty(void **state)
{
    Ud *ud = *state;
    struct svan_av av = av_to(ud, 0, &ud->to, QKEY);
    HostWr wr = {
        .opcode = SVAN_WQE_SEND_IMM, .imm = htobe32(0xabcd),
        .flags = SVAN_WQE_INLINE | SVAN_WQE_SOLICITED,
        .data = fake_ram(ud->fake, ud->data), .length = SVAN_MAX_INLINE,
    };

    recv_at(ud, &ud->to, 0);
    recv_at(ud, &ud->to, 1);
    assert_int_equal(host_wr_bbs(&wr), SVAN_WQE_MAX_BBS - 1);
    post(ud, &wr, &av);
    assert_int_equal(ud->from.sq_pi, SVAN_WQE_MAX_BBS);
    came(ud, 0, SVAN_MAX_INLINE);
    assert_int_equal(ud->cqe.opcode, SVAN_CQE_RECV_IMM);
    assert_int_equal(be32toh(ud->cqe.imm), 0xabcd);
    assert_true(ud->cqe.owner & SVAN_CQE_SOLICITED);
    NOTHING(ud, scq);                   /* it was not signaled */
    send(ud, 0);
    SENT(ud, SUCCESS);
    came(ud, 1, 0);
}

static void thirty_pieces(void **state)
{
    Ud *ud = *state;
    struct svan_av av = av_to(ud, 0, &ud->to, QKEY);
    HostWr wr = { .opcode = SVAN_WQE_SEND, .num_sge = SVAN_MAX_SGE };

    for (uint32_t i = 0; i < SVAN_MAX_SGE; i++) {
        wr.sge[i] = (HostSge) { ud->data + i * 9, 9, ud->host->all_key };
    }
    for (uint32_t n = 0; n < 16; n++) { /* around the ring's end, too */
        recv_at(ud, &ud->to, 0);
        post(ud, &wr, &av);
        came(ud, 0, SVAN_MAX_SGE * 9);
    }
}

static void the_longest_fills_a_packet(void **state)
{
    Ud *ud = *state;

    recv_at(ud, &ud->to, 0);
    send(ud, MTU);
    SENT(ud, SUCCESS);
    came(ud, 0, MTU);
    recv_at(ud, &ud->to, 0);
    send(ud, MTU + 1);
    SENT(ud, LOC_LEN_ERR);
    assert_int_equal(le32toh(ud->cqe.vendor_err), SVAN_SYN_LENGTH);
    NOTHING(ud, rcq);
    assert_int_equal(host_state(&ud->from), SVAN_QPS_SQE);
}

/* ---- what does not arrive ---- */

static void only_who_knows_the_key_is_heard(void **state)
{
    Ud *ud = *state;
    struct svan_av av = av_to(ud, 0, &ud->to, QKEY ^ 1);
    HostWr wr = send_of(ud, 8);

    recv_at(ud, &ud->to, 0);
    post(ud, &wr, &av);
    SENT(ud, SUCCESS);
    NOTHING(ud, rcq);
    assert_int_equal(STAT(ud, rx_wrong_peer), 1);
    av.qkey = htole32(0x80000000u | QKEY);      /* it stands for the sender's own */
    post(ud, &wr, &av);
    NOTHING(ud, rcq);
    assert_int_equal(STAT(ud, rx_wrong_peer), 2);
    inside(&ud->from)->qkey = QKEY;
    post(ud, &wr, &av);
    came(ud, 0, 8);
}

static void what_finds_no_buffer_is_lost(void **state)
{
    Ud *ud = *state;
    HostSge small = { ud->buffer, GRH + 10, ud->host->all_key };

    send(ud, 20);
    SENT(ud, SUCCESS);
    assert_int_equal(STAT(ud, out_of_buffer), 1);
    host_write_rwqe(&ud->to, &small, 1);
    host_post_recv(&ud->to);
    send(ud, 11);
    SENT(ud, SUCCESS);
    assert_int_equal(STAT(ud, resp_local_length_error), 1);
    NOTHING(ud, rcq);
    send(ud, 10);                       /* the buffer is still there */
    SENT(ud, SUCCESS);
    came(ud, 0, 10);
    assert_int_equal(host_state(&ud->to), SVAN_QPS_RTS);
}

static void a_bad_buffer_takes_its_owner_down_alone(void **state)
{
    Ud *ud = *state;
    HostSge bad = { ud->buffer, ROOM, 0x12345600 };

    host_write_rwqe(&ud->to, &bad, 1);
    host_post_recv(&ud->to);
    recv_at(ud, &ud->to, 1);
    send(ud, 20);
    SENT(ud, SUCCESS);
    assert_true(done(ud, &ud->rcq));
    assert_int_equal(ud->cqe.status, SVAN_CQE_LOC_PROT_ERR);
    assert_true(done(ud, &ud->rcq));
    assert_int_equal(ud->cqe.status, SVAN_CQE_WR_FLUSH_ERR);
    assert_int_equal(host_state(&ud->to), SVAN_QPS_ERR);
    assert_int_equal(host_state(&ud->from), SVAN_QPS_RTS);
}

/* ---- errors of the sender ---- */

static void after_an_error_the_send_queue_alone_stands_still(void **state)
{
    Ud *ud = *state;
    struct svan_av av = av_to(ud, 0, &ud->from, QKEY + 1);
    struct svan_cmd_modify_qp attrs = attrs_of(0);
    HostWr wr = send_of(ud, 8);
    HostWr bad = wr;

    bad.sge[0].key = 0x12345600;
    bad.av = wr.av = &av;
    host_write_wqe(&ud->from, &bad);
    host_write_wqe(&ud->from, &wr);
    host_post(&ud->from);
    fake_run(ud->fake);
    SENT(ud, LOC_PROT_ERR);
    SENT(ud, WR_FLUSH_ERR);
    assert_int_equal(host_state(&ud->from), SVAN_QPS_SQE);
    post(ud, &wr, &av);
    SENT(ud, WR_FLUSH_ERR);

    /* It still receives. */
    recv_at(ud, &ud->from, 0);
    wr.av = &av;
    host_write_wqe(&ud->to, &wr);
    host_post(&ud->to);
    fake_run(ud->fake);
    SENT(ud, SUCCESS);
    assert_true(done(ud, &ud->rcq));
    assert_int_equal(ud->cqe.status, SVAN_CQE_SUCCESS);

    assert_int_equal(host_modify(&ud->from, SVAN_QPS_RTS, 0, &attrs), SVAN_CMD_OK);
    recv_at(ud, &ud->to, 1);
    send(ud, 8);
    SENT(ud, SUCCESS);
    came(ud, 1, 8);
}

/* Its completion misses a page, and meanwhile something else takes the queue pair down. */
static void what_has_failed_before_an_error_revives_nobody(void **state)
{
    Ud *ud = *state;
    struct svan_av av = av_to(ud, 0, &ud->to, QKEY);
    const SvanUnreliableSender *sender = &svan_unreliable(inside(&ud->from))->send;
    HostWr bad = send_of(ud, 8);

    bad.sge[0].key = 0x12345600;
    bad.av = &av;
    host_write_wqe(&ud->from, &bad);
    host_post(&ud->from);
    for (uint32_t map = 1; sender->state != SVAN_SEND_OVER; map++) {
        assert_true(map < 100);
        ud->fake->miss_at = ud->fake->maps + map;
        svan_run(ud->fake->core);
    }
    assert_int_equal(sender->status, SVAN_CQE_LOC_PROT_ERR);
    svan_qp_error(inside(&ud->from), 0, SVAN_SYN_NONE);
    fake_run(ud->fake);
    SENT(ud, LOC_PROT_ERR);
    assert_int_equal(host_state(&ud->from), SVAN_QPS_ERR);
}

static void an_address_vector_is_checked(void **state)
{
    Ud *ud = *state;
    struct svan_av av = av_to(ud, 0, &ud->to, QKEY);
    struct svan_cmd_modify_qp attrs = attrs_of(0);
    HostWr wr = send_of(ud, 8);

    av.sgid_index = SVAN_MAX_GID;
    post(ud, &wr, &av);
    SENT(ud, LOC_QP_OP_ERR);
    assert_int_equal(le32toh(ud->cqe.vendor_err), SVAN_SYN_AV);
    host_modify(&ud->from, SVAN_QPS_RTS, 0, &attrs);
    post(ud, &wr, NULL);
    SENT(ud, LOC_QP_OP_ERR);
    assert_int_equal(le32toh(ud->cqe.vendor_err), SVAN_SYN_OPCODE);
    host_modify(&ud->from, SVAN_QPS_RTS, 0, &attrs);
    wr.opcode = SVAN_WQE_RDMA_WRITE;
    av.sgid_index = 0;
    post(ud, &wr, &av);
    SENT(ud, LOC_QP_OP_ERR);
    host_modify(&ud->from, SVAN_QPS_RTS, 0, &attrs);
    av.sgid_index = 9;                  /* there could be one, but there is none */
    wr.opcode = SVAN_WQE_SEND;
    post(ud, &wr, &av);
    SENT(ud, SUCCESS);
    assert_int_equal(STAT(ud, source_drops), 1);
}

static void an_address_vector_needs_its_block(void **state)
{
    Ud *ud = *state;
    HostWr wr = { .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED | SVAN_WQE_AV };

    post(ud, &wr, NULL);                /* one block, and that is the address vector */
    SENT(ud, LOC_QP_OP_ERR);
    assert_int_equal(le32toh(ud->cqe.vendor_err), SVAN_SYN_NUM_BBS);
}

/* Two WQEs after each other go to different receivers. */
static void each_message_has_its_address(void **state)
{
    Ud *ud = *state;
    HostQp third = new_qp(ud, SVAN_QPT_UD);
    struct svan_av avs[2] = { av_to(ud, 0, &ud->to, QKEY), av_to(ud, 1, &third, QKEY) };
    HostWr wr = send_of(ud, 8);

    to_rts(&third, QKEY);
    recv_at(ud, &ud->to, 0);
    recv_at(ud, &third, 1);
    recv_at(ud, &ud->to, 2);
    for (uint32_t i = 0; i < 3; i++) {
        wr.av = &avs[i & 1];
        host_write_wqe(&ud->from, &wr);
    }
    host_post(&ud->from);
    fake_run(ud->fake);
    came(ud, 0, 8);
    assert_true(done(ud, &ud->rcq));
    assert_int_equal(le32toh(ud->cqe.qpn), third.qpn);
    assert_false(ud->cqe.owner & SVAN_CQE_IPV4);
    came(ud, 2, 8);
}

/* ---- states ---- */

static void a_draining_queue_begins_nothing(void **state)
{
    Ud *ud = *state;
    struct svan_cmd_modify_qp attrs = attrs_of(0);

    recv_at(ud, &ud->to, 0);
    assert_int_equal(host_modify(&ud->from, SVAN_QPS_SQD, 0, &attrs), SVAN_CMD_OK);
    fake_run(ud->fake);
    send(ud, 8);
    NOTHING(ud, scq);
    assert_int_equal(host_modify(&ud->from, SVAN_QPS_RTS, 0, &attrs), SVAN_CMD_OK);
    fake_run(ud->fake);
    SENT(ud, SUCCESS);
    came(ud, 0, 8);
}

static void reset_forgets_and_error_flushes(void **state)
{
    Ud *ud = *state;
    struct svan_cmd_modify_qp attrs = attrs_of(0);

    recv_at(ud, &ud->to, 0);
    assert_int_equal(host_modify(&ud->to, SVAN_QPS_ERR, 0, &attrs), SVAN_CMD_OK);
    fake_run(ud->fake);
    assert_true(done(ud, &ud->rcq));
    assert_int_equal(ud->cqe.status, SVAN_CQE_WR_FLUSH_ERR);
    send(ud, 8);
    SENT(ud, SUCCESS);
    assert_int_equal(STAT(ud, rx_wrong_state), 1);
    assert_int_equal(host_modify(&ud->to, SVAN_QPS_RESET, 0, &attrs), SVAN_CMD_OK);
    ud->to.rq_pi = 0;
    to_rts(&ud->to, QKEY);
    recv_at(ud, &ud->to, 1);
    send(ud, 8);
    came(ud, 1, 8);
    assert_int_equal(le32toh(ud->cqe.wqe_index), 0);
}

/* ---- from the wire, and GSI ---- */

/* Who does not poll loses completions, and the queue pair comes to rest all the same. */
static void a_full_completion_queue_is_no_end_without_end(void **state)
{
    Ud *ud = *state;
    HostQpAttr attr = { .type = SVAN_QPT_UD, .log_sq = 6, .log_rq = 4, .max_sge = 2 };
    HostCq tiny = host_cq(ud->host, 0);
    struct svan_av av = av_to(ud, 1, &ud->to, QKEY);
    HostWr wr = send_of(ud, 10);

    ud->from = host_qp(ud->host, &tiny, &ud->rcq, &attr);
    to_rts(&ud->from, QKEY);
    wr.av = &av;
    wr.flags = SVAN_WQE_SIGNALED;
    for (uint32_t n = 0; n < 4; n++) {
        host_write_wqe(&ud->from, &wr);
    }
    host_post(&ud->from);
    fake_run(ud->fake);
    assert_int_equal(inside(&ud->from)->state, SVAN_QPS_ERR);
    assert_int_equal(svan_unreliable(inside(&ud->from))->send.sq_ci,
                     inside(&ud->from)->sq.producer.pi);
}

/* All of a message's packets had left before the move, and its completion had not. */
static void what_was_sent_before_a_move_has_succeeded_in_error_too(void **state)
{
    Ud *ud = *state;
    struct svan_cmd_modify_qp attrs = { .attr.state = 0 };
    struct svan_av av = av_to(ud, 1, &ud->to, QKEY);
    HostWr wr = send_of(ud, 10);
    SvanUnreliableSender *send = &svan_unreliable(inside(&ud->from))->send;
    uint32_t done, blocks;
    size_t len;
    void *stream;

    wr.av = &av;
    wr.flags = SVAN_WQE_SIGNALED;
    for (uint32_t n = 0; n < 30; n++) {
        host_write_wqe(&ud->from, &wr);
    }
    host_post(&ud->from);
    for (uint32_t runs = 0; send->state != SVAN_SEND_OVER; runs++) {
        assert_true(runs < 100);
        svan_run(ud->fake->core);
    }
    blocks = send->wqe.num_bbs;
    done = send->sq_ci / blocks;
    stream = svan_save(ud->fake->core, &len);
    assert_true(stream && svan_load(ud->fake->core, stream, len));
    free(stream);
    assert_int_equal(host_modify(&ud->from, SVAN_QPS_ERR, 0, &attrs), SVAN_CMD_OK);
    fake_run(ud->fake);
    for (uint32_t n = 0; n <= done; n++) {
        assert_true(host_cq_poll(&ud->scq, &ud->cqe));
        assert_int_equal(ud->cqe.status, SVAN_CQE_SUCCESS);
    }
    assert_true(host_cq_poll(&ud->scq, &ud->cqe));
    assert_int_equal(ud->cqe.status, SVAN_CQE_WR_FLUSH_ERR);
}

static void a_stranger_may_send(void **state)
{
    Ud *ud = *state;
    SvanPkt pkt = {
        .addr = { .ipv4 = true, .hop_limit = 3, .has_vlan = false },
        .opcode = SVAN_BTH_UD | SVAN_OP_SEND_ONLY, .pkey = SVAN_PKEY_DEFAULT,
        .dqpn = ud->to.qpn, .qkey = QKEY, .sqpn = 0x777, .payload_len = 5, .num_runs = 1,
        .runs = { { .host = (uint8_t *)"hello", .len = 5 } },
    };

    memcpy(pkt.addr.dmac, ud->host->gids[0].smac, 6);
    memcpy(pkt.addr.smac, "\2stran", 6);
    memcpy(pkt.addr.dgid, ud->host->gids[0].gid, 16);
    memcpy(pkt.addr.sgid, (uint8_t[16]) { [10] = 255, 255, 10, 8, 7, 6 }, 16);
    recv_at(ud, &ud->to, 0);
    assert_true(svan_frame_in(ud->fake->core, svan_pkt_encode(&pkt)));
    fake_run(ud->fake);
    assert_true(done(ud, &ud->rcq));
    assert_int_equal(le32toh(ud->cqe.src_qpn), 0x777);
    assert_memory_equal(ud->cqe.smac, "\2stran", 6);
    assert_memory_equal(fake_ram(ud->fake, ud->buffer + GRH), "hello", 5);
    assert_memory_equal(fake_ram(ud->fake, ud->buffer + 32), ((uint8_t[]) { 10, 8, 7, 6 }),
                        4);
}

static uint8_t create_gsi(Ud *ud, uint8_t flags)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_QP);
    uint64_t ring = fake_alloc(ud->fake, 4096, 4096);

    cmd.create_qp = (struct svan_cmd_create_qp) {
        .type = SVAN_QPT_GSI, .flags = flags, .log_sq_bbs = 2, .pd = htole32(ud->host->pd),
        .send_cq = htole32(ud->scq.cqn), .recv_cq = htole32(ud->rcq.cqn),
        .ring_key = htole32(ud->host->ring_key), .ring_va = htole64(ring),
        .dbr_offset = htole32(1024),
    };
    return host_cmd(ud->host, &cmd, NULL);
}

static void there_is_one_queue_pair_of_number_1(void **state)
{
    Ud *ud = *state;
    HostQp gsi, user = ud->to;

    assert_int_equal(create_gsi(ud, 0), SVAN_CMD_NOT_PERMITTED);
    gsi = new_qp(ud, SVAN_QPT_GSI);
    assert_int_equal(gsi.qpn, 1);
    assert_int_equal(create_gsi(ud, SVAN_CMD_QP_PRIVILEGED), SVAN_CMD_BUSY);
    to_rts(&gsi, QKEY);
    ud->to = gsi;
    recv_at(ud, &ud->to, 0);
    send(ud, 256);
    came(ud, 0, 256);
    assert_int_equal(host_object(ud->host, SVAN_CMD_DESTROY_QP, 1), SVAN_CMD_OK);
    assert_null(svan_qp_get(host_fn(ud->host), 1));
    assert_int_equal(new_qp(ud, SVAN_QPT_GSI).qpn, 1);
    ud->to = user;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UD_TEST(a_datagram_says_who_has_sent_it),
        UD_TEST(the_header_of_ipv6_fills_its_place),
        UD_TEST(immediate_inline_and_empty),
        UD_TEST(thirty_pieces),
        UD_TEST(the_longest_fills_a_packet),
        UD_TEST(only_who_knows_the_key_is_heard),
        UD_TEST(what_finds_no_buffer_is_lost),
        UD_TEST(a_bad_buffer_takes_its_owner_down_alone),
        UD_TEST(after_an_error_the_send_queue_alone_stands_still),
        UD_TEST(what_has_failed_before_an_error_revives_nobody),
        UD_TEST(an_address_vector_is_checked),
        UD_TEST(an_address_vector_needs_its_block),
        UD_TEST(each_message_has_its_address),
        UD_TEST(a_draining_queue_begins_nothing),
        UD_TEST(reset_forgets_and_error_flushes),
        UD_TEST(a_full_completion_queue_is_no_end_without_end),
        UD_TEST(what_was_sent_before_a_move_has_succeeded_in_error_too),
        UD_TEST(a_stranger_may_send),
        UD_TEST(there_is_one_queue_pair_of_number_1),
    };

    return cmocka_run_group_tests_name("ud", tests, NULL, NULL);
}
