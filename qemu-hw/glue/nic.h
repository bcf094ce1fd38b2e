/*
 * Svan RDMA NIC: what all functions of a device share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_NIC_H
#define HW_SVAN_NIC_H

#include "qemu/bitmap.h"
#include "svan/regs.h"
#include "bus.h"
#include "engine.h"
#include "function.h"
#include "port.h"
#include "shm_port.h"

#define SVAN_NIC_FUNCTIONS  (1 + SVAN_MAX_VFS)

typedef struct SvanNicConfig {
    SvanConfig core;                /* all but poll_ns, which the engine knows */
    SvanEngineConfig engine;
    const char *wire;               /* the port is that wire; NULL: a netdev */
    bool wire_server;
} SvanNicConfig;

typedef struct SvanNic {
    SvanEngine engine;
    SvanCore *core;                 /* changes under BQL and engine lock */
    SvanConfig config;              /* the core's */
    SvanMemory memory;
    SvanPort port;                  /* a netdev, or */
    SvanShmPort shm;                /* shared memory, where shm.path is set */
    /* by number, NULL where there is none; changes under BQL and engine lock */
    SvanFunction *functions[SVAN_NIC_FUNCTIONS];
    DECLARE_BITMAP(irqs, SVAN_NIC_FUNCTIONS);   /* with vectors raised; atomic */
    bool aside;                     /* the core has set something aside; atomic */
} SvanNic;

/* dev is what the NIC is part of. Functions come later, and the port's netdev. */
bool svan_nic_init(SvanNic *nic, DeviceState *dev, const SvanNicConfig *config,
                   Error **errp);
/* Stop the engine: nobody runs the core any more. May let go of the BQL. */
void svan_nic_stop(SvanNic *nic);
void svan_nic_fini(SvanNic *nic);

/*
 * What the functions reach is behind an IOMMU: none has process keys. The machine
 * has not started, or has just got the device.
 */
void svan_nic_behind_iommu(SvanNic *nic);

/* Make a function of pci, and join it to the NIC. */
bool svan_nic_add_function(SvanNic *nic, SvanFunction *f, PCIDevice *pci,
                           uint16_t id, Error **errp);
void svan_nic_remove_function(SvanNic *nic, SvanFunction *f);

/*
 * Join the netdev that conf names; type is the device's. With a wire there is
 * none to join.
 */
void svan_nic_open_port(SvanNic *nic, NICConf *conf, const char *type);
void svan_nic_close_port(SvanNic *nic);

/*
 * Reset a function: nothing of it is left but its place in the NIC. Frames
 * that it has sent are the port's, and leave the device.
 */
void svan_nic_reset_function(SvanNic *nic, SvanFunction *f);
/* Reset all functions, and drop the frames that wait at the port. */
void svan_nic_reset(SvanNic *nic);

/* The core's state, which the caller has to free(). NULL: no memory. */
void *svan_nic_save(SvanNic *nic, size_t *len);
/* Replace the core by a new one with that state. The VM is stopped. */
bool svan_nic_load(SvanNic *nic, const void *stream, size_t len, Error **errp);

#endif /* HW_SVAN_NIC_H */
