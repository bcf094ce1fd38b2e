/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Producer indices of work queues: the later of doorbell record and doorbell
 * (PRM "Doorbells").
 */
#include "queue/queue.h"

/* Acquire: pairs with the host's release store behind its WQEs. */
static uint32_t record_load(const void *field)
{
    return le32toh(__atomic_load_n((const uint32_t *)field, __ATOMIC_ACQUIRE));
}

static SvanStep record_read(SvanKey *key, uint64_t va, uint32_t *index,
                            uint32_t *syndrome)
{
    SvanMem mem;
    SvanStep step = svan_ring_access(key, va, sizeof(*index), false, &mem,
                                     syndrome);

    if (step == SVAN_STEP_DONE) {
        *index = record_load(mem.host);
    } else if (step == SVAN_STEP_ERROR) {
        *syndrome = SVAN_SYN_RING;
    }
    return step;
}

/* A ring: the first entry that is not completed, and the number of entries. */
typedef struct Window {
    uint32_t ci, size;
} Window;

/*
 * An index shortly before the accepted one is that of a doorbell that came late, or of a
 * record that is not in use, and is ignored. false: the index is more than a ring ahead,
 * and not old either. The range of old indices is so short that of an old index and a good
 * one the latter is always the later: merging doorbells loses no work.
 */
static bool producer_advance(SvanProducer *producer, const Window *window,
                             uint32_t index)
{
    if (producer->pi - index <= SVAN_DB_INDEX_OLD) {
        return true;
    }
    if (index - window->ci > window->size) {
        return false;
    }
    producer->pi = index;
    return true;
}

/* Each published index is looked at once, so that a bad one is reported once. */
static SvanStep producer_read(SvanProducer *producer, const Window *window,
                              uint32_t record, uint32_t *syndrome)
{
    bool good = true;

    if (record != producer->seen) {
        producer->seen = record;
        good = producer_advance(producer, window, record);
    }
    if (producer->rung) {
        producer->rung = false;
        good &= producer_advance(producer, window, producer->rung_pi);
    }
    /* ci can be ahead of pi only after a saved state was loaded that is not true. */
    if (!good || producer->pi - window->ci > window->size) {
        *syndrome = SVAN_SYN_INDEX;
        return SVAN_STEP_ERROR;
    }
    return SVAN_STEP_DONE;
}

SvanStep svan_sq_producer(SvanSq *sq, uint32_t ci, uint32_t *syndrome)
{
    Window window = { .ci = ci, .size = 1u << sq->log_bbs };
    uint64_t va = sq->dbr_va + offsetof(struct svan_qp_dbr, sq_pi);
    SvanStep step = record_read(sq->dbr_key, va, &sq->pi_polled, syndrome);

    return step == SVAN_STEP_DONE ?
           producer_read(&sq->producer, &window, sq->pi_polled, syndrome) :
           step;
}

SvanStep svan_rq_producer(SvanRq *rq, uint32_t *syndrome)
{
    Window window = { .ci = rq->ci, .size = 1u << rq->log_size };
    uint32_t record;
    SvanStep step;

    if (!rq->log_stride) {
        return SVAN_STEP_DONE;          /* there is no receive queue */
    }
    step = record_read(rq->dbr_key, rq->pi_va, &record, syndrome);
    return step == SVAN_STEP_DONE ?
           producer_read(&rq->producer, &window, record, syndrome) : step;
}

void svan_sq_forget(SvanSq *sq)
{
    sq->producer = (SvanProducer) { 0 };
    sq->pi_polled = 0;
    sq->poll_parked = false;
}

void svan_rq_forget(SvanRq *rq)
{
    rq->producer = (SvanProducer) { 0 };
    rq->ci = 0;
}
