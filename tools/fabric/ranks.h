/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several processes that share a world, by MPI; without MPI there is one. All of them
 * call these functions in the same order.
 */
#ifndef FABRIC_RANKS_H
#define FABRIC_RANKS_H

#include <stddef.h>
#include <stdint.h>

#define RANKS_MAX       64u
#define RANKS_VALUE     64u

typedef struct RanksBuffer {
    uint8_t *data;
    size_t len, capacity;
} RanksBuffer;

typedef struct Ranks {
    uint32_t rank, count;
    RanksBuffer out[RANKS_MAX];         /* for each rank */
    RanksBuffer in;                     /* from all of them, behind each other */
} Ranks;

Ranks *ranks_start(int *argc, char ***argv);
void ranks_end(Ranks *ranks);
/* Room for len octets more behind what is in the buffer; the program ends if there is none. */
void *ranks_room(RanksBuffer *buffer, size_t len);
/* The same behind what goes to a rank. */
void *ranks_out(Ranks *ranks, uint32_t rank, size_t len);
/* Everybody's value of len octets, by rank, is stored to all. */
void ranks_share(Ranks *ranks, const void *value, size_t len, void *all);
/*
 * What is in out[] goes to their in; then out[] is empty. Everybody's value of up to
 * RANKS_VALUE octets goes with it, and is stored to all, by rank.
 */
void ranks_exchange(Ranks *ranks, const void *value, size_t len, void *all);

#endif /* FABRIC_RANKS_H */
