/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DMA test of bring-up (PRM "Registers", TEST_DMA).
 */
#include <string.h>

#include "device/device.h"

bool svan_test_dma_is_sane(const SvanFn *fn, uint32_t op)
{
    uint32_t room = SVAN_PAGE_SIZE - (fn->regs->test_dma_addr & SVAN_PAGE_MASK);

    return op >= SVAN_TEST_DMA_CLEAR && op <= SVAN_TEST_DMA_INVERT &&
           fn->regs->test_dma_size && fn->regs->test_dma_size <= room;
}

static void test_dma_do(uint8_t *at, uint32_t len, uint32_t op)
{
    if (op == SVAN_TEST_DMA_INVERT) {
        for (uint32_t i = 0; i < len; i++) {
            at[i] = ~at[i];
        }
    } else {
        memset(at, op == SVAN_TEST_DMA_FILL ? 0x5a : 0, len);
    }
}

SvanStep svan_test_dma_step(SvanFn *fn)
{
    uint32_t op = fn->regs->test_dma_ctrl & 0xff;
    SvanStep step = SVAN_STEP_ERROR;
    SvanMem mem;

    /* The registers may have changed meanwhile. */
    if (svan_test_dma_is_sane(fn, op)) {
        step = svan_map_bus(fn, fn->regs->test_dma_addr, fn->regs->test_dma_size, true,
                            &mem);
    }
    if (step == SVAN_STEP_MISS) {
        return step;
    }
    fn->regs->test_dma_ctrl = op;
    if (step == SVAN_STEP_DONE) {
        test_dma_do(mem.host, mem.len, op);
        svan_stored(fn, &mem);
    } else {
        fn->regs->test_dma_ctrl |= SVAN_TEST_DMA_ERROR;
    }
    return SVAN_STEP_DONE;
}
