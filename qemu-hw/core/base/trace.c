/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What any room may say or ask of a function: trace events, the fatal state, and the
 * state of the port.
 */
#include "base/base.h"

void svan_trace_tell(const SvanFn *fn, const SvanTrace *trace)
{
    fn->core->ops.trace(fn->core->opaque, trace);
}

uint32_t svan_port_status(const SvanFn *fn)
{
    uint32_t speed = fn->core->config.link_mbps / 100;
    uint32_t max = SVAN_PORT_SPEED_MASK >> SVAN_PORT_SPEED_SHIFT;

    return (fn->core->link_up ? SVAN_PORT_LINK_UP : 0) |
           (speed < max ? speed : max) << SVAN_PORT_SPEED_SHIFT;
}

void svan_fatal(SvanFn *fn, uint32_t code)
{
    if (fn->fatal) {
        return;
    }
    fn->fatal = code;
    svan_trace(fn, SVAN_TRACE_FATAL, fn->id, code, 0, 0);
    fn->ops->fatal(fn);
}
