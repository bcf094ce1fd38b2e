/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue pairs whose packets nobody acknowledges: unreliable connections (UC) and
 * datagrams (UD, GSI). They send alike, and wait alike for absent pages; what they take
 * of the packets that arrive differs (uc.c, ud.c).
 */
#ifndef SVAN_UNRELIABLE_H
#define SVAN_UNRELIABLE_H

#include "transport/message.h"

/* ---- the sending side ---- */

typedef enum SvanSendState {
    SVAN_SEND_NONE,             /* no WQE is begun */
    SVAN_SEND_PACKETS,          /* the WQE at sq_ci has packets left */
    SVAN_SEND_OVER,             /* it is to be completed, with `status` */
} SvanSendState;

typedef struct SvanUnreliableSender {
    SvanSendState state;
    uint32_t sq_ci;             /* first block of the oldest WQE that is not completed */
    uint32_t sent;              /* packets of that WQE that have left */
    uint32_t psn;               /* of the next packet */
    uint8_t status;             /* enum svan_cqe_status */
    uint32_t syndrome;
    SvanWqe wqe;                /* at sq_ci, unless the state is NONE */
    bool addressed;             /* UD: qp->av is that of `av` */
    struct svan_av av;          /* UD: of the last WQE that was begun */
    SvanPageWait wait;          /* for a page that is to be sent */
} SvanUnreliableSender;

/* ---- the receiving side ---- */

typedef struct SvanUnreliableReceiver {
    SvanAssembly assembly;
    SvanReceive receive;        /* of assembly */
    uint32_t epsn;              /* UC: the PSN that comes next */
    bool established;           /* UC: a packet has been taken */
    uint8_t failure;            /* status of the oldest receive WQE; SUCCESS: none */
    uint32_t syndrome;          /* of that */
    SvanPageWait wait;          /* for a page that is to be stored to */
    bool writes;                /* UC: it is one that the sender has chosen */
    uint64_t since;             /* ns, when that wait began */
    SvanKept kept;              /* packets, from that which has met the page on */
    bool decided;               /* `drops` has been chosen by an estimate or a policy */
    bool drops;                 /* what arrives while the page is awaited */
} SvanUnreliableReceiver;

typedef struct SvanUnreliable {
    SvanUnreliableSender send;
    SvanUnreliableReceiver recv;
} SvanUnreliable;

static inline SvanUnreliable *svan_unreliable(const SvanQp *qp)
{
    return qp->priv;
}

/* ---- unreliable_sender.c ---- */

#define SVAN_UNRELIABLE_BURST   16u     /* packets, or completions, of a step */

/*
 * Send packets and complete WQEs, as far as one step goes. In SQD only the WQE that is
 * begun is sent. DONE: there may be more to do; IDLE: there is nothing.
 */
SvanStep svan_unreliable_send(SvanQp *qp);
/* Flush a WQE. DONE, MISS; IDLE: none is left. */
SvanStep svan_unreliable_flush_sq(SvanQp *qp);
void svan_unreliable_sender_init(SvanQp *qp);
void svan_unreliable_sender_stop(SvanQp *qp);       /* it waits for nothing any more */

/* ---- unreliable_receiver.c ---- */

SvanStep svan_unreliable_rx(SvanQp *qp, const SvanPkt *pkt);
/* What becomes of the packets that wait for a page. DONE, IDLE, MISS. */
SvanStep svan_unreliable_await(SvanQp *qp);
void svan_unreliable_receiver_init(SvanQp *qp);
void svan_unreliable_receiver_stop(SvanQp *qp);
/* Lose a packet, which is counted. DONE. */
SvanStep svan_unreliable_lose(SvanQp *qp, const SvanPkt *pkt, uint64_t *counter,
                              uint32_t reason);
/*
 * A packet is not taken because of a local queue or receive WQE, which takes the queue
 * pair to the error state, or is lost. DONE.
 */
SvanStep svan_unreliable_obstacle(SvanQp *qp, const SvanPkt *pkt,
                                  const SvanObstacle *obstacle);

/*
 * Take a packet for which nothing is awaited. DONE: it was taken, or lost and counted;
 * MISS; FAULT: a page is absent, and nothing has changed.
 */
SvanStep svan_uc_take(SvanQp *qp, const SvanPkt *pkt);
SvanStep svan_ud_take(SvanQp *qp, const SvanPkt *pkt);

/* ---- unreliable_state.c ---- */

void svan_unreliable_save(const SvanQp *qp, SvanWriter *writer);
bool svan_unreliable_load(SvanQp *qp, SvanReader *reader);
/* Messages of a UD queue pair may be as long as a packet, unless it has an MTU. */
void svan_unreliable_default_mtu(SvanQp *qp);

#endif /* SVAN_UNRELIABLE_H */
