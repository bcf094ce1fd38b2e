/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multicast groups: who gets what is sent to them, and who does not (PRM "Queue pairs").
 */
#include "hall.h"
#include "net/stations.h"
#include "transport/unreliable.h"

#define A(name)         SVAN_QP_ATTR_##name
#define QKEY            0x11223344u
#define GRH             40u
#define ROOM            512u
#define LENGTH          100u

static const uint8_t group4[16] = { [10] = 0xff, 0xff, 239, 1, 2, 3 };
static const uint8_t group6[16] = { 0xff, 0x1e, [15] = 9 };

typedef struct Member {
    HostCq cq;
    HostQp qp;
    uint64_t buffer;
} Member;

typedef struct Club {
    Hall *hall;
    Member members[NUM_STATIONS];       /* one of each function */
    uint64_t data;
} Club;

static void to_rts(HostQp *qp, uint32_t qkey)
{
    struct svan_cmd_modify_qp attrs = { .attr = { .port = 1, .qkey = htole32(qkey) } };

    assert_int_equal(host_modify(qp, SVAN_QPS_INIT, A(PKEY_INDEX) | A(QKEY) | A(PORT),
                                 &attrs), SVAN_CMD_OK);
    assert_int_equal(host_modify(qp, SVAN_QPS_RTR, 0, &attrs), SVAN_CMD_OK);
    assert_int_equal(host_modify(qp, SVAN_QPS_RTS, A(SQ_PSN), &attrs), SVAN_CMD_OK);
}

static Member member_of(Hall *hall, uint32_t fn)
{
    HostQpAttr attr = { .type = SVAN_QPT_UD, .log_sq = 4, .log_rq = 4, .max_sge = 1 };
    Host *host = hall->stations[fn].host;
    Member member = { .cq = host_cq(host, 6), .buffer = fake_alloc(hall->fake, ROOM, 64) };

    member.qp = host_qp(host, &member.cq, &member.cq, &attr);
    member.qp.send_cq = member.qp.recv_cq = NULL;
    to_rts(&member.qp, QKEY);
    return member;
}

static int setup(void **state)
{
    Club *club = calloc(1, sizeof(*club));
    void *hall;

    hall_setup(&hall);
    club->hall = hall;
    for (uint32_t fn = 0; fn < NUM_STATIONS; fn++) {
        club->members[fn] = member_of(hall, fn);
    }
    club->data = fake_alloc(club->hall->fake, LENGTH, 64);
    for (uint32_t i = 0; i < LENGTH; i++) {
        *(uint8_t *)fake_ram(club->hall->fake, club->data + i) = i + 1;
    }
    *state = club;
    return 0;
}

static int teardown(void **state)
{
    Club *club = *state;
    void *hall = club->hall;

    free(club);
    return hall_teardown(&hall);
}

#define CLUB_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static uint8_t change(Member *member, uint16_t opcode, const uint8_t *gid)
{
    struct svan_cmd cmd = host_cmd_init(opcode);

    cmd.attach_mcast.qpn = htole32(member->qp.qpn);
    memcpy(cmd.attach_mcast.gid, gid, 16);
    return host_cmd(member->qp.host, &cmd, NULL);
}

static void join(Member *member, const uint8_t *gid)
{
    assert_int_equal(change(member, SVAN_CMD_ATTACH_MCAST, gid), SVAN_CMD_OK);
}

static void leave(Member *member, const uint8_t *gid)
{
    assert_int_equal(change(member, SVAN_CMD_DETACH_MCAST, gid), SVAN_CMD_OK);
}

static void listen(Member *member)
{
    host_recv(&member->qp, member->buffer, ROOM);
    host_post_recv(&member->qp);
}

static void send_to(Club *club, Member *from, const uint8_t *gid, uint8_t sgid,
                    struct svan_av av)
{
    HostWr wr = {
        .opcode = SVAN_WQE_SEND, .num_sge = 1, .av = &av,
        .sge = { { club->data, LENGTH, from->qp.host->all_key } },
    };

    av.sgid_index = sgid;
    av.hop_limit = 1;
    av.qkey = htole32(QKEY);
    memcpy(av.dgid, gid, 16);
    host_write_wqe(&from->qp, &wr);
    host_post(&from->qp);
    fake_run(club->hall->fake);
}

static void send_by(Club *club, Member *from, const uint8_t *gid, uint8_t sgid)
{
    struct svan_av av = { .dqpn = htole32(SVAN_QPN_MASK) };

    if (gid[0] == 0xff) {
        memcpy(av.dmac, (uint8_t[]) { 0x33, 0x33, gid[12], gid[13], gid[14], gid[15] }, 6);
    } else {
        memcpy(av.dmac, (uint8_t[]) { 1, 0, 0x5e, gid[13] & 0x7f, gid[14], gid[15] }, 6);
    }
    send_to(club, from, gid, sgid, av);
}

/* How many datagrams it got; their data is right. */
static uint32_t got(Club *club, Member *member)
{
    struct svan_cqe cqe;
    uint32_t count = 0;

    while (host_cq_poll(&member->cq, &cqe)) {
        assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
        if (cqe.opcode == SVAN_CQE_RECV) {
            assert_int_equal(le32toh(cqe.byte_len), GRH + LENGTH);
            assert_memory_equal(fake_ram(club->hall->fake, member->buffer + GRH),
                                fake_ram(club->hall->fake, club->data), LENGTH);
            count++;
        }
    }
    return count;
}

/* A frame that has left by the port; it is one for the group. */
static SvanFrame *left(Club *club, const uint8_t *gid)
{
    SvanFrame *frame = fake_frame(club->hall->fake);
    SvanPkt pkt;

    assert_non_null(frame);
    assert_null(fake_frame(club->hall->fake));
    assert_int_equal(svan_pkt_decode(frame, &pkt), SVAN_DECODE_OK);
    assert_int_equal(pkt.dqpn, SVAN_QPN_MASK);
    assert_memory_equal(pkt.addr.dgid, gid, 16);
    return frame;
}

static void members_get_it_wherever_they_are(void **state)
{
    Club *club = *state;
    Member second = member_of(club->hall, 1), *m = club->members;

    join(&m[0], group4);                /* the sender itself */
    join(&m[1], group4);
    join(&second, group4);
    join(&m[3], group4);
    join(&m[3], group4);                /* which counts once */
    for (uint32_t fn = 0; fn < NUM_STATIONS; fn++) {
        listen(&m[fn]);
        listen(&m[fn]);
    }
    listen(&second);
    send_by(club, &m[0], group4, 0);
    assert_int_equal(got(club, &m[0]), 1);
    assert_int_equal(got(club, &m[1]), 1);
    assert_int_equal(got(club, &second), 1);
    assert_int_equal(got(club, &m[2]), 0);
    assert_int_equal(got(club, &m[3]), 1);
    svan_frame_free(left(club, group4));

    leave(&m[3], group4);
    assert_int_equal(change(&m[3], SVAN_CMD_DETACH_MCAST, group4), SVAN_CMD_BAD_RESOURCE);
    send_by(club, &m[0], group4, 0);
    assert_int_equal(got(club, &m[3]), 0);
    assert_int_equal(got(club, &m[1]), 1);
    svan_frame_free(left(club, group4));
}

static void it_comes_from_the_wire_too(void **state)
{
    Club *club = *state;
    Member *m = club->members;
    SvanFrame *frame;

    send_by(club, &m[0], group4, 0);
    frame = left(club, group4);
    frame->data[6 + 5] ^= 0x40;         /* by another NIC */
    join(&m[1], group4);
    join(&m[2], group4);
    listen(&m[1]);
    listen(&m[2]);
    assert_true(svan_frame_in(club->hall->fake->core, frame));
    fake_run(club->hall->fake);
    assert_int_equal(got(club, &m[1]), 1);
    assert_int_equal(got(club, &m[2]), 1);
}

/* Each member looks for itself. */
static void what_is_damaged_reaches_none(void **state)
{
    Club *club = *state;
    Member *m = club->members;
    SvanFrame *frame;

    send_by(club, &m[0], group4, 0);
    frame = left(club, group4);
    frame->data[6 + 5] ^= 0x40;         /* by another NIC */
    frame->data[frame->len - SVAN_ICRC_SIZE - 1] ^= 1;
    for (uint32_t fn = 1; fn < NUM_STATIONS; fn++) {
        join(&m[fn], group4);
        listen(&m[fn]);
    }
    assert_true(svan_frame_in(club->hall->fake->core, frame));
    fake_run(club->hall->fake);
    for (uint32_t fn = 1; fn < NUM_STATIONS; fn++) {
        assert_int_equal(got(club, &m[fn]), 0);
        assert_int_equal(STAT(club->hall, fn, rx_icrc_errors), 1);
    }
}

static void nobody_is_forced_to_listen(void **state)
{
    Club *club = *state;
    Member *m = club->members;
    struct svan_cmd_modify_qp attrs = { .attr.state = 0 };

    join(&m[1], group4);
    join(&m[2], group4);
    join(&m[3], group4);
    listen(&m[2]);
    svan_qp_get(fn_of(club->hall, 1), m[1].qp.qpn)->qkey++;
    listen(&m[1]);
    assert_int_equal(host_modify(&m[3].qp, SVAN_QPS_ERR, 0, &attrs), SVAN_CMD_OK);
    send_by(club, &m[0], group4, 0);
    svan_frame_free(left(club, group4));
    assert_int_equal(got(club, &m[1]), 0);
    assert_int_equal(STAT(club->hall, 1, rx_wrong_peer), 1);
    assert_int_equal(got(club, &m[2]), 1);
    assert_int_equal(STAT(club->hall, 3, rx_wrong_state), 1);
    /* A queue pair that is gone has left its groups. */
    assert_int_equal(host_object(m[2].qp.host, SVAN_CMD_DESTROY_QP, m[2].qp.qpn),
                     SVAN_CMD_OK);
    send_by(club, &m[0], group4, 0);
    svan_frame_free(left(club, group4));
    assert_null(fn_of(club->hall, 2)->qps->groups);
}

static void a_group_is_within_a_vlan(void **state)
{
    Club *club = *state;
    Member *m = club->members;

    join(&m[1], group4);
    join(&m[2], group4);
    set_function(club->hall, 2, SVAN_SET_FUNCTION_VLAN, &(struct svan_function_attr) {
        .vlan = htole16(7),
    });
    listen(&m[1]);
    listen(&m[2]);
    send_by(club, &m[0], group4, 0);
    svan_frame_free(left(club, group4));
    assert_int_equal(got(club, &m[1]), 1);
    assert_int_equal(got(club, &m[2]), 0);
}

static void groups_of_ipv6(void **state)
{
    Club *club = *state;
    Member *m = club->members;
    const uint8_t gid6[16] = { 0xfe, 0x80, [15] = 1 };

    host_set_gid(m[1].qp.host, 1, gid6);
    join(&m[1], group6);
    join(&m[1], group4);
    listen(&m[1]);
    send_by(club, &m[1], group6, 1);
    svan_frame_free(left(club, group6));
    assert_int_equal(got(club, &m[1]), 1);
}

static void what_is_refused(void **state)
{
    Club *club = *state;
    Member *m = club->members, eth = { .qp = club->hall->stations[0].qp };
    const uint8_t unicast[16] = { [10] = 0xff, 0xff, 10, 1, 2, 3 };
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ATTACH_MCAST);
    uint8_t gid[16] = { 0xff, 2 };

    assert_int_equal(change(&m[0], SVAN_CMD_ATTACH_MCAST, unicast), SVAN_CMD_BAD_PARAM);
    assert_int_equal(change(&eth, SVAN_CMD_ATTACH_MCAST, group4), SVAN_CMD_NOT_SUPPORTED);
    cmd.attach_mcast.qpn = htole32(0x999);
    assert_int_equal(host_cmd(m[0].qp.host, &cmd, NULL), SVAN_CMD_BAD_RESOURCE);
    for (uint32_t i = 0; i < SVAN_MAX_MCAST_GROUPS; i++) {
        gid[15] = i;
        gid[14] = i >> 8;
        join(&m[0], gid);
    }
    assert_int_equal(change(&m[0], SVAN_CMD_ATTACH_MCAST, group4), SVAN_CMD_NO_RESOURCES);
    join(&m[1], group4);                /* another function has its own */
    leave(&m[0], gid);
    join(&m[0], group4);
}

static Member owned_by(Hall *hall, uint32_t fn, uint32_t owner)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ALLOC_UAR);
    Host *host = hall->stations[fn].host;
    HostQpAttr attr = { .type = SVAN_QPT_UD, .log_sq = 4, .log_rq = 4, .max_sge = 1 };
    Member member = { 0 };

    cmd.alloc_uar.owner = htole32(owner);
    attr.uar = host_must(host, &cmd);
    member.cq = host_cq_of(host, 6, attr.uar);
    member.qp = host_qp(host, &member.cq, &member.cq, &attr);
    member.qp.send_cq = member.qp.recv_cq = NULL;
    return member;
}

static void an_owner_leaves_groups_to_others(void **state)
{
    Club *club = *state;
    Member greedy = owned_by(club->hall, 1, 5), other = owned_by(club->hall, 1, 6);
    uint8_t gid[16] = { 0xff, 2 };
    uint32_t made = 0;

    while (change(&greedy, SVAN_CMD_ATTACH_MCAST, gid) == SVAN_CMD_OK) {
        assert_true(++made < SVAN_MAX_MCAST_GROUPS);
        gid[15] = made;
        gid[14] = made >> 8;
    }
    assert_true(made >= SVAN_MAX_MCAST_GROUPS / 4);
    join(&other, gid);
    /* That group is the other's. Who may make none may join it, but not fill it. */
    join(&greedy, gid);
    for (made = 0; made < SVAN_MAX_MCAST_QPS; made++) {
        Member more = owned_by(club->hall, 1, 5);

        if (change(&more, SVAN_CMD_ATTACH_MCAST, gid) != SVAN_CMD_OK) {
            break;
        }
    }
    assert_in_range(made, SVAN_MAX_MCAST_QPS / 4, SVAN_MAX_MCAST_QPS - 4);
    leave(&other, gid);
    join(&other, gid);
}

/* A program of its own, such as soft-RoCE over the netdev, sends as well. */
static void what_the_netdev_sends_reaches_members(void **state)
{
    Club *club = *state;
    Member *m = club->members;
    SvanFrame *frame;
    bool sent;

    trust_all(club->hall);
    send_by(club, &m[1], group4, 0);
    frame = left(club, group4);
    join(&m[2], group4);
    listen(&m[2]);
    frame->from = SVAN_FROM_PORT;
    assert_int_equal(svan_frame_send(egress_of(club->hall, 1), frame, &sent), SVAN_STEP_DONE);
    fake_run(club->hall->fake);
    assert_int_equal(got(club, &m[2]), 1);
    svan_frame_free(left(club, group4));
}

/* Members and netdevs that listen to a group's MAC get the same frames, wherever they are. */
static void netdevs_get_it_as_well(void **state)
{
    Club *club = *state;
    Member *m = club->members;
    Hall *hall = club->hall;
    SvanFrame *frame;

    trust_all(hall);
    filter(hall, 2, SVAN_CMD_ETH_ALLMULTI);
    filter(hall, 3, SVAN_CMD_ETH_ALLMULTI);
    send_by(club, &m[0], group4, 0);
    frame = left(club, group4);
    assert_int_equal(completed(&hall->stations[2].recv_cq), 1);
    assert_int_equal(completed(&hall->stations[3].recv_cq), 1);

    join(&m[1], group4);
    join(&m[2], group4);
    listen(&m[1]);
    listen(&m[1]);
    listen(&m[2]);
    listen(&m[2]);
    send_by(club, &m[0], group4, 0);
    svan_frame_free(left(club, group4));
    frame->data[6 + 5] ^= 0x40;         /* by another NIC */
    assert_true(svan_frame_in(hall->fake->core, frame));
    fake_run(hall->fake);
    assert_int_equal(got(club, &m[1]), 2);
    assert_int_equal(got(club, &m[2]), 2);
    assert_int_equal(completed(&hall->stations[1].recv_cq), 0);
    assert_int_equal(completed(&hall->stations[2].recv_cq), 2);
    assert_int_equal(completed(&hall->stations[3].recv_cq), 2);
}

/* Neither a group's MAC nor its GID nor its number alone makes a datagram one of a group. */
static void all_of_an_address_is_the_groups(void **state)
{
    Club *club = *state;
    Member *m = club->members;
    struct svan_av mac_of_one = { .dqpn = htole32(SVAN_QPN_MASK) },
                   number_of_one = {
        .dqpn = htole32(m[1].qp.qpn), .dmac = { 1, 0, 0x5e, 1, 2, 3 },
    };

    memcpy(mac_of_one.dmac, m[1].qp.host->gids[0].smac, 6);
    join(&m[1], group4);
    listen(&m[1]);
    send_to(club, &m[0], group4, 0, mac_of_one);
    svan_frame_free(left(club, group4));
    send_to(club, &m[0], group4, 0, number_of_one);
    svan_frame_free(fake_frame(club->hall->fake));
    assert_int_equal(got(club, &m[1]), 0);
    assert_int_equal(STAT(club->hall, 1, rx_no_qp), 1);
}

/* A datagram with another's address as its sender reaches nobody, group or not. */
static void a_group_is_no_way_to_forge(void **state)
{
    Club *club = *state;
    Member *m = club->members;
    SvanFrame *frame;

    join(&m[2], group4);
    listen(&m[2]);
    send_by(club, &m[0], group4, 0);
    assert_int_equal(got(club, &m[2]), 1);
    frame = left(club, group4);
    frame->from = 1;                    /* as if function 1 had sent it */
    listen(&m[2]);
    assert_true(svan_rx_put(club->hall->fake->core, frame));
    fake_run(club->hall->fake);
    assert_int_equal(got(club, &m[2]), 0);
    assert_int_equal(STAT(club->hall, 1, source_drops), 1);
}

/* A function leaves the network when one of its queue pairs has had the datagram. */
static void half_of_a_datagram_costs_the_next_one_nothing(void **state)
{
    Club *club = *state;
    Member second = member_of(club->hall, 1), *m = club->members;
    SvanFrame *frame, *again;

    send_by(club, &m[0], group4, 0);
    frame = left(club, group4);
    frame->data[6 + 5] ^= 0x40;         /* by another NIC */
    again = svan_frame_copy(frame);
    join(&m[1], group4);
    join(&second, group4);
    listen(&m[1]);
    listen(&m[1]);
    listen(&second);
    assert_true(svan_frame_in(club->hall->fake->core, frame));
    for (uint32_t runs = 0; !got(club, &m[1]); runs++) {
        assert_true(runs < 100);
        svan_run(club->hall->fake->core);
    }
    fn_of(club->hall, 1)->net->port_enabled = false;
    fake_run(club->hall->fake);
    assert_int_equal(got(club, &second), 0);
    fn_of(club->hall, 1)->net->port_enabled = true;
    assert_true(svan_frame_in(club->hall->fake->core, again));
    fake_run(club->hall->fake);
    assert_int_equal(got(club, &m[1]), 1);
    assert_int_equal(got(club, &second), 1);
}

static void groups_survive_a_move(void **state)
{
    Club *club = *state;
    Member *m = club->members;
    SvanCore *core = club->hall->fake->core;
    size_t len;
    void *stream;

    join(&m[1], group4);
    join(&m[1], group6);
    join(&m[3], group4);
    stream = svan_save(core, &len);
    assert_non_null(stream);
    assert_true(svan_load(core, stream, len));
    free(stream);
    listen(&m[1]);
    listen(&m[3]);
    send_by(club, &m[0], group4, 0);
    svan_frame_free(left(club, group4));
    assert_int_equal(got(club, &m[1]), 1);
    assert_int_equal(got(club, &m[3]), 1);
    leave(&m[1], group6);
}

/* What an account has is its own after a move, though it would not get as much again. */
static void what_an_owner_has_survives_a_move(void **state)
{
    Club *club = *state;
    Member greedy = owned_by(club->hall, 1, 5), other = owned_by(club->hall, 1, 6);
    SvanCore *core = club->hall->fake->core;
    uint8_t gid[16] = { 0xff, 2 };
    uint32_t made, given = SVAN_MAX_MCAST_GROUPS / 4;
    size_t len;
    void *stream;

    for (made = 0; made < given; made++) {
        gid[15] = made;
        join(&other, gid);
        join(&greedy, gid);
    }
    for (; change(&greedy, SVAN_CMD_ATTACH_MCAST, gid) == SVAN_CMD_OK; made++) {
        assert_true(made < SVAN_MAX_MCAST_GROUPS);
        gid[15] = made;
        gid[14] = made >> 8;
    }
    gid[14] = 0;
    while (given--) {
        gid[15] = given;
        leave(&other, gid);             /* the group is the greedy one's from now on */
    }
    stream = svan_save(core, &len);
    assert_non_null(stream);
    assert_true(svan_load(core, stream, len));
    free(stream);
    leave(&greedy, gid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUB_TEST(members_get_it_wherever_they_are),
        CLUB_TEST(it_comes_from_the_wire_too),
        CLUB_TEST(what_is_damaged_reaches_none),
        CLUB_TEST(nobody_is_forced_to_listen),
        CLUB_TEST(a_group_is_within_a_vlan),
        CLUB_TEST(groups_of_ipv6),
        CLUB_TEST(what_is_refused),
        CLUB_TEST(what_the_netdev_sends_reaches_members),
        CLUB_TEST(netdevs_get_it_as_well),
        CLUB_TEST(all_of_an_address_is_the_groups),
        CLUB_TEST(an_owner_leaves_groups_to_others),
        CLUB_TEST(a_group_is_no_way_to_forge),
        CLUB_TEST(half_of_a_datagram_costs_the_next_one_nothing),
        CLUB_TEST(groups_survive_a_move),
        CLUB_TEST(what_an_owner_has_survives_a_move),
    };

    return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
