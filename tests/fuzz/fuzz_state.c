/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams of state: octets as they come, or (first octet even) a good stream with
 * patches. What is accepted must run, be saved, and be accepted once more.
 */
#include "fuzz.h"

#define MAX_PATCH       16

static uint8_t *good;
static size_t good_len;

/* A datagram has come to one of two queue pairs of its group, and messages are under way. */
static void begin_unreliable(Stage *stage)
{
    static const uint8_t sends[] = {
        0x00, 0x10, 0x21, 0x01, 0x30, 0x02, 0x40, 0x04, 0x21, 0x01,
    };
    Input input = { sends, sizeof(sends) };
    struct svan_cqe cqe;

    while (input.size) {
        unreliable_send(&stage->unreliable, &input, stage->buffer, stage->host->all_key,
                        3000);
    }
    for (uint32_t n = 0; !host_cq_poll(&stage->unreliable.datagram_cq, &cqe) ||
                         le32toh(cqe.qpn) != stage->unreliable.ud[0].qpn; n++) {
        if (n == 1000) {
            fake_die("a datagram does not come");
        }
        svan_run(stage->host->fake->core);
    }
    unreliable_send(&stage->unreliable, &(Input) { sends, 2 }, stage->buffer,
                    stage->host->all_key, 16000);
}

/* Saved in the middle of several things. */
static void make_good(Fake *fake)
{
    Stage stage = stage_set(fake);
    SvanFrame *frame = svan_frame_alloc(200);

    memset(frame->data, 0xff, 200);
    frame->len = 200;
    stage_send(&stage, SVAN_WQE_RDMA_WRITE, 8000);
    stage_send(&stage, SVAN_WQE_RDMA_READ, 8000);
    stage_send(&stage, SVAN_WQE_SEND, 4000);
    stage_run(fake, 20);
    stage_answer(&stage, 0);
    stage_send_paged(&stage, SVAN_WQE_RDMA_WRITE, 8000, 4);
    stage_send_paged(&stage, SVAN_WQE_RDMA_READ, 8000, 3);
    host_cq_arm(&stage.cq, false);
    stage_run(fake, 4);
    begin_unreliable(&stage);
    if (!svan_frame_in(fake->core, frame)) {
        fake_die("no room for a frame");
    }
    host_event(stage.host, SVAN_EVENT_QP_FATAL, stage.a.qpn, 7);
    good = svan_save(fake->core, &good_len);
    stage_strike(&stage);
    if (!good || !svan_load(fake->core, good, good_len)) {
        fake_die("the good stream is not good");
    }
}

static void patch(Input *input, uint8_t *stream)
{
    uint32_t at = input_number(input, 2) % good_len;
    uint8_t len = 1 + input_number(input, 1) % MAX_PATCH;
    uint8_t bytes[MAX_PATCH];

    input_bytes(input, bytes, len);
    memcpy(stream + at, bytes, len < good_len - at ? len : good_len - at);
}

/* It was accepted: live with it. */
static void live(Fake *fake, uint8_t how)
{
    void *again;
    size_t len;

    fake->miss_every = how % 3;
    for (uint32_t i = 0; i < 8; i++) {
        stage_run(fake, 25);
        fake->now += 1ull << (how & 31);
        svan_doorbell(fake->core, 0, i % 3 * 8, svan_db_value(1 + i, i), 8);
    }
    again = svan_save(fake->core, &len);
    if (!again || !svan_load(fake->core, again, len)) {
        fake_die("the saved state is not accepted");
    }
    free(again);
    stage_run(fake, 25);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Fake *fake;
    Input input = { data, size };
    uint8_t how;

    if (!fake) {
        fake = stage_fake();
        make_good(fake);
    }
    how = input_number(&input, 1);
    if (how & 1) {
        if (svan_load(fake->core, input.data, input.size)) {
            live(fake, how);
        }
    } else {
        uint8_t *stream = malloc(good_len);

        memcpy(stream, good, good_len);
        for (uint32_t n = 0; input.size && n < 8; n++) {
            patch(&input, stream);
        }
        if (svan_load(fake->core, stream, good_len)) {
            live(fake, how);
        }
        free(stream);
    }
    fake_recycle(fake);
    return 0;
}
