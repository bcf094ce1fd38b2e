/*
 * Svan RDMA NIC: the core's trace as QEMU trace events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_CORE_TRACE_H
#define HW_SVAN_CORE_TRACE_H

#include "../core/svan_core.h"

/* As SvanOps.trace. */
void svan_core_traced(void *opaque, const SvanTrace *trace);

#endif /* HW_SVAN_CORE_TRACE_H */
