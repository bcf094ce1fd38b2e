/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of the device as a stream: a header, then sections in a fixed order,
 * each with its version and length. Nothing that can be derived is in it, and
 * every object is created again by the function that its command uses, with the
 * same checks. The stream may be hostile.
 */
#include <stdlib.h>
#include <string.h>

#include "device/device.h"
#include "device/state.h"

#define STREAM_MAGIC    0x5453564e41565321ull
#define STREAM_VERSION  2
#define MAX_LOADED_FRAME        65536u

/* ---- of the device ---- */

static void save_frames(SvanCore *core, SvanWriter *writer)
{
    uint32_t count = 0;

    for (SvanFrame *frame = core->ingress->head; frame; frame = frame->next) {
        count++;
    }
    svan_put_u32(writer, count);
    svan_put_u32(writer, core->ingress->fn);
    svan_put_u32(writer, core->ingress->member);
    for (SvanFrame *frame = core->ingress->head; frame; frame = frame->next) {
        svan_put_u16(writer, frame->from);
        svan_put_u32(writer, frame->len);
        svan_put_bytes(writer, frame->data, frame->len);
    }
}

static bool load_frame(SvanCore *core, SvanReader *reader)
{
    uint16_t from = svan_get_u16(reader);
    uint32_t len = svan_get_u32(reader);
    SvanFrame *frame;

    if (from != SVAN_FROM_PORT && from >= core->num_fns) {
        return false;
    }
    if (len > MAX_LOADED_FRAME || len > reader->len - reader->pos) {
        return false;
    }
    frame = svan_frame_alloc(len);
    if (!frame) {
        return false;
    }
    svan_get_bytes(reader, frame->data, len);
    frame->len = len;
    frame->from = from;
    if (!svan_rx_put(core, frame)) {
        svan_frame_free(frame);
        return false;
    }
    return true;
}

/* A frame of which a part was delivered is delivered again from its start. */
static bool load_frames(SvanCore *core, SvanReader *reader)
{
    uint32_t count = svan_get_u32(reader);
    uint32_t rx_fn = svan_get_u32(reader);
    uint32_t member = svan_get_u32(reader);

    if (rx_fn > core->num_fns || member > core->num_fns || (!count && (rx_fn || member))) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!load_frame(core, reader)) {
            return false;
        }
    }
    core->ingress->fn = rx_fn;
    core->ingress->member = member;
    return true;
}

static void save_device(SvanCore *core, SvanWriter *writer)
{
    svan_put_u8(writer, core->link_up);
    /* Behind the turn of the last source comes that of the first: both are the same. */
    svan_put_u8(writer, core->turn % SVAN_TURN_COUNT);
}

static bool load_device(SvanCore *core, SvanReader *reader)
{
    core->link_up = svan_get_u8(reader);
    core->turn = svan_get_u8(reader) % SVAN_TURN_COUNT;
    return true;
}

static void save_congestion(SvanCore *core, SvanWriter *writer)
{
    struct svan_congestion_attr attr;

    svan_congestion_get_attr(core, &attr);
    svan_put_bytes(writer, &attr, sizeof(attr));
}

static bool load_congestion(SvanCore *core, SvanReader *reader)
{
    struct svan_congestion_attr attr;

    svan_get_bytes(reader, &attr, sizeof(attr));
    return !reader->failed &&
           svan_congestion_set_attr(core, SVAN_SET_CONGESTION_MASK, &attr);
}

/* ---- lists of queue pairs, whose order is state ---- */

/* The queue pairs that are in turn at a source, or those that wait for the wire. */
typedef struct QpList {
    SvanTurn turn;              /* SVAN_TURN_COUNT: what is blocked */
    size_t link;                /* in SvanQp */
} QpList;

static const QpList qp_lists[] = {
    { SVAN_TURN_QP, offsetof(SvanQp, work.ready) },
    { SVAN_TURN_POLL, offsetof(SvanQp, sq.poll_link) },
    { SVAN_TURN_COUNT, offsetof(SvanQp, work.blocked) },
};

#define NUM_LISTS       (sizeof(qp_lists) / sizeof(qp_lists[0]))

static void save_list(const SvanLink *head, size_t offset, SvanWriter *writer)
{
    for (const SvanLink *link = head->next; link != head; link = link->next) {
        const SvanQp *qp = (const SvanQp *)((const char *)link - offset);

        svan_put_u32(writer, qp->qpn);
        svan_put_u16(writer, qp->fn->id);
    }
}

/* One function after the other, in the order of their turns. */
static void save_turns(const SvanCore *core, const QpList *list, SvanWriter *writer)
{
    const SvanLink *fns = &core->work[list->turn];

    for (const SvanLink *link = fns->next; link != fns; link = link->next) {
        const SvanFnWork *work = svan_container(link, SvanFnWork, link);

        save_list(&work->objects, list->link, writer);
    }
}

static void save_blocked(const SvanCore *core, size_t offset, SvanWriter *writer)
{
    const SvanLink *fns = &core->waiting;

    for (const SvanLink *link = fns->next; link != fns; link = link->next) {
        save_list(&svan_container(link, SvanFn, waits)->blocked, offset, writer);
    }
}

static void save_lists(SvanCore *core, SvanWriter *writer)
{
    for (size_t i = 0; i < NUM_LISTS; i++) {
        if (qp_lists[i].turn < SVAN_TURN_COUNT) {
            save_turns(core, &qp_lists[i], writer);
        } else {
            save_blocked(core, qp_lists[i].link, writer);
        }
        svan_put_u32(writer, 0);
    }
}

static bool load_list(SvanCore *core, SvanReader *reader, const QpList *list)
{
    for (;;) {
        uint32_t qpn = svan_get_u32(reader);
        SvanLink *link;
        SvanFn *fn;
        SvanQp *qp;

        if (!qpn) {
            return !reader->failed;
        }
        fn = svan_fn(core, svan_get_u16(reader));
        qp = fn && fn->regs->enabled ? svan_qp_get(fn, qpn) : NULL;
        if (!qp || fn->fatal) {
            return false;
        }
        /*
         * A QP that has been scheduled since it was loaded stands in the list already.
         */
        link = (SvanLink *)((char *)qp + list->link);
        if (list->turn < SVAN_TURN_COUNT) {
            svan_turn_join(fn, list->turn, link);
        } else {
            svan_list_append(&fn->blocked, link);
            svan_list_append(&core->waiting, &fn->waits);
        }
    }
}

/*
 * The record of a parked send queue is read by its owner, who is ready, or will be when
 * there is room on the wire. Else nobody would ever see what its host posts.
 */
static bool is_parked_in_vain(const SvanQp *qp)
{
    return qp->sq.poll_parked &&
           (qp->sq.poll_link.next ||
            !(svan_work_is_ready(&qp->work) || qp->work.blocked.next));
}

static bool parked_are_awaited(const SvanFn *fn)
{
    const SvanTable *table = &fn->qps->table;

    for (uint32_t i = 0; i < table->size; i++) {
        if (table->slots[i] && is_parked_in_vain(table->slots[i])) {
            return false;
        }
    }
    return true;
}

static bool load_lists(SvanCore *core, SvanReader *reader)
{
    for (size_t i = 0; i < NUM_LISTS; i++) {
        if (!load_list(core, reader, &qp_lists[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < core->num_fns; i++) {
        SvanFn *fn = core->fns[i];

        if (fn->regs->enabled && !fn->fatal && !parked_are_awaited(fn)) {
            return false;
        }
    }
    return true;
}

/* ---- sections ---- */

typedef struct Section {
    uint32_t id;
    uint32_t version;
    void (*save)(SvanCore *core, SvanWriter *writer);
    bool (*load)(SvanCore *core, SvanReader *reader);
} Section;

typedef struct FnSection {
    uint32_t id;
    uint32_t version;
    bool always;                /* a disabled function has it, too */
    void (*save)(SvanFn *fn, SvanWriter *writer);
    bool (*load)(SvanFn *fn, SvanReader *reader);
} FnSection;

/* Of each function; in the order in which objects need each other. */
static const FnSection fn_sections[] = {
    { 0x10, 2, true, svan_save_registers, svan_load_registers },
    { 0x11, 3, false, svan_save_tables, svan_load_tables },
    { 0x12, 2, false, svan_save_uars, svan_load_uars },
    { 0x19, 1, false, svan_save_contexts, svan_load_contexts },
    { 0x13, 1, false, svan_save_keys, svan_load_keys },
    { 0x14, 3, false, svan_save_eqs, svan_load_eqs },
    { 0x15, 2, false, svan_save_cqs, svan_load_cqs },
    { 0x1c, 1, false, svan_save_counters, svan_load_counters },
    { 0x21, 1, false, svan_save_srqs, svan_load_srqs },
    { 0x16, 9, false, svan_save_qps, svan_load_qps },
    { 0x20, 1, false, svan_save_groups, svan_load_groups },
    { 0x1d, 2, true, svan_save_vport, svan_load_vport },
    { 0x1f, 1, true, svan_save_enforcement, svan_load_enforcement },
    { 0x17, 2, false, svan_save_net, svan_load_net },
    { 0x18, 6, true, svan_save_stats, svan_load_stats },
    { 0x1a, 2, false, svan_save_prq, svan_load_prq },
    { 0x1b, 1, false, svan_save_spares, svan_load_spares },
};

static const Section sections[] = {
    { 0x01, 1, save_device, load_device },
    { 0x02, 3, save_frames, load_frames },
    { 0x03, 1, save_lists, load_lists },
    { 0x1e, 1, save_congestion, load_congestion },
};

#define NUM_FN_SECTIONS (sizeof(fn_sections) / sizeof(fn_sections[0]))
#define NUM_SECTIONS    (sizeof(sections) / sizeof(sections[0]))

static size_t section_begin(SvanWriter *writer, uint32_t id, uint32_t version)
{
    svan_put_u32(writer, id);
    svan_put_u32(writer, version);
    svan_put_u32(writer, 0);
    return writer->len;
}

static void section_end(SvanWriter *writer, size_t start)
{
    uint32_t len = htole32(writer->len - start);

    if (!writer->failed) {
        memcpy(writer->data + start - sizeof(len), &len, sizeof(len));
    }
}

/* Begin to read a section, by a reader of its own. false: another one stands here. */
static bool section_open(SvanReader *reader, uint32_t id, uint32_t version,
                         SvanReader *section)
{
    bool known = svan_get_u32(reader) == id;
    uint32_t len;

    known &= svan_get_u32(reader) == version;
    len = svan_get_u32(reader);
    if (!known || reader->failed || len > reader->len - reader->pos) {
        return false;
    }
    *section = (SvanReader) { .data = reader->data + reader->pos, .len = len };
    reader->pos += len;
    return true;
}

static bool section_read_whole(const SvanReader *section)
{
    return !section->failed && section->pos == section->len;
}

static void save_header(SvanCore *core, SvanWriter *writer)
{
    svan_put_u64(writer, STREAM_MAGIC);
    svan_put_u32(writer, STREAM_VERSION);
    svan_put_u32(writer, core->num_fns);
    svan_put_u32(writer, core->config.max_qp);
    svan_put_u32(writer, core->config.max_cq);
    svan_put_u32(writer, core->config.max_key);
}

static bool load_header(SvanCore *core, SvanReader *reader)
{
    bool good = svan_get_u64(reader) == STREAM_MAGIC;

    good &= svan_get_u32(reader) == STREAM_VERSION;
    good &= svan_get_u32(reader) == core->num_fns;
    good &= svan_get_u32(reader) == core->config.max_qp;
    good &= svan_get_u32(reader) == core->config.max_cq;
    good &= svan_get_u32(reader) == core->config.max_key;
    return good && !reader->failed;
}

static bool has_section(const SvanFn *fn, const FnSection *section)
{
    return section->always || fn->regs->enabled;
}

static void save_fn_section(SvanFn *fn, const FnSection *section,
                            SvanWriter *writer)
{
    size_t start;

    if (has_section(fn, section)) {
        start = section_begin(writer, section->id, section->version);
        section->save(fn, writer);
        section_end(writer, start);
    }
}

void *svan_save(SvanCore *core, size_t *len)
{
    SvanWriter writer = { 0 };

    svan_misses_resume(core);   /* what misses after the load is found out there */
    while (svan_db_collect(core)) {
        /* What was rung becomes state of the queues. */
    }
    save_header(core, &writer);
    for (uint32_t f = 0; f < core->num_fns; f++) {
        for (size_t i = 0; i < NUM_FN_SECTIONS; i++) {
            save_fn_section(core->fns[f], &fn_sections[i], &writer);
        }
    }
    for (size_t i = 0; i < NUM_SECTIONS; i++) {
        size_t start = section_begin(&writer, sections[i].id,
                                     sections[i].version);

        sections[i].save(core, &writer);
        section_end(&writer, start);
    }
    if (writer.failed) {
        free(writer.data);
        return NULL;
    }
    *len = writer.len;
    return writer.data;
}

static bool load_fn(SvanFn *fn, SvanReader *reader)
{
    for (size_t i = 0; i < NUM_FN_SECTIONS; i++) {
        SvanReader section;

        if (!has_section(fn, &fn_sections[i])) {
            continue;
        }
        if (!section_open(reader, fn_sections[i].id, fn_sections[i].version,
                          &section) ||
            !fn_sections[i].load(fn, &section) ||
            !section_read_whole(&section)) {
            return false;
        }
    }
    return true;
}

static bool load_all(SvanCore *core, SvanReader *reader)
{
    if (!load_header(core, reader)) {
        return false;
    }
    for (uint32_t f = 0; f < core->num_fns; f++) {
        if (!load_fn(core->fns[f], reader)) {
            return false;
        }
    }
    for (size_t i = 0; i < NUM_SECTIONS; i++) {
        SvanReader section;

        if (!section_open(reader, sections[i].id, sections[i].version,
                          &section) ||
            !sections[i].load(core, &section) ||
            !section_read_whole(&section)) {
            return false;
        }
    }
    return section_read_whole(reader);
}

static void reset_all(SvanCore *core)
{
    while (core->ingress->head) {
        svan_rx_drop_head(core);
    }
    svan_miss_forget(core, &core->rx_miss);
    for (uint32_t f = 0; f < core->num_fns; f++) {
        svan_reset(core, f);
    }
    svan_reset_settings(core);
    svan_clock_reset(core);
    while (svan_db_collect(core)) {
        /* Drop what was rung: a queue that is loaded may have one of these numbers. */
    }
}

bool svan_load(SvanCore *core, const void *stream, size_t len)
{
    SvanReader reader = { .data = stream, .len = len };
    bool loaded;

    reset_all(core);
    loaded = load_all(core, &reader);
    if (!loaded) {
        reset_all(core);
        core->turn = 0;
    }
    svan_kick(core);
    return loaded;
}
