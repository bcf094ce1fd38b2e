/*
 * Svan RDMA NIC: a PCI function: capabilities, BARs, MSI-X
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "qapi/error.h"
#include "svan/regs.h"
#include "function.h"
#include "trace.h"

/* ---- BARs ---- */

static uint64_t svan_regs_read(void *opaque, hwaddr offset, unsigned size)
{
    SvanFunction *f = opaque;
    uint64_t value = f->ops->reg_read(f, offset, size);

    trace_svan_reg_read(f->id, offset, size, value);
    return value;
}

static MemTxResult svan_regs_write(void *opaque, hwaddr offset, uint64_t value,
                                   unsigned size, MemTxAttrs attrs)
{
    SvanFunction *f = opaque;

    trace_svan_reg_write(f->id, offset, size, value);
    if (size < 4 || offset & (size - 1)) {
        qemu_log_mask(LOG_GUEST_ERROR, "svan: %u-byte store to register "
                      "0x%" HWADDR_PRIx " ignored\n", size, offset);
    }
    f->ops->reg_write(f, offset, value, size, attrs);
    return MEMTX_OK;
}

static const MemoryRegionOps svan_regs_ops = {
    .read = svan_regs_read,
    .write_with_attrs = svan_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static uint64_t svan_uars_read(void *opaque, hwaddr offset, unsigned size)
{
    return 0;
}

static MemTxResult svan_uars_write(void *opaque, hwaddr offset, uint64_t value,
                                   unsigned size, MemTxAttrs attrs)
{
    SvanFunction *f = opaque;

    if (trace_event_get_state_backends(TRACE_SVAN_UAR_WRITE)) {
        trace_svan_uar_write(f->id, offset, size, value,
                             attrs.unspecified ? 0 : attrs.requester_id,
                             pci_requester_id(f->pci),
                             svan_store_is_cpus(attrs));
    }
    f->ops->doorbell(f, offset, value, size, attrs);
    return MEMTX_OK;
}

static const MemoryRegionOps svan_uars_ops = {
    .read = svan_uars_read,
    .write_with_attrs = svan_uars_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static void svan_bars_init(SvanFunction *f, unsigned uar_count)
{
    Object *owner = OBJECT(f->pci);

    memory_region_init_io(&f->regs, owner, &svan_regs_ops, f, "svan-regs",
                          SVAN_BAR_REGS_SIZE);
    memory_region_init_io(&f->uars, owner, &svan_uars_ops, f, "svan-uars",
                          uar_count * SVAN_UAR_SIZE);
    /*
     * While a doorbell's thread runs the engine without the BQL, other vCPUs
     * ring theirs and access registers. DMA reaches RAM only, so nothing recurses.
     */
    f->regs.disable_reentrancy_guard = true;
    f->uars.disable_reentrancy_guard = true;
    pci_register_bar(f->pci, SVAN_BAR_REGS, PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     (pci_is_vf(f->pci) ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0),
                     &f->regs);
    pci_register_bar(f->pci, SVAN_BAR_UAR, PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     PCI_BASE_ADDRESS_MEM_PREFETCH, &f->uars);
}

/* ---- interrupts ---- */

static bool svan_msix_init(SvanFunction *f, Error **errp)
{
    if (msix_init(f->pci, f->msix_count, &f->regs, SVAN_BAR_REGS,
                  SVAN_MSIX_TABLE_OFFSET, &f->regs, SVAN_BAR_REGS,
                  SVAN_MSIX_PBA_OFFSET, 0, errp)) {
        return false;
    }
    for (unsigned i = 0; i < f->msix_count; i++) {
        msix_vector_use(f->pci, i);
    }
    return true;
}

static void svan_msix_fini(SvanFunction *f)
{
    msix_unuse_all_vectors(f->pci);
    msix_uninit(f->pci, &f->regs, &f->regs);
}

void svan_function_irq(SvanFunction *f, uint16_t vector)
{
    if (vector < f->msix_count) {
        qatomic_or(&f->irqs, 1ull << vector);
    }
}

void svan_function_raise_irqs(SvanFunction *f)
{
    uint64_t vectors = qatomic_xchg(&f->irqs, 0);

    while (vectors) {
        unsigned vector = ctz64(vectors);

        vectors &= vectors - 1;
        trace_svan_irq(f->id, vector, pci_requester_id(f->pci));
        msix_notify(f->pci, vector);
    }
}

void svan_function_forget_irqs(SvanFunction *f)
{
    qatomic_set(&f->irqs, 0);
}

/* ---- life ---- */

bool svan_function_in_flr(const SvanFunction *f)
{
    const uint8_t *control = f->pci->config + f->pci->exp.exp_cap +
                             PCI_EXP_DEVCTL;

    /* pcie_cap_flr_write_config() keeps the bit while it resets */
    return pci_get_word(control) & PCI_EXP_DEVCTL_BCR_FLR;
}

static void svan_write_config(PCIDevice *pci, uint32_t addr, uint32_t value,
                              int len)
{
    pci_default_write_config(pci, addr, value, len);
    pcie_cap_flr_write_config(pci, addr, value, len);
}

bool svan_function_init(SvanFunction *f, PCIDevice *pci,
                        const SvanFunctionConfig *config, Error **errp)
{
    assert(config->msix_count <= 64);
    f->pci = pci;
    f->ops = config->ops;
    f->opaque = config->opaque;
    f->id = config->id;
    f->msix_count = config->msix_count;
    pci->config_write = svan_write_config;
    svan_bars_init(f, config->uar_count);
    if (pcie_endpoint_cap_init(pci, 0) < 0) {
        error_setg(errp, "svan needs a PCI Express slot");
        return false;
    }
    pcie_cap_flr_init(pci);
    if (!svan_msix_init(f, errp)) {
        pcie_cap_exit(pci);
        return false;
    }
    svan_bus_init(&f->bus, config->memory, f->id, pci_get_address_space(pci));
    return true;
}

void svan_function_fini(SvanFunction *f)
{
    svan_bus_fini(&f->bus);
    svan_msix_fini(f);
    pcie_cap_exit(f->pci);
}
