/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transport that a test holds the strings of, in place of a real one: it
 * counts its steps and answers what it is told to.
 */
#ifndef TESTS_MOCK_H
#define TESTS_MOCK_H

#include "unit.h"

#define MOCK_QPS        8

typedef struct Mock {
    SvanQp *qp;
    const SvanTransport *real;
    SvanStep answer;
    uint32_t answers;           /* so many times, then IDLE */
    uint32_t steps;
    uint32_t ci;                /* every step consumes what was posted */
    SvanStep producer;          /* result of the last svan_sq_producer() */
    uint32_t syndrome;
} Mock;

static Mock mocks[MOCK_QPS];
static uint32_t num_mocks;
static uint32_t mock_order[4096];       /* which one stepped */
static uint32_t mock_steps;

static inline Mock *mock_of(const SvanQp *qp)
{
    for (uint32_t i = 0; i < num_mocks; i++) {
        if (mocks[i].qp == qp) {
            return &mocks[i];
        }
    }
    fake_die("no mock for QP %#x", qp->qpn);
}

static inline SvanStep mock_step(SvanQp *qp)
{
    Mock *mock = mock_of(qp);

    mock->steps++;
    if (mock_steps < SIZE(mock_order)) {
        mock_order[mock_steps++] = mock - mocks;
    }
    if (mock->answers) {
        mock->answers--;
        return mock->answer;
    }
    mock->producer = svan_sq_producer(&qp->sq, mock->ci, &mock->syndrome);
    if (mock->producer == SVAN_STEP_DONE && mock->ci != qp->sq.producer.pi) {
        mock->ci = qp->sq.producer.pi;
        return SVAN_STEP_DONE;
    }
    return mock->producer == SVAN_STEP_MISS ? SVAN_STEP_MISS : SVAN_STEP_IDLE;
}

static inline void mock_enter(SvanQp *qp, uint8_t old)
{
    if (qp->state == SVAN_QPS_RTS) {
        svan_qp_schedule(qp);
    }
}

static inline void mock_destroy(SvanQp *qp)
{
    mock_of(qp)->real->destroy(qp);
}

static const SvanTransport mock_transport = {
    .name = "mock",
    .step = mock_step,
    .enter = mock_enter,
    .destroy = mock_destroy,
};

/* Take over a QP, which goes to RTS. */
static inline Mock *mock_qp(HostQp *host_qp)
{
    Mock *mock = &mocks[num_mocks++];
    SvanQp *qp = svan_qp_get(svan_fn(host_qp->host->fake->core, 0),
                             host_qp->qpn);

    memset(mock, 0, sizeof(*mock));
    mock->qp = qp;
    mock->real = qp->transport;
    qp->transport = &mock_transport;
    svan_qp_set_state(qp, SVAN_QPS_RTR, 0);
    svan_qp_set_state(qp, SVAN_QPS_RTS, 0);
    return mock;
}

/* Post without WQEs, which the mock does not read, up to the index. */
static inline void mock_post(HostQp *host_qp, uint32_t index)
{
    host_qp->sq_pi = index;
    host_post(host_qp);
}

static inline void mock_reset(void)
{
    num_mocks = 0;
    mock_steps = 0;
}

#endif /* TESTS_MOCK_H */
