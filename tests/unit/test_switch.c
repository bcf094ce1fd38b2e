/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch: who has an address, among all functions.
 */
#include "net/stations.h"
#include "hall.h"
#include "rng.h"

#define NUM_VFS         64
#define FEW_MACS        40              /* so that functions have the same ones */
#define FEW_GIDS        400

typedef struct Board {
    Fake *fake;
    SvanCore *core;
} Board;

static int board_setup(void **state)
{
    Board *board = calloc(1, sizeof(*board));
    SvanConfig config = fake_config;

    config.num_vfs = NUM_VFS;
    board->fake = fake_create(&config);
    board->core = board->fake->core;
    for (uint32_t f = 0; f < board->core->num_fns; f++) {
        assert_true(svan_parts_make(board->core->fns[f]));
        svan_fn_trust(board->core->fns[f]);
    }
    *state = board;
    return 0;
}

static int board_teardown(void **state)
{
    Board *board = *state;

    fake_destroy(board->fake);
    free(board);
    return 0;
}

#define BOARD_TEST(name) \
    cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)

/* ---- the same question to each function in turn ---- */

static bool wants(const SvanFn *fn, const uint8_t *dmac)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    const SvanEthFilter *filter = &fn->net->eth;

    if (!filter->qpn) {
        return false;
    }
    if ((filter->flags & SVAN_CMD_ETH_PROMISC) ||
        !memcmp(dmac, filter->mac, 6) || !memcmp(dmac, broadcast, 6)) {
        return true;
    }
    if (!(dmac[0] & 1)) {
        return false;
    }
    for (uint32_t i = 0; i < filter->num_mcast; i++) {
        if (!memcmp(filter->mcast[i], dmac, 6)) {
            return true;
        }
    }
    return filter->flags & SVAN_CMD_ETH_ALLMULTI;
}

static SvanFn *owner_of(SvanCore *core, const SvanAddr *addr)
{
    for (uint32_t f = 0; f < core->num_fns; f++) {
        for (uint32_t i = 0; i < SVAN_MAX_GID; i++) {
            if (svan_is_for_gid(addr, &core->fns[f]->net->gids[i])) {
                return core->fns[f];
            }
        }
    }
    return NULL;
}

/* ---- random tables ---- */

static void some_mac(Rng *rng, uint8_t *mac)
{
    static const uint8_t first[] = { 0x02, 0x33, 0x52 };

    memset(mac, 0, 6);
    mac[0] = first[rng_below(rng, 3)];
    mac[5] = rng_below(rng, FEW_MACS);
    if (!rng_below(rng, 20)) {
        memset(mac, 255, 6);
    }
}

static void some_address(Rng *rng, SvanAddr *addr)
{
    memset(addr, 0, sizeof(*addr));
    addr->dgid[3] = 1;
    addr->dgid[15] = rng_below(rng, FEW_GIDS / 4);
    addr->dmac[0] = 2;
    addr->dmac[5] = rng_below(rng, 2);
    addr->has_vlan = rng_below(rng, 2);
    addr->vlan = rng_below(rng, 2) | rng_below(rng, 2) << 13;
}

static void set_gid(SvanFn *fn, Rng *rng)
{
    struct svan_cmd_set_gid cmd = { 0 };
    SvanAddr addr;

    some_address(rng, &addr);
    cmd.index = htole32(rng_below(rng, SVAN_MAX_GID));
    cmd.flags = addr.has_vlan ? SVAN_CMD_GID_VLAN : 0;
    cmd.vlan = htole16(addr.vlan);
    memcpy(cmd.gid, addr.dgid, 16);
    memcpy(cmd.smac, addr.dmac, 6);
    svan_gid_set(fn, &cmd);             /* refused, if it is another's */
}

static void set_filter(SvanFn *fn, Rng *rng)
{
    uint8_t mcast[8][6];
    SvanEthFilter filter = {
        .qpn = rng_below(rng, 4), .num_mcast = rng_below(rng, 8),
        .mcast = mcast,
    };

    some_mac(rng, filter.mac);
    filter.mac[0] = 2;
    filter.flags = rng_below(rng, 8) ? 0 : 1u << rng_below(rng, 2);
    for (uint32_t i = 0; i < filter.num_mcast; i++) {
        some_mac(rng, mcast[i]);
    }
    assert_true(svan_filter_set(fn, &filter));
}

static void change(Board *board, Rng *rng)
{
    uint32_t id = rng_below(rng, board->core->num_fns);
    SvanFn *fn = board->core->fns[id];

    switch (rng_below(rng, 40)) {
    case 0:
        svan_reset(board->core, id);
        assert_true(svan_parts_make(fn));
        for (uint32_t f = 0; f < board->core->num_fns; f++) {
            svan_fn_trust(board->core->fns[f]);         /* unless the PF is reset */
        }
        break;
    case 1:
        svan_fatal(fn, SVAN_FATAL_INTERNAL);
        break;
    case 2:
        svan_filter_off(fn);
        break;
    case 3 ... 8:
        svan_gid_clear(fn, rng_below(rng, SVAN_MAX_GID));
        break;
    case 9 ... 15:
        set_filter(fn, rng);
        break;
    default:
        set_gid(fn, rng);
        break;
    }
}

static void ask(Board *board, Rng *rng)
{
    SvanFrame *frame;
    SvanFnSet set;
    SvanAddr addr;
    uint8_t mac[6];

    some_address(rng, &addr);
    assert_ptr_equal(svan_gid_owner(board->core, &addr),
                     owner_of(board->core, &addr));
    some_mac(rng, mac);
    frame = svan_frame_alloc(sizeof(mac));
    memcpy(frame->data, mac, sizeof(mac));
    set = svan_frame_route(board->core, frame).fns;
    svan_frame_free(frame);
    for (uint32_t f = 0, next; f < board->core->num_fns; f++) {
        next = svan_fn_set_next(&set, f);
        assert_int_equal(next == f, wants(board->core->fns[f], mac));
    }
    assert_int_equal(svan_fn_set_next(&set, board->core->num_fns), SVAN_NONE);
}

static void every_function_is_found(void **state)
{
    Board *board = *state;
    Rng rng = rng_make(0x5eed, 0);

    for (uint32_t i = 0; i < 60000; i++) {
        change(board, &rng);
        ask(board, &rng);
    }
    for (uint32_t f = 0; f < board->core->num_fns; f++) {
        svan_reset(board->core, f);
    }
    assert_int_equal(board->core->sw->num_stations, 0);
}

/* ---- what a search costs ---- */

static uint32_t longest_chain(const SvanSwitch *sw)
{
    uint32_t longest = 0;

    for (uint32_t i = 0; i < 1u << sw->log_buckets; i++) {
        uint32_t n = 0;

        for (SvanStation *s = sw->buckets[i]; s; s = s->next) {
            n++;
        }
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* Full tables of neighbouring addresses in all functions. */
static void a_search_does_not_grow(void **state)
{
    Board *board = *state;
    SvanSwitch *sw = board->core->sw;
    uint32_t num_fns = board->core->num_fns;
    uint8_t mcast[SVAN_MAX_MCAST][6];

    for (uint32_t f = 0; f < num_fns; f++) {
        SvanEthFilter filter = {
            .qpn = 2, .mac = { 2, 0, 0, 0, 0, f }, .num_mcast = SVAN_MAX_MCAST,
            .mcast = mcast,
        };

        for (uint32_t i = 0; i < SVAN_MAX_GID; i++) {
            struct svan_cmd_set_gid cmd = {
                .index = htole32(i), .smac = { 2, 0, 0, 0, 0, f },
                .gid = { 0xfe, 0x80, [14] = i, [15] = f },
            };

            assert_int_equal(svan_gid_set(board->core->fns[f], &cmd),
                             SVAN_CMD_OK);
        }
        for (uint32_t i = 0; i < SVAN_MAX_MCAST; i++) {
            memcpy(mcast[i], (uint8_t[]) { 0x33, 0x33, 0, 0, f, i }, 6);
        }
        assert_true(svan_filter_set(board->core->fns[f], &filter));
    }
    assert_int_equal(sw->num_stations,
                     num_fns * (2 * SVAN_MAX_GID + SVAN_MAX_MCAST + 1));
    assert_in_range(1u << sw->log_buckets, sw->num_stations,
                    2 * sw->num_stations);
    assert_in_range(longest_chain(sw), 1, 12);
}

/* ---- frames between functions ---- */

static const uint8_t broadcast_mac[6] = { 255, 255, 255, 255, 255, 255 };
static const uint8_t group_mac[6] = { 0x33, 0x33, 0, 0, 0, 7 };

static void join_group(Hall *hall, uint32_t id)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_MCAST);
    uint64_t list = fake_alloc(hall->fake, 8, 8);

    memcpy(fake_ram(hall->fake, list), group_mac, 6);
    cmd.eth_mcast.addr = htole64(list);
    cmd.eth_mcast.count = htole32(1);
    assert_int_equal(host_cmd(hall->stations[id].host, &cmd, NULL),
                     SVAN_CMD_OK);
}

/* Sends it, and says who has received it: a bit for each function. */
static uint32_t heard_by(Hall *hall, uint32_t id, const uint8_t *dmac)
{
    uint32_t heard = 0;

    post_frame(hall, id, dmac, 0x5a);
    fake_run(hall->fake);
    assert_int_equal(completed(&hall->stations[id].send_cq), 1);
    for (uint32_t i = 0; i < NUM_STATIONS; i++) {
        uint32_t count = completed(&hall->stations[i].recv_cq);

        assert_in_range(count, 0, 1);
        heard |= count << i;
    }
    return heard;
}

static void a_frame_goes_to_the_function_that_has_its_mac(void **state)
{
    Hall *hall = *state;
    const Station *to = &hall->stations[2];

    for (uint32_t miss = 0; miss < 2; miss++) {
        hall->fake->miss_every = miss ? 3 : 0;
        assert_int_equal(heard_by(hall, 1, to->mac), 1 << 2);
        assert_false(left_by_the_port(hall));
    }
    assert_int_equal(STAT(hall, 1, eth_tx_frames), 2);
    assert_int_equal(STAT(hall, 1, eth_local_frames), 2);
    assert_int_equal(STAT(hall, 1, eth_local_bytes), 200);
    assert_int_equal(STAT(hall, 2, eth_rx_frames), 2);
    assert_int_equal(STAT(hall, 0, port_tx_frames), 0);
    assert_int_equal(STAT(hall, 0, port_rx_frames), 0);
}

static void what_arrives_is_what_was_sent(void **state)
{
    Hall *hall = *state;
    Station *to = &hall->stations[3];
    const struct svan_rwqe *first = fake_ram(hall->fake, to->qp.rq_bus);
    uint64_t buffer = le64toh(first->sge[0].addr);
    uint8_t expected[100];

    memset(expected, 0xa5, sizeof(expected));
    memcpy(expected, to->mac, 6);
    memcpy(expected + 6, hall->stations[0].mac, 6);
    post_frame(hall, 0, to->mac, 0xa5);
    fake_run(hall->fake);
    assert_memory_equal(fake_ram(hall->fake, buffer), expected, 100);
}

static void others_go_to_the_port(void **state)
{
    Hall *hall = *state;

    assert_int_equal(heard_by(hall, 1, stranger_mac), 0);
    assert_true(left_by_the_port(hall));
    assert_int_equal(heard_by(hall, 1, hall->stations[1].mac), 0);
    assert_true(left_by_the_port(hall));
    svan_filter_off(fn_of(hall, 2));
    assert_int_equal(heard_by(hall, 1, hall->stations[2].mac), 0);
    assert_true(left_by_the_port(hall));
    assert_int_equal(STAT(hall, 1, eth_tx_frames), 3);
    assert_int_equal(STAT(hall, 1, eth_local_frames), 0);
}

static void a_promiscuous_function_sees_all_but_its_own(void **state)
{
    Hall *hall = *state;

    trust(hall, 3);
    filter(hall, 3, SVAN_CMD_ETH_PROMISC);
    assert_int_equal(heard_by(hall, 1, hall->stations[2].mac),
                     1 << 2 | 1 << 3);
    assert_false(left_by_the_port(hall));
    assert_int_equal(heard_by(hall, 1, stranger_mac), 1 << 3);
    assert_true(left_by_the_port(hall));
    assert_int_equal(heard_by(hall, 3, stranger_mac), 0);
    assert_true(left_by_the_port(hall));
    assert_int_equal(heard_by(hall, 3, broadcast_mac), 7);
    assert_true(left_by_the_port(hall));
}

static void groups(void **state)
{
    Hall *hall = *state;

    assert_int_equal(heard_by(hall, 0, broadcast_mac), 0xe);
    assert_true(left_by_the_port(hall));
    join_group(hall, 0);
    join_group(hall, 2);
    trust(hall, 3);
    filter(hall, 3, SVAN_CMD_ETH_ALLMULTI);
    assert_int_equal(heard_by(hall, 0, group_mac), 0xc);
    assert_true(left_by_the_port(hall));
    assert_int_equal(heard_by(hall, 1, group_mac), 0xd);
    assert_true(left_by_the_port(hall));
    assert_int_equal(STAT(hall, 0, eth_tx_frames), 2);
    assert_int_equal(STAT(hall, 0, eth_local_frames), 2);
    assert_int_equal(STAT(hall, 0, port_tx_frames), 3);
}

/* Three receive what one sends, in turns of the port: who has sent it pays for them. */
static void who_shouts_pays_for_it(void **state)
{
    Hall *hall = *state;
    SvanCore *core = hall->fake->core;
    uint64_t own, cost;

    post_frame(hall, 1, broadcast_mac, 0x5a);
    while (!core->ingress->head) {
        svan_run(core);
    }
    own = fn_of(hall, 1)->served;
    cost = core->cost;
    while (core->ingress->head) {
        svan_run(core);
    }
    assert_int_equal(STAT(hall, 2, eth_rx_frames), 1);
    assert_true(core->cost > cost);
    assert_true(fn_of(hall, 1)->served - own >= core->cost - cost);
}

static void the_link_need_not_be_up(void **state)
{
    Hall *hall = *state;

    svan_set_link(hall->fake->core, false);
    assert_int_equal(heard_by(hall, 1, hall->stations[0].mac), 1);
    assert_int_equal(heard_by(hall, 1, broadcast_mac), 0xd);
    assert_int_equal(heard_by(hall, 1, stranger_mac), 0);
    assert_false(left_by_the_port(hall));
    assert_int_equal(STAT(hall, 1, eth_tx_frames), 2);
}

/* A group waits for the port, and comes to each once. */
static void a_full_port(void **state)
{
    Hall *hall = *state;

    hall->fake->out_full = true;
    post_frame(hall, 1, broadcast_mac, 1);
    fake_run(hall->fake);
    assert_int_equal(completed(&hall->stations[0].recv_cq), 0);
    assert_int_equal(completed(&hall->stations[1].send_cq), 0);
    assert_int_equal(heard_by(hall, 2, hall->stations[0].mac), 1);
    hall->fake->out_full = false;
    svan_tx_ready(hall->fake->core);
    fake_run(hall->fake);
    assert_int_equal(completed(&hall->stations[0].recv_cq), 1);
    assert_int_equal(completed(&hall->stations[1].send_cq), 1);
    assert_true(left_by_the_port(hall));
}

static void a_receiver_without_room_delays_nobody(void **state)
{
    Hall *hall = *state;
    struct svan_cmd off = host_cmd_init(SVAN_CMD_SET_PORT);

    for (uint32_t i = 0; i < BUFFERS; i++) {
        assert_int_equal(heard_by(hall, 1, hall->stations[2].mac), 1 << 2);
    }
    assert_int_equal(heard_by(hall, 1, hall->stations[2].mac), 0);
    assert_int_equal(STAT(hall, 2, eth_rx_no_buffer), 1);
    assert_int_equal(STAT(hall, 1, eth_tx_frames), BUFFERS + 1);
    host_must(hall->stations[3].host, &off);
    assert_int_equal(heard_by(hall, 1, hall->stations[3].mac), 0);
    assert_int_equal(STAT(hall, 3, port_disabled_drops), 1);
    assert_false(left_by_the_port(hall));
}

static SvanFrame *frame_to(const uint8_t *dmac)
{
    SvanFrame *frame = svan_frame_alloc(60);

    memset(frame->data, 0, 60);
    memcpy(frame->data, dmac, 6);
    frame->len = 60;
    return frame;
}

/* Who floods has his own frames lost; nobody else's. */
static void what_waits_is_bounded_for_each(void **state)
{
    Hall *hall = *state;
    SvanCore *core = hall->fake->core;
    const uint8_t *to = hall->stations[3].mac;
    uint32_t waiting = 0;
    bool sent = true;

    trust_all(hall);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(svan_frame_send(egress_of(hall, 1), frame_to(to), &sent),
                         SVAN_STEP_DONE);
        waiting += sent;
    }
    assert_int_equal(waiting, 16);
    assert_int_equal(STAT(hall, 1, eth_local_drops), 84);
    assert_int_equal(STAT(hall, 1, eth_tx_frames), 16);
    assert_int_equal(svan_frame_send(egress_of(hall, 2), frame_to(to), &sent),
                     SVAN_STEP_DONE);
    assert_true(sent);
    assert_int_equal(core->ingress->frames, 0);
    assert_true(svan_frame_in(core, frame_to(to)));
    assert_true(fake_restore(hall->fake));
    assert_int_equal(hall->fake->core->ingress->frames, 1);
    fake_run(hall->fake);
    assert_int_equal(completed(&hall->stations[3].recv_cq), 18);
    assert_int_equal(heard_by(hall, 1, to), 1 << 3);
}

/* ---- sources ---- */

/* An acknowledgement of a connection between two functions, as a frame. */
static SvanFrame *ack_frame(HostQp *from, HostQp *to)
{
    SvanQp *qp = svan_qp_get(host_fn(from->host), from->qpn);
    SvanPkt pkt = {
        .opcode = SVAN_OP_ACK, .pkey = SVAN_PKEY_DEFAULT, .dqpn = to->qpn,
        .syndrome = SVAN_AETH_NO_CREDITS,
    };

    assert_true(svan_gid_address(qp->fn, &qp->av, 0, &pkt.addr));
    return svan_pkt_encode(&pkt);
}

static void a_packet_is_of_its_sender(void **state)
{
    Hall *hall = *state;
    HostQp a = host_qp(hall->stations[1].host, &hall->stations[1].send_cq,
                       &hall->stations[1].recv_cq, NULL);
    HostQp b = host_qp(hall->stations[2].host, &hall->stations[2].send_cq,
                       &hall->stations[2].recv_cq, NULL);
    SvanFrame *other;
    bool sent;

    trust_all(hall);
    host_connect(&a, &b);
    svan_frame_send(egress_of(hall, 1), ack_frame(&a, &b), &sent);
    assert_true(sent);
    fake_run(hall->fake);
    assert_int_equal(STAT(hall, 2, roce_rx_packets), 1);
    svan_frame_send(egress_of(hall, 3), ack_frame(&a, &b), &sent);
    fake_run(hall->fake);
    assert_int_equal(STAT(hall, 3, source_drops), 1);
    /* of nobody */
    other = ack_frame(&a, &b);
    other->data[11] ^= 0x40;
    svan_frame_send(egress_of(hall, 1), other, &sent);
    fake_run(hall->fake);
    assert_int_equal(STAT(hall, 1, source_drops), 1);
    assert_int_equal(STAT(hall, 2, roce_rx_packets), 1);
    assert_int_equal(STAT(hall, 2, eth_rx_frames), 0);
    assert_false(left_by_the_port(hall));
}

/* It is reset before its packet has come to anybody: it counts nothing any more. */
static void the_sender_of_a_packet_may_be_gone(void **state)
{
    Hall *hall = *state;
    HostQp a = host_qp(hall->stations[1].host, &hall->stations[1].send_cq,
                       &hall->stations[1].recv_cq, NULL);
    HostQp b = host_qp(hall->stations[2].host, &hall->stations[2].send_cq,
                       &hall->stations[2].recv_cq, NULL);
    bool sent;

    trust_all(hall);
    host_connect(&a, &b);
    svan_frame_send(egress_of(hall, 3), ack_frame(&a, &b), &sent);
    assert_true(sent);
    svan_reset(hall->fake->core, 3);
    fake_run(hall->fake);
    svan_frame_send(egress_of(hall, 1), ack_frame(&a, &b), &sent);
    assert_true(sent);
    svan_reset(hall->fake->core, 1);
    assert_true(fake_restore(hall->fake));
    fake_run(hall->fake);
    assert_null(hall->fake->core->ingress->head);
    assert_int_equal(STAT(hall, 2, roce_rx_packets), 0);
    assert_int_equal(STAT(hall, 2, eth_rx_frames), 0);
}

/* To its own GID it is sent to the port, whoever looks on. */
static void a_packet_does_not_come_back(void **state)
{
    Hall *hall = *state;
    HostQp a = host_qp(hall->stations[1].host, &hall->stations[1].send_cq,
                       &hall->stations[1].recv_cq, NULL);
    bool sent;

    trust_all(hall);
    host_connect(&a, &a);
    filter(hall, 3, SVAN_CMD_ETH_PROMISC);
    svan_frame_send(egress_of(hall, 1), ack_frame(&a, &a), &sent);
    fake_run(hall->fake);
    assert_true(left_by_the_port(hall));
    assert_int_equal(STAT(hall, 1, roce_rx_packets), 0);
    assert_int_equal(STAT(hall, 1, source_drops), 0);
    assert_int_equal(completed(&hall->stations[3].recv_cq), 1);
}

static void without_its_gid_a_packet_does_not_leave(void **state)
{
    Hall *hall = *state;
    HostQp a = host_qp(hall->stations[1].host, &hall->stations[1].send_cq,
                       &hall->stations[1].recv_cq, NULL);
    HostSend send = { .opcode = SVAN_WQE_SEND };

    host_connect(&a, &a);
    assert_int_equal(svan_gid_clear(fn_of(hall, 1), 0), SVAN_CMD_OK);
    host_send(&a, &send);
    host_post(&a);
    fake_run(hall->fake);
    assert_int_equal(STAT(hall, 1, source_drops), 1);
    assert_int_equal(STAT(hall, 1, roce_tx_packets), 0);
    assert_false(left_by_the_port(hall));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOARD_TEST(every_function_is_found),
        BOARD_TEST(a_search_does_not_grow),
        HALL_TEST(a_frame_goes_to_the_function_that_has_its_mac),
        HALL_TEST(what_arrives_is_what_was_sent),
        HALL_TEST(others_go_to_the_port),
        HALL_TEST(a_promiscuous_function_sees_all_but_its_own),
        HALL_TEST(groups),
        HALL_TEST(who_shouts_pays_for_it),
        HALL_TEST(the_link_need_not_be_up),
        HALL_TEST(a_full_port),
        HALL_TEST(a_receiver_without_room_delays_nobody),
        HALL_TEST(what_waits_is_bounded_for_each),
        HALL_TEST(a_packet_is_of_its_sender),
        HALL_TEST(the_sender_of_a_packet_may_be_gone),
        HALL_TEST(a_packet_does_not_come_back),
        HALL_TEST(without_its_gid_a_packet_does_not_leave),
    };

    return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
