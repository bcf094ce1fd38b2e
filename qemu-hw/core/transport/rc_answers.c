/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RC responder, the sending half: the QP's step sends responses in the order of their
 * PSNs, then the NAK, then one ACK for everything (9.7.5.1.2). While a response
 * waits for its page, what lies before it is acknowledged, and its requester is told to
 * wait.
 */
#include <string.h>

#include "transport/rc.h"

void svan_rc_owed_drop(SvanRcResponder *resp)
{
    if (!resp->owed[0].duplicate) {
        resp->num_new--;
    }
    resp->num_owed--;
    memmove(&resp->owed[0], &resp->owed[1],
            resp->num_owed * sizeof(resp->owed[0]));
}

/* The ACK extended header, 9.7.5.2.1; flow control by credits is not used. */
static void fill_aeth(SvanPkt *pkt, uint8_t syndrome, uint32_t msn)
{
    pkt->syndrome = syndrome;
    pkt->msn = msn;
}

#define AETH_POSITIVE   (SVAN_AETH_ACK | SVAN_AETH_NO_CREDITS)

static SvanStep send_aeth(SvanQp *qp, uint8_t syndrome, uint32_t psn,
                          uint32_t msn, uint8_t bth_flags)
{
    SvanPkt pkt;

    svan_qp_packet(qp, &pkt, SVAN_OP_ACK, psn);
    pkt.bth_flags |= bth_flags;
    fill_aeth(&pkt, syndrome, msn);
    return svan_qp_send(qp, &pkt);
}

/* ---- NAK ---- */

static SvanStep send_nak(SvanQp *qp)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanRcNak nak = resp->nak;
    SvanStep step = send_aeth(qp, nak.aeth, nak.psn, resp->msn,
                              nak.call_back ? SVAN_BTH_SE : 0);

    if (step != SVAN_STEP_DONE) {
        return step;
    }
    resp->nak.pending = false;
    resp->ack_due = false;
    resp->unsaid = false;
    if ((nak.aeth & SVAN_AETH_KIND_MASK) == SVAN_AETH_RNR_NAK) {
        svan_suspension_told_to_wait(qp);
    }
    if (nak.fatal) {
        svan_qp_error(qp, nak.event, nak.syndrome);
    }
    return SVAN_STEP_DONE;
}

/* ---- responses ---- */

static SvanStep send_atomic(SvanQp *qp, const SvanRcOwed *owed)
{
    SvanStep step;
    SvanPkt pkt;

    svan_qp_packet(qp, &pkt, SVAN_OP_ATOMIC_ACK, owed->psn);
    fill_aeth(&pkt, AETH_POSITIVE, owed->msn);
    pkt.orig = owed->orig;
    step = svan_qp_send(qp, &pkt);
    if (step == SVAN_STEP_DONE) {
        svan_rc_owed_drop(&((SvanRc *)qp->priv)->resp);
        ((SvanRc *)qp->priv)->resp.early_ack = false;
    }
    return step;
}

/* The READ's memory was accessible when the request came, and is not any more. */
static SvanStep read_failed(SvanQp *qp, const SvanRcOwed *owed,
                            uint32_t syndrome)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;

    if (owed->duplicate) {
        svan_rc_owed_drop(resp);
        return SVAN_STEP_DONE;
    }
    qp->fn->stats->resp_remote_access_errors++;
    svan_trace(qp->fn, SVAN_TRACE_NAK, qp->qpn,
               SVAN_AETH_NAK | SVAN_NAK_REMOTE_ACCESS, owed->psn, 0);
    resp->nak = (SvanRcNak) {
        .pending = true, .fatal = true, .psn = owed->psn,
        .aeth = SVAN_AETH_NAK | SVAN_NAK_REMOTE_ACCESS,
        .event = SVAN_EVENT_QP_ACCESS_ERR, .syndrome = syndrome,
    };
    resp->dead = true;
    resp->num_owed = 0;
    resp->num_new = 0;
    return SVAN_STEP_DONE;
}

static void read_sent(SvanRcResponder *resp, uint32_t payload, bool last)
{
    SvanRcOwed *owed = &resp->owed[0];

    svan_page_wait_forget(&resp->read_wait);
    resp->early_ack = false;            /* the response acknowledges that */
    if (last) {
        svan_rc_owed_drop(resp);
        return;
    }
    owed->begun = true;
    owed->psn = (owed->psn + 1) & SVAN_PSN_MASK;
    owed->va += payload;
    owed->length -= payload;
}

static SvanStep send_read(SvanQp *qp, SvanRcBudget *budget,
                          const SvanRcOwed *owed)
{
    uint32_t mtu = svan_qp_mtu(qp), syndrome;
    bool last = owed->length <= mtu;
    uint32_t payload = last ? owed->length : mtu;
    SvanAccess access = {
        .fn = qp->fn, .user = &qp->user, .key = owed->rkey, .va = owed->va,
        .len = owed->length, .access = SVAN_ACCESS_REMOTE_READ,
    };
    SvanStep step;
    SvanPkt pkt;

    if (!svan_rc_afford(budget, payload)) {
        return SVAN_STEP_DONE;
    }
    svan_qp_packet(qp, &pkt, svan_op_part(SVAN_VERB_READ, !owed->begun, last,
                                          false), owed->psn);
    step = svan_qp_remote(&access, payload, pkt.runs, &pkt.num_runs, &syndrome);
    if (step == SVAN_STEP_ERROR) {
        return read_failed(qp, owed, syndrome);
    }
    if (step == SVAN_STEP_FAULT) {
        svan_page_wait(&((SvanRc *)qp->priv)->resp.read_wait, true);
        svan_rc_patience_begin(&((SvanRc *)qp->priv)->resp.patience, owed->psn);
        return SVAN_STEP_DONE;
    }
    fill_aeth(&pkt, AETH_POSITIVE, owed->msn);
    pkt.payload_len = payload;
    if (step == SVAN_STEP_DONE) {
        step = svan_qp_send(qp, &pkt);
    }
    if (step == SVAN_STEP_DONE) {
        read_sent(&((SvanRc *)qp->priv)->resp, payload, last);
    }
    return step;
}

/* ---- a response that waits for its page ---- */

/* The oldest answer waits for a page. false: the page has not come yet. */
static bool page_has_come(SvanQp *qp)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanWaitState state = resp->read_wait.state;

    if (state == SVAN_WAIT_PENDING && resp->num_owed) {
        return false;
    }
    svan_page_wait_leave(&resp->read_wait);
    svan_rc_patience_end(&resp->patience);
    if (state == SVAN_WAIT_FAILED && resp->num_owed) {
        qp->fn->stats->fault_fail++;
        read_failed(qp, &resp->owed[0], SVAN_SYN_PAGE);
    }
    return true;
}

/*
 * If the oldest answer begins elsewhere than before, the wait for a page ends: the
 * pages that are needed first come first.
 */
void svan_rc_asked_again(SvanQp *qp, uint32_t old_psn)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;

    if (resp->read_wait.state != SVAN_WAIT_PENDING) {
        return;
    }
    if (resp->owed[0].psn == old_psn) {
        svan_rc_patience_heard(&resp->patience);
        return;
    }
    svan_page_wait_leave(&resp->read_wait);
    svan_rc_patience_end(&resp->patience);
}

/* Does the PSN lie behind the oldest answer, which waits for a page? */
static bool is_kept_back(const SvanRcResponder *resp, uint32_t psn)
{
    return resp->read_wait.state == SVAN_WAIT_PENDING && resp->num_owed &&
           psn != resp->owed[0].psn &&
           svan_rc_psn_sub(psn, resp->owed[0].psn) < SVAN_RC_PSN_HALF;
}

static void drop_waiting(SvanQp *qp)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;

    svan_page_wait_leave(&resp->read_wait);
    svan_rc_patience_end(&resp->patience);
    svan_rc_owed_drop(resp);
    svan_qp_schedule(qp);
}

/* ns since a new request came or the duplicate met its page, whichever was later. */
static uint64_t ns_since_news(const SvanRcResponder *resp, uint64_t now)
{
    return now - (resp->heard_ns > resp->patience.met ? resp->heard_ns :
                                                        resp->patience.met);
}

/*
 * A requester that sends again from a PSN behind a duplicate has received the answer to
 * it. So an answer to a duplicate that waits for a page is dropped then, and does not
 * keep back later ones. A copy that comes soon after a new request says nothing about
 * the requester: the network may have made it, or delivered it late.
 */
void svan_rc_request_heard(SvanQp *qp, uint32_t psn)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    bool back = svan_rc_psn_sub(resp->heard, psn) < SVAN_RC_PSN_HALF;
    uint64_t now;

    if (!is_kept_back(resp, psn) || !resp->owed[0].duplicate) {
        resp->heard = psn;
        return;
    }
    now = svan_now(qp->fn->core);
    if (!back) {
        resp->heard = psn;
        resp->heard_ns = now;
    } else if (ns_since_news(resp, now) >= SVAN_RC_LEAST_TIMEOUT_NS) {
        resp->heard = psn;
        drop_waiting(qp);
    }
}

/*
 * Is the requester to be told to wait, and how long? A page that is gone again is
 * waited for in silence until the bound, so that it does not cost a retry each time.
 * A requester that was told already is told again only if the page is known to be far.
 */
static bool is_to_be_told(SvanQp *qp, uint64_t *ns)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanEstimate estimate = svan_page_wait_estimate(&resp->read_wait,
                                                qp->policy.sources);
    uint8_t mode;

    if (svan_rc_patience_asks(&resp->patience)) {
        return svan_rc_patience_is_out(&resp->patience, &estimate, ns);
    }
    *ns = svan_rc_remaining_ns(qp, &estimate);
    return !resp->patience.told && !resp->read_wait.attempt &&
           (!resp->patience.naks || svan_rc_is_far(qp, &estimate)) &&
           svan_suspension_choose(qp, &estimate, &mode) &&
           mode == SVAN_FAULT_MODE_RNR;
}

static SvanStep tell(SvanQp *qp, uint64_t ns)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    uint8_t aeth = SVAN_AETH_RNR_NAK | svan_rc_rnr_code(qp, ns);
    SvanStep step = send_aeth(qp, aeth, resp->owed[0].psn, resp->msn, 0);

    if (step == SVAN_STEP_DONE) {
        svan_trace(qp->fn, SVAN_TRACE_NAK, qp->qpn, aeth, resp->owed[0].psn, 0);
        qp->fn->stats->fault_rnr += !resp->patience.naks;
        qp->fn->stats->rnr_nak_sent++;
        resp->early_ack = false;        /* the NAK acknowledges that, too */
        svan_rc_patience_told(&resp->patience);
    }
    return step;
}

static SvanStep while_it_waits(SvanQp *qp)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    const SvanRcOwed *owed = &resp->owed[0];
    SvanStep step = SVAN_STEP_DONE;
    uint64_t ns;

    if (resp->early_ack && !owed->begun) {
        step = send_aeth(qp, AETH_POSITIVE, owed->psn - 1,
                         owed->msn - !owed->duplicate, 0);
        resp->early_ack &= step != SVAN_STEP_DONE;
        return step;
    }
    if (!resp->read_wait.news && !svan_rc_patience_asks(&resp->patience)) {
        return SVAN_STEP_IDLE;
    }
    if (is_to_be_told(qp, &ns)) {
        step = tell(qp, ns);
    }
    if (step == SVAN_STEP_DONE) {
        svan_rc_patience_answered(&resp->patience);
        resp->read_wait.news = false;
    }
    return step;
}

SvanStep svan_rc_respond(SvanQp *qp, SvanRcBudget *budget)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanStep step;

    if (resp->read_wait.state != SVAN_WAIT_NONE && !page_has_come(qp)) {
        return while_it_waits(qp);
    }
    if (resp->num_owed) {
        const SvanRcOwed *owed = &resp->owed[0];

        return owed->atomic ? send_atomic(qp, owed) :
                              send_read(qp, budget, owed);
    }
    if (resp->nak.pending) {
        return send_nak(qp);
    }
    if (!resp->ack_due) {
        return SVAN_STEP_IDLE;
    }
    step = send_aeth(qp, AETH_POSITIVE, resp->epsn - 1, resp->msn, 0);
    if (step == SVAN_STEP_DONE) {
        resp->ack_due = false;
        resp->unsaid = false;
    }
    return step;
}
