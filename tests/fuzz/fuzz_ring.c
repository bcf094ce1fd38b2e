/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring in shared memory whose other end stores what the input says: operations of ours,
 * and stores of words and records between them.
 */
#include <stdlib.h>

#include "fuzz_input.h"
#include "wire/ring.h"

#define LOG_CELLS       SVAN_RING_MIN_LOG
#define CELLS           (1u << LOG_CELLS)

/* All octets of a frame are read, for the sanitizer. */
static void receive(SvanRingRx *rx)
{
    SvanRingFrame frame;
    uint32_t sum = 0;

    if (svan_ring_next(rx, &frame)) {
        if (frame.length < SVAN_RING_MIN_FRAME || frame.length > SVAN_RING_MAX_FRAME) {
            abort();
        }
        for (uint32_t i = 0; i < frame.length; i++) {
            sum += frame.data[i];
        }
        if (sum > 255 * frame.length) {
            abort();
        }
        svan_ring_take(rx);
    }
}

static void send_one(SvanRingTx *tx, uint32_t length)
{
    uint8_t *room = svan_ring_room(tx, length);

    if (room) {
        memset(room, 0, length);
        svan_ring_put(tx, length, 0);
    }
}

/* A store of the peer: an index, or a record somewhere, of which most are sound. */
static void scribble(Input *in, struct svan_wire_control *control, uint8_t *cells)
{
    uint32_t word = (uint32_t)input_number(in, 4);

    switch (input_number(in, 1) % 4) {
    case 0:
        control->to_listener.producer.head =
            svan_cpu_to_le32(svan_le32_to_cpu(control->to_listener.producer.head) + word % 700);
        break;
    case 1:
        control->to_connector.consumer.tail = svan_cpu_to_le32(word);
        break;
    case 2:
        control->to_listener.producer.head = svan_cpu_to_le32(word);
        break;
    default:
        memcpy(cells + word % CELLS * SVAN_RING_CELL, &(struct svan_ring_record) {
            .length = svan_cpu_to_le32((uint32_t)input_number(in, 4) % 20000),
            .flags = svan_cpu_to_le16(input_number(in, 1) % 4),
        }, sizeof(struct svan_ring_record));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    Input in = { data, len };
    uint8_t *memory = calloc(1, svan_wire_size(LOG_CELLS));
    SvanRingTx tx;
    SvanRingRx rx;

    svan_rings_init(&tx, &rx, memory, LOG_CELLS, true);
    while (in.size) {
        switch (input_number(&in, 1) % 6) {
        case 0:
            receive(&rx);
            break;
        case 1:
            send_one(&tx, input_number(&in, 2));
            break;
        case 2:
            svan_ring_publish(&tx);
            svan_ring_release(&rx);
            break;
        case 3:
            svan_ring_sleep(&rx);
            svan_ring_wait_room(&tx);
            svan_ring_stay_awake(&rx);
            break;
        case 4:
            svan_ring_drop(&rx);
            break;
        default:
            scribble(&in, (void *)memory, memory + SVAN_WIRE_CELLS + CELLS * SVAN_RING_CELL);
            break;
        }
    }
    free(memory);
    return 0;
}
