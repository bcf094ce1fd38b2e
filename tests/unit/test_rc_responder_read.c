/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RC responder against READs and atomics (IBTA volume 1, 9.7.5.1, 9.4.4, 9.4.5):
 * their answers, and what is answered again.
 */
#include "rc_requests.h"

/* ---- READ ---- */

static void assert_read_packet(Rc *rc, uint8_t opcode, uint32_t psn,
                               uint32_t offset, uint32_t len)
{
    RC_SENT(rc, opcode, psn);
    assert_int_equal(rc->pkt.payload_len, len);
    assert_memory_equal(rc->pkt.runs[0].host, rc_mem(rc, TARGET + offset),
                        len);
    if (opcode != SVAN_OP_READ_RESP_MIDDLE) {
        assert_int_equal(rc->pkt.syndrome, ACKED);
    }
}

static void test_read(void **state)
{
    Rc *rc = *state;

    ask(rc, PSN_IN, 0, 2 * MTU + 1);
    assert_read_packet(rc, SVAN_OP_READ_RESP_FIRST, PSN_IN, 0, MTU);
    assert_int_equal(rc->pkt.msn, 1);
    assert_read_packet(rc, SVAN_OP_READ_RESP_MIDDLE, PSN_IN + 1, MTU, MTU);
    assert_read_packet(rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 2, 2 * MTU, 1);
    ask(rc, PSN_IN + 3, 0, MTU);
    assert_read_packet(rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + 3, 0, MTU);
    ask(rc, PSN_IN + 4, 0x10000000, 0);
    assert_read_packet(rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + 4, 0, 0);
    assert_int_equal(rc->pkt.msn, 3);
    RC_SENT_NOTHING(rc);
}

/* Asked for again, from where the requester has it. */
static void test_read_duplicate(void **state)
{
    Rc *rc = *state;

    ask(rc, PSN_IN, 0, 3 * MTU);
    rc_skip_sent(rc);
    ask(rc, PSN_IN + 1, MTU, 2 * MTU);
    assert_read_packet(rc, SVAN_OP_READ_RESP_FIRST, PSN_IN + 1, MTU, MTU);
    assert_read_packet(rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 2, 2 * MTU, MTU);
    RC_SENT_NOTHING(rc);
    assert_int_equal(RC_STAT(rc, duplicate_request), 1);
    /* what would reach into the future is none of ours */
    ask(rc, PSN_IN + 2, 2 * MTU, 2 * MTU);
    RC_SENT_NOTHING(rc);
    /* memory that is not there any more is no reason to part */
    ask(rc, PSN_IN + 2, 0x10000000, MTU);
    RC_SENT_NOTHING(rc);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_RTS);
}

/* While the answer is on its way out, it begins anew; others are not lost. */
static void test_read_duplicate_pending(void **state)
{
    Rc *rc = *state;

    rc->fake->out_full = true;
    ask(rc, PSN_IN, 0, 3 * MTU);
    ask(rc, PSN_IN + 3, 0, MTU);
    ask(rc, PSN_IN + 1, MTU, 2 * MTU);
    send(rc, SVAN_OP_WRITE_ONLY, PSN_IN + 4, 4);
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    RC_SENT(rc, SVAN_OP_READ_RESP_FIRST, PSN_IN + 1);
    RC_SENT(rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 2);
    RC_SENT(rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + 3);
    RC_SENT_AETH(rc, PSN_IN + 4, ACKED);
    RC_SENT_NOTHING(rc);
}

static void test_read_too_many(void **state)
{
    Rc *rc = *state;

    rc->fake->out_full = true;
    for (uint32_t i = 0; i < 4; i++) {
        ask(rc, PSN_IN + i, 0, 4);
        ask(rc, PSN_IN + i, 0, 4);
    }
    assert_int_equal(rc_priv(rc)->resp.num_owed, 4);
    ask(rc, PSN_IN + 4, 0, 4);
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    for (uint32_t i = 0; i < 4; i++) {
        RC_SENT(rc, SVAN_OP_READ_RESP_ONLY, PSN_IN + i);
    }
    assert_refused(rc, PSN_IN + 4, NAK(INVALID_REQUEST),
                   SVAN_EVENT_QP_REQ_ERR);
}

/* The key goes while its memory is being read. */
static void test_read_key_gone(void **state)
{
    Rc *rc = *state;

    rc->fake->out_full = true;
    ask(rc, PSN_IN, 0, 3 * MTU);
    host_object(rc->host, SVAN_CMD_DESTROY_KEY, rc->host->all_key);
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    assert_refused(rc, PSN_IN, NAK(REMOTE_ACCESS), SVAN_EVENT_QP_ACCESS_ERR);
}

/* ---- atomics ---- */

static void assert_atomic(Rc *rc, uint32_t psn, uint64_t orig)
{
    RC_SENT(rc, SVAN_OP_ATOMIC_ACK, psn);
    assert_int_equal(rc->pkt.syndrome, ACKED);
    assert_true(rc->pkt.orig == orig);
    RC_SENT_NOTHING(rc);
}

static void test_atomics(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = atomic(rc, SVAN_OP_FETCH_ADD, PSN_IN, 5, 0);

    *word(rc) = htole64(~1ull);
    rc_inject_run(rc, &pkt);
    assert_atomic(rc, PSN_IN, ~1ull);
    assert_true(*word(rc) == htole64(3));
    pkt = atomic(rc, SVAN_OP_CMP_SWP, PSN_IN + 1, 77, 4);
    rc_inject_run(rc, &pkt);
    assert_atomic(rc, PSN_IN + 1, 3);
    assert_true(*word(rc) == htole64(3));
    pkt = atomic(rc, SVAN_OP_CMP_SWP, PSN_IN + 2, 77, 3);
    rc_inject_run(rc, &pkt);
    assert_atomic(rc, PSN_IN + 2, 3);
    assert_true(*word(rc) == htole64(77));
    assert_int_equal(RC_STAT(rc, rx_atomic_requests), 3);
}

/* Each duplicate is answered from the record, in any order. */
static void test_atomic_duplicates(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt;

    *word(rc) = 0;
    for (uint32_t i = 0; i < SVAN_MAX_RD_ATOMIC + 2; i++) {
        pkt = atomic(rc, SVAN_OP_FETCH_ADD, PSN_IN + i, 1, 0);
        rc_inject_run(rc, &pkt);
        assert_atomic(rc, PSN_IN + i, i);
    }
    for (uint32_t i = SVAN_MAX_RD_ATOMIC + 2; i-- > 2; ) {
        pkt = atomic(rc, SVAN_OP_FETCH_ADD, PSN_IN + i, 1, 0);
        rc_inject_run(rc, &pkt);
        assert_atomic(rc, PSN_IN + i, i);
    }
    /* older than any requester may have outstanding */
    pkt = atomic(rc, SVAN_OP_FETCH_ADD, PSN_IN + 1, 1, 0);
    rc_inject_run(rc, &pkt);
    RC_SENT_NOTHING(rc);
    assert_true(*word(rc) == htole64(SVAN_MAX_RD_ATOMIC + 2));
    assert_int_equal(RC_STAT(rc, rx_atomic_requests), SVAN_MAX_RD_ATOMIC + 2);
}

/* The record of the same PSN one round of all PSNs before is not the answer. */
static void test_atomic_duplicates_after_the_wrap(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt;

    *word(rc) = 0;
    for (uint32_t i = 0; i < 6; i++) {
        if (i == 3) {
            rc_priv(rc)->resp.epsn = PSN_IN;
        }
        pkt = atomic(rc, SVAN_OP_FETCH_ADD, PSN_IN + i % 3, 1, 0);
        rc_inject_run(rc, &pkt);
        assert_atomic(rc, PSN_IN + i % 3, i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        pkt = atomic(rc, SVAN_OP_FETCH_ADD, PSN_IN + i, 1, 0);
        rc_inject_run(rc, &pkt);
        assert_atomic(rc, PSN_IN + i, 3 + i);
    }
    assert_true(*word(rc) == htole64(6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RC_TEST(test_read),
        RC_TEST(test_read_duplicate),
        RC_TEST(test_read_duplicate_pending),
        RC_TEST(test_read_too_many),
        RC_TEST(test_read_key_gone),
        RC_TEST(test_atomics),
        RC_TEST(test_atomic_duplicates),
        RC_TEST(test_atomic_duplicates_after_the_wrap),
    };

    return cmocka_run_group_tests_name("rc_responder_read", tests, NULL, NULL);
}
