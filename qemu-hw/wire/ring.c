/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two ends of a ring in shared memory.
 */
#include <string.h>

#include "ring.h"

/*
 * Each word of the memory is read and stored whole, once. A load of an index acquires what
 * its owner has released: frames (head), and that it reads them no more (tail).
 */
static uint32_t load(const __le32 *word)
{
    return svan_le32_to_cpu(__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

static void store(__le32 *word, uint32_t value)
{
    __atomic_store_n(word, svan_cpu_to_le32(value), __ATOMIC_RELEASE);
}

/* Stands between one's own store and the load of the peer's word, on both sides. */
static void full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Does the peer sleep, or wait, as nobody has told it to end yet? */
static bool has_to_wake(const __le32 *word, uint32_t *woken)
{
    uint32_t value;

    full_barrier();     /* pairs with the one in declare() */
    value = load(word);
    if (!(value & 1) || value == *woken) {
        return false;
    }
    *woken = value;
    return true;
}

/* Store an odd value that is new; the caller looks at the peer's index after it. */
static void declare(__le32 *word, uint32_t *value)
{
    *value = (*value + 1) | 1;
    store(word, *value);
    full_barrier();     /* pairs with the one in has_to_wake() */
}

void svan_rings_init(SvanRingTx *tx, SvanRingRx *rx, void *memory, unsigned log_cells,
                     bool listener)
{
    struct svan_wire_control *control = memory;
    struct svan_ring_control *out = &control->to_listener, *in = &control->to_connector;
    uint8_t *cells_in = (uint8_t *)memory + SVAN_WIRE_CELLS, *cells_out;
    uint32_t size = 1u << log_cells;

    cells_out = cells_in + ((size_t)size * SVAN_RING_CELL);
    if (listener) {
        uint8_t *cells = cells_in;

        in = &control->to_listener;
        out = &control->to_connector;
        cells_in = cells_out;
        cells_out = cells;
    }
    *tx = (SvanRingTx) {
        .own = &out->producer, .peer = &out->consumer, .cells = cells_out, .size = size,
    };
    *rx = (SvanRingRx) {
        .own = &in->consumer, .peer = &in->producer, .cells = cells_in, .size = size,
    };
}

/* ---- sending ---- */

/* Cells until the end of the array. */
static uint32_t to_end(uint32_t size, uint32_t index)
{
    return size - (index & (size - 1));
}

static uint8_t *cell(const SvanRingTx *tx, uint32_t index)
{
    return tx->cells + (size_t)(index & (tx->size - 1)) * SVAN_RING_CELL;
}

static void put_record(SvanRingTx *tx, uint32_t length, uint16_t flags)
{
    struct svan_ring_record record = {
        .length = svan_cpu_to_le32(length), .flags = svan_cpu_to_le16(flags),
    };

    memcpy(cell(tx, tx->head), &record, sizeof(record));
}

/* May the producer fill in so many cells more? */
static bool has_room(SvanRingTx *tx, uint32_t cells)
{
    if (tx->size - (tx->head - tx->tail) >= cells) {
        return true;
    }
    if (!tx->broken) {
        uint32_t tail = load(&tx->peer->tail);

        /* An honest tail only moves on, and not past what was published. */
        if (tail - tx->tail > tx->published - tx->tail) {
            tx->broken = true;
        } else {
            tx->tail = tail;
        }
    }
    return !tx->broken && tx->size - (tx->head - tx->tail) >= cells;
}

uint8_t *svan_ring_room(SvanRingTx *tx, uint32_t length)
{
    uint32_t cells = svan_ring_cells(length), end = to_end(tx->size, tx->head);

    if (length > SVAN_RING_MAX_FRAME || tx->broken ||
        !has_room(tx, cells > end ? end + cells : cells)) {
        return NULL;
    }
    if (cells > end) {
        put_record(tx, 0, SVAN_RING_PAD);
        tx->head += end;
    }
    return cell(tx, tx->head) + sizeof(struct svan_ring_record);
}

void svan_ring_put(SvanRingTx *tx, uint32_t length, uint16_t flags)
{
    put_record(tx, length, flags);
    tx->head += svan_ring_cells(length);
}

bool svan_ring_publish(SvanRingTx *tx)
{
    if (tx->published == tx->head) {
        return false;
    }
    tx->published = tx->head;
    store(&tx->own->head, tx->head);
    return has_to_wake(&tx->peer->sleeps, &tx->woken);
}

bool svan_ring_wait_room(SvanRingTx *tx)
{
    declare(&tx->own->waits, &tx->waits);
    return !tx->broken && load(&tx->peer->tail) != tx->tail;
}

/* ---- receiving ---- */

/* See more of what the peer has published. false: there is nothing, or nonsense. */
static bool look(SvanRingRx *rx)
{
    uint32_t head;

    if (rx->tail != rx->head) {
        return true;
    }
    if (rx->broken) {
        return false;
    }
    head = load(&rx->peer->head);
    if (head - rx->tail > rx->size) {
        rx->broken = true;
        return false;
    }
    rx->head = head;
    return head != rx->tail;
}

static bool has_broken(SvanRingRx *rx)
{
    rx->broken = true;
    rx->head = rx->tail;
    return false;
}

bool svan_ring_next(SvanRingRx *rx, SvanRingFrame *frame)
{
    while (look(rx)) {
        uint32_t ready = rx->head - rx->tail, end = to_end(rx->size, rx->tail);
        const uint8_t *at = rx->cells + (size_t)(rx->size - end) * SVAN_RING_CELL;
        struct svan_ring_record record;
        uint64_t once = __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);

        memcpy(&record, &once, sizeof(record));
        frame->length = svan_le32_to_cpu(record.length);
        frame->flags = svan_le16_to_cpu(record.flags);
        if (frame->flags & SVAN_RING_PAD) {
            /* Nobody pads a whole array, so this loop ends. */
            if (end == rx->size || end > ready) {
                return has_broken(rx);
            }
            rx->tail += end;
            continue;
        }
        if (frame->length < SVAN_RING_MIN_FRAME || frame->length > SVAN_RING_MAX_FRAME ||
            frame->flags & ~SVAN_RING_NO_ICRC) {
            return has_broken(rx);
        }
        rx->next = svan_ring_cells(frame->length);
        if (rx->next > ready || rx->next > end) {
            return has_broken(rx);
        }
        frame->data = at + sizeof(record);
        return true;
    }
    return false;
}

void svan_ring_take(SvanRingRx *rx)
{
    rx->tail += rx->next;
    rx->next = 0;
}

bool svan_ring_release(SvanRingRx *rx)
{
    if (rx->released == rx->tail) {
        return false;
    }
    rx->released = rx->tail;
    store(&rx->own->tail, rx->tail);
    return has_to_wake(&rx->peer->waits, &rx->woken);
}

uint32_t svan_ring_drop(SvanRingRx *rx)
{
    uint32_t last = rx->tail + rx->size, frames = 0;
    SvanRingFrame frame;

    /* The peer may go on meanwhile; it is followed once around. */
    while ((int32_t)(last - rx->tail) > 0 && svan_ring_next(rx, &frame)) {
        svan_ring_take(rx);
        frames++;
    }
    return frames;
}

bool svan_ring_has_more(const SvanRingRx *rx)
{
    return !rx->broken && (rx->tail != rx->head || load(&rx->peer->head) != rx->tail);
}

bool svan_ring_sleep(SvanRingRx *rx)
{
    declare(&rx->own->sleeps, &rx->sleeps);
    return !svan_ring_has_more(rx);
}

void svan_ring_stay_awake(SvanRingRx *rx)
{
    /* Nobody relies on it, so it needs no barrier: at worst it is woken once for nothing. */
    if (rx->sleeps & 1) {
        store(&rx->own->sleeps, ++rx->sleeps);
    }
}
