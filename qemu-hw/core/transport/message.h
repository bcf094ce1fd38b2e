/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages and the packets that they are cut into, the same for all kinds of queue
 * pairs that have messages: segment.c makes packets of a WQE, assembly.c makes a
 * message of packets. Nothing here counts packets, answers them or sends them
 * again: that is what the kinds differ in.
 */
#ifndef SVAN_MESSAGE_H
#define SVAN_MESSAGE_H

#include "transport/transport.h"

static inline uint32_t svan_qp_mtu(const SvanQp *qp)
{
    return 1u << qp->log_mtu;
}

/* ---- access.c ---- */

/*
 * Runs of remote memory, len bytes of it. All of the access must be permitted, which is
 * of len bytes or more, and goes on behind them. DONE, MISS, FAULT, ERROR.
 */
SvanStep svan_qp_remote(SvanAccess *access, uint32_t len, SvanMem *runs,
                        uint32_t *num_runs, uint32_t *syndrome);

/*
 * All but the payload, the extended headers and the addresses; op without its class.
 * The destination is the peer, or left to the caller when each WQE has its own.
 */
void svan_qp_packet(SvanQp *qp, SvanPkt *pkt, uint8_t op, uint32_t psn);
/* To the peer, as svan_pkt_send(). */
SvanStep svan_qp_send(SvanQp *qp, SvanPkt *pkt);

/* ---- segment.c: a WQE becomes packets ---- */

/* The part of a message that a packet is. */
typedef struct SvanSegment {
    uint32_t offset, length;    /* of the payload in the message */
    bool first, last;
} SvanSegment;

/*
 * The packet n of a message of so many octets. Each field is stored by itself, since
 * a copy of the whole would have to wait for its parts.
 */
static inline void svan_segment(const SvanQp *qp, uint32_t length, uint32_t n,
                                SvanSegment *seg)
{
    uint32_t offset = n << qp->log_mtu, left = length - offset;

    seg->offset = offset;
    seg->first = n == 0;
    seg->last = left <= svan_qp_mtu(qp);
    seg->length = seg->last ? left : svan_qp_mtu(qp);
}

/* Without its class; wqe_opcode: of one that has a message. */
static inline uint8_t svan_segment_op(uint8_t wqe_opcode, const SvanSegment *seg)
{
    const SvanWqeInfo *info = svan_wqe_info(wqe_opcode);

    return info->request ? info->request :
           svan_op_part(info->verb, seg->first, seg->last, info->imm);
}

/*
 * Extended headers, length and solicited event; pkt->opcode is there. A READ asks for
 * what is still missing.
 */
static inline void svan_segment_headers(const SvanWqe *wqe,
                                        const SvanSegment *seg, SvanPkt *pkt)
{
    const SvanOpInfo *info = svan_op_info(pkt->opcode);

    pkt->payload_len = seg->length;
    if (info->reth) {
        pkt->va = wqe->remote + seg->offset;
        pkt->rkey = wqe->rkey;
        pkt->dma_len = wqe->length - seg->offset;
    }
    if (info->atomic_eth) {
        pkt->va = wqe->remote;
        pkt->rkey = wqe->rkey;
        pkt->swap_add = wqe->swap_add;
        pkt->compare = wqe->opcode == SVAN_WQE_ATOMIC_CMP_SWP ?
                       wqe->compare : 0;
    }
    if (info->immdt) {
        pkt->imm = wqe->imm;
    }
    if (seg->last && (wqe->flags & SVAN_WQE_SOLICITED)) {
        pkt->bth_flags |= SVAN_BTH_SE;
    }
}

/* Runs of the payload. DONE, or as svan_gather(). */
SvanStep svan_segment_payload(const SvanUser *user, SvanWqe *wqe,
                              const SvanSegment *seg, SvanPkt *pkt,
                              uint32_t *syndrome);

/* ---- assembly.c: packets become a message ---- */

typedef struct SvanAssembly SvanAssembly;

/* A decoded receive WQE. Several queue pairs may take turns with one. */
typedef struct SvanReceive {
    const SvanAssembly *of;     /* NULL: nobody's */
    uint32_t index;             /* in its queue */
    SvanRwqe rwqe;
} SvanReceive;

struct SvanAssembly {
    SvanRq *rq;                 /* where receive WQEs come from */
    SvanReceive *receive;       /* the oldest of rq, while it is this one's */
    SvanVerb message;           /* what the next packet may continue, 9.7.4.1.2 */
    uint32_t offset;            /* bytes of the message that are in place */
    uint32_t length;            /* WRITE: from the RETH */
    uint64_t va;
    uint32_t rkey;
};

/* Why a packet is not taken; what that means to its sender the kinds know. */
typedef enum SvanObstacleKind {
    SVAN_OBSTACLE_INVALID,      /* it does not come next, or is none to be made */
    SVAN_OBSTACLE_ACCESS,       /* the remote memory is not its sender's */
    SVAN_OBSTACLE_NO_RECEIVE,   /* there is no receive WQE */
    SVAN_OBSTACLE_TOO_LONG,     /* for the receive WQE, whose status it is */
    SVAN_OBSTACLE_RECEIVE,      /* the receive WQE is at fault: status */
    SVAN_OBSTACLE_QUEUE,        /* a queue here is, and no receive WQE can tell */
    SVAN_OBSTACLES
} SvanObstacleKind;

typedef struct SvanObstacle {
    SvanObstacleKind kind;
    uint8_t status;             /* enum svan_cqe_status, of the receive WQE */
    uint32_t syndrome;
} SvanObstacle;

/*
 * Any request may come next that table 38 lets continue the message, but for those
 * that are reserved, or that the device does not have.
 */
static inline bool svan_assembly_continues(const SvanAssembly *assembly,
                                           const SvanPkt *pkt)
{
    const SvanOpInfo *info = svan_op_info(pkt->opcode);

    return info->verb && !info->ieth &&
           assembly->message == (info->first ? SVAN_VERB_NONE : info->verb);
}

/* 9.7.4.1.5: FIRST and MIDDLE are full, LAST has something, none is more */
static inline bool svan_assembly_fits(const SvanQp *qp, const SvanPkt *pkt)
{
    const SvanOpInfo *info = svan_op_info(pkt->opcode);
    uint32_t mtu = svan_qp_mtu(qp);

    if (!info->last) {
        return pkt->payload_len == mtu;
    }
    return pkt->payload_len <= mtu && (info->first || pkt->payload_len);
}

/*
 * A part of a SEND or a WRITE goes to its place; with the last the receive WQE is
 * completed, if the message takes one. DONE; MISS; FAULT: a page is absent, nothing
 * has been changed; ERROR: an obstacle.
 */
SvanStep svan_assemble(SvanQp *qp, SvanAssembly *assembly, const SvanPkt *pkt,
                       SvanObstacle *obstacle);

#endif /* SVAN_MESSAGE_H */
