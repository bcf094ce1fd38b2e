/*
 * The life of a Svan device: enabling, faults, resets, unplug, migration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "svan/accel.h"
#include "nic.h"

/* ---- commands ---- */

static void test_commands(void)
{
    Nic *nic = nic_start("");
    struct svan_cmd cmd = {};
    struct svan_cmd_resp resp;
    struct svan_caps caps;

    nic_enable(nic, 2);
    for (unsigned i = 0; i < 11; i++) {
        g_assert_cmphex(nic_command(nic, &cmd, SVAN_CMD_NOP, NULL), ==,
                        SVAN_CMD_OK);
    }
    g_assert_cmpuint(nic_read(nic, SVAN_REG_CMDQ_HEAD), ==, 11);
    g_assert_cmphex(nic_command(nic, &cmd, 0x7fff, &resp), ==,
                    SVAN_CMD_BAD_OPCODE);

    cmd.query.addr = svan_cpu_to_le64(NIC_BUFFER);
    cmd.query.length = svan_cpu_to_le32(sizeof(caps));
    g_assert_cmphex(nic_command(nic, &cmd, SVAN_CMD_QUERY_CAPS, NULL), ==,
                    SVAN_CMD_OK);
    qtest_memread(nic->qts, NIC_BUFFER, &caps, sizeof(caps));
    g_assert_cmpuint(svan_le32_to_cpu(caps.max_uar), ==, SVAN_PF_UAR_COUNT);
    g_assert_true(svan_le64_to_cpu(caps.features) & SVAN_CAP_RC);
    /* qtest's one vCPU */
    g_assert_false(svan_le64_to_cpu(caps.features) & SVAN_CAP_ATOMIC_GLOBAL);
    g_assert_cmpuint(svan_le32_to_cpu(caps.off_reason), ==,
                     SVAN_CAP_OFF_NO_TRUE_ATOMICS);

    cmd.query.addr = svan_cpu_to_le64(NIC_NO_MEMORY);
    g_assert_cmphex(nic_command(nic, &cmd, SVAN_CMD_QUERY_CAPS, NULL), ==,
                    SVAN_CMD_DMA_ERROR);
    nic_stop(nic);
}

static void test_limits(void)
{
    Nic *nic = nic_start("-device svan,addr=5,id=small,max-qp=64,max-cq=128,"
                         "max-key=256");
    Nic *small = nic_find(nic->qts, nic->bus, QPCI_DEVFN(5, 0));
    struct svan_cmd cmd = {
        .query = {
            .addr = svan_cpu_to_le64(NIC_BUFFER),
            .length = svan_cpu_to_le32(sizeof(struct svan_caps)),
        },
    };
    struct svan_caps caps;

    nic_enable(small, 4);
    g_assert_cmphex(nic_command(small, &cmd, SVAN_CMD_QUERY_CAPS, NULL), ==,
                    SVAN_CMD_OK);
    qtest_memread(nic->qts, NIC_BUFFER, &caps, sizeof(caps));
    g_assert_cmpuint(svan_le32_to_cpu(caps.max_qp), <=, 64);
    g_assert_cmpuint(svan_le32_to_cpu(caps.max_qp), >, 32);
    g_assert_cmpuint(svan_le32_to_cpu(caps.max_cq), <=, 128);
    g_assert_cmpuint(svan_le32_to_cpu(caps.max_key), <=, 256);
    nic_free(small);
    nic_stop(nic);
}

/* ---- enabling with nonsense ---- */

static void assert_fatal(Nic *nic, uint32_t code)
{
    nic_await(nic, SVAN_REG_STATUS, SVAN_STATUS_FATAL, SVAN_STATUS_FATAL);
    g_assert_cmpuint(nic_read(nic, SVAN_REG_FATAL_CODE), ==, code);
    nic_assert_alive(nic);

    /* only reset leaves the state */
    nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE);
    nic_write(nic, SVAN_REG_CMDQ_DB, 1);
    g_assert_cmpuint(nic_read(nic, SVAN_REG_FATAL_CODE), ==, code);
    nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
    g_assert_cmphex(nic_read(nic, SVAN_REG_STATUS), ==, 0);
    nic_enable(nic, 4);
    nic_command(nic, &(struct svan_cmd) {}, SVAN_CMD_NOP, NULL);
    nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
}

static void test_silly_rings(void)
{
    static const uint64_t addresses[] = {
        NIC_NO_MEMORY, UINT64_MAX, 0xfee00000, 1ull << 63,
    };
    Nic *nic = nic_start("");

    for (unsigned i = 0; i < G_N_ELEMENTS(addresses); i++) {
        nic_enable(nic, 4);
        nic_write(nic, SVAN_REG_CONTROL, 0);
        nic_write64(nic, SVAN_REG_CMDQ_BASE, addresses[i]);
        nic_write64(nic, SVAN_REG_CMDR_BASE, NIC_CMDR);
        nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE);
        nic_write(nic, SVAN_REG_CMDQ_DB, 1);
        assert_fatal(nic, SVAN_FATAL_CMDQ_DMA);

        nic_write64(nic, SVAN_REG_CMDQ_BASE, NIC_CMDQ);
        nic_write64(nic, SVAN_REG_CMDR_BASE, addresses[i]);
        nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE);
        nic_write(nic, SVAN_REG_CMDQ_DB, 1);
        assert_fatal(nic, SVAN_FATAL_CMDQ_DMA);
    }
    nic_stop(nic);
}

static void test_silly_sizes(void)
{
    Nic *nic = nic_start("");

    nic_write(nic, SVAN_REG_CMDQ_LOG_SIZE, SVAN_CMDQ_MAX_LOG_SIZE);
    nic_write(nic, SVAN_REG_CMDQ_LOG_SIZE, SVAN_CMDQ_MAX_LOG_SIZE + 1);
    nic_write(nic, SVAN_REG_CMDQ_LOG_SIZE, UINT32_MAX);
    g_assert_cmpuint(nic_read(nic, SVAN_REG_CMDQ_LOG_SIZE), ==,
                     SVAN_CMDQ_MAX_LOG_SIZE);

    nic_enable(nic, 0);
    for (unsigned i = 0; i < 3; i++) {
        nic_command(nic, &(struct svan_cmd) {}, SVAN_CMD_NOP, NULL);
    }
    nic_write(nic, SVAN_REG_CMDQ_DB, nic->cmd_index + 2);
    assert_fatal(nic, SVAN_FATAL_CMDQ_INDEX);

    nic_enable(nic, 4);
    nic_write(nic, SVAN_REG_CMDQ_DB, 0x80000000);
    assert_fatal(nic, SVAN_FATAL_CMDQ_INDEX);
    nic_stop(nic);
}

/* The size that counts is the one there was when ENABLE was set. */
static void test_size_is_latched(void)
{
    Nic *nic = nic_start("");

    nic_enable(nic, 1);
    nic_write(nic, SVAN_REG_CMDQ_LOG_SIZE, 8);
    for (unsigned i = 0; i < 5; i++) {
        nic_command(nic, &(struct svan_cmd) {}, SVAN_CMD_NOP, NULL);
    }
    nic_stop(nic);
}

/* ---- resets ---- */

/* Many commands in flight, so that a reset comes in between. */
static void start_work(Nic *nic)
{
    struct svan_cmd cmd = {};

    nic_enable(nic, SVAN_CMDQ_MAX_LOG_SIZE);
    for (unsigned i = 0; i < 256; i++) {
        nic_post(nic, &cmd, SVAN_CMD_ALLOC_PD);
    }
    nic_write(nic, SVAN_REG_TEST_SCRATCH, 0x77777777);
    nic_write(nic, SVAN_REG_CMDQ_DB, nic->cmd_index);
}

static void assert_was_reset(Nic *nic, uint32_t generation)
{
    g_assert_cmphex(nic_read(nic, SVAN_REG_MAGIC), ==, SVAN_MAGIC);
    g_assert_cmphex(nic_read(nic, SVAN_REG_TEST_SCRATCH), ==, 0);
    g_assert_cmphex(nic_read(nic, SVAN_REG_CONTROL), ==, 0);
    g_assert_cmphex(nic_read(nic, SVAN_REG_STATUS), ==, 0);
    g_assert_cmpuint(nic_read(nic, SVAN_REG_CMDQ_HEAD), ==, 0);
    g_assert_cmpuint(nic_read(nic, SVAN_REG_GENERATION), >, generation);
    nic_enable(nic, 4);
    g_assert_cmphex(nic_command(nic, &(struct svan_cmd) {}, SVAN_CMD_ALLOC_PD,
                                NULL), ==, SVAN_CMD_OK);
}

static void test_reset_register(void)
{
    Nic *nic = nic_start("");

    for (unsigned i = 0; i < 20; i++) {
        uint32_t generation = nic_read(nic, SVAN_REG_GENERATION);

        start_work(nic);
        nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
        assert_was_reset(nic, generation);
        nic_write(nic, SVAN_REG_CONTROL, 0);
    }
    nic_stop(nic);
}

static void test_flr(void)
{
    Nic *nic = nic_start("");

    for (unsigned i = 0; i < 20; i++) {
        uint32_t generation = nic_read(nic, SVAN_REG_GENERATION);

        start_work(nic);
        nic_flr(nic);
        g_assert_cmphex(qpci_config_readw(nic->dev, PCI_COMMAND) &
                        PCI_COMMAND_MASTER, ==, 0);
        nic_restore_config(nic);
        assert_was_reset(nic, generation);
    }
    nic_stop(nic);
}

static void test_system_reset(void)
{
    Nic *nic = nic_start("");
    uint32_t generation = nic_read(nic, SVAN_REG_GENERATION);

    start_work(nic);
    qtest_qmp_assert_success(nic->qts, "{ 'execute': 'system_reset' }");
    qtest_qmp_eventwait(nic->qts, "RESET");
    nic_restore_config(nic);
    assert_was_reset(nic, generation);
    nic_stop(nic);
}

/* ---- behind a root port ---- */

#define PORT_SLOT       6
#define PORT_ARGS \
    NIC_MACHINE "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off " \
    "-device pcie-root-port,id=rp,chassis=1,addr=6 "

static QPCIDevice *port_open(QPCIBus *bus)
{
    QPCIDevice *port = qpci_device_find(bus, QPCI_DEVFN(PORT_SLOT, 0));

    g_assert_nonnull(port);
    qpci_secondary_buses_init(bus);
    /* qpci_iomap() takes addresses from 0xe0000000 on: let them through */
    qpci_config_writew(port, PCI_MEMORY_BASE, 0xe000);
    qpci_config_writew(port, PCI_MEMORY_LIMIT, 0xefff);
    qpci_device_enable(port);
    return port;
}

static int port_devfn(void)
{
    return 1 << 8;      /* bus 1, as qpci_secondary_buses_init() numbers them */
}

/* Secondary bus reset, as `echo 1 > reset` of a function without FLR does. */
static void test_bus_reset(void)
{
    QTestState *qts = qtest_init(PORT_ARGS "-device svan,bus=rp,id=nic,mac="
                                 NIC_MAC);
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QPCIDevice *port = port_open(bus);
    Nic *nic = nic_find(qts, bus, port_devfn());

    for (unsigned i = 0; i < 10; i++) {
        uint32_t generation = nic_read(nic, SVAN_REG_GENERATION);
        uint16_t control = qpci_config_readw(port, PCI_BRIDGE_CONTROL);

        start_work(nic);
        qpci_config_writew(port, PCI_BRIDGE_CONTROL,
                           control | PCI_BRIDGE_CTL_BUS_RESET);
        qpci_config_writew(port, PCI_BRIDGE_CONTROL, control);
        nic_restore_config(nic);
        assert_was_reset(nic, generation);
    }
    g_free(port);
    nic_stop(nic);
}

static void test_unplug(void)
{
    QTestState *qts = qtest_init(PORT_ARGS
                                 "-netdev hubport,hubid=0,id=net "
                                 "-object iothread,id=io");
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QPCIDevice *port = port_open(bus);

    for (unsigned i = 0; i < 6; i++) {
        Nic *nic;

        if (i % 2) {
            qtest_qmp_device_add(qts, "svan", "nic", "{ 'bus': 'rp', "
                                 "'netdev': 'net', 'iothread': 'io' }");
        } else {
            qtest_qmp_device_add(qts, "svan", "nic", "{ 'bus': 'rp', "
                                 "'netdev': 'net' }");
        }
        nic_port_power(port, true);
        nic = nic_find(qts, bus, port_devfn());
        start_work(nic);
        qtest_qmp_device_del_send(qts, "nic");
        nic_port_power(port, false);
        qtest_qmp_eventwait(qts, "DEVICE_DELETED");
        g_assert_cmphex(qpci_config_readw(nic->dev, PCI_VENDOR_ID), ==, 0xffff);
        bus->mmio_alloc_ptr = 0xe0000000;
        nic_free(nic);
    }
    g_free(port);
    qpci_free_pc(bus);
    qtest_quit(qts);
}

/* The next accelerator comes while readers of RCU still keep the last one's memory. */
static void test_unplug_accel(void)
{
    QTestState *qts = qtest_init(PORT_ARGS);
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QPCIDevice *port = port_open(bus);

    for (unsigned i = 0; i < 20; i++) {
        g_autofree char *id = g_strdup_printf("accel%u", i);
        QPCIDevice *dev;

        qtest_qmp_device_add(qts, "svan-accel", id,
                             "{ 'bus': 'rp', 'mem-size': 16777216 }");
        nic_port_power(port, true);
        dev = qpci_device_find(bus, port_devfn());
        g_assert_nonnull(dev);
        qpci_iomap(dev, SVAN_ACCEL_BAR_MEM, NULL);
        qpci_device_enable(dev);
        qtest_qmp_device_del_send(qts, id);
        nic_port_power(port, false);
        bus->mmio_alloc_ptr = 0xe0000000;
        g_free(dev);
    }
    g_free(port);
    qpci_free_pc(bus);
    qtest_quit(qts);
}

static void test_properties(void)
{
    static const char *const wrong[] = {
        "'num-vfs': 65", "'link-speed': 99", "'link-speed': 4294967295",
        "'max-qp': 1000", "'max-cq': 3", "'max-key': 65537", "'max-qp': 1",
        "'max-key': 2147483648", "'engine': 'fast'", "'engine': 'inline'",
        "'atomics': 'on'", "'iothread': 'nobody'", "'poll-ns': -1",
        "'fault-mode': 'fast'", "'fault-sources': 0", "'fault-sources': 8",
    };
    QTestState *qts = qtest_init(PORT_ARGS);

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *command = g_strdup_printf(
            "{ 'execute': 'device_add', 'arguments': { 'driver': 'svan', "
            "'id': 'nic', 'bus': 'rp', %s } }", wrong[i]);
        QDict *reply = qtest_qmp(qts, command);

        g_test_message("%s", wrong[i]);
        g_assert_true(qdict_haskey(reply, "error"));
        qobject_unref(reply);
    }
    qtest_qmp_device_add(qts, "svan", "nic", "{ 'bus': 'rp', "
                         "'engine': 'iothread', 'poll-ns': 1000, "
                         "'atomics': 'off' }");
    qtest_quit(qts);
}

/* What is wrong with it is told in words. */
static void test_injection(void)
{
    static const struct {
        const char *text, *error;   /* NULL: none */
    } cases[] = {
        { "key=1,addr=0x1000,length=4096,class=swap-in,estimate-us=10,"
          "delay-us=20,outcome=failed,count=3,chance-ppm=500000,seed=7", NULL },
        { "class=userfaultfd", NULL },
        { "key=x", "key is 'x', but has to be a number" },
        { "delay-us=", "delay-us is '', but has to be a number" },
        { "class=slow", "slow" },
        { "outcome=maybe", "maybe" },
        { "page=1", "not 'page'" },
        { "function=0,count=1", NULL },
        { "function=1", "the device has none above 0" },
        { "function=65", "at most 64" },
        { "addr=0xfffffffffffffff0,length=0x20", "ends before it begins" },
        { "chance-ppm=1000001", "at most 1000000" },
        { "key=0x100000000", "at most 4294967295" },
        { "count=4294967297", "at most 4294967295" },
        { "delay-us=18446744073709552", "at most 18446744073709551" },
        { "", NULL },
    };
    Nic *nic = nic_start("");

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        QDict *reply = qtest_qmp(nic->qts, "{ 'execute': 'qom-set', "
                                 "'arguments': { 'path': "
                                 "'/machine/peripheral/nic', 'property': "
                                 "'inject-fault', 'value': %s } }",
                                 cases[i].text);
        QDict *error = qdict_get_qdict(reply, "error");

        g_test_message("'%s'", cases[i].text);
        g_assert_cmpint(!error, ==, !cases[i].error);
        if (error) {
            g_assert_nonnull(strstr(qdict_get_str(error, "desc"),
                                    cases[i].error));
        }
        qobject_unref(reply);
    }
    nic_assert_alive(nic);
    nic_stop(nic);
}

static void test_several(void)
{
    Nic *nic = nic_start("-device svan,addr=5 -device svan,addr=6 "
                         "-device pcie-root-port,id=p,chassis=9,addr=7 "
                         "-device svan,bus=p");
    Nic *second = nic_find(nic->qts, nic->bus, QPCI_DEVFN(5, 0));
    Nic *third = nic_find(nic->qts, nic->bus, QPCI_DEVFN(6, 0));

    nic_write(nic, SVAN_REG_TEST_SCRATCH, 1);
    nic_write(second, SVAN_REG_TEST_SCRATCH, 2);
    nic_write(third, SVAN_REG_TEST_SCRATCH, 3);
    nic_enable(nic, 4);
    nic_command(nic, &(struct svan_cmd) {}, SVAN_CMD_NOP, NULL);
    nic_write(second, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
    g_assert_cmpuint(nic_read(nic, SVAN_REG_TEST_SCRATCH), ==, 1);
    g_assert_cmpuint(nic_read(second, SVAN_REG_TEST_SCRATCH), ==, 0);
    g_assert_cmpuint(nic_read(third, SVAN_REG_TEST_SCRATCH), ==, 3);
    nic_command(nic, &(struct svan_cmd) {}, SVAN_CMD_NOP, NULL);
    g_assert_cmpuint(nic_read(second, SVAN_REG_CMDQ_HEAD), ==, 0);
    nic_free(second);
    nic_free(third);
    nic_stop(nic);
}

/* ---- stopping, saving ---- */

static void test_stop_and_continue(void)
{
    Nic *nic = nic_start("");
    struct svan_cmd cmd = {};

    start_work(nic);
    nic_await(nic, SVAN_REG_CMDQ_HEAD, UINT32_MAX, 256);
    qtest_qmp_assert_success(nic->qts, "{ 'execute': 'stop' }");
    qtest_qmp_eventwait(nic->qts, "STOP");
    for (unsigned i = 0; i < 8; i++) {
        nic_post(nic, &cmd, SVAN_CMD_NOP);
    }
    nic_write(nic, SVAN_REG_CMDQ_DB, nic->cmd_index);
    for (unsigned i = 0; i < 200; i++) {
        g_assert_cmpuint(nic_read(nic, SVAN_REG_CMDQ_HEAD), ==, 256);
    }
    qtest_qmp_assert_success(nic->qts, "{ 'execute': 'cont' }");
    qtest_qmp_eventwait(nic->qts, "RESUME");
    nic_await(nic, SVAN_REG_CMDQ_HEAD, UINT32_MAX, 264);
    nic_stop(nic);
}

/* Saved with a full ring in the middle of its work, continued elsewhere. */
static void test_migrate(void)
{
    Nic *from = nic_start(""), *to;
    uint32_t generation = nic_read(from, SVAN_REG_GENERATION);
    QPCIBar regs, uars;
    QTestState *qts;

    qpci_msix_enable(from->dev);
    from->regs = from->dev->msix_table_bar;
    nic_vector(from, 9, NIC_BUFFER, 0xbeef, true);
    nic_write(from, SVAN_REG_TEST_IRQ, 9);
    qtest_qmp_assert_success(from->qts, "{ 'execute': 'stop' }");
    start_work(from);
    regs = from->regs;
    uars = from->uars;
    qts = nic_migrate(from->qts, NIC_MACHINE NIC_DEVICE);
    qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
    qtest_qmp_eventwait(qts, "RESUME");
    to = g_new0(Nic, 1);
    *to = (Nic) {
        .qts = qts,
        .bus = qpci_new_pc(qts, NULL),
        .regs = regs,
        .uars = uars,
        .log_size = from->log_size,
        .cmd_index = from->cmd_index,
    };
    to->dev = qpci_device_find(to->bus, QPCI_DEVFN(NIC_SLOT, 0));
    nic_stop(from);

    g_assert_cmphex(nic_read(to, SVAN_REG_TEST_SCRATCH), ==, 0x77777777);
    g_assert_cmpuint(nic_read(to, SVAN_REG_GENERATION), ==, generation);
    nic_await(to, SVAN_REG_CMDQ_HEAD, UINT32_MAX, 256);
    g_assert_cmphex(nic_command(to, &(struct svan_cmd) {}, SVAN_CMD_NOP, NULL),
                    ==, SVAN_CMD_OK);
    nic_vector(to, 9, NIC_BUFFER, 0xbeef, false);
    nic_await_memory(to, NIC_BUFFER, 0xbeef);
    nic_stop(to);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svan/commands", test_commands);
    qtest_add_func("/svan/limits", test_limits);
    qtest_add_func("/svan/enable/silly-rings", test_silly_rings);
    qtest_add_func("/svan/enable/silly-sizes", test_silly_sizes);
    qtest_add_func("/svan/enable/latched", test_size_is_latched);
    qtest_add_func("/svan/reset/register", test_reset_register);
    qtest_add_func("/svan/reset/flr", test_flr);
    qtest_add_func("/svan/reset/system", test_system_reset);
    qtest_add_func("/svan/reset/bus", test_bus_reset);
    qtest_add_func("/svan/properties", test_properties);
    qtest_add_func("/svan/injection", test_injection);
    qtest_add_func("/svan/unplug", test_unplug);
    qtest_add_func("/svan/unplug-accel", test_unplug_accel);
    qtest_add_func("/svan/several", test_several);
    qtest_add_func("/svan/stop", test_stop_and_continue);
    qtest_add_func("/svan/migrate", test_migrate);
    return g_test_run();
}
