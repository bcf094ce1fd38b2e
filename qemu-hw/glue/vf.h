/*
 * Svan RDMA NIC: a virtual function
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_VF_H
#define HW_SVAN_VF_H

#include "migration/vmstate.h"

#define TYPE_SVAN_VF "svan-vf"

/* Of a device of that type: its configuration space and its vectors. */
extern const VMStateDescription svan_vf_vmstate;

#endif /* HW_SVAN_VF_H */
