/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A function that is policed, with a queue pair whose peer is beyond the port.
 */
#ifndef TESTS_STAND_H
#define TESTS_STAND_H

#include "net/enforcement.h"
#include "net/wire_ip.h"
#include "hall.h"

#define US              1000ull
#define MS              1000000ull
#define GBPS            1000000000ull
#define POLICED         1
#define PEER_QPN        0x123456
#define LENGTH          1000u

typedef struct Stand {
    Hall *hall;
    HostQp qp;
    uint64_t memory;
    uint32_t psn;               /* of the last packet that has left */
    uint32_t sequence;
} Stand;

static const uint8_t peer_gid[16] = { [10] = 255, 255, 10, 9, 9, 9 };

static inline void enforce(Stand *stand, const struct svan_enforcement_attr *attr)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_ENFORCEMENT);

    cmd.set_enforcement.function = htole32(POLICED);
    cmd.set_enforcement.attr = *attr;
    host_must(stand->hall->stations[0].host, &cmd);
}

static inline struct svan_enforcement_attr normal(void)
{
    struct svan_enforcement_attr attr;

    svan_enforcement_default(&attr);
    attr.flags = SVAN_ENFORCE_EGRESS | SVAN_ENFORCE_NOTIFY;
    attr.burst = htole32(1000);
    for (uint32_t i = 0; i < SVAN_NOTIFICATION_CLASSES; i++) {
        attr.delay[i] = htole16(10 * (i + 1));
    }
    return attr;
}

static inline SvanFn *policed(Stand *stand)
{
    return fn_of(stand->hall, POLICED);
}

static inline SvanQp *inside(Stand *stand)
{
    return svan_qp_get(policed(stand), stand->qp.qpn);
}

#define COUNT(stand, name)      (policed(stand)->stats->name)

/* Connect the queue pair to one of the peer. */
static inline void beyond(Stand *stand, HostQp *qp, uint32_t dest_qpn)
{
    SvanQp *svan = svan_qp_get(policed(stand), qp->qpn);

    host_connect(qp, qp);
    svan->dest_qpn = dest_qpn;
    memcpy(qp_new_av(svan)->dgid, peer_gid, 16);
    memcpy(qp_new_av(svan)->dmac, stranger_mac, 6);
}

/* Queue pairs neither react to CNPs, nor are their packets made ECN-capable. */
static inline void turn_off_native_control(SvanCore *core)
{
    SvanCongestion off = *svan_congestion(core);

    off.enabled = false;
    assert_true(svan_congestion_set(core, &off));
}

static inline int stand_setup(void **state)
{
    Stand *stand = calloc(1, sizeof(*stand));
    struct svan_enforcement_attr attr = normal();
    Station *station;
    void *hall;

    hall_setup(&hall);
    stand->hall = hall;
    stand->hall->fake->now = 1000 * MS;
    turn_off_native_control(stand->hall->fake->core);
    station = &stand->hall->stations[POLICED];
    stand->qp = host_qp(station->host, &station->send_cq, &station->recv_cq, NULL);
    beyond(stand, &stand->qp, PEER_QPN);
    stand->memory = fake_alloc(stand->hall->fake, 4096, 4096);
    enforce(stand, &attr);
    *state = stand;
    return 0;
}

static inline int stand_teardown(void **state)
{
    Stand *stand = *state;
    void *hall = stand->hall;

    free(stand);
    return hall_teardown(&hall);
}

#define STAND_TEST(name) \
    cmocka_unit_test_setup_teardown(name, stand_setup, stand_teardown)

static inline void post(Stand *stand, uint32_t count)
{
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .addr = stand->memory, .length = LENGTH,
        .remote = stand->memory, .rkey = stand->qp.host->all_key,
    };

    while (count--) {
        host_send(&stand->qp, &write);
    }
    host_post(&stand->qp);
    fake_run(stand->hall->fake);
}

/* Packets that have left by the port; the traffic class of the last one. */
static inline uint32_t left(Stand *stand, uint8_t *traffic_class)
{
    uint32_t count = 0;
    SvanFrame *frame;
    SvanPkt pkt;

    while ((frame = fake_frame(stand->hall->fake)) != NULL) {
        if (svan_pkt_decode(frame, &pkt) == SVAN_DECODE_OK) {
            stand->psn = pkt.psn;
            if (traffic_class) {
                *traffic_class = pkt.addr.traffic_class;
            }
            count++;
        }
        svan_frame_free(frame);
    }
    return count;
}

static inline SvanAddr backwards(Stand *stand)
{
    SvanAddr addr = { .ipv4 = true };

    memcpy(addr.smac, stranger_mac, 6);
    memcpy(addr.dmac, stand->hall->stations[POLICED].mac, 6);
    memcpy(addr.sgid, peer_gid, 16);
    memcpy(addr.dgid, policed(stand)->net->gids[0].gid, 16);
    return addr;
}

static inline void receive(Stand *stand, SvanFrame *frame)
{
    assert_true(svan_frame_in(stand->hall->fake->core, frame));
    fake_run(stand->hall->fake);
}

static inline SvanNotice notice_of(Stand *stand)
{
    return (SvanNotice) {
        .kind = SVAN_FLOW_RDMA, .flow = PEER_QPN, .witness = stand->psn, .packets = 10,
        .marks = 5, .sequence = ++stand->sequence, .interval = 1000, .delay = 10,
        .octets = 5 * SVAN_PATH_SIZE,
    };
}

static inline void notify(Stand *stand, const SvanNotice *notice)
{
    SvanAddr addr = backwards(stand);

    receive(stand, svan_notice_encode(notice, &addr));
}

static inline SvanPath *path_of(Stand *stand)
{
    SvanAgedKey key = svan_flow_key(peer_gid, peer_gid, 0, SVAN_FLOW_RDMA, PEER_QPN);

    return svan_flows_path(&policed(stand)->net->enforcement->flows, &key);
}

/* The path to the peer is congesting, and has that rate, bit/s; 0: what a mark leaves. */
static inline void congest(Stand *stand, uint64_t rate)
{
    SvanNotice notice;

    post(stand, 1);
    left(stand, NULL);
    notice = notice_of(stand);
    notify(stand, &notice);
    assert_int_equal(path_of(stand)->recognition.state, SVAN_CONGESTION_CONGESTING);
    if (rate) {
        path_of(stand)->rp.current = path_of(stand)->rp.target = rate;
    }
}

/* A TCP segment of the policed function to the peer, or the peer's answer. */
static inline SvanFrame *segment(Stand *stand, bool out, uint32_t seq, uint32_t ack)
{
    SvanAddr addr = backwards(stand);
    SvanFrame *frame = svan_frame_alloc(14 + 40 + 100);
    uint8_t *p = frame->data;
    const uint8_t *own = addr.dgid + 12, *peer = addr.sgid + 12;
    uint16_t sum;

    memset(p, 0, frame->len = 14 + 40 + (out ? 100 : 0));
    memcpy(p, out ? addr.smac : addr.dmac, 6);
    memcpy(p + 6, out ? addr.dmac : addr.smac, 6);
    memcpy(p + 12, (uint8_t[]) { 8, 0, 0x45, 0, 0, out ? 140 : 40, 0, 0, 0x40, 0, 64, 6 }, 12);
    memcpy(p + 26, out ? own : peer, 4);
    memcpy(p + 30, out ? peer : own, 4);
    sum = htobe16(svan_csum_fold(svan_csum_add(0, p + 14, 20)));
    memcpy(p + 24, &sum, 2);
    memcpy(p + 34, out ? (uint8_t[]) { 0x30, 0x39, 0, 80 } : (uint8_t[]) { 0, 80, 0x30, 0x39 },
           4);
    seq = htobe32(seq);
    ack = htobe32(ack);
    memcpy(p + 38, &seq, 4);
    memcpy(p + 42, &ack, 4);
    memcpy(p + 46, (uint8_t[]) { 0x50, 0x10 }, 2);
    return frame;
}

/* It leaves at once. */
static inline void send_segment(Stand *stand, uint32_t seq)
{
    bool sent;

    assert_int_equal(svan_frame_send(egress_of(stand->hall, POLICED),
                                     segment(stand, true, seq, 0), &sent), SVAN_STEP_DONE);
    assert_true(sent);
    left(stand, NULL);
}

/* A query of the paths, or flows; how many entries were written. */
static inline uint32_t query(Stand *stand, bool paths, uint32_t first, uint32_t room,
                             uint64_t bus, uint32_t *total)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_FLOWS);
    struct svan_cmd_resp resp;

    cmd.query_flows.addr = htole64(bus);
    cmd.query_flows.length = htole32(room * sizeof(struct svan_flow_entry));
    cmd.query_flows.function = htole32(POLICED);
    cmd.query_flows.first = htole32(first);
    cmd.query_flows.paths = paths;
    assert_int_equal(host_cmd(stand->hall->stations[0].host, &cmd, &resp), SVAN_CMD_OK);
    *total = le32toh(resp.query_flows.total);
    return le32toh(resp.query_flows.written);
}

#endif /* TESTS_STAND_H */
