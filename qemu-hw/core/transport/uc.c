/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets that arrive at an unreliable connection (IBTA volume 1, 9.8.2): a packet that is
 * missing costs the whole message, and the next message begins with its first packet.
 */
#include "transport/unreliable.h"

/* The message that was under way is lost; its receive WQE is for the next one. */
static void lose_message(SvanQp *qp)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    if (recv->assembly.message != SVAN_VERB_NONE) {
        svan_assembly_end(&recv->assembly);
    }
}

static SvanStep taken(SvanQp *qp, const SvanPkt *pkt, SvanStep step)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    recv->epsn = (pkt->psn + 1) & SVAN_PSN_MASK;
    return step;
}

/* 9.8.2.2.3: the packet is no part of any message that can still become complete. */
static SvanStep out_of_sequence(SvanQp *qp, const SvanPkt *pkt)
{
    lose_message(qp);
    return taken(qp, pkt, svan_unreliable_lose(qp, pkt, &qp->fn->stats->out_of_sequence,
                                               SVAN_DROP_OUT_OF_SEQUENCE));
}

SvanStep svan_uc_take(SvanQp *qp, const SvanPkt *pkt)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;
    const SvanOpInfo *info = svan_op_info(pkt->opcode);
    SvanObstacle obstacle;
    SvanStep step;

    if (pkt->psn != recv->epsn || info->first) {
        lose_message(qp);
    }
    if (!svan_assembly_continues(&recv->assembly, pkt) || !svan_assembly_fits(qp, pkt)) {
        return out_of_sequence(qp, pkt);
    }
    step = svan_assemble(qp, &recv->assembly, pkt, &obstacle);
    if (step == SVAN_STEP_ERROR) {
        lose_message(qp);
        return taken(qp, pkt, svan_unreliable_obstacle(qp, pkt, &obstacle));
    }
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    if (!recv->established && qp->state == SVAN_QPS_RTR) {
        svan_event(&qp->events, SVAN_EVENT_QP_COMM_EST, 0);
    }
    recv->established = true;
    return taken(qp, pkt, SVAN_STEP_DONE);
}
