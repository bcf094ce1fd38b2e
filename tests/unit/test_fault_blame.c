/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an answer to a page request decides, and for whom: for nobody but those
 * who wanted what was asked.
 */
#include "fault_peer.h"

/* Two queue pairs that talk to each other, with completions of their own. */
typedef struct Pair {
    HostCq cq;
    HostQp from, to;
} Pair;

static void pair_up(Od *od, Pair *pair)
{
    Host *host = od->rc->host;

    pair->cq = host_cq(host, 6);
    pair->from = host_qp(host, &pair->cq, &pair->cq, NULL);
    pair->to = host_qp(host, &pair->cq, &pair->cq, NULL);
    host_connect(&pair->from, &pair->to);
}

static void transfer(Od *od, Pair *pair, uint8_t opcode, uint32_t page)
{
    HostSend send = {
        .opcode = opcode, .flags = SVAN_WQE_SIGNALED, .addr = od->rc->buffer,
        .length = 100, .remote = PAGE(page), .rkey = od->key,
    };

    host_send(&pair->from, &send);
    host_post(&pair->from);
    fake_run(od->rc->fake);
}

static uint8_t status_of(Pair *pair)
{
    struct svan_cqe cqe;

    assert_true(host_cq_poll(&pair->cq, &cqe));
    return cqe.status;
}

/* A read joins the request of a write, and not the other way round. */
static void a_failed_write_is_no_failed_read(void **state)
{
    Od *od = *state;
    Pair writer, reader;

    pair_up(od, &writer);
    pair_up(od, &reader);
    transfer(od, &writer, SVAN_WQE_RDMA_WRITE, 3);
    assert_true(requested(od));
    assert_true(od->last.flags & SVAN_PAGE_REQ_WRITE);
    transfer(od, &reader, SVAN_WQE_RDMA_READ, 3);
    assert_false(requested(od));
    map_page(od, 3, false);             /* a mapping for reads alone */
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    assert_int_equal(status_of(&writer), SVAN_CQE_REM_ACCESS_ERR);
    assert_int_equal(status_of(&reader), SVAN_CQE_SUCCESS);
    assert_int_equal(host_state(&reader.to), SVAN_QPS_RTS);
}

/* Its own request tells the reader that the page never comes for it either. */
static void a_reader_asks_for_itself_after_a_failed_write(void **state)
{
    Od *od = *state;
    Pair writer, reader;

    pair_up(od, &writer);
    pair_up(od, &reader);
    transfer(od, &writer, SVAN_WQE_RDMA_WRITE, 3);
    transfer(od, &reader, SVAN_WQE_RDMA_READ, 3);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    assert_int_equal(status_of(&writer), SVAN_CQE_REM_ACCESS_ERR);
    assert_int_equal(host_state(&reader.to), SVAN_QPS_RTS);
    assert_true(requested(od));
    assert_int_equal(od->last.flags, SVAN_PAGE_REQ_REMOTE);
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    assert_int_equal(status_of(&reader), SVAN_CQE_REM_ACCESS_ERR);
}

static void a_failed_read_fails_who_wanted_to_write(void **state)
{
    Od *od = *state;
    Pair reader, writer;

    pair_up(od, &reader);
    pair_up(od, &writer);
    transfer(od, &reader, SVAN_WQE_RDMA_READ, 3);
    transfer(od, &writer, SVAN_WQE_RDMA_WRITE, 3);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    assert_int_equal(status_of(&reader), SVAN_CQE_REM_ACCESS_ERR);
    assert_int_equal(host_state(&writer.to), SVAN_QPS_RTS);
    assert_true(requested(od));         /* it had a request of its own */
    assert_true(od->last.flags & SVAN_PAGE_REQ_WRITE);
    resolve(od);
    assert_int_equal(status_of(&writer), SVAN_CQE_SUCCESS);
}

static uint8_t mode_of(Od *od, const Pair *pair)
{
    SvanQp *qp = svan_qp_get(host_fn(od->rc->host), pair->to.qpn);

    return ((SvanRc *)qp->priv)->suspension.mode;
}

/* What the driver has said counts for who meets the page afterwards as well. */
static void what_was_said_before_one_joined(void **state)
{
    Od *od = *state;
    Pair first, second;

    pair_up(od, &first);
    pair_up(od, &second);
    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 80000);
    transfer(od, &first, SVAN_WQE_RDMA_WRITE, 3);
    assert_int_equal(mode_of(od, &first), SVAN_FAULT_MODE_HOLD);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 300000000);
    assert_int_equal(mode_of(od, &first), SVAN_FAULT_MODE_RNR);
    transfer(od, &second, SVAN_WQE_RDMA_WRITE, 3);
    assert_false(requested(od));
    assert_int_equal(mode_of(od, &second), SVAN_FAULT_MODE_RNR);
}

static void destroy_key(Od *od)
{
    assert_int_equal(host_object(od->rc->host, SVAN_CMD_DESTROY_KEY, od->key),
                     SVAN_CMD_OK);
}

/* Nobody needs to answer first: the driver may be busy for ever. */
static void who_waits_when_the_key_goes_is_refused(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    destroy_key(od);
    fake_run(od->rc->fake);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_ACCESS));
    assert_int_equal(host_fn(od->rc->host)->paging->held_bytes, 0);
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(OD_STAT(od, page_responses_bad), 0);
}

/* Key numbers are used again when all variants of the index had their turn. */
static void a_request_of_an_old_key_is_none_of_the_new_one(void **state)
{
    Od *od = *state;
    SvanTable *keys = &host_fn(od->rc->host)->memory->keys;
    uint32_t old_key = od->key, index = old_key >> SVAN_KEY_INDEX_SHIFT;
    uint32_t old_token;
    Pair pair;

    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    old_token = od->last.token;
    destroy_key(od);
    keys->variants[index] = (uint8_t)old_key;
    keys->next = index;
    make_key(od);
    assert_int_equal(od->key, old_key);
    pair_up(od, &pair);
    transfer(od, &pair, SVAN_WQE_RDMA_WRITE, 3);
    assert_true(requested(od));
    assert_int_not_equal(od->last.token, old_token);
    answer(od, old_token, SVAN_PAGE_FAILED, 0);
    assert_int_equal(host_state(&pair.to), SVAN_QPS_RTS);
    resolve(od);
    assert_int_equal(status_of(&pair), SVAN_CQE_SUCCESS);
}

/* It is known by its token still, and joined by nobody, after a load as well. */
static void a_request_of_an_old_key_is_saved_as_such(void **state)
{
    Od *od = *state;
    SvanTable *keys = &host_fn(od->rc->host)->memory->keys;
    uint32_t old_key = od->key, index = old_key >> SVAN_KEY_INDEX_SHIFT;
    uint32_t old_token;

    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    old_token = od->last.token;
    destroy_key(od);
    keys->variants[index] = (uint8_t)old_key;
    keys->next = index;
    make_key(od);
    rc_modify(od->rc, SVAN_QPS_RESET, 0);
    rc_to(od->rc, SVAN_QPS_RTS);
    rc_skip_sent(od->rc);
    assert_true(fake_restore(od->rc->fake));
    od->rc->core = svan_qp_get(host_fn(od->rc->host), od->rc->qp.qpn);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    answer(od, old_token, SVAN_PAGE_FAILED, 0);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, page_responses_bad), 0);
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/* ---- who is refused, and how ---- */

/* A receive buffer that is in the key, absent. */
static void post_receive(Od *od)
{
    uint32_t all = od->rc->host->all_key;

    od->rc->host->all_key = od->key;
    host_recv(&od->rc->qp, PAGE(2), 4 * MTU);
    od->rc->host->all_key = all;
}

/* One packet after the other, to the receive buffer; the last finds no page. */
static void sends_that_find_no_page(void **state)
{
    static const uint8_t rows[][3] = {
        { SVAN_OP_SEND_FIRST },
        { SVAN_OP_SEND_ONLY_IMM },
        { SVAN_OP_SEND_FIRST, SVAN_OP_SEND_MIDDLE },
        { SVAN_OP_SEND_FIRST, SVAN_OP_SEND_LAST },
        { SVAN_OP_SEND_FIRST, SVAN_OP_SEND_LAST_IMM },
    };
    Od *od = *state;

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* SEND_FIRST is 0: the first column counts always */
        uint32_t last = rows[i][1] ? 1 : 0;

        post_receive(od);
        for (uint32_t k = 0; k <= last; k++) {
            SvanPkt pkt = rc_pkt(rows[i][k], PSN_IN + k, pattern, MTU);

            if (k == last) {
                unmap_page(od, 2, 0, 0);
            } else {
                map_page(od, 2, true);
            }
            rc_inject_run(od->rc, &pkt);
        }
        assert_true(requested(od));
        if (last) {
            RC_SENT_AETH(od->rc, PSN_IN + last - 1, ACKED);
        }
        answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
        RC_SENT_AETH(od->rc, PSN_IN + last, NAK(REMOTE_OPERATIONAL));
        RC_RQ_DONE(od->rc, od->rc->qp.rq_pi - 1, RECV, LOC_PROT_ERR);
        rc_modify(od->rc, SVAN_QPS_RESET, 0);
        od->rc->qp.rq_pi = 0;
        host_dbr(&od->rc->qp)->rq_pi = 0;
        rc_to(od->rc, SVAN_QPS_RTS);
    }
}

/* One more than may be outstanding ends the connection (table 58). */
static void one_read_or_atomic_too_many(void **state)
{
    Od *od = *state;

    map_page(od, 3, true);
    for (uint32_t atomic = 0; atomic < 2; atomic++) {
        SvanPkt pkt = rc_pkt(atomic ? SVAN_OP_FETCH_ADD : SVAN_OP_READ_REQUEST,
                             0, NULL, 0);

        od->rc->fake->out_full = true;
        pkt.va = PAGE(3);
        pkt.rkey = od->key;
        pkt.dma_len = atomic ? 0 : 8;
        pkt.swap_add = 1;
        for (uint32_t i = 0; i < 5; i++) {
            pkt.psn = PSN_IN + i;
            rc_inject_run(od->rc, &pkt);
        }
        od->rc->fake->out_full = false;
        svan_tx_ready(od->rc->fake->core);
        fake_run(od->rc->fake);
        for (uint32_t i = 0; i < 4; i++) {
            assert_true(rc_sent(od->rc));
        }
        RC_SENT_AETH(od->rc, PSN_IN + 4, NAK(INVALID_REQUEST));
        rc_modify(od->rc, SVAN_QPS_RESET, 0);
        rc_to(od->rc, SVAN_QPS_RTS);
    }
    assert_int_equal(*page_mem(od, 3), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(a_failed_write_is_no_failed_read),
        OD_TEST(a_reader_asks_for_itself_after_a_failed_write),
        OD_TEST(a_failed_read_fails_who_wanted_to_write),
        OD_TEST(what_was_said_before_one_joined),
        OD_TEST(who_waits_when_the_key_goes_is_refused),
        OD_TEST(a_request_of_an_old_key_is_none_of_the_new_one),
        OD_TEST(a_request_of_an_old_key_is_saved_as_such),
        OD_TEST(sends_that_find_no_page),
        OD_TEST(one_read_or_atomic_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
