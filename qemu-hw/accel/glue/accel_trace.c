/*
 * Svan accelerator: the core's trace as QEMU trace events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "trace/control.h"
#include "accel_trace.h"
#include "../../glue/trace.h"

/* Which fields of a trace an event takes as arguments; see trace-events. */
#define A           (t->ctx, t->a)
#define ID_A_B      (t->ctx, t->id, t->a, t->b)
#define ID_A_B_C    (t->ctx, t->id, t->a, t->b, t->c)

#define ACCEL_EVENTS(X) \
    X(RESET,        reset,          A) \
    X(REG_WRITE,    reg_write,      ID_A_B) \
    X(DOORBELL,     doorbell,       ID_A_B) \
    X(COMMAND,      command,        ID_A_B_C) \
    X(COMMAND_END,  command_end,    ID_A_B) \
    X(STORE,        store,          ID_A_B_C) \
    X(COPY_WQE,     copy_wqe,       ID_A_B_C) \
    X(WAIT_END,     wait_end,       ID_A_B_C) \
    X(FAULT,        fault,          ID_A_B)

void svan_accel_traced(void *opaque, const AccelTrace *t)
{
    if (likely(!trace_events_enabled_count)) {
        return;
    }
    /* No default: the compiler tells when the core has a new event. */
    switch ((AccelTraceEvent)t->event) {
#define CASE(event, name, operands) \
    case ACCEL_TRACE_##event:       \
        trace_svan_accel_##name operands; \
        break;
    ACCEL_EVENTS(CASE)
#undef CASE
    case ACCEL_TRACE_COUNT:
        break;
    }
}
