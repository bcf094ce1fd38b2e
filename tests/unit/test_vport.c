/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the physical function sets for a virtual one, and what a virtual function cannot
 * do against it. Function 0 is the hypervisor, 1 the offender, 2 and 3 are others.
 */
#include "net/stations.h"
#include "net/wire_ip.h"
#include "hall.h"
#include "refusal.h"

#define OFFENDER        1
#define VICTIM          2
#define VLAN            7
#define MS              1000000ull

#define SET(hall, id, what, ...) \
    set_function(hall, id, SVAN_SET_FUNCTION_##what, \
                 &(struct svan_function_attr) { __VA_ARGS__ })

static struct svan_function_attr query(Hall *hall, uint32_t id)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_FUNCTION);
    struct svan_cmd_resp resp;

    cmd.object.id = htole32(id);
    assert_int_equal(host_cmd(hall->stations[0].host, &cmd, &resp), SVAN_CMD_OK);
    return resp.query_function;
}

static uint8_t try_gid(Hall *hall, uint32_t id, const uint8_t *gid, const uint8_t *smac,
                       int vlan)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_GID);

    cmd.set_gid.index = htole32(3);
    memcpy(cmd.set_gid.gid, gid, 16);
    memcpy(cmd.set_gid.smac, smac, 6);
    if (vlan >= 0) {
        cmd.set_gid.flags = SVAN_CMD_GID_VLAN;
        cmd.set_gid.vlan = htole16(vlan);
    }
    return host_cmd(hall->stations[id].host, &cmd, NULL);
}

/* An Ethernet frame by the offender's queue pair: its header, then `rest`. */
static uint32_t send_raw(Hall *hall, uint32_t id, const uint8_t *dmac,
                         const uint8_t *smac, const uint8_t *rest, uint32_t len)
{
    Station *station = &hall->stations[id];
    uint8_t data[200] = { 0 };
    HostWr wr = {
        .opcode = SVAN_WQE_ETH_SEND, .data = data, .length = 12 + len,
        .flags = SVAN_WQE_SIGNALED | SVAN_WQE_INLINE,
    };
    uint32_t heard = 0;

    memcpy(data, dmac, 6);
    memcpy(data + 6, smac, 6);
    memcpy(data + 12, rest, len);
    host_write_wqe(&station->qp, &wr);
    host_post(&station->qp);
    fake_run(hall->fake);
    assert_int_equal(completed(&station->send_cq), 1);
    for (uint32_t i = 0; i < NUM_STATIONS; i++) {
        heard |= completed(&hall->stations[i].recv_cq) << i;
    }
    return heard;
}

/* With an EtherType of nobody's. */
static uint32_t send_as(Hall *hall, uint32_t id, const uint8_t *dmac,
                        const uint8_t *smac)
{
    static const uint8_t rest[90] = { 0x88, 0xb5 };

    return send_raw(hall, id, dmac, smac, rest, sizeof(rest));
}

static uint32_t send_own(Hall *hall, uint32_t id, const uint8_t *dmac)
{
    return send_as(hall, id, dmac, hall->stations[id].mac);
}

/* ---- settings ---- */

static void only_the_physical_function_sets(void **state)
{
    Hall *hall = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FUNCTION);
    struct svan_cmd_resp resp;

    cmd.set_function.function = htole32(VICTIM);
    cmd.set_function.mask = htole32(SVAN_SET_FUNCTION_TRUSTED);
    cmd.set_function.attr.flags = SVAN_FUNCTION_TRUSTED;
    for (uint32_t id = 1; id < NUM_STATIONS; id++) {
        assert_int_equal(host_cmd(hall->stations[id].host, &cmd, NULL),
                         SVAN_CMD_NOT_PERMITTED);
    }
    assert_int_equal(query(hall, VICTIM).flags, SVAN_FUNCTION_SPOOF_CHECK);
    cmd = host_cmd_init(SVAN_CMD_QUERY_FUNCTION);
    cmd.object.id = htole32(OFFENDER);
    assert_int_equal(host_cmd(hall->stations[OFFENDER].host, &cmd, &resp),
                     SVAN_CMD_NOT_PERMITTED);
    for (uint32_t i = 0; i < SVAN_CMD_RESP_PAYLOAD; i++) {
        assert_int_equal(resp.payload[i], 0);
    }
}

static void values_are_checked(void **state)
{
    Hall *hall = *state;
    Host *host = hall->stations[0].host;
    struct svan_cmd good = host_cmd_init(SVAN_CMD_SET_FUNCTION);
    struct svan_function_attr before = query(hall, VICTIM), after;
    const Refusal bad[] = {
        BAD(set_function.function, 0, BAD_RESOURCE),
        BAD(set_function.function, NUM_STATIONS, BAD_RESOURCE),
        BAD(set_function.mask, 0x100, BAD_PARAM),
        BAD(set_function.attr.mac, 0x01, BAD_PARAM),
        BAD(set_function.attr.vlan, 4095, BAD_PARAM),
        BAD(set_function.attr.priority, 8, BAD_PARAM),
        BAD(set_function.attr.flags, 4, BAD_PARAM),
        BAD(set_function.attr.link, 3, BAD_PARAM),
        BAD(set_function.attr.group, SVAN_RATE_GROUPS + 1, BAD_PARAM),
    };

    good.set_function.function = htole32(VICTIM);
    good.set_function.mask = htole32(SVAN_SET_FUNCTION_MASK);
    good.set_function.attr.flags = SVAN_FUNCTION_SPOOF_CHECK;
    good.set_function.attr.vlan = htole16(VLAN);
    good.set_function.attr.priority = 3;
    check_refusals(host, &good, bad, SIZE(bad));
    after = query(hall, VICTIM);
    assert_memory_equal(&before, &after, sizeof(before));
    host_must(host, &good);
    after = query(hall, VICTIM);
    assert_int_equal(le16toh(after.vlan), VLAN);
    assert_int_equal(after.priority, 3);
    assert_memory_equal(before.mac, after.mac, 6);      /* zeros: the device's choice */
    /* A priority is the tags', of which there are none. */
    good.set_function.attr.vlan = 0;
    assert_int_equal(host_cmd(host, &good, NULL), SVAN_CMD_BAD_PARAM);
}

static void what_the_mask_does_not_name_stays(void **state)
{
    Hall *hall = *state;
    struct svan_function_attr attr;

    SET(hall, VICTIM, TX_MAX, .tx_max = htole32(1000), .link = 2, .flags = 2);
    SET(hall, VICTIM, TX_SHARE, .tx_share = htole32(500));
    SET(hall, VICTIM, TRUSTED, .flags = SVAN_FUNCTION_TRUSTED);
    attr = query(hall, VICTIM);
    assert_int_equal(le32toh(attr.tx_max), 1000);
    assert_int_equal(le32toh(attr.tx_share), 500);
    assert_int_equal(attr.link, SVAN_FUNCTION_LINK_AUTO);
    assert_int_equal(attr.flags, SVAN_FUNCTION_SPOOF_CHECK | SVAN_FUNCTION_TRUSTED);
    SET(hall, VICTIM, SPOOF_CHECK, .flags = 0);
    assert_int_equal(query(hall, VICTIM).flags, SVAN_FUNCTION_TRUSTED);
}

/* Settings outlive resets of the function and the PF, and a snapshot. */
static void how_long_settings_last(void **state)
{
    static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
    Hall *hall = *state;
    struct svan_function_attr set, now, first = query(hall, VICTIM);

    set_function(hall, VICTIM, SVAN_SET_FUNCTION_MASK, &(struct svan_function_attr) {
        .mac = { 0x52, 0x54, 0, 1, 2, 3 }, .vlan = htole16(VLAN), .priority = 5,
        .flags = SVAN_FUNCTION_TRUSTED, .link = SVAN_FUNCTION_LINK_UP,
        .group = 3, .tx_max = htole32(100), .tx_share = htole32(50),
    });
    set = query(hall, VICTIM);
    svan_reset(hall->fake->core, VICTIM);
    now = query(hall, VICTIM);
    assert_memory_equal(&set, &now, sizeof(set));
    assert_true(fake_restore(hall->fake));
    now = query(hall, VICTIM);
    assert_memory_equal(&set, &now, sizeof(set));
    assert_int_equal(svan_reg_read(hall->fake->core, VICTIM, SVAN_REG_MAC_LO, 4),
                     mac[0] | mac[1] << 8 | mac[2] << 16 | (uint32_t)mac[3] << 24);
    svan_reset(hall->fake->core, 0);
    svan_vport_get(hall->fake->core->fns[VICTIM], &now);
    assert_memory_equal(&set, &now, sizeof(set));
    svan_reset_settings(hall->fake->core);
    svan_vport_get(hall->fake->core->fns[VICTIM], &now);
    assert_memory_equal(&first, &now, sizeof(first));
}

/* A driver that runs is told of its link, and sends nothing while there is none. */
static void the_link(void **state)
{
    Hall *hall = *state;
    Host *victim = hall->stations[VICTIM].host;
    struct svan_eqe eqe;

    SET(hall, VICTIM, LINK, .link = SVAN_FUNCTION_LINK_DOWN);
    assert_true(host_eq_poll(victim, 0, &eqe));
    assert_int_equal(eqe.type, SVAN_EVENT_PORT);
    assert_false(host_read(victim, SVAN_REG_PORT) & SVAN_PORT_LINK_UP);
    assert_int_equal(send_own(hall, OFFENDER, hall->stations[VICTIM].mac), 0);
    assert_int_equal(send_own(hall, VICTIM, hall->stations[OFFENDER].mac), 0);
    assert_int_equal(STAT(hall, VICTIM, port_disabled_drops), 2);
    SET(hall, VICTIM, LINK, .link = SVAN_FUNCTION_LINK_UP);
    assert_true(host_eq_poll(victim, 0, &eqe));
    svan_set_link(hall->fake->core, false);
    assert_true(host_read(victim, SVAN_REG_PORT) & SVAN_PORT_LINK_UP);
    assert_int_equal(send_own(hall, OFFENDER, hall->stations[VICTIM].mac), 1 << VICTIM);
    SET(hall, VICTIM, LINK, .link = SVAN_FUNCTION_LINK_AUTO);
    assert_false(host_read(victim, SVAN_REG_PORT) & SVAN_PORT_LINK_UP);
}

static void counters_of_a_function(void **state)
{
    Hall *hall = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_STATS);
    uint64_t page = fake_alloc(hall->fake, sizeof(struct svan_stats), 8);
    const struct svan_stats *stats = fake_ram(hall->fake, page);
    struct svan_cmd_resp resp;

    send_own(hall, VICTIM, hall->stations[3].mac);
    cmd.query.addr = htole64(page);
    cmd.query.length = htole32(sizeof(*stats));
    cmd.query.function = htole32(VICTIM);
    host_must(hall->stations[0].host, &cmd);
    assert_int_equal(le64toh(stats->eth_tx_frames), 1);
    assert_int_equal(host_cmd(hall->stations[OFFENDER].host, &cmd, &resp),
                     SVAN_CMD_NOT_PERMITTED);
    assert_int_equal(le32toh(resp.syndrome), offsetof(struct svan_cmd, query.function));
    cmd.query.function = htole32(NUM_STATIONS);
    assert_int_equal(host_cmd(hall->stations[0].host, &cmd, NULL), SVAN_CMD_BAD_RESOURCE);
}

/* ---- addresses ---- */

static void nobody_sends_from_anothers_mac(void **state)
{
    Hall *hall = *state;
    const uint8_t *victim = hall->stations[VICTIM].mac, *to = hall->stations[3].mac;

    assert_int_equal(send_as(hall, OFFENDER, to, victim), 0);
    assert_int_equal(send_as(hall, OFFENDER, stranger_mac, victim), 0);
    assert_int_equal(send_as(hall, OFFENDER, to, stranger_mac), 0);
    assert_false(left_by_the_port(hall));
    assert_int_equal(STAT(hall, OFFENDER, spoof_mac_drops), 3);
    assert_int_equal(STAT(hall, OFFENDER, eth_tx_frames), 0);
    assert_int_equal(send_own(hall, OFFENDER, to), 1 << 3);
    /* Where the hypervisor permits it, and for the physical function. */
    assert_int_equal(send_as(hall, 0, to, stranger_mac), 1 << 3);
    SET(hall, OFFENDER, SPOOF_CHECK, .flags = 0);
    assert_int_equal(send_as(hall, OFFENDER, to, stranger_mac), 1 << 3);
    assert_int_equal(STAT(hall, OFFENDER, spoof_mac_drops), 3);
}

/* Nor does anybody receive what is another's. */
static void nobody_receives_what_is_anothers(void **state)
{
    Hall *hall = *state;
    Station *offender = &hall->stations[OFFENDER];
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);

    cmd.eth_filter.qpn = htole32(offender->qp.qpn);
    cmd.eth_filter.max_frame = htole32(BUFFER);
    memcpy(cmd.eth_filter.mac, hall->stations[VICTIM].mac, 6);
    assert_int_equal(host_cmd(offender->host, &cmd, NULL), SVAN_CMD_NOT_PERMITTED);
    filter(hall, OFFENDER, SVAN_CMD_ETH_PROMISC | SVAN_CMD_ETH_ALLMULTI);
    assert_int_equal(STAT(hall, OFFENDER, promisc_refused), 1);
    assert_int_equal(send_own(hall, 3, hall->stations[VICTIM].mac), 1 << VICTIM);
    assert_int_equal(send_own(hall, 3, offender->mac), 1 << OFFENDER);
    /* What it has asked for comes with trust, and goes with it. */
    trust(hall, OFFENDER);
    assert_int_equal(send_own(hall, 3, hall->stations[VICTIM].mac),
                     1 << VICTIM | 1 << OFFENDER);
    SET(hall, OFFENDER, TRUSTED, .flags = 0);
    assert_int_equal(send_own(hall, 3, hall->stations[VICTIM].mac), 1 << VICTIM);
    trust(hall, OFFENDER);
    host_must(offender->host, &cmd);
    assert_int_equal(send_as(hall, OFFENDER, hall->stations[3].mac,
                             hall->stations[VICTIM].mac), 1 << 3);
    SET(hall, OFFENDER, TRUSTED, .flags = 0);
    assert_int_equal(send_own(hall, 3, hall->stations[VICTIM].mac), 1 << VICTIM);
}

static void a_new_mac(void **state)
{
    static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
    Hall *hall = *state;
    Station *station = &hall->stations[VICTIM];

    SET(hall, VICTIM, MAC, .mac = { 0x52, 0x54, 0, 1, 2, 3 });
    /* The old one is not the function's any more, neither way; nor is its GID. */
    assert_int_equal(send_own(hall, 3, station->mac), 0);
    assert_int_equal(send_own(hall, VICTIM, hall->stations[3].mac), 0);
    assert_int_equal(fn_of(hall, VICTIM)->net->gid_limit, 0);
    memcpy(station->mac, mac, 6);
    filter(hall, VICTIM, 0);
    assert_int_equal(send_own(hall, 3, station->mac), 1 << VICTIM);
    assert_int_equal(send_own(hall, VICTIM, hall->stations[3].mac), 1 << 3);
    assert_int_equal(try_gid(hall, VICTIM, station->host->gids[0].gid, mac, -1),
                     SVAN_CMD_OK);
}

/* ---- GIDs ---- */

static void nobody_has_anothers_gid(void **state)
{
    static const uint8_t free_gid[16] = { 0xfd, [15] = 9 };
    Hall *hall = *state;
    Host *victim = hall->stations[VICTIM].host;
    const uint8_t *gid = victim->gids[0].gid, *mac = hall->stations[OFFENDER].mac;

    /* With the victim's MAC, with its own, with a stranger's. */
    assert_int_equal(try_gid(hall, OFFENDER, gid, victim->gids[0].smac, -1),
                     SVAN_CMD_NOT_PERMITTED);
    assert_int_equal(try_gid(hall, OFFENDER, gid, mac, -1), SVAN_CMD_NOT_PERMITTED);
    assert_int_equal(try_gid(hall, OFFENDER, gid, mac, 0), SVAN_CMD_NOT_PERMITTED);
    assert_int_equal(try_gid(hall, OFFENDER, free_gid, stranger_mac, -1),
                     SVAN_CMD_NOT_PERMITTED);
    assert_int_equal(try_gid(hall, OFFENDER, free_gid, victim->gids[0].smac, -1),
                     SVAN_CMD_NOT_PERMITTED);
    assert_int_equal(fn_of(hall, OFFENDER)->net->gid_limit, 1);
    assert_int_equal(try_gid(hall, OFFENDER, free_gid, mac, -1), SVAN_CMD_OK);
    /* In another VLAN it is another address; the victim gives its own back. */
    assert_int_equal(try_gid(hall, OFFENDER, gid, mac, VLAN), SVAN_CMD_OK);
    assert_int_equal(host_object(victim, SVAN_CMD_CLEAR_GID, 0), SVAN_CMD_OK);
    assert_int_equal(try_gid(hall, OFFENDER, gid, mac, -1), SVAN_CMD_OK);
    assert_int_equal(try_gid(hall, VICTIM, gid, hall->stations[VICTIM].mac, -1),
                     SVAN_CMD_NOT_PERMITTED);
}

/* It stays claimed while any of several entries has it, and after a load. */
static void a_gid_at_several_indices(void **state)
{
    Hall *hall = *state;
    Host *victim = hall->stations[VICTIM].host;
    const uint8_t *gid = victim->gids[0].gid, *mac = hall->stations[OFFENDER].mac;

    assert_int_equal(try_gid(hall, VICTIM, gid, victim->gids[0].smac, -1), SVAN_CMD_OK);
    assert_int_equal(host_object(victim, SVAN_CMD_CLEAR_GID, 0), SVAN_CMD_OK);
    assert_int_equal(try_gid(hall, OFFENDER, gid, mac, -1), SVAN_CMD_NOT_PERMITTED);
    assert_true(fake_restore(hall->fake));
    assert_int_equal(try_gid(hall, OFFENDER, gid, mac, -1), SVAN_CMD_NOT_PERMITTED);
    svan_reset(hall->fake->core, VICTIM);
    assert_int_equal(try_gid(hall, OFFENDER, gid, mac, -1), SVAN_CMD_OK);
}

/* Its GIDs are of the MAC that it has chosen, whether it receives now or not. */
static void a_trusted_function_is_loaded(void **state)
{
    static const uint8_t gid[16] = { 0xfd, [15] = 9 };
    Hall *hall = *state;
    Station *station = &hall->stations[OFFENDER];
    struct svan_cmd off = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);

    trust(hall, OFFENDER);
    memcpy(station->mac, stranger_mac, 6);
    filter(hall, OFFENDER, 0);
    assert_int_equal(try_gid(hall, OFFENDER, gid, stranger_mac, -1), SVAN_CMD_OK);
    assert_true(fake_restore(hall->fake));
    assert_true(fn_of(hall, OFFENDER)->net->gids[3].valid);
    host_must(station->host, &off);
    assert_true(fake_restore(hall->fake));
    assert_true(fn_of(hall, OFFENDER)->net->gids[3].valid);
}

/* The physical function came second, and is not checked. */
static void functions_that_share_a_gid_are_loaded(void **state)
{
    static const uint8_t gid[16] = { 0xfd, [15] = 9 };
    Hall *hall = *state;

    assert_int_equal(try_gid(hall, OFFENDER, gid, hall->stations[OFFENDER].mac, -1),
                     SVAN_CMD_OK);
    assert_int_equal(try_gid(hall, 0, gid, hall->stations[0].mac, -1), SVAN_CMD_OK);
    assert_true(fake_restore(hall->fake));
    assert_true(fn_of(hall, OFFENDER)->net->gids[3].valid);
    assert_true(fn_of(hall, 0)->net->gids[3].valid);
}

/* What has nothing to do with addresses costs a function none. */
static void a_new_rate_takes_no_gid(void **state)
{
    static const uint8_t gid[16] = { 0xfd, [15] = 9 };
    Hall *hall = *state;

    assert_int_equal(try_gid(hall, VICTIM, gid, hall->stations[VICTIM].mac, -1),
                     SVAN_CMD_OK);
    assert_int_equal(try_gid(hall, 0, gid, hall->stations[0].mac, -1), SVAN_CMD_OK);
    SET(hall, VICTIM, TX_MAX, .tx_max = htole32(1000));
    assert_true(fn_of(hall, VICTIM)->net->gids[3].valid);
}

/* ---- RoCE packets that are built by hand ---- */

typedef struct Headers {
    uint8_t octets[120];
    uint32_t len;
    bool roce;
} Headers;

#define IPV4(proto, frag, ...) 0x08, 0x00, 0x45, 0, 0, 60, 0, 0, (frag) >> 8, (frag) & 255, \
    64, proto, 0, 0, 10, 0, 0, 2, 10, 0, 0, 3, __VA_ARGS__
#define UDP(port)       0xc0, 0, (port) >> 8, (port) & 255, 0, 40, 0, 0, SVAN_OP_CNP
#define IPV6(next)      0x86, 0xdd, 0x60, 0, 0, 0, 0, 60, next, 64, \
    0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, \
    0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2
#define OPTION(next)    next, 0, 0, 0, 0, 0, 0, 0

static const Headers built[] = {
    { { IPV4(17, 0, UDP(4791)) }, 90, true },
    { { IPV4(17, 0x2000, UDP(4791)) }, 90, true },      /* a first fragment */
    { { IPV4(17, 0x2001, UDP(4791)) }, 90, false },     /* not the first */
    { { IPV4(17, 0, UDP(4790)) }, 90, false },
    { { IPV4(6, 0, UDP(4791)) }, 90, false },
    { { 0x08, 0x00, 0x46, 0, 0, 60, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 3,
        1, 1, 1, 0, UDP(4791) }, 90, true },
    { { 0x81, 0, 0, 5, IPV4(17, 0, UDP(4791)) }, 90, true },
    { { 0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, IPV4(17, 0, UDP(4791)) }, 90, true },
    { { IPV6(17), UDP(4791) }, 90, true },
    { { IPV6(0), OPTION(60), OPTION(43), OPTION(17), UDP(4791) }, 100, true },
    { { IPV6(60), 17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, UDP(4791) }, 100, true },
    { { IPV6(44), 17, 0, 0, 1, 0, 0, 0, 1, UDP(4791) }, 90, true },
    { { IPV6(44), 17, 0, 0, 9, 0, 0, 0, 1, UDP(4791) }, 90, false },
    { { IPV6(58), UDP(4791) }, 90, false },
    /* A first fragment that ends within the options: UDP follows in the next one. */
    { { IPV6(44), 60, 0, 0, 1, 0, 0, 0, 1, 17, 7, 0, 0, 0, 0, 0, 0 }, 78, true },
    { { IPV6(44), 60, 0, 0, 1, 0, 0, 0, 1 }, 62, true },
    /* The same, and what fills up the frame is not of the packet. */
    { { 0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, 44, 64, [10] = 0xfd, [25] = 1, [26] = 0xfd,
        [41] = 2, 60, 0, 0, 1, 0, 0, 0, 1, 17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        UDP(4790) }, 100, true },
    { { IPV6(44), 17, 0, 0, 0, 0, 0, 0, 1, UDP(4790) }, 100, false },
    /* options without end, so that it cannot be told */
    { { IPV6(60), OPTION(60), OPTION(60), OPTION(60), OPTION(60), OPTION(60), OPTION(60),
        OPTION(60), OPTION(60), OPTION(60) }, 120, true },
    { { IPV6(60), 17, 255 }, 90, false },
};

static void roce_packets_are_sent_by_queue_pairs(void **state)
{
    Hall *hall = *state;
    const uint8_t *mac = hall->stations[OFFENDER].mac;
    uint32_t drops = 0;

    for (uint32_t i = 0; i < SIZE(built); i++) {
        const Headers *headers = &built[i];

        send_raw(hall, OFFENDER, stranger_mac, mac, headers->octets, headers->len);
        drops += headers->roce;
        if (left_by_the_port(hall) == headers->roce ||
            STAT(hall, OFFENDER, spoof_roce_drops) != drops) {
            fail_msg("packet %u", i);
        }
    }
    SET(hall, OFFENDER, SPOOF_CHECK, .flags = 0);
    send_raw(hall, OFFENDER, stranger_mac, mac, built[0].octets, built[0].len);
    assert_true(left_by_the_port(hall));
}

/* ---- VLANs ---- */

static void in_vlan(Hall *hall, uint32_t id, uint16_t vlan, uint8_t priority)
{
    SET(hall, id, VLAN, .vlan = htole16(vlan), .priority = priority);
}

static const uint8_t *last_received(Hall *hall, uint32_t id, uint32_t index)
{
    const Station *station = &hall->stations[id];
    const struct svan_rwqe *rwqe = fake_ram(hall->fake, station->qp.rq_bus +
                                            (index << station->qp.log_stride));

    return fake_ram(hall->fake, le64toh(rwqe->sge[0].addr));
}

/* Frames get the tag at the port, and lose it on their way in. */
static void a_function_in_a_vlan(void **state)
{
    static const uint8_t tag[] = { 0x81, 0, 5 << 5, VLAN, 0x88, 0xb5 };
    Hall *hall = *state;
    SvanFrame *frame;

    in_vlan(hall, OFFENDER, VLAN, 5);
    in_vlan(hall, VICTIM, VLAN, 0);
    send_own(hall, OFFENDER, stranger_mac);
    frame = fake_frame(hall->fake);
    assert_non_null(frame);
    assert_int_equal(frame->len, 12 + 90 + 4);
    assert_memory_equal(frame->data + 12, tag, sizeof(tag));
    /* It comes back from outside, to the one who is meant. */
    memcpy(frame->data, hall->stations[VICTIM].mac, 6);
    assert_true(svan_frame_in(hall->fake->core, frame));
    fake_run(hall->fake);
    assert_int_equal(completed(&hall->stations[VICTIM].recv_cq), 1);
    assert_memory_equal(last_received(hall, VICTIM, 0) + 12, tag + 4, 2);
    assert_int_equal(STAT(hall, VICTIM, eth_rx_bytes), 12 + 90);
    /* From one member to another without the port. */
    assert_int_equal(send_own(hall, OFFENDER, hall->stations[VICTIM].mac), 1 << VICTIM);
    assert_memory_equal(last_received(hall, VICTIM, 1) + 12, tag + 4, 2);
    assert_false(left_by_the_port(hall));
}

static void nobody_leaves_his_vlan(void **state)
{
    static const uint8_t others[] = { 0x81, 0, 0, 9, 0x88, 0xb5, [90] = 0 };
    static const uint8_t outer[] = { 0x88, 0xa8, 0, 9, 0x88, 0xb5, [90] = 0 };
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    Hall *hall = *state;
    const uint8_t *own = hall->stations[OFFENDER].mac;

    in_vlan(hall, OFFENDER, VLAN, 0);
    in_vlan(hall, VICTIM, 9, 0);
    in_vlan(hall, 3, VLAN, 0);
    for (uint32_t checked = 0; checked < 2; checked++) {
        send_raw(hall, OFFENDER, hall->stations[VICTIM].mac, own, others, 91);
        send_raw(hall, OFFENDER, hall->stations[VICTIM].mac, own, outer, 91);
        assert_int_equal(STAT(hall, OFFENDER, spoof_vlan_drops), 2 + 2 * checked);
        assert_false(left_by_the_port(hall));
        SET(hall, OFFENDER, SPOOF_CHECK, .flags = 0);
    }
    /* The other VLAN's station is somewhere else: outside, for all that is known. */
    assert_int_equal(send_own(hall, OFFENDER, hall->stations[VICTIM].mac), 0);
    assert_true(left_by_the_port(hall));
    /* The PF is in none, and sees all, tagged. */
    assert_int_equal(send_own(hall, OFFENDER, broadcast), 1 << 0 | 1 << 3);
    assert_true(left_by_the_port(hall));
    assert_int_equal(send_own(hall, 0, broadcast), 0);
    assert_true(left_by_the_port(hall));
}

/* A frame that had to wait does not leave in the VLAN that its function was in then. */
static void a_frame_that_waits_for_its_rate(void **state)
{
    static const uint8_t tag[] = { 0x81, 0, 0, 9 };
    Hall *hall = *state;
    SvanFrame *frame;

    in_vlan(hall, OFFENDER, VLAN, 0);
    SET(hall, OFFENDER, TX_MAX, .tx_max = htole32(1));
    for (uint32_t i = 0; i < 8; i++) {
        post_frame(hall, OFFENDER, stranger_mac, 1);
    }
    fake_run(hall->fake);
    while ((frame = fake_frame(hall->fake))) {
        svan_frame_free(frame);
    }
    in_vlan(hall, OFFENDER, 9, 0);
    for (uint32_t i = 0; i < 20; i++) {
        fake_advance(hall->fake, MS);
    }
    while ((frame = fake_frame(hall->fake))) {
        assert_memory_equal(frame->data + 12, tag, sizeof(tag));
        svan_frame_free(frame);
    }
}

/* The port is full when the frame has its tag: it leaves later, tagged and whole. */
static void a_tagged_frame_that_waits_is_whole(void **state)
{
    static const uint8_t tag[] = { 0x81, 0, 5 << 5, VLAN };
    static const uint32_t lengths[] = { 100, 42 };
    Hall *hall = *state;
    SvanFrame *frame;

    in_vlan(hall, OFFENDER, VLAN, 5);
    for (uint32_t i = 0; i < SIZE(lengths); i++) {
        uint8_t data[100];
        HostWr wr = {
            .opcode = SVAN_WQE_ETH_SEND, .data = data, .length = lengths[i],
            .flags = SVAN_WQE_SIGNALED | SVAN_WQE_INLINE,
        };

        memset(data, 0x5a, sizeof(data));
        memcpy(data, stranger_mac, 6);
        memcpy(data + 6, hall->stations[OFFENDER].mac, 6);
        hall->fake->out_full = true;
        host_write_wqe(&hall->stations[OFFENDER].qp, &wr);
        host_post(&hall->stations[OFFENDER].qp);
        fake_run(hall->fake);
        hall->fake->out_full = false;
        svan_tx_ready(hall->fake->core);
        fake_run(hall->fake);
        frame = fake_frame(hall->fake);
        assert_non_null(frame);
        assert_int_equal(frame->len, (lengths[i] < 60 ? 60 : lengths[i]) + 4);
        assert_memory_equal(frame->data + 12, tag, sizeof(tag));
        for (uint32_t n = 16; n < lengths[i] + 4; n++) {
            assert_int_equal(frame->data[n], 0x5a);
        }
        svan_frame_free(frame);
    }
}

/* Others had the GID later, which was allowed: an unrelated setting does not take it away. */
static void a_shared_gid_outlives_other_settings(void **state)
{
    static const uint8_t gid[16] = { 0xfd, [15] = 9 };
    Hall *hall = *state;

    assert_int_equal(try_gid(hall, VICTIM, gid, hall->stations[VICTIM].mac, -1), SVAN_CMD_OK);
    assert_int_equal(try_gid(hall, 0, gid, hall->stations[0].mac, -1), SVAN_CMD_OK);
    trust(hall, VICTIM);
    assert_true(fn_of(hall, VICTIM)->net->gids[3].valid);
    set_function(hall, VICTIM, SVAN_SET_FUNCTION_SPOOF_CHECK, &(struct svan_function_attr) {});
    set_function(hall, VICTIM, SVAN_SET_FUNCTION_SPOOF_CHECK, &(struct svan_function_attr) {
        .flags = SVAN_FUNCTION_SPOOF_CHECK,
    });
    assert_false(fn_of(hall, VICTIM)->net->gids[3].valid);
    assert_true(fn_of(hall, 0)->net->gids[3].valid);
}

static void gids_in_a_vlan(void **state)
{
    static const uint8_t gid[16] = { 0xfd, [15] = 9 };
    Hall *hall = *state;
    const uint8_t *own = hall->stations[OFFENDER].mac;
    const SvanGid *first = &fn_of(hall, OFFENDER)->net->gids[0];
    struct svan_cmd_set_gid cmd;

    in_vlan(hall, OFFENDER, VLAN, 5);
    assert_true(first->valid && first->has_vlan);
    assert_int_equal(first->vlan, 5 << 13 | VLAN);
    assert_int_equal(try_gid(hall, OFFENDER, gid, own, VLAN), SVAN_CMD_NOT_PERMITTED);
    assert_int_equal(try_gid(hall, OFFENDER, gid, own, -1), SVAN_CMD_OK);
    /* The victim's address in its own VLAN. */
    assert_int_equal(try_gid(hall, OFFENDER, hall->stations[VICTIM].host->gids[0].gid, own,
                             -1), SVAN_CMD_OK);
    assert_true(fake_restore(hall->fake));
    first = &fn_of(hall, OFFENDER)->net->gids[0];
    assert_int_equal(first->vlan, 5 << 13 | VLAN);
    svan_gid_command(fn_of(hall, OFFENDER), 0, &cmd);
    assert_int_equal(cmd.flags, 0);             /* its driver knows of none */
    in_vlan(hall, OFFENDER, 0, 0);
    assert_false(first->has_vlan);
    assert_false(fn_of(hall, OFFENDER)->net->gids[3].valid);    /* the victim's, here */
}

/* RoCE between members; then one of them is moved. */
static void packets_in_a_vlan(void **state)
{
    Hall *hall = *state;
    HostQp a = host_qp(hall->stations[1].host, &hall->stations[1].send_cq,
                       &hall->stations[1].recv_cq, NULL);
    HostQp b = host_qp(hall->stations[2].host, &hall->stations[2].send_cq,
                       &hall->stations[2].recv_cq, NULL);
    HostSend send = { .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED };

    in_vlan(hall, 1, VLAN, 0);
    in_vlan(hall, 2, VLAN, 0);
    host_connect(&a, &b);
    host_send(&a, &send);
    host_post(&a);
    fake_run(hall->fake);
    assert_int_equal(completed(&hall->stations[1].send_cq), 1);
    assert_int_equal(STAT(hall, 2, roce_rx_packets), 1);
    in_vlan(hall, 2, 9, 0);
    host_send(&a, &send);
    host_post(&a);
    fake_run(hall->fake);
    assert_int_equal(completed(&hall->stations[1].send_cq), 0);
    assert_int_equal(STAT(hall, 2, roce_rx_packets), 1);
    assert_true(left_by_the_port(hall));        /* to whoever has it outside */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HALL_TEST(only_the_physical_function_sets),
        HALL_TEST(values_are_checked),
        HALL_TEST(what_the_mask_does_not_name_stays),
        HALL_TEST(how_long_settings_last),
        HALL_TEST(the_link),
        HALL_TEST(counters_of_a_function),
        HALL_TEST(nobody_sends_from_anothers_mac),
        HALL_TEST(nobody_receives_what_is_anothers),
        HALL_TEST(a_new_mac),
        HALL_TEST(nobody_has_anothers_gid),
        HALL_TEST(a_gid_at_several_indices),
        HALL_TEST(a_trusted_function_is_loaded),
        HALL_TEST(functions_that_share_a_gid_are_loaded),
        HALL_TEST(a_new_rate_takes_no_gid),
        HALL_TEST(roce_packets_are_sent_by_queue_pairs),
        HALL_TEST(a_function_in_a_vlan),
        HALL_TEST(nobody_leaves_his_vlan),
        HALL_TEST(a_frame_that_waits_for_its_rate),
        HALL_TEST(a_tagged_frame_that_waits_is_whole),
        HALL_TEST(a_shared_gid_outlives_other_settings),
        HALL_TEST(gids_in_a_vlan),
        HALL_TEST(packets_in_a_vlan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
