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
/* Ends all of them. */
void ranks_abort(Ranks *ranks, int status) __attribute__((noreturn));
/* Room for len octets more; the program ends if there is none. */
void *ranks_room(RanksBuffer *buffer, size_t len);
/* Everybody's value of len octets, by rank, is stored to all. */
void ranks_share(Ranks *ranks, const void *value, size_t len, void *all);
/* What is in out[] goes to their in; then out[] is empty. */
void ranks_exchange(Ranks *ranks);
/* What is in out[0] goes to the in of rank 0, by rank; then it is empty. */
void ranks_gather(Ranks *ranks);

#endif /* FABRIC_RANKS_H */
