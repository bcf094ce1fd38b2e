/*
 * Svan RDMA NIC: the core's trace as QEMU trace events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "trace/control.h"
#include "../core/core.h"
#include "glue.h"
#include "trace.h"

/* The event's a, b and c, as many as it names. */
#define A(t)    (t)->fn, (t)->id, (t)->a
#define AB(t)   A(t), (t)->b
#define ABC(t)  AB(t), (t)->c

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
        trace_svan_core_reg_write(AB(t));
        break;
    case SVAN_TRACE_CMD:
        trace_svan_core_cmd(ABC(t));
        break;
    case SVAN_TRACE_FATAL:
        trace_svan_core_fatal(t->fn, t->a);
        break;
    case SVAN_TRACE_DOORBELL:
        trace_svan_core_doorbell(ABC(t));
        break;
    case SVAN_TRACE_WQE:
        trace_svan_core_wqe(ABC(t));
        break;
    case SVAN_TRACE_WQE_REJECT:
        trace_svan_core_wqe_reject(ABC(t));
        break;
    case SVAN_TRACE_PKT_TX:
        trace_svan_core_pkt_tx(ABC(t));
        break;
    case SVAN_TRACE_PKT_RX:
        trace_svan_core_pkt_rx(ABC(t));
        break;
    case SVAN_TRACE_PKT_DROP:
        trace_svan_core_pkt_drop(ABC(t));
        break;
    case SVAN_TRACE_NAK:
        trace_svan_core_nak(AB(t));
        break;
    case SVAN_TRACE_RETRY:
        trace_svan_core_retry(ABC(t));
        break;
    case SVAN_TRACE_CQE:
        trace_svan_core_cqe(ABC(t));
        break;
    case SVAN_TRACE_EQE:
        trace_svan_core_eqe(ABC(t));
        break;
    case SVAN_TRACE_QP_STATE:
        trace_svan_core_qp_state(ABC(t));
        break;
    case SVAN_TRACE_ACCESS_ERROR:
        trace_svan_core_access_error(ABC(t));
        break;
    case SVAN_TRACE_TLB_FILL:
        trace_svan_core_tlb_fill(ABC(t));
        break;
    case SVAN_TRACE_POLL:
        trace_svan_core_poll(A(t));
        break;
    case SVAN_TRACE_ETH_TX:
        trace_svan_core_eth_tx(AB(t));
        break;
    case SVAN_TRACE_ETH_RX:
        trace_svan_core_eth_rx(AB(t));
        break;
    case SVAN_TRACE_FRAME_DROP:
        trace_svan_core_frame_drop(t->fn, t->a, t->b);
        break;
    case SVAN_TRACE_COUNT:
        break;
    }
}
