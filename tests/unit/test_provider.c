/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The provider's rings and the lock of its CQs (tools/lib/svan/svan_queue.h),
 * against models that are too simple to be wrong, and its table of queue pairs
 * (svan_qp_table.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../tools/lib/svan/svan_queue.h"
#include "../../tools/lib/svan/svan_qp_table.h"

static uint64_t seed = 1;

static uint32_t draw(uint32_t limit)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z >> 32) % limit;
}

/* ---- sizes ---- */

static const struct svan_qp_limits limits = {
    .max_wqebb = 1u << 15, .max_rwqe = 1u << 14, .max_sge = 30,
    .max_inline = 480,
};

static void check_layout(const struct svan_qp_cap *want, bool ud,
                         const struct svan_qp_layout *layout)
{
    size_t sq = (size_t)64 << layout->log_sq_bbs;
    size_t rq = layout->log_rq_stride ?
                (size_t)1 << (layout->log_rq_size + layout->log_rq_stride) : 0;

    assert_true(layout->cap.max_send_wr >= want->max_send_wr);
    assert_true(layout->cap.max_send_sge >= want->max_send_sge);
    assert_true(layout->cap.max_inline >= want->max_inline);
    assert_true(layout->cap.max_recv_wr >= want->max_recv_wr);
    assert_true(layout->cap.max_send_sge <= limits.max_sge);
    assert_true(layout->cap.max_recv_sge <= limits.max_sge);
    assert_true(layout->cap.max_inline <= limits.max_inline);
    /* the promised requests do fit, each with its address vector */
    assert_true((uint64_t)layout->cap.max_send_wr *
                (svan_wqe_sge_bbs(layout->cap.max_send_sge) + ud) <=
                1u << layout->log_sq_bbs);
    assert_true((uint64_t)layout->cap.max_send_wr *
                (svan_wqe_inline_bbs(layout->cap.max_inline) + ud) <=
                1u << layout->log_sq_bbs);
    if (rq) {
        assert_true(layout->cap.max_recv_sge >= want->max_recv_sge);
        assert_true(16 + 16 * layout->cap.max_recv_sge <=
                    1u << layout->log_rq_stride);
        assert_true(layout->rq_offset >= sq);
    }
    /* as the driver wants it: aligned, apart, inside */
    assert_int_equal(layout->sq_offset, 0);
    assert_int_equal(layout->rq_offset % 64, 0);
    assert_int_equal(layout->dbr_offset % 64, 0);
    assert_true(layout->dbr_offset >= layout->rq_offset + rq);
    assert_true(layout->dbr_offset >= sq);
    assert_true(layout->dbr_offset + sizeof(struct svan_qp_dbr) <=
                layout->length);
    assert_int_equal(layout->length % SVAN_RING_ALIGN, 0);
}

static void qp_sizes(void **state)
{
    int good = 0;

    for (int i = 0; i < 20000; i++) {
        struct svan_qp_cap want = {
            .max_send_wr = draw(1u << draw(17)),
            .max_recv_wr = draw(1u << draw(16)),
            .max_send_sge = draw(32), .max_recv_sge = draw(32),
            .max_inline = draw(490),
        };
        struct svan_qp_layout layout;
        bool ud = draw(2);
        int ret = svan_qp_layout(&want, &limits, ud, &layout);

        if (want.max_send_sge > 30 || want.max_inline > 480 ||
            want.max_send_wr > 1u << 15 || want.max_recv_wr > 1u << 14 ||
            (want.max_recv_wr && want.max_recv_sge > 30)) {
            assert_int_equal(ret, EINVAL);
        } else if (!ret) {
            check_layout(&want, ud, &layout);
            good++;
        }
    }
    assert_true(good > 10000);
}

static void qp_sizes_at_the_edge(void **state)
{
    struct svan_qp_cap want = { .max_send_wr = 1u << 15, .max_send_sge = 2 };
    struct svan_qp_layout layout;

    assert_int_equal(svan_qp_layout(&want, &limits, false, &layout), 0);
    assert_int_equal(layout.log_sq_bbs, 15);
    assert_int_equal(layout.log_rq_stride, 0);
    assert_int_equal(layout.rq_offset, 0);
    want.max_send_sge = 3;
    assert_int_equal(svan_qp_layout(&want, &limits, false, &layout), EINVAL);
    want = (struct svan_qp_cap) { .max_send_wr = UINT32_MAX };
    assert_int_equal(svan_qp_layout(&want, &limits, false, &layout), EINVAL);
    want = (struct svan_qp_cap) { .max_recv_wr = UINT32_MAX };
    assert_int_equal(svan_qp_layout(&want, &limits, false, &layout), EINVAL);
    want = (struct svan_qp_cap) { 0 };
    assert_int_equal(svan_qp_layout(&want, &limits, false, &layout), 0);
    assert_int_equal(layout.cap.max_send_wr, 0);
    assert_int_equal(layout.cap.max_recv_wr, 0);
}

/* The block of the address vector costs requests, not entries nor inline data. */
static void sizes_of_datagrams(void **state)
{
    struct svan_qp_cap want = { .max_send_wr = 64, .max_send_sge = 1 };
    struct svan_qp_layout layout;

    assert_int_equal(svan_qp_layout(&want, &limits, true, &layout), 0);
    assert_int_equal(layout.log_sq_bbs, 7);
    assert_int_equal(layout.cap.max_send_wr, 64);
    assert_int_equal(layout.cap.max_send_sge, 2);
    assert_int_equal(layout.cap.max_inline, 32);
    want.max_send_sge = 30;
    want.max_inline = 480;
    assert_int_equal(svan_qp_layout(&want, &limits, true, &layout), 0);
    assert_int_equal(layout.log_sq_bbs, 10);
    assert_int_equal(layout.cap.max_send_wr, 1024 / SVAN_WQE_MAX_BBS);
    assert_int_equal(layout.cap.max_send_sge, 30);
    assert_int_equal(layout.cap.max_inline, 480);
    want = (struct svan_qp_cap) { .max_send_wr = 1u << 14, .max_send_sge = 2 };
    assert_int_equal(svan_qp_layout(&want, &limits, true, &layout), 0);
    assert_int_equal(layout.log_sq_bbs, 15);
    want.max_send_wr++;
    assert_int_equal(svan_qp_layout(&want, &limits, true, &layout), EINVAL);
    want = (struct svan_qp_cap) { .max_recv_wr = 4, .max_recv_sge = 1 };
    assert_int_equal(svan_qp_layout(&want, &limits, true, &layout), 0);
    assert_int_equal(layout.cap.max_send_wr, 0);
}

static void cq_sizes(void **state)
{
    struct svan_cq_layout layout;

    assert_int_equal(svan_cq_layout(0, 4096, &layout), EINVAL);
    assert_int_equal(svan_cq_layout(4097, 4096, &layout), EINVAL);
    for (uint32_t cqe = 1; cqe <= 4096; cqe++) {
        assert_int_equal(svan_cq_layout(cqe, 4096, &layout), 0);
        assert_true(1u << layout.log_size >= cqe);
        assert_true(1u << layout.log_size < 2 * cqe);
        assert_int_equal(layout.dbr_offset, 64u << layout.log_size);
        assert_true(layout.dbr_offset + 64 <= layout.length);
        assert_int_equal(layout.length % SVAN_RING_ALIGN, 0);
    }
}

static void srq_sizes(void **state)
{
    struct svan_srq_layout layout;

    assert_int_equal(svan_srq_layout(0, 1, &limits, &layout), EINVAL);
    assert_int_equal(svan_srq_layout(limits.max_rwqe + 1, 1, &limits, &layout), EINVAL);
    assert_int_equal(svan_srq_layout(UINT32_MAX, 1, &limits, &layout), EINVAL);
    assert_int_equal(svan_srq_layout(1, 31, &limits, &layout), EINVAL);
    for (int i = 0; i < 20000; i++) {
        uint32_t wr = 1 + draw(limits.max_rwqe), sge = draw(31), stride;

        assert_int_equal(svan_srq_layout(wr, sge, &limits, &layout), 0);
        stride = 1u << layout.log_stride;
        assert_true(1u << layout.log_size >= wr && 1u << layout.log_size < 2 * wr);
        assert_true(layout.max_sge >= sge && layout.max_sge <= limits.max_sge);
        assert_true(16 + 16 * layout.max_sge <= stride);
        assert_int_equal(layout.dbr_offset % 64, 0);
        assert_true(layout.dbr_offset >= stride << layout.log_size);
        assert_true(layout.dbr_offset + sizeof(struct svan_srq_dbr) <= layout.length);
        assert_int_equal(layout.length % SVAN_RING_ALIGN, 0);
    }
}

/* ---- send queue: requests of one to nine blocks, completed in any portion ---- */

#define LOG_BBS 5
#define BBS     (1u << LOG_BBS)
#define MAX_WR  9

typedef struct Posted {
    uint64_t wr_id;
    uint32_t index, bbs;
} Posted;

typedef struct SqModel {
    struct svan_sq sq;
    Posted fifo[MAX_WR];
    uint32_t first, count, used;
} SqModel;

static void sq_post(SqModel *model, uint32_t bbs, uint64_t wr_id)
{
    struct svan_sq *sq = &model->sq;
    bool room = svan_sq_has_room(sq, sq->pi + bbs, sq->posted);

    assert_int_equal(room, model->used + bbs <= BBS && model->count < MAX_WR);
    if (!room) {
        return;
    }
    model->fifo[(model->first + model->count++) % MAX_WR] =
        (Posted) { wr_id, sq->pi, bbs };
    model->used += bbs;
    svan_sq_record(sq, sq->pi, sq->pi + bbs, sq->posted + 1, wr_id);
    sq->pi += bbs;
    sq->posted++;
}

/* The request at this place of the queue completes, and all before it with it. */
static void sq_complete(SqModel *model, uint32_t place)
{
    const Posted *last = &model->fifo[(model->first + place) % MAX_WR];

    assert_int_equal(svan_sq_complete(&model->sq, last->index), last->wr_id);
    for (uint32_t i = 0; i <= place; i++) {
        model->used -= model->fifo[model->first].bbs;
        model->first = (model->first + 1) % MAX_WR;
        model->count--;
    }
    assert_int_equal(model->sq.pi - model->sq.ci, model->used);
    assert_int_equal(model->sq.posted - model->sq.completed, model->count);
}

static void send_queue(void **state)
{
    static struct svan_sq_slot slots[BBS];
    SqModel model = {
        /* both counters wrap soon */
        .sq = { .ring.mask = BBS - 1, .slots = slots, .max_wr = MAX_WR,
                .pi = 0xffffff00, .ci = 0xffffff00,
                .posted = 0xffffffc0, .completed = 0xffffffc0 },
    };

    for (uint64_t i = 0; i < 20000; i++) {
        sq_post(&model, 1 + draw(1 + draw(SVAN_WQE_MAX_BBS)), i * 77);
        if (model.count && draw(3) == 0) {
            sq_complete(&model, draw(model.count));
        }
    }
    assert_true(model.sq.pi < 0x80000000u);
    svan_sq_reset_consumer(&model.sq);
    svan_sq_reset_producer(&model.sq);
    assert_true(svan_sq_has_room(&model.sq, BBS, 0));
    assert_false(svan_sq_has_room(&model.sq, BBS + 1, 0));
}

/* What is prepared is there until it is complete, or all of it is taken back. */
static void prepared_work(void **state)
{
    static struct svan_sq_slot slots[BBS];
    struct svan_sq sq = {
        .ring.mask = BBS - 1, .slots = slots, .max_wr = MAX_WR,
        .pi = 0xfffffffe, .ci = 0xfffffffe,
        .posted = 0xffffffff, .completed = 0xffffffff,
    };

    assert_false(svan_sq_has_prepared(&sq));
    svan_sq_record(&sq, sq.pi, sq.pi + 2, sq.posted + 1, 1);
    svan_sq_prepare(&sq, sq.pi + 2, sq.posted + 1);
    svan_sq_record(&sq, sq.pi, sq.pi + 1, sq.posted + 1, 2);
    svan_sq_prepare(&sq, sq.pi + 1, sq.posted + 1);
    assert_true(svan_sq_has_prepared(&sq));
    assert_int_equal(svan_sq_complete(&sq, 0xfffffffe), 1);
    assert_true(svan_sq_has_prepared(&sq));
    assert_int_equal(svan_sq_complete(&sq, 0), 2);
    assert_false(svan_sq_has_prepared(&sq));

    svan_sq_prepare(&sq, sq.pi + 3, sq.posted + 1);
    svan_sq_prepare(&sq, sq.pi + 1, sq.posted + 1);
    assert_true(svan_sq_cancel(&sq));
    assert_false(svan_sq_has_prepared(&sq));
    assert_int_equal(sq.pi, 1);
    assert_int_equal(sq.posted, 1);
    assert_true(svan_sq_cancel(&sq));
    assert_int_equal(sq.pi, 1);

    /* What was submitted is not taken back, nor is what lies behind it. */
    svan_sq_record(&sq, sq.pi, sq.pi + 1, sq.posted + 1, 3);
    svan_sq_prepare(&sq, sq.pi + 1, sq.posted + 1);
    svan_sq_record(&sq, sq.pi, sq.pi + 1, sq.posted + 1, 4);
    svan_sq_prepare(&sq, sq.pi + 1, sq.posted + 1);
    assert_int_equal(svan_sq_complete(&sq, 1), 3);
    assert_false(svan_sq_cancel(&sq));
    assert_true(svan_sq_has_prepared(&sq));
    assert_int_equal(sq.pi, 3);
    assert_int_equal(sq.posted, 3);
    assert_int_equal(svan_sq_complete(&sq, 2), 4);
    assert_true(svan_sq_cancel(&sq));
    assert_int_equal(sq.pi, 3);

    svan_sq_prepare(&sq, sq.pi + 1, sq.posted + 1);
    svan_sq_reset_consumer(&sq);
    svan_sq_reset_producer(&sq);
    assert_false(svan_sq_has_prepared(&sq));
}

/*
 * What a counter tells of is given back without a completion. A completion that comes
 * to light afterwards finds its slot reused, and gives nothing back a second time.
 */
static void retired_sends(void **state)
{
    struct svan_sq_slot slots[8];
    struct svan_sq sq = {
        .ring.mask = 7, .slots = slots, .max_wr = 8, .pi = 0xfffffffe,
        .ci = 0xfffffffe, .posted = 0xffffffff, .completed = 0xffffffff,
    };

    for (uint32_t i = 0; i < 4; i++) {
        svan_sq_record(&sq, sq.pi, sq.pi + 2, sq.posted + 1, 10 + i);
        sq.pi += 2;
        sq.posted++;
    }
    assert_false(svan_sq_has_room(&sq, sq.pi + 1, sq.posted));
    assert_int_equal(svan_sq_retire(&sq, 4, sq.posted), EINVAL);
    assert_int_equal(svan_sq_retire(&sq, 1, sq.posted), 0);
    assert_int_equal(sq.ci, 2);
    assert_int_equal(sq.completed, 1);
    assert_int_equal(svan_sq_retire(&sq, 0, sq.posted), 0);
    assert_int_equal(sq.ci, 2);

    svan_sq_record(&sq, sq.pi, sq.pi + 3, sq.posted + 1, 14);
    sq.pi += 3;
    sq.posted++;
    assert_int_equal(svan_sq_complete(&sq, 0xfffffffe), 0);
    assert_int_equal(svan_sq_complete(&sq, 0), 0);
    assert_int_equal(sq.ci, 2);
    assert_int_equal(sq.completed, 1);
    assert_int_equal(svan_sq_complete(&sq, 2), 12);
    assert_int_equal(svan_sq_retire(&sq, 4, sq.posted), 0);
    assert_int_equal(sq.ci, sq.pi);
    assert_int_equal(sq.completed, sq.posted);

    /* Others have posted, and polled, since the number of those posted was read. */
    assert_int_equal(svan_sq_retire(&sq, sq.posted + 1, sq.posted - 1), EINVAL);
    assert_int_equal(sq.completed, sq.posted);
}

/* Of a counted queue nothing else gives entries back; a late completion is nobody's. */
static void retired_receives(void **state)
{
    uint64_t wr_ids[4] = { 1, 2, 3, 4 };
    struct svan_rq rq = {
        .wr_ids = wr_ids, .mask = 3, .max_wr = 4, .pi = 2, .ci = 0xfffffffe,
        .counted = true,
    };

    assert_int_equal(svan_rq_retire(&rq, 3), 4);
    assert_false(svan_rq_has_room(&rq, rq.pi));
    assert_int_equal(svan_rq_retire_counted(&rq, 3, rq.pi), EINVAL);
    assert_int_equal(svan_rq_retire_counted(&rq, 1, rq.pi), 0);
    assert_int_equal(rq.ci, 1);
    assert_int_equal(svan_rq_retire_counted(&rq, 0xffffffff, rq.pi), 0);
    assert_int_equal(rq.ci, 1);
    assert_int_equal(svan_rq_retire(&rq, 0), 0);
    assert_int_equal(svan_rq_retire(&rq, 0xffffffff), 0);
    assert_int_equal(svan_rq_retire(&rq, 1), 2);
    assert_true(svan_rq_has_room(&rq, rq.pi + 2));
    assert_false(svan_rq_has_room(&rq, rq.pi + 3));
    assert_int_equal(svan_rq_retire_counted(&rq, 2, 0), EINVAL);
    assert_int_equal(rq.ci, 1);
}

static void prepared_receives(void **state)
{
    struct svan_rq rq = {
        .mask = 7, .max_wr = 8, .pi = 0xfffffffe, .ci = 0xfffffffe,
        .counted = true,
    };

    assert_false(svan_rq_has_prepared(&rq));
    svan_rq_prepare(&rq, rq.pi + 1);
    svan_rq_prepare(&rq, rq.pi + 2);
    assert_int_equal(rq.pi, 1);
    assert_int_equal(svan_rq_retire_counted(&rq, 0, rq.pi), 0);
    assert_true(svan_rq_has_prepared(&rq));
    assert_false(svan_rq_cancel(&rq));
    assert_int_equal(svan_rq_retire_counted(&rq, 1, rq.pi), 0);
    assert_false(svan_rq_has_prepared(&rq));

    svan_rq_prepare(&rq, rq.pi + 8);
    assert_false(svan_rq_has_room(&rq, rq.pi));
    svan_rq_prepare(&rq, rq.pi);
    assert_true(svan_rq_cancel(&rq));
    assert_int_equal(rq.pi, 1);
    assert_true(svan_rq_cancel(&rq));

    svan_rq_prepare(&rq, rq.pi + 1);
    svan_rq_reset_consumer(&rq);
    svan_rq_reset_producer(&rq);
    assert_false(svan_rq_has_prepared(&rq));
}

static void receive_queue(void **state)
{
    uint64_t wr_ids[16];
    struct svan_rq rq = {
        .wr_ids = wr_ids, .mask = 15, .max_wr = 16, .log_stride = 6,
        .pi = 0xfffffff0, .ci = 0xfffffff0,
    };
    uint32_t used = 0;

    for (uint64_t i = 0; i < 5000; i++) {
        if (draw(2)) {
            assert_int_equal(svan_rq_has_room(&rq, rq.pi), used < 16);
            if (used < 16) {
                wr_ids[rq.pi++ & rq.mask] = i;
                used++;
            }
        } else if (used) {
            /* free-running or not: the slot is what counts */
            uint32_t index = draw(2) ? rq.ci : rq.ci & rq.mask;
            uint64_t wanted = wr_ids[rq.ci & rq.mask];

            assert_int_equal(svan_rq_retire(&rq, index), wanted);
            used--;
        }
    }
    svan_rq_reset_consumer(&rq);
    svan_rq_reset_producer(&rq);
    assert_true(svan_rq_has_room(&rq, 15));
    assert_false(svan_rq_has_room(&rq, 16));
}

/* The device alone gives entries back, and its index is looked at when there is no room. */
static void shared_receive_queue(void **state)
{
    static uint8_t entries[16 << 5];
    struct svan_srq_dbr dbr = { .ci = htole32(0xfffffff9) };
    struct svan_srq_ring ring = {
        .entries = entries, .dbr = &dbr, .mask = 15, .log_stride = 5,
        .pi = 0xfffffff9, .ci = 0xfffffff9,
    };
    uint32_t ci = ring.ci;

    for (uint32_t i = 0; i < 5000; i++) {
        if (draw(2)) {
            bool room = ring.pi - ci < 16, looks = ring.pi - ring.ci >= 16;
            uint32_t seen = ring.ci;

            assert_int_equal(svan_srq_has_room(&ring, ring.pi), room);
            assert_int_equal(ring.ci, looks ? ci : seen);
            if (room) {
                assert_ptr_equal(svan_srq_entry(&ring, ring.pi),
                                 entries + (ring.pi % 16 << 5));
                svan_srq_publish(&ring, ring.pi + 1);
            }
            assert_int_equal(le32toh(dbr.pi), ring.pi);
        } else if (ci != ring.pi) {
            dbr.ci = htole32(++ci);
        }
    }
    dbr.ci = htole32(ring.pi + 5);      /* a device that is out of its mind */
    ring.ci = ring.pi - 16;
    assert_false(svan_srq_has_room(&ring, ring.pi));
}

/* ---- completion queue ---- */

#define LOG_CQ  4
#define CQ_SIZE (1u << LOG_CQ)

typedef struct CqModel {
    struct svan_cqe cqes[CQ_SIZE];
    struct svan_cq_dbr dbr;
    struct svan_cq_ring ring;
    uint32_t pi;                        /* the device's */
    uint32_t qpns[CQ_SIZE], marks[CQ_SIZE];     /* what is to come, in order */
    uint32_t count;
} CqModel;

static void cq_init(CqModel *model)
{
    memset(model, 0, sizeof(*model));
    model->ring.cqes = model->cqes;
    model->ring.dbr = &model->dbr;
    model->ring.log_size = LOG_CQ;
}

/* As the device does it. */
static void cq_write(CqModel *model, uint32_t qpn, uint32_t mark)
{
    struct svan_cqe *cqe = &model->cqes[model->pi & (CQ_SIZE - 1)];
    uint32_t ci = svan_le32_to_cpu(model->dbr.ci);

    if (model->pi - ci == CQ_SIZE) {
        return;
    }
    cqe->qpn = svan_cpu_to_le32(qpn);
    cqe->wqe_index = svan_cpu_to_le32(mark);
    cqe->owner = ((model->pi >> LOG_CQ) & 1 ? 0 : SVAN_CQE_PHASE) |
                 (mark & 1 ? SVAN_CQE_SOLICITED : 0);
    model->pi++;
    model->qpns[model->count] = qpn;
    model->marks[model->count++] = mark;
}

static void model_remove(CqModel *model, uint32_t at)
{
    model->count--;
    memmove(&model->qpns[at], &model->qpns[at + 1],
            (model->count - at) * sizeof(model->qpns[0]));
    memmove(&model->marks[at], &model->marks[at + 1],
            (model->count - at) * sizeof(model->marks[0]));
}

static void cq_read(CqModel *model)
{
    struct svan_cqe *cqe = svan_cq_valid_entry(&model->ring, model->ring.ci);

    if (!model->count) {
        assert_null(cqe);
        return;
    }
    assert_non_null(cqe);
    assert_int_equal(svan_le32_to_cpu(cqe->qpn), model->qpns[0]);
    assert_int_equal(svan_le32_to_cpu(cqe->wqe_index), model->marks[0]);
    assert_int_equal(!!(cqe->owner & SVAN_CQE_SOLICITED), model->marks[0] & 1);
    svan_cq_advance(&model->ring, 1);
    svan_cq_publish(&model->ring);
    model_remove(model, 0);
}

static void cq_clean(CqModel *model, uint32_t qpn)
{
    uint32_t wanted = 0;

    for (uint32_t i = 0; i < model->count;) {
        if (model->qpns[i] == qpn) {
            model_remove(model, i);
            wanted++;
        } else {
            i++;
        }
    }
    assert_int_equal(svan_cq_clean(&model->ring, qpn), wanted);
    if (!model->ring.batch) {
        assert_int_equal(svan_le32_to_cpu(model->dbr.ci), model->ring.ci);
    }
    assert_int_equal(model->pi - model->ring.ci, model->count);
}

static void completion_queue(void **state)
{
    CqModel model;

    cq_init(&model);
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t what = draw(10);

        if (what < 5) {
            cq_write(&model, draw(4), i);
        } else if (what < 9) {
            cq_read(&model);
        } else {
            cq_clean(&model, draw(5));
        }
    }
}

static void cleaning_full_and_empty_rings(void **state)
{
    CqModel model;

    cq_init(&model);
    assert_int_equal(svan_cq_clean(&model.ring, 1), 0);
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < CQ_SIZE + 3; i++) {
            cq_write(&model, 7, i);
        }
        assert_int_equal(model.count, CQ_SIZE);
        assert_int_equal(svan_cq_clean(&model.ring, 8), 0);
        cq_clean(&model, 7);
        cq_read(&model);
        cq_write(&model, 9, round);
        cq_read(&model);
    }
}

/* What start_poll() and next_poll() do; the entry is then the current one. */
static const struct svan_cqe *batch_step(CqModel *model)
{
    const struct svan_cqe *cqe =
        svan_cq_valid_entry(&model->ring, model->ring.ci);

    if (!cqe) {
        assert_int_equal(model->count, 0);
        return NULL;
    }
    svan_cq_advance(&model->ring, 1);
    svan_cq_begin_batch(&model->ring);
    assert_int_equal(svan_le32_to_cpu(cqe->wqe_index), model->marks[0]);
    model_remove(model, 0);
    return cqe;
}

/*
 * Queue pairs go away in the middle of a batch, their own completion being the
 * current one or not, while the device writes all that it is given room for.
 */
static void cleaning_within_a_batch(void **state)
{
    const struct svan_cqe *current = NULL;
    uint32_t cleaned = 0, full = 0;
    struct svan_cqe seen;
    CqModel model;

    cq_init(&model);
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t what = draw(16);

        if (what < 10) {
            cq_write(&model, draw(4), i);
            full += model.pi - svan_le32_to_cpu(model.dbr.ci) == CQ_SIZE;
        } else if (what < 13) {
            const struct svan_cqe *next = batch_step(&model);

            if (next) {
                current = next;
                seen = *next;
            }
        } else if (what < 15) {
            cq_clean(&model, current && draw(2) ?
                             svan_le32_to_cpu(current->qpn) : draw(4));
            cleaned++;
        } else if (current) {
            svan_cq_end_batch(&model.ring);
            assert_int_equal(svan_le32_to_cpu(model.dbr.ci), model.ring.ci);
            current = NULL;
        }
        if (current) {
            assert_memory_equal(current, &seen, sizeof(seen));
        }
    }
    assert_true(cleaned > 10000 && full > 1000);
}

/* ---- the lock of a CQ ---- */

static void a_single_threaded_cq_takes_no_lock(void **state)
{
    struct svan_cq_lock lock;

    assert_int_equal(svan_cq_lock_init(&lock, true), 0);
    alarm(10);
    svan_cq_lock(&lock);
    svan_cq_lock(&lock);                /* a batch, and a QP is destroyed */
    svan_cq_unlock(&lock);
    svan_cq_unlock(&lock);
    alarm(0);
    svan_cq_lock_destroy(&lock);
}

static void another_cq_takes_its_lock(void **state)
{
    struct svan_cq_lock lock;

    assert_int_equal(svan_cq_lock_init(&lock, false), 0);
    svan_cq_lock(&lock);
    assert_int_equal(pthread_spin_trylock(&lock.spin), EBUSY);
    svan_cq_unlock(&lock);
    assert_int_equal(pthread_spin_trylock(&lock.spin), 0);
    svan_cq_unlock(&lock);
    svan_cq_lock_destroy(&lock);
}

/* ---- doorbell records ---- */

static void records(void **state)
{
    struct svan_qp_dbr dbr = { 0 };

    assert_true(svan_dbr_publish(&dbr, &dbr.sq_pi, 0x12345678));
    assert_int_equal(svan_le32_to_cpu(dbr.sq_pi), 0x12345678);
    dbr.device_flags = svan_cpu_to_le32(SVAN_QP_DBR_POLLING | 0x80);
    assert_false(svan_dbr_publish(&dbr, &dbr.rq_pi, 5));
    assert_int_equal(svan_le32_to_cpu(dbr.rq_pi), 5);
    dbr.device_flags = svan_cpu_to_le32(0x80);
    assert_true(svan_dbr_publish(&dbr, &dbr.rq_pi, 6));
}

/* ---- from QPN to QP ---- */

#define INDICES 300             /* in two leaves */

static struct svan_qp *some_qp(uintptr_t which)
{
    return (struct svan_qp *)(which << 4);
}

static uint32_t qpn_of(uint32_t variant, uint32_t index)
{
    return (variant & 0xff) << SVAN_QN_INDEX_SHIFT | index;
}

static uint32_t leaves(const struct svan_qp_table *table)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SVAN_QP_TABLE_SIZE; i++) {
        count += table->leaves[i] != NULL;
    }
    return count;
}

/* Two living QPs at each index, one after the other, and the table stays small. */
static void queue_pairs_come_and_go(void **state)
{
    struct svan_qp_table *table = calloc(1, sizeof(*table));

    assert_null(svan_qp_table_find(table, 5));
    for (uint32_t variant = 1; variant < 600; variant++) {
        for (uint32_t index = 0; index < INDICES; index++) {
            uint32_t qpn = qpn_of(variant, index);
            uint32_t old = qpn_of(variant - 1, index);

            assert_null(svan_qp_table_find(table, qpn));
            assert_int_equal(svan_qp_table_store(table, qpn, some_qp(variant)), 0);
            assert_ptr_equal(svan_qp_table_find(table, qpn), some_qp(variant));
            /* the one before is gone, whether its owner has removed it or not */
            assert_null(svan_qp_table_find(table, old));
            svan_qp_table_remove(table, old, some_qp(variant - 1));
            assert_ptr_equal(svan_qp_table_find(table, qpn), some_qp(variant));
            if (index % 3 == 0) {
                svan_qp_table_remove(table, qpn, some_qp(variant));
                assert_null(svan_qp_table_find(table, qpn));
            }
        }
    }
    assert_int_equal(leaves(table), 2);
    svan_qp_table_free(table);
    free(table);
}

static void the_ends_of_the_table(void **state)
{
    static const uint32_t qpns[] = { 0, 0xff, 0x100, 0xffff, 0xff0001, 0xfffffe };
    struct svan_qp_table *table = calloc(1, sizeof(*table));
    uint32_t count = sizeof(qpns) / sizeof(qpns[0]);

    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(svan_qp_table_store(table, qpns[i], some_qp(i + 1)), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_ptr_equal(svan_qp_table_find(table, qpns[i]), some_qp(i + 1));
    }
    assert_null(svan_qp_table_find(table, 1));
    assert_null(svan_qp_table_find(table, 0xffffff));
    assert_int_equal(leaves(table), 3);
    svan_qp_table_free(table);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qp_sizes),
        cmocka_unit_test(qp_sizes_at_the_edge),
        cmocka_unit_test(sizes_of_datagrams),
        cmocka_unit_test(cq_sizes),
        cmocka_unit_test(srq_sizes),
        cmocka_unit_test(send_queue),
        cmocka_unit_test(prepared_work),
        cmocka_unit_test(retired_sends),
        cmocka_unit_test(retired_receives),
        cmocka_unit_test(prepared_receives),
        cmocka_unit_test(receive_queue),
        cmocka_unit_test(shared_receive_queue),
        cmocka_unit_test(completion_queue),
        cmocka_unit_test(cleaning_full_and_empty_rings),
        cmocka_unit_test(cleaning_within_a_batch),
        cmocka_unit_test(a_single_threaded_cq_takes_no_lock),
        cmocka_unit_test(another_cq_takes_its_lock),
        cmocka_unit_test(records),
        cmocka_unit_test(queue_pairs_come_and_go),
        cmocka_unit_test(the_ends_of_the_table),
    };

    return cmocka_run_group_tests_name("provider", tests, NULL, NULL);
}
