/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completions, each held against what was posted.
 */
#include <inttypes.h>
#include <stdio.h>

#include "traffic.h"

static void __attribute__((noreturn))
bad_cqe(const End *end, const struct svan_cqe *cqe, const char *why)
{
    const Op *op = end->ops;

    if (op) {
        fprintf(stderr, "oldest WQE: index %u opcode %u length %u defect %u "
                "allowed %x; tolerated %x, pair state %u%s\n", op->index,
                op->wr.opcode, op->length, op->defect, op->allowed,
                end->tolerated, end->pair->state,
                end->sq_failed ? ", failed before" : "");
    }
    world_fail(end->node->world, "node %u QP %06x: completion (kind %u opcode "
               "%u index %u status %u syndrome %02x length %u): %s",
               end->node->id, end->qp->qpn, cqe->opcode, cqe->wqe_opcode,
               svan_le32_to_cpu(cqe->wqe_index), cqe->status,
               svan_le32_to_cpu(cqe->vendor_err),
               svan_le32_to_cpu(cqe->byte_len), why);
}

/* ---- counters ---- */

void end_count(End *end)
{
    Host *host = end->qp->host;
    HostRing memory = host->new_ring(host, 2 * sizeof(end->counts[0]));
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_CREATE_COUNTER);
    uint32_t id;

    cmd.create_counter.success_va = svan_cpu_to_le64(memory.va);
    cmd.create_counter.error_va = svan_cpu_to_le64(memory.va + 8);
    cmd.create_counter.success_key = svan_cpu_to_le32(memory.key);
    cmd.create_counter.error_key = svan_cpu_to_le32(memory.key);
    id = host_must(host, &cmd);
    cmd = host_cmd_init(SVAN_CMD_ATTACH_COUNTER);
    cmd.attach_counter.qpn = svan_cpu_to_le32(end->qp->qpn);
    cmd.attach_counter.counter = svan_cpu_to_le32(id);
    cmd.attach_counter.sides = svan_cpu_to_le32(SVAN_ATTACH_COUNTER_SEND);
    host_must(host, &cmd);
    end->counts = fake_ram(host->fake, memory.bus);
}

/*
 * What a CQE tells is counted, whatever is lost, missed or restored; and nothing is
 * counted twice. What is not signaled, or not polled yet, may be counted.
 */
static void check_counts(const End *end, const struct svan_cqe *cqe)
{
    uint64_t successes, errors;

    if (!end->counts) {
        return;
    }
    successes = svan_le64_to_cpu(end->counts[0]);
    errors = svan_le64_to_cpu(end->counts[1]);
    if (successes < end->told[0] || errors < end->told[1]) {
        bad_cqe(end, cqe, "it is not counted");
    }
    if (successes + errors > end->posted) {
        bad_cqe(end, cqe, "more is counted than was posted");
    }
}

/* ---- the send queue ---- */

static void succeed(End *end, const struct svan_cqe *cqe)
{
    Traffic *traffic = end->pair->traffic;
    Op *op = end->ops;

    if (end->sq_failed || !(op->allowed & ST(SUCCESS))) {
        bad_cqe(end, cqe, "success was not to be expected");
    }
    op_done(op);
    end->qp->sq_ci = op->index + op->bbs;
    end->completed++;
    end->told[0]++;
    traffic->counts.ops++;
    traffic->counts.bytes += op->length;
    traffic->counts.atomics += op->word != NULL;
    op_put(pop_op(end));
}

static void fail(End *end, const struct svan_cqe *cqe)
{
    uint32_t status = 1u << cqe->status;
    Op *op = end->ops;

    if (end->sq_failed ? status != ST(WR_FLUSH_ERR) :
                         !(status & (op->allowed | end->tolerated))) {
        bad_cqe(end, cqe, "not a status that it may have");
    }
    end->sq_failed = true;
    end->pair->traffic->counts.errors++;
    pair_break(end->pair);
    end->peer->tolerated |= ST(WR_FLUSH_ERR) | ST(RETRY_EXC_ERR);
    end->qp->sq_ci = op->index + op->bbs;
    end->completed++;
    end->told[1]++;
    pop_op(end);
    op->next = end->pair->failed;
    end->pair->failed = op;
}

static void sq_completion(End *end, const struct svan_cqe *cqe)
{
    uint32_t index = svan_le32_to_cpu(cqe->wqe_index);

    /* those without completions before it are done */
    while (end->ops && end->ops->index != index &&
           !(end->ops->wr.flags & SVAN_WQE_SIGNALED)) {
        succeed(end, cqe);
    }
    if (!end->ops || end->ops->index != index) {
        bad_cqe(end, cqe, "not the oldest WQE");
    }
    if (cqe->wqe_opcode != end->ops->wr.opcode) {
        bad_cqe(end, cqe, "another opcode");
    }
    if (cqe->status != SVAN_CQE_SUCCESS) {
        fail(end, cqe);
    } else if (!(end->ops->wr.flags & SVAN_WQE_SIGNALED)) {
        bad_cqe(end, cqe, "is not signaled");
    } else {
        succeed(end, cqe);
    }
    check_counts(end, cqe);
}

/* ---- the receive queue ---- */

static uint8_t kind_of(const Op *message)
{
    switch (message->type) {
    case OP_SEND_IMM:
        return SVAN_CQE_RECV_IMM;
    case OP_WRITE_IMM:
        return SVAN_CQE_RECV_WRITE_IMM;
    default:
        return SVAN_CQE_RECV;
    }
}

/* What was posted before a message that has arrived is in place (9.5). */
static void check_before(const Op *message)
{
    const Op *op = message->end->ops;

    while (op && op != message) {
        op = op->next;
    }
    if (!op) {
        return;                         /* it has completed, and they have */
    }
    for (op = message->end->ops; op != message; op = op->next) {
        op_check_placed(op);
    }
}

static void received(End *end, const struct svan_cqe *cqe)
{
    Op *message = end->messages;

    if (!message) {
        bad_cqe(end, cqe, "nothing was sent");
    }
    if (cqe->opcode != kind_of(message)) {
        bad_cqe(end, cqe, "another kind of message was sent");
    }
    if (svan_le32_to_cpu(cqe->byte_len) != message->length) {
        bad_cqe(end, cqe, "another length was sent");
    }
    if (cqe->opcode != SVAN_CQE_RECV && cqe->imm != message->wr.imm) {
        bad_cqe(end, cqe, "other immediate data was sent");
    }
    if (!(cqe->owner & SVAN_CQE_SOLICITED) !=
        !(message->wr.flags & SVAN_WQE_SOLICITED)) {
        bad_cqe(end, cqe, "solicited differs");
    }
    check_before(message);
    op_check_placed(message);
    recv_done(end->recvs, message);
    op_put(pop_message(end));
}

static void receive_failed(End *end, const struct svan_cqe *cqe)
{
    const Op *message = end->messages;
    uint32_t status = 1u << cqe->status, allowed = ST(WR_FLUSH_ERR);

    if (!end->rq_failed && message && message->defect == DEFECT_RECV_SMALL) {
        allowed |= ST(LOC_LEN_ERR);
    }
    if (!(status & allowed) || end->pair->state == PAIR_LIVE) {
        bad_cqe(end, cqe, "a receive must not fail so");
    }
    recv_undone(end->recvs);
    end->rq_failed = true;
}

static void rq_completion(End *end, const struct svan_cqe *cqe)
{
    Recv *recv = end->recvs;

    if (!recv || recv->index != svan_le32_to_cpu(cqe->wqe_index)) {
        bad_cqe(end, cqe, "not the oldest receive");
    }
    if (cqe->status != SVAN_CQE_SUCCESS) {
        receive_failed(end, cqe);
    } else if (end->rq_failed) {
        bad_cqe(end, cqe, "a receive succeeds behind one that failed");
    } else {
        received(end, cqe);
    }
    end->qp->rq_ci++;
    recv_free(pop_recv(end));
}

End *traffic_find_end(Traffic *traffic, const Node *node, uint32_t qpn)
{
    for (uint32_t i = 0; i < 2 * traffic->model->num_pairs; i++) {
        End *end = traffic->pairs[i / 2].ends[i % 2];

        if (end->node == node && end->qp->qpn == qpn) {
            return end;
        }
    }
    world_fail(traffic->world, "node %u: completion for QP %06x, which is "
               "none", node->id, qpn);
}

void traffic_drain(Traffic *traffic, HostCq *cq)
{
    struct svan_cqe cqe;

    while (host_cq_poll(cq, &cqe)) {
        End *end = traffic_find_end(traffic, cq_node(cq),
                                    svan_le32_to_cpu(cqe.qpn));

        if (cqe.opcode == SVAN_CQE_SQ) {
            sq_completion(end, &cqe);
        } else {
            rq_completion(end, &cqe);
        }
    }
}
