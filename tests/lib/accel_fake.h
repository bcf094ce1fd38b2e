/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine with one accelerator: host memory, local memory, a window, a clock that the
 * test moves, and records of what the core has done. Misuse of an operation by the core
 * ends the program.
 *
 * Every context of it sees the same: HOST_VA is host memory and LOCAL_VA local memory,
 * pages of both in another order than in the machine; WINDOW_VA is a window; READ_VA is
 * one page of host memory, read-only. The rest is absent.
 */
#ifndef TESTS_ACCEL_FAKE_H
#define TESTS_ACCEL_FAKE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <svan/accel.h>

#include "accel_core.h"
#include "rng.h"

#define ACCEL_FAKE_RAM          0x40000000ull   /* bus address of ram[0] */
#define ACCEL_FAKE_RAM_PAGES    1024u
#define ACCEL_FAKE_DATA_PAGES   128u            /* of these are at HOST_VA */
#define ACCEL_FAKE_LOCAL_PAGES  64u
#define ACCEL_FAKE_WINDOW       0xfe000000ull   /* bus address of the window */

#define HOST_VA                 0x0010000000ull
#define HOST_SIZE               (ACCEL_FAKE_DATA_PAGES * 4096u)
#define LOCAL_VA                0x0020000000ull
#define LOCAL_SIZE              (ACCEL_FAKE_LOCAL_PAGES * 4096u)
#define WINDOW_VA               0x0030000000ull
#define READ_VA                 0x0031000000ull
#define NOWHERE_VA              0x0032000000ull
/* The last page of host memory is for records. */
#define RECORD_VA(ctx, queue)   (HOST_VA + HOST_SIZE - 4096 + 64 * (ctx) + 16 * (queue))

#define ACCEL_FAKE_LOG_RING     6u              /* one page */

typedef struct AccelFake {
    Accel *accel;
    AccelConfig config;
    uint8_t *ram, *local;
    uint8_t *kept_ram, *kept_local;     /* as accel_fake_keep() found them */
    bool dirty[ACCEL_FAKE_RAM_PAGES + ACCEL_FAKE_LOCAL_PAGES];  /* perhaps, since */
    uint32_t tables;            /* pages at the end of ram that are tables */
    uint64_t roots[SVAN_ACCEL_CONTEXTS];
    uint64_t rings[SVAN_ACCEL_CONTEXTS][SVAN_ACCEL_QUEUES];     /* va; host memory */
    uint32_t posted[SVAN_ACCEL_CONTEXTS][SVAN_ACCEL_QUEUES];
    uint64_t now;               /* ns */

    /*
     * Of the pages that are mapped, so many in a thousand miss before they are mapped.
     * A run that does not miss forgets what was translated, unless steps of others are
     * still to be run again.
     */
    uint32_t miss_permille;
    Rng miss_rng;
    uint64_t missed[64 * SVAN_ACCEL_CONTEXTS];  /* pages translated since */
    uint32_t missed_count;
    uint64_t misses, maps, written;
    uint64_t miss_page;         /* of the host, that misses each time; 0: none */
    uint64_t bad_page;          /* of the host, that answers ERROR; 0: none */

    /* stores through windows */
    bool store_wanted;
    bool hold_stores;           /* the glue makes none by itself */
    bool refuse_stores;
    AccelStore last_store;
    uint64_t stores;
    void (*on_store)(struct AccelFake *fake, const AccelStore *store, void *arg);
    void *on_store_arg;

    void *watched[ACCEL_WAITERS];       /* what ops.watch() was told last */
    uint64_t watches;           /* how often it was told something */
    uint32_t irqs[SVAN_ACCEL_MSIX_COUNT];
    uint64_t deadline;
    uint64_t runs;
    _Atomic uint32_t kicks;
    void (*on_trace)(struct AccelFake *fake, const AccelTrace *trace);
    void (*on_written)(struct AccelFake *fake, AccelSpace space, uint64_t addr, uint32_t len);
} AccelFake;

/* 0: stores are not reordered. */
AccelFake *accel_fake_create(uint64_t reorder_seed);
void accel_fake_destroy(AccelFake *fake);
/* Memory as it is now comes back with each new device. */
void accel_fake_keep(AccelFake *fake);
/* The test has stored to the page of the host pointer by itself. */
void accel_fake_dirty(AccelFake *fake, const void *host);
/* Another device, which nothing has happened to; tables, rings and hooks stay. */
void accel_fake_replace(AccelFake *fake, uint64_t reorder_seed);

/* The octet at an address of the contexts; the next one on the page follows it. */
uint8_t *accel_fake_at(AccelFake *fake, uint64_t va);
void accel_fake_get(AccelFake *fake, uint64_t va, void *data, uint64_t len);
void accel_fake_set(AccelFake *fake, uint64_t va, const void *data, uint64_t len);
uint64_t accel_fake_get64(AccelFake *fake, uint64_t va);
void accel_fake_set64(AccelFake *fake, uint64_t va, uint64_t value);
/* Where an address of the contexts leads. */
uint64_t accel_fake_bus(AccelFake *fake, uint64_t va);

uint64_t accel_fake_read(AccelFake *fake, uint32_t offset);     /* 32 bits */
void accel_fake_write(AccelFake *fake, uint32_t offset, uint32_t value);
void accel_fake_write64(AccelFake *fake, uint32_t offset, uint64_t value);

/* Make and enable the context. */
void accel_fake_context(AccelFake *fake, uint32_t ctx);
/* Set an entry of the table of a context, without invalidation. */
void accel_fake_entry(AccelFake *fake, uint32_t ctx, uint64_t va, uint64_t entry);
/* Give the queue a ring of one page, in host memory behind HOST_VA's, and enable it. */
void accel_fake_queue(AccelFake *fake, uint32_t ctx, uint32_t queue);
/* Where the command of an index lies. */
uint64_t accel_fake_slot(AccelFake *fake, uint32_t ctx, uint32_t queue, uint32_t index);
/* Write the command into the ring; accel_fake_ring() tells the device. */
void accel_fake_post(AccelFake *fake, uint32_t ctx, uint32_t queue,
                     const struct svan_accel_cmd *cmd);
void accel_fake_ring(AccelFake *fake, uint32_t ctx, uint32_t queue);
uint32_t accel_fake_state(AccelFake *fake, uint32_t ctx, uint32_t queue);
uint32_t accel_fake_head(AccelFake *fake, uint32_t ctx, uint32_t queue);

/*
 * One call of accel_run(). A miss is translated, and the call repeated, or others run
 * meanwhile.
 */
AccelRun accel_fake_step(AccelFake *fake);
/* Make the stores that are wanted. */
void accel_fake_stores(AccelFake *fake);
/* Until nothing is to do while the clock stands. Ends the program after too many runs. */
void accel_fake_run(AccelFake *fake);
/* Move the clock, and run at each deadline. */
void accel_fake_advance(AccelFake *fake, uint64_t ns);
/* Post, ring, run. */
void accel_fake_do(AccelFake *fake, uint32_t ctx, uint32_t queue,
                   const struct svan_accel_cmd *cmd);

/* Save, create anew, load, destroy. false: the stream was refused. */
bool accel_fake_restore(AccelFake *fake);

#endif /* TESTS_ACCEL_FAKE_H */
