/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys whose rights and protection domain change while they are in use
 * (SVAN_CMD_MODIFY_KEY).
 */
#include "fault_peer.h"
#include "refusal.h"

#define ALL     (SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK)
#define READ    SVAN_ACCESS_REMOTE_READ
#define MISSING 200u            /* no such protection domain */

static struct svan_cmd modify_cmd(uint32_t key, uint32_t mask, uint32_t access,
                                  uint32_t pd)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_MODIFY_KEY);

    cmd.modify_key.key = htole32(key);
    cmd.modify_key.mask = htole32(mask);
    cmd.modify_key.access = htole32(access);
    cmd.modify_key.pd = htole32(pd);
    return cmd;
}

static void set_access(Od *od, uint32_t key, uint32_t access)
{
    struct svan_cmd cmd = modify_cmd(key, SVAN_MODIFY_KEY_ACCESS, access,
                                     MISSING);

    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_OK);
}

static void set_pd(Od *od, uint32_t key, uint32_t pd)
{
    struct svan_cmd cmd = modify_cmd(key, SVAN_MODIFY_KEY_PD, UINT32_MAX, pd);

    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_OK);
}

/* ---- the command ---- */

static void assert_key(Od *od, uint32_t key, uint32_t access, uint32_t pd)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_QUERY_KEY);
    struct svan_cmd_resp resp;

    cmd.object.id = htole32(key);
    assert_int_equal(host_cmd(od->rc->host, &cmd, &resp), SVAN_CMD_OK);
    assert_int_equal(le32toh(resp.query_key.access), access);
    assert_int_equal(le32toh(resp.query_key.pd), pd);
    assert_int_equal(le64toh(resp.query_key.va), KEY_VA);
    assert_int_equal(le64toh(resp.query_key.length), PAGES * SVAN_PAGE_SIZE);
    assert_int_equal(resp.query_key.kind, SVAN_KEY_ONDEMAND);
}

/* What the mask does not name stays. */
static void what_is_named_changes(void **state)
{
    Od *od = *state;
    Host *host = od->rc->host;
    uint32_t pd = host_pd(host);
    struct svan_cmd cmd;

    set_access(od, od->key, READ);
    assert_key(od, od->key, READ, host->pd);
    set_pd(od, od->key, pd);
    assert_key(od, od->key, READ, pd);
    cmd = modify_cmd(od->key, SVAN_MODIFY_KEY_MASK, ALL, host->pd);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_OK);
    assert_key(od, od->key, ALL, host->pd);
    cmd = modify_cmd(od->key, 0, UINT32_MAX, MISSING);
    assert_int_equal(host_cmd(host, &cmd, NULL), SVAN_CMD_OK);
    assert_key(od, od->key, ALL, host->pd);
}

static void what_is_refused_changes_nothing(void **state)
{
    Od *od = *state;
    Host *host = od->rc->host;
    struct svan_cmd good = modify_cmd(od->key, SVAN_MODIFY_KEY_MASK, READ,
                                      host_pd(host));
    const Refusal bad[] = {
        BAD(modify_key.key, od->key ^ 1, BAD_RESOURCE),
        BAD(modify_key.key, od->key + 0x7700, BAD_RESOURCE),
        BAD(modify_key.key, SVAN_KEY_LOCAL_DMA, BAD_RESOURCE),
        BAD(modify_key.key, UINT32_MAX, BAD_RESOURCE),
        BAD(modify_key.key, host->ring_key, NOT_PERMITTED),
        BAD(modify_key.mask, SVAN_MODIFY_KEY_MASK + 1, BAD_PARAM),
        BAD(modify_key.mask, 1u << 31 | SVAN_MODIFY_KEY_ACCESS, BAD_PARAM),
        BAD(modify_key.access, SVAN_ACCESS_BIND, BAD_PARAM),
        BAD(modify_key.access, SVAN_ACCESS_FLUSH | READ, BAD_PARAM),
        BAD(modify_key.access, 1u << 31, BAD_PARAM),
        BAD(modify_key.pd, 0, BAD_RESOURCE),
        BAD(modify_key.pd, MISSING, BAD_RESOURCE),
        BAD(modify_key.pd, SVAN_NONE, BAD_RESOURCE),
    };

    check_refusals(host, &good, bad, SIZE(bad));
    assert_key(od, od->key, ALL, host->pd);
}

/* It counts in the domain that it is in, and in no other one. */
static void a_domain_is_busy_while_it_has_the_key(void **state)
{
    Od *od = *state;
    Host *host = od->rc->host;
    uint32_t from = host_pd(host), to = host_pd(host);

    set_pd(od, od->key, from);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, from), SVAN_CMD_BUSY);
    set_pd(od, od->key, from);
    set_pd(od, od->key, to);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, from), SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, to), SVAN_CMD_BUSY);
    assert_int_equal(host_object(host, SVAN_CMD_DESTROY_KEY, od->key),
                     SVAN_CMD_OK);
    assert_int_equal(host_object(host, SVAN_CMD_FREE_PD, to), SVAN_CMD_OK);
}

static void a_loaded_key_is_what_it_was_made(void **state)
{
    Od *od = *state;
    uint32_t pd = host_pd(od->rc->host);

    set_access(od, od->key, READ);
    set_pd(od, od->key, pd);
    assert_true(fake_restore(od->rc->fake));
    assert_key(od, od->key, READ, pd);
    assert_int_equal(host_object(od->rc->host, SVAN_CMD_FREE_PD, pd),
                     SVAN_CMD_BUSY);
}

/* ---- single accesses ---- */

static uint32_t touch(Od *od, uint32_t key, uint64_t va, uint8_t right)
{
    SvanAccess access = {
        .fn = host_fn(od->rc->host), .user = &od->rc->core->user, .key = key, .va = va,
        .len = 8, .access = right,
    };
    uint32_t syndrome = SVAN_SYN_NONE;
    SvanMem mem;

    return svan_access(&access, &mem, &syndrome) == SVAN_STEP_DONE ?
           SVAN_SYN_NONE : syndrome;
}

/* A key of each kind that has a table or none, with its pages there. */
static void each_kind_of_key(Od *od, uint32_t keys[3], uint64_t vas[3])
{
    Host *host = od->rc->host;
    struct svan_cmd_create_key pinned = {
        .kind = SVAN_KEY_PINNED, .levels = 1, .page_shift = 12,
        .access = htole32(ALL), .pd = htole32(host->pd),
        .va = htole64(KEY_VA), .length = htole64(2 * SVAN_PAGE_SIZE),
        .table = htole64(host_mtt(host, od->data, 2, 1, 12, true)),
    };

    map_page(od, 0, true);
    keys[0] = host_key_flat(host, od->data, SVAN_PAGE_SIZE, ALL, 0);
    keys[1] = host_key(host, &pinned);
    keys[2] = od->key;
    vas[0] = od->data;
    vas[1] = vas[2] = KEY_VA;
}

/* The translation is in the TLB, with the right to write. */
static void rights_come_and_go(void **state)
{
    uint64_t vas[3];
    uint32_t keys[3];

    each_kind_of_key(*state, keys, vas);
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t write = SVAN_ACCESS_REMOTE_WRITE;

        assert_int_equal(touch(*state, keys[i], vas[i], write), 0);
        set_access(*state, keys[i], READ);
        assert_int_equal(touch(*state, keys[i], vas[i], write),
                         SVAN_SYN_KEY_ACCESS);
        assert_int_equal(touch(*state, keys[i], vas[i],
                               SVAN_ACCESS_LOCAL_WRITE), SVAN_SYN_KEY_ACCESS);
        assert_int_equal(touch(*state, keys[i], vas[i], READ), 0);
        set_access(*state, keys[i], ALL & ~READ);
        assert_int_equal(touch(*state, keys[i], vas[i], READ),
                         SVAN_SYN_KEY_ACCESS);
        assert_int_equal(touch(*state, keys[i], vas[i], write), 0);
    }
}

static void the_domain_changes(void **state)
{
    Od *od = *state;
    uint32_t pd = host_pd(od->rc->host), keys[3];
    uint64_t vas[3];

    each_kind_of_key(od, keys, vas);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(touch(od, keys[i], vas[i], READ), 0);
        set_pd(od, keys[i], pd);
        assert_int_equal(touch(od, keys[i], vas[i], READ), SVAN_SYN_KEY_PD);
        set_pd(od, keys[i], od->rc->host->pd);
        assert_int_equal(touch(od, keys[i], vas[i], READ), 0);
    }
}

static void addresses_become_zero_based(void **state)
{
    uint64_t vas[3];
    uint32_t keys[3];

    each_kind_of_key(*state, keys, vas);
    for (uint32_t i = 0; i < 3; i++) {
        set_access(*state, keys[i], READ | SVAN_ACCESS_ZERO_BASED);
        assert_int_equal(touch(*state, keys[i], 0, READ), 0);
        assert_int_equal(touch(*state, keys[i], vas[i], READ),
                         SVAN_SYN_KEY_BOUNDS);
        set_access(*state, keys[i], READ);
        assert_int_equal(touch(*state, keys[i], vas[i], READ), 0);
        assert_int_equal(touch(*state, keys[i], 0, READ), SVAN_SYN_KEY_BOUNDS);
    }
}

/* ---- messages under way ---- */

static void write_packet(Od *od, uint8_t opcode, uint32_t psn)
{
    SvanPkt pkt = rc_pkt(opcode, psn, pattern, MTU);

    fill_pattern();
    pkt.va = PAGE(0);
    pkt.rkey = od->key;
    pkt.dma_len = 3 * MTU;
    rc_inject_run(od->rc, &pkt);
}

static void assert_refused(Od *od, uint32_t psn)
{
    RC_SENT_AETH(od->rc, psn, NAK(REMOTE_ACCESS));
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(host_state(&od->rc->qp), SVAN_QPS_ERR);
    assert_int_equal(rc_event(od->rc), SVAN_EVENT_QP_ACCESS_ERR);
}

/* What was written before stays, and nothing is written after. */
static void assert_written(Od *od, uint32_t packets)
{
    const uint8_t zeroes[3 * MTU] = { 0 };

    for (uint32_t i = 0; i < packets; i++) {
        assert_memory_equal(page_mem(od, 0) + i * MTU, pattern, MTU);
    }
    assert_memory_equal(page_mem(od, 0) + packets * MTU, zeroes,
                        (3 - packets) * MTU);
}

static void begin_write(Od *od)
{
    map_page(od, 0, true);
    write_packet(od, SVAN_OP_WRITE_FIRST, PSN_IN);
    assert_written(od, 1);
}

static void a_write_loses_its_right(void **state)
{
    Od *od = *state;

    begin_write(od);
    set_access(od, od->key, SVAN_ACCESS_LOCAL_WRITE | READ);
    write_packet(od, SVAN_OP_WRITE_MIDDLE, PSN_IN + 1);
    assert_refused(od, PSN_IN + 1);
    assert_written(od, 1);
}

static void a_write_loses_its_domain(void **state)
{
    Od *od = *state;

    begin_write(od);
    write_packet(od, SVAN_OP_WRITE_MIDDLE, PSN_IN + 1);
    set_pd(od, od->key, host_pd(od->rc->host));
    write_packet(od, SVAN_OP_WRITE_LAST, PSN_IN + 2);
    assert_refused(od, PSN_IN + 2);
    assert_written(od, 2);
}

/* Between two packets it is somebody else's: nobody has noticed. */
static void a_write_keeps_what_comes_back(void **state)
{
    Od *od = *state;

    begin_write(od);
    set_access(od, od->key, READ);
    set_access(od, od->key, ALL);
    set_pd(od, od->key, host_pd(od->rc->host));
    set_pd(od, od->key, od->rc->host->pd);
    write_packet(od, SVAN_OP_WRITE_MIDDLE, PSN_IN + 1);
    write_packet(od, SVAN_OP_WRITE_LAST, PSN_IN + 2);
    assert_int_equal(host_state(&od->rc->qp), SVAN_QPS_RTS);
    assert_written(od, 3);
}

static void a_write_gets_its_right(void **state)
{
    Od *od = *state;

    map_page(od, 0, true);
    set_access(od, od->key, READ);
    set_access(od, od->key, ALL);
    write_packet(od, SVAN_OP_WRITE_FIRST, PSN_IN);
    assert_written(od, 1);
}

/* Its responses wait for room on the wire. */
static void a_read_loses_its_right(void **state)
{
    Od *od = *state;
    SvanPkt pkt = rc_pkt(SVAN_OP_READ_REQUEST, PSN_IN, NULL, 0);

    map_page(od, 0, true);
    pkt.va = PAGE(0);
    pkt.rkey = od->key;
    pkt.dma_len = 3 * MTU;
    od->rc->fake->out_full = true;
    rc_inject_run(od->rc, &pkt);
    set_access(od, od->key, ALL & ~READ);
    od->rc->fake->out_full = false;
    svan_tx_ready(od->rc->fake->core);
    fake_run(od->rc->fake);
    assert_refused(od, PSN_IN);
}

/* A requester's source is looked at as it is sent. */
static void a_source_loses_its_domain(void **state)
{
    Od *od = *state;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = od->rc->buffer, .length = 3 * MTU, .remote = 0x1000,
        .rkey = 0x7788,
    };

    od->rc->fake->out_full = true;
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    set_pd(od, od->rc->host->all_key, host_pd(od->rc->host));
    rc_skip_sent(od->rc);
    od->rc->fake->out_full = false;
    svan_tx_ready(od->rc->fake->core);
    fake_run(od->rc->fake);
    RC_SQ_DONE(od->rc, 0, LOC_PROT_ERR);
}

/* ---- pages that are waited for ---- */

static void the_page_comes_and_the_right_is_gone(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_HOLD);
    write_at(od, PSN_IN, PAGE(0));
    assert_true(requested(od));
    assert_true(od->last.flags & SVAN_PAGE_REQ_WRITE);
    set_access(od, od->key, READ);
    resolve(od);
    assert_refused(od, PSN_IN);
    assert_written(od, 0);
}

/* The page was entered for reads alone while nobody could write. */
static void the_right_comes_before_the_page_is_writable(void **state)
{
    Od *od = *state;

    set_access(od, od->key, READ);
    map_page(od, 0, false);
    assert_int_equal(touch(od, od->key, PAGE(0), READ), 0);
    set_access(od, od->key, ALL);
    write_at(od, PSN_IN, PAGE(0));
    assert_true(requested(od));
    assert_int_equal(od->last.flags & (SVAN_PAGE_REQ_WRITE |
                                       SVAN_PAGE_REQ_PROTECTED),
                     SVAN_PAGE_REQ_WRITE | SVAN_PAGE_REQ_PROTECTED);
    resolve(od);
    assert_int_equal(host_state(&od->rc->qp), SVAN_QPS_RTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(what_is_named_changes),
        OD_TEST(what_is_refused_changes_nothing),
        OD_TEST(a_domain_is_busy_while_it_has_the_key),
        OD_TEST(a_loaded_key_is_what_it_was_made),
        OD_TEST(rights_come_and_go),
        OD_TEST(the_domain_changes),
        OD_TEST(addresses_become_zero_based),
        OD_TEST(a_write_loses_its_right),
        OD_TEST(a_write_loses_its_domain),
        OD_TEST(a_write_keeps_what_comes_back),
        OD_TEST(a_write_gets_its_right),
        OD_TEST(a_read_loses_its_right),
        OD_TEST(a_source_loses_its_domain),
        OD_TEST(the_page_comes_and_the_right_is_gone),
        OD_TEST(the_right_comes_before_the_page_is_writable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
