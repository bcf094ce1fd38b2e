/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages become packets, and packets become messages, without a reliable
 * transport around either.
 */
#include "mute_kind.h"
#include "transport/message.h"

#define MTU             1024u
#define PLACES          0x10000u
#define SENDER          0x77u

typedef struct Msg {
    Bench *bench;
    SvanAssembly in;
    SvanReceive receive;
    SvanObstacle obstacle;
    uint64_t from, to;          /* bus addresses */
} Msg;

static Msg *msg_new(uint8_t type)
{
    Msg *msg = calloc(1, sizeof(*msg));
    uint8_t *ram;

    msg->bench = bench_new(type);
    msg->in.rq = &msg->bench->core->rq;
    msg->in.receive = &msg->receive;
    msg->bench->core->log_mtu = 10;
    msg->bench->core->dest_qpn = 5;
    msg->bench->core->access = SVAN_ACCESS_REMOTE_WRITE;
    msg->from = fake_alloc(msg->bench->host->fake, PLACES, 4096);
    msg->to = fake_alloc(msg->bench->host->fake, PLACES, 4096);
    ram = fake_ram(msg->bench->host->fake, msg->from);
    for (uint32_t i = 0; i < PLACES; i++) {
        ram[i] = i * 7 + i / 251;
    }
    return msg;
}

static void msg_free(Msg *msg)
{
    bench_free(msg->bench);
    free(msg);
}

static int setup(void **state)
{
    *state = msg_new(SVAN_QPT_UC);
    return 0;
}

static int teardown(void **state)
{
    msg_free(*state);
    return 0;
}

static SvanWqe wqe_of(Msg *msg, uint8_t opcode, uint32_t length)
{
    return (SvanWqe) {
        .opcode = opcode, .length = length, .num_sge = 1,
        .flags = SVAN_WQE_SOLICITED, .remote = msg->to,
        .rkey = msg->bench->host->all_key, .imm = htobe32(0x1234),
        .sge[0] = { msg->from, length, msg->bench->host->all_key },
    };
}

/* The packet n of a WQE. */
static SvanPkt packet(Msg *msg, SvanWqe *wqe, uint32_t n, SvanSegment *seg)
{
    SvanQp *qp = msg->bench->core;
    uint32_t syndrome;
    SvanPkt pkt = { .sqpn = SENDER };

    svan_segment(qp, wqe->length, n, seg);
    pkt.opcode = qp->kind->bth_class | svan_segment_op(wqe->opcode, seg);
    svan_segment_headers(wqe, seg, &pkt);
    assert_int_equal(svan_segment_payload(&qp->user, wqe, seg, &pkt, &syndrome),
                     SVAN_STEP_DONE);
    return pkt;
}

/* As rx does: first whether it may come, then its parts. */
static SvanStep take(Msg *msg, const SvanPkt *pkt)
{
    msg->obstacle = (SvanObstacle) { .kind = SVAN_OBSTACLES };
    if (!svan_assembly_continues(&msg->in, pkt) ||
        !svan_assembly_fits(msg->bench->core, pkt)) {
        return SVAN_STEP_AGAIN;         /* out of place */
    }
    return svan_assemble(msg->bench->core, &msg->in, pkt, &msg->obstacle);
}

static void check_place(Msg *msg, uint32_t offset, uint32_t length)
{
    uint8_t *to = fake_ram(msg->bench->host->fake, msg->to + offset);

    assert_memory_equal(to, fake_ram(msg->bench->host->fake, msg->from),
                        length);
    memset(to, 0, length);
}

/* ---- parts ---- */

static void each_part_of_each_message(void **state)
{
    static const struct {
        uint8_t opcode, first, middle, last, only;
        bool reth, imm;
    } rows[] = {
        { SVAN_WQE_SEND, SVAN_OP_SEND_FIRST, SVAN_OP_SEND_MIDDLE,
          SVAN_OP_SEND_LAST, SVAN_OP_SEND_ONLY, false, false },
        { SVAN_WQE_SEND_IMM, SVAN_OP_SEND_FIRST, SVAN_OP_SEND_MIDDLE,
          SVAN_OP_SEND_LAST_IMM, SVAN_OP_SEND_ONLY_IMM, false, true },
        { SVAN_WQE_RDMA_WRITE, SVAN_OP_WRITE_FIRST, SVAN_OP_WRITE_MIDDLE,
          SVAN_OP_WRITE_LAST, SVAN_OP_WRITE_ONLY, true, false },
        { SVAN_WQE_RDMA_WRITE_IMM, SVAN_OP_WRITE_FIRST, SVAN_OP_WRITE_MIDDLE,
          SVAN_OP_WRITE_LAST_IMM, SVAN_OP_WRITE_ONLY_IMM, true, true },
    };
    static const uint32_t lengths[] = { 0, 1, MTU, MTU + 1, 2 * MTU, 5000 };
    Msg *msg = *state;

    for (size_t i = 0; i < SIZE(rows) * SIZE(lengths); i++) {
        uint32_t length = lengths[i % SIZE(lengths)], n = 0, done = 0;
        size_t row = i / SIZE(lengths);
        SvanWqe wqe = wqe_of(msg, rows[row].opcode, length);
        SvanSegment seg;

        do {
            SvanPkt pkt = packet(msg, &wqe, n, &seg);
            uint8_t op = !n ? (length > MTU ? rows[row].first : rows[row].only) :
                         done + MTU < length ? rows[row].middle : rows[row].last;

            assert_int_equal(pkt.opcode, SVAN_BTH_UC | op);
            assert_int_equal(seg.offset, done);
            assert_int_equal(pkt.payload_len, seg.length);
            assert_int_equal(seg.first, !n);
            assert_int_equal(pkt.va, !n && rows[row].reth ? msg->to : 0);
            assert_int_equal(pkt.dma_len, !n && rows[row].reth ? length : 0);
            assert_int_equal(pkt.imm, seg.last && rows[row].imm ? wqe.imm : 0);
            assert_int_equal(pkt.bth_flags, seg.last ? SVAN_BTH_SE : 0);
            done += seg.length;
            n++;
        } while (!seg.last);
        assert_int_equal(done, length);
        assert_int_equal(n, length > MTU ? (length + MTU - 1) / MTU : 1);
    }
}

/* ---- what was cut is put together ---- */

static void send_all(Msg *msg, uint8_t opcode, uint32_t length)
{
    SvanWqe wqe = wqe_of(msg, opcode, length);
    SvanSegment seg;
    uint32_t n = 0;

    do {
        SvanPkt pkt = packet(msg, &wqe, n++, &seg);

        assert_int_equal(take(msg, &pkt), SVAN_STEP_DONE);
    } while (!seg.last);
    assert_int_equal(msg->in.message, SVAN_VERB_NONE);
}

static void check_completion(Msg *msg, uint8_t opcode, uint32_t length,
                             uint32_t from)
{
    struct svan_cqe cqe;

    assert_true(host_cq_poll(&msg->bench->cq, &cqe));
    assert_int_equal(cqe.opcode, opcode);
    assert_int_equal(le32toh(cqe.byte_len), length);
    assert_int_equal(le32toh(cqe.src_qpn), from);
    assert_int_equal(cqe.imm, opcode == SVAN_CQE_RECV ? 0 : htobe32(0x1234));
}

static void messages_arrive_whole(void **state)
{
    static const uint32_t lengths[] = { 0, 1, MTU, MTU + 1, 5000 };
    struct svan_cqe cqe;
    Msg *msg = *state;

    for (size_t i = 0; i < SIZE(lengths); i++) {
        host_recv(&msg->bench->qp, msg->to, PLACES);
        send_all(msg, SVAN_WQE_SEND, lengths[i]);
        check_completion(msg, SVAN_CQE_RECV, lengths[i], 5);
        check_place(msg, 0, lengths[i]);
        host_recv(&msg->bench->qp, msg->to + 0x8000, 0x8000);
        send_all(msg, SVAN_WQE_SEND_IMM, lengths[i]);
        check_completion(msg, SVAN_CQE_RECV_IMM, lengths[i], 5);
        check_place(msg, 0x8000, lengths[i]);
        host_recv(&msg->bench->qp, 0, 0);
        send_all(msg, SVAN_WQE_RDMA_WRITE_IMM, lengths[i]);
        check_completion(msg, SVAN_CQE_RECV_WRITE_IMM, lengths[i], 5);
        check_place(msg, 0, lengths[i]);
        send_all(msg, SVAN_WQE_RDMA_WRITE, lengths[i]);
        check_place(msg, 0, lengths[i]);
    }
    assert_false(host_cq_poll(&msg->bench->cq, &cqe));
    assert_int_equal(msg->in.rq->ci, 3 * SIZE(lengths));
}

static void a_datagram_tells_its_sender(void **state)
{
    Msg *msg = msg_new(SVAN_QPT_UD);

    host_recv(&msg->bench->qp, msg->to, PLACES);
    send_all(msg, SVAN_WQE_SEND_IMM, 100);
    check_completion(msg, SVAN_CQE_RECV_IMM, 100, SENDER);
    check_place(msg, 0, 100);
    msg_free(msg);
}

/* ---- what is not taken ---- */

static void assert_meets(Msg *msg, const SvanPkt *pkt, SvanObstacleKind kind,
                         uint32_t syndrome)
{
    SvanAssembly before = msg->in;

    assert_int_equal(take(msg, pkt), SVAN_STEP_ERROR);
    assert_int_equal(msg->obstacle.kind, kind);
    assert_int_equal(msg->obstacle.syndrome, syndrome);
    assert_int_equal(msg->in.message, before.message);
    assert_int_equal(msg->in.offset, before.offset);
}

static void receive_buffers(void **state)
{
    Msg *msg = *state;
    SvanWqe wqe = wqe_of(msg, SVAN_WQE_SEND, 2 * MTU);
    SvanSegment seg;
    SvanPkt first = packet(msg, &wqe, 0, &seg), last = packet(msg, &wqe, 1, &seg);

    assert_meets(msg, &first, SVAN_OBSTACLE_NO_RECEIVE, SVAN_SYN_NONE);
    host_recv(&msg->bench->qp, msg->to, 2 * MTU - 1);
    assert_int_equal(take(msg, &first), SVAN_STEP_DONE);
    assert_meets(msg, &last, SVAN_OBSTACLE_TOO_LONG, SVAN_SYN_RECV_TOO_SMALL);
    assert_int_equal(msg->obstacle.status, SVAN_CQE_LOC_LEN_ERR);
}

static void a_receive_wqe_at_fault(void **state)
{
    Msg *msg = *state;
    SvanWqe wqe = wqe_of(msg, SVAN_WQE_SEND, 8);
    SvanSegment seg;
    SvanPkt pkt = packet(msg, &wqe, 0, &seg);
    struct svan_rwqe *rwqe;

    host_recv(&msg->bench->qp, msg->to, 8);
    rwqe = fake_ram(msg->bench->host->fake, msg->bench->qp.rq_bus);
    rwqe->sge[0].lkey ^= htole32(1);
    assert_int_equal(take(msg, &pkt), SVAN_STEP_ERROR);
    assert_int_equal(msg->obstacle.kind, SVAN_OBSTACLE_RECEIVE);
    assert_int_equal(msg->obstacle.status, SVAN_CQE_LOC_PROT_ERR);
    msg->bench->host->fake->bad_page = msg->bench->qp.dbr;
    msg->in.rq->ci = msg->in.rq->producer.pi;
    assert_meets(msg, &pkt, SVAN_OBSTACLE_QUEUE, SVAN_SYN_RING);
}

static void remote_memory(void **state)
{
    Msg *msg = *state;
    SvanWqe wqe = wqe_of(msg, SVAN_WQE_RDMA_WRITE, 8);
    SvanSegment seg;
    SvanPkt pkt = packet(msg, &wqe, 0, &seg);

    pkt.dma_len = 9;
    assert_meets(msg, &pkt, SVAN_OBSTACLE_INVALID, SVAN_SYN_LENGTH);
    pkt.dma_len = 8;
    pkt.rkey ^= 1;
    assert_int_equal(take(msg, &pkt), SVAN_STEP_ERROR);
    assert_int_equal(msg->obstacle.kind, SVAN_OBSTACLE_ACCESS);
    pkt.rkey ^= 1;
    msg->bench->core->access = 0;
    assert_meets(msg, &pkt, SVAN_OBSTACLE_INVALID, SVAN_SYN_KEY_ACCESS);
}

/* Of all packets of two messages, one follows the other only in its place. */
static void only_what_comes_next(void **state)
{
    static const uint8_t opcodes[] = { SVAN_WQE_SEND, SVAN_WQE_RDMA_WRITE };
    Msg *msg = *state;

    for (uint32_t i = 0; i < 2; i++) {
        SvanWqe wqe = wqe_of(msg, opcodes[i], 3 * MTU);
        SvanWqe other = wqe_of(msg, opcodes[!i], 3 * MTU);
        SvanSegment seg;

        host_recv(&msg->bench->qp, msg->to, PLACES);
        for (uint32_t n = 0; n < 3; n++) {
            SvanPkt pkt = packet(msg, &wqe, n, &seg);

            for (uint32_t wrong = 0; wrong < 3; wrong++) {
                SvanPkt same = packet(msg, &wqe, wrong, &seg);
                SvanPkt foreign = packet(msg, &other, wrong, &seg);

                if (!n != !wrong) {
                    assert_int_equal(take(msg, &same), SVAN_STEP_AGAIN);
                }
                if (n || wrong) {
                    assert_int_equal(take(msg, &foreign), SVAN_STEP_AGAIN);
                }
            }
            pkt.payload_len--;
            if (n < 2) {
                assert_int_equal(take(msg, &pkt), SVAN_STEP_AGAIN);
            }
            pkt.payload_len++;
            assert_int_equal(take(msg, &pkt), SVAN_STEP_DONE);
        }
        check_place(msg, 0, 3 * MTU);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_part_of_each_message),
        TEST(messages_arrive_whole),
        cmocka_unit_test(a_datagram_tells_its_sender),
        TEST(receive_buffers),
        TEST(a_receive_wqe_at_fault),
        TEST(remote_memory),
        TEST(only_what_comes_next),
    };

    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
