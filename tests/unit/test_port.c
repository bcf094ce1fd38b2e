/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port of a function that its driver disables (PRM "The port of a function"):
 * silent and deaf, on the wire and within the device, until it is enabled again.
 */
#include "rc_peer.h"

static void set_port(Rc *rc, bool enabled)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_PORT);

    cmd.port.enabled = enabled;
    host_must(rc->host, &cmd);
}

/* Nothing leaves, and the requester ends as if the wire were cut. */
static void a_requester_is_not_heard(void **state)
{
    Rc *rc = *state;
    uint32_t index;

    set_port(rc, false);
    index = rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 3 * MTU);
    rc_go(rc);
    for (uint32_t i = 0; i < 8; i++) {
        RC_SENT_NOTHING(rc);
        fake_advance(rc->fake, 1ull << 30);
    }
    RC_SQ_DONE(rc, index, RETRY_EXC_ERR);
    assert_int_equal(host_state(&rc->qp), SVAN_QPS_ERR);
    assert_int_equal(RC_STAT(rc, roce_tx_packets), 0);
    assert_true(RC_STAT(rc, port_disabled_drops) >= 3);
}

/* Enabled before the retries are used up: nothing has happened. */
static void a_short_interruption_is_survived(void **state)
{
    Rc *rc = *state;
    uint32_t index;

    set_port(rc, false);
    index = rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 100);
    rc_go(rc);
    RC_SENT_NOTHING(rc);
    set_port(rc, true);
    fake_advance(rc->fake, 1ull << 30);
    RC_SENT(rc, SVAN_OP_WRITE_ONLY, PSN_OUT);
    rc_inject_ack(rc, ACKED, PSN_OUT);
    RC_SQ_DONE(rc, index, SUCCESS);
}

static void a_responder_is_deaf(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = rc_pkt(SVAN_OP_SEND_ONLY, PSN_IN, rc_mem(rc, 0), 8);

    host_recv(&rc->qp, rc->buffer + 4096, 64);
    pkt.ack_req = true;
    set_port(rc, false);
    rc_inject_run(rc, &pkt);
    RC_SENT_NOTHING(rc);
    RC_NO_CQE(rc);
    assert_int_equal(RC_STAT(rc, port_disabled_drops), 1);
    assert_int_equal(RC_STAT(rc, roce_rx_packets), 0);
    set_port(rc, true);
    rc_inject_run(rc, &pkt);
    RC_SENT_AETH(rc, PSN_IN, ACKED);
    RC_RQ_DONE(rc, 0, RECV, SUCCESS);
}

/* What was received, or is to be answered, when the port goes is lost, too. */
static void what_was_under_way_is_lost(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = rc_pkt(SVAN_OP_SEND_ONLY, PSN_IN, rc_mem(rc, 0), 8);

    host_recv(&rc->qp, rc->buffer + 4096, 64);
    rc_inject(rc, &pkt);
    host_fn(rc->host)->net->port_enabled = false;
    fake_run(rc->fake);
    RC_NO_CQE(rc);
    assert_int_equal(RC_STAT(rc, port_disabled_drops), 1);
}

/* Two queue pairs of one function, and the function does not hear itself. */
static void loopback_is_cut(void **state)
{
    Rc *rc = *state;
    HostCq cq = host_cq(rc->host, 6);
    HostQp a = host_qp(rc->host, &cq, &cq, NULL);
    HostQp b = host_qp(rc->host, &cq, &cq, NULL);
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = rc->buffer, .length = 64, .remote = rc->buffer + 4096,
        .rkey = rc->host->all_key,
    };
    struct svan_cqe cqe;

    host_connect(&a, &b);
    set_port(rc, false);
    host_send(&a, &write);
    host_post(&a);
    fake_run(rc->fake);
    assert_false(host_cq_poll(&cq, &cqe));
    RC_SENT_NOTHING(rc);
    set_port(rc, true);
    for (uint32_t i = 0; i < 8; i++) {
        fake_advance(rc->fake, 1ull << 33);
    }
    assert_true(host_cq_poll(&cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
}

/* A packet for another function, which is down, does not go out of the port. */
static void a_neighbour_that_is_down(void **state)
{
    SvanConfig config = { .num_vfs = 1 };
    Fake *fake = fake_create(&config);
    Host *pf = host_create(fake, 0, 1), *vf = host_create(fake, 1, 2);
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_PORT);
    HostCq pf_cq = host_cq(pf, 4), vf_cq = host_cq(vf, 4);
    HostQp a = host_qp(pf, &pf_cq, &pf_cq, NULL);
    HostQp b = host_qp(vf, &vf_cq, &vf_cq, NULL);
    uint64_t buffer = fake_alloc(fake, 4096, 4096);
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = buffer, .length = 64, .remote = buffer + 2048,
        .rkey = vf->all_key,
    };
    struct svan_cqe cqe;

    (void)state;
    host_connect(&a, &b);
    host_must(vf, &cmd);
    host_send(&a, &write);
    host_post(&a);
    fake_run(fake);
    assert_false(host_cq_poll(&pf_cq, &cqe));
    assert_int_equal(fake->out_frames, 0);
    assert_true(host_fn(vf)->stats->port_disabled_drops > 0);
    assert_int_equal(host_fn(pf)->stats->port_disabled_drops, 0);
    fake_destroy(fake);
    host_destroy(pf);
    host_destroy(vf);
}

static void it_is_state(void **state)
{
    Rc *rc = *state;

    assert_true(host_fn(rc->host)->net->port_enabled);
    set_port(rc, false);
    assert_true(fake_restore(rc->fake));
    assert_false(host_fn(rc->host)->net->port_enabled);
    svan_reset(rc->fake->core, 0);
    assert_true(host_fn(rc->host)->net->port_enabled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RC_TEST(a_requester_is_not_heard),
        RC_TEST(a_short_interruption_is_survived),
        RC_TEST(a_responder_is_deaf),
        RC_TEST(what_was_under_way_is_lost),
        RC_TEST(loopback_is_cut),
        cmocka_unit_test(a_neighbour_that_is_down),
        RC_TEST(it_is_state),
    };

    return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
