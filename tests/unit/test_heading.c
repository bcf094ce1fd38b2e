/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A queue pair keeps where its packets go: each change of what that depends on holds for
 * the next packet.
 */
#include "hall.h"

#define SENDER          1
#define RECEIVER        2
#define VLAN            7

typedef struct Road {
    Hall *hall;
    HostQp from, to;
    uint64_t memory;
    uint32_t packets;           /* requests that were about to leave since the last look */
    SvanAddr addr;              /* of the last of them */
    bool is_local;
} Road;

static SvanVerdict watch(void *arg, const SvanFlowUnit *unit, uint64_t *when)
{
    Road *road = arg;

    if (unit->fn->id == SENDER && unit->pkt) {
        road->packets++;
        road->addr = unit->pkt->addr;
        road->is_local = unit->is_local;
    }
    return SVAN_VERDICT_SEND;
}

static const SvanFlowOps flow_ops = { .verdict = watch };

static int road_setup(void **state)
{
    Road *road = calloc(1, sizeof(*road));
    Station *from, *to;
    void *hall;

    hall_setup(&hall);
    road->hall = hall;
    from = &road->hall->stations[SENDER];
    to = &road->hall->stations[RECEIVER];
    road->from = host_qp(from->host, &from->send_cq, &from->recv_cq, NULL);
    road->to = host_qp(to->host, &to->send_cq, &to->recv_cq, NULL);
    road->memory = fake_alloc(road->hall->fake, 4096, 4096);
    svan_flow_watch(road->hall->fake->core, &flow_ops, road);
    *state = road;
    return 0;
}

static int road_teardown(void **state)
{
    Road *road = *state;
    void *hall = road->hall;

    free(road);
    return hall_teardown(&hall);
}

#define ROAD_TEST(name) \
    cmocka_unit_test_setup_teardown(name, road_setup, road_teardown)

/* A request of one packet. */
static void post_one(Road *road)
{
    HostSend write = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED, .addr = road->memory,
        .length = 8, .remote = road->memory, .rkey = road->to.host->all_key,
    };

    road->packets = 0;
    host_send(&road->from, &write);
    host_post(&road->from);
    fake_run(road->hall->fake);
}

/* The same; how many packets the receiver has got by it. */
static uint32_t send_one(Road *road)
{
    uint64_t before = STAT(road->hall, RECEIVER, roce_rx_packets);

    post_one(road);
    return STAT(road->hall, RECEIVER, roce_rx_packets) - before;
}

static void connect_all(Road *road)
{
    host_connect(&road->from, &road->to);
    assert_int_equal(send_one(road), 1);
    assert_int_equal(road->packets, 1);
    assert_true(road->is_local);
}

static void set_vlan(Road *road, uint32_t id, uint16_t vlan)
{
    set_function(road->hall, id, SVAN_SET_FUNCTION_VLAN, &(struct svan_function_attr) {
        .vlan = htole16(vlan),
    });
}

static void leaves_by_the_port(Road *road)
{
    post_one(road);
    assert_int_equal(road->packets, 1);
    assert_false(road->is_local);
    assert_true(left_by_the_port(road->hall));
}

/* Whose the address is. */
static void the_receiver_goes_and_comes(void **state)
{
    Road *road = *state;
    Host *host = road->hall->stations[RECEIVER].host;
    uint8_t gid[16];

    connect_all(road);
    memcpy(gid, host->gids[0].gid, 16);
    assert_int_equal(host_object(host, SVAN_CMD_CLEAR_GID, 0), SVAN_CMD_OK);
    leaves_by_the_port(road);
    host_set_gid(host, 0, gid);
    send_one(road);
    assert_true(road->is_local);
}

static void the_receiver_is_reset(void **state)
{
    Road *road = *state;

    connect_all(road);
    svan_reset(road->hall->fake->core, RECEIVER);
    leaves_by_the_port(road);
}

static void the_receiver_fails(void **state)
{
    Road *road = *state;

    connect_all(road);
    svan_fatal(fn_of(road->hall, RECEIVER), SVAN_FATAL_INTERNAL);
    leaves_by_the_port(road);
}

/* Not even while it has the same GID at another index. */
static void the_source_is_cleared(void **state)
{
    Road *road = *state;
    Host *host = road->hall->stations[SENDER].host;
    uint64_t before;

    host_set_gid(host, 1, host->gids[0].gid);
    connect_all(road);
    before = STAT(road->hall, SENDER, source_drops);
    assert_int_equal(host_object(host, SVAN_CMD_CLEAR_GID, 0), SVAN_CMD_OK);
    assert_int_equal(send_one(road), 0);
    assert_int_equal(road->packets, 0);
    assert_int_equal(STAT(road->hall, SENDER, source_drops) - before, 1);
}

static void the_source_is_another(void **state)
{
    Road *road = *state;
    Host *host = road->hall->stations[SENDER].host;
    uint8_t gid[16];

    connect_all(road);
    memcpy(gid, host->gids[0].gid, 16);
    assert_memory_equal(road->addr.sgid, gid, 16);
    gid[15] ^= 0x40;
    host_set_gid(host, 0, gid);
    send_one(road);
    assert_memory_equal(road->addr.sgid, gid, 16);
}

static void the_vlan_is_another(void **state)
{
    Road *road = *state;

    connect_all(road);
    assert_false(road->addr.has_vlan);
    set_vlan(road, SENDER, VLAN);
    assert_int_equal(send_one(road), 0);
    assert_true(road->addr.has_vlan);
    assert_int_equal(road->addr.vlan, VLAN);
    assert_false(road->is_local);
    set_vlan(road, RECEIVER, VLAN);
    send_one(road);
    assert_true(road->is_local);
}

static void congestion_control_ends(void **state)
{
    Road *road = *state;
    SvanCore *core = road->hall->fake->core;
    SvanCongestion congestion = *svan_congestion(core);

    assert_true(congestion.enabled);
    connect_all(road);
    assert_int_equal(road->addr.traffic_class & ECN_MASK, ECN_ECT0);
    congestion.enabled = false;
    assert_true(svan_congestion_set(core, &congestion));
    send_one(road);
    assert_int_equal(road->addr.traffic_class & ECN_MASK, ECN_NONE);
}

/* The path of a queue pair whose send queue is drained. */
static void the_path_is_another(void **state)
{
    Road *road = *state;
    const uint8_t *gid = road->hall->stations[0].host->gids[0].gid;
    struct svan_cmd_modify_qp attrs = {
        .attr.port = 1, .av = { .hop_limit = 64, .traffic_class = 0x20 },
    };

    connect_all(road);
    memcpy(attrs.av.dgid, gid, 16);
    memcpy(attrs.av.dmac, road->hall->stations[0].mac, 6);
    assert_int_equal(host_modify(&road->from, SVAN_QPS_SQD, 0, NULL), SVAN_CMD_OK);
    fake_run(road->hall->fake);
    assert_int_equal(host_modify(&road->from, SVAN_QPS_SQD, SVAN_QP_ATTR_AV, &attrs),
                     SVAN_CMD_OK);
    assert_int_equal(host_modify(&road->from, SVAN_QPS_RTS, 0, NULL), SVAN_CMD_OK);
    post_one(road);
    assert_int_equal(road->packets, 1);
    assert_memory_equal(road->addr.dgid, gid, 16);
    assert_int_equal(road->addr.traffic_class & ~ECN_MASK, 0x20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROAD_TEST(the_receiver_goes_and_comes),
        ROAD_TEST(the_receiver_is_reset),
        ROAD_TEST(the_receiver_fails),
        ROAD_TEST(the_source_is_cleared),
        ROAD_TEST(the_source_is_another),
        ROAD_TEST(the_vlan_is_another),
        ROAD_TEST(congestion_control_ends),
        ROAD_TEST(the_path_is_another),
    };

    return cmocka_run_group_tests_name("heading", tests, NULL, NULL);
}
