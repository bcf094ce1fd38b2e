/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets share: an input that is eaten from its front, and a
 * device with a bit of everything on it.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
    const uint8_t *data;
    size_t size;
} Input;

/* Zeroes behind the end. */
static inline void input_bytes(Input *input, void *to, size_t len)
{
    size_t n = len < input->size ? len : input->size;

    memset(to, 0, len);
    if (n) {
        memcpy(to, input->data, n);
    }
    input->data += n;
    input->size -= n;
}

static inline uint64_t input_number(Input *input, size_t len)
{
    uint64_t value = 0;

    input_bytes(input, &value, len);
    return le64toh(value);
}

typedef struct Stage {
    Host *host;
    HostCq cq;
    HostQp a, b, eth;
    uint64_t buffer;
} Stage;

#define STAGE_BUFFER    16384u

/* Two connected RC queue pairs, an Ethernet one that receives, a buffer. */
static inline Stage stage_set(Fake *fake)
{
    static const HostQpAttr eth = {
        .type = SVAN_QPT_ETH, .flags = SVAN_CMD_QP_PRIVILEGED,
    };
    struct svan_cmd cmd = host_cmd_init(SVAN_CMD_ETH_SET_FILTER);
    Stage stage = { .host = host_create(fake, 0, 1) };

    stage.cq = host_cq(stage.host, 6);
    stage.a = host_qp(stage.host, &stage.cq, &stage.cq, NULL);
    stage.b = host_qp(stage.host, &stage.cq, &stage.cq, NULL);
    stage.eth = host_qp(stage.host, &stage.cq, &stage.cq, &eth);
    stage.buffer = fake_alloc(fake, STAGE_BUFFER, 4096);
    host_connect(&stage.a, &stage.b);
    host_eth_rts(&stage.eth);
    cmd.eth_filter.qpn = htole32(stage.eth.qpn);
    cmd.eth_filter.flags = SVAN_CMD_ETH_PROMISC;
    cmd.eth_filter.max_frame = htole32(SVAN_MAX_FRAME);
    host_must(stage.host, &cmd);
    for (uint32_t i = 0; i < 4; i++) {
        host_recv(&stage.b, stage.buffer + i * 4096, 4096);
        host_recv(&stage.eth, stage.buffer + i * 4096, 4096);
    }
    return stage;
}

static inline void stage_strike(Stage *stage)
{
    host_destroy(stage->host);
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

#endif /* TESTS_FUZZ_H */
