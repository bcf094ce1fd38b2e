/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page requests and the ways in which RC handles an absent page: an on-demand
 * key whose pages come and go by hand, a peer of hand-written packets.
 */
#include "fault.h"
#include "rc_peer.h"

#define PRQ_LOG         6
#define PAGES           16u
#define KEY_VA          0x7f0000000000ull
#define PAGE(n)         (KEY_VA + (n) * SVAN_PAGE_SIZE)

typedef struct Od {
    Rc *rc;
    struct svan_page_request *requests;
    struct svan_page_response *responses;
    uint32_t ci, pi;
    uint64_t *table;            /* leaves of the key */
    uint64_t data;              /* bus address of its pages */
    uint32_t key;
    struct svan_page_request last;
} Od;

static void make_key(Od *od)
{
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_ONDEMAND, .levels = 1, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(od->rc->host->pd), .va = htole64(KEY_VA),
        .length = htole64(PAGES * SVAN_PAGE_SIZE),
    };
    uint64_t table = fake_alloc(od->rc->fake, 4096, 4096);

    key.table = htole64(table);
    od->table = fake_ram(od->rc->fake, table);
    od->data = fake_alloc(od->rc->fake, PAGES * SVAN_PAGE_SIZE, 4096);
    od->key = host_key(od->rc->host, &key);
}

static void make_prq(Od *od)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_PRQ);
    uint64_t requests = fake_alloc(od->rc->fake, 64u << PRQ_LOG, 4096);
    uint64_t responses = fake_alloc(od->rc->fake, 32u << PRQ_LOG, 4096);

    cmd.create_prq.requests = htole64(requests);
    cmd.create_prq.responses = htole64(responses);
    cmd.create_prq.log_size = PRQ_LOG;
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_OK);
    od->requests = fake_ram(od->rc->fake, requests);
    od->responses = fake_ram(od->rc->fake, responses);
    host_write(od->rc->host, SVAN_REG_PRQ_DB, SVAN_PRQ_DB_ARM);
}

static void make_spares(Od *od, uint32_t count)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_SPARE_PAGES);
    uint64_t list = fake_alloc(od->rc->fake, 4096, 4096);
    uint64_t *pages = fake_ram(od->rc->fake, list);

    for (uint32_t i = 0; i < count; i++) {
        pages[i] = htole64(fake_alloc(od->rc->fake, 4096, 4096));
    }
    cmd.spare_pages.addr = htole64(list);
    cmd.spare_pages.count = htole32(count);
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_OK);
}

static int setup(void **state)
{
    Od *od = calloc(1, sizeof(*od));

    od->rc = rc_new();
    make_key(od);
    make_prq(od);
    make_spares(od, 8);
    rc_to(od->rc, SVAN_QPS_RTS);
    *state = od;
    return 0;
}

static int teardown(void **state)
{
    Od *od = *state;

    rc_free(od->rc);
    free(od);
    return 0;
}

#define OD_TEST(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define OD_STAT(od, name)       RC_STAT((od)->rc, name)

/* ---- the driver ---- */

/* The next request; false: none. */
static bool requested(Od *od)
{
    struct svan_page_request *at = &od->requests[od->ci & ((1u << PRQ_LOG) - 1)];
    uint8_t phase = (od->ci >> PRQ_LOG) & 1 ? 0 : SVAN_PAGE_REQ_PHASE;

    if ((at->owner & SVAN_PAGE_REQ_PHASE) != phase) {
        return false;
    }
    od->last = *at;
    od->ci++;
    host_write(od->rc->host, SVAN_REG_PRQ_DB,
               (od->ci & SVAN_PRQ_DB_CI_MASK) | SVAN_PRQ_DB_ARM);
    return true;
}

static void answer(Od *od, uint32_t token, uint8_t status, uint64_t ns)
{
    od->responses[od->pi++ & ((2u << PRQ_LOG) - 1)] =
        (struct svan_page_response) {
            .token = token, .status = status, .time_ns = htole64(ns),
            .fault_class = SVAN_FAULT_SWAP_IN,
        };
    host_write(od->rc->host, SVAN_REG_PRR_DB, od->pi);
    fake_run(od->rc->fake);
}

static void map_page(Od *od, uint32_t page, bool writable)
{
    od->table[page] = htole64(svan_mtt_present(od->data +
                                               page * SVAN_PAGE_SIZE,
                                               writable));
}

static void unmap_page(Od *od, uint32_t page, uint32_t fault_class, uint64_t ns)
{
    od->table[page] = htole64(svan_mtt_absent(fault_class, ns));
    host_write(od->rc->host, SVAN_REG_INV_TARGET, od->key);
    svan_reg_write(od->rc->fake->core, 0, SVAN_REG_INV_ADDR, PAGE(page), 8);
    svan_reg_write(od->rc->fake->core, 0, SVAN_REG_INV_LENGTH, 4096, 8);
    host_write(od->rc->host, SVAN_REG_INV_GO, SVAN_INV_KEY);
}

/* The page of the request that is there. */
static void resolve(Od *od)
{
    map_page(od, (le64toh(od->last.addr) - KEY_VA) / SVAN_PAGE_SIZE, true);
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
}

static uint8_t *page_mem(Od *od, uint32_t page)
{
    return fake_ram(od->rc->fake, od->data + page * SVAN_PAGE_SIZE);
}

static void set_policy(Od *od, struct svan_fault_policy *policy)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);

    cmd.fault_policy.qpn = htole32(od->rc->qp.qpn);
    cmd.fault_policy.policy = *policy;
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_OK);
}

static void set_mode(Od *od, uint8_t mode)
{
    struct svan_fault_policy policy;

    svan_policy_default(&policy);
    policy.mode = mode;
    set_policy(od, &policy);
}

/* ---- the peer ---- */

static uint8_t pattern[SVAN_MAX_MTU];

static void fill_pattern(void)
{
    for (uint32_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = i * 5 + 1;
    }
}

/* A WRITE of one packet, to the start of a page, asking for an ACK. */
static void write_page(Od *od, uint32_t psn, uint32_t page)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, psn, pattern, MTU);

    fill_pattern();
    pkt.va = PAGE(page);
    pkt.rkey = od->key;
    pkt.dma_len = MTU;
    pkt.ack_req = true;
    rc_inject_run(od->rc, &pkt);
}

static void check_page(Od *od, uint32_t page)
{
    assert_memory_equal(page_mem(od, page), pattern, MTU);
}

/* ---- tests ---- */

static void a_held_write_is_done_when_its_page_comes(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), PAGE(3));
    assert_int_equal(le32toh(od->last.key), od->key);
    assert_int_equal(od->last.flags,
                     SVAN_PAGE_REQ_WRITE | SVAN_PAGE_REQ_REMOTE);
    assert_int_equal(od->last.attempt, 0);
    answer(od, od->last.token, SVAN_PAGE_PENDING, 100000);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, fault_hold), 1);
    assert_int_equal(OD_STAT(od, fault_held_bytes), MTU);
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_int_equal(host_fn(od->rc->host)->held_bytes, 0);
    assert_false(requested(od));
}

static void what_follows_a_held_packet_waits_in_order(void **state)
{
    Od *od = *state;

    map_page(od, 4, true);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 4);
    write_page(od, PSN_IN + 2, 4);
    write_page(od, PSN_IN + 1, 4);      /* a duplicate of what is kept */
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(page_mem(od, 4)[1], 0);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    check_page(od, 4);
    RC_SENT_AETH(od->rc, PSN_IN + 2, ACKED);
    assert_int_equal(OD_STAT(od, duplicate_request), 1);
    assert_int_equal(rc_priv(od->rc)->resp.msn, 3);
}

static void a_gap_behind_a_held_packet_is_called_back(void **state)
{
    Od *od = *state;

    map_page(od, 4, true);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 2, 4);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN + 1, NAK(PSN_SEQ));
}

static void a_kept_packet_may_meet_the_next_page(void **state)
{
    Od *od = *state;
    uint32_t first;

    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 5);
    assert_true(requested(od));
    first = od->last.token;
    resolve(od);
    check_page(od, 3);
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), PAGE(5));
    assert_int_not_equal(od->last.token, first);
    resolve(od);
    check_page(od, 5);
    rc_skip_sent(od->rc);
    assert_int_equal(od->rc->core->state, SVAN_QPS_RTS);
    assert_int_equal(rc_priv(od->rc)->resp.msn, 2);
}

static void rnr_covers_the_estimate(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 3000000);
    write_page(od, PSN_IN, 3);
    /* 3.84 ms is the first that covers 3 ms */
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 17);
    assert_int_equal(OD_STAT(od, fault_rnr), 1);
    assert_int_equal(host_fn(od->rc->host)->held_bytes, 0);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_NOTHING(od->rc);            /* it comes back by itself */
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

static void rnr_is_sent_once_for_a_page(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 12);
    assert_true(requested(od));
    write_page(od, PSN_IN, 3);          /* it is back too early: kept */
    RC_SENT_NOTHING(od->rc);
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
    assert_int_equal(OD_STAT(od, rnr_nak_sent), 1);
}

#define IS_RNR_NAK(pkt) \
    (((pkt).syndrome & SVAN_AETH_KIND_MASK) == SVAN_AETH_RNR_NAK)

static void set_room(Od *od, uint8_t mode, uint32_t hold_bytes)
{
    struct svan_fault_policy policy;

    svan_policy_default(&policy);
    policy.mode = mode;
    policy.hold_bytes = htole32(hold_bytes);
    policy.divert_pages = 0;
    set_policy(od, &policy);
}

/* A requester without a timeout depends on it. */
static void a_retry_that_finds_no_room_is_called_back(void **state)
{
    Od *od = *state;

    set_room(od, SVAN_FAULT_MODE_RNR, 0);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 12);
    write_page(od, PSN_IN, 3);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    /* once more: the next time it is no sequence NAK, and no long wait */
    unmap_page(od, 3, 0, 0);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 12);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 9);
    assert_int_equal(OD_STAT(od, rnr_nak_sent), 3);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

static void what_trails_behind_an_rnr_nak_is_not_called_back(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    write_page(od, PSN_IN + 1, 3);      /* it was on its way */
    assert_true(requested(od));
    resolve(od);
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

static void what_follows_a_retry_without_room_is_called_back(void **state)
{
    Od *od = *state;

    set_room(od, SVAN_FAULT_MODE_RNR, MTU);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    write_page(od, PSN_IN, 3);          /* kept */
    write_page(od, PSN_IN + 1, 3);      /* dropped */
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN + 1, NAK(PSN_SEQ));
}

static void past_the_bound_a_kept_retry_is_called_back(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    write_page(od, PSN_IN, 3);
    assert_int_not_equal(host_fn(od->rc->host)->held_bytes, 0);
    fake_advance(od->rc->fake, 21000000);
    assert_int_equal(host_fn(od->rc->host)->held_bytes, 0);
    RC_SENT_NOTHING(od->rc);            /* one RNR NAK for a page */
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
}

static void diverted_data_takes_spare_pages_alone(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_DIVERT);
    map_page(od, 4, true);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 4);
    assert_int_equal(OD_STAT(od, fault_divert), 1);
    assert_int_equal(OD_STAT(od, fault_held_bytes), 0);
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), 2 * MTU);
    assert_true(svan_spares_in_use(host_fn(od->rc->host)));
    assert_true(requested(od));
    memset(page_mem(od, 3), 0xee, SVAN_PAGE_SIZE);
    resolve(od);
    check_page(od, 3);
    check_page(od, 4);
    for (uint32_t i = MTU; i < SVAN_PAGE_SIZE; i++) {
        assert_int_equal(page_mem(od, 3)[i], 0xee);
    }
    RC_SENT_AETH(od->rc, PSN_IN + 1, ACKED);
    assert_false(svan_spares_in_use(host_fn(od->rc->host)));
}

static void an_estimate_moves_what_is_held_to_spare_pages(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_int_equal(OD_STAT(od, fault_held_bytes), MTU);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 3000000);
    assert_int_equal(OD_STAT(od, fault_divert), 1);
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), MTU);
    assert_int_equal(host_fn(od->rc->host)->held_bytes, 0);
    resolve(od);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

static void dropped_data_is_called_back_once(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_DROP);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 3);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, fault_drop), 1);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 2);
    assert_int_equal(OD_STAT(od, fault_held_bytes), 0);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN + 1, 3);      /* it was on its way */
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

static void a_page_that_never_comes_is_refused(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_ACCESS));
    assert_int_equal(od->rc->core->state, SVAN_QPS_ERR);
    assert_int_equal(rc_event(od->rc), SVAN_EVENT_QP_ACCESS_ERR);
    assert_int_equal(OD_STAT(od, fault_fail), 1);
}

static void past_the_bound_an_rnr_nak_follows(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_HOLD);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    fake_advance(od->rc->fake, 19000000);
    RC_SENT_NOTHING(od->rc);
    fake_advance(od->rc->fake, 2000000);
    assert_true(rc_sent(od->rc));
    assert_int_equal(od->rc->pkt.syndrome & SVAN_AETH_KIND_MASK,
                     SVAN_AETH_RNR_NAK);
    assert_int_equal(OD_STAT(od, fault_fallback), 1);
    assert_int_equal(host_fn(od->rc->host)->held_bytes, 0);
    resolve(od);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
}

static void choosing_by_the_entry(void **state)
{
    static const struct {
        uint64_t us;
        uint8_t mode;
    } rows[] = {
        { 100, SVAN_FAULT_MODE_HOLD }, { 1000, SVAN_FAULT_MODE_HOLD },
        { 1100, SVAN_FAULT_MODE_DIVERT }, { 4000, SVAN_FAULT_MODE_DIVERT },
        { 4100, SVAN_FAULT_MODE_DROP }, { 8000, SVAN_FAULT_MODE_DROP },
        { 8100, SVAN_FAULT_MODE_RNR }, { 900000, SVAN_FAULT_MODE_RNR },
    };
    Od *od = *state;

    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t psn = PSN_IN + i;

        unmap_page(od, i, SVAN_FAULT_SWAP_IN, rows[i].us * 1000);
        write_page(od, psn, i);
        assert_int_equal(rc_priv(od->rc)->fault.mode, rows[i].mode);
        assert_true(requested(od));
        assert_int_equal(svan_mtt_absent_time(le64toh(od->last.entry)),
                         rows[i].us * 1000);
        resolve(od);
        if (rows[i].mode == SVAN_FAULT_MODE_DROP ||
            rows[i].mode == SVAN_FAULT_MODE_RNR) {
            write_page(od, psn, i);
        }
        check_page(od, i);
        assert_int_equal(rc_priv(od->rc)->resp.msn, i + 1);
    }
}

static void sources_can_be_switched_off(void **state)
{
    struct svan_fault_policy policy;
    Od *od = *state;

    svan_policy_default(&policy);
    policy.sources = SVAN_ESTIMATE_RESPONSE;
    set_policy(od, &policy);
    unmap_page(od, 3, SVAN_FAULT_SWAP_IN, 900000000);
    write_page(od, PSN_IN, 3);
    assert_int_equal(rc_priv(od->rc)->fault.mode, SVAN_FAULT_MODE_AUTO);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 10000);
    assert_int_equal(rc_priv(od->rc)->fault.mode, SVAN_FAULT_MODE_HOLD);
    resolve(od);

    policy.sources = 0;                 /* unknown: unknown_us counts */
    policy.unknown_us = htole32(100000);
    set_policy(od, &policy);
    rc_skip_sent(od->rc);
    write_page(od, PSN_IN + 1, 5);
    assert_int_equal(rc_priv(od->rc)->fault.mode, SVAN_FAULT_MODE_RNR);
}

static void a_full_buffer_diverts_then_drops(void **state)
{
    struct svan_fault_policy policy;
    Od *od = *state;

    svan_policy_default(&policy);
    policy.hold_bytes = htole32(MTU - 1);
    set_policy(od, &policy);
    unmap_page(od, 3, SVAN_FAULT_ZERO_FILL, 50000);
    write_page(od, PSN_IN, 3);
    assert_int_equal(rc_priv(od->rc)->fault.mode, SVAN_FAULT_MODE_DIVERT);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);

    policy.divert_pages = 0;
    set_policy(od, &policy);
    unmap_page(od, 3, SVAN_FAULT_ZERO_FILL, 50000);
    rc_skip_sent(od->rc);
    write_page(od, PSN_IN + 1, 3);
    assert_int_equal(rc_priv(od->rc)->fault.mode, SVAN_FAULT_MODE_DROP);
    assert_true(requested(od));
    resolve(od);
    RC_SENT_AETH(od->rc, PSN_IN + 1, NAK(PSN_SEQ));
}

static void a_receive_buffer_that_is_absent(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_SEND_ONLY, PSN_IN, pattern, MTU);
    Od *od = *state;
    HostQp *qp = &od->rc->qp;
    uint32_t all = od->rc->host->all_key;

    fill_pattern();
    od->rc->host->all_key = od->key;
    host_recv(qp, PAGE(2), 4096);
    od->rc->host->all_key = all;
    pkt.ack_req = true;
    rc_inject_run(od->rc, &pkt);
    RC_NO_CQE(od->rc);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 2);
    RC_RQ_DONE(od->rc, 0, RECV, SUCCESS);
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/* Its NAK is the only one, and what was kept behind it is forgotten. */
static void a_kept_send_that_finds_no_receive(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_SEND_ONLY, PSN_IN, pattern, MTU);
    Od *od = *state;
    uint32_t all = od->rc->host->all_key;

    fill_pattern();
    od->rc->host->all_key = od->key;
    host_recv(&od->rc->qp, PAGE(2), 4096);
    od->rc->host->all_key = all;
    for (uint32_t i = 0; i < 5; i++) {
        pkt.psn = PSN_IN + i;
        pkt.ack_req = true;
        if (i != 3) {
            rc_inject_run(od->rc, &pkt);
        }
    }
    assert_true(requested(od));
    resolve(od);
    RC_RQ_DONE(od->rc, 0, RECV, SUCCESS);
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    assert_int_equal(od->rc->pkt.psn, (PSN_IN + 1) & SVAN_PSN_MASK);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(OD_STAT(od, out_of_buffer), 1);
    assert_int_equal(OD_STAT(od, out_of_sequence), 0);
    assert_int_equal(host_fn(od->rc->host)->held_bytes, 0);
    host_recv(&od->rc->qp, od->rc->buffer, 4096);
    pkt.psn = PSN_IN + 1;
    rc_inject_run(od->rc, &pkt);
    RC_RQ_DONE(od->rc, 1, RECV, SUCCESS);
    RC_SENT_AETH(od->rc, PSN_IN + 1, ACKED);
}

static void a_receive_buffer_that_never_comes(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_SEND_ONLY, PSN_IN, pattern, MTU);
    Od *od = *state;
    uint32_t all = od->rc->host->all_key;

    od->rc->host->all_key = od->key;
    host_recv(&od->rc->qp, PAGE(2), 4096);
    od->rc->host->all_key = all;
    rc_inject_run(od->rc, &pkt);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_OPERATIONAL));
    RC_RQ_DONE(od->rc, 0, RECV, LOC_PROT_ERR);
}

static void an_atomic_is_executed_once(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_FETCH_ADD, PSN_IN, NULL, 0);
    Od *od = *state;

    pkt.va = PAGE(6);
    pkt.rkey = od->key;
    pkt.swap_add = 5;
    rc_inject_run(od->rc, &pkt);
    rc_inject_run(od->rc, &pkt);        /* the requester is impatient */
    assert_true(requested(od));
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_ATOMIC_ACK, PSN_IN);
    rc_inject_run(od->rc, &pkt);
    RC_SENT(od->rc, SVAN_OP_ATOMIC_ACK, PSN_IN);
    assert_int_equal(le64toh(*(uint64_t *)page_mem(od, 6)), 5);
}

static void a_read_waits_for_its_source(void **state)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_READ_REQUEST, PSN_IN, NULL, 0);
    Od *od = *state;

    map_page(od, 0, true);
    pkt.va = PAGE(1) - MTU;
    pkt.rkey = od->key;
    pkt.dma_len = 2 * MTU;
    rc_inject_run(od->rc, &pkt);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_FIRST, PSN_IN);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    assert_int_equal(od->last.flags, SVAN_PAGE_REQ_REMOTE);
    assert_int_equal(le64toh(od->last.addr), PAGE(1));
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_RESP_LAST, PSN_IN + 1);
}

static void a_source_that_is_absent_suspends_the_requester(void **state)
{
    Od *od = *state;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(7), .length = MTU, .lkey = od->key, .remote = 0x1000,
        .rkey = 1,
    };

    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    assert_int_equal(od->last.flags, 0);
    fake_advance(od->rc->fake, 100000000);      /* costs no retry */
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_WRITE_ONLY, PSN_OUT);
    rc_inject_ack(od->rc, ACKED, PSN_OUT);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    assert_int_equal(OD_STAT(od, page_faults_requester), 1);
}

static void a_source_that_never_comes(void **state)
{
    Od *od = *state;
    HostSend send = {
        .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(7), .length = MTU, .lkey = od->key,
    };

    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SQ_DONE(od->rc, 0, LOC_PROT_ERR);
}

/* READ: the target is touched first; a page that has gone costs one more request. */
static void a_response_that_meets_an_absent_page(void **state)
{
    Od *od = *state;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_READ, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(7), .length = MTU, .lkey = od->key, .remote = 0x1000,
        .rkey = 1,
    };
    SvanPkt response = rc_pkt(SVAN_OP_READ_RESP_ONLY, PSN_OUT, pattern, MTU);

    fill_pattern();
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    assert_int_equal(od->last.flags, SVAN_PAGE_REQ_WRITE);
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_REQUEST, PSN_OUT);
    unmap_page(od, 7, 0, 0);
    rc_inject_run(od->rc, &response);
    RC_NO_CQE(od->rc);
    assert_true(requested(od));
    fake_advance(od->rc->fake, 100000000);      /* costs no retry either */
    resolve(od);
    RC_SENT(od->rc, SVAN_OP_READ_REQUEST, PSN_OUT);
    rc_inject_run(od->rc, &response);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    check_page(od, 7);
}

/* However often it is gone when the response comes: the peer does answer. */
static void a_response_without_its_page_gives_retries_back(void **state)
{
    Od *od = *state;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_READ, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(7), .length = MTU, .lkey = od->key, .remote = 0x1000,
        .rkey = 1,
    };
    SvanPkt response = rc_pkt(SVAN_OP_READ_RESP_ONLY, PSN_OUT, pattern, MTU);

    fill_pattern();
    map_page(od, 7, true);
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    for (uint32_t i = 0; i < 5; i++) {
        fake_advance(od->rc->fake, 10000000);   /* nothing came: try again */
        fake_advance(od->rc->fake, 10000000);
        unmap_page(od, 7, 0, 0);
        rc_inject_run(od->rc, &response);
        assert_int_equal(rc_priv(od->rc)->req.retries, 3);
        assert_true(requested(od));
        resolve(od);
    }
    assert_true(OD_STAT(od, local_ack_timeout_err) > 3);
    rc_inject_run(od->rc, &response);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    check_page(od, 7);
}

/* Sent again it waits for its page, when the ACK comes after all. */
static void an_acknowledged_packet_waits_for_no_page(void **state)
{
    Od *od = *state;
    HostSend send = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
        .addr = PAGE(7), .length = MTU, .lkey = od->key, .remote = 0x1000,
        .rkey = 1,
    };

    map_page(od, 7, true);
    map_page(od, 8, true);
    host_send(&od->rc->qp, &send);
    send.addr = PAGE(8);
    host_send(&od->rc->qp, &send);
    rc_go(od->rc);
    unmap_page(od, 7, 0, 0);
    rc_skip_sent(od->rc);
    fake_advance(od->rc->fake, 10000000);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    rc_inject_ack(od->rc, ACKED, PSN_OUT);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    RC_SENT(od->rc, SVAN_OP_WRITE_ONLY, PSN_OUT + 1);
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_NO_CQE(od->rc);
    rc_inject_ack(od->rc, ACKED, PSN_OUT + 1);
    RC_SQ_DONE(od->rc, 1, SUCCESS);
}

static void a_page_that_is_gone_again_counts(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(requested(od));
        assert_int_equal(od->last.attempt, i);
        answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    }
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    assert_int_equal(OD_STAT(od, page_faults_again), 3);
    unmap_page(od, 3, 0, 0);
    write_page(od, PSN_IN + 1, 3);
    assert_true(requested(od));
    assert_int_equal(od->last.attempt, 0);
}

static void a_protected_page_is_asked_for_and_refused(void **state)
{
    Od *od = *state;

    map_page(od, 3, false);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    assert_true(od->last.flags & SVAN_PAGE_REQ_PROTECTED);
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_ACCESS));
}

static void responses_that_make_no_sense(void **state)
{
    Od *od = *state;

    answer(od, 0, SVAN_PAGE_RESOLVED, 0);
    answer(od, 0xffffffff, SVAN_PAGE_PENDING, 0);
    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    answer(od, od->last.token, 77, 0);
    answer(od, od->last.token + 0x10000, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(OD_STAT(od, page_responses_bad), 4);
    resolve(od);
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(OD_STAT(od, page_responses_bad), 5);
    host_write(od->rc->host, SVAN_REG_PRR_DB, od->pi + (2u << PRQ_LOG) + 1);
    host_write(od->rc->host, SVAN_REG_PRQ_DB, od->ci + 1);
    assert_int_equal(OD_STAT(od, page_responses_bad), 7);
    check_page(od, 3);
}

static void without_a_queue_a_page_never_comes(void **state)
{
    Od *od = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_DESTROY_PRQ);

    write_page(od, PSN_IN, 3);
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_OK);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(REMOTE_ACCESS));
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL),
                     SVAN_CMD_BAD_RESOURCE);
}

static void a_reset_forgets_what_was_kept(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 3);
    assert_true(requested(od));
    rc_modify(od->rc, SVAN_QPS_RESET, 0);
    assert_int_equal(host_fn(od->rc->host)->held_bytes, 0);
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(OD_STAT(od, page_responses_bad), 0);
    rc_to(od->rc, SVAN_QPS_RTS);
    map_page(od, 3, true);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
}

static void a_saved_suspension_is_taken_up_again(void **state)
{
    Od *od = *state;

    write_page(od, PSN_IN, 3);
    assert_true(requested(od));
    assert_true(fake_restore(od->rc->fake));
    od->rc->core = svan_qp_get(host_fn(od->rc->host), od->rc->qp.qpn);
    fake_run(od->rc->fake);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    write_page(od, PSN_IN, 3);          /* merged with what was asked before */
    assert_false(requested(od));
    resolve(od);
    check_page(od, 3);
    assert_int_equal(OD_STAT(od, page_responses_bad), 0);
}

static void restored(Od *od)
{
    assert_true(fake_restore(od->rc->fake));
    od->rc->core = svan_qp_get(host_fn(od->rc->host), od->rc->qp.qpn);
    fake_run(od->rc->fake);
}

/* It is asked to come again only if it has come since the RNR NAK. */
static void a_saved_suspension_after_an_rnr_nak(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_RNR);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    restored(od);
    RC_SENT_NOTHING(od->rc);
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    assert_true(IS_RNR_NAK(od->rc->pkt));
    write_page(od, PSN_IN, 3);
    restored(od);
    RC_SENT_AETH(od->rc, PSN_IN, NAK(PSN_SEQ));
    write_page(od, PSN_IN, 3);
    assert_true(rc_sent(od->rc));
    write_page(od, PSN_IN, 3);
    restored(od);                       /* a second one would cost a retry */
    RC_SENT_AETH(od->rc, PSN_IN, SVAN_AETH_RNR_NAK | 9);
    assert_true(requested(od));
    resolve(od);
    write_page(od, PSN_IN, 3);
    check_page(od, 3);
}

/* Every map misses once: nothing is done twice, nothing is lost. */
static void misses_anywhere(void **state)
{
    Od *od = *state;

    od->rc->fake->miss_every = 1;
    set_mode(od, SVAN_FAULT_MODE_DIVERT);
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 5);
    assert_true(requested(od));
    resolve(od);
    assert_true(requested(od));
    resolve(od);
    check_page(od, 3);
    check_page(od, 5);
    assert_int_equal(OD_STAT(od, fault_diverted_bytes), 2 * MTU);
    assert_int_equal(rc_priv(od->rc)->resp.msn, 2);
}

static void a_full_table_of_faults_makes_wait(void **state)
{
    Od *od = *state;
    SvanFn *fn = host_fn(od->rc->host);
    SvanFaultWait waits[(1u << PRQ_LOG) + 2];
    uint32_t n = sizeof(waits) / sizeof(waits[0]);

    memset(waits, 0, sizeof(waits));
    for (uint32_t i = 0; i < n; i++) {
        waits[i].qp = od->rc->core;
        svan_fault_forget(&waits[i]);
        fn->absent = (SvanAbsent) {
            .key = svan_key_get(fn, od->key), .va = (uint64_t)i << 12, .len = 1,
        };
        svan_fault_wait(&waits[i], true);
    }
    assert_int_equal(OD_STAT(od, page_requests_stalled), 2);
    fake_run(od->rc->fake);
    for (uint32_t i = 0; i < 1u << PRQ_LOG; i++) {
        assert_true(requested(od));
    }
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(waits[n - 3].state, SVAN_WAIT_OVER);
    assert_int_equal(waits[n - 2].state, SVAN_WAIT_OVER);
    assert_int_equal(waits[n - 1].state, SVAN_WAIT_PENDING);
    for (uint32_t i = 0; i < n; i++) {
        svan_fault_leave(&waits[i]);
    }
}

static void injected_faults_take_their_time(void **state)
{
    SvanInjection what = {
        .first = PAGE(3), .last = PAGE(4) - 1, .chance_ppm = 1000000, .count = 1,
        .fault_class = SVAN_FAULT_FILE_READ, .estimate_ns = 200000,
        .delay_ns = 300000,
    };
    Od *od = *state;
    SvanCore *core = od->rc->fake->core;

    map_page(od, 3, true);
    map_page(od, 4, true);
    assert_true(svan_inject(core, 0, &what));
    write_page(od, PSN_IN, 3);
    write_page(od, PSN_IN + 1, 4);
    assert_false(requested(od));
    assert_int_equal(rc_priv(od->rc)->fault.mode, SVAN_FAULT_MODE_HOLD);
    fake_advance(od->rc->fake, 299000);
    assert_int_equal(page_mem(od, 3)[1], 0);
    fake_advance(od->rc->fake, 2000);
    check_page(od, 3);
    check_page(od, 4);
    RC_SENT_AETH(od->rc, PSN_IN + 1, ACKED);
    write_page(od, PSN_IN + 2, 3);      /* each page once */
    RC_SENT_AETH(od->rc, PSN_IN + 2, ACKED);
    assert_int_equal(OD_STAT(od, page_faults_injected), 1);

    what.failure = true;
    what.key = od->key;
    assert_true(svan_inject(core, 0, &what));
    write_page(od, PSN_IN + 3, 3);
    fake_advance(od->rc->fake, 300000);
    RC_SENT_AETH(od->rc, PSN_IN + 3, NAK(REMOTE_ACCESS));
}

static void bad_injections(void **state)
{
    SvanInjection what = { .first = 1, .last = 0 };
    Od *od = *state;
    SvanCore *core = od->rc->fake->core;
    uint32_t n = 0;

    assert_false(svan_inject(core, 0, &what));
    assert_false(svan_inject(core, 9, &what));
    what.last = UINT64_MAX;
    what.fault_class = SVAN_FAULT_CLASS_COUNT;
    assert_false(svan_inject(core, 0, &what));
    what.fault_class = 0;
    while (svan_inject(core, 0, &what)) {
        n++;
    }
    assert_int_equal(n, 16);
    svan_inject_nothing(core, 0);
    assert_true(svan_inject(core, 0, &what));
    map_page(od, 3, true);
    write_page(od, PSN_IN, 3);          /* no chance */
    RC_SENT_AETH(od->rc, PSN_IN, ACKED);
}

/* Who was woken because a fault is free, and needs none, wakes the next. */
static void a_free_fault_is_passed_on(void **state)
{
    Od *od = *state;
    SvanFn *fn = host_fn(od->rc->host);
    SvanFaultWait waits[(1u << PRQ_LOG) + 3];
    uint32_t n = sizeof(waits) / sizeof(waits[0]);

    memset(waits, 0, sizeof(waits));
    for (uint32_t i = 0; i < n; i++) {
        waits[i].qp = od->rc->core;
        svan_fault_forget(&waits[i]);
        fn->absent = (SvanAbsent) {
            .key = svan_key_get(fn, od->key), .va = (uint64_t)i << 12, .len = 1,
        };
        svan_fault_wait(&waits[i], true);
    }
    fake_run(od->rc->fake);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
    assert_int_equal(waits[n - 3].state, SVAN_WAIT_OVER);
    assert_int_equal(waits[n - 2].state, SVAN_WAIT_PENDING);
    svan_fault_leave(&waits[n - 3]);    /* its page is there */
    assert_int_equal(waits[n - 2].state, SVAN_WAIT_OVER);
    fn->absent.va = 1 << 12;            /* it waits for the same as another */
    svan_fault_wait(&waits[n - 2], true);
    assert_int_equal(waits[n - 2].state, SVAN_WAIT_PENDING);
    assert_int_equal(waits[n - 1].state, SVAN_WAIT_OVER);
    for (uint32_t i = 0; i < n; i++) {
        svan_fault_leave(&waits[i]);
    }
}

static void bad_commands(void **state)
{
    Od *od = *state;
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_PRQ);
    struct svan_fault_policy policy;

    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BUSY);
    cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);
    svan_policy_default(&policy);
    policy.mode = SVAN_FAULT_MODE_FAIL;
    cmd.fault_policy.policy = policy;
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    cmd.fault_policy.qpn = htole32(0x123456);
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BAD_RESOURCE);
    cmd = host_cmd_init(SVAN_CMD_SET_SPARE_PAGES);
    cmd.spare_pages.count = htole32(SVAN_MAX_SPARES + 1);
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BAD_PARAM);
    set_mode(od, SVAN_FAULT_MODE_DIVERT);
    write_page(od, PSN_IN, 3);
    cmd.spare_pages.count = 0;
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OD_TEST(a_held_write_is_done_when_its_page_comes),
        OD_TEST(what_follows_a_held_packet_waits_in_order),
        OD_TEST(a_gap_behind_a_held_packet_is_called_back),
        OD_TEST(a_kept_packet_may_meet_the_next_page),
        OD_TEST(rnr_covers_the_estimate),
        OD_TEST(rnr_is_sent_once_for_a_page),
        OD_TEST(a_retry_that_finds_no_room_is_called_back),
        OD_TEST(what_trails_behind_an_rnr_nak_is_not_called_back),
        OD_TEST(what_follows_a_retry_without_room_is_called_back),
        OD_TEST(past_the_bound_a_kept_retry_is_called_back),
        OD_TEST(diverted_data_takes_spare_pages_alone),
        OD_TEST(an_estimate_moves_what_is_held_to_spare_pages),
        OD_TEST(dropped_data_is_called_back_once),
        OD_TEST(a_page_that_never_comes_is_refused),
        OD_TEST(past_the_bound_an_rnr_nak_follows),
        OD_TEST(choosing_by_the_entry),
        OD_TEST(sources_can_be_switched_off),
        OD_TEST(a_full_buffer_diverts_then_drops),
        OD_TEST(a_receive_buffer_that_is_absent),
        OD_TEST(a_kept_send_that_finds_no_receive),
        OD_TEST(a_receive_buffer_that_never_comes),
        OD_TEST(an_atomic_is_executed_once),
        OD_TEST(a_read_waits_for_its_source),
        OD_TEST(a_source_that_is_absent_suspends_the_requester),
        OD_TEST(a_source_that_never_comes),
        OD_TEST(a_response_that_meets_an_absent_page),
        OD_TEST(a_response_without_its_page_gives_retries_back),
        OD_TEST(an_acknowledged_packet_waits_for_no_page),
        OD_TEST(a_page_that_is_gone_again_counts),
        OD_TEST(a_protected_page_is_asked_for_and_refused),
        OD_TEST(responses_that_make_no_sense),
        OD_TEST(without_a_queue_a_page_never_comes),
        OD_TEST(a_reset_forgets_what_was_kept),
        OD_TEST(a_saved_suspension_is_taken_up_again),
        OD_TEST(a_saved_suspension_after_an_rnr_nak),
        OD_TEST(misses_anywhere),
        OD_TEST(a_full_table_of_faults_makes_wait),
        OD_TEST(injected_faults_take_their_time),
        OD_TEST(bad_injections),
        OD_TEST(a_free_fault_is_passed_on),
        OD_TEST(bad_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
