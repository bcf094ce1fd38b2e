/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Absent pages of queue pairs whose packets nobody acknowledges: what arrives is held or
 * lost (PRM "Unreliable connections and datagrams"), and what is sent waits.
 */
#include "fault_peer.h"
#include "transport/unreliable.h"

#define QKEY            0x11223344u
#define GRH             40u
#define BUF             (GRH + MTU)
#define PEER_SQPN       0x777u

#define A(name)         SVAN_QP_ATTR_##name

/* ---- queue pairs: they take the place of the peer's RC queue pair ---- */

static void to_rts(Od *od, uint32_t init, uint32_t rtr)
{
    od->rc->qp.rq_pi = od->rc->qp.sq_pi = 0;
    rc_modify(od->rc, SVAN_QPS_INIT, A(PKEY_INDEX) | A(PORT) | init);
    rc_modify(od->rc, SVAN_QPS_RTR, A(MTU) | rtr);
    rc_modify(od->rc, SVAN_QPS_RTS, A(SQ_PSN));
}

static void start(Od *od)
{
    if (od->rc->qp.type == SVAN_QPT_UD) {
        to_rts(od, A(QKEY), 0);
    } else {
        to_rts(od, A(ACCESS), A(AV) | A(DEST_QPN) | A(RQ_PSN));
    }
}

static void find_core(Od *od)
{
    od->rc->core = svan_qp_get(host_fn(od->rc->host), od->rc->qp.qpn);
}

static int setup_type(void **state, uint8_t type)
{
    HostQpAttr attr = { .type = type, .log_sq = 6, .log_rq = 4, .max_sge = 2 };
    Od *od;

    setup(state);
    od = *state;
    od->rc->qp = host_qp(od->rc->host, &od->rc->scq, &od->rc->rcq, &attr);
    od->rc->attrs.attr.qkey = htole32(QKEY);
    find_core(od);
    start(od);
    fill_pattern();
    return 0;
}

static int setup_ud(void **state)
{
    return setup_type(state, SVAN_QPT_UD);
}

static int setup_uc(void **state)
{
    return setup_type(state, SVAN_QPT_UC);
}

#define UD_TEST(name)   cmocka_unit_test_setup_teardown(name, setup_ud, teardown)
#define UC_TEST(name)   cmocka_unit_test_setup_teardown(name, setup_uc, teardown)

static SvanUnreliableReceiver *receiver(Od *od)
{
    return &svan_unreliable(od->rc->core)->recv;
}

#define HELD_BYTES(od)  (host_fn((od)->rc->host)->paging->held_bytes)

/* ---- work ---- */

/* A receive buffer in the key. */
static void recv_at(Od *od, uint64_t va, uint32_t length)
{
    HostSge sge = { va, length, od->key };

    host_write_rwqe(&od->rc->qp, &sge, 1);
    host_post_recv(&od->rc->qp);
}

/* The n-th datagram: octets of the pattern from the n-th on. */
static void datagram(Od *od, uint32_t n)
{
    SvanPkt pkt = rc_pkt(SVAN_BTH_UD | SVAN_OP_SEND_ONLY, n, pattern + n, MTU);

    pkt.qkey = QKEY;
    pkt.sqpn = PEER_SQPN;
    rc_inject_run(od->rc, &pkt);
}

/* A packet of a connection, whose payload is octets of the pattern from the n-th on. */
static void packet(Od *od, uint8_t op, uint32_t n)
{
    SvanPkt pkt = rc_pkt(SVAN_BTH_UC | op, PSN_IN + n, pattern + n, MTU);

    pkt.va = PAGE(3);
    pkt.rkey = od->key;
    pkt.dma_len = op == SVAN_OP_WRITE_FIRST ? 2 * MTU : MTU;
    rc_inject_run(od->rc, &pkt);
}

static const uint8_t *at(Od *od, uint64_t va)
{
    return fake_ram(od->rc->fake, od->data + (va - KEY_VA));
}

/* The n-th datagram is in its buffer, and is the next to complete. */
static void came(Od *od, uint32_t wqe, uint64_t va, uint32_t n)
{
    const uint8_t *grh = at(od, va);

    RC_RQ_DONE(od->rc, wqe, RECV, SUCCESS);
    assert_int_equal(le32toh(od->rc->cqe.byte_len), BUF);
    assert_int_equal(le32toh(od->rc->cqe.src_qpn), PEER_SQPN);
    assert_memory_equal(od->rc->cqe.smac, peer_mac, 6);
    assert_true(od->rc->cqe.owner & SVAN_CQE_IPV4);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(grh[i], 0);
    }
    assert_int_equal(grh[20], 0x45);
    assert_int_equal(grh[22] << 8 | grh[23], 20 + 8 + 12 + 8 + MTU + 4);
    assert_int_equal(grh[28], 64);
    assert_int_equal(grh[29], 17);
    assert_memory_equal(grh + 32, peer_gid + 12, 4);
    assert_memory_equal(grh + 36, host_fn(od->rc->host)->net->gids[0].gid + 12, 4);
    assert_memory_equal(grh + GRH, pattern + n, MTU);
}

/* Nothing waits, and nothing is left of what waited. */
static void at_rest(Od *od)
{
    RC_NO_CQE(od->rc);
    RC_SENT_NOTHING(od->rc);
    assert_int_equal(receiver(od)->wait.state, SVAN_WAIT_NONE);
    assert_null(receiver(od)->kept.first);
    assert_int_equal(HELD_BYTES(od), 0);
    assert_false(svan_spares_in_use(host_fn(od->rc->host)));
    assert_false(requested(od));
}

/* ---- held ---- */

/* The buffer of the second one is there, but it waits for its turn. */
static void datagrams_wait_in_order(void **state)
{
    Od *od = *state;

    map_page(od, 3, true);
    recv_at(od, PAGE(2), BUF);
    recv_at(od, PAGE(3), BUF);
    recv_at(od, PAGE(4), BUF);
    for (uint32_t n = 0; n < 3; n++) {
        datagram(od, n);
    }
    RC_NO_CQE(od->rc);
    assert_int_equal(HELD_BYTES(od), 3 * (MTU + SVAN_HELD_OVERHEAD));
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), PAGE(2));
    assert_int_equal(le32toh(od->last.qpn), od->rc->qp.qpn);
    assert_int_equal(od->last.flags, SVAN_PAGE_REQ_WRITE | SVAN_PAGE_REQ_REMOTE);
    answer(od, od->last.token, SVAN_PAGE_PENDING, 100000);
    assert_int_equal(OD_STAT(od, fault_hold), 1);
    resolve(od);
    came(od, 0, PAGE(2), 0);
    came(od, 1, PAGE(3), 1);
    RC_NO_CQE(od->rc);
    assert_true(requested(od));
    assert_int_equal(le64toh(od->last.addr), PAGE(4));
    resolve(od);
    came(od, 2, PAGE(4), 2);
    at_rest(od);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 0);
}

static void memory_that_is_translated_late_changes_nothing(void **state)
{
    Od *od = *state;

    od->rc->fake->miss_every = 1;
    datagrams_wait_in_order(state);
    assert_true(od->rc->fake->misses > 0);
}

/* Its header is in one page, its data in the next, and both are absent. */
static void a_header_may_wait_apart_from_its_data(void **state)
{
    Od *od = *state;

    recv_at(od, PAGE(5) - GRH, BUF);
    datagram(od, 7);
    for (uint32_t page = 4; page < 6; page++) {
        RC_NO_CQE(od->rc);
        assert_int_equal(at(od, PAGE(5) - GRH)[20], 0);
        assert_true(requested(od));
        assert_int_equal(le64toh(od->last.addr), PAGE(page));
        resolve(od);
    }
    came(od, 0, PAGE(5) - GRH, 7);
    at_rest(od);
}

/* The page goes before the datagram is replayed, twice; what came behind waits, too. */
static void a_page_may_be_gone_again(void **state)
{
    Od *od = *state;

    recv_at(od, PAGE(2), BUF);
    recv_at(od, PAGE(2) + BUF, BUF);
    datagram(od, 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(requested(od));
        assert_int_equal(od->last.attempt, i);
        answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
        RC_NO_CQE(od->rc);
    }
    datagram(od, 1);
    assert_true(requested(od));
    resolve(od);
    came(od, 0, PAGE(2), 0);
    came(od, 1, PAGE(2) + BUF, 1);
    at_rest(od);
    assert_int_equal(OD_STAT(od, page_faults_again), 2);

    unmap_page(od, 2, 0, 0);            /* a new wait is no attempt of the old one */
    recv_at(od, PAGE(2), BUF);
    datagram(od, 2);
    assert_true(requested(od));
    assert_int_equal(od->last.attempt, 0);
    resolve(od);
    came(od, 2, PAGE(2), 2);
}

static void a_message_of_many_packets_waits_at_each_page(void **state)
{
    Od *od = *state;
    uint32_t n;

    recv_at(od, PAGE(2) - MTU, 4 * MTU);
    packet(od, SVAN_OP_SEND_FIRST, 0);
    packet(od, SVAN_OP_SEND_MIDDLE, 1);
    packet(od, SVAN_OP_SEND_LAST, 2);
    for (uint32_t page = 1; page < 3; page++) {
        RC_NO_CQE(od->rc);
        assert_true(requested(od));
        assert_int_equal(le64toh(od->last.addr), PAGE(page));
        resolve(od);
    }
    RC_RQ_DONE(od->rc, 0, RECV, SUCCESS);
    assert_int_equal(le32toh(od->rc->cqe.byte_len), 3 * MTU);
    for (n = 0; n < 3; n++) {
        assert_memory_equal(at(od, PAGE(2) + n * MTU - MTU), pattern + n, MTU);
    }
    at_rest(od);
}

static void a_write_is_held(void **state)
{
    Od *od = *state;

    packet(od, SVAN_OP_WRITE_FIRST, 0);
    packet(od, SVAN_OP_WRITE_LAST, 1);
    assert_true(requested(od));
    assert_int_equal(at(od, PAGE(3))[1], 0);
    resolve(od);
    assert_memory_equal(at(od, PAGE(3)), pattern, MTU);
    assert_memory_equal(at(od, PAGE(3) + MTU), pattern + 1, MTU);
    at_rest(od);
}

/* ---- lost ---- */

/* Those that only a requester that is told something could use are drop, too. */
static void other_modes_lose(void **state)
{
    static const uint8_t modes[] = {
        SVAN_FAULT_MODE_DROP, SVAN_FAULT_MODE_RNR, SVAN_FAULT_MODE_DIVERT,
    };
    Od *od = *state;

    recv_at(od, PAGE(2), BUF);
    for (uint32_t i = 0; i < SIZE(modes); i++) {
        set_mode(od, modes[i]);
        unmap_page(od, 2, 0, 0);
        datagram(od, 0);
        datagram(od, 1);
        assert_int_equal(HELD_BYTES(od), 0);
        assert_int_equal(OD_STAT(od, fault_drop), i + 1);
        assert_int_equal(OD_STAT(od, fault_dropped_packets), 2 * i + 2);
        assert_int_equal(OD_STAT(od, fault_dropped_bytes), (2 * i + 2) * MTU);
        assert_true(requested(od));
        resolve(od);
        at_rest(od);
    }
    assert_int_equal(OD_STAT(od, fault_hold), 0);
    datagram(od, 9);
    came(od, 0, PAGE(2), 9);
}

/* What is held is let go when the driver says that the page comes late. */
static void a_late_page_loses(void **state)
{
    Od *od = *state;

    recv_at(od, PAGE(2), BUF);
    datagram(od, 0);
    assert_int_equal(HELD_BYTES(od), MTU + SVAN_HELD_OVERHEAD);
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_PENDING, 30000000);
    assert_int_equal(HELD_BYTES(od), 0);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 1);
    /* but now it is soon, if not for a connection, which would divert */
    answer(od, od->last.token, SVAN_PAGE_PENDING, 3900000);
    datagram(od, 1);
    assert_int_equal(OD_STAT(od, fault_hold), 1);
    resolve(od);
    came(od, 0, PAGE(2), 1);
    at_rest(od);
    assert_int_equal(OD_STAT(od, rnr_nak_sent), 0);
}

static void lose_beyond_two(Od *od)
{
    for (uint32_t n = 0; n < 6; n++) {
        recv_at(od, PAGE(2) + n * BUF, BUF);
    }
    for (uint32_t n = 0; n < 5; n++) {
        datagram(od, n);
    }
    assert_int_equal(HELD_BYTES(od), 2 * (MTU + SVAN_HELD_OVERHEAD));
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 3);
    assert_int_equal(OD_STAT(od, fault_dropped_bytes), 3 * MTU);
    assert_true(requested(od));
    resolve(od);
    datagram(od, 5);
    came(od, 0, PAGE(2), 0);
    came(od, 1, PAGE(2) + BUF, 1);
    came(od, 2, PAGE(2) + 2 * BUF, 5);
    at_rest(od);
}

static void what_the_policy_has_no_room_for_is_lost(void **state)
{
    struct svan_fault_policy policy;
    Od *od = *state;

    svan_policy_default(&policy);
    policy.mode = SVAN_FAULT_MODE_HOLD;
    policy.hold_bytes = htole32(3 * (MTU + SVAN_HELD_OVERHEAD) - 1);
    set_policy(od, &policy);
    lose_beyond_two(od);
}

static void what_the_device_has_no_room_for_is_lost(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_HOLD);
    od->rc->fake->core->config.fault_buffer = 3 * (MTU + SVAN_HELD_OVERHEAD) - 1;
    lose_beyond_two(od);
}

/* The host has lent a spare page, and taken it away. */
static void what_is_kept_out_of_reach_is_lost(void **state)
{
    Od *od = *state;
    uint64_t spare = fake_alloc(od->rc->fake, SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    struct svan_fault_policy policy;

    svan_policy_default(&policy);
    policy.hold_bytes = htole32(MTU + SVAN_HELD_OVERHEAD);
    set_policy(od, &policy);
    page_queue_lend_pages(od->rc->host, &spare, 1);
    for (uint32_t n = 0; n < 3; n++) {
        recv_at(od, PAGE(2) + n * BUF, BUF);
    }
    datagram(od, 0);                    /* to the fault buffer */
    datagram(od, 1);
    assert_true(svan_spares_in_use(host_fn(od->rc->host)));
    assert_true(requested(od));
    od->rc->fake->bad_page = spare;
    resolve(od);
    od->rc->fake->bad_page = 0;
    came(od, 0, PAGE(2), 0);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 1);
    datagram(od, 2);
    came(od, 1, PAGE(2) + BUF, 2);
    at_rest(od);
}

/* The first packet is lost, so what follows is no message. */
static void a_dropped_packet_costs_its_message(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_DROP);
    recv_at(od, PAGE(2), 2 * MTU);
    packet(od, SVAN_OP_SEND_FIRST, 0);
    assert_true(requested(od));
    resolve(od);
    packet(od, SVAN_OP_SEND_LAST, 1);
    RC_NO_CQE(od->rc);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 1);
    assert_int_equal(OD_STAT(od, out_of_sequence), 1);
    packet(od, SVAN_OP_SEND_ONLY, 2);
    RC_RQ_DONE(od->rc, 0, RECV, SUCCESS);
    assert_memory_equal(at(od, PAGE(2)), pattern + 2, MTU);
    at_rest(od);
}

/* ---- pages that never come ---- */

static void page_fails(Od *od)
{
    assert_true(requested(od));
    answer(od, od->last.token, SVAN_PAGE_FAILED, 0);
    assert_int_equal(OD_STAT(od, fault_fail), 1);
}

static void the_receive_has_failed(Od *od)
{
    RC_RQ_DONE(od->rc, 0, RECV, LOC_PROT_ERR);
    assert_int_equal(le32toh(od->rc->cqe.vendor_err), SVAN_SYN_PAGE);
    RC_RQ_DONE(od->rc, 1, RECV, WR_FLUSH_ERR);
    assert_int_equal(od->rc->core->state, SVAN_QPS_ERR);
    at_rest(od);
}

static void a_buffer_that_never_comes(void **state)
{
    Od *od = *state;

    recv_at(od, PAGE(2), BUF);
    recv_at(od, PAGE(3), BUF);
    datagram(od, 0);
    datagram(od, 1);
    page_fails(od);
    the_receive_has_failed(od);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 2);
}

static void a_buffer_that_never_comes_when_all_was_dropped(void **state)
{
    Od *od = *state;

    set_mode(od, SVAN_FAULT_MODE_DROP);
    recv_at(od, PAGE(2), BUF);
    recv_at(od, PAGE(3), BUF);
    datagram(od, 0);
    page_fails(od);
    the_receive_has_failed(od);
}

static void a_buffer_of_a_message_that_never_comes(void **state)
{
    Od *od = *state;

    map_page(od, 1, true);
    recv_at(od, PAGE(2) - MTU, 4 * MTU);
    recv_at(od, PAGE(2) - MTU, 4 * MTU);
    packet(od, SVAN_OP_SEND_FIRST, 0);
    packet(od, SVAN_OP_SEND_MIDDLE, 1);
    page_fails(od);
    the_receive_has_failed(od);
}

/* The sender has chosen the page: it loses the message, and nobody else anything. */
static void lose_a_write(Od *od, uint8_t op)
{
    recv_at(od, PAGE(2), MTU);
    map_page(od, 2, true);
    packet(od, op, 0);
    page_fails(od);
    assert_int_equal(od->rc->core->state, SVAN_QPS_RTS);
    if (op == SVAN_OP_WRITE_FIRST) {
        map_page(od, 3, true);
        packet(od, SVAN_OP_WRITE_LAST, 1);
        assert_int_equal(at(od, PAGE(3))[MTU + 1], 0);
        assert_int_equal(OD_STAT(od, out_of_sequence), 1);
    }
    RC_NO_CQE(od->rc);
    assert_int_equal(rc_event(od->rc), 0);
    packet(od, SVAN_OP_SEND_ONLY, 2);
    RC_RQ_DONE(od->rc, 0, RECV, SUCCESS);
    at_rest(od);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 1);
}

static void a_write_to_a_page_that_never_comes(void **state)
{
    lose_a_write(*state, SVAN_OP_WRITE_FIRST);
}

static void a_dropped_write_to_a_page_that_never_comes(void **state)
{
    set_mode(*state, SVAN_FAULT_MODE_DROP);
    lose_a_write(*state, SVAN_OP_WRITE_ONLY);
}

/* ---- the end of a wait from without ---- */

static void wait_for_a_buffer(Od *od)
{
    recv_at(od, PAGE(2), BUF);
    datagram(od, 0);
    datagram(od, 1);
    assert_int_not_equal(HELD_BYTES(od), 0);
    assert_true(requested(od));
}

static void a_reset_forgets_what_waits(void **state)
{
    Od *od = *state;

    wait_for_a_buffer(od);
    rc_modify(od->rc, SVAN_QPS_RESET, 0);
    at_rest(od);
    assert_int_equal(OD_STAT(od, fault_dropped_packets), 2);
    start(od);
    recv_at(od, PAGE(2), BUF);
    resolve(od);                        /* the request of before */
    RC_NO_CQE(od->rc);
    datagram(od, 2);
    came(od, 0, PAGE(2), 2);
    at_rest(od);
}

static void an_error_flushes_what_waits(void **state)
{
    Od *od = *state;

    wait_for_a_buffer(od);
    rc_modify(od->rc, SVAN_QPS_ERR, 0);
    fake_run(od->rc->fake);
    RC_RQ_DONE(od->rc, 0, RECV, WR_FLUSH_ERR);
    at_rest(od);
    resolve(od);
    at_rest(od);
}

static void a_queue_pair_may_go_while_it_waits(void **state)
{
    Od *od = *state;

    wait_for_a_buffer(od);
    assert_int_equal(host_object(od->rc->host, SVAN_CMD_DESTROY_QP, od->rc->qp.qpn),
                     SVAN_CMD_OK);
    assert_int_equal(HELD_BYTES(od), 0);
    resolve(od);
    RC_NO_CQE(od->rc);
}

/* ---- what is sent ---- */

static HostSge source_at(const Od *od, uint64_t va, uint32_t length)
{
    return (HostSge) { va, length, od->key };
}

static void post_datagram(Od *od)
{
    struct svan_av av = {
        .hop_limit = 64, .dqpn = htole32(PEER_QPN), .qkey = htole32(QKEY),
    };
    HostWr wr = {
        .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED, .num_sge = 1,
        .sge = { source_at(od, PAGE(7), MTU) }, .av = &av,
    };

    memcpy(av.dgid, peer_gid, 16);
    memcpy(av.dmac, peer_mac, 6);
    host_write_wqe(&od->rc->qp, &wr);
    rc_go(od->rc);
}

/* Three packets of a WRITE, of which the first has left when a page is absent. */
static void post_write(Od *od)
{
    HostWr wr = {
        .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED, .num_sge = 1,
        .sge = { source_at(od, PAGE(7) - MTU, 3 * MTU) }, .remote = 0x1000, .rkey = 1,
    };

    map_page(od, 6, true);
    host_write_wqe(&od->rc->qp, &wr);
    rc_go(od->rc);
    RC_SENT(od->rc, SVAN_BTH_UC | SVAN_OP_WRITE_FIRST, PSN_OUT);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    assert_int_equal(od->last.flags, 0);
    assert_int_equal(OD_STAT(od, page_faults_requester), 1);
}

static void the_rest_leaves(Od *od)
{
    resolve(od);
    RC_SENT(od->rc, SVAN_BTH_UC | SVAN_OP_WRITE_MIDDLE, PSN_OUT + 1);
    RC_SENT(od->rc, SVAN_BTH_UC | SVAN_OP_WRITE_LAST, PSN_OUT + 2);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    at_rest(od);
}

static void a_datagram_waits_for_its_source(void **state)
{
    Od *od = *state;

    post_datagram(od);
    RC_SENT_NOTHING(od->rc);
    assert_true(requested(od));
    memcpy(page_mem(od, 7), pattern, MTU);
    recv_at(od, PAGE(2), BUF);          /* what arrives meanwhile does not wait for it */
    map_page(od, 2, true);
    datagram(od, 1);
    came(od, 0, PAGE(2), 1);
    resolve(od);
    RC_SENT(od->rc, SVAN_BTH_UD | SVAN_OP_SEND_ONLY, PSN_OUT);
    assert_int_equal(od->rc->pkt.payload_len, MTU);
    assert_memory_equal(od->rc->pkt.runs[0].host, pattern, MTU);
    RC_SQ_DONE(od->rc, 0, SUCCESS);
    at_rest(od);
}

static void a_message_waits_for_its_source(void **state)
{
    Od *od = *state;

    post_write(od);
    the_rest_leaves(od);
}

static void a_source_that_never_comes_stops_the_send_queue(void **state)
{
    Od *od = *state;

    post_datagram(od);
    post_datagram(od);
    page_fails(od);
    RC_SQ_DONE(od->rc, 0, LOC_PROT_ERR);
    RC_SQ_DONE(od->rc, 2, WR_FLUSH_ERR);
    assert_int_equal(od->rc->core->state, SVAN_QPS_SQE);
    at_rest(od);
    map_page(od, 7, true);
    rc_modify(od->rc, SVAN_QPS_RTS, 0);
    post_datagram(od);
    RC_SENT(od->rc, SVAN_BTH_UD | SVAN_OP_SEND_ONLY, PSN_OUT);
    RC_SQ_DONE(od->rc, 4, SUCCESS);
}

/* ---- a move to another machine ---- */

static void move(Od *od)
{
    assert_true(fake_restore(od->rc->fake));
    find_core(od);
    fake_run(od->rc->fake);
}

/* What was held is lost. The receive is still there, and completes once. */
static void a_move_loses_what_is_held(void **state)
{
    Od *od = *state;

    wait_for_a_buffer(od);
    move(od);
    at_rest(od);
    resolve(od);
    at_rest(od);
    datagram(od, 2);
    came(od, 0, PAGE(2), 2);
    at_rest(od);
}

static void a_move_within_a_message_costs_it(void **state)
{
    Od *od = *state;

    map_page(od, 1, true);
    recv_at(od, PAGE(2) - MTU, 4 * MTU);
    packet(od, SVAN_OP_SEND_FIRST, 0);
    packet(od, SVAN_OP_SEND_MIDDLE, 1);
    assert_true(requested(od));
    move(od);
    resolve(od);
    packet(od, SVAN_OP_SEND_LAST, 2);
    at_rest(od);
    packet(od, SVAN_OP_SEND_ONLY, 3);
    RC_RQ_DONE(od->rc, 0, RECV, SUCCESS);
    assert_int_equal(le32toh(od->rc->cqe.byte_len), MTU);
    at_rest(od);
}

/* What has left before the move does not leave again. */
static void a_move_sends_nothing_twice(void **state)
{
    Od *od = *state;

    post_write(od);
    move(od);
    RC_SENT_NOTHING(od->rc);
    the_rest_leaves(od);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UD_TEST(datagrams_wait_in_order),
        UD_TEST(memory_that_is_translated_late_changes_nothing),
        UD_TEST(a_header_may_wait_apart_from_its_data),
        UD_TEST(a_page_may_be_gone_again),
        UC_TEST(a_message_of_many_packets_waits_at_each_page),
        UC_TEST(a_write_is_held),
        UD_TEST(other_modes_lose),
        UD_TEST(a_late_page_loses),
        UD_TEST(what_the_policy_has_no_room_for_is_lost),
        UD_TEST(what_the_device_has_no_room_for_is_lost),
        UD_TEST(what_is_kept_out_of_reach_is_lost),
        UC_TEST(a_dropped_packet_costs_its_message),
        UD_TEST(a_buffer_that_never_comes),
        UD_TEST(a_buffer_that_never_comes_when_all_was_dropped),
        UC_TEST(a_buffer_of_a_message_that_never_comes),
        UC_TEST(a_write_to_a_page_that_never_comes),
        UC_TEST(a_dropped_write_to_a_page_that_never_comes),
        UD_TEST(a_reset_forgets_what_waits),
        UD_TEST(an_error_flushes_what_waits),
        UD_TEST(a_queue_pair_may_go_while_it_waits),
        UD_TEST(a_datagram_waits_for_its_source),
        UC_TEST(a_message_waits_for_its_source),
        UD_TEST(a_source_that_never_comes_stops_the_send_queue),
        UD_TEST(a_move_loses_what_is_held),
        UC_TEST(a_move_within_a_message_costs_it),
        UC_TEST(a_move_sends_nothing_twice),
    };

    return cmocka_run_group_tests_name("unreliable_fault", tests, NULL, NULL);
}
