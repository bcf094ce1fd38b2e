/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiving side of queue pairs whose packets nobody acknowledges, at an absent page:
 * the packet that met it, and those behind it, are held until it comes, or lost (PRM
 * "Faults"). The sender is not told, and does not wait, so there is no bound of time.
 */
#include <string.h>

#include "transport/unreliable.h"

SvanStep svan_unreliable_lose(SvanQp *qp, const SvanPkt *pkt, uint64_t *counter,
                              uint32_t reason)
{
    ++*counter;
    svan_trace(qp->fn, SVAN_TRACE_PKT_DROP, qp->qpn, pkt->opcode, pkt->psn, reason);
    return SVAN_STEP_DONE;
}

/* The oldest receive WQE is at fault; it completes with the status. */
static SvanStep fail_receive(SvanQp *qp, uint8_t status, uint32_t syndrome)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    recv->failure = status;
    recv->syndrome = syndrome;
    svan_qp_error(qp, 0, syndrome);
    return SVAN_STEP_DONE;
}

/* Tables 58 and 59: what the sender has done wrong costs it the message, and no more. */
SvanStep svan_unreliable_obstacle(SvanQp *qp, const SvanPkt *pkt,
                                  const SvanObstacle *obstacle)
{
    struct SvanFnStats *stats = qp->fn->stats;

    switch (obstacle->kind) {
    case SVAN_OBSTACLE_NO_RECEIVE:
        return svan_unreliable_lose(qp, pkt, &stats->out_of_buffer, SVAN_DROP_NO_BUFFER);
    case SVAN_OBSTACLE_TOO_LONG:
        return svan_unreliable_lose(qp, pkt, &stats->resp_local_length_error,
                                    SVAN_DROP_TOO_LONG);
    case SVAN_OBSTACLE_RECEIVE:
        return fail_receive(qp, obstacle->status, obstacle->syndrome);
    case SVAN_OBSTACLE_QUEUE:
        svan_qp_error(qp, SVAN_EVENT_QP_FATAL, obstacle->syndrome);
        return SVAN_STEP_DONE;
    default:
        return svan_unreliable_lose(qp, pkt, &stats->resp_remote_access_errors,
                                    SVAN_DROP_MALFORMED);
    }
}

static SvanStep take(SvanQp *qp, const SvanPkt *pkt)
{
    return qp->kind->completion == SVAN_COMPLETES_DATAGRAM ? svan_ud_take(qp, pkt) :
                                                             svan_uc_take(qp, pkt);
}

/* ---- choosing ---- */

static void count_lost(SvanFn *fn, uint32_t bytes)
{
    fn->stats->fault_dropped_packets++;
    fn->stats->fault_dropped_bytes += bytes;
}

static void lose_kept(SvanQp *qp)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    for (const SvanHeld *held = recv->kept.first; held; held = held->next) {
        count_lost(qp->fn, held->len);
    }
    svan_kept_drop(&recv->kept);
}

/*
 * Packets are held where those of a connection would be diverted, too: no sender waits for
 * them, and what is dropped is not sent again.
 */
static struct svan_fault_policy policy_of(const SvanQp *qp)
{
    struct svan_fault_policy policy = qp->policy;

    if (le32toh(policy.hold_max_us) < le32toh(policy.divert_max_us)) {
        policy.hold_max_us = policy.divert_max_us;
    }
    return policy;
}

/* By what is known of the page. Packets are held until there is a choice. */
static void choose(SvanQp *qp, const SvanEstimate *estimate)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;
    uint64_t now = svan_now(qp->fn->core);
    struct svan_fault_policy policy = policy_of(qp);
    SvanChoice choice = {
        .policy = &policy, .now = now,
        .offered = SVAN_MODE_BIT(HOLD) | SVAN_MODE_BIT(DROP),
    };
    bool before = recv->decided && recv->drops;
    uint8_t mode;

    if (!svan_policy_choose(&choice, estimate, &mode)) {
        return;
    }
    recv->drops = mode == SVAN_FAULT_MODE_DROP;
    if (!recv->decided || before != recv->drops) {
        qp->fn->stats->fault_hold += !recv->drops;
        qp->fn->stats->fault_drop += recv->drops;
        svan_trace(qp->fn, SVAN_TRACE_FAULT_MODE, qp->qpn, recv->wait.token, mode,
                   svan_policy_time_left(&qp->policy, estimate, now));
    }
    recv->decided = true;
    if (recv->drops) {
        lose_kept(qp);
    }
}

/* Keep the packet behind the others, or lose it. DONE, MISS. */
static SvanStep keep_or_lose(SvanQp *qp, const SvanPkt *pkt)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;
    SvanStep step = SVAN_STEP_IDLE;
    SvanHeld *held;

    if (!recv->drops) {
        step = svan_keep(&recv->kept, pkt, SVAN_FAULT_MODE_HOLD, &held);
    }
    if (step == SVAN_STEP_IDLE) {
        uint64_t ignored = 0;

        count_lost(qp->fn, pkt->payload_len);
        svan_unreliable_lose(qp, pkt, &ignored, SVAN_DROP_PAGE_ABSENT);
        return SVAN_STEP_DONE;
    }
    return step;
}

/* ---- an absent page ---- */

static void wait_for_page(SvanQp *qp, const SvanPkt *pkt)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    svan_page_wait(&recv->wait, true);
    recv->writes = svan_op_info(pkt->opcode)->verb == SVAN_VERB_WRITE;
    recv->since = svan_now(qp->fn->core);
    recv->wait.news = true;
    svan_trace(qp->fn, SVAN_TRACE_FAULT, qp->qpn, recv->wait.token, pkt->psn,
               qp->fn->memory->miss.va);
    svan_qp_schedule(qp);               /* to choose by what is known of the page */
}

static SvanStep meet_page(SvanQp *qp, const SvanPkt *pkt)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;
    SvanEstimate estimate = svan_page_expected(qp->fn, qp->policy.sources);
    SvanPageMiss miss = qp->fn->memory->miss;
    SvanStep step;

    recv->decided = recv->drops = false;
    step = keep_or_lose(qp, pkt);
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    qp->fn->stats->page_faults_estimated += estimate.known;
    qp->fn->memory->miss = miss;        /* keeping may have met another */
    wait_for_page(qp, pkt);
    return SVAN_STEP_DONE;
}

SvanStep svan_unreliable_rx(SvanQp *qp, const SvanPkt *pkt)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;
    SvanStep step;

    if (recv->wait.state != SVAN_WAIT_NONE) {
        return keep_or_lose(qp, pkt);
    }
    step = take(qp, pkt);
    return step == SVAN_STEP_FAULT ? meet_page(qp, pkt) : step;
}

/* ---- the page comes, or does not ---- */

static void end(SvanQp *qp, SvanWaitState how)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    svan_trace(qp->fn, SVAN_TRACE_FAULT_END, qp->qpn, recv->wait.token, how,
               svan_now(qp->fn->core) - recv->since);
    svan_page_wait_leave(&recv->wait);
    recv->decided = recv->drops = false;
}

/* Take the oldest of the packets that were kept; without one the wait ends. */
static SvanStep replay(SvanQp *qp)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;
    SvanHeld *held = recv->kept.first;
    SvanStep step;
    SvanPkt pkt;

    if (!held) {
        end(qp, SVAN_WAIT_OVER);
        return SVAN_STEP_DONE;
    }
    step = svan_held_packet(qp->fn, held, &pkt);
    if (step == SVAN_STEP_DONE) {
        step = take(qp, &pkt);
    } else if (step == SVAN_STEP_ERROR) {
        count_lost(qp->fn, held->len);
    }
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    if (step == SVAN_STEP_FAULT) {
        recv->decided = false;
        wait_for_page(qp, &pkt);
        return SVAN_STEP_DONE;
    }
    if (recv->kept.first == held) {     /* else the queue pair has met an error */
        svan_page_wait_forget(&recv->wait);
        svan_kept_drop_first(&recv->kept);
    }
    return SVAN_STEP_DONE;
}

/*
 * A page of a receive buffer never comes: its WQE fails. One that the sender has chosen
 * is not there for it.
 */
static SvanStep give_up(SvanQp *qp)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    qp->fn->stats->fault_fail++;
    lose_kept(qp);
    end(qp, SVAN_WAIT_FAILED);
    svan_page_wait_forget(&recv->wait);
    svan_assembly_end(&recv->assembly);
    return recv->writes ? SVAN_STEP_DONE :
           fail_receive(qp, SVAN_CQE_LOC_PROT_ERR, SVAN_SYN_PAGE);
}

SvanStep svan_unreliable_await(SvanQp *qp)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;
    SvanEstimate estimate;

    switch (recv->wait.state) {
    case SVAN_WAIT_NONE:
        return SVAN_STEP_IDLE;
    case SVAN_WAIT_PENDING:
        if (!recv->wait.news) {
            return SVAN_STEP_IDLE;
        }
        recv->wait.news = false;
        estimate = svan_page_wait_estimate(&recv->wait, qp->policy.sources);
        choose(qp, &estimate);
        return SVAN_STEP_DONE;
    case SVAN_WAIT_FAILED:
        return give_up(qp);
    default:
        return replay(qp);
    }
}

/* ---- life ---- */

void svan_unreliable_receiver_init(SvanQp *qp)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    memset(recv, 0, sizeof(*recv));
    recv->assembly.rq = &qp->rq;
    recv->assembly.srq = qp->srq;
    recv->assembly.receive = qp->srq ? qp->taken : &recv->receive;
    recv->wait.waiter = &qp->waiter;
    svan_kept_init(&recv->kept, &qp->waiter, &qp->policy);
}

void svan_unreliable_receiver_stop(SvanQp *qp)
{
    SvanUnreliableReceiver *recv = &svan_unreliable(qp)->recv;

    if (recv->wait.state != SVAN_WAIT_NONE) {
        lose_kept(qp);
        end(qp, SVAN_WAIT_FAILED);
    }
    svan_page_wait_forget(&recv->wait);
    svan_assembly_end(&recv->assembly);
}
