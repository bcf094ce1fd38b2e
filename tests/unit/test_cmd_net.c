/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "refusal.h"

#define MISSING 0x777

static struct svan_cmd good_qp(Host *host, HostCq *cq)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_QP);

    cmd.create_qp.type = SVAN_QPT_RC;
    cmd.create_qp.log_sq_bbs = 4;
    cmd.create_qp.log_rq_size = 4;
    cmd.create_qp.log_rq_stride = 6;
    cmd.create_qp.pd = htole32(host->pd);
    cmd.create_qp.send_cq = htole32(cq->cqn);
    cmd.create_qp.recv_cq = htole32(cq->cqn);
    cmd.create_qp.ring_va = htole64(fake_alloc(host->fake, 4096, 4096));
    cmd.create_qp.ring_key = htole32(host->ring_key);
    cmd.create_qp.rq_offset = htole32(1024);
    cmd.create_qp.dbr_offset = htole32(2048);
    return cmd;
}

/* A CQ of another verbs context. */
static uint32_t foreign_cq(Host *host, uint32_t uar)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_CQ);

    cmd.create_cq.ring_va = htole64(fake_alloc(host->fake, 4096, 4096));
    cmd.create_cq.ring_key = htole32(host->ring_key);
    cmd.create_cq.dbr_offset = htole32(2048);
    cmd.create_cq.eqn = htole32(1);
    cmd.create_cq.uar = htole32(uar);
    cmd.create_cq.log_size = 4;
    return host_must(host, &cmd);
}

static void queue_pairs(void **state)
{
    Host *host = *state;
    HostCq cq = host_cq(host, 4);
    struct svan_cmd good = good_qp(host, &cq);
    uint32_t readonly = host_key_flat(host, FAKE_RAM_BASE, FAKE_RAM_SIZE, 0,
                                      SVAN_CMD_KEY_INTERNAL);
    uint32_t foreign = host_uar(host, 9);
    uint32_t other = foreign_cq(host, foreign);
    const Refusal bad[] = {
        BAD(create_qp.type, 0, BAD_PARAM),
        BAD(create_qp.type, 5, BAD_PARAM),
        BAD(create_qp.type, 9, BAD_PARAM),
        BAD(create_qp.type, 255, BAD_PARAM),
        BAD(create_qp.type, SVAN_QPT_GSI, NOT_PERMITTED),
        BAD(create_qp.flags, 0x20, BAD_PARAM),
        BAD(create_qp.log_sq_bbs, SVAN_SQ_MAX_LOG_BBS + 1, BAD_PARAM),
        BAD(create_qp.log_sq_bbs, 255, BAD_PARAM),
        BAD(create_qp.log_rq_size, SVAN_RQ_MAX_LOG_SIZE + 1, BAD_PARAM),
        BAD(create_qp.log_rq_stride, SVAN_RWQE_MIN_LOG_STRIDE - 1, BAD_PARAM),
        BAD(create_qp.log_rq_stride, SVAN_RWQE_MAX_LOG_STRIDE + 1, BAD_PARAM),
        BAD(create_qp.pd, MISSING, BAD_RESOURCE),
        BAD(create_qp.pd, 0, BAD_RESOURCE),
        BAD(create_qp.send_cq, MISSING, BAD_RESOURCE),
        BAD(create_qp.recv_cq, 0, BAD_RESOURCE),
        BAD(create_qp.uar, MISSING, BAD_RESOURCE),
        BAD(create_qp.uar, UINT32_MAX, BAD_RESOURCE),
        BAD_AS(create_qp.uar, foreign, NOT_PERMITTED, create_qp.send_cq),
        BAD(create_qp.recv_cq, other, NOT_PERMITTED),
        BAD(create_qp.ring_va, FAKE_RAM_BASE + 8, BAD_PARAM),
        BAD(create_qp.ring_key, host->all_key, BAD_RESOURCE),
        BAD(create_qp.ring_key, readonly, BAD_RESOURCE),
        BAD(create_qp.ring_key, MISSING, BAD_RESOURCE),
        BAD(create_qp.sq_offset, 32, BAD_PARAM),
        BAD(create_qp.sq_offset, FAKE_RAM_SIZE, BAD_PARAM),
        BAD(create_qp.rq_offset, 0xffffffc0, BAD_PARAM),
        BAD(create_qp.dbr_offset, 0xffffffc0, BAD_PARAM),
        BAD(create_qp.dbr_offset, 2048 + 8, BAD_PARAM),
        BAD_AS(create_qp.ring_va, 0ull - 64, BAD_PARAM, create_qp.dbr_offset),
        BAD_AS(create_qp.log_sq_bbs, SVAN_SQ_MAX_LOG_BBS, BAD_PARAM,
               create_qp.sq_offset),
        BAD_AS(create_qp.log_rq_size, SVAN_RQ_MAX_LOG_SIZE, OK,
               create_qp.type),
    };

    check_refusals(host, &good, bad, SIZE(bad));
    assert_int_equal(host_fn(host)->qps->table.used, 1);
}

/* The privilege is the kernel's, whose pages have owner 0. */
static void privilege(void **state)
{
    Host *host = *state;
    HostCq cq = host_cq(host, 4);
    struct svan_cmd cmd = good_qp(host, &cq);

    cmd.create_qp.flags = SVAN_CMD_QP_PRIVILEGED;
    host_must(host, &cmd);
    cmd.create_qp.uar = htole32(host_uar(host, 4));
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_NOT_PERMITTED);
}

static void what_a_qp_holds(void **state)
{
    Host *host = *state;
    HostCq cq = host_cq(host, 4);
    HostQp qp = host_qp(host, &cq, &cq, NULL);

    assert_true(qp.qpn > 1 && qp.qpn < 1u << 24);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_CQ, cq.cqn),
                     SVAN_CMD_BUSY);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, host->ring_key),
                     SVAN_CMD_BUSY);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, host->all_key),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, host->pd),
                     SVAN_CMD_BUSY);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_QP, qp.qpn),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_QP, qp.qpn),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_CQ, cq.cqn),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, host->ring_key),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, host->pd),
                     SVAN_CMD_OK);
    assert_int_equal(host->fake->core->heap_reserved, 0);
}

static void the_qp_table_fills(void **state)
{
    Host *host = *state;
    HostCq cq = host_cq(host, 4);
    struct svan_cmd cmd = good_qp(host, &cq);

    for (uint32_t i = 0; i < 62; i++) {
        host_must(host, &cmd);
    }
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_NO_RESOURCES);
}

static void gids(void **state)
{
    Host *host = *state;
    SvanFn *fn = host_fn(host);
    struct svan_cmd good = host_cmd_init(SVAN_CMD_SET_GID);
    const Refusal bad[] = {
        BAD(set_gid.index, SVAN_MAX_GID, BAD_PARAM),
        BAD(set_gid.index, UINT32_MAX, BAD_PARAM),
        BAD(set_gid.flags, 2, BAD_PARAM),
        BAD(set_gid.smac, 1, BAD_PARAM),
    };

    good.set_gid.index = htole32(9);
    good.set_gid.gid[15] = 1;
    check_refusals(host, &good, bad, SIZE(bad));
    good.set_gid.gid[15] = 0;
    assert_int_equal(host_cmd(host, &good, NULL), SVAN_CMD_BAD_PARAM);
    memcpy(good.set_gid.gid, (uint8_t[16]) { 0xff, 2, [15] = 1 }, 16);
    assert_int_equal(host_cmd(host, &good, NULL), SVAN_CMD_BAD_PARAM);
    memset(good.set_gid.gid, 0, 16);
    assert_int_equal(fn->net->gid_limit, 1);
    good.set_gid.gid[15] = 1;
    good.set_gid.flags = SVAN_CMD_GID_VLAN;
    good.set_gid.vlan = htole16(0x2005);
    host_must(host, &good);
    assert_int_equal(fn->net->gid_limit, 10);
    assert_true(fn->net->gids[9].has_vlan);
    assert_int_equal(fn->net->gids[9].vlan, 0x2005);
    assert_int_equal(host_object(host, SVAN_CMD_CLEAR_GID, 8),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_CLEAR_GID, SVAN_MAX_GID),
                     SVAN_CMD_BAD_RESOURCE);
    assert_int_equal(host_object(host, SVAN_CMD_CLEAR_GID, 9), SVAN_CMD_OK);
    assert_int_equal(fn->net->gid_limit, 1);
}

/* Of one device each address belongs to one function. */
static void the_gid_of_another_function(void **state)
{
    SvanConfig config = { .num_vfs = 1 };
    Fake *fake = fake_create(&config);
    Host *pf = host_create(fake, 0, 1), *vf = host_create(fake, 1, 2);
    const SvanGid *theirs = &host_fn(pf)->net->gids[0];
    struct svan_cmd good = host_cmd_init(SVAN_CMD_SET_GID);
    struct svan_cmd_resp resp;

    (void)state;
    svan_fn_trust(host_fn(vf));
    good.set_gid.index = htole32(5);
    memcpy(good.set_gid.gid, theirs->gid, 16);
    memcpy(good.set_gid.smac, theirs->smac, 6);
    assert_int_equal(host_cmd(vf, &good, &resp), SVAN_CMD_NOT_PERMITTED);
    assert_int_equal(le32toh(resp.syndrome),
                     offsetof(struct svan_cmd, set_gid.gid));
    assert_false(host_fn(vf)->net->gids[5].valid);
    host_must(pf, &good);               /* twice its own is none of another */
    good.set_gid.flags = SVAN_CMD_GID_VLAN;
    good.set_gid.vlan = htole16(0x2000);        /* a priority alone */
    assert_int_equal(host_cmd(vf, &good, NULL), SVAN_CMD_NOT_PERMITTED);
    good.set_gid.vlan = htole16(5);
    host_must(vf, &good);
    fake_destroy(fake);
    host_destroy(pf);
    host_destroy(vf);
}

static void the_ethernet_filter(void **state)
{
    Host *host = *state;
    HostCq cq = host_cq(host, 4);
    HostQpAttr eth = { .type = SVAN_QPT_ETH };
    HostQp qp = host_qp(host, &cq, &cq, &eth);
    HostQp rc = host_qp(host, &cq, &cq, NULL);
    struct svan_cmd good = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);
    const Refusal bad[] = {
        BAD(eth_filter.qpn, MISSING, BAD_RESOURCE),
        BAD(eth_filter.qpn, rc.qpn, BAD_RESOURCE),
        BAD(eth_filter.mac, 0x01, BAD_PARAM),
        BAD(eth_filter.flags, 4, BAD_PARAM),
        BAD(eth_filter.max_frame, 63, BAD_PARAM),
        BAD(eth_filter.max_frame, SVAN_MAX_FRAME + 1, BAD_PARAM),
    };

    good.eth_filter.qpn = htole32(qp.qpn);
    good.eth_filter.mac[5] = 7;
    good.eth_filter.max_frame = htole32(1514);
    good.eth_filter.flags = SVAN_CMD_ETH_PROMISC;
    assert_int_equal(host_cmd(host, &good, NULL), SVAN_CMD_BAD_STATE);
    host_eth_rts(&qp);
    check_refusals(host, &good, bad, SIZE(bad));
    assert_int_equal(host_fn(host)->net->eth.qpn, 0);
    host_must(host, &good);
    assert_int_equal(host_fn(host)->net->eth.qpn, qp.qpn);
    assert_int_equal(host_fn(host)->net->eth.max_frame, 1514);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_QP, qp.qpn),
                     SVAN_CMD_OK);
    assert_int_equal(host_fn(host)->net->eth.qpn, 0);
    good.eth_filter.qpn = 0;
    host_must(host, &good);
}

static void multicast_addresses(void **state)
{
    Host *host = *state;
    struct svan_cmd good = host_cmd_init(SVAN_CMD_ETH_SET_MCAST);
    uint64_t page = fake_alloc(host->fake, 4096, 4096);
    uint8_t *list = fake_ram(host->fake, page);
    const Refusal bad[] = {
        BAD(eth_mcast.count, SVAN_MAX_MCAST + 1, BAD_PARAM),
        BAD(eth_mcast.count, UINT32_MAX, BAD_PARAM),
        BAD(eth_mcast.addr, page + 4096 - 16, BAD_PARAM),
        BAD(eth_mcast.addr, 0, DMA_ERROR),
    };

    for (uint32_t i = 0; i < 4096; i++) {
        list[i] = i / 8 + i % 8;
    }
    good.eth_mcast.addr = htole64(page);
    good.eth_mcast.count = htole32(3);
    check_refusals(host, &good, bad, SIZE(bad));
    assert_int_equal(host_fn(host)->net->eth.num_mcast, 0);
    host_must(host, &good);
    assert_int_equal(host_fn(host)->net->eth.num_mcast, 3);
    assert_memory_equal(host_fn(host)->net->eth.mcast[2], list + 16, 6);
    good.eth_mcast.count = 0;
    good.eth_mcast.addr = 0;
    host_must(host, &good);
    assert_int_equal(host_fn(host)->net->eth.num_mcast, 0);
}

static void the_port(void **state)
{
    Host *host = *state;
    struct svan_cmd good = host_cmd_init(SVAN_CMD_SET_PORT);
    const Refusal bad[] = {
        BAD(port.enabled, 2, BAD_PARAM),
        BAD(port.enabled, 255, BAD_PARAM),
    };

    check_refusals(host, &good, bad, SIZE(bad));
    assert_true(host_fn(host)->net->port_enabled);
    host_must(host, &good);
    assert_false(host_fn(host)->net->port_enabled);
    good.port.enabled = 1;
    host_must(host, &good);
    assert_true(host_fn(host)->net->port_enabled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(queue_pairs),
        HOST_TEST(privilege),
        HOST_TEST(what_a_qp_holds),
        HOST_TEST(the_qp_table_fills),
        HOST_TEST(gids),
        cmocka_unit_test(the_gid_of_another_function),
        HOST_TEST(the_ethernet_filter),
        HOST_TEST(multicast_addresses),
        HOST_TEST(the_port),
    };

    return cmocka_run_group_tests_name("cmd_net", tests, NULL, NULL);
}
