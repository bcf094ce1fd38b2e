/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An on-demand key whose pages come and go by hand, its driver, and a peer of
 * hand-written packets.
 */
#ifndef TESTS_FAULT_PEER_H
#define TESTS_FAULT_PEER_H

#include "paging/paging.h"
#include "page_queue.h"
#include "rc_peer.h"

#define PRQ_LOG         6
#define PAGES           300u        /* more than a mebibyte */
#define KEY_VA          0x7f0000000000ull
#define PAGE(n)         (KEY_VA + (n) * SVAN_PAGE_SIZE)

typedef struct Od {
    Rc *rc;
    PageQueue prq;
    uint64_t *table;            /* leaves of the key */
    uint64_t data;              /* bus address of its pages */
    uint32_t key;
    struct svan_page_request last;
} Od;

static inline void make_key(Od *od)
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

static inline void make_prq(Od *od)
{
    od->prq = page_queue(od->rc->host, PRQ_LOG);
    page_queue_consumed(&od->prq, true);
}

static inline int setup(void **state)
{
    Od *od = calloc(1, sizeof(*od));

    od->rc = rc_new();
    make_key(od);
    make_prq(od);
    page_queue_lend(od->rc->host, 8);
    rc_to(od->rc, SVAN_QPS_RTS);
    *state = od;
    return 0;
}

static inline int teardown(void **state)
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
static inline bool requested(Od *od)
{
    if (!page_queue_take(&od->prq, &od->last)) {
        return false;
    }
    page_queue_consumed(&od->prq, true);
    return true;
}

static inline void answer(Od *od, uint32_t token, uint8_t status, uint64_t ns)
{
    page_queue_answer(&od->prq, &(struct svan_page_response) {
        .token = token, .status = status, .time_ns = htole64(ns),
        .fault_class = SVAN_FAULT_SWAP_IN,
    });
    fake_run(od->rc->fake);
}

static inline void map_page(Od *od, uint32_t page, bool writable)
{
    od->table[page] = htole64(svan_mtt_present(od->data +
                                               page * SVAN_PAGE_SIZE,
                                               writable));
}

static inline void unmap_page(Od *od, uint32_t page, uint32_t fault_class, uint64_t ns)
{
    od->table[page] = htole64(svan_mtt_absent(fault_class, ns));
    host_invalidate_key(od->rc->host, od->key, PAGE(page), SVAN_PAGE_SIZE);
}

/* The page of the request that is there. */
static inline void resolve(Od *od)
{
    map_page(od, (le64toh(od->last.addr) - KEY_VA) / SVAN_PAGE_SIZE, true);
    answer(od, od->last.token, SVAN_PAGE_RESOLVED, 0);
}

static inline uint8_t *page_mem(Od *od, uint32_t page)
{
    return fake_ram(od->rc->fake, od->data + page * SVAN_PAGE_SIZE);
}

static inline void set_policy(Od *od, struct svan_fault_policy *policy)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);

    cmd.fault_policy.qpn = htole32(od->rc->qp.qpn);
    cmd.fault_policy.policy = *policy;
    assert_int_equal(host_cmd(od->rc->host, &cmd, NULL), SVAN_CMD_OK);
}

static inline void set_mode(Od *od, uint8_t mode)
{
    struct svan_fault_policy policy;

    svan_policy_default(&policy);
    policy.mode = mode;
    set_policy(od, &policy);
}

/* ---- the peer ---- */

#define IS_RNR_NAK(pkt) \
    (((pkt).syndrome & SVAN_AETH_KIND_MASK) == SVAN_AETH_RNR_NAK)

static uint8_t pattern[SVAN_MAX_MTU];

static inline void fill_pattern(void)
{
    for (uint32_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = i * 5 + 1;
    }
}

/* A WRITE of one packet, asking for an ACK. */
static inline void write_at(Od *od, uint32_t psn, uint64_t va)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_WRITE_ONLY, psn, pattern, MTU);

    fill_pattern();
    pkt.va = va;
    pkt.rkey = od->key;
    pkt.dma_len = MTU;
    pkt.ack_req = true;
    rc_inject_run(od->rc, &pkt);
}

/* The same to the start of a page. */
static inline void write_page(Od *od, uint32_t psn, uint32_t page)
{
    write_at(od, psn, PAGE(page));
}

static inline void send_read(Od *od, uint32_t psn, uint64_t va, uint32_t len)
{
    SvanPkt pkt = rc_pkt(SVAN_OP_READ_REQUEST, psn, NULL, 0);

    pkt.va = va;
    pkt.rkey = od->key;
    pkt.dma_len = len;
    pkt.ack_req = true;
    rc_inject_run(od->rc, &pkt);
}

static inline void check_page(Od *od, uint32_t page)
{
    assert_memory_equal(page_mem(od, page), pattern, MTU);
}

/* ---- what the requester is told ---- */

#define TOLD_TO_WAIT(od, at) \
    do { \
        RC_SENT(((od)->rc), SVAN_OP_ACK, at); \
        assert_true(IS_RNR_NAK((od)->rc->pkt)); \
    } while (0)

static inline uint64_t told_ns(const Od *od)
{
    return svan_rc_rnr_ns(od->rc->pkt.syndrome);
}

#endif /* TESTS_FAULT_PEER_H */
