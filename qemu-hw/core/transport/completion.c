/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completions of work requests, the same for all kinds of queue pairs that have
 * messages; and flushing (IBTA volume 1, 10.3.1 and 10.8.5).
 */
#include "transport/message.h"

static void count_completion(SvanFn *fn, uint8_t status)
{
    if (status == SVAN_CQE_WR_FLUSH_ERR) {
        fn->stats->req_cqe_flush_error++;
    } else if (status != SVAN_CQE_SUCCESS) {
        fn->stats->req_cqe_error++;
    }
}

static inline struct svan_cqe cqe_of(const SvanQp *qp, const SvanCompletion *done)
{
    return (struct svan_cqe) {
        .qpn = svan_cpu_to_le32(qp->qpn),
        .wqe_index = svan_cpu_to_le32(done->index),
        .byte_len = svan_cpu_to_le32(done->length),
        .vendor_err = svan_cpu_to_le32(done->syndrome),
        .opcode = SVAN_CQE_SQ,
        .wqe_opcode = done->opcode,
        .status = done->status,
    };
}

/* svan_qp_complete_send() where there is a counter. */
static __attribute__((noinline)) SvanStep count_send(SvanQp *qp,
                                                     const SvanCompletion *done,
                                                     uint32_t *syndrome)
{
    bool success = done->status == SVAN_CQE_SUCCESS;
    struct svan_cqe cqe = cqe_of(qp, done);
    SvanCompletionSlot slot;
    SvanStep step = svan_completion_reserve(&slot, done->silent ? NULL : qp->send_cq,
                                            qp->send_counter, success);

    if (step == SVAN_STEP_MISS) {
        return step;
    }
    *syndrome = svan_completion_syndrome(&slot);
    if (step == SVAN_STEP_ERROR && success && qp->state != SVAN_QPS_ERR) {
        return step;
    }
    if (slot.cq.cq) {
        count_completion(qp->fn, done->status);
        svan_cq_commit(&slot.cq, &cqe);
    }
    svan_completion_counted(&slot);
    return step;
}

SvanStep svan_qp_complete_send(SvanQp *qp, const SvanCompletion *done,
                               uint32_t *syndrome)
{
    struct svan_cqe cqe;
    SvanCqSlot slot;
    SvanStep step;

    if (qp->send_counter) {
        return count_send(qp, done, syndrome);
    }
    *syndrome = SVAN_SYN_CQ_OVERRUN;
    cqe = cqe_of(qp, done);
    step = svan_cq_reserve(qp->send_cq, &slot);
    if (step == SVAN_STEP_DONE) {
        count_completion(qp->fn, done->status);
        svan_cq_commit(&slot, &cqe);
    }
    return step;
}

SvanStep svan_qp_flush_send(SvanQp *qp, uint32_t *index, SvanWqe *wqe)
{
    SvanCompletion done = { .status = SVAN_CQE_WR_FLUSH_ERR };
    uint32_t syndrome;
    uint8_t status;
    SvanStep step;

    if (*index == qp->sq.producer.pi) {
        step = svan_sq_producer(&qp->sq, *index, &syndrome);
        if (step == SVAN_STEP_MISS) {
            return step;
        }
        if (step != SVAN_STEP_DONE || *index == qp->sq.producer.pi) {
            return SVAN_STEP_IDLE;
        }
    }
    step = svan_wqe_fetch(&qp->sq, *index, wqe, &status, &syndrome);
    if (step != SVAN_STEP_MISS) {
        done.index = wqe->index;
        done.opcode = wqe->opcode;
        step = svan_qp_complete_send(qp, &done, &syndrome);
    }
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    *index += wqe->num_bbs;
    return SVAN_STEP_DONE;
}

void svan_qp_complete_taken(SvanQp *qp, SvanCqSlot *slot, struct svan_cqe *cqe)
{
    cqe->wqe_index = htole32(qp->share->taken.index);
    cqe->wr_id = htole64(qp->share->taken.rwqe.wr_id);
    if (slot) {
        svan_cq_commit(slot, cqe);
    }
    qp->share->taken.is_taken = false;
}

/* 10.2.9.3: what others have posted stays for those who share the queue. */
static SvanStep find_receive(SvanQp *qp)
{
    uint32_t syndrome;

    if (!qp->share) {
        return svan_rq_find(&qp->rq, &syndrome);
    }
    if (qp->share->taken.is_taken) {
        return SVAN_STEP_DONE;
    }
    if (!qp->share->last_wqe_told) {
        qp->share->last_wqe_told = true;
        svan_event(&qp->events, SVAN_EVENT_QP_LAST_WQE, 0);
    }
    return SVAN_STEP_IDLE;
}

SvanStep svan_qp_flush_receive(SvanQp *qp, uint8_t *failure, uint32_t syndrome)
{
    struct svan_cqe cqe = {
        .qpn = svan_cpu_to_le32(qp->qpn), .opcode = SVAN_CQE_RECV,
        .status = *failure ? *failure : SVAN_CQE_WR_FLUSH_ERR,
    };
    SvanCompletionSlot slot;
    SvanStep step = find_receive(qp);

    if (step != SVAN_STEP_DONE) {
        return step == SVAN_STEP_MISS ? step : SVAN_STEP_IDLE;
    }
    step = svan_completion_reserve(&slot, qp->recv_cq, qp->recv_counter, false);
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (slot.cq.cq) {
        if (*failure) {
            cqe.vendor_err = svan_cpu_to_le32(syndrome);
            qp->fn->stats->resp_cqe_error++;
        } else {
            qp->fn->stats->resp_cqe_flush_error++;
        }
    }
    if (qp->share) {
        svan_qp_complete_taken(qp, slot.cq.cq ? &slot.cq : NULL, &cqe);
    } else {
        svan_rq_complete(&qp->rq, slot.cq.cq ? &slot.cq : NULL, &cqe);
    }
    svan_completion_counted(&slot);
    *failure = SVAN_CQE_SUCCESS;
    return SVAN_STEP_DONE;
}
