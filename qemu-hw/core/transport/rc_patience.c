/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RC responder: a remote requester that waits for a page here must be told so before
 * its retries are used up (PRM "Faults"). Its ACK timeout cannot be seen, but its
 * requests that come again can. An RNR NAK makes it wait without a timeout.
 */
#include <string.h>

#include "transport/rc.h"

static void fire_bound(SvanTimer *timer)
{
    SvanRcPatience *patience = svan_container(timer, SvanRcPatience,
                                              bound_timer);

    patience->over = true;
    svan_qp_schedule(patience->qp);
}

void svan_rc_patience_init(SvanRcPatience *patience, SvanQp *qp)
{
    memset(patience, 0, sizeof(*patience));
    patience->qp = qp;
    patience->timeout = UINT64_MAX;
    svan_timer_init(&patience->bound_timer, fire_bound);
}

/*
 * A requester that has shown its ACK timeout is told to wait before it times out again.
 * The bound is only a fourth of what it has shown, since the timeout may be shorter:
 * some copies of the request may have been lost.
 */
static void start_bound(SvanRcPatience *patience)
{
    SvanQp *qp = patience->qp;
    uint64_t bound = le32toh(qp->policy.bound_us) * 1000ull;

    if (bound > patience->timeout / 4) {
        bound = patience->timeout / 4;
    }
    if (bound) {
        svan_timer_set(qp->fn->core, &patience->bound_timer,
                       svan_now(qp->fn->core) + bound);
    }
}

void svan_rc_patience_answered(SvanRcPatience *patience)
{
    patience->over = false;
    patience->returned = false;
    patience->timed_out = false;
}

static void stop(SvanRcPatience *patience)
{
    svan_timer_cancel(patience->qp->fn->core, &patience->bound_timer);
    svan_rc_patience_answered(patience);
}

void svan_rc_patience_begin(SvanRcPatience *patience, uint32_t psn)
{
    stop(patience);
    patience->met = patience->seen = svan_now(patience->qp->fn->core);
    if (psn != patience->psn) {
        patience->psn = psn;
        patience->timeout = UINT64_MAX;
    }
    patience->naks = 0;
    if (!patience->told) {
        start_bound(patience);
    }
}

void svan_rc_patience_end(SvanRcPatience *patience)
{
    stop(patience);
    patience->told = false;
}

void svan_rc_patience_told(SvanRcPatience *patience)
{
    stop(patience);
    patience->told = true;
    patience->naks++;
}

void svan_rc_patience_heard(SvanRcPatience *patience)
{
    uint64_t now = svan_now(patience->qp->fn->core);
    uint64_t since = now - patience->seen;

    if (patience->told) {
        patience->told = false;
        patience->returned = true;
        start_bound(patience);          /* its ACK timeout begins anew */
    } else if (since >= SVAN_RC_LEAST_TIMEOUT_NS) {
        patience->timed_out = true;
        patience->timeout = since < patience->timeout ? since :
                                                        patience->timeout;
    } else {
        return;
    }
    patience->seen = now;
    svan_qp_schedule(patience->qp);
}

bool svan_rc_patience_asks(const SvanRcPatience *patience)
{
    return patience->over || patience->returned || patience->timed_out;
}

uint64_t svan_rc_remaining_ns(const SvanQp *qp, const SvanEstimate *estimate)
{
    return svan_policy_time_left(&qp->policy, estimate, svan_now(qp->fn->core));
}

bool svan_rc_is_far(const SvanQp *qp, const SvanEstimate *estimate)
{
    return estimate->known && svan_rc_remaining_ns(qp, estimate) >
                              le32toh(qp->policy.hold_max_us) * 1000ull;
}

/*
 * A page that takes longer than estimated is expected to take as long again as it has
 * taken so far; but for a requester that is back for the first time, the estimate alone
 * counts. One that has timed out is told to wait in any case, as that may have been the
 * last of its retries. Under a policy without a bound estimates alone count.
 */
bool svan_rc_patience_is_out(const SvanRcPatience *patience,
                             const SvanEstimate *estimate, uint64_t *ns)
{
    const SvanQp *qp = patience->qp;
    uint64_t so_far = svan_now(qp->fn->core) - patience->met;
    uint64_t left = svan_rc_remaining_ns(qp, estimate);
    bool doubt = patience->naks < 2 && !patience->over && !patience->timed_out;
    uint64_t limit = le32toh(qp->policy.hold_max_us) * 1000ull;

    *ns = left > so_far || doubt ? left : so_far;
    if (!qp->policy.bound_us) {
        return svan_rc_is_far(qp, estimate);
    }
    return patience->over || patience->timed_out || *ns > limit;
}

/* The code of the shortest time that covers ns and the QP's own time (9.7.5.2.8). */
uint8_t svan_rc_rnr_code(const SvanQp *qp, uint64_t ns)
{
    uint64_t least = svan_rc_rnr_ns(qp->min_rnr_timer);
    uint8_t code = 1;

    ns = ns > least ? ns : least;
    while (code < SVAN_AETH_VALUE_MASK && svan_rc_rnr_ns(code) < ns) {
        code++;
    }
    return svan_rc_rnr_ns(code) < ns ? 0 : code;        /* 0: the longest */
}
