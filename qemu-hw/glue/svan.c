/*
 * Svan RDMA NIC: the PCIe function
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "hw/qdev-properties.h"
#include "net/net.h"
#include "svan/regs.h"
#include "trace.h"

#define TYPE_SVAN "svan"
OBJECT_DECLARE_SIMPLE_TYPE(SvanState, SVAN)

struct SvanState {
    PCIDevice parent_obj;

    NICConf conf;
    NICState *nic;
};

static NetClientInfo svan_net_info = {
    .type = NET_CLIENT_DRIVER_NIC,
    .size = sizeof(NICState),
};

static void svan_realize(PCIDevice *pci_dev, Error **errp)
{
    SvanState *s = SVAN(pci_dev);

    if (pcie_endpoint_cap_init(pci_dev, 0) < 0) {
        error_setg(errp, "svan needs a PCI Express slot");
        return;
    }
    qemu_macaddr_default_if_unset(&s->conf.macaddr);
    s->nic = qemu_new_nic(&svan_net_info, &s->conf, TYPE_SVAN,
                          DEVICE(s)->id, &DEVICE(s)->mem_reentrancy_guard, s);
    trace_svan_realize(DEVICE(s)->id ? DEVICE(s)->id : "");
}

static void svan_exit(PCIDevice *pci_dev)
{
    SvanState *s = SVAN(pci_dev);

    qemu_del_nic(s->nic);
    pcie_cap_exit(pci_dev);
}

static const Property svan_properties[] = {
    DEFINE_NIC_PROPERTIES(SvanState, conf),
};

static void svan_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = svan_realize;
    pc->exit = svan_exit;
    pc->vendor_id = SVAN_PCI_VENDOR_ID;
    pc->device_id = SVAN_PCI_DEVICE_ID_PF;
    pc->class_id = PCI_CLASS_NETWORK_ETHERNET;
    dc->desc = "Svan RDMA NIC";
    device_class_set_props(dc, svan_properties);
    set_bit(DEVICE_CATEGORY_NETWORK, dc->categories);
}

static const TypeInfo svan_types[] = {
    {
        .name = TYPE_SVAN,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SvanState),
        .class_init = svan_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(svan_types)
