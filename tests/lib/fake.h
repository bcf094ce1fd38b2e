/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine with one core: flat guest memory, a clock that the test moves, and
 * records of what the core has done. Misuse of an op by the core ends the
 * program. In a world of several (world.h) the clock is the world's, and what
 * the core does is handed on to hooks.
 */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include <endian.h>
#include <stdatomic.h>

#include <svan/caps.h>
#include <svan/cmd.h>
#include <svan/keys.h>
#include <svan/queues.h>
#include <svan/regs.h>
#include <svan/wqe.h>

#include "svan_core.h"

/* Of a machine that stands alone. */
#define FAKE_RAM_BASE   0x40000000ull   /* bus address of ram[0] */
#define FAKE_RAM_SIZE   (8u << 20)

#define FAKE_VECTORS    64

typedef struct FakePort {
    uint8_t *(*room)(void *arg, uint32_t len);
    void (*out)(void *arg, uint32_t len);
    const SvanLentPacket *(*next)(void *arg);
    void (*done)(void *arg);
} FakePort;

/*
 * What the core does, told to somebody else once it is recorded; each may be
 * NULL. arg is the machine's hooks_arg.
 */
typedef struct FakeHooks {
    /* a page of memory is asked for: is it not translated yet? */
    bool (*misses)(void *arg, uint64_t bus);
    /* may the function reach it? NULL: each function may reach all of memory */
    bool (*permits)(void *arg, uint16_t fn, uint64_t bus, bool for_write);
    /* it is handed out */
    void (*mapped)(void *arg, uint64_t bus, bool for_write);
    void (*irq)(void *arg, uint16_t fn, uint16_t vector);
    /* in place of the queue that fake_frame() takes from; as SvanOps.frame_out */
    bool (*frame_out)(void *arg, SvanFrame *frame);
    void (*deadline)(void *arg, uint64_t when);
    void (*kick)(void *arg);
    void (*trace)(void *arg, const SvanTrace *trace);
    /* nothing is traced, and nothing of it recorded: faster */
    bool quiet;
    /*
     * Memory that lies outside of the machine's own; NULL: there is none at that address.
     * The core has stored to it.
     */
    void *(*outside)(void *arg, uint64_t bus, bool for_write);
    void (*outside_written)(void *arg, uint64_t bus, const void *host, uint32_t len);
    /* a port of packets without ICRC, as the operations of SvanOps; NULL: `lends` */
    const FakePort *port;
    /* the port takes packets without ICRC, in place, and lends what fake_lend() gives it */
    bool lends;
} FakeHooks;

typedef struct FakeSetup {
    SvanConfig config;
    uint64_t bus;               /* address of ram[0] */
    uint32_t ram_size;
    const uint64_t *clock;      /* NULL: Fake.now */
    const FakeHooks *hooks;     /* NULL: none */
    void *hooks_arg;
} FakeSetup;

typedef struct Fake {
    SvanCore *core;
    SvanConfig config;
    uint8_t *ram;
    uint64_t bus;
    uint32_t ram_size;
    const uint64_t *clock;
    FakeHooks hooks;
    void *hooks_arg;
    uint32_t used;              /* of ram, by fake_alloc() */
    uint32_t dirty;             /* one above the highest octet stored to */
    uint64_t now;               /* ns */

    /* memory */
    uint64_t maps;              /* calls of ops->map */
    uint64_t miss_at;           /* the map that misses, counted so; 0: none */
    /*
     * Each n-th map of a page that is not translated misses, 0: none. A miss
     * translates the page; a run that misses nothing forgets them all.
     */
    uint32_t miss_every;
    uint32_t miss_count;
    uint8_t *translated;        /* by page */
    uint64_t bad_page;          /* bus address of a page that answers ERROR */
    uint64_t misses;
    /* before a map is answered; memory may be changed */
    void (*on_map)(struct Fake *fake, uint64_t addr, void *arg);
    void *on_map_arg;
    uint64_t written;           /* bytes reported by ops->written */

    /* what came out */
    uint32_t (*irqs)[FAKE_VECTORS];     /* by function */
    SvanFrame *out_head, **out_tail;
    uint32_t out_frames;
    bool out_full;              /* frame_out has no room */
    uint8_t room[SVAN_PACKET_HEAD + SVAN_PAGE_SIZE];    /* packet_room's */
    uint32_t out_packets;       /* of the frames, those that were filled in there */
    SvanLentPacket lent;        /* what packet_next returns, while data is not NULL */
    uint64_t deadline;          /* last one told */
    uint32_t deadlines;         /* times it was told */
    _Atomic uint32_t kicks;
    uint64_t traces[SVAN_TRACE_COUNT];
    SvanTrace last[SVAN_TRACE_COUNT];
} Fake;

/* Small tables. */
extern const SvanConfig fake_config;

/* NULL: fake_config. The link is up. */
Fake *fake_create(const SvanConfig *config);
Fake *fake_create_as(const FakeSetup *setup);
void fake_destroy(Fake *fake);
/* As if it were new, but faster; for fuzzers. */
void fake_recycle(Fake *fake);

/* Zeroed guest memory; its bus address. align is a power of two. */
uint64_t fake_alloc(Fake *fake, uint32_t size, uint32_t align);
/* The memory behind a bus address. */
void *fake_ram(Fake *fake, uint64_t bus);

/*
 * Run until there is nothing to do, or nothing but polling while the clock stands
 * still. A MISS is translated, that is, run again; nothing stays set aside. Ends the
 * program after very many runs. Returns their number.
 */
uint32_t fake_run(Fake *fake);
/* Move the clock, then run. */
uint32_t fake_advance(Fake *fake, uint64_t ns);

/* The oldest frame that was sent, NULL: none; the caller's to free. */
SvanFrame *fake_frame(Fake *fake);
/* Lend the octets of a frame, which has to stay, until the core is done with it. */
void fake_lend(Fake *fake, const SvanFrame *frame);

/* No page is translated any more. */
void fake_forget(Fake *fake);

/* Save, create anew, load, destroy. false: the stream was refused. */
bool fake_restore(Fake *fake);

/* What was allocated; without memory the program ends. */
void *fake_must(void *ptr);
/* What is printed before the reason why the program ends; NULL: nothing. */
void fake_context(const char *text);
void fake_die(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

#endif /* TESTS_FAKE_H */
