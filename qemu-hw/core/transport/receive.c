/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets that arrive for a function find their queue pair (IBTA volume 1, 9.6.1).
 */
#include <string.h>

#include "transport/transport.h"

/*
 * A connected QP takes packets of its peer only. Their source MAC is not looked at: the
 * router that delivers them need not be the one that packets to the peer are sent to.
 */
static inline __attribute__((always_inline))
bool is_from_peer(const SvanQp *qp, const SvanPkt *pkt)
{
    return !memcmp(pkt->addr.sgid, qp->av.dgid, 16) &&
           svan_is_for_gid(&pkt->addr, &qp->fn->net->gids[qp->av.sgid_index]);
}

static bool takes_sender(const SvanQp *qp, const SvanPkt *pkt)
{
    return qp->kind->senders == SVAN_TAKES_PEERS ? is_from_peer(qp, pkt) :
           pkt->qkey == qp->qkey;       /* 9.6.1.4.1 */
}

static bool takes_class(const SvanQp *qp, uint8_t opcode)
{
    return qp->kind->senders != SVAN_TAKES_NO_PACKETS &&
           (opcode & SVAN_BTH_TRANSPORT_MASK) == qp->kind->bth_class;
}

static void marked(SvanQp *qp)
{
    qp->fn->stats->ecn_marked_roce_packets++;
    if (qp->transport->marked) {
        qp->transport->marked(qp);
    }
}

/* qp NULL: there is none. Only its peer can slow a queue pair down. */
static SvanStep receive_cnp(SvanFn *fn, SvanQp *qp, const SvanPkt *pkt)
{
    if (qp && qp->transport->notified && svan_qp_is_in_service(qp) &&
        (pkt->pkey | 0x8000) == SVAN_PKEY_DEFAULT && is_from_peer(qp, pkt) &&
        qp->transport->notified(qp, pkt)) {
        fn->stats->cnps_handled++;
        return SVAN_STEP_DONE;
    }
    return svan_pkt_drop(fn, pkt, &fn->stats->cnps_ignored, SVAN_DROP_FILTERED);
}

/* The packet is of a class that the queue pair takes. */
static inline SvanStep receive_at(SvanQp *qp, const SvanPkt *pkt)
{
    SvanFn *fn = qp->fn;
    SvanStep step;

    if ((pkt->pkey | 0x8000) != SVAN_PKEY_DEFAULT ||
        !takes_sender(qp, pkt)) {
        return svan_pkt_drop(fn, pkt, &fn->stats->rx_wrong_peer,
                             SVAN_DROP_WRONG_PEER);
    }
    if (!svan_qp_is_in_service(qp)) {
        return svan_pkt_drop(fn, pkt, &fn->stats->rx_wrong_state,
                             SVAN_DROP_WRONG_STATE);
    }
    step = qp->transport->rx(qp, pkt);
    if (step == SVAN_STEP_DONE) {
        fn->stats->roce_rx_packets++;
        fn->stats->roce_rx_bytes += pkt->payload_len;
        if ((pkt->addr.traffic_class & ECN_MASK) == ECN_CE) {
            marked(qp);
        }
        svan_trace(fn, SVAN_TRACE_PKT_RX, pkt->dqpn, pkt->opcode, pkt->psn,
                   pkt->payload_len);
    }
    return step;
}

static SvanStep receive_of_group(SvanQp *qp, const SvanPkt *pkt)
{
    return receive_at(qp, pkt);
}

static bool is_for_group(const SvanPkt *pkt)
{
    return pkt->dqpn == SVAN_QPN_MASK &&
           (pkt->opcode & SVAN_BTH_TRANSPORT_MASK) == SVAN_BTH_UD;
}

/*
 * 9.6.1.2: what is for a group has its number, and no other. What a connected queue pair
 * gets is told from its peer's packets by its addresses.
 */
static bool is_for_one(const SvanQp *qp, const SvanPkt *pkt)
{
    return qp->kind->senders == SVAN_TAKES_PEERS || !svan_gid_is_multicast(pkt->addr.dgid);
}

static SvanStep receive_packet(SvanFn *fn, const SvanPkt *pkt)
{
    SvanQp *qp = svan_qp_get(fn, pkt->dqpn);

    if (qp && takes_class(qp, pkt->opcode) && is_for_one(qp, pkt)) {
        return receive_at(qp, pkt);
    }
    if (pkt->opcode == SVAN_OP_CNP) {
        return receive_cnp(fn, qp, pkt);
    }
    return is_for_group(pkt) ? svan_group_receive(fn, pkt, receive_of_group) :
           svan_pkt_drop(fn, pkt, &fn->stats->rx_no_qp, SVAN_DROP_NO_QP);
}

static uint32_t peer_qpn(SvanFn *fn, uint32_t qpn)
{
    const SvanQp *qp = svan_qp_get(fn, qpn);

    return qp && qp->kind->addressing == SVAN_ADDRESS_OF_PEER && svan_qp_is_in_service(qp) ?
           qp->dest_qpn : 0;
}

const SvanReceiver svan_qp_receiver = {
    .packet = receive_packet,
    .frame = svan_eth_rx,
    .peer_qpn = peer_qpn,
};
