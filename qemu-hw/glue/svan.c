/*
 * Svan RDMA NIC: the device type: a NIC in its physical function
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/boards.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "hw/resettable.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "svan/caps.h"
#include "svan/regs.h"
#include "system/cpu-timers.h"
#include "system/system.h"
#include "system/tcg.h"
#include "fault_injection.h"
#include "fault_policy.h"
#include "pf.h"
#include "trace.h"
#include "vf.h"

#define TYPE_SVAN "svan"
OBJECT_DECLARE_SIMPLE_TYPE(SvanState, SVAN)

#define SVAN_STREAM_MAX     (256 * MiB)
#define SVAN_MAX_LINK_MBPS  (0xffff * 100)

struct SvanState {
    PCIDevice parent_obj;

    /* properties */
    NICConf conf;
    IOThread *iothread;
    char *engine_mode;
    uint32_t poll_ns;
    uint32_t quantum_ns;
    uint16_t num_vfs;
    uint32_t link_mbps;
    char *wire;
    bool wire_server;
    OnOffAuto atomics;
    uint32_t max_qp, max_cq, max_key, max_rx_frames;
    bool frozen_estimates;
    SvanFaultProperties faults;

    SvanNic nic;
    SvanFunction pf;
    Notifier machine_done;

    /* the core's state while it is migrated */
    uint8_t *stream;
    uint32_t stream_len;
};

/* ---- configuration ---- */

/*
 * With one vCPU, or one thread for all of them, the guest's LOCK prefix is no
 * atomic operation on the host; and Linux removes it with one CPU present.
 */
static bool svan_true_atomics(void)
{
    if (current_machine->smp.cpus < 2 || icount_enabled()) {
        return false;
    }
    return !tcg_enabled() || qemu_tcg_mttcg_enabled();
}

static bool svan_configure_atomics(SvanState *s, SvanConfig *config,
                                   Error **errp)
{
    bool possible = svan_true_atomics();

    if (s->atomics == ON_OFF_AUTO_ON && !possible) {
        error_setg(errp, "atomics=on needs at least two vCPUs (-smp), each "
                   "with a thread of its own");
        return false;
    }
    config->true_atomics = possible && s->atomics != ON_OFF_AUTO_OFF;
    if (!config->true_atomics) {
        config->features_off = SVAN_CAP_ATOMIC_GLOBAL | SVAN_CAP_PROCESS_KEYS;
        config->off_reason = possible ? SVAN_CAP_OFF_DISABLED
                                        : SVAN_CAP_OFF_NO_TRUE_ATOMICS;
    }
    return true;
}

static bool svan_check_limit(const char *name, uint32_t value, Error **errp)
{
    if (value && !is_power_of_2(value)) {
        error_setg(errp, "%s is %u, but has to be a power of two, or 0 for "
                   "the default", name, value);
        return false;
    }
    return true;
}

static bool svan_configure_core(SvanState *s, SvanConfig *config, Error **errp)
{
    if (s->num_vfs > SVAN_MAX_VFS) {
        error_setg(errp, "num-vfs is %u, but has to be in 0..%u", s->num_vfs,
                   SVAN_MAX_VFS);
        return false;
    }
    if (s->link_mbps < 100 || s->link_mbps > SVAN_MAX_LINK_MBPS) {
        error_setg(errp, "link-speed is %u Mb/s, but has to be in 100..%u",
                   s->link_mbps, SVAN_MAX_LINK_MBPS);
        return false;
    }
    if (!svan_check_limit("max-qp", s->max_qp, errp) ||
        !svan_check_limit("max-cq", s->max_cq, errp) ||
        !svan_check_limit("max-key", s->max_key, errp) ||
        !svan_configure_atomics(s, config, errp) ||
        !svan_configure_faults(&s->faults, config, errp)) {
        return false;
    }
    qemu_macaddr_default_if_unset(&s->conf.macaddr);
    memcpy(config->mac, s->conf.macaddr.a, sizeof(config->mac));
    config->num_vfs = s->num_vfs;
    config->link_mbps = s->link_mbps;
    config->max_qp = s->max_qp;
    config->max_cq = s->max_cq;
    config->max_key = s->max_key;
    config->max_rx_frames = s->max_rx_frames;
    config->frozen_estimates = s->frozen_estimates;
    return true;
}

static bool svan_check_port(SvanState *s, Error **errp)
{
    if (s->wire && !*s->wire) {
        error_setg(errp, "wire= is empty, but has to be the path of a socket");
    } else if (s->wire && s->conf.peers.ncs[0]) {
        error_setg(errp, "the port has one wire: either netdev or wire");
    } else if (!s->wire && s->wire_server) {
        error_setg(errp, "wire-server needs wire=PATH to listen at");
    } else {
        return true;
    }
    return false;
}

/* ---- virtual functions ---- */

SvanNic *svan_pf_nic(PCIDevice *pf)
{
    return &SVAN(pf)->nic;
}

/*
 * A device without virtual functions has neither capability. Their BARs are all
 * prefetchable, since bridges have room for little other memory.
 */
static bool svan_vfs_init(SvanState *s, Error **errp)
{
    PCIDevice *pci = PCI_DEVICE(s);
    uint8_t bar = PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;

    if (!s->num_vfs) {
        return true;
    }
    pcie_ari_init(pci, SVAN_ARI_OFFSET);
    if (!pcie_sriov_pf_init(pci, SVAN_SRIOV_OFFSET, TYPE_SVAN_VF,
                            SVAN_PCI_DEVICE_ID_VF, s->num_vfs, s->num_vfs, 1, 1,
                            errp)) {
        return false;
    }
    pcie_sriov_pf_init_vf_bar(pci, SVAN_BAR_REGS, bar, SVAN_BAR_REGS_SIZE);
    pcie_sriov_pf_init_vf_bar(pci, SVAN_BAR_UAR, bar,
                              SVAN_VF_UAR_COUNT * SVAN_UAR_SIZE);
    return true;
}

/* ---- life ---- */

/* An IOMMU may have been created after the device that it is in front of. */
static void svan_machine_done(Notifier *notifier, void *data)
{
    SvanState *s = container_of(notifier, SvanState, machine_done);

    if (pci_device_iommu_address_space(PCI_DEVICE(s)) !=
        &address_space_memory) {
        svan_nic_behind_iommu(&s->nic);
    }
}

static void svan_pf_realize(PCIDevice *pci, Error **errp)
{
    SvanState *s = SVAN(pci);
    DeviceState *dev = DEVICE(s);
    g_autofree char *mac = NULL;
    SvanNicConfig config = {
        .engine = {
            .iothread = s->iothread,
            .mode = s->engine_mode,
            .poll_ns = s->poll_ns,
            .quantum_ns = s->quantum_ns,
            .peer_is_process = s->wire != NULL,
        },
        .wire = s->wire,
        .wire_server = s->wire_server,
    };

    if (!svan_check_port(s, errp) ||
        !svan_configure_core(s, &config.core, errp) ||
        !svan_nic_init(&s->nic, dev, &config, errp)) {
        return;
    }
    if (!svan_nic_add_function(&s->nic, &s->pf, pci, 0, errp)) {
        goto stop_nic;
    }
    if (!svan_vfs_init(s, errp)) {
        goto remove_pf;
    }
    svan_nic_open_port(&s->nic, &s->conf, object_get_typename(OBJECT(s)));
    s->machine_done.notify = svan_machine_done;
    qemu_add_machine_init_done_notifier(&s->machine_done);
    mac = g_strdup_printf(MAC_FMT, MAC_ARG(s->conf.macaddr.a));
    trace_svan_realize(dev->id ?: "", s->wire ?: "", mac);
    return;

remove_pf:
    svan_nic_remove_function(&s->nic, &s->pf);
stop_nic:
    svan_nic_stop(&s->nic);
    svan_nic_fini(&s->nic);
}

static void svan_pf_exit(PCIDevice *pci)
{
    SvanState *s = SVAN(pci);

    qemu_remove_machine_init_done_notifier(&s->machine_done);
    svan_nic_stop(&s->nic);
    svan_nic_close_port(&s->nic);
    pcie_sriov_pf_exit(pci);
    svan_nic_remove_function(&s->nic, &s->pf);
    svan_nic_fini(&s->nic);
}

static void svan_pf_reset_hold(Object *obj, ResetType type)
{
    SvanState *s = SVAN(obj);

    trace_svan_reset(DEVICE(s)->id ?: "");
    if (svan_function_in_flr(&s->pf)) {
        svan_nic_reset_function(&s->nic, &s->pf);
    } else {
        svan_nic_reset(&s->nic);
    }
}

/* ---- migration ---- */

static int svan_pre_save(void *opaque)
{
    SvanState *s = opaque;
    size_t len;
    void *stream;

    stream = svan_nic_save(&s->nic, &len);
    if (!stream || len > SVAN_STREAM_MAX) {
        free(stream);
        return -ENOMEM;
    }
    g_free(s->stream);
    s->stream = g_memdup2(stream, len);
    s->stream_len = len;
    free(stream);
    trace_svan_save(len);
    return 0;
}

static int svan_post_save(void *opaque)
{
    SvanState *s = opaque;

    g_clear_pointer(&s->stream, g_free);
    s->stream_len = 0;
    return 0;
}

static bool svan_stream_is_sane(void *opaque, int version_id)
{
    return ((SvanState *)opaque)->stream_len <= SVAN_STREAM_MAX;
}

static int svan_post_load(void *opaque, int version_id)
{
    SvanState *s = opaque;
    Error *err = NULL;
    bool ok = svan_nic_load(&s->nic, s->stream, s->stream_len, &err);

    trace_svan_load(s->stream_len, ok);
    svan_post_save(s);
    if (!ok) {
        error_report_err(err);
        return -EINVAL;
    }
    return 0;
}

/* QEMU has no macro for an array of pointers whose length is a field. */
#define SVAN_VMSTATE_VFS { \
    .name = "vfs", \
    .num_offset = vmstate_offset_value(SvanState, num_vfs, uint16_t), \
    .vmsd = &svan_vf_vmstate, \
    .size = sizeof(PCIDevice *), \
    .flags = VMS_STRUCT | VMS_POINTER | VMS_VARRAY_UINT16 | \
             VMS_ARRAY_OF_POINTER, \
    .offset = offsetof(SvanState, parent_obj.exp.sriov_pf.vf), \
}

static const VMStateDescription svan_vmstate = {
    .name = "svan",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = svan_pre_save,
    .post_save = svan_post_save,
    .post_load = svan_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, SvanState),
        VMSTATE_MSIX(parent_obj, SvanState),
        SVAN_VMSTATE_VFS,
        VMSTATE_UINT32(stream_len, SvanState),
        VMSTATE_VBUFFER_ALLOC_UINT32(stream, SvanState, 0, svan_stream_is_sane,
                                     stream_len),
        VMSTATE_END_OF_LIST()
    }
};

/* ---- properties ---- */

static const Property svan_properties[] = {
    DEFINE_NIC_PROPERTIES(SvanState, conf),
    DEFINE_PROP_LINK("iothread", SvanState, iothread, TYPE_IOTHREAD,
                     IOThread *),
    DEFINE_PROP_STRING("engine", SvanState, engine_mode),
    DEFINE_PROP_UINT32("poll-ns", SvanState, poll_ns, 50000),
    DEFINE_PROP_UINT32("quantum-ns", SvanState, quantum_ns, 20000),
    DEFINE_PROP_ON_OFF_AUTO("atomics", SvanState, atomics, ON_OFF_AUTO_AUTO),
    DEFINE_PROP_STRING("wire", SvanState, wire),
    DEFINE_PROP_BOOL("wire-server", SvanState, wire_server, false),
    DEFINE_PROP_UINT32("link-speed", SvanState, link_mbps, 100000),
    DEFINE_PROP_UINT32("max-qp", SvanState, max_qp, 0),
    DEFINE_PROP_UINT32("max-cq", SvanState, max_cq, 0),
    DEFINE_PROP_UINT32("max-key", SvanState, max_key, 0),
    DEFINE_PROP_UINT32("max-rx-frames", SvanState, max_rx_frames, 0),
    DEFINE_PROP_BOOL("frozen-flows", SvanState, frozen_estimates, false),
    DEFINE_SVAN_FAULT_PROPERTIES(SvanState, faults),
    DEFINE_PROP_UINT16("num-vfs", SvanState, num_vfs, 0),
};

static const struct {
    const char *name, *text;
} svan_property_help[] = {
    { "mac", "Ethernet address of the physical function" },
    { "netdev", "ID of the netdev the port is wired to" },
    { "wire", "path of a Unix socket: the port is joined to its peer by shared "
      "memory, in place of a netdev" },
    { "wire-server", "on: listen at that path; off: connect to it, now or when "
      "somebody listens" },
    { "iothread", "ID of an iothread to run the engine; default: one of its "
      "own" },
    { "engine", "who runs the engine: inline (the vCPU that rings, then the "
      "iothread), iothread, auto (as inline where the accelerator allows it, "
      "and polling while a host CPU is free)" },
    { "poll-ns", "how long the iothread polls the doorbell record of an idle "
      "queue, with engine=auto and engine=iothread; 0: never" },
    { "quantum-ns", "how long a vCPU that rings runs the engine before the "
      "iothread goes on" },
    { "atomics", "announce operations atomic with the vCPUs': on, off, auto "
      "(where the vCPUs' own are atomic on the host)" },
    { "link-speed", "announced speed of the port, Mb/s" },
    { "max-qp", "queue pairs of a function, a power of two; 0: default" },
    { "max-cq", "completion queues of a function, a power of two; "
      "0: default" },
    { "max-key", "memory keys of a function, a power of two; 0: default" },
    { "max-rx-frames", "frames the port holds for the engine; 0: default" },
    { "page-requests", "ask the driver for pages that are absent; off: their "
      "access fails at once, process keys reach what is resident" },
    { "fault-mode", "what becomes of a transfer that meets an absent page, where "
      "the driver sets no policy: auto (by the estimate of its time), or always "
      "hold, rnr, divert or drop" },
    { "fault-hold-us", "fault-mode=auto: estimates up to it hold" },
    { "fault-divert-us", "fault-mode=auto: estimates up to it divert" },
    { "fault-drop-us", "fault-mode=auto: estimates up to it drop and call back, "
      "longer ones answer RNR" },
    { "fault-bound-us", "hold, divert and drop end with an RNR NAK after it; "
      "0: never" },
    { "fault-unknown-us", "what counts for an unknown time" },
    { "fault-sources", "where estimates come from, a sum: 1 the table's entry, 2 "
      "the page's location, 4 the driver's response" },
    { "fault-buffer", "bytes in which a function holds packets; 0: default" },
    { "num-vfs", "virtual functions, up to 64; they need a slot of their own behind "
      "a pcie-root-port" },
    { "inject-fault", "let RC transfers meet pages as if they were absent: "
      "function=N,key=KEY,addr=ADDR,length=BYTES,class=CLASS,estimate-us=N,"
      "delay-us=N,outcome=resolved|failed,count=N,chance-ppm=N,seed=N; function 0, "
      "the physical one, if none is named; empty: no more, of any function" },
};

/* qom-set PATH inject-fault KEY=VALUE,... */
static void svan_set_inject_fault(Object *obj, const char *value, Error **errp)
{
    svan_inject_fault(&SVAN(obj)->nic, value, errp);
}

static void svan_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = svan_pf_realize;
    pc->exit = svan_pf_exit;
    pc->vendor_id = SVAN_PCI_VENDOR_ID;
    pc->device_id = SVAN_PCI_DEVICE_ID_PF;
    pc->revision = SVAN_PCI_REVISION;
    pc->class_id = PCI_CLASS_NETWORK_ETHERNET;
    rc->phases.hold = svan_pf_reset_hold;
    dc->desc = "Svan RDMA NIC";
    dc->vmsd = &svan_vmstate;
    device_class_set_props(dc, svan_properties);
    object_class_property_add_str(klass, "inject-fault", NULL,
                                  svan_set_inject_fault);
    for (unsigned i = 0; i < ARRAY_SIZE(svan_property_help); i++) {
        object_class_property_set_description(klass, svan_property_help[i].name,
                                              svan_property_help[i].text);
    }
    set_bit(DEVICE_CATEGORY_NETWORK, dc->categories);
}

static void svan_instance_init(Object *obj)
{
    SvanState *s = SVAN(obj);

    device_add_bootindex_property(obj, &s->conf.bootindex, "bootindex",
                                  "/ethernet-phy@0", DEVICE(obj));
}

static const TypeInfo svan_types[] = {
    {
        .name = TYPE_SVAN,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SvanState),
        .instance_init = svan_instance_init,
        .class_init = svan_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(svan_types)
