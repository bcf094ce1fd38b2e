/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queues whose parts lie in memory of other devices, each under a key of its own: the device
 * initialises them, works in them, and stops when the memory is revoked.
 */
#include "refusal.h"
#include "unit.h"

#define RINGS   8u
#define PAGES   16u                     /* at most, of a ring */
#define BUFFER  4096u
#define MESSAGES        100u
#define OLD     0xff                    /* what stands in new memory */

typedef struct Ring {
    uint64_t bus, table;
    uint32_t key, pages;
} Ring;

/* In the order in which the rings are made. */
enum { CQ, SQ, RQ, RECORD };

typedef struct Bench {
    Fake *fake;
    Host *host;
    Ring rings[RINGS];
    uint32_t count;
    HostCq cq, other_cq;                /* of apart; of the other */
    HostQp apart, other;
    uint64_t buffer;
} Bench;

static HostRing new_ring(Host *host, uint32_t size)
{
    Bench *bench = host->user;
    Ring *ring = &bench->rings[bench->count];
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_DEVMEM, .flags = SVAN_CMD_KEY_INTERNAL, .levels = 1,
        .page_shift = 12, .access = htole32(SVAN_ACCESS_LOCAL_WRITE),
    };
    uint64_t va = (bench->count + 1) * 0x100000ull;

    assert_in_range(bench->count, 0, RINGS - 1);
    bench->count++;
    ring->pages = (size + 4095) / 4096;
    assert_in_range(ring->pages, 1, PAGES);
    ring->bus = fake_alloc(host->fake, ring->pages * 4096, 4096);
    memset(fake_ram(host->fake, ring->bus), OLD, ring->pages * 4096);
    ring->table = host_mtt(host, ring->bus, ring->pages, 1, 12, true);
    key.va = htole64(va);
    key.length = htole64(ring->pages * 4096);
    key.table = htole64(ring->table);
    ring->key = host_key(host, &key);
    return (HostRing) { .bus = ring->bus, .va = va, .key = ring->key };
}

static int setup(void **state)
{
    static const HostQpAttr apart = { .apart = true, .log_sq = 3, .log_rq = 2 };
    Bench *bench = calloc(1, sizeof(*bench));
    Host *host;

    bench->fake = fake_create(NULL);
    host = bench->host = host_create(bench->fake, 0, 1);
    bench->other_cq = host_cq(host, 4);
    bench->other = host_qp(host, &bench->other_cq, &bench->other_cq, NULL);
    bench->buffer = fake_alloc(bench->fake, BUFFER, 4096);
    host->user = bench;
    host->new_ring = new_ring;
    bench->cq = host_cq(host, 8);
    bench->apart = host_qp(host, &bench->cq, &bench->cq, &apart);
    host_connect(&bench->apart, &bench->other);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    Bench *bench = *state;

    fake_destroy(bench->fake);
    host_destroy(bench->host);
    free(bench);
    return 0;
}

/* ---- messages ---- */

static uint64_t *word(Bench *bench, uint32_t n)
{
    return fake_ram(bench->fake, bench->buffer + 8 * n);
}

/* A message of eight octets from one to the other; do not look what becomes of it. */
static void send(Bench *bench, HostQp *from, HostQp *to, uint64_t value)
{
    HostSend message = {
        .opcode = SVAN_WQE_SEND, .flags = SVAN_WQE_SIGNALED,
        .addr = bench->buffer, .length = 8,
    };

    *word(bench, 0) = value;
    host_recv(to, bench->buffer + 64, 8);
    host_send(from, &message);
    host_post(from);
    fake_run(bench->fake);
}

static void must_complete(HostCq *cq)
{
    struct svan_cqe cqe;

    assert_true(host_cq_poll(cq, &cqe));
    assert_int_equal(cqe.status, SVAN_CQE_SUCCESS);
}

static void exchange(Bench *bench, uint64_t value)
{
    send(bench, &bench->apart, &bench->other, value);
    must_complete(&bench->cq);
    must_complete(&bench->other_cq);
    assert_int_equal(*word(bench, 8), value);
    send(bench, &bench->other, &bench->apart, value + 1);
    must_complete(&bench->cq);
    must_complete(&bench->other_cq);
    assert_int_equal(*word(bench, 8), value + 1);
}

/* ---- tests ---- */

static void the_device_initialises(void **state)
{
    static const HostQpAttr apart = { .apart = true };
    static const uint8_t zero[sizeof(struct svan_qp_dbr)];
    Bench *bench = *state;
    struct svan_cqe cqe;
    HostCq cq;
    HostQp qp;

    for (uint32_t misses = 0; misses < 2; misses++) {
        bench->count = 0;
        bench->fake->miss_every = misses;
        cq = host_cq(bench->host, 9);
        assert_false(host_cq_poll(&cq, &cqe));
        for (uint32_t i = 0; i < 512; i++) {
            const struct svan_cqe *entry = fake_ram(bench->fake, cq.ring + 64 * i);

            assert_false(svan_cqe_valid(entry->owner, i, 9));
        }
        assert_memory_equal(fake_ram(bench->fake, cq.dbr), zero,
                            sizeof(struct svan_cq_dbr));
        qp = host_qp(bench->host, &cq, &cq, &apart);
        assert_memory_equal(fake_ram(bench->fake, qp.dbr), zero, sizeof(zero));
        assert_int_equal(*(uint8_t *)fake_ram(bench->fake, qp.sq_bus), OLD);
        assert_int_equal(*(uint8_t *)fake_ram(bench->fake, qp.rq_bus), OLD);
    }
}

static void work_in_both_directions(void **state)
{
    Bench *bench = *state;

    for (uint64_t i = 0; i < 400; i++) {
        exchange(bench, i * 0x0101010101ull);
    }
}

static void saved_and_loaded(void **state)
{
    Bench *bench = *state;

    for (uint64_t i = 0; i < 20; i++) {
        exchange(bench, i);
        assert_true(fake_restore(bench->fake));
    }
}

static void keys_are_held(void **state)
{
    Bench *bench = *state;

    for (uint32_t i = CQ; i <= RECORD; i++) {
        assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_KEY,
                                     bench->rings[i].key), SVAN_CMD_BUSY);
    }
    host_object(bench->host, SVAN_CMD_DESTROY_QP, bench->apart.qpn);
    host_object(bench->host, SVAN_CMD_DESTROY_CQ, bench->cq.cqn);
    for (uint32_t i = CQ; i <= RECORD; i++) {
        assert_int_equal(host_object(bench->host, SVAN_CMD_DESTROY_KEY,
                                     bench->rings[i].key), SVAN_CMD_OK);
    }
}

/* As the driver does it. The memory is somebody else's afterwards. */
static void revoke(Bench *bench, const Ring *ring)
{
    memset(fake_ram(bench->fake, ring->table), 0, ring->pages * 8);
    host_invalidate_key(bench->host, ring->key, 0, 0);
    memset(fake_ram(bench->fake, ring->bus), 0x3c, ring->pages * 4096);
}

static void check_untouched(Bench *bench, const Ring *ring)
{
    const uint8_t *octets = fake_ram(bench->fake, ring->bus);

    for (uint32_t i = 0; i < ring->pages * 4096; i++) {
        assert_int_equal(octets[i], 0x3c);
    }
}

static void check_revoked(Bench *bench, uint32_t which)
{
    const Ring *ring = &bench->rings[which];
    uint8_t expected = which == CQ ? SVAN_EVENT_CQ_ERROR : SVAN_EVENT_QP_FATAL;
    bool seen = which == SQ || which == RQ;
    struct svan_eqe eqe;
    struct svan_cqe cqe;

    exchange(bench, 1);
    revoke(bench, ring);
    if (which == RQ) {
        /* The host does not write its receives to where they were. */
        HostSend message = {
            .opcode = SVAN_WQE_SEND, .addr = bench->buffer, .length = 8,
        };

        host_send(&bench->other, &message);
        host_post(&bench->other);
        host_dbr(&bench->apart)->rq_pi = htole32(bench->apart.rq_pi + 1);
        fake_run(bench->fake);
    } else {
        host_ring(&bench->apart, SVAN_UAR_SQ_DB, bench->apart.sq_pi + 1);
        fake_run(bench->fake);
    }
    assert_int_equal(host_state(&bench->apart), SVAN_QPS_ERR);
    while (host_eq_poll(bench->host, 0, &eqe)) {
        seen |= eqe.type == expected;
    }
    assert_true(seen);
    if (which == SQ) {
        assert_true(host_cq_poll(&bench->cq, &cqe));
        assert_int_equal(cqe.status, SVAN_CQE_LOC_QP_OP_ERR);
        assert_int_equal(le32toh(cqe.vendor_err), SVAN_SYN_RING);
    } else if (which == RQ) {
        assert_true(host_cq_poll(&bench->other_cq, &cqe));
        assert_int_equal(cqe.status, SVAN_CQE_REM_OP_ERR);
    }
    host_ring(&bench->apart, SVAN_UAR_SQ_DB, bench->apart.sq_pi + 1);
    host_ring(&bench->apart, SVAN_UAR_RQ_DB, bench->apart.rq_pi + 2);
    fake_run(bench->fake);
    check_untouched(bench, ring);
}

static void a_revoked_send_queue(void **state)
{
    check_revoked(*state, SQ);
}

static void a_revoked_receive_queue(void **state)
{
    check_revoked(*state, RQ);
}

static void a_revoked_record(void **state)
{
    check_revoked(*state, RECORD);
}

static void a_revoked_cq(void **state)
{
    check_revoked(*state, CQ);
}

static void what_is_refused(void **state)
{
    Bench *bench = *state;
    const Ring *ring = &bench->rings[RQ];
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_QP);
    const Refusal refusals[] = {
        BAD(create_qp.rq_key, 0x777, BAD_RESOURCE),
        BAD(create_qp.rq_key, bench->host->all_key, BAD_RESOURCE),
        BAD(create_qp.dbr_key, 0x777, BAD_RESOURCE),
        BAD(create_qp.rq_va, 0x300020, BAD_PARAM),
        BAD(create_qp.dbr_va, 0x300008, BAD_PARAM),
        BAD(create_qp.rq_offset, 4096, BAD_PARAM),
        BAD(create_qp.dbr_offset, 4096, BAD_PARAM),
        BAD(create_qp.dbr_offset, 32, BAD_PARAM),
    };
    struct svan_cmd_resp resp;

    cmd.create_qp.type = SVAN_QPT_RC;
    cmd.create_qp.flags = SVAN_CMD_QP_RQ_APART | SVAN_CMD_QP_DBR_APART;
    cmd.create_qp.log_rq_stride = 5;
    cmd.create_qp.pd = htole32(bench->host->pd);
    cmd.create_qp.send_cq = cmd.create_qp.recv_cq = htole32(bench->cq.cqn);
    cmd.create_qp.ring_va = htole64(bench->buffer);
    cmd.create_qp.ring_key = htole32(bench->host->ring_key);
    cmd.create_qp.rq_va = cmd.create_qp.dbr_va = htole64((RQ + 1) * 0x100000ull);
    cmd.create_qp.rq_key = cmd.create_qp.dbr_key = htole32(ring->key);
    check_refusals(bench->host, &cmd, refusals, SIZE(refusals));

    revoke(bench, ring);
    assert_int_equal(host_cmd(bench->host, &cmd, &resp), SVAN_CMD_DMA_ERROR);
    assert_int_equal(le32toh(resp.syndrome), offsetof(struct svan_cmd, create_qp.dbr_offset));
    cmd = host_cmd_init(SVAN_CMD_CREATE_CQ);
    cmd.create_cq.ring_va = htole64((RQ + 1) * 0x100000ull);
    cmd.create_cq.ring_key = htole32(ring->key);
    cmd.create_cq.dbr_offset = htole32(64);
    cmd.create_cq.eqn = htole32(1);
    assert_int_equal(host_cmd(bench->host, &cmd, &resp), SVAN_CMD_DMA_ERROR);
    assert_int_equal(le32toh(resp.syndrome),
                     offsetof(struct svan_cmd, create_cq.ring_va));
    check_untouched(bench, ring);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_device_initialises),
        TEST(work_in_both_directions),
        TEST(saved_and_loaded),
        TEST(keys_are_held),
        TEST(a_revoked_send_queue),
        TEST(a_revoked_receive_queue),
        TEST(a_revoked_record),
        TEST(a_revoked_cq),
        TEST(what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
