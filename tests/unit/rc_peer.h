/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One RC queue pair, and a peer made of hand-written packets at the other end
 * of the port.
 */
#ifndef TESTS_RC_PEER_H
#define TESTS_RC_PEER_H

#include "unit.h"
#include "transport/rc.h"

#define PEER_QPN        0x4321
#define PSN_OUT         0xfffffe        /* first PSN of the QP; soon around */
#define PSN_IN          0xffffff        /* first PSN of the peer */
#define MTU             256u
#define BUFFER          (256u << 10)

typedef struct Rc {
    Host *host;
    Fake *fake;
    HostCq scq, rcq;
    HostQp qp;
    SvanQp *core;
    struct svan_cmd_modify_qp attrs;
    uint64_t buffer;            /* bus address of memory for data */
    SvanPkt pkt;                /* last one taken by rc_sent() */
    SvanFrame *frame;           /* it */
    struct svan_cqe cqe;        /* last one taken by rc_done() */
} Rc;

static const uint8_t peer_mac[6] = { 0x02, 0, 0, 0, 0, 0x99 };
static const uint8_t peer_gid[16] = { [10] = 0xff, 0xff, 10, 0, 0, 2 };

#define RC_INIT (SVAN_QP_ATTR_PKEY_INDEX | SVAN_QP_ATTR_PORT | \
                 SVAN_QP_ATTR_ACCESS)
#define RC_RTR  (SVAN_QP_ATTR_AV | SVAN_QP_ATTR_MTU | SVAN_QP_ATTR_DEST_QPN | \
                 SVAN_QP_ATTR_RQ_PSN | SVAN_QP_ATTR_MAX_DEST_RD_ATOMIC | \
                 SVAN_QP_ATTR_MIN_RNR_TIMER)
#define RC_RTS  (SVAN_QP_ATTR_TIMEOUT | SVAN_QP_ATTR_RETRY_CNT | \
                 SVAN_QP_ATTR_RNR_RETRY | SVAN_QP_ATTR_MAX_RD_ATOMIC | \
                 SVAN_QP_ATTR_SQ_PSN)

/* In RESET, on a machine that is the Rc's from here on; attrs are what rc_to() uses. */
static inline Rc *rc_new_on(Fake *fake)
{
    Rc *rc = calloc(1, sizeof(*rc));
    HostQpAttr attr = { .log_sq = 9, .log_rq = 5, .max_sge = 4 };

    rc->fake = fake;
    rc->host = host_create(rc->fake, 0, 1);
    rc->scq = host_cq(rc->host, 9);
    rc->rcq = host_cq(rc->host, 6);
    rc->qp = host_qp(rc->host, &rc->scq, &rc->rcq, &attr);
    rc->core = svan_qp_get(host_fn(rc->host), rc->qp.qpn);
    rc->buffer = fake_alloc(rc->fake, BUFFER, SVAN_PAGE_SIZE);
    for (uint32_t i = 0; i < BUFFER; i++) {
        *(uint8_t *)fake_ram(rc->fake, rc->buffer + i) = i * 7 + i / 251;
    }
    rc->attrs.attr = (struct svan_qp_attr) {
        .access = SVAN_ACCESS_REMOTE_MASK, .port = 1, .log_mtu = 8,
        .dest_qpn = htole32(PEER_QPN), .rq_psn = htole32(PSN_IN),
        .sq_psn = htole32(PSN_OUT), .max_rd_atomic = 4,
        .max_dest_rd_atomic = 4, .min_rnr_timer = 9, .timeout = 10,
        .retry_cnt = 3, .rnr_retry = 2,
    };
    rc->attrs.av.hop_limit = 64;
    memcpy(rc->attrs.av.dgid, peer_gid, 16);
    memcpy(rc->attrs.av.dmac, peer_mac, 6);
    return rc;
}

/* NULL: fake_config. */
static inline Rc *rc_new_as(const SvanConfig *config)
{
    return rc_new_on(fake_create(config));
}

static inline Rc *rc_new(void)
{
    return rc_new_as(NULL);
}

static inline void rc_free(Rc *rc)
{
    svan_frame_free(rc->frame);
    fake_destroy(rc->fake);
    host_destroy(rc->host);
    free(rc);
}

static inline void rc_modify(Rc *rc, uint8_t state, uint32_t mask)
{
    assert_int_equal(host_modify(&rc->qp, state, mask, &rc->attrs),
                     SVAN_CMD_OK);
}

static inline void rc_to(Rc *rc, uint8_t state)
{
    rc_modify(rc, SVAN_QPS_INIT, RC_INIT);
    rc_modify(rc, SVAN_QPS_RTR, RC_RTR);
    if (state == SVAN_QPS_RTS) {
        rc_modify(rc, SVAN_QPS_RTS, RC_RTS);
    }
}

/* In RTS. */
static inline int rc_setup(void **state)
{
    Rc *rc = rc_new();

    rc_to(rc, SVAN_QPS_RTS);
    *state = rc;
    return 0;
}

static inline int rc_teardown(void **state)
{
    rc_free(*state);
    return 0;
}

#define RC_TEST(name) \
    cmocka_unit_test_setup_teardown(name, rc_setup, rc_teardown)

static inline SvanRc *rc_priv(Rc *rc)
{
    return rc->core->priv;
}

/* fn->stats->name */
#define RC_STAT(rc, name)       (host_fn((rc)->host)->stats->name)

static inline void *rc_mem(Rc *rc, uint32_t offset)
{
    return fake_ram(rc->fake, rc->buffer + offset);
}

/* ---- the peer's packets ---- */

/* The codec and the steering see them like any others. */
static inline void rc_inject(Rc *rc, const SvanPkt *pkt)
{
    SvanPkt out = *pkt;
    SvanFrame *frame;

    memcpy(out.addr.smac, peer_mac, 6);
    memcpy(out.addr.dmac, host_fn(rc->host)->net->gids[0].smac, 6);
    memcpy(out.addr.sgid, peer_gid, 16);
    memcpy(out.addr.dgid, host_fn(rc->host)->net->gids[0].gid, 16);
    out.addr.ipv4 = true;
    out.addr.hop_limit = 64;
    out.addr.udp_sport = 0xc000;
    out.pkey = SVAN_PKEY_DEFAULT;
    out.dqpn = rc->qp.qpn;
    out.psn &= SVAN_PSN_MASK;
    frame = svan_pkt_encode(&out);
    assert_true(svan_frame_in(rc->fake->core, frame));
}

static inline void rc_inject_run(Rc *rc, const SvanPkt *pkt)
{
    rc_inject(rc, pkt);
    fake_run(rc->fake);
}

/* Payload: bytes of memory. */
static inline SvanPkt rc_pkt(uint8_t opcode, uint32_t psn, const void *data,
                             uint32_t len)
{
    SvanPkt pkt;

    memset(&pkt, 0, sizeof(pkt));
    pkt.opcode = opcode;
    pkt.psn = psn;
    pkt.payload_len = len;
    if (len) {
        pkt.num_runs = 1;
        pkt.runs[0] = (SvanMem) { .host = (uint8_t *)data, .len = len };
    }
    return pkt;
}

/* An acknowledgement or NAK to the QP's requester. */
static inline void rc_inject_ack(Rc *rc, uint8_t syndrome, uint32_t psn)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_ACK, psn, NULL, 0);

    pkt.syndrome = syndrome;
    rc_inject_run(rc, &pkt);
}

/* The sequence NAK of a responder whose page has come. */
static inline void rc_inject_call_back(Rc *rc, uint32_t psn)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_ACK, psn, NULL, 0);

    pkt.syndrome = SVAN_AETH_NAK | SVAN_NAK_PSN_SEQ;
    pkt.bth_flags = SVAN_BTH_SE;
    rc_inject_run(rc, &pkt);
}

#define ACKED           (SVAN_AETH_ACK | SVAN_AETH_NO_CREDITS)
#define NAK(name)       (SVAN_AETH_NAK | SVAN_NAK_##name)

/* ---- what the QP sends ---- */

/* Take the oldest frame; false: none. */
static inline bool rc_sent(Rc *rc)
{
    svan_frame_free(rc->frame);
    rc->frame = fake_frame(rc->fake);
    if (!rc->frame) {
        return false;
    }
    assert_int_equal(svan_pkt_decode(rc->frame, &rc->pkt), SVAN_DECODE_OK);
    assert_int_equal(rc->pkt.dqpn, PEER_QPN);
    assert_int_equal(rc->pkt.pkey, SVAN_PKEY_DEFAULT);
    assert_memory_equal(rc->pkt.addr.dmac, peer_mac, 6);
    return true;
}

#define RC_SENT(rc, op, at) \
    do { \
        assert_true(rc_sent(rc)); \
        assert_int_equal((rc)->pkt.opcode, op); \
        assert_int_equal((rc)->pkt.psn, (at) & SVAN_PSN_MASK); \
    } while (0)

#define RC_SENT_NOTHING(rc)     assert_false(rc_sent(rc))

#define RC_SENT_AETH(rc, at, code) \
    do { \
        RC_SENT(rc, SVAN_OP_ACK, at); \
        assert_int_equal((rc)->pkt.syndrome, code); \
    } while (0)

static inline uint32_t rc_skip_sent(Rc *rc)
{
    uint32_t n = 0;

    while (rc_sent(rc)) {
        n++;
    }
    return n;
}

/* ---- completions and events ---- */

static inline bool rc_done(Rc *rc, HostCq *cq)
{
    return host_cq_poll(cq, &rc->cqe);
}

#define RC_SQ_DONE(rc, wqe, code) \
    do { \
        assert_true(rc_done(rc, &(rc)->scq)); \
        assert_int_equal((rc)->cqe.opcode, SVAN_CQE_SQ); \
        assert_int_equal(le32toh((rc)->cqe.qpn), (rc)->qp.qpn); \
        assert_int_equal(le32toh((rc)->cqe.wqe_index), wqe); \
        assert_int_equal((rc)->cqe.status, SVAN_CQE_##code); \
    } while (0)

#define RC_RQ_DONE(rc, wqe, kind, code) \
    do { \
        assert_true(rc_done(rc, &(rc)->rcq)); \
        assert_int_equal((rc)->cqe.opcode, SVAN_CQE_##kind); \
        assert_int_equal(le32toh((rc)->cqe.wqe_index), wqe); \
        assert_int_equal((rc)->cqe.status, SVAN_CQE_##code); \
    } while (0)

#define RC_NO_CQE(rc) \
    do { \
        assert_false(rc_done(rc, &(rc)->scq)); \
        assert_false(rc_done(rc, &(rc)->rcq)); \
    } while (0)

/* The type of the next asynchronous event; 0: none. */
static inline uint8_t rc_event(Rc *rc)
{
    struct svan_eqe eqe;

    while (host_eq_poll(rc->host, 0, &eqe)) {
        if (eqe.type != SVAN_EVENT_PORT && eqe.type != SVAN_EVENT_CMD &&
            eqe.type != SVAN_EVENT_PAGE_REQUEST) {
            assert_int_equal(le32toh(eqe.qn), rc->qp.qpn);
            return eqe.type;
        }
    }
    return 0;
}

/* ---- posting ---- */

/* A signaled WQE with one entry, in the buffer; returns its index. */
static inline uint32_t rc_post(Rc *rc, uint8_t opcode, uint32_t offset,
                               uint32_t length)
{
    uint32_t index = rc->qp.sq_pi;
    HostSend send = {
        .opcode = opcode, .flags = SVAN_WQE_SIGNALED,
        .addr = rc->buffer + offset, .length = length,
        .remote = 0x123456789abcull, .rkey = 0x7788,
    };

    host_send(&rc->qp, &send);
    return index;
}

static inline uint32_t rc_post_atomic(Rc *rc, uint8_t opcode, uint32_t offset,
                                      uint64_t swap_add, uint64_t compare)
{
    uint32_t index = rc->qp.sq_pi++;
    struct svan_wqe_head *head = svan_wqe_begin(&rc->qp.sq, index, opcode,
                                                SVAN_WQE_SIGNALED, 0);

    svan_wqe_set_remote(head, 0x1000, 0x7788);
    svan_wqe_set_atomic(head, swap_add, compare);
    svan_sge_set(&head->atomic.sge, rc->buffer + offset, 8, rc->host->all_key);
    return index;
}

static inline void rc_go(Rc *rc)
{
    host_post(&rc->qp);
    fake_run(rc->fake);
}

#endif /* TESTS_RC_PEER_H */
