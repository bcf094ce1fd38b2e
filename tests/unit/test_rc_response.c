/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Responses that carry data: their order, and what their AETH says (IBTA volume 1,
 * 9.4.4, 9.7.5.2, 9.7.6.1).
 */
#include "rc_peer.h"

#define TIMEOUT_NS      (4096ull << 10)
#define SOURCE          0x20000u
#define TARGET          0x2000u

static void respond(Rc *rc, uint8_t opcode, uint32_t n, uint8_t syndrome)
{
    SvanPkt pkt = rc_pkt(opcode, PSN_OUT + n, rc_mem(rc, SOURCE + n * MTU),
                         opcode == SVAN_OP_ATOMIC_ACK ? 0 : MTU);

    pkt.syndrome = syndrome;
    rc_inject_run(rc, &pkt);
}

static void ask(Rc *rc, uint32_t packets)
{
    rc_post(rc, SVAN_WQE_RDMA_READ, TARGET, packets * MTU);
    rc_go(rc);
    rc_skip_sent(rc);
}

#define FIRST   SVAN_OP_READ_RESP_FIRST
#define MIDDLE  SVAN_OP_READ_RESP_MIDDLE
#define LAST    SVAN_OP_READ_RESP_LAST
#define ONLY    SVAN_OP_READ_RESP_ONLY

/* A READ of three packets; the last response of each row is the wrong one. */
static const struct {
    uint32_t count;
    uint8_t opcodes[3];
} orders[] = {
    { 1, { MIDDLE } }, { 1, { LAST } }, { 1, { ONLY } },
    { 2, { FIRST, FIRST } }, { 2, { FIRST, LAST } }, { 2, { FIRST, ONLY } },
    { 3, { FIRST, MIDDLE, FIRST } }, { 3, { FIRST, MIDDLE, MIDDLE } },
    { 3, { FIRST, MIDDLE, ONLY } },
};

static void test_order(void **state)
{
    for (uint32_t i = 0; i < SIZE(orders); i++) {
        Rc *rc = rc_new();

        rc_to(rc, SVAN_QPS_RTS);
        ask(rc, 3);
        for (uint32_t n = 0; n < orders[i].count; n++) {
            RC_NO_CQE(rc);
            respond(rc, orders[i].opcodes[n], n, ACKED);
        }
        RC_SQ_DONE(rc, 0, BAD_RESP_ERR);
        assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_BAD_RESPONSE);
        assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
        rc_free(rc);
    }
}

/*
 * Asked again for the rest a response begins there, by FIRST or ONLY; what the
 * first request brings goes on with MIDDLE and LAST.
 */
static const struct {
    uint32_t got;               /* before the rest is asked for, of three */
    uint8_t opcodes[2];
    bool saved;
} rests[] = {
    { 1, { FIRST, LAST }, false }, { 1, { MIDDLE, LAST }, false },
    { 1, { FIRST, LAST }, true }, { 1, { MIDDLE, LAST }, true },
    { 2, { ONLY }, false }, { 2, { LAST }, false }, { 2, { ONLY }, true },
};

static void test_rest(void **state)
{
    for (uint32_t i = 0; i < SIZE(rests); i++) {
        Rc *rc = rc_new();
        uint32_t got = rests[i].got;

        rc_to(rc, SVAN_QPS_RTS);
        ask(rc, 3);
        for (uint32_t n = 0; n < got; n++) {
            respond(rc, n ? MIDDLE : FIRST, n, ACKED);
        }
        fake_advance(rc->fake, TIMEOUT_NS);
        fake_advance(rc->fake, TIMEOUT_NS);
        RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT + got);
        if (rests[i].saved) {
            assert_true(fake_restore(rc->fake));
            rc->core = svan_qp_get(host_fn(rc->host), rc->qp.qpn);
        }
        for (uint32_t n = got; n < 3; n++) {
            respond(rc, rests[i].opcodes[n - got], n, ACKED);
        }
        RC_SQ_DONE(rc, 0, SUCCESS);
        assert_memory_equal(rc_mem(rc, TARGET), rc_mem(rc, SOURCE), 3 * MTU);
        rc_free(rc);
    }
}

/* The rest was asked for from elsewhere: FIRST has no place here. */
static void test_rest_from_elsewhere(void **state)
{
    Rc *rc = *state;

    ask(rc, 4);
    respond(rc, FIRST, 0, ACKED);
    fake_advance(rc->fake, TIMEOUT_NS);
    fake_advance(rc->fake, TIMEOUT_NS);
    RC_SENT(rc, SVAN_OP_READ_REQUEST, PSN_OUT + 1);
    respond(rc, MIDDLE, 1, ACKED);
    respond(rc, FIRST, 2, ACKED);
    RC_SQ_DONE(rc, 0, BAD_RESP_ERR);
}

/* An answer whose AETH is none, or a refusal, has no data to place. */
static void test_aeth(void **state)
{
    static const uint8_t syndromes[] = {
        NAK(PSN_SEQ), NAK(REMOTE_ACCESS), SVAN_AETH_RNR_NAK | 3, 0x40, 0x80,
        0xff,
    };

    for (uint32_t i = 0; i < 4 * SIZE(syndromes); i++) {
        uint8_t syndrome = syndromes[i / 4];
        Rc *rc = rc_new();

        rc_to(rc, SVAN_QPS_RTS);
        memset(rc_mem(rc, TARGET), 0x11, 2 * MTU);
        if (i % 4 == 3) {
            rc_post_atomic(rc, SVAN_WQE_ATOMIC_FETCH_ADD, TARGET, 1, 0);
            rc_go(rc);
            respond(rc, SVAN_OP_ATOMIC_ACK, 0, syndrome);
        } else {
            ask(rc, i % 4 ? 2 : 1);
            respond(rc, i % 4 ? FIRST : ONLY, 0, i % 4 == 2 ? ACKED : syndrome);
            if (i % 4 == 2) {
                respond(rc, LAST, 1, syndrome);
            }
        }
        RC_SQ_DONE(rc, 0, BAD_RESP_ERR);
        assert_int_equal(*(uint8_t *)rc_mem(rc, TARGET + MTU), 0x11);
        assert_true(i % 4 == 2 || *(uint8_t *)rc_mem(rc, TARGET) == 0x11);
        rc_free(rc);
    }
}

/* The WQE has changed since it was sent: nobody knows any more where to. */
static void test_changed_wqe(void **state)
{
    Rc *rc = *state;

    ask(rc, 1);
    svan_rc_forget_decoded(rc_priv(rc)->qp);
    rc->qp.sq.bbs[0].head.sge[0].length = htole32(2 * MTU);
    respond(rc, ONLY, 0, ACKED);
    RC_SQ_DONE(rc, 0, LOC_QP_OP_ERR);
    assert_int_equal(le32toh(rc->cqe.vendor_err), SVAN_SYN_RING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_rest),
        RC_TEST(test_rest_from_elsewhere),
        cmocka_unit_test(test_aeth),
        RC_TEST(test_changed_wqe),
    };

    return cmocka_run_group_tests_name("rc_response", tests, NULL, NULL);
}
