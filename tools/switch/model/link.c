/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One direction of a link.
 */
#include <stdlib.h>

#include "link.h"

#define NS_PER_S        1000000000ull
#define GOLDEN          0x9e3779b97f4a7c15ull

/* What chance decides about a frame; a copy draws for itself. */
enum {
    DRAW_RED, DRAW_LOSS, DRAW_DUPLICATE, DRAW_REORDER, DRAW_CORRUPT, DRAW_BIT, DRAW_JITTER,
    DRAWS = 16,
};

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t net_link_key(uint64_t seed, uint32_t node, uint32_t port)
{
    return mix(mix(seed + GOLDEN) + ((uint64_t)node << 32 | port) * GOLDEN);
}

static uint64_t draw(const NetLink *link, uint64_t number, uint32_t what)
{
    return mix(mix(link->key + number * GOLDEN) + (what + 1) * GOLDEN);
}

/* Uniform in 0 to n - 1. */
static uint64_t below(uint64_t random, uint64_t n)
{
    return (unsigned __int128)random * n >> 64;
}

static bool happens(const NetLink *link, uint64_t number, uint32_t what, uint32_t ppm)
{
    return ppm && below(draw(link, number, what), NET_PPM) < ppm;
}

bool net_buffer_admits(const NetBuffer *buffer, uint64_t held, uint32_t more)
{
    return !buffer->size || (buffer->used + more <= buffer->size &&
                             held + more <= buffer->size - buffer->used);
}

static void see(NetLink *link, const NetFrame *frame, uint32_t fate)
{
    if (link->tap) {
        link->tap(link->tap_arg, frame, fate);
    }
}

static void drop(NetLink *link, NetFrame *frame, uint32_t fate, uint64_t *count)
{
    (*count)++;
    see(link, frame, fate);
    net_frame_put(frame);
}

/* ---- the wire ---- */

static void arrive(void *arg, NetFrame *frame)
{
    NetLink *link = arg;

    link->under_way -= frame->len;
    link->arrive(link->to, frame);
}

static uint64_t lateness(NetLink *link, uint64_t number, uint32_t draws, uint32_t *fate)
{
    const NetLinkModel *model = &link->model;
    uint64_t late = 0;

    if (model->jitter) {
        late = below(draw(link, number, draws + DRAW_JITTER), model->jitter + 1);
    }
    if (happens(link, number, draws + DRAW_REORDER, model->reorder)) {
        link->counts.reordered++;
        *fate |= NET_FATE_REORDERED;
        late += model->reorder_delay;
    }
    return late;
}

/* NULL: no memory. */
static NetFrame *damage(NetLink *link, NetFrame *frame, uint64_t random)
{
    uint64_t bit = below(random, frame->kept * 8ull);

    frame = net_frame_own(frame);
    if (frame) {
        frame->data[bit / 8] ^= 1 << bit % 8;
        link->counts.corrupted++;
    }
    return frame;
}

/* One copy; draws: where its draws start. */
static void carry(NetLink *link, NetWaiting first, uint64_t number, uint32_t draws)
{
    NetEvent event = { .kind = NET_EVENT_ARRIVAL, .fn = link->arrive, .arg = link->to };
    NetFrame *frame = first.frame;
    uint32_t fate = first.fate;

    event.time = link->schedule->now + link->model.delay + lateness(link, number, draws, &fate);
    if (happens(link, number, draws + DRAW_CORRUPT, link->model.corrupt)) {
        frame = damage(link, frame, draw(link, number, draws + DRAW_BIT));
        if (!frame) {
            link->counts.no_memory++;
            return;
        }
        fate |= NET_FATE_CORRUPTED;
    }
    event.frame = frame;
    if (link->under_way_max) {
        event.fn = arrive;
        event.arg = link;
    }
    if ((link->under_way_max && link->under_way + first.len > link->under_way_max) ||
        !net_schedule_add(link->schedule, link->to_node, link->from, event)) {
        drop(link, frame, fate | NET_FATE_NO_MEMORY, &link->counts.no_memory);
        return;
    }
    if (link->under_way_max) {
        link->under_way += first.len;
    }
    link->counts.sent++;
    link->counts.sent_bytes += first.len;
    see(link, frame, fate);
}

/* The last octet has left. */
static void depart(NetLink *link, NetWaiting first)
{
    uint64_t number = link->departures++;

    if (happens(link, number, DRAW_LOSS, link->model.loss)) {
        drop(link, first.frame, first.fate | NET_FATE_LOST, &link->counts.lost);
        return;
    }
    if (happens(link, number, DRAW_DUPLICATE, link->model.duplicate)) {
        NetWaiting copy = { net_frame_ref(first.frame), first.len, first.fate };

        link->counts.duplicated++;
        copy.fate |= NET_FATE_DUPLICATE;
        carry(link, copy, number, DRAWS);
    }
    carry(link, first, number, 0);
}

/* ---- the transmitter ---- */

/* The next one, of those that wait. */
static NetWaiting take_next(NetLink *link)
{
    NetWaiting next = link->queue[link->head];

    link->head = (link->head + 1) & (link->capacity - 1);
    link->waiting--;
    return next;
}

/* A frame is in the queue, or is no more. */
static void enter(NetLink *link, uint32_t len)
{
    link->queued += len;
    link->longest = link->queued > link->longest ? link->queued : link->longest;
    if (link->buffer) {
        link->buffer->used += len;
    }
}

static void leave(NetLink *link, uint32_t len)
{
    link->queued -= len;
    if (link->buffer) {
        link->buffer->used -= len;
    }
}

/* How long a frame takes; what is left of a nanosecond counts for the next one. */
static uint64_t transmission(NetLink *link, uint32_t len)
{
    uint64_t rate = link->model.rate, units;

    if (!rate) {
        return 0;
    }
    units = (len + link->model.overhead) * 8ull * NS_PER_S + link->remainder % rate;
    link->remainder = units % rate;
    return units / rate;
}

static void transmitted(void *arg, NetFrame *none);
static NetFrame *mark(NetLink *link, NetFrame *frame, uint32_t *fate);

static void transmit(NetLink *link, NetWaiting first)
{
    NetEvent event = { .kind = NET_EVENT_DEPARTURE, .fn = transmitted, .arg = link };

    link->first = first;
    link->free_at += transmission(link, first.len);
    event.time = link->free_at > link->schedule->now ? link->free_at : link->schedule->now;
    link->busy = net_schedule_add(link->schedule, link->from->id, link->from, event);
    if (!link->busy) {
        leave(link, first.len);
        drop(link, first.frame, first.fate | NET_FATE_NO_MEMORY, &link->counts.no_memory);
    }
}

static void transmitted(void *arg, NetFrame *none)
{
    NetLink *link = arg;

    link->busy = false;
    leave(link, link->first.len);
    if (link->model.leaving) {
        link->first.frame = mark(link, link->first.frame, &link->first.fate);
    }
    if (link->first.frame) {
        depart(link, link->first);
    }
    if (link->waiting) {
        transmit(link, take_next(link));
    }
}

/* ---- the queue ---- */

static bool has_room(const NetLink *link, uint32_t len)
{
    return (!link->model.queue || link->queued + len <= link->model.queue) &&
           (!link->buffer || net_buffer_admits(link->buffer, link->queued, len));
}

static bool mark_is_due(NetLink *link)
{
    bool due = link->marks_due >> 32;

    link->marks_due &= UINT32_MAX;
    return due;
}

static bool above_red(NetLink *link)
{
    const NetLinkModel *model = &link->model;
    uint64_t chance;

    if (link->queued <= model->kmin) {
        return false;
    }
    if (link->queued > model->kmax) {
        return true;
    }
    /* in 2^-32: pmax is at most 10^6, the octets at most NET_BYTES_MAX */
    chance = ((uint64_t)model->pmax << 32) / NET_PPM * (link->queued - model->kmin) /
             (model->kmax - model->kmin);
    /*
     * By the number of the frame as it comes, or as it leaves; a link draws for RED by one
     * of the two only.
     */
    if (model->evenly) {
        link->marks_due += chance;
        return mark_is_due(link);
    }
    return draw(link, model->leaving ? link->departures : link->counts.frames, DRAW_RED) >> 32 <
           chance;
}

/* Whether the queue is so long that a frame should be marked. */
static bool is_congested(NetLink *link)
{
    switch (link->model.marking) {
    case NET_MARK_RED:
        return above_red(link);
    case NET_MARK_STEP:
        return link->queued > link->model.kmax;
    default:
        return false;
    }
}

/* NULL: the frame is dropped. */
static NetFrame *mark(NetLink *link, NetFrame *frame, uint32_t *fate)
{
    NetEcn ecn;

    if (!is_congested(link)) {
        return frame;
    }
    ecn = net_ecn(frame);
    if (ecn == NET_ECN_NONE && link->model.marking == NET_MARK_RED) {
        drop(link, frame, NET_FATE_EARLY, &link->counts.early);
        return NULL;
    }
    if (ecn != NET_ECN_CAPABLE) {
        return frame;
    }
    frame = net_frame_own(frame);
    if (!frame) {
        link->counts.no_memory++;
        return NULL;
    }
    net_ecn_mark(frame);
    link->counts.marked++;
    *fate |= NET_FATE_MARKED;
    return frame;
}

static bool grow(NetLink *link)
{
    uint32_t capacity = link->capacity ? link->capacity * 2 : 16;
    NetWaiting *queue = malloc(capacity * sizeof(*queue));

    if (!queue) {
        return false;
    }
    for (uint32_t i = 0; i < link->waiting; i++) {
        queue[i] = link->queue[(link->head + i) & (link->capacity - 1)];
    }
    free(link->queue);
    link->queue = queue;
    link->head = 0;
    link->capacity = capacity;
    return true;
}

/* When an idle transmitter starts. */
static void start_at(NetLink *link)
{
    uint64_t now = link->schedule->now;

    if (link->held && link->free_at + link->burst >= now) {
        return;
    }
    link->free_at = link->held ? now - link->burst : now;
    link->remainder = 0;
}

/* Behind those that wait. false: no memory. */
static bool wait(NetLink *link, NetWaiting last)
{
    if (link->waiting == link->capacity && !grow(link)) {
        return false;
    }
    link->queue[(link->head + link->waiting++) & (link->capacity - 1)] = last;
    return true;
}

void net_link_send(NetLink *link, NetFrame *frame)
{
    NetWaiting last = { frame, frame->len, 0 };

    link->counts.frames++;
    link->counts.bytes += last.len;
    if (!link->model.rate && !net_link_len(link)) {
        depart(link, last);
        return;
    }
    if (!has_room(link, last.len)) {
        drop(link, frame, NET_FATE_FULL, &link->counts.full);
        return;
    }
    last.frame = link->model.leaving ? frame : mark(link, frame, &last.fate);
    if (!last.frame) {
        return;
    }
    if (net_link_len(link) && !wait(link, last)) {
        drop(link, last.frame, last.fate | NET_FATE_NO_MEMORY, &link->counts.no_memory);
        return;
    }
    enter(link, last.len);
    if (!link->busy) {
        start_at(link);
        transmit(link, link->waiting ? take_next(link) : last);
    }
}

void net_link_fini(NetLink *link)
{
    if (link->busy) {
        net_frame_put(link->first.frame);
    }
    while (link->waiting) {
        net_frame_put(take_next(link).frame);
    }
    free(link->queue);
    link->queue = NULL;
    link->capacity = 0;
}
