/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

static uint64_t rd(Host *host, uint32_t reg, unsigned size)
{
    return svan_reg_read(host->fake->core, 0, reg, size);
}

static void wr(Host *host, uint32_t reg, uint64_t value, unsigned size)
{
    svan_reg_write(host->fake->core, 0, reg, value, size);
}

static void identification(void **state)
{
    Host *host = *state;

    assert_int_equal(host_read(host, SVAN_REG_MAGIC), SVAN_MAGIC);
    assert_int_equal(host_read(host, SVAN_REG_VERSION), SVAN_VERSION);
    assert_int_equal(host_read(host, SVAN_REG_FUNCTION), 0);
    assert_int_equal(host_read(host, SVAN_REG_UAR_COUNT), SVAN_PF_UAR_COUNT);
    assert_int_equal(host_read(host, SVAN_REG_MSIX_COUNT), SVAN_PF_MSIX_COUNT);
    assert_int_equal(host_read(host, SVAN_REG_MAC_LO), 0x77005452 & 0xffffffff);
    assert_int_equal(host_read(host, SVAN_REG_MAC_HI), 0x0100);
    assert_int_equal(host_read(host, SVAN_REG_PORT),
                     SVAN_PORT_LINK_UP | 1000 << SVAN_PORT_SPEED_SHIFT);
    svan_set_link(host->fake->core, false);
    assert_int_equal(host_read(host, SVAN_REG_PORT),
                     1000 << SVAN_PORT_SPEED_SHIFT);
}

static void virtual_functions_differ(void **state)
{
    SvanConfig config = {
        .mac = { 0x50, 1, 2, 3, 4, 5 }, .num_vfs = 2, .max_qp = 16,
        .max_cq = 16, .max_key = 16,
    };
    Fake *fake = fake_create(&config);

    assert_int_equal(svan_reg_read(fake->core, 2, SVAN_REG_FUNCTION, 4), 2);
    assert_int_equal(svan_reg_read(fake->core, 2, SVAN_REG_UAR_COUNT, 4),
                     SVAN_VF_UAR_COUNT);
    assert_int_equal(svan_reg_read(fake->core, 2, SVAN_REG_MSIX_COUNT, 4),
                     SVAN_VF_MSIX_COUNT);
    assert_int_equal(svan_reg_read(fake->core, 2, SVAN_REG_MAC_LO, 4),
                     0x03020152);
    assert_int_equal(svan_reg_read(fake->core, 2, SVAN_REG_MAC_HI, 4), 0x0506);
    assert_int_equal(svan_reg_read(fake->core, 3, SVAN_REG_MAGIC, 4), 0);
    svan_reg_write(fake->core, 3, SVAN_REG_CONTROL, 1, 4);
    svan_reset(fake->core, 3);
    fake_destroy(fake);
}

static void read_only_registers_keep(void **state)
{
    static const uint32_t readonly[] = {
        SVAN_REG_MAGIC, SVAN_REG_VERSION, SVAN_REG_FUNCTION,
        SVAN_REG_UAR_COUNT, SVAN_REG_MSIX_COUNT, SVAN_REG_PORT,
        SVAN_REG_MAC_LO, SVAN_REG_MAC_HI, SVAN_REG_STATUS,
        SVAN_REG_FATAL_CODE, SVAN_REG_GENERATION, SVAN_REG_CMDQ_HEAD,
    };
    Host *host = *state;

    for (size_t i = 0; i < SIZE(readonly); i++) {
        uint32_t before = host_read(host, readonly[i]);

        host_write(host, readonly[i], ~before);
        assert_int_equal(host_read(host, readonly[i]), before);
    }
}

static void access_rules(void **state)
{
    Host *host = *state;

    wr(host, SVAN_REG_TEST_SCRATCH, 0x11223344, 4);
    assert_int_equal(rd(host, SVAN_REG_TEST_SCRATCH, 4), 0x11223344);
    assert_int_equal(rd(host, SVAN_REG_TEST_SCRATCH, 1), 0);
    assert_int_equal(rd(host, SVAN_REG_TEST_SCRATCH, 2), 0);
    assert_int_equal(rd(host, SVAN_REG_TEST_SCRATCH + 2, 4), 0);
    assert_int_equal(rd(host, SVAN_REG_TEST_SCRATCH, 8), 0);
    wr(host, SVAN_REG_TEST_SCRATCH, 7, 1);
    wr(host, SVAN_REG_TEST_SCRATCH, 7, 2);
    wr(host, SVAN_REG_TEST_SCRATCH, 7, 8);
    wr(host, SVAN_REG_TEST_SCRATCH + 1, 7, 4);
    assert_int_equal(rd(host, SVAN_REG_TEST_SCRATCH, 4), 0x11223344);
    assert_int_equal(rd(host, SVAN_REG_END, 4), 0);
    assert_int_equal(rd(host, 0xfffffffc, 4), 0);
    wr(host, SVAN_REG_END, 1, 4);
    wr(host, 0xfffffffc, 1, 4);
}

static void wide_registers(void **state)
{
    Host *host = *state;

    wr(host, SVAN_REG_TEST_DMA_ADDR, 0x1122334455667788, 8);
    assert_int_equal(rd(host, SVAN_REG_TEST_DMA_ADDR, 8), 0x1122334455667788);
    assert_int_equal(rd(host, SVAN_REG_TEST_DMA_ADDR, 4), 0x55667788);
    assert_int_equal(rd(host, SVAN_REG_TEST_DMA_ADDR + 4, 4), 0x11223344);
    wr(host, SVAN_REG_TEST_DMA_ADDR, 0xaabbccdd, 4);
    wr(host, SVAN_REG_TEST_DMA_ADDR + 4, 0x99, 4);
    assert_int_equal(rd(host, SVAN_REG_TEST_DMA_ADDR, 8), 0x99aabbccdd);
    /* neither in the middle nor of the neighbour's half */
    wr(host, SVAN_REG_TEST_DMA_ADDR + 4, 0, 8);
    assert_int_equal(rd(host, SVAN_REG_TEST_DMA_ADDR + 4, 8), 0);
    assert_int_equal(rd(host, SVAN_REG_TEST_DMA_ADDR, 8), 0x99aabbccdd);
}

static void ring_bases_are_aligned(void **state)
{
    Host *host = *state;

    wr(host, SVAN_REG_CMDQ_BASE, 0x12345fff, 8);
    wr(host, SVAN_REG_CMDR_BASE, 0x12345fff, 8);
    assert_int_equal(rd(host, SVAN_REG_CMDQ_BASE, 8), 0x12345f80);
    assert_int_equal(rd(host, SVAN_REG_CMDR_BASE, 8), 0x12345fc0);
    wr(host, SVAN_REG_CMDQ_LOG_SIZE, SVAN_CMDQ_MAX_LOG_SIZE, 4);
    wr(host, SVAN_REG_CMDQ_LOG_SIZE, SVAN_CMDQ_MAX_LOG_SIZE + 1, 4);
    assert_int_equal(rd(host, SVAN_REG_CMDQ_LOG_SIZE, 4),
                     SVAN_CMDQ_MAX_LOG_SIZE);
}

static void all_ones_never(void **state)
{
    Host *host = *state;

    wr(host, SVAN_REG_TEST_SCRATCH, 0xffffffff, 4);
    wr(host, SVAN_REG_TEST_DMA_ADDR, UINT64_MAX, 8);
    host->fake->now = UINT32_MAX;
    for (uint32_t reg = 0; reg < SVAN_REG_END; reg += 4) {
        assert_int_not_equal(rd(host, reg, 4), UINT32_MAX);
        assert_int_not_equal(rd(host, reg & ~7u, 8), UINT64_MAX);
    }
}

static void the_clock_is_latched(void **state)
{
    Host *host = *state;

    host->fake->now = 0x1fffffff0;
    assert_int_equal(rd(host, SVAN_REG_CLOCK, 8), 0x1fffffff0);
    assert_int_equal(rd(host, SVAN_REG_CLOCK, 4), 0xfffffff0);
    host->fake->now = 0x200000010;
    assert_int_equal(rd(host, SVAN_REG_CLOCK + 4, 4), 1);
    assert_int_equal(rd(host, SVAN_REG_CLOCK, 4), 0x10);
    assert_int_equal(rd(host, SVAN_REG_CLOCK + 4, 4), 2);
    wr(host, SVAN_REG_CLOCK, 5, 4);
    assert_int_equal(rd(host, SVAN_REG_CLOCK, 8), 0x200000010);
}

static void control_and_status(void **state)
{
    Host *host = *state;
    uint32_t generation = host_read(host, SVAN_REG_GENERATION);

    assert_int_equal(host_read(host, SVAN_REG_CONTROL), SVAN_CONTROL_ENABLE);
    assert_int_equal(host_read(host, SVAN_REG_STATUS), SVAN_STATUS_READY);
    wr(host, SVAN_REG_TEST_SCRATCH, 5, 4);
    host_write(host, SVAN_REG_CONTROL, SVAN_CONTROL_ENABLE);
    assert_int_equal(host_read(host, SVAN_REG_GENERATION), generation);
    host_write(host, SVAN_REG_CONTROL, 0);
    assert_int_equal(host_read(host, SVAN_REG_GENERATION), generation + 1);
    assert_int_equal(host_read(host, SVAN_REG_STATUS), 0);
    assert_int_equal(host_read(host, SVAN_REG_CONTROL), 0);
    assert_int_equal(host_read(host, SVAN_REG_TEST_SCRATCH), 0);
    assert_int_equal(rd(host, SVAN_REG_CMDQ_BASE, 8), 0);
    host_write(host, SVAN_REG_CONTROL, 0);
    assert_int_equal(host_read(host, SVAN_REG_GENERATION), generation + 1);
    host_write(host, SVAN_REG_CONTROL,
               SVAN_CONTROL_RESET | SVAN_CONTROL_ENABLE);
    assert_int_equal(host_read(host, SVAN_REG_GENERATION), generation + 2);
    assert_int_equal(host_read(host, SVAN_REG_CONTROL), 0);
}

static void the_test_interrupt(void **state)
{
    Host *host = *state;

    host_write(host, SVAN_REG_TEST_IRQ, 7);
    assert_int_equal(host->fake->irqs[0][7], 1);
    host_write(host, SVAN_REG_TEST_IRQ, SVAN_PF_MSIX_COUNT);
    host_write(host, SVAN_REG_TEST_IRQ, 0x10007);
    assert_int_equal(host->fake->irqs[0][7], 1);
}

static uint32_t test_dma(Host *host, uint64_t addr, uint32_t size, uint32_t op)
{
    wr(host, SVAN_REG_TEST_DMA_ADDR, addr, 8);
    host_write(host, SVAN_REG_TEST_DMA_SIZE, size);
    host_write(host, SVAN_REG_TEST_DMA_CTRL, op);
    fake_run(host->fake);
    return host_read(host, SVAN_REG_TEST_DMA_CTRL);
}

static void the_test_dma(void **state)
{
    Host *host = *state;
    uint64_t page = fake_alloc(host->fake, 4096, 4096);
    uint8_t *bytes = fake_ram(host->fake, page);

    memset(bytes, 1, 4096);
    host->fake->miss_at = host->fake->maps + 1;
    host_write(host, SVAN_REG_CONTROL, 0);
    assert_int_equal(test_dma(host, page + 4, 8, SVAN_TEST_DMA_FILL),
                     SVAN_TEST_DMA_FILL);
    assert_int_equal(host->fake->misses, 1);
    for (uint32_t i = 0; i < 4096; i++) {
        assert_int_equal(bytes[i], i >= 4 && i < 12 ? 0x5a : 1);
    }
    assert_int_equal(test_dma(host, page, 6, SVAN_TEST_DMA_INVERT),
                     SVAN_TEST_DMA_INVERT);
    assert_int_equal(bytes[0], 0xfe);
    assert_int_equal(bytes[5], 0xa5);
    assert_int_equal(bytes[6], 0x5a);
    assert_int_equal(test_dma(host, page, 4096, SVAN_TEST_DMA_CLEAR),
                     SVAN_TEST_DMA_CLEAR);
    assert_int_equal(bytes[4095], 0);
}

static void bad_test_dma(void **state)
{
    Host *host = *state;
    uint64_t page = fake_alloc(host->fake, 4096, 4096);
    uint32_t failed = SVAN_TEST_DMA_FILL | SVAN_TEST_DMA_ERROR;
    uint32_t fill = SVAN_TEST_DMA_FILL;

    assert_int_equal(test_dma(host, page + 1, 4096, fill), failed);
    assert_int_equal(test_dma(host, page, 0, fill), failed);
    assert_int_equal(test_dma(host, page, UINT32_MAX, fill), failed);
    assert_int_equal(test_dma(host, 0, 8, fill), failed);
    assert_int_equal(test_dma(host, page, 8, 9), 9 | SVAN_TEST_DMA_ERROR);
    assert_int_equal(*(uint32_t *)fake_ram(host->fake, page), 0);
}

/* The registers are changed between the start and the step. */
static void test_dma_looks_again(void **state)
{
    Host *host = *state;
    uint64_t page = fake_alloc(host->fake, 4096, 4096);

    wr(host, SVAN_REG_TEST_DMA_ADDR, page, 8);
    host_write(host, SVAN_REG_TEST_DMA_SIZE, 4096);
    host_write(host, SVAN_REG_TEST_DMA_CTRL, SVAN_TEST_DMA_FILL);
    assert_int_equal(host_read(host, SVAN_REG_TEST_DMA_CTRL),
                     SVAN_TEST_DMA_FILL | SVAN_TEST_DMA_BUSY);
    wr(host, SVAN_REG_TEST_DMA_ADDR, page + 4095, 8);
    fake_run(host->fake);
    assert_int_equal(host_read(host, SVAN_REG_TEST_DMA_CTRL),
                     SVAN_TEST_DMA_FILL | SVAN_TEST_DMA_ERROR);
}

static void invalidation_is_inert(void **state)
{
    Host *host = *state;

    wr(host, SVAN_REG_INV_ADDR, 0x1000, 8);
    assert_int_equal(rd(host, SVAN_REG_INV_ADDR, 8), 0x1000);
    host_write(host, SVAN_REG_INV_GO, 1);
    assert_int_equal(host_read(host, SVAN_REG_INV_GO), 0);
    host_write(host, SVAN_REG_EQ_DB(200), SVAN_EQ_DB_ARM);
    assert_int_equal(host_read(host, SVAN_REG_EQ_DB(0)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(identification),
        HOST_TEST(virtual_functions_differ),
        HOST_TEST(read_only_registers_keep),
        HOST_TEST(access_rules),
        HOST_TEST(wide_registers),
        HOST_TEST(ring_bases_are_aligned),
        HOST_TEST(all_ones_never),
        HOST_TEST(the_clock_is_latched),
        HOST_TEST(control_and_status),
        HOST_TEST(the_test_interrupt),
        HOST_TEST(the_test_dma),
        HOST_TEST(bad_test_dma),
        HOST_TEST(test_dma_looks_again),
        HOST_TEST(invalidation_is_inert),
    };

    return cmocka_run_group_tests_name("regs", tests, NULL, NULL);
}
