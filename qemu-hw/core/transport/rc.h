/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reliable connection: the private state of an RC queue pair and what its
 * parts offer each other (IBTA specification volume 1, chapter 9).
 *
 *   rc.c             life cycle, the step
 *   rc_access.c      what all of these use of memory, packets and a step
 *   rc_window.c      what was sent and is not acknowledged
 *   rc_requester.c   WQEs to request packets
 *   rc_completer.c   responses to the requester; retries; completions; flushing
 *   rc_responder.c   requests that arrive
 *   rc_answers.c     what is owed to the remote requester: responses, ACKs, NAKs
 *   rc_suspension.c  requests that meet an absent page
 *   rc_patience.c    what the remote requester hears while it waits for a page
 *   rc_state.c       save and load
 *
 * Receiving only records. Whatever an arriving packet breaks is noted in the
 * state, and the QP's own step sends the NAK, writes the completions and
 * changes the QP's state; so a QP connected to itself needs no special care.
 */
#ifndef SVAN_RC_H
#define SVAN_RC_H

#include "transport/transport.h"

#define SVAN_RC_WINDOW          128u    /* WQEs taken from the ring; power of two */
#define SVAN_RC_MAX_UNACKED     512u    /* packets; far below 2^23 (9.7.2) */
#define SVAN_RC_MIN_UNACKED     16u     /* after many retries */
#define SVAN_RC_ACK_EVERY       32u     /* packets between requests for an ACK */
#define SVAN_RC_TOUCHED         (1u << 20)      /* bytes of a READ's targets */
#define SVAN_RC_BURST           16u     /* packets, or completions, of a step */
#define SVAN_RC_PSN_HALF        (1u << 23)
/* answers that are owed: twice, so that duplicates never displace new ones */
#define SVAN_RC_OWED            (2 * SVAN_MAX_RD_ATOMIC)

/* ---- requester ---- */

/*
 * A WQE that was taken from the ring. Only what must not change is kept: the
 * rest is fetched again, and compared, when it is retransmitted or answered.
 */
typedef struct SvanRcWqe {
    uint32_t index;             /* of the first block */
    uint32_t seq;               /* of the first packet */
    uint32_t packets;           /* PSNs it takes; 0: nothing to send */
    uint32_t asked;             /* READ: where the last request for it began */
    uint32_t length;
    uint8_t opcode, flags, num_bbs;
    uint8_t status;             /* enum svan_cqe_status; not SUCCESS: it failed */
    uint32_t syndrome;
} SvanRcWqe;

/* A decoded WQE of the window, by position; not part of the saved state. */
typedef struct SvanRcCache {
    bool valid;
    uint32_t pos;
    SvanWqe wqe;
} SvanRcCache;

typedef enum SvanRcReqState {
    SVAN_RC_REQ_OFF,            /* not RTS or SQD */
    SVAN_RC_REQ_SEND,
    SVAN_RC_REQ_RNR_WAIT,       /* until rnr_timer fires, 9.7.5.2.8 */
    SVAN_RC_REQ_STATES
} SvanRcReqState;

typedef enum SvanRcRetry {      /* SVAN_TRACE_RETRY: reason */
    SVAN_RC_RETRY_TIMEOUT = 1,
    SVAN_RC_RETRY_NAK,
    SVAN_RC_RETRY_IMPLIED,
    SVAN_RC_RETRY_RNR,
    SVAN_RC_RETRY_FAULT,        /* the response met an absent page */
} SvanRcRetry;

/*
 * What was acted on at una; the same once more says nothing new before una has
 * moved or the ACK timeout is over.
 */
#define SVAN_RC_HEARD_IMPLIED   0x01
#define SVAN_RC_HEARD_NAK       0x02
#define SVAN_RC_HEARD_CALL      0x04
#define SVAN_RC_HEARD_MASK      0x07

/*
 * Sequence numbers run freely modulo 2^32; their low 24 bits are the PSN.
 * Positions in the window run freely too: head <= acked <= send <= tail.
 */
typedef struct SvanRcRequester {
    SvanRcReqState state;
    SvanRcWqe window[SVAN_RC_WINDOW];
    uint32_t head;              /* oldest WQE that is not completed */
    uint32_t acked;             /* oldest WQE that is not acknowledged */
    uint32_t send;              /* WQE that nxt lies in */
    uint32_t tail;
    uint32_t una;               /* oldest sequence number not acknowledged */
    uint32_t nxt;               /* to be sent next */
    uint32_t high;              /* one above the highest ever sent */
    uint32_t end;               /* one above the last one of the window */
    uint32_t ack_asked;         /* one above the last packet with AckReq */
    uint32_t window_packets;    /* how many may be unacknowledged */
    uint32_t sq_ci;             /* oldest block in use */
    uint32_t next_index;        /* block to be fetched next */
    uint32_t rd_atomics;        /* READs and atomics not acknowledged */
    uint8_t retries, rnr_retries;       /* left */
    uint8_t heard;              /* SVAN_RC_HEARD_* */
    bool ack_fired, rnr_fired;
    uint32_t progress;          /* +1 whenever una or nxt is moved otherwise
                                 * than by sending */
    uint32_t timer_progress;    /* as ack_timer was started */
    SvanTimer ack_timer, rnr_timer;
    SvanRcCache out;            /* WQE at `send`, or the next to be taken */
    SvanRcCache in;             /* WQE at `acked`, for its response */
    uint32_t touched;           /* end of what was looked at of the targets at nxt */
    uint32_t touched_pos;       /* WQE of the last READ that was sent, */
    uint32_t touched_end;       /* and how far its targets were looked at */
    uint32_t touch_limit;       /* more pages at a time do not stay; 0: they do */
    SvanPageWait wait;         /* for a page to send from, or of a target */
    SvanPageWait in_wait;      /* for a page of a response */
} SvanRcRequester;

/* ---- responder ---- */

typedef enum SvanRcMessage {    /* what the next packet may continue, 9.7.4.1.2 */
    SVAN_RC_MSG_NONE,
    SVAN_RC_MSG_SEND,
    SVAN_RC_MSG_WRITE,
    SVAN_RC_MSGS
} SvanRcMessage;

/* A READ or an atomic whose response is owed, 9.7.4.1.4 and 9.5.4. */
typedef struct SvanRcOwed {
    bool atomic;
    bool duplicate;
    bool begun;                 /* READ: the FIRST of the response has left */
    uint32_t psn;               /* of the next response packet */
    uint32_t msn;
    uint32_t rkey;
    uint32_t length;            /* bytes left */
    uint64_t va;                /* READ: of the next byte */
    uint64_t orig;              /* atomic: the value found */
} SvanRcOwed;

/* An atomic that was executed, for its duplicates. */
typedef struct SvanRcAtomic {
    bool valid;
    uint32_t psn;
    uint32_t msn;
    uint64_t orig;
} SvanRcAtomic;

typedef struct SvanRcNak {
    bool pending;
    bool fatal;                 /* then the QP goes to the error state */
    bool call_back;             /* a sequence NAK that ends an RNR wait */
    uint8_t aeth;
    uint8_t event;              /* enum svan_event, 0: none */
    uint8_t recv_status;        /* of the receive WQE in use; SUCCESS: flushed */
    uint32_t syndrome;          /* enum svan_syndrome */
    uint32_t psn;
} SvanRcNak;

/*
 * A requester that waits for a page here has an ACK timeout and a number of
 * retries, neither of which is known.
 */
typedef struct SvanRcPatience {
    SvanQp *qp;
    uint64_t met;               /* ns: the page was */
    uint64_t seen;              /* ns: its request came last */
    uint32_t psn;               /* of the packet that waits, or has waited */
    uint64_t timeout;           /* ns: the shortest that it has shown for this packet */
    uint32_t naks;              /* RNR NAKs since the page was met */
    bool told;                  /* to wait, and has not come since */
    bool returned;              /* it was told, and has come again */
    bool timed_out;             /* it has come again without */
    bool over;                  /* nothing was heard of it, or said, for too long */
    SvanTimer bound_timer;
} SvanRcPatience;

typedef struct SvanRcResponder {
    uint32_t epsn;              /* expected PSN */
    uint32_t heard;             /* PSN of the last request that came; not saved */
    uint32_t msn;
    bool established;           /* the event was sent */
    bool quiet;                 /* NAKed: out of sequence is no news */
    bool dead;                  /* a fatal NAK is recorded */
    bool ack_due;
    bool unsaid;                /* executed, and not acknowledged; not saved */
    bool early_ack;             /* an ACK of what lies before owed[0]; not saved */
    SvanRcMessage message;
    uint32_t offset;            /* bytes of the message that are in place */
    uint32_t length;            /* WRITE: from the RETH */
    uint64_t va;
    uint32_t rkey;
    uint32_t rq_ci;             /* oldest receive WQE not completed */
    uint32_t rq_pi;             /* last one read */
    SvanRwqe rwqe;              /* of rq_ci */
    bool rwqe_valid;            /* not part of the saved state */
    SvanRcNak nak;              /* the last one */
    uint32_t num_owed, num_new;         /* all; those that are no duplicates */
    SvanRcOwed owed[SVAN_RC_OWED];      /* in the order of PSNs */
    uint32_t next_atomic;
    SvanRcAtomic atomics[SVAN_MAX_RD_ATOMIC];
    SvanPageWait read_wait;    /* for a page of owed[0] */
    SvanRcPatience patience;    /* while it waits */
} SvanRcResponder;

/*
 * The responder's suspension. While it is active, the packet of the expected
 * PSN and those behind it are kept here or dropped.
 */
typedef struct SvanSuspension {
    bool active;
    bool replaying;             /* a kept packet is being executed */
    uint8_t mode;               /* enum svan_fault_mode; AUTO: not chosen yet */
    uint8_t opcode;             /* of the packet that met the page */
    bool nak_spent;             /* an RNR NAK was sent for this page */
    bool again;                 /* and the page has come and gone since */
    bool dropped;               /* something was; an RNR NAK that leaves brings it */
    bool called_back;           /* since a packet was executed last */
    bool executed;              /* a kept packet, since the last page was met */
    uint64_t since;             /* ns */
    SvanPageWait wait;
    SvanRcPatience patience;
    SvanHeld *held, **held_tail;
    uint32_t dropped_end;       /* PSN behind the last one dropped so */
    uint32_t held_end;          /* PSN behind the last one kept */
    uint32_t held_bytes;        /* of the fault buffer */
    uint32_t held_answers;      /* READs and atomics among them */
    uint32_t spares;            /* spare pages taken */
    uint32_t spare;             /* the last of them */
} SvanSuspension;

typedef struct SvanRc {
    SvanQp *qp;
    bool respond_last;          /* the requester goes first in the next step */
    SvanRcRequester req;
    SvanRcResponder resp;
    SvanSuspension suspension;
} SvanRc;

static inline uint32_t svan_rc_mtu(const SvanQp *qp)
{
    return 1u << qp->log_mtu;
}

/* Packets of a message, or of a READ's response. */
static inline uint32_t svan_rc_packets(const SvanQp *qp, uint32_t length)
{
    return length ? (length + svan_rc_mtu(qp) - 1) >> qp->log_mtu : 1;
}

static inline uint32_t svan_rc_psn_sub(uint32_t a, uint32_t b)
{
    return (a - b) & SVAN_PSN_MASK;
}

/* 9.7.6.1.3: only what an ACK was asked for can be late. */
static inline bool svan_rc_is_ack_due(const SvanRcRequester *req)
{
    return (int32_t)(req->ack_asked - req->una) > 0;
}

static inline SvanRcWqe *svan_rc_wqe(SvanRcRequester *req, uint32_t pos)
{
    return &req->window[pos % SVAN_RC_WINDOW];
}

static inline bool svan_rc_is_atomic(uint8_t opcode)
{
    return opcode == SVAN_WQE_ATOMIC_CMP_SWP ||
           opcode == SVAN_WQE_ATOMIC_FETCH_ADD;
}

/* Only a response of its own acknowledges it. */
static inline bool svan_rc_has_response(uint8_t opcode)
{
    return opcode == SVAN_WQE_RDMA_READ || svan_rc_is_atomic(opcode);
}

/* ---- rc_access.c ---- */

/* Payload bytes and packets that a step may still move. */
typedef struct SvanRcBudget {
    uint32_t bytes;
    uint32_t units;
} SvanRcBudget;

/* false: leave it to the next step */
bool svan_rc_afford(SvanRcBudget *budget, uint32_t bytes);

/* All but the runs, for a packet to the peer; false: the source GID is gone. */
bool svan_rc_packet(SvanQp *qp, SvanPkt *pkt, uint8_t opcode, uint32_t psn);

/*
 * Runs of remote memory. `whole` >= len bytes from va on must be permitted.
 * DONE, MISS, FAULT, ERROR.
 */
typedef struct SvanRcRemote {
    SvanQp *qp;
    uint64_t va;
    uint32_t rkey;
    uint32_t whole, len;
    uint8_t access;             /* SVAN_ACCESS_REMOTE_* */
} SvanRcRemote;

SvanStep svan_rc_remote(const SvanRcRemote *remote, SvanMem *runs,
                        uint32_t *num_runs, uint32_t *syndrome);

/* ---- rc_window.c ---- */

/* WQE at a position of the window, decoded. DONE, MISS; ERROR: it has changed. */
SvanStep svan_rc_load_wqe(SvanQp *qp, uint32_t pos, SvanRcCache *cache,
                          uint32_t *syndrome);
/* Mark the WQE at pos: nothing of it or behind it is sent any more. */
void svan_rc_fail(SvanQp *qp, uint32_t pos, uint8_t status, uint32_t syndrome);
/* Everything before `limit` is acknowledged, as far as that can be told. */
void svan_rc_advance(SvanQp *qp, uint32_t limit);
/* It may send at once. false: it was not waiting after an RNR NAK. */
bool svan_rc_end_rnr_wait(SvanQp *qp);
/* The response packet at una, a READ's or an atomic's, has been placed. */
void svan_rc_responded(SvanQp *qp);
void svan_rc_start_ack_timer(SvanQp *qp);
uint64_t svan_rc_rnr_ns(uint8_t code);

/* ---- rc_requester.c ---- */

SvanStep svan_rc_request(SvanQp *qp, SvanRcBudget *budget);

/* ---- rc_completer.c ---- */

SvanStep svan_rc_rx_response(SvanQp *qp, const SvanPkt *pkt);
void svan_rc_timeouts(SvanQp *qp);
/* One completion of the send queue. */
SvanStep svan_rc_complete(SvanQp *qp, SvanRcBudget *budget);
SvanStep svan_rc_flush_sq(SvanQp *qp, SvanRcBudget *budget);

/* ---- rc_responder.c ---- */

SvanStep svan_rc_rx_request(SvanQp *qp, const SvanPkt *pkt);
SvanStep svan_rc_flush_rq(SvanQp *qp, SvanRcBudget *budget);

void svan_rc_record_nak(SvanQp *qp, const SvanRcNak *nak);
/* The page that a packet of this opcode needs will never come. */
SvanStep svan_rc_refuse_page(SvanQp *qp, uint8_t opcode);

/* ---- rc_suspension.c ---- */

/* pkt, of the expected PSN, has met fn->memory->miss; nothing has been changed. */
SvanStep svan_suspension_begin(SvanQp *qp, const SvanPkt *pkt);
/* pkt, expected or later, comes while the responder is suspended. */
SvanStep svan_suspension_rx(SvanQp *qp, const SvanPkt *pkt);
/* Something of the expected PSN was dropped, and no NAK says so. */
void svan_suspension_call_back(SvanQp *qp);
/* An RNR NAK has left: what was dropped comes again by itself. */
void svan_suspension_told_to_wait(SvanQp *qp);
/* How to handle a fault; AUTO: wait until more is known. */
uint8_t svan_suspension_mode(SvanQp *qp, const SvanEstimate *estimate);
/* A unit of the step. */
SvanStep svan_suspension_step(SvanQp *qp, SvanRcBudget *budget);
void svan_suspension_init(SvanQp *qp);
void svan_suspension_clear(SvanQp *qp);

/* ---- rc_patience.c ---- */

void svan_rc_patience_init(SvanRcPatience *patience, SvanQp *qp);
/* A page is met; who was told to wait for another still waits. */
void svan_rc_patience_begin(SvanRcPatience *patience, uint32_t psn);
void svan_rc_patience_end(SvanRcPatience *patience);
/* The request that waits has come again. */
void svan_rc_patience_heard(SvanRcPatience *patience);
/* Something has happened that an RNR NAK may be the answer to. */
bool svan_rc_patience_asks(const SvanRcPatience *patience);
/* It is: for *ns. */
bool svan_rc_patience_is_out(const SvanRcPatience *patience,
                             const SvanEstimate *estimate, uint64_t *ns);
/* By an RNR NAK, or by silence as the page is about to come. */
void svan_rc_patience_told(SvanRcPatience *patience);
void svan_rc_patience_answered(SvanRcPatience *patience);
uint64_t svan_rc_remaining_ns(const SvanQp *qp, const SvanEstimate *estimate);
/* The page is known not to come within hold_max_us. */
bool svan_rc_is_far(const SvanQp *qp, const SvanEstimate *estimate);
uint8_t svan_rc_rnr_code(const SvanQp *qp, uint64_t ns);

/* ---- rc_answers.c ---- */

/* Forget the oldest answer that is owed. */
void svan_rc_owed_drop(SvanRcResponder *resp);
/* What is asked for again is the oldest that is owed; the oldest began at old_psn. */
void svan_rc_asked_again(SvanQp *qp, uint32_t old_psn);
/* A request has come, and was taken. */
void svan_rc_request_heard(SvanQp *qp, uint32_t psn);
SvanStep svan_rc_respond(SvanQp *qp, SvanRcBudget *budget);

/* ---- rc_state.c ---- */

void svan_rc_save(const SvanQp *qp, SvanWriter *writer);
bool svan_rc_load(SvanQp *qp, SvanReader *reader);

#endif /* SVAN_RC_H */
