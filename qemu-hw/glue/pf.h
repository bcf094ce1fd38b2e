/*
 * Svan RDMA NIC: the physical function, as its virtual functions see it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_PF_H
#define HW_SVAN_PF_H

#include "nic.h"

/* Extended capabilities in the configuration spaces of a device with functions. */
#define SVAN_ARI_OFFSET     0x100
#define SVAN_SRIOV_OFFSET   0x140

/* The NIC of which pf is the physical function. */
SvanNic *svan_pf_nic(PCIDevice *pf);

#endif /* HW_SVAN_PF_H */
