/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RC responder at an absent page (PRM "Faults"): nothing of the request has been
 * executed; the mode says what becomes of it and of what follows. Kept packets
 * are executed, in their order, when the page has come; whatever was dropped
 * is asked for by a sequence NAK, or comes back after the RNR NAK's time.
 */
#include <assert.h>
#include <string.h>

#include "transport/rc.h"

static SvanSuspension *suspension_of(SvanQp *qp)
{
    return &((SvanRc *)qp->priv)->suspension;
}

static void trace_mode(const SvanQp *qp, uint8_t mode, uint64_t ns)
{
    const SvanSuspension *susp = &((const SvanRc *)qp->priv)->suspension;

    svan_trace(qp->fn, SVAN_TRACE_FAULT_MODE, qp->qpn, susp->wait.token, mode,
               ns);
}

static void trace_fault(const SvanQp *qp, const SvanPkt *pkt)
{
    const SvanSuspension *susp = &((const SvanRc *)qp->priv)->suspension;

    svan_trace(qp->fn, SVAN_TRACE_FAULT, qp->qpn, susp->wait.token, pkt->psn,
               qp->fn->memory->miss.va);
}

/* how: the outcome; PENDING: the suspension goes on with another page. */
static void trace_end(const SvanQp *qp, SvanWaitState how)
{
    const SvanSuspension *susp = &((const SvanRc *)qp->priv)->suspension;

    svan_trace(qp->fn, SVAN_TRACE_FAULT_END, qp->qpn, susp->wait.token, how,
               svan_now(qp->fn->core) - susp->since);
}

/* ---- choosing ---- */

/*
 * A sequence NAK takes one of the requester's retries, whose number is not known here.
 * So only one is sent until another packet of the requester was executed.
 */
static bool may_call_back(const SvanSuspension *susp)
{
    return !susp->called_back;
}

bool svan_suspension_choose(SvanQp *qp, const SvanEstimate *estimate,
                            uint8_t *mode)
{
    SvanChoice choice = {
        .policy = &qp->policy, .now = svan_now(qp->fn->core),
        .offered = SVAN_MODE_BIT(HOLD) | SVAN_MODE_BIT(DIVERT) |
                   SVAN_MODE_BIT(RNR),
    };

    if (may_call_back(suspension_of(qp))) {
        choice.offered |= SVAN_MODE_BIT(DROP);
    }
    return svan_policy_choose(&choice, estimate, mode);
}

static void count_mode(SvanFn *fn, uint8_t mode)
{
    fn->stats->fault_hold += mode == SVAN_FAULT_MODE_HOLD;
    fn->stats->fault_rnr += mode == SVAN_FAULT_MODE_RNR;
    fn->stats->fault_divert += mode == SVAN_FAULT_MODE_DIVERT;
    fn->stats->fault_drop += mode == SVAN_FAULT_MODE_DROP;
    fn->stats->fault_fail += mode == SVAN_FAULT_MODE_FAIL;
}

static bool by_estimate(const SvanQp *qp)
{
    return qp->policy.mode == SVAN_FAULT_MODE_AUTO;
}

/* ---- RNR NAK ---- */

/*
 * With AUTO the packet that met the page stays kept behind an RNR NAK, and no other:
 * when it is executed, its ACK ends the requester's wait before the time is over.
 * DONE, MISS.
 */
static SvanStep keep_first(SvanQp *qp)
{
    SvanKept *kept = &suspension_of(qp)->kept;
    SvanStep step;

    if (!kept->first) {
        return SVAN_STEP_DONE;
    }
    if (kept->first->next) {
        svan_rc_now_missing(qp, suspension_of(qp)->kept_end);
    }
    svan_rc_kept_drop_rest(qp);
    if (kept->first->spare != SVAN_NONE || svan_kept_may_be_long(kept)) {
        return SVAN_STEP_DONE;
    }
    step = svan_kept_to_spares(kept);
    if (step == SVAN_STEP_DONE && kept->first->spare == SVAN_NONE) {
        svan_rc_kept_drop(qp);
    }
    return step;
}

void svan_suspension_told_to_wait(SvanQp *qp)
{
    suspension_of(qp)->dropped = false;
}

static void send_rnr(SvanQp *qp, uint64_t ns)
{
    SvanRcNak nak = { .aeth = SVAN_AETH_RNR_NAK | svan_rc_rnr_code(qp, ns) };

    svan_rc_patience_told(&suspension_of(qp)->patience);
    qp->fn->stats->rnr_nak_sent++;
    svan_rc_record_nak(qp, &nak);
}

/* ---- what events do ---- */

/* Drop all that is kept; unless an RNR NAK leaves, it does not come again by itself. */
static SvanStep let_go(SvanQp *qp)
{
    SvanSuspension *susp = suspension_of(qp);

    if (susp->kept.first) {
        svan_rc_now_missing(qp, susp->kept_end);
    }
    svan_rc_kept_drop(qp);
    return SVAN_STEP_DONE;
}

static SvanStep to_spares(SvanQp *qp)
{
    return svan_kept_to_spares(&suspension_of(qp)->kept);
}

static SvanStep send_away(SvanQp *qp)
{
    return by_estimate(qp) ? keep_first(qp) : let_go(qp);
}

/*
 * Acknowledge what was executed since the last ACK, even in the middle of a message:
 * the ACK gives the requester its retries back for this page.
 */
static SvanStep begin(SvanQp *qp)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanSuspension *susp = suspension_of(qp);

    susp->dropped = false;
    susp->since = svan_now(qp->fn->core);
    resp->ack_due |= resp->unsaid && !resp->num_owed;
    return SVAN_STEP_DONE;
}

/*
 * Kept packets that were executed are acknowledged, whether that was asked for or
 * not: one page after the other may take longer than the requester waits for a sign.
 */
static SvanStep acknowledge(SvanQp *qp)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;

    resp->ack_due |= !resp->num_owed;
    return SVAN_STEP_DONE;
}

static SvanStep end(SvanQp *qp)
{
    SvanSuspension *susp = suspension_of(qp);

    svan_rc_patience_end(&susp->patience);
    svan_page_wait_leave(&susp->wait);
    svan_rc_kept_drop(qp);
    return SVAN_STEP_DONE;
}

/* ---- states ---- */

#define ON(event)               [SVAN_SUSPENDED_##event]
#define TO(state, action)       { true, SVAN_SUSPENSION_##state, action }

#define CHOOSE_HOLD             ON(HOLD) = TO(HOLDING, NULL)
#define CHOOSE_DIVERT           ON(DIVERT) = TO(DIVERTING, to_spares)
#define CHOOSE_DROP             ON(DROP) = TO(DROPPING, let_go)
#define TELL                    ON(RNR) = TO(TOLD, send_away)
#define TELL_AGAIN              ON(RNR) = TO(TOLD_AGAIN, send_away)
/* How the wait for a page may end. */
#define AWAITED(retry) \
    ON(CAME) = TO(retry, NULL), ON(FAILED) = TO(NONE, end), \
    ON(STOP) = TO(NONE, end)
/* A kept packet is executed, or none is left. */
#define EXECUTING \
    ON(EXECUTED) = TO(REPLAYING, NULL), ON(OVER) = TO(NONE, end), \
    ON(STOP) = TO(NONE, end)

const SvanSuspensionTurn
svan_suspension_turns[SVAN_SUSPENSION_NUM_STATES][SVAN_SUSPENSION_NUM_EVENTS] = {
    [SVAN_SUSPENSION_NONE] = {
        ON(MET) = TO(UNDECIDED, begin), ON(GONE_AGAIN) = TO(INSISTING, begin),
        ON(STOP) = TO(NONE, end) },
    [SVAN_SUSPENSION_UNDECIDED] = {
        CHOOSE_HOLD, CHOOSE_DIVERT, CHOOSE_DROP, TELL, AWAITED(RETRYING) },
    [SVAN_SUSPENSION_HOLDING] = {
        CHOOSE_DIVERT, CHOOSE_DROP, TELL, AWAITED(RETRYING) },
    [SVAN_SUSPENSION_DIVERTING] = {
        CHOOSE_HOLD, CHOOSE_DROP, TELL, AWAITED(RETRYING) },
    [SVAN_SUSPENSION_DROPPING] = {
        CHOOSE_HOLD, CHOOSE_DIVERT, TELL, AWAITED(RETRYING) },
    [SVAN_SUSPENSION_TOLD] = { TELL, AWAITED(RETRYING_TOLD) },
    [SVAN_SUSPENSION_INSISTING] = { TELL_AGAIN, AWAITED(RETRYING_TOLD) },
    [SVAN_SUSPENSION_TOLD_AGAIN] = { TELL_AGAIN, AWAITED(RETRYING_TOLD) },
    [SVAN_SUSPENSION_RETRYING] = {
        EXECUTING, ON(MET) = TO(UNDECIDED, NULL),
        ON(GONE_AGAIN) = TO(UNDECIDED, NULL) },
    [SVAN_SUSPENSION_RETRYING_TOLD] = {
        EXECUTING, ON(MET) = TO(UNDECIDED, NULL),
        ON(GONE_AGAIN) = TO(INSISTING, NULL) },
    [SVAN_SUSPENSION_REPLAYING] = {
        EXECUTING, ON(MET) = TO(UNDECIDED, acknowledge) },
};

SvanStep svan_suspension_turn(SvanQp *qp, SvanSuspensionEvent event)
{
    SvanSuspension *susp = suspension_of(qp);
    const SvanSuspensionTurn *turn = &svan_suspension_turns[susp->state][event];
    SvanStep step = SVAN_STEP_DONE;

    assert(turn->legal);
    if (turn->action) {
        step = turn->action(qp);
    }
    if (step == SVAN_STEP_DONE) {
        susp->state = turn->next;
    }
    return step;
}

/* ---- modes ---- */

static void now_by_mode(SvanQp *qp, uint8_t mode, uint64_t ns)
{
    suspension_of(qp)->mode = mode;
    trace_mode(qp, mode, ns);
}

/* Enter the mode that was chosen. DONE, MISS. */
static SvanStep enter_mode(SvanQp *qp, uint8_t mode, uint64_t ns)
{
    static const SvanSuspensionEvent events[] = {
        [SVAN_FAULT_MODE_HOLD] = SVAN_SUSPENDED_HOLD,
        [SVAN_FAULT_MODE_RNR] = SVAN_SUSPENDED_RNR,
        [SVAN_FAULT_MODE_DIVERT] = SVAN_SUSPENDED_DIVERT,
        [SVAN_FAULT_MODE_DROP] = SVAN_SUSPENDED_DROP,
    };
    SvanSuspension *susp = suspension_of(qp);
    SvanSuspensionState before = susp->state;
    SvanStep step = svan_suspension_turn(qp, events[mode]);

    if (step != SVAN_STEP_DONE) {
        return step;
    }
    if (susp->state != before) {
        count_mode(qp->fn, mode);
    }
    now_by_mode(qp, mode, ns);
    if (mode == SVAN_FAULT_MODE_RNR) {
        send_rnr(qp, ns);
    }
    return step;
}

/*
 * There is no room for the packet: with AUTO it is handled in a mode that needs none.
 */
static uint8_t without_room(SvanQp *qp, uint8_t mode)
{
    if (!by_estimate(qp)) {
        return mode;
    }
    return may_call_back(suspension_of(qp)) ? SVAN_FAULT_MODE_DROP :
                                              SVAN_FAULT_MODE_RNR;
}

/* Does the mode keep the packet that meets the page? RNR does so with AUTO only. */
static bool keeps_first(const SvanQp *qp, uint8_t mode)
{
    return mode == SVAN_FAULT_MODE_HOLD || mode == SVAN_FAULT_MODE_DIVERT ||
           (mode == SVAN_FAULT_MODE_RNR && by_estimate(qp));
}

/* The packet waits for the page that it has just met; packets are held at first. */
static void wait_for_page(SvanQp *qp, const SvanPkt *pkt)
{
    SvanSuspension *susp = suspension_of(qp);

    svan_page_wait(&susp->wait, true);
    trace_fault(qp, pkt);
    susp->opcode = pkt->opcode;
    susp->mode = SVAN_FAULT_MODE_HOLD;
    svan_rc_patience_begin(&susp->patience, pkt->psn);
}

/*
 * A kept packet, which stays at the head, has met another absent page, or the same one
 * again.
 */
static SvanStep suspend_again(SvanQp *qp, const SvanPkt *pkt)
{
    bool again = svan_page_wait_is_again(&suspension_of(qp)->wait);

    trace_end(qp, SVAN_WAIT_PENDING);
    svan_suspension_turn(qp, again ? SVAN_SUSPENDED_GONE_AGAIN :
                                     SVAN_SUSPENDED_MET);
    wait_for_page(qp, pkt);
    svan_qp_schedule(qp);               /* to choose a mode by what is known of the page */
    return SVAN_STEP_AGAIN;
}

/* How the packet that meets an absent page is handled at once. */
typedef struct FirstPacket {
    bool again;                 /* the page was waited for before */
    bool decided;               /* `mode` is the one to be entered */
    uint8_t mode;
    SvanStep kept;              /* DONE: it is kept; IDLE: it is not; MISS */
} FirstPacket;

/*
 * If the page came and was gone again when the requester was back, the packet is held:
 * in any other mode it might come too late for ever, and cost a retry each time. DONE,
 * MISS.
 */
static SvanStep take_first(SvanQp *qp, const SvanPkt *pkt,
                           const SvanEstimate *estimate, FirstPacket *first)
{
    SvanSuspension *susp = suspension_of(qp);

    first->again = svan_page_wait_is_again(&susp->wait);
    first->kept = SVAN_STEP_IDLE;
    first->mode = SVAN_FAULT_MODE_HOLD;
    first->decided = first->again ||
                     svan_suspension_choose(qp, estimate, &first->mode);
    if (!first->decided) {
        first->mode = SVAN_FAULT_MODE_HOLD;
    }
    if (!keeps_first(qp, first->mode)) {
        return SVAN_STEP_DONE;
    }
    first->kept = svan_rc_keep(qp, pkt, first->mode);
    if (first->kept == SVAN_STEP_MISS) {
        return SVAN_STEP_MISS;
    }
    if (first->mode == SVAN_FAULT_MODE_RNR) {
        return SVAN_STEP_DONE;          /* whether the packet is kept or not */
    }
    if (first->kept == SVAN_STEP_DONE) {
        if (susp->kept.spare != SVAN_NONE) {
            first->mode = SVAN_FAULT_MODE_DIVERT;
            first->decided = true;
        }
        return SVAN_STEP_DONE;
    }
    if (first->again) {
        first->decided = svan_suspension_choose(qp, estimate, &first->mode);
    }
    if (first->decided) {
        first->mode = without_room(qp, first->mode);
    }
    return SVAN_STEP_DONE;
}

SvanStep svan_suspension_begin(SvanQp *qp, const SvanPkt *pkt)
{
    SvanSuspension *susp = suspension_of(qp);
    SvanEstimate estimate = svan_page_expected(qp->fn, qp->policy.sources);
    FirstPacket first;
    SvanStep step;
    bool later, insists;
    uint64_t ns;

    if (susp->state != SVAN_SUSPENSION_NONE) {
        return suspend_again(qp, pkt);
    }
    step = take_first(qp, pkt, &estimate, &first);
    if (step != SVAN_STEP_DONE) {
        return step;
    }
    insists = first.again && first.kept == SVAN_STEP_DONE;
    svan_suspension_turn(qp, insists ? SVAN_SUSPENDED_GONE_AGAIN :
                                       SVAN_SUSPENDED_MET);
    if (first.kept == SVAN_STEP_IDLE) {
        svan_rc_discard(qp, pkt);
    }
    wait_for_page(qp, pkt);
    /* This packet has been taken: what may miss is left to a step of its own. */
    later = !first.decided ||
            (first.mode == SVAN_FAULT_MODE_RNR && susp->kept.first);
    susp->wait.news = later || svan_page_wait_is_told(&susp->wait);
    qp->fn->stats->page_faults_estimated += estimate.known;
    svan_qp_schedule(qp);
    ns = svan_rc_remaining_ns(qp, &estimate);
    if (insists) {
        count_mode(qp->fn, first.mode);
        now_by_mode(qp, first.mode, ns);
    } else if (!later) {
        step = enter_mode(qp, first.mode, ns);
    }
    return step;
}

/*
 * A request arrives during a suspension. A duplicate of a kept packet is dropped, but
 * after an RNR NAK it shows that the requester is back. A packet behind a gap is
 * dropped. The next packet in order is kept, unless others are kept and the requester
 * was told to wait: then the packet was on its way when the RNR NAK left, and comes
 * again.
 */
SvanStep svan_suspension_rx(SvanQp *qp, const SvanPkt *pkt)
{
    SvanSuspension *susp = suspension_of(qp);
    uint32_t epsn = ((SvanRc *)qp->priv)->resp.epsn;
    uint32_t ahead = svan_rc_psn_sub(pkt->psn, epsn);
    uint32_t kept = susp->kept.first ?
                    svan_rc_psn_sub(susp->kept_end, epsn) : 0;
    SvanStep step = SVAN_STEP_IDLE;

    if (ahead < kept) {
        if (!ahead || susp->patience.told) {
            svan_rc_patience_heard(&susp->patience);
        }
        qp->fn->stats->duplicate_request++;
        svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn,
                   SVAN_DROP_DUPLICATE);
        return SVAN_STEP_DONE;
    }
    if (ahead == kept && !(kept && susp->patience.told)) {
        step = svan_rc_keep(qp, pkt, susp->mode);
        if (step == SVAN_STEP_MISS) {
            return step;
        }
    }
    if (!ahead) {
        svan_rc_patience_heard(&susp->patience);
    }
    if (step == SVAN_STEP_IDLE) {
        svan_rc_discard(qp, pkt);
    }
    return SVAN_STEP_DONE;
}

/* ---- what the step does ---- */

static void suspension_ends(SvanQp *qp, SvanSuspensionEvent event, SvanWaitState how)
{
    trace_end(qp, how);
    svan_suspension_turn(qp, event);
}

/*
 * The requester may have no ACK timeout, so a sequence NAK asks it to send again. If it
 * was called back before, and nothing was executed since, it gets the shortest RNR NAK
 * instead, which takes an RNR retry and none of the others.
 */
void svan_suspension_call_back(SvanQp *qp)
{
    SvanRcNak nak = {
        .aeth = SVAN_AETH_NAK | SVAN_NAK_PSN_SEQ, .call_back = true,
    };
    SvanSuspension *susp = suspension_of(qp);

    if (!may_call_back(susp)) {
        nak.call_back = false;
        nak.aeth = SVAN_AETH_RNR_NAK | svan_rc_rnr_code(qp, 0);
        qp->fn->stats->rnr_nak_sent++;
    }
    susp->called_back = true;
    svan_rc_record_nak(qp, &nak);
}

/*
 * Everything kept is executed: ask for what is missing, if no NAK is pending. With AUTO
 * the requester is also called back if it still waits after an RNR NAK, since no packet
 * was executed whose ACK would end that wait.
 */
static void resume(SvanQp *qp)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanSuspension *susp = suspension_of(qp);
    bool waits = susp->patience.told && by_estimate(qp) && may_call_back(susp);

    suspension_ends(qp, SVAN_SUSPENDED_OVER, SVAN_WAIT_OVER);
    if ((svan_rc_is_missing(qp) || waits) && !resp->dead && !resp->nak.pending) {
        svan_suspension_call_back(qp);
    }
}

/* Execute one kept packet, or end the suspension. */
static SvanStep replay(SvanQp *qp, SvanRcBudget *budget)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanSuspension *susp = suspension_of(qp);
    SvanHeld *held = susp->kept.first;
    uint32_t epsn = resp->epsn;
    SvanStep step;
    SvanPkt pkt;

    if (!held) {
        resume(qp);
        return SVAN_STEP_DONE;
    }
    if (!svan_rc_afford(budget, held->len)) {
        return SVAN_STEP_DONE;
    }
    step = svan_held_packet(qp->fn, held, &pkt);
    if (step == SVAN_STEP_DONE) {
        step = svan_rc_execute(qp, &pkt);
    }
    if (step == SVAN_STEP_MISS || step == SVAN_STEP_BLOCKED) {
        return step;
    }
    if (step == SVAN_STEP_AGAIN) {
        return susp->wait.state == SVAN_WAIT_OVER ? step : SVAN_STEP_IDLE;
    }
    if (resp->epsn == epsn) {
        /* The packet was not executed, so neither is what follows it. */
        if (step == SVAN_STEP_ERROR) {
            svan_rc_now_missing(qp, susp->kept_end);
        }
        svan_rc_kept_drop(qp);
        return SVAN_STEP_DONE;
    }
    /* An ACK ends the requester's wait after an RNR NAK. */
    resp->ack_due |= susp->patience.told && !resp->num_owed;
    susp->patience.told = false;
    svan_rc_kept_drop_first(qp);
    return svan_suspension_turn(qp, SVAN_SUSPENDED_EXECUTED);
}

static bool was_told(const SvanSuspension *susp)
{
    return susp->state == SVAN_SUSPENSION_TOLD ||
           susp->state == SVAN_SUSPENSION_TOLD_AGAIN;
}

/* Send an RNR NAK, if the page is not about to come. DONE, MISS. */
static SvanStep answer_requester(SvanQp *qp, const SvanEstimate *estimate)
{
    SvanSuspension *susp = suspension_of(qp);
    bool fallback = susp->patience.over && !was_told(susp);
    uint64_t ns;

    if (svan_rc_patience_is_out(&susp->patience, estimate, &ns)) {
        SvanStep step = enter_mode(qp, SVAN_FAULT_MODE_RNR, ns);

        if (step != SVAN_STEP_DONE) {
            return step;
        }
        qp->fn->stats->fault_fallback += fallback;
    }
    svan_rc_patience_answered(&susp->patience);
    return SVAN_STEP_DONE;
}

/*
 * Is the mode to be entered? A requester that was told to wait is told so again only if
 * it is back and the page is known to be far, since a further NAK takes a further
 * retry. One whose page was gone again has paid already: its packet is held until the
 * bound.
 */
static bool is_to_enter(SvanQp *qp, uint8_t mode, const SvanEstimate *estimate)
{
    const SvanSuspension *susp = suspension_of(qp);

    switch (susp->state) {
    case SVAN_SUSPENSION_UNDECIDED:
        return true;
    case SVAN_SUSPENSION_TOLD:
        return mode == SVAN_FAULT_MODE_RNR && !susp->patience.told &&
               svan_rc_is_far(qp, estimate);
    case SVAN_SUSPENSION_INSISTING:
    case SVAN_SUSPENSION_TOLD_AGAIN:
        return false;
    default:
        return mode != susp->mode;
    }
}

/* The page is still awaited: does what has happened since call for another mode? */
static SvanStep reconsider(SvanQp *qp)
{
    SvanSuspension *susp = suspension_of(qp);
    SvanEstimate estimate;
    SvanStep step;
    uint8_t mode;

    if (!susp->wait.news && !svan_rc_patience_asks(&susp->patience)) {
        return SVAN_STEP_IDLE;
    }
    estimate = svan_page_wait_estimate(&susp->wait, qp->policy.sources);
    if (svan_rc_patience_asks(&susp->patience)) {
        return answer_requester(qp, &estimate);
    }
    if (svan_suspension_choose(qp, &estimate, &mode) &&
        is_to_enter(qp, mode, &estimate)) {
        step = enter_mode(qp, mode, svan_rc_remaining_ns(qp, &estimate));
        if (step != SVAN_STEP_DONE) {
            return step;
        }
    }
    susp->wait.news = false;
    return SVAN_STEP_DONE;
}

static SvanStep give_up(SvanQp *qp)
{
    SvanSuspension *susp = suspension_of(qp);
    uint8_t opcode = susp->opcode;

    trace_mode(qp, SVAN_FAULT_MODE_FAIL, 0);
    count_mode(qp->fn, SVAN_FAULT_MODE_FAIL);
    suspension_ends(qp, SVAN_SUSPENDED_FAILED, SVAN_WAIT_FAILED);
    return svan_rc_refuse_page(qp, opcode);
}

/* Has the page come, so that kept packets are being executed? */
static bool is_replaying(const SvanSuspension *susp)
{
    return susp->state == SVAN_SUSPENSION_RETRYING ||
           susp->state == SVAN_SUSPENSION_RETRYING_TOLD ||
           susp->state == SVAN_SUSPENSION_REPLAYING;
}

SvanStep svan_suspension_step(SvanQp *qp, SvanRcBudget *budget)
{
    SvanSuspension *susp = suspension_of(qp);

    if (susp->state == SVAN_SUSPENSION_NONE) {
        return SVAN_STEP_IDLE;
    }
    if (((SvanRc *)qp->priv)->resp.dead) {
        suspension_ends(qp, SVAN_SUSPENDED_STOP, SVAN_WAIT_FAILED);
        return SVAN_STEP_DONE;
    }
    if (is_replaying(susp)) {
        return replay(qp, budget);
    }
    switch (susp->wait.state) {
    case SVAN_WAIT_PENDING:
        return reconsider(qp);
    case SVAN_WAIT_FAILED:
        return give_up(qp);
    default:
        svan_suspension_turn(qp, SVAN_SUSPENDED_CAME);
        return replay(qp, budget);
    }
}

/* ---- life ---- */

void svan_suspension_init(SvanQp *qp)
{
    SvanSuspension *susp = suspension_of(qp);

    memset(susp, 0, sizeof(*susp));
    susp->wait.waiter = &qp->waiter;
    svan_kept_init(&susp->kept, &qp->waiter, &qp->policy);
    svan_page_wait_forget(&susp->wait);
    svan_rc_patience_init(&susp->patience, qp);
}

void svan_suspension_clear(SvanQp *qp)
{
    svan_suspension_turn(qp, SVAN_SUSPENDED_STOP);
}
