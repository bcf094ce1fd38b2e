/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reliable connection: the private state of an RC queue pair and what its
 * parts offer each other (IBTA specification volume 1, chapter 9).
 *
 *   rc.c             life cycle, the step
 *   rc_shared.c      memory that queue pairs share, or have only while they need it
 *   rc_window.c      what was sent and is not acknowledged
 *   rc_requester.c   WQEs to request packets
 *   rc_completer.c   responses to the requester; retries; completions; flushing
 *   rc_responder.c   requests that arrive
 *   rc_answers.c     what is owed to the remote requester: responses, ACKs, NAKs
 *   rc_suspension.c  requests that meet an absent page
 *   rc_kept.c        requests that are kept until a page comes, or were dropped
 *   rc_patience.c    what the remote requester hears while it waits for a page
 *   rc_congestion.c  notifications of congestion, sent and received
 *   rc_state.c       save and load
 *
 * Receiving only records. An error that an arriving packet causes is noted in the
 * state, and the QP's own step sends the NAK, writes the completions and
 * changes the QP's state; so a QP connected to itself needs no special care.
 */
#ifndef SVAN_RC_H
#define SVAN_RC_H

#include "transport/message.h"

/* sizes of a window, in WQEs; powers of two */
#define SVAN_RC_WINDOW          128u    /* of full size */
#define SVAN_RC_SOME            16u     /* while no more are under way */
#define SVAN_RC_FEW             2u      /* for which every queue pair has room */
#define SVAN_RC_MAX_UNACKED     512u    /* packets; far below 2^23 (9.7.2) */
#define SVAN_RC_MIN_UNACKED     16u     /* packets, however many retries there were */
#define SVAN_RC_ACK_EVERY       32u     /* packets between requests for an ACK */
/* octets of a READ's targets that are made present before it is sent */
#define SVAN_RC_TOUCHED         (1u << 20)
#define SVAN_RC_BURST           16u     /* packets, or completions, of a step */
#define SVAN_RC_SHORT_BURST     2u      /* the same where functions share the engine */
#define SVAN_RC_PSN_HALF        (1u << 23)
/* answers that may be owed: new ones, and as many duplicates beside them */
#define SVAN_RC_OWED            (2 * SVAN_MAX_RD_ATOMIC)
/*
 * A copy of a request that comes sooner than this may have been made by the network,
 * and shows no ACK timeout. Later copies are timed from the same packet.
 */
#define SVAN_RC_LEAST_TIMEOUT_NS        65536

/* ---- requester ---- */

/*
 * A WQE that was taken from the ring. When it is sent again or answered, it is fetched
 * once more, and what is kept of it here must not have changed.
 */
typedef struct SvanRcWqe {
    uint32_t index;             /* of the first block */
    uint32_t seq;               /* of the first packet */
    uint32_t packets;           /* PSNs that it takes; 0: nothing to send */
    uint32_t asked;             /* READ: where the last request for it began */
    uint32_t length;
    uint8_t opcode, flags, num_bbs;
    uint8_t status;             /* enum svan_cqe_status; not SUCCESS: it failed */
    uint32_t syndrome;
} SvanRcWqe;

/* A window that is allocated: an array, of which this is the first WQE. */
typedef union SvanRcWindow {
    SvanRcWqe first;
    union SvanRcWindow *next;   /* of those that no queue pair uses */
} SvanRcWindow;

/* The windows of one size. */
typedef struct SvanRcWindows {
    SvanRcWindow *spare;        /* that no queue pair uses */
    uint32_t num_spare, num_used;
} SvanRcWindows;

/*
 * The RC queue pairs of a function share memory for decoded WQEs, so that an idle
 * queue pair is small. An entry holds a WQE of a queue pair's window, known by its
 * position, or a receive WQE, known by its index. A WQE that another queue pair has
 * displaced is fetched again. The three kinds of entries are separate: while one of
 * the first kind is in use to send a packet, the packet may be delivered to a queue
 * pair of the same function, which uses entries of the other two kinds.
 */
#define SVAN_RC_SHARED          8u      /* of each kind; power of two */
/*
 * How many windows of a size are kept that no queue pair uses: SVAN_RC_SPARE_WINDOWS,
 * and SVAN_RC_SPARES_OF_ONE for each window in use. Where many queue pairs take and
 * return windows by turns, a malloc() each time would cost a third of the message rate.
 * And were all windows of full size, each would lie in a page of its own: with some
 * thousand queue pairs the processor's TLB would not hold them.
 */
#define SVAN_RC_SPARES_OF_ONE   8u
#define SVAN_RC_SPARE_WINDOWS   16u

typedef struct SvanRcCache {
    const SvanQp *qp;           /* whose WQE it holds; NULL: nobody's */
    uint32_t pos;               /* of the WQE in the window */
    SvanWqe wqe;
} SvanRcCache;

struct SvanRcShared {
    SvanRcCache out[SVAN_RC_SHARED];    /* WQE at `send`, or the next to be taken */
    SvanRcCache in[SVAN_RC_SHARED];     /* WQE at `acked`, for its response */
    SvanReceive receive[SVAN_RC_SHARED];
    SvanRcWindows some, full;           /* windows of these sizes */
};

typedef enum SvanRcReqState {
    SVAN_RC_REQ_OFF,            /* the QP is not in RTS or SQD */
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
 * What the requester has reacted to since una moved last or the ACK timer expired. The
 * same once more says nothing new.
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
    /* What each packet needs comes first, so that it lies in few cache lines. */
    SvanRcReqState state;
    uint8_t retries, rnr_retries;       /* left */
    uint8_t heard;              /* SVAN_RC_HEARD_* */
    bool ack_fired, rnr_fired;
    /*
     * An array of window_mask + 1 WQEs: `few`, or a larger window while more are under
     * way. Without memory for that, the QP takes as many as it has room for.
     */
    uint32_t window_mask;
    SvanRcWqe *window;
    uint32_t head;              /* oldest WQE that is not completed */
    uint32_t acked;             /* oldest WQE that is not acknowledged */
    uint32_t send;              /* WQE that nxt lies in */
    uint32_t tail;              /* where the next WQE goes */
    uint32_t una;               /* oldest sequence number not acknowledged */
    uint32_t nxt;               /* sequence number to be sent next */
    uint32_t high;              /* one above the highest ever sent */
    uint32_t end;               /* one above the last one of the window */
    uint32_t ack_asked;         /* one above the last packet with AckReq */
    uint32_t window_packets;    /* packets that may be unacknowledged */
    uint32_t sq_ci;             /* oldest block of the ring in use */
    uint32_t next_index;        /* block of the ring to be fetched next */
    uint32_t rd_atomics;        /* READs and atomics not acknowledged */
    uint32_t progress;          /* +1 whenever una or nxt is moved otherwise
                                 * than by sending */
    uint32_t touched;           /* up to here the targets at nxt are present, octets */
    uint32_t touched_pos;       /* position of the WQE that was sent last, */
    uint32_t touched_end;       /* and `touched` when it was sent */
    uint32_t rnr_since;         /* the first RNR NAK since una moved, 2^12 ns; 0: none */
    SvanPageWait wait;          /* for a page to send from, or of a target */
    SvanPageWait in_wait;       /* for a page that a response is to be stored to */
    SvanTimer ack_timer;

    uint32_t timer_progress;    /* `progress` when ack_timer was started */
    uint32_t touch_limit;       /* octets, as more do not stay present; 0: no limit */
    SvanTimer rnr_timer;
    SvanRcWqe few[SVAN_RC_FEW];
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
    uint32_t length;            /* READ: octets left */
    uint64_t va;                /* READ: address of the next octet */
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
    bool fatal;                 /* the QP goes to the error state when it has left */
    bool call_back;             /* a sequence NAK that ends an RNR wait */
    uint8_t aeth;
    uint8_t event;              /* enum svan_event, 0: none */
    uint8_t recv_status;        /* of the receive WQE in use; SUCCESS: flushed */
    uint32_t syndrome;          /* enum svan_syndrome */
    uint32_t psn;
} SvanRcNak;

/*
 * What is known of a remote requester whose request waits for a page here. It has an
 * ACK timeout and a number of retries, neither of which the responder can see.
 */
typedef struct SvanRcPatience {
    SvanQp *qp;
    uint64_t met;               /* ns: when the page was met */
    uint64_t seen;              /* ns: when the request came last */
    uint32_t psn;               /* of the packet that waits, or waited last */
    uint32_t naks;              /* RNR NAKs since the page was met */
    uint64_t timeout;           /* ns: shortest ACK timeout seen; UINT64_MAX: none */
    bool told;                  /* it was told to wait, and is not back yet */
    bool returned;              /* it is back after it was told to wait */
    bool timed_out;             /* it has sent again without being told to wait */
    bool over;                  /* bound_timer has expired */
    SvanTimer bound_timer;
} SvanRcPatience;

typedef struct SvanRcResponder {
    /* What each packet needs comes first, as in the requester. */
    SvanPageWait read_wait;     /* for a page of owed[0] */
    uint32_t epsn;              /* expected PSN */
    uint32_t heard;             /* PSN of the last request that came; not saved */
    uint32_t msn;
    uint32_t num_owed, num_new;         /* all of owed; those that are no duplicates */
    bool established;           /* the event was sent, or need not be */
    bool quiet;                 /* a NAK was recorded: a gap is not NAKed again */
    bool dead;                  /* a fatal NAK is recorded */
    bool ack_due;
    bool unsaid;                /* executed requests lack an ACK; not saved */
    bool early_ack;             /* what lies before owed[0] lacks an ACK; not saved */
    uint16_t next_atomic;       /* below SVAN_MAX_RD_ATOMIC */
    SvanRcNak nak;              /* recorded last */
    uint32_t owed_room;
    SvanAssembly assembly;

    uint64_t heard_ns;          /* when a later one came while a duplicate waited */
    SvanRcOwed *owed;           /* in the order of PSNs; room for owed_room */
    SvanRcAtomic *atomics;      /* SVAN_MAX_RD_ATOMIC; NULL: there was none yet */
    SvanRcPatience patience;    /* while owed[0] waits */
} SvanRcResponder;

/* States and events of a suspension (PRM "Faults", which draws them). */
#define SVAN_SUSPENSION_STATES(X) \
    X(NONE)                     /* the responder is not suspended */ \
    X(UNDECIDED)                /* a page is awaited, and no mode is chosen yet */ \
    X(HOLDING) X(DIVERTING) X(DROPPING)         /* a page is awaited in this mode */ \
    X(TOLD)                     /* an RNR NAK was sent for the page */ \
    X(INSISTING)                /* it came after that and was gone again: hold */ \
    X(TOLD_AGAIN)               /* the same, and a further RNR NAK was sent */ \
    X(RETRYING)                 /* the page has come: execute the first packet */ \
    X(RETRYING_TOLD)            /* the same, after an RNR NAK */ \
    X(REPLAYING)                /* that was executed: execute those behind it */

#define SVAN_SUSPENSION_EVENTS(X) \
    X(MET)                      /* a packet meets an absent page */ \
    X(GONE_AGAIN)               /* a packet meets a page that it waited for before */ \
    X(HOLD) X(DIVERT) X(DROP) X(RNR)            /* this mode is chosen */ \
    X(CAME) X(FAILED)           /* the page has come, or never will */ \
    X(EXECUTED)                 /* a kept packet was executed */ \
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
    uint8_t mode;               /* enum svan_fault_mode: how packets are kept */
    uint8_t opcode;             /* of the packet that met the page */
    bool dropped;               /* packets were, that do not come again by themselves */
    bool called_back;           /* the requester was, and nothing was executed since */
    uint64_t since;             /* ns: when the suspension began */
    SvanPageWait wait;
    SvanRcPatience patience;
    SvanKept kept;
    uint32_t dropped_end;       /* PSN behind the last packet dropped so */
    uint32_t kept_end;          /* PSN behind the last packet kept */
    uint32_t kept_answers;      /* READs and atomics among those kept */
} SvanSuspension;

/* Both ends of congestion control: of what arrives, and of what is sent. */
typedef struct SvanRcCongestion {
    SvanNp np;
    SvanPace *pace;             /* NULL: it has never been limited */
} SvanRcCongestion;

typedef struct SvanRc {
    SvanQp *qp;
    bool respond_last;          /* the requester goes first in the next step */
    bool cnp_due;               /* a CNP is to be sent in the next step */
    /* entries of fn->qps->rc that it uses; they may hold WQEs of other queue pairs */
    SvanRcCache *out, *in;
    SvanRcRequester req;
    SvanRcResponder resp;
    SvanSuspension suspension;
    SvanRcCongestion congestion;
} SvanRc;

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

/* A WQE that only a response of its own acknowledges: a READ or an atomic. */
static inline bool svan_rc_has_response(uint8_t opcode)
{
    return svan_wqe_info(opcode)->request;
}

/* Octets of payload, and packets or completions, that a step may still move. */
typedef struct SvanRcBudget {
    uint32_t bytes;
    uint32_t units;
} SvanRcBudget;

/* Take octets of the budget. false: they are left to the next step. */
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

/* Set which of the shared entries the queue pair uses. */
void svan_rc_share(SvanQp *qp);
/* The shared entries hold no WQE of the queue pair any more. */
void svan_rc_forget_decoded(const SvanQp *qp);
/* Take a window of the next size. false: it has full size, or there is no memory. */
bool svan_rc_widen(SvanQp *qp);
/* Return the window, if it is larger than `few`; no WQE is in it. */
void svan_rc_narrow(SvanQp *qp);
/* Make room for one more answer; for the record of atomics. false: no memory. */
bool svan_rc_owed_room(SvanRcResponder *resp);
bool svan_rc_atomics_room(SvanRcResponder *resp);
/* Free what requester and responder have allocated, and return what they share. */
void svan_rc_release(SvanQp *qp);

/* ---- rc_window.c ---- */

/* Decode the WQE at position pos of the window. DONE; MISS; ERROR: it has changed. */
SvanStep svan_rc_load_wqe(SvanQp *qp, uint32_t pos, SvanRcCache *cache,
                          uint32_t *syndrome);
/* The WQE at pos has failed: nothing of it or behind it is sent any more. */
void svan_rc_fail(SvanQp *qp, uint32_t pos, uint8_t status, uint32_t syndrome);
/*
 * The peer has acknowledged everything before sequence number `limit`. That counts
 * only up to the first WQE that has failed, or that needs a response of its own.
 */
void svan_rc_advance(SvanQp *qp, uint32_t limit);
/* End the wait of an RNR NAK. false: the requester was not waiting. */
bool svan_rc_end_rnr_wait(SvanQp *qp);
/* The response packet at una, a READ's or an atomic's, has been placed. */
void svan_rc_responded(SvanQp *qp);
/* If an ACK is due and the timer does not run. */
void svan_rc_start_ack_timer(SvanQp *qp);
/* How long an RNR NAK with this timer code makes the requester wait. */
uint64_t svan_rc_rnr_ns(uint8_t code);

/* ---- rc_requester.c ---- */

SvanStep svan_rc_request(SvanQp *qp, SvanRcBudget *budget);

/* ---- rc_completer.c ---- */

SvanStep svan_rc_rx_response(SvanQp *qp, const SvanPkt *pkt);
void svan_rc_timeouts(SvanQp *qp);
/* Complete the oldest WQE that is acknowledged or has failed. IDLE: there is none. */
SvanStep svan_rc_complete(SvanQp *qp, SvanRcBudget *budget);
SvanStep svan_rc_flush_sq(SvanQp *qp, SvanRcBudget *budget);

/* ---- rc_responder.c ---- */

SvanStep svan_rc_rx_request(SvanQp *qp, const SvanPkt *pkt);
SvanStep svan_rc_flush_rq(SvanQp *qp, SvanRcBudget *budget);

void svan_rc_record_nak(SvanQp *qp, const SvanRcNak *nak);
/* Execute a request of the expected PSN, or record the NAK that refuses it. */
SvanStep svan_rc_execute(SvanQp *qp, const SvanPkt *pkt);
/* Record the NAK for a request of this opcode whose page will never come. */
SvanStep svan_rc_refuse_page(SvanQp *qp, uint8_t opcode);

/* ---- rc_kept.c ---- */

/* Keep a packet behind the others. DONE; MISS; IDLE: no room, or not worth keeping. */
SvanStep svan_rc_keep(SvanQp *qp, const SvanPkt *pkt, uint8_t mode);
void svan_rc_kept_drop(SvanQp *qp);
/* Drop the oldest kept packet, which has been executed. */
void svan_rc_kept_drop_first(SvanQp *qp);
/* Drop all kept packets but the oldest, which met the page. */
void svan_rc_kept_drop_rest(SvanQp *qp);
/* Drop a packet that is not kept. */
void svan_rc_discard(SvanQp *qp, const SvanPkt *pkt);
/* Packets before PSN `end` were dropped, and will not come again by themselves. */
void svan_rc_now_missing(SvanQp *qp, uint32_t end);
/* Is such a packet still missing? false: it has come again, and was executed. */
bool svan_rc_is_missing(SvanQp *qp);

/* ---- rc_suspension.c ---- */

/* pkt, of the expected PSN, meets the page of fn->memory->miss; nothing has changed. */
SvanStep svan_suspension_begin(SvanQp *qp, const SvanPkt *pkt);
/* pkt, of the expected PSN or a later one, arrives while the responder is suspended. */
SvanStep svan_suspension_rx(SvanQp *qp, const SvanPkt *pkt);
/* Record a NAK that makes the requester send from the expected PSN on. */
void svan_suspension_call_back(SvanQp *qp);
/* An RNR NAK has left: what was dropped comes again by itself. */
void svan_suspension_told_to_wait(SvanQp *qp);
/* Choose how to handle a fault. false: wait until more is known. */
bool svan_suspension_choose(SvanQp *qp, const SvanEstimate *estimate,
                            uint8_t *mode);
/* What the QP's step does for the suspension. */
SvanStep svan_suspension_step(SvanQp *qp, SvanRcBudget *budget);
void svan_suspension_init(SvanQp *qp);
void svan_suspension_clear(SvanQp *qp);

/* What an event does in a state. An event that is not legal there is a defect. */
typedef struct SvanSuspensionTurn {
    bool legal;
    uint8_t next;               /* SvanSuspensionState */
    SvanStep (*action)(SvanQp *qp);     /* before that; DONE, MISS; may be NULL */
} SvanSuspensionTurn;

extern const SvanSuspensionTurn
svan_suspension_turns[SVAN_SUSPENSION_NUM_STATES][SVAN_SUSPENSION_NUM_EVENTS];

/* DONE; MISS: the state has not changed. */
SvanStep svan_suspension_turn(SvanQp *qp, SvanSuspensionEvent event);

/* ---- rc_patience.c ---- */

void svan_rc_patience_init(SvanRcPatience *patience, SvanQp *qp);
/* The packet of this PSN meets a page. A requester that was told to wait still does. */
void svan_rc_patience_begin(SvanRcPatience *patience, uint32_t psn);
/* Nothing waits any more. */
void svan_rc_patience_end(SvanRcPatience *patience);
/* The request that waits has come again. */
void svan_rc_patience_heard(SvanRcPatience *patience);
/* Has something happened that may call for an RNR NAK? */
bool svan_rc_patience_asks(const SvanRcPatience *patience);
/* Is an RNR NAK called for? *ns: how long the requester is to wait. */
bool svan_rc_patience_is_out(const SvanRcPatience *patience,
                             const SvanEstimate *estimate, uint64_t *ns);
/* An RNR NAK tells the requester to wait. */
void svan_rc_patience_told(SvanRcPatience *patience);
/* What has happened is dealt with, whether an RNR NAK was sent or not. */
void svan_rc_patience_answered(SvanRcPatience *patience);
/* ns until the page comes, by the estimate and the QP's policy. */
uint64_t svan_rc_remaining_ns(const SvanQp *qp, const SvanEstimate *estimate);
/* The page is known not to come within hold_max_us. */
bool svan_rc_is_far(const SvanQp *qp, const SvanEstimate *estimate);
/* The timer code of an RNR NAK that covers ns. */
uint8_t svan_rc_rnr_code(const SvanQp *qp, uint64_t ns);

/* ---- rc_congestion.c ---- */

/* No rate is limited and nothing is due any more. */
void svan_rc_congestion_forget(SvanQp *qp);
/* A packet of the peer has come with CE. */
void svan_rc_marked(SvanQp *qp);
/* A CNP has come from the peer. false: malformed, control is off, or no memory. */
bool svan_rc_notified(SvanQp *qp, const SvanPkt *pkt);
/* A new limit, 0: none. false: no memory. */
bool svan_rc_limit(SvanQp *qp, uint32_t kbps);
/* Send the CNP that is due. */
SvanStep svan_rc_send_cnp(SvanQp *qp);
void svan_rc_congestion_save(const SvanQp *qp, SvanWriter *writer);
bool svan_rc_congestion_load(SvanQp *qp, SvanReader *reader);

/* ---- rc_answers.c ---- */

/* Forget the oldest answer that is owed. */
void svan_rc_owed_drop(SvanRcResponder *resp);
/* The answer that owed[0] is was asked for; old_psn is the PSN of owed[0] before. */
void svan_rc_asked_again(SvanQp *qp, uint32_t old_psn);
/* A request of this PSN has come, and was not put off to another step. */
void svan_rc_request_heard(SvanQp *qp, uint32_t psn);
SvanStep svan_rc_respond(SvanQp *qp, SvanRcBudget *budget);

/* ---- rc_state.c ---- */

void svan_rc_save(const SvanQp *qp, SvanWriter *writer);
bool svan_rc_load(SvanQp *qp, SvanReader *reader);

#endif /* SVAN_RC_H */
