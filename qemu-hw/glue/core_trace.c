/*
 * Svan RDMA NIC: the core's trace as QEMU trace events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "trace/control.h"
#include "core_trace.h"
#include "trace.h"

/* Which fields of a trace an event takes as arguments; see trace-events. */
#define A           (t->fn, t->a)
#define A_B         (t->fn, t->a, t->b)
#define ID_A        (t->fn, t->id, t->a)
#define ID_A_B      (t->fn, t->id, t->a, t->b)
#define ID_A_B_C    (t->fn, t->id, t->a, t->b, t->c)

#define CORE_EVENTS(X) \
    X(RESET,          reset,          A) \
    X(REG_WRITE,      reg_write,      ID_A_B) \
    X(CMD,            cmd,            ID_A_B_C) \
    X(FATAL,          fatal,          A) \
    X(DOORBELL,       doorbell,       ID_A_B_C) \
    X(WQE,            wqe,            ID_A_B_C) \
    X(WQE_REJECT,     wqe_reject,     ID_A_B_C) \
    X(PKT_TX,         pkt_tx,         ID_A_B_C) \
    X(PKT_RX,         pkt_rx,         ID_A_B_C) \
    X(PKT_DROP,       pkt_drop,       ID_A_B_C) \
    X(NAK,            nak,            ID_A_B) \
    X(RETRY,          retry,          ID_A_B_C) \
    X(CQE,            cqe,            ID_A_B_C) \
    X(COUNTER,        counter,        ID_A_B) \
    X(EQE,            eqe,            ID_A_B_C) \
    X(QP_STATE,       qp_state,       ID_A_B_C) \
    X(ACCESS_ERROR,   access_error,   ID_A_B_C) \
    X(TLB_FILL,       tlb_fill,       ID_A_B_C) \
    X(POLL,           poll,           ID_A) \
    X(ETH_TX,         eth_tx,         ID_A_B) \
    X(ETH_RX,         eth_rx,         ID_A_B) \
    X(FRAME_DROP,     frame_drop,     A_B) \
    X(PAGE_REQUEST,   page_request,   ID_A_B_C) \
    X(PAGE_RESPONSE,  page_response,  ID_A_B_C) \
    X(FAULT,          fault,          ID_A_B_C) \
    X(FAULT_MODE,     fault_mode,     ID_A_B_C) \
    X(FAULT_END,      fault_end,      ID_A_B_C) \
    X(RATE,           rate,           ID_A_B_C)

void svan_core_traced(void *opaque, const SvanTrace *t)
{
    if (likely(!trace_events_enabled_count)) {
        return;
    }
    /* No default: the compiler tells when the core has a new event. */
    switch ((SvanTraceEvent)t->event) {
#define CASE(event, name, operands) \
    case SVAN_TRACE_##event:        \
        trace_svan_core_##name operands; \
        break;
    CORE_EVENTS(CASE)
#undef CASE
    case SVAN_TRACE_COUNT:
        break;
    }
}
