/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Enforcement on one function of a device, whose peer is beyond the port: what is sent,
 * who is notified, and whom the NIC believes. Function 1 is policed; 0 is the hypervisor.
 */
#include "stand.h"

/* ---- what leaves ---- */

static void what_is_not_ecn_capable_becomes_so(void **state)
{
    Stand *stand = *state;
    SvanCore *core = stand->hall->fake->core;
    SvanCongestion congestion = *svan_congestion(core);
    uint8_t traffic_class = 0xff;

    congestion.enabled = false;         /* it would have them ECN-capable before */
    assert_true(svan_congestion_set(core, &congestion));
    qp_new_av(inside(stand))->traffic_class = 46 << 2;
    post(stand, 1);
    assert_int_equal(left(stand, &traffic_class), 1);
    assert_int_equal(traffic_class, 46 << 2 | 2);
    assert_int_equal(COUNT(stand, enforce_ect_set), 1);
    qp_new_av(inside(stand))->traffic_class = 1;
    post(stand, 1);
    assert_int_equal(left(stand, &traffic_class), 1);
    assert_int_equal(traffic_class, 1);
    assert_int_equal(COUNT(stand, enforce_ect_set), 1);
}

static void innocent_paths_are_not_policed(void **state)
{
    Stand *stand = *state;

    post(stand, 20);
    assert_int_equal(left(stand, NULL), 20);
    assert_int_equal(COUNT(stand, enforce_delays), 0);
    assert_int_equal(path_of(stand)->packets, 20);
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_CLEAR);
}

/* 20 packets, whose sending has begun, leave at that rate. */
static void leave_in_time(Stand *stand)
{
    Fake *fake = stand->hall->fake;
    uint64_t start = fake->now;
    uint32_t count = left(stand, NULL);

    assert_in_range(count, 1, 2);
    assert_int_equal(COUNT(stand, enforce_delays), 1);
    assert_true(svan_egress_waits(&inside(stand)->egress));
    while (count < 20) {
        assert_in_range(fake->deadline, fake->now, fake->now + 10 * US);
        fake_advance(fake, fake->deadline - fake->now);
        count += left(stand, NULL);
    }
    assert_in_range(fake->now - start, 18 * 8 * US, 21 * 8 * US);
    assert_false(svan_egress_waits(&inside(stand)->egress));
}

static void who_is_notified_is_paced(void **state)
{
    Stand *stand = *state;

    congest(stand, GBPS);
    assert_int_equal(COUNT(stand, notifications_received), 1);
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_CONGESTING);
    assert_int_equal(COUNT(stand, paths_congesting), 1);
    post(stand, 20);
    leave_in_time(stand);
}

/* What the CPU has prepared, and another peripheral submits by storing to the window. */
static void triggered_sends_are_paced(void **state)
{
    Stand *stand = *state;
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .addr = stand->memory, .length = LENGTH,
        .remote = stand->memory, .rkey = stand->qp.host->all_key,
    };
    uint32_t submitted;

    congest(stand, GBPS);
    submitted = stand->qp.sq_pi;
    stand->qp.mmio_only = true;
    for (uint32_t i = 0; i < 20; i++) {
        host_send(&stand->qp, &write);
    }
    fake_run(stand->hall->fake);
    assert_int_equal(left(stand, NULL), 0);
    while (submitted != stand->qp.sq_pi) {
        host_ring(&stand->qp, SVAN_UAR_SQ_DB, ++submitted);
        fake_run(stand->hall->fake);
    }
    leave_in_time(stand);
}

/* What an engine that comes late could not send it sends afterwards; idleness saves nothing. */
static void a_late_engine_catches_up(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;

    congest(stand, GBPS);
    post(stand, 20);
    assert_in_range(left(stand, NULL), 1, 2);
    fake_advance(fake, 100 * US);
    assert_in_range(left(stand, NULL), 11, 13);
    while (svan_egress_waits(&inside(stand)->egress)) {
        fake_advance(fake, 10 * US);
    }
    left(stand, NULL);
    fake_advance(fake, 100 * US);
    post(stand, 20);
    assert_in_range(left(stand, NULL), 1, 2);
}

/* With packets of a quarter of the usual size it takes four marks. */
static void marks_on_small_packets_count_less(void **state)
{
    Stand *stand = *state;
    SvanNotice notice;

    post(stand, 1);
    left(stand, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        assert_false(svan_rp_is_limited(&path_of(stand)->rp));
        notice = notice_of(stand);
        notice.marks = 1;
        notice.octets = SVAN_PATH_SIZE / 4 + 1;
        notify(stand, &notice);
    }
    assert_true(svan_rp_is_limited(&path_of(stand)->rp));
}

/* Whoever waited has gone: nobody else makes up for its turn. */
static void a_turn_that_nobody_took_is_no_credit(void **state)
{
    Stand *stand = *state;
    Station *station = &stand->hall->stations[POLICED];
    HostQp second = host_qp(station->host, &station->send_cq, &station->recv_cq, NULL);

    beyond(stand, &second, PEER_QPN + 1);
    congest(stand, GBPS);
    post(stand, 20);
    left(stand, NULL);
    assert_true(svan_egress_waits(&inside(stand)->egress));
    host_object(stand->qp.host, SVAN_CMD_DESTROY_QP, stand->qp.qpn);
    fake_advance(stand->hall->fake, 50 * MS);
    left(stand, NULL);
    svan_flows_step(&policed(stand)->net->enforcement->flows, path_of(stand),
                    stand->hall->fake->now);
    path_of(stand)->rp.current = path_of(stand)->rp.target = 1000000000ull;
    assert_true(svan_rp_is_limited(&path_of(stand)->rp));
    stand->qp = second;
    post(stand, 60);
    assert_in_range(left(stand, NULL), 1, 3);
}

/* Queue pairs of a path wait for each other's turns, in their order. */
static void queue_pairs_take_turns(void **state)
{
    Stand *stand = *state;
    Station *station = &stand->hall->stations[POLICED];
    Fake *fake = stand->hall->fake;
    HostQp first = stand->qp, second = host_qp(station->host, &station->send_cq,
                                               &station->recv_cq, NULL);
    uint32_t seen[2] = { 0 }, count = 0;
    SvanFrame *frame;
    SvanPkt pkt;

    beyond(stand, &second, PEER_QPN + 1);
    congest(stand, GBPS);
    post(stand, 6);
    stand->qp = second;
    post(stand, 6);
    stand->qp = first;
    while (count < 12) {
        while ((frame = fake_frame(fake)) != NULL) {
            assert_int_equal(svan_pkt_decode(frame, &pkt), SVAN_DECODE_OK);
            seen[pkt.dqpn - PEER_QPN]++;
            count++;
            svan_frame_free(frame);
        }
        assert_true(count < 4 || seen[0] <= seen[1] + 2);
        fake_advance(fake, US);
        assert_true(fake->now < 1010 * MS);
    }
    assert_int_equal(seen[0], seen[1]);
}

/* The peer asks for answers, as often as it likes. */
static void ask(Stand *stand, uint32_t count)
{
    SvanPkt pkt = {
        .opcode = SVAN_OP_SEND_ONLY, .pkey = SVAN_PKEY_DEFAULT, .ack_req = true,
        .dqpn = stand->qp.qpn, .psn = inside(stand)->rq_psn, .addr = backwards(stand),
    };

    while (count--) {
        receive(stand, svan_pkt_encode(&pkt));
    }
}

/* Answers do not wait; they take nobody's turn, and make no debt that others pay. */
static void answers_leave_the_turn_alone(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;

    congest(stand, 10000000ull);
    path_of(stand)->rp.increase_at = fake->now + 1000 * MS;
    post(stand, 20);
    assert_in_range(left(stand, NULL), 1, 2);
    assert_non_null(inside(stand)->egress.turn.next);
    ask(stand, 1000);
    assert_int_equal(left(stand, NULL), 1000);
    assert_non_null(inside(stand)->egress.turn.next);
    /* a packet of LENGTH takes 0.9 ms */
    assert_true(path_of(stand)->until < fake->now + 2 * MS);
    fake_advance(fake, 2 * MS);
    assert_in_range(left(stand, NULL), 1, 3);
}

/* Between functions of a device there is no network. */
static void frames_to_neighbours_are_not_watched(void **state)
{
    Stand *stand = *state;
    SvanFrame *frame = segment(stand, true, 1, 0);
    bool sent = false;

    memcpy(frame->data, stand->hall->stations[0].mac, 6);
    assert_int_equal(svan_frame_send(&inside(stand)->egress, frame, &sent), SVAN_STEP_DONE);
    fake_run(stand->hall->fake);
    assert_true(sent);
    assert_int_equal(policed(stand)->net->enforcement->flows.flows.count, 0);
}

static void other_actions_than_pacing(void **state)
{
    Stand *stand = *state;
    struct svan_enforcement_attr attr = normal();
    uint8_t traffic_class = 0;

    congest(stand, 10000000ull);
    attr.action = SVAN_ENFORCE_MARK;
    enforce(stand, &attr);
    post(stand, 3);
    assert_int_equal(left(stand, &traffic_class), 3);
    assert_int_equal(traffic_class & 3, 3);
    assert_in_range(COUNT(stand, enforce_marks), 1, 2);
    attr.action = SVAN_ENFORCE_WATCH;
    enforce(stand, &attr);
    post(stand, 3);
    assert_int_equal(left(stand, &traffic_class), 3);
    assert_int_equal(traffic_class & 3, 2);
    attr.action = SVAN_ENFORCE_DROP;
    enforce(stand, &attr);
    post(stand, 3);
    assert_int_equal(left(stand, NULL), 0);
    assert_in_range(COUNT(stand, enforce_drops), 3, 3);
}

/* However often a packet tries to leave. */
static void marks_are_counted_when_they_leave(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    struct svan_enforcement_attr attr = normal();

    congest(stand, 10000000ull);
    path_of(stand)->until = fake->now + 1000 * MS;
    attr.action = SVAN_ENFORCE_MARK;
    enforce(stand, &attr);
    fake->out_full = true;
    post(stand, 1);
    for (uint32_t i = 0; i < 3; i++) {
        svan_tx_ready(fake->core);
        fake_run(fake);
    }
    assert_int_equal(COUNT(stand, enforce_marks), 0);
    fake->out_full = false;
    svan_tx_ready(fake->core);
    fake_run(fake);
    assert_int_equal(left(stand, NULL), 1);
    assert_int_equal(COUNT(stand, enforce_marks), 1);
    assert_int_equal(COUNT(stand, flow_marks), 0);
}

static void a_cap_holds_while_there_is_congestion(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    struct svan_enforcement_attr attr = normal();
    uint64_t bus = fake_alloc(fake, 4096, 4096);
    const struct svan_flow_entry *entry = fake_ram(fake, bus);
    SvanNotice notice;
    uint32_t count, total;

    attr.cap = htole32(100);
    enforce(stand, &attr);
    post(stand, 10);
    assert_int_equal(left(stand, NULL), 10);
    assert_int_equal(query(stand, true, 0, 1, bus, &total), 1);
    assert_int_equal(le64toh(entry->limit), 0);
    notice = notice_of(stand);
    notify(stand, &notice);
    post(stand, 10);
    count = left(stand, NULL);
    for (uint32_t i = 0; i < 9; i++) {
        fake_advance(fake, 40 * US);
        count += left(stand, NULL);
    }
    assert_in_range(count, 4, 6);
    assert_int_equal(query(stand, true, 0, 1, bus, &total), 1);
    assert_int_equal(le64toh(entry->limit), 100000000);
}

/* A reset of the function takes nothing back. */
static void a_reset_does_not_help(void **state)
{
    Stand *stand = *state;
    SvanCore *core = stand->hall->fake->core;
    SvanNotice notice;

    post(stand, 1);
    left(stand, NULL);
    notice = notice_of(stand);
    notify(stand, &notice);
    post(stand, 10);
    left(stand, NULL);
    assert_true(svan_egress_waits(&inside(stand)->egress));
    svan_reset(core, POLICED);
    assert_true(svan_rp_is_limited(&path_of(stand)->rp));
    assert_true(svan_list_empty(&path_of(stand)->waiters));
    fake_advance(stand->hall->fake, 10 * MS);
    svan_reset_settings(core);
    assert_null(policed(stand)->net->enforcement);
}

static void frozen_estimates_police_nobody(void **state)
{
    Stand *stand = *state;
    SvanNotice notice;

    stand->hall->fake->core->config.frozen_estimates = true;
    post(stand, 1);
    left(stand, NULL);
    notice = notice_of(stand);
    notify(stand, &notice);
    assert_int_equal(COUNT(stand, notifications_received), 1);
    post(stand, 20);
    assert_int_equal(left(stand, NULL), 20);
    assert_int_equal(COUNT(stand, enforce_delays), 0);
}

/* ---- frames ---- */

static SvanFlow *tcp_flow(Stand *stand)
{
    SvanAddr addr = backwards(stand);
    SvanAgedKey key = svan_flow_key(addr.sgid, addr.dgid, 0, SVAN_FLOW_TCP,
                                    12345 << 16 | 80);

    return svan_flows_find(&policed(stand)->net->enforcement->flows, &key);
}

static void tcp_is_seen_passing(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    SvanNotice notice = {
        .kind = SVAN_FLOW_TCP, .flow = 12345 << 16 | 80, .witness = 1000, .packets = 9,
        .marks = 9, .sequence = 4, .octets = 9 * SVAN_PATH_SIZE,
    };
    SvanFlow *flow;

    send_segment(stand, 1000);
    flow = tcp_flow(stand);
    assert_non_null(flow);
    assert_ptr_equal(flow->path, path_of(stand));
    fake_advance(fake, 30 * US);
    receive(stand, segment(stand, false, 1, 1099));
    assert_int_equal(flow->estimate.rtt, 0);
    receive(stand, segment(stand, false, 1, 1100));
    assert_int_equal(flow->estimate.rtt, 30 * US);
    assert_int_equal(flow->path->estimate.rtt, 30 * US);
    assert_int_equal(flow->path->last_rtt, 30 * US);
    send_segment(stand, 1100);
    send_segment(stand, 1000);
    assert_int_equal(flow->estimate.losses, 1);
    notice.witness = 1201;
    notify(stand, &notice);
    assert_int_equal(COUNT(stand, notifications_ignored), 1);
    notice.witness = 1100;
    notify(stand, &notice);
    assert_int_equal(COUNT(stand, notifications_received), 1);
    assert_true(svan_rp_is_limited(&flow->path->rp));
}

/* ---- flows without room ---- */

/* Two queue pairs send with the same PSNs, of which neither has sent one twice. */
static void flows_without_room_are_not_confused(void **state)
{
    static const uint8_t away[16] = { 0xfd };
    Stand *stand = *state;
    SvanFlows *flows = &policed(stand)->net->enforcement->flows;
    Station *station = &stand->hall->stations[POLICED];
    HostQp qps[2] = {
        stand->qp, host_qp(station->host, &station->send_cq, &station->recv_cq, NULL),
    };

    beyond(stand, &qps[1], PEER_QPN + 1);
    for (uint32_t i = 0; i < SVAN_MAX_FLOWS; i++) {
        SvanAgedKey key = svan_flow_key(away, away, 0, SVAN_FLOW_UDP, i);
        uint16_t hint = 0;

        svan_flows_get(flows, &key, svan_now(stand->hall->fake->core), &hint);
    }
    for (uint32_t i = 0; i < 16; i++) {
        stand->qp = qps[i % 2];
        post(stand, 1);
        qps[i % 2] = stand->qp;
    }
    stand->qp = qps[0];
    assert_int_equal(left(stand, NULL), 16);
    assert_int_equal(COUNT(stand, flows_overflowed), 16);
    assert_int_equal(path_of(stand)->estimate.losses, 0);
}

/* ---- notifications ---- */

/* The peer's NIC counts for each address that it notifies. */
static void two_addresses_are_notified_in_turn(void **state)
{
    Stand *stand = *state;
    SvanFlows *flows = &policed(stand)->net->enforcement->flows;
    uint64_t now = svan_now(stand->hall->fake->core);
    SvanAddr addr = backwards(stand);
    SvanNotice notice;
    SvanAgedKey key;
    uint16_t hint = 0;

    post(stand, 1);
    left(stand, NULL);
    notice = notice_of(stand);
    addr.dgid[15]++;
    key = svan_flow_key(peer_gid, addr.dgid, 0, SVAN_FLOW_RDMA, PEER_QPN);
    svan_series_sent(&svan_flows_get(flows, &key, now, &hint)->series[0], stand->psn << 8,
                     1 << 8, SVAN_PSN_WINDOW << 8, now);
    notify(stand, &notice);
    receive(stand, svan_notice_encode(&notice, &addr));
    assert_int_equal(COUNT(stand, notifications_received), 2);
    receive(stand, svan_notice_encode(&notice, &addr));
    assert_int_equal(COUNT(stand, notifications_received), 2);
    assert_int_equal(COUNT(stand, notifications_ignored), 1);
}

/* ---- answers of queue pairs ---- */

static void answer(Stand *stand, uint8_t syndrome, uint32_t psn)
{
    SvanPkt pkt = {
        .opcode = SVAN_OP_ACK, .pkey = SVAN_PKEY_DEFAULT, .dqpn = stand->qp.qpn,
        .psn = psn, .syndrome = syndrome,
    };

    pkt.addr = backwards(stand);
    receive(stand, svan_pkt_encode(&pkt));
}

/* A CNP comes, a while after the one before. Has it slowed the path down? */
static bool cnp_counts(Stand *stand)
{
    uint8_t reserved[SVAN_CNP_PAYLOAD] = { 0 };
    SvanPkt pkt = {
        .opcode = SVAN_OP_CNP, .pkey = SVAN_PKEY_DEFAULT, .dqpn = stand->qp.qpn, .becn = true,
        .payload_len = sizeof(reserved), .num_runs = 1,
        .runs = { { .host = reserved, .len = sizeof(reserved) } },
    };
    SvanRp *rp = &path_of(stand)->rp;

    fake_advance(stand->hall->fake, 100 * US);
    rp->current = rp->target = GBPS;
    rp->alpha = SVAN_RP_ALPHA_ONE;
    rp->decrease_due = false;
    path_of(stand)->cut_at = stand->hall->fake->now;    /* not by its being ambiguous */
    pkt.addr = backwards(stand);
    receive(stand, svan_pkt_encode(&pkt));
    return rp->current < GBPS;
}

/* Notifications stand for as many CNPs as they tell marks, if they tell anything. */
static void cnps_count_that_no_notification_explains(void **state)
{
    Stand *stand = *state;
    SvanNotice notice;

    congest(stand, 0);
    for (uint32_t i = 0; i < 5; i++) {
        assert_false(cnp_counts(stand));
    }
    assert_true(cnp_counts(stand));
    notice = notice_of(stand);
    notice.marks = 1;
    notice.octets = 60;
    notify(stand, &notice);
    assert_true(cnp_counts(stand) || cnp_counts(stand));    /* it made packets look smaller */
    notice = notice_of(stand);
    notice.marks = notice.packets = 1000;
    notify(stand, &notice);
    assert_int_equal(path_of(stand)->told_cnps, 64);
    assert_false(cnp_counts(stand));
}

static void round_trips_of_queue_pairs(void **state)
{
    Stand *stand = *state;
    Fake *fake = stand->hall->fake;
    SvanFlow *flow;

    post(stand, 1);
    assert_int_equal(left(stand, NULL), 1);
    fake_advance(fake, 20 * US);
    answer(stand, SVAN_AETH_ACK | SVAN_AETH_NO_CREDITS, stand->psn);
    flow = policed(stand)->net->enforcement->flow;
    assert_int_equal(flow->estimate.rtt, 20 * US);
    assert_int_equal(flow->qpn, stand->qp.qpn);
    post(stand, 2);
    left(stand, NULL);
    answer(stand, SVAN_AETH_NAK | SVAN_NAK_PSN_SEQ, stand->psn - 1);
    assert_int_equal(left(stand, NULL), 2);
    assert_int_equal(flow->estimate.losses, 3);
    assert_int_equal(COUNT(stand, retransmits), 2);
}

/* ---- commands ---- */

/* Peers without room share a path, which is shown, and judged like any other. */
static void others_are_shown_and_judged(void **state)
{
    Stand *stand = *state;
    SvanFlows *flows = &policed(stand)->net->enforcement->flows;
    uint64_t bus = fake_alloc(stand->hall->fake, 4096, 4096);
    struct svan_enforcement_attr attr = normal();
    static const uint8_t none[16];
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_JUDGE_FLOW);
    const uint32_t most = SVAN_MAX_PATHS;
    struct svan_flow_entry *entries;
    uint32_t total;

    attr.suspect = 0;                   /* only verdicts count */
    enforce(stand, &attr);
    post(stand, 1);
    query(stand, true, 0, 36, bus, &total);
    assert_int_equal(total, 1);
    assert_false(svan_enforcement_judge(policed(stand), none, SVAN_PATH_OTHERS, true));
    for (uint32_t i = 1; i < most; i++) {
        const uint8_t peer[16] = { 0xfd, [15] = i };
        SvanAgedKey key = svan_flow_key(peer, peer, 0, SVAN_FLOW_UDP, 1);
        uint16_t hint = 0;

        svan_flows_get(flows, &key, svan_now(stand->hall->fake->core), &hint);
    }
    for (uint32_t i = 0; i < 2; i++) {
        qp_new_av(inside(stand))->dgid[15]++;
        post(stand, 1);
    }
    left(stand, NULL);
    assert_int_equal(flows->other.packets, 2);
    flows->other.estimate.loss = SVAN_FRACTION_ONE / 2;
    svan_flows_step(flows, &flows->other, svan_now(stand->hall->fake->core));
    query(stand, true, most - 1, 36, bus, &total);
    entries = fake_ram(stand->hall->fake, bus);
    assert_int_equal(total, most + 1);
    assert_int_equal(le16toh(entries[1].vlan), SVAN_PATH_OTHERS);
    assert_int_equal(entries[1].state, SVAN_CONGESTION_SUSPECT);
    assert_int_equal(le64toh(entries[1].packets), 2);
    cmd.judge_flow.function = htole32(POLICED);
    cmd.judge_flow.vlan = htole16(SVAN_PATH_OTHERS);
    cmd.judge_flow.congesting = 1;
    host_must(stand->hall->stations[0].host, &cmd);
    assert_int_equal(flows->other.recognition.state, SVAN_CONGESTION_CONGESTING);
    assert_true(svan_rp_is_limited(&flows->other.rp));
}

static void only_the_physical_function_commands(void **state)
{
    static const uint16_t opcodes[] = {
        SVAN_CMD_SET_ENFORCEMENT, SVAN_CMD_QUERY_ENFORCEMENT, SVAN_CMD_QUERY_FLOWS,
        SVAN_CMD_JUDGE_FLOW,
    };
    Stand *stand = *state;

    for (uint32_t i = 0; i < SIZE(opcodes); i++) {
        struct svan_cmd cmd = host_cmd_init(opcodes[i]);

        assert_int_equal(host_cmd(stand->hall->stations[POLICED].host, &cmd, NULL),
                         SVAN_CMD_NOT_PERMITTED);
    }
}

static uint64_t delays_shown(Stand *stand, uint32_t who, uint32_t of)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_STATS);
    uint64_t bus = fake_alloc(stand->hall->fake, 4096, 4096);
    const struct svan_stats *stats = fake_ram(stand->hall->fake, bus);

    cmd.query.addr = htole64(bus);
    cmd.query.length = htole32(sizeof(*stats));
    cmd.query.function = htole32(of);
    host_must(stand->hall->stations[who].host, &cmd);
    assert_int_not_equal(stats->roce_tx_packets, 0);
    return le64toh(stats->enforce_delays);
}

static void who_is_policed_does_not_see_it(void **state)
{
    Stand *stand = *state;

    congest(stand, GBPS);
    post(stand, 20);
    assert_int_equal(delays_shown(stand, 0, POLICED), 1);
    assert_int_equal(delays_shown(stand, POLICED, 0), 0);
}

static void flows_are_shown(void **state)
{
    Stand *stand = *state;
    uint64_t bus = fake_alloc(stand->hall->fake, 4096, 4096);
    const struct svan_flow_entry *entries = fake_ram(stand->hall->fake, bus);
    SvanNotice notice;
    uint32_t total;

    post(stand, 3);
    left(stand, NULL);
    notice = notice_of(stand);
    notify(stand, &notice);
    send_segment(stand, 5);
    assert_int_equal(query(stand, false, 0, 36, bus, &total), 2);
    assert_int_equal(total, 2);
    assert_memory_equal(entries[0].peer, peer_gid, 16);
    assert_int_equal(entries[0].kind, SVAN_FLOW_RDMA);
    assert_int_equal(le32toh(entries[0].flow), PEER_QPN);
    assert_int_equal(le32toh(entries[0].qpn), stand->qp.qpn);
    assert_int_equal(le64toh(entries[0].packets), 3);
    assert_int_equal(entries[0].state, SVAN_CONGESTION_CONGESTING);
    assert_in_range(le32toh(entries[0].ce), 1, SVAN_FRACTION_ONE);
    assert_int_equal(entries[1].kind, SVAN_FLOW_TCP);
    assert_int_equal(query(stand, false, 1, 36, bus, &total), 1);
    assert_int_equal(entries[0].kind, SVAN_FLOW_TCP);
    assert_int_equal(query(stand, true, 0, 36, bus, &total), 1);
    assert_int_equal(le32toh(entries[0].notifications), 1);
    assert_int_equal(le64toh(entries[0].packets), 4);
    assert_in_range(le64toh(entries[0].limit), 1, 1000000000000ull);
    assert_int_equal(query(stand, true, 0, 0, bus, &total), 0);
    assert_int_equal(total, 1);
    /* What has become of it since, though nothing was sent. */
    for (uint32_t i = 0; i < 4; i++) {
        fake_advance(stand->hall->fake, 500 * MS);
        query(stand, true, 0, 36, bus, &total);
    }
    assert_int_equal(entries[0].state, SVAN_CONGESTION_CLEAR);
    assert_int_equal(le64toh(entries[0].limit), 0);
    assert_int_equal(query(stand, false, 0, 36, bus, &total), 2);
    assert_int_equal(le32toh(entries[0].ce), 0);
}

static void settings_are_checked_and_saved(void **state)
{
    Stand *stand = *state;
    Host *pf = stand->hall->stations[0].host;
    struct svan_cmd set = host_cmd_init(SVAN_CMD_SET_ENFORCEMENT), get;
    struct svan_cmd_resp resp;

    set.set_enforcement.function = htole32(POLICED);
    set.set_enforcement.attr = normal();
#define REFUSED(field, value) do { \
        struct svan_cmd bad = set; \
        bad.set_enforcement.attr.field = value; \
        assert_int_equal(host_cmd(pf, &bad, NULL), SVAN_CMD_BAD_PARAM); \
    } while (0)
    REFUSED(flags, 8);
    REFUSED(action, SVAN_ENFORCE_ACTIONS);
    REFUSED(cap, htole32(5000000));
    REFUSED(burst, htole32(2000000000));
    REFUSED(interval, htole32(2000000000));
    set.set_enforcement.function = htole32(NUM_STATIONS);
    assert_int_equal(host_cmd(pf, &set, NULL), SVAN_CMD_BAD_RESOURCE);
    post(stand, 3);
    assert_true(fake_restore(stand->hall->fake));
    get = host_cmd_init(SVAN_CMD_QUERY_ENFORCEMENT);
    get.object.id = htole32(POLICED);
    assert_int_equal(host_cmd(pf, &get, &resp), SVAN_CMD_OK);
    assert_memory_equal(&resp.query_enforcement, &set.set_enforcement.attr,
                        sizeof(resp.query_enforcement));
    get.object.id = htole32(2);
    assert_int_equal(host_cmd(pf, &get, &resp), SVAN_CMD_OK);
    assert_int_equal(resp.query_enforcement.flags, 0);
    left(stand, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAND_TEST(what_is_not_ecn_capable_becomes_so),
        STAND_TEST(innocent_paths_are_not_policed),
        STAND_TEST(who_is_notified_is_paced),
        STAND_TEST(triggered_sends_are_paced),
        STAND_TEST(a_late_engine_catches_up),
        STAND_TEST(marks_on_small_packets_count_less),
        STAND_TEST(a_turn_that_nobody_took_is_no_credit),
        STAND_TEST(queue_pairs_take_turns),
        STAND_TEST(answers_leave_the_turn_alone),
        STAND_TEST(frames_to_neighbours_are_not_watched),
        STAND_TEST(other_actions_than_pacing),
        STAND_TEST(marks_are_counted_when_they_leave),
        STAND_TEST(a_cap_holds_while_there_is_congestion),
        STAND_TEST(a_reset_does_not_help),
        STAND_TEST(frozen_estimates_police_nobody),
        STAND_TEST(tcp_is_seen_passing),
        STAND_TEST(flows_without_room_are_not_confused),
        STAND_TEST(two_addresses_are_notified_in_turn),
        STAND_TEST(cnps_count_that_no_notification_explains),
        STAND_TEST(round_trips_of_queue_pairs),
        STAND_TEST(others_are_shown_and_judged),
        STAND_TEST(only_the_physical_function_commands),
        STAND_TEST(who_is_policed_does_not_see_it),
        STAND_TEST(flows_are_shown),
        STAND_TEST(settings_are_checked_and_saved),
    };

    return cmocka_run_group_tests_name("enforce", tests, NULL, NULL);
}
