/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of the kinds of queue pairs, whatever their transports do.
 */
#include "mute_kind.h"

/* Table 91, written once more; a required mask of NO: there is no such way. */
#define NO              UINT32_MAX

typedef struct Row {
    uint8_t type;
    uint32_t init, rtr, rts;            /* required on the way up */
    uint32_t init_init, init_rtr, rtr_rts, rts_rts, sqd_rts, sqd_sqd, sqe_rts;
} Row;

static const Row rows[] = {
    {
        SVAN_QPT_UC,
        A(PKEY_INDEX) | A(PORT) | A(ACCESS),
        A(AV) | A(MTU) | A(DEST_QPN) | A(RQ_PSN), A(SQ_PSN),
        .init_init = A(PKEY_INDEX) | A(PORT) | A(ACCESS),
        .init_rtr = A(ACCESS) | A(PKEY_INDEX),
        .rtr_rts = A(ACCESS), .rts_rts = A(ACCESS), .sqd_rts = A(ACCESS),
        .sqd_sqd = A(AV) | A(ACCESS) | A(PKEY_INDEX), .sqe_rts = A(ACCESS),
    },
    {
        SVAN_QPT_UD, A(PKEY_INDEX) | A(PORT) | A(QKEY), 0, A(SQ_PSN),
        .init_init = A(PKEY_INDEX) | A(PORT) | A(QKEY),
        .init_rtr = A(PKEY_INDEX) | A(QKEY) | A(MTU),
        .rtr_rts = A(QKEY), .rts_rts = A(QKEY), .sqd_rts = A(QKEY),
        .sqd_sqd = A(PKEY_INDEX) | A(QKEY), .sqe_rts = A(QKEY),
    },
    {
        SVAN_QPT_GSI, A(PKEY_INDEX) | A(QKEY), 0, A(SQ_PSN),
        .init_init = A(PKEY_INDEX) | A(QKEY),
        .init_rtr = A(PKEY_INDEX) | A(QKEY) | A(MTU),
        .rtr_rts = A(QKEY), .rts_rts = A(QKEY), .sqd_rts = A(QKEY),
        .sqd_sqd = A(PKEY_INDEX) | A(QKEY), .sqe_rts = A(QKEY),
    },
};

static void bring_to(Bench *bench, const Row *row, uint8_t state)
{
    assert_int_equal(move(bench, SVAN_QPS_RESET, 0), SVAN_CMD_OK);
    if (state == SVAN_QPS_ERR) {
        assert_int_equal(move(bench, SVAN_QPS_ERR, 0), SVAN_CMD_OK);
        return;
    }
    if (state >= SVAN_QPS_INIT) {
        assert_int_equal(move(bench, SVAN_QPS_INIT, row->init), SVAN_CMD_OK);
    }
    if (state >= SVAN_QPS_RTR) {
        assert_int_equal(move(bench, SVAN_QPS_RTR, row->rtr), SVAN_CMD_OK);
    }
    if (state >= SVAN_QPS_RTS) {
        assert_int_equal(move(bench, SVAN_QPS_RTS, row->rts), SVAN_CMD_OK);
    }
    if (state == SVAN_QPS_SQD) {
        assert_int_equal(move(bench, SVAN_QPS_SQD, 0), SVAN_CMD_OK);
    }
    if (state == SVAN_QPS_SQE) {
        svan_qp_set_state(bench->core, SVAN_QPS_SQE, 0);
    }
    assert_true(svan_qp_has_attrs(bench->core));
}

/* What a way needs, NO: it is none; and what it allows beside. */
static uint32_t needed(const Row *row, uint8_t from, uint8_t to,
                       uint32_t *allowed)
{
    const struct {
        uint8_t from, to;
        uint32_t required, allowed;
    } ways[] = {
        { SVAN_QPS_RESET, SVAN_QPS_INIT, row->init, 0 },
        { SVAN_QPS_INIT, SVAN_QPS_INIT, 0, row->init_init },
        { SVAN_QPS_INIT, SVAN_QPS_RTR, row->rtr, row->init_rtr },
        { SVAN_QPS_RTR, SVAN_QPS_RTS, row->rts, row->rtr_rts },
        { SVAN_QPS_RTS, SVAN_QPS_RTS, 0, row->rts_rts },
        { SVAN_QPS_RTS, SVAN_QPS_SQD, 0, A(SQD_NOTIFY) },
        { SVAN_QPS_SQD, SVAN_QPS_RTS, 0, row->sqd_rts },
        { SVAN_QPS_SQD, SVAN_QPS_SQD, 0, row->sqd_sqd },
        { SVAN_QPS_SQE, SVAN_QPS_RTS, 0, row->sqe_rts },
    };

    *allowed = 0;
    if (to == SVAN_QPS_RESET || to == SVAN_QPS_ERR) {
        return 0;
    }
    for (size_t i = 0; i < SIZE(ways); i++) {
        if (ways[i].from == from && ways[i].to == to) {
            *allowed = ways[i].allowed;
            return ways[i].required;
        }
    }
    return NO;
}

static void check_way(Bench *bench, const Row *row, uint8_t from, uint8_t to)
{
    uint32_t allowed, required = needed(row, from, to, &allowed);

    bring_to(bench, row, from);
    if (required == NO) {
        assert_int_equal(move(bench, to, 0), SVAN_CMD_BAD_STATE);
        return;
    }
    for (uint32_t bit = 1; bit < 0x20000; bit <<= 1) {
        if (required & bit) {
            assert_int_equal(move(bench, to, required & ~bit),
                             SVAN_CMD_BAD_PARAM);
        } else if (!(allowed & bit)) {
            assert_int_equal(move(bench, to, required | bit),
                             SVAN_CMD_BAD_PARAM);
        }
    }
    assert_int_equal(move(bench, to, required | allowed), SVAN_CMD_OK);
    assert_int_equal(bench->core->state, to);
}

static void every_transition(void **state)
{
    for (size_t i = 0; i < SIZE(rows); i++) {
        Bench *bench = bench_new(rows[i].type);

        for (uint8_t from = 0; from < SVAN_QP_STATES; from++) {
            for (uint8_t to = 0; to < SVAN_QP_STATES; to++) {
                check_way(bench, &rows[i], from, to);
            }
        }
        bench_free(bench);
    }
}

/* What has arrived; true: the transport has it. */
static bool is_taken(Bench *bench, const SvanPkt *pkt)
{
    uint32_t before = received;

    assert_int_equal(svan_qp_receiver.packet(bench->core->fn, pkt),
                     SVAN_STEP_DONE);
    return received > before;
}

static SvanPkt packet_of(Bench *bench, uint8_t opcode)
{
    const SvanGid *gid = &bench->core->fn->net->gids[0];
    SvanPkt pkt = {
        .opcode = opcode, .pkey = SVAN_PKEY_DEFAULT,
        .dqpn = bench->core->qpn, .qkey = OWN_QKEY,
        .addr = { .has_vlan = gid->has_vlan, .vlan = gid->vlan },
    };

    memcpy(pkt.addr.sgid, bench->attrs.av.dgid, 16);
    memcpy(pkt.addr.dgid, gid->gid, 16);
    memcpy(pkt.addr.dmac, gid->smac, 6);
    return pkt;
}

static void an_unreliable_connection_hears_its_peer(void **state)
{
    Bench *bench = bench_new(SVAN_QPT_UC);
    SvanPkt pkt = packet_of(bench, SVAN_BTH_UC | SVAN_OP_SEND_ONLY);

    bring_to(bench, &rows[0], SVAN_QPS_RTR);
    assert_true(is_taken(bench, &pkt));
    pkt.qkey++;                 /* which it does not have */
    assert_true(is_taken(bench, &pkt));
    pkt.opcode = SVAN_BTH_RC | SVAN_OP_SEND_ONLY;
    assert_false(is_taken(bench, &pkt));
    assert_int_equal(bench->core->fn->stats->rx_no_qp, 1);
    pkt.opcode = SVAN_BTH_UC | SVAN_OP_SEND_ONLY;
    pkt.addr.sgid[15]++;
    assert_false(is_taken(bench, &pkt));
    assert_int_equal(bench->core->fn->stats->rx_wrong_peer, 1);
    bench_free(bench);
}

static void datagrams_are_heard_by_their_key(void **state)
{
    for (size_t i = 1; i < SIZE(rows); i++) {
        Bench *bench = bench_new(rows[i].type);
        SvanPkt pkt = packet_of(bench, SVAN_BTH_UD | SVAN_OP_SEND_ONLY);

        bring_to(bench, &rows[i], SVAN_QPS_RTR);
        pkt.addr.sgid[15]++;            /* of whomever */
        assert_true(is_taken(bench, &pkt));
        pkt.qkey++;
        assert_false(is_taken(bench, &pkt));
        assert_int_equal(bench->core->fn->stats->rx_wrong_peer, 1);
        bench_free(bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_transition),
        cmocka_unit_test(an_unreliable_connection_hears_its_peer),
        cmocka_unit_test(datagrams_are_heard_by_their_key),
    };

    return cmocka_run_group_tests_name("kinds", tests, NULL, NULL);
}
