/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receive queues, whose entries are used one after the other (PRM "Queues").
 */
#include "queue/queue.h"

SvanStep svan_rq_find(SvanRq *rq, uint32_t *syndrome)
{
    SvanStep step = SVAN_STEP_DONE;

    if (rq->ci == rq->producer.pi) {
        step = svan_rq_producer(rq, syndrome);
    }
    return step == SVAN_STEP_DONE && rq->ci == rq->producer.pi ?
           SVAN_STEP_IDLE : step;
}

SvanStep svan_rq_fetch(SvanRq *rq, SvanRwqe *rwqe, uint8_t *status,
                       uint32_t *syndrome)
{
    SvanStep step = svan_rq_find(rq, syndrome);

    *status = SVAN_CQE_SUCCESS;
    return step == SVAN_STEP_DONE ?
           svan_rwqe_fetch(rq, rq->ci, rwqe, status, syndrome) : step;
}

void svan_rq_complete(SvanRq *rq, SvanCqSlot *slot, struct svan_cqe *cqe)
{
    cqe->wqe_index = htole32(rq->ci);
    if (slot) {
        svan_cq_commit(slot, cqe);
    }
    rq->ci++;
}
