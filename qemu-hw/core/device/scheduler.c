/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scheduler: which object has the next step.
 */
#include "device/device.h"

#define TIMER_LOOK      8       /* runs between two looks at the clock */
/* Functions ahead leave one turn of so many and one to others, who would starve else. */
#define MAX_TURNS_AHEAD 31

/* ---- queue pairs ---- */

/* One step of the function's next QP. IDLE: the QP had nothing to do. */
static SvanStep qp_turn(SvanFn *fn)
{
    SvanLink *qps = &fn->work[SVAN_TURN_QP].objects;
    SvanQp *qp = svan_container(qps->next, SvanQp, work.ready);
    SvanStep step;

    svan_list_remove(&qp->work.ready);
    step = qp->transport->step(qp);
    if (step != SVAN_STEP_BLOCKED) {
        /* The next that waits for the wire comes before this one, which has had its turn. */
        svan_work_sent(&qp->work);
    }
    switch (step) {
    case SVAN_STEP_DONE:
    case SVAN_STEP_AGAIN:
        svan_qp_schedule(qp);
        if (qp->state >= SVAN_QPS_RTS && !svan_poll_is_armed(&qp->sq)) {
            svan_poll_arm(&qp->sq);
        }
        break;
    case SVAN_STEP_MISS:
        svan_list_first(qps, &qp->work.ready);
        break;
    case SVAN_STEP_BLOCKED:
        svan_work_block(&qp->work);
        svan_poll_park(&qp->sq);
        break;
    default:
        qp->sq.last_active = 0;
        if (qp->sq.poll_parked && !qp->work.blocked.next) {
            svan_poll_begin(&qp->sq);
        }
        return SVAN_STEP_IDLE;
    }
    return step;
}

/* ---- functions ahead ---- */

/* Has it sent less than its share, or its group less than the group's? */
static inline bool is_ahead(const SvanFn *fn, uint64_t now)
{
    return (fn->ahead_from[0] && *fn->ahead_from[0] <= now) ||
           (fn->ahead_from[1] && *fn->ahead_from[1] <= now);
}

/*
 * The next turn to send is that of the first function that is ahead, whosever turn it would be,
 * and is free; after many such turns, or if none is ahead, it is that of the least served which
 * is not.
 */
static SvanFn *choose_sender(SvanCore *core)
{
    SvanLink *fns = &core->work[SVAN_TURN_QP];
    SvanFn *ahead = NULL, *least = NULL, *fn;
    uint64_t now = svan_lately(core);

    for (SvanLink *link = fns->next; link != fns; link = link->next) {
        fn = svan_fn_at(link, SVAN_TURN_QP);
        if (is_ahead(fn, now)) {
            ahead = ahead ? ahead : fn;
            if (core->turns_ahead < MAX_TURNS_AHEAD) {
                break;
            }
        } else if (!least || fn->served < least->served) {
            least = fn;
        }
    }
    if (!ahead || (least && core->turns_ahead >= MAX_TURNS_AHEAD)) {
        return least;
    }
    core->free_turn = ahead;
    return ahead;
}

static SvanStep sender_turn(SvanFn *fn)
{
    bool ahead = fn->has_share && is_ahead(fn, svan_lately(fn->core));
    SvanStep step = qp_turn(fn);

    if (fn->core->shares && step != SVAN_STEP_BLOCKED) {
        fn->core->turns_ahead = ahead ? fn->core->turns_ahead + 1 : 0;
        if (fn->has_share) {
            svan_rate_turn(fn);
        }
    }
    return step;
}

/* ---- sources of work ---- */

typedef struct Source {
    SvanStep (*step)(SvanFn *fn);           /* of the function whose turn it is */
    SvanStep (*step_of_all)(SvanCore *core);        /* not divided among functions */
} Source;

/* Frames are received in the order of arrival, whichever functions they are for. */
static const Source sources[SVAN_TURN_COUNT] = {
    [SVAN_TURN_CMD]   = { .step = svan_cmd_step },
    [SVAN_TURN_EQ]    = { .step = svan_eq_step },
    [SVAN_TURN_FAULT] = { .step = svan_prq_step },
    [SVAN_TURN_RX]    = { .step_of_all = svan_rx_step },
    [SVAN_TURN_QP]    = { .step = sender_turn },
    [SVAN_TURN_POLL]  = { .step = svan_poll_step },
    [SVAN_TURN_NOTIFY] = { .step_of_all = svan_notify_step },
};

/* The source that only looks for work, in doorbell records. */
#define POLLING         (1u << SVAN_TURN_POLL)

static inline uint32_t ready_sources(const SvanCore *core)
{
    return core->ready & ~core->held;
}

static SvanStep missed(SvanCore *core, SvanMiss *miss, SvanTurn turn)
{
    miss->turn = turn;
    miss->memory = core->missed_memory;
    svan_list_first(&core->missed, &miss->link);
    return SVAN_STEP_MISS;
}

static void another_turn(SvanCore *core, const SvanFn *fn)
{
    if (core->last_fn) {
        core->alone_from = svan_lately(core) + SVAN_ALONE_NS;
    }
    core->last_fn = fn;
}

/* Of a function, or of the port. */
static inline SvanPrice *price_of(SvanCore *core, SvanFn *fn)
{
    return fn ? &fn->price : &core->port_price;
}

/* The clock, which has been looked at for nothing else: svan_lately() stays as it is. */
static inline uint64_t clock_now(const SvanCore *core)
{
    return core->ops.now(core->opaque);
}

/*
 * Who shares the engine pays for the step. Turns that a function has because it is ahead are
 * not charged to it, or its commands and events would wait until the others have had as many.
 * They are all senders' together, and the port has as much as those.
 */
static inline void charge(SvanCore *core, SvanFn *fn, uint64_t cost)
{
    uint64_t ns = svan_price_of(price_of(core, fn), cost);
    uint32_t senders = core->fns_sending ? core->fns_sending : 1;

    if (!fn) {
        core->port_served += ns / senders;
    } else if (fn == core->free_turn) {
        core->ahead_served += ns / senders;
    } else {
        fn->served += ns;
    }
}

/*
 * A frame from one function is received by many, in turns of the port. For those the sender pays
 * as well, or it would have the port's part of the engine besides its own.
 */
static inline void charge_sender(SvanCore *core, uint64_t cost)
{
    SvanFn *sender = svan_rx_sender(core);

    if (sender) {
        sender->served += svan_price_of(&core->port_price, cost);
    }
}

/* fn NULL: the source is not divided among functions. */
static inline __attribute__((always_inline))
SvanStep step_of(SvanCore *core, SvanTurn turn, SvanFn *fn)
{
    return fn ? sources[turn].step(fn) : sources[turn].step_of_all(core);
}

/* The same while functions share the engine. */
static SvanStep charged_step(SvanCore *core, SvanTurn turn, SvanFn *fn)
{
    uint64_t cost = core->cost - SVAN_COST_STEP, began = 0;
    bool timed = svan_price_is_due(price_of(core, fn));
    SvanStep step;

    if (timed) {
        began = clock_now(core);
    }
    step = step_of(core, turn, fn);
    cost = core->cost - cost;
    if (timed) {
        svan_price_learn(core, price_of(core, fn), cost, clock_now(core) - began);
    }
    charge(core, fn, cost);
    if (turn == SVAN_TURN_RX) {
        charge_sender(core, cost);
    }
    return step;
}

/* To look for work is free while there is none. */
static inline bool is_charged(SvanCore *core, SvanTurn turn)
{
    return svan_is_shared(core) &&
           (turn != SVAN_TURN_POLL || (ready_sources(core) & ~POLLING));
}

/* One step of a source. Its function goes behind the others, unless the step missed. */
static inline __attribute__((always_inline))
SvanStep take_turn(SvanCore *core, SvanTurn turn)
{
    SvanLink *fns = &core->work[turn], *link = fns->next;
    SvanFn *fn = sources[turn].step ? svan_fn_at(link, turn) : NULL;
    SvanStep step = is_charged(core, turn) ? charged_step(core, turn, fn) :
                                             step_of(core, turn, fn);

    if (!fn) {
        return step == SVAN_STEP_MISS ? missed(core, &core->rx_miss, turn) : step;
    }
    if (fn != core->last_fn && step != SVAN_STEP_IDLE) {
        another_turn(core, fn);
    }
    if (step == SVAN_STEP_MISS) {
        return missed(core, &fn->miss, turn);
    }
    if (svan_list_empty(&fn->work[turn].objects)) {
        svan_fn_leave(fn, turn);
    } else if (link->next != fns && link->next) {
        svan_list_remove(link);
        svan_list_append(fns, link);
    }
    return step;
}

bool svan_has_work(SvanCore *core)
{
    return (ready_sources(core) & ~POLLING) || svan_db_is_rung(core) ||
           !svan_list_empty(&core->missed);
}

/* ---- steps that missed ---- */

static SvanMiss *first_miss(const SvanCore *core)
{
    return svan_container(core->missed.next, SvanMiss, link);
}

/*
 * A step that was set aside gets at most every second run while others have work, so
 * that it does not hold them up, however often it misses again.
 */
static bool may_retry(const SvanCore *core)
{
    return !first_miss(core)->aside || !core->retried || !ready_sources(core);
}

/*
 * Run the first step that missed again, out of turn. IDLE: its work is gone meanwhile.
 */
static SvanStep retry(SvanCore *core)
{
    SvanMiss *miss = first_miss(core);
    SvanTurn turn = miss->turn;
    SvanFn *fn = miss->fn;

    svan_miss_forget(core, miss);
    if (fn ? !fn->work[turn].link.next : !(core->ready >> turn & 1)) {
        return SVAN_STEP_IDLE;
    }
    if (fn) {
        svan_list_first(&core->work[turn], &fn->work[turn].link);
    }
    core->retried = true;
    core->free_turn = NULL;
    return take_turn(core, turn);
}

/* Make all steps that are set aside run again. false: there were none. */
static bool take_back(SvanCore *core)
{
    if (svan_list_empty(&core->aside)) {
        return false;
    }
    while (!svan_list_empty(&core->aside)) {
        SvanMiss *miss = svan_container(core->aside.next, SvanMiss, link);

        svan_list_remove(&miss->link);
        svan_list_append(&core->missed, &miss->link);
    }
    return true;
}

/* The caller knows of the miss. It is not kicked, since the step would miss again. */
bool svan_set_aside(SvanCore *core)
{
    SvanMiss *miss = first_miss(core);

    if (!svan_list_empty(&core->missed) && !miss->aside) {
        svan_list_remove(&miss->link);
        svan_list_append(&core->aside, &miss->link);
        svan_miss_suspend(core, miss);
    }
    if (svan_has_work(core)) {
        return true;
    }
    take_back(core);
    return false;
}

void svan_resolved(SvanCore *core)
{
    if (take_back(core)) {
        svan_kick(core);
    }
}

void svan_misses_resume(SvanCore *core)
{
    svan_resolved(core);
    for (SvanLink *link = core->missed.next; link != &core->missed; link = link->next) {
        svan_miss_resume(core, svan_container(link, SvanMiss, link));
    }
}

static bool awaits(const SvanLink *misses, uint16_t fn)
{
    for (const SvanLink *link = misses->next; link != misses; link = link->next) {
        if (svan_container(link, SvanMiss, link)->memory == fn) {
            return true;
        }
    }
    return false;
}

bool svan_awaits(const SvanCore *core, uint16_t fn)
{
    return awaits(&core->missed, fn) || awaits(&core->aside, fn);
}

/* ---- a run ---- */

void svan_clock_reset(SvanCore *core)
{
    core->looked_at = core->stalled = 0;
    core->busy = false;
    core->timer_skipped = TIMER_LOOK;
    core->turns_ahead = 0;
    core->alone_from = 0;
}

/*
 * When the next timer moves to a later time the glue is not told: to wake once for
 * nothing is cheaper than to tell the glue with each acknowledgement.
 */
static void tell_deadline(SvanCore *core)
{
    uint64_t next = svan_timer_next(core);

    if (next == core->deadline_told) {
        return;
    }
    if (next < core->deadline_told || core->deadline_told <= svan_now(core)) {
        core->deadline_told = next;
        core->ops.deadline(core->opaque, next);
    }
}

/* The first of the ready sources from core->turn on; turn may lie behind the last. */
static inline SvanTurn next_source(const SvanCore *core, uint32_t ready)
{
    uint32_t later = ready >> core->turn << core->turn;

    return __builtin_ctz(later ? later : ready);
}

/* The function at the source that was served least. */
static SvanFn *least_served(SvanCore *core, SvanTurn turn)
{
    SvanLink *fns = &core->work[turn], *link = fns->next;
    SvanFn *least = svan_fn_at(link, turn), *fn;

    while ((link = link->next) != fns) {
        fn = svan_fn_at(link, turn);
        if (fn->served < least->served) {
            least = fn;
        }
    }
    return least;
}

/* The function that would send. *served: what is compared with that of other sources. */
static SvanFn *next_sender(SvanCore *core, uint64_t *served)
{
    SvanFn *fn = core->shares ? choose_sender(core) : least_served(core, SVAN_TURN_QP);

    if (fn == core->free_turn) {
        core->ahead_served = svan_served_with_credit(core, core->ahead_served);
    }
    *served = fn == core->free_turn ? core->ahead_served : fn->served;
    return fn;
}

/* Likewise of any source. NULL: the port. */
static SvanFn *next_of(SvanCore *core, SvanTurn turn, uint64_t *served)
{
    SvanFn *fn;

    if (turn == SVAN_TURN_QP) {
        return next_sender(core, served);
    }
    fn = sources[turn].step ? least_served(core, turn) : NULL;
    *served = fn ? fn->served : core->port_served;
    return fn;
}

/* How far a source is behind the one that its owner looks at first. */
static inline uint32_t distance(SvanTurn turn, SvanTurn from)
{
    return turn >= from ? turn - from : turn + SVAN_TURN_COUNT - from;
}

/*
 * Functions that share the engine: the turn is that of who was served least, a function or the
 * port, and its sources have turns in order. The function comes first at the source.
 */
static SvanTurn fairest_source(SvanCore *core, uint32_t ready)
{
    uint32_t behind = UINT32_MAX, far;
    SvanTurn best = 0, turn, *next;
    uint64_t least = UINT64_MAX, served;
    SvanFn *chosen = NULL, *fn;

    for (; ready; ready &= ready - 1) {
        turn = __builtin_ctz(ready);
        fn = next_of(core, turn, &served);
        far = distance(turn, fn ? fn->next_source : core->port_next_source);
        if (served < least || (served == least && fn == chosen && far < behind)) {
            least = served;
            behind = far;
            best = turn;
            chosen = fn;
        }
    }
    next = chosen ? &chosen->next_source : &core->port_next_source;
    *next = best + 1;
    if (chosen) {
        svan_list_first(&core->work[best], &chosen->work[best].link);
    }
    if (core->least_served < least) {
        core->least_served = least;
    }
    if (best != SVAN_TURN_QP) {
        core->free_turn = NULL;
    }
    return best;
}

/*
 * Looking for work is not what functions compete for, or one that has had little would be looked
 * at all the time: every second run begins with it, and functions take turns.
 */
static SvanTurn shared_source(SvanCore *core, uint32_t ready)
{
    core->free_turn = NULL;
    if ((ready & POLLING) && (core->polls_next || !(ready & ~POLLING))) {
        return SVAN_TURN_POLL;
    }
    return fairest_source(core, ready & ~POLLING);
}

/* One step: of what has missed, or of the first source that finds something to do. */
static inline SvanStep run_step(SvanCore *core)
{
    uint32_t looked_at = 0, ready;

    if (!svan_list_empty(&core->missed) && may_retry(core)) {
        return retry(core);
    }
    core->retried = false;
    core->polls_next = !core->polls_next;
    while ((ready = ready_sources(core) & ~looked_at)) {
        SvanTurn turn;
        SvanStep step;

        turn = svan_is_shared(core) ? shared_source(core, ready) : next_source(core, ready);
        step = take_turn(core, turn);
        core->turn = turn + 1;
        if (step != SVAN_STEP_IDLE) {
            return step;
        }
        looked_at |= 1u << turn;
    }
    return SVAN_STEP_IDLE;
}

SvanRun svan_run(SvanCore *core)
{
    bool looks = ++core->timer_skipped >= TIMER_LOOK, fired = false;
    SvanStep step;

    svan_db_collect(core);
    if (looks) {
        fired = svan_timer_fire_due(core);
        /* Those that are due behind a crowd wait for no other eight runs. */
        core->timer_skipped = svan_timer_next(core) <= svan_lately(core) ? TIMER_LOOK : 0;
    }
    core->busy = true;
    step = run_step(core);
    if (step != SVAN_STEP_IDLE && step != SVAN_STEP_MISS) {
        return SVAN_RUN_MORE;
    }
    /* Time may pass before the next run, which looks at the clock then. */
    core->timer_skipped = TIMER_LOOK;
    if (step == SVAN_STEP_MISS) {
        return SVAN_RUN_MISS;
    }
    /* Timers that have fired may have set others, or left some that are due. */
    if (svan_has_work(core) || (looks ? fired : svan_timer_fire_due(core))) {
        return SVAN_RUN_MORE;
    }
    core->busy = false;
    if (!svan_list_empty(&core->aside)) {
        return SVAN_RUN_MISS;
    }
    tell_deadline(core);
    if (!(core->ready & POLLING)) {
        return SVAN_RUN_IDLE;
    }
    /* Without a time to poll for, all that is left to do is to clear POLLING flags. */
    return core->doorbells->poll_ns ? SVAN_RUN_POLL : SVAN_RUN_MORE;
}
