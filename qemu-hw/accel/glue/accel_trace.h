/*
 * Svan accelerator: the core's trace as QEMU trace events
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_ACCEL_TRACE_H
#define HW_SVAN_ACCEL_TRACE_H

#include "../core/accel_core.h"

/* As AccelOps.trace. */
void svan_accel_traced(void *opaque, const AccelTrace *trace);

#endif /* HW_SVAN_ACCEL_TRACE_H */
