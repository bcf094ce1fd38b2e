/*
 * Svan RDMA NIC: the core's trace as QEMU trace events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "trace/control.h"
#include "../core/core.h"
#include "core_trace.h"
#include "trace.h"

/* Events that tell a, those that tell a and b, those that tell a, b and c. */
#define TRACE1(name)    trace_svan_core_##name(t->fn, t->id, t->a)
#define TRACE2(name)    trace_svan_core_##name(t->fn, t->id, t->a, t->b)
#define TRACE3(name)    trace_svan_core_##name(t->fn, t->id, t->a, t->b, t->c)

void svan_core_traced(void *opaque, const SvanTrace *t)
{
    if (likely(!trace_events_enabled_count)) {
        return;
    }
    /* No default: the compiler tells when the core has a new event. */
    switch ((SvanTraceEvent)t->event) {
    case SVAN_TRACE_RESET:
        trace_svan_core_reset(t->fn, t->a);
        break;
    case SVAN_TRACE_REG_WRITE:
        TRACE2(reg_write);
        break;
    case SVAN_TRACE_CMD:
        TRACE3(cmd);
        break;
    case SVAN_TRACE_FATAL:
        trace_svan_core_fatal(t->fn, t->a);
        break;
    case SVAN_TRACE_DOORBELL:
        TRACE3(doorbell);
        break;
    case SVAN_TRACE_WQE:
        TRACE3(wqe);
        break;
    case SVAN_TRACE_WQE_REJECT:
        TRACE3(wqe_reject);
        break;
    case SVAN_TRACE_PKT_TX:
        TRACE3(pkt_tx);
        break;
    case SVAN_TRACE_PKT_RX:
        TRACE3(pkt_rx);
        break;
    case SVAN_TRACE_PKT_DROP:
        TRACE3(pkt_drop);
        break;
    case SVAN_TRACE_NAK:
        TRACE2(nak);
        break;
    case SVAN_TRACE_RETRY:
        TRACE3(retry);
        break;
    case SVAN_TRACE_CQE:
        TRACE3(cqe);
        break;
    case SVAN_TRACE_EQE:
        TRACE3(eqe);
        break;
    case SVAN_TRACE_QP_STATE:
        TRACE3(qp_state);
        break;
    case SVAN_TRACE_ACCESS_ERROR:
        TRACE3(access_error);
        break;
    case SVAN_TRACE_TLB_FILL:
        TRACE3(tlb_fill);
        break;
    case SVAN_TRACE_POLL:
        TRACE1(poll);
        break;
    case SVAN_TRACE_ETH_TX:
        TRACE2(eth_tx);
        break;
    case SVAN_TRACE_ETH_RX:
        TRACE2(eth_rx);
        break;
    case SVAN_TRACE_FRAME_DROP:
        trace_svan_core_frame_drop(t->fn, t->a, t->b);
        break;
    case SVAN_TRACE_PAGE_REQUEST:
        TRACE3(page_request);
        break;
    case SVAN_TRACE_PAGE_RESPONSE:
        TRACE3(page_response);
        break;
    case SVAN_TRACE_FAULT:
        TRACE3(fault);
        break;
    case SVAN_TRACE_FAULT_MODE:
        TRACE3(fault_mode);
        break;
    case SVAN_TRACE_FAULT_END:
        TRACE3(fault_end);
        break;
    case SVAN_TRACE_COUNT:
        break;
    }
}
