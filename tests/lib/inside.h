/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests that look inside the core, and for the world's check of engines that
 * sleep. Everything else knows svan_core.h alone.
 */
#ifndef TESTS_INSIDE_H
#define TESTS_INSIDE_H

#include "device/device.h"
#include "device/state.h"
#include "host.h"

static inline SvanFn *host_fn(Host *host)
{
    return host->fake->core->fns[host->fn];
}

/* Whatever addresses the function uses. */
static inline void svan_fn_trust(SvanFn *fn)
{
    fn->net->vport.flags = SVAN_FUNCTION_TRUSTED;
}

/* The address vector, to be changed as if the queue pair were modified. */
static inline SvanAv *qp_new_av(SvanQp *qp)
{
    svan_heading_forget(&qp->heading);
    return &qp->av;
}

/* As if the object had the event; nothing, if there is none that may have it. */
static inline void host_event(Host *host, uint8_t type, uint32_t qn,
                              uint32_t data)
{
    uint64_t bit = type < 64 ? 1ull << type : 0;
    SvanEvents *events = svan_events_of(host_fn(host), bit, qn);

    if (events) {
        svan_event(events, type, data);
    }
}

#endif /* TESTS_INSIDE_H */
