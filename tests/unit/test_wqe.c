/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work queue entries: what the shared encoders write is what the device reads,
 * and nothing that is malformed passes.
 */
#include "unit.h"

#define LOG_SQ          5u

typedef struct Wq {
    Host *host;
    HostCq cq;
    HostQp qp;
    SvanQp *dev;                /* the device's side */
} Wq;

static int wq_setup(void **state)
{
    HostQpAttr attr = { .log_sq = LOG_SQ, .log_rq = 3, .max_sge = 30 };
    Wq *wq = calloc(1, sizeof(*wq));

    wq->host = host_create(fake_create(NULL), 0, 1);
    wq->cq = host_cq(wq->host, 6);
    wq->qp = host_qp(wq->host, &wq->cq, &wq->cq, &attr);
    wq->dev = svan_qp_get(host_fn(wq->host), wq->qp.qpn);
    assert_non_null(wq->dev);
    *state = wq;
    return 0;
}

static int wq_teardown(void **state)
{
    Wq *wq = *state;

    fake_destroy(wq->host->fake);
    host_destroy(wq->host);
    free(wq);
    return 0;
}

#define WQ_TEST(name) \
    cmocka_unit_test_setup_teardown(name, wq_setup, wq_teardown)

typedef struct Fetched {
    SvanStep step;
    uint8_t status;
    uint32_t syndrome;
    SvanWqe wqe;
} Fetched;

/* Fetch the entry at index, the producer being `bbs` blocks ahead. */
static Fetched fetch(Wq *wq, uint32_t index, uint32_t bbs)
{
    Fetched f;

    wq->dev->sq.producer.pi = index + bbs;
    f.step = svan_wqe_fetch(&wq->dev->sq, index, &f.wqe, &f.status, &f.syndrome);
    assert_int_equal(f.wqe.index, index);
    return f;
}

static void assert_refused(Fetched f, uint8_t status, uint32_t syndrome)
{
    assert_int_equal(f.step, SVAN_STEP_ERROR);
    assert_int_equal(f.status, status);
    assert_int_equal(f.syndrome, syndrome);
    assert_in_range(f.wqe.num_bbs, 1, SVAN_WQE_MAX_BBS);
}

/* What is asked for and makes no sense does not cost the queue pair. */
static void the_device_takes_all_flags_that_verbs_ask_for(void **state)
{
    static const uint8_t opcodes[] = {
        SVAN_WQE_NOP, SVAN_WQE_SEND, SVAN_WQE_SEND_IMM, SVAN_WQE_RDMA_WRITE,
        SVAN_WQE_RDMA_WRITE_IMM, SVAN_WQE_RDMA_READ, SVAN_WQE_ATOMIC_CMP_SWP,
        SVAN_WQE_ATOMIC_FETCH_ADD,
    };
    Wq *wq = *state;

    for (uint32_t i = 0; i < SIZE(opcodes); i++) {
        for (uint32_t ask = 0; ask < 8; ask++) {
            uint8_t opcode = opcodes[i];
            uint8_t flags = svan_wqe_flags(opcode, ask & 1, ask & 2, ask & 4);
            struct svan_wqe_head *head = svan_wqe_begin(&wq->qp.sq, i, opcode,
                                                        flags, 0);
            bool receives = opcode == SVAN_WQE_SEND ||
                            opcode == SVAN_WQE_SEND_IMM ||
                            opcode == SVAN_WQE_RDMA_WRITE_IMM;
            Fetched f;

            if (opcode >= SVAN_WQE_ATOMIC_CMP_SWP) {
                svan_wqe_set_atomic(head, 1, 0);
                svan_sge_set(&head->atomic.sge, 0, 8, 0);
            }
            f = fetch(wq, i, 1);
            assert_int_equal(f.step, SVAN_STEP_DONE);
            assert_int_equal(f.wqe.flags, flags);
            assert_int_equal(!!(flags & SVAN_WQE_SIGNALED), ask & 1);
            assert_int_equal(!!(flags & SVAN_WQE_FENCE), ask >> 2);
            if (receives) {
                assert_int_equal(!!(flags & SVAN_WQE_SOLICITED), ask >> 1 & 1);
            }
        }
    }
}

/* Of a queue pair that signals everything each entry is signaled. */
static void everything_is_signaled(void **state)
{
    Wq *wq = *state;

    svan_wqe_begin(&wq->qp.sq, 0, SVAN_WQE_SEND, SVAN_WQE_FENCE, 0);
    assert_int_equal(fetch(wq, 0, 1).wqe.flags, SVAN_WQE_FENCE);
    wq->dev->sq.signal_all = true;
    assert_int_equal(fetch(wq, 0, 1).wqe.flags,
                     SVAN_WQE_FENCE | SVAN_WQE_SIGNALED);
}

static void entries_are_read_at_any_place_of_the_ring(void **state)
{
    Wq *wq = *state;

    for (uint32_t index = 20; index < 40; index++) {
        for (uint32_t num = 0; num <= SVAN_MAX_SGE; num++) {
            struct svan_wqe_head *head = svan_wqe_begin(&wq->qp.sq, index,
                SVAN_WQE_RDMA_WRITE, SVAN_WQE_SIGNALED, 0);
            Fetched f;

            svan_wqe_set_remote(head, 0x123456789abcull, 0xdeadbeef);
            for (uint32_t i = 0; i < num; i++) {
                svan_sge_set(svan_wqe_sge(&wq->qp.sq, index, i),
                             0x1000 * i + index, 100 + i, 7 * i);
            }
            svan_wqe_set_num_sge(head, num);
            f = fetch(wq, index, svan_wqe_sge_bbs(num));
            assert_int_equal(f.step, SVAN_STEP_DONE);
            assert_int_equal(f.wqe.remote, 0x123456789abcull);
            assert_int_equal(f.wqe.rkey, 0xdeadbeef);
            assert_int_equal(f.wqe.num_sge, num);
            assert_int_equal(f.wqe.length, num * 100 + num * (num - 1) / 2);
            for (uint32_t i = 0; i < num; i++) {
                assert_int_equal(f.wqe.sge[i].addr, 0x1000 * i + index);
                assert_int_equal(f.wqe.sge[i].length, 100 + i);
                assert_int_equal(f.wqe.sge[i].lkey, 7 * i);
            }
        }
    }
}

static void inline_data_is_read_at_any_place_of_the_ring(void **state)
{
    Wq *wq = *state;
    uint8_t data[SVAN_MAX_INLINE];

    for (uint32_t i = 0; i < sizeof(data); i++) {
        data[i] = i * 11 + (i >> 7);
    }
    for (uint32_t index = 24; index < 34; index++) {
        for (uint32_t len = 0; len <= SVAN_MAX_INLINE; len += 1 + len / 9) {
            struct svan_wqe_head *head = svan_wqe_begin(&wq->qp.sq, index,
                SVAN_WQE_SEND, 0, 0);
            uint32_t half = len / 2;
            Fetched f;

            svan_wqe_put_inline(&wq->qp.sq, index, 0, data, half);
            svan_wqe_put_inline(&wq->qp.sq, index, half, data + half,
                                len - half);
            svan_wqe_set_inline(head, len);
            f = fetch(wq, index, svan_wqe_inline_bbs(len));
            assert_int_equal(f.step, SVAN_STEP_DONE);
            assert_int_equal(f.wqe.length, len);
            assert_memory_equal(f.wqe.data, data, len);
        }
    }
}

static void blocks_must_be_there(void **state)
{
    static const uint8_t counts[] = { 0, SVAN_WQE_MAX_BBS + 1, 64, 255 };
    Wq *wq = *state;
    struct svan_wqe_head *head = svan_wqe_begin(&wq->qp.sq, 0, SVAN_WQE_SEND,
                                                0, 0);

    for (size_t i = 0; i < SIZE(counts); i++) {
        head->ctrl.num_bbs = counts[i];
        assert_refused(fetch(wq, 0, 16), SVAN_CQE_LOC_QP_OP_ERR,
                       SVAN_SYN_NUM_BBS);
    }
    head->ctrl.num_bbs = 3;
    assert_refused(fetch(wq, 0, 2), SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_NUM_BBS);
    head->ctrl.num_sge = 7;             /* takes three blocks */
    head->ctrl.num_bbs = 2;
    assert_refused(fetch(wq, 0, 8), SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_NUM_BBS);
}

static void entries_are_bounded(void **state)
{
    Wq *wq = *state;
    struct svan_wqe_head *head = svan_wqe_begin(&wq->qp.sq, 0, SVAN_WQE_SEND,
                                                0, 0);

    head->ctrl.num_bbs = 8;
    head->ctrl.num_sge = SVAN_MAX_SGE + 1;
    assert_refused(fetch(wq, 0, 8), SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_NUM_SGE);
    head->ctrl.num_sge = 2;
    svan_sge_set(&head->sge[0], 0, 0xffffffff, 0);
    svan_sge_set(&head->sge[1], 0, 0xffffffff, 0);
    assert_refused(fetch(wq, 0, 8), SVAN_CQE_LOC_LEN_ERR, SVAN_SYN_LENGTH);
    svan_sge_set(&head->sge[0], 0, 1u << 30, 0);
    svan_sge_set(&head->sge[1], 0, 1u << 30, 0);
    assert_int_equal(fetch(wq, 0, 8).step, SVAN_STEP_DONE);
    svan_sge_set(&head->sge[1], 0, (1u << 30) + 1, 0);
    assert_refused(fetch(wq, 0, 8), SVAN_CQE_LOC_LEN_ERR, SVAN_SYN_LENGTH);
}

static void inline_data_is_bounded(void **state)
{
    Wq *wq = *state;
    struct svan_wqe_head *head = svan_wqe_begin(&wq->qp.sq, 0, SVAN_WQE_SEND,
                                                SVAN_WQE_INLINE, 0);

    head->ctrl.num_bbs = 8;
    head->ctrl.inline_length = htole32(SVAN_MAX_INLINE + 1);
    assert_refused(fetch(wq, 0, 8), SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_INLINE);
    head->ctrl.inline_length = htole32(0xffffffff);
    assert_refused(fetch(wq, 0, 8), SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_INLINE);
    head->ctrl.inline_length = htole32(100);
    head->ctrl.num_bbs = 2;
    assert_refused(fetch(wq, 0, 8), SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_INLINE);
    head->ctrl.num_bbs = 3;
    head->ctrl.num_sge = 1;
    assert_refused(fetch(wq, 0, 8), SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_INLINE);
    head->ctrl.num_sge = 0;
    assert_int_equal(fetch(wq, 0, 8).step, SVAN_STEP_DONE);
}

static void only_known_opcodes_and_flags_pass(void **state)
{
    static const uint8_t known[] = {
        SVAN_WQE_NOP, SVAN_WQE_SEND, SVAN_WQE_SEND_IMM, SVAN_WQE_RDMA_WRITE,
        SVAN_WQE_RDMA_WRITE_IMM, SVAN_WQE_RDMA_READ,
    };
    Wq *wq = *state;

    for (uint32_t opcode = 0; opcode < 256; opcode++) {
        struct svan_wqe_head *head = svan_wqe_begin(&wq->qp.sq, 0, opcode, 0,
                                                    0);
        bool good = memchr(known, opcode, sizeof(known));
        Fetched f = fetch(wq, 0, 1);

        if (opcode == SVAN_WQE_ATOMIC_CMP_SWP ||
            opcode == SVAN_WQE_ATOMIC_FETCH_ADD) {
            assert_refused(f, SVAN_CQE_LOC_LEN_ERR, SVAN_SYN_LENGTH);
            svan_wqe_set_atomic(head, 1, 2);
            svan_sge_set(&head->atomic.sge, 64, 8, 9);
            f = fetch(wq, 0, 1);
            assert_int_equal(f.wqe.swap_add, 1);
            assert_int_equal(f.wqe.compare, 2);
            assert_int_equal(f.wqe.sge[0].lkey, 9);
            good = true;
        }
        if (good) {
            assert_int_equal(f.step, SVAN_STEP_DONE);
        } else {
            assert_refused(f, SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_OPCODE);
        }
    }
    svan_wqe_begin(&wq->qp.sq, 0, SVAN_WQE_SEND, SVAN_WQE_ETH_CSUM, 0);
    assert_refused(fetch(wq, 0, 1), SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_OPCODE);
    svan_wqe_begin(&wq->qp.sq, 0, SVAN_WQE_RDMA_READ, SVAN_WQE_INLINE, 0);
    assert_refused(fetch(wq, 0, 1), SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_OPCODE);
}

static void a_miss_changes_nothing(void **state)
{
    Wq *wq = *state;
    Fake *fake = wq->host->fake;
    struct svan_wqe_head *head = svan_wqe_begin(&wq->qp.sq, 30, SVAN_WQE_SEND,
                                                0, 0);
    uint32_t misses = 0;
    Fetched f;

    svan_wqe_set_num_sge(head, SVAN_MAX_SGE);
    do {
        fake->miss_at = fake->maps + 1 + misses;
        f = fetch(wq, 30, 8);
        misses += f.step == SVAN_STEP_MISS;
    } while (f.step == SVAN_STEP_MISS && misses < 20);
    assert_int_equal(misses, 8);
    assert_int_equal(f.step, SVAN_STEP_DONE);
}

static void receive_entries_are_bounded(void **state)
{
    Wq *wq = *state;
    struct svan_rwqe *rwqe = fake_ram(wq->host->fake, wq->qp.rq_bus);
    uint32_t syndrome;
    uint8_t status;
    SvanRwqe got;

    for (uint32_t num = 0; num < 40; num++) {
        SvanStep step;

        rwqe->num_sge = htole32(num);
        for (uint32_t i = 0; i < num && i < SVAN_MAX_SGE; i++) {
            svan_sge_set(&rwqe->sge[i], i, 1u << 28, i);
        }
        step = svan_rwqe_fetch(&wq->dev->rq, 8, &got, &status, &syndrome);
        if (num > SVAN_MAX_SGE) {
            assert_int_equal(step, SVAN_STEP_ERROR);
            assert_int_equal(syndrome, SVAN_SYN_NUM_SGE);
        } else {
            assert_int_equal(step, SVAN_STEP_DONE);
            assert_int_equal(got.num_sge, num);
            assert_int_equal(got.length, num < 8 ? num << 28 : SVAN_MAX_MSG);
        }
    }
}

static void gather_finds_every_octet(void **state)
{
    Wq *wq = *state;
    Fake *fake = wq->host->fake;
    uint64_t bus = fake_alloc(fake, 5 * SVAN_PAGE_SIZE, SVAN_PAGE_SIZE);
    uint8_t *ram = fake_ram(fake, bus);
    SvanSge sge[4] = {
        { bus + 4090, 10, wq->host->all_key },
        { 0x123, 0, 0 },                /* empty: its key is not looked at */
        { bus + 100, 1, wq->host->all_key },
        { bus + 8000, 9000, wq->host->all_key },
    };
    SvanGather gather = { .user = &wq->dev->user, .sge = sge, .num_sge = 4 };

    for (uint32_t i = 0; i < 5 * SVAN_PAGE_SIZE; i++) {
        ram[i] = i * 13 + (i >> 8);
    }
    for (uint32_t offset = 0; offset < 9011; offset += 1 + offset / 7) {
        uint32_t len = 9011 - offset < 4096 ? 9011 - offset : 4096, at = offset;
        SvanMem runs[SVAN_MAX_PKT_RUNS];
        uint32_t num, syndrome;

        assert_int_equal(svan_gather(&gather, offset, len, runs, &num,
                                     &syndrome), SVAN_STEP_DONE);
        for (uint32_t r = 0; r < num; r++) {
            for (uint32_t i = 0; i < runs[r].len; i++, at++) {
                uint32_t where = at < 10 ? 4090 + at :
                                 at == 10 ? 100 : 8000 + at - 11;

                assert_int_equal(runs[r].host[i], ram[where]);
            }
        }
        assert_int_equal(at, offset + len);
    }
}

static void gather_stays_within_the_message(void **state)
{
    Wq *wq = *state;
    uint64_t bus = fake_alloc(wq->host->fake, 4096, 4096);
    SvanSge sge = { bus, 100, wq->host->all_key };
    SvanGather gather = { .user = &wq->dev->user, .sge = &sge, .num_sge = 1 };
    SvanMem runs[SVAN_MAX_PKT_RUNS];
    uint32_t num, syndrome;

    assert_int_equal(svan_gather(&gather, 50, 51, runs, &num, &syndrome),
                     SVAN_STEP_ERROR);
    assert_int_equal(syndrome, SVAN_SYN_LENGTH);
    sge.addr = UINT64_MAX - 10;
    assert_int_equal(svan_gather(&gather, 50, 10, runs, &num, &syndrome),
                     SVAN_STEP_ERROR);
    assert_int_equal(syndrome, SVAN_SYN_KEY_BOUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WQ_TEST(the_device_takes_all_flags_that_verbs_ask_for),
        WQ_TEST(everything_is_signaled),
        WQ_TEST(entries_are_read_at_any_place_of_the_ring),
        WQ_TEST(inline_data_is_read_at_any_place_of_the_ring),
        WQ_TEST(blocks_must_be_there),
        WQ_TEST(entries_are_bounded),
        WQ_TEST(inline_data_is_bounded),
        WQ_TEST(only_known_opcodes_and_flags_pass),
        WQ_TEST(a_miss_changes_nothing),
        WQ_TEST(receive_entries_are_bounded),
        WQ_TEST(gather_finds_every_octet),
        WQ_TEST(gather_stays_within_the_message),
    };

    return cmocka_run_group_tests_name("wqe", tests, NULL, NULL);
}
