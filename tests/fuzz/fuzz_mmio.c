/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Register and doorbell accesses of any offset, size and value.
 */
#include "fuzz.h"

static void one_access(Stage *stage, Input *input)
{
    static const unsigned sizes[] = { 1, 2, 4, 8 };
    SvanCore *core = stage->host->fake->core;
    uint8_t action = input_number(input, 1);
    uint32_t offset = input_number(input, 2);
    uint64_t value;

    if (action & 0x80) {
        offset = (offset & 0x7ff) << 2;         /* mostly where something is */
    }
    value = input_number(input, action & 0x40 ? 8 : 2);
    switch (action % 4) {
    case 0:
        svan_reg_write(core, 0, offset, value, sizes[action >> 2 & 3]);
        break;
    case 1:
        value = svan_reg_read(core, 0, offset, sizes[action >> 2 & 3]);
        if (value == UINT64_MAX) {
            fake_die("register %#x reads all ones", offset);
        }
        break;
    case 2:
        svan_doorbell(core, 0, offset << 3, value, sizes[action >> 2 & 3]);
        break;
    case 3:
        if (action & 0x20) {
            stage_answer(stage, value);
            break;
        }
        /* fallthrough */
    default:
        /* a queue that is there, on a page that may not be its own */
        svan_doorbell(core, 0, (offset & 0x301) << 12 | (offset & 0x18),
                      value << 32 | (2 + (offset >> 8) % 3), 8);
        break;
    }
    stage_run(stage->host->fake, action >> 4 & 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Fake *fake;
    Input input = { data, size };
    Stage stage;

    if (!fake) {
        fake = stage_fake();
    }
    stage = stage_set(fake);
    stage_send(&stage, SVAN_WQE_RDMA_WRITE, 100);
    stage_send_paged(&stage, SVAN_WQE_RDMA_WRITE, 100, 0);
    stage_send_paged(&stage, SVAN_WQE_RDMA_READ, 9000, 7);
    stage_run(fake, 20);
    for (uint32_t n = 0; input.size && n < 256; n++) {
        one_access(&stage, &input);
    }
    stage_run(fake, 50);
    stage_strike(&stage);
    fake_recycle(fake);
    return 0;
}
