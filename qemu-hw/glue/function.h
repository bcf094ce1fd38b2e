/*
 * Svan RDMA NIC: a PCI function
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SVAN_FUNCTION_H
#define HW_SVAN_FUNCTION_H

#include "hw/pci/pci_device.h"
#include "bus.h"

typedef struct SvanFunction SvanFunction;

/*
 * What becomes of accesses to the BARs. BQL held before and after; the stores
 * may let go of it meanwhile.
 */
typedef struct SvanFunctionOps {
    uint64_t (*reg_read)(SvanFunction *f, hwaddr offset, unsigned size);
    void (*reg_write)(SvanFunction *f, hwaddr offset, uint64_t value,
                      unsigned size, MemTxAttrs attrs);
    void (*doorbell)(SvanFunction *f, hwaddr offset, uint64_t value,
                     unsigned size, MemTxAttrs attrs);
} SvanFunctionOps;

struct SvanFunction {
    PCIDevice *pci;
    const SvanFunctionOps *ops;
    void *opaque;                   /* for ops */
    uint16_t id;                    /* 0: physical function */
    unsigned msix_count;
    MemoryRegion regs, uars;
    SvanBus bus;
    uint64_t irqs;                  /* vectors to raise; atomic */
};

typedef struct SvanFunctionConfig {
    uint16_t id;
    unsigned msix_count;            /* 64 at most */
    unsigned uar_count;
    SvanMemory *memory;
    const SvanFunctionOps *ops;
    void *opaque;
} SvanFunctionConfig;

bool svan_function_init(SvanFunction *f, PCIDevice *pci,
                        const SvanFunctionConfig *config, Error **errp);
void svan_function_fini(SvanFunction *f);
/* During a reset: is it a function level reset, of this function alone? */
bool svan_function_in_flr(const SvanFunction *f);

/* Raise a vector with the next svan_function_raise_irqs(). Any thread. */
void svan_function_irq(SvanFunction *f, uint16_t vector);
void svan_function_raise_irqs(SvanFunction *f);     /* BQL held */
/* Vectors that were not raised yet are dropped. */
void svan_function_forget_irqs(SvanFunction *f);

#endif /* HW_SVAN_FUNCTION_H */
