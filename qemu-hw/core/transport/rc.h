/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reliable connection: the private state of an RC queue pair and what its
 * parts offer each other (IBTA specification volume 1, chapter 9).
 *
 *   rc.c             life cycle, the step
 *   rc_shared.c      memory that comes with use
 *   rc_window.c      what was sent and is not acknowledged
 *   rc_requester.c   WQEs to request packets
 *   rc_completer.c   responses to the requester; retries; completions; flushing
 *   rc_responder.c   requests that arrive
 *   rc_answers.c     what is owed to the remote requester: responses, ACKs, NAKs
 *   rc_suspension.c  requests that meet an absent page
 *   rc_kept.c        those that wait, and those that were dropped
 *   rc_patience.c    what the remote requester hears while it waits for a page
 *   rc_state.c       save and load
 *
 * Receiving only records. Whatever an arriving packet breaks is noted in the
 * state, and the QP's own step sends the NAK, writes the completions and
 * changes the QP's state; so a QP connected to itself needs no special care.
 */
#ifndef SVAN_RC_H
#define SVAN_RC_H

#include "transport/message.h"

#define SVAN_RC_WINDOW          128u    /* WQEs taken from the ring; power of two */
#define SVAN_RC_FEW             2u      /* of them, for which there is always room */
#define SVAN_RC_MAX_UNACKED     512u    /* packets; far below 2^23 (9.7.2) */
#define SVAN_RC_MIN_UNACKED     16u     /* after many retries */
#define SVAN_RC_ACK_EVERY       32u     /* packets between requests for an ACK */
#define SVAN_RC_TOUCHED         (1u << 20)      /* bytes of a READ's targets */
#define SVAN_RC_BURST           16u     /* packets, or completions, of a step */
#define SVAN_RC_PSN_HALF        (1u << 23)
/* answers that are owed: twice, so that duplicates never displace new ones */
#define SVAN_RC_OWED            (2 * SVAN_MAX_RD_ATOMIC)
/* A copy that comes sooner may have been made on the way; of several, the last is late. */
#define SVAN_RC_LEAST_TIMEOUT_NS        65536

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

/* Of full size. */
typedef union SvanRcWindow {
    SvanRcWqe wqes[SVAN_RC_WINDOW];
    union SvanRcWindow *next;
} SvanRcWindow;

/*
 * What the RC queue pairs of a function share, so that an idle one is small.
 *
 * A decoded WQE of somebody's window, by position, or receive WQE, by index. One
 * that another queue pair has displaced is fetched again. The three kinds are
 * apart, since a packet of a WQE that is sent may be delivered at once, and then
 * uses those of the other two kinds.
 */
#define SVAN_RC_SHARED          8u      /* of each kind; power of two */
/*
 * Windows that are nobody's are kept: a few, and several for each that is in use. A
 * crowd of queue pairs takes turns with them, and malloc() for each costs a third of
 * the rate.
 */
#define SVAN_RC_SPARES_OF_ONE   8u
#define SVAN_RC_SPARE_WINDOWS   16u

typedef struct SvanRcCache {
    const SvanQp *qp;           /* NULL: nobody's */
    uint32_t pos;
    SvanWqe wqe;
} SvanRcCache;

struct SvanRcShared {
    SvanRcCache out[SVAN_RC_SHARED];    /* WQE at `send`, or the next to be taken */
    SvanRcCache in[SVAN_RC_SHARED];     /* WQE at `acked`, for its response */
    SvanReceive receive[SVAN_RC_SHARED];
    SvanRcWindow *spare;                /* windows that are nobody's */
    uint32_t num_spare, num_used;
};

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
    /*
     * Of window_mask + 1 WQEs: the few, or SVAN_RC_WINDOW while more are under
     * way. Without memory for that they are sent a few at a time.
     */
    SvanRcWqe *window;
    uint32_t window_mask;
    SvanRcWqe few[SVAN_RC_FEW];
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
    uint32_t touched;           /* end of what was looked at of the targets at nxt */
    uint32_t touched_pos;       /* WQE of the last READ that was sent, */
    uint32_t touched_end;       /* and how far its targets were looked at */
    uint32_t touch_limit;       /* more pages at a time do not stay; 0: they do */
    SvanPageWait wait;         /* for a page to send from, or of a target */
    SvanPageWait in_wait;      /* for a page of a response */
} SvanRcRequester;

/* ---- responder ---- */

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
    uint64_t heard_ns;          /* a later one came, while a duplicate waits */
    uint32_t msn;
    bool established;           /* the event was sent */
    bool quiet;                 /* NAKed: out of sequence is no news */
    bool dead;                  /* a fatal NAK is recorded */
    bool ack_due;
    bool unsaid;                /* executed, and not acknowledged; not saved */
    bool early_ack;             /* an ACK of what lies before owed[0]; not saved */
    SvanAssembly assembly;
    SvanRcNak nak;              /* the last one */
    uint32_t num_owed, num_new;         /* all; those that are no duplicates */
    SvanRcOwed *owed;           /* in the order of PSNs; room for owed_room */
    uint32_t owed_room;
    uint32_t next_atomic;
    SvanRcAtomic *atomics;      /* SVAN_MAX_RD_ATOMIC; NULL: there was none yet */
    SvanPageWait read_wait;    /* for a page of owed[0] */
    SvanRcPatience patience;    /* while it waits */
} SvanRcResponder;

/* States and events of a suspension (PRM "Faults", which draws them). */
#define SVAN_SUSPENSION_STATES(X) \
    X(NONE)                     /* the responder is not suspended */ \
    X(UNDECIDED)                /* a page is awaited, and nothing known of it */ \
    X(HOLDING) X(DIVERTING) X(DROPPING)         /* by the mode chosen */ \
    X(TOLD)                     /* an RNR NAK was sent for the page */ \
    X(INSISTING)                /* after that it came and was gone again: held */ \
    X(TOLD_AGAIN)               /* and an RNR NAK was sent once more */ \
    X(RETRYING)                 /* the page has come: the first kept packet */ \
    X(RETRYING_TOLD)            /* the same, after an RNR NAK */ \
    X(REPLAYING)                /* it was executed: those behind it */

#define SVAN_SUSPENSION_EVENTS(X) \
    X(MET)                      /* a packet meets an absent page */ \
    X(GONE_AGAIN)               /* a page that was waited for before */ \
    X(HOLD) X(DIVERT) X(DROP) X(RNR)            /* chosen */ \
    X(CAME) X(FAILED)           /* the page */ \
    X(EXECUTED)                 /* a kept packet */ \
    X(OVER)                     /* nothing is kept any more */ \
    X(STOP)                     /* the connection has come to an end */

typedef enum SvanSuspensionState {
#define SVAN_SUSPENSION_STATE(name)     SVAN_SUSPENSION_##name,
    SVAN_SUSPENSION_STATES(SVAN_SUSPENSION_STATE)
#undef SVAN_SUSPENSION_STATE
    SVAN_SUSPENSION_NUM_STATES
} SvanSuspensionState;

typedef enum SvanSuspensionEvent {
#define SVAN_SUSPENSION_EVENT(name)     SVAN_SUSPENDED_##name,
    SVAN_SUSPENSION_EVENTS(SVAN_SUSPENSION_EVENT)
#undef SVAN_SUSPENSION_EVENT
    SVAN_SUSPENSION_NUM_EVENTS
} SvanSuspensionEvent;

/*
 * The responder's suspension. The packet of the expected PSN and those behind it
 * are kept here or dropped.
 */
typedef struct SvanSuspension {
    SvanSuspensionState state;
    uint8_t mode;               /* enum svan_fault_mode, as packets are kept */
    uint8_t opcode;             /* of the packet that met the page */
    bool dropped;               /* something was; an RNR NAK that leaves brings it */
    bool called_back;           /* since a packet was executed last */
    uint64_t since;             /* ns */
    SvanPageWait wait;
    SvanRcPatience patience;
    SvanKept kept;
    uint32_t dropped_end;       /* PSN behind the last one dropped so */
    uint32_t kept_end;          /* PSN behind the last one kept */
    uint32_t kept_answers;      /* READs and atomics among them */
} SvanSuspension;

typedef struct SvanRc {
    SvanQp *qp;
    bool respond_last;          /* the requester goes first in the next step */
    /* those of fn->qps->rc that it uses, whoever's they are */
    SvanRcCache *out, *in;
    SvanRcRequester req;
    SvanRcResponder resp;
    SvanSuspension suspension;
} SvanRc;

/* Packets of a message, or of a READ's response. */
static inline uint32_t svan_rc_packets(const SvanQp *qp, uint32_t length)
{
    return length ? (length + svan_qp_mtu(qp) - 1) >> qp->log_mtu : 1;
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
    return &req->window[pos & req->window_mask];
}

static inline bool svan_rc_is_atomic(uint8_t opcode)
{
    return svan_wqe_info(opcode)->verb == SVAN_VERB_ATOMIC;
}

/* Only a response of its own acknowledges it. */
static inline bool svan_rc_has_response(uint8_t opcode)
{
    return svan_wqe_info(opcode)->request;
}

/* Payload bytes and packets that a step may still move. */
typedef struct SvanRcBudget {
    uint32_t bytes;
    uint32_t units;
} SvanRcBudget;

/* false: leave it to the next step */
static inline bool svan_rc_afford(SvanRcBudget *budget, uint32_t bytes)
{
    if (bytes > budget->bytes) {
        budget->units = 0;
        return false;
    }
    budget->bytes -= bytes;
    return true;
}

/* ---- rc_shared.c ---- */

/* Which of them the queue pair uses. */
void svan_rc_share(SvanQp *qp);
/* Nothing decoded is the queue pair's any more. */
void svan_rc_forget_decoded(const SvanQp *qp);
/* false: it is of full size, or there is no memory. */
bool svan_rc_widen(SvanQp *qp);
/* There is nothing in the window. */
void svan_rc_narrow(SvanQp *qp);
/* Room for one more answer, and for the record of atomics. false: no memory. */
bool svan_rc_owed_room(SvanRcResponder *resp);
bool svan_rc_atomics_room(SvanRcResponder *resp);
/* Of both ends, what has memory of its own. */
void svan_rc_release(SvanQp *qp);

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
/* The expected one, as far as it is permitted. */
SvanStep svan_rc_execute(SvanQp *qp, const SvanPkt *pkt);
/* The page that a packet of this opcode needs will never come. */
SvanStep svan_rc_refuse_page(SvanQp *qp, uint8_t opcode);

/* ---- rc_kept.c ---- */

/* Behind what is kept. DONE, MISS; IDLE: there is no room, or no sense in it. */
SvanStep svan_rc_keep(SvanQp *qp, const SvanPkt *pkt, uint8_t mode);
void svan_rc_kept_drop(SvanQp *qp);
/* The oldest has been executed. */
void svan_rc_kept_drop_first(SvanQp *qp);
/* All but the oldest, which met the page. */
void svan_rc_kept_drop_rest(SvanQp *qp);
/* It is not kept. */
void svan_rc_discard(SvanQp *qp, const SvanPkt *pkt);
/* Something before `end` will not come by itself. */
void svan_rc_now_missing(SvanQp *qp, uint32_t end);
/* It may have come again, and been kept or executed. */
bool svan_rc_is_missing(SvanQp *qp);

/* ---- rc_suspension.c ---- */

/* pkt, of the expected PSN, has met fn->memory->miss; nothing has been changed. */
SvanStep svan_suspension_begin(SvanQp *qp, const SvanPkt *pkt);
/* pkt, expected or later, comes while the responder is suspended. */
SvanStep svan_suspension_rx(SvanQp *qp, const SvanPkt *pkt);
/* Something of the expected PSN was dropped, and no NAK says so. */
void svan_suspension_call_back(SvanQp *qp);
/* An RNR NAK has left: what was dropped comes again by itself. */
void svan_suspension_told_to_wait(SvanQp *qp);
/* How to handle a fault; false: wait until more is known. */
bool svan_suspension_choose(SvanQp *qp, const SvanEstimate *estimate,
                            uint8_t *mode);
/* A unit of the step. */
SvanStep svan_suspension_step(SvanQp *qp, SvanRcBudget *budget);
void svan_suspension_init(SvanQp *qp);
void svan_suspension_clear(SvanQp *qp);

/* What an event does in a state; one that cannot be there is a defect. DONE, MISS. */
typedef struct SvanSuspensionTurn {
    bool legal;
    uint8_t next;               /* SvanSuspensionState */
    SvanStep (*action)(SvanQp *qp);     /* first; may be NULL */
} SvanSuspensionTurn;

extern const SvanSuspensionTurn
svan_suspension_turns[SVAN_SUSPENSION_NUM_STATES][SVAN_SUSPENSION_NUM_EVENTS];

SvanStep svan_suspension_turn(SvanQp *qp, SvanSuspensionEvent event);

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
