/*
 * Svan: virtual functions as a guest's kernel sees them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "nic.h"

#define VFS             3
#define VF_DEVICE       "-device svan,id=nic,addr=4,num-vfs=3,mac=" NIC_MAC " "
#define ECAM            0xb0000000ull
#define VF_REGS         0x800000000ull
#define VF_UARS         0x900000000ull
#define SCRATCH         0x5a5a0000u

/* ---- configuration space, of which port 0xcf8 reaches the first 256 octets ---- */

static uint64_t ecam(unsigned fn, unsigned offset)
{
    return ECAM + (QPCI_DEVFN(NIC_SLOT, fn) << 12) + offset;
}

static void ecam_enable(Nic *nic)
{
    QPCIDevice *host = qpci_device_find(nic->bus, QPCI_DEVFN(0, 0));

    qpci_config_writel(host, 0x64, ECAM >> 32);
    qpci_config_writel(host, 0x60, (uint32_t)ECAM | 1);
    g_free(host);
}

/* 0: there is no such capability. */
static unsigned extended_cap(Nic *nic, unsigned fn, uint16_t id)
{
    unsigned offset = 0x100;

    while (offset) {
        uint32_t header = qtest_readl(nic->qts, ecam(fn, offset));

        if (PCI_EXT_CAP_ID(header) == id) {
            return offset;
        }
        offset = PCI_EXT_CAP_NEXT(header);
    }
    return 0;
}

/* ---- virtual functions ---- */

/* QEMU wants the memory of virtual functions enabled one by one. */
static void vfs_switch(Nic *nic, unsigned num)
{
    unsigned sriov = extended_cap(nic, 0, PCI_EXT_CAP_ID_SRIOV);

    g_assert_cmpuint(sriov, !=, 0);
    qtest_writew(nic->qts, ecam(0, sriov + PCI_SRIOV_CTRL), 0);
    qtest_writew(nic->qts, ecam(0, sriov + PCI_SRIOV_NUM_VF), num);
    qtest_writeq(nic->qts, ecam(0, sriov + PCI_SRIOV_BAR), VF_REGS);
    qtest_writeq(nic->qts, ecam(0, sriov + PCI_SRIOV_BAR + 8), VF_UARS);
    if (num) {
        qtest_writew(nic->qts, ecam(0, sriov + PCI_SRIOV_CTRL),
                     PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
    }
    for (unsigned i = 1; i <= num; i++) {
        qtest_writew(nic->qts, ecam(i, PCI_COMMAND), PCI_COMMAND_MEMORY);
    }
}

static void vf_name(Nic *vf, Nic *pf, unsigned number)
{
    vf->dev->bus = pf->bus;
    vf->dev->devfn = QPCI_DEVFN(NIC_SLOT, number);
    vf->qts = pf->qts;
    vf->bus = pf->bus;
}

static Nic *vf_new(Nic *pf, unsigned number)
{
    Nic *vf = g_new0(Nic, 1);

    vf->dev = g_new0(QPCIDevice, 1);
    vf_name(vf, pf, number);
    vf->regs.addr = VF_REGS + (number - 1) * SVAN_BAR_REGS_SIZE;
    vf->uars.addr = VF_UARS + (number - 1) * SVAN_VF_UAR_COUNT * SVAN_UAR_SIZE;
    return vf;
}

/* Its rings, which answer a command, and a vector. */
static void vf_enable(Nic *vf)
{
    uint8_t msix = qpci_find_capability(vf->dev, PCI_CAP_ID_MSIX, 0);

    nic_enable(vf, 4);
    g_assert_cmphex(nic_command(vf, &(struct svan_cmd) {}, SVAN_CMD_NOP, NULL),
                    ==, SVAN_CMD_OK);
    qpci_config_writew(vf->dev, msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
    nic_vector(vf, 3, NIC_BUFFER, 0xbeef, false);
}

static void vfs_free(Nic *vf[])
{
    for (unsigned i = 1; i <= VFS; i++) {
        nic_free(vf[i]);
    }
}

/* vf[0] is the physical function. */
static void start(Nic *vf[])
{
    QTestState *qts = qtest_init(NIC_MACHINE VF_DEVICE);

    vf[0] = nic_find(qts, qpci_new_pc(qts, NULL), QPCI_DEVFN(NIC_SLOT, 0));
    ecam_enable(vf[0]);
    vfs_switch(vf[0], VFS);
    for (unsigned i = 1; i <= VFS; i++) {
        vf[i] = vf_new(vf[0], i);
    }
}

static void stop(Nic *vf[])
{
    vfs_free(vf);
    nic_stop(vf[0]);
}

static void mark(Nic *vf[])
{
    for (unsigned i = 0; i <= VFS; i++) {
        nic_write(vf[i], SVAN_REG_TEST_SCRATCH, SCRATCH + i);
    }
}

/* The one that is spared has forgotten its mark. */
static void assert_marked(Nic *vf[], unsigned spared)
{
    for (unsigned i = 0; i <= VFS; i++) {
        g_assert_cmphex(nic_read(vf[i], SVAN_REG_TEST_SCRATCH), ==,
                        i == spared ? 0 : SCRATCH + i);
    }
}

/* ---- tests ---- */

static void test_identity(void)
{
    Nic *vf[1 + VFS];

    start(vf);
    for (unsigned i = 1; i <= VFS; i++) {
        unsigned ari = extended_cap(vf[0], i, PCI_EXT_CAP_ID_ARI);

        g_assert_cmphex(nic_read(vf[i], SVAN_REG_MAGIC), ==, SVAN_MAGIC);
        g_assert_cmpuint(nic_read(vf[i], SVAN_REG_FUNCTION), ==, i);
        g_assert_cmpuint(nic_read(vf[i], SVAN_REG_UAR_COUNT), ==,
                         SVAN_VF_UAR_COUNT);
        g_assert_cmpuint(nic_read(vf[i], SVAN_REG_MSIX_COUNT), ==,
                         SVAN_VF_MSIX_COUNT);
        g_assert_cmphex(nic_read(vf[i], SVAN_REG_MAC_HI), !=,
                        nic_read(vf[i - 1], SVAN_REG_MAC_HI));
        g_assert_cmphex(nic_read(vf[i], SVAN_REG_MAC_LO) & 3, ==, 2);
        g_assert_cmpuint(ari, !=, 0);
    }
    mark(vf);
    assert_marked(vf, UINT_MAX);
    stop(vf);
}

static void test_none(void)
{
    Nic *nic = nic_start("");

    ecam_enable(nic);
    g_assert_cmphex(qtest_readl(nic->qts, ecam(0, 0x100)), ==, 0);
    nic_stop(nic);
}

/* Each has its own right to the bus, its own rings and its own interrupts. */
static void test_commands(void)
{
    Nic *vf[1 + VFS];

    start(vf);
    nic_bus_master(vf[2], true);
    g_assert_true(nic_dma(vf[2], NIC_BUFFER, 64, SVAN_TEST_DMA_FILL));
    g_assert_false(nic_dma(vf[1], NIC_BUFFER, 64, SVAN_TEST_DMA_FILL));
    vf_enable(vf[2]);
    nic_write(vf[2], SVAN_REG_TEST_IRQ, 3);
    nic_await_memory(vf[2], NIC_BUFFER, 0xbeef);
    stop(vf);
}

static void test_flr(void)
{
    Nic *vf[1 + VFS];

    start(vf);
    mark(vf);
    nic_flr(vf[2]);
    assert_marked(vf, 2);
    nic_flr(vf[0]);
    nic_restore_config(vf[0]);
    g_assert_cmphex(nic_read(vf[1], SVAN_REG_MAGIC), !=, SVAN_MAGIC);
    vfs_switch(vf[0], VFS);
    for (unsigned i = 0; i <= VFS; i++) {
        g_assert_cmphex(nic_read(vf[i], SVAN_REG_TEST_SCRATCH), ==, 0);
    }
    stop(vf);
}

/* What a function had is gone when it is enabled again. */
static void test_switched_off(void)
{
    Nic *vf[1 + VFS];

    start(vf);
    mark(vf);
    vfs_switch(vf[0], 0);
    g_assert_cmphex(nic_read(vf[1], SVAN_REG_MAGIC), !=, SVAN_MAGIC);
    vfs_switch(vf[0], 1);
    g_assert_cmphex(nic_read(vf[1], SVAN_REG_TEST_SCRATCH), ==, 0);
    g_assert_cmphex(nic_read(vf[0], SVAN_REG_TEST_SCRATCH), ==, SCRATCH);
    g_assert_cmphex(nic_read(vf[2], SVAN_REG_MAGIC), !=, SVAN_MAGIC);
    stop(vf);
}

/* A load resets virtual functions after theirs and before their own state. */
static void test_migrate(void)
{
    Nic *vf[1 + VFS], pf;

    start(vf);
    mark(vf);
    nic_bus_master(vf[2], true);
    vf_enable(vf[2]);
    pf = *vf[0];
    pf.qts = nic_migrate(vf[0]->qts, NIC_MACHINE VF_DEVICE);
    pf.bus = qpci_new_pc(pf.qts, NULL);
    pf.dev = qpci_device_find(pf.bus, QPCI_DEVFN(NIC_SLOT, 0));
    nic_stop(vf[0]);
    vf[0] = g_memdup2(&pf, sizeof(pf));
    for (unsigned i = 1; i <= VFS; i++) {
        vf_name(vf[i], vf[0], i);
    }
    assert_marked(vf, UINT_MAX);
    g_assert_cmphex(nic_command(vf[2], &(struct svan_cmd) {}, SVAN_CMD_NOP,
                                NULL), ==, SVAN_CMD_OK);
    nic_write(vf[2], SVAN_REG_TEST_IRQ, 3);
    nic_await_memory(vf[2], NIC_BUFFER, 0xbeef);
    g_assert_false(nic_dma(vf[1], NIC_BUFFER, 64, SVAN_TEST_DMA_FILL));
    stop(vf);
}

static bool injects(Nic *nic, const char *text)
{
    QDict *reply = qtest_qmp(nic->qts, "{ 'execute': 'qom-set', 'arguments': "
                             "{ 'path': '/machine/peripheral/nic', 'property': "
                             "'inject-fault', 'value': %s } }", text);
    bool done = !qdict_haskey(reply, "error");

    qobject_unref(reply);
    return done;
}

/* Each has room for sixteen; taking them back makes room in all of them. */
static void test_injection(void)
{
    Nic *vf[1 + VFS];

    start(vf);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i <= VFS; i++) {
            g_autofree char *text = g_strdup_printf("function=%u", i);

            for (unsigned n = 0; n < 16; n++) {
                g_assert_true(injects(vf[0], text));
            }
            g_assert_false(injects(vf[0], text));
        }
        g_assert_false(injects(vf[0], "function=4"));
        g_assert_true(injects(vf[0], ""));
    }
    stop(vf);
}

/* Where there is no room for the last one, none is left. */
static void test_no_room(void)
{
    QTestState *qts = qtest_init(NIC_MACHINE "-device pcie-root-port,id=rp,addr=4 "
                                 "-device virtio-rng-pci,addr=5.1,multifunction=on "
                                 "-device virtio-rng-pci,addr=5.0,multifunction=on");
    QDict *reply = qtest_qmp(qts, "{ 'execute': 'device_add', 'arguments': "
                             "{ 'driver': 'svan', 'addr': '4.1', 'num-vfs': 64 } }");

    g_assert_true(qdict_haskey(reply, "error"));
    qobject_unref(reply);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svan/vf/identity", test_identity);
    qtest_add_func("/svan/vf/none", test_none);
    qtest_add_func("/svan/vf/commands", test_commands);
    qtest_add_func("/svan/vf/flr", test_flr);
    qtest_add_func("/svan/vf/switched-off", test_switched_off);
    qtest_add_func("/svan/vf/migrate", test_migrate);
    qtest_add_func("/svan/vf/injection", test_injection);
    qtest_add_func("/svan/vf/no-room", test_no_room);
    return g_test_run();
}
