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
 * The next turn to send is that of the first function that is ahead, and after many such turns
 * that of the first which is not.
 */
static void choose_sender(SvanCore *core)
{
    SvanLink *fns = &core->work[SVAN_TURN_QP];
    bool wanted = core->turns_ahead < MAX_TURNS_AHEAD;
    uint64_t now = svan_lately(core);

    for (SvanLink *link = fns->next; link != fns; link = link->next) {
        if (is_ahead(svan_fn_at(link, SVAN_TURN_QP), now) == wanted) {
            svan_list_first(fns, link);
            return;
        }
    }
}

static SvanStep sender_turn(SvanFn *fn)
{
    bool ahead = fn->has_share && is_ahead(fn, svan_lately(fn->core));
    SvanStep step = qp_turn(fn);

    if (step != SVAN_STEP_BLOCKED) {
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

static SvanStep missed(SvanCore *core, SvanMiss *miss, SvanTurn turn)
{
    miss->turn = turn;
    miss->memory = core->missed_memory;
    svan_list_first(&core->missed, &miss->link);
    return SVAN_STEP_MISS;
}

static void another_turn(SvanCore *core, const SvanFn *fn)
{
    if (core->turn_last) {
        core->alone_from = svan_lately(core) + SVAN_ALONE_NS;
    }
    core->turn_last = fn;
}


/*
 * What the steps of a source are charged to: the function; the port, for what comes from there;
 * or all senders together, whose turns are by shares then.
 */
static inline uint64_t *account(SvanCore *core, SvanTurn turn, SvanFn *fn)
{
    return !sources[turn].step ? &core->port_served :
           turn == SVAN_TURN_QP && core->shares ? &core->senders_served : &fn->served;
}

/* One step of a source. Its function goes behind the others, unless the step missed. */
static inline __attribute__((always_inline))
SvanStep take_turn(SvanCore *core, SvanTurn turn)
{
    SvanStep (*step_of_one)(SvanFn *fn) = sources[turn].step;
    SvanLink *fns = &core->work[turn], *link = fns->next;
    uint64_t cost = core->cost - SVAN_COST_STEP;
    SvanFn *fn = svan_fn_at(link, turn);
    SvanFnWork *work = &fn->work[turn];
    SvanStep step;

    if (!step_of_one) {
        step = sources[turn].step_of_all(core);
        core->port_served += core->cost - cost;
        return step == SVAN_STEP_MISS ? missed(core, &core->rx_miss, turn) : step;
    }
    step = step_of_one(fn);
    if (fn != core->turn_last && step != SVAN_STEP_IDLE) {
        another_turn(core, fn);
    }
    /* To look for work costs nothing, since it is done in turn. */
    if (svan_is_shared(core) && turn != SVAN_TURN_POLL) {
        *account(core, turn, fn) += core->cost - cost;
    }
    if (step == SVAN_STEP_MISS) {
        return missed(core, &fn->miss, turn);
    }
    if (svan_list_empty(&work->objects)) {
        svan_fn_leave(fn, turn);
    } else if (link->next != fns && link->next) {
        svan_list_remove(link);
        svan_list_append(fns, link);
    }
    return step;
}

static inline uint32_t ready_sources(const SvanCore *core)
{
    return core->ready & ~core->held;
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

    for (uint32_t n = 1; n < SVAN_FNS_LOOKED_AT; n++) {
        link = link->next;
        if (link == fns) {
            break;
        }
        fn = svan_fn_at(link, turn);
        if (fn->served < least->served) {
            least = fn;
        }
    }
    return least;
}

/*
 * Functions that share the engine: the turn is that of whose account is the least, at the first
 * of the sources from core->turn on where it has work. Its function comes first there.
 */
static SvanTurn fairest_source(SvanCore *core, uint32_t ready)
{
    uint32_t later = ready >> core->turn << core->turn, earlier = ready & ~later;
    SvanTurn best = SVAN_TURN_COUNT;
    uint64_t least = UINT64_MAX;
    SvanFn *chosen = NULL;

    while (later | earlier) {
        uint32_t *sources_left = later ? &later : &earlier;
        SvanTurn turn = __builtin_ctz(*sources_left);
        SvanFn *fn = sources[turn].step ? least_served(core, turn) : NULL;
        uint64_t served = *account(core, turn, fn);

        *sources_left &= *sources_left - 1;
        if (served < least) {
            least = served;
            best = turn;
            chosen = fn;
        }
    }
    if (chosen && account(core, best, chosen) == &chosen->served) {
        svan_list_first(&core->work[best], &chosen->work[best].link);
    }
    if (core->turn_served < least) {
        core->turn_served = least;
    }
    return best;
}

/*
 * Looking for work is not what functions compete for, or one that has little would be looked
 * at all the time: every second run begins with it, and functions take turns.
 */
static SvanTurn shared_source(SvanCore *core, uint32_t ready)
{
    core->polls_next = !core->polls_next;
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
    while ((ready = ready_sources(core) & ~looked_at)) {
        SvanTurn turn = svan_is_shared(core) ? shared_source(core, ready) :
                                               next_source(core, ready);
        SvanStep step;

        if (turn == SVAN_TURN_QP && core->shares) {
            choose_sender(core);
        }
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
        core->timer_skipped = 0;
        fired = svan_timer_fire_due(core);
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
