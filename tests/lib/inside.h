/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests that look inside the core. Everything else knows svan_core.h alone.
 */
#ifndef TESTS_INSIDE_H
#define TESTS_INSIDE_H

#include "core.h"
#include "host.h"

static inline SvanFn *host_fn(Host *host)
{
    return host->fake->core->fns[host->fn];
}

#endif /* TESTS_INSIDE_H */
