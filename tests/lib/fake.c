/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world for one core.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake.h"

#define MAX_RUNS        5000000u

void fake_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* ---- ops ---- */

static bool in_ram(uint64_t bus, uint64_t len)
{
    return bus >= FAKE_RAM_BASE && bus - FAKE_RAM_BASE < FAKE_RAM_SIZE &&
           len <= FAKE_RAM_SIZE - (bus - FAKE_RAM_BASE);
}

static bool page_misses(Fake *fake, uint64_t addr)
{
    uint8_t *translated;

    if (fake->maps == fake->miss_at) {
        return true;
    }
    if (!fake->miss_every || !in_ram(addr, 1)) {
        return false;
    }
    translated = &fake->translated[(addr - FAKE_RAM_BASE) / SVAN_PAGE_SIZE];
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

    (void)for_write;
    if (!len || addr % SVAN_PAGE_SIZE + len > SVAN_PAGE_SIZE ||
        fn >= FAKE_FNS) {
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
    if (!in_ram(addr, len) || (fake->bad_page &&
        addr / SVAN_PAGE_SIZE == fake->bad_page / SVAN_PAGE_SIZE)) {
        return SVAN_DMA_ERROR;
    }
    *host = fake->ram + (addr - FAKE_RAM_BASE);
    return SVAN_DMA_OK;
}

static void op_written(void *opaque, uint16_t fn, uint64_t addr, void *host,
                       uint32_t len)
{
    Fake *fake = opaque;

    if (fn >= FAKE_FNS || !len || !in_ram(addr, len) ||
        host != fake->ram + (addr - FAKE_RAM_BASE)) {
        fake_die("written: %u bytes at %" PRIx64, len, addr);
    }
    fake->written += len;
    if (addr + len - FAKE_RAM_BASE > fake->dirty) {
        fake->dirty = addr + len - FAKE_RAM_BASE;
    }
}

static void op_irq(void *opaque, uint16_t fn, uint16_t vector)
{
    Fake *fake = opaque;

    if (fn >= FAKE_FNS || vector >= FAKE_VECTORS) {
        fake_die("vector %u of function %u", vector, fn);
    }
    fake->irqs[fn][vector]++;
}

static bool op_frame_out(void *opaque, SvanFrame *frame)
{
    Fake *fake = opaque;

    if (fake->out_full) {
        return false;
    }
    frame->next = NULL;
    *fake->out_tail = frame;
    fake->out_tail = &frame->next;
    fake->out_frames++;
    return true;
}

static uint64_t op_now(void *opaque)
{
    return ((Fake *)opaque)->now;
}

static void op_deadline(void *opaque, uint64_t when)
{
    Fake *fake = opaque;

    fake->deadline = when;
    fake->deadlines++;
}

static void op_kick(void *opaque)
{
    Fake *fake = opaque;

    atomic_fetch_add(&fake->kicks, 1);
}

static void op_trace(void *opaque, const SvanTrace *trace)
{
    Fake *fake = opaque;

    if (trace->event >= SVAN_TRACE_COUNT) {
        fake_die("trace event %u", trace->event);
    }
    fake->traces[trace->event]++;
    fake->last[trace->event] = *trace;
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

static void *must(void *ptr)
{
    if (!ptr) {
        fake_die("out of memory");
    }
    return ptr;
}

static void power_on(Fake *fake)
{
    fake->now = 1000;
    fake->deadline = UINT64_MAX;
    fake->out_tail = &fake->out_head;
    fake->core = must(svan_create(&fake->config, &ops, fake));
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

Fake *fake_create(const SvanConfig *config)
{
    Fake *fake = must(calloc(1, sizeof(*fake)));

    fake->config = config ? *config : fake_config;
    /* Zeroes that cost nothing until they are touched. */
    fake->ram = mmap(NULL, FAKE_RAM_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fake->ram == MAP_FAILED) {
        fake_die("out of memory");
    }
    power_on(fake);
    return fake;
}

void fake_destroy(Fake *fake)
{
    power_off(fake);
    munmap(fake->ram, FAKE_RAM_SIZE);
    free(fake);
}

void fake_recycle(Fake *fake)
{
    SvanConfig config = fake->config;
    uint8_t *ram = fake->ram;

    power_off(fake);
    memset(ram, 0, fake->used > fake->dirty ? fake->used : fake->dirty);
    memset(fake, 0, sizeof(*fake));
    fake->config = config;
    fake->ram = ram;
    power_on(fake);
}

uint64_t fake_alloc(Fake *fake, uint32_t size, uint32_t align)
{
    uint32_t at = (fake->used + align - 1) & ~(align - 1);

    if (at + size > FAKE_RAM_SIZE) {
        fake_die("guest memory is used up");
    }
    fake->used = at + size;
    memset(fake->ram + at, 0, size);
    return FAKE_RAM_BASE + at;
}

void *fake_ram(Fake *fake, uint64_t bus)
{
    if (!in_ram(bus, 1)) {
        fake_die("no guest memory at %" PRIx64, bus);
    }
    return fake->ram + (bus - FAKE_RAM_BASE);
}

uint32_t fake_run(Fake *fake)
{
    SvanRun before = SVAN_RUN_MORE;

    for (uint32_t runs = 1; runs < MAX_RUNS; runs++) {
        SvanRun run = svan_run(fake->core);

        /* Twice, so that every record was looked at. */
        if (run == SVAN_RUN_IDLE || (run == SVAN_RUN_POLL && run == before)) {
            return runs;
        }
        if (fake->miss_every && run != SVAN_RUN_MISS) {
            memset(fake->translated, 0, sizeof(fake->translated));
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

bool fake_restore(Fake *fake)
{
    size_t len;
    void *stream = must(svan_save(fake->core, &len));
    bool loaded;

    svan_destroy(fake->core);
    fake->core = must(svan_create(&fake->config, &ops, fake));
    loaded = svan_load(fake->core, stream, len);
    free(stream);
    return loaded;
}
