/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets of the NIC share: a device with a bit of everything on it.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "fuzz_bystander.h"
#include "fuzz_input.h"
#include "fuzz_unreliable.h"
#include "page_queue.h"
#include "page_table.h"

#define STAGE_BUFFER    16384u
#define STAGE_PAGES     4u
#define STAGE_VA        0x10000ull      /* of both keys */
#define STAGE_PRQ_LOG   SVAN_PRQ_MIN_LOG_SIZE
#define STAGE_PASIDS    4u

typedef struct Stage {
    Host *host;
    Bystander bystander;
    HostCq cq;
    HostQp a, b, eth;
    Unreliable unreliable;
    uint64_t buffer;

    /* pages that may be absent, with the same addresses in two keys */
    uint64_t pages;
    uint32_t ondemand, process;         /* keys */
    uint64_t *table;                    /* leaves of the one */
    uint64_t *levels[4];                /* tables of the other, leaves first */
    struct svan_process_context *contexts;
    PageQueue prq;
} Stage;

static inline uint64_t stage_bus(const Stage *stage, const void *mem)
{
    return FAKE_RAM_BASE + ((const uint8_t *)mem - stage->host->fake->ram);
}

static inline void *stage_page(Stage *stage)
{
    return fake_ram(stage->host->fake,
                    fake_alloc(stage->host->fake, 4096, 4096));
}

/* As in the first place: every other page is there, the last for reads alone. */
static inline void stage_map(Stage *stage)
{
    for (uint32_t i = 0; i < STAGE_PAGES; i++) {
        uint64_t bus = stage->pages + i * 4096;
        bool writable = i != STAGE_PAGES - 1;

        stage->table[i] = htole64(i % 2 ? svan_mtt_present(bus, writable) :
                                          svan_mtt_absent(i, 100000ull << 4 * i));
        stage->levels[0][STAGE_VA / 4096 + i] =
            htole64(i % 2 ? bus | 5 | writable << 1 : 0);
    }
}

static inline void stage_process(Stage *stage)
{
    stage->contexts = stage_page(stage);
    host_set_contexts(stage->host, stage_bus(stage, stage->contexts),
                      STAGE_PASIDS);
    for (uint32_t i = 0; i < 4; i++) {
        stage->levels[i] = stage_page(stage);
        if (i) {
            stage->levels[i][0] =
                htole64(stage_bus(stage, stage->levels[i - 1]) | 7);
        }
    }
    page_table_to_context(&(PageTable) {
        .levels = 4, .root = stage_bus(stage, stage->levels[3]),
    }, &stage->contexts[1]);
}

static inline void stage_keys(Stage *stage)
{
    struct svan_cmd_create_key key = {
        .kind = SVAN_KEY_ONDEMAND, .levels = 1, .page_shift = 12,
        .access = htole32(SVAN_ACCESS_LOCAL_WRITE | SVAN_ACCESS_REMOTE_MASK),
        .pd = htole32(stage->host->pd), .va = htole64(STAGE_VA),
        .length = htole64(STAGE_PAGES * 4096),
    };

    stage->table = stage_page(stage);
    key.table = htole64(stage_bus(stage, stage->table));
    stage->ondemand = host_key(stage->host, &key);
    key.kind = SVAN_KEY_PROCESS;
    key.levels = 0;
    key.table = 0;
    key.pasid = htole32(1);
    stage->process = host_key(stage->host, &key);
}

/* A driver that answers the oldest request, by some bits. */
static inline void stage_answer(Stage *stage, uint8_t bits)
{
    const struct svan_page_request *request = page_queue_next(&stage->prq);
    struct svan_page_response response = {
        .status = 1 + bits % 4 % 3, .fault_class = bits & 15,
        .time_ns = htole64(1ull << (bits >> 3)),
    };
    uint64_t index;

    if (!request) {
        return;
    }
    response.token = request->token;
    index = (le64toh(request->addr) - STAGE_VA) / 4096;
    if (response.status == SVAN_PAGE_RESOLVED && index < STAGE_PAGES &&
        !(bits & 0x80)) {
        stage->table[index] =
            htole64(svan_mtt_present(stage->pages + index * 4096, true));
        stage->levels[0][STAGE_VA / 4096 + index] =
            htole64((stage->pages + index * 4096) | 7);
    }
    page_queue_answer(&stage->prq, &response);
    if (response.status != SVAN_PAGE_PENDING) {
        stage->prq.ci++;
        page_queue_consumed(&stage->prq, bits & 0x40);
    }
}

/*
 * Two connected RC queue pairs, an Ethernet one that receives, unreliable ones, a buffer,
 * and pages that come and go.
 */
static inline Stage stage_set(Fake *fake)
{
    static const HostQpAttr eth = {
        .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED,
    };
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);
    Stage stage = { .host = host_create(fake, 0, 1) };

    stage.bystander = bystander_set(stage.host);
    stage.cq = host_cq(stage.host, 6);
    stage.a = host_qp(stage.host, &stage.cq, &stage.cq, NULL);
    stage.b = host_qp(stage.host, &stage.cq, &stage.cq, NULL);
    stage.eth = host_qp(stage.host, &stage.cq, &stage.cq, &eth);
    stage.buffer = fake_alloc(fake, STAGE_BUFFER, 4096);
    stage.pages = fake_alloc(fake, STAGE_PAGES * 4096, 4096);
    stage.prq = page_queue(stage.host, STAGE_PRQ_LOG);
    page_queue_consumed(&stage.prq, true);
    page_queue_lend(stage.host, 2);
    stage_process(&stage);
    stage_keys(&stage);
    stage_map(&stage);
    host_connect(&stage.a, &stage.b);
    host_eth_rts(&stage.eth);
    cmd.eth_filter.qpn = htole32(stage.eth.qpn);
    cmd.eth_filter.flags = SVAN_CMD_ETH_PROMISC;
    cmd.eth_filter.max_frame = htole32(SVAN_MAX_FRAME);
    host_must(stage.host, &cmd);
    stage.unreliable = unreliable_set(stage.host, stage.buffer);
    for (uint32_t i = 0; i < 4; i++) {
        host_recv(&stage.b, stage.buffer + i * 4096, 4096);
        host_recv(&stage.eth, stage.buffer + i * 4096, 4096);
    }
    return stage;
}

/* For a stage: its fault buffer is soon full. */
static inline Fake *stage_fake(void)
{
    SvanConfig config = fake_config;

    config.fault_buffer = STAGE_BUFFER;
    return fake_create(&config);
}

static inline void stage_strike(Stage *stage)
{
    host_destroy(stage->host);
}

/* One of all but the Ethernet one. */
static inline HostQp *stage_qp(Stage *stage, uint8_t n)
{
    n %= 8;
    return n < 2 ? (n ? &stage->b : &stage->a) : unreliable_qp(&stage->unreliable, n - 2);
}

/* A send of the first queue pair that works if all is well. */
static inline void stage_send(Stage *stage, uint8_t opcode, uint32_t length)
{
    HostSend send = {
        .opcode = opcode, .flags = SVAN_WQE_SIGNALED, .addr = stage->buffer,
        .length = length, .remote = stage->buffer + 8192,
        .rkey = stage->host->all_key,
    };

    host_send(&stage->a, &send);
    host_post(&stage->a);
}

/* The same, from and to pages that may be absent. */
static inline void stage_send_paged(Stage *stage, uint8_t opcode,
                                    uint32_t length, uint8_t bits)
{
    HostSend send = {
        .opcode = opcode, .flags = SVAN_WQE_SIGNALED,
        .addr = bits & 1 ? STAGE_VA + (bits >> 4) * 1024 : stage->buffer,
        .lkey = !(bits & 1) ? 0 : bits & 2 ? stage->ondemand : stage->process,
        .length = length, .remote = STAGE_VA + (bits & 0x70) * 128,
        .rkey = bits & 4 ? stage->ondemand : stage->process,
    };

    host_send(&stage->a, &send);
    host_post(&stage->a);
}

/* Never long, and not to the end: the device may be in any state. */
static inline void stage_run(Fake *fake, uint32_t runs)
{
    while (runs--) {
        svan_run(fake->core);
    }
}

/* Whatever state it is in, it can be saved, and is accepted. */
static inline void stage_reload(Stage *stage)
{
    SvanCore *core = stage->host->fake->core;
    size_t len;
    void *stream = svan_save(core, &len);

    if (!stream || !svan_load(core, stream, len)) {
        fake_die("the saved state is not accepted");
    }
    free(stream);
}

/*
 * The input acted out on a new stage, whose state can be saved in the end; nothing
 * of it has been felt by the bystander.
 */
static inline void stage_play(const uint8_t *data, size_t size, uint32_t actions,
                              void (*act)(Stage *, Input *),
                              void (*end)(Stage *))
{
    static Fake *fake;
    Input input = { data, size };
    Stage stage;

    if (!fake) {
        fake = stage_fake();
    }
    stage = stage_set(fake);
    bystander_check(&stage.bystander);
    for (uint32_t n = 0; input.size && n < actions; n++) {
        act(&stage, &input);
    }
    stage_run(fake, 100);
    stage_reload(&stage);
    stage_run(fake, 20);
    bystander_check(&stage.bystander);
    if (end) {
        end(&stage);
    }
    stage_strike(&stage);
    fake_recycle(fake);
}

#endif /* TESTS_FUZZ_H */
