/*
 * The PCI side of Svan: configuration space, registers, interrupts, DMA
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "nic.h"

/* ---- configuration space ---- */

static void test_ids(void)
{
    Nic *nic = nic_start("");

    g_assert_cmphex(qpci_config_readw(nic->dev, PCI_VENDOR_ID), ==,
                    SVAN_PCI_VENDOR_ID);
    g_assert_cmphex(qpci_config_readw(nic->dev, PCI_DEVICE_ID), ==,
                    SVAN_PCI_DEVICE_ID_PF);
    g_assert_cmphex(qpci_config_readb(nic->dev, PCI_REVISION_ID), ==,
                    SVAN_PCI_REVISION);
    g_assert_cmphex(qpci_config_readw(nic->dev, PCI_CLASS_DEVICE), ==, 0x0200);
    g_assert_cmphex(qpci_config_readw(nic->dev, PCI_SUBSYSTEM_VENDOR_ID), ==,
                    0x1af4);
    g_assert_cmphex(qpci_config_readw(nic->dev, PCI_SUBSYSTEM_ID), ==, 0x1100);
    g_assert_cmphex(qpci_find_capability(nic->dev, PCI_CAP_ID_EXP, 0), !=, 0);
    nic_stop(nic);
}

static void test_bars(void)
{
    Nic *nic = nic_start("");
    uint64_t size;
    uint32_t type;

    qpci_iomap(nic->dev, SVAN_BAR_REGS, &size);
    g_assert_cmphex(size, ==, SVAN_BAR_REGS_SIZE);
    qpci_iomap(nic->dev, SVAN_BAR_UAR, &size);
    g_assert_cmphex(size, ==, SVAN_PF_UAR_COUNT * SVAN_UAR_SIZE);

    type = qpci_config_readl(nic->dev, PCI_BASE_ADDRESS_0) & 0xf;
    g_assert_cmphex(type, ==, PCI_BASE_ADDRESS_MEM_TYPE_64);
    type = qpci_config_readl(nic->dev, PCI_BASE_ADDRESS_2) & 0xf;
    g_assert_cmphex(type, ==, PCI_BASE_ADDRESS_MEM_TYPE_64 |
                    PCI_BASE_ADDRESS_MEM_PREFETCH);
    qpci_config_writel(nic->dev, PCI_BASE_ADDRESS_4, 0xffffffff);
    g_assert_cmphex(qpci_config_readl(nic->dev, PCI_BASE_ADDRESS_4), ==, 0);
    nic_stop(nic);
}

static void test_msix_capability(void)
{
    Nic *nic = nic_start("");
    uint8_t cap = qpci_find_capability(nic->dev, PCI_CAP_ID_MSIX, 0);

    g_assert_cmphex(cap, !=, 0);
    g_assert_cmpuint(qpci_msix_table_size(nic->dev), ==, SVAN_PF_MSIX_COUNT);
    g_assert_cmphex(qpci_config_readl(nic->dev, cap + PCI_MSIX_TABLE), ==,
                    SVAN_MSIX_TABLE_OFFSET | SVAN_BAR_REGS);
    g_assert_cmphex(qpci_config_readl(nic->dev, cap + PCI_MSIX_PBA), ==,
                    SVAN_MSIX_PBA_OFFSET | SVAN_BAR_REGS);
    nic_stop(nic);
}

/* ---- registers ---- */

static void assert_reset_values(Nic *nic)
{
    static const struct {
        uint32_t reg, value;
    } values[] = {
        { SVAN_REG_MAGIC, SVAN_MAGIC },
        { SVAN_REG_VERSION, SVAN_VERSION },
        { SVAN_REG_FUNCTION, 0 },
        { SVAN_REG_UAR_COUNT, SVAN_PF_UAR_COUNT },
        { SVAN_REG_MSIX_COUNT, SVAN_PF_MSIX_COUNT },
        { SVAN_REG_MAC_LO, 0x12005452 },
        { SVAN_REG_MAC_HI, 0x5634 },
        { SVAN_REG_CONTROL, 0 },
        { SVAN_REG_STATUS, 0 },
        { SVAN_REG_FATAL_CODE, SVAN_FATAL_NONE },
        { SVAN_REG_CMDQ_BASE, 0 },
        { SVAN_REG_CMDR_BASE, 0 },
        { SVAN_REG_CMDQ_LOG_SIZE, 0 },
        { SVAN_REG_CMDQ_HEAD, 0 },
        { SVAN_REG_TEST_SCRATCH, 0 },
        { SVAN_REG_TEST_DMA_ADDR, 0 },
        { SVAN_REG_TEST_DMA_CTRL, 0 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
        g_test_message("register 0x%03x", values[i].reg);
        g_assert_cmphex(nic_read(nic, values[i].reg), ==, values[i].value);
    }
}

static void test_reset_values(void)
{
    Nic *nic = nic_start("");

    assert_reset_values(nic);
    nic_stop(nic);
}

static void test_port(void)
{
    Nic *nic = nic_start("-device svan,addr=5,link-speed=400000,netdev=h "
                         "-netdev hubport,hubid=0,id=h");
    Nic *fast = nic_find(nic->qts, nic->bus, QPCI_DEVFN(5, 0));

    g_assert_cmphex(nic_read(nic, SVAN_REG_PORT), ==,
                    SVAN_PORT_LINK_UP | 1000 << SVAN_PORT_SPEED_SHIFT);
    g_assert_cmphex(nic_read(fast, SVAN_REG_PORT), ==,
                    SVAN_PORT_LINK_UP | 4000 << SVAN_PORT_SPEED_SHIFT);
    qtest_qmp_assert_success(nic->qts, "{ 'execute': 'set_link', 'arguments':"
                             "{ 'name': 'nic', 'up': false } }");
    g_assert_cmphex(nic_read(nic, SVAN_REG_PORT), ==,
                    1000 << SVAN_PORT_SPEED_SHIFT);
    g_assert_cmphex(nic_read(fast, SVAN_REG_PORT) & SVAN_PORT_LINK_UP, ==,
                    SVAN_PORT_LINK_UP);
    qtest_qmp_assert_success(nic->qts, "{ 'execute': 'set_link', 'arguments':"
                             "{ 'name': 'nic', 'up': true } }");
    g_assert_cmphex(nic_read(nic, SVAN_REG_PORT) & SVAN_PORT_LINK_UP, ==,
                    SVAN_PORT_LINK_UP);
    nic_free(fast);
    nic_stop(nic);
}

static void test_wide_registers(void)
{
    Nic *nic = nic_start("");
    uint64_t value = 0x0123456789abcdc0;

    nic_write64(nic, SVAN_REG_TEST_DMA_ADDR, value);
    g_assert_cmphex(nic_read64(nic, SVAN_REG_TEST_DMA_ADDR), ==, value);
    g_assert_cmphex(nic_read(nic, SVAN_REG_TEST_DMA_ADDR), ==,
                    (uint32_t)value);
    g_assert_cmphex(nic_read(nic, SVAN_REG_TEST_DMA_ADDR + 4), ==, value >> 32);
    nic_write(nic, SVAN_REG_TEST_DMA_ADDR, 0x11111110);
    nic_write(nic, SVAN_REG_TEST_DMA_ADDR + 4, 0x22222222);
    g_assert_cmphex(nic_read64(nic, SVAN_REG_TEST_DMA_ADDR), ==,
                    0x2222222211111110);
    nic_stop(nic);
}

static void test_clock(void)
{
    Nic *nic = nic_start("");
    uint64_t before = nic_read64(nic, SVAN_REG_CLOCK);

    qtest_clock_step(nic->qts, 1234567);
    g_assert_cmpuint(nic_read64(nic, SVAN_REG_CLOCK) - before, ==, 1234567);
    nic_stop(nic);
}

/* ---- accesses that no driver makes ---- */

static void test_bad_sizes(void)
{
    Nic *nic = nic_start("");
    uint64_t scratch = nic->regs.addr + SVAN_REG_TEST_SCRATCH;

    nic_write(nic, SVAN_REG_TEST_SCRATCH, 0x55667788);
    qtest_writeb(nic->qts, scratch, 0x11);
    qtest_writew(nic->qts, scratch, 0x1111);
    qtest_writew(nic->qts, scratch + 2, 0x1111);
    g_assert_cmphex(nic_read(nic, SVAN_REG_TEST_SCRATCH), ==, 0x55667788);
    g_assert_cmphex(qtest_readb(nic->qts, scratch), ==, 0);
    g_assert_cmphex(qtest_readw(nic->qts, scratch), ==, 0);
    nic_assert_alive(nic);
    nic_stop(nic);
}

static void test_doorbell_sizes(void)
{
    Nic *nic = nic_start("");
    struct svan_stats stats;
    uint64_t last = nic->uars.addr + SVAN_PF_UAR_COUNT * SVAN_UAR_SIZE - 8;

    nic_enable(nic, 4);
    qtest_writeb(nic->qts, nic->uars.addr + SVAN_UAR_SQ_DB, 1);
    qtest_writew(nic->qts, nic->uars.addr + SVAN_UAR_SQ_DB, 1);
    qtest_writel(nic->qts, nic->uars.addr + SVAN_UAR_RQ_DB, 1);
    qtest_writeq(nic->qts, nic->uars.addr + SVAN_UAR_WQE, 1);
    qtest_writeq(nic->qts, last, 1);
    nic_stats(nic, &stats);
    g_assert_cmpuint(svan_le64_to_cpu(stats.doorbells_bad_access), ==, 5);
    g_assert_cmpuint(svan_le64_to_cpu(stats.doorbells_refused), ==, 0);

    /* whole ones, for queues that do not exist */
    qtest_writeq(nic->qts, nic->uars.addr + SVAN_UAR_SQ_DB,
                 svan_db_value(17, 3));
    qtest_writeq(nic->qts, nic->uars.addr + SVAN_UAR_CQ_DB, UINT64_MAX);
    nic_stats(nic, &stats);
    g_assert_cmpuint(svan_le64_to_cpu(stats.doorbells_refused), ==, 2);
    g_assert_cmpuint(svan_le64_to_cpu(stats.doorbells), ==, 0);
    g_assert_cmphex(qtest_readq(nic->qts, nic->uars.addr), ==, 0);
    nic_stop(nic);
}

/* Any register, any value, any size: nothing of it may end QEMU. */
static void test_random_accesses(void)
{
    Nic *nic = nic_start("");
    uint64_t bases[] = { nic->regs.addr, nic->uars.addr };
    uint32_t sizes[] = { SVAN_REG_END, 4 * SVAN_UAR_SIZE };

    for (unsigned i = 0; i < 4000; i++) {
        unsigned bar = g_test_rand_int_range(0, 2);
        uint32_t range = i % 2 ? 0x100 : sizes[bar];
        uint64_t addr = bases[bar] + g_test_rand_int_range(0, range);
        uint64_t value = (uint64_t)g_test_rand_int() << 32 | g_test_rand_int();

        if (g_test_rand_bit()) {
            value &= 0xff;
        }
        switch (g_test_rand_int_range(0, 6)) {
        case 0:
            qtest_writel(nic->qts, addr & ~3ull, value);
            break;
        case 1:
            qtest_writeq(nic->qts, addr & ~7ull, value);
            break;
        case 2:
            qtest_writew(nic->qts, addr, value);
            break;
        case 3:
            qtest_writeq(nic->qts, addr, value);
            break;
        case 4:
            qtest_readl(nic->qts, addr);
            break;
        case 5:
            qtest_readq(nic->qts, addr);
            break;
        }
    }
    nic_assert_alive(nic);
    nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
    assert_reset_values(nic);
    nic_enable(nic, 3);
    nic_stop(nic);
}

/* ---- interrupts ---- */

#define IRQ_MEMORY  (NIC_BUFFER + 0x100)

static void test_irq(void)
{
    Nic *nic = nic_start("");

    qpci_msix_enable(nic->dev);
    nic->regs = nic->dev->msix_table_bar;
    for (unsigned v = 0; v < SVAN_PF_MSIX_COUNT; v++) {
        nic_vector(nic, v, IRQ_MEMORY + 4 * v, 0xc0de0000 + v, false);
    }
    for (unsigned v = 0; v < SVAN_PF_MSIX_COUNT; v += 8) {
        nic_write(nic, SVAN_REG_TEST_IRQ, v);
        nic_await_memory(nic, IRQ_MEMORY + 4 * v, 0xc0de0000 + v);
        g_assert_cmphex(qtest_readl(nic->qts, IRQ_MEMORY + 4 * v + 4), ==, 0);
    }
    nic_write(nic, SVAN_REG_TEST_IRQ, SVAN_PF_MSIX_COUNT);
    nic_write(nic, SVAN_REG_TEST_IRQ, 0xffffffff);
    nic_assert_alive(nic);
    nic_stop(nic);
}

static void test_irq_masked(void)
{
    Nic *nic = nic_start("");

    qpci_msix_enable(nic->dev);
    nic->regs = nic->dev->msix_table_bar;
    nic_vector(nic, 7, IRQ_MEMORY, 0x5ca1ab1e, true);
    nic_write(nic, SVAN_REG_TEST_IRQ, 7);
    g_assert_true(qpci_msix_pending(nic->dev, 7));
    g_assert_false(qpci_msix_pending(nic->dev, 6));
    g_assert_cmphex(qtest_readl(nic->qts, IRQ_MEMORY), ==, 0);
    nic_vector(nic, 7, IRQ_MEMORY, 0x5ca1ab1e, false);
    nic_await_memory(nic, IRQ_MEMORY, 0x5ca1ab1e);
    g_assert_false(qpci_msix_pending(nic->dev, 7));
    nic_stop(nic);
}

/* An interrupt whose message goes to the register that raises it. */
static void test_irq_to_itself(void)
{
    Nic *nic = nic_start("");

    qpci_msix_enable(nic->dev);
    nic->regs = nic->dev->msix_table_bar;
    nic_vector(nic, 3, nic->regs.addr + SVAN_REG_TEST_IRQ, 3, false);
    nic_vector(nic, 4, nic->uars.addr + SVAN_UAR_SQ_DB, 4, false);
    nic_write(nic, SVAN_REG_TEST_IRQ, 4);
    nic_write(nic, SVAN_REG_TEST_IRQ, 3);
    nic_assert_alive(nic);
    nic_vector(nic, 3, IRQ_MEMORY, 0x600d, false);
    nic_write(nic, SVAN_REG_TEST_IRQ, 3);
    nic_await_memory(nic, IRQ_MEMORY, 0x600d);
    nic_stop(nic);
}

/* ---- DMA ---- */

static void assert_bytes(Nic *nic, uint64_t addr, uint32_t len, uint8_t value)
{
    g_autofree uint8_t *bytes = g_malloc(len);

    qtest_memread(nic->qts, addr, bytes, len);
    for (uint32_t i = 0; i < len; i++) {
        g_assert_cmphex(bytes[i], ==, value);
    }
}

static void test_dma(void)
{
    Nic *nic = nic_start("");

    qtest_memset(nic->qts, NIC_BUFFER, 0x33, 3 * 4096);
    g_assert_true(nic_dma(nic, NIC_BUFFER + 4096, 4096, SVAN_TEST_DMA_FILL));
    assert_bytes(nic, NIC_BUFFER, 4096, 0x33);
    assert_bytes(nic, NIC_BUFFER + 4096, 4096, 0x5a);
    assert_bytes(nic, NIC_BUFFER + 8192, 4096, 0x33);
    g_assert_true(nic_dma(nic, NIC_BUFFER + 4096, 1, SVAN_TEST_DMA_CLEAR));
    g_assert_true(nic_dma(nic, NIC_BUFFER + 8191, 1, SVAN_TEST_DMA_INVERT));
    assert_bytes(nic, NIC_BUFFER + 4096, 1, 0);
    assert_bytes(nic, NIC_BUFFER + 4097, 4094, 0x5a);
    assert_bytes(nic, NIC_BUFFER + 8191, 1, 0xa5);
    assert_bytes(nic, NIC_BUFFER + 8192, 4096, 0x33);
    nic_stop(nic);
}

static void test_dma_refused(void)
{
    Nic *nic = nic_start("");
    uint8_t rom[16], after[16];

    qtest_memset(nic->qts, NIC_BUFFER, 0x33, 8192);
    g_assert_false(nic_dma(nic, NIC_BUFFER, 0, SVAN_TEST_DMA_FILL));
    g_assert_false(nic_dma(nic, NIC_BUFFER, 4097, SVAN_TEST_DMA_FILL));
    g_assert_false(nic_dma(nic, NIC_BUFFER + 4095, 2, SVAN_TEST_DMA_FILL));
    g_assert_false(nic_dma(nic, NIC_BUFFER, 16, 0));
    g_assert_false(nic_dma(nic, NIC_BUFFER, 16, 4));
    assert_bytes(nic, NIC_BUFFER, 8192, 0x33);

    /* no memory, other devices, its own BARs, read-only memory */
    g_assert_false(nic_dma(nic, NIC_NO_MEMORY, 64, SVAN_TEST_DMA_FILL));
    g_assert_false(nic_dma(nic, 0xfee00000, 64, SVAN_TEST_DMA_FILL));
    g_assert_false(nic_dma(nic, nic->regs.addr, 64, SVAN_TEST_DMA_FILL));
    g_assert_false(nic_dma(nic, nic->uars.addr, 64, SVAN_TEST_DMA_FILL));
    g_assert_false(nic_dma(nic, UINT64_MAX - 63, 64, SVAN_TEST_DMA_FILL));
    qtest_memread(nic->qts, 0xfffffff0, rom, sizeof(rom));
    g_assert_false(nic_dma(nic, 0xfffffff0, 16, SVAN_TEST_DMA_INVERT));
    qtest_memread(nic->qts, 0xfffffff0, after, sizeof(after));
    g_assert_cmpmem(rom, sizeof(rom), after, sizeof(after));
    g_assert_true(nic_dma(nic, NIC_BUFFER, 16, SVAN_TEST_DMA_FILL));
    nic_stop(nic);
}

static void test_bus_master(void)
{
    Nic *nic = nic_start("");

    qtest_memset(nic->qts, NIC_BUFFER, 0x33, 64);
    g_assert_true(nic_dma(nic, NIC_BUFFER, 32, SVAN_TEST_DMA_FILL));
    nic_bus_master(nic, false);
    g_assert_false(nic_dma(nic, NIC_BUFFER + 32, 32, SVAN_TEST_DMA_FILL));
    assert_bytes(nic, NIC_BUFFER + 32, 32, 0x33);
    nic_bus_master(nic, true);
    g_assert_true(nic_dma(nic, NIC_BUFFER + 32, 32, SVAN_TEST_DMA_FILL));
    assert_bytes(nic, NIC_BUFFER, 64, 0x5a);
    nic_stop(nic);
}

/* Commands go on while memory comes and goes. */
static void test_bus_master_at_work(void)
{
    Nic *nic = nic_start("");
    struct svan_cmd cmd = {};

    nic_enable(nic, 8);
    for (unsigned i = 0; i < 200; i++) {
        nic_post(nic, &cmd, SVAN_CMD_NOP);
    }
    nic_write(nic, SVAN_REG_CMDQ_DB, nic->cmd_index);
    nic_bus_master(nic, false);
    nic_write(nic, SVAN_REG_CMDQ_DB, nic->cmd_index + 1);
    nic_await(nic, SVAN_REG_STATUS, SVAN_STATUS_FATAL, SVAN_STATUS_FATAL);
    g_assert_cmphex(nic_read(nic, SVAN_REG_FATAL_CODE), ==,
                    SVAN_FATAL_CMDQ_DMA);
    nic_bus_master(nic, true);
    nic_write(nic, SVAN_REG_CONTROL, SVAN_CONTROL_RESET);
    nic_enable(nic, 8);
    g_assert_cmphex(nic_command(nic, &cmd, SVAN_CMD_NOP, NULL), ==,
                    SVAN_CMD_OK);
    nic_stop(nic);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svan/config/ids", test_ids);
    qtest_add_func("/svan/config/bars", test_bars);
    qtest_add_func("/svan/config/msix", test_msix_capability);
    qtest_add_func("/svan/regs/reset-values", test_reset_values);
    qtest_add_func("/svan/regs/port", test_port);
    qtest_add_func("/svan/regs/wide", test_wide_registers);
    qtest_add_func("/svan/regs/clock", test_clock);
    qtest_add_func("/svan/access/sizes", test_bad_sizes);
    qtest_add_func("/svan/access/doorbells", test_doorbell_sizes);
    qtest_add_func("/svan/access/random", test_random_accesses);
    qtest_add_func("/svan/irq/raise", test_irq);
    qtest_add_func("/svan/irq/masked", test_irq_masked);
    qtest_add_func("/svan/irq/to-itself", test_irq_to_itself);
    qtest_add_func("/svan/dma/test", test_dma);
    qtest_add_func("/svan/dma/refused", test_dma_refused);
    qtest_add_func("/svan/dma/bus-master", test_bus_master);
    qtest_add_func("/svan/dma/bus-master-at-work", test_bus_master_at_work);
    return g_test_run();
}
