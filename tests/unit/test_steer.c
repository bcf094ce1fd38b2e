/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steering: who gets a frame, who is refused, and what each refusal counts.
 */
#include "unit.h"

typedef struct Pair {
    Host *host;
    HostCq cq;
    HostQp a, b;
    SvanQp *dev_a;
} Pair;

static int pair_setup(void **state)
{
    Pair *pair = calloc(1, sizeof(*pair));

    pair->host = host_create(fake_create(NULL), 0, 1);
    pair->cq = host_cq(pair->host, 6);
    pair->a = host_qp(pair->host, &pair->cq, &pair->cq, &(HostQpAttr) { 0 });
    pair->b = host_qp(pair->host, &pair->cq, &pair->cq, &(HostQpAttr) { 0 });
    host_connect(&pair->a, &pair->b);
    pair->dev_a = svan_qp_get(host_fn(pair->host), pair->a.qpn);
    assert_non_null(pair->dev_a);
    *state = pair;
    return 0;
}

static int pair_teardown(void **state)
{
    Pair *pair = *state;

    fake_destroy(pair->host->fake);
    host_destroy(pair->host);
    free(pair);
    return 0;
}

#define PAIR_TEST(name) \
    cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)

/* An acknowledgement from a to b, as it would come over the wire. */
static SvanPkt packet(Pair *pair)
{
    SvanPkt pkt = {
        .opcode = SVAN_OP_ACK, .pkey = SVAN_PKEY_DEFAULT, .dqpn = pair->b.qpn,
        .syndrome = SVAN_AETH_NO_CREDITS,
    };

    assert_true(svan_gid_address(pair->dev_a->fn, &pair->dev_a->av, 0,
                                 &pkt.addr));
    return pkt;
}

static void arrive(Pair *pair, SvanFrame *frame)
{
    assert_non_null(frame);
    assert_true(svan_frame_in(pair->host->fake->core, frame));
    fake_run(pair->host->fake);
}

#define STATS(pair)     (*host_fn((pair)->host)->stats)

static void the_peer_is_heard(void **state)
{
    Pair *pair = *state;
    SvanPkt pkt = packet(pair);

    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).roce_rx_packets, 1);
    assert_int_equal(STATS(pair).port_rx_frames, 1);
}

static void strangers_are_not(void **state)
{
    Pair *pair = *state;
    SvanPkt pkt = packet(pair);

    pkt.addr.sgid[15] ^= 1;
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).rx_wrong_peer, 1);

    pkt = packet(pair);
    pkt.pkey = 0x1234;
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).rx_wrong_peer, 2);

    pkt = packet(pair);
    pkt.dqpn ^= 0x400;
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).rx_no_qp, 1);

    pkt = packet(pair);
    pkt.opcode = SVAN_BTH_UC | SVAN_OP_SEND_ONLY;
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).rx_no_qp, 2);
    assert_int_equal(STATS(pair).roce_rx_packets, 0);
}

static void a_queue_pair_in_error_is_deaf(void **state)
{
    Pair *pair = *state;
    SvanPkt pkt = packet(pair);
    const struct svan_cmd_modify_qp none = { 0 };

    assert_int_equal(host_modify(&pair->b, SVAN_QPS_ERR, 0, &none),
                     SVAN_CMD_OK);
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).rx_wrong_state, 1);
}

static void damage_is_counted(void **state)
{
    Pair *pair = *state;
    SvanPkt pkt = packet(pair);
    SvanFrame *frame = svan_pkt_encode(&pkt);

    frame->data[frame->len - 1] ^= 1;
    arrive(pair, frame);
    assert_int_equal(STATS(pair).rx_icrc_errors, 1);

    pkt.opcode = SVAN_BTH_UD | 0x1f;    /* no such operation */
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).rx_malformed, 1);
}

/* Congestion notifications that nobody may listen to are right all the same. */
static void notifications_are_no_damage(void **state)
{
    static uint8_t reserved[16];
    Pair *pair = *state;
    SvanPkt pkt = packet(pair);
    SvanFn *fn = host_fn(pair->host);
    SvanTrace *drop = &pair->host->fake->last[SVAN_TRACE_PKT_DROP];

    pkt.opcode = SVAN_OP_CNP;
    pkt.dqpn ^= 0x400;
    pkt.payload_len = sizeof(reserved);
    pkt.num_runs = 1;
    pkt.runs[0] = (SvanMem) { .host = reserved, .len = sizeof(reserved) };
    for (uint32_t i = 0; i < 2; i++) {
        arrive(pair, svan_pkt_encode(&pkt));
        assert_int_equal(drop->a, SVAN_OP_CNP);
        assert_int_equal(drop->c, SVAN_DROP_FILTERED);
        pkt.dqpn ^= 0x400;              /* the peer is right, but BECN is not set */
    }
    assert_int_equal(fn->stats->port_rx_frames, 2);
    assert_int_equal(fn->stats->cnps_ignored, 2);
    assert_int_equal(fn->stats->rx_malformed | fn->stats->rx_no_qp |
                     fn->stats->rx_wrong_peer | fn->stats->rx_wrong_state |
                     fn->stats->roce_rx_packets | fn->stats->eth_rx_filtered, 0);
    pkt.opcode = SVAN_OP_CNP + 1;
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(fn->stats->rx_malformed, 1);
}

/* A GID that is not ours, and everything else, is Ethernet's. */
static void other_traffic_goes_to_ethernet(void **state)
{
    Pair *pair = *state;
    SvanPkt pkt = packet(pair);
    SvanFn *fn = host_fn(pair->host);

    /* a queue pair, but of another type */
    assert_true(svan_filter_set(fn, &(SvanEthFilter) {
        .qpn = pair->a.qpn, .flags = SVAN_CMD_ETH_PROMISC,
    }));
    pkt.addr.dgid[15] ^= 1;
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).eth_rx_filtered, 1);
    pkt = packet(pair);
    pkt.addr.dmac[5] ^= 1;
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).eth_rx_filtered, 2);
    pkt = packet(pair);
    pkt.addr.has_vlan = true;
    pkt.addr.vlan = 5;
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).eth_rx_filtered, 3);
    assert_int_equal(STATS(pair).roce_rx_packets, 0);
    assert_int_equal(STATS(pair).rx_malformed, 0);
}

/* VLAN 0 is none, and a priority makes no difference. */
static void vlan_tags(void **state)
{
    static const struct {
        bool gid_tagged;
        uint16_t gid;
        bool tagged;
        uint16_t tci;
        bool heard;
    } rows[] = {
        { false, 0, true, 0x0000, true }, { false, 0, true, 0xe000, true },
        { false, 0, true, 0xe001, false }, { true, 5, true, 0x6005, true },
        { true, 5, true, 0x6006, false }, { true, 5, true, 0xe000, false },
        { true, 5, false, 0, false }, { true, 0x6000, true, 0x2000, true },
        { true, 0x6000, false, 0, true },
    };
    Pair *pair = *state;
    SvanFn *fn = host_fn(pair->host);
    struct svan_cmd_set_gid cmd = { 0 };
    uint32_t heard = 0;

    memcpy(cmd.gid, fn->net->gids[0].gid, sizeof(cmd.gid));
    memcpy(cmd.smac, fn->net->gids[0].smac, sizeof(cmd.smac));

    for (uint32_t i = 0; i < SIZE(rows); i++) {
        SvanPkt pkt = packet(pair);

        cmd.flags = rows[i].gid_tagged ? SVAN_CMD_GID_VLAN : 0;
        cmd.vlan = htole16(rows[i].gid);
        assert_int_equal(svan_gid_set(fn, &cmd), SVAN_CMD_OK);
        pkt.addr.has_vlan = rows[i].tagged;
        pkt.addr.vlan = rows[i].tci;
        heard += rows[i].heard;
        arrive(pair, svan_pkt_encode(&pkt));
        assert_int_equal(STATS(pair).roce_rx_packets, heard);
    }
}

/*
 * A second entry with the GID of the first, but another VLAN or MAC: its packets
 * are ours, and not the connection's.
 */
static void the_entry_of_another_connection(void **state)
{
    Pair *pair = *state;
    SvanGid *gids = host_fn(pair->host)->net->gids;
    SvanPkt pkt = packet(pair);

    for (uint32_t i = 0; i < 2; i++) {
        struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_GID);

        cmd.set_gid.index = htole32(7);
        memcpy(cmd.set_gid.gid, gids[0].gid, 16);
        memcpy(cmd.set_gid.smac, gids[0].smac, 6);
        cmd.set_gid.smac[5] ^= i;
        cmd.set_gid.flags = i ? 0 : SVAN_CMD_GID_VLAN;
        cmd.set_gid.vlan = htole16(5);
        host_must(pair->host, &cmd);
        pkt.addr.has_vlan = !i;
        pkt.addr.vlan = 5;
        memcpy(pkt.addr.dmac, cmd.set_gid.smac, 6);
        arrive(pair, svan_pkt_encode(&pkt));
        assert_int_equal(STATS(pair).rx_wrong_peer, i + 1);
    }
    assert_int_equal(STATS(pair).roce_rx_packets, 0);
    pkt = packet(pair);
    arrive(pair, svan_pkt_encode(&pkt));
    assert_int_equal(STATS(pair).roce_rx_packets, 1);
}

static void the_receive_queue_is_bounded(void **state)
{
    Pair *pair = *state;
    SvanCore *core = pair->host->fake->core;
    SvanPkt pkt = packet(pair);
    uint32_t taken = 0;
    SvanFrame *frame;

    while (svan_frame_in(core, frame = svan_pkt_encode(&pkt))) {
        assert_in_range(++taken, 1, 100000);
    }
    assert_false(svan_rx_room(core));
    assert_int_equal(STATS(pair).rx_queue_drops, 0);    /* it is offered again */
    fake_run(pair->host->fake);
    assert_true(svan_rx_room(core));
    assert_true(svan_frame_in(core, frame));
    fake_run(pair->host->fake);
    assert_int_equal(STATS(pair).roce_rx_packets, taken + 1);
}

/* What the port has lost is counted for it, and who sends into a cut wire sends. */
static void losses_of_the_port(void **state)
{
    Pair *pair = *state;
    SvanCore *core = pair->host->fake->core;
    HostSend send = { .opcode = SVAN_WQE_SEND };

    svan_rx_lost(core, 3);
    assert_int_equal(STATS(pair).rx_queue_drops, 3);
    qp_new_av(pair->dev_a)->dmac[5] ^= 1;               /* somewhere else */
    svan_set_link(core, false);
    host_send(&pair->a, &send);
    host_post(&pair->a);
    fake_run(pair->host->fake);
    assert_int_equal(pair->host->fake->out_frames, 0);
    assert_int_equal(STATS(pair).port_tx_frames, 0);
    assert_int_equal(STATS(pair).roce_tx_packets, 1);
}

static void loopback_does_not_touch_the_port(void **state)
{
    Pair *pair = *state;
    Fake *fake = pair->host->fake;
    uint64_t from = fake_alloc(fake, 4096, 4096);
    uint64_t to = fake_alloc(fake, 4096, 4096);
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = from, .length = 4000, .remote = to,
        .rkey = pair->host->all_key,
    };
    struct svan_cqe cqe;

    memset(fake_ram(fake, from), 0x77, 4000);
    host_send(&pair->a, &write);
    host_post(&pair->a);
    fake_run(fake);
    assert_true(host_cq_poll(&pair->cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
    assert_memory_equal(fake_ram(fake, from), fake_ram(fake, to), 4000);
    assert_int_equal(STATS(pair).port_tx_frames, 0);
    assert_int_equal(fake->out_frames, 0);
    assert_int_equal(STATS(pair).roce_local_bytes, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(the_peer_is_heard),
        PAIR_TEST(strangers_are_not),
        PAIR_TEST(a_queue_pair_in_error_is_deaf),
        PAIR_TEST(damage_is_counted),
        PAIR_TEST(notifications_are_no_damage),
        PAIR_TEST(other_traffic_goes_to_ethernet),
        PAIR_TEST(vlan_tags),
        PAIR_TEST(the_entry_of_another_connection),
        PAIR_TEST(the_receive_queue_is_bounded),
        PAIR_TEST(losses_of_the_port),
        PAIR_TEST(loopback_does_not_touch_the_port),
    };

    return cmocka_run_group_tests_name("steer", tests, NULL, NULL);
}
