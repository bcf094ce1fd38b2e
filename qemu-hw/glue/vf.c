/*
 * Svan RDMA NIC: a virtual function
 *
 * The physical function's device creates all of its virtual functions, and they
 * live as long as it does. Until the guest enables them, they have no place in
 * its memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/resettable.h"
#include "migration/vmstate.h"
#include "pf.h"
#include "vf.h"
#include "trace.h"

OBJECT_DECLARE_SIMPLE_TYPE(SvanVf, SVAN_VF)

struct SvanVf {
    PCIDevice parent_obj;
    SvanFunction function;
};

static void svan_vf_realize(PCIDevice *pci, Error **errp)
{
    SvanNic *nic = svan_pf_nic(pcie_sriov_get_pf(pci));

    if (svan_nic_add_function(nic, &SVAN_VF(pci)->function, pci,
                              1 + pcie_sriov_vf_number(pci), errp)) {
        pcie_ari_init(pci, SVAN_ARI_OFFSET);
    }
}

static void svan_vf_exit(PCIDevice *pci)
{
    SvanNic *nic = svan_pf_nic(pcie_sriov_get_pf(pci));

    svan_nic_remove_function(nic, &SVAN_VF(pci)->function);
}

/* Also when the guest enables and disables the virtual functions. */
static void svan_vf_reset_hold(Object *obj, ResetType type)
{
    PCIDevice *pci = PCI_DEVICE(obj);
    SvanNic *nic = svan_pf_nic(pcie_sriov_get_pf(pci));

    trace_svan_vf_reset(1 + pcie_sriov_vf_number(pci));
    svan_nic_reset_function(nic, &SVAN_VF(pci)->function);
}

/*
 * The physical function's device saves and loads it, between its own
 * configuration, whose load resets the virtual functions, and the core's state.
 */
const VMStateDescription svan_vf_vmstate = {
    .name = "svan-vf",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, SvanVf),
        VMSTATE_MSIX(parent_obj, SvanVf),
        VMSTATE_END_OF_LIST()
    }
};

static void svan_vf_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = svan_vf_realize;
    pc->exit = svan_vf_exit;
    pc->vendor_id = SVAN_PCI_VENDOR_ID;
    pc->device_id = SVAN_PCI_DEVICE_ID_VF;
    pc->revision = SVAN_PCI_REVISION;
    pc->class_id = PCI_CLASS_NETWORK_ETHERNET;
    rc->phases.hold = svan_vf_reset_hold;
    dc->desc = "Svan RDMA NIC, virtual function";
    dc->user_creatable = false;
    set_bit(DEVICE_CATEGORY_NETWORK, dc->categories);
}

static const TypeInfo svan_vf_types[] = {
    {
        .name = TYPE_SVAN_VF,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SvanVf),
        .class_init = svan_vf_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(svan_vf_types)
