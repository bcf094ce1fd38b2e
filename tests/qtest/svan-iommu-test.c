/*
 * Svan behind an Intel IOMMU: translation, rights, invalidation
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "svan/accel.h"
#include "svan/caps.h"
#include "nic.h"

/* VT-d: registers at their usual place, legacy mode, 39-bit (3-level) tables */
#define VTD_BASE        0xfed90000
#define VTD_GCMD        0x18
#define VTD_GSTS        0x1c
#define VTD_RTADDR      0x20
#define VTD_CCMD        0x28
#define VTD_FSTS        0x34
#define VTD_IVA         0xf0
#define VTD_IOTLB       0xf8
#define VTD_GCMD_TE     (1u << 31)
#define VTD_GCMD_SRTP   (1u << 30)
#define VTD_CCMD_GLOBAL (1ull << 63 | 1ull << 61)
#define VTD_IOTLB_ALL   (1ull << 63 | 1ull << 60)
#define VTD_IOTLB_PAGE  (1ull << 63 | 3ull << 60)
#define VTD_READ        1
#define VTD_WRITE       2

#define DOMAIN          5
#define TABLES          0x2000000       /* root, context, then three levels */
#define IOVA            0x7f400000
#define PAGE_A          NIC_BUFFER
#define PAGE_B          (NIC_BUFFER + 0x10000)

#define ARGS "-device intel-iommu "

typedef struct Iommu {
    Nic *nic;
    uint64_t root, context, level[3];   /* the last one maps 2 MiB at IOVA */
} Iommu;

static void vtd_write(Iommu *iommu, uint32_t reg, uint32_t value)
{
    qtest_writel(iommu->nic->qts, VTD_BASE + reg, value);
}

static void vtd_writeq(Iommu *iommu, uint32_t reg, uint64_t value)
{
    qtest_writeq(iommu->nic->qts, VTD_BASE + reg, value);
}

static void entry_set(Iommu *iommu, uint64_t table, unsigned i, uint64_t value)
{
    qtest_writeq(iommu->nic->qts, table + 8 * i, value);
}

static unsigned leaf_index(uint64_t iova)
{
    g_assert_cmphex(iova >> 21, ==, IOVA >> 21);
    return iova >> 12 & 0x1ff;
}

static void iommu_map(Iommu *iommu, uint64_t iova, uint64_t page,
                      unsigned rights)
{
    entry_set(iommu, iommu->level[2], leaf_index(iova),
              rights ? page | rights : 0);
}

static void iommu_invalidate_all(Iommu *iommu)
{
    vtd_writeq(iommu, VTD_IOTLB, VTD_IOTLB_ALL);
}

static void iommu_invalidate_page(Iommu *iommu, uint64_t iova)
{
    vtd_writeq(iommu, VTD_IVA, iova);
    vtd_writeq(iommu, VTD_IOTLB, VTD_IOTLB_PAGE | (uint64_t)DOMAIN << 32);
}

static Iommu *iommu_start_with(const char *args)
{
    g_autofree char *all = g_strconcat(ARGS, args, NULL);
    static const unsigned shifts[] = { 30, 21 };
    Iommu *iommu = g_new0(Iommu, 1);
    unsigned devfn = QPCI_DEVFN(NIC_SLOT, 0);

    iommu->nic = nic_start(all);
    iommu->root = TABLES;
    iommu->context = TABLES + 0x1000;
    qtest_memset(iommu->nic->qts, TABLES, 0, 5 * 4096);
    for (unsigned i = 0; i < 3; i++) {
        iommu->level[i] = TABLES + (2 + i) * 0x1000;
    }
    for (unsigned i = 0; i < 2; i++) {
        entry_set(iommu, iommu->level[i], IOVA >> shifts[i] & 0x1ff,
                  iommu->level[i + 1] | VTD_READ | VTD_WRITE);
    }
    entry_set(iommu, iommu->context, 2 * devfn, iommu->level[0] | 1);
    entry_set(iommu, iommu->context, 2 * devfn + 1, 1 | DOMAIN << 8);
    entry_set(iommu, iommu->root, 0, iommu->context | 1);
    qtest_memset(iommu->nic->qts, PAGE_A, 0x11, 4096);
    qtest_memset(iommu->nic->qts, PAGE_B, 0x22, 4096);
    return iommu;
}

static Iommu *iommu_start(void)
{
    return iommu_start_with("");
}

static void iommu_enable(Iommu *iommu)
{
    vtd_writeq(iommu, VTD_RTADDR, iommu->root);
    vtd_write(iommu, VTD_GCMD, VTD_GCMD_SRTP);
    vtd_writeq(iommu, VTD_CCMD, VTD_CCMD_GLOBAL);
    iommu_invalidate_all(iommu);
    vtd_write(iommu, VTD_GCMD, VTD_GCMD_TE);
    g_assert_true(qtest_readl(iommu->nic->qts, VTD_BASE + VTD_GSTS) &
                  VTD_GCMD_TE);
}

static void iommu_disable(Iommu *iommu)
{
    vtd_write(iommu, VTD_GCMD, 0);
}

static void iommu_stop(Iommu *iommu)
{
    nic_stop(iommu->nic);
    g_free(iommu);
}

static uint8_t byte_at(Iommu *iommu, uint64_t addr)
{
    return qtest_readb(iommu->nic->qts, addr);
}

static bool fill(Iommu *iommu, uint64_t addr, uint32_t len)
{
    return nic_dma(iommu->nic, addr, len, SVAN_TEST_DMA_FILL);
}

/* ---- tests ---- */

static void test_off(void)
{
    Iommu *iommu = iommu_start();

    g_assert_true(fill(iommu, PAGE_A, 64));
    g_assert_cmphex(byte_at(iommu, PAGE_A), ==, 0x5a);
    g_assert_false(fill(iommu, IOVA, 64));
    iommu_stop(iommu);
}

/* Whichever of the two comes first on the command line. */
static void check_reason(Nic *nic)
{
    struct svan_cmd cmd = {
        .query = {
            .addr = svan_cpu_to_le64(NIC_BUFFER),
            .length = svan_cpu_to_le32(sizeof(struct svan_caps)),
        },
    };
    struct svan_caps caps;

    nic_enable(nic, 2);
    g_assert_cmphex(nic_command(nic, &cmd, SVAN_CMD_QUERY_CAPS, NULL), ==,
                    SVAN_CMD_OK);
    qtest_memread(nic->qts, NIC_BUFFER, &caps, sizeof(caps));
    g_assert_cmpuint(svan_le32_to_cpu(caps.off_reason), ==,
                     SVAN_CAP_OFF_VIOMMU);
    g_assert_false(svan_le64_to_cpu(caps.features) & SVAN_CAP_PROCESS_KEYS);
    g_assert_true(svan_le64_to_cpu(caps.features) & SVAN_CAP_ONDEMAND_KEYS);
}

static void test_reason(void)
{
    Nic *nic = nic_start(ARGS);
    QTestState *qts;

    check_reason(nic);
    nic_stop(nic);
    qts = qtest_init(NIC_MACHINE ARGS NIC_DEVICE);
    nic = nic_find(qts, qpci_new_pc(qts, NULL), QPCI_DEVFN(NIC_SLOT, 0));
    check_reason(nic);
    nic_stop(nic);
}

static void test_translate(void)
{
    Iommu *iommu = iommu_start();

    iommu_map(iommu, IOVA, PAGE_A, VTD_READ | VTD_WRITE);
    iommu_enable(iommu);
    g_assert_true(fill(iommu, IOVA + 16, 16));
    g_assert_cmphex(byte_at(iommu, PAGE_A + 15), ==, 0x11);
    g_assert_cmphex(byte_at(iommu, PAGE_A + 16), ==, 0x5a);
    g_assert_cmphex(byte_at(iommu, PAGE_A + 32), ==, 0x11);

    /* bus addresses are no system addresses any more, nor the reverse */
    g_assert_false(fill(iommu, PAGE_B, 16));
    g_assert_cmphex(byte_at(iommu, PAGE_B), ==, 0x22);
    iommu_disable(iommu);
    g_assert_true(fill(iommu, PAGE_B, 16));
    g_assert_cmphex(byte_at(iommu, PAGE_B), ==, 0x5a);
    g_assert_false(fill(iommu, IOVA, 16));
    iommu_stop(iommu);
}

static void test_rights(void)
{
    Iommu *iommu = iommu_start();
    struct svan_cmd cmd = {};

    iommu_map(iommu, IOVA, PAGE_A, VTD_READ);
    iommu_enable(iommu);
    g_assert_false(fill(iommu, IOVA, 16));
    g_assert_cmphex(byte_at(iommu, PAGE_A), ==, 0x11);

    /* no address translates to something that is not memory */
    iommu_map(iommu, IOVA + 0x1000, 0xfec00000, VTD_READ | VTD_WRITE);
    iommu_map(iommu, IOVA + 0x2000, iommu->nic->regs.addr,
              VTD_READ | VTD_WRITE);
    g_assert_false(fill(iommu, IOVA + 0x1000, 16));
    g_assert_false(fill(iommu, IOVA + 0x2000, 16));

    /* the read-only page is good enough to read commands from */
    iommu_map(iommu, IOVA + 0x3000, NIC_CMDQ, VTD_READ);
    iommu_map(iommu, IOVA + 0x4000, NIC_CMDR, VTD_READ | VTD_WRITE);
    nic_enable(iommu->nic, 4);
    nic_write(iommu->nic, SVAN_REG_CONTROL, 0);
    nic_write64(iommu->nic, SVAN_REG_CMDQ_BASE, IOVA + 0x3000);
    nic_write64(iommu->nic, SVAN_REG_CMDR_BASE, IOVA + 0x4000);
    nic_write(iommu->nic, SVAN_REG_CMDQ_LOG_SIZE, 4);
    nic_write(iommu->nic, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE);
    for (unsigned i = 0; i < 40; i++) {
        g_assert_cmphex(nic_command(iommu->nic, &cmd, SVAN_CMD_NOP, NULL), ==,
                        SVAN_CMD_OK);
    }
    iommu_stop(iommu);
}

/* What was absent once may be there later, without an invalidation. */
static void test_appears(void)
{
    Iommu *iommu = iommu_start();

    iommu_enable(iommu);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t iova = IOVA + 0x1000 * i;

        g_assert_false(fill(iommu, iova, 16));
        iommu_map(iommu, iova, PAGE_A + 0x1000 * i, VTD_READ | VTD_WRITE);
        g_assert_true(fill(iommu, iova, 16));
        g_assert_cmphex(byte_at(iommu, PAGE_A + 0x1000 * i), ==, 0x5a);
    }
    iommu_stop(iommu);
}

static void check_remap(void (*invalidate)(Iommu *iommu))
{
    Iommu *iommu = iommu_start();

    iommu_map(iommu, IOVA, PAGE_A, VTD_READ | VTD_WRITE);
    iommu_map(iommu, IOVA + 0x1000, PAGE_A + 0x1000, VTD_READ | VTD_WRITE);
    iommu_enable(iommu);
    g_assert_true(fill(iommu, IOVA, 16));
    g_assert_true(fill(iommu, IOVA + 0x1000, 16));

    iommu_map(iommu, IOVA, PAGE_B, VTD_READ | VTD_WRITE);
    invalidate(iommu);
    qtest_memset(iommu->nic->qts, PAGE_A, 0x11, 4096);
    g_assert_true(fill(iommu, IOVA, 16));
    g_assert_cmphex(byte_at(iommu, PAGE_A), ==, 0x11);
    g_assert_cmphex(byte_at(iommu, PAGE_B), ==, 0x5a);

    iommu_map(iommu, IOVA, 0, 0);
    invalidate(iommu);
    g_assert_false(fill(iommu, IOVA, 32));
    g_assert_true(fill(iommu, IOVA + 0x1000, 16));
    iommu_stop(iommu);
}

static void invalidate_page(Iommu *iommu)
{
    iommu_invalidate_page(iommu, IOVA);
}

static void test_invalidate_page(void)
{
    check_remap(invalidate_page);
}

static void test_invalidate_all(void)
{
    check_remap(iommu_invalidate_all);
}

/* Rights that are taken away count, too. */
static void test_downgrade(void)
{
    Iommu *iommu = iommu_start();

    iommu_map(iommu, IOVA, PAGE_A, VTD_READ | VTD_WRITE);
    iommu_enable(iommu);
    g_assert_true(fill(iommu, IOVA, 16));
    iommu_map(iommu, IOVA, PAGE_A, VTD_READ);
    iommu_invalidate_page(iommu, IOVA);
    qtest_memset(iommu->nic->qts, PAGE_A, 0x11, 4096);
    g_assert_false(fill(iommu, IOVA, 16));
    g_assert_cmphex(byte_at(iommu, PAGE_A), ==, 0x11);
    iommu_stop(iommu);
}

/* ---- stores of one device into another ---- */

#define ACCEL_DEVFN     QPCI_DEVFN(6, 0)
#define ACCEL_DOMAIN    6
#define ACCEL_TABLE     0x2100000       /* of the context */
#define ACCEL_RING      0x2101000
#define VTD_FRCD_SOURCE 0x228           /* requester of the first fault */
#define VTD_PASS        (2 << 2 | 1)    /* context entry: passed through */

typedef struct Accel {
    QPCIDevice *dev;
    QPCIBar regs, doorbells;
    uint32_t posted;
} Accel;

static uint32_t accel_queue(Iommu *iommu, Accel *accel, uint32_t reg)
{
    return qtest_readl(iommu->nic->qts,
                       accel->regs.addr + SVAN_ACCEL_REG_QUEUE(0, 0, reg));
}

static void accel_writeq(Iommu *iommu, Accel *accel, uint32_t reg,
                         uint64_t value)
{
    qtest_writeq(iommu->nic->qts, accel->regs.addr + reg, value);
}

static void accel_write(Iommu *iommu, Accel *accel, uint32_t reg,
                        uint32_t value)
{
    qtest_writel(iommu->nic->qts, accel->regs.addr + reg, value);
}

/*
 * The accelerator has a domain of its own, in which IOVA is its table, the next
 * page its ring, and the third one a UAR page of the NIC. The NIC has none.
 */
static void accel_start(Iommu *iommu, Accel *accel)
{
    QTestState *qts = iommu->nic->qts;

    accel->dev = qpci_device_find(iommu->nic->bus, ACCEL_DEVFN);
    accel->regs = qpci_iomap(accel->dev, SVAN_ACCEL_BAR_REGS, NULL);
    accel->doorbells = qpci_iomap(accel->dev, SVAN_ACCEL_BAR_DB, NULL);
    qpci_device_enable(accel->dev);
    entry_set(iommu, iommu->context, 2 * QPCI_DEVFN(NIC_SLOT, 0), VTD_PASS);
    entry_set(iommu, iommu->context, 2 * ACCEL_DEVFN, iommu->level[0] | 1);
    entry_set(iommu, iommu->context, 2 * ACCEL_DEVFN + 1,
              1 | ACCEL_DOMAIN << 8);
    iommu_map(iommu, IOVA, ACCEL_TABLE, VTD_READ | VTD_WRITE);
    iommu_map(iommu, IOVA + 0x1000, ACCEL_RING, VTD_READ | VTD_WRITE);
    iommu_map(iommu, IOVA + 0x2000, iommu->nic->uars.addr + SVAN_UAR_SIZE,
              VTD_READ | VTD_WRITE);
    qtest_memset(qts, ACCEL_TABLE, 0, 0x2000);
    qtest_writeq(qts, ACCEL_TABLE, (IOVA + 0x1000) | SVAN_ACCEL_PTE_PRESENT);
    qtest_writeq(qts, ACCEL_TABLE + 8, (IOVA + 0x2000) |
                 SVAN_ACCEL_PTE_PRESENT | SVAN_ACCEL_PTE_WINDOW);
    accel_writeq(iommu, accel, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_TABLE),
                 IOVA);
    accel_write(iommu, accel, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_LEVELS), 1);
    accel_write(iommu, accel, SVAN_ACCEL_REG_CTX(0, SVAN_ACCEL_CTX_CONTROL),
                SVAN_ACCEL_CTX_ENABLE);
    accel_write(iommu, accel,
                SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_LOG_SIZE), 4);
    accel_write(iommu, accel,
                SVAN_ACCEL_REG_QUEUE(0, 0, SVAN_ACCEL_QUEUE_CONTROL),
                SVAN_ACCEL_QUEUE_ENABLE);
}

/* Store a doorbell into the NIC; the queue's state afterwards. */
static uint32_t accel_store(Iommu *iommu, Accel *accel)
{
    const struct svan_accel_cmd cmd = {
        .opcode = SVAN_ACCEL_WRITE, .width = 8,
        .write = {
            .addr = svan_cpu_to_le64(0x1000 + SVAN_UAR_SQ_DB),
            .value = svan_cpu_to_le64(svan_db_value(5, 7)),
        },
    };
    gint64 limit = g_get_monotonic_time() + NIC_WAIT_S * G_USEC_PER_SEC;
    uint32_t head = accel->posted++, state;

    qtest_memwrite(iommu->nic->qts, ACCEL_RING + head * sizeof(cmd), &cmd,
                   sizeof(cmd));
    qtest_writeq(iommu->nic->qts, accel->doorbells.addr, accel->posted);
    do {
        state = accel_queue(iommu, accel, SVAN_ACCEL_QUEUE_STATE);
    } while (state == SVAN_ACCEL_QUEUE_RUNNING &&
             accel_queue(iommu, accel, SVAN_ACCEL_QUEUE_HEAD) == head &&
             g_get_monotonic_time() < limit);
    return state;
}

static void test_stores_of_the_accelerator(void)
{
    Iommu *iommu = iommu_start_with("-device svan-accel,addr=6 ");
    struct svan_stats before, after;
    Accel accel = {};

    accel_start(iommu, &accel);
    iommu_enable(iommu);
    nic_enable(iommu->nic, 4);
    nic_stats(iommu->nic, &before);
    g_assert_cmpuint(accel_store(iommu, &accel), ==, SVAN_ACCEL_QUEUE_RUNNING);
    nic_stats(iommu->nic, &after);
    g_assert_cmpuint(svan_le64_to_cpu(after.doorbells_refused), ==,
                     svan_le64_to_cpu(before.doorbells_refused) + 1);

    /* What it may not reach it does not, and the IOMMU names it. */
    iommu_map(iommu, IOVA + 0x2000, 0, 0);
    iommu_invalidate_all(iommu);
    g_assert_cmpuint(accel_store(iommu, &accel), ==, SVAN_ACCEL_QUEUE_STOPPED);
    nic_stats(iommu->nic, &before);
    g_assert_cmpuint(svan_le64_to_cpu(before.doorbells_refused), ==,
                     svan_le64_to_cpu(after.doorbells_refused));
    g_assert_cmphex(qtest_readl(iommu->nic->qts, VTD_BASE + VTD_FRCD_SOURCE) &
                    0xffff, ==, ACCEL_DEVFN);
    g_free(accel.dev);
    iommu_stop(iommu);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svan/iommu/off", test_off);
    qtest_add_func("/svan/iommu/reason", test_reason);
    qtest_add_func("/svan/iommu/translate", test_translate);
    qtest_add_func("/svan/iommu/rights", test_rights);
    qtest_add_func("/svan/iommu/appears", test_appears);
    qtest_add_func("/svan/iommu/invalidate-page", test_invalidate_page);
    qtest_add_func("/svan/iommu/invalidate-all", test_invalidate_all);
    qtest_add_func("/svan/iommu/downgrade", test_downgrade);
    qtest_add_func("/svan/iommu/accelerator", test_stores_of_the_accelerator);
    return g_test_run();
}
