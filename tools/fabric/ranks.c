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

/* Each message begins with the value of its sender. */
void *ranks_out(Ranks *ranks, uint32_t rank, size_t len)
{
    RanksBuffer *out = &ranks->out[rank];

    if (!out->len) {
        ranks_room(out, RANKS_VALUE);
    }
    return ranks_room(out, len);
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

static void exchange_alone(Ranks *ranks, const void *value, size_t len, void *all)
{
    RanksBuffer *out = &ranks->out[0];

    ranks->in.len = 0;
    if (out->len > RANKS_VALUE) {
        memcpy(ranks_room(&ranks->in, out->len - RANKS_VALUE), out->data + RANKS_VALUE,
               out->len - RANKS_VALUE);
    }
    out->len = 0;
    memcpy(all, value, len);
}

#ifdef FABRIC_MPI

#include <mpi.h>

/* Without a launcher a process is alone, and what MPI starts for it is not needed. */
static bool is_launched(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK") || getenv("PMI_RANK");
}

Ranks *ranks_start(int *argc, char ***argv)
{
    int rank, count;

    if (!is_launched()) {
        return ranks_new(0, 1);
    }
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
    if (is_launched()) {
        MPI_Finalize();
    }
}

void ranks_share(Ranks *ranks, const void *value, size_t len, void *all)
{
    if (ranks->count == 1) {
        memcpy(all, value, len);
    } else {
        MPI_Allgather(value, len, MPI_BYTE, all, len, MPI_BYTE, MPI_COMM_WORLD);
    }
}

/* The message of a rank: its value is stored, the rest comes behind what is in. */
static void receive(Ranks *ranks, int from, size_t len, void *value)
{
    size_t at = ranks->in.len;
    MPI_Status status;
    uint8_t *message;
    int size;

    MPI_Probe(from, 0, MPI_COMM_WORLD, &status);
    MPI_Get_count(&status, MPI_BYTE, &size);
    message = ranks_room(&ranks->in, size);
    MPI_Recv(message, size, MPI_BYTE, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    memcpy(value, message, len);
    memmove(message, message + RANKS_VALUE, size - RANKS_VALUE);
    ranks->in.len = at + size - RANKS_VALUE;
}

void ranks_exchange(Ranks *ranks, const void *value, size_t len, void *all)
{
    MPI_Request sends[RANKS_MAX];
    int num_sends = 0;

    if (ranks->count == 1) {
        exchange_alone(ranks, value, len, all);
        return;
    }
    ranks->in.len = 0;
    for (uint32_t i = 0; i < ranks->count; i++) {
        ranks_out(ranks, i, 0);
        memcpy(ranks->out[i].data, value, len);
        MPI_Isend(ranks->out[i].data, ranks->out[i].len, MPI_BYTE, i, 0, MPI_COMM_WORLD,
                  &sends[num_sends++]);
    }
    for (uint32_t i = 0; i < ranks->count; i++) {
        receive(ranks, i, len, (uint8_t *)all + i * len);
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

void ranks_share(Ranks *ranks, const void *value, size_t len, void *all)
{
    memcpy(all, value, len);
}

void ranks_exchange(Ranks *ranks, const void *value, size_t len, void *all)
{
    exchange_alone(ranks, value, len, all);
}

#endif
