/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several processes, or one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "ranks.h"

void *ranks_room(RanksBuffer *buffer, size_t len)
{
    void *room;

    if (buffer->len + len > buffer->capacity) {
        buffer->capacity = 2 * (buffer->len + len);
        buffer->data = fake_must(realloc(buffer->data, buffer->capacity));
    }
    room = buffer->data + buffer->len;
    buffer->len += len;
    return room;
}

static Ranks *ranks_new(uint32_t rank, uint32_t count)
{
    Ranks *ranks = fake_must(calloc(1, sizeof(*ranks)));

    ranks->rank = rank;
    ranks->count = count;
    return ranks;
}

static void ranks_free(Ranks *ranks)
{
    for (uint32_t i = 0; i < RANKS_MAX; i++) {
        free(ranks->out[i].data);
    }
    free(ranks->in.data);
    free(ranks);
}

#ifdef FABRIC_MPI

#include <mpi.h>

Ranks *ranks_start(int *argc, char ***argv)
{
    int rank, count;

    MPI_Init(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &count);
    if (count > (int)RANKS_MAX) {
        fprintf(stderr, "svan-fabric: %d ranks; there may be up to %u\n", count, RANKS_MAX);
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    return ranks_new(rank, count);
}

void ranks_end(Ranks *ranks)
{
    ranks_free(ranks);
    MPI_Finalize();
}

void ranks_abort(Ranks *ranks, int status)
{
    if (ranks->count > 1) {
        MPI_Abort(MPI_COMM_WORLD, status);
    }
    exit(status);
}

void ranks_share(Ranks *ranks, const void *value, size_t len, void *all)
{
    if (ranks->count == 1) {
        memcpy(all, value, len);
    } else {
        MPI_Allgather(value, len, MPI_BYTE, all, len, MPI_BYTE, MPI_COMM_WORLD);
    }
}

void ranks_exchange(Ranks *ranks)
{
    int out[RANKS_MAX], in[RANKS_MAX], at[RANKS_MAX];
    MPI_Request sends[RANKS_MAX];
    int num_sends = 0;

    ranks->in.len = 0;
    if (ranks->count == 1) {
        return;
    }
    for (uint32_t i = 0; i < ranks->count; i++) {
        out[i] = ranks->out[i].len;
    }
    MPI_Alltoall(out, 1, MPI_INT, in, 1, MPI_INT, MPI_COMM_WORLD);
    for (uint32_t i = 0; i < ranks->count; i++) {
        if (out[i]) {
            MPI_Isend(ranks->out[i].data, out[i], MPI_BYTE, i, 0, MPI_COMM_WORLD,
                      &sends[num_sends++]);
        }
    }
    for (uint32_t i = 0; i < ranks->count; i++) {
        at[i] = ranks->in.len;
        ranks_room(&ranks->in, in[i]);
    }
    for (uint32_t i = 0; i < ranks->count; i++) {
        if (in[i]) {
            MPI_Recv(ranks->in.data + at[i], in[i], MPI_BYTE, i, 0, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
        }
    }
    MPI_Waitall(num_sends, sends, MPI_STATUSES_IGNORE);
    for (uint32_t i = 0; i < ranks->count; i++) {
        ranks->out[i].len = 0;
    }
}

#else

Ranks *ranks_start(int *argc, char ***argv)
{
    return ranks_new(0, 1);
}

void ranks_end(Ranks *ranks)
{
    ranks_free(ranks);
}

void ranks_abort(Ranks *ranks, int status)
{
    exit(status);
}

void ranks_share(Ranks *ranks, const void *value, size_t len, void *all)
{
    memcpy(all, value, len);
}

void ranks_exchange(Ranks *ranks)
{
    ranks->in.len = 0;
}

#endif

void ranks_gather(Ranks *ranks)
{
    if (ranks->count > 1) {
        ranks_exchange(ranks);
        return;
    }
    ranks->in.len = 0;
    if (ranks->out[0].len) {
        memcpy(ranks_room(&ranks->in, ranks->out[0].len), ranks->out[0].data,
               ranks->out[0].len);
    }
    ranks->out[0].len = 0;
}
