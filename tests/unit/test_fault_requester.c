/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that the requester itself lacks: the sources of what it sends, the targets
 * of what it reads.
 */
#include "fault_peer.h"

/* WRITE or READ between a page of ours and the peer's memory. */
static HostSend transfer_at(const Od *od, uint8_t opcode, uint32_t page,
                            uint32_t length)
{
    return (HostSend) {
        .opcode = opcode, .flags = SVAN_WQE_SIGNALED, .addr = PAGE(page),
        .length = length, .lkey = od->key, .remote = 0x1000, .rkey = 1,
    };
}

static void a_source_that_is_absent_suspends_the_requester(void **state)
{
    Od *od = *state;
    HostSend send = transfer_at(od, SVAN_WQE_RDMA_WRITE, 7, MTU);

    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    assert_int_equal(od->last.flags, 0);
    fake_advance(od->rc->fake, 100000000);      /* costs no retry */
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_WRITE_ONLY, PSN_OUT);
    rc_inject_ack(od->rc, ACKED, PSN_OUT);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    assert_int_equal(OD_STAT(od, page_faults_requester), 1);
}

static void a_source_that_never_comes(void **state)
{
    Od *od = *state;
    HostSend send = {
        .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(7), .length = MTU, .lkey = od->key,
    };

    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SQ_DONE(od->rc, 0, LOC_PROT_ERR);
}

/* READ: the target is touched first; a page that has gone costs one more request. */
static void a_response_that_meets_an_absent_page(void **state)
{
    Od *od = *state;
    HostSend send = transfer_at(od, SVAN_WQE_RDMA_READ, 7, MTU);
    SvanPkt response = rc_pkt(SVAN_OP_READ_RESP_ONLY, PSN_OUT, pattern, MTU);

    fill_pattern();
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    assert_int_equal(od->last.flags, SVAN_PAGE_REQ_WRITE);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_REQUEST, PSN_OUT);
    unmap_page(od, 7, 0, 0);
    rc_inject_run(od->rc, &response);
    RC_NO_CQE(od->rc);
    assert_true(requested(od));
    fake_advance(od->rc->fake, 100000000);      /* costs no retry either */
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_REQUEST, PSN_OUT);
    rc_inject_run(od->rc, &response);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    check_page(od, 7);
}

/* The responses from the one for `offset` on, to the end of a READ of `length`. */
static void respond_to_read(Od *od, uint32_t offset, uint32_t end,
                            uint32_t length)
{
    for (; offset < end; offset += MTU) {
        bool first = !offset, last = offset + MTU == length;
        SvanPkt pkt = rc_pkt(last ? SVAN_OP_READ_RESP_LAST :
                             first ? SVAN_OP_READ_RESP_FIRST :
                                     SVAN_OP_READ_RESP_MIDDLE,
                             PSN_OUT + offset / MTU, pattern, MTU);

        rc_inject_run(od->rc, &pkt);
    }
}

/* What of a long READ lies behind the first mebibyte is asked for once more. */
static void a_long_read_meets_absent_pages_once(void **state)
{
    Od *od = *state;
    const uint32_t mib = 1u << 20, length = PAGES * SVAN_PAGE_SIZE;
    HostSend send = transfer_at(od, SVAN_WQE_RDMA_READ, 0, length);

    fill_pattern();
    for (uint32_t i = 0; i < mib / SVAN_PAGE_SIZE; i++) {
        map_page(od, i, true);
    }
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    RC_SENT(od->rc, SVAN_OP_READ_REQUEST, PSN_OUT);
    respond_to_read(od, 0, mib, length);
    assert_false(requested(od));
    respond_to_read(od, mib, length, length);
    for (uint32_t i = mib / SVAN_PAGE_SIZE; i < PAGES; i++) {
        RC_SENT_NOTHING(od->rc);
        assert_true(requested(od));
        assert_int_equal(le64toh(od->last.addr), PAGE(i));
        resolve(od);
    }
    RC_SENT(od->rc, SVAN_OP_READ_REQUEST, PSN_OUT + mib / MTU);
    assert_int_equal(od->rc->pkt.dma_len, length - mib);
    respond_to_read(od, mib, length, length);
    assert_false(requested(od));
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    check_page(od, PAGES - 1);
}

/* However often it is gone when the response comes: the peer does answer. */
static void a_response_without_its_page_gives_retries_back(void **state)
{
    Od *od = *state;
    HostSend send = transfer_at(od, SVAN_WQE_RDMA_READ, 7, MTU);
    SvanPkt response = rc_pkt(SVAN_OP_READ_RESP_ONLY, PSN_OUT, pattern, MTU);

    fill_pattern();
    map_page(od, 7, true);
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    for (uint32_t i = 0; i < 5; i++) {
        fake_advance(od->rc->fake, 10000000);   /* nothing came: try again */
        fake_advance(od->rc->fake, 10000000);
        unmap_page(od, 7, 0, 0);
        rc_inject_run(od->rc, &response);
        assert_int_equal(rc_priv(od->rc)->req.retries, 3);
        assert_true(requested(od));
        resolve(od);
    }
    assert_true(OD_STAT(od, local_ack_timeout_err) > 3);
    rc_inject_run(od->rc, &response);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    check_page(od, 7);
}

/* Sent again it waits for its page, when the ACK comes after all. */
static void an_acknowledged_packet_waits_for_no_page(void **state)
{
    Od *od = *state;
    HostSend send = transfer_at(od, SVAN_WQE_RDMA_WRITE, 7, MTU);

    map_page(od, 7, true);
    map_page(od, 8, true);
    host_send(&od->rc->qp, &send);
    send.addr = PAGE(8);
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    unmap_page(od, 7, 0, 0);
    rc_skip_sent(od->rc);
    fake_advance(od->rc->fake, 10000000);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    rc_inject_ack(od->rc, ACKED, PSN_OUT);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    RC_SENT(od->rc, SVAN_OP_WRITE_ONLY, PSN_OUT + 1);
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_NO_CQE(od->rc);
    rc_inject_ack(od->rc, ACKED, PSN_OUT + 1);
    RC_SQ_DONE(od->rc, 1, SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(a_source_that_is_absent_suspends_the_requester),
        OD_TEST(a_source_that_never_comes),
        OD_TEST(a_response_that_meets_an_absent_page),
        OD_TEST(a_long_read_meets_absent_pages_once),
        OD_TEST(a_response_without_its_page_gives_retries_back),
        OD_TEST(an_acknowledged_packet_waits_for_no_page),
    };

    return cmocka_run_group_tests_name("fault_requester", tests, NULL, NULL);
}
