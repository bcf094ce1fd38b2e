/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The POLLING flag of doorbell records (PRM "Doorbells"). While it is set the host
 * need not ring.
 *
 * The flag is set while the send queue is polled or parked, and may be set a bit
 * longer. A parked queue is not polled, because its work is ready and reads the record
 * by itself, or waits for room on the wire. poll_disarm() clears the flag. RESET leaves
 * it as it is; so a queue that enters RTS or the error state is polled until the flag
 * is known to be clear.
 */
#include "queue/queue.h"

#define POLL_BATCH      8       /* records polled in one step */
#define CLOCK_LOOK      8       /* looks at a record for one at the clock */

static SvanStep record_map(const SvanSq *sq, bool for_write, SvanMem *mem)
{
    uint32_t syndrome;

    return svan_ring_access(sq->dbr_key, sq->dbr_va,
                            sizeof(struct svan_qp_dbr), for_write, mem,
                            &syndrome);
}

static void poll_flag(SvanSq *sq, const SvanMem *record, uint32_t flag)
{
    struct svan_qp_dbr *dbr = (struct svan_qp_dbr *)record->host;
    SvanMem stored = {
        .host = (uint8_t *)&dbr->device_flags, .len = sizeof(dbr->device_flags),
        .bus = record->bus + offsetof(struct svan_qp_dbr, device_flags),
    };

    __atomic_store_n(&dbr->device_flags, htole32(flag), __ATOMIC_RELAXED);
    svan_stored(sq->work->fn, &stored);
    svan_trace(sq->work->fn, SVAN_TRACE_POLL, sq->qpn, flag, 0, 0);
}

void svan_poll_begin(SvanSq *sq)
{
    sq->last_active = 0;
    sq->poll_parked = false;
    if (!sq->work->fn->fatal) {
        svan_turn_join(sq->work->fn, SVAN_TURN_POLL, &sq->poll_link);
    }
}

void svan_poll_end(SvanSq *sq)
{
    svan_turn_leave(sq->work->fn, SVAN_TURN_POLL, &sq->poll_link);
}

void svan_poll_park(SvanSq *sq)
{
    sq->poll_parked |= sq->poll_link.next != NULL;
    svan_poll_end(sq);
}

/*
 * A record that is behind the queue's index is not in use: who posts rings the doorbell
 * alone. Polling it would find nothing, and would take the time of the thread that also
 * receives from the wire.
 */
static bool record_in_use(const SvanSq *sq)
{
    return sq->pi_polled == sq->producer.pi;
}

/*
 * Setting the flag needs no fence: a host that does not see it yet rings, which does no
 * harm. If the record is not at hand the flag stays clear, and the host rings. In the
 * error state the flag stays clear, too: receives have to be rung there, and polling
 * looks at sends alone.
 */
void svan_poll_arm(SvanSq *sq)
{
    SvanMem mem;

    if (!svan_poll_is_armed(sq) && !sq->flushing && record_in_use(sq) &&
        record_map(sq, true, &mem) == SVAN_STEP_DONE) {
        poll_flag(sq, &mem, SVAN_QP_DBR_POLLING);
        sq->poll_parked = true;
    }
}

/* The record is unreachable. The transport finds that out in its next step. */
static SvanStep poll_lost(SvanSq *sq)
{
    svan_poll_end(sq);
    svan_work_ready(sq->work);
    return SVAN_STEP_DONE;
}

/* Has the record's sq_pi changed? Then the queue's work is ready. */
static bool poll_has_news(SvanSq *sq, const SvanMem *record)
{
    const struct svan_qp_dbr *dbr = (const struct svan_qp_dbr *)record->host;
    uint32_t pi = le32toh(__atomic_load_n(&dbr->sq_pi, __ATOMIC_ACQUIRE));

    if (pi == sq->pi_polled) {
        return false;
    }
    sq->pi_polled = pi;
    sq->last_active = 0;
    svan_work_ready(sq->work);
    return true;
}

/*
 * Stop polling the queue. The device stores the flag and then loads the index; the
 * host stores the index, executes an MFENCE, and loads the flag. With a full fence on
 * each side at least one of the two loads sees the other side's store: the host rings,
 * or the device goes on.
 */
static SvanStep poll_disarm(SvanSq *sq)
{
    SvanMem mem;
    SvanStep step = record_map(sq, true, &mem);

    if (step != SVAN_STEP_DONE) {
        return step == SVAN_STEP_MISS ? step : poll_lost(sq);
    }
    poll_flag(sq, &mem, 0);
    atomic_thread_fence(memory_order_seq_cst);
    if (!poll_has_news(sq, &mem) && sq->flushing) {
        svan_work_ready(sq->work);           /* to flush posted receives */
    }
    svan_poll_end(sq);
    return SVAN_STEP_DONE;
}

/* While there is other work, which reading the clock would delay, it is read seldom. */
static bool skip_clock(SvanSq *sq)
{
    return sq->work->fn->core->ready != 1u << SVAN_TURN_POLL &&
           ++sq->clock_skipped % CLOCK_LOOK;
}

static bool poll_is_over(SvanSq *sq)
{
    SvanCore *core = sq->work->fn->core;
    uint64_t now;

    if (!core->doorbells->poll_ns || sq->flushing || !record_in_use(sq)) {
        return true;
    }
    if (skip_clock(sq)) {
        return false;
    }
    now = svan_now(core);
    if (!sq->last_active) {
        sq->last_active = now ? now : 1;
    }
    return now - sq->last_active >= core->doorbells->poll_ns;
}

static SvanStep poll_one(SvanSq *sq)
{
    SvanMem mem;
    SvanStep step = record_map(sq, false, &mem);

    if (step != SVAN_STEP_DONE) {
        return step == SVAN_STEP_MISS ? step : poll_lost(sq);
    }
    if (poll_has_news(sq, &mem)) {
        svan_poll_park(sq);
        return SVAN_STEP_DONE;
    }
    return poll_is_over(sq) ? poll_disarm(sq) : SVAN_STEP_IDLE;
}

SvanStep svan_poll_step(SvanFn *fn)
{
    SvanLink *queues = &fn->work[SVAN_TURN_POLL].objects, *last = queues->prev, *link;
    SvanStep step = SVAN_STEP_IDLE;
    uint32_t n = 0;

    do {
        SvanSq *sq;

        link = queues->next;
        sq = svan_container(link, SvanSq, poll_link);
        if (svan_work_is_ready(sq->work)) {
            svan_poll_park(sq);
            continue;
        }
        svan_list_remove(link);
        svan_list_append(queues, link);
        step = poll_one(sq);
        if (step == SVAN_STEP_MISS) {
            svan_list_first(queues, link);
        }
    } while (step == SVAN_STEP_IDLE && link != last && ++n < POLL_BATCH);
    return step;
}
