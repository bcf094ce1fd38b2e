/*
 * Svan RDMA NIC: who runs the core, and when
 *
 * One thread at a time is the runner: the iothread, or a vCPU's thread in its
 * doorbell store. It holds the engine lock for each epoch and lets waiters in
 * between two of them. What needs the BQL is collected and done between
 * quanta. Whoever makes work sets `kicked`, then looks whether somebody runs;
 * the runner stops running, then looks whether it was kicked (full barriers in
 * both). So a kick is never lost, and costs no wake-up while somebody runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/processor.h"
#include "qemu/timer.h"
#include "hw/core/cpu.h"
#include "qapi/error.h"
#include "system/cpu-timers.h"
#include "system/cpus.h"
#include "system/kvm.h"
#include "system/runstate.h"
#include "system/tcg.h"
#include "engine.h"
#include "trace.h"

#define SVAN_SPINS          500     /* before a waiter for the lock sleeps */
/* After that many ns others that share the iothread have a turn. */
#define SVAN_IOTHREAD_NS    200000
#define SVAN_CHAIN_MAX      8       /* engines in a chain */
/* Epochs between two looks at the clock and at what needs the BQL. */
#define SVAN_EPOCHS_PER_LOOK 8

/* ---- the engine lock ---- */

void svan_engine_lock(SvanEngine *e)
{
    unsigned spins;

    qatomic_inc(&e->waiters);
    for (spins = 0; qemu_mutex_trylock(&e->lock); spins++) {
        if (spins == SVAN_SPINS) {
            qemu_mutex_lock(&e->lock);
            break;
        }
        cpu_relax();
    }
    qatomic_inc(&e->turns);
    qatomic_dec(&e->waiters);
}

void svan_engine_unlock(SvanEngine *e)
{
    qemu_mutex_unlock(&e->lock);
}

/* Between two epochs the runner lets one of the waiters have the lock. */
static void svan_engine_let_in(SvanEngine *e)
{
    unsigned turns = qatomic_read(&e->turns), spins;

    qemu_mutex_unlock(&e->lock);
    for (spins = 0;
         qatomic_read(&e->waiters) && qatomic_read(&e->turns) == turns;
         spins++) {
        if (spins < SVAN_SPINS) {
            cpu_relax();
        } else {
            sched_yield();
        }
    }
    qemu_mutex_lock(&e->lock);
}

void svan_engine_kick(SvanEngine *e)
{
    qatomic_set(&e->kicked, true);
    smp_mb();       /* pairs with svan_engine_retire() */
    if (!qatomic_read(&e->running) && !qatomic_read(&e->closed) &&
        !qatomic_xchg(&e->scheduled, true)) {
        qemu_bh_schedule(e->run_bh);
    }
}

/* ---- what needs the BQL ---- */

static bool svan_engine_bql_wanted(SvanEngine *e)
{
    return qatomic_read(&e->bql_wanted);
}

/* The main loop is to translate what was missed and to do what was asked for. */
static void svan_engine_bql_later(SvanEngine *e)
{
    if (!qatomic_xchg(&e->bql_scheduled, true)) {
        qemu_bh_schedule(e->bql_bh);
    }
}

/* Whether this thread is in ops->bql_work: what it accesses, a device accesses. */
static __thread unsigned svan_bql_depth;

void svan_engine_schedule_bql(SvanEngine *e)
{
    if (svan_engine_bql_wanted(e)) {
        svan_engine_bql_later(e);
    }
}

/*
 * The work raises interrupts, and the guest may direct them to the device's own
 * BARs, which leads here again. Then the rest is left to the main loop.
 */
void svan_engine_bql_work(SvanEngine *e)
{
    if (!svan_engine_bql_wanted(e)) {
        return;
    }
    if (e->bql_busy) {
        svan_engine_bql_later(e);
        return;
    }
    e->bql_busy = true;
    svan_bql_depth++;
    qatomic_set(&e->bql_soon, false);
    qatomic_set(&e->bql_wanted, false);
    smp_mb();       /* whatever is asked for after this sets them again */
    e->ops->bql_work(e->opaque);
    svan_bql_depth--;
    e->bql_busy = false;
}

static void svan_engine_bql_bh(void *opaque)
{
    SvanEngine *e = opaque;

    qatomic_set(&e->bql_scheduled, false);
    /* Whoever found bql_scheduled set has set bql_wanted, or missed, before. */
    smp_mb();
    if (!e->stopped && e->ops->resolve(e->opaque)) {
        svan_engine_kick(e);
    }
    e->bql_main_loop += svan_engine_bql_wanted(e);
    svan_engine_bql_work(e);
}

/* ---- the run loop ---- */

/*
 * Become the runner, if nobody is. When it returns true the engine lock is held.
 * wait: wait for the lock if somebody else holds it.
 */
static bool svan_engine_engage(SvanEngine *e, bool wait)
{
    if (qatomic_read(&e->running)) {
        return false;
    }
    if (wait) {
        svan_engine_lock(e);
    } else if (qatomic_read(&e->waiters) || qemu_mutex_trylock(&e->lock)) {
        return false;
    }
    if (e->running || e->stopped) {
        qemu_mutex_unlock(&e->lock);
        return false;
    }
    qatomic_set(&e->running, true);
    return true;
}

/*
 * Stop being the runner. The engine lock is held before, not afterwards. The
 * caller may touch the engine only with the BQL then, since the device may go.
 */
static void svan_engine_retire(SvanEngine *e, bool more)
{
    qatomic_set(&e->running, false);
    smp_mb();       /* pairs with svan_engine_kick() */
    if ((more || qatomic_read(&e->kicked)) && !e->stopped &&
        !qatomic_xchg(&e->scheduled, true)) {
        qemu_bh_schedule(e->run_bh);
    }
    qemu_mutex_unlock(&e->lock);
}

/* Tell the core to poll, or not to, as a host CPU is free for it. */
static void svan_engine_adapt(SvanEngine *e, int64_t now, bool polling)
{
    bool poll;

    if (!e->adaptive) {
        return;
    }
    poll = svan_poll_cpu_look(&e->poll_cpu, now, polling);
    if (poll != e->polling) {
        e->polling = poll;
        e->ops->set_poll(e->opaque, poll ? e->poll_ns : 0);
    }
}

/*
 * Is it time for what needs the BQL, though there are more epochs? They have had as
 * much time as it took the last time. Where the runner may not wait, the main loop
 * does it.
 */
static bool svan_engine_bql_due(SvanEngine *e, bool may_wait)
{
    if (likely(!qatomic_read(&e->bql_soon))) {
        return false;
    }
    if (!may_wait) {
        svan_engine_bql_later(e);
        return false;
    }
    return get_clock() >= e->bql_next;
}

/*
 * Run epochs until there is nothing to do, until one misses, or until the time
 * is over. The engine lock is held before and after, but not all the time.
 */
static SvanRun svan_engine_quantum(SvanEngine *e, int64_t now, int64_t end,
                                   bool poll)
{
    bool may_wait = !poll || e->iothread_is_own;
    SvanRun result = SVAN_RUN_IDLE;
    unsigned epochs = 0;

    svan_engine_adapt(e, now, false);
    while (!e->stopped) {
        if (qatomic_read(&e->kicked)) {
            qatomic_set(&e->kicked, false);
            /* The epoch sees what was published before the kick. */
            smp_mb();
        }
        result = e->ops->epoch(e->opaque);
        epochs++;
        if (result == SVAN_RUN_MISS) {
            break;
        }
        if (result != SVAN_RUN_MORE && !qatomic_read(&e->kicked) &&
            (result == SVAN_RUN_IDLE || !poll || svan_engine_bql_wanted(e))) {
            break;
        }
        if (svan_engine_bql_due(e, may_wait)) {
            break;
        }
        if (epochs % SVAN_EPOCHS_PER_LOOK == 0) {
            if (!may_wait || !qatomic_read(&e->bql_soon)) {
                svan_engine_schedule_bql(e);
            }
            now = get_clock();
            if (now > end) {
                break;
            }
            svan_engine_adapt(e, now, result == SVAN_RUN_POLL);
        }
        if (qatomic_read(&e->waiters)) {
            svan_engine_let_in(e);
        }
    }
    if (e->ops->pause) {
        e->ops->pause(e->opaque);
    }
    trace_svan_engine_quantum(epochs, result, poll);
    return result;
}

/* ---- chains ---- */

/*
 * A frame for another device of this QEMU, or a store to its doorbells, is work
 * for its engine. A thread that runs engines anyway, a vCPU's or an iothread's,
 * runs that one, too, as soon as it has done what its own device needs the BQL
 * for.
 */

typedef struct SvanChain {
    SvanEngine *todo[SVAN_CHAIN_MAX];
    unsigned len;
} SvanChain;

/* What this thread runs next, while it does what needs the BQL; else NULL. */
static __thread SvanChain *svan_chain;

static bool svan_chain_add(SvanChain *chain, SvanEngine *e)
{
    for (unsigned i = 0; i < chain->len; i++) {
        if (chain->todo[i] == e) {
            return true;
        }
    }
    if (chain->len == SVAN_CHAIN_MAX) {
        return false;
    }
    chain->todo[chain->len++] = e;
    object_ref(OBJECT(e->dev));
    return true;
}

void svan_engine_kick_later(SvanEngine *e)
{
    if (svan_chain && e->run_inline && !qatomic_read(&e->running) &&
        svan_chain_add(svan_chain, e)) {
        return;
    }
    svan_engine_kick(e);
}

/* Run the engine of one device of a chain. BQL held before and after. */
static void svan_chain_run(SvanEngine *e, int64_t end)
{
    int64_t now = get_clock();
    SvanRun result;

    if (e->stopped) {
        qatomic_set(&e->kicked, true);
        return;
    }
    if (now >= end || !svan_engine_engage(e, false)) {
        svan_engine_kick(e);
        return;
    }
    bql_unlock();
    result = svan_engine_quantum(e, now, end, false);
    svan_engine_retire(e, result != SVAN_RUN_IDLE);
    bql_lock();
    if (!e->stopped) {
        svan_engine_bql_work(e);
    }
}

/*
 * Do what this engine has for the BQL, and run the engines that get frames by
 * it. BQL held before and after.
 */
static void svan_engine_bql_chain(SvanEngine *e)
{
    int64_t end = get_clock() + e->quantum_ns;
    SvanChain chain = {};

    svan_chain = &chain;
    svan_engine_bql_work(e);
    while (chain.len) {
        SvanEngine *next = chain.todo[0];

        memmove(chain.todo, chain.todo + 1,
                --chain.len * sizeof(chain.todo[0]));
        svan_chain_run(next, end);
        object_unref(OBJECT(next->dev));
    }
    svan_chain = NULL;
}

/*
 * Between two quanta the runner does what needs the BQL. The engine lock is held
 * before and after, not meanwhile.
 */
static void svan_engine_between(SvanEngine *e, SvanRun result)
{
    int64_t begin = get_clock(), end;

    qemu_mutex_unlock(&e->lock);
    bql_lock();
    if (!e->stopped) {
        if (result == SVAN_RUN_MISS) {
            e->ops->resolve(e->opaque);
        }
        svan_engine_bql_chain(e);
    }
    bql_unlock();
    qemu_mutex_lock(&e->lock);
    end = get_clock();
    e->bql_next = end + (end - begin);
}

/* ---- the runners ---- */

/*
 * The runner in the iothread. If others use the iothread, too, whoever holds the
 * BQL may be waiting for what one of them does in it. So a runner in there never
 * waits for the BQL: what needs it is left to the main loop.
 */
static void svan_engine_bh(void *opaque)
{
    SvanEngine *e = opaque;
    int64_t now = get_clock(), end = now + SVAN_IOTHREAD_NS;
    bool more, wait = e->iothread_is_own;
    SvanRun result;

    qatomic_set(&e->scheduled, false);
    qatomic_set(&e->kicked, true);
    smp_mb();       /* as a kick does; pairs with svan_engine_retire() */
    if (!svan_engine_engage(e, true)) {
        return;
    }
    svan_poll_cpu_begin(&e->poll_cpu);
    do {
        result = svan_engine_quantum(e, now, end, true);
        if (result == SVAN_RUN_MISS ||
            (svan_engine_bql_wanted(e) &&
             (result != SVAN_RUN_MORE || qatomic_read(&e->bql_soon)))) {
            /* No other work is delayed, or by no more than it has had. */
            if (!wait) {
                svan_engine_bql_later(e);
                break;
            }
            svan_engine_between(e, result);
        }
        now = get_clock();
    } while (!e->stopped && result != SVAN_RUN_IDLE && now < end);
    svan_poll_cpu_end(&e->poll_cpu);
    /* After a miss that the main loop resolves there is no work till it kicks. */
    more = result != SVAN_RUN_IDLE && (wait || result != SVAN_RUN_MISS);
    svan_engine_retire(e, more);
}

/*
 * The handler of a store is entered with the BQL, which is let go of while the
 * engine runs. That is sound only where nobody further up the stack relies on
 * it: in a vCPU's thread that executes the guest's own store. It is not where a
 * device passes a store on, nor in the main loop. A device tells its requester id,
 * but that of one behind a bridge whose bus has the number 0 may be 0, as the CPU's
 * attributes say: so devices of this kind are recognized by what their thread is at.
 */
bool svan_store_is_cpus(MemTxAttrs attrs)
{
    return !attrs.unspecified && !attrs.requester_id && !attrs.debug &&
           !svan_bql_depth && current_cpu && qemu_in_vcpu_thread();
}

bool svan_engine_enter(SvanEngine *e, MemTxAttrs attrs)
{
    return e->run_inline && !e->bql_busy && svan_store_is_cpus(attrs) &&
           svan_engine_engage(e, false);
}

void svan_engine_leave(SvanEngine *e)
{
    int64_t now = get_clock(), end = now + e->quantum_ns;
    SvanRun result;

    object_ref(OBJECT(e->dev));
    bql_unlock();
    for (;;) {
        result = svan_engine_quantum(e, now, end, false);
        now = get_clock();
        if (result != SVAN_RUN_MISS || now > end) {
            break;
        }
        svan_engine_between(e, result);
    }
    svan_engine_retire(e, result != SVAN_RUN_IDLE);
    bql_lock();
    /* The device may have been reset, stopped or unplugged meanwhile. */
    if (!e->stopped) {
        svan_engine_bql_chain(e);
    }
    object_unref(OBJECT(e->dev));
}

/* ---- the VM's clock and state ---- */

/*
 * Arming wakes the iothread, so it is done only for an earlier time; a timer
 * that comes too early arms itself again. When two threads arm at once the timer
 * is perhaps set to an earlier time than `armed` says, never to a later one.
 */
static void svan_engine_arm(SvanEngine *e, int64_t deadline)
{
    if (deadline < qatomic_read(&e->armed)) {
        qatomic_set(&e->armed, deadline);
        timer_mod_anticipate_ns(e->timer, deadline);
    }
}

void svan_engine_deadline(SvanEngine *e, uint64_t when)
{
    qatomic_set(&e->deadline, MIN(when, INT64_MAX));
    smp_mb();       /* pairs with svan_engine_timer() */
    svan_engine_arm(e, e->deadline);
}

/*
 * This runs in the iothread, and may wait for nobody: the main loop waits for
 * timers with the BQL.
 */
static void svan_engine_timer(void *opaque)
{
    SvanEngine *e = opaque;
    int64_t deadline;

    qatomic_set(&e->armed, INT64_MAX);
    smp_mb();       /* pairs with svan_engine_deadline() */
    deadline = qatomic_read(&e->deadline);
    if (deadline > qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL)) {
        svan_engine_arm(e, deadline);
    } else {
        svan_engine_kick(e);
    }
}

static void svan_engine_vm_state(void *opaque, bool running, RunState state)
{
    SvanEngine *e = opaque;

    trace_svan_engine_vm(running);
    svan_engine_lock(e);
    e->stopped = !running;
    svan_engine_unlock(e);
    svan_engine_bql_work(e);
    if (running) {
        svan_engine_kick(e);
    }
}

/* ---- life ---- */

typedef enum SvanEngineMode {
    SVAN_ENGINE_AUTO,
    SVAN_ENGINE_INLINE,
    SVAN_ENGINE_IOTHREAD,
    SVAN_ENGINE__MAX,
} SvanEngineMode;

static bool svan_engine_configure(SvanEngine *e, const SvanEngineConfig *config,
                                  Error **errp)
{
    static const char *const names[SVAN_ENGINE__MAX] = {
        [SVAN_ENGINE_AUTO] = "auto",
        [SVAN_ENGINE_INLINE] = "inline",
        [SVAN_ENGINE_IOTHREAD] = "iothread",
    };
    static const QEnumLookup modes = { names, NULL, SVAN_ENGINE__MAX };
    int mode = SVAN_ENGINE_AUTO;
    bool possible = !icount_enabled() &&
                    (kvm_enabled() ||
                     (tcg_enabled() && qemu_tcg_mttcg_enabled()));

    if (config->mode) {
        mode = qapi_enum_parse(&modes, config->mode, -1, errp);
        if (mode < 0) {
            return false;
        }
    }
    if (mode == SVAN_ENGINE_INLINE && !possible) {
        error_setg(errp, "engine=inline needs a thread for each vCPU: KVM, or "
                   "TCG with thread=multi and without icount");
        return false;
    }
    svan_poll_cpu_init(&e->poll_cpu, config->peer_is_process);
    e->poll_ns = config->poll_ns;
    e->quantum_ns = config->quantum_ns;
    e->run_inline = possible && mode != SVAN_ENGINE_IOTHREAD;
    e->adaptive = mode == SVAN_ENGINE_AUTO && e->poll_ns;
    e->polling = mode == SVAN_ENGINE_IOTHREAD && e->poll_ns;
    return true;
}

void svan_engine_init(SvanEngine *e, DeviceState *dev, const SvanEngineOps *ops,
                      void *opaque)
{
    e->dev = dev;
    e->ops = ops;
    e->opaque = opaque;
    qemu_mutex_init(&e->lock);
    e->deadline = INT64_MAX;
    e->armed = INT64_MAX;
    e->stopped = true;
    e->watched = -1;
    e->bql_bh = qemu_bh_new_guarded(svan_engine_bql_bh, e,
                                    &dev->mem_reentrancy_guard);
}

static bool svan_engine_take_iothread(SvanEngine *e, IOThread *iothread,
                                      Error **errp)
{
    g_autofree char *id = NULL;

    e->iothread_is_own = !iothread;
    if (iothread) {
        object_ref(OBJECT(iothread));
        e->iothread = iothread;
        return true;
    }
    id = g_strdup_printf("svan-%s-%p", e->dev->id ?: "nic", e->dev);
    e->iothread = iothread_create(id, errp);
    if (!e->iothread) {
        return false;
    }
    /* The core polls by itself, and knows when. */
    object_property_set_int(OBJECT(e->iothread), "poll-max-ns", 0,
                            &error_abort);
    return true;
}

static void svan_engine_leave_iothread(SvanEngine *e)
{
    if (e->iothread_is_own) {
        iothread_destroy(e->iothread);
    } else {
        object_unref(OBJECT(e->iothread));
    }
    e->iothread = NULL;
}

bool svan_engine_start(SvanEngine *e, const SvanEngineConfig *config,
                       Error **errp)
{
    if (!svan_engine_configure(e, config, errp) ||
        !svan_engine_take_iothread(e, config->iothread, errp)) {
        return false;
    }
    e->closed = e->quiet = e->scheduled = false;
    e->ctx = iothread_get_aio_context(e->iothread);
    e->run_bh = aio_bh_new(e->ctx, svan_engine_bh, e);
    e->timer = aio_timer_new(e->ctx, QEMU_CLOCK_VIRTUAL, SCALE_NS,
                             svan_engine_timer, e);
    e->vm_state = qdev_add_vm_change_state_handler(e->dev, svan_engine_vm_state,
                                                   e);
    e->stopped = !runstate_is_running();
    trace_svan_engine_start(e->run_inline, e->adaptive, e->poll_ns);
    return true;
}

void svan_engine_watch(SvanEngine *e, int fd, IOHandler *read, void *opaque)
{
    qatomic_set(&e->watched, fd);
    aio_set_fd_handler(e->ctx, fd, read, NULL, NULL, NULL, opaque);
}

void svan_engine_unwatch(SvanEngine *e)
{
    if (qatomic_read(&e->watched) >= 0) {
        aio_set_fd_handler(e->ctx, e->watched, NULL, NULL, NULL, NULL, NULL);
        qatomic_set(&e->watched, -1);
    }
}

/* This runs in the iothread, where nothing of the engine runs afterwards. */
static void svan_engine_quiesce(void *opaque)
{
    SvanEngine *e = opaque;

    svan_engine_unwatch(e);
    qemu_bh_delete(e->run_bh);
    timer_free(e->timer);
    e->run_bh = NULL;
    e->timer = NULL;
    qatomic_store_release(&e->quiet, true);
}

void svan_engine_stop(SvanEngine *e)
{
    QemuCond nobody;

    if (!e->ctx) {
        return;
    }
    qemu_del_vm_change_state_handler(e->vm_state);
    svan_engine_lock(e);
    e->stopped = true;
    svan_engine_unlock(e);
    /*
     * Whoever kicks from here on holds the BQL, or is the runner, or runs in
     * the iothread: so none of them schedules run_bh after the waits below.
     */
    qatomic_set(&e->closed, true);

    /* The runner may be waiting for the BQL, so we let go of that meanwhile. */
    qemu_cond_init(&nobody);
    while (qatomic_read(&e->running)) {
        qemu_cond_timedwait_bql(&nobody, 1);
    }
    svan_engine_lock(e);        /* the runner has left svan_engine_retire() */
    svan_engine_unlock(e);

    /* Somebody else in the iothread may be waiting for the BQL as well. */
    aio_bh_schedule_oneshot(e->ctx, svan_engine_quiesce, e);
    while (!qatomic_load_acquire(&e->quiet)) {
        qemu_cond_timedwait_bql(&nobody, 1);
    }
    qemu_cond_destroy(&nobody);
    svan_engine_leave_iothread(e);
    e->ctx = NULL;
}

uint64_t svan_engine_poll_ns(SvanEngine *e)
{
    return e->polling ? e->poll_ns : 0;
}

void svan_engine_fini(SvanEngine *e)
{
    qemu_bh_delete(e->bql_bh);
    qemu_mutex_destroy(&e->lock);
}
