// SPDX-License-Identifier: GPL-2.0-only
#include "svan.h"

#define CREATE_TRACE_POINTS
#include "svan_trace.h"
