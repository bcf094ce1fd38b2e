/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sending side of queue pairs whose packets nobody acknowledges: a WQE is completed
 * when its last packet has left (IBTA volume 1, 9.8.2 and 9.8.3). One that fails takes
 * the send queue to SQE, where those behind it are flushed, and the receive queue goes on.
 */
#include <string.h>

#include "transport/unreliable.h"

static bool is_datagram(const SvanQp *qp)
{
    return qp->kind->addressing == SVAN_ADDRESS_OF_WQE;
}

static SvanStep over(SvanQp *qp, uint8_t status, uint32_t syndrome)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;

    send->state = SVAN_SEND_OVER;
    send->status = status;
    send->syndrome = syndrome;
    return SVAN_STEP_DONE;
}

/* ---- beginning a WQE ---- */

/* The address of the WQE becomes the queue pair's, unless it is that already. */
static void take_address(SvanQp *qp)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;

    if (send->addressed && !memcmp(&send->av, &send->wqe.av, sizeof(send->av))) {
        return;
    }
    send->addressed = true;
    send->av = send->wqe.av;
    svan_av_decode(&qp->av, &send->av);
    svan_heading_forget(&qp->heading);
}

static SvanStep begin(SvanQp *qp)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;
    uint32_t syndrome = SVAN_SYN_NONE;
    uint8_t status;
    SvanStep step;

    if (send->sq_ci == qp->sq.producer.pi) {
        step = svan_sq_producer(&qp->sq, send->sq_ci, &syndrome);
        if (step == SVAN_STEP_ERROR) {
            svan_qp_error(qp, SVAN_EVENT_QP_FATAL, syndrome);
            return SVAN_STEP_DONE;
        }
        if (step != SVAN_STEP_DONE || send->sq_ci == qp->sq.producer.pi) {
            return step == SVAN_STEP_DONE ? SVAN_STEP_IDLE : step;
        }
    }
    step = svan_wqe_fetch(&qp->sq, send->sq_ci, &send->wqe, &status, &syndrome);
    if (step == SVAN_STEP_ERROR) {
        return over(qp, status, syndrome);
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    if (send->wqe.opcode == SVAN_WQE_NOP) {
        return over(qp, SVAN_CQE_SUCCESS, SVAN_SYN_NONE);
    }
    if (is_datagram(qp)) {
        if (send->wqe.length > svan_qp_mtu(qp)) {
            return over(qp, SVAN_CQE_LOC_LEN_ERR, SVAN_SYN_LENGTH);
        }
        take_address(qp);
    }
    svan_trace(qp->fn, SVAN_TRACE_WQE, qp->qpn, send->wqe.index, send->wqe.opcode,
               send->wqe.length);
    /* After a load the WQE may be another one than that of which packets have left. */
    if (send->sent >= svan_segments(qp, send->wqe.length)) {
        return over(qp, SVAN_CQE_SUCCESS, SVAN_SYN_NONE);
    }
    send->state = SVAN_SEND_PACKETS;
    return SVAN_STEP_DONE;
}

/* ---- packets ---- */

/* 10.2.4: a Q_Key whose highest bit is set stands for that of the queue pair. */
static void address(const SvanQp *qp, const struct svan_av *av, SvanPkt *pkt)
{
    uint32_t qkey = le32toh(av->qkey);

    pkt->dqpn = le32toh(av->dqpn) & SVAN_QPN_MASK;
    pkt->qkey = qkey & 0x80000000u ? qp->qkey : qkey;
    pkt->sqpn = qp->qpn;
}

/* *budget: octets that the step may still move; 0: no more packet in this step. */
static SvanStep transmit(SvanQp *qp, uint32_t *budget)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;
    SvanWqe *wqe = &send->wqe;
    uint32_t syndrome;
    SvanSegment seg;
    SvanStep step;
    SvanPkt pkt;

    if (send->wait.state == SVAN_WAIT_FAILED) {
        svan_page_wait_leave(&send->wait);
        qp->fn->stats->fault_fail++;
        return over(qp, SVAN_CQE_LOC_PROT_ERR, SVAN_SYN_PAGE);
    }
    svan_segment(qp, wqe->length, send->sent, &seg);
    if (seg.length > *budget) {
        *budget = 0;
        return SVAN_STEP_DONE;
    }
    svan_qp_packet(qp, &pkt, svan_segment_op(wqe->opcode, &seg), send->psn);
    if (is_datagram(qp)) {
        address(qp, &send->av, &pkt);
    }
    svan_segment_headers(wqe, &seg, &pkt);
    step = svan_segment_payload(&qp->user, wqe, &seg, &pkt, &syndrome);
    if (step == SVAN_STEP_ERROR) {
        return over(qp, SVAN_CQE_LOC_PROT_ERR, syndrome);
    }
    if (step == SVAN_STEP_FAULT) {
        svan_page_wait(&send->wait, false);
        qp->fn->stats->page_faults_requester++;
        return SVAN_STEP_IDLE;
    }
    if (step == SVAN_STEP_DONE) {
        step = svan_qp_send(qp, &pkt);
    }
    if (step != SVAN_STEP_DONE) {
        return step == SVAN_STEP_AGAIN ? SVAN_STEP_DONE : step;
    }
    svan_page_wait_forget(&send->wait);
    *budget -= seg.length;
    send->psn = (send->psn + 1) & SVAN_PSN_MASK;
    send->sent++;
    return seg.last ? over(qp, SVAN_CQE_SUCCESS, SVAN_SYN_NONE) : SVAN_STEP_DONE;
}

/* ---- completion ---- */

static void retire(SvanUnreliableSender *send)
{
    send->sq_ci += send->wqe.num_bbs;
    send->sent = 0;
    send->state = SVAN_SEND_NONE;
}

static SvanStep complete(SvanQp *qp)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;
    SvanCompletion done = {
        .index = send->wqe.index, .length = send->wqe.length,
        .opcode = send->wqe.opcode, .status = send->status,
        .syndrome = send->syndrome,
        .silent = send->status == SVAN_CQE_SUCCESS &&
                  !(send->wqe.flags & SVAN_WQE_SIGNALED),
    };
    SvanStep step = SVAN_STEP_DONE;
    uint32_t syndrome;

    if (!done.silent || qp->send_counter) {
        step = svan_qp_complete_send(qp, &done, &syndrome);
    }
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (step == SVAN_STEP_ERROR) {
        /* A success is completed when it is flushed, and then in any case. */
        if (send->status != SVAN_CQE_SUCCESS || qp->state == SVAN_QPS_ERR) {
            retire(send);
        }
        svan_qp_error(qp, SVAN_EVENT_QP_FATAL, syndrome);
        return SVAN_STEP_DONE;
    }
    retire(send);
    if (done.status != SVAN_CQE_SUCCESS) {
        svan_trace(qp->fn, SVAN_TRACE_WQE_REJECT, qp->qpn, done.index, done.status,
                   done.syndrome);
        if (qp->state != SVAN_QPS_ERR) {
            svan_qp_set_state(qp, SVAN_QPS_SQE, done.syndrome);
        }
    }
    return SVAN_STEP_DONE;
}

SvanStep svan_unreliable_flush_sq(SvanQp *qp)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;
    SvanStep step;

    if (send->state == SVAN_SEND_OVER && qp->state == SVAN_QPS_ERR) {
        return complete(qp);            /* as it would have been */
    }
    if (send->state == SVAN_SEND_NONE && send->sent && qp->state == SVAN_QPS_ERR &&
        send->sq_ci != qp->sq.producer.pi) {
        step = begin(qp);               /* all its packets may have left before the load */
        if (step != SVAN_STEP_DONE || send->state == SVAN_SEND_OVER) {
            return step;
        }
    }
    send->state = SVAN_SEND_NONE;
    step = svan_qp_flush_send(qp, &send->sq_ci, &send->wqe);
    if (step == SVAN_STEP_DONE) {
        send->sent = 0;
    }
    return step;
}

/* ---- the step ---- */

static SvanStep send_one(SvanQp *qp, uint32_t *budget)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;

    switch (send->state) {
    case SVAN_SEND_NONE:
        /* In SQD nothing is begun but what had packets on their way before a load. */
        return qp->state == SVAN_QPS_RTS || send->sent ? begin(qp) : SVAN_STEP_IDLE;
    case SVAN_SEND_PACKETS:
        return transmit(qp, budget);
    default:
        return complete(qp);
    }
}

SvanStep svan_unreliable_send(SvanQp *qp)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;
    uint32_t budget = SVAN_PAGE_SIZE, n;
    uint8_t state = qp->state;

    if (send->wait.state == SVAN_WAIT_PENDING) {
        return SVAN_STEP_IDLE;
    }
    if (send->wait.state == SVAN_WAIT_OVER) {
        svan_page_wait_leave(&send->wait);
    }
    for (n = 0; n < SVAN_UNRELIABLE_BURST && budget && qp->state == state; n++) {
        SvanStep step = send_one(qp, &budget);

        if (step != SVAN_STEP_DONE) {
            /* Who has sent something goes behind others that wait for the wire. */
            return step == SVAN_STEP_IDLE || (step == SVAN_STEP_BLOCKED && n) ?
                   (n ? SVAN_STEP_DONE : SVAN_STEP_IDLE) : step;
        }
    }
    return SVAN_STEP_DONE;
}

void svan_unreliable_sender_init(SvanQp *qp)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;

    memset(send, 0, sizeof(*send));
    send->wait.waiter = &qp->waiter;
}

void svan_unreliable_sender_stop(SvanQp *qp)
{
    SvanUnreliableSender *send = &svan_unreliable(qp)->send;

    svan_page_wait_leave(&send->wait);
    svan_page_wait_forget(&send->wait);
    if (send->state == SVAN_SEND_PACKETS) {
        send->state = SVAN_SEND_NONE;
    }
}
