/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that come and go as a driver or a process that means no good likes it:
 * tables of any content, answers to requests that were made or not, policies,
 * spare pages, injections, with traffic over all that. However it went, nothing is
 * kept of queue pairs in the error state, and a reset leaves nothing behind.
 */
#include "paging/paging.h"
#include "fuzz_packet.h"

/* Of the driver's own rings, without which there is nothing to be seen. */
static bool is_own(const Stage *stage, uint64_t bus)
{
    return bus >= FAKE_RAM_BASE && bus < stage->pages;
}

/* Where something is: mostly pages of the stage, tables among them. */
static uint64_t some_bus(Stage *stage, Input *input)
{
    uint8_t choice = input_number(input, 1);
    uint64_t any = choice < 0xf0 ? 0 : input_number(input, 8);

    return choice < 0xc0 ? stage->pages + choice % STAGE_PAGES * 4096 :
           choice < 0xd0 ? stage_bus(stage, stage->levels[choice % 4]) :
           choice < 0xd8 ? stage_bus(stage, stage->table) :
           choice < 0xe0 ? stage_bus(stage, stage->prq.requests) :
           choice < 0xe8 ? stage_bus(stage, stage->contexts) :
           choice < 0xf0 ? FAKE_RAM_BASE + FAKE_RAM_SIZE :
           is_own(stage, any) ? 0 : any;
}

static void write_table(Stage *stage, Input *input)
{
    uint8_t bits = input_number(input, 1);
    uint64_t entry = some_bus(stage, input);

    if (bits & 0x80) {
        entry = (entry & ~4095ull) | (bits & 0x40 ? 1 : 3);
    } else if (bits & 0x40) {
        entry = svan_mtt_absent(bits & 15, input_number(input, 4));
    }
    stage->table[bits % STAGE_PAGES] = htole64(entry);
}

static void write_pte(Stage *stage, Input *input)
{
    uint8_t bits = input_number(input, 1), marks = input_number(input, 1);
    uint64_t entry = some_bus(stage, input);
    uint32_t level = bits >> 5 < 4 ? 0 : bits >> 5 & 3;
    uint32_t index = level ? 0 : STAGE_VA / 4096 + bits % (STAGE_PAGES + 1);

    entry = marks & 0x80 ? (uint64_t)marks << 56 | (marks & 0x7e) << 2 :
            (entry & ~4095ull) | marks | (marks & 0x18 ? 7 : 0);
    stage->levels[level][index] = htole64(entry);
}

static void write_context(Stage *stage, Input *input)
{
    struct svan_process_context *context = &stage->contexts[1];
    uint8_t bits = input_number(input, 1);

    context->location_table = htole64(some_bus(stage, input) & ~4095ull);
    context->location_entries = htole32(bits);
    context->generation = htole32(bits & 1);
    if (bits & 2) {
        context->flags ^= htole32(1u << input_number(input, 1) % 12);
    }
    if (bits & 4) {
        context->cached = htole32(bits & 8);
    }
}

static void invalidate(Stage *stage, Input *input)
{
    SvanCore *core = stage->host->fake->core;
    uint8_t bits = input_number(input, 1);

    if (bits & 1) {
        svan_reg_write(core, 0, SVAN_REG_INV_CONTEXT(bits >> 6),
                       STAGE_VA + (bits >> 1), 8);
        return;
    }
    host_write(stage->host, SVAN_REG_INV_TARGET,
               bits & 2 ? stage->ondemand : stage->process);
    svan_reg_write(core, 0, SVAN_REG_INV_ADDR, STAGE_VA + (bits & 0x30) * 256,
                   8);
    svan_reg_write(core, 0, SVAN_REG_INV_LENGTH,
                   bits & 4 ? input_number(input, 8) : 4096, 8);
    host_write(stage->host, SVAN_REG_INV_GO, bits & 8 ? SVAN_INV_FUNCTION :
                                                        SVAN_INV_KEY);
}

static void one_write(Stage *stage, Input *input, uint8_t bits)
{
    switch (bits % 8) {
    case 0:
    case 1:
        write_table(stage, input);
        break;
    case 2:
    case 3:
        write_pte(stage, input);
        break;
    case 4:
        write_context(stage, input);
        break;
    case 5:
        stage_map(stage);
        break;
    default:
        invalidate(stage, input);
        break;
    }
}

/* Any octets for a response, which is told of, and any index for either ring. */
static void bad_answer(Stage *stage, Input *input)
{
    uint32_t mask = (2u << STAGE_PRQ_LOG) - 1;
    uint8_t bits = input_number(input, 1);
    struct svan_page_response *response =
        &stage->prq.responses[stage->prq.pi & mask];

    input_bytes(input, response, bits % (sizeof(*response) + 1));
    if (bits & 0x40) {
        host_write(stage->host, SVAN_REG_PRQ_DB, input_number(input, 4));
    }
    if (bits & 0x80) {
        stage->prq.pi += (int8_t)input_number(input, 1);
    } else {
        response->token = htole32(input_number(input, 2) << 16 | bits);
        stage->prq.pi++;
    }
    host_write(stage->host, SVAN_REG_PRR_DB, stage->prq.pi);
}

static uint32_t some_size(uint8_t bits)
{
    static const uint32_t sizes[] = { 0, 1, 200, 4096, 9000, 100000 };

    return sizes[bits % (sizeof(sizes) / sizeof(sizes[0]))];
}

static void set_policy(Stage *stage, Input *input)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_FAULT_POLICY);
    struct svan_fault_policy *policy = &cmd.fault_policy.policy;
    uint8_t bits = input_number(input, 1), more = input_number(input, 1);

    cmd.fault_policy.qpn = htole32(stage_qp(stage, bits)->qpn);
    policy->mode = bits / 2 % SVAN_FAULT_MODE_FAIL;
    policy->sources = bits >> 5;
    policy->hold_max_us = htole32(some_size(more));
    policy->divert_max_us = htole32(some_size(more / 2));
    policy->drop_max_us = htole32(some_size(more / 4));
    policy->bound_us = htole32(some_size(more / 8));
    policy->unknown_us = htole32(some_size(more / 16));
    policy->hold_bytes = htole32(some_size(bits / 4));
    policy->divert_pages = htole32(some_size(bits / 8) / 100);
    host_cmd(stage->host, &cmd, NULL);
}

static void set_spares(Stage *stage, uint8_t bits)
{
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_SET_SPARE_PAGES);
    const uint64_t *list = bits & 8 ? stage->table : stage->levels[0];

    /* a page of tables, and what it lends may be any of them */
    cmd.spare_pages.addr = htole64(stage_bus(stage, list));
    cmd.spare_pages.count = htole32(bits >> 5);
    for (uint32_t i = 0; i < bits >> 5; i++) {
        if (is_own(stage, le64toh(list[i]))) {
            return;
        }
    }
    host_cmd(stage->host, &cmd, NULL);
}

static void inject(Stage *stage, Input *input, uint8_t bits)
{
    SvanInjection what = {
        .key = bits & 1 ? stage->ondemand : 0,
        .first = STAGE_VA, .last = STAGE_VA + (bits >> 5) * 4096,
        .count = bits & 7, .chance_ppm = 500000, .seed = bits,
        .fault_class = bits % SVAN_FAULT_CLASS_COUNT,
        .estimate_ns = input_number(input, 3),
        .delay_ns = input_number(input, 3), .failure = bits & 8,
    };

    if (bits & 0x10) {
        svan_inject(stage->host->fake->core, 0, &what);
    } else {
        svan_inject_nothing(stage->host->fake->core, 0);
    }
}

static void one_command(Stage *stage, Input *input, uint8_t bits)
{
    HostQp *qp = stage_qp(stage, bits >> 3);
    struct svan_cqe cqe;

    if (host_fn(stage->host)->fatal) {
        return;
    }
    stage->host->fake->miss_every = 0;
    switch (bits % 8) {
    case 0:
    case 1:
    case 2:
        set_policy(stage, input);
        break;
    case 3:
        set_spares(stage, bits);
        break;
    case 4:
        inject(stage, input, bits);
        break;
    case 5:
        stage_reload(stage);
        break;
    case 6:
        host_modify(qp, bits & 0x80 ? SVAN_QPS_SQD : SVAN_QPS_RTS, 0, NULL);
        break;
    default:
        while (host_cq_poll(&stage->cq, &cqe) ||
               host_cq_poll(&stage->unreliable.cq, &cqe) ||
               host_cq_poll(&stage->unreliable.datagram_cq, &cqe)) {
        }
        break;
    }
}

static void one_receive(Stage *stage, uint8_t bits)
{
    Host *host = stage->host;
    uint32_t all = host->all_key;

    host->all_key = bits & 8 ? stage->ondemand : stage->process;
    host_recv(stage_qp(stage, bits >> 4),
              STAGE_VA + (bits >> 5) * 2040, bits << 6);
    host->all_key = all;
}

static void one_action(Stage *stage, Input *input)
{
    Fake *fake = stage->host->fake;
    uint8_t action = input_number(input, 1), bits = action >> 4;

    switch (action % 16) {
    case 0: case 1:
        one_write(stage, input, bits);
        break;
    case 2: case 3: case 4:
        stage_answer(stage, input_number(input, 1));
        break;
    case 5:
        bad_answer(stage, input);
        break;
    case 6: case 7: case 8:
        stage_send_paged(stage, bits % 10, length_of(input) & 0xffff,
                         input_number(input, 1));
        break;
    case 9:
        near_packet(stage, input);
        break;
    case 10:
        unreliable_send(&stage->unreliable, input, STAGE_VA + bits * 1024,
                        bits & 1 ? stage->ondemand : stage->process,
                        length_of(input) & 0xffff);
        break;
    case 11:
        fake->miss_every = bits;
        break;
    case 12:
        fake->now += 1ull << 2 * bits;
        break;
    case 13:
        fake->out_full = bits & 1;
        if (!fake->out_full) {
            svan_tx_ready(fake->core);
        }
        break;
    case 14:
        one_receive(stage, input_number(input, 1));
        break;
    default:
        one_command(stage, input, input_number(input, 1));
        break;
    }
    stage_run(fake, 1 + bits / 4);
}

/* Queue pairs in the error state keep nothing, wherever the queue of requests is. */
static void check_end(Stage *stage)
{
    SvanFn *fn = host_fn(stage->host);

    stage->host->fake->miss_every = 0;
    if (!fn->fatal) {
        host_modify(&stage->a, SVAN_QPS_ERR, 0, NULL);
        host_modify(&stage->b, SVAN_QPS_ERR, 0, NULL);
        for (uint8_t n = 2; n < 7; n++) {
            host_modify(stage_qp(stage, n), SVAN_QPS_ERR, 0, NULL);
        }
        if (fn->paging->held_bytes || svan_spares_in_use(fn)) {
            fake_die("%u octets are held%s", fn->paging->held_bytes,
                     svan_spares_in_use(fn) ? ", and spare pages" : "");
        }
    }
    svan_reset(fn->core, 0);
    if (fn->core->heap_reserved || fn->paging) {
        fake_die("a reset leaves something");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    stage_play(data, size, 200, one_action, check_end);
    return 0;
}
