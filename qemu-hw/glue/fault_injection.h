/*
 * Svan RDMA NIC: page faults that the host injects
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_FAULT_INJECTION_H
#define HW_SVAN_FAULT_INJECTION_H

#include "nic.h"

/*
 * text is a list KEY=VALUE,... that says what to inject into which function; an
 * empty one takes all injections back, of all functions.
 */
void svan_inject_fault(SvanNic *nic, const char *text, Error **errp);

#endif /* HW_SVAN_FAULT_INJECTION_H */
