/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RC responder, the receiving half: validates requests in the order of the
 * specification (9.7.4.1, table 58), executes them, and notes what is owed
 * (rc_answers.c). Nothing is transmitted here and the QP's state is not changed.
 */
#include <string.h>

#include "transport/rc.h"

/* ---- refusing ---- */

void svan_rc_record_nak(SvanQp *qp, const SvanRcNak *nak)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;

    resp->nak = *nak;
    resp->nak.pending = true;
    resp->nak.psn = resp->epsn;
    resp->quiet = true;
    resp->dead = nak->fatal;
    svan_trace(qp->fn, SVAN_TRACE_NAK, qp->qpn, nak->aeth, resp->epsn, 0);
    svan_qp_schedule(qp);
}

/* Refuse a request, which takes the QP to the error state (tables 44 and 58). */
static SvanStep refuse(SvanQp *qp, uint8_t code, uint8_t event,
                       uint32_t syndrome)
{
    SvanRcNak nak = {
        .fatal = true, .aeth = SVAN_AETH_NAK | code, .event = event,
        .syndrome = syndrome,
    };

    if (code == SVAN_NAK_REMOTE_ACCESS) {
        qp->fn->stats->resp_remote_access_errors++;
    }
    svan_rc_record_nak(qp, &nak);
    return SVAN_STEP_DONE;
}

static SvanStep refuse_invalid(SvanQp *qp, uint32_t syndrome)
{
    return refuse(qp, SVAN_NAK_INVALID_REQUEST, SVAN_EVENT_QP_REQ_ERR,
                  syndrome);
}

static SvanStep refuse_access(SvanQp *qp, uint32_t syndrome)
{
    return refuse(qp, SVAN_NAK_REMOTE_ACCESS, SVAN_EVENT_QP_ACCESS_ERR,
                  syndrome);
}

/* The receive WQE in use is at fault; it completes with recv_status. */
static SvanStep refuse_receive(SvanQp *qp, uint8_t code, uint8_t recv_status,
                               uint32_t syndrome)
{
    SvanRcNak nak = {
        .fatal = true, .aeth = SVAN_AETH_NAK | code,
        .recv_status = recv_status, .syndrome = syndrome,
    };

    if (recv_status == SVAN_CQE_LOC_LEN_ERR) {
        qp->fn->stats->resp_local_length_error++;
    }
    svan_rc_record_nak(qp, &nak);
    return SVAN_STEP_DONE;
}

/* A local queue is at fault, and no receive WQE can say so. */
static SvanStep refuse_local(SvanQp *qp, uint32_t syndrome)
{
    return refuse(qp, SVAN_NAK_REMOTE_OPERATIONAL, SVAN_EVENT_QP_FATAL,
                  syndrome);
}

static SvanStep not_ready(SvanQp *qp)
{
    SvanRcNak nak = {
        .aeth = SVAN_AETH_RNR_NAK | (qp->min_rnr_timer & SVAN_AETH_VALUE_MASK),
    };

    qp->fn->stats->out_of_buffer++;
    qp->fn->stats->rnr_nak_sent++;
    svan_rc_record_nak(qp, &nak);
    return SVAN_STEP_DONE;
}

SvanStep svan_rc_refuse_page(SvanQp *qp, uint8_t opcode)
{
    return svan_op_info(opcode)->verb == SVAN_VERB_SEND ?
           refuse_receive(qp, SVAN_NAK_REMOTE_OPERATIONAL,
                          SVAN_CQE_LOC_PROT_ERR, SVAN_SYN_PAGE) :
           refuse_access(qp, SVAN_SYN_PAGE);
}

/* ---- progress ---- */

/*
 * A request of the expected PSN was executed. If it has a response of its own, no ACK
 * is due, as the response acknowledges the request and all before it.
 */
static void executed(SvanQp *qp, const SvanPkt *pkt, uint32_t psns,
                     bool response)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanSuspension *suspension = &((SvanRc *)qp->priv)->suspension;

    resp->epsn = (resp->epsn + psns) & SVAN_PSN_MASK;
    suspension->called_back = false;
    svan_page_wait_forget(&suspension->wait);
    resp->quiet = false;
    resp->nak.pending = false;
    resp->unsaid |= !response;
    resp->early_ack |= response && (resp->ack_due || resp->unsaid);
    resp->ack_due = !response && (resp->ack_due || pkt->ack_req);
    if (!resp->established && qp->state == SVAN_QPS_RTR) {
        svan_event(&qp->events, SVAN_EVENT_QP_COMM_EST, 0);
    }
    resp->established = true;
    if (resp->ack_due) {
        svan_qp_schedule(qp);
    }
}

static void message_done(SvanRcResponder *resp)
{
    resp->msn = (resp->msn + 1) & SVAN_PSN_MASK;
}

/* ---- SEND and RDMA WRITE ---- */

/* Tell the requester of an obstacle, by tables 44 and 58. */
static SvanStep refuse_for(SvanQp *qp, const SvanObstacle *obstacle)
{
    switch (obstacle->kind) {
    case SVAN_OBSTACLE_ACCESS:
        return refuse_access(qp, obstacle->syndrome);
    case SVAN_OBSTACLE_NO_RECEIVE:
        return not_ready(qp);
    case SVAN_OBSTACLE_TOO_LONG:
        return refuse_receive(qp, SVAN_NAK_INVALID_REQUEST, obstacle->status,
                              obstacle->syndrome);
    case SVAN_OBSTACLE_RECEIVE:
        return refuse_receive(qp, SVAN_NAK_REMOTE_OPERATIONAL,
                              obstacle->status, obstacle->syndrome);
    case SVAN_OBSTACLE_QUEUE:
        return refuse_local(qp, obstacle->syndrome);
    default:
        return refuse_invalid(qp, obstacle->syndrome);
    }
}

static SvanStep rx_data(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanObstacle obstacle;
    SvanStep step = svan_assemble(qp, &resp->assembly, pkt, &obstacle);

    switch (step) {
    case SVAN_STEP_DONE:
        if (svan_op_info(pkt->opcode)->last) {
            message_done(resp);
        }
        executed(qp, pkt, 1, false);
        return step;
    case SVAN_STEP_FAULT:
        return svan_suspension_begin(qp, pkt);
    case SVAN_STEP_ERROR:
        return refuse_for(qp, &obstacle);
    default:
        return step;
    }
}

/* The memory of a request cannot be accessed in this step, or not at all. */
static SvanStep remote_refused(SvanQp *qp, const SvanPkt *pkt, SvanStep step,
                               uint32_t syndrome)
{
    switch (step) {
    case SVAN_STEP_FAULT:
        return svan_suspension_begin(qp, pkt);
    case SVAN_STEP_ERROR:
        return refuse_access(qp, syndrome);
    default:
        return step;
    }
}

/* ---- READ and atomics: what is owed ---- */

/* How far the PSN lies before the expected one, as all that is owed does. */
static uint32_t age(const SvanRcResponder *resp, uint32_t psn)
{
    return svan_rc_psn_sub(resp->epsn, psn);
}

/* The PSN behind the last packet of an answer. No two answers have the same. */
static uint32_t owed_end(const SvanQp *qp, const SvanRcOwed *owed)
{
    uint32_t packets = owed->atomic ? 1 : svan_segments(qp, owed->length);

    return (owed->psn + packets) & SVAN_PSN_MASK;
}

/*
 * Put an answer among those owed, in the order of PSNs. If it is owed already it begins
 * anew at the PSN that is asked for, since what lies before that has arrived
 * (9.7.5.1.3). Duplicates beyond the number that may be outstanding are dropped.
 */
static void owe(SvanQp *qp, const SvanRcOwed *owed)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    uint32_t end_age = age(resp, owed_end(qp, owed)), i = 0;
    uint32_t first;

    if (!svan_rc_owed_room(resp)) {
        return;                 /* only a duplicate, which will be asked for again */
    }
    first = resp->owed[0].psn;
    while (i < resp->num_owed &&
           age(resp, owed_end(qp, &resp->owed[i])) > end_age) {
        i++;
    }
    if (i < resp->num_owed &&
        age(resp, owed_end(qp, &resp->owed[i])) == end_age) {
        bool duplicate = resp->owed[i].duplicate;

        resp->owed[i] = *owed;
        resp->owed[i].duplicate = duplicate;
    } else if (!owed->duplicate || resp->num_owed - resp->num_new <
                                   SVAN_MAX_RD_ATOMIC) {
        memmove(&resp->owed[i + 1], &resp->owed[i],
                (resp->num_owed - i) * sizeof(resp->owed[0]));
        resp->owed[i] = *owed;
        resp->num_owed++;
        resp->num_new += !owed->duplicate;
    } else {
        return;
    }
    if (!i) {
        svan_rc_asked_again(qp, first);
    }
    svan_qp_schedule(qp);
}

static SvanStep rx_read(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanAccess access = {
        .fn = qp->fn, .user = &qp->user, .key = pkt->rkey, .va = pkt->va,
        .len = pkt->dma_len, .access = SVAN_ACCESS_REMOTE_READ,
    };
    SvanRcOwed owed = {
        .psn = pkt->psn, .rkey = pkt->rkey, .length = pkt->dma_len,
        .va = pkt->va,
    };
    uint32_t syndrome;

    if (!(qp->access & SVAN_ACCESS_REMOTE_READ)) {
        return refuse_invalid(qp, SVAN_SYN_KEY_ACCESS);
    }
    if (pkt->dma_len > SVAN_MAX_MSG) {
        return refuse_invalid(qp, SVAN_SYN_LENGTH);
    }
    if (resp->num_new >= qp->max_dest_rd_atomic) {
        return refuse_invalid(qp, SVAN_SYN_OPCODE);
    }
    if (access.len) {
        /* An absent page is better met now than when the response is to be sent. */
        SvanMem first;
        SvanStep step = svan_access(&access, &first, &syndrome);

        if (step != SVAN_STEP_DONE) {
            return remote_refused(qp, pkt, step, syndrome);
        }
    }
    if (!svan_rc_owed_room(resp)) {
        return not_ready(qp);
    }
    qp->fn->stats->rx_read_requests++;
    message_done(resp);
    owed.msn = resp->msn;
    executed(qp, pkt, svan_segments(qp, pkt->dma_len), true);
    owe(qp, &owed);
    return SVAN_STEP_DONE;
}

/* Atomic with the guest's CPUs, which may use LOCK instructions on the same word. */
static uint64_t execute_atomic(void *host, const SvanPkt *pkt)
{
    uint64_t *word = host;
    uint64_t orig;

    if (pkt->opcode == SVAN_OP_CMP_SWP) {
        orig = htole64(pkt->compare);
        __atomic_compare_exchange_n(word, &orig, htole64(pkt->swap_add), false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return le64toh(orig);
    }
#if __BYTE_ORDER == __LITTLE_ENDIAN
    return __atomic_fetch_add(word, pkt->swap_add, __ATOMIC_SEQ_CST);
#else
    orig = __atomic_load_n(word, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(word, &orig,
                                        htole64(le64toh(orig) + pkt->swap_add),
                                        false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
    }
    return le64toh(orig);
#endif
}

/* An older atomic may have had the same PSN before PSNs wrapped: it is forgotten. */
static void remember_atomic(SvanRcResponder *resp, const SvanRcOwed *owed)
{
    for (uint32_t i = 0; i < SVAN_MAX_RD_ATOMIC; i++) {
        resp->atomics[i].valid &= resp->atomics[i].psn != owed->psn;
    }
    resp->atomics[resp->next_atomic] = (SvanRcAtomic) {
        .valid = true, .psn = owed->psn, .msn = owed->msn, .orig = owed->orig,
    };
    resp->next_atomic = (resp->next_atomic + 1) % SVAN_MAX_RD_ATOMIC;
}

/* 9.4.5: an atomic is done on an aligned word of 8 octets. */
static SvanStep rx_atomic(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanAccess access = {
        .fn = qp->fn, .user = &qp->user, .key = pkt->rkey, .va = pkt->va,
        .len = 8, .access = SVAN_ACCESS_REMOTE_ATOMIC,
    };
    SvanRcOwed owed = { .atomic = true, .psn = pkt->psn };
    uint32_t num_runs, syndrome;
    SvanMem runs[SVAN_MAX_PKT_RUNS];
    SvanStep step;

    if (!(qp->access & SVAN_ACCESS_REMOTE_ATOMIC)) {
        return refuse_invalid(qp, SVAN_SYN_KEY_ACCESS);
    }
    if (pkt->va & 7) {
        return refuse_invalid(qp, SVAN_SYN_ALIGNMENT);
    }
    if (resp->num_new >= qp->max_dest_rd_atomic) {
        return refuse_invalid(qp, SVAN_SYN_OPCODE);
    }
    step = svan_qp_remote(&access, 8, runs, &num_runs, &syndrome);
    if (step != SVAN_STEP_DONE) {
        return remote_refused(qp, pkt, step, syndrome);
    }
    if (num_runs != 1 || ((uintptr_t)runs[0].host & 7)) {
        return refuse_invalid(qp, SVAN_SYN_ALIGNMENT);
    }
    if (!svan_rc_owed_room(resp) || !svan_rc_atomics_room(resp)) {
        return not_ready(qp);
    }
    owed.orig = execute_atomic(runs[0].host, pkt);
    svan_stored(qp->fn, &runs[0]);
    qp->fn->stats->rx_atomic_requests++;
    message_done(resp);
    owed.msn = resp->msn;
    remember_atomic(resp, &owed);
    executed(qp, pkt, 1, true);
    owe(qp, &owed);
    return SVAN_STEP_DONE;
}

/* ---- duplicates, 9.7.5.1.3 ---- */

/*
 * A duplicate READ is executed again if all of it lies in the past and it is still
 * permitted. Otherwise it is ignored, and no reason to break the connection.
 */
static void read_again(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanRcOwed owed = {
        .duplicate = true, .psn = pkt->psn, .msn = resp->msn,
        .rkey = pkt->rkey, .length = pkt->dma_len, .va = pkt->va,
    };

    if (pkt->dma_len <= SVAN_MAX_MSG &&
        (qp->access & SVAN_ACCESS_REMOTE_READ) &&
        svan_segments(qp, pkt->dma_len) <= age(resp, pkt->psn)) {
        owe(qp, &owed);
    }
}

static void atomic_again(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;

    for (uint32_t i = 0; resp->atomics && i < SVAN_MAX_RD_ATOMIC; i++) {
        const SvanRcAtomic *done = &resp->atomics[i];
        SvanRcOwed owed = {
            .atomic = true, .duplicate = true, .psn = done->psn,
            .msn = done->msn, .orig = done->orig,
        };

        if (done->valid && done->psn == pkt->psn) {
            owe(qp, &owed);
            return;
        }
    }
}

static SvanStep rx_duplicate(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;

    qp->fn->stats->duplicate_request++;
    svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn,
               SVAN_DROP_DUPLICATE);
    switch (svan_op_info(pkt->opcode)->verb) {
    case SVAN_VERB_READ:
        read_again(qp, pkt);
        break;
    case SVAN_VERB_ATOMIC:
        atomic_again(qp, pkt);
        break;
    default:
        resp->ack_due = true;
        resp->early_ack |= resp->num_owed &&
                           age(resp, pkt->psn) > age(resp, resp->owed[0].psn);
        svan_qp_schedule(qp);
        break;
    }
    return SVAN_STEP_DONE;
}

/* One NAK is sent for each gap. After an RNR NAK a gap is expected, and not counted. */
static SvanStep rx_out_of_sequence(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    SvanRcNak nak = { .aeth = SVAN_AETH_NAK | SVAN_NAK_PSN_SEQ };
    bool rnr = resp->quiet &&
               (resp->nak.aeth & SVAN_AETH_KIND_MASK) == SVAN_AETH_RNR_NAK;

    qp->fn->stats->out_of_sequence += !rnr;
    svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn,
               SVAN_DROP_OUT_OF_SEQUENCE);
    if (!resp->quiet) {
        svan_rc_record_nak(qp, &nak);
    }
    return SVAN_STEP_DONE;
}

/* ---- dispatch ---- */

static SvanStep (*const by_verb[])(SvanQp *qp, const SvanPkt *pkt) = {
    [SVAN_VERB_SEND]    = rx_data,
    [SVAN_VERB_WRITE]   = rx_data,
    [SVAN_VERB_READ]    = rx_read,
    [SVAN_VERB_ATOMIC]  = rx_atomic,
};

SvanStep svan_rc_execute(SvanQp *qp, const SvanPkt *pkt)
{
    const SvanRcResponder *resp = &((const SvanRc *)qp->priv)->resp;

    if (!svan_assembly_continues(&resp->assembly, pkt)) {
        return refuse_invalid(qp, SVAN_SYN_OPCODE);
    }
    if (!svan_assembly_fits(qp, pkt)) {
        return refuse_invalid(qp, SVAN_SYN_LENGTH);
    }
    return by_verb[svan_op_info(pkt->opcode)->verb](qp, pkt);
}

SvanStep svan_rc_rx_request(SvanQp *qp, const SvanPkt *pkt)
{
    SvanRcResponder *resp = &((SvanRc *)qp->priv)->resp;
    const SvanSuspension *suspension = &((SvanRc *)qp->priv)->suspension;
    uint32_t ahead = svan_rc_psn_sub(pkt->psn, resp->epsn);

    /*
     * Answers that are owed leave before the fatal NAK, so duplicates are still taken.
     */
    if (resp->dead && !(resp->num_owed && ahead >= SVAN_RC_PSN_HALF)) {
        svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn,
                   SVAN_DROP_WRONG_STATE);
        return SVAN_STEP_DONE;
    }
    if (ahead >= SVAN_RC_PSN_HALF) {
        return rx_duplicate(qp, pkt);
    }
    if (suspension->state != SVAN_SUSPENSION_NONE) {
        return svan_suspension_rx(qp, pkt);
    }
    return ahead ? rx_out_of_sequence(qp, pkt) : svan_rc_execute(qp, pkt);
}

/* ---- flushing ---- */

SvanStep svan_rc_flush_rq(SvanQp *qp, SvanRcBudget *budget)
{
    SvanRcNak *nak = &((SvanRc *)qp->priv)->resp.nak;

    return svan_qp_flush_receive(qp, &nak->recv_status, nak->syndrome);
}
