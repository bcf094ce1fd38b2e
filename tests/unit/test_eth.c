/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ethernet queue pairs: frames out and in, checksums, filters, what is dropped.
 */
#include "unit.h"

#define FRAME_ROOM      9220u

static const uint8_t own_mac[6] = { 0x52, 0x54, 0, 0, 0, 0x42 };

typedef struct Eth {
    Host *host;
    HostCq send_cq, recv_cq;
    HostQp qp;
} Eth;

static void set_filter(Eth *eth, uint8_t flags, uint32_t max_frame)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);

    cmd.eth_filter.qpn = htole32(eth->qp.qpn);
    memcpy(cmd.eth_filter.mac, own_mac, 6);
    cmd.eth_filter.flags = flags;
    cmd.eth_filter.max_frame = htole32(max_frame);
    assert_int_equal(host_cmd(eth->host, &cmd, NULL), SVAN_CMD_OK);
}

static int eth_setup(void **state)
{
    HostQpAttr attr = {
        .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED, .max_sge = 4,
    };
    Eth *eth = calloc(1, sizeof(*eth));

    eth->host = host_create(fake_create(NULL), 0, 1);
    eth->send_cq = host_cq(eth->host, 6);
    eth->recv_cq = host_cq(eth->host, 6);
    eth->qp = host_qp(eth->host, &eth->send_cq, &eth->recv_cq, &attr);
    host_eth_rts(&eth->qp);
    set_filter(eth, 0, FRAME_ROOM);
    *state = eth;
    return 0;
}

static int eth_teardown(void **state)
{
    Eth *eth = *state;

    fake_destroy(eth->host->fake);
    host_destroy(eth->host);
    free(eth);
    return 0;
}

#define ETH_TEST(name) \
    cmocka_unit_test_setup_teardown(name, eth_setup, eth_teardown)

static Fake *fake_of(Eth *eth)
{
    return eth->host->fake;
}

/* Memory with a pattern, at any offset in a page. */
static uint64_t pattern(Eth *eth, uint32_t len, uint32_t offset)
{
    uint64_t bus = fake_alloc(fake_of(eth), len + offset, SVAN_PAGE_SIZE) +
                   offset;
    uint8_t *p = fake_ram(fake_of(eth), bus);

    for (uint32_t i = 0; i < len; i++) {
        p[i] = i * 7 + (i >> 8);
    }
    return bus;
}

/* A send entry, not posted. These queues know bus addresses alone. */
static struct svan_wqe_head *prepare(Eth *eth, const HostSend *send)
{
    struct svan_wqe_head *head = &svan_sq_bb(&eth->qp.sq, eth->qp.sq_pi)->head;

    host_send(&eth->qp, send);
    head->sge[0].lkey = htole32(SVAN_KEY_LOCAL_DMA);
    return head;
}

static void recv_into(Eth *eth, uint64_t bus, uint32_t len)
{
    uint32_t slot = eth->qp.rq_pi & ((1u << eth->qp.log_rq) - 1);
    struct svan_rwqe *rwqe = fake_ram(fake_of(eth), eth->qp.rq_bus +
                                      (slot << eth->qp.log_stride));

    host_recv(&eth->qp, bus, len);
    rwqe->sge[0].lkey = htole32(SVAN_KEY_LOCAL_DMA);
}

static void send(Eth *eth, uint64_t bus, uint32_t len, uint8_t flags)
{
    HostSend wqe = {
        .opcode = SVAN_WQE_ETH_SEND, .flags = flags | SVAN_WQE_SIGNALED,
        .addr = bus, .length = len,
    };

    prepare(eth, &wqe);
    host_post(&eth->qp);
    fake_run(fake_of(eth));
}

static uint8_t send_status(Eth *eth)
{
    struct svan_cqe cqe;

    assert_true(host_cq_poll(&eth->send_cq, &cqe));
    assert_int_equal(cqe.opcode, SVAN_CQE_SQ);
    return cqe.status;
}

static void frames_of_every_kind_go_out(void **state)
{
    static const uint32_t lengths[] = { 14, 59, 60, 61, 1514, 4096, 9220 };
    Eth *eth = *state;

    for (uint32_t miss = 0; miss < 2; miss++) {
        fake_of(eth)->miss_every = miss ? 7 : 0;
        for (size_t i = 0; i < SIZE(lengths); i++) {
            uint64_t bus = pattern(eth, lengths[i], 4001 + i);
            SvanFrame *frame;

            send(eth, bus, lengths[i], 0);
            assert_int_equal(send_status(eth), SVAN_CQE_SUCCESS);
            frame = fake_frame(fake_of(eth));
            assert_non_null(frame);
            assert_int_equal(frame->len, lengths[i] < 60 ? 60 : lengths[i]);
            assert_memory_equal(frame->data, fake_ram(fake_of(eth), bus),
                                lengths[i]);
            for (uint32_t n = lengths[i]; n < frame->len; n++) {
                assert_int_equal(frame->data[n], 0);
            }
            svan_frame_free(frame);
        }
    }
}

static void a_full_wire_delays_and_loses_nothing(void **state)
{
    Eth *eth = *state;
    uint64_t bus = pattern(eth, 1000, 0);
    struct svan_cqe cqe;
    SvanFrame *frame;

    fake_of(eth)->out_full = true;
    send(eth, bus, 1000, 0);
    assert_false(host_cq_poll(&eth->send_cq, &cqe));
    fake_of(eth)->out_full = false;
    svan_tx_ready(fake_of(eth)->core);
    fake_run(fake_of(eth));
    assert_int_equal(send_status(eth), SVAN_CQE_SUCCESS);
    frame = fake_frame(fake_of(eth));
    assert_memory_equal(frame->data, fake_ram(fake_of(eth), bus), 1000);
    svan_frame_free(frame);
    assert_null(fake_frame(fake_of(eth)));
}

static void a_frame_of_wrong_length_breaks_the_queue(void **state)
{
    Eth *eth = *state;
    struct svan_eqe eqe;

    send(eth, pattern(eth, 9300, 0), SVAN_MAX_FRAME + 1, 0);
    assert_int_equal(send_status(eth), SVAN_CQE_LOC_LEN_ERR);
    assert_int_equal(host_state(&eth->qp), SVAN_QPS_ERR);
    assert_true(host_eq_poll(eth->host, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_QP_FATAL);
    assert_null(fake_frame(fake_of(eth)));
}

static uint16_t sum16(const uint8_t *p, uint32_t len, uint32_t sum)
{
    for (uint32_t i = 0; i < len; i++) {
        sum += i & 1 ? p[i] : p[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* An IPv4 UDP frame with `len` octets of payload; checksums as asked. */
static uint32_t udp_frame(uint8_t *p, uint32_t len, bool pseudo_only)
{
    uint8_t *ip = p + 14, *udp = ip + 20;
    uint32_t udp_len = 8 + len;
    uint16_t sum;

    memset(p, 0, 42);
    memcpy(p, own_mac, 6);
    p[12] = 8;
    ip[0] = 0x45;
    ip[2] = (20 + udp_len) >> 8;
    ip[3] = 20 + udp_len;
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
    sum = ~sum16(ip, 20, 0);
    ip[10] = sum >> 8;
    ip[11] = sum;
    udp[0] = 0x30;
    udp[2] = 0x40;
    udp[4] = udp_len >> 8;
    udp[5] = udp_len;
    for (uint32_t i = 0; i < len; i++) {
        udp[8 + i] = i * 3;
    }
    sum = sum16(ip + 12, 8, 17 + udp_len);
    if (!pseudo_only) {
        sum = ~sum16(udp, udp_len, sum);
    }
    udp[6] = sum >> 8;
    udp[7] = sum;
    return 42 + len;
}

static void the_checksum_is_completed(void **state)
{
    Eth *eth = *state;
    uint64_t bus = pattern(eth, 2048, 100);

    for (uint32_t len = 1; len < 1400; len += 131) {
        uint8_t expected[2048];
        uint32_t total = udp_frame(fake_ram(fake_of(eth), bus), len, true);
        HostSend wqe = {
            .opcode = SVAN_WQE_ETH_SEND, .addr = bus, .length = total,
            .flags = SVAN_WQE_ETH_CSUM | SVAN_WQE_SIGNALED,
        };
        struct svan_wqe_head *head = prepare(eth, &wqe);
        SvanFrame *frame;

        head->eth.csum_start = htole16(34);
        head->eth.csum_offset = htole16(6);
        host_post(&eth->qp);
        fake_run(fake_of(eth));
        assert_int_equal(send_status(eth), SVAN_CQE_SUCCESS);
        frame = fake_frame(fake_of(eth));
        udp_frame(expected, len, false);
        assert_memory_equal(frame->data, expected, total);
        svan_frame_free(frame);
    }
}

static void a_checksum_outside_the_frame_is_refused(void **state)
{
    Eth *eth = *state;
    HostSend wqe = {
        .opcode = SVAN_WQE_ETH_SEND, .addr = pattern(eth, 100, 0),
        .length = 100, .flags = SVAN_WQE_ETH_CSUM,
    };
    struct svan_wqe_head *head = prepare(eth, &wqe);

    head->eth.csum_start = htole16(34);
    head->eth.csum_offset = htole16(65);
    host_post(&eth->qp);
    fake_run(fake_of(eth));
    assert_int_equal(send_status(eth), SVAN_CQE_LOC_QP_OP_ERR);
    assert_null(fake_frame(fake_of(eth)));
}

static void receive(Eth *eth, const uint8_t *data, uint32_t len)
{
    SvanFrame *frame = svan_frame_alloc(len);

    memcpy(frame->data, data, len);
    frame->len = len;
    assert_true(svan_frame_in(fake_of(eth)->core, frame));
    fake_run(fake_of(eth));
}

static void frames_come_in_whole(void **state)
{
    static const uint32_t lengths[] = { 60, 1514, 4096, 4097, 9220 };
    Eth *eth = *state;
    uint8_t data[FRAME_ROOM];

    for (uint32_t miss = 0; miss < 2; miss++) {
        fake_of(eth)->miss_every = miss ? 7 : 0;
        for (size_t i = 0; i < SIZE(lengths); i++) {
            uint64_t bus = pattern(eth, FRAME_ROOM, 777);
            struct svan_cqe cqe;

            for (uint32_t n = 0; n < lengths[i]; n++) {
                data[n] = n * 5 + i;
            }
            memcpy(data, own_mac, 6);
            recv_into(eth, bus, FRAME_ROOM);
            receive(eth, data, lengths[i]);
            assert_true(host_cq_poll(&eth->recv_cq, &cqe));
            assert_int_equal(cqe.opcode, SVAN_CQE_ETH_RECV);
            assert_int_equal(le32toh(cqe.byte_len), lengths[i]);
            assert_memory_equal(fake_ram(fake_of(eth), bus), data, lengths[i]);
        }
    }
}

static void received_checksums_are_judged(void **state)
{
    Eth *eth = *state;
    uint8_t data[256];
    uint32_t len = udp_frame(data, 33, false);
    const uint8_t both = SVAN_CQE_CSUM_IP_OK | SVAN_CQE_CSUM_L4_OK;
    const struct {
        uint32_t octet;
        uint8_t flags;
    } flips[] = {
        { 0, both }, { 60, SVAN_CQE_CSUM_IP_OK }, { 22, 0 },
    };

    for (size_t i = 0; i < SIZE(flips); i++) {
        struct svan_cqe cqe;

        if (flips[i].octet) {
            data[flips[i].octet] ^= 4;
        }
        recv_into(eth, pattern(eth, 2048, 0), 2048);
        receive(eth, data, len);
        assert_true(host_cq_poll(&eth->recv_cq, &cqe));
        assert_int_equal(cqe.owner & both, flips[i].flags);
        if (flips[i].octet) {
            data[flips[i].octet] ^= 4;
        }
    }
}

/* The frame of udp_frame() as one of IPv6, `vlan` octets further in. */
static uint32_t udp6_frame(uint8_t *p, uint32_t len, uint32_t vlan)
{
    uint8_t *ip = p + 14 + vlan, *udp = ip + 40;
    uint32_t udp_len = 8 + len;
    uint16_t sum;

    memset(p, 0, 14 + vlan + 48);
    memcpy(p, own_mac, 6);
    if (vlan) {
        memcpy(p + 12, "\x81\x00\x00\x05", 4);
    }
    memcpy(p + 12 + vlan, "\x86\xdd", 2);
    ip[0] = 0x60;
    ip[4] = udp_len >> 8;
    ip[5] = udp_len;
    ip[6] = 17;
    ip[7] = 64;
    memcpy(ip + 8, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    memcpy(ip + 24, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
    udp[0] = 0x30;
    udp[2] = 0x40;
    udp[4] = udp_len >> 8;
    udp[5] = udp_len;
    for (uint32_t i = 0; i < len; i++) {
        udp[8 + i] = i * 3;
    }
    sum = ~sum16(udp, udp_len, sum16(ip + 8, 32, 17 + udp_len));
    udp[6] = sum >> 8;
    udp[7] = sum;
    return 14 + vlan + 48 + len;
}

static uint8_t judgement(Eth *eth, const uint8_t *data, uint32_t len)
{
    struct svan_cqe cqe;

    recv_into(eth, pattern(eth, 2048, 0), 2048);
    receive(eth, data, len);
    assert_true(host_cq_poll(&eth->recv_cq, &cqe));
    return cqe.owner & (SVAN_CQE_CSUM_IP_OK | SVAN_CQE_CSUM_L4_OK);
}

/* Right sums over a length that the headers do not agree on are no judgement. */
static void a_udp_length_of_its_own(void **state)
{
    static const int off[] = { -8, -1, 1 };
    Eth *eth = *state;
    uint8_t data[256];

    for (size_t i = 0; i < SIZE(off); i++) {
        uint32_t len = udp_frame(data, 33, false);
        uint16_t sum;

        data[39] += off[i];
        data[40] = data[41] = 0;
        sum = ~sum16(data + 34, len - 34, sum16(data + 26, 8, 17 + len - 34));
        data[40] = sum >> 8;
        data[41] = sum;
        assert_int_equal(judgement(eth, data, len), SVAN_CQE_CSUM_IP_OK);
    }
}

/* IPv6 has no checksum of its own, and one of UDP that is judged. */
static void received_ipv6_is_judged(void **state)
{
    Eth *eth = *state;
    uint8_t data[256];

    for (uint32_t vlan = 0; vlan <= 4; vlan += 4) {
        uint32_t len = udp6_frame(data, 33, vlan);
        uint8_t *ip = data + 14 + vlan;

        assert_int_equal(judgement(eth, data, len), SVAN_CQE_CSUM_L4_OK);
        assert_int_equal(judgement(eth, data, len + 3), SVAN_CQE_CSUM_L4_OK);
        assert_int_equal(judgement(eth, data, len - 1), 0);
        data[len - 1] ^= 1;
        assert_int_equal(judgement(eth, data, len), 0);
        data[len - 1] ^= 1;
        ip[0] = 0x50;                   /* no such version */
        assert_int_equal(judgement(eth, data, len), 0);
        ip[0] = 0x60;
        ip[6] = 44;                     /* a fragment header */
        assert_int_equal(judgement(eth, data, len), 0);
        ip[6] = 17;
        ip[4] = 0xff;
        assert_int_equal(judgement(eth, data, len), 0);
        assert_int_equal(judgement(eth, data, 14 + vlan + 39), 0);
    }
}

static void what_is_not_wanted_is_not_received(void **state)
{
    static const uint8_t other[6] = { 2, 0, 0, 0, 0, 9 };
    static const uint8_t multicast[6] = { 1, 0, 0x5e, 0, 0, 1 };
    Eth *eth = *state;
    SvanFn *fn = host_fn(eth->host);
    uint8_t data[100] = { 0 };

    recv_into(eth, pattern(eth, 2048, 0), 2048);
    recv_into(eth, pattern(eth, 2048, 0), 2048);
    memcpy(data, other, 6);
    receive(eth, data, sizeof(data));
    memcpy(data, multicast, 6);
    receive(eth, data, sizeof(data));
    assert_int_equal(fn->stats->eth_rx_frames, 0);
    set_filter(eth, SVAN_CMD_ETH_ALLMULTI, FRAME_ROOM);
    receive(eth, data, sizeof(data));
    assert_int_equal(fn->stats->eth_rx_frames, 1);
    memcpy(data, other, 6);
    receive(eth, data, sizeof(data));
    assert_int_equal(fn->stats->eth_rx_frames, 1);
    set_filter(eth, SVAN_CMD_ETH_PROMISC, FRAME_ROOM);
    receive(eth, data, sizeof(data));
    assert_int_equal(fn->stats->eth_rx_frames, 2);
}

static void drops_take_no_entry_and_are_counted(void **state)
{
    Eth *eth = *state;
    SvanFn *fn = host_fn(eth->host);
    uint8_t data[300] = { 0 };

    memcpy(data, own_mac, 6);
    receive(eth, data, sizeof(data));
    assert_int_equal(fn->stats->eth_rx_no_buffer, 1);
    recv_into(eth, pattern(eth, 256, 0), 256);
    receive(eth, data, sizeof(data));
    assert_int_equal(fn->stats->eth_rx_too_long, 1);
    set_filter(eth, 0, 128);
    receive(eth, data, 200);
    assert_int_equal(fn->stats->eth_rx_too_long, 2);
    receive(eth, data, 128);
    assert_int_equal(fn->stats->eth_rx_frames, 1);
    receive(eth, data, 13);
    assert_int_equal(fn->stats->rx_malformed, 1);
}

static void frame_in(Eth *eth, const uint8_t *dmac, uint32_t len)
{
    SvanFrame *frame = svan_frame_alloc(len);

    memset(frame->data, len, len);
    memcpy(frame->data, dmac, 6);
    frame->len = len;
    assert_true(svan_frame_in(fake_of(eth)->core, frame));
}

/* Runs until so much of the frame at the head has been copied. */
static void copied(Eth *eth, uint32_t offset)
{
    for (uint32_t i = 0; fake_of(eth)->core->ingress->offset != offset ||
                         !fake_of(eth)->core->ingress->qpn; i++) {
        assert_true(i < 10);
        svan_run(fake_of(eth)->core);
    }
}

/* As by the command, between two steps. */
static void filter_is(Eth *eth, uint32_t qpn, const uint8_t *mac)
{
    SvanFn *fn = host_fn(eth->host);
    SvanEthFilter filter = fn->net->eth;

    filter.qpn = qpn;
    memcpy(filter.mac, mac, sizeof(filter.mac));
    assert_true(svan_filter_set(fn, &filter));
}

/* The next frame is not taken for the one that a new filter does not want. */
static void a_filter_changes_in_mid_frame(void **state)
{
    static const uint32_t offsets[] = { 0, 4096 };
    static const uint8_t other[6] = { 2, 0, 0, 0, 0, 9 };
    Eth *eth = *state;
    SvanFn *fn = host_fn(eth->host);

    for (uint32_t i = 0; i < SIZE(offsets); i++) {
        uint64_t bus = pattern(eth, FRAME_ROOM, 0);
        struct svan_cqe cqe;

        recv_into(eth, bus, 6000);
        frame_in(eth, own_mac, 6000);
        copied(eth, offsets[i]);
        filter_is(eth, eth->qp.qpn, other);
        frame_in(eth, other, 9000);     /* larger than the buffer */
        fake_run(fake_of(eth));
        assert_int_equal(fn->stats->eth_rx_too_long, i + 1);
        frame_in(eth, other, 5000);
        fake_run(fake_of(eth));
        assert_int_equal(host_state(&eth->qp), SVAN_QPS_RTS);
        assert_true(host_cq_poll(&eth->recv_cq, &cqe));
        assert_int_equal(le32toh(cqe.byte_len), 5000);
        assert_false(host_cq_poll(&eth->recv_cq, &cqe));
        filter_is(eth, eth->qp.qpn, own_mac);
    }
}

static void vlan_is(Eth *eth, uint16_t vlan)
{
    struct svan_function_attr attr = { .vlan = htole16(vlan) };

    assert_int_equal(svan_vport_set(host_fn(eth->host), SVAN_SET_FUNCTION_VLAN, &attr),
                     SVAN_CMD_OK);
}

/* With its tag it is longer than the buffer, which without it has held a part of it. */
static void vlan_ends_in_mid_frame(Eth *eth, bool by_reset)
{
    static const uint8_t tag[] = { 0x81, 0, 0, 7 };
    uint64_t before = host_fn(eth->host)->stats->eth_rx_too_long;
    SvanFn *fn = host_fn(eth->host);
    uint64_t bus = pattern(eth, FRAME_ROOM, 0);
    SvanFrame *frame = svan_frame_alloc(6004);
    struct svan_cqe cqe;

    vlan_is(eth, 7);
    recv_into(eth, bus, 6000);
    memset(frame->data, 0, 6004);
    memcpy(frame->data, own_mac, 6);
    memcpy(frame->data + 12, tag, sizeof(tag));
    frame->len = 6004;
    assert_true(svan_frame_in(fake_of(eth)->core, frame));
    copied(eth, 4096);
    if (by_reset) {
        svan_reset_settings(fake_of(eth)->core);
    } else {
        vlan_is(eth, 0);
    }
    fake_run(fake_of(eth));
    assert_int_equal(fn->stats->eth_rx_too_long, before + 1);
    assert_int_equal(host_state(&eth->qp), SVAN_QPS_RTS);
    frame_in(eth, own_mac, 5000);
    fake_run(fake_of(eth));
    assert_true(host_cq_poll(&eth->recv_cq, &cqe));
    assert_int_equal(le32toh(cqe.byte_len), 5000);
}

static void a_vlan_changes_in_mid_frame(void **state)
{
    vlan_ends_in_mid_frame(*state, false);
    vlan_ends_in_mid_frame(*state, true);
}

/* To another queue pair and back: neither takes the rest for a whole. */
static void a_frame_does_not_change_its_queue(void **state)
{
    HostQpAttr attr = { .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED };
    Eth *eth = *state;
    SvanFn *fn = host_fn(eth->host);
    Eth second = *eth;
    struct svan_cqe cqe;

    second.qp = host_qp(eth->host, &eth->send_cq, &eth->recv_cq, &attr);
    host_eth_rts(&second.qp);
    recv_into(eth, pattern(eth, FRAME_ROOM, 0), FRAME_ROOM);
    recv_into(&second, pattern(eth, FRAME_ROOM, 0), FRAME_ROOM);
    frame_in(eth, own_mac, 9000);
    copied(eth, 0);
    filter_is(eth, second.qp.qpn, own_mac);
    copied(eth, 4096);
    filter_is(eth, eth->qp.qpn, own_mac);
    fake_run(fake_of(eth));
    assert_false(host_cq_poll(&eth->recv_cq, &cqe));
    assert_int_equal(fn->stats->eth_rx_no_buffer, 1);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t qpn = i ? second.qp.qpn : eth->qp.qpn;

        filter_is(eth, qpn, own_mac);
        frame_in(eth, own_mac, 100 + i);
        fake_run(fake_of(eth));
        assert_true(host_cq_poll(&eth->recv_cq, &cqe));
        assert_int_equal(le32toh(cqe.byte_len), 100 + i);
        assert_int_equal(le32toh(cqe.qpn), qpn);
    }
}

/* Frames are lost, and complete; none comes in. */
static void a_disabled_port_is_a_cut_wire(void **state)
{
    Eth *eth = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_PORT);
    uint64_t bus = pattern(eth, 1000, 0);
    uint8_t data[100] = { 0 };
    struct svan_cqe cqe;

    memcpy(data, own_mac, 6);
    host_must(eth->host, &cmd);
    send(eth, bus, 1000, 0);
    assert_int_equal(send_status(eth), SVAN_CQE_SUCCESS);
    assert_null(fake_frame(fake_of(eth)));
    assert_int_equal(host_fn(eth->host)->stats->eth_tx_frames, 0);
    recv_into(eth, bus, 1000);
    receive(eth, data, sizeof(data));
    assert_false(host_cq_poll(&eth->recv_cq, &cqe));
    assert_int_equal(host_fn(eth->host)->stats->port_disabled_drops, 2);
    cmd.port.enabled = 1;
    host_must(eth->host, &cmd);
    receive(eth, data, sizeof(data));
    assert_true(host_cq_poll(&eth->recv_cq, &cqe));
}

/* Saved with a frame on its way out and one half received. */
static void a_restored_queue_goes_on(void **state)
{
    Eth *eth = *state;
    uint64_t out = pattern(eth, 3000, 5), in = pattern(eth, FRAME_ROOM, 0);
    uint8_t data[6000];
    struct svan_cqe cqe;
    SvanFrame *frame;

    memset(data, 0x3c, sizeof(data));
    memcpy(data, own_mac, 6);
    fake_of(eth)->out_full = true;
    send(eth, out, 3000, 0);
    assert_true(fake_restore(fake_of(eth)));
    fake_of(eth)->out_full = false;
    svan_tx_ready(fake_of(eth)->core);
    fake_run(fake_of(eth));
    assert_int_equal(send_status(eth), SVAN_CQE_SUCCESS);
    frame = fake_frame(fake_of(eth));
    assert_non_null(frame);
    assert_memory_equal(frame->data, fake_ram(fake_of(eth), out), 3000);
    svan_frame_free(frame);
    assert_null(fake_frame(fake_of(eth)));

    recv_into(eth, in, FRAME_ROOM);
    frame = svan_frame_alloc(sizeof(data));
    memcpy(frame->data, data, sizeof(data));
    frame->len = sizeof(data);
    assert_true(svan_frame_in(fake_of(eth)->core, frame));
    svan_run(fake_of(eth)->core);
    svan_run(fake_of(eth)->core);
    assert_true(fake_restore(fake_of(eth)));
    fake_run(fake_of(eth));
    assert_true(host_cq_poll(&eth->recv_cq, &cqe));
    assert_int_equal(le32toh(cqe.byte_len), sizeof(data));
    assert_memory_equal(fake_ram(fake_of(eth), in), data, sizeof(data));
    assert_false(host_cq_poll(&eth->recv_cq, &cqe));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ETH_TEST(frames_of_every_kind_go_out),
        ETH_TEST(a_full_wire_delays_and_loses_nothing),
        ETH_TEST(a_frame_of_wrong_length_breaks_the_queue),
        ETH_TEST(the_checksum_is_completed),
        ETH_TEST(a_checksum_outside_the_frame_is_refused),
        ETH_TEST(frames_come_in_whole),
        ETH_TEST(received_checksums_are_judged),
        ETH_TEST(a_udp_length_of_its_own),
        ETH_TEST(received_ipv6_is_judged),
        ETH_TEST(what_is_not_wanted_is_not_received),
        ETH_TEST(drops_take_no_entry_and_are_counted),
        ETH_TEST(a_filter_changes_in_mid_frame),
        ETH_TEST(a_vlan_changes_in_mid_frame),
        ETH_TEST(a_frame_does_not_change_its_queue),
        ETH_TEST(a_disabled_port_is_a_cut_wire),
        ETH_TEST(a_restored_queue_goes_on),
    };

    return cmocka_run_group_tests_name("eth", tests, NULL, NULL);
}
