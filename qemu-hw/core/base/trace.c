/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What any room may say of a function: trace events, and the fatal state.
 */
#include "base/base.h"

void svan_trace_tell(const SvanFn *fn, const SvanTrace *trace)
{
    fn->core->ops.trace(fn->core->opaque, trace);
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
