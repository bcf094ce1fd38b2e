/*
 * A Svan device under test: registers, rings, waiting
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qobject/qdict.h"
#include "nic.h"

/* ---- life ---- */

Nic *nic_find(QTestState *qts, QPCIBus *bus, int devfn)
{
    Nic *nic = g_new0(Nic, 1);

    nic->qts = qts;
    nic->bus = bus;
    nic->dev = qpci_device_find(bus, devfn);
    g_assert_nonnull(nic->dev);
    nic->regs = qpci_iomap(nic->dev, SVAN_BAR_REGS, NULL);
    nic->uars = qpci_iomap(nic->dev, SVAN_BAR_UAR, NULL);
    qpci_device_enable(nic->dev);
    return nic;
}

Nic *nic_start(const char *args)
{
    QTestState *qts = qtest_initf(NIC_MACHINE NIC_DEVICE "%s", args);

    return nic_find(qts, qpci_new_pc(qts, NULL), QPCI_DEVFN(NIC_SLOT, 0));
}

void nic_free(Nic *nic)
{
    g_free(nic->dev);
    g_free(nic);
}

void nic_stop(Nic *nic)
{
    QTestState *qts = nic->qts;

    qpci_free_pc(nic->bus);
    nic_free(nic);
    qtest_quit(qts);
}

void nic_restore_config(Nic *nic)
{
    qpci_config_writel(nic->dev, PCI_BASE_ADDRESS_0, nic->regs.addr);
    qpci_config_writel(nic->dev, PCI_BASE_ADDRESS_2, nic->uars.addr);
    qpci_device_enable(nic->dev);
}

/* ---- registers ---- */

uint32_t nic_read(Nic *nic, uint32_t reg)
{
    return qtest_readl(nic->qts, nic->regs.addr + reg);
}

void nic_write(Nic *nic, uint32_t reg, uint32_t value)
{
    qtest_writel(nic->qts, nic->regs.addr + reg, value);
}

uint64_t nic_read64(Nic *nic, uint32_t reg)
{
    return qtest_readq(nic->qts, nic->regs.addr + reg);
}

void nic_write64(Nic *nic, uint32_t reg, uint64_t value)
{
    qtest_writeq(nic->qts, nic->regs.addr + reg, value);
}

static gint64 nic_limit(void)
{
    return g_get_monotonic_time() + NIC_WAIT_S * G_USEC_PER_SEC;
}

uint32_t nic_await(Nic *nic, uint32_t reg, uint32_t mask, uint32_t want)
{
    gint64 limit = nic_limit();
    uint32_t value;

    do {
        value = nic_read(nic, reg);
    } while ((value & mask) != want && g_get_monotonic_time() < limit);
    g_assert_cmphex(value & mask, ==, want);
    return value;
}

void nic_await_memory(Nic *nic, uint64_t addr, uint32_t value)
{
    gint64 limit = nic_limit();
    uint32_t found;

    do {
        found = qtest_readl(nic->qts, addr);
    } while (found != value && g_get_monotonic_time() < limit);
    g_assert_cmphex(found, ==, value);
}

void nic_assert_alive(Nic *nic)
{
    g_assert_cmphex(nic_read(nic, SVAN_REG_MAGIC), ==, SVAN_MAGIC);
    nic_write(nic, SVAN_REG_TEST_SCRATCH, 0xfeedface);
    g_assert_cmphex(nic_read(nic, SVAN_REG_TEST_SCRATCH), ==, 0xfeedface);
}

bool nic_dma(Nic *nic, uint64_t addr, uint32_t size, uint32_t op)
{
    nic_write64(nic, SVAN_REG_TEST_DMA_ADDR, addr);
    nic_write(nic, SVAN_REG_TEST_DMA_SIZE, size);
    nic_write(nic, SVAN_REG_TEST_DMA_CTRL, op);
    return !(nic_await(nic, SVAN_REG_TEST_DMA_CTRL, SVAN_TEST_DMA_BUSY, 0) &
             SVAN_TEST_DMA_ERROR);
}

/* ---- migration ---- */

/* On either side; libqtest gives up on a reply that does not come. */
static void nic_await_migration(QTestState *qts)
{
    gint64 limit = nic_limit();
    bool done = false;

    while (!done) {
        QDict *reply = qtest_qmp_assert_success_ref(
            qts, "{ 'execute': 'query-migrate' }");
        const char *status = qdict_get_try_str(reply, "status") ?: "none";

        g_assert_cmpstr(status, !=, "failed");
        g_assert_cmpint(g_get_monotonic_time(), <, limit);
        done = g_str_equal(status, "completed");
        qobject_unref(reply);
    }
}

QTestState *nic_migrate(QTestState *from, const char *args)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *file = NULL, *uri = NULL;
    int fd = g_file_open_tmp("svan-qtest-XXXXXX", &file, &error);
    QTestState *to;

    g_assert_no_error(error);
    close(fd);
    uri = g_strdup_printf("file:%s", file);
    qtest_qmp_assert_success(from, "{ 'execute': 'migrate', 'arguments': "
                             "{ 'uri': %s } }", uri);
    nic_await_migration(from);
    to = qtest_initf("%s -incoming %s", args, uri);
    nic_await_migration(to);
    g_unlink(file);
    return to;
}

/* ---- commands ---- */

void nic_enable(Nic *nic, unsigned log_size)
{
    qtest_memset(nic->qts, NIC_CMDR, 0, SVAN_CMD_RESP_SIZE << log_size);
    nic->log_size = log_size;
    nic->cmd_index = 0;
    nic_write64(nic, SVAN_REG_CMDQ_BASE, NIC_CMDQ);
    nic_write64(nic, SVAN_REG_CMDR_BASE, NIC_CMDR);
    nic_write(nic, SVAN_REG_CMDQ_LOG_SIZE, log_size);
    nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE);
    nic_await(nic, SVAN_REG_STATUS, SVAN_STATUS_READY, SVAN_STATUS_READY);
}

static uint32_t nic_slot(Nic *nic, uint32_t index)
{
    return index & ((1u << nic->log_size) - 1);
}

void nic_post(Nic *nic, struct svan_cmd *cmd, uint16_t opcode)
{
    uint32_t index = nic->cmd_index++;

    cmd->hdr.opcode = svan_cpu_to_le16(opcode);
    cmd->hdr.tag = svan_cpu_to_le32(index ^ 0xabcd0000);
    qtest_memwrite(nic->qts, NIC_CMDQ + nic_slot(nic, index) * SVAN_CMD_SIZE,
                   cmd, sizeof(*cmd));
}

uint8_t nic_command(Nic *nic, struct svan_cmd *cmd, uint16_t opcode,
                    struct svan_cmd_resp *resp)
{
    uint32_t index = nic->cmd_index;
    uint64_t at = NIC_CMDR + nic_slot(nic, index) * SVAN_CMD_RESP_SIZE;
    gint64 limit = nic_limit();
    struct svan_cmd_resp own;

    resp = resp ?: &own;
    nic_post(nic, cmd, opcode);
    nic_write(nic, SVAN_REG_CMDQ_DB, nic->cmd_index);
    do {
        qtest_memread(nic->qts, at, resp, sizeof(*resp));
    } while (!svan_cmd_resp_valid(resp->phase, index, nic->log_size) &&
             g_get_monotonic_time() < limit);
    g_assert_true(svan_cmd_resp_valid(resp->phase, index, nic->log_size));
    g_assert_cmphex(svan_le32_to_cpu(resp->tag), ==, index ^ 0xabcd0000);
    return resp->status;
}

void nic_stats(Nic *nic, struct svan_stats *stats)
{
    struct svan_cmd cmd = {
        .query = {
            .addr = svan_cpu_to_le64(NIC_BUFFER),
            .length = svan_cpu_to_le32(sizeof(*stats)),
        },
    };

    g_assert_cmphex(nic_command(nic, &cmd, SVAN_CMD_QUERY_STATS, NULL), ==,
                    SVAN_CMD_OK);
    qtest_memread(nic->qts, NIC_BUFFER, stats, sizeof(*stats));
}

/* ---- PCI ---- */

void nic_bus_master(Nic *nic, bool on)
{
    uint16_t command = qpci_config_readw(nic->dev, PCI_COMMAND);

    command = on ? command | PCI_COMMAND_MASTER : command & ~PCI_COMMAND_MASTER;
    qpci_config_writew(nic->dev, PCI_COMMAND, command);
}

void nic_port_power(QPCIDevice *port, bool on)
{
    uint8_t cap = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);

    qpci_config_writew(port, cap + PCI_EXP_SLTCTL,
                       on ? PCI_EXP_SLTCTL_PWR_IND_ON
                          : PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF);
}

void nic_flr(Nic *nic)
{
    uint8_t cap = qpci_find_capability(nic->dev, PCI_CAP_ID_EXP, 0);
    uint16_t control = qpci_config_readw(nic->dev, cap + PCI_EXP_DEVCTL);

    qpci_config_writew(nic->dev, cap + PCI_EXP_DEVCTL,
                       control | PCI_EXP_DEVCTL_BCR_FLR);
}

void nic_vector(Nic *nic, unsigned vector, uint32_t addr, uint32_t data,
                bool masked)
{
    uint64_t entry = nic->regs.addr + SVAN_MSIX_TABLE_OFFSET +
                     vector * PCI_MSIX_ENTRY_SIZE;

    qtest_writel(nic->qts, entry + PCI_MSIX_ENTRY_LOWER_ADDR, addr);
    qtest_writel(nic->qts, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
    qtest_writel(nic->qts, entry + PCI_MSIX_ENTRY_DATA, data);
    qtest_writel(nic->qts, entry + PCI_MSIX_ENTRY_VECTOR_CTRL,
                 masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}
