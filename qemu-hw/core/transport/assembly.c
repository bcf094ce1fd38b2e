/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets become a message: where their payload goes, and the receive WQE that the
 * message takes. A packet that is not taken changes nothing.
 */
#include <string.h>

#include "transport/message.h"

static SvanStep meets(SvanObstacle *obstacle, SvanObstacleKind kind,
                      uint32_t syndrome)
{
    obstacle->kind = kind;
    obstacle->syndrome = syndrome;
    return SVAN_STEP_ERROR;
}

static SvanStep receive_fails(SvanObstacle *obstacle, SvanObstacleKind kind,
                              uint8_t status, uint32_t syndrome)
{
    obstacle->status = status;
    return meets(obstacle, kind, syndrome);
}

/* ---- receive WQEs ---- */

/* status: of the WQE that could not be fetched; SUCCESS: the queue is at fault */
static SvanStep no_receive(SvanStep step, uint8_t status, uint32_t syndrome,
                           SvanObstacle *obstacle)
{
    switch (step) {
    case SVAN_STEP_IDLE:
        return meets(obstacle, SVAN_OBSTACLE_NO_RECEIVE, SVAN_SYN_NONE);
    case SVAN_STEP_ERROR:
        return status == SVAN_CQE_SUCCESS ?
               meets(obstacle, SVAN_OBSTACLE_QUEUE, syndrome) :
               receive_fails(obstacle, SVAN_OBSTACLE_RECEIVE, status, syndrome);
    default:
        return step;
    }
}

/* What is taken stays the queue pair's until it completes, even if it is bad. */
static SvanStep take_receive(SvanQp *qp, SvanObstacle *obstacle)
{
    SvanReceive *receive = &qp->share->taken;
    uint32_t syndrome = SVAN_SYN_NONE;
    uint8_t status;
    SvanStep step;

    if (receive->is_taken) {
        return SVAN_STEP_DONE;
    }
    step = svan_srq_take(qp->share->srq, &receive->rwqe, &status, &syndrome);
    if (step == SVAN_STEP_DONE || (step == SVAN_STEP_ERROR && status != SVAN_CQE_SUCCESS)) {
        receive->is_taken = true;
        receive->index = receive->rwqe.index;
    }
    return no_receive(step, status, syndrome, obstacle);
}

static SvanStep load_receive(SvanQp *qp, SvanAssembly *assembly,
                             SvanObstacle *obstacle)
{
    SvanReceive *receive = assembly->receive;
    uint32_t syndrome = SVAN_SYN_NONE;
    uint8_t status;
    SvanStep step;

    if (qp->share) {
        return take_receive(qp, obstacle);
    }
    if (receive->of == assembly && receive->index == assembly->rq->ci) {
        return SVAN_STEP_DONE;
    }
    receive->of = NULL;
    step = svan_rq_fetch(assembly->rq, &receive->rwqe, &status, &syndrome);
    if (step == SVAN_STEP_DONE) {
        receive->of = assembly;
        receive->index = assembly->rq->ci;
    }
    return no_receive(step, status, syndrome, obstacle);
}

/* Reserve what the completion of a message needs. */
static inline SvanStep reserve(SvanQp *qp, SvanCompletionSlot *slot,
                               SvanObstacle *obstacle)
{
    SvanCq *cq = qp->recv_cq;
    SvanStep step;

    if (qp->recv_counter && (qp->flags & SVAN_CMD_QP_RECV_NO_CQE)) {
        cq = NULL;
    }
    step = svan_completion_reserve(slot, cq, qp->recv_counter, true);
    return step == SVAN_STEP_ERROR ?
           meets(obstacle, SVAN_OBSTACLE_QUEUE,
                 svan_completion_syndrome(slot)) : step;
}

/* Who has sent a datagram: what is in the packet, but not in the receive buffer. */
static void tell_sender(const SvanPkt *pkt, struct svan_cqe *cqe)
{
    cqe->src_qpn = svan_cpu_to_le32(pkt->sqpn);
    memcpy(cqe->smac, pkt->addr.smac, sizeof(cqe->smac));
    if (pkt->addr.has_vlan) {
        cqe->vlan = svan_cpu_to_le16(pkt->addr.vlan);
        cqe->owner |= SVAN_CQE_VLAN;
    }
    if (pkt->addr.ipv4) {
        cqe->owner |= SVAN_CQE_IPV4;
    }
}

static void complete_receive(SvanQp *qp, SvanAssembly *assembly,
                             const SvanPkt *pkt, SvanCompletionSlot *slot)
{
    const SvanOpInfo *info = svan_op_info(pkt->opcode);
    bool write = info->verb == SVAN_VERB_WRITE;
    struct svan_cqe cqe = {
        .qpn = svan_cpu_to_le32(qp->qpn),
        .byte_len = svan_cpu_to_le32(assembly->offset),
        .src_qpn = svan_cpu_to_le32(qp->dest_qpn),
        .opcode = write ? SVAN_CQE_RECV_WRITE_IMM :
                  info->immdt ? SVAN_CQE_RECV_IMM : SVAN_CQE_RECV,
        .owner = pkt->bth_flags & SVAN_BTH_SE ? SVAN_CQE_SOLICITED : 0,
    };

    if (info->immdt) {
        cqe.imm = pkt->imm;
    }
    if (qp->kind->completion == SVAN_COMPLETES_DATAGRAM) {
        tell_sender(pkt, &cqe);
    }
    if (qp->share) {
        svan_qp_complete_taken(qp, slot->cq.cq ? &slot->cq : NULL, &cqe);
    } else {
        svan_rq_complete(assembly->rq, slot->cq.cq ? &slot->cq : NULL, &cqe);
    }
    svan_completion_counted(slot);
}

/* ---- progress ---- */

/* The payload of a packet is in its place. */
static void goes_on(SvanAssembly *assembly, const SvanPkt *pkt)
{
    assembly->message = svan_op_info(pkt->opcode)->verb;
    assembly->offset += pkt->payload_len;
}

/* ---- SEND ---- */

static SvanStep take_send(SvanQp *qp, SvanAssembly *assembly,
                          const SvanPkt *pkt, SvanObstacle *obstacle)
{
    bool last = svan_op_info(pkt->opcode)->last;
    SvanMem runs[SVAN_MAX_PKT_RUNS];
    uint32_t num_runs = 0, syndrome = SVAN_SYN_NONE;
    SvanGather gather = {
        .user = svan_qp_receiver_user(qp), .access = SVAN_ACCESS_LOCAL_WRITE,
    };
    const SvanRwqe *rwqe = &assembly->receive->rwqe;
    SvanCompletionSlot slot;
    SvanStep step = load_receive(qp, assembly, obstacle);

    if (step != SVAN_STEP_DONE) {
        return step;
    }
    if ((uint64_t)assembly->offset + pkt->payload_len > rwqe->length) {
        return receive_fails(obstacle, SVAN_OBSTACLE_TOO_LONG,
                             SVAN_CQE_LOC_LEN_ERR, SVAN_SYN_RECV_TOO_SMALL);
    }
    gather.sge = rwqe->sge;
    gather.num_sge = rwqe->num_sge;
    /* The length of a SEND is not known before its end: guess that it is half over. */
    gather.wanted = last ? 0 : assembly->offset + 2 * pkt->payload_len;
    step = svan_gather(&gather, assembly->offset, pkt->payload_len, runs,
                       &num_runs, &syndrome);
    if (step == SVAN_STEP_ERROR) {
        return receive_fails(obstacle, SVAN_OBSTACLE_RECEIVE,
                             SVAN_CQE_LOC_PROT_ERR, syndrome);
    }
    if (step == SVAN_STEP_DONE && last) {
        step = reserve(qp, &slot, obstacle);
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    svan_scatter(qp->fn, runs, num_runs, pkt->runs, pkt->num_runs,
                 pkt->payload_len);
    goes_on(assembly, pkt);
    if (last) {
        complete_receive(qp, assembly, pkt, &slot);
        svan_assembly_end(assembly);
    }
    return SVAN_STEP_DONE;
}

/* ---- RDMA WRITE ---- */

/* 9.7.4.1.5: does the packet fit what is left of the length in the RETH? */
static bool write_length_ok(const SvanPkt *pkt, uint32_t left)
{
    const SvanOpInfo *info = svan_op_info(pkt->opcode);

    return info->last ? pkt->payload_len == left : pkt->payload_len < left;
}

/* A WRITE with immediate data takes a receive WQE, of which it uses nothing. */
static SvanStep reserve_receive(SvanQp *qp, SvanAssembly *assembly,
                                SvanCompletionSlot *slot,
                                SvanObstacle *obstacle)
{
    uint32_t syndrome = SVAN_SYN_NONE;
    SvanStep step;

    if (qp->share) {
        step = take_receive(qp, obstacle);
        return step == SVAN_STEP_DONE ? reserve(qp, slot, obstacle) : step;
    }
    step = svan_rq_find(assembly->rq, &syndrome);
    return step == SVAN_STEP_DONE ? reserve(qp, slot, obstacle) :
           no_receive(step, SVAN_CQE_SUCCESS, syndrome, obstacle);
}

static void begin_write(SvanQp *qp, SvanAssembly *assembly, const SvanPkt *pkt)
{
    assembly->offset = 0;
    assembly->va = pkt->va;
    assembly->rkey = pkt->rkey;
    assembly->length = pkt->dma_len;
    qp->fn->stats->rx_write_requests++;
}

static SvanStep take_write(SvanQp *qp, SvanAssembly *assembly,
                           const SvanPkt *pkt, SvanObstacle *obstacle)
{
    const SvanOpInfo *info = svan_op_info(pkt->opcode);
    uint32_t total = info->first ? pkt->dma_len : assembly->length;
    uint32_t offset = info->first ? 0 : assembly->offset;
    SvanAccess access = {
        .fn = qp->fn, .user = &qp->user,
        .key = info->first ? pkt->rkey : assembly->rkey,
        .va = (info->first ? pkt->va : assembly->va) + offset,
        .len = total - offset, .access = SVAN_ACCESS_REMOTE_WRITE,
    };
    SvanMem runs[SVAN_MAX_PKT_RUNS];
    uint32_t num_runs, syndrome;
    SvanCompletionSlot slot;
    SvanStep step;

    if (!(qp->access & SVAN_ACCESS_REMOTE_WRITE)) {
        return meets(obstacle, SVAN_OBSTACLE_INVALID, SVAN_SYN_KEY_ACCESS);
    }
    if (total > SVAN_MAX_MSG || !write_length_ok(pkt, total - offset)) {
        return meets(obstacle, SVAN_OBSTACLE_INVALID, SVAN_SYN_LENGTH);
    }
    step = svan_qp_remote(&access, pkt->payload_len, runs, &num_runs, &syndrome);
    if (step == SVAN_STEP_ERROR) {
        return meets(obstacle, SVAN_OBSTACLE_ACCESS, syndrome);
    }
    if (step == SVAN_STEP_DONE && info->immdt) {
        step = reserve_receive(qp, assembly, &slot, obstacle);
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    svan_scatter(qp->fn, runs, num_runs, pkt->runs, pkt->num_runs,
                 pkt->payload_len);
    if (info->first) {
        begin_write(qp, assembly, pkt);
    }
    goes_on(assembly, pkt);
    if (info->immdt) {
        complete_receive(qp, assembly, pkt, &slot);
    }
    if (info->last) {
        svan_assembly_end(assembly);
    }
    return SVAN_STEP_DONE;
}

SvanStep svan_assemble(SvanQp *qp, SvanAssembly *assembly, const SvanPkt *pkt,
                       SvanObstacle *obstacle)
{
    return svan_op_info(pkt->opcode)->verb == SVAN_VERB_SEND ?
           take_send(qp, assembly, pkt, obstacle) :
           take_write(qp, assembly, pkt, obstacle);
}

/* ---- state ---- */

void svan_assembly_save(const SvanAssembly *assembly, SvanWriter *writer)
{
    svan_put_u8(writer, assembly->message);
    svan_put_u32(writer, assembly->offset);
    svan_put_u32(writer, assembly->length);
    svan_put_u64(writer, assembly->va);
    svan_put_u32(writer, assembly->rkey);
    svan_put_u32(writer, assembly->rq->ci);
    svan_put_u32(writer, assembly->rq->producer.pi);
}

static bool assembly_ok(const SvanAssembly *assembly)
{
    return assembly->message <= SVAN_VERB_WRITE &&
           (assembly->message == SVAN_VERB_WRITE ?
            assembly->length <= SVAN_MAX_MSG && assembly->offset < assembly->length :
            assembly->offset <= SVAN_MAX_MSG) &&
           (assembly->message != SVAN_VERB_NONE || !assembly->offset) &&
           assembly->rq->producer.pi - assembly->rq->ci <= 1u << assembly->rq->log_size;
}

bool svan_assembly_load(SvanAssembly *assembly, SvanReader *reader)
{
    assembly->message = svan_get_u8(reader);
    assembly->offset = svan_get_u32(reader);
    assembly->length = svan_get_u32(reader);
    assembly->va = svan_get_u64(reader);
    assembly->rkey = svan_get_u32(reader);
    assembly->rq->ci = svan_get_u32(reader);
    return svan_get_u32(reader) == assembly->rq->producer.pi && assembly_ok(assembly);
}

void svan_save_taken(const SvanQp *qp, SvanWriter *writer)
{
    const SvanRwqe *rwqe = &qp->share->taken.rwqe;

    svan_put_u8(writer, qp->share->last_wqe_told);
    svan_put_u8(writer, qp->share->taken.is_taken);
    if (!qp->share->taken.is_taken) {
        return;
    }
    svan_put_u32(writer, rwqe->index);
    svan_put_u64(writer, rwqe->wr_id);
    svan_put_u32(writer, rwqe->length);
    svan_put_u32(writer, rwqe->num_sge);
    for (uint32_t i = 0; i < rwqe->num_sge; i++) {
        svan_put_u64(writer, rwqe->sge[i].addr);
        svan_put_u32(writer, rwqe->sge[i].length);
        svan_put_u32(writer, rwqe->sge[i].lkey);
    }
}

bool svan_load_taken(SvanQp *qp, SvanReader *reader)
{
    SvanRwqe *rwqe = &qp->share->taken.rwqe;

    qp->share->last_wqe_told = svan_get_u8(reader);
    qp->share->taken.is_taken = svan_get_u8(reader);
    if (!qp->share->taken.is_taken) {
        return true;
    }
    rwqe->index = qp->share->taken.index = svan_get_u32(reader);
    rwqe->wr_id = svan_get_u64(reader);
    rwqe->length = svan_get_u32(reader);
    rwqe->num_sge = svan_get_u32(reader);
    if (rwqe->num_sge > SVAN_MAX_SGE) {
        return false;
    }
    for (uint32_t i = 0; i < rwqe->num_sge; i++) {
        rwqe->sge[i].addr = svan_get_u64(reader);
        rwqe->sge[i].length = svan_get_u32(reader);
        rwqe->sge[i].lkey = svan_get_u32(reader);
    }
    return true;
}
