/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages and the packets that they are cut into, the same for all kinds of queue
 * pairs that have messages: segment.c makes packets of a WQE, assembly.c makes a
 * message of packets. Nothing here counts packets, answers them or sends them
 * again, since the kinds differ in that.
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
 * Find the runs of the first len octets of an access to remote memory. The whole
 * access, of access->len >= len octets, must be permitted. Afterwards *access is what
 * lies behind the runs. DONE, or as svan_access().
 */
SvanStep svan_qp_remote(SvanAccess *access, uint32_t len, SvanMem *runs,
                        uint32_t *num_runs, uint32_t *syndrome);

/*
 * Fill in a packet but for the payload, the extended headers and the addresses. op is
 * a SVAN_OP_* without its class. The destination QPN is the peer's; where each WQE has
 * its own, the caller sets it.
 */
void svan_qp_packet(SvanQp *qp, SvanPkt *pkt, uint8_t op, uint32_t psn);
/* Send a packet to the peer; the results are those of svan_pkt_send(). */
SvanStep svan_qp_send(SvanQp *qp, SvanPkt *pkt);
/* The same with another traffic class than the peer's address vector has. */
SvanStep svan_qp_send_as(SvanQp *qp, uint8_t traffic_class, SvanPkt *pkt);

/* ---- completion.c ---- */

typedef struct SvanCompletion {
    uint32_t index, length, syndrome;
    uint8_t opcode, status;
    bool silent;                /* counted, but not told by a CQE */
} SvanCompletion;

/*
 * Complete a WQE. DONE, MISS, or ERROR: the CQ or the counter is out of order, and
 * *syndrome says how. Then a success in a state that is not ERR has changed nothing: the
 * WQE is completed when it is flushed. Anything else is completed as far as that is
 * possible.
 */
SvanStep svan_qp_complete_send(SvanQp *qp, const SvanCompletion *done,
                               uint32_t *syndrome);
/*
 * Complete the WQE at *index, none before which is left, as flushed, and go on to the
 * next. `wqe` is room to decode it. DONE; MISS; IDLE: there is none.
 */
SvanStep svan_qp_flush_send(SvanQp *qp, uint32_t *index, SvanWqe *wqe);
/*
 * Complete the oldest receive WQE, or what was taken of the shared receive queue and no
 * more, with *failure and its syndrome, after which *failure
 * is SUCCESS; with SUCCESS, it is only flushed. DONE; MISS; IDLE: there is none.
 */
SvanStep svan_qp_flush_receive(SvanQp *qp, uint8_t *failure, uint32_t syndrome);

/*
 * Complete what was taken of the shared receive queue by cqe, whose wqe_index and wr_id are
 * set here; slot NULL: no CQE.
 */
void svan_qp_complete_taken(SvanQp *qp, SvanCqSlot *slot, struct svan_cqe *cqe);

/* ---- segment.c: a WQE becomes packets ---- */

/* The part of a message that a packet is. */
typedef struct SvanSegment {
    uint32_t offset, length;    /* of the payload in the message */
    bool first, last;
} SvanSegment;

/* Packets of a message, or of a READ's response, of length octets. */
static inline uint32_t svan_segments(const SvanQp *qp, uint32_t length)
{
    return length ? (length + svan_qp_mtu(qp) - 1) >> qp->log_mtu : 1;
}

/*
 * Packet n, from 0 on, of a message of `length` octets. The fields are stored one by
 * one, since a copy of the whole struct would have to wait for the stores to its
 * fields.
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

/* The packet's opcode, without its class. The WQE's opcode is one with a message. */
static inline uint8_t svan_segment_op(uint8_t wqe_opcode, const SvanSegment *seg)
{
    const SvanWqeInfo *info = svan_wqe_info(wqe_opcode);

    return info->request ? info->request :
           svan_op_part(info->verb, seg->first, seg->last, info->imm);
}

/*
 * Fill in the extended headers, the payload's length and the solicited event bit.
 * pkt->opcode is set already. A READ asks for the message from seg->offset on.
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

/* Find the runs of the payload. DONE, or as svan_gather(). */
SvanStep svan_segment_payload(const SvanUser *user, SvanWqe *wqe,
                              const SvanSegment *seg, SvanPkt *pkt,
                              uint32_t *syndrome);

/* ---- assembly.c: packets become a message ---- */

typedef struct SvanAssembly SvanAssembly;

/*
 * Memory for a decoded receive WQE. Several queue pairs may use it in turn, but for one that
 * was taken from a shared receive queue.
 */
typedef struct SvanReceive {
    const SvanAssembly *of;     /* whose WQE is in it; NULL: nobody's */
    bool is_taken;              /* of a shared receive queue, and not completed yet */
    uint32_t index;             /* of the WQE in its queue */
    SvanRwqe rwqe;
} SvanReceive;

/* What a queue pair has that shares a receive queue. */
struct SvanSharing {
    SvanSrq *srq;
    SvanReceive taken;          /* of srq */
    bool last_wqe_told;         /* no more is taken of it */
};

/* Whose memory receive WQEs name. */
static inline const SvanUser *svan_qp_receiver_user(const SvanQp *qp)
{
    return qp->share ? &qp->share->srq->user : &qp->user;
}

struct SvanAssembly {
    SvanRq *rq;                 /* where receive WQEs come from, unless they are shared */
    /* has the oldest of rq, if `of` is this assembly; or what was taken of a shared one */
    SvanReceive *receive;
    SvanVerb message;           /* what the next packet may continue, 9.7.4.1.2 */
    uint32_t offset;            /* octets of the message that are in place */
    uint32_t length;            /* WRITE: from the RETH */
    uint32_t rkey;
    uint64_t va;
};

/* Why a packet is not taken. The kind of queue pair decides what its sender is told. */
typedef enum SvanObstacleKind {
    SVAN_OBSTACLE_INVALID,      /* wrong length, or such requests are not permitted */
    SVAN_OBSTACLE_ACCESS,       /* its sender may not access the remote memory */
    SVAN_OBSTACLE_NO_RECEIVE,   /* there is no receive WQE */
    SVAN_OBSTACLE_TOO_LONG,     /* for the receive WQE, which completes with `status` */
    SVAN_OBSTACLE_RECEIVE,      /* the receive WQE is wrong; it has `status`, too */
    SVAN_OBSTACLE_QUEUE,        /* a local queue is wrong; no receive WQE can say so */
    SVAN_OBSTACLES
} SvanObstacleKind;

typedef struct SvanObstacle {
    SvanObstacleKind kind;
    uint8_t status;             /* TOO_LONG, RECEIVE: enum svan_cqe_status */
    uint32_t syndrome;
} SvanObstacle;

/* The message is over, or lost: the next packet begins another one. */
static inline void svan_assembly_end(SvanAssembly *assembly)
{
    assembly->message = SVAN_VERB_NONE;
    assembly->offset = 0;
}

/*
 * May the packet come next? Table 38 says which opcodes may follow which. Opcodes that
 * are reserved, or that the device does not support, may never come.
 */
static inline bool svan_assembly_continues(const SvanAssembly *assembly,
                                           const SvanPkt *pkt)
{
    const SvanOpInfo *info = svan_op_info(pkt->opcode);

    return info->verb && !info->ieth &&
           assembly->message == (info->first ? SVAN_VERB_NONE : info->verb);
}

/*
 * Has the payload a length that its opcode may have? By 9.7.4.1.5 FIRST and MIDDLE are
 * as long as the MTU, LAST is not empty, and no packet is longer than the MTU.
 */
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
 * Store a packet of a SEND or WRITE to its place in memory. The last packet completes
 * the receive WQE, if the message takes one. DONE; AGAIN, MISS, FAULT as
 * svan_access(), and nothing has changed; ERROR: *obstacle says why, and nothing has
 * changed.
 */
SvanStep svan_assemble(SvanQp *qp, SvanAssembly *assembly, const SvanPkt *pkt,
                       SvanObstacle *obstacle);
void svan_assembly_save(const SvanAssembly *assembly, SvanWriter *writer);
/* false: the stream is not one of svan_assembly_save(). */
bool svan_assembly_load(SvanAssembly *assembly, SvanReader *reader);

#endif /* SVAN_MESSAGE_H */
