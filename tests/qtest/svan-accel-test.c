/*
 * The accelerator: registers, commands, stores into a NIC, faults, resets,
 * unplug, migration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qobject/qdict.h"
#include "svan/accel.h"
#include "nic.h"

#define ACCEL_SLOT      6
#define ACCEL_MEM_SIZE  0x1000000ull
#define ACCEL_DEVICE    "-device svan-accel,id=accel,addr=6,mem-size=16M "

/* Guest memory, above what nic.h uses. */
#define TABLE           0x1300000ull
#define RING            0x1400000ull
#define RECORD          0x1401000ull
#define DATA            0x1402000ull
/* Pages of a context's address space. */
#define VA(page)        ((uint64_t)(page) << 12)
#define VA_RING         VA(0)
#define VA_RECORD       VA(1)
#define VA_DATA         VA(2)
#define VA_LOCAL        VA(4)
#define VA_WINDOW       VA(6)
#define VA_NOWHERE      VA(7)
#define VA_READ_ONLY    VA(8)
#define VA_ABSENT       VA(9)
#define LOCAL           0x3000ull       /* what VA_LOCAL is */
#define LOG_RING        5

typedef struct AccelTest {
    Nic *nic;
    QTestState *qts;
    QPCIDevice *dev;
    QPCIBar regs, doorbells, mem;
    uint32_t pi[SVAN_ACCEL_CONTEXTS];
} AccelTest;

/* ---- life ---- */

static AccelTest *accel_find(Nic *nic)
{
    AccelTest *a = g_new0(AccelTest, 1);

    a->nic = nic;
    a->qts = nic->qts;
    a->dev = qpci_device_find(nic->bus, QPCI_DEVFN(ACCEL_SLOT, 0));
    g_assert_nonnull(a->dev);
    a->regs = qpci_iomap(a->dev, SVAN_ACCEL_BAR_REGS, NULL);
    a->doorbells = qpci_iomap(a->dev, SVAN_ACCEL_BAR_DB, NULL);
    a->mem = qpci_iomap(a->dev, SVAN_ACCEL_BAR_MEM, NULL);
    qpci_device_enable(a->dev);
    return a;
}

static AccelTest *accel_start(const char *args)
{
    g_autofree char *all = g_strconcat(ACCEL_DEVICE, args, NULL);

    return accel_find(nic_start(all));
}

static void accel_stop(AccelTest *a)
{
    g_free(a->dev);
    nic_stop(a->nic);
    g_free(a);
}

static uint32_t accel_read(AccelTest *a, uint32_t reg)
{
    return qtest_readl(a->qts, a->regs.addr + reg);
}

static void accel_write(AccelTest *a, uint32_t reg, uint32_t value)
{
    qtest_writel(a->qts, a->regs.addr + reg, value);
}

static void accel_write64(AccelTest *a, uint32_t reg, uint64_t value)
{
    qtest_writeq(a->qts, a->regs.addr + reg, value);
}

static void accel_await(AccelTest *a, uint32_t reg, uint32_t want)
{
    gint64 limit = g_get_monotonic_time() + NIC_WAIT_S * G_USEC_PER_SEC;
    uint32_t value;

    do {
        value = accel_read(a, reg);
    } while (value != want && g_get_monotonic_time() < limit);
    g_assert_cmphex(value, ==, want);
}

/* ---- contexts ---- */

static void accel_map(AccelTest *a, uint64_t va, uint64_t entry)
{
    qtest_writeq(a->qts, TABLE + va / 4096 * 8, entry);
}

#define HOST_PAGE(addr) ((addr) | SVAN_ACCEL_PTE_PRESENT | \
                         SVAN_ACCEL_PTE_WRITABLE)

/* All contexts use one table, each with a ring of its own. */
static void accel_open(AccelTest *a, unsigned ctx)
{
    qtest_memset(a->qts, TABLE, 0, 4096);
    qtest_memset(a->qts, RECORD, 0, 4096);
    accel_map(a, VA_RING, HOST_PAGE(RING));
    accel_map(a, VA_RECORD, HOST_PAGE(RECORD));
    accel_map(a, VA_DATA, HOST_PAGE(DATA));
    accel_map(a, VA_LOCAL, HOST_PAGE(LOCAL) | SVAN_ACCEL_PTE_LOCAL);
    accel_map(a, VA_WINDOW, HOST_PAGE(a->nic->uars.addr + SVAN_UAR_SIZE) |
                            SVAN_ACCEL_PTE_WINDOW);
    accel_map(a, VA_NOWHERE, HOST_PAGE(NIC_NO_MEMORY) | SVAN_ACCEL_PTE_WINDOW);
    accel_map(a, VA_READ_ONLY, DATA | SVAN_ACCEL_PTE_PRESENT);
    accel_write64(a, SVAN_ACCEL_REG_CTX(ctx, SVAN_ACCEL_CTX_TABLE), TABLE);
    accel_write(a, SVAN_ACCEL_REG_CTX(ctx, SVAN_ACCEL_CTX_LEVELS), 1);
    accel_write(a, SVAN_ACCEL_REG_CTX(ctx, SVAN_ACCEL_CTX_CONTROL),
                SVAN_ACCEL_CTX_ENABLE);
    accel_write64(a, SVAN_ACCEL_REG_QUEUE(ctx, 0, SVAN_ACCEL_QUEUE_BASE),
                  VA_RING + (ctx & 1) * 2048);
    accel_write64(a, SVAN_ACCEL_REG_QUEUE(ctx, 0, SVAN_ACCEL_QUEUE_RECORD),
                  VA_RECORD + ctx * sizeof(struct svan_accel_record));
    accel_write(a, SVAN_ACCEL_REG_QUEUE(ctx, 0, SVAN_ACCEL_QUEUE_LOG_SIZE),
                LOG_RING);
    accel_write(a, SVAN_ACCEL_REG_QUEUE(ctx, 0, SVAN_ACCEL_QUEUE_CONTROL),
                SVAN_ACCEL_QUEUE_ENABLE);
    a->pi[ctx] = 0;
}

static void accel_post(AccelTest *a, unsigned ctx, struct svan_accel_cmd *cmd)
{
    uint32_t slot = a->pi[ctx]++ % (1u << LOG_RING);

    cmd->tag = svan_cpu_to_le32(0xace00000 | a->pi[ctx]);
    qtest_memwrite(a->qts, RING + (ctx & 1) * 2048 + slot * sizeof(*cmd), cmd,
                   sizeof(*cmd));
}

static void accel_ring(AccelTest *a, unsigned ctx)
{
    qtest_writeq(a->qts, a->doorbells.addr + (ctx << SVAN_ACCEL_DB_SHIFT) +
                         SVAN_ACCEL_DB(0), a->pi[ctx]);
}

/* Execute one command; the queue's state afterwards is what is wanted. */
static void accel_execute(AccelTest *a, unsigned ctx,
                          const struct svan_accel_cmd *cmd, uint32_t state,
                          uint32_t status)
{
    uint64_t at = RECORD + ctx * sizeof(struct svan_accel_record);
    struct svan_accel_cmd copy = *cmd;
    struct svan_accel_record record;
    uint32_t done = a->pi[ctx] + (state == SVAN_ACCEL_QUEUE_RUNNING);

    copy.flags |= SVAN_ACCEL_CMD_RECORD;
    accel_post(a, ctx, &copy);
    accel_ring(a, ctx);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(ctx, 0, SVAN_ACCEL_QUEUE_STATE), state);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(ctx, 0, SVAN_ACCEL_QUEUE_HEAD), done);
    nic_await_memory(a->nic, at + offsetof(struct svan_accel_record, tag),
                     0xace00000 | a->pi[ctx]);
    nic_await_memory(a->nic, at + offsetof(struct svan_accel_record, head),
                     done);
    qtest_memread(a->qts, at, &record, sizeof(record));
    g_assert_cmpuint(svan_le32_to_cpu(record.status), ==, status);
    g_assert_cmpuint(svan_le32_to_cpu(record.state), ==, state);
    g_assert_cmpuint(svan_le32_to_cpu(record.head), ==, done);
    g_assert_cmphex(svan_le32_to_cpu(record.tag), ==, 0xace00000 | a->pi[ctx]);
}

static void accel_done(AccelTest *a, const struct svan_accel_cmd *cmd)
{
    accel_execute(a, 0, cmd, SVAN_ACCEL_QUEUE_RUNNING, SVAN_ACCEL_OK);
}

static struct svan_accel_cmd fill(uint64_t dst, uint64_t length, uint64_t value)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_FILL,
        .fill = {
            .dst = svan_cpu_to_le64(dst), .length = svan_cpu_to_le64(length),
            .value = svan_cpu_to_le64(value),
        },
    };
}

static struct svan_accel_cmd store(uint64_t addr, uint64_t value)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_WRITE, .width = 8,
        .write = {
            .addr = svan_cpu_to_le64(addr), .value = svan_cpu_to_le64(value),
        },
    };
}

static struct svan_accel_cmd wait_for(uint64_t addr, uint64_t value,
                                      uint64_t limit_ns)
{
    return (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_WAIT, .width = 8,
        .condition = SVAN_ACCEL_EQUAL,
        .wait = {
            .addr = svan_cpu_to_le64(addr), .value = svan_cpu_to_le64(value),
            .mask = svan_cpu_to_le64(UINT64_MAX),
            .limit_ns = svan_cpu_to_le64(limit_ns),
        },
    };
}

/* ---- tests ---- */

static void test_pci(void)
{
    AccelTest *a = accel_start("");
    uint64_t size;

    g_assert_cmphex(qpci_config_readw(a->dev, PCI_VENDOR_ID), ==,
                    SVAN_PCI_VENDOR_ID);
    g_assert_cmphex(qpci_config_readw(a->dev, PCI_DEVICE_ID), ==,
                    SVAN_PCI_DEVICE_ID_ACCEL);
    g_assert_cmphex(qpci_config_readw(a->dev, PCI_CLASS_DEVICE), ==, 0x1200);
    g_assert_cmphex(qpci_config_readl(a->dev, PCI_BASE_ADDRESS_4) & 0xf, ==,
                    PCI_BASE_ADDRESS_MEM_TYPE_64 |
                    PCI_BASE_ADDRESS_MEM_PREFETCH);
    qpci_iomap(a->dev, SVAN_ACCEL_BAR_MEM, &size);
    g_assert_cmphex(size, ==, ACCEL_MEM_SIZE);
    g_assert_cmpuint(qpci_msix_table_size(a->dev), ==, SVAN_ACCEL_MSIX_COUNT);
    g_assert_cmphex(accel_read(a, SVAN_ACCEL_REG_MAGIC), ==, SVAN_ACCEL_MAGIC);
    g_assert_cmphex(accel_read(a, SVAN_ACCEL_REG_VERSION), ==,
                    SVAN_ACCEL_VERSION);
    g_assert_cmpuint(accel_read(a, SVAN_ACCEL_REG_CONTEXTS), ==,
                     SVAN_ACCEL_CONTEXTS);
    g_assert_cmphex(accel_read(a, SVAN_ACCEL_REG_MEM_SIZE), ==, ACCEL_MEM_SIZE);
    accel_stop(a);
}

static void test_memory(void)
{
    AccelTest *a = accel_start("");
    struct svan_accel_cmd cmd;

    accel_open(a, 0);
    cmd = fill(VA_LOCAL + 8, 16, 0x1122334455667788);
    accel_done(a, &cmd);
    g_assert_cmphex(qtest_readq(a->qts, a->mem.addr + LOCAL + 8), ==,
                    0x1122334455667788);
    g_assert_cmphex(qtest_readq(a->qts, a->mem.addr + LOCAL + 24), ==, 0);

    qtest_writeq(a->qts, a->mem.addr + LOCAL, 0x0123456789abcdef);
    cmd = (struct svan_accel_cmd) {
        .opcode = SVAN_ACCEL_COPY,
        .copy = {
            .dst = svan_cpu_to_le64(VA_DATA), .src = svan_cpu_to_le64(VA_LOCAL),
            .length = svan_cpu_to_le64(24),
        },
    };
    accel_done(a, &cmd);
    g_assert_cmphex(qtest_readq(a->qts, DATA), ==, 0x0123456789abcdef);
    g_assert_cmphex(qtest_readq(a->qts, DATA + 16), ==, 0x1122334455667788);
    accel_stop(a);
}

/* A doorbell for a queue pair that does not exist, which the NIC counts. */
static void test_store_into_nic(void)
{
    AccelTest *a = accel_start("");
    struct svan_accel_cmd cmd = store(VA_WINDOW + SVAN_UAR_SQ_DB,
                                      svan_db_value(5, 7));
    struct svan_stats before, after;

    nic_enable(a->nic, 4);
    nic_stats(a->nic, &before);
    accel_open(a, 0);
    accel_done(a, &cmd);
    nic_stats(a->nic, &after);
    g_assert_cmpuint(svan_le64_to_cpu(after.doorbells_refused), ==,
                     svan_le64_to_cpu(before.doorbells_refused) + 1);

    cmd = store(VA_NOWHERE, 1);
    accel_execute(a, 0, &cmd, SVAN_ACCEL_QUEUE_STOPPED, SVAN_ACCEL_STORE);
    nic_assert_alive(a->nic);
    accel_stop(a);
}

static uint64_t accel_count(AccelTest *a, const char *name)
{
    QDict *answer = qtest_qmp(a->qts, "{ 'execute': 'qom-get', 'arguments': "
                              "{ 'path': '/machine/peripheral/accel',"
                              "  'property': 'stats' } }");
    QDict *stats = qdict_get_qdict(answer, "return");
    uint64_t value;

    g_assert_nonnull(stats);
    value = qdict_get_int(stats, name);
    qobject_unref(answer);
    return value;
}

/*
 * A context that never rests leaves the stores of another one to nobody, and the
 * guards of neither device drop one, while the NIC stores to the accelerator, too.
 */
static void test_busy_neighbour(void)
{
    AccelTest *a = accel_start("");
    struct svan_accel_cmd busy = fill(VA_LOCAL, 64, 0), cmd;
    struct svan_accel_cmd loop = { .opcode = SVAN_ACCEL_LOOP };

    accel_open(a, 0);
    accel_open(a, 1);
    loop.loop.span = svan_cpu_to_le32(1);
    loop.loop.count = svan_cpu_to_le32(UINT32_MAX);
    accel_post(a, 0, &busy);
    accel_post(a, 0, &loop);
    accel_ring(a, 0);
    cmd = store(VA_WINDOW + SVAN_UAR_SQ_DB, svan_db_value(5, 7));
    loop.loop.count = svan_cpu_to_le32(1000);
    accel_post(a, 1, &cmd);
    accel_post(a, 1, &loop);
    accel_ring(a, 1);
    for (unsigned i = 0; i < 20; i++) {
        g_assert_true(nic_dma(a->nic, a->mem.addr + 0x8000, 64,
                              SVAN_TEST_DMA_FILL));
    }
    accel_await(a, SVAN_ACCEL_REG_QUEUE(1, 0, SVAN_ACCEL_QUEUE_HEAD), 2);
    g_assert_cmpuint(accel_read(a, SVAN_ACCEL_REG_QUEUE(
                         0, 0, SVAN_ACCEL_QUEUE_HEAD)), ==, 0);
    g_assert_cmpuint(accel_count(a, "stores"), ==, 1000);
    g_assert_cmpuint(accel_count(a, "stores_refused"), ==, 0);
    g_assert_cmpuint(accel_count(a, "stores_dropped"), ==, 0);
    g_assert_cmpuint(accel_count(a, "bql_main_loop"), ==, 0);
    accel_stop(a);
}

/* The window is the accelerator's own doorbell page. */
static void test_store_into_itself(void)
{
    AccelTest *a = accel_start("");
    struct svan_accel_cmd nop = {}, cmd;

    accel_open(a, 0);
    accel_open(a, 1);
    accel_map(a, VA_WINDOW, HOST_PAGE(a->doorbells.addr + 4096) |
                            SVAN_ACCEL_PTE_WINDOW);
    accel_post(a, 1, &nop);
    cmd = store(VA_WINDOW + SVAN_ACCEL_DB(0), 1);
    accel_done(a, &cmd);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(1, 0, SVAN_ACCEL_QUEUE_HEAD), 1);
    accel_stop(a);
}

static void test_interrupt(void)
{
    AccelTest *a = accel_start("");
    struct svan_accel_cmd cmd = { .opcode = SVAN_ACCEL_INTERRUPT };
    uint64_t entry;

    qpci_msix_enable(a->dev);
    a->regs = a->dev->msix_table_bar;
    entry = a->regs.addr + SVAN_ACCEL_MSIX_TABLE_OFFSET + PCI_MSIX_ENTRY_SIZE;
    qtest_writel(a->qts, entry + PCI_MSIX_ENTRY_LOWER_ADDR, NIC_BUFFER);
    qtest_writel(a->qts, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
    qtest_writel(a->qts, entry + PCI_MSIX_ENTRY_DATA, 0xbeef);
    qtest_writel(a->qts, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    accel_open(a, 0);
    accel_done(a, &cmd);
    nic_await_memory(a->nic, NIC_BUFFER, 0xbeef);
    accel_stop(a);
}

static void test_fault(void)
{
    static const struct {
        uint64_t addr;
        uint32_t status;
    } bad[] = {
        { VA_ABSENT + 8, SVAN_ACCEL_NOT_MAPPED },
        { VA_READ_ONLY, SVAN_ACCEL_NOT_PERMITTED },
        { VA_WINDOW, SVAN_ACCEL_NOT_PERMITTED },
        { VA(512), SVAN_ACCEL_NOT_MAPPED },
        { UINT64_MAX - 7, SVAN_ACCEL_NOT_MAPPED },
    };
    AccelTest *a = accel_start("");

    accel_open(a, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        struct svan_accel_cmd cmd = fill(bad[i].addr, 8, 0), nop = {};

        accel_write(a, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_CONTROL), 0);
        accel_open(a, 0);
        accel_post(a, 0, &cmd);
        accel_ring(a, 0);
        accel_await(a, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_STATE),
                    SVAN_ACCEL_CTX_FAULTED);
        g_assert_cmpuint(accel_read(a, SVAN_ACCEL_REG_CTX(
                             0, SVAN_ACCEL_CTX_FAULT)), ==, bad[i].status);
        g_assert_cmphex(qtest_readq(a->qts, a->regs.addr + SVAN_ACCEL_REG_CTX(
                            0, SVAN_ACCEL_CTX_FAULT_ADDR)), ==, bad[i].addr);
        accel_execute(a, 1, &nop, SVAN_ACCEL_QUEUE_RUNNING, SVAN_ACCEL_OK);
    }
    accel_stop(a);
}

static void test_wait(void)
{
    AccelTest *a = accel_start("");
    struct svan_accel_cmd cmd = wait_for(VA_DATA, 42, 0);

    qtest_writeq(a->qts, DATA, 0);
    accel_open(a, 0);
    accel_post(a, 0, &cmd);
    accel_ring(a, 0);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_STATE),
                SVAN_ACCEL_QUEUE_WAITING);
    qtest_writeq(a->qts, DATA, 42);
    qtest_clock_step(a->qts, 10000000);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_HEAD), 1);

    cmd = wait_for(VA_DATA, 43, 1000000);
    accel_post(a, 0, &cmd);
    accel_ring(a, 0);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_STATE),
                SVAN_ACCEL_QUEUE_WAITING);
    qtest_clock_step(a->qts, 10000000);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_STATE),
                SVAN_ACCEL_QUEUE_STOPPED);
    accel_stop(a);
}

/*
 * The clock stands still, so that no look is due: what wakes the wait is the
 * store of the NIC.
 */
static void test_wait_for_nic(void)
{
    AccelTest *a = accel_start("");
    struct svan_accel_cmd cmd = wait_for(VA_DATA, 0x5a5a5a5a5a5a5a5a, 0);

    qtest_writeq(a->qts, DATA, 0);
    accel_open(a, 0);
    accel_post(a, 0, &cmd);
    cmd = wait_for(VA_LOCAL, 0x5a5a5a5a5a5a5a5a, 0);
    accel_post(a, 0, &cmd);
    accel_ring(a, 0);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_STATE),
                SVAN_ACCEL_QUEUE_WAITING);
    g_assert_true(nic_dma(a->nic, DATA + 64, 8, SVAN_TEST_DMA_FILL));
    g_assert_true(nic_dma(a->nic, DATA, 8, SVAN_TEST_DMA_FILL));
    accel_await(a, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_HEAD), 1);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_STATE),
                SVAN_ACCEL_QUEUE_WAITING);
    g_assert_true(nic_dma(a->nic, a->mem.addr + LOCAL, 8, SVAN_TEST_DMA_FILL));
    accel_await(a, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_HEAD), 2);
    accel_stop(a);
}

static void accel_wait_begin(AccelTest *a)
{
    struct svan_accel_cmd cmd = wait_for(VA_DATA, 42, 0);

    qtest_writeq(a->qts, DATA, 0);
    accel_open(a, 0);
    accel_post(a, 0, &cmd);
    accel_ring(a, 0);
    accel_await(a, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_STATE),
                SVAN_ACCEL_QUEUE_WAITING);
}

static void test_flr(void)
{
    AccelTest *a = accel_start("");
    uint8_t cap = qpci_find_capability(a->dev, PCI_CAP_ID_EXP, 0);
    uint32_t generation = accel_read(a, SVAN_ACCEL_REG_GENERATION);
    struct svan_accel_cmd nop = {};

    accel_wait_begin(a);
    qpci_config_writew(a->dev, cap + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
    qpci_config_writel(a->dev, PCI_BASE_ADDRESS_0, a->regs.addr);
    qpci_config_writel(a->dev, PCI_BASE_ADDRESS_2, a->doorbells.addr);
    qpci_config_writel(a->dev, PCI_BASE_ADDRESS_4, a->mem.addr);
    qpci_device_enable(a->dev);
    g_assert_cmpuint(accel_read(a, SVAN_ACCEL_REG_GENERATION), ==,
                     generation + 1);
    g_assert_cmpuint(accel_read(a, SVAN_ACCEL_REG_CTX(
                         0, SVAN_ACCEL_CTX_STATE)), ==, SVAN_ACCEL_CTX_OFF);
    accel_open(a, 0);
    accel_done(a, &nop);
    accel_stop(a);
}

static void test_unplug(void)
{
    Nic *nic = nic_start("-device pcie-root-port,id=behind,addr=6 ");
    QTestState *qts = nic->qts;

    qtest_qmp_assert_success(qts, "{ 'execute': 'device_add', 'arguments': "
                             "{ 'driver': 'svan-accel', 'id': 'late',"
                             "  'bus': 'behind' } }");
    qtest_qmp_assert_success(qts, "{ 'execute': 'device_del', 'arguments': "
                             "{ 'id': 'late' } }");
    qtest_system_reset_nowait(qts);
    qtest_qmp_eventwait(qts, "DEVICE_DELETED");
    nic_stop(nic);
}

/* Saved in the middle of a wait; what it waits for comes elsewhere. */
static void test_migrate(void)
{
    AccelTest *from = accel_start(""), to;
    QTestState *qts;

    accel_wait_begin(from);
    qtest_writel(from->qts, from->mem.addr + 64, 0xcafe);
    qts = nic_migrate(from->qts, NIC_MACHINE NIC_DEVICE ACCEL_DEVICE);
    to = *from;
    to.qts = qts;
    g_assert_cmphex(qtest_readl(qts, to.mem.addr + 64), ==, 0xcafe);
    g_assert_cmpuint(accel_read(&to, SVAN_ACCEL_REG_QUEUE(
                         0, 0, SVAN_ACCEL_QUEUE_STATE)), ==,
                     SVAN_ACCEL_QUEUE_WAITING);
    qtest_writeq(qts, DATA, 42);
    qtest_clock_step(qts, 10000000);
    accel_await(&to, SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_HEAD), 1);
    qtest_quit(qts);
    accel_stop(from);
}

static void test_silly_properties(void)
{
    QTestState *qts = qtest_initf(NIC_MACHINE NIC_DEVICE);
    QDict *answer;

    answer = qtest_qmp(qts, "{ 'execute': 'device_add', 'arguments': "
                       "{ 'driver': 'svan-accel', 'mem-size': 4097 } }");
    g_assert_true(qdict_haskey(answer, "error"));
    qobject_unref(answer);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svan-accel/pci", test_pci);
    qtest_add_func("/svan-accel/memory", test_memory);
    qtest_add_func("/svan-accel/store-into-nic", test_store_into_nic);
    qtest_add_func("/svan-accel/busy-neighbour", test_busy_neighbour);
    qtest_add_func("/svan-accel/store-into-itself", test_store_into_itself);
    qtest_add_func("/svan-accel/interrupt", test_interrupt);
    qtest_add_func("/svan-accel/fault", test_fault);
    qtest_add_func("/svan-accel/wait", test_wait);
    qtest_add_func("/svan-accel/wait-for-nic", test_wait_for_nic);
    qtest_add_func("/svan-accel/flr", test_flr);
    qtest_add_func("/svan-accel/unplug", test_unplug);
    qtest_add_func("/svan-accel/migrate", test_migrate);
    qtest_add_func("/svan-accel/silly-properties", test_silly_properties);
    return g_test_run();
}
