/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Congestion control of an RC queue pair: CE is answered by CNPs, CNPs slow it down, and
 * what it sends is paced.
 */
#include "rc_peer.h"

#define US              1000ull
#define INTERVAL        (50 * US)
#define MBPS            1000000ull
#define CE(pkt)         ((pkt).addr.traffic_class |= ECN_CE)

static const SvanCongestion *settings(Rc *rc)
{
    return svan_congestion(rc->fake->core);
}

static void set_enabled(Rc *rc, bool enabled)
{
    SvanCongestion congestion = *settings(rc);

    congestion.enabled = enabled;
    assert_true(svan_congestion_set(rc->fake->core, &congestion));
}

static SvanPace *pace(Rc *rc)
{
    return rc_priv(rc)->congestion.pace;
}

/* The next WRITE of the peer, marked. */
static void marked_request(Rc *rc)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, rc_priv(rc)->resp.epsn, NULL, 0);

    CE(pkt);
    rc_inject_run(rc, &pkt);
}

static SvanPkt cnp(void)
{
    static uint8_t reserved[16];
    SvanPkt pkt = rc_pkt(SVAN_OP_CNP, 0, reserved, sizeof(reserved));

    pkt.becn = true;
    return pkt;
}

static void notify(Rc *rc)
{
    SvanPkt pkt = cnp();

    rc_inject_run(rc, &pkt);
}

/* Take what was sent; how many CNPs were among it. */
static uint32_t take_cnps(Rc *rc)
{
    uint32_t cnps = 0;

    while (rc_sent(rc)) {
        cnps += rc->pkt.opcode == SVAN_OP_CNP;
    }
    return cnps;
}

/* ---- the notification point ---- */

static void a_mark_is_answered_by_a_cnp(void **state)
{
    static const uint8_t zeroes[16];
    Rc *rc = *state;

    marked_request(rc);
    RC_SENT(rc, SVAN_OP_CNP, 0);
    assert_true(rc->pkt.becn);
    assert_false(rc->pkt.fecn || rc->pkt.ack_req || rc->pkt.bth_flags);
    assert_int_equal(rc->pkt.payload_len, 16);
    assert_memory_equal(rc->pkt.runs[0].host, zeroes, 16);
    assert_int_equal(rc->pkt.addr.traffic_class, 48 << 2 | ECN_ECT0);
    assert_int_equal(RC_STAT(rc, cnps_sent), 1);
    assert_int_equal(RC_STAT(rc, ecn_marked_roce_packets), 1);
    assert_null(pace(rc));
    /* The class is that of the CNP alone. */
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 1);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_WRITE_ONLY, PSN_OUT);
    assert_int_equal(rc->pkt.addr.traffic_class, ECN_ECT0);
}

static void what_is_not_marked_is_not_answered(void **state)
{
    Rc *rc = *state;

    for (uint8_t ecn = 0; ecn < ECN_CE; ecn++) {
        SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, PSN_IN + ecn, NULL, 0);

        pkt.addr.traffic_class = 46 << 2 | ecn;
        rc_inject_run(rc, &pkt);
    }
    assert_int_equal(take_cnps(rc), 0);
    assert_int_equal(RC_STAT(rc, ecn_marked_roce_packets), 0);
}

static void there_is_one_cnp_in_an_interval(void **state)
{
    Rc *rc = *state;

    marked_request(rc);
    assert_int_equal(take_cnps(rc), 1);
    fake_advance(rc->fake, INTERVAL - 1);
    marked_request(rc);
    assert_int_equal(take_cnps(rc), 0);
    fake_advance(rc->fake, 1);
    marked_request(rc);
    marked_request(rc);
    assert_int_equal(take_cnps(rc), 1);
    assert_int_equal(RC_STAT(rc, cnps_sent), 2);
    assert_int_equal(RC_STAT(rc, ecn_marked_roce_packets), 4);
}

static void acknowledgements_and_duplicates_count_too(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, PSN_IN - 1, NULL, 0);

    CE(pkt);
    rc_inject_run(rc, &pkt);
    assert_int_equal(take_cnps(rc), 1);
    fake_advance(rc->fake, INTERVAL);
    pkt = rc_pkt(SVAN_OP_ACK, PSN_OUT, NULL, 0);
    CE(pkt);
    rc_inject_run(rc, &pkt);
    assert_int_equal(take_cnps(rc), 1);
}

static void a_cnp_waits_for_room(void **state)
{
    Rc *rc = *state;

    rc->fake->out_full = true;
    marked_request(rc);
    fake_advance(rc->fake, 2 * INTERVAL);
    marked_request(rc);
    assert_int_equal(RC_STAT(rc, cnps_sent), 0);
    rc->fake->out_full = false;
    svan_tx_ready(rc->fake->core);
    fake_run(rc->fake);
    assert_int_equal(take_cnps(rc), 1);
    fake_advance(rc->fake, INTERVAL - 1);       /* from when it has left */
    marked_request(rc);
    assert_int_equal(take_cnps(rc), 0);
}

static void the_interval_is_the_settings(void **state)
{
    Rc *rc = *state;
    SvanCongestion congestion = *settings(rc);

    congestion.params.cnp_interval = 7 * US;
    congestion.cnp_dscp = 1;
    assert_true(svan_congestion_set(rc->fake->core, &congestion));
    marked_request(rc);
    RC_SENT(rc, SVAN_OP_CNP, 0);
    assert_int_equal(rc->pkt.addr.traffic_class, 1 << 2 | ECN_ECT0);
    take_cnps(rc);
    fake_advance(rc->fake, 7 * US);
    marked_request(rc);
    assert_int_equal(take_cnps(rc), 1);
}

/* ---- who may slow a queue pair down ---- */

static void a_cnp_of_the_peer_slows_the_queue_pair_down(void **state)
{
    Rc *rc = *state;
    uint64_t line = settings(rc)->params.line_rate;

    notify(rc);
    assert_int_equal(RC_STAT(rc, cnps_handled), 1);
    assert_int_equal(svan_pace_rate(pace(rc)), line / 2);
    assert_int_equal(rc->fake->last[SVAN_TRACE_RATE].id, rc->qp.qpn);
    assert_int_equal(rc->fake->last[SVAN_TRACE_RATE].a, line / 2);
    RC_SENT_NOTHING(rc);
    fake_advance(rc->fake, INTERVAL);
    notify(rc);
    assert_int_equal(svan_pace_rate(pace(rc)), line / 4);
}

static void other_cnps_are_counted_and_ignored(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = cnp();

    pkt.becn = false;
    rc_inject_run(rc, &pkt);
    assert_int_equal(RC_STAT(rc, cnps_ignored), 1);
    pkt = cnp();
    pkt.payload_len = 12;
    rc_inject_run(rc, &pkt);
    assert_int_equal(RC_STAT(rc, cnps_ignored), 2);
    pkt = cnp();
    qp_new_av(rc->core)->dgid[15] ^= 1;         /* the sender is not the peer any more */
    rc_inject_run(rc, &pkt);
    qp_new_av(rc->core)->dgid[15] ^= 1;
    assert_int_equal(RC_STAT(rc, cnps_ignored), 3);
    rc->qp.qpn ^= 0x400;
    rc_inject_run(rc, &pkt);
    rc->qp.qpn ^= 0x400;
    assert_int_equal(RC_STAT(rc, cnps_ignored), 4);
    set_enabled(rc, false);
    rc_inject_run(rc, &pkt);
    set_enabled(rc, true);
    assert_int_equal(RC_STAT(rc, cnps_ignored), 5);
    rc_modify(rc, SVAN_QPS_ERR, 0);
    rc_inject_run(rc, &pkt);
    assert_int_equal(RC_STAT(rc, cnps_ignored), 6);
    assert_int_equal(RC_STAT(rc, cnps_handled), 0);
    assert_null(rc->core->egress.pace);
}

/* ---- pacing ---- */

#define WRITES          20

/* So slow that a packet of 256 octets takes some 300 us. */
static void slow_down(Rc *rc)
{
    for (uint32_t i = 0; i < 20; i++) {
        fake_advance(rc->fake, INTERVAL);
        notify(rc);
    }
    assert_int_equal(svan_pace_rate(pace(rc)), settings(rc)->params.min_rate);
}

/* ns that the packet taken last takes at the minimum rate */
static uint64_t packet_ns(Rc *rc)
{
    return rc->frame->len * 8 * 1000 / (settings(rc)->params.min_rate / MBPS);
}

/* The next packet leaves by itself; how long it took. */
static uint64_t next_leaves(Rc *rc)
{
    uint64_t begin = rc->fake->now;

    while (!rc_sent(rc)) {
        uint64_t next = svan_timer_next(rc->fake->core);

        assert_true(next != UINT64_MAX && next >= rc->fake->now);
        fake_advance(rc->fake, next - rc->fake->now);
    }
    return rc->fake->now - begin;
}

/* The rate is the lowest, and stays so until the test has moved the clock by 55 us. */
static void keep_slow(Rc *rc)
{
    SvanCongestion congestion = *settings(rc);

    congestion.params.increase_interval = congestion.params.alpha_interval =
        SVAN_DCQCN_MAX_NS;
    assert_true(svan_congestion_set(rc->fake->core, &congestion));
    slow_down(rc);
}

static void packets_leave_at_the_rate(void **state)
{
    Rc *rc = *state;
    uint64_t wait;

    keep_slow(rc);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, WRITES * MTU);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_WRITE_FIRST, PSN_OUT);
    for (uint32_t i = 1; i < WRITES; i++) {
        uint64_t due = packet_ns(rc);

        RC_SENT_NOTHING(rc);
        wait = next_leaves(rc);
        assert_in_range(wait, due - 1, due + 1);
    }
    assert_int_equal(rc->pkt.opcode, SVAN_OP_WRITE_LAST);
    assert_true(RC_STAT(rc, qp_rate_delays) >= WRITES - 1);
}

static void packets_that_are_sent_again_are_paced(void **state)
{
    Rc *rc = *state;
    uint64_t due;

    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 4 * MTU);
    rc_go(rc);
    assert_int_equal(rc_skip_sent(rc), 4);
    keep_slow(rc);
    rc_inject_ack(rc, NAK(PSN_SEQ), PSN_OUT);
    RC_SENT(rc, SVAN_OP_WRITE_FIRST, PSN_OUT);
    due = packet_ns(rc);
    RC_SENT_NOTHING(rc);
    assert_in_range(next_leaves(rc), due - 1, due + 1);
    assert_int_equal(rc->pkt.opcode, SVAN_OP_WRITE_MIDDLE);
}

static SvanPkt read_request(Rc *rc, uint32_t psn, uint32_t len)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_READ_REQUEST, psn, NULL, 0);

    pkt.va = rc->buffer;
    pkt.rkey = rc->host->all_key;
    pkt.dma_len = len;
    return pkt;
}

static void responses_are_paced_and_acknowledgements_are_not(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = read_request(rc, PSN_IN, 3 * MTU);
    uint64_t due;

    keep_slow(rc);
    rc_inject_run(rc, &pkt);
    RC_SENT(rc, SVAN_OP_READ_RESP_FIRST, PSN_IN);
    due = packet_ns(rc);
    RC_SENT_NOTHING(rc);
    assert_in_range(next_leaves(rc), due - 1, due + 1);
    assert_int_equal(rc->pkt.opcode, SVAN_OP_READ_RESP_MIDDLE);
    next_leaves(rc);
    pkt = rc_pkt(SVAN_OP_WRITE_ONLY, PSN_IN + 3, NULL, 0);
    pkt.ack_req = true;
    rc_inject_run(rc, &pkt);
    RC_SENT(rc, SVAN_OP_ACK, PSN_IN + 3);
}

/* What an engine that comes late could not send it sends afterwards. */
static void a_late_engine_catches_up(void **state)
{
    Rc *rc = *state;
    uint64_t due;

    keep_slow(rc);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, WRITES * MTU);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_WRITE_FIRST, PSN_OUT);
    RC_SENT_NOTHING(rc);
    next_leaves(rc);
    due = packet_ns(rc);
    fake_advance(rc->fake, 3 * due + 10);
    assert_int_equal(rc_skip_sent(rc), 3);
    fake_advance(rc->fake, due);
    assert_int_equal(rc_skip_sent(rc), 1);
    fake_advance(rc->fake, 10 * due);           /* more than is made up for */
    assert_in_range(rc_skip_sent(rc), 3, 6);
}

static void an_idle_sender_saves_nothing_up(void **state)
{
    Rc *rc = *state;

    keep_slow(rc);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 1);
    rc_go(rc);
    assert_int_equal(rc_skip_sent(rc), 1);
    fake_advance(rc->fake, 900 * US);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 4 * MTU);
    rc_go(rc);
    assert_int_equal(rc_skip_sent(rc), 1);
}

static void a_sender_that_recovers_is_not_paced_any_more(void **state)
{
    Rc *rc = *state;

    notify(rc);
    assert_non_null(rc->core->egress.pace);
    fake_advance(rc->fake, 1000000 * US);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, WRITES * MTU);
    rc_go(rc);
    assert_int_equal(rc_skip_sent(rc), WRITES);
    assert_null(rc->core->egress.pace);
}

static void a_reset_forgets_the_rate(void **state)
{
    Rc *rc = *state;

    slow_down(rc);
    rc_modify(rc, SVAN_QPS_RESET, 0);
    assert_null(rc->core->egress.pace);
    assert_null(pace(rc));
    rc_to(rc, SVAN_QPS_RTS);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, WRITES * MTU);
    rc_go(rc);
    assert_int_equal(rc_skip_sent(rc), WRITES);
}

/* ---- ECN ---- */

static void packets_leave_ecn_capable(void **state)
{
    Rc *rc = *state;
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, PSN_IN, NULL, 0);

    qp_new_av(rc->core)->traffic_class = 26 << 2;
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 1);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_WRITE_ONLY, PSN_OUT);
    assert_int_equal(rc->pkt.addr.traffic_class, 26 << 2 | ECN_ECT0);
    qp_new_av(rc->core)->traffic_class = 26 << 2 | ECN_CE;      /* nobody marks himself */
    pkt.ack_req = true;
    rc_inject_run(rc, &pkt);
    RC_SENT(rc, SVAN_OP_ACK, PSN_IN);
    assert_int_equal(rc->pkt.addr.traffic_class, 26 << 2 | ECN_ECT0);
}

static void without_control_nothing_is_done(void **state)
{
    Rc *rc = *state;

    set_enabled(rc, false);
    qp_new_av(rc->core)->traffic_class = 26 << 2 | 1;
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, 1);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_WRITE_ONLY, PSN_OUT);
    assert_int_equal(rc->pkt.addr.traffic_class, 26 << 2 | 1);
    marked_request(rc);
    assert_int_equal(take_cnps(rc), 0);
    assert_int_equal(RC_STAT(rc, ecn_marked_roce_packets), 1);
}

/* ---- state ---- */

static void restore(Rc *rc)
{
    assert_true(fake_restore(rc->fake));
    rc->core = svan_qp_get(host_fn(rc->host), rc->qp.qpn);
    assert_non_null(rc->core);
}

static void rates_and_intervals_are_saved(void **state)
{
    Rc *rc = *state;
    SvanPace before;

    marked_request(rc);
    notify(rc);
    assert_int_equal(take_cnps(rc), 1);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, WRITES * MTU);
    rc_go(rc);
    assert_true(rc_skip_sent(rc) < WRITES);
    before = *pace(rc);
    restore(rc);
    assert_memory_equal(pace(rc), &before, sizeof(before));
    assert_ptr_equal(rc->core->egress.pace, pace(rc));
    marked_request(rc);
    assert_int_equal(take_cnps(rc), 0);
    fake_advance(rc->fake, INTERVAL);
    marked_request(rc);
    assert_int_equal(take_cnps(rc), 1);
}

/* ---- the queue pair's own limit ---- */

static uint8_t set_limit(Rc *rc, uint32_t kbps)
{
    struct svan_cmd_modify_qp cmd = { .rate_limit = htole32(kbps) };

    return host_modify(&rc->qp, SVAN_QPS_RTS, SVAN_QP_ATTR_RATE_LIMIT, &cmd);
}

static void a_limit_is_kept(void **state)
{
    Rc *rc = *state;
    uint64_t due;

    assert_int_equal(set_limit(rc, 10000), SVAN_CMD_OK);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, WRITES * MTU);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_WRITE_FIRST, PSN_OUT);
    for (uint32_t i = 1; i < WRITES; i++) {
        due = packet_ns(rc);
        RC_SENT_NOTHING(rc);
        assert_in_range(next_leaves(rc), due - 1, due + 1);
        if (i == WRITES / 2) {
            restore(rc);
            fake_run(rc->fake);
            assert_int_equal(svan_qp_rate_limit(rc->core), 10000);
        }
    }
    /* of the limit and of what congestion leaves, the lower counts */
    notify(rc);
    assert_int_equal(svan_pace_rate(pace(rc)), 10 * MBPS);
    assert_int_equal(set_limit(rc, 0), SVAN_CMD_OK);
    assert_true(svan_pace_rate(pace(rc)) > 10 * MBPS);
}

static void limits_out_of_range_are_refused(void **state)
{
    Rc *rc = *state;

    assert_int_equal(set_limit(rc, 99), SVAN_CMD_BAD_PARAM);
    assert_int_equal(set_limit(rc, UINT32_MAX), SVAN_CMD_BAD_PARAM);
    assert_null(rc->core->egress.pace);
    assert_int_equal(set_limit(rc, 100), SVAN_CMD_OK);
    assert_int_equal(set_limit(rc, 4000000000u), SVAN_CMD_OK);
}

/* Half of a wait is over when the rate becomes twice as high. */
static void a_new_limit_shortens_the_wait_in_proportion(void **state)
{
    Rc *rc = *state;
    uint64_t due;

    assert_int_equal(set_limit(rc, 10000), SVAN_CMD_OK);
    rc_post(rc, SVAN_WQE_RDMA_WRITE, 0, WRITES * MTU);
    rc_go(rc);
    RC_SENT(rc, SVAN_OP_WRITE_FIRST, PSN_OUT);
    due = packet_ns(rc);
    RC_SENT_NOTHING(rc);
    fake_advance(rc->fake, due / 2);
    for (uint32_t i = 0; i < 50; i++) {         /* to set it often saves nothing */
        assert_int_equal(set_limit(rc, 5000), SVAN_CMD_OK);
        assert_int_equal(set_limit(rc, 20000), SVAN_CMD_OK);
    }
    RC_SENT_NOTHING(rc);
    assert_in_range(next_leaves(rc), due / 4 - 100, due / 4 + 100);
    RC_SENT_NOTHING(rc);
    assert_int_equal(set_limit(rc, 0), SVAN_CMD_OK);
    assert_int_equal(rc_skip_sent(rc), WRITES - 2);
}

/* ---- commands ---- */

static void parameters_are_set_and_kept(void **state)
{
    Rc *rc = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_CONGESTION);
    struct svan_cmd query = host_cmd_init(SVAN_CMD_QUERY_CONGESTION);
    struct svan_congestion_attr *attr = &cmd.set_congestion.attr;
    struct svan_cmd_resp resp;

    assert_int_equal(host_cmd(rc->host, &query, &resp), SVAN_CMD_OK);
    assert_int_equal(le32toh(resp.query_congestion.line_rate), 100000000);
    assert_int_equal(resp.query_congestion.enabled, 1);
    *attr = (struct svan_congestion_attr) {
        .line_rate = htole32(1000000), .min_rate = htole32(1000),
        .increase_additive = htole32(5000), .increase_hyper = htole32(50000),
        .alpha_interval = htole32(1001), .increase_interval = htole32(1002),
        .decrease_interval = htole32(1003), .cnp_interval = htole32(1004),
        .byte_counter = htole32(65536), .alpha_shift_g = 4, .fast_recovery = 3,
        .cnp_dscp = 5, .enabled = 0,
    };
    cmd.set_congestion.mask = htole32(SVAN_SET_CONGESTION_MASK);
    assert_int_equal(host_cmd(rc->host, &cmd, NULL), SVAN_CMD_OK);
    assert_int_equal(settings(rc)->params.decrease_interval, 1003);
    restore(rc);
    assert_int_equal(host_cmd(rc->host, &query, &resp), SVAN_CMD_OK);
    assert_memory_equal(&resp.query_congestion, attr, sizeof(*attr));
    /* one field alone */
    attr->min_rate = htole32(2000);
    attr->cnp_dscp = 9;
    cmd.set_congestion.mask = htole32(SVAN_SET_CONGESTION_MIN_RATE);
    assert_int_equal(host_cmd(rc->host, &cmd, NULL), SVAN_CMD_OK);
    assert_int_equal(settings(rc)->params.min_rate, 2 * MBPS);
    assert_int_equal(settings(rc)->cnp_dscp, 5);
    svan_reset(rc->fake->core, 0);              /* outlived by them */
    assert_int_equal(settings(rc)->cnp_dscp, 5);
    svan_reset_settings(rc->fake->core);
    assert_int_equal(settings(rc)->cnp_dscp, 48);
}

static void bad_parameters_change_nothing(void **state)
{
    Rc *rc = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_CONGESTION);
    SvanCongestion before = *settings(rc);
    struct svan_cmd_resp resp;

    cmd.set_congestion.mask = htole32(SVAN_SET_CONGESTION_MASK + 1);
    assert_int_equal(host_cmd(rc->host, &cmd, &resp), SVAN_CMD_BAD_PARAM);
    assert_int_equal(le32toh(resp.syndrome), offsetof(struct svan_cmd, set_congestion.mask));
    for (uint32_t bit = 1; bit < SVAN_SET_CONGESTION_ENABLED; bit *= 2) {
        memset(&cmd.set_congestion.attr, bit == SVAN_SET_CONGESTION_ALPHA_SHIFT_G ||
               bit == SVAN_SET_CONGESTION_CNP_DSCP ? 0xff : 0, sizeof(cmd.set_congestion.attr));
        cmd.set_congestion.mask = htole32(bit);
        assert_int_equal(host_cmd(rc->host, &cmd, &resp), SVAN_CMD_BAD_PARAM);
        assert_int_equal(le32toh(resp.syndrome),
                         offsetof(struct svan_cmd, set_congestion.attr));
    }
    cmd.set_congestion.attr.enabled = 2;
    cmd.set_congestion.mask = htole32(SVAN_SET_CONGESTION_ENABLED);
    assert_int_equal(host_cmd(rc->host, &cmd, &resp), SVAN_CMD_BAD_PARAM);
    assert_memory_equal(settings(rc), &before, sizeof(before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RC_TEST(a_limit_is_kept),
        RC_TEST(limits_out_of_range_are_refused),
        RC_TEST(a_new_limit_shortens_the_wait_in_proportion),
        RC_TEST(parameters_are_set_and_kept),
        RC_TEST(bad_parameters_change_nothing),
        RC_TEST(a_mark_is_answered_by_a_cnp),
        RC_TEST(what_is_not_marked_is_not_answered),
        RC_TEST(there_is_one_cnp_in_an_interval),
        RC_TEST(acknowledgements_and_duplicates_count_too),
        RC_TEST(a_cnp_waits_for_room),
        RC_TEST(the_interval_is_the_settings),
        RC_TEST(a_cnp_of_the_peer_slows_the_queue_pair_down),
        RC_TEST(other_cnps_are_counted_and_ignored),
        RC_TEST(packets_leave_at_the_rate),
        RC_TEST(packets_that_are_sent_again_are_paced),
        RC_TEST(responses_are_paced_and_acknowledgements_are_not),
        RC_TEST(a_late_engine_catches_up),
        RC_TEST(an_idle_sender_saves_nothing_up),
        RC_TEST(a_sender_that_recovers_is_not_paced_any_more),
        RC_TEST(a_reset_forgets_the_rate),
        RC_TEST(packets_leave_ecn_capable),
        RC_TEST(without_control_nothing_is_done),
        RC_TEST(rates_and_intervals_are_saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
