/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ethernet: queue pairs of type SVAN_QPT_ETH (PRM "Ethernet"). A frame moves one page a
 * step. These queue pairs do not flush on error: their driver destroys them.
 */
#include <stdlib.h>
#include <string.h>

#include "transport/transport.h"

#define MIN_FRAME       60u             /* without FCS; shorter ones are padded */

typedef struct SvanEth {
    uint32_t sq_ci;
    SvanFrame *tx;              /* being gathered, or waiting for the wire */
    uint32_t tx_done;           /* octets of tx that are gathered */
    bool tx_sent;               /* the frame has left; wqe waits for its completion */
    SvanWqe wqe;                /* of tx */
    bool rx_active;             /* rwqe is for the frame that is being received */
    SvanRwqe rwqe;
} SvanEth;

/* ---- transmit ---- */

static void tx_drop(SvanEth *eth)
{
    svan_frame_free(eth->tx);
    eth->tx = NULL;
    eth->tx_done = 0;
}

/* Complete eth->wqe; an error takes the queue pair down. */
static SvanStep tx_complete(SvanQp *qp, uint8_t status, uint32_t syndrome)
{
    SvanEth *eth = qp->priv;
    struct svan_cqe cqe = {
        .qpn = htole32(qp->qpn), .wqe_index = htole32(eth->wqe.index),
        .byte_len = htole32(eth->wqe.length), .opcode = SVAN_CQE_SQ,
        .wqe_opcode = eth->wqe.opcode, .status = status,
        .vendor_err = htole32(syndrome),
    };
    SvanCqSlot slot;
    SvanStep step;

    if (status != SVAN_CQE_SUCCESS || (eth->wqe.flags & SVAN_WQE_SIGNALED)) {
        step = svan_cq_reserve(qp->send_cq, &slot);
        if (step == SVAN_STEP_MISS) {
            return step;
        }
        if (step != SVAN_STEP_DONE) {
            svan_qp_error(qp, SVAN_EVENT_QP_FATAL, SVAN_SYN_CQ_OVERRUN);
            return SVAN_STEP_DONE;
        }
        svan_cq_commit(&slot, &cqe);
    }
    eth->sq_ci += eth->wqe.num_bbs;
    if (status != SVAN_CQE_SUCCESS) {
        qp->fn->stats->eth_tx_errors++;
        svan_trace(qp->fn, SVAN_TRACE_WQE_REJECT, qp->qpn, eth->wqe.index,
                   status, syndrome);
        svan_qp_error(qp, SVAN_EVENT_QP_FATAL, syndrome);
    }
    return SVAN_STEP_DONE;
}

/* Fetch the next WQE and begin its frame. */
static SvanStep tx_begin(SvanQp *qp)
{
    SvanEth *eth = qp->priv;
    uint32_t syndrome, room;
    uint8_t status;
    SvanStep step = svan_sq_producer(&qp->sq, eth->sq_ci, &syndrome);

    if (step == SVAN_STEP_ERROR) {
        svan_qp_error(qp, SVAN_EVENT_QP_FATAL, syndrome);
        return SVAN_STEP_DONE;
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    if (qp->sq.producer.pi == eth->sq_ci) {
        return SVAN_STEP_IDLE;
    }
    step = svan_wqe_fetch(&qp->sq, eth->sq_ci, &eth->wqe, &status, &syndrome);
    if (step == SVAN_STEP_ERROR) {
        return tx_complete(qp, status, syndrome);
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    if (eth->wqe.opcode == SVAN_WQE_NOP) {
        return tx_complete(qp, SVAN_CQE_SUCCESS, SVAN_SYN_NONE);
    }
    if (eth->wqe.length < SVAN_ETH_HLEN || eth->wqe.length > SVAN_MAX_FRAME) {
        return tx_complete(qp, SVAN_CQE_LOC_LEN_ERR, SVAN_SYN_LENGTH);
    }
    room = eth->wqe.length < MIN_FRAME ? MIN_FRAME : eth->wqe.length;
    /* The switch may add a tag. */
    eth->tx = svan_frame_alloc(room + SVAN_VLAN_HLEN);
    if (!eth->tx) {
        return tx_complete(qp, SVAN_CQE_GENERAL_ERR, SVAN_SYN_NONE);
    }
    eth->tx_done = 0;
    return SVAN_STEP_DONE;
}

/* Copy up to a page of the frame. */
static SvanStep tx_gather(SvanQp *qp)
{
    SvanEth *eth = qp->priv;
    SvanGather gather = {
        .user = &qp->user, .sge = eth->wqe.sge, .num_sge = eth->wqe.num_sge,
    };
    uint32_t left = eth->wqe.length - eth->tx_done;
    uint32_t len = left < SVAN_PAGE_SIZE ? left : SVAN_PAGE_SIZE;
    uint8_t *to = eth->tx->data + eth->tx_done;
    SvanMem runs[SVAN_MAX_PKT_RUNS];
    uint32_t num_runs, syndrome;
    SvanStep step;

    if (eth->wqe.flags & SVAN_WQE_INLINE) {
        memcpy(to, eth->wqe.data, left);
        eth->tx_done = eth->wqe.length;
        return SVAN_STEP_DONE;
    }
    step = svan_gather(&gather, eth->tx_done, len, runs, &num_runs, &syndrome);
    if (step == SVAN_STEP_ERROR || step == SVAN_STEP_FAULT) {
        step = tx_complete(qp, SVAN_CQE_LOC_PROT_ERR, syndrome);
        if (step == SVAN_STEP_DONE) {
            tx_drop(eth);
        }
        return step;
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    for (uint32_t i = 0; i < num_runs; i++) {
        memcpy(to, runs[i].host, runs[i].len);
        to += runs[i].len;
    }
    eth->tx_done += len;
    return SVAN_STEP_DONE;
}

static bool tx_finish_frame(SvanEth *eth)
{
    SvanFrame *frame = eth->tx;

    if (frame->from != SVAN_FROM_PORT) {
        return true;    /* it was finished, and may have a tag; its turn had not come */
    }
    frame->len = eth->wqe.length;
    if ((eth->wqe.flags & SVAN_WQE_ETH_CSUM) &&
        !svan_frame_complete_csum(frame, &eth->wqe.eth)) {
        return false;
    }
    if (frame->len < MIN_FRAME) {
        memset(frame->data + frame->len, 0, MIN_FRAME - frame->len);
        frame->len = MIN_FRAME;
    }
    return true;
}

/* Send the frame, which is gathered. Another step completes the WQE. */
static SvanStep tx_send(SvanQp *qp)
{
    SvanEth *eth = qp->priv;
    uint32_t len;
    SvanStep step;
    bool sent;

    if (!tx_finish_frame(eth)) {
        step = tx_complete(qp, SVAN_CQE_LOC_QP_OP_ERR, SVAN_SYN_LENGTH);
        if (step == SVAN_STEP_DONE) {
            tx_drop(eth);
        }
        return step;
    }
    len = eth->tx->len;
    step = svan_frame_send(&qp->egress, eth->tx, &sent);
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    eth->tx = NULL;
    eth->tx_done = 0;
    if (sent) {
        svan_trace(qp->fn, SVAN_TRACE_ETH_TX, qp->qpn, len, eth->wqe.flags, 0);
    }
    return SVAN_STEP_DONE;
}

static SvanStep eth_step(SvanQp *qp)
{
    SvanEth *eth = qp->priv;
    SvanStep step;

    if (qp->state != SVAN_QPS_RTS) {
        return SVAN_STEP_IDLE;
    }
    if (eth->tx_sent) {
        step = tx_complete(qp, SVAN_CQE_SUCCESS, SVAN_SYN_NONE);
        eth->tx_sent = step == SVAN_STEP_MISS;
        return step;
    }
    if (!eth->tx) {
        return tx_begin(qp);
    }
    if (eth->tx_done < eth->wqe.length) {
        return tx_gather(qp);
    }
    step = tx_send(qp);
    eth->tx_sent = step == SVAN_STEP_DONE && !eth->tx &&
                   qp->state == SVAN_QPS_RTS;
    return step;
}

/* ---- receive ---- */

/* Find a receive WQE for the frame. AGAIN: it is in eth->rwqe. */
static SvanStep rx_begin(SvanQp *qp, const SvanFrame *frame)
{
    SvanEth *eth = qp->priv;
    SvanFn *fn = qp->fn;
    uint32_t syndrome;
    uint8_t status;
    SvanStep step = svan_rq_fetch(&qp->rq, &eth->rwqe, &status, &syndrome);

    if (step == SVAN_STEP_IDLE) {
        return svan_frame_drop(fn, frame, &fn->stats->eth_rx_no_buffer,
                          SVAN_DROP_NO_BUFFER);
    }
    if (step == SVAN_STEP_ERROR) {
        svan_qp_error(qp, SVAN_EVENT_QP_FATAL, syndrome);
        return SVAN_STEP_DONE;
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    if (frame->len > eth->rwqe.length) {
        return svan_frame_drop(fn, frame, &fn->stats->eth_rx_too_long,
                          SVAN_DROP_TOO_LONG);
    }
    eth->rx_active = true;
    fn->core->ingress->qpn = qp->qpn;
    return SVAN_STEP_AGAIN;
}

static SvanStep rx_copy(SvanQp *qp, const SvanFrame *frame, uint32_t *offset)
{
    SvanEth *eth = qp->priv;
    SvanGather gather = {
        .user = &qp->user, .sge = eth->rwqe.sge, .num_sge = eth->rwqe.num_sge,
        .access = SVAN_ACCESS_LOCAL_WRITE,
    };
    uint32_t left = frame->len - *offset;
    uint32_t len = left < SVAN_PAGE_SIZE ? left : SVAN_PAGE_SIZE;
    SvanMem from = { .host = (uint8_t *)frame->data + *offset, .len = len };
    SvanMem runs[SVAN_MAX_PKT_RUNS];
    uint32_t num_runs, syndrome;
    SvanStep step = svan_gather(&gather, *offset, len, runs, &num_runs,
                                &syndrome);

    if (step == SVAN_STEP_ERROR || step == SVAN_STEP_FAULT) {
        svan_qp_error(qp, SVAN_EVENT_QP_FATAL, syndrome);
        return SVAN_STEP_DONE;
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    svan_scatter(qp->fn, runs, num_runs, &from, 1, len);
    *offset += len;
    return SVAN_STEP_AGAIN;
}

static SvanStep rx_complete(SvanQp *qp, const SvanFrame *frame)
{
    SvanEth *eth = qp->priv;
    SvanFn *fn = qp->fn;
    struct svan_cqe cqe = {
        .qpn = htole32(qp->qpn), .byte_len = htole32(frame->len),
        .opcode = SVAN_CQE_ETH_RECV,
        .status = SVAN_CQE_SUCCESS,
    };
    SvanCqSlot slot;
    SvanStep step = svan_cq_reserve(qp->recv_cq, &slot);

    if (step == SVAN_STEP_MISS) {
        return step;
    }
    eth->rx_active = false;
    if (step != SVAN_STEP_DONE) {
        svan_qp_error(qp, SVAN_EVENT_QP_FATAL, SVAN_SYN_CQ_OVERRUN);
        return SVAN_STEP_DONE;
    }
    cqe.owner = svan_frame_csum(frame);
    svan_rq_complete(&qp->rq, &slot, &cqe);
    fn->stats->eth_rx_frames++;
    fn->stats->eth_rx_bytes += frame->len;
    svan_trace(fn, SVAN_TRACE_ETH_RX, qp->qpn, frame->len, cqe.owner, 0);
    return SVAN_STEP_DONE;
}

SvanStep svan_eth_rx(SvanFn *fn, const SvanFrame *frame, uint32_t *offset)
{
    SvanQp *qp = svan_qp_get(fn, fn->net->eth.qpn);
    SvanEth *eth;

    if (!svan_port_is_open(fn)) {
        return svan_frame_drop(fn, frame, &fn->stats->port_disabled_drops,
                          SVAN_DROP_PORT_DISABLED);
    }
    if (!qp || qp->type != SVAN_QPT_ETH || qp->state != SVAN_QPS_RTS) {
        return svan_frame_drop(fn, frame, &fn->stats->eth_rx_filtered,
                          SVAN_DROP_WRONG_STATE);
    }
    eth = qp->priv;
    if (frame->len > fn->net->eth.max_frame) {
        return svan_frame_drop(fn, frame, &fn->stats->eth_rx_too_long,
                          SVAN_DROP_TOO_LONG);
    }
    if (!eth->rx_active || fn->core->ingress->qpn != qp->qpn) {
        /* Else another queue pair, or this one before a reset, has received a part. */
        return !*offset ? rx_begin(qp, frame) :
               svan_frame_drop(fn, frame, &fn->stats->eth_rx_no_buffer,
                          SVAN_DROP_NO_BUFFER);
    }
    return *offset < frame->len ? rx_copy(qp, frame, offset) :
                                  rx_complete(qp, frame);
}

/* ---- the transport ---- */

static bool eth_create(SvanQp *qp)
{
    qp->priv = calloc(1, sizeof(SvanEth));
    return qp->priv;
}

static void eth_destroy(SvanQp *qp)
{
    tx_drop(qp->priv);
    free(qp->priv);
}

static void eth_enter(SvanQp *qp, uint8_t old)
{
    SvanEth *eth = qp->priv;

    (void)old;
    if (qp->state == SVAN_QPS_RESET) {
        tx_drop(eth);
        memset(eth, 0, sizeof(*eth));
    } else if (qp->state == SVAN_QPS_RTS) {
        svan_qp_schedule(qp);
    } else if (qp->state == SVAN_QPS_ERR) {
        tx_drop(eth);
        eth->tx_sent = false;
        eth->rx_active = false;
    }
}

static uint32_t eth_sq_ci(const SvanQp *qp)
{
    return ((const SvanEth *)qp->priv)->sq_ci;
}

/* A frame that has not left yet is begun anew after the load. */
static void eth_save(const SvanQp *qp, SvanWriter *writer)
{
    const SvanEth *eth = qp->priv;

    svan_put_u32(writer, eth->sq_ci);
    svan_put_u32(writer, qp->rq.ci);
    svan_put_u8(writer, eth->tx_sent);
    svan_put_u32(writer, eth->wqe.index);
    svan_put_u32(writer, eth->wqe.length);
    svan_put_u8(writer, eth->wqe.opcode);
    svan_put_u8(writer, eth->wqe.flags);
    svan_put_u8(writer, eth->wqe.num_bbs);
}

static bool eth_load(SvanQp *qp, SvanReader *reader)
{
    SvanEth *eth = qp->priv;

    eth->sq_ci = svan_get_u32(reader);
    qp->rq.ci = svan_get_u32(reader);
    eth->tx_sent = svan_get_u8(reader);
    eth->wqe.index = svan_get_u32(reader);
    eth->wqe.length = svan_get_u32(reader);
    eth->wqe.opcode = svan_get_u8(reader);
    eth->wqe.flags = svan_get_u8(reader);
    eth->wqe.num_bbs = svan_get_u8(reader);
    return eth->wqe.num_bbs <= SVAN_WQE_MAX_BBS;
}

const SvanTransport svan_eth_transport = {
    .name = "eth",
    .create = eth_create,
    .destroy = eth_destroy,
    .enter = eth_enter,
    .step = eth_step,
    .sq_ci = eth_sq_ci,
    .save = eth_save,
    .load = eth_load,
};
