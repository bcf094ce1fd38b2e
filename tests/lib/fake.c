/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine with one core.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake.h"

#define MAX_RUNS        5000000u

static char context[128];

void fake_context(const char *text)
{
    snprintf(context, sizeof(context), "%s", text ? text : "");
}

void fake_die(const char *format, ...)
{
    va_list args;

    fputs(context, stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

void *fake_must(void *ptr)
{
    if (!ptr) {
        fake_die("out of memory");
    }
    return ptr;
}

/* ---- ops ---- */

static bool in_ram(const Fake *fake, uint64_t bus, uint64_t len)
{
    return bus >= fake->bus && bus - fake->bus < fake->ram_size &&
           len <= fake->ram_size - (bus - fake->bus);
}

static bool page_misses(Fake *fake, uint64_t addr)
{
    uint8_t *translated;

    if (fake->maps == fake->miss_at) {
        return true;
    }
    if (!in_ram(fake, addr, 1)) {
        return false;
    }
    if (fake->hooks.misses && fake->hooks.misses(fake->hooks_arg, addr)) {
        return true;
    }
    if (!fake->miss_every) {
        return false;
    }
    translated = &fake->translated[(addr - fake->bus) / SVAN_PAGE_SIZE];
    if (*translated || ++fake->miss_count % fake->miss_every) {
        return false;
    }
    *translated = 1;
    return true;
}

static SvanDma op_map(void *opaque, uint16_t fn, uint64_t addr, uint32_t len,
                      bool for_write, void **host)
{
    Fake *fake = opaque;

    if (!len || addr % SVAN_PAGE_SIZE + len > SVAN_PAGE_SIZE ||
        fn > fake->config.num_vfs) {
        fake_die("map of %u bytes at %" PRIx64 " by function %u", len, addr,
                 fn);
    }
    fake->maps++;
    if (fake->on_map) {
        fake->on_map(fake, addr, fake->on_map_arg);
    }
    if (page_misses(fake, addr)) {
        fake->misses++;
        return SVAN_DMA_MISS;
    }
    if (fake->hooks.outside && !in_ram(fake, addr, len)) {
        *host = fake->hooks.outside(fake->hooks_arg, addr, for_write);
        return *host ? SVAN_DMA_OK : SVAN_DMA_ERROR;
    }
    if (!in_ram(fake, addr, len) || (fake->bad_page &&
        addr / SVAN_PAGE_SIZE == fake->bad_page / SVAN_PAGE_SIZE)) {
        return SVAN_DMA_ERROR;
    }
    if (fake->hooks.permits && !fake->hooks.permits(fake->hooks_arg, fn, addr, for_write)) {
        return SVAN_DMA_ERROR;
    }
    if (fake->hooks.mapped) {
        fake->hooks.mapped(fake->hooks_arg, addr, for_write);
    }
    *host = fake->ram + (addr - fake->bus);
    return SVAN_DMA_OK;
}

static void op_written(void *opaque, uint16_t fn, uint64_t addr, void *host,
                       uint32_t len)
{
    Fake *fake = opaque;

    if (fake->hooks.outside_written && !in_ram(fake, addr, 1)) {
        fake->hooks.outside_written(fake->hooks_arg, addr, host, len);
        return;
    }
    if (fn > fake->config.num_vfs || !len || !in_ram(fake, addr, len) ||
        host != fake->ram + (addr - fake->bus)) {
        fake_die("written: %u bytes at %" PRIx64, len, addr);
    }
    fake->written += len;
    if (addr + len - fake->bus > fake->dirty) {
        fake->dirty = addr + len - fake->bus;
    }
}

static void op_irq(void *opaque, uint16_t fn, uint16_t vector)
{
    Fake *fake = opaque;

    if (fn > fake->config.num_vfs || vector >= FAKE_VECTORS) {
        fake_die("vector %u of function %u", vector, fn);
    }
    fake->irqs[fn][vector]++;
    if (fake->hooks.irq) {
        fake->hooks.irq(fake->hooks_arg, fn, vector);
    }
}

static bool op_frame_out(void *opaque, SvanFrame *frame)
{
    Fake *fake = opaque;

    if (fake->out_full) {
        return false;
    }
    if (fake->hooks.frame_out) {
        return fake->hooks.frame_out(fake->hooks_arg, frame);
    }
    frame->next = NULL;
    *fake->out_tail = frame;
    fake->out_tail = &frame->next;
    fake->out_frames++;
    return true;
}

static uint8_t *op_packet_room(void *opaque, uint32_t len)
{
    Fake *fake = opaque;

    if (fake->hooks.port) {
        return fake->hooks.port->room(fake->hooks_arg, len);
    }
    if (len > sizeof(fake->room)) {
        fake_die("room for %u octets", len);
    }
    return fake->out_full ? NULL : fake->room;
}

static void op_packet_out(void *opaque, uint32_t len)
{
    Fake *fake = opaque;
    SvanFrame *frame;

    if (fake->hooks.port) {
        fake->hooks.port->out(fake->hooks_arg, len);
        return;
    }
    frame = fake_must(svan_frame_alloc(len));
    memcpy(frame->data, fake->room, len);
    frame->len = len;
    op_frame_out(fake, frame);
    fake->out_packets++;
}

static const SvanLentPacket *op_packet_next(void *opaque)
{
    Fake *fake = opaque;

    if (fake->hooks.port) {
        return fake->hooks.port->next(fake->hooks_arg);
    }
    return fake->lent.data ? &fake->lent : NULL;
}

static void op_packet_done(void *opaque)
{
    Fake *fake = opaque;

    if (fake->hooks.port) {
        fake->hooks.port->done(fake->hooks_arg);
        return;
    }
    if (!fake->lent.data) {
        fake_die("done with a packet that was not lent");
    }
    fake->lent.data = NULL;
}

static uint64_t op_now(void *opaque)
{
    return *((Fake *)opaque)->clock;
}

static void op_deadline(void *opaque, uint64_t when)
{
    Fake *fake = opaque;

    fake->deadline = when;
    fake->deadlines++;
    if (fake->hooks.deadline) {
        fake->hooks.deadline(fake->hooks_arg, when);
    }
}

static void op_kick(void *opaque)
{
    Fake *fake = opaque;

    atomic_fetch_add(&fake->kicks, 1);
    if (fake->hooks.kick) {
        fake->hooks.kick(fake->hooks_arg);
    }
}

static void op_trace(void *opaque, const SvanTrace *trace)
{
    Fake *fake = opaque;

    if (trace->event >= SVAN_TRACE_COUNT) {
        fake_die("trace event %u", trace->event);
    }
    fake->traces[trace->event]++;
    fake->last[trace->event] = *trace;
    if (fake->hooks.trace) {
        fake->hooks.trace(fake->hooks_arg, trace);
    }
}

static const SvanOps ops = {
    .map = op_map,
    .written = op_written,
    .irq = op_irq,
    .frame_out = op_frame_out,
    .now = op_now,
    .deadline = op_deadline,
    .kick = op_kick,
    .trace = op_trace,
};

/* ---- life ---- */

const SvanConfig fake_config = {
    .mac = { 0x52, 0x54, 0x00, 0x77, 0x00, 0x01 },
    .link_mbps = 100000,
    .true_atomics = true,
    .max_qp = 64,
    .max_cq = 64,
    .max_key = 256,
};

static SvanCore *new_core(Fake *fake)
{
    SvanOps own = ops;

    if (fake->hooks.quiet) {
        own.trace = NULL;
    }
    if (fake->hooks.lends || fake->hooks.port) {
        own.packet_room = op_packet_room;
        own.packet_out = op_packet_out;
        own.packet_next = op_packet_next;
        own.packet_done = op_packet_done;
    }
    return fake_must(svan_create(&fake->config, &own, fake));
}

static void power_on(Fake *fake)
{
    fake->now = 1000;
    fake->deadline = UINT64_MAX;
    fake->out_tail = &fake->out_head;
    fake->core = new_core(fake);
    svan_set_link(fake->core, true);
}

static void power_off(Fake *fake)
{
    SvanFrame *frame;

    svan_destroy(fake->core);
    while ((frame = fake_frame(fake))) {
        svan_frame_free(frame);
    }
}

Fake *fake_create_as(const FakeSetup *setup)
{
    Fake *fake = fake_must(calloc(1, sizeof(*fake)));

    fake->config = setup->config;
    fake->bus = setup->bus;
    fake->ram_size = setup->ram_size;
    fake->clock = setup->clock ? setup->clock : &fake->now;
    fake->hooks = setup->hooks ? *setup->hooks : fake->hooks;
    fake->hooks_arg = setup->hooks_arg;
    fake->translated = fake_must(calloc(1, fake->ram_size / SVAN_PAGE_SIZE));
    fake->irqs = fake_must(calloc(1 + fake->config.num_vfs,
                                  sizeof(fake->irqs[0])));
    /* Zeroes that cost nothing until they are touched. */
    fake->ram = mmap(NULL, fake->ram_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fake->ram == MAP_FAILED) {
        fake_die("out of memory");
    }
    power_on(fake);
    return fake;
}

Fake *fake_create(const SvanConfig *config)
{
    FakeSetup setup = {
        .config = config ? *config : fake_config, .bus = FAKE_RAM_BASE,
        .ram_size = FAKE_RAM_SIZE,
    };

    return fake_create_as(&setup);
}

void fake_destroy(Fake *fake)
{
    power_off(fake);
    munmap(fake->ram, fake->ram_size);
    free(fake->translated);
    free(fake->irqs);
    free(fake);
}

void fake_forget(Fake *fake)
{
    memset(fake->translated, 0, fake->ram_size / SVAN_PAGE_SIZE);
}

void fake_recycle(Fake *fake)
{
    Fake before = *fake;

    power_off(fake);
    memset(fake->ram, 0, fake->used > fake->dirty ? fake->used : fake->dirty);
    memset(fake, 0, sizeof(*fake));
    fake->config = before.config;
    fake->ram = before.ram;
    fake->bus = before.bus;
    fake->ram_size = before.ram_size;
    fake->clock = before.clock;
    fake->hooks = before.hooks;
    fake->hooks_arg = before.hooks_arg;
    fake->translated = before.translated;
    fake_forget(fake);
    fake->irqs = before.irqs;
    memset(fake->irqs, 0,
           (1 + fake->config.num_vfs) * sizeof(fake->irqs[0]));
    power_on(fake);
}

uint64_t fake_alloc(Fake *fake, uint32_t size, uint32_t align)
{
    uint32_t at = (fake->used + align - 1) & ~(align - 1);

    if (at + size > fake->ram_size) {
        fake_die("guest memory is used up");
    }
    fake->used = at + size;
    memset(fake->ram + at, 0, size);
    return fake->bus + at;
}

void *fake_ram(Fake *fake, uint64_t bus)
{
    if (!in_ram(fake, bus, 1)) {
        fake_die("no guest memory at %" PRIx64, bus);
    }
    return fake->ram + (bus - fake->bus);
}

uint32_t fake_run(Fake *fake)
{
    SvanRun before = SVAN_RUN_MORE;

    svan_resolved(fake->core);
    for (uint32_t runs = 1; runs < MAX_RUNS; runs++) {
        SvanRun run = svan_run(fake->core);

        /* Twice, so that every record was looked at. */
        if (run == SVAN_RUN_IDLE || (run == SVAN_RUN_POLL && run == before)) {
            return runs;
        }
        if (fake->miss_every && run != SVAN_RUN_MISS) {
            fake_forget(fake);
        }
        before = run;
    }
    fake_die("the core does not come to rest");
}

uint32_t fake_advance(Fake *fake, uint64_t ns)
{
    fake->now += ns;
    return fake_run(fake);
}

SvanFrame *fake_frame(Fake *fake)
{
    SvanFrame *frame = fake->out_head;

    if (frame) {
        fake->out_head = frame->next;
        if (!fake->out_head) {
            fake->out_tail = &fake->out_head;
        }
    }
    return frame;
}

void fake_lend(Fake *fake, const SvanFrame *frame)
{
    fake->lent.data = frame->data;
    fake->lent.len = frame->len;
    memcpy(fake->lent.head, frame->data,
           frame->len < SVAN_PACKET_HEAD ? frame->len : SVAN_PACKET_HEAD);
    svan_packets_ready(fake->core);
}

bool fake_restore(Fake *fake)
{
    SvanCore *old = fake->core;
    size_t len;
    void *stream = fake_must(svan_save(old, &len));
    bool loaded;

    fake->deadline = UINT64_MAX;
    fake->core = new_core(fake);
    loaded = svan_load(fake->core, stream, len);
    free(stream);
    svan_destroy(old);
    return loaded;
}
