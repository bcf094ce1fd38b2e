/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two ends of a ring in shared memory (include/svan/wire_ring.h).
 *
 * The other end is hostile. All that an end decides by lies in its own memory; what it reads
 * of the other's is read once and bounded before use. An end that meets what no honest peer
 * does is broken: it takes and gives no more, until it is made anew.
 *
 * One thread at a time uses an end. Nothing in here blocks or enters the kernel.
 */
#ifndef SVAN_WIRE_ROOM_RING_H
#define SVAN_WIRE_ROOM_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <svan/wire_ring.h>

typedef struct SvanRingTx {
    struct svan_ring_producer *own;
    const struct svan_ring_consumer *peer;
    uint8_t *cells;
    uint32_t size;              /* cells of the array, a power of two */
    uint32_t head;              /* behind the last record */
    uint32_t published;         /* head as the peer was told last */
    uint32_t tail;              /* the peer's as read last; at most size below head */
    uint32_t waits;             /* own->waits */
    uint32_t woken;             /* the sleep of the peer that was ended last */
    bool broken;
} SvanRingTx;

/* A frame that arrives: the length is the caller's own, the octets are the peer's. */
typedef struct SvanRingFrame {
    const uint8_t *data;        /* may change at any time until svan_ring_take() */
    uint32_t length;            /* SVAN_RING_MIN_FRAME..SVAN_RING_MAX_FRAME */
    uint16_t flags;             /* SVAN_RING_* */
} SvanRingFrame;

typedef struct SvanRingRx {
    struct svan_ring_consumer *own;
    const struct svan_ring_producer *peer;
    const uint8_t *cells;
    uint32_t size;
    uint32_t tail;              /* the next record */
    uint32_t released;          /* tail as the peer was told last */
    uint32_t head;              /* the peer's as read last; at most size above tail */
    uint32_t next;              /* cells of the frame that svan_ring_next() has found */
    uint32_t sleeps;            /* own->sleeps */
    uint32_t woken;             /* the wait of the peer that was ended last */
    bool broken;
} SvanRingRx;

/* Two ends of a process, both of which it has to use; listener: it made the memory. */
void svan_rings_init(SvanRingTx *tx, SvanRingRx *rx, void *memory, unsigned log_cells,
                     bool listener);

/* ---- sending ---- */

/*
 * Room for a frame of at most SVAN_RING_MAX_FRAME octets, to be filled in and sent by
 * svan_ring_put() before room is asked for again. NULL: there is none, or the ring is broken.
 */
uint8_t *svan_ring_room(SvanRingTx *tx, uint32_t length);
/* Send what was filled in. The peer sees it after svan_ring_publish(). */
void svan_ring_put(SvanRingTx *tx, uint32_t length, uint16_t flags);
/* Show the peer all that was sent. true: it sleeps, and has to be woken. */
bool svan_ring_publish(SvanRingTx *tx);
/*
 * After svan_ring_room() has found none: ask the peer for a wake. true: there may be room by
 * now, so look again.
 */
bool svan_ring_wait_room(SvanRingTx *tx);

static inline bool svan_ring_is_published(const SvanRingTx *tx)
{
    return tx->head == tx->published;
}

/* ---- receiving ---- */

/* The next frame; the same one until svan_ring_take(). false: none, or broken. */
bool svan_ring_next(SvanRingRx *rx, SvanRingFrame *frame);
/* Done with the frame that svan_ring_next() has found. */
void svan_ring_take(SvanRingRx *rx);
/* Give the room of all that was taken back. true: the peer waits, and has to be woken. */
bool svan_ring_release(SvanRingRx *rx);
/* Drop all that has arrived. How many frames that were. */
uint32_t svan_ring_drop(SvanRingRx *rx);
/* There is something to be received, or was, as the peer says. */
bool svan_ring_has_more(const SvanRingRx *rx);
/* Ask the peer for a wake. false: there is something to be received already. */
bool svan_ring_sleep(SvanRingRx *rx);
void svan_ring_stay_awake(SvanRingRx *rx);

/* Cells that are taken but not given back. */
static inline uint32_t svan_ring_unreleased(const SvanRingRx *rx)
{
    return rx->tail - rx->released;
}

#endif /* SVAN_WIRE_ROOM_RING_H */
